/**
 * TIME_WAIT, and FIN_WAIT2 of a connection that no program has any more: a small record instead of a socket
 * (net/ipv4/tcp_minisocks.c, inet_timewait_sock.c; RFC 9293 3.10.7.4, RFC 6191).
 */
import { DROP_TCP_CLOSE, DROP_TCP_INVALID_SEQUENCE, DROP_TCP_PAWS, TCP_FIN_WAIT2, TCP_TIME_WAIT } from "../abi";
import { SNMP_TCPEXT_PAWSESTAB, SNMP_TCPEXT_TW, snmpInc } from "../inet/snmp";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { Skb, consumeSkb, dropSkb } from "../memory/skb";
import { now } from "../sim/event";
import { TIMER_UPKEEP, Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { Host } from "../sim/host";
import {
  TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, after, before, optSawTs, optTsval, parseTcpOptions,
} from "../wire/tcp";
import { SOCK_TCP } from "./socket";
import { tcpSendReset } from "./tcp";
import { tcpDone } from "./tcp-input";
import { bareAck, connRequest, inWindow, miniOowLimited } from "./tcp-minisocks";
import { PAWS_24DAYS, TCP_TIMEWAIT_LEN, TF_TS_OK } from "./tcp-const";
import { TcpSock, tcpNs } from "./tcp-sock";
import { SOCK_TW, TcpMini, bindHold, bindPut, ehashInsert, ehashRemove, listenLookup } from "./tcp-tables";

const TIMER: usize = offsetof<Timer>();

/** A connection in TIME_WAIT or FIN_WAIT2 without a socket (struct tcp_timewait_sock). */
@unmanaged
export class TcpTw extends TcpMini {
  next: usize;
  prev: usize;
  substate: u32; // TCP_FIN_WAIT2 or TCP_TIME_WAIT
  rcvNxt: u32;
  sndNxt: u32;
  rcvWnd: u32;
  rcvWscale: u32;
  tsOk: u32;
  tsRecent: u32;
  tsOffset: u32;
  txhash: u32;
  tos: u32;
  bindBucket: usize;
  tsRecentStamp: i64;
  lastOow: i64;
}
const TW_SIZE: usize = offsetof<TcpTw>() + TIMER;

/** All TIME_WAIT records of this worker, newest first; namespaces that go take theirs out. */
export let twList: usize = 0;

/** Quiet time was skipped, in which the peer's timestamp clock went on. */
export function twShiftTimestamps(at: usize, ms: u32): void {
  const tw = changetype<TcpTw>(at);
  if (tw.tsRecentStamp != 0) tw.tsRecent += ms;
}

let twCount: u32 = 0;

@inline
function twTimer(tw: TcpTw): Timer {
  return changetype<Timer>(changetype<usize>(tw) + offsetof<TcpTw>());
}

/** Remaining time of a record, ns. */
export function twLeft(at: usize): i64 {
  return twTimer(changetype<TcpTw>(at)).expires - now;
}

/** inet_twsk_deschedule_put. */
export function twKill(at: usize): void {
  const tw = changetype<TcpTw>(at);
  timerDel(twTimer(tw));
  ehashRemove(at);
  bindPut(tw.bindBucket);
  if (tw.prev != 0) changetype<TcpTw>(tw.prev).next = tw.next;
  else twList = tw.next;
  if (tw.next != 0) changetype<TcpTw>(tw.next).prev = tw.prev;
  twCount--;
  kfree(at, TW_SIZE);
}

function twTimeout(arg: usize): void {
  twKill(arg);
}

/** Frees the records of a dying namespace. */
export function tcpNsExit(ns: NetNs): void {
  let p = twList;
  while (p != 0) {
    const tw = changetype<TcpTw>(p);
    p = tw.next;
    if (tw.ns == changetype<usize>(ns)) twKill(changetype<usize>(tw));
  }
}

/** Turns a connection into a TIME_WAIT record; the socket itself is done (tcp_time_wait). time 0 = 60 s. */
export function timeWaitFrom(tp: TcpSock, substate: u32, time: i64): void {
  const tw = changetype<TcpTw>(kmalloc(TW_SIZE));
  tw.type = SOCK_TCP;
  tw.flags = SOCK_TW;
  tw.ns = tp.ns;
  tw.host = tp.host;
  tw.localIp = tp.localIp;
  tw.remoteIp = tp.remoteIp;
  tw.localPort = tp.localPort;
  tw.remotePort = tp.remotePort;
  tw.substate = substate;
  tw.rcvNxt = tp.rcvNxt;
  tw.sndNxt = tp.sndNxt;
  const window = <i32>(tp.rcvWup + tp.rcvWnd - tp.rcvNxt);
  tw.rcvWnd = window < 0 ? 0 : <u32>window;
  tw.rcvWscale = tp.rcvWscale;
  tw.tsOk = <u32>((tp.tf & TF_TS_OK) != 0);
  tw.tsRecent = tp.tsRecent;
  tw.tsRecentStamp = tp.tsRecentStamp;
  tw.tsOffset = tp.tsOffset;
  tw.txhash = tp.txhash;
  tw.tos = tp.tos;
  tw.lastOow = tp.lastOowAck;
  tw.bindBucket = bindHold(tp.bindBucket);
  timerInit(twTimer(tw), changetype<Host>(tw.host), changetype<usize>(twTimeout), changetype<usize>(tw));
  twTimer(tw).upkeep = TIMER_UPKEEP;
  tw.next = twList;
  if (twList != 0) changetype<TcpTw>(twList).prev = changetype<usize>(tw);
  twList = changetype<usize>(tw);
  twCount++;
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TW);
  // At least 3.5 RTOs, so that a retransmitted FIN is answered.
  const least = (tp.rto << 2) - (tp.rto >> 1);
  let timeout = substate == <u32>TCP_TIME_WAIT ? TCP_TIMEWAIT_LEN : time;
  if (timeout < least) timeout = least;
  timerMod(twTimer(tw), now + timeout);
  tcpDone(tp);
  ehashInsert(changetype<usize>(tw));
}

@inline
function twRestart(tw: TcpTw): void {
  timerMod(twTimer(tw), now + TCP_TIMEWAIT_LEN);
}

function twAck(tw: TcpTw): void {
  const scale = tw.rcvWscale;
  bareAck(changetype<usize>(tw), tw.sndNxt, tw.rcvNxt, tw.rcvWnd >> scale, tw.tsOk != 0, tw.tsOffset, tw.tsRecent, tw.tos, tw.txhash);
}

/** A segment for a TIME_WAIT record; ends the packet (tcp_timewait_state_process and its caller). */
export function twRcv(at: usize, skb: Skb): void {
  const tw = changetype<TcpTw>(at);
  parseTcpOptions(skb.th, false);
  const ts = optSawTs && tw.tsRecentStamp != 0;
  const paws =
    ts && <i32>(tw.tsRecent - optTsval) > 0 && tw.tsRecent != 0 && now - tw.tsRecentStamp <= PAWS_24DAYS &&
    !(skb.cb2 & TCPHDR_RST);
  if (tw.substate == <u32>TCP_FIN_WAIT2) finWait2Rcv(tw, skb, ts, paws);
  else timeWaitRcv(tw, skb, ts, paws);
}

function takeTs(tw: TcpTw, ts: bool): void {
  if (!ts) return;
  tw.tsRecent = optTsval;
  tw.tsRecentStamp = now;
}

function finWait2Rcv(tw: TcpTw, skb: Skb, ts: bool, paws: bool): void {
  const flags = skb.cb2;
  const at = changetype<usize>(tw);
  if (paws || !inWindow(skb.cb0, skb.cb1, tw.rcvNxt, tw.rcvNxt + tw.rcvWnd)) {
    if (!miniOowLimited(tw.ns, skb, at + offsetof<TcpTw>("lastOow"))) twAck(tw);
    dropSkb(skb, DROP_TCP_INVALID_SEQUENCE);
    return;
  }
  if (flags & TCPHDR_RST) {
    twKill(at);
    consumeSkb(skb);
    return;
  }
  const late = (flags & TCPHDR_SYN) != 0 && !before(skb.cb0, tw.rcvNxt);
  if (!late && (!(flags & TCPHDR_ACK) || !after(skb.cb1, tw.rcvNxt) || skb.cb1 == skb.cb0)) {
    consumeSkb(skb); // a duplicate ACK
    return;
  }
  if (late || !(flags & TCPHDR_FIN) || skb.cb1 != tw.rcvNxt + 1) {
    // New data after a half-duplex close.
    tcpSendReset(changetype<NetNs>(tw.ns), skb);
    twKill(at);
    dropSkb(skb, DROP_TCP_CLOSE);
    return;
  }
  tw.substate = TCP_TIME_WAIT;
  tw.rcvNxt = skb.cb1;
  takeTs(tw, ts);
  twRestart(tw);
  twAck(tw);
  consumeSkb(skb);
}

function timeWaitRcv(tw: TcpTw, skb: Skb, ts: bool, paws: bool): void {
  const flags = skb.cb2;
  const at = changetype<usize>(tw);
  if (!paws && skb.cb0 == tw.rcvNxt && (skb.cb0 == skb.cb1 || flags & TCPHDR_RST)) {
    if (flags & TCPHDR_RST) twKill(at);
    else {
      twRestart(tw);
      takeTs(tw, ts);
    }
    consumeSkb(skb);
    return;
  }
  const syn = (flags & (TCPHDR_SYN | TCPHDR_RST | TCPHDR_ACK)) == TCPHDR_SYN;
  if (syn && !paws && (after(skb.cb0, tw.rcvNxt) || (ts && <i32>(tw.tsRecent - optTsval) < 0))) {
    const listener = listenLookup(tw.ns, tw.localIp, tw.localPort);
    if (listener != 0) {
      let next = tw.sndNxt + 65537;
      if (next == 0) next = 1;
      twKill(at);
      connRequest(changetype<TcpSock>(listener), skb, next);
      return;
    }
  }
  if (paws) snmpInc(changetype<NetNs>(tw.ns), SNMP_TCPEXT_PAWSESTAB);
  if (!(flags & TCPHDR_RST)) {
    if (paws || flags & TCPHDR_ACK) twRestart(tw);
    if (!miniOowLimited(tw.ns, skb, at + offsetof<TcpTw>("lastOow"))) twAck(tw);
  }
  dropSkb(skb, paws ? DROP_TCP_PAWS : DROP_TCP_INVALID_SEQUENCE);
}
