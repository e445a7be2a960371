/**
 * One membership in a swarm, from init or join to leave (swarmkit node/node.go, moby daemon/cluster/noderunner.go):
 * gets the node's certificate, runs the manager if it is one, and the agent.
 */
import { formatIpv4, type Ipv4 } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { SEC } from "../base/time.ts";
import type { HostOs } from "../scheduler/os.ts";
import { join, type Proc, type Process, Signal } from "../scheduler/process.ts";
import { type HostPort, parseRemoteAddr } from "./addresses.ts";
import { Agent, type SelectedManager } from "./agent/agent.ts";
import { type JoinRequest, obtainSecurity } from "./agent/join.ts";
import { OBSERVATION_WEIGHT, Remotes } from "./agent/remotes.ts";
import type { WallClock } from "./api/convert.ts";
import type { Availability, TaskObject } from "./api/objects.ts";
import { bootstrapSecurity, credentialsOf, type SecurityConfig, tlsInfoOf } from "./ca/security.ts";
import type { Executor } from "./executor.ts";
import type { Log } from "./manager/component.ts";
import type { ClusterSettings } from "./manager/defaults.ts";
import { Manager, type ManagerState } from "./manager/manager.ts";
import type { StoreAction } from "./store/memory.ts";
import { goErrnoText } from "./transport/call.ts";
import type { ClientConn, Transport } from "./transport/transport.ts";

/** How long the node may take to stop (moby noderunner.go Stop). */
const STOP_TIMEOUT = 15 * SEC;

/** Where a node listens and how others reach it. */
export interface NodeAddresses {
  readonly listen: HostPort;
  /** undefined on a joining node that was told none. */
  readonly advertise: HostPort | undefined;
  /** This node's own address: what it listens on, or the one it reaches its manager from; behind NAT others don't know it. */
  readonly localIp: Ipv4;
  /** VTEP address; the one by which the node is known if none was given. */
  readonly dataPathIp: Ipv4;
}

/** What a runner is made with. */
export interface RunnerOptions {
  readonly os: HostOs;
  readonly random: Random;
  readonly log: Log;
  readonly executor: Executor;
  readonly transport: Transport;
  readonly clock: WallClock;
  readonly addresses: NodeAddresses;
  readonly availability: Availability;
  /** A new swarm with these settings, or the swarm to join. */
  readonly start:
    | { readonly kind: "init"; readonly cluster: ClusterSettings }
    | { readonly kind: "join"; readonly request: JoinRequest }
    | { readonly kind: "restart"; readonly state: NodeState };
  readonly onChange: () => void;
  readonly onClusterChange?: (change: StoreAction) => void;
}

/** What a node has on disk (/var/lib/docker/swarm): its identity, managers it knows, its tasks, and a manager's own state. */
export interface NodeState {
  readonly addresses: NodeAddresses;
  readonly availability: Availability;
  readonly security: SecurityConfig;
  readonly remotes: readonly { readonly nodeId: string; readonly addr: string }[];
  readonly tasks: readonly TaskObject[];
  readonly manager: { readonly cluster: ClusterSettings; readonly state: ManagerState } | undefined;
}

/** How far it is. */
export type RunnerState = "pending" | "active" | "error" | "stopped";

/** Runs the node of a daemon that is in a swarm (daemon/cluster/noderunner.go). */
export class NodeRunner {
  readonly #options: RunnerOptions;
  readonly #remotes: Remotes;
  readonly #process: Process;
  #state: RunnerState = "pending";
  #error: Error | undefined;
  #security: SecurityConfig | undefined;
  #manager: Manager | undefined;
  #agent: Agent | undefined;
  readonly changed = new Signal();

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#remotes = new Remotes(options.random.fork("remotes"));
    this.#process = options.os.spawn("swarm node", this.#run());
  }

  get state(): RunnerState {
    return this.#state;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  get security(): SecurityConfig | undefined {
    return this.#security;
  }

  get manager(): Manager | undefined {
    return this.#manager;
  }

  get agent(): Agent | undefined {
    return this.#agent;
  }

  get addresses(): NodeAddresses {
    return this.#options.addresses;
  }

  /** The managers that this node knows. */
  get remotes(): readonly { readonly nodeId: string; readonly addr: string }[] {
    return this.#remotes.list();
  }

  /** Waits until the node is part of the swarm, or failed; false when the deadline came first. */
  *settled(until?: number): Proc<boolean> {
    while (this.#state === "pending") {
      const source = yield until === undefined ? { on: [this.changed] } : { on: [this.changed], until };
      if (source === undefined) return this.#state !== "pending";
    }
    return true;
  }

  /** Drops all assignments and stops; false when that took longer than 15 s. */
  *stop(): Proc<boolean> {
    this.#process.kill();
    const agent = this.#agent;
    let clean = true;
    if (agent !== undefined) {
      const stopping = this.#options.os.spawn("agent stop", agent.stop());
      clean = yield* join(stopping, this.#options.os.now() + STOP_TIMEOUT);
      stopping.kill();
    }
    this.kill();
    return clean;
  }

  /** What the node has on disk; undefined as long as it has no certificate. */
  get nodeState(): NodeState | undefined {
    const { addresses, availability, start } = this.#options;
    const security = this.#security ?? (start.kind === "restart" ? start.state.security : undefined);
    if (security === undefined) return undefined;
    const cluster =
      start.kind === "init" ? start.cluster : start.kind === "restart" ? start.state.manager?.cluster : undefined;
    const state = this.#manager?.state ?? (start.kind === "restart" ? start.state.manager?.state : undefined);
    const manager = cluster === undefined || state === undefined ? undefined : { cluster, state };
    // An agent that has not started yet has not touched what was there before.
    const tasks = this.#agent?.tasks ?? (start.kind === "restart" ? start.state.tasks : []);
    return { addresses, availability, security, remotes: this.#remotes.list(), tasks, manager };
  }

  /** Ends everything at once. */
  kill(): void {
    this.#process.kill();
    this.#agent?.kill();
    this.#agent = undefined;
    this.#manager?.stop();
    this.#manager = undefined;
    this.#set("stopped");
  }

  *#run(): Proc<void> {
    try {
      const security = yield* this.#obtainSecurity();
      this.#security = security;
      const { start } = this.#options;
      if (start.kind === "init") yield* this.#startManager(security, start.cluster);
      else if (start.kind === "restart" && start.state.manager !== undefined)
        yield* this.#startManager(security, start.state.manager.cluster, start.state.manager.state);
      this.#startAgent(security);
      while (this.#agent?.ready === false) yield { on: [this.#agent.changed] };
      this.#set("active");
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#error = error;
      this.#manager?.stop();
      this.#manager = undefined;
      this.#set("error");
    }
  }

  #set(state: RunnerState): void {
    this.#state = state;
    this.changed.notify();
    this.#options.onChange();
  }

  *#obtainSecurity(): Proc<SecurityConfig> {
    const { start, clock, os, random, transport } = this.#options;
    if (start.kind === "init") return bootstrapSecurity(random.fork("ca"), clock.unixSeconds(os.now()));
    if (start.kind === "restart") {
      for (const { nodeId, addr } of start.state.remotes) this.#remotes.observe(nodeId, addr, OBSERVATION_WEIGHT);
      return start.state.security;
    }
    const { ip, port } = start.request;
    this.#remotes.observe("", `${formatIpv4(ip)}:${port}`, OBSERVATION_WEIGHT);
    return yield* obtainSecurity({ os, random, transport }, start.request);
  }

  *#startManager(security: SecurityConfig, cluster: ClusterSettings, restore?: ManagerState): Proc<void> {
    const { os, random, log, transport, addresses, availability, clock, onClusterChange } = this.#options;
    const { listen } = addresses;
    const advertise = addresses.advertise ?? { ip: addresses.localIp, port: listen.port };
    const advertiseAddr = `${formatIpv4(advertise.ip)}:${advertise.port}`;
    const unixSeconds = () => clock.unixSeconds(os.now());
    try {
      const parts = {
        os,
        random: random.fork("manager"),
        log,
        transport,
        security,
        availability,
        cluster,
        unixSeconds,
        ...(restore === undefined ? {} : { restore }),
        ...(onClusterChange === undefined ? {} : { onClusterChange }),
      };
      this.#manager = new Manager({ ...parts, listenIp: listen.ip, listenPort: listen.port, advertiseAddr });
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw new Error(`listen tcp ${formatIpv4(listen.ip)}:${listen.port}: bind: ${goErrnoText(error)}`);
    }
    this.#remotes.observe(security.nodeId, advertiseAddr, OBSERVATION_WEIGHT);
    while (!this.#manager.leading) yield { on: [this.#manager.ready] };
  }

  #startAgent(security: SecurityConfig): void {
    const { os, random, log, executor, start } = this.#options;
    this.#agent = new Agent({
      os,
      random: random.fork("agent"),
      log,
      executor,
      tasks: start.kind === "restart" ? start.state.tasks : [],
      tlsInfo: tlsInfoOf(security.rootCert),
      connect: () => this.#connect(security),
      onManagers: (peers) => {
        this.#remotes.replace(peers);
        this.#options.onChange();
      },
    });
  }

  /** The local control socket on a manager, else some known manager. */
  #connect(security: SecurityConfig): SelectedManager | undefined {
    if (this.#manager !== undefined) return { conn: this.#manager.localConn(), observe: () => {} };
    const remote = this.#remotes.select();
    const at = remote === undefined ? undefined : parseRemoteAddr(remote.addr);
    if (remote === undefined || at === undefined) return undefined;
    const conn = this.#options.transport.dial(at.ip, at.port, credentialsOf(security));
    const observe = (good: boolean) =>
      this.#remotes.observe(remote.nodeId, remote.addr, good ? OBSERVATION_WEIGHT : -OBSERVATION_WEIGHT);
    return { conn, observe };
  }

  /** A connection to the local manager, leader or not yet; undefined without one. */
  controlConn(): ClientConn | undefined {
    return this.#manager?.localConn();
  }
}
