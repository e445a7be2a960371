/**
 * Neighbours: IPv4 next hops and their MAC addresses, with the state machine of reachability detection
 * (net/core/neighbour.c). Broadcast and multicast next hops, and those of the loopback, need no entry: their
 * MAC follows from the address (arp_constructor's NUD_NOARP entries, which `ip neigh` hides).
 */
import {
  CONF_BASE_REACHABLE_MS, CONF_DELAY_FIRST_PROBE_MS, CONF_MCAST_RESOLICIT, CONF_MCAST_SOLICIT, CONF_RETRANS_MS, CONF_UCAST_SOLICIT,
  CONF_UNRES_QLEN_BYTES, DEV_LOOPBACK, DROP_DEV_DOWN, DROP_NEIGH_FAILED, DROP_NEIGH_QUEUEFULL, DROP_NEIGH_TABLE_FULL, ENOBUFS, NUD_DELAY,
  NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_PROBE, NUD_REACHABLE, NUD_STALE, RTN_BROADCAST, RTN_MULTICAST,
} from "../abi";
import { journeyBack, journeyBecause, markNeigh, marking } from "../link/marks";
import { NetDev, devXmit } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableInsert, tableRemove } from "../memory/hashtable";
import { Skb, dropSkb, ensureHeadroom, skbCost, skbHeadroom, skbPush } from "../memory/skb";
import { clock, now } from "../sim/event";
import { TIMER_UPKEEP, Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { Host, randOf } from "../sim/host";
import { ETH_HLEN, ETH_P_IP, MAC_BROADCAST, emitEth, macOrder } from "../wire/ethernet";
import { ICMP_DEST_UNREACH, ICMP_HOST_UNREACH } from "../wire/icmp";
import { arpSolicit } from "./arp";
import { icmpSend } from "./icmp";
import { InDev, confDev, hostInet, inDevOf } from "./inet";
import { gcListAdd, gcListRemove, gcListUpdate, neighCounted, neighRoom } from "./neigh-table";
import { SNMP_NEIGH_TABLE_FULLS, snmpInc, snmpReady } from "./snmp";

/** Sets of states (include/net/neighbour.h). */
export const NUD_IN_TIMER: u32 = 0x1b; // INCOMPLETE | REACHABLE | DELAY | PROBE
export const NUD_VALID: u32 = 0xde; // PERMANENT | NOARP | REACHABLE | PROBE | STALE | DELAY
export const NUD_CONNECTED: u32 = 0xc2; // PERMANENT | NOARP | REACHABLE

/** neighUpdate: another MAC may replace the present one. */
export const NEIGH_OVERRIDE: u32 = 1;
/** neighUpdate: by the administrator; permanent entries change too. */
export const NEIGH_ADMIN: u32 = 2;

/** The ethertype of IPv4 behind a source address. */
const TYPE_IP: u64 = 0x0008 << 48;
const MS: i64 = 1_000_000;
/** HZ / 100 jiffies. */
const MIN_WAIT: i64 = 8 * MS;
const REDRAW: i64 = 300_000 * MS;

/**
 * A neighbour: an IPv4 address on a device and its MAC (struct neighbour). A peer of an overlay costs a permanent one, so
 * what only others need stands apart.
 */
@unmanaged
export class Neigh {
  // Link in the device's table.
  hnext: u32;
  hhash: u32;
  mac: u64;
  ip: u32;
  dev: usize;
  devNext: usize;
  devPrev: usize;
  state: u8; // NUD_*
  /** Its queue is being worked off: it must not be collected. */
  busy: u8;
  probes: u16;
  /** NeighLife; 0 = it never had a timer, a packet that waited, a place among the collectable, or several times. */
  life: usize;
  updated: i64;

  /** When it was last used, and confirmed; both are `updated` as long as nothing else was said. */
  get used(): i64 {
    return this.life == 0 ? this.updated : changetype<NeighLife>(this.life).used;
  }

  set used(time: i64) {
    if (this.life != 0 || time != this.updated) neighLife(this).used = time;
  }

  get confirmed(): i64 {
    return this.life == 0 ? this.updated : changetype<NeighLife>(this.life).confirmed;
  }

  set confirmed(time: i64) {
    if (this.life != 0 || time != this.updated) neighLife(this).confirmed = time;
  }
}

/** What a neighbour has that comes and goes: its timer, a place in gc_list, packets that wait for the address. */
@unmanaged
export class NeighLife extends Timer {
  gcNext: usize; // Neigh
  gcPrev: usize;
  inGc: u32;
  queueHead: usize;
  queueTail: usize;
  queueBytes: u32;
  used: i64;
  confirmed: i64;
}

/** That part of a neighbour, made when it is first needed. */
export function neighLife(neigh: Neigh): NeighLife {
  if (neigh.life == 0) {
    const life = changetype<NeighLife>(kmalloc(offsetof<NeighLife>()));
    timerInit(life, hostOf(neigh), changetype<usize>(timerHandler), changetype<usize>(neigh));
    life.upkeep = TIMER_UPKEEP;
    life.used = neigh.updated;
    life.confirmed = neigh.updated;
    neigh.life = changetype<usize>(life);
  }
  return changetype<NeighLife>(neigh.life);
}

function disarm(neigh: Neigh): void {
  if (neigh.life != 0) timerDel(neighLife(neigh));
}

const LINK: usize = offsetof<Neigh>("hnext");

@inline
function hashOf(ip: u32): u32 {
  return (ip * 0x9e3779b1) >> 7;
}

@inline
function hostOf(neigh: Neigh): Host {
  return changetype<Host>(changetype<NetDev>(neigh.dev).host);
}

@inline
function param(neigh: Neigh, id: u32): i64 {
  return <i64>confDev(changetype<NetDev>(neigh.dev), id) * MS;
}

/** The entry of an address on a device, 0 if none. */
export function neighLookup(dev: NetDev, ip: u32): usize {
  if (dev.inDev == 0) return 0;
  const inDev = changetype<InDev>(dev.inDev);
  if (inDev.lastNeigh != 0 && changetype<Neigh>(inDev.lastNeigh).ip == ip) return inDev.lastNeigh;
  for (let p = tableFirst(inDev.neigh, hashOf(ip)); p != 0; p = linkNext(p)) {
    if (changetype<Neigh>(p - LINK).ip != ip) continue;
    inDev.lastNeigh = p - LINK;
    return p - LINK;
  }
  return 0;
}

/** Its MAC may be used without asking: permanent, no-arp or reachable (NUD_CONNECTED). */
@inline
export function neighConnected(neigh: Neigh): bool {
  return (neigh.state & NUD_CONNECTED) != 0;
}

/** Proof of reachability from above, such as an acknowledgement that TCP got (dst_confirm_neigh). */
export function neighConfirm(dev: NetDev, ip: u32): void {
  const found = neighLookup(dev, ip);
  if (found != 0) changetype<Neigh>(found).confirmed = now;
}

/** Makes an entry in state NONE; 0 when the table is full. Permanent ones are exempt from the limits (___neigh_create). */
export function neighCreate(dev: NetDev, ip: u32, exempt: bool): usize {
  const host = changetype<Host>(dev.host);
  if (!exempt && !neighRoom(host)) {
    snmpReady(changetype<NetNs>(dev.ns)); // an ARP request alone comes this far
    snmpInc(changetype<NetNs>(dev.ns), SNMP_NEIGH_TABLE_FULLS);
    return 0;
  }
  const inDev = inDevOf(dev);
  const neigh = changetype<Neigh>(kmalloc(offsetof<Neigh>()));
  neigh.ip = ip;
  neigh.dev = changetype<usize>(dev);
  neigh.updated = now;
  if (!exempt) neigh.confirmed = now - param(neigh, CONF_BASE_REACHABLE_MS) * 2;
  neigh.devNext = inDev.neighHead;
  if (inDev.neighHead != 0) changetype<Neigh>(inDev.neighHead).devPrev = changetype<usize>(neigh);
  inDev.neighHead = changetype<usize>(neigh);
  tableInsert(inDev.neigh, changetype<usize>(neigh) + LINK, hashOf(ip));
  neighCounted(host);
  if (!exempt) gcListAdd(host, neigh);
  return changetype<usize>(neigh);
}

/** Takes an entry out of everything and frees it; what waits for it is dropped. */
export function neighFree(neigh: Neigh): void {
  const inDev = changetype<InDev>(changetype<NetDev>(neigh.dev).inDev);
  disarm(neigh);
  gcListRemove(hostOf(neigh), neigh);
  hostInet(hostOf(neigh)).neigh.entries--;
  tableRemove(inDev.neigh, changetype<usize>(neigh) + LINK);
  if (inDev.lastNeigh == changetype<usize>(neigh)) inDev.lastNeigh = 0;
  if (neigh.devPrev == 0) inDev.neighHead = neigh.devNext;
  else changetype<Neigh>(neigh.devPrev).devNext = neigh.devNext;
  if (neigh.devNext != 0) changetype<Neigh>(neigh.devNext).devPrev = neigh.devPrev;
  purge(neigh, DROP_DEV_DOWN);
  if (neigh.life != 0) kfree(neigh.life, offsetof<NeighLife>());
  kfree(changetype<usize>(neigh), offsetof<Neigh>());
}

/** All entries of a device go (neigh_flush_dev). */
export function neighFlushDev(dev: NetDev): void {
  if (dev.inDev == 0) return;
  const inDev = changetype<InDev>(dev.inDev);
  while (inDev.neighHead != 0) neighFree(changetype<Neigh>(inDev.neighHead));
}

// ---------------------------------------------------------------------------------------------- queue

function dequeue(neigh: Neigh): usize {
  if (neigh.life == 0) return 0;
  const life = neighLife(neigh);
  const head = life.queueHead;
  if (head == 0) return 0;
  const skb = changetype<Skb>(head);
  life.queueHead = <usize>skb.next;
  if (life.queueHead == 0) life.queueTail = 0;
  life.queueBytes -= skbCost(skb.len);
  skb.next = 0;
  return head;
}

function enqueue(neigh: Neigh, skb: Skb): void {
  const limit = confDev(changetype<NetDev>(neigh.dev), CONF_UNRES_QLEN_BYTES);
  const life = neighLife(neigh);
  while (life.queueBytes + skbCost(skb.len) > limit) {
    const oldest = dequeue(neigh);
    if (oldest == 0) break;
    dropSkb(changetype<Skb>(oldest), DROP_NEIGH_QUEUEFULL);
  }
  skb.next = 0;
  if (life.queueTail == 0) life.queueHead = changetype<usize>(skb);
  else changetype<Skb>(life.queueTail).next = <u32>changetype<usize>(skb);
  life.queueTail = changetype<usize>(skb);
  life.queueBytes += skbCost(skb.len);
}

function purge(neigh: Neigh, reason: u32): void {
  for (let p = dequeue(neigh); p != 0; p = dequeue(neigh)) dropSkb(changetype<Skb>(p), reason);
}

// ---------------------------------------------------------------------------------------------- output

/** Prepends the Ethernet header and sends (neigh_hh_output). */
@inline
function emit(dev: NetDev, neigh: Neigh, skb: Skb): void {
  if (marking) markNeigh(neigh, skb, 0);
  if (skbHeadroom(skb) < 16) skb = ensureHeadroom(skb, 16);
  // 16 bytes ending where the IP header begins: two of slack, then the header.
  store<u64>(skb.data - 16, neigh.mac << 16);
  store<u64>(skb.data - 8, dev.mac | TYPE_IP);
  skbPush(skb, ETH_HLEN);
  devXmit(dev, skb);
}

function emitTo(dev: NetDev, mac: u64, src: u64, given: Skb): void {
  const skb = ensureHeadroom(given, ETH_HLEN);
  emitEth(skbPush(skb, ETH_HLEN), mac, src, ETH_P_IP);
  devXmit(dev, skb);
}

/**
 * Sends an IP packet (skb.data at its IP header) to a next hop on a device, resolving it first if need be
 * (ip_finish_output2, neigh_output). 0, or -ENOBUFS when the neighbour table is full.
 */
export function neighOutput(dev: NetDev, nextHop: u32, skb: Skb): i32 {
  if (dev.kind == DEV_LOOPBACK) {
    emitTo(dev, dev.mac, dev.mac, skb);
    return 0;
  }
  if (skb.rtType == RTN_BROADCAST) {
    emitTo(dev, MAC_BROADCAST, dev.mac, skb);
    return 0;
  }
  if (skb.rtType == RTN_MULTICAST) {
    emitTo(dev, macOrder(0x01005e000000 | <u64>(nextHop & 0x7fffff)), dev.mac, skb);
    return 0;
  }
  let found = neighLookup(dev, nextHop);
  if (found == 0) {
    found = neighCreate(dev, nextHop, false);
    if (found == 0) {
      dropSkb(skb, DROP_NEIGH_TABLE_FULL);
      return -ENOBUFS;
    }
  }
  const neigh = changetype<Neigh>(found);
  if (neigh.state & NUD_CONNECTED) emit(dev, neigh, skb);
  else resolveOutput(dev, neigh, skb);
  return 0;
}

/** neigh_resolve_output and __neigh_event_send. */
function resolveOutput(dev: NetDev, neigh: Neigh, skb: Skb): void {
  neigh.used = now;
  if (!(neigh.state & NUD_VALID)) {
    const start = neigh.state != NUD_INCOMPLETE;
    if (start) {
      // The first requests count as if the unicast ones had been tried.
      neigh.probes = <u16>confDev(dev, CONF_UCAST_SOLICIT);
      neigh.state = <u8>NUD_INCOMPLETE;
      neigh.updated = now;
      arm(neigh, now + wait(neigh));
    }
    if (marking) markNeigh(neigh, skb, 1);
    enqueue(neigh, skb);
    if (start) probe(neigh);
    return;
  }
  if (neigh.state == NUD_STALE) {
    neigh.state = <u8>NUD_DELAY;
    neigh.updated = now;
    arm(neigh, now + param(neigh, CONF_DELAY_FIRST_PROBE_MS));
  }
  emit(dev, neigh, skb);
}

// ---------------------------------------------------------------------------------------------- state machine

@inline
function wait(neigh: Neigh): i64 {
  const retrans = param(neigh, CONF_RETRANS_MS);
  return retrans > MIN_WAIT ? retrans : MIN_WAIT;
}

function arm(neigh: Neigh, at: i64): void {
  timerMod(neighLife(neigh), at);
}

/** The device's reachable time: base/2 + random[0, base), drawn for every 300 s of the clock (neigh_rand_reach_time). */
function reachableTime(dev: NetDev): i64 {
  const inDev = inDevOf(dev);
  const period = clock() / REDRAW;
  if (inDev.reachableDrawn != period) {
    const base = confDev(dev, CONF_BASE_REACHABLE_MS);
    const chance = <u64>randOf(changetype<Host>(dev.host), period, dev.ifindex) * <u64>base;
    inDev.reachableTime = <i64>((base >> 1) + <u32>(chance >> 32)) * MS;
    inDev.reachableDrawn = period;
  }
  return inDev.reachableTime;
}

function maxProbes(neigh: Neigh): u32 {
  const dev = changetype<NetDev>(neigh.dev);
  return confDev(dev, CONF_UCAST_SOLICIT) + confDev(dev, neigh.state == NUD_PROBE ? CONF_MCAST_RESOLICIT : CONF_MCAST_SOLICIT);
}

/** neigh_probe: one request. The newest waiting packet decides its source address. */
function probe(neigh: Neigh): void {
  const waiting = neigh.life == 0 ? <usize>0 : neighLife(neigh).queueTail;
  const before = marking ? journeyBecause(waiting) : <u64>0;
  arpSolicit(neigh, waiting);
  if (marking) journeyBack(before);
  neigh.probes++;
}

/** neigh_timer_handler. */
function timerHandler(arg: usize): void {
  const neigh = changetype<Neigh>(arg);
  let next: i64 = now + wait(neigh);
  if (neigh.state == NUD_REACHABLE) {
    const reachable = reachableTime(changetype<NetDev>(neigh.dev));
    const delay = param(neigh, CONF_DELAY_FIRST_PROBE_MS);
    if (now <= neigh.confirmed + reachable) next = neigh.confirmed + reachable;
    else if (now <= neigh.used + delay) {
      neigh.state = <u8>NUD_DELAY;
      neigh.updated = now;
      next = now + delay;
    } else {
      neigh.state = <u8>NUD_STALE;
      neigh.updated = now;
    }
  } else if (neigh.state == NUD_DELAY) {
    if (now <= neigh.confirmed + param(neigh, CONF_DELAY_FIRST_PROBE_MS)) {
      neigh.state = <u8>NUD_REACHABLE;
      neigh.updated = now;
      next = neigh.confirmed + reachableTime(changetype<NetDev>(neigh.dev));
    } else {
      neigh.state = <u8>NUD_PROBE;
      neigh.updated = now;
      neigh.probes = 0;
    }
  }
  const asking = neigh.state == NUD_INCOMPLETE || neigh.state == NUD_PROBE;
  if (asking && neigh.probes >= maxProbes(neigh)) {
    neigh.state = <u8>NUD_FAILED;
    invalidate(neigh);
    return;
  }
  if (neigh.state & NUD_IN_TIMER) arm(neigh, next < now + MIN_WAIT ? now + MIN_WAIT : next);
  if (asking) probe(neigh);
}

/** neigh_invalidate: what waits is answered with host unreachable (arp_error_report) and dropped. */
function invalidate(neigh: Neigh): void {
  neigh.updated = now;
  // A sender may react at once and hit the same entry: it is then INCOMPLETE again and keeps its queue.
  neigh.busy++;
  while (neigh.state == NUD_FAILED) {
    const head = dequeue(neigh);
    if (head == 0) break;
    const skb = changetype<Skb>(head);
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
    dropSkb(skb, DROP_NEIGH_FAILED);
  }
  neigh.busy--;
}

/**
 * neigh_update: new state and MAC of an entry, by ARP or by the administrator. `hasMac` false keeps the MAC it has.
 */
export function neighUpdate(neigh: Neigh, hasMac: bool, mac: u64, state: u32, flags: u32): void {
  const old = neigh.state;
  if (!(flags & NEIGH_ADMIN) && old & (NUD_NOARP | NUD_PERMANENT)) return;
  if (!(state & NUD_VALID)) {
    disarm(neigh);
    neigh.state = <u8>state;
    gcListUpdate(hostOf(neigh), neigh);
    if (old & (NUD_INCOMPLETE | NUD_PROBE) && state == NUD_FAILED) invalidate(neigh);
    return;
  }
  if (!hasMac) {
    if (!(old & NUD_VALID)) return;
    mac = neigh.mac;
  }
  const same = (old & NUD_VALID) != 0 && mac == neigh.mac;
  if (state & NUD_CONNECTED) neigh.confirmed = now;
  if (old & NUD_VALID) {
    if (!same && !(flags & NEIGH_OVERRIDE)) return;
    if (same && state == NUD_STALE && !(flags & NEIGH_ADMIN)) state = old;
  }
  if (state != old || !same) neigh.updated = now;
  if (state != old) {
    disarm(neigh);
    if (state & NUD_PROBE) neigh.probes = 0;
    if (state & NUD_IN_TIMER) arm(neigh, state & NUD_REACHABLE ? now + reachableTime(changetype<NetDev>(neigh.dev)) : now);
    neigh.state = <u8>state;
    gcListUpdate(hostOf(neigh), neigh);
  }
  if (!same) {
    neigh.mac = mac;
    if (!(state & NUD_CONNECTED)) neigh.confirmed = now - param(neigh, CONF_BASE_REACHABLE_MS) * 2;
  }
  if (!(old & NUD_VALID)) flush(neigh);
}

/** Sends what waited. */
function flush(neigh: Neigh): void {
  const dev = changetype<NetDev>(neigh.dev);
  neigh.busy++;
  while (neigh.state & NUD_VALID) {
    const head = dequeue(neigh);
    if (head == 0) break;
    const skb = changetype<Skb>(head);
    if (neigh.state & NUD_CONNECTED) {
      neigh.used = now;
      emit(dev, neigh, skb);
    } else resolveOutput(dev, neigh, skb);
  }
  neigh.busy--;
}

/** neigh_event_ns: somebody asked for us; we know it as STALE now. False when the table is full. */
export function neighEventNs(dev: NetDev, ip: u32, mac: u64): bool {
  let found = neighLookup(dev, ip);
  if (found == 0) found = neighCreate(dev, ip, false);
  if (found == 0) return false;
  neighUpdate(changetype<Neigh>(found), true, mac, NUD_STALE, NEIGH_OVERRIDE);
  return true;
}
