/** What was captured so far, kept frame by frame: the packet list reads from it, and traces are written from it. */
import type { Time } from "../../../src/base/time.ts";
import type { LabPlan } from "../../../src/lab/plan.ts";
import { LabTrace } from "../../../src/lab/trace.ts";
import { MemorySink, type Sink } from "../../../src/pcap-writer/index.ts";
import type { CapturedFrame, CapturedSa, CapturePoint, CaptureSink } from "../../../src/scheduler/captures.ts";

/** Bytes of frames that are kept at most; what comes later is counted only. */
const MOST_BYTES = 512 * 2 ** 20;
/** What a kept frame takes beside its bytes, about. */
const FRAME_OVERHEAD = 160;
/** What an Enhanced Packet Block with its direction takes beside the frame (pcapng §4.3). */
const PACKET_BLOCK = 44;
/** Bytes of a trace that are handed on at once, at least. */
const PART_BYTES = 1 << 20;

/** Quiet time that was skipped before a frame. */
interface Gap {
  /** How many frames were kept when it came. */
  readonly before: number;
  readonly from: Time;
  readonly to: Time;
  readonly frames: number;
}

/** Places of frames: `to` is behind the last one. */
export interface FrameRange {
  readonly from: number;
  readonly to: number;
}

/** A trace as files. */
export interface TraceFiles {
  /** pcapng. */
  readonly trace: Uint8Array<ArrayBuffer>;
  /** Wireshark's table of ESP keys; empty where nothing was encrypted. */
  readonly keys: string;
}

/** Takes captured frames and keeps them. */
export class Recording implements CaptureSink {
  readonly frames: CapturedFrame[] = [];
  readonly #points = new Map<number, CapturePoint>();
  readonly #gaps: Gap[] = [];
  readonly #associations: CapturedSa[] = [];
  #bytes = 0;
  #written = 0;
  #lost = 0;

  /** Frames for which there was no room. */
  get lost(): number {
    return this.#lost;
  }

  /** Bytes that a trace of all frames takes, about. */
  get traceBytes(): number {
    return this.#written;
  }

  /** Where a frame was captured, as host/namespace/device. */
  pointName(id: number): string {
    const point = this.#points.get(id);
    return point === undefined ? "" : `${point.host}/${point.namespace}/${point.device}`;
  }

  /** Where frames were captured, by the number that they bear. */
  get points(): ReadonlyMap<number, CapturePoint> {
    return this.#points;
  }

  point(point: CapturePoint): void {
    this.#points.set(point.id, point);
  }

  frame(frame: CapturedFrame): void {
    if (this.#bytes >= MOST_BYTES) {
      this.#lost++;
      return;
    }
    this.#bytes += frame.data.length + FRAME_OVERHEAD;
    this.#written += PACKET_BLOCK + ((frame.data.length + 3) & ~3);
    this.frames.push(frame);
  }

  skipped(from: Time, to: Time, frames: number): void {
    this.#gaps.push({ before: this.frames.length, from, to, frames });
  }

  association(sa: CapturedSa): void {
    this.#associations.push(sa);
  }

  /**
   * The trace that the command line would have written up to now.
   * @param seed the one the lab is run with
   * @param names containers' names by address
   * @param range only the frames from one place up to another, and what was skipped between them
   */
  files(
    plan: LabPlan,
    seed: string,
    names: ReadonlyMap<string, readonly string[]>,
    now: Time,
    range: FrameRange = { from: 0, to: this.frames.length },
  ): TraceFiles {
    const sink = new MemorySink();
    const trace = new LabTrace(sink, plan, seed);
    for (const _ of this.#write(trace, range));
    end(trace, names, now);
    return { trace: sink.bytes(), keys: trace.espSa.toString() };
  }

  /** The same trace in parts, for one that is too large to be held twice; frames that come meanwhile aren't in it. */
  *parts(
    plan: LabPlan,
    seed: string,
    names: ReadonlyMap<string, readonly string[]>,
    now: Time,
  ): Generator<Uint8Array<ArrayBuffer>> {
    const range = { from: 0, to: this.frames.length };
    const all = [...names];
    const sink = new PartSink();
    const trace = new LabTrace(sink, plan, seed);
    for (const _ of this.#write(trace, range)) if (sink.length >= PART_BYTES) yield sink.take();
    end(trace, all, now);
    yield sink.take();
  }

  /** Writes frames, and stops behind each. */
  *#write(trace: LabTrace, { from, to }: FrameRange): Generator<void> {
    for (const point of [...this.#points.values()]) trace.point(point);
    for (const sa of [...this.#associations]) trace.association(sa);
    let gap = from === 0 ? 0 : this.#gaps.findIndex(({ before }) => before >= from);
    if (gap < 0) gap = this.#gaps.length;
    const skipTo = (index: number): void => {
      for (let next = this.#gaps[gap]; next !== undefined && next.before <= index; next = this.#gaps[++gap])
        trace.skipped(next.from, next.to, next.frames);
    };
    for (let index = from; index < to; index++) {
      skipTo(index);
      const frame = this.frames[index];
      if (frame !== undefined) trace.frame(frame);
      yield;
    }
    skipTo(to);
  }
}

/** What stands behind the frames. */
function end(trace: LabTrace, names: Iterable<readonly [string, readonly string[]]>, now: Time): void {
  trace.names([...names].map(([address, all]) => ({ address, names: all })));
  trace.close(now);
}

/** Holds what was written until it is taken. */
class PartSink implements Sink {
  #memory = new MemorySink();
  #length = 0;

  /** Bytes that it holds. */
  get length(): number {
    return this.#length;
  }

  write(bytes: Uint8Array): void {
    this.#memory.write(bytes);
    this.#length += bytes.length;
  }

  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.#memory.bytes();
    this.#memory = new MemorySink();
    this.#length = 0;
    return bytes;
  }
}
