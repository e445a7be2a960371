/** Retransmission, tail loss probes and window probes (net/ipv4/tcp_output.c). */
import { EAGAIN, TCP_CLOSE, TCP_SYN_RECV, TCP_SYN_SENT } from "../abi";
import {
  SNMP_TCPEXT_TCPFASTRETRANS, SNMP_TCPEXT_TCPLOSSPROBES, SNMP_TCPEXT_TCPRETRANSFAIL, SNMP_TCPEXT_TCPSLOWSTARTRETRANS,
  SNMP_TCPEXT_TCPSYNRETRANS, SNMP_TCP_RETRANSSEGS, snmpInc,
} from "../inet/snmp";
import { TCPHDR_FIN, TCPHDR_PSH, TCPHDR_SYN, before } from "../wire/tcp";
import { currentMss, transmitSeg, xmitProbe } from "./tcp-output";
import {
  CA_CWR, CA_LOSS, CA_OPEN, CA_RECOVERY, NS_PER_MS, NS_PER_US, SEG_EVER_RETRANS, SEG_LOST, SEG_RETRANS, SEG_SACKED,
  TCP_RTO_MIN, TCP_TIMEOUT_INIT, TF_SACK_OK, TF_TLP_RETRANS, TIME_LOSS_PROBE, TIME_NONE, TIME_REO, TIME_RETRANS,
} from "./tcp-const";
import { TXSEG_OVERHEAD, TcpSock, TxSeg, minU, packetsInFlight, tcpNs, tcpTimeStamp, wndEnd } from "./tcp-sock";
import { rtxTail, segInsertAfter, segNew, tsAppend, tsInsertAfter } from "./tcp-txq";
import {
  NAGLE_OFF, newDataSent, rearmRto, resetXmitTimer, rtoDelta, smallQueueCheck, windowAllows, writeXmit,
} from "./tcp-xmit";

/** Splits a segment after `len` bytes: the rest becomes a segment of its own behind it (tcp_fragment). */
export function segSplit(tp: TcpSock, seg: TxSeg, len: u32): void {
  const rest = segNew(seg.len - len);
  memory.copy(rest.data, seg.data + len, seg.len - len);
  rest.len = seg.len - len;
  rest.seq = seg.seq + len;
  rest.endSeq = seg.endSeq;
  rest.flags = seg.flags & ~TCPHDR_SYN;
  seg.flags &= ~(TCPHDR_FIN | TCPHDR_PSH);
  seg.len = len;
  seg.endSeq = rest.seq;
  rest.sacked = seg.sacked;
  rest.time = seg.time;
  rest.delivered = seg.delivered;
  tp.wmemQueued += TXSEG_OVERHEAD;
  segInsertAfter(tp, seg, rest);
  if (seg.inTs) tsInsertAfter(tp, seg, rest);
  if (before(seg.seq, tp.sndNxt)) {
    // It was sent before: what it counts for, both parts count for.
    tp.packetsOut++;
    if (seg.sacked & SEG_SACKED) tp.sackedOut++;
    if (seg.sacked & SEG_LOST) tp.lostOut++;
    if (seg.sacked & SEG_RETRANS) tp.retransOut++;
  }
}

/** Sends a segment again; -errno when it can't (__tcp_retransmit_skb). */
function retransmitOne(tp: TcpSock, seg: TxSeg): i32 {
  if (before(seg.seq, tp.sndUna)) {
    if (seg.flags & TCPHDR_SYN) {
      seg.flags &= ~TCPHDR_SYN;
      seg.seq++;
    }
    const cut = minU(tp.sndUna - seg.seq, seg.len); // tcp_trim_head
    seg.data += cut;
    seg.len -= cut;
    seg.seq += cut;
    tp.wmemQueued -= cut;
  }
  const mss = currentMss(tp);
  let room = <i32>(wndEnd(tp) - seg.seq);
  if (room <= 0) {
    // The window shrank under it: only the very first segment may probe.
    if (seg.seq != tp.sndUna) return -EAGAIN;
    room = <i32>mss;
  }
  const len = minU(mss, <u32>room);
  if (seg.len > len) segSplit(tp, seg, len);
  tp.totalRetrans++;
  snmpInc(tcpNs(tp), SNMP_TCP_RETRANSSEGS);
  if (seg.flags & TCPHDR_SYN) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPSYNRETRANS);
  const err = transmitSeg(tp, seg);
  seg.sacked |= SEG_EVER_RETRANS;
  if (err == 0) tsAppend(tp, seg);
  else snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPRETRANSFAIL);
  return err;
}

/** retransmitOne with the episode's bookkeeping (tcp_retransmit_skb). */
export function retransmitSeg(tp: TcpSock, seg: TxSeg): i32 {
  const err = retransmitOne(tp, seg);
  if (err == 0 && !(seg.sacked & SEG_RETRANS)) {
    seg.sacked |= SEG_RETRANS;
    tp.retransOut++;
  }
  if (tp.retransStamp == 0) {
    const stamp = tcpTimeStamp(tp);
    tp.retransStamp = stamp == 0 ? 1 : stamp;
  }
  if (tp.undoRetrans < 0) tp.undoRetrans = 0;
  tp.undoRetrans++;
  return err;
}

/** Sends lost segments again as far as the congestion window goes (tcp_xmit_retransmit_queue). */
export function xmitRetransmitQueue(tp: TcpSock): void {
  if (tp.packetsOut == 0) return;
  const head = tp.txHead;
  let p = tp.retransHint != 0 ? tp.retransHint : head;
  let hole = false;
  let rearm = false;
  for (; p != 0 && p != tp.sendHead; p = changetype<TxSeg>(p).next) {
    const seg = changetype<TxSeg>(p);
    if (!hole) tp.retransHint = p;
    if (packetsInFlight(tp) >= tp.cwnd || tp.retransOut >= tp.lostOut) break;
    if (!(seg.sacked & SEG_LOST)) {
      if (!(seg.sacked & (SEG_RETRANS | SEG_SACKED))) hole = true;
      continue;
    }
    if (seg.sacked & (SEG_SACKED | SEG_RETRANS)) continue;
    if (tp.txBytes > 4096 && smallQueueCheck(tp, seg.len)) break;
    if (retransmitSeg(tp, seg) != 0) break;
    snmpInc(tcpNs(tp), tp.caState == CA_LOSS ? SNMP_TCPEXT_TCPSLOWSTARTRETRANS : SNMP_TCPEXT_TCPFASTRETRANS);
    if (tp.caState == CA_CWR || tp.caState == CA_RECOVERY) tp.prrOut++;
    if (p == head && tp.timerKind != TIME_REO) rearm = true;
  }
  if (rearm) resetXmitTimer(tp, TIME_RETRANS, tp.rto);
}

// ---------------------------------------------------------------------------------------------- tail loss probe

/** Arms the tail loss probe; false when RTO rules apply (tcp_schedule_loss_probe). */
export function scheduleLossProbe(tp: TcpSock, advancingRto: bool): bool {
  if (tp.packetsOut == 0 || !(tp.tf & TF_SACK_OK) || (tp.caState != CA_OPEN && tp.caState != CA_CWR)) return false;
  if (tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV) return false;
  let delay = TCP_TIMEOUT_INIT;
  if (tp.srttUs != 0) {
    delay = <i64>(tp.srttUs >> 2) * NS_PER_US;
    delay += tp.packetsOut == 1 ? TCP_RTO_MIN : 2 * NS_PER_MS;
  }
  const rto = advancingRto ? tp.rto : rtoDelta(tp);
  if (rto > 0 && rto < delay) delay = rto;
  resetXmitTimer(tp, TIME_LOSS_PROBE, delay);
  return true;
}

/** The probe: new data if the window lets it, else the last segment again (tcp_send_loss_probe). */
export function sendLossProbe(tp: TcpSock): void {
  if (tp.tlpHighSeq == 0 && probeSent(tp)) {
    tp.tlpHighSeq = tp.sndNxt;
    tp.timerKind = TIME_NONE; // so that the RTO starts from now
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPLOSSPROBES);
  }
  rearmRto(tp);
}

function probeSent(tp: TcpSock): bool {
  tp.tf &= ~TF_TLP_RETRANS;
  const mss = currentMss(tp);
  if (tp.sendHead != 0 && windowAllows(tp, changetype<TxSeg>(tp.sendHead), mss)) {
    const prior = tp.packetsOut;
    writeXmit(tp, mss, NAGLE_OFF, 2);
    return tp.packetsOut > prior;
  }
  const tail = rtxTail(tp);
  if (tail == 0) return false;
  if (retransmitOne(tp, changetype<TxSeg>(tail)) != 0) return false;
  tp.tf |= TF_TLP_RETRANS;
  return true;
}

/** A probe of a closed window, or of a silent peer: as much data as the window takes, else an old byte (tcp_write_wakeup). */
export function writeWakeup(tp: TcpSock): i32 {
  if (tp.state == TCP_CLOSE) return -1;
  if (tp.sendHead != 0 && before(changetype<TxSeg>(tp.sendHead).seq, wndEnd(tp))) {
    const seg = changetype<TxSeg>(tp.sendHead);
    const mss = currentMss(tp);
    let size = wndEnd(tp) - seg.seq;
    if (before(tp.pushedSeq, seg.endSeq)) tp.pushedSeq = seg.endSeq;
    if (size < seg.endSeq - seg.seq || seg.len > mss) {
      size = minU(size, mss);
      if (seg.len > size) segSplit(tp, seg, size);
    }
    seg.flags |= TCPHDR_PSH;
    const err = transmitSeg(tp, seg);
    if (err == 0) newDataSent(tp, seg);
    return err;
  }
  return xmitProbe(tp, false);
}
