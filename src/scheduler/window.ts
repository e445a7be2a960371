/**
 * Windows: spans of virtual time in which workers need not look at each other.
 *
 * The rule: a window starts at the earliest event of any worker (pending frames included) and is no longer
 * than the lookahead, the smallest one-way delay of a wire between two workers. A frame sent at time t of the
 * window arrives at t + lookahead or later, which is at or after the window's end: nothing that a worker sends
 * within a window is due within the same window anywhere else.
 *
 * All ends are exclusive: a window [start, end) handles the events with start ≤ time < end.
 */
import { FOREVER, type Time } from "../base/time.ts";

/** Where a run of windows must stop, and on which grid somebody watches for events. */
export interface WindowLimits {
  /** End of the run, exclusive. */
  readonly end: Time;
  /** Windows end on multiples of it while somebody waits for an event; 0 = nobody does. */
  readonly grid: Time;
}

/**
 * The end of the window that starts at `start`.
 * @param start earliest pending event of all workers
 * @param lookahead ns, at least 1; FOREVER when no wire crosses workers
 */
export function windowEnd(start: Time, lookahead: Time, limits: WindowLimits): Time {
  const byLookahead = lookahead >= FOREVER - start ? FOREVER : start + lookahead;
  const byGrid = limits.grid === 0 ? FOREVER : gridAfter(start, limits.grid);
  return Math.min(byLookahead, byGrid, limits.end);
}

/** The first multiple of the grid after a time: where an event at that time is looked at. */
export function gridAfter(time: Time, grid: Time): Time {
  return (Math.floor(time / grid) + 1) * grid;
}
