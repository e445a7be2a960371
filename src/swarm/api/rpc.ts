/** The RPC methods of a manager that this implementation has, with their messages (swarmkit api/*.proto; facts: services on 2377). */
import type { Time } from "../../base/time.ts";
import type { Authorization, StreamMethod, UnaryMethod } from "../transport/transport.ts";
import type {
  Availability,
  CertificateState,
  ClusterObject,
  ClusterSpec,
  EncryptionKey,
  Membership,
  NetworkObject,
  NetworkSpec,
  NodeCertificate,
  NodeDescription,
  NodeObject,
  NodeSpec,
  ServiceObject,
  ServiceSpec,
  TaskObject,
  TaskState,
  TaskStatus,
} from "./objects.ts";

function unary<Req, Res>(path: string, roles: Authorization): UnaryMethod<Req, Res> {
  return { kind: "unary", path: `/docker.swarmkit.v1.${path}`, roles };
}

function stream<Req, Res>(path: string, roles: Authorization): StreamMethod<Req, Res> {
  return { kind: "stream", path: `/docker.swarmkit.v1.${path}`, roles };
}

/** A message without fields. */
export type Empty = Readonly<Record<string, never>>;

// ---------------------------------------------------------------------------------------- CA (api/ca.proto)

/** Service CA (api/ca.proto): the root certificate, for everybody. */
export const GetRootCACertificate = unary<Empty, { readonly certificate: string }>("CA/GetRootCACertificate", "anyone");

/** A CSR, with a token of a node that joins. */
export interface IssueNodeCertificateRequest {
  /** PEM. */
  readonly csr: string;
  readonly token: string;
  readonly availability: Availability;
}

/** Whose certificate it will be. */
export interface IssueNodeCertificateResponse {
  readonly nodeId: string;
  readonly membership: Membership;
}

/** Asks for a certificate. */
export const IssueNodeCertificate = unary<IssueNodeCertificateRequest, IssueNodeCertificateResponse>(
  "NodeCA/IssueNodeCertificate",
  "anyone",
);

/** How far the issue is, and the certificate. */
export interface NodeCertificateStatusResponse {
  readonly state: CertificateState;
  readonly certificate: NodeCertificate;
}
/** Answers when the certificate is issued (or failed); a long poll. */
export const NodeCertificateStatus = unary<{ readonly nodeId: string }, NodeCertificateStatusResponse>(
  "NodeCA/NodeCertificateStatus",
  "anyone",
);

// ------------------------------------------------------------------------ dispatcher (api/dispatcher.proto)

/** A manager and how good a choice it is. */
export interface WeightedPeer {
  readonly nodeId: string;
  /** `ip:port`. */
  readonly addr: string;
  readonly weight: number;
}

/** What a node says of itself. */
export interface SessionRequest {
  readonly description: NodeDescription;
  /** Empty for a new session. */
  readonly sessionId: string;
}

/** What a manager tells its nodes: keys, managers, roles. */
export interface SessionMessage {
  readonly sessionId: string;
  readonly node: NodeObject;
  readonly managers: readonly WeightedPeer[];
  readonly networkBootstrapKeys: readonly EncryptionKey[];
  /** PEM. */
  readonly rootCa: string;
}

/** Service Dispatcher (api/dispatcher.proto): a session with its messages. */
export const Session = stream<SessionRequest, SessionMessage>("Dispatcher/Session", "node");

/** Says that a node lives; the answer is when to say so again. */
export const Heartbeat = unary<{ readonly sessionId: string }, { readonly period: Time }>(
  "Dispatcher/Heartbeat",
  "node",
);

/** A state of a task. */
export interface TaskStatusUpdate {
  readonly taskId: string;
  readonly status: TaskStatus;
}

/** States of tasks. */
export interface UpdateTaskStatusRequest {
  readonly sessionId: string;
  readonly updates: readonly TaskStatusUpdate[];
}

/** Reports states of tasks. */
export const UpdateTaskStatus = unary<UpdateTaskStatusRequest, Empty>("Dispatcher/UpdateTaskStatus", "node");

/** A task that is assigned, changed or taken away. */
export interface AssignmentChange {
  readonly action: "update" | "remove";
  readonly task: TaskObject;
}

/** The assignments of a node, whole or what changed. */
export interface AssignmentsMessage {
  readonly type: "complete" | "incremental";
  /** Decimal sequence strings; a gap makes the agent open a new stream. */
  readonly appliesTo: string;
  readonly resultsIn: string;
  readonly changes: readonly AssignmentChange[];
}

/** The assignments of a node as they change. */
export const Assignments = stream<{ readonly sessionId: string }, AssignmentsMessage>("Dispatcher/Assignments", "node");

// ------------------------------------------------------------------ resource allocator (api/resource.proto)

/** A container outside of services that wants a network. */
export interface AttachNetworkRequest {
  readonly target: string;
  readonly containerId: string;
  readonly addresses: readonly string[];
}

/** Service ResourceAllocator (api/resource.proto): makes an attachment task. */
export const AttachNetwork = unary<AttachNetworkRequest, { readonly attachmentId: string }>(
  "ResourceAllocator/AttachNetwork",
  "node",
);
/** Ends an attachment task. */
export const DetachNetwork = unary<{ readonly attachmentId: string }, Empty>("ResourceAllocator/DetachNetwork", "node");

// ------------------------------------------------------------------------------ control (api/control.proto)

/** Service Control (api/control.proto). */
export const ListNodes = unary<Empty, { readonly nodes: readonly NodeObject[] }>("Control/ListNodes", "manager");

/** One node; NotFound. */
export const GetNode = unary<{ readonly nodeId: string }, { readonly node: NodeObject }>("Control/GetNode", "manager");

/** A new spec for a version of a node. */
export interface UpdateNodeRequest {
  readonly nodeId: string;
  /** Must be the stored version. */
  readonly version: number;
  readonly spec: NodeSpec;
}

/** Changes a node; out of sequence when its version is another. */
export const UpdateNode = unary<UpdateNodeRequest, { readonly node: NodeObject }>("Control/UpdateNode", "manager");

/** Removes a node that is down, or any by force. */
export const RemoveNode = unary<{ readonly nodeId: string; readonly force: boolean }, Empty>(
  "Control/RemoveNode",
  "manager",
);

/** All networks of the swarm. */
export const ListNetworks = unary<Empty, { readonly networks: readonly NetworkObject[] }>(
  "Control/ListNetworks",
  "manager",
);
/** One network; NotFound. */
export const GetNetwork = unary<{ readonly networkId: string }, { readonly network: NetworkObject }>(
  "Control/GetNetwork",
  "manager",
);
/** Makes a network; AlreadyExists. */
export const CreateNetwork = unary<{ readonly spec: NetworkSpec }, { readonly network: NetworkObject }>(
  "Control/CreateNetwork",
  "manager",
);
/** Removes a network that nothing uses. */
export const RemoveNetwork = unary<{ readonly networkId: string }, Empty>("Control/RemoveNetwork", "manager");

/** Several values of one filter are alternatives; of labels all must match (api.ListTasksRequest_Filters). */
export interface ListTasksRequest {
  readonly namePrefixes?: readonly string[];
  readonly idPrefixes?: readonly string[];
  /** Of the task's service; an empty value matches any. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly serviceIds?: readonly string[];
  readonly nodeIds?: readonly string[];
  readonly desiredStates?: readonly TaskState[];
  /** Only tasks that are as their service's spec is now. */
  readonly upToDate?: boolean;
  readonly runtimes?: readonly string[];
}

/** Tasks that fit the filters. */
export const ListTasks = unary<ListTasksRequest, { readonly tasks: readonly TaskObject[] }>(
  "Control/ListTasks",
  "manager",
);
/** One task; NotFound. */
export const GetTask = unary<{ readonly taskId: string }, { readonly task: TaskObject }>("Control/GetTask", "manager");

/** Makes a service; AlreadyExists. */
export const CreateService = unary<{ readonly spec: ServiceSpec }, { readonly service: ServiceObject }>(
  "Control/CreateService",
  "manager",
);
/** A new spec for a version of a service. */
export interface UpdateServiceRequest {
  readonly serviceId: string;
  /** Must be the stored version. */
  readonly version: number;
  readonly spec: ServiceSpec;
  /** Back to the previous spec; `spec` is not used then. */
  readonly rollback?: "previous";
}

/** Changes a service; out of sequence when its version is another. */
export const UpdateService = unary<UpdateServiceRequest, { readonly service: ServiceObject }>(
  "Control/UpdateService",
  "manager",
);
/** Removes a service; its tasks follow. */
export const RemoveService = unary<{ readonly serviceId: string }, Empty>("Control/RemoveService", "manager");

/** One service; NotFound. */
export const GetService = unary<{ readonly serviceId: string }, { readonly service: ServiceObject }>(
  "Control/GetService",
  "manager",
);
/** Filters of services. */
export interface ListServicesRequest {
  readonly namePrefixes?: readonly string[];
  readonly idPrefixes?: readonly string[];
  /** An empty value matches any. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly runtimes?: readonly string[];
}

/** Services that fit the filters. */
export const ListServices = unary<ListServicesRequest, { readonly services: readonly ServiceObject[] }>(
  "Control/ListServices",
  "manager",
);
/** How many tasks of a service run, should, and have ended well. */
export interface ServiceStatus {
  readonly serviceId: string;
  readonly runningTasks: number;
  readonly desiredTasks: number;
  readonly completedTasks: number;
}

/** How many tasks services have and want. */
export const ListServiceStatuses = unary<
  { readonly serviceIds: readonly string[] },
  { readonly statuses: readonly ServiceStatus[] }
>("Control/ListServiceStatuses", "manager");

/** The cluster, in a list. */
export const ListClusters = unary<Empty, { readonly clusters: readonly ClusterObject[] }>(
  "Control/ListClusters",
  "manager",
);
/** A new spec for a version of the cluster. */
export interface UpdateClusterRequest {
  readonly clusterId: string;
  readonly version: number;
  readonly spec: ClusterSpec;
  readonly rotateWorkerToken: boolean;
  readonly rotateManagerToken: boolean;
}

/** Changes the cluster or rotates its tokens. */
export const UpdateCluster = unary<UpdateClusterRequest, { readonly cluster: ClusterObject }>(
  "Control/UpdateCluster",
  "manager",
);

// ----------------------------------------------------------------------------- logs (api/logbroker.proto)

/** Whose output is wanted: any of these. */
export interface LogSelector {
  readonly serviceIds: readonly string[];
  readonly nodeIds: readonly string[];
  readonly taskIds: readonly string[];
}

/** Which part of logs is wanted. */
export interface LogOptions {
  readonly follow: boolean;
  /** Lines from the end; absent = all. */
  readonly tail?: number;
  /** Lines from this time on. */
  readonly since?: Time;
}
/** A line of a task's output. */
export interface LogMessage {
  readonly context: { readonly serviceId: string; readonly nodeId: string; readonly taskId: string };
  readonly timestamp: Time;
  readonly stream: "stdout" | "stderr";
  readonly data: string;
}
/** What a manager asks of an agent: to publish what tasks print, or to end that. */
export interface SubscriptionMessage {
  readonly id: string;
  readonly selector: LogSelector;
  readonly options: LogOptions;
  readonly close: boolean;
}

/** Service LogBroker (api/logbroker.proto): whose logs a node shall send. */
export const ListenSubscriptions = stream<Empty, SubscriptionMessage>("LogBroker/ListenSubscriptions", "node");

/** Lines of logs for a subscription. */
export interface PublishLogsMessage {
  readonly subscriptionId: string;
  readonly messages: readonly LogMessage[];
  /** No more comes from this node. */
  readonly close: boolean;
}
/** One call a batch: this implementation's RPC has no streams of requests. */
export const PublishLogs = unary<PublishLogsMessage, Empty>("LogBroker/PublishLogs", "node");

/** Lines of logs for who asked. */
export interface SubscribeLogsMessage {
  readonly messages: readonly LogMessage[];
}

/** Asks for logs of services or tasks. */
export const SubscribeLogs = stream<
  { readonly selector: LogSelector; readonly options: LogOptions },
  SubscribeLogsMessage
>("Logs/SubscribeLogs", "manager");
