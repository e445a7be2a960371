/**
 * TCP's front door: tables of connections, listeners and ports, demultiplexing of received segments, resets to
 * nobody, ICMP errors (net/ipv4/tcp_ipv4.c, inet_hashtables.c). The parts behind it: tcp-sock (record), tcp-input,
 * tcp-receive, tcp-ack, tcp-sack, tcp-recovery, tcp-output, tcp-timer, tcp-cubic, tcp-minisocks, tcp-border.
 *
 * Connections, connection requests and TIME_WAIT records stand in one table, keyed by namespace and 4-tuple; their
 * records begin alike (TcpMini = the first words of Sock), and SOCK_REQ / SOCK_TW in `flags` tell them apart.
 */
import {
  DROP_NS_GONE, DROP_OTHERHOST, DROP_PKT_TOO_SMALL, DROP_TCP_CSUM, DROP_TCP_FLAGS, DROP_TCP_NO_SOCKET, IPPROTO_TCP,
  TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN,
} from "../abi";
import { IPID_ZERO, ipBuildAndSend } from "../inet/output";
import { SNMP_TCP_CSUMERRORS, SNMP_TCP_INERRS, SNMP_TCP_INSEGS, SNMP_TCP_OUTRSTS, snmpInc } from "../inet/snmp";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { PACKET_HOST, SKB_CSUM_OK, SKB_HEADROOM, Skb, allocSkb, consumeSkb, dropSkb, skbPut } from "../memory/skb";
import { fold64, pseudoSum, sumBytes } from "../wire/checksum";
import {
  TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCP_HLEN, emitTcp, tcpAckSeq, tcpDoff, tcpDport, tcpFlags, tcpSeq,
  tcpSport,
} from "../wire/tcp";
import { Host } from "../sim/host";
import { SOCK_TCP, Sock, forgetWake, sockInit, sockPurge, sockUnlink } from "./socket";
import { tcpRcvEstablished, tcpRcvStateProcess } from "./tcp-input";
import { listenRcv, reqRcv, reqsPurge, twRcv } from "./tcp-minisocks";
import { tcpInitTimers } from "./tcp-timer";
import {
  CA_OPEN, TCP_INFINITE_SSTHRESH, TCP_INIT_CWND, TCP_MSS_DEFAULT, TCP_REORDERING, TCP_RMEM_DEFAULT, TCP_SOCK_SIZE,
  TCP_TIMEOUT_INIT, TCP_WMEM_DEFAULT, TcpSock, sockAlloc, timersStop, txPurge,
} from "./tcp-sock";

/** Sock.flags of the two small records. */
export const SOCK_TW: u32 = 0x10000;
export const SOCK_REQ: u32 = 0x20000;
/** Stands in a table (established or listener). */
export const SOCK_HASHED: u32 = 0x40000;
/** Closed, but packets that refer to it are still under way; freed with the last of them. */
export const SOCK_ZOMBIE: u32 = 0x80000;

/** First words of Sock, shared by requests and TIME_WAIT records. */
@unmanaged
export class TcpMini {
  hnext: u32;
  hhash: u32;
  type: u32;
  flags: u32;
  ns: usize;
  host: usize;
  nsNext: usize;
  localIp: u32;
  remoteIp: u32;
  localPort: u32;
  remotePort: u32;
}

// Skb.cb of a received segment
// cb0 = seq, cb1 = end_seq (SYN and FIN counted), cb2 = TCPHDR_* flags, cb3 = ack_seq

let ehash: usize = 0;
let lhash: usize = 0;
let bhash: usize = 0;

function tables(): void {
  ehash = changetype<usize>(tableNew(10));
  lhash = changetype<usize>(tableNew(7));
  bhash = changetype<usize>(tableNew(9));
}

@inline
function mix(h: u32): u32 {
  h ^= h >> 16;
  h *= 0x7feb352d;
  h ^= h >> 15;
  h *= 0x846ca68b;
  return h ^ (h >> 16);
}

@inline
function tupleHash(ns: usize, localIp: u32, localPort: u32, remoteIp: u32, remotePort: u32): u32 {
  return mix((localIp * 0x9e3779b1) ^ mix(remoteIp + ((localPort << 16) | remotePort) * 0x85ebca6b) ^ <u32>(ns >> 4));
}

@inline
function portHash(ns: usize, port: u32): u32 {
  return mix((port * 0x9e3779b1) ^ <u32>(ns >> 4));
}

/** Puts a connection, request or TIME_WAIT record into the table. */
export function ehashInsert(record: usize): void {
  if (ehash == 0) tables();
  const mini = changetype<TcpMini>(record);
  mini.flags |= SOCK_HASHED;
  tableInsert(
    changetype<HashTable>(ehash),
    record,
    tupleHash(mini.ns, mini.localIp, mini.localPort, mini.remoteIp, mini.remotePort),
  );
}

export function ehashRemove(record: usize): void {
  const mini = changetype<TcpMini>(record);
  if (!(mini.flags & SOCK_HASHED)) return;
  mini.flags &= ~SOCK_HASHED;
  tableRemove(changetype<HashTable>(ehash), record);
}

/** The record of that 4-tuple, or 0 (__inet_lookup_established). */
export function ehashLookup(ns: usize, localIp: u32, localPort: u32, remoteIp: u32, remotePort: u32): usize {
  if (ehash == 0) return 0;
  const hash = tupleHash(ns, localIp, localPort, remoteIp, remotePort);
  for (let p = tableFirst(changetype<HashTable>(ehash), hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const mini = changetype<TcpMini>(p);
    if (
      mini.remotePort == remotePort && mini.localPort == localPort && mini.remoteIp == remoteIp &&
      mini.localIp == localIp && mini.ns == ns
    )
      return p;
  }
  return 0;
}

export function listenInsert(tp: TcpSock): void {
  if (ehash == 0) tables();
  tp.flags |= SOCK_HASHED;
  tableInsert(changetype<HashTable>(lhash), changetype<usize>(tp), portHash(tp.ns, tp.localPort));
}

function listenRemove(tp: TcpSock): void {
  if (!(tp.flags & SOCK_HASHED)) return;
  tp.flags &= ~SOCK_HASHED;
  tableRemove(changetype<HashTable>(lhash), changetype<usize>(tp));
}

/** The listener for an address: a bound address before any address (inet_lhash2_lookup), or 0. */
export function listenLookup(ns: usize, ip: u32, port: u32): usize {
  if (ehash == 0) return 0;
  const hash = portHash(ns, port);
  let any: usize = 0;
  for (let p = tableFirst(changetype<HashTable>(lhash), hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const sk = changetype<Sock>(p);
    if (sk.localPort != port || sk.ns != ns) continue;
    if (sk.localIp == ip) return p;
    if (sk.localIp == 0) any = p;
  }
  return any;
}

/** A listener whose addresses overlap `ip` (0 = all), other than `self`; for bind conflicts. */
export function listenConflict(ns: usize, ip: u32, port: u32, self: usize): bool {
  if (ehash == 0) return false;
  const hash = portHash(ns, port);
  for (let p = tableFirst(changetype<HashTable>(lhash), hash); p != 0; p = linkNext(p)) {
    const sk = changetype<Sock>(p);
    if (p == self || sk.localPort != port || sk.ns != ns) continue;
    if (ip == 0 || sk.localIp == 0 || sk.localIp == ip) return true;
  }
  return false;
}

// ---------------------------------------------------------------------------------------------- ports

/** A port in use in a namespace (inet_bind_bucket). */
@unmanaged
export class BindBucket {
  hnext: u32;
  hhash: u32;
  ns: usize;
  port: u32;
  refs: u32;
  /** Taken by bind() (or inherited from a listener), not by connect(): connect() leaves it alone. */
  bound: u32;
}

/** The bucket of a port, or 0. */
export function bindFind(ns: usize, port: u32): usize {
  if (ehash == 0) return 0;
  const hash = portHash(ns, port);
  for (let p = tableFirst(changetype<HashTable>(bhash), hash); p != 0; p = linkNext(p)) {
    const bucket = changetype<BindBucket>(p);
    if (bucket.port == port && bucket.ns == ns) return p;
  }
  return 0;
}

/** Takes a reference to a port, making its bucket if need be. */
export function bindGet(ns: usize, port: u32, bound: bool): usize {
  if (ehash == 0) tables();
  let p = bindFind(ns, port);
  if (p == 0) {
    p = kmalloc(offsetof<BindBucket>());
    const fresh = changetype<BindBucket>(p);
    fresh.ns = ns;
    fresh.port = port;
    fresh.bound = <u32>bound;
    tableInsert(changetype<HashTable>(bhash), p, portHash(ns, port));
  }
  const bucket = changetype<BindBucket>(p);
  if (bound) bucket.bound = 1;
  bucket.refs++;
  return p;
}

@inline
export function bindHold(p: usize): usize {
  if (p != 0) changetype<BindBucket>(p).refs++;
  return p;
}

export function bindPut(p: usize): void {
  if (p == 0) return;
  const bucket = changetype<BindBucket>(p);
  if (--bucket.refs != 0) return;
  tableRemove(changetype<HashTable>(bhash), p);
  kfree(p, offsetof<BindBucket>());
}

// ---------------------------------------------------------------------------------------------- life

/** A new socket in state CLOSE (tcp_v4_init_sock). */
export function tcpNew(ns: NetNs): TcpSock {
  const tp = sockAlloc();
  sockInit(tp, ns, SOCK_TCP, IPPROTO_TCP);
  tcpInitSock(tp);
  return tp;
}

/** TCP's defaults of a fresh record (tcp_init_sock). */
export function tcpInitSock(tp: TcpSock): void {
  tcpInitTimers(tp);
  tp.state = TCP_CLOSE;
  tp.rxMax = TCP_RMEM_DEFAULT;
  tp.sndBuf = TCP_WMEM_DEFAULT;
  tp.txMax = 0xffffffff; // the send queue has its own limit: sndBuf
  tp.rto = TCP_TIMEOUT_INIT;
  tp.mdevUs = 4 * 250000;
  tp.minRtt0 = 0xffffffff;
  tp.minRtt1 = 0xffffffff;
  tp.minRtt2 = 0xffffffff;
  tp.cwnd = TCP_INIT_CWND;
  tp.ssthresh = TCP_INFINITE_SSTHRESH;
  tp.mssCache = TCP_MSS_DEFAULT;
  tp.mssClamp = 65535;
  tp.reordering = TCP_REORDERING;
  tp.rackSteps = 1;
  tp.caState = CA_OPEN;
  tp.cubEpoch = -1;
  tp.rcvqTime = 0;
}

/** Takes a socket out of the tables. */
export function tcpUnhash(tp: TcpSock): void {
  if (tp.state == TCP_LISTEN) listenRemove(tp);
  else ehashRemove(changetype<usize>(tp));
}

/** Drops the queues and timers of a socket, without a word on the wire. */
export function tcpRelease(tp: TcpSock): void {
  timersStop(tp);
  txPurge(tp);
  sockPurge(tp, DROP_NS_GONE);
  let p = tp.ofoHead;
  while (p != 0) {
    const skb = changetype<Skb>(p);
    p = <usize>skb.next;
    dropSkb(skb, DROP_NS_GONE);
  }
  tp.ofoHead = 0;
  tp.ofoTail = 0;
  tp.rxBytes = 0;
}

/** Frees a socket at once, without a word on the wire: its namespace dies, or everything was said. */
export function tcpDestroy(sk: Sock): void {
  const tp = changetype<TcpSock>(sk);
  if (tp.state == TCP_LISTEN) {
    reqsPurge(tp);
    while (tp.acceptHead != 0) {
      const child = changetype<TcpSock>(tp.acceptHead);
      tp.acceptHead = child.acceptNext;
      child.parent = 0;
      tcpDestroy(child);
    }
    tp.acceptTail = 0;
    tp.acceptCount = 0;
  }
  if (tp.parent != 0) acceptUnlink(tp);
  tcpUnhash(tp);
  tcpRelease(tp);
  bindPut(tp.bindBucket);
  tp.bindBucket = 0;
  tp.state = TCP_CLOSE;
  forgetWake(tp);
  sockUnlink(tp);
  kfree(changetype<usize>(tp), TCP_SOCK_SIZE);
}

/** Takes a connection that nobody accepted out of its listener's queue. */
function acceptUnlink(tp: TcpSock): void {
  const listener = changetype<TcpSock>(tp.parent);
  let previous: usize = 0;
  for (let p = listener.acceptHead; p != 0; p = changetype<TcpSock>(p).acceptNext) {
    if (p == changetype<usize>(tp)) {
      if (previous == 0) listener.acceptHead = tp.acceptNext;
      else changetype<TcpSock>(previous).acceptNext = tp.acceptNext;
      if (listener.acceptTail == p) listener.acceptTail = previous;
      listener.acceptCount--;
      break;
    }
    previous = p;
  }
  tp.parent = 0;
}

// ---------------------------------------------------------------------------------------------- receive

/** Receives a segment: skb.nh at the IP header, skb.th at the TCP header (tcp_v4_rcv). */
export function tcpRcv(skb: Skb): void {
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  if (skb.pktType != PACKET_HOST) {
    dropSkb(skb, DROP_OTHERHOST);
    return;
  }
  snmpInc(ns, SNMP_TCP_INSEGS);
  const th = skb.th;
  const length = <u32>(skb.data + skb.len - th);
  if (length < TCP_HLEN || tcpDoff(th) < TCP_HLEN || tcpDoff(th) > length) {
    snmpInc(ns, SNMP_TCP_INERRS);
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return;
  }
  const ip = skb.nh;
  if (!(skb.flags & SKB_CSUM_OK)) {
    if (fold64(pseudoSum(ip, IPPROTO_TCP, length) + sumBytes(th, length)) != 0xffff) {
      snmpInc(ns, SNMP_TCP_CSUMERRORS);
      snmpInc(ns, SNMP_TCP_INERRS);
      dropSkb(skb, DROP_TCP_CSUM);
      return;
    }
    skb.flags |= SKB_CSUM_OK;
  }
  const src = bswap<u32>(load<u32>(ip, 12));
  const dst = bswap<u32>(load<u32>(ip, 16));
  const flags = tcpFlags(th);
  // tcp_v4_fill_cb; skb.data moves to the payload.
  const doff = tcpDoff(th);
  skb.cb0 = tcpSeq(th);
  skb.cb1 = skb.cb0 + (length - doff) + <u32>((flags & TCPHDR_SYN) != 0) + (flags & TCPHDR_FIN);
  skb.cb2 = flags;
  skb.cb3 = tcpAckSeq(th);
  skb.data = th + doff;
  skb.len = length - doff;
  demux(ns, skb, src, dst);
}

function demux(ns: NetNs, skb: Skb, src: u32, dst: u32): void {
  const th = skb.th;
  let p = ehashLookup(changetype<usize>(ns), dst, tcpDport(th), src, tcpSport(th));
  if (p != 0) {
    const kind = changetype<TcpMini>(p).flags;
    if (kind & SOCK_TW) {
      twRcv(p, skb);
      return;
    }
    if (kind & SOCK_REQ) {
      reqRcv(p, skb);
      return;
    }
  } else {
    p = listenLookup(changetype<usize>(ns), dst, tcpDport(th));
    if (p == 0) {
      rcvNoSocket(ns, skb);
      return;
    }
  }
  tcpDoRcv(changetype<TcpSock>(p), skb);
}

/** A segment for nobody: a reset, unless it is one itself. Ends the packet. */
export function rcvNoSocket(ns: NetNs, skb: Skb): void {
  tcpSendReset(ns, skb);
  dropSkb(skb, DROP_TCP_NO_SOCKET);
}

/** Hands a segment to a socket by its state; ends the packet (tcp_v4_do_rcv). */
export function tcpDoRcv(tp: TcpSock, skb: Skb): void {
  tp.segsIn++;
  if (tp.state == TCP_ESTABLISHED) tcpRcvEstablished(tp, skb);
  else if (tp.state == TCP_LISTEN) listenRcv(tp, skb);
  else if (tp.state == TCP_CLOSE) {
    tcpSendReset(changetype<NetNs>(tp.ns), skb);
    dropSkb(skb, DROP_TCP_FLAGS);
  } else tcpRcvStateProcess(tp, skb);
}

/** Answers a segment with a reset, built from the segment alone (tcp_v4_send_reset). The segment stays the caller's. */
export function tcpSendReset(ns: NetNs, skb: Skb): void {
  const flags = skb.cb2;
  if (flags & TCPHDR_RST) return;
  const ip = skb.nh;
  const th = skb.th;
  let seq: u32 = 0;
  let ack: u32 = 0;
  let out = TCPHDR_RST;
  if (flags & TCPHDR_ACK) seq = skb.cb3;
  else {
    out |= TCPHDR_ACK;
    ack = skb.cb1;
  }
  const reply = allocSkb(changetype<Host>(ns.host), SKB_HEADROOM, TCP_HLEN);
  const at = skbPut(reply, TCP_HLEN);
  emitTcp(at, tcpDport(th), tcpSport(th), seq, ack, TCP_HLEN, out, 0);
  snmpInc(ns, SNMP_TCP_OUTRSTS);
  sendBare(ns, reply, bswap<u32>(load<u32>(ip, 16)), bswap<u32>(load<u32>(ip, 12)), <u32>load<u8>(ip, 1));
}

/** Checksums and sends a segment that belongs to no socket: DF, id 0 (ip_send_unicast_reply, ip_build_and_send_pkt). */
export function sendBare(ns: NetNs, skb: Skb, src: u32, dst: u32, tos: u32): i32 {
  const th = skb.data;
  skb.th = th;
  tcpChecksum(skb, th, skb.len, src, dst);
  return ipBuildAndSend(ns, skb, src, dst, IPPROTO_TCP, 64, tos, true, IPID_ZERO);
}

/** Fills in the checksum of a whole segment at `th`. */
@inline
export function tcpChecksum(skb: Skb, th: usize, length: u32, src: u32, dst: u32): void {
  const pseudo =
    <u64>bswap<u32>(src) + <u64>bswap<u32>(dst) + ((<u64>IPPROTO_TCP) << 8) + <u64>bswap<u16>(<u16>length);
  store<u16>(th, <u16>~fold64(pseudo + sumBytes(th, length)), 16);
  skb.flags |= SKB_CSUM_OK;
}
