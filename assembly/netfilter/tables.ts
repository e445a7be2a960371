/**
 * Tables, chains and rules as records (ip_tables and nf_tables in one: what iptables-nft shows).
 *
 *   table:  five words, the chain of each hook (0 = none) | first chain, last chain in order of creation
 *   rule:   Rule, and the body that src/kernel/rules.ts encoded (RULE_* in abi.ts)
 *
 * Bodies and names are kept once, however many rules and chains of whatever namespaces have them: every container has the same.
 *
 * Policies are not counted, as the captured systems' nf_tables backend doesn't either.
 */
import {
  CHAIN_NAME, EBUSY, EEXIST, EINVAL, EMLINK, ENOENT, M_CTSTATE, NF_ACCEPT, NF_DROP, NF_FORWARD, NF_LOCAL_IN, NF_LOCAL_OUT, NF_POST_ROUTING, NF_PRE_ROUTING, RULE_CHAIN,
  RULE_FLAGS, RULE_TARGET, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT, TABLE_RAW, T_DNAT, T_JUMP, T_MASQUERADE, T_NOTRACK, T_REDIRECT, T_REJECT, T_SNAT,
} from "../abi";
import { kfree, kmalloc, kmallocRaw } from "../memory/arena";
import { HashTable, linkHash, linkNext, tableFirst, tableInsert, tableNew, tableRemove } from "../memory/hashtable";
import { NfNs, tableOf } from "./nfns";

/** A chain of a table, built-in or of the user. */
@unmanaged
export class Chain {
  name: usize; // CHAIN_NAME bytes: a kept text, or one of `names`
  next: usize;
  first: usize; // Rule
  count: u32;
  jumps: u32; // rules that jump here
  hook: i16; // -1 = a user's chain
  policy: u16;
}

/** A rule. */
@unmanaged
export class Rule {
  next: usize;
  body: usize; // RULE_*, a kept text
  packets: u64;
  bytes: u64;
  chain: usize; // of a JUMP
}

/** What is kept once; the bytes follow. */
@unmanaged
class Kept {
  hnext: u32;
  hhash: u32;
  users: u32;
  len: u32;
}

const KEPT: usize = offsetof<Kept>();
let kept: HashTable = changetype<HashTable>(0);

/** FNV-1a, by words. */
function textHash(text: usize, len: u32): u32 {
  let hash: u32 = 0x811c9dc5 ^ len;
  let at: u32 = 0;
  for (; at + 4 <= len; at += 4) hash = (hash ^ load<u32>(text + <usize>at)) * 0x01000193;
  for (; at < len; at++) hash = (hash ^ <u32>load<u8>(text + <usize>at)) * 0x01000193;
  hash = (hash ^ (hash >> 15)) * 0x85ebca6b;
  return hash ^ (hash >> 13);
}

/** The kept text of the same bytes, 0 if there is none. */
function findText(text: usize, len: u32, hash: u32): usize {
  for (let p = tableFirst(kept, hash); p != 0; p = linkNext(p)) {
    if (linkHash(p) == hash && changetype<Kept>(p).len == len && memory.compare(p + KEPT, text, len) == 0) return p + KEPT;
  }
  return 0;
}

/** Keeps a text, or has one user more of it: where its bytes are. */
function keepText(text: usize, len: u32): usize {
  const hash = textHash(text, len);
  const found = findText(text, len, hash);
  if (found != 0) {
    changetype<Kept>(found - KEPT).users++;
    return found;
  }
  const record = changetype<Kept>(kmallocRaw(KEPT + len));
  record.users = 1;
  record.len = len;
  const at = changetype<usize>(record) + KEPT;
  memory.copy(at, text, len);
  tableInsert(kept, changetype<usize>(record), hash);
  return at;
}

/** One user less of a kept text. */
function dropText(at: usize): void {
  const record = changetype<Kept>(at - KEPT);
  if (--record.users != 0) return;
  tableRemove(kept, changetype<usize>(record));
  kfree(changetype<usize>(record), KEPT + record.len);
}

const TABLE: usize = 28;
const FIRST_CHAIN: usize = 20;
const LAST_CHAIN: usize = 24;
/** NFT_JUMP_STACK_SIZE. */
export const MAX_JUMPS: u32 = 16;

/** A rule's body. */
@inline
export function bodyOf(rule: usize): usize {
  return changetype<Rule>(rule).body;
}

/** Length of a rule's body. */
export function bodyLength(rule: usize): u32 {
  return changetype<Kept>(bodyOf(rule) - KEPT).len;
}

/** Names of the built-in chains by hook, CHAIN_NAME bytes each. */
const names: usize = memory.data(5 * 32, 16);

function setName(hook: u32, a: u64, b: u64): void {
  store<u64>(names + (<usize>hook << 5), a);
  store<u64>(names + (<usize>hook << 5), b, 8);
}

/** Called once at start-up. */
export function tablesInit(): void {
  kept = tableNew(4);
  setName(NF_PRE_ROUTING, 0x4954554f52455250, 0x474e); // 16 bytes of text, little-endian
  setName(NF_LOCAL_IN, 0x5455504e49, 0);
  setName(NF_FORWARD, 0x44524157524f46, 0);
  setName(NF_LOCAL_OUT, 0x54555054554f, 0);
  setName(NF_POST_ROUTING, 0x54554f5254534f50, 0x474e49);
}

/** Hooks of a table's built-in chains, as bits. */
function hooksOf(table: u32): u32 {
  if (table == <u32>TABLE_RAW) return (1 << NF_PRE_ROUTING) | (1 << NF_LOCAL_OUT);
  if (table == <u32>TABLE_MANGLE) return 31;
  if (table == <u32>TABLE_NAT) return 31 & ~(1 << NF_FORWARD);
  return (1 << NF_LOCAL_IN) | (1 << NF_FORWARD) | (1 << NF_LOCAL_OUT);
}

function addChain(record: usize, name: usize, hook: i32): Chain {
  const chain = changetype<Chain>(kmalloc(offsetof<Chain>()));
  chain.name = hook >= 0 ? name : keepText(name, CHAIN_NAME);
  chain.hook = <i16>hook;
  chain.policy = <u16>NF_ACCEPT;
  const last = load<u32>(record, LAST_CHAIN);
  if (last != 0) changetype<Chain>(last).next = changetype<usize>(chain);
  else store<u32>(record, <u32>changetype<usize>(chain), FIRST_CHAIN);
  store<u32>(record, <u32>changetype<usize>(chain), LAST_CHAIN);
  return chain;
}

/** The table's record; makes it with its built-in chains when it is first used. */
function tableMake(nf: NfNs, table: u32): usize {
  const found = tableOf(nf, table);
  if (found != 0) return found;
  const record = kmalloc(TABLE);
  const hooks = hooksOf(table);
  for (let hook: u32 = 0; hook < 5; hook++) {
    if (!(hooks & (1 << hook))) continue;
    store<u32>(record + (<usize>hook << 2), <u32>changetype<usize>(addChain(record, names + (<usize>hook << 5), <i32>hook)));
  }
  store<u32>(changetype<usize>(nf) + (<usize>table << 2), <u32>record, offsetof<NfNs>("table0"));
  return record;
}

/** First chain of a table's record. */
@inline
export function firstChain(record: usize): usize {
  return load<u32>(record, FIRST_CHAIN);
}

/** The chain of a hook in a table's record. */
@inline
export function hookChain(record: usize, hook: u32): usize {
  return load<u32>(record + (<usize>hook << 2));
}

/** The chain of that name (CHAIN_NAME bytes), 0 if none. */
function findChain(record: usize, name: usize): usize {
  for (let p = firstChain(record); p != 0; p = changetype<Chain>(p).next) {
    if (memory.compare(changetype<Chain>(p).name, name, CHAIN_NAME) == 0) return p;
  }
  return 0;
}

/** `iptables -N`: 0, -EINVAL for an empty or too long name, -EEXIST. */
export function chainNew(nf: NfNs, table: u32, name: usize): i32 {
  const record = tableMake(nf, table);
  if (load<u8>(name) == 0 || load<u32>(name, 28) != 0) return -EINVAL;
  if (findChain(record, name) != 0) return -EEXIST;
  addChain(record, name, -1);
  return 0;
}

function freeChain(chain: Chain): void {
  if (chain.hook < 0) dropText(chain.name);
  kfree(changetype<usize>(chain), offsetof<Chain>());
}

/** Deletes an empty chain of the user to which nothing jumps. */
export function chainDelete(nf: NfNs, table: u32, name: usize): i32 {
  const record = tableOf(nf, table);
  const found = record == 0 ? <usize>0 : findChain(record, name);
  if (found == 0) return -ENOENT;
  const chain = changetype<Chain>(found);
  if (chain.hook >= 0) return -EINVAL;
  if (chain.count != 0 || chain.jumps != 0) return -EBUSY;
  let previous: usize = 0;
  for (let p = firstChain(record); p != found; p = changetype<Chain>(p).next) previous = p;
  // A built-in chain stands first, so there is always one before.
  changetype<Chain>(previous).next = chain.next;
  if (<usize>load<u32>(record, LAST_CHAIN) == found) store<u32>(record, <u32>previous, LAST_CHAIN);
  freeChain(chain);
  return 0;
}

/** Needs connection tracking: a NAT target or a ctstate match (nf_ct_netns_get of their checkentry). */
function needsTracking(body: usize): bool {
  const target = load<u32>(body, RULE_TARGET);
  if (target >= <u32>T_DNAT && target <= <u32>T_REDIRECT) return true;
  return (load<u32>(body, RULE_FLAGS) & M_CTSTATE) != 0;
}

function freeRule(nf: NfNs, at: usize): void {
  const rule = changetype<Rule>(at);
  if (rule.chain != 0) changetype<Chain>(rule.chain).jumps--;
  if (needsTracking(bodyOf(at))) nf.ctUsers--;
  dropText(rule.body);
  kfree(at, offsetof<Rule>());
}

function flushChain(nf: NfNs, chain: Chain): void {
  let p = chain.first;
  chain.first = 0;
  chain.count = 0;
  while (p != 0) {
    const next = changetype<Rule>(p).next;
    freeRule(nf, p);
    p = next;
  }
}

/** Empties one chain, or all when the name is empty. */
export function chainFlush(nf: NfNs, table: u32, name: usize): i32 {
  const record = tableMake(nf, table);
  if (load<u8>(name) != 0) {
    const found = findChain(record, name);
    if (found == 0) return -ENOENT;
    flushChain(nf, changetype<Chain>(found));
    return 0;
  }
  for (let p = firstChain(record); p != 0; p = changetype<Chain>(p).next) flushChain(nf, changetype<Chain>(p));
  return 0;
}

/** Frees all tables of a namespace. */
export function tablesFree(nf: NfNs): void {
  for (let table: u32 = 0; table < 4; table++) {
    const record = tableOf(nf, table);
    if (record == 0) continue;
    for (let p = firstChain(record); p != 0; p = changetype<Chain>(p).next) flushChain(nf, changetype<Chain>(p));
    let p = firstChain(record);
    while (p != 0) {
      const next = changetype<Chain>(p).next;
      freeChain(changetype<Chain>(p));
      p = next;
    }
    kfree(record, TABLE);
  }
}

/** `iptables -P`: 0, -ENOENT, or -EINVAL for a chain of the user or another verdict than ACCEPT and DROP. */
export function chainPolicy(nf: NfNs, table: u32, name: usize, policy: u32): i32 {
  const found = findChain(tableMake(nf, table), name);
  if (found == 0) return -ENOENT;
  const chain = changetype<Chain>(found);
  if (chain.hook < 0 || (policy != <u32>NF_ACCEPT && policy != <u32>NF_DROP)) return -EINVAL;
  chain.policy = <u16>policy;
  return 0;
}

/** The target may stand in this table and, in a built-in chain, at this hook. */
function targetAllowed(table: u32, hook: i32, target: u32): bool {
  if (target == <u32>T_NOTRACK) return table == <u32>TABLE_RAW;
  if (target == <u32>T_REJECT) return table == <u32>TABLE_FILTER;
  if (target < <u32>T_DNAT || target > <u32>T_REDIRECT) return true;
  if (table != <u32>TABLE_NAT) return false;
  if (hook < 0) return true;
  if (target == <u32>T_MASQUERADE) return hook == NF_POST_ROUTING;
  if (target == <u32>T_SNAT) return hook == NF_POST_ROUTING || hook == NF_LOCAL_IN;
  return hook == NF_PRE_ROUTING || hook == NF_LOCAL_OUT;
}

/** How deep the jumps from a chain go; more than MAX_JUMPS for a loop. */
function depthFrom(chain: Chain, left: u32): u32 {
  if (left == 0) return MAX_JUMPS + 1;
  let deepest: u32 = 0;
  for (let p = chain.first; p != 0; p = changetype<Rule>(p).next) {
    const to = changetype<Rule>(p).chain;
    if (to == 0) continue;
    const depth: u32 = 1 + depthFrom(changetype<Chain>(to), left - 1);
    if (depth > deepest) deepest = depth;
  }
  return deepest;
}

/** Inserts a rule at a position from 1, or appends it (position 0). 0 or -errno. */
export function ruleInsert(nf: NfNs, table: u32, name: usize, body: usize, len: u32, position: u32): i32 {
  const record = tableMake(nf, table);
  const found = findChain(record, name);
  if (found == 0) return -ENOENT;
  const chain = changetype<Chain>(found);
  const target = load<u32>(body, RULE_TARGET);
  if (!targetAllowed(table, chain.hook, target)) return -EINVAL;
  if (position > chain.count + 1) return -EINVAL;
  let to: usize = 0;
  if (target == <u32>T_JUMP) {
    to = findChain(record, body + RULE_CHAIN);
    if (to == 0) return -ENOENT;
    if (changetype<Chain>(to).hook >= 0) return -EINVAL;
  }
  const at = kmalloc(offsetof<Rule>());
  const rule = changetype<Rule>(at);
  rule.body = keepText(body, len);
  rule.chain = to;
  let link = found + offsetof<Chain>("first");
  for (let i: u32 = 1; position == 0 || i < position; i++) {
    if (load<u32>(link) == 0) break;
    link = load<u32>(link); // Rule.next stands first
  }
  rule.next = load<u32>(link);
  store<u32>(link, <u32>at);
  chain.count++;
  if (to != 0) {
    changetype<Chain>(to).jumps++;
    if (tooDeep(record)) {
      store<u32>(link, <u32>rule.next);
      chain.count--;
      changetype<Chain>(to).jumps--;
      dropText(rule.body);
      kfree(at, offsetof<Rule>());
      return -EMLINK;
    }
  }
  if (needsTracking(body)) nf.ctUsers++;
  return 0;
}

/** A loop, or a chain of jumps that the stack can't hold (NFT_JUMP_STACK_SIZE). */
function tooDeep(record: usize): bool {
  for (let p = firstChain(record); p != 0; p = changetype<Chain>(p).next) {
    if (depthFrom(changetype<Chain>(p), MAX_JUMPS) > MAX_JUMPS) return true;
  }
  return false;
}

/** The link to the first rule of a chain whose body is equal, 0 if none. */
function findRule(nf: NfNs, table: u32, name: usize, body: usize, len: u32): usize {
  const record = tableOf(nf, table);
  const found = record == 0 ? <usize>0 : findChain(record, name);
  if (found == 0) return 0;
  const text = findText(body, len, textHash(body, len));
  if (text == 0) return 0;
  let link = found + offsetof<Chain>("first");
  for (let p: usize = load<u32>(link); p != 0; p = load<u32>(link)) {
    if (bodyOf(p) == text) return link;
    link = p;
  }
  return 0;
}

/** `iptables -C`: an equal rule is there. */
export function ruleCheck(nf: NfNs, table: u32, name: usize, body: usize, len: u32): bool {
  return findRule(nf, table, name, body, len) != 0;
}

/** Deletes the first equal rule. */
export function ruleDelete(nf: NfNs, table: u32, name: usize, body: usize, len: u32): i32 {
  const link = findRule(nf, table, name, body, len);
  if (link == 0) return -ENOENT;
  const at = <usize>load<u32>(link);
  store<u32>(link, <u32>changetype<Rule>(at).next);
  const chain = findChain(tableOf(nf, table), name);
  changetype<Chain>(chain).count--;
  freeRule(nf, at);
  return 0;
}
