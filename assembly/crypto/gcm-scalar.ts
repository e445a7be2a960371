/**
 * AES-GCM the plain way, a block at a time: AES by round tables, GHASH by 128 shifts and conditional additions as NIST
 * SP 800-38D section 6.3 writes it. It is what gcm.ts is compared with on random input, shares only the key expansion
 * and aesBlock() with it, and is no part of the product. 25 to 50 times as slow.
 */
import { aesBlock, aesExpand, aesInit } from "./aes";

const schedule: usize = memory.data(15 * 16, 16);
const counterBlock: usize = memory.data(16, 16);
const mask: usize = memory.data(16, 16);
const tag: usize = memory.data(16, 16);
let rounds: u32 = 0;
// H and the hash, as big-endian numbers.
let hHigh: u64 = 0;
let hLow: u64 = 0;
let yHigh: u64 = 0;
let yLow: u64 = 0;

function setCounter(nonce: usize, counter: u32): void {
  memory.copy(counterBlock, nonce, 12);
  store<u32>(counterBlock, bswap<u32>(counter), 12);
  aesBlock(schedule, rounds, counterBlock, mask);
}

/** y <- y * H. */
function multiply(): void {
  let zHigh: u64 = 0;
  let zLow: u64 = 0;
  let vHigh = hHigh;
  let vLow = hLow;
  for (let i: u32 = 0; i < 128; i++) {
    const bit = i < 64 ? (yHigh >> (63 - i)) & 1 : (yLow >> (127 - i)) & 1;
    if (bit != 0) {
      zHigh ^= vHigh;
      zLow ^= vLow;
    }
    const carry = vLow & 1;
    vLow = (vLow >> 1) | (vHigh << 63);
    vHigh >>= 1;
    if (carry != 0) vHigh ^= 0xe100000000000000;
  }
  yHigh = zHigh;
  yLow = zLow;
}

function absorb(data: usize, len: u32): void {
  for (let at: u32 = 0; at < len; at += 16) {
    for (let i: u32 = 0; i < 16 && at + i < len; i++) {
      const byte = <u64>load<u8>(data + at + i);
      if (i < 8) yHigh ^= byte << (56 - 8 * i);
      else yLow ^= byte << (120 - 8 * i);
    }
    multiply();
  }
}

function counterMode(nonce: usize, data: usize, len: u32): void {
  for (let at: u32 = 0; at < len; at += 16) {
    setCounter(nonce, 2 + at / 16);
    for (let i: u32 = 0; i < 16 && at + i < len; i++) {
      store<u8>(data + at + i, load<u8>(data + at + i) ^ load<u8>(mask + i));
    }
  }
}

function makeTag(nonce: usize, aad: usize, aadLen: u32, data: usize, len: u32): void {
  yHigh = 0;
  yLow = 0;
  absorb(aad, aadLen);
  absorb(data, len);
  yHigh ^= <u64>aadLen << 3;
  yLow ^= <u64>len << 3;
  multiply();
  setCounter(nonce, 1);
  store<u64>(tag, bswap<u64>(yHigh) ^ load<u64>(mask));
  store<u64>(tag, bswap<u64>(yLow) ^ load<u64>(mask, 8), 8);
}

/** Takes a key of 16, 24 or 32 bytes for all that follows. */
export function scalarKey(key: usize, keyLen: u32): void {
  aesInit();
  rounds = aesExpand(key, keyLen, schedule);
  memory.fill(mask, 0, 16);
  aesBlock(schedule, rounds, mask, mask);
  hHigh = bswap<u64>(load<u64>(mask));
  hLow = bswap<u64>(load<u64>(mask, 8));
}

/** As gcmSeal. */
export function scalarSeal(nonce: usize, aad: usize, aadLen: u32, data: usize, len: u32, to: usize, tagLen: u32): void {
  counterMode(nonce, data, len);
  makeTag(nonce, aad, aadLen, data, len);
  memory.copy(to, tag, tagLen);
}

/** As gcmOpen. */
export function scalarOpen(nonce: usize, aad: usize, aadLen: u32, data: usize, len: u32, from: usize, tagLen: u32): bool {
  makeTag(nonce, aad, aadLen, data, len);
  for (let i: u32 = 0; i < tagLen; i++) if (load<u8>(from + i) != load<u8>(tag + i)) return false;
  counterMode(nonce, data, len);
  return true;
}

/** Encrypts the block at `from` to `to`: AES itself. */
export function scalarBlock(from: usize, to: usize): void {
  aesBlock(schedule, rounds, from, to);
}
