/**
 * What SCTP sends (net/sctp/output.c, outqueue.c sctp_outq_flush, sm_make_chunk.c): packets, control chunks, DATA within the
 * windows, SACKs. One packet is built at a time, in a buffer that `begin` makes and `finish` sends.
 *
 * The ECN and PR-SCTP extensions are not announced (as with net.sctp.ecn_enable and prsctp_enable 0).
 */
import { IPPROTO_SCTP, SCTP_ESTABLISHED, SCTP_SHUTDOWN_PENDING, SCTP_SHUTDOWN_RECEIVED } from "../abi";
import { IPID_HASHED, ipBuildAndSend, ipQueueXmit } from "../inet/output";
import {
  SNMP_SCTP_ABORTEDS, SNMP_SCTP_OUTCTRLCHUNKS, SNMP_SCTP_OUTORDERCHUNKS, SNMP_SCTP_OUTSCTPPACKS,
  SNMP_SCTP_OUTUNORDERCHUNKS, snmpInc,
} from "../inet/snmp";
import { sockRoute } from "../inet/route";
import { NetNs, nsHost } from "../link/netns";
import { SKB_CSUM_OK, SKB_HEADROOM, SKB_IGNORE_DF, Skb, allocSkb, skbPut } from "../memory/skb";
import { now } from "../sim/event";
import { rand32, randBelow } from "../sim/host";
import { timerDel, timerMod, timerPending } from "../sim/timer";
import { IP_HLEN } from "../wire/ipv4";
import {
  CHUNK_ABORT, CHUNK_COOKIE_ECHO, CHUNK_DATA, CHUNK_ERROR, CHUNK_HEARTBEAT, CHUNK_HLEN, CHUNK_INIT, CHUNK_INIT_ACK,
  CHUNK_SACK, CHUNK_SHUTDOWN, DATA_HLEN, DATA_U, FLAG_T, INIT_HLEN, PARAM_HEARTBEAT_INFO, PARAM_HLEN,
  PARAM_STATE_COOKIE, PARAM_SUPPORTED_ADDRESSES, SACK_HLEN, SCTP_HLEN, emitChunk, emitParam, emitSctp, get16, get32,
  pad4, put16, put32, sctpSetCheck,
} from "../wire/sctp";
import { NS_PER_MS } from "./tcp-const";
import {
  SCTP_HB_INTERVAL, SCTP_IN_STREAMS, SCTP_MAX_BURST, SCTP_MAX_GAPS, SCTP_MIN_PMTU, SCTP_OUT_STREAMS, SCTP_TSN_WINDOW, SF_HB_SENT, SF_NODELAY, SF_RTT,
  TX_FRAGMENT, TX_GAP_ACKED, TX_IN_FLIGHT, TX_RESENT, TX_RETRANSMIT, TX_SENT, TX_TIMED,
} from "./sctp-const";
import {
  SctpSock, SctpTx, dupAt, hbTimer, mapHas, sackTimer, sctpHost, sctpNs, t3Timer, txData,
} from "./sctp-sock";
import { PMTUDISC_DONT } from "./socket";

const ADDRESS_IPV4: u32 = 5;
/** The biggest Linux makes: header, SACK with gaps, an error with a cause. */
const CONTROL_ROOM: u32 = 1400;

// ---------------------------------------------------------------------------------------------- packets

/** Buffer of the packet that is being built. */
let packet: usize = 0;

/** Begins a packet of up to `room` bytes, header included. */
function begin(ns: NetNs, room: u32): void {
  const skb = allocSkb(nsHost(ns), SKB_HEADROOM, room);
  skbPut(skb, SCTP_HLEN);
  packet = changetype<usize>(skb);
}

/** Appends a chunk of `length` bytes (its header set, the padding zero) and returns where it stands. */
function append(type: u32, flags: u32, length: u32): usize {
  const at = skbPut(changetype<Skb>(packet), pad4(length));
  emitChunk(at, type, flags, length);
  for (let i = length; i < pad4(length); i++) store<u8>(at + i, 0);
  return at;
}

function seal(sport: u32, dport: u32, tag: u32): Skb {
  const skb = changetype<Skb>(packet);
  packet = 0;
  skb.th = skb.data;
  emitSctp(skb.data, sport, dport, tag);
  sctpSetCheck(skb.data, skb.len);
  skb.flags |= SKB_CSUM_OK;
  return skb;
}

/** Sends the packet to the peer (sctp_packet_transmit). */
function finish(sk: SctpSock, tag: u32): void {
  const skb = seal(sk.localPort, sk.remotePort, tag);
  snmpInc(sctpNs(sk), SNMP_SCTP_OUTSCTPPACKS);
  const mode = sk.pmtuDisc;
  if (sockRoute(sk) == 0 && skb.len + IP_HLEN > sk.dstMtu) {
    // A chunk from before the path MTU sank: IP fragments it.
    skb.flags |= SKB_IGNORE_DF;
    sk.pmtuDisc = PMTUDISC_DONT;
  }
  ipQueueXmit(sk, skb, sk.tos, 0);
  sk.pmtuDisc = mode;
}

/** Begins a packet of one control chunk to the peer. */
function control(sk: SctpSock, type: u32, flags: u32, length: u32): usize {
  begin(sctpNs(sk), SCTP_HLEN + pad4(length));
  snmpInc(sctpNs(sk), SNMP_SCTP_OUTCTRLCHUNKS);
  return append(type, flags, length);
}

/** A chunk that is a header only: COOKIE ACK, SHUTDOWN ACK, SHUTDOWN COMPLETE. */
export function sendBareChunk(sk: SctpSock, type: u32): void {
  control(sk, type, 0, CHUNK_HLEN);
  finish(sk, sk.peerTag);
}

// ---------------------------------------------------------------------------------------------- handshake

const SUPPORTED_LEN: u32 = PARAM_HLEN + 2;

function initFields(at: usize, tag: u32, rwnd: u32, out: u32, into: u32, tsn: u32): void {
  put32(at + 4, tag);
  put32(at + 8, rwnd);
  put16(at + 12, out);
  put16(at + 14, into);
  put32(at + 16, tsn);
}

/** INIT: no address parameters, for the socket has one (sctp_make_init). */
export function sendInit(sk: SctpSock): void {
  // The padding of the last parameter is the chunk's (RFC 9260 §3.2).
  const at = control(sk, CHUNK_INIT, 0, INIT_HLEN + SUPPORTED_LEN);
  initFields(at, sk.myTag, sk.rwnd, SCTP_OUT_STREAMS, SCTP_IN_STREAMS, sk.initialTsn);
  const param = at + INIT_HLEN;
  emitParam(param, PARAM_SUPPORTED_ADDRESSES, SUPPORTED_LEN);
  put16(param + PARAM_HLEN, ADDRESS_IPV4);
  finish(sk, 0);
}

/** INIT ACK to whoever sent `skb`, with the cookie and what was not understood (sctp_make_init_ack). */
export function sendInitAck(
  ns: NetNs, skb: Skb, tag: u32, peerTag: u32, rwnd: u32, out: u32, into: u32, tsn: u32, cookie: usize, cookieLen: u32,
  unknown: usize, unknownLen: u32,
): void {
  const length = INIT_HLEN + PARAM_HLEN + pad4(cookieLen) + unknownLen;
  begin(ns, SCTP_HLEN + pad4(length));
  snmpInc(ns, SNMP_SCTP_OUTCTRLCHUNKS);
  const at = append(CHUNK_INIT_ACK, 0, length);
  initFields(at, tag, rwnd, out, into, tsn);
  const param = at + INIT_HLEN;
  emitParam(param, PARAM_STATE_COOKIE, PARAM_HLEN + cookieLen);
  memory.copy(param + PARAM_HLEN, cookie, cookieLen);
  memory.copy(param + PARAM_HLEN + pad4(cookieLen), unknown, unknownLen);
  replyTo(ns, skb, peerTag);
}

/** COOKIE ECHO. */
export function sendCookieEcho(sk: SctpSock): void {
  const at = control(sk, CHUNK_COOKIE_ECHO, 0, CHUNK_HLEN + sk.cookieLen);
  memory.copy(at + CHUNK_HLEN, sk.cookie, sk.cookieLen);
  finish(sk, sk.peerTag);
}

// ---------------------------------------------------------------------------------------------- errors

/** Sends the packet back to where `skb` came from, without an association (sctp_ootb_pkt_new, sctp_packet_transmit). */
function replyTo(ns: NetNs, skb: Skb, tag: u32): void {
  const ip = skb.nh;
  const reply = seal(get16(skb.th + 2), get16(skb.th), tag);
  snmpInc(ns, SNMP_SCTP_OUTSCTPPACKS);
  ipBuildAndSend(ns, reply, get32(ip + 16), get32(ip + 12), IPPROTO_SCTP, 0, 0, true, IPID_HASHED);
}

/** A chunk to a sender that has no association here: ABORT or SHUTDOWN COMPLETE with T, or ABORT to an INIT without. */
export function replyBare(ns: NetNs, skb: Skb, type: u32, flags: u32, tag: u32): void {
  begin(ns, SCTP_HLEN + CHUNK_HLEN);
  snmpInc(ns, SNMP_SCTP_OUTCTRLCHUNKS);
  append(type, flags, CHUNK_HLEN);
  replyTo(ns, skb, tag);
}

/** A reply of one chunk with one cause, to a sender without an association: ABORT or ERROR. */
export function replyCause(ns: NetNs, skb: Skb, type: u32, tag: u32, cause: u32, info: usize, infoLen: u32): void {
  const length = CHUNK_HLEN + PARAM_HLEN + infoLen;
  begin(ns, SCTP_HLEN + pad4(length));
  snmpInc(ns, SNMP_SCTP_OUTCTRLCHUNKS);
  const at = append(type, 0, length);
  emitParam(at + CHUNK_HLEN, cause, PARAM_HLEN + infoLen);
  memory.copy(at + CHUNK_HLEN + PARAM_HLEN, info, infoLen);
  replyTo(ns, skb, tag);
}

/** ABORT with a cause and `infoLen` bytes of its information; cause 0 = none. */
export function sendAbort(sk: SctpSock, cause: u32, info: usize, infoLen: u32): void {
  const length = cause == 0 ? CHUNK_HLEN : CHUNK_HLEN + PARAM_HLEN + infoLen;
  const at = control(sk, CHUNK_ABORT, sk.peerTag == 0 ? FLAG_T : 0, length);
  if (cause != 0) {
    emitParam(at + CHUNK_HLEN, cause, PARAM_HLEN + infoLen);
    memory.copy(at + CHUNK_HLEN + PARAM_HLEN, info, infoLen);
  }
  snmpInc(sctpNs(sk), SNMP_SCTP_ABORTEDS);
  finish(sk, sk.peerTag != 0 ? sk.peerTag : sk.myTag);
}

/** ERROR with one cause; what does not fit of the information is left out. */
export function sendError(sk: SctpSock, cause: u32, info: usize, infoLen: u32): void {
  const length = infoLen < CONTROL_ROOM ? infoLen : CONTROL_ROOM;
  const at = control(sk, CHUNK_ERROR, 0, CHUNK_HLEN + PARAM_HLEN + length);
  emitParam(at + CHUNK_HLEN, cause, PARAM_HLEN + length);
  memory.copy(at + CHUNK_HLEN + PARAM_HLEN, info, length);
  finish(sk, sk.peerTag);
}

// ---------------------------------------------------------------------------------------------- heartbeats

/** The next heartbeat comes an interval after what is sent now, and half an RTO, and up to an RTO of chance (sctp_transport_reset_hb_timer). */
export function heartbeatLater(sk: SctpSock): void {
  const least = now + SCTP_HB_INTERVAL + (sk.rto >> 1);
  if (timerPending(hbTimer(sk)) && hbTimer(sk).expires >= least) return;
  timerMod(hbTimer(sk), least + <i64>randBelow(sctpHost(sk), <u32>(sk.rto / NS_PER_MS)) * NS_PER_MS);
}

/** Bytes of our information in a HEARTBEAT: nonce and time. */
const HB_INFO: u32 = 16;

/** HEARTBEAT (sctp_make_heartbeat): the peer gives the information back as it is. */
export function sendHeartbeat(sk: SctpSock): void {
  const host = sctpHost(sk);
  sk.hbNonce = ((<u64>rand32(host)) << 32) | <u64>rand32(host);
  sk.hbAt = now;
  const at = control(sk, CHUNK_HEARTBEAT, 0, CHUNK_HLEN + PARAM_HLEN + HB_INFO);
  emitParam(at + CHUNK_HLEN, PARAM_HEARTBEAT_INFO, PARAM_HLEN + HB_INFO);
  store<u64>(at, sk.hbNonce, 8);
  store<i64>(at, sk.hbAt, 16);
  sk.sf |= SF_HB_SENT;
  finish(sk, sk.peerTag);
}

/** Is it the information of the last HEARTBEAT? `at`: the parameter, `length`: bytes from there. */
export function heartbeatKnown(sk: SctpSock, at: usize, length: u32): bool {
  if (length < PARAM_HLEN + HB_INFO || get16(at) != PARAM_HEARTBEAT_INFO || get16(at + 2) != PARAM_HLEN + HB_INFO) return false;
  return load<u64>(at, 4) == sk.hbNonce && load<i64>(at, 12) == sk.hbAt;
}

/** Gives a chunk back under another type: HEARTBEAT ACK. `length`: of the chunk, header included. */
export function echoChunk(sk: SctpSock, type: u32, chunk: usize, length: u32): void {
  const at = control(sk, type, 0, length);
  memory.copy(at + CHUNK_HLEN, chunk + CHUNK_HLEN, length - CHUNK_HLEN);
  finish(sk, sk.peerTag);
}

// ---------------------------------------------------------------------------------------------- SACK

/** Gap blocks that are to be reported, at most SCTP_MAX_GAPS: start and end of 16 bits each. */
const gaps: usize = memory.data(4 * 16, 4);

function collectGaps(sk: SctpSock): u32 {
  let count: u32 = 0;
  const end = sk.maxTsn - sk.ctsn;
  if (end == 0 || end > SCTP_TSN_WINDOW) return 0;
  for (let offset: u32 = 1; offset <= end && count < SCTP_MAX_GAPS; offset++) {
    if (!mapHas(sk, sk.ctsn + offset)) continue;
    const start = offset;
    while (offset < end && mapHas(sk, sk.ctsn + offset + 1)) offset++;
    put16(gaps + (<usize>count << 2), start);
    put16(gaps + (<usize>count << 2) + 2, offset);
    count++;
  }
  return count;
}

/** Appends a SACK of at most `room` bytes: gaps and duplicates as far as they fit (sctp_make_sack). */
function appendSack(sk: SctpSock, room: u32): void {
  sk.aRwnd = sk.rxBytes >= sk.rxMax ? 0 : sk.rwnd;
  let blocks = collectGaps(sk);
  while (blocks != 0 && SACK_HLEN + 4 * blocks > room) blocks--;
  let dups = sk.dups;
  while (dups != 0 && SACK_HLEN + 4 * (blocks + dups) > room) dups--;
  const at = append(CHUNK_SACK, 0, SACK_HLEN + 4 * (blocks + dups));
  put32(at + 4, sk.ctsn);
  put32(at + 8, sk.aRwnd);
  put16(at + 12, blocks);
  put16(at + 14, dups);
  memory.copy(at + SACK_HLEN, gaps, blocks << 2);
  for (let i: u32 = 0; i < dups; i++) put32(at + SACK_HLEN + ((blocks + i) << 2), load<u32>(dupAt(sk, i)));
  sk.dups = 0;
  sk.sackNeeded = 0;
  sk.sackCount = 0;
  timerDel(sackTimer(sk));
  snmpInc(sctpNs(sk), SNMP_SCTP_OUTCTRLCHUNKS);
}

const SACK_ROOM: u32 = SACK_HLEN + 4 * 32;

/** A SACK in a packet of its own. */
export function sendSack(sk: SctpSock): void {
  begin(sctpNs(sk), SCTP_HLEN + SACK_ROOM);
  appendSack(sk, SACK_ROOM);
  finish(sk, sk.peerTag);
}

/** SHUTDOWN, behind the SACK that is due (RFC 9260 §9.2). */
export function sendShutdown(sk: SctpSock, sack: bool): void {
  begin(sctpNs(sk), SCTP_HLEN + SACK_ROOM + 8);
  if (sack) appendSack(sk, SACK_ROOM);
  const at = append(CHUNK_SHUTDOWN, 0, 8);
  put32(at + 4, sk.ctsn);
  snmpInc(sctpNs(sk), SNMP_SCTP_OUTCTRLCHUNKS);
  finish(sk, sk.peerTag);
}

// ---------------------------------------------------------------------------------------------- DATA

@inline
function room(sk: SctpSock): u32 {
  return (sk.pmtu - IP_HLEN - SCTP_HLEN) & ~3;
}

function appendData(sk: SctpSock, tx: SctpTx): void {
  const at = append(CHUNK_DATA, tx.flags, DATA_HLEN + tx.len);
  put32(at + 4, tx.tsn);
  put16(at + 8, tx.stream);
  put16(at + 10, tx.ssn);
  put32(at + 12, tx.ppid);
  memory.copy(at + DATA_HLEN, txData(tx), tx.len);
  const again = (tx.tf & TX_SENT) != 0;
  if (again) {
    tx.tf |= TX_RESENT;
    tx.tf &= ~TX_TIMED;
    sk.retransmitted++;
  } else {
    snmpInc(sctpNs(sk), tx.flags & DATA_U ? SNMP_SCTP_OUTUNORDERCHUNKS : SNMP_SCTP_OUTORDERCHUNKS);
    if (!(sk.sf & SF_RTT)) {
      sk.sf |= SF_RTT;
      tx.tf |= TX_TIMED;
    }
  }
  tx.tf = (tx.tf & ~TX_RETRANSMIT) | TX_SENT | TX_IN_FLIGHT;
  tx.sentAt = now;
  tx.missing = 0;
  sk.flight += tx.len;
  sk.peerRwnd = sk.peerRwnd > tx.len ? sk.peerRwnd - tx.len : 0;
  if (!timerPending(t3Timer(sk))) timerMod(t3Timer(sk), now + sk.rto);
  heartbeatLater(sk);
}

/** May the chunk be sent now (sctp_packet_can_append_data)? `cwnd`: the window, no limit for a fast retransmission; `empty`: the packet has no chunk yet. */
function allowed(sk: SctpSock, tx: SctpTx, cwnd: u32, empty: bool): bool {
  // With nothing outstanding one chunk goes even into a closed window: the probe.
  if (tx.len > sk.peerRwnd && sk.flight != 0) return false;
  if (sk.flight >= cwnd) return false;
  if (!empty || tx.tf & TX_SENT || sk.sf & SF_NODELAY || sk.flight == 0 || sk.state != SCTP_ESTABLISHED || tx.tf & TX_FRAGMENT) return true;
  // Nagle: what fills a packet goes, less waits for an acknowledgement.
  return tx.len + DATA_HLEN + (sk.unsentBytes - tx.len) > room(sk) - DATA_HLEN - 4;
}

/** The next chunk that is to be sent again, 0 if none. */
function nextRetransmit(from: usize, fresh: usize): usize {
  for (let p = from; p != 0 && p != fresh; p = changetype<SctpTx>(p).next)
    if (changetype<SctpTx>(p).tf & TX_RETRANSMIT) return p;
  return 0;
}

/** Fills a packet from `p` on with chunks to be sent again, and behind them new ones; false when none could go. */
function fillPacket(sk: SctpSock, cwnd: u32, again: bool, fresh: bool): bool {
  const limit = room(sk);
  let used: u32 = 0;
  let p = again ? nextRetransmit(sk.txFirst, sk.txNew) : 0;
  if (p == 0 && fresh) p = sk.txNew;
  while (p != 0) {
    const tx = changetype<SctpTx>(p);
    const size = pad4(DATA_HLEN + tx.len);
    if (!allowed(sk, tx, cwnd, used == 0)) break;
    if (used == 0) {
      begin(sctpNs(sk), SCTP_HLEN + (size > limit ? size : limit));
      // What is to be acknowledged soon goes along, if there is room.
      if (timerPending(sackTimer(sk)) && size + SACK_HLEN <= limit) {
        appendSack(sk, limit - size);
        used = changetype<Skb>(packet).len - SCTP_HLEN;
      }
    } else if (used + size > limit) break;
    const isNew = p == sk.txNew;
    appendData(sk, tx);
    used += size;
    if (isNew) {
      sk.unsentBytes -= tx.len;
      sk.txNew = tx.next;
      p = tx.next;
    } else {
      p = nextRetransmit(tx.next, sk.txNew);
      if (p == 0 && fresh) p = sk.txNew;
    }
  }
  if (used == 0) return false;
  finish(sk, sk.peerTag);
  return true;
}

/** One packet of chunks that are to be sent again, whatever the congestion window says (fast and T3 retransmission). */
export function retransmitPacket(sk: SctpSock): void {
  fillPacket(sk, u32.MAX_VALUE, true, false);
}

/** Takes over what is known of the path's MTU (sctp_assoc_sync_pmtu). */
export function syncPmtu(sk: SctpSock): void {
  if (sockRoute(sk) != 0) return;
  sk.pmtu = sk.dstMtu < SCTP_MIN_PMTU ? SCTP_MIN_PMTU : sk.dstMtu;
}

/** Payload of the largest fragment (frag_point). */
@inline
export function fragPoint(sk: SctpSock): u32 {
  return room(sk) - DATA_HLEN;
}

/** Sends what the windows allow: first what is to be sent again, then what is new (sctp_outq_flush). */
export function flush(sk: SctpSock): void {
  if (sk.state != SCTP_ESTABLISHED && sk.state != SCTP_SHUTDOWN_PENDING && sk.state != SCTP_SHUTDOWN_RECEIVED) return;
  syncPmtu(sk);
  // Max.Burst: at most so many packets at once (sctp_transport_burst_limited).
  const burst = sk.flight + SCTP_MAX_BURST * sk.pmtu;
  const cwnd = burst < sk.cwnd ? burst : sk.cwnd;
  while (fillPacket(sk, cwnd, true, true));
}

/** Takes a sent chunk out of the flight: acknowledged, or given up for lost. */
export function landed(sk: SctpSock, tx: SctpTx): void {
  if (!(tx.tf & TX_IN_FLIGHT)) return;
  tx.tf &= ~TX_IN_FLIGHT;
  sk.flight -= tx.len;
}

/** Marks a chunk as to be sent again (sctp_retransmit_mark). */
export function markRetransmit(sk: SctpSock, tx: SctpTx): void {
  if (!(tx.tf & TX_SENT) || tx.tf & (TX_GAP_ACKED | TX_RETRANSMIT)) return;
  landed(sk, tx);
  if (tx.tf & TX_TIMED) {
    tx.tf &= ~TX_TIMED;
    sk.sf &= ~SF_RTT;
  }
  sk.peerRwnd += tx.len;
  tx.tf |= TX_RETRANSMIT;
}
