/**
 * What workers tell each other between two windows: frames, the times of their next events, and flags. Frames
 * are read by their receiver out of the sender's memory; the sender reuses their place one meeting later, when every
 * receiver is known to have copied them (its kernel keeps two outboxes and flips them at each meeting).
 */
import { FOREVER, type Time } from "../base/time.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { KernelMemory } from "../kernel/memory.ts";
import { emptyOutbox, foreignMemory } from "../kernel/underlay.ts";
import type { WasmMemory } from "../kernel/wasm.ts";
import { Meeting } from "./barrier.ts";
import type { Profile } from "./profile.ts";
import { windowEnd } from "./window.ts";

/** Somebody emitted an event in the last window. */
export const FLAG_EVENT = 1;
/** Somebody holds so many captured frames that the coordinator should take them. */
export const FLAG_FULL = 2;
/** Somebody has seen what is watched for, or the wall time of this part is over. */
export const FLAG_PAUSE = 4;

/** What all workers know after a meeting. The same everywhere, but for `windowEnd`. */
export interface Agreement {
  /** The earliest event of any worker, frames under way between them included; FOREVER when there is none. */
  nextEvent: Time;
  /** The flags of all workers, or-ed. */
  flags: number;
  /** The latest clock of any worker: nobody has done anything at or after it. */
  clock: Time;
  /** Until when this worker may run, exclusive, as far as the others' events are concerned. */
  windowEnd: Time;
}

/** The meeting at the end of a window. */
export interface Exchange {
  /** There are other workers. */
  readonly shared: boolean;
  /** Before a batch. @param delays closeDelays() of window.ts */
  begin(delays: Float64Array): void;
  /**
   * @param nextEvent the earliest event of this worker
   * @param flags FLAG_EVENT, FLAG_FULL
   * @param clock where this worker's window ended: no frame may arrive before it
   * @returns the same object every time
   */
  agree(nextEvent: Time, flags: number, clock: Time): Agreement;
  /** This worker failed: nobody shall wait for it. */
  abort(): void;
}

/** The exchange of a worker that is alone. */
export class SoloExchange implements Exchange {
  readonly shared = false;
  readonly #agreement: Agreement = { nextEvent: FOREVER, flags: 0, clock: 0, windowEnd: FOREVER };

  begin(): void {}

  agree(nextEvent: Time, flags: number, clock: Time): Agreement {
    const agreement = this.#agreement;
    agreement.nextEvent = nextEvent;
    agreement.flags = flags;
    agreement.clock = clock;
    return agreement;
  }

  abort(): void {}
}

/** The exchange between workers through shared memory. */
export class SharedExchange implements Exchange {
  readonly shared = true;
  readonly #kernel: Kernel;
  readonly #worker: number;
  readonly #meeting: Meeting;
  readonly #memories: readonly KernelMemory[];
  readonly #profile: Profile | undefined;
  #delays: Float64Array = new Float64Array(0);
  readonly #events: Float64Array;
  // Written anew at each meeting: nothing is allocated there.
  readonly #agreement: Agreement = { nextEvent: FOREVER, flags: 0, clock: 0, windowEnd: FOREVER };
  readonly #standing = { nextEvent: FOREVER, clock: 0, flags: 0 };
  readonly #box = emptyOutbox();

  /**
   * @param memories the kernels' memories, by worker
   * @param profile of this worker's thread
   */
  constructor(
    kernel: Kernel,
    worker: number,
    memories: readonly WasmMemory[],
    block: SharedArrayBuffer,
    profile?: Profile,
  ) {
    this.#profile = profile;
    this.#kernel = kernel;
    this.#worker = worker;
    this.#meeting = new Meeting(block, memories.length);
    this.#memories = memories.map(foreignMemory);
    this.#events = new Float64Array(memories.length);
  }

  begin(delays: Float64Array): void {
    this.#delays = delays;
    const { workers } = this.#meeting;
    for (let other = 0; other < workers; other++)
      this.#kernel.underlay.setReturn(other, delays[other * workers + this.#worker] as Time);
  }

  agree(nextEvent: Time, flags: number, clock: Time): Agreement {
    const meeting = this.#meeting;
    const { underlay } = this.#kernel;
    underlay.flip();
    for (let to = 0; to < meeting.workers; to++)
      if (to !== this.#worker) meeting.putOutbox(this.#worker, to, underlay.outbox(to, this.#box));
    meeting.put(this.#worker, nextEvent, clock, flags);
    const section = this.#profile?.enter("wait");
    meeting.meet();
    if (section !== undefined) this.#profile?.enter(section);
    this.#read(clock);
    return this.#agreement;
  }

  /** What the others said, and their frames. */
  #read(clock: Time): void {
    const meeting = this.#meeting;
    const { workers } = meeting;
    const agreement = this.#agreement;
    const events = this.#events;
    agreement.flags = 0;
    agreement.clock = 0;
    for (let i = 0; i < workers; i++) {
      const { nextEvent, clock: reached, flags } = meeting.getStanding(i, this.#standing);
      events[i] = nextEvent;
      if (reached > agreement.clock) agreement.clock = reached;
      agreement.flags |= flags;
    }
    for (let from = 0; from < workers; from++) {
      for (let to = 0; to < workers; to++) {
        if (from === to) continue;
        const box = meeting.getOutbox(from, to, this.#box);
        if (box.count === 0) continue;
        // The receiver has these frames as events from now on; everybody must know of them to agree.
        if (box.earliest < (events[to] as Time)) events[to] = box.earliest;
        if (to === this.#worker) this.#kernel.underlay.importFrom(this.#memories[from] as KernelMemory, box, clock);
      }
    }
    let earliest = FOREVER;
    for (let i = 0; i < workers; i++) if ((events[i] as Time) < earliest) earliest = events[i] as Time;
    agreement.nextEvent = earliest;
    agreement.windowEnd = windowEnd(this.#worker, events, this.#delays);
  }

  abort(): void {
    this.#meeting.abort();
  }
}
