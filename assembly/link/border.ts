/**
 * The link part of the kernel's border: namespaces, devices, bridges, vxlan, FDB, captures, the underlay.
 * Numbers only: handles are addresses of records, times are ns as f64, errors are negative errno. A MAC
 * crosses as two words: its first 16 bits and its last 32. Names cross in scratch as 16 zero-padded bytes.
 */
import { DEV_BRIDGE, DEV_LOOPBACK, DEV_NIC, DEV_VETH, DEV_VXLAN, EEXIST, EINVAL, ENOENT } from "../abi";
import { scratch } from "../memory/scratch";
import { kfree, kmalloc } from "../memory/arena";
import { SKB_HEADROOM, allocSkb, skbPut } from "../memory/skb";
import { now } from "../sim/event";
import { Host, hostCreate } from "../sim/host";
import { bridgeAddPort, bridgeCreate, bridgeMacChanged, bridgeOf, bridgePortGone, bridgePortMtu } from "./bridge";
import { FDB_LOCAL, FDB_PERMANENT, FdbEntry, FdbList, fdbAddRemote, fdbAged, fdbDelRemote, fdbFind, fdbHasRemote, fdbInsert, fdbNoRemote, fdbRemote, fdbRemove, fdbSetRemote } from "./fdb";
import { IFF_HAIRPIN, IFF_MAC_SET, IFF_MTU_SET, IFF_UP, NetDev, devByIndex, devByName, devCreate, devDestroy, devMove, devSetDown, devSetUp, netifRx, softirq } from "./netdev";
import { NetNs, nsCreate, nsDestroy, nsPark, nsUnpark } from "./netns";
import { fabricCreate, fabricLink, fabricLinkSet, fabricPlug, leafLatency } from "./fabric";
import { PORT_DOWN, Port, PortFilter, portAt, portCreate } from "./port";
import { vethCreate, vethHops } from "./veth";
import { vxlanCreate, vxlanOf } from "./vxlan";
import { isMulticast, macOrder } from "../wire/ethernet";

@inline
function mac(high: u32, low: u32): u64 {
  return macOrder((<u64>high << 32) | <u64>low);
}

// ---------------------------------------------------------------------------------------------- hosts, namespaces

/** A new host and its root namespace; the words seed its random stream. */
export function hostNew(index: u32, a: u32, b: u32, c: u32, d: u32): usize {
  const host = hostCreate(index, a, b, c, d);
  host.root = changetype<usize>(nsCreate(host));
  return changetype<usize>(host);
}

/** Root namespace of a host, 0 while it is switched off. */
export function hostRoot(host: usize): usize {
  return changetype<Host>(host).root;
}

/** Makes a namespace the root of a host (0: it has none, it is switched off). */
export function hostSetRoot(host: usize, ns: usize): void {
  changetype<Host>(host).root = ns;
}

/** Address of the DROP_REASONS u64 counters of a host. */
export function hostDrops(host: usize): usize {
  return changetype<Host>(host).drops;
}

/** Packet conservation of a host, into scratch as six u64: made, delivered, dropped, sent, arrived, live. */
export function hostPackets(at: usize): usize {
  const host = changetype<Host>(at);
  const out = scratch();
  store<u64>(out, host.skbMade);
  store<u64>(out, host.skbDone, 8);
  store<u64>(out, host.skbDropped, 16);
  store<u64>(out, host.skbSent, 24);
  store<u64>(out, host.skbArrived, 32);
  store<i64>(out, host.skbLive, 40);
  return out;
}

/** Frames that crossed a veth pair, on all hosts. */
export function vethHopCount(): f64 {
  return <f64>vethHops;
}

/** A namespace with its loopback, which is down. */
export function netnsNew(host: usize): usize {
  return changetype<usize>(nsCreate(changetype<Host>(host)));
}

/** Its number on its host, from 0 (the root). */
export function netnsNumber(ns: usize): u32 {
  return changetype<NetNs>(ns).id;
}

/** Destroys a namespace. NICs must have been moved out before. */
export function netnsDel(ns: usize): void {
  nsDestroy(changetype<NetNs>(ns));
  softirq();
}

/** Parks a namespace: its name's `length` bytes stand at scratch. */
export function netnsPark(ns: usize, length: u32): void {
  nsPark(changetype<NetNs>(ns), scratch(), length);
}

/** Unparks it. */
export function netnsUnpark(ns: usize): void {
  nsUnpark(changetype<NetNs>(ns));
}

/** Writes the name of a namespace to scratch: how many bytes, 0 when it isn't parked. */
export function netnsParkedName(at: usize): u32 {
  const ns = changetype<NetNs>(at);
  if (ns.parkPprev == 0) return 0;
  memory.copy(scratch(), ns.parkName, ns.parkNameLength);
  return ns.parkNameLength;
}

/** The host's namespace that was parked last, 0 if none. */
export function netnsParkedFirst(host: usize): usize {
  return changetype<Host>(host).parked;
}

/** The one parked before it, 0 if none. */
export function netnsParkedNext(ns: usize): usize {
  return changetype<NetNs>(ns).parkNext;
}

/** net.bridge.bridge-nf-call-iptables: 1 = bridged packets pass iptables. */
export function netnsSetBrNf(ns: usize, on: u32): void {
  changetype<NetNs>(ns).brNfCall = on;
}

/** net.bridge.bridge-nf-call-iptables of a namespace. */
export function netnsGetBrNf(ns: usize): u32 {
  return changetype<NetNs>(ns).brNfCall;
}

// ---------------------------------------------------------------------------------------------- links

/** First device of a namespace, and the next of a device: 0 at the end. */
export function linkFirst(ns: usize): usize {
  return changetype<NetNs>(ns).devs;
}

/** The next device of the namespace in order of creation, 0 behind the last. */
export function linkNextOf(dev: usize): usize {
  return changetype<NetDev>(dev).nsNext;
}

/** The device with this ifindex, 0 if none. */
export function linkByIndex(ns: usize, ifindex: u32): usize {
  return devByIndex(changetype<NetNs>(ns), ifindex);
}

/** The device named by the 16 bytes in scratch, 0 if none. */
export function linkByName(ns: usize): usize {
  return devByName(changetype<NetNs>(ns), load<u64>(scratch()), load<u64>(scratch(), 8));
}

/** Names a device by the 16 bytes in scratch: 0, or -EEXIST. */
export function linkSetName(at: usize): i32 {
  const dev = changetype<NetDev>(at);
  const low = load<u64>(scratch());
  const high = load<u64>(scratch(), 8);
  const taken = devByName(changetype<NetNs>(dev.ns), low, high);
  if (taken != 0 && taken != at) return -EEXIST;
  dev.name = low;
  dev.nameHigh = high;
  return 0;
}

/** A veth pair, down and unnamed; returns the first end. */
export function linkNewVeth(ns: usize, peerNs: usize): usize {
  return changetype<usize>(vethCreate(changetype<NetNs>(ns), changetype<NetNs>(peerNs)));
}

/** A bridge, down; an ageing time below 0 means the default of 300 s. */
export function linkNewBridge(ns: usize, ageingNs: f64): usize {
  const dev = bridgeCreate(changetype<NetNs>(ns));
  if (ageingNs >= 0) bridgeOf(dev).ageing = <i64>ageingNs;
  return changetype<usize>(dev);
}

/** A vxlan device; `flags` are VXLAN_* of link/vxlan.ts (1 learn, 2 proxy, 4 l2miss, 8 l3miss, 16 udpcsum). Device or -errno. */
export function linkNewVxlan(ns: usize, vni: u32, port: u32, flags: u32, ttl: u32, tos: u32, ageingNs: f64): i32 {
  return vxlanCreate(changetype<NetNs>(ns), vni, port, flags, ttl, tos, <i64>ageingNs);
}

/** The NIC of a port: the port learns its host and device. */
export function linkNewNic(ns: usize, portId: u32): usize {
  const dev = devCreate(changetype<NetNs>(ns), DEV_NIC, 0);
  const port = portAt(portId);
  port.nic = changetype<usize>(dev);
  port.host = dev.host;
  dev.priv = changetype<usize>(port);
  dev.mac = port.mac;
  return changetype<usize>(dev);
}

/** Deletes a device; of a veth pair both ends. */
export function linkDel(dev: usize): void {
  devDestroy(changetype<NetDev>(dev));
  softirq();
}

/** Sets a device up (1) or down (0). */
export function linkSetUp(dev: usize, up: u32): void {
  if (up) devSetUp(changetype<NetDev>(dev));
  else devSetDown(changetype<NetDev>(dev));
  softirq();
}

/** Sets the MTU: 0, or -EINVAL outside 68…65535 (loopback: 65536). */
export function linkSetMtu(at: usize, mtu: u32): i32 {
  const dev = changetype<NetDev>(at);
  if (mtu < 68 || mtu > 65536) return -EINVAL;
  dev.mtu = mtu;
  if (dev.kind == DEV_BRIDGE) dev.flags |= IFF_MTU_SET;
  if (dev.master != 0) bridgePortMtu(dev);
  return 0;
}

/** Sets the MAC: its high 16 and low 32 bits. A bridge keeps it from then on (NET_ADDR_SET). */
export function linkSetMac(at: usize, high: u32, low: u32): void {
  const dev = changetype<NetDev>(at);
  const old = dev.mac;
  dev.mac = mac(high, low);
  if (dev.kind == DEV_BRIDGE) {
    dev.flags |= IFF_MAC_SET;
    bridgeMacChanged(dev, dev, old);
  } else if (dev.master != 0) bridgeMacChanged(changetype<NetDev>(dev.master), dev, old);
}

/** Enslaves to a bridge (0 releases): 0 or -errno (EXFULL beyond 1023 ports). */
export function linkSetMaster(at: usize, master: usize): i32 {
  const dev = changetype<NetDev>(at);
  if (dev.master != 0) bridgePortGone(dev);
  if (master == 0) return 0;
  return bridgeAddPort(changetype<NetDev>(master), dev);
}

/** Hairpin mode of a bridge port: a frame may leave by the port that it came in by. */
export function linkSetHairpin(at: usize, on: u32): void {
  const dev = changetype<NetDev>(at);
  if (on) dev.flags |= IFF_HAIRPIN;
  else dev.flags &= ~IFF_HAIRPIN;
}

/** Moves a device to another namespace: 0, -EINVAL for what can't leave its own (NETIF_F_NETNS_LOCAL), -EEXIST when its name is taken there. */
export function linkSetNs(at: usize, ns: usize): i32 {
  const dev = changetype<NetDev>(at);
  const to = changetype<NetNs>(ns);
  if (dev.ns == ns) return 0;
  if (dev.kind == DEV_BRIDGE || dev.kind == DEV_LOOPBACK) return -EINVAL;
  if (devByName(to, dev.name, dev.nameHigh) != 0) return -EEXIST;
  devMove(dev, to);
  return 0;
}

/** Sets the capture point (0 = none) and the snapshot length of a device. */
export function linkSetCapture(at: usize, point: u32, snaplen: u32): void {
  const dev = changetype<NetDev>(at);
  dev.capId = point;
  dev.snaplen = snaplen;
}

/**
 * Describes a device in scratch, little-endian:
 *
 *   +0 kind u32 | +4 ifindex u32 | +8 flags u32 | +12 mtu u32 | +16 mac u64 | +24 name 16 |
 *   +40 namespace u32 | +44 master's ifindex u32 | +48 port number u32 |
 *   +52 veth: peer's ifindex, vxlan: 0 u32 | +56 veth: peer's namespace, vxlan: socket's namespace u32 |
 *   +60 carrier u32 | +64 rx packets, bytes, errors, dropped, tx packets, bytes, errors, dropped: eight u64 |
 *   +128 vxlan: vni, port, flags, ttl, tos u32, +152 ageing i64 | bridge: port count u32, +152 ageing i64
 */
export function linkInfo(at: usize): usize {
  const dev = changetype<NetDev>(at);
  const out = scratch();
  memory.fill(out, 0, 160);
  store<u32>(out, dev.kind);
  store<u32>(out, dev.ifindex, 4);
  store<u32>(out, dev.flags, 8);
  store<u32>(out, dev.mtu, 12);
  store<u64>(out, macOrder(dev.mac), 16);
  store<u64>(out, dev.name, 24);
  store<u64>(out, dev.nameHigh, 32);
  store<u32>(out, <u32>dev.ns, 40);
  if (dev.master != 0) store<u32>(out, changetype<NetDev>(dev.master).ifindex, 44);
  store<u32>(out, dev.portNo, 48);
  if (dev.kind == DEV_VETH && dev.priv != 0) {
    store<u32>(out, changetype<NetDev>(dev.priv).ifindex, 52);
    store<u32>(out, <u32>changetype<NetDev>(dev.priv).ns, 56);
  }
  store<u32>(out, <u32>devCarrier(dev), 60);
  store<u64>(out, dev.rxPackets, 64);
  store<u64>(out, dev.rxBytes, 72);
  store<u64>(out, dev.rxErrors, 80);
  store<u64>(out, dev.rxDropped, 88);
  store<u64>(out, dev.txPackets, 96);
  store<u64>(out, dev.txBytes, 104);
  store<u64>(out, dev.txErrors, 112);
  store<u64>(out, dev.txDropped, 120);
  if (dev.kind == DEV_VXLAN) {
    const vx = vxlanOf(dev);
    store<u32>(out, <u32>vx.sockNs, 56);
    store<u32>(out, vx.vni, 128);
    store<u32>(out, vx.port, 132);
    store<u32>(out, vx.flags, 136);
    store<u32>(out, vx.ttl, 140);
    store<u32>(out, vx.tos, 144);
    store<i64>(out, vx.ageing, 152);
  } else if (dev.kind == DEV_BRIDGE) {
    store<u32>(out, bridgeOf(dev).portCount, 128);
    store<i64>(out, bridgeOf(dev).ageing, 152);
  }
  return out;
}

/** LOWER_UP: the device is up and what is behind it is, too. */
function devCarrier(dev: NetDev): bool {
  if (!(dev.flags & IFF_UP)) return false;
  if (dev.kind == DEV_VETH) return dev.priv != 0 && (changetype<NetDev>(dev.priv).flags & IFF_UP) != 0;
  if (dev.kind == DEV_NIC) return dev.priv != 0 && !(changetype<Port>(dev.priv).flags & PORT_DOWN);
  if (dev.kind != DEV_BRIDGE) return true;
  for (let p = bridgeOf(dev).ports; p != 0; p = changetype<NetDev>(p).portNext) if (devCarrier(changetype<NetDev>(p))) return true;
  return false;
}

/** Receives a frame of `length` bytes in scratch on a device, as if it had come from outside (AF_PACKET on a tap). */
export function linkInject(at: usize, length: u32): void {
  const dev = changetype<NetDev>(at);
  const skb = allocSkb(changetype<Host>(dev.host), SKB_HEADROOM, length);
  memory.copy(skbPut(skb, length), scratch(), length);
  netifRx(dev, skb);
  softirq();
}

// ---------------------------------------------------------------------------------------------- FDB

function listOf(dev: NetDev): FdbList {
  return changetype<FdbList>(dev.priv);
}

/**
 * Adds an entry. Of a vxlan device (owner = self): MAC → VTEP, permanent; `mode` 0 exclusive (-EEXIST),
 * 1 replace, 2 append (all-zero and multicast MACs only). Of a bridge port (owner = master): a static entry.
 */
export function fdbAdd(at: usize, high: u32, low: u32, vtep: u32, mode: u32, master: u32): i32 {
  const dev = changetype<NetDev>(at);
  const address = mac(high, low);
  if (master) return fdbAddMaster(dev, address, mode);
  if (dev.kind != DEV_VXLAN) return -EINVAL;
  const found = fdbFind(at, address);
  const group = address == 0 || isMulticast(address);
  if (found != 0) {
    const entry = changetype<FdbEntry>(found);
    if (mode == 0) return -EEXIST;
    if (mode == 2) {
      if (!group) return -EINVAL;
      if (!fdbHasRemote(entry, vtep)) fdbAddRemote(entry, vtep);
      return 0;
    }
    if (group) return -EINVAL;
    fdbSetRemote(entry, vtep);
    entry.flags |= FDB_PERMANENT;
    entry.updated = now;
    return 0;
  }
  if (mode == 2 && !group) return -EINVAL;
  fdbAddRemote(fdbInsert(listOf(dev), at, address, FDB_PERMANENT), vtep);
  return 0;
}

function fdbAddMaster(dev: NetDev, address: u64, mode: u32): i32 {
  if (dev.master == 0) return -EINVAL;
  const found = fdbFind(dev.master, address);
  if (found != 0) {
    if (mode == 0) return -EEXIST;
    changetype<FdbEntry>(found).port = changetype<usize>(dev);
    changetype<FdbEntry>(found).flags |= FDB_PERMANENT;
    return 0;
  }
  fdbInsert(listOf(changetype<NetDev>(dev.master)), dev.master, address, FDB_PERMANENT).port = changetype<usize>(dev);
  return 0;
}

/** Deletes an entry; with a vtep ≠ 0 only that destination of it, and the entry with its last one. 0 or -ENOENT. */
export function fdbDel(at: usize, high: u32, low: u32, vtep: u32, master: u32): i32 {
  const dev = changetype<NetDev>(at);
  const owner = master ? dev.master : at;
  if (owner == 0) return -ENOENT;
  const found = fdbFind(owner, mac(high, low));
  if (found == 0) return -ENOENT;
  const entry = changetype<FdbEntry>(found);
  if (master && entry.port != at) return -ENOENT;
  if (!master && dev.kind != DEV_VXLAN) return -ENOENT;
  if (vtep != 0) {
    const removed = fdbDelRemote(entry, vtep);
    if (!removed) return -ENOENT;
    if (!fdbNoRemote(entry)) return 0;
  }
  fdbRemove(listOf(changetype<NetDev>(owner)), entry);
  return 0;
}

/**
 * Lists the entries of a bridge or vxlan device that haven't aged into scratch, from the `skip`-th on; returns how many. Those
 * that have are left to the next sweep: a look changes nothing. Record, 48 bytes:
 *
 *   +0 mac u64 | +8 flags u32 (FDB_*) | +12 bridge: ifindex of the port u32 | +16 vxlan: VTEP u32 |
 *   +24 updated i64 | +32 used i64
 */
export function fdbDump(at: usize, skip: u32): u32 {
  const dev = changetype<NetDev>(at);
  if (dev.kind != DEV_BRIDGE && dev.kind != DEV_VXLAN) return 0;
  const list = listOf(dev);
  const ageing = dev.kind == DEV_BRIDGE ? bridgeOf(dev).ageing : vxlanOf(dev).ageing;
  // A vxlan device without ageing keeps what it has learned; a bridge without it forgets at once.
  const ages = ageing != 0 || dev.kind == DEV_BRIDGE;
  let out = scratch();
  let count: u32 = 0;
  for (let p = list.head; p != 0 && count < 5000; p = changetype<FdbEntry>(p).devNext) {
    const entry = changetype<FdbEntry>(p);
    if (ages && fdbAged(entry, ageing, dev.kind == DEV_VXLAN)) continue;
    if (skip > 0) {
      skip--;
      continue;
    }
    store<u64>(out, macOrder(entry.mac));
    store<u32>(out, entry.flags & (FDB_LOCAL | FDB_PERMANENT), 8);
    const tunnel = dev.kind == DEV_VXLAN;
    store<u32>(out, entry.place != 0 && !tunnel ? changetype<NetDev>(entry.port).ifindex : 0, 12);
    store<u32>(out, tunnel ? fdbRemote(entry) : 0, 16);
    store<i64>(out, entry.updated, 24);
    store<i64>(out, entry.used, 32);
    out += 48;
    count++;
  }
  return count;
}

// ---------------------------------------------------------------------------------------------- underlay

/** A port of the underlay; every worker makes the same ones in the same order. Returns its id. */
export function portNew(segment: u32, hostIndex: u32, worker: u32, macHigh: u32, macLow: u32, delayNs: f64, rateBps: f64): u32 {
  return portCreate(segment, hostIndex, worker, mac(macHigh, macLow), <i64>delayNs, <u64>rateBps).id;
}

/** Changes a port: loss is a fraction of 2^32, queue in bytes on the wire, group for partitions. */
export function portSet(id: u32, down: u32, delayNs: f64, rateBps: f64, loss: u32, queue: u32, group: u32): void {
  assert(rateBps >= 1, "a port's rate");
  const port = portAt(id);
  port.flags = down ? port.flags | PORT_DOWN : port.flags & ~PORT_DOWN;
  port.delay = <i64>delayNs;
  if (port.leaf != 0) leafLatency(port);
  if (port.rate != <u64>rateBps) {
    port.rate = <u64>rateBps;
    port.txRest = 0;
    port.rxRest = 0;
  }
  port.loss = loss;
  port.queue = queue;
  port.group = group;
}

/** Adds a filter that drops matching frames in both directions; 0 = any. */
export function portFilterAdd(id: u32, ethertype: u32, protocol: u32, transportPort: u32, ip: u32): void {
  const port = portAt(id);
  const filter = changetype<PortFilter>(kmalloc(offsetof<PortFilter>()));
  filter.ethertype = ethertype;
  filter.protocol = protocol;
  filter.port = transportPort;
  filter.ip = ip;
  filter.next = port.filters;
  port.filters = changetype<usize>(filter);
}

/** Removes the filters of a port. */
export function portFilterClear(id: u32): void {
  const port = portAt(id);
  while (port.filters != 0) {
    const next = changetype<PortFilter>(port.filters).next;
    kfree(port.filters, offsetof<PortFilter>());
    port.filters = next;
  }
}

/**
 * Makes a segment, before its ports, one of leaves and spines; the seed is of the hash that picks spines, the other
 * values of each link between a leaf and a spine: delay in ns, bits a second, bytes on the wire that may wait.
 */
export function fabricNew(segment: u32, seed: u32, spines: u32, delayNs: f64, rateBps: f64, queue: u32): void {
  fabricCreate(segment, seed, spines, <i64>delayNs, <u64>rateBps, queue);
}

/** Plugs a new port into a leaf of its segment; `ip` is its host's address, 0 = none. */
export function portPlug(id: u32, leaf: u32, ip: u32): void {
  fabricPlug(portAt(id), leaf, ip);
}

/** Changes a link between a leaf and a spine, in both directions: loss is a fraction of 2^32. */
export function fabricLinkChange(segment: u32, leaf: u32, spine: u32, down: u32, delayNs: f64, loss: u32): void {
  fabricLinkSet(segment, leaf, spine, down != 0, <i64>delayNs, loss);
}

/** Counters of a direction of such a link (0 up to the spine, 1 down), into scratch as four u64: frames, bytes on the wire, drops, most bytes that waited. */
export function fabricLinkCounters(segment: u32, leaf: u32, spine: u32, way: u32): usize {
  const link = fabricLink(segment, leaf, spine, way);
  const out = scratch();
  store<u64>(out, link.frames);
  store<u64>(out, link.bytes, 8);
  store<u64>(out, link.drops, 16);
  store<u64>(out, <u64>link.peak, 24);
  return out;
}
