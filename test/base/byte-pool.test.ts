/** Byte strings from a common buffer are apart from each other. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BytePool } from "../../src/base/byte-pool.ts";

describe("byte pool", () => {
  it("gives room that is empty and nobody else's, of any length", () => {
    const length = fc.oneof(fc.nat(40), fc.integer({ min: 8000, max: 9000 }), fc.constant(70_000));
    fc.assert(
      fc.property(fc.array(length, { maxLength: 40 }), (lengths) => {
        const pool = new BytePool();
        const taken = lengths.map((wanted, i) => {
          const bytes = pool.take(wanted);
          expect(bytes.length).toBe(wanted);
          expect(bytes.every((byte) => byte === 0)).toBe(true);
          return bytes.fill(i + 1);
        });
        for (const [i, bytes] of taken.entries()) expect(bytes.every((byte) => byte === ((i + 1) & 255))).toBe(true);
      }),
    );
  });

  it("copies all of a string, or a part", () => {
    const pool = new BytePool();
    const bytes = Uint8Array.of(1, 2, 3, 4);
    expect([...pool.copy(bytes)]).toEqual([1, 2, 3, 4]);
    const part = pool.copy(bytes, 1, 3);
    bytes.fill(9);
    expect([...part]).toEqual([2, 3]);
  });
});
