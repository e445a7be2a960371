/** Frames, and a bridge with ports in a namespace, for the tests of link/. */
import * as abi from "../../assembly/abi.ts";
import { Net } from "../inet/net.ts";

export const BROADCAST = "ffffffffffff";

/** A MAC address as 12 hexadecimal digits. */
export function mac(last: number): string {
  return `0242${last.toString(16).padStart(8, "0")}`;
}

export function eth(dst: string, src: string, type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(14 + payload.length);
  for (let i = 0; i < 6; i++) {
    bytes[i] = Number.parseInt(dst.slice(2 * i, 2 * i + 2), 16);
    bytes[6 + i] = Number.parseInt(src.slice(2 * i, 2 * i + 2), 16);
  }
  bytes[12] = type >> 8;
  bytes[13] = type & 255;
  bytes.set(payload, 14);
  return bytes;
}

/** A frame of an ethertype that no stack handles. */
export function plain(dst: string, src: string, length = 60, type = 0x88b5): Uint8Array {
  return eth(
    dst,
    src,
    type,
    Uint8Array.from({ length: length - 14 }, (_, i) => i & 255),
  );
}

export interface Info {
  readonly kind: number;
  readonly ifindex: number;
  readonly flags: number;
  readonly mtu: number;
  readonly mac: string;
  readonly master: number;
  readonly portNo: number;
  readonly carrier: number;
  readonly rx: { packets: number; bytes: number; errors: number; dropped: number };
  readonly tx: { packets: number; bytes: number; errors: number; dropped: number };
}

export interface FdbRow {
  readonly mac: string;
  readonly flags: number;
  readonly port: number;
  readonly vtep: number;
}

/** A net with the calls of link/border in short. */
export class LinkNet extends Net {
  info(dev: number): Info {
    const at = this.x["linkInfo"](dev) as number;
    const view = this.k.view();
    const u = (offset: number) => view.getUint32(at + offset, true);
    const count = (offset: number) => Number(view.getBigUint64(at + offset, true));
    const four = (offset: number) => ({
      packets: count(offset),
      bytes: count(offset + 8),
      errors: count(offset + 16),
      dropped: count(offset + 24),
    });
    const address = view
      .getBigUint64(at + 16, true)
      .toString(16)
      .padStart(12, "0");
    return {
      kind: u(0),
      ifindex: u(4),
      flags: u(8),
      mtu: u(12),
      mac: address,
      master: u(44),
      portNo: u(48),
      carrier: u(60),
      rx: four(64),
      tx: four(96),
    };
  }

  fdb(dev: number): FdbRow[] {
    const count = this.x["fdbDump"](dev, 0) as number;
    const at = this.x["scratch"]() as number;
    const view = this.k.view();
    return Array.from({ length: count }, (_, i) => {
      const r = at + 48 * i;
      return {
        mac: view.getBigUint64(r, true).toString(16).padStart(12, "0"),
        flags: view.getUint32(r + 8, true),
        port: view.getUint32(r + 12, true),
        vtep: view.getUint32(r + 16, true),
      };
    });
  }

  /** Entries that were learned: neither the bridge's own nor static. */
  learned(dev: number): string[] {
    return this.fdb(dev)
      .filter((row) => row.flags === 0)
      .map((row) => `${row.mac} ${row.port || row.vtep}`);
  }

  setMac(dev: number, address: string): void {
    this.x["linkSetMac"](dev, Number.parseInt(address.slice(0, 4), 16), Number.parseInt(address.slice(4), 16));
  }

  inject(dev: number, frame: Uint8Array): void {
    this.k.put(this.x["scratch"]() as number, frame);
    this.x["linkInject"](dev, frame.length);
  }

  bridge(ns: number, name: string): number {
    const dev = this.x["linkNewBridge"](ns, -1) as number;
    this.named(dev, name);
    this.up(dev);
    return dev;
  }

  /** A veth whose first end is a port (already captured) of the bridge and whose other end stands in `farNs`, up. */
  port(bridge: number, ns: number, farNs: number, index: number): { port: number; far: number; point: number } {
    const [port, far] = this.veth(ns, farNs, [`p${index}`, `f${index}`], [0x10000 + index, 0x20000 + index]);
    this.up(port);
    this.up(far);
    const error = this.x["linkSetMaster"](port, bridge) as number;
    if (error !== 0) throw new Error(`linkSetMaster: ${error}`);
    return { port, far, point: this.capture(port) };
  }

  /** Capture points out of which frames went since the last call, in order. */
  out(): number[] {
    this.drain();
    const points = this.frames.filter((frame) => frame.dir === 2).map((frame) => frame.point);
    this.frames.length = 0;
    return points;
  }

  allDrops(host: number): Map<number, number> {
    const at = this.x["hostDrops"](host) as number;
    const view = this.k.view();
    const counts = new Map<number, number>();
    for (let reason = 0; reason < abi.DROP_REASONS; reason++) {
      const count = Number(view.getBigUint64(at + 8 * reason, true));
      if (count !== 0) counts.set(reason, count);
    }
    return counts;
  }
}
