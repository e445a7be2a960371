/** Requests about networks: local ones of libnetwork, and those of the swarm (moby daemon/network.go, api/server/router/network, 20.10). */
import { type Cidr, type Ipv4, parseCidr, parseIpv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { formatRfc3339 } from "../base/wall-clock.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import type { DriverType } from "../libnetwork/drivers/driver.ts";
import { inspectNetwork } from "../libnetwork/inspect.ts";
import { ActiveEndpointsError, type IpamConfig, type Network } from "../libnetwork/network.ts";
import type { Proc } from "../scheduler/process.ts";
import type { SwarmNode } from "../swarm/node.ts";
import { ApiError, type Filters, type JsonObject, type NetworkCreateRequest } from "./api.ts";
import type { Events } from "./events.ts";
import { checkFilters, matchesFilters } from "./filters.ts";
import { type EnginePlatform, linuxPlatform } from "./platform.ts";
import { refusable, toApiError } from "./refusals.ts";

/** Answers the requests under `/networks`. */
export class NetworkRequests {
  readonly #controller: NetworkController;
  readonly #swarm: SwarmNode;
  readonly #platform: EnginePlatform;
  readonly #events: Events | undefined;

  constructor(
    controller: NetworkController,
    swarm: SwarmNode,
    platform: EnginePlatform = linuxPlatform,
    events?: Events,
  ) {
    this.#events = events;
    this.#platform = platform;
    this.#controller = controller;
    this.#swarm = swarm;
  }

  #localNetworks(): readonly Network[] {
    return this.#controller.networks().filter((network) => network.state === "ready");
  }

  #view(network: Network, verbose: boolean): JsonObject {
    return inspectNetwork(network, formatRfc3339(network.created), verbose) as JsonObject;
  }

  /** The swarm's networks on a manager; nothing elsewhere, as the API ignores that it can't ask. */
  *#swarmNetworks(): Proc<JsonObject[]> {
    if (!this.#swarm.isManager) return [];
    return (yield* refusable(this.#swarm.control.listNetworks())) as unknown as JsonObject[];
  }

  *list(filters: Filters = {}): Proc<readonly JsonObject[]> {
    checkFilters("network", filters);
    const local = this.#localNetworks().map((network) => this.#view(network, false));
    const known = new Set(local.map((network) => network["Id"]));
    const swarm = (yield* this.#swarmNetworks()).filter((network) => !known.has(network["Id"]));
    return [...swarm, ...local].filter((network) => matchesFilters("network", network, filters));
  }

  /**
   * By full ID, else by name, else by the beginning of the ID, among the networks of this host and those of the swarm
   * (api/server/router/network/network_routes.go getNetwork).
   */
  *inspect(id: string, options: { verbose?: boolean; scope?: string } = {}): Proc<JsonObject> {
    const { scope = "", verbose = false } = options;
    const inScope = (network: JsonObject): boolean => scope === "" || network["Scope"] === scope;
    const local = this.#localNetworks().map((network) => this.#view(network, verbose));
    const whole = local.find((network) => network["Id"] === id);
    if (whole !== undefined && inScope(whole)) return whole;
    const known = new Set(local.filter(inScope).map((network) => network["Id"]));
    const swarm = (yield* this.#swarmNetworks()).filter((network) => !known.has(network["Id"]));
    const all = [...local, ...swarm].filter(inScope);
    const matches: readonly (readonly [string, (network: JsonObject) => boolean])[] = [
      ["on ID", (network) => network["Id"] === id],
      ["on name", (network) => network["Name"] === id],
      ["based on ID prefix", (network) => String(network["Id"]).startsWith(id)],
    ];
    for (const [how, fits] of matches) {
      const found = all.filter(fits);
      if (found.length > 1)
        throw new ApiError(400, `network ${id} is ambiguous (${found.length} matches found ${how})`);
      if (found[0] !== undefined) return found[0];
    }
    // The swarm's own objects for networks of the nodes (bridge, host) are in no list, but services name them.
    if (scope === "swarm" && this.#platform.predefinedNetworks.has(id) && this.#swarm.isManager)
      return (yield* refusable(this.#swarm.control.getNetwork(id))) as unknown as JsonObject;
    throw new ApiError(404, `network ${id} not found`);
  }

  *create(request: NetworkCreateRequest): Proc<{ Id: string; Warning: string }> {
    const name = request.Name;
    const driver = request.Driver ?? "bridge";
    if (this.#platform.predefinedNetworks.has(name))
      throw new ApiError(403, `operation is not permitted on predefined ${name} network `);
    const taken = (yield* this.list()).find((network) => network["Name"] === name);
    if (taken !== undefined) throw new ApiError(409, `network with name ${name} already exists`);
    if (!isDriver(driver) || !this.#platform.networkPlugins.includes(driver))
      throw new ApiError(404, `plugin "${driver}" not found`);
    if (request.ConfigOnly) throw new ApiError(501, "config-only networks are not emulated");
    if (request.EnableIPv6) throw new ApiError(501, "IPv6 is not emulated");
    if (driver === "host" || driver === "null")
      throw new ApiError(403, `only one instance of "${driver}" network is allowed`);
    if (driver === "overlay" || request.Scope === "swarm") return yield* this.#createSwarmNetwork(request, driver);
    if (request.Ingress) throw new ApiError(400, "Ingress network can only be global scope network");
    return { Id: this.#createLocal(request, driver).id, Warning: "" };
  }

  *#createSwarmNetwork(request: NetworkCreateRequest, driver: string): Proc<{ Id: string; Warning: string }> {
    if (driver === "overlay" && request.Scope === "local")
      throw new ApiError(403, "cannot downgrade network scope for overlay networks");
    if (this.#swarm.isAgent && !this.#swarm.isManager) {
      throw new ApiError(
        403,
        "Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
      );
    }
    const id = yield* refusable(this.#swarm.control.createNetwork({ ...request, Driver: driver }));
    return { Id: id, Warning: "" };
  }

  #createLocal(request: NetworkCreateRequest, driver: DriverType): Network {
    try {
      const network = this.#controller.newLocalNetwork({
        name: request.Name,
        driver,
        ipam: (request.IPAM?.Config ?? []).map((config) => ipamConfig(config)),
        options: request.Options ?? {},
        labels: request.Labels ?? {},
        internal: request.Internal ?? false,
        attachable: request.Attachable ?? false,
      });
      this.#events?.network(network, "create");
      return network;
    } catch (error) {
      throw toApiError(error);
    }
  }

  *remove(id: string): Proc<void> {
    const network = yield* this.inspect(id);
    if (network["Scope"] === "swarm") {
      yield* refusable(this.#swarm.control.removeNetwork(String(network["Id"])));
      return;
    }
    const name = String(network["Name"]);
    if (this.#platform.predefinedNetworks.has(name))
      throw new ApiError(403, `${name} is a pre-defined network and cannot be removed`);
    const local = this.#controller.network(String(network["Id"]));
    assert(local !== undefined, "a local network that was just inspected", name);
    try {
      local.delete();
      this.#events?.network(local, "destroy");
    } catch (error) {
      if (error instanceof ActiveEndpointsError)
        throw new ApiError(403, `error while removing network: ${error.message}`);
      throw toApiError(error);
    }
  }

  /** Swarm networks that nothing uses, then local ones. */
  *prune(filters: Filters = {}): Proc<{ NetworksDeleted: readonly string[] }> {
    checkFilters("network", filters);
    const deleted: string[] = [];
    for (const network of yield* this.#swarmNetworks()) {
      if (network["Ingress"] === true || !matchesFilters("network", network, filters)) continue;
      try {
        yield* this.remove(String(network["Id"]));
        deleted.push(String(network["Name"]));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // in use
      }
    }
    for (const network of this.#localNetworks()) {
      if (
        network.scope === "swarm" ||
        this.#platform.predefinedNetworks.has(network.name) ||
        network.endpoints().length > 0
      )
        continue;
      if (!matchesFilters("network", this.#view(network, false), filters)) continue;
      network.delete();
      deleted.push(network.name);
    }
    return { NetworksDeleted: deleted };
  }
}

function isDriver(name: string): name is DriverType {
  return ["bridge", "nat", "overlay", "host", "null"].includes(name);
}

function ipamConfig(config: {
  Subnet?: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}): IpamConfig {
  const cidr = (text: string): Cidr => {
    const value = parseCidr(text);
    if (value === undefined) throw new ApiError(400, `invalid CIDR address: ${text}`);
    return value;
  };
  const ip = (text: string): Ipv4 => {
    const value = parseIpv4(text);
    if (value === undefined) throw new ApiError(400, `Invalid address: ${text}`);
    return value;
  };
  return {
    ...(config.Subnet ? { subnet: cidr(config.Subnet) } : {}),
    ...(config.IPRange ? { range: cidr(config.IPRange) } : {}),
    ...(config.Gateway ? { gateway: ip(config.Gateway) } : {}),
    ...(config.AuxiliaryAddresses
      ? { aux: Object.fromEntries(Object.entries(config.AuxiliaryAddresses).map(([name, text]) => [name, ip(text)])) }
      : {}),
  };
}
