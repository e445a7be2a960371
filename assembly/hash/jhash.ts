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
  return count == 0 ? iv : words(at, count, iv, load<u32>(at + (<usize>(count - 1) << 2)));
}

/** jhash: `length` bytes at `at`; the last word is filled up with zeros. */
export function jhash(at: usize, length: u32, initval: u32): u32 {
  const iv = INITVAL + length + initval;
  if (length == 0) return iv;
  const count = (length + 3) >> 2;
  const tail = at + (<usize>(count - 1) << 2);
  let last: u32 = 0;
  for (let i: u32 = length - ((count - 1) << 2); i > 0; i--) last = (last << 8) | <u32>load<u8>(tail + i - 1);
  return words(at, count, iv, last);
}

/** The words of either, of which the last one is given. */
function words(at: usize, count: u32, iv: u32, last: u32): u32 {
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
  if (count == 3) {
    c += last;
    b += load<u32>(at, 4);
    a += load<u32>(at);
  } else if (count == 2) {
    b += last;
    a += load<u32>(at);
  } else a += last;
  return jhashFinal(a, b, c);
}
