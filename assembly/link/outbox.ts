/**
 * Frames for other workers: written to an outbox at transmit, read by the receivers' threads behind the
 * barrier at the end of a window (src/scheduler/exchange.ts).
 */
import { OUT_ARRIVAL, OUT_DATA, OUT_FLAGS, OUT_FROM, OUT_LATE, OUT_LEN, OUT_PORT, OUT_RECORD, OUT_SKB, OUT_TIE, OUT_VIA } from "../abi";
import { kfree, kmallocRaw } from "../memory/arena";
import { scratch } from "../memory/scratch";
import { SKB_CSUM_OK, Skb, allocArrived, releaseSent } from "../memory/skb";
import { EV_DOWNLINK, EV_FRAME, schedule, skipped } from "../sim/event";
import { Host } from "../sim/host";
import { Port, ownWorker, portAt } from "./port";

/** One outbox per destination worker and parity; the record layout is OUT_* in abi.ts. */
@unmanaged
class Outbox {
  records: usize;
  count: u32;
  capacity: u32;
}

const MAX_WORKERS: u32 = 64;
/** One more than the highest worker that was ever sent to. */
let workersSeen: u32 = 0;
/** Outbox [parity][worker]. */
const outboxes: usize = memory.data(2 * 64 * 12, 16);
let parity: u32 = 0;

@inline
function outbox(which: u32, worker: u32): Outbox {
  return changetype<Outbox>(outboxes + <usize>(which * MAX_WORKERS + worker) * offsetof<Outbox>());
}

/**
 * Leaves a frame for the worker of a port.
 * @param via 0: it arrives at the port; otherwise a spine's number plus 1: it arrives at its link, with Skb.cb1 and cb2
 */
export function outboxPut(to: Port, skb: Skb, arrival: i64, tie: u64, via: u32): void {
  assert(to.worker < MAX_WORKERS, "worker index");
  if (to.worker >= workersSeen) workersSeen = to.worker + 1;
  const box = outbox(parity, to.worker);
  if (box.count == box.capacity) {
    const capacity = box.capacity == 0 ? 1024 : box.capacity * 2;
    const block = kmallocRaw(<usize>capacity * OUT_RECORD);
    if (box.capacity != 0) {
      memory.copy(block, box.records, <usize>box.count * OUT_RECORD);
      kfree(box.records, <usize>box.capacity * OUT_RECORD);
    }
    box.records = block;
    box.capacity = capacity;
  }
  const at = box.records + <usize>box.count * OUT_RECORD;
  box.count++;
  store<i64>(at, arrival + skipped, OUT_ARRIVAL);
  store<u64>(at, tie, OUT_TIE);
  store<u32>(at, <u32>skb.data, OUT_DATA);
  store<u32>(at, skb.len, OUT_LEN);
  store<u32>(at, to.id, OUT_PORT);
  store<u32>(at, skb.flags & SKB_CSUM_OK, OUT_FLAGS);
  store<u32>(at, <u32>changetype<usize>(skb), OUT_SKB);
  store<u32>(at, via, OUT_VIA);
  if (via == 0) return;
  store<u32>(at, skb.cb1, OUT_FROM);
  store<u32>(at, skb.cb2, OUT_LATE);
}

/** Records for a worker in the outbox that was closed last. */
export function outboxRecords(worker: u32): usize {
  return outbox(parity ^ 1, worker).records;
}

/** How many those are. */
export function outboxCount(worker: u32): u32 {
  return outbox(parity ^ 1, worker).count;
}

/**
 * At a barrier: closes the current outbox for reading and reopens the other one, whose frames every
 * receiver has copied by now; those buffers are freed.
 */
export function outboxFlip(): void {
  parity ^= 1;
  for (let worker: u32 = 0; worker < workersSeen; worker++) {
    const box = outbox(parity, worker);
    for (let i: u32 = 0; i < box.count; i++) {
      releaseSent(changetype<Skb>(<usize>load<u32>(box.records + <usize>i * OUT_RECORD, OUT_SKB)));
    }
    box.count = 0;
  }
}

/**
 * A frame from another worker: makes a buffer for it, queued for its arrival, and returns where its `len`
 * bytes go. `arrival` is a time of day; `via`, `from` and `late` are OUT_VIA, OUT_FROM and OUT_LATE of its record. The
 * caller copies the bytes in before it runs the kernel again.
 */
export function wireImport(portId: u32, arrival: i64, tie: u64, len: u32, flags: u32, via: u32, from: u32, late: u32): usize {
  const port = portAt(portId);
  assert(port.worker == ownWorker, "frame for another worker");
  if (port.host == 0) return scratch(); // nobody has plugged in there yet: the frame is lost
  const skb = allocArrived(changetype<Host>(port.host), len);
  skb.flags = flags;
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
