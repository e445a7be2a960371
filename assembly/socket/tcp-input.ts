/**
 * Segments for a socket: acceptance (PAWS, window, RST, SYN), the state machine (net/ipv4/tcp_input.c
 * tcp_rcv_established, tcp_validate_incoming, tcp_rcv_state_process; RFC 9293 3.10.7, RFC 5961, RFC 7323).
 */
import {
  DROP_TCP_ABORT_ON_DATA, DROP_TCP_FLAGS, DROP_TCP_INVALID_SEQUENCE, DROP_TCP_OLD_DATA, DROP_TCP_PAWS, DROP_TCP_RESET,
  ECONNREFUSED, ECONNRESET, EPIPE, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1,
  TCP_FIN_WAIT2, TCP_LAST_ACK, TCP_SYN_RECV, TCP_SYN_SENT, TCP_TIME_WAIT,
} from "../abi";
import {
  SNMP_TCPEXT_PAWSESTAB, SNMP_TCPEXT_TCPABORTONDATA, SNMP_TCPEXT_TCPACKSKIPPED, SNMP_TCPEXT_TCPCHALLENGEACK,
  SNMP_TCPEXT_TCPSYNCHALLENGE, SNMP_TCP_ATTEMPTFAILS, SNMP_TCP_ESTABRESETS, snmpInc,
} from "../inet/snmp";
import { NetNs } from "../link/netns";
import { Skb, consumeSkb, dropSkb } from "../memory/skb";
import { now } from "../sim/event";
import {
  TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_TSTAMP_ALIGNED, after, before, optSawTs, optTsecr, optTsval,
  parseTcpOptions, tcpWindow,
} from "../wire/tcp";
import { SOCK_DEAD, sockWake } from "./socket";
import { tcpDestroy, tcpSendReset, tcpUnhash } from "./tcp";
import {
  ACK_OK, ACK_TOO_OLD, FLAG_NO_CHALLENGE_ACK, FLAG_SLOWPATH, FLAG_UPDATE_TS_RECENT, mayUpdateWindow, pawsCheck,
  tcpAck,
} from "./tcp-ack";
import { cubicInit } from "./tcp-cubic";
import { sendAck } from "./tcp-output";
import { ackSndCheck, initBufferSpace, initRcvMss, rcvRttMeasureTs } from "./tcp-rcvwin";
import { dataQueue, sendDupack } from "./tcp-receive";
import { NS_PER_MS, TCP_FIN_TIMEOUT, TCP_INIT_CWND, TCP_WMEM_MAX, TF_NOSPACE, TF_SHUT_RD, TF_SHUT_WR, TF_TS_OK } from "./tcp-const";
import { TcpSock, maxU, timersStop } from "./tcp-sock";
import { bindPut } from "./tcp-tables";
import { synSent } from "./tcp-syn-sent";
import { timeWaitFrom } from "./tcp-timewait";
import { txPurge } from "./tcp-txq";
import { pushFrames } from "./tcp-xmit";

const OOW_INTERVAL: i64 = 500 * NS_PER_MS;

/** Frees a socket that is closed on both sides. Top-level entries call it last; nothing may touch the socket after. */
export function tcpReap(tp: TcpSock): void {
  if (tp.state == TCP_CLOSE && tp.flags & SOCK_DEAD) tcpDestroy(tp);
}

/** The connection is over: no timers, no queue, out of the tables; the program hears of it (tcp_done). */
export function tcpDone(tp: TcpSock): void {
  if (tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV) snmpInc(changetype<NetNs>(tp.ns), SNMP_TCP_ATTEMPTFAILS);
  tcpUnhash(tp);
  tp.state = TCP_CLOSE;
  timersStop(tp);
  txPurge(tp);
  tp.tf |= TF_SHUT_RD | TF_SHUT_WR;
  bindPut(tp.bindBucket);
  tp.bindBucket = 0;
  sockWake(tp);
}

/** An acceptable RST came (tcp_reset). */
export function tcpReset(tp: TcpSock): void {
  if (tp.state == TCP_SYN_SENT) tp.err = ECONNREFUSED;
  else if (tp.state == TCP_CLOSE_WAIT) tp.err = EPIPE;
  else if (tp.state != TCP_CLOSE) tp.err = ECONNRESET;
  if (tp.state == TCP_ESTABLISHED || tp.state == TCP_CLOSE_WAIT)
    snmpInc(changetype<NetNs>(tp.ns), SNMP_TCP_ESTABRESETS);
  tcpDone(tp);
}

/** At most one answer per 500 ms to segments outside of the window without data (tcp_oow_rate_limited). */
function oowLimited(tp: TcpSock): bool {
  if (tp.lastOowAck != 0 && now - tp.lastOowAck < OOW_INTERVAL) {
    snmpInc(changetype<NetNs>(tp.ns), SNMP_TCPEXT_TCPACKSKIPPED);
    return true;
  }
  tp.lastOowAck = now;
  return false;
}

/** RFC 5961's answer to a doubtful RST, SYN or ACK (tcp_send_challenge_ack). */
function challengeAck(tp: TcpSock): void {
  if (oowLimited(tp)) return;
  snmpInc(changetype<NetNs>(tp.ns), SNMP_TCPEXT_TCPCHALLENGEACK);
  sendAck(tp);
}

/** Takes the parsed timestamps over into the socket. */
export function takeTimestamps(tp: TcpSock): void {
  tp.sawTs = <u32>optSawTs;
  if (optSawTs) {
    tp.rcvTsval = optTsval;
    tp.rcvTsecr = optTsecr;
  }
}

/** A pure ACK that was merely overtaken (tcp_disordered_ack). */
function disorderedAck(tp: TcpSock, skb: Skb): bool {
  return (
    skb.cb0 == tp.rcvNxt && skb.cb1 == skb.cb0 && skb.cb3 == tp.sndUna &&
    !mayUpdateWindow(tp, skb.cb3, skb.cb0, tcpWindow(skb.th) << tp.sndWscale) &&
    <i64>(tp.tsRecent - tp.rcvTsval) * NS_PER_MS <= tp.rto
  );
}

/** tcp_reset_check: after a FIN the peer may reset with the sequence in front of it. */
@inline
function resetCheck(tp: TcpSock, skb: Skb): bool {
  return (
    skb.cb0 == tp.rcvNxt - 1 && (tp.state == TCP_CLOSE_WAIT || tp.state == TCP_LAST_ACK || tp.state == TCP_CLOSING)
  );
}

/** Is the segment acceptable? When not it was answered and dropped (tcp_validate_incoming). */
function validateIncoming(tp: TcpSock, skb: Skb): bool {
  const flags = skb.cb2;
  const seq = skb.cb0;
  const end = skb.cb1;
  parseTcpOptions(skb.th, true);
  tp.sawTs = 0;
  if (tp.tf & TF_TS_OK) takeTimestamps(tp);
  if (tp.sawTs && !pawsCheck(tp, 1) && !(flags & TCPHDR_RST) && !disorderedAck(tp, skb)) {
    snmpInc(changetype<NetNs>(tp.ns), SNMP_TCPEXT_PAWSESTAB);
    if (seq != end && !(flags & TCPHDR_SYN) ? true : !oowLimited(tp)) sendDupack(tp, seq, end);
    dropSkb(skb, DROP_TCP_PAWS);
    return false;
  }
  const window = <i32>(tp.rcvWup + tp.rcvWnd - tp.rcvNxt) < 0 ? 0 : tp.rcvWup + tp.rcvWnd - tp.rcvNxt;
  if (before(end, tp.rcvWup) || after(seq, tp.rcvNxt + window)) {
    if (!(flags & TCPHDR_RST)) {
      if (flags & TCPHDR_SYN) synChallenge(tp);
      else if (seq != end || !oowLimited(tp)) sendDupack(tp, seq, end);
    } else if (resetCheck(tp, skb)) tcpReset(tp);
    dropSkb(skb, flags & TCPHDR_RST ? DROP_TCP_RESET : DROP_TCP_INVALID_SEQUENCE);
    return false;
  }
  if (flags & TCPHDR_RST) {
    if (seq == tp.rcvNxt || resetCheck(tp, skb) || (tp.numSacks != 0 && seq == highestSackEnd(tp))) tcpReset(tp);
    else challengeAck(tp);
    dropSkb(skb, DROP_TCP_RESET);
    return false;
  }
  if (flags & TCPHDR_SYN) {
    // The SYN-ACK of a simultaneous open passes.
    if (tp.state == TCP_SYN_RECV && flags & TCPHDR_ACK && seq + 1 == end && seq + 1 == tp.rcvNxt && skb.cb3 == tp.sndNxt)
      return true;
    synChallenge(tp);
    dropSkb(skb, DROP_TCP_FLAGS);
    return false;
  }
  return true;
}

function highestSackEnd(tp: TcpSock): u32 {
  let max = <u32>(tp.sack0 >> 32);
  if (tp.numSacks > 1 && after(<u32>(tp.sack1 >> 32), max)) max = <u32>(tp.sack1 >> 32);
  if (tp.numSacks > 2 && after(<u32>(tp.sack2 >> 32), max)) max = <u32>(tp.sack2 >> 32);
  if (tp.numSacks > 3 && after(<u32>(tp.sack3 >> 32), max)) max = <u32>(tp.sack3 >> 32);
  return max;
}

function synChallenge(tp: TcpSock): void {
  snmpInc(changetype<NetNs>(tp.ns), SNMP_TCPEXT_TCPSYNCHALLENGE);
  challengeAck(tp);
}

/** New data and window updates may go out; the program may write again (tcp_data_snd_check). */
function dataSndCheck(tp: TcpSock): void {
  if (tp.sendHead != 0) pushFrames(tp);
  sndbufExpand(tp);
  if (tp.tf & TF_NOSPACE) checkSpace(tp);
}

/** Wakes the writer when a third of the buffer is free (tcp_check_space, sk_stream_write_space). */
function checkSpace(tp: TcpSock): void {
  if (tp.wmemQueued >= tp.sndBuf || tp.sndBuf - tp.wmemQueued < tp.wmemQueued >> 1) return;
  tp.tf &= ~TF_NOSPACE;
  sockWake(tp);
}

/** The send buffer follows the congestion window: two of them (tcp_sndbuf_expand, tcp_new_space). */
function sndbufExpand(tp: TcpSock): void {
  const mss = maxU(tp.mssClamp, tp.mssCache) + 320 + 320;
  const perMss = (<u32>1 << (32 - clz<u32>(mss - 1))) + 256;
  const segs = maxU(maxU(10, tp.cwnd), tp.reordering + 1);
  const want = <u64>2 * <u64>segs * <u64>perMss;
  const size: u32 = want < <u64>TCP_WMEM_MAX ? <u32>want : TCP_WMEM_MAX;
  if (size > tp.sndBuf) tp.sndBuf = size;
}

// ---------------------------------------------------------------------------------------------- ESTABLISHED

/** A segment for an established connection; ends the packet (tcp_rcv_established). */
export function tcpRcvEstablished(tp: TcpSock, skb: Skb): void {
  if (!(skb.cb2 & (TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN))) {
    dropSkb(skb, DROP_TCP_FLAGS);
    return;
  }
  if (!validateIncoming(tp, skb)) {
    tcpReap(tp);
    return;
  }
  const acked = tcpAck(tp, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT);
  if (acked < 0) {
    if (acked == ACK_TOO_OLD) challengeAck(tp);
    dropSkb(skb, DROP_TCP_OLD_DATA);
    return;
  }
  rcvRttMeasureTs(tp, skb);
  dataQueue(tp, skb);
  dataSndCheck(tp);
  ackSndCheck(tp);
  tcpReap(tp);
}

// ---------------------------------------------------------------------------------------------- other states

/** A segment in any state but LISTEN, CLOSE and ESTABLISHED; ends the packet (tcp_rcv_state_process). */
export function tcpRcvStateProcess(tp: TcpSock, skb: Skb): void {
  if (tp.state == TCP_SYN_SENT) {
    synSent(tp, skb);
    tcpReap(tp);
    return;
  }
  if (!(skb.cb2 & (TCPHDR_ACK | TCPHDR_RST | TCPHDR_SYN))) {
    dropSkb(skb, DROP_TCP_FLAGS);
    return;
  }
  if (validateIncoming(tp, skb)) synchronized(tp, skb);
  tcpReap(tp);
}

function synchronized(tp: TcpSock, skb: Skb): void {
  const acked = tcpAck(tp, skb, FLAG_SLOWPATH | FLAG_UPDATE_TS_RECENT | FLAG_NO_CHALLENGE_ACK);
  if (acked != ACK_OK) {
    if (tp.state == TCP_SYN_RECV) tcpSendReset(changetype<NetNs>(tp.ns), skb);
    else challengeAck(tp);
    dropSkb(skb, DROP_TCP_OLD_DATA);
    return;
  }
  if (!ackInState(tp, skb)) return;
  const state = tp.state;
  if (state == TCP_CLOSE_WAIT || state == TCP_CLOSING || state == TCP_LAST_ACK) {
    if (!before(skb.cb0, tp.rcvNxt)) {
      afterText(tp);
      // A pure ACK has said what it had to say; data behind the FIN is nobody's.
      if (skb.cb0 == skb.cb1) consumeSkb(skb);
      else dropSkb(skb, DROP_TCP_OLD_DATA);
      return;
    }
  } else if ((state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2) && tp.flags & SOCK_DEAD && newData(tp, skb)) {
    // Data for a program that has closed: RFC 1122 4.2.2.13 wants a reset.
    abortOnData(tp, skb);
    return;
  }
  dataQueue(tp, skb);
  if (tp.state != TCP_CLOSE) afterText(tp);
}

@inline
function newData(tp: TcpSock, skb: Skb): bool {
  return skb.cb1 != skb.cb0 && after(skb.cb1 - (skb.cb2 & TCPHDR_FIN), tp.rcvNxt);
}

function abortOnData(tp: TcpSock, skb: Skb): void {
  snmpInc(changetype<NetNs>(tp.ns), SNMP_TCPEXT_TCPABORTONDATA);
  tcpSendReset(changetype<NetNs>(tp.ns), skb);
  tcpReset(tp);
  dropSkb(skb, DROP_TCP_ABORT_ON_DATA);
}

function afterText(tp: TcpSock): void {
  dataSndCheck(tp);
  ackSndCheck(tp);
}

/** Step 5: what the ACK means in this state. False when the packet has ended. */
function ackInState(tp: TcpSock, skb: Skb): bool {
  switch (tp.state) {
    case TCP_SYN_RECV: {
      synRecvAcked(tp, skb);
      return true;
    }
    case TCP_FIN_WAIT1: {
      if (tp.sndUna != tp.writeSeq) return true;
      return finAcked(tp, skb);
    }
    case TCP_CLOSING: {
      if (tp.sndUna != tp.writeSeq) return true;
      timeWaitFrom(tp, TCP_TIME_WAIT, 0);
      consumeSkb(skb);
      return false;
    }
    case TCP_LAST_ACK: {
      if (tp.sndUna != tp.writeSeq) return true;
      tcpDone(tp);
      consumeSkb(skb);
      return false;
    }
    default:
      return true;
  }
}

/** Our FIN is acknowledged: FIN_WAIT2, for an orphan as a small record with a time limit. */
function finAcked(tp: TcpSock, skb: Skb): bool {
  tp.state = TCP_FIN_WAIT2;
  tp.tf |= TF_SHUT_WR;
  if (!(tp.flags & SOCK_DEAD)) {
    sockWake(tp);
    return true;
  }
  if (newData(tp, skb)) {
    abortOnData(tp, skb);
    return false;
  }
  if (skb.cb2 & TCPHDR_FIN) return true; // the FIN below leads to TIME_WAIT
  timeWaitFrom(tp, TCP_FIN_WAIT2, TCP_FIN_TIMEOUT);
  consumeSkb(skb);
  return false;
}

/** The third segment of a simultaneous open. */
function synRecvAcked(tp: TcpSock, skb: Skb): void {
  tp.retransStamp = 0;
  tp.state = TCP_ESTABLISHED;
  tp.copiedSeq = tp.rcvNxt;
  tp.sndUna = skb.cb3;
  tp.sndWnd = tcpWindow(skb.th) << tp.sndWscale;
  tp.sndWl1 = skb.cb0;
  if (tp.tf & TF_TS_OK) tp.advmss -= TCPOLEN_TSTAMP_ALIGNED;
  initTransfer(tp);
  initRcvMss(tp);
  tp.lsndTime = now;
  sockWake(tp);
}

/** Buffers and congestion control of a fresh connection (tcp_init_transfer). */
export function initTransfer(tp: TcpSock): void {
  tp.tf &= ~TF_NOSPACE;
  if (tp.totalRetrans > 1 && tp.undoMarker != 0) tp.cwnd = 1; // two lost SYNs (RFC 6298 5.7)
  else tp.cwnd = TCP_INIT_CWND;
  tp.cwndStamp = now;
  sndbufExpand(tp);
  initBufferSpace(tp);
  cubicInit(tp);
}

/** The third segment of a handshake, for the socket that was just made from a request (tcp_child_process). */
export function tcpRcvChild(tp: TcpSock, skb: Skb): void {
  tcpRcvStateProcess(tp, skb);
}
