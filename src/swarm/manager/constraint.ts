/** Placement constraints: `key==value`, `key!=value` (swarmkit manager/constraint/constraint.go, 20.10). */
import { cidrContains, parseCidr, parseIpv4 } from "../../base/addr.ts";
import type { NodeObject, ServiceObject } from "../api/objects.ts";

/** A parsed expression. */
export interface Constraint {
  readonly key: string;
  readonly equal: boolean;
  readonly value: string;
}

/** Keys of constraints that name labels. */
export const NODE_LABEL_PREFIX = "node.labels.";
export const ENGINE_LABEL_PREFIX = "engine.labels.";

const KEY = /^[a-z_][a-z0-9\-_.]+$/i;
const VALUE = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i;

/** A constraint that cannot be read: a plain error in swarmkit, so its code is Unknown. */
export class ConstraintError extends Error {
  override name = "ConstraintError";
}

/** Throws ConstraintError. */
export function parseConstraints(expressions: readonly string[]): Constraint[] {
  return expressions.map((expression) => {
    const operator = ["==", "!="].find((candidate) => expression.includes(candidate));
    if (operator === undefined) throw new ConstraintError("constraint expected one operator from ==, !=");
    const at = expression.indexOf(operator);
    const key = expression.slice(0, at).trim();
    if (!KEY.test(key)) throw new ConstraintError(`key '${key}' is invalid`);
    const value = expression.slice(at + operator.length).trim();
    if (!VALUE.test(value)) throw new ConstraintError(`value '${value}' is invalid`);
    return { key, equal: operator === "==", value };
  });
}

function test({ equal, value }: Constraint, found: string): boolean {
  return (value.toLowerCase() === found.toLowerCase()) === equal;
}

/** An address or a CIDR. */
function testIp({ equal, value }: Constraint, addr: string): boolean {
  const ip = parseIpv4(addr);
  const cidr = value.includes("/") ? parseCidr(value) : undefined;
  const wanted = cidr === undefined ? parseIpv4(value) : undefined;
  if (ip === undefined) return !equal;
  // What is neither an address nor a network matches nothing, whatever the operator.
  if (cidr === undefined && wanted === undefined) return false;
  return (cidr === undefined ? ip === wanted : cidrContains(cidr, ip)) === equal;
}

function matches(constraint: Constraint, node: NodeObject): boolean {
  const { key } = constraint;
  const lower = key.toLowerCase();
  if (lower === "node.id") return test(constraint, node.id);
  if (lower === "node.hostname") return test(constraint, node.description?.hostname ?? "");
  if (lower === "node.ip") return testIp(constraint, node.status.addr);
  if (lower === "node.role") return test(constraint, node.role);
  if (lower === "node.platform.os") return test(constraint, node.description?.platform.os ?? "");
  if (lower === "node.platform.arch") return test(constraint, node.description?.platform.architecture ?? "");
  if (lower.startsWith(NODE_LABEL_PREFIX) && key.length > NODE_LABEL_PREFIX.length) {
    return test(constraint, node.spec.annotations.labels[key.slice(NODE_LABEL_PREFIX.length)] ?? "");
  }
  if (lower.startsWith(ENGINE_LABEL_PREFIX) && key.length > ENGINE_LABEL_PREFIX.length) {
    return test(constraint, node.description?.engine.labels[key.slice(ENGINE_LABEL_PREFIX.length)] ?? "");
  }
  return false;
}

/** Whether a node meets all of them. */
export function nodeMatches(constraints: readonly Constraint[], node: NodeObject): boolean {
  return constraints.every((constraint) => matches(constraint, node));
}

/** Whether a node meets the constraints of a service's spec. */
export function meetsConstraints(service: ServiceObject, node: NodeObject | undefined): boolean {
  if (node === undefined) return false;
  return nodeMatches(parseConstraints(service.spec.task.placement?.constraints ?? []), node);
}
