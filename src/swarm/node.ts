/**
 * A host's membership in a swarm as its Engine uses it (moby daemon/cluster/cluster.go, swarm.go): init, join,
 * leave, tokens, state, attachments of containers, and the control API where the node is a manager. Errors are
 * those the user sees; `statusOfError` gives their HTTP status.
 */
import { formatIpv4, type Ipv4, parseIpv4 } from "../base/addr.ts";
import { ERRNO_TEXT, KernelError } from "../base/errors.ts";
import { SEC } from "../base/time.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Proc, Signal } from "../scheduler/process.ts";
import {
  type HostPort,
  parseRemoteAddr,
  readInterfaces,
  resolveAdvertiseAddr,
  resolveDataPathAddr,
  resolveDataPathPort,
  resolveListenAddr,
  resolveLocalAddr,
  type SystemInterface,
  splitRemoteAddr,
  validateAddressPools,
} from "./addresses.ts";
import { type ApiClusterInfo, clusterInfoToApi, type WallClock, wallClock } from "./api/convert.ts";
import type { Availability, ClusterSpec, NodeRole } from "./api/objects.ts";
import { errorText, SwarmError } from "./api/status.ts";
import { Attachments, type NetworkAttachmentResult } from "./attachments.ts";
import { tlsInfoOf } from "./ca/security.ts";
import { ControlClient } from "./control-client.ts";
import type { Executor } from "./executor.ts";
import type { Log } from "./manager/component.ts";
import { type NodeAddresses, NodeRunner, type NodeState, type RunnerOptions } from "./node-runner.ts";
import type { ReadTx, StoreAction } from "./store/memory.ts";
import { TcpTransport } from "./transport/tcp.ts";
import type { ClientConn, Transport } from "./transport/transport.ts";

/** moby's swarmConnectTimeout. */
const JOIN_TIMEOUT = 20 * SEC;
const DEFAULT_LISTEN_ADDR = "0.0.0.0:2377";
/** 2026-01-01T00:00:00Z. */
const DEFAULT_EPOCH = 1_767_225_600;

// daemon/cluster/errors.go, cluster.go.
const SWARM_EXISTS =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';
const NO_SWARM = "This node is not part of a swarm";
const JOIN_TIMED_OUT =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.';
const NOT_MANAGER = "This node is not a swarm manager.";
const NO_MANAGER_NO_SWARM = `${NOT_MANAGER} Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`;
const NO_MANAGER_WORKER = `${NOT_MANAGER} Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.`;
const NO_MANAGER_STARTING = `${NOT_MANAGER} Manager is being prepared or has trouble connecting to the cluster.`;
const LEAVE_MANAGER = "You are attempting to leave the swarm on a node that is participating as a manager. ";
const LEAVE_LAST =
  "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ";
const LEAVE_STARTING = "Doing so may lose the consensus of your cluster. ";
const LEAVE_RESTORE =
  "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.";

/** What it is made with. */
export interface SwarmNodeOptions {
  readonly os: HostOs;
  readonly executor: Executor;
  /** The daemon's log; default: nothing is kept. */
  readonly log?: Log;
  /** Default: TCP of the host's root namespace. */
  readonly transport?: Transport;
  /** Default: wall clock with virtual time 0 = 2026-01-01T00:00:00Z. */
  readonly clock?: WallClock;
  /** Default: what netlink of the root namespace says. */
  readonly interfaces?: () => readonly SystemInterface[];
  /** Source address towards a destination; default: the root namespace's routes. */
  readonly sourceAddress?: (destination: Ipv4) => Ipv4;
  /** The address of a host's name, or why there is none, in Go's words; default: no name is known. */
  readonly resolve?: (name: string) => Proc<Ipv4 | string>;
  /** Called with each change of the swarm's objects while this node manages it (noderunner.go watchClusterEvents). */
  readonly onClusterChange?: (change: StoreAction) => void;
}

// biome-ignore lint/correctness/useYield: nothing is asked
function* noNames(name: string): Proc<string> {
  return `lookup ${name}: no such host`;
}

/** moby daemon/cluster/noderunner.go newNodeRunner. */
function noLocalAddress(why: string): SwarmError {
  return new SwarmError(500, `could not find local IP address: ${why}`);
}

/** The body of POST /swarm/init; what is absent is Docker's default. */
export interface InitOptions {
  readonly listenAddr?: string;
  readonly advertiseAddr?: string;
  readonly dataPathAddr?: string;
  readonly dataPathPort?: number;
  readonly defaultAddrPool?: readonly string[];
  readonly subnetSize?: number;
  readonly availability?: Availability;
  /** Changes the default cluster spec. */
  readonly spec?: (base: ClusterSpec) => ClusterSpec;
}

/** The body of POST /swarm/join. */
export interface JoinOptions {
  readonly listenAddr?: string;
  readonly advertiseAddr?: string;
  readonly dataPathAddr?: string;
  readonly remoteAddrs: readonly string[];
  readonly joinToken: string;
  readonly availability?: Availability;
}

/** LocalNodeState of the Engine API. */
export type LocalNodeState = "inactive" | "pending" | "active" | "error";

/** The `Swarm` part of GET /info. */
export interface SwarmInfo {
  readonly NodeID: string;
  readonly NodeAddr: string;
  readonly LocalNodeState: LocalNodeState;
  readonly ControlAvailable: boolean;
  readonly Error: string;
  readonly RemoteManagers: readonly { readonly NodeID: string; readonly Addr: string }[] | null;
  readonly Nodes?: number;
  readonly Managers?: number;
  readonly Cluster?: ApiClusterInfo;
}

/** What the network agent is started with (moby Cluster.GetListenAddress and its like). */
export interface NetworkAgentAddresses {
  /** Host part of the listen address; 0 = any. */
  readonly bindIp: Ipv4;
  readonly advertiseIp: Ipv4;
  /** This node's own address (GetLocalAddress). */
  readonly localIp: Ipv4;
  readonly dataPathIp: Ipv4;
  /** Known managers except this node. */
  readonly remoteIps: readonly Ipv4[];
}

/** A daemon's part in a swarm: init, join, leave (daemon/cluster). */
export class SwarmNode {
  readonly #options: SwarmNodeOptions;
  readonly #os: HostOs;
  readonly #log: Log;
  readonly #transport: Transport;
  readonly #clock: WallClock;
  #runner: NodeRunner | undefined;
  #memberships = 0;
  /** For the executor's AttachmentController. */
  readonly attachments: Attachments;
  /** Requests about swarm objects; each throws the fitting 503 where this node is no manager. */
  readonly control: ControlClient;
  /** Notified when the state, the role, or the known managers changed. */
  readonly changed = new Signal();

  constructor(options: SwarmNodeOptions) {
    this.#options = options;
    this.#os = options.os;
    this.#log = options.log ?? (() => {});
    this.#transport = options.transport ?? new TcpTransport(options.os);
    this.#clock = options.clock ?? wallClock(DEFAULT_EPOCH);
    this.attachments = new Attachments(this.#os, this.#log, () => this.#runner?.agent);
    this.control = new ControlClient(this.#os, this.#clock, () => this.#managerConn());
  }

  // ---------------------------------------------------------------------------------------------- state

  get localNodeState(): LocalNodeState {
    const state = this.#runner?.state ?? "inactive";
    return state === "stopped" ? "inactive" : state;
  }

  /** Empty outside of a swarm. */
  get nodeId(): string {
    return this.#runner?.security?.nodeId ?? "";
  }

  get isManager(): boolean {
    return this.#runner?.manager !== undefined;
  }

  /** Reads the swarm's objects as this node's manager has them; undefined where it is no manager. Reading changes nothing. */
  objects<T>(read: (tx: ReadTx) => T): T | undefined {
    return this.#runner?.manager?.state.store.view(read);
  }

  /** True where an agent runs: in a swarm, as worker or manager. */
  get isAgent(): boolean {
    return this.#runner?.agent !== undefined;
  }

  /** Where the gossip and the overlay driver live; undefined outside of a swarm. */
  networkAgentAddresses(): NetworkAgentAddresses | undefined {
    const runner = this.#runner;
    if (runner === undefined || runner.state === "stopped") return undefined;
    const { listen, localIp, dataPathIp } = runner.addresses;
    const advertiseIp = knownIp(runner.addresses);
    const remoteIps = runner.remotes
      .filter(({ nodeId }) => nodeId !== this.nodeId)
      .map(({ addr }) => parseRemoteAddr(addr)?.ip)
      .filter((ip) => ip !== undefined);
    return { bindIp: listen.ip, advertiseIp, localIp, dataPathIp, remoteIps };
  }

  /** The `Swarm` part of GET /info. */
  *info(): Proc<SwarmInfo> {
    const runner = this.#runner;
    const base = {
      NodeID: this.nodeId,
      NodeAddr: runner === undefined || runner.state === "stopped" ? "" : formatIpv4(knownIp(runner.addresses)),
      LocalNodeState: this.localNodeState,
      ControlAvailable: runner?.manager?.leading === true && runner.state === "active",
      Error: runner?.error?.message ?? "",
      RemoteManagers:
        runner === undefined ? null : runner.remotes.map(({ nodeId, addr }) => ({ NodeID: nodeId, Addr: addr })),
    };
    if (!base.ControlAvailable) return base;
    try {
      const cluster = yield* this.control.cluster();
      const { nodes, managers } = yield* this.control.countNodes();
      const info = clusterInfoToApi(cluster, tlsInfoOf(cluster.rootCa.caCert), this.#clock);
      return { ...base, Nodes: nodes, Managers: managers, Cluster: info };
    } catch (error) {
      return { ...base, Error: errorText(error) };
    }
  }

  // -------------------------------------------------------------------------------- init, join and leave

  /** Starts a new swarm with this node as its manager; gives the node's ID. */
  *init(options: InitOptions = {}): Proc<string> {
    if (this.#runner !== undefined) throw new SwarmError(503, SWARM_EXISTS);
    const interfaces = this.#interfaces();
    const listen = resolveListenAddr(interfaces, options.listenAddr || DEFAULT_LISTEN_ADDR);
    const advertise = resolveAdvertiseAddr(interfaces, options.advertiseAddr ?? "", listen.port);
    const dataPathIp = resolveDataPathAddr(interfaces, options.dataPathAddr ?? "") ?? advertise.ip;
    const localIp = resolveLocalAddr(interfaces, listen.ip, advertise.ip);
    const subnetSize = options.subnetSize ?? 0;
    const cluster = {
      defaultAddressPool: validateAddressPools(options.defaultAddrPool ?? [], subnetSize),
      subnetSize,
      vxlanUdpPort: resolveDataPathPort(options.dataPathPort ?? 0),
    };
    const runner = this.#start({
      addresses: { listen, advertise, localIp, dataPathIp },
      availability: options.availability ?? "active",
      start: { kind: "init", cluster },
    });
    yield* runner.settled();
    this.#throwFailure(runner);
    const stored = yield* this.control.cluster();
    const spec = options.spec === undefined ? stored.spec : options.spec(stored.spec);
    yield* this.control.updateCluster(stored, stored.meta.version.index, spec);
    return this.nodeId;
  }

  /** Joins a swarm; after 20 s without result the attempt goes on in the background. */
  *join(options: JoinOptions): Proc<void> {
    if (this.#runner !== undefined) throw new SwarmError(503, SWARM_EXISTS);
    const interfaces = this.#interfaces();
    const remoteAddr = options.remoteAddrs[0];
    if (remoteAddr === undefined || remoteAddr === "") {
      throw new SwarmError(400, "at least 1 RemoteAddr is required to join");
    }
    const listen = resolveListenAddr(interfaces, options.listenAddr || DEFAULT_LISTEN_ADDR);
    const dataPath = resolveDataPathAddr(interfaces, options.dataPathAddr ?? "");
    const wished = options.advertiseAddr ?? "";
    const advertise = wished === "" ? undefined : resolveAdvertiseAddr(interfaces, wished, listen.port);
    const remote = yield* this.#remoteOf(remoteAddr);
    const localIp = listen.ip !== 0 ? listen.ip : this.#localAddress(remote);
    const availability = options.availability ?? "active";
    const runner = this.#start({
      addresses: { listen, advertise, localIp, dataPathIp: dataPath ?? advertise?.ip ?? localIp },
      availability,
      start: { kind: "join", request: { ...remote, token: options.joinToken, availability } },
    });
    const settled = yield* runner.settled(this.#os.now() + JOIN_TIMEOUT);
    if (!settled) throw new SwarmError(503, JOIN_TIMED_OUT);
    this.#throwFailure(runner);
  }

  /** HOST:PORT of a manager; without a port 2377. */
  *#remoteOf(text: string): Proc<HostPort> {
    const { host, port } = splitRemoteAddr(text);
    const number = Number(port);
    if (Number.isNaN(number)) throw noLocalAddress(`dial udp: address udp/${port}: unknown port`);
    if (number > 65_535) throw noLocalAddress(`dial udp: address ${port}: invalid port`);
    const found = parseIpv4(host) ?? (yield* this.#options.resolve?.(host) ?? noNames(host));
    if (typeof found === "string") throw noLocalAddress(`dial udp: ${found}`);
    return { ip: found, port: number };
  }

  /** The source address towards a manager, as a UDP socket that connects to it finds it (noderunner.go). */
  #localAddress(remote: HostPort): Ipv4 {
    try {
      return this.#sourceAddress(remote.ip);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const why = error.code === "ENETUNREACH" ? "network is unreachable" : ERRNO_TEXT[error.code].toLowerCase();
      throw noLocalAddress(`dial udp ${formatIpv4(remote.ip)}:${remote.port}: connect: ${why}`);
    }
  }

  /** Leaves the swarm; on a manager only with force. The Engine removes its task containers afterwards. */
  *leave(force: boolean): Proc<void> {
    const runner = this.#runner;
    if (runner === undefined) throw new SwarmError(503, NO_SWARM);
    if (runner.manager !== undefined && !force) throw new SwarmError(503, leaveRefusal(runner));
    const clean = yield* runner.stop();
    if (!clean) throw new Error("context deadline exceeded");
    if (this.#runner === runner) this.#runner = undefined;
    this.attachments.clear();
    this.changed.notify();
  }

  /** The daemon stops: everything ends at once. @returns what stays on disk; undefined when the node is in no swarm */
  suspend(): NodeState | undefined {
    const { state } = this;
    this.kill();
    return state;
  }

  /** What is on disk; undefined when the node is in no swarm. */
  get state(): NodeState | undefined {
    return this.#runner?.nodeState;
  }

  /** The daemon was started again: the node goes on where it was (cluster.go New, reconnectOnFailure). */
  resume(state: NodeState, memberships: number): void {
    this.#memberships = memberships;
    const { addresses, availability } = state;
    this.#start({ addresses, availability, start: { kind: "restart", state } });
  }

  /** How many swarms it has been started in: each has random streams of its own. */
  get memberships(): number {
    return this.#memberships;
  }

  /** Ends everything at once, as the daemon's end does. */
  kill(): void {
    this.#runner?.kill();
    this.#runner = undefined;
    this.attachments.clear();
  }

  #start(parts: Pick<RunnerOptions, "addresses" | "availability" | "start">): NodeRunner {
    const runner = new NodeRunner({
      os: this.#os,
      random: this.#os.random.fork(`swarm ${this.#memberships++}`),
      log: this.#log,
      executor: this.#options.executor,
      transport: this.#transport,
      clock: this.#clock,
      onChange: () => this.changed.notify(),
      ...(this.#options.onClusterChange === undefined ? {} : { onClusterChange: this.#options.onClusterChange }),
      ...parts,
    });
    this.#runner = runner;
    return runner;
  }

  /** A start that failed leaves no trace: the node is as before. */
  #throwFailure(runner: NodeRunner): void {
    if (runner.state === "active") return;
    const error = runner.error ?? new SwarmError(503, NO_SWARM);
    runner.kill();
    if (this.#runner === runner) this.#runner = undefined;
    this.changed.notify();
    throw error;
  }

  #interfaces(): readonly SystemInterface[] {
    return this.#options.interfaces?.() ?? readInterfaces(this.#os.kernel.root);
  }

  #sourceAddress(destination: Ipv4): Ipv4 {
    const lookup = this.#options.sourceAddress ?? ((ip: Ipv4) => this.#os.kernel.root.route.lookup(ip).src);
    return lookup(destination);
  }

  // --------------------------------------------------------------------------------------------- tokens

  /** The token that lets a node join in a role. */
  *joinToken(role: NodeRole): Proc<string> {
    return (yield* this.control.cluster()).rootCa.joinTokens[role];
  }

  /** Makes a new token for a role; the old one is worth nothing from then on. */
  *rotateJoinToken(role: NodeRole): Proc<string> {
    const cluster = yield* this.control.cluster();
    const updated = yield* this.control.updateCluster(cluster, cluster.meta.version.index, cluster.spec, {
      [role]: true,
    });
    return updated.rootCa.joinTokens[role];
  }

  // ---------------------------------------------------------------------------------------- attachments

  /**
   * Attaches a container to a swarm network, by name or ID; gives its addresses. Waits at most 20 s. Throws
   * `Could not attach to network …` with the manager's refusal, or `attaching to network failed, …`.
   */
  *attachNetwork(
    target: string,
    containerId: string,
    addresses: readonly string[] = [],
  ): Proc<NetworkAttachmentResult> {
    return yield* this.attachments.attach(target, containerId, addresses);
  }

  /** Ends an attachment; the manager hears of it from the agent. Throws when there is none. */
  // biome-ignore lint/correctness/useYield: the same shape as attachNetwork
  *detachNetwork(target: string, containerId: string): Proc<void> {
    this.attachments.detach(target, containerId);
  }

  /** cluster.go errNoManager. */
  #managerConn(): ClientConn {
    const runner = this.#runner;
    if (runner === undefined || runner.state === "error" || runner.state === "stopped") {
      throw new SwarmError(503, NO_MANAGER_NO_SWARM);
    }
    const conn = runner.controlConn();
    if (conn === undefined) throw new SwarmError(503, NO_MANAGER_WORKER);
    if (runner.manager?.leading !== true) throw new SwarmError(503, NO_MANAGER_STARTING);
    return conn;
  }
}

/** The address by which a node is known: the advertised one, or its own (GetAdvertiseAddress). */
function knownIp({ advertise, localIp }: NodeAddresses): Ipv4 {
  return advertise?.ip ?? localIp;
}

/** swarm.go Leave: why a manager may not leave without force. */
function leaveRefusal(runner: NodeRunner): string {
  const manager = runner.manager;
  if (manager?.leading !== true) return LEAVE_MANAGER + LEAVE_STARTING + LEAVE_RESTORE;
  const members = manager.membership.members();
  const reachable = members.filter((member) => member.reachability === "reachable").length;
  if (members.length === 1) return LEAVE_MANAGER + LEAVE_LAST;
  const losesQuorum = reachable - 1 < Math.floor((members.length - 1) / 2) + 1;
  const loss = `Removing this node leaves ${reachable - 1} managers out of ${members.length}. Without a Raft quorum your swarm will be inaccessible. `;
  return LEAVE_MANAGER + (losesQuorum ? loss : "") + LEAVE_RESTORE;
}
