/**
 * Services and what their tasks are made from, as swarmkit's api/specs.proto and api/types.proto have them (camel case
 * instead of protobuf's names). Where the Engine's API leaves a field out it is left out here, too: defaults are
 * applied by whoever reads (swarmkit api/defaults/service.go), so that what is shown is what was posted.
 */
import type { Time } from "../../base/time.ts";

/** `key=value` pairs and the like, in the order in which they were given. */
type Labels = Readonly<Record<string, string>>;

/** A mount of a task's container. */
export interface Mount {
  readonly type: "bind" | "volume" | "tmpfs" | "npipe";
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** A health check (api.HealthConfig); durations in ns, 0 = the image's or the default. */
export interface HealthConfig {
  readonly test: readonly string[];
  readonly interval: Time;
  readonly timeout: Time;
  readonly startPeriod: Time;
  readonly retries: number;
}

/** A secret or config as a container sees it. */
export interface FileReference {
  readonly id: string;
  readonly name: string;
  readonly target: { readonly name: string; readonly uid: string; readonly gid: string; readonly mode: number };
}

/** What a container is made from (api.ContainerSpec). */
export interface ContainerSpec {
  readonly image: string;
  readonly labels?: Labels;
  /** Replaces the image's entrypoint. */
  readonly command?: readonly string[];
  /** Replaces the image's command. */
  readonly args?: readonly string[];
  readonly hostname?: string;
  readonly env?: readonly string[];
  readonly dir?: string;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly tty?: boolean;
  readonly openStdin?: boolean;
  readonly readOnly?: boolean;
  readonly init?: boolean;
  readonly stopSignal?: string;
  /** ns; absent = 10 s. */
  readonly stopGracePeriod?: Time;
  readonly mounts?: readonly Mount[];
  readonly healthcheck?: HealthConfig;
  /** `IP name…` as in /etc/hosts. */
  readonly hosts?: readonly string[];
  readonly dnsConfig?: {
    readonly nameservers?: readonly string[];
    readonly search?: readonly string[];
    readonly options?: readonly string[];
  };
  readonly isolation?: string;
  readonly sysctls?: Labels;
  readonly capabilityAdd?: readonly string[];
  readonly capabilityDrop?: readonly string[];
  readonly secrets?: readonly FileReference[];
  readonly configs?: readonly FileReference[];
}

/** CPU in 1e-9 cores, memory in bytes; 0 = none. */
export interface Resources {
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly pids?: number;
}

/** Limits and reservations of a task. */
export interface ResourceRequirements {
  readonly limits?: Resources;
  readonly reservations?: Resources;
}

/** When a task that ended is started again. */
export type RestartCondition = "none" | "on-failure" | "any";

/** Absent fields: any, 5 s, 0 = without end, no window. */
export interface RestartPolicy {
  readonly condition?: RestartCondition;
  readonly delay?: Time;
  readonly maxAttempts?: number;
  readonly window?: Time;
}

/** Operating system and architecture. */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
}

/** Where tasks may run. */
export interface Placement {
  readonly constraints?: readonly string[];
  /** `spread` descriptors, e.g. `node.labels.zone`, in order. */
  readonly preferences?: readonly string[];
  readonly maxReplicas?: number;
  readonly platforms?: readonly Platform[];
}

/** A log driver with its options. */
export interface LogDriver {
  readonly name: string;
  readonly options: Labels;
}

/** Absent fields: 1, 0, pause, 5 s, 0, stop-first. Parallelism 0 = all at once. */
export interface UpdateConfig {
  readonly parallelism: number;
  readonly delay: Time;
  readonly failureAction: "pause" | "continue" | "rollback";
  readonly monitor?: Time;
  readonly maxFailureRatio: number;
  readonly order: "stop-first" | "start-first";
}

/** Jobs: `maxConcurrent` at once until `totalCompletions` have ended well. */
export type ServiceMode =
  | { readonly kind: "replicated"; readonly replicas: number }
  | { readonly kind: "global" }
  | { readonly kind: "replicated-job"; readonly maxConcurrent: number; readonly totalCompletions: number }
  | { readonly kind: "global-job" };

/** A port that a service publishes, as wished (published 0 = any) or as it was given. */
export interface PublishedPort {
  readonly name: string;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly targetPort: number;
  readonly publishedPort: number;
  readonly publishMode: "ingress" | "host";
}

/** How a service is reached. */
export interface EndpointSpec {
  readonly mode: "vip" | "dnsrr";
  readonly ports: readonly PublishedPort[];
}

/** What the allocator made of an EndpointSpec. A task carries a copy. */
export interface Endpoint {
  readonly spec: EndpointSpec | undefined;
  readonly ports: readonly PublishedPort[];
  /** In CIDR notation; the ingress network's first. */
  readonly virtualIps: readonly { readonly networkId: string; readonly addr: string }[];
}

/** How far an update is. */
export type UpdateState =
  | "unknown"
  | "updating"
  | "paused"
  | "completed"
  | "rollback_started"
  | "rollback_paused"
  | "rollback_completed";

/** How far an update is, since when, and why. */
export interface UpdateStatus {
  readonly state: UpdateState;
  readonly startedAt: Time | undefined;
  readonly completedAt: Time | undefined;
  readonly message: string;
}

/** Status of a task's container, as the agent tells it. */
export interface ContainerStatus {
  readonly containerId: string;
  readonly pid: number;
  readonly exitCode: number;
}
