/**
 * The TCP socket's record (struct tcp_sock and inet_connection_sock of include/linux/tcp.h), its send queue's
 * segments, and the small accessors that all TCP files share. Sequence numbers are u32 modulo 2^32; times are
 * i64 ns of virtual time unless the name ends in Us (µs) or says otherwise.
 *
 *   record:   | Sock | TCP fields | retransmit Timer | delayed-ACK Timer | keepalive Timer | compressed-ACK Timer | small-queue Timer |
 *   segment:  | TxSeg | payload, `cap` bytes |
 */
import { TCP_CLOSE } from "../abi";
import { NetNs } from "../link/netns";
import { kmalloc } from "../memory/arena";
import { clock } from "../sim/event";
import { TIMER_KEEPALIVE, Timer, timerDel, timerInit } from "../sim/timer";
import { Host } from "../sim/host";
import { Sock } from "./socket";
import { NS_PER_MS, TIME_NONE, CA_CWR, CA_RECOVERY } from "./tcp-const";

/** One segment of the send queue. Never more than one MSS of payload. */
@unmanaged
export class TxSeg {
  next: usize;
  prev: usize;
  /** RACK's list, in order of (re)transmission; 0/0 when not in it. */
  tsNext: usize;
  tsPrev: usize;
  seq: u32;
  endSeq: u32;
  /** TCPHDR_* of the segment: SYN, FIN, PSH. */
  flags: u32;
  sacked: u32;
  len: u32;
  cap: u32;
  /** First payload byte. */
  data: usize;
  /** Last transmission; 0 = never sent. */
  time: i64;
  inTs: u32;
  /** tp.delivered when it was sent last: tells rounds apart (rate sample's prior_delivered). */
  delivered: u32;
}

/** Bytes of the record; the payload follows. */
export const TXSEG_SIZE: usize = offsetof<TxSeg>();
/** What a queued segment is charged besides its bytes. */
export const TXSEG_OVERHEAD: u32 = 256;

/** A TCP socket (struct tcp_sock with its inet_connection_sock). */
@unmanaged
export class TcpSock extends Sock {
  state: u32;
  tf: u32;
  // Port and listener
  bindBucket: usize;
  parent: usize; // listener whose accept queue holds it
  acceptNext: usize;
  acceptHead: usize;
  acceptTail: usize;
  acceptCount: u32;
  backlog: u32;
  reqHead: usize; // connection requests of a listener (TcpReq)
  reqCount: u32;
  // Receive sequence space
  rcvNxt: u32;
  copiedSeq: u32;
  rcvWup: u32;
  rcvWnd: u32;
  rcvSsthresh: u32;
  windowClamp: u32;
  rcvWscale: u32;
  // Send sequence space
  sndWscale: u32;
  sndNxt: u32;
  sndUna: u32;
  sndWl1: u32;
  sndWnd: u32;
  maxWindow: u32;
  writeSeq: u32;
  pushedSeq: u32;
  sndSml: u32;
  lastOowAck: i64;
  // MSS
  advmss: u32;
  mssCache: u32;
  mssClamp: u32;
  pmtu: u32;
  headerLen: u32;
  // Timestamps
  tsOffset: u32;
  tsRecent: u32;
  tsRecentStamp: i64; // 0 = no timestamp yet
  rcvTsval: u32;
  rcvTsecr: u32;
  sawTs: u32;
  // RTT
  srttUs: u32; // × 8
  mdevUs: u32; // × 4
  mdevMaxUs: u32;
  rttvarUs: u32;
  rttSeq: u32;
  minRtt0: u32; // windowed minimum over 300 s: three samples (lib/win_minmax.c)
  minRtt1: u32;
  minRtt2: u32;
  minT0: i64;
  minT1: i64;
  minT2: i64;
  // Retransmission
  rto: i64;
  timeout: i64;
  timerKind: u32;
  backoff: u32;
  retransmits: u32;
  totalRetrans: u32;
  retransStamp: u32; // ms of the first retransmission of the episode, 0 = none
  probesOut: u32;
  probesStart: i64;
  errSoft: u32;
  // Congestion control
  caState: u32;
  cwnd: u32;
  ssthresh: u32;
  cwndCnt: u32;
  cwndUsed: u32;
  cwndStamp: i64;
  maxPacketsOut: u32;
  cwndUsageSeq: u32;
  prrDelivered: u32;
  prrOut: u32;
  priorCwnd: u32;
  priorSsthresh: u32;
  undoMarker: u32;
  undoRetrans: i32;
  highSeq: u32;
  delivered: u32;
  packetsOut: u32;
  sackedOut: u32;
  lostOut: u32;
  retransOut: u32;
  reordering: u32;
  lsndTime: i64;
  // RACK and TLP
  rackTime: i64;
  rackRttUs: u32;
  rackEndSeq: u32;
  rackLastDelivered: u32;
  rackSteps: u32;
  rackPersist: u32;
  tlpHighSeq: u32;
  // CUBIC
  cubCnt: u32;
  cubLastMaxCwnd: u32;
  cubLastCwnd: u32;
  cubLastTime: i64;
  cubOrigin: u32;
  cubK: u32;
  cubDelayMin: u32;
  cubEpoch: i64; // -1 = none
  cubAckCnt: u32;
  cubTcpCwnd: u32;
  cubRoundStart: i64;
  cubEndSeq: u32;
  cubLastAck: i64;
  cubCurrRtt: u32;
  cubSampleCnt: u32;
  cubFound: u32;
  // Delayed ACKs
  ackPending: u32;
  ackQuick: u32;
  ackPingpong: u32;
  ackAto: i64;
  ackTimeout: i64;
  lrcvTime: i64;
  rcvTstamp: i64;
  lastSegSize: u32;
  rcvMss: u32;
  compressedAck: u32;
  compressedRcvNxt: u32;
  dupAckCounter: u32;
  // Receive buffer auto-tuning
  rcvqSpace: u32;
  rcvqSeq: u32;
  rcvqTime: i64;
  rcvRttUs: u32; // × 8
  rcvRttSeq: u32;
  rcvRttTime: i64;
  rcvRttTsecr: u32;
  // Out-of-order queue (Skb.next, by sequence) and the SACK blocks to send: start | end << 32
  ofoHead: usize;
  ofoTail: usize;
  numSacks: u32;
  dsackOn: u32;
  sack0: u64;
  sack1: u64;
  sack2: u64;
  sack3: u64;
  dsack: u64;
  // SACK blocks received last, sorted (recv_sack_cache)
  cache0: u64;
  cache1: u64;
  cache2: u64;
  cache3: u64;
  // Send queue
  txHead: usize;
  txTail: usize;
  sendHead: usize; // first segment that was never sent
  tsHead: usize;
  tsTail: usize;
  highestSack: usize; // segment behind the highest SACKed one; 0 = the send head
  retransHint: usize; // where the search for segments to retransmit goes on
  wmemQueued: u32;
  sndBuf: u32;
  // Keepalive
  kaTime: i64;
  kaIntvl: i64;
  kaProbes: u32;
  segsIn: u32;
  segsOut: u32;
  bytesAcked: u64;
  bytesReceived: u64;
  /** A sink's program hears of data once so many bytes have come in all (its SO_RCVLOWAT). */
  sinkUntil: u64;
  /** TcpApp behind a SOCK_APP socket. */
  app: usize;
  dsackDups: u32;
}

const TIMER: usize = offsetof<Timer>();
const TIMERS: usize = (offsetof<TcpSock>() + 7) & ~7;
/** Bytes of the record with its five timers. */
export const TCP_SOCK_SIZE: usize = TIMERS + 5 * TIMER;

/** Timer of retransmission, probes and RACK (icsk_retransmit_timer); timerKind says which. */
@inline
export function rtxTimer(tp: TcpSock): Timer {
  return changetype<Timer>(changetype<usize>(tp) + TIMERS);
}

/** Timer of the delayed ACK (icsk_delack_timer). */
@inline
export function delackTimer(tp: TcpSock): Timer {
  return changetype<Timer>(changetype<usize>(tp) + TIMERS + TIMER);
}

/** Timer of keepalive, and of FIN_WAIT2 (sk_timer). */
@inline
export function keepTimer(tp: TcpSock): Timer {
  return changetype<Timer>(changetype<usize>(tp) + TIMERS + 2 * TIMER);
}

/** Timer of compressed SACKs (compressed_ack_timer). */
@inline
export function sackTimer(tp: TcpSock): Timer {
  return changetype<Timer>(changetype<usize>(tp) + TIMERS + 3 * TIMER);
}
/** Fires at once when the host's own queues have room again (the TSQ tasklet). */
@inline
export function tsqTimer(tp: TcpSock): Timer {
  return changetype<Timer>(changetype<usize>(tp) + TIMERS + 4 * TIMER);
}

/** The namespace that it is in. */
@inline
export function tcpNs(tp: TcpSock): NetNs {
  return changetype<NetNs>(tp.ns);
}

/** The host that it is on. */
@inline
export function tcpHost(tp: TcpSock): Host {
  return changetype<Host>(tp.host);
}

/** Address of the i-th SACK block to send. */
@inline
export function sackAt(tp: TcpSock, i: u32): usize {
  return changetype<usize>(tp) + offsetof<TcpSock>("sack0") + (<usize>i << 3);
}

/** The timestamp clock (1 ms) without a connection's offset. */
@inline
export function tsClock(): u32 {
  return <u32>(clock() / NS_PER_MS);
}
/** tcp_time_stamp: what goes into TSval. */
@inline
export function tcpTimeStamp(tp: TcpSock): u32 {
  return tsClock() + tp.tsOffset;
}

/** tcp_packets_in_flight. */
@inline
export function packetsInFlight(tp: TcpSock): u32 {
  return tp.packetsOut - (tp.sackedOut + tp.lostOut) + tp.retransOut;
}

/** tcp_in_initial_slowstart / tcp_in_slow_start. */
@inline
export function inSlowStart(tp: TcpSock): bool {
  return tp.cwnd < tp.ssthresh;
}

/** tcp_current_ssthresh: what ssthresh would be after an undo-less end of recovery. */
export function currentSsthresh(tp: TcpSock): u32 {
  if (tp.caState == CA_CWR || tp.caState == CA_RECOVERY) return tp.ssthresh;
  const part = (tp.cwnd >> 1) + (tp.cwnd >> 2);
  return tp.ssthresh > part ? tp.ssthresh : part;
}

/** tcp_receive_window: what the peer may still send, by our last announcement. */
@inline
export function receiveWindow(tp: TcpSock): u32 {
  const win = <i32>(tp.rcvWup + tp.rcvWnd - tp.rcvNxt);
  return win < 0 ? 0 : <u32>win;
}

/** tcp_wnd_end. */
@inline
export function wndEnd(tp: TcpSock): u32 {
  return tp.sndUna + tp.sndWnd;
}

/** tcp_win_from_space with tcp_adv_win_scale = 1: half of the buffer is for overhead. */
@inline
export function winFromSpace(space: i32): i32 {
  return space - (space >> 1);
}
/** tcp_space: window that the free part of the receive buffer allows. */
@inline
export function rcvSpaceFree(tp: TcpSock): i32 {
  return winFromSpace(<i32>tp.rxMax - <i32>tp.rxBytes);
}

/** Window that the whole receive buffer allows (tcp_full_space). */
@inline
export function rcvSpaceFull(tp: TcpSock): i32 {
  return winFromSpace(<i32>tp.rxMax);
}

/** The smaller one. */
@inline
export function minU(a: u32, b: u32): u32 {
  return a < b ? a : b;
}

/** The larger one. */
@inline
export function maxU(a: u32, b: u32): u32 {
  return a > b ? a : b;
}

// ---------------------------------------------------------------------------------------------- life

/** A zeroed record in state CLOSE with TCP's defaults (tcp_init_sock); timers are set up by tcp-timer. */
export function sockAlloc(): TcpSock {
  const tp = changetype<TcpSock>(kmalloc(TCP_SOCK_SIZE));
  tp.state = TCP_CLOSE;
  return tp;
}

/** Prepares the timers with their handlers (function indices). */
export function timersInit(tp: TcpSock, rtx: usize, delack: usize, keep: usize, sack: usize, tsq: usize): void {
  const host = tcpHost(tp);
  const arg = changetype<usize>(tp);
  timerInit(rtxTimer(tp), host, rtx, arg);
  timerInit(delackTimer(tp), host, delack, arg);
  timerInit(keepTimer(tp), host, keep, arg);
  keepTimer(tp).upkeep = TIMER_KEEPALIVE;
  timerInit(sackTimer(tp), host, sack, arg);
  timerInit(tsqTimer(tp), host, tsq, arg);
}

/** tcp_clear_xmit_timers and the keepalive timer. */
export function timersStop(tp: TcpSock): void {
  timerDel(rtxTimer(tp));
  timerDel(delackTimer(tp));
  timerDel(keepTimer(tp));
  timerDel(sackTimer(tp));
  timerDel(tsqTimer(tp));
  tp.timerKind = TIME_NONE;
}
