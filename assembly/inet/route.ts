/**
 * Output routes (net/ipv4/route.c ip_route_output_key_hash_rcu, __mkroute_output): which device, next hop,
 * source address and MTU a packet to some address gets. Results are cached per namespace and per socket.
 */
import {
  CONF_ROUTE_LOCALNET, DEV_LOOPBACK, EINVAL, ENETUNREACH, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST, SCOPE_LINK,
} from "../abi";
import { IFF_UP, NetDev, devByIndex } from "../link/netdev";
import { NetNs } from "../link/netns";
import { Skb } from "../memory/skb";
import { Sock } from "../socket/socket";
import { INADDR_BROADCAST, INADDR_LOOPBACK, isLoopbackIp, isMulticastIp, isZeronet } from "../wire/ipv4";
import { isLocalAddr, selectAddr } from "./addr";
import { xfrmMtu } from "../xfrm/output";
import { Route, fibError, fibLookup } from "./fib";
import { InetNs, confMax, inetOf } from "./inet";
import { PmtuEntry, pmtuFind } from "./pmtu";
import { CacheEntry, RTC_LOCKED, cacheClaim, cacheSlot } from "./route-cache";

/** IP_MAX_MTU. */
const MAX_MTU: u32 = 65535;

/** The result of the last routeLookup that returned 0. */
export class RtResult {
  /** Output device (NetDev). */
  static rtDev: usize = 0;
  /** Address to resolve: the gateway, or the destination itself. */
  static rtNextHop: u32 = 0;
  /** RTN_*. */
  static rtType: u32 = 0;
  /** Path MTU: the device's, or the lower one that was learned. */
  static rtMtu: u32 = 0;
  /** Source address: the one asked for, or the preferred one. */
  static rtSrc: u32 = 0;
  /** The path MTU is below min_pmtu: DF must not be set. */
  static rtLocked: bool = false;
}

/** The MTU that routes see: a device's, at most IP_MAX_MTU. */
@inline
export function devMtu(dev: NetDev): u32 {
  return dev.mtu < MAX_MTU ? dev.mtu : MAX_MTU;
}

@inline
function publish(entry: CacheEntry): void {
  RtResult.rtDev = entry.outDev;
  RtResult.rtNextHop = entry.nextHop;
  RtResult.rtType = entry.type;
  RtResult.rtSrc = entry.prefSrc;
  const mtu = devMtu(changetype<NetDev>(entry.outDev));
  RtResult.rtMtu = entry.pmtu != 0 && entry.pmtu < mtu ? entry.pmtu : mtu;
  RtResult.rtLocked = (entry.flags & RTC_LOCKED) != 0;
}

/**
 * Looks up the way to `dst` from `src` (0 = choose) out of device `oif` (0 = any). Returns 0 with the result in
 * RtResult, or -errno: -ENETUNREACH, -EHOSTUNREACH or -EACCES of an error route, -EINVAL of a source that isn't local.
 */
export function routeLookup(ns: NetNs, dst: u32, src: u32, oif: u32): i32 {
  const inet = inetOf(ns);
  const entry = cacheSlot(inet.outCache, dst, src);
  if (entry.gen == inet.rtGen && entry.dst == dst && entry.src == src && entry.dev == oif) {
    publish(entry);
    return 0;
  }
  const error = resolve(ns, dst, src, oif, false);
  if (error != 0) return error;
  fill(inet, dst, src, oif);
  return 0;
}

/** As routeLookup, but any source address is accepted (FLOWI_FLAG_ANYSRC): for packets that NAT or a router re-routes. */
export function routeLookupAnySrc(ns: NetNs, dst: u32, src: u32, oif: u32): i32 {
  return resolve(ns, dst, src, oif, true);
}

function fill(inet: InetNs, dst: u32, src: u32, oif: u32): void {
  const entry = cacheClaim(inet.outCache, dst, src, inet.rtGen);
  entry.gen = inet.rtGen;
  entry.dst = dst;
  entry.src = src;
  entry.dev = oif;
  entry.outDev = RtResult.rtDev;
  entry.nextHop = RtResult.rtNextHop;
  entry.type = RtResult.rtType;
  entry.prefSrc = RtResult.rtSrc;
  entry.flags = RtResult.rtLocked ? RTC_LOCKED : 0;
  entry.pmtu = RtResult.rtMtu < devMtu(changetype<NetDev>(RtResult.rtDev)) ? RtResult.rtMtu : 0;
}

function make(ns: NetNs, dev: usize, nextHop: u32, type: u32, dst: u32, src: u32): i32 {
  const out = changetype<NetDev>(dev);
  if (isLoopbackIp(src) && out.kind != DEV_LOOPBACK && !confMax(out, CONF_ROUTE_LOCALNET)) return -EINVAL;
  if (dst == INADDR_BROADCAST) type = RTN_BROADCAST;
  else if (isMulticastIp(dst)) type = RTN_MULTICAST;
  else if (isZeronet(dst)) return -EINVAL;
  RtResult.rtDev = dev;
  RtResult.rtNextHop = type == RTN_UNICAST ? nextHop : dst;
  RtResult.rtType = type;
  RtResult.rtSrc = src;
  RtResult.rtMtu = devMtu(out);
  RtResult.rtLocked = false;
  if (type == RTN_UNICAST) applyException(ns, dst);
  return 0;
}

/** What was learned about the destination: path MTU, better gateway (struct fib_nh_exception). */
function applyException(ns: NetNs, dst: u32): void {
  const found = pmtuFind(ns, dst);
  if (found == 0) return;
  const entry = changetype<PmtuEntry>(found);
  if (entry.mtu != 0 && entry.mtu < RtResult.rtMtu) {
    RtResult.rtMtu = entry.mtu;
    RtResult.rtLocked = entry.locked != 0;
  }
  if (entry.gateway != 0 && entry.dev == changetype<NetDev>(RtResult.rtDev).ifindex) RtResult.rtNextHop = entry.gateway;
}

/** The device that owns an address, 0 if none (__ip_dev_find). */
function devOfAddr(ns: NetNs, ip: u32): usize {
  const found = fibLookup(ns, ip, 0, 0);
  if (found == 0 || changetype<Route>(found).type != RTN_LOCAL) return 0;
  return changetype<Route>(found).dev;
}

function resolve(ns: NetNs, dst: u32, src: u32, oif: u32, anySrc: bool): i32 {
  const wide = isMulticastIp(dst) || dst == INADDR_BROADCAST;
  if (src != 0) {
    if (isMulticastIp(src) || src == INADDR_BROADCAST || isZeronet(src)) return -EINVAL;
    if (oif == 0 && wide) {
      // Sent out of the device that has the source address.
      const dev = devOfAddr(ns, src);
      if (dev == 0) return -EINVAL;
      return make(ns, dev, dst, RTN_UNICAST, dst, src);
    }
    if (!anySrc && !isLocalAddr(ns, src)) return -EINVAL;
  }
  let out: usize = 0;
  if (oif != 0) {
    out = devByIndex(ns, oif);
    if (out == 0 || !(changetype<NetDev>(out).flags & IFF_UP)) return -ENETUNREACH;
    if (wide) return make(ns, out, dst, RTN_UNICAST, dst, src != 0 ? src : selectAddr(changetype<NetDev>(out), 0, SCOPE_LINK));
  }
  if (dst == 0) {
    dst = src != 0 ? src : INADDR_LOOPBACK;
    return make(ns, ns.loopback, dst, RTN_LOCAL, dst, dst);
  }
  const found = fibLookup(ns, dst, oif, 0);
  if (found == 0) {
    // With a device given, the destination is taken to be on its link.
    if (out == 0) return fibError;
    return make(ns, out, dst, RTN_UNICAST, dst, src != 0 ? src : selectAddr(changetype<NetDev>(out), 0, SCOPE_LINK));
  }
  const route = changetype<Route>(found);
  if (route.type == RTN_LOCAL) return make(ns, ns.loopback, dst, RTN_LOCAL, dst, src != 0 ? src : route.prefSrc != 0 ? route.prefSrc : dst);
  const nextHop = route.gateway != 0 ? route.gateway : dst;
  return make(ns, route.dev, nextHop, route.type, dst, src != 0 ? src : preferredSource(route));
}

/** fib_result_prefsrc. */
function preferredSource(route: Route): u32 {
  return route.prefSrc != 0 ? route.prefSrc : selectAddr(changetype<NetDev>(route.dev), route.gateway, route.scope);
}

/** Gives a packet the route in RtResult. */
@inline
export function setRoute(skb: Skb): void {
  skb.rtDev = RtResult.rtDev;
  skb.rtNextHop = RtResult.rtNextHop;
  skb.rtType = RtResult.rtType;
  skb.rtMtu = RtResult.rtMtu;
}

/** Path MTU to a destination: what was learned, or `mtu` of the device (ip_rt_get_mtu). */
export function pmtuGet(ns: NetNs, dst: u32, mtu: u32): u32 {
  const found = pmtuFind(ns, dst);
  if (found == 0) return mtu;
  const learned = changetype<PmtuEntry>(found).mtu;
  return learned != 0 && learned < mtu ? learned : mtu;
}

/** True while the route in sk.dst* may be used as it is. */
@inline
function sockRouteValid(sk: Sock): bool {
  if (sk.dstGen != inetOf(changetype<NetNs>(sk.ns)).rtGen) return false;
  return devMtu(changetype<NetDev>(sk.dstDev)) == sk.dstDevMtu;
}

/** Validates or renews the route of a connected socket in sk.dst*: 0 or -errno (__sk_dst_check, inet_sk_rebuild_header). */
export function sockRoute(sk: Sock): i32 {
  if (sockRouteValid(sk)) return 0;
  const ns = changetype<NetNs>(sk.ns);
  const error = routeLookup(ns, sk.remoteIp, sk.localIp, 0);
  if (error != 0) {
    sk.dstGen = 0;
    return error;
  }
  sk.dstDev = RtResult.rtDev;
  sk.dstNextHop = RtResult.rtNextHop;
  sk.dstType = RtResult.rtType;
  sk.dstMtu = xfrmMtu(ns, RtResult.rtDev, sk.localIp, sk.remoteIp, sk.protocol, sk.localPort, sk.remotePort, sk.mark, RtResult.rtMtu);
  sk.dstLocked = <u32>RtResult.rtLocked;
  sk.dstDevMtu = devMtu(changetype<NetDev>(RtResult.rtDev));
  sk.dstGen = inetOf(ns).rtGen;
  return 0;
}
