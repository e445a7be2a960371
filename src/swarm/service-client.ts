/** The Engine's requests about services, tasks and their output, on a manager (moby daemon/cluster/{services,tasks,filters}.go, 20.10). */
import type { Time } from "../base/time.ts";
import { Channel, type HostRuntime, type Proc } from "../scheduler/process.ts";
import type { WallClock } from "./api/convert.ts";
import { ConversionError } from "./api/convert-container.ts";
import {
  type ApiService,
  type ApiServiceSpec,
  type ApiTask,
  serviceSpecFromApi,
  serviceToApi,
  taskToApi,
} from "./api/convert-services.ts";
import {
  type NetworkObject,
  type NodeObject,
  type ServiceObject,
  type ServiceSpec,
  type TaskObject,
  TaskState,
  taskName,
} from "./api/objects.ts";
import {
  CreateService,
  ListNetworks,
  ListNodes,
  ListServiceStatuses,
  ListServices,
  ListTasks,
  type ListTasksRequest,
  type LogMessage,
  type LogOptions,
  RemoveService,
  SubscribeLogs,
  UpdateService,
} from "./api/rpc.ts";
import { RpcError, SwarmError } from "./api/status.ts";
import { lookup } from "./lookup.ts";
import type { ClientConn, UnaryMethod } from "./transport/transport.ts";

type Filters = Readonly<Record<string, readonly string[]>>;

/** A network of this host, as far as a service's request is concerned with it. */
export interface LocalNetwork {
  readonly name: string;
  /** One that the Engine makes itself (bridge, host, none). */
  readonly predefined: boolean;
  /** The local copy of a swarm's network. */
  readonly dynamic: boolean;
}

/** What the client needs of its Engine. */
export interface ServiceClientParts {
  readonly os: HostRuntime;
  readonly clock: WallClock;
  readonly call: <Req, Res>(method: UnaryMethod<Req, Res>, request: Req) => Proc<Res>;
  readonly connect: () => ClientConn;
}

const SERVICE_FILTERS = ["name", "id", "label", "mode", "runtime"];
const TASK_FILTERS = ["name", "id", "label", "service", "node", "desired-state", "_up-to-date", "runtime"];

/** The daemon's calls about services and tasks. */
export class ServiceClient {
  readonly #parts: ServiceClientParts;

  constructor(parts: ServiceClientParts) {
    this.#parts = parts;
  }

  // ------------------------------------------------------------------------------------------- services

  /** Gives the new service's ID. @param findLocal a network of this host by name or ID */
  *create(spec: ApiServiceSpec, findLocal: (name: string) => LocalNetwork | undefined): Proc<string> {
    const converted = yield* this.#convert(spec, findLocal);
    return (yield* this.#parts.call(CreateService, { spec: converted })).service.id;
  }

  *update(
    input: string,
    version: number,
    spec: ApiServiceSpec,
    options: { readonly rollback?: string; readonly findLocal: (name: string) => LocalNetwork | undefined },
  ): Proc<void> {
    const converted = yield* this.#convert(spec, options.findLocal);
    const service = yield* this.#findService(input);
    const { rollback = "" } = options;
    if (rollback !== "" && rollback !== "none" && rollback !== "previous") {
      throw new Error(`unrecognized rollback option ${rollback}`);
    }
    const request = { serviceId: service.id, version, spec: converted };
    yield* this.#parts.call(UpdateService, rollback === "previous" ? { ...request, rollback } : request);
  }

  *remove(input: string): Proc<void> {
    const service = yield* this.#findService(input);
    yield* this.#parts.call(RemoveService, { serviceId: service.id });
  }

  /** By full ID, exact name, or prefix of the ID. */
  *inspect(input: string, insertDefaults: boolean): Proc<ApiService> {
    return serviceToApi(yield* this.#findService(input), this.#parts.clock, insertDefaults);
  }

  /** In order of ID. */
  *list(filters: Filters, withStatus: boolean): Proc<ApiService[]> {
    checkNames(filters, SERVICE_FILTERS);
    const request = {
      namePrefixes: filters["name"] ?? [],
      idPrefixes: filters["id"] ?? [],
      labels: labelMap(filters["label"]),
      runtimes: filters["runtime"] ?? ["container"],
    };
    const { services } = yield* this.#parts.call(ListServices, request);
    const modes = filters["mode"];
    const chosen = services.filter(
      ({ spec }) => modes === undefined || modes.includes(spec.mode?.kind ?? "replicated"),
    );
    const ids = chosen.map(({ id }) => id);
    const statuses = withStatus ? (yield* this.#parts.call(ListServiceStatuses, { serviceIds: ids })).statuses : [];
    return chosen.map((service, i) => serviceToApi(service, this.#parts.clock, false, statuses[i]));
  }

  *#findService(input: string): Proc<ServiceObject> {
    const { services } = yield* this.#parts.call(ListServices, {});
    return lookup("service", input, services, (service) => service.spec.annotations.name);
  }

  *#convert(spec: ApiServiceSpec, findLocal: (name: string) => LocalNetwork | undefined): Proc<ServiceSpec> {
    let converted: ServiceSpec;
    try {
      converted = serviceSpecFromApi(spec);
    } catch (error) {
      if (!(error instanceof ConversionError)) throw error;
      throw new SwarmError(400, error.message);
    }
    if (converted.task.networks.length === 0) return converted;
    const all = (yield* this.#parts.call(ListNetworks, {})).networks;
    const networks = converted.task.networks.map((config) => {
      return { ...config, target: resolveNetwork(config.target, all, findLocal).id };
    });
    return { ...converted, task: { ...converted.task, networks } };
  }

  // ---------------------------------------------------------------------------------------------- tasks

  /** Tasks of services unless the filters ask for others; in order of ID. */
  *tasks(filters: Filters): Proc<ApiTask[]> {
    checkNames(filters, TASK_FILTERS);
    const serviceIds: string[] = [];
    for (const input of filters["service"] ?? []) serviceIds.push((yield* this.#findService(input)).id);
    const nodeIds: string[] = [];
    for (const input of filters["node"] ?? []) nodeIds.push((yield* this.#findNode(input)).id);
    const request: ListTasksRequest = {
      namePrefixes: filters["name"] ?? [],
      idPrefixes: filters["id"] ?? [],
      labels: labelMap(filters["label"]),
      serviceIds,
      nodeIds,
      desiredStates: (filters["desired-state"] ?? []).map(desiredState),
      upToDate: (filters["_up-to-date"] ?? []).length > 0,
      runtimes: filters["runtime"] ?? ["container"],
    };
    const { tasks } = yield* this.#parts.call(ListTasks, request);
    return tasks.map((task) => taskToApi(task, this.#parts.clock));
  }

  /** By full ID, exact name, or prefix of the ID. */
  *task(input: string): Proc<ApiTask> {
    return taskToApi(yield* this.#findTask(input), this.#parts.clock);
  }

  *#findTask(input: string): Proc<TaskObject> {
    const { tasks } = yield* this.#parts.call(ListTasks, {});
    return lookup("task", input, tasks, taskName);
  }

  *#findNode(input: string): Proc<NodeObject> {
    const { nodes } = yield* this.#parts.call(ListNodes, {});
    return lookup("node", input, nodes, (node) => node.description?.hostname ?? "");
  }

  // ----------------------------------------------------------------------------------------------- logs

  /**
   * What the tasks of a service, or one task, print; an error where something is missing. The channel is closed at the
   * end; closing it ends the reading.
   */
  logs(kind: "service" | "task", input: string, options: LogOptions): Channel<LogMessage | Error> {
    const out = new Channel<LogMessage | Error>();
    this.#parts.os.spawn(`${kind} logs`, this.#watchReader(kind, input, options, out));
    return out;
  }

  *#watchReader(
    kind: "service" | "task",
    input: string,
    options: LogOptions,
    out: Channel<LogMessage | Error>,
  ): Proc<void> {
    const copy = this.#parts.os.spawn("log messages", this.#copyLogs(kind, input, options, out));
    try {
      while (!copy.done && !out.closed) yield { on: [copy.exited, out] };
    } finally {
      copy.kill();
      if (!out.closed) out.close();
    }
  }

  *#copyLogs(
    kind: "service" | "task",
    input: string,
    options: LogOptions,
    out: Channel<LogMessage | Error>,
  ): Proc<void> {
    try {
      const serviceIds = kind === "service" ? [(yield* this.#findService(input)).id] : [];
      const taskIds = kind === "task" ? [(yield* this.#findTask(input)).id] : [];
      const stream = this.#parts
        .connect()
        .open(SubscribeLogs, { selector: { serviceIds, taskIds, nodeIds: [] }, options });
      try {
        for (;;) for (const message of (yield* stream.recv())?.messages ?? []) out.push(message);
      } finally {
        stream.cancel();
      }
    } catch (error) {
      if (!(error instanceof RpcError) && !(error instanceof SwarmError)) throw error;
      // A stream that ends well ends with EOF.
      if (!(error instanceof RpcError && error.desc === "EOF")) out.push(error);
    }
  }

  /** Virtual time of a Unix time in seconds; for `--since`. */
  timeOf(unixSeconds: number): Time {
    const { clock } = this.#parts;
    return Math.max(0, Math.round((unixSeconds - clock.unixSeconds(0)) * 1e9));
  }

  get clock(): WallClock {
    return this.#parts.clock;
  }
}

/** services.go populateNetworkID. */
function resolveNetwork(
  target: string,
  networks: readonly NetworkObject[],
  findLocal: (name: string) => LocalNetwork | undefined,
): NetworkObject {
  const nameOf = (network: NetworkObject) => network.spec.annotations.name;
  try {
    return lookup("network", target, networks, nameOf);
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error;
    const local = findLocal(target);
    const predefined =
      local?.predefined === true ? networks.find((network) => nameOf(network) === local.name) : undefined;
    if (predefined !== undefined) return predefined;
    if (local === undefined || local.dynamic) throw error;
    const text = `The network ${local.name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`;
    throw new SwarmError(403, text);
  }
}

function checkNames(filters: Filters, accepted: readonly string[]): void {
  const wrong = Object.keys(filters).find((name) => !accepted.includes(name));
  if (wrong !== undefined) throw new SwarmError(400, `Invalid filter '${wrong}'`);
}

/** `key` and `key=value` as swarmkit wants them (ConvertKVStringsToMap). */
function labelMap(values: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    values.map((value) => {
      const at = value.indexOf("=");
      return at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
    }),
  );
}

function desiredState(word: string): TaskState {
  const state = (TaskState as Readonly<Record<string, TaskState>>)[word.toUpperCase()];
  if (state === undefined) throw new SwarmError(400, `Invalid filter 'desired-state=${word}'`);
  return state;
}
