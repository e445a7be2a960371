/**
 * The handshake (RFC 9260 §5; net/sctp/sm_statefuns.c sctp_sf_do_5_1B_init … sctp_sf_do_5_2_4_dupcook, sm_make_chunk.c
 * sctp_pack_cookie, sctp_unpack_cookie). A listener keeps nothing of an INIT: the cookie says it all, signed.
 *
 *   cookie:  +0 signature 8 | +8 made at, ns 8 | +16 own tag 4 | +20 peer's tag 4 | +24 tie tags: own 4, peer's 4 |
 *            +32 own address 4, peer's 4 | +40 ports: own 2, peer's 2 | +44 own TSN 4 | +48 peer's TSN 4 |
 *            +52 peer's window 4 | +56 peer's streams: out 2, in 2 | +60 zero 4
 */
import {
  DROP_SCTP_CHUNK, DROP_SCTP_COOKIE, DROP_SCTP_LISTEN_OVERFLOW, DROP_SCTP_VTAG, EPROTO, SCTP_COOKIE_ECHOED,
  SCTP_COOKIE_WAIT, SCTP_ESTABLISHED, SCTP_SHUTDOWN_ACK_SENT,
} from "../abi";
import { siphash } from "../hash/siphash";
import { SNMP_SCTP_ACTIVEESTABS, SNMP_SCTP_PASSIVEESTABS, snmpInc } from "../inet/snmp";
import { NetNs, nsHost } from "../link/netns";
import { kmallocRaw } from "../memory/arena";
import { Skb } from "../memory/skb";
import { clock, now } from "../sim/event";
import { rand32 } from "../sim/host";
import { timerDel, timerMod } from "../sim/timer";
import {
  CAUSE_INVALID_PARAM, CAUSE_MISSING_PARAM, CAUSE_STALE_COOKIE, CAUSE_UNRESOLVABLE, CHUNK_ABORT, CHUNK_COOKIE_ACK, CHUNK_ERROR,
  CHUNK_HLEN, CHUNK_SHUTDOWN_ACK, INIT_HLEN, PARAM_HLEN, PARAM_HOST_NAME, PARAM_STATE_COOKIE, PARAM_SUPPORTED_ADDRESSES,
  PARAM_UNRECOGNIZED, emitParam, get16, get32, pad4, put32,
} from "../wire/sctp";
import { abortAssoc, assocEnd, assocReset, established, newTag, peerKnown, sctpNew, sendFrom, startShutdown } from "./sctp-assoc";
import {
  SCTP_COOKIE_LIFE, SCTP_IN_STREAMS, SCTP_MAX_INIT_RETRANS, SCTP_MIN_WINDOW, SCTP_OUT_STREAMS, SF_SND_SHUT,
} from "./sctp-const";
import { flush, replyBare, replyCause, sendBareChunk, sendCookieEcho, sendInit, sendInitAck } from "./sctp-output";
import { SctpSock, cookieFree, sctpNs, sctpTimersStop, t1Timer } from "./sctp-sock";
import { assocInsert, sctpListener } from "./sctp-tables";
import { SOCK_KERNEL, sockWake } from "./socket";

const COOKIE_SIZE: u32 = 64;
const cookie: usize = memory.data(64, 8);
/** Parameters of an INIT that were not understood, to be told in the INIT ACK. */
const UNKNOWN_ROOM: u32 = 256;
const unknown: usize = memory.data(256, 4);
let unknownLen: u32 = 0;
/** Padding of the last one, which is the chunk's and counts in no length. */
let unknownPad: u32 = 0;
/** The state cookie of an INIT ACK, 0 = there is none. */
let found: usize = 0;
let foundLen: u32 = 0;

const info: usize = memory.data(8, 4);

/** Why handshake chunks were not taken (DROP_SCTP_*), 0 = they were; for the packet's end. */
export let initDrop: u32 = 0;

const PARAMS_OK: u32 = 0;
const PARAMS_BAD: u32 = 1;
const PARAMS_HOST_NAME: u32 = 2;

/** Notes a parameter that nobody knows, if it says that it wants to be reported. */
function noteUnknown(at: usize, length: u32): void {
  if (unknownLen + PARAM_HLEN + pad4(length) > UNKNOWN_ROOM) return;
  const to = unknown + unknownLen;
  memory.fill(to, 0, PARAM_HLEN + pad4(length));
  emitParam(to, PARAM_UNRECOGNIZED, PARAM_HLEN + length);
  memory.copy(to + PARAM_HLEN, at, length);
  unknownLen += PARAM_HLEN + pad4(length);
  unknownPad = pad4(length) - length;
}

/** Goes through the parameters of INIT or INIT ACK (sctp_verify_init, sctp_process_init); the packet's bytes end at `end`. */
function parseParams(at: usize, end: usize): u32 {
  unknownLen = 0;
  unknownPad = 0;
  found = 0;
  while (at + PARAM_HLEN <= end) {
    const type = get16(at);
    const length = get16(at + 2);
    if (length < PARAM_HLEN || at + length > end) return PARAMS_BAD;
    if (type == PARAM_STATE_COOKIE) {
      found = at + PARAM_HLEN;
      foundLen = length - PARAM_HLEN;
    } else if (type == PARAM_HOST_NAME) return PARAMS_HOST_NAME;
    else if (type == 0 || (type > PARAM_SUPPORTED_ADDRESSES && type != 0x8000)) {
      // The two highest bits say what to do with an unknown one: go on or not, report or not (RFC 9260 §3.2.1).
      if (type & 0x4000) noteUnknown(at, length);
      if (!(type & 0x8000)) return PARAMS_OK;
    }
    at += pad4(length);
  }
  return PARAMS_OK;
}

/** The mandatory fields of INIT and INIT ACK (sctp_verify_init). */
function fieldsOk(chunk: usize): bool {
  return get32(chunk + 4) != 0 && get32(chunk + 8) >= SCTP_MIN_WINDOW && get16(chunk + 12) != 0 && get16(chunk + 14) != 0;
}

function sign(ns: NetNs): u64 {
  const host = nsHost(ns);
  return siphash(cookie + 8, COOKIE_SIZE - 8, host.tcpK0 ^ 0x73637470, host.tcpK1);
}

/** Makes the cookie of an association that an INIT would begin (sctp_pack_cookie). */
function packCookie(ns: NetNs, skb: Skb, chunk: usize, tag: u32, tsn: u32, tie: u32, peerTie: u32): void {
  store<i64>(cookie, clock(), 8);
  store<u32>(cookie, tag, 16);
  store<u32>(cookie, get32(chunk + 4), 20);
  store<u32>(cookie, tie, 24);
  store<u32>(cookie, peerTie, 28);
  store<u32>(cookie, get32(skb.nh + 16), 32);
  store<u32>(cookie, get32(skb.nh + 12), 36);
  store<u32>(cookie, (get16(skb.th + 2) << 16) | get16(skb.th), 40);
  store<u32>(cookie, tsn, 44);
  store<u32>(cookie, get32(chunk + 16), 48);
  store<u32>(cookie, get32(chunk + 8), 52);
  store<u32>(cookie, (get16(chunk + 12) << 16) | get16(chunk + 14), 56);
  store<u32>(cookie, 0, 60);
  store<u64>(cookie, sign(ns));
}

@inline
function field(offset: usize): u32 {
  return load<u32>(cookie + offset);
}

/**
 * INIT: for a listener (`sk` 0), or on an association, whose peer may have started anew or opens at the same time. Answers with
 * INIT ACK, and keeps nothing.
 */
export function initIn(ns: NetNs, skb: Skb, chunk: usize, length: u32, listener: usize, sk: usize): void {
  initDrop = 0;
  const peerTag = get32(chunk + 4);
  if (listener != 0 && full(changetype<SctpSock>(listener))) {
    // As if nobody listened (sctp_sf_tabort_8_4_8).
    replyBare(ns, skb, CHUNK_ABORT, 0, peerTag);
    initDrop = DROP_SCTP_LISTEN_OVERFLOW;
    return;
  }
  const verdict = fieldsOk(chunk) ? parseParams(chunk + INIT_HLEN, chunk + length) : PARAMS_BAD;
  if (verdict != PARAMS_OK) {
    replyCause(ns, skb, CHUNK_ABORT, peerTag, verdict == PARAMS_HOST_NAME ? CAUSE_UNRESOLVABLE : CAUSE_INVALID_PARAM, 0, 0);
    initDrop = DROP_SCTP_CHUNK;
    return;
  }
  let tag = newTag(ns);
  let tsn = rand32(nsHost(ns));
  let tie: u32 = 0;
  let peerTie: u32 = 0;
  let rwnd: u32 = changetype<SctpSock>(listener != 0 ? listener : sk).rxMax >> 1;
  if (sk != 0) {
    const have = changetype<SctpSock>(sk);
    if (have.state == SCTP_SHUTDOWN_ACK_SENT) {
      // The peer has missed the end: say it again (RFC 9260 §9.2).
      sendBareChunk(have, CHUNK_SHUTDOWN_ACK);
      return;
    }
    tie = have.myTag;
    peerTie = have.peerTag;
    if (have.state == SCTP_COOKIE_WAIT || have.state == SCTP_COOKIE_ECHOED) {
      tag = have.myTag;
      tsn = have.initialTsn;
      rwnd = have.rwnd;
    }
  }
  packCookie(ns, skb, chunk, tag, tsn, tie, peerTie);
  const peerIn = get16(chunk + 14);
  const peerOut = get16(chunk + 12);
  const out = peerIn < SCTP_OUT_STREAMS ? peerIn : SCTP_OUT_STREAMS;
  const into = peerOut < SCTP_IN_STREAMS ? peerOut : SCTP_IN_STREAMS;
  sendInitAck(ns, skb, tag, peerTag, rwnd, out, into, tsn, cookie, COOKIE_SIZE, unknown, unknownLen - unknownPad);
}

@inline
function full(listener: SctpSock): bool {
  return listener.acceptCount > listener.backlog;
}

/** INIT ACK: answers with the cookie (sctp_sf_do_5_1C_ack). */
export function initAckIn(sk: SctpSock, chunk: usize, length: u32): void {
  initDrop = 0;
  if (sk.state != SCTP_COOKIE_WAIT) return; // a late one (RFC 9260 §5.2.3)
  const verdict = fieldsOk(chunk) ? parseParams(chunk + INIT_HLEN, chunk + length) : PARAMS_BAD;
  if (verdict != PARAMS_OK || found == 0) {
    sk.peerTag = get32(chunk + 4);
    let cause = verdict == PARAMS_HOST_NAME ? CAUSE_UNRESOLVABLE : CAUSE_INVALID_PARAM;
    let infoLen: u32 = 0;
    if (verdict == PARAMS_OK) {
      cause = CAUSE_MISSING_PARAM;
      infoLen = 6;
      put32(info, 1);
      put32(info + 4, PARAM_STATE_COOKIE << 16);
    }
    abortAssoc(sk, cause, info, infoLen);
    initDrop = DROP_SCTP_CHUNK;
    return;
  }
  cookieFree(sk);
  sk.cookieLen = foundLen;
  sk.cookie = kmallocRaw(foundLen);
  memory.copy(sk.cookie, found, foundLen);
  peerKnown(sk, get32(chunk + 4), get32(chunk + 16), get32(chunk + 8), get16(chunk + 12), get16(chunk + 14));
  sk.state = SCTP_COOKIE_ECHOED;
  sk.initTries = 0;
  sk.t1Timeout = sk.rto;
  sendCookieEcho(sk);
  timerMod(t1Timer(sk), now + sk.t1Timeout);
}

/** COOKIE ACK: the association is there (sctp_sf_do_5_1E_ca). */
export function cookieAckIn(sk: SctpSock): void {
  if (sk.state != SCTP_COOKIE_ECHOED) return;
  timerDel(t1Timer(sk));
  cookieFree(sk);
  snmpInc(sctpNs(sk), SNMP_SCTP_ACTIVEESTABS);
  established(sk);
}

/** The peer says that the cookie came too late: once more from the beginning (sctp_sf_do_5_2_6_stale). */
export function staleCookie(sk: SctpSock): void {
  if (++sk.initTries > SCTP_MAX_INIT_RETRANS) {
    assocEnd(sk, EPROTO);
    return;
  }
  cookieFree(sk);
  sk.state = SCTP_COOKIE_WAIT;
  sk.peerTag = 0;
  sendInit(sk);
  timerMod(t1Timer(sk), now + sk.t1Timeout);
}

// ---------------------------------------------------------------------------------------------- COOKIE ECHO

/** Is it a cookie of this host, for these addresses, ports and tag? Then it stands in `cookie` (sctp_unpack_cookie). */
function unpackCookie(ns: NetNs, skb: Skb, chunk: usize, length: u32): bool {
  if (length != CHUNK_HLEN + COOKIE_SIZE) return false;
  memory.copy(cookie, chunk + CHUNK_HLEN, COOKIE_SIZE);
  if (load<u64>(cookie) != sign(ns)) return false;
  return (
    field(32) == get32(skb.nh + 16) && field(36) == get32(skb.nh + 12) &&
    field(40) == ((get16(skb.th + 2) << 16) | get16(skb.th))
  );
}

/** What the cookie says of the peer. */
function fromCookie(sk: SctpSock): void {
  sk.myTag = field(16);
  sendFrom(sk, field(44));
  peerKnown(sk, field(20), field(48), field(52), field(56) >> 16, field(56) & 0xffff);
}

/** A child of the listener, established, in its queue (sctp_sf_do_5_1D_ce). */
function accept(ns: NetNs, listener: SctpSock): SctpSock {
  const sk = sctpNew(ns);
  sk.flags |= SOCK_KERNEL;
  sk.rxMax = listener.rxMax;
  sk.sndBuf = listener.sndBuf;
  sk.ttl = listener.ttl;
  sk.tos = listener.tos;
  sk.mark = listener.mark;
  sk.localIp = field(32);
  sk.remoteIp = field(36);
  sk.localPort = field(40) >> 16;
  sk.remotePort = field(40) & 0xffff;
  assocReset(sk);
  fromCookie(sk);
  assocInsert(sk);
  sk.parent = changetype<usize>(listener);
  if (listener.acceptTail == 0) listener.acceptHead = changetype<usize>(sk);
  else changetype<SctpSock>(listener.acceptTail).acceptNext = changetype<usize>(sk);
  listener.acceptTail = changetype<usize>(sk);
  listener.acceptCount++;
  return sk;
}

/**
 * COOKIE ECHO, for a listener or on an association (`sk`). Returns the socket that goes on with the rest of the packet, or 0;
 * then initDrop says why.
 */
export function cookieEchoIn(ns: NetNs, skb: Skb, chunk: usize, length: u32, sk: usize): usize {
  initDrop = DROP_SCTP_COOKIE;
  if (!unpackCookie(ns, skb, chunk, length)) return 0;
  if (get32(skb.th + 4) != field(16)) {
    initDrop = DROP_SCTP_VTAG;
    return 0;
  }
  const age = clock() - load<i64>(cookie, 8);
  const same = sk != 0 && field(16) == changetype<SctpSock>(sk).myTag && field(20) == changetype<SctpSock>(sk).peerTag;
  if (age > SCTP_COOKIE_LIFE && !same) {
    const stale = (age - SCTP_COOKIE_LIFE) / 1000;
    put32(info, stale < 0xffffffff ? <u32>stale : 0xffffffff);
    replyCause(ns, skb, CHUNK_ERROR, field(20), CAUSE_STALE_COOKIE, info, 4);
    return 0;
  }
  if (sk != 0) return again(changetype<SctpSock>(sk)) ? sk : 0;
  const at = sctpListener(changetype<usize>(ns), field(32), field(40) >> 16);
  if (at == 0 || full(changetype<SctpSock>(at))) {
    replyBare(ns, skb, CHUNK_ABORT, 1, field(16));
    initDrop = DROP_SCTP_LISTEN_OVERFLOW;
    return 0;
  }
  initDrop = 0;
  const listener = changetype<SctpSock>(at);
  const child = accept(ns, listener);
  snmpInc(ns, SNMP_SCTP_PASSIVEESTABS);
  sendBareChunk(child, CHUNK_COOKIE_ACK);
  established(child);
  sockWake(listener);
  return changetype<usize>(child);
}

/** A cookie on an association (RFC 9260 §5.2.4, table 4): the peer has restarted, or both opened, or it is a duplicate. */
function again(sk: SctpSock): bool {
  const mine = field(16) == sk.myTag;
  const theirs = field(20) == sk.peerTag;
  let shut = false;
  if (!mine && !theirs && field(24) == sk.myTag && field(28) == sk.peerTag) {
    // Action A: a restart. Under a shutdown it waits for that one's end.
    if (sk.state == SCTP_SHUTDOWN_ACK_SENT) {
      sendBareChunk(sk, CHUNK_SHUTDOWN_ACK);
      return false;
    }
    shut = (sk.sf & SF_SND_SHUT) != 0;
    sctpTimersStop(sk);
    assocReset(sk);
    fromCookie(sk);
  } else if (mine && !theirs && sk.state < <u32>SCTP_ESTABLISHED) {
    fromCookie(sk); // action B: both opened
  } else if (!(mine && theirs)) return false; // action C, and nonsense
  initDrop = 0;
  timerDel(t1Timer(sk));
  cookieFree(sk);
  sendBareChunk(sk, CHUNK_COOKIE_ACK);
  if (sk.state < <u32>SCTP_ESTABLISHED || !mine) {
    if (sk.state < <u32>SCTP_ESTABLISHED) snmpInc(sctpNs(sk), SNMP_SCTP_ACTIVEESTABS);
    established(sk);
    if (shut) startShutdown(sk); // the program had ended before the restart
    else flush(sk);
  }
  return true;
}
