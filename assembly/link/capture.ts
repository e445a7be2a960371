/**
 * Capture points. A captured frame is copied, behind a header (CAP_* in abi.ts), into one buffer that the
 * worker's program drains when run() returns RUN_CAPTURE or at the end of a window. The buffer is checked
 * between events; for one event that records more than the reserve (a flood through a large bridge) it grows.
 */
import { CAP_CAPLEN, CAP_DIR, CAP_HEADER, CAP_HOP, CAP_HOST, CAP_JOURNEY, CAP_LEN, CAP_POINT, CAP_PRIVATE, CAP_SEQ, CAP_TIME, WATCH_FRAME } from "../abi";
import { kfree, kmallocRaw } from "../memory/arena";
import { Skb } from "../memory/skb";
import { clock } from "../sim/event";
import { Host } from "../sim/host";
import { note } from "../sim/watch";
import { journeyBegin, journeyHandled } from "./marks";
import { NetDev } from "./netdev";

const SIZE: u32 = 8 << 20;
/** run() returns when more than this is used. */
const FULL: u32 = 4 << 20;
/** One event may fill no more. */
const MOST: u32 = 512 << 20;

let buffer: usize = 0;
let capacity: u32 = 0;
let used: u32 = 0;
/** Records that did not fit: stays 0 unless one event captures more than MOST bytes. */
let lost: u32 = 0;

/** Makes room for `size` more bytes; false beyond the limit. */
function grow(size: u32): bool {
  let wanted = capacity == 0 ? SIZE : capacity;
  while (used + size > wanted) wanted <<= 1;
  if (wanted > MOST) return false;
  const block = kmallocRaw(wanted);
  if (capacity != 0) {
    memory.copy(block, buffer, used);
    kfree(buffer, capacity);
  }
  buffer = block;
  capacity = wanted;
  return true;
}

/** Begins a record with `caplen` bytes behind its header: returns where they go, 0 when there is no room. */
@inline
export function captureRecord(host: Host, point: u32, dir: u32, journey: u64, len: u32, caplen: u32): usize {
  const size = (CAP_HEADER + caplen + 7) & ~7;
  if (used + size > capacity && !grow(size)) {
    lost++;
    return 0;
  }
  const at = buffer + used;
  used += size;
  store<i64>(at, clock(), CAP_TIME);
  store<u32>(at, host.captureSeq++, CAP_SEQ);
  store<u32>(at, host.index, CAP_HOST);
  store<u32>(at, point, CAP_POINT);
  store<u32>(at, len, CAP_LEN);
  store<u32>(at, caplen, CAP_CAPLEN);
  store<u32>(at, dir, CAP_DIR);
  store<u64>(at, journey, CAP_JOURNEY);
  return at + CAP_HEADER;
}

/** Records a frame on a device; dir 1 = inbound, 2 = outbound. */
export function capture(dev: NetDev, skb: Skb, dir: u32): void {
  const host = changetype<Host>(dev.host);
  const caplen = skb.len < dev.snaplen ? skb.len : dev.snaplen;
  if (skb.journey == 0) journeyBegin(skb);
  // Who watches captures every device: what is received there is handled from here on.
  if (dir == 1) journeyHandled(skb);
  const to = captureRecord(host, dev.capId, dir, skb.journey, skb.len, caplen);
  if (to != 0) memory.copy(to, skb.data, caplen);
  if (dev.capId < CAP_PRIVATE && !(dev.capId & CAP_HOP)) note(WATCH_FRAME);
}

/** The buffer is so full that the run should stop for it to be emptied. */
@inline
export function captureWantsDraining(): bool {
  return used > FULL;
}

/** Address of the records; another one after more were recorded. */
export function captureBuffer(): usize {
  return buffer;
}

/** Bytes of records. */
export function captureUsed(): u32 {
  return used;
}

/** Frames that found the buffer full since the start. */
export function captureLost(): u32 {
  return lost;
}

/** The program has read the records. */
export function captureClear(): void {
  used = 0;
}
