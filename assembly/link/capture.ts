/**
 * Capture points. A captured frame is copied, behind a header (CAP_* in abi.ts), into one buffer that the
 * worker's program drains when run() returns RUN_CAPTURE or at the end of a window. The buffer is checked
 * between events: one event may record far less than the reserve, so the buffer never overflows unnoticed.
 */
import { CAP_CAPLEN, CAP_DIR, CAP_HEADER, CAP_HOST, CAP_LEN, CAP_POINT, CAP_SEQ, CAP_TIME } from "../abi";
import { kmallocRaw } from "../memory/arena";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import { Host } from "../sim/host";
import { NetDev } from "./netdev";

const SIZE: u32 = 8 << 20;
/** run() returns when less than this is left. */
const RESERVE: u32 = 4 << 20;

let buffer: usize = 0;
let used: u32 = 0;
/** Records that did not fit: stays 0 unless one event captures more than RESERVE bytes. */
let lost: u32 = 0;

/** Records a frame on a device; dir 1 = inbound, 2 = outbound. */
export function capture(dev: NetDev, skb: Skb, dir: u32): void {
  if (buffer == 0) buffer = kmallocRaw(SIZE);
  const host = changetype<Host>(dev.host);
  const caplen = skb.len < dev.snaplen ? skb.len : dev.snaplen;
  const size = (CAP_HEADER + caplen + 7) & ~7;
  if (used + size > SIZE) {
    lost++;
    return;
  }
  const at = buffer + used;
  used += size;
  store<i64>(at, now, CAP_TIME);
  store<u32>(at, host.captureSeq++, CAP_SEQ);
  store<u32>(at, host.index, CAP_HOST);
  store<u32>(at, dev.capId, CAP_POINT);
  store<u32>(at, skb.len, CAP_LEN);
  store<u32>(at, caplen, CAP_CAPLEN);
  store<u32>(at, dir, CAP_DIR);
  memory.copy(at + CAP_HEADER, skb.data, caplen);
}

@inline
export function captureWantsDraining(): bool {
  return used > SIZE - RESERVE;
}

/** Address of the records. */
export function captureBuffer(): usize {
  return buffer;
}

/** Bytes of records. */
export function captureUsed(): u32 {
  return used;
}

export function captureLost(): u32 {
  return lost;
}

/** The program has read the records. */
export function captureClear(): void {
  used = 0;
}
