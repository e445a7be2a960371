/** AES-GCM of the kernel: FIPS 197 and NIST's vectors, node:crypto, the scalar twin, alignment, forgery. */
import { createCipheriv } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { loadUnits } from "../support/units.ts";
import { hex, unhex } from "../support/wasm.ts";
import { cavsVectors } from "./cavs.ts";

const { x, u8 } = loadUnits();
const call = x as Record<string, (...args: number[]) => number>;
const MAX = 2 ** 21;
/** Where keys, nonces, associated data, tags and data are put. */
const at = call["kmalloc"]?.(MAX + 2 ** 16) as number;
const KEY = at;
const NONCE = at + 64;
const TAG = at + 128;
const AAD = at + 256;
const DATA = at + 8192;
const KEY_SIZES = [16, 24, 32];

const random = new Random("gcm");
/** Random bytes to cut keys, nonces and data from. */
const pool = new Uint8Array(2 ** 16);
for (let i = 0; i < pool.length; i += 4) new DataView(pool.buffer).setUint32(i, random.u32());

function below(limit: number): number {
  return random.u32() % limit;
}

function some(length: number): Uint8Array {
  const start = below(pool.length - length);
  return pool.subarray(start, start + length);
}

interface Packet {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly plain: Uint8Array;
  readonly tagLength: number;
}

function packet(length: number, keySize = 16, aadLength = 8, tagLength = 8): Packet {
  return { key: some(keySize), nonce: some(12), aad: some(aadLength), plain: some(length), tagLength };
}

/** Ciphertext and tag, by OpenSSL. */
function reference({ key, nonce, aad, plain, tagLength }: Packet): { ciphertext: Uint8Array; tag: Uint8Array } {
  const name = `aes-${key.length * 8}-gcm` as "aes-128-gcm";
  const cipher = createCipheriv(name, key, nonce);
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plain);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag().subarray(0, tagLength) };
}

function newKey(key: Uint8Array): number {
  u8().set(key, KEY);
  return call["gcmKeyNew"]?.(KEY, key.length) as number;
}

function freeKey(key: number): void {
  call["gcmKeyFree"]?.(key);
}

function put(nonce: Uint8Array, aad: Uint8Array): void {
  u8().set(nonce, NONCE);
  u8().set(aad, AAD);
}

function bytes(from: number, length: number): Uint8Array {
  return u8().subarray(from, from + length);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Seals and opens at DATA + shift, and compares with the reference. */
function check(one: Packet, shift = 0): void {
  const { ciphertext, tag } = reference(one);
  const { length } = one.plain;
  const data = DATA + shift;
  const key = newKey(one.key);
  put(one.nonce, one.aad);
  u8().set(one.plain, data);
  call["gcmSeal"]?.(key, NONCE, AAD, one.aad.length, data, length, TAG, one.tagLength);
  const what = `${one.key.length}-byte key, ${one.aad.length} + ${length} bytes, tag of ${one.tagLength}`;
  if (!same(bytes(data, length), ciphertext)) expect.fail(`ciphertext: ${what}`);
  if (!same(bytes(TAG, one.tagLength), tag)) expect.fail(`tag: ${what}`);
  u8().set(ciphertext, data);
  u8().set(tag, TAG);
  const opened = call["gcmOpen"]?.(key, NONCE, AAD, one.aad.length, data, length, TAG, one.tagLength);
  if (opened !== 1 || !same(bytes(data, length), one.plain)) expect.fail(`open: ${what}`);
  freeKey(key);
}

describe("AES", () => {
  it.each([
    ["000102030405060708090a0b0c0d0e0f", "69c4e0d86a7b0430d8cdb78070b4c55a"],
    ["000102030405060708090a0b0c0d0e0f1011121314151617", "dda97ca4864cdfe06eaf70a0ec0d7191"],
    ["000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089"],
  ])("FIPS 197 appendix C, key %s", (key, want) => {
    u8().set(unhex(key), KEY);
    call["scalarKey"]?.(KEY, key.length / 2);
    u8().set(unhex("00112233445566778899aabbccddeeff"), DATA);
    call["scalarBlock"]?.(DATA, DATA + 16);
    expect(hex(bytes(DATA + 16, 16))).toBe(want);
  });
});

describe("AES-GCM", () => {
  it("agrees with NIST's vectors", () => {
    let sealed = 0;
    let opened = 0;
    let refused = 0;
    for (const vector of cavsVectors()) {
      const key = newKey(vector.key);
      put(vector.iv, vector.aad);
      const { length } = vector.ciphertext;
      const rest = [vector.aad.length, DATA, length, TAG, vector.tag.length];
      if (vector.encrypt) {
        u8().set(vector.plaintext as Uint8Array, DATA);
        call["gcmSeal"]?.(key, NONCE, AAD, ...rest);
        expect(same(bytes(DATA, length), vector.ciphertext), vector.name).toBe(true);
        expect(same(bytes(TAG, vector.tag.length), vector.tag), vector.name).toBe(true);
        sealed++;
      } else {
        u8().set(vector.ciphertext, DATA);
        u8().set(vector.tag, TAG);
        const result = call["gcmOpen"]?.(key, NONCE, AAD, ...rest);
        expect(result, vector.name).toBe(vector.plaintext === undefined ? 0 : 1);
        expect(same(bytes(DATA, length), vector.plaintext ?? vector.ciphertext), vector.name).toBe(true);
        if (result === 1) opened++;
        else refused++;
      }
      freeKey(key);
    }
    expect(sealed).toBeGreaterThanOrEqual(2100);
    expect(opened).toBeGreaterThan(900);
    expect(refused).toBeGreaterThan(900);
    expect(opened + refused).toBeGreaterThanOrEqual(2100);
  });

  it("agrees with OpenSSL on 100,000 packets of 0 to 9,000 bytes, both ways", () => {
    for (let i = 0; i < 100_000; i++) {
      const length = below(i % 4 === 0 ? 9001 : 1601);
      check(packet(length, KEY_SIZES[below(3)], below(41), 4 + below(13)), below(16));
    }
  });

  it("agrees with OpenSSL for any length of the associated data", () => {
    for (const length of [0, 1, 16, 80, 95, 96, 97, 511, 512, 513, 608, 640, 1400]) {
      for (let aad = 0; aad <= 100; aad++) check(packet(length, KEY_SIZES[aad % 3], aad, 16));
    }
  });

  it("carries in the counter", () => {
    // 32 batches are 4,096 bytes, less the first two blocks; then 256 x 4,096, where the next byte changes.
    for (const keySize of KEY_SIZES) {
      for (const length of [4063, 4064, 4065, 8160, 65_600]) check({ ...packet(0, keySize), plain: repeat(length) });
    }
    check({ ...packet(0), plain: repeat(256 * 4096 + 5000) });
  });

  it("makes the same of random input as the plain implementation", () => {
    for (let i = 0; i < 600; i++) {
      const { key, nonce, aad, plain, tagLength } = packet(
        below(i % 6 === 0 ? 9001 : 800),
        KEY_SIZES[i % 3],
        below(50),
      );
      const length = plain.length;
      const other = DATA + 16_384;
      u8().set(plain, DATA);
      u8().set(plain, other);
      const handle = newKey(key);
      put(nonce, aad);
      call["scalarKey"]?.(KEY, key.length);
      call["gcmSeal"]?.(handle, NONCE, AAD, aad.length, DATA, length, TAG, tagLength);
      call["scalarSeal"]?.(NONCE, AAD, aad.length, other, length, TAG + 32, tagLength);
      expect(same(bytes(DATA, length), bytes(other, length)) && same(bytes(TAG, 8), bytes(TAG + 32, 8))).toBe(true);
      expect(call["scalarOpen"]?.(NONCE, AAD, aad.length, DATA, length, TAG, tagLength)).toBe(1);
      expect(same(bytes(DATA, length), plain)).toBe(true);
      freeKey(handle);
    }
  });

  it("does any length at any alignment, as ESP lays it out, and nothing around it changes", () => {
    // canary | SPI, sequence number | IV | data | tag | canary; the nonce begins with the salt, elsewhere.
    const key = some(16);
    const handle = newKey(key);
    for (let length = 0; length <= 1600; length++) {
      const one = { key, nonce: some(12), aad: some(8), plain: some(length), tagLength: 8 };
      const { ciphertext, tag } = reference(one);
      const whole = Buffer.concat([some(64), one.aad, one.nonce.subarray(4), one.plain, Buffer.alloc(8), some(64)]);
      const sealed = Buffer.concat([whole.subarray(0, 80), ciphertext, tag, whole.subarray(-64)]);
      const opened = Buffer.concat([whole.subarray(0, 80 + length), tag, whole.subarray(-64)]);
      u8().set(one.nonce, NONCE);
      for (let shift = 0; shift < 16; shift++) {
        const start = DATA + shift;
        const args = [start + 64, 8, start + 80, length, start + 80 + length, 8];
        u8().set(whole, start);
        call["gcmSeal"]?.(handle, NONCE, ...args);
        if (!same(bytes(start, whole.length), sealed)) expect.fail(`seal of ${length} bytes at ${shift}`);
        if (call["gcmOpen"]?.(handle, NONCE, ...args) !== 1) expect.fail(`open of ${length} bytes at ${shift}`);
        if (!same(bytes(start, whole.length), opened)) expect.fail(`opened ${length} bytes at ${shift}`);
      }
    }
    freeKey(handle);
  });

  it.each([
    [0, 16],
    [5, 8],
    [64, 8],
    [500, 16],
    [700, 16],
    [864, 8],
  ])("refuses every packet of %i bytes with one bit changed, and leaves it alone", (length, tagLength) => {
    for (const keySize of length < 600 ? KEY_SIZES : [16]) {
      const one = packet(length, keySize, 8, tagLength);
      const { ciphertext, tag } = reference(one);
      const handle = newKey(one.key);
      const refused = (): boolean => {
        const before = Buffer.from(bytes(DATA - 32, length + 64));
        const result = call["gcmOpen"]?.(handle, NONCE, AAD, 8, DATA, length, TAG, tagLength);
        return result === 0 && same(bytes(DATA - 32, length + 64), before);
      };
      put(one.nonce, one.aad);
      u8().set(ciphertext, DATA);
      u8().set(tag, TAG);
      for (const [part, bytesOf] of [
        [AAD, 8],
        [NONCE, 12],
        [DATA, length],
        [TAG, tagLength],
      ] as const) {
        for (let bit = 0; bit < 8 * bytesOf; bit++) {
          const byte = part + (bit >> 3);
          u8()[byte] = (u8()[byte] as number) ^ (1 << (bit & 7));
          if (!refused()) expect.fail(`bit ${bit} at ${part - at}`);
          u8()[byte] = (u8()[byte] as number) ^ (1 << (bit & 7));
        }
      }
      // Unchanged, it opens: so it was the bit.
      expect(call["gcmOpen"]?.(handle, NONCE, AAD, 8, DATA, length, TAG, tagLength)).toBe(1);
      expect(same(bytes(DATA, length), one.plain)).toBe(true);
      freeKey(handle);
    }
  });

  it("takes keys of 16, 24 and 32 bytes, and gives their memory back", () => {
    const held = call["held"]?.();
    for (const length of [0, 1, 15, 17, 20, 28, 31, 33, 36, 64]) expect(call["gcmKeyNew"]?.(KEY, length)).toBe(0);
    expect(call["held"]?.()).toBe(held);
    const keys = KEY_SIZES.map((length) => newKey(some(length)));
    expect(new Set(keys).size).toBe(3);
    expect(call["held"]?.()).toBe((held as number) + 3);
    for (const key of keys) freeKey(key);
    expect(call["held"]?.()).toBe(held);
  });
});

function repeat(length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let done = 0; done < length; done += pool.length) {
    out.set(pool.subarray(0, Math.min(pool.length, length - done)), done);
  }
  return out;
}
