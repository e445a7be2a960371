/**
 * Building and sending one segment: options, window selection, MSS, pure ACKs, resets, window probes
 * (net/ipv4/tcp_output.c). What to send when is decided in tcp-xmit.
 */
import { TCP_CLOSE, TCP_LISTEN } from "../abi";
import { ipQueueXmit } from "../inet/output";
import { sockRoute } from "../inet/route";
import {
  SNMP_TCPEXT_TCPFROMZEROWINDOWADV, SNMP_TCPEXT_TCPTOZEROWINDOWADV, SNMP_TCPEXT_TCPWANTZEROWINDOWADV,
  SNMP_TCPEXT_TCPWINPROBE, SNMP_TCP_OUTRSTS, SNMP_TCP_OUTSEGS, snmpInc,
} from "../inet/snmp";
import { SKB_HASHED, SKB_HEADROOM, SKB_L4_HASH, Skb, allocSkb, skbPush } from "../memory/skb";
import { now } from "../sim/event";
import { timerDel, timerMod } from "../sim/timer";
import {
  TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_SYN_FULL, TCPOLEN_TSTAMP_ALIGNED, TCP_HLEN, before, emitTcp,
  emitTimestamps,
} from "../wire/tcp";
import { chargeSkb } from "./socket";
import { tcpChecksum } from "./tcp";
import { cubicTxStart } from "./tcp-cubic";
import {
  ACK_SCHED, ACK_TIMER, NS_PER_MS, TCP_ATO_MIN, TCP_DELACK_MAX, TCP_MSS_DEFAULT, TCP_PINGPONG_THRESH, TF_SACK_OK,
  TF_TS_OK,
} from "./tcp-const";
import {
  TcpSock, TxSeg, delackTimer, packetsInFlight, rcvSpaceFree, rcvSpaceFull, receiveWindow, sackAt, sackTimer, tcpHost,
  tcpNs, tcpTimeStamp,
} from "./tcp-sock";

// ---------------------------------------------------------------------------------------------- MSS

/** Bytes of options of a segment in the synchronized states, SACK blocks included. */
@inline
function optionBytes(tp: TcpSock): u32 {
  let size: u32 = tp.tf & TF_TS_OK ? TCPOLEN_TSTAMP_ALIGNED : 0;
  const blocks = sackBlocks(tp);
  if (blocks != 0) size += 4 + (blocks << 3);
  return size;
}

/** How many SACK blocks fit: 3 with timestamps, 4 without. */
@inline
function sackBlocks(tp: TcpSock): u32 {
  const have = tp.numSacks + tp.dsackOn;
  const room: u32 = tp.tf & TF_TS_OK ? 3 : 4;
  return have < room ? have : room;
}

/** tcp_bound_to_half_wnd: never a segment of more than half of the peer's largest window. */
function boundToHalfWnd(tp: TcpSock, size: u32): u32 {
  const cutoff = tp.maxWindow > TCP_MSS_DEFAULT ? tp.maxWindow >> 1 : tp.maxWindow;
  if (cutoff != 0 && size > cutoff) {
    const least: u32 = 68 - tp.headerLen;
    return cutoff > least ? cutoff : least;
  }
  return size;
}

/** Takes a path MTU over: the largest payload with the fixed options (tcp_sync_mss, tcp_mtu_to_mss). */
export function syncMss(tp: TcpSock, pmtu: u32): u32 {
  let mss = pmtu - 20 - TCP_HLEN;
  if (mss > tp.mssClamp) mss = tp.mssClamp;
  if (mss < 48) mss = 48; // tcp_min_snd_mss
  mss -= tp.headerLen - TCP_HLEN;
  mss = boundToHalfWnd(tp, mss);
  tp.pmtu = pmtu;
  tp.mssCache = mss;
  return mss;
}

/** Payload of the next segment: less than mssCache while SACK blocks are to be sent (tcp_current_mss). */
export function currentMss(tp: TcpSock): u32 {
  if (tp.state != TCP_CLOSE && tp.state != TCP_LISTEN && sockRoute(tp) == 0 && tp.dstMtu != tp.pmtu) syncMss(tp, tp.dstMtu);
  const delta = optionBytes(tp) + TCP_HLEN - tp.headerLen;
  return tp.mssCache - delta;
}

// ---------------------------------------------------------------------------------------------- window

/** The window to announce from free receive space (__tcp_select_window). */
export function selectWindowSpace(tp: TcpSock): u32 {
  let mss = <i32>tp.rcvMss;
  let free = rcvSpaceFree(tp);
  const allowed = rcvSpaceFull(tp);
  const full = <i32>tp.windowClamp < allowed ? <i32>tp.windowClamp : allowed;
  if (mss > full) {
    mss = full;
    if (mss <= 0) return 0;
  }
  if (free < full >> 1) {
    tp.ackQuick = 0;
    free &= ~((1 << <i32>tp.rcvWscale) - 1);
    if (free < allowed >> 4 || free < mss) return 0;
  }
  if (free > <i32>tp.rcvSsthresh) free = <i32>tp.rcvSsthresh;
  if (tp.rcvWscale != 0) {
    const unit = (1 << <i32>tp.rcvWscale) - 1;
    return <u32>((free + unit) & ~unit);
  }
  let window = <i32>tp.rcvWnd;
  if (window <= free - mss || window > free) window = free - (free % mss);
  else if (mss == full && free > window + (full >> 1)) window = free;
  return <u32>window;
}

/** Chooses and remembers the window of the segment that is being built; returns the header's 16 bits (tcp_select_window). */
function selectWindow(tp: TcpSock): u32 {
  const old = tp.rcvWnd;
  const current = receiveWindow(tp);
  let window = selectWindowSpace(tp);
  if (window < current) {
    // Never shrink the offered window (RFC 9293 3.8.6).
    if (window == 0) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPWANTZEROWINDOWADV);
    const unit = (<u32>1 << tp.rcvWscale) - 1;
    window = (current + unit) & ~unit;
  }
  tp.rcvWnd = window;
  tp.rcvWup = tp.rcvNxt;
  const limit = <u32>65535 << tp.rcvWscale;
  if (window > limit) window = limit;
  window >>= tp.rcvWscale;
  if (window == 0) {
    if (old != 0) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPTOZEROWINDOWADV);
  } else if (old == 0) snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPFROMZEROWINDOWADV);
  return window;
}

/** MSS, window and scale of a fresh receive buffer (tcp_select_initial_window). Results in iniWnd, iniClamp, iniScale. */
export let iniWnd: u32 = 0;
export let iniClamp: u32 = 0;
export let iniScale: u32 = 0;

/** Computes iniWnd, iniClamp and iniScale for a buffer of `space` bytes. */
export function selectInitialWindow(space: u32, mss: u32, wscaleOk: bool): void {
  let clamp = <u32>65535 << 14;
  if (space > clamp) space = clamp;
  if (space > mss) space -= space % mss;
  iniWnd = space < 65535 ? space : 65535;
  iniScale = 0;
  if (wscaleOk) iniScale = 7; // ilog2(tcp_rmem[2] = 6291456) - 15
  const most = <u32>65535 << iniScale;
  iniClamp = clamp < most ? clamp : most;
}

// ---------------------------------------------------------------------------------------------- options

/** Writes the options of a SYN: `0204 mss · 0402 · 080a tsval tsecr · 01 · 0303 ws`; without timestamps Linux pads by NOPs. */
export function emitSynOptions(at: usize, mss: u32, sack: bool, ts: bool, tsval: u32, tsecr: u32, wscale: i32): u32 {
  let p = at;
  store<u32>(p, bswap<u32>(0x02040000 | mss));
  p += 4;
  if (ts) {
    store<u32>(p, sack ? 0x0a080204 : 0x0a080101);
    store<u32>(p, bswap<u32>(tsval), 4);
    store<u32>(p, bswap<u32>(tsecr), 8);
    p += 12;
  } else if (sack) {
    store<u32>(p, 0x02040101);
    p += 4;
  }
  if (wscale >= 0) {
    store<u32>(p, bswap<u32>(0x01030300 | <u32>wscale));
    p += 4;
  }
  return <u32>(p - at);
}

/** Writes timestamps and SACK blocks; returns their size. */
function emitOptions(tp: TcpSock, at: usize): u32 {
  let p = at;
  if (tp.tf & TF_TS_OK) {
    emitTimestamps(p, tcpTimeStamp(tp), tp.tsRecent);
    p += TCPOLEN_TSTAMP_ALIGNED;
  }
  const blocks = sackBlocks(tp);
  if (blocks == 0) return <u32>(p - at);
  store<u32>(p, bswap<u32>(0x01010500 | (2 + (blocks << 3))));
  p += 4;
  let i: u32 = 0;
  let left = blocks;
  if (tp.dsackOn) {
    emitBlock(p, tp.dsack);
    p += 8;
    left--;
    tp.dsackOn = 0;
  }
  for (; i < left; i++) {
    emitBlock(p, load<u64>(sackAt(tp, i)));
    p += 8;
  }
  return <u32>(p - at);
}

@inline
function emitBlock(at: usize, block: u64): void {
  store<u32>(at, bswap<u32>(<u32>block));
  store<u32>(at, bswap<u32>(<u32>(block >> 32)), 4);
}

// ---------------------------------------------------------------------------------------------- transmit

/** Space for headers behind which a payload of `len` bytes is written: data starts at the payload. */
@inline
function newSegment(tp: TcpSock, len: u32): Skb {
  const skb = allocSkb(tcpHost(tp), SKB_HEADROOM + 60, len);
  skb.len = len;
  return skb;
}

/**
 * Prepends the TCP header and sends (the tail of __tcp_transmit_skb). skb.data stands at the payload.
 * Returns 0 or -errno; the packet is gone in any case.
 */
function transmit(tp: TcpSock, skb: Skb, seq: u32, flags: u32): i32 {
  const payload = skb.len;
  const th = optionsAndHeader(tp, skb, seq, flags);
  if (flags & TCPHDR_ACK) ackSent(tp);
  skb.th = th;
  tcpChecksum(skb, th, skb.len, tp.localIp, tp.remoteIp);
  skb.hash = tp.txhash;
  skb.flags |= SKB_HASHED | SKB_L4_HASH;
  skb.mark = tp.mark;
  if (payload != 0) {
    dataSent(tp);
    chargeSkb(tp, skb);
  }
  tp.segsOut++;
  snmpInc(tcpNs(tp), SNMP_TCP_OUTSEGS);
  return ipQueueXmit(tp, skb, tp.tos, tp.ttl);
}

function optionsAndHeader(tp: TcpSock, skb: Skb, seq: u32, flags: u32): usize {
  let options: u32;
  let window: u32;
  let th: usize;
  if (flags & TCPHDR_SYN) {
    // Only active opens come here (and simultaneous ones); a listener's SYN-ACK is built by tcp-minisocks.
    const passive = (flags & TCPHDR_ACK) != 0;
    const ts = !passive || (tp.tf & TF_TS_OK) != 0;
    const sack = !passive || (tp.tf & TF_SACK_OK) != 0;
    const wscale = !passive || tp.sndWscale != 0 || tp.rcvWscale != 0 ? <i32>tp.rcvWscale : -1;
    options = TCPOLEN_SYN_FULL;
    if (passive) options = 4 + (ts ? 12 : sack ? 4 : 0) + (wscale >= 0 ? 4 : 0);
    th = skbPush(skb, TCP_HLEN + options);
    emitSynOptions(th + TCP_HLEN, tp.advmss, sack, ts, tcpTimeStamp(tp), passive ? tp.tsRecent : 0, wscale);
    window = tp.rcvWnd < 65535 ? tp.rcvWnd : 65535;
  } else {
    options = optionBytes(tp);
    th = skbPush(skb, TCP_HLEN + options);
    emitOptions(tp, th + TCP_HLEN);
    window = selectWindow(tp);
  }
  const ack = flags & TCPHDR_ACK ? tp.rcvNxt : 0;
  emitTcp(th, tp.localPort, tp.remotePort, seq, ack, TCP_HLEN + options, flags, window);
  return th;
}

/** An ACK has left with this segment (tcp_event_ack_sent). */
function ackSent(tp: TcpSock): void {
  if (tp.compressedAck != 0) {
    tp.compressedAck = 0;
    timerDel(sackTimer(tp));
  }
  if (tp.ackQuick != 0) {
    tp.ackQuick--;
    if (tp.ackQuick == 0) tp.ackAto = TCP_ATO_MIN; // leaving quickack mode
  }
  tp.ackPending = 0;
  timerDel(delackTimer(tp));
}

/** tcp_event_data_sent. */
function dataSent(tp: TcpSock): void {
  if (packetsInFlight(tp) == 0) cubicTxStart(tp);
  // A reply within `ato` after the last data makes the connection interactive.
  if (tp.lsndTime < tp.lrcvTime && now - tp.lrcvTime < tp.ackAto) {
    if (tp.ackPingpong < 255) tp.ackPingpong++;
  }
  tp.lsndTime = now;
}

/** Sends a queued segment: a copy goes out, the segment stays for retransmission. 0 or -errno. */
export function transmitSeg(tp: TcpSock, seg: TxSeg): i32 {
  const skb = newSegment(tp, seg.len);
  if (seg.len != 0) memory.copy(skb.data, seg.data, seg.len);
  seg.time = now;
  seg.delivered = tp.delivered;
  return transmit(tp, skb, seg.seq, seg.flags);
}

/** The SYN-ACK of a simultaneous open: our SYN again, with an ACK (tcp_send_synack). */
export function transmitSynAck(tp: TcpSock): void {
  if (tp.txHead == 0) return;
  const syn = changetype<TxSeg>(tp.txHead);
  syn.flags |= TCPHDR_ACK;
  transmitSeg(tp, syn);
}

/** Sends an ACK without data at once (tcp_send_ack). */
export function sendAck(tp: TcpSock): void {
  if (tp.state == TCP_CLOSE || tp.state == TCP_LISTEN) return;
  const seq = acceptableSeq(tp);
  transmit(tp, newSegment(tp, 0), seq, TCPHDR_ACK);
}

/** SND.NXT, or the edge of a window that was shrunk under it (tcp_acceptable_seq). */
function acceptableSeq(tp: TcpSock): u32 {
  const edge = tp.sndUna + tp.sndWnd;
  if (!before(edge, tp.sndNxt) || tp.sndNxt - edge < <u32>1 << tp.sndWscale) return tp.sndNxt;
  return edge;
}

/** Queues an ACK for later (tcp_send_delayed_ack): after ato, 40 to 200 ms, never more than the RTT. */
export function sendDelayedAck(tp: TcpSock): void {
  let ato = tp.ackAto;
  if (ato > TCP_ATO_MIN) {
    // HZ / 2, or TCP_DELACK_MAX once the connection is interactive or pushes.
    let most: i64 = 500 * NS_PER_MS;
    if (tp.ackPingpong >= TCP_PINGPONG_THRESH || tp.ackPending & 4) most = TCP_DELACK_MAX;
    if (tp.srttUs != 0) {
      const rtt = <i64>(tp.srttUs >> 3) * 1000;
      const least = rtt > TCP_ATO_MIN ? rtt : TCP_ATO_MIN;
      if (least < most) most = least;
    }
    if (ato > most) ato = most;
  }
  if (ato > TCP_DELACK_MAX) ato = TCP_DELACK_MAX;
  let timeout = now + ato;
  if (tp.ackPending & ACK_TIMER) {
    if (tp.ackTimeout <= now + (ato >> 2)) {
      sendAck(tp);
      return;
    }
    if (timeout > tp.ackTimeout) timeout = tp.ackTimeout;
  }
  tp.ackPending |= ACK_SCHED | ACK_TIMER;
  tp.ackTimeout = timeout;
  timerMod(delackTimer(tp), timeout);
}

/** RST+ACK of a socket that aborts: timestamps, a window, the socket's own id (tcp_send_active_reset). */
export function sendActiveReset(tp: TcpSock): void {
  snmpInc(tcpNs(tp), SNMP_TCP_OUTRSTS);
  if (tp.remotePort == 0) return;
  transmit(tp, newSegment(tp, 0), acceptableSeq(tp), TCPHDR_ACK | TCPHDR_RST);
}

/** A segment with an old sequence number that makes the peer answer: keepalive and zero-window probe (tcp_xmit_probe_skb). */
export function xmitProbe(tp: TcpSock, urgent: bool): i32 {
  snmpInc(tcpNs(tp), SNMP_TCPEXT_TCPWINPROBE);
  return transmit(tp, newSegment(tp, 0), urgent ? tp.sndUna : tp.sndUna - 1, TCPHDR_ACK);
}
