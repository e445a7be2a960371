/**
 * Rate limits by destination (net/ipv4/inetpeer.c) and per namespace (net/ipv4/icmp.c icmp_global_allow).
 * Times are jiffies (HZ 250), as the token arithmetic of the kernel is.
 */
import { SYS_ICMP_MSGS_BURST, SYS_ICMP_MSGS_PER_SEC } from "../abi";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableInsert, tableRemove } from "../memory/hashtable";
import { randBelow } from "../sim/host";
import { inetOf, jiffies, sysctl } from "./inet";

const HZ: u32 = 250;
/** XRLIM_BURST_FACTOR. */
const BURST: u32 = 6;
/** ip_rt_error_cost = HZ, ip_rt_error_burst = 5 HZ. */
const ERROR_COST: u32 = HZ;
const ERROR_BURST: u32 = 5 * HZ;
/** inet_peer_threshold: beyond it, peers that were idle for PEER_TTL are freed. */
const PEER_THRESHOLD: u32 = 65664;
const PEER_TTL: u32 = 120 * HZ;

/** What is remembered of a remote address: tokens for ICMP, redirects, fragments (struct inet_peer). */
@unmanaged
export class Peer {
  hnext: u32;
  hhash: u32;
  ip: u32;
  tokens: u32;
  last: u32; // jiffies
  redirects: u32;
  /** Fragments that it sent (inet_peer.rid). */
  rid: u32;
}

function peerOf(ns: NetNs, ip: u32): Peer {
  const table = inetOf(ns).peers;
  const hash = (ip * 0x9e3779b1) >> 8;
  for (let p = tableFirst(table, hash); p != 0; p = linkNext(p))
    if (changetype<Peer>(p).ip == ip) return changetype<Peer>(p);
  if (table.count >= PEER_THRESHOLD) free(ns, jiffies() - PEER_TTL, false);
  const peer = changetype<Peer>(kmalloc(offsetof<Peer>()));
  peer.ip = ip;
  // inet_getpeer: "60*HZ is arbitrary, but chosen enough high so that the first calculation of tokens is at its maximum".
  peer.last = jiffies() - 60 * HZ;
  tableInsert(table, changetype<usize>(peer), hash);
  return peer;
}

function free(ns: NetNs, before: u32, all: bool): void {
  const table = inetOf(ns).peers;
  for (let i: u32 = 0; i <= table.mask; i++) {
    let p = tableFirst(table, i);
    while (p != 0) {
      const peer = changetype<Peer>(p);
      p = linkNext(p);
      if (!all && <i32>(peer.last - before) > 0) continue;
      tableRemove(table, changetype<usize>(peer));
      kfree(changetype<usize>(peer), offsetof<Peer>());
    }
  }
}

/** Frees the peers of a namespace that goes. */
export function peerPurge(ns: NetNs): void {
  free(ns, 0, true);
}

/** Counts a fragment of a source. */
export function peerNextRid(ns: NetNs, ip: u32): u32 {
  return ++peerOf(ns, ip).rid;
}

/** inet_peer_xrlim_allow: one per `timeoutMs`, bursts of six. */
export function peerAllow(ns: NetNs, ip: u32, timeoutMs: u32): bool {
  if (timeoutMs == 0) return true;
  const timeout = (timeoutMs * HZ) / 1000;
  const peer = peerOf(ns, ip);
  const time = jiffies();
  let tokens = peer.tokens + (time - peer.last);
  peer.last = time;
  if (tokens > BURST * timeout) tokens = BURST * timeout;
  const ok = tokens >= timeout;
  peer.tokens = ok ? tokens - timeout : tokens;
  return ok;
}

/** The bucket of ip_error: one a second, bursts of five. It is the same bucket that icmp_send then takes from. */
export function peerErrorAllow(ns: NetNs, ip: u32): bool {
  const peer = peerOf(ns, ip);
  const time = jiffies();
  let tokens = peer.tokens + (time - peer.last);
  if (tokens > ERROR_BURST) tokens = ERROR_BURST;
  peer.last = time;
  const ok = tokens >= ERROR_COST;
  peer.tokens = ok ? tokens - ERROR_COST : tokens;
  return ok;
}

/** ip_rt_redirect_number: after so many ignored redirects the sender is given up. */
const REDIRECT_NUMBER: u32 = 9;
/** ip_rt_redirect_load = HZ / 50 and ip_rt_redirect_silence = that << 10 (20.48 s), in jiffies. */
const REDIRECT_LOAD: u32 = 5;
const REDIRECT_SILENCE: u32 = 5 << 10;

/** Whether a redirect to that sender is due: exponential back-off, silence after nine (ip_rt_send_redirect). */
export function peerRedirectAllow(ns: NetNs, ip: u32): bool {
  const peer = peerOf(ns, ip);
  const time = jiffies();
  if (time - peer.last > REDIRECT_SILENCE) {
    peer.tokens = 0;
    peer.redirects = 0;
  }
  if (peer.redirects >= REDIRECT_NUMBER) {
    peer.last = time;
    return false;
  }
  if (peer.redirects != 0 && <i32>(time - (peer.last + (REDIRECT_LOAD << peer.redirects))) <= 0) return false;
  peer.last = time;
  peer.redirects++;
  return true;
}

/** icmp_global_allow: per second and burst of the namespace; a message costs 0, 1 or 2 credits, one on average. */
export function icmpGlobalAllow(ns: NetNs): bool {
  const inet = inetOf(ns);
  const time = jiffies();
  let delta = time - inet.icmpStamp;
  if (delta > HZ) delta = HZ;
  if (inet.icmpCredit == 0 && delta < HZ / 50) return false;
  let more: u32 = 0;
  if (delta >= HZ / 50) {
    more = (sysctl(ns, SYS_ICMP_MSGS_PER_SEC) * delta) / HZ;
    if (more != 0) inet.icmpStamp = time;
  }
  const burst = sysctl(ns, SYS_ICMP_MSGS_BURST);
  let credit = inet.icmpCredit + more;
  if (credit > burst) credit = burst;
  const ok = credit != 0;
  if (ok) {
    const cost = randBelow(nsHost(ns), 3);
    credit = credit > cost ? credit - cost : 0;
  }
  inet.icmpCredit = credit;
  return ok;
}
