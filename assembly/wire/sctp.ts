/**
 * SCTP's common header (RFC 9260 §3.1) and its checksum, CRC32c (RFC 9260 appendix A).
 *
 *   +0 source port 2 | +2 destination port 2 | +4 verification tag 4 | +8 checksum 4, little-endian | chunks …
 */

/** Bytes of the common header. */
export const SCTP_HLEN: u32 = 12;

/** Chunk types (RFC 9260 §3.2). */
export const CHUNK_DATA: u32 = 0;
export const CHUNK_INIT: u32 = 1;
export const CHUNK_INIT_ACK: u32 = 2;
export const CHUNK_SACK: u32 = 3;
export const CHUNK_HEARTBEAT: u32 = 4;
export const CHUNK_HEARTBEAT_ACK: u32 = 5;
export const CHUNK_ABORT: u32 = 6;
export const CHUNK_SHUTDOWN: u32 = 7;
export const CHUNK_SHUTDOWN_ACK: u32 = 8;
export const CHUNK_ERROR: u32 = 9;
export const CHUNK_COOKIE_ECHO: u32 = 10;
export const CHUNK_COOKIE_ACK: u32 = 11;
export const CHUNK_SHUTDOWN_COMPLETE: u32 = 14;
/** Bytes of the headers: of a chunk, of INIT and INIT ACK, of DATA, of SACK; of a parameter or an error cause. */
export const CHUNK_HLEN: u32 = 4;
export const INIT_HLEN: u32 = 20;
export const DATA_HLEN: u32 = 16;
export const SACK_HLEN: u32 = 16;
export const PARAM_HLEN: u32 = 4;
/** Flags of DATA: last and first fragment, unordered, "SACK at once". */
export const DATA_E: u32 = 1;
export const DATA_B: u32 = 2;
export const DATA_U: u32 = 4;
export const DATA_I: u32 = 8;
/** Flag of ABORT and SHUTDOWN COMPLETE: the tag is the receiver's own, for the sender has no association. */
export const FLAG_T: u32 = 1;
/** Parameters of INIT and INIT ACK, and of HEARTBEAT. */
export const PARAM_HEARTBEAT_INFO: u32 = 1;
export const PARAM_STATE_COOKIE: u32 = 7;
export const PARAM_UNRECOGNIZED: u32 = 8;
export const PARAM_HOST_NAME: u32 = 11;
export const PARAM_SUPPORTED_ADDRESSES: u32 = 12;
/** Error causes (RFC 9260 §3.3.10). */
export const CAUSE_INVALID_STREAM: u32 = 1;
export const CAUSE_MISSING_PARAM: u32 = 2;
export const CAUSE_STALE_COOKIE: u32 = 3;
export const CAUSE_UNRESOLVABLE: u32 = 5;
export const CAUSE_UNRECOGNIZED_CHUNK: u32 = 6;
export const CAUSE_INVALID_PARAM: u32 = 7;
export const CAUSE_UNRECOGNIZED_PARAMS: u32 = 8;
export const CAUSE_NO_DATA: u32 = 9;
export const CAUSE_USER_ABORT: u32 = 12;
export const CAUSE_PROTOCOL_VIOLATION: u32 = 13;

/** A big-endian word of a packet. */
@inline
export function get32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

/** A big-endian half word of a packet. */
@inline
export function get16(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}

/** Stores a word big-endian. */
@inline
export function put32(at: usize, value: u32): void {
  store<u32>(at, bswap<u32>(value));
}

/** Stores a half word big-endian. */
@inline
export function put16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value));
}

/** Length with the padding to a multiple of 4. */
@inline
export function pad4(length: u32): u32 {
  return (length + 3) & ~3;
}

/** Common header; the checksum follows when the packet is whole (sctpSetCheck). */
export function emitSctp(at: usize, sport: u32, dport: u32, tag: u32): void {
  put16(at, sport);
  put16(at + 2, dport);
  put32(at + 4, tag);
  store<u32>(at, 0, 8);
}

/** Header of a chunk, a parameter is alike with `type` of 16 bits. */
@inline
export function emitChunk(at: usize, type: u32, flags: u32, length: u32): void {
  store<u8>(at, <u8>type);
  store<u8>(at, <u8>flags, 1);
  put16(at + 2, length);
}

/** Header of a parameter or of an error cause. */
@inline
export function emitParam(at: usize, type: u32, length: u32): void {
  put16(at, type);
  put16(at + 2, length);
}

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
