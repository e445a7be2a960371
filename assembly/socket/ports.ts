/**
 * Ephemeral ports (net/ipv4/udp.c udp_lib_get_port, inet_hashtables.c __inet_hash_connect,
 * inet_connection_sock.c inet_csk_find_open_port). The range is ip_local_port_range of the namespace.
 *
 * A search asks `taken`, a function (arg: usize, port: u32) => bool, about each candidate and returns the
 * port it settled on, or 0 when all are taken.
 */
import { SYS_LOCAL_PORT_MAX, SYS_LOCAL_PORT_MIN } from "../abi";
import { siphash2u32, siphash4u32 } from "../hash/siphash";
import { hostInet, jiffies, sysctl } from "../inet/inet";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { Host, rand32, randBelow } from "../sim/host";

/** Buckets of the kernel's UDP table: the step of its search is an odd multiple of it. */
const UDP_HTABLE_SIZE: u32 = 2048;
/** INET_TABLE_PERTURB_SIZE. */
const PERTURB_MASK: u32 = 0xffff;
/** EPHEMERAL_PORT_SHUFFLE_PERIOD: 10 s in jiffies. */
const SHUFFLE_PERIOD: u32 = 2500;

@inline
function isTaken(taken: usize, arg: usize, port: u32): bool {
  return changetype<(arg: usize, port: u32) => bool>(taken)(arg, port);
}

/** ip_local_port_range, both ends; a range whose ends were set the wrong way round holds its first port. */
@inline
function rangeLow(ns: NetNs): u32 {
  return sysctl(ns, SYS_LOCAL_PORT_MIN);
}

@inline
function rangeHigh(ns: NetNs, low: u32): u32 {
  const high = sysctl(ns, SYS_LOCAL_PORT_MAX);
  return high < low ? low : high;
}

/** A port for a UDP socket: random first, then pseudo-random steps through the range. */
export function udpEphemeral(ns: NetNs, taken: usize, arg: usize): u32 {
  const low = rangeLow(ns);
  const high = rangeHigh(ns, low);
  const random = rand32(nsHost(ns));
  const step = (random | 1) * UDP_HTABLE_SIZE;
  let first = (<u32>((<u64>random * <u64>(high - low + 1)) >> 32) + low) & 0xffff;
  for (let slot: u32 = 0; slot < UDP_HTABLE_SIZE; slot++) {
    let port = first;
    do {
      if (port >= low && port <= high && !isTaken(taken, arg, port)) return port;
      port = (port + step) & 0xffff;
    } while (port != first);
    first = (first + 1) & 0xffff;
  }
  return 0;
}

/**
 * What connect() remembers per hash index (table_perturb). The kernel's table starts out random; here the start
 * value is a hash of the index, and only indices that were used in this period of 10 s have an entry, since
 * another period gives a destination another index.
 */
@unmanaged
class Perturb {
  hnext: u32;
  hhash: u32;
  index: u32;
  added: u32;
}

@unmanaged
class PortState {
  period: u32;
  table: HashTable;
}

function stateOf(host: Host): PortState {
  const inet = hostInet(host);
  if (inet.ports == 0) {
    inet.ports = kmalloc(offsetof<PortState>());
    changetype<PortState>(inet.ports).table = tableNew(3);
  }
  return changetype<PortState>(inet.ports);
}

function perturb(host: Host, period: u32, index: u32): Perturb {
  const state = stateOf(host);
  const table = state.table;
  if (state.period != period) {
    state.period = period;
    for (let i: u32 = 0; i <= table.mask; i++) {
      for (let p = tableFirst(table, i); p != 0; p = tableFirst(table, i)) {
        tableRemove(table, p);
        kfree(p, offsetof<Perturb>());
      }
    }
  }
  for (let p = tableFirst(table, index); p != 0; p = linkNext(p)) if (changetype<Perturb>(p).index == index) return changetype<Perturb>(p);
  const entry = changetype<Perturb>(kmalloc(offsetof<Perturb>()));
  entry.index = index;
  tableInsert(table, changetype<usize>(entry), index);
  return entry;
}

/** A port for a TCP connection src → dst:dport: even ones first, from a start that depends on the destination. */
export function tcpConnectPort(ns: NetNs, src: u32, dst: u32, dport: u32, taken: usize, arg: usize): u32 {
  const host = nsHost(ns);
  const low = rangeLow(ns);
  const high = rangeHigh(ns, low) + 1;
  const remaining = high - low > 1 ? (high - low) & ~1 : high - low;
  const period = jiffies() / SHUFFLE_PERIOD;
  const hash = siphash4u32(bswap<u32>(src), bswap<u32>(dst), <u32>bswap<u16>(<u16>dport), period, host.tcpK0, host.tcpK1);
  const entry = perturb(host, period, <u32>hash & PERTURB_MASK);
  const start = <u32>siphash2u32(entry.index, 0x70657274, host.tcpK0, host.tcpK1);
  const offset = ((start + entry.added + <u32>(hash >> 32)) % remaining) & ~1;
  for (let parity: u32 = 0; parity < 2; parity++) {
    let port = low + offset + parity;
    for (let i: u32 = 0; i < remaining; i += 2, port += 2) {
      if (port >= high) port -= remaining;
      if (isTaken(taken, arg, port)) continue;
      const random = randBelow(host, 8) * 2;
      entry.added += (i > random ? i : random) + 2;
      return port;
    }
  }
  return 0;
}

/** A port for bind(0) of a TCP socket: odd ones first, from a random start. */
export function tcpBindPort(ns: NetNs, taken: usize, arg: usize): u32 {
  const low = rangeLow(ns);
  const high = rangeHigh(ns, low) + 1;
  const remaining = high - low > 1 ? (high - low) & ~1 : high - low;
  const offset = randBelow(nsHost(ns), remaining) | 1;
  for (let parity: u32 = 0; parity < 2; parity++) {
    let port = low + offset - parity;
    for (let i: u32 = 0; i < remaining; i += 2, port += 2) {
      if (port >= high) port -= remaining;
      if (!isTaken(taken, arg, port)) return port;
    }
  }
  return 0;
}
