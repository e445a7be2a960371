/** Heartbeat periods (swarmkit manager/dispatcher/period.go, nodes.go). */
import type { Random } from "../../../base/random.ts";
import { MS, SEC, type Time } from "../../../base/time.ts";

export const DEFAULT_HEARTBEAT_PERIOD = 5 * SEC;
const EPSILON = 500 * MS;
/** A node is down this many announced periods after its last heartbeat. */
export const GRACE_MULTIPLIER = 3;
/** The same for a node of which a new leader knows nothing yet. */
export const UNKNOWN_GRACE_MULTIPLIER = 2 * GRACE_MULTIPLIER;

/** A period between 4.5 and 5.5 s (for the default of 5 s), drawn anew for each heartbeat; whole nanoseconds. */
export function choosePeriod(random: Random, period: Time): Time {
  const epsilon = Math.min(EPSILON, period);
  return period - epsilon + random.below(2 * epsilon);
}
