/**
 * Virtual time and the event queue. Events have a total order that does not depend on the worker:
 * (time, kind, source host, per-source counter).
 *
 * The queue is a binary heap in linear memory, root at index 1:
 *
 *   node, 24 bytes:  +0 time i64 | +8 tie u64 | +16 event u32 | +20 unused
 *   tie:             kind (4 bits) | host index (20) | that host's counter (40)
 *
 * An event is any record that begins with EventNode. It knows its place in the heap, so it can be removed.
 * A timer that is moved to a later time stays where it is and is put back when its old time comes: TCP
 * re-arms its timers at nearly every segment.
 */
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { Host } from "./host";

/** First words of everything that can stand in the queue. */
@unmanaged
export class EventNode {
  /** Index in the heap; 0 = not queued. */
  heapIdx: u32;
  /** EV_*: how to dispatch it. */
  evKind: u32;
}

export const EV_FRAME: u32 = 0; // a Skb arrives at a port of the underlay
export const EV_TIMER: u32 = 1; // a Timer

/** Kind bits of the order: packets before local events. */
export const ORDER_PACKET: u64 = 0;
export const ORDER_TIMER: u64 = 1;

const NODE: usize = 24;

/** Now, in ns since the start of the run. */
export let now: i64 = 0;
export function setNow(time: i64): void {
  now = time;
}

let heap: usize = 0; // node i at heap + i * NODE
let capacity: u32 = 0;
let count: u32 = 0;

/** How many events are pending. */
export function pending(): u32 {
  return count;
}

/** Time of the next event; i64.MAX_VALUE when there is none. */
@inline
export function nextTime(): i64 {
  return count == 0 ? i64.MAX_VALUE : load<i64>(heap + NODE);
}

/** A tie-break for a new event of a host: consumes one of its counters. */
@inline
export function nextTie(host: Host, kind: u64): u64 {
  return (kind << 60) | (<u64>host.index << 40) | (host.counter++ & 0xffffffffff);
}

@inline
function before(timeA: i64, tieA: u64, timeB: i64, tieB: u64): bool {
  return timeA < timeB || (timeA == timeB && tieA < tieB);
}

@inline
function put(index: u32, time: i64, tie: u64, event: usize): void {
  const node = heap + <usize>index * NODE;
  store<i64>(node, time);
  store<u64>(node, tie, 8);
  store<u32>(node, <u32>event, 16);
  changetype<EventNode>(event).heapIdx = index;
}

function siftUp(start: u32, time: i64, tie: u64, event: usize): void {
  let index = start;
  while (index > 1) {
    const parent = heap + <usize>(index >> 1) * NODE;
    const parentTime = load<i64>(parent);
    const parentTie = load<u64>(parent, 8);
    if (!before(time, tie, parentTime, parentTie)) break;
    put(index, parentTime, parentTie, load<u32>(parent, 16));
    index >>= 1;
  }
  put(index, time, tie, event);
}

/** Queues an event that is not queued. */
export function schedule(event: usize, time: i64, tie: u64): void {
  assert(time >= now, "event in the past");
  if (count + 2 > capacity) grow();
  count++;
  siftUp(count, time, tie, event);
}

function grow(): void {
  const size = capacity == 0 ? 1024 : capacity * 2;
  const block = kmallocRaw(<usize>size * NODE);
  if (capacity != 0) {
    memory.copy(block, heap, <usize>capacity * NODE);
    kfree(heap, <usize>capacity * NODE);
  }
  heap = block;
  capacity = size;
}

/** Takes the node at `index` out: bottom-up deletion (descend to a leaf by the smaller child, then sift up). */
function removeAt(index: u32): void {
  const last = heap + <usize>count * NODE;
  count--;
  if (index > count) return;
  let hole = index;
  for (;;) {
    let child = hole << 1;
    if (child > count) break;
    if (child < count) {
      const left = heap + <usize>child * NODE;
      child += <u32>before(load<i64>(left, NODE), load<u64>(left, NODE + 8), load<i64>(left), load<u64>(left, 8));
    }
    const node = heap + <usize>child * NODE;
    put(hole, load<i64>(node), load<u64>(node, 8), load<u32>(node, 16));
    hole = child;
  }
  siftUp(hole, load<i64>(last), load<u64>(last, 8), load<u32>(last, 16));
}

/** Takes the first event; there must be one. Advances `now` to its time. */
export function popEvent(): usize {
  const time = load<i64>(heap + NODE);
  const event = <usize>load<u32>(heap + NODE, 16);
  assert(time >= now, "time went backwards");
  now = time;
  changetype<EventNode>(event).heapIdx = 0;
  removeAt(1);
  return event;
}

/** Removes a queued event; no effect when it isn't queued. */
export function cancel(event: usize): void {
  const node = changetype<EventNode>(event);
  const index = node.heapIdx;
  if (index == 0) return;
  node.heapIdx = 0;
  removeAt(index);
}

// ---------------------------------------------------------------------------------------------- timers

/** A timer, embedded in the record that owns it. `fn` is called with `arg` when it expires. */
@unmanaged
export class Timer extends EventNode {
  expires: i64; // -1 = not armed
  queued: i64; // time at which it stands in the heap
  fn: usize; // a function (arg: usize) => void
  arg: usize;
  host: usize;
  unused: u32;
}

/** Prepares an embedded timer. Pass the handler as `changetype<usize>(handler)`. */
export function timerInit(timer: Timer, host: Host, fn: usize, arg: usize): void {
  timer.heapIdx = 0;
  timer.evKind = EV_TIMER;
  timer.expires = -1;
  timer.fn = fn;
  timer.arg = arg;
  timer.host = changetype<usize>(host);
}

@inline
export function timerPending(timer: Timer): bool {
  return timer.expires >= 0;
}

/** Arms or re-arms. A time in the past means now. */
export function timerMod(timer: Timer, expires: i64): void {
  if (expires < now) expires = now;
  timer.expires = expires;
  if (timer.heapIdx != 0) {
    if (timer.queued <= expires) return; // put back when the old time comes
    cancel(changetype<usize>(timer));
  }
  timer.queued = expires;
  schedule(changetype<usize>(timer), expires, nextTie(changetype<Host>(timer.host), ORDER_TIMER));
}

/** Disarms. Must be called before the owning record is freed. */
export function timerDel(timer: Timer): void {
  timer.expires = -1;
  cancel(changetype<usize>(timer));
}

/** Runs a timer that was popped from the queue: fires it, or puts it back if it was moved. */
export function timerFire(timer: Timer): void {
  if (timer.expires < 0) return;
  if (timer.expires > now) {
    timer.queued = timer.expires;
    schedule(changetype<usize>(timer), timer.expires, nextTie(changetype<Host>(timer.host), ORDER_TIMER));
    return;
  }
  timer.expires = -1;
  changetype<(arg: usize) => void>(timer.fn)(timer.arg);
}

/** Makes a stand-alone timer record. */
export function timerNew(host: Host, fn: usize, arg: usize): Timer {
  const timer = changetype<Timer>(kmalloc(offsetof<Timer>()));
  timerInit(timer, host, fn, arg);
  return timer;
}
