/**
 * What services are made from, as the Engine's API has it (moby daemon/cluster/convert/{service,container}.go and
 * api/types/swarm, 20.10): names and order of the fields are those of the JSON that Docker prints; what Go's
 * `omitempty` leaves out is absent.
 */
import type { NetworkAttachmentConfig, TaskSpec } from "./objects.ts";
import type {
  ContainerSpec,
  EndpointSpec,
  FileReference,
  HealthConfig,
  Mount,
  Placement,
  PublishedPort,
  ResourceRequirements,
  Resources,
  RestartPolicy,
  ServiceMode,
  UpdateConfig,
} from "./services.ts";

type Labels = Readonly<Record<string, string>>;

export interface ApiMount {
  readonly Type?: string;
  readonly Source?: string;
  readonly Target?: string;
  readonly ReadOnly?: boolean;
}

export interface ApiFileReference {
  readonly File: { readonly Name: string; readonly UID: string; readonly GID: string; readonly Mode: number };
  readonly SecretID?: string;
  readonly SecretName?: string;
  readonly ConfigID?: string;
  readonly ConfigName?: string;
}

export interface ApiContainerSpec {
  readonly Image?: string;
  readonly Labels?: Labels;
  readonly Command?: readonly string[];
  readonly Args?: readonly string[];
  readonly Hostname?: string;
  readonly Env?: readonly string[];
  readonly Dir?: string;
  readonly User?: string;
  readonly Groups?: readonly string[];
  readonly Init?: boolean;
  readonly StopSignal?: string;
  readonly TTY?: boolean;
  readonly OpenStdin?: boolean;
  readonly ReadOnly?: boolean;
  readonly Mounts?: readonly ApiMount[];
  readonly StopGracePeriod?: number;
  readonly Healthcheck?: {
    readonly Test?: readonly string[];
    readonly Interval?: number;
    readonly Timeout?: number;
    readonly StartPeriod?: number;
    readonly Retries?: number;
  };
  readonly Hosts?: readonly string[];
  readonly DNSConfig?: {
    readonly Nameservers?: readonly string[];
    readonly Search?: readonly string[];
    readonly Options?: readonly string[];
  };
  readonly Secrets?: readonly ApiFileReference[];
  readonly Configs?: readonly ApiFileReference[];
  readonly Isolation?: string;
  readonly Sysctls?: Labels;
  readonly CapabilityAdd?: readonly string[];
  readonly CapabilityDrop?: readonly string[];
}

export interface ApiResources {
  readonly NanoCPUs?: number;
  readonly MemoryBytes?: number;
  readonly Pids?: number;
}

export interface ApiPlacement {
  readonly Constraints?: readonly string[];
  readonly Preferences?: readonly { readonly Spread?: { readonly SpreadDescriptor: string } }[];
  readonly MaxReplicas?: number;
  readonly Platforms?: readonly { readonly Architecture?: string; readonly OS?: string }[];
}

export interface ApiNetworkAttachmentConfig {
  readonly Target?: string;
  readonly Aliases?: readonly string[];
  readonly DriverOpts?: Labels;
}

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

export interface ApiUpdateConfig {
  readonly Parallelism: number;
  readonly Delay?: number;
  readonly FailureAction?: string;
  readonly Monitor?: number;
  readonly MaxFailureRatio: number;
  readonly Order?: string;
}

export interface ApiPort {
  readonly Name?: string;
  readonly Protocol?: string;
  readonly TargetPort?: number;
  readonly PublishedPort?: number;
  readonly PublishMode?: string;
}

export interface ApiEndpointSpec {
  readonly Mode?: string;
  readonly Ports?: readonly ApiPort[];
}

export interface ApiMode {
  readonly Replicated?: { readonly Replicas?: number };
  readonly Global?: Readonly<Record<string, never>>;
  readonly ReplicatedJob?: { readonly MaxConcurrent?: number; readonly TotalCompletions?: number };
  readonly GlobalJob?: Readonly<Record<string, never>>;
}

/** A spec that cannot be converted; the Engine answers 400 with its text. */
export class ConversionError extends Error {
  override name = "ConversionError";
}

/** Drops what is undefined, empty or zero: Go's `omitempty`. */
export function omitEmpty<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => {
      if (value === undefined || value === null || value === "" || value === 0 || value === false) return false;
      return typeof value !== "object" || !Array.isArray(value) || value.length > 0;
    }),
  ) as Partial<T>;
}

/** A map of Go in JSON stands in order of its keys. An empty one is left out. */
export function sortedMap(map: Labels | undefined): Labels | undefined {
  if (map === undefined || Object.keys(map).length === 0) return undefined;
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

// -------------------------------------------------------------------------------------------- containers

function fileToApi(kind: "Secret" | "Config", { id, name, target }: FileReference): ApiFileReference {
  const File = { Name: target.name, UID: target.uid, GID: target.gid, Mode: target.mode };
  return kind === "Secret" ? { File, SecretID: id, SecretName: name } : { File, ConfigID: id, ConfigName: name };
}

function fileFromApi(reference: ApiFileReference): FileReference {
  const { File } = reference;
  return {
    id: reference.SecretID ?? reference.ConfigID ?? "",
    name: reference.SecretName ?? reference.ConfigName ?? "",
    target: { name: File.Name, uid: File.UID, gid: File.GID, mode: File.Mode },
  };
}

export function containerSpecToApi(spec: ContainerSpec): ApiContainerSpec {
  const { healthcheck, dnsConfig } = spec;
  return {
    ...omitEmpty({
      Image: spec.image,
      Labels: sortedMap(spec.labels),
      Command: spec.command,
      Args: spec.args,
      Hostname: spec.hostname,
      Env: spec.env,
      Dir: spec.dir,
      User: spec.user,
      Groups: spec.groups,
    }),
    ...(spec.init === undefined ? {} : { Init: spec.init }),
    ...omitEmpty({
      StopSignal: spec.stopSignal,
      TTY: spec.tty,
      OpenStdin: spec.openStdin,
      ReadOnly: spec.readOnly,
      Mounts: spec.mounts?.map(({ type, source, target, readOnly }) =>
        omitEmpty({ Type: type, Source: source, Target: target, ReadOnly: readOnly }),
      ),
    }),
    ...(spec.stopGracePeriod === undefined ? {} : { StopGracePeriod: spec.stopGracePeriod }),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthToApi(healthcheck) }),
    ...omitEmpty({ Hosts: spec.hosts }),
    ...(dnsConfig === undefined
      ? {}
      : {
          DNSConfig: omitEmpty({
            Nameservers: dnsConfig.nameservers,
            Search: dnsConfig.search,
            Options: dnsConfig.options,
          }),
        }),
    ...omitEmpty({
      Secrets: spec.secrets?.map((reference) => fileToApi("Secret", reference)),
      Configs: spec.configs?.map((reference) => fileToApi("Config", reference)),
      Isolation: spec.isolation ?? "default",
      Sysctls: sortedMap(spec.sysctls),
      CapabilityAdd: spec.capabilityAdd,
      CapabilityDrop: spec.capabilityDrop,
    }),
  } as ApiContainerSpec;
}

function healthToApi(health: HealthConfig): NonNullable<ApiContainerSpec["Healthcheck"]> {
  const { test, interval, timeout, startPeriod, retries } = health;
  return omitEmpty({
    Test: test,
    Interval: interval,
    Timeout: timeout,
    StartPeriod: startPeriod,
    Retries: retries,
  });
}

function mountFromApi({ Type = "bind", Source = "", Target = "", ReadOnly = false }: ApiMount): Mount {
  if (Type !== "bind" && Type !== "volume" && Type !== "tmpfs" && Type !== "npipe")
    throw new ConversionError(`invalid MountType: "${Type}"`);
  return { type: Type, source: Source, target: Target, readOnly: ReadOnly };
}

/** What the request says and nothing else; exact optional properties need the detour. */
function present<T extends object>(object: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

export function containerSpecFromApi(spec: ApiContainerSpec): ContainerSpec {
  const health = spec.Healthcheck;
  const dns = spec.DNSConfig;
  return {
    image: spec.Image ?? "",
    ...present<Omit<ContainerSpec, "image">>({
      labels: spec.Labels,
      command: spec.Command,
      args: spec.Args,
      hostname: spec.Hostname,
      env: spec.Env,
      dir: spec.Dir,
      user: spec.User,
      groups: spec.Groups,
      tty: spec.TTY,
      openStdin: spec.OpenStdin,
      readOnly: spec.ReadOnly,
      init: spec.Init,
      stopSignal: spec.StopSignal,
      stopGracePeriod: spec.StopGracePeriod,
      mounts: spec.Mounts?.map(mountFromApi),
      healthcheck:
        health === undefined
          ? undefined
          : {
              test: health.Test ?? [],
              interval: health.Interval ?? 0,
              timeout: health.Timeout ?? 0,
              startPeriod: health.StartPeriod ?? 0,
              retries: health.Retries ?? 0,
            },
      hosts: spec.Hosts,
      dnsConfig:
        dns === undefined
          ? undefined
          : present<NonNullable<ContainerSpec["dnsConfig"]>>({
              nameservers: dns.Nameservers,
              search: dns.Search,
              options: dns.Options,
            }),
      isolation: spec.Isolation === "" || spec.Isolation === "default" ? undefined : spec.Isolation,
      sysctls: spec.Sysctls,
      capabilityAdd: spec.CapabilityAdd,
      capabilityDrop: spec.CapabilityDrop,
      secrets: spec.Secrets?.map(fileFromApi),
      configs: spec.Configs?.map(fileFromApi),
    }),
  };
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
  return { nanoCpus: NanoCPUs, memoryBytes: MemoryBytes, ...(Pids === undefined ? {} : { pids: Pids }) };
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
    ...present<RestartPolicy>({
      delay: policy.Delay,
      maxAttempts: policy.MaxAttempts,
      window: policy.Window,
    } as RestartPolicy),
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
  return omitEmpty({ Target: target, Aliases: aliases, DriverOpts: sortedMap(driverOpts) }) as ApiNetworkAttachmentConfig;
}

export function taskSpecToApi(spec: TaskSpec): ApiTaskSpec {
  const { resources, restart, placement, logDriver } = spec;
  return {
    ...(spec.container === undefined ? {} : { ContainerSpec: containerSpecToApi(spec.container) }),
    ...(resources === undefined ? {} : { Resources: requirementsToApi(resources) as NonNullable<ApiTaskSpec["Resources"]> }),
    ...(restart === undefined ? {} : { RestartPolicy: restartToApi(restart) as NonNullable<ApiTaskSpec["RestartPolicy"]> }),
    ...(placement === undefined ? {} : { Placement: placementToApi(placement) }),
    ...(spec.networks.length === 0 ? {} : { Networks: spec.networks.map(networkToApi) }),
    ...(logDriver === undefined
      ? {}
      : { LogDriver: omitEmpty({ Name: logDriver.name, Options: sortedMap(logDriver.options) }) as object }),
    ForceUpdate: spec.forceUpdate ?? 0,
  };
}

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
      ...(DriverOpts === undefined ? {} : { driverOpts: DriverOpts }),
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

export function updateFromApi(config: ApiUpdateConfig): UpdateConfig {
  const action = config.FailureAction === undefined || config.FailureAction === "" ? "pause" : config.FailureAction;
  if (action !== "pause" && action !== "continue" && action !== "rollback")
    throw new ConversionError(`unrecognized update failure action ${action}`);
  const order = config.Order === undefined || config.Order === "" ? "stop-first" : config.Order;
  if (order !== "stop-first" && order !== "start-first") throw new ConversionError(`unrecognized update order ${order}`);
  return {
    parallelism: config.Parallelism ?? 0,
    delay: config.Delay ?? 0,
    failureAction: action,
    ...(config.Monitor === undefined || config.Monitor === 0 ? {} : { monitor: config.Monitor }),
    maxFailureRatio: config.MaxFailureRatio ?? 0,
    order,
  };
}

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

export function endpointSpecToApi(spec: EndpointSpec): ApiEndpointSpec {
  return { Mode: spec.mode, ...(spec.ports.length === 0 ? {} : { Ports: spec.ports.map(portToApi) }) };
}

export function endpointSpecFromApi(spec: ApiEndpointSpec): EndpointSpec {
  const mode = spec.Mode === undefined || spec.Mode === "" ? "vip" : spec.Mode.toLowerCase();
  if (mode !== "vip" && mode !== "dnsrr") throw new ConversionError(`invalid EndpointSpec.Mode: "${spec.Mode}"`);
  return { mode, ports: (spec.Ports ?? []).map(portFromApi) };
}

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
  const kinds = [mode?.Replicated, mode?.Global, mode?.ReplicatedJob, mode?.GlobalJob].filter((kind) => kind !== undefined);
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
