/**
 * A second entry for unit tests: what lies below the border. The product is built from index.ts; a test
 * compiles this one (test/support/units.ts). 64-bit numbers cross as BigInt here.
 */
import { flowHashFrame } from "./hash/flow";
import { flowSourcePort } from "./link/vxlan";
import { blocksInUse, bytesInUse, kmalloc } from "./memory/arena";
import { SKB_CSUM_OK, Skb, allocSkb, dropSkb, skbPut } from "./memory/skb";
import { EventNode, Timer, cancel, nextTie, now, popEvent, schedule, timerDel, timerFire, timerMod, timerNew, timerPending } from "./sim/event";
import { Host, hostCreate, rand32 } from "./sim/host";
import { adjust16, adjust32, checksum, fold64, sumBytes } from "./wire/checksum";
import { innerSum } from "./wire/lco";
import { scratch } from "./memory/scratch";

export { jhash, jhash1, jhash2, jhash2words, jhash3 } from "./hash/jhash";
export { hsiphash, siphash, siphash2u32, siphash3u32, siphash4u32 } from "./hash/siphash";
export { kfree, kmalloc, kmallocRaw } from "./memory/arena";
export { cancel, nextTime, pending, popEvent, schedule, setNow } from "./sim/event";
export { scratch } from "./memory/scratch";
export { flowSourcePort };
export { boot } from "./index";

export function held(): u32 {
  return blocksInUse;
}

export function heldBytes(): u32 {
  return <u32>bytesInUse;
}

let host: Host = changetype<Host>(0);

function ownHost(): Host {
  if (changetype<usize>(host) == 0) host = hostCreate(5, 1, 2, 3, 4);
  return host;
}

export function random(): u32 {
  return rand32(ownHost());
}

/** Flow hash of the frame of `length` bytes in scratch, under a key. */
export function flowHash(length: u32, k0: u64, k1: u64): u32 {
  const h = ownHost();
  h.flowK0 = k0;
  h.flowK1 = k1;
  return flowHashFrame(scratch(), length, h);
}

// ---------------------------------------------------------------------------------------------- checksums

export function sumFolded(at: usize, length: u32): u32 {
  return fold64(sumBytes(at, length));
}

export function checksumOf(at: usize, length: u32): u32 {
  return checksum(at, length);
}

export function adjusted16(check: u32, from: u32, to: u32): u32 {
  return adjust16(<u16>check, <u16>from, <u16>to);
}

export function adjusted32(check: u32, from: u32, to: u32): u32 {
  return adjust32(<u16>check, from, to);
}

/** Sum of the frame in scratch by local checksum offload, folded; `known`: its transport checksum is right. */
export function innerSumFolded(length: u32, known: u32): u32 {
  const skb: Skb = allocSkb(ownHost(), 64, length);
  memory.copy(skbPut(skb, length), scratch(), length);
  if (known) skb.flags |= SKB_CSUM_OK;
  const sum = fold64(innerSum(skb, skb.data, length));
  dropSkb(skb, 0);
  return sum;
}

// ---------------------------------------------------------------------------------------------- events

/** An event that is not queued. */
export function eventNew(): usize {
  return kmalloc(offsetof<EventNode>());
}

export function tieNext(kind: u64): u64 {
  return nextTie(ownHost(), kind);
}

export function timeNow(): i64 {
  return now;
}

let fired: usize = 0;
let firedCount: u32 = 0;

function note(arg: usize): void {
  if (fired == 0) fired = kmalloc(1 << 20);
  store<u32>(fired + (<usize>(firedCount++ & 0xffff) << 3), <u32>arg);
}

export function timerMake(id: u32): usize {
  return changetype<usize>(timerNew(ownHost(), changetype<usize>(note), id));
}

export function timerSet(at: usize, expires: i64): void {
  timerMod(changetype<Timer>(at), expires);
}

export function timerStop(at: usize): void {
  timerDel(changetype<Timer>(at));
}

export function timerArmed(at: usize): bool {
  return timerPending(changetype<Timer>(at));
}

/** Handles the next event, a timer: returns its id, or -1 when it was only put back. */
export function timerStep(): i32 {
  const before = firedCount;
  timerFire(changetype<Timer>(popEvent()));
  return firedCount == before ? -1 : <i32>load<u32>(fired + (<usize>((firedCount - 1) & 0xffff) << 3));
}

export function cancelEvent(at: usize): void {
  cancel(at);
}
