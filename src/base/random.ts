import { assert } from "./errors.ts";

/**
 * Seeded random streams. Every source of chance in swarmwire is a fork of one seed by name, so that a
 * host's choices depend on the seed and its own name only, never on the worker that runs it.
 *
 * Generator: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state, all integer arithmetic.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  readonly #key: string;
  readonly #start: readonly [number, number, number];

  /** @param key any text; equal keys give equal streams */
  constructor(key: string) {
    this.#key = key;
    // FNV-1a over the key with three different starting points fills the state; 15 rounds mix it.
    this.#a = fnv1a(key, 0x811c9dc5);
    this.#b = fnv1a(key, 0x01000193);
    this.#c = fnv1a(key, 0x9e3779b9);
    for (let i = 0; i < 15; i++) this.u32();
    this.#start = [this.#a, this.#b, this.#c];
  }

  /**
   * Goes to a place of its own for each number: what is drawn from then on depends on the key and the position
   * only, not on what was drawn before. So a stream that is sought to the time of each use depends on the time
   * only, and a span in which nobody looked need not be drawn.
   * @param position a whole number of 0 … 2^53 - 1
   */
  seek(position: number): this {
    const [a, b, c] = this.#start;
    const low = Math.imul((position >>> 0) + 1, 0x9e3779b1);
    const high = Math.imul(Math.floor(position / 2 ** 32) + 1, 0x85ebca6b);
    this.#a = a ^ low ^ (low >>> 15);
    this.#b = b ^ high ^ (high >>> 13);
    this.#c = (c + low + Math.imul(high, 0xc2b2ae35)) | 0;
    this.#counter = 1;
    for (let i = 0; i < 12; i++) this.u32();
    return this;
  }

  /** What the stream was made from: `new Random(key)` gives an equal one. */
  get key(): string {
    return this.#key;
  }

  /** An independent stream of this one's key and a label. Forking does not advance this stream. */
  fork(label: string): Random {
    return new Random(`${this.#key}/${label}`);
  }

  /** A uniform unsigned 32-bit integer. */
  u32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A uniform integer in [0, n), n ≤ 2^32; without bias (rejection). */
  below(n: number): number {
    assert(n >= 1 && n <= 2 ** 32, "random range", n);
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const value = this.u32();
      if (value < limit) return value % n;
    }
  }

  /** A uniform number in [0, 1) with 53 bits. */
  float(): number {
    return ((this.u32() >>> 5) * 2 ** 26 + (this.u32() >>> 6)) / 2 ** 53;
  }

  bytes(length: number): Uint8Array {
    return this.fill(new Uint8Array(length));
  }

  /** Fills an array with random bytes, and returns it. */
  fill(out: Uint8Array): Uint8Array {
    for (let i = 0; i < out.length; i++) out[i] = this.u32() & 255;
    return out;
  }

  hex(digits: number): string {
    let out = "";
    for (let i = 0; i < digits; i++) out += (this.u32() & 15).toString(16);
    return out;
  }

  /** Shuffles in place (Fisher-Yates) and returns the array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j] as T, items[i] as T];
    }
    return items;
  }
}

function fnv1a(text: string, start: number): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
