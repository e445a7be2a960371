/**
 * The SCTP socket's record: one-to-one style, so a socket is an endpoint with one association or a listener (struct
 * sctp_sock, sctp_endpoint, sctp_association and sctp_transport of include/net/sctp/structs.h), with its chunks to send and
 * those received. TSNs are u32 modulo 2^32; times are i64 ns.
 *
 *   record:    | Sock | SCTP fields | six timers: T1, T2, T3, SACK, heartbeat, T5 | map of TSNs | duplicates |
 *   sent:      | SctpTx | payload |
 *   received:  | SctpRx | payload |
 */
import { SCTP_CLOSED } from "../abi";
import { NetNs } from "../link/netns";
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { Host } from "../sim/host";
import { Timer, timerDel, timerInit } from "../sim/timer";
import { SCTP_MAX_DUPS, SCTP_RX_OVERHEAD, SCTP_TSN_WINDOW } from "./sctp-const";
import { Sock } from "./socket";

/** A DATA chunk to send (struct sctp_chunk in an sctp_outq). */
@unmanaged
export class SctpTx {
  next: usize;
  tsn: u32;
  len: u32;
  /** DATA_B, DATA_E, DATA_U. */
  flags: u32;
  stream: u32;
  ssn: u32;
  ppid: u32;
  /** TX_*. */
  tf: u32;
  /** Reports of its absence (tsn_missing_report). */
  missing: u32;
  sentAt: i64;
}

/** A received DATA chunk (struct sctp_ulpevent). */
@unmanaged
export class SctpRx {
  next: usize;
  prev: usize;
  tsn: u32;
  len: u32;
  /** Bytes of it that were read. */
  done: u32;
  flags: u32;
  stream: u32;
  ssn: u32;
  ppid: u32;
  /** Of a first fragment: its message is whole and waits for its turn. */
  whole: u32;
}

/** An SCTP socket. */
@unmanaged
export class SctpSock extends Sock {
  // Link in the table of associations.
  anext: u32;
  ahash: u32;
  state: u32;
  sf: u32;
  // Listener
  parent: usize;
  acceptNext: usize;
  acceptHead: usize;
  acceptTail: usize;
  acceptCount: u32;
  backlog: u32;
  // Handshake
  myTag: u32;
  peerTag: u32;
  cookie: usize;
  cookieLen: u32;
  initTries: u32;
  t1Timeout: i64;
  // Streams: next number of each
  outStreams: u32;
  inStreams: u32;
  outSsn: usize; // u16 each
  inSsn: usize;
  // Sending
  initialTsn: u32;
  nextTsn: u32;
  ackPoint: u32; // highest TSN acknowledged cumulatively
  txFirst: usize;
  txLast: usize;
  txNew: usize; // first chunk that was never sent
  unsentBytes: u32;
  sndUsed: u32;
  sndBuf: u32;
  flight: u32;
  peerRwnd: u32;
  peerInitRwnd: u32;
  cwnd: u32;
  ssthresh: u32;
  partialAcked: u32;
  frExit: u32;
  pmtu: u32;
  rto: i64;
  srtt: i64;
  rttvar: i64;
  errors: u32; // overall_error_count
  retransmitted: u32;
  hbNonce: u64;
  hbAt: i64;
  // Receiving
  ctsn: u32; // highest TSN received in sequence
  maxTsn: u32;
  rwnd: u32;
  aRwnd: u32; // last told
  sackNeeded: u32;
  sackCount: u32;
  dups: u32;
  pendFirst: usize; // SctpRx by TSN: fragments, and messages that wait for their turn
  pendLast: usize;
  wholeWaiting: u32;
  pendCount: u32;
  pdNext: u32;
  readFirst: usize; // SctpRx to be read
  readLast: usize;
  readBytes: u32;
}

const TIMER: usize = offsetof<Timer>();
const TIMERS: usize = (offsetof<SctpSock>() + 7) & ~7;
const MAP: usize = TIMERS + 6 * TIMER;
const MAP_BYTES: usize = <usize>SCTP_TSN_WINDOW >> 3;
const DUPS: usize = MAP + MAP_BYTES;
/** Bytes of the record with what is behind it. */
const SCTP_SOCK_SIZE: usize = DUPS + (<usize>SCTP_MAX_DUPS << 2);

@inline
function timerAt(sk: SctpSock, index: usize): Timer {
  return changetype<Timer>(changetype<usize>(sk) + TIMERS + index * TIMER);
}

/** T1: INIT or COOKIE ECHO is not answered. */
@inline
export function t1Timer(sk: SctpSock): Timer {
  return timerAt(sk, 0);
}

/** T2: SHUTDOWN or SHUTDOWN ACK is not answered. */
@inline
export function t2Timer(sk: SctpSock): Timer {
  return timerAt(sk, 1);
}

/** T3: DATA is not acknowledged. */
@inline
export function t3Timer(sk: SctpSock): Timer {
  return timerAt(sk, 2);
}

/** The delayed SACK. */
@inline
export function sackTimer(sk: SctpSock): Timer {
  return timerAt(sk, 3);
}

/** The heartbeat. */
@inline
export function hbTimer(sk: SctpSock): Timer {
  return timerAt(sk, 4);
}

/** T5: the whole shutdown takes too long. */
@inline
export function t5Timer(sk: SctpSock): Timer {
  return timerAt(sk, 5);
}

/** The namespace that it is in. */
@inline
export function sctpNs(sk: SctpSock): NetNs {
  return changetype<NetNs>(sk.ns);
}

/** The host that it is on. */
@inline
export function sctpHost(sk: SctpSock): Host {
  return changetype<Host>(sk.host);
}

/** a < b, modulo 2^32 (TSN_lt). */
@inline
export function tsnLt(a: u32, b: u32): bool {
  return <i32>(a - b) < 0;
}

/** a <= b, modulo 2^32 (TSN_lte). */
@inline
export function tsnLte(a: u32, b: u32): bool {
  return <i32>(a - b) <= 0;
}

/** Address of the i-th duplicate TSN to report. */
@inline
export function dupAt(sk: SctpSock, i: u32): usize {
  return changetype<usize>(sk) + DUPS + (<usize>i << 2);
}

// The map has a bit for each TSN in (ctsn, ctsn + SCTP_TSN_WINDOW], at its low bits.

@inline
function mapByte(sk: SctpSock, tsn: u32): usize {
  return changetype<usize>(sk) + MAP + <usize>((tsn & (SCTP_TSN_WINDOW - 1)) >> 3);
}

/** Was a TSN beyond the cumulative one received? */
@inline
export function mapHas(sk: SctpSock, tsn: u32): bool {
  return (<u32>load<u8>(mapByte(sk, tsn)) & (1 << (tsn & 7))) != 0;
}

/** Marks a TSN beyond the cumulative one. */
@inline
export function mapSet(sk: SctpSock, tsn: u32): void {
  const at = mapByte(sk, tsn);
  store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(tsn & 7)));
}

/** Unmarks a TSN. */
@inline
export function mapClear(sk: SctpSock, tsn: u32): void {
  const at = mapByte(sk, tsn);
  store<u8>(at, load<u8>(at) & ~((<u8>1 << <u8>(tsn & 7))));
}

/** Unmarks all. */
export function mapReset(sk: SctpSock): void {
  memory.fill(changetype<usize>(sk) + MAP, 0, MAP_BYTES);
}

// ---------------------------------------------------------------------------------------------- life

/** A zeroed record in state CLOSED; timers are set up by sctp-timer. */
export function sctpAlloc(): SctpSock {
  const sk = changetype<SctpSock>(kmalloc(SCTP_SOCK_SIZE));
  sk.state = SCTP_CLOSED;
  return sk;
}

/** Frees the record; its queues are empty and its timers stopped. */
export function sctpFree(sk: SctpSock): void {
  kfree(changetype<usize>(sk), SCTP_SOCK_SIZE);
}

/** Prepares the i-th timer with its handler, a function (socket: usize) => void. */
export function sctpTimerInit(sk: SctpSock, index: u32, handler: usize): void {
  timerInit(timerAt(sk, index), sctpHost(sk), handler, changetype<usize>(sk));
}

/** Stops all timers. */
export function sctpTimersStop(sk: SctpSock): void {
  for (let i: usize = 0; i < 6; i++) timerDel(timerAt(sk, i));
}

/** A chunk to send, its payload undefined. */
export function txNew(len: u32): SctpTx {
  const tx = changetype<SctpTx>(kmallocRaw(offsetof<SctpTx>() + len));
  memory.fill(changetype<usize>(tx), 0, offsetof<SctpTx>());
  tx.len = len;
  return tx;
}

/** First payload byte. */
@inline
export function txData(tx: SctpTx): usize {
  return changetype<usize>(tx) + offsetof<SctpTx>();
}

/** Frees a chunk to send. */
export function txFree(tx: SctpTx): void {
  kfree(changetype<usize>(tx), offsetof<SctpTx>() + tx.len);
}

/** A received chunk with a copy of its payload. */
export function rxNew(from: usize, len: u32): SctpRx {
  const rx = changetype<SctpRx>(kmallocRaw(offsetof<SctpRx>() + len));
  memory.fill(changetype<usize>(rx), 0, offsetof<SctpRx>());
  rx.len = len;
  memory.copy(rxData(rx), from, len);
  return rx;
}

/** First payload byte. */
@inline
export function rxData(rx: SctpRx): usize {
  return changetype<usize>(rx) + offsetof<SctpRx>();
}

/** Frees a received chunk. */
export function rxFree(rx: SctpRx): void {
  kfree(changetype<usize>(rx), offsetof<SctpRx>() + rx.len);
}

/** Drops what is queued to be sent. */
export function txPurge(sk: SctpSock): void {
  for (let p = sk.txFirst; p != 0; ) {
    const tx = changetype<SctpTx>(p);
    p = tx.next;
    txFree(tx);
  }
  sk.txFirst = 0;
  sk.txLast = 0;
  sk.txNew = 0;
  sk.unsentBytes = 0;
  sk.sndUsed = 0;
  sk.flight = 0;
}

function rxPurge(first: usize): void {
  for (let p = first; p != 0; ) {
    const rx = changetype<SctpRx>(p);
    p = rx.next;
    rxFree(rx);
  }
}

/** Drops what was received and cannot be delivered any more. */
export function pendPurge(sk: SctpSock): void {
  for (let p = sk.pendFirst; p != 0; p = changetype<SctpRx>(p).next) sk.rxBytes -= changetype<SctpRx>(p).len + SCTP_RX_OVERHEAD;
  rxPurge(sk.pendFirst);
  sk.pendFirst = 0;
  sk.pendLast = 0;
  sk.pendCount = 0;
  sk.wholeWaiting = 0;
}

/** Drops what waits to be read. */
export function readPurge(sk: SctpSock): void {
  for (let p = sk.readFirst; p != 0; p = changetype<SctpRx>(p).next) sk.rxBytes -= changetype<SctpRx>(p).len + SCTP_RX_OVERHEAD;
  rxPurge(sk.readFirst);
  sk.readFirst = 0;
  sk.readLast = 0;
  sk.readBytes = 0;
}

/** Numbers of the streams, all 0; a former table is freed. */
export function streamsNew(sk: SctpSock, out: u32, into: u32): void {
  streamsFree(sk);
  sk.outStreams = out;
  sk.inStreams = into;
  sk.outSsn = kmalloc(<usize>out << 1);
  sk.inSsn = kmalloc(<usize>into << 1);
}

/** Frees the numbers of the streams. */
export function streamsFree(sk: SctpSock): void {
  if (sk.outSsn != 0) kfree(sk.outSsn, <usize>sk.outStreams << 1);
  if (sk.inSsn != 0) kfree(sk.inSsn, <usize>sk.inStreams << 1);
  sk.outSsn = 0;
  sk.inSsn = 0;
}

/** Forgets the peer's cookie. */
export function cookieFree(sk: SctpSock): void {
  if (sk.cookie != 0) kfree(sk.cookie, sk.cookieLen);
  sk.cookie = 0;
  sk.cookieLen = 0;
}
