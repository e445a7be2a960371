/**
 * The underlay: Ethernet segments and the NICs on them. A segment is one ideal switch whose MAC table is
 * known; each NIC's port has a rate, a delay, a queue limit, a loss probability, filters and a cut.
 *
 * A frame's way: the sender's queue serialises it (start = max(now, busy), tail drop when the backlog
 * exceeds the limit), then it travels for the larger of the two ports' delays. The switch cuts through: the
 * receiver's port adds time only when another frame is being received (kernel facts 10, "equivalent clean
 * model"). Everything the sender decides needs only the ports' settings, which every worker knows; everything
 * at the receiver is done by the receiver's worker. So hosts can be in different workers, and the smallest
 * delay between them bounds how far a worker may run ahead.
 *
 * A port exists in every worker, under the same id; its NIC only in the worker of its host.
 */
import { DROP_FULL_RING, DROP_PKT_TOO_BIG, DROP_WIRE_DOWN, DROP_WIRE_FILTER, DROP_WIRE_LOSS, DROP_WIRE_NO_PORT, DROP_WIRE_PARTITION, DROP_DEV_DOWN, OUT_ARRIVAL, OUT_DATA, OUT_FLAGS, OUT_LEN, OUT_PORT, OUT_RECORD, OUT_SKB, OUT_TIE } from "../abi";
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew } from "../memory/hashtable";
import { scratch } from "../memory/scratch";
import { SKB_CSUM_OK, Skb, allocArrived, copySkb, dropRoute, dropSkb, orphanSkb, releaseSent, resetCt, transferSkb } from "../memory/skb";
import { EV_FRAME, ORDER_PACKET, nextTie, now, schedule } from "../sim/event";
import { Host, rand32 } from "../sim/host";
import { ETH_HLEN, ETH_P_IP, ethDst, ethType, isMulticast } from "../wire/ethernet";
import { SOCK_TCP, Sock } from "../socket/socket";
import { capture } from "./capture";
import { NetDev, forwardable, netifReceive } from "./netdev";
import { TxCharges, chargeHold, chargesFree, chargesNew } from "./tx-charge";

/** Frame check sequence 4, preamble 8, inter-frame gap 12. */
const WIRE_EXTRA: u32 = 24;
const MIN_FRAME: u32 = 60;
/** pfifo's default: 1000 packets of full size (txqueuelen). Kept in bytes on the wire. */
const DEFAULT_QUEUE: u32 = 1000 * 1538;

// Port.flags
export const PORT_DOWN: u32 = 1;

@unmanaged
export class Port {
  id: u32;
  segment: u32;
  mac: u64;
  worker: u32;
  hostIndex: u32;
  host: usize; // Host, 0 when it is another worker's
  nic: usize; // NetDev, 0 when unplugged or another worker's
  flags: u32;
  loss: u32; // probability as a fraction of 2^32
  rate: u64; // bits a second
  delay: i64; // ns
  queue: u32; // bytes on the wire that may wait
  group: u32; // partition: ports talk within their group only
  filters: usize; // first PortFilter
  charges: usize; // TxCharges of its NIC, 0 = no connection has sent yet
  segmentAt: usize; // Segment
  segmentNext: usize; // next port of the segment, by id
  // Until when the port sends and receives: ns, and the rest as a fraction of `rate`, so that no rounding adds up.
  txBusy: i64;
  txRest: u64;
  rxBusy: i64;
  rxRest: u64;
  sent: u64;
  received: u64;
}

/** What a fault firewall on the wire of a host drops, in both directions. */
@unmanaged
export class PortFilter {
  next: usize;
  protocol: u32; // IP protocol, 0 = any
  port: u32; // TCP/UDP source or destination, 0 = any
  ip: u32; // source or destination, 0 = any
  ethertype: u32; // 0 = any
}

/** The ports of one segment: who hears a broadcast. */
@unmanaged
export class Segment {
  hnext: u32;
  hhash: u32;
  first: usize; // Port
  last: usize;
}

const MAX_PORTS: u32 = 1 << 17;
let ports: usize = 0; // array of Port pointers by id
let portCount: u32 = 0;
let ownWorker: u32 = 0;
let segments: HashTable = changetype<HashTable>(0);

/** MAC → port on a segment, open addressing: key u64 (segment << 48 | mac), port id. */
let macs: usize = 0;
let macMask: u32 = 0;
let macCount: u32 = 0;

export function setWorker(index: u32): void {
  ownWorker = index;
}

@inline
export function portAt(id: u32): Port {
  return changetype<Port>(<usize>load<u32>(ports + (<usize>id << 2)));
}

/** Makes a port; ids count from 0 in every worker alike. */
export function portCreate(segment: u32, hostIndex: u32, worker: u32, mac: u64, delay: i64, rate: u64): Port {
  if (ports == 0) ports = kmalloc(<usize>MAX_PORTS << 2);
  assert(portCount < MAX_PORTS, "too many ports");
  assert(rate != 0, "a port's rate");
  const port = changetype<Port>(kmalloc(offsetof<Port>()));
  port.id = portCount++;
  port.segment = segment;
  port.hostIndex = hostIndex;
  port.worker = worker;
  port.mac = mac;
  port.delay = delay;
  port.rate = rate;
  port.queue = DEFAULT_QUEUE;
  store<u32>(ports + (<usize>port.id << 2), <u32>changetype<usize>(port));
  macInsert(port);
  joinSegment(port);
  return port;
}

function joinSegment(port: Port): void {
  if (changetype<usize>(segments) == 0) segments = tableNew(4);
  let found: usize = 0;
  for (let p = tableFirst(segments, port.segment); p != 0 && found == 0; p = linkNext(p)) if (linkHash(p) == port.segment) found = p;
  if (found == 0) {
    found = kmalloc(offsetof<Segment>());
    tableInsert(segments, found, port.segment);
  }
  const segment = changetype<Segment>(found);
  if (segment.last == 0) segment.first = changetype<usize>(port);
  else changetype<Port>(segment.last).segmentNext = changetype<usize>(port);
  segment.last = changetype<usize>(port);
  port.segmentAt = found;
}

@inline
function macKey(segment: u32, mac: u64): u64 {
  return (<u64>segment << 48) | mac;
}

@inline
function macHash(key: u64): u32 {
  return <u32>((key * 0x61c8864680b583eb) >> 32);
}

function macInsert(port: Port): void {
  if ((macCount + 1) * 2 > macMask) {
    const old = macs;
    const oldMask = macMask;
    macMask = macMask == 0 ? 63 : macMask * 2 + 1;
    macs = kmalloc((<usize>macMask + 1) << 4);
    if (old != 0) {
      for (let i: usize = 0; i <= <usize>oldMask; i++) {
        const key = load<u64>(old + (i << 4));
        if (key != 0) macPut(key, load<u32>(old + (i << 4), 8));
      }
      kfree(old, (<usize>oldMask + 1) << 4);
    }
  }
  macCount++;
  macPut(macKey(port.segment, port.mac), port.id);
}

function macPut(key: u64, id: u32): void {
  let at = macHash(key) & macMask;
  while (load<u64>(macs + (<usize>at << 4)) != 0) at = (at + 1) & macMask;
  store<u64>(macs + (<usize>at << 4), key);
  store<u32>(macs + (<usize>at << 4), id, 8);
}

/** The port of a MAC on a segment, 0 if none. */
function macFind(segment: u32, mac: u64): usize {
  const key = macKey(segment, mac);
  let at = macHash(key) & macMask;
  for (;;) {
    const found = load<u64>(macs + (<usize>at << 4));
    if (found == 0) return 0;
    if (found == key) return changetype<usize>(portAt(load<u32>(macs + (<usize>at << 4), 8)));
    at = (at + 1) & macMask;
  }
  return 0;
}

/** A NIC is destroyed (its host crashed): the port stays, unplugged. */
export function nicDestroy(dev: NetDev): void {
  if (dev.priv == 0) return;
  const port = changetype<Port>(dev.priv);
  if (port.charges != 0) chargesFree(changetype<TxCharges>(port.charges));
  port.charges = 0;
  port.nic = 0;
  dev.priv = 0;
}

@inline
export function wireSize(len: u32): u32 {
  return (len < MIN_FRAME ? MIN_FRAME : len) + WIRE_EXTRA;
}

/** A NIC sends a frame: queue, wire, and delivery at the far ports. */
export function nicXmit(dev: NetDev, skb: Skb): void {
  const port = changetype<Port>(dev.priv);
  if (dev.priv == 0) {
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  if (!forwardable(dev, skb.len)) {
    dev.txDropped++;
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return;
  }
  const start = port.txBusy > now ? port.txBusy : now;
  const size = wireSize(skb.len);
  // Backlog in bytes: what the port still has to send at its rate.
  if (start > now) {
    const waiting = <f64>(start - now) * <f64>port.rate / 8e9;
    if (waiting + <f64>size > <f64>port.queue) {
      dev.txDropped++;
      dropSkb(skb, DROP_FULL_RING);
      return;
    }
  }
  if (dev.capId != 0) capture(dev, skb, 2);
  dev.txPackets++;
  dev.txBytes += skb.len;
  const departure = serialise(port, start, size);
  port.sent++;
  if (skb.sk != 0) uncharge(port, skb);
  if (skb.ct != 0) resetCt(skb);
  dropRoute(skb);
  skb.mark = 0;
  skb.priority = 0;
  skb.fragMax = 0;
  skb.flags &= SKB_CSUM_OK;
  if (port.flags & PORT_DOWN) {
    dropSkb(skb, DROP_WIRE_DOWN);
    return;
  }
  const dst = ethDst(skb.data);
  if (isMulticast(dst)) {
    broadcast(port, skb, departure);
    return;
  }
  const found = macFind(port.segment, dst);
  if (found == 0 || found == changetype<usize>(port)) dropSkb(skb, DROP_WIRE_NO_PORT);
  else send(port, changetype<Port>(found), skb, departure);
}

/** Whom the frame was charged to: a connection until it has left, other sockets no longer. */
function uncharge(port: Port, skb: Skb): void {
  if (changetype<Sock>(skb.sk).type != SOCK_TCP || port.txBusy <= now) {
    orphanSkb(skb);
    return;
  }
  if (port.charges == 0) port.charges = changetype<usize>(chargesNew(changetype<Host>(port.host)));
  chargeHold(changetype<TxCharges>(port.charges), skb, port.txBusy);
}

/** The port sends `size` bytes from `start` on: returns the ns in which the last bit leaves. */
@inline
function serialise(port: Port, start: i64, size: u32): i64 {
  const rate = port.rate;
  const bits = <u64>size * 8_000_000_000 + (port.txBusy == start ? port.txRest : 0);
  const whole = bits / rate;
  const rest = bits - whole * rate;
  port.txBusy = start + <i64>whole;
  port.txRest = rest;
  return port.txBusy + <i64>(rest != 0);
}

function broadcast(from: Port, skb: Skb, departure: i64): void {
  let last: usize = 0;
  for (let p = changetype<Segment>(from.segmentAt).first; p != 0; p = changetype<Port>(p).segmentNext) {
    if (p == changetype<usize>(from)) continue;
    if (last != 0) {
      const copy = copySkb(skb);
      send(from, changetype<Port>(last), copy, departure);
    }
    last = p;
  }
  if (last != 0) send(from, changetype<Port>(last), skb, departure);
  else dropSkb(skb, DROP_WIRE_NO_PORT);
}

/** Puts a frame on its way to one port: faults, delay, order, and the other worker's outbox where needed. */
function send(from: Port, to: Port, skb: Skb, departure: i64): void {
  const host = changetype<Host>(skb.host);
  if (from.group != to.group) {
    dropSkb(skb, DROP_WIRE_PARTITION);
    return;
  }
  if ((from.filters != 0 && filtered(from, skb)) || (to.filters != 0 && filtered(to, skb))) {
    dropSkb(skb, DROP_WIRE_FILTER);
    return;
  }
  const loss = from.loss > to.loss ? from.loss : to.loss;
  if (loss != 0 && rand32(host) < loss) {
    dropSkb(skb, DROP_WIRE_LOSS);
    return;
  }
  const arrival = departure + (from.delay > to.delay ? from.delay : to.delay);
  const tie = nextTie(host, ORDER_PACKET);
  // On the wire it belongs to no device: the sender's may be gone before it arrives.
  skb.dev = 0;
  skb.inPort = 0;
  if (to.worker == ownWorker) {
    skb.cb0 = to.id;
    skb.cb1 = 0;
    skb.evKind = EV_FRAME;
    schedule(changetype<usize>(skb), arrival, tie);
  } else outboxPut(to, skb, arrival, tie);
}

/** True when a fault filter of the port drops the frame. */
function filtered(port: Port, skb: Skb): bool {
  const type = ethType(skb.data);
  const isIp = type == ETH_P_IP && skb.len >= ETH_HLEN + 20;
  const ip = skb.data + ETH_HLEN;
  for (let p = port.filters; p != 0; p = changetype<PortFilter>(p).next) {
    const filter = changetype<PortFilter>(p);
    if (filter.ethertype != 0 && filter.ethertype != type) continue;
    if (filter.protocol != 0 || filter.port != 0 || filter.ip != 0) {
      if (!isIp) continue;
      const protocol = <u32>load<u8>(ip, 9);
      if (filter.protocol != 0 && filter.protocol != protocol) continue;
      if (filter.ip != 0 && filter.ip != bswap<u32>(load<u32>(ip, 12)) && filter.ip != bswap<u32>(load<u32>(ip, 16))) continue;
      if (filter.port != 0 && !hasPort(ip, skb.len - ETH_HLEN, protocol, filter.port)) continue;
    }
    return true;
  }
  return false;
}

function hasPort(ip: usize, len: u32, protocol: u32, port: u32): bool {
  if (protocol != 6 && protocol != 17) return false;
  if (bswap<u16>(load<u16>(ip, 6)) & 0x1fff) return false; // later fragments carry no ports
  const header = <u32>(load<u8>(ip) & 15) << 2;
  if (header < 20 || len < header + 4) return false;
  return <u32>bswap<u16>(load<u16>(ip + header)) == port || <u32>bswap<u16>(load<u16>(ip + header, 2)) == port;
}

/** A frame has arrived at its port (EV_FRAME): queues behind what is being received, then goes up. */
export function frameArrived(skb: Skb): void {
  const port = portAt(skb.cb0);
  const nic = port.nic;
  if (port.host == 0) {
    releaseSent(skb); // nobody has plugged in there yet: lost, as wireImport loses it
    return;
  }
  skb.dev = nic;
  if (skb.host != port.host) transferSkb(skb, changetype<Host>(port.host));
  if (skb.cb1 == 0 && received(port, skb)) return;
  if (port.flags & PORT_DOWN) {
    dropSkb(skb, DROP_WIRE_DOWN);
    return;
  }
  if (nic == 0) {
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  const dev = changetype<NetDev>(nic);
  port.received++;
  netifReceive(dev, skb);
}

/**
 * A frame's last bit is here: it began one serialisation ago, or when the one before it ended. True when it
 * must wait for the latter (or found no room). Arrivals are rounded up to ns, so less than one ns is not late.
 */
@inline
function received(port: Port, skb: Skb): bool {
  const rate = port.rate;
  const bits = <u64>wireSize(skb.len) * 8_000_000_000 + port.rxRest;
  const whole = bits / rate;
  const end = port.rxBusy + <i64>whole;
  if (end < now) {
    port.rxBusy = now;
    port.rxRest = 0;
    return false;
  }
  if (end > now) {
    const waiting = <f64>(end - now) * <f64>rate / 8e9;
    if (waiting > <f64>port.queue) {
      dropSkb(skb, DROP_FULL_RING);
      return true;
    }
  }
  port.rxBusy = end;
  port.rxRest = bits - whole * rate;
  if (end == now) return false;
  skb.cb1 = 1;
  schedule(changetype<usize>(skb), end + <i64>(port.rxRest != 0), nextTie(changetype<Host>(port.host), ORDER_PACKET));
  return true;
}

// ---------------------------------------------------------------------------------------------- other workers

/** One outbox per destination worker and parity; the record layout is OUT_* in abi.ts. */
@unmanaged
class Outbox {
  records: usize;
  count: u32;
  capacity: u32;
}

const MAX_WORKERS: u32 = 64;
/** One more than the highest worker that was ever sent to. */
let workersSeen: u32 = 0;
/** Outbox [parity][worker]. */
const outboxes: usize = memory.data(2 * 64 * 12, 16);
let parity: u32 = 0;

@inline
function outbox(which: u32, worker: u32): Outbox {
  return changetype<Outbox>(outboxes + <usize>(which * MAX_WORKERS + worker) * offsetof<Outbox>());
}

function outboxPut(to: Port, skb: Skb, arrival: i64, tie: u64): void {
  assert(to.worker < MAX_WORKERS, "worker index");
  if (to.worker >= workersSeen) workersSeen = to.worker + 1;
  const box = outbox(parity, to.worker);
  if (box.count == box.capacity) {
    const capacity = box.capacity == 0 ? 1024 : box.capacity * 2;
    const block = kmallocRaw(<usize>capacity * OUT_RECORD);
    if (box.capacity != 0) {
      memory.copy(block, box.records, <usize>box.count * OUT_RECORD);
      kfree(box.records, <usize>box.capacity * OUT_RECORD);
    }
    box.records = block;
    box.capacity = capacity;
  }
  const at = box.records + <usize>box.count * OUT_RECORD;
  box.count++;
  store<i64>(at, arrival, OUT_ARRIVAL);
  store<u64>(at, tie, OUT_TIE);
  store<u32>(at, <u32>skb.data, OUT_DATA);
  store<u32>(at, skb.len, OUT_LEN);
  store<u32>(at, to.id, OUT_PORT);
  store<u32>(at, skb.flags & SKB_CSUM_OK, OUT_FLAGS);
  store<u32>(at, <u32>changetype<usize>(skb), OUT_SKB);
}

/** Records for a worker in the outbox that was closed last. */
export function outboxRecords(worker: u32): usize {
  return outbox(parity ^ 1, worker).records;
}

export function outboxCount(worker: u32): u32 {
  return outbox(parity ^ 1, worker).count;
}

/**
 * At a barrier: closes the current outbox for reading and reopens the other one, whose frames every
 * receiver has copied by now; those buffers are freed.
 */
export function outboxFlip(): void {
  parity ^= 1;
  for (let worker: u32 = 0; worker < workersSeen; worker++) {
    const box = outbox(parity, worker);
    for (let i: u32 = 0; i < box.count; i++) {
      releaseSent(changetype<Skb>(<usize>load<u32>(box.records + <usize>i * OUT_RECORD, OUT_SKB)));
    }
    box.count = 0;
  }
}

/**
 * A frame from another worker: makes a buffer for it, queued for its arrival, and returns where its `len`
 * bytes go. The caller copies them in before it runs the kernel again.
 */
export function wireImport(portId: u32, arrival: i64, tie: u64, len: u32, flags: u32): usize {
  const port = portAt(portId);
  assert(port.worker == ownWorker, "frame for another worker");
  if (port.host == 0) return scratch(); // nobody has plugged in there yet: the frame is lost
  const skb = allocArrived(changetype<Host>(port.host), len);
  skb.flags = flags;
  skb.cb0 = portId;
  skb.evKind = EV_FRAME;
  schedule(changetype<usize>(skb), arrival, tie);
  return skb.data;
}
