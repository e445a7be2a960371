/**
 * Rewriting packets for NAT: addresses, ports and ICMP ids with incremental checksums
 * (net/netfilter/nf_nat_proto.c of 6.1).
 */
import { IPPROTO_ESP, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from "../abi";
import { SKB_CSUM_OK, Skb } from "../memory/skb";
import { adjust16, adjust32, checksum } from "../wire/checksum";
import { ipHlen, ipLaterFragment, ipProtocol } from "../wire/ipv4";
import { ICMP_REDIRECT } from "../wire/icmp";
import { SCTP_HLEN, sctpSetCheck } from "../wire/sctp";
import { Ct, ctTuple, dirOfInfo } from "./conntrack";
import { IPPROTO_UDPLITE, T_DPORT, T_DST, T_SPORT, T_SRC } from "./tuple";

/** enum nf_nat_manip_type */
export const MANIP_SRC: u32 = 0;
export const MANIP_DST: u32 = 1;

/** True for the ICMP messages that have an id: queries and their answers (icmp_manip_pkt). */
@inline
function hasId(type: u32): bool {
  return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

/**
 * nf_nat_ipv4_manip_pkt with its l4 part: writes address and port (or ICMP id) as source or destination
 * into the IP packet at `ip`, of which `len` bytes are there. False when its transport header is cut off.
 */
function rewrite(ip: usize, len: u32, manip: u32, address: u32, port: u32, id: u32): bool {
  const ihl = ipHlen(ip);
  const field = ip + (manip == MANIP_SRC ? 12 : 16);
  const oldIp = load<u32>(field);
  const newIp = bswap<u32>(address);
  if (!ipLaterFragment(ip) && !rewriteL4(ip, ip + ihl, len - ihl, manip, oldIp, newIp, port, id)) return false;
  store<u16>(ip, adjust32(load<u16>(ip, 10), oldIp, newIp), 10);
  store<u32>(field, newIp);
  return true;
}

function rewriteL4(ip: usize, th: usize, left: u32, manip: u32, oldIp: u32, newIp: u32, port: u32, id: u32): bool {
  const protocol = ipProtocol(ip);
  if (protocol == <u32>IPPROTO_TCP || protocol == <u32>IPPROTO_UDP || protocol == IPPROTO_UDPLITE) {
    // Eight bytes are all that an ICMP error must quote: the checksum may be cut off.
    if (left < 8) return false;
    const at = th + (manip == MANIP_SRC ? 0 : 2);
    const oldPort = load<u16>(at);
    const newPort = bswap<u16>(<u16>port);
    store<u16>(at, newPort);
    if (protocol == <u32>IPPROTO_TCP) {
      if (left >= 20) store<u16>(th, adjust16(adjust32(load<u16>(th, 16), oldIp, newIp), oldPort, newPort), 16);
    } else if (load<u16>(th, 6) != 0) {
      const check = adjust16(adjust32(load<u16>(th, 6), oldIp, newIp), oldPort, newPort);
      store<u16>(th, check == 0 ? 0xffff : check, 6);
    }
    return true;
  }
  if (protocol == <u32>IPPROTO_SCTP) {
    if (left < 8) return false;
    store<u16>(th + (manip == MANIP_SRC ? 0 : 2), bswap<u16>(<u16>port));
    // A quoted packet may end in front of the checksum.
    if (left >= SCTP_HLEN) sctpSetCheck(th, left);
    return true;
  }
  if (protocol == <u32>IPPROTO_ICMP) {
    if (left < 8) return false;
    if (!hasId(load<u8>(th))) return true;
    const oldId = load<u16>(th, 4);
    const newId = bswap<u16>(<u16>id);
    store<u16>(th, adjust16(load<u16>(th, 2), oldId, newId), 2);
    store<u16>(th, newId, 4);
  }
  return true;
}

/** The status bit that says whether a manipulation applies to packets of a direction. */
@inline
function statusBit(manip: u32, dir: u32): u32 {
  return (manip == MANIP_SRC) == (dir == 0) ? IPS_SRC_NAT : IPS_DST_NAT;
}

/** nf_nat_packet: makes the packet look as the far side of the connection expects. False: it cannot. */
export function natPacket(skb: Skb, ct: Ct, manip: u32): bool {
  const dir = dirOfInfo(skb.ctInfo);
  if (!(ct.status & statusBit(manip, dir))) return true;
  const other = ctTuple(ct, dir ^ 1);
  const len = <u32>(skb.data + skb.len - skb.nh);
  const id = <u32>load<u16>(other, T_SPORT);
  // What an unknown protocol carries has a checksum that this address may be part of (UDP inside ESP).
  if (ipProtocol(skb.nh) == <u32>IPPROTO_ESP) skb.flags &= ~SKB_CSUM_OK;
  // The target is the inverse of the other direction's tuple.
  if (manip == MANIP_SRC) return rewrite(skb.nh, len, manip, load<u32>(other, T_DST), <u32>load<u16>(other, T_DPORT), id);
  return rewrite(skb.nh, len, manip, load<u32>(other, T_SRC), id, id);
}

/** nf_nat_icmp_reply_translation: an ICMP error and the packet inside it. False: drop it. */
export function natIcmpError(skb: Skb, ct: Ct, manip: u32): bool {
  const ip = skb.nh;
  const ihl = ipHlen(ip);
  const len = <u32>(skb.data + skb.len - ip);
  if (len < ihl + 8 + 20) return false;
  const icmp = ip + ihl;
  if (checksum(icmp, len - ihl) != 0) return false;
  if (<u32>load<u8>(icmp) == ICMP_REDIRECT) {
    const done = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    if ((ct.status & done) != done || ct.status & (IPS_SRC_NAT | IPS_DST_NAT)) return false;
  }
  const dir = dirOfInfo(skb.ctInfo);
  if (!(ct.status & statusBit(manip, dir))) return true;
  const other = ctTuple(ct, dir ^ 1);
  const id = <u32>load<u16>(other, T_SPORT);
  const quoted = icmp + 8;
  const left = len - ihl - 8;
  if (ipHlen(quoted) < 20 || ipHlen(quoted) > left) return false;
  // Inside: a packet of the other direction, so the other end of it is rewritten.
  const ok =
    manip == MANIP_SRC
      ? rewrite(quoted, left, MANIP_DST, load<u32>(other, T_DST), <u32>load<u16>(other, T_DPORT), id)
      : rewrite(quoted, left, MANIP_SRC, load<u32>(other, T_SRC), <u32>load<u16>(other, T_SPORT), id);
  if (!ok) return false;
  store<u16>(icmp, 0, 2);
  store<u16>(icmp, checksum(icmp, len - ihl), 2);
  return rewrite(ip, len, manip, manip == MANIP_SRC ? load<u32>(other, T_DST) : load<u32>(other, T_SRC), 0, 0);
}
