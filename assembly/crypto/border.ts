/**
 * AES-GCM for programs: what the gossip seals its packets with. The caller asks for a buffer and puts there
 *
 *   | nonce (12), 4 unused | associated data, up to a whole block | data | tag (AEAD_TAG) |
 *   0                      16                                     ^ 16 + aadLen rounded up to 16
 */
import { kfree, kmallocRaw } from "../memory/arena";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { gcmKeyFree, gcmKeyNew, gcmOpen, gcmSeal } from "./gcm";

const TAG: u32 = 16;
const HEAD: u32 = 16;
/** Bytes behind the tag that gcm.ts may read. */
const SLACK: u32 = 16;

/** For what doesn't fit scratch; 0 when nothing was ever that long. */
let large: usize = 0;
let largeSize: u32 = 0;

/** A key context for the key of `keyLen` bytes in scratch: 16, 24 or 32; 0 for other lengths. */
export function aeadNew(keyLen: u32): usize {
  const ctx = gcmKeyNew(scratch(), keyLen);
  memory.fill(scratch(), 0, keyLen);
  return ctx;
}

/** Forgets a key. */
export function aeadFree(ctx: usize): void {
  gcmKeyFree(ctx);
}

@inline
function dataAt(aadLen: u32): u32 {
  return HEAD + ((aadLen + 15) & ~15);
}

/** Where a message goes: scratch, or for longer ones a block that is kept. Valid until the next call. */
export function aeadBuffer(aadLen: u32, len: u32): usize {
  const need = dataAt(aadLen) + len + TAG + SLACK;
  if (need <= SCRATCH_SIZE) return scratch();
  if (need > largeSize) {
    if (large != 0) kfree(large, largeSize);
    largeSize = <u32>1 << (32 - clz<u32>(need - 1));
    large = kmallocRaw(largeSize);
  }
  return large;
}

/** Encrypts the `len` bytes of data in aeadBuffer(aadLen, len), and writes the tag behind them. */
export function aeadSeal(ctx: usize, aadLen: u32, len: u32): void {
  const at = aeadBuffer(aadLen, len);
  const data = at + dataAt(aadLen);
  gcmSeal(ctx, at, at + HEAD, aadLen, data, len, data + len, TAG);
}

/** Decrypts them when the tag behind them is right, and returns 1; else 0. */
export function aeadOpen(ctx: usize, aadLen: u32, len: u32): u32 {
  const at = aeadBuffer(aadLen, len);
  const data = at + dataAt(aadLen);
  return <u32>gcmOpen(ctx, at, at + HEAD, aadLen, data, len, data + len, TAG);
}
