/**
 * Received DATA (net/sctp/sm_statefuns.c sctp_eat_data, tsnmap.c, ulpqueue.c, sm_sideeffect.c sctp_gen_sack): which TSNs have
 * come, messages put together from their fragments and delivered in their stream's order, when to acknowledge.
 */
import { SCTP_ESTABLISHED, SCTP_SHUTDOWN_PENDING, SCTP_SHUTDOWN_RECEIVED, SCTP_SHUTDOWN_SENT } from "../abi";
import {
  SNMP_SCTP_INDATACHUNKDISCARDS, SNMP_SCTP_INORDERCHUNKS, SNMP_SCTP_INUNORDERCHUNKS, SNMP_SCTP_REASMUSRMSGS, snmpInc,
} from "../inet/snmp";
import { now } from "../sim/event";
import { timerMod } from "../sim/timer";
import {
  CAUSE_INVALID_STREAM, CAUSE_NO_DATA, DATA_B, DATA_E, DATA_HLEN, DATA_I, DATA_U, get16, get32, put16, put32,
} from "../wire/sctp";
import {
  SCTP_MAX_DUPS, SCTP_RWND_SHIFT, SCTP_RX_OVERHEAD, SCTP_SACK_FREQ, SCTP_SACK_TIMEOUT, SCTP_TSN_WINDOW, SF_PARTIAL,
} from "./sctp-const";
import { fragPoint, sendError, sendSack } from "./sctp-output";
import {
  SctpRx, SctpSock, dupAt, mapClear, mapHas, mapReset, mapSet, pendPurge, rxData, rxFree, rxNew, sackTimer, sctpNs,
  tsnLt, tsnLte,
} from "./sctp-sock";
import { sockWake } from "./socket";

/** What dataIn made of a chunk. */
export const DATA_OK: u32 = 0;
/** Acknowledge at once. */
export const DATA_SACK_NOW: u32 = 1;
/** The peer broke the rules: abort the association, with cause `dataCause`. */
export const DATA_ABORT: u32 = 2;

const info: usize = memory.data(8, 4);
/** A TSN for an ABORT's cause "no user data". */
export let dataInfo: usize = 0;
/** What the causes need. */
export const DATA_INFO_LEN: u32 = 4;
/** Cause of DATA_ABORT. */
export const dataCause: u32 = CAUSE_NO_DATA;

/** The peer's first TSN will be `tsn`: nothing was received so far (sctp_tsnmap_init). */
export function receiveFrom(sk: SctpSock, tsn: u32): void {
  sk.ctsn = tsn - 1;
  sk.maxTsn = tsn - 1;
  mapReset(sk);
  pendPurge(sk);
  sk.sf &= ~SF_PARTIAL;
  sk.dups = 0;
  sk.sackNeeded = 1;
  sk.sackCount = 0;
}

function advance(sk: SctpSock): void {
  while (mapHas(sk, sk.ctsn + 1)) {
    sk.ctsn++;
    mapClear(sk, sk.ctsn);
  }
  if (tsnLt(sk.maxTsn, sk.ctsn)) sk.maxTsn = sk.ctsn;
}

function noteTsn(sk: SctpSock, tsn: u32): void {
  if (tsnLt(sk.maxTsn, tsn)) sk.maxTsn = tsn;
  mapSet(sk, tsn);
  advance(sk);
}

/** Takes a DATA chunk of `length` bytes, header included: DATA_* (sctp_eat_data). */
export function dataIn(sk: SctpSock, chunk: usize, length: u32): u32 {
  const tsn = get32(chunk + 4);
  const stream = get16(chunk + 8);
  const bytes = length - DATA_HLEN;
  const flags: u32 = load<u8>(chunk, 1);
  const gap = tsn - sk.ctsn;
  if (tsnLte(tsn, sk.ctsn) || (gap <= SCTP_TSN_WINDOW && mapHas(sk, tsn))) {
    if (sk.dups < SCTP_MAX_DUPS) store<u32>(dupAt(sk, sk.dups++), tsn);
    return DATA_SACK_NOW;
  }
  if (gap > SCTP_TSN_WINDOW) return discard(sk);
  if (bytes == 0) {
    put32(info, tsn);
    dataInfo = info;
    return DATA_ABORT;
  }
  if (sk.rwnd == 0 || sk.rxBytes >= sk.rxMax || bytes > sk.rwnd + fragPoint(sk)) {
    // The next one in sequence is worth more than those beyond it.
    if (gap != 1 || !renege(sk, bytes)) return discard(sk);
  }
  noteTsn(sk, tsn);
  snmpInc(sctpNs(sk), flags & DATA_U ? SNMP_SCTP_INUNORDERCHUNKS : SNMP_SCTP_INORDERCHUNKS);
  if (stream >= sk.inStreams) {
    put16(info, stream);
    put16(info + 2, 0);
    sendError(sk, CAUSE_INVALID_STREAM, info, 4);
    return flags & DATA_I ? DATA_SACK_NOW : DATA_OK;
  }
  const rx = rxNew(chunk + DATA_HLEN, bytes);
  rx.tsn = tsn;
  rx.flags = flags;
  rx.stream = stream;
  rx.ssn = get16(chunk + 10);
  rx.ppid = get32(chunk + 12);
  sk.rwnd = sk.rwnd > bytes ? sk.rwnd - bytes : 0;
  sk.rxBytes += bytes + SCTP_RX_OVERHEAD;
  pendInsert(sk, rx);
  arrived(sk, rx);
  return flags & DATA_I ? DATA_SACK_NOW : DATA_OK;
}

function discard(sk: SctpSock): u32 {
  snmpInc(sctpNs(sk), SNMP_SCTP_INDATACHUNKDISCARDS);
  return DATA_SACK_NOW;
}

/** Gives up chunks beyond the gap, the last ones first, until there is room for `bytes` (sctp_ulpq_renege). */
function renege(sk: SctpSock, bytes: u32): bool {
  let freed: u32 = 0;
  while (freed < bytes && sk.pendLast != 0) {
    const rx = changetype<SctpRx>(sk.pendLast);
    if (tsnLte(rx.tsn, sk.ctsn)) break;
    freed += rx.len;
    unmarkWhole(sk, rx);
    mapClear(sk, rx.tsn);
    pendRemove(sk, rx);
    drop(sk, rx);
  }
  sk.maxTsn = sk.ctsn;
  for (let offset: u32 = SCTP_TSN_WINDOW; offset != 0; offset--)
    if (mapHas(sk, sk.ctsn + offset)) {
      sk.maxTsn = sk.ctsn + offset;
      break;
    }
  if (freed < bytes) partialDelivery(sk);
  return freed >= bytes;
}

/** A message that was whole loses a fragment: its first one is not marked any more. */
function unmarkWhole(sk: SctpSock, rx: SctpRx): void {
  for (let p = changetype<usize>(rx); p != 0; p = changetype<SctpRx>(p).prev) {
    const at = changetype<SctpRx>(p);
    if (!(at.flags & DATA_B)) continue;
    if (at.whole) {
      at.whole = 0;
      sk.wholeWaiting--;
    }
    return;
  }
}

function drop(sk: SctpSock, rx: SctpRx): void {
  sk.rwnd += rx.len;
  sk.rxBytes -= rx.len + SCTP_RX_OVERHEAD;
  rxFree(rx);
}

// ---------------------------------------------------------------------------------------------- reassembly and order

function pendInsert(sk: SctpSock, rx: SctpRx): void {
  let after = sk.pendLast;
  while (after != 0 && tsnLt(rx.tsn, changetype<SctpRx>(after).tsn)) after = changetype<SctpRx>(after).prev;
  rx.prev = after;
  if (after == 0) {
    rx.next = sk.pendFirst;
    sk.pendFirst = changetype<usize>(rx);
  } else {
    rx.next = changetype<SctpRx>(after).next;
    changetype<SctpRx>(after).next = changetype<usize>(rx);
  }
  if (rx.next == 0) sk.pendLast = changetype<usize>(rx);
  else changetype<SctpRx>(rx.next).prev = changetype<usize>(rx);
  sk.pendCount++;
}

function pendRemove(sk: SctpSock, rx: SctpRx): void {
  if (rx.prev == 0) sk.pendFirst = rx.next;
  else changetype<SctpRx>(rx.prev).next = rx.next;
  if (rx.next == 0) sk.pendLast = rx.prev;
  else changetype<SctpRx>(rx.next).prev = rx.prev;
  sk.pendCount--;
}

function toReader(sk: SctpSock, rx: SctpRx): void {
  pendRemove(sk, rx);
  rx.next = 0;
  rx.prev = sk.readLast;
  if (sk.readLast == 0) sk.readFirst = changetype<usize>(rx);
  else changetype<SctpRx>(sk.readLast).next = changetype<usize>(rx);
  sk.readLast = changetype<usize>(rx);
  sk.readBytes += rx.len;
  sk.rxPackets++;
  sk.rxTotal += rx.len;
  sockWake(sk);
}

@inline
function sameMessage(a: SctpRx, b: SctpRx): bool {
  return b.tsn == a.tsn + 1 && a.stream == b.stream && (a.flags & DATA_U) == (b.flags & DATA_U) && (a.flags & DATA_U || a.ssn == b.ssn);
}

/** First fragment of the message around `rx` if the message is whole, else 0. */
function wholeMessage(rx: SctpRx): usize {
  let first = rx;
  while (!(first.flags & DATA_B)) {
    if (first.prev == 0) return 0;
    const previous = changetype<SctpRx>(first.prev);
    if (previous.flags & DATA_E || !sameMessage(previous, first)) return 0;
    first = previous;
  }
  let last = rx;
  while (!(last.flags & DATA_E)) {
    if (last.next == 0) return 0;
    const following = changetype<SctpRx>(last.next);
    if (following.flags & DATA_B || !sameMessage(last, following)) return 0;
    last = following;
  }
  return changetype<usize>(first);
}

@inline
function nextSsn(sk: SctpSock, stream: u32): usize {
  return sk.inSsn + (<usize>stream << 1);
}

function deliver(sk: SctpSock, first: SctpRx): void {
  if (!(first.flags & DATA_E)) snmpInc(sctpNs(sk), SNMP_SCTP_REASMUSRMSGS);
  if (!(first.flags & DATA_U)) store<u16>(nextSsn(sk, first.stream), <u16>(first.ssn + 1));
  let p = changetype<usize>(first);
  for (;;) {
    const rx = changetype<SctpRx>(p);
    const last = (rx.flags & DATA_E) != 0;
    p = rx.next;
    toReader(sk, rx);
    if (last) return;
  }
}

/** Messages of the stream that waited for the one before them (sctp_ulpq_retrieve_ordered). */
function deliverWaiting(sk: SctpSock, stream: u32): void {
  let found = true;
  while (found && sk.wholeWaiting != 0) {
    found = false;
    for (let p = sk.pendFirst; p != 0; p = changetype<SctpRx>(p).next) {
      const rx = changetype<SctpRx>(p);
      if (!rx.whole || rx.flags & DATA_U || rx.stream != stream || rx.ssn != <u32>load<u16>(nextSsn(sk, stream))) continue;
      sk.wholeWaiting--;
      deliver(sk, rx);
      found = true;
      break;
    }
  }
}

/** A chunk was put in its place: what can be delivered is. */
function arrived(sk: SctpSock, rx: SctpRx): void {
  if (sk.sf & SF_PARTIAL) {
    const first = wholeMessage(rx);
    if (first != 0 && !changetype<SctpRx>(first).whole) {
      changetype<SctpRx>(first).whole = 1;
      sk.wholeWaiting++;
    }
    continuePartial(sk);
    return;
  }
  const at = wholeMessage(rx);
  if (at == 0) return;
  const first = changetype<SctpRx>(at);
  if (!(first.flags & DATA_U) && first.ssn != <u32>load<u16>(nextSsn(sk, first.stream))) {
    first.whole = 1;
    sk.wholeWaiting++;
    return;
  }
  const ordered = !(first.flags & DATA_U);
  const stream = first.stream;
  deliver(sk, first);
  if (ordered) deliverWaiting(sk, stream);
}

/** The buffer is full and nothing is whole: the first message is delivered as far as it has come (sctp_ulpq_partial_delivery). */
function partialDelivery(sk: SctpSock): void {
  if (sk.sf & SF_PARTIAL || sk.pendFirst == 0 || sk.readFirst != 0) return;
  const rx = changetype<SctpRx>(sk.pendFirst);
  if (!(rx.flags & DATA_B) || rx.whole || !tsnLte(rx.tsn, sk.ctsn)) return;
  if (!(rx.flags & DATA_U) && rx.ssn != <u32>load<u16>(nextSsn(sk, rx.stream))) return;
  sk.sf |= SF_PARTIAL;
  sk.pdNext = rx.tsn;
  continuePartial(sk);
}

function continuePartial(sk: SctpSock): void {
  while (sk.pendFirst != 0) {
    const rx = changetype<SctpRx>(sk.pendFirst);
    if (rx.tsn != sk.pdNext) return;
    sk.pdNext++;
    const last = (rx.flags & DATA_E) != 0;
    if (last && !(rx.flags & DATA_U)) store<u16>(nextSsn(sk, rx.stream), <u16>(rx.ssn + 1));
    if (rx.whole) {
      rx.whole = 0;
      sk.wholeWaiting--;
    }
    toReader(sk, rx);
    if (!last) continue;
    sk.sf &= ~SF_PARTIAL;
    deliverAll(sk);
    return;
  }
}

/** Everything whose turn it is: what came during a partial delivery. */
function deliverAll(sk: SctpSock): void {
  let p = sk.pendFirst;
  while (p != 0) {
    const rx = changetype<SctpRx>(p);
    p = rx.next;
    if (!rx.whole || (!(rx.flags & DATA_U) && rx.ssn != <u32>load<u16>(nextSsn(sk, rx.stream)))) continue;
    const stream = rx.stream;
    const ordered = !(rx.flags & DATA_U);
    sk.wholeWaiting--;
    deliver(sk, rx);
    if (ordered) deliverWaiting(sk, stream);
    p = sk.pendFirst;
  }
}

// ---------------------------------------------------------------------------------------------- acknowledging

/** A packet with DATA was handled: acknowledges now, or by the second packet, or in 200 ms (sctp_gen_sack). */
export function genSack(sk: SctpSock, force: bool): void {
  if (force || sk.maxTsn != sk.ctsn) sk.sackNeeded = 1;
  if (sk.sackNeeded) {
    sendSack(sk);
    return;
  }
  sk.sackCount++;
  if (sk.sackCount >= SCTP_SACK_FREQ - 1) sk.sackNeeded = 1;
  timerMod(sackTimer(sk), now + SCTP_SACK_TIMEOUT);
}

/** Copies up to `max` bytes of the first message to `into`: how many, 0 = nothing there. The chunk read from is `readChunk`. */
export function readMessage(sk: SctpSock, into: usize, max: u32): u32 {
  let copied: u32 = 0;
  readEnd = false;
  while (sk.readFirst != 0 && copied < max) {
    const rx = changetype<SctpRx>(sk.readFirst);
    if (copied == 0) {
      readStream = rx.stream;
      readSsn = rx.ssn;
      readPpid = rx.ppid;
      readTsn = rx.tsn;
      readFlags = rx.flags;
    }
    const left = rx.len - rx.done;
    const part = left < max - copied ? left : max - copied;
    memory.copy(into + copied, rxData(rx) + rx.done, part);
    copied += part;
    rx.done += part;
    sk.readBytes -= part;
    if (rx.done < rx.len) break;
    sk.readFirst = rx.next;
    if (sk.readFirst == 0) sk.readLast = 0;
    else changetype<SctpRx>(sk.readFirst).prev = 0;
    const last = (rx.flags & DATA_E) != 0;
    drop(sk, rx);
    if (last) {
      readEnd = true;
      break;
    }
  }
  return copied;
}

/** What readMessage found out about the message. */
export let readStream: u32 = 0;
export let readSsn: u32 = 0;
export let readPpid: u32 = 0;
export let readTsn: u32 = 0;
export let readFlags: u32 = 0;
export let readEnd: bool = false;

/** The program has read: a window that has grown much is told (sctp_assoc_rwnd_increase). */
export function windowUpdate(sk: SctpSock): void {
  const state = sk.state;
  if (
    state != SCTP_ESTABLISHED && state != SCTP_SHUTDOWN_PENDING && state != SCTP_SHUTDOWN_RECEIVED &&
    state != SCTP_SHUTDOWN_SENT
  )
    return;
  if (sk.rxBytes >= sk.rxMax || sk.rwnd <= sk.aRwnd) return;
  const part = sk.rxMax >> SCTP_RWND_SHIFT;
  if (sk.rwnd - sk.aRwnd >= (part > sk.pmtu ? part : sk.pmtu)) sendSack(sk);
}
