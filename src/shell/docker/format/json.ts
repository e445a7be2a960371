/** JSON as Go writes it: encoding/json's Indent and Marshal, HTML escaping off as docker sets it. */
import type { Json, JsonObject } from "../../../engine/api.ts";

export type { Json, JsonObject };

/** `json.Indent(data, "", "    ")`: empty objects and arrays on one line. */
export function indentJson(value: Json, indent = "    ", prefix = ""): string {
  if (value === null || typeof value !== "object") return scalar(value);
  const inner = prefix + indent;
  if (isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((item) => inner + indentJson(item, indent, inner)).join(",\n")}\n${prefix}]`;
  }
  const entries = Object.entries(value).filter((entry): entry is [string, Json] => entry[1] !== undefined);
  if (entries.length === 0) return "{}";
  return `{\n${entries.map(([key, item]) => `${inner}${scalar(key)}: ${indentJson(item, indent, inner)}`).join(",\n")}\n${prefix}}`;
}

/** `json.Marshal`: no blanks. */
export function compactJson(value: Json): string {
  if (value === null || typeof value !== "object") return scalar(value);
  if (isArray(value)) return `[${value.map(compactJson).join(",")}]`;
  const entries = Object.entries(value).filter((entry): entry is [string, Json] => entry[1] !== undefined);
  return `{${entries.map(([key, item]) => `${scalar(key)}:${compactJson(item)}`).join(",")}}`;
}

function scalar(value: null | boolean | number | string): string {
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value)
    .replace(/\\(.)/g, (escaped, letter: string) => (letter === "b" ? "\\u0008" : letter === "f" ? "\\u000c" : escaped))
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

/** Array.isArray for read-only arrays. */
export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** The value at a path of keys; undefined where there is none. */
export function at(value: Json | undefined, ...keys: readonly string[]): Json | undefined {
  let current = value;
  for (const key of keys) {
    if (!isObject(current)) return undefined;
    current = current[key];
  }
  return current;
}

/** The text at a path; "" where there is none. */
export function text(value: Json | undefined, ...keys: readonly string[]): string {
  const found = at(value, ...keys);
  return typeof found === "string"
    ? found
    : typeof found === "number" || typeof found === "boolean"
      ? String(found)
      : "";
}

/** The number at a path; 0 where there is none. */
export function num(value: Json | undefined, ...keys: readonly string[]): number {
  const found = at(value, ...keys);
  return typeof found === "number" ? found : 0;
}

/** The boolean at a path, false when there is none. */
export function bool(value: Json | undefined, ...keys: readonly string[]): boolean {
  return at(value, ...keys) === true;
}

/** The list at a path, empty when there is none. */
export function list(value: Json | undefined, ...keys: readonly string[]): readonly Json[] {
  const found = at(value, ...keys);
  return isArray(found) ? found : [];
}

/** The object at a path, empty when there is none. */
export function object(value: Json | undefined, ...keys: readonly string[]): JsonObject {
  const found = at(value, ...keys);
  return isObject(found) ? found : {};
}
