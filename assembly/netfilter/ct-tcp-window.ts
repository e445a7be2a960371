/**
 * Window tracking of TCP connections: is a segment plausible, and what does it tell about both sides
 * (tcp_in_window and its helpers, net/netfilter/nf_conntrack_proto_tcp.c of 6.1).
 *
 *   one direction (struct ip_ct_tcp_state):  +0 td_end | +4 td_maxend | +8 td_maxwin | +12 td_maxack u32 |
 *                                            +16 td_scale u8 | +17 flags u8
 */
import { CTL_TCP_BE_LIBERAL } from "../abi";
import {
  TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPOPT_EOL, TCPOPT_NOP, TCPOPT_SACK, TCPOPT_SACK_PERM, TCPOPT_WINDOW, tcpAckSeq, tcpDoff, tcpFlags, tcpSeq, tcpWindow,
} from "../wire/tcp";
import { Ct } from "./conntrack";
import { NfNs, ctlOf } from "./nfns";

const TCP_CT_SYN_SENT: u32 = 1;
const TCP_CT_SYN_RECV: u32 = 2;
/** enum tcp_bit_set: an ACK without SYN, FIN, RST. */
const ACK_SET: u32 = 3;

/** IP_CT_TCP_FLAG_* */
export const F_WINDOW_SCALE: u32 = 0x01;
export const F_SACK_PERM: u32 = 0x02;
export const F_CLOSE_INIT: u32 = 0x04;
export const F_BE_LIBERAL: u32 = 0x08;
export const F_DATA_UNACKNOWLEDGED: u32 = 0x10;
export const F_MAXACK_SET: u32 = 0x20;
export const F_EXP_CHALLENGE_ACK: u32 = 0x40;
export const F_SIMULTANEOUS_OPEN: u32 = 0x80;

/** Offsets in one direction's state (struct ip_ct_tcp_state). */
export const END: usize = 0;
export const MAXEND: usize = 4;
export const MAXWIN: usize = 8;
export const MAXACK: usize = 12;
export const SCALE: usize = 16;
export const FLAGS: usize = 17;

const MAXACKWINCONST: u32 = 66000;

/** Sequence numbers modulo 2^32: a < b. */
@inline
export function before(a: u32, b: u32): bool {
  return <i32>(a - b) < 0;
}

/** Sequence numbers modulo 2^32: a > b. */
@inline
export function after(a: u32, b: u32): bool {
  return <i32>(b - a) < 0;
}

/** State of a direction: 0 original, 1 reply. */
@inline
export function seen(ct: Ct, dir: u32): usize {
  return changetype<usize>(ct) + (dir == 0 ? offsetof<Ct>("seen0") : offsetof<Ct>("seen1"));
}

/** The sequence number behind a segment; `len` is of the TCP packet with its header (segment_seq_plus_len). */
@inline
export function segmentEnd(seq: u32, th: usize, len: u32): u32 {
  const flags = tcpFlags(th);
  return seq + len - tcpDoff(th) + <u32>((flags & TCPHDR_SYN) != 0) + <u32>((flags & TCPHDR_FIN) != 0);
}

/** Bytes of the option at `at`, of which `left` may be read: 1 of a NOP, 0 at the end and of one that is cut short. */
@inline
function optionSize(at: usize, left: i32): i32 {
  const kind = <u32>load<u8>(at);
  if (kind == TCPOPT_EOL) return 0;
  if (kind == TCPOPT_NOP) return 1;
  if (left < 2) return 0;
  const size = <i32>load<u8>(at, 1);
  return size < 2 || size > left ? 0 : size;
}

/** tcp_options: window scale and SACK permitted of a SYN. */
export function readOptions(th: usize, state: usize): void {
  let left = <i32>tcpDoff(th) - 20;
  if (left <= 0) return;
  let at = th + 20;
  store<u8>(state, 0, SCALE);
  let flags = <u32>load<u8>(state, FLAGS) & F_BE_LIBERAL;
  while (left > 0) {
    const kind = <u32>load<u8>(at);
    const size = optionSize(at, left);
    if (size == 0) break;
    if (kind == TCPOPT_SACK_PERM && size == 2) flags |= F_SACK_PERM;
    else if (kind == TCPOPT_WINDOW && size == 3) {
      const scale = <u32>load<u8>(at, 2);
      store<u8>(state, <u8>(scale > 14 ? 14 : scale), SCALE);
      flags |= F_WINDOW_SCALE;
    }
    at += size;
    left -= size;
  }
  store<u8>(state, <u8>flags, FLAGS);
}

/** tcp_sack: the highest right edge of the segment's SACK blocks, or `ack`. */
function highestSack(th: usize, ack: u32): u32 {
  let left = <i32>tcpDoff(th) - 20;
  let at = th + 20;
  if (left <= 0 || (left == 12 && load<u32>(at) == 0x0a080101)) return ack;
  let sack = ack;
  while (left > 0) {
    const kind = <u32>load<u8>(at);
    const size = optionSize(at, left);
    if (size == 0) break;
    if (kind == TCPOPT_SACK && size >= 10 && ((size - 2) & 7) == 0) {
      for (let i: i32 = 2; i < size; i += 8) {
        const edge = bswap<u32>(load<u32>(at + i, 4));
        if (after(edge, sack)) sack = edge;
      }
      break;
    }
    at += size;
    left -= size;
  }
  return sack;
}

/** tcp_init_sender. */
function initSender(sender: usize, receiver: usize, th: usize, end: u32, win: u32, dir: u32): void {
  store<u32>(sender, end, END);
  store<u32>(sender, end, MAXEND);
  store<u32>(sender, win == 0 ? 1 : win, MAXWIN);
  readOptions(th, sender);
  if (dir == 1 && !(load<u8>(sender, FLAGS) & load<u8>(receiver, FLAGS) & <u8>F_WINDOW_SCALE)) {
    store<u8>(sender, 0, SCALE);
    store<u8>(receiver, 0, SCALE);
  }
}

/** Results of tcpInWindow. */
export const WINDOW_IGNORE: u32 = 0;
export const WINDOW_INVALID: u32 = 1;
export const WINDOW_ACCEPT: u32 = 2;

/** nf_tcp_log_invalid without the log: a liberal sender's segment passes after all. */
@inline
function unlessLiberal(nf: NfNs, sender: usize, verdict: u32): u32 {
  return <u32>load<u8>(sender, FLAGS) & F_BE_LIBERAL || ctlOf(nf, CTL_TCP_BE_LIBERAL) ? WINDOW_ACCEPT : verdict;
}

@inline
function ackWindow(sender: usize): u32 {
  const win = load<u32>(sender, MAXWIN);
  return win > MAXACKWINCONST ? win : MAXACKWINCONST;
}

/** Sets F_* in a direction's state. */
@inline
export function setFlag(state: usize, flag: u32): void {
  store<u8>(state, load<u8>(state, FLAGS) | <u8>flag, FLAGS);
}

/** The first part of tcp_in_window: what is known of a sender that was not heard yet. True: accept at once. */
function learnSender(ct: Ct, dir: u32, th: usize, end: u32, win: u32, sack: u32): bool {
  const sender = seen(ct, dir);
  const receiver = seen(ct, dir ^ 1);
  const flags = tcpFlags(th);
  if (load<u32>(sender, MAXWIN) == 0) {
    if (flags & TCPHDR_SYN) {
      initSender(sender, receiver, th, end, win, dir);
      return !(flags & TCPHDR_ACK); // simultaneous open
    }
    // In the middle of a connection whose history is lost.
    const scaled = win << load<u8>(sender, SCALE);
    store<u32>(sender, end, END);
    store<u32>(sender, scaled == 0 ? 1 : scaled, MAXWIN);
    store<u32>(sender, end + load<u32>(sender, MAXWIN), MAXEND);
    if (load<u32>(receiver, MAXWIN) == 0) {
      store<u32>(receiver, sack, END);
      store<u32>(receiver, sack, MAXEND);
    } else if (sack == load<u32>(receiver, END) + 1) store<u32>(receiver, sack, END);
    return false;
  }
  if (flags & TCPHDR_SYN && after(end, load<u32>(sender, END)) && (ct.state == <u8>TCP_CT_SYN_SENT || ct.state == <u8>TCP_CT_SYN_RECV)) {
    initSender(sender, receiver, th, end, win, dir);
    return dir == 1 && !(flags & TCPHDR_ACK);
  }
  return false;
}

/** tcp_in_window. */
export function inWindow(nf: NfNs, ct: Ct, dir: u32, index: u32, th: usize, len: u32): u32 {
  const sender = seen(ct, dir);
  const receiver = seen(ct, dir ^ 1);
  const flags = tcpFlags(th);
  let seq = tcpSeq(th);
  let ack = tcpAckSeq(th);
  let sack = ack;
  const rawWin = tcpWindow(th);
  let win = rawWin;
  let end = segmentEnd(seq, th, len);
  if (<u32>load<u8>(receiver, FLAGS) & F_SACK_PERM) sack = highestSack(th, sack);
  if (learnSender(ct, dir, th, end, win, sack)) return WINDOW_ACCEPT;
  const receiverEnd = load<u32>(receiver, END);
  if (!(flags & TCPHDR_ACK) || (flags & TCPHDR_RST && ack == 0)) {
    ack = receiverEnd;
    sack = receiverEnd;
  }
  if (flags & TCPHDR_RST && seq == 0 && ct.state == <u8>TCP_CT_SYN_SENT) {
    seq = load<u32>(sender, END);
    end = seq;
  }
  const verdict = bounds(nf, sender, receiver, seq, end, sack);
  if (verdict != WINDOW_ACCEPT) return verdict;
  if (boundsFailed) return WINDOW_ACCEPT; // liberal: nothing is learned from it
  if (!(flags & TCPHDR_SYN)) win <<= load<u8>(sender, SCALE);
  update(sender, receiver, flags, end, ack, sack, win);
  if (index == ACK_SET) countRetransmission(ct, dir, seq, ack, end, rawWin);
  return WINDOW_ACCEPT;
}

/** A check of `bounds` failed and the sender was liberal. */
let boundsFailed: bool = false;

/** The four conditions of tcp_in_window (I to IV of the paper it follows). */
function bounds(nf: NfNs, sender: usize, receiver: usize, seq: u32, end: u32, sack: u32): u32 {
  boundsFailed = true;
  const maxEnd = load<u32>(sender, MAXEND);
  const senderEnd = load<u32>(sender, END);
  const receiverEnd = load<u32>(receiver, END);
  const receiverWin = load<u32>(receiver, MAXWIN);
  if (!before(seq, maxEnd + 1)) {
    const overshot = end - maxEnd + 1;
    const inRecvWin = receiverWin != 0 && after(end, senderEnd - receiverWin - 1);
    const ackOk = after(sack, receiverEnd - ackWindow(sender) - 1);
    if (inRecvWin && ackOk && overshot <= receiverWin && before(sack, receiverEnd + 1)) {
      store<u32>(sender, end, END);
      setFlag(sender, F_DATA_UNACKNOWLEDGED);
      return unlessLiberal(nf, sender, WINDOW_IGNORE);
    }
    return unlessLiberal(nf, sender, WINDOW_INVALID);
  }
  if (!before(sack, receiverEnd + 1)) return unlessLiberal(nf, sender, WINDOW_INVALID);
  if (receiverWin != 0 && !after(end, senderEnd - receiverWin - 1)) return unlessLiberal(nf, sender, WINDOW_IGNORE);
  if (!after(sack, receiverEnd - ackWindow(sender) - 1)) return unlessLiberal(nf, sender, WINDOW_IGNORE);
  boundsFailed = false;
  return WINDOW_ACCEPT;
}

/** What an acceptable segment tells about both sides. */
function update(sender: usize, receiver: usize, flags: u32, end: u32, ack: u32, sack: u32, win: u32): void {
  const swin = win + (sack - ack);
  if (load<u32>(sender, MAXWIN) < swin) store<u32>(sender, swin, MAXWIN);
  if (after(end, load<u32>(sender, END))) {
    store<u32>(sender, end, END);
    setFlag(sender, F_DATA_UNACKNOWLEDGED);
  }
  if (flags & TCPHDR_ACK) {
    if (!(<u32>load<u8>(sender, FLAGS) & F_MAXACK_SET)) {
      store<u32>(sender, ack, MAXACK);
      setFlag(sender, F_MAXACK_SET);
    } else if (after(ack, load<u32>(sender, MAXACK))) store<u32>(sender, ack, MAXACK);
  }
  const maxEnd = load<u32>(sender, MAXEND);
  const receiverWin = load<u32>(receiver, MAXWIN);
  if (receiverWin != 0 && after(end, maxEnd)) store<u32>(receiver, receiverWin + end - maxEnd, MAXWIN);
  if (after(sack + win, load<u32>(receiver, MAXEND) - 1)) store<u32>(receiver, sack + win + <u32>(win == 0), MAXEND);
  if (ack == load<u32>(receiver, END)) store<u8>(receiver, load<u8>(receiver, FLAGS) & <u8>~F_DATA_UNACKNOWLEDGED, FLAGS);
}

function countRetransmission(ct: Ct, dir: u32, seq: u32, ack: u32, end: u32, win: u32): void {
  if (ct.lastDir == <u8>dir && ct.lastSeq == seq && ct.lastAck == ack && ct.lastEnd == end && ct.lastWin == <u16>win) {
    ct.retrans++;
    return;
  }
  ct.lastDir = <u8>dir;
  ct.lastSeq = seq;
  ct.lastAck = ack;
  ct.lastEnd = end;
  ct.lastWin = <u16>win;
  ct.retrans = 0;
}
