/**
 * Frames as lines of text that two captures can be compared by. Everything a header says stands in the line; what can't be the
 * same in two runs (random ports, ids, MACs of bridges, initial sequence numbers, clocks) stands as a label numbered in order of
 * first appearance, so that "the same port as before" is still compared. Checksums are recomputed here and stand as a word.
 */
import { formatIpv4, formatMac, type Mac } from "../../src/base/addr.ts";
import { checksum } from "../support/wireshark-frames.ts";

const VXLAN_PORT = 4789;
const ETHERNET_HEADER = 14;
/** Linux' net.ipv4.ip_local_port_range, from which both systems draw. */
const FIRST_EPHEMERAL = 32768;
const LAST_EPHEMERAL = 60999;

const be16 = (b: Uint8Array, at: number): number => ((b[at] ?? 0) << 8) | (b[at + 1] ?? 0);
const be32 = (b: Uint8Array, at: number): number => be16(b, at) * 65536 + be16(b, at + 2);
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");

/** A parsed IPv4 packet and what it carries; only what tests ask for. */
export interface Ip {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly id: number;
  readonly df: boolean;
  readonly mf: boolean;
  /** Bytes. */
  readonly offset: number;
  readonly ttl: number;
  readonly tos: number;
  readonly total: number;
  readonly checksumOk: boolean;
  readonly payload: Uint8Array;
}

export interface Frame {
  readonly time: number;
  readonly src: string;
  readonly dst: string;
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly ip: Ip | undefined;
  /** UDP or TCP ports of an unfragmented packet or a first fragment. */
  readonly ports: readonly [number, number] | undefined;
  /** The frame inside a VXLAN datagram. */
  readonly inner: Frame | undefined;
}

/** @throws when the header is cut */
export function parseIp(bytes: Uint8Array): Ip {
  const header = ((bytes[0] ?? 0) & 15) * 4;
  const total = be16(bytes, 2);
  if (bytes[0] !== 0x45 || bytes.length < header) throw new Error(`not an IPv4 header: ${hex(bytes.subarray(0, 20))}`);
  const flags = be16(bytes, 6);
  return {
    src: formatIpv4(be32(bytes, 12)),
    dst: formatIpv4(be32(bytes, 16)),
    protocol: bytes[9] ?? 0,
    id: be16(bytes, 4),
    df: (flags & 0x4000) !== 0,
    mf: (flags & 0x2000) !== 0,
    offset: (flags & 0x1fff) * 8,
    ttl: bytes[8] ?? 0,
    tos: bytes[1] ?? 0,
    total,
    checksumOk: checksum(bytes.subarray(0, header)) === 0,
    payload: bytes.subarray(header, total),
  };
}

/** @param time seconds since 1970 */
export function parseFrame(bytes: Uint8Array, time = 0): Frame {
  const mac = (at: number): string => formatMac((be16(bytes, at) * 2 ** 32 + be32(bytes, at + 2)) as Mac);
  const type = be16(bytes, 12);
  const ip = type === 0x0800 ? parseIp(bytes.subarray(ETHERNET_HEADER)) : undefined;
  const hasPorts = ip !== undefined && (ip.protocol === 6 || ip.protocol === 17) && ip.offset === 0;
  const ports = hasPorts ? ([be16(ip.payload, 0), be16(ip.payload, 2)] as const) : undefined;
  const tunnelled = ip?.protocol === 17 && ports?.[1] === VXLAN_PORT;
  return {
    time,
    src: mac(6),
    dst: mac(0),
    type,
    bytes,
    ip,
    ports,
    inner: tunnelled ? parseFrame(ip.payload.subarray(16)) : undefined,
  };
}

/** The pseudo header's checksum over a whole UDP or TCP datagram: `ok`, `bad` or (UDP) `0`. */
export function transportChecksum(ip: Ip): "ok" | "bad" | "0" {
  if (ip.protocol === 17 && be16(ip.payload, 6) === 0) return "0";
  if (ip.protocol === 1) return checksum(ip.payload) === 0 ? "ok" : "bad";
  const address = (text: string): number[] => text.split(".").map(Number);
  const pseudo = [
    ...address(ip.src),
    ...address(ip.dst),
    0,
    ip.protocol,
    ip.payload.length >> 8,
    ip.payload.length & 255,
  ];
  let sum = 0;
  for (let at = 0; at < pseudo.length; at += 2) sum += (pseudo[at] ?? 0) * 256 + (pseudo[at + 1] ?? 0);
  return checksum(ip.payload, sum) === 0 ? "ok" : "bad";
}

/** What {@link Describer} leaves out or adds. */
export interface DescribeOptions {
  /** Names for MAC addresses that differ between the two systems, `52:54:00:77:00:11` → `manager`. */
  readonly macs?: Readonly<Record<string, string>>;
  /** Transport checksums are shown; off for captures inside a host, where Linux hasn't computed them yet. */
  readonly checksums?: boolean;
  /** How ICMP echo and other payloads are shown; default: all bytes. `length`: only how many. */
  readonly payload?: "bytes" | "length";
  /** Bytes at the beginning of an echo's data that hold a clock. */
  readonly echoClock?: number;
}

/** Turns the frames of one exchange into lines. One describer an exchange: labels count from its first frame. */
export class Describer {
  readonly #options: DescribeOptions;
  readonly #labels = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #isn = new Map<string, number>();

  constructor(options: DescribeOptions = {}) {
    this.#options = options;
  }

  #label(kind: string, value: string | number): string {
    const key = `${kind} ${value}`;
    let label = this.#labels.get(key);
    if (label === undefined) {
      const count = (this.#counts.get(kind) ?? 0) + 1;
      this.#counts.set(kind, count);
      label = `${kind}#${count}`;
      this.#labels.set(key, label);
    }
    return label;
  }

  #mac(mac: string): string {
    if (/^(02:42:0a:|ff:|00:00:00:00)/.test(mac)) return mac;
    return this.#options.macs?.[mac] ?? this.#label("mac", mac);
  }

  #port(port: number, kind = "port"): string {
    return port >= FIRST_EPHEMERAL && port <= LAST_EPHEMERAL ? this.#label(kind, port) : String(port);
  }

  #bytes(bytes: Uint8Array): string {
    return this.#options.payload === "length" ? `${bytes.length} bytes` : `${bytes.length} bytes ${hex(bytes)}`;
  }

  frame(frame: Frame): string {
    const link = `${this.#mac(frame.src)} > ${this.#mac(frame.dst)}`;
    if (frame.type === 0x0806) return `${link} ${this.#arp(frame.bytes)}`;
    if (frame.ip === undefined) return `${link} type ${frame.type.toString(16)} ${hex(frame.bytes.subarray(14))}`;
    if (frame.inner === undefined) return `${link} ${this.packet(frame.ip)}`;
    const { payload } = frame.ip;
    const outer = `udp ${this.#port(be16(payload, 0), "outer")} > ${be16(payload, 2)} csum ${transportChecksum(frame.ip)}`;
    const vxlan = `vxlan ${hex(payload.subarray(8, 12))} vni ${be32(payload, 12) >>> 8} ${payload[15]}`;
    return `${link} ${this.#header(frame.ip)} ${outer} ${vxlan} [${this.frame(frame.inner)}]`;
  }

  #arp(bytes: Uint8Array): string {
    const b = bytes.subarray(ETHERNET_HEADER);
    const mac = (at: number): string => this.#mac(formatMac((be16(b, at) * 2 ** 32 + be32(b, at + 2)) as Mac));
    const operation = be16(b, 6) === 1 ? "who-has" : be16(b, 6) === 2 ? "is-at" : String(be16(b, 6));
    const kind = hex(b.subarray(0, 6)) === "000108000604" ? "" : hex(b.subarray(0, 6));
    return `arp${kind} ${operation} sender ${mac(8)} ${formatIpv4(be32(b, 14))} target ${mac(18)} ${formatIpv4(be32(b, 24))}`;
  }

  #header(ip: Ip): string {
    const id = ip.id === 0 ? "0" : "id";
    const fragment =
      ip.mf || ip.offset > 0 ? ` frag ${this.#label("ipid", ip.id)} ${ip.offset}${ip.mf ? "+" : ""}` : "";
    const flags = `${ip.df ? "DF " : ""}${id}${fragment}`;
    return `ip ${ip.src} > ${ip.dst} ttl ${ip.ttl} tos ${ip.tos} ${flags} len ${ip.total}${ip.checksumOk ? "" : " BAD"}`;
  }

  packet(ip: Ip): string {
    const header = this.#header(ip);
    const whole = !ip.mf && ip.offset === 0;
    const sum = this.#options.checksums && whole && ip.protocol !== 1 ? ` csum ${transportChecksum(ip)}` : "";
    if (ip.offset > 0) return `${header} ${this.#bytes(ip.payload)}`;
    if (ip.protocol === 1) return `${header} ${this.#icmp(ip)}`;
    if (ip.protocol === 17) {
      const ports = `${this.#port(be16(ip.payload, 0))} > ${this.#port(be16(ip.payload, 2))}`;
      return `${header} udp ${ports} len ${be16(ip.payload, 4)}${sum} ${this.#bytes(ip.payload.subarray(8))}`;
    }
    if (ip.protocol === 6) return `${header} ${this.#tcp(ip)}${sum}`;
    return `${header} protocol ${ip.protocol} ${this.#bytes(ip.payload)}`;
  }

  #icmp(ip: Ip): string {
    const b = ip.payload;
    const [type, code] = [b[0], b[1]];
    const sum = ip.mf ? "" : checksum(b) === 0 ? "" : " BAD";
    if (type === 8 || type === 0) {
      const data = b.slice(8);
      data.fill(0, 0, this.#options.echoClock ?? 0);
      const what = type === 8 ? "request" : "reply";
      return `icmp echo ${what}${sum} ${this.#label("echo", be16(b, 4))} seq ${be16(b, 6)} ${this.#bytes(data)}`;
    }
    // The quoted packet: it may be cut.
    const quoted = b.subarray(8);
    const header = parseIp(quoted);
    const inner = `${this.#header(header)} ${this.#port(be16(quoted, 20))} > ${this.#port(be16(quoted, 22))}`;
    return `icmp ${type}/${code}${sum} info ${be32(b, 4)} quotes ${quoted.length} bytes: ${inner} ${hex(quoted.subarray(28))}`;
  }

  #tcp(ip: Ip): string {
    const b = ip.payload;
    const from = `${ip.src}:${be16(b, 0)} ${ip.dst}:${be16(b, 2)}`;
    const to = `${ip.dst}:${be16(b, 2)} ${ip.src}:${be16(b, 0)}`;
    const flags = b[13] ?? 0;
    const header = ((b[12] ?? 0) >> 4) * 4;
    if (flags & 2) this.#isn.set(from, be32(b, 4));
    const relative = (key: string, value: number): number => (value - (this.#isn.get(key) ?? value)) >>> 0;
    const names = ["F", "S", "R", "P", "A", "U", "E", "C"].filter((_, bit) => flags & (1 << bit)).join("");
    const ack = flags & 16 ? ` ack ${relative(to, be32(b, 8))}` : be32(b, 8) === 0 ? "" : ` ACK ${be32(b, 8)}`;
    const options = tcpOptions(b.subarray(20, header)).join(",");
    const ports = `${this.#port(be16(b, 0))} > ${this.#port(be16(b, 2))}`;
    const seq = flags & 4 && be32(b, 4) === 0 ? 0 : relative(from, be32(b, 4));
    return `tcp ${ports} ${names} seq ${seq}${ack} win ${be16(b, 14)} [${options}] ${b.length - header} bytes`;
  }
}

/** Option names, with the values that aren't clocks or sequence numbers. */
export function tcpOptions(bytes: Uint8Array): string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at] ?? 0;
    if (kind === 0) break;
    const length = kind === 1 ? 1 : (bytes[at + 1] ?? 1);
    if (kind === 1) found.push("nop");
    else if (kind === 2) found.push(`mss ${be16(bytes, at + 2)}`);
    else if (kind === 3) found.push(`wscale ${bytes[at + 2]}`);
    else if (kind === 4) found.push("sackok");
    else if (kind === 5) found.push(`sack ${(length - 2) / 8}`);
    else if (kind === 8) found.push(be32(bytes, at + 6) === 0 ? "ts 0" : "ts");
    else found.push(`kind ${kind}`);
    at += Math.max(1, length);
  }
  return found;
}
