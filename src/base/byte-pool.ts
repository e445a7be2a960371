/**
 * Room for short byte strings, many to a buffer. A buffer of its own costs each of them about a microsecond and a record
 * outside of JavaScript's heap, which the garbage collector has to look after one by one; a view of a common one costs
 * next to nothing. The common buffer lives as long as any view of it: a pool is for strings that live about equally long.
 */
const CHUNK = 1 << 16;
/** Longer strings have buffers of their own, so that little room is left over at the end of a common one. */
const LONGEST = CHUNK >> 3;

/** Hands out byte strings. No room is handed out twice. */
export class BytePool {
  #chunk = new Uint8Array(0);
  #used = 0;

  /** So many bytes, all of them 0. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > LONGEST) return new Uint8Array(length);
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = new Uint8Array(CHUNK);
      this.#used = 0;
    }
    const start = this.#used;
    // Whole words: copies of words are faster than of bytes.
    this.#used = start + ((length + 7) & ~7);
    return this.#chunk.subarray(start, start + length);
  }

  /** A copy of the bytes from `start` to `end`. */
  copy(bytes: Uint8Array, start = 0, end: number = bytes.length): Uint8Array<ArrayBuffer> {
    const copy = this.take(end - start);
    copy.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    return copy;
  }
}
