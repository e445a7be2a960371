import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { asciiText } from "../../src/base/ascii.ts";

describe("short ASCII texts", () => {
  it("are what a decoder makes of the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ max: 127, maxLength: 70 }), (bytes) => {
        const expected = bytes.length > 64 ? undefined : new TextDecoder().decode(bytes);
        expect(asciiText(bytes)).toBe(expected);
        expect(asciiText(bytes)).toBe(expected);
      }),
    );
  });

  it("stay right when the bytes change behind them, and when there are more than are kept", () => {
    const bytes = Uint8Array.of(97, 98, 99);
    expect(asciiText(bytes)).toBe("abc");
    bytes[0] = 120;
    expect(asciiText(bytes)).toBe("xbc");
    expect(asciiText(Uint8Array.of(97, 98, 99))).toBe("abc");
    for (let i = 0; i < 20_000; i++) expect(asciiText(new TextEncoder().encode(`name-${i}`))).toBe(`name-${i}`);
  });

  it("are none with a byte above 127", () => {
    expect(asciiText(Uint8Array.of(97, 195, 164))).toBeUndefined();
    expect(asciiText(new Uint8Array(0))).toBe("");
  });
});
