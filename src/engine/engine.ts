/**
 * One Docker Engine: its API over containers, libnetwork and the swarm (moby daemon, daemon/cluster,
 * api/server/router; 20.10).
 */
import { type Ipv4, parseCidr } from "../base/addr.ts";
import { newHexId } from "../base/ids.ts";
import { formatRfc3339 } from "../base/wall-clock.ts";
import { NetworkController } from "../libnetwork/controller.ts";
import { createDefaultNetworks } from "../libnetwork/default-networks.ts";
import type { DaemonLog } from "../libnetwork/log.ts";
import { createNetworkDb } from "../libnetwork/networkdb/networkdb.ts";
import type { HostOs } from "../scheduler/os.ts";
import { Channel, join, type Proc, type Process } from "../scheduler/process.ts";
import type { ApiNodeSpec, ApiSwarmSpec } from "../swarm/api/convert.ts";
import type { Availability } from "../swarm/api/objects.ts";
import { SwarmNode } from "../swarm/node.ts";
import * as api from "./api.ts";
import { ContainerNetworks } from "./container-networks.ts";
import { Containers } from "./containers.ts";
import { EngineExecutor } from "./executor.ts";
import { matchesFilters } from "./filters.ts";
import { NetworkRequests } from "./network-requests.ts";
import type { ImageStore } from "./program.ts";
import { refusable } from "./refusals.ts";
import { imageView, infoView, versionView } from "./system-views.ts";
import { containerDetails, containerSummary } from "./views.ts";

const { ApiError } = api;

export interface EngineOptions {
  readonly os: HostOs;
  readonly images: ImageStore;
  /** Text of the host's /etc/resolv.conf. */
  readonly resolvConf: string;
  /** The daemon's log; nothing is kept by default. */
  readonly log?: DaemonLog;
  /** Told of each address that a container gets. */
  readonly onAddress?: (ip: Ipv4, container: string) => void;
}

export class Engine implements api.EngineApi {
  readonly #os: HostOs;
  readonly #images: ImageStore;
  readonly #log: DaemonLog;
  readonly #id: string;
  readonly controller: NetworkController;
  readonly containers: Containers;
  readonly swarm: SwarmNode;
  readonly #networks: ContainerNetworks;
  readonly #networkRequests: NetworkRequests;
  readonly #executor: EngineExecutor;
  #agentStarting: Process<unknown> | undefined;

  constructor(options: EngineOptions) {
    const { os } = options;
    this.#os = os;
    this.#images = options.images;
    this.#log = options.log ?? (() => {});
    this.#id = newHexId(os.random.fork("engine"));
    this.controller = new NetworkController({
      os,
      log: this.#log,
      networkDb: createNetworkDb,
      resolvConf: options.resolvConf,
    });
    createDefaultNetworks(this.controller);
    this.#executor = new EngineExecutor(
      os,
      this.controller,
      () => this.swarm.attachments,
      () => this.#startAgent(),
    );
    this.swarm = new SwarmNode({ os, executor: this.#executor });
    const provider = {
      swarm: this.swarm,
      get active(): boolean {
        return this.swarm.isAgent;
      },
      *attachNetwork(
        target: string,
        containerId: string,
        addresses: readonly string[],
      ): Proc<{ networkId: string; address: Ipv4 | undefined }> {
        const result = yield* this.swarm.attachNetwork(target, containerId, addresses);
        return { networkId: result.networkId, address: parseCidr(result.addresses[0] ?? "")?.ip };
      },
      *detachNetwork(target: string, containerId: string): Proc<void> {
        yield* this.swarm.detachNetwork(target, containerId);
      },
    };
    this.#networks = new ContainerNetworks(
      this.controller,
      provider,
      (reference) => this.containers.get(reference),
      options.onAddress,
    );
    this.#networkRequests = new NetworkRequests(this.controller, this.swarm, this.#networks);
    this.containers = new Containers(os, options.images, this.#networks, this.#log);
  }

  // --------------------------------------------------------------------------------------------- system

  ping(): { readonly swarm: string } {
    const state = this.swarm.localNodeState;
    return { swarm: state === "active" ? `active/${this.swarm.isManager ? "manager" : "worker"}` : state };
  }

  version(): api.JsonObject {
    return versionView();
  }

  *info(): Proc<api.JsonObject> {
    const swarm = (yield* this.swarm.info()) as unknown as api.JsonObject;
    return infoView({
      id: this.#id,
      os: this.#os,
      containers: this.containers.list(),
      images: this.#images.list(),
      swarm,
    });
  }

  imageList(): readonly api.JsonObject[] {
    return this.#images.list().map(imageView);
  }

  // ---------------------------------------------------------------------------------------------- swarm

  *swarmInit(request: api.SwarmInitRequest): Proc<string> {
    return yield* refusable(
      this.swarm.init({
        ...(request.ListenAddr === undefined ? {} : { listenAddr: request.ListenAddr }),
        ...(request.AdvertiseAddr === undefined ? {} : { advertiseAddr: request.AdvertiseAddr }),
        ...(request.DataPathAddr === undefined ? {} : { dataPathAddr: request.DataPathAddr }),
        ...(request.DataPathPort === undefined ? {} : { dataPathPort: request.DataPathPort }),
        ...(request.DefaultAddrPool === undefined ? {} : { defaultAddrPool: request.DefaultAddrPool }),
        ...(request.SubnetSize === undefined ? {} : { subnetSize: request.SubnetSize }),
        ...(request.Availability ? { availability: request.Availability.toLowerCase() as Availability } : {}),
      }),
    );
  }

  *swarmJoin(request: api.SwarmJoinRequest): Proc<void> {
    yield* refusable(
      this.swarm.join({
        ...(request.ListenAddr === undefined ? {} : { listenAddr: request.ListenAddr }),
        ...(request.AdvertiseAddr === undefined ? {} : { advertiseAddr: request.AdvertiseAddr }),
        ...(request.DataPathAddr === undefined ? {} : { dataPathAddr: request.DataPathAddr }),
        ...(request.Availability ? { availability: request.Availability.toLowerCase() as Availability } : {}),
        remoteAddrs: request.RemoteAddrs,
        joinToken: request.JoinToken,
      }),
    );
  }

  /** Leaves: tasks first, then attachable networks lose their containers, then gossip ends (cluster.Leave, DaemonLeavesCluster). */
  *swarmLeave(force: boolean): Proc<void> {
    yield* refusable(this.swarm.leave(force));
    for (const network of this.controller.networks()) {
      if (network.scope !== "swarm" || network.ingress) continue;
      for (const container of this.containers.list()) {
        const on = [...container.networks].find(([, attachment]) => attachment.networkId === network.id);
        if (on !== undefined) yield* this.#networks.disconnect(container, on[0]);
      }
      network.delete({ force: true });
    }
    this.#executor.reset();
    this.#agentStarting?.kill();
    yield* this.controller.agentStop();
  }

  /** The network agent starts when the node is in a swarm and has keys (libnetwork clusterAgentInit). */
  #startAgent(): void {
    if (this.controller.agent !== undefined || (this.#agentStarting !== undefined && !this.#agentStarting.done)) return;
    this.#agentStarting = this.#os.spawn("network agent", this.#agentMain());
  }

  *#agentMain(): Proc<void> {
    let addresses = this.swarm.networkAgentAddresses();
    while (addresses === undefined || !this.swarm.isAgent) {
      yield { on: [this.swarm.changed] };
      addresses = this.swarm.networkAgentAddresses();
    }
    yield* this.controller.agentStart({
      advertiseAddress: addresses.advertiseIp,
      bindAddress: addresses.bindIp,
      dataPathAddress: addresses.dataPathIp,
      remoteAddresses: addresses.remoteIps,
    });
  }

  *swarmInspect(): Proc<api.JsonObject> {
    return (yield* refusable(this.swarm.control.inspect())) as unknown as api.JsonObject;
  }

  *swarmUpdate(
    version: number,
    flags: { rotateWorkerToken?: boolean; rotateManagerToken?: boolean },
    spec: api.JsonObject,
  ): Proc<void> {
    const rotate = { worker: flags.rotateWorkerToken ?? false, manager: flags.rotateManagerToken ?? false };
    yield* refusable(this.swarm.control.update(version, spec as unknown as ApiSwarmSpec, rotate));
  }

  *nodeList(filters: api.Filters = {}): Proc<readonly api.JsonObject[]> {
    const nodes = (yield* refusable(this.swarm.control.listNodes())) as unknown as api.JsonObject[];
    return nodes.filter((node) => matchesFilters("node", node, filters));
  }

  *nodeInspect(id: string): Proc<api.JsonObject> {
    return (yield* refusable(this.swarm.control.getNode(id))) as unknown as api.JsonObject;
  }

  *nodeUpdate(id: string, version: number, spec: api.JsonObject): Proc<void> {
    yield* refusable(this.swarm.control.updateNode(id, version, spec as unknown as ApiNodeSpec));
  }

  *nodeRemove(id: string, force: boolean): Proc<void> {
    yield* refusable(this.swarm.control.removeNode(id, force));
  }

  // ------------------------------------------------------------------------------------------- networks

  *networkList(filters: api.Filters = {}): Proc<readonly api.JsonObject[]> {
    return yield* this.#networkRequests.list(filters);
  }

  *networkInspect(id: string, options: { verbose?: boolean; scope?: string } = {}): Proc<api.JsonObject> {
    return yield* this.#networkRequests.inspect(id, options);
  }

  *networkCreate(request: api.NetworkCreateRequest): Proc<{ Id: string; Warning: string }> {
    return yield* this.#networkRequests.create(request);
  }

  *networkRemove(id: string): Proc<void> {
    yield* this.#networkRequests.remove(id);
  }

  *networkPrune(filters: api.Filters = {}): Proc<{ NetworksDeleted: readonly string[] }> {
    return yield* this.#networkRequests.prune(filters);
  }

  *networkConnect(id: string, request: { Container: string; EndpointConfig?: api.EndpointSettings }): Proc<void> {
    const container = this.containers.get(request.Container);
    yield* refusable(this.#networks.connect(container, id, request.EndpointConfig ?? {}));
  }

  *networkDisconnect(id: string, request: { Container: string; Force?: boolean }): Proc<void> {
    const container = this.containers.get(request.Container);
    yield* refusable(this.#networks.disconnect(container, id));
  }

  // ----------------------------------------------------------------------------------------- containers

  // biome-ignore lint/correctness/useYield: the API's shape
  *containerCreate(
    name: string | undefined,
    request: api.ContainerCreateRequest,
  ): Proc<{ Id: string; Warnings: readonly string[] }> {
    const { container, warnings } = this.containers.create(name, request);
    return { Id: container.id, Warnings: warnings };
  }

  *containerStart(id: string): Proc<void> {
    yield* refusable(this.containers.start(this.containers.get(id)));
  }

  *containerStop(id: string, timeoutSec?: number): Proc<boolean> {
    return yield* this.containers.stop(this.containers.get(id), timeoutSec);
  }

  *containerRestart(id: string, timeoutSec?: number): Proc<void> {
    const container = this.containers.get(id);
    yield* this.containers.stop(container, timeoutSec);
    yield* refusable(this.containers.start(container));
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *containerKill(id: string, signal = "SIGKILL"): Proc<void> {
    const found = this.containers.find(id);
    if (found === undefined) throw new ApiError(404, `Cannot kill container: ${id}: No such container: ${id}`);
    this.containers.kill(found, signal);
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *containerRename(id: string, name: string): Proc<void> {
    this.containers.rename(this.containers.get(id), name);
  }

  *containerWait(
    id: string,
    condition: "not-running" | "next-exit" | "removed" = "not-running",
  ): Proc<{ StatusCode: number }> {
    const container = this.containers.get(id);
    if (condition !== "not-running") {
      // Its next exit: also of a container that doesn't run yet.
      const before = container.finishedAt;
      while (!container.removed && (container.running || container.finishedAt === before))
        yield { on: [container.changed] };
    }
    while (condition === "removed" ? !container.removed : container.running) yield { on: [container.changed] };
    return { StatusCode: container.exitCode };
  }

  *containerRemove(id: string, options: { force?: boolean } = {}): Proc<void> {
    yield* this.containers.remove(this.containers.get(id), options.force ?? false);
  }

  *containerList(
    options: { all?: boolean; limit?: number; filters?: api.Filters } = {},
  ): Proc<readonly api.JsonObject[]> {
    const { filters = {} } = options;
    const all =
      options.all === true ||
      options.limit !== undefined ||
      filters["status"] !== undefined ||
      filters["exited"] !== undefined;
    const now = this.#os.now();
    const newestFirst = [...this.containers.list()].reverse();
    const shown = newestFirst
      .filter((container) => all || container.running)
      .map((container) => containerSummary(container, this.controller, now))
      .filter((summary) => matchesFilters("container", summary, filters));
    return options.limit === undefined || options.limit < 0 ? shown : shown.slice(0, options.limit);
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *containerInspect(id: string): Proc<api.JsonObject> {
    return containerDetails(this.containers.get(id), this.controller);
  }

  containerLogs(
    id: string,
    options: { follow?: boolean; tail?: number; timestamps?: boolean },
  ): Channel<{ readonly stream: "stdout" | "stderr"; readonly text: string }> {
    const { streams } = this.containers.get(id);
    const lines: { stream: "stdout" | "stderr"; text: string }[] = [];
    for (const entry of streams.log) {
      for (const text of entry.text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
        const last = lines.at(-1);
        if (last !== undefined && last.stream === entry.stream && !last.text.endsWith("\n")) last.text += text;
        else
          lines.push({
            stream: entry.stream,
            text: options.timestamps ? `${formatRfc3339(entry.time)} ${text}` : text,
          });
      }
    }
    const channel = options.follow ? streams.follow() : new Channel<{ stream: "stdout" | "stderr"; text: string }>();
    const out = new Channel<{ stream: "stdout" | "stderr"; text: string }>();
    for (const line of options.tail === undefined ? lines : options.tail === 0 ? [] : lines.slice(-options.tail))
      out.push(line);
    if (!options.follow) {
      out.close();
      return out;
    }
    this.#os.spawn("docker logs -f", this.#copy(channel, out));
    return out;
  }

  *#copy<T>(from: Channel<T>, to: Channel<T>): Proc<void> {
    for (;;) {
      const item = yield* from.pop();
      if (item === undefined) break;
      to.push(item);
    }
    to.close();
  }

  containerAttach(id: string): api.AttachStream {
    return this.containers.get(id).streams.attach();
  }

  containerTop(id: string): api.JsonObject {
    const container = this.containers.get(id);
    if (!container.running) throw new ApiError(409, `Container ${container.id} is not running`);
    const start = formatRfc3339(container.startedAt ?? 0).slice(11, 16);
    const processes = [["root", String(container.pid), "1", "0", start, "?", "00:00:00", container.argv.join(" ")]];
    return { Titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], Processes: processes };
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *execCreate(container: string, request: api.ExecCreateRequest): Proc<{ Id: string }> {
    return { Id: this.containers.execCreate(this.containers.get(container), request).id };
  }

  // biome-ignore lint/correctness/useYield: the API's shape
  *execStart(id: string, detach: boolean): Proc<api.AttachStream | undefined> {
    const stream = this.containers.execStart(id);
    if (!detach) return stream;
    stream.detach();
    return undefined;
  }

  execInspect(id: string): api.JsonObject {
    const { exec, container } = this.containers.exec(id);
    const [entrypoint = "", ...args] = exec.argv;
    return {
      ID: exec.id,
      Running: exec.running,
      ExitCode: exec.exitCode ?? null,
      ProcessConfig: { tty: exec.tty, entrypoint, arguments: args, privileged: false },
      OpenStdin: true,
      OpenStderr: true,
      OpenStdout: true,
      CanRemove: false,
      ContainerID: container.id,
      DetachKeys: "",
      Pid: exec.pid,
    };
  }

  /** Waits until nothing is being started; used when the machine is switched off in order. */
  *settle(): Proc<void> {
    if (this.#agentStarting !== undefined) yield* join(this.#agentStarting);
  }
}
