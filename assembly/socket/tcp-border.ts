/**
 * The border of TCP: what `src/kernel` calls. Handles are socket addresses; results below 0 are negative errno.
 * A handle is valid until tcpClose or tcpAbort, or until its namespace is destroyed.
 *
 * A socket stands in the wake list (wakeList, wakeCount) when it became readable (data, end of stream, a connection to
 * accept), writable after a short send, connected, or failed.
 */
import {
  TCPINFO_BACKOFF, TCPINFO_BYTES_ACKED, TCPINFO_BYTES_RECEIVED, TCPINFO_CA_STATE, TCPINFO_CWND, TCPINFO_LOST,
  TCPINFO_MIN_RTT, TCPINFO_MSS, TCPINFO_PMTU, TCPINFO_RCV_SPACE, TCPINFO_RCV_WND, TCPINFO_RECORD, TCPINFO_REORDERING,
  TCPINFO_RETRANS, TCPINFO_RTO, TCPINFO_RTTVAR, TCPINFO_SACKED, TCPINFO_SEGS_IN, TCPINFO_SEGS_OUT, TCPINFO_SND_WND,
  TCPINFO_SRTT, TCPINFO_SSTHRESH, TCPINFO_STATE, TCPINFO_TOTAL_RETRANS, TCPINFO_UNACKED, TCPREC_HANDLE,
  TCPREC_LOCAL_IP, TCPREC_LOCAL_PORT, TCPREC_RECORD, TCPREC_REMOTE_IP, TCPREC_REMOTE_PORT, TCPREC_RXQ, TCPREC_STATE,
  TCPREC_TIMER, TCPREC_TXQ, TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT,
} from "../abi";
import { softirq } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { now } from "../sim/event";
import { timerDel, timerMod } from "../sim/timer";
import { SOCK_SINK, SOCK_TCP, Sock } from "./socket";
import { tcpNew } from "./tcp";
import { TcpReq } from "./tcp-minisocks";
import { NS_PER_SEC, TF_KEEPALIVE, TF_NODELAY } from "./tcp-const";
import { TcpSock, keepTimer, rtxTimer } from "./tcp-sock";
import { TcpTw, twLeft, twList } from "./tcp-timewait";
import {
  userAbort, userAccept, userBind, userClose, userConnect, userListen, userRecv, userSend, userShutdown,
} from "./tcp-user";
import { NAGLE_OFF, pushPending } from "./tcp-xmit";
import { sendPattern } from "./tcp-app";

@inline
function sock(handle: usize): TcpSock {
  return changetype<TcpSock>(handle);
}

/** A new socket in a namespace: its handle. */
export function tcpOpen(ns: usize): usize {
  return changetype<usize>(tcpNew(changetype<NetNs>(ns)));
}

/** 0, -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL. ip 0 = any, port 0 = ephemeral. */
export function tcpBind(handle: usize, ip: u32, port: u32): i32 {
  return userBind(sock(handle), ip, port);
}

/** 0 or -EADDRINUSE, -EINVAL. */
export function tcpListen(handle: usize, backlog: u32): i32 {
  return userListen(sock(handle), backlog);
}

/** Starts connecting: 0, or -ENETUNREACH, -EADDRNOTAVAIL, -EISCONN, -EALREADY. Then wait and look at tcpState. */
export function tcpConnect(handle: usize, ip: u32, port: u32): i32 {
  const err = userConnect(sock(handle), ip, port);
  softirq();
  return err;
}

/** Handle of a connection that completed its handshake, or -EAGAIN, -EINVAL. */
export function tcpAccept(handle: usize): i32 {
  return userAccept(sock(handle));
}

/** Sends `len` bytes at `from`: how many were taken (less when the send buffer is full), or -EPIPE, -EAGAIN, the pending error. */
export function tcpSend(handle: usize, from: usize, len: u32): i32 {
  const taken = userSend(sock(handle), from, len);
  softirq();
  return taken;
}

/** Copies up to `max` bytes to `into`: how many, 0 = end of stream, -EAGAIN nothing yet, else the pending error. */
export function tcpRecv(handle: usize, into: usize, max: u32): i32 {
  const got = userRecv(sock(handle), into, max);
  softirq();
  return got;
}

/** Ends sending: FIN behind what is queued. 0 or -ENOTCONN. */
export function tcpShutdown(handle: usize): i32 {
  const err = userShutdown(sock(handle));
  softirq();
  return err;
}

/** Closes; what is queued is still sent. The handle is gone. */
export function tcpClose(handle: usize): void {
  userClose(sock(handle));
  softirq();
}

/** RST at once. The handle is gone. */
export function tcpAbort(handle: usize): void {
  userAbort(sock(handle));
  softirq();
}

/** TCP_ESTABLISHED … TCP_CLOSING of abi.ts. */
export function tcpState(handle: usize): u32 {
  return sock(handle).state;
}

/** Local address, 0 while unbound. */
export function tcpLocalIp(handle: usize): u32 {
  return sock(handle).localIp;
}

/** Local port, 0 while unbound. */
export function tcpLocalPort(handle: usize): u32 {
  return sock(handle).localPort;
}

/** Address of the peer, 0 while there is none. */
export function tcpRemoteIp(handle: usize): u32 {
  return sock(handle).remoteIp;
}

/** Port of the peer, 0 while there is none. */
export function tcpRemotePort(handle: usize): u32 {
  return sock(handle).remotePort;
}

/** Bytes queued for sending and not yet acknowledged (SIOCOUTQ). */
export function tcpUnacked(handle: usize): u32 {
  const tp = sock(handle);
  return tp.state == TCP_SYN_SENT || tp.state == TCP_LISTEN || tp.state == TCP_CLOSE ? 0 : tp.writeSeq - tp.sndUna;
}

/** TCP_NODELAY. */
export function tcpSetNoDelay(handle: usize, on: u32): void {
  const tp = sock(handle);
  if (on) {
    tp.tf |= TF_NODELAY;
    pushPending(tp, NAGLE_OFF);
    softirq();
  } else tp.tf &= ~TF_NODELAY;
}

/** SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL (ns; 0 = 7200 s, 75 s) and TCP_KEEPCNT (0 = 9). */
export function tcpSetKeepalive(handle: usize, on: u32, idle: f64, interval: f64, probes: u32): void {
  const tp = sock(handle);
  tp.kaTime = idle > 0 ? <i64>idle : 7200 * NS_PER_SEC;
  tp.kaIntvl = interval > 0 ? <i64>interval : 75 * NS_PER_SEC;
  tp.kaProbes = probes != 0 ? probes : 9;
  if (!on) {
    tp.tf &= ~TF_KEEPALIVE;
    timerDel(keepTimer(tp));
    return;
  }
  tp.tf |= TF_KEEPALIVE;
  if (tp.state != TCP_CLOSE && tp.state != TCP_LISTEN && tp.state != TCP_SYN_SENT)
    timerMod(keepTimer(tp), now + tp.kaTime);
}

/**
 * Counts and frees what arrives instead of keeping it for a program, which is woken by data once `wakeAt` bytes have come in
 * all (infinity: never), and by the end as ever.
 */
export function tcpSetSink(handle: usize, on: u32, wakeAt: f64): void {
  const tp = sock(handle);
  if (on) tp.flags |= SOCK_SINK;
  else tp.flags &= ~SOCK_SINK;
  tp.sinkUntil = wakeAt < 9e18 ? <u64>wakeAt : u64.MAX_VALUE;
}

/** As tcpSend, `len` bytes of a fixed pattern. */
export function tcpSendPattern(handle: usize, len: u32): i32 {
  const sent = sendPattern(sock(handle), len);
  softirq();
  return sent;
}

/** Bytes received in order so far. */
export function tcpBytesReceived(handle: usize): f64 {
  return <f64>sock(handle).bytesReceived;
}

/** Writes a TCPINFO_* record to scratch; returns its size. */
export function tcpInfo(handle: usize): u32 {
  const tp = sock(handle);
  const at = scratch();
  store<u32>(at, tp.state, TCPINFO_STATE);
  store<u32>(at, tp.caState, TCPINFO_CA_STATE);
  store<u32>(at, tp.srttUs >> 3, TCPINFO_SRTT);
  store<u32>(at, tp.mdevUs >> 2, TCPINFO_RTTVAR);
  store<u32>(at, <u32>(tp.rto / 1000), TCPINFO_RTO);
  store<u32>(at, tp.cwnd, TCPINFO_CWND);
  store<u32>(at, tp.ssthresh, TCPINFO_SSTHRESH);
  store<u32>(at, tp.mssCache, TCPINFO_MSS);
  store<u32>(at, tp.retransmits, TCPINFO_RETRANS);
  store<u32>(at, tp.totalRetrans, TCPINFO_TOTAL_RETRANS);
  store<u32>(at, tp.rcvWnd, TCPINFO_RCV_WND);
  store<u32>(at, tp.sndWnd, TCPINFO_SND_WND);
  store<u32>(at, tp.packetsOut, TCPINFO_UNACKED);
  store<u32>(at, tp.rxMax, TCPINFO_RCV_SPACE);
  store<u32>(at, tp.reordering, TCPINFO_REORDERING);
  store<u32>(at, tp.pmtu, TCPINFO_PMTU);
  store<u32>(at, tp.lostOut, TCPINFO_LOST);
  store<u32>(at, tp.sackedOut, TCPINFO_SACKED);
  store<u32>(at, tp.minRtt0, TCPINFO_MIN_RTT);
  store<u32>(at, tp.backoff, TCPINFO_BACKOFF);
  store<u32>(at, tp.segsIn, TCPINFO_SEGS_IN);
  store<u32>(at, tp.segsOut, TCPINFO_SEGS_OUT);
  store<u64>(at, tp.bytesAcked, TCPINFO_BYTES_ACKED);
  store<u64>(at, tp.bytesReceived, TCPINFO_BYTES_RECEIVED);
  return TCPINFO_RECORD;
}

function record(at: usize, handle: usize, state: u32, sk: Sock, rxq: u32, txq: u32, timer: i64): void {
  store<u32>(at, <u32>handle, TCPREC_HANDLE);
  store<u32>(at, state, TCPREC_STATE);
  store<u32>(at, sk.localIp, TCPREC_LOCAL_IP);
  store<u32>(at, sk.localPort, TCPREC_LOCAL_PORT);
  store<u32>(at, sk.remoteIp, TCPREC_REMOTE_IP);
  store<u32>(at, sk.remotePort, TCPREC_REMOTE_PORT);
  store<u32>(at, rxq, TCPREC_RXQ);
  store<u32>(at, txq, TCPREC_TXQ);
  store<f64>(at, <f64>timer, TCPREC_TIMER);
}

/**
 * Writes TCPREC_* records of a namespace's sockets, connection requests (state TCP_SYN_RECV, handle 0) and TIME_WAIT records
 * (handle 0) to scratch, beginning with the `cursor`-th. Returns how many; call again with cursor + count until 0.
 */
export function tcpDump(nsHandle: usize, cursor: u32): u32 {
  const at = scratch();
  const room = SCRATCH_SIZE / TCPREC_RECORD;
  const end = cursor + room;
  let index: u32 = 0;
  let count: u32 = 0;
  for (let p = changetype<NetNs>(nsHandle).sockets; p != 0; p = changetype<Sock>(p).nsNext) {
    const sk = changetype<Sock>(p);
    if (sk.type != SOCK_TCP) continue;
    const tp = changetype<TcpSock>(p);
    if (index >= cursor && index < end) {
      const listening = tp.state == TCP_LISTEN;
      const timer = rtxTimer(tp).expires >= 0 ? rtxTimer(tp).expires - now : -1;
      const rxq = listening ? tp.acceptCount : readable(tp);
      const txq = listening ? tp.backlog : tcpUnacked(p);
      record(at + count++ * TCPREC_RECORD, p, tp.state, sk, rxq, txq, timer);
    }
    index++;
    for (let q = tp.reqHead; q != 0; q = changetype<TcpReq>(q).next) {
      if (index >= cursor && index < end)
        record(at + count++ * TCPREC_RECORD, 0, TCP_SYN_RECV, changetype<Sock>(q), 0, 0, -1);
      index++;
    }
  }
  for (let p = twList; p != 0; p = changetype<TcpTw>(p).next) {
    const tw = changetype<TcpTw>(p);
    if (tw.ns != nsHandle) continue;
    if (index >= cursor && index < end)
      record(at + count++ * TCPREC_RECORD, 0, tw.substate, changetype<Sock>(p), 0, 0, twLeft(p));
    index++;
  }
  return count;
}

function readable(tp: TcpSock): u32 {
  return tp.state == TCP_SYN_SENT || tp.state == TCP_CLOSE ? 0 : tp.rcvNxt - tp.copiedSeq;
}
