/**
 * Packet buffers: one record and its bytes in one block, with headroom so that VXLAN and ESP prepend their
 * headers in place. A packet is handed on by pointer from device to device, host to host; it is copied only
 * when a bridge floods it, a capture records it, or it leaves for another worker.
 *
 *   block:  | Skb record (SKB_SIZE) | headroom | packet bytes … | tail room (SKB_TAIL) |
 *                                   ^head      ^data  … data+len                       ^end
 *
 * Each buffer ends in exactly one of two ways: consumeSkb (delivered) or dropSkb (with a reason), so that
 * made + arrived = delivered + dropped + sent + live holds per host at every moment.
 */
import { DROP_REASONS } from "../abi";
import { noteDrop } from "../link/drops";
import { markDrop, marking } from "../link/marks";
import { Ct, ctPut } from "../netfilter/conntrack";
import { EventNode } from "../sim/event";
import { Host } from "../sim/host";
import { Sock, sockUncharge } from "../socket/socket";
import { kfree, kmallocRaw } from "./arena";

/** Room in front of the data of a packet that a socket builds: Ethernet + IP + UDP + VXLAN + Ethernet, ESP, alignment. */
export const SKB_HEADROOM: u32 = 192;
/** Room behind the data: SIMD loops may read and write this far past the end; ESP's trailer fits too. */
const SKB_TAIL: u32 = 64;

// Skb.flags
/** The transport checksum is known to be right (we computed it, and nobody touched the packet since). */
export const SKB_CSUM_OK: u32 = 1;
/** IPVS has handled the packet (ipvs_property). */
export const SKB_IPVS: u32 = 2;
/** The flow hash in `hash` is set. */
export const SKB_HASHED: u32 = 4;
/** The hash came from a socket (l4_hash): kept across veth and bridge. */
export const SKB_L4_HASH: u32 = 8;
/** Came out of IPsec (has a security path). */
export const SKB_SECPATH: u32 = 16;
/** NAT or mangle changed what routing depends on: route again. */
export const SKB_REROUTE: u32 = 32;
/** IP may fragment it here although it has DF (IPSKB_FRAG…): local "ignore df". */
export const SKB_IGNORE_DF: u32 = 64;
/** Reassembled by conntrack: may be fragmented again to `fragMax`. */
export const SKB_FRAG_REASM: u32 = 128;
/** Went through the IPv4 hooks as a bridged frame (nf_bridge). */
export const SKB_NF_BRIDGED: u32 = 256;
/** IPsec has done its work on it on this way out (IPSKB_XFRM_TRANSFORMED). */
export const SKB_XFRM_DONE: u32 = 512;

/** Skb.pktType (include/uapi/linux/if_packet.h) */
export const PACKET_HOST: u32 = 0;
export const PACKET_BROADCAST: u32 = 1;
export const PACKET_MULTICAST: u32 = 2;
export const PACKET_OTHERHOST: u32 = 3;
export const PACKET_OUTGOING: u32 = 4;

/** A packet buffer: this record, head room, data, tail room in one block (struct sk_buff). */
@unmanaged
export class Skb extends EventNode {
  next: u32; // link in whatever queue holds it
  size: u32; // of the block
  data: usize;
  len: u32;
  mac: usize; // Ethernet header
  nh: usize; // IP header
  th: usize; // transport header
  dev: usize; // NetDev: the one it came in by, or leaves by
  host: usize;
  flags: u32;
  pktType: u32;
  protocol: u32; // ethertype, host order
  mark: u32;
  hash: u32;
  priority: u32;
  // Connection tracking: entry and CT_* state; 0 = none.
  ct: usize;
  ctInfo: u32;
  // Route (inet/route): output device, next hop, and what it allows.
  rtDev: usize;
  rtNextHop: u32;
  rtType: u32; // RTN_*; 0 = not routed
  rtMtu: u32;
  sk: usize; // socket it belongs to (write-memory accounting), 0 = none
  truesize: u32; // charged to the socket
  fragMax: u32; // largest received fragment, of a reassembled packet
  inPort: usize; // bridge port it came in by (br_netfilter, learning)
  cb0: u32; // scratch of the layer that holds it
  cb1: u32;
  cb2: u32;
  cb3: u32;
  /** Policy (xfrm/) that applies to it on the way out, between route and dst_output; 0 = none. */
  xfrm: usize;
  time: i64; // virtual time of receive or transmit, set by the NIC and by sockets
  /** Who it is for those who watch (link/marks.ts): kept by copies, fragments, tunnels and wires. 0: nobody has seen it yet. */
  journey: u64;
}

const SKB_SIZE: usize = offsetof<Skb>();

/** First byte that can be used in front of the data. */
@inline
function skbHead(skb: Skb): usize {
  return changetype<usize>(skb) + SKB_SIZE;
}

/**
 * What a packet of `len` bytes counts against a limit of memory (skb->truesize): the block that it would have if it had been
 * made here. Not the size of the block that it has, which depends on whether it came from another worker.
 */
export function skbCost(len: u32): u32 {
  const size = <u32>SKB_SIZE + SKB_HEADROOM + len + SKB_TAIL;
  return size <= 512 ? 512 : size <= 2048 ? 2048 : size;
}

/** Bytes free in front of the data. */
@inline
export function skbHeadroom(skb: Skb): u32 {
  return <u32>(skb.data - skbHead(skb));
}

/** Zeroes the record: V8 calls out for memory.fill, which costs more than these stores. */
@inline
function clearRecord(block: usize): void {
  const zero = i64x2.splat(0);
  for (let at: usize = 0; at < SKB_SIZE; at += 32) {
    // The last step reaches into the headroom at most.
    v128.store(block + at, zero);
    v128.store(block + at, zero, 16);
  }
}

/** An empty buffer that belongs to nobody. */
function allocBuffer(headroom: u32, room: u32): Skb {
  let size = <u32>SKB_SIZE + headroom + room + SKB_TAIL;
  // Two classes cover nearly all packets, so that their free lists stay warm.
  if (size <= 512) size = 512;
  else if (size <= 2048) size = 2048;
  const block = kmallocRaw(size);
  clearRecord(block);
  const skb = changetype<Skb>(block);
  skb.size = size;
  skb.data = block + SKB_SIZE + headroom;
  return skb;
}

/** An empty buffer with `headroom` bytes in front and space for `room` bytes. */
export function allocSkb(host: Host, headroom: u32, room: u32): Skb {
  const skb = allocBuffer(headroom, room);
  skb.host = changetype<usize>(host);
  host.skbMade++;
  host.skbLive++;
  return skb;
}

/** A copy with the same headroom: record and bytes (skb_copy). Its route, conntrack reference and socket are not taken along. */
export function copySkb(skb: Skb): Skb {
  const headroom = skbHeadroom(skb);
  const copy = allocSkb(changetype<Host>(skb.host), headroom < SKB_HEADROOM ? SKB_HEADROOM : headroom, skb.len);
  memory.copy(copy.data, skb.data, skb.len);
  copy.len = skb.len;
  copyRecord(copy, skb);
  return copy;
}

/** What a copy's record says of its bytes, wherever they lie now; not its route, conntrack reference and socket. */
function copyRecord(copy: Skb, skb: Skb): void {
  const shift = copy.data - skb.data;
  if (skb.mac != 0) {
    // The Ethernet header stands before the data once it was pulled.
    if (skb.mac < skb.data) memory.copy(skb.mac + shift, skb.mac, skb.data - skb.mac);
    copy.mac = skb.mac + shift;
  }
  if (skb.nh != 0) copy.nh = skb.nh + shift;
  if (skb.th != 0) copy.th = skb.th + shift;
  copy.dev = skb.dev;
  copy.flags = skb.flags;
  copy.pktType = skb.pktType;
  copy.protocol = skb.protocol;
  copy.mark = skb.mark;
  copy.hash = skb.hash;
  copy.priority = skb.priority;
  copy.inPort = skb.inPort;
  copy.fragMax = skb.fragMax;
  copy.time = skb.time;
  copy.journey = skb.journey;
}

/** Makes room for `need` more bytes in front; returns the same buffer, or a copy with more headroom (the old one is gone). */
export function ensureHeadroom(skb: Skb, need: u32): Skb {
  if (skbHeadroom(skb) >= need) return skb;
  const copy = copySkb(skb);
  assert(skbHeadroom(copy) >= need, "headroom");
  moveReferences(copy, skb);
  // The same packet in another buffer: counted once, whatever room its first buffer had.
  changetype<Host>(skb.host).skbMade--;
  release(skb);
  return copy;
}

/** Makes room for `need` bytes behind the data, the tail room included; returns the same buffer, or a copy (the old one is gone). */
export function growTail(skb: Skb, need: u32): Skb {
  const end = changetype<usize>(skb) + skb.size;
  if (skb.data + skb.len + need <= end) return skb;
  const length = skb.len;
  // copySkb makes room for the length that it is told.
  const copy = allocSkb(changetype<Host>(skb.host), skbHeadroom(skb), length + need);
  memory.copy(copy.data, skb.data, length);
  copy.len = length;
  copyRecord(copy, skb);
  moveReferences(copy, skb);
  changetype<Host>(skb.host).skbMade--;
  release(skb);
  return copy;
}

/** Hands the references that copySkb leaves behind to the copy. */
function moveReferences(to: Skb, from: Skb): void {
  to.ct = from.ct;
  to.ctInfo = from.ctInfo;
  from.ct = 0;
  to.rtDev = from.rtDev;
  to.rtNextHop = from.rtNextHop;
  to.rtType = from.rtType;
  to.rtMtu = from.rtMtu;
  to.sk = from.sk;
  to.truesize = from.truesize;
  from.sk = 0;
}

/** Prepends `bytes` and returns the new start. The caller has ensured the headroom. */
@inline
export function skbPush(skb: Skb, bytes: u32): usize {
  skb.data -= bytes;
  skb.len += bytes;
  return skb.data;
}

/** Removes `bytes` from the front. The caller has checked the length. */
@inline
export function skbPull(skb: Skb, bytes: u32): usize {
  skb.data += bytes;
  skb.len -= bytes;
  return skb.data;
}

/** Appends `bytes` and returns where they start. The caller knows that they fit. */
@inline
export function skbPut(skb: Skb, bytes: u32): usize {
  const at = skb.data + skb.len;
  skb.len += bytes;
  return at;
}

/** Forgets the connection (nf_reset_ct). */
@inline
export function resetCt(skb: Skb): void {
  if (skb.ct != 0) {
    ctPut(changetype<Ct>(skb.ct));
    skb.ct = 0;
  }
  skb.ctInfo = 0;
}

/** Gives write memory back to the sending socket (skb_orphan). */
export function orphanSkb(skb: Skb): void {
  if (skb.sk != 0) {
    sockUncharge(changetype<Sock>(skb.sk), skb.truesize);
    skb.sk = 0;
  }
}

/** Forgets the route. */
@inline
export function dropRoute(skb: Skb): void {
  skb.rtType = 0;
  skb.rtDev = 0;
  skb.rtNextHop = 0;
}

function release(skb: Skb): void {
  if (skb.ct != 0) resetCt(skb);
  if (skb.sk != 0) orphanSkb(skb);
  changetype<Host>(skb.host).skbLive--;
  kfree(changetype<usize>(skb), skb.size);
}

/** The packet was delivered, or handed on in another form: frees the buffer. */
export function consumeSkb(skb: Skb): void {
  changetype<Host>(skb.host).skbDone++;
  release(skb);
}

/** The packet ends here for a reason (DROP_*): counts it and frees the buffer. */
export function dropSkb(skb: Skb, reason: u32): void {
  const host = changetype<Host>(skb.host);
  assert(reason < <u32>DROP_REASONS, "drop reason");
  host.skbDropped++;
  const counter = host.drops + (<usize>reason << 3);
  store<u64>(counter, load<u64>(counter) + 1);
  noteDrop(skb, reason);
  if (marking) markDrop(skb, reason);
  release(skb);
}

/** Moves a buffer's accounting to another host at once. */
export function transferSkb(skb: Skb, to: Host): void {
  departSkb(skb);
  arriveSkb(skb, to);
}

/**
 * A frame leaves its host. On the wire it belongs to nobody, whether sender and receiver share a worker or not, so that
 * counters are the same at any time for any number of workers.
 */
export function departSkb(skb: Skb): void {
  const from = changetype<Host>(skb.host);
  from.skbSent++;
  from.skbLive--;
  skb.host = 0;
}

/** A frame has come over the wire to a host. */
export function arriveSkb(skb: Skb, to: Host): void {
  to.skbArrived++;
  to.skbLive++;
  skb.host = changetype<usize>(to);
}

/** A frame on the wire that gets nowhere. */
export function freeOnWire(skb: Skb): void {
  assert(skb.host == 0 && skb.ct == 0 && skb.sk == 0, "a frame on the wire");
  kfree(changetype<usize>(skb), skb.size);
}

/** A frame leaves its host; another worker carries it on in a buffer of its own. */
export function releaseSent(skb: Skb): void {
  changetype<Host>(skb.host).skbSent++;
  release(skb);
}

/** A buffer for a frame on the wire that came from another worker's host. */
export function allocOnWire(len: u32): Skb {
  const skb = allocBuffer(SKB_HEADROOM, len);
  skb.len = len;
  return skb;
}
