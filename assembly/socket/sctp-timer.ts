/** SCTP's timers: T1, T2, T3, T5, the delayed SACK and the heartbeat (net/sctp/sm_statefuns.c, the functions of section 6.3.3 on). */
import { ETIMEDOUT, SCTP_COOKIE_WAIT, SCTP_ESTABLISHED, SCTP_SHUTDOWN_PENDING, SCTP_SHUTDOWN_RECEIVED, SCTP_SHUTDOWN_SENT } from "../abi";
import {
  SNMP_SCTP_DELAYSACKEXPIREDS, SNMP_SCTP_T1COOKIEEXPIREDS, SNMP_SCTP_T1INITEXPIREDS, SNMP_SCTP_T2SHUTDOWNEXPIREDS,
  SNMP_SCTP_T3RTXEXPIREDS, SNMP_SCTP_T5SHUTDOWNGUARDEXPIREDS, snmpInc,
} from "../inet/snmp";
import { now } from "../sim/event";
import { timerMod } from "../sim/timer";
import { CHUNK_SHUTDOWN_ACK } from "../wire/sctp";
import { lowerCwndIdle, retransmitAll } from "./sctp-ack";
import { assocEnd, sctpReap, timedOut } from "./sctp-assoc";
import { SCTP_MAX_INIT_RETRANS, SCTP_MAX_RETRANS, SCTP_RTO_MAX, SF_HB_SENT } from "./sctp-const";
import {
  heartbeatLater, sendBareChunk, sendCookieEcho, sendHeartbeat, sendInit, sendSack, sendShutdown, syncPmtu,
} from "./sctp-output";
import { SctpSock, sctpNs, sctpTimerInit, t1Timer, t2Timer, t3Timer } from "./sctp-sock";

/** Gives a socket its timers. */
export function sctpInitTimers(sk: SctpSock): void {
  sctpTimerInit(sk, 0, changetype<usize>(t1Fire));
  sctpTimerInit(sk, 1, changetype<usize>(t2Fire));
  sctpTimerInit(sk, 2, changetype<usize>(t3Fire));
  sctpTimerInit(sk, 3, changetype<usize>(sackFire));
  sctpTimerInit(sk, 4, changetype<usize>(heartbeatFire));
  sctpTimerInit(sk, 5, changetype<usize>(t5Fire));
}

@inline
function backOff(sk: SctpSock): void {
  sk.rto = sk.rto << 1 < SCTP_RTO_MAX ? sk.rto << 1 : SCTP_RTO_MAX;
}

/** INIT or COOKIE ECHO again, each time after twice as long (sctp_sf_t1_init_timer_expire, sctp_sf_t1_cookie_timer_expire). */
function t1Fire(at: usize): void {
  const sk = changetype<SctpSock>(at);
  const waiting = sk.state == SCTP_COOKIE_WAIT;
  snmpInc(sctpNs(sk), waiting ? SNMP_SCTP_T1INITEXPIREDS : SNMP_SCTP_T1COOKIEEXPIREDS);
  if (++sk.initTries > SCTP_MAX_INIT_RETRANS) {
    assocEnd(sk, ETIMEDOUT);
    sctpReap(sk);
    return;
  }
  if (waiting) sendInit(sk);
  else sendCookieEcho(sk);
  sk.t1Timeout = sk.t1Timeout << 1 < SCTP_RTO_MAX ? sk.t1Timeout << 1 : SCTP_RTO_MAX;
  timerMod(t1Timer(sk), now + sk.t1Timeout);
}

/** SHUTDOWN or SHUTDOWN ACK again (sctp_sf_t2_timer_expire). */
function t2Fire(at: usize): void {
  const sk = changetype<SctpSock>(at);
  snmpInc(sctpNs(sk), SNMP_SCTP_T2SHUTDOWNEXPIREDS);
  if (++sk.errors > SCTP_MAX_RETRANS) {
    timedOut(sk);
    sctpReap(sk);
    return;
  }
  backOff(sk);
  if (sk.state == SCTP_SHUTDOWN_SENT) sendShutdown(sk, false);
  else sendBareChunk(sk, CHUNK_SHUTDOWN_ACK);
  timerMod(t2Timer(sk), now + sk.rto);
}

/** DATA was not acknowledged in time (sctp_sf_do_6_3_3_rtx). */
function t3Fire(at: usize): void {
  const sk = changetype<SctpSock>(at);
  snmpInc(sctpNs(sk), SNMP_SCTP_T3RTXEXPIREDS);
  if (++sk.errors > SCTP_MAX_RETRANS) {
    timedOut(sk);
    sctpReap(sk);
    return;
  }
  backOff(sk);
  sk.dstGen = 0; // try another route
  syncPmtu(sk);
  retransmitAll(sk);
  timerMod(t3Timer(sk), now + sk.rto);
}

/** A packet was not acknowledged by a second one (sctp_sf_do_6_2_sack). */
function sackFire(at: usize): void {
  const sk = changetype<SctpSock>(at);
  snmpInc(sctpNs(sk), SNMP_SCTP_DELAYSACKEXPIREDS);
  sendSack(sk);
}

/** The path was idle: HEARTBEAT; one that is not answered counts against the association (sctp_sf_sendbeat_8_3). */
function heartbeatFire(at: usize): void {
  const sk = changetype<SctpSock>(at);
  if (sk.state != SCTP_ESTABLISHED && sk.state != SCTP_SHUTDOWN_PENDING && sk.state != SCTP_SHUTDOWN_RECEIVED) return;
  if (sk.sf & SF_HB_SENT) {
    if (++sk.errors > SCTP_MAX_RETRANS) {
      timedOut(sk);
      sctpReap(sk);
      return;
    }
    backOff(sk);
  }
  lowerCwndIdle(sk);
  sendHeartbeat(sk);
  heartbeatLater(sk);
}

/** A shutdown that doesn't end (sctp_sf_t5_timer_expire). */
function t5Fire(at: usize): void {
  const sk = changetype<SctpSock>(at);
  snmpInc(sctpNs(sk), SNMP_SCTP_T5SHUTDOWNGUARDEXPIREDS);
  timedOut(sk);
  sctpReap(sk);
}
