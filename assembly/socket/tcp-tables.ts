/**
 * TCP's tables (net/ipv4/inet_hashtables.c): connections by namespace and 4-tuple, listeners by namespace and port,
 * ports in use.
 *
 * Connections, connection requests and TIME_WAIT records stand in one table; their records begin alike (TcpMini = the
 * first words of Sock), and SOCK_REQ / SOCK_TW in `flags` tell them apart.
 */
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { Sock } from "./socket";
import { TcpSock } from "./tcp-sock";
import { portHash, tupleHash } from "./tuple-hash";

/** Sock.flags of the two small records. */
export const SOCK_TW: u32 = 0x10000;
export const SOCK_REQ: u32 = 0x20000;
/** Stands in a table (established or listener). */
const SOCK_HASHED: u32 = 0x40000;
/** Closed, but packets that refer to it are still under way; freed with the last of them. */
export const SOCK_ZOMBIE: u32 = 0x80000;

/** First words of Sock, shared by requests and TIME_WAIT records. */
@unmanaged
export class TcpMini {
  hnext: u32;
  hhash: u32;
  type: u32;
  flags: u32;
  ns: usize;
  host: usize;
  nsNext: usize;
  localIp: u32;
  remoteIp: u32;
  localPort: u32;
  remotePort: u32;
}

let ehash: usize = 0;
let lhash: usize = 0;
let bhash: usize = 0;

function tables(): void {
  ehash = changetype<usize>(tableNew(10));
  lhash = changetype<usize>(tableNew(7));
  bhash = changetype<usize>(tableNew(9));
}

/** Puts a connection, request or TIME_WAIT record into the table. */
export function ehashInsert(record: usize): void {
  if (ehash == 0) tables();
  const mini = changetype<TcpMini>(record);
  mini.flags |= SOCK_HASHED;
  tableInsert(
    changetype<HashTable>(ehash),
    record,
    tupleHash(mini.ns, mini.localIp, mini.localPort, mini.remoteIp, mini.remotePort),
  );
}

/** Takes a connection, request or TIME_WAIT record out of the table (inet_unhash). */
export function ehashRemove(record: usize): void {
  const mini = changetype<TcpMini>(record);
  if (!(mini.flags & SOCK_HASHED)) return;
  mini.flags &= ~SOCK_HASHED;
  tableRemove(changetype<HashTable>(ehash), record);
}

/** The record of that 4-tuple, or 0 (__inet_lookup_established). */
export function ehashLookup(ns: usize, localIp: u32, localPort: u32, remoteIp: u32, remotePort: u32): usize {
  if (ehash == 0) return 0;
  const hash = tupleHash(ns, localIp, localPort, remoteIp, remotePort);
  for (let p = tableFirst(changetype<HashTable>(ehash), hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const mini = changetype<TcpMini>(p);
    if (
      mini.remotePort == remotePort && mini.localPort == localPort && mini.remoteIp == remoteIp &&
      mini.localIp == localIp && mini.ns == ns
    )
      return p;
  }
  return 0;
}

/** Calls `each`, a function (record: usize, arg: u32) => void, for every connection, request and TIME_WAIT record of the worker. */
export function ehashAll(each: usize, arg: u32): void {
  if (ehash == 0) return;
  const table = changetype<HashTable>(ehash);
  for (let i: u32 = 0; i <= table.mask; i++) {
    for (let p = tableFirst(table, i); p != 0; p = linkNext(p)) changetype<(record: usize, arg: u32) => void>(each)(p, arg);
  }
}

/** Enters a listener (__inet_hash). */
export function listenInsert(tp: TcpSock): void {
  if (ehash == 0) tables();
  tp.flags |= SOCK_HASHED;
  tableInsert(changetype<HashTable>(lhash), changetype<usize>(tp), portHash(tp.ns, tp.localPort));
}

/** Takes a listener out of the table. */
export function listenRemove(tp: TcpSock): void {
  if (!(tp.flags & SOCK_HASHED)) return;
  tp.flags &= ~SOCK_HASHED;
  tableRemove(changetype<HashTable>(lhash), changetype<usize>(tp));
}

/** The listener for an address: a bound address before any address (inet_lhash2_lookup), or 0. */
export function listenLookup(ns: usize, ip: u32, port: u32): usize {
  if (ehash == 0) return 0;
  const hash = portHash(ns, port);
  let any: usize = 0;
  for (let p = tableFirst(changetype<HashTable>(lhash), hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const sk = changetype<Sock>(p);
    if (sk.localPort != port || sk.ns != ns) continue;
    if (sk.localIp == ip) return p;
    if (sk.localIp == 0) any = p;
  }
  return any;
}

/** A listener whose addresses overlap `ip` (0 = all), other than `self`; for bind conflicts. */
export function listenConflict(ns: usize, ip: u32, port: u32, self: usize): bool {
  if (ehash == 0) return false;
  const hash = portHash(ns, port);
  for (let p = tableFirst(changetype<HashTable>(lhash), hash); p != 0; p = linkNext(p)) {
    const sk = changetype<Sock>(p);
    if (p == self || sk.localPort != port || sk.ns != ns) continue;
    if (ip == 0 || sk.localIp == 0 || sk.localIp == ip) return true;
  }
  return false;
}

// ---------------------------------------------------------------------------------------------- ports

/** A port in use in a namespace (inet_bind_bucket). */
@unmanaged
export class BindBucket {
  hnext: u32;
  hhash: u32;
  ns: usize;
  port: u32;
  refs: u32;
  /** Taken by bind() (or inherited from a listener), not by connect(): connect() leaves it alone. */
  bound: u32;
}

/** The bucket of a port, or 0. */
export function bindFind(ns: usize, port: u32): usize {
  if (ehash == 0) return 0;
  const hash = portHash(ns, port);
  for (let p = tableFirst(changetype<HashTable>(bhash), hash); p != 0; p = linkNext(p)) {
    const bucket = changetype<BindBucket>(p);
    if (bucket.port == port && bucket.ns == ns) return p;
  }
  return 0;
}

/** Takes a reference to a port, making its bucket if need be. */
export function bindGet(ns: usize, port: u32, bound: bool): usize {
  if (ehash == 0) tables();
  let p = bindFind(ns, port);
  if (p == 0) {
    p = kmalloc(offsetof<BindBucket>());
    const fresh = changetype<BindBucket>(p);
    fresh.ns = ns;
    fresh.port = port;
    fresh.bound = <u32>bound;
    tableInsert(changetype<HashTable>(bhash), p, portHash(ns, port));
  }
  const bucket = changetype<BindBucket>(p);
  if (bound) bucket.bound = 1;
  bucket.refs++;
  return p;
}

/** One user more of a bound port. */
@inline
export function bindHold(p: usize): usize {
  if (p != 0) changetype<BindBucket>(p).refs++;
  return p;
}

/** One user less; the last one frees the port (inet_put_port). */
export function bindPut(p: usize): void {
  if (p == 0) return;
  const bucket = changetype<BindBucket>(p);
  if (--bucket.refs != 0) return;
  tableRemove(changetype<HashTable>(bhash), p);
  kfree(p, offsetof<BindBucket>());
}
