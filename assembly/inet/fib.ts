/**
 * The routing tables `local` and `main` (net/ipv4/fib_trie.c, fib_semantics.c, fib_frontend.c). A table is
 * a hash over (prefix, length) and a bitmap of the lengths in use: a longest-prefix match probes once per
 * length, and the namespace's route caches (inet/routeCache) keep even that off the packet path.
 */
import { DEV_LOOPBACK, EACCES, EEXIST, EHOSTUNREACH, EINVAL, ENETDOWN, ENETUNREACH, ENODEV, ESRCH, RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_PROHIBIT, RTN_UNICAST, RTN_UNREACHABLE, RTPROT_KERNEL, RT_TABLE_LOCAL, RT_TABLE_MAIN, SCOPE_HOST, SCOPE_LINK } from "../abi";
import { IFF_UP, NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkNext, tableFirst, tableInit, tableInsert, tableRelease, tableRemove } from "../memory/hashtable";
import { INADDR_BROADCAST, isMulticastIp, isZeronet, maskOf } from "../wire/ipv4";
import { Addr, IFA_SECONDARY, primaryOf } from "./addr";
import { InDev, inetOf, rtFlush } from "./inet";

/** Any scope, protocol or type in fibDelete. */
export const FIB_ANY: u32 = 0xffffffff;

/** A route: one prefix, one next hop (struct fib_alias with its fib_info). */
@unmanaged
export class Route {
  hnext: u32;
  hhash: u32;
  /** Next in the order of listing: prefix, longer first, metric, order of addition. */
  next: usize;
  dst: u32;
  gateway: u32;
  dev: usize; // 0: blackhole, unreachable, prohibit
  prefSrc: u32;
  metric: u32;
  order: u32;
  plen: u8;
  scope: u8;
  protocol: u8;
  type: u8;
  table: u8;
}

/** The routes of one table of a namespace (struct fib_table), embedded in InetNs. */
@unmanaged
export class Fib {
  /** Bit p: there are routes of prefix length p. */
  lengths: u64;
  /** HashTable of the routes by prefix. */
  buckets: usize;
  mask: u32;
  count: u32;
  head: usize; // Route list
}

@inline
function tableOf(fib: Fib): HashTable {
  return changetype<HashTable>(changetype<usize>(fib) + offsetof<Fib>("buckets"));
}

/** Makes a zeroed table empty. */
export function fibInit(fib: Fib): void {
  tableInit(tableOf(fib));
}

/** Frees the routes of a table. */
export function fibRelease(fib: Fib): void {
  while (fib.head != 0) unlinkRoute(fib, changetype<Route>(fib.head));
  tableRelease(tableOf(fib));
}

@inline
function prefixHash(prefix: u32, plen: u32): u32 {
  const h = (prefix ^ (plen * 0x9e3779b1)) * 0x85ebca6b;
  return h ^ (h >> 15);
}

function before(a: Route, b: Route): bool {
  if (a.dst != b.dst) return a.dst < b.dst;
  if (a.plen != b.plen) return a.plen > b.plen;
  if (a.metric != b.metric) return a.metric < b.metric;
  return a.order < b.order;
}

function linkRoute(fib: Fib, route: Route): void {
  tableInsert(tableOf(fib), changetype<usize>(route), prefixHash(route.dst, route.plen));
  let at = changetype<usize>(fib) + offsetof<Fib>("head");
  while (load<u32>(at) != 0 && before(changetype<Route>(<usize>load<u32>(at)), route)) at = <usize>load<u32>(at) + offsetof<Route>("next");
  route.next = <usize>load<u32>(at);
  store<u32>(at, <u32>changetype<usize>(route));
  fib.lengths |= (<u64>1) << <u64>route.plen;
}

function unlinkRoute(fib: Fib, route: Route): void {
  tableRemove(tableOf(fib), changetype<usize>(route));
  let at = changetype<usize>(fib) + offsetof<Fib>("head");
  while (<usize>load<u32>(at) != changetype<usize>(route)) at = <usize>load<u32>(at) + offsetof<Route>("next");
  store<u32>(at, <u32>route.next);
  let others = <usize>fib.head;
  while (others != 0 && changetype<Route>(others).plen != route.plen) others = changetype<Route>(others).next;
  if (others == 0) fib.lengths &= ~((<u64>1) << <u64>route.plen);
  kfree(changetype<usize>(route), offsetof<Route>());
}

/** Error of the last look-up that returned 0: -ENETUNREACH, or what an error route says. */
export let fibError: i32 = 0;

function typeError(type: u32): i32 {
  if (type == RTN_BLACKHOLE) return -EINVAL;
  if (type == RTN_UNREACHABLE) return -EHOSTUNREACH;
  if (type == RTN_PROHIBIT) return -EACCES;
  return 0;
}

/** Longest match in one table among routes of at least that scope, out of `oif` if that isn't 0. 0: none (fibError -ENETUNREACH) or an error route. */
function tableLookup(fib: Fib, dst: u32, oif: u32, scope: u32): usize {
  let lengths = fib.lengths;
  while (lengths != 0) {
    const plen = <u32>(63 - clz<u64>(lengths));
    lengths &= ~((<u64>1) << <u64>plen);
    const prefix = dst & maskOf(plen);
    let best: usize = 0;
    for (let p = tableFirst(tableOf(fib), prefixHash(prefix, plen)); p != 0; p = linkNext(p)) {
      const route = changetype<Route>(p);
      if (route.dst != prefix || route.plen != plen || route.scope < scope) continue;
      if (oif != 0 && route.dev != 0 && changetype<NetDev>(route.dev).ifindex != oif) continue;
      if (best == 0 || before(route, changetype<Route>(best))) best = p;
    }
    if (best != 0) {
      fibError = typeError(changetype<Route>(best).type);
      return fibError == 0 ? best : 0;
    }
  }
  fibError = -ENETUNREACH;
  return 0;
}

/** fib_lookup: `local` first, then `main`. Returns a Route, or 0 with fibError set. */
export function fibLookup(ns: NetNs, dst: u32, oif: u32, scope: u32): usize {
  const inet = inetOf(ns);
  const local = tableLookup(inet.local, dst, oif, scope);
  if (local != 0 || fibError != -ENETUNREACH) return local;
  return tableLookup(inet.main, dst, oif, scope);
}

/** RTN_* of an address as seen from this namespace (inet_addr_type). */
export function fibAddrType(ns: NetNs, ip: u32): u32 {
  if (isZeronet(ip) || ip == INADDR_BROADCAST) return RTN_BROADCAST;
  if (isMulticastIp(ip)) return RTN_MULTICAST;
  const route = tableLookup(inetOf(ns).local, ip, 0, 0);
  return route != 0 ? changetype<Route>(route).type : RTN_UNICAST;
}

@inline
function fibOf(ns: NetNs, table: u32): Fib {
  return table == RT_TABLE_LOCAL ? inetOf(ns).local : inetOf(ns).main;
}

/** How fibInsert treats routes that are there (NLM_F_EXCL, NLM_F_REPLACE, NLM_F_APPEND). */
export const FIB_EXCL: u32 = 0;
export const FIB_REPLACE: u32 = 1;
export const FIB_APPEND: u32 = 2;

/** fib_check_nh: a usable next hop; 0 or -errno. Fills in the device of a gateway. */
function checkNextHop(ns: NetNs, route: Route): i32 {
  if (typeError(route.type) != 0) return route.gateway != 0 || route.dev != 0 ? -EINVAL : 0;
  if (route.scope == SCOPE_HOST) return route.dev == 0 ? -ENODEV : 0;
  if (route.gateway == 0) {
    if (route.dev == 0) return -ENODEV;
    return changetype<NetDev>(route.dev).flags & IFF_UP ? 0 : -ENETDOWN;
  }
  if (route.scope >= <u32>SCOPE_LINK || fibAddrType(ns, route.gateway) != RTN_UNICAST) return -EINVAL;
  const oif = route.dev != 0 ? changetype<NetDev>(route.dev).ifindex : 0;
  const found = fibLookup(ns, route.gateway, oif, SCOPE_LINK);
  if (found == 0) return fibError;
  const via = changetype<Route>(found);
  if (via.type != RTN_UNICAST && via.type != RTN_LOCAL) return -EINVAL;
  route.dev = via.dev;
  if (route.dev == 0) return -EINVAL;
  return changetype<NetDev>(route.dev).flags & IFF_UP ? 0 : -ENETDOWN;
}

/**
 * Adds a route (fib_table_insert): 0, -EEXIST for the same prefix and metric, -ENETUNREACH for a gateway that is
 * on no connected network, -EINVAL, -ENODEV, -ENETDOWN.
 */
export function fibInsert(ns: NetNs, table: u32, dst: u32, plen: u32, gateway: u32, dev: usize, prefSrc: u32, scope: u32, protocol: u32, type: u32, metric: u32, mode: u32): i32 {
  if (plen > 32 || (dst & ~maskOf(plen)) != 0) return -EINVAL;
  if (prefSrc != 0 && type != RTN_LOCAL && protocol != RTPROT_KERNEL && fibAddrType(ns, prefSrc) != RTN_LOCAL) return -EINVAL;
  const fib = fibOf(ns, table);
  const route = changetype<Route>(kmalloc(offsetof<Route>()));
  route.dst = dst;
  route.plen = <u8>plen;
  route.gateway = gateway;
  route.dev = dev;
  route.prefSrc = prefSrc;
  route.scope = <u8>scope;
  route.protocol = <u8>protocol;
  route.type = <u8>type;
  route.metric = metric;
  route.table = <u8>table;
  let error = checkNextHop(ns, route);
  if (error == 0) error = resolveConflict(fib, route, mode);
  if (error != 0) {
    kfree(changetype<usize>(route), offsetof<Route>());
    return error;
  }
  route.order = inetOf(ns).routeOrder++;
  linkRoute(fib, route);
  rtFlush(ns);
  return 0;
}

function resolveConflict(fib: Fib, route: Route, mode: u32): i32 {
  let p = tableFirst(tableOf(fib), prefixHash(route.dst, route.plen));
  while (p != 0) {
    const other = changetype<Route>(p);
    p = linkNext(p);
    if (other.dst != route.dst || other.plen != route.plen || other.metric != route.metric) continue;
    if (mode == FIB_EXCL) return -EEXIST;
    if (mode == FIB_REPLACE) {
      unlinkRoute(fib, other);
      return 0;
    }
    if (sameRoute(other, route)) return -EEXIST;
  }
  return 0;
}

function sameRoute(a: Route, b: Route): bool {
  return a.type == b.type && a.scope == b.scope && a.dev == b.dev && a.gateway == b.gateway && a.prefSrc == b.prefSrc && a.protocol == b.protocol;
}

/** Deletes the first route that matches what is given (FIB_ANY and 0 match all): 0 or -ESRCH (fib_table_delete). */
export function fibDelete(ns: NetNs, table: u32, dst: u32, plen: u32, gateway: u32, dev: usize, prefSrc: u32, scope: u32, protocol: u32, type: u32, metric: u32): i32 {
  const fib = fibOf(ns, table);
  for (let p = fib.head; p != 0; p = changetype<Route>(p).next) {
    const route = changetype<Route>(p);
    if (route.dst != dst || route.plen != plen) continue;
    if (gateway != 0 && route.gateway != gateway) continue;
    if (dev != 0 && route.dev != dev) continue;
    if (prefSrc != 0 && route.prefSrc != prefSrc) continue;
    if (scope != FIB_ANY && route.scope != scope) continue;
    if (protocol != FIB_ANY && route.protocol != protocol) continue;
    if (type != FIB_ANY && route.type != type) continue;
    if (metric != 0 && route.metric != metric) continue;
    unlinkRoute(fib, route);
    rtFlush(ns);
    return 0;
  }
  return -ESRCH;
}

/** fib_magic: a kernel route of an address. */
function addMagic(dev: NetDev, type: u32, dst: u32, plen: u32, src: u32): void {
  const ns = changetype<NetNs>(dev.ns);
  const scope: u32 = type == RTN_LOCAL ? SCOPE_HOST : SCOPE_LINK;
  fibInsert(ns, type == RTN_UNICAST ? RT_TABLE_MAIN : RT_TABLE_LOCAL, dst, plen, 0, changetype<usize>(dev), src, scope, RTPROT_KERNEL, type, 0, FIB_APPEND);
}

function delMagic(dev: NetDev, type: u32, dst: u32, plen: u32, src: u32): void {
  const ns = changetype<NetNs>(dev.ns);
  fibDelete(ns, type == RTN_UNICAST ? RT_TABLE_MAIN : RT_TABLE_LOCAL, dst, plen, 0, changetype<usize>(dev), src, FIB_ANY, RTPROT_KERNEL, type, 0);
}

/** The routes of an address: local always; broadcast and connected ones while the device is up (fib_add_ifaddr). */
export function fibAddIfaddr(dev: NetDev, addr: Addr): void {
  const prefix = addr.ip & maskOf(addr.prefix);
  const src = primaryOf(dev, addr);
  addMagic(dev, RTN_LOCAL, addr.ip, 32, src);
  if (!(dev.flags & IFF_UP)) return;
  if (addr.broadcast != 0 && addr.broadcast != INADDR_BROADCAST) addMagic(dev, RTN_BROADCAST, addr.broadcast, 32, src);
  if (isZeronet(prefix) || addr.flags & IFA_SECONDARY || (prefix == addr.ip && addr.prefix == 32)) return;
  addMagic(dev, dev.kind == DEV_LOOPBACK ? RTN_LOCAL : RTN_UNICAST, prefix, addr.prefix, src);
  if (addr.prefix < 31) addMagic(dev, RTN_BROADCAST, prefix | ~maskOf(addr.prefix), 32, src);
}

/** The address (already unlinked) leaves; routes that another address of the device still needs stay (fib_del_ifaddr). */
export function fibDelIfaddr(dev: NetDev, addr: Addr): void {
  const prefix = addr.ip & maskOf(addr.prefix);
  const last = prefix | ~maskOf(addr.prefix);
  let keepLocal = false;
  let keepPrefix = false;
  let keepLast = false;
  let keepBroadcast = false;
  for (let p = changetype<InDev>(dev.inDev).addrs; p != 0; p = changetype<Addr>(p).next) {
    const other = changetype<Addr>(p);
    if (p == changetype<usize>(addr)) continue;
    if (other.ip == addr.ip) keepLocal = true;
    const otherPrefix = other.ip & maskOf(other.prefix);
    if (other.broadcast != 0 && other.broadcast == addr.broadcast) keepBroadcast = true;
    if (other.prefix >= 31) continue;
    const otherLast = otherPrefix | ~maskOf(other.prefix);
    if (otherLast == last || other.broadcast == last) keepLast = true;
    if (otherLast == addr.broadcast) keepBroadcast = true;
    if (otherPrefix == prefix && other.prefix == addr.prefix) keepPrefix = true;
  }
  const secondary = addr.flags & IFA_SECONDARY;
  if (!secondary && !keepPrefix) delMagic(dev, dev.kind == DEV_LOOPBACK ? RTN_LOCAL : RTN_UNICAST, prefix, addr.prefix, 0);
  if (!keepBroadcast && addr.broadcast != 0) delMagic(dev, RTN_BROADCAST, addr.broadcast, 32, 0);
  if (!secondary && !keepLast && addr.prefix < 31) delMagic(dev, RTN_BROADCAST, last, 32, 0);
  if (!keepLocal) {
    delMagic(dev, RTN_LOCAL, addr.ip, 32, 0);
    dropPreferred(changetype<NetNs>(dev.ns), addr.ip);
  }
}

/** Routes whose preferred source was this address go with it (fib_sync_down_addr). */
function dropPreferred(ns: NetNs, ip: u32): void {
  const fib = inetOf(ns).main;
  let p = fib.head;
  while (p != 0) {
    const route = changetype<Route>(p);
    p = route.next;
    if (route.prefSrc == ip) unlinkRoute(fib, route);
  }
}

/** The device went down: its routes go, but local ones stay unless it is forced (fib_sync_down_dev, fib_flush). */
export function fibSyncDown(dev: NetDev, force: bool): void {
  const inet = inetOf(changetype<NetNs>(dev.ns));
  syncTable(inet.local, dev, force);
  syncTable(inet.main, dev, force);
}

function syncTable(fib: Fib, dev: NetDev, force: bool): void {
  let p = fib.head;
  while (p != 0) {
    const route = changetype<Route>(p);
    p = route.next;
    if (route.dev == changetype<usize>(dev) && (force || route.scope != SCOPE_HOST)) unlinkRoute(fib, route);
  }
}
