/**
 * What workers tell each other between two windows: frames, the time of the next event, and flags. Frames
 * are read by their receiver out of the sender's memory; the sender frees them one meeting later, when every
 * receiver is known to have copied them (its kernel keeps two outboxes and flips them at each meeting).
 */
import { FOREVER, type Time } from "../base/time.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { KernelMemory } from "../kernel/memory.ts";
import { foreignMemory } from "../kernel/underlay.ts";
import type { WasmMemory } from "../kernel/wasm.ts";
import { Meeting } from "./barrier.ts";
import type { Profile } from "./profile.ts";

/** Somebody emitted an event in the last window. */
export const FLAG_EVENT = 1;
/** Somebody holds so many captured frames that the coordinator should take them. */
export const FLAG_FULL = 2;

/** What all workers know after a meeting: the same everywhere. */
export interface Agreement {
  /** The earliest event of any worker, frames under way between them included; FOREVER when there is none. */
  readonly nextEvent: Time;
  /** The flags of all workers, or-ed. */
  readonly flags: number;
}

/** The meeting at the end of a window. */
export interface Exchange {
  /**
   * @param nextEvent the earliest event of this worker
   * @param time the end of the window: no frame may arrive before it
   */
  agree(nextEvent: Time, flags: number, time: Time): Agreement;
  /** This worker failed: nobody shall wait for it. */
  abort(): void;
}

/** The exchange of a worker that is alone. */
export class SoloExchange implements Exchange {
  agree(nextEvent: Time, flags: number): Agreement {
    return { nextEvent, flags };
  }

  abort(): void {}
}

/** The exchange between workers through shared memory. */
export class SharedExchange implements Exchange {
  readonly #kernel: Kernel;
  readonly #worker: number;
  readonly #meeting: Meeting;
  readonly #memories: readonly KernelMemory[];
  readonly #profile: Profile | undefined;

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
  }

  agree(nextEvent: Time, flags: number, time: Time): Agreement {
    const meeting = this.#meeting;
    const { underlay } = this.#kernel;
    underlay.flip();
    let earliest = nextEvent;
    for (let to = 0; to < meeting.workers; to++) {
      const box = underlay.outbox(to);
      meeting.putOutbox(this.#worker, to, box.records, box.count);
      // The receiver will have these frames as events; everybody must know of them now to agree on the next window.
      earliest = Math.min(earliest, underlay.earliestArrival(box));
    }
    meeting.put(this.#worker, earliest, flags);
    const section = this.#profile?.enter("wait");
    meeting.meet();
    if (section !== undefined) this.#profile?.enter(section);
    let agreed = FOREVER;
    let allFlags = 0;
    for (let from = 0; from < meeting.workers; from++) {
      agreed = Math.min(agreed, meeting.getNextEvent(from));
      allFlags |= meeting.getFlags(from);
      const box = meeting.getOutbox(from, this.#worker);
      if (box.count > 0) underlay.importFrom(this.#memories[from] as KernelMemory, box, time);
    }
    return { nextEvent: agreed, flags: allFlags };
  }

  abort(): void {
    this.#meeting.abort();
  }
}
