/**
 * The neighbour table's limits, shared by all namespaces of a host (net/core/neighbour.c neigh_alloc,
 * neigh_forced_gc, neigh_periodic_work). Permanent entries are not counted and never collected.
 */
import {
  CONF_GC_STALE_MS,
  NUD_FAILED,
  NUD_NOARP,
  NUD_PERMANENT,
  SYS_GC_THRESH1,
  SYS_GC_THRESH2,
  SYS_GC_THRESH3,
} from "../abi";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kmalloc } from "../memory/arena";
import { now } from "../sim/event";
import { TIMER_UPKEEP, Timer, timerInit, timerMod, timerPending } from "../sim/timer";
import { Host } from "../sim/host";
import { confDev, hostInet, sysctl } from "./inet";
import { NUD_IN_TIMER, Neigh, NeighLife, neighFree, neighLife } from "./neigh";

const SECOND: i64 = 1_000_000_000;
/** neigh_periodic_work runs every BASE_REACHABLE_TIME / 2. */
const PERIOD: i64 = 15 * SECOND;

/** The neighbour table of a host (struct neigh_table arp_tbl); its timer is neigh_periodic_work. */
@unmanaged
export class HostNeigh extends Timer {
  /** Collectable entries, oldest first. */
  head: usize;
  tail: usize;
  /** All entries, permanent ones included. */
  entries: u32;
  /** Allocations refused: "neighbor table overflow!". */
  tableFulls: u32;
  lastFlush: i64;
}

/** An empty table. */
export function hostNeighNew(host: Host): HostNeigh {
  const table = changetype<HostNeigh>(kmalloc(offsetof<HostNeigh>()));
  timerInit(table, host, changetype<usize>(periodic), changetype<usize>(host));
  table.upkeep = TIMER_UPKEEP;
  return table;
}

/** Thresholds are those of the root namespace. */
function threshold(host: Host, id: u32): u32 {
  return sysctl(changetype<NetNs>(host.root), id);
}

/** Room for one more collectable entry? Collects when it is time to (neigh_alloc). */
export function neighRoom(host: Host): bool {
  const table = hostInet(host).neigh;
  if (host.root == 0) return true;
  const entries = host.neighCount;
  const most = threshold(host, SYS_GC_THRESH3);
  if (entries >= most || (entries >= threshold(host, SYS_GC_THRESH2) && now > table.lastFlush + 5 * SECOND)) {
    if (!forcedGc(host, table) && entries >= most) {
      table.tableFulls++;
      return false;
    }
  }
  return true;
}

function forcedGc(host: Host, table: HostNeigh): bool {
  const keep = threshold(host, SYS_GC_THRESH2);
  const want: i32 = host.neighCount > keep ? <i32>(host.neighCount - keep) : 0;
  let removed: i32 = 0;
  let p = table.head;
  while (p != 0) {
    const neigh = changetype<Neigh>(p);
    p = neighLife(neigh).gcNext;
    if (neigh.state & NUD_IN_TIMER || neigh.busy) continue; // referenced by its timer
    if (neigh.state != NUD_FAILED && neigh.state != NUD_NOARP && neigh.updated >= now - 5 * SECOND) continue;
    neighFree(neigh);
    if (++removed >= want) break;
  }
  table.lastFlush = now;
  return removed > 0;
}

/** Enters or leaves the list of collectable entries (neigh_update_gc_list). */
export function gcListUpdate(host: Host, neigh: Neigh): void {
  const wanted = !(neigh.state & NUD_PERMANENT);
  if (wanted == (neigh.life != 0 && neighLife(neigh).inGc != 0)) return;
  if (wanted) gcListAdd(host, neigh);
  else gcListRemove(host, neigh);
}

@inline
function lifeAt(neigh: usize): NeighLife {
  return neighLife(changetype<Neigh>(neigh));
}

/** Puts an entry behind the youngest that may be collected (neigh_table.gc_list). */
export function gcListAdd(host: Host, neigh: Neigh): void {
  const table = hostInet(host).neigh;
  const life = neighLife(neigh);
  life.inGc = 1;
  life.gcNext = 0;
  life.gcPrev = table.tail;
  if (table.tail == 0) table.head = changetype<usize>(neigh);
  else lifeAt(table.tail).gcNext = changetype<usize>(neigh);
  table.tail = changetype<usize>(neigh);
  host.neighCount++;
}

/** Takes an entry out of gc_list. */
export function gcListRemove(host: Host, neigh: Neigh): void {
  if (neigh.life == 0) return;
  const life = neighLife(neigh);
  if (!life.inGc) return;
  const table = hostInet(host).neigh;
  if (life.gcPrev == 0) table.head = life.gcNext;
  else lifeAt(life.gcPrev).gcNext = life.gcNext;
  if (life.gcNext == 0) table.tail = life.gcPrev;
  else lifeAt(life.gcNext).gcPrev = life.gcPrev;
  life.inGc = 0;
  host.neighCount--;
}

/** Counts an entry; the periodic work is armed only while there are gc_thresh1 of them, at the phase it would have had. */
export function neighCounted(host: Host): void {
  const table = hostInet(host).neigh;
  table.entries++;
  if (host.root != 0 && table.entries >= threshold(host, SYS_GC_THRESH1) && !timerPending(table))
    timerMod(table, (now / PERIOD + 1) * PERIOD);
}

function periodic(arg: usize): void {
  const host = changetype<Host>(arg);
  const table = hostInet(host).neigh;
  if (host.root == 0 || table.entries < threshold(host, SYS_GC_THRESH1)) return; // neighCounted arms it again
  let p = table.head;
  while (p != 0) {
    const neigh = changetype<Neigh>(p);
    p = neighLife(neigh).gcNext;
    if (neigh.state & NUD_IN_TIMER || neigh.busy) continue;
    if (neigh.used < neigh.confirmed) neigh.used = neigh.confirmed;
    const stale = <i64>confDev(changetype<NetDev>(neigh.dev), CONF_GC_STALE_MS) * 1_000_000;
    if (neigh.state == NUD_FAILED || now >= neigh.used + stale) neighFree(neigh);
  }
  timerMod(table, now + PERIOD);
}
