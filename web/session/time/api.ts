/** Time, in the session's worker. */
import type { SessionContext } from "../context.ts";
import type { TimeApi } from "./protocol.ts";

/** @param context holds the emulation */
export function timeApi(context: SessionContext): TimeApi {
  return {
    run: () => context.emulation.run(),
    step: () => context.emulation.step(),
    pause: () => context.emulation.pause(),
  };
}
