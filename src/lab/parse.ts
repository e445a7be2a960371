/**
 * Reads a lab file: YAML → checked against the schema → a plan with all defaults expanded. Every error names
 * file, line, column, field and what was expected.
 */
import {
  broadcastOf,
  type Cidr,
  cidrContains,
  cidrOverlaps,
  formatCidr,
  formatIpv4,
  type Ipv4,
  networkOf,
  parseCidr,
  parseIpv4,
} from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import { formatDuration, parseRate, SEC, US } from "../base/time.ts";
import {
  assignLeaves,
  checkLatencies,
  type FabricPlan,
  type LeafWish,
  type RawFabric,
  resolveFabric,
} from "./fabric.ts";
import { chance, matchHosts, span } from "./fields.ts";
import { routerAddress } from "./nat.ts";
import { type RawFault, resolveFault } from "./parse-fault.ts";
import type { CardPlan, Flow, FlowEnd, HostPlan, HostSystem, LabPlan, Step } from "./plan.ts";
import { type Scalar, type Settings, TOP_FIELDS } from "./settings.ts";
import { type Path, Source } from "./source.ts";

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
  os?: HostSystem;
  nat?: boolean | string;
  networks?: string[];
  leaf?: number;
  dns?: string[];
}
interface RawNetwork extends RawLink {
  subnet: string;
}
interface RawFlow {
  from: string;
  to: string;
  address?: string;
  rate?: number;
  size?: number;
  for?: string | number;
}
interface RawLab {
  name?: string;
  description?: string;
  seed?: number | string;
  params?: Record<string, Scalar>;
  hosts: Record<string, RawHost | null>;
  network?: RawLink & { subnet?: string; fabric?: RawFabric };
  networks?: Record<string, RawNetwork>;
  pause?: string | number;
  steps?: Record<string, unknown>[];
}

/** The longest prefix of an underlay: six addresses. */
const SMALLEST_SUBNET = 29;
/** What a step can be besides a command. */
const STEP_KINDS = ["wait", "until", "fault", "workload", "show"];
const STEP_OPTIONS = new Set([...STEP_KINDS, "as", "expect", "reject", "exit", "stdin", "parallel", "timeout"]);

/**
 * Parses a lab.
 * @param file the name that errors carry
 * @param settings values of parameters and fields, in place of the file's own
 * @throws UserError with `file:line:column: field: what was expected`
 */
export function parseLab(file: string, text: string, settings: Settings = {}): LabPlan {
  return parseLabWith(file, text, settings).plan;
}

/** Parses a lab, and returns the settings with the types that they have in it too. @throws UserError as parseLab does */
export function parseLabWith(
  file: string,
  text: string,
  settings: Settings,
): { readonly plan: LabPlan; readonly settings: Readonly<Record<string, Scalar>> } {
  const source = new Source(file, text, settings);
  try {
    return { plan: resolve(source, file, source.checked() as RawLab), settings: source.settings };
  } catch (error) {
    const given = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
    if (!(error instanceof UserError) || given.length === 0) throw error;
    throw new UserError(`${error.message} (with ${given.join(", ")})`);
  }
}

/** @throws UserError for parameters whose names mean something else already */
function checkParams(source: Source, { params = {}, steps = [] }: RawLab): void {
  for (const name of Object.keys(params))
    if (TOP_FIELDS.includes(name))
      throw source.error(["params", name], "is a field of the lab: call the parameter something else", true);
  steps.forEach((step, index) => {
    if (typeof step["as"] === "string" && Object.hasOwn(params, step["as"]))
      throw source.error(["steps", index, "as"], `${step["as"]} is a parameter of the lab`);
  });
}

function resolve(source: Source, file: string, raw: RawLab): LabPlan {
  checkParams(source, raw);
  const network = raw.network ?? {};
  const subnet = parseCidr(network.subnet ?? "192.168.77.0/24");
  checkSubnet(source, ["network", "subnet"], subnet, "192.168.77.0/24");
  if (parseRate(network.bandwidth ?? "1bit") === 0)
    throw source.error(["network", "bandwidth"], "expected more than 0");
  const count = Object.values(raw.hosts).reduce((sum, host) => sum + (host?.count ?? 1), 0);
  const fabric = resolveFabric(source, network.fabric, count);
  const hosts = resolveHosts(source, raw, networkOf(subnet), network, fabric);
  checkLatencies(source, fabric, hosts);
  const steps = (raw.steps ?? []).map((step, index) => resolveStep(source, step, ["steps", index], hosts, fabric));
  return {
    name: raw.name ?? file.replace(/^.*\//, "").replace(/\.ya?ml$/, ""),
    description: raw.description ?? "",
    seed: String(raw.seed ?? 1),
    subnet: networkOf(subnet),
    fabric,
    hosts,
    pause: span(raw.pause, SEC),
    steps,
  };
}

/** @throws UserError for what is no subnet, or one that is too small for hosts */
function checkSubnet(
  source: Source,
  path: readonly (string | number)[],
  subnet: Cidr | undefined,
  example: string,
): asserts subnet is Cidr {
  if (subnet === undefined) throw source.error(path, `expected a subnet like ${example}`);
  if (subnet.prefix > SMALLEST_SUBNET)
    throw source.error(
      path,
      `${formatCidr(subnet)} is too small for hosts: expected a prefix of /${SMALLEST_SUBNET} at most`,
    );
}

function resolveHosts(
  source: Source,
  raw: RawLab,
  subnet: Cidr,
  network: RawLink,
  fabric: FabricPlan | undefined,
): HostPlan[] {
  const hosts: HostPlan[] = [];
  const wishes = Object.entries(raw.hosts).flatMap(([key, host]): LeafWish[] =>
    Array.from({ length: host?.count ?? 1 }, () => ({ leaf: host?.leaf, path: ["hosts", key, "leaf"] })),
  );
  const leaves = assignLeaves(source, fabric, raw.network?.fabric?.hostsPerLeaf, wishes);
  const taken = new Map<Ipv4, string>();
  const names = new Set<string>();
  let next = subnet.ip + 11;
  for (const [key, value] of Object.entries(raw.hosts)) {
    const host = value ?? {};
    if (STEP_OPTIONS.has(key))
      throw source.error(["hosts", key], "is a word of steps: call the host something else", true);
    if (parseRate(host.bandwidth ?? "1bit") === 0)
      throw source.error(["hosts", key, "bandwidth"], "expected more than 0");
    const dns = (host.dns ?? []).map((text, index) => {
      const server = parseIpv4(text);
      if (server === undefined) throw source.error(["hosts", key, "dns", index], "expected an IPv4 address");
      return server;
    });
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
      if (!cidrContains(subnet, address) || address === subnet.ip || address === broadcastOf(subnet))
        throw source.error(field, `${formatIpv4(address)} is not an address for a host in ${formatCidr(subnet)}`);
      const other = taken.get(address);
      if (other !== undefined) throw source.error(field, `${formatIpv4(address)} is ${other}'s`);
      taken.set(address, name);
      const nat = resolveNat(source, host, ["hosts", key, "nat"], subnet, hosts);
      hosts.push({
        name,
        address: { ip: address, prefix: subnet.prefix },
        nat,
        os: host.os ?? "linux",
        cards: resolveCards(source, raw, key, nat, address - subnet.ip, hosts),
        latency: span(host.latency ?? network.latency, 50 * US),
        bandwidth: parseRate(host.bandwidth ?? network.bandwidth ?? "10Gbit") as number,
        loss: chance(host.loss ?? network.loss, 0),
        mtu: host.mtu ?? network.mtu ?? 1500,
        leaf: leaves[hosts.length] ?? 0,
        dns,
      });
    }
  }
  return hosts;
}

/** A host's cards on the further networks: it has the number there that it has on the first one. */
function resolveCards(
  source: Source,
  raw: RawLab,
  key: string,
  nat: Cidr | undefined,
  number: number,
  before: readonly HostPlan[],
): CardPlan[] {
  const host = raw.hosts[key] ?? {};
  const networks = raw.networks ?? {};
  const unknown = (host.networks ?? []).findIndex((name) => networks[name] === undefined);
  if (unknown >= 0) throw source.error(["hosts", key, "networks", unknown], "no network of that name");
  const wanted = Object.entries(networks).filter(([name]) => host.networks?.includes(name) ?? true);
  if (wanted.length > 0 && nat !== undefined)
    throw source.error(["hosts", key, "nat"], "a host behind NAT has no further cards");
  return wanted.map(([name, network], index): CardPlan => {
    const subnet = parseCidr(network.subnet);
    const path = ["networks", name, "subnet"];
    checkSubnet(source, path, subnet, "10.55.0.0/24");
    const address = { ip: networkOf(subnet).ip + number, prefix: subnet.prefix };
    if (!cidrContains(subnet, address.ip) || address.ip === broadcastOf(subnet))
      throw source.error(path, `has no room for host number ${number}`);
    const other = before.some(({ address: own, cards }) =>
      [own, ...cards.filter((card) => card.network !== name).map((card) => card.address)].some((one) =>
        cidrOverlaps(one, subnet),
      ),
    );
    if (other) throw source.error(path, "overlaps another network of the lab");
    return {
      network: name,
      device: `eth${index + 1}`,
      address,
      latency: span(network.latency, 50 * US),
      bandwidth: parseRate(network.bandwidth ?? "10Gbit") as number,
      loss: chance(network.loss, 0),
      mtu: network.mtu ?? 1500,
    };
  });
}

/** eth0's address behind NAT: the one given, or the next of 10.77.0.0/24, each behind a router of its own. */
function resolveNat(
  source: Source,
  host: RawHost,
  path: Path,
  subnet: Cidr,
  before: readonly HostPlan[],
): Cidr | undefined {
  if (host.nat === undefined || host.nat === false) return undefined;
  const number = before.filter(({ nat }) => nat !== undefined).length;
  const inside = parseCidr(host.nat === true ? `10.77.0.${2 + (number % 250)}/24` : host.nat);
  if (inside === undefined || inside.prefix > 30) throw source.error(path, "expected an address like 10.77.0.2/24");
  const { ip } = inside;
  if (ip === networkOf(inside).ip || ip === broadcastOf(inside) || ip === routerAddress(inside))
    throw source.error(path, `${formatIpv4(ip)} is not an address for a host: the first one is the router's`);
  if (cidrOverlaps(inside, subnet)) throw source.error(path, `overlaps the lab's network ${formatCidr(subnet)}`);
  return inside;
}

function resolveStep(
  source: Source,
  step: Record<string, unknown>,
  path: Path,
  hosts: readonly HostPlan[],
  fabric: FabricPlan | undefined,
): Step {
  const targets = Object.keys(step).filter((key) => !STEP_OPTIONS.has(key));
  for (const key of targets) hostsOfKey(source, key, path, hosts);
  const kinds = [...targets, ...STEP_KINDS.filter((key) => step[key] !== undefined)];
  const [key, second] = kinds;
  if (key === undefined) throw source.error(path, `expected a host and its command, or ${STEP_KINDS.join(", ")}`);
  if (second !== undefined) throw source.error([...path, second], `a step is one thing: ${kinds.join(" or ")}`, true);
  if (STEP_KINDS.includes(key)) {
    const allowed = key === "workload" || key === "show" ? [key, "expect", "reject"] : [key];
    const extra = Object.keys(step).find((other) => !allowed.includes(other));
    if (extra !== undefined) throw source.error([...path, extra], `means nothing beside ${key}`, true);
  }
  if (key === "wait") return { kind: "wait", duration: span(step["wait"] as string, 0) };
  if (key === "until") return { kind: "until", time: span(step["until"] as string, 0) };
  if (key === "workload") return resolveWorkload(source, step, path, hosts);
  if (key === "fault") return resolveFault(source, step["fault"] as RawFault, [...path, "fault"], hosts, fabric);
  if (key === "show") return resolveShow(source, step, path, fabric);
  return resolveCommand(source, step, key, path, hosts);
}

/** Hosts of a step's key, `HOST` or `HOST/CONTAINER`. */
function hostsOfKey(source: Source, key: string, path: Path, hosts: readonly HostPlan[]): string[] {
  const pattern = key.split("/")[0] as string;
  const matched = matchHosts(pattern, hosts);
  if (matched.length > 0) return matched;
  const known = hosts.slice(0, 8).map((host) => host.name);
  const options = [...STEP_OPTIONS].join(", ");
  throw source.error(
    [...path, key],
    `no host is called ${pattern}; there are ${known.join(", ")}${hosts.length > known.length ? " …" : ""}, and the words ${options}`,
    true,
  );
}

function resolveCommand(
  source: Source,
  step: Record<string, unknown>,
  key: string,
  path: Path,
  hosts: readonly HostPlan[],
): Step {
  const slash = key.indexOf("/");
  const terminal = slash < 0 ? undefined : key.slice(slash + 1);
  if (terminal !== undefined && step["stdin"] !== undefined)
    throw source.error([...path, "stdin"], "means nothing on a terminal: type it in a step of its own", true);
  const parallel = step["parallel"] === true;
  if (parallel && step["as"] !== undefined)
    throw source.error([...path, "as"], "can't stand beside parallel: which host's output would it be?", true);
  return {
    kind: "command",
    hosts: hostsOfKey(source, key, path, hosts),
    parallel,
    terminal,
    command: step[key] as string,
    as: step["as"] as string | undefined,
    expect: patternsOf(source, step, "expect", path),
    reject: patternsOf(source, step, "reject", path),
    exit: (step["exit"] as number | undefined) ?? (terminal === undefined ? 0 : undefined),
    stdin: step["stdin"] as string | undefined,
    timeout: span(step["timeout"] as string | undefined, 600 * SEC),
  };
}

function resolveShow(source: Source, step: Record<string, unknown>, path: Path, fabric: FabricPlan | undefined): Step {
  if (fabric === undefined) throw source.error([...path, "show"], "the network has no fabric to show");
  const [expect, reject] = [patternsOf(source, step, "expect", path), patternsOf(source, step, "reject", path)];
  return { kind: "show", what: "fabric", expect, reject };
}

/** The port of a step's first flow; the others have the next ones. */
const FLOW_PORT = 9000;

function resolveWorkload(source: Source, step: Record<string, unknown>, path: Path, hosts: readonly HostPlan[]): Step {
  const value = step["workload"] as RawFlow | RawFlow[];
  const flows = [value].flat().map((raw, index): Flow => {
    const at = [...path, "workload", ...(Array.isArray(value) ? [index] : [])];
    const end = (field: "from" | "to"): FlowEnd => {
      const slash = raw[field].indexOf("/");
      const host = slash < 0 ? raw[field] : raw[field].slice(0, slash);
      if (!hosts.some(({ name }) => name === host)) throw source.error([...at, field], `no host is called ${host}`);
      return { host, container: slash < 0 ? undefined : raw[field].slice(slash + 1) };
    };
    const [from, to] = [end("from"), end("to")];
    if (raw.address !== undefined && parseIpv4(raw.address) === undefined)
      throw source.error([...at, "address"], "expected an IPv4 address");
    const hostAddress = hosts.find(({ name }) => name === to.host)?.address.ip as Ipv4;
    const address = raw.address ?? to.container ?? formatIpv4(hostAddress);
    const load = { rate: raw.rate ?? 1000, size: raw.size ?? 64, duration: span(raw.for, SEC) };
    return { from, to, address, port: FLOW_PORT + index, load };
  });
  const [expect, reject] = [patternsOf(source, step, "expect", path), patternsOf(source, step, "reject", path)];
  return { kind: "workload", flows, expect, reject, text: flows.map(flowText).join("; ") };
}

/** `host1/c1 to host2/c2, 1000/s of 64 bytes for 10s`. */
function flowText({ from, to, load }: Flow): string {
  const end = ({ host, container }: FlowEnd): string => (container === undefined ? host : `${host}/${container}`);
  return `${end(from)} to ${end(to)}, ${load.rate}/s of ${load.size} bytes for ${formatDuration(load.duration)}`;
}

/** Substrings, and /regular expressions/ with flags. */
function patternsOf(
  source: Source,
  step: Record<string, unknown>,
  field: "expect" | "reject",
  path: Path,
): (string | RegExp)[] {
  const value = step[field] as string | string[] | undefined;
  return (value === undefined ? [] : [value].flat()).map((text, index) => {
    const regex = /^\/(.*)\/([a-z]*)$/s.exec(text);
    if (regex === null) return text;
    try {
      return new RegExp(regex[1] as string, regex[2]);
    } catch (error) {
      const at = Array.isArray(value) ? [...path, field, index] : [...path, field];
      throw source.error(at, `not a regular expression: ${(error as Error).message}`);
    }
  });
}
