/** Threads, in the session's worker. */
import type { SessionContext } from "../context.ts";
import type { WorkersApi } from "./protocol.ts";

/** @param context opens labs */
export function workersApi(context: SessionContext): WorkersApi {
  return {
    workers(count) {
      context.workers = count;
    },
  };
}
