/**
 * libnetwork's controller: one per engine; networks, sandboxes, drivers, the node's address management and the
 * cluster agent (moby libnetwork/controller.go, 20.10). The kernel is programmed through the netlink door only.
 */
import { type Cidr, parseIpv4 } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { NetNs } from "../kernel/types.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc } from "../scheduler/process.ts";
import { Agent, type AgentConfig, type NetworkDbFactory } from "./agent.ts";
import { BridgeDriver } from "./drivers/bridge.ts";
import { arrangeUserFilter } from "./drivers/bridge-iptables.ts";
import type { Driver, DriverType } from "./drivers/driver.ts";
import { SpecialDriver } from "./drivers/null.ts";
import { OverlayDriver } from "./drivers/overlay.ts";
import type { OverlayEncryption } from "./drivers/overlay-encryption.ts";
import { parseResolvConf } from "./files.ts";
import { IngressPorts } from "./ingress.ts";
import { Ipam, LOCAL_DEFAULT_POOLS } from "./ipam.ts";
import { changeKeys, checkKeyring, type EncryptionKey } from "./keys.ts";
import { IpvsLoadBalancer } from "./load-balancer.ts";
import type { DaemonLog } from "./log.ts";
import { Network, type NetworkSpec } from "./network.ts";
import { Sandbox, type SandboxOptions } from "./sandbox.ts";
import { type LoadBalancerProgrammer, ServiceBindings } from "./service.ts";
import { LINUX_NETWORKS, type NetworkSystem } from "./system.ts";

/** What a controller is made with. */
export interface ControllerOptions {
  readonly os: HostOs;
  readonly log: DaemonLog;
  /** Makes NetworkDB when the node becomes part of a swarm. */
  readonly networkDb: NetworkDbFactory;
  /** Text of the host's /etc/resolv.conf; empty when left out. */
  readonly resolvConf?: string;
  /** `default-address-pools` of the daemon's configuration. */
  readonly localPools?: readonly Cidr[];
  readonly encryption?: OverlayEncryption;
  /** In place of IPVS, for tests. */
  readonly loadBalancer?: LoadBalancerProgrammer;
  /** What an earlier life of the daemon left (NetworkController.shutdown). */
  readonly restore?: DaemonRemains;
  /** The host's operating system; Linux when left out. */
  readonly system?: NetworkSystem;
}

/** What there is of libnetwork while its daemon is stopped. */
export interface DaemonRemains {
  /** Networks on disk, with the subnets they were given (the store local-kv.db), in order of creation. */
  readonly networks: readonly (NetworkSpec & { readonly id: string })[];
  /** Namespaces of load balancers and overlays, which the next daemon removes. */
  readonly namespaces: readonly NetNs[];
  /** How often the daemon has been started. */
  readonly lives: number;
}

/** Networks, endpoints and sandboxes of a daemon (libnetwork/controller.go). */
export class NetworkController {
  readonly os: HostOs;
  readonly log: DaemonLog;
  readonly random: Random;
  readonly ipam: Ipam;
  readonly services: ServiceBindings;
  readonly hostResolvConf: string;
  readonly system: NetworkSystem;
  readonly #networkDb: NetworkDbFactory;
  readonly #drivers: ReadonlyMap<DriverType, Driver>;
  readonly #networks = new Map<string, Network>();
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #bridge: BridgeDriver;
  readonly #ingress: IngressPorts;
  readonly #lives: number;
  #keys: readonly EncryptionKey[] = [];
  #agent: Agent | undefined;
  /** The agent that has joined the gossip of the others, or has tried to. */
  #initialized: Agent | undefined;

  /** Starts libnetwork on a host: drivers, chains, forwarding; as dockerd does when it comes up. */
  constructor(options: ControllerOptions) {
    this.os = options.os;
    this.log = options.log;
    this.#lives = (options.restore?.lives ?? 0) + 1;
    this.random = options.os.random.fork(this.#lives === 1 ? "libnetwork" : `libnetwork/${this.#lives}`);
    this.ipam = new Ipam(options.localPools ?? LOCAL_DEFAULT_POOLS);
    this.#ingress = new IngressPorts(options.os.kernel.root, options.log);
    const loadBalancer = options.loadBalancer ?? new IpvsLoadBalancer(this.#ingress, options.log);
    this.services = new ServiceBindings(options.log, loadBalancer);
    this.hostResolvConf = options.resolvConf ?? "";
    this.#networkDb = options.networkDb;
    this.system = options.system ?? LINUX_NETWORKS;
    this.#bridge = new BridgeDriver(this.os, this.random.fork("bridge"), this.log, this.system);
    const drivers: readonly Driver[] = [
      this.#bridge,
      ...(this.system.hasHostNetwork ? [new SpecialDriver("host")] : []),
      new SpecialDriver("null"),
      new OverlayDriver(this.host, this.random.fork("overlay"), this.log, options.encryption),
    ];
    this.#drivers = new Map(drivers.map((d) => [d.type, d]));
    if (options.restore !== undefined) this.#restore(options.restore);
  }

  /** The daemon was started again: what is left of its sandboxes goes, its networks are made from the store. */
  #restore({ networks, namespaces }: DaemonRemains): void {
    for (const ns of namespaces) if (ns.alive) ns.destroy();
    for (const spec of networks) {
      try {
        this.newLocalNetwork(spec);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        this.log("error", `failed to restore network ${spec.name}: ${error.message}`);
      }
    }
  }

  /**
   * The daemon stops: its sockets close, gossip ends at once. Devices, rules and namespaces stay, as on Linux; containers
   * have been stopped before.
   */
  shutdown(): DaemonRemains {
    this.agentCrash();
    for (const sandbox of this.sandboxes()) sandbox.stopResolver();
    this.#ingress.close();
    this.#bridge.stopProxies();
    const namespaces = [...this.namespaceFiles().values()];
    return { networks: this.localNetworks(), namespaces, lives: this.#lives };
  }

  /** What is on disk when the host loses power: of devices, rules and namespaces nothing is left. */
  get onDisk(): DaemonRemains {
    return { networks: this.localNetworks(), namespaces: [], lives: this.#lives };
  }

  /** Networks that the daemon keeps on disk and makes again at its next start; the default ones are made anew. */
  localNetworks(): readonly (NetworkSpec & { readonly id: string })[] {
    return this.networks().flatMap((network) => {
      const { spec } = network;
      if (network.scope !== "local" || network.special || network.isDefaultBridge) return [];
      const ipam = network.subnets.map(({ pool, gateway }, i) => {
        const given = spec.ipam?.[i] ?? {};
        return { ...given, subnet: pool.subnet, gateway: gateway.ip };
      });
      return [{ ...spec, id: network.id, ipam }];
    });
  }

  /** The host's own network namespace. */
  get host(): NetNs {
    return this.os.kernel.root;
  }

  /** The cluster agent while the node is part of a swarm. */
  get agent(): Agent | undefined {
    return this.#agent;
  }

  /**
   * The agent has told the others of itself (AgentInitWait). A network that is joined earlier asks nodes for its entries
   * that have not heard of this one: they don't answer, and the join waits 30 s for them.
   */
  get agentInitialized(): boolean {
    return this.#agent !== undefined && this.#agent === this.#initialized;
  }

  drivers(): readonly Driver[] {
    return [...this.#drivers.values()];
  }

  /** The overlay driver, for inspection and tests. */
  get overlay(): OverlayDriver {
    return this.#drivers.get("overlay") as OverlayDriver;
  }

  /** What the next local subnet must keep clear of: on-link routes and name servers of the host. */
  hostNetworks(): Cidr[] {
    const routes = this.host.route.list("main").flatMap((r) => (r.dst.prefix === 0 ? [] : [r.dst]));
    const servers = parseResolvConf(this.hostResolvConf).nameservers.flatMap((server) => {
      const ip = parseIpv4(server);
      return ip === undefined ? [] : [{ ip, prefix: 32 }];
    });
    return [...routes, ...servers];
  }

  // -------------------------------------------------------------------------------------- networks

  /** Networks of this node in order of creation. */
  networks(): readonly Network[] {
    return [...this.#networks.values()];
  }

  network(id: string): Network | undefined {
    return this.#networks.get(id);
  }

  networkByName(name: string): Network | undefined {
    return this.networks().find((n) => n.name === name);
  }

  /** A network without gossip: `bridge`, `host`, `none`, docker_gwbridge, bridges of users. */
  newLocalNetwork(spec: NetworkSpec): Network {
    const network = this.#createNetwork(spec);
    arrangeUserFilter(this.host.iptables);
    network.setState("ready");
    return network;
  }

  /**
   * Makes a network on this node. An overlay network of a swarm joins the gossip of its tables, which may take as
   * long as the bulk syncs with its other nodes, and then gets its load balancer sandbox, the first local endpoint.
   */
  *newNetwork(spec: NetworkSpec): Proc<Network> {
    const network = this.#createNetwork(spec);
    if (network.clusterEligible) {
      yield* this.#joinCluster(network);
      if (network.state === "deleted") throw new UserError(`network ${network.name} not found`);
    }
    try {
      if (network.scope === "swarm" && this.#agent === undefined)
        throw new UserError("This node is not part of a swarm");
      if (network.hasLoadBalancer) network.createLoadBalancerSandbox();
    } catch (error) {
      this.leaveCluster(network);
      network.driver.deleteNetwork(network.id);
      network.releaseAddresses();
      this.forgetNetwork(network);
      network.setState("deleted");
      throw error;
    }
    arrangeUserFilter(this.host.iptables);
    network.setState("ready");
    return network;
  }

  /** The network of the spec's ID: the one there is, once it is ready, or a new one. */
  *ensureNetwork(spec: NetworkSpec & { readonly id: string }): Proc<Network> {
    for (;;) {
      const network = this.#networks.get(spec.id);
      if (network === undefined) return yield* this.newNetwork(spec);
      if (network.state === "ready") return network;
      yield { on: [network.changed] };
    }
  }

  #createNetwork(spec: NetworkSpec): Network {
    if (spec.name.trim() === "") throw new UserError(`invalid name: "${spec.name}"`);
    if (spec.id !== undefined && this.#networks.has(spec.id))
      throw new UserError(`network with id ${spec.id} already exists`);
    const driver = this.#drivers.get(spec.driver);
    if (driver === undefined) throw new UserError(`plugin "${spec.driver}" not found`);
    const network = new Network(this, driver, spec);
    network.allocateAddresses();
    try {
      driver.createNetwork({
        id: network.id,
        name: network.name,
        internal: network.internal,
        options: spec.options ?? {},
        subnets: network.subnets.map(({ pool, gateway }) => ({ pool: pool.subnet, gateway })),
      });
    } catch (error) {
      network.releaseAddresses();
      throw error;
    }
    this.#networks.set(network.id, network);
    return network;
  }

  *#joinCluster(network: Network): Proc {
    if (this.#agent !== undefined) yield* this.#agent.joinNetwork(network);
  }

  /** Called when a network is deleted. */
  leaveCluster(network: Network): void {
    this.#agent?.leaveNetwork(network);
  }

  /** Called when a network is deleted. */
  forgetNetwork(network: Network): void {
    this.#networks.delete(network.id);
  }

  // ------------------------------------------------------------------------------------- sandboxes

  newSandbox(options: SandboxOptions): Sandbox {
    if (options.kind === "ingress" && this.sandboxes().some((s) => s.kind === "ingress")) {
      throw new UserError("ingress sandbox already present");
    }
    const sandbox = new Sandbox(this, options);
    this.#sandboxes.set(sandbox.id, sandbox);
    return sandbox;
  }

  sandboxes(): readonly Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  /** The namespaces that there are, by the names of their files in /run/docker/netns. */
  namespaceFiles(): ReadonlyMap<string, NetNs> {
    const files = new Map<string, NetNs>();
    for (const sandbox of this.sandboxes()) {
      if (sandbox.ns !== undefined && sandbox.kind !== "host") files.set(sandbox.dockerNetnsName, sandbox.ns);
    }
    for (const network of this.networks()) {
      const overlay = this.overlay.network(network.id);
      if (overlay?.sandbox !== undefined) files.set(overlay.dockerNetnsName, overlay.sandbox.ns);
    }
    return files;
  }

  sandboxOf(containerId: string): Sandbox | undefined {
    return this.sandboxes().find((s) => s.containerId === containerId);
  }

  /** Called by Sandbox.delete. */
  forgetSandbox(sandbox: Sandbox): void {
    this.#sandboxes.delete(sandbox.id);
  }

  // ------------------------------------------------------------------------------------ the cluster

  /** Keys of the manager: the first set is kept for agentStart, later ones rotate what runs. Throws on a wrong count. */
  setKeys(keys: readonly EncryptionKey[]): void {
    checkKeyring(keys);
    if (this.#agent === undefined) {
      this.#keys = keys;
      return;
    }
    const change = changeKeys(this.#keys, keys);
    this.#keys = change.keys;
    this.#agent.updateKeys(change);
  }

  /** Starts gossip: the node has become part of a swarm and has its keys. No effect when it runs. */
  *agentStart(config: AgentConfig): Proc {
    if (this.#agent !== undefined) return;
    this.#keys = [...this.#keys].sort((a, b) => a.lamportTime - b.lamportTime);
    const agent = new Agent(this, config, this.#networkDb, this.#keys);
    this.#agent = agent;
    if (config.remoteAddresses.length > 0) yield* agent.db.join(config.remoteAddresses);
    this.#initialized = agent;
    for (const network of this.networks()) if (network.clusterEligible) yield* agent.joinNetwork(network);
  }

  /** Leaves the cluster in order. Its networks should have been deleted before. */
  *agentStop(): Proc {
    const agent = this.#agent;
    if (agent === undefined) return;
    for (const network of this.networks()) if (network.clusterEligible) agent.leaveNetwork(network);
    agent.stopWatching();
    this.#forgetCluster();
    this.#agent = undefined;
    this.#keys = [];
    yield* agent.db.leave();
  }

  /** Names and backends of other nodes are of no use any more, while the networks are still there (clusterAgentInit). */
  #forgetCluster(): void {
    for (const network of this.networks()) {
      if (!network.clusterEligible) continue;
      network.records.clear();
      this.services.cleanup(network);
    }
  }

  /** The machine crashes: nothing is sent. */
  agentCrash(): void {
    const agent = this.#agent;
    this.#agent = undefined;
    agent?.stopWatching();
    agent?.db.close();
  }
}
