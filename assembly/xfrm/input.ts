/**
 * IPsec on the way in (net/xfrm/xfrm_input.c, net/ipv4/xfrm4_input.c): decryption, what a packet that came in the clear or not is
 * judged by (__xfrm_policy_check), and the way back to PRE_ROUTING.
 */
import {
  DEV_LOOPBACK, DROP_XFRM_IN_ERROR, IPPROTO_ESP, NF_ACCEPT, NF_PRE_ROUTING, XFRM_IN_BUFFER_ERROR, XFRM_IN_HDR_ERROR, XFRM_IN_NO_POLS, XFRM_IN_NO_STATES, XFRM_IN_POL_BLOCK,
  XFRM_IN_STATE_EXPIRED, XFRM_IN_STATE_INVALID, XFRM_IN_STATE_MISMATCH, XFRM_IN_STATE_PROTO_ERROR, XFRM_IN_STATE_SEQ_ERROR, XFRM_IN_TMPL_MISMATCH, XFRM_POLICY_BLOCK, MARK_ESP_IN,
} from "../abi";
import { ipRcvFinish } from "../inet/input";
import { mark, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SKB_SECPATH, Skb, dropRoute, dropSkb, resetCt } from "../memory/skb";
import { nfPreRouting } from "../netfilter/netfilter";
import { now } from "../sim/event";
import { ipDst, ipFinish } from "../wire/ipv4";
import { EBADMSG, espInput } from "./esp";
import { policyLookup } from "./policy";
import {
  TMPL_REQID, TMPL_SPI, XFRM_MAX_DEPTH, XFRM_STATE_VALID, XfrmNs, XfrmPolicy, XfrmState, decodeSession, defaultOf, pathAdd, pathAt, selectorMatches, tmplAt, xfrmInc,
} from "./records";
import { replayAdvance, replayCheck, replaySeqHi } from "./replay";
import { stateCheckExpire, stateLookup, xfrmMake } from "./state";

const IPPROTO_AH: u32 = 51;
const IPPROTO_COMP: u32 = 108;
const ESP_MIN: u32 = 8;

function drop(xfrm: XfrmNs, skb: Skb, counter: u32): void {
  xfrmInc(xfrm, counter);
  dropSkb(skb, DROP_XFRM_IN_ERROR + counter);
}

/** Bytes that the header of a protocol with an SPI must have (xfrm_parse_spi); 0 for all other protocols. */
@inline
function spiHeader(protocol: u32): u32 {
  if (protocol == <u32>IPPROTO_ESP) return ESP_MIN;
  if (protocol == IPPROTO_AH) return 12;
  return protocol == IPPROTO_COMP ? 4 : 0;
}

/** xfrm_input of one layer, as far as its state is concerned: the protocol inside, or -1 when the packet was dropped. */
function decrypt(xfrm: XfrmNs, skb: Skb, x: XfrmState): i32 {
  const seq = bswap<u32>(load<u32>(skb.data, 4));
  if (x.km != XFRM_STATE_VALID) {
    drop(xfrm, skb, XFRM_IN_STATE_INVALID);
    return -1;
  }
  if (!replayCheck(x, seq)) {
    drop(xfrm, skb, XFRM_IN_STATE_SEQ_ERROR);
    return -1;
  }
  if (!stateCheckExpire(xfrm, x)) {
    drop(xfrm, skb, XFRM_IN_STATE_EXPIRED);
    return -1;
  }
  const protocol = espInput(x, skb, replaySeqHi(x, seq));
  if (protocol < 0) {
    if (protocol == -EBADMSG) x.statFailed++;
    drop(xfrm, skb, XFRM_IN_STATE_PROTO_ERROR);
    return -1;
  }
  replayAdvance(x, seq);
  if (marking) mark(MARK_ESP_IN, xfrm.ns, skb.dev, skb, x.spi, seq, x.saddr, x.daddr, x.reqid);
  x.bytes += skb.len;
  x.packets++;
  return protocol;
}

/** xfrm4_esp_rcv: a packet of protocol 50, skb.data at its ESP header, skb.nh at the IP header. Ends the skb. */
export function espRcv(ns: NetNs, skb: Skb): void {
  const xfrm = xfrmMake(ns);
  if (!(skb.flags & SKB_SECPATH)) xfrm.pathLength = 0;
  skb.flags |= SKB_SECPATH;
  const daddr = ipDst(skb.nh);
  let protocol: u32 = IPPROTO_ESP;
  for (let need = ESP_MIN; need != 0; need = spiHeader(protocol)) {
    if (skb.len < need) return drop(xfrm, skb, XFRM_IN_HDR_ERROR);
    if (xfrm.pathLength == XFRM_MAX_DEPTH) return drop(xfrm, skb, XFRM_IN_BUFFER_ERROR);
    // States of AH and IPComp there are none.
    const found: usize = protocol == <u32>IPPROTO_ESP ? stateLookup(xfrm, skb.mark, daddr, bswap<u32>(load<u32>(skb.data))) : 0;
    if (found == 0) return drop(xfrm, skb, XFRM_IN_NO_STATES);
    pathAdd(xfrm, changetype<XfrmState>(found));
    const inside = decrypt(xfrm, skb, changetype<XfrmState>(found));
    if (inside < 0) return;
    protocol = <u32>inside;
  }
  if (skb.ct != 0) resetCt(skb);
  skb.ctInfo = 0;
  transportFinish(ns, skb, protocol);
}

/** xfrm4_transport_finish: the packet that was inside goes through the hooks again. */
function transportFinish(ns: NetNs, skb: Skb, protocol: u32): void {
  const ip = skb.nh;
  skb.len += <u32>(skb.data - ip);
  skb.data = ip;
  store<u8>(ip, <u8>protocol, 9);
  ipFinish(ip, skb.len);
  if (ns.nfHooks & (1 << NF_PRE_ROUTING)) {
    const dst = ipDst(ip);
    if (nfPreRouting(ns, skb, skb.dev) != <u32>NF_ACCEPT) return;
    if (ipDst(skb.nh) != dst) dropRoute(skb);
  }
  ipRcvFinish(ns, skb);
}

// ------------------------------------------------------------------------------------------------ policy

/** xfrm_policy_ok: the place behind the state that fits a template, from `start` on; -1 when none does. */
function templateOk(xfrm: XfrmNs, length: u32, tmpl: usize, start: u32): i32 {
  const spi = load<u32>(tmpl, TMPL_SPI);
  const reqid = load<u32>(tmpl, TMPL_REQID);
  for (let i = start; i < length; i++) {
    const x = pathAt(xfrm, i);
    if ((spi == 0 || x.spi == spi) && (reqid == 0 || x.reqid == reqid)) return <i32>i + 1;
  }
  return -1;
}

/** The counter of what is wrong with a received packet, -1 when nothing is. */
function judge(ns: NetNs, skb: Skb, dir: u32): i32 {
  const xfrm = xfrmMake(ns);
  const length = skb.flags & SKB_SECPATH ? xfrm.pathLength : 0;
  decodeSession(skb);
  for (let i = length; i != 0; i--) {
    const x = pathAt(xfrm, i - 1);
    if (x.hasSelector && !selectorMatches(x)) return XFRM_IN_STATE_MISMATCH;
  }
  const found = policyLookup(xfrm, dir);
  if (found == 0) return defaultOf(xfrm, dir) == <u32>XFRM_POLICY_BLOCK ? XFRM_IN_NO_POLS : -1;
  const policy = changetype<XfrmPolicy>(found);
  policy.used = now;
  if (policy.action == <u32>XFRM_POLICY_BLOCK) return XFRM_IN_POL_BLOCK;
  let place: i32 = 0;
  for (let i = policy.tmplCount; i != 0 && place >= 0; i--) place = templateOk(xfrm, length, tmplAt(policy, i - 1), place);
  return place < 0 ? XFRM_IN_TMPL_MISMATCH : -1;
}

/**
 * xfrm4_policy_check of a packet whose skb.nh stands: what policies of direction `dir` say. 0, or the drop reason; it was counted. To be
 * called when NetNs.xfrmFlags says so.
 */
export function xfrmPolicyCheck(ns: NetNs, skb: Skb, dir: u32): u32 {
  // The loopback has disable_policy.
  if (changetype<NetDev>(skb.dev).kind == DEV_LOOPBACK) return 0;
  const counter = judge(ns, skb, dir);
  if (counter < 0) return 0;
  xfrmInc(xfrmMake(ns), counter);
  return DROP_XFRM_IN_ERROR + counter;
}
