/** Loss detection: RACK (RFC 8985, net/ipv4/tcp_recovery.c), NewReno's marks for peers without SACK, reordering. */
import { SNMP_TCPEXT_TCPSACKREORDER, snmpInc } from "../inet/snmp";
import { now, skipped } from "../sim/event";
import { after, before } from "../wire/tcp";
import { cwndReduction, enterRecovery } from "./tcp-recovery";
import { xmitRetransmitQueue } from "./tcp-retrans";
import { highestSackSeq } from "./tcp-sack";
import {
  CA_RECOVERY, NS_PER_MS, NS_PER_US, SEG_EVER_RETRANS, SEG_LOST, SEG_RETRANS, SEG_SACKED, TCP_MAX_REORDERING,
  TF_RACK_ADVANCED, TF_RACK_DSACK, TF_REORD_SEEN, TIME_REO, TIME_RETRANS,
} from "./tcp-const";
import { TcpSock, TxSeg, maxU, minU, packetsInFlight, tcpNs } from "./tcp-sock";
import { rtxQueueEmpty, tsUnlink } from "./tcp-txq";
import { rearmRto, resetXmitTimer } from "./tcp-xmit";

/** Sent later, or at the same time with a higher sequence (tcp_rack_sent_after). */
@inline
function sentAfter(time1: i64, time2: i64, seq1: u32, seq2: u32): bool {
  return time1 > time2 || (time1 == time2 && after(seq1, seq2));
}

/** The newest delivered transmission so far (tcp_rack_advance). */
export function rackAdvance(tp: TcpSock, sacked: u32, endSeq: u32, time: i64): void {
  const rtt = <u32>((now - time) / NS_PER_US);
  if (sacked & (SEG_RETRANS | SEG_EVER_RETRANS) && rtt < tp.minRtt0) return; // ambiguous
  tp.tf |= TF_RACK_ADVANCED;
  tp.rackRttUs = rtt;
  if (sentAfter(time, tp.rackTime, endSeq, tp.rackEndSeq)) {
    tp.rackTime = time;
    tp.rackEndSeq = endSeq;
  }
}

/** The ACK's timestamp is older than this retransmission: the original arrived (tcp_skb_spurious_retrans). */
export function spuriousRetrans(tp: TcpSock, seg: TxSeg): bool {
  if (!(seg.sacked & (SEG_RETRANS | SEG_EVER_RETRANS)) || !tp.sawTs || tp.rcvTsecr == 0) return false;
  return before(tp.rcvTsecr, <u32>((seg.time + skipped) / NS_PER_MS) + tp.tsOffset);
}

/** Reordering window in µs (tcp_rack_reo_wnd). */
function reoWnd(tp: TcpSock): u32 {
  if (!(tp.tf & TF_REORD_SEEN)) {
    if (tp.caState >= CA_RECOVERY || tp.sackedOut >= tp.reordering) return 0;
  }
  const min = tp.minRtt0 == 0xffffffff ? 0 : tp.minRtt0;
  return minU((min >> 2) * tp.rackSteps, tp.srttUs >> 3);
}

/** Time in µs until a segment counts as lost; not positive = lost (tcp_rack_skb_timeout). */
@inline
export function rackTimeout(tp: TcpSock, seg: TxSeg, window: u32): i32 {
  return <i32>(tp.rackRttUs + window) - <i32>((now - seg.time) / NS_PER_US);
}

/** Marks what must be lost; returns the longest wait of the rest in µs, 0 = none (tcp_rack_detect_loss). */
function rackDetectLoss(tp: TcpSock): u32 {
  let wait: u32 = 0;
  const window = reoWnd(tp);
  let p = tp.tsHead;
  while (p != 0) {
    const seg = changetype<TxSeg>(p);
    p = seg.tsNext;
    if (seg.sacked & SEG_LOST && !(seg.sacked & SEG_RETRANS)) continue;
    if (!sentAfter(tp.rackTime, seg.time, tp.rackEndSeq, seg.endSeq)) break;
    const left = rackTimeout(tp, seg, window);
    if (left <= 0) {
      markLost(tp, seg);
      tsUnlink(tp, seg);
    } else wait = maxU(wait, <u32>left);
  }
  return wait;
}

/** True when the reordering timer was armed (tcp_rack_mark_lost). */
export function rackMarkLost(tp: TcpSock): bool {
  if (!(tp.tf & TF_RACK_ADVANCED)) return false;
  tp.tf &= ~TF_RACK_ADVANCED;
  const wait = rackDetectLoss(tp);
  if (wait == 0) return false;
  const delay = <i64>(wait + 2000) * NS_PER_US;
  resetXmitTimer(tp, TIME_REO, delay < tp.rto ? delay : tp.rto);
  return true;
}

/** The reordering timer fired (tcp_rack_reo_timeout). */
export function rackReoTimeout(tp: TcpSock): void {
  const flight = packetsInFlight(tp);
  const lost = tp.lostOut;
  rackDetectLoss(tp);
  if (flight != packetsInFlight(tp)) {
    if (tp.caState != CA_RECOVERY) {
      enterRecovery(tp);
      cwndReduction(tp, 1, tp.lostOut - lost, 0);
    }
    xmitRetransmitQueue(tp);
  }
  if (tp.timerKind != TIME_RETRANS) rearmRto(tp);
}

/** Widens the reordering window after D-SACKs, 16 recoveries long (tcp_rack_update_reo_wnd). */
export function rackUpdateReoWnd(tp: TcpSock, priorDelivered: u32): void {
  if (priorDelivered == 0) return;
  if (before(priorDelivered, tp.rackLastDelivered)) tp.tf &= ~TF_RACK_DSACK;
  if (tp.tf & TF_RACK_DSACK) {
    tp.rackSteps = minU(0xff, tp.rackSteps + 1);
    tp.tf &= ~TF_RACK_DSACK;
    tp.rackLastDelivered = tp.delivered;
    tp.rackPersist = 16;
  } else if (tp.rackPersist == 0) tp.rackSteps = 1;
}

// ---------------------------------------------------------------------------------------------- marks

/** tcp_mark_skb_lost. */
export function markLost(tp: TcpSock, seg: TxSeg): void {
  if (seg.sacked & SEG_SACKED) return;
  if (tp.retransHint == 0 || before(seg.seq, changetype<TxSeg>(tp.retransHint).seq)) tp.retransHint = changetype<usize>(seg);
  if (seg.sacked & SEG_LOST) {
    if (seg.sacked & SEG_RETRANS) {
      seg.sacked &= ~SEG_RETRANS;
      tp.retransOut--;
    }
    return;
  }
  tp.lostOut++;
  seg.sacked |= SEG_LOST;
}

/** Reordering was seen: distance between a late segment and the highest SACKed one (tcp_check_sack_reordering). */
export function checkSackReordering(tp: TcpSock, low: u32): void {
  const fack = highestSackSeq(tp);
  if (!before(low, fack)) return;
  const metric = fack - low;
  const mss = tp.mssCache;
  if (mss != 0 && metric > tp.reordering * mss) tp.reordering = minU((metric + mss - 1) / mss, TCP_MAX_REORDERING);
  tp.tf |= TF_REORD_SEEN;
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPSACKREORDER);
}

/** Duplicate ACKs stand for SACKs when the peer has none (tcp_add_reno_sack). */
export function addRenoSacks(tp: TcpSock, dupacks: u32): void {
  if (dupacks == 0) return;
  const prior = tp.sackedOut;
  tp.sackedOut += dupacks;
  // tcp_limit_reno_sacked
  const holes = minU(maxU(tp.lostOut, 1), tp.packetsOut);
  if (tp.sackedOut + holes > tp.packetsOut) tp.sackedOut = tp.packetsOut - holes;
  if (tp.sackedOut > prior) tp.delivered += tp.sackedOut - prior;
}

/** tcp_remove_reno_sacks. */
export function removeRenoSacks(tp: TcpSock, acked: u32): void {
  if (acked == 0) return;
  const gone = acked - 1;
  tp.delivered += maxU(acked > tp.sackedOut ? acked - tp.sackedOut : 0, 1);
  tp.sackedOut = gone >= tp.sackedOut ? 0 : tp.sackedOut - gone;
}

/** tcp_newreno_mark_lost: the first hole is lost after three duplicates, or at a partial ACK. */
export function newrenoMarkLost(tp: TcpSock, advanced: bool): void {
  if (rtxQueueEmpty(tp)) return;
  if (!((tp.caState < CA_RECOVERY && tp.sackedOut >= tp.reordering) || (tp.caState == CA_RECOVERY && advanced))) return;
  const head = changetype<TxSeg>(tp.txHead);
  if (!(head.sacked & SEG_LOST)) markLost(tp, head);
}

/** A segment in flight was sent again (tcp_any_retrans_done). */
@inline
export function anyRetransDone(tp: TcpSock): bool {
  if (tp.retransOut != 0) return true;
  return !rtxQueueEmpty(tp) && (changetype<TxSeg>(tp.txHead).sacked & SEG_EVER_RETRANS) != 0;
}

/** The ACK answers something older than the first retransmission (tcp_packet_delayed). */
export function packetDelayed(tp: TcpSock): bool {
  return tp.retransStamp != 0 && tp.sawTs != 0 && tp.rcvTsecr != 0 && before(tp.rcvTsecr, tp.retransStamp);
}

/** The peer acknowledged everything before the retransmission (tcp_may_undo). */
@inline
export function mayUndo(tp: TcpSock): bool {
  return tp.undoMarker != 0 && (tp.undoRetrans == 0 || packetDelayed(tp));
}
