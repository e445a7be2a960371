/**
 * The Docker Engine API as functions: request in, response out, JSON shapes as in the API's reference
 * (facts: engine-api.md, swarmkit.md §11). The shell's `docker` calls these; an HTTP server can map its
 * routes to them one to one. Refusals throw ApiError with the HTTP status and the daemon's message.
 */
import type { Time } from "../base/time.ts";
import type { Channel, Proc } from "../scheduler/process.ts";
import type { Pipe } from "./program.ts";

/** A refusal: HTTP status and the `message` of the error body. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** An error in the stream of a request that had begun well (jsonmessage); clients show it as it is. */
export class StreamError extends ApiError {
  override name = "StreamError";
  constructor(message: string) {
    super(200, message);
  }
}

/** `filters` query: key → values. */
export type Filters = Readonly<Record<string, readonly string[]>>;

/** Any JSON value; responses are plain objects with Docker's keys in Docker's order. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };
/** A response, or a part of one. */
export type JsonObject = { readonly [key: string]: Json | undefined };

/** An attached container or exec: what the raw or multiplexed stream carries. */
export interface AttachStream {
  /** What the client types; closing it is end of file. */
  readonly stdin: Pipe;
  /** What the process prints; closed when the process has ended and all was delivered. */
  readonly output: Channel<{ readonly stream: "stdout" | "stderr"; readonly text: string }>;
  /** Sends a signal's key (Ctrl-C) through the terminal. */
  interrupt(): void;
  detach(): void;
}

/** POST /swarm/init. */
export interface SwarmInitRequest {
  ListenAddr?: string;
  AdvertiseAddr?: string;
  DataPathAddr?: string;
  DataPathPort?: number;
  DefaultAddrPool?: readonly string[];
  SubnetSize?: number;
  ForceNewCluster?: boolean;
  AutoLockManagers?: boolean;
  Availability?: string;
  /** What is left out is the default. Durations in ns. */
  Spec?: {
    Orchestration?: { TaskHistoryRetentionLimit?: number };
    Raft?: { SnapshotInterval?: number; KeepOldSnapshots?: number };
    Dispatcher?: { HeartbeatPeriod?: number };
    CAConfig?: { NodeCertExpiry?: number };
  };
}

/** POST /swarm/join. */
export interface SwarmJoinRequest {
  ListenAddr?: string;
  AdvertiseAddr?: string;
  DataPathAddr?: string;
  RemoteAddrs: readonly string[];
  JoinToken: string;
  Availability?: string;
}

/** POST /networks/create. */
export interface NetworkCreateRequest {
  Name: string;
  CheckDuplicate?: boolean;
  Driver?: string;
  Scope?: string;
  Internal?: boolean;
  Attachable?: boolean;
  Ingress?: boolean;
  ConfigOnly?: boolean;
  EnableIPv6?: boolean;
  IPAM?: {
    Driver?: string;
    Options?: Record<string, string>;
    Config?: readonly {
      Subnet?: string;
      IPRange?: string;
      Gateway?: string;
      AuxiliaryAddresses?: Record<string, string>;
    }[];
  };
  Options?: Record<string, string>;
  Labels?: Record<string, string>;
}

/** A container on one network, as a request has it. */
export interface EndpointSettings {
  IPAMConfig?: { IPv4Address?: string };
  Aliases?: readonly string[];
  DriverOpts?: Record<string, string>;
}

/** POST /containers/create. */
export interface ContainerCreateRequest {
  Image: string;
  Hostname?: string;
  Cmd?: readonly string[];
  Entrypoint?: readonly string[];
  Env?: readonly string[];
  Labels?: Record<string, string>;
  Tty?: boolean;
  OpenStdin?: boolean;
  StdinOnce?: boolean;
  AttachStdin?: boolean;
  AttachStdout?: boolean;
  AttachStderr?: boolean;
  WorkingDir?: string;
  User?: string;
  MacAddress?: string;
  ExposedPorts?: Record<string, object>;
  StopSignal?: string;
  StopTimeout?: number;
  /** Durations in ns; 0 = the default. */
  Healthcheck?: {
    Test?: readonly string[];
    Interval?: number;
    Timeout?: number;
    StartPeriod?: number;
    Retries?: number;
  };
  HostConfig?: {
    NetworkMode?: string;
    AutoRemove?: boolean;
    PortBindings?: Record<string, readonly { HostIp?: string; HostPort?: string }[]>;
    PublishAllPorts?: boolean;
    RestartPolicy?: { Name: string; MaximumRetryCount?: number };
    Dns?: readonly string[];
    DnsSearch?: readonly string[];
    DnsOptions?: readonly string[];
    ExtraHosts?: readonly string[];
    CapAdd?: readonly string[];
    CapDrop?: readonly string[];
    GroupAdd?: readonly string[];
    ReadonlyRootfs?: boolean;
    Sysctls?: Record<string, string>;
    Isolation?: string;
    Privileged?: boolean;
    Init?: boolean;
  };
  NetworkingConfig?: { EndpointsConfig?: Record<string, EndpointSettings> };
}

/** POST /containers/{id}/exec. */
export interface ExecCreateRequest {
  Cmd: readonly string[];
  Tty?: boolean;
  AttachStdin?: boolean;
  AttachStdout?: boolean;
  AttachStderr?: boolean;
  Detach?: boolean;
  Env?: readonly string[];
  User?: string;
  WorkingDir?: string;
}

/** An event with its time; JavaScript's numbers are too short for `timeNano`. */
export interface EngineEventView {
  readonly time: Time;
  readonly event: JsonObject;
}

/** A line of a service's output; or, with `error`, why some are missing (stdcopy's Systemerr). */
export interface ServiceLogChunk {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  readonly error?: true;
}

/** The requests of one engine. */
export interface EngineApi {
  ping(): { readonly swarm: string };
  version(): JsonObject;
  info(): Proc<JsonObject>;
  /** GET /events: of containers and networks of this engine. Times in seconds since 1970; who has enough closes the channel. */
  events?(options: { since?: number; until?: number; filters?: Filters }): Channel<EngineEventView>;

  swarmInit(request: SwarmInitRequest): Proc<string>;
  swarmJoin(request: SwarmJoinRequest): Proc<void>;
  swarmLeave(force: boolean): Proc<void>;
  /** GET /swarm: with JoinTokens. */
  swarmInspect(): Proc<JsonObject>;
  swarmUpdate(
    version: number,
    flags: { rotateWorkerToken?: boolean; rotateManagerToken?: boolean },
    spec: JsonObject,
  ): Proc<void>;

  nodeList(filters?: Filters): Proc<readonly JsonObject[]>;
  nodeInspect(id: string): Proc<JsonObject>;
  nodeUpdate(id: string, version: number, spec: JsonObject): Proc<void>;
  nodeRemove(id: string, force: boolean): Proc<void>;

  networkList(filters?: Filters): Proc<readonly JsonObject[]>;
  networkInspect(id: string, options?: { verbose?: boolean; scope?: string }): Proc<JsonObject>;
  networkCreate(request: NetworkCreateRequest): Proc<{ Id: string; Warning: string }>;
  networkRemove(id: string): Proc<void>;
  networkConnect(id: string, request: { Container: string; EndpointConfig?: EndpointSettings }): Proc<void>;
  networkDisconnect(id: string, request: { Container: string; Force?: boolean }): Proc<void>;
  networkPrune(filters?: Filters): Proc<{ NetworksDeleted: readonly string[] }>;

  containerCreate(
    name: string | undefined,
    request: ContainerCreateRequest,
  ): Proc<{ Id: string; Warnings: readonly string[] }>;
  containerStart(id: string): Proc<void>;
  /** Seconds to wait before SIGKILL; the container's own (10) where not given. False when it wasn't running (304). */
  containerStop(id: string, timeoutSec?: number): Proc<boolean>;
  containerRestart(id: string, timeoutSec?: number): Proc<void>;
  containerKill(id: string, signal?: string): Proc<void>;
  containerRename(id: string, name: string): Proc<void>;
  containerWait(id: string, condition?: "not-running" | "next-exit" | "removed"): Proc<{ StatusCode: number }>;
  containerRemove(id: string, options?: { force?: boolean; volumes?: boolean }): Proc<void>;
  containerList(options?: { all?: boolean; limit?: number; filters?: Filters }): Proc<readonly JsonObject[]>;
  containerInspect(id: string): Proc<JsonObject>;
  /** Chunks already logged, then live ones while `follow`. */
  containerLogs(
    id: string,
    options: { follow?: boolean; tail?: number; timestamps?: boolean; since?: Time; until?: Time },
  ): Channel<{ readonly stream: "stdout" | "stderr"; readonly text: string }>;
  containerAttach(id: string): AttachStream;
  containerTop(id: string): JsonObject;

  execCreate(container: string, request: ExecCreateRequest): Proc<{ Id: string }>;
  execStart(id: string, detach: boolean): Proc<AttachStream | undefined>;
  execInspect(id: string): JsonObject;

  imageList(filters?: Filters): readonly JsonObject[];
  /** GET /distribution/{name}/json: what a registry says of an image. Absent where there is none to ask. */
  distributionInspect?(reference: string): Proc<JsonObject>;
  /** POST /images/create. Absent where there is no registry to ask; throws the registry's error. */
  imagePull?(reference: string, progress: (line: string) => void): Proc<void>;

  /** POST /services/create: the spec as in the API's reference (ServiceSpec). */
  serviceCreate?(spec: JsonObject): Proc<{ readonly ID: string; readonly Warnings?: readonly string[] }>;
  /** @param options.status with ServiceStatus: tasks that run and that should */
  serviceList?(options?: { filters?: Filters; status?: boolean }): Proc<readonly JsonObject[]>;
  serviceInspect?(id: string, options?: { insertDefaults?: boolean }): Proc<JsonObject>;
  /** @param version `Version.Index` that the spec was read at */
  serviceUpdate?(
    id: string,
    version: number,
    spec: JsonObject,
    options?: { rollback?: "previous" },
  ): Proc<{ readonly Warnings: readonly string[] | null }>;
  serviceRemove?(id: string): Proc<void>;
  /** Lines of a service's or a task's containers, from all their nodes; `details` as in GET /services/{id}/logs. */
  serviceLogs?(
    kind: "service" | "task",
    id: string,
    options: { follow?: boolean; tail?: number; timestamps?: boolean; details?: boolean; since?: number },
  ): Channel<ServiceLogChunk>;
  /** GET /tasks (managers only). */
  taskList?(filters?: Filters): Proc<readonly JsonObject[]>;
  taskInspect?(id: string): Proc<JsonObject>;
}
