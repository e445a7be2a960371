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
import { parseRate, SEC, US } from "../base/time.ts";
import {
  assignLeaves,
  checkLatencies,
  type FabricPlan,
  type LeafWish,
  type RawFabric,
  resolveFabric,
} from "./fabric.ts";
import { chance, span } from "./fields.ts";
import type { Path } from "./misfit.ts";
import { routerAddress } from "./nat.ts";
import { resolveStep, STEP_OPTIONS } from "./parse-steps.ts";
import type { CardPlan, HostPlan, HostSystem, LabPlan } from "./plan.ts";
import { type Scalar, type Settings, TOP_FIELDS } from "./settings.ts";
import { LabError, Source } from "./source.ts";

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

/** A lab file that was read. */
export interface LabFile {
  readonly plan: LabPlan;
  /** The settings with the types that they have in the file. */
  readonly settings: Readonly<Record<string, Scalar>>;
  /** The file's parameters with the values that stand in it. */
  readonly params: Readonly<Record<string, Scalar>>;
  /** Where each step begins: its line, from 1. */
  readonly stepLines: readonly number[];
}

/**
 * Parses a lab.
 * @param file the name that errors carry
 * @param settings values of parameters and fields, in place of the file's own
 * @throws UserError with `file:line:column: field: what was expected`
 */
export function parseLab(file: string, text: string, settings: Settings = {}): LabPlan {
  return parseLabWith(file, text, settings).plan;
}

/** Parses a lab, and returns what an editor of it wants to know too. @throws LabError or UserError as parseLab does */
export function parseLabWith(file: string, text: string, settings: Settings): LabFile {
  const source = new Source(file, text, settings);
  try {
    const plan = resolve(source, file, source.checked() as RawLab);
    const stepLines = plan.steps.map((_, index) => source.line(["steps", index]));
    return { plan, settings: source.settings, params: source.params, stepLines };
  } catch (error) {
    const given = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
    if (!(error instanceof UserError) || given.length === 0) throw error;
    const note = ` (with ${given.join(", ")})`;
    throw error instanceof LabError ? error.with(note) : new UserError(error.message + note);
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
