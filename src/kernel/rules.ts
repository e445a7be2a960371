/**
 * Rules as bytes: what crosses between `Rule` (types.ts) and the kernel's records (RULE_* in
 * assembly/abi.ts). Two rules are equal, as `iptables -D` and `-C` compare them, when their bytes are.
 */
import * as abi from "../../assembly/abi.ts";
import { maskOf } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import type { CtState, Not, Rule, RuleMatch, RuleTarget } from "./types.ts";
import { compileU32, formatU32 } from "./u32.ts";

const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  esp: 50,
  ah: 51,
  sctp: 132,
  udplite: 136,
};
const PROTOCOL_NAMES = new Map(Object.entries(PROTOCOLS).map(([name, value]) => [value, name]));

type AddressType = NonNullable<RuleMatch["addrtypeSrc"]>["value"];
const ADDRESS_TYPES: Readonly<Record<AddressType, number>> = {
  UNICAST: abi.RTN_UNICAST,
  LOCAL: abi.RTN_LOCAL,
  BROADCAST: abi.RTN_BROADCAST,
  MULTICAST: abi.RTN_MULTICAST,
};

/** In the order in which iptables-save prints them. */
const CT_STATES: readonly (readonly [CtState, number])[] = [
  ["INVALID", abi.CTSTATE_INVALID],
  ["NEW", abi.CTSTATE_NEW],
  ["RELATED", abi.CTSTATE_RELATED],
  ["ESTABLISHED", abi.CTSTATE_ESTABLISHED],
  ["UNTRACKED", abi.CTSTATE_UNTRACKED],
];

const TARGETS: Readonly<Record<RuleTarget["kind"], number>> = {
  ACCEPT: abi.T_ACCEPT,
  DROP: abi.T_DROP,
  RETURN: abi.T_RETURN,
  JUMP: abi.T_JUMP,
  REJECT: abi.T_REJECT,
  MARK: abi.T_MARK,
  DNAT: abi.T_DNAT,
  SNAT: abi.T_SNAT,
  MASQUERADE: abi.T_MASQUERADE,
  REDIRECT: abi.T_REDIRECT,
  NOTRACK: abi.T_NOTRACK,
};

const PROBABILITY_ONE = 0x80000000;
const IFNAMSIZ = 16;

function refuse(what: string): never {
  throw new KernelError("EINVAL", `rule: ${what}`);
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** Writes a chain's name as the kernel takes it. @throws KernelError EINVAL over 28 bytes */
export function encodeChainName(name: string): Uint8Array {
  const bytes = encoder.encode(name);
  if (bytes.length >= abi.CHAIN_NAME - 3) refuse(`chain name "${name}"`);
  const out = new Uint8Array(abi.CHAIN_NAME);
  out.set(bytes);
  return out;
}

/** Reads zero-padded text. */
export function decodeName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

class Encoder {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  flags = 0;
  invert = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
  }

  u32(at: number, value: number): void {
    this.view.setUint32(at, value >>> 0, true);
  }

  u16(at: number, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff) refuse(`port ${value}`);
    this.view.setUint16(at, value, true);
  }

  /** Notes that a match is there. */
  has(match: number, not: boolean): void {
    this.flags |= match;
    if (not) this.invert |= match;
  }

  address(match: number, at: number, value: RuleMatch["src"]): void {
    if (value === undefined || (value.value.prefix === 0 && !value.not)) return;
    const mask = maskOf(value.value.prefix);
    this.has(match, value.not);
    this.u32(at, value.value.ip & mask);
    this.u32(at + 4, mask);
  }

  device(match: number, at: number, maskAt: number, value: Not<string> | undefined): void {
    if (value === undefined || (value.value === "+" && !value.not)) return;
    const wild = value.value.endsWith("+");
    const name = encoder.encode(wild ? value.value.slice(0, -1) : value.value);
    if (name.length >= IFNAMSIZ) refuse(`interface name "${value.value}"`);
    this.has(match, value.not);
    this.bytes.set(name, at);
    this.bytes.fill(0xff, maskAt, maskAt + (wild ? name.length : IFNAMSIZ));
  }

  ports(match: number, at: number, value: RuleMatch["sport"]): void {
    if (value === undefined) return;
    this.has(match, value.not);
    this.u16(at, value.value[0]);
    this.u16(at + 2, value.value[1]);
  }

  number(match: number, at: number, value: number | undefined, not: boolean): void {
    if (value === undefined) return;
    this.has(match, not);
    this.u32(at, value);
  }
}

function protocolNumber(text: string): number {
  const known = PROTOCOLS[text.toLowerCase()];
  if (known !== undefined) return known;
  const value = text === "all" ? 0 : Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 255) refuse(`unknown protocol "${text}" specified`);
  return value;
}

function encodeMatch(out: Encoder, match: RuleMatch): void {
  out.address(abi.M_SRC, abi.RULE_SRC, match.src);
  out.address(abi.M_DST, abi.RULE_DST, match.dst);
  out.device(abi.M_IN, abi.RULE_IN, abi.RULE_IN_MASK, match.inDev);
  out.device(abi.M_OUT, abi.RULE_OUT, abi.RULE_OUT_MASK, match.outDev);
  if (match.protocol !== undefined) {
    const protocol = protocolNumber(match.protocol.value);
    if (protocol !== 0) out.number(abi.M_PROTO, abi.RULE_PROTO, protocol, match.protocol.not);
  }
  out.ports(abi.M_SPORT, abi.RULE_SPORT_MIN, match.sport);
  out.ports(abi.M_DPORT, abi.RULE_DPORT_MIN, match.dport);
  if (match.ctstate !== undefined) {
    const { value, not } = match.ctstate;
    const bits = CT_STATES.reduce((sum, [name, bit]) => (value.includes(name) ? sum | bit : sum), 0);
    out.number(abi.M_CTSTATE, abi.RULE_CTSTATE, bits, not);
    if (match.stateModule === true) out.has(abi.M_STATE, false);
  }
  const { addrtypeSrc, addrtypeDst } = match;
  if (addrtypeSrc !== undefined)
    out.number(abi.M_ADDRTYPE_SRC, abi.RULE_ADDRTYPE_SRC, ADDRESS_TYPES[addrtypeSrc.value], addrtypeSrc.not);
  if (addrtypeDst !== undefined)
    out.number(abi.M_ADDRTYPE_DST, abi.RULE_ADDRTYPE_DST, ADDRESS_TYPES[addrtypeDst.value], addrtypeDst.not);
  if (match.mark !== undefined) {
    const [value, mask] = match.mark.value;
    out.number(abi.M_MARK, abi.RULE_MARK, value, match.mark.not);
    out.u32(abi.RULE_MARK_MASK, mask);
  }
  if (match.policy !== undefined) {
    const bits =
      (match.policy.dir === "out" ? abi.POLICY_OUT : 0) | (match.policy.pol === "ipsec" ? abi.POLICY_IPSEC : 0);
    out.number(abi.M_POLICY, abi.RULE_POLICY, bits, false);
  }
  if (match.ipvs !== undefined) out.has(abi.M_IPVS, !match.ipvs);
  out.number(abi.M_ICMP_TYPE, abi.RULE_ICMP_TYPE, match.icmpType?.value, match.icmpType?.not ?? false);
  if (match.probability !== undefined) {
    if (!(match.probability >= 0 && match.probability <= 1)) refuse(`probability ${match.probability}`);
    out.number(abi.M_PROBABILITY, abi.RULE_PROBABILITY, Math.round(match.probability * PROBABILITY_ONE), false);
  }
}

function encodeNat(out: Encoder, ip: number | undefined, ports: readonly [number, number] | undefined): void {
  let flags = 0;
  if (ip !== undefined) {
    flags |= abi.NAT_RANGE_MAP_IPS;
    out.u32(abi.RULE_T_IP, ip);
    out.u32(abi.RULE_T_IP_MAX, ip);
  }
  if (ports !== undefined) {
    flags |= abi.NAT_RANGE_PROTO_SPECIFIED;
    out.u16(abi.RULE_T_PORT_MIN, ports[0]);
    out.u16(abi.RULE_T_PORT_MAX, ports[1]);
  }
  out.u32(abi.RULE_T_NAT, flags);
}

function encodeTarget(out: Encoder, target: RuleTarget | undefined): void {
  if (target === undefined) return;
  out.u32(abi.RULE_TARGET, TARGETS[target.kind]);
  switch (target.kind) {
    case "JUMP":
      out.bytes.set(encodeChainName(target.chain), abi.RULE_CHAIN);
      break;
    case "REJECT":
      out.u32(abi.RULE_T_REJECT, target.with === "tcp-reset" ? 1 : 0);
      break;
    case "MARK":
      out.u32(abi.RULE_T_MARK, target.value);
      out.u32(abi.RULE_T_MARK_MASK, target.mask ?? 0xffffffff);
      break;
    case "DNAT":
    case "SNAT":
      encodeNat(out, target.ip, target.ports);
      break;
    case "REDIRECT":
      encodeNat(out, undefined, target.ports);
      break;
    default:
  }
}

/** A rule's body for the kernel. @throws KernelError EINVAL for what iptables refuses */
export function encodeRule(rule: Rule): Uint8Array {
  const program = rule.match.u32 === undefined ? [] : compileU32(rule.match.u32);
  const comment = rule.comment === undefined ? NOTHING : encoder.encode(rule.comment);
  if (comment.length > 255) refuse("comment longer than 255 bytes");
  const out = new Encoder(abi.RULE_HEAD + 4 * program.length + comment.length);
  encodeMatch(out, rule.match);
  encodeTarget(out, rule.target);
  if (program.length > 0) out.has(abi.M_U32, false);
  out.u16(abi.RULE_U32_WORDS, program.length);
  out.u16(abi.RULE_COMMENT_LEN, comment.length);
  program.forEach((word, index) => {
    out.u32(abi.RULE_HEAD + 4 * index, word);
  });
  out.bytes.set(comment, abi.RULE_HEAD + 4 * program.length);
  out.u32(abi.RULE_FLAGS, out.flags);
  out.u32(abi.RULE_INVERT, out.invert);
  return out.bytes;
}

class Decoder {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly flags: number;
  readonly invert: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.flags = this.u32(abi.RULE_FLAGS);
    this.invert = this.u32(abi.RULE_INVERT);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  u16(at: number): number {
    return this.view.getUint16(at, true);
  }

  has(match: number): boolean {
    return (this.flags & match) !== 0;
  }

  /** The value with its inversion. */
  not<T>(match: number, value: T): Not<T> {
    return { value, not: (this.invert & match) !== 0 };
  }

  cidr(match: number, at: number): NonNullable<RuleMatch["src"]> {
    const mask = this.u32(at + 4);
    return this.not(match, { ip: this.u32(at), prefix: mask === 0 ? 0 : 32 - Math.log2(2 ** 32 - mask) });
  }

  device(match: number, at: number, maskAt: number): Not<string> {
    const name = decodeName(this.bytes.subarray(at, at + IFNAMSIZ));
    return this.not(match, this.bytes[maskAt + IFNAMSIZ - 1] === 0xff ? name : `${name}+`);
  }

  ports(at: number): readonly [number, number] {
    return [this.u16(at), this.u16(at + 2)];
  }
}

function addressType(code: number): AddressType {
  const found = (Object.keys(ADDRESS_TYPES) as AddressType[]).find((name) => ADDRESS_TYPES[name] === code);
  return found ?? refuse(`address type ${code}`);
}

function decodeMatch(from: Decoder): RuleMatch {
  const match: RuleMatch = {};
  if (from.has(abi.M_SRC)) match.src = from.cidr(abi.M_SRC, abi.RULE_SRC);
  if (from.has(abi.M_DST)) match.dst = from.cidr(abi.M_DST, abi.RULE_DST);
  if (from.has(abi.M_IN)) match.inDev = from.device(abi.M_IN, abi.RULE_IN, abi.RULE_IN_MASK);
  if (from.has(abi.M_OUT)) match.outDev = from.device(abi.M_OUT, abi.RULE_OUT, abi.RULE_OUT_MASK);
  if (from.has(abi.M_PROTO)) {
    const protocol = from.u32(abi.RULE_PROTO);
    match.protocol = from.not(abi.M_PROTO, PROTOCOL_NAMES.get(protocol) ?? String(protocol));
  }
  if (from.has(abi.M_SPORT)) match.sport = from.not(abi.M_SPORT, from.ports(abi.RULE_SPORT_MIN));
  if (from.has(abi.M_DPORT)) match.dport = from.not(abi.M_DPORT, from.ports(abi.RULE_DPORT_MIN));
  if (from.has(abi.M_CTSTATE)) {
    const bits = from.u32(abi.RULE_CTSTATE);
    const states = CT_STATES.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name);
    match.ctstate = from.not(abi.M_CTSTATE, states);
    if (from.has(abi.M_STATE)) match.stateModule = true;
  }
  if (from.has(abi.M_ADDRTYPE_SRC))
    match.addrtypeSrc = from.not(abi.M_ADDRTYPE_SRC, addressType(from.u32(abi.RULE_ADDRTYPE_SRC)));
  if (from.has(abi.M_ADDRTYPE_DST))
    match.addrtypeDst = from.not(abi.M_ADDRTYPE_DST, addressType(from.u32(abi.RULE_ADDRTYPE_DST)));
  if (from.has(abi.M_MARK)) match.mark = from.not(abi.M_MARK, [from.u32(abi.RULE_MARK), from.u32(abi.RULE_MARK_MASK)]);
  if (from.has(abi.M_U32)) {
    const words = Array.from({ length: from.u16(abi.RULE_U32_WORDS) }, (_, i) => from.u32(abi.RULE_HEAD + 4 * i));
    match.u32 = formatU32(words);
  }
  if (from.has(abi.M_POLICY)) {
    const bits = from.u32(abi.RULE_POLICY);
    match.policy = { dir: bits & abi.POLICY_OUT ? "out" : "in", pol: bits & abi.POLICY_IPSEC ? "ipsec" : "none" };
  }
  if (from.has(abi.M_IPVS)) match.ipvs = (from.invert & abi.M_IPVS) === 0;
  if (from.has(abi.M_ICMP_TYPE)) match.icmpType = from.not(abi.M_ICMP_TYPE, from.u32(abi.RULE_ICMP_TYPE));
  if (from.has(abi.M_PROBABILITY)) match.probability = from.u32(abi.RULE_PROBABILITY) / PROBABILITY_ONE;
  return match;
}

function decodeNat(from: Decoder): { ip?: number; ports?: readonly [number, number] } {
  const flags = from.u32(abi.RULE_T_NAT);
  return {
    ...(flags & abi.NAT_RANGE_MAP_IPS ? { ip: from.u32(abi.RULE_T_IP) } : {}),
    ...(flags & abi.NAT_RANGE_PROTO_SPECIFIED ? { ports: from.ports(abi.RULE_T_PORT_MIN) } : {}),
  };
}

function decodeTarget(from: Decoder): RuleTarget | undefined {
  const code = from.u32(abi.RULE_TARGET);
  const kind = (Object.keys(TARGETS) as RuleTarget["kind"][]).find((name) => TARGETS[name] === code);
  switch (kind) {
    case undefined:
      return undefined;
    case "JUMP":
      return { kind, chain: decodeName(from.bytes.subarray(abi.RULE_CHAIN, abi.RULE_CHAIN + abi.CHAIN_NAME)) };
    case "REJECT":
      return { kind, with: from.u32(abi.RULE_T_REJECT) === 1 ? "tcp-reset" : "icmp-port-unreachable" };
    case "MARK":
      return { kind, value: from.u32(abi.RULE_T_MARK), mask: from.u32(abi.RULE_T_MARK_MASK) };
    case "DNAT":
    case "SNAT":
      return { kind, ...decodeNat(from) };
    case "REDIRECT": {
      const { ports } = decodeNat(from);
      return ports === undefined ? { kind } : { kind, ports };
    }
    default:
      return { kind };
  }
}

/** The rule of a body; the inverse of encodeRule up to the spelling of u32 expressions and default values. */
export function decodeRule(bytes: Uint8Array): Rule {
  const from = new Decoder(bytes);
  const target = decodeTarget(from);
  const start = abi.RULE_HEAD + 4 * from.u16(abi.RULE_U32_WORDS);
  const length = from.u16(abi.RULE_COMMENT_LEN);
  return {
    match: decodeMatch(from),
    ...(target === undefined ? {} : { target }),
    ...(length === 0 ? {} : { comment: new TextDecoder().decode(bytes.subarray(start, start + length)) }),
  };
}
