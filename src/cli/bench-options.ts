/** The flags of `swarmwire bench mesh`, and the options that they stand for. */
import { UserError } from "../base/errors.ts";
import { parseDuration, parseRate, SEC, type Time, US } from "../base/time.ts";
import { IPVS_SCHEDULERS, type IpvsScheduler } from "../kernel/ipvs-types.ts";
import { MAX_HOSTS, TRAFFIC_KINDS } from "../workload/mesh/options.ts";
import type { ControlPlane, MeshOptions, MeshUnderlay } from "../workload/mesh/types.ts";
import { type FlagTable, type ParsedArgs, wholeNumber } from "./args.ts";

const COMMAND = "bench mesh";
const HOSTS = 16;
/** Of a host. */
const CONTAINERS = 10;
/** Of a host. */
const FLOWS = 4;
const SPAN = 5;
/** Containers of a network, about. */
const NETWORK_SIZE = 200;
/** On a flat segment of more hosts, ARP's broadcasts are what is measured. */
const FLAT_HOSTS = 64;

/** The flags of what a mesh is. */
export const MESH_FLAGS: FlagTable = {
  hosts: { value: "N", help: `hosts (default ${HOSTS})` },
  containers: { value: "M", help: `containers in total, spread evenly (default ${CONTAINERS} a host)` },
  flows: { value: "F", help: `flows in total (default ${FLOWS} a host)` },
  control: {
    value: "gossip|converged",
    help: "control plane: everything over the wire, or placed as it stands after that (default converged)",
  },
  underlay: {
    value: "flat|leaf-spine",
    help: `the wires between hosts (default flat up to ${FLAT_HOSTS} hosts, leaf-spine above)`,
  },
  "per-leaf": { value: "N", help: "hosts below a leaf switch (default 32)" },
  racks: {
    value: "near|far",
    help: "neighbouring hosts, which share networks, are below the same leaf, or below different ones (default near)",
  },
  spines: { value: "N", help: "spine switches (default 4)" },
  uplink: { value: "RATE", help: "rate of each link between a leaf and a spine (default 40Gbit)" },
  "uplink-latency": { value: "TIME", help: "one-way delay of such a link (default 5us)" },
  latency: { value: "TIME", help: "one-way delay of a host's link (default 50us)" },
  bandwidth: { value: "RATE", help: "rate of a host's link, as tc writes it; 0bit: not limited (default 10Gbit)" },
  loss: { value: "SHARE", help: "frames lost on a host's link, like 1% or 0.01 (default 0)" },
  mtu: { value: "BYTES", help: "MTU of a host's link (default 1500)" },
  networks: {
    value: "N",
    help: `overlay networks (default as many as hosts need, with about ${NETWORK_SIZE} containers each)`,
  },
  span: { value: "N", help: `neighbouring hosts that each network spans (default ${SPAN})` },
  encrypted: { value: "N|all", help: "networks, of the first, that are encrypted (default 0)" },
  services: { value: "N", help: "services with a VIP in each network; 0: plain containers (default 1)" },
  scheduler: { value: "NAME,…", help: "IPVS schedulers that services are given in turn (default rr, Docker's)" },
  traffic: {
    value: "KIND,…",
    help: `kinds that flows are given in turn: ${TRAFFIC_KINDS.join(", ")} (default cbr,poisson,rr)`,
  },
  vip: { value: "SHARE", help: "share of the flows of cbr, poisson and rr that go to a VIP (default 50%, or 0)" },
  rate: { value: "N", help: "datagrams or requests a second of each flow (default 1000)" },
  size: { value: "BYTES", help: "of a datagram's payload, a response, an incast block; 64K is 65536 (default 512)" },
  duration: { value: "TIME", help: "how long each flow lasts (default 1s)" },
  seed: { value: "TEXT", help: "of everything that is drawn (default 1)" },
};

const refuse = (flag: string, text: string, expected: string): UserError =>
  new UserError(`swarmwire ${COMMAND}: --${flag} ${text}: expected ${expected}`);

function time(args: ParsedArgs, flag: string, fallback: Time): Time {
  const text = args.get(flag);
  if (text === undefined) return fallback;
  const value = parseDuration(text);
  if (value === undefined) throw refuse(flag, text, "a time like 50us or 1s");
  return value;
}

function rate(args: ParsedArgs, flag: string, fallback: number): number {
  const text = args.get(flag);
  if (text === undefined) return fallback;
  const value = parseRate(text);
  if (value === undefined) throw refuse(flag, text, "a rate like 10Gbit or 100mbit");
  return value;
}

function share(args: ParsedArgs, flag: string, fallback: number): number {
  const text = args.get(flag);
  if (text === undefined) return fallback;
  const match = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) / (match[2] === "%" ? 100 : 1);
  if (!(value >= 0 && value <= 1)) throw refuse(flag, text, "a share like 1% or 0.01");
  return value;
}

function perSecond(args: ParsedArgs, flag: string, fallback: number): number {
  const text = args.get(flag);
  if (text === undefined) return fallback;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value > 0)) throw refuse(flag, text, "how many a second, a number above 0");
  return value;
}

const BINARY: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** A number of bytes as iperf3 and free(1) take it: 1500, 64K, 4GiB. @throws UserError */
export function bytesFlag(command: string, args: ParsedArgs, flag: string): number | undefined {
  const text = args.get(flag);
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text);
  if (match === null)
    throw new UserError(`swarmwire ${command}: --${flag} ${text}: expected bytes like 1500, 64K or 4GiB`);
  return Math.floor(Number(match[1]) * (BINARY[(match[2] as string).toUpperCase()] as number));
}

function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((one) => one === text);
  if (found === undefined) throw refuse(flag, text, `one of ${known.join(", ")}`);
  return found;
}

function listOf<T extends string>(
  args: ParsedArgs,
  flag: string,
  known: readonly T[],
  fallback: readonly T[],
): readonly T[] {
  return (
    args
      .get(flag)
      ?.split(",")
      .map((text) => oneOf(flag, text, known)) ?? fallback
  );
}

const whole = (args: ParsedArgs, flag: string, least: number, fallback: number, most = 2 ** 31 - 1): number =>
  wholeNumber(COMMAND, args, flag, least, most) ?? fallback;

function underlayOf(args: ParsedArgs, hosts: number): MeshUnderlay {
  const asked = args.get("underlay") ?? (hosts <= FLAT_HOSTS ? "flat" : "leaf-spine");
  const kind = oneOf("underlay", asked, ["flat", "leaf-spine"] as const);
  const useless = ["per-leaf", "racks", "spines", "uplink", "uplink-latency"].find(
    (flag) => kind === "flat" && args.has(flag),
  );
  if (useless !== undefined) throw new UserError(`swarmwire ${COMMAND}: --${useless} needs --underlay leaf-spine`);
  return {
    kind,
    latency: time(args, "latency", 50 * US),
    bandwidth: rate(args, "bandwidth", 10e9),
    loss: share(args, "loss", 0),
    mtu: whole(args, "mtu", 1, 1500),
    hostsPerLeaf: whole(args, "per-leaf", 1, 32),
    spines: whole(args, "spines", 1, 4),
    apart: oneOf("racks", args.get("racks") ?? "near", ["near", "far"] as const) === "far",
    uplinkBandwidth: rate(args, "uplink", 40e9),
    uplinkLatency: time(args, "uplink-latency", 5 * US),
  };
}

function encryptedOf(args: ParsedArgs, networks: number): number {
  return args.get("encrypted") === "all" ? networks : whole(args, "encrypted", 0, 0);
}

/** What the flags ask for, with everything that isn't given. @throws UserError naming the flag */
export function meshOptionsOf(args: ParsedArgs): MeshOptions {
  const hosts = whole(args, "hosts", 1, HOSTS, MAX_HOSTS);
  const containers = whole(args, "containers", 1, CONTAINERS * hosts);
  const span = whole(args, "span", 1, Math.min(SPAN, hosts));
  const enough = Math.max(Math.ceil(hosts / span), Math.ceil(containers / NETWORK_SIZE));
  const networks = whole(args, "networks", 1, Math.min(enough, containers));
  const services = whole(args, "services", 0, 1);
  if (services === 0 && args.has("scheduler"))
    throw new UserError(`swarmwire ${COMMAND}: --scheduler needs --services 1 or more`);
  const traffic = listOf(args, "traffic", TRAFFIC_KINDS, ["cbr", "poisson", "rr"]);
  return {
    seed: args.get("seed") ?? "1",
    control: oneOf("control", args.get("control") ?? "converged", ["gossip", "converged"] satisfies ControlPlane[]),
    hosts,
    containers,
    flows: whole(args, "flows", 0, FLOWS * hosts),
    underlay: underlayOf(args, hosts),
    networks,
    span,
    encrypted: encryptedOf(args, networks),
    services,
    schedulers: listOf<IpvsScheduler>(args, "scheduler", IPVS_SCHEDULERS, ["rr"]),
    traffic,
    vipShare: share(args, "vip", services === 0 ? 0 : 0.5),
    rate: perSecond(args, "rate", 1000),
    size: bytesFlag(COMMAND, args, "size") ?? 512,
    duration: time(args, "duration", SEC),
  };
}

/** Flags by the names that the plan's checks have for what they stand for. */
const FLAG_OF: Readonly<Record<string, string>> = {
  vipShare: "vip",
  schedulers: "scheduler",
  "underlay hostsPerLeaf": "per-leaf",
  "underlay spines": "spines",
  "underlay uplinkBandwidth": "uplink",
  "underlay uplinkLatency": "uplink-latency",
  "underlay latency": "latency",
  "underlay bandwidth": "bandwidth",
  "underlay loss": "loss",
  "underlay mtu": "mtu",
};

/** Makes something of the options; what they refuse is told as a mistake of the flag. @throws UserError */
export function withFlagNames<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    const match = error instanceof UserError ? /^mesh, ([^:]+): (.*)$/s.exec(error.message) : null;
    if (match === null) throw error;
    throw new UserError(`swarmwire ${COMMAND}: --${FLAG_OF[match[1] as string] ?? match[1]}: ${match[2]}`);
  }
}
