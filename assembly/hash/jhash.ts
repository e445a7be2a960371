/**
 * Bob Jenkins' hash as Linux has it (include/linux/jhash.h), little-endian, bit-exact.
 */
const INITVAL: u32 = 0xdeadbeef;

/** __jhash_final over three words; returns c. */
@inline
export function jhashFinal(a: u32, b: u32, c: u32): u32 {
  c = (c ^ b) - rotl<u32>(b, 14);
  a = (a ^ c) - rotl<u32>(c, 11);
  b = (b ^ a) - rotl<u32>(a, 25);
  c = (c ^ b) - rotl<u32>(b, 16);
  a = (a ^ c) - rotl<u32>(c, 4);
  b = (b ^ a) - rotl<u32>(a, 14);
  return (c ^ b) - rotl<u32>(b, 24);
}

/** jhash_3words. */
@inline
export function jhash3(a: u32, b: u32, c: u32, initval: u32): u32 {
  const iv = initval + INITVAL + 12;
  return jhashFinal(a + iv, b + iv, c + iv);
}

/** jhash_2words. */
@inline
export function jhash2words(a: u32, b: u32, initval: u32): u32 {
  const iv = initval + INITVAL + 8;
  return jhashFinal(a + iv, b + iv, iv);
}

/** jhash_1word. */
@inline
export function jhash1(a: u32, initval: u32): u32 {
  const iv = initval + INITVAL + 4;
  return jhashFinal(a + iv, iv, iv);
}

/** jhash2: `count` 32-bit words at `at`. */
export function jhash2(at: usize, count: u32, initval: u32): u32 {
  const iv = INITVAL + (count << 2) + initval;
  return words(at, count, iv);
}

function words(at: usize, count: u32, iv: u32): u32 {
  let a = iv;
  let b = iv;
  let c = iv;
  while (count > 3) {
    a += load<u32>(at);
    b += load<u32>(at, 4);
    c += load<u32>(at, 8);
    a = (a - c) ^ rotl<u32>(c, 4);
    c += b;
    b = (b - a) ^ rotl<u32>(a, 6);
    a += c;
    c = (c - b) ^ rotl<u32>(b, 8);
    b += a;
    a = (a - c) ^ rotl<u32>(c, 16);
    c += b;
    b = (b - a) ^ rotl<u32>(a, 19);
    a += c;
    c = (c - b) ^ rotl<u32>(b, 4);
    b += a;
    at += 12;
    count -= 3;
  }
  if (count == 0) return c;
  if (count == 3) c += load<u32>(at, 8);
  if (count >= 2) b += load<u32>(at, 4);
  a += load<u32>(at);
  return jhashFinal(a, b, c);
}

/** jhash: `length` bytes at `at`. */
export function jhash(at: usize, length: u32, initval: u32): u32 {
  let a = INITVAL + length + initval;
  let b = a;
  let c = a;
  while (length > 12) {
    a += load<u32>(at);
    b += load<u32>(at, 4);
    c += load<u32>(at, 8);
    a = (a - c) ^ rotl<u32>(c, 4);
    c += b;
    b = (b - a) ^ rotl<u32>(a, 6);
    a += c;
    c = (c - b) ^ rotl<u32>(b, 8);
    b += a;
    a = (a - c) ^ rotl<u32>(c, 16);
    c += b;
    b = (b - a) ^ rotl<u32>(a, 19);
    a += c;
    c = (c - b) ^ rotl<u32>(b, 4);
    b += a;
    at += 12;
    length -= 12;
  }
  if (length == 0) return c;
  let word: u32 = 0;
  for (let i: u32 = 0; i < length; i++) {
    word |= <u32>load<u8>(at + i) << ((i & 3) << 3);
    if ((i & 3) == 3 || i == length - 1) {
      if (i < 4) a += word;
      else if (i < 8) b += word;
      else c += word;
      word = 0;
    }
  }
  return jhashFinal(a, b, c);
}
