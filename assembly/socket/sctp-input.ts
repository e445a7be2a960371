/**
 * A packet on an association, chunk by chunk (net/sctp/sm_statetable.c, sm_statefuns.c). What has no association or a wrong
 * verification tag is "out of the blue" (RFC 9260 §8.4, §8.5) and handled in sctp.ts.
 */
import {
  DROP_SCTP_CHUNK, DROP_SCTP_VTAG, ECONNREFUSED, ECONNRESET, SCTP_CLOSED, SCTP_COOKIE_ECHOED, SCTP_COOKIE_WAIT, SCTP_ESTABLISHED,
  SCTP_SHUTDOWN_ACK_SENT, SCTP_SHUTDOWN_PENDING, SCTP_SHUTDOWN_RECEIVED, SCTP_SHUTDOWN_SENT,
} from "../abi";
import { SNMP_SCTP_ABORTEDS, SNMP_SCTP_INCTRLCHUNKS, SNMP_SCTP_INPKTDISCARDS, snmpInc } from "../inet/snmp";
import { NetNs } from "../link/netns";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import { timerMod } from "../sim/timer";
import {
  CAUSE_PROTOCOL_VIOLATION, CAUSE_STALE_COOKIE, CAUSE_UNRECOGNIZED_CHUNK, CHUNK_ABORT, CHUNK_COOKIE_ACK, CHUNK_COOKIE_ECHO, CHUNK_DATA,
  CHUNK_ERROR, CHUNK_HEARTBEAT, CHUNK_HEARTBEAT_ACK, CHUNK_HLEN, CHUNK_INIT, CHUNK_INIT_ACK, CHUNK_SACK, CHUNK_SHUTDOWN,
  CHUNK_SHUTDOWN_ACK, CHUNK_SHUTDOWN_COMPLETE, DATA_HLEN, FLAG_T, INIT_HLEN, PARAM_HLEN, SACK_HLEN, SCTP_HLEN, get16, get32, pad4,
} from "../wire/sctp";
import { sackIn, shutdownAcks, updateRto } from "./sctp-ack";
import { abortAssoc, allAcked, assocEnd, peerShutsDown, shutdownAcked, shutdownDone } from "./sctp-assoc";
import { SF_HB_SENT } from "./sctp-const";
import { DATA_ABORT, DATA_INFO_LEN, DATA_SACK_NOW, dataCause, dataIn, dataInfo, genSack } from "./sctp-data";
import { cookieAckIn, cookieEchoIn, initAckIn, initDrop, initIn, staleCookie } from "./sctp-init";
import { echoChunk, flush, heartbeatKnown, replyBare, sendError, sendShutdown } from "./sctp-output";
import { SctpSock, t2Timer } from "./sctp-sock";

// What the chunks of the packet at hand have brought.
let hadData: bool = false;
let sackNow: bool = false;
/** Why the packet is dropped, 0 = it was taken. */
let dropped: u32 = 0;

/** Is a chunk of `length` bytes, header included, long enough for its type? */
function longEnough(type: u32, length: u32): bool {
  switch (type) {
    case CHUNK_DATA:
      return length >= DATA_HLEN;
    case CHUNK_INIT:
    case CHUNK_INIT_ACK:
      return length >= INIT_HLEN;
    case CHUNK_SACK:
      return length >= SACK_HLEN;
    case CHUNK_SHUTDOWN:
      return length == 8;
    default:
      return true;
  }
}

/** Verification tag of a chunk (RFC 9260 §8.5): ABORT and SHUTDOWN COMPLETE may have the peer's, with the T bit. */
function tagOk(sk: SctpSock, type: u32, flags: u32, tag: u32): bool {
  if ((type == CHUNK_ABORT || type == CHUNK_SHUTDOWN_COMPLETE) && flags & FLAG_T) return sk.peerTag != 0 && tag == sk.peerTag;
  return tag == sk.myTag;
}

/**
 * Handles the chunks of a packet for an association. Returns why it is dropped, or 0. The socket may be CLOSED afterwards; the
 * caller reaps it.
 */
export function assocRcv(ns: NetNs, start: SctpSock, skb: Skb): u32 {
  let sk = start;
  const end = skb.th + <usize>skb.len;
  let at = skb.th + SCTP_HLEN;
  hadData = false;
  sackNow = false;
  dropped = 0;
  const tag = get32(skb.th + 4);
  while (at + CHUNK_HLEN <= end) {
    const type: u32 = load<u8>(at);
    const length = get16(at + 2);
    if (length < CHUNK_HLEN || at + length > end) {
      snmpInc(ns, SNMP_SCTP_INPKTDISCARDS);
      dropped = DROP_SCTP_CHUNK;
      break;
    }
    if (type != CHUNK_DATA) snmpInc(ns, SNMP_SCTP_INCTRLCHUNKS);
    if (type == CHUNK_INIT || type == CHUNK_COOKIE_ECHO) {
      if (!opening(ns, sk, skb, at, type, length, tag)) break;
    } else {
      if (!tagOk(sk, type, load<u8>(at, 1), tag)) {
        dropped = DROP_SCTP_VTAG;
        break;
      }
      if (!longEnough(type, length)) {
        abortAssoc(sk, CAUSE_PROTOCOL_VIOLATION, at, CHUNK_HLEN);
        dropped = DROP_SCTP_CHUNK;
        break;
      }
      if (!chunkIn(ns, sk, skb, at, type, length)) break;
    }
    if (sk.state == SCTP_CLOSED) return dropped;
    at += pad4(length);
  }
  if (sk.state != SCTP_CLOSED) packetDone(sk);
  return dropped;
}

/** INIT or COOKIE ECHO on an association. False: the rest of the packet is left. */
function opening(ns: NetNs, sk: SctpSock, skb: Skb, at: usize, type: u32, length: u32, tag: u32): bool {
  if (type == CHUNK_COOKIE_ECHO) {
    if (cookieEchoIn(ns, skb, at, length, changetype<usize>(sk)) != 0) return true;
    dropped = initDrop;
    return false;
  }
  if (length < INIT_HLEN || at != skb.th + SCTP_HLEN || pad4(length) + SCTP_HLEN < skb.len) dropped = DROP_SCTP_CHUNK;
  else if (tag != 0) {
    replyBare(ns, skb, CHUNK_ABORT, FLAG_T, tag);
    dropped = DROP_SCTP_VTAG;
  } else {
    initIn(ns, skb, at, length, 0, changetype<usize>(sk));
    dropped = initDrop;
  }
  return false;
}

/** All chunks of a packet are handled: acknowledge, and send what may go now. */
function packetDone(sk: SctpSock): void {
  if (hadData) {
    if (sk.state == SCTP_SHUTDOWN_SENT) {
      // The peer still sends: SHUTDOWN goes with each SACK (RFC 9260 §9.2).
      sendShutdown(sk, true);
      timerMod(t2Timer(sk), now + sk.rto);
    } else genSack(sk, sackNow);
  }
  flush(sk);
  allAcked(sk);
}

@inline
function open(sk: SctpSock): bool {
  return sk.state >= <u32>SCTP_ESTABLISHED && sk.state <= <u32>SCTP_SHUTDOWN_ACK_SENT;
}

/** One chunk. False: the rest of the packet is left. */
function chunkIn(ns: NetNs, sk: SctpSock, skb: Skb, at: usize, type: u32, length: u32): bool {
  switch (type) {
    case CHUNK_DATA:
      return takeData(sk, at, length);
    case CHUNK_INIT_ACK: {
      if (at != skb.th + SCTP_HLEN) {
        dropped = DROP_SCTP_CHUNK;
        return false;
      }
      initAckIn(sk, at, length);
      dropped = initDrop;
      return false;
    }
    case CHUNK_SACK: {
      if (open(sk) && !sackIn(sk, at, length)) abortAssoc(sk, CAUSE_PROTOCOL_VIOLATION, at, SACK_HLEN);
      return true;
    }
    case CHUNK_HEARTBEAT: {
      if (open(sk) || sk.state == SCTP_COOKIE_ECHOED) echoChunk(sk, CHUNK_HEARTBEAT_ACK, at, length);
      return true;
    }
    case CHUNK_HEARTBEAT_ACK: {
      if (sk.sf & SF_HB_SENT && heartbeatKnown(sk, at + CHUNK_HLEN, length - CHUNK_HLEN)) {
        sk.sf &= ~SF_HB_SENT;
        sk.errors = 0;
        updateRto(sk, now - sk.hbAt);
      }
      return true;
    }
    case CHUNK_ABORT: {
      snmpInc(ns, SNMP_SCTP_ABORTEDS);
      assocEnd(sk, sk.state == SCTP_COOKIE_WAIT || sk.state == SCTP_COOKIE_ECHOED ? ECONNREFUSED : ECONNRESET);
      return false;
    }
    case CHUNK_SHUTDOWN:
      return takeShutdown(sk, at);
    case CHUNK_SHUTDOWN_ACK: {
      if (sk.state == SCTP_SHUTDOWN_SENT || sk.state == SCTP_SHUTDOWN_ACK_SENT) shutdownAcked(sk);
      else if (sk.state == SCTP_COOKIE_WAIT || sk.state == SCTP_COOKIE_ECHOED)
        replyBare(ns, skb, CHUNK_SHUTDOWN_COMPLETE, FLAG_T, get32(skb.th + 4)); // of one before (RFC 9260 §8.5.1 E)
      return false;
    }
    case CHUNK_SHUTDOWN_COMPLETE: {
      if (sk.state == SCTP_SHUTDOWN_ACK_SENT) shutdownDone(sk);
      return false;
    }
    case CHUNK_ERROR: {
      if (sk.state == SCTP_COOKIE_ECHOED && length >= CHUNK_HLEN + PARAM_HLEN && get16(at + CHUNK_HLEN) == CAUSE_STALE_COOKIE) staleCookie(sk);
      return true;
    }
    case CHUNK_COOKIE_ACK: {
      cookieAckIn(sk);
      return true;
    }
    default:
      return unknownChunk(sk, at, type, length);
  }
}

function takeData(sk: SctpSock, at: usize, length: u32): bool {
  if (sk.state != SCTP_ESTABLISHED && sk.state != SCTP_SHUTDOWN_PENDING && sk.state != SCTP_SHUTDOWN_SENT) return true;
  const verdict = dataIn(sk, at, length);
  if (verdict == DATA_ABORT) {
    abortAssoc(sk, dataCause, dataInfo, DATA_INFO_LEN);
    return false;
  }
  hadData = true;
  if (verdict == DATA_SACK_NOW) sackNow = true;
  return true;
}

function takeShutdown(sk: SctpSock, at: usize): bool {
  const state = sk.state;
  if (!open(sk) || state == SCTP_SHUTDOWN_ACK_SENT) return true;
  if (!shutdownAcks(sk, get32(at + 4))) {
    abortAssoc(sk, CAUSE_PROTOCOL_VIOLATION, at, 8);
    return false;
  }
  if (state != SCTP_SHUTDOWN_RECEIVED) peerShutsDown(sk);
  return true;
}

/** A type that nobody knows: its two highest bits say what to do (RFC 9260 §3.2). */
function unknownChunk(sk: SctpSock, at: usize, type: u32, length: u32): bool {
  if (type & 0x40 && open(sk)) sendError(sk, CAUSE_UNRECOGNIZED_CHUNK, at, length);
  return (type & 0x80) != 0;
}
