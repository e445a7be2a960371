/**
 * Local checksum offload (include/linux/skbuff.h lco_csum): where an inner TCP or UDP checksum is known to
 * be right, the sum of the inner segment is the complement of its pseudo header's, so only the headers in
 * front of it need summing.
 */
import { IPPROTO_TCP, IPPROTO_UDP } from "../abi";
import { SKB_CSUM_OK, Skb } from "../memory/skb";
import { fold64, pseudoSum, sumBytes } from "./checksum";
import { ETH_HLEN, ETH_P_IP, ethType } from "./ethernet";

/** One's-complement sum of the inner frame's `len` bytes at `frame`; exact, by the short way where that is allowed. */
export function innerSum(skb: Skb, frame: usize, len: u32): u64 {
  const ip = frame + ETH_HLEN;
  if (!(skb.flags & SKB_CSUM_OK) || len < ETH_HLEN + 28 || ethType(frame) != ETH_P_IP) return sumBytes(frame, len);
  const header = <u32>(load<u8>(ip) & 15) << 2;
  const total = <u32>bswap<u16>(load<u16>(ip, 2));
  const protocol = <u32>load<u8>(ip, 9);
  const fragment = load<u16>(ip, 6) & 0xff3f; // offset and MF, as stored
  // An even start of the segment keeps the word alignment; padding behind the packet must not be left out.
  if (fragment != 0 || header < 20 || total + ETH_HLEN != len) return sumBytes(frame, len);
  if (protocol == IPPROTO_UDP) {
    if (load<u16>(ip + header, 6) == 0) return sumBytes(frame, len);
  } else if (protocol != IPPROTO_TCP) return sumBytes(frame, len);
  const segment = total - header;
  // The segment sums with its pseudo header to all ones, so it sums to the complement of the pseudo header.
  const pseudo = pseudoSum(ip, protocol, segment);
  return (header == 20 ? headerSum(frame) : sumBytes(frame, ETH_HLEN + header)) + complement(pseudo);
}

/** Sum of an Ethernet and a plain IPv4 header: 34 bytes. */
@inline
function headerSum(frame: usize): u64 {
  const a = load<u64>(frame);
  const b = load<u64>(frame, 8);
  const c = load<u64>(frame, 16);
  const d = load<u64>(frame, 24);
  const low = (a & 0xffffffff) + (b & 0xffffffff) + (c & 0xffffffff) + (d & 0xffffffff);
  return low + (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32) + <u64>load<u16>(frame, 32);
}

@inline
function complement(sum: u64): u64 {
  return <u64>(~fold64(sum) & 0xffff);
}
