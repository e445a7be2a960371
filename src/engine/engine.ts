/**
 * One Docker Engine: its API over containers, libnetwork and the swarm (moby daemon, daemon/cluster,
 * api/server/router; 20.10).
 */
import type { Ipv4 } from "../base/addr.ts";
import { newHexId } from "../base/ids.ts";
import { type DaemonRemains, NetworkController } from "../libnetwork/controller.ts";
import type { DaemonLog } from "../libnetwork/log.ts";
import { createNetworkDb } from "../libnetwork/networkdb/networkdb.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Channel, join, type Proc } from "../scheduler/process.ts";
import type { ApiNodeSpec, ApiSwarmSpec } from "../swarm/api/convert.ts";
import type { SwarmNode } from "../swarm/node.ts";
import * as api from "./api.ts";
import { clusterEvent } from "./cluster-events.ts";
import type { Container } from "./container.ts";
import { parseReference } from "./container-config.ts";
import { ContainerNetworks } from "./container-networks.ts";
import { Containers } from "./containers.ts";
import { inDaemon } from "./daemon-request.ts";
import { type EventOptions, Events } from "./events.ts";
import { checkFilters, matchesFilters } from "./filters.ts";
import type { ResolverFiles } from "./host-resolver.ts";
import { checkSignal } from "./lifecycle.ts";
import { type LogOptions, readLogs } from "./logs.ts";
import { NetworkConnector } from "./network-connect.ts";
import { NetworkRequests } from "./network-requests.ts";
import { type EnginePlatform, linuxPlatform } from "./platform.ts";
import type { ImageStore } from "./program.ts";
import { refusable } from "./refusals.ts";
import type { OutputChunk } from "./stdio.ts";
import { SwarmMembership, type SwarmRemains } from "./swarm-membership.ts";
import { ServiceRequests } from "./swarm-services.ts";
import { execView, imageView, infoView, topView, versionView } from "./system-views.ts";
import { withoutDigest } from "./task-container.ts";
import { containerDetails, containerSummary } from "./views.ts";

const { ApiError } = api;

/** What an engine is made with. */
export interface EngineOptions {
  readonly os: HostOs;
  readonly images: ImageStore;
  /** Text of the host's /etc/resolv.conf. */
  readonly resolvConf: string;
  /** Text of the host's /etc/hosts. */
  readonly hostsFile?: string;
  /** What the host's names are found in now; default: the two files above. */
  readonly names?: () => ResolverFiles;
  /** The daemon's log; nothing is kept by default. */
  readonly log?: DaemonLog;
  /** Told of each address that a container gets. */
  readonly onAddress?: (ip: Ipv4, container: string) => void;
  /** The host's operating system; Linux when left out. */
  readonly platform?: EnginePlatform;
  /** What an earlier life of the daemon left. */
  readonly restore?: EngineRemains;
}

/** What a daemon that was stopped, or lost its host, has on disk. */
export interface EngineRemains {
  /** The host lost power: nobody stopped the containers. */
  readonly crashed: boolean;
  readonly id: string;
  readonly lives: number;
  readonly containers: readonly Container[];
  readonly networks: DaemonRemains;
  readonly swarm: SwarmRemains | undefined;
}

/** The Engine of one host. */
export class Engine implements api.EngineApi {
  readonly #os: HostOs;
  readonly #images: ImageStore;
  readonly #platform: EnginePlatform;
  readonly #id: string;
  /** How often the daemon has been started. */
  readonly #lives: number;
  #remains: EngineRemains | undefined;
  /** Set while the daemon stops: its node's state as it left it. */
  #suspended: { readonly swarm: SwarmRemains | undefined } | undefined;
  readonly #events: Events;
  readonly controller: NetworkController;
  readonly containers: Containers;
  readonly #membership: SwarmMembership;
  readonly #connector: NetworkConnector;
  readonly #networkRequests: NetworkRequests;
  readonly #services: ServiceRequests;

  /** Starts the daemon: libnetwork and the default networks. */
  constructor(options: EngineOptions) {
    const { os, images, log = () => {}, platform = linuxPlatform } = options;
    this.#os = os;
    this.#images = images;
    this.#platform = platform;
    const { restore } = options;
    this.#lives = (restore?.lives ?? 0) + 1;
    this.#events = new Events(os);
    this.#remains = restore;
    this.#id = restore?.id ?? newHexId(os.random.fork("engine"));
    this.controller = new NetworkController({
      os,
      log,
      networkDb: (config) => createNetworkDb({ ...config, log }),
      resolvConf: options.resolvConf,
      encryption: platform.overlayEncryption(os.kernel.root, log),
      system: platform.networks,
      ...(restore === undefined ? {} : { restore: restore.networks }),
    });
    platform.createDefaultNetworks(this.controller);
    this.#membership = new SwarmMembership(
      os,
      this.controller,
      (id) => this.#disconnectAll(id),
      platform,
      () => this.containers,
      options.names ?? (() => ({ hosts: options.hostsFile ?? "", resolvConf: options.resolvConf })),
      (change) => {
        const event = clusterEvent(change);
        if (event !== undefined) this.#events.cluster(event);
      },
    );
    const networks = new ContainerNetworks(
      this.controller,
      this.#membership.attachmentProvider(),
      { get: (reference) => this.containers.get(reference), list: () => this.containers.list() },
      options.onAddress,
      this.#events,
    );
    this.#connector = new NetworkConnector(networks);
    this.#networkRequests = new NetworkRequests(this.controller, this.swarm, platform, this.#events);
    this.#services = new ServiceRequests(os, this.swarm, this.controller, platform);
    this.containers = new Containers({
      os,
      images,
      networking: networks,
      log,
      hostsFile: options.hostsFile ?? "",
      lives: this.#lives,
      events: this.#events,
    });
  }

  /** Goes on where an earlier life ended: the swarm first, then the containers that are to be restarted. */
  resume(): void {
    const remains = this.#remains;
    this.#remains = undefined;
    if (remains === undefined) return;
    if (remains.swarm !== undefined) this.#membership.resume(remains.swarm);
    const again = remains.crashed
      ? this.containers.restoreAfterCrash(remains.containers)
      : this.containers.restore(remains.containers);
    this.#os.spawn("restart containers", this.#restartContainers(again));
  }

  *#restartContainers(containers: readonly Container[]): Proc<void> {
    yield* this.#membership.settled();
    for (const container of containers) {
      this.#os.spawn(`restart ${container.name}`, this.containers.lifecycle.restartAtBoot(container));
    }
  }

  /** The daemon stops (cluster Cleanup, then daemon Shutdown): the swarm's agent, containers, gossip. The engine is not used afterwards. */
  *shutdown(): Proc<EngineRemains> {
    const swarm = this.#membership.suspend();
    this.#suspended = { swarm };
    const stopping = this.containers
      .list()
      .filter(({ running }) => running)
      .map((one) => this.#os.spawn(`shutdown ${one.name}`, this.containers.lifecycle.shutdown(one)));
    for (const process of stopping) yield* join(process);
    yield* this.#membership.leaveCluster();
    const networks = this.controller.shutdown();
    return { crashed: false, id: this.#id, lives: this.#lives, containers: this.containers.list(), networks, swarm };
  }

  /** What is on disk at this moment, if the host loses power. */
  get onDisk(): EngineRemains {
    const swarm = this.#suspended === undefined ? this.#membership.remains : this.#suspended.swarm;
    const networks = this.controller.onDisk;
    return { crashed: true, id: this.#id, lives: this.#lives, containers: this.containers.list(), networks, swarm };
  }

  /** The node's part in its swarm. */
  get swarm(): SwarmNode {
    return this.#membership.node;
  }

  /** A request that changes something: it runs to its end even if its client doesn't wait for it. */
  *#serve<T>(name: string, request: Proc<T>): Proc<T> {
    return yield* inDaemon(this.#os, name, refusable(request));
  }

  // --------------------------------------------------------------------------------------------- system

  ping(): { readonly swarm: string } {
    const state = this.swarm.localNodeState;
    return { swarm: state === "active" ? `active/${this.swarm.isManager ? "manager" : "worker"}` : state };
  }

  version(): api.JsonObject {
    return { ...versionView(), ...this.#platform.version };
  }

  *info(): Proc<api.JsonObject> {
    const swarm = (yield* this.swarm.info()) as unknown as api.JsonObject;
    const view = infoView({
      id: this.#id,
      os: this.#os,
      containers: this.containers.list(),
      images: this.#images.list(),
      swarm,
    });
    return { ...view, ...this.#platform.info };
  }

  events(options: EventOptions): Channel<api.EngineEventView> {
    return this.#events.subscribe(options);
  }

  /** There is no registry: an image that is not here is either made for another system, or unknown. */
  // biome-ignore lint/correctness/useYield: the API's shape
  *imagePull(reference: string, progress: (line: string) => void): Proc<void> {
    const { repository, tag } = parseReference(reference);
    if (this.#images.isForeign?.(reference) !== true) throw new ApiError(404, `No such image: ${reference}`);
    progress(`${tag}: Pulling from ${repository}`);
    throw new api.StreamError(`no matching manifest for ${this.#platform.manifest} in the manifest list entries`);
  }

  /** Every image that hosts have is one that a registry has, too. */
  // biome-ignore lint/correctness/useYield: the API's shape
  *distributionInspect(reference: string): Proc<api.JsonObject> {
    const image = this.#images.find(withoutDigest(reference));
    if (image === undefined) throw new ApiError(404, `manifest unknown: ${reference}`);
    const mediaType = "application/vnd.docker.distribution.manifest.v2+json";
    return {
      Descriptor: { mediaType, digest: image.id, size: 1152 },
      Platforms: [{ architecture: "amd64", os: this.#platform.os }],
    };
  }

  imageList(): readonly api.JsonObject[] {
    return this.#images.list().map(imageView);
  }

  // ---------------------------------------------------------------------------------------------- swarm

  *swarmInit(request: api.SwarmInitRequest): Proc<string> {
    return yield* this.#serve("swarm init", this.#membership.init(request));
  }

  *swarmJoin(request: api.SwarmJoinRequest): Proc<void> {
    yield* this.#serve("swarm join", this.#membership.join(request));
  }

  *swarmLeave(force: boolean): Proc<void> {
    yield* this.#serve("swarm leave", this.#membership.leave(force));
  }

  /** The node leaves the swarm: its containers lose the swarm's network, and run on. */
  *#disconnectAll(networkId: string): Proc<void> {
    for (const container of this.containers.list()) {
      const on = [...container.networks.values()].some(
        (attachment) => attachment.networkId === networkId && attachment.endpointId !== undefined,
      );
      if (on) yield* this.#connector.disconnect(container, networkId);
    }
  }

  *swarmInspect(): Proc<api.JsonObject> {
    return (yield* refusable(this.swarm.control.inspect())) as unknown as api.JsonObject;
  }

  *swarmUpdate(
    version: number,
    flags: { rotateWorkerToken?: boolean; rotateManagerToken?: boolean },
    spec: api.JsonObject,
  ): Proc<void> {
    const encryption = spec["EncryptionConfig"] as { readonly AutoLockManagers?: boolean } | undefined;
    if (encryption?.AutoLockManagers === true) throw new ApiError(501, "autolock is not emulated");
    const rotate = { worker: flags.rotateWorkerToken ?? false, manager: flags.rotateManagerToken ?? false };
    const update = this.swarm.control.update(version, spec as unknown as ApiSwarmSpec, rotate);
    yield* this.#serve("swarm update", update);
  }

  *nodeList(filters: api.Filters = {}): Proc<readonly api.JsonObject[]> {
    checkFilters("node", filters);
    const nodes = (yield* refusable(this.swarm.control.listNodes())) as unknown as api.JsonObject[];
    return nodes.filter((node) => matchesFilters("node", node, filters));
  }

  *nodeInspect(id: string): Proc<api.JsonObject> {
    return (yield* refusable(this.swarm.control.getNode(id))) as unknown as api.JsonObject;
  }

  *nodeUpdate(id: string, version: number, spec: api.JsonObject): Proc<void> {
    yield* this.#serve("node update", this.swarm.control.updateNode(id, version, spec as unknown as ApiNodeSpec));
  }

  *nodeRemove(id: string, force: boolean): Proc<void> {
    yield* this.#serve("node rm", this.swarm.control.removeNode(id, force));
  }

  // ------------------------------------------------------------------------------------ services and tasks

  *serviceCreate(spec: api.JsonObject): Proc<{ readonly ID: string }> {
    return yield* this.#serve("service create", this.#services.create(spec));
  }

  *serviceList(options: { filters?: api.Filters; status?: boolean } = {}): Proc<readonly api.JsonObject[]> {
    return yield* refusable(this.#services.list(options));
  }

  *serviceInspect(id: string, options: { insertDefaults?: boolean } = {}): Proc<api.JsonObject> {
    return yield* refusable(this.#services.inspect(id, options.insertDefaults ?? false));
  }

  *serviceUpdate(
    id: string,
    version: number,
    spec: api.JsonObject,
    options: { rollback?: "previous" } = {},
  ): Proc<{ readonly Warnings: readonly string[] | null }> {
    return yield* this.#serve("service update", this.#services.update(id, version, spec, options.rollback));
  }

  *serviceRemove(id: string): Proc<void> {
    yield* this.#serve("service rm", this.#services.remove(id));
  }

  serviceLogs(
    kind: "service" | "task",
    id: string,
    options: Parameters<ServiceRequests["logs"]>[2],
  ): Channel<api.ServiceLogChunk> {
    return this.#services.logs(kind, id, options);
  }

  *taskList(filters: api.Filters = {}): Proc<readonly api.JsonObject[]> {
    return yield* refusable(this.#services.tasks(filters));
  }

  *taskInspect(id: string): Proc<api.JsonObject> {
    return yield* refusable(this.#services.task(id));
  }

  // ------------------------------------------------------------------------------------------- networks

  *networkList(filters: api.Filters = {}): Proc<readonly api.JsonObject[]> {
    return yield* this.#networkRequests.list(filters);
  }

  *networkInspect(id: string, options: { verbose?: boolean; scope?: string } = {}): Proc<api.JsonObject> {
    return yield* this.#networkRequests.inspect(id, options);
  }

  *networkCreate(request: api.NetworkCreateRequest): Proc<{ Id: string; Warning: string }> {
    return yield* this.#serve("network create", this.#networkRequests.create(request));
  }

  *networkRemove(id: string): Proc<void> {
    yield* this.#serve("network rm", this.#networkRequests.remove(id));
  }

  *networkPrune(filters: api.Filters = {}): Proc<{ NetworksDeleted: readonly string[] }> {
    return yield* this.#serve("network prune", this.#networkRequests.prune(filters));
  }

  *networkConnect(id: string, request: { Container: string; EndpointConfig?: api.EndpointSettings }): Proc<void> {
    const container = this.containers.get(request.Container);
    yield* this.#serve("network connect", this.#connector.connect(container, id, request.EndpointConfig ?? {}));
  }

  *networkDisconnect(id: string, request: { Container: string; Force?: boolean }): Proc<void> {
    const container = request.Force ? this.containers.find(request.Container) : this.containers.get(request.Container);
    if (container === undefined) this.#connector.forceDelete(request.Container, id);
    else yield* this.#serve("network disconnect", this.#connector.disconnect(container, id));
  }

  // ----------------------------------------------------------------------------------------- containers

  // biome-ignore lint/correctness/useYield: the API's shape
  *containerCreate(
    name: string | undefined,
    request: api.ContainerCreateRequest,
  ): Proc<{ Id: string; Warnings: readonly string[] }> {
    const { container, warnings } = this.containers.create(name, this.#platform.containerRequest(request));
    return { Id: container.id, Warnings: warnings };
  }

  *containerStart(id: string): Proc<void> {
    const container = this.containers.get(id);
    yield* this.#serve(`start ${container.name}`, this.containers.lifecycle.start(container));
  }

  *containerStop(id: string, timeoutSec?: number): Proc<boolean> {
    const container = this.containers.get(id);
    return yield* this.#serve(`stop ${container.name}`, this.containers.lifecycle.stop(container, timeoutSec));
  }

  *containerRestart(id: string, timeoutSec?: number): Proc<void> {
    const container = this.containers.get(id);
    try {
      yield* this.#serve(`restart ${container.name}`, this.containers.lifecycle.restart(container, timeoutSec));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new ApiError(error.status, `Cannot restart container ${id}: ${error.message}`);
    }
  }

  *containerKill(id: string, signal = "SIGKILL"): Proc<void> {
    checkSignal(signal);
    const container = this.containers.find(id);
    if (container === undefined) throw new ApiError(404, `Cannot kill container: ${id}: No such container: ${id}`);
    yield* this.#serve(`kill ${container.name}`, this.containers.lifecycle.kill(container, id, signal));
  }

  *containerRename(id: string, name: string): Proc<void> {
    yield* this.#serve(`rename ${id}`, this.containers.rename(id, name));
  }

  *containerWait(
    id: string,
    condition: "not-running" | "next-exit" | "removed" = "not-running",
  ): Proc<{ StatusCode: number }> {
    return { StatusCode: yield* this.containers.lifecycle.wait(this.containers.get(id), condition) };
  }

  *containerRemove(id: string, options: { force?: boolean } = {}): Proc<void> {
    const container = this.containers.get(id);
    yield* this.#serve(`rm ${container.name}`, this.containers.remove(container, id, options.force ?? false));
  }

  *containerList(
    options: { all?: boolean; limit?: number; filters?: api.Filters } = {},
  ): Proc<readonly api.JsonObject[]> {
    const { filters = {} } = options;
    checkFilters("container", filters);
    const all =
      options.all === true ||
      (options.limit ?? 0) > 0 ||
      filters["status"] !== undefined ||
      filters["exited"] !== undefined;
    const now = this.#os.now();
    const newestFirst = [...this.containers.list()].reverse();
    const shown = newestFirst
      .filter((container) => all || container.running)
      .map((container) => containerSummary(container, this.controller, now))
      .filter((summary) => matchesFilters("container", summary, filters));
    return options.limit === undefined || options.limit <= 0 ? shown : shown.slice(0, options.limit);
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *containerInspect(id: string): Proc<api.JsonObject> {
    const container = this.containers.get(id);
    return { ...containerDetails(container, this.controller), ...this.#platform.containerView(container.id) };
  }

  containerLogs(id: string, options: LogOptions): Channel<OutputChunk> {
    return readLogs(this.#os, this.containers.get(id), options);
  }

  /** One that doesn't run yet is attached to before it starts. */
  containerAttach(id: string): api.AttachStream {
    const { streams, request } = this.containers.get(id);
    return streams.attach(request.StdinOnce ?? false);
  }

  containerTop(id: string): api.JsonObject {
    const container = this.containers.get(id);
    if (!container.running) throw new ApiError(409, `Container ${container.id} is not running`);
    if (container.restarting)
      throw new ApiError(409, `Container ${container.id} is restarting, wait until the container is running`);
    return topView(container);
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *execCreate(container: string, request: api.ExecCreateRequest): Proc<{ Id: string }> {
    return { Id: this.containers.execs.create(this.containers.get(container), request).id };
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *execStart(id: string, detach: boolean): Proc<api.AttachStream | undefined> {
    return this.containers.execs.start(id, detach);
  }

  execInspect(id: string): api.JsonObject {
    const { exec, container } = this.containers.execs.get(id);
    return execView(exec, container);
  }
}
