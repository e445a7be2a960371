/**
 * The VXLAN device (drivers/net/vxlan/vxlan_core.c, RFC 7348) as Docker sets it up: proxy ARP, l2miss,
 * l3miss, learning, outer UDP checksum. Its UDP socket, routing and netfilter are those of the namespace
 * in which it was made; the device itself may have been moved to another.
 */
import { DELIVER_ARP_PROXY, DEV_VXLAN, DROP_ARP_PROXY_CONSUMED, DROP_PKT_TOO_SMALL, DROP_VXLAN_ECN, DROP_VXLAN_HDR, DROP_VXLAN_L2MISS, DROP_VXLAN_MAC_MOVED, DROP_VXLAN_OWN_MAC, DROP_VXLAN_REMOTE_ZERO, DROP_VXLAN_VNI, DROP_DEV_DOWN, DROP_IP_OUTNOROUTES, EEXIST, IPPROTO_UDP, MARK_DELIVER, RTN_LOCAL, SYS_LOCAL_PORT_MAX, SYS_LOCAL_PORT_MIN } from "../abi";
import { skbGetHash } from "../hash/flow";
import { neighConnected, neighLookup, Neigh } from "../inet/neigh";
import { ipTunnelXmit } from "../inet/output";
import { sysctl } from "../inet/inet";
import { RtResult, routeLookup } from "../inet/route";
import { kfree, kmalloc } from "../memory/arena";
import { HashTable, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { SKB_HASHED, SKB_L4_HASH, Skb, copySkb, dropSkb, ensureHeadroom, skbPull, skbPush } from "../memory/skb";
import { now } from "../sim/event";
import { udpEncapClose, udpEncapOpen } from "../socket/udp";
import { fold64, sumBytes } from "../wire/checksum";
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, emitEth, ethDst, ethSrc, ethType, isValidUnicast, loadMac, storeMac } from "../wire/ethernet";
import { innerSum } from "../wire/lco";
import { xfrmMtu } from "../xfrm/output";
import { FDB_PERMANENT, FdbEntry, FdbList, fdbAddRemote, fdbClear, fdbFind, fdbInsert, fdbMore, fdbMoreIp, fdbMoreNext, fdbNoRemote, fdbRemote, fdbRemove, fdbSetRemote, fdbSweep } from "./fdb";
import { journeyTurned, mark, markVxlanIn, markVxlanOut, marking } from "./marks";
import { IFF_UP, NetDev, devCreate, devDestroy, netifRx, scrub } from "./netdev";
import { NetNs } from "./netns";
import { tunnelPmtuExceeded } from "./tunnel-pmtu";

/** Flags of a device (VXLAN_F_*, numbers our own). */
export const VXLAN_LEARN: u32 = 1;
export const VXLAN_PROXY: u32 = 2;
export const VXLAN_L2MISS: u32 = 4;
export const VXLAN_L3MISS: u32 = 8;
export const VXLAN_UDP_CSUM: u32 = 16;

/** Outer Ethernet 14, IPv4 20, UDP 8, VXLAN 8. */
const VXLAN_HEADROOM: u32 = 50;
/** What the device takes off the underlay's MTU: IPv4, UDP, VXLAN, inner Ethernet. */
const VXLAN_OVERHEAD: u32 = 50;
const VXLAN_HLEN: u32 = 8;
const UDP_HLEN: u32 = 8;
/** VXLAN_GC: learned entries are swept at most this often (FDB_AGE_INTERVAL 10 s). */
const SWEEP_INTERVAL: i64 = 10_000_000_000;
const INADDR_LOOPBACK: u32 = 0x7f000001;

@unmanaged
class VxlanDev extends FdbList {
  unused: u32;
  // Link in the table of devices by (socket namespace, port, VNI).
  hnext: u32;
  hhash: u32;
  dev: usize;
  sockNs: usize;
  vni: u32;
  port: u32;
  flags: u32;
  ttl: u32;
  tos: u32;
  ageing: i64;
  lastSweep: i64;
}

/** The private part of a vxlan device. */
@inline
export function vxlanOf(dev: NetDev): VxlanDev {
  return changetype<VxlanDev>(dev.priv);
}

const HLINK_OFFSET: usize = offsetof<VxlanDev>("hnext");
let devices: HashTable = changetype<HashTable>(0);

@inline
function vniHash(ns: usize, port: u32, vni: u32): u32 {
  // Of a namespace's address the low bits are always the same: they must not be what chooses the bucket.
  const h = (vni ^ <u32>(ns >> 4) ^ (port << 16)) * 0x9e3779b1;
  return h ^ (h >> 15);
}

/** The device of a VNI on a UDP port of a namespace, 0 if none. */
function vxlanFind(ns: usize, port: u32, vni: u32): usize {
  if (changetype<usize>(devices) == 0) return 0;
  for (let p = tableFirst(devices, vniHash(ns, port, vni)); p != 0; p = linkNext(p)) {
    const vx = changetype<VxlanDev>(p - HLINK_OFFSET);
    if (vx.vni == vni && vx.port == port && vx.sockNs == ns) return changetype<usize>(vx);
  }
  return 0;
}

/** Makes a vxlan device; its UDP socket opens in the same namespace. Returns the device or -errno. */
export function vxlanCreate(ns: NetNs, vni: u32, port: u32, flags: u32, ttl: u32, tos: u32, ageing: i64): i32 {
  if (vxlanFind(changetype<usize>(ns), port, vni) != 0) return -EEXIST;
  const opened = udpEncapOpen(ns, port, changetype<usize>(vxlanRcv));
  if (opened < 0) return opened;
  const dev = devCreate(ns, DEV_VXLAN, 0);
  const vx = changetype<VxlanDev>(kmalloc(offsetof<VxlanDev>()));
  vx.dev = changetype<usize>(dev);
  vx.sockNs = changetype<usize>(ns);
  vx.vni = vni;
  vx.port = port;
  vx.flags = flags;
  vx.ttl = ttl;
  vx.tos = tos;
  vx.ageing = ageing;
  dev.priv = changetype<usize>(vx);
  if (changetype<usize>(devices) == 0) devices = tableNew(6);
  tableInsert(devices, changetype<usize>(vx) + HLINK_OFFSET, vniHash(changetype<usize>(ns), port, vni));
  return <i32>changetype<usize>(dev);
}

/** Frees the private part, its FDB and its share of the UDP socket. */
export function vxlanDestroy(dev: NetDev): void {
  const vx = vxlanOf(dev);
  fdbClear(vx);
  tableRemove(devices, changetype<usize>(vx) + HLINK_OFFSET);
  udpEncapClose(changetype<NetNs>(vx.sockNs), vx.port);
  kfree(dev.priv, offsetof<VxlanDev>());
  dev.priv = 0;
}

/** vxlan_exit_batch_net: the namespace of the UDP socket goes, and with it devices that were moved elsewhere. */
export function vxlanNsExit(ns: NetNs): void {
  if (changetype<usize>(devices) == 0) return;
  for (let i: u32 = 0; i <= devices.mask; i++) {
    let p = tableFirst(devices, i);
    while (p != 0) {
      const vx = changetype<VxlanDev>(p - HLINK_OFFSET);
      p = linkNext(p);
      if (vx.sockNs == changetype<usize>(ns)) devDestroy(changetype<NetDev>(vx.dev));
    }
  }
}

// ---------------------------------------------------------------------------------------------- transmit

/** vxlan_xmit: a frame leaves by the device (skb.data at its Ethernet header). */
export function vxlanXmit(dev: NetDev, skb: Skb): void {
  const vx = vxlanOf(dev);
  if (skb.len < ETH_HLEN) {
    dev.txDropped++;
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return;
  }
  if ((vx.flags & VXLAN_PROXY) && ethType(skb.data) == ETH_P_ARP) {
    arpReduce(dev, vx, skb);
    return;
  }
  const mac = ethDst(skb.data);
  let found = fdbFind(changetype<usize>(dev), mac);
  if (found != 0 && aged(vx, changetype<FdbEntry>(found))) found = 0;
  // No such MAC: the all-zero entry holds the default destinations.
  if (found == 0) found = fdbFind(changetype<usize>(dev), 0);
  if (found == 0 || fdbNoRemote(changetype<FdbEntry>(found))) {
    dev.txDropped++;
    dropSkb(skb, DROP_VXLAN_L2MISS);
    return;
  }
  const entry = changetype<FdbEntry>(found);
  entry.used = now;
  const first = fdbRemote(entry);
  for (let p = fdbMore(entry); p != 0; p = fdbMoreNext(p)) xmitOne(dev, vx, copySkb(skb), fdbMoreIp(p));
  xmitOne(dev, vx, skb, first);
}

@inline
function aged(vx: VxlanDev, entry: FdbEntry): bool {
  return !(entry.flags & FDB_PERMANENT) && vx.ageing != 0 && entry.used + vx.ageing <= now;
}

/** The outer source port of a flow hash in a range of ports (udp_flow_src_port). */
@inline
export function flowSourcePort(hash: u32, min: u32, max: u32): u32 {
  const mixed = hash ^ (hash << 16);
  return min + <u32>((<u64>mixed * <u64>(max > min ? max - min : 0)) >> 32);
}

/** vxlan_xmit_one: encapsulates in place and hands the datagram to the IP output of the socket's namespace. */
function xmitOne(dev: NetDev, vx: VxlanDev, frame: Skb, remote: u32): void {
  if (remote == 0) {
    dev.txDropped++;
    dropSkb(frame, DROP_VXLAN_REMOTE_ZERO);
    return;
  }
  const ns = changetype<NetNs>(vx.sockNs);
  const own = changetype<NetNs>(dev.ns);
  const sourcePort = flowSourcePort(skbGetHash(frame), sysctl(own, SYS_LOCAL_PORT_MIN), sysctl(own, SYS_LOCAL_PORT_MAX));
  if (routeLookup(ns, remote, 0, 0) != 0) {
    dev.txErrors++;
    dropSkb(frame, DROP_IP_OUTNOROUTES);
    return;
  }
  if (RtResult.rtType == RTN_LOCAL) {
    bypass(dev, vx, frame);
    return;
  }
  const src = RtResult.rtSrc;
  // The mark that Docker encrypts by is set behind this, in mangle OUTPUT: this look-up doesn't see it.
  const port = vx.port;
  const mark: u32 = dev.ns != vx.sockNs ? 0 : frame.mark;
  const mtu = xfrmMtu(ns, RtResult.rtDev, src, remote, IPPROTO_UDP, sourcePort, port, mark, RtResult.rtMtu);
  if (tunnelPmtuExceeded(dev, frame, mtu, VXLAN_OVERHEAD)) return;
  if (marking) markVxlanOut(dev, frame, remote, vx.vni, src, (sourcePort << 16) | port);
  const tos = outerTos(vx, frame);
  const innerLen = frame.len - ETH_HLEN; // what iptunnel_xmit counts: from the inner network header on
  const skb = ensureHeadroom(frame, VXLAN_HEADROOM + ETH_HLEN);
  vxlanPush(vx, skb, src, remote, sourcePort, port);
  scrub(skb, dev.ns != vx.sockNs);
  skb.dev = changetype<usize>(dev);
  if (ipTunnelXmit(ns, skb, src, remote, IPPROTO_UDP, tos, vx.ttl, false) < 0) {
    dev.txErrors++;
    return;
  }
  dev.txPackets++;
  dev.txBytes += innerLen;
}

/** Prepends the VXLAN and UDP headers in place, checksum and all (vxlan_build_skb, udp_tunnel_xmit_skb). */
export function vxlanPush(vx: VxlanDev, skb: Skb, src: u32, dst: u32, sourcePort: u32, dstPort: u32): void {
  const inner = skb.data;
  const innerLen = skb.len;
  const header = skbPush(skb, VXLAN_HLEN + UDP_HLEN);
  const ports = <u32>bswap<u16>(<u16>sourcePort) | (<u32>bswap<u16>(<u16>dstPort) << 16);
  const length = <u32>bswap<u16>(<u16>skb.len);
  const flags: u32 = 0x00000008; // the I flag
  const vni = bswap<u32>(vx.vni << 8);
  let check: u32 = 0;
  if (vx.flags & VXLAN_UDP_CSUM) {
    // The headers, the pseudo header, and the inner frame by local checksum offload (lco_csum).
    let sum = <u64>ports + <u64>length + <u64>flags + <u64>vni;
    sum += <u64>bswap<u32>(src) + <u64>bswap<u32>(dst) + (<u64>IPPROTO_UDP << 8) + <u64>length;
    sum += innerSum(skb, inner, innerLen);
    check = ~fold64(sum) & 0xffff;
    if (check == 0) check = 0xffff;
  }
  store<u32>(header, ports);
  store<u32>(header, length | (check << 16), 4);
  store<u32>(header, flags, 8);
  store<u32>(header, vni, 12);
  skb.th = header;
}

/** encap_bypass_if_local, vxlan_encap_bypass: the VTEP is this host, so the frame goes straight to its device of that VNI. */
function bypass(dev: NetDev, vx: VxlanDev, frame: Skb): void {
  const found = vxlanFind(vx.sockNs, vx.port, vx.vni);
  if (found == 0) {
    dev.txErrors++;
    dropSkb(frame, DROP_VXLAN_VNI);
    return;
  }
  const far = changetype<VxlanDev>(found);
  const to = changetype<NetDev>(far.dev);
  // Whatever learning says of the address, the frame goes on.
  if (far.flags & VXLAN_LEARN) snoop(to, far, ethSrc(frame.data), INADDR_LOOPBACK);
  scrub(frame, dev.ns != to.ns);
  countBypass(dev, to, frame.len);
  netifRx(to, frame);
}

/** A frame that a tunnel hands to one of this host counts at both, with its Ethernet header (vxlan_encap_bypass). */
export function countBypass(from: NetDev, to: NetDev, len: u32): void {
  from.txPackets++;
  from.txBytes += len;
  to.rxPackets++;
  to.rxBytes += len;
}

/** ip_tunnel_ecn_encap (RFC 6040): the inner ECN, but CE becomes ECT(0). */
function outerTos(vx: VxlanDev, skb: Skb): u32 {
  let inner: u32 = 0;
  if (ethType(skb.data) == ETH_P_IP && skb.len >= ETH_HLEN + 20) inner = load<u8>(skb.data + ETH_HLEN, 1);
  const base = vx.tos == 1 ? inner : vx.tos;
  const ecn = inner & 3;
  return (base & ~3) | (ecn == 3 ? 2 : ecn);
}

/** arp_reduce: answers ARP requests from the neighbour table of the device; nothing of ARP enters the tunnel. */
function arpReduce(dev: NetDev, vx: VxlanDev, skb: Skb): void {
  const arp = skb.data + ETH_HLEN;
  if (skb.len < ETH_HLEN + 28) {
    dev.txDropped++;
    dropSkb(skb, DROP_ARP_PROXY_CONSUMED);
    return;
  }
  // Ethernet/IPv4 request: 0001 0800 06 04 0001
  if (load<u64>(arp) != 0x0100040600080100) {
    dropSkb(skb, DROP_ARP_PROXY_CONSUMED);
    return;
  }
  const target = bswap<u32>(load<u32>(arp, 24));
  const refused = target >> 24 == 127 || target >> 28 == 14;
  const neigh: usize = refused ? <usize>0 : neighLookup(dev, target);
  if (neigh == 0 || !neighConnected(changetype<Neigh>(neigh))) {
    dropSkb(skb, DROP_ARP_PROXY_CONSUMED);
    return;
  }
  const mac = changetype<Neigh>(neigh).mac;
  const found = fdbFind(changetype<usize>(dev), mac);
  if (found != 0) {
    const entry = changetype<FdbEntry>(found);
    if (!fdbNoRemote(entry) && fdbRemote(entry) == 0) {
      dropSkb(skb, DROP_ARP_PROXY_CONSUMED);
      return;
    }
  }
  // Turn the request into its reply, in place, and receive it on this device.
  const requester = loadMac(arp + 8);
  const requesterIp = load<u32>(arp, 14);
  emitEth(skb.data, requester, mac, ETH_P_ARP);
  store<u16>(arp, 0x0200, 6);
  storeMac(arp + 8, mac);
  store<u32>(arp, bswap<u32>(target), 14);
  storeMac(arp + 18, requester);
  store<u32>(arp, requesterIp, 24);
  skb.len = ETH_HLEN + 28;
  if (marking) {
    mark(MARK_DELIVER, dev.ns, changetype<usize>(dev), skb, DELIVER_ARP_PROXY, target, 0, bswap<u32>(requesterIp), 0);
    journeyTurned(skb);
  }
  scrub(skb, false);
  netifRx(dev, skb);
}

// ---------------------------------------------------------------------------------------------- receive

/** vxlan_rcv: a datagram for the UDP port, skb.data at its UDP header, checksum verified. */
function vxlanRcv(at: usize): void {
  const dev = vxlanPull(changetype<Skb>(at));
  if (dev != 0) netifRx(changetype<NetDev>(dev), changetype<Skb>(at));
}

/** Takes the headers off and finds, and teaches, the device that the inner frame is for; 0 when the packet was dropped. */
export function vxlanPull(skb: Skb): usize {
  const ns = changetype<NetDev>(skb.dev).ns;
  if (skb.len < UDP_HLEN + VXLAN_HLEN + ETH_HLEN) {
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return 0;
  }
  const header = skb.data;
  const port = <u32>bswap<u16>(load<u16>(header, 2));
  // The I flag alone; the byte behind the VNI must be zero too (stricter than RFC 7348).
  const word = load<u32>(header, 12);
  if (load<u32>(header, 8) != 0x00000008 || word >> 24 != 0) {
    dropSkb(skb, DROP_VXLAN_HDR);
    return 0;
  }
  const found = vxlanFind(ns, port, bswap<u32>(word) >> 8);
  if (found == 0) {
    dropSkb(skb, DROP_VXLAN_VNI);
    return 0;
  }
  const vx = changetype<VxlanDev>(found);
  const dev = changetype<NetDev>(vx.dev);
  const outerSrc = bswap<u32>(load<u32>(skb.nh, 12));
  const outerTosByte = <u32>load<u8>(skb.nh, 1);
  skbPull(skb, UDP_HLEN + VXLAN_HLEN);
  const source = ethSrc(skb.data);
  skb.dev = changetype<usize>(dev);
  if (marking) markVxlanIn(dev, skb, outerSrc, vx.vni, bswap<u32>(load<u32>(skb.nh, 16)), (<u32>bswap<u16>(load<u16>(header)) << 16) | port);
  if (source == dev.mac) {
    dropSkb(skb, DROP_VXLAN_OWN_MAC);
    return 0;
  }
  if ((vx.flags & VXLAN_LEARN) && !snoop(dev, vx, source, outerSrc)) {
    dropSkb(skb, DROP_VXLAN_MAC_MOVED);
    return 0;
  }
  // "vxlan: Pull inner IP header in vxlan_rcv()": a frame that says IP must hold its header.
  if (ethType(skb.data) == ETH_P_IP && skb.len < ETH_HLEN + 20) {
    dev.rxErrors++;
    dropSkb(skb, DROP_PKT_TOO_SMALL);
    return 0;
  }
  if (!decapsulateEcn(skb, outerTosByte)) {
    dev.rxErrors++;
    dropSkb(skb, DROP_VXLAN_ECN);
    return 0;
  }
  if (!(dev.flags & IFF_UP)) {
    dev.rxDropped++;
    dropSkb(skb, DROP_DEV_DOWN);
    return 0;
  }
  skb.nh = 0;
  skb.th = 0;
  skb.flags &= ~(SKB_HASHED | SKB_L4_HASH);
  scrub(skb, dev.ns != ns);
  dev.rxPackets++;
  dev.rxBytes += skb.len - ETH_HLEN; // behind eth_type_trans
  return changetype<usize>(dev);
}

/** vxlan_snoop: learns the VTEP of a source MAC; false when the frame must be dropped. */
function snoop(dev: NetDev, vx: VxlanDev, mac: u64, vtep: u32): bool {
  if (!isValidUnicast(mac)) return false;
  const found = fdbFind(changetype<usize>(dev), mac);
  if (found != 0) {
    const entry = changetype<FdbEntry>(found);
    entry.used = now;
    if (fdbRemote(entry) == vtep) return true;
    if (entry.flags & FDB_PERMANENT) return false;
    fdbSetRemote(entry, vtep);
    entry.updated = now;
    return true;
  }
  if (vx.lastSweep + SWEEP_INTERVAL <= now && vx.ageing != 0) {
    vx.lastSweep = now;
    fdbSweep(vx, vx.ageing, true);
  }
  fdbAddRemote(fdbInsert(vx, changetype<usize>(dev), mac, 0), vtep);
  return true;
}

/** IP_ECN_decapsulate (RFC 6040): false when outer CE meets an inner packet that is not ECN-capable. */
function decapsulateEcn(skb: Skb, outer: u32): bool {
  const outerEcn = outer & 3;
  if (outerEcn == 0 || ethType(skb.data) != ETH_P_IP) return true;
  const ip = skb.data + ETH_HLEN;
  const tos = <u32>load<u8>(ip, 1);
  const innerEcn = tos & 3;
  if (innerEcn == 0) return outerEcn != 3;
  let ecn = innerEcn;
  if (outerEcn == 3) ecn = 3;
  else if (outerEcn == 1 && innerEcn == 2) ecn = 1;
  if (ecn != innerEcn) {
    const old = load<u16>(ip);
    store<u8>(ip, <u8>((tos & ~3) | ecn), 1);
    // Incremental header checksum over the first word.
    const check = load<u16>(ip, 10);
    const sum = (<u32>~check & 0xffff) + (<u32>~old & 0xffff) + <u32>load<u16>(ip);
    const once = (sum & 0xffff) + (sum >> 16);
    store<u16>(ip, <u16>~((once & 0xffff) + (once >> 16)), 10);
  }
  return true;
}
