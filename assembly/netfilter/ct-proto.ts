/**
 * Tracking of a packet: nf_conntrack_in with its protocol parts for UDP, ICMP and the rest
 * (net/netfilter/nf_conntrack_core.c, nf_conntrack_proto_udp.c, _icmp.c, _generic.c of 6.1).
 */
import {
  CTL_CHECKSUM, CTL_GENERIC, CTL_ICMP, CTL_UDP, CTL_UDP_STREAM, DROP_NF_CT_TABLE_FULL, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, NF_ACCEPT,
  NF_DROP, NF_PRE_ROUTING,
} from "../abi";
import { SKB_CSUM_OK, Skb, dropSkb, resetCt } from "../memory/skb";
import { now } from "../sim/event";
import { checksum, fold64, pseudoSum, sumBytes } from "../wire/checksum";
import { ipDst, ipHlen, ipLaterFragment, ipProtocol } from "../wire/ipv4";
import {
  Ct, IP_CT_ESTABLISHED, IP_CT_ESTABLISHED_REPLY, IP_CT_IS_REPLY, IP_CT_NEW, IP_CT_RELATED, IP_CT_UNTRACKED, SECOND, ctAlloc, ctFind, ctFindRecent, ctOfLink, ctRefresh, ctTuple,
} from "./conntrack";
import { ICMP_ADDRESS, ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_INFO_REQUEST, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_SOURCE_QUENCH, ICMP_TIMESTAMP, ICMP_TIME_EXCEEDED, NR_ICMP_TYPES } from "../wire/icmp";
import { sctpPacket } from "./ct-sctp";
import { CT_ACCEPT, CT_INVALID, CT_REPEAT, tcpPacket } from "./ct-tcp";
import { NfNs, ctlOf } from "./nfns";
import { T_DIR, T_DST, addressesOfPacket, portsOfPacket, portsWord, tupleInvert, tupleOfPacket } from "./tuple";

const tuple: usize = memory.data(32, 16);
const inner: usize = memory.data(32, 16);

/**
 * nf_ip_checksum for TCP and UDP: `th` holds `len` bytes. A right one is remembered, but not that of a datagram:
 * it may be a tunnel's, and says nothing about the packet inside, which keeps the flag when it is unpacked.
 */
export function l4ChecksumOk(skb: Skb, ip: usize, th: usize, len: u32): bool {
  if (skb.flags & SKB_CSUM_OK) return true;
  if (fold64(pseudoSum(ip, ipProtocol(ip), len) + sumBytes(th, len)) != 0xffff) return false;
  if (ipProtocol(ip) != <u32>IPPROTO_UDP) skb.flags |= SKB_CSUM_OK;
  return true;
}

/** The type carries the packet that it is about. */
@inline
export function icmpIsError(type: u32): bool {
  return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/** udp_error and nf_conntrack_udp_packet. */
@inline
function udpPacket(nf: NfNs, ct: Ct, skb: Skb, hook: u32, ip: usize, th: usize, len: u32): i32 {
  if (len < 8) return CT_INVALID;
  const udpLen = <u32>bswap<u16>(load<u16>(th, 4));
  if (udpLen > len || udpLen < 8) return CT_INVALID;
  if (load<u16>(th, 6) != 0 && hook == <u32>NF_PRE_ROUTING && ctlOf(nf, CTL_CHECKSUM) && !l4ChecksumOk(skb, ip, th, udpLen)) return CT_INVALID;
  if (!(ct.status & IPS_CONFIRMED)) ct.streamTs = now + 2 * SECOND;
  if (!(ct.status & IPS_SEEN_REPLY)) {
    ctRefresh(ct, ctlOf(nf, CTL_UDP));
    return CT_ACCEPT;
  }
  // Answered, and still active after two seconds: a stream.
  if (now > ct.streamTs) {
    ctRefresh(ct, ctlOf(nf, CTL_UDP_STREAM));
    ct.status |= IPS_ASSURED;
  } else ctRefresh(ct, ctlOf(nf, CTL_UDP));
  return CT_ACCEPT;
}

/** nf_conntrack_icmp_packet: only queries begin a connection. */
function icmpPacket(nf: NfNs, ct: Ct): i32 {
  const type = ct.oPorts >> 24;
  if (type != ICMP_ECHO && type != ICMP_TIMESTAMP && type != ICMP_INFO_REQUEST && type != ICMP_ADDRESS) return CT_INVALID;
  ctRefresh(ct, ctlOf(nf, CTL_ICMP));
  return CT_ACCEPT;
}

@inline
function handlePacket(nf: NfNs, ct: Ct, skb: Skb, hook: u32, ip: usize, th: usize, len: u32): i32 {
  const protocol = ipProtocol(ip);
  if (protocol == <u32>IPPROTO_TCP) return tcpPacket(nf, ct, skb, hook, ip, th, len);
  if (protocol == <u32>IPPROTO_UDP) return udpPacket(nf, ct, skb, hook, ip, th, len);
  if (protocol == <u32>IPPROTO_ICMP) return icmpPacket(nf, ct);
  if (protocol == <u32>IPPROTO_SCTP) return sctpPacket(nf, ct, skb, hook, th, len);
  ctRefresh(ct, ctlOf(nf, CTL_GENERIC));
  return CT_ACCEPT;
}

/**
 * nf_conntrack_icmpv4_error and nf_conntrack_inet_error: an ICMP error belongs to the connection of the
 * packet it quotes. False: the packet is INVALID. True with skb.ct still 0: no error, go on.
 */
function icmpError(nf: NfNs, skb: Skb, hook: u32, ip: usize, th: usize, len: u32): bool {
  if (len < 8) return false;
  if (hook == <u32>NF_PRE_ROUTING && ctlOf(nf, CTL_CHECKSUM) && !(skb.flags & SKB_CSUM_OK)) {
    if (checksum(th, len) != 0) return false;
    skb.flags |= SKB_CSUM_OK;
  }
  const type = <u32>load<u8>(th);
  if (type > NR_ICMP_TYPES) return false;
  if (!icmpIsError(type)) return true;
  const quoted = th + 8;
  const left = len - 8;
  if (left < 20 || load<u8>(quoted) >> 4 != 4 || ipHlen(quoted) < 20 || ipHlen(quoted) > left || ipLaterFragment(quoted)) return false;
  if (!tupleOfPacket(nf, quoted, left, tuple) || !tupleInvert(inner, tuple)) return false;
  const link = ctFind(nf, inner);
  if (link == 0) return false;
  // The error must go to where the connection's packets of this direction go.
  if (load<u32>(link, T_DST) != ipDst(ip)) return false;
  const ct = ctOfLink(link);
  ct.refs++;
  skb.ct = changetype<usize>(ct);
  skb.ctInfo = load<u32>(link, T_DIR) != 0 ? IP_CT_RELATED + IP_CT_IS_REPLY : IP_CT_RELATED;
  return true;
}

/** resolve_normal_ct: finds or makes the connection. 1 found, 0 invalid, -1 table full. */
@inline
function resolve(nf: NfNs, skb: Skb, hook: u32, ip: usize, len: u32): i32 {
  const ports = portsOfPacket(ip, len);
  if (ports < 0) return 0;
  const recent = changetype<usize>(nf) + (hook == <u32>NF_PRE_ROUTING ? offsetof<NfNs>("recentIn") : offsetof<NfNs>("recentOut"));
  const link = ctFindRecent(nf, recent, addressesOfPacket(ip), portsWord(nf, ip, <u32>ports));
  if (link == 0) {
    tupleOfPacket(nf, ip, len, tuple);
    const made = ctAlloc(nf, tuple);
    if (made == 0) return -1;
    if (made == 1) return 0;
    skb.ct = made;
    skb.ctInfo = IP_CT_NEW;
    return 1;
  }
  const ct = ctOfLink(link);
  ct.refs++;
  skb.ct = changetype<usize>(ct);
  if (load<u32>(link, T_DIR) != 0) skb.ctInfo = IP_CT_ESTABLISHED_REPLY;
  else skb.ctInfo = ct.status & IPS_SEEN_REPLY ? IP_CT_ESTABLISHED : IP_CT_NEW;
  return 1;
}

/** nf_conntrack_in: gives a packet its connection. An INVALID packet passes with none. */
export function conntrackIn(nf: NfNs, skb: Skb, hook: u32): u32 {
  if (skb.ct != 0 || skb.ctInfo == IP_CT_UNTRACKED) return NF_ACCEPT; // seen before: loopback
  skb.ctInfo = 0;
  const ip = skb.nh;
  const len = <u32>(skb.data + skb.len - ip);
  const ihl = ipHlen(ip);
  if (ihl > len || ipLaterFragment(ip)) return NF_ACCEPT;
  const th = ip + ihl;
  if (ipProtocol(ip) == <u32>IPPROTO_ICMP) {
    if (!icmpError(nf, skb, hook, ip, th, len - ihl)) return NF_ACCEPT;
    if (skb.ct != 0) return NF_ACCEPT;
  }
  for (;;) {
    const found = resolve(nf, skb, hook, ip, len);
    if (found < 0) {
      dropSkb(skb, DROP_NF_CT_TABLE_FULL);
      return NF_DROP;
    }
    if (found == 0) break;
    const ct = changetype<Ct>(skb.ct);
    const verdict = handlePacket(nf, ct, skb, hook, ip, th, len - ihl);
    if (verdict > 0) {
      if (skb.ctInfo == IP_CT_ESTABLISHED_REPLY) ct.status |= IPS_SEEN_REPLY;
      return NF_ACCEPT;
    }
    resetCt(skb);
    if (verdict != CT_REPEAT) break;
  }
  return NF_ACCEPT;
}

/**
 * Gives an answer that a rule or ICMP makes (RST, error) the connection of the packet it answers
 * (nf_ct_attach).
 */
export function ctAttach(answer: Skb, packet: Skb): void {
  if (packet.ct == 0 || answer.ct != 0) return;
  const ct = changetype<Ct>(packet.ct);
  ct.refs++;
  answer.ct = packet.ct;
  answer.ctInfo = packet.ctInfo >= IP_CT_IS_REPLY ? IP_CT_RELATED : IP_CT_RELATED + IP_CT_IS_REPLY;
}
