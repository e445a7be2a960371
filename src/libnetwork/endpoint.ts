/** An endpoint: the attachment of one sandbox to one network (moby libnetwork/endpoint.go, endpoint_info.go, agent.go, 20.10). */
import { type Cidr, formatIpv4, type Ipv4, type Mac } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import type { PortBinding } from "./drivers/port-mapper.ts";
import { ENDPOINT_TABLE } from "./labels.ts";
import type { Network } from "./network.ts";
import { encodeEndpointRecord, NIL_IP, type PortConfig } from "./records.ts";
import type { Sandbox } from "./sandbox.ts";
import { addContainerNames, removeContainerNames, type ServiceBinding } from "./service.ts";

/** The service an endpoint is a task of. */
export interface EndpointService {
  readonly id: string;
  readonly name: string;
  /** Undefined for dnsrr. */
  readonly vip?: Ipv4;
  readonly aliases: readonly string[];
  readonly ingressPorts: readonly PortConfig[];
}

export type { PortBinding, PublishedPort } from "./drivers/port-mapper.ts";

/** What an endpoint is made with. */
export interface EndpointOptions {
  readonly ipv4?: Ipv4;
  readonly mac?: Mac;
  /** Its name is no name of the container's (generated names): only aliases are known to DNS. */
  readonly anonymous?: boolean;
  /** Other names: network aliases, short container ID. */
  readonly aliases?: readonly string[];
  /** The load balancer's own endpoint. */
  readonly loadBalancer?: boolean;
  readonly service?: EndpointService;
  /** No embedded resolver for this endpoint (the default bridge). */
  readonly disableResolution?: boolean;
  /** Published ports (bridge networks, docker_gwbridge). */
  readonly ports?: readonly PortBinding[];
  /** Names only this container knows: alias → container name (links). */
  readonly links?: ReadonlyMap<string, string>;
}

/** What the driver said when the endpoint joined. */
export interface JoinState {
  srcName: string | undefined;
  dstPrefix: string;
  gateway: Ipv4 | undefined;
  readonly staticRoutes: { readonly dst: Cidr; readonly via: Ipv4 }[];
  readonly tableEntries: { readonly table: string; readonly key: string; readonly value: Uint8Array }[];
}

/** A container's place in a network (libnetwork/endpoint.go). */
export class Endpoint {
  readonly network: Network;
  readonly id: string;
  #name: string;
  #anonymous: boolean;
  /** Undefined on `host` and `none`. */
  readonly address: Cidr | undefined;
  readonly mac: Mac | undefined;
  readonly options: EndpointOptions;
  #sandbox: Sandbox | undefined;
  #joined: JoinState | undefined;
  #serviceEnabled = false;
  #published = false;

  constructor(
    network: Network,
    id: string,
    name: string,
    address: Cidr | undefined,
    mac: Mac | undefined,
    options: EndpointOptions,
  ) {
    this.network = network;
    this.id = id;
    this.#name = name;
    this.#anonymous = options.anonymous === true;
    this.address = address;
    this.mac = mac;
    this.options = options;
  }

  get name(): string {
    return this.#name;
  }

  get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  get joined(): JoinState | undefined {
    return this.#joined;
  }

  get gateway(): Ipv4 | undefined {
    return this.#joined?.gateway;
  }

  get aliases(): readonly string[] {
    return this.options.aliases ?? [];
  }

  /** The name DNS knows it by first; undefined when it is anonymous without aliases. */
  get dnsName(): string | undefined {
    if (this.network.isDefaultBridge) return undefined;
    return this.#anonymous ? this.aliases[0] : this.name;
  }

  /**
   * The container goes by another name: the old one is withdrawn and the new one published (endpoint.rename). On an
   * overlay that fails in 20.10, as the entry of the old name stands in NetworkDB until it is reaped.
   */
  rename(name: string): void {
    const enabled = this.#serviceEnabled;
    if (enabled) this.withdrawService(true);
    this.network.updateLocalNames(this, false);
    this.#name = name;
    this.#anonymous = false;
    this.network.updateLocalNames(this, true);
    if (!enabled) return;
    try {
      this.publishService();
    } catch (error) {
      if (!(error instanceof Error && error.name === "NetworkDbError")) throw error;
      throw new UserError(`Could not add service state for endpoint ${name} to cluster on rename: ${error.message}`);
    }
  }

  /** An endpoint of docker_gwbridge that libnetwork made itself. */
  get onGatewayNetwork(): boolean {
    return this.network.name === this.network.controller.system.gatewayNetwork && this.name.startsWith("gateway_");
  }

  /** The embedded DNS server is needed in its sandbox: not for `bridge`, `host` and `none`. */
  get needsResolver(): boolean {
    const { network } = this;
    return this.options.disableResolution !== true && !network.special && !network.isDefaultBridge;
  }

  /** Joins a sandbox (sbJoin): links, routes, records of the driver's table, and a way out where none else is. */
  join(sandbox: Sandbox): void {
    if (this.#sandbox !== undefined) throw new UserError("another container is attached to the same network endpoint");
    const state: JoinState = {
      srcName: undefined,
      dstPrefix: "eth",
      gateway: undefined,
      staticRoutes: [],
      tableEntries: [],
    };
    this.network.driver.join(this.network.id, this.id, {
      setNames(srcName, dstPrefix) {
        state.srcName = srcName;
        state.dstPrefix = dstPrefix;
      },
      setGateway(gateway) {
        state.gateway = gateway;
      },
      addStaticRoute(dst, via) {
        state.staticRoutes.push({ dst, via });
      },
      addTableEntry(table, key, value) {
        state.tableEntries.push({ table, key, value });
      },
    });
    this.#sandbox = sandbox;
    this.#joined = state;
    try {
      sandbox.attach(this);
    } catch (error) {
      this.#abandonJoin(sandbox);
      throw error;
    }
  }

  /** After a failed join it is as if it had not been tried. */
  #abandonJoin(sandbox: Sandbox): void {
    this.network.driver.leave(this.network.id, this.id);
    sandbox.detach(this);
    this.withdrawDriverInfo();
    this.#sandbox = undefined;
    this.#joined = undefined;
  }

  /** Leaves its sandbox (sbLeave). */
  leave(): void {
    const sandbox = this.#sandbox;
    if (sandbox === undefined) throw new UserError(`endpoint ${this.name} is not attached to a sandbox`);
    const wasGateway = sandbox.gatewayEndpoint() === this;
    if (wasGateway) sandbox.revokePorts();
    this.network.driver.leave(this.network.id, this.id);
    this.withdrawService(true);
    sandbox.detach(this);
    this.withdrawDriverInfo();
    this.#sandbox = undefined;
    this.#joined = undefined;
    sandbox.detached(wasGateway);
  }

  /** Deletes it; `force` leaves the sandbox first. */
  delete(force = false): void {
    if (this.#sandbox !== undefined) {
      if (!force) throw new UserError(`endpoint with name ${this.name} id ${this.id} has active containers`);
      this.leave();
    }
    this.network.removeEndpoint(this);
  }

  // ------------------------------------------------------------------------------------ the cluster

  /** Publishes what the driver gave for its tables (addDriverInfoToCluster). */
  publishDriverInfo(): void {
    if (!this.network.clusterEligible) return;
    for (const { table, key, value } of this.#joined?.tableEntries ?? []) {
      this.network.controller.agent?.db.createEntry(table, this.network.id, key, value);
    }
  }

  withdrawDriverInfo(): void {
    const db = this.network.clusterEligible ? this.network.controller.agent?.db : undefined;
    for (const { table, key } of this.#joined?.tableEntries ?? []) {
      if (db?.getEntry(table, this.network.id, key) !== undefined) db.deleteEntry(table, this.network.id, key);
    }
  }

  #binding(name: string, service: EndpointService, ip: Ipv4): ServiceBinding {
    return {
      serviceName: service.name,
      serviceId: service.id,
      endpointId: this.id,
      containerName: name,
      vip: service.vip,
      ingressPorts: this.network.ingress ? service.ingressPorts : [],
      serviceAliases: service.aliases,
      taskAliases: this.aliases,
      ip,
    };
  }

  /** Names and backends become known here and, by gossip, on the network's other nodes (addServiceInfoToCluster). */
  publishService(): void {
    if (this.#serviceEnabled) return;
    this.#serviceEnabled = true;
    const name = this.dnsName;
    if (name === undefined || this.address === undefined || !this.network.clusterEligible) return;
    const { service } = this.options;
    const { ip } = this.address;
    if (service !== undefined) this.network.controller.services.add(this.network, this.#binding(name, service, ip));
    else addContainerNames(this.network, this.id, name, this.aliases, ip);
    this.#published = true;
    this.network.controller.agent?.db.createEntry(ENDPOINT_TABLE, this.network.id, this.id, this.#record(name, false));
  }

  #record(name: string, disabled: boolean): Uint8Array {
    const service = this.options.service;
    return encodeEndpointRecord({
      name,
      serviceName: service?.name ?? "",
      serviceId: service?.id ?? "",
      virtualIp: service?.vip === undefined ? NIL_IP : formatIpv4(service.vip),
      endpointIp: this.address === undefined ? NIL_IP : formatIpv4(this.address.ip),
      ingressPorts: this.network.ingress ? (service?.ingressPorts ?? []) : [],
      aliases: service?.aliases ?? [],
      taskAliases: this.aliases,
      serviceDisabled: disabled,
    });
  }

  /**
   * deleteServiceInfoFromCluster.
   * @param fullRemove false: disabled only, existing connections go on (before a task is stopped)
   */
  withdrawService(fullRemove: boolean): void {
    const name = this.dnsName;
    this.#serviceEnabled = false;
    if (name === undefined || this.address === undefined || !this.#published) return;
    const db = this.network.clusterEligible ? this.network.controller.agent?.db : undefined;
    if (db?.getEntry(ENDPOINT_TABLE, this.network.id, this.id) !== undefined) {
      if (fullRemove) db.deleteEntry(ENDPOINT_TABLE, this.network.id, this.id);
      else db.updateEntry(ENDPOINT_TABLE, this.network.id, this.id, this.#record(name, true));
    }
    if (fullRemove) this.#published = false;
    const { service } = this.options;
    const { ip } = this.address;
    if (service !== undefined)
      this.network.controller.services.remove(this.network, this.#binding(name, service, ip), fullRemove);
    else removeContainerNames(this.network, this.id, name, this.aliases, ip);
  }
}
