/**
 * How fast virtual time goes, for somebody who looks on: between two parts of a run the pace is asked how far time may go
 * now, and it may take its time to answer. Where parts end has no effect on what happens: the frames, the events and the
 * stops of a run are the same for any pace.
 */

import type { Time } from "../base/time.ts";
import { WATCH_DROP, WATCH_FRAME } from "../kernel/watch.ts";

/** Things after whose instant a part may end: bits, to be or-ed. */
export const WATCH = {
  /** A frame is captured for the sink. */
  frame: WATCH_FRAME,
  /** A packet is lost: dropped for a reason other than that it was meant to end there (`…_CONSUMED`). */
  drop: WATCH_DROP,
  /** Anything: a packet arrives, a timer runs out, a program's deadline or a command comes. */
  event: 1 << 8,
} as const;

/** How far a part may go. */
export interface Grant {
  /** Virtual time, exclusive; after now. The part ends earlier when the run does. */
  readonly until: Time;
  /** WATCH bits: the part ends right after the instant at which one of these happens. Default 0. */
  readonly watch?: number;
  /** Wall time in ms, by the platform's clock, after which the part ends at the next instant. Default: none. */
  readonly holdMs?: number;
}

/** What a part came to. */
export interface PartReport {
  /** Everything before this time has happened. */
  readonly now: Time;
  /** When something happened last; not after a skip that came since. */
  readonly last: Time;
  /** What was watched for and has happened: WATCH bits. */
  readonly seen: number;
}

/** Decides how far time goes. Given to the cluster, and called by it only. */
export interface Pace {
  /**
   * Asked before each part. While it takes its time, everything stands still: commands may be posted, faults injected, and
   * hosts looked at.
   * @param now everything before it has happened
   * @param limit where the run that was asked for ends at the latest
   * @returns undefined: what was asked for shall return here, though its end has not come
   */
  grant(now: Time, limit: Time): Grant | undefined | Promise<Grant | undefined>;
  /** A time at which it is going to do something: no quiet time is skipped beyond it. Default: none. */
  ahead?(): Time;
  /** Told after each part, before anybody is told what happened in it. */
  ran?(report: PartReport): void;
  /** Told of quiet time that was skipped between two parts; a skip asks for no grant. */
  skipped?(from: Time, to: Time): void;
}
