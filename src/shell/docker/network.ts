/** `docker network …` (docker/cli cli/command/network, 20.10). */
import { type Cidr, cidrContains, cidrOverlaps, parseCidr, parseIpv4 } from "../../base/addr.ts";
import type { EndpointSettings, NetworkCreateRequest } from "../../engine/api.ts";
import type { Proc } from "../../scheduler/process.ts";
import {
  type Command,
  errorText,
  exactArgs,
  type Invocation,
  minArgs,
  noArgs,
  objectError,
  StatusError,
} from "./command.ts";
import { confirm, FORMAT_FLAG, filterFlag, filtersOf, inspectAll, keyValues } from "./common.ts";
import type { Flags } from "./flags.ts";
import { bool, type JsonObject, object, text } from "./format/json.ts";
import { formatRows, joinLabels, type Listing, naturalCompare, truncateId } from "./format/table.ts";

const INGRESS_WARNING =
  "WARNING! Before removing the routing-mesh network, make sure all the nodes in your swarm run the same docker engine version. " +
  "Otherwise, removal may not be effective and functionality of newly create ingress networks will be impaired.\n" +
  "Are you sure you want to continue?";
const PRUNE_WARNING =
  "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?";

const LISTING: Listing = {
  headers: {
    ID: "NETWORK ID",
    Name: "NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    IPv6: "IPV6",
    Internal: "INTERNAL",
    Labels: "LABELS",
    CreatedAt: "CREATED AT",
  },
  columns: ["ID", "Name", "Driver", "Scope"],
  quiet: "ID",
};

function networkRow(network: JsonObject, truncate: boolean): JsonObject {
  const id = text(network, "Id");
  return {
    CreatedAt: text(network, "Created"),
    Driver: text(network, "Driver"),
    ID: truncate ? truncateId(id) : id,
    IPv6: String(bool(network, "EnableIPv6")),
    Internal: String(bool(network, "Internal")),
    Labels: joinLabels(network["Labels"]),
    Name: text(network, "Name"),
    Scope: text(network, "Scope"),
  };
}

function* list({ engine, flags, out }: Invocation): Proc<undefined> {
  const networks = [...(yield* engine.networkList(filtersOf(flags.list("filter"))))];
  networks.sort(
    (a, b) => naturalCompare(text(a, "Name"), text(b, "Name")) || naturalCompare(text(a, "Id"), text(b, "Id")),
  );
  const rows = networks.map((network) => networkRow(network, !flags.bool("no-trunc")));
  const labels = networks.map((network) => object(network, "Labels"));
  out(formatRows(LISTING, rows, flags.text("format"), flags.bool("quiet"), labels));
}

interface Pool {
  Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

function cidr(value: string): Cidr {
  const parsed = value.includes("/") ? parseCidr(value) : undefined;
  if (parsed === undefined) throw new StatusError(1, `invalid CIDR address: ${value}`);
  return parsed;
}

/** Sorts ranges, gateways and auxiliary addresses to their subnets (create.go consolidateIpam). */
function consolidateIpam(flags: Flags): Pool[] {
  const subnets = flags.list("subnet");
  const ranges = flags.list("ip-range");
  const gateways = flags.list("gateway");
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw new StatusError(1, "every ip-range or gateway must have a corresponding subnet");
  }
  const pools = new Map<string, Pool>();
  for (const subnet of subnets) {
    const own = cidr(subnet);
    for (const other of pools.keys()) {
      if (cidrOverlaps(own, cidr(other)))
        throw new StatusError(1, "multiple overlapping subnet configuration is not supported");
    }
    pools.set(subnet, { Subnet: subnet });
  }
  const holder = (ip: number | undefined) =>
    [...pools.values()].find((pool) => ip !== undefined && cidrContains(cidr(pool.Subnet), ip));
  for (const range of ranges) {
    const pool = holder(cidr(range).ip);
    if (pool === undefined) throw new StatusError(1, `no matching subnet for range ${range}`);
    if (pool.IPRange !== undefined) {
      throw new StatusError(
        1,
        `cannot configure multiple ranges (${range}, ${pool.IPRange}) on the same subnet (${pool.Subnet})`,
      );
    }
    pool.IPRange = range;
  }
  for (const gateway of gateways) {
    const pool = holder(parseIpv4(gateway));
    if (pool === undefined) throw new StatusError(1, `no matching subnet for gateway ${gateway}`);
    if (pool.Gateway !== undefined) {
      throw new StatusError(
        1,
        `cannot configure multiple gateways (${gateway}, ${pool.Gateway}) for the same subnet (${pool.Subnet})`,
      );
    }
    pool.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(flags.map("aux-address"))) {
    const pool = holder(parseIpv4(address));
    if (pool === undefined) throw new StatusError(1, `no matching subnet for aux-address ${address}`);
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: address };
  }
  return [...pools.values()];
}

function* create({ engine, flags, args, out, err }: Invocation): Proc<undefined> {
  const request: NetworkCreateRequest = {
    Name: args[0] as string,
    CheckDuplicate: true,
    Driver: flags.text("driver") ?? "bridge",
    Scope: flags.text("scope") ?? "",
    EnableIPv6: flags.bool("ipv6"),
    IPAM: {
      Driver: flags.text("ipam-driver") ?? "default",
      Options: flags.map("ipam-opt"),
      Config: consolidateIpam(flags),
    },
    Internal: flags.bool("internal"),
    Attachable: flags.bool("attachable"),
    Ingress: flags.bool("ingress"),
    ConfigOnly: flags.bool("config-only"),
    Options: flags.map("opt"),
    Labels: keyValues(flags.list("label")),
  };
  const created = yield* engine.networkCreate(request);
  if (created.Warning !== "") err(`WARNING: ${created.Warning}\n`);
  out(`${created.Id}\n`);
}

function* remove(invocation: Invocation): Proc<number> {
  const { engine, args, out, err } = invocation;
  let status = 0;
  for (const name of args) {
    try {
      if ((yield* isIngress(invocation, name)) && !(yield* confirm(invocation, INGRESS_WARNING))) continue;
      yield* engine.networkRemove(name);
      out(`${name}\n`);
    } catch (error) {
      err(`${errorText(objectError(error, "network", name))}\n`);
      status = 1;
    }
  }
  return status;
}

/** An error here doesn't stop the removal, which will tell. */
function* isIngress({ engine }: Invocation, name: string): Proc<boolean> {
  try {
    return bool(yield* engine.networkInspect(name), "Ingress");
  } catch (error) {
    errorText(error);
    return false;
  }
}

function* inspect(invocation: Invocation): Proc<undefined> {
  const { engine, flags } = invocation;
  yield* inspectAll(invocation, invocation.args, function* (name) {
    try {
      return yield* engine.networkInspect(name, { verbose: flags.bool("verbose") });
    } catch (error) {
      throw objectError(error, "network", name);
    }
  });
}

function* connect({ engine, flags, args }: Invocation): Proc<undefined> {
  const settings: EndpointSettings = {};
  const ip = flags.text("ip");
  if (ip !== undefined) settings.IPAMConfig = { IPv4Address: ip };
  if (flags.list("alias").length > 0) settings.Aliases = flags.list("alias");
  if (flags.list("driver-opt").length > 0) settings.DriverOpts = flags.map("driver-opt");
  yield* engine.networkConnect(args[0] as string, { Container: args[1] as string, EndpointConfig: settings });
}

function* disconnect({ engine, flags, args }: Invocation): Proc<undefined> {
  yield* engine.networkDisconnect(args[0] as string, { Container: args[1] as string, Force: flags.bool("force") });
}

function* prune(invocation: Invocation): Proc<undefined> {
  const { engine, flags, out } = invocation;
  if (!flags.bool("force") && !(yield* confirm(invocation, PRUNE_WARNING))) return;
  const { NetworksDeleted } = yield* engine.networkPrune(filtersOf(flags.list("filter")));
  if (NetworksDeleted.length > 0) out(`Deleted Networks:\n${NetworksDeleted.map((name) => `${name}\n`).join("")}\n`);
}

const CREATE: Command = {
  use: "create [OPTIONS] NETWORK",
  short: "Create a network",
  args: exactArgs(1),
  flags: [
    { name: "attachable", usage: "Enable manual container attachment" },
    {
      name: "aux-address",
      type: "map",
      usage: "Auxiliary IPv4 or IPv6 addresses used by Network driver",
      shown: "map[]",
      many: true,
    },
    { name: "config-from", type: "string", usage: "The network from which to copy the configuration" },
    { name: "config-only", usage: "Create a configuration only network" },
    { name: "driver", short: "d", type: "string", usage: "Driver to manage the Network", shown: '"bridge"' },
    { name: "gateway", type: "strings", usage: "IPv4 or IPv6 Gateway for the master subnet", many: true, commas: true },
    { name: "ingress", usage: "Create swarm routing-mesh network" },
    { name: "internal", usage: "Restrict external access to the network" },
    { name: "ip-range", type: "strings", usage: "Allocate container ip from a sub-range", many: true, commas: true },
    { name: "ipam-driver", type: "string", usage: "IP Address Management Driver", shown: '"default"' },
    { name: "ipam-opt", type: "map", usage: "Set IPAM driver specific options", shown: "map[]", many: true },
    { name: "ipv6", usage: "Enable IPv6 networking" },
    { name: "label", type: "list", usage: "Set metadata on a network", many: true },
    { name: "opt", short: "o", type: "map", usage: "Set driver specific options", shown: "map[]", many: true },
    { name: "scope", type: "string", usage: "Control the network's scope" },
    {
      name: "subnet",
      type: "strings",
      usage: "Subnet in CIDR format that represents a network segment",
      many: true,
      commas: true,
    },
  ],
  run: create,
};

/** `docker network`. */
export const NETWORK: Command = {
  use: "network",
  short: "Manage networks",
  commands: [
    {
      use: "connect [OPTIONS] NETWORK CONTAINER",
      short: "Connect a container to a network",
      args: exactArgs(2),
      flags: [
        {
          name: "alias",
          type: "strings",
          usage: "Add network-scoped alias for the container",
          many: true,
          commas: true,
        },
        { name: "driver-opt", type: "strings", usage: "driver options for the network", many: true, commas: true },
        { name: "ip", type: "string", usage: "IPv4 address (e.g., 172.30.100.104)" },
        { name: "ip6", type: "string", usage: "IPv6 address (e.g., 2001:db8::33)" },
        { name: "link", type: "list", usage: "Add link to another container", many: true },
        {
          name: "link-local-ip",
          type: "strings",
          usage: "Add a link-local address for the container",
          many: true,
          commas: true,
        },
      ],
      run: connect,
    },
    CREATE,
    {
      use: "disconnect [OPTIONS] NETWORK CONTAINER",
      short: "Disconnect a container from a network",
      args: exactArgs(2),
      flags: [{ name: "force", short: "f", usage: "Force the container to disconnect from a network" }],
      run: disconnect,
    },
    {
      use: "inspect [OPTIONS] NETWORK [NETWORK...]",
      short: "Display detailed information on one or more networks",
      args: minArgs(1),
      flags: [FORMAT_FLAG, { name: "verbose", short: "v", usage: "Verbose output for diagnostics" }],
      run: inspect,
    },
    {
      use: "ls [OPTIONS]",
      short: "List networks",
      aliases: ["list"],
      args: noArgs,
      flags: [
        filterFlag("Provide filter values (e.g. 'driver=bridge')", "f"),
        { name: "format", type: "string", usage: "Pretty-print networks using a Go template" },
        { name: "no-trunc", usage: "Do not truncate the output" },
        { name: "quiet", short: "q", usage: "Only display network IDs" },
      ],
      run: list,
    },
    {
      use: "prune [OPTIONS]",
      short: "Remove all unused networks",
      args: noArgs,
      flags: [
        filterFlag("Provide filter values (e.g. 'until=<timestamp>')"),
        { name: "force", short: "f", usage: "Do not prompt for confirmation" },
      ],
      run: prune,
    },
    {
      use: "rm NETWORK [NETWORK...]",
      short: "Remove one or more networks",
      aliases: ["remove"],
      args: minArgs(1),
      run: remove,
    },
  ],
};
