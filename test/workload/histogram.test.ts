import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BUCKETS, bucketOf, bucketStart, Histogram } from "../../src/workload/histogram.ts";

/** Delays over all octaves: uniform in the exponent. */
const delay = fc
  .tuple(fc.nat({ max: 40 }), fc.nat({ max: 2 ** 30 }))
  .map(([octave, part]) => Math.floor(2 ** octave * (1 + part / 2 ** 30)));
const delays = fc.array(delay, { minLength: 1, maxLength: 300 });

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

describe("buckets", () => {
  it("follow each other without a gap, none wider than 1/32 of its start", () => {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const start = bucketStart(bucket);
      const next = bucketStart(bucket + 1);
      expect(bucketOf(start)).toBe(bucket);
      expect(bucketOf(next - 1)).toBe(bucket);
      expect(next - start).toBeLessThanOrEqual(Math.max(1, start / 32));
    }
  });

  it("take whatever is longer into the last one", () => {
    expect(bucketStart(BUCKETS)).toBe(2 ** 41);
    expect(bucketOf(2 ** 41)).toBe(BUCKETS - 1);
    expect(bucketOf(2 ** 52 + 1)).toBe(BUCKETS - 1);
  });
});

describe("a histogram", () => {
  it("has percentiles within 1/64 of the sorted delays'", () => {
    fc.assert(
      fc.property(delays, fc.constantFrom(1, 50, 90, 99, 99.9, 100), (values, percent) => {
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] as number;
        expect(Math.abs(histogramOf(values).percentile(percent) - exact)).toBeLessThanOrEqual(exact / 64);
      }),
    );
  });

  it("knows count, mean, and both ends exactly", () => {
    const histogram = histogramOf([3, 1_000_003, 70]);
    expect([histogram.count, histogram.mean, histogram.min, histogram.max]).toEqual([3, 1_000_076 / 3, 3, 1_000_003]);
    expect(histogram.percentile(100)).toBe(1_000_003);
    const empty = new Histogram();
    expect([empty.count, empty.mean, empty.min, empty.max, empty.percentile(50)]).toEqual([0, 0, 0, 0, 0]);
  });

  it("is the same whether delays were counted together or apart and merged", () => {
    fc.assert(
      fc.property(delays, delays, (some, others) => {
        const merged = new Histogram();
        merged.merge(histogramOf(some).toCounts());
        merged.merge(histogramOf(others).toCounts());
        merged.merge(new Histogram().toCounts());
        expect(merged.toCounts()).toEqual(histogramOf([...some, ...others]).toCounts());
      }),
    );
  });

  it("refuses what is no delay", () => {
    for (const bad of [-1, 0.5, Number.NaN]) expect(() => new Histogram().add(bad)).toThrow("a delay in ns");
  });
});
