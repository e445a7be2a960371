/**
 * The IPv4 part of the kernel's border: addresses, routes, neighbours, sysctls, counters. Numbers only:
 * handles are addresses of records, IPv4 addresses are u32 in host order, errors are negative errno. Dumps
 * fill scratch with records whose layout is in abi.ts and return how many; `skip` continues a long one.
 */
import {
  ADDR_BROADCAST, ADDR_DEV, ADDR_FLAGS, ADDR_IP, ADDR_PREFIX, ADDR_RECORD, ADDR_SCOPE, CONF_ALL, CONF_COUNT, CONF_DEFAULT,
  CONF_FORWARDING, EEXIST, EINVAL, ENOBUFS, ENOENT, NEIGH_CONFIRMED, NEIGH_DEV, NEIGH_IP, NEIGH_MAC, NEIGH_PROBES, NEIGH_RECORD,
  NEIGH_STATE, NEIGH_UPDATED, NEIGH_USED, NUD_FAILED, NUD_PERMANENT, ROUTE_DEV, ROUTE_DST, ROUTE_METRIC, ROUTE_PREFIX, ROUTE_PROTOCOL,
  ROUTE_RECORD, ROUTE_SCOPE, ROUTE_SRC, ROUTE_TABLE, ROUTE_TYPE, ROUTE_VIA, RTGET_DEV, RTGET_MTU, RTGET_SRC, RTGET_TYPE, RTGET_VIA,
  RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST, RT_TABLE_LOCAL, RT_TABLE_MAIN, SCOPE_GLOBAL, SCOPE_HOST, SCOPE_LINK, SYS_COUNT, SYS_IP_FORWARD,
} from "../abi";
import { NetDev, softirq } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { Host } from "../sim/host";
import { Addr, addrAdd, addrDel } from "./addr";
import { FIB_ANY, Fib, Route, fibDelete, fibInsert } from "./fib";
import { InDev, InetNs, confOwn, hostInet, inDevOf, inetDevChanged, inetOf, rtFlush, sysOwn } from "./inet";
import { NEIGH_ADMIN, NEIGH_OVERRIDE, NUD_VALID, Neigh, neighCreate, neighFree, neighLookup, neighUpdate } from "./neigh";
import { pmtuPurge } from "./pmtu";
import { RtResult, routeLookup } from "./route";
import { SNMP_COUNT } from "./snmp";
import { macOrder } from "../wire/ethernet";

// ---------------------------------------------------------------------------------------------- addresses

/** Adds an address; broadcast 0 = none. 0, -EEXIST, -EINVAL. */
export function addressAdd(dev: usize, ip: u32, prefix: u32, broadcast: u32, scope: u32): i32 {
  const result = addrAdd(changetype<NetDev>(dev), ip, prefix, broadcast, scope);
  softirq();
  return result;
}

/** Deletes an address (a prefix above 32 matches any). 0 or -EADDRNOTAVAIL. */
export function addressDel(dev: usize, ip: u32, prefix: u32): i32 {
  const result = addrDel(changetype<NetDev>(dev), ip, prefix);
  softirq();
  return result;
}

/** Lists the addresses of a namespace in order of devices (ADDR_* records). */
export function addressDump(ns: usize, skip: u32): u32 {
  const out = scratch();
  const most = SCRATCH_SIZE / ADDR_RECORD;
  let count: u32 = 0;
  for (let d = changetype<NetNs>(ns).devs; d != 0; d = changetype<NetDev>(d).nsNext) {
    const dev = changetype<NetDev>(d);
    if (dev.inDev == 0) continue;
    for (let p = changetype<InDev>(dev.inDev).addrs; p != 0 && count < most; p = changetype<Addr>(p).next) {
      if (skip > 0) {
        skip--;
        continue;
      }
      const addr = changetype<Addr>(p);
      const at = out + <usize>(count++ * ADDR_RECORD);
      store<u32>(at, addr.ip, ADDR_IP);
      store<u32>(at, addr.prefix, ADDR_PREFIX);
      store<u32>(at, addr.broadcast, ADDR_BROADCAST);
      store<u32>(at, addr.scope, ADDR_SCOPE);
      store<u32>(at, dev.ifindex, ADDR_DEV);
      store<u32>(at, addr.flags, ADDR_FLAGS);
    }
  }
  return count;
}

// ---------------------------------------------------------------------------------------------- routes

/** Scope that iproute2 gives a route whose scope isn't said (0xffffffff). */
function defaultScope(scope: u32, type: u32, via: u32): u32 {
  if (scope != FIB_ANY) return scope;
  if (type == RTN_LOCAL) return SCOPE_HOST;
  if (type == RTN_BROADCAST || (type == RTN_UNICAST && via == 0)) return SCOPE_LINK;
  return SCOPE_GLOBAL;
}

@inline
function tableOf(table: u32, type: u32): u32 {
  return table != 0 ? table : type == RTN_LOCAL || type == RTN_BROADCAST ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
}

/**
 * Adds a route. dev 0 = by `via`; via, src 0 = none; scope 0xffffffff = iproute2's default; table 0 = by type; mode 0 exclusive,
 * 1 replace, 2 append. 0, -EEXIST, -ENETUNREACH (`via` is on no connected network), -EINVAL, -ENODEV, -ENETDOWN.
 */
export function routeAdd(ns: usize, dst: u32, plen: u32, via: u32, dev: usize, src: u32, metric: u32, type: u32, protocol: u32, scope: u32, table: u32, mode: u32): i32 {
  return fibInsert(changetype<NetNs>(ns), tableOf(table, type), dst, plen, via, dev, src, defaultScope(scope, type, via), protocol, type, metric, mode);
}

/** Deletes the first route that matches; 0 and 0xffffffff (scope, protocol, type) match any. 0 or -ESRCH. */
export function routeDel(ns: usize, dst: u32, plen: u32, via: u32, dev: usize, src: u32, metric: u32, type: u32, protocol: u32, scope: u32, table: u32): i32 {
  return fibDelete(changetype<NetNs>(ns), tableOf(table, type == FIB_ANY ? RTN_UNICAST : type), dst, plen, via, dev, src, scope, protocol, type, metric);
}

/** Lists a table (RT_TABLE_*) in the order of `ip route` (ROUTE_* records). */
export function routeDump(ns: usize, table: u32, skip: u32): u32 {
  const out = scratch();
  const inet = inetOf(changetype<NetNs>(ns));
  const fib: Fib = table == RT_TABLE_LOCAL ? inet.local : inet.main;
  const most = SCRATCH_SIZE / ROUTE_RECORD;
  let count: u32 = 0;
  for (let p = fib.head; p != 0 && count < most; p = changetype<Route>(p).next) {
    if (skip > 0) {
      skip--;
      continue;
    }
    const route = changetype<Route>(p);
    const at = out + <usize>(count++ * ROUTE_RECORD);
    store<u32>(at, route.dst, ROUTE_DST);
    store<u32>(at, route.plen, ROUTE_PREFIX);
    store<u32>(at, route.gateway, ROUTE_VIA);
    store<u32>(at, route.dev != 0 ? changetype<NetDev>(route.dev).ifindex : 0, ROUTE_DEV);
    store<u32>(at, route.prefSrc, ROUTE_SRC);
    store<u32>(at, route.scope, ROUTE_SCOPE);
    store<u32>(at, route.protocol, ROUTE_PROTOCOL);
    store<u32>(at, route.type, ROUTE_TYPE);
    store<u32>(at, route.metric, ROUTE_METRIC);
    store<u32>(at, route.table, ROUTE_TABLE);
  }
  return count;
}

/** `ip route get`: the way to `dst` from `src` (0 = any) as an RTGET_* record in scratch. 0 or -errno. */
export function routeGet(ns: usize, dst: u32, src: u32, oif: u32): i32 {
  const error = routeLookup(changetype<NetNs>(ns), dst, src, oif);
  if (error != 0) return error;
  const out = scratch();
  store<u32>(out, changetype<NetDev>(RtResult.rtDev).ifindex, RTGET_DEV);
  store<u32>(out, RtResult.rtNextHop != dst ? RtResult.rtNextHop : 0, RTGET_VIA);
  store<u32>(out, RtResult.rtSrc, RTGET_SRC);
  store<u32>(out, RtResult.rtType, RTGET_TYPE);
  store<u32>(out, RtResult.rtMtu, RTGET_MTU);
  return 0;
}

/** The path MTU to a destination, learned or of the device; 0 when there is no route. */
export function routePathMtu(ns: usize, dst: u32): u32 {
  return routeLookup(changetype<NetNs>(ns), dst, 0, 0) == 0 ? RtResult.rtMtu : 0;
}

/** `ip route flush cache`: forgets learned path MTUs and redirects. */
export function routeFlushCache(ns: usize): void {
  pmtuPurge(changetype<NetNs>(ns));
}

/** After a device's MTU or MAC was changed: cached routes are stale. */
export function inetLinkChanged(dev: usize): void {
  inetDevChanged(changetype<NetDev>(dev));
}

// ---------------------------------------------------------------------------------------------- neighbours

/**
 * Adds a neighbour, MAC as two words (first 16 bits, last 32); `replace` 0 gives -EEXIST where there is one. Other states than
 * permanent are possible. 0, -EEXIST, -EINVAL, -ENOBUFS.
 */
export function neighAdd(at: usize, ip: u32, high: u32, low: u32, state: u32, replace: u32): i32 {
  const dev = changetype<NetDev>(at);
  let found = neighLookup(dev, ip);
  if (found != 0 && !replace) return -EEXIST;
  if (found == 0) found = neighCreate(dev, ip, (state & NUD_PERMANENT) != 0);
  if (found == 0) return -ENOBUFS;
  neighUpdate(changetype<Neigh>(found), true, macOrder((<u64>high << 32) | <u64>low), state, NEIGH_ADMIN | NEIGH_OVERRIDE);
  softirq();
  return 0;
}

/** Deletes a neighbour: 0 or -ENOENT. */
export function neighDel(at: usize, ip: u32): i32 {
  const found = neighLookup(changetype<NetDev>(at), ip);
  if (found == 0) return -ENOENT;
  neighUpdate(changetype<Neigh>(found), false, 0, NUD_FAILED, NEIGH_ADMIN | NEIGH_OVERRIDE);
  neighFree(changetype<Neigh>(found));
  softirq();
  return 0;
}

/** Lists the neighbours of a namespace, device by device, oldest last (NEIGH_* records). */
export function neighDump(ns: usize, skip: u32): u32 {
  const out = scratch();
  const most = SCRATCH_SIZE / NEIGH_RECORD;
  let count: u32 = 0;
  for (let d = changetype<NetNs>(ns).devs; d != 0; d = changetype<NetDev>(d).nsNext) {
    const dev = changetype<NetDev>(d);
    if (dev.inDev == 0) continue;
    for (let p = changetype<InDev>(dev.inDev).neighHead; p != 0 && count < most; p = changetype<Neigh>(p).devNext) {
      if (skip > 0) {
        skip--;
        continue;
      }
      const neigh = changetype<Neigh>(p);
      const at = out + <usize>(count++ * NEIGH_RECORD);
      store<u32>(at, neigh.ip, NEIGH_IP);
      store<u32>(at, dev.ifindex, NEIGH_DEV);
      store<u32>(at, neigh.state, NEIGH_STATE);
      store<u32>(at, neigh.probes, NEIGH_PROBES);
      store<u64>(at, neigh.state & NUD_VALID ? macOrder(neigh.mac) : 0, NEIGH_MAC);
      store<i64>(at, neigh.used, NEIGH_USED);
      store<i64>(at, neigh.confirmed, NEIGH_CONFIRMED);
      store<i64>(at, neigh.updated, NEIGH_UPDATED);
    }
  }
  return count;
}

/** Entries that count against gc_thresh on this host, and how often the table overflowed: two u32 in scratch. */
export function neighStats(host: usize): usize {
  const out = scratch();
  store<u32>(out, changetype<Host>(host).neighCount);
  store<u32>(out, hostInet(changetype<Host>(host)).neigh.tableFulls, 4);
  return out;
}

// ---------------------------------------------------------------------------------------------- sysctls, counters

/** A SYS_* value. */
export function inetSysctlGet(ns: usize, id: u32): u32 {
  if (id >= <u32>SYS_COUNT) return 0;
  return load<u32>(inetOf(changetype<NetNs>(ns)).sys + (<usize>id << 2));
}

/** Sets a SYS_* value; ip_forward sets conf/all/forwarding, and that of every device. 0 or -EINVAL. */
export function inetSysctlSet(ns: usize, id: u32, value: u32): i32 {
  if (id >= <u32>SYS_COUNT) return -EINVAL;
  if (id == SYS_IP_FORWARD) return inetConfSet(ns, CONF_ALL, CONF_FORWARDING, value);
  store<u32>(sysOwn(inetOf(changetype<NetNs>(ns))) + (<usize>id << 2), value);
  rtFlush(changetype<NetNs>(ns));
  return 0;
}

/** Where the pointer to the values stands. */
function confAt(inet: InetNs, which: usize): usize {
  if (which == CONF_ALL) return changetype<usize>(inet) + offsetof<InetNs>("confAll");
  if (which == CONF_DEFAULT) return changetype<usize>(inet) + offsetof<InetNs>("confDefault");
  return changetype<usize>(inDevOf(changetype<NetDev>(which))) + offsetof<InDev>("conf");
}

/** A CONF_* value of conf/all (CONF_ALL), conf/default (CONF_DEFAULT) or a device (its handle). */
export function inetConfGet(ns: usize, which: usize, id: u32): u32 {
  if (id >= <u32>CONF_COUNT) return 0;
  // A device has the defaults until its record is made: a look doesn't make it.
  if (which != CONF_ALL && which != CONF_DEFAULT && changetype<NetDev>(which).inDev == 0) which = CONF_DEFAULT;
  return load<u32>(<usize>load<u32>(confAt(inetOf(changetype<NetNs>(ns)), which)) + (<usize>id << 2));
}

/** Sets a CONF_* value; conf/all/forwarding sets that of default and of all devices too (inet_forward_change). 0 or -EINVAL. */
export function inetConfSet(at: usize, which: usize, id: u32, value: u32): i32 {
  if (id >= <u32>CONF_COUNT) return -EINVAL;
  const ns = changetype<NetNs>(at);
  const inet = inetOf(ns);
  // A device has the defaults of the time when it was made (inetdev_init), so what waits with its record gets it now.
  if (which == CONF_DEFAULT) for (let p = ns.devs; p != 0; p = changetype<NetDev>(p).nsNext) inDevOf(changetype<NetDev>(p));
  store<u32>(confOwn(confAt(inet, which)) + (<usize>id << 2), value);
  if (which == CONF_ALL && id == CONF_FORWARDING) {
    store<u32>(sysOwn(inet) + (SYS_IP_FORWARD << 2), value);
    store<u32>(confOwn(confAt(inet, CONF_DEFAULT)) + (CONF_FORWARDING << 2), value);
    // A device without a record will take the defaults, which say the same.
    for (let p = ns.devs; p != 0; p = changetype<NetDev>(p).nsNext) {
      if (changetype<NetDev>(p).inDev != 0) store<u32>(confOwn(confAt(inet, p)) + (CONF_FORWARDING << 2), value);
    }
  }
  rtFlush(ns);
  return 0;
}

/** Address of the SNMP_* counters (u64 each). */
export function snmpCounters(ns: usize): usize {
  return inetOf(changetype<NetNs>(ns)).snmp;
}

/** How many counters there are. */
export function snmpCount(): u32 {
  return SNMP_COUNT;
}
