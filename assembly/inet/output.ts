/** IPv4 output (net/ipv4/ip_output.c): headers, LOCAL_OUT, POST_ROUTING, fragmentation, the neighbour. */
import {
  DROP_IP_OUTNOROUTES, EHOSTUNREACH, EPERM, NF_ACCEPT, NF_DROP, NF_LOCAL_OUT, NF_POST_ROUTING, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST,
  RTN_UNICAST, SYS_IP_DEFAULT_TTL, MARK_OUTPUT, MARK_ROUTE,
} from "../abi";
import { mark, marking, markPacket } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import { PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, SKB_HASHED, SKB_L4_HASH, SKB_REROUTE, SKB_XFRM_DONE, Skb, copySkb, dropSkb, ensureHeadroom, skbHeadroom, skbPush } from "../memory/skb";
import { nfLocalOut, nfPostRouting } from "../netfilter/netfilter";
import { PMTUDISC_DO, PMTUDISC_WANT, Sock } from "../socket/socket";
import { ETH_P_IP } from "../wire/ethernet";
import { IP_HLEN, emitIp, ipDst, ipFinish, ipSetId, ipSrc, ipTtl } from "../wire/ipv4";
import { XFRM_FLAG_OUT } from "../xfrm/records";
import { xfrm4Output, xfrmLookup, xfrmLookupRoute, xfrmReason, xfrmSourceOf, xfrmTranslated } from "../xfrm/output";
import { fibAddrType } from "./fib";
import { ipFragment } from "./frag";
import { sysctl } from "./inet";
import { ipLocalDeliver } from "./input";
import { ipSelectIdent } from "./ipid";
import { neighOutput } from "./neigh";
import { RtResult, routeLookup, routeLookupAnySrc, setRoute, sockRoute } from "./route";
import { SNMP_IP_OUT_NO_ROUTES, SNMP_IP_OUT_REQUESTS, snmpInc } from "./snmp";

/** ipBuildAndSend: id 0, or from the hashed generator. */
export const IPID_ZERO: u32 = 0;
export const IPID_HASHED: u32 = 1;

/**
 * Sends a packet of this host (skb.data at a header that lacks only total length and checksum; skb.rt* set): runs
 * LOCAL_OUT, routes again where a rule asks for it. 0, or -errno (-EPERM: dropped by netfilter). Ends the skb (__ip_local_out).
 */
export function ipLocalOut(ns: NetNs, skb: Skb): i32 {
  const ip = skb.data;
  ipFinish(ip, skb.len);
  skb.nh = ip;
  skb.protocol = ETH_P_IP;
  skb.dev = skb.rtDev;
  skb.pktType = PACKET_HOST;
  if (marking) markPacket(MARK_OUTPUT, changetype<usize>(ns), skb.rtDev, skb, skb.rtNextHop, skb.rtType, skb.rtMtu);
  if (ns.xfrmFlags & XFRM_FLAG_OUT) {
    const error = xfrmLookupRoute(ns, skb);
    if (error != 0) {
      dropSkb(skb, xfrmReason);
      return error;
    }
  }
  if (ns.nfHooks & (1 << NF_LOCAL_OUT)) {
    const verdict = nfLocalOut(ns, skb, skb.rtDev);
    if (verdict != NF_ACCEPT) return verdict == NF_DROP ? -EPERM : 0;
    if (skb.flags & SKB_REROUTE) {
      const error = routeMeHarder(ns, skb);
      if (error != 0) {
        dropSkb(skb, reroutedReason);
        return error;
      }
    }
  }
  return dstOutput(ns, skb);
}

/** Why routeMeHarder refused a packet (DROP_*). */
let reroutedReason: u32 = 0;

/** ip_route_me_harder: the route again, and the IPsec policy, after NAT or a mark changed what they depend on. */
export function routeMeHarder(ns: NetNs, skb: Skb): i32 {
  skb.flags &= ~SKB_REROUTE;
  reroutedReason = DROP_IP_OUTNOROUTES;
  const src = ipSrc(skb.nh);
  const dst = ipDst(skb.nh);
  // From an address of this host the usual route is the same one, and cached.
  if (routeLookup(ns, dst, src, 0) != 0) {
    const type = fibAddrType(ns, src);
    const error = routeLookupAnySrc(ns, dst, type == RTN_LOCAL || type == RTN_UNICAST ? src : 0, 0);
    if (error != 0) return error;
  }
  setRoute(skb);
  skb.dev = skb.rtDev;
  if (marking) mark(MARK_ROUTE, changetype<usize>(ns), skb.rtDev, skb, skb.rtNextHop, skb.rtType);
  if (!(ns.xfrmFlags & XFRM_FLAG_OUT)) return 0;
  const error = xfrmLookup(ns, skb);
  if (error != 0) reroutedReason = xfrmReason;
  return error;
}

/** dst_output: where a routed packet goes: to IPsec if a policy applies to it, else out. */
export function dstOutput(ns: NetNs, skb: Skb): i32 {
  return skb.xfrm != 0 ? xfrm4Output(ns, skb) : ipOutput(ns, skb);
}

/** ip_output, ip_mc_output: POST_ROUTING, then fragments and the neighbour. */
function ipOutput(ns: NetNs, skb: Skb): i32 {
  skb.dev = skb.rtDev;
  snmpInc(ns, SNMP_IP_OUT_REQUESTS);
  if (skb.rtType == RTN_BROADCAST || (skb.rtType == RTN_MULTICAST && ipTtl(skb.nh) != 0)) loopBack(skb);
  if (ns.nfHooks & (1 << NF_POST_ROUTING)) {
    const ask = (ns.xfrmFlags & XFRM_FLAG_OUT) != 0 && !(skb.flags & SKB_XFRM_DONE);
    const source: u64 = ask ? xfrmSourceOf(skb) : 0;
    const verdict = nfPostRouting(ns, skb, skb.rtDev);
    if (verdict != NF_ACCEPT) return verdict == NF_DROP ? -EPERM : 0;
    // "Policy lookup after SNAT yielded a new policy".
    if (ask && xfrmSourceOf(skb) != source && xfrmTranslated(ns, skb)) return 0;
  }
  return ipFinishOutput(ns, skb);
}

/** ip_output of a packet that has been through POST_ROUTING (IPSKB_REROUTED). */
export function ipOutputDone(ns: NetNs, skb: Skb): i32 {
  snmpInc(ns, SNMP_IP_OUT_REQUESTS);
  return ipFinishOutput(ns, skb);
}

/** What is broadcast is heard by this host too (ip_mc_output, dev_loopback_xmit). Multicast: IP_MULTICAST_LOOP. */
function loopBack(skb: Skb): void {
  const copy = copySkb(skb);
  copy.rtType = skb.rtType;
  copy.rtDev = skb.rtDev;
  copy.pktType = skb.rtType == RTN_BROADCAST ? PACKET_BROADCAST : PACKET_MULTICAST;
  ipLocalDeliver(copy);
}

/** ip_finish_output. */
function ipFinishOutput(ns: NetNs, skb: Skb): i32 {
  if (skb.len > skb.rtMtu || skb.fragMax != 0) return ipFragment(ns, skb);
  return neighOutput(changetype<NetDev>(skb.rtDev), skb.rtNextHop, skb);
}

/** The TTL that a packet gets whose sender chose none. */
@inline
export function defaultTtl(ns: NetNs): u32 {
  return sysctl(ns, SYS_IP_DEFAULT_TTL);
}

/** DF for packets of a socket (ip_dont_fragment). */
@inline
export function dontFragment(pmtuDisc: u32, locked: bool): bool {
  return pmtuDisc == PMTUDISC_DO || (pmtuDisc == PMTUDISC_WANT && !locked);
}

/** The packet takes the flow hash of its socket, if that has one (skb_set_hash_from_sk). */
@inline
export function hashFromSock(skb: Skb, sk: Sock): void {
  if (sk.txhash == 0) return;
  skb.hash = sk.txhash;
  skb.flags |= SKB_HASHED | SKB_L4_HASH;
}

/**
 * Sends a segment of a connected socket (skb.data = skb.th = transport header): __ip_queue_xmit. ttl 0 = the socket's.
 * 0 or -errno; ends the skb.
 */
export function ipQueueXmit(sk: Sock, given: Skb, tos: u32, ttl: u32): i32 {
  const ns = changetype<NetNs>(sk.ns);
  if (sockRoute(sk) != 0) {
    snmpInc(ns, SNMP_IP_OUT_NO_ROUTES);
    dropSkb(given, DROP_IP_OUTNOROUTES);
    return -EHOSTUNREACH;
  }
  const skb = skbHeadroom(given) < IP_HLEN + 16 ? ensureHeadroom(given, IP_HLEN + 16) : given;
  skb.rtDev = sk.dstDev;
  skb.rtNextHop = sk.dstNextHop;
  skb.rtType = sk.dstType;
  skb.rtMtu = sk.dstMtu;
  const ip = skbPush(skb, IP_HLEN);
  const life = ttl != 0 ? ttl : sk.ttl != 0 ? sk.ttl : defaultTtl(ns);
  emitIp(ip, tos, dontFragment(sk.pmtuDisc, sk.dstLocked != 0), life, sk.protocol, sk.localIp, sk.remoteIp);
  ipSetId(ip, sk.ipid++);
  skb.mark = sk.mark;
  hashFromSock(skb, sk);
  return ipLocalOut(ns, skb);
}

/**
 * Sends a packet that belongs to no socket (skb.data = skb.th = transport header): RST, SYN-ACK, ICMP. src 0 = the
 * route's; a source that isn't local is accepted (a REJECT answers for others). ttl 0 = the default. 0 or -errno; ends the skb.
 */
export function ipBuildAndSend(ns: NetNs, given: Skb, src: u32, dst: u32, protocol: u32, ttl: u32, tos: u32, df: bool, idMode: u32): i32 {
  let error = routeLookup(ns, dst, src, 0);
  if (error != 0 && src != 0) error = routeLookupAnySrc(ns, dst, src, 0);
  if (error != 0) {
    snmpInc(ns, SNMP_IP_OUT_NO_ROUTES);
    dropSkb(given, DROP_IP_OUTNOROUTES);
    return error;
  }
  return sendRouted(ns, given, src != 0 ? src : RtResult.rtSrc, dst, protocol, ttl, tos, df, idMode);
}

/** As ipBuildAndSend, over the route that stands in RtResult. */
export function sendRouted(ns: NetNs, given: Skb, src: u32, dst: u32, protocol: u32, ttl: u32, tos: u32, df: bool, idMode: u32): i32 {
  const skb = skbHeadroom(given) < IP_HLEN + 16 ? ensureHeadroom(given, IP_HLEN + 16) : given;
  setRoute(skb);
  const ip = skbPush(skb, IP_HLEN);
  emitIp(ip, tos, df, ttl != 0 ? ttl : defaultTtl(ns), protocol, src, dst);
  if (idMode == IPID_HASHED) ipSetId(ip, <u32>ipSelectIdent(nsHost(ns), src, dst, protocol, 1));
  return ipLocalOut(ns, skb);
}

/**
 * Sends an encapsulated packet over the route that stands in RtResult (iptunnel_xmit): skb.data at the outer UDP
 * header. The id comes from the hashed generator even with DF. ttl 0 = the default. 0 or -errno; ends the skb.
 */
export function ipTunnelXmit(ns: NetNs, skb: Skb, src: u32, dst: u32, protocol: u32, tos: u32, ttl: u32, df: bool): i32 {
  if (!(skb.flags & SKB_L4_HASH)) skb.flags &= ~SKB_HASHED;
  skb.fragMax = 0;
  skb.th = skb.data;
  return sendRouted(ns, skb, src, dst, protocol, ttl, tos, df, IPID_HASHED);
}
