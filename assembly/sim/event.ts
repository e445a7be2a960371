/**
 * Virtual time and the event queue. Events have a total order that does not depend on the worker:
 * (time, kind, source host, per-source counter).
 *
 * The next events stand in a binary heap, root at index 1. Where there are many, later ones wait in a
 * hierarchical wheel, where arming and disarming a far timer costs a list operation (kernel/time/timer.c):
 * a slot of 65 µs is poured into the heap, and so sorted, when its first event may be the next one.
 *
 *   heap node, 16 bytes:  +0 time i64 | +8 event u32 | +12 unused; the tie-break is the event's own
 *   wheel:                7 levels of 256 lists, and a bit for each list that isn't empty; at level n a list
 *                         holds the events whose slot number differs from the cursor's in byte n, not above
 *   tie:                  kind (4 bits) | host index (20) | that host's counter (40)
 *
 * An event is any record that begins with EventNode. It knows its place, so it can be removed.
 */
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { Host } from "./host";

/** First words of everything that can stand in the queue. */
@unmanaged
export class EventNode {
  /** Index in the heap, or IN_WHEEL and the number of the list; 0 = not queued. */
  heapIdx: u32;
  /** EV_*: how to dispatch it. */
  evKind: u32;
  evAt: i64; // when it is queued for
  evTie: u64;
  evNext: u32; // in its list of the wheel
  evPrev: u32;
}

/** Kinds of events (EventNode.evKind). */
export const EV_FRAME: u32 = 0; // a Skb arrives at a port of the underlay
export const EV_TIMER: u32 = 1; // a Timer
export const EV_UPLINK: u32 = 2; // a Skb gets to its leaf's link to a spine
export const EV_DOWNLINK: u32 = 3; // a Skb gets to a spine's link to its leaf

/** Kind bits of the order: packets before local events. */
export const ORDER_PACKET: u64 = 0;
export const ORDER_TIMER: u64 = 1;

const NODE: usize = 16;
/** log2 of a node's bytes. */
const NODE_SHIFT: usize = 4;

const IN_WHEEL: u32 = 0x80000000;
/** So many events the heap takes that are due within NEAR ns, whatever their slot. */
const SMALL_HEAP: u32 = 48;
const NEAR: i64 = 1_000_000;
/** A slot of the wheel is 2^16 ns. */
const SLOT_SHIFT: i64 = 16;
const LEVELS: u32 = 7;
/** Heads of the lists, [level][256]. */
const lists: usize = memory.data(7 * 256 * 4, 16);
/** A bit for each list that isn't empty, [level][256 bits]. */
const bits: usize = memory.data(7 * 32, 16);
/** Number of the first slot that has not been poured into the heap: the wheel holds no event before it. */
let cursor: u64 = 0;
/** Earliest time in the wheel, -1 when it has to be looked for. */
let wheelMin: i64 = i64.MAX_VALUE;
let inWheel: u32 = 0;

/** Now, in ns since the start of the run. */
export let now: i64 = 0;

/** Sets the clock; it never goes back. */
export function setNow(time: i64): void {
  now = time;
}

/**
 * No event at this time or later is handled in this window: it may be too early for it, since a frame that has left for
 * another worker can have had an effect here by then.
 */
export let horizon: i64 = i64.MAX_VALUE;

/** Brings the end of the window nearer. Times beyond what fits are no end. */
@inline
export function endRunBefore(time: i64): void {
  if (time < horizon) horizon = time;
}

/** A new window, without an end of its own. */
export function endRunNever(): void {
  horizon = i64.MAX_VALUE;
}

/**
 * Quiet time that was skipped so far, ns. The clock above stands still while time is skipped: every timer and every
 * stamp keeps its distance to it, as if what keeps a resting swarm alive had gone on. What shows the time of day
 * (captures, the border, TCP timestamps, jiffies) reads clock().
 */
export let skipped: i64 = 0;

/** Adds quiet time that nobody has to live through. */
export function skipTime(span: i64): void {
  skipped += span;
}

/** The time of day: `now` and what was skipped. */
@inline
export function clock(): i64 {
  return now + skipped;
}

let heap: usize = 0; // node i at heap + i * NODE
let capacity: u32 = 0;
let count: u32 = 0;

/** How many events are pending. */
export function pending(): u32 {
  return count + inWheel;
}

/** Time of the next event; i64.MAX_VALUE when there is none. */
@inline
export function nextTime(): i64 {
  const wheel = wheelMin >= 0 ? wheelMin : findWheelMin();
  if (count == 0) return wheel;
  const first = load<i64>(heap + NODE);
  return first < wheel ? first : wheel;
}

/** A tie-break for a new event of a host: consumes one of its counters. */
@inline
export function nextTie(host: Host, kind: u64): u64 {
  return (kind << 60) | (<u64>host.index << 40) | (host.counter++ & 0xffffffffff);
}

/** The tie-break of a queued event. */
@inline
function tieOf(event: usize): u64 {
  return changetype<EventNode>(event).evTie;
}

@inline
function put(node: usize, index: u32, time: i64, event: usize): void {
  store<i64>(node, time);
  store<u32>(node, <u32>event, 8);
  changetype<EventNode>(event).heapIdx = index;
}

@inline
function siftUp(start: u32, time: i64, event: usize): void {
  const base = heap;
  let index = start;
  while (index > 1) {
    const parent = base + (<usize>(index >> 1) << NODE_SHIFT);
    const parentTime = load<i64>(parent);
    if (time > parentTime) break;
    const other = <usize>load<u32>(parent, 8);
    if (time == parentTime && tieOf(event) >= tieOf(other)) break;
    put(base + (<usize>index << NODE_SHIFT), index, parentTime, other);
    index >>= 1;
  }
  put(base + (<usize>index << NODE_SHIFT), index, time, event);
}

/** Queues an event that is not queued. */
export function schedule(event: usize, time: i64, tie: u64): void {
  assert(time >= now, "event in the past");
  const node = changetype<EventNode>(event);
  node.evAt = time;
  node.evTie = tie;
  if ((count < SMALL_HEAP && time - now < NEAR) || <u64>(time >> SLOT_SHIFT) < cursor) heapInsert(event, time);
  else wheelInsert(node);
}

function heapInsert(event: usize, time: i64): void {
  if (count + 2 > capacity) grow();
  count++;
  siftUp(count, time, event);
}

// ---------------------------------------------------------------------------------------------- wheel

function wheelInsert(node: EventNode): void {
  const slot = <u64>(node.evAt >> SLOT_SHIFT);
  const differs = slot ^ cursor;
  const level = differs < 256 ? 0 : <u32>(63 - clz<u64>(differs)) >> 3;
  const list = (level << 8) | (<u32>(slot >> (<u64>level << 3)) & 255);
  const head = lists + (<usize>list << 2);
  const first = load<u32>(head);
  node.heapIdx = IN_WHEEL | list;
  node.evNext = first;
  node.evPrev = 0;
  if (first != 0) changetype<EventNode>(<usize>first).evPrev = <u32>changetype<usize>(node);
  else setBit(list);
  store<u32>(head, <u32>changetype<usize>(node));
  inWheel++;
  if (node.evAt < wheelMin) wheelMin = node.evAt;
}

function wheelRemove(node: EventNode): void {
  const list = node.heapIdx & ~IN_WHEEL;
  if (node.evNext != 0) changetype<EventNode>(<usize>node.evNext).evPrev = node.evPrev;
  if (node.evPrev != 0) changetype<EventNode>(<usize>node.evPrev).evNext = node.evNext;
  else {
    store<u32>(lists + (<usize>list << 2), node.evNext);
    if (node.evNext == 0) clearBit(list);
  }
  node.heapIdx = 0;
  inWheel--;
  if (inWheel == 0) wheelMin = i64.MAX_VALUE;
  else if (node.evAt == wheelMin) wheelMin = -1;
}

@inline
function setBit(list: u32): void {
  const word = bits + (<usize>(list >> 6) << 3);
  store<u64>(word, load<u64>(word) | (<u64>1 << <u64>(list & 63)));
}

@inline
function clearBit(list: u32): void {
  const word = bits + (<usize>(list >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~(<u64>1 << <u64>(list & 63)));
}

/** The first list of a level from slot `from` on that isn't empty; 256 when there is none. */
function nextList(level: u32, from: u32): u32 {
  if (from > 255) return 256;
  const words = bits + (<usize>level << 5);
  let index = from >> 6;
  let word = load<u64>(words + (<usize>index << 3)) & (u64.MAX_VALUE << <u64>(from & 63));
  for (;;) {
    if (word != 0) return (index << 6) | <u32>ctz<u64>(word);
    if (++index == 4) return 256;
    word = load<u64>(words + (<usize>index << 3));
  }
  return 256;
}

@inline
function digit(level: u32): u32 {
  return <u32>(cursor >> (<u64>level << 3)) & 255;
}

/** Empties a list and returns its first event. */
@inline
function takeList(list: u32): usize {
  const head = lists + (<usize>list << 2);
  const first = <usize>load<u32>(head);
  store<u32>(head, 0);
  clearBit(list);
  return first;
}

/**
 * Events whose slots the cursor's upper bytes have reached go down to where they now belong: done whenever those bytes
 * change, so that above level 0 the list of the cursor's own slot is always empty.
 */
function cascade(): void {
  for (let level = LEVELS - 1; level != 0; level--) {
    const list = (level << 8) | digit(level);
    if (load<u32>(lists + (<usize>list << 2)) == 0) continue;
    let p = takeList(list);
    while (p != 0) {
      const node = changetype<EventNode>(p);
      p = <usize>node.evNext;
      inWheel--;
      wheelInsert(node);
    }
  }
}

/** Moves the cursor on to the first level-0 list that isn't empty and returns it; the wheel isn't empty. */
function seek(): u32 {
  for (;;) {
    const found = nextList(0, digit(0));
    if (found < 256) {
      cursor = (cursor & ~(<u64>255)) | <u64>found;
      return found;
    }
    let level: u32 = 1;
    let slot = nextList(level, digit(level) + 1);
    while (slot == 256) {
      assert(++level < LEVELS, "the wheel has lost an event");
      slot = nextList(level, digit(level) + 1);
    }
    const shift = <u64>level << 3;
    cursor = (((cursor >> shift) & ~(<u64>255)) | <u64>slot) << shift;
    cascade();
  }
  return 0;
}

/** Pours the next slot into the heap. */
function pour(): void {
  let p = takeList(seek());
  while (p != 0) {
    const node = changetype<EventNode>(p);
    const next = <usize>node.evNext;
    inWheel--;
    heapInsert(p, node.evAt);
    p = next;
  }
  cursor++;
  if ((cursor & 255) == 0) cascade();
  wheelMin = inWheel == 0 ? i64.MAX_VALUE : -1;
}

/**
 * The earliest time in the wheel. The cursor stays where it is: it must not run ahead of the clock, or what is
 * scheduled next would all go to the heap.
 */
function findWheelMin(): i64 {
  let level: u32 = 0;
  let slot = nextList(0, digit(0));
  while (slot == 256) {
    assert(++level < LEVELS, "the wheel has lost an event");
    slot = nextList(level, digit(level) + 1);
  }
  let least: i64 = i64.MAX_VALUE;
  for (let p = <usize>load<u32>(lists + (<usize>((level << 8) | slot) << 2)); p != 0; p = <usize>changetype<EventNode>(p).evNext) {
    const at = changetype<EventNode>(p).evAt;
    if (at < least) least = at;
  }
  wheelMin = least;
  return least;
}

// ---------------------------------------------------------------------------------------------- heap

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
  const base = heap;
  const left = count - 1;
  const last = base + (<usize>count << NODE_SHIFT);
  count = left;
  if (index > left) return;
  const time = load<i64>(last);
  const event = <usize>load<u32>(last, 8);
  // What stands behind the last node is later than any: a node with one child needs no test of its own.
  store<i64>(last, i64.MAX_VALUE);
  let hole = base + (<usize>index << NODE_SHIFT);
  for (;;) {
    let child = index << 1;
    if (child > left) break;
    const pair = base + (<usize>child << NODE_SHIFT);
    const first = load<i64>(pair);
    const second = load<i64>(pair, NODE);
    if (first != second) child += <u32>(second < first);
    else if (child < left) child += <u32>(tieOf(load<u32>(pair, NODE + 8)) < tieOf(load<u32>(pair, 8)));
    const node = base + (<usize>child << NODE_SHIFT);
    put(hole, index, load<i64>(node), load<u32>(node, 8));
    hole = node;
    index = child;
  }
  siftUp(index, time, event);
}

/** Takes the first event; there must be one. Advances `now` to its time. */
export function popEvent(): usize {
  // At equal times the tie-break decides, so the slot must be in the heap.
  while (inWheel != 0 && (count == 0 || load<i64>(heap + NODE) >= (wheelMin >= 0 ? wheelMin : findWheelMin()))) pour();
  const time = load<i64>(heap + NODE);
  const event = <usize>load<u32>(heap + NODE, 8);
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
  if (index & IN_WHEEL) {
    wheelRemove(node);
    return;
  }
  node.heapIdx = 0;
  removeAt(index);
}

/** The `index`-th event of the queue in no particular order, 0 behind the last one; `index` counts places, some empty. */
export function eventAt(index: u32): usize {
  return index < count ? <usize>load<u32>(heap + <usize>(index + 1) * NODE, 8) : 0;
}

/** Lists of the wheel. */
export const WHEEL_LISTS: u32 = LEVELS << 8;

/** First event of a list of the wheel, 0 when it is empty; EventNode.evNext leads on. */
export function wheelList(list: u32): usize {
  return <usize>load<u32>(lists + (<usize>list << 2));
}
