/**
 * The leaf-spine underlay: a segment of several switches. Hosts hang on leaves; each leaf has a link to every spine.
 * A frame to another leaf takes the spine that a hash of its flow picks among those that both leaves reach (ECMP), and
 * waits in two more queues than on a flat segment: at its leaf's link to the spine, and at the spine's link to the
 * other leaf. The switches cut through: a link adds time only while it still sends what came before (as a port's
 * receiving side does, underlay.ts), and drops at the tail when more than its limit waits.
 *
 *   nicXmit ── sender's latency ──▶ leaf a: link to spine s ── its latency ──▶ spine s: link to leaf b ──┐
 *   frameArrived ◀── receiver's latency ───────────────────────────────────────────── its latency ◀──────┘
 *
 * The links of leaf a up to the spines belong to the worker of leaf a's hosts, those of the spines down to leaf b to
 * the worker of leaf b's hosts; all hosts of a leaf are in one worker. So a frame has an event at each of the two
 * links, and changes workers between them at most once.
 *
 * A queue in order of arrival may be served before the arrivals, as long as nobody can still come in between. No frame
 * gets to a leaf in less than `lead`, the least latency of the leaf's hosts, after its last bit has left its NIC; so
 * the leaf's links are served `lead` early, at the same distance for all frames: the order is that of the arrivals.
 * In the same way a spine's link is served late, at the earliest time when the frame may be at a host of the leaf.
 * Both make the time longer between the event in which a worker lets a frame go and the first event of the receiving
 * worker: it is lead(a) + 2 latencies + lead(b), the whole way of an unhindered frame between the leaves' nearest hosts
 * (oneWayDelay in src/scheduler/topology.ts). And where all hosts of a leaf have the same latency, an unhindered
 * frame needs no third event at its port.
 *
 * A latency that a fault lowers makes `lead` shorter; it never grows again, since frames under way keep to theirs.
 */
import { DROP_WIRE_DOWN, DROP_WIRE_FILTER, DROP_WIRE_LOSS, DROP_WIRE_NO_PORT, DROP_WIRE_PARTITION, DROP_WIRE_QUEUE } from "../abi";
import { jhash3 } from "../hash/jhash";
import { kfree, kmalloc } from "../memory/arena";
import { Skb, arriveSkb, copySkb, departSkb, dropSkb, freeOnWire, releaseSent, transferSkb } from "../memory/skb";
import { EV_DOWNLINK, EV_FRAME, EV_UPLINK, ORDER_PACKET, nextTie, now, schedule } from "../sim/event";
import { Host, wireRand32 } from "../sim/host";
import { ARPOP_REQUEST, ARP_HLEN, arpOp, arpTip } from "../wire/arp";
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, ethType } from "../wire/ethernet";
import { outboxPut } from "./outbox";
import { Port, Segment, addressFind, addressInsert, ownWorker, portAt, segmentOf } from "./port";
import { filtered, frameArrived, send, wireLoses, wireSize } from "./underlay";

/** A leaf-spine segment. */
@unmanaged
export class Fabric {
  /** Of the hash that picks spines. */
  seed: u32;
  spines: u32;
  /** Least delay that a link ever had, ns. */
  latency: i64;
  rate: u64; // of each link, bits a second
  queue: u32; // of each link, bytes on the wire that may wait
  leaves: usize; // array of Leaf pointers
  leafCount: u32;
}

/** A leaf switch. */
@unmanaged
export class Leaf {
  fabric: usize; // Fabric
  /** A bit for each spine whose link is up. */
  live: u64;
  /** Least latency that a host of the leaf ever had, ns. */
  lead: i64;
  firstPort: usize; // Port, 0 = no host
  lastPort: usize;
  links: usize; // array of FabricLink: to spine s at 2 s, from spine s at 2 s + 1
}

/** One direction of a link between a leaf and a spine. */
@unmanaged
export class FabricLink {
  delay: i64; // ns
  loss: u32; // probability as a fraction of 2^32
  peak: u32; // most bytes that have waited
  // Until when it sends: ns, and the rest as a fraction of its rate.
  busy: i64;
  rest: u64;
  frames: u64;
  bytes: u64; // on the wire
  drops: u64; // for want of room
}

/** With the sender's port in Skb.cb1: a copy for all hosts of the leaf. */
const FLOODED: u32 = 0x80000000;

/** The i-th leaf, made with its links when it is new. */
function leafAt(fabric: Fabric, index: u32): Leaf {
  if (index >= fabric.leafCount) {
    let count: u32 = fabric.leafCount == 0 ? 8 : fabric.leafCount;
    while (count <= index) count *= 2;
    const grown = kmalloc(<usize>count << 2);
    if (fabric.leafCount != 0) {
      memory.copy(grown, fabric.leaves, <usize>fabric.leafCount << 2);
      kfree(fabric.leaves, <usize>fabric.leafCount << 2);
    }
    fabric.leaves = grown;
    fabric.leafCount = count;
  }
  const at = fabric.leaves + (<usize>index << 2);
  if (load<u32>(at) == 0) {
    const leaf = changetype<Leaf>(kmalloc(offsetof<Leaf>()));
    leaf.fabric = changetype<usize>(fabric);
    leaf.live = allSpines(fabric);
    leaf.lead = i64.MAX_VALUE;
    leaf.links = kmalloc(<usize>fabric.spines * 2 * offsetof<FabricLink>());
    for (let i: u32 = 0; i < fabric.spines * 2; i++) linkAt(leaf, i).delay = fabric.latency;
    store<u32>(at, <u32>changetype<usize>(leaf));
  }
  return changetype<Leaf>(<usize>load<u32>(at));
}

@inline
function linkAt(leaf: Leaf, index: u32): FabricLink {
  return changetype<FabricLink>(leaf.links + <usize>index * offsetof<FabricLink>());
}

/** The bits of all spines. */
@inline
function allSpines(fabric: Fabric): u64 {
  return u64.MAX_VALUE >> <u64>(64 - fabric.spines);
}

/** Makes a segment, which has no port yet, one of leaves and spines. */
export function fabricCreate(segment: u32, seed: u32, spines: u32, latency: i64, rate: u64, queue: u32): void {
  assert(spines >= 1 && spines <= 64, "spines");
  assert(rate != 0, "a link's rate");
  const fabric = changetype<Fabric>(kmalloc(offsetof<Fabric>()));
  fabric.seed = seed;
  fabric.spines = spines;
  fabric.latency = latency;
  fabric.rate = rate;
  fabric.queue = queue;
  const place = segmentOf(segment);
  assert(place.first == 0 && place.fabric == 0, "a fabric is made before its ports");
  place.fabric = changetype<usize>(fabric);
}

/** Plugs a new port into a leaf, which learns its host's address (0 = none). */
export function fabricPlug(port: Port, index: u32, address: u32): void {
  const fabric = changetype<Segment>(port.segmentAt).fabric;
  assert(fabric != 0 && port.leaf == 0, "a new port of a fabric");
  const leaf = leafAt(changetype<Fabric>(fabric), index);
  port.leaf = changetype<usize>(leaf);
  if (leaf.lastPort == 0) leaf.firstPort = changetype<usize>(port);
  else {
    const last = changetype<Port>(leaf.lastPort);
    assert(last.worker == port.worker, "all hosts of a leaf are in one worker");
    last.leafNext = changetype<usize>(port);
  }
  leaf.lastPort = changetype<usize>(port);
  leafLatency(port);
  if (address != 0) addressInsert(port, address);
}

/** A port of a leaf has another latency. */
export function leafLatency(port: Port): void {
  const leaf = changetype<Leaf>(port.leaf);
  if (port.delay < leaf.lead) leaf.lead = port.delay;
}

/** Changes a link between a leaf and a spine, both its directions. */
export function fabricLinkSet(segment: u32, index: u32, spine: u32, down: bool, latency: i64, loss: u32): void {
  const fabric = changetype<Fabric>(segmentOf(segment).fabric);
  const leaf = leafAt(fabric, index);
  assert(spine < fabric.spines, "a spine's number");
  const bit = <u64>1 << <u64>spine;
  leaf.live = down ? leaf.live & ~bit : leaf.live | bit;
  if (latency < fabric.latency) fabric.latency = latency;
  for (let i = spine * 2; i < spine * 2 + 2; i++) {
    linkAt(leaf, i).delay = latency;
    linkAt(leaf, i).loss = loss;
  }
}

/** A direction of a link: `way` 0 from the leaf to the spine, 1 back. */
export function fabricLink(segment: u32, index: u32, spine: u32, way: u32): FabricLink {
  return linkAt(leafAt(changetype<Fabric>(segmentOf(segment).fabric), index), spine * 2 + way);
}

// ---------------------------------------------------------------------------------------------- sending

/** Puts a frame on its way to another leaf: to port `to`, or with `flood` to all ports of that port's leaf. */
export function fabricSend(from: Port, to: Port, skb: Skb, departure: i64, tie: u64, flood: u32): void {
  const lead = changetype<Leaf>(from.leaf).lead;
  skb.dev = 0;
  skb.inPort = 0;
  skb.cb0 = to.id;
  skb.cb1 = from.id | flood;
  skb.cb2 = <u32>lead;
  skb.evKind = EV_UPLINK;
  schedule(changetype<usize>(skb), departure + from.delay - lead, tie);
}

/**
 * A frame for everybody, or for an address that no port was made with: to the other ports of the leaf, and one copy to
 * each other leaf, which makes more of it (ingress replication, RFC 7432 §11). An ARP request goes to its target alone
 * where the leaves know it (RFC 9161 §3.3, unicast-forward), unless that is the sender itself.
 */
export function fabricFlood(from: Port, skb: Skb, departure: i64): void {
  const target = arpTargetPort(from, skb);
  if (target != 0 && target != changetype<usize>(from)) {
    send(from, changetype<Port>(target), skb, departure);
    return;
  }
  let last: usize = 0;
  for (let p = changetype<Leaf>(from.leaf).firstPort; p != 0; p = changetype<Port>(p).leafNext) {
    if (p == changetype<usize>(from)) continue;
    if (last != 0) send(from, changetype<Port>(last), copySkb(skb), departure);
    last = p;
  }
  const fabric = changetype<Fabric>(changetype<Leaf>(from.leaf).fabric);
  for (let i: u32 = 0; i < fabric.leafCount; i++) {
    const leaf = <usize>load<u32>(fabric.leaves + (<usize>i << 2));
    if (leaf == 0 || leaf == from.leaf || changetype<Leaf>(leaf).firstPort == 0) continue;
    if (last != 0) floodOne(from, changetype<Port>(last), copySkb(skb), departure);
    last = changetype<Leaf>(leaf).firstPort;
  }
  if (last != 0) floodOne(from, changetype<Port>(last), skb, departure);
  else dropSkb(skb, DROP_WIRE_NO_PORT);
}

/** A copy to a port of the own leaf, or to a whole other one. */
function floodOne(from: Port, to: Port, skb: Skb, departure: i64): void {
  if (to.leaf == from.leaf) send(from, to, skb, departure);
  else if (from.filters != 0 && filtered(from, skb)) dropSkb(skb, DROP_WIRE_FILTER);
  else fabricSend(from, to, skb, departure, nextTie(changetype<Host>(skb.host), ORDER_PACKET), FLOODED);
}

/** The port that an ARP request asks for, 0 when it is none or the leaves don't know it. */
function arpTargetPort(from: Port, skb: Skb): usize {
  if (ethType(skb.data) != ETH_P_ARP || skb.len < ETH_HLEN + ARP_HLEN) return 0;
  const arp = skb.data + ETH_HLEN;
  return arpOp(arp) == ARPOP_REQUEST ? addressFind(from.segment, arpTip(arp)) : 0;
}

// ---------------------------------------------------------------------------------------------- switches

/**
 * What a switch hashes to tell flows apart: both addresses, the protocol, and the ports of TCP, UDP and SCTP, so that
 * the source ports of VXLAN spread its flows (RFC 7348 §5). Not an ESP packet's SPI: switches hash the IP header alone
 * unless told otherwise (Nokia 7750 SR, "SPI load balancing"), so all that two hosts say to each other in an encrypted
 * overlay takes one way. Fragments go by their addresses, all of them, and what isn't IPv4 by its MAC addresses.
 */
function flowHash(skb: Skb, seed: u32): u32 {
  const frame = skb.data;
  const type = ethType(frame);
  if (type != ETH_P_IP || skb.len < ETH_HLEN + 20)
    return jhash3(load<u32>(frame), load<u32>(frame, 4), load<u32>(frame, 8), seed + type);
  const ip = frame + ETH_HLEN;
  const protocol = <u32>load<u8>(ip, 9);
  let ports: u32 = 0;
  if ((protocol == 17 || protocol == 6 || protocol == 132) && (bswap<u16>(load<u16>(ip, 6)) & 0x3fff) == 0) {
    const header = <u32>(load<u8>(ip) & 15) << 2;
    if (header >= 20 && skb.len >= ETH_HLEN + header + 4) ports = load<u32>(ip + header);
  }
  return jhash3(load<u32>(ip, 12), load<u32>(ip, 16), ports, seed + protocol);
}

/** The spine for a hash among those that are live; there is one. */
function pickSpine(live: u64, hash: u32): u32 {
  let nth = <u32>((<u64>hash * popcnt<u64>(live)) >> 32);
  for (; nth != 0; nth--) live &= live - 1;
  return <u32>ctz<u64>(live);
}

/**
 * A link gets a frame whose last bit is there at `at`: returns when the last bit has left, or -1 when there was no room.
 * It began one serialisation ago, or when the one before it ended (received() in underlay.ts).
 */
function serve(fabric: Fabric, link: FabricLink, at: i64, size: u32): i64 {
  const rate = fabric.rate;
  const bits = <u64>size * 8_000_000_000 + link.rest;
  const whole = bits / rate;
  const end = link.busy + <i64>whole;
  let out = at;
  if (end < at) {
    link.busy = at;
    link.rest = 0;
  } else {
    const waiting = <f64>(end - at) * <f64>rate / 8e9;
    if (waiting > <f64>fabric.queue) {
      link.drops++;
      return -1;
    }
    if (waiting > <f64>link.peak) link.peak = <u32>waiting;
    link.busy = end;
    link.rest = bits - whole * rate;
    if (end != at) out = end + <i64>(link.rest != 0);
  }
  link.frames++;
  link.bytes += size;
  return out;
}

/** EV_UPLINK: a frame gets to its leaf, in Skb.cb2 ns; cb0 where to, cb1 where from. */
export function uplinkArrived(skb: Skb): void {
  const to = portAt(skb.cb0);
  const leaf = changetype<Leaf>(portAt(skb.cb1 & ~FLOODED).leaf);
  const far = changetype<Leaf>(to.leaf);
  const fabric = changetype<Fabric>(leaf.fabric);
  const live = leaf.live & far.live;
  if (live == 0) {
    dropSkb(skb, DROP_WIRE_DOWN);
    return;
  }
  const spine = pickSpine(live, flowHash(skb, fabric.seed));
  const link = linkAt(leaf, spine * 2);
  const out = serve(fabric, link, now + <i64>skb.cb2, wireSize(skb.len));
  if (out < 0) {
    dropSkb(skb, DROP_WIRE_QUEUE);
    return;
  }
  if (link.loss != 0 && wireRand32(changetype<Host>(skb.host)) < link.loss) {
    dropSkb(skb, DROP_WIRE_LOSS);
    return;
  }
  const late = fabric.latency + far.lead;
  const due = out + link.delay + late;
  skb.cb2 = <u32>late;
  skb.cb3 = spine;
  if (to.worker == ownWorker) {
    skb.evKind = EV_DOWNLINK;
    departSkb(skb);
    schedule(changetype<usize>(skb), due, skb.evTie);
  } else outboxPut(to, skb, due, skb.evTie, spine + 1);
}

/** EV_DOWNLINK: a frame was at spine cb3 cb2 ns ago. From here on it is the receiver's: what it drops is counted there. */
export function downlinkArrived(skb: Skb): void {
  const to = portAt(skb.cb0);
  if (to.host == 0) {
    freeOnWire(skb);
    return;
  }
  const host = changetype<Host>(to.host);
  arriveSkb(skb, host);
  const leaf = changetype<Leaf>(to.leaf);
  const spine = skb.cb3;
  if (!((leaf.live >> <u64>spine) & 1)) {
    dropSkb(skb, DROP_WIRE_DOWN);
    return;
  }
  const link = linkAt(leaf, spine * 2 + 1);
  const out = serve(changetype<Fabric>(leaf.fabric), link, now - <i64>skb.cb2, wireSize(skb.len));
  if (out < 0) {
    dropSkb(skb, DROP_WIRE_QUEUE);
    return;
  }
  if (link.loss != 0 && wireRand32(host) < link.loss) {
    dropSkb(skb, DROP_WIRE_LOSS);
    return;
  }
  const at = out + link.delay;
  if (skb.cb1 & FLOODED) replicate(leaf, skb, at);
  else arrive(skb, at + to.delay);
}

/** The frame is at its port at `at`, which a latency that has just fallen may have put into the past. */
@inline
function arrive(skb: Skb, at: i64): void {
  skb.cb1 = 0;
  skb.evKind = EV_FRAME;
  if (at <= now) frameArrived(skb);
  else schedule(changetype<usize>(skb), at, skb.evTie);
}

/** A flooded frame is at its leaf at `at`: a copy for each port. */
function replicate(leaf: Leaf, skb: Skb, at: i64): void {
  const from = portAt(skb.cb1 & ~FLOODED);
  let p = leaf.firstPort;
  for (let next = changetype<Port>(p).leafNext; next != 0; next = changetype<Port>(p).leafNext) {
    replicateTo(from, changetype<Port>(p), copySkb(skb), at);
    p = next;
  }
  replicateTo(from, changetype<Port>(p), skb, at);
}

/** The checks that send() in underlay.ts makes for other frames, by the receiver. */
function replicateTo(from: Port, to: Port, skb: Skb, at: i64): void {
  if (to.host == 0) {
    releaseSent(skb);
    return;
  }
  const host = changetype<Host>(to.host);
  if (skb.host != to.host) transferSkb(skb, host);
  if (from.group != to.group) {
    dropSkb(skb, DROP_WIRE_PARTITION);
    return;
  }
  if (to.filters != 0 && filtered(to, skb)) {
    dropSkb(skb, DROP_WIRE_FILTER);
    return;
  }
  if (wireLoses(from, to, host)) {
    dropSkb(skb, DROP_WIRE_LOSS);
    return;
  }
  // An event of its own, though it may be due now: each host's programs run before the next one's frame.
  skb.cb0 = to.id;
  skb.cb1 = 0;
  skb.evKind = EV_FRAME;
  schedule(changetype<usize>(skb), at + to.delay > now ? at + to.delay : now, nextTie(host, ORDER_PACKET));
}
