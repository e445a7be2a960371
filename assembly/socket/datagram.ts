/**
 * What UDP, ping and raw sockets share when they send (net/ipv4/ip_output.c ip_append_data, ip_make_skb):
 * the route, the size limits of the path MTU mode, DF and the IP id.
 */
import { EACCES, EAGAIN, EMSGSIZE, IPPROTO_UDP, RTN_BROADCAST } from "../abi";
import { ipSelectIdent } from "../inet/ipid";
import { defaultTtl, dontFragment, hashFromSock, ipLocalOut } from "../inet/output";
import { RtResult, routeLookup, sockRoute } from "../inet/route";
import { SNMP_IP_OUT_NO_ROUTES, snmpInc } from "../inet/snmp";
import { NetNs, nsHost } from "../link/netns";
import { SKB_CSUM_OK, SKB_HEADROOM, SKB_IGNORE_DF, Skb, allocSkb, skbPush } from "../memory/skb";
import { now } from "../sim/event";
import { xfrmMtu } from "../xfrm/output";
import { XFRM_FLAG_OUT } from "../xfrm/records";
import { INADDR_LOOPBACK, IP_HLEN, IP_MAX_LEN, emitIp, ipSetId } from "../wire/ipv4";
import { PMTUDISC_DO, SOCK_BROADCAST, Sock, chargeSkb } from "./socket";

/** The route of the datagram that is being sent, set by datagramRoute. */
export class Dgram {
  static src: u32 = 0;
  static dst: u32 = 0;
  static dev: usize = 0;
  static nextHop: u32 = 0;
  static type: u32 = 0;
  static mtu: u32 = 0;
  static locked: bool = false;
  /** The flow's ports where the socket doesn't say them: the destination of an unconnected one, type and code of ICMP. */
  static sport: u32 = 0;
  static dport: u32 = 0;
}

/**
 * Checks that a datagram of `length` bytes behind the IP header may be sent to `dst`, and routes it. `connected`: to
 * the socket's own peer, over its cached route. 0 or -errno; a pending ICMP error of the socket is returned first.
 */
export function datagramRoute(sk: Sock, dst: u32, connected: bool, length: u32): i32 {
  const ns = changetype<NetNs>(sk.ns);
  if (sk.err != 0) {
    const error = <i32>sk.err;
    sk.err = 0;
    return -error;
  }
  if (sk.txBytes >= sk.txMax) return -EAGAIN;
  const error = connected ? sockRoute(sk) : routeLookup(ns, dst, sk.localIp, 0);
  if (error != 0) {
    snmpInc(ns, SNMP_IP_OUT_NO_ROUTES);
    return error;
  }
  if (connected) {
    Dgram.src = sk.localIp;
    Dgram.dev = sk.dstDev;
    Dgram.nextHop = sk.dstNextHop;
    Dgram.type = sk.dstType;
    Dgram.mtu = sk.dstMtu;
    Dgram.locked = sk.dstLocked != 0;
  } else {
    Dgram.src = RtResult.rtSrc;
    Dgram.dev = RtResult.rtDev;
    Dgram.nextHop = RtResult.rtNextHop;
    Dgram.type = RtResult.rtType;
    Dgram.mtu = RtResult.rtMtu;
    Dgram.locked = RtResult.rtLocked;
  }
  if (!connected && ns.xfrmFlags & XFRM_FLAG_OUT) {
    const sport = sk.protocol == IPPROTO_UDP ? sk.localPort : Dgram.sport;
    Dgram.mtu = xfrmMtu(ns, Dgram.dev, Dgram.src, dst, sk.protocol, sport, Dgram.dport, sk.mark, Dgram.mtu);
  }
  // 0.0.0.0 means this host.
  Dgram.dst = dst != 0 ? dst : sk.localIp != 0 ? sk.localIp : INADDR_LOOPBACK;
  if (Dgram.type == RTN_BROADCAST && !(sk.flags & SOCK_BROADCAST)) return -EACCES;
  const limit = sk.pmtuDisc >= PMTUDISC_DO ? Dgram.mtu : IP_MAX_LEN;
  return length + IP_HLEN > limit ? -EMSGSIZE : 0;
}

/** A buffer for `length` bytes behind the IP header, which datagramSend prepends. */
@inline
export function datagramAlloc(sk: Sock, length: u32): Skb {
  return allocSkb(nsHost(changetype<NetNs>(sk.ns)), SKB_HEADROOM, length);
}

/** Prepends the IP header over the route of datagramRoute; total length, checksum and options follow in ipLocalOut. */
export function datagramHeader(sk: Sock, skb: Skb, protocol: u32, connected: bool): usize {
  const ns = changetype<NetNs>(sk.ns);
  const ip = skbPush(skb, IP_HLEN);
  skb.nh = ip;
  const ignoreDf = sk.pmtuDisc < PMTUDISC_DO;
  const df = sk.pmtuDisc >= PMTUDISC_DO || (skb.len <= Dgram.mtu && dontFragment(sk.pmtuDisc, Dgram.locked));
  emitIp(ip, sk.tos, df, sk.ttl != 0 ? sk.ttl : defaultTtl(ns), protocol, Dgram.src, Dgram.dst);
  // ip_select_ident: a socket with a peer counts; else DF alone makes an id needless; else the hashed generator.
  if (sk.remoteIp != 0) ipSetId(ip, sk.ipid++);
  else if (!df || ignoreDf) ipSetId(ip, <u32>ipSelectIdent(nsHost(ns), Dgram.src, Dgram.dst, protocol, 1));
  skb.rtDev = Dgram.dev;
  skb.rtNextHop = Dgram.nextHop;
  skb.rtType = Dgram.type;
  skb.rtMtu = Dgram.mtu;
  skb.flags |= ignoreDf ? SKB_CSUM_OK | SKB_IGNORE_DF : SKB_CSUM_OK;
  skb.mark = sk.mark;
  skb.time = now;
  if (connected) hashFromSock(skb, sk);
  chargeSkb(sk, skb);
  return ip;
}

/** Sends what datagramHeader finished: 0 or -errno (-EPERM: netfilter). */
@inline
export function datagramSend(sk: Sock, skb: Skb): i32 {
  return ipLocalOut(changetype<NetNs>(sk.ns), skb);
}
