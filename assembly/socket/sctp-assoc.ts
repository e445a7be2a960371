/**
 * The life of an association (net/sctp/sm_sideeffect.c, sm_statefuns.c §9): established, shut down, failed; and of the sockets
 * that wait for accept().
 */
import {
  ECONNABORTED, ETIMEDOUT, IPPROTO_SCTP, SCTP_CLOSED, SCTP_COOKIE_ECHOED, SCTP_COOKIE_WAIT, SCTP_ESTABLISHED, SCTP_LISTEN,
  SCTP_SHUTDOWN_ACK_SENT, SCTP_SHUTDOWN_PENDING, SCTP_SHUTDOWN_RECEIVED, SCTP_SHUTDOWN_SENT,
} from "../abi";
import { SNMP_SCTP_CURRESTAB, SNMP_SCTP_SHUTDOWNS, snmpDec, snmpInc } from "../inet/snmp";
import { NetNs, nsHost } from "../link/netns";
import { now } from "../sim/event";
import { rand32 } from "../sim/host";
import { timerDel, timerMod, timerPending } from "../sim/timer";
import { CAUSE_PROTOCOL_VIOLATION, CHUNK_SHUTDOWN_ACK, CHUNK_SHUTDOWN_COMPLETE } from "../wire/sctp";
import {
  SCTP_IN_STREAMS, SCTP_OUT_STREAMS, SCTP_RTO_INITIAL, SCTP_SHUTDOWN_GUARD, SF_ESTAB_COUNTED, SF_RCV_SHUT, SF_SND_SHUT,
} from "./sctp-const";
import { receiveFrom } from "./sctp-data";
import { heartbeatLater, sendAbort, sendBareChunk, sendShutdown, syncPmtu } from "./sctp-output";
import {
  SctpSock, cookieFree, pendPurge, readPurge, sackTimer, sctpAlloc, sctpFree, sctpNs, sctpTimersStop, streamsFree,
  streamsNew, t2Timer, t3Timer, t5Timer, txPurge,
} from "./sctp-sock";
import { assocRemove, portRemove } from "./sctp-tables";
import { sctpInitTimers } from "./sctp-timer";
import { SOCK_DEAD, SOCK_SCTP, Sock, forgetWake, sockInit, sockUnlink, sockWake } from "./socket";

/** A new socket in state CLOSED (sctp_init_sock). */
export function sctpNew(ns: NetNs): SctpSock {
  const sk = sctpAlloc();
  sockInit(sk, ns, SOCK_SCTP, IPPROTO_SCTP);
  sctpInitTimers(sk);
  nsHost(ns).sctp = 1;
  sk.sndBuf = sk.txMax;
  sk.txMax = u32.MAX_VALUE; // messages have their own limit: sndBuf
  return sk;
}

/** An association begins: everything that one on this socket before has left is forgotten (sctp_association_init). */
export function assocReset(sk: SctpSock): void {
  sk.sf &= ~(SF_RCV_SHUT | SF_SND_SHUT);
  sk.rto = SCTP_RTO_INITIAL;
  sk.srtt = 0;
  sk.rttvar = 0;
  sk.errors = 0;
  sk.initTries = 0;
  sk.t1Timeout = SCTP_RTO_INITIAL;
  sk.rwnd = sk.rxMax >> 1;
  sk.aRwnd = sk.rwnd;
  sk.peerTag = 0;
  sk.ipid = rand32(nsHost(sctpNs(sk))) & 0xffff;
}

/** A random tag, never 0 (sctp_generate_tag). */
export function newTag(ns: NetNs): u32 {
  let tag: u32 = 0;
  while (tag == 0) tag = rand32(nsHost(ns));
  return tag;
}

/** This side's first TSN. */
export function sendFrom(sk: SctpSock, tsn: u32): void {
  txPurge(sk);
  timerDel(t3Timer(sk));
  sk.initialTsn = tsn;
  sk.nextTsn = tsn;
  sk.ackPoint = tsn - 1;
}

/** What INIT or INIT ACK told of the peer; windows as after a transport's reset (sctp_process_init, sctp_transport_reset). */
export function peerKnown(sk: SctpSock, tag: u32, tsn: u32, rwnd: u32, peerOut: u32, peerIn: u32): void {
  sk.peerTag = tag;
  receiveFrom(sk, tsn);
  sk.peerRwnd = rwnd;
  streamsNew(sk, peerIn < SCTP_OUT_STREAMS ? peerIn : SCTP_OUT_STREAMS, peerOut < SCTP_IN_STREAMS ? peerOut : SCTP_IN_STREAMS);
  syncPmtu(sk);
  const least = 2 * sk.pmtu > 4380 ? 2 * sk.pmtu : 4380;
  sk.cwnd = 4 * sk.pmtu < least ? 4 * sk.pmtu : least;
  sk.ssthresh = rwnd;
  sk.partialAcked = 0;
}

/** The handshake is done. */
export function established(sk: SctpSock): void {
  sk.state = SCTP_ESTABLISHED;
  if (!(sk.sf & SF_ESTAB_COUNTED)) {
    sk.sf |= SF_ESTAB_COUNTED;
    snmpInc(sctpNs(sk), SNMP_SCTP_CURRESTAB);
  }
  sk.errors = 0;
  sk.initTries = 0;
  heartbeatLater(sk);
  sockWake(sk);
}

/** The association is over; `err` (0 = none) is for the program. What was delivered can still be read. */
export function assocEnd(sk: SctpSock, err: u32): void {
  if (sk.state == SCTP_CLOSED || sk.state == SCTP_LISTEN) return;
  if (sk.sf & SF_ESTAB_COUNTED) {
    sk.sf &= ~SF_ESTAB_COUNTED;
    snmpDec(sctpNs(sk), SNMP_SCTP_CURRESTAB);
  }
  sk.state = SCTP_CLOSED;
  sk.sf |= SF_RCV_SHUT | SF_SND_SHUT;
  sctpTimersStop(sk);
  assocRemove(sk);
  txPurge(sk);
  pendPurge(sk);
  streamsFree(sk);
  cookieFree(sk);
  sk.err = err;
  sockWake(sk);
}

/** The peer broke the rules: ABORT with a cause (sctp_sf_abort_violation). */
export function abortAssoc(sk: SctpSock, cause: u32, info: usize, infoLen: u32): void {
  sendAbort(sk, cause, info, infoLen);
  assocEnd(sk, ECONNABORTED);
}

/** Too many timeouts: ABORT, and ETIMEDOUT for the program (sctp_make_violation_max_retrans). */
export function timedOut(sk: SctpSock): void {
  sendAbort(sk, CAUSE_PROTOCOL_VIOLATION, 0, 0);
  assocEnd(sk, ETIMEDOUT);
}

// ---------------------------------------------------------------------------------------------- shutdown

/** The program ends sending, or closes: SHUTDOWN when all is acknowledged (sctp_sf_do_9_2_prm_shutdown). */
export function startShutdown(sk: SctpSock): void {
  sk.sf |= SF_SND_SHUT;
  if (sk.state == SCTP_COOKIE_WAIT || sk.state == SCTP_COOKIE_ECHOED) {
    assocEnd(sk, 0);
    return;
  }
  if (sk.state != SCTP_ESTABLISHED) return;
  sk.state = SCTP_SHUTDOWN_PENDING;
  allAcked(sk);
}

/** Is nothing left to be sent or acknowledged, the shutdown goes on. */
export function allAcked(sk: SctpSock): void {
  if (sk.txFirst != 0) return;
  if (sk.state == SCTP_SHUTDOWN_PENDING) {
    sk.state = SCTP_SHUTDOWN_SENT;
    sendShutdown(sk, timerPending(sackTimer(sk)));
    timerMod(t5Timer(sk), now + SCTP_SHUTDOWN_GUARD);
  } else if (sk.state == SCTP_SHUTDOWN_RECEIVED) {
    sk.state = SCTP_SHUTDOWN_ACK_SENT;
    sendBareChunk(sk, CHUNK_SHUTDOWN_ACK);
  } else return;
  timerMod(t2Timer(sk), now + sk.rto);
}

/** SHUTDOWN came, and what it acknowledges is done with (sctp_sf_do_9_2_shutdown, sctp_sf_do_9_2_shutdown_ack). */
export function peerShutsDown(sk: SctpSock): void {
  if (sk.state == SCTP_SHUTDOWN_SENT) {
    // Both at once.
    sk.state = SCTP_SHUTDOWN_ACK_SENT;
    sendBareChunk(sk, CHUNK_SHUTDOWN_ACK);
    timerMod(t2Timer(sk), now + sk.rto);
    return;
  }
  sk.state = SCTP_SHUTDOWN_RECEIVED;
  sk.sf |= SF_RCV_SHUT | SF_SND_SHUT;
  sockWake(sk);
  allAcked(sk);
}

/** SHUTDOWN ACK came: the last word, and the end (sctp_sf_do_9_2_final). */
export function shutdownAcked(sk: SctpSock): void {
  sendBareChunk(sk, CHUNK_SHUTDOWN_COMPLETE);
  shutdownDone(sk);
}

/** The association was shut down in good order. */
export function shutdownDone(sk: SctpSock): void {
  snmpInc(sctpNs(sk), SNMP_SCTP_SHUTDOWNS);
  assocEnd(sk, 0);
}

// ---------------------------------------------------------------------------------------------- the end of a socket

/** Takes an association that nobody accepted out of its listener's queue. */
function acceptUnlink(sk: SctpSock): void {
  const listener = changetype<SctpSock>(sk.parent);
  let previous: usize = 0;
  for (let p = listener.acceptHead; p != 0; p = changetype<SctpSock>(p).acceptNext) {
    if (p == changetype<usize>(sk)) {
      if (previous == 0) listener.acceptHead = sk.acceptNext;
      else changetype<SctpSock>(previous).acceptNext = sk.acceptNext;
      if (listener.acceptTail == p) listener.acceptTail = previous;
      listener.acceptCount--;
      break;
    }
    previous = p;
  }
  sk.parent = 0;
}

/** Frees a socket at once, without a word on the wire: its namespace dies, or everything was said. */
export function sctpDestroy(at: Sock): void {
  const sk = changetype<SctpSock>(at);
  while (sk.acceptHead != 0) sctpDestroy(changetype<SctpSock>(sk.acceptHead));
  if (sk.parent != 0) acceptUnlink(sk);
  assocEnd(sk, 0);
  readPurge(sk);
  sctpTimersStop(sk);
  portRemove(sk);
  forgetWake(sk);
  sockUnlink(sk);
  sctpFree(sk);
}

/** Behind everything that may have ended an association: nobody has the socket any more, so it goes (sctp_association_free). */
export function sctpReap(sk: SctpSock): void {
  if (sk.state == SCTP_CLOSED && (sk.flags & SOCK_DEAD || sk.parent != 0)) sctpDestroy(sk);
}
