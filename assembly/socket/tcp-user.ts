/**
 * What programs do with a TCP socket: bind, listen, connect, accept, read, write, shut down, close, abort
 * (net/ipv4/tcp.c, tcp_ipv4.c tcp_v4_connect, inet_connection_sock.c). Errors are negative errno.
 */
import {
  EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EALREADY, EINVAL, EISCONN, ENETUNREACH, ENOTCONN, EPIPE, RTN_BROADCAST,
  RTN_MULTICAST, SYS_IP_NONLOCAL_BIND, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2,
  TCP_LAST_ACK, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT,
} from "../abi";
import { isLocalAddr } from "../inet/addr";
import { sysctl } from "../inet/inet";
import { RtResult, routeLookup, sockRoute } from "../inet/route";
import { SNMP_TCPEXT_TCPABORTONCLOSE, SNMP_TCP_ACTIVEOPENS, snmpInc } from "../inet/snmp";
import { Skb, consumeSkb } from "../memory/skb";
import { now } from "../sim/event";
import { rand32 } from "../sim/host";
import { TCPHDR_SYN, TCPOLEN_TSTAMP_ALIGNED, TCP_HLEN } from "../wire/tcp";
import { tcpBindPort, tcpConnectPort } from "./ports";
import { SOCK_DEAD, SOCK_KERNEL, forgetWake } from "./socket";
import { tcpDestroy } from "./tcp";
import { tcpReap } from "./tcp-input";
import { advertisedMss, isn, reqsPurge, secureSeq, tsOff } from "./tcp-minisocks";
import { iniClamp, iniScale, iniWnd, selectInitialWindow, sendActiveReset, syncMss, transmitSeg } from "./tcp-output";
import { cleanupRbuf, rcvSpaceAdjust } from "./tcp-rcvwin";
import {
  NS_PER_SEC, TCP_FIN_TIMEOUT, TCP_TIMEOUT_INIT, TF_BOUND, TF_BOUND_ADDR, TF_DONE, TF_IN_ACCEPT, TF_SHUT_RD,
  TF_SHUT_WR, TIME_RETRANS,
} from "./tcp-const";
import { TcpSock, rcvSpaceFull, tcpHost, tcpNs, tcpTimeStamp } from "./tcp-sock";
import {
  BindBucket, SOCK_TW, TcpMini, bindFind, bindGet, ehashInsert, ehashLookup, listenConflict, listenInsert,
} from "./tcp-tables";
import { rethinkTxhash } from "./tcp-timer";
import { TcpTw, timeWaitFrom, twKill } from "./tcp-timewait";
import { segAppend, segNew, tsAppend } from "./tcp-txq";
import { queueData, resetXmitTimer, sendFin } from "./tcp-xmit";

// ---------------------------------------------------------------------------------------------- bind, listen

/**
 * May `port` not be bound? All programs set SO_REUSEADDR (as Go and busybox do), so only a listener of an overlapping
 * address is in the way (inet_csk_bind_conflict).
 */
function bindTaken(arg: usize, port: u32): bool {
  const tp = changetype<TcpSock>(arg);
  return listenConflict(tp.ns, tp.localIp, port, arg);
}

/** As bindTaken, for bind(0): a port that anybody uses is left alone. */
function anyTaken(arg: usize, port: u32): bool {
  const tp = changetype<TcpSock>(arg);
  return bindFind(tp.ns, port) != 0;
}

/** Binds; ip 0 = any, port 0 = an ephemeral one (inet_bind, inet_csk_get_port). */
export function userBind(tp: TcpSock, ip: u32, port: u32): i32 {
  if (tp.state != TCP_CLOSE || tp.tf & TF_BOUND) return -EINVAL;
  if (ip != 0 && !isLocalAddr(tcpNs(tp), ip) && sysctl(tcpNs(tp), SYS_IP_NONLOCAL_BIND) == 0) return -EADDRNOTAVAIL;
  tp.localIp = ip;
  const at = changetype<usize>(tp);
  let chosen = port;
  if (port == 0) {
    chosen = tcpBindPort(tcpNs(tp), changetype<usize>(anyTaken), at);
    if (chosen == 0) {
      tp.localIp = 0;
      return -EADDRINUSE;
    }
  } else if (bindTaken(at, port)) {
    tp.localIp = 0;
    return -EADDRINUSE;
  }
  tp.localPort = chosen;
  tp.bindBucket = bindGet(tp.ns, chosen, true);
  tp.tf |= TF_BOUND;
  if (ip != 0) tp.tf |= TF_BOUND_ADDR;
  return 0;
}

/** Listens; a backlog of 0 still lets one connection wait (inet_listen). */
export function userListen(tp: TcpSock, backlog: u32): i32 {
  const most = backlog < 4096 ? backlog : 4096; // somaxconn
  if (tp.state == TCP_LISTEN) {
    tp.backlog = most;
    return 0;
  }
  if (tp.state != TCP_CLOSE || tp.remotePort != 0) return -EINVAL;
  if (!(tp.tf & TF_BOUND)) {
    const err = userBind(tp, 0, 0);
    if (err != 0) return err;
  }
  if (bindTaken(changetype<usize>(tp), tp.localPort)) return -EADDRINUSE;
  tp.backlog = most;
  tp.state = TCP_LISTEN;
  listenInsert(tp);
  return 0;
}

/** Takes a connection from the queue: its handle, or -EAGAIN (inet_csk_accept). */
export function userAccept(tp: TcpSock): i32 {
  if (tp.state != TCP_LISTEN) return -EINVAL;
  const p = tp.acceptHead;
  if (p == 0) return -EAGAIN;
  const child = changetype<TcpSock>(p);
  tp.acceptHead = child.acceptNext;
  if (tp.acceptHead == 0) tp.acceptTail = 0;
  tp.acceptCount--;
  child.parent = 0;
  child.acceptNext = 0;
  child.tf &= ~TF_IN_ACCEPT;
  child.flags &= ~SOCK_KERNEL;
  return <i32>p;
}

// ---------------------------------------------------------------------------------------------- connect

/** TIME_WAIT record that connect() takes over, 0 = none. */
let reuse: usize = 0;

/** Is the 4-tuple in use? TIME_WAIT on loopback may be taken over after 1 s (tcp_tw_reuse 2, tcp_twsk_unique). */
function tupleTaken(tp: TcpSock, port: u32): bool {
  reuse = 0;
  const p = ehashLookup(tp.ns, tp.localIp, port, tp.remoteIp, tp.remotePort);
  if (p == 0) return false;
  if (!(changetype<TcpMini>(p).flags & SOCK_TW)) return true;
  const tw = changetype<TcpTw>(p);
  if (tp.remoteIp >> 24 != 127 || !tw.tsOk || now - tw.tsRecentStamp <= NS_PER_SEC) return true;
  reuse = p;
  return false;
}

function connectTaken(arg: usize, port: u32): bool {
  const tp = changetype<TcpSock>(arg);
  reuse = 0;
  const p = bindFind(tp.ns, port);
  if (p == 0) return false;
  if (changetype<BindBucket>(p).bound) return true;
  return tupleTaken(tp, port);
}

/** Starts a connection (tcp_v4_connect). 0, or -ENETUNREACH, -EADDRNOTAVAIL, -EISCONN … */
export function userConnect(tp: TcpSock, ip: u32, port: u32): i32 {
  if (tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV) return -EALREADY;
  if (tp.state == TCP_LISTEN || tp.state != TCP_CLOSE || tp.writeSeq != 0) return -EISCONN;
  if (port == 0) return -EADDRNOTAVAIL;
  const dst = ip == 0 ? 0x7f000001 : ip;
  const err = routeLookup(tcpNs(tp), dst, tp.localIp, 0);
  if (err != 0) return err;
  if (RtResult.rtType == RTN_BROADCAST || RtResult.rtType == RTN_MULTICAST) return -ENETUNREACH;
  const boundIp = tp.localIp;
  if (tp.localIp == 0) tp.localIp = RtResult.rtSrc;
  tp.remoteIp = dst;
  tp.remotePort = port;
  if (!choosePort(tp)) {
    tp.localIp = boundIp;
    tp.remoteIp = 0;
    tp.remotePort = 0;
    return -EADDRNOTAVAIL;
  }
  startConnect(tp);
  return 0;
}

function choosePort(tp: TcpSock): bool {
  if (tp.tf & TF_BOUND) return !tupleTaken(tp, tp.localPort);
  const at = changetype<usize>(tp);
  const port = tcpConnectPort(tcpNs(tp), tp.localIp, tp.remoteIp, tp.remotePort, changetype<usize>(connectTaken), at);
  if (port == 0) return false;
  tp.localPort = port;
  tp.bindBucket = bindGet(tp.ns, port, false);
  return true;
}

/** Sequence numbers, windows and the SYN (tcp_connect_init, tcp_connect). */
function startConnect(tp: TcpSock): void {
  const host = tcpHost(tp);
  secureSeq(host, tp.localIp, tp.remoteIp, tp.localPort, tp.remotePort);
  let seq = isn == 0 ? 1 : isn;
  tp.tsOffset = tsOff;
  if (reuse != 0) {
    const tw = changetype<TcpTw>(reuse);
    seq = tw.sndNxt + 65537;
    if (seq == 0) seq = 1;
    tp.tsRecent = tw.tsRecent;
    tp.tsRecentStamp = tw.tsRecentStamp;
    twKill(reuse);
    reuse = 0;
  }
  tp.ipid = rand32(host) & 0xffff;
  rethinkTxhash(tp);
  tp.state = TCP_SYN_SENT;
  ehashInsert(changetype<usize>(tp));
  snmpInc(tcpNs(tp), SNMP_TCP_ACTIVEOPENS);
  tp.advmss = advertisedMss();
  tp.headerLen = TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED;
  sockRoute(tp);
  syncMss(tp, RtResult.rtMtu);
  selectInitialWindow(<u32>rcvSpaceFull(tp), tp.advmss - (tp.tsRecentStamp != 0 ? TCPOLEN_TSTAMP_ALIGNED : 0), true);
  tp.rcvWnd = iniWnd;
  tp.windowClamp = iniClamp;
  tp.rcvWscale = iniScale;
  tp.rcvSsthresh = tp.rcvWnd;
  tp.sndUna = seq;
  tp.sndSml = seq;
  tp.rttSeq = seq;
  tp.writeSeq = seq + 1;
  tp.pushedSeq = tp.writeSeq;
  tp.sndNxt = tp.writeSeq;
  tp.rto = TCP_TIMEOUT_INIT;
  tp.retransStamp = tcpTimeStamp(tp);
  tp.rcvTstamp = now;
  const syn = segNew(0);
  syn.seq = seq;
  syn.endSeq = tp.writeSeq;
  syn.flags = TCPHDR_SYN;
  segAppend(tp, syn);
  tp.sendHead = 0;
  tp.packetsOut = 1;
  tsAppend(tp, syn);
  tp.highestSack = changetype<usize>(syn);
  transmitSeg(tp, syn);
  resetXmitTimer(tp, TIME_RETRANS, tp.rto);
}

// ---------------------------------------------------------------------------------------------- data

/** Queues bytes: how many were taken, or -EPIPE or the pending error, -EAGAIN while connecting. */
export function userSend(tp: TcpSock, from: usize, len: u32): i32 {
  if (tp.err != 0) {
    const err = <i32>tp.err;
    tp.err = 0;
    return -err;
  }
  if (tp.tf & TF_SHUT_WR) return -EPIPE;
  if (tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV) return -EAGAIN;
  if (tp.state != TCP_ESTABLISHED && tp.state != TCP_CLOSE_WAIT) return -EPIPE;
  return <i32>queueData(tp, from, len);
}

/** Copies up to `max` received bytes: how many; 0 = end of stream; -EAGAIN nothing yet; the pending error; -ENOTCONN. */
export function userRecv(tp: TcpSock, into: usize, max: u32): i32 {
  let copied: u32 = 0;
  while (copied < max && tp.rxHead != 0) {
    const skb = changetype<Skb>(tp.rxHead);
    const part = skb.len < max - copied ? skb.len : max - copied;
    memory.copy(into + copied, skb.data, part);
    copied += part;
    skb.data += part;
    skb.len -= part;
    skb.cb0 += part;
    if (skb.len != 0) break;
    tp.rxHead = <usize>skb.next;
    if (tp.rxHead == 0) tp.rxTail = 0;
    tp.rxBytes -= skb.truesize;
    tp.rxCount--;
    consumeSkb(skb);
  }
  if (copied != 0) {
    tp.copiedSeq += copied;
    if (tp.state != TCP_CLOSE) {
      rcvSpaceAdjust(tp);
      cleanupRbuf(tp, copied);
    }
    return <i32>copied;
  }
  if (max == 0) return 0;
  if (tp.tf & TF_DONE) return 0;
  if (tp.err != 0) {
    const err = <i32>tp.err;
    tp.err = 0;
    return -err;
  }
  if (tp.tf & TF_SHUT_RD) return 0;
  if (tp.state == TCP_CLOSE || tp.state == TCP_LISTEN) return -ENOTCONN;
  return -EAGAIN;
}

// ---------------------------------------------------------------------------------------------- the end

/** tcp_close_state: the next state; true when a FIN is to be sent. */
function closeState(tp: TcpSock): bool {
  switch (tp.state) {
    case TCP_ESTABLISHED:
    case TCP_SYN_RECV: {
      tp.state = TCP_FIN_WAIT1;
      return true;
    }
    case TCP_CLOSE_WAIT: {
      tp.state = TCP_LAST_ACK;
      return true;
    }
    default:
      return false;
  }
}

/** shutdown(SHUT_WR): FIN behind what is queued (tcp_shutdown). */
export function userShutdown(tp: TcpSock): i32 {
  if (tp.state == TCP_CLOSE || tp.state == TCP_LISTEN || tp.state == TCP_SYN_SENT) return -ENOTCONN;
  tp.tf |= TF_SHUT_WR;
  if (closeState(tp)) sendFin(tp);
  return 0;
}

/** Closes a listener: who waits in its queue is reset (inet_csk_listen_stop). */
function stopListening(tp: TcpSock): void {
  reqsPurge(tp);
  while (tp.acceptHead != 0) {
    const child = changetype<TcpSock>(tp.acceptHead);
    tp.acceptHead = child.acceptNext;
    child.parent = 0;
    userAbort(child);
  }
  tp.acceptTail = 0;
  tp.acceptCount = 0;
}

/** The program gives the socket up; the handle is invalid from here on (tcp_close). */
export function userClose(tp: TcpSock): void {
  forgetWake(tp);
  tp.flags |= SOCK_DEAD;
  tp.tf |= TF_SHUT_RD | TF_SHUT_WR;
  if (tp.state == TCP_LISTEN) {
    stopListening(tp);
    tcpDestroy(tp);
    return;
  }
  const unread = tp.rxHead != 0;
  while (tp.rxHead != 0) {
    const skb = changetype<Skb>(tp.rxHead);
    tp.rxHead = <usize>skb.next;
    tp.rxBytes -= skb.truesize;
    consumeSkb(skb);
  }
  tp.rxTail = 0;
  tp.rxCount = 0;
  if (tp.state == TCP_CLOSE || tp.state == TCP_SYN_SENT) {
    tcpDestroy(tp);
    return;
  }
  if (unread) {
    // Data that nobody read: the peer must learn that it was lost (RFC 2525 2.17).
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPABORTONCLOSE);
    sendActiveReset(tp);
    tcpDestroy(tp);
    return;
  }
  if (closeState(tp)) sendFin(tp);
  if (tp.state == TCP_FIN_WAIT2) timeWaitFrom(tp, TCP_FIN_WAIT2, TCP_FIN_TIMEOUT);
  tcpReap(tp);
}

/** RST at once, then as userClose (tcp_abort, tcp_disconnect). */
export function userAbort(tp: TcpSock): void {
  forgetWake(tp);
  tp.flags |= SOCK_DEAD;
  if (tp.state == TCP_LISTEN) stopListening(tp);
  else if (
    tp.state == TCP_ESTABLISHED || tp.state == TCP_CLOSE_WAIT || tp.state == TCP_FIN_WAIT1 ||
    tp.state == TCP_FIN_WAIT2 || tp.state == TCP_SYN_RECV
  )
    sendActiveReset(tp);
  tcpDestroy(tp);
}
