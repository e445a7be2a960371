/**
 * The flow hash of a packet (net/core/flow_dissector.c skb_get_hash): SipHash-2-4 with the host's boot key
 * over the dissected keys, symmetric in addresses and ports. Sockets may have set a hash of their own.
 */
import { IPPROTO_TCP, IPPROTO_UDP } from "../abi";
import { SKB_HASHED, Skb } from "../memory/skb";
import { Host } from "../sim/host";
import { ETH_HLEN, ETH_P_IP, ethType } from "../wire/ethernet";
import { siphash6u64 } from "./siphash";

/** IPPROTO_SCTP, also dissected for ports. */
const IPPROTO_SCTP: u32 = 132;

/** Hash of a frame: `at` points to its Ethernet header, `len` bytes. Never 0. */
export function flowHashFrame(at: usize, len: u32, host: Host): u32 {
  const type = len >= ETH_HLEN ? ethType(at) : 0;
  if (type == ETH_P_IP && len >= ETH_HLEN + 20) return flowHashIp(at + ETH_HLEN, len - ETH_HLEN, host);
  const word0 = <u64>bswap<u16>(<u16>type);
  const hash = <u32>siphash6u64(word0, 0, 0, 0, 0, 0, host.flowK0, host.flowK1);
  return hash == 0 ? 1 : hash;
}

/** Hash of an IPv4 packet of at least 20 bytes. */
function flowHashIp(ip: usize, len: u32, host: Host): u32 {
  const protocol = <u32>load<u8>(ip, 9);
  let src = load<u32>(ip, 12);
  let dst = load<u32>(ip, 16);
  let ports: u32 = 0;
  // No ports of a fragment, the first included: skb_get_hash doesn't set FLOW_DISSECTOR_F_PARSE_1ST_FRAG.
  const frag = bswap<u16>(load<u16>(ip, 6)) & 0x3fff;
  if (frag == 0 && (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP)) {
    const header = <u32>(load<u8>(ip) & 15) << 2;
    if (header >= 20 && len >= header + 4) ports = load<u32>(ip + header);
  }
  // __flow_hash_consistentify: raw little-endian comparison, addresses and ports independently.
  if (dst < src) {
    const swap = src;
    src = dst;
    dst = swap;
  }
  if (ports >> 16 < (ports & 0xffff)) ports = rotl<u32>(ports, 16);
  const word0 = <u64>0x0008 | (<u64>protocol << 16);
  const word3 = <u64>ports << 32; // bytes 24..27 GRE key, 28..31 ports
  const word4 = <u64>src << 32; // bytes 32..35 ICMP, 36..39 source address
  const hash = <u32>siphash6u64(word0, 0, 0, word3, word4, <u64>dst, host.flowK0, host.flowK1);
  return hash == 0 ? 1 : hash;
}

/** skb_get_hash of a frame that stands at its Ethernet header. */
@inline
export function skbGetHash(skb: Skb): u32 {
  if (skb.flags & SKB_HASHED) return skb.hash;
  skb.hash = flowHashFrame(skb.data, skb.len, changetype<Host>(skb.host));
  skb.flags |= SKB_HASHED;
  return skb.hash;
}
