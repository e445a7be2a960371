/** UDP sockets (net/ipv4/udp.c, datagram.c). */
import {
  DROP_PKT_TOO_SMALL, DROP_SOCKET_RCVBUFF, DROP_UDP_CSUM, DROP_UDP_NO_SOCKET, DROP_NS_GONE, EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN,
  ECONNREFUSED, EDESTADDRREQ, EHOSTDOWN, EHOSTUNREACH, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS, ENONET, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
  IPPROTO_UDP, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, SYS_IP_NONLOCAL_BIND, DELIVER_UDP,
} from "../abi";
import { fibAddrType } from "../inet/fib";
import { icmpSend } from "../inet/icmp";
import { inetOf, sysctl } from "../inet/inet";
import { RtResult, routeLookup } from "../inet/route";
import {
  SNMP_IP_OUT_NO_ROUTES, SNMP_UDP_IN_CSUM_ERRORS, SNMP_UDP_IN_DATAGRAMS, SNMP_UDP_IN_ERRORS, SNMP_UDP_NO_PORTS, SNMP_UDP_OUT_DATAGRAMS,
  SNMP_UDP_RCVBUF_ERRORS, SNMP_UDP_SNDBUF_ERRORS, snmpInc,
} from "../inet/snmp";
import { markDeliver, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import { kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableInsert, tableRemove } from "../memory/hashtable";
import { SKB_CSUM_OK, Skb, consumeSkb, copySkb, dropSkb, skbPut } from "../memory/skb";
import { now } from "../sim/event";
import { rand32 } from "../sim/host";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_PARAMETERPROB, ICMP_PORT_UNREACH, NR_ICMP_UNREACH } from "../wire/icmp";
import { INADDR_LOOPBACK, ipDst, ipSrc } from "../wire/ipv4";
import { copySum } from "../wire/checksum";
import { UDP_HLEN, emitUdp, udpCheckOk, udpDport, udpFinish, udpLength, udpSport } from "../wire/udp";
import { Dgram, datagramAlloc, datagramHeader, datagramRoute, datagramSend } from "./datagram";
import { METER_ANSWER, Meter, meterPut, meterReceive } from "./meter";
import { udpEphemeral } from "./ports";
import { PMTUDISC_DONT, SOCK_BROADCAST, SOCK_KERNEL, SOCK_SINK, SOCK_UDP, Sock, forgetWake, sockError, sockFree, sockInit, sockPurge, sockQueueRcv, sockUnlink, sockWake } from "./socket";
import { flowsStop } from "./udp-flow";

/** Largest datagram: 65535 less IP and UDP headers is refused later by size; this is sendmsg's own limit. */
const MAX_SEND: u32 = 0xffff;

/** A UDP socket (struct udp_sock). */
@unmanaged
export class UdpSock extends Sock {
  /** Generators that send through it (socket/udpFlow). */
  flows: usize;
  /** Users of a kernel socket: several vxlan devices share a port. */
  users: u32;
  /** What a sink tells of its datagrams (socket/meter), 0 = nobody; and what it calls itself there. */
  meter: usize;
  tag: u32;
}

@inline
function hashOf(port: u32): u32 {
  return port * 0x9e3779b1;
}

/** Opens a socket; it is neither bound nor connected. */
export function udpOpenSock(ns: NetNs): UdpSock {
  const sk = changetype<UdpSock>(kmalloc(offsetof<UdpSock>()));
  sockInit(sk, ns, SOCK_UDP, IPPROTO_UDP);
  return sk;
}

/** Another socket has the port and an address that collides (udp_lib_lport_inuse). */
function inUse(ns: NetNs, self: usize, ip: u32, port: u32): bool {
  for (let p = tableFirst(inetOf(ns).udp, hashOf(port)); p != 0; p = linkNext(p)) {
    const other = changetype<Sock>(p);
    if (p == self || other.localPort != port) continue;
    if (other.localIp == 0 || ip == 0 || other.localIp == ip) return true;
  }
  return false;
}

function portTaken(at: usize, port: u32): bool {
  const sk = changetype<Sock>(at);
  return inUse(changetype<NetNs>(sk.ns), at, sk.localIp, port);
}

function unhash(sk: UdpSock): void {
  if (sk.localPort == 0) return;
  tableRemove(inetOf(changetype<NetNs>(sk.ns)).udp, changetype<usize>(sk));
  sk.localPort = 0;
}

/** udp_lib_get_port: takes a port (0 = an ephemeral one) for the socket's local address. */
function takePort(sk: UdpSock, port: u32): i32 {
  const ns = changetype<NetNs>(sk.ns);
  if (port == 0) {
    port = udpEphemeral(ns, changetype<usize>(portTaken), changetype<usize>(sk));
    if (port == 0) return -EADDRINUSE;
  } else if (inUse(ns, changetype<usize>(sk), sk.localIp, port)) return -EADDRINUSE;
  sk.localPort = port;
  tableInsert(inetOf(ns).udp, changetype<usize>(sk), hashOf(port));
  return 0;
}

/** bind(): 0, -EINVAL when bound already, -EADDRNOTAVAIL for an address that isn't ours, -EADDRINUSE. */
export function udpBindSock(sk: UdpSock, ip: u32, port: u32): i32 {
  const ns = changetype<NetNs>(sk.ns);
  if (sk.localPort != 0 || port > 0xffff) return -EINVAL;
  if (ip != 0) {
    const type = fibAddrType(ns, ip);
    if (type != RTN_LOCAL && type != RTN_BROADCAST && type != RTN_MULTICAST && !sysctl(ns, SYS_IP_NONLOCAL_BIND)) return -EADDRNOTAVAIL;
  }
  sk.localIp = ip;
  const error = takePort(sk, port);
  if (error != 0) sk.localIp = 0;
  return error;
}

/** Gives the socket a port if it has none (inet_autobind): 0 or -EAGAIN. */
function autobind(sk: UdpSock): i32 {
  if (sk.localPort != 0) return 0;
  return takePort(sk, 0) == 0 ? 0 : -EAGAIN;
}

/** connect() (__ip4_datagram_connect): 0, -ENETUNREACH and other errors of the route, -EACCES for broadcast without the option. */
export function udpConnectSock(sk: UdpSock, dst: u32, port: u32): i32 {
  const ns = changetype<NetNs>(sk.ns);
  const bound = autobind(sk);
  if (bound != 0) return bound;
  if (dst == 0) dst = sk.localIp != 0 ? sk.localIp : INADDR_LOOPBACK;
  const error = routeLookup(ns, dst, sk.localIp, 0);
  if (error != 0) {
    if (error == -ENETUNREACH) snmpInc(ns, SNMP_IP_OUT_NO_ROUTES);
    return error;
  }
  if (RtResult.rtType == RTN_BROADCAST && !(sk.flags & SOCK_BROADCAST)) return -EACCES;
  if (sk.localIp == 0) sk.localIp = RtResult.rtSrc;
  sk.remoteIp = dst;
  sk.remotePort = port;
  sk.dstGen = 0;
  const host = nsHost(ns);
  const hash = rand32(host);
  sk.txhash = hash != 0 ? hash : 1;
  sk.ipid = rand32(host) & 0xffff;
  return 0;
}

/** Sends `length` bytes at `data` to an address: 0 or -errno (udp_sendmsg). `connected`: to the socket's peer. */
export function udpSend(sk: UdpSock, data: usize, length: u32, dst: u32, port: u32, connected: bool): i32 {
  if (length > MAX_SEND) return -EMSGSIZE;
  if (connected) {
    if (sk.remoteIp == 0) return -EDESTADDRREQ;
    dst = sk.remoteIp;
    port = sk.remotePort;
  } else if (port == 0 || port > 0xffff) return -EINVAL;
  const bound = autobind(sk);
  if (bound != 0) return bound;
  const total = length + UDP_HLEN;
  Dgram.dport = port;
  const error = datagramRoute(sk, dst, connected, total);
  if (error != 0) return error;
  const skb = datagramAlloc(sk, total);
  const udp = skbPut(skb, total);
  emitUdp(udp, sk.localPort, port, total);
  const sum = copySum(udp + UDP_HLEN, data, length);
  skb.th = udp;
  udpFinish(datagramHeader(sk, skb, IPPROTO_UDP, connected), udp, total, sum);
  const sent = datagramSend(sk, skb);
  const ns = changetype<NetNs>(sk.ns);
  if (sent == -ENOBUFS) {
    snmpInc(ns, SNMP_UDP_SNDBUF_ERRORS);
    return 0;
  }
  if (sent == 0) snmpInc(ns, SNMP_UDP_OUT_DATAGRAMS);
  return sent;
}

/** Closes and frees a socket; what waits in it is lost. */
export function udpDestroy(at: Sock): void {
  const sk = changetype<UdpSock>(at);
  flowsStop(sk);
  if (sk.meter != 0) meterPut(changetype<Meter>(sk.meter));
  unhash(sk);
  sockPurge(sk, DROP_NS_GONE);
  forgetWake(sk);
  sockUnlink(sk);
  sockFree(sk, offsetof<UdpSock>());
}

// ---------------------------------------------------------------------------------------------- receive

/**
 * The socket for a datagram src:sport → dst:dport: a bound address beats a wildcard, then a connection beats none; the
 * newest among equals (__udp4_lib_lookup).
 */
function udpLookup(ns: NetNs, src: u32, sport: u32, dst: u32, dport: u32): usize {
  let best: usize = 0;
  let bestScore: u32 = 0;
  for (let p = tableFirst(inetOf(ns).udp, hashOf(dport)); p != 0; p = linkNext(p)) {
    const sk = changetype<Sock>(p);
    if (sk.localPort != dport) continue;
    let score: u32 = 1;
    if (sk.localIp != 0) {
      if (sk.localIp != dst) continue;
      score += 4;
    }
    if (sk.remoteIp != 0) {
      if (sk.remoteIp != src || sk.remotePort != sport) continue;
      score += 2;
    }
    if (score > bestScore) {
      best = p;
      bestScore = score;
    }
  }
  return best;
}

/** Receives a datagram: skb.data at the UDP header (__udp4_lib_rcv). */
export function udpRcv(skb: Skb): void {
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  const udp = skb.data;
  const length = skb.len >= UDP_HLEN ? udpLength(udp) : 0;
  if (length < UDP_HLEN || length > skb.len) {
    snmpInc(ns, SNMP_UDP_IN_ERRORS);
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return;
  }
  skb.len = length;
  skb.th = udp;
  const ip = skb.nh;
  const wide = skb.rtType == RTN_BROADCAST || skb.rtType == RTN_MULTICAST;
  const found: usize = wide ? 0 : udpLookup(ns, ipSrc(ip), udpSport(udp), ipDst(ip), udpDport(udp));
  if (!(skb.flags & SKB_CSUM_OK) && !udpCheckOk(ip, udp, length)) {
    snmpInc(ns, SNMP_UDP_IN_CSUM_ERRORS);
    snmpInc(ns, SNMP_UDP_IN_ERRORS);
    dropSkb(skb, DROP_UDP_CSUM);
    return;
  }
  if (found != 0) queueRcv(ns, changetype<UdpSock>(found), skb);
  else if (wide) deliverToAll(ns, skb);
  else {
    snmpInc(ns, SNMP_UDP_NO_PORTS);
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
    dropSkb(skb, DROP_UDP_NO_SOCKET);
  }
}

/** udp_queue_rcv_skb: to the encapsulation handler, or into the receive queue. */
function queueRcv(ns: NetNs, sk: UdpSock, skb: Skb): void {
  sk.rxPackets++;
  sk.rxTotal += skb.len - UDP_HLEN;
  skb.time = now;
  if (sk.encap != 0) {
    snmpInc(ns, SNMP_UDP_IN_DATAGRAMS);
    changetype<(skb: usize) => void>(sk.encap)(changetype<usize>(skb));
    return;
  }
  if (marking) markDeliver(skb, DELIVER_UDP, udpDport(skb.th), udpSport(skb.th));
  if (sk.flags & SOCK_SINK) {
    snmpInc(ns, SNMP_UDP_IN_DATAGRAMS);
    const data = skb.data + UDP_HLEN;
    if (sk.meter != 0 && meterReceive(changetype<Meter>(sk.meter), sk.tag, data, skb.len - UDP_HLEN))
      udpSend(sk, data, METER_ANSWER, ipSrc(skb.nh), udpSport(skb.th), false);
    consumeSkb(skb);
    return;
  }
  if (!sockQueueRcv(sk, skb)) {
    snmpInc(ns, SNMP_UDP_RCVBUF_ERRORS);
    snmpInc(ns, SNMP_UDP_IN_ERRORS);
    dropSkb(skb, DROP_SOCKET_RCVBUFF);
    return;
  }
  sockWake(sk);
}

/** __udp4_lib_mcast_deliver: a copy to each matching socket; nobody is told when there is none. */
function deliverToAll(ns: NetNs, skb: Skb): void {
  const src = ipSrc(skb.nh);
  const sport = udpSport(skb.th);
  const dst = ipDst(skb.nh);
  const dport = udpDport(skb.th);
  let last: usize = 0;
  for (let p = tableFirst(inetOf(ns).udp, hashOf(dport)); p != 0; p = linkNext(p)) {
    const sk = changetype<Sock>(p);
    if (sk.localPort != dport || (sk.localIp != 0 && sk.localIp != dst)) continue;
    if (sk.remoteIp != 0 && (sk.remoteIp != src || sk.remotePort != sport)) continue;
    if (last != 0) queueRcv(ns, changetype<UdpSock>(last), copySkb(skb));
    last = p;
  }
  if (last != 0) queueRcv(ns, changetype<UdpSock>(last), skb);
  else dropSkb(skb, DROP_UDP_NO_SOCKET);
}

/** errno of an unreachable code, and whether it is fatal: +256 (net/ipv4/icmp.c icmp_err_convert). */
function convert(code: u32): u32 {
  switch (code) {
    case 0:
    case 11:
      return ENETUNREACH;
    case 1:
    case 12:
      return EHOSTUNREACH;
    case 2:
      return ENOPROTOOPT | 256;
    case 3:
      return ECONNREFUSED | 256;
    case 4:
      return EMSGSIZE;
    case 5:
      return EOPNOTSUPP;
    case 6:
    case 9:
      return ENETUNREACH | 256;
    case 7:
      return EHOSTDOWN | 256;
    case 8:
      return ENONET | 256;
    default:
      return EHOSTUNREACH | 256;
  }
}

/**
 * An ICMP error quotes a datagram that this host sent: `ip` and `udp` point to the quoted headers (__udp4_lib_err). Only hard
 * errors reach a program, and only through a connected socket.
 */
export function udpErr(skb: Skb, ip: usize, udp: usize, length: u32, type: u32, code: u32, info: u32): void {
  if (length < UDP_HLEN) return;
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  const found = udpLookup(ns, ipDst(ip), udpDport(udp), ipSrc(ip), udpSport(udp));
  if (found == 0) return;
  const sk = changetype<UdpSock>(found);
  if (sk.flags & SOCK_KERNEL || sk.remoteIp == 0) return;
  if (type == ICMP_DEST_UNREACH) {
    if (code == ICMP_FRAG_NEEDED) {
      if (sk.pmtuDisc != PMTUDISC_DONT) sockError(sk, EMSGSIZE);
      return;
    }
    const error = convert(code <= NR_ICMP_UNREACH ? code : 1);
    if (error & 256) sockError(sk, error & 255);
  } else if (type == ICMP_PARAMETERPROB) sockError(sk, EPROTO);
}

// ---------------------------------------------------------------------------------------------- kernel sockets

function findKernel(ns: NetNs, port: u32): usize {
  for (let p = tableFirst(inetOf(ns).udp, hashOf(port)); p != 0; p = linkNext(p)) {
    const sk = changetype<Sock>(p);
    if (sk.localPort == port && sk.encap != 0) return p;
  }
  return 0;
}

/** Opens (or shares) the kernel socket of a tunnel on a port; `handler` is (skb: usize) => void. 0 or -EADDRINUSE. */
export function udpEncapOpen(ns: NetNs, port: u32, handler: usize): i32 {
  const found = findKernel(ns, port);
  if (found != 0) {
    changetype<UdpSock>(found).users++;
    return 0;
  }
  const sk = udpOpenSock(ns);
  sk.flags |= SOCK_KERNEL;
  sk.encap = handler;
  sk.users = 1;
  const error = udpBindSock(sk, 0, port);
  if (error != 0) udpDestroy(sk);
  return error;
}

/** Gives the socket up; the last user closes it. No effect when the namespace has already closed it. */
export function udpEncapClose(ns: NetNs, port: u32): void {
  if (ns.inet == 0) return;
  const found = findKernel(ns, port);
  if (found == 0) return;
  const sk = changetype<UdpSock>(found);
  if (--sk.users == 0) udpDestroy(sk);
}
