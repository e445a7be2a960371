import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedError } from "../../src/base/errors.ts";
import { lzwCompress, lzwDecompress } from "../../src/memberlist/lzw.ts";

describe("lzw", () => {
  it("begins with the clear code, ends with the end code, least significant bit first", () => {
    // 256, 65, 258 (the code just being defined), 65, 257 in 9 bits each.
    const bits = [256, 65, 258, 65, 257]
      .map((code) => [...code.toString(2).padStart(9, "0")].reverse().join(""))
      .join("");
    const bytes = (bits.padEnd(48, "0").match(/.{8}/g) as string[]).map((b) =>
      Number.parseInt([...b].reverse().join(""), 2),
    );
    expect([...lzwCompress(Uint8Array.of(65, 65, 65, 65))]).toEqual(bytes);
    expect(lzwDecompress(Uint8Array.from(bytes))).toEqual(Uint8Array.of(65, 65, 65, 65));
  });

  it("gives back short, repetitive and long inputs, over many clears of the table", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 60 }), (unit, times) => {
        const input = Uint8Array.from({ length: unit.length * times }, (_, i) => unit[i % unit.length] as number);
        expect(lzwDecompress(lzwCompress(input))).toEqual(input);
      }),
    );
    let state = 1;
    const noise = Uint8Array.from({ length: 50_000 }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 24;
    });
    expect(lzwDecompress(lzwCompress(noise))).toEqual(noise);
  });

  it("refuses what is cut short or names an unknown code, and throws nothing else", () => {
    const whole = lzwCompress(new TextEncoder().encode("hello hello hello"));
    expect(() => lzwDecompress(whole.subarray(0, -1))).toThrow("lzw: cut short");
    expect(() => lzwDecompress(Uint8Array.of(0x00, 0xff, 0xff))).toThrow("lzw: invalid code");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          lzwDecompress(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });
});
