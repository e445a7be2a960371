/** The arena against a model: no overlap, no lost byte, counters that return to where they were. */
import { describe, expect, it } from "vitest";
import { loadUnits } from "../support/units.ts";

/** Deterministic numbers below `n` (xorshift). */
function generator(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

interface Block {
  readonly at: number;
  readonly size: number;
  readonly fill: number;
}

describe("arena", () => {
  it("hands out blocks that never overlap and counts them", () => {
    const { x, u8 } = loadUnits();
    const random = generator(77);
    const blocks0 = x["held"]() as number;
    const bytes0 = x["heldBytes"]() as number;
    const live: Block[] = [];
    for (let step = 0; step < 60_000; step++) {
      if (live.length < 600 && random(100) < 52) {
        const size = random(20) === 0 ? random(70_000) : random(3) === 0 ? random(2200) : random(300);
        const zeroed = random(2) === 0;
        const at = (zeroed ? x["kmalloc"](size) : x["kmallocRaw"](size)) as number;
        const memory = u8();
        expect(at & 15).toBe(0);
        if (zeroed) expect(memory.subarray(at, at + size).every((byte) => byte === 0)).toBe(true);
        const fill = 1 + random(255);
        memory.fill(fill, at, at + size);
        live.push({ at, size, fill });
      } else if (live.length > 0) {
        const [block] = live.splice(random(live.length), 1) as [Block];
        // Any overlap with a block handed out since would have overwritten it.
        const intact = u8()
          .subarray(block.at, block.at + block.size)
          .every((byte) => byte === block.fill);
        expect(intact).toBe(true);
        x["kfree"](block.at, block.size);
      }
      expect(x["held"]()).toBe(blocks0 + live.length);
    }
    for (const block of live) x["kfree"](block.at, block.size);
    expect(x["held"]()).toBe(blocks0);
    expect(x["heldBytes"]()).toBe(bytes0);
  }, 60_000);

  it("counts the class of each size at its borders, and gives a freed block again", () => {
    const { x } = loadUnits();
    const real = (size: number): number =>
      size <= 2048 ? Math.max(16, (size + 15) & ~15) : 2 ** Math.ceil(Math.log2(size));
    for (const size of [0, 1, 15, 16, 17, 1008, 1009, 1023, 1024, 1025, 2047, 2048, 2049, 65536, 65537, 3_000_000]) {
      const before = x["heldBytes"]() as number;
      const at = x["kmallocRaw"](size) as number;
      expect((x["heldBytes"]() as number) - before).toBe(real(size));
      x["kfree"](at, size);
      expect(x["heldBytes"]()).toBe(before);
      expect(x["kmallocRaw"](size)).toBe(at);
      x["kfree"](at, size);
    }
  });
});
