/** Values and functions of templates: text/template's builtins and docker/cli's (templates/templates.go). */
import { compactJson, type Json } from "./json.ts";
import { TemplateError } from "./template-parser.ts";

/** A value in a template; undefined is Go's missing value. */
export type Value = Json | undefined;

type TemplateFunction = (args: readonly Value[]) => Value;

/** Go's truth: false, 0, nil and empty things are false. */
export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value !== null && typeof value === "object") return Object.keys(value).length > 0;
  return Boolean(value);
}

/** What `{{.X}}` prints (fmt's %v); objects as Go's maps. */
export function printValue(value: Value): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(printValue).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${printValue(item)}`).join(" ")}]`;
  }
  return String(value);
}

function text(value: Value): string {
  return typeof value === "string" ? value : printValue(value);
}

function index(args: readonly Value[]): Value {
  let value = args[0];
  for (const key of args.slice(1)) {
    if (Array.isArray(value)) {
      if (typeof key !== "number" || key < 0 || key >= value.length) {
        throw new TemplateError(
          `template: :1:2: executing "" at <index>: error calling index: index out of range: ${text(key)}`,
        );
      }
      value = value[key] as Value;
    } else if (value !== null && typeof value === "object") value = (value as Record<string, Value>)[String(key)] ?? "";
    else throw new TemplateError(`template: :1:2: executing "" at <index>: error calling index: index of untyped nil`);
  }
  return value;
}

function length(value: Value): number {
  if (typeof value === "string") return new TextEncoder().encode(value).length;
  if (Array.isArray(value)) return value.length;
  if (value !== null && typeof value === "object") return Object.keys(value).length;
  throw new TemplateError(`template: :1:2: executing "" at <len>: error calling len: len of type ${typeof value}`);
}

/** fmt.Sprintf's verbs that make sense for JSON values. */
function sprintf(format: string, args: readonly Value[]): string {
  let next = 0;
  return format.replace(
    /%([-+# 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      const value = args[next++];
      let out = text(value);
      if (verb === "q") out = JSON.stringify(out);
      else if (verb === "d") out = String(Math.trunc(Number(value)));
      else if (verb === "f") out = Number(value).toFixed(precision === undefined ? 6 : Number(precision));
      else if (verb === "x") out = typeof value === "number" ? value.toString(16) : out;
      else if (precision !== undefined) out = out.slice(0, Number(precision));
      if (flags.includes("-")) return out.padEnd(Number(width));
      return out.padStart(Number(width), flags.includes("0") && verb !== "s" ? "0" : " ");
    },
  );
}

/** fmt.Sprint: blanks between operands when neither is a string. */
function sprint(args: readonly Value[]): string {
  return args
    .map((value, at) =>
      at > 0 && typeof value !== "string" && typeof args[at - 1] !== "string" ? ` ${text(value)}` : text(value),
    )
    .join("");
}

function compare(name: string, args: readonly Value[]): boolean {
  const [a, b] = args as [string | number, string | number];
  if (name === "eq") return args.slice(1).some((other) => other === args[0]);
  if (name === "ne") return args[0] !== args[1];
  if (name === "lt") return a < b;
  if (name === "le") return a <= b;
  return name === "gt" ? a > b : a >= b;
}

const comparison = (name: string): [string, TemplateFunction] => [name, (args) => compare(name, args)];

/** Functions of templates by name. */
export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ["json", ([value]) => compactJson(value ?? null)],
  ["join", ([items, separator]) => (Array.isArray(items) ? items.map(text).join(text(separator)) : "")],
  ["split", ([value, separator]) => text(value).split(text(separator))],
  ["upper", ([value]) => text(value).toUpperCase()],
  ["lower", ([value]) => text(value).toLowerCase()],
  [
    "title",
    ([value]) =>
      text(value).replace(
        /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      ),
  ],
  [
    "pad",
    ([value, before, after]) =>
      text(value) === "" ? "" : " ".repeat(Number(before)) + text(value) + " ".repeat(Number(after)),
  ],
  ["truncate", ([value, size]) => text(value).slice(0, Number(size))],
  ["len", ([value]) => length(value)],
  ["index", index],
  [
    "slice",
    ([value, from, to]) =>
      (typeof value === "string" ? value : ((value ?? []) as Json[])).slice(
        Number(from ?? 0),
        to === undefined ? undefined : Number(to),
      ),
  ],
  ["print", sprint],
  ["println", (args) => `${args.map(text).join(" ")}\n`],
  ["printf", ([format, ...rest]) => sprintf(text(format), rest)],
  ["not", ([value]) => !isTrue(value)],
  ["and", (args) => args.find((value) => !isTrue(value)) ?? args.at(-1)],
  ["or", (args) => args.find(isTrue) ?? args.at(-1)],
  ...["eq", "ne", "lt", "le", "gt", "ge"].map(comparison),
]);

/** Calls a function; throws TemplateError as Go words it. */
export function callFunction(name: string, args: readonly Value[]): Value {
  return (FUNCTIONS.get(name) as TemplateFunction)(args);
}
