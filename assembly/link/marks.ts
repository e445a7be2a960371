/**
 * The life of a packet, for those who watch. Each packet that is captured or marked has a journey, a number that copies,
 * fragments, tunnels and wires keep: (host index << 32) | that host's count of journeys. Between the devices that a capture
 * sees, marks say what happened to it: which entry of which table decided, what was rewritten, where it ended.
 *
 * A mark is a record of the capture buffer (CAP_POINT 0, MARK_* in abi.ts), so that marks and frames have one order. Nothing
 * is marked unless somebody asked for it; nothing of it changes what happens. Records hold no address of the kernel's
 * memory: they are the same for any number of workers.
 */
import {
  CHAIN_NAME, DROP_PKT_TOO_BIG, FDB_MATCH_DEFAULT, FDB_MATCH_LEARNED, FDB_MATCH_PERMANENT, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, MARK_ARGS, MARK_AT_IP, MARK_BODY,
  MARK_CAUSE, MARK_DELIVER, MARK_DEVICE, MARK_DROP, MARK_FDB, MARK_IFINDEX, MARK_NAT, MARK_NEIGH, MARK_NS, MARK_PACKET, MARK_RULE, MARK_VXLAN_IN, MARK_VXLAN_OUT,
} from "../abi";
import { Neigh } from "../inet/neigh";
import { Skb } from "../memory/skb";
import { Host } from "../sim/host";
import { ethDst, ethSrc } from "../wire/ethernet";
import { captureRecord } from "./capture";
import { FDB_PERMANENT, FdbEntry, fdbFind } from "./fdb";
import { NetDev } from "./netdev";
import { NetNs } from "./netns";

/** Whether marks are written. */
export let marking: bool = false;
/** The journey of the packet that is being handled: what is sent meanwhile is sent because of it. 0 = none. */
let cause: u64 = 0;

/** Switches marks on or off. */
export function marksSet(on: u32): void {
  marking = on != 0;
  cause = 0;
}

/** Gives a packet of a host its journey: somebody sees it for the first time. */
export function journeyBegin(skb: Skb): void {
  const host = changetype<Host>(skb.host);
  skb.journey = (<u64>host.index << 32) | <u64>++host.journeys;
  if (marking && cause != 0) mark(MARK_CAUSE, 0, 0, skb, <u32>cause, <u32>(cause >> 32));
}

/** A packet that has its journey is handled from here on, until somebody else is. */
@inline
export function journeyHandled(skb: Skb): void {
  if (marking) cause = skb.journey;
}

/** Nobody is handled any more. */
@inline
export function journeyRest(): void {
  cause = 0;
}

/** What is sent from here on is sent because of a packet (0 = of none): returns what to go back to. */
export function journeyBecause(skb: usize): u64 {
  const before = cause;
  if (skb != 0) cause = changetype<Skb>(skb).journey;
  return before;
}

/** Goes back to what journeyBecause returned. */
export function journeyBack(before: u64): void {
  cause = before;
}

/** The packet was turned into its own answer, in place: the journey ends, another one begins. */
export function journeyTurned(skb: Skb): void {
  const before = cause;
  cause = skb.journey;
  skb.journey = 0;
  journeyBegin(skb);
  cause = before;
}

// ------------------------------------------------------------------------------------------------ records

/** The body of a new mark with room for `extra` bytes behind it; 0 when there is none. */
function begin(skb: Skb, kind: u32, ns: usize, dev: usize, len: u32, extra: u32): usize {
  const host = changetype<Host>(skb.host);
  if (skb.journey == 0) journeyBegin(skb);
  const body = captureRecord(host, 0, kind, skb.journey, len, MARK_BODY + extra);
  if (body == 0) return 0;
  memory.fill(body, 0, MARK_BODY);
  if (ns != 0) store<u32>(body, changetype<NetNs>(ns).id + 1, MARK_NS);
  if (dev != 0) {
    const device = changetype<NetDev>(dev);
    store<u32>(body, device.ifindex, MARK_IFINDEX);
    store<u64>(body, device.name, MARK_DEVICE);
    store<u64>(body, device.nameHigh, MARK_DEVICE + 8);
  }
  return body;
}

/** Writes a mark: `dev` and `ns` may be 0, the words are MARK_ARGS of its kind. */
export function mark(kind: u32, ns: usize, dev: usize, skb: Skb, a: u32, b: u32, c: u32 = 0, d: u32 = 0, e: u32 = 0, f: u32 = 0, g: u32 = 0, h: u32 = 0): void {
  const body = begin(skb, kind, ns, dev, skb.len, 0);
  if (body != 0) words(body, a, b, c, d, e, f, g, h);
}

function words(body: usize, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32): void {
  store<u32>(body, a, MARK_ARGS);
  store<u32>(body, b, MARK_ARGS + 4);
  store<u32>(body, c, MARK_ARGS + 8);
  store<u32>(body, d, MARK_ARGS + 12);
  store<u32>(body, e, MARK_ARGS + 16);
  store<u32>(body, f, MARK_ARGS + 20);
  store<u32>(body, g, MARK_ARGS + 24);
  store<u32>(body, h, MARK_ARGS + 28);
}

/** As mark(), with the first bytes of the packet: its IP header and on where that is at hand, else its frame. */
export function markPacket(kind: u32, ns: usize, dev: usize, skb: Skb, a: u32, b: u32, c: u32, d: u32 = 0, e: u32 = 0): void {
  const nh = skb.nh;
  const data = skb.data;
  const atIp = nh != 0 && nh <= data && data - nh <= <usize>MARK_PACKET;
  const start = atIp ? nh : data;
  const length = <u32>(data - start) + skb.len;
  const bytes = length < <u32>MARK_PACKET ? length : <u32>MARK_PACKET;
  const body = begin(skb, kind, ns, dev, atIp ? length | <u32>MARK_AT_IP : length, bytes);
  if (body == 0) return;
  words(body, a, b, c, d, e, 0, 0, 0);
  memory.copy(body + MARK_BODY, start, bytes);
}

/** The packet ends here (called by dropSkb only). A device that is going tells of its namespace no more. */
export function markDrop(skb: Skb, reason: u32): void {
  const dev = skb.dev;
  const ns: usize = dev != 0 ? changetype<NetDev>(dev).ns : 0;
  // A route's MTU is set when it is asked for: before, the word is what an earlier route left in the buffer.
  const mtu: u32 = reason == <u32>DROP_PKT_TOO_BIG && skb.rtType != 0 ? skb.rtMtu : 0;
  markPacket(MARK_DROP, ns, dev, skb, reason, skb.rtNextHop, skb.rtType, mtu, skb.mark);
}

/** A bridge chose: `out` is the port, 0 where there is none. */
export function markFdb(bridge: NetDev, skb: Skb, choice: u32, out: usize, ports: u32): void {
  const mac = ethDst(skb.data);
  mark(MARK_FDB, bridge.ns, out != 0 ? out : changetype<usize>(bridge), skb, choice, ports, <u32>mac, <u32>(mac >> 32), bridge.ifindex);
}

/** A tunnel's device is about to wrap a frame for a VTEP. */
export function markVxlanOut(dev: NetDev, skb: Skb, remote: u32, vni: u32, own: u32, ports: u32): void {
  const mac = ethDst(skb.data);
  const found = fdbFind(changetype<usize>(dev), mac);
  const match: u32 = found == 0 ? FDB_MATCH_DEFAULT : changetype<FdbEntry>(found).flags & FDB_PERMANENT ? FDB_MATCH_PERMANENT : FDB_MATCH_LEARNED;
  mark(MARK_VXLAN_OUT, dev.ns, changetype<usize>(dev), skb, remote, vni, own, ports >> 16, ports & 0xffff, <u32>mac, <u32>(mac >> 32), match);
}

/** A tunnel's device has unwrapped a frame, skb.data at its Ethernet header. */
export function markVxlanIn(dev: NetDev, skb: Skb, remote: u32, vni: u32, own: u32, ports: u32): void {
  const mac = ethSrc(skb.data);
  mark(MARK_VXLAN_IN, dev.ns, changetype<usize>(dev), skb, remote, vni, own, ports >> 16, ports & 0xffff, <u32>mac, <u32>(mac >> 32));
}

/** A packet is sent to a neighbour, or waits for its MAC address. */
export function markNeigh(neigh: Neigh, skb: Skb, waits: u32): void {
  const mac = neigh.mac;
  mark(MARK_NEIGH, changetype<NetDev>(neigh.dev).ns, neigh.dev, skb, neigh.ip, neigh.state, <u32>mac, <u32>(mac >> 32), waits);
}

/** NAT rewrote a packet of which `old` kept source or destination (manip 0 or 1): address low, port high. */
export function markNat(ns: NetNs, skb: Skb, manip: u32, hook: u32, old: u64): void {
  const now = natEnd(skb.nh, manip);
  if (now == old) return;
  const protocol: u32 = load<u8>(skb.nh, 9);
  mark(MARK_NAT, changetype<usize>(ns), skb.dev, skb, manip, <u32>old, <u32>(old >> 32), <u32>now, <u32>(now >> 32), hook, protocol);
}

/** One end of a packet as NAT sees it: address, and the port or ICMP id above it. */
export function natEnd(ip: usize, manip: u32): u64 {
  const address = bswap<u32>(load<u32>(ip + (manip == 0 ? 12 : 16)));
  const protocol: u32 = load<u8>(ip, 9);
  const later = (bswap<u16>(load<u16>(ip, 6)) & 0x1fff) != 0;
  if (later || (protocol != <u32>IPPROTO_TCP && protocol != <u32>IPPROTO_UDP && protocol != <u32>IPPROTO_SCTP && protocol != <u32>IPPROTO_ICMP)) return <u64>address;
  const th = ip + ((<usize>load<u8>(ip) & 15) << 2);
  const at = protocol == <u32>IPPROTO_ICMP ? th + 4 : manip == 0 ? th : th + 2;
  return <u64>address | (<u64>bswap<u16>(load<u16>(at)) << 32);
}

/** A rule, or a chain's policy (number 0), decided. `chain` holds its name, CHAIN_NAME bytes. */
export function markRule(ns: NetNs, skb: Skb, table: u32, hook: u32, target: u32, number: u32, chain: usize): void {
  const body = begin(skb, MARK_RULE, changetype<usize>(ns), skb.dev, skb.len, CHAIN_NAME);
  if (body == 0) return;
  words(body, table, hook, target, number, 0, 0, 0, 0);
  memory.copy(body + MARK_BODY, chain, CHAIN_NAME);
}

/** A socket, or the kernel, takes a packet whose skb.nh stands. */
export function markDeliver(skb: Skb, what: u32, localPort: u32, remotePort: u32): void {
  const ns = changetype<NetDev>(skb.dev).ns;
  mark(MARK_DELIVER, ns, skb.dev, skb, what, bswap<u32>(load<u32>(skb.nh, 16)), localPort, bswap<u32>(load<u32>(skb.nh, 12)), remotePort);
}
