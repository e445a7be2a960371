/**
 * Receiving data: in order, out of order (with SACK and D-SACK generation), duplicates; receive window growth, buffer
 * auto-tuning, the choice between an ACK now and later (net/ipv4/tcp_input.c).
 *
 * Queued packets: skb.data/len are the payload that was not read yet, cb0 = seq of skb.data, cb1 = end_seq, cb2 = flags.
 */
import {
  DROP_SOCKET_RCVBUFF, DROP_TCP_INVALID_SEQUENCE, DROP_TCP_OFOMERGE, DROP_TCP_OLD_DATA, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_CLOSING,
  TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_SYN_RECV, TCP_TIME_WAIT,
} from "../abi";
import {
  SNMP_TCPEXT_DELAYEDACKLOST, SNMP_TCPEXT_OFOPRUNED, SNMP_TCPEXT_PRUNECALLED, SNMP_TCPEXT_RCVPRUNED,
  SNMP_TCPEXT_TCPOFODROP, SNMP_TCPEXT_TCPOFOMERGE, SNMP_TCPEXT_TCPOFOQUEUE, SNMP_TCPEXT_TCPRCVCOALESCE,
  SNMP_TCPEXT_TCPRCVQDROP, SNMP_TCPEXT_TCPZEROWINDOWDROP, snmpInc,
} from "../inet/snmp";
import { Skb, consumeSkb, dropSkb } from "../memory/skb";
import { TCPHDR_FIN, after, before } from "../wire/tcp";
import { SOCK_SINK, sockWake } from "./socket";
import { sendAck } from "./tcp-output";
import { MAX_FRAGS, SKB_HEAD, dataReceived, enterQuickack, fragSize, growWindow, rcvSpaceAdjust } from "./tcp-rcvwin";
import { dsackExtend, dsackSet, sackNew, sackRemove } from "./tcp-sackgen";
import { ACK_NOW, ACK_SCHED, TCP_MAX_QUICKACKS, TCP_PINGPONG_THRESH, TCP_RMEM_MAX, TF_DONE, TF_SACK_OK, TF_SHUT_RD } from "./tcp-const";
import { TcpSock, minU, receiveWindow, tcpNs } from "./tcp-sock";
import { timeWaitFrom } from "./tcp-timewait";

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
function ofoPurge(tp: TcpSock): void {
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
  skb.dev = 0; // which may be gone before a program reads
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
  if (tp.flags & SOCK_SINK) sinkRead(tp);
  else sockWake(tp);
}

/** A sink has read what just came: its window follows, as a program's that reads at once; its program hears of it when that was asked for. */
function sinkRead(tp: TcpSock): void {
  if (tp.state != TCP_CLOSE) rcvSpaceAdjust(tp);
  if (tp.bytesReceived >= tp.sinkUntil) sockWake(tp);
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
  skb.dev = 0;
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
