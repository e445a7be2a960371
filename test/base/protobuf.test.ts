import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedError } from "../../src/base/errors.ts";
import { ProtoWriter, parseProto } from "../../src/base/protobuf.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

describe("protobuf", () => {
  it("writes the encoding guide's examples", () => {
    expect(hex(new ProtoWriter().uint(1, 150).finish())).toBe("089601");
    expect(hex(new ProtoWriter().string(2, "testing").finish())).toBe("120774657374696e67");
    expect(hex(new ProtoWriter().message(3, (m) => m.uint(1, 150)).finish())).toBe("1a03089601");
    expect(hex(new ProtoWriter().int(1, -2).finish())).toBe("08feffffffffffffffff01");
  });

  it("leaves out default values, but not where asked to keep them", () => {
    const empty = new ProtoWriter().uint(1, 0).int(2, 0).bool(3, false).string(4, "").bytes(5, new Uint8Array(0));
    expect(empty.finish().length).toBe(0);
    const kept = new ProtoWriter()
      .uintAlways(1, 0)
      .stringAlways(2, "")
      .message(3, () => {});
    expect(hex(kept.finish())).toBe("080012001a00");
  });

  it("reads back what it wrote", () => {
    const value = fc.record({
      field: fc.integer({ min: 1, max: 2 ** 29 - 1 }),
      number: fc.maxSafeInteger(),
      text: fc.string({ unit: "grapheme" }),
      bytes: fc.uint8Array({ maxLength: 300 }),
      flag: fc.boolean(),
    });
    fc.assert(
      fc.property(value, ({ field, number, text, bytes, flag }) => {
        const writer = new ProtoWriter().int(field, number).stringAlways(field, text).bytesAlways(field, bytes);
        const fields = parseProto(writer.bool(field, flag).finish());
        expect(fields.every((f) => f.number === field)).toBe(true);
        if (number !== 0) expect(fields.shift()?.int()).toBe(number);
        expect(fields[0]?.string()).toBe(text);
        expect(fields[1]?.bytes()).toEqual(bytes);
        expect(fields[2]?.bool() ?? false).toBe(flag);
      }),
    );
  });

  it("reads fixed32 and fixed64", () => {
    const fields = parseProto(unhex("0d0100000011ff00000000000000"));
    expect(fields.map((f) => [f.number, f.uint()])).toEqual([
      [1, 1],
      [2, 255],
    ]);
  });

  it.each([
    ["08", "cut short"],
    ["0896", "cut short"],
    ["1205aa", "cut short"],
    ["0d0102", "cut short"],
    ["00", "field number"],
    ["0b", "wire type"],
    ["08ffffffffffffffffffffff01", "too long"],
  ])("refuses %s: %s", (bytes, reason) => {
    expect(() => parseProto(unhex(bytes))).toThrow(reason);
  });

  it("refuses values of another type, large integers and broken UTF-8", () => {
    const [number, text, large] = parseProto(unhex("08011202fffe18ffffffffffffffffff01"));
    expect(() => number?.bytes()).toThrow("wire type");
    expect(() => text?.uint()).toThrow("wire type");
    expect(() => text?.string()).toThrow("not UTF-8");
    expect(() => large?.uint()).toThrow("too large");
    expect(large?.int()).toBe(-1);
  });

  it("throws nothing but MalformedError whatever the input", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          parseProto(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });
});
