/**
 * Records of the IPv4 layer: per host, per namespace, per device (net/ipv4/devinet.c, af_inet.c), and what
 * happens to them when devices come and go.
 */
import {
  CONF_ACCEPT_REDIRECTS, CONF_ARP_NOTIFY, CONF_BASE_REACHABLE_MS, CONF_COUNT, CONF_DELAY_FIRST_PROBE_MS, CONF_FORWARDING, CONF_GC_STALE_MS,
  CONF_LOCKTIME_MS, CONF_MCAST_SOLICIT, CONF_RETRANS_MS, CONF_SECURE_REDIRECTS, CONF_SEND_REDIRECTS, CONF_SHARED_MEDIA,
  CONF_UCAST_SOLICIT, CONF_UNRES_QLEN_BYTES, DEV_LOOPBACK, SCOPE_HOST, SYS_COUNT, SYS_GC_THRESH1, SYS_GC_THRESH2, SYS_GC_THRESH3,
  SYS_ICMP_ECHO_IGNORE_BROADCASTS, SYS_ICMP_MSGS_BURST, SYS_ICMP_MSGS_PER_SEC, SYS_ICMP_RATELIMIT, SYS_ICMP_RATEMASK,
  SYS_IPFRAG_HIGH_THRESH, SYS_IPFRAG_MAX_DIST, SYS_IPFRAG_TIME, SYS_IP_DEFAULT_TTL, SYS_IP_FORWARD, SYS_LOCAL_PORT_MAX, SYS_LOCAL_PORT_MIN,
  SYS_MIN_PMTU, SYS_MTU_EXPIRES,
} from "../abi";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, tableInit, tableRelease } from "../memory/hashtable";
import { valuesOwn, valuesPut, valuesShare, valuesStatic } from "../memory/shared";
import { nfMasqDevDown } from "../netfilter/netfilter";
import { clock } from "../sim/event";
import { Timer, timerInit } from "../sim/timer";
import { Host } from "../sim/host";
import { INADDR_LOOPBACK } from "../wire/ipv4";
import { Addr, addrAdd, addrAnnounce, addrFlush } from "./addr";
import { Fib, fibAddIfaddr, fibInit, fibRelease, fibSyncDown } from "./fib";
import { defragPurgeDev, defragPurgeNs } from "./defrag";
import { neighFlushDev } from "./neigh";
import { HostNeigh, hostNeighNew } from "./neigh-table";
import { pmtuExpire, pmtuPurge } from "./pmtu";
import { peerPurge } from "./peer";
import { RouteCache, cacheInit, cacheRelease } from "./route-cache";
import { SNMP_NONE, snmpFree, snmpReady } from "./snmp";

/** What all namespaces of a host share. */
@unmanaged
class HostInet {
  neigh: HostNeigh;
  /** Last id given to a ping socket (net/ipv4/ping.c ping_port_rover). */
  pingRover: u32;
  /** Perturbation of the search for TCP ports, see socket/ports. */
  ports: usize;
}

/** The IPv4 state of a namespace. Tables and caches are embedded and take memory when they are first used. */
@unmanaged
export class InetNs {
  // Fib of the tables local and main.
  localLengths: u64;
  localBuckets: usize;
  localMask: u32;
  localCount: u32;
  localHead: usize;
  mainLengths: u64;
  mainBuckets: usize;
  mainMask: u32;
  mainCount: u32;
  mainHead: usize;
  ns: usize;
  /** Generation of everything that routing depends on; a cached route of another generation is stale. */
  rtGen: u32;
  /** Orders routes of the same prefix and metric. */
  routeOrder: u32;
  /** Settings, blocks of memory/shared: written through sysOwn and confOwn only. */
  sys: usize; // SYS_COUNT u32
  confAll: usize; // CONF_COUNT u32
  confDefault: usize;
  snmp: usize; // SNMP_COUNT u64
  // RouteCache of output and of input.
  outBlock: usize;
  outMask: u32;
  outConflicts: u32;
  inBlock: usize;
  inMask: u32;
  inConflicts: u32;
  // HashTable of path MTU and redirect exceptions by destination,
  exceptionBuckets: usize;
  exceptionMask: u32;
  exceptionCount: u32;
  // of rate limits by destination (inet_peer),
  peerBuckets: usize;
  peerMask: u32;
  peerCount: u32;
  // of UDP sockets by port and local address,
  udpBuckets: usize;
  udpMask: u32;
  udpCount: u32;
  // of queues of reassembly.
  fragBuckets: usize;
  fragMask: u32;
  fragCount: u32;
  /** icmp_global: tokens and when they were last filled (jiffies). */
  icmpCredit: u32;
  icmpStamp: u32;
  /** First raw or ping socket. */
  raw: usize;
  /** Reassembly: memory, newest queue first. */
  fragMem: u32;
  fragHead: usize;
  /** Timer, 0 before the first exception. */
  exceptionTimer: usize;

  @inline
  get local(): Fib {
    return changetype<Fib>(changetype<usize>(this) + offsetof<InetNs>("localLengths"));
  }

  @inline
  get main(): Fib {
    return changetype<Fib>(changetype<usize>(this) + offsetof<InetNs>("mainLengths"));
  }

  @inline
  get outCache(): RouteCache {
    return changetype<RouteCache>(changetype<usize>(this) + offsetof<InetNs>("outBlock"));
  }

  @inline
  get inCache(): RouteCache {
    return changetype<RouteCache>(changetype<usize>(this) + offsetof<InetNs>("inBlock"));
  }

  @inline
  get exceptions(): HashTable {
    return changetype<HashTable>(changetype<usize>(this) + offsetof<InetNs>("exceptionBuckets"));
  }

  @inline
  get peers(): HashTable {
    return changetype<HashTable>(changetype<usize>(this) + offsetof<InetNs>("peerBuckets"));
  }

  @inline
  get udp(): HashTable {
    return changetype<HashTable>(changetype<usize>(this) + offsetof<InetNs>("udpBuckets"));
  }

  @inline
  get frags(): HashTable {
    return changetype<HashTable>(changetype<usize>(this) + offsetof<InetNs>("fragBuckets"));
  }
}

/** The IPv4 state of a device; made when first needed. */
@unmanaged
export class InDev {
  dev: usize;
  addrs: usize; // Addr, primary ones first within a subnet, in order of addition
  conf: usize; // CONF_COUNT u32, a block of memory/shared
  // HashTable of neighbours by address.
  neighBuckets: usize;
  neighMask: u32;
  neighCount: u32;
  neighHead: usize; // all of them, newest first
  lastNeigh: usize; // the one found last
  reachableTime: i64; // drawn from base_reachable_time
  reachableDrawn: i64; // for which period

  @inline
  get neigh(): HashTable {
    return changetype<HashTable>(changetype<usize>(this) + offsetof<InDev>("neighBuckets"));
  }
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
  inDev.conf = valuesShare(inetOf(changetype<NetNs>(dev.ns)).confDefault);
  tableInit(inDev.neigh);
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

/** Settings of a kernel that just booted, shared by all that change none: SYS_* without and with ip_forward, CONF_*. */
const SYS_BLOCK: usize = memory.data(4 + 32 * 4, 16);
const SYS_FORWARD_BLOCK: usize = memory.data(4 + 32 * 4, 16);
const CONF_BLOCK: usize = memory.data(4 + 32 * 4, 16);
let bootSys: usize = 0;
let bootSysForward: usize = 0;
let bootConf: usize = 0;

/** Called once at start-up. */
export function inetInit(): void {
  bootSys = valuesStatic(SYS_BLOCK);
  bootSysForward = valuesStatic(SYS_FORWARD_BLOCK);
  bootConf = valuesStatic(CONF_BLOCK);
  defaultSysctls(bootSys);
  defaultSysctls(bootSysForward);
  putSys(bootSysForward, SYS_IP_FORWARD, 1);
  defaultConf(bootConf);
}

/** The net.ipv4.* values of a namespace, to be written. */
export function sysOwn(inet: InetNs): usize {
  return valuesOwn(changetype<usize>(inet) + offsetof<InetNs>("sys"), SYS_COUNT);
}

/** CONF_* values, to be written; `at` is where the pointer to them stands. */
export function confOwn(at: usize): usize {
  return valuesOwn(at, CONF_COUNT);
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
  fibInit(inet.local);
  fibInit(inet.main);
  inet.rtGen = 1;
  inet.snmp = SNMP_NONE;
  if (host.root != 0) {
    // devinet_init_net: IPv4 inherits the root's current settings.
    const root = inetOf(changetype<NetNs>(host.root));
    inet.confAll = valuesShare(root.confAll);
    inet.confDefault = valuesShare(root.confDefault);
  } else {
    inet.confAll = valuesShare(bootConf);
    inet.confDefault = valuesShare(bootConf);
    snmpReady(ns); // what the host sends by itself is counted here
  }
  // ip_forward is conf/all/forwarding
  const forwarding = load<u32>(inet.confAll, CONF_FORWARDING << 2);
  inet.sys = valuesShare(forwarding == 0 ? bootSys : bootSysForward);
  if (forwarding > 1) putSys(sysOwn(inet), SYS_IP_FORWARD, forwarding);
  cacheInit(inet.outCache);
  cacheInit(inet.inCache);
  tableInit(inet.exceptions);
  tableInit(inet.peers);
  tableInit(inet.udp);
  tableInit(inet.frags);
  inet.icmpCredit = load<u32>(inet.sys, SYS_ICMP_MSGS_BURST << 2);
}

/** The timer of a namespace's exceptions, made with the first of them. */
export function exceptionTimer(ns: NetNs): Timer {
  const inet = inetOf(ns);
  if (inet.exceptionTimer == 0) {
    inet.exceptionTimer = kmalloc(offsetof<Timer>());
    timerInit(changetype<Timer>(inet.exceptionTimer), changetype<Host>(ns.host), changetype<usize>(pmtuExpire), changetype<usize>(ns));
  }
  return changetype<Timer>(inet.exceptionTimer);
}

/** Frees it; its devices and sockets are gone. */
export function inetNsExit(ns: NetNs): void {
  const inet = inetOf(ns);
  defragPurgeNs(ns);
  pmtuPurge(ns);
  peerPurge(ns);
  fibRelease(inet.local);
  fibRelease(inet.main);
  cacheRelease(inet.outCache);
  cacheRelease(inet.inCache);
  tableRelease(inet.exceptions);
  tableRelease(inet.peers);
  tableRelease(inet.udp);
  tableRelease(inet.frags);
  if (inet.exceptionTimer != 0) kfree(inet.exceptionTimer, offsetof<Timer>());
  valuesPut(inet.sys, SYS_COUNT);
  valuesPut(inet.confAll, CONF_COUNT);
  valuesPut(inet.confDefault, CONF_COUNT);
  snmpFree(ns);
  kfree(changetype<usize>(inet), offsetof<InetNs>());
  ns.inet = 0;
}

/** A device went up: addresses get their routes; the loopback gets 127.0.0.1/8 (inetdev_event, fib_netdev_event NETDEV_UP). */
export function inetDevUp(dev: NetDev): void {
  const ns = changetype<NetNs>(dev.ns);
  if (dev.inDev == 0 && dev.kind != DEV_LOOPBACK) {
    // No address, no neighbour, no setting of its own: a port of a bridge never needs more.
    rtFlush(ns);
    return;
  }
  const inDev = inDevOf(dev);
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
  tableRelease(inDev.neigh);
  valuesPut(inDev.conf, CONF_COUNT);
  kfree(dev.inDev, offsetof<InDev>());
  dev.inDev = 0;
}

/** MTU, MAC or name of a device changed (NETDEV_CHANGEMTU, NETDEV_CHANGEADDR): cached routes are stale. */
export function inetDevChanged(dev: NetDev): void {
  rtFlush(changetype<NetNs>(dev.ns));
}

const JIFFY: i64 = 4_000_000;
/** The jiffy that was asked for last, and when it began. */
let jiffy: u32 = 0;
let jiffyStart: i64 = 0;

/** Jiffies (HZ = 250) since boot; boot is the start of the run. Skipped time counts. */
export function jiffies(): u32 {
  const time = clock();
  if (<u64>(time - jiffyStart) >= <u64>JIFFY) {
    jiffy = <u32>(time / JIFFY);
    jiffyStart = <i64>jiffy * JIFFY;
  }
  return jiffy;
}
