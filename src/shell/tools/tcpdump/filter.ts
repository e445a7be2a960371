/**
 * Capture filters: the expressions of pcap-filter(7) that people use, parsed to a tree and evaluated on frames. What is
 * read: protocols, host, net, port, portrange with src and dst, ether, proto, less, greater, broadcast, multicast,
 * inbound, outbound, accessors such as `tcp[tcpflags] & tcp-syn != 0`, and, or, not, parentheses.
 */
import { type Ipv4, maskOf, parseCidr, parseIpv4 } from "../../../base/addr.ts";
import { UsageError } from "../../lib/options.ts";

/** Which end of a packet a primitive is about. */
export type Direction = "src" | "dst" | "either" | "both";

/** A number of a frame (`tcp[13]`, `len`) or a constant. */
export type Value =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "length" }
  | { readonly kind: "bytes"; readonly protocol: string; readonly offset: Value; readonly size: number }
  | { readonly kind: "operation"; readonly operator: string; readonly left: Value; readonly right: Value };

/** A parsed expression. */
export type Filter =
  | { readonly kind: "and" | "or"; readonly left: Filter; readonly right: Filter }
  | { readonly kind: "not"; readonly inner: Filter }
  | { readonly kind: "protocol"; readonly name: string }
  /** IP addresses; those of a name are put in once they are known. */
  | {
      readonly kind: "host";
      readonly protocol: string;
      readonly direction: Direction;
      readonly name: string;
      ips: readonly Ipv4[];
    }
  | {
      readonly kind: "net";
      readonly protocol: string;
      readonly direction: Direction;
      readonly ip: Ipv4;
      readonly mask: number;
    }
  | { readonly kind: "mac"; readonly direction: Direction; readonly mac: string }
  | {
      readonly kind: "port";
      readonly protocol: string;
      readonly direction: Direction;
      readonly from: number;
      readonly to: number;
    }
  | { readonly kind: "number"; readonly of: "ip" | "ether"; readonly value: number }
  | { readonly kind: "length"; readonly least: number | undefined; readonly most: number | undefined }
  | { readonly kind: "cast"; readonly of: "ether" | "ip"; readonly broadcast: boolean }
  | { readonly kind: "way"; readonly outgoing: boolean }
  | { readonly kind: "relation"; readonly operator: string; readonly left: Value; readonly right: Value };

/** IP protocols by name. */
export const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  esp: 50,
  ah: 51,
  sctp: 132,
};
/** Ethertypes by name. */
export const ETHER_PROTOCOLS: Readonly<Record<string, number>> = { ip: 0x0800, arp: 0x0806, rarp: 0x8035, ip6: 0x86dd };
/** Names for offsets and values (pcap-filter(7)). */
const CONSTANTS: Readonly<Record<string, number>> = {
  tcpflags: 13,
  icmptype: 0,
  icmpcode: 1,
  "tcp-fin": 1,
  "tcp-syn": 2,
  "tcp-rst": 4,
  "tcp-push": 8,
  "tcp-ack": 16,
  "tcp-urg": 32,
  "tcp-ece": 64,
  "tcp-cwr": 128,
  "icmp-echoreply": 0,
  "icmp-unreach": 3,
  "icmp-sourcequench": 4,
  "icmp-redirect": 5,
  "icmp-echo": 8,
  "icmp-timxceed": 11,
  "icmp-paramprob": 12,
};
/** Services whose names stand for ports. */
export const SERVICES: Readonly<Record<string, number>> = {
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  bootps: 67,
  bootpc: 68,
  tftp: 69,
  http: 80,
  pop3: 110,
  ntp: 123,
  snmp: 161,
  https: 443,
  syslog: 514,
  mysql: 3306,
  postgresql: 5432,
  redis: 6379,
  "http-alt": 8080,
};

const TOKEN = /\s*(&&|\|\||<<|>>|<=|>=|==|!=|[()[\]:!=<>&|+*/^-]|\\?[\w./][\w./:-]*)/y;

/** Parses an expression; undefined for an empty one. @throws UsageError as tcpdump words it */
export function parseFilter(text: string): Filter | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const whole = text.trim();
  while (TOKEN.lastIndex < whole.length) {
    const match = TOKEN.exec(whole);
    if (match === null) throw syntaxError();
    tokens.push(...splitToken(match[1] as string));
  }
  return tokens.length === 0 ? undefined : new FilterParser(tokens).whole();
}

/** `6:2` of `ip[6:2]` is three tokens, a MAC address one. */
function splitToken(token: string): string[] {
  return /^\w+:\w+$/.test(token) ? (token.match(/\w+|:/g) as string[]) : [token];
}

function syntaxError(): UsageError {
  return new UsageError("can't parse filter expression: syntax error");
}

/** What a bare value takes over from the primitive before it: `port 53 or 80`. */
interface Qualifiers {
  readonly protocol: string;
  readonly direction: Direction;
  readonly type: string;
}

class FilterParser {
  readonly #tokens: readonly string[];
  #at = 0;
  #last: Qualifiers | undefined;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  whole(): Filter {
    const filter = this.#expression();
    if (this.#at < this.#tokens.length) throw syntaxError();
    return filter;
  }

  get #next(): string | undefined {
    return this.#tokens[this.#at];
  }

  #take(...wanted: readonly string[]): string | undefined {
    const token = this.#next;
    if (token === undefined || !wanted.includes(token)) return undefined;
    this.#at++;
    return token;
  }

  #expect(token: string): void {
    if (this.#take(token) === undefined) throw syntaxError();
  }

  /** `and` and `or` bind alike, from left to right. */
  #expression(): Filter {
    let left = this.#term();
    for (;;) {
      const operator = this.#take("and", "&&", "or", "||");
      if (operator === undefined) return left;
      const kind = operator === "and" || operator === "&&" ? "and" : "or";
      left = { kind, left, right: this.#term() };
    }
  }

  #term(): Filter {
    if (this.#take("not", "!") !== undefined) return { kind: "not", inner: this.#term() };
    if (this.#next === "(" && !this.#beginsRelation()) {
      this.#at++;
      const inner = this.#expression();
      this.#expect(")");
      return inner;
    }
    return this.#beginsRelation() ? this.#relation() : this.#primitive();
  }

  /** A relation begins with `len`, a number or an accessor, in parentheses perhaps. */
  #beginsRelation(): boolean {
    let at = this.#at;
    while (this.#tokens[at] === "(") at++;
    const [token = "", next] = this.#tokens.slice(at, at + 2);
    if (next === "[") return true;
    return token === "len" || (/^(?:\d+|0x[0-9a-f]+)$/i.test(token) && this.#last === undefined);
  }

  #relation(): Filter {
    const left = this.#sum(0);
    const operator = this.#take("=", "==", "!=", "<", ">", "<=", ">=");
    if (operator === undefined) throw syntaxError();
    return { kind: "relation", operator: operator === "==" ? "=" : operator, left, right: this.#sum(0) };
  }

  /** Arithmetic by precedence. */
  #sum(level: number): Value {
    const levels = [["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "/"]];
    const operators = levels[level];
    if (operators === undefined) return this.#operand();
    let left = this.#sum(level + 1);
    for (;;) {
      const operator = this.#take(...operators);
      if (operator === undefined) return left;
      left = { kind: "operation", operator, left, right: this.#sum(level + 1) };
    }
  }

  #operand(): Value {
    if (this.#take("(") !== undefined) {
      const inner = this.#sum(0);
      this.#expect(")");
      return inner;
    }
    const token = this.#next;
    this.#at++;
    if (token === undefined) throw syntaxError();
    if (token === "len") return { kind: "length" };
    if (token in CONSTANTS) return { kind: "number", value: CONSTANTS[token] as number };
    if (/^(?:\d+|0x[0-9a-f]+)$/i.test(token)) return { kind: "number", value: Number(token) };
    if (!(token in IP_PROTOCOLS || token in ETHER_PROTOCOLS || token === "ether")) throw syntaxError();
    this.#expect("[");
    const offset = this.#sum(0);
    let size = 1;
    if (this.#take(":") !== undefined) size = Number(this.#tokens[this.#at++]);
    this.#expect("]");
    if (![1, 2, 4].includes(size)) throw new UsageError("can't parse filter expression: data size must be 1, 2, or 4");
    return { kind: "bytes", protocol: token, offset, size };
  }

  #primitive(): Filter {
    const special = this.#special();
    if (special !== undefined) return special;
    const protocol =
      this.#take("ether", "ip", "arp", "rarp", "ip6", "tcp", "udp", "icmp", "igmp", "esp", "ah", "sctp") ?? "";
    const direction = this.#direction();
    const type = this.#take("host", "net", "port", "portrange", "proto", "broadcast", "multicast");
    if (type === "broadcast" || type === "multicast")
      return { kind: "cast", of: protocol === "ip" ? "ip" : "ether", broadcast: type === "broadcast" };
    const bare = protocol !== "" && direction === undefined && type === undefined;
    if (bare && (this.#next === undefined || ["and", "or", "&&", "||", ")"].includes(this.#next)))
      return { kind: "protocol", name: protocol };
    const qualifiers: Qualifiers =
      protocol === "" && direction === undefined && type === undefined && this.#last !== undefined
        ? this.#last
        : { protocol, direction: direction ?? "either", type: type ?? "host" };
    this.#last = qualifiers;
    const value = this.#next;
    if (value === undefined || /^[()[\]:!=<>&|]/.test(value) || value === "and" || value === "or") throw syntaxError();
    this.#at++;
    return this.#valued(qualifiers, value.replace(/^\\/, ""));
  }

  #special(): Filter | undefined {
    const word = this.#take("less", "greater", "inbound", "outbound");
    if (word === "inbound" || word === "outbound") return { kind: "way", outgoing: word === "outbound" };
    if (word === undefined) return undefined;
    const size = Number(this.#tokens[this.#at++]);
    if (Number.isNaN(size)) throw syntaxError();
    return { kind: "length", least: word === "greater" ? size : undefined, most: word === "less" ? size : undefined };
  }

  #direction(): Direction | undefined {
    const first = this.#take("src", "dst");
    if (first === undefined) return undefined;
    const other = this.#tokens[this.#at + 1];
    if ((this.#next === "or" || this.#next === "and") && (other === "dst" || other === "src") && other !== first) {
      const both = this.#next === "and";
      this.#at += 2;
      return both ? "both" : "either";
    }
    return first as Direction;
  }

  #valued({ protocol, direction, type }: Qualifiers, value: string): Filter {
    if (type === "host") {
      if (protocol === "ether" || /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i.test(value))
        return {
          kind: "mac",
          direction,
          mac: value
            .toLowerCase()
            .split(":")
            .map((part) => part.padStart(2, "0"))
            .join(":"),
        };
      if (/^[\d.]+\/\d+$/.test(value)) return this.#net(protocol, direction, value);
      const ip = parseIpv4(value);
      return { kind: "host", protocol, direction, name: value, ips: ip === undefined ? [] : [ip] };
    }
    if (type === "net") return this.#net(protocol, direction, value);
    if (type === "proto") {
      const of = protocol === "ether" ? "ether" : "ip";
      const number = /^\d+$/.test(value) ? Number(value) : (of === "ether" ? ETHER_PROTOCOLS : IP_PROTOCOLS)[value];
      if (number === undefined) throw new UsageError(`unknown ${of} proto '${value}'`);
      return { kind: "number", of, value: number };
    }
    const [from, to = from] = type === "portrange" ? value.split("-") : [value];
    return { kind: "port", protocol, direction, from: portOf(from ?? ""), to: portOf(to ?? "") };
  }

  /** `10.0.1.0/24`, `10.0.1`, and `net 10.0.0.0 mask 255.0.0.0`. */
  #net(protocol: string, direction: Direction, value: string): Filter {
    const cidr = parseCidr(value);
    if (cidr !== undefined) {
      if ((cidr.ip & ~maskOf(cidr.prefix)) !== 0) throw new UsageError(`non-network bits set in "${value}"`);
      return { kind: "net", protocol, direction, ip: cidr.ip, mask: maskOf(cidr.prefix) };
    }
    const parts = value.split(".");
    const ip = parseIpv4([...parts, "0", "0", "0"].slice(0, 4).join("."));
    if (ip === undefined) throw new UsageError(`unknown network '${value}'`);
    const mask = this.#take("mask") === undefined ? undefined : parseIpv4(this.#tokens[this.#at++] ?? "");
    return { kind: "net", protocol, direction, ip, mask: mask ?? maskOf(8 * parts.length) };
  }
}

function portOf(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : SERVICES[text];
  if (port === undefined || text === "") throw new UsageError(`unknown port '${text}'`);
  if (port > 65535) throw new UsageError(`illegal port number ${port} > 65535`);
  return port;
}

/** The host names of a filter, whose addresses are still to be found. */
export function* hostsOf(filter: Filter | undefined): Generator<Filter & { kind: "host" }, void, undefined> {
  if (filter === undefined) return;
  if (filter.kind === "and" || filter.kind === "or") {
    yield* hostsOf(filter.left);
    yield* hostsOf(filter.right);
  } else if (filter.kind === "not") yield* hostsOf(filter.inner);
  else if (filter.kind === "host" && filter.ips.length === 0) yield filter;
}
