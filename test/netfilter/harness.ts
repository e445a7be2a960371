/** Packets, probes and rules for the tests of netfilter: one kernel, namespaces without wires. */
import * as abi from "../../assembly/abi.ts";
import { decodeName, decodeRule, encodeChainName, encodeRule } from "../../src/kernel/rules.ts";
import type { HookName, Rule, RuleMatch, RuleTarget, TableName } from "../../src/kernel/types.ts";
import { loadKernel, type RawKernel } from "../support/wasm.ts";

export const SECOND = 1e9;
export const PRE = 1 << abi.NF_PRE_ROUTING;
export const IN = 1 << abi.NF_LOCAL_IN;
export const FWD = 1 << abi.NF_FORWARD;
export const OUT = 1 << abi.NF_LOCAL_OUT;
export const POST = 1 << abi.NF_POST_ROUTING;
/** What a routed packet passes. */
export const ROUTED = PRE | FWD | POST;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

const TABLES: Record<TableName, number> = {
  raw: abi.TABLE_RAW,
  mangle: abi.TABLE_MANGLE,
  nat: abi.TABLE_NAT,
  filter: abi.TABLE_FILTER,
};

export function ip(text: string): number {
  return text.split(".").reduce((value, byte) => value * 256 + Number(byte), 0);
}

function sum(bytes: Uint8Array, start: number, end: number, from = 0): number {
  let total = from;
  for (let i = start; i < end; i += 2) total += ((bytes[i] ?? 0) << 8) | (i + 1 < end ? (bytes[i + 1] ?? 0) : 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 65536);
  return total;
}

function pseudo(bytes: Uint8Array, protocol: number, length: number): number {
  return sum(bytes, 12, 20) + protocol + length;
}

/** An IPv4 packet with a right header checksum. */
export function ipv4(src: number, dst: number, protocol: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(20 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, bytes.length);
  view.setUint16(4, 0x1234);
  view.setUint8(8, 64);
  view.setUint8(9, protocol);
  view.setUint32(12, src);
  view.setUint32(16, dst);
  bytes.set(payload, 20);
  view.setUint16(10, ~sum(bytes, 0, 20) & 0xffff);
  const at = protocol === 6 ? 36 : protocol === 17 ? 26 : 0;
  if (at !== 0 && at + 2 <= bytes.length) {
    const check = ~sum(bytes, 20, bytes.length, pseudo(bytes, protocol, payload.length)) & 0xffff;
    view.setUint16(at, check === 0 && protocol === 17 ? 0xffff : check);
  }
  if (protocol === 1 && payload.length >= 4) view.setUint16(22, ~sum(bytes, 20, bytes.length) & 0xffff);
  return bytes;
}

export interface Tcp {
  seq?: number;
  ack?: number;
  window?: number;
  data?: number;
}

export function tcp(src: number, sport: number, dst: number, dport: number, flags: number, more: Tcp = {}): Uint8Array {
  const body = new Uint8Array(20 + (more.data ?? 0)).fill(0x61, 20);
  const view = new DataView(body.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, more.seq ?? 0);
  view.setUint32(8, more.ack ?? 0);
  view.setUint8(12, 0x50);
  view.setUint8(13, flags);
  view.setUint16(14, more.window ?? 64240);
  return ipv4(src, dst, 6, body);
}

export function udp(
  src: number,
  sport: number,
  dst: number,
  dport: number,
  data: Uint8Array = new Uint8Array(8),
): Uint8Array {
  const body = new Uint8Array(8 + data.length);
  const view = new DataView(body.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint16(4, body.length);
  body.set(data, 8);
  return ipv4(src, dst, 17, body);
}

export function icmp(
  src: number,
  dst: number,
  type: number,
  code: number,
  word: number,
  data: Uint8Array = new Uint8Array(8),
): Uint8Array {
  const body = new Uint8Array(8 + data.length);
  const view = new DataView(body.buffer);
  view.setUint8(0, type);
  view.setUint8(1, code);
  view.setUint32(4, word);
  body.set(data, 8);
  return ipv4(src, dst, 1, body);
}

/** All checksums of a packet are right (also inside an ICMP error, where the quoted packet is whole). */
export function checksumsRight(bytes: Uint8Array): boolean {
  if (sum(bytes, 0, 20) !== 0xffff) return false;
  const protocol = bytes[9];
  const length = bytes.length - 20;
  if (protocol === 1) {
    if (sum(bytes, 20, bytes.length) !== 0xffff) return false;
    return bytes[20] === 3 || bytes[20] === 11 ? checksumsRight(bytes.slice(28)) : true;
  }
  if (protocol === 17 && bytes[26] === 0 && bytes[27] === 0) return true;
  return protocol !== 6 && protocol !== 17
    ? true
    : sum(bytes, 20, bytes.length, pseudo(bytes, protocol, length)) === 0xffff;
}

export interface Seen {
  verdict: number;
  bytes: Uint8Array;
  ctInfo: number;
  mark: number;
  flags: number;
  status: number;
  src: number;
  dst: number;
  sport: number;
  dport: number;
  /** NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED, and the direction. */
  state: string;
}

export interface Entry {
  handle: number;
  protocol: number;
  status: number;
  state: number;
  timeout: number;
  original: string;
  reply: string;
}

const tuple = (src: number, sport: number, dst: number, dport: number): string => {
  const text = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
  return `${text(src)}:${sport}>${text(dst)}:${dport}`;
};

/** One machine with a namespace to test in. */
export class Machine {
  readonly kernel: RawKernel;
  readonly host: number;
  ns: number;

  /** A fresh machine of that seed, or a view of a namespace of a kernel that is there. */
  constructor(seed: number | { kernel: RawKernel; ns: number } = 1) {
    if (typeof seed === "object") {
      this.kernel = seed.kernel;
      this.ns = seed.ns;
      this.host = 0;
      return;
    }
    this.kernel = loadKernel();
    const x = this.kernel.x;
    this.host = x["hostNew"](0, seed, 2, 3, 4);
    this.ns = x["hostRoot"](this.host);
  }

  get now(): number {
    return this.kernel.x["time"]();
  }

  /** Lets `seconds` pass. */
  pass(seconds: number): void {
    this.kernel.x["run"](this.now + seconds * SECOND, 1e9);
  }

  device(name: string): number {
    const dev = this.kernel.x["linkNewBridge"](this.ns, 0);
    this.kernel.name(name);
    this.kernel.x["linkSetName"](dev);
    return dev;
  }

  /** Gives a device an address and sets it up. */
  address(dev: number, address: string, prefix: number): void {
    this.kernel.x["addressAdd"](dev, ip(address), prefix, 0, abi.SCOPE_GLOBAL);
    this.kernel.x["linkSetUp"](dev, 1);
  }

  #name(chain: string): void {
    this.kernel.put(this.kernel.x["scratch"](), encodeChainName(chain));
  }

  #body(chain: string, rule: Rule): number {
    const body = encodeRule(rule);
    this.#name(chain);
    this.kernel.put(this.kernel.x["scratch"]() + abi.CHAIN_NAME, body);
    return body.length;
  }

  newChain(table: TableName, chain: string): number {
    this.#name(chain);
    return this.kernel.x["nfChainNew"](this.ns, TABLES[table]);
  }

  deleteChain(table: TableName, chain: string): number {
    this.#name(chain);
    return this.kernel.x["nfChainDel"](this.ns, TABLES[table]);
  }

  flush(table: TableName, chain = ""): number {
    this.#name(chain);
    return this.kernel.x["nfChainFlush"](this.ns, TABLES[table]);
  }

  policy(table: TableName, chain: HookName, policy: "ACCEPT" | "DROP"): number {
    this.#name(chain);
    return this.kernel.x["nfChainPolicy"](this.ns, TABLES[table], policy === "DROP" ? abi.NF_DROP : abi.NF_ACCEPT);
  }

  insert(table: TableName, chain: string, rule: Rule, position: number): number {
    return this.kernel.x["nfRuleInsert"](this.ns, TABLES[table], position, this.#body(chain, rule));
  }

  append(table: TableName, chain: string, match: RuleMatch, target?: RuleTarget): number {
    return this.insert(table, chain, target === undefined ? { match } : { match, target }, 0);
  }

  remove(table: TableName, chain: string, rule: Rule): number {
    return this.kernel.x["nfRuleDelete"](this.ns, TABLES[table], this.#body(chain, rule));
  }

  check(table: TableName, chain: string, rule: Rule): boolean {
    return this.kernel.x["nfRuleCheck"](this.ns, TABLES[table], this.#body(chain, rule)) === 1;
  }

  /** Chains with their rules and counters, in order of creation. */
  list(
    table: TableName,
  ): { name: string; hook: number; policy: number; rules: (Rule & { packets: number; bytes: number })[] }[] {
    const x = this.kernel.x;
    const out = [];
    for (let chain = x["nfChainFirst"](this.ns, TABLES[table]); chain !== 0; chain = x["nfChainNext"](chain)) {
      x["nfChainInfo"](chain);
      const at = x["scratch"]();
      const view = this.kernel.view();
      const name = decodeName(this.kernel.get(at, abi.CHAIN_NAME));
      const rules = [];
      const hook = view.getInt32(at + abi.CHAIN_INFO_HOOK, true);
      const policy = view.getUint32(at + abi.CHAIN_INFO_POLICY, true);
      let rule = view.getUint32(at + abi.CHAIN_INFO_FIRST, true);
      while (rule !== 0) {
        x["nfRuleInfo"](rule);
        const info = this.kernel.view();
        const body = this.kernel.get(at + abi.RULE_INFO_BODY, info.getUint32(at + abi.RULE_INFO_LEN, true));
        const packets = Number(info.getBigUint64(at + abi.RULE_INFO_PACKETS, true));
        rules.push({ ...decodeRule(body), packets, bytes: Number(info.getBigUint64(at + abi.RULE_INFO_BYTES, true)) });
        rule = info.getUint32(at + abi.RULE_INFO_NEXT, true);
      }
      out.push({ name, hook, policy, rules });
    }
    return out;
  }

  /** Sends a packet through hooks. */
  probe(packet: Uint8Array, hooks: number = ROUTED, inDev = 0, outDev = 0): Seen {
    const x = this.kernel.x;
    const at = x["scratch"]();
    this.kernel.put(at, packet);
    const verdict = x["nfProbe"](this.ns, hooks, inDev, outDev, packet.length);
    const view = this.kernel.view();
    const info = (index: number) => view.getUint32(at + abi.PROBE_INFO + 4 * index, true);
    const bytes = verdict === abi.NF_ACCEPT ? this.kernel.get(at, info(4)) : packet;
    const padded = new Uint8Array(Math.max(24, bytes.length));
    padded.set(bytes);
    const ports = new DataView(padded.buffer);
    const [ctInfo, status] = verdict === abi.NF_ACCEPT ? [info(0), info(3)] : [0, 0];
    const names = ["ESTABLISHED", "RELATED", "NEW", "ESTABLISHED reply", "RELATED reply"];
    const state =
      status === 0 && ctInfo !== 7
        ? info(0) === 2
          ? "NEW"
          : "INVALID"
        : ctInfo === 7
          ? "UNTRACKED"
          : (names[ctInfo] ?? "?");
    return {
      verdict,
      bytes,
      ctInfo,
      mark: info(1),
      flags: info(2),
      status,
      src: ports.getUint32(12),
      dst: ports.getUint32(16),
      sport: ports.getUint16(20),
      dport: ports.getUint16(22),
      state,
    };
  }

  track(on = 1): void {
    this.kernel.x["nfCtEnable"](this.ns, on);
  }

  count(): number {
    return this.kernel.x["nfCtCount"](this.ns);
  }

  sysctl(index: number, value: number): void {
    this.kernel.x["nfCtSysctlSet"](this.ns, index, value);
  }

  connections(): Entry[] {
    const x = this.kernel.x;
    const out: Entry[] = [];
    for (let skip = 0; ; ) {
      const count = x["nfCtDump"](this.ns, skip);
      if (count === 0) return out;
      const view = this.kernel.view();
      for (let i = 0; i < count; i++) {
        const at = x["scratch"]() + i * abi.CT_RECORD;
        const u32 = (offset: number) => view.getUint32(at + offset, true);
        const u16 = (offset: number) => view.getUint16(at + offset, true);
        out.push({
          handle: u32(abi.CT_HANDLE),
          protocol: u32(abi.CT_PROTO),
          status: u32(abi.CT_STATUS),
          state: u32(abi.CT_STATE),
          timeout: view.getFloat64(at + abi.CT_TIMEOUT, true) / SECOND,
          original: tuple(u32(abi.CT_ORIG_SRC), u16(abi.CT_ORIG_SPORT), u32(abi.CT_ORIG_DST), u16(abi.CT_ORIG_DPORT)),
          reply: tuple(u32(abi.CT_REPLY_SRC), u16(abi.CT_REPLY_SPORT), u32(abi.CT_REPLY_DST), u16(abi.CT_REPLY_DPORT)),
        });
      }
      skip += count;
    }
  }

  /** The only connection there is. */
  only(): Entry {
    const all = this.connections();
    if (all.length !== 1) throw new Error(`${all.length} connections`);
    return all[0] as Entry;
  }
}
