/**
 * What short byte strings mean, kept: the same few messages come to every host of a worker over and over, and reading one
 * gives the same value each time. It is a saving of work alone: a message that isn't here is read again.
 */

import { BytePool } from "./byte-pool.ts";

interface Slot<T> {
  readonly bytes: Uint8Array;
  readonly value: T;
}

/** Values by the bytes that they were read from; a fixed number of places, of which a newer one takes an older one's. */
export class ByteCache<T> {
  readonly #slots: (Slot<T> | undefined)[];
  readonly #longest: number;
  readonly #room = new BytePool();

  /**
   * @param places a power of two
   * @param longest bytes of a string that is kept; longer ones are read each time
   */
  constructor(places: number, longest: number) {
    this.#slots = new Array<Slot<T> | undefined>(places).fill(undefined);
    this.#longest = longest;
  }

  /**
   * The value of these bytes, or of those from `start` to `end`.
   * @param read reads them: it depends on nothing else, and its value is never changed. It gets bytes of its own, so that
   *   the value may keep views of them; what it throws is thrown here too
   */
  of(bytes: Uint8Array, read: (bytes: Uint8Array) => T, start = 0, end: number = bytes.length): T {
    if (end - start > this.#longest) return read(bytes.slice(start, end));
    const place = hashOf(bytes, start, end) & (this.#slots.length - 1);
    // Two places for each, so that two that meet don't drive each other out all the time.
    const slot = this.#slots[place];
    if (slot !== undefined && holds(slot.bytes, bytes, start, end)) return slot.value;
    const other = this.#slots[place ^ 1];
    if (other !== undefined && holds(other.bytes, bytes, start, end)) return other.value;
    const own = this.#room.copy(bytes, start, end);
    const value = read(own);
    if (slot !== undefined) this.#slots[place ^ 1] = slot;
    this.#slots[place] = { bytes: own, value };
    return value;
  }
}

/** FNV-1a, of every third byte where there are many. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  const step = end - start > 96 ? 3 : 1;
  let hash = 0x811c9dc5 ^ (end - start);
  for (let i = start; i < end; i += step) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Whether a byte string is that from `start` to `end` of another one. */
function holds(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  const { length } = a;
  if (length !== end - start) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[start + i]) return false;
  return true;
}

/** Whether two byte strings are equal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  let i = 0;
  // Four at a time: mostly they are equal.
  for (const end = length - 3; i < end; i += 4) {
    const first = (a[i] as number) ^ (b[i] as number);
    const second = (a[i + 1] as number) ^ (b[i + 1] as number);
    const third = (a[i + 2] as number) ^ (b[i + 2] as number);
    const fourth = (a[i + 3] as number) ^ (b[i + 3] as number);
    if ((first | second | third | fourth) !== 0) return false;
  }
  for (; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
