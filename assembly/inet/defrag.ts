/**
 * Reassembly (net/ipv4/ip_fragment.c, inet_fragment.c). Fragments wait in a list in order of their offsets;
 * exact duplicates are dropped, an overlap discards the whole datagram (RFC 5722's rule, used for IPv4 too).
 *
 *   a waiting fragment: skb.data at its payload, cb0 = offset, cb1 = end, nh = its IP header, next = the one behind
 */
import {
  DROP_FRAG_DUP, DROP_FRAG_OVERLAP, DROP_FRAG_REASM_TIMEOUT, DROP_FRAG_TOO_FAR, DROP_IP_INHDR, DROP_NS_GONE, RTN_LOCAL, SYS_IPFRAG_HIGH_THRESH,
  SYS_IPFRAG_MAX_DIST, SYS_IPFRAG_TIME, MARK_REASSEMBLED,
} from "../abi";
import { mark, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableInsert, tableRemove } from "../memory/hashtable";
import { SKB_CSUM_OK, SKB_FRAG_REASM, SKB_IGNORE_DF, SKB_HEADROOM, Skb, allocSkb, consumeSkb, dropSkb, orphanSkb, skbPull, skbPut, skbCost } from "../memory/skb";
import { now } from "../sim/event";
import { Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { ICMP_EXC_FRAGTIME, ICMP_TIME_EXCEEDED } from "../wire/icmp";
import { IP_DF, IP_MF, IP_OFFSET, ipDst, ipFrag, ipHlen, ipId, ipProtocol, ipSendCheck, ipSrc, ipTos } from "../wire/ipv4";
import { icmpSend } from "./icmp";
import { InetNs, inetOf, sysctl } from "./inet";
import { peerNextRid } from "./peer";
import { InRoute, routeInput } from "./route-input";
import { SNMP_IPEXT_REASM_OVERLAPS, SNMP_IP_REASM_FAILS, SNMP_IP_REASM_OKS, SNMP_IP_REASM_REQDS, SNMP_IP_REASM_TIMEOUT, snmpInc } from "./snmp";

/** Users of reassembly (enum ip_defrag_users): each has queues of its own. */
export const FRAG_LOCAL_DELIVER: u32 = 0;
export const FRAG_CONNTRACK_IN: u32 = 2;
export const FRAG_CONNTRACK_OUT: u32 = 3;
export const FRAG_VS_FWD: u32 = 6;

const FIRST_IN: u32 = 1;
const LAST_IN: u32 = 2;

@unmanaged
class FragQueue extends Timer {
  hnext: u32;
  hhash: u32;
  ns: usize;
  /** List of all queues of the namespace. */
  nsNext: usize;
  src: u32;
  dst: u32;
  id: u32;
  protocol: u32;
  user: u32;
  flags: u32;
  /** Length of the datagram's payload as far as known, and bytes here. */
  total: u32;
  meat: u32;
  memory: u32;
  maxSize: u32; // largest fragment, header included
  maxDfSize: u32; // … of those with DF
  ecn: u32;
  head: usize;
  /** How many fragments its source had sent when the last one of this datagram came (ip_frag_too_far). */
  rid: u32;
}

const LINK: usize = offsetof<FragQueue>("hnext");

@inline
function hashOf(src: u32, dst: u32, id: u32, protocol: u32): u32 {
  const h = (src ^ rotl<u32>(dst, 11) ^ (id << 8) ^ protocol) * 0x9e3779b1;
  return h ^ (h >> 15);
}

function find(ns: NetNs, ip: usize, user: u32): usize {
  const src = ipSrc(ip);
  const dst = ipDst(ip);
  const id = ipId(ip);
  const protocol = ipProtocol(ip);
  const hash = hashOf(src, dst, id, protocol);
  for (let p = tableFirst(inetOf(ns).frags, hash); p != 0; p = linkNext(p)) {
    const queue = changetype<FragQueue>(p - LINK);
    if (queue.id == id && queue.src == src && queue.dst == dst && queue.protocol == protocol && queue.user == user) return p - LINK;
  }
  return 0;
}

function make(ns: NetNs, ip: usize, user: u32): FragQueue {
  const inet = inetOf(ns);
  const queue = changetype<FragQueue>(kmalloc(offsetof<FragQueue>()));
  timerInit(queue, nsHost(ns), changetype<usize>(expire), changetype<usize>(queue));
  queue.ns = changetype<usize>(ns);
  queue.src = ipSrc(ip);
  queue.dst = ipDst(ip);
  queue.id = ipId(ip);
  queue.protocol = ipProtocol(ip);
  queue.user = user;
  queue.nsNext = inet.fragHead;
  inet.fragHead = changetype<usize>(queue);
  tableInsert(inet.frags, changetype<usize>(queue) + LINK, hashOf(queue.src, queue.dst, queue.id, queue.protocol));
  timerMod(queue, now + <i64>sysctl(ns, SYS_IPFRAG_TIME) * 1_000_000_000);
  return queue;
}

/** Takes a queue out and frees it, its fragments dropped for that reason. */
function kill(queue: FragQueue, reason: u32): void {
  const inet = inetOf(changetype<NetNs>(queue.ns));
  timerDel(queue);
  tableRemove(inet.frags, changetype<usize>(queue) + LINK);
  let at = changetype<usize>(inet) + offsetof<InetNs>("fragHead");
  while (<usize>load<u32>(at) != changetype<usize>(queue)) at = <usize>load<u32>(at) + offsetof<FragQueue>("nsNext");
  store<u32>(at, <u32>queue.nsNext);
  inet.fragMem -= queue.memory;
  let p = queue.head;
  while (p != 0) {
    const skb = changetype<Skb>(p);
    p = <usize>skb.next;
    dropSkb(skb, reason);
  }
  kfree(changetype<usize>(queue), offsetof<FragQueue>());
}

/** ip_expire: an end host whose datagram lacks a later fragment tells the sender. */
function expire(arg: usize): void {
  const queue = changetype<FragQueue>(arg);
  const ns = changetype<NetNs>(queue.ns);
  snmpInc(ns, SNMP_IP_REASM_FAILS);
  snmpInc(ns, SNMP_IP_REASM_TIMEOUT);
  if (queue.flags & FIRST_IN && queue.head != 0) {
    const first = changetype<Skb>(queue.head);
    queue.head = <usize>first.next;
    queue.memory -= skbCost(first.cb1 - first.cb0);
    inetOf(ns).fragMem -= skbCost(first.cb1 - first.cb0);
    const error = routeInput(ns, changetype<NetDev>(first.dev), queue.dst, queue.src, false);
    if (error == 0 && (queue.user == FRAG_LOCAL_DELIVER || InRoute.type == RTN_LOCAL)) {
      first.len += <u32>(first.data - first.nh);
      first.data = first.nh;
      first.rtType = InRoute.type;
      first.rtDev = InRoute.outDev;
      icmpSend(first, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0);
    }
    dropSkb(first, DROP_FRAG_REASM_TIMEOUT);
  }
  kill(queue, DROP_FRAG_REASM_TIMEOUT);
}

/** Fragments of a device that goes, or of a namespace. */
export function defragPurgeDev(ns: NetNs, dev: usize): void {
  let p = inetOf(ns).fragHead;
  while (p != 0) {
    const queue = changetype<FragQueue>(p);
    p = queue.nsNext;
    for (let q = queue.head; q != 0; q = <usize>changetype<Skb>(q).next) {
      if (changetype<Skb>(q).dev != dev) continue;
      kill(queue, DROP_NS_GONE);
      break;
    }
  }
}

/** Frees the reassembly queues of a namespace that goes (fqdir_exit). */
export function defragPurgeNs(ns: NetNs): void {
  while (inetOf(ns).fragHead != 0) kill(changetype<FragQueue>(inetOf(ns).fragHead), DROP_NS_GONE);
}

/**
 * Takes one fragment (skb.data at its IP header) and returns the whole datagram once it is complete: an address of a new Skb
 * at its IP header; 0 while fragments are missing, or when this one was dropped.
 */
export function ipDefrag(skb: Skb, user: u32): usize {
  const ns = changetype<NetNs>(changetype<NetDev>(skb.dev).ns);
  const inet = inetOf(ns);
  snmpInc(ns, SNMP_IP_REASM_REQDS);
  orphanSkb(skb);
  const found = find(ns, skb.nh, user);
  if (found == 0 && inet.fragMem > sysctl(ns, SYS_IPFRAG_HIGH_THRESH)) {
    snmpInc(ns, SNMP_IP_REASM_FAILS);
    dropSkb(skb, DROP_FRAG_TOO_FAR);
    return 0;
  }
  const queue = found != 0 ? changetype<FragQueue>(found) : make(ns, skb.nh, user);
  if (inet.fragMem > sysctl(ns, SYS_IPFRAG_HIGH_THRESH)) {
    snmpInc(ns, SNMP_IP_REASM_FAILS);
    dropSkb(skb, DROP_FRAG_TOO_FAR);
    return 0;
  }
  if (tooFar(ns, queue)) restart(ns, queue);
  return add(ns, queue, skb);
}

/** ip_frag_too_far: too many other fragments of the same source came in between. */
function tooFar(ns: NetNs, queue: FragQueue): bool {
  const limit = sysctl(ns, SYS_IPFRAG_MAX_DIST);
  if (limit == 0) return false;
  const end = peerNextRid(ns, queue.src);
  const start = queue.rid;
  queue.rid = end;
  const far = queue.head != 0 && end - start > limit;
  if (far) snmpInc(ns, SNMP_IP_REASM_FAILS);
  return far;
}

/** ip_frag_reinit: begins the datagram anew. */
function restart(ns: NetNs, queue: FragQueue): void {
  let p = queue.head;
  while (p != 0) {
    const skb = changetype<Skb>(p);
    p = <usize>skb.next;
    dropSkb(skb, DROP_FRAG_TOO_FAR);
  }
  inetOf(ns).fragMem -= queue.memory;
  queue.head = 0;
  queue.memory = 0;
  queue.flags = 0;
  queue.total = 0;
  queue.meat = 0;
  queue.maxSize = 0;
  queue.maxDfSize = 0;
  queue.ecn = 0;
  timerMod(queue, now + <i64>sysctl(ns, SYS_IPFRAG_TIME) * 1_000_000_000);
}

function discard(ns: NetNs, queue: FragQueue, skb: Skb, reason: u32): usize {
  snmpInc(ns, SNMP_IP_REASM_FAILS);
  dropSkb(skb, reason);
  kill(queue, reason);
  return 0;
}

/** ip_frag_queue. */
function add(ns: NetNs, queue: FragQueue, skb: Skb): usize {
  const ip = skb.nh;
  const header = ipHlen(ip);
  const field = ipFrag(ip);
  const offset = (field & IP_OFFSET) << 3;
  let end = offset + skb.len - header;
  if (!(field & IP_MF)) {
    if (end < queue.total || (queue.flags & LAST_IN && end != queue.total)) return discard(ns, queue, skb, DROP_FRAG_OVERLAP);
    queue.flags |= LAST_IN;
    queue.total = end;
  } else {
    end &= ~7;
    if (end > queue.total) {
      if (queue.flags & LAST_IN) return discard(ns, queue, skb, DROP_FRAG_OVERLAP);
      queue.total = end;
    }
  }
  if (end == offset) return discard(ns, queue, skb, DROP_IP_INHDR);
  skbPull(skb, header);
  skb.len = end - offset;
  skb.cb0 = offset;
  skb.cb1 = end;
  const place = insert(queue, skb, offset, end);
  if (place == PLACE_DUPLICATE) {
    dropSkb(skb, DROP_FRAG_DUP);
    return 0;
  }
  if (place == PLACE_OVERLAP) {
    snmpInc(ns, SNMP_IPEXT_REASM_OVERLAPS);
    return discard(ns, queue, skb, DROP_FRAG_OVERLAP);
  }
  queue.meat += skb.len;
  queue.memory += skbCost(skb.len);
  inetOf(ns).fragMem += skbCost(skb.len);
  queue.ecn |= 1 << (ipTos(ip) & 3);
  if (offset == 0) queue.flags |= FIRST_IN;
  const size = skb.len + header;
  if (size > queue.maxSize) queue.maxSize = size;
  if (field & IP_DF && size > queue.maxDfSize) queue.maxDfSize = size;
  if (queue.flags != (FIRST_IN | LAST_IN) || queue.meat != queue.total) return 0;
  return assemble(ns, queue);
}

const PLACE_OK: u32 = 0;
const PLACE_DUPLICATE: u32 = 1;
const PLACE_OVERLAP: u32 = 2;

/** inet_frag_queue_insert: a fragment that lies within one run of contiguous ones is a duplicate. */
function insert(queue: FragQueue, skb: Skb, offset: u32, end: u32): u32 {
  let at = changetype<usize>(queue) + offsetof<FragQueue>("head");
  let runStart: u32 = 0;
  let runEnd: u32 = 0;
  while (load<u32>(at) != 0) {
    const other = changetype<Skb>(<usize>load<u32>(at));
    if (other.cb0 != runEnd || runEnd == 0) runStart = other.cb0;
    runEnd = other.cb1;
    if (end <= other.cb0) break;
    if (offset < other.cb1) {
      // Overlap. The run may go on behind this fragment.
      let p = <usize>other.next;
      while (p != 0 && changetype<Skb>(p).cb0 == runEnd) {
        runEnd = changetype<Skb>(p).cb1;
        p = <usize>changetype<Skb>(p).next;
      }
      return offset >= runStart && end <= runEnd ? PLACE_DUPLICATE : PLACE_OVERLAP;
    }
    at = changetype<usize>(other) + offsetof<Skb>("next");
  }
  skb.next = load<u32>(at);
  store<u32>(at, <u32>changetype<usize>(skb));
  return PLACE_OK;
}

/** ip_frag_ecn_table: congestion marks of the fragments combined; 0xff = an invalid mixture, the datagram is dropped. */
function combineEcn(ecn: u32): u32 {
  if (ecn & 1 && ecn != 1) return 0xff;
  return ecn & 8 && ecn != 8 ? 3 : 0;
}

/** ip_frag_reasm: one buffer with the first fragment's header and all payloads. */
function assemble(ns: NetNs, queue: FragQueue): usize {
  const first = changetype<Skb>(queue.head);
  const header = ipHlen(first.nh);
  const ecn = combineEcn(queue.ecn);
  if (ecn == 0xff || header + queue.total > 65535) {
    snmpInc(ns, SNMP_IP_REASM_FAILS);
    kill(queue, DROP_IP_INHDR);
    return 0;
  }
  const whole = allocSkb(nsHost(ns), SKB_HEADROOM, header + queue.total);
  const ip = skbPut(whole, header + queue.total);
  memory.copy(ip, first.nh, header);
  let p = queue.head;
  while (p != 0) {
    const part = changetype<Skb>(p);
    memory.copy(ip + header + part.cb0, part.data, part.len);
    p = <usize>part.next;
  }
  whole.nh = ip;
  whole.th = ip + header;
  whole.dev = first.dev;
  whole.pktType = first.pktType;
  whole.protocol = first.protocol;
  whole.mark = first.mark;
  whole.priority = first.priority;
  whole.inPort = first.inPort;
  whole.time = first.time;
  whole.journey = first.journey;
  whole.rtDev = first.rtDev;
  whole.rtNextHop = first.rtNextHop;
  whole.rtType = first.rtType;
  whole.rtMtu = first.rtMtu;
  // Pieces of two datagrams with one id make a whole that only its checksum gives away: it must be looked at.
  whole.flags = (first.flags & ~SKB_CSUM_OK) | SKB_FRAG_REASM;
  if (queue.user != FRAG_LOCAL_DELIVER) whole.flags |= SKB_IGNORE_DF;
  whole.fragMax = queue.maxDfSize > queue.maxSize ? queue.maxDfSize : queue.maxSize;
  store<u16>(ip, bswap<u16>(<u16>(header + queue.total)), 2);
  store<u16>(ip, queue.maxDfSize == queue.maxSize ? 0x0040 : 0, 6);
  store<u8>(ip, <u8>(ipTos(ip) | ecn), 1);
  ipSendCheck(ip);
  snmpInc(ns, SNMP_IP_REASM_OKS);
  if (marking) mark(MARK_REASSEMBLED, changetype<usize>(ns), whole.dev, whole, whole.len, whole.fragMax);
  finish(queue);
  return changetype<usize>(whole);
}

/** Frees a queue whose fragments went into the whole. */
function finish(queue: FragQueue): void {
  let p = queue.head;
  queue.head = 0;
  while (p != 0) {
    const part = changetype<Skb>(p);
    p = <usize>part.next;
    consumeSkb(part);
  }
  kill(queue, DROP_FRAG_REASM_TIMEOUT);
}
