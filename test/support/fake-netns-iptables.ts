/** iptables of a FakeNetNs: chains of rules, and their print in iptables-save's notation. */
import { formatCidr, formatIpv4 } from "../../src/base/addr.ts";
import type { ChainInfo, IptablesApi, NetNs, Rule, TableName } from "../../src/kernel/types.ts";
import { refuse } from "./fake-netns-tables.ts";

const BUILT_IN: Record<TableName, readonly string[]> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

interface Chain {
  name: string;
  policy: "ACCEPT" | "DROP" | undefined;
  rules: Rule[];
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === "object" && v !== null && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort()) : v,
  );
}

export class FakeIptables implements IptablesApi {
  readonly #tables = new Map<TableName, Chain[]>();

  #table(table: TableName): Chain[] {
    let chains = this.#tables.get(table);
    if (chains === undefined) {
      chains = BUILT_IN[table].map((name) => ({ name, policy: "ACCEPT" as const, rules: [] }));
      this.#tables.set(table, chains);
    }
    return chains;
  }

  #chain(table: TableName, chain: string): Chain {
    return this.#table(table).find((c) => c.name === chain) ?? refuse("ENOENT", `iptables -t ${table} ${chain}`);
  }

  newChain(table: TableName, chain: string): void {
    if (this.#table(table).some((c) => c.name === chain)) refuse("EEXIST", `iptables -N ${chain}`);
    this.#table(table).push({ name: chain, policy: undefined, rules: [] });
  }

  deleteChain(table: TableName, chain: string): void {
    this.#table(table).splice(this.#table(table).indexOf(this.#chain(table, chain)), 1);
  }

  hasChain(table: TableName, chain: string): boolean {
    return this.list(table)?.some((c) => c.name === chain) ?? false;
  }

  flush(table: TableName, chain?: string): void {
    for (const c of this.#table(table)) if (chain === undefined || c.name === chain) c.rules = [];
  }

  setPolicy(table: TableName, chain: string, policy: "ACCEPT" | "DROP"): void {
    this.#chain(table, chain).policy = policy;
  }

  append(table: TableName, chain: string, rule: Rule): void {
    this.#checkTarget(table, rule);
    this.#chain(table, chain).rules.push(rule);
  }

  insert(table: TableName, chain: string, rule: Rule, position = 1): void {
    this.#checkTarget(table, rule);
    this.#chain(table, chain).rules.splice(position - 1, 0, rule);
  }

  #checkTarget(table: TableName, rule: Rule): void {
    if (rule.target?.kind === "JUMP") this.#chain(table, rule.target.chain);
  }

  #find(table: TableName, chain: string, rule: Rule): number {
    const chains = this.#tables.get(table)?.find((c) => c.name === chain);
    return chains?.rules.findIndex((r) => canonical(r) === canonical(rule)) ?? -1;
  }

  delete(table: TableName, chain: string, rule: Rule): void {
    const at = this.#find(table, chain, rule);
    if (at < 0) refuse("ENOENT", `iptables -D ${chain}`);
    this.#chain(table, chain).rules.splice(at, 1);
  }

  check(table: TableName, chain: string, rule: Rule): boolean {
    return this.#find(table, chain, rule) >= 0;
  }

  /** Its counters are always 0. */
  zero(table: TableName, chain?: string, position?: number): void {
    if (chain === undefined) return;
    const { rules } = this.#chain(table, chain);
    if (position !== undefined && rules[position - 1] === undefined) refuse("ENOENT", `iptables -Z ${chain}`);
  }

  list(table: TableName): ChainInfo[] | undefined {
    const chains = this.#tables.get(table);
    if (chains === undefined) return undefined;
    const built = chains.filter((c) => c.policy !== undefined);
    const own = chains.filter((c) => c.policy === undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
    return [...built, ...own].map((c) => ({
      name: c.name,
      hook: c.policy === undefined ? undefined : (c.name as NonNullable<ChainInfo["hook"]>),
      policy: c.policy,
      packets: 0,
      bytes: 0,
      rules: c.rules.map((r) => ({ ...r, packets: 0, bytes: 0 })),
    }));
  }
}

// ---------------------------------------------------------------------------- iptables-save's notation

function inverted<T>(
  option: string,
  match: { value: T; not: boolean } | undefined,
  format: (value: T) => string,
): string[] {
  return match === undefined ? [] : [`${match.not ? "! " : ""}${option} ${format(match.value)}`];
}

const CT_ORDER = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"];

/** One rule as iptables-save (1.8.9) prints it, without counters. */
export function formatRule(chain: string, rule: Rule): string {
  const m = rule.match;
  const words = [`-A ${chain}`];
  words.push(...inverted("-s", m.src, formatCidr), ...inverted("-d", m.dst, formatCidr));
  words.push(...inverted("-i", m.inDev, String), ...inverted("-o", m.outDev, String));
  words.push(...inverted("-p", m.protocol, String));
  if (m.addrtypeDst !== undefined) words.push(`-m addrtype --dst-type ${m.addrtypeDst.value}`);
  if (m.ctstate !== undefined) {
    words.push(
      `-m conntrack --ctstate ${[...m.ctstate.value].sort((a, b) => CT_ORDER.indexOf(a) - CT_ORDER.indexOf(b)).join(",")}`,
    );
  }
  if (m.sport !== undefined || m.dport !== undefined) words.push(`-m ${m.protocol?.value}`);
  words.push(
    ...inverted("--sport", m.sport, (p) => String(p[0])),
    ...inverted("--dport", m.dport, (p) => String(p[0])),
  );
  const t = rule.target;
  if (t?.kind === "JUMP") words.push(`-j ${t.chain}`);
  else if (t?.kind === "DNAT")
    words.push(
      `-j DNAT --to-destination ${t.ip === undefined ? "" : formatIpv4(t.ip)}${t.ports ? `:${t.ports[0]}` : ""}`,
    );
  else if (t?.kind === "SNAT")
    words.push(`-j SNAT --to-source ${t.ip === undefined ? "" : formatIpv4(t.ip)}${t.ports ? `:${t.ports[0]}` : ""}`);
  else if (t !== undefined) words.push(`-j ${t.kind}`);
  return words.join(" ");
}

/** `iptables-save -t TABLE` without comments and counters; nothing when the table was never used. */
export function iptablesSave(ns: NetNs, table: TableName): string[] {
  const chains = ns.iptables.list(table);
  if (chains === undefined) return [];
  return [
    `*${table}`,
    ...chains.map((c) => `:${c.name} ${c.policy ?? "-"}`),
    ...chains.flatMap((c) => c.rules.map((r) => formatRule(c.name, r))),
    "COMMIT",
  ];
}
