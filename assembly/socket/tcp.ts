/**
 * TCP's front door: life of a socket, demultiplexing of received segments, resets to nobody (net/ipv4/tcp_ipv4.c). The
 * parts behind it: tcp-sock (record), tcp-tables, tcp-input and tcp-receive, tcp-ack, tcp-sack, tcp-recovery, tcp-cubic,
 * tcp-output and tcp-xmit, tcp-timer, tcp-minisocks (requests, TIME_WAIT), tcp-icmp, tcp-user and tcp-border.
 */
import {
  DROP_NS_GONE, DROP_OTHERHOST, DROP_PKT_TOO_SMALL, DROP_TCP_CLOSE, DROP_TCP_CSUM, DROP_TCP_NO_SOCKET, IPPROTO_TCP,
  TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, DELIVER_TCP, DELIVER_TCP_LISTEN, DELIVER_TCP_WAIT,
} from "../abi";
import { IPID_ZERO, ipBuildAndSend } from "../inet/output";
import { SNMP_TCP_CSUMERRORS, SNMP_TCP_INERRS, SNMP_TCP_INSEGS, SNMP_TCP_OUTRSTS, snmpInc } from "../inet/snmp";
import { markDeliver, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree } from "../memory/arena";
import { PACKET_HOST, SKB_CSUM_OK, SKB_HEADROOM, Skb, allocSkb, dropSkb, skbPut } from "../memory/skb";
import { now } from "../sim/event";
import { timerMod, timerPending } from "../sim/timer";
import { Host } from "../sim/host";
import { fold64, pseudoSum, sumBytes } from "../wire/checksum";
import {
  TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCP_HLEN, emitTcp, tcpAckSeq, tcpDoff, tcpDport, tcpFlags, tcpSeq,
  tcpSport,
} from "../wire/tcp";
import { appDetach } from "./tcp-app";
import { SOCK_DEAD, SOCK_TCP, Sock, forgetWake, sockInit, sockPurge, sockUnlink } from "./socket";
import { tcpErr } from "./tcp-icmp";
import { tcpRcvEstablished, tcpRcvStateProcess } from "./tcp-input";
import { listenRcv, reqRcv, reqsPurge } from "./tcp-minisocks";
import {
  CA_OPEN, TCP_INFINITE_SSTHRESH, TCP_INIT_CWND, TCP_MSS_DEFAULT, TCP_REORDERING, TCP_RMEM_DEFAULT, TCP_TIMEOUT_INIT,
  TCP_WMEM_DEFAULT, TF_TSQ,
} from "./tcp-const";
import { TCP_SOCK_SIZE, TcpSock, sockAlloc, timersStop, tsqTimer } from "./tcp-sock";
import {
  SOCK_REQ, SOCK_TW, SOCK_ZOMBIE, TcpMini, bindPut, ehashLookup, ehashRemove, listenLookup, listenRemove,
} from "./tcp-tables";
import { tcpInitTimers } from "./tcp-timer";
import { twRcv } from "./tcp-timewait";
import { txPurge } from "./tcp-txq";

export { tcpErr } from "./tcp-icmp";

// Skb.cb of a received segment: cb0 = seq, cb1 = end_seq (SYN and FIN counted), cb2 = TCPHDR_* flags, cb3 = ack_seq.

// ---------------------------------------------------------------------------------------------- life

/** A new socket in state CLOSE (tcp_v4_init_sock). */
export function tcpNew(ns: NetNs): TcpSock {
  const tp = sockAlloc();
  sockInit(tp, ns, SOCK_TCP, IPPROTO_TCP);
  tcpInitSock(tp);
  return tp;
}

/** TCP's defaults of a fresh record (tcp_init_sock). */
function tcpInitSock(tp: TcpSock): void {
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
function tcpRelease(tp: TcpSock): void {
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
  if (tp.app != 0) appDetach(tp);
  forgetWake(tp);
  sockUnlink(tp);
  tp.flags |= SOCK_DEAD | SOCK_ZOMBIE;
  if (tp.txBytes == 0) kfree(changetype<usize>(tp), TCP_SOCK_SIZE);
}

/** A packet that was charged to the socket has left the host's queues (tcp_wfree). */
export function tcpWfree(sk: Sock, truesize: u32): void {
  const tp = changetype<TcpSock>(sk);
  tp.txBytes -= truesize;
  if (tp.flags & SOCK_ZOMBIE) {
    if (tp.txBytes == 0) kfree(changetype<usize>(tp), TCP_SOCK_SIZE);
  } else if (tp.tf & TF_TSQ && !timerPending(tsqTimer(tp))) timerMod(tsqTimer(tp), now);
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
    if (marking) markDeliver(skb, kind & (SOCK_TW | SOCK_REQ) ? DELIVER_TCP_WAIT : DELIVER_TCP, tcpDport(th), tcpSport(th));
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
    if (marking) markDeliver(skb, DELIVER_TCP_LISTEN, tcpDport(th), tcpSport(th));
  }
  tcpDoRcv(changetype<TcpSock>(p), skb);
}

/** A segment for nobody: a reset, unless it is one itself. Ends the packet. */
function rcvNoSocket(ns: NetNs, skb: Skb): void {
  tcpSendReset(ns, skb);
  dropSkb(skb, DROP_TCP_NO_SOCKET);
}

/** Hands a segment to a socket by its state; ends the packet (tcp_v4_do_rcv). */
function tcpDoRcv(tp: TcpSock, skb: Skb): void {
  tp.segsIn++;
  if (tp.state == TCP_ESTABLISHED) tcpRcvEstablished(tp, skb);
  else if (tp.state == TCP_LISTEN) listenRcv(tp, skb);
  else if (tp.state == TCP_CLOSE) {
    tcpSendReset(changetype<NetNs>(tp.ns), skb);
    dropSkb(skb, DROP_TCP_CLOSE);
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
