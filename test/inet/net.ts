/** A small network on the bare kernel for the tests of inet/ and sockets: hosts, links, captured frames. */
import * as abi from "../../assembly/abi.ts";
import { loadKernel, type RawKernel } from "../support/wasm.ts";

export const MS = 1e6;
export const SEC = 1e9;
const FOREVER = 0xffffffff;

export function ip(text: string): number {
  return text.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}

export interface Frame {
  readonly time: number;
  readonly point: number;
  readonly dir: number;
  readonly bytes: Uint8Array;
}

export interface IpFrame extends Frame {
  readonly tos: number;
  readonly length: number;
  readonly id: number;
  readonly df: boolean;
  readonly mf: boolean;
  readonly offset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly src: number;
  readonly dst: number;
  /** Behind the IP header. */
  readonly payload: Uint8Array;
}

export interface Neighbour {
  readonly ip: number;
  readonly state: number;
  readonly probes: number;
  readonly mac: bigint;
  readonly used: number;
  readonly confirmed: number;
  readonly updated: number;
}

export interface Received {
  readonly data: Uint8Array;
  readonly src: number;
  readonly sport: number;
  readonly dst: number;
  readonly ttl: number;
  readonly time: number;
  readonly type: number;
  readonly code: number;
  readonly id: number;
  readonly seq: number;
  readonly info: number;
}

export class Net {
  readonly k: RawKernel = loadKernel();
  readonly x = this.k.x;
  readonly frames: Frame[] = [];
  readonly hosts: number[] = [];
  #points = 0;

  host(): number {
    const i = this.hosts.length;
    const host = this.x["hostNew"](i, 11 + i, 22 + i, 33 + i, 44 + i) as number;
    this.hosts.push(host);
    return host;
  }

  root(host: number): number {
    return this.x["hostRoot"](host) as number;
  }

  /** A NIC on segment 0 with an address, up. */
  nic(
    host: number,
    address: string,
    prefix = 24,
    options: { mtu?: number; delay?: number; segment?: number } = {},
  ): number {
    const index = this.hosts.indexOf(host);
    const low = 0x00770000 + (ip(address) & 0xffff);
    const port = this.x["portNew"](options.segment ?? 0, index, 0, 0x5254, low, options.delay ?? 50_000, 1e10);
    const dev = this.x["linkNewNic"](this.root(host), port) as number;
    if (options.mtu !== undefined) this.x["linkSetMtu"](dev, options.mtu);
    this.named(dev, `eth${this.#points}`);
    this.addr(dev, address, prefix);
    this.up(dev);
    return dev;
  }

  veth(nsA: number, nsB: number, names: [string, string], macs: [number, number]): [number, number] {
    const a = this.x["linkNewVeth"](nsA, nsB) as number;
    const view = this.k.view();
    const info = this.x["linkInfo"](a) as number;
    const peerIndex = view.getUint32(info + 52, true);
    const b = this.x["linkByIndex"](nsB, peerIndex) as number;
    this.named(a, names[0]);
    this.named(b, names[1]);
    this.x["linkSetMac"](a, 0x0242, macs[0]);
    this.x["linkSetMac"](b, 0x0242, macs[1]);
    return [a, b];
  }

  named(dev: number, name: string): void {
    this.k.name(name);
    this.x["linkSetName"](dev);
  }

  addr(dev: number, address: string, prefix: number, broadcast = 0): void {
    const scope = address.startsWith("127.") ? abi.SCOPE_HOST : abi.SCOPE_GLOBAL;
    const result = this.x["addressAdd"](dev, ip(address), prefix, broadcast, scope) as number;
    if (result !== 0) throw new Error(`addressAdd ${address}: ${result}`);
  }

  up(dev: number): void {
    this.x["linkSetUp"](dev, 1);
  }

  down(dev: number): void {
    this.x["linkSetUp"](dev, 0);
  }

  lo(ns: number): number {
    const dev = this.x["linkFirst"](ns) as number;
    this.up(dev);
    return dev;
  }

  /** Records what passes a device; returns the capture point. */
  capture(dev: number, snaplen = 65535): number {
    this.x["linkSetCapture"](dev, ++this.#points, snaplen);
    return this.#points;
  }

  sysctl(ns: number, id: number, value: number): void {
    this.x["inetSysctlSet"](ns, id, value);
  }

  conf(ns: number, which: number, id: number, value: number): void {
    this.x["inetConfSet"](ns, which, id, value);
  }

  get now(): number {
    return this.x["time"]() as number;
  }

  /** Runs for `ns` nanoseconds. */
  run(ns: number): void {
    const until = this.now + ns;
    for (;;) {
      const code = this.x["run"](until, FOREVER) as number;
      this.x["clearWakes"]();
      this.drain();
      if (code === abi.RUN_DONE) return;
    }
  }

  drain(): void {
    const view = this.k.view();
    let at = this.x["captureBuffer"]() as number;
    const end = at + (this.x["captureUsed"]() as number);
    while (at < end) {
      const caplen = view.getUint32(at + abi.CAP_CAPLEN, true);
      this.frames.push({
        time: Number(view.getBigUint64(at + abi.CAP_TIME, true)),
        point: view.getUint32(at + abi.CAP_POINT, true),
        dir: view.getUint32(at + abi.CAP_DIR, true),
        bytes: this.k.get(at + abi.CAP_HEADER, caplen),
      });
      at += (abi.CAP_HEADER + caplen + 7) & ~7;
    }
    this.x["captureClear"]();
  }

  /** The frames captured since the last call, of one point. */
  take(point: number): Frame[] {
    this.drain();
    const taken = this.frames.filter((frame) => frame.point === point);
    this.frames.length = 0;
    return taken;
  }

  takeIp(point: number): IpFrame[] {
    return this.take(point)
      .filter((frame) => frame.bytes[12] === 8 && frame.bytes[13] === 0)
      .map(parseIp);
  }

  neighbours(ns: number): Neighbour[] {
    const count = this.x["neighDump"](ns, 0) as number;
    const at = this.x["scratch"]() as number;
    const view = this.k.view();
    return Array.from({ length: count }, (_, i) => {
      const r = at + i * abi.NEIGH_RECORD;
      return {
        ip: view.getUint32(r + abi.NEIGH_IP, true),
        state: view.getUint32(r + abi.NEIGH_STATE, true),
        probes: view.getUint32(r + abi.NEIGH_PROBES, true),
        mac: view.getBigUint64(r + abi.NEIGH_MAC, true),
        used: Number(view.getBigInt64(r + abi.NEIGH_USED, true)),
        confirmed: Number(view.getBigInt64(r + abi.NEIGH_CONFIRMED, true)),
        updated: Number(view.getBigInt64(r + abi.NEIGH_UPDATED, true)),
      };
    });
  }

  neighState(ns: number, address: string): number | undefined {
    return this.neighbours(ns).find((n) => n.ip === ip(address))?.state;
  }

  /** Fills scratch with a pattern (or bytes). */
  fill(data: number | Uint8Array): number {
    const at = this.x["scratch"]() as number;
    const bytes = typeof data === "number" ? Uint8Array.from({ length: data }, (_, i) => i & 255) : data;
    this.k.put(at, bytes);
    return bytes.length;
  }

  ping(sk: number, dst: string, seq: number, data: number | Uint8Array = 56): number {
    const length = this.fill(data);
    return this.x["icmpSendEcho"](sk, ip(dst), seq, length) as number;
  }

  sendTo(sk: number, dst: string, port: number, data: number | Uint8Array): number {
    const length = this.fill(data);
    return this.x["udpSendTo"](sk, ip(dst), port, length) as number;
  }

  send(sk: number, data: number | Uint8Array): number {
    const length = this.fill(data);
    return this.x["udpSendConnected"](sk, length) as number;
  }

  recv(sk: number, how: "udpRecv" | "icmpRecv" | "rawRecv" = "udpRecv"): Received | undefined {
    const length = this.x[how](sk) as number;
    if (length < 0) return undefined;
    const at = this.x["scratch"]() as number;
    const view = this.k.view();
    const u32 = (offset: number) => view.getUint32(at + offset, true);
    const result = {
      data: this.k.get(u32(abi.DGRAM_DATA), length),
      src: u32(abi.DGRAM_SRC),
      sport: u32(abi.DGRAM_SPORT),
      dst: u32(abi.DGRAM_DST),
      ttl: u32(abi.DGRAM_TTL),
      time: Number(view.getBigInt64(at + abi.DGRAM_TIME, true)),
      type: u32(abi.DGRAM_TYPE),
      code: u32(abi.DGRAM_CODE),
      id: u32(abi.DGRAM_ID),
      seq: u32(abi.DGRAM_SEQ),
      info: u32(abi.DGRAM_INFO),
    };
    this.x["dgramDone"](sk);
    return result;
  }

  local(sk: number): { ip: number; port: number } {
    const at = this.x["sockLocal"](sk) as number;
    const view = this.k.view();
    return { ip: view.getUint32(at, true), port: view.getUint32(at + 4, true) };
  }

  snmp(ns: number, index: number): number {
    const at = this.x["snmpCounters"](ns) as number;
    return Number(this.k.view().getBigUint64(at + index * 8, true));
  }

  drops(host: number, reason: number): number {
    const at = this.x["hostDrops"](host) as number;
    return Number(this.k.view().getBigUint64(at + reason * 8, true));
  }

  /** made + arrived − delivered − dropped − sent − live: 0 at every moment. */
  imbalance(host: number): bigint {
    const at = this.x["hostPackets"](host) as number;
    const view = this.k.view();
    const [made, done, dropped, sent, arrived] = [0, 8, 16, 24, 32].map((o) => view.getBigUint64(at + o, true)) as [
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    return made + arrived - done - dropped - sent - view.getBigInt64(at + 40, true);
  }

  live(host: number): number {
    const at = this.x["hostPackets"](host) as number;
    return Number(this.k.view().getBigInt64(at + 40, true));
  }

  routes(ns: number, table: number): string[] {
    const count = this.x["routeDump"](ns, table, 0) as number;
    const at = this.x["scratch"]() as number;
    const view = this.k.view();
    return Array.from({ length: count }, (_, i) => {
      const u = (o: number) => view.getUint32(at + i * abi.ROUTE_RECORD + o, true);
      const via = u(abi.ROUTE_VIA) ? ` via ${dotted(u(abi.ROUTE_VIA))}` : "";
      const src = u(abi.ROUTE_SRC) ? ` src ${dotted(u(abi.ROUTE_SRC))}` : "";
      const metric = u(abi.ROUTE_METRIC) ? ` metric ${u(abi.ROUTE_METRIC)}` : "";
      return `${u(abi.ROUTE_TYPE)} ${dotted(u(abi.ROUTE_DST))}/${u(abi.ROUTE_PREFIX)}${via} dev ${u(abi.ROUTE_DEV)} proto ${u(abi.ROUTE_PROTOCOL)} scope ${u(abi.ROUTE_SCOPE)}${src}${metric}`;
    });
  }

  routeGet(
    ns: number,
    dst: string,
    src = 0,
  ): { dev: number; via: number; src: number; type: number; mtu: number } | number {
    const error = this.x["routeGet"](ns, ip(dst), src, 0) as number;
    if (error !== 0) return error;
    const at = this.x["scratch"]() as number;
    const u = (o: number) => this.k.view().getUint32(at + o, true);
    return {
      dev: u(abi.RTGET_DEV),
      via: u(abi.RTGET_VIA),
      src: u(abi.RTGET_SRC),
      type: u(abi.RTGET_TYPE),
      mtu: u(abi.RTGET_MTU),
    };
  }
}

export function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

export function parseIp(frame: Frame): IpFrame {
  const b = frame.bytes.subarray(14);
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  const field = view.getUint16(6);
  return {
    ...frame,
    tos: view.getUint8(1),
    length: view.getUint16(2),
    id: view.getUint16(4),
    df: (field & 0x4000) !== 0,
    mf: (field & 0x2000) !== 0,
    offset: field & 0x1fff,
    ttl: view.getUint8(8),
    protocol: view.getUint8(9),
    src: view.getUint32(12),
    dst: view.getUint32(16),
    payload: b.subarray((view.getUint8(0) & 15) * 4, view.getUint16(2)),
  };
}

/** The Internet checksum over bytes: 0 when they contain a right one. */
export function checksum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An IPv4 packet with a right header checksum. */
export function makeIp(fields: {
  src: string;
  dst: string;
  protocol: number;
  payload: Uint8Array;
  id?: number;
  frag?: number;
  ttl?: number;
  tos?: number;
}): Uint8Array {
  const out = new Uint8Array(20 + fields.payload.length);
  const view = new DataView(out.buffer);
  view.setUint8(0, 0x45);
  view.setUint8(1, fields.tos ?? 0);
  view.setUint16(2, out.length);
  view.setUint16(4, fields.id ?? 0);
  view.setUint16(6, fields.frag ?? 0);
  view.setUint8(8, fields.ttl ?? 64);
  view.setUint8(9, fields.protocol);
  view.setUint32(12, ip(fields.src));
  view.setUint32(16, ip(fields.dst));
  view.setUint16(10, checksum(out.subarray(0, 20)));
  out.set(fields.payload, 20);
  return out;
}
