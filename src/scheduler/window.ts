/**
 * Windows: spans of virtual time in which workers need not look at each other. Between two windows all workers meet and
 * tell each other their earliest events, frames on their way to them included; then each runs on by itself, as far as
 * nothing can reach it that it doesn't know of. All ends are exclusive: a window up to `end` handles the events of
 * times before it.
 *
 * The rule. Let E(j) be worker j's earliest event at the meeting, and D(j, i) the least time from an event in j to
 * one that it causes in i: the shortest path over the one-way delays of wires that cross workers (`closeDelays`). Then
 * worker i may run up to the smaller of
 *
 *   1. the least E(j) + D(j, i) over all other workers j (`windowEnd`);
 *   2. the least a + D(k, i) over all frames that i itself sends in this window, each arriving at a worker k at a. The kernel
 *      sees to it while it runs (assembly/link/outbox.ts, `horizon`).
 *
 * Why. Every event of the future descends from one that is pending at the meeting, of some worker j, by a chain of events,
 * each caused by the one before it, in the same worker (no earlier than its cause) or over a wire (later by at least
 * the wire's delay). Take a frame that reaches i after the meeting. If its chain begins in j ≠ i, it takes at least
 * D(j, i) altogether, so it arrives at E(j) + D(j, i) or later: not before 1. If it begins in i, it leaves i with some
 * frame that i sends in this window or a later one. In this window: that frame arrives at k at a, and the rest of the
 * chain takes D(k, i) at least: not before 2. In a later one: it was sent at or after i's end, and arrives after that.
 *
 * Worker i doesn't count on 2 before it sends: who only has traffic of its own runs on while the others rest. And the rule
 * is no shorter than before from one meeting to the next: what is pending then was pending before, or came of it by a
 * chain, and D obeys the triangle inequality. So a window never ends before its worker's clock. The worker whose event is
 * the earliest of all can always handle it, for every D is at least 1.
 */
import { FOREVER, type Time } from "../base/time.ts";

/** The first multiple of the grid after a time: where an event at that time is looked at. */
export function gridAfter(time: Time, grid: Time): Time {
  return (Math.floor(time / grid) + 1) * grid;
}

/**
 * The least times from an event in one worker to what it causes in another: shortest paths over the given delays (Floyd
 * and Warshall). The diagonal has no meaning here and is FOREVER.
 * @param direct one-way delays, ns, by `from * workers + to`; FOREVER where no wire crosses
 */
export function closeDelays(direct: ArrayLike<Time>, workers: number): Float64Array {
  const delays = Float64Array.from(direct);
  for (let via = 0; via < workers; via++) {
    for (let from = 0; from < workers; from++) {
      for (let to = 0; to < workers; to++) {
        const around = later(delays[from * workers + via] as Time, delays[via * workers + to] as Time);
        if (around < (delays[from * workers + to] as Time)) delays[from * workers + to] = around;
      }
    }
  }
  for (let i = 0; i < workers; i++) delays[i * workers + i] = FOREVER;
  return delays;
}

/**
 * Until when a worker may run as far as the others' events are concerned.
 * @param events earliest event of each worker, frames on their way to it included
 * @param delays closeDelays()
 */
export function windowEnd(worker: number, events: Float64Array, delays: Float64Array): Time {
  const workers = events.length;
  let end = FOREVER;
  for (let from = 0; from < workers; from++) {
    if (from === worker) continue;
    const reached = later(events[from] as Time, delays[from * workers + worker] as Time);
    if (reached < end) end = reached;
  }
  return end;
}

/** A time after a delay; FOREVER is never reached. */
function later(time: Time, delay: Time): Time {
  return time >= FOREVER - delay ? FOREVER : time + delay;
}
