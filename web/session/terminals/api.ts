/** Terminals, in the session's worker. */
import type { SessionContext } from "../context.ts";
import type { TerminalsApi } from "./protocol.ts";

/** @param context holds the emulation */
export function terminalsApi(context: SessionContext): TerminalsApi {
  return {
    type: (host, line) => context.emulation.act({ kind: "line", host, line }),
    key: (host, key) => context.emulation.act({ kind: "key", host, key }),
  };
}
