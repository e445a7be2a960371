/**
 * Connection tuples (nf_conntrack_tuple): what identifies one direction of a connection, how it is read
 * from a packet, inverted, hashed (nf_conntrack_core.c nf_ct_get_tuple, nf_ct_invert_tuple, hash_conntrack_raw).
 *
 *   tuple, 32 bytes:  +0 hash link | +8 source u32 | +12 destination u32 |
 *                     +16 source port or ICMP id u16 | +18 destination port or ICMP type << 8 | code u16 |
 *                     +20 zone << 8 | protocol u32 | +24 direction u32 | +28 owner's
 *
 * Addresses and ports in host order. Two tuples are equal when the 16 bytes from +8 are.
 */
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../abi";
import { ipDst, ipHlen, ipProtocol, ipSrc } from "../wire/ipv4";
import { NfNs } from "./nfns";

/** Bytes of a tuple, and offsets of its fields. */
export const TUPLE: usize = 32;
export const T_SRC: usize = 8;
export const T_DST: usize = 12;
export const T_SPORT: usize = 16;
export const T_DPORT: usize = 18;
export const T_PORTS: usize = 16;
export const T_KEY: usize = 20;
export const T_DIR: usize = 24;

/** Further protocols with ports (include/uapi/linux/in.h). */
export const IPPROTO_SCTP: u32 = 132;
export const IPPROTO_DCCP: u32 = 33;
export const IPPROTO_UDPLITE: u32 = 136;

/** IP protocol. */
@inline
export function tupleProto(tuple: usize): u32 {
  return load<u32>(tuple, T_KEY) & 255;
}

/** Two tuples say the same: addresses, ports, protocol, zone. */
@inline
export function tupleEqual(a: usize, b: usize): bool {
  return load<u64>(a, T_SRC) == load<u64>(b, T_SRC) && load<u64>(a, T_PORTS) == load<u64>(b, T_PORTS);
}

/** Copies what identifies; link, direction and owner stay. */
@inline
export function tupleCopy(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from, T_SRC), T_SRC);
  store<u64>(to, load<u64>(from, T_PORTS), T_PORTS);
}

/** Written in the words in which look-ups read it: a load that spans two younger stores stalls. */
@inline
function tupleStore(to: usize, src: u32, dst: u32, ports: u32, key: u32): void {
  store<u64>(to, <u64>src | (<u64>dst << 32), T_SRC);
  store<u64>(to, <u64>ports | (<u64>key << 32), T_PORTS);
}

/** The ICMP type that answers one, plus 1; 0 when it is no query (icmp_invert_tuple). */
@inline
function icmpInverse(type: u32): u32 {
  if (type == 8) return 1;
  if (type == 0) return 9;
  if (type >= 13 && type <= 18) return (type & 1 ? type + 1 : type - 1) + 1;
  return 0;
}

/** The tuple of the answer; false when there is none (an ICMP message that is not a query). */
export function tupleInvert(to: usize, from: usize): bool {
  const src = load<u32>(from, T_SRC);
  const dst = load<u32>(from, T_DST);
  let ports = load<u32>(from, T_PORTS);
  const key = load<u32>(from, T_KEY);
  if ((key & 255) == <u32>IPPROTO_ICMP) {
    const inverse = icmpInverse(ports >> 24);
    if (inverse == 0) return false;
    ports = (ports & 0x00ffffff) | ((inverse - 1) << 24);
  } else ports = rotl<u32>(ports, 16);
  tupleStore(to, dst, src, ports, key);
  return true;
}

/** Of the protocols below 64, those with ports, as bits. */
const LOW_WITH_PORTS: u64 = (<u64>1 << IPPROTO_TCP) | (<u64>1 << IPPROTO_UDP) | (<u64>1 << IPPROTO_DCCP);

/** Protocols whose header begins with two ports. */
@inline
export function hasPorts(protocol: u32): bool {
  if (protocol < 64) return <bool>((LOW_WITH_PORTS >> <u64>protocol) & 1);
  return protocol == IPPROTO_SCTP || protocol == IPPROTO_UDPLITE;
}

/**
 * Reads the tuple of the IP packet at `ip`, of which `len` bytes are there (the caller has checked the IP
 * header's own length). False when its transport header is cut off.
 */
export function tupleOfPacket(nf: NfNs, ip: usize, len: u32, to: usize): bool {
  const ports = portsOfPacket(ip, len);
  if (ports < 0) return false;
  store<u64>(to, addressesOfPacket(ip), T_SRC);
  store<u64>(to, portsWord(nf, ip, <u32>ports), T_PORTS);
  return true;
}

/** The tuple's word at T_SRC. */
@inline
export function addressesOfPacket(ip: usize): u64 {
  return <u64>ipSrc(ip) | (<u64>ipDst(ip) << 32);
}

/** The tuple's word at T_PORTS. */
@inline
export function portsWord(nf: NfNs, ip: usize, ports: u32): u64 {
  return <u64>ports | (<u64>((nf.zone << 8) | ipProtocol(ip)) << 32);
}

/** Ports, or an ICMP message's id, type and code, as a tuple has them; -1 when the transport header is cut off. */
@inline
export function portsOfPacket(ip: usize, len: u32): i64 {
  const ihl = ipHlen(ip);
  const th = ip + ihl;
  const protocol = ipProtocol(ip);
  if (hasPorts(protocol)) {
    if (len < ihl + 4) return -1;
    // The bytes of each half turned around.
    const raw = load<u32>(th);
    return <i64>(((raw & 0x00ff00ff) << 8) | ((raw >> 8) & 0x00ff00ff));
  }
  if (protocol != <u32>IPPROTO_ICMP) return 0;
  if (len < ihl + 8) return -1;
  return <i64>(<u32>bswap<u16>(load<u16>(th, 4)) | (<u32>load<u8>(th, 1) << 16) | (<u32>load<u8>(th) << 24));
}

/**
 * Hash of a tuple. Linux takes SipHash; here two rounds of multiply and fold, keyed per host, are enough:
 * the order within buckets is observable nowhere.
 */
@inline
export function tupleHash(nf: NfNs, tuple: usize): u32 {
  return tupleHashWords(nf, load<u64>(tuple, T_SRC), load<u64>(tuple, T_PORTS));
}

/** As tupleHash, of the two words from T_SRC and T_PORTS on. */
@inline
export function tupleHashWords(nf: NfNs, addresses: u64, ports: u64): u32 {
  let h = (addresses ^ nf.hashKey) * 0x9e3779b97f4a7c15;
  h = (h ^ (h >> 32) ^ ports) * 0xd6e8feb86659fd93;
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15;
  return <u32>(h >> 32);
}
