/** Maglev hashing (net/netfilter/ipvs/ip_vs_mh.c; Eisenbud et al., NSDI 2016): a table of 4093 destinations. */
import { VS_SVC_F_SCHED1, VS_SVC_F_SCHED2 } from "../abi";
import { hsiphash } from "../hash/siphash";
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { Dest, Service } from "./records";
import { unavailable } from "./sched-hash";
import { gcd } from "./sched-rr";

/** primes[CONFIG_IP_VS_MH_TAB_INDEX - 8]. */
const TABLE: u32 = 4093;
/** IP_VS_MH_TAB_BITS: turns of a destination have no more bits. */
const TURN_BITS: i32 = 6;
const KEY1: u64 = 2654435761;
const KEY2: u64 = 2654446892;

const word: usize = memory.data(8, 8);

@inline
function hashKey(value: u32, key: u64): u32 {
  store<u32>(word, value);
  return hsiphash(word, 4, key, key);
}

/** What is kept of a destination while the table is filled (struct ip_vs_mh_dest_setup): skip, place, turns, the destination. */
const SETUP: usize = 16;

/** ip_vs_mh_gcd_weight, over the last weights that weren't 0. */
function gcdWeight(svc: Service): u32 {
  let g: i32 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const weight = changetype<Dest>(p).lastWeight;
    if (weight > 0) g = g > 0 ? gcd(weight, g) : weight;
  }
  return <u32>g;
}

/** ip_vs_mh_shift_weight. */
function shiftWeight(svc: Service, divisor: u32): u32 {
  let most: u32 = 0;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const weight = <u32>changetype<Dest>(p).lastWeight;
    if (weight > most) most = weight;
  }
  const shift = 32 - clz<i32>(most / divisor) - TURN_BITS;
  return shift >= 0 ? shift : 0;
}

/** ip_vs_mh_permutate. */
function permutate(svc: Service, setup: usize, divisor: u32): void {
  const shift = shiftWeight(svc, divisor);
  let at = setup;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    const dest = changetype<Dest>(p);
    const value = dest.port + dest.addr;
    const turns = (<u32>dest.lastWeight / divisor) >> shift;
    store<u32>(at, (hashKey(value, KEY2) % (TABLE - 1)) + 1);
    store<u32>(at, hashKey(value, KEY1) % TABLE, 4);
    store<u32>(at, turns != 0 ? turns : <u32>(dest.lastWeight != 0), 8);
    store<u32>(at, <u32>p, 12);
    at += SETUP;
  }
}

/** The next free place in a destination's permutation, taken. */
function take(table: usize, at: usize): void {
  const skip = load<u32>(at);
  let place = load<u32>(at, 4);
  while (load<u32>(table + (<usize>place << 2)) != 0) {
    place += skip;
    if (place >= TABLE) place -= TABLE;
  }
  store<u32>(at, place, 4);
  store<u32>(table + (<usize>place << 2), load<u32>(at, 12));
}

/** ip_vs_mh_reassign: destinations take turns at filling the table, each by its own permutation of it. */
export function mhBuild(svc: Service): void {
  if (svc.pointer == 0) svc.pointer = kmallocRaw(TABLE << 2);
  memory.fill(svc.pointer, 0, TABLE << 2);
  const divisor = gcdWeight(svc);
  if (divisor == 0) return;
  const size = <usize>svc.dests * SETUP;
  const setup = kmalloc(size);
  permutate(svc, setup, divisor);
  let filled: u32 = 0;
  for (let at = setup; filled < TABLE; at = at + SETUP == setup + size ? setup : at + SETUP) {
    for (let turns = load<u32>(at, 8); turns != 0 && filled < TABLE; turns--) {
      take(svc.pointer, at);
      filled++;
    }
  }
  kfree(setup, size);
}

/** Frees the tables of a service. */
export function mhFree(svc: Service): void {
  kfree(svc.pointer, TABLE << 2);
}

@inline
function slot(svc: Service, value: u32): usize {
  return load<u32>(svc.pointer + (<usize>(hashKey(value, KEY1) % TABLE) << 2));
}

/** ip_vs_mh_schedule: with the flags, by port too; and elsewhere in the table when the one it would be cannot. */
export function mhSchedule(svc: Service, src: u32, sport: u32): usize {
  const value = src + (svc.flags & VS_SVC_F_SCHED2 ? sport : 0);
  const dest = slot(svc, value);
  if (dest == 0) return 0;
  if (!unavailable(changetype<Dest>(dest))) return dest;
  if (!(svc.flags & VS_SVC_F_SCHED1)) return 0;
  const first = hashKey(value, KEY1) % TABLE;
  for (let offset: u32 = 0; offset < TABLE; offset++) {
    const other = slot(svc, value + ((offset + first) % TABLE));
    if (!unavailable(changetype<Dest>(other))) return other;
  }
  return 0;
}
