/**
 * GHASH (NIST SP 800-38D, section 6.4): Y <- (Y xor block) * H in GF(2^128).
 *
 * Y * H is linear in Y, so it is the sum of what each field of Y's bits contributes. Per key and field of six bits all
 * 64 contributions are tabulated, ten fields and one of four bits in each half of Y: a product is 22 loads and 21 xors
 * without a shift of Y, a reduction or a change of byte order. Look-ups take time that depends on the data: not
 * constant time.
 *
 * Measured as a pass of its own (Zen 5 class; ns a block, Node 20 / 24): these tables 10.0 / 8.4; bytes as fields (64 KiB)
 * 9.7 / 9.5; two lanes of those with H^2 (a model of it) 7.4 / 5.1, but for 72 KiB a key instead of 20. Beside AES's
 * rounds (bitslice.ts), where longer packets have it, a block costs about 3 on Node 20.
 */

/** Bytes of one half's tables: ten of 64 entries, one of 16. */
const HALF: usize = (10 * 64 + 16) * 16;
/** Bytes of a key's tables. */
export const GHASH_TABLE_BYTES: usize = 2 * HALF;

/** The products of H and bit n of a block, n counted as in two little-endian u64; only used while a key is set up. */
const products: usize = memory.data(128 * 16, 64);
/** 16 bytes of ones, 16 of zeros; see firstBytes(). */
const ones: usize = memory.data(32, 16);
/** The hash of the packet at hand. */
export const hash: usize = memory.data(16, 16);

/** Fills the tables for the H at `h` (16 bytes). */
export function ghashInit(table: usize, h: usize): void {
  v128.store(ones, i8x16.splat(-1));
  let high = bswap<u64>(load<u64>(h));
  let low = bswap<u64>(load<u64>(h, 8));
  for (let power: usize = 0; power < 128; power++) {
    // The first bit of the string, the coefficient of x^0, is the highest bit of the first byte.
    const at = products + ((power ^ 7) << 4);
    store<u64>(at, bswap<u64>(high));
    store<u64>(at, bswap<u64>(low), 8);
    const carry = low & 1;
    low = (low >> 1) | (high << 63);
    high = (high >> 1) ^ (carry * 0xe100000000000000);
  }
  for (let bit: usize = 0; bit < 128; ) {
    const bits: usize = (bit & 63) == 60 ? 4 : 6;
    fill(table, products + (bit << 4), <u32>1 << <u32>bits);
    table += <usize>16 << bits;
    bit += bits;
  }
}

/** One field's entries: T[v] = T[v without its lowest bit] xor the product of that bit. */
function fill(table: usize, product: usize, entries: u32): void {
  v128.store(table, i64x2.splat(0));
  for (let v: u32 = 1; v < entries; v++) {
    const rest = v128.load(table + (<usize>(v & (v - 1)) << 4));
    v128.store(table + (<usize>v << 4), v128.xor(rest, v128.load(product + (<usize>ctz(v) << 4))));
  }
}

/** Entry of field `field` (a constant) of a half's bits. */
@inline
function entry(half: usize, field: usize, bits: u64): v128 {
  const index = field == 0 ? <usize>(bits << 4) & 0x3f0 : <usize>(bits >> (6 * field - 4)) & 0x3f0;
  return v128.load(half + index + (field << 10));
}

@inline
function halfProduct(half: usize, x: u64): v128 {
  const a = v128.xor(entry(half, 0, x), entry(half, 1, x));
  const b = v128.xor(entry(half, 2, x), entry(half, 3, x));
  const c = v128.xor(entry(half, 4, x), entry(half, 5, x));
  const d = v128.xor(entry(half, 6, x), entry(half, 7, x));
  const e = v128.xor(entry(half, 8, x), entry(half, 9, x));
  const f = v128.xor(e, v128.load(half + (<usize>(x >> 56) & 0xf0) + (10 << 10)));
  return v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), f);
}

/** y * H. */
@inline
export function ghashMultiply(table: usize, y: v128): v128 {
  const low = halfProduct(table, <u64>i64x2.extract_lane(y, 0));
  return v128.xor(low, halfProduct(table + HALF, <u64>i64x2.extract_lane(y, 1)));
}

/** n bytes of ones, n = 0 … 16, then zeros. */
@inline
export function firstBytes(n: u32): v128 {
  return v128.load(ones + 16 - <usize>n);
}

/** Takes `len` bytes at `data` into `hash`, with zeros up to a whole block. Up to 15 bytes behind them are read. */
export function ghashUpdate(table: usize, data: usize, len: u32): void {
  let y = v128.load(hash);
  for (; len >= 16; len -= 16) {
    y = ghashMultiply(table, v128.xor(y, v128.load(data)));
    data += 16;
  }
  if (len != 0) y = ghashMultiply(table, v128.xor(y, v128.and(v128.load(data), firstBytes(len))));
  v128.store(hash, y);
}

/** Takes the last block into `hash`: the lengths of associated data and ciphertext, in bits. */
export function ghashLengths(table: usize, aadLen: u32, len: u32): void {
  const lengths = i64x2(<i64>bswap<u64>(<u64>aadLen << 3), <i64>bswap<u64>(<u64>len << 3));
  v128.store(hash, ghashMultiply(table, v128.xor(v128.load(hash), lengths)));
}
