/**
 * Processing of the acknowledgement field: window updates, the retransmission queue, RTT estimation
 * (net/ipv4/tcp_input.c tcp_ack and what it calls). SACK blocks are read in tcp-sack; loss recovery is in tcp-recovery.
 */
import { TCP_SYN_SENT } from "../abi";
import { neighConfirm } from "../inet/neigh";
import { SNMP_TCPEXT_TCPPUREACKS, snmpInc } from "../inet/snmp";
import { NetDev } from "../link/netdev";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import { TCPHDR_SYN, after, before, optSack, tcpWindow } from "../wire/tcp";
import { cubicAcked, cubicCongAvoid } from "./tcp-cubic";
import { syncMss } from "./tcp-output";
import { checkSackReordering, rackAdvance, rackUpdateReoWnd, removeRenoSacks, spuriousRetrans } from "./tcp-rack";
import {
  REXMIT_NEW, REXMIT_NONE, cwndReduction, fastretransAlert, processTlpAck, rexmit, setRexmit,
} from "./tcp-recovery";
import { scheduleLossProbe, xmitRetransmitQueue } from "./tcp-retrans";
import { highestSackSeq, sackFirstTime, sackLastTime, sackPriorDelivered, sacktag } from "./tcp-sack";
import {
  CA_CWR, CA_OPEN, CA_RECOVERY, JIFFY, NS_PER_SEC, NS_PER_US, PAWS_24DAYS, SEG_EVER_RETRANS, SEG_LOST, SEG_RETRANS,
  SEG_SACKED, TCP_REORDERING, TCP_RTO_MAX, TCP_RTO_MIN_US, TF_FRTO, TF_SACK_OK, TIME_PROBE0,
} from "./tcp-const";
import { TcpSock, TxSeg, maxU, tcpNs, tcpTimeStamp, wndEnd } from "./tcp-sock";
import { segRemove } from "./tcp-txq";
import {
  NAGLE_OFF, clearXmitTimer, isCwndLimited, probe0When, pushPending, rearmRto, resetXmitTimer,
} from "./tcp-xmit";

/** FLAG_* of an ACK */
export const FLAG_DATA: u32 = 0x01;
export const FLAG_WIN_UPDATE: u32 = 0x02;
export const FLAG_DATA_ACKED: u32 = 0x04;
export const FLAG_RETRANS_DATA_ACKED: u32 = 0x08;
export const FLAG_SYN_ACKED: u32 = 0x10;
export const FLAG_DATA_SACKED: u32 = 0x20;
export const FLAG_LOST_RETRANS: u32 = 0x80;
export const FLAG_SLOWPATH: u32 = 0x100;
export const FLAG_ORIG_SACK_ACKED: u32 = 0x200;
export const FLAG_SND_UNA_ADVANCED: u32 = 0x400;
export const FLAG_DSACKING_ACK: u32 = 0x800;
export const FLAG_SET_XMIT_TIMER: u32 = 0x1000;
export const FLAG_SACK_RENEGING: u32 = 0x2000;
export const FLAG_UPDATE_TS_RECENT: u32 = 0x4000;
export const FLAG_NO_CHALLENGE_ACK: u32 = 0x8000;
export const FLAG_ACK_MAYBE_DELAYED: u32 = 0x10000;
export const FLAG_DSACK_TLP: u32 = 0x20000;
export const FLAG_ACKED: u32 = FLAG_DATA_ACKED | FLAG_SYN_ACKED;
export const FLAG_NOT_DUP: u32 = FLAG_DATA | FLAG_WIN_UPDATE | FLAG_ACKED;
export const FLAG_CA_ALERT: u32 = FLAG_DATA_SACKED | FLAG_DSACKING_ACK;
export const FLAG_FORWARD_PROGRESS: u32 = FLAG_ACKED | FLAG_DATA_SACKED;

/** Results of tcpAck */
export const ACK_OK: i32 = 1;
export const ACK_OLD: i32 = 0;
/** Far too old: the caller answers with a challenge ACK unless it said FLAG_NO_CHALLENGE_ACK. */
export const ACK_TOO_OLD: i32 = -1;
/** Acknowledges what was never sent. */
const ACK_UNSENT: i32 = -2;

// ---------------------------------------------------------------------------------------------- RTT

/** Smoothed RTT and deviation, Linux's way (tcp_rtt_estimator; srtt × 8, mdev × 4, µs). */
export function rttEstimator(tp: TcpSock, rttUs: u32): void {
  let m = <i32>rttUs;
  if (tp.srttUs == 0) {
    tp.srttUs = rttUs << 3;
    tp.mdevUs = rttUs << 1;
    tp.rttvarUs = maxU(tp.mdevUs, TCP_RTO_MIN_US);
    tp.mdevMaxUs = tp.rttvarUs;
    tp.rttSeq = tp.sndNxt;
  } else {
    m -= <i32>(tp.srttUs >> 3);
    tp.srttUs += m;
    if (m < 0) {
      m = -m;
      m -= <i32>(tp.mdevUs >> 2);
      if (m > 0) m >>= 3;
    } else m -= <i32>(tp.mdevUs >> 2);
    tp.mdevUs += m;
    if (tp.mdevUs > tp.mdevMaxUs) {
      tp.mdevMaxUs = tp.mdevUs;
      if (tp.mdevMaxUs > tp.rttvarUs) tp.rttvarUs = tp.mdevMaxUs;
    }
    if (after(tp.sndUna, tp.rttSeq)) {
      if (tp.mdevMaxUs < tp.rttvarUs) tp.rttvarUs -= (tp.rttvarUs - tp.mdevMaxUs) >> 2;
      tp.rttSeq = tp.sndNxt;
      tp.mdevMaxUs = TCP_RTO_MIN_US;
    }
  }
  if (tp.srttUs == 0) tp.srttUs = 1;
}

/** RTO = srtt + rttvar, rounded up to whole jiffies (tcp_set_rto). */
export function setRto(tp: TcpSock): void {
  const rto = <i64>((tp.srttUs >> 3) + tp.rttvarUs) * NS_PER_US;
  const rounded = ((rto + JIFFY - 1) / JIFFY) * JIFFY;
  tp.rto = rounded < TCP_RTO_MAX ? rounded : TCP_RTO_MAX;
}

const MIN_RTT_WINDOW: i64 = 300 * NS_PER_SEC;

/** Windowed minimum over 300 s by three samples (lib/win_minmax.c). */
export function updateMinRtt(tp: TcpSock, rtt: u32): void {
  if (rtt <= tp.minRtt0 || now - tp.minT2 > MIN_RTT_WINDOW || tp.minRtt0 == 0xffffffff) {
    tp.minRtt0 = rtt;
    tp.minRtt1 = rtt;
    tp.minRtt2 = rtt;
    tp.minT0 = now;
    tp.minT1 = now;
    tp.minT2 = now;
    return;
  }
  if (rtt <= tp.minRtt1) {
    tp.minRtt1 = rtt;
    tp.minRtt2 = rtt;
    tp.minT1 = now;
    tp.minT2 = now;
  } else if (rtt <= tp.minRtt2) {
    tp.minRtt2 = rtt;
    tp.minT2 = now;
  }
  const age = now - tp.minT0;
  if (age > MIN_RTT_WINDOW) {
    tp.minRtt0 = tp.minRtt1;
    tp.minT0 = tp.minT1;
    tp.minRtt1 = tp.minRtt2;
    tp.minT1 = tp.minT2;
    tp.minRtt2 = rtt;
    tp.minT2 = now;
  } else if (tp.minT1 == tp.minT0 && age > MIN_RTT_WINDOW / 4) {
    tp.minRtt1 = rtt;
    tp.minRtt2 = rtt;
    tp.minT1 = now;
    tp.minT2 = now;
  } else if (tp.minT2 == tp.minT1 && age > MIN_RTT_WINDOW / 2) {
    tp.minRtt2 = rtt;
    tp.minT2 = now;
  }
}

@inline
function usSince(time: i64): i32 {
  return <i32>((now - time) / NS_PER_US);
}

/** The RTT sample of this ACK for congestion control, µs; -1 = none. */
let caRtt: i32 = -1;

/** tcp_ack_update_rtt; true when a sample was taken. */
function ackUpdateRtt(tp: TcpSock, flag: u32, seqRtt: i32, sackRtt: i32): bool {
  if (seqRtt < 0) seqRtt = sackRtt;
  if (seqRtt < 0 && tp.sawTs && tp.rcvTsecr != 0 && flag & FLAG_ACKED) {
    let delta = tcpTimeStamp(tp) - tp.rcvTsecr;
    if (delta < 0x7fffffff / 4000) {
      if (delta == 0) delta = 1;
      seqRtt = <i32>(delta * 1000);
      caRtt = seqRtt;
    }
  }
  if (seqRtt < 0) return false;
  const min: u32 = caRtt > 0 ? <u32>caRtt : 1;
  if (!(flag & FLAG_ACK_MAYBE_DELAYED && min > tp.minRtt0)) updateMinRtt(tp, min);
  rttEstimator(tp, <u32>seqRtt);
  setRto(tp);
  tp.backoff = 0;
  return true;
}

// ---------------------------------------------------------------------------------------------- the queue

let pktsAcked: u32 = 0;
let priorDelivered: u32 = 0;

/** Takes acknowledged segments off the retransmission queue, measures the RTT (tcp_clean_rtx_queue). Returns flags. */
function cleanRtxQueue(tp: TcpSock, priorFack: u32, priorSndUna: u32, flag: u32): u32 {
  const priorSacked = tp.sackedOut;
  let firstTime: i64 = -1;
  let lastTime: i64 = -1;
  let reord = tp.sndUna;
  pktsAcked = 0;
  let wasPush = false;
  while (tp.txHead != tp.sendHead) {
    const seg = changetype<TxSeg>(tp.txHead);
    if (after(seg.endSeq, tp.sndUna)) break;
    const sacked = seg.sacked;
    if (sacked & (SEG_RETRANS | SEG_EVER_RETRANS)) {
      if (sacked & SEG_RETRANS) tp.retransOut--;
      flag |= FLAG_RETRANS_DATA_ACKED;
    } else if (!(sacked & SEG_SACKED)) {
      lastTime = seg.time;
      if (firstTime < 0) firstTime = lastTime;
      if (before(seg.seq, reord)) reord = seg.seq;
      if (!after(seg.endSeq, tp.highSeq)) flag |= FLAG_ORIG_SACK_ACKED;
    }
    if (sacked & SEG_SACKED) tp.sackedOut--;
    else if (tp.tf & TF_SACK_OK) {
      tp.delivered++;
      if (!spuriousRetrans(tp, seg)) rackAdvance(tp, sacked, seg.endSeq, seg.time);
    }
    if (sacked & SEG_LOST) tp.lostOut--;
    tp.packetsOut--;
    pktsAcked++;
    if (seg.delivered > priorDelivered) priorDelivered = seg.delivered;
    if (seg.flags & TCPHDR_SYN) {
      flag |= FLAG_SYN_ACKED;
      tp.retransStamp = 0;
    } else flag |= FLAG_DATA_ACKED;
    wasPush = (seg.flags & 8) != 0;
    segRemove(tp, seg);
  }
  const head = tp.txHead != tp.sendHead ? tp.txHead : 0;
  if (head != 0 && changetype<TxSeg>(head).sacked & SEG_SACKED) flag |= FLAG_SACK_RENEGING;
  let seqRtt: i32 = -1;
  let sackRtt: i32 = -1;
  caRtt = -1;
  if (firstTime >= 0 && !(flag & FLAG_RETRANS_DATA_ACKED)) {
    seqRtt = usSince(firstTime);
    caRtt = usSince(lastTime);
    if (pktsAcked == 1 && priorSacked == 0 && tp.sndUna - priorSndUna < tp.mssCache && !wasPush)
      flag |= FLAG_ACK_MAYBE_DELAYED;
  }
  if (sackFirstTime >= 0) {
    sackRtt = usSince(sackFirstTime);
    caRtt = usSince(sackLastTime);
  }
  const updated = ackUpdateRtt(tp, flag, seqRtt, sackRtt);
  if (flag & FLAG_ACKED) {
    flag |= FLAG_SET_XMIT_TIMER;
    if (!(tp.tf & TF_SACK_OK)) {
      removeRenoSacks(tp, pktsAcked);
      if (flag & FLAG_RETRANS_DATA_ACKED) flag &= ~FLAG_ORIG_SACK_ACKED;
    } else if (before(reord, priorFack)) checkSackReordering(tp, reord);
  } else if (head != 0 && updated && sackRtt >= 0 && sackRtt > usSince(changetype<TxSeg>(head).time)) {
    // Don't extend the RTO on SACKs of data sent after the head's last transmission.
    flag |= FLAG_SET_XMIT_TIMER;
  }
  cubicAcked(tp, caRtt);
  return flag;
}

// ---------------------------------------------------------------------------------------------- window, timestamps

/** tcp_may_update_window. */
@inline
export function mayUpdateWindow(tp: TcpSock, ack: u32, seq: u32, window: u32): bool {
  return after(ack, tp.sndUna) || after(seq, tp.sndWl1) || (seq == tp.sndWl1 && (window > tp.sndWnd || window == 0));
}

function ackUpdateWindow(tp: TcpSock, skb: Skb, ack: u32, seq: u32): u32 {
  let flag: u32 = 0;
  let window = tcpWindow(skb.th);
  if (!(skb.cb2 & TCPHDR_SYN)) window <<= tp.sndWscale;
  if (mayUpdateWindow(tp, ack, seq, window)) {
    flag = FLAG_WIN_UPDATE;
    tp.sndWl1 = seq;
    if (tp.sndWnd != window) {
      tp.sndWnd = window;
      if (window > tp.maxWindow) {
        tp.maxWindow = window;
        syncMss(tp, tp.pmtu);
      }
    }
  }
  tp.bytesAcked += <u64>(ack - tp.sndUna);
  tp.sndUna = ack;
  return flag;
}

/** tcp_paws_check: true = acceptable. */
export function pawsCheck(tp: TcpSock, window: i32): bool {
  if (<i32>(tp.tsRecent - tp.rcvTsval) <= window) return true;
  return tp.tsRecent == 0 || now - tp.tsRecentStamp > PAWS_24DAYS;
}

/** tcp_store_ts_recent. */
@inline
export function storeTsRecent(tp: TcpSock): void {
  tp.tsRecent = tp.rcvTsval;
  tp.tsRecentStamp = now;
}

function replaceTsRecent(tp: TcpSock, seq: u32): void {
  if (tp.sawTs && !after(seq, tp.rcvWup) && pawsCheck(tp, 0)) storeTsRecent(tp);
}

/** tcp_ack_probe: the window opened, or the next probe is due later. */
function ackProbe(tp: TcpSock): void {
  if (tp.sendHead == 0) return;
  if (!after(changetype<TxSeg>(tp.sendHead).endSeq, wndEnd(tp))) {
    tp.backoff = 0;
    tp.probesStart = 0;
    if (tp.timerKind == TIME_PROBE0) clearXmitTimer(tp);
  } else resetXmitTimer(tp, TIME_PROBE0, probe0When(tp, TCP_RTO_MAX));
}

// ---------------------------------------------------------------------------------------------- tcp_ack

/** Processes the ACK of a segment whose options were parsed; ACK_* (tcp_ack). */
export function tcpAck(tp: TcpSock, skb: Skb, flagIn: u32): i32 {
  let flag = flagIn;
  const priorSndUna = tp.sndUna;
  const seq = skb.cb0;
  const ack = skb.cb3;
  const priorPackets = tp.packetsOut;
  const delivered = tp.delivered;
  setRexmit(REXMIT_NONE);
  priorDelivered = 0;
  if (before(ack, priorSndUna)) {
    if (before(ack, priorSndUna - tp.maxWindow)) return ACK_TOO_OLD;
    if (optSack != 0 && tp.tf & TF_SACK_OK) {
      flag |= sacktag(tp, ack, priorSndUna);
      fastretransAlert(tp, priorSndUna, 0, flag);
      xmitRecovery(tp);
    }
    return ACK_OLD;
  }
  if (after(ack, tp.sndNxt)) return ACK_UNSENT;
  if (after(ack, priorSndUna)) {
    flag |= FLAG_SND_UNA_ADVANCED;
    tp.retransmits = 0;
  }
  const priorFack = tp.tf & TF_SACK_OK ? highestSackSeq(tp) : tp.sndUna;
  if (flag & FLAG_UPDATE_TS_RECENT) replaceTsRecent(tp, seq);
  if (seq != skb.cb1) flag |= FLAG_DATA;
  else snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPPUREACKS);
  flag |= ackUpdateWindow(tp, skb, ack, seq);
  flag |= sacktag(tp, ack, priorSndUna);
  tp.errSoft = 0;
  tp.probesOut = 0;
  tp.rcvTstamp = now;
  if (priorPackets == 0) {
    if (flag & FLAG_DSACKING_ACK) fastretransAlert(tp, priorSndUna, 0, flag);
    ackProbe(tp);
    if (tp.tlpHighSeq != 0) processTlpAck(tp, ack, flag);
    return ACK_OK;
  }
  flag = cleanRtxQueue(tp, priorFack, priorSndUna, flag);
  rackUpdateReoWnd(tp, maxU(priorDelivered, sackPriorDelivered));
  finishAck(tp, ack, priorSndUna, flag, delivered);
  return ACK_OK;
}

/** Loss detection, timers, congestion control and (re)transmission that this ACK allows. */
function finishAck(tp: TcpSock, ack: u32, priorSndUna: u32, flagIn: u32, delivered: u32): void {
  let flag = flagIn;
  const lost = tp.lostOut;
  if (tp.tlpHighSeq != 0) processTlpAck(tp, ack, flag);
  if (!(flag & FLAG_NOT_DUP) || flag & FLAG_CA_ALERT || tp.caState != CA_OPEN) {
    let dupacks: u32 = 0;
    if (!(flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP | FLAG_DSACKING_ACK))) dupacks = 1;
    flag = fastretransAlert(tp, priorSndUna, dupacks, flag);
  }
  if (flag & FLAG_SET_XMIT_TIMER && !scheduleLossProbe(tp, true)) rearmRto(tp);
  if (flag & FLAG_FORWARD_PROGRESS || !(flag & FLAG_NOT_DUP)) {
    if (tp.dstDev != 0) neighConfirm(changetype<NetDev>(tp.dstDev), tp.dstNextHop);
  }
  // tcp_cong_control
  const newly = tp.delivered - delivered;
  if (tp.caState == CA_CWR || tp.caState == CA_RECOVERY) {
    cwndReduction(tp, newly, tp.lostOut > lost ? tp.lostOut - lost : 0, flag);
  } else {
    const raise: u32 = tp.reordering > TCP_REORDERING ? FLAG_FORWARD_PROGRESS : FLAG_DATA_ACKED;
    if (flag & raise && isCwndLimited(tp)) {
      cubicCongAvoid(tp, newly);
      tp.cwndStamp = now;
    }
  }
  xmitRecovery(tp);
}

/** tcp_xmit_recovery. */
function xmitRecovery(tp: TcpSock): void {
  if (rexmit == REXMIT_NONE || tp.state == TCP_SYN_SENT) return;
  if (rexmit == REXMIT_NEW) {
    pushPending(tp, NAGLE_OFF);
    if (after(tp.sndNxt, tp.highSeq)) return;
    tp.tf &= ~TF_FRTO;
  }
  xmitRetransmitQueue(tp);
}
