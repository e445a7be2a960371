/**
 * One Docker Engine: its API over containers, libnetwork and the swarm (moby daemon, daemon/cluster,
 * api/server/router; 20.10).
 */
import { type Cidr, type Ipv4, parseCidr, parseIpv4 } from "../base/addr.ts";
import { assert, UserError } from "../base/errors.ts";
import { newHexId } from "../base/ids.ts";
import { formatRfc3339, unixSeconds } from "../base/wall-clock.ts";
import { NetworkController } from "../libnetwork/controller.ts";
import { createDefaultNetworks } from "../libnetwork/default-networks.ts";
import type { DriverType } from "../libnetwork/drivers/driver.ts";
import { inspectNetwork } from "../libnetwork/inspect.ts";
import type { DaemonLog } from "../libnetwork/log.ts";
import { ActiveEndpointsError, type IpamConfig, type Network } from "../libnetwork/network.ts";
import { createNetworkDb } from "../libnetwork/networkdb/networkdb.ts";
import type { HostOs } from "../scheduler/os.ts";
import { Channel, join, type Proc, type Process } from "../scheduler/process.ts";
import type { ApiNodeSpec, ApiSwarmSpec } from "../swarm/api/convert.ts";
import type { Availability } from "../swarm/api/objects.ts";
import { statusOfError } from "../swarm/api/status.ts";
import { SwarmNode } from "../swarm/node.ts";
import * as api from "./api.ts";
import { ContainerNetworks, toApiError } from "./container-networks.ts";
import { Containers } from "./containers.ts";
import { EngineExecutor } from "./executor.ts";
import { matchesFilters } from "./filters.ts";
import type { ImageStore } from "./program.ts";
import { API_VERSION, ENGINE_VERSION, KERNEL_VERSION, MIN_API_VERSION } from "./version.ts";
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

const PREDEFINED = new Set(["bridge", "host", "none", "default"]);

export class Engine implements api.EngineApi {
  readonly #os: HostOs;
  readonly #images: ImageStore;
  readonly #log: DaemonLog;
  readonly #id: string;
  readonly controller: NetworkController;
  readonly containers: Containers;
  readonly swarm: SwarmNode;
  readonly #networks: ContainerNetworks;
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
    this.containers = new Containers(os, options.images, this.#networks, this.#log);
  }

  // --------------------------------------------------------------------------------------------- system

  ping(): { readonly swarm: string } {
    const state = this.swarm.localNodeState;
    return { swarm: state === "active" ? `active/${this.swarm.isManager ? "manager" : "worker"}` : state };
  }

  version(): api.JsonObject {
    return {
      Platform: { Name: "" },
      Components: [
        {
          Name: "Engine",
          Version: ENGINE_VERSION,
          Details: { ApiVersion: API_VERSION, Arch: "amd64", MinAPIVersion: MIN_API_VERSION, Os: "linux" },
        },
      ],
      Version: ENGINE_VERSION,
      ApiVersion: API_VERSION,
      MinAPIVersion: MIN_API_VERSION,
      GitCommit: "5d6db84",
      GoVersion: "go1.19.8",
      Os: "linux",
      Arch: "amd64",
      KernelVersion: KERNEL_VERSION,
      BuildTime: "2023-05-18T14:39:34.000000000+00:00",
    };
  }

  *info(): Proc<api.JsonObject> {
    const containers = this.containers.list();
    const running = containers.filter((container) => container.running).length;
    return {
      ID: (this.#id.slice(0, 48).toUpperCase().match(/.{4}/g) as string[]).join(":"),
      Containers: containers.length,
      ContainersRunning: running,
      ContainersPaused: 0,
      ContainersStopped: containers.length - running,
      Images: this.#images.list().length,
      Driver: "overlay2",
      Plugins: {
        Volume: ["local"],
        Network: ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
        Authorization: null,
        Log: [
          "awslogs",
          "fluentd",
          "gcplogs",
          "gelf",
          "journald",
          "json-file",
          "local",
          "logentries",
          "splunk",
          "syslog",
        ],
      },
      SystemTime: formatRfc3339(this.#os.now()),
      LoggingDriver: "json-file",
      CgroupDriver: "systemd",
      CgroupVersion: "2",
      KernelVersion: KERNEL_VERSION,
      OperatingSystem: "Debian GNU/Linux 12 (bookworm)",
      OSType: "linux",
      Architecture: "x86_64",
      NCPU: 2,
      MemTotal: 4 * 2 ** 30,
      DockerRootDir: "/var/lib/docker",
      Name: this.#os.hostName,
      Labels: [],
      ServerVersion: ENGINE_VERSION,
      DefaultRuntime: "runc",
      Swarm: (yield* this.swarm.info()) as unknown as api.JsonObject,
      Warnings: null,
    };
  }

  imageList(): readonly api.JsonObject[] {
    return this.#images.list().map((image) => ({
      Containers: -1,
      Created: unixSeconds(0),
      Id: image.id,
      Labels: null,
      ParentId: "",
      RepoDigests: null,
      RepoTags: [image.tag],
      SharedSize: -1,
      Size: image.sizeBytes,
      VirtualSize: image.sizeBytes,
    }));
  }

  // ---------------------------------------------------------------------------------------------- swarm

  *#cluster<T>(request: Proc<T>): Proc<T> {
    try {
      return yield* request;
    } catch (error) {
      if (error instanceof ApiError || !(error instanceof Error)) throw error;
      throw new ApiError(statusOfError(error), error.message);
    }
  }

  *swarmInit(request: api.SwarmInitRequest): Proc<string> {
    return yield* this.#cluster(
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
    yield* this.#cluster(
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
    yield* this.#cluster(this.swarm.leave(force));
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
    return (yield* this.#cluster(this.swarm.control.inspect())) as unknown as api.JsonObject;
  }

  *swarmUpdate(
    version: number,
    flags: { rotateWorkerToken?: boolean; rotateManagerToken?: boolean },
    spec: api.JsonObject,
  ): Proc<void> {
    const rotate = { worker: flags.rotateWorkerToken ?? false, manager: flags.rotateManagerToken ?? false };
    yield* this.#cluster(this.swarm.control.update(version, spec as unknown as ApiSwarmSpec, rotate));
  }

  *nodeList(filters: api.Filters = {}): Proc<readonly api.JsonObject[]> {
    const nodes = (yield* this.#cluster(this.swarm.control.listNodes())) as unknown as api.JsonObject[];
    return nodes.filter((node) => matchesFilters("node", node, filters));
  }

  *nodeInspect(id: string): Proc<api.JsonObject> {
    return (yield* this.#cluster(this.swarm.control.getNode(id))) as unknown as api.JsonObject;
  }

  *nodeUpdate(id: string, version: number, spec: api.JsonObject): Proc<void> {
    yield* this.#cluster(this.swarm.control.updateNode(id, version, spec as unknown as ApiNodeSpec));
  }

  *nodeRemove(id: string, force: boolean): Proc<void> {
    yield* this.#cluster(this.swarm.control.removeNode(id, force));
  }

  // ------------------------------------------------------------------------------------------- networks

  #localNetworks(): readonly Network[] {
    return this.controller.networks().filter((network) => network.state === "ready");
  }

  #view(network: Network, verbose: boolean): api.JsonObject {
    return inspectNetwork(network, formatRfc3339(network.created), verbose) as api.JsonObject;
  }

  /** The swarm's networks on a manager; nothing elsewhere, as the API ignores that it can't ask. */
  *#swarmNetworks(): Proc<api.JsonObject[]> {
    if (!this.swarm.isManager) return [];
    return (yield* this.#cluster(this.swarm.control.listNetworks())) as unknown as api.JsonObject[];
  }

  *networkList(filters: api.Filters = {}): Proc<readonly api.JsonObject[]> {
    const local = this.#localNetworks().map((network) => this.#view(network, false));
    const known = new Set(local.map((network) => network["Id"]));
    const swarm = (yield* this.#swarmNetworks()).filter((network) => !known.has(network["Id"]));
    return [...swarm, ...local].filter((network) => matchesFilters("network", network, filters));
  }

  *networkInspect(id: string, options: { verbose?: boolean; scope?: string } = {}): Proc<api.JsonObject> {
    const local = this.#networks.find(id);
    if (
      local?.state === "ready" &&
      (options.scope === undefined || options.scope === "" || options.scope === local.scope)
    ) {
      return this.#view(local, options.verbose ?? false);
    }
    const found = (yield* this.#swarmNetworks()).filter((network) => network["Id"] === id || network["Name"] === id);
    const byPrefix =
      found.length > 0
        ? found
        : (yield* this.#swarmNetworks()).filter((network) => String(network["Id"]).startsWith(id));
    if (byPrefix.length > 1)
      throw new ApiError(400, `network ${id} is ambiguous (${byPrefix.length} matches found based on ID prefix)`);
    const [first] = byPrefix;
    if (first === undefined || (options.scope !== undefined && options.scope !== "" && options.scope !== "swarm")) {
      throw new ApiError(404, `network ${id} not found`);
    }
    return first;
  }

  *networkCreate(request: api.NetworkCreateRequest): Proc<{ Id: string; Warning: string }> {
    const name = request.Name;
    const driver = request.Driver ?? "bridge";
    if (PREDEFINED.has(name)) throw new ApiError(403, `operation is not permitted on predefined ${name} network `);
    const taken = (yield* this.networkList()).find((network) => network["Name"] === name);
    if (taken !== undefined) throw new ApiError(409, `network with name ${name} already exists`);
    if (driver !== "overlay" && driver !== "bridge" && driver !== "host" && driver !== "null")
      throw new ApiError(404, `plugin "${driver}" not found`);
    if (driver === "host" || driver === "null")
      throw new ApiError(403, `only one instance of "${driver}" network is allowed`);
    if (driver === "overlay" || request.Scope === "swarm") return yield* this.#createSwarmNetwork(request, driver);
    if (request.Ingress) throw new ApiError(400, "Ingress network can only be global scope network");
    return { Id: this.#createLocal(request, driver).id, Warning: "" };
  }

  *#createSwarmNetwork(request: api.NetworkCreateRequest, driver: string): Proc<{ Id: string; Warning: string }> {
    if (driver === "overlay" && request.Scope === "local")
      throw new ApiError(403, "cannot downgrade network scope for overlay networks");
    if (this.swarm.isAgent && !this.swarm.isManager) {
      throw new ApiError(
        403,
        "Cannot create a multi-host network from a worker node. Please create the network from a manager node.",
      );
    }
    const id = yield* this.#cluster(this.swarm.control.createNetwork({ ...request, Driver: driver }));
    return { Id: id, Warning: "" };
  }

  #createLocal(request: api.NetworkCreateRequest, driver: DriverType): Network {
    try {
      return this.controller.newLocalNetwork({
        name: request.Name,
        driver,
        ipam: (request.IPAM?.Config ?? []).map((config) => ipamConfig(config)),
        options: request.Options ?? {},
        labels: request.Labels ?? {},
        internal: request.Internal ?? false,
        attachable: request.Attachable ?? false,
      });
    } catch (error) {
      throw toApiError(error);
    }
  }

  *networkRemove(id: string): Proc<void> {
    const network = yield* this.networkInspect(id);
    if (network["Scope"] === "swarm") {
      yield* this.#cluster(this.swarm.control.removeNetwork(String(network["Id"])));
      return;
    }
    const name = String(network["Name"]);
    if (PREDEFINED.has(name)) throw new ApiError(403, `${name} is a pre-defined network and cannot be removed`);
    const local = this.controller.network(String(network["Id"]));
    assert(local !== undefined, "a local network that was just inspected", name);
    try {
      local.delete();
    } catch (error) {
      if (error instanceof ActiveEndpointsError)
        throw new ApiError(403, `error while removing network: ${error.message}`);
      throw toApiError(error);
    }
  }

  *networkConnect(id: string, request: { Container: string; EndpointConfig?: api.EndpointSettings }): Proc<void> {
    const container = this.containers.get(request.Container);
    yield* this.#refusable(this.#networks.connect(container, id, request.EndpointConfig ?? {}));
  }

  *networkDisconnect(id: string, request: { Container: string; Force?: boolean }): Proc<void> {
    const container = this.containers.get(request.Container);
    yield* this.#refusable(this.#networks.disconnect(container, id));
  }

  *networkPrune(filters: api.Filters = {}): Proc<{ NetworksDeleted: readonly string[] }> {
    const deleted: string[] = [];
    for (const network of yield* this.#swarmNetworks()) {
      if (network["Ingress"] === true || !matchesFilters("network", network, filters)) continue;
      try {
        yield* this.networkRemove(String(network["Id"]));
        deleted.push(String(network["Name"]));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // in use
      }
    }
    for (const network of this.#localNetworks()) {
      if (network.scope === "swarm" || PREDEFINED.has(network.name) || network.endpoints().length > 0) continue;
      if (!matchesFilters("network", this.#view(network, false), filters)) continue;
      network.delete();
      deleted.push(network.name);
    }
    return { NetworksDeleted: deleted };
  }

  /** Refusals of libnetwork and the swarm as answers of the API. */
  *#refusable<T>(request: Proc<T>): Proc<T> {
    try {
      return yield* request;
    } catch (error) {
      if (error instanceof ApiError || !(error instanceof Error)) throw error;
      if (error instanceof UserError) throw toApiError(error);
      throw new ApiError(statusOfError(error), error.message);
    }
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
    yield* this.#refusable(this.containers.start(this.containers.get(id)));
  }

  *containerStop(id: string, timeoutSec?: number): Proc<boolean> {
    return yield* this.containers.stop(this.containers.get(id), timeoutSec);
  }

  *containerRestart(id: string, timeoutSec?: number): Proc<void> {
    const container = this.containers.get(id);
    yield* this.containers.stop(container, timeoutSec);
    yield* this.#refusable(this.containers.start(container));
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
