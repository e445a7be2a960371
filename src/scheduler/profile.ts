/**
 * Where a thread's wall time goes. A thread is in one section at a time, and each change reads the clock once, so that the
 * sections add up to all of the time. Nothing here is part of what is simulated; without a profile no clock is read.
 */
import type { KernelExports } from "../kernel/wasm.ts";

/** Wall time in ms from any beginning, never going back. A platform gives it. */
export type Clock = () => number;

/** The sections, in the order in which they are shown. */
export const SECTIONS = ["kernel", "calls", "programs", "capture", "exchange", "wait", "idle", "other"] as const;

/**
 * - `kernel`: packets and timers, in Wasm;
 * - `calls`: the kernel's part of what programs ask of it, in Wasm too;
 * - `programs`: dockerd, shells, what runs in containers;
 * - `capture`: taking captured frames out of the kernel, and writing the trace;
 * - `exchange`: agreeing on windows, and frames between workers;
 * - `wait`: for other workers at barriers;
 * - `idle`: a worker's without an order of the coordinator, the coordinator's until its workers have carried one out;
 * - `other`: starting, printing, the caller.
 */
export type Section = (typeof SECTIONS)[number];

/** Milliseconds by section. */
export type SectionTimes = Readonly<Record<Section, number>>;

/** A thread's times. */
export interface ThreadProfile {
  /** `main`, or `worker N` from 0. With one worker, `main` does everything. */
  readonly thread: string;
  readonly times: SectionTimes;
}

/** The times of one thread, from its making on. */
export class Profile {
  readonly #clock: Clock;
  readonly #times: Record<Section, number>;
  #section: Section;
  #since: number;

  constructor(clock: Clock, section: Section = "other") {
    this.#clock = clock;
    this.#times = Object.fromEntries(SECTIONS.map((name) => [name, 0])) as Record<Section, number>;
    this.#section = section;
    this.#since = clock();
  }

  /** The thread goes to another section. @returns the one that it was in, to go back to */
  enter(section: Section): Section {
    const before = this.#section;
    if (section === before) return before;
    const now = this.#clock();
    this.#times[before] += now - this.#since;
    this.#since = now;
    this.#section = section;
    return before;
  }

  get section(): Section {
    return this.#section;
  }

  /** The times up to now. */
  times(): SectionTimes {
    const now = this.#clock();
    this.#times[this.#section] += now - this.#since;
    this.#since = now;
    return { ...this.#times };
  }
}

/** The kernel's functions, with the time of those that programs call taken as `calls`. */
export function profiledExports(profile: Profile, exports: KernelExports): KernelExports {
  const timed = (call: (...args: unknown[]) => unknown) => {
    return (...args: unknown[]): unknown => {
      if (profile.section !== "programs") return call(...args);
      profile.enter("calls");
      const result = call(...args);
      profile.enter("programs");
      return result;
    };
  };
  const entries = Object.entries(exports).map(([name, value]) => [
    name,
    typeof value === "function" ? timed(value) : value,
  ]);
  return Object.fromEntries(entries) as KernelExports;
}

/** All threads' times together. */
export function sumOfProfiles(threads: readonly ThreadProfile[]): SectionTimes {
  const sums = SECTIONS.map((name) => [name, threads.reduce((sum, { times }) => sum + times[name], 0)]);
  return Object.fromEntries(sums) as SectionTimes;
}
