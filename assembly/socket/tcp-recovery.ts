/**
 * Loss detection and recovery: RACK (RFC 8985), the congestion states, PRR (RFC 6937), undo by timestamps and D-SACK
 * (RFC 3522, RFC 3708), F-RTO (RFC 5682), tail loss probes (net/ipv4/tcp_input.c, tcp_recovery.c).
 */
import {
  SNMP_TCPEXT_TCPDSACKUNDO, SNMP_TCPEXT_TCPFULLUNDO, SNMP_TCPEXT_TCPLOSSPROBERECOVERY, SNMP_TCPEXT_TCPLOSSUNDO,
  SNMP_TCPEXT_TCPPARTIALUNDO, SNMP_TCPEXT_TCPSACKRECOVERY, SNMP_TCPEXT_TCPSACKRENEGING, SNMP_TCPEXT_TCPSPURIOUSRTOS,
  snmpInc,
} from "../inet/snmp";
import { now } from "../sim/event";
import { after, before } from "../wire/tcp";
import {
  FLAG_DATA_SACKED, FLAG_DSACK_TLP, FLAG_LOST_RETRANS, FLAG_NOT_DUP, FLAG_ORIG_SACK_ACKED, FLAG_SACK_RENEGING,
  FLAG_SET_XMIT_TIMER, FLAG_SND_UNA_ADVANCED,
} from "./tcp-ack";
import { cubicLoss, cubicSsthresh } from "./tcp-cubic";
import {
  addRenoSacks, anyRetransDone, checkSackReordering, markLost, mayUndo, newrenoMarkLost, packetDelayed, rackMarkLost,
  rackTimeout,
} from "./tcp-rack";
import {
  CA_CWR, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY, NS_PER_MS, NS_PER_US, SEG_LOST, SEG_SACKED,
  TCP_INFINITE_SSTHRESH, TCP_REORDERING, TF_FRTO, TF_RACK_ADVANCED, TF_SACK_OK, TF_TLP_RETRANS, TIME_RETRANS,
} from "./tcp-const";
import { TcpSock, TxSeg, currentSsthresh, maxU, minU, packetsInFlight, tcpNs, wndEnd } from "./tcp-sock";
import { rtxQueueEmpty } from "./tcp-txq";
import { resetXmitTimer } from "./tcp-xmit";

/** What an ACK asks to be sent (enum of tcp_input.c). */
export const REXMIT_NONE: u32 = 0;
export const REXMIT_LOST: u32 = 1;
export const REXMIT_NEW: u32 = 2;
/** What tcp_ack shall send at its end. */
export let rexmit: u32 = 0;

/** Sets `rexmit`. */
export function setRexmit(value: u32): void {
  rexmit = value;
}

// ---------------------------------------------------------------------------------------------- undo

/** tcp_undo_cwnd_reduction. */
function undoCwndReduction(tp: TcpSock, unmark: bool): void {
  if (unmark) {
    for (let p = tp.txHead; p != 0 && p != tp.sendHead; p = changetype<TxSeg>(p).next)
      changetype<TxSeg>(p).sacked &= ~SEG_LOST;
    tp.lostOut = 0;
    tp.retransHint = 0;
  }
  if (tp.priorSsthresh != 0) {
    tp.cwnd = maxU(tp.cwnd, tp.priorCwnd);
    if (tp.priorSsthresh > tp.ssthresh) tp.ssthresh = tp.priorSsthresh;
  }
  tp.cwndStamp = now;
  tp.undoMarker = 0;
  tp.tf |= TF_RACK_ADVANCED;
}

/** Without SACK the state is held a little longer, against false fast retransmits (tcp_is_non_sack_preventing_reopen). */
function renoHolds(tp: TcpSock): bool {
  if (tp.sndUna != tp.highSeq || tp.tf & TF_SACK_OK) return false;
  if (!anyRetransDone(tp)) tp.retransStamp = 0;
  return true;
}

/** tcp_try_undo_recovery: true when the state must be kept. */
function tryUndoRecovery(tp: TcpSock): bool {
  if (mayUndo(tp)) {
    const lossState = tp.caState == CA_LOSS;
    undoCwndReduction(tp, false);
    snmpInc(tcpNs(tp), lossState ? SNMP_TCPEXT_TCPLOSSUNDO : SNMP_TCPEXT_TCPFULLUNDO);
  } else if (tp.rackPersist != 0) tp.rackPersist--;
  if (renoHolds(tp)) return true;
  tp.caState = CA_OPEN;
  return false;
}

function tryUndoDsack(tp: TcpSock): bool {
  if (tp.undoMarker == 0 || tp.undoRetrans != 0) return false;
  tp.rackPersist = minU(16, tp.rackPersist + 1);
  undoCwndReduction(tp, false);
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPDSACKUNDO);
  return true;
}

function tryUndoLoss(tp: TcpSock, frto: bool): bool {
  if (!frto && !mayUndo(tp)) return false;
  undoCwndReduction(tp, true);
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPLOSSUNDO);
  if (frto) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPSPURIOUSRTOS);
  tp.retransmits = 0;
  if (renoHolds(tp)) return true;
  if (frto || tp.tf & TF_SACK_OK) tp.caState = CA_OPEN;
  return true;
}

/** tcp_try_undo_partial: true = nothing more to do for this ACK. */
function tryUndoPartial(tp: TcpSock, priorSndUna: u32): bool {
  if (tp.undoMarker == 0 || !packetDelayed(tp)) return false;
  checkSackReordering(tp, priorSndUna);
  if (tp.retransOut != 0) return true;
  if (!anyRetransDone(tp)) tp.retransStamp = 0;
  undoCwndReduction(tp, true);
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPPARTIALUNDO);
  tryKeepOpen(tp);
  return false;
}

// ---------------------------------------------------------------------------------------------- states

function initUndo(tp: TcpSock): void {
  tp.undoMarker = tp.sndUna;
  tp.undoRetrans = <i32>tp.retransOut;
  if (tp.tlpHighSeq != 0 && tp.tf & TF_TLP_RETRANS) tp.undoRetrans++;
  if (tp.undoRetrans == 0) tp.undoRetrans = -1;
}

function initCwndReduction(tp: TcpSock): void {
  tp.highSeq = tp.sndNxt;
  tp.tlpHighSeq = 0;
  tp.cwndCnt = 0;
  tp.priorCwnd = tp.cwnd;
  tp.prrDelivered = 0;
  tp.prrOut = 0;
  tp.ssthresh = cubicSsthresh(tp);
}

/** Proportional rate reduction (tcp_cwnd_reduction). */
export function cwndReduction(tp: TcpSock, newly: u32, lost: u32, flag: u32): void {
  if (newly == 0 || tp.priorCwnd == 0) return;
  const flight = packetsInFlight(tp);
  const delta = <i32>(tp.ssthresh - flight);
  tp.prrDelivered += newly;
  let count: i32;
  if (delta < 0) {
    const dividend = <u64>tp.ssthresh * <u64>tp.prrDelivered + <u64>tp.priorCwnd - 1;
    count = <i32>(dividend / <u64>tp.priorCwnd) - <i32>tp.prrOut;
  } else {
    count = <i32>(tp.prrDelivered - tp.prrOut);
    if (count < <i32>newly) count = <i32>newly;
    if (flag & FLAG_SND_UNA_ADVANCED && lost == 0) count++;
    if (count > delta) count = delta;
  }
  // The first retransmission leaves in any case.
  const least = tp.prrOut != 0 ? 0 : 1;
  if (count < least) count = least;
  tp.cwnd = flight + <u32>count;
}

function endCwndReduction(tp: TcpSock): void {
  if (tp.ssthresh < TCP_INFINITE_SSTHRESH && (tp.caState == CA_CWR || tp.undoMarker != 0)) {
    tp.cwnd = tp.ssthresh;
    tp.cwndStamp = now;
  }
}

function tryKeepOpen(tp: TcpSock): void {
  const state = tp.sackedOut + tp.lostOut != 0 || anyRetransDone(tp) ? CA_DISORDER : CA_OPEN;
  if (tp.caState != state) {
    tp.caState = state;
    tp.highSeq = tp.sndNxt;
  }
}

/** tcp_enter_recovery. */
export function enterRecovery(tp: TcpSock): void {
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPSACKRECOVERY);
  tp.priorSsthresh = 0;
  initUndo(tp);
  if (tp.caState != CA_CWR && tp.caState != CA_RECOVERY) {
    tp.priorSsthresh = currentSsthresh(tp);
    initCwndReduction(tp);
  }
  tp.caState = CA_RECOVERY;
}

/** The retransmission timer fired: all is lost but what RACK still expects (tcp_enter_loss). */
export function enterLoss(tp: TcpSock): void {
  const head = tp.txHead;
  const reneged = head != tp.sendHead && (changetype<TxSeg>(head).sacked & SEG_SACKED) != 0;
  if (reneged) {
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPSACKRENEGING);
    tp.sackedOut = 0;
    tp.highestSack = head;
    tp.cache0 = 0;
  } else if (!(tp.tf & TF_SACK_OK)) tp.sackedOut = 0;
  for (let p = head; p != 0 && p != tp.sendHead; p = changetype<TxSeg>(p).next) {
    const seg = changetype<TxSeg>(p);
    if (reneged) seg.sacked &= ~SEG_SACKED;
    else if (p != head && rackTimeout(tp, seg, 0) > 0) continue;
    markLost(tp, seg);
  }
  const fresh = tp.caState < CA_RECOVERY;
  if (tp.caState <= CA_DISORDER || !after(tp.highSeq, tp.sndUna) || (tp.caState == CA_LOSS && tp.retransmits == 0)) {
    tp.priorSsthresh = currentSsthresh(tp);
    tp.priorCwnd = tp.cwnd;
    tp.ssthresh = cubicSsthresh(tp);
    initUndo(tp);
  }
  tp.cwnd = packetsInFlight(tp) + 1;
  tp.cwndCnt = 0;
  tp.cwndStamp = now;
  if (tp.caState <= CA_DISORDER && tp.sackedOut >= TCP_REORDERING) tp.reordering = minU(tp.reordering, TCP_REORDERING);
  const frto = fresh || tp.retransmits != 0;
  tp.caState = CA_LOSS;
  cubicLoss(tp);
  tp.highSeq = tp.sndNxt;
  tp.tlpHighSeq = 0;
  if (frto) tp.tf |= TF_FRTO;
  else tp.tf &= ~TF_FRTO;
}

/** An ACK in state Loss (tcp_process_loss). */
function processLoss(tp: TcpSock, flag: u32, dupacks: u32): void {
  const recovered = !before(tp.sndUna, tp.highSeq);
  if (flag & FLAG_SND_UNA_ADVANCED && tryUndoLoss(tp, false)) return;
  if (tp.tf & TF_FRTO) {
    // Never retransmitted data arrived: the timeout was spurious.
    if (flag & FLAG_ORIG_SACK_ACKED && tryUndoLoss(tp, true)) return;
    if (after(tp.sndNxt, tp.highSeq)) {
      if (flag & FLAG_DATA_SACKED || dupacks != 0) tp.tf &= ~TF_FRTO;
    } else if (flag & FLAG_SND_UNA_ADVANCED && !recovered) {
      tp.highSeq = tp.sndNxt;
      if (tp.sendHead != 0 && after(wndEnd(tp), tp.sndNxt)) {
        rexmit = REXMIT_NEW;
        return;
      }
      tp.tf &= ~TF_FRTO;
    }
  }
  if (recovered) {
    tryUndoRecovery(tp);
    return;
  }
  if (!(tp.tf & TF_SACK_OK)) {
    if (after(tp.sndNxt, tp.highSeq) && dupacks != 0) addRenoSacks(tp, dupacks);
    else if (flag & FLAG_SND_UNA_ADVANCED) tp.sackedOut = 0;
  }
  rexmit = REXMIT_LOST;
}

/** tcp_identify_packet_loss; returns the flags. */
function identifyLoss(tp: TcpSock, flag: u32): u32 {
  if (rtxQueueEmpty(tp)) return flag;
  if (!(tp.tf & TF_SACK_OK)) {
    newrenoMarkLost(tp, (flag & FLAG_SND_UNA_ADVANCED) != 0);
    return flag;
  }
  const prior = tp.retransOut;
  if (rackMarkLost(tp)) flag &= ~FLAG_SET_XMIT_TIMER;
  if (prior > tp.retransOut) flag |= FLAG_LOST_RETRANS;
  return flag;
}

/** The state machine of an ACK that isn't plain progress (tcp_fastretrans_alert). Returns the flags; sets `rexmit`. */
export function fastretransAlert(tp: TcpSock, priorSndUna: u32, dupacks: u32, flagIn: u32): u32 {
  let flag = flagIn;
  if (tp.packetsOut == 0 && tp.sackedOut != 0) tp.sackedOut = 0;
  if (flag & FLAG_SACK_RENEGING && flag & FLAG_SND_UNA_ADVANCED) {
    const delay = <i64>(tp.srttUs >> 4) * NS_PER_US;
    resetXmitTimer(tp, TIME_RETRANS, delay > 10 * NS_PER_MS ? delay : 10 * NS_PER_MS);
    return flag & ~FLAG_SET_XMIT_TIMER;
  }
  if (tp.caState == CA_OPEN) tp.retransStamp = 0;
  else if (!before(tp.sndUna, tp.highSeq)) {
    if (tp.caState == CA_CWR && tp.sndUna != tp.highSeq) {
      endCwndReduction(tp);
      tp.caState = CA_OPEN;
    } else if (tp.caState == CA_RECOVERY) {
      if (!(tp.tf & TF_SACK_OK)) tp.sackedOut = 0;
      if (tryUndoRecovery(tp)) return flag;
      endCwndReduction(tp);
    }
  }
  if (tp.caState == CA_RECOVERY) {
    if (!(flag & FLAG_SND_UNA_ADVANCED)) {
      if (!(tp.tf & TF_SACK_OK)) addRenoSacks(tp, dupacks);
    } else if (tryUndoPartial(tp, priorSndUna)) return flag;
    if (tryUndoDsack(tp)) tryKeepOpen(tp);
    flag = identifyLoss(tp, flag);
    if (tp.caState != CA_RECOVERY) {
      if (tp.lostOut == 0) return flag;
      enterRecovery(tp);
    }
    rexmit = REXMIT_LOST;
    return flag;
  }
  if (tp.caState == CA_LOSS) {
    processLoss(tp, flag, dupacks);
    flag = identifyLoss(tp, flag);
    if (!(tp.caState == CA_OPEN || flag & FLAG_LOST_RETRANS)) return flag;
  }
  return disorder(tp, flag, dupacks);
}

/** The default branch: states Open, Disorder, CWR, and Loss that was undone. */
function disorder(tp: TcpSock, flagIn: u32, dupacks: u32): u32 {
  let flag = flagIn;
  if (!(tp.tf & TF_SACK_OK)) {
    if (flag & FLAG_SND_UNA_ADVANCED) tp.sackedOut = 0;
    addRenoSacks(tp, dupacks);
  }
  if (tp.caState <= CA_DISORDER) tryUndoDsack(tp);
  flag = identifyLoss(tp, flag);
  if (tp.lostOut == 0) {
    if (!anyRetransDone(tp)) tp.retransStamp = 0;
    if (tp.caState != CA_CWR) tryKeepOpen(tp);
    return flag;
  }
  enterRecovery(tp);
  rexmit = REXMIT_LOST;
  return flag;
}

/** What an ACK says about a tail loss probe (tcp_process_tlp_ack). */
export function processTlpAck(tp: TcpSock, ack: u32, flag: u32): void {
  if (before(ack, tp.tlpHighSeq)) return;
  if (!(tp.tf & TF_TLP_RETRANS) || flag & FLAG_DSACK_TLP) {
    tp.tlpHighSeq = 0;
  } else if (after(ack, tp.tlpHighSeq)) {
    // Beyond the probe without a D-SACK: there was a loss, which the probe repaired.
    initCwndReduction(tp);
    tp.caState = CA_CWR;
    endCwndReduction(tp);
    tryKeepOpen(tp);
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPLOSSPROBERECOVERY);
  } else if (!(flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP | FLAG_DATA_SACKED))) tp.tlpHighSeq = 0;
}
