/**
 * The objects of a swarm's store, as swarmkit's api/objects.proto and api/types.proto have them (camel case
 * instead of protobuf's names). Objects are immutable: a change is a new object. What the Engine's API shows
 * is made from them in `convert.ts`.
 */
import type { Time } from "../../base/time.ts";
import type {
  ContainerSpec,
  ContainerStatus,
  Endpoint,
  EndpointSpec,
  LogDriver,
  Placement,
  PublishedPort,
  ResourceRequirements,
  RestartPolicy,
  ServiceMode,
  UpdateConfig,
  UpdateStatus,
} from "./services.ts";

/** Version of an object: the index of the write that made it. */
export interface Version {
  readonly index: number;
}

/** `version` is the raft commit index read at the start of the transaction that wrote the object. */
export interface Meta {
  readonly version: Version;
  readonly createdAt: Time;
  readonly updatedAt: Time;
}

/** Name and labels. */
export interface Annotations {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a node may become. */
export type NodeRole = "worker" | "manager";

/** Whether a node takes tasks. */
export type Availability = "active" | "pause" | "drain";

/** Whether a node was let in. */
export type Membership = "pending" | "accepted";

/** What the dispatcher knows of a node. */
export type NodeState = "unknown" | "down" | "ready" | "disconnected";

// ------------------------------------------------------------------------------------------ tasks' states

/** api/types.proto TaskState; observed states only move upward. */
export const TaskState = {
  NEW: 0,
  PENDING: 64,
  ASSIGNED: 192,
  ACCEPTED: 256,
  PREPARING: 320,
  READY: 384,
  STARTING: 448,
  RUNNING: 512,
  COMPLETE: 576,
  SHUTDOWN: 640,
  FAILED: 704,
  REJECTED: 768,
  REMOVE: 800,
  ORPHANED: 832,
} as const;
/** A value of TaskState. */
export type TaskState = (typeof TaskState)[keyof typeof TaskState];

/** The word of a state as the API shows it (lower case). */
export function taskStateName(state: TaskState): string {
  const entry = Object.entries(TaskState).find(([, value]) => value === state);
  return (entry?.[0] ?? "unknown").toLowerCase();
}

// ------------------------------------------------------------------------------------------------ network

/** A driver with its options. */
export interface Driver {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
}

/** A pool. */
export interface IpamConfig {
  readonly subnet: string;
  readonly range: string;
  readonly gateway: string;
}

/** IPAM driver and pools. */
export interface IpamOptions {
  readonly driver: Driver | undefined;
  readonly configs: readonly IpamConfig[];
}

/** What a network shall be. */
export interface NetworkSpec {
  readonly annotations: Annotations;
  readonly driverConfig?: Driver | undefined;
  readonly ipv6Enabled: boolean;
  readonly internal: boolean;
  readonly ipam?: IpamOptions | undefined;
  readonly attachable: boolean;
  readonly ingress: boolean;
}

/** A network of the swarm. */
export interface NetworkObject {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: NetworkSpec;
  /** Filled in by the allocator: the driver's name and options (the VNI list). Absent = not allocated. */
  readonly driverState?: Driver | undefined;
  /** The allocated pools. */
  readonly ipam?: IpamOptions | undefined;
}

/** A network with the addresses that a task or a node has on it; addresses in CIDR notation. */
export interface NetworkAttachment {
  readonly network: NetworkObject;
  readonly addresses: readonly string[];
  readonly aliases: readonly string[];
}

/** A network that a task's spec asks for. */
export interface NetworkAttachmentConfig {
  readonly target: string;
  readonly aliases: readonly string[];
  /** Wished addresses; empty = any. */
  readonly addresses: readonly string[];
  readonly driverOpts?: Readonly<Record<string, string>> | undefined;
}

// --------------------------------------------------------------------------------------------------- node

/** A plugin of an engine. */
export interface PluginDescription {
  readonly type: string;
  readonly name: string;
}

/** What a node tells of itself in every session request. */
export interface NodeDescription {
  readonly hostname: string;
  readonly platform: { readonly architecture: string; readonly os: string };
  readonly resources: { readonly nanoCpus: number; readonly memoryBytes: number };
  readonly engine: {
    readonly engineVersion: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly plugins: readonly PluginDescription[];
  };
  /** PEM of the trusted root, subject and public key of the issuer (base64 of DER); filled in by the agent. */
  readonly tlsInfo?: TlsInfo | undefined;
}

/** Trust root and issuer of a node's certificate. */
export interface TlsInfo {
  readonly trustRoot: string;
  readonly certIssuerSubject: string;
  readonly certIssuerPublicKey: string;
}

/** What a node shall be. */
export interface NodeSpec {
  readonly annotations: Annotations;
  /** The desired role; `NodeObject.role` is the actual one. */
  readonly desiredRole: NodeRole;
  readonly membership: Membership;
  readonly availability: Availability;
}

/** How far the issue of a certificate is. */
export type CertificateState = "unknown" | "pending" | "issued" | "failed" | "rotate" | "renew";

/** A node's certificate, or its request. */
export interface NodeCertificate {
  readonly role: NodeRole;
  /** PEM. */
  readonly csr: string;
  readonly state: CertificateState;
  readonly error: string;
  /** PEM; empty until issued. */
  readonly certificate: string;
  readonly cn: string;
}

/** A manager in raft. */
export interface ManagerStatus {
  /** Lower-case hexadecimal: a raft ID has 63 bits. */
  readonly raftId: string;
  readonly addr: string;
  readonly leader: boolean;
  readonly reachability: "unknown" | "unreachable" | "reachable";
}

/** A node of the swarm. */
export interface NodeObject {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: NodeSpec;
  readonly description?: NodeDescription | undefined;
  readonly status: { readonly state: NodeState; readonly message: string; readonly addr: string };
  readonly managerStatus?: ManagerStatus | undefined;
  /** Load-balancer addresses: one per overlay network with a task on the node, and always the ingress one. */
  readonly attachments: readonly NetworkAttachment[];
  readonly certificate: NodeCertificate;
  readonly role: NodeRole;
  readonly vxlanUdpPort: number;
}

// ------------------------------------------------------------------------------------------------ cluster

/** A key of gossip or IPsec with its Lamport time. */
export interface EncryptionKey {
  readonly subsystem: "networking:gossip" | "networking:ipsec";
  /** AES_128_GCM: 16 bytes as 32 hexadecimal digits. */
  readonly key: string;
  readonly lamportTime: number;
}

/** What the cluster shall be. */
export interface ClusterSpec {
  readonly annotations: Annotations;
  readonly orchestration: { readonly taskHistoryRetentionLimit: number };
  readonly raft: {
    readonly snapshotInterval: number;
    readonly keepOldSnapshots: number;
    readonly logEntriesForSlowFollowers: number;
    readonly heartbeatTick: number;
    readonly electionTick: number;
  };
  readonly dispatcher: { readonly heartbeatPeriod: Time };
  readonly ca: { readonly nodeCertExpiry: Time; readonly forceRotate: number };
  readonly encryption: { readonly autoLockManagers: boolean };
}

/** Secrets of the two roles. */
export interface JoinTokens {
  readonly worker: string;
  readonly manager: string;
}

/** The cluster. */
export interface ClusterObject {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: ClusterSpec;
  readonly rootCa: {
    /** PEM of the root certificate. */
    readonly caCert: string;
    /** The CA's private scalar in hexadecimal. Never leaves the managers. */
    readonly caKey: string;
    /** Hexadecimal SHA-256 of `caCert`. */
    readonly caCertHash: string;
    readonly joinTokens: JoinTokens;
  };
  readonly networkBootstrapKeys: readonly EncryptionKey[];
  readonly encryptionKeyLamportClock: number;
  /** IDs of removed nodes: their certificates are refused (swarmkit BlacklistedCertificates). */
  readonly removedNodes: readonly string[];
  readonly defaultAddressPool: readonly string[];
  readonly subnetSize: number;
  readonly vxlanUdpPort: number;
}

// ---------------------------------------------------------------------------------------- services, tasks

/** `attachment`: stands for a standalone container on a swarm network. */
export interface TaskSpec {
  readonly runtime: "container" | "attachment";
  /** Of an attachment: the container it stands for. */
  readonly containerId?: string | undefined;
  readonly container?: ContainerSpec | undefined;
  readonly networks: readonly NetworkAttachmentConfig[];
  readonly resources?: ResourceRequirements | undefined;
  readonly restart?: RestartPolicy | undefined;
  readonly placement?: Placement | undefined;
  readonly logDriver?: LogDriver | undefined;
  /** `--force`: tasks are replaced when it changes. */
  readonly forceUpdate?: number | undefined;
}

/** Everything a user says of a service. */
export interface ServiceSpec {
  readonly annotations: Annotations;
  readonly task: TaskSpec;
  readonly mode?: ServiceMode | undefined;
  readonly update?: UpdateConfig | undefined;
  readonly rollback?: UpdateConfig | undefined;
  readonly endpoint?: EndpointSpec | undefined;
}

/** A service. */
export interface ServiceObject {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: ServiceSpec;
  /** Changes with `spec`, and so tells tasks of an earlier spec. */
  readonly specVersion?: Version | undefined;
  readonly previousSpec?: ServiceSpec | undefined;
  readonly previousSpecVersion?: Version | undefined;
  /** Filled in by the allocator. */
  readonly endpoint?: Endpoint | undefined;
  readonly updateStatus?: UpdateStatus | undefined;
  /** Of a job: how often it was begun anew, and when last. */
  readonly jobStatus?: { readonly iteration: Version; readonly lastExecution: Time } | undefined;
}

/** How far a task is, and why. */
export interface TaskStatus {
  readonly timestamp: Time;
  readonly state: TaskState;
  readonly message: string;
  readonly err: string;
  readonly appliedBy?: string | undefined;
  readonly appliedAt?: Time | undefined;
  readonly container?: ContainerStatus | undefined;
  /** Ports published in host mode. */
  readonly ports?: readonly PublishedPort[] | undefined;
}

/** A task. */
export interface TaskObject {
  readonly id: string;
  readonly meta: Meta;
  readonly annotations: Annotations;
  readonly spec: TaskSpec;
  /** Empty for an attachment. */
  readonly serviceId: string;
  readonly serviceAnnotations: Annotations;
  readonly slot: number;
  /** Empty until assigned, unless preset (attachments, tasks of global services). */
  readonly nodeId: string;
  readonly status: TaskStatus;
  readonly desiredState: TaskState;
  readonly networks: readonly NetworkAttachment[];
  /** The service's, as it was when the task was allocated. */
  readonly endpoint?: Endpoint | undefined;
  /** Of the service's spec that it was made from. */
  readonly specVersion?: Version | undefined;
  /** Of a job's task: the iteration that it belongs to. */
  readonly jobIteration?: Version | undefined;
}

/** Name of a task: its own, else `<service>.<slot or node>.<id>` (swarmkit api/naming/naming.go Task). */
export function taskName(task: TaskObject): string {
  if (task.annotations.name !== "") return task.annotations.name;
  const place = task.slot === 0 ? task.nodeId : String(task.slot);
  return `${task.serviceAnnotations.name}.${place}.${task.id}`;
}

/** Label of the store's `bridge` and `host` objects (swarmkit networkallocator.PredefinedLabel). */
export const PREDEFINED_LABEL = "com.docker.swarm.predefined";

/** Name of the one cluster object (swarmkit store.DefaultClusterName). */
export const DEFAULT_CLUSTER_NAME = "default";

/** True for the routing mesh's network. */
export function isIngressNetwork(network: NetworkObject): boolean {
  return network.spec.ingress;
}

/** True for a network that is allocated as an overlay. */
export function isOverlayNetwork(network: NetworkObject): boolean {
  return network.driverState?.name === "overlay";
}

/** A meta that the store fills in when the object is created. */
export const NEW_META: Meta = { version: { index: 0 }, createdAt: -1, updatedAt: -1 };
