/** SCTP's tables (net/sctp/input.c, socket.c sctp_get_port_local): associations by namespace and 4-tuple, bound sockets by port. */
import { SCTP_LISTEN, SYS_LOCAL_PORT_MAX, SYS_LOCAL_PORT_MIN } from "../abi";
import { sysctl } from "../inet/inet";
import { NetNs, nsHost } from "../link/netns";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { randBelow } from "../sim/host";
import { SF_BOUND, SF_HASHED } from "./sctp-const";
import { SctpSock } from "./sctp-sock";
import { portHash, tupleHash } from "./tuple-hash";

let assocs: usize = 0;
let ports: usize = 0;
/** Where the link of the table of associations stands in the record. */
const LINK: usize = offsetof<SctpSock>("anext");

function tables(): void {
  assocs = changetype<usize>(tableNew(6));
  ports = changetype<usize>(tableNew(6));
}

/** Enters an association (sctp_hash_transport). */
export function assocInsert(sk: SctpSock): void {
  if (assocs == 0) tables();
  sk.sf |= SF_HASHED;
  const hash = tupleHash(sk.ns, sk.localIp, sk.localPort, sk.remoteIp, sk.remotePort);
  tableInsert(changetype<HashTable>(assocs), changetype<usize>(sk) + LINK, hash);
}

/** Takes it out. */
export function assocRemove(sk: SctpSock): void {
  if (!(sk.sf & SF_HASHED)) return;
  sk.sf &= ~SF_HASHED;
  tableRemove(changetype<HashTable>(assocs), changetype<usize>(sk) + LINK);
}

/** The socket whose association has that 4-tuple, or 0 (__sctp_lookup_association). */
export function assocLookup(ns: usize, localIp: u32, localPort: u32, remoteIp: u32, remotePort: u32): usize {
  if (assocs == 0) return 0;
  const hash = tupleHash(ns, localIp, localPort, remoteIp, remotePort);
  for (let link = tableFirst(changetype<HashTable>(assocs), hash); link != 0; link = linkNext(link)) {
    if (linkHash(link) != hash) continue;
    const sk = changetype<SctpSock>(link - LINK);
    if (
      sk.remotePort == remotePort && sk.localPort == localPort && sk.remoteIp == remoteIp &&
      sk.localIp == localIp && sk.ns == ns
    )
      return link - LINK;
  }
  return 0;
}

/** Enters a socket that has taken a port. */
export function portInsert(sk: SctpSock): void {
  if (assocs == 0) tables();
  sk.sf |= SF_BOUND;
  tableInsert(changetype<HashTable>(ports), changetype<usize>(sk), portHash(sk.ns, sk.localPort));
}

/** Gives its port back. */
export function portRemove(sk: SctpSock): void {
  if (!(sk.sf & SF_BOUND)) return;
  sk.sf &= ~SF_BOUND;
  tableRemove(changetype<HashTable>(ports), changetype<usize>(sk));
}

/** The listener for an address: a bound address before any address (__sctp_rcv_lookup_endpoint), or 0. */
export function sctpListener(ns: usize, ip: u32, port: u32): usize {
  if (assocs == 0) return 0;
  let any: usize = 0;
  for (let p = tableFirst(changetype<HashTable>(ports), portHash(ns, port)); p != 0; p = linkNext(p)) {
    const sk = changetype<SctpSock>(p);
    if (sk.localPort != port || sk.ns != ns || sk.state != SCTP_LISTEN) continue;
    if (sk.localIp == ip) return p;
    if (sk.localIp == 0) any = p;
  }
  return any;
}

/** A listener whose addresses overlap `ip` (0 = all), other than `self`. Programs set SO_REUSEADDR, so nobody else is in the way. */
export function sctpConflict(ns: usize, ip: u32, port: u32, self: usize): bool {
  if (assocs == 0) return false;
  for (let p = tableFirst(changetype<HashTable>(ports), portHash(ns, port)); p != 0; p = linkNext(p)) {
    const sk = changetype<SctpSock>(p);
    if (p == self || sk.localPort != port || sk.ns != ns || sk.state != SCTP_LISTEN) continue;
    if (ip == 0 || sk.localIp == 0 || sk.localIp == ip) return true;
  }
  return false;
}

function portUsed(ns: usize, port: u32): bool {
  if (assocs == 0) return false;
  for (let p = tableFirst(changetype<HashTable>(ports), portHash(ns, port)); p != 0; p = linkNext(p)) {
    const sk = changetype<SctpSock>(p);
    if (sk.localPort == port && sk.ns == ns) return true;
  }
  return false;
}

/** A free ephemeral port: from a random one upwards, 0 when all are taken. */
export function sctpEphemeral(ns: NetNs): u32 {
  const low = sysctl(ns, SYS_LOCAL_PORT_MIN);
  const max = sysctl(ns, SYS_LOCAL_PORT_MAX);
  const high = max < low ? low : max;
  const count = high - low + 1;
  let port = low + randBelow(nsHost(ns), count);
  for (let i: u32 = 0; i < count; i++) {
    port = port >= high ? low : port + 1;
    if (!portUsed(changetype<usize>(ns), port)) return port;
  }
  return 0;
}
