/** The border of traffic that the kernel makes and measures by itself (src/kernel/traffic-meter.ts). */
import {
  METER_DELAYS, METER_ERRORS, METER_GROUPS, METER_SEEN_BYTES, METER_SEEN_COUNT, METER_SEEN_DUPLICATES, METER_SEEN_FLOW, METER_SEEN_RECORD,
  METER_SEEN_REORDERED, METER_SEEN_TAG, METER_SENT_BYTES, METER_SENT_COUNT, METER_SENT_FAILED, METER_SENT_FLOW, METER_SENT_RECEIVED, METER_SENT_RECORD,
} from "../abi";
import { NetNs } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { Host } from "../sim/host";
import { exponential } from "../sim/exponential";
import { Histogram, histWrite } from "./histogram";
import { FlowSeen, FlowSent, Meter, meterDelaysOf, meterMake, meterPut } from "./meter";
import { SOCK_KERNEL, SOCK_SINK } from "./socket";
import { Requests, appRequests, appServe } from "./tcp-app";
import { udpBindSock, udpDestroy, udpOpenSock } from "./udp";
import { MeasuredFlow, flowMeasured } from "./udp-flow";

/** A meter of a host, with nothing measured: its handle. */
export function meterNew(host: usize): usize {
  return changetype<usize>(meterMake(changetype<Host>(host)));
}

/** The owner gives it up. The handle is gone. */
export function meterFree(handle: usize): void {
  meterPut(changetype<Meter>(handle));
}

/** Opens a measuring sink on a UDP port of any address: 0 or -EADDRINUSE. It lives as long as its namespace. */
export function meterListen(handle: usize, ns: usize, port: u32, tag: u32): i32 {
  const sk = udpOpenSock(changetype<NetNs>(ns));
  const error = udpBindSock(sk, 0, port);
  if (error != 0) {
    udpDestroy(sk);
    return error;
  }
  sk.flags |= SOCK_KERNEL | SOCK_SINK;
  sk.meter = handle;
  sk.tag = tag;
  changetype<Meter>(handle).users++;
  return 0;
}

/**
 * Sends datagrams of `length` bytes from a port of its own: at `startIn` ns from now and every `interval` ns from there, or at
 * the instants of a Poisson process of that mean interval from then on, as long as that is before `endIn`. 0 or -EADDRINUSE.
 */
export function meterGenerate(
  handle: usize, ns: usize, flow: u32, group: u32, sport: u32, dst: u32, dport: u32, length: u32,
  startIn: f64, endIn: f64, interval: f64, poisson: u32, seedHigh: u32, seedLow: u32,
): i32 {
  const sk = udpOpenSock(changetype<NetNs>(ns));
  const error = udpBindSock(sk, 0, sport);
  if (error != 0) {
    udpDestroy(sk);
    return error;
  }
  sk.flags |= SOCK_KERNEL | SOCK_SINK;
  MeasuredFlow.flow = flow;
  MeasuredFlow.group = group & (METER_GROUPS - 1);
  MeasuredFlow.dst = dst;
  MeasuredFlow.port = dport;
  MeasuredFlow.length = length;
  MeasuredFlow.startIn = <i64>startIn;
  MeasuredFlow.endIn = <i64>endIn;
  MeasuredFlow.interval = interval;
  MeasuredFlow.poisson = poisson != 0;
  MeasuredFlow.seed = (<u64>seedHigh << 32) | <u64>seedLow;
  flowMeasured(changetype<Meter>(handle), sk);
  return 0;
}

/** What flows sent, in the order in which they were made: METER_SENT_* records in scratch, from the `skip`-th on; how many. */
export function meterSent(handle: usize, skip: u32): u32 {
  const out = scratch();
  const most = SCRATCH_SIZE / METER_SENT_RECORD;
  let count: u32 = 0;
  for (let p = changetype<Meter>(handle).firstSent; p != 0 && count < most; p = changetype<FlowSent>(p).next) {
    if (skip > 0) {
      skip--;
      continue;
    }
    const sent = changetype<FlowSent>(p);
    const at = out + <usize>(count++ * METER_SENT_RECORD);
    store<u32>(at, sent.flow, METER_SENT_FLOW);
    store<f64>(at, <f64>sent.sent, METER_SENT_COUNT);
    store<f64>(at, <f64>sent.failed, METER_SENT_FAILED);
    store<f64>(at, <f64>sent.received, METER_SENT_RECEIVED);
    store<f64>(at, <f64>sent.bytes, METER_SENT_BYTES);
  }
  return count;
}

/** What came to sinks, in the order of the first datagrams: METER_SEEN_* records in scratch, from the `skip`-th on; how many. */
export function meterSeen(handle: usize, skip: u32): u32 {
  const out = scratch();
  const most = SCRATCH_SIZE / METER_SEEN_RECORD;
  let count: u32 = 0;
  for (let p = changetype<Meter>(handle).firstSeen; p != 0 && count < most; p = changetype<FlowSeen>(p).next) {
    if (skip > 0) {
      skip--;
      continue;
    }
    const seen = changetype<FlowSeen>(p);
    const at = out + <usize>(count++ * METER_SEEN_RECORD);
    store<u32>(at, seen.flow, METER_SEEN_FLOW);
    store<u32>(at, seen.tag, METER_SEEN_TAG);
    store<f64>(at, <f64>seen.count, METER_SEEN_COUNT);
    store<f64>(at, <f64>seen.bytes, METER_SEEN_BYTES);
    store<u32>(at, seen.reordered, METER_SEEN_REORDERED);
    store<u32>(at, seen.duplicates, METER_SEEN_DUPLICATES);
  }
  return count;
}

/** Delays of a group in scratch: count, sum, smallest, largest as f64, then the buckets as u32. How many buckets; 0 = no delay. */
export function meterDelays(handle: usize, group: u32): u32 {
  const at = meterDelaysOf(changetype<Meter>(handle), group);
  if (at == 0) return 0;
  const hist = changetype<Histogram>(at);
  const out = scratch();
  store<f64>(out, <f64>hist.count);
  store<f64>(out, <f64>hist.sum, 8);
  store<f64>(out, <f64>hist.min, 16);
  store<f64>(out, <f64>hist.max, 24);
  return histWrite(hist, out + METER_DELAYS);
}

/** Answers requests to a TCP port of any address with `response` bytes each: 0 or -EADDRINUSE. It lives as long as its namespace. */
export function meterServe(handle: usize, ns: usize, port: u32, tag: u32, response: u32): i32 {
  return appServe(changetype<Meter>(handle), changetype<NetNs>(ns), port, tag, response);
}

/**
 * Sends requests at the instants of a Poisson process of that mean interval from `startIn` on, as long as that is before
 * `endIn`; each from the next of `ports` source ports, which are `portStep` apart, and waits for `response` bytes.
 */
export function meterRequest(
  handle: usize, ns: usize, flow: u32, group: u32, firstPort: u32, portStep: u32, ports: u32, dst: u32, dport: u32,
  response: u32, startIn: f64, endIn: f64, interval: f64, seedHigh: u32, seedLow: u32,
): void {
  Requests.flow = flow;
  Requests.group = group & (METER_GROUPS - 1);
  Requests.dst = dst;
  Requests.dport = dport;
  Requests.firstPort = firstPort;
  Requests.portStep = portStep;
  Requests.ports = ports;
  Requests.response = response;
  Requests.startIn = <i64>startIn;
  Requests.endIn = <i64>endIn;
  Requests.interval = interval;
  Requests.seed = (<u64>seedHigh << 32) | <u64>seedLow;
  appRequests(changetype<Meter>(handle), changetype<NetNs>(ns));
}

/** How often requests failed, by errno: METER_ERRORS f64 in scratch; 0 when none did. */
export function meterFailures(handle: usize): usize {
  const failures = changetype<Meter>(handle).failures;
  if (failures == 0) return 0;
  const out = scratch();
  for (let i: usize = 0; i < <usize>METER_ERRORS; i++) store<f64>(out + (i << 3), <f64>load<u64>(failures + (i << 3)));
  return out;
}

/** Datagrams that came to sinks and belong to no flow. */
export function meterStrays(handle: usize): f64 {
  return <f64>changetype<Meter>(handle).strays;
}

/** The n-th number of a stream of exponentially distributed ones with mean 1. */
export function exponentialAt(seedHigh: u32, seedLow: u32, n: u32): f64 {
  return exponential((<u64>seedHigh << 32) | <u64>seedLow, <u64>n);
}
