/**
 * What hosts of this worker sealed not long ago, with the message inside: to open the same bytes with the same key gives
 * the same message, so the receiver needn't decrypt, check and decompress what the sender just made. It is a saving of
 * work alone: bytes that differ in one bit, or another key, take the whole road.
 */
import { sameBytes } from "../base/byte-cache.ts";
import type { Packet, Part } from "./parts.ts";

/** Bytes that are kept at most; the oldest make room. */
const MOST_BYTES = 32 * 1024 * 1024;
/** Where the nonce stands in what was sealed: behind the version byte. */
const NONCE = 1;
const SHORTEST = 29;

interface Sealed extends Packet {
  readonly bytes: Uint8Array;
  readonly aad: Uint8Array;
  readonly key: Uint8Array;
}

/** By part of the nonce, in the order in which they were sealed. */
const recent = new Map<number, Sealed>();
let held = 0;

function sizeOf({ bytes, message }: Sealed): number {
  return bytes.length + message.length;
}

function forget(id: number, sealed: Sealed): void {
  recent.delete(id);
  held -= sizeOf(sealed);
}

/** 30 of the nonce's 96 random bits: two of a kind are rare, and cost a decryption. */
function idOf(bytes: Uint8Array): number {
  const head = ((bytes[NONCE] as number) << 16) | ((bytes[NONCE + 1] as number) << 8) | (bytes[NONCE + 2] as number);
  return (head << 6) | ((bytes[NONCE + 3] as number) & 63);
}

/**
 * Keeps what was sealed. None of the arrays is changed afterwards, by nobody.
 * @param bytes version, nonce, ciphertext, tag
 * @param message what whoever opens them gets in the end
 * @param parts what is in the message, if that is known
 */
export function rememberSealed(
  bytes: Uint8Array,
  aad: Uint8Array,
  key: Uint8Array,
  message: Uint8Array,
  parts?: readonly Part[],
): void {
  const id = idOf(bytes);
  const old = recent.get(id);
  if (old !== undefined) forget(id, old);
  const sealed = { bytes, aad, key, message, parts };
  recent.set(id, sealed);
  held += sizeOf(sealed);
  if (held <= MOST_BYTES) return;
  for (const [oldest, one] of recent) {
    forget(oldest, one);
    if (held <= MOST_BYTES) return;
  }
}

/** The message in sealed bytes, once: there is one receiver. Undefined when it must be opened. */
export function takeSealed(
  bytes: Uint8Array,
  aad: Uint8Array,
  hasKey: (key: Uint8Array) => boolean,
): Packet | undefined {
  if (bytes.length < SHORTEST) return undefined;
  const id = idOf(bytes);
  const sealed = recent.get(id);
  if (sealed === undefined || !sameBytes(sealed.bytes, bytes) || !sameBytes(sealed.aad, aad)) return undefined;
  if (!hasKey(sealed.key)) return undefined;
  forget(id, sealed);
  return sealed;
}
