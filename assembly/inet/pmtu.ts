/**
 * What routers told about destinations: path MTUs and better gateways (net/ipv4/route.c struct
 * fib_nh_exception, __ip_rt_update_pmtu, __ip_do_redirect). Kept per namespace and destination for
 * mtu_expires = 600 s.
 */
import { SYS_MIN_PMTU, SYS_MTU_EXPIRES } from "../abi";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableInsert, tableRemove } from "../memory/hashtable";
import { now } from "../sim/event";
import { timerDel, timerMod, timerPending } from "../sim/timer";
import { exceptionTimer, inetOf, rtFlush, sysctl } from "./inet";
import { RtResult, routeLookupAnySrc } from "./route";

/** What ICMP taught about a destination: path MTU, another gateway (struct fib_nh_exception). */
@unmanaged
export class PmtuEntry {
  hnext: u32;
  hhash: u32;
  dst: u32;
  mtu: u32; // 0 = none learned
  locked: u32;
  gateway: u32; // by redirect, 0 = none
  dev: u32; // ifindex of the device the redirect is about
  expires: i64;
}

@inline
function hashOf(dst: u32): u32 {
  return (dst * 0x9e3779b1) >> 8;
}

/** The valid exception for a destination, 0 if none. */
export function pmtuFind(ns: NetNs, dst: u32): usize {
  const table = inetOf(ns).exceptions;
  if (table.count == 0) return 0;
  for (let p = tableFirst(table, hashOf(dst)); p != 0; p = linkNext(p)) {
    const entry = changetype<PmtuEntry>(p);
    if (entry.dst == dst) return entry.expires > now ? p : 0;
  }
  return 0;
}

function findOrMake(ns: NetNs, dst: u32): PmtuEntry {
  const table = inetOf(ns).exceptions;
  for (let p = tableFirst(table, hashOf(dst)); p != 0; p = linkNext(p)) {
    const entry = changetype<PmtuEntry>(p);
    if (entry.dst != dst) continue;
    if (entry.expires <= now) {
      entry.mtu = 0;
      entry.locked = 0;
      entry.gateway = 0;
    }
    return entry;
  }
  const entry = changetype<PmtuEntry>(kmalloc(offsetof<PmtuEntry>()));
  entry.dst = dst;
  tableInsert(table, changetype<usize>(entry), hashOf(dst));
  return entry;
}

function keep(ns: NetNs, entry: PmtuEntry): void {
  const timer = exceptionTimer(ns);
  entry.expires = now + <i64>sysctl(ns, SYS_MTU_EXPIRES) * 1_000_000_000;
  if (!timerPending(timer) || timer.expires > entry.expires) timerMod(timer, entry.expires);
  rtFlush(ns);
}

/** A frag-needed for `dst` said `mtu`; values below min_pmtu are raised to it and stop DF (__ip_rt_update_pmtu). */
export function pmtuUpdate(ns: NetNs, dst: u32, mtu: u32): void {
  if (routeLookupAnySrc(ns, dst, 0, 0) != 0) return;
  const old = RtResult.rtMtu;
  if (RtResult.rtLocked || old < mtu) return;
  let locked: u32 = 0;
  const least = sysctl(ns, SYS_MIN_PMTU);
  if (mtu < least) {
    locked = 1;
    mtu = old < least ? old : least;
  }
  const entry = findOrMake(ns, dst);
  // Told the same again in the first half of its life: nothing to do.
  if (entry.mtu == mtu && !locked && now < entry.expires - <i64>sysctl(ns, SYS_MTU_EXPIRES) * 500_000_000) return;
  entry.mtu = mtu;
  entry.locked = locked;
  keep(ns, entry);
}

/** A redirect for `dst` named a better gateway on a device. */
export function redirectUpdate(ns: NetNs, dst: u32, gateway: u32, dev: NetDev): void {
  const entry = findOrMake(ns, dst);
  entry.gateway = gateway;
  entry.dev = dev.ifindex;
  keep(ns, entry);
}

/** Timer: frees what has expired, so that cached routes see the full MTU again. */
export function pmtuExpire(arg: usize): void {
  const ns = changetype<NetNs>(arg);
  const table = inetOf(ns).exceptions;
  let next: i64 = i64.MAX_VALUE;
  for (let i: u32 = 0; i <= table.mask; i++) {
    let p = tableFirst(table, i);
    while (p != 0) {
      const entry = changetype<PmtuEntry>(p);
      p = linkNext(p);
      if (entry.expires > now) {
        if (entry.expires < next) next = entry.expires;
        continue;
      }
      tableRemove(table, changetype<usize>(entry));
      kfree(changetype<usize>(entry), offsetof<PmtuEntry>());
    }
  }
  if (next != i64.MAX_VALUE) timerMod(exceptionTimer(ns), next);
  rtFlush(ns);
}

/** Frees all: `ip route flush cache`, and the end of the namespace. */
export function pmtuPurge(ns: NetNs): void {
  const table = inetOf(ns).exceptions;
  if (inetOf(ns).exceptionTimer != 0) timerDel(exceptionTimer(ns));
  for (let i: u32 = 0; i <= table.mask; i++) {
    for (let p = tableFirst(table, i); p != 0; p = tableFirst(table, i)) {
      tableRemove(table, p);
      kfree(p, offsetof<PmtuEntry>());
    }
  }
  rtFlush(ns);
}
