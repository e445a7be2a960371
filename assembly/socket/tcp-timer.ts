/** TCP's timers: retransmission, window probes, delayed and compressed ACKs, keepalive (net/ipv4/tcp_timer.c). */
import { ETIMEDOUT, TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT } from "../abi";
import {
  SNMP_TCPEXT_DELAYEDACKS, SNMP_TCPEXT_TCPABORTONTIMEOUT, SNMP_TCPEXT_TCPTIMEOUTREHASH, SNMP_TCPEXT_TCPTIMEOUTS,
  snmpInc,
} from "../inet/snmp";
import { now } from "../sim/event";
import { timerMod } from "../sim/timer";
import { rand32 } from "../sim/host";
import { SOCK_DEAD } from "./socket";
import { tcpDone, tcpReap } from "./tcp-input";
import { sendAck, sendActiveReset } from "./tcp-output";
import { rackReoTimeout } from "./tcp-rack";
import { pingpongMode } from "./tcp-rcvwin";
import { enterLoss } from "./tcp-recovery";
import { retransmitSeg, sendLossProbe, writeWakeup, xmitRetransmitQueue } from "./tcp-retrans";
import {
  ACK_SCHED, ACK_TIMER, NS_PER_MS, TCP_ATO_MIN, TCP_ORPHAN_RETRIES, TCP_RETR1, TCP_RETR2, TCP_RTO_MAX, TCP_RTO_MIN,
  TCP_SYN_RETRIES, TCP_TIMEOUT_INIT, TF_KEEPALIVE, TF_TSQ, TIME_LOSS_PROBE, TIME_NONE, TIME_PROBE0, TIME_REO,
  TIME_RETRANS,
} from "./tcp-const";
import { TcpSock, TxSeg, keepTimer, packetsInFlight, tcpHost, tcpNs, tcpTimeStamp, timersInit } from "./tcp-sock";
import { rtxQueueEmpty } from "./tcp-txq";
import { probe0When, pushFrames, resetXmitTimer } from "./tcp-xmit";

/** TCP_RESOURCE_PROBE_INTERVAL: try again when the host itself could not send. */
const RESOURCE_PROBE: i64 = 500 * NS_PER_MS;

/** Gives a socket its timers (tcp_init_xmit_timers). */
export function tcpInitTimers(tp: TcpSock): void {
  timersInit(
    tp,
    changetype<usize>(writeTimer),
    changetype<usize>(delackFire),
    changetype<usize>(keepaliveFire),
    changetype<usize>(compressedFire),
    changetype<usize>(tsqFire),
  );
}

/** Gives up: the soft error that ICMP left, or ETIMEDOUT (tcp_write_err). */
function writeError(tp: TcpSock): void {
  tp.err = tp.errSoft != 0 ? tp.errSoft : ETIMEDOUT;
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPABORTONTIMEOUT);
  tcpDone(tp);
}

/** How long `boundary` doubling timeouts from `base` last (tcp_model_timeout). */
function modelTimeout(boundary: u32, base: i64): i64 {
  let threshold: u32 = 0;
  for (let ratio = TCP_RTO_MAX / base; ratio > 1; ratio >>= 1) threshold++;
  if (boundary <= threshold) return ((<i64>2 << <i64>boundary) - 1) * base;
  return ((<i64>2 << <i64>threshold) - 1) * base + <i64>(boundary - threshold) * TCP_RTO_MAX;
}

function retransmitsTimedOut(tp: TcpSock, boundary: u32): bool {
  if (tp.retransmits == 0) return false;
  const base = tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV ? TCP_TIMEOUT_INIT : TCP_RTO_MIN;
  const passed = <i64>(tcpTimeStamp(tp) - tp.retransStamp) * NS_PER_MS;
  return passed >= modelTimeout(boundary, base);
}

/** tcp_orphan_retries: 8 while the backed-off timeout is below the maximum, else none. */
@inline
function orphanRetries(alive: bool): u32 {
  return alive ? TCP_ORPHAN_RETRIES : 0;
}

/** Too many timeouts? Then the connection ends; else its flow hash is drawn anew (tcp_write_timeout). */
function writeTimeout(tp: TcpSock): bool {
  let expired: bool;
  if (tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV) {
    expired = tp.retransmits >= (tp.state == TCP_SYN_SENT ? TCP_SYN_RETRIES : 5);
  } else {
    if (retransmitsTimedOut(tp, TCP_RETR1)) tp.dstGen = 0; // try another route
    let until = TCP_RETR2;
    if (tp.flags & SOCK_DEAD) until = orphanRetries(tp.rto < TCP_RTO_MAX);
    expired = retransmitsTimedOut(tp, until);
  }
  if (expired) {
    writeError(tp);
    return true;
  }
  rethinkTxhash(tp);
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPTIMEOUTREHASH);
  return false;
}

/** A fresh random flow hash, never 0 (net_tx_rndhash). */
export function rethinkTxhash(tp: TcpSock): void {
  const hash = rand32(tcpHost(tp));
  tp.txhash = hash == 0 ? 1 : hash;
}

/** The retransmission timeout (tcp_retransmit_timer). */
function retransmitTimer(tp: TcpSock): void {
  if (tp.packetsOut == 0 || rtxQueueEmpty(tp)) return;
  const head = changetype<TxSeg>(tp.txHead);
  if (tp.sndWnd == 0 && !(tp.flags & SOCK_DEAD) && tp.state != TCP_SYN_SENT && tp.state != TCP_SYN_RECV) {
    // The window was shrunk to zero under data in flight: probe, but don't time out while the peer answers.
    if (now - tp.rcvTstamp > TCP_RTO_MAX) {
      writeError(tp);
      return;
    }
    enterLoss(tp);
    retransmitSeg(tp, head);
    tp.dstGen = 0;
  } else {
    if (writeTimeout(tp)) return;
    if (tp.retransmits == 0) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPTIMEOUTS);
    enterLoss(tp);
    tp.retransmits++;
    retransmitSeg(tp, changetype<TxSeg>(tp.txHead));
    tp.backoff++;
  }
  tp.rto = tp.rto << 1 < TCP_RTO_MAX ? tp.rto << 1 : TCP_RTO_MAX;
  resetXmitTimer(tp, TIME_RETRANS, tp.rto);
  if (retransmitsTimedOut(tp, TCP_RETR1 + 1)) tp.dstGen = 0;
}

/** The zero-window probe (tcp_probe_timer, tcp_send_probe0). */
function probeTimer(tp: TcpSock): void {
  if (tp.packetsOut != 0 || tp.sendHead == 0) {
    tp.probesOut = 0;
    tp.probesStart = 0;
    return;
  }
  if (tp.probesStart == 0) tp.probesStart = now;
  let most = TCP_RETR2;
  if (tp.flags & SOCK_DEAD) {
    const alive = probe0When(tp, TCP_RTO_MAX) < TCP_RTO_MAX;
    most = orphanRetries(alive);
    if (!alive && tp.backoff >= most) {
      writeError(tp);
      return;
    }
  }
  if (tp.probesOut >= most) {
    writeError(tp);
    return;
  }
  const err = writeWakeup(tp);
  if (tp.packetsOut != 0 || tp.sendHead == 0) {
    tp.probesOut = 0;
    tp.backoff = 0;
    tp.probesStart = 0;
    return;
  }
  tp.probesOut++;
  if (err > 0) {
    resetXmitTimer(tp, TIME_PROBE0, RESOURCE_PROBE);
    return;
  }
  if (tp.backoff < TCP_RETR2) tp.backoff++;
  resetXmitTimer(tp, TIME_PROBE0, probe0When(tp, TCP_RTO_MAX));
}

/** tcp_write_timer_handler. */
function writeTimer(arg: usize): void {
  const tp = changetype<TcpSock>(arg);
  if (tp.state == TCP_CLOSE || tp.state == TCP_LISTEN) return;
  const kind = tp.timerKind;
  if (kind == TIME_REO) rackReoTimeout(tp);
  else if (kind == TIME_LOSS_PROBE) sendLossProbe(tp);
  else {
    tp.timerKind = TIME_NONE;
    if (kind == TIME_RETRANS) retransmitTimer(tp);
    else if (kind == TIME_PROBE0) probeTimer(tp);
  }
  tcpReap(tp);
}

/** tcp_delack_timer_handler. */
function delackFire(arg: usize): void {
  const tp = changetype<TcpSock>(arg);
  if (tp.state == TCP_CLOSE || tp.state == TCP_LISTEN || !(tp.ackPending & ACK_TIMER)) return;
  tp.ackPending &= ~ACK_TIMER;
  if (!(tp.ackPending & ACK_SCHED)) return;
  if (!pingpongMode(tp)) {
    // The delayed ACK was missed: wait longer next time.
    tp.ackAto = tp.ackAto << 1 < tp.rto ? tp.ackAto << 1 : tp.rto;
  } else {
    tp.ackPingpong = 0;
    tp.ackAto = TCP_ATO_MIN;
  }
  sendAck(tp);
  snmpInc(tcpNs(tp), SNMP_TCPEXT_DELAYEDACKS);
}

/** tcp_compressed_ack_kick. */
function compressedFire(arg: usize): void {
  const tp = changetype<TcpSock>(arg);
  if (tp.compressedAck == 0) return;
  tp.compressedAck--;
  sendAck(tp);
}

/** Room in the host's queues again: sends on (tcp_tsq_handler). */
function tsqFire(arg: usize): void {
  const tp = changetype<TcpSock>(arg);
  tp.tf &= ~TF_TSQ;
  if (tp.state == TCP_CLOSE || tp.state == TCP_LISTEN || tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV) return;
  if (tp.lostOut > tp.retransOut && tp.cwnd > packetsInFlight(tp)) xmitRetransmitQueue(tp);
  pushFrames(tp);
}

/** tcp_keepalive_timer. */
function keepaliveFire(arg: usize): void {
  const tp = changetype<TcpSock>(arg);
  if (!(tp.tf & TF_KEEPALIVE) || tp.state == TCP_CLOSE || tp.state == TCP_LISTEN || tp.state == TCP_SYN_SENT) return;
  let wait = tp.kaTime;
  if (tp.packetsOut == 0 && tp.sendHead == 0) {
    const heard = tp.lrcvTime > tp.rcvTstamp ? tp.lrcvTime : tp.rcvTstamp;
    const idle = now - heard;
    if (idle >= tp.kaTime) {
      if (tp.probesOut >= tp.kaProbes) {
        sendActiveReset(tp);
        writeError(tp);
        tcpReap(tp);
        return;
      }
      if (writeWakeup(tp) <= 0) {
        tp.probesOut++;
        wait = tp.kaIntvl;
      } else wait = RESOURCE_PROBE;
    } else wait = tp.kaTime - idle;
  }
  timerMod(keepTimer(tp), now + wait);
}
