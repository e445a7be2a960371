import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DROP_REASONS } from "../../assembly/abi.ts";
import { DROP_REASON_NAMES } from "../../src/kernel/reasons.ts";
import {
  SNMP_NAMES,
  SNMP_SCTP_FIRST,
  SNMP_SCTP_NAMES,
  SNMP_TCP_FIRST,
  SNMP_TCP_NAMES,
} from "../../src/kernel/snmp-names.ts";

describe("names of the kernel's numbers", () => {
  it("names every drop reason", () => {
    expect(DROP_REASON_NAMES).toHaveLength(DROP_REASONS);
    expect(new Set(DROP_REASON_NAMES).size).toBe(DROP_REASONS);
    expect(DROP_REASON_NAMES[40]).toBe("NETFILTER_DROP");
  });

  it("names the counters as assembly/inet/snmp.ts numbers them", () => {
    const source = readFileSync(new URL("../../assembly/inet/snmp.ts", import.meta.url), "utf8");
    const constants = [...source.matchAll(/^export const SNMP_(\w+) = (\d+);/gm)].map(
      (match) => [match[1] as string, Number(match[2])] as const,
    );
    const known = constants.filter(([name]) => !["COUNT", "TCP_FIRST", "TCP_COUNT", "TCP_END"].includes(name));
    expect(known.length).toBeGreaterThan(100);
    for (const [constant, index] of known) {
      const name =
        index < SNMP_TCP_FIRST
          ? SNMP_NAMES[index]
          : (SNMP_TCP_NAMES[index - SNMP_TCP_FIRST] ?? SNMP_SCTP_NAMES[index - SNMP_SCTP_FIRST]);
      const [a, b] = [constant.replaceAll("_", "").toLowerCase(), name?.toLowerCase() ?? ""];
      // The constants leave words out here and there; the letters that they have stand in the name, in order.
      let at = 0;
      for (const letter of b) if (letter === a[at]) at++;
      expect(at, `${constant} = ${index} is ${name}`).toBe(a.length);
    }
  });
});
