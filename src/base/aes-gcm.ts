/**
 * AES in Galois/Counter Mode (FIPS 197, NIST SP 800-38D): what memberlist and the swarm's TLS records
 * are sealed with. AES by the four 32-bit round tables of the Rijndael submission, GHASH by an 8-bit table
 * per key. Table lookups leak timing on real machines; here no adversary measures time.
 */
import { assert } from "./errors.ts";

/** Bytes of the authentication tag. */
const GCM_TAG_LENGTH = 16;
/** Bytes of the nonce. Other lengths, which GCM hashes first, are not supported. */
const GCM_NONCE_LENGTH = 12;

const SBOX = new Uint8Array(256);
const ROUND = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)] as const;

function fillTables(): void {
  // 3 generates the multiplicative group of GF(2^8): walk it with its inverse, apply the affine map.
  let p = 1;
  let q = 1;
  do {
    p = (p ^ (p << 1) ^ (p & 0x80 ? 0x11b : 0)) & 255;
    q ^= q << 1;
    q ^= q << 2;
    q ^= q << 4;
    q &= 255;
    if (q & 0x80) q ^= 0x09;
    const rotated = q ^ rotl8(q, 1) ^ rotl8(q, 2) ^ rotl8(q, 3) ^ rotl8(q, 4);
    SBOX[p] = rotated ^ 0x63;
  } while (p !== 1);
  SBOX[0] = 0x63;
  for (let i = 0; i < 256; i++) {
    const s = SBOX[i] as number;
    const s2 = ((s << 1) ^ (s & 0x80 ? 0x11b : 0)) & 255;
    let word = ((s2 << 24) | (s << 16) | (s << 8) | (s2 ^ s)) >>> 0;
    for (const table of ROUND) {
      table[i] = word;
      word = ((word >>> 8) | (word << 24)) >>> 0;
    }
  }
}

function rotl8(value: number, by: number): number {
  return ((value << by) | (value >> (8 - by))) & 255;
}

fillTables();

/** The 16 top bits by which the last byte of a block comes back when it is shifted out (times x^8). */
const GHASH_REDUCE = new Uint16Array(256);
for (let byte = 0; byte < 256; byte++) {
  let top = 0;
  for (let bit = 0; bit < 8; bit++) top = (top >>> 1) ^ ((byte >>> bit) & 1 ? 0xe100 : 0);
  GHASH_REDUCE[byte] = top;
}

/** AES-GCM under one key of 16, 24 or 32 bytes. Instances keep the expanded key and are reusable. */
export class AesGcm {
  readonly #schedule: Uint32Array;
  readonly #rounds: number;
  readonly #table: Uint32Array;
  readonly #block = new Uint32Array(4);
  readonly #hash = new Uint32Array(4);

  constructor(key: Uint8Array) {
    assert(key.length === 16 || key.length === 24 || key.length === 32, "AES key length", key.length);
    this.#rounds = key.length / 4 + 6;
    this.#schedule = expandKey(key, this.#rounds);
    this.#table = this.#hashTable();
  }

  /**
   * Encrypts and authenticates.
   * @returns ciphertext followed by the 16-byte tag
   */
  seal(nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array = EMPTY): Uint8Array {
    const out = new Uint8Array(plaintext.length + GCM_TAG_LENGTH);
    this.#counterMode(nonce, plaintext, out);
    this.#tag(nonce, aad, out, plaintext.length, out);
    return out;
  }

  /**
   * Checks and decrypts what seal() made.
   * @returns the plaintext; undefined when the tag does not match
   */
  open(nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array = EMPTY): Uint8Array | undefined {
    const length = sealed.length - GCM_TAG_LENGTH;
    if (length < 0) return undefined;
    const expected = new Uint8Array(length + GCM_TAG_LENGTH);
    this.#tag(nonce, aad, sealed, length, expected);
    let difference = 0;
    for (let i = length; i < sealed.length; i++) difference |= (expected[i] as number) ^ (sealed[i] as number);
    if (difference !== 0) return undefined;
    const out = new Uint8Array(length);
    this.#counterMode(nonce, sealed.subarray(0, length), out);
    return out;
  }

  /** Encrypts one block, four big-endian words, in place: the AES block cipher itself. */
  encryptBlock(block: Uint32Array): void {
    const [t0, t1, t2, t3] = ROUND;
    const key = this.#schedule;
    let a = (block[0] as number) ^ (key[0] as number);
    let b = (block[1] as number) ^ (key[1] as number);
    let c = (block[2] as number) ^ (key[2] as number);
    let d = (block[3] as number) ^ (key[3] as number);
    let at = 4;
    for (let round = 1; round < this.#rounds; round++, at += 4) {
      const e = at32(t0, a >>> 24) ^ at32(t1, (b >>> 16) & 255) ^ at32(t2, (c >>> 8) & 255) ^ at32(t3, d & 255);
      const f = at32(t0, b >>> 24) ^ at32(t1, (c >>> 16) & 255) ^ at32(t2, (d >>> 8) & 255) ^ at32(t3, a & 255);
      const g = at32(t0, c >>> 24) ^ at32(t1, (d >>> 16) & 255) ^ at32(t2, (a >>> 8) & 255) ^ at32(t3, b & 255);
      const h = at32(t0, d >>> 24) ^ at32(t1, (a >>> 16) & 255) ^ at32(t2, (b >>> 8) & 255) ^ at32(t3, c & 255);
      a = e ^ (key[at] as number);
      b = f ^ (key[at + 1] as number);
      c = g ^ (key[at + 2] as number);
      d = h ^ (key[at + 3] as number);
    }
    block[0] = substitute(a, b, c, d) ^ (key[at] as number);
    block[1] = substitute(b, c, d, a) ^ (key[at + 1] as number);
    block[2] = substitute(c, d, a, b) ^ (key[at + 2] as number);
    block[3] = substitute(d, a, b, c) ^ (key[at + 3] as number);
  }

  #keystream(nonce: Uint8Array, counter: number): void {
    assert(nonce.length === GCM_NONCE_LENGTH, "GCM nonce length", nonce.length);
    this.#block[0] = word(nonce, 0);
    this.#block[1] = word(nonce, 4);
    this.#block[2] = word(nonce, 8);
    this.#block[3] = counter;
    this.encryptBlock(this.#block);
  }

  #counterMode(nonce: Uint8Array, input: Uint8Array, out: Uint8Array): void {
    const block = this.#block;
    for (let at = 0, counter = 2; at < input.length; at += 16, counter++) {
      this.#keystream(nonce, counter);
      const end = Math.min(16, input.length - at);
      for (let i = 0; i < end; i++) {
        out[at + i] = (input[at + i] as number) ^ ((block[i >> 2] as number) >>> (24 - 8 * (i & 3)));
      }
    }
  }

  /** Writes the tag of `aad` and the first `length` bytes of `ciphertext` behind them into `out`. */
  #tag(nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array, length: number, out: Uint8Array): void {
    const hash = this.#hash.fill(0);
    this.#absorb(aad, aad.length);
    this.#absorb(ciphertext, length);
    hash[0] = (hash[0] as number) ^ Math.floor(aad.length / 2 ** 29);
    hash[1] = (hash[1] as number) ^ (aad.length << 3);
    hash[2] = (hash[2] as number) ^ Math.floor(length / 2 ** 29);
    hash[3] = (hash[3] as number) ^ (length << 3);
    this.#multiply();
    this.#keystream(nonce, 1);
    for (let i = 0; i < 16; i++) {
      const w = (hash[i >> 2] as number) ^ (this.#block[i >> 2] as number);
      out[length + i] = w >>> (24 - 8 * (i & 3));
    }
  }

  #absorb(data: Uint8Array, length: number): void {
    const hash = this.#hash;
    for (let at = 0; at < length; at += 16) {
      const end = Math.min(16, length - at);
      for (let i = 0; i < end; i++) {
        hash[i >> 2] = (hash[i >> 2] as number) ^ ((data[at + i] as number) << (24 - 8 * (i & 3)));
      }
      this.#multiply();
    }
  }

  /** hash := hash · H in GF(2^128), a byte at a time from the end (Shoup's method). */
  #multiply(): void {
    const hash = this.#hash;
    const table = this.#table;
    let z0 = 0;
    let z1 = 0;
    let z2 = 0;
    let z3 = 0;
    for (let i = 15; i >= 0; i--) {
      if (i < 15) {
        const out = z3 & 255;
        z3 = (z3 >>> 8) | (z2 << 24);
        z2 = (z2 >>> 8) | (z1 << 24);
        z1 = (z1 >>> 8) | (z0 << 24);
        z0 = (z0 >>> 8) ^ ((GHASH_REDUCE[out] as number) << 16);
      }
      const row = (((hash[i >> 2] as number) >>> (24 - 8 * (i & 3))) & 255) * 4;
      z0 ^= table[row] as number;
      z1 ^= table[row + 1] as number;
      z2 ^= table[row + 2] as number;
      z3 ^= table[row + 3] as number;
    }
    hash[0] = z0;
    hash[1] = z1;
    hash[2] = z2;
    hash[3] = z3;
  }

  /** Row b holds b · H; bit 7 of b is the coefficient of x^0. */
  #hashTable(): Uint32Array {
    const table = new Uint32Array(1024);
    const v = new Uint32Array(4);
    this.encryptBlock(v);
    for (let bit = 0x80; bit > 0; bit >>= 1) {
      table.set(v, bit * 4);
      const carry = (v[3] as number) & 1;
      v[3] = ((v[3] as number) >>> 1) | ((v[2] as number) << 31);
      v[2] = ((v[2] as number) >>> 1) | ((v[1] as number) << 31);
      v[1] = ((v[1] as number) >>> 1) | ((v[0] as number) << 31);
      v[0] = ((v[0] as number) >>> 1) ^ (carry ? 0xe1000000 : 0);
    }
    for (let bit = 2; bit < 256; bit <<= 1) {
      for (let low = 1; low < bit; low++) {
        for (let i = 0; i < 4; i++) {
          table[(bit + low) * 4 + i] = (table[bit * 4 + i] as number) ^ (table[low * 4 + i] as number);
        }
      }
    }
    return table;
  }
}

const EMPTY = new Uint8Array(0);

function at32(table: Uint32Array, index: number): number {
  return table[index] as number;
}

function word(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
  return high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
}

function substitute(a: number, b: number, c: number, d: number): number {
  const high = ((SBOX[a >>> 24] as number) << 24) | ((SBOX[(b >>> 16) & 255] as number) << 16);
  return high | ((SBOX[(c >>> 8) & 255] as number) << 8) | (SBOX[d & 255] as number);
}

function expandKey(key: Uint8Array, rounds: number): Uint32Array {
  const words = key.length / 4;
  const out = new Uint32Array(4 * (rounds + 1));
  let constant = 1;
  for (let i = 0; i < out.length; i++) {
    if (i < words) {
      out[i] = word(key, 4 * i);
      continue;
    }
    let temp = out[i - 1] as number;
    if (i % words === 0) {
      temp = substitute(temp << 8, temp << 8, temp << 8, temp >>> 24) ^ (constant << 24);
      constant = ((constant << 1) ^ (constant & 0x80 ? 0x11b : 0)) & 255;
    } else if (words > 6 && i % words === 4) temp = substitute(temp, temp, temp, temp);
    out[i] = (out[i - words] as number) ^ temp;
  }
  return out;
}
