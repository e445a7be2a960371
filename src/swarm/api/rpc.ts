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

export type Empty = Readonly<Record<string, never>>;

// ---------------------------------------------------------------------------------------- CA (api/ca.proto)

export const GetRootCACertificate = unary<Empty, { readonly certificate: string }>("CA/GetRootCACertificate", "anyone");

export interface IssueNodeCertificateRequest {
  /** PEM. */
  readonly csr: string;
  readonly token: string;
  readonly availability: Availability;
}
export interface IssueNodeCertificateResponse {
  readonly nodeId: string;
  readonly membership: Membership;
}
export const IssueNodeCertificate = unary<IssueNodeCertificateRequest, IssueNodeCertificateResponse>(
  "NodeCA/IssueNodeCertificate",
  "anyone",
);

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

export interface WeightedPeer {
  readonly nodeId: string;
  /** `ip:port`. */
  readonly addr: string;
  readonly weight: number;
}
export interface SessionRequest {
  readonly description: NodeDescription;
  /** Empty for a new session. */
  readonly sessionId: string;
}
export interface SessionMessage {
  readonly sessionId: string;
  readonly node: NodeObject;
  readonly managers: readonly WeightedPeer[];
  readonly networkBootstrapKeys: readonly EncryptionKey[];
  /** PEM. */
  readonly rootCa: string;
}
export const Session = stream<SessionRequest, SessionMessage>("Dispatcher/Session", "node");

export const Heartbeat = unary<{ readonly sessionId: string }, { readonly period: Time }>(
  "Dispatcher/Heartbeat",
  "node",
);

export interface TaskStatusUpdate {
  readonly taskId: string;
  readonly status: TaskStatus;
}
export interface UpdateTaskStatusRequest {
  readonly sessionId: string;
  readonly updates: readonly TaskStatusUpdate[];
}
export const UpdateTaskStatus = unary<UpdateTaskStatusRequest, Empty>("Dispatcher/UpdateTaskStatus", "node");

export interface AssignmentChange {
  readonly action: "update" | "remove";
  readonly task: TaskObject;
}
export interface AssignmentsMessage {
  readonly type: "complete" | "incremental";
  /** Decimal sequence strings; a gap makes the agent open a new stream. */
  readonly appliesTo: string;
  readonly resultsIn: string;
  readonly changes: readonly AssignmentChange[];
}
export const Assignments = stream<{ readonly sessionId: string }, AssignmentsMessage>("Dispatcher/Assignments", "node");

// ------------------------------------------------------------------ resource allocator (api/resource.proto)

export interface AttachNetworkRequest {
  readonly target: string;
  readonly containerId: string;
  readonly addresses: readonly string[];
}
export const AttachNetwork = unary<AttachNetworkRequest, { readonly attachmentId: string }>(
  "ResourceAllocator/AttachNetwork",
  "node",
);
export const DetachNetwork = unary<{ readonly attachmentId: string }, Empty>("ResourceAllocator/DetachNetwork", "node");

// ------------------------------------------------------------------------------ control (api/control.proto)

export const ListNodes = unary<Empty, { readonly nodes: readonly NodeObject[] }>("Control/ListNodes", "manager");
export const GetNode = unary<{ readonly nodeId: string }, { readonly node: NodeObject }>("Control/GetNode", "manager");
export interface UpdateNodeRequest {
  readonly nodeId: string;
  /** Must be the stored version. */
  readonly version: number;
  readonly spec: NodeSpec;
}
export const UpdateNode = unary<UpdateNodeRequest, { readonly node: NodeObject }>("Control/UpdateNode", "manager");
export const RemoveNode = unary<{ readonly nodeId: string; readonly force: boolean }, Empty>(
  "Control/RemoveNode",
  "manager",
);

export const ListNetworks = unary<Empty, { readonly networks: readonly NetworkObject[] }>(
  "Control/ListNetworks",
  "manager",
);
export const GetNetwork = unary<{ readonly networkId: string }, { readonly network: NetworkObject }>(
  "Control/GetNetwork",
  "manager",
);
export const CreateNetwork = unary<{ readonly spec: NetworkSpec }, { readonly network: NetworkObject }>(
  "Control/CreateNetwork",
  "manager",
);
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
export const ListTasks = unary<ListTasksRequest, { readonly tasks: readonly TaskObject[] }>(
  "Control/ListTasks",
  "manager",
);
export const GetTask = unary<{ readonly taskId: string }, { readonly task: TaskObject }>("Control/GetTask", "manager");

export const CreateService = unary<{ readonly spec: ServiceSpec }, { readonly service: ServiceObject }>(
  "Control/CreateService",
  "manager",
);
export interface UpdateServiceRequest {
  readonly serviceId: string;
  /** Must be the stored version. */
  readonly version: number;
  readonly spec: ServiceSpec;
  /** Back to the previous spec; `spec` is not used then. */
  readonly rollback?: "previous";
}
export const UpdateService = unary<UpdateServiceRequest, { readonly service: ServiceObject }>(
  "Control/UpdateService",
  "manager",
);
export const RemoveService = unary<{ readonly serviceId: string }, Empty>("Control/RemoveService", "manager");
export const GetService = unary<{ readonly serviceId: string }, { readonly service: ServiceObject }>(
  "Control/GetService",
  "manager",
);
export interface ListServicesRequest {
  readonly namePrefixes?: readonly string[];
  readonly idPrefixes?: readonly string[];
  /** An empty value matches any. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly runtimes?: readonly string[];
}
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
export const ListServiceStatuses = unary<
  { readonly serviceIds: readonly string[] },
  { readonly statuses: readonly ServiceStatus[] }
>("Control/ListServiceStatuses", "manager");

export const ListClusters = unary<Empty, { readonly clusters: readonly ClusterObject[] }>(
  "Control/ListClusters",
  "manager",
);
export interface UpdateClusterRequest {
  readonly clusterId: string;
  readonly version: number;
  readonly spec: ClusterSpec;
  readonly rotateWorkerToken: boolean;
  readonly rotateManagerToken: boolean;
}
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
export const ListenSubscriptions = stream<Empty, SubscriptionMessage>("LogBroker/ListenSubscriptions", "node");
export interface PublishLogsMessage {
  readonly subscriptionId: string;
  readonly messages: readonly LogMessage[];
  /** No more comes from this node. */
  readonly close: boolean;
}
/** One call a batch: this implementation's RPC has no streams of requests. */
export const PublishLogs = unary<PublishLogsMessage, Empty>("LogBroker/PublishLogs", "node");
export interface SubscribeLogsMessage {
  readonly messages: readonly LogMessage[];
}
export const SubscribeLogs = stream<
  { readonly selector: LogSelector; readonly options: LogOptions },
  SubscribeLogsMessage
>("Logs/SubscribeLogs", "manager");
