/**
 * Where workers meet: a block of shared memory with a barrier and, behind it, what each worker tells the
 * others at the end of a window. Slots are double-buffered by the parity of the meeting: a fast worker writes
 * the next meeting's slots while a slow one still reads the last one's, and cannot come round again before it.
 *
 *   +0 arrived i32 | +4 generation i32 | +8 aborted i32 | +12 sleepers i32 | to 64 unused
 *   +64 slots [parity][worker], each in cache lines of its own:
 *       +0 next event f64 | +8 clock f64 | +16 flags f64 | +24 unused
 *       +32 outboxes [destination]: records f64, count f64, bytes f64, used f64, earliest f64
 *
 * All numbers of slots are below 2^53. They are written before and read behind the barrier's atomic operations.
 */
import type { Time } from "../base/time.ts";
import type { Outbox } from "../kernel/underlay.ts";

const ARRIVED = 0;
const GENERATION = 1;
const ABORTED = 2;
const SLEEPERS = 3;
// In units of 8 bytes.
const HEADER = 8;
const SLOT_HEADER = 4;
const OUTBOX = 5;
const CACHE_LINE = 8;

/**
 * How a worker waits. The others' windows may take microseconds or seconds, and to be woken takes some ten
 * microseconds, so it looks at the barrier a while before it sleeps: so often that it takes about as long as a wake
 * (SPINS), half as often after each time that this was in vain, down to not at all; as often again after the first
 * success. Where there are fewer processors than workers it soon sleeps at once.
 *
 * Two workers that have begun to sleep could go on so for ever, each late by a wake and so too late for the other to
 * spin. So at every PROBE_PERIOD-th meeting and the PROBES - 1 after it everybody spins PROBE_SPINS times, longer than
 * a wake takes; who has waited all the time and is met by nobody loses some hundred microseconds once in a while.
 */
const SPINS = 1 << 13;
const PROBE_SPINS = 1 << 16;
const PROBE_PERIOD = 256;
const PROBES = 2;

/** Another worker has failed; its error is the one to report. */
export class AbortedRun extends Error {
  override name = "AbortedRun";
}

/** What a worker tells the others at a meeting. */
export interface Standing {
  /** Its earliest event, without the frames on their way to it. */
  nextEvent: Time;
  /** Everything of its own before this time is done. */
  clock: Time;
  /** FLAG_* of exchange.ts. */
  flags: number;
}

function slotSize(workers: number): number {
  return Math.ceil((SLOT_HEADER + OUTBOX * workers) / CACHE_LINE) * CACHE_LINE;
}

/** Size in bytes of the block that `workers` workers share. */
export function meetingSize(workers: number): number {
  return 8 * (HEADER + 2 * workers * slotSize(workers));
}

/** One worker's (or the coordinator's) view of the block. */
export class Meeting {
  readonly workers: number;
  readonly #words: Int32Array;
  readonly #slots: Float64Array;
  readonly #slotSize: number;
  #parity = 0;
  #meetings = 0;
  #spins = SPINS;
  #sleeps = 0;

  constructor(block: SharedArrayBuffer, workers: number) {
    this.workers = workers;
    this.#words = new Int32Array(block);
    this.#slots = new Float64Array(block);
    this.#slotSize = slotSize(workers);
  }

  /** Says what this worker has, for the next meet(). */
  put(worker: number, nextEvent: Time, clock: Time, flags: number): void {
    const at = this.#slot(worker, this.#parity);
    this.#slots[at] = nextEvent;
    this.#slots[at + 1] = clock;
    this.#slots[at + 2] = flags;
  }

  /** Says where the frames for a worker are. */
  putOutbox(worker: number, destination: number, box: Outbox): void {
    const at = this.#slot(worker, this.#parity) + SLOT_HEADER + OUTBOX * destination;
    this.#slots[at] = box.records;
    this.#slots[at + 1] = box.count;
    this.#slots[at + 2] = box.bytes;
    this.#slots[at + 3] = box.used;
    this.#slots[at + 4] = box.earliest;
  }

  /**
   * Waits for everybody, then changes parity: what the get… functions return from now on was put before this meeting.
   * @throws AbortedRun when somebody failed
   */
  meet(): void {
    const words = this.#words;
    const generation = Atomics.load(words, GENERATION);
    this.#meetings++;
    if (Atomics.add(words, ARRIVED, 1) === this.workers - 1) {
      Atomics.store(words, ARRIVED, 0);
      Atomics.add(words, GENERATION, 1);
      // Who falls asleep later than this look finds that the generation has changed.
      if (Atomics.load(words, SLEEPERS) !== 0) Atomics.notify(words, GENERATION);
    } else this.#wait(generation);
    if (Atomics.load(words, ABORTED) !== 0) throw new AbortedRun("another worker failed");
    this.#parity ^= 1;
  }

  #wait(generation: number): void {
    const words = this.#words;
    const probe = this.#meetings % PROBE_PERIOD < PROBES;
    let left = probe ? PROBE_SPINS : this.#spins;
    while (left > 0 && Atomics.load(words, GENERATION) === generation) left--;
    if (left > 0) {
      this.#spins = SPINS;
      return;
    }
    this.#spins >>= 1;
    this.#sleeps++;
    Atomics.add(words, SLEEPERS, 1);
    while (Atomics.load(words, GENERATION) === generation && Atomics.load(words, ABORTED) === 0) {
      Atomics.wait(words, GENERATION, generation);
    }
    Atomics.sub(words, SLEEPERS, 1);
  }

  /** Ends every present and future meeting by AbortedRun. */
  abort(): void {
    Atomics.store(this.#words, ABORTED, 1);
    Atomics.add(this.#words, GENERATION, 1);
    Atomics.notify(this.#words, GENERATION);
  }

  /** How often this worker has slept at a meeting. */
  get sleeps(): number {
    return this.#sleeps;
  }

  /** What a worker said; written to `standing`. */
  getStanding(worker: number, standing: Standing): Standing {
    const at = this.#slot(worker, this.#parity ^ 1);
    standing.nextEvent = this.#slots[at] as number;
    standing.clock = this.#slots[at + 1] as number;
    standing.flags = this.#slots[at + 2] as number;
    return standing;
  }

  /** Where a worker's frames for another one are; written to `box`. */
  getOutbox(worker: number, destination: number, box: Outbox): Outbox {
    const at = this.#slot(worker, this.#parity ^ 1) + SLOT_HEADER + OUTBOX * destination;
    box.records = this.#slots[at] as number;
    box.count = this.#slots[at + 1] as number;
    box.bytes = this.#slots[at + 2] as number;
    box.used = this.#slots[at + 3] as number;
    box.earliest = this.#slots[at + 4] as number;
    return box;
  }

  #slot(worker: number, parity: number): number {
    return HEADER + (parity * this.workers + worker) * this.#slotSize;
  }
}
