/**
 * The engine's part in a swarm: init, join and leave one at a time, and the network agent that starts with the
 * first keys (moby daemon/cluster/swarm.go, daemon/network.go DaemonLeavesCluster, libnetwork clusterAgentInit; 20.10).
 */
import { parseCidr } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import { SEC } from "../base/time.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc, Process } from "../scheduler/process.ts";
import type { Availability, ClusterSpec } from "../swarm/api/objects.ts";
import { SwarmNode } from "../swarm/node.ts";
import type { NodeState } from "../swarm/node-runner.ts";
import type { StoreAction } from "../swarm/store/memory.ts";
import { ApiError, type SwarmInitRequest, type SwarmJoinRequest } from "./api.ts";
import type { AttachmentProvider } from "./container-networks.ts";
import type { Containers } from "./containers.ts";
import { EngineExecutor } from "./executor.ts";
import { lookupHost, type ResolverFiles } from "./host-resolver.ts";
import { Mutex } from "./mutex.ts";
import type { EnginePlatform } from "./platform.ts";

/** Takes every container off a network (clearAttachableNetworks). */
type Disconnect = (networkId: string) => Proc<void>;

/** How long containers wait for the swarm when the daemon has started (daemon.go waitForNetworks). */
const SETTLE_LIMIT = 60 * SEC;

/** What a node has on disk while its daemon is stopped. */
export interface SwarmRemains {
  readonly state: NodeState;
  readonly memberships: number;
}

/** One engine's swarm node, its executor and its network agent. */
export class SwarmMembership {
  readonly node: SwarmNode;
  readonly #os: HostOs;
  readonly #controller: NetworkController;
  readonly #executor: EngineExecutor;
  readonly #disconnect: Disconnect;
  readonly #containers: () => Containers;
  /** moby's controlMutex. */
  readonly #lock = new Mutex();
  #agentStarting: Process | undefined;

  /**
   * @param containers the engine's, which may not be there yet
   * @param names how the host resolves names
   * @param onChange called with what changes in the swarm while this node manages it
   */
  constructor(
    os: HostOs,
    controller: NetworkController,
    disconnect: Disconnect,
    platform: EnginePlatform,
    containers: () => Containers,
    names: () => ResolverFiles = () => ({ hosts: "", resolvConf: "" }),
    onChange?: (change: StoreAction) => void,
  ) {
    this.#os = os;
    this.#controller = controller;
    this.#disconnect = disconnect;
    this.#containers = containers;
    this.#executor = new EngineExecutor(
      os,
      controller,
      () => this.node.attachments,
      () => this.#startAgent(),
      platform,
      containers,
    );
    this.node = new SwarmNode({
      os,
      executor: this.#executor,
      log: (level, text) => controller.log(level, text),
      resolve: (name) => lookupHost(os, names(), name),
      ...(onChange === undefined ? {} : { onClusterChange: onChange }),
    });
  }

  /** How standalone containers get on the swarm's networks. */
  attachmentProvider(): AttachmentProvider {
    const { node } = this;
    return {
      get active(): boolean {
        return node.isAgent;
      },
      *attachNetwork(target, containerId, addresses) {
        const result = yield* node.attachNetwork(target, containerId, addresses);
        return { networkId: result.networkId, address: parseCidr(result.addresses[0] ?? "")?.ip };
      },
      *detachNetwork(target, containerId) {
        yield* node.detachNetwork(target, containerId);
      },
    };
  }

  *init(request: SwarmInitRequest): Proc<string> {
    if (request.AutoLockManagers) throw new ApiError(501, "autolock is not emulated");
    const availability = availabilityOf(request.Availability);
    // A manager that goes on alone is what it was: there is no raft log of others to cut off.
    if (request.ForceNewCluster && this.node.isManager) return this.node.nodeId;
    return yield* this.#lock.run(
      this.node.init({
        ...(request.ListenAddr === undefined ? {} : { listenAddr: request.ListenAddr }),
        ...(request.AdvertiseAddr === undefined ? {} : { advertiseAddr: request.AdvertiseAddr }),
        ...(request.DataPathAddr === undefined ? {} : { dataPathAddr: request.DataPathAddr }),
        ...(request.DataPathPort === undefined ? {} : { dataPathPort: request.DataPathPort }),
        ...(request.DefaultAddrPool === undefined ? {} : { defaultAddrPool: request.DefaultAddrPool }),
        ...(request.SubnetSize === undefined ? {} : { subnetSize: request.SubnetSize }),
        ...(request.Spec === undefined ? {} : { spec: (base: ClusterSpec) => mergeSpec(base, request.Spec) }),
        ...(availability === undefined ? {} : { availability }),
      }),
    );
  }

  *join(request: SwarmJoinRequest): Proc<void> {
    const availability = availabilityOf(request.Availability);
    yield* this.#lock.run(
      this.node.join({
        ...(request.ListenAddr === undefined ? {} : { listenAddr: request.ListenAddr }),
        ...(request.AdvertiseAddr === undefined ? {} : { advertiseAddr: request.AdvertiseAddr }),
        ...(request.DataPathAddr === undefined ? {} : { dataPathAddr: request.DataPathAddr }),
        ...(availability === undefined ? {} : { availability }),
        remoteAddrs: request.RemoteAddrs,
        joinToken: request.JoinToken,
      }),
    );
  }

  /** The daemon stops: the node's tasks are left as they are. @returns what stays on disk; undefined without a swarm */
  suspend(): SwarmRemains | undefined {
    const { remains } = this;
    this.node.suspend();
    return remains;
  }

  /** What is on disk; undefined without a swarm. */
  get remains(): SwarmRemains | undefined {
    const { memberships, state } = this.node;
    return state === undefined ? undefined : { state, memberships };
  }

  /** The daemon was started again. */
  resume({ state, memberships }: SwarmRemains): void {
    this.node.resume(state, memberships);
  }

  /** Waits until the node takes part in its swarm, if it is in one; not for ever. */
  *settled(): Proc<void> {
    const until = this.#os.now() + SETTLE_LIMIT;
    while (this.node.localNodeState === "pending" && this.#os.now() < until) yield { on: [this.node.changed], until };
  }

  /** Tasks first, then attachable networks lose their containers, then gossip ends. */
  *leave(force: boolean): Proc<void> {
    yield* this.#lock.run(this.#leave(force));
  }

  *#leave(force: boolean): Proc<void> {
    yield* this.node.leave(force);
    yield* this.#removeTasks();
    yield* this.leaveCluster();
  }

  /** DaemonLeavesCluster: the node's swarm is left, or the daemon stops, its containers ended. */
  *leaveCluster(): Proc<void> {
    for (const network of this.#controller.networks()) {
      if (network.scope !== "swarm" || network.ingress) continue;
      yield* this.#disconnect(network.id);
      // A container's end may have taken the network with it meanwhile.
      if (this.#controller.network(network.id) === network) network.delete({ force: true });
    }
    this.#agentStarting?.kill();
    this.#agentStarting = undefined;
    yield* this.#controller.agentStop();
    this.#executor.reset();
  }

  /** Containers of tasks that the agent has left behind (cluster/swarm.go Leave). */
  *#removeTasks(): Proc<void> {
    const containers = this.#containers();
    for (const container of containers.list().filter(({ managed }) => managed)) {
      try {
        yield* containers.remove(container, container.id, true);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.#controller.log("error", `error removing ${container.id}: ${error.message}`);
      }
    }
  }

  /** Called when keys arrive. */
  #startAgent(): void {
    if (this.#controller.agent !== undefined || this.#agentStarting?.done === false) return;
    this.#agentStarting = this.#os.spawn("network agent", this.#agentMain());
  }

  *#agentMain(): Proc<void> {
    let addresses = this.node.networkAgentAddresses();
    while (addresses === undefined || !this.node.isAgent) {
      yield { on: [this.node.changed] };
      addresses = this.node.networkAgentAddresses();
    }
    try {
      yield* this.#controller.agentStart({
        advertiseAddress: addresses.advertiseIp,
        bindAddress: addresses.bindIp,
        localAddress: addresses.localIp,
        dataPathAddress: addresses.dataPathIp,
        dataPathPort: this.#executor.dataPathPort,
        remoteAddresses: addresses.remoteIps,
      });
    } catch (error) {
      // Somebody else holds port 7946.
      if (!(error instanceof KernelError)) throw error;
      this.#controller.log("error", `error in agentInit: ${error.message}`);
    }
  }
}

/** The default spec with what `swarm init` was told. */
function mergeSpec(base: ClusterSpec, spec: SwarmInitRequest["Spec"]): ClusterSpec {
  const { orchestration, raft, dispatcher, ca } = base;
  return {
    ...base,
    orchestration: {
      ...orchestration,
      taskHistoryRetentionLimit:
        spec?.Orchestration?.TaskHistoryRetentionLimit ?? orchestration.taskHistoryRetentionLimit,
    },
    raft: {
      ...raft,
      snapshotInterval: spec?.Raft?.SnapshotInterval ?? raft.snapshotInterval,
      keepOldSnapshots: spec?.Raft?.KeepOldSnapshots ?? raft.keepOldSnapshots,
    },
    dispatcher: { ...dispatcher, heartbeatPeriod: spec?.Dispatcher?.HeartbeatPeriod ?? dispatcher.heartbeatPeriod },
    ca: { ...ca, nodeCertExpiry: spec?.CAConfig?.NodeCertExpiry ?? ca.nodeCertExpiry },
  };
}

/** `active`, `pause` or `drain`; undefined where nothing was said. @throws ApiError 400 */
function availabilityOf(text: string | undefined): Availability | undefined {
  if (text === undefined || text === "") return undefined;
  const availability = text.toLowerCase();
  if (availability === "active" || availability === "pause" || availability === "drain") return availability;
  throw new ApiError(400, `invalid Availability: "${text}"`);
}
