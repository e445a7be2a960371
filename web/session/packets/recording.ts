/** What was captured so far, kept frame by frame: the packet list reads from it, and traces are written from it. */
import type { Time } from "../../../src/base/time.ts";
import type { LabPlan } from "../../../src/lab/plan.ts";
import { LabTrace } from "../../../src/lab/trace.ts";
import { MemorySink } from "../../../src/pcap-writer/index.ts";
import type { CapturedFrame, CapturedSa, CapturePoint, CaptureSink } from "../../../src/scheduler/captures.ts";

/** Bytes of frames that are kept at most; what comes later is counted only. */
const MOST_BYTES = 512 * 2 ** 20;
/** What a kept frame takes beside its bytes, about. */
const FRAME_OVERHEAD = 160;

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
  #lost = 0;

  /** Frames for which there was no room. */
  get lost(): number {
    return this.#lost;
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
    { from, to }: FrameRange = { from: 0, to: this.frames.length },
  ): TraceFiles {
    const sink = new MemorySink();
    const trace = new LabTrace(sink, plan, seed);
    for (const point of this.#points.values()) trace.point(point);
    for (const sa of this.#associations) trace.association(sa);
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
    }
    skipTo(to);
    trace.names([...names].map(([address, all]) => ({ address, names: all })));
    trace.close(now);
    return { trace: sink.bytes(), keys: trace.espSa.toString() };
  }
}
