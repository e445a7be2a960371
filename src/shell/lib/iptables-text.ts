/** Rules as iptables-save and `iptables -L` (1.8.9, nf_tables) print them. */
import { formatCidr, formatIpv4 } from "../../base/addr.ts";
import type { ChainInfo, CtState, Not, Rule, RuleMatch, RuleTarget } from "../../kernel/types.ts";

/** The order in which xt_conntrack's states are printed. */
const CT_ORDER: readonly CtState[] = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"];

const NUMBERS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1, sctp: 132, esp: 50, all: 0 };

function states(list: readonly CtState[]): string {
  return CT_ORDER.filter((state) => list.includes(state)).join(",");
}

/** xt_u32 prints all its numbers in hexadecimal. */
function u32Text(expression: string): string {
  return expression.replace(/0x[0-9a-f]+|\d+/gi, (number) => `0x${Number(number).toString(16)}`);
}

function portText([low, high]: readonly [number, number]): string {
  return low === high ? String(low) : `${low}:${high}`;
}

function markText([value, mask]: readonly [number, number]): string {
  return mask === 0xffffffff ? `0x${value.toString(16)}` : `0x${value.toString(16)}/0x${mask.toString(16)}`;
}

function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function put<T>(words: string[], option: string, match: Not<T> | undefined, format: (value: T) => string): void {
  if (match !== undefined) words.push(`${match.not ? "! " : ""}${option} ${format(match.value)}`);
}

/** The matches in iptables-save's notation. */
function saveMatches(match: RuleMatch, comment: string | undefined): string[] {
  const words: string[] = [];
  put(words, "-s", match.src, formatCidr);
  put(words, "-d", match.dst, formatCidr);
  put(words, "-i", match.inDev, String);
  put(words, "-o", match.outDev, String);
  put(words, "-p", match.protocol, String);
  if (match.policy !== undefined) words.push(`-m policy --dir ${match.policy.dir} --pol ${match.policy.pol}`);
  // Matches are printed in the order in which the rule was given; what gives `-m state` gives it before the ports.
  if (match.ctstate !== undefined && match.stateModule === true) {
    words.push("-m state");
    put(words, "--state", match.ctstate, states);
  }
  if (match.sport !== undefined || match.dport !== undefined) words.push(`-m ${match.protocol?.value}`);
  put(words, "--sport", match.sport, portText);
  put(words, "--dport", match.dport, portText);
  if (match.icmpType !== undefined) words.push("-m icmp");
  put(words, "--icmp-type", match.icmpType, String);
  if (match.addrtypeSrc !== undefined || match.addrtypeDst !== undefined) words.push("-m addrtype");
  put(words, "--src-type", match.addrtypeSrc, String);
  put(words, "--dst-type", match.addrtypeDst, String);
  if (match.ctstate !== undefined && match.stateModule !== true) {
    words.push("-m conntrack");
    put(words, "--ctstate", match.ctstate, states);
  }
  if (match.mark !== undefined) words.push("-m mark");
  put(words, "--mark", match.mark, markText);
  if (match.u32 !== undefined) words.push(`-m u32 --u32 "${u32Text(match.u32)}"`);
  if (match.ipvs === true) words.push("-m ipvs --ipvs");
  if (match.probability !== undefined) {
    words.push(`-m statistic --mode random --probability ${match.probability.toFixed(11)}`);
  }
  if (comment !== undefined) words.push(`-m comment --comment ${quoted(comment)}`);
  return words;
}

function natText(target: { ip?: number; ports?: readonly [number, number] }): string {
  const ports = target.ports === undefined ? "" : `:${rangeText(target.ports)}`;
  return `${target.ip === undefined ? "" : formatIpv4(target.ip)}${ports}`;
}

function rangeText([low, high]: readonly [number, number]): string {
  return low === high ? String(low) : `${low}-${high}`;
}

function saveTarget(target: RuleTarget): string {
  switch (target.kind) {
    case "JUMP":
      return `-j ${target.chain}`;
    case "NOTRACK":
      return "-j CT --notrack";
    case "REJECT":
      return `-j REJECT --reject-with ${target.with ?? "icmp-port-unreachable"}`;
    case "MARK":
      return `-j MARK --set-xmark 0x${target.value.toString(16)}/0x${(target.mask ?? 0xffffffff).toString(16)}`;
    case "DNAT":
      return `-j DNAT --to-destination ${natText(target)}`;
    case "SNAT":
      return `-j SNAT --to-source ${natText(target)}`;
    case "REDIRECT":
      return `-j REDIRECT${target.ports === undefined ? "" : ` --to-ports ${rangeText(target.ports)}`}`;
    default:
      return `-j ${target.kind}`;
  }
}

/** `-A CHAIN …`, as iptables-save and `iptables -S` print a rule. */
export function saveRule(chain: string, rule: Rule): string {
  const words = [`-A ${chain}`, ...saveMatches(rule.match, rule.comment)];
  if (rule.target !== undefined) words.push(saveTarget(rule.target));
  return words.join(" ");
}

/** Flags of `iptables -L` that change its print. */
export interface ListOptions {
  readonly verbose: boolean;
  readonly numeric: boolean;
  readonly lineNumbers: boolean;
  /** Exact counters instead of K, M and G. */
  readonly exact: boolean;
}

/** xtables_print_num. */
function counter(value: number, exact: boolean): string {
  if (exact || value <= 99999) return String(value).padStart(exact ? 8 : 5);
  let scaled = Math.floor((value + 500) / 1000);
  for (const unit of ["K", "M", "G", "T"]) {
    if (scaled <= 9999 || unit === "T") return `${String(scaled).padStart(4)}${unit}`;
    scaled = Math.floor((scaled + 500) / 1000);
  }
  return String(value);
}

function listAddress(
  address: Not<{ readonly ip: number; readonly prefix: number }> | undefined,
  numeric: boolean,
): string {
  if (address === undefined || address.value.prefix === 0) return ` ${numeric ? "0.0.0.0/0" : "anywhere"}`;
  const text = address.value.prefix === 32 ? formatIpv4(address.value.ip) : formatCidr(address.value);
  return `${address.not ? "!" : " "}${text}`;
}

function device(name: Not<string> | undefined): string {
  return name === undefined ? "*" : `${name.not ? "!" : ""}${name.value}`;
}

function listMatches(match: RuleMatch, comment: string | undefined, numeric: boolean): string[] {
  const words: string[] = [];
  const not = (value: Not<unknown> | undefined): string => (value?.not === true ? "!" : "");
  if (match.policy !== undefined) words.push(`policy match dir ${match.policy.dir} pol ${match.policy.pol}`);
  if (match.sport !== undefined || match.dport !== undefined) words.push(match.protocol?.value ?? "");
  for (const [name, port] of [
    ["spt", match.sport],
    ["dpt", match.dport],
  ] as const) {
    if (port !== undefined)
      words.push(`${name}${port.value[0] === port.value[1] ? "" : "s"}:${not(port)}${portText(port.value)}`);
  }
  if (match.icmpType !== undefined)
    words.push(`${numeric ? "icmptype" : "icmp type"} ${not(match.icmpType)}${match.icmpType.value}`);
  if (match.addrtypeSrc !== undefined || match.addrtypeDst !== undefined) words.push("ADDRTYPE match");
  if (match.addrtypeSrc !== undefined) words.push(`src-type ${not(match.addrtypeSrc)}${match.addrtypeSrc.value}`);
  if (match.addrtypeDst !== undefined) words.push(`dst-type ${not(match.addrtypeDst)}${match.addrtypeDst.value}`);
  if (match.ctstate !== undefined) {
    const name = match.stateModule === true ? "state" : "ctstate";
    words.push(`${match.ctstate.not ? "! " : ""}${name} ${states(match.ctstate.value)}`);
  }
  if (match.mark !== undefined) words.push(`mark match ${not(match.mark)}${markText(match.mark.value)}`);
  if (match.u32 !== undefined) words.push(`u32 "${u32Text(match.u32)}"`);
  if (match.ipvs === true) words.push("ipvs");
  if (match.probability !== undefined) words.push(`statistic mode random probability ${match.probability.toFixed(11)}`);
  if (comment !== undefined) words.push(`/* ${comment} */`);
  return words;
}

function listTarget(target: RuleTarget | undefined): { readonly name: string; readonly details: string } {
  switch (target?.kind) {
    case undefined:
      return { name: "", details: "" };
    case "JUMP":
      return { name: target.chain, details: "" };
    case "NOTRACK":
      return { name: "CT", details: "NOTRACK" };
    case "REJECT":
      return { name: "REJECT", details: `reject-with ${target.with ?? "icmp-port-unreachable"}` };
    case "MARK": {
      const mask = target.mask ?? 0xffffffff;
      const whole = mask === 0xffffffff;
      return {
        name: "MARK",
        details: `MARK ${whole ? "set" : "xset"} 0x${target.value.toString(16)}${whole ? "" : `/0x${mask.toString(16)}`}`,
      };
    }
    case "DNAT":
    case "SNAT":
      return { name: target.kind, details: `to:${natText(target)}` };
    case "REDIRECT":
      return { name: "REDIRECT", details: target.ports === undefined ? "" : `redir ports ${rangeText(target.ports)}` };
    default:
      return { name: target?.kind ?? "", details: "" };
  }
}

/** One chain of `iptables -L`; `references` counts the rules that jump to it. */
export function listChain(chain: ChainInfo, references: number, options: ListOptions): string {
  const counts = options.verbose ? " 0 packets, 0 bytes" : "";
  const lines = [
    `Chain ${chain.name} (${chain.policy === undefined ? `${references} references` : `policy ${chain.policy}${counts}`})`,
  ];
  const head = options.lineNumbers ? "num  " : "";
  const via = options.verbose ? ` ${"in".padEnd(6)} ${"out".padEnd(6)}  ` : " ";
  const counters = options.verbose ? (options.exact ? "    pkts      bytes " : " pkts bytes ") : "";
  lines.push(
    `${head}${counters}${"target".padEnd(9)}  prot opt${via}${"source".padEnd(19)}  ${"destination".padEnd(19)} `,
  );
  chain.rules.forEach((rule, index) => {
    lines.push(`${options.lineNumbers ? String(index + 1).padEnd(5) : ""}${listRule(rule, options)}`);
  });
  return `${lines.join("\n")}\n`;
}

function listRule(rule: ChainInfo["rules"][number], options: ListOptions): string {
  const { match } = rule;
  const { name, details } = listTarget(rule.target);
  const exact = options.exact;
  const counters = options.verbose ? `${counter(rule.packets, exact)} ${counter(rule.bytes, exact)} ` : "";
  const protocol = match.protocol?.value ?? "all";
  const shown = options.numeric ? String(NUMBERS[protocol] ?? protocol) : protocol;
  const via = options.verbose ? ` ${device(match.inDev).padEnd(6)} ${device(match.outDev).padEnd(6)} ` : "";
  const inverted = match.protocol?.not === true ? "!" : " ";
  const addresses = `${listAddress(match.src, options.numeric).padEnd(20)} ${listAddress(match.dst, options.numeric).padEnd(20)}`;
  const more = [...listMatches(match, rule.comment, options.numeric), details].filter((word) => word !== "");
  const head = `${counters}${name.padEnd(9)} ${inverted}${shown.padEnd(4)} -- ${via}${addresses} `;
  return more.length === 0 ? head : `${head} ${more.join(" ")}`;
}
