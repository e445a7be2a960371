/** Rules from iptables(8)'s command line: matches and targets of kernel/types.ts, with the real one's refusals (1.8.9). */
import { parseCidr, parseIpv4 } from "../../base/addr.ts";
import type { CtState, Not, Rule, RuleMatch, RuleTarget } from "../../kernel/types.ts";

/** A wrong command line: printed as `iptables v1.8.9 (nf_tables): message`, status 2. */
export class IptablesError extends Error {
  override name = "IptablesError";
  /** Whether the hint at --help follows. */
  readonly hint: boolean;
  constructor(message: string, hint = true) {
    super(message);
    this.hint = hint;
  }
}

type Words = string[];

const PROTOCOLS: Readonly<Record<string, string>> = {
  "6": "tcp",
  "17": "udp",
  "1": "icmp",
  "132": "sctp",
  "50": "esp",
  "0": "all",
};
const CT_STATES: readonly CtState[] = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"];
const ADDRESS_TYPES = ["LOCAL", "UNICAST", "BROADCAST", "MULTICAST"] as const;
const VERDICTS = ["ACCEPT", "DROP", "RETURN", "NOTRACK"] as const;

/** Match modules that there are; naming one has no effect of its own. */
const MODULES = [
  "tcp",
  "udp",
  "icmp",
  "sctp",
  "conntrack",
  "state",
  "addrtype",
  "mark",
  "u32",
  "policy",
  "ipvs",
  "statistic",
  "comment",
  "multiport",
];

const SERVICES: Readonly<Record<string, number>> = { ssh: 22, domain: 53, http: 80, https: 443 };

function next(words: Words, option: string): string {
  const word = words.shift();
  if (word === undefined) throw new IptablesError(`option "${option}" requires an argument`);
  return word;
}

function ports(text: string): readonly [number, number] {
  const [low = "", high] = text.split(":");
  const port = (part: string, fallback: number): number => {
    if (part === "") return fallback;
    const value = SERVICES[part] ?? Number(part);
    if (!Number.isInteger(value) || value < 0 || value > 65535) {
      throw new IptablesError(`invalid port/service \`${part}' specified`);
    }
    return value;
  };
  const first = port(low, 0);
  return [first, high === undefined ? first : port(high, 65535)];
}

function address(text: string): { ip: number; prefix: number } {
  const found = parseCidr(text);
  if (found !== undefined) return { ip: (found.ip & mask(found.prefix)) >>> 0, prefix: found.prefix };
  const [ip, netmask] = text.split("/").map(parseIpv4);
  if (ip !== undefined && netmask !== undefined) {
    const prefix = 32 - Math.log2(2 ** 32 - netmask);
    if (Number.isInteger(prefix)) return { ip: (ip & netmask) >>> 0, prefix };
  }
  throw new IptablesError(`host/network \`${text}' not found`);
}

function mask(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

/** `0x1/0xff`; without a mask all bits count. */
function valueAndMask(text: string): readonly [value: number, mask: number] {
  const [value, bits = "0xffffffff"] = text.split("/");
  const numbers = [Number(value), Number(bits)] as const;
  if (numbers.some((n) => !Number.isInteger(n) || n < 0 || n > 0xffffffff)) {
    throw new IptablesError(`Bad value "${text}"`);
  }
  return numbers;
}

const ICMP_TYPES: Readonly<Record<string, number>> = {
  "echo-reply": 0,
  "destination-unreachable": 3,
  redirect: 5,
  "echo-request": 8,
  ping: 8,
  "time-exceeded": 11,
};

/** Reads the options of one rule, to the end of the words. @param chainExists whether `-j NAME` can be a jump */
export function parseRule(words: Words, chainExists: (name: string) => boolean): Rule {
  const match: RuleMatch = {};
  const rule: Rule = { match };
  let not = false;
  const said = <T>(value: T): Not<T> => {
    const result = { value, not };
    not = false;
    return result;
  };
  for (let option = words.shift(); option !== undefined; option = words.shift()) {
    if (option === "!") not = true;
    else if (option === "-j" || option === "--jump" || option === "-g" || option === "--goto") {
      rule.target = parseTarget(next(words, option), words, chainExists);
    } else if (option === "-m" || option === "--match") {
      const module = next(words, option);
      if (!MODULES.includes(module))
        throw new IptablesError(`Couldn't load match \`${module}':No such file or directory\n`);
    } else if (option === "--comment") rule.comment = next(words, option);
    else if (!basicMatch(match, option, words, said) && !moduleMatch(match, option, words, said)) {
      throw new IptablesError(option.startsWith("-") ? `unknown option "${option}"` : `Bad argument \`${option}'`);
    }
  }
  if (
    (match.sport !== undefined || match.dport !== undefined) &&
    !/^(tcp|udp|sctp)$/.test(match.protocol?.value ?? "")
  ) {
    throw new IptablesError(`unknown option "--${match.dport === undefined ? "sport" : "dport"}"`);
  }
  return rule;
}

type Said = <T>(value: T) => Not<T>;

function basicMatch(match: RuleMatch, option: string, words: Words, said: Said): boolean {
  switch (option) {
    case "-s":
    case "--source":
    case "--src":
      match.src = said(address(next(words, option)));
      return true;
    case "-d":
    case "--destination":
    case "--dst":
      match.dst = said(address(next(words, option)));
      return true;
    case "-i":
    case "--in-interface":
      match.inDev = said(next(words, option));
      return true;
    case "-o":
    case "--out-interface":
      match.outDev = said(next(words, option));
      return true;
    case "-p":
    case "--protocol": {
      const name = next(words, option).toLowerCase();
      const protocol = PROTOCOLS[name] ?? name;
      if (!Object.values(PROTOCOLS).includes(protocol) && !/^\d{1,3}$/.test(protocol)) {
        throw new IptablesError(`unknown protocol "${name}" specified`);
      }
      if (protocol !== "all") match.protocol = said(protocol);
      return true;
    }
    case "--sport":
    case "--source-port":
      match.sport = said(ports(next(words, option)));
      return true;
    case "--dport":
    case "--destination-port":
      match.dport = said(ports(next(words, option)));
      return true;
    default:
      return false;
  }
}

function moduleMatch(match: RuleMatch, option: string, words: Words, said: Said): boolean {
  switch (option) {
    case "--state":
      match.stateModule = true;
      match.ctstate = said(next(words, option).split(",").map(ctState));
      return true;
    case "--ctstate":
      match.ctstate = said(next(words, option).split(",").map(ctState));
      return true;
    case "--src-type":
      match.addrtypeSrc = said(addressType(next(words, option)));
      return true;
    case "--dst-type":
      match.addrtypeDst = said(addressType(next(words, option)));
      return true;
    case "--mark":
      match.mark = said(valueAndMask(next(words, option)));
      return true;
    case "--u32":
      match.u32 = next(words, option);
      return true;
    case "--dir":
      match.policy = { pol: match.policy?.pol ?? "none", dir: next(words, option) as "in" | "out" };
      return true;
    case "--pol":
      match.policy = { dir: match.policy?.dir ?? "in", pol: next(words, option) as "none" | "ipsec" };
      return true;
    case "--ipvs":
      match.ipvs = true;
      return true;
    case "--icmp-type": {
      const text = next(words, option);
      const type = ICMP_TYPES[text] ?? Number(text);
      if (!Number.isInteger(type) || type < 0 || type > 255) throw new IptablesError(`Unknown ICMP type \`${text}'`);
      match.icmpType = said(type);
      return true;
    }
    case "--mode":
      if (next(words, option) !== "random") throw new IptablesError("Bad mode: only random is supported");
      return true;
    case "--probability": {
      const chance = Number(next(words, option));
      if (!(chance >= 0 && chance <= 1)) throw new IptablesError("--probability must be between 0 and 1");
      match.probability = chance;
      return true;
    }
    default:
      return false;
  }
}

function ctState(text: string): CtState {
  const state = text.toUpperCase() as CtState;
  if (!CT_STATES.includes(state)) throw new IptablesError(`Bad ctstate "${text}"`);
  return state;
}

function addressType(text: string): (typeof ADDRESS_TYPES)[number] {
  const type = ADDRESS_TYPES.find((known) => known === text.toUpperCase());
  if (type === undefined) throw new IptablesError(`addrtype: bad type "${text}"`);
  return type;
}

/** `ip[:port[-port]]`. */
function natRange(text: string): { ip?: number; ports?: readonly [number, number] } {
  const [host = "", range] = text.split(":");
  const ip = host === "" ? undefined : parseIpv4(host);
  if (host !== "" && ip === undefined) throw new IptablesError(`Bad IP address "${host}"`);
  return { ...(ip === undefined ? {} : { ip }), ...(range === undefined ? {} : { ports: portRange(range) }) };
}

function portRange(text: string): readonly [number, number] {
  const [low = "", high = low] = text.split("-");
  if (![low, high].every((part) => /^\d+$/.test(part) && Number(part) <= 65535)) {
    throw new IptablesError(`Port \`${text}' not valid`);
  }
  return [Number(low), Number(high)];
}

function parseTarget(name: string, words: Words, chainExists: (name: string) => boolean): RuleTarget {
  const verdict = VERDICTS.find((known) => known === name);
  if (verdict !== undefined) return { kind: verdict };
  const option = (...names: string[]): string | undefined => {
    if (words[0] === undefined || !names.includes(words[0])) return undefined;
    return next(words, words.shift() as string);
  };
  const required = (value: string | undefined, text: string): string => {
    if (value === undefined) throw new IptablesError(`${name}: option "${text}" must be specified`);
    return value;
  };
  switch (name) {
    case "MASQUERADE":
      return { kind: "MASQUERADE" };
    case "REJECT": {
      const reply = option("--reject-with");
      if (reply === undefined || reply === "icmp-port-unreachable")
        return { kind: "REJECT", with: "icmp-port-unreachable" };
      if (reply !== "tcp-reset") throw new IptablesError(`unknown reject type "${reply}"`);
      return { kind: "REJECT", with: "tcp-reset" };
    }
    case "CT":
      if (words.shift() !== "--notrack") throw new IptablesError("CT: only --notrack is supported");
      return { kind: "NOTRACK" };
    case "MARK":
      return markTarget(words, required);
    case "DNAT":
      return { kind: "DNAT", ...natRange(required(option("--to-destination", "--to"), "--to-destination")) };
    case "SNAT":
      return { kind: "SNAT", ...natRange(required(option("--to-source", "--to"), "--to-source")) };
    case "REDIRECT": {
      const range = option("--to-ports", "--to-port");
      return { kind: "REDIRECT", ...(range === undefined ? {} : { ports: portRange(range) }) };
    }
    default:
      if (!chainExists(name)) throw new IptablesError(`Chain '${name}' does not exist`);
      return { kind: "JUMP", chain: name };
  }
}

function markTarget(words: Words, required: (value: string | undefined, text: string) => string): RuleTarget {
  const option = words.shift();
  const [value, bits] = valueAndMask(required(words.shift(), "--set-mark"));
  if (option !== "--set-mark" && option !== "--set-xmark") throw new IptablesError(`unknown option "${option}"`);
  // --set-mark clears the bits of the mask and of the value, --set-xmark those of the mask (xt_MARK).
  const cleared = option === "--set-mark" ? (value | bits) >>> 0 : bits;
  return { kind: "MARK", value, ...(cleared === 0xffffffff ? {} : { mask: cleared }) };
}
