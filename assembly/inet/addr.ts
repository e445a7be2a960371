/** IPv4 addresses of devices (net/ipv4/devinet.c). */
import { CONF_ARP_NOTIFY, CONF_PROMOTE_SECONDARIES, CONF_ROUTE_LOCALNET, EADDRNOTAVAIL, EEXIST, EINVAL, RTN_LOCAL, SCOPE_HOST, SCOPE_LINK } from "../abi";
import { IFF_UP, NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { nfMasqAddrGone } from "../netfilter/netfilter";
import { ARPOP_REQUEST } from "../wire/arp";
import { MAC_BROADCAST } from "../wire/ethernet";
import { maskOf } from "../wire/ipv4";
import { arpSend } from "./arp";
import { fibAddIfaddr, fibAddrType, fibDelIfaddr } from "./fib";
import { InDev, confMax, inDevOf, rtFlush } from "./inet";

/** Another address of the same subnet came first (IFA_F_SECONDARY). */
export const IFA_SECONDARY: u32 = 1;

/** An IPv4 address of a device (struct in_ifaddr). */
@unmanaged
export class Addr {
  next: usize;
  ip: u32;
  prefix: u32;
  broadcast: u32; // 0 = none
  scope: u32;
  flags: u32;
}

/** True when two addresses lie in the network of `addr` (inet_ifa_match). */
@inline
export function ifaMatch(ip: u32, addr: Addr): bool {
  return ((ip ^ addr.ip) & maskOf(addr.prefix)) == 0;
}

/** The address belongs to this namespace, as packets see it: 127/8 included (inet_addr_type == RTN_LOCAL). */
export function isLocalAddr(ns: NetNs, ip: u32): bool {
  return fibAddrType(ns, ip) == RTN_LOCAL;
}

/**
 * Adds an address: 0, -EEXIST, -EINVAL. A broadcast address of 0 means none: `ip address add … brd +` and Docker
 * pass theirs (inet_insert_ifa).
 */
export function addrAdd(dev: NetDev, ip: u32, prefix: u32, broadcast: u32, scope: u32): i32 {
  if (prefix > 32) return -EINVAL;
  if (ip == 0) return -EINVAL;
  const inDev = inDevOf(dev);
  let flags: u32 = 0;
  let at = changetype<usize>(inDev) + offsetof<InDev>("addrs");
  // Primaries stand before secondaries; a new primary goes behind the primaries of the same or wider scope.
  let insert: usize = 0;
  for (let p = inDev.addrs; p != 0; p = changetype<Addr>(p).next) {
    const addr = changetype<Addr>(p);
    if (!(addr.flags & IFA_SECONDARY) && scope <= addr.scope) insert = p;
    if (addr.prefix == prefix && ifaMatch(ip, addr)) {
      if (addr.ip == ip) return -EEXIST;
      flags |= IFA_SECONDARY;
    }
    at = p;
  }
  const addr = changetype<Addr>(kmalloc(offsetof<Addr>()));
  addr.ip = ip;
  addr.prefix = prefix;
  addr.broadcast = broadcast;
  addr.scope = scope;
  addr.flags = flags;
  if (!(flags & IFA_SECONDARY)) at = insert != 0 ? insert : changetype<usize>(inDev) + offsetof<InDev>("addrs");
  // Addr.next stands at offset 0, so that a node and the list's head are linked alike.
  addr.next = <usize>load<u32>(at);
  store<u32>(at, <u32>changetype<usize>(addr));
  fibAddIfaddr(dev, addr);
  rtFlush(changetype<NetNs>(dev.ns));
  if (dev.flags & IFF_UP && confMax(dev, CONF_ARP_NOTIFY)) announce(dev, addr);
  return 0;
}

/** Removes an address, and with a primary one its secondaries (unless promote_secondaries): 0 or -EADDRNOTAVAIL (inet_del_ifa). */
export function addrDel(dev: NetDev, ip: u32, prefix: u32): i32 {
  if (dev.inDev == 0) return -EADDRNOTAVAIL;
  const inDev = changetype<InDev>(dev.inDev);
  let at = changetype<usize>(inDev) + offsetof<InDev>("addrs");
  while (load<u32>(at) != 0) {
    const addr = changetype<Addr>(<usize>load<u32>(at));
    if (addr.ip == ip && (addr.prefix == prefix || prefix > 32)) {
      removeAt(dev, at, addr);
      return 0;
    }
    at = changetype<usize>(addr);
  }
  return -EADDRNOTAVAIL;
}

function removeAt(dev: NetDev, at: usize, addr: Addr): void {
  const inDev = changetype<InDev>(dev.inDev);
  const ns = changetype<NetNs>(dev.ns);
  store<u32>(at, <u32>addr.next);
  fibDelIfaddr(dev, addr);
  nfMasqAddrGone(ns, dev.ifindex, addr.ip);
  if (!(addr.flags & IFA_SECONDARY)) {
    const promote = confMax(dev, CONF_PROMOTE_SECONDARIES) != 0;
    let from = changetype<usize>(inDev) + offsetof<InDev>("addrs");
    let promoted: usize = 0;
    while (load<u32>(from) != 0) {
      const other = changetype<Addr>(<usize>load<u32>(from));
      if (!(other.flags & IFA_SECONDARY) || other.prefix != addr.prefix || !ifaMatch(other.ip, addr)) {
        from = changetype<usize>(other);
        continue;
      }
      if (promote) {
        if (promoted == 0) {
          other.flags &= ~IFA_SECONDARY;
          promoted = changetype<usize>(other);
        }
        fibDelIfaddr(dev, other);
        fibAddIfaddr(dev, other);
        from = changetype<usize>(other);
        continue;
      }
      store<u32>(from, <u32>other.next);
      fibDelIfaddr(dev, other);
      nfMasqAddrGone(ns, dev.ifindex, other.ip);
      kfree(changetype<usize>(other), offsetof<Addr>());
    }
  }
  kfree(changetype<usize>(addr), offsetof<Addr>());
  rtFlush(ns);
}

/** Removes all addresses of a device. */
export function addrFlush(dev: NetDev): void {
  if (dev.inDev == 0) return;
  const head = dev.inDev + offsetof<InDev>("addrs");
  while (load<u32>(head) != 0) removeAt(dev, head, changetype<Addr>(<usize>load<u32>(head)));
}

/** The primary address whose network holds `ip`, 0 if none: the source of routes of a secondary address (inet_ifa_byprefix). */
export function primaryOf(dev: NetDev, addr: Addr): u32 {
  if (!(addr.flags & IFA_SECONDARY)) return addr.ip;
  for (let p = changetype<InDev>(dev.inDev).addrs; p != 0; p = changetype<Addr>(p).next) {
    const other = changetype<Addr>(p);
    if (!(other.flags & IFA_SECONDARY) && other.prefix == addr.prefix && ifaMatch(addr.ip, other)) return other.ip;
  }
  return addr.ip;
}

/** Source address for packets out of a device to `dst` (0 = any), of that scope or wider (inet_select_addr). 0 if there is none. */
export function selectAddr(dev: NetDev, dst: u32, scope: u32): u32 {
  let found: u32 = 0;
  if (dev.inDev != 0) {
    const hostScope: u32 = confMax(dev, CONF_ROUTE_LOCALNET) ? SCOPE_LINK : SCOPE_HOST;
    for (let p = changetype<InDev>(dev.inDev).addrs; p != 0; p = changetype<Addr>(p).next) {
      const addr = changetype<Addr>(p);
      if (addr.flags & IFA_SECONDARY) continue;
      const own = addr.scope < hostScope ? addr.scope : hostScope;
      if (own > scope) continue;
      if (dst == 0 || ifaMatch(dst, addr)) return addr.ip;
      if (found == 0) found = addr.ip;
    }
    if (found != 0) return found;
  }
  for (let p = changetype<NetNs>(dev.ns).devs; p != 0; p = changetype<NetDev>(p).nsNext) {
    const other = changetype<NetDev>(p);
    if (other.inDev == 0 || p == changetype<usize>(dev)) continue;
    for (let q = changetype<InDev>(other.inDev).addrs; q != 0; q = changetype<Addr>(q).next) {
      const addr = changetype<Addr>(q);
      if (!(addr.flags & IFA_SECONDARY) && addr.scope != SCOPE_LINK && addr.scope <= scope) return addr.ip;
    }
  }
  return 0;
}

/** The source address that MASQUERADE and routes take: inet_select_addr with scope universe. */
export function primaryAddr(dev: NetDev, nextHop: u32): u32 {
  return selectAddr(dev, nextHop, 0);
}

/** Gratuitous ARP for all addresses (inetdev_send_gratuitous_arp). */
export function addrAnnounce(dev: NetDev): void {
  for (let p = inDevOf(dev).addrs; p != 0; p = changetype<Addr>(p).next) announce(dev, changetype<Addr>(p));
}

function announce(dev: NetDev, addr: Addr): void {
  arpSend(dev, ARPOP_REQUEST, MAC_BROADCAST, addr.ip, addr.ip, dev.mac, 0);
}
