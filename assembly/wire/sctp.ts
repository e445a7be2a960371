/**
 * SCTP's common header (RFC 9260 §3.1) and its checksum, CRC32c (RFC 9260 appendix A).
 *
 *   +0 source port 2 | +2 destination port 2 | +4 verification tag 4 | +8 checksum 4, little-endian | chunks …
 */

/** Bytes of the common header. */
export const SCTP_HLEN: u32 = 12;

/** Reflected polynomial of CRC32c (Castagnoli). */
const POLYNOMIAL: u32 = 0x82f63b78;
/** The CRC of each byte; filled on first use. */
const table: usize = memory.data(256 * 4, 16);
let filled: bool = false;

function fill(): void {
  filled = true;
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
    store<u32>(table + (<usize>i << 2), crc);
  }
}

/** CRC32c of `length` bytes, continuing from `crc` (0 at the beginning). */
export function crc32c(crc: u32, at: usize, length: u32): u32 {
  if (!filled) fill();
  let value = ~crc;
  for (const end = at + length; at < end; at++) value = (value >> 8) ^ load<u32>(table + (<usize>((value ^ <u32>load<u8>(at)) & 255) << 2));
  return ~value;
}

/** The checksum of an SCTP packet of at least 12 bytes, its own field taken as 0, as it is stored. */
export function sctpChecksum(at: usize, length: u32): u32 {
  const field = load<u32>(at, 8);
  store<u32>(at, 0, 8);
  const crc = crc32c(0, at, length);
  store<u32>(at, field, 8);
  return crc;
}

/** Computes and stores the checksum. */
export function sctpSetCheck(at: usize, length: u32): void {
  store<u32>(at, sctpChecksum(at, length), 8);
}
