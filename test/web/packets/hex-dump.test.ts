/** Bytes as people read them. */
import { expect, it } from "vitest";
import { hexDump } from "../../../web/page/packets/hex-dump.ts";

it("prints sixteen bytes a line, and pads the last one", () => {
  const bytes = Uint8Array.from({ length: 18 }, (_, i) => 0x38 + i);
  expect(hexDump(bytes).split("\n")).toEqual([
    "0000  38 39 3a 3b 3c 3d 3e 3f  40 41 42 43 44 45 46 47  89:;<=>?@ABCDEFG",
    `0010  48 49${" ".repeat(43)}  HI`,
  ]);
  expect(hexDump(new Uint8Array(0))).toBe("");
});
