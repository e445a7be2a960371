/** Faults by hand, in the session's worker. */
import { UserError } from "../../../src/base/errors.ts";
import { faultText } from "../../../src/lab/fault-text.ts";
import { parseFault } from "../../../src/lab/parse-fault.ts";
import type { SessionContext } from "../context.ts";
import type { FaultsApi } from "./protocol.ts";

/** @param context holds the emulation */
export function faultsApi(context: SessionContext): FaultsApi {
  return {
    faultTargets() {
      const { hosts, fabric } = context.emulation.plan;
      return {
        hosts: hosts.map(({ name }) => name),
        networks: [...new Set(hosts.flatMap(({ cards }) => cards.map(({ network }) => network)))],
        fabric: fabric && { leaves: fabric.leaves, spines: fabric.spines },
      };
    },
    checkFault(fault) {
      try {
        return { text: parseFault(context.emulation.plan, fault).text };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        return { error: error.message };
      }
    },
    makeFault(request) {
      const { emulation } = context;
      const { fault } = parseFault(emulation.plan, request);
      emulation.act({ kind: "fault", fault });
    },
    madeFaults: () =>
      context.emulation.journal.done.flatMap(({ time, action }) =>
        action.kind === "fault" ? [{ time, text: faultText(action.fault) }] : [],
      ),
  };
}
