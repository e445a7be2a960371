/** ICMP errors about TCP segments (net/ipv4/tcp_ipv4.c tcp_v4_err, tcp_v4_mtu_reduced, tcp_ld_RTO_revert). */
import {
  ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENONET, ENOPROTOOPT, EOPNOTSUPP, EPROTO, TCP_CLOSE,
  TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT,
} from "../abi";
import { sockRoute } from "../inet/route";
import { SNMP_TCPEXT_OUTOFWINDOWICMPS, snmpInc } from "../inet/snmp";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import { between } from "../wire/tcp";
import { PMTUDISC_DONT } from "./socket";
import { setRto } from "./tcp-ack";
import { tcpDone, tcpReap } from "./tcp-input";
import { reqIcmpError } from "./tcp-minisocks";
import { currentMss, syncMss } from "./tcp-output";
import { markLost } from "./tcp-rack";
import { xmitRetransmitQueue } from "./tcp-retrans";
import { CA_LOSS, TCP_RTO_MAX, TCP_TIMEOUT_INIT, TIME_RETRANS } from "./tcp-const";
import { TcpSock, TxSeg, currentSsthresh } from "./tcp-sock";
import { SOCK_REQ, SOCK_TW, TcpMini, ehashLookup } from "./tcp-tables";
import { resetXmitTimer } from "./tcp-xmit";

const ICMP_DEST_UNREACH: u32 = 3;
const ICMP_TIME_EXCEEDED: u32 = 11;
const ICMP_PARAMETERPROB: u32 = 12;
const ICMP_FRAG_NEEDED: u32 = 4;

/** icmp_err_convert: errno of an unreachable code. */
function convert(code: u32): u32 {
  switch (code) {
    case 0:
    case 6:
    case 9:
    case 11:
      return ENETUNREACH;
    case 2:
      return ENOPROTOOPT;
    case 3:
      return ECONNREFUSED;
    case 4:
      return EMSGSIZE;
    case 5:
      return EOPNOTSUPP;
    case 7:
      return EHOSTDOWN;
    case 8:
      return ENONET;
    default:
      return EHOSTUNREACH;
  }
}

/** An ICMP error quotes a segment of ours: `ip` and `th` point to the quoted headers, `length` bytes from th. */
export function tcpErr(skb: Skb, ip: usize, th: usize, length: u32, type: u32, code: u32, info: u32): void {
  if (length < 8) return;
  const ns = changetype<NetDev>(skb.dev).ns;
  const local = bswap<u32>(load<u32>(ip, 12));
  const remote = bswap<u32>(load<u32>(ip, 16));
  const at = ehashLookup(ns, local, <u32>bswap<u16>(load<u16>(th)), remote, <u32>bswap<u16>(load<u16>(th, 2)));
  if (at == 0) return;
  const kind = changetype<TcpMini>(at).flags;
  if (kind & SOCK_TW) return;
  const seq = bswap<u32>(load<u32>(th, 4));
  if (kind & SOCK_REQ) {
    const fatal = type != ICMP_DEST_UNREACH || code == 0 || code == 1;
    reqIcmpError(at, seq, fatal);
    return;
  }
  const tp = changetype<TcpSock>(at);
  if (tp.state == TCP_CLOSE || tp.state == TCP_LISTEN) return;
  if (!between(seq, tp.sndUna, tp.sndNxt)) {
    snmpInc(changetype<NetNs>(ns), SNMP_TCPEXT_OUTOFWINDOWICMPS);
    return;
  }
  handle(tp, seq, type, code, info);
  tcpReap(tp);
}

function handle(tp: TcpSock, seq: u32, type: u32, code: u32, info: u32): void {
  let err: u32;
  if (type == ICMP_DEST_UNREACH) {
    if (code > 15) return;
    if (code == ICMP_FRAG_NEEDED) {
      mtuReduced(tp, info);
      return;
    }
    err = convert(code);
    if (code <= 1) rtoRevert(tp, seq);
  } else if (type == ICMP_TIME_EXCEEDED) err = EHOSTUNREACH;
  else if (type == ICMP_PARAMETERPROB) err = EPROTO;
  else return;
  if (tp.state == TCP_SYN_SENT || tp.state == TCP_SYN_RECV) {
    tp.err = err;
    tcpDone(tp);
  } else tp.errSoft = err;
}

/** The path MTU sank: smaller segments, and what is too large goes out again. */
function mtuReduced(tp: TcpSock, info: u32): void {
  tp.dstGen = 0;
  if (sockRoute(tp) != 0) return;
  if (info < tp.dstMtu) tp.errSoft = EMSGSIZE;
  if (tp.pmtuDisc == PMTUDISC_DONT || tp.pmtu <= tp.dstMtu) return;
  syncMss(tp, tp.dstMtu);
  simpleRetransmit(tp);
}

/** tcp_simple_retransmit: marks the segments that don't fit any more, without touching the window. */
function simpleRetransmit(tp: TcpSock): void {
  const mss = currentMss(tp);
  const lost = tp.lostOut;
  for (let p = tp.txHead; p != 0 && p != tp.sendHead; p = changetype<TxSeg>(p).next)
    if (changetype<TxSeg>(p).len > mss) markLost(tp, changetype<TxSeg>(p));
  if (lost == tp.lostOut) return;
  if (tp.caState != CA_LOSS) {
    tp.highSeq = tp.sndNxt;
    tp.ssthresh = currentSsthresh(tp);
    tp.priorSsthresh = 0;
    tp.undoMarker = 0;
    tp.caState = CA_LOSS;
  }
  xmitRetransmitQueue(tp);
}

/** A router says why nothing arrives: one backoff less (RFC 6069). */
function rtoRevert(tp: TcpSock, seq: u32): void {
  if (seq != tp.sndUna || tp.retransmits == 0 || tp.backoff == 0 || tp.txHead == 0) return;
  tp.backoff--;
  if (tp.srttUs != 0) setRto(tp);
  else tp.rto = TCP_TIMEOUT_INIT;
  const rto = tp.rto << <i64>tp.backoff;
  tp.rto = rto < TCP_RTO_MAX ? rto : TCP_RTO_MAX;
  const left = changetype<TxSeg>(tp.txHead).time + tp.rto - now;
  resetXmitTimer(tp, TIME_RETRANS, left > 0 ? left : 0);
}
