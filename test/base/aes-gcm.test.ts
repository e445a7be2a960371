import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AesGcm } from "../../src/base/aes-gcm.ts";

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const toHex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString("hex"));

/** Test cases 1 to 4 and 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", as NIST took them over. */
const P4 =
  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
const A4 = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const VECTORS = [
  ["00000000000000000000000000000000", "000000000000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a"],
  [
    "00000000000000000000000000000000",
    "000000000000000000000000",
    "00000000000000000000000000000000",
    "",
    "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
  ],
  [
    "feffe9928665731c6d6a8f9467308308",
    "cafebabefacedbaddecaf888",
    `${P4}1aafd255`,
    "",
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f59854d5c2af327cd64a62cf35abd2ba6fab4",
  ],
  [
    "feffe9928665731c6d6a8f9467308308",
    "cafebabefacedbaddecaf888",
    P4,
    A4,
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
  ],
  [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "000000000000000000000000",
    "",
    "",
    "530f8afbc74536b9a963b4f1c4cb738b",
  ],
  [
    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    "cafebabefacedbaddecaf888",
    P4,
    A4,
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
  ],
] as const;

describe("AesGcm", () => {
  it("encrypts FIPS 197's example block with 128, 192 and 256 bits", () => {
    for (const [length, expected] of [
      [16, "69c4e0d86a7b0430d8cdb78070b4c55a"],
      [24, "dda97ca4864cdfe06eaf70a0ec0d7191"],
      [32, "8ea2b7ca516745bfeafc49904b496089"],
    ] as const) {
      const block = Uint32Array.of(0x00112233, 0x44556677, 0x8899aabb, 0xccddeeff);
      new AesGcm(Uint8Array.from({ length }, (_, i) => i)).encryptBlock(block);
      expect([...block].map((w) => w.toString(16).padStart(8, "0")).join("")).toBe(expected);
    }
  });

  it.each(VECTORS)("seals and opens NIST's vector %#", (key, nonce, plain, aad, sealed) => {
    const gcm = new AesGcm(hex(key));
    expect(toHex(gcm.seal(hex(nonce), hex(plain), hex(aad)))).toBe(sealed);
    expect(toHex(gcm.open(hex(nonce), hex(sealed), hex(aad)))).toBe(plain);
  });

  it("agrees with node:crypto", () => {
    const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });
    const key = fc.constantFrom(16, 24, 32).chain((length) => bytes(length, length));
    fc.assert(
      fc.property(key, bytes(12, 12), bytes(0, 200), bytes(0, 50), (k, nonce, plain, aad) => {
        const cipher = createCipheriv(`aes-${k.length * 8}-gcm` as "aes-128-gcm", k, nonce);
        cipher.setAAD(aad);
        const expected = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
        const gcm = new AesGcm(k);
        expect(toHex(gcm.seal(nonce, plain, aad))).toBe(expected.toString("hex"));
        expect(toHex(gcm.open(nonce, expected, aad))).toBe(toHex(plain));
      }),
    );
  });

  it("refuses every changed bit, a changed nonce, other additional data and short input", () => {
    const gcm = new AesGcm(hex("000102030405060708090a0b0c0d0e0f"));
    const nonce = new Uint8Array(12);
    const sealed = gcm.seal(nonce, Uint8Array.of(1, 2, 3), Uint8Array.of(9));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = sealed.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(gcm.open(nonce, changed, Uint8Array.of(9))).toBeUndefined();
    }
    expect(gcm.open(nonce, sealed)).toBeUndefined();
    expect(
      gcm.open(
        Uint8Array.from({ length: 12 }, () => 1),
        sealed,
        Uint8Array.of(9),
      ),
    ).toBeUndefined();
    expect(gcm.open(nonce, sealed.subarray(0, 15), Uint8Array.of(9))).toBeUndefined();
    expect(gcm.open(nonce, sealed, Uint8Array.of(9))).toEqual(Uint8Array.of(1, 2, 3));
  });
});
