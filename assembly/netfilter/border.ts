/**
 * Netfilter's border: what iptables and conntrack do. Namespaces are NetNs handles, tables TABLE_*. Names
 * and rules cross through scratch: a chain's name (CHAIN_NAME bytes, zero-padded) at 0, a rule's body
 * (RULE_*, see abi.ts and src/kernel/rules.ts) at CHAIN_NAME. Errors are negative errno.
 */
import {
  CHAIN_INFO_BYTES, CHAIN_INFO_FIRST, CHAIN_INFO_HOOK, CHAIN_INFO_NAME, CHAIN_INFO_PACKETS, CHAIN_INFO_POLICY, CHAIN_INFO_RULES, CHAIN_NAME, CTLS, CTL_COUNT, CTL_MAX, CT_HANDLE, CT_MARK,
  CT_ORIG_DPORT, CT_ORIG_DST, CT_ORIG_SPORT, CT_ORIG_SRC, CT_PROTO, CT_RECORD, CT_REPLY_DPORT, CT_REPLY_DST, CT_REPLY_SPORT, CT_REPLY_SRC, CT_STATE, CT_STATUS, CT_TIMEOUT, CT_USE, EINVAL,
  IPPROTO_SCTP, IPPROTO_TCP, IPS_CONFIRMED, NF_ACCEPT, PROBE_INFO, RULE_HEAD, RULE_INFO_BODY, RULE_INFO_BYTES, RULE_INFO_LEN, RULE_INFO_NEXT, RULE_INFO_PACKETS,
} from "../abi";
import { snmpReady } from "../inet/snmp";
import { NetNs, nsHost } from "../link/netns";
import { SCRATCH_SIZE, scratch } from "../memory/scratch";
import { SKB_HEADROOM, allocSkb, consumeSkb, skbPut } from "../memory/skb";
import { now } from "../sim/event";
import { Ct, ctFlush, ctKill } from "./conntrack";
import { nfConntrackGet, nfConntrackPut, nfHook, nfUpdateHooks } from "./netfilter";
import { NfNs, ctlOwn, nfOf, tableOf } from "./nfns";
import { Chain, Rule, bodyLength, bodyOf, chainDelete, chainFlush, chainNew, chainPolicy, firstChain, ruleCheck, ruleDelete, ruleInsert } from "./tables";

@inline
function nf(ns: usize): NfNs {
  return nfOf(changetype<NetNs>(ns));
}

function changed(ns: usize, result: i32): i32 {
  nfUpdateHooks(changetype<NetNs>(ns));
  return result;
}

/** 1 when the table was ever used (iptables-save prints it). */
export function nfTableUsed(ns: usize, table: u32): u32 {
  return <u32>(tableOf(nf(ns), table) != 0);
}

/** `iptables -N`: -EEXIST, -EINVAL (longer than 28 bytes). */
export function nfChainNew(ns: usize, table: u32): i32 {
  return chainNew(nf(ns), table, scratch());
}

/** `iptables -X CHAIN`: -ENOENT, -EBUSY (has rules, or is jumped to), -EINVAL (built in). */
export function nfChainDel(ns: usize, table: u32): i32 {
  return chainDelete(nf(ns), table, scratch());
}

/** `iptables -F [CHAIN]`; an empty name means all. */
export function nfChainFlush(ns: usize, table: u32): i32 {
  return changed(ns, chainFlush(nf(ns), table, scratch()));
}

/** `iptables -P CHAIN`: policy NF_ACCEPT or NF_DROP. */
export function nfChainPolicy(ns: usize, table: u32, policy: u32): i32 {
  return changed(ns, chainPolicy(nf(ns), table, scratch(), policy));
}

/**
 * `iptables -A` (position 0) or `-I` (position from 1). -ENOENT: no such chain, or none to jump to; -EINVAL: a target
 * that may not stand there, a position beyond the end; -EMLINK: a loop.
 */
export function nfRuleInsert(ns: usize, table: u32, position: u32, len: u32): i32 {
  if (len < <u32>RULE_HEAD || len > SCRATCH_SIZE - CHAIN_NAME) return -EINVAL;
  return changed(ns, ruleInsert(nf(ns), table, scratch(), scratch() + CHAIN_NAME, len, position));
}

/** `iptables -D` by content: the first equal rule; -ENOENT. */
export function nfRuleDelete(ns: usize, table: u32, len: u32): i32 {
  return changed(ns, ruleDelete(nf(ns), table, scratch(), scratch() + CHAIN_NAME, len));
}

/** `iptables -C`: 1 when an equal rule is there. */
export function nfRuleCheck(ns: usize, table: u32, len: u32): u32 {
  return <u32>ruleCheck(nf(ns), table, scratch(), scratch() + CHAIN_NAME, len);
}

/** First chain of a table in order of creation (built-in ones first, in hook order), 0 if the table was never used. */
export function nfChainFirst(ns: usize, table: u32): usize {
  const record = tableOf(nf(ns), table);
  return record == 0 ? 0 : firstChain(record);
}

/** The next chain of the table, 0 behind the last. */
export function nfChainNext(chain: usize): usize {
  return changetype<Chain>(chain).next;
}

/** Writes a chain's CHAIN_INFO_* record to scratch. */
export function nfChainInfo(at: usize): void {
  const chain = changetype<Chain>(at);
  const out = scratch();
  memory.copy(out + CHAIN_INFO_NAME, chain.name, CHAIN_NAME);
  store<i32>(out, chain.hook, CHAIN_INFO_HOOK);
  store<u32>(out, chain.policy, CHAIN_INFO_POLICY);
  store<u32>(out, chain.count, CHAIN_INFO_RULES);
  store<u32>(out, <u32>chain.first, CHAIN_INFO_FIRST);
  store<u64>(out, 0, CHAIN_INFO_PACKETS); // of policies, which nf_tables does not count
  store<u64>(out, 0, CHAIN_INFO_BYTES);
}

/** Writes a rule's RULE_INFO_* record, with its body, to scratch. */
export function nfRuleInfo(at: usize): void {
  const rule = changetype<Rule>(at);
  const out = scratch();
  store<u64>(out, rule.packets, RULE_INFO_PACKETS);
  store<u64>(out, rule.bytes, RULE_INFO_BYTES);
  const len = bodyLength(at);
  store<u32>(out, len, RULE_INFO_LEN);
  store<u32>(out, <u32>rule.next, RULE_INFO_NEXT);
  memory.copy(out + RULE_INFO_BODY, bodyOf(at), len);
}

/** Zeroes the counters of a chain and its rules (`iptables -Z CHAIN`). */
export function nfChainZero(at: usize): void {
  const chain = changetype<Chain>(at);
  for (let p = chain.first; p != 0; p = changetype<Rule>(p).next) nfRuleZero(p);
}

/** Zeroes the counters of a rule (`iptables -Z CHAIN N`). */
export function nfRuleZero(at: usize): void {
  const rule = changetype<Rule>(at);
  rule.packets = 0;
  rule.bytes = 0;
}

// ------------------------------------------------------------------------------------------- conntrack

/** Tracks connections in a namespace although no rule asks for it (on 1), or no longer (0). */
export function nfCtEnable(ns: usize, on: u32): void {
  if (on) nfConntrackGet(changetype<NetNs>(ns));
  else nfConntrackPut(changetype<NetNs>(ns));
}

/** 1 while connections are tracked here. */
export function nfCtActive(ns: usize): u32 {
  return <u32>(nf(ns).ctUsers != 0);
}

/** Connections of a namespace, those that wait for confirmation or for the sweep included. */
export function nfCtCount(ns: usize): u32 {
  return nf(ns).count;
}

/** `conntrack -F`. */
export function nfCtFlush(ns: usize): void {
  ctFlush(nf(ns));
}

/** `conntrack -D` of one connection (its CT_HANDLE of a dump made just now). */
export function nfCtDel(handle: usize): void {
  ctKill(changetype<Ct>(handle));
}

function visible(ct: Ct): bool {
  return (ct.status & IPS_CONFIRMED) != 0 && ct.expires > now;
}

/**
 * `conntrack -L`: writes CT_* records of the live connections to scratch, in order of creation, leaving out the
 * first `skip`. Returns how many were written; call again with `skip` raised by that until it is 0.
 */
export function nfCtDump(ns: usize, skip: u32): u32 {
  const max = SCRATCH_SIZE / <u32>CT_RECORD;
  let out = scratch();
  let count: u32 = 0;
  for (let p = nf(ns).first; p != 0 && count < max; p = changetype<Ct>(p).listNext) {
    const ct = changetype<Ct>(p);
    if (!visible(ct)) continue;
    if (skip != 0) {
      skip--;
      continue;
    }
    putCt(out, ct);
    out += CT_RECORD;
    count++;
  }
  return count;
}

function putCt(out: usize, ct: Ct): void {
  store<u32>(out, <u32>changetype<usize>(ct), CT_HANDLE);
  store<u32>(out, ct.oKey & 255, CT_PROTO);
  store<u32>(out, ct.status, CT_STATUS);
  const stateful = (ct.oKey & 255) == <u32>IPPROTO_TCP || (ct.oKey & 255) == <u32>IPPROTO_SCTP;
  store<u32>(out, stateful ? <u32>ct.state : 0, CT_STATE);
  store<u32>(out, ct.mark, CT_MARK);
  store<u32>(out, ct.refs, CT_USE);
  store<f64>(out, <f64>(ct.expires - now), CT_TIMEOUT);
  store<u32>(out, ct.oSrc, CT_ORIG_SRC);
  store<u32>(out, ct.oDst, CT_ORIG_DST);
  store<u16>(out, <u16>ct.oPorts, CT_ORIG_SPORT);
  store<u16>(out, <u16>(ct.oPorts >> 16), CT_ORIG_DPORT);
  store<u32>(out, ct.rSrc, CT_REPLY_SRC);
  store<u32>(out, ct.rDst, CT_REPLY_DST);
  store<u16>(out, <u16>ct.rPorts, CT_REPLY_SPORT);
  store<u16>(out, <u16>(ct.rPorts >> 16), CT_REPLY_DPORT);
}

/** The namespace whose value counts: nf_conntrack_max is the host's. */
function ctlHome(ns: usize, index: u32): NfNs {
  const host = nsHost(changetype<NetNs>(ns));
  return index == <u32>CTL_MAX && host.root != 0 ? nfOf(changetype<NetNs>(host.root)) : nf(ns);
}

/** A net.netfilter.nf_conntrack_* value (CTL_*). */
export function nfCtSysctlGet(ns: usize, index: u32): u32 {
  if (index == <u32>CTL_COUNT) return nf(ns).count;
  return index < <u32>CTLS ? load<u32>(ctlHome(ns, index).ctl + (<usize>index << 2)) : 0;
}

/** Sets one; -EINVAL for numbers that don't exist or can't be set. */
export function nfCtSysctlSet(ns: usize, index: u32, value: u32): i32 {
  if (index == 0 || index >= <u32>CTLS || index == <u32>CTL_COUNT) return -EINVAL;
  store<u32>(ctlOwn(ctlHome(ns, index)) + (<usize>index << 2), value);
  return 0;
}

// ------------------------------------------------------------------------------------------------ probe

/**
 * Sends an IPv4 packet (whole and valid, `len` bytes at scratch) through some hooks of a namespace, without routes
 * and wires: bit h of `hooks` = hook h, run in the order of NF_*. Returns the last verdict. After NF_ACCEPT the
 * packet as the rules left it stands at scratch, and PROBE_INFO tells its mark and connection.
 */
export function nfProbe(ns: usize, hooks: u32, inDev: usize, outDev: usize, len: u32): u32 {
  const net = changetype<NetNs>(ns);
  snmpReady(net);
  const skb = allocSkb(nsHost(net), SKB_HEADROOM, len);
  memory.copy(skbPut(skb, len), scratch(), len);
  skb.nh = skb.data;
  skb.th = skb.data + ((<usize>load<u8>(skb.data) & 15) << 2);
  skb.dev = inDev != 0 ? inDev : outDev;
  for (let hook: u32 = 0; hook < 5; hook++) {
    if (!(hooks & (1 << hook)) || !(net.nfHooks & (1 << hook))) continue;
    const verdict = nfHook(net, hook, skb, inDev, outDev);
    if (verdict != <u32>NF_ACCEPT) return verdict;
  }
  memory.copy(scratch(), skb.data, skb.len);
  const info = scratch() + PROBE_INFO;
  store<u32>(info, skb.ctInfo);
  store<u32>(info, skb.mark, 4);
  store<u32>(info, skb.flags, 8);
  store<u32>(info, skb.ct != 0 ? changetype<Ct>(skb.ct).status : 0, 12);
  store<u32>(info, skb.len, 16);
  consumeSkb(skb);
  return NF_ACCEPT;
}
