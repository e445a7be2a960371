/**
 * A packet of no connection begins one: which service, which destination (ip_vs_core.c ip_vs_schedule, ip_vs_sched_persist,
 * the protocols' conn_schedule).
 */
import {
  DROP_IPVS, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, NF_ACCEPT, NF_DROP, VSCTL_SLOPPY_SCTP, VSCTL_SLOPPY_TCP, VS_CONN_F_ONE_PACKET, VS_CONN_F_TEMPLATE, VS_SVC_F_ONEPACKET,
  VS_SVC_F_PERSISTENT,
} from "../abi";
import { icmpSend } from "../inet/icmp";
import { NetNs } from "../link/netns";
import { Skb, dropSkb } from "../memory/skb";
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH } from "../wire/icmp";
import { ipDst, ipProtocol, ipSrc } from "../wire/ipv4";
import { TCPHDR_RST, TCPHDR_SYN, tcpFlags } from "../wire/tcp";
import { IPPROTO_IP, connInGet, connNew, connPut, controlAdd, templateGet, templateValid } from "./conn";
import { fromHere, portAt } from "./core";
import { Conn, Dest, IpvsNs, SECOND, Service, destStats, vsCtl } from "./records";
import { schedule } from "./sched";
import { serviceFind } from "./service";
import { CHUNK_ABORT, CHUNK_INIT } from "./state";

/** Up to here trySchedule's result is a verdict, above it is a Conn. */
export const SCHEDULED_NONE: usize = 1;

/** Data connections of active FTP come from here, and are made by the FTP helper. */
const FTP_DATA: u32 = 20;
const FTP_PORT: u32 = 21;

// Why scheduleNew made no connection.
/** The packet is none of IPVS's business. */
const IGNORED: usize = 1;
/** No destination is available. */
const UNAVAILABLE: usize = 0;

@inline
function drop(skb: Skb): usize {
  dropSkb(skb, DROP_IPVS);
  return NF_DROP;
}

/** May this packet begin a connection? 1 yes, 0 no, -1 malformed. */
function mayBegin(vs: IpvsNs, protocol: u32, th: usize, left: u32): i32 {
  if (protocol == <u32>IPPROTO_TCP) {
    if (left < 20) return -1;
    const flags = tcpFlags(th);
    return flags & TCPHDR_RST || !(flags & TCPHDR_SYN || vsCtl(vs, VSCTL_SLOPPY_TCP)) ? 0 : 1;
  }
  if (protocol == <u32>IPPROTO_SCTP) {
    if (left < 16) return -1;
    const chunk = <u32>load<u8>(th, 12);
    return chunk == CHUNK_ABORT || !(chunk == CHUNK_INIT || vsCtl(vs, VSCTL_SLOPPY_SCTP)) ? 0 : 1;
  }
  return left < 8 ? -1 : 1;
}

/** ip_vs_try_to_schedule: a new Conn; or NF_ACCEPT when there is no service, NF_DROP when the packet is gone. */
export function trySchedule(vs: IpvsNs, ns: NetNs, skb: Skb, hook: u32, th: usize, left: u32): usize {
  const ip = skb.nh;
  const protocol = ipProtocol(ip);
  const may = mayBegin(vs, protocol, th, left);
  if (may < 0) return drop(skb);
  if (may == 0) return NF_ACCEPT;
  const found = serviceFind(vs, skb.mark, protocol, ipDst(ip), portAt(th + 2));
  if (found == 0) return NF_ACCEPT;
  const svc = changetype<Service>(found);
  const made = scheduleNew(vs, svc, skb, hook, th);
  if (made == IGNORED) return NF_ACCEPT;
  if (made != UNAVAILABLE) return made;
  // ip_vs_leave.
  if (svc.port == FTP_PORT && portAt(th + 2) != FTP_PORT) return NF_ACCEPT;
  icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  return drop(skb);
}

function scheduleNew(vs: IpvsNs, svc: Service, skb: Skb, hook: u32, th: usize): usize {
  const ip = skb.nh;
  const protocol = ipProtocol(ip);
  const src = ipSrc(ip);
  const dst = ipDst(ip);
  const sport = portAt(th);
  const dport = portAt(th + 2);
  if (sport == FTP_DATA) return IGNORED;
  // The reply of a server on this machine, whose request went through here.
  if (fromHere(skb, hook) && connInGet(vs, protocol, dst, dport, src, sport) != 0) return IGNORED;
  if (svc.flags & VS_SVC_F_PERSISTENT) return schedulePersistent(vs, svc, skb, protocol, src, sport, dst, dport);
  // Port 0 takes every port of persistent services only.
  if (svc.fwmark == 0 && dport != svc.port) return UNAVAILABLE;
  const chosen = schedule(svc, src, sport, dst);
  if (chosen == 0) return UNAVAILABLE;
  const dest = changetype<Dest>(chosen);
  const cp = connNew(vs, protocol, src, sport, dst, dport, dest.addr, dest.port != 0 ? dest.port : dport, onePacket(svc, protocol), dest, skb.mark);
  count(vs, svc, dest);
  return changetype<usize>(cp);
}

@inline
function onePacket(svc: Service, protocol: u32): u32 {
  return svc.flags & VS_SVC_F_ONEPACKET && protocol == <u32>IPPROTO_UDP ? VS_CONN_F_ONE_PACKET : 0;
}

/** ip_vs_conn_stats. */
@inline
function count(vs: IpvsNs, svc: Service, dest: Dest): void {
  destStats(dest).conns++;
  svc.conns++;
  vs.conns0++;
}

/** ip_vs_sched_persist: a client (its network) stays with a destination, which a template remembers. */
function schedulePersistent(vs: IpvsNs, svc: Service, skb: Skb, protocol: u32, src: u32, sport: u32, dst: u32, dport: u32): usize {
  const net = src & svc.netmask;
  let key = protocol;
  let vaddr = dst;
  let vport: u32 = 0;
  if (dport == svc.port) {
    if (svc.port != FTP_PORT) vport = dport;
  } else if (svc.fwmark != 0) {
    key = IPPROTO_IP;
    vaddr = svc.fwmark;
  }
  let template = templateGet(vs, key, net, vaddr, vport);
  if (template == 0 || !templateValid(changetype<Conn>(template))) {
    const chosen = schedule(svc, src, sport, dst);
    if (chosen == 0) return UNAVAILABLE;
    const dest = changetype<Dest>(chosen);
    const port = dport == svc.port && svc.port != FTP_PORT ? dest.port : 0;
    const made = connNew(vs, key, net, 0, vaddr, vport, dest.addr, port, VS_CONN_F_TEMPLATE, dest, skb.mark);
    made.timeout = <i64>svc.timeout * SECOND;
    template = changetype<usize>(made);
  }
  const ct = changetype<Conn>(template);
  const dest = changetype<Dest>(ct.dest);
  const port = dport == svc.port && dest.port != 0 ? dest.port : dport;
  const cp = connNew(vs, protocol, src, sport, dst, dport, dest.addr, port, onePacket(svc, protocol), dest, skb.mark);
  controlAdd(cp, ct);
  connPut(ct);
  count(vs, svc, dest);
  return changetype<usize>(cp);
}
