/**
 * ICMP errors about packets that IPVS changed (net/netfilter/ipvs/ip_vs_core.c ip_vs_in_icmp, ip_vs_out_icmp): addresses and
 * ports are changed outside and in the packet that is quoted.
 */
import {
  DROP_INVALID_ICMP, DROP_IPVS, DROP_IP_OUTNOROUTES, IPPROTO_IPIP, NF_ACCEPT, NF_DROP, NF_STOLEN, RTN_LOCAL, VS_CONN_F_FWD_MASK, VS_CONN_F_MASQ, VS_CONN_F_TUNNEL,
} from "../abi";
import { icmpSend } from "../inet/icmp";
import { NetNs } from "../link/netns";
import { SKB_CSUM_OK, SKB_IPVS, Skb, consumeSkb, dropSkb, skbPull } from "../memory/skb";
import { checksum } from "../wire/checksum";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_HLEN, ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED, icmpCode, icmpRest, icmpType } from "../wire/icmp";
import { IP_DF, IP_HLEN, ipDst, ipFrag, ipHlen, ipLaterFragment, ipProtocol, ipSrc } from "../wire/ipv4";
import { connInGet, connOutGet } from "./conn";
import { countIn, countOut, portAt, rerouteReply, vsProtocol } from "./core";
import { natIcmp, settleConntrack } from "./nat";
import { Conn, Dest, IpvsNs, Service } from "./records";
import { transmitIcmp, tunnelMtu } from "./xmit";

/** An error that concerns a connection, whole enough to say which: its quoted packet with ports. */
function quotedAt(skb: Skb): usize {
  const ip = skb.nh;
  const ihl = ipHlen(ip);
  const len = <u32>(skb.data + skb.len - ip);
  if (len < ihl + ICMP_HLEN + IP_HLEN) return 0;
  const type = icmpType(ip + ihl);
  if (type != ICMP_DEST_UNREACH && type != ICMP_SOURCE_QUENCH && type != ICMP_TIME_EXCEEDED) return 0;
  return ip + ihl + ICMP_HLEN;
}

/** True when a packet of `left` bytes at `ip` (inside an error) has ports of a protocol that IPVS knows. */
function hasPorts(ip: usize, left: u32): bool {
  if (left < IP_HLEN || load<u8>(ip) >> 4 != 4) return false;
  const ihl = ipHlen(ip);
  return ihl >= IP_HLEN && left >= ihl + 4 && !ipLaterFragment(ip) && vsProtocol(ipProtocol(ip));
}

@inline
function leftAt(skb: Skb, at: usize): u32 {
  return <u32>(skb.data + skb.len - at);
}

function checksumOk(skb: Skb, icmp: usize): bool {
  return (skb.flags & SKB_CSUM_OK) != 0 || checksum(icmp, leftAt(skb, icmp)) == 0;
}

/** ip_vs_find_tunnel: some service has this destination behind a tunnel. */
function isTunnelEnd(vs: IpvsNs, addr: u32): bool {
  for (let s = vs.first; s != 0; s = changetype<Service>(s).listNext) {
    for (let p = changetype<Service>(s).first; p != 0; p = changetype<Dest>(p).next) {
      const dest = changetype<Dest>(p);
      if (dest.addr == addr && (dest.connFlags & VS_CONN_F_FWD_MASK) == <u32>VS_CONN_F_TUNNEL) return true;
    }
  }
  return false;
}

/** ip_vs_in_icmp: an error about what a server sent to a client, or about a tunnel's packet. NF_ACCEPT: none of IPVS's business. */
export function vsInIcmp(vs: IpvsNs, ns: NetNs, skb: Skb, hook: u32): u32 {
  if (skb.flags & SKB_IPVS) return NF_ACCEPT;
  const quoted = quotedAt(skb);
  if (quoted == 0) return NF_ACCEPT;
  const left = leftAt(skb, quoted);
  if (ipProtocol(quoted) == IPPROTO_IPIP) return tunnelError(vs, ns, skb, quoted, left);
  if (!hasPorts(quoted, left)) return NF_ACCEPT;
  const ports = quoted + ipHlen(quoted);
  const found = connInGet(vs, ipProtocol(quoted), ipDst(quoted), portAt(ports + 2), ipSrc(quoted), portAt(ports));
  if (found == 0) return NF_ACCEPT;
  const icmp = quoted - ICMP_HLEN;
  if (!checksumOk(skb, icmp)) {
    dropSkb(skb, DROP_INVALID_ICMP);
    return NF_DROP;
  }
  const cp = changetype<Conn>(found);
  countIn(vs, cp, skb.len);
  return transmitIcmp(vs, ns, skb, cp, icmp, leftAt(skb, icmp), hook);
}

/** An error about an IPIP packet that IPVS made: the client is told. */
function tunnelError(vs: IpvsNs, ns: NetNs, skb: Skb, outer: usize, left: u32): u32 {
  if (left < IP_HLEN || ipHlen(outer) < IP_HLEN || left < ipHlen(outer) || ipLaterFragment(outer) || skb.rtType != <u32>RTN_LOCAL || !isTunnelEnd(vs, ipDst(outer))) return NF_ACCEPT;
  const inner = outer + ipHlen(outer);
  if (!hasPorts(inner, left - ipHlen(outer))) return NF_ACCEPT;
  const ports = inner + ipHlen(inner);
  if (connInGet(vs, ipProtocol(inner), ipSrc(inner), portAt(ports), ipDst(inner), portAt(ports + 2)) == 0) return NF_ACCEPT;
  const icmp = outer - ICMP_HLEN;
  if (!checksumOk(skb, icmp)) {
    dropSkb(skb, DROP_INVALID_ICMP);
    return NF_DROP;
  }
  const type = icmpType(icmp);
  const code = icmpCode(icmp);
  let info = icmpRest(icmp);
  let tell = true;
  if (type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED) {
    info = tunnelMtu(ns, ipDst(outer), info & 0xffff);
    // The client doesn't look for the path's MTU.
    tell = (ipFrag(outer) & IP_DF) != 0;
  }
  // What remains is the client's packet, as far as the router quoted it.
  skbPull(skb, <u32>(inner - skb.data));
  skb.nh = inner;
  if (tell) icmpSend(skb, type, code, info);
  consumeSkb(skb);
  return NF_STOLEN;
}

/** ip_vs_out_icmp: an error about what a client sent, on its way back to the client. */
export function vsOutIcmp(vs: IpvsNs, ns: NetNs, skb: Skb, hook: u32): u32 {
  const quoted = quotedAt(skb);
  if (quoted == 0 || !hasPorts(quoted, leftAt(skb, quoted))) return NF_ACCEPT;
  const ports = quoted + ipHlen(quoted);
  const found = connOutGet(vs, ipProtocol(quoted), ipDst(quoted), portAt(ports + 2), ipSrc(quoted), portAt(ports));
  if (found == 0) return NF_ACCEPT;
  const cp = changetype<Conn>(found);
  if ((cp.flags & VS_CONN_F_FWD_MASK) != <u32>VS_CONN_F_MASQ) return NF_ACCEPT;
  const icmp = quoted - ICMP_HLEN;
  if (!checksumOk(skb, icmp)) {
    dropSkb(skb, DROP_IPVS);
    return NF_DROP;
  }
  natIcmp(skb, cp, icmp, leftAt(skb, icmp), true);
  if (!rerouteReply(vs, ns, skb, hook)) {
    dropSkb(skb, DROP_IP_OUTNOROUTES);
    return NF_DROP;
  }
  countOut(vs, cp, skb.len);
  skb.flags |= SKB_IPVS;
  settleConntrack(skb, cp, false);
  return NF_ACCEPT;
}
