/**
 * IPsec on the way out (net/xfrm/xfrm_policy.c xfrm_lookup, net/xfrm/xfrm_output.c, net/ipv4/xfrm4_output.c): which policy a routed
 * packet falls under, the states that its templates stand for, and their work between POST_ROUTING and a second LOCAL_OUT.
 */
import {
  DEV_LOOPBACK, DROP_XFRM_IN_ERROR, DROP_XFRM_POLICY, EAGAIN, EEXIST, EINVAL, EPERM, EREMOTE, NF_ACCEPT, NF_DROP, NF_POST_ROUTING, XFRM_OUT_NO_STATES, XFRM_OUT_POL_BLOCK,
  XFRM_OUT_POL_ERROR, XFRM_OUT_STATE_EXPIRED, XFRM_OUT_STATE_PROTO_ERROR, XFRM_OUT_STATE_SEQ_ERROR, XFRM_POLICY_BLOCK, XFRM_POLICY_OUT, MARK_ESP_OUT,
} from "../abi";
import { ipLocalOut, ipOutputDone } from "../inet/output";
import { devMtu, pmtuGet } from "../inet/route";
import { mark, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SKB_SECPATH, SKB_XFRM_DONE, Skb, dropSkb, resetCt } from "../memory/skb";
import { nfPostRouting } from "../netfilter/netfilter";
import { now } from "../sim/event";
import { ipDst, ipHlen } from "../wire/ipv4";
import { espMtu, espOutput } from "./esp";
import { policyLookup } from "./policy";
import {
  Flow, TMPL_REQID, TMPL_SPI, XFRM_BLACKHOLE, XFRM_FLAG_OUT, XFRM_STATE_VALID, XfrmNs, XfrmPolicy, XfrmState, bundleAt, bundleSet, decodeSession, defaultOf,
  selectorMatches, tmplAt, xfrmInc, xfrmOf,
} from "./records";
import { replayNext } from "./replay";
import { stateCheckExpire, stateLookup } from "./state";

/** Why the last function of this file refused a packet (DROP_*). */
export let xfrmReason: u32 = 0;

@inline
function count(xfrm: XfrmNs, counter: u32): void {
  xfrmInc(xfrm, counter);
  xfrmReason = DROP_XFRM_IN_ERROR + counter;
}

// ------------------------------------------------------------------------------------------------ policy → states

/** No state was found, but one that could have been is ending, or has the template's SPI. */
let findError: i32 = 0;

/**
 * xfrm_state_find: the newest valid state for a template and the addresses of the flow. 0: none, findError says why: -EAGAIN,
 * or -EEXIST when its SPI is taken by a state that doesn't fit.
 */
function stateFind(xfrm: XfrmNs, policy: XfrmPolicy, tmpl: usize): usize {
  const mark = policy.markValue & policy.markMask;
  const spi = load<u32>(tmpl, TMPL_SPI);
  const reqid = load<u32>(tmpl, TMPL_REQID);
  let ending = false;
  for (let p = xfrm.firstState; p != 0; p = changetype<XfrmState>(p).next) {
    const x = changetype<XfrmState>(p);
    if (x.daddr != Flow.dst || (x.saddr != Flow.src && x.saddr != 0) || x.reqid != reqid) continue;
    if ((mark & x.markMask) != x.markValue || (spi != 0 && x.spi != spi)) continue;
    if (x.hasSelector && !selectorMatches(x)) continue;
    if (x.km == XFRM_STATE_VALID) return p;
    ending = true;
  }
  // Somebody would be asked to negotiate one (XFRM_MSG_ACQUIRE); nobody listens.
  findError = !ending && spi != 0 && stateLookup(xfrm, mark, Flow.dst, spi) != 0 ? -EEXIST : -EAGAIN;
  return 0;
}

/** The states of a policy for the flow stand in its bundle (xfrm_bundle_ok). */
@inline
function bundleOk(xfrm: XfrmNs, policy: XfrmPolicy): bool {
  // A selector may be about ports, which the bundle doesn't know.
  if (xfrm.selectors != 0) return false;
  if (policy.bundleGen != xfrm.gen || policy.bundleSrc != Flow.src || policy.bundleDst != Flow.dst) return false;
  for (let i: u32 = 0; i < policy.tmplCount; i++) {
    if (bundleAt(policy, i).km != XFRM_STATE_VALID) return false;
  }
  return true;
}

/** xfrm_tmpl_resolve: 0 with the bundle filled, or findError. */
function resolve(xfrm: XfrmNs, policy: XfrmPolicy): i32 {
  if (bundleOk(xfrm, policy)) return 0;
  policy.bundleGen = 0;
  for (let i: u32 = 0; i < policy.tmplCount; i++) {
    const found = stateFind(xfrm, policy, tmplAt(policy, i));
    if (found == 0) return findError;
    bundleSet(policy, i, found);
  }
  policy.bundleGen = xfrm.gen;
  policy.bundleSrc = Flow.src;
  policy.bundleDst = Flow.dst;
  return 0;
}

/**
 * xfrm_lookup: the policy for a routed packet (skb.nh, skb.rt*), kept in skb.xfrm until dst_output. 0; -EPERM: blocked; -EREMOTE:
 * no states, as with net.core.xfrm_larval_drop = 1; -EEXIST: a state doesn't fit. Errors are counted, xfrmReason is set.
 */
export function xfrmLookup(ns: NetNs, skb: Skb): i32 {
  skb.xfrm = 0;
  // Once encrypted, it isn't looked at again; the loopback has disable_xfrm.
  if (skb.flags & SKB_XFRM_DONE || changetype<NetDev>(skb.rtDev).kind == DEV_LOOPBACK) return 0;
  decodeSession(skb);
  const xfrm = xfrmOf(ns);
  const found = policyLookup(xfrm, XFRM_POLICY_OUT);
  if (found == 0) {
    if (defaultOf(xfrm, XFRM_POLICY_OUT) != <u32>XFRM_POLICY_BLOCK) return 0;
    xfrmReason = DROP_XFRM_POLICY;
    return -EPERM;
  }
  const policy = changetype<XfrmPolicy>(found);
  if (policy.action == <u32>XFRM_POLICY_BLOCK) {
    policy.used = now;
    count(xfrm, XFRM_OUT_POL_BLOCK);
    return -EPERM;
  }
  const error = resolve(xfrm, policy);
  if (error != 0) {
    count(xfrm, error == -EAGAIN ? XFRM_OUT_NO_STATES : XFRM_OUT_POL_ERROR);
    return error == -EAGAIN ? -EREMOTE : error;
  }
  policy.used = now;
  if (policy.tmplCount != 0) skb.xfrm = found;
  return 0;
}

/**
 * The look-up of a packet over the route that its sender chose (xfrm_lookup_route): as xfrmLookup, but without states the route is a dead end,
 * and the sender hears nothing.
 */
export function xfrmLookupRoute(ns: NetNs, skb: Skb): i32 {
  const error = xfrmLookup(ns, skb);
  if (error != -EREMOTE) return error;
  skb.xfrm = XFRM_BLACKHOLE;
  return 0;
}

/** The path MTU that a sender of the flow in Flow sees, where the route's is `mtu` (xfrm_init_pmtu). Counts nothing. */
function xfrmFlowMtu(ns: NetNs, mtu: u32): u32 {
  const found = policyLookup(xfrmOf(ns), XFRM_POLICY_OUT);
  if (found == 0) return mtu;
  const policy = changetype<XfrmPolicy>(found);
  if (policy.action == <u32>XFRM_POLICY_BLOCK || resolve(xfrmOf(ns), policy) != 0) return mtu;
  return bundleMtu(policy, mtu);
}

function bundleMtu(policy: XfrmPolicy, mtu: u32): u32 {
  for (let i: u32 = policy.tmplCount; i != 0; i--) mtu = espMtu(bundleAt(policy, i - 1), mtu);
  return mtu;
}

/** As xfrmFlowMtu, of a flow that isn't in a packet yet. */
export function xfrmMtu(ns: NetNs, dev: usize, src: u32, dst: u32, protocol: u32, sport: u32, dport: u32, mark: u32, mtu: u32): u32 {
  if (!(ns.xfrmFlags & XFRM_FLAG_OUT) || changetype<NetDev>(dev).kind == DEV_LOOPBACK) return mtu;
  Flow.src = src;
  Flow.dst = dst;
  Flow.protocol = protocol;
  Flow.sport = sport;
  Flow.dport = dport;
  Flow.mark = mark;
  return xfrmFlowMtu(ns, mtu);
}

/** The MTU of a packet that xfrmLookup has found a policy for. */
export function xfrmPacketMtu(skb: Skb, mtu: u32): u32 {
  return skb.xfrm > XFRM_BLACKHOLE ? bundleMtu(changetype<XfrmPolicy>(skb.xfrm), mtu) : mtu;
}

// ------------------------------------------------------------------------------------------------ packets

function refuse(skb: Skb, error: i32): i32 {
  dropSkb(skb, xfrmReason);
  return error;
}

/** Source address and port: what NAT at POST_ROUTING may change. */
@inline
function sourceOf(skb: Skb): u64 {
  const ip = skb.nh;
  return <u64>load<u32>(ip, 12) | (<u64>load<u16>(ip + ipHlen(ip)) << 32);
}

/** xfrm4_output: dst_output of a packet with a policy. 0 or -errno; ends the skb. */
export function xfrm4Output(ns: NetNs, skb: Skb): i32 {
  if (skb.xfrm == XFRM_BLACKHOLE) {
    skb.xfrm = 0;
    xfrmReason = DROP_XFRM_IN_ERROR + XFRM_OUT_NO_STATES;
    refuse(skb, 0);
    return 0;
  }
  skb.dev = skb.rtDev;
  if (ns.nfHooks & (1 << NF_POST_ROUTING)) {
    const before = sourceOf(skb);
    const verdict = nfPostRouting(ns, skb, skb.rtDev);
    if (verdict != <u32>NF_ACCEPT) return verdict == <u32>NF_DROP ? -EPERM : 0;
    if (sourceOf(skb) != before) {
      const error = xfrmLookup(ns, skb);
      if (error != 0) return refuse(skb, error);
      if (skb.xfrm == 0) return ipOutputDone(ns, skb);
    }
  }
  return xfrmOutput(ns, skb);
}

/** nf_xfrm_me_harder behind ipOutput's POST_ROUTING: NAT made a flow of the packet that has a policy. True: it was dealt with. */
export function xfrmTranslated(ns: NetNs, skb: Skb): bool {
  const error = xfrmLookup(ns, skb);
  if (error != 0) {
    refuse(skb, error);
    return true;
  }
  if (skb.xfrm == 0) return false;
  xfrmOutput(ns, skb);
  return true;
}

/** What xfrmTranslated compares. */
export function xfrmSourceOf(skb: Skb): u64 {
  return sourceOf(skb);
}

/** xfrm_output: all transformations, then the packet is sent like one of this host's. */
function xfrmOutput(ns: NetNs, given: Skb): i32 {
  const xfrm = xfrmOf(ns);
  const policy = changetype<XfrmPolicy>(given.xfrm);
  let skb = given;
  skb.xfrm = 0;
  skb.flags = (skb.flags & ~SKB_SECPATH) | SKB_XFRM_DONE;
  skb.fragMax = 0;
  for (let i: u32 = 0; i < policy.tmplCount; i++) {
    const x = bundleAt(policy, i);
    if (!stateCheckExpire(xfrm, x)) {
      count(xfrm, XFRM_OUT_STATE_EXPIRED);
      return refuse(skb, -EINVAL);
    }
    if (!replayNext(x)) {
      count(xfrm, XFRM_OUT_STATE_SEQ_ERROR);
      return refuse(skb, -EINVAL);
    }
    x.bytes += skb.len - ipHlen(skb.nh);
    x.packets++;
    const done = espOutput(x, skb);
    if (done == 0) {
      count(xfrm, XFRM_OUT_STATE_PROTO_ERROR);
      return refuse(skb, -EINVAL);
    }
    skb = changetype<Skb>(done);
    if (marking) mark(MARK_ESP_OUT, changetype<usize>(ns), skb.rtDev, skb, x.spi, x.oseq, x.saddr, x.daddr, x.reqid);
  }
  if (skb.ct != 0) resetCt(skb);
  skb.ctInfo = 0;
  // The route under the policy: whoever asked for the path MTU was told less.
  skb.rtMtu = pmtuGet(ns, ipDst(skb.nh), devMtu(changetype<NetDev>(skb.rtDev)));
  return ipLocalOut(ns, skb);
}
