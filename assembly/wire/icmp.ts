/**
 * ICMP header (RFC 792): +0 type | +1 code | +2 checksum 2 | +4 rest 4 (echo: id 2, sequence 2;
 * frag-needed: unused 2, MTU 2; redirect: gateway 4).
 */
import { checksum } from "./checksum";

/** Bytes of the header. */
export const ICMP_HLEN: u32 = 8;

/** Types (include/uapi/linux/icmp.h). */
export const ICMP_ECHOREPLY: u32 = 0;
export const ICMP_DEST_UNREACH: u32 = 3;
export const ICMP_SOURCE_QUENCH: u32 = 4;
export const ICMP_REDIRECT: u32 = 5;
export const ICMP_ECHO: u32 = 8;
export const ICMP_TIME_EXCEEDED: u32 = 11;
export const ICMP_PARAMETERPROB: u32 = 12;
export const ICMP_TIMESTAMP: u32 = 13;
export const ICMP_TIMESTAMPREPLY: u32 = 14;
export const ICMP_INFO_REQUEST: u32 = 15;
export const ICMP_ADDRESS: u32 = 17;
export const ICMP_ADDRESSREPLY: u32 = 18;
export const NR_ICMP_TYPES: u32 = 18;

/** Codes of destination unreachable. */
export const ICMP_NET_UNREACH: u32 = 0;
export const ICMP_HOST_UNREACH: u32 = 1;
export const ICMP_PROT_UNREACH: u32 = 2;
export const ICMP_PORT_UNREACH: u32 = 3;
export const ICMP_FRAG_NEEDED: u32 = 4;
export const ICMP_PKT_FILTERED: u32 = 13;
export const NR_ICMP_UNREACH: u32 = 15;
/** Codes of time exceeded. */
export const ICMP_EXC_TTL: u32 = 0;
export const ICMP_EXC_FRAGTIME: u32 = 1;
/** Code of redirect: for the host. */
export const ICMP_REDIR_HOST: u32 = 1;

/** Type. */
@inline
export function icmpType(icmp: usize): u32 {
  return <u32>load<u8>(icmp);
}

/** Code. */
@inline
export function icmpCode(icmp: usize): u32 {
  return <u32>load<u8>(icmp, 1);
}

/** The echo id (host order). */
@inline
export function icmpEchoId(icmp: usize): u32 {
  return <u32>bswap<u16>(load<u16>(icmp, 4));
}

/** Sequence number of an echo. */
@inline
export function icmpEchoSeq(icmp: usize): u32 {
  return <u32>bswap<u16>(load<u16>(icmp, 6));
}

/** The four bytes behind the checksum, host order. */
@inline
export function icmpRest(icmp: usize): u32 {
  return bswap<u32>(load<u32>(icmp, 4));
}

/** Writes the header; the checksum is left 0. */
@inline
export function emitIcmp(icmp: usize, type: u32, code: u32, rest: u32): void {
  store<u32>(icmp, type | (code << 8));
  store<u32>(icmp, bswap<u32>(rest), 4);
}

/** Computes the checksum of a message of `length` bytes and writes it. */
@inline
export function icmpSetCheck(icmp: usize, length: u32): void {
  store<u16>(icmp, 0, 2);
  store<u16>(icmp, checksum(icmp, length), 2);
}

/** Types that report an error; they are never answered with an error. */
@inline
export function icmpIsError(type: u32): bool {
  return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}
