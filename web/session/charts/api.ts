/** Charts, in the session's worker. */
import type { SessionContext } from "../context.ts";
import { chartsOf } from "./data.ts";
import type { ChartsApi } from "./protocol.ts";

/** @param context holds the emulation */
export function chartsApi(context: SessionContext): ChartsApi {
  return {
    charts() {
      const { recorder, now } = context.emulation;
      recorder.tick();
      return chartsOf(recorder, now);
    },
  };
}
