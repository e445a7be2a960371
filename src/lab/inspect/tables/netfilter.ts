/** What netfilter holds: rules with their counters, and tracked connections. */
import { formatIpv4 } from "../../../base/addr.ts";
import type { ConntrackInfo, ConntrackTuple, NetNs, TableName } from "../../../kernel/types.ts";
import { saveRule } from "../../../shell/lib/iptables-text.ts";
import { address, duration, type HostTable, KEY, number, type Row, text, VOLATILE } from "./table.ts";

const TABLE_ORDER: readonly TableName[] = ["raw", "mangle", "nat", "filter"];
const RULES = [
  text("table", KEY),
  text("chain", KEY),
  number("num"),
  text("rule", KEY),
  number("packets", VOLATILE),
  number("bytes", VOLATILE),
];

/** `iptables-save -c`: a row a rule, and one for the policy of each built-in chain. */
export function iptables(ns: NetNs): HostTable {
  const rows = TABLE_ORDER.flatMap((table) =>
    (ns.iptables.list(table) ?? []).flatMap(({ name, policy, rules }): Row[] => [
      // nf_tables does not count what a policy decides.
      [table, name, 0, policy === undefined ? `-N ${name}` : `-P ${name} ${policy}`, "", ""],
      ...rules.map((rule, i): Row => [table, name, i + 1, saveRule(name, rule), rule.packets, rule.bytes]),
    ]),
  );
  return { columns: RULES, rows };
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 132: "sctp" };
const ICMP = 1;

const FLOWS = [
  text("proto", KEY),
  text("state"),
  address("src", KEY),
  address("dst", KEY),
  text("ports", KEY),
  text("unreplied"),
  address("reply src"),
  address("reply dst"),
  text("reply ports"),
  text("assured"),
  number("mark"),
  duration("timeout", VOLATILE),
];

/** Ports, or of ICMP what stands in their place, as conntrack(8) words them. */
function portsText(protocol: number, { sport, dport }: ConntrackTuple): string {
  if (protocol === ICMP) return `type=${dport >>> 8} code=${dport & 255} id=${sport}`;
  return PROTOCOLS[protocol] === undefined ? "" : `sport=${sport} dport=${dport}`;
}

function flow({ protocol, state, original, reply, unreplied, assured, mark, timeout }: ConntrackInfo): Row {
  const ends = ({ src, dst }: ConntrackTuple): string[] => [formatIpv4(src), formatIpv4(dst)];
  return [
    ...[PROTOCOLS[protocol] ?? `unknown ${protocol}`, state ?? "", ...ends(original), portsText(protocol, original)],
    ...[unreplied ? "UNREPLIED" : "", ...ends(reply), portsText(protocol, reply), assured ? "ASSURED" : ""],
    ...[mark, timeout],
  ];
}

/** `conntrack -L`. */
export function conntrack(ns: NetNs): HostTable {
  return { columns: FLOWS, rows: ns.conntrack.list().map(flow) };
}
