/**
 * The firewall's part in encryption: datagrams of an encrypted VNI are marked on their way out, so that the IPsec
 * policy takes them, and clear ones that come in are dropped (moby libnetwork/drivers/overlay/encryption.go
 * programMangle, programInput, encryption_u32.go; 20.10.24).
 */
import type { IptablesApi, Rule, RuleMatch, RuleTarget, TableName } from "../../kernel/types.ts";

/** Mark of what is to be encrypted, and reqid of all associations and policies. */
export const ENCRYPTION_MARK = 0xd0c4e3;

/** `-p udp --dport PORT -m u32 …`: VXLAN datagrams of a VNI; the VNI stands in the upper 24 bits, 12 bytes behind the IP header. */
function matchVxlan(port: number, vni: number): RuleMatch {
  return {
    protocol: { value: "udp", not: false },
    dport: { value: [port, port], not: false },
    u32: `0>>22&0x3C@12&0xFFFFFF00=${vni * 256}`,
  };
}

/** `iptables -C`, and then `-A`, `-I` or `-D` when there is something to do (iptables.go ProgramRule). */
function program(
  iptables: IptablesApi,
  table: TableName,
  chain: string,
  rule: Rule,
  action: "append" | "insert" | "delete",
): void {
  if (iptables.check(table, chain, rule) !== (action === "delete")) return;
  iptables[action](table, chain, rule);
}

/** mangle OUTPUT: marks datagrams of the VNI. */
export function programMangle(iptables: IptablesApi, port: number, vni: number, add: boolean): void {
  const target: RuleTarget = { kind: "MARK", value: ENCRYPTION_MARK };
  program(iptables, "mangle", "OUTPUT", { match: matchVxlan(port, vni), target }, add ? "append" : "delete");
}

/**
 * filter INPUT: accepts datagrams of the VNI that came through IPsec, behind the administrator's rules, and drops
 * clear ones, before them.
 */
export function programInput(iptables: IptablesApi, port: number, vni: number, add: boolean): void {
  const rule = (pol: "ipsec" | "none", kind: "ACCEPT" | "DROP"): Rule => ({
    match: { ...matchVxlan(port, vni), policy: { dir: "in", pol } },
    target: { kind },
  });
  program(iptables, "filter", "INPUT", rule("ipsec", "ACCEPT"), add ? "append" : "delete");
  program(iptables, "filter", "INPUT", rule("none", "DROP"), add ? "insert" : "delete");
}
