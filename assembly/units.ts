/**
 * A second entry for unit tests: what lies below the border. The product is built from index.ts; a test
 * compiles this one (test/support/units.ts). 64-bit numbers cross as BigInt here.
 */
import { flowHashFrame, skbGetHash } from "./hash/flow";
import { NetDev } from "./link/netdev";
import { flowSourcePort, vxlanOf, vxlanPull, vxlanPush } from "./link/vxlan";
import { blocksInUse, bytesInUse, kmalloc } from "./memory/arena";
import { SKB_CSUM_OK, SKB_HASHED, Skb, allocSkb, dropSkb, skbPull, skbPush, skbPut } from "./memory/skb";
import { EventNode, cancel, nextTie, nextTime, now, popEvent, schedule } from "./sim/event";
import { Timer, timerDel, timerFire, timerMod, timerNew, timerPending } from "./sim/timer";
import { Host, hostCreate, rand32 } from "./sim/host";
import { adjust16, adjust32, checksum, fold64, sumBytes } from "./wire/checksum";
import { emitEth } from "./wire/ethernet";
import { emitIp, ipCheckOk, ipFinish, ipSetId } from "./wire/ipv4";
import { innerSum } from "./wire/lco";
import { udpCheckOk } from "./wire/udp";
import { scratch } from "./memory/scratch";

export { jhash, jhash1, jhash2, jhash2words, jhash3 } from "./hash/jhash";
export { hsiphash, siphash, siphash2u32, siphash3u32, siphash4u32 } from "./hash/siphash";
export { gcmKeyFree, gcmKeyNew, gcmOpen, gcmSeal } from "./crypto/gcm";
export { scalarBlock, scalarKey, scalarOpen, scalarSeal } from "./crypto/gcm-scalar";
export { kfree, kmalloc, kmallocRaw } from "./memory/arena";
export { cancel, nextTime, pending, popEvent, schedule, setNow } from "./sim/event";
export { scratch } from "./memory/scratch";
export { flowSourcePort };
export { connHashKey } from "./ipvs/conn";
export { sctpNext, tcpNext } from "./ipvs/state";
export { ctSctpNext } from "./netfilter/ct-sctp";
export { crc32c } from "./wire/sctp";
export { boot } from "./index";

/** Blocks of the arena in use. */
export function held(): u32 {
  return blocksInUse;
}

/** Bytes of the arena in use. */
export function heldBytes(): u32 {
  return <u32>bytesInUse;
}

let host: Host = changetype<Host>(0);

function ownHost(): Host {
  if (changetype<usize>(host) == 0) host = hostCreate(5, 1, 2, 3, 4);
  return host;
}

/** The next 32 random bits of the test's host. */
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

/** The folded sum of bytes. */
export function sumFolded(at: usize, length: u32): u32 {
  return fold64(sumBytes(at, length));
}

/** The Internet checksum of bytes. */
export function checksumOf(at: usize, length: u32): u32 {
  return checksum(at, length);
}

/** A checksum after a 16-bit word changed. */
export function adjusted16(check: u32, from: u32, to: u32): u32 {
  return adjust16(<u16>check, <u16>from, <u16>to);
}

/** A checksum after a 32-bit word changed. */
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

/** The next tie-break of the host. */
export function tieNext(kind: u64): u64 {
  return nextTie(ownHost(), kind);
}

/** The clock, ns. */
export function timeNow(): i64 {
  return now;
}

let fired: usize = 0;
let firedCount: u32 = 0;

function note(arg: usize): void {
  if (fired == 0) fired = kmalloc(1 << 20);
  store<u32>(fired + (<usize>(firedCount++ & 0xffff) << 3), <u32>arg);
}

/** A timer that logs `id` when it fires. */
export function timerMake(id: u32): usize {
  return changetype<usize>(timerNew(ownHost(), changetype<usize>(note), id));
}

/** Arms a timer. */
export function timerSet(at: usize, expires: i64): void {
  timerMod(changetype<Timer>(at), expires);
}

/** Disarms a timer. */
export function timerStop(at: usize): void {
  timerDel(changetype<Timer>(at));
}

/** A timer is armed. */
export function timerArmed(at: usize): bool {
  return timerPending(changetype<Timer>(at));
}

/** Handles the next event, a timer: returns its id, or -1 when it was only put back. */
export function timerStep(): i32 {
  const before = firedCount;
  timerFire(changetype<Timer>(popEvent()));
  return firedCount == before ? -1 : <i32>load<u32>(fired + (<usize>((firedCount - 1) & 0xffff) << 3));
}

// ---------------------------------------------------------------------------------------------- benchmarks

/**
 * Encapsulates a frame of `length` bytes (in scratch, its transport checksum right) on one vxlan device and takes it
 * out on another, whose socket is in the namespace of `nic`, `count` times: 50 bytes of headers, checksums of IP and UDP, then all checks, look-up and learning.
 * `hash` 0: the flow hash is computed each time; `verify` 1: the outer checksum is verified over all bytes.
 * Returns how many came through.
 */
export function vxlanLoop(from: usize, nic: usize, length: u32, count: u32, hash: u32, verify: u32): u32 {
  const vx = vxlanOf(changetype<NetDev>(from));
  const skb = allocSkb(changetype<Host>(changetype<NetDev>(from).host), 128, length);
  memory.copy(skbPut(skb, length), scratch(), length);
  skb.flags |= SKB_CSUM_OK;
  let through: u32 = 0;
  const src: u32 = 0xc0a84d0b;
  const dst: u32 = 0xc0a84d0c;
  for (let i: u32 = 0; i < count; i++) {
    if (hash != 0) {
      skb.hash = hash;
      skb.flags |= SKB_HASHED;
    }
    vxlanPush(vx, skb, src, dst, flowSourcePort(skbGetHash(skb), 32768, 60999), vx.port);
    const ip = skbPush(skb, 20);
    emitIp(ip, 0, false, 64, 17, src, dst);
    ipSetId(ip, i);
    ipFinish(ip, skb.len);
    emitEth(ip - 14, 0x120077005452, 0x110077005452, 0x0800);
    // The far end.
    skb.nh = ip;
    if (!ipCheckOk(ip, 20)) return through;
    skb.th = skbPull(skb, 20);
    if (verify && !udpCheckOk(ip, skb.th, skb.len)) return through;
    skb.dev = nic;
    if (vxlanPull(skb) == 0) return through;
    through++;
  }
  dropSkb(skb, 0);
  return through;
}

/** Queues `pending` events within 16.8 ms. */
export function eventFill(pending: u32): void {
  const own = ownHost();
  for (let i: u32 = 0; i < pending; i++) schedule(eventNew(), now + <i64>(rand32(own) >> 8), nextTie(own, 0));
}

/** Takes the first event and puts it back at a later time, `count` times. Returns a sum of what it saw. */
export function eventTurn(count: u32): u32 {
  const own = ownHost();
  let sum: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const due = nextTime(); // as run() does
    const event = popEvent();
    sum += <u32>event ^ <u32>due;
    schedule(event, now + <i64>(rand32(own) >> 8), nextTie(own, 0));
  }
  return sum;
}
