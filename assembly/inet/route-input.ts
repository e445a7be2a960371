/**
 * Input routes (net/ipv4/route.c ip_route_input_slow, net/ipv4/fib_frontend.c fib_validate_source): is a
 * packet for us, to be forwarded, or a martian. Cached per namespace by destination, source and device.
 */
import {
  CONF_ACCEPT_LOCAL, CONF_FORWARDING, CONF_ROUTE_LOCALNET, CONF_RP_FILTER, CONF_SEND_REDIRECTS, CONF_SHARED_MEDIA, EHOSTUNREACH, EINVAL,
  RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST, RTN_UNREACHABLE,
} from "../abi";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { INADDR_BROADCAST, isLoopbackIp, isMulticastIp, isZeronet } from "../wire/ipv4";
import { onLink } from "./arp";
import { Route, fibAddrType, fibError, fibLookup } from "./fib";
import { InDev, confDev, confMax, inetOf } from "./inet";
import { RTC_REDIRECT, cacheClaim, cacheSlot } from "./route-cache";

/** errno that ip_route_input returns for a source that fails the reverse path test. */
export const EXDEV: i32 = 18;

/** The result of the last routeInput that returned 0. */
export class InRoute {
  /** RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST (forward), or RTN_UNREACHABLE with `error`. */
  static type: u32 = 0;
  static outDev: usize = 0;
  static nextHop: u32 = 0;
  /** RTN_UNREACHABLE: negative errno of the missing route. */
  static error: i32 = 0;
  /** The sender should be told of a better gateway. */
  static redirect: bool = false;
}

/** Routes a packet that came in by `dev`: 0 with the result in InRoute, -EINVAL for a martian, -EXDEV for a failed rp_filter. */
export function routeInput(ns: NetNs, dev: NetDev, dst: u32, src: u32, secpath: bool): i32 {
  const inet = inetOf(ns);
  const entry = cacheSlot(inet.inCache, dst, src);
  if (entry.gen == inet.rtGen && entry.dst == dst && entry.src == src && entry.dev == <u32>changetype<usize>(dev) && !secpath) {
    InRoute.type = entry.type;
    InRoute.outDev = entry.outDev;
    InRoute.nextHop = entry.nextHop;
    InRoute.error = <i32>entry.prefSrc;
    InRoute.redirect = (entry.flags & RTC_REDIRECT) != 0;
    return entry.error;
  }
  InRoute.error = 0;
  InRoute.outDev = 0;
  InRoute.nextHop = dst;
  InRoute.redirect = false;
  const error = slow(ns, dev, dst, src, secpath);
  if (secpath) return error;
  const slot = cacheClaim(inet.inCache, dst, src, inet.rtGen);
  slot.gen = inet.rtGen;
  slot.dst = dst;
  slot.src = src;
  slot.dev = <u32>changetype<usize>(dev);
  slot.type = InRoute.type;
  slot.outDev = InRoute.outDev;
  slot.nextHop = InRoute.nextHop;
  slot.prefSrc = <u32>InRoute.error;
  slot.flags = InRoute.redirect ? RTC_REDIRECT : 0;
  slot.error = error;
  return error;
}

function noRoute(dev: NetDev, error: i32): i32 {
  InRoute.type = RTN_UNREACHABLE;
  InRoute.error = confDev(dev, CONF_FORWARDING) ? error : -EHOSTUNREACH;
  return 0;
}

function slow(ns: NetNs, dev: NetDev, dst: u32, src: u32, secpath: bool): i32 {
  InRoute.type = RTN_UNREACHABLE;
  if (isMulticastIp(src) || src == INADDR_BROADCAST) return -EINVAL;
  if (isMulticastIp(dst)) {
    // ip_mc_input; all-hosts is the only group that everybody is in.
    InRoute.type = RTN_MULTICAST;
    return isZeronet(src) ? 0 : negative(validateSource(ns, dev, src, 0, secpath));
  }
  if (dst == INADDR_BROADCAST || (src == 0 && dst == 0)) return broadcast(ns, dev, src, secpath);
  if (isZeronet(src) || isZeronet(dst)) return -EINVAL;
  if ((isLoopbackIp(dst) || isLoopbackIp(src)) && !confMax(dev, CONF_ROUTE_LOCALNET)) return -EINVAL;
  const found = fibLookup(ns, dst, 0, 0);
  if (found == 0) return noRoute(dev, fibError);
  const route = changetype<Route>(found);
  if (route.type == RTN_BROADCAST) return broadcast(ns, dev, src, secpath);
  if (route.type == RTN_LOCAL) {
    const valid = validateSource(ns, dev, src, 0, secpath);
    if (valid < 0) return valid;
    InRoute.type = RTN_LOCAL;
    return 0;
  }
  if (!confDev(dev, CONF_FORWARDING)) return noRoute(dev, -EHOSTUNREACH);
  if (route.type != RTN_UNICAST) return -EINVAL;
  return forward(ns, dev, route, dst, src, secpath);
}

@inline
function negative(value: i32): i32 {
  return value < 0 ? value : 0;
}

function broadcast(ns: NetNs, dev: NetDev, src: u32, secpath: bool): i32 {
  if (!isZeronet(src)) {
    const valid = validateSource(ns, dev, src, 0, secpath);
    if (valid < 0) return valid;
  }
  InRoute.type = RTN_BROADCAST;
  return 0;
}

/** __mkroute_input. */
function forward(ns: NetNs, dev: NetDev, route: Route, dst: u32, src: u32, secpath: bool): i32 {
  const out = changetype<NetDev>(route.dev);
  const valid = validateSource(ns, dev, src, out.ifindex, secpath);
  if (valid < 0) return valid;
  if (route.dev == changetype<usize>(dev) && valid > 0 && confMax(dev, CONF_SEND_REDIRECTS)) {
    InRoute.redirect = confMax(dev, CONF_SHARED_MEDIA) != 0 || onLink(dev, src, route.gateway);
  }
  InRoute.type = RTN_UNICAST;
  InRoute.outDev = route.dev;
  InRoute.nextHop = route.gateway != 0 ? route.gateway : dst;
  return 0;
}

/**
 * fib_validate_source: 1 when the source is on the device's link, 0 when it is acceptable, -EINVAL when it is one of
 * our own or no unicast address, -EXDEV when the reverse path filter refuses it.
 */
function validateSource(ns: NetNs, dev: NetDev, src: u32, oif: u32, secpath: bool): i32 {
  const rpf = secpath ? 0 : confMax(dev, CONF_RP_FILTER);
  const acceptLocal = confMax(dev, CONF_ACCEPT_LOCAL) != 0;
  if (rpf == 0 && (dev.ifindex != oif || !confMax(dev, CONF_SEND_REDIRECTS))) {
    if (acceptLocal) return 0;
    // One look-up in the local table finds own addresses and broadcast ones alike.
    return fibAddrType(ns, src) == RTN_UNICAST ? 0 : -EINVAL;
  }
  const hasAddr = dev.inDev != 0 && changetype<InDev>(dev.inDev).addrs != 0;
  const found = fibLookup(ns, src, 0, 0);
  if (found == 0) return rpf != 0 ? -EXDEV : 0;
  const route = changetype<Route>(found);
  if (route.type != RTN_UNICAST && (route.type != RTN_LOCAL || !acceptLocal)) return -EINVAL;
  if (route.dev == changetype<usize>(dev)) return route.gateway == 0 ? 1 : 0;
  if (!hasAddr) return rpf != 0 ? -EXDEV : 0;
  if (rpf == 1) return -EXDEV;
  const own = fibLookup(ns, src, dev.ifindex, 0);
  if (own != 0 && changetype<Route>(own).type == RTN_UNICAST) return changetype<Route>(own).gateway == 0 ? 1 : 0;
  return 0;
}
