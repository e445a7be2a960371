/**
 * A packet generator in the kernel, as pktgen (net/core/pktgen.c) is, but through a UDP socket and the whole
 * output path: datagrams of a fixed pattern at fixed intervals, driven by a timer.
 */
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { now } from "../sim/event";
import { Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { Host } from "../sim/host";
import { UdpSock, udpSend } from "./udp";

/** A stream of datagrams that the kernel sends by itself. */
@unmanaged
export class UdpFlow extends Timer {
  sk: usize;
  next: usize; // next flow of the socket
  dst: u32;
  port: u32;
  length: u32;
  left: u32;
  interval: i64;
  sent: u64;
  failed: u64;
}

const PATTERN: u32 = 65536;
let pattern: usize = 0;

/** Starts a flow of `count` datagrams, the first one now, the others every `interval` ns (at least 1). Returns its handle. */
export function flowStart(sk: UdpSock, dst: u32, port: u32, length: u32, interval: i64, count: u32): usize {
  if (pattern == 0) {
    pattern = kmallocRaw(PATTERN);
    for (let i: u32 = 0; i < PATTERN; i++) store<u8>(pattern + i, <u8>i);
  }
  const flow = changetype<UdpFlow>(kmalloc(offsetof<UdpFlow>()));
  timerInit(flow, changetype<Host>(sk.host), changetype<usize>(tick), changetype<usize>(flow));
  flow.sk = changetype<usize>(sk);
  flow.dst = dst;
  flow.port = port;
  flow.length = length;
  flow.interval = interval < 1 ? 1 : interval;
  flow.left = count;
  flow.next = sk.flows;
  sk.flows = changetype<usize>(flow);
  timerMod(flow, now);
  return changetype<usize>(flow);
}

function tick(arg: usize): void {
  const flow = changetype<UdpFlow>(arg);
  if (flow.left == 0) return;
  flow.left--;
  const sk = changetype<UdpSock>(flow.sk);
  const connected = sk.remoteIp != 0 && sk.remoteIp == flow.dst && sk.remotePort == flow.port;
  if (udpSend(sk, pattern, flow.length, flow.dst, flow.port, connected) == 0) flow.sent++;
  else flow.failed++;
  if (flow.left != 0) timerMod(flow, now + flow.interval);
}

/** Stops and frees all flows of a socket. */
export function flowsStop(sk: UdpSock): void {
  while (sk.flows != 0) {
    const flow = changetype<UdpFlow>(sk.flows);
    sk.flows = flow.next;
    timerDel(flow);
    kfree(changetype<usize>(flow), offsetof<UdpFlow>());
  }
}
