/**
 * The Internet checksum (RFC 1071) and its incremental form (RFC 1624). Sums are taken over native
 * little-endian words and folded; a folded value is written to the packet as it is, without a byte swap.
 */

/** Folds a 64-bit sum of 16-bit words to 16 bits. */
@inline
export function fold64(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u32>((sum & 0xffff) + (sum >> 16));
}

/**
 * Sum of `len` bytes, unfolded; add other sums to it before folding. SIMD: eight bytes a lane pair by
 * pairwise widening adds; the loop's accumulators can't overflow below 1 MiB.
 */
export function sumBytes(at: usize, len: u32): u64 {
  let sum: u64 = 0;
  if (len >= 64) {
    let acc = i64x2.splat(0);
    let lanes = i32x4.splat(0);
    let blocks: u32 = 0;
    while (len >= 32) {
      lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(v128.load(at)));
      lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(v128.load(at, 16)));
      at += 32;
      len -= 32;
      // 2 × 2 × 0xffff a step and lane: drain long before 2^32.
      if (++blocks == 8192) {
        acc = i64x2.add(acc, i64x2.add(i64x2.extend_low_i32x4_u(lanes), i64x2.extend_high_i32x4_u(lanes)));
        lanes = i32x4.splat(0);
        blocks = 0;
      }
    }
    acc = i64x2.add(acc, i64x2.add(i64x2.extend_low_i32x4_u(lanes), i64x2.extend_high_i32x4_u(lanes)));
    sum = <u64>i64x2.extract_lane(acc, 0) + <u64>i64x2.extract_lane(acc, 1);
  }
  while (len >= 4) {
    sum += <u64>load<u32>(at);
    at += 4;
    len -= 4;
  }
  if (len >= 2) {
    sum += <u64>load<u16>(at);
    at += 2;
    len -= 2;
  }
  if (len) sum += <u64>load<u8>(at);
  return sum;
}

/** Sum of the four lanes of the accumulators of sumBytes and copySum. */
@inline
function lanesSum(lanes: v128): u64 {
  const wide = i64x2.add(i64x2.extend_low_i32x4_u(lanes), i64x2.extend_high_i32x4_u(lanes));
  return <u64>i64x2.extract_lane(wide, 0) + <u64>i64x2.extract_lane(wide, 1);
}

/**
 * Copies `len` bytes, at most 64 KiB, and sums them, as sumBytes does (csum_and_copy_from_iter): in one pass, without
 * the call out of the module that memory.copy is.
 */
export function copySum(to: usize, from: usize, len: u32): u64 {
  let lanes = i32x4.splat(0);
  while (len >= 32) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    v128.store(to, a);
    v128.store(to, b, 16);
    lanes = i32x4.add(lanes, i32x4.add(i32x4.extadd_pairwise_i16x8_u(a), i32x4.extadd_pairwise_i16x8_u(b)));
    from += 32;
    to += 32;
    len -= 32;
  }
  let sum = lanesSum(lanes);
  while (len >= 4) {
    const word = load<u32>(from);
    store<u32>(to, word);
    sum += <u64>word;
    from += 4;
    to += 4;
    len -= 4;
  }
  if (len >= 2) {
    const half = load<u16>(from);
    store<u16>(to, half);
    sum += <u64>half;
    from += 2;
    to += 2;
    len -= 2;
  }
  if (len) {
    const byte = load<u8>(from);
    store<u8>(to, byte);
    sum += <u64>byte;
  }
  return sum;
}

/** The checksum of `len` bytes: complement of the folded sum, ready to store. */
@inline
export function checksum(at: usize, len: u32): u16 {
  return <u16>~fold64(sumBytes(at, len));
}

/** The checksum of a 20-byte IPv4 header whose checksum field is zero. */
@inline
export function ipHeaderChecksum(ip: usize): u16 {
  const sum =
    <u64>load<u32>(ip) + <u64>load<u32>(ip, 4) + <u64>load<u32>(ip, 8) + <u64>load<u32>(ip, 12) + <u64>load<u32>(ip, 16);
  return <u16>~fold64(sum);
}

/** Sum of the pseudo header of TCP and UDP over the addresses in the IP header at `ip`. */
@inline
export function pseudoSum(ip: usize, protocol: u32, length: u32): u64 {
  return <u64>load<u32>(ip, 12) + <u64>load<u32>(ip, 16) + (<u64>protocol << 8) + <u64>bswap<u16>(<u16>length);
}

/** A checksum after a 16-bit word changed (RFC 1624 eqn. 3); values as stored in the packet. */
@inline
export function adjust16(check: u16, from: u16, to: u16): u16 {
  const sum = <u32>(~check & 0xffff) + <u32>(~from & 0xffff) + <u32>to;
  const once = (sum & 0xffff) + (sum >> 16);
  return <u16>~((once & 0xffff) + (once >> 16));
}

/** A checksum after a 32-bit word changed. */
@inline
export function adjust32(check: u16, from: u32, to: u32): u16 {
  return adjust16(adjust16(check, <u16>from, <u16>to), <u16>(from >> 16), <u16>(to >> 16));
}
