/** SCTP between hosts of the bare kernel, and packets made by hand, for the tests of assembly/socket/sctp*. */
import * as abi from "../../assembly/abi.ts";
import { ip, MS, makeIp, Net, SEC } from "../inet/net.ts";
import { crc32c } from "../ipvs/packets.ts";

export { ip, MS, SEC };

export const DATA = 0;
export const INIT = 1;
export const INIT_ACK = 2;
export const SACK = 3;
export const HEARTBEAT = 4;
export const HEARTBEAT_ACK = 5;
export const ABORT = 6;
export const SHUTDOWN = 7;
export const SHUTDOWN_ACK = 8;
export const ERROR = 9;
export const COOKIE_ECHO = 10;
export const COOKIE_ACK = 11;
export const SHUTDOWN_COMPLETE = 14;

const NAMES: Record<number, string> = {
  0: "DATA",
  1: "INIT",
  2: "INIT-ACK",
  3: "SACK",
  4: "HEARTBEAT",
  5: "HEARTBEAT-ACK",
  6: "ABORT",
  7: "SHUTDOWN",
  8: "SHUTDOWN-ACK",
  9: "ERROR",
  10: "COOKIE-ECHO",
  11: "COOKIE-ACK",
  14: "SHUTDOWN-COMPLETE",
};

export interface Chunk {
  readonly type: number;
  readonly flags: number;
  /** Behind the 4-byte header, without padding. */
  readonly body: Uint8Array;
  readonly view: DataView;
}

export interface Packet {
  readonly time: number;
  readonly dir: number;
  readonly src: number;
  readonly dst: number;
  readonly sport: number;
  readonly dport: number;
  readonly tag: number;
  readonly df: boolean;
  readonly ipLength: number;
  readonly checksumOk: boolean;
  readonly chunks: readonly Chunk[];
  /** The names of its chunks. */
  readonly text: string;
}

/** Takes an SCTP packet apart; throws where its chunks don't add up to it. */
export function parse(
  bytes: Uint8Array,
  frame: { time: number; dir: number; src: number; dst: number; df: boolean; length: number },
): Packet {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  let at = 12;
  while (at < bytes.length) {
    const length = view.getUint16(at + 2);
    if (length < 4 || at + length > bytes.length)
      throw new Error(`chunk of ${length} bytes at ${at} of ${bytes.length}`);
    const body = bytes.slice(at + 4, at + length);
    chunks.push({ type: bytes[at] as number, flags: bytes[at + 1] as number, body, view: new DataView(body.buffer) });
    at += (length + 3) & ~3;
  }
  const zeroed = bytes.slice();
  zeroed.fill(0, 8, 12);
  return {
    time: frame.time,
    dir: frame.dir,
    src: frame.src,
    dst: frame.dst,
    sport: view.getUint16(0),
    dport: view.getUint16(2),
    tag: view.getUint32(4),
    df: frame.df,
    ipLength: frame.length,
    checksumOk: crc32c(zeroed) === view.getUint32(8, true),
    chunks,
    text: chunks.map((chunk) => NAMES[chunk.type] ?? `${chunk.type}`).join("+"),
  };
}

/** A packet of chunks, with its checksum. */
export function makeSctp(sport: number, dport: number, tag: number, chunks: readonly Uint8Array[]): Uint8Array {
  const padded = chunks.map((chunk) => (chunk.length + 3) & ~3);
  const out = new Uint8Array(12 + padded.reduce((sum, length) => sum + length, 0));
  const view = new DataView(out.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, tag);
  let at = 12;
  chunks.forEach((chunk, i) => {
    out.set(chunk, at);
    at += padded[i] as number;
  });
  view.setUint32(8, crc32c(out), true);
  return out;
}

export function chunk(type: number, body: Uint8Array = new Uint8Array(0), flags = 0): Uint8Array {
  const out = new Uint8Array(4 + body.length);
  out[0] = type;
  out[1] = flags;
  new DataView(out.buffer).setUint16(2, out.length);
  out.set(body, 4);
  return out;
}

/** Big-endian words. */
export function words(...values: number[]): Uint8Array {
  const out = new Uint8Array(4 * values.length);
  const view = new DataView(out.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value >>> 0);
  return out;
}

export function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 31 + ((from + i) >> 8)) & 255);
}

export interface Message {
  readonly data: Uint8Array;
  readonly stream: number;
  readonly ssn: number;
  readonly ppid: number;
  readonly tsn: number;
  readonly end: boolean;
  readonly unordered: boolean;
}

export class SctpNet extends Net {
  listen(ns: number, port: number, backlog = 128): number {
    const sk = this.x["sctpOpen"](ns) as number;
    const bound = this.x["sctpBind"](sk, 0, port) as number;
    if (bound !== 0) throw new Error(`bind ${port}: ${bound}`);
    const listening = this.x["sctpListen"](sk, backlog) as number;
    if (listening !== 0) throw new Error(`listen ${port}: ${listening}`);
    return sk;
  }

  connect(ns: number, address: string, port: number): number {
    const sk = this.x["sctpOpen"](ns) as number;
    const result = this.x["sctpConnect"](sk, ip(address), port) as number;
    if (result !== 0) throw new Error(`connect: ${result}`);
    return sk;
  }

  state(sk: number): number {
    return this.x["sctpState"](sk) as number;
  }

  error(sk: number): number {
    return this.x["sockTakeError"](sk) as number;
  }

  write(sk: number, data: Uint8Array, stream = 0, ppid = 0, unordered = 0): number {
    const at = this.x["scratch"]() as number;
    this.k.put(at, data);
    return this.x["sctpSend"](sk, at, data.length, stream, ppid, unordered) as number;
  }

  /** The next piece of a message, or the result below or equal to 0. */
  read(sk: number, max = 262_000): Message | number {
    const got = this.x["sctpRecv"](sk, max) as number;
    if (got <= 0) return got;
    const at = this.x["scratch"]() as number;
    const view = this.k.view();
    const u = (offset: number) => view.getUint32(at + offset, true);
    return {
      data: this.k.get(at + abi.SCTPMSG_DATA, got),
      stream: u(abi.SCTPMSG_STREAM),
      ssn: u(abi.SCTPMSG_SSN),
      ppid: u(abi.SCTPMSG_PPID),
      tsn: u(abi.SCTPMSG_TSN),
      end: (u(abi.SCTPMSG_FLAGS) & abi.SCTPMSG_F_EOR) !== 0,
      unordered: (u(abi.SCTPMSG_FLAGS) & abi.SCTPMSG_F_UNORDERED) !== 0,
    };
  }

  info(
    sk: number,
  ): Record<"rwnd" | "unacked" | "cwnd" | "rto" | "frag" | "retrans" | "pending" | "out" | "in", number> {
    this.x["sctpInfo"](sk);
    const at = this.x["scratch"]() as number;
    const view = this.k.view();
    const u = (offset: number) => view.getUint32(at + offset, true);
    return {
      rwnd: u(abi.SCTPINFO_RWND),
      unacked: u(abi.SCTPINFO_UNACKED),
      cwnd: u(abi.SCTPINFO_CWND),
      rto: u(abi.SCTPINFO_RTO),
      frag: u(abi.SCTPINFO_FRAG_POINT),
      retrans: u(abi.SCTPINFO_RETRANS),
      pending: u(abi.SCTPINFO_PENDING),
      out: u(abi.SCTPINFO_OUTSTREAMS),
      in: u(abi.SCTPINFO_INSTREAMS),
    };
  }

  packets(point: number): Packet[] {
    return this.takeIp(point)
      .filter((frame) => frame.protocol === 132 && frame.offset === 0 && !frame.mf)
      .map((frame) => parse(frame.payload, frame));
  }

  override drops(host: number, reason: number): number {
    const at = this.x["hostDrops"](host) as number;
    return Number(this.k.view().getBigUint64(at + 8 * reason, true));
  }
}

/** Two hosts on a wire, 192.168.77.11 and .12; what the first one sends and receives is captured. */
export class Two {
  readonly net = new SctpNet();
  readonly hosts: number[];
  readonly ns: number[];
  readonly devs: number[];
  readonly point: number;

  constructor(mtu = 1500) {
    this.hosts = [this.net.host(), this.net.host()];
    this.ns = this.hosts.map((host) => this.net.root(host));
    for (const ns of this.ns) this.net.lo(ns);
    this.devs = this.hosts.map((host, i) => this.net.nic(host, `192.168.77.1${i + 1}`, 24, { mtu }));
    this.point = this.net.capture(this.devs[0] as number);
  }

  /** An association from the first host to the second. */
  pair(port = 9999): { client: number; server: number; listener: number } {
    const listener = this.net.listen(this.ns[1] as number, port);
    const client = this.net.connect(this.ns[0] as number, "192.168.77.12", port);
    for (let i = 0; i < 200; i++) {
      this.net.run(50 * MS);
      const server = this.net.x["sctpAccept"](listener) as number;
      if (server > 0) return { client, server, listener };
    }
    throw new Error("no association");
  }

  /** What the first host's wire has seen: direction and chunks. */
  seen(): string[] {
    return this.net.packets(this.point).map((packet) => {
      if (!packet.checksumOk) throw new Error("checksum");
      return `${packet.dir === 1 ? "<" : ">"} ${packet.text}`;
    });
  }
}

export { makeIp };
