/** Heartbeat periods (swarmkit manager/dispatcher/period.go, nodes.go). */
import type { Random } from "../../../base/random.ts";
import { MS, SEC, type Time } from "../../../base/time.ts";

/** How often a node is heard of, ns. */
export const DEFAULT_HEARTBEAT_PERIOD = 5 * SEC;
const EPSILON = 500 * MS;
/** A node is down this many announced periods after its last heartbeat. */
export const GRACE_MULTIPLIER = 3;
/** The same for a node of which a new leader knows nothing yet. */
export const UNKNOWN_GRACE_MULTIPLIER = 2 * GRACE_MULTIPLIER;

/** Slots of time in the span from the shortest to the longest period. */
const SLOTS = 5;

/**
 * A period between 4.5 and 5.5 s (for the default of 5 s), another for each heartbeat; whole nanoseconds.
 *
 * Each slot of time has one random instant of random rank, and the period ends at the instant of lowest rank that it
 * may end at. So the rhythm of a node's heartbeats depends on the time, not on every nanosecond of its past: what
 * delays one heartbeat a little has no effect on later ones, and a rest can be computed instead of run
 * (src/scheduler/quiet.ts).
 * @param random the node's own stream
 * @param now when the heartbeat came
 */
export function choosePeriod(random: Random, period: Time, now: Time): Time {
  const epsilon = Math.min(EPSILON, period);
  const first = now + period - epsilon;
  const end = now + period + epsilon;
  const slot = Math.max(1, Math.floor((2 * epsilon) / SLOTS));
  let best = first;
  let lowest = 2 ** 32;
  for (let i = Math.floor(first / slot); i * slot < end; i++) {
    const rank = random.seek(i).u32();
    if (rank >= lowest) continue;
    const time = i * slot + random.below(slot);
    if (time < first || time >= end) continue;
    best = time;
    lowest = rank;
  }
  return best - now;
}
