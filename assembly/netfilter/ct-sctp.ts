/** Tracking of SCTP associations (net/netfilter/nf_conntrack_proto_sctp.c of 6.1): states by chunks, verification tags. */
import { CTL_CHECKSUM, CTL_SCTP_CLOSED, IPS_ASSURED, IPS_CONFIRMED, NF_PRE_ROUTING } from "../abi";
import { SKB_CSUM_OK, Skb } from "../memory/skb";
import { SCTP_HLEN, sctpChecksum } from "../wire/sctp";
import { Ct, ctRefresh, dirOfInfo } from "./conntrack";
import { CT_ACCEPT, CT_INVALID } from "./ct-tcp";
import { NfNs, ctlOf } from "./nfns";

// Chunk types (RFC 9260 §3.2).
const DATA: u32 = 0;
const INIT: u32 = 1;
const INIT_ACK: u32 = 2;
const HEARTBEAT: u32 = 4;
const HEARTBEAT_ACK: u32 = 5;
const ABORT: u32 = 6;
const SHUTDOWN_ACK: u32 = 8;
const COOKIE_ECHO: u32 = 10;
const COOKIE_ACK: u32 = 11;
const SHUTDOWN_COMPLETE: u32 = 14;
const CHUNK_HLEN: u32 = 4;
/** T: the sender had no association, the tag is the receiver's own. */
const FLAG_T: u32 = 1;

// States (enum sctp_conntrack).
const NONE: u32 = 0;
const CLOSED: u32 = 1;
const COOKIE_ECHOED: u32 = 3;
const ESTABLISHED: u32 = 4;
const STATES: u32 = 9;
const CHUNKS: u32 = 11;
const INVALID: u32 = 255;

/** Ct.lastFlags: a HEARTBEAT had a tag that nobody knows (SCTP_FLAG_HEARTBEAT_VTAG_FAILED). */
const HEARTBEAT_TAG_FAILED: u8 = 1;

/** Row of the table of each chunk type 0 … 14; 255: the chunk changes nothing. */
const ROW: usize = memory.data<u8>([255, 0, 1, 255, 9, 10, 2, 3, 4, 5, 6, 7, 255, 255, 8]);
/** sctp_conntracks. */
// biome-ignore format: a table
const TABLE: usize = memory.data<u8>([
  // NO CL CW CE ES SS SR SA HS; 255: invalid
  1, 1, 2, 3, 4, 1, 1, 7, 2, // original, INIT
  1, 1, 2, 3, 4, 5, 6, 7, 1, // original, INIT-ACK
  1, 1, 1, 1, 1, 1, 1, 1, 1, // original, ABORT
  1, 1, 2, 3, 5, 5, 6, 7, 1, // original, SHUTDOWN
  7, 1, 2, 3, 4, 7, 7, 7, 7, // original, SHUTDOWN-ACK
  1, 1, 2, 3, 4, 5, 6, 7, 1, // original, ERROR
  1, 1, 3, 3, 4, 5, 6, 7, 1, // original, COOKIE-ECHO
  1, 1, 2, 4, 4, 5, 6, 7, 1, // original, COOKIE-ACK
  1, 1, 2, 3, 4, 5, 6, 1, 1, // original, SHUTDOWN-COMPLETE
  8, 1, 2, 3, 4, 5, 6, 7, 8, // original, HEARTBEAT
  1, 1, 2, 3, 4, 5, 6, 7, 8, // original, HEARTBEAT-ACK
  255, 1, 2, 3, 4, 5, 6, 7, 255, // reply, INIT
  255, 2, 2, 3, 4, 5, 6, 7, 255, // reply, INIT-ACK
  255, 1, 1, 1, 1, 1, 1, 1, 255, // reply, ABORT
  255, 1, 2, 3, 6, 5, 6, 7, 255, // reply, SHUTDOWN
  255, 1, 2, 3, 4, 7, 7, 7, 255, // reply, SHUTDOWN-ACK
  255, 1, 2, 1, 4, 5, 6, 7, 255, // reply, ERROR
  255, 1, 3, 3, 4, 5, 6, 7, 255, // reply, COOKIE-ECHO
  255, 1, 2, 4, 4, 5, 6, 7, 255, // reply, COOKIE-ACK
  255, 1, 2, 3, 4, 5, 6, 1, 255, // reply, SHUTDOWN-COMPLETE
  255, 1, 2, 3, 4, 5, 6, 7, 8, // reply, HEARTBEAT
  255, 1, 2, 3, 4, 5, 6, 7, 4, // reply, HEARTBEAT-ACK
]);

/** sctp_new_state. */
@inline
export function ctSctpNext(dir: u32, state: u32, chunk: u32): u32 {
  const row: u32 = chunk < 15 ? load<u8>(ROW + chunk) : 255;
  return row == 255 ? state : <u32>load<u8>(TABLE + (dir * CHUNKS + row) * STATES + state);
}

// In the record of a connection, where TCP has sequence numbers (struct ip_ct_sctp): tags by direction in lastSeq and lastAck, in
// `retrans` a bit for each direction that sent INIT.
@inline
function tag(ct: Ct, dir: u32): u32 {
  return dir == 0 ? ct.lastSeq : ct.lastAck;
}

@inline
function setTag(ct: Ct, dir: u32, value: u32): void {
  if (dir == 0) ct.lastSeq = value;
  else ct.lastAck = value;
}

@inline
function next(chunk: usize): usize {
  return chunk + ((<u32>bswap<u16>(load<u16>(chunk, 2)) + 3) & ~3);
}

/** Chunk types that the packet has, a bit each. */
let map: u32 = 0;

@inline
function has(type: u32): bool {
  return (map & (1 << type)) != 0;
}

/** do_basic_checks: the chunks are there, and those that must be alone or first are. */
function basicChecks(first: usize, end: usize): bool {
  map = 0;
  let alone = false;
  let count = 0;
  for (let chunk = first; chunk < end && chunk + CHUNK_HLEN <= end; chunk = next(chunk)) {
    const type = <u32>load<u8>(chunk);
    if (type == INIT || type == INIT_ACK || type == SHUTDOWN_COMPLETE) alone = true;
    if ((type == COOKIE_ACK || type == COOKIE_ECHO || alone) && count != 0) return false;
    if (load<u16>(chunk, 2) == 0) return false;
    if (type < 32) map |= 1 << type;
    count++;
  }
  return count != 0;
}

/** sctp_new: may these chunks begin an association? */
function begin(ct: Ct, vtag: u32, first: usize, end: usize): bool {
  for (let chunk = first; chunk < end && chunk + CHUNK_HLEN <= end; chunk = next(chunk)) {
    const type = <u32>load<u8>(chunk);
    const state = ctSctpNext(0, NONE, type);
    if (state == NONE || state == INVALID) return false;
    if (type == INIT) {
      if (vtag != 0 || chunk + 20 > end) return false;
      setTag(ct, 1, load<u32>(chunk, 4));
    } else if (type == HEARTBEAT) setTag(ct, 0, vtag);
    else setTag(ct, 1, vtag);
  }
  return true;
}

/** A HEARTBEAT or its answer: after a failed path the tags are learned anew. -1 invalid, 1 leave the state, 0 go on. */
function heartbeat(ct: Ct, dir: u32, vtag: u32, isAck: bool, ignored: bool): i32 {
  const known = tag(ct, dir);
  if (known == 0) {
    setTag(ct, dir, vtag);
    return 0;
  }
  if (vtag == known) {
    ct.lastFlags &= ~HEARTBEAT_TAG_FAILED;
    return 0;
  }
  if (has(DATA) || ignored) return -1;
  if (!isAck) {
    ct.lastFlags |= HEARTBEAT_TAG_FAILED;
    ct.lastDir = <u8>dir;
    return 1;
  }
  if (!(ct.lastFlags & HEARTBEAT_TAG_FAILED) || <u32>ct.lastDir == dir) return -1;
  ct.lastFlags &= ~HEARTBEAT_TAG_FAILED;
  setTag(ct, dir, vtag);
  setTag(ct, dir ^ 1, 0);
  return 0;
}

/** Special cases of the tag's check (RFC 9260 §8.5.1). As heartbeat(). */
function checkChunk(ct: Ct, dir: u32, vtag: u32, chunk: usize, ignored: bool): i32 {
  const type = <u32>load<u8>(chunk);
  if (type == INIT) return vtag == 0 ? 0 : -1;
  if (type == ABORT || type == SHUTDOWN_COMPLETE) return vtag == tag(ct, <u32>load<u8>(chunk, 1) & FLAG_T ? dir ^ 1 : dir) ? 0 : -1;
  if (type == COOKIE_ECHO) return vtag == tag(ct, dir) ? 0 : -1;
  if (type == COOKIE_ACK) ct.retrans = 0;
  if (type == HEARTBEAT || type == HEARTBEAT_ACK) return heartbeat(ct, dir, vtag, type == HEARTBEAT_ACK, ignored);
  return 0;
}

/** Notes the tags that INIT and INIT ACK announce. False: the packet is invalid. */
function noteTags(ct: Ct, dir: u32, chunk: usize, end: usize): bool {
  const type = <u32>load<u8>(chunk);
  if (type != INIT && type != INIT_ACK) return true;
  if (chunk + 20 > end) return false;
  const announced = load<u32>(chunk, 4);
  const own: u8 = <u8>(1) << <u8>dir;
  const other: u8 = <u8>(1) << <u8>(dir ^ 1);
  if (type == INIT) {
    if ((ct.retrans & (own | other)) == (own | other)) ct.retrans &= ~other;
    ct.retrans |= own;
  } else {
    const known = tag(ct, dir ^ 1);
    if (!(ct.retrans & other) && known != 0 && known != announced) return false;
    if ((ct.retrans & (own | other)) == (own | other) && known != announced) return false;
  }
  setTag(ct, dir ^ 1, announced);
  return true;
}

/** Chunks whose tag isn't simply the receiver's. */
const TAG_EXCEPTIONS: u32 =
  (1 << INIT) | (1 << SHUTDOWN_COMPLETE) | (1 << COOKIE_ECHO) | (1 << ABORT) | (1 << SHUTDOWN_ACK) | (1 << HEARTBEAT) | (1 << HEARTBEAT_ACK);

/** nf_conntrack_sctp_packet: the packet's common header stands at `th`, `len` bytes from there. */
export function sctpPacket(nf: NfNs, ct: Ct, skb: Skb, hook: u32, th: usize, len: u32): i32 {
  if (len < SCTP_HLEN) return CT_INVALID;
  if (hook == <u32>NF_PRE_ROUTING && ctlOf(nf, CTL_CHECKSUM) && !(skb.flags & SKB_CSUM_OK)) {
    if (sctpChecksum(th, len) != load<u32>(th, 8)) return CT_INVALID;
    skb.flags |= SKB_CSUM_OK;
  }
  const first = th + SCTP_HLEN;
  const end = th + len;
  const vtag = load<u32>(th, 4);
  if (!basicChecks(first, end)) return CT_INVALID;
  if (!(ct.status & IPS_CONFIRMED)) {
    if (has(ABORT) || has(SHUTDOWN_COMPLETE) || has(COOKIE_ACK) || !begin(ct, vtag, first, end)) return CT_INVALID;
  }
  const dir = dirOfInfo(skb.ctInfo);
  if (!(map & TAG_EXCEPTIONS) && vtag != tag(ct, dir)) return CT_INVALID;
  let old = NONE;
  let state = NONE;
  let ignored = false;
  for (let chunk = first; chunk < end && chunk + CHUNK_HLEN <= end; chunk = next(chunk)) {
    const verdict = checkChunk(ct, dir, vtag, chunk, ignored);
    if (verdict < 0) return CT_INVALID;
    if (verdict > 0) {
      ignored = true;
      continue;
    }
    old = ct.state;
    state = ctSctpNext(dir, old, <u32>load<u8>(chunk));
    if (state == INVALID || !noteTags(ct, dir, chunk, end)) return CT_INVALID;
    // A repeated INIT doesn't keep an entry alive.
    if (<u32>load<u8>(chunk) == INIT && state == CLOSED && old == CLOSED && ct.status & IPS_CONFIRMED) ignored = true;
    ct.state = <u8>state;
  }
  if (ignored) return CT_ACCEPT;
  ctRefresh(ct, ctlOf(nf, CTL_SCTP_CLOSED + (state == NONE ? 0 : state - 1)));
  if (old == COOKIE_ECHOED && dir == 1 && state == ESTABLISHED) ct.status |= IPS_ASSURED;
  return CT_ACCEPT;
}
