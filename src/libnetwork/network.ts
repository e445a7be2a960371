/** A network as one node knows it: its driver, its subnets, its endpoints and their names (moby libnetwork/network.go, 20.10). */
import { type Cidr, cidrContains, formatIpv4, type Ipv4 } from "../base/addr.ts";
import { assert, UserError } from "../base/errors.ts";
import { newHexId } from "../base/ids.ts";
import type { Time } from "../base/time.ts";
import { Signal } from "../scheduler/process.ts";
import type { NetworkController } from "./controller.ts";
import type { Driver, DriverType } from "./drivers/driver.ts";
import { Endpoint, type EndpointOptions } from "./endpoint.ts";
import { type AddressPool, NoAddressError } from "./ipam.ts";
import { OPTION_DEFAULT_BRIDGE, OPTION_DSR, type Options } from "./labels.ts";
import type { GossipPeer } from "./networkdb-types.ts";
import type { Sandbox } from "./sandbox.ts";
import { addContainerNames, removeContainerNames } from "./service.ts";
import { ServiceRecords } from "./svc-records.ts";

/** One IPAM configuration as the user or the manager gave it. */
export interface IpamConfig {
  readonly subnet?: Cidr;
  readonly range?: Cidr;
  readonly gateway?: Ipv4;
  readonly aux?: Readonly<Record<string, Ipv4>>;
}

/** What makes a network. */
export interface NetworkSpec {
  /** 64 hex digits when left out; the swarm's ID for swarm networks. */
  readonly id?: string;
  readonly name: string;
  readonly driver: DriverType;
  /** `local` when left out. */
  readonly scope?: "local" | "swarm";
  readonly ipam?: readonly IpamConfig[];
  readonly options?: Options;
  readonly labels?: Readonly<Record<string, string>>;
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly ingress?: boolean;
  /** Overlay networks: this node's load balancer address, from its attachment to the network. */
  readonly loadBalancerIp?: Ipv4;
}

/** A subnet of the network and its allocator. */
export interface NetworkSubnet {
  readonly pool: AddressPool;
  readonly gateway: Cidr;
}

/** Thrown when a network that still has endpoints is to be deleted (ActiveEndpointsError). */
export class ActiveEndpointsError extends UserError {
  override name = "ActiveEndpointsError";
  constructor(network: Network) {
    super(`network ${network.name} id ${network.id} has active endpoints`);
  }
}

/** A network of the controller (libnetwork/network.go). */
export class Network {
  readonly id: string;
  readonly name: string;
  readonly spec: NetworkSpec;
  readonly scope: "local" | "swarm";
  readonly created: Time;
  readonly controller: NetworkController;
  readonly driver: Driver;
  readonly subnets: NetworkSubnet[] = [];
  readonly records = new ServiceRecords();
  readonly #endpoints = new Map<string, Endpoint>();
  #lbSandbox: Sandbox | undefined;
  #lbEndpoint: Endpoint | undefined;
  #state: "creating" | "ready" | "deleted" = "creating";
  /** Notified when `state` changes. */
  readonly changed = new Signal();

  /** Called by NetworkController.newNetwork. */
  constructor(controller: NetworkController, driver: Driver, spec: NetworkSpec) {
    this.controller = controller;
    this.driver = driver;
    this.spec = spec;
    this.id = spec.id ?? newHexId(controller.random);
    this.name = spec.name;
    this.scope = spec.scope ?? "local";
    this.created = controller.os.now();
  }

  /** `creating` while it joins the gossip of its tables. */
  get state(): "creating" | "ready" | "deleted" {
    return this.#state;
  }

  /** Called by the controller. */
  setState(state: "ready" | "deleted"): void {
    this.#state = state;
    this.changed.notify();
  }

  get type(): DriverType {
    return this.driver.type;
  }

  get internal(): boolean {
    return this.spec.internal ?? false;
  }

  get ingress(): boolean {
    return this.spec.ingress ?? false;
  }

  /** Networks `host` and `none`: no addresses, no links. */
  get special(): boolean {
    return this.type === "host" || this.type === "null";
  }

  /** The network `bridge`: no names, no embedded DNS server. */
  get isDefaultBridge(): boolean {
    return this.spec.options?.[OPTION_DEFAULT_BRIDGE] === "true";
  }

  /** Its endpoints are known to the cluster through NetworkDB. */
  get clusterEligible(): boolean {
    return this.scope === "swarm" && this.type === "overlay" && this.controller.agent !== undefined;
  }

  /** It has a load balancer endpoint on each node (overlay networks of a swarm). */
  get hasLoadBalancer(): boolean {
    return this.spec.loadBalancerIp !== undefined;
  }

  /** Backends answer the client themselves (option `dsr`, its presence counts). */
  get directServerReturn(): boolean {
    return this.spec.options?.[OPTION_DSR] !== undefined;
  }

  get lbSandboxName(): string {
    return this.ingress ? `${this.name}-sbox` : `lb-${this.name}`;
  }

  get lbEndpointName(): string {
    return `${this.name}-endpoint`;
  }

  get lbSandbox(): Sandbox | undefined {
    return this.#lbSandbox;
  }

  /** The load balancer's endpoint. */
  get lbEndpoint(): Endpoint | undefined {
    return this.#lbEndpoint;
  }

  /** Endpoints of this node, the load balancer's included, in order of creation. */
  endpoints(): readonly Endpoint[] {
    return [...this.#endpoints.values()];
  }

  endpoint(id: string): Endpoint | undefined {
    return this.#endpoints.get(id);
  }

  endpointByName(name: string): Endpoint | undefined {
    return this.endpoints().find((e) => e.name === name);
  }

  /** Nodes that take part in the network (`Peers` of inspect); empty for local networks. */
  peers(): readonly GossipPeer[] {
    return this.clusterEligible ? (this.controller.agent?.db.networkPeers(this.id) ?? []) : [];
  }

  // ------------------------------------------------------------------------------------------- IPAM

  /** Takes pools and gateways (ipamAllocate). On failure nothing is kept. */
  allocateAddresses(): void {
    if (this.special) return;
    const { ipam } = this.controller;
    const configs: readonly IpamConfig[] =
      this.spec.ipam !== undefined && this.spec.ipam.length > 0 ? this.spec.ipam : [{}];
    try {
      for (const config of configs) {
        const pool =
          config.subnet === undefined
            ? ipam.requestDefaultPool(this.controller.hostNetworks())
            : ipam.requestPool(this.scope === "swarm" ? "GlobalDefault" : "LocalDefault", config.subnet, config.range);
        const gateway = pool.request(config.gateway);
        this.subnets.push({ pool, gateway: { ip: gateway, prefix: pool.subnet.prefix } });
        for (const ip of Object.values(config.aux ?? {})) pool.request(ip);
      }
    } catch (error) {
      this.releaseAddresses();
      throw error;
    }
  }

  releaseAddresses(): void {
    for (const { pool } of this.subnets.splice(0)) this.controller.ipam.releasePool(pool);
  }

  /** An address for an endpoint, with the prefix length of its subnet (assignAddressVersion). */
  #assignAddress(preferred: Ipv4 | undefined): Cidr {
    for (const { pool } of this.subnets) {
      if (preferred !== undefined && !cidrContains(pool.subnet, preferred)) continue;
      try {
        return { ip: pool.request(preferred), prefix: pool.subnet.prefix };
      } catch (error) {
        if (!(error instanceof NoAddressError)) throw error;
      }
    }
    if (preferred !== undefined) {
      throw new UserError(
        `Invalid address ${formatIpv4(preferred)}: It does not belong to any of this network's subnets`,
      );
    }
    throw new UserError(`no available IPv4 addresses on this network's address pools: ${this.name} (${this.id})`);
  }

  #releaseAddress(ip: Ipv4): void {
    this.subnets.find(({ pool }) => cidrContains(pool.subnet, ip))?.pool.release(ip);
  }

  // -------------------------------------------------------------------------------------- endpoints

  /** Makes an endpoint: address, MAC, and for bridges the veth pair. Throws UserError with Docker's texts. */
  createEndpoint(name: string, options: EndpointOptions = {}): Endpoint {
    if (name.trim() === "") throw new UserError(`invalid name: "${name}"`);
    if (this.endpointByName(name) !== undefined) {
      throw new UserError(`endpoint with name ${name} already exists in network ${this.name}`);
    }
    const id = newHexId(this.controller.random);
    const address = this.special ? undefined : this.#assignAddress(options.ipv4);
    let mac = options.mac;
    if (address !== undefined) {
      const iface = { id, address, mac };
      try {
        this.driver.createEndpoint(this.id, iface);
      } catch (error) {
        this.#releaseAddress(address.ip);
        if (!(error instanceof UserError)) throw error;
        throw new UserError(`failed to create endpoint ${name} on network ${this.name}: ${error.message}`);
      }
      mac = iface.mac;
    }
    const endpoint = new Endpoint(this, id, name, address, mac, options);
    this.#endpoints.set(id, endpoint);
    this.updateLocalNames(endpoint, true);
    return endpoint;
  }

  /** Called by Endpoint.delete. */
  removeEndpoint(endpoint: Endpoint): void {
    assert(this.#endpoints.delete(endpoint.id), "endpoint deleted twice", endpoint.id);
    this.updateLocalNames(endpoint, false);
    if (endpoint.address === undefined) return;
    this.driver.deleteEndpoint(this.id, endpoint.id);
    this.#releaseAddress(endpoint.address.ip);
  }

  /** Called by Endpoint. Names on networks that are not gossiped (updateSvcRecord): the endpoint's, then its aliases. */
  updateLocalNames(endpoint: Endpoint, add: boolean): void {
    if (this.scope === "swarm" || endpoint.address === undefined) return;
    const name = endpoint.dnsName;
    if (name === undefined) return;
    const update = add ? addContainerNames : removeContainerNames;
    update(this, endpoint.options.service?.id ?? endpoint.id, name, endpoint.aliases, endpoint.address.ip);
  }

  // ---------------------------------------------------------------------------------- load balancer

  /** The load balancer's sandbox and endpoint: the first local join, hence the overlay's namespace exists from now on. */
  createLoadBalancerSandbox(): void {
    const sandbox = this.controller.newSandbox({
      containerId: this.lbSandboxName,
      kind: this.ingress ? "ingress" : "loadBalancer",
      loadBalancerOf: this,
    });
    this.#lbSandbox = sandbox;
    try {
      const ip = this.spec.loadBalancerIp;
      const address = ip === undefined ? {} : { ipv4: ip };
      const endpoint = this.createEndpoint(this.lbEndpointName, {
        ...address,
        loadBalancer: true,
        anonymous: !this.ingress,
      });
      this.#lbEndpoint = endpoint;
      endpoint.join(sandbox);
      sandbox.enableService();
    } catch (error) {
      this.#deleteLoadBalancerSandbox();
      throw error;
    }
  }

  #deleteLoadBalancerSandbox(): void {
    const sandbox = this.#lbSandbox;
    this.#lbSandbox = undefined;
    this.#lbEndpoint = undefined;
    sandbox?.delete();
    this.endpointByName(this.lbEndpointName)?.delete();
  }

  // ---------------------------------------------------------------------------------------- deletion

  /**
   * Deletes the network, if no endpoint but the load balancer's is left. The ingress network goes only with
   * `removeLoadBalancer` (its explicit removal). Throws ActiveEndpointsError.
   */
  delete(options: { removeLoadBalancer?: boolean; force?: boolean } = {}): void {
    const force = options.force ?? false;
    if (this.ingress && !force && options.removeLoadBalancer !== true) throw new ActiveEndpointsError(this);
    if (!force && this.#endpoints.size > (this.#lbSandbox === undefined ? 0 : 1)) throw new ActiveEndpointsError(this);
    if (force) for (const endpoint of this.endpoints()) if (!endpoint.options.loadBalancer) endpoint.delete(true);
    this.#deleteLoadBalancerSandbox();
    this.controller.leaveCluster(this);
    this.controller.services.cleanup(this);
    this.records.clear();
    this.driver.deleteNetwork(this.id);
    this.releaseAddresses();
    this.controller.forgetNetwork(this);
    this.setState("deleted");
  }
}
