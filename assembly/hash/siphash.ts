/**
 * SipHash-2-4 and hsiphash (SipHash-1-3 on 64-bit kernels) as Linux has them (include/linux/siphash.h,
 * lib/siphash.c), bit-exact. State lives in module globals: the functions are not re-entrant and need not be.
 */
let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

@inline
function init(k0: u64, k1: u64): void {
  v0 = 0x736f6d6570736575 ^ k0;
  v1 = 0x646f72616e646f6d ^ k1;
  v2 = 0x6c7967656e657261 ^ k0;
  v3 = 0x7465646279746573 ^ k1;
}

@inline
function round(): void {
  v0 += v1;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v0 = rotl<u64>(v0, 32);
  v2 += v3;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 += v3;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v2 += v1;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
}

@inline
function block2(m: u64): void {
  v3 ^= m;
  round();
  round();
  v0 ^= m;
}

@inline
function finish2(last: u64): u64 {
  block2(last);
  v2 ^= 0xff;
  round();
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

/** The last partial block: remaining bytes, little-endian, and the length in the top byte. */
function tailWord(at: usize, length: u32): u64 {
  let word = <u64>(length & 0xff) << 56;
  const rest = length & 7;
  const base = at + (length - rest);
  for (let i: u32 = 0; i < rest; i++) word |= <u64>load<u8>(base + i) << (<u64>i << 3);
  return word;
}

/** siphash: SipHash-2-4 of `length` bytes. */
export function siphash(at: usize, length: u32, k0: u64, k1: u64): u64 {
  init(k0, k1);
  const end = at + (length & ~7);
  for (let p = at; p < end; p += 8) block2(load<u64>(p));
  return finish2(tailWord(at, length));
}

/** siphash_2u32. */
export function siphash2u32(a: u32, b: u32, k0: u64, k1: u64): u64 {
  init(k0, k1);
  block2((<u64>b << 32) | <u64>a);
  return finish2(<u64>8 << 56);
}

/** siphash_3u32. */
export function siphash3u32(a: u32, b: u32, c: u32, k0: u64, k1: u64): u64 {
  init(k0, k1);
  block2((<u64>b << 32) | <u64>a);
  return finish2((<u64>12 << 56) | <u64>c);
}

/** siphash_4u32. */
export function siphash4u32(a: u32, b: u32, c: u32, d: u32, k0: u64, k1: u64): u64 {
  init(k0, k1);
  block2((<u64>b << 32) | <u64>a);
  block2((<u64>d << 32) | <u64>c);
  return finish2(<u64>16 << 56);
}

/** siphash_6u64-like: six 64-bit words, the flow dissector's 48-byte key. */
export function siphash6u64(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, k0: u64, k1: u64): u64 {
  init(k0, k1);
  block2(a);
  block2(b);
  block2(c);
  block2(d);
  block2(e);
  block2(f);
  return finish2(<u64>48 << 56);
}

/** hsiphash on a 64-bit kernel: the low 32 bits of SipHash-1-3. */
export function hsiphash(at: usize, length: u32, k0: u64, k1: u64): u32 {
  init(k0, k1);
  const end = at + (length & ~7);
  for (let p = at; p < end; p += 8) {
    const m = load<u64>(p);
    v3 ^= m;
    round();
    v0 ^= m;
  }
  const last = tailWord(at, length);
  v3 ^= last;
  round();
  v0 ^= last;
  v2 ^= 0xff;
  round();
  round();
  round();
  return <u32>(v0 ^ v1 ^ v2 ^ v3);
}
