/**
 * Policies (net/xfrm/xfrm_policy.c): which packets IPsec is about. One whose addresses are whole stands in a table by them, the
 * others in a list per direction; the lowest priority wins, then the oldest.
 */
import {
  EEXIST, EINVAL, ENOENT, XFRM_POLICY_BLOCK, XFRM_POLICY_FWD, XPOL_ACTION, XPOL_DIR, XPOL_MARK, XPOL_MARK_MASK, XPOL_MAX_TMPLS, XPOL_PRIORITY, XPOL_SEL, XPOL_TMPL, XPOL_TMPLS,
} from "../abi";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { linkNext, tableFirst, tableInsert, tableRemove } from "../memory/hashtable";
import { now } from "../sim/event";
import { Host } from "../sim/host";
import { Flow, TMPL, TMPLS_SIZE, XfrmNs, XfrmPolicy, XfrmSelector, countOf, listOf, selectorEqual, selectorMatches, selectorSet, xfrmOf } from "./records";
import { xfrmChanged, xfrmMake } from "./state";

const HLINK_OFFSET: usize = offsetof<XfrmPolicy>("hnext");
/** The selector of the policy that is to be deleted. */
const wantedAt: usize = memory.data(64, 16);

@inline
function hashOf(dir: u32, src: u32, dst: u32): u32 {
  const h = (dst ^ rotl<u32>(src, 13) ^ (dir << 5)) * 0x9e3779b1;
  return h ^ (h >> 15);
}

@inline
function beats(policy: XfrmPolicy, best: usize): bool {
  if (best == 0) return true;
  const other = changetype<XfrmPolicy>(best);
  return policy.priority < other.priority || (policy.priority == other.priority && policy.pos < other.pos);
}

@inline
function matches(policy: XfrmPolicy): bool {
  return (Flow.mark & policy.markMask) == policy.markValue && selectorMatches(policy);
}

/** The policy of a direction for the flow in Flow, 0 if none (xfrm_policy_lookup_bytype). */
export function policyLookup(xfrm: XfrmNs, dir: u32): usize {
  let best: usize = 0;
  for (let p = tableFirst(xfrm.policies, hashOf(dir, Flow.src, Flow.dst)); p != 0; p = linkNext(p)) {
    const policy = changetype<XfrmPolicy>(p - HLINK_OFFSET);
    if (policy.dir == dir && matches(policy) && beats(policy, best)) best = changetype<usize>(policy);
  }
  for (let p = listOf(xfrm, dir); p != 0; p = <usize>changetype<XfrmPolicy>(p).hnext) {
    const policy = changetype<XfrmPolicy>(p);
    if (matches(policy) && beats(policy, best)) best = p;
  }
  return best;
}

/** The policy with just this selector, direction and mark, 0 if none. */
function find(xfrm: XfrmNs, sel: XfrmSelector, dir: u32, mark: u32, mask: u32): usize {
  for (let p = xfrm.firstPolicy; p != 0; p = changetype<XfrmPolicy>(p).next) {
    const policy = changetype<XfrmPolicy>(p);
    if (policy.dir == dir && policy.markValue == mark && policy.markMask == mask && selectorEqual(policy, sel)) return p;
  }
  return 0;
}

function free(policy: XfrmPolicy): void {
  kfree(policy.tmpls, TMPLS_SIZE);
  kfree(changetype<usize>(policy), offsetof<XfrmPolicy>());
}

@inline
function bumpCount(xfrm: XfrmNs, dir: u32, by: i32): void {
  store<u32>(changetype<usize>(xfrm) + (<usize>dir << 2), countOf(xfrm, dir) + by, offsetof<XfrmNs>("count0"));
}

@inline
function listHead(xfrm: XfrmNs, dir: u32): usize {
  return changetype<usize>(xfrm) + (<usize>dir << 2) + offsetof<XfrmNs>("list0");
}

function link(xfrm: XfrmNs, policy: XfrmPolicy): void {
  const at = changetype<usize>(policy);
  policy.next = xfrm.firstPolicy;
  if (policy.next != 0) changetype<XfrmPolicy>(policy.next).prev = at;
  xfrm.firstPolicy = at;
  bumpCount(xfrm, policy.dir, 1);
  policy.exact = <u32>(policy.srcPrefix == 32 && policy.dstPrefix == 32);
  if (policy.exact) {
    tableInsert(xfrm.policies, at + HLINK_OFFSET, hashOf(policy.dir, policy.src, policy.dst));
    return;
  }
  const head = listHead(xfrm, policy.dir);
  policy.hnext = load<u32>(head);
  store<u32>(head, <u32>at);
}

function unlink(xfrm: XfrmNs, policy: XfrmPolicy): void {
  const at = changetype<usize>(policy);
  if (policy.prev != 0) changetype<XfrmPolicy>(policy.prev).next = policy.next;
  else xfrm.firstPolicy = policy.next;
  if (policy.next != 0) changetype<XfrmPolicy>(policy.next).prev = policy.prev;
  bumpCount(xfrm, policy.dir, -1);
  if (policy.exact) {
    tableRemove(xfrm.policies, at + HLINK_OFFSET);
    return;
  }
  let from = listHead(xfrm, policy.dir);
  while (<usize>load<u32>(from) != at) from = <usize>load<u32>(from) + HLINK_OFFSET;
  store<u32>(from, policy.hnext);
}

/** xfrm_gen_index: one row of numbers for the whole machine; the low three bits are the direction. */
function newIndex(host: Host, dir: u32): u32 {
  const index = host.xfrmIndex | dir;
  host.xfrmIndex += 8;
  return index == 0 ? 8 : index;
}

function construct(policy: XfrmPolicy, spec: usize): bool {
  policy.dir = load<u32>(spec, XPOL_DIR);
  policy.markValue = load<u32>(spec, XPOL_MARK);
  policy.markMask = load<u32>(spec, XPOL_MARK_MASK);
  policy.priority = load<u32>(spec, XPOL_PRIORITY);
  policy.action = load<u32>(spec, XPOL_ACTION);
  policy.tmplCount = load<u32>(spec, XPOL_TMPLS);
  if (policy.dir > <u32>XFRM_POLICY_FWD || policy.action > <u32>XFRM_POLICY_BLOCK || policy.tmplCount > <u32>XPOL_MAX_TMPLS) return false;
  if (!selectorSet(policy, spec + XPOL_SEL)) return false;
  memory.copy(policy.tmpls, spec + XPOL_TMPL, <usize>policy.tmplCount * TMPL);
  return true;
}

/** xfrm_policy_insert: 0, -EEXIST (of an exclusive one), -EINVAL. One that was there gives its place to the new one. */
export function policyInsert(ns: NetNs, spec: usize, exclusive: bool): i32 {
  const xfrm = xfrmMake(ns);
  const policy = changetype<XfrmPolicy>(kmalloc(offsetof<XfrmPolicy>()));
  policy.tmpls = kmalloc(TMPLS_SIZE);
  if (!construct(policy, spec)) {
    free(policy);
    return -EINVAL;
  }
  const old = find(xfrm, policy, policy.dir, policy.markValue, policy.markMask);
  if (old != 0 && exclusive) {
    free(policy);
    return -EEXIST;
  }
  // A replacement keeps the number and, at the same priority, the place among its equals.
  const before = changetype<XfrmPolicy>(old);
  policy.index = old != 0 ? before.index : newIndex(nsHost(ns), policy.dir);
  policy.pos = old != 0 && before.priority == policy.priority ? before.pos : ++xfrm.lastPos;
  policy.added = now;
  policy.used = -1;
  if (old != 0) {
    unlink(xfrm, before);
    free(before);
  }
  link(xfrm, policy);
  xfrmChanged(xfrm);
  return 0;
}

/** xfrm_policy_bysel_ctx with delete: 0 or -ENOENT. */
export function policyDel(ns: NetNs, spec: usize): i32 {
  if (ns.xfrm == 0) return -ENOENT;
  const xfrm = xfrmOf(ns);
  const wanted = changetype<XfrmSelector>(wantedAt);
  if (!selectorSet(wanted, spec + XPOL_SEL)) return -ENOENT;
  const found = find(xfrm, wanted, load<u32>(spec, XPOL_DIR), load<u32>(spec, XPOL_MARK), load<u32>(spec, XPOL_MARK_MASK));
  if (found == 0) return -ENOENT;
  unlink(xfrm, changetype<XfrmPolicy>(found));
  free(changetype<XfrmPolicy>(found));
  xfrmChanged(xfrm);
  return 0;
}

/** Removes all policies of a namespace, in and out (xfrm_policy_flush). */
export function policyFlushAll(xfrm: XfrmNs): void {
  while (xfrm.firstPolicy != 0) {
    const policy = changetype<XfrmPolicy>(xfrm.firstPolicy);
    unlink(xfrm, policy);
    free(policy);
  }
}
