/**
 * Short ASCII texts of messages (names, ids, keys): the same few come over and over, so the strings are kept and
 * found again by their bytes, without a decoder and without a new string.
 */

const SLOTS = 4096;
const LONGEST = 64;

interface Slot {
  readonly bytes: Uint8Array;
  readonly text: string;
}

const slots = new Array<Slot | undefined>(SLOTS).fill(undefined);

/** The text of ASCII bytes; undefined when there are other bytes, or more than 64. */
export function asciiText(bytes: Uint8Array): string | undefined {
  if (bytes.length > LONGEST) return undefined;
  let hash = 0x811c9dc5;
  let all = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    all |= byte;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  if (all > 127) return undefined;
  const index = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const slot = slots[index];
  if (slot !== undefined && equal(slot.bytes, bytes)) return slot.text;
  const text = String.fromCharCode(...bytes);
  slots[index] = { bytes: bytes.slice(), text };
  return text;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
