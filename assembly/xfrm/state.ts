/**
 * States (net/xfrm/xfrm_state.c): kept by destination and SPI, listed newest first, as `ip xfrm state` shows them. One that reaches
 * a hard limit is deleted right after the packet that did it.
 */
import {
  EEXIST, EINVAL, ESRCH, XFRM_COUNTERS, XFRM_POLICY_BLOCK, XFRM_POLICY_FWD, XFRM_POLICY_IN, XFRM_POLICY_OUT, XSA_DST, XSA_FLAGS, XSA_F_ESN, XSA_F_EXT, XSA_F_IV_MASK,
  XSA_F_SELECTOR, XSA_HARD_BYTES, XSA_HARD_PACKETS, XSA_ICV, XSA_IV_MASK, XSA_KEY, XSA_KEY_LEN, XSA_MARK, XSA_MARK_MASK, XSA_MAX_WORDS, XSA_OSEQ, XSA_OSEQ_HI, XSA_REQID, XSA_SEL,
  XSA_SEQ, XSA_SEQ_HI, XSA_SPI, XSA_SRC, XSA_WINDOW,
} from "../abi";
import { rtFlush } from "../inet/inet";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableFree, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { now } from "../sim/event";
import { Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { rand64 } from "../sim/host";
import { keyGet, keyPut } from "./keys";
import { policyFlushAll } from "./policy";
import {
  XFRM_FLAG_FWD, XFRM_FLAG_IN, XFRM_FLAG_OUT, XFRM_REPLAY_MODE_BMP, XFRM_REPLAY_MODE_ESN, XFRM_REPLAY_MODE_LEGACY, XFRM_STATE_DEAD, XFRM_STATE_EXPIRED, XFRM_STATE_VALID,
  XfrmNs, XfrmState, countOf, defaultOf, selectorSet, xfrmOf,
} from "./records";

const HLINK_OFFSET: usize = offsetof<XfrmState>("hnext");
/** XFRM_INF. */
export const XFRM_INF: u64 = ~0;

/** The record of a namespace, made when it is first needed. */
export function xfrmMake(ns: NetNs): XfrmNs {
  if (ns.xfrm != 0) return xfrmOf(ns);
  const xfrm = changetype<XfrmNs>(kmalloc(offsetof<XfrmNs>()));
  ns.xfrm = changetype<usize>(xfrm);
  xfrm.ns = changetype<usize>(ns);
  xfrm.gen = 1;
  xfrm.states = tableNew(2);
  xfrm.policies = tableNew(2);
  xfrm.stat = kmalloc(XFRM_COUNTERS << 3);
  xfrm.expiry = changetype<Timer>(kmalloc(offsetof<Timer>()));
  timerInit(xfrm.expiry, nsHost(ns), changetype<usize>(expire), changetype<usize>(xfrm));
  return xfrm;
}

/** The namespace goes (xfrm_net_exit). */
export function xfrmNsExit(ns: NetNs): void {
  if (ns.xfrm == 0) return;
  const xfrm = xfrmOf(ns);
  policyFlushAll(xfrm);
  stateFlushAll(xfrm);
  timerDel(xfrm.expiry);
  kfree(changetype<usize>(xfrm.expiry), offsetof<Timer>());
  tableFree(xfrm.states);
  tableFree(xfrm.policies);
  kfree(xfrm.stat, XFRM_COUNTERS << 3);
  kfree(changetype<usize>(xfrm), offsetof<XfrmNs>());
  ns.xfrm = 0;
  ns.xfrmFlags = 0;
}

/** Something came or went: what was resolved is stale, routes of sockets too (their MTU depends on it). */
export function xfrmChanged(xfrm: XfrmNs): void {
  xfrm.gen++;
  if (xfrm.gen == 0) xfrm.gen = 1;
  const ns = changetype<NetNs>(xfrm.ns);
  let flags: u32 = 0;
  if (asks(xfrm, XFRM_POLICY_OUT)) flags |= XFRM_FLAG_OUT;
  if (asks(xfrm, XFRM_POLICY_IN) || xfrm.selectors != 0) flags |= XFRM_FLAG_IN;
  if (asks(xfrm, XFRM_POLICY_FWD) || xfrm.selectors != 0) flags |= XFRM_FLAG_FWD;
  ns.xfrmFlags = flags;
  rtFlush(ns);
}

function asks(xfrm: XfrmNs, dir: u32): bool {
  return countOf(xfrm, dir) != 0 || defaultOf(xfrm, dir) == <u32>XFRM_POLICY_BLOCK;
}

@inline
function hashOf(daddr: u32, spi: u32): u32 {
  const h = (spi ^ rotl<u32>(daddr, 16)) * 0x9e3779b1;
  return h ^ (h >> 15);
}

/** The newest state of (destination, SPI) whose mark fits, 0 if none (__xfrm_state_lookup). */
export function stateLookup(xfrm: XfrmNs, mark: u32, daddr: u32, spi: u32): usize {
  if (spi == 0) return 0;
  for (let p = tableFirst(xfrm.states, hashOf(daddr, spi)); p != 0; p = linkNext(p)) {
    const x = changetype<XfrmState>(p - HLINK_OFFSET);
    if (x.spi == spi && x.daddr == daddr && (mark & x.markMask) == x.markValue) return changetype<usize>(x);
  }
  return 0;
}

/** The mark by which a state is looked up that is named by one. */
@inline
function markOf(spec: usize): u32 {
  return load<u32>(spec, XSA_MARK) & load<u32>(spec, XSA_MARK_MASK);
}

/** The state that a record of XSA_* names, 0 if none. */
export function stateNamed(xfrm: XfrmNs, spec: usize): usize {
  return stateLookup(xfrm, markOf(spec), load<u32>(spec, XSA_DST), load<u32>(spec, XSA_SPI));
}

function limit(value: f64): u64 {
  return value < 9007199254740992.0 ? <u64>value : XFRM_INF;
}

/** xfrm_init_replay: false for a window that its attribute cannot hold, or ESN without one. */
function initReplay(x: XfrmState, spec: usize): bool {
  const flags = load<u32>(spec, XSA_FLAGS);
  x.window = load<u32>(spec, XSA_WINDOW);
  x.words = 1;
  x.replayMode = XFRM_REPLAY_MODE_LEGACY;
  if (flags & XSA_F_EXT) {
    x.words = (x.window + 31) >> 5;
    if (x.words > <u32>XSA_MAX_WORDS) return false;
    x.replayMode = flags & XSA_F_ESN ? XFRM_REPLAY_MODE_ESN : XFRM_REPLAY_MODE_BMP;
    if (x.window == 0 && x.replayMode == XFRM_REPLAY_MODE_ESN) return false;
  } else if (flags & XSA_F_ESN || x.window > 32) return false;
  x.seq = load<u32>(spec, XSA_SEQ);
  x.seqHi = load<u32>(spec, XSA_SEQ_HI);
  x.oseq = load<u32>(spec, XSA_OSEQ);
  x.oseqHi = load<u32>(spec, XSA_OSEQ_HI);
  return true;
}

/** Reads a state from a record of XSA_*: false for values that rfc4106(gcm(aes)) or the replay window refuse. */
function construct(x: XfrmState, spec: usize): bool {
  const flags = load<u32>(spec, XSA_FLAGS);
  x.daddr = load<u32>(spec, XSA_DST);
  x.saddr = load<u32>(spec, XSA_SRC);
  x.spi = load<u32>(spec, XSA_SPI);
  x.reqid = load<u32>(spec, XSA_REQID);
  x.markValue = load<u32>(spec, XSA_MARK);
  x.markMask = load<u32>(spec, XSA_MARK_MASK);
  x.icv = load<u32>(spec, XSA_ICV);
  if (x.icv != 8 && x.icv != 12 && x.icv != 16) return false;
  if (!initReplay(x, spec)) return false;
  if (flags & XSA_F_SELECTOR) {
    if (!selectorSet(x, spec + XSA_SEL)) return false;
    x.hasSelector = 1;
  }
  updateLimits(x, spec);
  const length = load<u32>(spec, XSA_KEY_LEN);
  x.key = keyGet(spec + XSA_KEY, length);
  if (x.key == 0) return false;
  x.salt = load<u32>(spec + XSA_KEY + length);
  return true;
}

function updateLimits(x: XfrmState, spec: usize): void {
  x.hardBytes = limit(load<f64>(spec, XSA_HARD_BYTES));
  x.hardPackets = limit(load<f64>(spec, XSA_HARD_PACKETS));
}

/** xfrm_state_add: 0, -EEXIST, -EINVAL. */
export function stateAdd(ns: NetNs, spec: usize): i32 {
  const xfrm = xfrmMake(ns);
  const x = changetype<XfrmState>(kmalloc(offsetof<XfrmState>()));
  if (!construct(x, spec)) {
    kfree(changetype<usize>(x), offsetof<XfrmState>());
    return -EINVAL;
  }
  if (stateNamed(xfrm, spec) != 0) {
    keyPut(x.key);
    kfree(changetype<usize>(x), offsetof<XfrmState>());
    return -EEXIST;
  }
  // crypto/seqiv.c draws the salt of the IVs when the cipher is made.
  const drawn = rand64(nsHost(ns));
  x.ivMask = load<u32>(spec, XSA_FLAGS) & XSA_F_IV_MASK ? load<u64>(spec, XSA_IV_MASK) : drawn;
  x.bitmap = kmalloc(<usize>(x.words == 0 ? 1 : x.words) << 2);
  x.km = XFRM_STATE_VALID;
  x.added = now;
  x.used = -1;
  x.next = xfrm.firstState;
  if (x.next != 0) changetype<XfrmState>(x.next).prev = changetype<usize>(x);
  xfrm.firstState = changetype<usize>(x);
  xfrm.stateCount++;
  xfrm.selectors += x.hasSelector;
  tableInsert(xfrm.states, changetype<usize>(x) + HLINK_OFFSET, hashOf(x.daddr, x.spi));
  // The esp4 module is loaded with the first state and stays.
  nsHost(ns).esp4 = 1;
  xfrmChanged(xfrm);
  return 0;
}

/** xfrm_state_update: a valid state takes over the limits only; its key stays. 0, -ESRCH, -EINVAL. */
export function stateUpdate(ns: NetNs, spec: usize): i32 {
  const found: usize = ns.xfrm == 0 ? 0 : stateNamed(xfrmOf(ns), spec);
  if (found == 0) return -ESRCH;
  const x = changetype<XfrmState>(found);
  if (x.km != XFRM_STATE_VALID) return -EINVAL;
  updateLimits(x, spec);
  if (x.used >= 0) stateCheckExpire(xfrmOf(ns), x);
  return 0;
}

function stateDelete(xfrm: XfrmNs, x: XfrmState): void {
  x.km = XFRM_STATE_DEAD;
  tableRemove(xfrm.states, changetype<usize>(x) + HLINK_OFFSET);
  if (x.prev != 0) changetype<XfrmState>(x.prev).next = x.next;
  else xfrm.firstState = x.next;
  if (x.next != 0) changetype<XfrmState>(x.next).prev = x.prev;
  xfrm.stateCount--;
  xfrm.selectors -= x.hasSelector;
  keyPut(x.key);
  kfree(x.bitmap, <usize>(x.words == 0 ? 1 : x.words) << 2);
  kfree(changetype<usize>(x), offsetof<XfrmState>());
}

/** 0 or -ESRCH. */
export function stateDel(ns: NetNs, spec: usize): i32 {
  const found: usize = ns.xfrm == 0 ? 0 : stateNamed(xfrmOf(ns), spec);
  if (found == 0) return -ESRCH;
  stateDelete(xfrmOf(ns), changetype<XfrmState>(found));
  xfrmChanged(xfrmOf(ns));
  return 0;
}

/** Removes all states of a namespace (xfrm_state_flush). */
export function stateFlushAll(xfrm: XfrmNs): void {
  while (xfrm.firstState != 0) stateDelete(xfrm, changetype<XfrmState>(xfrm.firstState));
}

/** Called for each packet of a state before it counts: false when a hard limit is reached; the state goes then. */
export function stateCheckExpire(xfrm: XfrmNs, x: XfrmState): bool {
  if (x.used < 0) x.used = now;
  if (x.bytes < x.hardBytes && x.packets < x.hardPackets) return true;
  x.km = XFRM_STATE_EXPIRED;
  timerMod(xfrm.expiry, now);
  return false;
}

/** xfrm_timer_handler: deletes what has expired. */
function expire(arg: usize): void {
  const xfrm = changetype<XfrmNs>(arg);
  let p = xfrm.firstState;
  while (p != 0) {
    const x = changetype<XfrmState>(p);
    p = x.next;
    if (x.km == XFRM_STATE_EXPIRED) stateDelete(xfrm, x);
  }
  xfrmChanged(xfrm);
}
