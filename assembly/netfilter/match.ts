/**
 * Does a packet match a rule? One function over the rule's body (net/ipv4/netfilter/ip_tables.c
 * ip_packet_match, and the match extensions xt_tcpudp, xt_conntrack, xt_addrtype, xt_mark, xt_u32,
 * xt_policy, xt_ipvs, ipt_icmp, xt_statistic).
 */
import {
  CTSTATE_INVALID, CTSTATE_UNTRACKED, IPPROTO_ICMP, IPPROTO_TCP, M_ADDRTYPE_DST, M_ADDRTYPE_SRC, M_CTSTATE, M_DPORT, M_DST, M_ICMP_TYPE, M_IN, M_IPVS, M_MARK, M_OUT, M_POLICY,
  M_PROBABILITY, M_PROTO, M_SPORT, M_SRC, M_U32, POLICY_IPSEC, POLICY_OUT, RULE_ADDRTYPE_DST, RULE_ADDRTYPE_SRC, RULE_CTSTATE, RULE_DPORT_MAX, RULE_DPORT_MIN, RULE_DST, RULE_DST_MASK,
  RULE_FLAGS, RULE_HEAD, RULE_ICMP_TYPE, RULE_IN, RULE_INVERT, RULE_IN_MASK, RULE_MARK, RULE_MARK_MASK, RULE_OUT, RULE_OUT_MASK, RULE_POLICY, RULE_PROBABILITY, RULE_PROTO,
  RULE_SPORT_MAX, RULE_SPORT_MIN, RULE_SRC, RULE_SRC_MASK, U32_AND, U32_LEFTSH, U32_RIGHTSH,
} from "../abi";
import { fibAddrType } from "../inet/fib";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { SKB_IPVS, SKB_SECPATH, Skb } from "../memory/skb";
import { Host, rand32 } from "../sim/host";
import { ipDst, ipHlen, ipLaterFragment, ipProtocol, ipSrc } from "../wire/ipv4";
import { IP_CT_IS_REPLY, IP_CT_UNTRACKED } from "./conntrack";

/** The name of no device (nulldevname). */
const noName: usize = memory.data(16, 16);

/** Where a device's name stands, 16 bytes. */
@inline
export function nameOf(dev: usize): usize {
  return dev == 0 ? noName : dev + offsetof<NetDev>("name");
}

/** A match found the packet too short to judge: it is dropped (par->hotdrop). */
export let hotdrop: bool = false;

/** Forgets `hotdrop`, before a table is walked. */
export function clearHotdrop(): void {
  hotdrop = false;
}

/** Inversion bit of a match: true when the rule says `!`. */
@inline
function not(invert: u32, match: u32): bool {
  return (invert & match) != 0;
}

@inline
function sameName(name: usize, rule: usize, value: usize, mask: usize): bool {
  return !v128.any_true(v128.and(v128.xor(v128.load(name), v128.load(rule + value)), v128.load(rule + mask)));
}

/** Ports and ICMP types, for a packet whose transport header is there. */
function matchTransport(body: usize, flags: u32, invert: u32, ip: usize, len: u32): bool {
  const wants = flags & (M_SPORT | M_DPORT | M_ICMP_TYPE);
  if (ipLaterFragment(ip)) return false;
  const ihl = ipHlen(ip);
  const protocol = ipProtocol(ip);
  const need: u32 = protocol == <u32>IPPROTO_TCP ? 20 : 8;
  if (len < ihl + need) {
    hotdrop = true;
    return false;
  }
  const th = ip + ihl;
  if (wants & M_SPORT) {
    const port = <u32>bswap<u16>(load<u16>(th));
    if ((port >= <u32>load<u16>(body, RULE_SPORT_MIN) && port <= <u32>load<u16>(body, RULE_SPORT_MAX)) == not(invert, M_SPORT)) return false;
  }
  if (wants & M_DPORT) {
    const port = <u32>bswap<u16>(load<u16>(th, 2));
    if ((port >= <u32>load<u16>(body, RULE_DPORT_MIN) && port <= <u32>load<u16>(body, RULE_DPORT_MAX)) == not(invert, M_DPORT)) return false;
  }
  if (wants & M_ICMP_TYPE) {
    if (protocol != <u32>IPPROTO_ICMP) return false;
    if ((<u32>load<u8>(th) == load<u32>(body, RULE_ICMP_TYPE)) == not(invert, M_ICMP_TYPE)) return false;
  }
  return true;
}

/** The packet's XT_CONNTRACK_STATE bit. */
@inline
function stateBit(skb: Skb): u32 {
  if (skb.ct == 0) return skb.ctInfo == IP_CT_UNTRACKED ? CTSTATE_UNTRACKED : CTSTATE_INVALID;
  return (<u32>2) << (skb.ctInfo % IP_CT_IS_REPLY);
}

/** xt_u32: `program` as abi.ts describes it, on the packet of `len` bytes at `ip`. */
function matchU32(program: usize, ip: usize, len: u32): bool {
  let at = program + 4;
  for (let tests = load<u32>(program); tests != 0; tests--) {
    const counts = load<u32>(at);
    at += 4;
    let base: u32 = 0;
    let pos = load<u32>(at, 4);
    if (len < 4 || pos > len - 4) return false;
    let value = bswap<u32>(load<u32>(ip + pos));
    at += 8;
    for (let i = (counts & 0xffff) - 1; i != 0; i--) {
      const op = load<u32>(at);
      const number = load<u32>(at, 4);
      at += 8;
      if (op == <u32>U32_AND) value &= number;
      else if (op == <u32>U32_LEFTSH) value <<= number;
      else if (op == <u32>U32_RIGHTSH) value >>= number;
      else {
        if (base + value < base) return false;
        base += value;
        pos = number;
        if (base + 4 < base || len < base + 4 || pos > len - base - 4) return false;
        value = bswap<u32>(load<u32>(ip + base + pos));
      }
    }
    let hit = false;
    for (let i = counts >> 16; i != 0; i--) {
      if (value >= load<u32>(at) && value <= load<u32>(at, 4)) hit = true;
      at += 8;
    }
    if (!hit) return false;
  }
  return true;
}

/** The matches that few rules have. */
function matchRest(body: usize, flags: u32, invert: u32, ns: NetNs, skb: Skb, ip: usize, len: u32): bool {
  if (flags & M_ADDRTYPE_SRC && (fibAddrType(ns, ipSrc(ip)) == load<u32>(body, RULE_ADDRTYPE_SRC)) == not(invert, M_ADDRTYPE_SRC)) return false;
  if (flags & M_ADDRTYPE_DST && (fibAddrType(ns, ipDst(ip)) == load<u32>(body, RULE_ADDRTYPE_DST)) == not(invert, M_ADDRTYPE_DST)) return false;
  if (flags & M_MARK && ((skb.mark & load<u32>(body, RULE_MARK_MASK)) == load<u32>(body, RULE_MARK)) == not(invert, M_MARK)) return false;
  if (flags & M_U32 && !matchU32(body + RULE_HEAD, ip, len)) return false;
  if (flags & M_POLICY) {
    const policy = load<u32>(body, RULE_POLICY);
    // Outgoing packets meet their policy behind the hooks: never one here.
    const secured = !(policy & POLICY_OUT) && (skb.flags & SKB_SECPATH) != 0;
    if (secured != ((policy & POLICY_IPSEC) != 0)) return false;
  }
  if (flags & M_IPVS && ((skb.flags & SKB_IPVS) != 0) == not(invert, M_IPVS)) return false;
  if (flags & M_PROBABILITY && (rand32(changetype<Host>(ns.host)) & 0x7fffffff) >= load<u32>(body, RULE_PROBABILITY)) return false;
  return true;
}

const REST: u32 = M_ADDRTYPE_SRC | M_ADDRTYPE_DST | M_MARK | M_U32 | M_POLICY | M_IPVS | M_PROBABILITY;
const TRANSPORT: u32 = M_SPORT | M_DPORT | M_ICMP_TYPE;

/** True when the packet of `len` bytes at `ip` matches the rule whose body stands at `body`. */
export function ruleMatches(body: usize, ns: NetNs, skb: Skb, ip: usize, len: u32, inName: usize, outName: usize): bool {
  const flags = load<u32>(body, RULE_FLAGS);
  const invert = load<u32>(body, RULE_INVERT);
  if (flags & M_SRC && ((ipSrc(ip) & load<u32>(body, RULE_SRC_MASK)) == load<u32>(body, RULE_SRC)) == not(invert, M_SRC)) return false;
  if (flags & M_DST && ((ipDst(ip) & load<u32>(body, RULE_DST_MASK)) == load<u32>(body, RULE_DST)) == not(invert, M_DST)) return false;
  if (flags & M_IN && sameName(inName, body, RULE_IN, RULE_IN_MASK) == not(invert, M_IN)) return false;
  if (flags & M_OUT && sameName(outName, body, RULE_OUT, RULE_OUT_MASK) == not(invert, M_OUT)) return false;
  if (flags & M_PROTO && (ipProtocol(ip) == load<u32>(body, RULE_PROTO)) == not(invert, M_PROTO)) return false;
  if (flags & M_CTSTATE && ((stateBit(skb) & load<u32>(body, RULE_CTSTATE)) != 0) == not(invert, M_CTSTATE)) return false;
  if (flags & TRANSPORT && !matchTransport(body, flags, invert, ip, len)) return false;
  return !(flags & REST) || matchRest(body, flags, invert, ns, skb, ip, len);
}
