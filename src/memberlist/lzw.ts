/**
 * LZW as Go's compress/lzw does it with order LSB and 8-bit literals, to the byte: codes of 9 to 12 bits, least
 * significant bit first; a clear code first and again when the 4,096 codes are used up; an end code last.
 */
import { assert, MalformedError } from "../base/errors.ts";

const CLEAR = 256;
const END = 257;
const FIRST_CODE = 258;
const MIN_WIDTH = 9;
const MAX_WIDTH = 12;
const MAX_CODE = (1 << MAX_WIDTH) - 1;

/** Larger outputs are refused: memberlist's limit for a state (20 MiB, net.go maxPushStateBytes). */
const MAX_OUTPUT = 20 * 1024 * 1024;

/**
 * The encoder's strings: an open hash table from a string's code and one byte more (20 bits) to the code of both (12 bits),
 * as Go's has it. An empty place is 0, which is no entry's value as codes begin at 258. It is at least twice as large as there
 * are strings in it, of which a byte makes one at most.
 */
const TABLES = [11, 12, 13].map((log) => ({ log, entries: new Int32Array(1 << log) }));

/** Compresses; the input may be empty. */
export function lzwCompress(input: Uint8Array): Uint8Array {
  return lzwPack(input).slice();
}

/** Bytes in front of what lzwPack returns, which are the caller's to fill. */
export const PACK_ROOM = 32;

/** As lzwCompress; the result, and PACK_ROOM bytes in front of it, are valid until something else is compressed. */
export function lzwPack(input: Uint8Array): Uint8Array {
  const out = roomFor(input.length);
  // At most 12 bits a code: with less than 8 from before they fit.
  out[PACK_ROOM] = CLEAR & 255;
  let bits = CLEAR >>> 8;
  let count = MIN_WIDTH - 8;
  let length = PACK_ROOM + 1;
  let width = MIN_WIDTH;
  /** The first code that takes a bit more. */
  let limit = 1 << MIN_WIDTH;
  let highest = END;
  const { log, entries: table } = tableFor(input.length);
  const mask = (1 << log) - 1;
  const shift = 32 - log;
  table.fill(0);
  const size = input.length;
  let code = size === 0 ? END : (input[0] as number);
  for (let at = 1; at < size; at++) {
    const key = (code << 8) | (input[at] as number);
    let slot = Math.imul(key, 0x9e3779b1) >>> shift;
    let entry = table[slot] as number;
    while (entry !== 0 && entry >>> 12 !== key) {
      slot = (slot + 1) & mask;
      entry = table[slot] as number;
    }
    if (entry !== 0) {
      code = entry & 0xfff;
      continue;
    }
    // One byte or two are complete. Both are written, as it can't be foretold which: a branch costs more than the byte.
    bits |= code << count;
    count += width;
    out[length] = bits;
    out[length + 1] = bits >>> 8;
    length += count >>> 3;
    bits >>>= count & ~7;
    count &= 7;
    code = key & 255;
    // The code that the decoder now adds.
    highest++;
    if (highest === limit) {
      width++;
      limit <<= 1;
    }
    if (highest < MAX_CODE) {
      table[slot] = (key << 12) | highest;
      continue;
    }
    bits |= CLEAR << count;
    for (count += width; count >= 8; count -= 8) {
      out[length++] = bits;
      bits >>>= 8;
    }
    width = MIN_WIDTH;
    limit = 1 << MIN_WIDTH;
    highest = END;
    table.fill(0);
  }
  bits |= code << count;
  count += width;
  if (size > 0) {
    // The last code counts too; the end code may need another width, or a cleared table.
    highest++;
    if (highest === 1 << width) width++;
    for (; count >= 8; count -= 8) {
      out[length++] = bits;
      bits >>>= 8;
    }
    if (highest >= MAX_CODE) {
      bits |= CLEAR << count;
      count += width;
      width = MIN_WIDTH;
    }
    bits |= END << count;
    count += width;
  }
  for (; count > 0; count -= 8) {
    out[length++] = bits;
    bits >>>= 8;
  }
  return out.subarray(PACK_ROOM, length);
}

/** The smallest table for inputs of a length: it is emptied sooner. */
function tableFor(input: number): { readonly log: number; readonly entries: Int32Array } {
  const table = TABLES.find(({ log }) => 2 * input <= 1 << log) ?? TABLES.at(-1);
  assert(table !== undefined, "there are tables");
  return table;
}

/** The output buffer, large enough for so many bytes: at most 12 bits each, and the clear and end codes. */
function roomFor(input: number): Uint8Array {
  const most = input + (input >> 1) + (input >> 10) + 16 + PACK_ROOM;
  if (packed.length < most) packed = new Uint8Array(2 * most);
  return packed;
}

/**
 * Decompresses.
 * @throws MalformedError when a code is invalid, the end code is missing or the output exceeds 20 MiB
 */
export function lzwDecompress(input: Uint8Array): Uint8Array {
  const reader = new BitReader(input);
  const out = new Output();
  let width = MIN_WIDTH;
  let highest = END;
  let last = -1;
  for (;;) {
    const code = reader.take(width);
    if (code === END) return out.finish();
    if (code === CLEAR) {
      width = MIN_WIDTH;
      highest = END;
      last = -1;
      continue;
    }
    if (code > highest) throw new MalformedError("lzw: invalid code");
    let length = 0;
    let walk = code;
    if (code === highest && last !== -1) {
      // A code that is about to be defined: the last string and its own first byte again.
      walk = last;
      while (walk >= FIRST_CODE) walk = prefix[walk] as number;
      scratch[length++] = walk;
      walk = last;
    }
    while (walk >= FIRST_CODE) {
      scratch[length++] = suffix[walk] as number;
      walk = prefix[walk] as number;
    }
    scratch[length++] = walk;
    out.addReversed(scratch, length);
    if (last !== -1) {
      suffix[highest] = walk;
      prefix[highest] = last;
    }
    last = code;
    highest++;
    if (highest >= 1 << width) {
      if (width === MAX_WIDTH) {
        last = -1;
        highest--;
      } else width++;
    }
  }
}

/** The decoder's strings: each but the first 256 is another one and a byte. Only codes of the present run are read. */
const prefix = new Uint16Array(MAX_CODE + 1);
const suffix = new Uint8Array(MAX_CODE + 1);
const scratch = new Uint8Array(MAX_CODE + 1);
/** Output buffers, used by one run at a time. */
let packed = new Uint8Array(4096);
let unpacked = new Uint8Array(4096);

class BitReader {
  readonly #data: Uint8Array;
  #at = 0;
  #bits = 0;
  #count = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  take(width: number): number {
    while (this.#count < width) {
      const byte = this.#data[this.#at++];
      if (byte === undefined) throw new MalformedError("lzw: cut short");
      this.#bits |= byte << this.#count;
      this.#count += 8;
    }
    const code = this.#bits & ((1 << width) - 1);
    this.#bits >>>= width;
    this.#count -= width;
    return code;
  }
}

class Output {
  #buffer = unpacked;
  #length = 0;

  addReversed(bytes: Uint8Array, length: number): void {
    if (this.#length + length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(2 * this.#buffer.length, this.#length + length));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
      unpacked = grown;
    }
    const buffer = this.#buffer;
    for (let i = length - 1; i >= 0; i--) buffer[this.#length++] = bytes[i] as number;
    if (this.#length > MAX_OUTPUT) throw new MalformedError("lzw: output is too long");
  }

  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }
}
