/**
 * Connections: the record, the table of this worker, allocation and limits, confirmation, expiry
 * (net/netfilter/nf_conntrack_core.c).
 *
 * A connection is one record with two tuples, original and reply; both stand in one hash table once the
 * connection is confirmed. References: one of the table, one of each packet that belongs to it.
 * An expired entry dies when somebody looks it up; what nobody looks up a coarse timer per namespace
 * sweeps, which is armed only while there are entries.
 */
import { CTL_MAX, IPPROTO_ICMP, IPPROTO_TCP, IPS_ASSURED, IPS_CONFIRMED, IPS_DYING } from "../abi";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { Skb } from "../memory/skb";
import { now } from "../sim/event";
import { TIMER_UPKEEP, Timer, timerMod, timerNew, timerPending } from "../sim/timer";
import { Host } from "../sim/host";
import { natForget } from "./nat";
import { NfNs, ctlOf, nfOf } from "./nfns";
import { T_DIR, T_DST, T_KEY, T_PORTS, T_SRC, TUPLE, tupleCopy, tupleHash, tupleHashWords, tupleInvert, tupleProto } from "./tuple";

/** Skb.ctInfo (enum ip_conntrack_info). */
export const IP_CT_ESTABLISHED: u32 = 0;
export const IP_CT_RELATED: u32 = 1;
export const IP_CT_NEW: u32 = 2;
export const IP_CT_IS_REPLY: u32 = 3;
export const IP_CT_ESTABLISHED_REPLY: u32 = 3;
export const IP_CT_RELATED_REPLY: u32 = 4;
export const IP_CT_UNTRACKED: u32 = 7;

/** ns. */
export const SECOND: i64 = 1_000_000_000;
/** An early drop looks at this many connections: 8 buckets of Linux's table (NF_CT_EVICTION_RANGE). */
const EVICTION_RANGE: u32 = 64;
/** The sweep runs at most this often. */
const GC_INTERVAL: i64 = 10 * SECOND;

/** A tracked connection (struct nf_conn). */
@unmanaged
export class Ct {
  // Original tuple, see tuple.ts.
  oNext: u32;
  oHash: u32;
  oSrc: u32;
  oDst: u32;
  oPorts: u32;
  oKey: u32;
  oDir: u32;
  refs: u32;
  // Reply tuple.
  rNext: u32;
  rHash: u32;
  rSrc: u32;
  rDst: u32;
  rPorts: u32;
  rKey: u32;
  rDir: u32;
  status: u32; // IPS_*
  expires: i64;
  /** NetNs; 0 once that is gone. */
  ns: usize;
  host: usize;
  listPrev: usize;
  listNext: usize;
  mark: u32;
  /** MASQUERADE: ifindex of the interface whose address it took. */
  masqIndex: u32;
  // Link in the table of connections by source (NAT), hash 0 and not linked unless `bySource`.
  sNext: u32;
  sHash: u32;
  bySource: u32;
  // TCP (struct ip_ct_tcp), or `streamTs` for UDP.
  state: u8;
  lastDir: u8;
  lastIndex: u8;
  lastWscale: u8;
  streamTs: i64;
  lastFlags: u8;
  retrans: u8;
  lastWin: u16;
  lastSeq: u32;
  lastAck: u32;
  lastEnd: u32;
  seen0: u32; // a direction of TCP, 20 bytes (struct ip_ct_tcp_state): td_end, td_maxend, td_maxwin, td_maxack u32, td_scale u8, flags u8
  seen01: u64;
  seen02: u64;
  seen1: u32;
  seen11: u64;
  seen12: u64;
}

let table = changetype<HashTable>(0);

/** Called once at start-up. */
export function conntrackInit(): void {
  table = tableNew(10);
}

/** The connection in which a link of the table stands. */
@inline
export function ctOfLink(link: usize): Ct {
  return changetype<Ct>(link - (<usize>load<u32>(link, T_DIR) << 5));
}

/** The tuple of a direction: 0 original, 1 reply. */
@inline
export function ctTuple(ct: Ct, dir: u32): usize {
  return changetype<usize>(ct) + (<usize>dir << 5);
}

/** Direction of a packet by its skb.ctInfo: 0 original, 1 reply (CTINFO2DIR). */
@inline
export function dirOfInfo(ctInfo: u32): u32 {
  return <u32>(ctInfo >= IP_CT_IS_REPLY);
}

/** The live entry that has this tuple in either direction (a link; its T_DIR says which), or 0. */
@inline
export function ctFind(nf: NfNs, tuple: usize): usize {
  return ctFindWords(nf, load<u64>(tuple, T_SRC), load<u64>(tuple, T_PORTS));
}

/** As ctFind, of a tuple's two words from T_SRC and T_PORTS on. */
export function ctFindWords(nf: NfNs, addresses: u64, ports: u64): usize {
  const hash = tupleHashWords(nf, addresses, ports);
  for (let p = tableFirst(table, hash); p != 0; p = linkNext(p)) {
    if (((load<u64>(p, T_SRC) ^ addresses) | (load<u64>(p, T_PORTS) ^ ports)) != 0) continue;
    const ct = ctOfLink(p);
    if (ct.expires > now) return p;
    ctKill(ct);
    return 0;
  }
  return 0;
}

/** As ctFindWords, for a packet; `recent` is where the namespace keeps what was found last: packets come in trains. */
@inline
export function ctFindRecent(nf: NfNs, recent: usize, addresses: u64, ports: u64): usize {
  const last = <usize>load<u32>(recent);
  if (last != 0) {
    // One test of both words.
    const differs = (load<u64>(last, T_SRC) ^ addresses) | (load<u64>(last, T_PORTS) ^ ports);
    if (differs == 0 && ctOfLink(last).expires > now) return last;
  }
  const found = ctFindWords(nf, addresses, ports);
  store<u32>(recent, <u32>found);
  return found;
}

const inverted: usize = memory.data(32, 16);

/**
 * nf_nat_used_tuple: would the answers to a connection with this (translated) tuple be taken for another
 * connection's? Entries of the same original tuple don't count: the clash is resolved at confirmation.
 */
export function ctTupleUsed(nf: NfNs, tuple: usize, ignored: Ct): bool {
  if (!tupleInvert(inverted, tuple)) return false;
  const hash = tupleHash(nf, inverted);
  const addresses = load<u64>(inverted, T_SRC);
  const ports = load<u64>(inverted, T_PORTS);
  let p = tableFirst(table, hash);
  while (p != 0) {
    const next = linkNext(p);
    if (linkHash(p) == hash && load<u64>(p, T_SRC) == addresses && load<u64>(p, T_PORTS) == ports) {
      const ct = ctOfLink(p);
      if (changetype<usize>(ct) != changetype<usize>(ignored)) {
        if (ct.expires <= now) {
          ctKill(ct);
          p = tableFirst(table, hash);
          continue;
        }
        if (load<u64>(ctTuple(ct, 0), T_SRC) != load<u64>(ctTuple(ignored, 0), T_SRC) || load<u64>(ctTuple(ct, 0), T_PORTS) != load<u64>(ctTuple(ignored, 0), T_PORTS)) return true;
      }
    }
    p = next;
  }
  return false;
}

/** nf_conntrack_max: one value per host, kept by its root namespace. */
@inline
function ctMax(nf: NfNs): u32 {
  const host = changetype<Host>(changetype<NetNs>(nf.ns).host);
  if (host.root == 0) return ctlOf(nf, CTL_MAX);
  return ctlOf(nfOf(changetype<NetNs>(host.root)), CTL_MAX);
}

/** early_drop: frees the place of a connection that is not assured. */
function earlyDrop(nf: NfNs): bool {
  let p = nf.evict != 0 ? nf.evict : nf.first;
  for (let i: u32 = 0; i < EVICTION_RANGE && p != 0; i++) {
    const ct = changetype<Ct>(p);
    p = ct.listNext != 0 ? ct.listNext : nf.first;
    if ((ct.status & (IPS_ASSURED | IPS_CONFIRMED | IPS_DYING)) == IPS_CONFIRMED) {
      nf.evict = p == changetype<usize>(ct) ? 0 : p;
      ctKill(ct);
      return true;
    }
  }
  nf.evict = p;
  return false;
}

/** A new unconfirmed connection with one reference; 0 when the table is full (__nf_conntrack_alloc). */
export function ctAlloc(nf: NfNs, tuple: usize): usize {
  const ns = changetype<NetNs>(nf.ns);
  const max = ctMax(nf);
  if (max != 0 && nf.count + 1 > max && !earlyDrop(nf)) return 0;
  const at = kmalloc(offsetof<Ct>());
  const ct = changetype<Ct>(at);
  tupleCopy(at, tuple);
  if (!tupleInvert(at + TUPLE, tuple)) {
    kfree(at, offsetof<Ct>());
    return 1; // cannot begin a connection
  }
  ct.rDir = 1;
  ct.refs = 1;
  ct.ns = nf.ns;
  ct.host = ns.host;
  ct.listPrev = nf.last;
  if (nf.last != 0) changetype<Ct>(nf.last).listNext = at;
  else nf.first = at;
  nf.last = at;
  nf.count++;
  changetype<Host>(ns.host).conntrackCount++;
  return at;
}

/** Gives a reference back. */
@inline
export function ctPut(ct: Ct): void {
  if (--ct.refs == 0) ctFree(ct);
}

function ctFree(ct: Ct): void {
  natForget(ct);
  ctUnlist(ct);
  kfree(changetype<usize>(ct), offsetof<Ct>());
}

function ctUnlist(ct: Ct): void {
  if (ct.ns == 0) return;
  const nf = nfOf(changetype<NetNs>(ct.ns));
  if (ct.listPrev != 0) changetype<Ct>(ct.listPrev).listNext = ct.listNext;
  else nf.first = ct.listNext;
  if (ct.listNext != 0) changetype<Ct>(ct.listNext).listPrev = ct.listPrev;
  else nf.last = ct.listPrev;
  if (nf.evict == changetype<usize>(ct)) nf.evict = ct.listNext;
  nf.count--;
  changetype<Host>(ct.host).conntrackCount--;
  ct.ns = 0;
}

function forgetRecent(ct: Ct): void {
  if (ct.ns == 0) return;
  const nf = nfOf(changetype<NetNs>(ct.ns));
  if (nf.recentIn == ctTuple(ct, 0) || nf.recentIn == ctTuple(ct, 1)) nf.recentIn = 0;
  if (nf.recentOut == ctTuple(ct, 0) || nf.recentOut == ctTuple(ct, 1)) nf.recentOut = 0;
}

/** Takes a confirmed entry out of the table (nf_ct_kill); packets may still refer to it. */
export function ctKill(ct: Ct): void {
  if (ct.status & IPS_DYING) return;
  ct.status |= IPS_DYING;
  if (!(ct.status & IPS_CONFIRMED)) return;
  tableRemove(table, ctTuple(ct, 0));
  tableRemove(table, ctTuple(ct, 1));
  forgetRecent(ct);
  natForget(ct);
  ctUnlist(ct);
  ctPut(ct);
}

/** The timer of a namespace's sweep, made with its first connection. */
function sweepTimer(nf: NfNs): Timer {
  if (nf.gc == 0) {
    const gc = timerNew(nsHost(changetype<NetNs>(nf.ns)), changetype<usize>(ctSweep), changetype<usize>(nf));
    gc.upkeep = TIMER_UPKEEP;
    nf.gc = changetype<usize>(gc);
  }
  return changetype<Timer>(nf.gc);
}

/** Sees to it that the sweep runs soon after an entry's end. */
export function ctSweepAfter(nf: NfNs, expires: i64): void {
  const sweep = expires + GC_INTERVAL;
  const gc = sweepTimer(nf);
  if (!timerPending(gc) || gc.expires > sweep) timerMod(gc, sweep);
}

/** __nf_conntrack_confirm's answers. */
export const CONFIRM_OK: u32 = 0;
export const CONFIRM_CLASH: u32 = 1;

/**
 * __nf_conntrack_confirm: the packet leaves the namespace, or reaches its socket, so its connection is
 * real. A clash of the same flow (copies of one packet) is resolved by sharing the entry; a clash with
 * another connection's tuple loses the packet.
 */
export function ctConfirm(nf: NfNs, skb: Skb): u32 {
  const ct = changetype<Ct>(skb.ct);
  if (dirOfInfo(skb.ctInfo) != 0) return CONFIRM_OK;
  if (ct.status & IPS_DYING) return CONFIRM_CLASH;
  const other = ctFind(nf, ctTuple(ct, 0));
  if (other != 0) return resolveClash(skb, ct, other);
  if (ctFind(nf, ctTuple(ct, 1)) != 0) return CONFIRM_CLASH;
  ct.status |= IPS_CONFIRMED;
  ct.refs++;
  tableInsert(table, ctTuple(ct, 0), tupleHash(nf, ctTuple(ct, 0)));
  tableInsert(table, ctTuple(ct, 1), tupleHash(nf, ctTuple(ct, 1)));
  ctSweepAfter(nf, ct.expires);
  return CONFIRM_OK;
}

/** __nf_ct_resolve_clash: only protocols without a state of their own, only the same flow both ways. */
function resolveClash(skb: Skb, loser: Ct, link: usize): u32 {
  const winner = ctOfLink(link);
  if (tupleProto(link) == <u32>IPPROTO_TCP || load<u32>(link, T_DIR) != 0) return CONFIRM_CLASH;
  if (load<u64>(ctTuple(winner, 1), T_SRC) != load<u64>(ctTuple(loser, 1), T_SRC) || load<u64>(ctTuple(winner, 1), T_PORTS) != load<u64>(ctTuple(loser, 1), T_PORTS))
    return CONFIRM_CLASH;
  winner.refs++;
  skb.ct = changetype<usize>(winner);
  ctPut(loser);
  return CONFIRM_OK;
}

/**
 * ip_vs_update_conntrack: answers to an unconfirmed connection will come from this server, not from the address
 * that the client asked. No effect once the connection is confirmed.
 */
export function ctSetReplySource(ct: Ct, address: u32, port: u32): void {
  if (ct.status & IPS_CONFIRMED) return;
  ct.rSrc = address;
  if (tupleProto(ctTuple(ct, 1)) != <u32>IPPROTO_ICMP) ct.rPorts = (ct.rPorts & 0xffff0000) | port;
}

const wanted: usize = memory.data(32, 16);

/** ip_vs_conn_drop_conntrack: kills the connection that has this tuple in either direction, if there is one. */
export function ctKillTuple(ns: NetNs, protocol: u32, src: u32, sport: u32, dst: u32, dport: u32): void {
  const nf = nfOf(ns);
  store<u32>(wanted, src, T_SRC);
  store<u32>(wanted, dst, T_DST);
  store<u32>(wanted, sport | (dport << 16), T_PORTS);
  store<u32>(wanted, (nf.zone << 8) | protocol, T_KEY);
  const link = ctFind(nf, wanted);
  if (link != 0) ctKill(ctOfLink(link));
}

/** Calls `each`, a function (ct: usize, arg: i64) => void, for every confirmed connection of the worker. */
export function ctAll(each: usize, arg: i64): void {
  for (let i: u32 = 0; i <= table.mask; i++) {
    for (let p = tableFirst(table, i); p != 0; p = linkNext(p)) {
      if (load<u32>(p, T_DIR) == 0) changetype<(ct: usize, arg: i64) => void>(each)(changetype<usize>(ctOfLink(p)), arg);
    }
  }
}

/** nf_ct_refresh: moves the expiry. */
@inline
export function ctRefresh(ct: Ct, seconds: u32): void {
  ct.expires = now + <i64>seconds * SECOND;
}

/** The sweep: (nf: usize) => void of the namespace's timer (gc_worker). */
function ctSweep(arg: usize): void {
  const nf = changetype<NfNs>(arg);
  let next: i64 = i64.MAX_VALUE;
  let p = nf.first;
  while (p != 0) {
    const ct = changetype<Ct>(p);
    p = ct.listNext;
    if (!(ct.status & IPS_CONFIRMED)) continue;
    if (ct.expires <= now) ctKill(ct);
    else if (ct.expires < next) next = ct.expires;
  }
  if (next != i64.MAX_VALUE) timerMod(sweepTimer(nf), next + GC_INTERVAL);
}

/** Kills all connections of a namespace (conntrack -F). */
export function ctFlush(nf: NfNs): void {
  let p = nf.first;
  while (p != 0) {
    const ct = changetype<Ct>(p);
    p = ct.listNext;
    ctKill(ct);
  }
}

/** The namespace goes: nothing may point at it any more. */
export function ctNsExit(nf: NfNs): void {
  ctFlush(nf);
  while (nf.first != 0) {
    // Unconfirmed, held by a packet that is on its way.
    const ct = changetype<Ct>(nf.first);
    natForget(ct);
    ct.status |= IPS_DYING;
    ctUnlist(ct);
  }
}
