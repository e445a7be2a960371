/**
 * What short byte strings mean, kept: the same few messages come to every host of a worker over and over, and reading one
 * gives the same value each time. It is a saving of work alone: a message that isn't here is read again.
 */

interface Slot<T> {
  readonly bytes: Uint8Array;
  readonly value: T;
}

/** Values by the bytes that they were read from; a fixed number of places, of which a newer one takes an older one's. */
export class ByteCache<T> {
  readonly #slots: (Slot<T> | undefined)[];
  readonly #longest: number;

  /**
   * @param places a power of two
   * @param longest bytes of a string that is kept; longer ones are read each time
   */
  constructor(places: number, longest: number) {
    this.#slots = new Array<Slot<T> | undefined>(places).fill(undefined);
    this.#longest = longest;
  }

  /**
   * The value of these bytes.
   * @param read reads them: it depends on nothing else, and its value is never changed. It gets bytes of its own, so that
   *   the value may keep views of them; what it throws is thrown here too
   */
  of(bytes: Uint8Array, read: (bytes: Uint8Array) => T): T {
    if (bytes.length > this.#longest) return read(bytes.slice());
    const place = hashOf(bytes) & (this.#slots.length - 1);
    const slot = this.#slots[place];
    if (slot !== undefined && sameBytes(slot.bytes, bytes)) return slot.value;
    const own = bytes.slice();
    const value = read(own);
    this.#slots[place] = { bytes: own, value };
    return value;
  }
}

/** FNV-1a, of every third byte where there are many. */
function hashOf(bytes: Uint8Array): number {
  const step = bytes.length > 96 ? 3 : 1;
  let hash = 0x811c9dc5 ^ bytes.length;
  for (let i = 0; i < bytes.length; i += step) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Whether two byte strings are equal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
