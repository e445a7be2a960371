/**
 * The two small records: connection requests of a listener (SYN_RECV, struct tcp_request_sock) and TIME_WAIT
 * (net/ipv4/tcp_minisocks.c, tcp_input.c tcp_conn_request, inet_connection_sock.c, inet_timewait_sock.c).
 */
import {
  DROP_TCP_FLAGS, DROP_TCP_INVALID_SEQUENCE, DROP_TCP_LISTEN_OVERFLOW, DROP_TCP_NO_SOCKET, DROP_TCP_PAWS, DROP_TCP_RESET,
  TCP_SYN_RECV,
} from "../abi";
import { siphash3u32 } from "../hash/siphash";
import { RtResult, routeLookup } from "../inet/route";
import {
  SNMP_TCPEXT_LISTENDROPS, SNMP_TCPEXT_LISTENOVERFLOWS, SNMP_TCPEXT_OUTOFWINDOWICMPS, SNMP_TCPEXT_PAWSESTAB,
  SNMP_TCPEXT_TCPACKSKIPPED, SNMP_TCPEXT_TCPREQQFULLDROP, SNMP_TCP_ATTEMPTFAILS, SNMP_TCP_OUTSEGS,
  SNMP_TCP_PASSIVEOPENS, SNMP_TCP_RETRANSSEGS, snmpInc,
} from "../inet/snmp";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { SKB_HASHED, SKB_HEADROOM, SKB_L4_HASH, Skb, allocSkb, consumeSkb, dropSkb, skbPut } from "../memory/skb";
import { clock, now } from "../sim/event";
import { Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { Host, rand32 } from "../sim/host";
import {
  TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, TCPOLEN_SYN_FULL, TCPOLEN_TSTAMP_ALIGNED, TCP_HLEN, after, before,
  emitTcp, emitTimestamps, optMss, optSackPerm, optSawTs, optTsval, optWscale, parseTcpOptions, tcpDport, tcpSport,
  tcpWindow,
} from "../wire/tcp";
import { SOCK_KERNEL, SOCK_TCP, sockWake } from "./socket";
import { sendBare, tcpNew, tcpSendReset } from "./tcp";
import { rttEstimator, setRto, updateMinRtt } from "./tcp-ack";
import { tcpRcvChild } from "./tcp-input";
import { emitSynOptions, iniClamp, iniScale, iniWnd, selectInitialWindow, syncMss, transmitSynAck } from "./tcp-output";
import { initRcvMss } from "./tcp-rcvwin";
import {
  NS_PER_MS, NS_PER_US, TCP_SYNACK_RETRIES, TCP_TIMEOUT_INIT, TF_BOUND, TF_IN_ACCEPT, TF_NODELAY, TF_SACK_OK,
  TF_TS_OK, TF_WSCALE_OK,
} from "./tcp-const";
import { TcpSock, tcpNs, tsClock, winFromSpace } from "./tcp-sock";
import { SOCK_REQ, TcpMini, bindHold, ehashInsert, ehashRemove } from "./tcp-tables";

const OOW_INTERVAL: i64 = 500 * NS_PER_MS;
const TIMER: usize = offsetof<Timer>();

/** What secureSeq computed last: initial sequence number and timestamp offset. */
export let isn: u32 = 0;
export let tsOff: u32 = 0;

/** Computes a connection's `isn` and `tsOff` (secure_tcp_seq, secure_tcp_ts_off). */
export function secureSeq(host: Host, local: u32, remote: u32, localPort: u32, remotePort: u32): void {
  // The kernel hashes addresses and ports as they stand on the wire, read little-endian.
  const ports = (<u32>bswap<u16>(<u16>localPort) << 16) | <u32>bswap<u16>(<u16>remotePort);
  const hash = siphash3u32(bswap<u32>(local), bswap<u32>(remote), ports, host.tcpK0, host.tcpK1);
  isn = <u32>hash + <u32>(clock() >> 6);
  tsOff = <u32>(hash >> 32);
}

// ---------------------------------------------------------------------------------------------- requests

/** A connection request: SYN received, not yet acknowledged (struct tcp_request_sock). */
@unmanaged
export class TcpReq extends TcpMini {
  listener: usize;
  next: usize;
  prev: usize;
  rcvIsn: u32;
  sntIsn: u32;
  tsOffset: u32;
  tsRecent: u32;
  mss: u32; // peer's MSS option, bounded
  rcvWnd: u32;
  windowClamp: u32;
  rcvWscale: u32;
  sndWscale: u32;
  options: u32; // TF_SACK_OK | TF_TS_OK | TF_WSCALE_OK
  numTimeout: u32;
  numRetrans: u32;
  txhash: u32;
  mark: u32;
  lastOow: i64;
  synAckTime: i64;
  unused: u64;
}
const REQ_SIZE: usize = offsetof<TcpReq>() + TIMER;

@inline
function reqTimer(req: TcpReq): Timer {
  return changetype<Timer>(changetype<usize>(req) + offsetof<TcpReq>());
}

/** Frees a request (inet_csk_reqsk_queue_drop). */
function reqFree(req: TcpReq): void {
  const listener = changetype<TcpSock>(req.listener);
  if (req.prev != 0) changetype<TcpReq>(req.prev).next = req.next;
  else listener.reqHead = req.next;
  if (req.next != 0) changetype<TcpReq>(req.next).prev = req.prev;
  listener.reqCount--;
  timerDel(reqTimer(req));
  ehashRemove(changetype<usize>(req));
  kfree(changetype<usize>(req), REQ_SIZE);
}

/** The listener closes: its requests are forgotten without a word. */
export function reqsPurge(listener: TcpSock): void {
  while (listener.reqHead != 0) reqFree(changetype<TcpReq>(listener.reqHead));
}

/** An ICMP error about our SYN-ACK: a fatal one ends the request silently (tcp_req_err). */
export function reqIcmpError(at: usize, seq: u32, fatal: bool): void {
  const req = changetype<TcpReq>(at);
  if (seq != req.sntIsn) {
    snmpInc(changetype<NetNs>(req.ns), SNMP_TCPEXT_OUTOFWINDOWICMPS);
    return;
  }
  if (!fatal) return;
  snmpInc(changetype<NetNs>(req.ns), SNMP_TCPEXT_LISTENDROPS);
  reqFree(req);
}

/** A segment for a listener that belongs to no request; ends the packet (the LISTEN case of tcp_rcv_state_process). */
export function listenRcv(tp: TcpSock, skb: Skb): void {
  const flags = skb.cb2;
  if (flags & TCPHDR_RST) {
    dropSkb(skb, DROP_TCP_RESET);
    return;
  }
  if (flags & TCPHDR_ACK) {
    tcpSendReset(tcpNs(tp), skb);
    dropSkb(skb, DROP_TCP_NO_SOCKET); // of a connection that is gone
    return;
  }
  if (!(flags & TCPHDR_SYN) || flags & TCPHDR_FIN) {
    dropSkb(skb, DROP_TCP_FLAGS);
    return;
  }
  connRequest(tp, skb, 0);
}

/** A SYN: makes a request and answers it (tcp_conn_request). `reuseIsn`: of a TIME_WAIT that is taken over, 0 = none. */
export function connRequest(listener: TcpSock, skb: Skb, reuseIsn: u32): void {
  const ns = tcpNs(listener);
  // SYN cookies are not implemented: a full queue drops.
  if (listener.reqCount >= listener.backlog && reuseIsn == 0) {
    snmpInc(ns, SNMP_TCPEXT_TCPREQQFULLDROP);
    snmpInc(ns, SNMP_TCPEXT_LISTENDROPS);
    dropSkb(skb, DROP_TCP_LISTEN_OVERFLOW);
    return;
  }
  if (listener.acceptCount > listener.backlog) {
    snmpInc(ns, SNMP_TCPEXT_LISTENOVERFLOWS);
    snmpInc(ns, SNMP_TCPEXT_LISTENDROPS);
    dropSkb(skb, DROP_TCP_LISTEN_OVERFLOW);
    return;
  }
  const req = changetype<TcpReq>(kmalloc(REQ_SIZE));
  req.type = SOCK_TCP;
  req.flags = SOCK_REQ;
  req.ns = listener.ns;
  req.host = listener.host;
  req.localIp = bswap<u32>(load<u32>(skb.nh, 16));
  req.remoteIp = bswap<u32>(load<u32>(skb.nh, 12));
  req.localPort = tcpDport(skb.th);
  req.remotePort = tcpSport(skb.th);
  req.mark = listener.mark;
  if (routeLookup(ns, req.remoteIp, req.localIp, 0) != 0) {
    kfree(changetype<usize>(req), REQ_SIZE);
    dropSkb(skb, DROP_TCP_LISTEN_OVERFLOW);
    return;
  }
  fillRequest(listener, req, skb, reuseIsn);
  req.listener = changetype<usize>(listener);
  req.next = listener.reqHead;
  if (req.next != 0) changetype<TcpReq>(req.next).prev = changetype<usize>(req);
  listener.reqHead = changetype<usize>(req);
  listener.reqCount++;
  timerInit(reqTimer(req), changetype<Host>(req.host), changetype<usize>(reqTimeout), changetype<usize>(req));
  timerMod(reqTimer(req), now + TCP_TIMEOUT_INIT);
  ehashInsert(changetype<usize>(req));
  consumeSkb(skb);
  sendRequestSynAck(req);
}

/** Options, sequence numbers and window of a request (tcp_openreq_init, tcp_openreq_init_rwin). */
function fillRequest(listener: TcpSock, req: TcpReq, skb: Skb, reuseIsn: u32): void {
  parseTcpOptions(skb.th, false);
  const host = changetype<Host>(req.host);
  req.rcvIsn = skb.cb0;
  req.mss = optMss != 0 ? (optMss < 48 ? 48 : optMss) : 536;
  if (optSawTs) {
    req.options |= TF_TS_OK;
    req.tsRecent = optTsval;
  }
  if (optSackPerm) req.options |= TF_SACK_OK;
  if (optWscale >= 0) {
    req.options |= TF_WSCALE_OK;
    req.sndWscale = <u32>optWscale;
  }
  secureSeq(host, req.localIp, req.remoteIp, req.localPort, req.remotePort);
  req.sntIsn = reuseIsn != 0 ? reuseIsn : isn;
  req.tsOffset = tsOff;
  let hash = rand32(host);
  req.txhash = hash == 0 ? 1 : hash;
  const mss = advertisedMss() - (optSawTs ? TCPOLEN_TSTAMP_ALIGNED : 0);
  selectInitialWindow(<u32>winFromSpace(<i32>listener.rxMax), mss, optWscale >= 0);
  req.rcvWnd = iniWnd;
  req.windowClamp = iniClamp;
  req.rcvWscale = iniScale;
  req.synAckTime = now;
}

/** MSS for the route in RtResult (ipv4_default_advmss): MTU - 40, at least 256, at most 65495. */
export function advertisedMss(): u32 {
  const mss = RtResult.rtMtu - 40;
  if (<i32>mss < 256) return 256;
  return mss > 65495 ? 65495 : mss;
}

/** Sends a request's SYN-ACK (tcp_v4_send_synack, tcp_make_synack). */
function sendRequestSynAck(req: TcpReq): void {
  const ns = changetype<NetNs>(req.ns);
  const skb = allocSkb(changetype<Host>(req.host), SKB_HEADROOM, TCP_HLEN + TCPOLEN_SYN_FULL);
  const th = skb.data;
  if (routeLookup(ns, req.remoteIp, req.localIp, 0) != 0) {
    consumeSkb(skb);
    return;
  }
  const options = emitSynOptions(
    th + TCP_HLEN,
    advertisedMss(),
    (req.options & TF_SACK_OK) != 0,
    (req.options & TF_TS_OK) != 0,
    tsClock() + req.tsOffset,
    req.tsRecent,
    req.options & TF_WSCALE_OK ? <i32>req.rcvWscale : -1,
  );
  skbPut(skb, TCP_HLEN + options);
  const window = req.rcvWnd < 65535 ? req.rcvWnd : 65535;
  emitTcp(th, req.localPort, req.remotePort, req.sntIsn, req.rcvIsn + 1, TCP_HLEN + options, TCPHDR_SYN | TCPHDR_ACK, window);
  skb.hash = req.txhash;
  skb.flags |= SKB_HASHED | SKB_L4_HASH;
  skb.mark = req.mark;
  snmpInc(ns, SNMP_TCP_OUTSEGS);
  sendBare(ns, skb, req.localIp, req.remoteIp, 0);
}

/** reqsk_timer_handler: again at 1, 3, 7, 15, 31 s; forgotten at 63 s. */
function reqTimeout(arg: usize): void {
  const req = changetype<TcpReq>(arg);
  if (req.numTimeout >= TCP_SYNACK_RETRIES) {
    reqFree(req);
    return;
  }
  req.numTimeout++;
  req.numRetrans++;
  const hash = rand32(changetype<Host>(req.host));
  req.txhash = hash == 0 ? 1 : hash;
  snmpInc(changetype<NetNs>(req.ns), SNMP_TCP_RETRANSSEGS);
  timerMod(reqTimer(req), now + (TCP_TIMEOUT_INIT << <i64>req.numTimeout));
  sendRequestSynAck(req);
}

/** At most one answer per 500 ms; data is always answered. */
export function miniOowLimited(ns: usize, skb: Skb, at: usize): bool {
  if (skb.cb0 != skb.cb1 && !(skb.cb2 & TCPHDR_SYN)) return false;
  const last = load<i64>(at);
  if (last != 0 && now - last < OOW_INTERVAL) {
    snmpInc(changetype<NetNs>(ns), SNMP_TCPEXT_TCPACKSKIPPED);
    return true;
  }
  store<i64>(at, now);
  return false;
}

/** tcp_in_window. */
@inline
export function inWindow(seq: u32, end: u32, low: u32, high: u32): bool {
  if (seq == low) return true;
  if (after(end, low) && before(seq, high)) return true;
  return seq == high && seq == end;
}

/** A segment for a request; ends the packet (tcp_check_req and its caller in tcp_v4_rcv). */
export function reqRcv(at: usize, skb: Skb): void {
  const req = changetype<TcpReq>(at);
  const ns = changetype<NetNs>(req.ns);
  let flags = skb.cb2 & (TCPHDR_RST | TCPHDR_SYN | TCPHDR_ACK);
  parseTcpOptions(skb.th, false);
  const ts = optSawTs && (req.options & TF_TS_OK) != 0;
  const paws = ts && <i32>(req.tsRecent - optTsval) > 0 && !(flags & TCPHDR_RST) && req.tsRecent != 0;
  const oowAt = at + offsetof<TcpReq>("lastOow");
  if (skb.cb0 == req.rcvIsn && flags == TCPHDR_SYN && !paws) {
    // The SYN again: answer again.
    if (!miniOowLimited(req.ns, skb, oowAt)) {
      req.numRetrans++;
      snmpInc(ns, SNMP_TCP_RETRANSSEGS);
      timerMod(reqTimer(req), now + (TCP_TIMEOUT_INIT << <i64>req.numTimeout));
      sendRequestSynAck(req);
    }
    consumeSkb(skb);
    return;
  }
  if (flags & TCPHDR_ACK && skb.cb3 != req.sntIsn + 1) {
    tcpSendReset(ns, skb);
    dropSkb(skb, DROP_TCP_INVALID_SEQUENCE);
    return;
  }
  const rcvNxt = req.rcvIsn + 1;
  if (paws || !inWindow(skb.cb0, skb.cb1, rcvNxt, rcvNxt + req.rcvWnd)) {
    if (!(flags & TCPHDR_RST) && !miniOowLimited(req.ns, skb, oowAt)) {
      const scale: u32 = req.options & TF_WSCALE_OK ? req.rcvWscale : 0;
      bareAck(at, req.sntIsn + 1, rcvNxt, req.rcvWnd >> scale, (req.options & TF_TS_OK) != 0, req.tsOffset, req.tsRecent, <u32>load<u8>(skb.nh, 1), req.txhash);
    }
    if (paws) snmpInc(ns, SNMP_TCPEXT_PAWSESTAB);
    dropSkb(skb, paws ? DROP_TCP_PAWS : DROP_TCP_INVALID_SEQUENCE);
    return;
  }
  if (ts && !after(skb.cb0, rcvNxt)) req.tsRecent = optTsval;
  if (skb.cb0 == req.rcvIsn) flags &= ~TCPHDR_SYN;
  if (flags & (TCPHDR_RST | TCPHDR_SYN)) {
    snmpInc(ns, SNMP_TCP_ATTEMPTFAILS);
    if (!(flags & TCPHDR_RST)) tcpSendReset(ns, skb);
    reqFree(req);
    dropSkb(skb, DROP_TCP_RESET);
    return;
  }
  if (!(flags & TCPHDR_ACK)) {
    dropSkb(skb, DROP_TCP_FLAGS);
    return;
  }
  establish(req, skb, ts);
}

/** The third segment: a socket is born and waits for accept() (tcp_v4_syn_recv_sock, tcp_create_openreq_child). */
function establish(req: TcpReq, skb: Skb, ts: bool): void {
  const listener = changetype<TcpSock>(req.listener);
  const ns = changetype<NetNs>(req.ns);
  if (listener.acceptCount > listener.backlog) {
    snmpInc(ns, SNMP_TCPEXT_LISTENOVERFLOWS);
    snmpInc(ns, SNMP_TCPEXT_LISTENDROPS);
    dropSkb(skb, DROP_TCP_LISTEN_OVERFLOW);
    return;
  }
  if (routeLookup(ns, req.remoteIp, req.localIp, 0) != 0) {
    dropSkb(skb, DROP_TCP_LISTEN_OVERFLOW);
    return;
  }
  const child = newChild(listener, req, skb);
  reqFree(req);
  ehashInsert(changetype<usize>(child));
  child.parent = changetype<usize>(listener);
  child.acceptNext = 0;
  child.tf |= TF_IN_ACCEPT;
  child.flags |= SOCK_KERNEL; // nobody to wake before accept()
  if (listener.acceptTail == 0) listener.acceptHead = changetype<usize>(child);
  else changetype<TcpSock>(listener.acceptTail).acceptNext = changetype<usize>(child);
  listener.acceptTail = changetype<usize>(child);
  listener.acceptCount++;
  snmpInc(ns, SNMP_TCP_PASSIVEOPENS);
  sockWake(listener);
  tcpRcvChild(child, skb);
}

function newChild(listener: TcpSock, req: TcpReq, skb: Skb): TcpSock {
  const child = tcpNew(changetype<NetNs>(req.ns));
  child.localIp = req.localIp;
  child.remoteIp = req.remoteIp;
  child.localPort = req.localPort;
  child.remotePort = req.remotePort;
  child.bindBucket = bindHold(listener.bindBucket);
  child.state = TCP_SYN_RECV;
  child.tf = req.options | TF_BOUND | (listener.tf & TF_NODELAY);
  child.tos = listener.tos;
  child.ttl = listener.ttl;
  child.mark = req.mark;
  child.rxMax = listener.rxMax;
  child.txhash = req.txhash;
  child.ipid = rand32(changetype<Host>(req.host)) & 0xffff;
  const isn = req.sntIsn + 1;
  child.sndUna = isn;
  child.sndNxt = isn;
  child.writeSeq = isn;
  child.pushedSeq = isn;
  child.sndSml = isn;
  child.rttSeq = isn;
  child.rcvNxt = req.rcvIsn + 1;
  child.copiedSeq = child.rcvNxt;
  child.rcvWup = child.rcvNxt;
  child.rcvWnd = req.rcvWnd;
  child.rcvSsthresh = req.rcvWnd;
  child.windowClamp = req.windowClamp;
  child.rcvWscale = req.options & TF_WSCALE_OK ? req.rcvWscale : 0;
  child.sndWscale = req.sndWscale;
  if (!(req.options & TF_WSCALE_OK) && child.windowClamp > 65535) child.windowClamp = 65535;
  child.sndWl1 = skb.cb0;
  child.sndWnd = tcpWindow(skb.th) << child.sndWscale;
  child.maxWindow = child.sndWnd;
  child.tsOffset = req.tsOffset;
  child.tsRecent = req.tsRecent;
  child.headerLen = TCP_HLEN;
  if (req.options & TF_TS_OK) {
    child.tsRecentStamp = now;
    child.headerLen += TCPOLEN_TSTAMP_ALIGNED;
  }
  child.mssClamp = req.mss;
  child.advmss = advertisedMss();
  syncMss(child, RtResult.rtMtu);
  initRcvMss(child);
  child.totalRetrans = req.numRetrans;
  if (req.numRetrans == 0) {
    // tcp_synack_rtt_meas
    const rtt = <u32>((now - req.synAckTime) / NS_PER_US);
    updateMinRtt(child, rtt == 0 ? 1 : rtt);
    rttEstimator(child, rtt);
    setRto(child);
  }
  return child;
}

/** The SYN-ACK of a simultaneous open, from the socket itself. */
export function sendSynAck(tp: TcpSock): void {
  transmitSynAck(tp);
}

/** An ACK that no socket stands behind (tcp_v4_send_ack): DF, id 0. `at` = request or TIME_WAIT record. */
export function bareAck(at: usize, seq: u32, ack: u32, window: u32, ts: bool, tsOffset: u32, tsRecent: u32, tos: u32, txhash: u32): void {
  const mini = changetype<TcpMini>(at);
  const skb = allocSkb(changetype<Host>(mini.host), SKB_HEADROOM, TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED);
  const size = TCP_HLEN + (ts ? TCPOLEN_TSTAMP_ALIGNED : 0);
  const th = skbPut(skb, size);
  emitTcp(th, mini.localPort, mini.remotePort, seq, ack, size, TCPHDR_ACK, window);
  if (ts) emitTimestamps(th + TCP_HLEN, tsClock() + tsOffset, tsRecent);
  skb.hash = txhash;
  skb.flags |= SKB_HASHED | SKB_L4_HASH;
  snmpInc(changetype<NetNs>(mini.ns), SNMP_TCP_OUTSEGS);
  sendBare(changetype<NetNs>(mini.ns), skb, mini.localIp, mini.remoteIp, tos);
}
