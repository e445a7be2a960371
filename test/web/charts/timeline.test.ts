/** Buckets of amounts: nothing is lost or made when they grow, and what is spread stays where it was. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Timeline, without } from "../../../web/session/charts/timeline.ts";

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
/** In the first minute, and up to a day. */
const moment = fc.oneof(
  fc.nat(60_000_000_000),
  fc.nat(86_400).map((second) => second * 1e9),
);

describe("amounts", () => {
  it("are in the bucket of their time, however wide it has become", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(moment, fc.integer({ min: 1, max: 1000 })), { maxLength: 60 }), (events) => {
        const timeline = new Timeline();
        for (const [time, amount] of events) timeline.add("x", time, amount);
        const { width } = timeline;
        const values = timeline.amounts("x");
        const expected = new Float64Array(values.length);
        for (const [time, amount] of events) {
          const bucket = Math.floor(time / width);
          expected[bucket] = (expected[bucket] ?? 0) + amount;
        }
        expect([...values]).toEqual([...expected]);
        expect(timeline.length).toBeLessThanOrEqual(1024);
        expect(timeline.length * width).toBeGreaterThan(Math.max(-1, ...events.map(([time]) => time)));
      }),
    );
  });

  it("of a span lie in it, but for its gaps, evenly", () => {
    fc.assert(
      fc.property(
        moment,
        fc.nat(40_000_000_000),
        fc.array(fc.nat(10_000_000_000), { maxLength: 6 }),
        (from, length, cuts) => {
          const span = { from, to: from + length };
          let at = from;
          const gaps = cuts.flatMap((cut, i) => {
            const gap = { from: at, to: at + cut };
            at += cut;
            return i % 2 === 0 ? [gap] : [];
          });
          const timeline = new Timeline();
          timeline.spread("x", span, 1000, gaps);
          const open = without(span, gaps).reduce((total, part) => total + part.to - part.from, 0);
          expect(sum(timeline.amounts("x"))).toBeCloseTo(open > 0 ? 1000 : 0, 6);
          const { width } = timeline;
          for (const [i, value] of timeline.amounts("x").entries()) {
            const own = without({ from: i * width, to: (i + 1) * width }, [
              { from: 0, to: from },
              ...gaps.filter((gap) => gap.from < span.to),
              { from: span.to, to: Number.MAX_SAFE_INTEGER },
            ]).reduce((total, part) => total + part.to - part.from, 0);
            expect(value).toBeCloseTo(open > 0 ? (1000 * own) / open : 0, 6);
          }
        },
      ),
    );
  });

  it("delays are merged with their buckets", () => {
    const timeline = new Timeline();
    for (let i = 0; i < 100; i++) timeline.delay(i * 1_000_000, 1000 + i);
    expect(timeline.delays(3)?.count).toBe(10);
    timeline.add("x", 3600e9, 1);
    expect(timeline.delays(0)?.count).toBe(100);
    expect(timeline.delays(0)?.max).toBe(1099);
    expect(timeline.delays(1)).toBeUndefined();
  });
});

describe("without", () => {
  it("leaves what lies between gaps", () => {
    const gaps = [
      { from: 0, to: 12 },
      { from: 15, to: 16 },
      { from: 20, to: 30 },
    ];
    expect(without({ from: 10, to: 25 }, gaps)).toEqual([
      { from: 12, to: 15 },
      { from: 16, to: 20 },
    ]);
    expect(without({ from: 21, to: 22 }, gaps)).toEqual([]);
  });
});
