/**
 * A manager (swarmkit manager/manager.go): the store, its RPC services on 2377 and on the control socket, and
 * what a new leader does, in swarmkit's order: the first transaction, then the components.
 */
import type { Ipv4 } from "../../base/addr.ts";
import type { Random } from "../../base/random.ts";
import { MS, type Time } from "../../base/time.ts";
import type { HostOs } from "../../scheduler/os.ts";
import { type Channel, type Proc, type Process, Signal, sleep } from "../../scheduler/process.ts";
import type { Availability } from "../api/objects.ts";
import { credentialsOf, type SecurityConfig } from "../ca/security.ts";
import { MemoryStore, type StoreAction, type StoreEvent } from "../store/memory.ts";
import { SingleMemberProposer } from "../store/proposer.ts";
import { LocalConn } from "../transport/local.ts";
import { type ClientConn, type Listener, Router, type Transport } from "../transport/transport.ts";
import { Allocator } from "./allocator/allocator.ts";
import { CaServer } from "./ca-server.ts";
import type { Component, ComponentContext, Log } from "./component.ts";
import { ConstraintEnforcer } from "./constraint-enforcer.ts";
import { ControlApi } from "./control-api.ts";
import { type ClusterSettings, defaultCluster, ingressNetwork, managerNode, predefinedNetworks } from "./defaults.ts";
import { Dispatcher } from "./dispatcher/dispatcher.ts";
import { KeyManager } from "./key-manager.ts";
import { LogBroker } from "./log-broker.ts";
import { type Membership, SingleMember } from "./membership.ts";
import { GlobalOrchestrator } from "./orchestrator/global.ts";
import { JobsOrchestrator } from "./orchestrator/jobs.ts";
import { ReplicatedOrchestrator } from "./orchestrator/replicated.ts";
import { ResourceAllocator } from "./resource-allocator.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { TaskReaper } from "./task-reaper.ts";

/** A lone raft member is leader so long after its start: measured on a swarm of 20.10.24. */
const CAMPAIGN_TIME = 20 * MS;

/** What a manager is made with. */
export interface ManagerOptions {
  readonly os: HostOs;
  readonly random: Random;
  readonly log: Log;
  readonly transport: Transport;
  readonly security: SecurityConfig;
  readonly listenIp: Ipv4;
  readonly listenPort: number;
  /** `ip:port` told to others. */
  readonly advertiseAddr: string;
  readonly availability: Availability;
  readonly cluster: ClusterSettings;
  /** Wall-clock time, for certificates. */
  readonly unixSeconds: () => number;
  /** What the manager had on disk when its daemon was stopped. */
  readonly restore?: ManagerState;
  /** Called with each change of the store while this manager leads (manager/watchapi). */
  readonly onClusterChange?: (change: StoreAction) => void;
}

/** A manager's state on disk: its raft log and its place in the cluster. */
export interface ManagerState {
  readonly store: MemoryStore;
  readonly membership: Membership;
}

/** The manager side of a node (manager/manager.go). */
export class Manager {
  readonly #options: ManagerOptions;
  readonly #context: ComponentContext;
  readonly #router = new Router();
  readonly #membership: Membership;
  readonly #processes: Process[] = [];
  #listener: Listener | undefined;
  #leading = false;
  /** Notified when this manager has become leader. */
  readonly ready = new Signal();

  /** Listens at once; throws KernelError when the port is taken. */
  constructor(options: ManagerOptions) {
    const { os, random, log, security, transport } = options;
    this.#options = options;
    const now = (): Time => os.now();
    const store = options.restore?.store.reopen(now) ?? new MemoryStore(new SingleMemberProposer(), now);
    this.#context = { os, store, random, log };
    this.#membership =
      options.restore?.membership ?? new SingleMember(security.nodeId, raftId(random), options.advertiseAddr);
    this.#listener = transport.listen(options.listenIp, options.listenPort, this.#router, () =>
      credentialsOf(security),
    );
    this.#processes.push(os.spawn("manager", this.#run()));
  }

  get leading(): boolean {
    return this.#leading;
  }

  get membership(): Membership {
    return this.#membership;
  }

  /** What it has on disk. */
  get state(): ManagerState {
    return { store: this.#context.store, membership: this.#membership };
  }

  /** The control socket. */
  localConn(): ClientConn {
    const { nodeId, clusterId } = this.#options.security;
    const identity = { nodeId, role: "manager", organization: clusterId } as const;
    return new LocalConn(this.#options.os, this.#router, { identity, peerIp: undefined });
  }

  /** Ends every component and connection. */
  stop(): void {
    this.#leading = false;
    this.#listener?.close();
    this.#listener = undefined;
    for (const process of this.#processes.splice(0).reverse()) process.kill();
  }

  *#run(): Proc<void> {
    yield* sleep(this.#options.os, CAMPAIGN_TIME);
    yield* this.#becomeLeader();
    this.#leading = true;
    this.ready.notify();
  }

  *#becomeLeader(): Proc<void> {
    const { security, availability, cluster } = this.#options;
    const random = this.#context.random.fork("bootstrap");
    yield* this.#context.store.update((tx) => {
      if (tx.all("cluster").length === 0) tx.create("cluster", defaultCluster(security, cluster, random));
      if (tx.get("node", security.nodeId) === undefined) {
        tx.create("node", managerNode(security, availability, cluster.vxlanUdpPort));
        tx.create("network", ingressNetwork(random));
      }
      for (const network of predefinedNetworks(random)) {
        if (tx.by("network", "name", network.spec.annotations.name).length === 0) tx.create("network", network);
      }
    });
    this.#startComponents();
  }

  /** Every component watches the store from its constructor on, so none misses what another one writes. */
  #startComponents(): void {
    const context = this.#context;
    const keyManager = new KeyManager(context);
    const dispatcher = new Dispatcher(context, this.#membership, this.#options.security.nodeId);
    const caServer = new CaServer(context, this.#options.unixSeconds);
    const allocator = new Allocator(context);
    const scheduler = new Scheduler(context);
    const orchestrators = [
      new ConstraintEnforcer(context),
      new TaskReaper(context),
      new ReplicatedOrchestrator(context),
      new JobsOrchestrator(context),
      new GlobalOrchestrator(context),
    ];
    const logBroker = new LogBroker(context);
    dispatcher.register(this.#router);
    caServer.register(this.#router);
    logBroker.register(this.#router);
    new ResourceAllocator(context).register(this.#router);
    new ControlApi(context, this.#membership).register(this.#router);
    const components: Component[] = [
      keyManager,
      dispatcher,
      logBroker,
      caServer,
      allocator,
      scheduler,
      ...orchestrators,
    ];
    for (const component of components) this.#processes.push(context.os.spawn(component.name, component.run()));
    const { onClusterChange } = this.#options;
    if (onClusterChange !== undefined)
      this.#processes.push(context.os.spawn("cluster events", this.#watch(context.store.watch(), onClusterChange)));
  }

  /** What the watch API tells the daemon (manager/watchapi): changes from now on. */
  *#watch(events: Channel<StoreEvent>, onClusterChange: (change: StoreAction) => void): Proc<void> {
    try {
      for (let event = yield* events.pop(); event !== undefined; event = yield* events.pop())
        if (event.action !== "commit") onClusterChange(event);
    } finally {
      this.#context.store.unwatch(events);
    }
  }
}

/** 1…2^63−1 in lower-case hexadecimal. */
function raftId(random: Random): string {
  const text = random.fork("raft").hex(16);
  const id = (BigInt(`0x${text}`) & ((1n << 63n) - 1n)) | 1n;
  return id.toString(16);
}
