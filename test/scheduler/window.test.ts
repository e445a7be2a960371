import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FOREVER } from "../../src/base/time.ts";
import { gridAfter, windowEnd } from "../../src/scheduler/window.ts";

describe("windows", () => {
  it("are as long as the lookahead, clipped by the grid and by the end", () => {
    expect(windowEnd(100, 50, { end: 1000, grid: 0 })).toBe(150);
    expect(windowEnd(100, 50, { end: 120, grid: 0 })).toBe(120);
    expect(windowEnd(100, 50, { end: 1000, grid: 125 })).toBe(125);
    expect(windowEnd(125, 500, { end: 1000, grid: 125 })).toBe(250);
    expect(windowEnd(100, FOREVER, { end: FOREVER, grid: 0 })).toBe(FOREVER);
  });

  it("hold their start, and nothing sent in them is due in them", () => {
    const time = fc.nat(1e9);
    fc.assert(
      fc.property(time, fc.integer({ min: 1, max: 1e6 }), time, fc.nat(1e6), (start, lookahead, more, grid) => {
        const end = windowEnd(start, lookahead, { end: start + 1 + more, grid });
        expect(end).toBeGreaterThan(start);
        expect(end).toBeLessThanOrEqual(start + lookahead);
        if (grid > 0) expect(Math.floor((end - 1) / grid)).toBe(Math.floor(start / grid));
      }),
    );
  });

  it("look at an event at the grid time after it", () => {
    expect(gridAfter(0, 10)).toBe(10);
    expect(gridAfter(9, 10)).toBe(10);
    expect(gridAfter(10, 10)).toBe(20);
  });
});
