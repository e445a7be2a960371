/** The send queue: segments in sequence order, sent ones first, and RACK's list of them in order of transmission. */
import { kfree, kmallocRaw } from "../memory/arena";
import { TXSEG_OVERHEAD, TXSEG_SIZE, TcpSock, TxSeg } from "./tcp-sock";

/** A fresh segment for up to `cap` bytes; not queued. */
export function segNew(cap: u32): TxSeg {
  const block = kmallocRaw(TXSEG_SIZE + <usize>cap);
  memory.fill(block, 0, TXSEG_SIZE);
  const seg = changetype<TxSeg>(block);
  seg.cap = cap;
  seg.data = block + TXSEG_SIZE;
  return seg;
}

@inline
function segFree(seg: TxSeg): void {
  kfree(changetype<usize>(seg), TXSEG_SIZE + <usize>seg.cap);
}

/** Appends a segment that was never sent (tcp_add_write_queue_tail). */
export function segAppend(tp: TcpSock, seg: TxSeg): void {
  const p = changetype<usize>(seg);
  seg.next = 0;
  seg.prev = tp.txTail;
  if (tp.txTail != 0) changetype<TxSeg>(tp.txTail).next = p;
  else tp.txHead = p;
  tp.txTail = p;
  if (tp.sendHead == 0) tp.sendHead = p;
  tp.wmemQueued += seg.len + TXSEG_OVERHEAD;
}

/** Puts `seg` behind `at` in the send queue. */
export function segInsertAfter(tp: TcpSock, at: TxSeg, seg: TxSeg): void {
  const p = changetype<usize>(seg);
  seg.prev = changetype<usize>(at);
  seg.next = at.next;
  if (at.next != 0) changetype<TxSeg>(at.next).prev = p;
  else tp.txTail = p;
  at.next = p;
}

/** Takes a segment out of every list and frees it. */
export function segRemove(tp: TcpSock, seg: TxSeg): void {
  const p = changetype<usize>(seg);
  if (seg.prev != 0) changetype<TxSeg>(seg.prev).next = seg.next;
  else tp.txHead = seg.next;
  if (seg.next != 0) changetype<TxSeg>(seg.next).prev = seg.prev;
  else tp.txTail = seg.prev;
  if (tp.sendHead == p) tp.sendHead = seg.next;
  if (tp.highestSack == p) tp.highestSack = seg.next;
  if (tp.retransHint == p) tp.retransHint = 0;
  tsUnlink(tp, seg);
  tp.wmemQueued -= seg.len + TXSEG_OVERHEAD;
  segFree(seg);
}

/** Takes a segment out of RACK's list. */
export function tsUnlink(tp: TcpSock, seg: TxSeg): void {
  if (!seg.inTs) return;
  seg.inTs = 0;
  if (seg.tsPrev != 0) changetype<TxSeg>(seg.tsPrev).tsNext = seg.tsNext;
  else tp.tsHead = seg.tsNext;
  if (seg.tsNext != 0) changetype<TxSeg>(seg.tsNext).tsPrev = seg.tsPrev;
  else tp.tsTail = seg.tsPrev;
  seg.tsNext = 0;
  seg.tsPrev = 0;
}

/** Moves a segment to the end of RACK's list: it was just sent. */
export function tsAppend(tp: TcpSock, seg: TxSeg): void {
  tsUnlink(tp, seg);
  seg.inTs = 1;
  seg.tsPrev = tp.tsTail;
  seg.tsNext = 0;
  if (tp.tsTail != 0) changetype<TxSeg>(tp.tsTail).tsNext = changetype<usize>(seg);
  else tp.tsHead = changetype<usize>(seg);
  tp.tsTail = changetype<usize>(seg);
}

/** Puts `seg` right behind `at` in RACK's list: it was split off. */
export function tsInsertAfter(tp: TcpSock, at: TxSeg, seg: TxSeg): void {
  seg.inTs = 1;
  seg.tsPrev = changetype<usize>(at);
  seg.tsNext = at.tsNext;
  if (at.tsNext != 0) changetype<TxSeg>(at.tsNext).tsPrev = changetype<usize>(seg);
  else tp.tsTail = changetype<usize>(seg);
  at.tsNext = changetype<usize>(seg);
}

/** Frees the whole send queue (tcp_write_queue_purge). */
export function txPurge(tp: TcpSock): void {
  let p = tp.txHead;
  while (p != 0) {
    const seg = changetype<TxSeg>(p);
    p = seg.next;
    segFree(seg);
  }
  tp.txHead = 0;
  tp.txTail = 0;
  tp.sendHead = 0;
  tp.tsHead = 0;
  tp.tsTail = 0;
  tp.highestSack = 0;
  tp.retransHint = 0;
  tp.wmemQueued = 0;
  tp.packetsOut = 0;
  tp.sackedOut = 0;
  tp.lostOut = 0;
  tp.retransOut = 0;
}

/** Something was sent and not acknowledged. */
@inline
export function rtxQueueEmpty(tp: TcpSock): bool {
  return tp.txHead == tp.sendHead;
}

/** Last segment that was sent; 0 = none. */
@inline
export function rtxTail(tp: TcpSock): usize {
  if (tp.sendHead == 0) return tp.txTail;
  return changetype<TxSeg>(tp.sendHead).prev;
}
