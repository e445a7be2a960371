/** A cache of what byte strings mean never gives anything but what reading them gives. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteCache, sameBytes } from "../../src/base/byte-cache.ts";

describe("byte cache", () => {
  it("gives what reading gives, for any strings in any order, in a few places", () => {
    const string = fc.uint8Array({ maxLength: 12 }).map((bytes) => bytes.map((byte) => byte & 3));
    fc.assert(
      fc.property(fc.array(string), fc.integer({ min: 0, max: 12 }), (strings, longest) => {
        const cache = new ByteCache<string>(4, longest);
        for (const bytes of strings) expect(cache.of(bytes, String)).toBe(String(bytes));
      }),
    );
  });

  it("reads the same string once, wherever it stands", () => {
    const cache = new ByteCache<readonly number[]>(16, 8);
    const read = (bytes: Uint8Array) => [...bytes];
    const first = cache.of(Uint8Array.of(1, 2, 3), read);
    expect(cache.of(Uint8Array.of(9, 1, 2, 3, 9), read, 1, 4)).toBe(first);
    expect(cache.of(Uint8Array.of(9, 1, 2, 4, 9), read, 1, 4)).toEqual([1, 2, 4]);
  });

  it("keeps bytes of its own, and nothing of what can't be read", () => {
    const cache = new ByteCache<Uint8Array>(16, 8);
    const given = Uint8Array.of(1, 2, 3);
    const value = cache.of(given, (bytes) => bytes);
    given.fill(0);
    expect([...value]).toEqual([1, 2, 3]);
    const refuse = () => {
      throw new Error("damaged");
    };
    expect(() => cache.of(Uint8Array.of(7), refuse)).toThrow("damaged");
    expect([...cache.of(Uint8Array.of(7), (bytes) => bytes)]).toEqual([7]);
  });

  it("compares every byte", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(sameBytes(bytes, Uint8Array.of(1, 2, 3))).toBe(true);
    for (const other of [[1, 2], [1, 2, 3, 4], [1, 2, 4], [0, 2, 3], []])
      expect(sameBytes(bytes, Uint8Array.from(other))).toBe(false);
  });
});
