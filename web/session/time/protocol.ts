/** Time, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";
import type { JournalEntry } from "./journal.ts";

/**
 * `ready`: between two steps; `running`: time passes; `paused`: time stands within a step or a typed line; `done`: after the
 * last step; `replaying`: what happened before is run again, as fast as it can, up to where somebody went back to.
 */
export type Phase = "ready" | "running" | "paused" | "done" | "replaying";

/** How the emulation stands. */
export interface Status {
  readonly phase: Phase;
  /** Virtual, ns. */
  readonly now: Time;
  /** Virtual time that was skipped so far. */
  readonly skipped: Time;
  /** Steps begun. */
  readonly step: number;
  /** Frames kept. */
  readonly frames: number;
  /** Frames for which there was no room. */
  readonly lost: number;
  /** Expectations that didn't hold. */
  readonly failures: number;
  /** The speed that was chosen: virtual ns per second; Infinity: as fast as it can. */
  readonly speed: number;
  /** The speed of the last second, without what was skipped; 0 while time stands. */
  readonly reached: number;
  /** The speed that was chosen is more than this machine can do. */
  readonly behind: boolean;
  /** Something that was typed runs, or would if time went on. */
  readonly typed: boolean;
  /** Lines typed that wait until what runs on their terminal is over. */
  readonly waiting: number;
  /** Entries of the journal: done, and to come again. */
  readonly done: number;
  readonly ahead: number;
  /** Until when time goes on, where that was said. */
  readonly target: Time | undefined;
  /** Until when the run is known: it has been there before. Now, where it hasn't. */
  readonly known: Time;
}

/** What a single step is. */
export const SINGLES = ["event", "packet", "drop"] as const;

/**
 * - `event`: the next instant at which something happens: a packet arrives somewhere, a timer runs out, a program goes on;
 * - `packet`: the next instant at which a frame is captured, which is one in the packet list;
 * - `drop`: the next instant at which a packet is lost.
 */
export type Single = (typeof SINGLES)[number];

/** What can be gone back by: a single step, or what the journal has: a step of the lab, a typed line. */
export type Back = "event" | "packet" | "step";

/** What the page asks about time. */
export interface TimeApi {
  /** Time goes on: what comes again, the rest of the lab, and then without end. */
  run(): void;
  /** Runs one step of the lab, or the rest of the one that is paused. */
  step(): void;
  /** Runs to just after something. */
  single(what: Single): void;
  /** Time stands from now on, within a step too; a replay ends where it is. */
  pause(): void;
  /** Virtual ns per second, Infinity: as fast as it can. Kept when another lab is opened. */
  speed(speed: number): void;
  /** Goes to a time: forward by running, back by running again from the start. Everything before it has happened then. */
  jump(time: Time): Promise<void>;
  /** Goes to just before the last one. */
  back(what: Back): Promise<void>;
  /** What was done, and what comes again, in order. */
  journal(): readonly JournalEntry[];
}
