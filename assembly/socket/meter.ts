/**
 * What a host measures of generated datagrams: every datagram of a measured flow says in its payload which one it is and when
 * it was sent, and a measuring sink reads that (as OWAMP's test packets, RFC 4656 §4.1.2, and iperf's do).
 *
 *   header, 24 bytes, little-endian:
 *     +0 magic u32 | +4 flow u32 | +8 number u32 | +12 group u32 | +16 time of day when it was sent, ns i64
 *
 * A sink answers the first datagram of a flow with METER_ANSWER bytes, as iperf3's server does: bridges on the way learn where
 * it is, and don't flood what follows to every container.
 *
 * A flow's receiver counts by (flow, sink), since a service's datagrams may come to any of its tasks; delays are counted by
 * group, of which there are METER_GROUPS. A datagram is reordered when one with a higher number was there before (RFC 4737
 * §3.3), a duplicate when it was there itself among the 64 numbers up to the highest.
 */
import { METER_ERRORS, METER_GROUPS, METER_HEADER } from "../abi";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkNext, tableFirst, tableFree, tableInsert, tableNew } from "../memory/hashtable";
import { clock } from "../sim/event";
import { Host } from "../sim/host";
import { Histogram, histAdd, histFree, histNew } from "./histogram";

/** Bytes of payload with which a sink answers a flow's first datagram. */
export const METER_ANSWER: u32 = 4;
/** What a measured datagram, and a request, begins with: "WSWM". */
export const METER_MAGIC: u32 = 0x4d575357;
/** Pairs of flow and sink that are told apart; the numbers come from outside. */
const MOST_SEEN: u32 = 1 << 20;

/** What came of a flow to a sink. */
@unmanaged
export class FlowSeen {
  // Link of the meter's table stands first.
  hnext: u32;
  hhash: u32;
  flow: u32;
  tag: u32; // of the sink
  next: usize; // in order of their first datagram
  count: u64;
  bytes: u64;
  highest: u32; // number
  reordered: u32;
  duplicates: u32;
  window: u64; // bit n: number `highest` - n was there
}

/** What a flow's generator sent, and which answers it had. It outlives the generator's socket. */
@unmanaged
export class FlowSent {
  next: usize;
  flow: u32;
  sent: u64;
  failed: u64;
  received: u64;
  bytes: u64;
}

/** One host's measurements. It lives as long as its owner or a socket that uses it. */
@unmanaged
export class Meter {
  host: usize;
  users: u32;
  seenCount: u32;
  seen: usize; // HashTable of FlowSeen
  firstSeen: usize;
  lastSeen: usize;
  firstSent: usize;
  lastSent: usize;
  /** Datagrams to its sinks without a header, or of more flows than it can tell apart. */
  strays: u64;
  /** Why requests failed: ERRORS u64 by errno, 0 while none did. */
  failures: usize;
}

/** Numbers of errors are below it. */
const ERRORS: u32 = METER_ERRORS;

const SIZE: usize = offsetof<Meter>() + METER_GROUPS * 4;

@inline
function groupAt(meter: Meter, group: u32): usize {
  return changetype<usize>(meter) + offsetof<Meter>() + (<usize>group << 2);
}

/** A meter with nothing measured, in use by its maker. */
export function meterMake(host: Host): Meter {
  const meter = changetype<Meter>(kmalloc(SIZE));
  meter.host = changetype<usize>(host);
  meter.users = 1;
  meter.seen = changetype<usize>(tableNew(4));
  return meter;
}

/** A user gives it up; the last one frees it. */
export function meterPut(meter: Meter): void {
  if (--meter.users != 0) return;
  for (let p = meter.firstSeen; p != 0; ) {
    const next = changetype<FlowSeen>(p).next;
    kfree(p, offsetof<FlowSeen>());
    p = next;
  }
  for (let p = meter.firstSent; p != 0; ) {
    const next = changetype<FlowSent>(p).next;
    kfree(p, offsetof<FlowSent>());
    p = next;
  }
  for (let group: u32 = 0; group < <u32>METER_GROUPS; group++) {
    const hist = meterDelaysOf(meter, group);
    if (hist != 0) histFree(changetype<Histogram>(hist));
  }
  if (meter.failures != 0) kfree(meter.failures, ERRORS * 8);
  tableFree(changetype<HashTable>(meter.seen));
  kfree(changetype<usize>(meter), SIZE);
}

/** A record for a flow that is about to be sent. */
export function sentNew(meter: Meter, flow: u32): FlowSent {
  const sent = changetype<FlowSent>(kmalloc(offsetof<FlowSent>()));
  sent.flow = flow;
  if (meter.lastSent == 0) meter.firstSent = changetype<usize>(sent);
  else changetype<FlowSent>(meter.lastSent).next = changetype<usize>(sent);
  meter.lastSent = changetype<usize>(sent);
  return sent;
}

/** The histogram of a group, 0 while it has no delay. */
export function meterDelaysOf(meter: Meter, group: u32): usize {
  return <usize>load<u32>(groupAt(meter, group));
}

/** Writes a datagram's header: METER_HEADER bytes. */
@inline
export function meterStamp(at: usize, flow: u32, number: u32, group: u32): void {
  store<u32>(at, METER_MAGIC);
  store<u32>(at, flow, 4);
  store<u32>(at, number, 8);
  store<u32>(at, group, 12);
  store<i64>(at, clock(), 16);
}

/** Counts why a request failed: a positive errno. */
export function meterFailure(meter: Meter, error: u32): void {
  if (meter.failures == 0) meter.failures = kmalloc(ERRORS * 8);
  const at = meter.failures + (<usize>(error < ERRORS ? error : <u32>0) << 3);
  store<u64>(at, load<u64>(at) + 1);
}

/** Counts a delay of a group, ns. */
export function meterDelay(meter: Meter, group: u32, delay: u64): void {
  let hist = meterDelaysOf(meter, group);
  if (hist == 0) {
    hist = changetype<usize>(histNew());
    store<u32>(groupAt(meter, group), <u32>hist);
  }
  histAdd(changetype<Histogram>(hist), delay);
}

/** Counts a connection of a flow to a server. */
export function meterConnection(meter: Meter, flow: u32, tag: u32): void {
  const seen = seenOf(meter, flow, tag);
  if (seen != 0) changetype<FlowSeen>(seen).count++;
}

function seenOf(meter: Meter, flow: u32, tag: u32): usize {
  const table = changetype<HashTable>(meter.seen);
  const hash = flow * 0x9e3779b1 ^ tag * 0x85ebca6b;
  const mixed = hash ^ (hash >> 15);
  for (let p = tableFirst(table, mixed); p != 0; p = linkNext(p)) {
    const seen = changetype<FlowSeen>(p);
    if (seen.flow == flow && seen.tag == tag) return p;
  }
  if (meter.seenCount == MOST_SEEN) return 0;
  meter.seenCount++;
  const seen = changetype<FlowSeen>(kmalloc(offsetof<FlowSeen>()));
  seen.flow = flow;
  seen.tag = tag;
  tableInsert(table, changetype<usize>(seen), mixed);
  if (meter.lastSeen == 0) meter.firstSeen = changetype<usize>(seen);
  else changetype<FlowSeen>(meter.lastSeen).next = changetype<usize>(seen);
  meter.lastSeen = changetype<usize>(seen);
  return changetype<usize>(seen);
}

/** A datagram of `length` bytes at `data` came to the sink `tag`. @returns whether it is its flow's first one there */
export function meterReceive(meter: Meter, tag: u32, data: usize, length: u32): bool {
  if (length < <u32>METER_HEADER || load<u32>(data) != METER_MAGIC) {
    meter.strays++;
    return false;
  }
  const at = seenOf(meter, load<u32>(data, 4), tag);
  if (at == 0) {
    meter.strays++;
    return false;
  }
  count(changetype<FlowSeen>(at), load<u32>(data, 8), length);
  const group = load<u32>(data, 12) & (METER_GROUPS - 1);
  const delay = clock() - load<i64>(data, 16);
  meterDelay(meter, group, delay > 0 ? <u64>delay : 0);
  return changetype<FlowSeen>(at).count == 1;
}

@inline
function count(seen: FlowSeen, number: u32, length: u32): void {
  const first = seen.count++ == 0;
  seen.bytes += length;
  const ahead = number - seen.highest;
  if (first || <i32>ahead > 0) {
    seen.window = first || ahead > 63 ? 1 : (seen.window << <u64>ahead) | 1;
    seen.highest = number;
    return;
  }
  const behind = seen.highest - number;
  const bit: u64 = behind < 64 ? <u64>1 << <u64>behind : 0;
  if (seen.window & bit) seen.duplicates++;
  else seen.reordered++;
  seen.window |= bit;
}
