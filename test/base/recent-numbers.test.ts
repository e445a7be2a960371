/** Numbers that came lately: what is said to be there has come; what comes in a row, and isn't too much, stays. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RecentNumbers } from "../../src/base/recent-numbers.ts";

describe("recent numbers", () => {
  it("are never said to have come when they haven't, and are forgotten at clear()", () => {
    const number = fc.integer({ min: 1, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(fc.array(fc.oneof(number, fc.integer({ min: 1, max: 300 }))), number, (numbers, other) => {
        const recent = new RecentNumbers();
        const came = new Set<number>();
        for (const one of numbers) {
          expect(came.has(one) || !recent.has(one)).toBe(true);
          recent.add(one);
          came.add(one);
          expect(recent.has(one)).toBe(true);
        }
        expect(came.has(other) || !recent.has(other)).toBe(true);
        recent.clear();
        for (const one of numbers) expect(recent.has(one)).toBe(false);
      }),
    );
  });

  it("all stay when a few thousand in a row come again and again", () => {
    const recent = new RecentNumbers();
    const numbers = Array.from({ length: 5000 }, (_, i) => 100_000 + i);
    for (let round = 0; round < 5; round++) for (const one of numbers) recent.add(one);
    expect(numbers.every((one) => recent.has(one))).toBe(true);
  });
});
