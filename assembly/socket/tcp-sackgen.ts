/** The SACK and D-SACK blocks that a receiver sends (RFC 2018, RFC 2883; net/ipv4/tcp_input.c tcp_sack_new_ofo_skb, tcp_dsack_set). */
import { SNMP_TCPEXT_TCPDSACKOFOSENT, SNMP_TCPEXT_TCPDSACKOLDSENT, snmpInc } from "../inet/snmp";
import { timerDel } from "../sim/timer";
import { after, before } from "../wire/tcp";
import { sendAck } from "./tcp-output";
import { TF_SACK_OK } from "./tcp-const";
import { TcpSock, sackAt, sackTimer, tcpNs } from "./tcp-sock";

@inline
function getBlock(tp: TcpSock, i: u32): u64 {
  return load<u64>(sackAt(tp, i));
}
@inline
function setBlock(tp: TcpSock, i: u32, block: u64): void {
  store<u64>(sackAt(tp, i), block);
}
@inline
function pair(start: u32, end: u32): u64 {
  return (<u64>end << 32) | <u64>start;
}

/** The union of a block with a range that touches it, 0 when it doesn't (tcp_sack_extend). */
function extended(block: u64, seq: u32, end: u32): u64 {
  let start = <u32>block;
  let stop = <u32>(block >> 32);
  if (after(seq, stop) || after(start, end)) return 0;
  if (before(seq, start)) start = seq;
  if (after(end, stop)) stop = end;
  return pair(start, stop);
}

/** tcp_dsack_set. */
export function dsackSet(tp: TcpSock, seq: u32, end: u32): void {
  if (!(tp.tf & TF_SACK_OK)) return;
  snmpInc(tcpNs(tp), before(seq, tp.rcvNxt) ? SNMP_TCPEXT_TCPDSACKOLDSENT : SNMP_TCPEXT_TCPDSACKOFOSENT);
  tp.dsackOn = 1;
  tp.dsack = pair(seq, end);
}

/** Widens the D-SACK that the next ACK reports (tcp_dsack_extend). */
export function dsackExtend(tp: TcpSock, seq: u32, end: u32): void {
  if (!tp.dsackOn) dsackSet(tp, seq, end);
  else {
    const union = extended(tp.dsack, seq, end);
    if (union != 0) tp.dsack = union;
  }
}

/** A compressed ACK waits although the blocks change: send it first (tcp_sack_compress_send_ack). */
function flushCompressed(tp: TcpSock): void {
  if (tp.compressedAck == 0) return;
  timerDel(sackTimer(tp));
  sendAck(tp);
}

/** The most recent block comes first (tcp_sack_new_ofo_skb). */
export function sackNew(tp: TcpSock, seq: u32, end: u32): void {
  let i: u32 = 0;
  for (; i < tp.numSacks; i++) {
    const union = extended(getBlock(tp, i), seq, end);
    if (union == 0) continue;
    if (i >= 2) flushCompressed(tp);
    for (let k = i; k > 0; k--) setBlock(tp, k, getBlock(tp, k - 1));
    setBlock(tp, 0, union);
    if (tp.numSacks > 1) sackCoalesce(tp);
    return;
  }
  if (i >= 2) flushCompressed(tp);
  if (i >= 4) {
    i--;
    tp.numSacks--;
  }
  for (; i > 0; i--) setBlock(tp, i, getBlock(tp, i - 1));
  setBlock(tp, 0, pair(seq, end));
  tp.numSacks++;
}

/** tcp_sack_maybe_coalesce: later blocks that touch the first. */
function sackCoalesce(tp: TcpSock): void {
  let i: u32 = 1;
  while (i < tp.numSacks) {
    const other = getBlock(tp, i);
    const union = extended(getBlock(tp, 0), <u32>other, <u32>(other >> 32));
    if (union == 0) {
      i++;
      continue;
    }
    setBlock(tp, 0, union);
    removeBlock(tp, i);
  }
}

function removeBlock(tp: TcpSock, at: u32): void {
  tp.numSacks--;
  for (let k = at; k < tp.numSacks; k++) setBlock(tp, k, getBlock(tp, k + 1));
}

/** tcp_sack_remove: blocks that rcv_nxt has passed. */
export function sackRemove(tp: TcpSock): void {
  if (tp.ofoHead == 0) {
    tp.numSacks = 0;
    return;
  }
  let i: u32 = 0;
  while (i < tp.numSacks) {
    if (before(tp.rcvNxt, <u32>getBlock(tp, i))) i++;
    else removeBlock(tp, i);
  }
}
