/** ICMP input (net/ipv4/icmp.c icmp_rcv and its handlers): echo, errors for sockets, path MTU, redirects. */
import {
  CONF_ACCEPT_REDIRECTS,
  CONF_FORWARDING,
  CONF_SHARED_MEDIA,
  DROP_ICMP_CSUM,
  DROP_INVALID_ICMP,
  IPPROTO_ESP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  SYS_ICMP_ECHO_IGNORE_ALL,
  SYS_ICMP_ECHO_IGNORE_BROADCASTS,
  SYS_IP_NO_PMTU_DISC, DELIVER_ICMP,
} from "../abi";
import { markDeliver, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SKB_CSUM_OK, Skb, consumeSkb, dropSkb } from "../memory/skb";
import { clock } from "../sim/event";
import { pingRcv, rawErr } from "../socket/raw";
import { sctpErr } from "../socket/sctp";
import { tcpErr } from "../socket/tcp";
import { udpErr } from "../socket/udp";
import { checksum } from "../wire/checksum";
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_EXC_FRAGTIME,
  ICMP_FRAG_NEEDED,
  ICMP_HLEN,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
  ICMP_TIME_EXCEEDED,
  NR_ICMP_TYPES,
  NR_ICMP_UNREACH,
  icmpCode,
  icmpRest,
  icmpType,
} from "../wire/icmp";
import { IP_HLEN, ipDst, ipHlen, ipProtocol, ipSrc } from "../wire/ipv4";
import { espErrorKnown } from "../xfrm/esp";
import { onLink } from "./arp";
import { fibAddrType } from "./fib";
import { icmpReply } from "./icmp";
import { countIn } from "./icmp-count";
import { confAll, confDev, confMax, sysctl } from "./inet";
import { pmtuUpdate, redirectUpdate } from "./pmtu";
import { SNMP_ICMP_IN_CSUM_ERRORS, SNMP_ICMP_IN_ERRORS, snmpInc } from "./snmp";

/** icmp_rcv: skb.data at the ICMP header. Ends the skb. */
export function icmpRcv(skb: Skb): void {
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  if (!(skb.flags & SKB_CSUM_OK) && checksum(skb.data, skb.len) != 0) {
    snmpInc(ns, SNMP_ICMP_IN_CSUM_ERRORS);
    snmpInc(ns, SNMP_ICMP_IN_ERRORS);
    dropSkb(skb, DROP_ICMP_CSUM);
    return;
  }
  if (skb.len < ICMP_HLEN || icmpType(skb.data) > NR_ICMP_TYPES || !acceptWide(ns, skb)) {
    snmpInc(ns, SNMP_ICMP_IN_ERRORS);
    dropSkb(skb, DROP_INVALID_ICMP);
    return;
  }
  const type = icmpType(skb.data);
  countIn(ns, type);
  if (marking) markDeliver(skb, DELIVER_ICMP, type, icmpCode(skb.data));
  let ok = true;
  if (type == ICMP_ECHO) {
    if (!sysctl(ns, SYS_ICMP_ECHO_IGNORE_ALL)) icmpReply(ns, skb, ICMP_ECHOREPLY);
  } else if (type == ICMP_ECHOREPLY) pingRcv(ns, skb);
  else if (
    type == ICMP_DEST_UNREACH ||
    type == ICMP_TIME_EXCEEDED ||
    type == ICMP_PARAMETERPROB ||
    type == ICMP_SOURCE_QUENCH
  )
    ok = error(ns, skb, type);
  else if (type == ICMP_REDIRECT) ok = redirect(ns, skb);
  else if (type == ICMP_TIMESTAMP) ok = timestamp(ns, skb);
  if (ok) consumeSkb(skb);
  else {
    snmpInc(ns, SNMP_ICMP_IN_ERRORS);
    dropSkb(skb, DROP_INVALID_ICMP);
  }
}

/** Of what is sent to everybody only requests are heard, and echo requests only if asked to (RFC 1122 3.2.2.6, 3.2.2.8). */
function acceptWide(ns: NetNs, skb: Skb): bool {
  if (skb.rtType != RTN_BROADCAST && skb.rtType != RTN_MULTICAST) return true;
  const type = icmpType(skb.data);
  if (type != ICMP_ECHO && type != ICMP_TIMESTAMP) return false;
  return !sysctl(ns, SYS_ICMP_ECHO_IGNORE_BROADCASTS);
}

/** icmp_unreach: an error about a packet that this host sent. */
function error(ns: NetNs, skb: Skb, type: u32): bool {
  if (skb.len < ICMP_HLEN + IP_HLEN) return false;
  const code = icmpCode(skb.data);
  const inner = skb.data + ICMP_HLEN;
  const header = ipHlen(inner);
  if (header < IP_HLEN) return false;
  let info: u32 = 0;
  if (type == ICMP_DEST_UNREACH) {
    if (code > NR_ICMP_UNREACH) return true;
    if (code == ICMP_FRAG_NEEDED) {
      if (sysctl(ns, SYS_IP_NO_PMTU_DISC) != 0) return true;
      info = icmpRest(skb.data) & 0xffff;
    }
  } else if (type == ICMP_PARAMETERPROB) info = icmpRest(skb.data) >> 24;
  else if (type == ICMP_TIME_EXCEEDED && code == ICMP_EXC_FRAGTIME) return true;
  // Nothing about packets to broadcast addresses.
  if (fibAddrType(ns, ipDst(inner)) == RTN_BROADCAST) return true;
  if (skb.len < ICMP_HLEN + header + 8) return true;
  const believed = ipProtocol(inner) != IPPROTO_ESP || espErrorKnown(ns, skb.mark, inner, header);
  if (believed && type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED) pmtuUpdate(ns, ipDst(inner), info);
  toProtocol(ns, skb, inner, header, type, code, info);
  return true;
}

/** icmp_socket_deliver: raw sockets, then the transport whose packet is quoted. */
function toProtocol(ns: NetNs, skb: Skb, inner: usize, header: u32, type: u32, code: u32, info: u32): void {
  const protocol = ipProtocol(inner);
  const length = <u32>(skb.data + skb.len - inner) - header;
  rawErr(ns, skb, inner, inner + header, length, type, code, info);
  if (protocol == IPPROTO_UDP) udpErr(skb, inner, inner + header, length, type, code, info);
  else if (protocol == IPPROTO_TCP) tcpErr(skb, inner, inner + header, length, type, code, info);
  else if (protocol == IPPROTO_SCTP) sctpErr(skb, inner, inner + header, length, type, code);
}

/** icmp_redirect, __ip_do_redirect: a host (not a router) takes the better gateway if it is on the link. */
function redirect(ns: NetNs, skb: Skb): bool {
  if (skb.len < ICMP_HLEN + IP_HLEN) return false;
  const dev = changetype<NetDev>(skb.dev);
  const inner = skb.data + ICMP_HLEN;
  const gateway = icmpRest(skb.data);
  const dst = ipDst(inner);
  const own = confDev(dev, CONF_ACCEPT_REDIRECTS);
  const all = confAll(ns, CONF_ACCEPT_REDIRECTS);
  const accept = confDev(dev, CONF_FORWARDING) ? own & all : own | all;
  if (!accept) return true;
  if (fibAddrType(ns, gateway) != RTN_UNICAST) return true;
  if (!confMax(dev, CONF_SHARED_MEDIA) && !onLink(dev, gateway, ipSrc(skb.nh))) return true;
  if (!onLink(dev, gateway, 0)) return true;
  if (fibAddrType(ns, ipSrc(inner)) == RTN_LOCAL) redirectUpdate(ns, dst, gateway, dev);
  return true;
}

/** icmp_timestamp: the reply carries the times of receive and transmit, ms since midnight UT. */
function timestamp(ns: NetNs, skb: Skb): bool {
  if (skb.len < ICMP_HLEN + 12) return false;
  const ms = bswap<u32>(<u32>((clock() / 1_000_000) % 86_400_000));
  store<u32>(skb.data, ms, 12);
  store<u32>(skb.data, ms, 16);
  skb.len = ICMP_HLEN + 12;
  icmpReply(ns, skb, ICMP_TIMESTAMPREPLY);
  return true;
}
