/**
 * Frames for other workers: copied to an outbox at transmit, read by the receivers' threads behind the
 * barrier at the end of a window (src/scheduler/exchange.ts): records and bytes lie side by side, so that a receiver takes
 * a window's frames with two copies, however many they are.
 */
import { OUT_ARRIVAL, OUT_DATA, OUT_FLAGS, OUT_FROM, OUT_JOURNEY, OUT_LATE, OUT_LEN, OUT_PORT, OUT_RECORD, OUT_TIE, OUT_VIA } from "../abi";
import { kfree, kmallocRaw } from "../memory/arena";
import { SKB_CSUM_OK, Skb, allocOnWire, releaseSent } from "../memory/skb";
import { EV_DOWNLINK, EV_FRAME, endRunBefore, schedule, skipped } from "../sim/event";
import { Port, ownWorker, portAt } from "./port";

/** One outbox per destination worker and parity; the record layout is OUT_* in abi.ts. */
@unmanaged
class Outbox {
  records: usize;
  count: u32;
  capacity: u32; // records
  bytes: usize;
  used: u32;
  room: u32; // bytes
  earliest: i64; // arrival, time of day
}

/** First sizes of an outbox. */
const RECORDS: u32 = 256;
const BYTES: u32 = 1 << 17;
/** Workers at most. */
export const MAX_WORKERS: u32 = 64;
/** One more than the highest worker that was ever sent to. */
let workersSeen: u32 = 0;
/** Outbox [parity][worker]. */
const outboxes: usize = memory.data(2 * 64 * 32, 16);
/** By worker: the least time from a frame's arrival there to anything that comes back of it, i64 ns. */
const returns: usize = memory.data(64 * 8, 16);
let parity: u32 = 0;
/** Where the frames of another worker are put before they are taken apart. */
let inbox: usize = 0;
let inboxSize: u32 = 0;

@inline
function outbox(which: u32, worker: u32): Outbox {
  return changetype<Outbox>(outboxes + (<usize>(which * MAX_WORKERS + worker) << 5));
}

/** Says how soon a frame's arrival at another worker can have an effect here. */
export function outboxReturn(worker: u32, delay: i64): void {
  assert(worker < MAX_WORKERS, "worker index");
  store<i64>(returns + (<usize>worker << 3), delay);
}

/** A block that holds `used` bytes of an old one in twice its size. */
function grown(old: usize, oldSize: usize, used: usize, size: usize): usize {
  const block = kmallocRaw(size);
  if (oldSize != 0) {
    memory.copy(block, old, used);
    kfree(old, oldSize);
  }
  return block;
}

function growRecords(box: Outbox): void {
  const capacity = box.capacity == 0 ? RECORDS : box.capacity * 2;
  const used = <usize>box.count * OUT_RECORD;
  box.records = grown(box.records, <usize>box.capacity * OUT_RECORD, used, <usize>capacity * OUT_RECORD);
  box.capacity = capacity;
}

function growBytes(box: Outbox, least: u32): void {
  let room = box.room == 0 ? BYTES : box.room * 2;
  while (room < least) room *= 2;
  const bytes = grown(box.bytes, box.room, box.used, room);
  // Records say where their bytes are.
  for (let i: u32 = 0; i < box.count; i++) {
    const at = box.records + <usize>i * OUT_RECORD;
    store<u32>(at, load<u32>(at, OUT_DATA) - <u32>box.bytes + <u32>bytes, OUT_DATA);
  }
  box.bytes = bytes;
  box.room = room;
}

/**
 * Leaves a frame for the worker of a port, and lets go of it: it has left its host. The window ends before anything can
 * come back of it.
 * @param via 0: it arrives at the port; otherwise a spine's number plus 1: it arrives at its link, with Skb.cb1 and cb2
 */
export function outboxPut(to: Port, skb: Skb, arrival: i64, tie: u64, via: u32): void {
  const worker = to.worker;
  assert(worker < MAX_WORKERS, "worker index");
  if (worker >= workersSeen) workersSeen = worker + 1;
  const box = outbox(parity, worker);
  if (box.count == box.capacity) growRecords(box);
  const size = (skb.len + 7) & ~7;
  if (box.used + size > box.room) growBytes(box, box.used + size);
  const data = box.bytes + box.used;
  memory.copy(data, skb.data, skb.len);
  box.used += size;
  const at = box.records + <usize>box.count * OUT_RECORD;
  const time = arrival + skipped;
  if (box.count == 0 || time < box.earliest) box.earliest = time;
  box.count++;
  store<i64>(at, time, OUT_ARRIVAL);
  store<u64>(at, tie, OUT_TIE);
  store<u32>(at, <u32>data, OUT_DATA);
  store<u32>(at, skb.len, OUT_LEN);
  store<u32>(at, to.id, OUT_PORT);
  store<u32>(at, skb.flags & SKB_CSUM_OK, OUT_FLAGS);
  store<u32>(at, via, OUT_VIA);
  if (via != 0) {
    store<u32>(at, skb.cb1, OUT_FROM);
    store<u32>(at, skb.cb2, OUT_LATE);
  }
  store<u64>(at, skb.journey, OUT_JOURNEY);
  endRunBefore(arrival + load<i64>(returns + (<usize>worker << 3)));
  releaseSent(skb);
}

/** Records for a worker in the outbox that was closed last. */
export function outboxRecords(worker: u32): usize {
  return outbox(parity ^ 1, worker).records;
}

/** How many those are. */
export function outboxCount(worker: u32): u32 {
  return outbox(parity ^ 1, worker).count;
}

/** Where their bytes are. */
export function outboxBytes(worker: u32): usize {
  return outbox(parity ^ 1, worker).bytes;
}

/** How many those are. */
export function outboxUsed(worker: u32): u32 {
  return outbox(parity ^ 1, worker).used;
}

/** The earliest arrival of those records; meaningless when there are none. */
export function outboxEarliest(worker: u32): i64 {
  return outbox(parity ^ 1, worker).earliest;
}

/** At a barrier: closes the current outbox for reading and reopens the other one, which every receiver has copied by now. */
export function outboxFlip(): void {
  parity ^= 1;
  for (let worker: u32 = 0; worker < workersSeen; worker++) {
    const box = outbox(parity, worker);
    box.count = 0;
    box.used = 0;
  }
}

/** Room for so many bytes of another worker's outbox: its records first, then the frames' bytes. */
export function inboxReserve(size: u32): usize {
  if (size > inboxSize) {
    if (inboxSize != 0) kfree(inbox, inboxSize);
    inboxSize = inboxSize == 0 ? BYTES : inboxSize;
    while (inboxSize < size) inboxSize *= 2;
    inbox = kmallocRaw(inboxSize);
  }
  return inbox;
}

/**
 * Takes the frames in the inbox. Their order among all frames is in (arrival, tie).
 * @param from where the bytes behind the records stood in the sender's memory
 * @param notBefore time of day at which the next window begins
 */
export function inboxTake(count: u32, from: u32, notBefore: i64): void {
  const bytes = inbox + <usize>count * OUT_RECORD;
  for (let i: u32 = 0; i < count; i++) {
    const at = inbox + <usize>i * OUT_RECORD;
    const arrival = load<i64>(at, OUT_ARRIVAL);
    assert(arrival >= notBefore, "no frame arrives within the window in which it was sent (lookahead)");
    const len = load<u32>(at, OUT_LEN);
    const data = wireImport(
      load<u32>(at, OUT_PORT), arrival, load<u64>(at, OUT_TIE), len, load<u32>(at, OUT_FLAGS), load<u32>(at, OUT_VIA), load<u32>(at, OUT_FROM), load<u32>(at, OUT_LATE), load<u64>(at, OUT_JOURNEY),
    );
    memory.copy(data, bytes + <usize>(load<u32>(at, OUT_DATA) - from), len);
  }
}

/**
 * A frame from another worker: makes a buffer for it, queued for its arrival, and returns where its `len`
 * bytes go. `arrival` is a time of day; `via`, `from`, `late` and `journey` are OUT_VIA, OUT_FROM, OUT_LATE and OUT_JOURNEY of
 * its record. The caller copies the bytes in before it runs the kernel again.
 */
export function wireImport(portId: u32, arrival: i64, tie: u64, len: u32, flags: u32, via: u32, from: u32, late: u32, journey: u64): usize {
  const port = portAt(portId);
  assert(port.worker == ownWorker, "frame for another worker");
  const skb = allocOnWire(len);
  skb.flags = flags;
  skb.journey = journey;
  skb.cb0 = portId;
  skb.evKind = EV_FRAME;
  if (via != 0) {
    skb.cb1 = from;
    skb.cb2 = late;
    skb.cb3 = via - 1;
    skb.evKind = EV_DOWNLINK;
  }
  schedule(changetype<usize>(skb), arrival - skipped, tie);
  return skb.data;
}
