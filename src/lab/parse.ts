/**
 * Reads a lab file: YAML → checked against the schema → a plan with all defaults expanded. Every error names
 * file, line, column, field and what was expected.
 */
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { type Document, isNode, LineCounter, parseDocument } from "yaml";
import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIpv4,
  type Ipv4,
  networkOf,
  parseCidr,
  parseIpv4,
} from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import { MS, parseDuration, parseRate, SEC, type Time, US } from "../base/time.ts";
import type { Fault, HostPlan, LabPlan, Step } from "./plan.ts";
import { LAB_SCHEMA } from "./schema.ts";

type Path = readonly (string | number)[];

/** A lab file's text with the means to point into it. */
class Source {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly doc: Document;

  constructor(file: string, text: string) {
    this.#file = file;
    this.doc = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const error = this.doc.errors[0];
    if (error !== undefined) throw this.#at(error.pos[0], error.message);
  }

  /** An error at a field. Points at the key where the field itself is wrong or missing. */
  error(path: Path, expected: string): UserError {
    let node: unknown;
    for (let length = path.length; node === undefined && length >= 0; length--) {
      node = length === 0 ? this.doc.contents : this.doc.getIn(path.slice(0, length), true);
    }
    const offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    return this.#at(offset, `${formatPath(path)}: ${expected}`);
  }

  #at(offset: number, message: string): UserError {
    const { line, col } = this.#lines.linePos(offset);
    return new UserError(`${this.#file}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${message}`);
  }
}

function formatPath(path: Path): string {
  let out = "";
  for (const part of path) out += typeof part === "number" ? `[${part}]` : out === "" ? part : `.${part}`;
  return out === "" ? "lab" : out;
}

const validate = new Ajv2020({
  allErrors: false,
  verbose: true,
  allowUnionTypes: true,
  strict: false,
  useDefaults: false,
}).compile(LAB_SCHEMA);

/** What a schema error means, in one clause. */
function explain(error: ErrorObject): { extra: Path; expected: string } {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case "additionalProperties": {
      const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
      return {
        extra: [String(params["additionalProperty"])],
        expected: `unknown key; expected one of ${known.join(", ")}`,
      };
    }
    case "required":
      return { extra: [String(params["missingProperty"])], expected: "missing" };
    case "type":
      return { extra: [], expected: `expected ${[params["type"]].flat().join(" or ")}` };
    case "enum":
      return {
        extra: [],
        expected: `expected one of ${(params["allowedValues"] as unknown[]).map(String).join(", ")}`,
      };
    case "const":
      return { extra: [], expected: `expected ${String(params["allowedValue"])}` };
    case "pattern": {
      const description = (error.parentSchema as { description?: string }).description;
      return {
        extra: [],
        expected: description === undefined ? "not in the expected form" : `expected ${lower(description)}`,
      };
    }
    default:
      return { extra: [], expected: error.message ?? "not as expected" };
  }
}

function lower(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, "");
}

function pointerToPath(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let at = root;
  for (const raw of pointer.split("/").slice(1)) {
    const key = raw.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(at) ? Number(key) : key);
    at = (at as Record<string, unknown>)[key];
  }
  return path;
}

// Shapes of a file that passed the schema.
interface RawLink {
  latency?: string | number;
  bandwidth?: string;
  loss?: number | string;
  mtu?: number;
}
interface RawHost extends RawLink {
  address?: string;
  count?: number;
  dns?: string[];
}
interface RawFault {
  host?: string | string[];
  drop?: string;
  link?: "up" | "down";
  latency?: string | number;
  loss?: number | string;
  bandwidth?: string;
  crash?: true;
  restart?: true;
  heal?: true;
  partition?: string[][];
}
interface RawLab {
  name?: string;
  description?: string;
  seed?: number | string;
  hosts: Record<string, RawHost | null>;
  network?: RawLink & { subnet?: string };
  pause?: string | number;
  steps?: Record<string, unknown>[];
}

const STEP_OPTIONS = new Set(["wait", "fault", "as", "expect", "reject", "exit", "stdin", "timeout"]);

/**
 * Parses a lab.
 * @param file the name that errors carry
 * @throws UserError with `file:line:column: field: what was expected`
 */
export function parseLab(file: string, text: string): LabPlan {
  const source = new Source(file, text);
  const raw: unknown = source.doc.toJS();
  if (!validate(raw)) {
    const error = validate.errors?.[0] as ErrorObject;
    const { extra, expected } = explain(error);
    throw source.error([...pointerToPath(error.instancePath, raw), ...extra], expected);
  }
  return resolve(source, file, raw as RawLab);
}

function resolve(source: Source, file: string, raw: RawLab): LabPlan {
  const network = raw.network ?? {};
  const subnet = parseCidr(network.subnet ?? "192.168.77.0/24");
  if (subnet === undefined || subnet.prefix > 29)
    throw source.error(["network", "subnet"], "expected a subnet like 192.168.77.0/24");
  const hosts = resolveHosts(source, raw, networkOf(subnet), network);
  const steps = (raw.steps ?? []).map((step, index) => resolveStep(source, step, ["steps", index], hosts));
  return {
    name: raw.name ?? file.replace(/^.*\//, "").replace(/\.ya?ml$/, ""),
    description: raw.description ?? "",
    seed: String(raw.seed ?? 1),
    subnet: networkOf(subnet),
    hosts,
    pause: span(raw.pause, SEC),
    steps,
  };
}

function span(value: string | number | undefined, fallback: Time): Time {
  return value === undefined ? fallback : (parseDuration(String(value)) ?? fallback);
}

function chance(value: number | string | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  return typeof value === "number" ? value : Number.parseFloat(value) / 100;
}

function resolveHosts(source: Source, raw: RawLab, subnet: Cidr, network: RawLink): HostPlan[] {
  const hosts: HostPlan[] = [];
  const taken = new Map<Ipv4, string>();
  const names = new Set<string>();
  let next = subnet.ip + 11;
  for (const [key, value] of Object.entries(raw.hosts)) {
    const host = value ?? {};
    if (host.count !== undefined && host.address !== undefined)
      throw source.error(["hosts", key, "address"], "can't stand beside count");
    for (let i = 1; i <= (host.count ?? 1); i++) {
      const name = host.count === undefined ? key : `${key}-${i}`;
      if (names.has(name)) throw source.error(["hosts", key], `a second host called ${name}`);
      names.add(name);
      let address = host.address === undefined ? undefined : parseIpv4(host.address);
      if (host.address !== undefined && address === undefined)
        throw source.error(["hosts", key, "address"], "expected an IPv4 address");
      if (address === undefined) {
        while (taken.has(next)) next++;
        address = next++;
      }
      const field = host.address === undefined ? ["hosts", key] : ["hosts", key, "address"];
      if (!cidrContains(subnet, address))
        throw source.error(field, `${formatIpv4(address)} is not in ${formatCidr(subnet)}`);
      const other = taken.get(address);
      if (other !== undefined) throw source.error(field, `${formatIpv4(address)} is ${other}'s`);
      taken.set(address, name);
      hosts.push({
        name,
        address: { ip: address, prefix: subnet.prefix },
        latency: span(host.latency ?? network.latency, 50 * US),
        bandwidth: parseRate(host.bandwidth ?? network.bandwidth ?? "10Gbit") as number,
        loss: chance(host.loss ?? network.loss, 0),
        mtu: host.mtu ?? network.mtu ?? 1500,
        dns: (host.dns ?? []).map((text) => parseIpv4(text) as Ipv4),
      });
    }
  }
  return hosts;
}

/** Hosts that a step's key or a fault names: a name, or a pattern with `*` and `?`. */
function matchHosts(pattern: string, hosts: readonly HostPlan[]): string[] {
  const regex = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
  );
  return hosts.filter((host) => regex.test(host.name)).map((host) => host.name);
}

function resolveStep(source: Source, step: Record<string, unknown>, path: Path, hosts: readonly HostPlan[]): Step {
  const targets = Object.keys(step).filter((key) => !STEP_OPTIONS.has(key));
  const kinds = targets.length + (step["wait"] === undefined ? 0 : 1) + (step["fault"] === undefined ? 0 : 1);
  if (kinds !== 1) {
    const what =
      kinds === 0
        ? "expected a host and its command, wait or fault"
        : `expected one of ${[...targets, "wait", "fault"].join(", ")}`;
    throw source.error(kinds === 0 ? path : [...path, targets[1] ?? targets[0] ?? "wait"], what);
  }
  if (step["wait"] !== undefined) return { kind: "wait", duration: span(step["wait"] as string, 0) };
  if (step["fault"] !== undefined)
    return { kind: "fault", fault: resolveFault(source, step["fault"] as RawFault, [...path, "fault"], hosts) };
  const key = targets[0] as string;
  const slash = key.indexOf("/");
  const pattern = slash < 0 ? key : key.slice(0, slash);
  const matched = matchHosts(pattern, hosts);
  if (matched.length === 0)
    throw source.error(
      [...path, key],
      `no host is called ${pattern}; there are ${hosts
        .slice(0, 8)
        .map((host) => host.name)
        .join(", ")}`,
    );
  const list = (value: unknown): string[] =>
    value === undefined ? [] : typeof value === "string" ? [value] : (value as string[]);
  const patterns = (field: string) =>
    list(step[field]).map((text, index) => {
      const regex = /^\/(.*)\/([a-z]*)$/s.exec(text);
      if (regex === null) return text;
      try {
        return new RegExp(regex[1] as string, regex[2]);
      } catch (error) {
        throw source.error(
          Array.isArray(step[field]) ? [...path, field, index] : [...path, field],
          `not a regular expression: ${(error as Error).message}`,
        );
      }
    });
  return {
    kind: "command",
    hosts: matched,
    terminal: slash < 0 ? undefined : key.slice(slash + 1),
    command: step[key] as string,
    as: step["as"] as string | undefined,
    expect: patterns("expect"),
    reject: patterns("reject"),
    exit: (step["exit"] as number | undefined) ?? 0,
    stdin: step["stdin"] as string | undefined,
    timeout: span(step["timeout"] as string | undefined, 600 * SEC),
  };
}

function resolveFault(source: Source, raw: RawFault, path: Path, hosts: readonly HostPlan[]): Fault {
  const named = raw.host === undefined ? [] : [raw.host].flat();
  const resolved = named.flatMap((pattern) => {
    const matched = matchHosts(pattern, hosts);
    if (matched.length === 0) throw source.error([...path, "host"], `no host is called ${pattern}`);
    return matched;
  });
  for (const [index, group] of (raw.partition ?? []).entries()) {
    for (const name of group)
      if (matchHosts(name, hosts).length === 0)
        throw source.error([...path, "partition", index], `no host is called ${name}`);
  }
  if (raw.partition === undefined && raw.heal === undefined && resolved.length === 0)
    throw source.error([...path, "host"], "missing");
  const fault: { -readonly [K in keyof Fault]: Fault[K] } = { hosts: resolved };
  if (raw.drop !== undefined) fault.drop = raw.drop;
  if (raw.link !== undefined) fault.link = raw.link;
  if (raw.latency !== undefined) fault.latency = span(raw.latency, MS);
  if (raw.loss !== undefined) fault.loss = chance(raw.loss, 0);
  if (raw.bandwidth !== undefined) fault.bandwidth = parseRate(raw.bandwidth) as number;
  if (raw.crash) fault.crash = true;
  if (raw.restart) fault.restart = true;
  if (raw.heal) fault.heal = true;
  if (raw.partition) fault.partition = raw.partition.map((group) => group.flatMap((name) => matchHosts(name, hosts)));
  return fault;
}
