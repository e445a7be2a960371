import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { fileName, formatLink, fromBase64Url, type LabLink, parseLink, toBase64Url } from "../../src/lab/link.ts";

describe("links", () => {
  it("write what stands in the docs", () => {
    const link = { lab: "docs/003-ingress", settings: { pause: "2s" }, seed: "7", time: 12_500_000_000 };
    expect(formatLink(link)).toBe("lab=docs/003-ingress&set=pause=2s&seed=7&t=12.5s");
  });

  it.each<LabLink>([
    { lab: "standalone", settings: {} },
    { lab: "a/b", settings: { "network.loss": "1%", opts: "--a=b &c#d" }, seed: "x y", time: 1_234_567_891 },
    { packed: { name: "my lab", bytes: Uint8Array.of(0, 255, 62, 63, 1) }, settings: {}, seed: "é" },
    { packed: { name: "x", bytes: new Uint8Array(0) }, settings: {}, time: 3_600_000_000_500 },
  ])("come back as they went: %j", (link) => {
    expect(parseLink(`#${formatLink(link)}`)).toEqual(link);
  });

  it("an empty fragment asks for nothing", () => {
    expect(parseLink("")).toBeUndefined();
    expect(parseLink("#")).toBeUndefined();
  });

  it.each([
    ["#lab", 'broken at "lab"'],
    ["#lab=a&hack=1", 'broken at "hack=1"'],
    ["#lab=a&lab=b", "says lab twice"],
    ["#seed=1", "expected lab=NAME"],
    ["#lab=a&text=AA", "expected lab=NAME"],
    ["#lab=%E0%A4", "lab= is broken"],
    ["#lab=a&t=soon", "expected a time like 12.5s"],
    ["#lab=a&set=x", "expected KEY=VALUE"],
    ["#lab=a&set=x%3D1&set=x%3D2", "sets x twice"],
    ["#name=a&text=a!b", "cut or changed"],
    ["#name=a&text=abcde", "cut or changed"],
  ])("%s: says what is wrong", (fragment, message) => {
    expect(() => parseLink(fragment)).toThrow(UserError);
    expect(() => parseLink(fragment)).toThrow(message);
  });

  it("one that is too long is refused", () => {
    const bytes = new Uint8Array(20_000).map((_, i) => (i * 7919) % 256);
    expect(() => formatLink({ packed: { name: "x", bytes }, settings: {} })).toThrow(/characters, more than the 16000/);
  });

  it("whatever stands in an address: a link, or one clear message", () => {
    const part = fc.constantFrom(
      "lab=",
      "text=",
      "name=",
      "seed=",
      "set=",
      "t=",
      "&",
      "#",
      "=",
      "a",
      "%",
      "%41",
      "1s",
      "-_",
      "é",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(part).map((parts) => parts.join("")),
        ),
        (text) => {
          try {
            const link = parseLink(text);
            if (link !== undefined) expect(parseLink(formatLink(link))).toEqual(link);
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        },
      ),
    );
  });

  it("base64url is RFC 4648's", () => {
    for (const [text, coded] of [
      ["", ""],
      ["f", "Zg"],
      ["fo", "Zm8"],
      ["foobar", "Zm9vYmFy"],
    ] as const) {
      expect(toBase64Url(Buffer.from(text))).toBe(coded);
      expect(Buffer.from(fromBase64Url(coded)).toString()).toBe(text);
    }
    const bytes = deflateRawSync("a".repeat(100));
    expect(Buffer.from(fromBase64Url(toBase64Url(bytes))).equals(bytes)).toBe(true);
  });

  it("names of files have no folders and no dots in front", () => {
    expect(["a.yaml", "docs/b.yml", "../../etc/passwd", "..", "x<y>:z", ""].map(fileName)).toEqual([
      "a",
      "b",
      "passwd",
      "lab",
      "x-y--z",
      "lab",
    ]);
  });
});
