/**
 * IPVS's records (include/net/ip_vs.h): per namespace, virtual services, destinations, connections. Addresses and ports in
 * host order.
 */
import { NetNs } from "../link/netns";
import { kmalloc } from "../memory/arena";
import { HashTable } from "../memory/hashtable";
import { Timer } from "../sim/timer";

/** ns. */
export const SECOND: i64 = 1_000_000_000;

/** struct netns_ipvs. Made when something first needs it; hooks run while there is a service (NetNs.ipvs). */
@unmanaged
export class IpvsNs {
  ns: usize;
  /** Services by protocol, address and port, and by mark. */
  services: HashTable;
  marks: HashTable;
  /** All services, newest first: Service.listNext. */
  first: usize;
  count: u32;
  /** Services whose port is 0 (nullsvc_counter). */
  anyPort: u32;
  /** Number of the next service. */
  generation: u32;
  /** Connections, newest first: Conn.listNext. */
  conns: usize;
  connCount: u32;
  /** Deleted destinations, newest first: Dest.next. */
  trash: usize;
  trashTimer: Timer;
  /** Ends connections of deleted destinations (expire_nodest_conn_work). */
  nodestTimer: Timer;
  /** VSCTL_COUNT values, u32 each. */
  ctl: usize;
  /** Timeouts in seconds, u32 each: TIMEOUT_TCP + state, TIMEOUT_UDP, TIMEOUT_SCTP + state. */
  timeouts: usize;
  /** Perturbation of the connection table (ip_vs_conn_rnd): the host's. */
  rnd: u32;
  /** Counters of the namespace (ipvs->tot_stats), see Stats. */
  conns0: u64;
  packetsIn: u64;
  packetsOut: u64;
  bytesIn: u64;
  bytesOut: u64;
}

/** Where the states of a protocol begin in the table of timeouts, and its length. */
export const TIMEOUT_TCP: u32 = 0;
export const TIMEOUT_UDP: u32 = 11;
export const TIMEOUT_SCTP: u32 = 12;
export const TIMEOUTS: u32 = 26;

/** Five u64 in a row (struct ip_vs_counters): connections, packets in, out, bytes in, out. */
export const STATS: usize = 40;

/** struct ip_vs_service. */
@unmanaged
export class Service {
  next: u32; // HLINK in its table
  hash: u32;
  listNext: usize;
  listPrev: usize;
  vs: usize;
  protocol: u32;
  addr: u32;
  port: u32;
  fwmark: u32;
  flags: u32;
  sched: u32;
  timeout: u32; // s
  netmask: u32;
  /** Distinguishes it from a service of the same key before. */
  generation: u32;
  /** Destinations, newest first: Dest.next. */
  first: usize;
  last: usize;
  dests: u32;
  // What the scheduler keeps.
  /** rr, wrr: destination chosen last, 0 = the head of the list. dh, sh, mh, lblc, lblcr: a table. */
  pointer: usize;
  /** wrr: current weight, maximum, step. */
  cw: i32;
  mw: i32;
  di: i32;
  conns: u64;
  packetsIn: u64;
  packetsOut: u64;
  bytesIn: u64;
  bytesOut: u64;
}

// Dest.flags (IP_VS_DEST_F_*).
/** Dest.flags (IP_VS_DEST_F_*). */
export const DEST_AVAILABLE: u32 = 1;
export const DEST_OVERLOAD: u32 = 2;

/** struct ip_vs_dest. */
@unmanaged
export class Dest {
  /** In its service's list, or in the trash. */
  next: usize;
  prev: usize;
  /** Service; in the trash: Trashed. */
  svc: usize;
  generation: u32;
  addr: u32;
  port: u16;
  flags: u16;
  /** VS_CONN_F_* that its connections get (conn_flags). */
  connFlags: u32;
  weight: i32;
  lastWeight: i32;
  upper: u32;
  lower: u32;
  active: i32;
  inactive: i32;
  persistent: i32;
  /** Connections and entries of schedulers that point to it. */
  refs: u32;
  /** DestStats, 0 before its first connection: a load balancer knows every task, and calls few. */
  stats: usize;
}

/** Counters of a destination. */
@unmanaged
export class DestStats {
  conns: u64;
  packetsIn: u64;
  packetsOut: u64;
  bytesIn: u64;
  bytesOut: u64;
}

/** What is known of a destination in the trash: the key of its service, for the way back. */
@unmanaged
export class Trashed {
  /** Since when nothing points to it, -1 = not seen so. */
  idleStart: i64;
  protocol: u32;
  addr: u32;
  port: u32;
  fwmark: u32;
}

/** struct ip_vs_conn: a connection, or a template of persistence; begins with the timer of its expiry. */
@unmanaged
export class Conn extends Timer {
  hNext: u32; // HLINK in the table of connections
  hHash: u32;
  hashed: u32;
  listNext: usize;
  listPrev: usize;
  vs: usize;
  protocol: u32;
  caddr: u32;
  cport: u32;
  vaddr: u32;
  vport: u32;
  daddr: u32;
  dport: u32;
  fwmark: u32;
  flags: u32;
  state: u32;
  inPackets: u32;
  /** Dest, 0 = none. */
  dest: usize;
  /** The connection (template) that this one belongs to, and how many belong to it. */
  control: usize;
  controlled: u32;
  timeout: i64; // ns
}

/** IPVS of a namespace. */
@inline
export function vsOf(ns: NetNs): IpvsNs {
  return changetype<IpvsNs>(ns.vs);
}

/** A value of net.ipv4.vs.* (VSCTL_*). */
@inline
export function vsCtl(vs: IpvsNs, index: u32): u32 {
  return load<u32>(vs.ctl + (<usize>index << 2));
}

/** A destination's counters, made with its first connection. */
export function destStats(dest: Dest): DestStats {
  if (dest.stats == 0) dest.stats = kmalloc(offsetof<DestStats>());
  return changetype<DestStats>(dest.stats);
}

/** Connections of a destination that aren't templates (ip_vs_dest_totalconns). */
@inline
export function destTotal(dest: Dest): i32 {
  return dest.active + dest.inactive;
}
