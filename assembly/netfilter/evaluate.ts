/**
 * Walking a table's chains for a packet (ipt_do_table): a linear scan with a small stack of return
 * addresses, no recursion.
 */
import {
  NF_ACCEPT,
  NF_DROP,
  RULE_TARGET,
  RULE_T_MARK,
  RULE_T_MARK_MASK,
  T_ACCEPT,
  T_DNAT,
  T_DROP,
  T_JUMP,
  T_MARK,
  T_MASQUERADE,
  T_NONE,
  T_NOTRACK,
  T_REDIRECT,
  T_REJECT,
  T_RETURN,
  T_SNAT,
} from "../abi";
import { journeyBack, journeyBecause, markRule, marking } from "../link/marks";
import { NetNs } from "../link/netns";
import { Skb } from "../memory/skb";
import { IP_CT_UNTRACKED } from "./conntrack";
import { clearHotdrop, hotdrop, nameOf, ruleMatches } from "./match";
import { natMasquerade, natRedirect, natTarget } from "./nat";
import { MANIP_DST, MANIP_SRC } from "./nat-manip";
import { NfNs, nfOf, tableOf } from "./nfns";
import { reject } from "./reject";
import { Chain, MAX_JUMPS, Rule, bodyOf, firstChain, hookChain } from "./tables";

/** Rules to go on with, and where the innermost walk's part begins: REJECT's answer walks tables, too. */
const stack: usize = memory.data(4 * 256, 16);
const stackEnd: usize = stack + 4 * 256;
let top: usize = stack;

/** The targets that end a rule in a special way. Returns NF_ACCEPT, NF_DROP, or CONTINUE. */
const CONTINUE: u32 = 0xff;

function special(target: u32, nf: NfNs, ns: NetNs, skb: Skb, body: usize, hook: u32, inDev: usize, outDev: usize): u32 {
  switch (target) {
    case T_MARK: {
      skb.mark = (skb.mark & ~load<u32>(body, RULE_T_MARK_MASK)) ^ load<u32>(body, RULE_T_MARK);
      return CONTINUE;
    }
    case T_DNAT:
      return natTarget(nf, skb, body, MANIP_DST);
    case T_SNAT:
      return natTarget(nf, skb, body, MANIP_SRC);
    case T_MASQUERADE:
      return natMasquerade(nf, skb, body, outDev);
    case T_REDIRECT:
      return natRedirect(nf, skb, body, hook, inDev);
    case T_NOTRACK: {
      if (skb.ct == 0) skb.ctInfo = IP_CT_UNTRACKED;
      return CONTINUE;
    }
    case T_REJECT: {
      const before = marking ? journeyBecause(changetype<usize>(skb)) : <u64>0;
      reject(ns, skb, body);
      if (marking) journeyBack(before);
      return NF_DROP;
    }
    default:
      return CONTINUE;
  }
}

/** Marks a rule that decided; `rule` 0: the policy of the hook's chain. Its chain and number are looked for. */
function markDecision(nf: NfNs, table: usize, ns: NetNs, hook: u32, skb: Skb, rule: usize, target: u32): void {
  let which: u32 = 0;
  while (which < 3 && tableOf(nf, which) != table) which++;
  if (rule == 0) {
    markRule(ns, skb, which, hook, target, 0, changetype<Chain>(hookChain(table, hook)).name);
    return;
  }
  for (let c = firstChain(table); c != 0; c = changetype<Chain>(c).next) {
    let number: u32 = 1;
    for (let p = changetype<Chain>(c).first; p != 0; p = changetype<Rule>(p).next, number++) {
      if (p != rule) continue;
      markRule(ns, skb, which, hook, target, number, changetype<Chain>(c).name);
      return;
    }
  }
}

/** The verdict of a table's chain at a hook, NF_ACCEPT or NF_DROP; the packet is not freed. */
export function tableVerdict(table: usize, ns: NetNs, hook: u32, skb: Skb, inDev: usize, outDev: usize): u32 {
  const at = hookChain(table, hook);
  if (at == 0) return NF_ACCEPT;
  const chain = changetype<Chain>(at);
  const policy: u32 = chain.policy;
  let rule = chain.first;
  const nf = nfOf(ns);
  if (rule == 0) {
    if (marking && policy == <u32>NF_DROP) markDecision(nf, table, ns, hook, skb, 0, T_DROP);
    return policy;
  }
  const ip = skb.nh;
  const len = <u32>(skb.data + skb.len - ip);
  const inName = nameOf(inDev);
  const outName = nameOf(outDev);
  const bottom = top;
  // A walk inside REJECT inside a walk … ends where the stack does.
  if (top + 4 * MAX_JUMPS > stackEnd) return NF_DROP;
  let verdict = policy;
  clearHotdrop();
  for (;;) {
    if (rule == 0) {
      if (top == bottom) {
        if (marking && policy == <u32>NF_DROP) markDecision(nf, table, ns, hook, skb, 0, T_DROP);
        break;
      }
      top -= 4;
      rule = load<u32>(top);
      continue;
    }
    const record = changetype<Rule>(rule);
    const body = bodyOf(rule);
    if (!ruleMatches(body, ns, skb, ip, len, inName, outName)) {
      if (hotdrop) {
        verdict = NF_DROP;
          break;
      }
      rule = record.next;
      continue;
    }
    record.packets++;
    record.bytes += len;
    const target = load<u32>(body, RULE_TARGET);
    if (target == <u32>T_JUMP) {
      store<u32>(top, <u32>record.next);
      top += 4;
      rule = changetype<Chain>(record.chain).first;
      continue;
    }
    if (target == <u32>T_RETURN) {
      rule = 0;
      continue;
    }
    if (target == <u32>T_ACCEPT || target == <u32>T_DROP) {
      verdict = target == <u32>T_ACCEPT ? NF_ACCEPT : NF_DROP;
      if (marking && target == <u32>T_DROP) markDecision(nf, table, ns, hook, skb, rule, target);
      break;
    }
    if (target != <u32>T_NONE) {
      if (marking) markDecision(nf, table, ns, hook, skb, rule, target);
      const outcome = special(target, nf, ns, skb, body, hook, inDev, outDev);
      if (outcome != CONTINUE) {
        verdict = outcome;
          break;
      }
    }
    rule = record.next;
  }
  top = bottom;
  return verdict;
}
