/** Time, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";

/** `ready`: between two steps; `running`: time passes; `paused`: within a step; `done`: after the last one. */
export type Phase = "ready" | "running" | "paused" | "done";

/** How the emulation stands. */
export interface Status {
  readonly phase: Phase;
  /** Virtual, ns. */
  readonly now: Time;
  /** Steps begun. */
  readonly step: number;
  /** Frames kept. */
  readonly frames: number;
  /** Frames for which there was no room. */
  readonly lost: number;
  /** Expectations that didn't hold. */
  readonly failures: number;
}

/** What the page asks about time. */
export interface TimeApi {
  /** Runs to the end. */
  run(): void;
  /** Runs one step, or the rest of the one that is paused. */
  step(): void;
  /** Time stands from now on, within a step too. */
  pause(): void;
}
