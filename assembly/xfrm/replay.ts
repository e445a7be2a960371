/**
 * Sequence numbers and replay windows (net/xfrm/xfrm_replay.c of 6.1): the legacy window of up to 32 packets, a bitmap of any
 * size, and the bitmap with 64-bit extended sequence numbers (RFC 4304), whose upper half is inferred from the window.
 */
import { XFRM_REPLAY_MODE_BMP, XFRM_REPLAY_MODE_ESN, XFRM_REPLAY_MODE_LEGACY, XfrmState } from "./records";

/** Takes the next number for a packet that is sent: x.oseq, x.oseqHi. False when they are used up (xfrm_replay_overflow). */
@inline
export function replayNext(x: XfrmState): bool {
  x.oseq++;
  if (x.oseq != 0) return true;
  if (x.replayMode == XFRM_REPLAY_MODE_ESN) {
    x.oseqHi++;
    if (x.oseqHi != 0) return true;
    x.oseqHi--;
  }
  x.oseq--;
  return false;
}

/** The upper half that a received number must have (xfrm_replay_seqhi); 0 without ESN. */
export function replaySeqHi(x: XfrmState, seq: u32): u32 {
  if (x.replayMode != XFRM_REPLAY_MODE_ESN) return 0;
  const bottom = x.seq - x.window + 1;
  if (x.seq >= x.window - 1) return seq < bottom ? x.seqHi + 1 : x.seqHi;
  return seq >= bottom ? x.seqHi - 1 : x.seqHi;
}

/** The number may come: it is in or ahead of the window and was not seen. Counts what it refuses in the state's statistics. */
export function replayCheck(x: XfrmState, seq: u32): bool {
  const window = x.window;
  if (window == 0) return true;
  if (x.replayMode == XFRM_REPLAY_MODE_ESN) return checkEsn(x, seq);
  if (seq == 0) return false;
  if (seq > x.seq) return true;
  const diff = x.seq - seq;
  if (diff >= window) {
    x.statWindow++;
    return false;
  }
  return unseen(x, x.replayMode == XFRM_REPLAY_MODE_LEGACY ? diff : behind(x, diff));
}

function checkEsn(x: XfrmState, seq: u32): bool {
  const window = x.window;
  const top = x.seq;
  const bottom = top - window + 1;
  if (seq == 0 && x.seqHi == 0 && top < window - 1) return false;
  // Across the wrap, too: ~seq + top + 1 of the original is the same number.
  const diff = top - seq;
  if (top >= window - 1) {
    // The window lies within one subspace of 2^32.
    if (seq > top || seq < bottom) return true;
  } else {
    // It spans two.
    if (seq > top && seq < bottom) return true;
  }
  if (diff >= window) {
    x.statWindow++;
    return false;
  }
  return unseen(x, behind(x, diff));
}

/** Bit of the packet `diff` behind the newest, in the ring. */
@inline
function behind(x: XfrmState, diff: u32): u32 {
  const pos = (x.seq - 1) % x.window;
  return pos >= diff ? pos - diff : x.window - (diff - pos);
}

function unseen(x: XfrmState, bit: u32): bool {
  if (!(load<u32>(x.bitmap + (<usize>(bit >> 5) << 2)) & (1 << (bit & 31)))) return true;
  x.statReplay++;
  return false;
}

@inline
function mark(x: XfrmState, bit: u32): void {
  const at = x.bitmap + (<usize>(bit >> 5) << 2);
  store<u32>(at, load<u32>(at) | (1 << (bit & 31)));
}

/** Notes an authentic number (xfrm_replay_advance). */
export function replayAdvance(x: XfrmState, seq: u32): void {
  if (x.window == 0) return;
  if (x.replayMode == XFRM_REPLAY_MODE_LEGACY) advanceLegacy(x, seq);
  else if (x.replayMode == XFRM_REPLAY_MODE_BMP) {
    if (seq > x.seq) forward(x, seq, seq - x.seq);
    else mark(x, behind(x, x.seq - seq));
  } else {
    const wrap = <i32>(replaySeqHi(x, seq) - x.seqHi);
    if (wrap > 0) {
      forward(x, seq, ~x.seq + seq + 1);
      x.seqHi++;
    } else if (wrap == 0 && seq > x.seq) forward(x, seq, seq - x.seq);
    else mark(x, behind(x, x.seq - seq));
  }
}

function advanceLegacy(x: XfrmState, seq: u32): void {
  const bits = load<u32>(x.bitmap);
  if (seq <= x.seq) {
    store<u32>(x.bitmap, bits | (1 << (x.seq - seq)));
    return;
  }
  const diff = seq - x.seq;
  store<u32>(x.bitmap, diff < x.window && diff < 32 ? (bits << diff) | 1 : 1);
  x.seq = seq;
}

/** The ring goes on by `diff` packets: those between have not been seen. */
function forward(x: XfrmState, seq: u32, diff: u32): void {
  const pos = (x.seq - 1) % x.window;
  if (diff < x.window) {
    for (let i: u32 = 1; i < diff; i++) {
      const bit = (pos + i) % x.window;
      const at = x.bitmap + (<usize>(bit >> 5) << 2);
      store<u32>(at, load<u32>(at) & ~(1 << (bit & 31)));
    }
  } else memory.fill(x.bitmap, 0, <usize>((x.window + 31) >> 5) << 2);
  mark(x, (pos + diff) % x.window);
  x.seq = seq;
}
