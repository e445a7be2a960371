/**
 * A lab's parameters, and what can be set in a lab from outside (`--set`, `--vary`): its parameters, and fields of the
 * file by their path, `network.loss` or `hosts.host1.latency`. `$name` and `${name}` of a parameter are replaced in
 * every value of the file, keys excepted; other names are left to the shell and to variables that steps keep.
 */
import { type Document, isAlias, isCollection, isMap, isScalar, type Pair, visit } from "yaml";
import { UserError } from "../base/errors.ts";
import { LAB_SCHEMA } from "./schema.ts";

/** A value of a field or a parameter. */
export type Scalar = string | number | boolean;

/** Values by key: a parameter's name, or the path of a field. A string is read as what the key takes. */
export type Settings = Readonly<Record<string, Scalar>>;

const TOP = LAB_SCHEMA.properties;
/** Fields at the top that are values. A parameter can't be called like one of them. */
export const TOP_FIELDS: readonly string[] = ["seed", "engine", "pause"];
const { fabric: FABRIC, ...NETWORK } = TOP.network.properties;
const NETWORK_FIELDS = scalars(NETWORK);
const FABRIC_FIELDS = scalars(FABRIC.properties);
const HOST_FIELDS = scalars(TOP.hosts.additionalProperties.properties);
const CARD_FIELDS = scalars(TOP.networks.additionalProperties.properties);
/** Names of hosts that a message lists. */
const MOST_LISTED = 8;

const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i;
const REFERENCE = /\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g;

function scalars(properties: Readonly<Record<string, object>>): string[] {
  return Object.keys(properties).filter((name) => !("items" in (properties[name] as object)));
}

/**
 * Puts settings into a file, then its parameters to where they are named.
 * @param plain the file as plain data
 * @returns the settings with the types that they have there, each under one name: `p` for `params.p`, `steps.1.wait` for `steps[1].wait`
 * @throws UserError for a key that the lab doesn't have or that is given under two names, or a value of another type than its parameter's default
 */
export function applySettings(
  file: string,
  doc: Document,
  plain: () => unknown,
  settings: Settings,
): Record<string, Scalar> {
  const applied: Record<string, Scalar> = {};
  const params = paramsOf(doc);
  for (const [key, value] of Object.entries(settings)) {
    const name = key.replace(/^params\./, "");
    const param = params.get(name);
    const path = pathOf(key);
    const known = param === undefined ? path.join(".") : name;
    if (Object.hasOwn(applied, known)) throw new UserError(`${file}: ${key} is set twice`);
    if (param !== undefined) {
      param.value = applied[known] = typed(file, key, value, param.value as Scalar);
      continue;
    }
    const raw = plain();
    if (!isField(raw, path))
      throw new UserError(`${file}: there is no ${key} to set; ${listKeys(raw, [...params.keys()])}`);
    const given = typeof value === "string" ? read(value) : value;
    applied[known] = given;
    ownCollections(doc, path);
    doc.setIn(path, given);
  }
  substitute(doc, params);
  return applied;
}

/** Makes what the path leads through the file's own there: an alias becomes a copy, `host1:` without a value a map. */
function ownCollections(doc: Document, path: readonly (string | number)[]): void {
  for (let length = 1; length < path.length; length++) {
    const part = path.slice(0, length);
    const node: unknown = doc.getIn(part, true);
    if (isCollection(node)) continue;
    const copy = isAlias(node) ? node.resolve(doc)?.clone() : undefined;
    if (isCollection(copy)) delete copy.anchor;
    doc.setIn(part, isCollection(copy) ? copy : doc.createNode({}));
  }
}

/** The parameters with scalar values, which the schema wants all of them to be. */
export function paramsOf(doc: Document): Map<string, { value: unknown }> {
  const node: unknown = isMap(doc.contents) ? doc.get("params", true) : undefined;
  const params = new Map<string, { value: unknown }>();
  if (!isMap(node)) return params;
  for (const { key, value } of node.items)
    if (isScalar(key) && isScalar(value) && isValue(value.value)) params.set(String(key.value), value);
  return params;
}

function isValue(value: unknown): value is Scalar {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** A parameter's new value, of the type of its default. */
function typed(file: string, key: string, value: Scalar, before: Scalar): Scalar {
  if (typeof before === "string") return String(value);
  const given = typeof value === "string" ? read(value) : value;
  if (typeof given === typeof before) return given;
  const expected = typeof before === "number" ? "a number" : "true or false";
  throw new UserError(`${file}: ${key}=${value}: expected ${expected}, like the parameter's default ${before}`);
}

function read(text: string): Scalar {
  if (NUMBER.test(text)) return Number(text);
  return text === "true" ? true : text === "false" ? false : text;
}

/** `steps[3].wait` and `steps.3.wait` are the same. */
function pathOf(key: string): (string | number)[] {
  const parts = key.replace(/\[(\d+)\]/g, ".$1").split(".");
  return parts.map((part, index) => (parts[0] === "steps" && index > 0 && /^\d+$/.test(part) ? Number(part) : part));
}

function at(value: unknown, path: readonly (string | number)[]): unknown {
  let here = value;
  for (const part of path)
    here = typeof here === "object" && here !== null && Object.hasOwn(here, part) ? Reflect.get(here, part) : undefined;
  return here;
}

function isField(raw: unknown, path: readonly (string | number)[]): boolean {
  const [top, second, third] = path as [string, string?, string?];
  if (path.length === 1) return TOP_FIELDS.includes(top);
  if (top === "steps") return isValue(at(raw, path));
  if (path.length === 2 && top === "network") return NETWORK_FIELDS.includes(String(second));
  if (path.length === 3 && top === "network" && second === "fabric") return FABRIC_FIELDS.includes(`${third}`);
  if (path.length !== 3 || (top !== "hosts" && top !== "networks")) return false;
  return (
    namesOf(raw, top).includes(String(second)) && (top === "hosts" ? HOST_FIELDS : CARD_FIELDS).includes(`${third}`)
  );
}

function namesOf(raw: unknown, top: "hosts" | "networks"): string[] {
  const map = at(raw, [top]);
  return typeof map === "object" && map !== null ? Object.keys(map) : [];
}

/** What there is to set, in a line. */
function listKeys(raw: unknown, params: readonly string[]): string {
  const named = (top: "hosts" | "networks", fields: readonly string[]): string[] => {
    const names = namesOf(raw, top);
    if (names.length === 0) return [];
    const shown = names.length > MOST_LISTED ? [...names.slice(0, MOST_LISTED), "…"] : names;
    return [`${top}.(${shown.join("|")}).(${fields.join("|")})`];
  };
  const fields = [
    ...TOP_FIELDS,
    `network.(${NETWORK_FIELDS.join("|")})`,
    `network.fabric.(${FABRIC_FIELDS.join("|")})`,
    ...named("hosts", HOST_FIELDS),
    ...named("networks", CARD_FIELDS),
    "values in steps, like steps.0.wait",
  ];
  return `there are ${params.length > 0 ? `the parameters ${params.join(", ")}` : "no parameters"}, and ${fields.join(", ")}`;
}

/** A value that is nothing but a parameter's name becomes the parameter, with its type; within a text it is text. */
function substitute(doc: Document, params: ReadonlyMap<string, { readonly value: unknown }>): void {
  if (params.size === 0 || !isMap(doc.contents)) return;
  const own = doc.contents.items.find(({ key }) => isScalar(key) && key.value === "params");
  const paramAt = (braced?: string, plain?: string): unknown => params.get(braced ?? plain ?? "")?.value;
  visit(doc, {
    Pair: (_key, pair: Pair) => (pair === own ? visit.SKIP : undefined),
    Scalar: (key, node) => {
      if (key === "key" || typeof node.value !== "string") return;
      const text = node.value;
      const alone = [...text.matchAll(REFERENCE)].find(([whole]) => whole === text);
      node.value =
        (alone === undefined ? undefined : paramAt(alone[1], alone[2])) ??
        text.replace(REFERENCE, (whole, braced?: string, plain?: string) => String(paramAt(braced, plain) ?? whole));
    },
  });
}
