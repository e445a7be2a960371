/** Amounts over virtual time, in a fixed number of buckets that grow twice as wide whenever time outgrows them. */
import type { Time } from "../../../src/base/time.ts";
import { Histogram } from "../../../src/workload/histogram.ts";

/** Buckets. */
const BUCKETS = 1024;
/** Width of one at first, ns. */
const FIRST_WIDTH = 10_000_000;

/** A span of time in which nothing was seen. */
export interface Span {
  readonly from: Time;
  readonly to: Time;
}

/** Buckets that start at virtual time 0. */
export class Timeline {
  #width = FIRST_WIDTH;
  readonly #amounts = new Map<string, Float64Array>();
  readonly #delays = new Map<number, Histogram>();
  #used = 0;

  /** Width of a bucket, ns. */
  get width(): Time {
    return this.#width;
  }

  /** Buckets from the first to the last one that anything was added to. */
  get length(): number {
    return this.#used;
  }

  /** Names of amounts, in the order in which they came. */
  names(): string[] {
    return [...this.#amounts.keys()];
  }

  /** An amount of a moment. */
  add(name: string, time: Time, amount: number): void {
    const bucket = this.bucketOf(time);
    const values = this.values(name);
    values[bucket] = (values[bucket] as number) + amount;
  }

  /** An amount of a span: spread evenly over it, but for gaps in it (in order, not overlapping). */
  spread(name: string, { from, to }: Span, amount: number, gaps: readonly Span[] = []): void {
    const parts = without({ from, to }, gaps);
    const total = parts.reduce((sum, part) => sum + part.to - part.from, 0);
    if (total <= 0) return;
    // The last one first: so that buckets have their width before the others are counted in.
    for (const part of parts.reverse()) this.#fill(name, part, amount / total);
  }

  #fill(name: string, { from, to }: Span, rate: number): void {
    this.bucketOf(Math.max(from, to - 1));
    const values = this.values(name);
    const width = this.#width;
    for (let at = from; at < to; ) {
      const bucket = Math.floor(at / width);
      const end = Math.min(to, (bucket + 1) * width);
      values[bucket] = (values[bucket] as number) + rate * (end - at);
      at = end;
    }
  }

  /** A delay seen at a moment, whole ns. */
  delay(time: Time, delay: Time): void {
    const bucket = this.bucketOf(time);
    let histogram = this.#delays.get(bucket);
    if (histogram === undefined) {
      histogram = new Histogram();
      this.#delays.set(bucket, histogram);
    }
    histogram.add(delay);
  }

  /** Amounts by bucket; zeros for a name that nothing was added to. */
  amounts(name: string): Float64Array {
    return (this.#amounts.get(name) ?? new Float64Array(BUCKETS)).subarray(0, this.#used);
  }

  /** Sum over all buckets. */
  total(name: string): number {
    return this.amounts(name).reduce((sum, value) => sum + value, 0);
  }

  /** Delays of a bucket; undefined when none was seen. */
  delays(bucket: number): Histogram | undefined {
    return this.#delays.get(bucket);
  }

  /** All buckets of an amount, the same array for ever: whoever adds often keeps it, and adds at bucketOf(). */
  values(name: string): Float64Array {
    let values = this.#amounts.get(name);
    if (values === undefined) {
      values = new Float64Array(BUCKETS);
      this.#amounts.set(name, values);
    }
    return values;
  }

  /** The bucket of a moment, which is counted as used from now on; buckets may grow to have it. */
  bucketOf(time: Time): number {
    while (time >= this.#width * BUCKETS) this.#double();
    const bucket = Math.floor(time / this.#width);
    this.#used = Math.max(this.#used, bucket + 1);
    return bucket;
  }

  #double(): void {
    for (const values of this.#amounts.values()) {
      for (let i = 0; i < BUCKETS / 2; i++) values[i] = (values[2 * i] as number) + (values[2 * i + 1] as number);
      values.fill(0, BUCKETS / 2);
    }
    const delays = [...this.#delays].sort(([a], [b]) => a - b);
    this.#delays.clear();
    for (const [bucket, histogram] of delays) {
      const at = Math.floor(bucket / 2);
      const known = this.#delays.get(at);
      if (known === undefined) this.#delays.set(at, histogram);
      else known.merge(histogram.toCounts());
    }
    this.#used = Math.ceil(this.#used / 2);
    this.#width *= 2;
  }
}

/** What is left of a span between gaps. */
export function without({ from, to }: Span, gaps: readonly Span[]): Span[] {
  const parts: Span[] = [];
  let at = from;
  for (const gap of gaps) {
    if (gap.to <= at || gap.from >= to) continue;
    if (gap.from > at) parts.push({ from: at, to: gap.from });
    at = Math.max(at, gap.to);
  }
  if (at < to) parts.push({ from: at, to });
  return parts;
}
