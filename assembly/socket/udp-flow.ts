/**
 * A packet generator in the kernel, as pktgen (net/core/pktgen.c) is, but through a UDP socket and the whole
 * output path: datagrams of a fixed pattern at fixed intervals or as a Poisson process, driven by a timer. Those of a
 * measured flow begin with a header (socket/meter), and leave through a connected socket.
 */
import { METER_HEADER } from "../abi";
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { now } from "../sim/event";
import { exponential, streamWord } from "../sim/exponential";
import { Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { Host } from "../sim/host";
import { FlowSent, Meter, meterPut, meterStamp, sentNew } from "./meter";
import { UdpSock, udpConnectSock, udpSend } from "./udp";

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

/** One whose datagrams are measured. */
@unmanaged
export class MeteredFlow extends UdpFlow {
  meter: usize;
  /** What it sent (FlowSent), for the meter. */
  record: usize;
  flow: u32;
  group: u32;
  number: u32; // of the next datagram
  poisson: u32;
  seed: u64;
  mean: f64; // interval, ns
  start: i64;
  end: i64;
}

/** What flowMeasured makes. */
export class MeasuredFlow {
  static flow: u32 = 0;
  static group: u32 = 0;
  static dst: u32 = 0;
  static port: u32 = 0;
  static length: u32 = 0;
  static startIn: i64 = 0;
  static endIn: i64 = 0;
  /** ns. */
  static interval: f64 = 0;
  static poisson: bool = false;
  static seed: u64 = 0;
}

/** Bytes of the pattern. */
export const FLOW_PATTERN: u32 = 65536;
let pattern: usize = 0;
/** The same with room for the header of a measured datagram in front. */
let measured: usize = 0;

function patternNew(): usize {
  const block = kmallocRaw(FLOW_PATTERN);
  for (let i: u32 = 0; i < FLOW_PATTERN; i++) store<u8>(block + i, <u8>i);
  return block;
}

/** 64 KiB of a fixed pattern, that generators send. */
export function flowPattern(): usize {
  if (pattern == 0) pattern = patternNew();
  return pattern;
}

/** Starts a flow of `count` datagrams, the first one now, the others every `interval` ns (at least 1). Returns its handle. */
export function flowStart(sk: UdpSock, dst: u32, port: u32, length: u32, interval: i64, count: u32): usize {
  flowPattern();
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

/** Starts the flow that MeasuredFlow describes. */
export function flowMeasured(meter: Meter, sk: UdpSock): void {
  if (measured == 0) measured = patternNew();
  const flow = changetype<MeteredFlow>(kmalloc(offsetof<MeteredFlow>()));
  timerInit(flow, changetype<Host>(sk.host), changetype<usize>(measuredTick), changetype<usize>(flow));
  flow.sk = changetype<usize>(sk);
  flow.dst = MeasuredFlow.dst;
  flow.port = MeasuredFlow.port;
  flow.length = MeasuredFlow.length;
  flow.meter = changetype<usize>(meter);
  meter.users++;
  flow.record = changetype<usize>(sentNew(meter, MeasuredFlow.flow));
  flow.flow = MeasuredFlow.flow;
  flow.group = MeasuredFlow.group;
  flow.poisson = MeasuredFlow.poisson;
  flow.seed = MeasuredFlow.seed;
  flow.mean = MeasuredFlow.interval;
  flow.start = now + MeasuredFlow.startIn;
  flow.end = now + MeasuredFlow.endIn;
  flow.next = sk.flows;
  sk.flows = changetype<usize>(flow);
  arm(flow, flow.poisson ? flow.start + gap(flow) : flow.start);
}

/** Time before the datagram `number` of a Poisson process, ns. */
@inline
function gap(flow: MeteredFlow): i64 {
  return <i64>(flow.mean * exponential(flow.seed, <u64>flow.number) + 0.5);
}

@inline
function arm(flow: MeteredFlow, time: i64): void {
  if (time < flow.end) timerMod(flow, time);
}

function measuredTick(arg: usize): void {
  const flow = changetype<MeteredFlow>(arg);
  const sk = changetype<UdpSock>(flow.sk);
  const record = changetype<FlowSent>(flow.record);
  if (sk.remoteIp != 0 || connect(sk, flow)) {
    if (flow.length >= <u32>METER_HEADER) meterStamp(measured, flow.flow, flow.number, flow.group);
    if (udpSend(sk, measured, flow.length, 0, 0, true) == 0) record.sent++;
    else record.failed++;
  } else record.failed++;
  flow.number++;
  arm(flow, flow.poisson ? now + gap(flow) : flow.start + <i64>(<f64>flow.number * flow.mean + 0.5));
}

/** Connects a flow's socket; its hash and IP ids are the flow's own, so that they don't depend on what else the host does. */
function connect(sk: UdpSock, flow: MeteredFlow): bool {
  if (udpConnectSock(sk, flow.dst, flow.port) != 0) return false;
  const word = streamWord(~flow.seed, 0);
  sk.txhash = <u32>word | 1;
  sk.ipid = <u32>(word >> 32) & 0xffff;
  return true;
}

/** Stops and frees all flows of a socket. */
export function flowsStop(sk: UdpSock): void {
  while (sk.flows != 0) {
    const flow = changetype<UdpFlow>(sk.flows);
    sk.flows = flow.next;
    timerDel(flow);
    if (flow.fn == changetype<usize>(tick)) kfree(changetype<usize>(flow), offsetof<UdpFlow>());
    else {
      meterPut(changetype<Meter>(changetype<MeteredFlow>(changetype<usize>(flow)).meter));
      kfree(changetype<usize>(flow), offsetof<MeteredFlow>());
    }
  }
}
