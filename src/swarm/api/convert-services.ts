/** Services and tasks as the Engine's API shows them (moby daemon/cluster/convert/{service,task,network}.go, 20.10). */
import type { WallClock } from "./convert.ts";
import { omitEmpty, sortedMap } from "./convert-container.ts";
import {
  type ApiEndpointSpec,
  type ApiMode,
  type ApiPort,
  type ApiTaskSpec,
  type ApiUpdateConfig,
  endpointSpecFromApi,
  endpointSpecToApi,
  modeFromApi,
  modeToApi,
  portToApi,
  taskSpecFromApi,
  taskSpecToApi,
  updateFromApi,
  updateToApi,
} from "./convert-specs.ts";
import { interpolateService } from "./defaults.ts";
import {
  type Driver,
  type IpamOptions,
  type NetworkAttachment,
  type NetworkObject,
  type ServiceObject,
  type ServiceSpec,
  type TaskObject,
  taskStateName,
} from "./objects.ts";
import type { ServiceStatus } from "./rpc.ts";
import type { Endpoint, UpdateStatus } from "./services.ts";

type Labels = Readonly<Record<string, string>>;

/** ServiceSpec of the Engine API. */
export interface ApiServiceSpec {
  readonly Name?: string;
  readonly Labels?: Labels;
  readonly TaskTemplate?: ApiTaskSpec;
  readonly Mode?: ApiMode;
  readonly UpdateConfig?: ApiUpdateConfig;
  readonly RollbackConfig?: ApiUpdateConfig;
  readonly Networks?: ApiTaskSpec["Networks"];
  readonly EndpointSpec?: ApiEndpointSpec;
}

/** Service of the Engine API. */
export interface ApiService {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
  readonly Spec: ApiServiceSpec;
  readonly PreviousSpec?: ApiServiceSpec;
  readonly Endpoint: {
    readonly Spec: ApiEndpointSpec;
    readonly Ports?: readonly ApiPort[];
    readonly VirtualIPs?: readonly { readonly NetworkID?: string; readonly Addr?: string }[];
  };
  readonly UpdateStatus?: {
    readonly State?: string;
    readonly StartedAt?: string;
    readonly CompletedAt?: string;
    readonly Message?: string;
  };
  readonly ServiceStatus?: {
    readonly RunningTasks: number;
    readonly DesiredTasks: number;
    readonly CompletedTasks: number;
  };
  readonly JobStatus?: { readonly JobIteration: { readonly Index: number }; readonly LastExecution: string };
}

/** A service's spec as the Engine API shows it. */
export function serviceSpecToApi(spec: ServiceSpec): ApiServiceSpec {
  const { annotations, task, mode, update, rollback, endpoint } = spec;
  return {
    Name: annotations.name,
    Labels: sortedMap(annotations.labels) ?? {},
    TaskTemplate: { ...taskSpecToApi(task), Runtime: "container" },
    Mode: modeToApi(mode),
    ...(update === undefined ? {} : { UpdateConfig: updateToApi(update) }),
    ...(rollback === undefined ? {} : { RollbackConfig: updateToApi(rollback) }),
    ...(endpoint === undefined ? {} : { EndpointSpec: endpointSpecToApi(endpoint) }),
  };
}

/** Networks that an old client has put beside the template go into it (ServiceSpecToGRPC). Throws ConversionError. */
export function serviceSpecFromApi(spec: ApiServiceSpec): ServiceSpec {
  const { Labels = {}, TaskTemplate = {}, Networks = [] } = spec;
  const template = (TaskTemplate.Networks ?? []).length > 0 ? TaskTemplate : { ...TaskTemplate, Networks };
  return {
    annotations: { name: spec.Name ?? "", labels: Labels },
    task: taskSpecFromApi(template),
    mode: modeFromApi(spec.Mode),
    update: spec.UpdateConfig === undefined ? undefined : updateFromApi(spec.UpdateConfig),
    rollback: spec.RollbackConfig === undefined ? undefined : updateFromApi(spec.RollbackConfig),
    endpoint: spec.EndpointSpec === undefined ? undefined : endpointSpecFromApi(spec.EndpointSpec),
  };
}

function endpointToApi(endpoint: Endpoint | undefined): ApiService["Endpoint"] {
  if (endpoint === undefined) return { Spec: {} };
  return {
    Spec: endpoint.spec === undefined ? {} : endpointSpecToApi(endpoint.spec),
    ...omitEmpty({
      Ports: endpoint.ports.map(portToApi),
      VirtualIPs: endpoint.virtualIps.map(({ networkId, addr }) => omitEmpty({ NetworkID: networkId, Addr: addr })),
    }),
  };
}

function updateStatusToApi(status: UpdateStatus, clock: WallClock): NonNullable<ApiService["UpdateStatus"]> {
  const { state, startedAt, completedAt, message } = status;
  return omitEmpty({
    State: state === "unknown" ? "" : state,
    StartedAt: startedAt === undefined ? undefined : clock.format(startedAt),
    CompletedAt: completedAt === undefined ? undefined : clock.format(completedAt),
    Message: message,
  }) as NonNullable<ApiService["UpdateStatus"]>;
}

/** @param insertDefaults shows what applies where the spec says nothing, as `docker service inspect` asks for */
export function serviceToApi(
  service: ServiceObject,
  clock: WallClock,
  insertDefaults: boolean,
  status?: ServiceStatus,
): ApiService {
  const spec = insertDefaults ? interpolateService(service.spec) : service.spec;
  return {
    ID: service.id,
    Version: { Index: service.meta.version.index },
    CreatedAt: clock.format(service.meta.createdAt),
    UpdatedAt: clock.format(service.meta.updatedAt),
    Spec: serviceSpecToApi(spec),
    ...(service.previousSpec === undefined ? {} : { PreviousSpec: serviceSpecToApi(service.previousSpec) }),
    Endpoint: endpointToApi(service.endpoint),
    ...(service.updateStatus === undefined ? {} : { UpdateStatus: updateStatusToApi(service.updateStatus, clock) }),
    ...(status === undefined
      ? {}
      : {
          ServiceStatus: {
            RunningTasks: status.runningTasks,
            DesiredTasks: status.desiredTasks,
            CompletedTasks: status.completedTasks,
          },
        }),
    ...(service.jobStatus === undefined
      ? {}
      : {
          JobStatus: {
            JobIteration: { Index: service.jobStatus.iteration.index },
            LastExecution: clock.format(service.jobStatus.lastExecution),
          },
        }),
  };
}

// ------------------------------------------------------------------------------------------------- tasks

interface ApiDriver {
  readonly Name?: string;
  readonly Options?: Labels;
}

interface ApiIpam {
  readonly Driver?: ApiDriver;
  readonly Configs?: readonly object[];
}

/** A network as a task carries it: not the shape of GET /networks. */
export interface ApiTaskNetwork {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
  readonly Spec: object;
  readonly DriverState: ApiDriver;
  readonly IPAMOptions?: ApiIpam;
}

/** Task of the Engine API. */
export interface ApiTask {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
  readonly Name?: string;
  readonly Labels: Labels;
  readonly Spec: ApiTaskSpec & { readonly NetworkAttachmentSpec?: { readonly ContainerID: string } };
  readonly ServiceID?: string;
  readonly Slot?: number;
  readonly NodeID?: string;
  readonly Status: {
    readonly Timestamp: string;
    readonly State: string;
    readonly Message?: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly PID?: number; readonly ExitCode?: number };
    readonly PortStatus: { readonly Ports?: readonly ApiPort[] };
  };
  readonly DesiredState: string;
  readonly NetworksAttachments?: readonly {
    readonly Network: ApiTaskNetwork;
    readonly Addresses?: readonly string[];
  }[];
  readonly JobIteration?: { readonly Index: number };
}

function driverToApi(driver: Driver | undefined): ApiDriver {
  return omitEmpty({ Name: driver?.name, Options: sortedMap(driver?.options) }) as ApiDriver;
}

function ipamToApi({ driver, configs }: IpamOptions): ApiIpam {
  const Configs = configs.map(({ subnet, range, gateway }) =>
    omitEmpty({ Subnet: subnet, Range: range, Gateway: gateway }),
  );
  return { Driver: driverToApi(driver), ...(Configs.length === 0 ? {} : { Configs }) };
}

function taskNetworkToApi(network: NetworkObject, clock: WallClock): ApiTaskNetwork {
  const { spec, meta, driverState, ipam } = network;
  return {
    ID: network.id,
    Version: { Index: meta.version.index },
    CreatedAt: clock.format(meta.createdAt),
    UpdatedAt: clock.format(meta.updatedAt),
    Spec: {
      Name: spec.annotations.name,
      Labels: sortedMap(spec.annotations.labels) ?? {},
      DriverConfiguration: driverToApi(spec.driverConfig),
      ...omitEmpty({
        IPv6Enabled: spec.ipv6Enabled,
        Internal: spec.internal,
        Attachable: spec.attachable,
        Ingress: spec.ingress,
      }),
      IPAMOptions: ipamToApi(spec.ipam ?? { driver: undefined, configs: [] }),
      Scope: "swarm",
    },
    DriverState: driverToApi(driverState),
    ...(ipam === undefined ? {} : { IPAMOptions: ipamToApi(ipam) }),
  };
}

function attachmentToApi(attachment: NetworkAttachment, clock: WallClock) {
  const { network, addresses } = attachment;
  return { Network: taskNetworkToApi(network, clock), ...(addresses.length === 0 ? {} : { Addresses: addresses }) };
}

/** A task as the Engine API shows it. */
export function taskToApi(task: TaskObject, clock: WallClock): ApiTask {
  const { meta, annotations, spec, status } = task;
  const container = status.container;
  return {
    ID: task.id,
    Version: { Index: meta.version.index },
    CreatedAt: clock.format(meta.createdAt),
    UpdatedAt: clock.format(meta.updatedAt),
    ...(annotations.name === "" ? {} : { Name: annotations.name }),
    Labels: sortedMap(annotations.labels) ?? {},
    Spec:
      spec.runtime === "attachment"
        ? { NetworkAttachmentSpec: { ContainerID: spec.containerId ?? "" }, ...taskSpecToApi(spec) }
        : taskSpecToApi(spec),
    ...omitEmpty({ ServiceID: task.serviceId, Slot: task.slot, NodeID: task.nodeId }),
    Status: {
      Timestamp: clock.format(status.timestamp),
      State: taskStateName(status.state),
      ...omitEmpty({ Message: status.message, Err: status.err }),
      ...(container === undefined
        ? {}
        : {
            ContainerStatus: {
              ContainerID: container.containerId,
              PID: container.pid,
              ExitCode: container.exitCode,
            },
          }),
      PortStatus: omitEmpty({ Ports: (status.ports ?? []).map(portToApi) }),
    },
    DesiredState: taskStateName(task.desiredState),
    ...(task.networks.length === 0
      ? {}
      : { NetworksAttachments: task.networks.map((attachment) => attachmentToApi(attachment, clock)) }),
    ...(task.jobIteration === undefined ? {} : { JobIteration: { Index: task.jobIteration.index } }),
  };
}
