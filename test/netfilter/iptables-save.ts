/** Reads `iptables-save -c` output of a capture: makes its chains and policies, returns its rules. */
import type { CtState, HookName, Not, Rule, RuleMatch, RuleTarget, TableName } from "../../src/kernel/types.ts";
import { ip, type Machine } from "./harness.ts";

const number = (text: string): number => Number(text);

function cidr(text: string): { ip: number; prefix: number } {
  const [address, prefix] = text.split("/");
  return { ip: ip(address ?? ""), prefix: Number(prefix ?? 32) };
}

function ports(text: string): readonly [number, number] {
  const [low, high] = text.split(/[:-]/).map(number);
  return [low ?? 0, high ?? low ?? 0];
}

function nat(text: string): { ip?: number; ports?: readonly [number, number] } {
  const [address, range] = text.split(":");
  return { ...(address ? { ip: ip(address) } : {}), ...(range === undefined ? {} : { ports: ports(range) }) };
}

function target(name: string, options: Map<string, string>): RuleTarget {
  const to = options.get("--to-destination") ?? options.get("--to-source");
  switch (name) {
    case "ACCEPT":
    case "DROP":
    case "RETURN":
    case "MASQUERADE":
      return { kind: name };
    case "DNAT":
    case "SNAT":
      return { kind: name, ...nat(to ?? "") };
    case "REDIRECT":
      return { kind: name, ports: ports(options.get("--to-ports") ?? "") };
    case "MARK": {
      const [value, mask] = (options.get("--set-xmark") ?? "").split("/").map(number);
      return { kind: name, value: value ?? 0, mask: mask ?? 0xffffffff };
    }
    default:
      return { kind: "JUMP", chain: name };
  }
}

const MATCHES: Record<string, (match: RuleMatch, value: string, not: boolean) => void> = {
  "-s": (match, value, not) => {
    match.src = { value: cidr(value), not };
  },
  "-d": (match, value, not) => {
    match.dst = { value: cidr(value), not };
  },
  "-i": (match, value, not) => {
    match.inDev = { value, not };
  },
  "-o": (match, value, not) => {
    match.outDev = { value, not };
  },
  "-p": (match, value, not) => {
    match.protocol = { value, not };
  },
  "--sport": (match, value, not) => {
    match.sport = { value: ports(value), not };
  },
  "--dport": (match, value, not) => {
    match.dport = { value: ports(value), not };
  },
  "--ctstate": (match, value, not) => {
    match.ctstate = { value: value.split(",") as CtState[], not };
  },
  "--state": (match, value, not) => {
    match.ctstate = { value: value.split(",") as CtState[], not };
  },
  "--dst-type": (match, value, not) => {
    match.addrtypeDst = { value, not } as Not<"LOCAL">;
  },
  "--src-type": (match, value, not) => {
    match.addrtypeSrc = { value, not } as Not<"LOCAL">;
  },
  "--u32": (match, value) => {
    match.u32 = value;
  },
  "--pol": (match, value) => {
    match.policy = { dir: "in", pol: value as "none" | "ipsec" };
  },
};

function parseRule(text: string): Rule {
  const words = text.match(/"[^"]*"|\S+/g)?.map((word) => word.replace(/"/g, "")) ?? [];
  const match: RuleMatch = {};
  const options = new Map<string, string>();
  let jump: string | undefined;
  for (let i = 0, not = false; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "!") {
      not = true;
      continue;
    }
    if (word === "--ipvs") match.ipvs = !not;
    else {
      const value = words[++i] as string;
      if (word === "-j") jump = value;
      else if (word in MATCHES) MATCHES[word]?.(match, value, not);
      else if (word !== "-m" && word !== "--dir") options.set(word, value);
    }
    not = false;
  }
  // iptables-save's order of states is fixed; so is the decoder's.
  const order: CtState[] = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"];
  if (match.ctstate !== undefined) {
    const { value, not } = match.ctstate;
    match.ctstate = { value: order.filter((state) => value.includes(state)), not };
  }
  return jump === undefined ? { match } : { match, target: target(jump, options) };
}

export function parseSave(text: string, machine: Machine): [TableName, string, Rule][] {
  const rules: [TableName, string, Rule][] = [];
  let table: TableName = "filter";
  let on = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("### ")) on = line.startsWith("### iptables-save");
    if (!on) continue;
    if (line.startsWith("*")) table = line.slice(1) as TableName;
    const chain = /^:(\S+) (\S+) /.exec(line);
    if (chain !== null && chain[2] === "-") machine.newChain(table, chain[1] as string);
    else if (chain !== null) machine.policy(table, chain[1] as HookName, chain[2] as "ACCEPT" | "DROP");
    const rule = /^\[\d+:\d+\] -A (\S+) (.*)$/.exec(line);
    if (rule !== null) rules.push([table, rule[1] as string, parseRule(rule[2] as string)]);
  }
  return rules;
}
