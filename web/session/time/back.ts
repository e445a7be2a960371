/** Where one gets by going back. */
import { UserError } from "../../../src/base/errors.ts";
import { FOREVER, type Time } from "../../../src/base/time.ts";
import type { Goal } from "./clock.ts";
import type { Journal } from "./journal.ts";
import type { Back } from "./protocol.ts";

/** What is looked at of a run. */
export interface Past {
  readonly now: Time;
  readonly journal: Journal;
  /** When something happened last. */
  readonly last: Time;
  /** When a frame was captured last; undefined before the first one. */
  readonly lastFrame: Time | undefined;
}

/** @throws UserError for what is no time */
export function jumpGoal(time: Time): Goal {
  if (!(Number.isFinite(time) && time >= 0 && time < FOREVER))
    throw new UserError(`expected a time from 0 to ${FOREVER} ns`);
  return { kind: "time", time: Math.round(time) };
}

/** Where the run is to be had again up to; undefined when there is nothing to go back to. */
export function backTo(what: Back, past: Past): Goal | undefined {
  if (what === "event") return { kind: "time", time: Math.min(past.last, past.now) };
  if (what === "packet") return past.lastFrame === undefined ? undefined : { kind: "time", time: past.lastFrame };
  const { done } = past.journal;
  const count = done.findLastIndex(({ place }) => place === "between");
  const entry = done[count];
  return entry === undefined ? undefined : { kind: "entries", count, time: entry.time };
}
