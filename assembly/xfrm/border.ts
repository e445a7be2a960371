/**
 * IPsec's border: NETLINK_XFRM. Namespaces are NetNs handles; a state (XSA_*) or a policy (XPOL_*) crosses in scratch. Errors
 * are negative errno.
 */
import {
  EINVAL, XFRM_COUNTERS, XFRM_POLICY_BLOCK, XFRM_POLICY_FWD, XPOL_ACTION, XPOL_ADDED, XPOL_DIR, XPOL_INDEX, XPOL_MARK, XPOL_MARK_MASK, XPOL_MAX_TMPLS, XPOL_PRIORITY, XPOL_RECORD,
  XPOL_SEL, XPOL_TMPL, XPOL_TMPLS, XPOL_USED, XSA_ADDED, XSA_BITMAP, XSA_BYTES, XSA_DST, XSA_FLAGS, XSA_F_ESN, XSA_F_EXT, XSA_F_SELECTOR, XSA_HARD_BYTES, XSA_HARD_PACKETS, XSA_ICV,
  XSA_IV_MASK, XSA_KEY, XSA_KEY_LEN, XSA_MARK, XSA_MARK_MASK, XSA_OSEQ, XSA_OSEQ_HI, XSA_PACKETS, XSA_RECORD, XSA_REQID, XSA_SEL, XSA_SEQ, XSA_SEQ_HI, XSA_SPI, XSA_SRC,
  XSA_STAT_FAILED, XSA_STAT_REPLAY, XSA_STAT_WINDOW, XSA_USED, XSA_WINDOW, XSA_WORDS,
} from "../abi";
import { NetNs } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { KeyEntry, keyBytes } from "./keys";
import { policyDel, policyFlushAll, policyInsert } from "./policy";
import { TMPL, XFRM_REPLAY_MODE_ESN, XFRM_REPLAY_MODE_LEGACY, XfrmNs, XfrmPolicy, XfrmState, defaultOf, selectorGet, xfrmOf } from "./records";
import { XFRM_INF, stateAdd, stateDel, stateFlushAll, stateUpdate, xfrmChanged, xfrmMake } from "./state";

/** `ip xfrm state add`: -EEXIST; -EINVAL for a key, ICV, window or selector that cannot be. */
export function xfrmStateAdd(ns: usize): i32 {
  return stateAdd(changetype<NetNs>(ns), scratch());
}

/** `ip xfrm state update`: the limits of the state; -ESRCH. */
export function xfrmStateUpdate(ns: usize): i32 {
  return stateUpdate(changetype<NetNs>(ns), scratch());
}

/** `ip xfrm state delete`, by destination, SPI and mark: -ESRCH. */
export function xfrmStateDel(ns: usize): i32 {
  return stateDel(changetype<NetNs>(ns), scratch());
}

/** `ip xfrm state flush`. */
export function xfrmStateFlush(ns: usize): void {
  const net = changetype<NetNs>(ns);
  if (net.xfrm == 0) return;
  stateFlushAll(xfrmOf(net));
  xfrmChanged(xfrmOf(net));
}

@inline
function limitOut(value: u64): f64 {
  return value == XFRM_INF ? Infinity : <f64>value;
}

function writeState(x: XfrmState, at: usize): void {
  store<u32>(at, x.saddr, XSA_SRC);
  store<u32>(at, x.daddr, XSA_DST);
  store<u32>(at, x.spi, XSA_SPI);
  store<u32>(at, x.markValue, XSA_MARK);
  store<u32>(at, x.markMask, XSA_MARK_MASK);
  store<u32>(at, x.reqid, XSA_REQID);
  const key = changetype<KeyEntry>(x.key);
  store<u32>(at, key.length, XSA_KEY_LEN);
  memory.copy(at + XSA_KEY, keyBytes(key), key.length);
  store<u32>(at + XSA_KEY + key.length, x.salt);
  store<u32>(at, x.icv, XSA_ICV);
  let flags: u32 = x.hasSelector ? XSA_F_SELECTOR : 0;
  if (x.replayMode != XFRM_REPLAY_MODE_LEGACY) flags |= XSA_F_EXT;
  if (x.replayMode == XFRM_REPLAY_MODE_ESN) flags |= XSA_F_ESN;
  store<u32>(at, flags, XSA_FLAGS);
  store<u32>(at, x.window, XSA_WINDOW);
  store<u32>(at, x.seq, XSA_SEQ);
  store<u32>(at, x.seqHi, XSA_SEQ_HI);
  store<u32>(at, x.oseq, XSA_OSEQ);
  store<u32>(at, x.oseqHi, XSA_OSEQ_HI);
  store<f64>(at, limitOut(x.hardBytes), XSA_HARD_BYTES);
  store<f64>(at, limitOut(x.hardPackets), XSA_HARD_PACKETS);
  selectorGet(x, at + XSA_SEL);
  store<u64>(at, x.ivMask, XSA_IV_MASK);
  store<u64>(at, x.bytes, XSA_BYTES);
  store<u64>(at, x.packets, XSA_PACKETS);
  store<i64>(at, x.added, XSA_ADDED);
  store<i64>(at, x.used, XSA_USED);
  store<u32>(at, x.statWindow, XSA_STAT_WINDOW);
  store<u32>(at, x.statReplay, XSA_STAT_REPLAY);
  store<u32>(at, x.statFailed, XSA_STAT_FAILED);
  store<u32>(at, x.words, XSA_WORDS);
  memory.copy(at + XSA_BITMAP, x.bitmap, <usize>x.words << 2);
}

/** `ip xfrm state`: writes XSA_* records to scratch, newest first, leaving out the first `skip`; returns how many. */
export function xfrmStateDump(ns: usize, skip: u32): u32 {
  const net = changetype<NetNs>(ns);
  if (net.xfrm == 0) return 0;
  let written: u32 = 0;
  for (let p = xfrmOf(net).firstState; p != 0; p = changetype<XfrmState>(p).next) {
    if (skip != 0) {
      skip--;
      continue;
    }
    if ((written + 1) * XSA_RECORD > SCRATCH_SIZE) break;
    writeState(changetype<XfrmState>(p), scratch() + written++ * XSA_RECORD);
  }
  return written;
}

/** `ip xfrm policy add` (exclusive: -EEXIST) or `update`; -EINVAL. */
export function xfrmPolicyInsert(ns: usize, exclusive: u32): i32 {
  return policyInsert(changetype<NetNs>(ns), scratch(), exclusive != 0);
}

/** `ip xfrm policy delete`, by selector, direction and mark: -ENOENT. */
export function xfrmPolicyDel(ns: usize): i32 {
  return policyDel(changetype<NetNs>(ns), scratch());
}

/** `ip xfrm policy flush`. */
export function xfrmPolicyFlush(ns: usize): void {
  const net = changetype<NetNs>(ns);
  if (net.xfrm == 0) return;
  policyFlushAll(xfrmOf(net));
  xfrmChanged(xfrmOf(net));
}

function writePolicy(policy: XfrmPolicy, at: usize): void {
  selectorGet(policy, at + XPOL_SEL);
  store<u32>(at, policy.dir, XPOL_DIR);
  store<u32>(at, policy.markValue, XPOL_MARK);
  store<u32>(at, policy.markMask, XPOL_MARK_MASK);
  store<u32>(at, policy.priority, XPOL_PRIORITY);
  store<u32>(at, policy.action, XPOL_ACTION);
  store<u32>(at, policy.tmplCount, XPOL_TMPLS);
  memory.copy(at + XPOL_TMPL, policy.tmpls, <usize>XPOL_MAX_TMPLS * TMPL);
  store<u32>(at, policy.index, XPOL_INDEX);
  store<i64>(at, policy.added, XPOL_ADDED);
  store<i64>(at, policy.used, XPOL_USED);
}

/** `ip xfrm policy`: as xfrmStateDump, XPOL_* records. */
export function xfrmPolicyDump(ns: usize, skip: u32): u32 {
  const net = changetype<NetNs>(ns);
  if (net.xfrm == 0) return 0;
  let written: u32 = 0;
  for (let p = xfrmOf(net).firstPolicy; p != 0; p = changetype<XfrmPolicy>(p).next) {
    if (skip != 0) {
      skip--;
      continue;
    }
    if ((written + 1) * XPOL_RECORD > SCRATCH_SIZE) break;
    writePolicy(changetype<XfrmPolicy>(p), scratch() + written++ * XPOL_RECORD);
  }
  return written;
}

/** `ip xfrm policy getdefault`: XFRM_POLICY_ALLOW or XFRM_POLICY_BLOCK. */
export function xfrmDefaultGet(ns: usize, dir: u32): u32 {
  const net = changetype<NetNs>(ns);
  return net.xfrm == 0 || dir > <u32>XFRM_POLICY_FWD ? 0 : defaultOf(xfrmOf(net), dir);
}

/** `ip xfrm policy setdefault`. */
export function xfrmDefaultSet(ns: usize, dir: u32, action: u32): i32 {
  if (dir > <u32>XFRM_POLICY_FWD || action > <u32>XFRM_POLICY_BLOCK) return -EINVAL;
  const xfrm = xfrmMake(changetype<NetNs>(ns));
  store<u32>(changetype<usize>(xfrm) + (<usize>dir << 2), action, offsetof<XfrmNs>("default0"));
  xfrmChanged(xfrm);
  return 0;
}

/** /proc/net/xfrm_stat: XFRM_COUNTERS u64 counters in scratch. */
export function xfrmStat(ns: usize): usize {
  const net = changetype<NetNs>(ns);
  const to = scratch();
  if (net.xfrm == 0) memory.fill(to, 0, XFRM_COUNTERS << 3);
  else memory.copy(to, xfrmOf(net).stat, XFRM_COUNTERS << 3);
  return to;
}
