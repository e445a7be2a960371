/**
 * ARP for IPv4 over Ethernet (RFC 826), 28 bytes.
 *
 *   +0 hardware type 2 | +2 protocol type 2 | +4 lengths 6, 4 | +6 operation 2 |
 *   +8 sender MAC 6 | +14 sender IP 4 | +18 target MAC 6 | +24 target IP 4
 */
import { loadMac, storeMac } from "./ethernet";

/** Bytes of an ARP packet for IPv4 over Ethernet. */
export const ARP_HLEN: u32 = 28;

/** Operations. */
export const ARPOP_REQUEST: u32 = 1;
export const ARPOP_REPLY: u32 = 2;

/** Operation. */
@inline
export function arpOp(arp: usize): u32 {
  return <u32>bswap<u16>(load<u16>(arp, 6));
}

/** The sender's MAC. The 8-byte read stays inside the packet. */
@inline
export function arpSha(arp: usize): u64 {
  return loadMac(arp + 8);
}

/** Sender's IPv4 address. */
@inline
export function arpSip(arp: usize): u32 {
  return bswap<u32>(load<u32>(arp, 14));
}

/** Target's MAC. */
@inline
export function arpTha(arp: usize): u64 {
  return loadMac(arp + 18);
}

/** Target's IPv4 address. */
@inline
export function arpTip(arp: usize): u32 {
  return bswap<u32>(load<u32>(arp, 24));
}

/** Hardware type Ethernet (or IEEE 802), protocol IPv4, lengths 6 and 4. */
@inline
export function arpValid(arp: usize): bool {
  const hardware = bswap<u16>(load<u16>(arp));
  return (hardware == 1 || hardware == 6) && load<u32>(arp, 2) == 0x04060008;
}

/** Writes a whole packet: operation, sender's MAC and address, target's. */
export function emitArp(arp: usize, op: u32, sha: u64, sip: u32, tha: u64, tip: u32): void {
  store<u64>(arp, <u64>0x0000040600080100 | (<u64>bswap<u16>(<u16>op) << 48));
  storeMac(arp + 8, sha);
  store<u32>(arp, bswap<u32>(sip), 14);
  storeMac(arp + 18, tha);
  store<u32>(arp, bswap<u32>(tip), 24);
}
