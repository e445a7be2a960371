/**
 * UDP header (RFC 768): +0 source port 2 | +2 destination port 2 | +4 length 2 | +6 checksum 2 (0 = none).
 */
import { fold64, pseudoSum, sumBytes } from "./checksum";

/** Bytes of the header. */
export const UDP_HLEN: u32 = 8;
const PROTOCOL: u32 = 17;

/** Source port. */
@inline
export function udpSport(udp: usize): u32 {
  return <u32>bswap<u16>(load<u16>(udp));
}

/** Destination port. */
@inline
export function udpDport(udp: usize): u32 {
  return <u32>bswap<u16>(load<u16>(udp, 2));
}

/** Length with the header. */
@inline
export function udpLength(udp: usize): u32 {
  return <u32>bswap<u16>(load<u16>(udp, 4));
}

/** Writes the header; the checksum is left 0. */
@inline
export function emitUdp(udp: usize, sport: u32, dport: u32, length: u32): void {
  store<u32>(udp, <u32>bswap<u16>(<u16>sport) | (<u32>bswap<u16>(<u16>dport) << 16));
  store<u32>(udp, <u32>bswap<u16>(<u16>length), 4);
}

/** Writes length and checksum, over the addresses at `ip` and data of which the sum is known; 0 is sent as 0xffff. */
@inline
export function udpFinish(ip: usize, udp: usize, length: u32, dataSum: u64): void {
  const word = <u32>bswap<u16>(<u16>length);
  const check = ~fold64(pseudoSum(ip, PROTOCOL, length) + <u64>load<u32>(udp) + <u64>word + dataSum) & 0xffff;
  store<u32>(udp, word | ((check == 0 ? 0xffff : check) << 16), 4);
}

/** Computes and stores the checksum over the addresses at `ip`; 0 is sent as 0xffff (udp_set_csum). */
@inline
export function udpSetCheck(ip: usize, udp: usize, length: u32): void {
  store<u16>(udp, 0, 6);
  const check = <u16>~fold64(pseudoSum(ip, PROTOCOL, length) + sumBytes(udp, length));
  store<u16>(udp, check == 0 ? 0xffff : check, 6);
}

/** True when the checksum is right or absent. */
@inline
export function udpCheckOk(ip: usize, udp: usize, length: u32): bool {
  return load<u16>(udp, 6) == 0 || fold64(pseudoSum(ip, PROTOCOL, length) + sumBytes(udp, length)) == 0xffff;
}
