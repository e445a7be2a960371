/** Packets that are on wires, worked out from what was captured at both ends. */
import type { Time } from "../../../src/base/time.ts";
import type { CapturedFrame } from "../../../src/scheduler/captures.ts";
import type { ChangedLink } from "../../../src/scheduler/wires.ts";
import { dissect } from "../packets/dissect.ts";
import type { Flight, FlightEnd, HostPlace, SceneTopology } from "./protocol.ts";
import { SpinePicker } from "./spine.ts";
import { UNDERLAY } from "./topology.ts";

/** Packets shown at once at most. */
const MOST = 400;
/** pcapng's epb_flags: received by the device. */
const INBOUND = 1;
/** What a frame takes on the wire beside its bytes: check sequence, preamble, gap. */
const WIRE_OVERHEAD = 24;
const VXLAN_PORT = 4789;

/** Where a frame was captured. */
export interface FramePoint {
  readonly hostIndex: number;
  readonly namespace: string;
  readonly device: string;
  readonly mac: number;
}

/** Where frames stand that were captured. */
export interface FrameSource {
  readonly frames: ArrayLike<CapturedFrame>;
  /** By the number that frames bear. */
  readonly points: ReadonlyMap<number, FramePoint>;
}

interface End {
  readonly host: number;
  readonly wire: number;
}

/** Bytes that tell a frame from others well enough, for one that was sent and is to be found where it arrives. */
function keyOf(host: number, wire: number, { length, data }: CapturedFrame): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ (data[i] as number), 0x01000193);
  return `${host}/${wire}/${length}/${hash >>> 0}`;
}

/** VXLAN's network identifier in an outermost datagram. */
export function vniOf(frame: Uint8Array): number | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 50 || view.getUint16(12) !== 0x0800 || view.getUint8(23) !== 17) return undefined;
  const udp = 14 + 4 * (view.getUint8(14) & 15);
  if (udp + 16 > frame.length || view.getUint16(udp + 2) !== VXLAN_PORT) return undefined;
  return view.getUint32(udp + 12) >>> 8;
}

function isGroup(frame: Uint8Array): boolean {
  return ((frame[0] ?? 0) & 1) === 1;
}

function destination(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2);
}

/** One-way delay between two wires of a segment, ns (oneWayDelay of src/scheduler/topology.ts). */
function delay(topology: SceneTopology, from: End, to: End): Time {
  const [a, b] = [topology.hosts[from.host] as HostPlace, topology.hosts[to.host] as HostPlace];
  const [near, far] = [a.wires[from.wire]?.latency ?? 0, b.wires[to.wire]?.latency ?? 0];
  if (topology.fabric === undefined || from.wire > 0 || a.leaf === b.leaf) return Math.max(near, far);
  return near + 2 * topology.fabric.latency + far;
}

/** Finds packets on wires. Made once for a lab. */
export class Flights {
  readonly #topology: SceneTopology;
  readonly #spines: SpinePicker | undefined;
  readonly #wires: readonly ReadonlyMap<string, number>[];
  /** Cards by address. */
  readonly #cards = new Map<number, End>();
  /** Points of which it was seen whether they are cards. */
  #seen = 0;

  /** @param seed the run's */
  constructor(topology: SceneTopology, seed: string) {
    this.#topology = topology;
    const { fabric } = topology;
    this.#spines = fabric === undefined ? undefined : new SpinePicker(seed, UNDERLAY, fabric.spines);
    this.#wires = topology.hosts.map(({ wires }) => new Map(wires.map(({ point }, wire) => [point, wire])));
  }

  #end(point: FramePoint | undefined): End | undefined {
    if (point === undefined) return undefined;
    const wire = this.#wires[point.hostIndex]?.get(`${point.namespace}/${point.device}`);
    if (wire === undefined) return undefined;
    const end = { host: point.hostIndex, wire };
    this.#cards.set(point.mac, end);
    return end;
  }

  #segment({ host, wire }: End): string | undefined {
    return this.#topology.hosts[host]?.wires[wire]?.segment;
  }

  #others(from: End): End[] {
    const segment = this.#segment(from);
    return this.#topology.hosts.flatMap(({ wires }, host) =>
      wires.flatMap((wire, i) => (host !== from.host && wire.segment === segment ? [{ host, wire: i }] : [])),
    );
  }

  /**
   * Packets that were on a wire between two instants.
   * @param from not earlier than that
   * @param now the present
   * @param broken links between switches, as they are now
   */
  at(source: FrameSource, from: Time, now: Time, broken: readonly ChangedLink[] = []): Flight[] {
    const { frames, points } = source;
    if (points.size !== this.#seen) for (const point of points.values()) this.#end(point);
    this.#seen = points.size;
    let first = frames.length;
    while (first > 0 && frames.length - first < 4 * MOST && (frames[first - 1] as CapturedFrame).time >= from) first--;
    const arrivals = new Map<string, Time[]>();
    const sent: { packet: number; frame: CapturedFrame; from: End }[] = [];
    for (let packet = first; packet < frames.length; packet++) {
      const frame = frames[packet] as CapturedFrame;
      const end = this.#end(points.get(frame.point));
      if (end === undefined) continue;
      if (frame.direction !== INBOUND) sent.push({ packet, frame, from: end });
      else {
        const key = keyOf(end.host, end.wire, frame);
        arrivals.set(key, [...(arrivals.get(key) ?? []), frame.time]);
      }
    }
    return sent.slice(-MOST).map((one) => this.#flight(one, arrivals, now, broken));
  }

  #way(frame: Uint8Array, from: End, to: End, broken: readonly ChangedLink[]): FlightEnd {
    const [a, b] = [this.#topology.hosts[from.host]?.leaf ?? 0, this.#topology.hosts[to.host]?.leaf ?? 0];
    const spine = a === b || from.wire > 0 ? undefined : this.#spines?.pick(frame, a, b, broken);
    return spine === undefined ? to : { ...to, spine };
  }

  #flight(
    { packet, frame, from }: { packet: number; frame: CapturedFrame; from: End },
    arrivals: ReadonlyMap<string, readonly Time[]>,
    now: Time,
    broken: readonly ChangedLink[],
  ): Flight {
    const { data, length, time } = frame;
    const target = this.#cards.get(destination(data));
    const to = isGroup(data) ? this.#others(from) : target === undefined ? [] : [target];
    const wire = this.#topology.hosts[from.host]?.wires[from.wire];
    const serial = wire === undefined || wire.bandwidth === 0 ? 0 : ((length + WIRE_OVERHEAD) * 8e9) / wire.bandwidth;
    let end = time;
    let arrived = to.length > 0;
    for (const one of to) {
      const seen = arrivals.get(keyOf(one.host, one.wire, frame))?.find((at) => at >= time);
      if (seen === undefined) arrived = false;
      end = Math.max(end, seen ?? time + serial + delay(this.#topology, from, one));
    }
    const { protocol, summary } = dissect(data);
    const shown = { length, protocol, summary, vni: vniOf(data) };
    const ways = to.map((one): FlightEnd => this.#way(data, from, one, broken));
    return { packet, from, to: ways, start: time, end: arrived ? end : Math.max(end, now), arrived, ...shown };
  }
}
