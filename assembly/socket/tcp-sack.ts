/**
 * The sender's SACK scoreboard (tcp_sacktag_write_queue and what it calls, RFC 2018, RFC 2883, RFC 6675).
 *
 * The blocks of an ACK are validated, a D-SACK in front is taken apart, the rest is sorted; what the previous ACK
 * said already (recv_sack_cache) is skipped, so that each segment is visited about once.
 */
import {
  SNMP_TCPEXT_TCPDSACKIGNOREDOLD, SNMP_TCPEXT_TCPDSACKOFORECV, SNMP_TCPEXT_TCPDSACKRECV, SNMP_TCPEXT_TCPSACKDISCARD,
  snmpInc,
} from "../inet/snmp";
import { after, before, optSack, optSackCount } from "../wire/tcp";
import { FLAG_DATA_SACKED, FLAG_DSACKING_ACK, FLAG_DSACK_TLP, FLAG_ORIG_SACK_ACKED } from "./tcp-ack";
import { checkSackReordering, rackAdvance } from "./tcp-rack";
import { CA_LOSS, SEG_EVER_RETRANS, SEG_LOST, SEG_RETRANS, SEG_SACKED, TF_RACK_DSACK, TF_REORD_SEEN, TF_SACK_OK } from "./tcp-const";
import { TcpSock, TxSeg, tcpNs } from "./tcp-sock";
import { tsUnlink } from "./tcp-txq";

/** Transmission times of the first and last segment that this ACK SACKed for the first time; -1 = none. */
export let sackFirstTime: i64 = -1;
export let sackLastTime: i64 = -1;
export let sackPriorDelivered: u32 = 0;

let reord: u32 = 0;
let flags: u32 = 0;

/** Up to four blocks, sorted by start: start | end << 32. */
const blocks: usize = memory.data(32, 8);

/** tcp_highest_sack_seq: start of the segment behind the highest SACKed one. */
export function highestSackSeq(tp: TcpSock): u32 {
  if (tp.sackedOut == 0) return tp.sndUna;
  if (tp.highestSack == 0) return tp.sndNxt;
  return changetype<TxSeg>(tp.highestSack).seq;
}

/** tcp_is_sackblock_valid. */
function blockValid(tp: TcpSock, dsack: bool, start: u32, end: u32): bool {
  if (after(end, tp.sndNxt) || !before(start, end)) return false;
  if (!before(start, tp.sndNxt)) return false;
  if (after(start, tp.sndUna)) return true;
  if (!dsack || tp.undoMarker == 0) return false;
  if (!after(end, tp.sndUna)) return false;
  if (!before(start, tp.undoMarker)) return true;
  if (!after(end, tp.undoMarker)) return false;
  return !before(start, end - tp.maxWindow);
}

/** tcp_dsack_seen: how many duplicate segments a D-SACK reports, 0 = it is not believed. */
function dsackSeen(tp: TcpSock, start: u32, end: u32): u32 {
  if (!before(start, end)) return 0;
  const len = end - start;
  if (len > tp.maxWindow) return 0;
  let dups: u32 = 1;
  if (len > tp.mssCache) dups = (len + tp.mssCache - 1) / tp.mssCache;
  else if (tp.tlpHighSeq != 0 && tp.tlpHighSeq == end) flags |= FLAG_DSACK_TLP;
  tp.dsackDups += dups;
  if (tp.dsackDups > tp.totalRetrans) return 0;
  if (tp.tf & TF_REORD_SEEN && !(flags & FLAG_DSACK_TLP)) tp.tf |= TF_RACK_DSACK;
  flags |= FLAG_DSACKING_ACK;
  tp.delivered += dups;
  return dups;
}

/** Is the first block a D-SACK? (tcp_check_dsack) */
function checkDsack(tp: TcpSock, ack: u32, priorSndUna: u32): bool {
  const start = bswap<u32>(load<u32>(optSack));
  const end = bswap<u32>(load<u32>(optSack, 4));
  if (before(start, ack)) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPDSACKRECV);
  else {
    if (optSackCount < 2) return false;
    const start1 = bswap<u32>(load<u32>(optSack, 8));
    const end1 = bswap<u32>(load<u32>(optSack, 12));
    if (after(end, end1) || before(start, start1)) return false;
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPDSACKOFORECV);
  }
  const dups = dsackSeen(tp, start, end);
  if (dups == 0) {
    snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPDSACKIGNOREDOLD);
    return false;
  }
  // D-SACK for data that was forgotten already: count it.
  if (tp.undoMarker != 0 && tp.undoRetrans > 0 && !after(end, priorSndUna) && after(end, tp.undoMarker)) {
    tp.undoRetrans -= <i32>dups;
    if (tp.undoRetrans < 0) tp.undoRetrans = 0;
  }
  return true;
}

/** Applies a SACK, or D-SACK, to one segment (tcp_sacktag_one). */
function tagOne(tp: TcpSock, seg: TxSeg, dup: bool): void {
  const retransmitted = (seg.sacked & (SEG_RETRANS | SEG_EVER_RETRANS)) != 0;
  if (dup && retransmitted) {
    if (tp.undoMarker != 0 && tp.undoRetrans > 0 && after(seg.endSeq, tp.undoMarker)) tp.undoRetrans--;
    if (seg.sacked & SEG_SACKED && before(seg.seq, reord)) reord = seg.seq;
  }
  if (!after(seg.endSeq, tp.sndUna)) return;
  if (!(seg.sacked & SEG_SACKED)) {
    rackAdvance(tp, seg.sacked, seg.endSeq, seg.time);
    if (seg.delivered > sackPriorDelivered) sackPriorDelivered = seg.delivered;
    if (seg.sacked & SEG_RETRANS) {
      // Not marked lost: the retransmission is believed to be on the way still.
      if (seg.sacked & SEG_LOST) {
        seg.sacked &= ~(SEG_LOST | SEG_RETRANS);
        tp.lostOut--;
        tp.retransOut--;
      }
    } else {
      if (!retransmitted) {
        // A hole that was never retransmitted is filled: reordering.
        if (before(seg.seq, highestSackSeq(tp)) && before(seg.seq, reord)) reord = seg.seq;
        if (!after(seg.endSeq, tp.highSeq)) flags |= FLAG_ORIG_SACK_ACKED;
        if (sackFirstTime < 0) sackFirstTime = seg.time;
        sackLastTime = seg.time;
      }
      if (seg.sacked & SEG_LOST) {
        seg.sacked &= ~SEG_LOST;
        tp.lostOut--;
      }
    }
    const high = highestSackSeq(tp);
    seg.sacked |= SEG_SACKED;
    flags |= FLAG_DATA_SACKED;
    tp.sackedOut++;
    tp.delivered++;
    tsUnlink(tp, seg);
    if (!before(seg.seq, high)) tp.highestSack = seg.next;
  }
  if (dup && seg.sacked & SEG_RETRANS) {
    seg.sacked &= ~SEG_RETRANS;
    tp.retransOut--;
  }
}

/** Tags the segments that lie wholly in [start, end), beginning the search at `from`. */
function tagRange(tp: TcpSock, from: usize, start: u32, end: u32, dup: bool): void {
  for (let p = from; p != 0 && p != tp.sendHead; p = changetype<TxSeg>(p).next) {
    const seg = changetype<TxSeg>(p);
    if (!before(seg.seq, end)) return;
    if (before(seg.seq, start) || after(seg.endSeq, end)) continue;
    tagOne(tp, seg, dup);
  }
}

/** Where the search for `start` may begin: the highest SACKed segment, when start isn't in front of it. */
@inline
function searchFrom(tp: TcpSock, start: u32): usize {
  if (tp.sackedOut != 0 && tp.highestSack != 0 && !before(start, changetype<TxSeg>(tp.highestSack).seq))
    return tp.highestSack;
  return tp.txHead;
}

function insertSorted(count: u32, block: u64): void {
  let i = count;
  while (i > 0 && before(<u32>block, <u32>load<u64>(blocks + ((i - 1) << 3)))) {
    store<u64>(blocks + (i << 3), load<u64>(blocks + ((i - 1) << 3)));
    i--;
  }
  store<u64>(blocks + (i << 3), block);
}

/** The end of what the cache says was SACKed from `start` on; `start` when it doesn't cover it. */
function cachedUpTo(tp: TcpSock, start: u32): u32 {
  for (let i: usize = 0; i < 4; i++) {
    const cached = load<u64>(changetype<usize>(tp) + offsetof<TcpSock>("cache0") + (i << 3));
    if (cached == 0) break;
    if (!after(<u32>cached, start) && before(start, <u32>(cached >> 32))) return <u32>(cached >> 32);
  }
  return start;
}

/** Reads the SACK blocks of an ACK; returns FLAG_* (tcp_sacktag_write_queue). */
export function sacktag(tp: TcpSock, ack: u32, priorSndUna: u32): u32 {
  sackFirstTime = -1;
  sackLastTime = -1;
  sackPriorDelivered = 0;
  flags = 0;
  if (optSack == 0 || !(tp.tf & TF_SACK_OK)) return 0;
  reord = tp.sndNxt;
  if (tp.sackedOut == 0) tp.highestSack = tp.txHead != tp.sendHead ? tp.txHead : 0;
  const dsack = checkDsack(tp, ack, priorSndUna);
  if (tp.packetsOut == 0) return flags;
  let used: u32 = 0;
  let at = optSack;
  const count = optSackCount < 4 ? optSackCount : 4;
  for (let i: u32 = 0; i < count; i++, at += 8) {
    const start = bswap<u32>(load<u32>(at));
    const end = bswap<u32>(load<u32>(at, 4));
    const dup = dsack && i == 0;
    if (!blockValid(tp, dup, start, end)) {
      if (!dup && after(end, tp.sndUna)) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPSACKDISCARD);
      continue;
    }
    if (!after(end, priorSndUna)) continue;
    if (dup) tagRange(tp, tp.txHead, start, end, true);
    insertSorted(used++, (<u64>end << 32) | <u64>start);
  }
  for (let i: u32 = 0; i < used; i++) {
    const block = load<u64>(blocks + (i << 3));
    const end = <u32>(block >> 32);
    let start = <u32>block;
    const known = cachedUpTo(tp, start);
    // A retransmission boundary may split a segment at the cache's edge: look at it again from the block's start then.
    if (known != start) {
      if (!before(known, end)) continue;
      start = known;
    }
    tagRange(tp, searchFrom(tp, start), start, end, false);
  }
  for (let i: u32 = 0; i < 4; i++)
    store<u64>(
      changetype<usize>(tp) + offsetof<TcpSock>("cache0") + (<usize>i << 3),
      i < used ? load<u64>(blocks + (i << 3)) : 0,
    );
  if ((tp.caState != CA_LOSS || tp.undoMarker != 0) && before(reord, highestSackSeq(tp))) checkSackReordering(tp, reord);
  return flags;
}
