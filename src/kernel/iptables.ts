/** iptables: chains and rules of a namespace's tables (net/ipv4/netfilter/ip_tables.c as iptables(8) sees it). */
import * as abi from "../../assembly/abi.ts";
import { check, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import { decodeRule, encodeRule } from "./rules.ts";
import type { ChainInfo, HookName, IptablesApi, Rule, TableName } from "./types.ts";

const TABLES: Record<TableName, number> = {
  raw: abi.TABLE_RAW,
  mangle: abi.TABLE_MANGLE,
  nat: abi.TABLE_NAT,
  filter: abi.TABLE_FILTER,
};

/** Names of the hooks' built-in chains, by NF_* number. */
const HOOKS: readonly HookName[] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/** XT_EXTENSION_MAXNAMELEN: longer names are refused. */
const MAX_CHAIN_NAME = 28;

/** Tables of a namespace, over the kernel's border. */
export class Iptables implements IptablesApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  newChain(table: TableName, chain: string): void {
    const operation = this.#begin(table, "-N", chain);
    check(this.#ns.kernel.exports.nfChainNew(this.#ns.handle, TABLES[table]), operation);
  }

  deleteChain(table: TableName, chain: string): void {
    const operation = this.#begin(table, "-X", chain);
    check(this.#ns.kernel.exports.nfChainDel(this.#ns.handle, TABLES[table]), operation);
  }

  hasChain(table: TableName, chain: string): boolean {
    const ns = this.#ns;
    ns.requireAlive("iptables-save");
    const { exports, mem } = ns.kernel;
    if (exports.nfTableUsed(ns.handle, TABLES[table]) === 0) return false;
    for (let at = exports.nfChainFirst(ns.handle, TABLES[table]); at !== 0; at = exports.nfChainNext(at)) {
      exports.nfChainInfo(at);
      if (mem.name(exports.scratch() + abi.CHAIN_INFO_NAME, abi.CHAIN_NAME) === chain) return true;
    }
    return false;
  }

  flush(table: TableName, chain = ""): void {
    const operation = this.#begin(table, "-F", chain);
    check(this.#ns.kernel.exports.nfChainFlush(this.#ns.handle, TABLES[table]), operation);
  }

  setPolicy(table: TableName, chain: HookName, policy: "ACCEPT" | "DROP"): void {
    const operation = this.#begin(table, "-P", chain);
    const verdict = policy === "ACCEPT" ? abi.NF_ACCEPT : abi.NF_DROP;
    check(this.#ns.kernel.exports.nfChainPolicy(this.#ns.handle, TABLES[table], verdict), operation);
  }

  append(table: TableName, chain: string, rule: Rule): void {
    this.#insert(table, "-A", chain, rule, 0);
  }

  insert(table: TableName, chain: string, rule: Rule, position = 1): void {
    if (!(Number.isInteger(position) && position >= 1))
      refuse("EINVAL", `iptables -t ${table} -I ${chain} ${position}`);
    this.#insert(table, "-I", chain, rule, position);
  }

  #insert(table: TableName, command: string, chain: string, rule: Rule, position: number): void {
    const operation = this.#begin(table, command, chain);
    const length = this.#putRule(rule);
    check(this.#ns.kernel.exports.nfRuleInsert(this.#ns.handle, TABLES[table], position, length), operation);
  }

  delete(table: TableName, chain: string, rule: Rule): void {
    const operation = this.#begin(table, "-D", chain);
    const length = this.#putRule(rule);
    check(this.#ns.kernel.exports.nfRuleDelete(this.#ns.handle, TABLES[table], length), operation);
  }

  check(table: TableName, chain: string, rule: Rule): boolean {
    this.#begin(table, "-C", chain);
    const length = this.#putRule(rule);
    return this.#ns.kernel.exports.nfRuleCheck(this.#ns.handle, TABLES[table], length) !== 0;
  }

  zero(table: TableName, chain?: string, position?: number): void {
    const ns = this.#ns;
    const operation = `iptables -t ${table} -Z ${chain ?? ""}`;
    ns.requireAlive(operation);
    const { exports, mem } = ns.kernel;
    const name = (at: number): string => {
      exports.nfChainInfo(at);
      return mem.name(exports.scratch() + abi.CHAIN_INFO_NAME, abi.CHAIN_NAME);
    };
    let found = chain === undefined;
    for (let at = exports.nfChainFirst(ns.handle, TABLES[table]); at !== 0; at = exports.nfChainNext(at)) {
      if (chain !== undefined && name(at) !== chain) continue;
      found = true;
      if (position === undefined) exports.nfChainZero(at);
      else exports.nfRuleZero(this.#ruleAt(at, position) ?? refuse("ENOENT", `${operation} ${position}`));
    }
    if (!found) refuse("ENOENT", operation);
  }

  /** The handle of a chain's rule at a position from 1. */
  #ruleAt(chain: number, position: number): number | undefined {
    const { exports, mem } = this.#ns.kernel;
    exports.nfChainInfo(chain);
    let rule = mem.u32(exports.scratch() + abi.CHAIN_INFO_FIRST);
    for (let left = position; rule !== 0 && left > 1; left--) {
      exports.nfRuleInfo(rule);
      rule = mem.u32(exports.scratch() + abi.RULE_INFO_NEXT);
    }
    return rule === 0 || position < 1 ? undefined : rule;
  }

  list(table: TableName): ChainInfo[] | undefined {
    const ns = this.#ns;
    ns.requireAlive("iptables-save");
    const { exports } = ns.kernel;
    if (exports.nfTableUsed(ns.handle, TABLES[table]) === 0) return undefined;
    const chains: ChainInfo[] = [];
    for (let at = exports.nfChainFirst(ns.handle, TABLES[table]); at !== 0; at = exports.nfChainNext(at)) {
      chains.push(this.#readChain(at));
    }
    // The kernel gives built-in chains in hook order, then those of users in order of creation.
    const builtIn = chains.filter((chain) => chain.hook !== undefined);
    const users = chains.filter((chain) => chain.hook === undefined);
    return [...builtIn, ...users.sort((a, b) => (a.name < b.name ? -1 : 1))];
  }

  #readChain(handle: number): ChainInfo {
    const { exports, mem } = this.#ns.kernel;
    exports.nfChainInfo(handle);
    const at = exports.scratch();
    const hook = mem.i32(at + abi.CHAIN_INFO_HOOK);
    const policy = mem.u32(at + abi.CHAIN_INFO_POLICY) === abi.NF_DROP ? "DROP" : "ACCEPT";
    const info = {
      name: mem.name(at + abi.CHAIN_INFO_NAME, abi.CHAIN_NAME),
      hook: hook < 0 ? undefined : HOOKS[hook],
      policy: hook < 0 ? undefined : policy,
      packets: mem.u64(at + abi.CHAIN_INFO_PACKETS),
      bytes: mem.u64(at + abi.CHAIN_INFO_BYTES),
    } as const;
    const first = mem.u32(at + abi.CHAIN_INFO_FIRST);
    return { ...info, rules: this.#readRules(first) };
  }

  #readRules(first: number): (Rule & { packets: number; bytes: number })[] {
    const { exports, mem } = this.#ns.kernel;
    const rules: (Rule & { packets: number; bytes: number })[] = [];
    for (let handle = first; handle !== 0; ) {
      exports.nfRuleInfo(handle);
      const at = exports.scratch();
      const body = mem.copy(at + abi.RULE_INFO_BODY, mem.u32(at + abi.RULE_INFO_LEN));
      const packets = mem.u64(at + abi.RULE_INFO_PACKETS);
      const bytes = mem.u64(at + abi.RULE_INFO_BYTES);
      rules.push({ ...decodeRule(body), packets, bytes });
      handle = mem.u32(at + abi.RULE_INFO_NEXT);
    }
    return rules;
  }

  /** Checks the names and puts the chain's into scratch. Returns what the operation is called in errors. */
  #begin(table: TableName, command: string, chain: string): string {
    const operation = `iptables -t ${table} ${command} ${chain}`;
    this.#ns.requireAlive(operation);
    if (chain.length > MAX_CHAIN_NAME) refuse("EINVAL", operation);
    const { exports, mem } = this.#ns.kernel;
    mem.putName(exports.scratch(), chain, abi.CHAIN_NAME);
    return operation;
  }

  /** Puts a rule's body behind the chain's name; returns its length. */
  #putRule(rule: Rule): number {
    const body = encodeRule(rule);
    const { exports, mem } = this.#ns.kernel;
    mem.bytes.set(body, exports.scratch() + abi.CHAIN_NAME);
    return body.length;
  }
}
