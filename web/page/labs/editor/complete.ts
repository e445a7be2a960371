/** What can stand at a place of a lab file, from its schema and from what the file says already. */
import { LAB_SCHEMA } from "../../../../src/lab/schema.ts";
import type { Place } from "./place.ts";

/** Something that fits. */
export interface Completion {
  readonly label: string;
  /** What is put in, where that is more than the label. */
  readonly apply?: string;
  /** Its default, or what kind of thing it is, beside it. */
  readonly detail?: string;
  /** What it means. */
  readonly info?: string;
  readonly type: "property" | "value" | "host" | "variable";
}

/** Names that a file has. */
export interface LabNames {
  /** Hosts, and patterns for those that `count` makes. */
  readonly hosts: readonly string[];
  readonly networks: readonly string[];
  /** Parameters, and what steps keep with `as`. */
  readonly variables: readonly string[];
}

/** The parts of JSON Schema that the lab's schema is written with. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: string | number | boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly (string | number)[];
  readonly const?: string | boolean;
}

/** Filters that take away what a swarm needs (docs: ports 2377, 7946, 4789 and protocol 50). */
const FILTERS: readonly (readonly [string, string])[] = [
  ["udp port 4789", "VXLAN: what containers say"],
  ["port 7946", "gossip, TCP and UDP"],
  ["tcp port 2377", "joining, and the manager's orders"],
  ["esp", "IP protocol 50: encrypted overlays"],
  ["icmp", "ping"],
  ["arp", "address resolution"],
];
/** Examples of values that have a form but no list. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  latency: ["50us", "1ms", "50ms"],
  loss: ["1%", "10%"],
  bandwidth: ["1Gbit", "10Gbit", "40Gbit"],
  mtu: ["1500", "9000"],
  wait: ["10s", "1m", "12h"],
  until: ["1m", "24h"],
  for: ["1s", "10s"],
  timeout: ["1h"],
  subnet: ["192.168.77.0/24"],
};

/** The schemas of a path: more than one where the lab may choose. */
function schemasAt(path: Place["path"]): Schema[] {
  let here: Schema[] = [LAB_SCHEMA as Schema];
  for (const part of path) {
    here = here.flatMap(alternatives).flatMap((schema): Schema[] => {
      if (typeof part === "number") return schema.items === undefined ? [] : [schema.items];
      const own = schema.properties?.[part];
      if (own !== undefined) return [own];
      return typeof schema.additionalProperties === "object" ? [schema.additionalProperties] : [];
    });
  }
  return here.flatMap(alternatives);
}

function alternatives(schema: Schema): readonly Schema[] {
  return schema.oneOf ?? [schema];
}

function isStep(path: Place["path"]): boolean {
  return path.length === 2 && path[0] === "steps";
}

/** All that fits, in the schema's order; the editor narrows it down by what was typed. */
export function completionsAt(place: Place, names: LabNames): Completion[] {
  return place.kind === "key" ? keysAt(place, names) : valuesAt(place, names);
}

function keysAt({ path, present, flow }: Place, names: LabNames): Completion[] {
  const known = schemasAt(path).flatMap((schema) => Object.entries(schema.properties ?? {}));
  const step = isStep(path);
  const kinds = ["wait", "until", "workload", "fault", "show"];
  const begun = step && present.length > 0;
  const hosts = step && !begun ? names.hosts.map(hostKey) : [];
  const properties = known
    // A step is one thing; what can stand beside a command can't begin one.
    .filter(([key]) => !present.includes(key) && (!step || kinds.includes(key) !== begun))
    .map(([key, schema]) => property(key, schema, flow));
  return [...hosts, ...properties];
}

function hostKey(name: string): Completion {
  return { label: name, apply: `${/[*?]/.test(name) ? `"${name}"` : name}: `, detail: "command", type: "host" };
}

function property(key: string, schema: Schema, flow: boolean): Completion {
  const detail = schema.default === undefined ? kindOf(schema) : `default ${schema.default}`;
  const block = !flow && (schema.properties !== undefined || ["array", "object"].includes(`${schema.type}`));
  return {
    label: key,
    apply: block && key !== "fault" && key !== "workload" ? `${key}:` : `${key}: `,
    ...(detail === undefined ? {} : { detail }),
    ...(schema.description === undefined ? {} : { info: schema.description }),
    type: "property",
  };
}

function kindOf(schema: Schema): string | undefined {
  if (schema.enum !== undefined) return schema.enum.join(" | ");
  if (schema.const !== undefined) return String(schema.const);
  return schema.type === undefined ? undefined : [schema.type].flat().join(" | ");
}

function valuesAt(place: Place, names: LabNames): Completion[] {
  const { path } = place;
  const field = path.findLast((part) => typeof part === "string") ?? "";
  const value = (label: string, info?: string): Completion => ({
    label,
    type: "value",
    ...(info === undefined ? {} : { info }),
  });
  const named = namesFor(path, field, names);
  if (named !== undefined) return named;
  const listed = schemasAt(path).flatMap((schema): Completion[] => {
    const choices = schema.enum ?? (schema.const === undefined ? [] : [schema.const]);
    const boolean = [schema.type].flat().includes("boolean") ? [true, false] : [];
    const usual = schema.default === undefined ? [] : [schema.default];
    return [...choices, ...boolean, ...usual].map((one) => value(spell(one, schema), schema.description));
  });
  const examples = (EXAMPLES[field] ?? []).map((label) => value(label));
  const seen = new Set<string>();
  return [...listed, ...examples].filter(({ label }) => !seen.has(label) && seen.add(label));
}

/** Versions like 20.10 are texts: as numbers they would lose their zero. */
function spell(value: string | number | boolean, schema: Schema): string {
  const text = typeof value === "string" && /^\d+\.\d+$/.test(value) && schema.enum !== undefined;
  return text ? `"${value}"` : String(value);
}

/** Places where the file's own names stand. */
function namesFor(path: Place["path"], field: string, names: LabNames): Completion[] | undefined {
  const host = (label: string): Completion => ({ label: /[*?]/.test(label) ? `"${label}"` : label, type: "host" });
  if (path[0] === "steps" && ["host", "partition", "from", "to"].includes(field)) return names.hosts.map(host);
  if (path[0] === "steps" && field === "network") return names.networks.map((label) => ({ label, type: "host" }));
  if (path[0] === "hosts" && field === "networks") return names.networks.map((label) => ({ label, type: "host" }));
  if (path[0] === "steps" && field === "drop")
    return FILTERS.map(([label, info]) => ({ label, info, type: "value" as const }));
  return undefined;
}

/** The names that a file has, as far as it can be read. */
export function namesIn(text: string): LabNames {
  const hosts = section(text, "hosts").flatMap(({ key, rest }) =>
    /\bcount:/.test(rest) ? [`${key}-*`, `${key}-1`] : [key],
  );
  const networks = section(text, "networks").map(({ key }) => key);
  const kept = [...text.matchAll(/^\s+(?:-\s+)?as:\s*([A-Za-z_]\w*)/gm)].map((match) => match[1] as string);
  const params = /^params:\s*\{([^}]*)\}/m.exec(text)?.[1] ?? "";
  const given = [...params.matchAll(/([A-Za-z_]\w*)\s*:/g)].map((match) => match[1] as string);
  const below = section(text, "params").map(({ key }) => key);
  return { hosts: [...new Set(hosts)], networks, variables: [...new Set([...given, ...below, ...kept])] };
}

/** The keys of a map at the top, each with what belongs to it. */
function section(text: string, name: string): { readonly key: string; readonly rest: string }[] {
  const body = new RegExp(`^${name}:[^\\S\\n]*(?:#.*)?\\n((?:[^\\S\\n]+.*\\n?|[^\\S\\n]*#.*\\n?|\\n)*)`, "m").exec(
    text,
  )?.[1];
  if (body === undefined) return flowSection(text, name);
  const lines = body.split("\n").filter((line) => line.trim() !== "" && !line.trim().startsWith("#"));
  const column = /^ */.exec(lines[0] ?? "")?.[0].length ?? 0;
  const found: { key: string; rest: string }[] = [];
  for (const line of lines) {
    const own = /^( *)(["']?)([^\s"':#][^"':#]*)\2\s*:(.*)$/.exec(line);
    if (own !== null && own[1]?.length === column) found.push({ key: own[3] as string, rest: own[4] as string });
    else {
      const last = found.at(-1);
      if (last !== undefined) last.rest += `\n${line}`;
    }
  }
  return found;
}

/** `hosts: { a: {}, b: {} }`. */
function flowSection(text: string, name: string): { readonly key: string; readonly rest: string }[] {
  const body = new RegExp(`^${name}:\\s*\\{(.*)\\}\\s*(?:#.*)?$`, "m").exec(text)?.[1] ?? "";
  return [...body.matchAll(/([\w-]+)\s*:\s*(\{[^}]*\}|[^,}]*)/g)].map((match) => ({
    key: match[1] as string,
    rest: match[2] as string,
  }));
}
