/**
 * What was seen of packets on every hop, by packet: the newest that fit. Whole journeys are forgotten, those that began
 * first before others; one that is seen again after that is there from then on.
 */
import type { Time } from "../../../src/base/time.ts";
import type { MarkedPacket, PacketMark } from "../../../src/kernel/marks.ts";
import type {
  CapturedFrame,
  CapturedSa,
  CapturePoint,
  CaptureSink,
  MarkedNamespace,
} from "../../../src/scheduler/captures.ts";

/** Bytes that are kept at most, with what records take beside them. */
const MOST_BYTES = 64 * 2 ** 20;
/** What a record takes beside its bytes, about. */
const OVERHEAD = 240;
/** Drops that are remembered. */
const MOST_DROPS = 20_000;

/** Frames that `recent` has at most. */
const MOST_RECENT = 2000;

/** Something that was seen of a packet: a frame on a device, or a mark. */
export interface Hop {
  readonly time: Time;
  readonly hostIndex: number;
  readonly seq: number;
  /** "" on the wire. */
  readonly namespace: string;
  readonly device: string;
  readonly frame: CapturedFrame | undefined;
  readonly mark: PacketMark | undefined;
}

/** A drop, as the list of them has it. */
export interface DropHop {
  readonly hop: Hop;
  readonly mark: PacketMark & { readonly kind: "drop" };
}

/** The bytes that a mark kept of a packet; undefined where it kept none. */
export function packetOf(mark: PacketMark): MarkedPacket | undefined {
  return mark.kind === "drop" || mark.kind === "output" ? mark.packet : undefined;
}

/** Journeys, by their numbers. */
export class HopLog {
  readonly #most: number;
  readonly #journeys = new Map<number, Hop[]>();
  readonly #points = new Map<number, CapturePoint>();
  readonly #namespaces = new Map<string, string>();
  /** Why packets were sent, and what was sent because of them. */
  readonly #parents = new Map<number, number>();
  readonly #children = new Map<number, number[]>();
  #drops: DropHop[] = [];
  #recent: Hop[] = [];
  #dropsForgotten = 0;
  #forgotten = 0;
  #bytes = 0;

  /** @param most bytes that are kept */
  constructor(most = MOST_BYTES) {
    this.#most = most;
  }

  /** Journeys that fell out. */
  get forgotten(): number {
    return this.#forgotten;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#journeys.size;
  }

  get drops(): readonly DropHop[] {
    return this.#drops;
  }

  /** All that there were. */
  get dropCount(): number {
    return this.#dropsForgotten + this.#drops.length;
  }

  get dropsForgotten(): number {
    return this.#dropsForgotten;
  }

  /** The last frames on all devices, in order. */
  get recent(): readonly Hop[] {
    return this.#recent;
  }

  /** What was seen of a packet, in order; undefined when it is forgotten. */
  hops(journey: number): readonly Hop[] | undefined {
    return this.#journeys.get(journey);
  }

  /** All journeys, in the order in which they began. */
  journeys(): IterableIterator<[number, readonly Hop[]]> {
    return this.#journeys.entries();
  }

  parent(journey: number): number | undefined {
    return this.#parents.get(journey);
  }

  children(journey: number): readonly number[] {
    return this.#children.get(journey) ?? [];
  }

  point(point: CapturePoint): void {
    this.#points.set(point.id, point);
  }

  namespace({ hostIndex, number, name }: MarkedNamespace): void {
    this.#namespaces.set(`${hostIndex}/${number}`, name);
  }

  frame(frame: CapturedFrame): void {
    const point = this.#points.get(frame.point);
    const { time, hostIndex, seq } = frame;
    const place = { namespace: point?.namespace ?? "", device: point?.device ?? "" };
    const hop = { time, hostIndex, seq, ...place, frame, mark: undefined };
    this.#recent.push(hop);
    if (this.#recent.length >= 2 * MOST_RECENT) this.#recent = this.#recent.slice(-MOST_RECENT);
    this.#add(frame.journey, hop, frame.data.length);
  }

  mark(mark: PacketMark): void {
    const { time, hostIndex, seq, device, journey } = mark;
    const number = mark.namespace;
    const namespace = number === undefined ? "" : (this.#namespaces.get(`${hostIndex}/${number}`) ?? `#${number}`);
    if (mark.kind === "cause") this.#caused(mark.parent, journey);
    const hop = { time, hostIndex, seq, namespace, device, frame: undefined, mark };
    if (mark.kind === "drop") this.#dropped({ hop, mark });
    this.#add(journey, hop, packetOf(mark)?.bytes.length ?? 0);
  }

  #caused(parent: number, child: number): void {
    this.#parents.set(child, parent);
    const children = this.#children.get(parent);
    if (children === undefined) this.#children.set(parent, [child]);
    else children.push(child);
  }

  #dropped(drop: DropHop): void {
    this.#drops.push(drop);
    if (this.#drops.length < 2 * MOST_DROPS) return;
    this.#dropsForgotten += this.#drops.length - MOST_DROPS;
    this.#drops = this.#drops.slice(-MOST_DROPS);
  }

  #add(journey: number, hop: Hop, bytes: number): void {
    const hops = this.#journeys.get(journey);
    if (hops === undefined) this.#journeys.set(journey, [hop]);
    else hops.push(hop);
    this.#bytes += bytes + OVERHEAD;
    if (this.#bytes > this.#most) this.#forget();
  }

  #forget(): void {
    for (const [journey, hops] of this.#journeys) {
      if (this.#bytes <= 0.9 * this.#most) return;
      this.#journeys.delete(journey);
      this.#forgotten++;
      for (const { frame, mark } of hops)
        this.#bytes -=
          OVERHEAD + (frame?.data.length ?? (mark === undefined ? 0 : (packetOf(mark)?.bytes.length ?? 0)));
      this.#children.delete(journey);
      this.#parents.delete(journey);
    }
  }
}

/** Takes what is captured on every device and gives the trace its part of it, as if nothing else were captured. */
export class EveryHop implements CaptureSink {
  readonly #trace: CaptureSink;
  readonly #hops: HopLog;
  /** Points that are not the trace's. */
  readonly #apart = new Set<number>();

  constructor(trace: CaptureSink, hops: HopLog) {
    this.#trace = trace;
    this.#hops = hops;
  }

  point(point: CapturePoint): void {
    this.#hops.point(point);
    if (point.hop === true) this.#apart.add(point.id);
    else this.#trace.point(point);
  }

  frame(frame: CapturedFrame): void {
    this.#hops.frame(frame);
    if (this.#apart.has(frame.point)) return;
    // A copy: what is captured comes in large blocks, of which the trace would keep all for its part.
    this.#trace.frame(this.#apart.size === 0 ? frame : { ...frame, data: frame.data.slice() });
  }

  skipped(from: Time, to: Time, frames: number): void {
    this.#trace.skipped?.(from, to, frames);
  }

  association(sa: CapturedSa): void {
    this.#trace.association?.(sa);
  }

  mark(mark: PacketMark): void {
    this.#hops.mark(mark);
  }

  namespace(namespace: MarkedNamespace): void {
    this.#hops.namespace(namespace);
  }
}
