/**
 * IPsec's records (include/net/xfrm.h, include/net/netns/xfrm.h): what a namespace, a state and a policy are.
 *
 * A namespace has its record from the first state, policy or ESP packet on; NetNs.xfrmFlags says without it whether
 * anything is to be asked, so that a namespace without IPsec pays one test.
 */
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../abi";
import { NetNs } from "../link/netns";
import { HashTable } from "../memory/hashtable";
import { Skb } from "../memory/skb";
import { Timer } from "../sim/timer";
import { ipDst, ipHlen, ipIsFragment, ipProtocol, ipSrc, maskOf } from "../wire/ipv4";

// NetNs.xfrmFlags
/** There are policies for what is sent, or their default is to block. */
export const XFRM_FLAG_OUT: u32 = 1;
/** Likewise for what is received, or a state has a selector that its packets must match. */
export const XFRM_FLAG_IN: u32 = 2;
/** Likewise for what is forwarded. */
export const XFRM_FLAG_FWD: u32 = 4;

/** Skb.xfrm of a packet whose route is a dead end: the template could not be resolved (make_blackhole). */
export const XFRM_BLACKHOLE: usize = 1;

/** XfrmState.km (enum in net/xfrm.h) */
export const XFRM_STATE_VALID: u32 = 1;
export const XFRM_STATE_EXPIRED: u32 = 3;
export const XFRM_STATE_DEAD: u32 = 5;

/** Replay modes (enum xfrm_replay_mode) */
export const XFRM_REPLAY_MODE_LEGACY: u32 = 0;
export const XFRM_REPLAY_MODE_BMP: u32 = 1;
export const XFRM_REPLAY_MODE_ESN: u32 = 2;

/** XFRM_MAX_DEPTH: transformations of one packet. */
export const XFRM_MAX_DEPTH: u32 = 6;

/** Which packets a policy or a state is about (struct xfrm_selector). Port 0 and protocol 0: any. */
@unmanaged
export class XfrmSelector {
  src: u32;
  srcMask: u32;
  dst: u32;
  dstMask: u32;
  protocol: u32;
  sport: u32;
  dport: u32;
  srcPrefix: u32;
  dstPrefix: u32;
}

/** A security association (struct xfrm_state). */
@unmanaged
export class XfrmState extends XfrmSelector {
  // Link in the table by destination and SPI.
  hnext: u32;
  hhash: u32;
  // All states of the namespace, newest first.
  next: usize;
  prev: usize;
  daddr: u32;
  saddr: u32;
  spi: u32;
  reqid: u32;
  markValue: u32;
  markMask: u32;
  /** XFRM_STATE_*. */
  km: u32;
  /** Has a selector (sel.family ≠ AF_UNSPEC). */
  hasSelector: u32;
  /** KeyEntry: the cipher. */
  key: usize;
  /** As it stands in a nonce. */
  salt: u32;
  /** Bytes of the integrity check value. */
  icv: u32;
  /** XFRM_REPLAY_MODE_*. */
  replayMode: u32;
  /** Packets of the window, words of the bitmap at `bitmap`. */
  window: u32;
  words: u32;
  bitmap: usize;
  seq: u32;
  seqHi: u32;
  oseq: u32;
  oseqHi: u32;
  statWindow: u32;
  statReplay: u32;
  statFailed: u32;
  /** The IV's random part, as it lies in memory (crypto/seqiv.c). */
  ivMask: u64;
  hardBytes: u64;
  hardPackets: u64;
  bytes: u64;
  packets: u64;
  added: i64;
  used: i64; // -1 = never
}

/** A policy (struct xfrm_policy). */
@unmanaged
export class XfrmPolicy extends XfrmSelector {
  // Link in the table by addresses, if both are whole; `hnext` links the others of a direction, too.
  hnext: u32;
  hhash: u32;
  // All policies of the namespace, newest first.
  next: usize;
  prev: usize;
  dir: u32; // XFRM_POLICY_*
  exact: u32;
  markValue: u32;
  markMask: u32;
  priority: u32;
  /** Age: of two with the same priority the older one wins. */
  pos: u32;
  action: u32; // XFRM_POLICY_ALLOW, XFRM_POLICY_BLOCK
  index: u32;
  /** Templates, TMPL bytes each, and behind them the states that they were resolved to. */
  tmplCount: u32;
  tmpls: usize;
  /** XfrmNs.gen and addresses for which the states hold. */
  bundleGen: u32;
  bundleSrc: u32;
  bundleDst: u32;
  bundleMtu: u32;
  added: i64;
  used: i64; // -1 = never
}

/** A template: source, destination, SPI (0 = any), reqid (0 = any), u32 each. */
export const TMPL: usize = 16;
export const TMPL_SRC: usize = 0;
export const TMPL_DST: usize = 4;
export const TMPL_SPI: usize = 8;
export const TMPL_REQID: usize = 12;
/** Bytes of XfrmPolicy.tmpls. */
export const TMPLS_SIZE: usize = 6 * 16 + 6 * 4;
const BUNDLE: usize = 6 * 16;

/** IPsec of a namespace (struct netns_xfrm). */
@unmanaged
export class XfrmNs {
  ns: usize;
  /** Changes whenever a state or a policy comes or goes; never 0. */
  gen: u32;
  states: HashTable;
  firstState: usize;
  stateCount: u32;
  selectors: u32; // states with one
  policies: HashTable;
  firstPolicy: usize;
  lastPos: u32;
  // Per direction (XFRM_POLICY_IN, OUT, FWD): policies that stand in no table, how many there are in all, the default.
  list0: usize;
  list1: usize;
  list2: usize;
  count0: u32;
  count1: u32;
  count2: u32;
  default0: u32;
  default1: u32;
  default2: u32;
  /** Deletes states that reached a hard limit. */
  expiry: Timer;
  /** The states that decrypted the packet at hand, outermost first (struct sec_path). */
  pathLength: u32;
  path0: usize;
  path1: usize;
  path2: usize;
  path3: usize;
  path4: usize;
  path5: usize;
  /** XFRM_COUNTERS counters of /proc/net/xfrm_stat, u64 each. */
  stat: usize;
}

/** The record of a namespace that has one. */
@inline
export function xfrmOf(ns: NetNs): XfrmNs {
  return changetype<XfrmNs>(ns.xfrm);
}

/** First policy of a direction, in order of priority. */
@inline
export function listOf(xfrm: XfrmNs, dir: u32): usize {
  return <usize>load<u32>(changetype<usize>(xfrm) + (<usize>dir << 2), offsetof<XfrmNs>("list0"));
}

/** Policies of a direction. */
@inline
export function countOf(xfrm: XfrmNs, dir: u32): u32 {
  return load<u32>(changetype<usize>(xfrm) + (<usize>dir << 2), offsetof<XfrmNs>("count0"));
}

/** What happens to packets that no policy is about: XFRM_POLICY_ALLOW or XFRM_POLICY_BLOCK. */
@inline
export function defaultOf(xfrm: XfrmNs, dir: u32): u32 {
  return load<u32>(changetype<usize>(xfrm) + (<usize>dir << 2), offsetof<XfrmNs>("default0"));
}

/** The state of a place in the path of the packet at hand. */
@inline
export function pathAt(xfrm: XfrmNs, index: u32): XfrmState {
  return changetype<XfrmState>(<usize>load<u32>(changetype<usize>(xfrm) + (<usize>index << 2), offsetof<XfrmNs>("path0")));
}

/** Adds a state to the path of the packet at hand (sec_path). */
@inline
export function pathAdd(xfrm: XfrmNs, state: XfrmState): void {
  store<u32>(changetype<usize>(xfrm) + (<usize>xfrm.pathLength << 2), <u32>changetype<usize>(state), offsetof<XfrmNs>("path0"));
  xfrm.pathLength++;
}

/** A template of a policy. */
@inline
export function tmplAt(policy: XfrmPolicy, index: u32): usize {
  return policy.tmpls + <usize>index * TMPL;
}

/** The state that stands for a template of a resolved policy. */
@inline
export function bundleAt(policy: XfrmPolicy, index: u32): XfrmState {
  return changetype<XfrmState>(<usize>load<u32>(policy.tmpls + BUNDLE + (<usize>index << 2)));
}

/** Sets the state that stands for a template. */
@inline
export function bundleSet(policy: XfrmPolicy, index: u32, state: usize): void {
  store<u32>(policy.tmpls + BUNDLE + (<usize>index << 2), <u32>state);
}

/** Counts one of /proc/net/xfrm_stat (XFRM_*). */
@inline
export function xfrmInc(xfrm: XfrmNs, counter: u32): void {
  const at = xfrm.stat + (<usize>counter << 3);
  store<u64>(at, load<u64>(at) + 1);
}

// ------------------------------------------------------------------------------------------------ flows

/** The flow that is looked up (struct flowi4). */
export class Flow {
  static src: u32 = 0;
  static dst: u32 = 0;
  static protocol: u32 = 0;
  static sport: u32 = 0;
  static dport: u32 = 0;
  static mark: u32 = 0;
}

/** Protocols whose header begins with two ports: TCP, UDP, UDP-Lite, SCTP, DCCP. */
function hasPorts(protocol: u32): bool {
  return protocol == <u32>IPPROTO_UDP || protocol == <u32>IPPROTO_TCP || protocol == 136 || protocol == 132 || protocol == 33;
}

/** Reads the flow of a packet (decode_session4): of ICMP the type and code stand for ports. */
export function decodeSession(skb: Skb): void {
  const ip = skb.nh;
  const th = ip + ipHlen(ip);
  const left = <i32>(skb.data + skb.len - th);
  Flow.src = ipSrc(ip);
  Flow.dst = ipDst(ip);
  Flow.protocol = ipProtocol(ip);
  Flow.sport = 0;
  Flow.dport = 0;
  Flow.mark = skb.mark;
  if (ipIsFragment(ip)) return;
  if (hasPorts(Flow.protocol) && left >= 4) {
    Flow.sport = <u32>bswap<u16>(load<u16>(th));
    Flow.dport = <u32>bswap<u16>(load<u16>(th, 2));
  } else if (Flow.protocol == <u32>IPPROTO_ICMP && left >= 2) {
    Flow.sport = <u32>load<u8>(th);
    Flow.dport = <u32>load<u8>(th, 1);
  }
}

/** xfrm_selector_match: the selector is about the flow. */
@inline
export function selectorMatches(sel: XfrmSelector): bool {
  return (
    ((Flow.dst ^ sel.dst) & sel.dstMask) == 0 &&
    ((Flow.src ^ sel.src) & sel.srcMask) == 0 &&
    (sel.protocol == 0 || sel.protocol == Flow.protocol) &&
    (sel.dport == 0 || sel.dport == Flow.dport) &&
    (sel.sport == 0 || sel.sport == Flow.sport)
  );
}

/** Fills a selector from its seven words at `at` (see XSEL_* in abi.ts); false for a prefix beyond 32. */
export function selectorSet(sel: XfrmSelector, at: usize): bool {
  sel.src = load<u32>(at);
  sel.srcPrefix = load<u32>(at, 4);
  sel.dst = load<u32>(at, 8);
  sel.dstPrefix = load<u32>(at, 12);
  sel.protocol = load<u32>(at, 16);
  sel.sport = load<u32>(at, 20);
  sel.dport = load<u32>(at, 24);
  if (sel.srcPrefix > 32 || sel.dstPrefix > 32) return false;
  sel.srcMask = maskOf(sel.srcPrefix);
  sel.dstMask = maskOf(sel.dstPrefix);
  return true;
}

/** Writes a selector's words. */
export function selectorGet(sel: XfrmSelector, at: usize): void {
  store<u32>(at, sel.src);
  store<u32>(at, sel.srcPrefix, 4);
  store<u32>(at, sel.dst, 8);
  store<u32>(at, sel.dstPrefix, 12);
  store<u32>(at, sel.protocol, 16);
  store<u32>(at, sel.sport, 20);
  store<u32>(at, sel.dport, 24);
}

/** selector_cmp. */
export function selectorEqual(a: XfrmSelector, b: XfrmSelector): bool {
  return memory.compare(changetype<usize>(a), changetype<usize>(b), offsetof<XfrmSelector>()) == 0;
}
