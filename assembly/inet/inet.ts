/**
 * Records of the IPv4 layer: per host, per namespace, per device (net/ipv4/devinet.c, af_inet.c), and what
 * happens to them when devices come and go.
 */
import {
  CONF_ACCEPT_REDIRECTS, CONF_ARP_NOTIFY, CONF_BASE_REACHABLE_MS, CONF_COUNT, CONF_DELAY_FIRST_PROBE_MS, CONF_GC_STALE_MS,
  CONF_LOCKTIME_MS, CONF_MCAST_SOLICIT, CONF_RETRANS_MS, CONF_SECURE_REDIRECTS, CONF_SEND_REDIRECTS, CONF_SHARED_MEDIA,
  CONF_UCAST_SOLICIT, CONF_UNRES_QLEN_BYTES, DEV_LOOPBACK, SCOPE_HOST, SYS_COUNT, SYS_GC_THRESH1, SYS_GC_THRESH2, SYS_GC_THRESH3,
  SYS_ICMP_ECHO_IGNORE_BROADCASTS, SYS_ICMP_MSGS_BURST, SYS_ICMP_MSGS_PER_SEC, SYS_ICMP_RATELIMIT, SYS_ICMP_RATEMASK,
  SYS_IPFRAG_HIGH_THRESH, SYS_IPFRAG_MAX_DIST, SYS_IPFRAG_TIME, SYS_IP_DEFAULT_TTL, SYS_LOCAL_PORT_MAX, SYS_LOCAL_PORT_MIN,
  SYS_MIN_PMTU, SYS_MTU_EXPIRES,
} from "../abi";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, tableNew } from "../memory/hashtable";
import { nfMasqDevDown } from "../netfilter/netfilter";
import { clock } from "../sim/event";
import { Timer, timerInit } from "../sim/timer";
import { Host } from "../sim/host";
import { INADDR_LOOPBACK } from "../wire/ipv4";
import { Addr, addrAdd, addrAnnounce, addrFlush } from "./addr";
import { Fib, fibAddIfaddr, fibFree, fibNew, fibSyncDown } from "./fib";
import { defragPurgeDev, defragPurgeNs } from "./defrag";
import { neighFlushDev } from "./neigh";
import { HostNeigh, hostNeighNew } from "./neigh-table";
import { pmtuExpire, pmtuPurge } from "./pmtu";
import { peerPurge } from "./peer";
import { RouteCache, cacheFree, cacheNew } from "./route-cache";
import { SNMP_COUNT } from "./snmp";

/** What all namespaces of a host share. */
@unmanaged
class HostInet {
  neigh: HostNeigh;
  /** Last id given to a ping socket (net/ipv4/ping.c ping_port_rover). */
  pingRover: u32;
  /** Perturbation of the search for TCP ports, see socket/ports. */
  ports: usize;
}

/** The IPv4 state of a namespace. */
@unmanaged
export class InetNs {
  ns: usize;
  local: Fib;
  main: Fib;
  /** Generation of everything that routing depends on; a cached route of another generation is stale. */
  rtGen: u32;
  /** Orders routes of the same prefix and metric. */
  routeOrder: u32;
  sys: usize; // SYS_COUNT u32
  confAll: usize; // CONF_COUNT u32
  confDefault: usize;
  snmp: usize; // SNMP_COUNT u64
  outCache: RouteCache;
  inCache: RouteCache;
  /** Path MTU and redirect exceptions by destination. */
  exceptions: HashTable;
  /** Rate limits by destination (inet_peer). */
  peers: HashTable;
  /** icmp_global: tokens and when they were last filled (jiffies). */
  icmpCredit: u32;
  icmpStamp: u32;
  /** UDP sockets by port and local address. */
  udp: HashTable;
  /** First raw or ping socket. */
  raw: usize;
  /** Reassembly: queues, memory, newest queue first. */
  frags: HashTable;
  fragMem: u32;
  fragHead: usize;
  exceptionTimer: Timer;
}

/** The IPv4 state of a device; made when first needed. */
@unmanaged
export class InDev {
  dev: usize;
  addrs: usize; // Addr, primary ones first within a subnet, in order of addition
  conf: usize; // CONF_COUNT u32
  /** Neighbours by address. */
  neigh: HashTable;
  neighHead: usize; // all of them, newest first
  lastNeigh: usize; // the one found last
  reachableTime: i64; // drawn from base_reachable_time
  reachableDrawn: i64; // for which period
}

/** IPv4 state of a namespace. */
@inline
export function inetOf(ns: NetNs): InetNs {
  return changetype<InetNs>(ns.inet);
}

/** IPv4 state that namespaces of a host share: neighbour table, IP ids. */
@inline
export function hostInet(host: Host): HostInet {
  return changetype<HostInet>(host.inet);
}

/** A net.ipv4.* value of a namespace (SYS_*). */
@inline
export function sysctl(ns: NetNs, id: u32): u32 {
  return load<u32>(inetOf(ns).sys + (<usize>id << 2));
}

/** The value of a device itself. */
@inline
export function confDev(dev: NetDev, id: u32): u32 {
  return load<u32>(inDevOf(dev).conf + (<usize>id << 2));
}

/** A value of net.ipv4.conf.all (CONF_*). */
@inline
export function confAll(ns: NetNs, id: u32): u32 {
  return load<u32>(inetOf(ns).confAll + (<usize>id << 2));
}

/** The greater of `all` and the device's value; for 0/1 values the same as "or" (IN_DEV_MAXCONF, IN_DEV_ORCONF). */
@inline
export function confMax(dev: NetDev, id: u32): u32 {
  const own = confDev(dev, id);
  const all = confAll(changetype<NetNs>(dev.ns), id);
  return own > all ? own : all;
}

/** Everything cached about routes of this namespace is stale (rt_cache_flush). */
@inline
export function rtFlush(ns: NetNs): void {
  inetOf(ns).rtGen++;
}

/** The InDev of a device, made on first use (inetdev_init). */
export function inDevOf(dev: NetDev): InDev {
  if (dev.inDev != 0) return changetype<InDev>(dev.inDev);
  const inDev = changetype<InDev>(kmalloc(offsetof<InDev>()));
  inDev.dev = changetype<usize>(dev);
  inDev.conf = kmalloc(CONF_COUNT << 2);
  memory.copy(inDev.conf, inetOf(changetype<NetNs>(dev.ns)).confDefault, CONF_COUNT << 2);
  inDev.neigh = tableNew(2);
  inDev.reachableDrawn = -1;
  dev.inDev = changetype<usize>(inDev);
  return inDev;
}

function putSys(at: usize, id: u32, value: u32): void {
  store<u32>(at + (<usize>id << 2), value);
}

function defaultSysctls(sys: usize): void {
  putSys(sys, SYS_IP_DEFAULT_TTL, 64);
  putSys(sys, SYS_LOCAL_PORT_MIN, 32768);
  putSys(sys, SYS_LOCAL_PORT_MAX, 60999);
  putSys(sys, SYS_MIN_PMTU, 552);
  putSys(sys, SYS_MTU_EXPIRES, 600);
  putSys(sys, SYS_ICMP_ECHO_IGNORE_BROADCASTS, 1);
  putSys(sys, SYS_ICMP_RATELIMIT, 1000);
  putSys(sys, SYS_ICMP_RATEMASK, 0x1818);
  putSys(sys, SYS_ICMP_MSGS_PER_SEC, 1000);
  putSys(sys, SYS_ICMP_MSGS_BURST, 50);
  putSys(sys, SYS_IPFRAG_TIME, 30);
  putSys(sys, SYS_IPFRAG_HIGH_THRESH, 4194304);
  putSys(sys, SYS_IPFRAG_MAX_DIST, 64);
  putSys(sys, SYS_GC_THRESH1, 128);
  putSys(sys, SYS_GC_THRESH2, 512);
  putSys(sys, SYS_GC_THRESH3, 1024);
}

function defaultConf(conf: usize): void {
  putSys(conf, CONF_ACCEPT_REDIRECTS, 1);
  putSys(conf, CONF_SECURE_REDIRECTS, 1);
  putSys(conf, CONF_SEND_REDIRECTS, 1);
  putSys(conf, CONF_SHARED_MEDIA, 1);
  putSys(conf, CONF_BASE_REACHABLE_MS, 30000);
  putSys(conf, CONF_DELAY_FIRST_PROBE_MS, 5000);
  putSys(conf, CONF_UCAST_SOLICIT, 3);
  putSys(conf, CONF_MCAST_SOLICIT, 3);
  putSys(conf, CONF_RETRANS_MS, 1000);
  putSys(conf, CONF_GC_STALE_MS, 60000);
  putSys(conf, CONF_LOCKTIME_MS, 1000);
  putSys(conf, CONF_UNRES_QLEN_BYTES, 212992);
}

/** Makes the IPv4 state of a namespace. conf/all and conf/default come from the host's root namespace, if that exists. */
export function inetNsInit(ns: NetNs): void {
  const host = changetype<Host>(ns.host);
  if (host.inet == 0) {
    host.inet = kmalloc(offsetof<HostInet>());
    hostInet(host).neigh = hostNeighNew(host);
  }
  const inet = changetype<InetNs>(kmalloc(offsetof<InetNs>()));
  ns.inet = changetype<usize>(inet);
  inet.ns = changetype<usize>(ns);
  inet.local = fibNew();
  inet.main = fibNew();
  inet.rtGen = 1;
  inet.sys = kmalloc(SYS_COUNT << 2);
  inet.confAll = kmalloc(CONF_COUNT << 2);
  inet.confDefault = kmalloc(CONF_COUNT << 2);
  inet.snmp = kmalloc(SNMP_COUNT << 3);
  defaultSysctls(inet.sys);
  if (host.root != 0) {
    // devinet_init_net: IPv4 inherits the root's current settings.
    const root = inetOf(changetype<NetNs>(host.root));
    memory.copy(inet.confAll, root.confAll, CONF_COUNT << 2);
    memory.copy(inet.confDefault, root.confDefault, CONF_COUNT << 2);
    store<u32>(inet.sys, load<u32>(inet.confAll)); // ip_forward is conf/all/forwarding
  } else {
    defaultConf(inet.confAll);
    defaultConf(inet.confDefault);
  }
  inet.outCache = cacheNew();
  inet.inCache = cacheNew();
  inet.exceptions = tableNew(2);
  inet.peers = tableNew(2);
  inet.udp = tableNew(3);
  inet.frags = tableNew(2);
  inet.icmpCredit = load<u32>(inet.sys + (SYS_ICMP_MSGS_BURST << 2));
  inet.exceptionTimer = changetype<Timer>(kmalloc(offsetof<Timer>()));
  timerInit(inet.exceptionTimer, host, changetype<usize>(pmtuExpire), changetype<usize>(ns));
}

/** Frees a hash table, not its entries. */
export function tableFree(table: HashTable): void {
  kfree(table.buckets, (<usize>table.mask + 1) << 2);
  kfree(changetype<usize>(table), offsetof<HashTable>());
}

/** Frees it; its devices and sockets are gone. */
export function inetNsExit(ns: NetNs): void {
  const inet = inetOf(ns);
  defragPurgeNs(ns);
  pmtuPurge(ns);
  peerPurge(ns);
  fibFree(inet.local);
  fibFree(inet.main);
  cacheFree(inet.outCache);
  cacheFree(inet.inCache);
  tableFree(inet.exceptions);
  tableFree(inet.peers);
  tableFree(inet.udp);
  tableFree(inet.frags);
  kfree(changetype<usize>(inet.exceptionTimer), offsetof<Timer>());
  kfree(inet.sys, SYS_COUNT << 2);
  kfree(inet.confAll, CONF_COUNT << 2);
  kfree(inet.confDefault, CONF_COUNT << 2);
  kfree(inet.snmp, SNMP_COUNT << 3);
  kfree(changetype<usize>(inet), offsetof<InetNs>());
  ns.inet = 0;
}

/** A device went up: addresses get their routes; the loopback gets 127.0.0.1/8 (inetdev_event, fib_netdev_event NETDEV_UP). */
export function inetDevUp(dev: NetDev): void {
  const inDev = inDevOf(dev);
  const ns = changetype<NetNs>(dev.ns);
  if (dev.kind == DEV_LOOPBACK && inDev.addrs == 0) addrAdd(dev, INADDR_LOOPBACK, 8, 0, SCOPE_HOST);
  else for (let p = inDev.addrs; p != 0; p = changetype<Addr>(p).next) fibAddIfaddr(dev, changetype<Addr>(p));
  rtFlush(ns);
  if (confMax(dev, CONF_ARP_NOTIFY)) addrAnnounce(dev);
}

/** A device went down: its routes (but local ones) and neighbours go (fib_disable_ip, arp_ifdown). */
export function inetDevDown(dev: NetDev): void {
  if (dev.inDev == 0) return;
  const ns = changetype<NetNs>(dev.ns);
  nfMasqDevDown(ns, dev.ifindex);
  fibSyncDown(dev, false);
  neighFlushDev(dev);
  defragPurgeDev(ns, changetype<usize>(dev));
  rtFlush(ns);
}

/** A device leaves its namespace for good or for another one: frees all that IPv4 knows of it. */
export function inetDevGone(dev: NetDev): void {
  const ns = changetype<NetNs>(dev.ns);
  rtFlush(ns);
  defragPurgeDev(ns, changetype<usize>(dev));
  if (dev.inDev == 0) return;
  const inDev = changetype<InDev>(dev.inDev);
  addrFlush(dev);
  fibSyncDown(dev, true);
  neighFlushDev(dev);
  tableFree(inDev.neigh);
  kfree(inDev.conf, CONF_COUNT << 2);
  kfree(dev.inDev, offsetof<InDev>());
  dev.inDev = 0;
}

/** MTU, MAC or name of a device changed (NETDEV_CHANGEMTU, NETDEV_CHANGEADDR): cached routes are stale. */
export function inetDevChanged(dev: NetDev): void {
  rtFlush(changetype<NetNs>(dev.ns));
}

/** Jiffies (HZ = 250) since boot; boot is the start of the run. Skipped time counts. */
@inline
export function jiffies(): u32 {
  return <u32>(clock() / 4_000_000);
}
