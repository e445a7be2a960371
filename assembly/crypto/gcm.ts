/**
 * AES-GCM (NIST SP 800-38D) with 96-bit nonces, in place: what ESP (RFC 4106) and the gossip seal with.
 *
 * Not constant time: GHASH, the round that counter.ts does, and the key expansion look up tables by secret bytes. The
 * keys here are an emulation's. Do not take this code for others.
 *
 * A packet is a row of batches of eight blocks, the counters 8b to 8b + 7: batch 0 has the block that masks the tag and
 * the first 96 bytes. bitslice.ts encrypts a batch; ghash.ts hashes, from three batches on beside the encryption
 * (sealing: what the batch before wrote; opening: what the batch then decrypts). Incomplete batches go through `pad`, so
 * that the rounds have one form.
 *
 * Measured in one run with AES-128, 8 bytes of associated data and a tag of 8 (Zen 5 class, Node 20.20; ns to seal):
 *                                                          64 B   256   576   1400    9000
 *   round tables and GHASH, block by block                  400  1250  2630   6220   39600
 *   eight blocks, GHASH as a pass of its own                310   890  1540   3620   22300
 *   GHASH beside all batches, rounds unrolled               530  1120  1660   3230   17500
 *   as it is: beside from three batches on, rounds looped   340   850  1380   3010   18000
 * GHASH beside packets of two batches costs 10 ns when sealing and gains 40 when opening; with V8 13.6 it costs 100.
 * A last batch of up to three blocks is not worth its rounds: block by block, 116 bytes (a ping in VXLAN) are sealed in 466
 * ns instead of 573, 144 in 541 instead of 600; a fourth block gains nothing, nor do two blocks at once.
 */
import { kfree, kmallocRaw } from "../memory/arena";
import { SCHEDULE_BYTES, aesBlock, aesExpand, aesInit } from "./aes";
import { PLANES, bitsliceInit, bitsliceKey, eightBlocks, eightBlocksHashing } from "./bitslice";
import { COUNTER_BYTES, SPAN, counterAdvance, counterInit, counterStart, shared } from "./counter";
import { GHASH_TABLE_BYTES, firstBytes, ghashInit, ghashLengths, ghashUpdate, hash } from "./ghash";

// A key context.
const ROUNDS: usize = 0;
/** The last round key, for eightBlocks(). */
const LAST: usize = 16;
const SCHEDULE: usize = 32;
const KEYS: usize = 320;
const COUNTERS: usize = KEYS + 12 * PLANES;
const TABLE: usize = COUNTERS + COUNTER_BYTES;
/** Bytes of a key context; the arena makes it 32 KiB. */
export const GCM_KEY_BYTES: usize = TABLE + GHASH_TABLE_BYTES;

/** A batch of keystream. Of batch 0, block 0 is unused, block 1 is for the tag, and the data starts with block 2. */
const pad: usize = memory.data(8 * 16, 64);
/** Bytes of data in batch 0. */
const FIRST: u32 = 96;
/** The first eight blocks to hash beside a batch: zeros, at most 32 bytes of associated data, FIRST of ciphertext. */
const group: usize = memory.data(8 * 16, 64);
/** From this length on, more than two batches, GHASH runs beside the rounds. */
const LONG: u32 = 225;
const zeros: usize = memory.data(8 * 16, 64);
/** Up to so many bytes at the end of a packet are encrypted block by block, which takes less time than a batch. */
const ALONE: u32 = 48;
/** The packet's nonce, and the counter of such a block. */
const block: usize = memory.data(16, 16);

/**
 * A key context (expanded round keys, tables of counter and GHASH): keyLen 16, 24, 32 → AES-128/192/256. From the
 * arena; 0 when keyLen is none of these.
 */
export function gcmKeyNew(key: usize, keyLen: u32): usize {
  if (keyLen != 16 && keyLen != 24 && keyLen != 32) return 0;
  aesInit();
  bitsliceInit();
  const ctx = kmallocRaw(GCM_KEY_BYTES);
  const rounds = aesExpand(key, keyLen, ctx + SCHEDULE);
  store<u32>(ctx, rounds, ROUNDS);
  bitsliceKey(ctx + SCHEDULE, rounds, ctx + KEYS, ctx + LAST);
  counterInit(ctx + SCHEDULE, rounds, ctx + COUNTERS);
  aesBlock(ctx + SCHEDULE, rounds, zeros, pad);
  ghashInit(ctx + TABLE, pad);
  return ctx;
}

/** Forgets a key. */
export function gcmKeyFree(ctx: usize): void {
  memory.fill(ctx, 0, GCM_KEY_BYTES);
  kfree(ctx, GCM_KEY_BYTES);
}

/** Where the planes of the counters of batch `number` are; batches must come in order. */
@inline
function counters(ctx: usize, number: u32): usize {
  const index = number & (SPAN - 1);
  if (index == 0 && number != 0) counterAdvance(ctx + SCHEDULE, load<u32>(ctx, ROUNDS), number / SPAN);
  return ctx + COUNTERS + <usize>index * PLANES;
}

/** Batch `number`: writes its keystream xor what is at `from` to `to`. */
function batch(ctx: usize, number: u32, from: usize, to: usize): void {
  eightBlocks(counters(ctx, number), shared, ctx + KEYS, ctx + LAST, load<u32>(ctx, ROUNDS), from, to);
}

/** The same, and takes 128 bytes at `hashed` into the hash before it writes. */
function batchHashing(ctx: usize, number: u32, from: usize, to: usize, hashed: usize): void {
  const at = counters(ctx, number);
  eightBlocksHashing(at, shared, ctx + KEYS, ctx + LAST, load<u32>(ctx, ROUNDS), from, to, ctx + TABLE, hashed);
}

/** data ^= the keystream at `from`. Behind the data up to 15 bytes are read, and written as they were. */
function applyPad(from: usize, data: usize, len: u32): void {
  for (; len >= 16; len -= 16) {
    v128.store(data, v128.xor(v128.load(data), v128.load(from)));
    data += 16;
    from += 16;
  }
  if (len != 0) v128.store(data, v128.xor(v128.load(data), v128.and(v128.load(from), firstBytes(len))));
}

/** Copies with zeros up to a whole block; returns the end. */
@inline
function copyBlocks(to: usize, from: usize, len: u32): usize {
  for (; len >= 16; len -= 16) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
  if (len == 0) return to;
  v128.store(to, v128.and(v128.load(from), firstBytes(len)));
  return to + 16;
}

/** Fills `group` from its end. Zeros in front leave a hash of zero as it is. */
function gather(aad: usize, aadLen: u32, data: usize): void {
  const start = group + 32 - <usize>((aadLen + 15) & ~15);
  for (let at = group; at < start; at += 16) v128.store(at, i64x2.splat(0));
  copyBlocks(copyBlocks(start, aad, aadLen), data, FIRST);
}

/** Bytes of associated data to hash before the last two blocks of it. */
@inline
function beforeGroup(aadLen: u32): u32 {
  return aadLen > 32 ? (aadLen - 17) & ~15 : 0;
}

/** Starts a packet. */
@inline
function start(ctx: usize, nonce: usize): void {
  store<u64>(block, load<u64>(nonce));
  store<u32>(block, load<u32>(nonce, 8), 8);
  counterStart(ctx + SCHEDULE, load<u32>(ctx, ROUNDS), nonce);
  v128.store(hash, i64x2.splat(0));
}

/** Whether the tag, whose mask is given, is not that of the hash. */
@inline
function differs(mask: v128, tag: usize, tagLen: u32): bool {
  const value = v128.xor(mask, v128.load(hash));
  return v128.any_true(v128.and(v128.xor(value, v128.load(tag)), firstBytes(tagLen)));
}

/** The last `len` bytes, which begin batch `number`. Up to 15 bytes behind them are written as they were. */
function applyRest(ctx: usize, number: u32, data: usize, len: u32): void {
  if (len > ALONE) {
    batch(ctx, number, zeros, pad);
    applyPad(pad, data, len);
    return;
  }
  const schedule = ctx + SCHEDULE;
  const rounds = load<u32>(ctx, ROUNDS);
  let counter = 8 * number;
  for (let at = pad, left = <i32>len; left > 0; left -= 16) {
    store<u32>(block, bswap<u32>(counter++), 12);
    aesBlock(schedule, rounds, block, at);
    at += 16;
  }
  applyPad(pad, data, len);
}

/** Encrypts or decrypts all of a packet whose batch 0 is at `pad`. */
function counterMode(ctx: usize, data: usize, len: u32): void {
  if (len <= FIRST) {
    applyPad(pad + 32, data, len);
    return;
  }
  applyPad(pad + 32, data, FIRST);
  data += FIRST;
  len -= FIRST;
  let number: u32 = 1;
  for (; len >= 128; len -= 128) {
    batch(ctx, number++, data, data);
    data += 128;
  }
  if (len != 0) applyRest(ctx, number, data, len);
}

/**
 * Encrypts len bytes at data in place; writes the first tagLen (4 … 16) bytes of the tag to tag.
 * nonce: 12 bytes. aad: aadLen bytes (any).
 */
export function gcmSeal(ctx: usize, nonce: usize, aad: usize, aadLen: u32, data: usize, len: u32, tag: usize, tagLen: u32): void {
  start(ctx, nonce);
  const mask = len < LONG ? sealShort(ctx, aad, aadLen, data, len) : sealLong(ctx, aad, aadLen, data, len);
  ghashLengths(ctx + TABLE, aadLen, len);
  const value = v128.xor(mask, v128.load(hash));
  v128.store(tag, v128.bitselect(value, v128.load(tag), firstBytes(tagLen)));
}

/** One after the other. Returns what masks the tag. */
@inline
function sealShort(ctx: usize, aad: usize, aadLen: u32, data: usize, len: u32): v128 {
  batch(ctx, 0, zeros, pad);
  const mask = v128.load(pad, 16);
  counterMode(ctx, data, len);
  ghashUpdate(ctx + TABLE, aad, aadLen);
  ghashUpdate(ctx + TABLE, data, len);
  return mask;
}

/** Each batch hashes what the one before wrote. */
@inline
function sealLong(ctx: usize, aad: usize, aadLen: u32, data: usize, len: u32): v128 {
  batchHashing(ctx, 0, zeros, pad, zeros);
  const mask = v128.load(pad, 16);
  applyPad(pad + 32, data, FIRST);
  const before = beforeGroup(aadLen);
  ghashUpdate(ctx + TABLE, aad, before);
  gather(aad + before, aadLen - before, data);
  data += FIRST;
  len -= FIRST;
  let hashed = group;
  let number: u32 = 1;
  for (; len >= 128; len -= 128) {
    batchHashing(ctx, number++, data, data, hashed);
    hashed = data;
    data += 128;
  }
  if (len <= ALONE) {
    ghashUpdate(ctx + TABLE, hashed, 128);
    applyRest(ctx, number, data, len);
    ghashUpdate(ctx + TABLE, data, len);
  } else {
    batchHashing(ctx, number, zeros, pad, hashed);
    applyPad(pad, data, len);
    ghashUpdate(ctx + TABLE, data, len);
  }
  return mask;
}

/**
 * Verifies and decrypts in place. False when the tag doesn't match: the data is as it was then. (Long data is decrypted
 * while it is hashed, and encrypted again if that was wrong.)
 */
export function gcmOpen(ctx: usize, nonce: usize, aad: usize, aadLen: u32, data: usize, len: u32, tag: usize, tagLen: u32): bool {
  start(ctx, nonce);
  if (len >= LONG) {
    const mask = openLong(ctx, aad, aadLen, data, len);
    ghashLengths(ctx + TABLE, aadLen, len);
    if (!differs(mask, tag, tagLen)) return true;
    start(ctx, nonce);
    batch(ctx, 0, zeros, pad);
    counterMode(ctx, data, len);
    return false;
  }
  batch(ctx, 0, zeros, pad);
  ghashUpdate(ctx + TABLE, aad, aadLen);
  ghashUpdate(ctx + TABLE, data, len);
  ghashLengths(ctx + TABLE, aadLen, len);
  if (differs(v128.load(pad, 16), tag, tagLen)) return false;
  counterMode(ctx, data, len);
  return true;
}

/** Each batch hashes what it then decrypts. */
@inline
function openLong(ctx: usize, aad: usize, aadLen: u32, data: usize, len: u32): v128 {
  const before = beforeGroup(aadLen);
  ghashUpdate(ctx + TABLE, aad, before);
  gather(aad + before, aadLen - before, data);
  batchHashing(ctx, 0, zeros, pad, group);
  const mask = v128.load(pad, 16);
  applyPad(pad + 32, data, FIRST);
  data += FIRST;
  len -= FIRST;
  let number: u32 = 1;
  for (; len >= 128; len -= 128) {
    batchHashing(ctx, number++, data, data, data);
    data += 128;
  }
  if (len == 0) return mask;
  ghashUpdate(ctx + TABLE, data, len);
  applyRest(ctx, number, data, len);
  return mask;
}
