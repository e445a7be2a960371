/**
 * What services are made from, as the Engine's API has it (moby daemon/cluster/convert/{service,container}.go and
 * api/types/swarm, 20.10): names and order of the fields are those of the JSON that Docker prints; what Go's
 * `omitempty` leaves out is absent.
 */
import {
  type ApiContainerSpec,
  ConversionError,
  containerSpecFromApi,
  containerSpecToApi,
  omitEmpty,
  present,
  sortedMap,
} from "./convert-container.ts";
import type { NetworkAttachmentConfig, TaskSpec } from "./objects.ts";
import type {
  EndpointSpec,
  Placement,
  PublishedPort,
  ResourceRequirements,
  Resources,
  RestartPolicy,
  ServiceMode,
  UpdateConfig,
} from "./services.ts";

type Labels = Readonly<Record<string, string>>;

/** Mount of the Engine API. */
export interface ApiResources {
  readonly NanoCPUs?: number;
  readonly MemoryBytes?: number;
  readonly Pids?: number;
}

/** Placement of the Engine API. */
export interface ApiPlacement {
  readonly Constraints?: readonly string[];
  readonly Preferences?: readonly { readonly Spread?: { readonly SpreadDescriptor: string } }[];
  readonly MaxReplicas?: number;
  readonly Platforms?: readonly { readonly Architecture?: string; readonly OS?: string }[];
}

/** NetworkAttachmentConfig of the Engine API. */
export interface ApiNetworkAttachmentConfig {
  readonly Target?: string;
  readonly Aliases?: readonly string[];
  readonly DriverOpts?: Labels;
}

/** TaskSpec of the Engine API. */
export interface ApiTaskSpec {
  readonly ContainerSpec?: ApiContainerSpec;
  readonly Resources?: { readonly Limits?: ApiResources; readonly Reservations?: ApiResources };
  readonly RestartPolicy?: {
    readonly Condition?: string;
    readonly Delay?: number;
    readonly MaxAttempts?: number;
    readonly Window?: number;
  };
  readonly Placement?: ApiPlacement;
  readonly Networks?: readonly ApiNetworkAttachmentConfig[];
  readonly LogDriver?: { readonly Name?: string; readonly Options?: Labels };
  readonly ForceUpdate?: number;
  readonly Runtime?: string;
}

/** UpdateConfig of the Engine API; times in ns. */
export interface ApiUpdateConfig {
  readonly Parallelism: number;
  readonly Delay?: number;
  readonly FailureAction?: string;
  readonly Monitor?: number;
  readonly MaxFailureRatio: number;
  readonly Order?: string;
}

/** EndpointPortConfig of the Engine API. */
export interface ApiPort {
  readonly Name?: string;
  readonly Protocol?: string;
  readonly TargetPort?: number;
  readonly PublishedPort?: number;
  readonly PublishMode?: string;
}

/** EndpointSpec of the Engine API. */
export interface ApiEndpointSpec {
  readonly Mode?: string;
  readonly Ports?: readonly ApiPort[];
}

/** Mode of a service of the Engine API. */
export interface ApiMode {
  readonly Replicated?: { readonly Replicas?: number };
  readonly Global?: Readonly<Record<string, never>>;
  readonly ReplicatedJob?: { readonly MaxConcurrent?: number; readonly TotalCompletions?: number };
  readonly GlobalJob?: Readonly<Record<string, never>>;
}

// ------------------------------------------------------------------------------------------------- tasks

function resourcesToApi({ nanoCpus, memoryBytes, pids }: Resources): ApiResources {
  return omitEmpty({ NanoCPUs: nanoCpus, MemoryBytes: memoryBytes, Pids: pids }) as ApiResources;
}

function requirementsToApi({ limits, reservations }: ResourceRequirements): ApiTaskSpec["Resources"] {
  return {
    ...(limits === undefined ? {} : { Limits: resourcesToApi(limits) }),
    ...(reservations === undefined ? {} : { Reservations: resourcesToApi(reservations) }),
  };
}

function resourcesFromApi({ NanoCPUs = 0, MemoryBytes = 0, Pids }: ApiResources): Resources {
  return { nanoCpus: NanoCPUs, memoryBytes: MemoryBytes, ...(Pids === undefined || Pids === 0 ? {} : { pids: Pids }) };
}

function restartToApi(restart: RestartPolicy): ApiTaskSpec["RestartPolicy"] {
  const { condition = "any", delay, maxAttempts = 0, window } = restart;
  return {
    Condition: condition,
    ...(delay === undefined ? {} : { Delay: delay }),
    MaxAttempts: maxAttempts,
    ...(window === undefined ? {} : { Window: window }),
  };
}

function restartFromApi(policy: NonNullable<ApiTaskSpec["RestartPolicy"]>): RestartPolicy {
  const condition = policy.Condition === undefined || policy.Condition === "" ? "any" : policy.Condition.toLowerCase();
  if (condition !== "any" && condition !== "none" && condition !== "on-failure")
    throw new ConversionError(`invalid RestartCondition: "${policy.Condition}"`);
  return {
    condition,
    ...(policy.Delay === undefined ? {} : { delay: policy.Delay }),
    maxAttempts: policy.MaxAttempts ?? 0,
    ...(policy.Window === undefined ? {} : { window: policy.Window }),
  };
}

function placementToApi(placement: Placement): ApiPlacement {
  return omitEmpty({
    Constraints: placement.constraints,
    Preferences: placement.preferences?.map((descriptor) => ({ Spread: { SpreadDescriptor: descriptor } })),
    MaxReplicas: placement.maxReplicas,
    Platforms: placement.platforms?.map(({ architecture, os }) => omitEmpty({ Architecture: architecture, OS: os })),
  }) as ApiPlacement;
}

function placementFromApi(placement: ApiPlacement): Placement {
  return present<Placement>({
    constraints: placement.Constraints,
    preferences: placement.Preferences?.map(({ Spread }) => Spread?.SpreadDescriptor ?? ""),
    maxReplicas: placement.MaxReplicas,
    platforms: placement.Platforms?.map(({ Architecture = "", OS = "" }) => ({ architecture: Architecture, os: OS })),
  } as Placement);
}

function networkToApi({ target, aliases, driverOpts }: NetworkAttachmentConfig): ApiNetworkAttachmentConfig {
  return omitEmpty({
    Target: target,
    Aliases: aliases,
    DriverOpts: sortedMap(driverOpts),
  }) as ApiNetworkAttachmentConfig;
}

/** As the Engine API shows it. */
export function taskSpecToApi(spec: TaskSpec): ApiTaskSpec {
  const { resources, restart, placement, logDriver } = spec;
  return {
    ...(spec.container === undefined ? {} : { ContainerSpec: containerSpecToApi(spec.container) }),
    ...(resources === undefined
      ? {}
      : { Resources: requirementsToApi(resources) as NonNullable<ApiTaskSpec["Resources"]> }),
    ...(restart === undefined
      ? {}
      : { RestartPolicy: restartToApi(restart) as NonNullable<ApiTaskSpec["RestartPolicy"]> }),
    ...(placement === undefined ? {} : { Placement: placementToApi(placement) }),
    ...(spec.networks.length === 0 ? {} : { Networks: spec.networks.map(networkToApi) }),
    ...(logDriver === undefined
      ? {}
      : { LogDriver: omitEmpty({ Name: logDriver.name, Options: sortedMap(logDriver.options) }) as object }),
    ForceUpdate: spec.forceUpdate ?? 0,
  };
}

/** As swarmkit keeps it. */
export function taskSpecFromApi(spec: ApiTaskSpec): TaskSpec {
  if (spec.Runtime !== undefined && spec.Runtime !== "" && spec.Runtime !== "container")
    throw new ConversionError(`unsupported runtime`);
  const { Resources: resources, LogDriver: driver } = spec;
  return {
    runtime: "container",
    container: containerSpecFromApi(spec.ContainerSpec ?? {}),
    networks: (spec.Networks ?? []).map(({ Target = "", Aliases = [], DriverOpts }) => ({
      target: Target,
      aliases: Aliases,
      addresses: [],
      ...(sortedMap(DriverOpts) === undefined ? {} : { driverOpts: DriverOpts }),
    })),
    resources:
      resources === undefined
        ? undefined
        : {
            ...(resources.Limits === undefined ? {} : { limits: resourcesFromApi(resources.Limits) }),
            ...(resources.Reservations === undefined ? {} : { reservations: resourcesFromApi(resources.Reservations) }),
          },
    restart: spec.RestartPolicy === undefined ? undefined : restartFromApi(spec.RestartPolicy),
    placement: spec.Placement === undefined ? undefined : placementFromApi(spec.Placement),
    logDriver: driver === undefined ? undefined : { name: driver.Name ?? "", options: driver.Options ?? {} },
    forceUpdate: spec.ForceUpdate ?? 0,
  };
}

// ------------------------------------------------------------------------------------ services' other parts

/** As the Engine API shows it. */
export function updateToApi(config: UpdateConfig): ApiUpdateConfig {
  const { parallelism, delay, failureAction, monitor, maxFailureRatio, order } = config;
  return {
    Parallelism: parallelism,
    ...(delay === 0 ? {} : { Delay: delay }),
    FailureAction: failureAction,
    ...(monitor === undefined ? {} : { Monitor: monitor }),
    MaxFailureRatio: maxFailureRatio,
    Order: order,
  };
}

/** As swarmkit keeps it. */
export function updateFromApi(config: ApiUpdateConfig): UpdateConfig {
  const action = config.FailureAction === undefined || config.FailureAction === "" ? "pause" : config.FailureAction;
  if (action !== "pause" && action !== "continue" && action !== "rollback")
    throw new ConversionError(`unrecognized update failure action ${action}`);
  const order = config.Order === undefined || config.Order === "" ? "stop-first" : config.Order;
  if (order !== "stop-first" && order !== "start-first")
    throw new ConversionError(`unrecognized update order ${order}`);
  return {
    parallelism: config.Parallelism ?? 0,
    delay: config.Delay ?? 0,
    failureAction: action,
    ...(config.Monitor === undefined || config.Monitor === 0 ? {} : { monitor: config.Monitor }),
    maxFailureRatio: config.MaxFailureRatio ?? 0,
    order,
  };
}

/** As the Engine API shows it. */
export function portToApi(port: PublishedPort): ApiPort {
  return omitEmpty({
    Name: port.name,
    Protocol: port.protocol,
    TargetPort: port.targetPort,
    PublishedPort: port.publishedPort,
    PublishMode: port.publishMode,
  }) as ApiPort;
}

function portFromApi(port: ApiPort): PublishedPort {
  const protocol = (port.Protocol ?? "tcp").toLowerCase();
  const publishMode = (port.PublishMode ?? "ingress").toLowerCase();
  return {
    name: port.Name ?? "",
    // An unknown word is the zero value of swarmkit's enumeration, as in the Engine.
    protocol: protocol === "udp" || protocol === "sctp" ? protocol : "tcp",
    targetPort: port.TargetPort ?? 0,
    publishedPort: port.PublishedPort ?? 0,
    publishMode: publishMode === "host" ? "host" : "ingress",
  };
}

/** As the Engine API shows it. */
export function endpointSpecToApi(spec: EndpointSpec): ApiEndpointSpec {
  return { Mode: spec.mode, ...(spec.ports.length === 0 ? {} : { Ports: spec.ports.map(portToApi) }) };
}

/** As swarmkit keeps it. */
export function endpointSpecFromApi(spec: ApiEndpointSpec): EndpointSpec {
  const mode = spec.Mode === undefined || spec.Mode === "" ? "vip" : spec.Mode.toLowerCase();
  if (mode !== "vip" && mode !== "dnsrr") throw new ConversionError(`invalid EndpointSpec.Mode: "${spec.Mode}"`);
  return { mode, ports: (spec.Ports ?? []).map(portFromApi) };
}

/** As the Engine API shows it. */
export function modeToApi(mode: ServiceMode | undefined): ApiMode {
  switch (mode?.kind) {
    case "global":
      return { Global: {} };
    case "global-job":
      return { GlobalJob: {} };
    case "replicated-job":
      return { ReplicatedJob: { MaxConcurrent: mode.maxConcurrent, TotalCompletions: mode.totalCompletions } };
    default:
      return { Replicated: { Replicas: mode?.replicas ?? 1 } };
  }
}

/** Without a mode: replicated, one replica. */
export function modeFromApi(mode: ApiMode | undefined): ServiceMode {
  const kinds = [mode?.Replicated, mode?.Global, mode?.ReplicatedJob, mode?.GlobalJob].filter(
    (kind) => kind !== undefined,
  );
  if (kinds.length > 1) throw new ConversionError("must specify only one service mode");
  if (mode?.Global !== undefined) return { kind: "global" };
  if (mode?.GlobalJob !== undefined) return { kind: "global-job" };
  if (mode?.ReplicatedJob !== undefined) {
    const maxConcurrent = mode.ReplicatedJob.MaxConcurrent ?? 1;
    return {
      kind: "replicated-job",
      maxConcurrent,
      totalCompletions: mode.ReplicatedJob.TotalCompletions ?? maxConcurrent,
    };
  }
  return { kind: "replicated", replicas: mode?.Replicated?.Replicas ?? 1 };
}
