/**
 * Receiving data: in order, out of order (with SACK and D-SACK generation), duplicates; receive window growth, buffer
 * auto-tuning, the choice between an ACK now and later (net/ipv4/tcp_input.c).
 *
 * Queued packets: skb.data/len are the payload that was not read yet, cb0 = seq of skb.data, cb1 = end_seq, cb2 = flags.
 */
import {
  DROP_NS_GONE, DROP_SOCKET_RCVBUFF, DROP_TCP_INVALID_SEQUENCE, DROP_TCP_OFOMERGE, DROP_TCP_OLD_DATA, TCP_CLOSE_WAIT,
  TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_SYN_RECV, TCP_TIME_WAIT,
} from "../abi";
import {
  SNMP_TCPEXT_DELAYEDACKLOST, SNMP_TCPEXT_OFOPRUNED, SNMP_TCPEXT_PRUNECALLED, SNMP_TCPEXT_RCVPRUNED,
  SNMP_TCPEXT_TCPACKCOMPRESSED, SNMP_TCPEXT_TCPDSACKOFOSENT, SNMP_TCPEXT_TCPDSACKOLDSENT, SNMP_TCPEXT_TCPOFODROP,
  SNMP_TCPEXT_TCPOFOMERGE, SNMP_TCPEXT_TCPOFOQUEUE, SNMP_TCPEXT_TCPRCVCOALESCE, SNMP_TCPEXT_TCPRCVQDROP,
  SNMP_TCPEXT_TCPZEROWINDOWDROP, snmpInc,
} from "../inet/snmp";
import { Skb, consumeSkb, dropSkb } from "../memory/skb";
import { now, timerDel, timerMod, timerPending } from "../sim/event";
import { TCPHDR_FIN, TCPHDR_PSH, TCP_HLEN, after, before } from "../wire/tcp";
import { SOCK_DEAD, SOCK_SINK, sockWake } from "./socket";
import { timeWaitFrom } from "./tcp-minisocks";
import { sendAck, sendDelayedAck, selectWindowSpace } from "./tcp-output";
import {
  ACK_NOW, ACK_PUSHED, ACK_PUSHED2, ACK_SCHED, NS_PER_MS, NS_PER_US, TCP_ATO_MIN, TCP_MAX_QUICKACKS, TCP_MIN_MSS,
  TCP_MSS_DEFAULT, TCP_PINGPONG_THRESH, TCP_RMEM_MAX, TF_DONE, TF_SACK_OK, TF_SHUT_RD, TF_TS_OK, TcpSock, maxU, minU,
  rcvSpaceFree, receiveWindow, sackAt, sackTimer, tcpNs, tcpTimeStamp, winFromSpace,
} from "./tcp-sock";

// ---------------------------------------------------------------------------------------------- quick ACKs

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

/** tcp_grow_window. */
function growWindow(tp: TcpSock, skb: Skb): void {
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
function dataReceived(tp: TcpSock, skb: Skb): void {
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

// ---------------------------------------------------------------------------------------------- SACK generation

@inline
function getBlock(tp: TcpSock, i: u32): u64 {
  return load<u64>(sackAt(tp, i));
}
@inline
function setBlock(tp: TcpSock, i: u32, block: u64): void {
  store<u64>(sackAt(tp, i), block);
}
@inline
function pair(start: u32, end: u32): u64 {
  return (<u64>end << 32) | <u64>start;
}

/** The union of a block with a range that touches it, 0 when it doesn't (tcp_sack_extend). */
function extended(block: u64, seq: u32, end: u32): u64 {
  let start = <u32>block;
  let stop = <u32>(block >> 32);
  if (after(seq, stop) || after(start, end)) return 0;
  if (before(seq, start)) start = seq;
  if (after(end, stop)) stop = end;
  return pair(start, stop);
}

/** tcp_dsack_set. */
function dsackSet(tp: TcpSock, seq: u32, end: u32): void {
  if (!(tp.tf & TF_SACK_OK)) return;
  snmpInc(tcpNs(tp), before(seq, tp.rcvNxt) ? SNMP_TCPEXT_TCPDSACKOLDSENT : SNMP_TCPEXT_TCPDSACKOFOSENT);
  tp.dsackOn = 1;
  tp.dsack = pair(seq, end);
}

function dsackExtend(tp: TcpSock, seq: u32, end: u32): void {
  if (!tp.dsackOn) dsackSet(tp, seq, end);
  else {
    const union = extended(tp.dsack, seq, end);
    if (union != 0) tp.dsack = union;
  }
}

/** A compressed ACK waits although the blocks change: send it first (tcp_sack_compress_send_ack). */
function flushCompressed(tp: TcpSock): void {
  if (tp.compressedAck == 0) return;
  timerDel(sackTimer(tp));
  sendAck(tp);
}

/** The most recent block comes first (tcp_sack_new_ofo_skb). */
function sackNew(tp: TcpSock, seq: u32, end: u32): void {
  let i: u32 = 0;
  for (; i < tp.numSacks; i++) {
    const union = extended(getBlock(tp, i), seq, end);
    if (union == 0) continue;
    if (i >= 2) flushCompressed(tp);
    for (let k = i; k > 0; k--) setBlock(tp, k, getBlock(tp, k - 1));
    setBlock(tp, 0, union);
    if (tp.numSacks > 1) sackCoalesce(tp);
    return;
  }
  if (i >= 2) flushCompressed(tp);
  if (i >= 4) {
    i--;
    tp.numSacks--;
  }
  for (; i > 0; i--) setBlock(tp, i, getBlock(tp, i - 1));
  setBlock(tp, 0, pair(seq, end));
  tp.numSacks++;
}

/** tcp_sack_maybe_coalesce: later blocks that touch the first. */
function sackCoalesce(tp: TcpSock): void {
  let i: u32 = 1;
  while (i < tp.numSacks) {
    const other = getBlock(tp, i);
    const union = extended(getBlock(tp, 0), <u32>other, <u32>(other >> 32));
    if (union == 0) {
      i++;
      continue;
    }
    setBlock(tp, 0, union);
    removeBlock(tp, i);
  }
}

function removeBlock(tp: TcpSock, at: u32): void {
  tp.numSacks--;
  for (let k = at; k < tp.numSacks; k++) setBlock(tp, k, getBlock(tp, k + 1));
}

/** tcp_sack_remove: blocks that rcv_nxt has passed. */
function sackRemove(tp: TcpSock): void {
  if (tp.ofoHead == 0) {
    tp.numSacks = 0;
    return;
  }
  let i: u32 = 0;
  while (i < tp.numSacks) {
    if (before(tp.rcvNxt, <u32>getBlock(tp, i))) i++;
    else removeBlock(tp, i);
  }
}

// ---------------------------------------------------------------------------------------------- memory

/** Makes room in the receive buffer; false = the packet must be dropped (tcp_try_rmem_schedule, tcp_prune_queue). */
function rmemSchedule(tp: TcpSock): bool {
  if (tp.rxBytes <= tp.rxMax) return true;
  snmpInc(tcpNs(tp), SNMP_TCPEXT_PRUNECALLED);
  // tcp_clamp_window
  if (tp.rxMax < TCP_RMEM_MAX) tp.rxMax = minU(tp.rxBytes, TCP_RMEM_MAX);
  if (tp.rxBytes > tp.rxMax) tp.rcvSsthresh = minU(tp.windowClamp, 2 * tp.advmss);
  if (tp.rxBytes <= tp.rxMax) return true;
  if (tp.ofoHead != 0) {
    snmpInc(tcpNs(tp), SNMP_TCPEXT_OFOPRUNED);
    ofoPurge(tp);
    tp.numSacks = 0;
    if (tp.rxBytes <= tp.rxMax) return true;
  }
  snmpInc(tcpNs(tp), SNMP_TCPEXT_RCVPRUNED);
  return false;
}

/** Drops the out-of-order queue. */
export function ofoPurge(tp: TcpSock): void {
  let p = tp.ofoHead;
  while (p != 0) {
    const skb = changetype<Skb>(p);
    p = <usize>skb.next;
    tp.rxBytes -= skb.truesize;
    dropSkb(skb, DROP_SOCKET_RCVBUFF);
  }
  tp.ofoHead = 0;
  tp.ofoTail = 0;
}

// ---------------------------------------------------------------------------------------------- queues

/**
 * What a received packet costs of the receive buffer. The window that a program's delay leaves depends on it, so it follows
 * the reference swarm (virtio-net): a head of 768 bytes and the frame rounded up to 64; a packet that continues the one
 * before it loses its head, up to 17 in a row (tcp_try_coalesce, MAX_SKB_FRAGS).
 */
const SKB_HEAD: u32 = 768;
const MAX_FRAGS: u32 = 17;

@inline
function fragSize(len: u32): u32 {
  return (len + 128 + 63) & ~63;
}

/**
 * Appends in-order data (tcp_queue_rcv, tcp_try_coalesce). Packets stay apart, whatever room is behind the last one: that
 * depends on where its buffer was made. Ends or keeps the packet.
 */
function queueRcv(tp: TcpSock, skb: Skb): void {
  tp.rcvNxt = skb.cb1;
  tp.bytesReceived += <u64>skb.len;
  tp.rxTotal += <u64>skb.len;
  tp.rxPackets++;
  if (tp.flags & SOCK_SINK || skb.len == 0) {
    if (skb.len != 0) tp.copiedSeq += skb.len;
    consumeSkb(skb);
    return;
  }
  const tail = changetype<Skb>(tp.rxTail);
  skb.next = 0;
  skb.truesize = fragSize(skb.len);
  skb.cb3 = tp.rxTail == 0 ? 1 : tail.cb3 + 1;
  if (skb.cb3 == 1 || skb.cb3 > MAX_FRAGS) {
    skb.truesize += SKB_HEAD;
    skb.cb3 = 1;
  } else snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPRCVCOALESCE);
  if (tp.rxTail == 0) tp.rxHead = changetype<usize>(skb);
  else tail.next = <u32>changetype<usize>(skb);
  tp.rxTail = changetype<usize>(skb);
  tp.rxBytes += skb.truesize;
  tp.rxCount++;
}

/** Cuts what was received already off the front. */
@inline
function trimHead(skb: Skb, rcvNxt: u32): void {
  const cut = minU(rcvNxt - skb.cb0, skb.len);
  skb.data += cut;
  skb.len -= cut;
  skb.cb0 += cut;
}

/** In sequence, wholly or at its end: takes it and what waited for it. Ends the packet. */
function queueAndOut(tp: TcpSock, skb: Skb): void {
  if (tp.rxHead != 0 && !rmemSchedule(tp)) {
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPRCVQDROP);
    dropSkb(skb, DROP_SOCKET_RCVBUFF);
    return;
  }
  if (before(skb.cb0, tp.rcvNxt)) trimHead(skb, tp.rcvNxt);
  const fin = (skb.cb2 & TCPHDR_FIN) != 0;
  if (skb.len != 0) dataReceived(tp, skb);
  queueRcv(tp, skb);
  if (fin) tcpFin(tp);
  if (tp.ofoHead != 0) {
    ofoQueue(tp);
    // The gap is filled: ACK at once (RFC 5681 4.2).
    if (tp.ofoHead == 0) tp.ackPending |= ACK_NOW;
  }
  if (tp.numSacks != 0) sackRemove(tp);
  sockWake(tp);
}

/** Moves what is in order now from the out-of-order queue (tcp_ofo_queue). */
function ofoQueue(tp: TcpSock): void {
  let dsackHigh = tp.rcvNxt;
  while (tp.ofoHead != 0) {
    const skb = changetype<Skb>(tp.ofoHead);
    if (after(skb.cb0, tp.rcvNxt)) break;
    if (before(skb.cb0, dsackHigh)) {
      const end = dsackHigh;
      if (before(skb.cb1, dsackHigh)) dsackHigh = skb.cb1;
      dsackExtend(tp, skb.cb0, end);
    }
    tp.ofoHead = <usize>skb.next;
    if (tp.ofoHead == 0) tp.ofoTail = 0;
    tp.rxBytes -= skb.truesize;
    if (!after(skb.cb1, tp.rcvNxt)) {
      dropSkb(skb, DROP_TCP_OLD_DATA);
      continue;
    }
    if (before(skb.cb0, tp.rcvNxt)) trimHead(skb, tp.rcvNxt);
    const fin = (skb.cb2 & TCPHDR_FIN) != 0;
    queueRcv(tp, skb);
    if (fin) {
      tcpFin(tp);
      break;
    }
  }
}

/** Takes a segment beyond a gap (tcp_data_queue_ofo). Ends or keeps the packet. */
function queueOfo(tp: TcpSock, skb: Skb): void {
  if (!rmemSchedule(tp)) {
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPOFODROP);
    dropSkb(skb, DROP_SOCKET_RCVBUFF);
    return;
  }
  tp.ackPending |= ACK_SCHED;
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPOFOQUEUE);
  const seq = skb.cb0;
  const end = skb.cb1;
  // Place: behind `prev`; mostly at the end.
  let prev: usize = 0;
  if (tp.ofoTail != 0 && !before(seq, changetype<Skb>(tp.ofoTail).cb0)) prev = tp.ofoTail;
  else for (let p = tp.ofoHead; p != 0 && !before(seq, changetype<Skb>(p).cb0); p = <usize>changetype<Skb>(p).next) prev = p;
  if (prev != 0) {
    const left = changetype<Skb>(prev);
    if (before(seq, left.cb1)) {
      if (!after(end, left.cb1)) {
        // All of it is there already.
        snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPOFOMERGE);
        dsackSet(tp, seq, end);
        dropSkb(skb, DROP_TCP_OFOMERGE);
        if (tp.tf & TF_SACK_OK) sackNew(tp, seq, end);
        return;
      }
      dsackSet(tp, seq, left.cb1);
    }
  }
  const at = changetype<usize>(skb);
  if (prev == 0) {
    skb.next = <u32>tp.ofoHead;
    tp.ofoHead = at;
  } else {
    skb.next = changetype<Skb>(prev).next;
    changetype<Skb>(prev).next = <u32>at;
  }
  if (skb.next == 0) tp.ofoTail = at;
  skb.truesize = fragSize(skb.len);
  if (prev == 0 || changetype<Skb>(prev).cb1 != seq) skb.truesize += SKB_HEAD;
  tp.rxBytes += skb.truesize;
  mergeRight(tp, skb);
  if (tp.tf & TF_SACK_OK) {
    sackNew(tp, seq, end);
    growWindow(tp, skb);
  }
}

/** Segments behind a new one that it covers. */
function mergeRight(tp: TcpSock, skb: Skb): void {
  while (skb.next != 0) {
    const next = changetype<Skb>(<usize>skb.next);
    if (!after(skb.cb1, next.cb0)) return;
    if (before(skb.cb1, next.cb1)) {
      dsackExtend(tp, next.cb0, skb.cb1);
      return;
    }
    skb.next = next.next;
    if (skb.next == 0) tp.ofoTail = changetype<usize>(skb);
    dsackExtend(tp, next.cb0, next.cb1);
    if (next.cb2 & TCPHDR_FIN) skb.cb2 |= skb.cb1 == next.cb1 ? TCPHDR_FIN : 0;
    tp.rxBytes -= next.truesize;
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPOFOMERGE);
    dropSkb(next, DROP_TCP_OFOMERGE);
  }
}

/** The peer's FIN is in order now (tcp_fin). */
function tcpFin(tp: TcpSock): void {
  tp.ackPending |= ACK_SCHED;
  tp.tf |= TF_DONE | TF_SHUT_RD;
  switch (tp.state) {
    case TCP_SYN_RECV:
    case TCP_ESTABLISHED: {
      tp.state = TCP_CLOSE_WAIT;
      tp.ackPingpong = TCP_PINGPONG_THRESH;
      break;
    }
    case TCP_FIN_WAIT1: {
      sendAck(tp);
      tp.state = TCP_CLOSING;
      break;
    }
    case TCP_FIN_WAIT2: {
      sendAck(tp);
      timeWaitFrom(tp, TCP_TIME_WAIT, 0);
      break;
    }
    default:
  }
  ofoPurge(tp);
  tp.numSacks = 0;
  sockWake(tp);
}

/** Text of a segment in a state that takes data; ends the packet (tcp_data_queue). */
export function dataQueue(tp: TcpSock, skb: Skb): void {
  const seq = skb.cb0;
  const end = skb.cb1;
  if (seq == end) {
    consumeSkb(skb);
    return;
  }
  tp.dsackOn = 0;
  const window = receiveWindow(tp);
  if (seq == tp.rcvNxt) {
    if (window == 0 && skb.len != 0) {
      snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPZEROWINDOWDROP);
      outOfWindow(tp, skb, DROP_TCP_INVALID_SEQUENCE);
      return;
    }
    queueAndOut(tp, skb);
    return;
  }
  if (!after(end, tp.rcvNxt)) {
    // A retransmission of what is there: ACK at once, with a D-SACK.
    snmpInc(tcpNs(tp), SNMP_TCPEXT_DELAYEDACKLOST);
    dsackSet(tp, seq, end);
    outOfWindow(tp, skb, DROP_TCP_OLD_DATA);
    return;
  }
  if (!before(seq, tp.rcvNxt + window)) {
    outOfWindow(tp, skb, DROP_TCP_INVALID_SEQUENCE);
    return;
  }
  if (before(seq, tp.rcvNxt)) {
    dsackSet(tp, seq, tp.rcvNxt);
    if (window == 0) {
      outOfWindow(tp, skb, DROP_TCP_INVALID_SEQUENCE);
      return;
    }
    queueAndOut(tp, skb);
    return;
  }
  queueOfo(tp, skb);
}

function outOfWindow(tp: TcpSock, skb: Skb, reason: u32): void {
  enterQuickack(tp, TCP_MAX_QUICKACKS);
  tp.ackPending |= ACK_SCHED;
  dropSkb(skb, reason);
}

/** tcp_send_dupack: an ACK for a segment outside of the window, with a D-SACK for old data. */
export function sendDupack(tp: TcpSock, seq: u32, endSeq: u32): void {
  if (endSeq != seq && before(seq, tp.rcvNxt)) {
    snmpInc(tcpNs(tp), SNMP_TCPEXT_DELAYEDACKLOST);
    enterQuickack(tp, TCP_MAX_QUICKACKS);
    dsackSet(tp, seq, after(endSeq, tp.rcvNxt) ? tp.rcvNxt : endSeq);
  }
  sendAck(tp);
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
