/**
 * Where workers meet: a block of shared memory with a barrier and, behind it, what each worker tells the
 * others at the end of a window. Slots are double-buffered by the parity of the meeting: a fast worker writes
 * the next meeting's slots while a slow one still reads the last one's, and cannot come round again before it.
 *
 *   +0 arrived i32 | +4 generation i32 | +8 aborted i32 | +12 unused
 *   +16 slots [parity][worker], each:
 *       +0 next event f64 | +8 flags u32 | +12 unused | +16 outboxes [destination]: records u32, count u32
 */
import type { Time } from "../base/time.ts";

const ARRIVED = 0;
const GENERATION = 1;
const ABORTED = 2;
const HEADER = 16;
const SLOT_HEADER = 16;

/**
 * Looks at the barrier so often before it sleeps: some hundred microseconds at most, which is what the others' windows
 * take while little happens. Twice as often next time when that was enough, half as often when it wasn't: where there
 * are fewer processors than workers it soon sleeps at once.
 */
const MOST_SPINS = 1 << 16;
const LEAST_SPINS = 1 << 6;

/** Another worker has failed; its error is the one to report. */
export class AbortedRun extends Error {
  override name = "AbortedRun";
}

/** Size in bytes of the block that `workers` workers share. */
export function meetingSize(workers: number): number {
  return HEADER + 2 * workers * (SLOT_HEADER + 8 * workers);
}

/** One worker's (or the coordinator's) view of the block. */
export class Meeting {
  readonly workers: number;
  readonly #words: Int32Array;
  readonly #view: DataView;
  #parity = 0;
  #spins = LEAST_SPINS << 4;

  constructor(block: SharedArrayBuffer, workers: number) {
    this.workers = workers;
    this.#words = new Int32Array(block);
    this.#view = new DataView(block);
  }

  /** Says what this worker has, for the next meet(). */
  put(worker: number, nextEvent: Time, flags: number): void {
    const at = this.#slot(worker);
    this.#view.setFloat64(at, nextEvent, true);
    this.#view.setUint32(at + 8, flags, true);
  }

  putOutbox(worker: number, destination: number, records: number, count: number): void {
    const at = this.#slot(worker) + SLOT_HEADER + 8 * destination;
    this.#view.setUint32(at, records, true);
    this.#view.setUint32(at + 4, count, true);
  }

  /**
   * Waits for everybody, then changes parity: what the get… functions return from now on was put before this meeting.
   * @throws AbortedRun when somebody failed
   */
  meet(): void {
    const words = this.#words;
    const generation = Atomics.load(words, GENERATION);
    if (Atomics.add(words, ARRIVED, 1) === this.workers - 1) {
      Atomics.store(words, ARRIVED, 0);
      Atomics.add(words, GENERATION, 1);
      Atomics.notify(words, GENERATION);
    } else {
      let left = this.#spins;
      while (left > 0 && Atomics.load(words, GENERATION) === generation) left--;
      this.#spins = left > 0 ? Math.min(MOST_SPINS, this.#spins * 2) : Math.max(LEAST_SPINS, this.#spins >> 1);
      while (Atomics.load(words, GENERATION) === generation && Atomics.load(words, ABORTED) === 0) {
        Atomics.wait(words, GENERATION, generation);
      }
    }
    if (Atomics.load(words, ABORTED) !== 0) throw new AbortedRun("another worker failed");
    this.#parity ^= 1;
  }

  /** Ends every present and future meeting by AbortedRun. */
  abort(): void {
    Atomics.store(this.#words, ABORTED, 1);
    Atomics.add(this.#words, GENERATION, 1);
    Atomics.notify(this.#words, GENERATION);
  }

  getNextEvent(worker: number): Time {
    return this.#view.getFloat64(this.#read(worker), true);
  }

  getFlags(worker: number): number {
    return this.#view.getUint32(this.#read(worker) + 8, true);
  }

  getOutbox(worker: number, destination: number): { records: number; count: number } {
    const at = this.#read(worker) + SLOT_HEADER + 8 * destination;
    return { records: this.#view.getUint32(at, true), count: this.#view.getUint32(at + 4, true) };
  }

  #slot(worker: number, parity = this.#parity): number {
    return HEADER + (parity * this.workers + worker) * (SLOT_HEADER + 8 * this.workers);
  }

  #read(worker: number): number {
    return this.#slot(worker, this.#parity ^ 1);
  }
}
