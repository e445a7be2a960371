/** Small words for the rules that libnetwork programs, and iptables' check-then-change (moby libnetwork/iptables/iptables.go, 20.10). */
import type { IptablesApi, Not, Rule, RuleMatch, TableName } from "../kernel/types.ts";

/** A value that must be. */
export function is<T>(value: T): Not<T> {
  return { value, not: false };
}

/** A value that must not be (`!`). */
export function not<T>(value: T): Not<T> {
  return { value, not: true };
}

/** `--dport N` and `--sport N`. */
export function isPort(port: number): Not<readonly [number, number]> {
  return { value: [port, port], not: false };
}

/** `-j RETURN`. */
export const RETURN: Rule = { match: {}, target: { kind: "RETURN" } };

/** `-j CHAIN`. */
export function jump(chain: string, match: RuleMatch = {}): Rule {
  return { match, target: { kind: "JUMP", chain } };
}

/** `iptables -N` unless it is there. */
export function ensureChain(iptables: IptablesApi, table: TableName, chain: string): void {
  if (!iptables.hasChain(table, chain)) iptables.newChain(table, chain);
}

/** `iptables -A` unless the rule is there. */
export function appendOnce(iptables: IptablesApi, table: TableName, chain: string, rule: Rule): void {
  if (!iptables.check(table, chain, rule)) iptables.append(table, chain, rule);
}

/** `iptables -I` unless the rule is there. */
export function insertOnce(iptables: IptablesApi, table: TableName, chain: string, rule: Rule): void {
  if (!iptables.check(table, chain, rule)) iptables.insert(table, chain, rule, 1);
}

/** `iptables -D` if the rule is there. */
export function deleteIfThere(iptables: IptablesApi, table: TableName, chain: string, rule: Rule): void {
  if (iptables.check(table, chain, rule)) iptables.delete(table, chain, rule);
}
