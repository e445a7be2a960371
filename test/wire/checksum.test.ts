/** The Internet checksum against the plainest program for it. */
import { describe, expect, it } from "vitest";
import { loadUnits } from "../support/units.ts";

const { x, u8 } = loadUnits();
const base = x["scratch"]() as number;

function generator(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

/** One's-complement sum of little-endian words, folded. */
function naive(bytes: Uint8Array, start: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) {
    sum += (i & 1) === 0 ? (bytes[start + i] as number) : (bytes[start + i] as number) << 8;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** 0 and 0xffff are the same number in one's complement. */
const same = (value: number): number => (value === 0xffff ? 0 : value);

describe("checksum", () => {
  it("is right for all lengths up to 9000 and all alignments", () => {
    const random = generator(5);
    const block = new Uint8Array(9100).map(() => random(256));
    u8().set(block, base);
    for (let length = 0; length <= 9000; length++) {
      for (const shift of length < 300
        ? Array.from({ length: 16 }, (_, i) => i)
        : [length % 16, (length * 7 + 3) % 16]) {
        const got = x["sumFolded"](base + shift, length) as number;
        if (same(got) !== same(naive(block, shift, length))) expect.fail(`length ${length} at ${shift}: ${got}`);
      }
    }
  }, 60_000);

  it("survives the largest sums", () => {
    u8().fill(0xff, base, base + 200_000);
    for (const length of [63, 64, 65, 1500, 65_535, 65_536, 131_072, 199_999, 200_000]) {
      const all = new Uint8Array(length).fill(0xff);
      expect(same(x["sumFolded"](base, length) as number)).toBe(same(naive(all, 0, length)));
      expect(x["checksumOf"](base, length & ~1)).toBe(0);
    }
  });

  it("adjusts to a changed word as if summed anew", () => {
    const random = generator(17);
    for (let i = 0; i < 20_000; i++) {
      const bytes = new Uint8Array(20).map(() => (random(5) === 0 ? 255 * random(2) : random(256)));
      u8().set(bytes, base);
      const old = x["checksumOf"](base, 20) as number;
      const at = 2 * random(9);
      const data = new DataView(bytes.buffer);
      const wide = random(2) === 0;
      const from = wide ? data.getUint32(at, true) : data.getUint16(at, true);
      const to = wide ? random(2 ** 32) : random(0x10000);
      if (wide) data.setUint32(at, to, true);
      else data.setUint16(at, to, true);
      const adjusted = (wide ? x["adjusted32"](old, from, to) : x["adjusted16"](old, from, to)) as number;
      u8().set(bytes, base);
      expect(same(adjusted)).toBe(same(x["checksumOf"](base, 20) as number));
      // A receiver sums data and checksum to all ones.
      expect(same((naive(bytes, 0, 20) + adjusted) % 0xffff)).toBe(0);
    }
  });

  it("follows the example of RFC 1624: an update that leaves 0xffff out", () => {
    // RFC 1624 §4: HC 0xdd2f, m 0x5555 -> m' 0x3285 gives 0x0000, not 0xffff.
    const swap = (value: number): number => ((value & 255) << 8) | (value >> 8);
    expect(x["adjusted16"](swap(0xdd2f), swap(0x5555), swap(0x3285))).toBe(0);
  });
});

describe("local checksum offload", () => {
  const random = generator(23);

  function frame(): Uint8Array {
    const header = 20 + 4 * (random(6) === 0 ? random(11) : 0);
    const protocol = [6, 17, 1, 47][random(4)] as number;
    const segment = random(1400) + 20;
    const padding = random(5) === 0 ? random(20) : 0;
    const bytes = new Uint8Array(14 + header + segment + padding).map(() => random(256));
    const data = new DataView(bytes.buffer);
    data.setUint16(12, random(10) === 0 ? 0x86dd : 0x0800);
    bytes[14] = 0x40 | (header / 4);
    data.setUint16(16, header + segment);
    data.setUint16(20, random(8) === 0 ? ([0x2000, 0x00b9][random(2)] as number) : 0x4000);
    bytes[23] = protocol;
    // A right checksum of TCP and UDP: over the pseudo header too.
    const field = 14 + header + (protocol === 6 ? 16 : 6);
    if (protocol === 6 || protocol === 17) {
      data.setUint16(field, 0);
      let sum = naive(bytes, 14 + 12, 8) + (protocol << 8) + (((segment & 255) << 8) | (segment >> 8));
      sum = (sum + naive(bytes, 14 + header, segment)) % 0xffff;
      const check = ~sum & 0xffff;
      data.setUint16(field, protocol === 17 && random(9) === 0 ? 0 : check === 0 ? 0xffff : check, true);
    }
    return bytes;
  }

  it("equals the full sum for random frames with right checksums", () => {
    for (let i = 0; i < 5000; i++) {
      const bytes = frame();
      u8().set(bytes, base);
      const full = same(naive(bytes, 0, bytes.length));
      expect(same(x["innerSumFolded"](bytes.length, 1) as number)).toBe(full);
      expect(same(x["innerSumFolded"](bytes.length, 0) as number)).toBe(full);
    }
  });

  it("sums the headers only where the flag allows it", () => {
    // With a wrong inner checksum the short way must differ from the full one: it was really taken.
    let shorter = 0;
    for (let i = 0; i < 200; i++) {
      const bytes = frame();
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 0x55;
      u8().set(bytes, base);
      const full = same(naive(bytes, 0, bytes.length));
      expect(same(x["innerSumFolded"](bytes.length, 0) as number)).toBe(full);
      if (same(x["innerSumFolded"](bytes.length, 1) as number) !== full) shorter++;
    }
    expect(shorter).toBeGreaterThan(20);
  });
});
