/** Sending a client's packet to the destination (net/netfilter/ipvs/ip_vs_xmit.c): masquerading, direct routing, IPIP tunnel, local. */
import {
  DROP_IPVS, DROP_IP_OUTNOROUTES, DROP_IP_TTL, DROP_PKT_TOO_BIG, IPPROTO_IPIP, NF_ACCEPT, NF_FORWARD, NF_LOCAL_OUT, NF_STOLEN, RTN_LOCAL, VSCTL_PMTU_DISC, VS_CONN_F_DROUTE,
  VS_CONN_F_FWD_MASK, VS_CONN_F_MASQ, VS_CONN_F_NFCT, VS_CONN_F_TUNNEL,
} from "../abi";
import { icmpSend } from "../inet/icmp";
import { ipSelectIdent } from "../inet/ipid";
import { dstOutput, ipLocalOut, routeMeHarder } from "../inet/output";
import { RtResult, routeLookup } from "../inet/route";
import { pmtuUpdate } from "../inet/pmtu";
import { SNMP_IP_IN_HDR_ERRORS, snmpInc } from "../inet/snmp";
import { NetNs, nsHost } from "../link/netns";
import { SKB_IGNORE_DF, SKB_IPVS, SKB_REROUTE, Skb, dropSkb, ensureHeadroom, resetCt, skbPush } from "../memory/skb";
import { confirmSkb, nfLocalOut } from "../netfilter/netfilter";
import { ICMP_DEST_UNREACH, ICMP_EXC_TTL, ICMP_FRAG_NEEDED, ICMP_HOST_UNREACH, ICMP_TIME_EXCEEDED } from "../wire/icmp";
import { IP_DF, IP_HLEN, emitIp, ipDecreaseTtl, ipFrag, ipSendCheck, ipSetId, ipSrc, ipTos, ipTtl, isLoopbackIp } from "../wire/ipv4";
import { natIcmp, natRequest, notrack, settleConntrack } from "./nat";
import { Conn, IpvsNs, vsCtl } from "./records";

// What __ip_vs_get_out_rt may return (IP_VS_RT_MODE_*).
const MODE_LOCAL: u32 = 1;
const MODE_NON_LOCAL: u32 = 2;
/** A packet that was being forwarded may become a local one. */
const MODE_RDR: u32 = 4;
const MODE_TUNNEL: u32 = 8;

// routeOut's answers.
const REMOTE: i32 = 0;
const LOCAL: i32 = 1;
const GONE: i32 = -1;

/** Smallest MTU of IPv4, and what may be left for a packet inside a tunnel. */
const MIN_MTU: u32 = 68;

/** tx_error. */
@inline
function gone(skb: Skb, reason: u32): u32 {
  dropSkb(skb, reason);
  return NF_STOLEN;
}

/**
 * __ip_vs_get_out_rt: the way to a destination. REMOTE: the packet has that route, one hop less to live, and fits; LOCAL: it
 * stays here, with the route it had; GONE: it was dropped.
 */
function routeOut(vs: IpvsNs, ns: NetNs, skb: Skb, daddr: u32, mode: u32, isIcmp: bool): i32 {
  if (routeLookup(ns, daddr, 0, 0) != 0) {
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0); // dst_link_failure
    dropSkb(skb, DROP_IP_OUTNOROUTES);
    return GONE;
  }
  if (RtResult.rtType == <u32>RTN_LOCAL) {
    if (mode & MODE_LOCAL && (mode & MODE_RDR || skb.rtType == <u32>RTN_LOCAL)) return LOCAL;
    dropSkb(skb, DROP_IPVS);
    return GONE;
  }
  const ip = skb.nh;
  if (!(mode & MODE_NON_LOCAL) || isLoopbackIp(ipSrc(ip))) {
    dropSkb(skb, DROP_IPVS);
    return GONE;
  }
  // icmpSend routes, too: what was found is kept here.
  const dev = RtResult.rtDev;
  const nextHop = RtResult.rtNextHop;
  const type = RtResult.rtType;
  const routeMtu = RtResult.rtMtu;
  if (ipTtl(ip) <= 1) {
    snmpInc(ns, SNMP_IP_IN_HDR_ERRORS);
    icmpSend(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
    dropSkb(skb, DROP_IP_TTL);
    return GONE;
  }
  ipDecreaseTtl(ip);
  const tunnel = (mode & MODE_TUNNEL) != 0;
  const mtu = tunnel ? routeMtu - IP_HLEN : routeMtu;
  const fits = mtu >= MIN_MTU && (skb.len <= mtu || !(ipFrag(ip) & IP_DF) || isIcmp || (tunnel && !vsCtl(vs, VSCTL_PMTU_DISC)));
  if (!fits) {
    if (mtu >= MIN_MTU) icmpSend(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return GONE;
  }
  skb.rtDev = dev;
  skb.rtNextHop = nextHop;
  skb.rtType = type;
  skb.rtMtu = routeMtu;
  skb.xfrm = 0;
  return REMOTE;
}

/** LOCAL_OUT and on: NF_HOOK(…, dst_output). */
function send(ns: NetNs, skb: Skb): u32 {
  // ip_fragment shall send no error.
  skb.flags |= SKB_IGNORE_DF;
  if (ns.nfHooks & (1 << NF_LOCAL_OUT)) {
    if (nfLocalOut(ns, skb, skb.rtDev) != <u32>NF_ACCEPT) return NF_STOLEN;
    if (skb.flags & SKB_REROUTE && routeMeHarder(ns, skb) != 0) return gone(skb, DROP_IP_OUTNOROUTES);
  }
  dstOutput(ns, skb);
  return NF_STOLEN;
}

/** ip_vs_nat_send_or_cont. */
function natSendOrContinue(ns: NetNs, skb: Skb, cp: Conn, local: bool): u32 {
  skb.flags |= SKB_IPVS;
  settleConntrack(skb, cp, true);
  return local ? NF_ACCEPT : send(ns, skb);
}

/** ip_vs_send_or_cont. */
function sendOrContinue(ns: NetNs, skb: Skb, cp: Conn, local: bool): u32 {
  skb.flags |= SKB_IPVS;
  if (!(cp.flags & VS_CONN_F_NFCT)) notrack(skb);
  return local ? NF_ACCEPT : send(ns, skb);
}

/** ip_vs_nat_xmit. */
function natXmit(vs: IpvsNs, ns: NetNs, skb: Skb, cp: Conn, th: usize, left: u32): u32 {
  const input = skb.dev != 0 && skb.dev != skb.rtDev;
  const way = routeOut(vs, ns, skb, cp.daddr, MODE_LOCAL | MODE_NON_LOCAL | MODE_RDR, false);
  if (way == GONE) return NF_STOLEN;
  if (way == LOCAL && input && isLoopbackIp(cp.daddr)) return gone(skb, DROP_IPVS);
  if (!natRequest(skb, cp, th, left)) return gone(skb, DROP_IPVS);
  store<u32>(skb.nh, bswap<u32>(cp.daddr), 16);
  ipSendCheck(skb.nh);
  return natSendOrContinue(ns, skb, cp, way == LOCAL);
}

/** ip_vs_dr_xmit: the packet stays as it is, the server has the virtual address too. */
function drXmit(vs: IpvsNs, ns: NetNs, skb: Skb, cp: Conn, isIcmp: bool): u32 {
  const way = routeOut(vs, ns, skb, cp.daddr, MODE_LOCAL | MODE_NON_LOCAL, isIcmp);
  if (way == GONE) return NF_STOLEN;
  if (way == REMOTE) ipSendCheck(skb.nh);
  return sendOrContinue(ns, skb, cp, way == LOCAL);
}

/** ip_vs_tunnel_xmit: IP in IP (RFC 2003). */
function tunnelXmit(vs: IpvsNs, ns: NetNs, given: Skb, cp: Conn, isIcmp: bool): u32 {
  const way = routeOut(vs, ns, given, cp.daddr, MODE_LOCAL | MODE_NON_LOCAL | MODE_TUNNEL, isIcmp);
  if (way == GONE) return NF_STOLEN;
  if (way == LOCAL) return sendOrContinue(ns, given, cp, true);
  const source = RtResult.rtSrc;
  const inner = given.nh;
  const df = vsCtl(vs, VSCTL_PMTU_DISC) != 0 && (ipFrag(inner) & IP_DF) != 0;
  const ttl = ipTtl(inner);
  // CE becomes ECT(0): the outer header carries no mark of congestion (INET_ECN_encapsulate).
  const inside = ipTos(inner);
  const tos = (inside & 3) == 3 ? (inside & ~3) | 2 : inside;
  given.flags |= SKB_IPVS | SKB_IGNORE_DF;
  if (cp.flags & VS_CONN_F_NFCT && !confirmSkb(ns, given)) return NF_STOLEN;
  resetCt(given);
  const skb = ensureHeadroom(given, IP_HLEN + 16);
  const ip = skbPush(skb, IP_HLEN);
  emitIp(ip, tos, df, ttl, IPPROTO_IPIP, source, cp.daddr);
  ipSetId(ip, <u32>ipSelectIdent(nsHost(ns), source, cp.daddr, IPPROTO_IPIP, 1));
  skb.th = ip + IP_HLEN;
  ipLocalOut(ns, skb);
  return NF_STOLEN;
}

/** packet_xmit of the connection. The transport header stands at `th`, `left` bytes of it. Answers as a hook does. */
export function transmit(vs: IpvsNs, ns: NetNs, skb: Skb, cp: Conn, th: usize, left: u32): u32 {
  switch (cp.flags & VS_CONN_F_FWD_MASK) {
    case VS_CONN_F_MASQ:
      return natXmit(vs, ns, skb, cp, th, left);
    case VS_CONN_F_DROUTE:
      return drXmit(vs, ns, skb, cp, false);
    case VS_CONN_F_TUNNEL:
      return tunnelXmit(vs, ns, skb, cp, false);
    default:
      return sendOrContinue(ns, skb, cp, true); // VS_CONN_F_LOCALNODE
  }
}

/** ip_vs_icmp_xmit: an ICMP error (at `icmp`, `left` bytes) about a packet that the server sent. */
export function transmitIcmp(vs: IpvsNs, ns: NetNs, skb: Skb, cp: Conn, icmp: usize, left: u32, hook: u32): u32 {
  const method = cp.flags & VS_CONN_F_FWD_MASK;
  if (method != <u32>VS_CONN_F_MASQ) {
    cp.inPackets++;
    if (method == <u32>VS_CONN_F_DROUTE) return drXmit(vs, ns, skb, cp, true);
    if (method == <u32>VS_CONN_F_TUNNEL) return tunnelXmit(vs, ns, skb, cp, true);
    return sendOrContinue(ns, skb, cp, true);
  }
  const input = skb.dev != 0 && skb.dev != skb.rtDev;
  const mode = hook == <u32>NF_FORWARD ? MODE_NON_LOCAL : MODE_LOCAL | MODE_NON_LOCAL | MODE_RDR;
  const way = routeOut(vs, ns, skb, cp.daddr, mode, true);
  if (way == GONE) return NF_STOLEN;
  if (way == LOCAL && input && isLoopbackIp(cp.daddr)) return gone(skb, DROP_IPVS);
  natIcmp(skb, cp, icmp, left, false);
  return natSendOrContinue(ns, skb, cp, way == LOCAL);
}

/** A router says that the tunnel to a server takes no more than `mtu`: what the client may send through it. */
export function tunnelMtu(ns: NetNs, daddr: u32, mtu: u32): u32 {
  pmtuUpdate(ns, daddr, mtu);
  const path = routeLookup(ns, daddr, 0, 0) == 0 ? RtResult.rtMtu : mtu;
  return path > MIN_MTU + IP_HLEN ? path - IP_HLEN : path;
}
