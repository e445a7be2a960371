/**
 * One emulated machine: what all its namespaces share. Its random stream and its event counter are its
 * own, so what it does is the same whichever worker runs it.
 */
import { DROP_REASONS } from "../abi";
import { kmalloc } from "../memory/arena";
import { clock } from "./event";

/** A machine: what its namespaces share. */
@unmanaged
export class Host {
  index: u32;
  /** Root namespace (NetNs). */
  root: usize;
  /** Order of events scheduled by this host, see sim/event.ts. */
  counter: u64;
  /** Order of capture records. */
  captureSeq: u32;
  /** Journeys of packets that began here. */
  journeys: u32;
  /** Seed of the random generator, and the instant for which its state stands, see rand32. */
  seed0: u64;
  seed1: u64;
  drawnAt: i64;
  /** State of the random generator (xoshiro128++) at that instant. */
  s0: u32;
  s1: u32;
  s2: u32;
  s3: u32;
  /** State of a second one, for what is drawn only while something happens: losses on the wire. */
  w0: u32;
  w1: u32;
  w2: u32;
  w3: u32;
  /** Boot-time secrets: flow hash, IP ids, TCP ISN and timestamp offsets (SipHash keys). */
  flowK0: u64;
  flowK1: u64;
  ipidK0: u64;
  ipidK1: u64;
  tcpK0: u64;
  tcpK1: u64;
  ctK0: u64;
  ctK1: u64;
  /** A number for interface MACs and other random choices goes through rand32(). */
  /** Table of DROP_REASONS u64 counters. */
  drops: usize;
  /** Packets made, delivered and dropped on this host (conservation: made + arrived = delivered + dropped + left + live). */
  skbMade: u64;
  skbDone: u64;
  skbDropped: u64;
  skbSent: u64; // left on the wire
  skbArrived: u64; // came from the wire
  skbLive: i64;
  /** Per-host state of other layers. */
  ipidTable: usize; // inet/ipid
  neighCount: u32; // entries that count against gc_thresh, all namespaces
  conntrackCount: u32;
  namespaces: u32;
  /** inet/: what all namespaces share (HostInet): neighbour limits, ping ids. */
  inet: usize;
  /** First parked namespace (NetNs.parkNext). */
  parked: usize;
  /** xfrm/: the esp4 module is loaded (the first state does it), so protocol 50 has a handler. */
  esp4: u32;
  /** socket/sctp*: the sctp module is loaded (the first socket does it), so protocol 132 has a handler. */
  sctp: u32;
  /** xfrm/: next number of a policy (xfrm_gen_index). */
  xfrmIndex: u32;
}

/** A new host; the four words seed its random stream. */
export function hostCreate(index: u32, a: u32, b: u32, c: u32, d: u32): Host {
  const host = changetype<Host>(kmalloc(offsetof<Host>()));
  host.index = index;
  host.s0 = a | 1;
  host.s1 = b;
  host.s2 = c;
  host.s3 = d;
  host.seed0 = (<u64>nextWord(host) << 32) | <u64>nextWord(host);
  host.seed1 = (<u64>nextWord(host) << 32) | <u64>nextWord(host);
  host.drawnAt = clock();
  host.flowK0 = rand64(host);
  host.flowK1 = rand64(host);
  host.ipidK0 = rand64(host);
  host.ipidK1 = rand64(host);
  host.tcpK0 = rand64(host);
  host.tcpK1 = rand64(host);
  host.ctK0 = rand64(host);
  host.ctK1 = rand64(host);
  host.w0 = host.s0;
  host.w1 = host.s1;
  host.w2 = host.s2;
  host.w3 = host.s3;
  host.drops = kmalloc(DROP_REASONS * 8);
  return host;
}

@inline
function splitmix(x: u64): u64 {
  let z = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/**
 * Begins the stream of an instant. What a host draws depends on its seed, the time, and what it drew before at the
 * same time, not on its past: a host that rested for hours draws the same whether those hours were run or skipped.
 */
function seek(host: Host, time: i64): void {
  host.drawnAt = time;
  const x = splitmix(host.seed0 + <u64>time * 0x9e3779b97f4a7c15);
  const y = splitmix(host.seed1 ^ x);
  host.s0 = <u32>x | 1;
  host.s1 = <u32>(x >> 32);
  host.s2 = <u32>y;
  host.s3 = <u32>(y >> 32);
}

/** A uniform u32 of the host's stream at this instant (xoshiro128++, Blackman and Vigna). */
export function rand32(host: Host): u32 {
  if (host.drawnAt != clock()) seek(host, clock());
  return nextWord(host);
}

/** A uniform u32 of the host's second stream, which is one sequence over all time. */
export function wireRand32(host: Host): u32 {
  const w0 = host.w0;
  const w1 = host.w1;
  const w3 = host.w3;
  const result = rotl<u32>(w0 + w3, 7) + w0;
  const w2 = host.w2 ^ w0;
  const t3 = w3 ^ w1;
  host.w1 = w1 ^ w2;
  host.w0 = w0 ^ t3;
  host.w2 = w2 ^ (w1 << 9);
  host.w3 = rotl<u32>(t3, 11);
  return result;
}

/** A u32 that depends on the host, a time and a number only: for what is drawn once in a span of time. */
export function randOf(host: Host, time: i64, what: u32): u32 {
  return <u32>(splitmix(splitmix(host.seed1 + <u64>time * 0x9e3779b97f4a7c15) ^ host.seed0 ^ <u64>what) >> 32);
}

function nextWord(host: Host): u32 {
  const s0 = host.s0;
  const s1 = host.s1;
  const s3 = host.s3;
  const result = rotl<u32>(s0 + s3, 7) + s0;
  const s2 = host.s2 ^ s0;
  const t3 = s3 ^ s1;
  host.s1 = s1 ^ s2;
  host.s0 = s0 ^ t3;
  host.s2 = s2 ^ (s1 << 9);
  host.s3 = rotl<u32>(t3, 11);
  return result;
}

/** 64 random bits of a host (get_random_u64). */
export function rand64(host: Host): u64 {
  const high = <u64>rand32(host);
  return (high << 32) | <u64>rand32(host);
}

/** Uniform in [0, n): the kernel's prandom_u32_max. */
@inline
export function randBelow(host: Host, n: u32): u32 {
  return <u32>((<u64>rand32(host) * <u64>n) >> 32);
}
