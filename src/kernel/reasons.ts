/**
 * Names of the drop reasons, in the order of DROP_* in assembly/abi.ts. Where Linux has the reason
 * (include/net/dropreason.h, without SKB_DROP_REASON_), it is Linux's name.
 */
import * as abi from "../../assembly/abi.ts";
import { assert } from "../base/errors.ts";

/** The name of each reason, by number. */
export const DROP_REASON_NAMES: readonly string[] = Object.entries(abi)
  .filter(([name]) => name.startsWith("DROP_") && name !== "DROP_REASONS")
  .sort(([, a], [, b]) => a - b)
  .map(([name], index, all) => {
    assert(
      all.length === abi.DROP_REASONS && all[index]?.[1] === index,
      "drop reasons are numbered without gaps",
      name,
    );
    return name.slice("DROP_".length);
  });
