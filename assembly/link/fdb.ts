/**
 * Forwarding databases. One table holds the entries of every bridge and every vxlan device of the worker,
 * keyed by (device, MAC); a list per device lets it be dumped and aged.
 *
 * Ageing is done on sight: an entry that is too old is treated as absent and freed when it is met, by a
 * look-up or by the sweep that runs when a device learns while entries are due (net/bridge/br_fdb.c
 * br_fdb_cleanup runs a timer instead; nothing can tell the difference but a dump, which sweeps first).
 */
import { DEV_VXLAN } from "../abi";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { now } from "../sim/event";
import { NetDev } from "./netdev";

/** FdbEntry.flags */
export const FDB_LOCAL: u32 = 1; // a bridge's or port's own address
export const FDB_PERMANENT: u32 = 2; // static: never ages, never moves
/** vxlan: `place` is the address of its only VTEP, not a list of them. */
const FDB_ONE: u32 = 4;

const MAC_BITS: u64 = 0xffffffffffff;

/** A MAC address and where it is (struct net_bridge_fdb_entry, struct vxlan_fdb). A peer of an overlay costs one, so it is small. */
@unmanaged
export class FdbEntry {
  hnext: u32;
  hhash: u32;
  /** MAC, and the flags in the 16 bits above. */
  key: u64;
  owner: usize; // the bridge or vxlan device
  /** bridge: the port (NetDev), the bridge itself for its own address; vxlan: its VTEP (FDB_ONE), or the first Remote. */
  place: usize;
  devNext: usize; // next entry of the owner, oldest first
  devPrev: usize;
  updated: i64;
  used: i64;

  @inline
  get mac(): u64 {
    return this.key & MAC_BITS;
  }

  @inline
  get flags(): u32 {
    return <u32>(this.key >> 48);
  }

  @inline
  set flags(flags: u32) {
    this.key = (this.key & MAC_BITS) | (<u64>flags << 48);
  }

  /** Of a bridge's entry. */
  @inline
  get port(): usize {
    return this.place;
  }

  @inline
  set port(port: usize) {
    this.place = port;
  }
}

/** A VTEP behind a vxlan entry that has several. */
@unmanaged
class Remote {
  next: usize;
  ip: u32;
}

/** A device's entries, in the order in which they were made. Embedded in BridgeDev and VxlanDev. */
@unmanaged
export class FdbList {
  head: usize;
  tail: usize;
  count: u32;
}

let table: HashTable = changetype<HashTable>(0);

@inline
function hashOf(owner: usize, mac: u64): u32 {
  // The last bytes, in which addresses differ most, come lowest: they reach every bit of the product's upper half.
  const mixed = (rotr<u64>(mac, 32) ^ <u64>owner) * 0x61c8864680b583eb;
  return <u32>(mixed >> 32);
}

/** The entry of a MAC on a device, 0 if none. Does not look at its age. */
export function fdbFind(owner: usize, mac: u64): usize {
  if (changetype<usize>(table) == 0) return 0;
  const hash = hashOf(owner, mac);
  for (let p = tableFirst(table, hash); p != 0; p = linkNext(p)) {
    const entry = changetype<FdbEntry>(p);
    if (entry.mac == mac && entry.owner == owner) return p;
  }
  return 0;
}

/** Adds an entry, which must not exist, as the newest of the list. */
export function fdbInsert(list: FdbList, owner: usize, mac: u64, flags: u32): FdbEntry {
  if (changetype<usize>(table) == 0) table = tableNew(8);
  const entry = changetype<FdbEntry>(kmalloc(offsetof<FdbEntry>()));
  entry.key = mac | (<u64>flags << 48);
  entry.owner = owner;
  entry.updated = now;
  entry.used = now;
  entry.devPrev = list.tail;
  if (list.tail == 0) list.head = changetype<usize>(entry);
  else changetype<FdbEntry>(list.tail).devNext = changetype<usize>(entry);
  list.tail = changetype<usize>(entry);
  list.count++;
  tableInsert(table, changetype<usize>(entry), hashOf(owner, mac));
  return entry;
}

/** Removes an entry with its remotes. */
export function fdbRemove(list: FdbList, entry: FdbEntry): void {
  tableRemove(table, changetype<usize>(entry));
  if (entry.devPrev == 0) list.head = entry.devNext;
  else changetype<FdbEntry>(entry.devPrev).devNext = entry.devNext;
  if (entry.devNext == 0) list.tail = entry.devPrev;
  else changetype<FdbEntry>(entry.devNext).devPrev = entry.devPrev;
  list.count--;
  let remote = changetype<NetDev>(entry.owner).kind == DEV_VXLAN && !(entry.flags & FDB_ONE) ? entry.place : 0;
  while (remote != 0) {
    const next = changetype<Remote>(remote).next;
    kfree(remote, offsetof<Remote>());
    remote = next;
  }
  kfree(changetype<usize>(entry), offsetof<FdbEntry>());
}

/** Removes all entries of a list. */
export function fdbClear(list: FdbList): void {
  while (list.head != 0) fdbRemove(list, changetype<FdbEntry>(list.head));
}

/** An entry is as good as gone; `byUse`: vxlan ages by use, a bridge by update. */
export function fdbAged(entry: FdbEntry, ageing: i64, byUse: bool): bool {
  return !(entry.flags & FDB_PERMANENT) && (byUse ? entry.used : entry.updated) + ageing <= now;
}

/** Removes a device's entries that have aged. */
export function fdbSweep(list: FdbList, ageing: i64, byUse: bool): void {
  let p = list.head;
  while (p != 0) {
    const entry = changetype<FdbEntry>(p);
    p = entry.devNext;
    if (fdbAged(entry, ageing, byUse)) fdbRemove(list, entry);
  }
}

/** A vxlan entry without a VTEP. */
@inline
export function fdbNoRemote(entry: FdbEntry): bool {
  return entry.place == 0 && !(entry.flags & FDB_ONE);
}

/** Its first VTEP; 0 if it has none. */
export function fdbRemote(entry: FdbEntry): u32 {
  if (entry.flags & FDB_ONE) return <u32>entry.place;
  return entry.place == 0 ? 0 : changetype<Remote>(entry.place).ip;
}

/** The VTEPs behind the first: a number for fdbMoreIp and fdbMoreNext, 0 if there is none. */
@inline
export function fdbMore(entry: FdbEntry): usize {
  return entry.flags & FDB_ONE || entry.place == 0 ? 0 : changetype<Remote>(entry.place).next;
}

/** The address of one of them. */
@inline
export function fdbMoreIp(more: usize): u32 {
  return changetype<Remote>(more).ip;
}

/** The next one, 0 behind the last. */
@inline
export function fdbMoreNext(more: usize): usize {
  return changetype<Remote>(more).next;
}

/** Changes its first VTEP. */
export function fdbSetRemote(entry: FdbEntry, ip: u32): void {
  if (entry.flags & FDB_ONE) entry.place = ip;
  else changetype<Remote>(entry.place).ip = ip;
}

/** It has that VTEP. */
export function fdbHasRemote(entry: FdbEntry, ip: u32): bool {
  if (fdbNoRemote(entry)) return false;
  if (fdbRemote(entry) == ip) return true;
  for (let p = fdbMore(entry); p != 0; p = fdbMoreNext(p)) if (fdbMoreIp(p) == ip) return true;
  return false;
}

function remoteNew(ip: u32): usize {
  const remote = changetype<Remote>(kmalloc(offsetof<Remote>()));
  remote.ip = ip;
  return changetype<usize>(remote);
}

/** Appends a VTEP to an entry. */
export function fdbAddRemote(entry: FdbEntry, ip: u32): void {
  if (fdbNoRemote(entry)) {
    entry.place = ip;
    entry.flags |= FDB_ONE;
    return;
  }
  if (entry.flags & FDB_ONE) {
    entry.place = remoteNew(<u32>entry.place);
    entry.flags &= ~FDB_ONE;
  }
  let at = changetype<usize>(entry) + offsetof<FdbEntry>("place");
  while (load<u32>(at) != 0) at = <usize>load<u32>(at) + offsetof<Remote>("next");
  store<u32>(at, <u32>remoteNew(ip));
}

/** Takes a VTEP off an entry; false when it has no such one. */
export function fdbDelRemote(entry: FdbEntry, ip: u32): bool {
  if (entry.flags & FDB_ONE) {
    if (<u32>entry.place != ip) return false;
    entry.place = 0;
    entry.flags &= ~FDB_ONE;
    return true;
  }
  let at = changetype<usize>(entry) + offsetof<FdbEntry>("place");
  while (load<u32>(at) != 0) {
    const remote = changetype<Remote>(<usize>load<u32>(at));
    if (remote.ip == ip) {
      store<u32>(at, <u32>remote.next);
      kfree(changetype<usize>(remote), offsetof<Remote>());
      return true;
    }
    at = changetype<usize>(remote) + offsetof<Remote>("next");
  }
  return false;
}
