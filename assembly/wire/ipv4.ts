/**
 * IPv4 header (RFC 791). Addresses are u32 in host order.
 *
 *   +0 version 4 bits, header length 4 bits | +1 TOS | +2 total length 2 | +4 id 2 | +6 flags 3 bits, fragment
 *   offset 13 bits | +8 TTL | +9 protocol | +10 checksum 2 | +12 source 4 | +16 destination 4 | options
 */
import { ipHeaderChecksum, sumBytes, fold64 } from "./checksum";

/** Bytes of a header without options. */
export const IP_HLEN: u32 = 20;

/** Bytes of the largest packet. */
export const IP_MAX_LEN: u32 = 65535;
/** Flags and offset, host order of the 16-bit field. */
export const IP_DF: u32 = 0x4000;
export const IP_MF: u32 = 0x2000;
export const IP_OFFSET: u32 = 0x1fff;

/** Well-known addresses (include/uapi/linux/in.h). */
export const INADDR_ANY: u32 = 0;
export const INADDR_BROADCAST: u32 = 0xffffffff;
export const INADDR_LOOPBACK: u32 = 0x7f000001;

/** Header length in bytes. */
@inline
export function ipHlen(ip: usize): u32 {
  return <u32>(load<u8>(ip) & 15) << 2;
}

/** Type of service. */
@inline
export function ipTos(ip: usize): u32 {
  return <u32>load<u8>(ip, 1);
}

/** Total length. */
@inline
export function ipTotalLength(ip: usize): u32 {
  return <u32>bswap<u16>(load<u16>(ip, 2));
}

/** Identification. */
@inline
export function ipId(ip: usize): u32 {
  return <u32>bswap<u16>(load<u16>(ip, 4));
}

/** Flags and fragment offset, host order. */
@inline
export function ipFrag(ip: usize): u32 {
  return <u32>bswap<u16>(load<u16>(ip, 6));
}

/** Time to live. */
@inline
export function ipTtl(ip: usize): u32 {
  return <u32>load<u8>(ip, 8);
}

/** Protocol. */
@inline
export function ipProtocol(ip: usize): u32 {
  return <u32>load<u8>(ip, 9);
}

/** Source address. */
@inline
export function ipSrc(ip: usize): u32 {
  return bswap<u32>(load<u32>(ip, 12));
}

/** Destination address. */
@inline
export function ipDst(ip: usize): u32 {
  return bswap<u32>(load<u32>(ip, 16));
}

/** True for the first, middle and last fragments of a datagram (ip_is_fragment). */
@inline
export function ipIsFragment(ip: usize): bool {
  return (load<u16>(ip, 6) & 0xff3f) != 0;
}

/** True where there is no transport header: the fragment offset is not 0. */
@inline
export function ipLaterFragment(ip: usize): bool {
  return (load<u16>(ip, 6) & 0xff1f) != 0;
}

/** Writes a header without options; total length, id and checksum are left 0. */
@inline
export function emitIp(ip: usize, tos: u32, df: bool, ttl: u32, protocol: u32, src: u32, dst: u32): void {
  store<u32>(ip, <u32>0x45 | (tos << 8));
  store<u32>(ip, df ? 0x00400000 : 0, 4);
  store<u32>(ip, (ttl & 0xff) | (protocol << 8), 8);
  store<u32>(ip, bswap<u32>(src), 12);
  store<u32>(ip, bswap<u32>(dst), 16);
}

/** Writes the identification; the checksum is not touched. */
@inline
export function ipSetId(ip: usize, id: u32): void {
  // Whole words, as they were written: a load that spans two younger stores stalls until both are in the cache.
  store<u32>(ip, (load<u32>(ip, 4) & 0xffff0000) | <u32>bswap<u16>(<u16>id), 4);
}

/** Writes total length and checksum of a header (__ip_local_out). */
@inline
export function ipFinish(ip: usize, total: u32): void {
  if (ipHlen(ip) != IP_HLEN) {
    store<u16>(ip, bswap<u16>(<u16>total), 2);
    ipSendCheck(ip);
    return;
  }
  const first = (load<u32>(ip) & 0xffff) | (<u32>bswap<u16>(<u16>total) << 16);
  const third = load<u32>(ip, 8) & 0xffff;
  const sum = <u64>first + <u64>load<u32>(ip, 4) + <u64>third + <u64>load<u32>(ip, 12) + <u64>load<u32>(ip, 16);
  store<u32>(ip, first);
  store<u32>(ip, third | ((~fold64(sum) & 0xffff) << 16), 8);
}

/** Computes and stores the header checksum (ip_send_check). */
@inline
export function ipSendCheck(ip: usize): void {
  store<u16>(ip, 0, 10);
  const header = ipHlen(ip);
  store<u16>(ip, header == IP_HLEN ? ipHeaderChecksum(ip) : <u16>~fold64(sumBytes(ip, header)), 10);
}

/** True when the checksum of a header of `header` bytes is right (ip_fast_csum == 0). */
@inline
export function ipCheckOk(ip: usize, header: u32): bool {
  if (header == IP_HLEN) return ipHeaderChecksum(ip) == 0;
  return fold64(sumBytes(ip, header)) == 0xffff;
}

/** Decrements the TTL and updates the checksum incrementally (ip_decrease_ttl). */
@inline
export function ipDecreaseTtl(ip: usize): void {
  const check = <u32>load<u16>(ip, 10) + 1; // 0x0100 in network order
  store<u16>(ip, <u16>(check + <u32>(check >= 0xffff)), 10);
  store<u8>(ip, <u8>(load<u8>(ip, 8) - 1), 8);
}

/** 224.0.0.0/4. */
@inline
export function isMulticastIp(ip: u32): bool {
  return ip >> 28 == 14;
}

/** 127.0.0.0/8. */
@inline
export function isLoopbackIp(ip: u32): bool {
  return ip >> 24 == 127;
}

/** 0.0.0.0/8. */
@inline
export function isZeronet(ip: u32): bool {
  return ip >> 24 == 0;
}

/** Netmask of a prefix length 0…32. */
@inline
export function maskOf(prefix: u32): u32 {
  return prefix == 0 ? 0 : ~0 << (32 - prefix);
}
