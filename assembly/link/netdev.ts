/**
 * Network devices: the record common to all kinds, transmit and receive (net/core/dev.c), and the backlog
 * that keeps the call depth flat: a device hands a packet up by queueing it, and softirq() drains the
 * queue at the end of every event and system call.
 */
import { DEV_BRIDGE, DEV_LOOPBACK, DEV_NIC, DEV_VETH, DEV_VXLAN, DROP_DEV_DOWN, DROP_PKT_TOO_BIG, DROP_PKT_TOO_SMALL, DROP_UNHANDLED_PROTO } from "../abi";
import { arpRcv } from "../inet/arp";
import { inetDevDown, inetDevGone, inetDevUp } from "../inet/inet";
import { ipRcv } from "../inet/input";
import { kfree, kmalloc } from "../memory/arena";
import { PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, SKB_IPVS, SKB_NF_BRIDGED, SKB_SECPATH, SKB_XFRM_DONE, Skb, consumeSkb, dropRoute, dropSkb, orphanSkb, resetCt } from "../memory/skb";
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, MAC_BROADCAST, ethDst, ethType, isMulticast } from "../wire/ethernet";
import { bridgeDestroy, bridgeHandleFrame, bridgePortGone, bridgePortState, bridgeXmit } from "./bridge";
import { capture } from "./capture";
import { journeyRest, marking } from "./marks";
import { NetNs } from "./netns";
import { nicDestroy, nicXmit } from "./underlay";
import { appCount, appsRun } from "../socket/socket";
import { vethDestroy, vethXmit } from "./veth";
import { vxlanDestroy, vxlanXmit } from "./vxlan";

/** Bytes of a device name, zero-padded. */
export const IFNAMSIZ: u32 = 16;

/** NetDev.flags */
export const IFF_UP: u32 = 1;
export const IFF_PROMISC: u32 = 2;
export const IFF_HAIRPIN: u32 = 4; // bridge port
/** The MAC or MTU of a bridge was set by hand and does not follow its ports. */
export const IFF_MAC_SET: u32 = 8;
export const IFF_MTU_SET: u32 = 16;

/** A network device (struct net_device): 128 bytes, of which a container has five. */
@unmanaged
export class NetDev {
  nsNext: usize; // next and previous device of the namespace
  nsPrev: usize;
  ns: usize;
  host: usize;
  kind: u16;
  portNo: u16; // bridge port part
  ifindex: u32;
  flags: u32;
  mtu: u32;
  mac: u64; // as wire/ethernet has it
  /** Name, zero-padded to 16 bytes, so that a rule compares it with one vector operation. */
  name: u64;
  nameHigh: u64;
  /** Capture point: 0 = not captured, else its id. */
  capId: u32;
  snaplen: u32;
  // Bridge port part
  master: usize; // the bridge (NetDev)
  portNext: usize; // next port of the bridge, newest first
  /** The kind's own record or peer: veth: peer NetDev; bridge: BridgeDev; vxlan: VxlanDev; NIC: port. */
  priv: usize;
  /** inet/: addresses of the device (InDev). */
  inDev: usize;
  rxPackets: u64;
  rxBytes: u64;
  txPackets: u64;
  txBytes: u64;
  rxErrors: u32;
  rxDropped: u32;
  txErrors: u32;
  txDropped: u32;
}

/** Registers a device in a namespace; ifindex 0 = the next free one. The caller names it and sets its MAC. */
export function devCreate(ns: NetNs, kind: u32, ifindex: u32): NetDev {
  const dev = changetype<NetDev>(kmalloc(offsetof<NetDev>()));
  dev.host = ns.host;
  dev.kind = <u16>kind;
  dev.mtu = 1500;
  dev.ifindex = ifindex != 0 ? ifindex : nextIfindex(ns);
  if (dev.ifindex > ns.lastIfindex) ns.lastIfindex = dev.ifindex;
  link(dev, ns);
  return dev;
}

/** dev_new_index: the counter only grows; taken numbers are skipped. */
function nextIfindex(ns: NetNs): u32 {
  let index = ns.lastIfindex;
  do index++;
  while (devByIndex(ns, index) != 0);
  ns.lastIfindex = index;
  return index;
}

function link(dev: NetDev, ns: NetNs): void {
  dev.ns = changetype<usize>(ns);
  dev.nsNext = 0;
  dev.nsPrev = ns.lastDev;
  if (ns.lastDev == 0) ns.devs = changetype<usize>(dev);
  else changetype<NetDev>(ns.lastDev).nsNext = changetype<usize>(dev);
  ns.lastDev = changetype<usize>(dev);
}

function unlink(dev: NetDev): void {
  const ns = changetype<NetNs>(dev.ns);
  if (dev.nsPrev == 0) ns.devs = dev.nsNext;
  else changetype<NetDev>(dev.nsPrev).nsNext = dev.nsNext;
  if (dev.nsNext == 0) ns.lastDev = dev.nsPrev;
  else changetype<NetDev>(dev.nsNext).nsPrev = dev.nsPrev;
}

/** The device with that ifindex, 0 if none. */
export function devByIndex(ns: NetNs, ifindex: u32): usize {
  for (let p = ns.devs; p != 0; p = changetype<NetDev>(p).nsNext) if (changetype<NetDev>(p).ifindex == ifindex) return p;
  return 0;
}

/** The device of that name (zero-padded halves), 0 if none. */
export function devByName(ns: NetNs, low: u64, high: u64): usize {
  for (let p = ns.devs; p != 0; p = changetype<NetDev>(p).nsNext) {
    const dev = changetype<NetDev>(p);
    if (dev.name == low && dev.nameHigh == high) return p;
  }
  return 0;
}

/** Unregisters and frees a device and what hangs on it (a veth's peer too). */
export function devDestroy(dev: NetDev): void {
  devSetDown(dev);
  if (dev.master != 0) bridgePortGone(dev);
  inetDevGone(dev);
  if (dev.kind == DEV_BRIDGE) bridgeDestroy(dev);
  else if (dev.kind == DEV_VXLAN) vxlanDestroy(dev);
  else if (dev.kind == DEV_NIC) nicDestroy(dev);
  let peer: usize = 0;
  if (dev.kind == DEV_VETH) peer = vethDestroy(dev);
  purgeBacklog(dev);
  unlink(dev);
  kfree(changetype<usize>(dev), offsetof<NetDev>());
  if (peer != 0) devDestroy(changetype<NetDev>(peer));
}

/** Moves a device to another namespace: it goes down, loses its addresses and its bridge (dev_change_net_namespace). */
export function devMove(dev: NetDev, ns: NetNs): void {
  devSetDown(dev);
  if (dev.master != 0) bridgePortGone(dev);
  inetDevGone(dev);
  unlink(dev);
  if (devByIndex(ns, dev.ifindex) != 0) dev.ifindex = nextIfindex(ns);
  if (dev.ifindex > ns.lastIfindex) ns.lastIfindex = dev.ifindex;
  link(dev, ns);
}

/** Sets a device up (dev_open). */
export function devSetUp(dev: NetDev): void {
  if (dev.flags & IFF_UP) return;
  dev.flags |= IFF_UP;
  if (dev.master != 0) bridgePortState(dev);
  inetDevUp(dev);
}

/** Sets a device down: its routes and neighbours go (dev_close). */
export function devSetDown(dev: NetDev): void {
  if (!(dev.flags & IFF_UP)) return;
  dev.flags &= ~IFF_UP;
  if (dev.master != 0) bridgePortState(dev);
  inetDevDown(dev);
}

/** Sends a frame (skb.data at its Ethernet header) out of a device (dev_queue_xmit). */
export function devXmit(dev: NetDev, skb: Skb): void {
  skb.dev = changetype<usize>(dev);
  if (!(dev.flags & IFF_UP)) {
    dev.txDropped++;
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  if (dev.kind != DEV_NIC) {
    // A NIC captures and counts when its queue has taken the frame; loopback's frames show once, as libpcap has them
    // (pcap-linux.c, linux_check_direction: no outgoing packets of a loopback device).
    if (dev.capId != 0 && dev.kind != DEV_LOOPBACK) capture(dev, skb, 2);
    // A veth and a tunnel count what they have got rid of.
    if (dev.kind == DEV_BRIDGE || dev.kind == DEV_LOOPBACK) {
      dev.txPackets++;
      dev.txBytes += skb.len;
    }
  }
  switch (<i32>dev.kind) {
    case DEV_VETH: {
      vethXmit(dev, skb);
      break;
    }
    case DEV_BRIDGE: {
      bridgeXmit(dev, skb);
      break;
    }
    case DEV_VXLAN: {
      vxlanXmit(dev, skb);
      break;
    }
    case DEV_NIC: {
      nicXmit(dev, skb);
      break;
    }
    default: {
      // Loopback: the frame comes back in at once (drivers/net/loopback.c). Conntrack and the mark stay.
      orphanSkb(skb);
      netifRx(dev, skb);
    }
  }
}

/** True when a frame of that length may pass a device without a queue (is_skb_forwardable). */
@inline
export function forwardable(dev: NetDev, len: u32): bool {
  return len <= dev.mtu + ETH_HLEN + 4;
}

/** Forgets what belongs to the namespace that a packet leaves (skb_scrub_packet). */
@inline
export function scrub(skb: Skb, crossesNs: bool): void {
  if (skb.ct != 0) resetCt(skb);
  skb.ctInfo = 0;
  dropRoute(skb);
  skb.flags &= ~(SKB_IPVS | SKB_SECPATH | SKB_NF_BRIDGED | SKB_XFRM_DONE);
  skb.fragMax = 0; // nf_bridge's, an skb extension (skb_ext_reset)
  if (crossesNs) {
    skb.mark = 0;
    skb.priority = 0;
  }
}

// ---------------------------------------------------------------------------------------------- receive

let backlogHead: usize = 0;
let backlogTail: usize = 0;

/** Queues a frame for receive on a device (netif_rx): skb.data at its Ethernet header. */
export function netifRx(dev: NetDev, skb: Skb): void {
  skb.dev = changetype<usize>(dev);
  skb.next = 0;
  if (backlogTail == 0) backlogHead = changetype<usize>(skb);
  else changetype<Skb>(backlogTail).next = <u32>changetype<usize>(skb);
  backlogTail = changetype<usize>(skb);
}

/** Receives everything that was queued, and what that queues; then the kernel's own programs have their sockets' news. */
export function softirq(): void {
  for (;;) {
    while (backlogHead != 0) {
      const skb = changetype<Skb>(backlogHead);
      backlogHead = <usize>skb.next;
      if (backlogHead == 0) backlogTail = 0;
      netifReceive(changetype<NetDev>(skb.dev), skb);
    }
    if (marking) journeyRest();
    if (appCount == 0) return;
    appsRun();
  }
}

/** Drops what waits for a device that is going. */
function purgeBacklog(dev: NetDev): void {
  let kept: usize = 0;
  let tail: usize = 0;
  let p = backlogHead;
  while (p != 0) {
    const skb = changetype<Skb>(p);
    p = <usize>skb.next;
    if (skb.dev == changetype<usize>(dev)) {
      skb.dev = 0;
      dropSkb(skb, DROP_DEV_DOWN);
      continue;
    }
    skb.next = 0;
    if (tail == 0) kept = changetype<usize>(skb);
    else changetype<Skb>(tail).next = <u32>changetype<usize>(skb);
    tail = changetype<usize>(skb);
  }
  backlogHead = kept;
  backlogTail = tail;
}

/** Receives one frame: counts, captures, classifies, hands it to the bridge or to a protocol (__netif_receive_skb). */
export function netifReceive(dev: NetDev, skb: Skb): void {
  skb.dev = changetype<usize>(dev);
  if (!(dev.flags & IFF_UP)) {
    dev.rxDropped++;
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  // A tunnel has counted what it unpacked; its own ARP replies it doesn't count.
  if (dev.kind != DEV_VXLAN) {
    dev.rxPackets++;
    dev.rxBytes += skb.len;
  }
  if (dev.capId != 0) capture(dev, skb, 1);
  if (skb.len < ETH_HLEN) {
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return;
  }
  skb.mac = skb.data;
  const dst = ethDst(skb.data);
  skb.protocol = ethType(skb.data);
  // eth_type_trans
  if (dst == dev.mac || dev.kind == DEV_LOOPBACK) skb.pktType = PACKET_HOST;
  else if (isMulticast(dst)) skb.pktType = dst == MAC_BROADCAST ? PACKET_BROADCAST : PACKET_MULTICAST;
  else skb.pktType = PACKET_OTHERHOST;
  if (dev.master != 0) {
    bridgeHandleFrame(dev, skb);
    return;
  }
  protocolReceive(skb);
}

/** Hands a frame to its protocol: skb.data at the Ethernet header, which is pulled here. */
export function protocolReceive(skb: Skb): void {
  skb.data += ETH_HLEN;
  skb.len -= ETH_HLEN;
  skb.nh = skb.data;
  if (skb.protocol == ETH_P_IP) ipRcv(skb);
  else if (skb.protocol == ETH_P_ARP) arpRcv(skb);
  else dropSkb(skb, DROP_UNHANDLED_PROTO);
}
