/**
 * Ports of the underlay: where NICs plug into the Ethernet segments, and the switches' table of MAC addresses. A port exists
 * in every worker, under the same id; its NIC only in the worker of its host.
 */
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew } from "../memory/hashtable";

/** pfifo's default: 1000 packets of full size (txqueuelen). Kept in bytes on the wire. */
const DEFAULT_QUEUE: u32 = 1000 * 1538;

/** Port.flags: its cable is out. */
export const PORT_DOWN: u32 = 1;

/** Where a NIC plugs into a segment. */
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
  leaf: usize; // Leaf (fabric.ts), 0 on a flat segment
  leafNext: usize; // next port of the leaf, by id
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

/** One segment and its ports: who hears a broadcast. */
@unmanaged
export class Segment {
  hnext: u32;
  hhash: u32;
  first: usize; // Port
  last: usize;
  fabric: usize; // Fabric (fabric.ts), 0 = one ideal switch
}

const MAX_PORTS: u32 = 1 << 17;
let ports: usize = 0; // array of Port pointers by id
let portCount: u32 = 0;
/** The worker that this kernel runs in. */
export let ownWorker: u32 = 0;
let segments: HashTable = changetype<HashTable>(0);

/**
 * MAC → port on a segment, open addressing: key u64 (segment << 48 | mac), port id; and the IPv4 addresses that leaves
 * know, in the same table: key u64 (ADDRESS | segment << 48 | address), port id.
 */
const ADDRESS: u64 = 1 << 63;
let macs: usize = 0;
let macMask: u32 = 0;
let macCount: u32 = 0;

/** Says which worker this is, at boot. */
export function setWorker(index: u32): void {
  ownWorker = index;
}

/** The port of an id. */
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

/** The segment of a number, made when it is new. */
export function segmentOf(number: u32): Segment {
  assert(number < 0x8000, "a segment's number");
  if (changetype<usize>(segments) == 0) segments = tableNew(4);
  let found: usize = 0;
  for (let p = tableFirst(segments, number); p != 0 && found == 0; p = linkNext(p)) if (linkHash(p) == number) found = p;
  if (found == 0) {
    found = kmalloc(offsetof<Segment>());
    tableInsert(segments, found, number);
  }
  return changetype<Segment>(found);
}

function joinSegment(port: Port): void {
  const segment = segmentOf(port.segment);
  if (segment.last == 0) segment.first = changetype<usize>(port);
  else changetype<Port>(segment.last).segmentNext = changetype<usize>(port);
  segment.last = changetype<usize>(port);
  port.segmentAt = changetype<usize>(segment);
}

@inline
function macKey(segment: u32, mac: u64): u64 {
  return (<u64>segment << 48) | mac;
}

@inline
function macHash(key: u64): u32 {
  // The address's last bytes lowest, see fdb.ts.
  return <u32>((rotr<u64>(key, 32) * 0x61c8864680b583eb) >> 32);
}

@inline
function addressKey(segment: u32, address: u32): u64 {
  return ADDRESS | (<u64>segment << 48) | <u64>address;
}

function macInsert(port: Port): void {
  tableAdd(macKey(port.segment, port.mac), port.id);
}

/** The leaves of a port's segment learn its host's address. */
export function addressInsert(port: Port, address: u32): void {
  tableAdd(addressKey(port.segment, address), port.id);
}

function tableAdd(key: u64, id: u32): void {
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
  macPut(key, id);
}

function macPut(key: u64, id: u32): void {
  let at = macHash(key) & macMask;
  while (load<u64>(macs + (<usize>at << 4)) != 0) at = (at + 1) & macMask;
  store<u64>(macs + (<usize>at << 4), key);
  store<u32>(macs + (<usize>at << 4), id, 8);
}

/** The port of a MAC on a segment, 0 if none. */
export function macFind(segment: u32, mac: u64): usize {
  return find(macKey(segment, mac));
}

/** The port by which leaves know an address on a segment, 0 if none. */
export function addressFind(segment: u32, address: u32): usize {
  return find(addressKey(segment, address));
}

@inline
function find(key: u64): usize {
  let at = macHash(key) & macMask;
  for (;;) {
    const found = load<u64>(macs + (<usize>at << 4));
    if (found == 0) return 0;
    if (found == key) return changetype<usize>(portAt(load<u32>(macs + (<usize>at << 4), 8)));
    at = (at + 1) & macMask;
  }
  return 0;
}
