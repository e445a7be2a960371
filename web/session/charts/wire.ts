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

/** What a frame carries, outermost: `VNI 4097`, `ESP`, `gossip`, `swarm`, `ARP`, or `other`. */
export function trafficOf(data: Uint8Array, vxlanPort: number = PORT.vxlan): string {
  if (data.length < IP) return "other";
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const type = view.getUint16(12);
  if (type === ETHERTYPE.arp) return "ARP";
  if (type !== ETHERTYPE.ipv4 || data.length < IP + 20) return "other";
  const protocol = view.getUint8(IP + 9);
  if (protocol === PROTOCOL.esp) return "ESP";
  const transport = IP + 4 * (view.getUint8(IP) & 15);
  const first = (view.getUint16(IP + 6) & 0x1fff) === 0;
  const hasPorts = protocol === PROTOCOL.udp || protocol === PROTOCOL.tcp;
  if (!hasPorts || !first || data.length < transport + 8) return "other";
  const [source, destination] = [view.getUint16(transport), view.getUint16(transport + 2)];
  if (source === PORT.gossip || destination === PORT.gossip) return "gossip";
  if (protocol === PROTOCOL.tcp) return source === PORT.swarm || destination === PORT.swarm ? "swarm" : "other";
  if (destination !== vxlanPort || data.length < transport + 16) return "other";
  return `VNI ${view.getUint32(transport + 12) >>> 8}`;
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
  /** The point of each host at which its wire begins: behind a NAT, the NAT's. */
  readonly #wires = new Map<number, CapturePoint>();
  /** When packets were sent that are on their way, by journey. */
  readonly #underway = new Map<number, number>();

  /** @param isNat the point is a NAT's, between a host and its wire */
  constructor(timeline: Timeline, isNat: (point: CapturePoint) => boolean) {
    this.#timeline = timeline;
    this.#isNat = isNat;
  }

  point(point: CapturePoint): void {
    if (this.#isNat(point) || (point.namespace === "host" && !this.#wires.has(point.hostIndex)))
      this.#wires.set(point.hostIndex, point);
  }

  frame({ time, hostIndex, point, direction, length, data, journey }: CapturedFrame): void {
    const wire = this.#wires.get(hostIndex);
    if (wire?.id !== point) return;
    if (direction !== SENT) {
      const sent = this.#underway.get(journey);
      if (sent === undefined || !measurable(data)) return;
      this.#underway.delete(journey);
      this.#timeline.delay(time, time - sent);
      return;
    }
    this.#timeline.add("frames", time, 1);
    this.#timeline.add("bits", time, 8 * length);
    this.#timeline.add(`host ${wire.host}`, time, 8 * length);
    this.#timeline.add(`traffic ${trafficOf(data)}`, time, 8 * length);
    if (!measurable(data)) return;
    this.#underway.set(journey, time);
    if (this.#underway.size <= MOST_UNDERWAY) return;
    // Lost ones never arrive: the oldest goes.
    for (const oldest of this.#underway.keys()) {
      this.#underway.delete(oldest);
      break;
    }
  }
}
