/** Hosts on wires, for the tests of the underlay: what is sent by whom when, and when it comes to whom. */
import { BROADCAST, eth, LinkNet } from "./frames.ts";

/** A Gbit/s. */
export const G = 1e9;

/** A frame that came to a NIC. */
export interface Arrival {
  time: number;
  point: number;
  bytes: Uint8Array;
}

/** Hosts with a NIC each on a segment; frames leave by a packet socket that is as bare as can be: a raw bridge. */
export class Wire extends LinkNet {
  readonly nics: number[] = [];
  readonly ports: number[] = [];
  readonly taps: number[] = [];
  readonly points: number[] = [];

  /** A host whose NIC is a port of a bridge: a frame injected at the tap goes out of the NIC as it is. */
  attach(options: { delay?: number; rate?: number; segment?: number; leaf?: number; address?: number } = {}): number {
    const index = this.nics.length;
    const host = this.host();
    const { delay = 50_000, rate = 10 * G, segment = 0 } = options;
    const port = this.x["portNew"](segment, index, 0, 0x5254, 0x770000 + index, delay, rate) as number;
    if (options.leaf !== undefined) this.x["portPlug"](port, options.leaf, options.address ?? 0);
    const nic = this.x["linkNewNic"](this.root(host), port) as number;
    this.x["linkSetMtu"](nic, 9000);
    this.up(nic);
    const bridge = this.bridge(this.root(host), `br${index}`);
    const far = this.x["netnsNew"](host) as number;
    const tap = this.x["linkNewVeth"](this.root(host), far) as number;
    this.setMac(tap, `0266${index.toString(16).padStart(8, "0")}`);
    this.x["linkSetMtu"](tap, 9000);
    this.up(tap);
    this.x["linkSetMaster"](tap, bridge);
    this.x["linkSetMaster"](nic, bridge);
    this.nics.push(nic);
    this.ports.push(port);
    this.taps.push(tap);
    this.points.push(this.capture(nic));
    return index;
  }

  address(index: number): string {
    return `5254${(0x770000 + index).toString(16).padStart(8, "0")}`;
  }

  /** Sends a frame with an IP length of `length` from host to host, tagged. */
  transmit(from: number, to: number | "all", length: number, tag = 0): void {
    const payload = new Uint8Array(length).fill(tag);
    const dst = to === "all" ? BROADCAST : this.address(to);
    this.inject(
      this.taps[from] as number,
      eth(dst, `0299000000${from.toString(16).padStart(2, "0")}`, 0x88b5, payload),
    );
  }

  set(
    index: number,
    options: { down?: boolean; delay?: number; rate?: number; loss?: number; queue?: number; group?: number },
  ): void {
    const { down = false, delay = 50_000, rate = 10 * G, loss = 0, queue = 1_538_000, group = 0 } = options;
    this.x["portSet"](this.ports[index], down ? 1 : 0, delay, rate, Math.round(loss * 2 ** 32), queue, group);
  }

  arrivals(): Arrival[] {
    this.run(1e9);
    const got = this.frames.filter((frame) => frame.dir === 1);
    const points = new Map(this.points.map((point, index) => [point, index]));
    this.frames.length = 0;
    return got.map((frame) => ({ time: frame.time, point: points.get(frame.point) ?? -1, bytes: frame.bytes }));
  }
}
