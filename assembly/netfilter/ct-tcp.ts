/**
 * Tracking of TCP connections: states and timeouts (net/netfilter/nf_conntrack_proto_tcp.c of 6.1). The
 * windows are in ct-tcp-window.ts.
 */
import {
  CTL_CHECKSUM, CTL_TCP_CLOSE, CTL_TCP_IGNORE_INVALID_RST, CTL_TCP_LOOSE, CTL_TCP_MAX_RETRANS, CTL_TCP_MAX_RETRANS_TIMEOUT, CTL_TCP_UNACKNOWLEDGED,
  IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, NF_PRE_ROUTING,
} from "../abi";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import {
  TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPHDR_URG, tcpAckSeq, tcpDoff, tcpFlags, tcpSeq, tcpWindow,
} from "../wire/tcp";
import { Ct, SECOND, ctKill, ctRefresh, dirOfInfo } from "./conntrack";
import { l4ChecksumOk } from "./ct-proto";
import {
  END, FLAGS, F_BE_LIBERAL, F_CLOSE_INIT, F_DATA_UNACKNOWLEDGED, F_EXP_CHALLENGE_ACK, F_MAXACK_SET, F_SACK_PERM, F_SIMULTANEOUS_OPEN, F_WINDOW_SCALE, MAXACK, MAXEND, MAXWIN,
  SCALE, WINDOW_IGNORE, WINDOW_INVALID, before, inWindow, readOptions, seen, segmentEnd, setFlag,
} from "./ct-tcp-window";
import { NfNs, ctlOf } from "./nfns";

/** enum tcp_conntrack */
export const TCP_CT_NONE: u32 = 0;
export const TCP_CT_SYN_SENT: u32 = 1;
export const TCP_CT_SYN_RECV: u32 = 2;
export const TCP_CT_ESTABLISHED: u32 = 3;
export const TCP_CT_FIN_WAIT: u32 = 4;
export const TCP_CT_CLOSE_WAIT: u32 = 5;
export const TCP_CT_LAST_ACK: u32 = 6;
export const TCP_CT_TIME_WAIT: u32 = 7;
export const TCP_CT_CLOSE: u32 = 8;
export const TCP_CT_SYN_SENT2: u32 = 9;
const TCP_CT_INVALID: u32 = 10; // sIV = TCP_CONNTRACK_MAX
const TCP_CT_IGNORE: u32 = 11;

// enum tcp_bit_set
const SYN_SET: u32 = 0;
const SYNACK_SET: u32 = 1;
const FIN_SET: u32 = 2;
const ACK_SET: u32 = 3;
const RST_SET: u32 = 4;
const NONE_SET: u32 = 5;

/** tcp_conntracks[direction][bit set][state]: 2 × 6 × 10 bytes, in the kernel's order of states. */
// prettier-ignore
const transitions: usize = memory.data<u8>([
  // original:  NONE SS SR ES FW CW LA TW CL S2
  /* syn    */ 1, 1, 11, 11, 11, 11, 11, 1, 1, 9,
  /* synack */ 10, 10, 2, 10, 10, 10, 10, 10, 10, 2,
  /* fin    */ 10, 10, 4, 4, 6, 6, 6, 7, 8, 10,
  /* ack    */ 3, 10, 3, 3, 5, 5, 7, 7, 8, 10,
  /* rst    */ 10, 8, 8, 8, 8, 8, 8, 8, 8, 8,
  /* none   */ 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
  // reply
  /* syn    */ 10, 9, 10, 10, 10, 10, 10, 1, 10, 9,
  /* synack */ 10, 2, 11, 11, 11, 11, 11, 11, 11, 2,
  /* fin    */ 10, 10, 4, 4, 6, 6, 6, 7, 8, 10,
  /* ack    */ 10, 11, 2, 3, 5, 5, 7, 7, 8, 11,
  /* rst    */ 10, 8, 8, 8, 8, 8, 8, 8, 8, 8,
  /* none   */ 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
]);

@inline
function bitSet(flags: u32): u32 {
  if (flags & TCPHDR_RST) return RST_SET;
  if (flags & TCPHDR_SYN) return flags & TCPHDR_ACK ? SYNACK_SET : SYN_SET;
  if (flags & TCPHDR_FIN) return FIN_SET;
  return flags & TCPHDR_ACK ? ACK_SET : NONE_SET;
}

/** tcp_valid_flags: PSH, ECE and CWR are always valid. */
@inline
function validFlags(flags: u32): bool {
  const f = flags & (TCPHDR_FIN | TCPHDR_SYN | TCPHDR_RST | TCPHDR_ACK | TCPHDR_URG);
  if (f == TCPHDR_ACK || f == (TCPHDR_ACK | TCPHDR_URG)) return true;
  if (f == TCPHDR_SYN || f == (TCPHDR_SYN | TCPHDR_URG) || f == (TCPHDR_SYN | TCPHDR_ACK)) return true;
  if (f == TCPHDR_RST || f == (TCPHDR_RST | TCPHDR_ACK)) return true;
  return f == (TCPHDR_FIN | TCPHDR_ACK) || f == (TCPHDR_FIN | TCPHDR_ACK | TCPHDR_URG);
}

function clearTcp(ct: Ct): void {
  memory.fill(changetype<usize>(ct) + offsetof<Ct>("state"), 0, offsetof<Ct>() - offsetof<Ct>("state"));
}

/** tcp_new: may this segment begin a connection? */
function tcpNew(nf: NfNs, ct: Ct, th: usize, len: u32): bool {
  const first = <u32>load<u8>(transitions + bitSet(tcpFlags(th)) * 10);
  if (first >= TCP_CT_INVALID) return false;
  if (first != TCP_CT_SYN_SENT && ctlOf(nf, CTL_TCP_LOOSE) == 0) return false;
  clearTcp(ct);
  const state = seen(ct, 0);
  const end = segmentEnd(tcpSeq(th), th, len);
  const win = tcpWindow(th);
  store<u32>(state, end, END);
  store<u32>(state, win == 0 ? 1 : win, MAXWIN);
  store<u32>(state, end, MAXEND);
  if (first == TCP_CT_SYN_SENT) readOptions(th, state);
  else {
    // Picked up in the middle: be liberal, for the window scale is unknown.
    store<u32>(state, end + load<u32>(state, MAXWIN), MAXEND);
    store<u8>(state, <u8>(F_SACK_PERM | F_BE_LIBERAL), FLAGS);
    store<u8>(seen(ct, 1), <u8>(F_SACK_PERM | F_BE_LIBERAL), FLAGS);
  }
  ct.lastIndex = <u8>NONE_SET;
  return true;
}

@inline
function closing(state: u32): bool {
  return state == TCP_CT_FIN_WAIT || state == TCP_CT_LAST_ACK || state == TCP_CT_TIME_WAIT || state == TCP_CT_CLOSE || state == TCP_CT_CLOSE_WAIT;
}

@inline
function establishedAndAssured(ct: Ct): bool {
  return ct.state == <u8>TCP_CT_ESTABLISHED && (ct.status & IPS_ASSURED) != 0;
}

/** Verdicts of the packet handlers. */
export const CT_ACCEPT: i32 = 1;
export const CT_INVALID: i32 = -1;
export const CT_REPEAT: i32 = -4;

// What checkReset decides.
const RESET_INVALID: u32 = 0;
const RESET_IN_WINDOW: u32 = 1;
const RESET_CHECK: u32 = 2;
const RESET_KEEP_STATE: u32 = 3;

/** The RST part of nf_conntrack_tcp_packet: is this RST believed, and need its window be checked? */
function checkReset(nf: NfNs, ct: Ct, dir: u32, oldState: u32, th: usize): u32 {
  if (closing(oldState)) return RESET_IN_WINDOW;
  const other = seen(ct, dir ^ 1);
  const seq = tcpSeq(th);
  let verdict = RESET_CHECK;
  if (<u32>load<u8>(other, FLAGS) & F_MAXACK_SET && ct.lastIndex != <u8>SYN_SET) {
    const maxAck = load<u32>(other, MAXACK);
    const established = establishedAndAssured(ct);
    if (seq == 0 && !established) return RESET_CHECK;
    if (before(seq, maxAck) && !ctlOf(nf, CTL_TCP_IGNORE_INVALID_RST)) return RESET_INVALID;
    if (!established || seq == maxAck) return RESET_CHECK;
    if (ct.lastIndex == <u8>ACK_SET && ct.lastDir == <u8>dir && seq == ct.lastEnd) return RESET_CHECK;
    verdict = RESET_KEEP_STATE; // a challenge ACK may follow
  }
  const seenReply = (ct.status & IPS_SEEN_REPLY) != 0;
  const assured = (ct.status & IPS_ASSURED) != 0;
  if (((seenReply && ct.lastIndex == <u8>SYN_SET) || (!assured && ct.lastIndex == <u8>ACK_SET)) && tcpAckSeq(th) == ct.lastEnd)
    return verdict == RESET_KEEP_STATE ? RESET_KEEP_STATE | 4 : RESET_IN_WINDOW;
  if (oldState == TCP_CT_SYN_SENT && ct.lastIndex == <u8>ACK_SET && ct.lastDir == 1 && seq == ct.lastAck) return RESET_IN_WINDOW;
  return verdict;
}

const synSeen: usize = memory.data(20, 8);

/** Remembers a segment that is let through without being believed. */
function annotateIgnored(ct: Ct, dir: u32, index: u32, oldState: u32, th: usize, len: u32): void {
  ct.lastIndex = <u8>index;
  ct.lastDir = <u8>dir;
  ct.lastSeq = tcpSeq(th);
  ct.lastEnd = segmentEnd(tcpSeq(th), th, len);
  ct.lastWin = <u16>tcpWindow(th);
  if (index == SYN_SET && dir == 0) {
    memory.fill(synSeen, 0, 20);
    readOptions(th, synSeen);
    const options = <u32>load<u8>(synSeen, FLAGS);
    let flags = options & (F_WINDOW_SCALE | F_SACK_PERM);
    ct.lastWscale = options & F_WINDOW_SCALE ? load<u8>(synSeen, SCALE) : 0;
    if (oldState == TCP_CT_LAST_ACK) flags |= F_EXP_CHALLENGE_ACK;
    ct.lastFlags = <u8>flags;
  }
  if (oldState == TCP_CT_SYN_SENT && index == ACK_SET && dir == 1) ct.lastAck = tcpAckSeq(th);
}

/** A SYN-ACK that acknowledges a SYN ignored before: both ends are in sync, we follow them. */
function resync(ct: Ct, dir: u32): void {
  const syn = seen(ct, ct.lastDir);
  store<u32>(syn, ct.lastEnd, END);
  store<u32>(syn, ct.lastEnd, MAXEND);
  store<u32>(syn, ct.lastWin == 0 ? 1 : <u32>ct.lastWin, MAXWIN);
  store<u8>(syn, ct.lastWscale, SCALE);
  ct.lastFlags &= <u8>~F_EXP_CHALLENGE_ACK;
  store<u8>(syn, ct.lastFlags, FLAGS);
  const reply = seen(ct, dir);
  const liberal = load<u8>(reply, FLAGS) & <u8>F_BE_LIBERAL;
  memory.fill(reply, 0, 20);
  store<u8>(reply, liberal, FLAGS);
}

/** nf_tcp_handle_invalid: FIN or RST out of window, answered alike: don't keep the entry for days. */
function handleInvalid(nf: NfNs, ct: Ct, dir: u32, index: u32): void {
  if (!(ct.status & IPS_ASSURED) || (index != RST_SET && index != FIN_SET)) return;
  if (ct.lastDir != <u8>dir && (ct.lastIndex == <u8>FIN_SET || ct.lastIndex == <u8>RST_SET)) {
    const left = ct.expires - now;
    if (left < 120 * SECOND) return;
    const timeout = ctlOf(nf, CTL_TCP_UNACKNOWLEDGED);
    if (left > <i64>timeout * SECOND) ctRefresh(ct, timeout);
  } else {
    ct.lastIndex = <u8>index;
    ct.lastDir = <u8>dir;
  }
}

/** The timeout of a state, shortened where data are unacknowledged or a window is closed. */
function timeoutOf(nf: NfNs, ct: Ct, state: u32, index: u32): u32 {
  const normal = ctlOf(nf, state);
  const retrans = ctlOf(nf, CTL_TCP_MAX_RETRANS_TIMEOUT);
  const unack = ctlOf(nf, CTL_TCP_UNACKNOWLEDGED);
  if (<u32>ct.retrans >= ctlOf(nf, CTL_TCP_MAX_RETRANS) && normal > retrans) return retrans;
  if (index == RST_SET) return ctlOf(nf, CTL_TCP_CLOSE);
  if (<u32>(load<u8>(seen(ct, 0), FLAGS) | load<u8>(seen(ct, 1), FLAGS)) & F_DATA_UNACKNOWLEDGED && normal > unack) return unack;
  if (ct.lastWin == 0 && normal > retrans) return retrans;
  return normal;
}

/** nf_conntrack_tcp_packet: `th` holds `len` bytes. CT_ACCEPT, CT_INVALID or CT_REPEAT. */
export function tcpPacket(nf: NfNs, ct: Ct, skb: Skb, hook: u32, ip: usize, th: usize, len: u32): i32 {
  if (len < 20) return CT_INVALID;
  const doff = tcpDoff(th);
  const flags = tcpFlags(th);
  if (doff < 20 || doff > len) return CT_INVALID;
  if (hook == <u32>NF_PRE_ROUTING && ctlOf(nf, CTL_CHECKSUM) && !l4ChecksumOk(skb, ip, th, len)) return CT_INVALID;
  if (!validFlags(flags)) return CT_INVALID;
  if (!(ct.status & IPS_CONFIRMED) && !tcpNew(nf, ct, th, len)) return CT_INVALID;

  const dir = dirOfInfo(skb.ctInfo);
  const index = bitSet(flags);
  let oldState = <u32>ct.state;
  let newState = <u32>load<u8>(transitions + dir * 60 + index * 10 + oldState);
  let check = true;

  if (newState == TCP_CT_SYN_SENT && oldState >= TCP_CT_TIME_WAIT) {
    const closed = <u32>(load<u8>(seen(ct, 0), FLAGS) | load<u8>(seen(ct, 1), FLAGS)) & F_CLOSE_INIT;
    if (closed || (ct.lastDir == <u8>dir && ct.lastIndex == <u8>RST_SET)) {
      ctKill(ct); // reopened: begin anew
      return CT_REPEAT;
    }
    newState = TCP_CT_IGNORE;
  }
  switch (newState) {
    case TCP_CT_IGNORE: {
      if (index == SYNACK_SET && ct.lastIndex == <u8>SYN_SET && ct.lastDir != <u8>dir && tcpAckSeq(th) == ct.lastEnd) {
        resync(ct, dir);
        oldState = TCP_CT_SYN_SENT;
        newState = TCP_CT_SYN_RECV;
        break;
      }
      annotateIgnored(ct, dir, index, oldState, th, len);
      return CT_ACCEPT;
    }
    case TCP_CT_INVALID:
      return CT_INVALID;
    case TCP_CT_TIME_WAIT: {
      if (oldState == TCP_CT_LAST_ACK && index == ACK_SET && ct.lastDir != <u8>dir && ct.lastIndex == <u8>SYN_SET && <u32>ct.lastFlags & F_EXP_CHALLENGE_ACK) {
        ct.lastFlags &= <u8>~F_EXP_CHALLENGE_ACK;
        return CT_ACCEPT;
      }
      break;
    }
    case TCP_CT_SYN_SENT2: {
      ct.lastFlags |= <u8>F_SIMULTANEOUS_OPEN;
      break;
    }
    case TCP_CT_SYN_RECV: {
      if (dir == 1 && index == ACK_SET && <u32>ct.lastFlags & F_SIMULTANEOUS_OPEN) newState = TCP_CT_ESTABLISHED;
      break;
    }
    case TCP_CT_CLOSE: {
      if (index != RST_SET) break;
      const reset = checkReset(nf, ct, dir, oldState, th);
      if (reset == RESET_INVALID) return CT_INVALID;
      if ((reset & 3) == RESET_KEEP_STATE) newState = oldState;
      check = reset == RESET_CHECK || reset == RESET_KEEP_STATE;
      break;
    }
    default:
  }
  if (check) {
    const verdict = inWindow(nf, ct, dir, index, th, len);
    if (verdict == WINDOW_IGNORE) return CT_ACCEPT;
    if (verdict == WINDOW_INVALID) {
      handleInvalid(nf, ct, dir, index);
      return CT_INVALID;
    }
  }
  return accepted(nf, ct, dir, index, oldState, newState);
}

/** The end of nf_conntrack_tcp_packet: an in-window segment changes the state and the timeout. */
function accepted(nf: NfNs, ct: Ct, dir: u32, index: u32, oldState: u32, newState: u32): i32 {
  ct.lastIndex = <u8>index;
  ct.lastDir = <u8>dir;
  ct.state = <u8>newState;
  if (oldState != newState && newState == TCP_CT_FIN_WAIT) setFlag(seen(ct, dir), F_CLOSE_INIT);
  let timeout = timeoutOf(nf, ct, newState, index);
  if (!(ct.status & IPS_SEEN_REPLY)) {
    if (index == RST_SET) {
      ctKill(ct);
      return CT_ACCEPT;
    }
    // A retransmitted SYN doesn't renew the timeout.
    if (index == SYN_SET && oldState == TCP_CT_SYN_SENT) return CT_ACCEPT;
    const unack = ctlOf(nf, CTL_TCP_UNACKNOWLEDGED);
    if (newState == TCP_CT_ESTABLISHED && timeout > unack) timeout = unack;
  } else if (!(ct.status & IPS_ASSURED) && (oldState == TCP_CT_SYN_RECV || oldState == TCP_CT_ESTABLISHED) && newState == TCP_CT_ESTABLISHED) {
    ct.status |= IPS_ASSURED;
  }
  ctRefresh(ct, timeout);
  return CT_ACCEPT;
}

/** nf_conntrack_tcp_set_closing: a rule answered with RST. */
export function tcpSetClosing(nf: NfNs, ct: Ct): void {
  if (!(ct.status & IPS_CONFIRMED)) return;
  const old = <u32>ct.state;
  ct.state = <u8>TCP_CT_CLOSE;
  if (old != TCP_CT_CLOSE) ctRefresh(ct, ctlOf(nf, CTL_TCP_CLOSE));
}
