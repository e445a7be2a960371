/** IPv4 input (net/ipv4/ip_input.c): header checks, routing, delivery to transports. */
import {
  CONF_FORWARDING, DEV_LOOPBACK, DROP_IP_CSUM, DROP_IP_INADDRERRORS, DROP_IP_INHDR, DROP_IP_INNOROUTES, DROP_IP_NOPROTO, DROP_IP_RPFILTER,
  DROP_OTHERHOST, DROP_PKT_TOO_SMALL, EACCES, EHOSTUNREACH, ENETUNREACH, IPPROTO_ESP, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, NF_ACCEPT, NF_LOCAL_IN,
  NF_PRE_ROUTING, RTN_UNICAST, RTN_UNREACHABLE, XFRM_POLICY_IN, MARK_ROUTE,
} from "../abi";
import { mark, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import {
  PACKET_OTHERHOST,
  SKB_FRAG_REASM,
  SKB_IGNORE_DF,
  SKB_SECPATH,
  SKB_XFRM_DONE,
  Skb,
  consumeSkb,
  dropRoute,
  dropSkb,
  orphanSkb,
  skbPull,
} from "../memory/skb";
import { nfLocalIn, nfPreRouting } from "../netfilter/netfilter";
import { rawDeliver } from "../socket/raw";
import { sctpRcv } from "../socket/sctp";
import { tcpRcv } from "../socket/tcp";
import { udpRcv } from "../socket/udp";
import {
  ICMP_DEST_UNREACH,
  ICMP_HOST_UNREACH,
  ICMP_NET_UNREACH,
  ICMP_PKT_FILTERED,
  ICMP_PROT_UNREACH,
} from "../wire/icmp";
import { IP_HLEN, ipCheckOk, ipDst, ipHlen, ipIsFragment, ipProtocol, ipSrc, ipTotalLength } from "../wire/ipv4";
import { espRcv, xfrmPolicyCheck } from "../xfrm/input";
import { XFRM_FLAG_IN } from "../xfrm/records";
import { FRAG_LOCAL_DELIVER, ipDefrag } from "./defrag";
import { ipForward } from "./forward";
import { icmpRcv } from "./icmp-rcv";
import { icmpSend } from "./icmp";
import { confDev, inetOf } from "./inet";
import { peerErrorAllow } from "./peer";
import { EXDEV, InRoute, routeInput } from "./route-input";
import {
  SNMP_IPEXT_IN_CSUM_ERRORS,
  SNMP_IPEXT_IN_NO_ROUTES,
  SNMP_IPEXT_IN_TRUNCATED_PKTS,
  SNMP_IP_IN_ADDR_ERRORS,
  SNMP_IP_IN_DELIVERS,
  SNMP_IP_IN_HDR_ERRORS,
  SNMP_IP_IN_RECEIVES,
  SNMP_IP_IN_UNKNOWN_PROTOS,
  SNMP_TCPEXT_IP_REVERSE_PATH_FILTER,
  SNMP_UDP_IN_ERRORS,
  snmpInc,
  snmpReady,
} from "./snmp";

/** ip_rcv: skb.data at the IP header, skb.dev the device it came by. */
export function ipRcv(skb: Skb): void {
  const dev = changetype<NetDev>(skb.dev);
  const ns = changetype<NetNs>(dev.ns);
  if (skb.pktType == PACKET_OTHERHOST) {
    dropSkb(skb, DROP_OTHERHOST);
    return;
  }
  snmpReady(ns);
  snmpInc(ns, SNMP_IP_IN_RECEIVES);
  const ip = skb.data;
  if (skb.len < IP_HLEN) {
    refuse(ns, skb, DROP_IP_INHDR);
    return;
  }
  const header = ipHlen(ip);
  const total = ipTotalLength(ip);
  if (load<u8>(ip) >> 4 != 4 || header < IP_HLEN || header > skb.len) {
    refuse(ns, skb, DROP_IP_INHDR);
    return;
  }
  if (!ipCheckOk(ip, header)) {
    snmpInc(ns, SNMP_IPEXT_IN_CSUM_ERRORS);
    refuse(ns, skb, DROP_IP_CSUM);
    return;
  }
  if (skb.len < total) {
    snmpInc(ns, SNMP_IPEXT_IN_TRUNCATED_PKTS);
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return;
  }
  if (total < header || (header > IP_HLEN && sourceRouted(ip, header))) {
    refuse(ns, skb, DROP_IP_INHDR);
    return;
  }
  skb.len = total; // padding off
  skb.nh = ip;
  skb.th = ip + header;
  skb.fragMax = 0;
  skb.flags &= ~(SKB_IGNORE_DF | SKB_FRAG_REASM | SKB_XFRM_DONE);
  if (skb.sk != 0) orphanSkb(skb);
  // Only the loopback brings a packet with its route (skb_dst kept by loopback_xmit).
  if (dev.kind != DEV_LOOPBACK) dropRoute(skb);
  if (ns.nfHooks & (1 << NF_PRE_ROUTING)) {
    const dst = ipDst(ip);
    if (nfPreRouting(ns, skb, skb.dev) != NF_ACCEPT) return;
    // A packet changed by DNAT is routed anew; a reassembled one has a header of its own.
    if (ipDst(skb.nh) != dst) dropRoute(skb);
  }
  ipRcvFinish(ns, skb);
}

function refuse(ns: NetNs, skb: Skb, reason: u32): void {
  snmpInc(ns, SNMP_IP_IN_HDR_ERRORS);
  dropSkb(skb, reason);
}

/** Options that ask for source routing (accept_source_route is 0), or that are malformed (ip_options_compile). */
function sourceRouted(ip: usize, header: u32): bool {
  let at: u32 = IP_HLEN;
  while (at < header) {
    const kind = <u32>load<u8>(ip + at);
    if (kind == 0) return false;
    if (kind == 1) {
      at++;
      continue;
    }
    if (at + 1 >= header) return true;
    const length = <u32>load<u8>(ip + at, 1);
    if (length < 2 || at + length > header || kind == 131 || kind == 137) return true;
    at += length;
  }
  return false;
}

/** ip_rcv_finish: routes what passed PRE_ROUTING, and delivers or forwards it. */
export function ipRcvFinish(ns: NetNs, skb: Skb): void {
  if (skb.rtType == 0) {
    const ip = skb.nh;
    const dev = changetype<NetDev>(skb.dev);
    const error = routeInput(ns, dev, ipDst(ip), ipSrc(ip), (skb.flags & SKB_SECPATH) != 0);
    if (error != 0) {
      if (error == -EXDEV) {
        snmpInc(ns, SNMP_TCPEXT_IP_REVERSE_PATH_FILTER);
        dropSkb(skb, DROP_IP_RPFILTER);
      } else dropSkb(skb, DROP_IP_INADDRERRORS);
      return;
    }
    skb.rtType = InRoute.type;
    skb.rtDev = InRoute.outDev;
    skb.rtNextHop = InRoute.nextHop;
    if (marking) mark(MARK_ROUTE, changetype<usize>(ns), skb.rtDev != 0 ? skb.rtDev : skb.dev, skb, skb.rtNextHop, skb.rtType);
  } else if (skb.rtType == RTN_UNICAST) {
    // The loopback brought it back with its output route, and that has no input (dst_discard).
    dropSkb(skb, DROP_IP_INNOROUTES);
    return;
  }
  if (skb.rtType == RTN_UNICAST) ipForward(ns, skb, InRoute.redirect);
  else if (skb.rtType == RTN_UNREACHABLE) ipError(ns, skb, InRoute.error);
  else ipLocalDeliver(skb);
}

/** ip_error: no route in. A router says so, at a limited rate; a host is silent. */
function ipError(ns: NetNs, skb: Skb, error: i32): void {
  if (!confDev(changetype<NetDev>(skb.dev), CONF_FORWARDING)) {
    snmpInc(ns, error == -EHOSTUNREACH ? SNMP_IP_IN_ADDR_ERRORS : SNMP_IPEXT_IN_NO_ROUTES);
    dropSkb(skb, DROP_IP_INNOROUTES);
    return;
  }
  let code: u32 = ICMP_HOST_UNREACH;
  if (error == -ENETUNREACH) {
    code = ICMP_NET_UNREACH;
    snmpInc(ns, SNMP_IPEXT_IN_NO_ROUTES);
  } else if (error == -EACCES) code = ICMP_PKT_FILTERED;
  else if (error != -EHOSTUNREACH) {
    dropSkb(skb, DROP_IP_INNOROUTES);
    return;
  }
  if (peerErrorAllow(ns, ipSrc(skb.nh))) icmpSend(skb, ICMP_DEST_UNREACH, code, 0);
  dropSkb(skb, DROP_IP_INNOROUTES);
}

/** ip_local_deliver: reassembly, LOCAL_IN, transports. */
export function ipLocalDeliver(packet: Skb): void {
  let skb = packet;
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  if (ipIsFragment(skb.nh)) {
    const whole = ipDefrag(skb, FRAG_LOCAL_DELIVER);
    if (whole == 0) return;
    skb = changetype<Skb>(whole);
  }
  if (ns.nfHooks & (1 << NF_LOCAL_IN)) {
    if (nfLocalIn(ns, skb, skb.dev) != NF_ACCEPT) return;
  }
  ipLocalDeliverFinish(ns, skb);
}

/** ip_local_deliver_finish, ip_protocol_deliver_rcu: skb.data moves to the transport header. */
function ipLocalDeliverFinish(ns: NetNs, skb: Skb): void {
  const ip = skb.nh;
  const protocol = ipProtocol(ip);
  skb.th = ip + ipHlen(ip);
  const raw = inetOf(ns).raw != 0 && rawDeliver(ns, skb, protocol);
  skbPull(skb, <u32>(skb.th - skb.data));
  // Those that ask themselves in Linux ask at the same place: with their socket's policies, which there are none of.
  if (ns.xfrmFlags & XFRM_FLAG_IN && protocol != IPPROTO_ESP) {
    const reason = xfrmPolicyCheck(ns, skb, XFRM_POLICY_IN);
    if (reason != 0) {
      if (protocol == IPPROTO_UDP) snmpInc(ns, SNMP_UDP_IN_ERRORS);
      dropSkb(skb, reason);
      return;
    }
  }
  if (protocol == IPPROTO_UDP) {
    snmpInc(ns, SNMP_IP_IN_DELIVERS);
    udpRcv(skb);
  } else if (protocol == IPPROTO_TCP) {
    snmpInc(ns, SNMP_IP_IN_DELIVERS);
    tcpRcv(skb);
  } else if (protocol == IPPROTO_ICMP) {
    snmpInc(ns, SNMP_IP_IN_DELIVERS);
    icmpRcv(skb);
  } else if (protocol == IPPROTO_ESP && nsHost(ns).esp4 != 0) {
    snmpInc(ns, SNMP_IP_IN_DELIVERS);
    espRcv(ns, skb);
  } else if (protocol == IPPROTO_SCTP && nsHost(ns).sctp != 0) {
    snmpInc(ns, SNMP_IP_IN_DELIVERS);
    sctpRcv(skb);
  } else if (raw) {
    snmpInc(ns, SNMP_IP_IN_DELIVERS);
    consumeSkb(skb);
  } else {
    snmpInc(ns, SNMP_IP_IN_UNKNOWN_PROTOS);
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
    dropSkb(skb, DROP_IP_NOPROTO);
  }
}
