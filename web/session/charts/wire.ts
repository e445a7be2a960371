/**
 * What passes the hosts' wires, from captured frames: bits by host and by what they carry, and how long a frame takes from
 * one host's NIC to the other's. Frames have exact times, so nothing of it is sampled.
 */
import type { CapturedFrame, CapturePoint } from "../../../src/scheduler/captures.ts";
import type { Timeline } from "./timeline.ts";

/** CapturedFrame.direction: sent by the device. */
const SENT = 2;
/** Frames on their way that are remembered. */
const MOST_UNDERWAY = 16_384;

const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806 } as const;
const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, esp: 50 } as const;
const PORT = { vxlan: 4789, gossip: 7946, swarm: 2377 } as const;
const IP = 14;

const u16 = (data: Uint8Array, at: number): number => ((data[at] as number) << 8) | (data[at + 1] as number);

/** What a frame carries, outermost: `VNI 4097`, `ESP`, `gossip`, `swarm`, `ARP`, or `other`; an overlay's VNI as a number. */
function carried(data: Uint8Array): number | "ESP" | "gossip" | "swarm" | "ARP" | "other" {
  if (data.length < IP) return "other";
  const type = u16(data, 12);
  if (type === ETHERTYPE.arp) return "ARP";
  if (type !== ETHERTYPE.ipv4 || data.length < IP + 20) return "other";
  const protocol = data[IP + 9];
  if (protocol === PROTOCOL.esp) return "ESP";
  const transport = IP + 4 * ((data[IP] as number) & 15);
  const first = (u16(data, IP + 6) & 0x1fff) === 0;
  const hasPorts = protocol === PROTOCOL.udp || protocol === PROTOCOL.tcp;
  if (!hasPorts || !first || data.length < transport + 8) return "other";
  const [source, destination] = [u16(data, transport), u16(data, transport + 2)];
  if (source === PORT.gossip || destination === PORT.gossip) return "gossip";
  if (protocol === PROTOCOL.tcp) return source === PORT.swarm || destination === PORT.swarm ? "swarm" : "other";
  if (destination !== PORT.vxlan || data.length < transport + 16) return "other";
  return (u16(data, transport + 12) << 8) | (data[transport + 14] as number);
}

/** What a frame carries, in words: `VNI 4097`, `ESP`, `gossip`, `swarm`, `ARP`, or `other`. */
export function trafficOf(data: Uint8Array): string {
  const what = carried(data);
  return typeof what === "number" ? `VNI ${what}` : what;
}

/** A unicast frame that isn't a later fragment: one sent, one received. */
function measurable(data: Uint8Array): boolean {
  if (data.length < IP + 8 || ((data[0] as number) & 1) !== 0) return false;
  const ipv4 = data[12] === 0x08 && data[13] === 0;
  return !ipv4 || ((((data[IP + 6] as number) & 0x1f) << 8) | (data[IP + 7] as number)) === 0;
}

/** Counts frames as they are captured. */
export class WireMeter {
  readonly #timeline: Timeline;
  readonly #isNat: (point: CapturePoint) => boolean;
  /** The point of each host at which its wire begins (behind a NAT, the NAT's), and its bits. */
  readonly #wires = new Map<number, { readonly point: number; readonly bits: Float64Array }>();
  /** Bits by what is carried. */
  readonly #traffic = new Map<ReturnType<typeof carried>, Float64Array>();
  readonly #frames: Float64Array;
  readonly #bits: Float64Array;
  /** When packets were sent that are on their way, by journey. */
  readonly #underway = new Map<number, number>();

  /** @param isNat the point is a NAT's, between a host and its wire */
  constructor(timeline: Timeline, isNat: (point: CapturePoint) => boolean) {
    this.#timeline = timeline;
    this.#isNat = isNat;
    this.#frames = timeline.values("frames");
    this.#bits = timeline.values("bits");
  }

  point(point: CapturePoint): void {
    if (this.#isNat(point) || (point.namespace === "host" && !this.#wires.has(point.hostIndex)))
      this.#wires.set(point.hostIndex, { point: point.id, bits: this.#timeline.values(`host ${point.host}`) });
  }

  frame({ time, hostIndex, point, direction, length, data, journey }: CapturedFrame): void {
    const wire = this.#wires.get(hostIndex);
    if (wire?.point !== point) return;
    if (direction !== SENT) {
      const sent = this.#underway.get(journey);
      if (sent === undefined || !measurable(data)) return;
      this.#underway.delete(journey);
      this.#timeline.delay(time, time - sent);
      return;
    }
    const bucket = this.#timeline.bucketOf(time);
    this.#frames[bucket] = (this.#frames[bucket] as number) + 1;
    for (const bits of [this.#bits, wire.bits, this.#bitsOf(data)])
      bits[bucket] = (bits[bucket] as number) + 8 * length;
    if (!measurable(data)) return;
    this.#underway.set(journey, time);
    if (this.#underway.size <= MOST_UNDERWAY) return;
    // Lost ones never arrive: the oldest goes.
    for (const oldest of this.#underway.keys()) {
      this.#underway.delete(oldest);
      break;
    }
  }

  #bitsOf(data: Uint8Array): Float64Array {
    const what = carried(data);
    let bits = this.#traffic.get(what);
    if (bits === undefined) {
      bits = this.#timeline.values(`traffic ${trafficOf(data)}`);
      this.#traffic.set(what, bits);
    }
    return bits;
  }
}
