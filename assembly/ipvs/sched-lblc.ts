/**
 * Locality-based least connections (net/netfilter/ipvs/ip_vs_lblc.c) and the same with sets of servers (ip_vs_lblcr.c):
 * a destination address stays with a server, or with a few.
 */
import { nsHost, NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkNext, tableFirst, tableFree, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { now } from "../sim/event";
import { Timer, timerDel, timerMod, timerNew } from "../sim/timer";
import { DEST_AVAILABLE, DEST_OVERLOAD, Dest, IpvsNs, SECOND, Service } from "./records";
import { overhead, wlcSchedule } from "./sched-load";

const CHECK_INTERVAL: i64 = 60 * SECOND;
const ENTRY_TIMEOUT: i64 = 360 * SECOND;
/** DEFAULT_EXPIRATION: lblc_expiration, lblcr_expiration. */
const FULL_EXPIRATION: i64 = 86400 * SECOND;
const FULL_CHECK_EVERY: u32 = 30;
const MAX_SIZE: u32 = 16384;

/** struct ip_vs_lblc_table. */
@unmanaged
class Cache {
  entries: HashTable;
  /** All entries, newest first. */
  first: usize;
  timer: Timer;
  checks: u32;
}

/** struct ip_vs_lblc_entry, ip_vs_lblcr_entry. */
@unmanaged
class Entry {
  next: u32; // HLINK
  hash: u32;
  listNext: usize;
  listPrev: usize;
  addr: u32;
  /** Members, newest first; lblc has one. */
  members: usize;
  size: u32;
  lastUse: i64;
  lastChange: i64;
}

/** struct ip_vs_dest_set_elem. */
@unmanaged
class Member {
  next: usize;
  dest: usize;
}

@inline
function cacheOf(svc: Service): Cache {
  return changetype<Cache>(svc.pointer);
}

/** An empty cache of destinations for a service. */
export function lblcInit(svc: Service): void {
  const cache = changetype<Cache>(kmalloc(offsetof<Cache>()));
  const host = nsHost(changetype<NetNs>(changetype<IpvsNs>(svc.vs).ns));
  cache.entries = tableNew(4);
  cache.timer = timerNew(host, changetype<usize>(expire), changetype<usize>(cache));
  svc.pointer = changetype<usize>(cache);
}

/** Frees the cache of a service. */
export function lblcFree(svc: Service): void {
  const cache = cacheOf(svc);
  while (cache.first != 0) remove(cache, changetype<Entry>(cache.first));
  timerDel(cache.timer);
  kfree(changetype<usize>(cache.timer), offsetof<Timer>());
  tableFree(cache.entries);
  kfree(svc.pointer, offsetof<Cache>());
}

function find(cache: Cache, addr: u32): usize {
  for (let p = tableFirst(cache.entries, addr); p != 0; p = linkNext(p)) if (changetype<Entry>(p).addr == addr) return p;
  return 0;
}

/** A new entry; 0 when there are half as many again as there should be. */
function add(cache: Cache, addr: u32): usize {
  if (cache.entries.count > MAX_SIZE + MAX_SIZE / 2) return 0;
  const at = kmalloc(offsetof<Entry>());
  const entry = changetype<Entry>(at);
  entry.addr = addr;
  entry.lastUse = now;
  entry.listNext = cache.first;
  if (cache.first != 0) changetype<Entry>(cache.first).listPrev = at;
  cache.first = at;
  tableInsert(cache.entries, at, addr);
  // The kernel's timer always runs; without entries it does nothing.
  if (cache.entries.count == 1) timerMod(cache.timer, now + CHECK_INTERVAL);
  return at;
}

function remove(cache: Cache, entry: Entry): void {
  while (entry.members != 0) drop(entry, changetype<usize>(entry) + offsetof<Entry>("members"));
  if (entry.listPrev != 0) changetype<Entry>(entry.listPrev).listNext = entry.listNext;
  else cache.first = entry.listNext;
  if (entry.listNext != 0) changetype<Entry>(entry.listNext).listPrev = entry.listPrev;
  tableRemove(cache.entries, changetype<usize>(entry));
  kfree(changetype<usize>(entry), offsetof<Entry>());
}

/** Takes out the member that the pointer at `at` points to. */
function drop(entry: Entry, at: usize): void {
  const p = <usize>load<u32>(at);
  const member = changetype<Member>(p);
  changetype<Dest>(member.dest).refs--;
  store<u32>(at, <u32>member.next);
  entry.size--;
  entry.lastChange = now;
  kfree(p, offsetof<Member>());
}

/** ip_vs_dest_set_insert. */
function join(entry: Entry, dest: usize): void {
  for (let p = entry.members; p != 0; p = changetype<Member>(p).next) if (changetype<Member>(p).dest == dest) return;
  const member = changetype<Member>(kmalloc(offsetof<Member>()));
  member.dest = dest;
  member.next = entry.members;
  entry.members = changetype<usize>(member);
  entry.size++;
  entry.lastChange = now;
  changetype<Dest>(dest).refs++;
}

/** ip_vs_lblc_check_expire: (cache: usize) => void of its timer. */
function expire(arg: usize): void {
  const cache = changetype<Cache>(arg);
  const full = ++cache.checks % FULL_CHECK_EVERY == 0;
  if (full || cache.entries.count > MAX_SIZE) {
    const age = full ? FULL_EXPIRATION : ENTRY_TIMEOUT;
    let p = cache.first;
    while (p != 0) {
      const entry = changetype<Entry>(p);
      p = entry.listNext;
      if (now >= entry.lastUse + age) remove(cache, entry);
    }
  }
  if (cache.first != 0) timerMod(cache.timer, now + CHECK_INTERVAL);
}

/** is_overloaded: more active connections than weight, and some other has fewer than half of its. */
function overloaded(dest: Dest, svc: Service): bool {
  if (dest.active <= dest.weight) return false;
  for (let p = svc.first; p != 0; p = changetype<Dest>(p).next) {
    if (changetype<Dest>(p).active * 2 < changetype<Dest>(p).weight) return true;
  }
  return false;
}

/** ip_vs_lblc_schedule. */
export function lblcSchedule(svc: Service, addr: u32): usize {
  const cache = cacheOf(svc);
  const found = find(cache, addr);
  if (found != 0) {
    const entry = changetype<Entry>(found);
    entry.lastUse = now;
    const cached = changetype<Member>(entry.members).dest;
    const dest = changetype<Dest>(cached);
    if (dest.flags & DEST_AVAILABLE && dest.weight > 0 && !overloaded(dest, svc)) return cached;
  }
  const dest = wlcSchedule(svc);
  if (dest == 0) return 0;
  if (found != 0) {
    if (changetype<Member>(changetype<Entry>(found).members).dest == dest) return dest;
    remove(cache, changetype<Entry>(found));
  }
  const made = add(cache, addr);
  if (made != 0) join(changetype<Entry>(made), dest);
  return dest;
}

/** ip_vs_dest_set_min: the least loaded of a set. */
function least(entry: Entry): usize {
  let best: usize = 0;
  for (let p = entry.members; p != 0; p = changetype<Member>(p).next) {
    const dest = changetype<Dest>(changetype<Member>(p).dest);
    if (dest.flags & DEST_OVERLOAD || !(dest.flags & DEST_AVAILABLE)) continue;
    if (best == 0) {
      if (dest.weight > 0) best = changetype<Member>(p).dest;
      continue;
    }
    const chosen = changetype<Dest>(best);
    if (<i64>overhead(chosen) * <i64>dest.weight > <i64>overhead(dest) * <i64>chosen.weight) best = changetype<Member>(p).dest;
  }
  return best;
}

/** ip_vs_dest_set_max: takes the most loaded out of a set. */
function dropMost(entry: Entry): void {
  let most: usize = 0; // where the pointer to it stands
  let at = changetype<usize>(entry) + offsetof<Entry>("members");
  for (let p = entry.members; p != 0; p = changetype<Member>(p).next) {
    const dest = changetype<Dest>(changetype<Member>(p).dest);
    if (dest.weight > 0) {
      if (most == 0) most = at;
      else {
        const chosen = changetype<Dest>(changetype<Member>(<usize>load<u32>(most)).dest);
        if (<i64>overhead(chosen) * <i64>dest.weight < <i64>overhead(dest) * <i64>chosen.weight) most = at;
      }
    }
    at = p + offsetof<Member>("next");
  }
  if (most != 0) drop(entry, most);
}

/** ip_vs_lblcr_schedule. */
export function lblcrSchedule(svc: Service, addr: u32): usize {
  const cache = cacheOf(svc);
  const found = find(cache, addr);
  if (found != 0) {
    const entry = changetype<Entry>(found);
    entry.lastUse = now;
    const cached = least(entry);
    if (entry.size > 1 && now > entry.lastChange + FULL_EXPIRATION) dropMost(entry);
    if (cached != 0 && !overloaded(changetype<Dest>(cached), svc)) return cached;
    const dest = wlcSchedule(svc);
    if (dest != 0) join(entry, dest);
    return dest;
  }
  const dest = wlcSchedule(svc);
  if (dest == 0) return 0;
  const made = add(cache, addr);
  if (made != 0) join(changetype<Entry>(made), dest);
  return dest;
}
