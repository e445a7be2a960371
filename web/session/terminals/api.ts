/** Terminals, in the session's worker. */
import type { SessionContext } from "../context.ts";
import type { TerminalsApi } from "./protocol.ts";

/** @param context holds the emulation */
export function terminalsApi(context: SessionContext): TerminalsApi {
  return {
    type: (host, line) => context.emulation.type(host, line),
    key: (host, key) => context.emulation.key(host, key),
  };
}
