/**
 * What IPVS does with packets (net/netfilter/ipvs/ip_vs_core.c): requests of clients are looked up or given a destination,
 * and sent there; replies of servers get the virtual address back. Hook functions answer NF_ACCEPT, or NF_DROP and NF_STOLEN
 * when the packet is gone.
 */
import {
  DEV_LOOPBACK, DROP_IPVS, DROP_IP_OUTNOROUTES, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPS_CONFIRMED, NF_ACCEPT, NF_DROP, NF_FORWARD, NF_LOCAL_IN, NF_LOCAL_OUT,
  NF_STOLEN, RTN_LOCAL, VSCTL_BACKUP_ONLY, VSCTL_CONN_REUSE_MODE, VSCTL_EXPIRE_NODEST_CONN, VSCTL_IGNORE_TUNNELED, VSCTL_NAT_ICMP_SEND, VSCTL_SNAT_REROUTE,
  VS_CONN_F_NFCT, VS_CONN_F_NOOUTPUT, IPVS_MARK_NEW, IPVS_MARK_REPLY, MARK_IPVS, VS_CONN_F_FWD_MASK,
} from "../abi";
import { FRAG_VS_FWD, ipDefrag } from "../inet/defrag";
import { icmpSend } from "../inet/icmp";
import { dstOutput, routeMeHarder } from "../inet/output";
import { SNMP_IP_FORW_DATAGRAMS, snmpInc } from "../inet/snmp";
import { mark, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { PACKET_HOST, SKB_IPVS, Skb, dropSkb } from "../memory/skb";
import { Ct } from "../netfilter/conntrack";
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH } from "../wire/icmp";
import { ipDst, ipHlen, ipIsFragment, ipProtocol, ipSendCheck, ipSrc } from "../wire/ipv4";
import { TCPHDR_RST, TCPHDR_SYN, tcpFlags } from "../wire/tcp";
import { connExpireNow, connInGet, connOutGet, connPut } from "./conn";
import { vsInIcmp, vsOutIcmp } from "./icmp";
import { natReply, settleConntrack } from "./nat";
import { Conn, DEST_AVAILABLE, Dest, DestStats, IpvsNs, Service, vsCtl } from "./records";
import { SCHEDULED_NONE, trySchedule } from "./schedule";
import { CHUNK_ABORT, CHUNK_INIT, DIR_INPUT, DIR_OUTPUT, S_SCTP_CLOSED, S_TCP_CLOSE, S_TCP_FIN_WAIT, S_TCP_TIME_WAIT, setState } from "./state";
import { transmit } from "./xmit";

/** Protocols that have a state machine here (ip_vs_proto_data_get). */
@inline
export function vsProtocol(protocol: u32): bool {
  return protocol == <u32>IPPROTO_TCP || protocol == <u32>IPPROTO_UDP || protocol == <u32>IPPROTO_SCTP;
}

/** The port that stands at an address of a packet. */
@inline
export function portAt(at: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at));
}

/** ip_vs_in_stats. */
export function countIn(vs: IpvsNs, cp: Conn, bytes: u32): void {
  const dest = changetype<Dest>(cp.dest);
  if (!(dest.flags & DEST_AVAILABLE)) return;
  const stats = changetype<DestStats>(dest.stats); // bindDest made them
  stats.packetsIn++;
  stats.bytesIn += bytes;
  const svc = changetype<Service>(dest.svc);
  svc.packetsIn++;
  svc.bytesIn += bytes;
  vs.packetsIn++;
  vs.bytesIn += bytes;
}

/** ip_vs_out_stats. */
export function countOut(vs: IpvsNs, cp: Conn, bytes: u32): void {
  const dest = changetype<Dest>(cp.dest);
  if (!(dest.flags & DEST_AVAILABLE)) return;
  const stats = changetype<DestStats>(dest.stats);
  stats.packetsOut++;
  stats.bytesOut += bytes;
  const svc = changetype<Service>(dest.svc);
  svc.packetsOut++;
  svc.bytesOut += bytes;
  vs.packetsOut++;
  vs.bytesOut += bytes;
}

/** ip_vs_conn_uses_old_conntrack: the packet belongs to a tracked connection that outlives this entry. */
@inline
function usesOldConntrack(cp: Conn, skb: Skb): bool {
  return (cp.flags & VS_CONN_F_NFCT) != 0 && skb.ct != 0 && (changetype<Ct>(skb.ct).status & IPS_CONFIRMED) != 0;
}

/** is_new_conn: a packet that asks for a connection. */
@inline
function asksAnew(protocol: u32, th: usize, left: u32): bool {
  if (protocol == <u32>IPPROTO_TCP) return left >= 20 && (tcpFlags(th) & TCPHDR_SYN) != 0;
  return protocol == <u32>IPPROTO_SCTP && left >= 16 && <u32>load<u8>(th, 12) == CHUNK_INIT;
}

/** is_new_conn_expected: the connection is over, its ports may be used again. */
function reuseExpected(cp: Conn, mode: u32): bool {
  if (cp.control != 0) return false;
  if (cp.protocol == <u32>IPPROTO_TCP) {
    if (cp.state == S_TCP_TIME_WAIT || cp.state == S_TCP_CLOSE) return true;
    return (mode & 2) != 0 && cp.state == S_TCP_FIN_WAIT && (cp.flags & VS_CONN_F_NOOUTPUT) != 0;
  }
  return cp.protocol == <u32>IPPROTO_SCTP && cp.state == S_SCTP_CLOSED;
}

// What the packet's old entry is good for.
const KEEP: u32 = 0;
const FORGET: u32 = 1;
const REFUSE: u32 = 2;

/** The entry goes; the packet may begin a new one unless a tracked connection still leads to the old server. */
function retire(cp: Conn, skb: Skb, expire: bool): u32 {
  const old = usesOldConntrack(cp, skb);
  if (!old) cp.flags &= ~VS_CONN_F_NFCT;
  if (expire) connExpireNow(cp);
  return old ? REFUSE : FORGET;
}

/** Is a connection that was found still to be followed? */
function review(vs: IpvsNs, cp: Conn, skb: Skb, th: usize, left: u32): u32 {
  const dest = changetype<Dest>(cp.dest);
  if (asksAnew(cp.protocol, th, left)) {
    const mode = vsCtl(vs, VSCTL_CONN_REUSE_MODE);
    if (vsCtl(vs, VSCTL_EXPIRE_NODEST_CONN) && dest.weight == 0) return retire(cp, skb, cp.controlled == 0);
    if (mode != 0 && reuseExpected(cp, mode) && (cp.controlled == 0 || !usesOldConntrack(cp, skb))) return retire(cp, skb, cp.controlled == 0);
  }
  if (dest.flags & DEST_AVAILABLE) return KEEP;
  if (!vsCtl(vs, VSCTL_EXPIRE_NODEST_CONN)) return REFUSE;
  return retire(cp, skb, true);
}

@inline
function refuse(skb: Skb): u32 {
  dropSkb(skb, DROP_IPVS);
  return NF_DROP;
}

function markConn(ns: NetNs, skb: Skb, cp: Conn, flags: u32): void {
  const own = cp.flags & VS_CONN_F_FWD_MASK;
  mark(MARK_IPVS, changetype<usize>(ns), skb.dev, skb, cp.protocol | (cp.fwmark << 8), cp.caddr, cp.cport, cp.vaddr, cp.vport, cp.daddr, cp.dport, own | flags);
}

/** ip_vs_in_hook: a packet of a client, to a virtual service or not. */
function vsIn(vs: IpvsNs, ns: NetNs, skb: Skb, hook: u32): u32 {
  if (skb.flags & SKB_IPVS) return NF_ACCEPT;
  if ((skb.pktType != PACKET_HOST && hook != <u32>NF_LOCAL_OUT) || skb.rtType == 0) return NF_ACCEPT;
  if (vsCtl(vs, VSCTL_BACKUP_ONLY)) return NF_ACCEPT;
  const ip = skb.nh;
  const protocol = ipProtocol(ip);
  if (protocol == <u32>IPPROTO_ICMP) return vsInIcmp(vs, ns, skb, hook);
  if (!vsProtocol(protocol)) {
    if (vsCtl(vs, VSCTL_IGNORE_TUNNELED)) skb.flags |= SKB_IPVS;
    return NF_ACCEPT;
  }
  const ihl = ipHlen(ip);
  const len = <u32>(skb.data + skb.len - ip);
  // Too short for ports: found nowhere, and tcp_conn_schedule and its like drop it.
  if (len < ihl + 4) return refuse(skb);
  const th = ip + ihl;
  const left = len - ihl;
  const found = connInGet(vs, protocol, ipSrc(ip), portAt(th), ipDst(ip), portAt(th + 2));
  let cp = changetype<Conn>(found);
  let known = found != 0;
  if (known) {
    const verdict = review(vs, cp, skb, th, left);
    if (verdict == REFUSE) return refuse(skb);
    known = verdict == KEEP;
  }
  if (!known) {
    const made = trySchedule(vs, ns, skb, hook, th, left);
    if (made <= SCHEDULED_NONE) return <u32>made;
    cp = changetype<Conn>(made);
  }
  countIn(vs, cp, skb.len);
  if (marking) markConn(ns, skb, cp, known ? 0 : IPVS_MARK_NEW);
  setState(vs, cp, DIR_INPUT, th, left);
  const verdict = transmit(vs, ns, skb, cp, th, left);
  cp.inPackets++;
  connPut(cp);
  return verdict;
}

/** ip_vs_route_me_harder: a reply of another machine takes the way that this machine's own packets take. */
export function rerouteReply(vs: IpvsNs, ns: NetNs, skb: Skb, hook: u32): bool {
  if (!vsCtl(vs, VSCTL_SNAT_REROUTE) || hook == <u32>NF_LOCAL_IN || skb.rtType == <u32>RTN_LOCAL) return true;
  return routeMeHarder(ns, skb) == 0;
}

/** handle_response. */
function reply(vs: IpvsNs, ns: NetNs, skb: Skb, hook: u32, cp: Conn, th: usize, left: u32): u32 {
  if (!natReply(skb, cp, th, left)) {
    connPut(cp);
    return refuse(skb);
  }
  store<u32>(skb.nh, bswap<u32>(cp.vaddr), 12);
  ipSendCheck(skb.nh);
  if (!rerouteReply(vs, ns, skb, hook)) {
    dropSkb(skb, DROP_IP_OUTNOROUTES);
    connPut(cp);
    return NF_DROP;
  }
  countOut(vs, cp, skb.len);
  if (marking) markConn(ns, skb, cp, IPVS_MARK_REPLY);
  setState(vs, cp, DIR_OUTPUT, th, left);
  skb.flags |= SKB_IPVS;
  settleConntrack(skb, cp, false);
  connPut(cp);
  return NF_ACCEPT;
}

/** ip_vs_has_real_service: some service's destination answers from here. */
function isRealServer(vs: IpvsNs, protocol: u32, addr: u32, port: u32): bool {
  for (let s = vs.first; s != 0; s = changetype<Service>(s).listNext) {
    const svc = changetype<Service>(s);
    if (svc.fwmark == 0 && svc.protocol != protocol) continue;
    for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
      const dest = changetype<Dest>(p);
      if (dest.addr == addr && dest.port == port && !(dest.connFlags & VS_CONN_F_NOOUTPUT)) return true;
    }
  }
  return false;
}

/** net.ipv4.vs.nat_icmp_send: a server's packet that no connection explains is answered. True: it was, and is gone. */
function complain(vs: IpvsNs, skb: Skb, protocol: u32, th: usize, left: u32): bool {
  if (!vsCtl(vs, VSCTL_NAT_ICMP_SEND) || !isRealServer(vs, protocol, ipSrc(skb.nh), portAt(th))) return false;
  if (protocol == <u32>IPPROTO_TCP && left >= 20 && tcpFlags(th) & TCPHDR_RST) return false;
  if (protocol == <u32>IPPROTO_SCTP && left >= 13 && <u32>load<u8>(th, 12) == CHUNK_ABORT) return false;
  icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  dropSkb(skb, DROP_IPVS);
  return true;
}

/** ip_vs_out_hook: a packet that may be a server's reply. It isn't a fragment. */
function vsOut(vs: IpvsNs, ns: NetNs, skb: Skb, hook: u32): u32 {
  if (skb.flags & SKB_IPVS || skb.rtType == 0) return NF_ACCEPT;
  const ip = skb.nh;
  const protocol = ipProtocol(ip);
  if (protocol == <u32>IPPROTO_ICMP) return vsOutIcmp(vs, ns, skb, hook);
  if (!vsProtocol(protocol)) return NF_ACCEPT;
  const ihl = ipHlen(ip);
  const len = <u32>(skb.data + skb.len - ip);
  if (len < ihl + 4) return NF_ACCEPT;
  const th = ip + ihl;
  const found = connOutGet(vs, protocol, ipSrc(ip), portAt(th), ipDst(ip), portAt(th + 2));
  if (found != 0) return reply(vs, ns, skb, hook, changetype<Conn>(found), th, len - ihl);
  return complain(vs, skb, protocol, th, len - ihl) ? NF_DROP : NF_ACCEPT;
}

/** Is it worth gathering the fragments of this packet? */
@inline
function concerns(skb: Skb): bool {
  const protocol = ipProtocol(skb.nh);
  return !(skb.flags & SKB_IPVS) && (protocol == <u32>IPPROTO_ICMP || vsProtocol(protocol));
}

function forwardWhole(vs: IpvsNs, ns: NetNs, skb: Skb): u32 {
  // ip_vs_forward_icmp, at a priority of its own.
  if (ipProtocol(skb.nh) == <u32>IPPROTO_ICMP && !vsCtl(vs, VSCTL_BACKUP_ONLY)) {
    const verdict = vsInIcmp(vs, ns, skb, NF_FORWARD);
    if (verdict != <u32>NF_ACCEPT) return verdict;
  }
  return vsOut(vs, ns, skb, NF_FORWARD);
}

// ------------------------------------------------------------------------------------------------ hooks (setIpvsHooks)

/** LOCAL_IN, 98 and 99. */
export function hookLocalIn(at: usize, packet: usize, _inDev: usize, _outDev: usize): u32 {
  const ns = changetype<NetNs>(at);
  const vs = changetype<IpvsNs>(ns.ipvs);
  const skb = changetype<Skb>(packet);
  const verdict = vsOut(vs, ns, skb, NF_LOCAL_IN);
  return verdict != <u32>NF_ACCEPT ? verdict : vsIn(vs, ns, skb, NF_LOCAL_IN);
}

/** LOCAL_OUT, −99 and −98. */
export function hookLocalOut(at: usize, packet: usize, _inDev: usize, _outDev: usize): u32 {
  const ns = changetype<NetNs>(at);
  const vs = changetype<IpvsNs>(ns.ipvs);
  const skb = changetype<Skb>(packet);
  const verdict = vsOut(vs, ns, skb, NF_LOCAL_OUT);
  return verdict != <u32>NF_ACCEPT ? verdict : vsIn(vs, ns, skb, NF_LOCAL_OUT);
}

/** FORWARD, 99 and 100. Fragments that conntrack didn't gather are gathered here, and go on as one. */
export function hookForward(at: usize, packet: usize, _inDev: usize, _outDev: usize): u32 {
  const ns = changetype<NetNs>(at);
  const vs = changetype<IpvsNs>(ns.ipvs);
  const skb = changetype<Skb>(packet);
  if (!ipIsFragment(skb.nh) || !concerns(skb)) return forwardWhole(vs, ns, skb);
  const whole = ipDefrag(skb, FRAG_VS_FWD);
  if (whole == 0) return NF_STOLEN;
  const one = changetype<Skb>(whole);
  if (forwardWhole(vs, ns, one) != <u32>NF_ACCEPT) return NF_STOLEN;
  snmpInc(ns, SNMP_IP_FORW_DATAGRAMS);
  dstOutput(ns, one);
  return NF_STOLEN;
}

/** True for what a program of this machine sends: it may be a server's reply (ip_vs_schedule). */
@inline
export function fromHere(skb: Skb, hook: u32): bool {
  return hook == <u32>NF_LOCAL_OUT || (skb.dev != 0 && changetype<NetDev>(skb.dev).kind == <u32>DEV_LOOPBACK);
}
