/** Charts, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";
import type { Span } from "./timeline.ts";

/** Names a chart. */
export const CHARTS = [
  "throughput",
  "hosts",
  "packets",
  "drops",
  "latency",
  "convergence",
  "events",
  "speed",
  "memory",
] as const;
/** One of them. */
export type ChartId = (typeof CHARTS)[number];

/** What a chart's values are counted in. */
export type Unit = "bit/s" | "packets/s" | "ns" | "%" | "events/s" | "×" | "bytes";

/** A line of a chart. */
export interface ChartSeries {
  readonly name: string;
  /** By bucket; null where nothing was seen: quiet time that was skipped, or no packet to measure. */
  readonly values: readonly (number | null)[];
}

/** What is drawn. */
export interface Chart {
  readonly id: ChartId;
  readonly title: string;
  /** What exactly is counted, and how. */
  readonly about: string;
  readonly unit: Unit;
  readonly series: readonly ChartSeries[];
}

/** Something that was done to the emulation. */
export interface ChartMark {
  readonly time: Time;
  readonly kind: "step" | "fault";
  readonly text: string;
}

/** All charts, over one axis. */
export interface Charts {
  /** Width of a bucket, ns; the i-th is from i × width on. */
  readonly width: Time;
  readonly buckets: number;
  readonly now: Time;
  readonly charts: readonly Chart[];
  readonly marks: readonly ChartMark[];
  /** Marks that there was no room for. */
  readonly marksLost: number;
  /** Quiet time that was skipped: nothing is drawn there. */
  readonly skipped: readonly Span[];
}

/** What the page asks about charts. */
export interface ChartsApi {
  charts(): Charts;
}
