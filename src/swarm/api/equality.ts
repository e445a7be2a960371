/** When two values are the same (swarmkit api/equality/equality.go). */
import type { TaskObject } from "./objects.ts";

/** Equality of plain data, as Go's reflect.DeepEqual over protobuf messages: absent and undefined are the same. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...keys].every((key) => deepEqual(left[key], right[key]));
}

/** All of two tasks but status and meta: what an agent acts on. */
export function tasksEqualStable(a: TaskObject, b: TaskObject): boolean {
  const stable = ({ status: _status, meta: _meta, ...rest }: TaskObject) => rest;
  return deepEqual(stable(a), stable(b));
}
