/**
 * The border of UDP, ping and raw sockets. A handle is the address of the socket's record; payloads cross in
 * scratch; errors are negative errno. Every function that may send ends with softirq().
 */
import {
  DGRAM_CODE,
  DGRAM_DATA,
  DGRAM_DST,
  DGRAM_ID,
  DGRAM_INFO,
  DGRAM_LEN,
  DGRAM_SEQ,
  DGRAM_SPORT,
  DGRAM_SRC,
  DGRAM_TIME,
  DGRAM_TTL,
  DGRAM_TYPE,
  EAGAIN,
  SOCK_HANDLE,
  SOCK_LOCAL_IP,
  SOCK_LOCAL_PORT,
  SOCK_RECORD,
  SOCK_REC_TYPE,
  SOCK_REMOTE_IP,
  SOCK_REMOTE_PORT,
  SOCK_RX_BYTES,
  SOCK_TX_BYTES,
} from "../abi";
import { SNMP_UDP_IN_DATAGRAMS, snmpInc } from "../inet/snmp";
import { softirq } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { Skb, consumeSkb } from "../memory/skb";
import { skipped } from "../sim/event";
import { ICMP_HLEN, icmpCode, icmpEchoId, icmpEchoSeq, icmpType } from "../wire/icmp";
import { ipDst, ipHlen, ipSrc, ipTtl } from "../wire/ipv4";
import { UDP_HLEN, udpSport } from "../wire/udp";
import { PING_ERROR, RawSock, pingOpenSock, pingSend, rawBindSock, rawDestroy, rawOpenSock, rawSend } from "./raw";
import { SOCK_BROADCAST, SOCK_SCTP, SOCK_SINK, SOCK_TCP, SOCK_UDP, Sock, sockDequeue } from "./socket";
import { UdpSock, udpBindSock, udpConnectSock, udpDestroy, udpOpenSock, udpSend } from "./udp";
import { UdpFlow, flowStart } from "./udp-flow";

/** socket(AF_INET, SOCK_DGRAM): a handle. */
export function udpOpen(ns: usize): usize {
  return changetype<usize>(udpOpenSock(changetype<NetNs>(ns)));
}

/** ip 0 = any, port 0 = an ephemeral one. 0, -EINVAL, -EADDRNOTAVAIL, -EADDRINUSE. */
export function udpBind(sk: usize, ip: u32, port: u32): i32 {
  return udpBindSock(changetype<UdpSock>(sk), ip, port);
}

/** 0, -ENETUNREACH and other route errors, -EACCES. */
export function udpConnect(sk: usize, ip: u32, port: u32): i32 {
  return udpConnectSock(changetype<UdpSock>(sk), ip, port);
}

/** Sends `length` bytes of scratch to an address: 0 or -errno. */
export function udpSendTo(sk: usize, ip: u32, port: u32, length: u32): i32 {
  const result = udpSend(changetype<UdpSock>(sk), scratch(), length, ip, port, false);
  softirq();
  return result;
}

/** Sends `length` bytes of scratch to the connected peer: 0 or -errno (-EDESTADDRREQ without one). */
export function udpSendConnected(sk: usize, length: u32): i32 {
  const result = udpSend(changetype<UdpSock>(sk), scratch(), length, 0, 0, true);
  softirq();
  return result;
}

/**
 * Looks at the first datagram (or message) in the queue: fills a DGRAM_* header in scratch and returns its length, or -EAGAIN.
 * DGRAM_DATA points to the bytes, which stay until dgramDone.
 */
export function udpRecv(sk: usize): i32 {
  return peek(changetype<Sock>(sk), UDP_HLEN);
}

function peek(sk: Sock, header: u32): i32 {
  if (sk.rxHead == 0) return -EAGAIN;
  const skb = changetype<Skb>(sk.rxHead);
  const out = scratch();
  const ip = skb.nh;
  store<u32>(out, <u32>(skb.data + header), DGRAM_DATA);
  store<u32>(out, skb.len - header, DGRAM_LEN);
  store<u32>(out, ipSrc(ip), DGRAM_SRC);
  store<u32>(out, header == UDP_HLEN ? udpSport(skb.data) : 0, DGRAM_SPORT);
  store<u32>(out, ipDst(ip), DGRAM_DST);
  store<u32>(out, ipTtl(ip), DGRAM_TTL);
  store<i64>(out, skb.time + skipped, DGRAM_TIME);
  return <i32>(skb.len - header);
}

/** The datagram that was looked at has been read: frees it. */
export function dgramDone(at: usize): void {
  const sk = changetype<Sock>(at);
  const skb = sockDequeue(sk);
  if (skb == 0) return;
  if (sk.type == SOCK_UDP) snmpInc(changetype<NetNs>(sk.ns), SNMP_UDP_IN_DATAGRAMS);
  consumeSkb(changetype<Skb>(skb));
}

/** Closes a UDP, ping or raw socket. */
export function dgramClose(at: usize): void {
  const sk = changetype<Sock>(at);
  if (sk.type == SOCK_UDP) udpDestroy(sk);
  else rawDestroy(sk);
}

/** SO_BROADCAST. */
export function sockSetBroadcast(at: usize, on: u32): void {
  const sk = changetype<Sock>(at);
  sk.flags = on ? sk.flags | SOCK_BROADCAST : sk.flags & ~SOCK_BROADCAST;
}

/** IP_TTL: 0 = the namespace's default. */
export function sockSetTtl(sk: usize, ttl: u32): void {
  changetype<Sock>(sk).ttl = ttl & 0xff;
}

/** IP_TOS. */
export function sockSetTos(sk: usize, tos: u32): void {
  changetype<Sock>(sk).tos = tos & 0xff;
}

/** IP_MTU_DISCOVER: 0 dont, 1 want, 2 do. */
export function sockSetPmtuDisc(sk: usize, mode: u32): void {
  changetype<Sock>(sk).pmtuDisc = mode;
}

/** SO_MARK. */
export function sockSetMark(sk: usize, mark: u32): void {
  changetype<Sock>(sk).mark = mark;
}

/** SO_RCVBUF and SO_SNDBUF as they are after the kernel doubled them; bytes of buffers, not of payload. 0 = unchanged. */
export function sockSetBuffers(at: usize, receive: u32, send: u32): void {
  const sk = changetype<Sock>(at);
  if (receive != 0) sk.rxMax = receive;
  if (send != 0) sk.txMax = send;
}

/** Receive and count only (benchmarks). */
export function sockSetSink(at: usize, on: u32): void {
  const sk = changetype<Sock>(at);
  sk.flags = on ? sk.flags | SOCK_SINK : sk.flags & ~SOCK_SINK;
}

/** Local address and port of a socket (a ping socket's port is its id): two u32 in scratch. */
export function sockLocal(at: usize): usize {
  const sk = changetype<Sock>(at);
  const out = scratch();
  store<u32>(out, sk.localIp);
  store<u32>(out, sk.localPort, 4);
  return out;
}

/** Packets and payload bytes received by a socket, as two f64 in scratch. */
export function sockReceived(at: usize): usize {
  const sk = changetype<Sock>(at);
  const out = scratch();
  store<f64>(out, <f64>sk.rxPackets);
  store<f64>(out, <f64>sk.rxTotal, 8);
  return out;
}

/** Lists the UDP, ping and raw sockets of a namespace, newest first (SOCK_* records); a vxlan's own socket is one of them, as in ss. */
export function socketDump(ns: usize, skip: u32): u32 {
  const out = scratch();
  const most = SCRATCH_SIZE / SOCK_RECORD;
  let count: u32 = 0;
  for (let p = changetype<NetNs>(ns).sockets; p != 0 && count < most; p = changetype<Sock>(p).nsNext) {
    const sk = changetype<Sock>(p);
    if (sk.type == SOCK_TCP || sk.type == SOCK_SCTP) continue;
    if (skip > 0) {
      skip--;
      continue;
    }
    const at = out + <usize>(count++ * SOCK_RECORD);
    store<u32>(at, <u32>p, SOCK_HANDLE);
    store<u32>(at, sk.type, SOCK_REC_TYPE);
    store<u32>(at, sk.localIp, SOCK_LOCAL_IP);
    store<u32>(at, sk.localPort, SOCK_LOCAL_PORT);
    store<u32>(at, sk.remoteIp, SOCK_REMOTE_IP);
    store<u32>(at, sk.remotePort, SOCK_REMOTE_PORT);
    store<u32>(at, sk.rxBytes, SOCK_RX_BYTES);
    store<u32>(at, sk.txBytes, SOCK_TX_BYTES);
  }
  return count;
}

// ---------------------------------------------------------------------------------------------- generator

/** Starts `count` datagrams of `length` bytes, one every `intervalNs`. Returns the flow's handle. */
export function udpFlowStart(sk: usize, ip: u32, port: u32, length: u32, intervalNs: f64, count: u32): usize {
  return flowStart(changetype<UdpSock>(sk), ip, port, length, <i64>intervalNs, count);
}

/** Sent, failed, and left to send: three f64 in scratch. */
export function udpFlowStats(at: usize): usize {
  const flow = changetype<UdpFlow>(at);
  const out = scratch();
  store<f64>(out, <f64>flow.sent);
  store<f64>(out, <f64>flow.failed, 8);
  store<f64>(out, <f64>flow.left, 16);
  return out;
}

// ---------------------------------------------------------------------------------------------- ping and raw

/** A ping socket with that echo id; 0 = the kernel chooses. A handle or -EADDRINUSE. */
export function icmpOpen(ns: usize, id: u32): i32 {
  return pingOpenSock(changetype<NetNs>(ns), id);
}

/** Sends an echo request with `length` bytes of scratch: 0 or -errno. */
export function icmpSendEcho(sk: usize, ip: u32, seq: u32, length: u32): i32 {
  const result = pingSend(changetype<RawSock>(sk), ip, seq, scratch(), length);
  softirq();
  return result;
}

/**
 * Looks at the first message: an echo reply, or an ICMP error about a request of this socket. Returns the length of its data
 * (behind the ICMP header) or -EAGAIN; dgramDone frees it. For an error DGRAM_ID and DGRAM_SEQ are those of the request.
 */
export function icmpRecv(at: usize): i32 {
  const sk = changetype<Sock>(at);
  const length = peek(sk, ICMP_HLEN);
  if (length < 0) return length;
  const skb = changetype<Skb>(sk.rxHead);
  const out = scratch();
  let echo = skb.data;
  if (skb.cb0 == PING_ERROR) {
    const inner = skb.data + ICMP_HLEN;
    echo = inner + ipHlen(inner);
  }
  store<u32>(out, 0, DGRAM_SPORT);
  store<u32>(out, icmpType(skb.data), DGRAM_TYPE);
  store<u32>(out, icmpCode(skb.data), DGRAM_CODE);
  store<u32>(out, icmpEchoId(echo), DGRAM_ID);
  store<u32>(out, icmpEchoSeq(echo), DGRAM_SEQ);
  store<u32>(out, skb.cb1, DGRAM_INFO);
  return length;
}

/** A raw socket of an IP protocol. */
export function rawOpen(ns: usize, protocol: u32): usize {
  return changetype<usize>(rawOpenSock(changetype<NetNs>(ns), protocol));
}

/** Binds a raw or ping socket to a local address: 0 or -EADDRNOTAVAIL. */
export function rawBind(sk: usize, ip: u32): i32 {
  return rawBindSock(changetype<RawSock>(sk), ip);
}

/** Sends `length` bytes of scratch as the payload of an IP packet: 0 or -errno. */
export function rawSendTo(sk: usize, ip: u32, length: u32): i32 {
  const result = rawSend(changetype<RawSock>(sk), ip, scratch(), length);
  softirq();
  return result;
}

/** Looks at the first packet, IP header included. As udpRecv. */
export function rawRecv(sk: usize): i32 {
  return peek(changetype<Sock>(sk), 0);
}
