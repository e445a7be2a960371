/** TCP between hosts of the bare kernel, and against a peer made by hand, for the tests of assembly/socket/tcp*. */
import * as abi from "../../assembly/abi.ts";
import { checksum, ip, MS, makeIp, Net, SEC } from "../inet/net.ts";

export { ip, MS, SEC };

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

/** A TCP segment as it was seen on a device. */
export interface Segment {
  readonly time: number;
  readonly dir: number;
  readonly src: number;
  readonly dst: number;
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly options: Uint8Array;
  readonly data: Uint8Array;
  readonly ipid: number;
  readonly df: boolean;
  readonly ttl: number;
  readonly tos: number;
  readonly checksumOk: boolean;
}

export interface SegmentFields {
  seq: number;
  ack?: number;
  flags: number;
  window?: number;
  options?: Uint8Array;
  data?: Uint8Array;
}

export interface Options {
  mss?: number;
  sackOk?: boolean;
  wscale?: number;
  ts?: [tsval: number, tsecr: number];
  sack?: [start: number, end: number][];
}

/** Reads the options of a segment. */
export function readOptions(bytes: Uint8Array): Options {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out: Options = {};
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at];
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const len = bytes[at + 1] ?? 0;
    if (kind === 2) out.mss = view.getUint16(at + 2);
    if (kind === 3) out.wscale = bytes[at + 2] ?? 0;
    if (kind === 4) out.sackOk = true;
    if (kind === 8) out.ts = [view.getUint32(at + 2), view.getUint32(at + 6)];
    if (kind === 5) {
      out.sack = [];
      for (let b = at + 2; b < at + len; b += 8) out.sack.push([view.getUint32(b), view.getUint32(b + 4)]);
    }
    if (len < 2) break;
    at += len;
  }
  return out;
}

/** Options as Linux lays them out. */
export function writeOptions(options: Options): Uint8Array {
  const out: number[] = [];
  const u32 = (v: number) => out.push((v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255);
  if (options.mss !== undefined) out.push(2, 4, options.mss >> 8, options.mss & 255);
  if (options.sackOk) out.push(...(options.ts ? [4, 2] : [1, 1, 4, 2]));
  if (options.ts) {
    if (!options.sackOk) out.push(1, 1);
    out.push(8, 10);
    u32(options.ts[0]);
    u32(options.ts[1]);
  }
  if (options.wscale !== undefined) out.push(1, 3, 3, options.wscale);
  if (options.sack) {
    out.push(1, 1, 5, 2 + 8 * options.sack.length);
    for (const [start, end] of options.sack) {
      u32(start);
      u32(end);
    }
  }
  return Uint8Array.from(out);
}

export function flagText(flags: number): string {
  return ["F", "S", "R", "P", "."].filter((_, i) => flags & (1 << i)).join("");
}

export interface Pair {
  client: number;
  server: number;
  listener: number;
}

export class TcpNet extends Net {
  /** A socket, bound when asked. */
  open(ns: number): number {
    return this.x["tcpOpen"](ns) as number;
  }

  listen(ns: number, port: number, backlog = 128): number {
    const sk = this.open(ns);
    const bound = this.x["tcpBind"](sk, 0, port) as number;
    if (bound !== 0) throw new Error(`bind ${port}: ${bound}`);
    const listening = this.x["tcpListen"](sk, backlog) as number;
    if (listening !== 0) throw new Error(`listen ${port}: ${listening}`);
    return sk;
  }

  connect(ns: number, address: string, port: number): number {
    const sk = this.open(ns);
    const result = this.x["tcpConnect"](sk, ip(address), port) as number;
    if (result !== 0) throw new Error(`connect: ${result}`);
    return sk;
  }

  state(sk: number): number {
    return this.x["tcpState"](sk) as number;
  }

  /** A connection from one namespace to a listener in another. */
  pair(from: number, to: number, address: string, port = 80): Pair {
    const listener = this.listen(to, port);
    const client = this.connect(from, address, port);
    for (let i = 0; i < 200; i++) {
      const server = this.x["tcpAccept"](listener) as number;
      if (server > 0) return { client, server, listener };
      this.run(50 * MS);
    }
    throw new Error("no connection");
  }

  write(sk: number, data: Uint8Array): number {
    this.k.put(this.x["scratch"]() as number, data);
    return this.x["tcpSend"](sk, this.x["scratch"]() as number, data.length) as number;
  }

  read(sk: number, max = 65536): Uint8Array | number {
    const at = this.x["scratch"]() as number;
    const got = this.x["tcpRecv"](sk, at, max) as number;
    return got <= 0 ? got : this.k.get(at, got);
  }

  info(sk: number): Record<string, number> {
    this.x["tcpInfo"](sk);
    const at = this.x["scratch"]() as number;
    const view = this.k.view();
    const u = (offset: number) => view.getUint32(at + offset, true);
    return {
      state: u(abi.TCPINFO_STATE),
      caState: u(abi.TCPINFO_CA_STATE),
      srtt: u(abi.TCPINFO_SRTT),
      rto: u(abi.TCPINFO_RTO),
      cwnd: u(abi.TCPINFO_CWND),
      ssthresh: u(abi.TCPINFO_SSTHRESH),
      mss: u(abi.TCPINFO_MSS),
      retrans: u(abi.TCPINFO_RETRANS),
      totalRetrans: u(abi.TCPINFO_TOTAL_RETRANS),
      rcvWnd: u(abi.TCPINFO_RCV_WND),
      rcvSpace: u(abi.TCPINFO_RCV_SPACE),
      unacked: u(abi.TCPINFO_UNACKED),
      lost: u(abi.TCPINFO_LOST),
      sacked: u(abi.TCPINFO_SACKED),
      pmtu: u(abi.TCPINFO_PMTU),
    };
  }

  segments(point: number): Segment[] {
    return this.takeIp(point)
      .filter((frame) => frame.protocol === 6)
      .map((frame) => {
        const b = frame.payload;
        const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
        const doff = (view.getUint8(12) >> 4) * 4;
        const pseudo = new Uint8Array(12 + b.length);
        const pv = new DataView(pseudo.buffer);
        pv.setUint32(0, frame.src);
        pv.setUint32(4, frame.dst);
        pv.setUint16(8, 6);
        pv.setUint16(10, b.length);
        pseudo.set(b, 12);
        return {
          time: frame.time,
          dir: frame.dir,
          src: frame.src,
          dst: frame.dst,
          sport: view.getUint16(0),
          dport: view.getUint16(2),
          seq: view.getUint32(4),
          ack: view.getUint32(8),
          flags: view.getUint8(13),
          window: view.getUint16(14),
          options: b.slice(20, doff),
          data: b.slice(doff),
          ipid: frame.id,
          df: frame.df,
          ttl: frame.ttl,
          tos: frame.tos,
          checksumOk: checksum(pseudo) === 0,
        };
      });
  }
}

/** Bytes that show where they belong. */
export function pattern(length: number, from = 0): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = ((from + i) * 31 + ((from + i) >> 8)) & 255;
  return out;
}

/**
 * A peer made by hand on the wire of one host: 192.168.77.99, known to its neighbour table, so that nothing but TCP is
 * on the wire. What the host sends is read from its NIC; what the peer sends is put on the wire.
 */
export class Peer {
  readonly net: TcpNet;
  readonly ns: number;
  readonly hostId: number;
  readonly point: number;
  readonly dev: number;
  #order = 0;
  sport = 40000;
  dport = 80;

  constructor(net = new TcpNet(), mtu = 1500) {
    this.net = net;
    this.hostId = net.host();
    this.ns = net.root(this.hostId);
    net.lo(this.ns);
    this.dev = net.nic(this.hostId, "192.168.77.11", 24, { mtu });
    this.point = net.capture(this.dev);
    // No serialisation time: what is put on the wire arrives at once.
    net.x["portSet"](0, 0, 50_000, 1e15, 0, 1e9, 0);
    // The peer's port belongs to another worker: its frames only come from here.
    net.x["portNew"](0, 1, 1, 0x5254, 0x00990099, 50_000, 1e10);
    net.x["neighAdd"](this.dev, ip("192.168.77.99"), 0x5254, 0x00990099, abi.NUD_PERMANENT, 1);
  }

  /** Puts a segment on the wire and runs until it was handled. */
  send(fields: SegmentFields, tamper?: (bytes: Uint8Array) => void): void {
    const options = fields.options ?? new Uint8Array(0);
    const data = fields.data ?? new Uint8Array(0);
    const segment = new Uint8Array(20 + options.length + data.length);
    const view = new DataView(segment.buffer);
    view.setUint16(0, this.sport);
    view.setUint16(2, this.dport);
    view.setUint32(4, fields.seq >>> 0);
    view.setUint32(8, (fields.ack ?? 0) >>> 0);
    view.setUint8(12, (20 + options.length) << 2);
    view.setUint8(13, fields.flags);
    view.setUint16(14, fields.window ?? 65535);
    segment.set(options, 20);
    segment.set(data, 20 + options.length);
    const pseudo = new Uint8Array(12 + segment.length);
    const pv = new DataView(pseudo.buffer);
    pv.setUint32(0, ip("192.168.77.99"));
    pv.setUint32(4, ip("192.168.77.11"));
    pv.setUint16(8, 6);
    pv.setUint16(10, segment.length);
    pseudo.set(segment, 12);
    view.setUint16(16, checksum(pseudo));
    tamper?.(segment);
    this.raw(makeIp({ src: "192.168.77.99", dst: "192.168.77.11", protocol: 6, payload: segment }));
    this.net.run(0);
  }

  /** Puts an IP packet on the wire, to be received now. */
  raw(packet: Uint8Array): void {
    const frame = new Uint8Array(14 + packet.length);
    frame.set([0x52, 0x54, 0x00, 0x77, 0x4d, 0x0b, 0x52, 0x54, 0x00, 0x99, 0x00, 0x99, 0x08, 0x00]);
    frame.set(packet, 14);
    const now = this.net.now;
    const at = this.net.x["wireImport"](
      0,
      Math.floor(now / 2 ** 32),
      now >>> 0,
      0,
      ++this.#order,
      frame.length,
      0,
    ) as number;
    this.net.k.put(at, frame);
  }

  /** Segments the host sent since the last call. */
  sent(): Segment[] {
    return this.net.segments(this.point).filter((s) => s.dir === 2);
  }

  /** The one segment the host sent since the last call. */
  one(): Segment {
    const all = this.sent();
    if (all.length !== 1) throw new Error(`${all.length} segments: ${all.map((s) => flagText(s.flags)).join(" ")}`);
    return all[0]!;
  }

  /** Runs for a while and returns what the host sent meanwhile. */
  wait(ns: number): Segment[] {
    this.net.run(ns);
    return this.sent();
  }
}
