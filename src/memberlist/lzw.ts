/**
 * LZW as Go's compress/lzw does it with order LSB and 8-bit literals, to the byte: codes of 9 to 12 bits, least
 * significant bit first; a clear code first and again when the 4,096 codes are used up; an end code last.
 */
import { MalformedError } from "../base/errors.ts";

const CLEAR = 256;
const END = 257;
const FIRST_CODE = 258;
const MIN_WIDTH = 9;
const MAX_WIDTH = 12;
const MAX_CODE = (1 << MAX_WIDTH) - 1;

/** Larger outputs are refused: memberlist's limit for a state (20 MiB, net.go maxPushStateBytes). */
const MAX_OUTPUT = 20 * 1024 * 1024;

/**
 * The encoder's strings: an open hash table from a string's code and one byte more to the code of both, twice as large
 * as there are codes. An entry counts only when it is of the present round; a new round empties the table.
 */
const TABLE = 8192;
const entryKey = new Int32Array(TABLE);
const entryCode = new Uint16Array(TABLE);
const entryRound = new Int32Array(TABLE);
let round = 0;

/** Where a string and one byte more stand, or would. */
function place(code: number, byte: number): number {
  const key = (code << 8) | byte;
  let at = Math.imul(key, 0x9e3779b1) >>> 19;
  while (entryRound[at] === round && entryKey[at] !== key) at = (at + 1) & (TABLE - 1);
  return at;
}

function addEntry(at: number, parent: number, byte: number, code: number): void {
  entryKey[at] = (parent << 8) | byte;
  entryCode[at] = code;
  entryRound[at] = round;
}

/** Compresses; the input may be empty. */
export function lzwCompress(input: Uint8Array): Uint8Array {
  return lzwPack(input).slice();
}

/** As lzwCompress; the result is valid until something else is compressed. */
export function lzwPack(input: Uint8Array): Uint8Array {
  const writer = new BitWriter(input.length);
  let width = MIN_WIDTH;
  let highest = END;
  writer.put(CLEAR, width);
  round++;
  let code = input[0];
  if (code === undefined) {
    writer.put(END, width);
    return writer.finish();
  }
  // Counts the code that the decoder now adds; true when the table was full and has been cleared.
  const nextCode = (): boolean => {
    highest++;
    if (highest === 1 << width) width++;
    if (highest < MAX_CODE) return false;
    writer.put(CLEAR, width);
    width = MIN_WIDTH;
    highest = END;
    round++;
    return true;
  };
  for (let at = 1; at < input.length; at++) {
    const byte = input[at] as number;
    const slot = place(code, byte);
    if (entryRound[slot] === round) {
      code = entryCode[slot] as number;
      continue;
    }
    writer.put(code, width);
    if (!nextCode()) addEntry(slot, code, byte, highest);
    code = byte;
  }
  writer.put(code, width);
  nextCode();
  writer.put(END, width);
  return writer.finish();
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

class BitWriter {
  readonly #out: Uint8Array;
  #length = 0;
  #bits = 0;
  #count = 0;

  /** @param input bytes to be written: at most 12 bits each, and the clear and end codes */
  constructor(input: number) {
    const most = input + (input >> 1) + (input >> 10) + 16;
    if (packed.length < most) packed = new Uint8Array(2 * most);
    this.#out = packed;
  }

  put(code: number, width: number): void {
    this.#bits |= code << this.#count;
    this.#count += width;
    for (; this.#count >= 8; this.#count -= 8) {
      this.#out[this.#length++] = this.#bits & 255;
      this.#bits >>>= 8;
    }
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.#out[this.#length++] = this.#bits & 255;
    return this.#out.subarray(0, this.#length);
  }
}

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
