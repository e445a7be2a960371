/** Vectors of the kernel's hash functions (jhash, SipHash, flow hash, tunnel source ports), from the kernel's headers. */
import { describe, expect, it } from "vitest";
import { loadUnits } from "../support/units.ts";
import { unhex } from "../support/wasm.ts";

const { x, u8, view } = loadUnits();
const at = x["scratch"]() as number;
const K0 = 0x0706050403020100n;
const K1 = 0x0f0e0d0c0b0a0908n;
const u32 = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
const u64 = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, "0");

function bytes(count: number): void {
  for (let i = 0; i < count; i++) u8()[at + i] = i;
}

describe("jhash", () => {
  it.each([
    [0, 0, 0, 0, "1b68e557"],
    [1, 2, 3, 0, "a46158f5"],
    [0x0200000a, 0x5000, 6, 0x12345678, "69e80246"],
    [0x0101a8c0, 0x3500, 17, 0xdeadbeef, "4cba3d23"],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, "c343af0b"],
  ])("jhash_3words(%i, %i, %i; %i)", (a, b, c, iv, want) => {
    expect(u32(x["jhash3"](a, b, c, iv))).toBe(want);
  });

  it("jhash_2words, jhash_1word", () => {
    expect(u32(x["jhash2words"](1, 2, 0))).toBe("8b4c7979");
    expect(u32(x["jhash2words"](0x0200000a, 0x5000, 0x12345678))).toBe("7f54e75e");
    expect(u32(x["jhash1"](1, 0))).toBe("72a82a9b");
    expect(u32(x["jhash1"](0x0200000a, 0x12345678))).toBe("8e38aad3");
  });

  it.each([
    [0, 0, "deadbeef"],
    [1, 0, "72a82a9b"],
    [2, 0, "8b4c7979"],
    [3, 0, "a46158f5"],
    [4, 0, "66491246"],
    [5, 0, "629129c0"],
    [6, 0, "e3e36b25"],
    [8, 0, "84ce8c3e"],
    [0, 1, "deadbef0"],
    [1, 1, "76efdf8d"],
    [2, 1, "73989811"],
    [3, 1, "0e3bbaf2"],
    [4, 1, "044ec9ea"],
    [5, 1, "8e2bb0bc"],
    [6, 1, "a6d49185"],
    [8, 1, "3395cdee"],
  ])("jhash2 of %i words, iv %i", (count, iv, want) => {
    for (let i = 0; i < count; i++) view().setUint32(at + 4 * i, i + 1, true);
    expect(u32(x["jhash2"](at, count, iv))).toBe(want);
  });

  it.each([
    [1, "8ba9414b", "ed59d193"],
    [4, "e4cf1d42", "16d1d0c0"],
    [11, "2ca6817a", "2287b48d"],
    [12, "5e4aa593", "1011bbf2"],
    [13, "bc9d6816", "7866d225"],
    [16, "5e84eafc", "6d034488"],
    [25, "3a882244", "054c5cfb"],
    [63, "24fcde8a", "7c262e97"],
  ])("jhash of %i bytes", (count, zero, other) => {
    bytes(count);
    u8().fill(0xee, at + count, at + count + 16); // what follows doesn't count
    expect(u32(x["jhash"](at, count, 0))).toBe(zero);
    expect(u32(x["jhash"](at, count, 0x12345678))).toBe(other);
  });
});

describe("siphash", () => {
  it.each([
    [0, "726fdb47dd0e0e31", "050fc4dc"],
    [1, "74f839c593dc67fd", "7d57ca93"],
    [4, "cf2794e0277187b7", "88d38328"],
    [8, "93f5f5799a932462", "8d299a8e"],
    [12, "751e8fbc860ee5fb", "57b4d9a2"],
    [15, "a129ca6149be45e5", "2a519956"],
    [16, "3f2acc7f57c29bdb", "7d908b66"],
    [24, "b8ad50c6f649af94", "67349c8c"],
    [32, "7127512f72f27cce", "16a7b60d"],
  ])("SipHash-2-4 and hsiphash of %i bytes", (count, sip, half) => {
    bytes(count);
    u8().fill(0xee, at + count, at + count + 16);
    expect(u64(x["siphash"](at, count, K0, K1))).toBe(sip);
    expect(u32(x["hsiphash"](at, count, K0, K1))).toBe(half);
  });

  it("siphash_2u32, _3u32 and _4u32 are siphash of the words", () => {
    expect(u64(x["siphash3u32"](0x0200000a, 0x0300000a, 17, K0, K1))).toBe("0b77ec6803d23f05");
    const words = [0x0200000a, 0x0300000a, 17, 0xdeadbeef];
    for (const [i, word] of words.entries()) view().setUint32(at + 4 * i, word, true);
    expect(x["siphash2u32"](words[0], words[1], K0, K1)).toBe(x["siphash"](at, 8, K0, K1));
    expect(x["siphash3u32"](words[0], words[1], words[2], K0, K1)).toBe(x["siphash"](at, 12, K0, K1));
    expect(x["siphash4u32"](words[0], words[1], words[2], words[3], K0, K1)).toBe(x["siphash"](at, 16, K0, K1));
  });
});

describe("flow hash", () => {
  /** A frame with an IPv4 packet; `ports` are the first bytes of its transport header. */
  function hash(src: string, dst: string, protocol: string, ports: string, fragment = "0000", type = "0800"): string {
    const ip = `4500001c0000${fragment}40${protocol}0000${src}${dst}`;
    const frame = unhex(`020000000001020000000002${type}${ip}${ports}00000000`);
    u8().set(frame, at);
    return u32(x["flowHash"](frame.length, K0, K1));
  }

  it("matches the vectors, in both directions", () => {
    expect(hash("0a000002", "0a000003", "06", "9c400050")).toBe("0c747d42");
    expect(hash("0a000003", "0a000002", "06", "00509c40")).toBe("0c747d42");
    expect(hash("0a000002", "0a000003", "11", "cf840035")).toBe("7edd8ddb");
    expect(hash("0a000003", "0a000002", "11", "0035cf84")).toBe("7edd8ddb");
    expect(hash("0a000002", "0a000003", "01", "08001234")).toBe("01f7cefb");
    expect(hash("0a000003", "0a000002", "01", "00001234")).toBe("01f7cefb");
  });

  it("takes no ports from fragments, and the ethertype alone of other frames", () => {
    const later = hash("0a000002", "0a000003", "11", "cf840035", "00b9");
    expect(later).toBe(hash("0a000002", "0a000003", "11", "11112222", "00b9"));
    expect(later).not.toBe(hash("0a000002", "0a000003", "11", "cf840035"));
    const arp = hash("0a000002", "0a000003", "11", "cf840035", "0000", "0806");
    expect(arp).toBe(hash("0a0000ff", "0a0000fe", "06", "cf840035", "0000", "0806"));
  });

  it.each([
    [0x00000001, 32768],
    [0x80000000, 46883],
    [0x12345678, 40299],
    [0xdeadbeef, 43383],
    [0xffffffff, 32768],
    [0x0c747d42, 45252],
    [0x7edd8ddb, 59568],
    [0x01f7cefb, 55600],
  ])("gives hash %i the tunnel source port %i", (flow, port) => {
    expect(x["flowSourcePort"](flow, 32768, 60999)).toBe(port);
  });
});
