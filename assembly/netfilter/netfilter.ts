/**
 * The IPv4 hooks: what runs at each, in the order of Linux's priorities (include/uapi/linux/netfilter_ipv4.h).
 *
 *   PRE_ROUTING   defragment −400, raw −300, conntrack −200, mangle −150, nat (DST) −100
 *   LOCAL_IN      mangle −150, filter 0, ipvs 98/99, nat (SRC) 100, confirm
 *   FORWARD       mangle −150, filter 0, ipvs 99/100
 *   LOCAL_OUT     raw −300, conntrack −200, mangle −150, nat (DST) −100, ipvs −99/−98, filter 0
 *   POST_ROUTING  mangle −150, nat (SRC) 100, confirm
 *
 * As in Linux, tracking is on in a namespace only while something needs it (a NAT target, a ctstate match,
 * IPVS in conntrack mode): without, a packet passes at the cost of one test in its caller.
 */
import {
  CTLS, CTL_CHECKSUM, CTL_GENERIC, CTL_ICMP, CTL_MAX, CTL_SCTP_CLOSED, CTL_SCTP_COOKIE_ECHOED, CTL_SCTP_COOKIE_WAIT, CTL_SCTP_ESTABLISHED, CTL_SCTP_HEARTBEAT_SENT,
  CTL_SCTP_SHUTDOWN_ACK_SENT, CTL_SCTP_SHUTDOWN_RECD, CTL_SCTP_SHUTDOWN_SENT, CTL_TCP_CLOSE, CTL_TCP_CLOSE_WAIT, CTL_TCP_ESTABLISHED, CTL_TCP_FIN_WAIT, CTL_TCP_LAST_ACK, CTL_TCP_LOOSE, CTL_TCP_MAX_RETRANS,
  CTL_TCP_MAX_RETRANS_TIMEOUT, CTL_TCP_SYN_RECV, CTL_TCP_SYN_SENT, CTL_TCP_SYN_SENT2, CTL_TCP_TIME_WAIT, CTL_TCP_UNACKNOWLEDGED, CTL_UDP, CTL_UDP_STREAM, DROP_NETFILTER_DROP,
  DROP_NF_CT_CLASH, IPPROTO_ICMP, IPS_CONFIRMED, IPS_DST_NAT, IPS_SRC_NAT, NF_ACCEPT, NF_DROP, NF_FORWARD, NF_LOCAL_IN, NF_LOCAL_OUT, NF_POST_ROUTING, NF_PRE_ROUTING, NF_STOLEN, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT, TABLE_RAW,
} from "../abi";
import { FRAG_CONNTRACK_IN, ipDefrag } from "../inet/frag";
import { ipRcvFinish } from "../inet/input";
import { markNat, marking, natEnd } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { valuesPut, valuesShare, valuesStatic } from "../memory/shared";
import { SKB_NF_BRIDGED, SKB_REROUTE, Skb, dropSkb } from "../memory/skb";
import { Timer, timerDel } from "../sim/timer";
import { ipIsFragment, ipProtocol } from "../wire/ipv4";
import {
  CONFIRM_OK, Ct, IP_CT_ESTABLISHED, IP_CT_IS_REPLY, IP_CT_NEW, IP_CT_RELATED, conntrackInit, ctConfirm, ctKill, ctNsExit, ctTuple, dirOfInfo,
} from "./conntrack";
import { conntrackIn } from "./ct-proto";
import { tableVerdict } from "./evaluate";
import { natInit, natInitialized, natNullBinding } from "./nat";
import { MANIP_DST, MANIP_SRC, natIcmpError, natPacket } from "./nat-manip";
import { NfNs, nfOf, tableOf } from "./nfns";
import { Chain, firstChain, tablesFree, tablesInit } from "./tables";
import { T_DST, T_SRC } from "./tuple";

export { nfMasqAddrGone, nfMasqDevDown } from "./nat";
export { ctAttach } from "./ct-proto";
export { ctKillTuple, ctSetReplySource } from "./conntrack";

/** Called once at start-up. */
export function netfilterInit(): void {
  conntrackInit();
  natInit();
  tablesInit();
  bootCtl = valuesStatic(CTL_BLOCK);
  setDefaults(bootCtl);
}

let zones: u32 = 0;
/** Sysctls of tracking of a kernel that just booted, shared by all namespaces that change none. */
const CTL_BLOCK: usize = memory.data(4 + 32 * 4, 16);
let bootCtl: usize = 0;

/** Default values of net.netfilter.nf_conntrack_* for a machine with 1 to 4 GiB of memory. */
function setDefaults(ctl: usize): void {
  setCtl(ctl, CTL_TCP_SYN_SENT, 120);
  setCtl(ctl, CTL_TCP_SYN_RECV, 60);
  setCtl(ctl, CTL_TCP_ESTABLISHED, 432000);
  setCtl(ctl, CTL_TCP_FIN_WAIT, 120);
  setCtl(ctl, CTL_TCP_CLOSE_WAIT, 60);
  setCtl(ctl, CTL_TCP_LAST_ACK, 30);
  setCtl(ctl, CTL_TCP_TIME_WAIT, 120);
  setCtl(ctl, CTL_TCP_CLOSE, 10);
  setCtl(ctl, CTL_TCP_SYN_SENT2, 120);
  setCtl(ctl, CTL_TCP_MAX_RETRANS_TIMEOUT, 300);
  setCtl(ctl, CTL_TCP_UNACKNOWLEDGED, 300);
  setCtl(ctl, CTL_UDP, 30);
  setCtl(ctl, CTL_UDP_STREAM, 120);
  setCtl(ctl, CTL_ICMP, 30);
  setCtl(ctl, CTL_GENERIC, 600);
  setCtl(ctl, CTL_TCP_LOOSE, 1);
  setCtl(ctl, CTL_TCP_MAX_RETRANS, 3);
  setCtl(ctl, CTL_CHECKSUM, 1);
  setCtl(ctl, CTL_MAX, 65536);
  setCtl(ctl, CTL_SCTP_CLOSED, 10);
  setCtl(ctl, CTL_SCTP_COOKIE_WAIT, 3);
  setCtl(ctl, CTL_SCTP_COOKIE_ECHOED, 3);
  setCtl(ctl, CTL_SCTP_ESTABLISHED, 210);
  setCtl(ctl, CTL_SCTP_SHUTDOWN_SENT, 3);
  setCtl(ctl, CTL_SCTP_SHUTDOWN_RECD, 3);
  setCtl(ctl, CTL_SCTP_SHUTDOWN_ACK_SENT, 3);
  setCtl(ctl, CTL_SCTP_HEARTBEAT_SENT, 30);
}

function setCtl(ctl: usize, index: u32, value: u32): void {
  store<u32>(ctl + (<usize>index << 2), value);
}

/** Gives a new namespace its netfilter state: no table, no tracking. */
export function nfNsInit(ns: NetNs): void {
  const nf = changetype<NfNs>(kmalloc(offsetof<NfNs>()));
  const host = nsHost(ns);
  nf.ns = changetype<usize>(ns);
  zones++;
  assert(zones < 1 << 24, "too many namespaces");
  nf.zone = zones;
  nf.hashKey = host.ctK0;
  nf.ctl = valuesShare(bootCtl);
  ns.nf = changetype<usize>(nf);
}

/** Frees the connections, tables and state of a namespace that goes. */
export function nfNsExit(ns: NetNs): void {
  const nf = nfOf(ns);
  tablesFree(nf);
  ctNsExit(nf);
  if (nf.gc != 0) {
    timerDel(changetype<Timer>(nf.gc));
    kfree(nf.gc, offsetof<Timer>());
  }
  valuesPut(nf.ctl, CTLS);
  kfree(changetype<usize>(nf), offsetof<NfNs>());
  ns.nf = 0;
  ns.nfHooks = 0;
}

/** Recomputes NetNs.nfHooks after a change of rules, policies, users of tracking, or of `ns.ipvs`. */
export function nfUpdateHooks(ns: NetNs): void {
  const nf = nfOf(ns);
  let hooks: u32 = 0;
  if (nf.ctUsers != 0) hooks |= (1 << NF_PRE_ROUTING) | (1 << NF_LOCAL_IN) | (1 << NF_LOCAL_OUT) | (1 << NF_POST_ROUTING);
  if (ns.ipvs != 0) hooks |= (1 << NF_LOCAL_IN) | (1 << NF_FORWARD) | (1 << NF_LOCAL_OUT);
  let active: u32 = 0;
  for (let table: u32 = 0; table < 4; table++) {
    const record = tableOf(nf, table);
    if (record == 0) continue;
    for (let p = firstChain(record); p != 0; p = changetype<Chain>(p).next) {
      const chain = changetype<Chain>(p);
      if (chain.hook < 0 || (chain.first == 0 && chain.policy == <u32>NF_ACCEPT)) continue;
      hooks |= 1 << chain.hook;
      active |= 1 << ((table << 3) + chain.hook);
    }
  }
  nf.active = active;
  ns.nfHooks = hooks;
}

/** Somebody needs connections tracked (nf_ct_netns_get). */
export function nfConntrackGet(ns: NetNs): void {
  nfOf(ns).ctUsers++;
  nfUpdateHooks(ns);
}

/** nf_ct_netns_put: entries stay until they expire. */
export function nfConntrackPut(ns: NetNs): void {
  nfOf(ns).ctUsers--;
  nfUpdateHooks(ns);
}

// ------------------------------------------------------------------------------------------------ ipvs

let ipvsIn: usize = 0;
let ipvsOut: usize = 0;
let ipvsForward: usize = 0;

/**
 * IPVS registers its hook functions, each (ns: usize, skb: usize, inDev: usize, outDev: usize) => u32 with the
 * same verdicts as nfHook (on anything but NF_ACCEPT the packet is gone): LOCAL_IN (98 and 99 in one),
 * LOCAL_OUT (−99 and −98), FORWARD (99 and 100). They run in namespaces whose `ipvs` is set.
 */
export function setIpvsHooks(localIn: usize, localOut: usize, forward: usize): void {
  ipvsIn = localIn;
  ipvsOut = localOut;
  ipvsForward = forward;
}

@inline
function ipvsHook(fn: usize, ns: NetNs, skb: Skb, inDev: usize, outDev: usize): u32 {
  if (ns.ipvs == 0 || fn == 0) return NF_ACCEPT;
  return changetype<(ns: usize, skb: usize, inDev: usize, outDev: usize) => u32>(fn)(changetype<usize>(ns), changetype<usize>(skb), inDev, outDev);
}

// ------------------------------------------------------------------------------------------------ hooks

/** One table at a hook: false when the packet was dropped (and is gone). An empty chain that accepts isn't walked. */
@inline
function pass(nf: NfNs, table: u32, ns: NetNs, hook: u32, skb: Skb, inDev: usize, outDev: usize): bool {
  if (!(nf.active & (1 << ((table << 3) + hook)))) return true;
  return tableVerdict(tableOf(nf, table), ns, hook, skb, inDev, outDev) == <u32>NF_ACCEPT || dropped(skb, DROP_NETFILTER_DROP);
}

function dropped(skb: Skb, reason: u32): bool {
  dropSkb(skb, reason);
  return false;
}

/** nf_nat_oif_changed: a masqueraded connection's packet leaves by another interface. */
@inline
function oifChanged(ct: Ct, ctInfo: u32, hook: u32, outDev: usize): bool {
  return ct.masqIndex != 0 && hook == <u32>NF_POST_ROUTING && ctInfo < IP_CT_IS_REPLY && outDev != 0 && changetype<NetDev>(outDev).ifindex != ct.masqIndex;
}

/**
 * Nothing that nf_nat_inet_fn would do to this packet: its connection isn't translated, and no rule has to be asked
 * for it any more.
 */
@inline
function natIdle(skb: Skb, manip: u32): bool {
  if (skb.ct == 0) return true;
  const ct = changetype<Ct>(skb.ct);
  if (ct.status & (IPS_SRC_NAT | IPS_DST_NAT) || ct.masqIndex != 0) return false;
  const info = skb.ctInfo;
  return info == IP_CT_ESTABLISHED || info == IP_CT_IS_REPLY || (info == IP_CT_NEW && natInitialized(ct, manip));
}

/** nf_nat_inet_fn: false when the packet was dropped. */
function nat(nf: NfNs, ns: NetNs, hook: u32, skb: Skb, inDev: usize, outDev: usize): bool {
  if (skb.ct == 0) return true;
  const ct = changetype<Ct>(skb.ct);
  const manip = hook == <u32>NF_POST_ROUTING || hook == <u32>NF_LOCAL_IN ? MANIP_SRC : MANIP_DST;
  const info = skb.ctInfo;
  const related = info == IP_CT_RELATED || info == IP_CT_RELATED + IP_CT_IS_REPLY;
  const old: u64 = marking ? natEnd(skb.nh, manip) : 0;
  if (related && ipProtocol(skb.nh) == <u32>IPPROTO_ICMP) {
    if (!natIcmpError(skb, ct, manip)) return dropped(skb, DROP_NETFILTER_DROP);
    if (marking) markNat(ns, skb, manip, hook, old);
    return true;
  }
  if ((related || info == IP_CT_NEW) && !natInitialized(ct, manip)) {
    if (tableVerdict(nf.table2, ns, hook, skb, inDev, outDev) != <u32>NF_ACCEPT) return dropped(skb, DROP_NETFILTER_DROP);
    if (!natInitialized(ct, manip) && natNullBinding(nf, ct, manip) != <u32>NF_ACCEPT) return dropped(skb, DROP_NETFILTER_DROP);
  } else if (oifChanged(ct, info, hook, outDev)) {
    ctKill(ct);
    return dropped(skb, DROP_NETFILTER_DROP);
  }
  if (!natPacket(skb, ct, manip)) return dropped(skb, DROP_NETFILTER_DROP);
  if (marking) markNat(ns, skb, manip, hook, old);
  return true;
}

/** nf_confirm: false when the packet was dropped. */
@inline
function confirm(nf: NfNs, skb: Skb): bool {
  if (skb.ct == 0 || changetype<Ct>(skb.ct).status & IPS_CONFIRMED) return true;
  return ctConfirm(nf, skb) == CONFIRM_OK || dropped(skb, DROP_NF_CT_CLASH);
}

/** nfHook at PRE_ROUTING. */
export function nfPreRouting(ns: NetNs, skb: Skb, inDev: usize): u32 {
  const nf = nfOf(ns);
  if (skb.flags & SKB_NF_BRIDGED) {
    // ip_sabotage_in: it went through this hook as a bridged frame.
    skb.flags &= ~SKB_NF_BRIDGED;
    return NF_ACCEPT;
  }
  if (nf.ctUsers != 0 && ipIsFragment(skb.nh)) {
    // The whole packet goes on from here in the fragment's stead, in a buffer of its own.
    const whole = ipDefrag(skb, FRAG_CONNTRACK_IN);
    if (whole != 0 && preRoutingWhole(ns, nf, changetype<Skb>(whole), inDev) == <u32>NF_ACCEPT) ipRcvFinish(ns, changetype<Skb>(whole));
    return NF_STOLEN;
  }
  return preRoutingWhole(ns, nf, skb, inDev);
}

function preRoutingWhole(ns: NetNs, nf: NfNs, skb: Skb, inDev: usize): u32 {
  const hook: u32 = NF_PRE_ROUTING;
  if (!pass(nf, TABLE_RAW, ns, hook, skb, inDev, 0)) return NF_DROP;
  if (nf.ctUsers != 0 && conntrackIn(nf, skb, hook) != <u32>NF_ACCEPT) return NF_DROP;
  if (!pass(nf, TABLE_MANGLE, ns, hook, skb, inDev, 0)) return NF_DROP;
  if (nf.table2 != 0 && !natIdle(skb, MANIP_DST) && !nat(nf, ns, hook, skb, inDev, 0)) return NF_DROP;
  return NF_ACCEPT;
}

/** nfHook at LOCAL_IN. */
export function nfLocalIn(ns: NetNs, skb: Skb, inDev: usize): u32 {
  const nf = nfOf(ns);
  const hook: u32 = NF_LOCAL_IN;
  if (!pass(nf, TABLE_MANGLE, ns, hook, skb, inDev, 0) || !pass(nf, TABLE_FILTER, ns, hook, skb, inDev, 0)) return NF_DROP;
  const verdict = ipvsHook(ipvsIn, ns, skb, inDev, 0);
  if (verdict != <u32>NF_ACCEPT) return verdict;
  if (nf.table2 != 0 && !natIdle(skb, MANIP_SRC) && !nat(nf, ns, hook, skb, inDev, 0)) return NF_DROP;
  return confirm(nf, skb) ? NF_ACCEPT : NF_DROP;
}

/** nfHook at FORWARD. */
export function nfForward(ns: NetNs, skb: Skb, inDev: usize, outDev: usize): u32 {
  const nf = nfOf(ns);
  const hook: u32 = NF_FORWARD;
  if (!pass(nf, TABLE_MANGLE, ns, hook, skb, inDev, outDev) || !pass(nf, TABLE_FILTER, ns, hook, skb, inDev, outDev)) return NF_DROP;
  return ipvsHook(ipvsForward, ns, skb, inDev, outDev);
}

/** nfHook at LOCAL_OUT. */
export function nfLocalOut(ns: NetNs, skb: Skb, outDev: usize): u32 {
  const nf = nfOf(ns);
  const hook: u32 = NF_LOCAL_OUT;
  // No reassembly here: what the host sends is cut into fragments behind POST_ROUTING, never before.
  if (!pass(nf, TABLE_RAW, ns, hook, skb, 0, outDev)) return NF_DROP;
  if (nf.ctUsers != 0 && conntrackIn(nf, skb, hook) != <u32>NF_ACCEPT) return NF_DROP;
  if (nf.active & (1 << ((TABLE_MANGLE << 3) + NF_LOCAL_OUT))) {
    const mark = skb.mark;
    if (!pass(nf, TABLE_MANGLE, ns, hook, skb, 0, outDev)) return NF_DROP;
    if (skb.mark != mark) skb.flags |= SKB_REROUTE; // ipt_mangle_out
  }
  if (nf.table2 != 0) {
    if (!natIdle(skb, MANIP_DST) && !nat(nf, ns, hook, skb, 0, outDev)) return NF_DROP;
    rerouteIfTranslated(skb);
  }
  const verdict = ipvsHook(ipvsOut, ns, skb, 0, outDev);
  if (verdict != <u32>NF_ACCEPT) return verdict;
  return pass(nf, TABLE_FILTER, ns, hook, skb, 0, outDev) ? NF_ACCEPT : NF_DROP;
}

/** nf_nat_ipv4_local_fn: the destination isn't what the program asked for, so the route isn't either. */
@inline
function rerouteIfTranslated(skb: Skb): void {
  if (skb.ct == 0) return;
  const dir = dirOfInfo(skb.ctInfo);
  const ct = changetype<Ct>(skb.ct);
  if (load<u32>(ctTuple(ct, dir), T_DST) != load<u32>(ctTuple(ct, dir ^ 1), T_SRC)) skb.flags |= SKB_REROUTE;
}

/** nfHook at POST_ROUTING. */
export function nfPostRouting(ns: NetNs, skb: Skb, outDev: usize): u32 {
  const nf = nfOf(ns);
  const hook: u32 = NF_POST_ROUTING;
  if (!pass(nf, TABLE_MANGLE, ns, hook, skb, 0, outDev)) return NF_DROP;
  if (nf.table2 != 0 && !natIdle(skb, MANIP_SRC) && !nat(nf, ns, hook, skb, 0, outDev)) return NF_DROP;
  return confirm(nf, skb) ? NF_ACCEPT : NF_DROP;
}

/**
 * Runs a hook for a packet whose skb.nh (= skb.data) is a checked IPv4 header. NF_ACCEPT: go on; NF_DROP,
 * NF_STOLEN: the packet is gone. Devices: the NetDev it came in by, leaves by; 0 where there is none.
 */
export function nfHook(ns: NetNs, hook: u32, skb: Skb, inDev: usize, outDev: usize): u32 {
  switch (hook) {
    case NF_PRE_ROUTING:
      return nfPreRouting(ns, skb, inDev);
    case NF_LOCAL_IN:
      return nfLocalIn(ns, skb, inDev);
    case NF_FORWARD:
      return nfForward(ns, skb, inDev, outDev);
    case NF_LOCAL_OUT:
      return nfLocalOut(ns, skb, outDev);
    default:
      return nfPostRouting(ns, skb, outDev);
  }
}

/** ip_vs_confirm_conntrack: the connection of a packet that leaves without POST_ROUTING. False when it was dropped. */
export function confirmSkb(ns: NetNs, skb: Skb): bool {
  return confirm(nfOf(ns), skb);
}
