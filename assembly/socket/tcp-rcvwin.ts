/**
 * The receiver's pace: quick and delayed ACKs, growth of the receive window, auto-tuning of the receive buffer
 * (net/ipv4/tcp_input.c tcp_event_data_recv, tcp_grow_window, tcp_rcv_space_adjust, __tcp_ack_snd_check).
 */
import { SNMP_TCPEXT_TCPACKCOMPRESSED, snmpInc } from "../inet/snmp";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import { timerMod, timerPending } from "../sim/timer";
import { TCPHDR_FIN, TCPHDR_PSH, TCP_HLEN, before } from "../wire/tcp";
import { selectWindowSpace, sendAck, sendDelayedAck } from "./tcp-output";
import {
  ACK_NOW, ACK_PUSHED, ACK_PUSHED2, ACK_SCHED, NS_PER_MS, NS_PER_US, TCP_ATO_MIN, TCP_MAX_QUICKACKS, TCP_MIN_MSS,
  TCP_MSS_DEFAULT, TCP_PINGPONG_THRESH, TCP_RMEM_MAX, TF_SACK_OK, TF_SHUT_RD,
} from "./tcp-const";
import { TcpSock, maxU, minU, rcvSpaceFree, receiveWindow, sackTimer, tcpNs, tcpTimeStamp, winFromSpace } from "./tcp-sock";

/** tcp_incr_quickack. */
function incrQuickack(tp: TcpSock, most: u32): void {
  let count = tp.rcvMss != 0 ? tp.rcvWnd / (2 * tp.rcvMss) : 2;
  if (count == 0) count = 2;
  count = minU(count, most);
  if (count > tp.ackQuick) tp.ackQuick = count;
}

/** tcp_enter_quickack_mode. */
export function enterQuickack(tp: TcpSock, most: u32): void {
  incrQuickack(tp, most);
  tp.ackPingpong = 0;
  tp.ackAto = TCP_ATO_MIN;
}

/** The connection is interactive: acknowledgements wait for data to ride on (inet_csk_in_pingpong_mode). */
@inline
export function pingpongMode(tp: TcpSock): bool {
  return tp.ackPingpong >= TCP_PINGPONG_THRESH;
}

/** tcp_initialize_rcv_mss. */
export function initRcvMss(tp: TcpSock): void {
  let hint = minU(tp.advmss, tp.mssCache);
  hint = minU(hint, tp.rcvWnd / 2);
  hint = minU(hint, TCP_MSS_DEFAULT);
  tp.rcvMss = maxU(hint, TCP_MIN_MSS);
}

/** tcp_measure_rcv_mss. */
function measureRcvMss(tp: TcpSock, skb: Skb): void {
  const last = tp.lastSegSize;
  tp.lastSegSize = 0;
  let len = skb.len;
  if (len >= tp.rcvMss) {
    tp.rcvMss = minU(len, tp.advmss);
    // A segment of exactly one MSS with PSH ends a write: the sender may be waiting.
    if (skb.cb2 & TCPHDR_PSH) tp.ackPending |= ACK_PUSHED;
    return;
  }
  len += <u32>(skb.data - skb.th);
  if (len >= TCP_MSS_DEFAULT + TCP_HLEN || (len >= TCP_MIN_MSS + TCP_HLEN && !(skb.cb2 & TCPHDR_FIN))) {
    len -= tp.headerLen;
    tp.lastSegSize = len;
    if (len == last) {
      tp.rcvMss = len;
      return;
    }
  }
  if (tp.ackPending & ACK_PUSHED) tp.ackPending |= ACK_PUSHED2;
  tp.ackPending |= ACK_PUSHED;
}

// ---------------------------------------------------------------------------------------------- window growth

/**
 * What a received packet costs of the receive buffer. The window that a program's delay leaves depends on it, so it follows
 * the reference swarm (virtio-net): a head of 768 bytes and the frame rounded up to 64; a packet that continues the one
 * before it loses its head, up to 17 in a row (tcp_try_coalesce, MAX_SKB_FRAGS).
 */
export const SKB_HEAD: u32 = 768;
export const MAX_FRAGS: u32 = 17;

/** Bytes of buffer that a segment of `len` bytes is charged. */
@inline
export function fragSize(len: u32): u32 {
  return (len + 128 + 63) & ~63;
}

/** tcp_grow_window. */
export function growWindow(tp: TcpSock, skb: Skb): void {
  const free = rcvSpaceFree(tp);
  const clamp = <i32>tp.windowClamp;
  const room = (free < clamp ? free : clamp) - <i32>tp.rcvSsthresh;
  if (room <= 0) return;
  let grow: u32 = 0;
  const truesize = SKB_HEAD + fragSize(skb.len);
  if (<u32>winFromSpace(<i32>truesize) <= skb.len) grow = 2 * tp.advmss;
  else {
    let size = <u32>winFromSpace(<i32>truesize) >> 1;
    let window = <u32>winFromSpace(TCP_RMEM_MAX) >> 1;
    while (tp.rcvSsthresh <= window) {
      if (size <= skb.len) {
        grow = 2 * tp.rcvMss;
        break;
      }
      size >>= 1;
      window >>= 1;
    }
  }
  if (grow == 0) return;
  grow = maxU(grow, 2 * skb.len);
  tp.rcvSsthresh += minU(<u32>room, grow);
  tp.ackQuick |= 1;
}

/** tcp_init_buffer_space, receive side: the clamp leaves one segment of the buffer free. */
export function initBufferSpace(tp: TcpSock): void {
  const full = <u32>winFromSpace(<i32>tp.rxMax);
  tp.rcvqSpace = minU(minU(tp.rcvSsthresh, tp.rcvWnd), 10 * tp.advmss);
  tp.rcvqTime = now;
  tp.rcvqSeq = tp.copiedSeq;
  if (tp.windowClamp >= full) {
    tp.windowClamp = full;
    if (full > 4 * tp.advmss) tp.windowClamp = maxU(full - (full >> 31), 4 * tp.advmss);
  }
  if (tp.windowClamp > 2 * tp.advmss && tp.windowClamp + tp.advmss > full)
    tp.windowClamp = maxU(2 * tp.advmss, full - tp.advmss);
  tp.rcvSsthresh = minU(tp.rcvSsthresh, tp.windowClamp);
}

/** tcp_rcv_rtt_update; the estimate is × 8. */
function rcvRttUpdate(tp: TcpSock, sample: u32, windowDependent: bool): void {
  let estimate = tp.rcvRttUs;
  if (estimate == 0) estimate = sample << 3;
  else if (!windowDependent) estimate += sample - (estimate >> 3);
  else if (sample << 3 < estimate) estimate = sample << 3;
  tp.rcvRttUs = estimate;
}

/** Time in which one window arrives (tcp_rcv_rtt_measure). */
function rcvRttMeasure(tp: TcpSock): void {
  if (tp.rcvRttTime != 0) {
    if (before(tp.rcvNxt, tp.rcvRttSeq)) return;
    const delta = <u32>((now - tp.rcvRttTime) / NS_PER_US);
    rcvRttUpdate(tp, delta == 0 ? 1 : delta, true);
  }
  tp.rcvRttSeq = tp.rcvNxt + tp.rcvWnd;
  tp.rcvRttTime = now;
}

/** The same by the timestamps that the peer echoes (tcp_rcv_rtt_measure_ts). */
export function rcvRttMeasureTs(tp: TcpSock, skb: Skb): void {
  if (!tp.sawTs || tp.rcvTsecr == 0 || tp.rcvTsecr == tp.rcvRttTsecr) return;
  tp.rcvRttTsecr = tp.rcvTsecr;
  if (skb.cb1 - skb.cb0 < tp.rcvMss) return;
  let delta = tcpTimeStamp(tp) - tp.rcvTsecr;
  if (delta >= 0x7fffffff / 4000) return;
  if (delta == 0) delta = 1;
  rcvRttUpdate(tp, delta * 1000, false);
}

/** After a read: the receive buffer follows what the program takes per RTT (tcp_rcv_space_adjust). */
export function rcvSpaceAdjust(tp: TcpSock): void {
  const time = <u32>((now - tp.rcvqTime) / NS_PER_US);
  if (time < tp.rcvRttUs >> 3 || tp.rcvRttUs == 0) return;
  const copied = tp.copiedSeq - tp.rcvqSeq;
  if (copied > tp.rcvqSpace) {
    let window = (<u64>copied << 1) + 16 * <u64>tp.advmss;
    const grow = (window * <u64>(copied - tp.rcvqSpace)) / <u64>maxU(tp.rcvqSpace, 1);
    window += grow << 1;
    // SKB_TRUESIZE(advmss + MAX_TCP_HEADER), widened until half of it holds a segment.
    let mem = ((tp.advmss + 320 + 63) & ~63) + 576;
    while (<u32>winFromSpace(<i32>mem) < tp.advmss) mem += 128;
    const want = (window / <u64>tp.advmss) * <u64>mem;
    const buffer: u32 = want < <u64>TCP_RMEM_MAX ? <u32>want : TCP_RMEM_MAX;
    if (buffer > tp.rxMax) {
      tp.rxMax = buffer;
      tp.windowClamp = <u32>winFromSpace(<i32>buffer);
    }
    tp.rcvqSpace = copied;
  }
  tp.rcvqSeq = tp.copiedSeq;
  tp.rcvqTime = now;
}

/** New data arrived: schedules an ACK, adapts ato and window (tcp_event_data_recv). */
export function dataReceived(tp: TcpSock, skb: Skb): void {
  tp.ackPending |= ACK_SCHED;
  measureRcvMss(tp, skb);
  rcvRttMeasure(tp);
  if (tp.ackAto == 0) {
    incrQuickack(tp, TCP_MAX_QUICKACKS);
    tp.ackAto = TCP_ATO_MIN;
  } else {
    const gap = now - tp.lrcvTime;
    if (gap <= TCP_ATO_MIN / 2) tp.ackAto = (tp.ackAto >> 1) + TCP_ATO_MIN / 2;
    else if (gap < tp.ackAto) {
      tp.ackAto = (tp.ackAto >> 1) + gap;
      if (tp.ackAto > tp.rto) tp.ackAto = tp.rto;
    } else if (gap > tp.rto) incrQuickack(tp, TCP_MAX_QUICKACKS);
  }
  tp.lrcvTime = now;
  if (skb.len >= 128) growWindow(tp, skb);
}

// ---------------------------------------------------------------------------------------------- ACK now or later

/** tcp_ack_snd_check. */
export function ackSndCheck(tp: TcpSock): void {
  if (!(tp.ackPending & ACK_SCHED)) return;
  if (
    (tp.rcvNxt - tp.rcvWup > tp.rcvMss && selectWindowSpace(tp) >= tp.rcvWnd) ||
    (tp.ackQuick != 0 && !pingpongMode(tp)) ||
    tp.ackPending & ACK_NOW
  ) {
    sendAck(tp);
    return;
  }
  if (tp.ofoHead == 0) {
    sendDelayedAck(tp);
    return;
  }
  compressAck(tp);
}

/** With data out of order: at most one ACK per 5 % of the RTT after three duplicates, 44 at once (tcp_comp_sack). */
function compressAck(tp: TcpSock): void {
  if (!(tp.tf & TF_SACK_OK) || tp.compressedAck >= 44) {
    sendAck(tp);
    return;
  }
  if (tp.compressedRcvNxt != tp.rcvNxt) {
    tp.compressedRcvNxt = tp.rcvNxt;
    tp.dupAckCounter = 0;
  }
  if (tp.dupAckCounter < 3) {
    tp.dupAckCounter++;
    sendAck(tp);
    return;
  }
  tp.compressedAck++;
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPACKCOMPRESSED);
  if (timerPending(sackTimer(tp))) return;
  let rtt = tp.rcvRttUs;
  if (tp.srttUs != 0 && tp.srttUs < rtt) rtt = tp.srttUs;
  let delay = (<i64>rtt * (NS_PER_US >> 3)) / 20;
  if (delay > NS_PER_MS) delay = NS_PER_MS;
  timerMod(sackTimer(tp), now + delay);
}

/** After a read of `copied` bytes: does the window deserve an ACK? (tcp_cleanup_rbuf) */
export function cleanupRbuf(tp: TcpSock, copied: u32): void {
  let time = false;
  if (tp.ackPending & ACK_SCHED) {
    if (
      tp.rcvNxt - tp.rcvWup > tp.rcvMss ||
      (copied > 0 &&
        (tp.ackPending & ACK_PUSHED2 || (tp.ackPending & ACK_PUSHED && !pingpongMode(tp))) &&
        tp.rxBytes == 0)
    )
      time = true;
  }
  if (copied > 0 && !time && !(tp.tf & TF_SHUT_RD)) {
    const have = receiveWindow(tp);
    if (have << 1 <= tp.windowClamp) {
      const next = selectWindowSpace(tp);
      if (next != 0 && next >= have << 1) time = true;
    }
  }
  if (time) sendAck(tp);
}
