/**
 * The kernel's exports. One instance carries all hosts and namespaces of one worker. Everything that
 * crosses is a number; see each border file for records.
 */
import { RUN_BUDGET, RUN_CAPTURE, RUN_DONE, RUN_WAKES } from "./abi";
import { captureWantsDraining } from "./link/capture";
import { downlinkArrived, uplinkArrived } from "./link/fabric";
import { softirq } from "./link/netdev";
import { namespaces } from "./link/netns";
import { MAX_WORKERS, inboxTake as takeFrames, outboxCount, outboxEarliest as earliest, outboxFlip as flip, outboxReturn as setReturn, wireImport as importFrame } from "./link/outbox";
import { setWorker } from "./link/port";
import { frameArrived } from "./link/underlay";
import { blocksInUse, bytesInUse } from "./memory/arena";
import { Skb } from "./memory/skb";
import { EV_FRAME, EV_TIMER, EV_UPLINK, EventNode, clock, endRunNever, horizon, nextTime, pending, now, popEvent, setNow, skipped } from "./sim/event";
import { Timer, timerFire } from "./sim/timer";
import { inetInit } from "./inet/inet";
import { wakeCount } from "./socket/socket";
import { ipvsInit } from "./ipvs/ipvs";
import { netfilterInit } from "./netfilter/netfilter";

export { captureBuffer, captureClear, captureLost, captureUsed } from "./link/capture";
export { dropLog } from "./link/drops";
export { marksSet } from "./link/marks";
export { inboxReserve, outboxCount, outboxBytes, outboxRecords, outboxUsed } from "./link/outbox";
export { snmpStray } from "./inet/snmp";
export { quietSkip, quietUntil } from "./quiet";
export { scratch } from "./memory/scratch";
export { watch, watched } from "./sim/watch";
export { clearWakes, sockTakeError, wakeList } from "./socket/socket";
export * from "./link/border";
export * from "./inet/border";
export * from "./netfilter/border";
export * from "./ipvs/border";
export * from "./xfrm/border";
export * from "./crypto/border";
export * from "./socket/udp-border";
export * from "./socket/meter-border";
export * from "./socket/tcp-border";
export * from "./socket/sctp-border";

/** A delay of 73 years: there is no way back. */
const FAR: f64 = 0x2000000000000000;

/** Once, before anything else: which worker this is. */
export function boot(worker: u32): void {
  setWorker(worker);
  for (let other: u32 = 0; other < MAX_WORKERS; other++) setReturn(other, <i64>FAR);
  inetInit();
  netfilterInit();
  ipvsInit();
}

let events: u64 = 0;
/** When the last one was. */
let lastAt: i64 = 0;

/**
 * Handles events up to and including `until` (ns). Stops early, at the instant of the event, when a socket
 * has news for a program, when the capture buffer wants draining, or after `budget` events. Returns RUN_*;
 * after RUN_DONE the clock stands at `until`, or right before windowEnd() where that is not later.
 */
export function run(until: f64, budget: u32): u32 {
  let end = <i64>until - skipped;
  if (horizon <= end) end = horizon - 1;
  let left = budget;
  while (nextTime() <= end) {
    const event = popEvent();
    events++;
    const kind = changetype<EventNode>(event).evKind;
    if (kind == EV_FRAME) frameArrived(changetype<Skb>(event));
    else if (kind == EV_TIMER) timerFire(changetype<Timer>(event));
    else if (kind == EV_UPLINK) uplinkArrived(changetype<Skb>(event));
    else downlinkArrived(changetype<Skb>(event));
    softirq();
    if (horizon <= end) end = horizon - 1;
    if (wakeCount != 0) return stopped(RUN_WAKES);
    if (captureWantsDraining()) return stopped(RUN_CAPTURE);
    if (--left == 0) return stopped(RUN_BUDGET);
  }
  if (left != budget) lastAt = clock();
  if (now < end) setNow(end);
  return RUN_DONE;
}

function stopped(why: u32): u32 {
  lastAt = clock();
  return why;
}

/** When the last event was handled, ns. */
export function lastEvent(): f64 {
  return <f64>lastAt;
}

/** The time of day, ns. */
export function time(): f64 {
  return <f64>clock();
}

/** Moves the clock forward to a time before which nothing is due: a fault or a boot happens then. */
export function setTime(to: f64): void {
  const time = <i64>to - skipped;
  assert(nextTime() >= time, "events are due before that time");
  if (now < time) setNow(time);
}

/** When the next event is due, ns; infinity when there is none. */
export function nextEvent(): f64 {
  const next = nextTime();
  return next == i64.MAX_VALUE ? Infinity : <f64>(next + skipped);
}

/** Events handled so far. */
export function eventCount(): f64 {
  return <f64>events;
}

/** Events in the queue, timers included. */
export function eventsPending(): u32 {
  return pending();
}

/** Sockets that have news for their programs and wait to be asked. */
export function wakesPending(): u32 {
  return wakeCount;
}

/** Memory handed out, for the leak test. */
export function memoryInUse(): f64 {
  return <f64>bytesInUse;
}

/** Blocks of the arena in use: what a leak test compares. */
export function blocksHeld(): u32 {
  return blocksInUse;
}

/** Network namespaces, of all hosts. */
export function namespaceCount(): u32 {
  return namespaces;
}

/** At a barrier: what was sent becomes readable, what was read is reused, and the window may be as long as it likes. */
export function outboxFlip(): void {
  flip();
  endRunNever();
}

/** Says how soon, in ns, a frame's arrival at another worker can have an effect here; infinity = never. */
export function outboxReturn(worker: u32, delay: f64): void {
  setReturn(worker, delay < FAR ? <i64>delay : <i64>FAR);
}

/** Where the present window ends because of what was sent in it, ns; infinity when nothing was. */
export function windowEnd(): f64 {
  return horizon == i64.MAX_VALUE ? Infinity : <f64>(horizon + skipped);
}

/** The earliest arrival in the outbox for a worker that was closed last, ns; infinity when it is empty. */
export function outboxEarliest(worker: u32): f64 {
  return outboxCount(worker) == 0 ? Infinity : <f64>earliest(worker);
}

/** Takes the frames in the inbox, see link/outbox.ts. */
export function inboxTake(count: u32, from: u32, notBefore: f64): void {
  takeFrames(count, from, <i64>notBefore);
}

/**
 * A frame from another worker: returns where its bytes go. Times and ties cross as two words each; the last three are
 * words of its record that are 0 on a flat segment (OUT_VIA, OUT_FROM, OUT_LATE).
 */
export function wireImport(port: u32, arrivalHigh: u32, arrivalLow: u32, tieHigh: u32, tieLow: u32, len: u32, flags: u32, via: u32, from: u32, late: u32): usize {
  const arrival = <i64>((<u64>arrivalHigh << 32) | <u64>arrivalLow);
  return importFrame(port, arrival, (<u64>tieHigh << 32) | <u64>tieLow, len, flags, via, from, late, 0);
}
