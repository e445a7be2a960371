/** ICMP output: errors about packets, and replies (net/ipv4/icmp.c __icmp_send, icmp_reply). */
import {
  DEV_LOOPBACK,
  IPPROTO_ICMP,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  SCOPE_LINK,
  SYS_ICMP_ERRORS_USE_INBOUND_IFADDR,
  SYS_ICMP_RATELIMIT,
  SYS_ICMP_RATEMASK,
} from "../abi";
import { journeyBack, journeyBecause, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import { PACKET_HOST, SKB_CSUM_OK, SKB_HEADROOM, Skb, allocSkb, skbPut } from "../memory/skb";
import { ctAttach } from "../netfilter/netfilter";
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_HLEN,
  NR_ICMP_TYPES,
  emitIcmp,
  icmpIsError,
  icmpSetCheck,
  icmpType,
} from "../wire/icmp";
import { IP_HLEN, IP_OFFSET, ipDst, ipFrag, ipHlen, ipProtocol, ipSrc, ipTos } from "../wire/ipv4";
import { selectAddr } from "./addr";
import { sysctl } from "./inet";
import { IPID_HASHED, sendRouted } from "./output";
import { icmpGlobalAllow, peerAllow } from "./peer";
import { RtResult, routeLookup } from "./route";
import { SNMP_ICMP_OUT_ERRORS, SNMP_ICMP_RATELIMIT_GLOBAL, SNMP_ICMP_RATELIMIT_HOST, snmpInc } from "./snmp";
import { countOut } from "./icmp-count";

/** Largest error message: what every host must be able to reassemble. */
const MAX_ERROR: u32 = 576;

/**
 * Sends an ICMP error about a packet (skb.nh at its IP header, routed). `info` is the third word: MTU, gateway.
 * Does not end the packet. Silent where RFC 1122 3.2.2 forbids an error, and when a rate limit says so.
 */
export function icmpSend(skb: Skb, type: u32, code: u32, info: u32): void {
  if (skb.rtType == 0 || skb.dev == 0 || skb.pktType != PACKET_HOST) return;
  if (skb.rtType == RTN_BROADCAST || skb.rtType == RTN_MULTICAST) return;
  const ip = skb.nh;
  const quoted = <u32>(skb.data + skb.len - ip);
  if (quoted < IP_HLEN || ipFrag(ip) & IP_OFFSET) return;
  if (icmpIsError(type) && ipProtocol(ip) == IPPROTO_ICMP && !mayAnswerIcmp(ip, quoted)) return;
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  const dst = ipSrc(ip);
  let src = ipDst(ip);
  if (skb.rtType != RTN_LOCAL) {
    src = sysctl(ns, SYS_ICMP_ERRORS_USE_INBOUND_IFADDR) ? selectAddr(changetype<NetDev>(skb.dev), dst, SCOPE_LINK) : 0;
  }
  if (routeLookup(ns, dst, src, 0) != 0) {
    snmpInc(ns, SNMP_ICMP_OUT_ERRORS);
    return;
  }
  if (!rateAllows(ns, dst, type, code)) return;
  emitError(ns, skb, ip, quoted, src != 0 ? src : RtResult.rtSrc, dst, type, code, info);
}

/** An ICMP message may cause an error only if it is a known type and no error itself. */
function mayAnswerIcmp(ip: usize, length: u32): bool {
  const header = ipHlen(ip);
  if (length < header + 1) return false;
  const type = icmpType(ip + header);
  return type <= NR_ICMP_TYPES && !icmpIsError(type);
}

/** icmpv4_global_allow and icmpv4_xrlim_allow. */
function rateAllows(ns: NetNs, dst: u32, type: u32, code: u32): bool {
  if (type > NR_ICMP_TYPES || (type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED)) return true;
  if (!((1 << type) & sysctl(ns, SYS_ICMP_RATEMASK))) return true;
  if (changetype<NetDev>(RtResult.rtDev).kind == DEV_LOOPBACK) return true;
  if (!peerAllow(ns, dst, sysctl(ns, SYS_ICMP_RATELIMIT))) {
    snmpInc(ns, SNMP_ICMP_RATELIMIT_HOST);
    return false;
  }
  if (icmpGlobalAllow(ns)) return true;
  snmpInc(ns, SNMP_ICMP_RATELIMIT_GLOBAL);
  return false;
}

/** Builds the message over the route in RtResult. */
function emitError(
  ns: NetNs,
  skb: Skb,
  ip: usize,
  available: u32,
  src: u32,
  dst: u32,
  type: u32,
  code: u32,
  info: u32,
): void {
  let room = RtResult.rtMtu < MAX_ERROR ? RtResult.rtMtu : MAX_ERROR;
  room -= IP_HLEN + ICMP_HLEN;
  const quote = available < room ? available : room;
  const tos = icmpIsError(type) ? (ipTos(ip) & 0x1e) | 0xc0 : ipTos(ip);
  const out = allocSkb(nsHost(ns), SKB_HEADROOM, ICMP_HLEN + quote);
  const icmp = skbPut(out, ICMP_HLEN + quote);
  emitIcmp(icmp, type, code, info);
  memory.copy(icmp + ICMP_HLEN, ip, quote);
  icmpSetCheck(icmp, ICMP_HLEN + quote);
  out.th = icmp;
  out.flags |= SKB_CSUM_OK;
  countOut(ns, type);
  // The error belongs to the packet's connection, whatever IPVS or NAT made of the addresses (nf_ct_attach in icmp_glue_bits).
  if (icmpIsError(type)) ctAttach(out, skb);
  const before = marking ? journeyBecause(changetype<usize>(skb)) : <u64>0;
  sendRouted(ns, out, src, dst, IPPROTO_ICMP, 0, tos, false, IPID_HASHED);
  if (marking) journeyBack(before);
}

/** Answers a received ICMP message (skb.data at its header) with `type` and the same rest and data (icmp_reply). */
export function icmpReply(ns: NetNs, skb: Skb, type: u32): void {
  const ip = skb.nh;
  const dst = ipSrc(ip);
  const src = skb.rtType == RTN_LOCAL ? ipDst(ip) : 0;
  if (routeLookup(ns, dst, src, 0) != 0) return;
  const out = allocSkb(nsHost(ns), SKB_HEADROOM, skb.len);
  const icmp = skbPut(out, skb.len);
  memory.copy(icmp, skb.data, skb.len);
  store<u8>(icmp, <u8>type);
  icmpSetCheck(icmp, skb.len);
  out.th = icmp;
  out.flags |= SKB_CSUM_OK;
  countOut(ns, type);
  sendRouted(ns, out, src != 0 ? src : RtResult.rtSrc, dst, IPPROTO_ICMP, 0, ipTos(ip), false, IPID_HASHED);
}
