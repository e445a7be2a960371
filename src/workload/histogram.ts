/**
 * A histogram of delays in log-linear buckets, as HdrHistogram has them (Tene): 32 to an octave, from single ns to half an
 * hour, so that a value read back differs from the one counted by at most 1/64. The kernel's sinks count alike
 * (assembly/socket/histogram.ts), so histograms of all hosts can be added up.
 */
import { assert } from "../base/errors.ts";
import type { DelayCounts } from "./mesh/types.ts";

/** Buckets of an octave. */
const OCTAVE = 32;
/** All buckets: the last one ends at 2^41 ns. */
export const BUCKETS = 1184;

/** Number of a delay's bucket: itself below 64 ns, else the octave and the five bits behind the leading one. */
export function bucketOf(ns: number): number {
  if (ns < 2 * OCTAVE) return ns;
  // Math.clz32 knows 32 bits; a number of up to 2^53 has its leading bit there or in its upper part.
  const high = Math.floor(ns / 2 ** 32);
  const octave = high > 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(ns >>> 0);
  const bucket = (octave - 4) * OCTAVE + (Math.floor(ns / 2 ** (octave - 5)) - OCTAVE);
  return Math.min(bucket, BUCKETS - 1);
}

/** The smallest delay of a bucket, ns. */
export function bucketStart(bucket: number): number {
  if (bucket < 2 * OCTAVE) return bucket;
  const octave = Math.floor(bucket / OCTAVE) + 4;
  return (OCTAVE + (bucket % OCTAVE)) * 2 ** (octave - 5);
}

/** Counts of delays, to be added to, merged and asked. */
export class Histogram {
  #counts = new Uint32Array(2 * OCTAVE);
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  /** Counts a delay: whole ns, not negative. */
  add(ns: number): void {
    assert(ns >= 0 && Number.isSafeInteger(ns), "a delay in ns", ns);
    const bucket = bucketOf(ns);
    this.#reach(bucket);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#count++;
    this.#sum += ns;
    if (ns < this.#min) this.#min = ns;
    if (ns > this.#max) this.#max = ns;
  }

  /** Adds what another one has counted. */
  merge(other: DelayCounts): void {
    if (other.count === 0) return;
    if (other.counts.length > 0) this.#reach(other.counts.length - 1);
    other.counts.forEach((count, bucket) => {
      if (count > 0) this.#counts[bucket] = (this.#counts[bucket] as number) + count;
    });
    this.#count += other.count;
    this.#sum += other.sum;
    this.#min = Math.min(this.#min, other.min);
    this.#max = Math.max(this.#max, other.max);
  }

  get count(): number {
    return this.#count;
  }

  /** ns; 0 when nothing was counted, as the following. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }

  get max(): number {
    return this.#max;
  }

  /**
   * The smallest delay that at least so many percent are not above (nearest rank), ns: the middle of its bucket, but never
   * outside of what was counted, so that it is exact where all delays are equal.
   * @param percent above 0, up to 100
   */
  percentile(percent: number): number {
    assert(percent > 0 && percent <= 100, "a percentage", percent);
    if (this.#count === 0) return 0;
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count));
    if (rank >= this.#count) return this.#max;
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen < rank) continue;
      const middle = Math.floor((bucketStart(bucket) + bucketStart(bucket + 1) - 1) / 2);
      return Math.min(Math.max(middle, this.#min), this.#max);
    }
    return this.#max;
  }

  /** As plain data: buckets up to the last octave that has one. */
  toCounts(): DelayCounts {
    let used = this.#counts.length;
    while (used > 0 && this.#counts[used - 1] === 0) used--;
    const counts = this.#counts.slice(0, Math.ceil(used / OCTAVE) * OCTAVE);
    return { counts, count: this.#count, sum: this.#sum, min: this.min, max: this.#max };
  }

  /** Makes room for a bucket, by whole octaves. */
  #reach(bucket: number): void {
    if (bucket < this.#counts.length) return;
    const counts = new Uint32Array((Math.floor(bucket / OCTAVE) + 1) * OCTAVE);
    counts.set(this.#counts);
    this.#counts = counts;
  }
}
