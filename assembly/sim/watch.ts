/**
 * Stops a run for somebody who looks on: after the instant at which something that is watched for has happened, the window
 * ends (event.ts, `horizon`), so that the packet path looks at nothing that it doesn't look at anyway.
 */
import { endRunBefore, endRunNever, now } from "./event";

/** WATCH_* (abi.ts) that end the run. */
let wanted: u32 = 0;
/** Those that have. */
let seen: u32 = 0;

/** Watches for something from now on, 0 for nothing, and forgets what was seen. A window without an end begins. */
export function watch(what: u32): void {
  wanted = what;
  seen = 0;
  endRunNever();
}

/** What has been seen since watch(). */
export function watched(): u32 {
  return seen;
}

/** Something happens that may be watched for. */
@inline
export function note(what: u32): void {
  if ((wanted & what) != 0) stopFor(what);
}

function stopFor(what: u32): void {
  seen |= what;
  endRunBefore(now + 1);
}
