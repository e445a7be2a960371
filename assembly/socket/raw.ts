/** Raw sockets (net/ipv4/raw.c) and ping sockets (net/ipv4/ping.c). */
import {
  DROP_NS_GONE,
  DROP_SOCKET_RCVBUFF,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EINVAL,
  EMSGSIZE,
  IPPROTO_ICMP,
  RTN_LOCAL, DELIVER_RAW,
} from "../abi";
import { markDeliver, marking } from "../link/marks";
import { fibAddrType } from "../inet/fib";
import { countOut } from "../inet/icmp-count";
import { InetNs, hostInet, inetOf } from "../inet/inet";
import { NetNs, nsHost } from "../link/netns";
import { kmalloc } from "../memory/arena";
import { SKB_CSUM_OK, Skb, consumeSkb, copySkb, dropSkb, skbPull, skbPush, skbPut } from "../memory/skb";
import { now } from "../sim/event";
import { ICMP_ECHO, ICMP_HLEN, emitIcmp, icmpEchoId, icmpSetCheck, icmpType } from "../wire/icmp";
import { ipDst, ipProtocol, ipSrc } from "../wire/ipv4";
import { Dgram, datagramAlloc, datagramHeader, datagramRoute, datagramSend } from "./datagram";
import {
  SOCK_ICMP,
  SOCK_RAW,
  SOCK_SINK,
  Sock,
  forgetWake,
  sockFree,
  sockInit,
  sockPurge,
  sockQueueRcv,
  sockUnlink,
  sockWake,
} from "./socket";

/** A raw or ping socket (struct raw_sock, struct ping_sock). */
@unmanaged
export class RawSock extends Sock {
  /** Next raw or ping socket of the namespace (InetNs.raw). */
  next: usize;
}

/** Marks a queued skb of a ping socket as an ICMP error (Skb.cb0); cb1 = its MTU. */
export const PING_ERROR: u32 = 1;

function open(ns: NetNs, type: u32, protocol: u32): RawSock {
  const sk = changetype<RawSock>(kmalloc(offsetof<RawSock>()));
  sockInit(sk, ns, type, protocol);
  const inet = inetOf(ns);
  sk.next = inet.raw;
  inet.raw = changetype<usize>(sk);
  return sk;
}

/** A raw socket of an IP protocol. */
export function rawOpenSock(ns: NetNs, protocol: u32): RawSock {
  const sk = open(ns, SOCK_RAW, protocol);
  sk.localPort = protocol;
  return sk;
}

function pingFind(ns: NetNs, id: u32): usize {
  for (let p = inetOf(ns).raw; p != 0; p = changetype<RawSock>(p).next) {
    const sk = changetype<RawSock>(p);
    if (sk.type == SOCK_ICMP && sk.localPort == id) return p;
  }
  return 0;
}

/**
 * A ping socket. id 0 = the next free one after the last that this host gave (ping_get_port); a program with its own (busybox: its
 * process id) passes it. Returns the socket or -EADDRINUSE.
 */
export function pingOpenSock(ns: NetNs, id: u32): i32 {
  if (id > 0xffff) return -EINVAL;
  if (id == 0) {
    const inet = hostInet(nsHost(ns));
    let tries: u32 = 0;
    do {
      inet.pingRover = (inet.pingRover + 1) & 0xffff;
      if (inet.pingRover == 0) inet.pingRover = 1;
      if (++tries > 0x10000) return -EADDRINUSE;
    } while (pingFind(ns, inet.pingRover) != 0);
    id = inet.pingRover;
  } else if (pingFind(ns, id) != 0) return -EADDRINUSE;
  const sk = open(ns, SOCK_ICMP, IPPROTO_ICMP);
  sk.localPort = id;
  return <i32>changetype<usize>(sk);
}

/** bind() to a local address: 0 or -EADDRNOTAVAIL. */
export function rawBindSock(sk: RawSock, ip: u32): i32 {
  if (ip != 0 && fibAddrType(changetype<NetNs>(sk.ns), ip) != RTN_LOCAL) return -EADDRNOTAVAIL;
  sk.localIp = ip;
  return 0;
}

/** Closes and frees a raw or ping socket. */
export function rawDestroy(at: Sock): void {
  const sk = changetype<RawSock>(at);
  const inet = inetOf(changetype<NetNs>(sk.ns));
  let link = changetype<usize>(inet) + offsetof<InetNs>("raw");
  while (<usize>load<u32>(link) != changetype<usize>(sk)) link = <usize>load<u32>(link) + offsetof<RawSock>("next");
  store<u32>(link, <u32>sk.next);
  sockPurge(sk, DROP_NS_GONE);
  forgetWake(sk);
  sockUnlink(sk);
  sockFree(sk, offsetof<RawSock>());
}

/** Sends an echo request with the socket's id: 0 or -errno (ping_v4_sendmsg). */
export function pingSend(sk: RawSock, dst: u32, seq: u32, data: usize, length: u32): i32 {
  if (length > 0xffff) return -EMSGSIZE;
  const total = length + ICMP_HLEN;
  Dgram.sport = ICMP_ECHO;
  Dgram.dport = 0;
  const error = datagramRoute(sk, dst, false, total);
  if (error != 0) return error;
  const skb = datagramAlloc(sk, total);
  const icmp = skbPut(skb, total);
  emitIcmp(icmp, ICMP_ECHO, 0, (sk.localPort << 16) | (seq & 0xffff));
  memory.copy(icmp + ICMP_HLEN, data, length);
  icmpSetCheck(icmp, total);
  skb.th = icmp;
  datagramHeader(sk, skb, IPPROTO_ICMP, false);
  countOut(changetype<NetNs>(sk.ns), ICMP_ECHO);
  return datagramSend(sk, skb);
}

/** Sends an IP payload of the socket's protocol: 0 or -errno (raw_sendmsg). */
export function rawSend(sk: RawSock, dst: u32, data: usize, length: u32): i32 {
  if (length > 0xffff) return -EMSGSIZE;
  Dgram.sport = 0;
  Dgram.dport = 0;
  const error = datagramRoute(sk, dst, false, length);
  if (error != 0) return error;
  const skb = datagramAlloc(sk, length);
  const payload = skbPut(skb, length);
  memory.copy(payload, data, length);
  skb.th = payload;
  datagramHeader(sk, skb, sk.protocol, false);
  // Whatever checksum is in there, the program computed it.
  skb.flags &= ~SKB_CSUM_OK;
  return datagramSend(sk, skb);
}

// ---------------------------------------------------------------------------------------------- receive

/** Queues a copy whose data begin at `from`. */
function queueCopy(sk: RawSock, skb: Skb, from: usize, mark: u32, info: u32): void {
  // The IP header goes along: the receiver reads addresses and TTL there.
  const behind = <u32>(skb.data - skb.nh);
  skbPush(skb, behind);
  const copy = copySkb(skb);
  skbPull(skb, behind);
  skbPull(copy, <u32>(from - skb.nh));
  copy.cb0 = mark;
  copy.cb1 = info;
  copy.time = now;
  if (marking) markDeliver(skb, DELIVER_RAW, sk.type == SOCK_RAW ? sk.protocol : sk.localPort, 0);
  sk.rxPackets++;
  sk.rxTotal += copy.len;
  // A full buffer drops the copy; the packet itself goes on.
  if (sk.flags & SOCK_SINK) consumeSkb(copy);
  else if (!sockQueueRcv(sk, copy)) dropSkb(copy, DROP_SOCKET_RCVBUFF);
  else sockWake(sk);
}

/** raw_local_deliver: a copy for each raw socket of that protocol; true if there was one. skb.data at the IP header. */
export function rawDeliver(ns: NetNs, skb: Skb, protocol: u32): bool {
  let found = false;
  for (let p = inetOf(ns).raw; p != 0; p = changetype<RawSock>(p).next) {
    const sk = changetype<RawSock>(p);
    if (sk.type != SOCK_RAW || sk.protocol != protocol) continue;
    if (sk.localIp != 0 && sk.localIp != ipDst(skb.nh)) continue;
    if (sk.remoteIp != 0 && sk.remoteIp != ipSrc(skb.nh)) continue;
    found = true;
    queueCopy(sk, skb, skb.nh, 0, 0);
  }
  return found;
}

/** ping_rcv: an echo reply (skb.data at its ICMP header) for the ping socket with its id. */
export function pingRcv(ns: NetNs, skb: Skb): void {
  const found = pingFind(ns, icmpEchoId(skb.data));
  if (found == 0) return;
  const sk = changetype<RawSock>(found);
  if (sk.localIp != 0 && sk.localIp != ipDst(skb.nh)) return;
  queueCopy(sk, skb, skb.data, 0, 0);
}

/** An ICMP error (skb.data at its header) that quotes an echo request of a ping socket goes to that socket's queue (ping_err). */
export function rawErr(ns: NetNs, skb: Skb, ip: usize, th: usize, length: u32, type: u32, code: u32, info: u32): void {
  if (ipProtocol(ip) != IPPROTO_ICMP || length < ICMP_HLEN || icmpType(th) != ICMP_ECHO) return;
  const found = pingFind(ns, icmpEchoId(th));
  if (found != 0) queueCopy(changetype<RawSock>(found), skb, skb.data, PING_ERROR, info);
}
