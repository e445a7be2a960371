/**
 * SACKs from the peer (net/sctp/outqueue.c sctp_outq_sack, sctp_check_transmitted, sctp_mark_missing) and what follows from
 * them: round-trip times, the congestion window, fast retransmission (transport.c).
 */
import { SNMP_SCTP_FASTRETRANSMITS, SNMP_SCTP_T3RETRANSMITS, snmpInc } from "../inet/snmp";
import { now } from "../sim/event";
import { timerDel, timerMod } from "../sim/timer";
import { SACK_HLEN, get16, get32 } from "../wire/sctp";
import {
  SCTP_RTO_MAX, SCTP_RTO_MIN, SF_FAST_RECOVERY, SF_NOSPACE, SF_RTT, SF_ZERO_WINDOW, TX_FAST_DONE, TX_GAP_ACKED,
  TX_IN_FLIGHT, TX_RESENT, TX_RETRANSMIT, TX_SENT, TX_TIMED,
} from "./sctp-const";
import { landed, markRetransmit, retransmitPacket } from "./sctp-output";
import { SctpSock, SctpTx, sctpNs, t3Timer, tsnLt, tsnLte, txFree } from "./sctp-sock";
import { sockWake } from "./socket";
import { JIFFY } from "./tcp-const";

/** A round trip was measured: SRTT, RTTVAR, RTO (sctp_transport_update_rto). */
export function updateRto(sk: SctpSock, rtt: i64): void {
  // Jiffies are what Linux measures in.
  const sample = (rtt / JIFFY) * JIFFY;
  if (sk.srtt != 0 || sk.rttvar != 0) {
    const error = sk.srtt > sample ? sk.srtt - sample : sample - sk.srtt;
    sk.rttvar = sk.rttvar - (sk.rttvar >> 2) + (error >> 2);
    sk.srtt = sk.srtt - (sk.srtt >> 3) + (sample >> 3);
  } else {
    sk.srtt = sample;
    sk.rttvar = sample >> 1;
  }
  if (sk.rttvar < JIFFY) sk.rttvar = JIFFY; // SCTP_CLOCK_GRANULARITY
  const rto = sk.srtt + (sk.rttvar << 2);
  sk.rto = rto < SCTP_RTO_MIN ? SCTP_RTO_MIN : rto > SCTP_RTO_MAX ? SCTP_RTO_MAX : rto;
  sk.sf &= ~SF_RTT;
}

/** sctp_transport_raise_cwnd: before the acknowledged bytes leave the flight. */
function raiseCwnd(sk: SctpSock, flight: u32, ctsn: u32, acked: u32): void {
  if (sk.sf & SF_FAST_RECOVERY && tsnLte(sk.frExit, ctsn)) sk.sf &= ~SF_FAST_RECOVERY;
  if (sk.cwnd <= sk.ssthresh) {
    // Slow start (RFC 9260 §7.2.1): only while the window is used up.
    if (sk.sf & SF_FAST_RECOVERY || !tsnLt(sk.ackPoint, ctsn) || flight < sk.cwnd) return;
    sk.cwnd += acked > sk.pmtu ? sk.pmtu : acked;
    return;
  }
  sk.partialAcked += acked;
  if (sk.partialAcked > sk.cwnd && flight < sk.cwnd) sk.partialAcked = sk.cwnd;
  if (sk.partialAcked >= sk.cwnd && flight >= sk.cwnd) {
    sk.partialAcked -= sk.cwnd;
    sk.cwnd += sk.pmtu;
  }
}

function halved(sk: SctpSock): u32 {
  return sk.cwnd >> 1 > 4 * sk.pmtu ? sk.cwnd >> 1 : 4 * sk.pmtu;
}

/** A T3 timeout (SCTP_LOWER_CWND_T3_RTX). */
export function lowerCwndTimeout(sk: SctpSock): void {
  sk.ssthresh = halved(sk);
  sk.cwnd = sk.pmtu;
  sk.partialAcked = 0;
  sk.sf &= ~SF_FAST_RECOVERY;
}

/** Nothing was sent for long (SCTP_LOWER_CWND_INACTIVE). */
export function lowerCwndIdle(sk: SctpSock): void {
  const idle = halved(sk);
  if (idle < sk.cwnd) sk.cwnd = idle;
  sk.partialAcked = 0;
}

/** The first TSN that was never sent. */
@inline
function unsent(sk: SctpSock): u32 {
  return sk.txNew != 0 ? changetype<SctpTx>(sk.txNew).tsn : sk.nextTsn;
}

function lowerCwndFast(sk: SctpSock): void {
  if (sk.sf & SF_FAST_RECOVERY) return;
  sk.sf |= SF_FAST_RECOVERY;
  sk.frExit = unsent(sk) - 1;
  sk.ssthresh = halved(sk);
  sk.cwnd = sk.ssthresh;
  sk.partialAcked = 0;
}

// ---------------------------------------------------------------------------------------------- SACK

/** Is a TSN in one of the gap blocks? Their offsets count from `ctsn`. */
function inGaps(blocks: usize, count: u32, ctsn: u32, tsn: u32): bool {
  const offset = tsn - ctsn;
  if (offset > 0xffff) return false;
  for (let i: u32 = 0; i < count; i++) {
    const at = blocks + (<usize>i << 2);
    if (get16(at) <= offset && offset <= get16(at + 2)) return true;
  }
  return false;
}

// What a pass over the sent chunks found.
let ackedBytes: u32 = 0;
let highestNew: u32 = 0;
let highest: u32 = 0;
let firstGone: bool = false;

function ackChunk(sk: SctpSock, tx: SctpTx): void {
  if (tx.tf & TX_TIMED) {
    tx.tf &= ~TX_TIMED;
    if (!(tx.tf & TX_RESENT)) updateRto(sk, now - tx.sentAt);
    sk.sf &= ~SF_RTT;
  }
  ackedBytes += tx.len;
  landed(sk, tx);
  tx.tf &= ~TX_RETRANSMIT;
}

/** Goes through what was sent: acknowledges, takes back, frees (sctp_check_transmitted). */
function checkSent(sk: SctpSock, ctsn: u32, blocks: usize, count: u32): void {
  ackedBytes = 0;
  highestNew = ctsn;
  highest = ctsn;
  firstGone = false;
  let p = sk.txFirst;
  while (p != 0 && p != sk.txNew) {
    const tx = changetype<SctpTx>(p);
    p = tx.next;
    if (tsnLte(tx.tsn, ctsn)) {
      if (!(tx.tf & TX_GAP_ACKED)) ackChunk(sk, tx);
      firstGone = true;
      sk.txFirst = p;
      if (p == 0) sk.txLast = 0;
      sk.sndUsed -= tx.len;
      txFree(tx);
    } else if (count != 0 && inGaps(blocks, count, ctsn, tx.tsn)) {
      highest = tx.tsn;
      if (tx.tf & TX_GAP_ACKED) continue;
      highestNew = tx.tsn;
      ackChunk(sk, tx);
      tx.tf |= TX_GAP_ACKED;
    } else if (tx.tf & TX_GAP_ACKED) {
      // The peer has given it up after all.
      tx.tf = (tx.tf & ~TX_GAP_ACKED) | TX_IN_FLIGHT;
      sk.flight += tx.len;
    }
  }
}

/** Counts the reports of absence; the third one has a chunk sent again (sctp_mark_missing). True: one is to be. */
function markMissing(sk: SctpSock, below: u32): bool {
  let any = false;
  for (let p = sk.txFirst; p != 0 && p != sk.txNew; p = changetype<SctpTx>(p).next) {
    const tx = changetype<SctpTx>(p);
    if (!tsnLt(tx.tsn, below)) break;
    if (tx.tf & (TX_GAP_ACKED | TX_FAST_DONE | TX_RETRANSMIT) || !(tx.tf & TX_SENT)) continue;
    if (++tx.missing < 3) continue;
    tx.tf |= TX_FAST_DONE;
    markRetransmit(sk, tx);
    any = true;
  }
  return any;
}

/** Takes a SACK chunk of `length` bytes. False: it acknowledges what was never sent. */
export function sackIn(sk: SctpSock, chunk: usize, length: u32): bool {
  const ctsn = get32(chunk + 4);
  if (tsnLt(ctsn, sk.ackPoint)) return true; // out of order
  if (!tsnLt(ctsn, unsent(sk))) return false;
  const count = get16(chunk + 12);
  if (SACK_HLEN + 4 * count > length) return true;
  applyAck(sk, ctsn, chunk + SACK_HLEN, count, get32(chunk + 8));
  return true;
}

/** A SHUTDOWN acknowledges as a SACK without gaps and with the window as it was (SCTP_CMD_PROCESS_CTSN). False: see sackIn. */
export function shutdownAcks(sk: SctpSock, ctsn: u32): bool {
  if (tsnLt(ctsn, sk.ackPoint)) return true;
  if (!tsnLt(ctsn, unsent(sk))) return false;
  applyAck(sk, ctsn, 0, 0, sk.peerRwnd + sk.flight);
  return true;
}

function applyAck(sk: SctpSock, ctsn: u32, blocks: usize, count: u32, window: u32): void {
  const flight = sk.flight;
  const moved = tsnLt(sk.ackPoint, ctsn);
  const probe = sk.peerRwnd == 0 && ctsn + 2 == unsent(sk);
  checkSent(sk, ctsn, blocks, count);
  if (ackedBytes != 0) {
    sk.errors = 0;
    raiseCwnd(sk, flight, ctsn, ackedBytes);
    if (sk.flight == 0) sk.partialAcked = 0;
  } else if (probe) sk.errors = 0; // the answer to a probe of a closed window
  sk.ackPoint = ctsn;
  sk.sf = window == 0 ? sk.sf | SF_ZERO_WINDOW : sk.sf & ~SF_ZERO_WINDOW;
  sk.peerRwnd = window > sk.flight ? window - sk.flight : 0;
  if (sk.txFirst == 0 || sk.txFirst == sk.txNew) timerDel(t3Timer(sk));
  else if (firstGone) timerMod(t3Timer(sk), now + sk.rto);
  if (count != 0 && markMissing(sk, sk.sf & SF_FAST_RECOVERY && moved ? highest : highestNew)) {
    snmpInc(sctpNs(sk), SNMP_SCTP_FASTRETRANSMITS);
    lowerCwndFast(sk);
    retransmitPacket(sk);
    if (firstRetransmitted(sk)) timerMod(t3Timer(sk), now + sk.rto);
  }
  if (sk.sf & SF_NOSPACE && sk.sndUsed < sk.sndBuf) {
    sk.sf &= ~SF_NOSPACE;
    sockWake(sk);
  }
}

/** Was the earliest outstanding chunk just sent again? Then T3 starts anew (RFC 9260 §6.3.2 R4). */
function firstRetransmitted(sk: SctpSock): bool {
  return sk.txFirst != 0 && (changetype<SctpTx>(sk.txFirst).tf & TX_RESENT) != 0;
}

/** T3 expired: everything outstanding is to be sent again, one packet of it now (sctp_retransmit with SCTP_RTXR_T3_RTX). */
export function retransmitAll(sk: SctpSock): void {
  snmpInc(sctpNs(sk), SNMP_SCTP_T3RETRANSMITS);
  lowerCwndTimeout(sk);
  for (let p = sk.txFirst; p != 0 && p != sk.txNew; p = changetype<SctpTx>(p).next) {
    const tx = changetype<SctpTx>(p);
    tx.tf &= ~TX_FAST_DONE;
    markRetransmit(sk, tx);
  }
  retransmitPacket(sk);
}
