/**
 * NAT: choosing a connection's translation (net/netfilter/nf_nat_core.c), MASQUERADE
 * (nf_nat_masquerade.c), REDIRECT (nf_nat_redirect.c) of 6.1.
 */
import {
  IPPROTO_ICMP, IPS_CONFIRMED, IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_SRC_NAT, IPS_SRC_NAT_DONE, NAT_RANGE_MAP_IPS, NAT_RANGE_PROTO_SPECIFIED, NF_ACCEPT, NF_DROP,
  NF_LOCAL_OUT, RULE_T_IP, RULE_T_IP_MAX, RULE_T_NAT, RULE_T_PORT_MAX, RULE_T_PORT_MIN,
} from "../abi";
import { jhash2, jhashFinal } from "../hash/jhash";
import { Addr, primaryAddr } from "../inet/addr";
import { InDev } from "../inet/inet";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { Skb } from "../memory/skb";
import { Host, rand32 } from "../sim/host";
import { ipDst } from "../wire/ipv4";
import { Ct, ctKill, ctTuple, ctTupleUsed } from "./conntrack";
import { MANIP_DST, MANIP_SRC } from "./nat-manip";
import { NfNs, nfOf } from "./nfns";
import { T_DPORT, T_DST, T_KEY, T_PORTS, T_SPORT, T_SRC, hasPorts, tupleCopy, tupleEqual, tupleInvert, tupleProto } from "./tuple";

const MAX_ATTEMPTS: u32 = 128;

/** Connections by their original source (nf_nat_bysource): a client keeps its translated port towards all. */
let bySource = changetype<HashTable>(0);

/** Called once at start-up. */
export function natInit(): void {
  bySource = tableNew(8);
}

// The range to map into (struct nf_nat_range2).
let rangeFlags: u32 = 0;
let rangeMin: u32 = 0;
let rangeMax: u32 = 0;
let portMin: u32 = 0;
let portMax: u32 = 0;

function rangeOfRule(body: usize): void {
  rangeFlags = load<u32>(body, RULE_T_NAT);
  rangeMin = load<u32>(body, RULE_T_IP);
  rangeMax = load<u32>(body, RULE_T_IP_MAX);
  portMin = load<u16>(body, RULE_T_PORT_MIN);
  portMax = load<u16>(body, RULE_T_PORT_MAX);
}

const current: usize = memory.data(32, 16);
const chosen: usize = memory.data(32, 16);
const reply: usize = memory.data(32, 16);

function sourceHash(tuple: usize): u32 {
  return jhashFinal(load<u32>(tuple, T_SRC), load<u16>(tuple, T_SPORT), load<u32>(tuple, T_KEY));
}

@inline
function sourceLink(ct: Ct): usize {
  return changetype<usize>(ct) + offsetof<Ct>("sNext");
}

/** nf_nat_cleanup_conntrack. */
export function natForget(ct: Ct): void {
  if (ct.bySource == 0) return;
  ct.bySource = 0;
  tableRemove(bySource, sourceLink(ct));
}

/** The manipulated port is in the range (l4proto_in_range). */
function portInRange(tuple: usize, manip: u32): bool {
  const protocol = tupleProto(tuple);
  if (protocol != <u32>IPPROTO_ICMP && !hasPorts(protocol)) return true;
  const port = <u32>(manip == MANIP_SRC || protocol == <u32>IPPROTO_ICMP ? load<u16>(tuple, T_SPORT) : load<u16>(tuple, T_DPORT));
  return port >= portMin && port <= portMax;
}

/** nf_in_range, for a source. */
function inRange(tuple: usize): bool {
  const src = load<u32>(tuple, T_SRC);
  if (rangeFlags & NAT_RANGE_MAP_IPS && (src < rangeMin || src > rangeMax)) return false;
  return !(rangeFlags & NAT_RANGE_PROTO_SPECIFIED) || portInRange(tuple, MANIP_SRC);
}

/** find_appropriate_src: another connection from this source has a mapping that fits; newest first. */
function appropriateSource(tuple: usize, result: usize): bool {
  const hash = sourceHash(tuple);
  for (let p = tableFirst(bySource, hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) != hash) continue;
    const ct = changetype<Ct>(p - offsetof<Ct>("sNext"));
    if (ct.oSrc != load<u32>(tuple, T_SRC) || ct.oKey != load<u32>(tuple, T_KEY) || <u16>ct.oPorts != load<u16>(tuple, T_SPORT)) continue;
    tupleInvert(result, ctTuple(ct, 1));
    store<u32>(result, load<u32>(tuple, T_DST), T_DST);
    store<u16>(result, load<u16>(tuple, T_DPORT), T_DPORT);
    if (inRange(result)) return true;
  }
  return false;
}

/** union nf_inet_addr. */
const addressWords: usize = memory.data(16, 4);

/** find_best_ips_proto: the address, spread over a range by hashing source and destination. */
function chooseAddress(tuple: usize, manip: u32): void {
  if (!(rangeFlags & NAT_RANGE_MAP_IPS)) return;
  let address = rangeMin;
  if (rangeMin != rangeMax) {
    // jhash2 over the four words of an address union of which IPv4 uses the first.
    store<u32>(addressWords, bswap<u32>(load<u32>(tuple, T_SRC)));
    const j = jhash2(addressWords, 4, bswap<u32>(load<u32>(tuple, T_DST)));
    address = rangeMin + <u32>((<u64>j * <u64>(rangeMax - rangeMin + 1)) >> 32);
  }
  if (manip == MANIP_SRC) store<u32>(tuple, address, T_SRC);
  else store<u32>(tuple, address, T_DST);
}

/** nf_nat_l4proto_unique_tuple: searches for a free port (ICMP: id). The last candidate stays even if taken. */
function searchPort(nf: NfNs, host: Host, tuple: usize, ct: Ct, manip: u32): void {
  const protocol = tupleProto(tuple);
  const isIcmp = protocol == <u32>IPPROTO_ICMP;
  if (!isIcmp && !hasPorts(protocol)) return;
  const at = tuple + (isIcmp || manip == MANIP_SRC ? T_SPORT : T_DPORT);
  let min: u32;
  let size: u32;
  if (rangeFlags & NAT_RANGE_PROTO_SPECIFIED) {
    min = portMin < portMax ? portMin : portMax;
    size = (portMin < portMax ? portMax : portMin) - min + 1;
  } else if (isIcmp) {
    min = 0;
    size = 65536;
  } else {
    if (manip == MANIP_DST) return;
    const port = <u32>load<u16>(at);
    // Below 512 credentials are passed by port: stay there.
    min = port < 512 ? 1 : port < 1024 ? 600 : 1024;
    size = port < 512 ? 511 : port < 1024 ? 424 : 64512;
  }
  let attempts = size > MAX_ATTEMPTS ? MAX_ATTEMPTS : size;
  for (;;) {
    let offset = rand32(host) & 0xffff;
    for (let i: u32 = 0; i < attempts; i++) {
      store<u16>(at, <u16>(min + (offset % size)));
      if (!ctTupleUsed(nf, tuple, ct)) return;
      offset = (offset + 1) & 0xffff;
    }
    if (attempts >= size || attempts < 16) return;
    attempts >>= 1;
  }
}

/** get_unique_tuple: maps `current` into the range, to `chosen`. */
function uniqueTuple(nf: NfNs, ct: Ct, manip: u32): void {
  if (manip == MANIP_SRC) {
    if (inRange(current)) {
      if (!ctTupleUsed(nf, current, ct)) {
        tupleCopy(chosen, current);
        return;
      }
    } else if (appropriateSource(current, chosen) && !ctTupleUsed(nf, chosen, ct)) return;
  }
  tupleCopy(chosen, current);
  chooseAddress(chosen, manip);
  if (rangeFlags & NAT_RANGE_PROTO_SPECIFIED) {
    if (portInRange(chosen, manip) && (portMin == portMax || !ctTupleUsed(nf, chosen, ct))) return;
  } else if (!ctTupleUsed(nf, chosen, ct)) return;
  searchPort(nf, changetype<Host>(ct.host), chosen, ct, manip);
}

@inline
function natDone(ct: Ct, manip: u32): bool {
  return (ct.status & (manip == MANIP_SRC ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE)) != 0;
}

/** nf_nat_setup_info with the range in the variables above. */
function setupInfo(nf: NfNs, ct: Ct, manip: u32): u32 {
  if (ct.status & IPS_CONFIRMED) return NF_ACCEPT;
  if (natDone(ct, manip)) return NF_DROP;
  tupleInvert(current, ctTuple(ct, 1));
  uniqueTuple(nf, ct, manip);
  if (!tupleEqual(chosen, current)) {
    tupleInvert(reply, chosen);
    tupleCopy(ctTuple(ct, 1), reply);
    ct.status |= manip == MANIP_SRC ? IPS_SRC_NAT : IPS_DST_NAT;
  }
  if (manip == MANIP_SRC && ct.bySource == 0) {
    ct.bySource = 1;
    tableInsert(bySource, sourceLink(ct), sourceHash(ctTuple(ct, 0)));
  }
  ct.status |= manip == MANIP_SRC ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE;
  return NF_ACCEPT;
}

/** Is the manipulation of this kind decided (nf_nat_initialized)? */
@inline
export function natInitialized(ct: Ct, manip: u32): bool {
  return natDone(ct, manip);
}

/** nf_nat_alloc_null_binding: keep the address, make the tuple unique. */
export function natNullBinding(nf: NfNs, ct: Ct, manip: u32): u32 {
  const address = manip == MANIP_SRC ? ct.rDst : ct.rSrc;
  rangeFlags = NAT_RANGE_MAP_IPS;
  rangeMin = address;
  rangeMax = address;
  return setupInfo(nf, ct, manip);
}

/** The targets SNAT and DNAT (net/netfilter/xt_nat.c). */
export function natTarget(nf: NfNs, skb: Skb, body: usize, manip: u32): u32 {
  if (skb.ct == 0) return NF_DROP;
  rangeOfRule(body);
  return setupInfo(nf, changetype<Ct>(skb.ct), manip);
}

/** MASQUERADE: nf_nat_masquerade_ipv4. */
export function natMasquerade(nf: NfNs, skb: Skb, body: usize, outDev: usize): u32 {
  if (skb.ct == 0 || outDev == 0) return NF_DROP;
  const ct = changetype<Ct>(skb.ct);
  if (ct.oSrc == 0) return NF_ACCEPT;
  const dev = changetype<NetDev>(outDev);
  const nextHop = skb.rtNextHop != 0 ? skb.rtNextHop : ipDst(skb.nh);
  const source = primaryAddr(dev, nextHop);
  if (source == 0) return NF_DROP;
  ct.masqIndex = dev.ifindex;
  rangeOfRule(body);
  rangeFlags |= NAT_RANGE_MAP_IPS;
  rangeMin = source;
  rangeMax = source;
  return setupInfo(nf, ct, MANIP_SRC);
}

/** The first address of a device, 0 if it has none. */
function firstAddress(dev: NetDev): u32 {
  if (dev.inDev == 0) return 0;
  const first = changetype<InDev>(dev.inDev).addrs;
  return first != 0 ? changetype<Addr>(first).ip : 0;
}

/** REDIRECT: nf_nat_redirect_ipv4. */
export function natRedirect(nf: NfNs, skb: Skb, body: usize, hook: u32, inDev: usize): u32 {
  if (skb.ct == 0) return NF_DROP;
  let address: u32 = 0x7f000001;
  if (hook != <u32>NF_LOCAL_OUT) {
    address = inDev != 0 ? firstAddress(changetype<NetDev>(inDev)) : 0;
    if (address == 0) return NF_DROP;
  }
  rangeOfRule(body);
  rangeFlags |= NAT_RANGE_MAP_IPS;
  rangeMin = address;
  rangeMax = address;
  return setupInfo(nf, changetype<Ct>(skb.ct), MANIP_DST);
}

/** masq_device_event: an interface went down; connections masqueraded behind it die. */
export function nfMasqDevDown(ns: NetNs, ifindex: u32): void {
  killMasqueraded(nfOf(ns), ifindex, 0);
}

/** masq_inet_event: an address was deleted; connections masqueraded to it die. */
export function nfMasqAddrGone(ns: NetNs, ifindex: u32, address: u32): void {
  killMasqueraded(nfOf(ns), ifindex, address);
}

function killMasqueraded(nf: NfNs, ifindex: u32, address: u32): void {
  if (changetype<usize>(nf) == 0) return;
  let p = nf.first;
  while (p != 0) {
    const ct = changetype<Ct>(p);
    p = ct.listNext;
    if (ct.masqIndex == ifindex && (address == 0 || ct.rDst == address)) ctKill(ct);
  }
}
