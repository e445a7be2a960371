/** Hashing by destination (net/netfilter/ipvs/ip_vs_dh.c) and by source (ip_vs_sh.c): tables of 256 destinations. */
import { VS_SVC_F_SCHED1, VS_SVC_F_SCHED2 } from "../abi";
import { kfree, kmallocRaw } from "../memory/arena";
import { DEST_OVERLOAD, Dest, Service } from "./records";

const SLOTS: u32 = 256;
const GOLDEN_RATIO_32: u32 = 0x61c88647;

/** hash_32(value, 8) (include/linux/hash.h). */
@inline
function hash8(value: u32): u32 {
  return (value * GOLDEN_RATIO_32) >> 24;
}

/** A scheduler must not choose it. */
@inline
export function unavailable(dest: Dest): bool {
  return dest.weight <= 0 || (dest.flags & DEST_OVERLOAD) != 0;
}

/** Fills the table: each destination gets its turn of slots, in the order of the list, around and around. */
function build(svc: Service, weighted: bool): void {
  if (svc.pointer == 0) svc.pointer = kmallocRaw(SLOTS << 2);
  let p = svc.first;
  let turn: i32 = 0;
  for (let i: u32 = 0; i < SLOTS; i++) {
    store<u32>(svc.pointer + (<usize>i << 2), <u32>p);
    if (p == 0) continue;
    const dest = changetype<Dest>(p);
    if (weighted && ++turn < dest.weight) continue;
    turn = 0;
    p = dest.next != 0 ? dest.next : svc.first;
  }
}

/** ip_vs_sh_reassign. */
export function shBuild(svc: Service): void {
  build(svc, true);
}

/** ip_vs_dh_reassign: weights count for nothing. */
export function dhBuild(svc: Service): void {
  build(svc, false);
}

/** Frees the table of a service. */
export function hashFree(svc: Service): void {
  kfree(svc.pointer, SLOTS << 2);
}

@inline
function slot(svc: Service, index: u32): usize {
  return load<u32>(svc.pointer + (<usize>(index & (SLOTS - 1)) << 2));
}

/** ip_vs_dh_schedule. */
export function dhSchedule(svc: Service, dst: u32): usize {
  const dest = slot(svc, hash8(dst));
  return dest == 0 || unavailable(changetype<Dest>(dest)) ? 0 : dest;
}

/** ip_vs_sh_schedule: with the flags, by port too; and around the table when the one it would be cannot. */
export function shSchedule(svc: Service, src: u32, sport: u32): usize {
  const key = src + (svc.flags & VS_SVC_F_SCHED2 ? sport : 0);
  const first = hash8(key);
  const dest = slot(svc, first);
  if (dest == 0) return 0;
  if (!unavailable(changetype<Dest>(dest))) return dest;
  if (!(svc.flags & VS_SVC_F_SCHED1)) return 0;
  for (let offset: u32 = 0; offset < SLOTS; offset++) {
    const other = slot(svc, ((offset + first) % SLOTS) + first);
    if (!unavailable(changetype<Dest>(other))) return other;
  }
  return 0;
}
