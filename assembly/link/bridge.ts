/**
 * The bridge (net/bridge): learning, ageing, flooding, up to 1023 ports, no STP (Docker's setting: a port
 * that comes up forwards at once). Netfilter sees bridged IPv4 frames where bridge-nf-call-iptables is on.
 */
import { DEV_BRIDGE, DEV_LOOPBACK, DROP_BRIDGE_INVALID_SOURCE, DROP_BRIDGE_LINK_LOCAL, DROP_BRIDGE_NO_PORT, DROP_DEV_DOWN, DROP_PKT_TOO_BIG, EBUSY, EINVAL, EXFULL, NF_ACCEPT, FDB_CHOICE_FLOOD, FDB_CHOICE_LOCAL, FDB_CHOICE_PORT } from "../abi";
import { kfree, kmalloc } from "../memory/arena";
import { PACKET_HOST, Skb, consumeSkb, copySkb, dropSkb, orphanSkb } from "../memory/skb";
import { brNfForward, brNfPostRouting, brNfPreRouting } from "../netfilter/nf-bridge";
import { now } from "../sim/event";
import { rand64 } from "../sim/host";
import { ETH_HLEN, ETH_P_IP, ethDst, ethSrc, ethType, isMulticast, isValidUnicast, macOrder } from "../wire/ethernet";
import { capture } from "./capture";
import { markFdb, marking } from "./marks";
import { FDB_LOCAL, FDB_PERMANENT, FdbEntry, FdbList, fdbClear, fdbFind, fdbInsert, fdbRemove, fdbSweep } from "./fdb";
import { IFF_HAIRPIN, IFF_MAC_SET, IFF_MTU_SET, IFF_UP, NetDev, devCreate, devXmit, forwardable, protocolReceive } from "./netdev";
import { NetNs, nsHost } from "./netns";

/** BR_PORT_BITS 10: numbers 1 … 1023, 0 is reserved (net/bridge/br_private.h). */
const BR_MAX_PORTS: u32 = 1024;
/** 01:80:c2:00:00:00, the first of sixteen (IEEE 802.1D), and 01:80:c2:00:00:01, of pause frames. */
const LINK_LOCAL: u64 = 0x0000_00c2_8001;
const PAUSE: u64 = 0x0100_00c2_8001;
const DEFAULT_AGEING: i64 = 300_000_000_000;
/** Sweep aged entries at most this often. */
const SWEEP_INTERVAL: i64 = 10_000_000_000;

@unmanaged
class BridgeDev extends FdbList {
  ports: usize; // first port (NetDev.portNext), newest first
  portCount: u32;
  ageing: i64;
  lastSweep: i64;
  /** Bit n set: port number n is taken. 1024 bits. */
  numbers: usize;
}

/** The private part of a bridge. */
@inline
export function bridgeOf(dev: NetDev): BridgeDev {
  return changetype<BridgeDev>(dev.priv);
}

/** Makes a bridge with a random MAC (locally administered unicast). */
export function bridgeCreate(ns: NetNs): NetDev {
  const dev = devCreate(ns, DEV_BRIDGE, 0);
  const bridge = changetype<BridgeDev>(kmalloc(offsetof<BridgeDev>()));
  bridge.ageing = DEFAULT_AGEING;
  bridge.numbers = kmalloc(BR_MAX_PORTS / 8);
  store<u8>(bridge.numbers, 1);
  dev.priv = changetype<usize>(bridge);
  dev.mac = macOrder(((rand64(nsHost(ns)) & 0xffffffffffff) | 0x020000000000) & ~(<u64>0x010000000000));
  addLocal(dev, dev, dev.mac);
  return dev;
}

/** Frees a bridge's own part; its ports are released first. */
export function bridgeDestroy(dev: NetDev): void {
  const bridge = bridgeOf(dev);
  while (bridge.ports != 0) bridgePortGone(changetype<NetDev>(bridge.ports));
  fdbClear(bridge);
  kfree(bridge.numbers, BR_MAX_PORTS / 8);
  kfree(dev.priv, offsetof<BridgeDev>());
  dev.priv = 0;
}

function addLocal(dev: NetDev, port: NetDev, mac: u64): void {
  const bridge = bridgeOf(dev);
  const found = fdbFind(changetype<usize>(dev), mac);
  if (found != 0) {
    if (changetype<FdbEntry>(found).flags & FDB_LOCAL) return;
    fdbRemove(bridge, changetype<FdbEntry>(found));
  }
  const entry = fdbInsert(bridge, changetype<usize>(dev), mac, FDB_LOCAL | FDB_PERMANENT);
  entry.port = changetype<usize>(port);
}

function removeLocal(dev: NetDev, port: NetDev, mac: u64): void {
  const found = fdbFind(changetype<usize>(dev), mac);
  if (found != 0 && changetype<FdbEntry>(found).port == changetype<usize>(port)) fdbRemove(bridgeOf(dev), changetype<FdbEntry>(found));
}

/** br_fdb_change_mac_address and br_fdb_changeaddr: keeps the local entry of a bridge or a port at its address. */
export function bridgeMacChanged(bridge: NetDev, port: NetDev, old: u64): void {
  removeLocal(bridge, port, old);
  addLocal(bridge, port, port.mac);
  if (changetype<usize>(bridge) != changetype<usize>(port)) recalculate(bridge);
}

/** br_stp_recalculate_bridge_id and br_mtu_auto_adjust: the lowest MAC and the smallest MTU of the ports. */
function recalculate(dev: NetDev): void {
  const bridge = bridgeOf(dev);
  let least: u64 = u64.MAX_VALUE;
  let mtu: u32 = u32.MAX_VALUE;
  for (let p = bridge.ports; p != 0; p = changetype<NetDev>(p).portNext) {
    const port = changetype<NetDev>(p);
    const order = macOrder(port.mac);
    if (order < least) least = order;
    if (port.mtu < mtu) mtu = port.mtu;
  }
  if (bridge.ports == 0) {
    // Without ports the address goes to zero in Linux; the device keeps its last one until a port comes.
    if (!(dev.flags & IFF_MTU_SET)) dev.mtu = 1500;
    return;
  }
  if (!(dev.flags & IFF_MTU_SET)) dev.mtu = mtu;
  const mac = macOrder(least);
  if (!(dev.flags & IFF_MAC_SET) && mac != dev.mac) {
    const old = dev.mac;
    dev.mac = mac;
    bridgeMacChanged(dev, dev, old);
  }
}

/** A port's MTU changed. */
export function bridgePortMtu(port: NetDev): void {
  recalculate(changetype<NetDev>(port.master));
}

/** br_add_if: 0 or -errno. */
export function bridgeAddPort(dev: NetDev, port: NetDev): i32 {
  if (port.kind == DEV_BRIDGE || port.kind == DEV_LOOPBACK || dev.kind != DEV_BRIDGE || dev.ns != port.ns) return -EINVAL;
  if (port.master != 0) return -EBUSY;
  const bridge = bridgeOf(dev);
  const number = freeNumber(bridge);
  if (number == 0) return -EXFULL;
  const byte = bridge.numbers + (number >> 3);
  store<u8>(byte, load<u8>(byte) | <u8>((<u32>1) << (number & 7)));
  port.portNo = <u16>number;
  port.master = changetype<usize>(dev);
  port.portNext = bridge.ports;
  bridge.ports = changetype<usize>(port);
  bridge.portCount++;
  addLocal(dev, port, port.mac);
  recalculate(dev);
  return 0;
}

function freeNumber(bridge: BridgeDev): u32 {
  for (let word: u32 = 0; word < BR_MAX_PORTS / 64; word++) {
    const bits = load<u64>(bridge.numbers + (<usize>word << 3));
    if (bits != u64.MAX_VALUE) return (word << 6) + <u32>ctz<u64>(~bits);
  }
  return 0;
}

/** br_del_if: releases a port. */
export function bridgePortGone(port: NetDev): void {
  const dev = changetype<NetDev>(port.master);
  const bridge = bridgeOf(dev);
  let at = changetype<usize>(bridge) + offsetof<BridgeDev>("ports");
  while (<usize>load<u32>(at) != changetype<usize>(port)) at = <usize>load<u32>(at) + offsetof<NetDev>("portNext");
  store<u32>(at, <u32>port.portNext);
  bridge.portCount--;
  const byte = bridge.numbers + (port.portNo >> 3);
  store<u8>(byte, load<u8>(byte) & <u8>~((<u32>1) << (port.portNo & 7)));
  flushPort(bridge, port, true);
  port.master = 0;
  port.portNo = 0;
  port.portNext = 0;
  recalculate(dev);
  // fdb_delete_local: another port, or the bridge, may have the same address.
  for (let p = bridge.ports; p != 0; p = changetype<NetDev>(p).portNext) {
    if (changetype<NetDev>(p).mac == port.mac) addLocal(dev, changetype<NetDev>(p), port.mac);
  }
  if (dev.mac == port.mac) addLocal(dev, dev, dev.mac);
}

/** A port went up or down: what was learned on it is forgotten when it goes down (br_fdb_delete_by_port). */
export function bridgePortState(port: NetDev): void {
  if (!(port.flags & IFF_UP)) flushPort(bridgeOf(changetype<NetDev>(port.master)), port, false);
}

function flushPort(bridge: BridgeDev, port: NetDev, all: bool): void {
  let p = bridge.head;
  while (p != 0) {
    const entry = changetype<FdbEntry>(p);
    p = entry.devNext;
    if (entry.port == changetype<usize>(port) && (all || !(entry.flags & FDB_PERMANENT))) fdbRemove(bridge, entry);
  }
}

/** br_fdb_update: learns a source address on a port. */
function learn(dev: NetDev, port: NetDev, mac: u64): void {
  const bridge = bridgeOf(dev);
  if (bridge.ageing == 0) return;
  const found = fdbFind(changetype<usize>(dev), mac);
  if (found != 0) {
    const entry = changetype<FdbEntry>(found);
    if (entry.flags & FDB_LOCAL) return; // a frame with our own address as source
    entry.port = changetype<usize>(port); // a static one too: only sticky entries stay
    entry.updated = now;
    return;
  }
  if (bridge.lastSweep + SWEEP_INTERVAL <= now) {
    bridge.lastSweep = now;
    fdbSweep(bridge, bridge.ageing, false);
  }
  fdbInsert(bridge, changetype<usize>(dev), mac, 0).port = changetype<usize>(port);
}

/** The live entry of a MAC, 0 when unknown or aged. */
@inline
function lookup(dev: NetDev, mac: u64): usize {
  const found = fdbFind(changetype<usize>(dev), mac);
  if (found == 0) return 0;
  const entry = changetype<FdbEntry>(found);
  if (!(entry.flags & FDB_PERMANENT) && entry.updated + bridgeOf(dev).ageing <= now) return 0;
  return found;
}

@inline
function callsIptables(dev: NetDev, frame: usize): bool {
  const ns = changetype<NetNs>(dev.ns);
  return ns.brNfCall != 0 && ns.nfHooks != 0 && ethType(frame) == ETH_P_IP;
}

/** br_handle_frame: a frame came in by a port (skb.data at the Ethernet header). */
export function bridgeHandleFrame(port: NetDev, skb: Skb): void {
  const dev = changetype<NetDev>(port.master);
  if (!isValidUnicast(ethSrc(skb.data))) {
    dropSkb(skb, DROP_BRIDGE_INVALID_SOURCE);
    return;
  }
  const dst = ethDst(skb.data);
  if ((dst & 0xf0ffffffffff) == LINK_LOCAL && dst != LINK_LOCAL) {
    // Link-local multicast: pause frames end here, the others are delivered locally (group_fwd_mask 0).
    if (dst == PAUSE) dropSkb(skb, DROP_BRIDGE_LINK_LOCAL);
    else deliverUp(dev, skb);
    return;
  }
  skb.inPort = changetype<usize>(port);
  if (callsIptables(dev, skb.data) && brNfPreRouting(dev, port, skb) != NF_ACCEPT) return;
  handleFrameFinish(dev, port, skb);
}

/** br_handle_frame_finish. */
export function handleFrameFinish(dev: NetDev, port: NetDev, skb: Skb): void {
  learn(dev, port, ethSrc(skb.data));
  const dst = ethDst(skb.data);
  if (isMulticast(dst)) {
    flood(dev, port, skb, (dev.flags & IFF_UP) != 0);
    return;
  }
  const found = lookup(dev, dst);
  if (found == 0) {
    capturePassing(dev, skb);
    flood(dev, port, skb, false);
    return;
  }
  const entry = changetype<FdbEntry>(found);
  if (entry.flags & FDB_LOCAL) {
    if (marking) markFdb(dev, skb, FDB_CHOICE_LOCAL, 0, 0);
    deliverUp(dev, skb);
    return;
  }
  entry.used = now;
  capturePassing(dev, skb);
  const out = changetype<NetDev>(entry.port);
  if (marking) markFdb(dev, skb, FDB_CHOICE_PORT, entry.port, 1);
  if (shouldDeliver(out, port)) forward(dev, port, out, skb);
  else dropSkb(skb, DROP_BRIDGE_NO_PORT);
}

/**
 * A capture puts a device into promiscuous mode, and a promiscuous bridge gets a copy of every frame that passes
 * (br_handle_frame_finish, local_rcv); the bridge itself does nothing with frames for others.
 */
@inline
function capturePassing(dev: NetDev, skb: Skb): void {
  if (dev.capId == 0 || !(dev.flags & IFF_UP)) return;
  dev.rxPackets++;
  dev.rxBytes += skb.len - ETH_HLEN;
  capture(dev, skb, 1);
}

/** should_deliver, without VLANs and isolation. */
@inline
function shouldDeliver(out: NetDev, inPort: NetDev): bool {
  if (changetype<usize>(out) == changetype<usize>(inPort) && !(out.flags & IFF_HAIRPIN)) return false;
  return (out.flags & IFF_UP) != 0;
}

/** br_flood: to all ports but the one it came by, newest port first; optionally to the bridge itself too. */
function flood(dev: NetDev, inPort: NetDev, skb: Skb, local: bool): void {
  let previous: usize = 0;
  if (marking) markFdb(dev, skb, FDB_CHOICE_FLOOD, 0, floodPorts(dev, inPort));
  for (let p = bridgeOf(dev).ports; p != 0; p = changetype<NetDev>(p).portNext) {
    if (!shouldDeliver(changetype<NetDev>(p), inPort)) continue;
    if (previous != 0) forward(dev, inPort, changetype<NetDev>(previous), cloneFor(skb));
    previous = p;
  }
  if (local) {
    if (previous != 0) forward(dev, inPort, changetype<NetDev>(previous), cloneFor(skb));
    deliverUp(dev, skb);
  } else if (previous != 0) forward(dev, inPort, changetype<NetDev>(previous), skb);
  else dropSkb(skb, DROP_BRIDGE_NO_PORT);
}

/** To how many ports a flood goes. */
function floodPorts(dev: NetDev, inPort: NetDev): u32 {
  let count: u32 = 0;
  for (let p = bridgeOf(dev).ports; p != 0; p = changetype<NetDev>(p).portNext) if (shouldDeliver(changetype<NetDev>(p), inPort)) count++;
  return count;
}

function cloneFor(skb: Skb): Skb {
  return copySkb(skb);
}

/** __br_forward: out of a port, for a frame that came in by another. */
function forward(dev: NetDev, inPort: NetDev, out: NetDev, skb: Skb): void {
  if (callsIptables(dev, skb.data)) {
    if (changetype<usize>(inPort) != 0 && brNfForward(dev, inPort, out, skb) != NF_ACCEPT) return;
    if (brNfPostRouting(dev, out, skb) != NF_ACCEPT) return;
  }
  // Behind the hooks (br_dev_queue_push_xmit): they cut what they had reassembled.
  if (!forwardable(out, skb.len)) {
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return;
  }
  devXmit(out, skb);
}

/** br_pass_frame_up: the frame is for the bridge device itself. */
function deliverUp(dev: NetDev, skb: Skb): void {
  if (!(dev.flags & IFF_UP)) {
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  skb.dev = changetype<usize>(dev);
  dev.rxPackets++;
  dev.rxBytes += skb.len - ETH_HLEN; // its header is off by then
  if (dev.capId != 0) capture(dev, skb, 1);
  if (!isMulticast(ethDst(skb.data))) skb.pktType = PACKET_HOST;
  protocolReceive(skb);
}

/** br_dev_xmit: the host sends through the bridge device. */
export function bridgeXmit(dev: NetDev, skb: Skb): void {
  const dst = ethDst(skb.data);
  const nobody = changetype<NetDev>(0);
  if (isMulticast(dst)) {
    flood(dev, nobody, skb, false);
    return;
  }
  const found = lookup(dev, dst);
  if (found == 0) {
    flood(dev, nobody, skb, false);
    return;
  }
  const entry = changetype<FdbEntry>(found);
  entry.used = now;
  const out = changetype<NetDev>(entry.port);
  if (marking) markFdb(dev, skb, FDB_CHOICE_PORT, entry.port, 1);
  if ((entry.flags & FDB_LOCAL) || !(out.flags & IFF_UP)) dropSkb(skb, DROP_BRIDGE_NO_PORT);
  else forward(dev, nobody, out, skb);
}
