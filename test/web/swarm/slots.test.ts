import { describe, expect, it } from "vitest";
import { containerPlace, HOST, type Rect, railPlace, squarePlace, wirePath } from "../../../web/page/swarm/geometry.ts";
import { levelOf, Slots } from "../../../web/page/swarm/slots.ts";

function overlap(a: Rect, b: Rect): boolean {
  const e = 1e-6;
  return a.x + a.width > b.x + e && b.x + b.width > a.x + e && a.y + a.height > b.y + e && b.y + b.height > a.y + e;
}

describe("slots", () => {
  it("stay with who has them, and go to the next when they are free", () => {
    const slots = new Slots(3);
    slots.update(["a", "b", "c"]);
    expect(["a", "b", "c"].map((key) => slots.of(key))).toEqual([3, 4, 5]);
    slots.update(["a", "c", "d", "e"]);
    expect(["a", "b", "c", "d", "e"].map((key) => slots.of(key))).toEqual([3, undefined, 5, 4, 6]);
    slots.update(["e"]);
    expect(slots.of("e")).toBe(6);
  });

  it("are in rows of smaller places, without end", () => {
    expect(levelOf(0, 6, 4, 1)).toEqual({ row: 0, position: 0, scale: 1, start: 0 });
    expect(levelOf(7, 6, 4, 1)).toEqual({ row: 1, position: 1, scale: 0.25, start: 1 });
    expect(levelOf(12, 6, 2, 2)).toMatchObject({ row: 1, position: 6, scale: 0.5 });
    expect(levelOf(100_000, 6, 2, 2).start).toBeLessThan(2);
  });
});

describe("places in a host", () => {
  it.each([
    ["containers", containerPlace],
    ["squares", squarePlace],
    ["bridges", (slot: number) => railPlace(slot).frame],
  ] as const)("of %s never lie on each other, and never outside", (_, place) => {
    const all = Array.from({ length: 90 }, (_, slot) => place(slot));
    for (const [i, a] of all.entries()) {
      expect(a.x >= 0 && a.y >= 0 && a.x + a.width <= HOST.width && a.y + a.height <= HOST.height).toBe(true);
      for (const b of all.slice(i + 1)) expect(overlap(a, b)).toBe(false);
    }
  });

  it("of bridges lie above all containers", () => {
    const lowest = railPlace(1000).frame;
    expect(lowest.y + lowest.height).toBeLessThan(containerPlace(0).y);
  });

  it("leave room for wires between containers", () => {
    const boxes = Array.from({ length: 48 }, (_, slot) => containerPlace(slot));
    for (let slot = 0; slot < 48; slot++) {
      const box = boxes[slot] as Rect;
      for (const spread of [0.25, 0.75]) {
        const path = wirePath(box.x + box.width / 2, slot, spread, 200);
        for (let i = 0; i + 3 < path.length; i += 2) {
          const [x1, y1, x2, y2] = path.slice(i, i + 4) as [number, number, number, number];
          const run = { x: Math.min(x1, x2), y: Math.min(y1, y2), width: Math.abs(x1 - x2), height: Math.abs(y1 - y2) };
          for (const [other, rect] of boxes.entries())
            if (other !== slot)
              expect(overlap({ ...run, width: run.width + 0.01, height: run.height + 0.01 }, rect)).toBe(false);
        }
      }
    }
  });
});
