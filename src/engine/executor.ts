/**
 * The Engine as the swarm's agent sees it: tasks become containers and attachments, node objects become local
 * networks (moby daemon/cluster/executor/container/executor.go, adapter.go; daemon/network.go; 20.10).
 */
import { type Cidr, parseCidr, parseIpv4 } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import { MS, SEC } from "../base/time.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import { ActiveEndpointsError, type NetworkSpec } from "../libnetwork/network.ts";
import type { HostOs } from "../scheduler/os.ts";
import { join, type Proc, sleep } from "../scheduler/process.ts";
import type {
  EncryptionKey,
  NetworkAttachment,
  NetworkObject,
  NodeDescription,
  NodeObject,
  TaskObject,
} from "../swarm/api/objects.ts";
import { AttachmentController, type Attachments } from "../swarm/attachments.ts";
import type { Executor, TaskController } from "../swarm/executor.ts";
import { ContainerController, type TaskBackend } from "./container-controller.ts";
import type { Containers } from "./containers.ts";
import { DaemonRequest } from "./daemon-request.ts";
import { type EnginePlatform, linuxPlatform } from "./platform.ts";
import { publishedPorts } from "./ports.ts";
import { isDefect } from "./refusals.ts";
import { ENGINE_VERSION } from "./version.ts";

/** How long a task waits for its node's load balancer address, and how often it looks (adapter.go waitNodeAttachments). */
const LB_WAIT = 30 * SEC;
const LB_POLL = 100 * MS;
/** What a daemon takes to make a network, one at a time, before it joins the network's gossip: netlink, iptables. */
const CREATION_TIME = 10 * MS;

/** What the swarm's agent asks of the engine. */
export class EngineExecutor implements Executor {
  readonly #os: HostOs;
  readonly #controller: NetworkController;
  readonly #attachments: () => Attachments;
  readonly #keysArrived: () => void;
  readonly #platform: EnginePlatform;
  /** This node's load balancer address on each network: network ID → CIDR (daemon AttachmentStore). */
  #lbAddresses = new Map<string, string>();
  /** Networks that are being made, by ID: that goes on when the task that wanted it has ended. */
  readonly #creating = new Map<string, DaemonRequest<void>>();
  /** When the daemon has made the networks that it was asked for so far. */
  #creationsEnd = 0;
  #ingress: { readonly id: string; readonly address: string } | undefined;
  #dataPathPort = 0;
  readonly #containers: () => Containers;

  /**
   * @param keysArrived the network agent may start now, if it doesn't run
   * @param containers the engine's containers, for tasks of services
   */
  constructor(
    os: HostOs,
    controller: NetworkController,
    attachments: () => Attachments,
    keysArrived: () => void,
    platform: EnginePlatform = linuxPlatform,
    containers: () => Containers = noContainers,
  ) {
    this.#os = os;
    this.#containers = containers;
    this.#platform = platform;
    this.#controller = controller;
    this.#attachments = attachments;
    this.#keysArrived = keysArrived;
  }

  describe(): NodeDescription {
    const { os, logPlugins, networkPlugins } = this.#platform;
    const plugins = [
      ...logPlugins.map((name) => ({ type: "Log", name })),
      ...networkPlugins.map((name) => ({ type: "Network", name })),
      { type: "Volume", name: "local" },
    ];
    return {
      hostname: this.#os.hostName,
      platform: { architecture: "x86_64", os },
      resources: { nanoCpus: 2e9, memoryBytes: 4 * 2 ** 30 },
      engine: { engineVersion: ENGINE_VERSION, labels: {}, plugins },
    };
  }

  /** UDP port of the data path, as the node's object says (overlayutils.ConfigVXLANUDPPort); 0 = the default. */
  get dataPathPort(): number {
    return this.#dataPathPort;
  }

  /** Local copies of networks follow the node's attachments; the ingress network is set up as soon as it has an address. */
  *configure(node: NodeObject): Proc<void> {
    this.#dataPathPort = node.vxlanUdpPort;
    const wanted = new Map<string, string>();
    let ingress: NetworkAttachment | undefined;
    for (const attachment of node.attachments) {
      const address = attachment.addresses[0];
      if (address === undefined) continue;
      wanted.set(attachment.network.id, address);
      if (attachment.network.spec.ingress) ingress = attachment;
    }
    const gone = [...this.#lbAddresses].filter(
      ([id, address]) => wanted.get(id) !== address && id !== this.#ingress?.id,
    );
    this.#lbAddresses = wanted;
    for (const [id] of gone) this.#deleteLocal(id);
    if (ingress === undefined) this.releaseIngress();
    else yield* this.#setupIngress(ingress);
  }

  *#setupIngress(attachment: NetworkAttachment): Proc<void> {
    const { network, addresses } = attachment;
    const address = addresses[0] as string;
    if (this.#ingress?.id === network.id && this.#ingress.address === address) return;
    this.releaseIngress();
    this.#ingress = { id: network.id, address };
    this.#os.spawn("setup ingress", this.#createIngress(network, address));
    yield* sleep(this.#os, 0);
  }

  /** The ingress worker waits for the network agent before it makes the network (daemon/network.go setupIngress). */
  *#createIngress(network: NetworkObject, address: string): Proc<void> {
    while (!this.#controller.agentInitialized) {
      if (this.#ingress?.id !== network.id) return;
      yield* sleep(this.#os, LB_POLL);
    }
    if (this.#ingress?.id !== network.id) return;
    try {
      yield* this.#turn();
      yield* this.#controller.ensureNetwork(networkSpecOf(network, address));
    } catch (error) {
      if (isDefect(error)) throw error;
      this.#controller.log("error", `failed to set up the ingress network: ${(error as Error).message}`);
    }
  }

  /** Removes the local ingress network (daemon/network.go releaseIngress). */
  releaseIngress(): void {
    const id = this.#ingress?.id;
    this.#ingress = undefined;
    if (id === undefined) return;
    try {
      this.#controller.network(id)?.delete({ removeLoadBalancer: true });
    } catch (error) {
      if (!(error instanceof ActiveEndpointsError)) throw error;
      this.#controller.log("error", `Failed to delete ingress network ${id}: ${error.message}`);
    }
  }

  /** The node left the swarm: all is forgotten. */
  reset(): void {
    this.#lbAddresses.clear();
    this.releaseIngress();
  }

  *setNetworkBootstrapKeys(keys: readonly EncryptionKey[]): Proc<void> {
    this.#controller.setKeys(
      keys.map(({ subsystem, key, lamportTime }) => ({
        subsystem,
        lamportTime,
        key: Uint8Array.from((key.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16))),
      })),
    );
    this.#keysArrived();
  }

  controller(task: TaskObject): TaskController {
    if (task.spec.runtime === "container") return new ContainerController(task, this.#taskBackend());
    return new AttachmentController(task, this.#attachments(), {
      createNetwork: (attachment) => this.#createLocal(attachment.network),
      removeNetwork: (id) => this.#removeLocal(id),
    });
  }

  #taskBackend(): TaskBackend {
    return {
      os: this.#os,
      containers: this.#containers(),
      describe: () => this.describe(),
      containerRequest: (request) => this.#platform.containerRequest(request),
      waitAttachments: (task) => this.#waitAttachments(task),
      createNetwork: ({ network }) => this.#createLocal(network),
      removeNetwork: (id) => this.#removeLocal(id),
      publishedPorts,
      log: (level, text) => this.#controller.log(level, text),
    };
  }

  /** adapter.go waitNodeAttachments. */
  *#waitAttachments(task: TaskObject): Proc<void> {
    const overlays = task.networks.filter(({ network }) => network.driverState?.name === "overlay");
    const deadline = this.#os.now() + LB_WAIT;
    while (!overlays.every(({ network }) => this.#lbAddresses.has(network.id))) {
      if (this.#os.now() >= deadline)
        throw new UserError("node is missing network attachments, ip addresses may be exhausted");
      yield* sleep(this.#os, LB_POLL);
    }
  }

  /** createManagedNetwork: the local copy of a swarm network, with this node's load balancer. */
  *#createLocal(network: NetworkObject): Proc<void> {
    if (this.#controller.network(network.id)?.state === "ready") return;
    // The node's address usually comes with or just behind the task; swarmkit's attacher doesn't wait and fails
    // on a slow link, a container's does. Waiting is what users want of both.
    const deadline = this.#os.now() + LB_WAIT;
    while (!this.#lbAddresses.has(network.id) || !this.#controller.agentInitialized) {
      if (this.#os.now() >= deadline)
        throw new UserError(`failed to find a load balancer IP to use for network: ${network.id}`);
      yield* sleep(this.#os, LB_POLL);
    }
    const spec = networkSpecOf(network, this.#lbAddresses.get(network.id) as string);
    const running = this.#creating.get(spec.id);
    const creation =
      running !== undefined && !running.process.done
        ? running
        : new DaemonRequest(this.#os, `create network ${spec.name}`, this.#ensure(spec));
    this.#creating.set(spec.id, creation);
    yield* creation.result();
  }

  /**
   * Several networks are not joined at one instant. NetworkDB waits for one answer of a node at a time: of two syncs
   * with a node at once, one runs into its timeout of 30 s.
   */
  *#turn(): Proc<void> {
    const now = this.#os.now();
    const start = Math.max(now, this.#creationsEnd);
    this.#creationsEnd = start + CREATION_TIME;
    yield* sleep(this.#os, start - now);
  }

  *#ensure(spec: NetworkSpec & { readonly id: string }): Proc<void> {
    try {
      yield* this.#turn();
      yield* this.#controller.ensureNetwork(spec);
    } finally {
      this.#creating.delete(spec.id);
    }
  }

  /** A network that is still being made is removed afterwards, unless somebody else has come to use it. */
  *#removeLocal(id: string): Proc<void> {
    const creation = this.#creating.get(id);
    if (creation !== undefined) yield* join(creation.process);
    this.#deleteLocal(id);
  }

  /** DeleteManagedNetwork: stays while something else is on it. */
  #deleteLocal(id: string): void {
    const network = this.#controller.network(id);
    if (network === undefined || network.state !== "ready") return;
    try {
      network.delete();
    } catch (error) {
      if (!(error instanceof ActiveEndpointsError)) throw error;
      this.#controller.log("debug", error.message);
    }
  }
}

function noContainers(): never {
  throw new UserError("this executor runs no containers");
}

/** A network of the swarm as libnetwork makes it here (adapter.go, convert.go). */
export function networkSpecOf(network: NetworkObject, lbAddress: string): NetworkSpec & { readonly id: string } {
  const lb = parseCidr(lbAddress);
  if (lb === undefined) throw new UserError(`invalid load balancer address ${lbAddress}`);
  return {
    id: network.id,
    name: network.spec.annotations.name,
    driver: "overlay",
    scope: "swarm",
    ipam: (network.ipam?.configs ?? []).map(({ subnet, range, gateway }) => ({
      subnet: parseCidr(subnet) as Cidr,
      ...(range === "" ? {} : { range: parseCidr(range) as Cidr }),
      ...(gateway === "" ? {} : { gateway: parseIpv4(gateway) as number }),
    })),
    options: network.driverState?.options ?? {},
    labels: network.spec.annotations.labels,
    internal: network.spec.internal,
    attachable: network.spec.attachable,
    ingress: network.spec.ingress,
    loadBalancerIp: lb.ip,
  };
}
