/**
 * Deciding what to send: new data (Nagle, congestion and receive window, small queues), retransmissions, tail loss
 * probes, FIN, and the queueing of what programs write (net/ipv4/tcp_output.c, tcp.c tcp_sendmsg).
 */
import { TCP_CLOSE } from "../abi";
import { SNMP_TCPEXT_TCPAUTOCORKING, snmpInc } from "../inet/snmp";
import { now } from "../sim/event";
import { timerDel, timerMod } from "../sim/timer";
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_PSH, after, before } from "../wire/tcp";
import { cubicCwndRestart } from "./tcp-cubic";
import { currentMss, transmitSeg } from "./tcp-output";
import { scheduleLossProbe, segSplit } from "./tcp-retrans";
import {
  CA_CWR, CA_OPEN, CA_RECOVERY, NS_PER_US, TCP_INIT_CWND, TCP_RTO_MAX, TCP_RTO_MIN, TF_CWND_LIMITED, TF_NODELAY,
  TF_NOSPACE, TF_TSQ, TIME_LOSS_PROBE, TIME_NONE, TIME_PROBE0, TIME_REO, TIME_RETRANS,
} from "./tcp-const";
import { TcpSock, TxSeg, currentSsthresh, inSlowStart, maxU, minU, packetsInFlight, rtxTimer, tcpNs, wndEnd } from "./tcp-sock";
import { rtxQueueEmpty, segAppend, segNew, tsAppend } from "./tcp-txq";

/** nonagle argument of writeXmit (TCP_NAGLE_*). */
export const NAGLE_DEFAULT: u32 = 0;
export const NAGLE_OFF: u32 = 1;
export const NAGLE_PUSH: u32 = 4;

/** Bytes that may wait in this host's own device queues: 1 MiB (tcp_limit_output_bytes). */
const LIMIT_OUTPUT: u32 = 1048576;

// ---------------------------------------------------------------------------------------------- timers

/** Arms the one timer for retransmission, probe, TLP or reordering (tcp_reset_xmit_timer). */
export function resetXmitTimer(tp: TcpSock, kind: u32, delay: i64): void {
  if (delay > TCP_RTO_MAX) delay = TCP_RTO_MAX;
  tp.timerKind = kind;
  tp.timeout = now + delay;
  timerMod(rtxTimer(tp), tp.timeout);
}

/** Stops the retransmit timer, whatever it stands for (inet_csk_clear_xmit_timer). */
export function clearXmitTimer(tp: TcpSock): void {
  tp.timerKind = TIME_NONE;
  timerDel(rtxTimer(tp));
}

/** Time until the oldest segment's RTO; may be negative (tcp_rto_delta_us). */
export function rtoDelta(tp: TcpSock): i64 {
  if (tp.txHead == 0) return tp.rto;
  return changetype<TxSeg>(tp.txHead).time + tp.rto - now;
}

/** Restarts the retransmission timer, or stops it when all is acknowledged (tcp_rearm_rto, RFC 6298 5.2, 5.3). */
export function rearmRto(tp: TcpSock): void {
  if (tp.packetsOut == 0) {
    clearXmitTimer(tp);
    return;
  }
  let delay = tp.rto;
  if (tp.timerKind == TIME_REO || tp.timerKind == TIME_LOSS_PROBE) {
    delay = rtoDelta(tp);
    if (delay < NS_PER_US) delay = NS_PER_US;
  }
  resetXmitTimer(tp, TIME_RETRANS, delay);
}

/** First interval of window probes: the RTO, at least 200 ms (tcp_probe0_base). */
@inline
function probe0Base(tp: TcpSock): i64 {
  return tp.rto > TCP_RTO_MIN ? tp.rto : TCP_RTO_MIN;
}

/** tcp_probe0_when: backed off. */
export function probe0When(tp: TcpSock, most: i64): i64 {
  const shift = tp.backoff < 9 ? tp.backoff : 9; // ilog2(TCP_RTO_MAX / TCP_RTO_MIN)
  const when = probe0Base(tp) << <i64>shift;
  return when < most ? when : most;
}

/** tcp_check_probe_timer: nothing in flight, something to send, no window: probe. */
function checkProbeTimer(tp: TcpSock): void {
  if (tp.packetsOut == 0 && tp.timerKind == TIME_NONE) resetXmitTimer(tp, TIME_PROBE0, probe0Base(tp));
}

// ---------------------------------------------------------------------------------------------- new data

/** A segment that carries less than a full MSS waits (Nagle with Minshall's change). */
@inline
function nagleHolds(tp: TcpSock, seg: TxSeg, mss: u32, nonagle: u32): bool {
  if (nonagle & (NAGLE_PUSH | NAGLE_OFF) || seg.flags & TCPHDR_FIN || seg.len >= mss) return false;
  return tp.packetsOut != 0 && after(tp.sndSml, tp.sndUna) && !after(tp.sndSml, tp.sndNxt);
}

/** tcp_small_queue_check: too much of this connection stands in the host's own queues. */
export function smallQueueCheck(tp: TcpSock, len: u32): bool {
  // About 1 ms of data at the current rate, at least two segments.
  let limit: u32 = 2 * (len + 1024);
  if (tp.srttUs != 0) {
    const rate = ((<u64>tp.mssCache * <u64>maxU(tp.cwnd, tp.packetsOut) * 8 * 1000000) / <u64>tp.srttUs);
    const factor: u64 = tp.cwnd < tp.ssthresh >> 1 ? 200 : 120;
    const share = ((rate * factor) / 100) >> 10;
    if (share > <u64>limit) limit = share > <u64>LIMIT_OUTPUT ? LIMIT_OUTPUT : <u32>share;
  } else limit = LIMIT_OUTPUT;
  if (tp.txBytes <= limit) return false;
  // Always something on the way when the retransmit queue is empty.
  if (rtxQueueEmpty(tp)) return false;
  tp.tf |= TF_TSQ;
  return true;
}

/** A segment lies within the peer's window (tcp_snd_wnd_test). */
@inline
export function windowAllows(tp: TcpSock, seg: TxSeg, mss: u32): bool {
  const end = seg.len > mss ? seg.seq + mss : seg.endSeq;
  return !after(end, wndEnd(tp));
}

/**
 * Sends what the windows allow; pushOne: 0 all, 1 one segment, 2 one segment past the congestion window (TLP).
 * True when data waits and nothing is in flight: the caller arms the probe timer (tcp_write_xmit).
 */
export function writeXmit(tp: TcpSock, mss: u32, nonagle: u32, pushOne: u32): bool {
  let sent: u32 = 0;
  while (tp.sendHead != 0) {
    const seg = changetype<TxSeg>(tp.sendHead);
    if (packetsInFlight(tp) >= tp.cwnd && !(seg.flags & TCPHDR_FIN && seg.len <= mss) && pushOne != 2) break;
    if (!windowAllows(tp, seg, mss)) break;
    if (seg.len > mss) segSplit(tp, seg, mss);
    if (nagleHolds(tp, seg, mss, seg.next == 0 ? nonagle : NAGLE_PUSH)) break;
    if (tp.txBytes > 4096 && smallQueueCheck(tp, seg.len)) break;
    if (transmitSeg(tp, seg) != 0) break;
    newDataSent(tp, seg);
    if (seg.len < mss) tp.sndSml = seg.endSeq; // tcp_minshall_update
    sent++;
    if (pushOne) break;
  }
  const limited = packetsInFlight(tp) >= tp.cwnd;
  if (sent != 0 || limited) cwndValidate(tp, limited);
  if (sent != 0) {
    if (tp.caState == CA_CWR || tp.caState == CA_RECOVERY) tp.prrOut += sent;
    if (pushOne != 2) scheduleLossProbe(tp, false);
    return false;
  }
  return tp.packetsOut == 0 && tp.sendHead != 0;
}

/** tcp_event_new_data_sent. */
export function newDataSent(tp: TcpSock, seg: TxSeg): void {
  const first = tp.packetsOut == 0;
  tp.sendHead = seg.next;
  tp.sndNxt = seg.endSeq;
  if (tp.highestSack == 0) tp.highestSack = changetype<usize>(seg);
  tsAppend(tp, seg);
  tp.packetsOut++;
  if (first || tp.timerKind == TIME_LOSS_PROBE) rearmRto(tp);
}

/** __tcp_push_pending_frames. */
export function pushPending(tp: TcpSock, nonagle: u32): void {
  if (tp.sendHead == 0 || tp.state == TCP_CLOSE) return;
  if (writeXmit(tp, currentMss(tp), nonagle, 0)) checkProbeTimer(tp);
}

/** As the socket's own setting has it (tcp_push_pending_frames). */
@inline
export function pushFrames(tp: TcpSock): void {
  pushPending(tp, tp.tf & TF_NODELAY ? NAGLE_OFF : NAGLE_DEFAULT);
}

/** tcp_is_cwnd_limited. */
export function isCwndLimited(tp: TcpSock): bool {
  if (tp.tf & TF_CWND_LIMITED) return true;
  return inSlowStart(tp) && tp.cwnd < 2 * tp.maxPacketsOut;
}

/** tcp_cwnd_validate (RFC 2861, RFC 7661). */
function cwndValidate(tp: TcpSock, limited: bool): void {
  if (
    !before(tp.sndUna, tp.cwndUsageSeq) || limited ||
    (!(tp.tf & TF_CWND_LIMITED) && tp.packetsOut > tp.maxPacketsOut)
  ) {
    if (limited) tp.tf |= TF_CWND_LIMITED;
    else tp.tf &= ~TF_CWND_LIMITED;
    tp.maxPacketsOut = tp.packetsOut;
    tp.cwndUsageSeq = tp.sndNxt;
  }
  if (isCwndLimited(tp)) {
    tp.cwndUsed = 0;
    tp.cwndStamp = now;
    return;
  }
  if (tp.packetsOut > tp.cwndUsed) tp.cwndUsed = tp.packetsOut;
  if (now - tp.cwndStamp < tp.rto) return;
  // tcp_cwnd_application_limited
  if (tp.caState == CA_OPEN && !(tp.tf & TF_NOSPACE)) {
    const used = maxU(tp.cwndUsed, TCP_INIT_CWND);
    if (used < tp.cwnd) {
      tp.ssthresh = currentSsthresh(tp);
      tp.cwnd = (tp.cwnd + used) >> 1;
    }
    tp.cwndUsed = 0;
  }
  tp.cwndStamp = now;
}

/** tcp_slow_start_after_idle_check, tcp_cwnd_restart: after an idle RTO the window starts over. */
function restartAfterIdle(tp: TcpSock): void {
  if (tp.packetsOut != 0 || tp.lsndTime == 0) return;
  let delta = now - tp.lsndTime;
  if (delta <= tp.rto) return;
  cubicCwndRestart(tp);
  tp.ssthresh = currentSsthresh(tp);
  const restart = minU(TCP_INIT_CWND, tp.cwnd);
  let cwnd = tp.cwnd;
  for (delta -= tp.rto; delta > 0 && cwnd > restart; delta -= tp.rto) cwnd >>= 1;
  tp.cwnd = maxU(cwnd, restart);
  tp.cwndStamp = now;
  tp.cwndUsed = 0;
}

/**
 * Queues bytes of a program and sends what may go (tcp_sendmsg_locked). Returns how many were taken; less than
 * `len` when the send buffer is full (then the socket wakes its program when there is room).
 */
export function queueData(tp: TcpSock, from: usize, len: u32): u32 {
  let taken: u32 = 0;
  const mss = currentMss(tp);
  const nonagle = tp.tf & TF_NODELAY ? NAGLE_OFF : NAGLE_DEFAULT;
  while (taken < len) {
    let seg = changetype<TxSeg>(tp.sendHead == 0 ? <usize>0 : tp.txTail);
    let room: u32 = 0;
    if (changetype<usize>(seg) != 0) {
      const most = minU(mss, seg.cap - <u32>(seg.data - changetype<usize>(seg) - offsetof<TxSeg>()));
      if (seg.len < most) room = most - seg.len;
    }
    if (room == 0) {
      if (tp.wmemQueued >= tp.sndBuf) break;
      if (tp.sendHead == 0) restartAfterIdle(tp);
      seg = segNew(segRoom(len - taken, mss));
      seg.seq = tp.writeSeq;
      seg.endSeq = tp.writeSeq;
      seg.flags = TCPHDR_ACK;
      segAppend(tp, seg);
      room = minU(seg.cap, mss);
    }
    const part = minU(room, len - taken);
    memory.copy(seg.data + seg.len, from + taken, part);
    seg.len += part;
    seg.endSeq += part;
    tp.writeSeq += part;
    tp.wmemQueued += part;
    taken += part;
    if (taken == len) break;
    if (forcedPush(tp)) {
      markPush(tp, seg);
      pushPending(tp, NAGLE_PUSH);
    } else if (changetype<usize>(seg) == tp.sendHead && seg.len >= mss) writeXmit(tp, mss, NAGLE_PUSH, 1);
  }
  if (taken < len) tp.tf |= TF_NOSPACE;
  if (taken != 0) {
    if (tp.sendHead != 0) markPush(tp, changetype<TxSeg>(tp.txTail));
    if (!autocork(tp, mss)) pushPending(tp, taken < len ? NAGLE_PUSH : nonagle);
  }
  return taken;
}

/** Room of a fresh segment: a full one, or for small writes a block of the small class that can still grow. */
@inline
function segRoom(want: u32, mss: u32): u32 {
  if (want >= mss) return mss;
  const small = maxU(want, 1984 - <u32>offsetof<TxSeg>());
  return minU(small, mss);
}

/** forced_push: more than half of the peer's largest window since the last PSH. */
@inline
function forcedPush(tp: TcpSock): bool {
  return after(tp.writeSeq, tp.pushedSeq + (tp.maxWindow >> 1));
}

@inline
function markPush(tp: TcpSock, seg: TxSeg): void {
  seg.flags |= TCPHDR_PSH;
  tp.pushedSeq = tp.writeSeq;
}

/** tcp_should_autocork: a small last segment waits for its fellows while earlier ones leave the host's queues. */
function autocork(tp: TcpSock, mss: u32): bool {
  if (tp.sendHead == 0 || tp.tf & TF_NODELAY) return false;
  const seg = changetype<TxSeg>(tp.txTail);
  if (seg.len >= mss || rtxQueueEmpty(tp) || tp.txBytes <= seg.len + 512) return false;
  if (!(tp.tf & TF_TSQ)) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPAUTOCORKING);
  tp.tf |= TF_TSQ;
  return true;
}

/** Queues a FIN behind everything and sends (tcp_send_fin). */
export function sendFin(tp: TcpSock): void {
  if (tp.sendHead != 0) {
    const tail = changetype<TxSeg>(tp.txTail);
    tail.flags |= TCPHDR_FIN;
    tail.endSeq++;
    tp.writeSeq++;
  } else {
    const seg = segNew(0);
    seg.seq = tp.writeSeq;
    seg.endSeq = ++tp.writeSeq;
    seg.flags = TCPHDR_ACK | TCPHDR_FIN;
    segAppend(tp, seg);
  }
  pushPending(tp, NAGLE_OFF);
}
