/** Services in the control API (swarmkit manager/controlapi/service.go, 20.10). */
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { Proc } from "../../scheduler/process.ts";
import { deepEqual } from "../api/equality.ts";
import {
  isIngressNetwork,
  NEW_META,
  type ServiceObject,
  type ServiceSpec,
  type TaskObject,
  TaskState,
} from "../api/objects.ts";
import {
  CreateService,
  type Empty,
  GetService,
  ListServiceStatuses,
  ListServices,
  type ListServicesRequest,
  RemoveService,
  type ServiceStatus,
  UpdateService,
  type UpdateServiceRequest,
} from "../api/rpc.ts";
import type { PublishedPort } from "../api/services.ts";
import { RpcError } from "../api/status.ts";
import { ERR_NAME_CONFLICT, type ReadTx, StoreError } from "../store/memory.ts";
import type { Router } from "../transport/transport.ts";
import type { ComponentContext } from "./component.ts";
import { ConstraintError } from "./constraint.ts";
import { hasPrefix, labelsMatch } from "./control-filters.ts";
import { isJob, needsIngress } from "./service-modes.ts";
import { validateServiceSpec } from "./service-validation.ts";

/** Services of the service Control. */
export class ServiceApi {
  readonly #context: ComponentContext;
  readonly #random: Random;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#random = context.random.fork("services");
  }

  register(router: Router): void {
    router.unary(CreateService, (request) => this.#create(request.spec));
    router.unary(UpdateService, (request) => this.#update(request));
    router.unary(RemoveService, (request) => this.#remove(request.serviceId));
    router.unary(GetService, (request) => this.#get(request.serviceId));
    router.unary(ListServices, (request) => this.#list(request));
    router.unary(ListServiceStatuses, (request) => this.#statuses(request.serviceIds));
  }

  *#get(serviceId: string): Proc<{ service: ServiceObject }> {
    const service = this.#context.store.view((tx) => tx.get("service", serviceId));
    if (service === undefined) throw notFound(serviceId);
    return { service };
  }

  *#create(spec: ServiceSpec): Proc<{ service: ServiceObject }> {
    this.#validate(spec);
    this.#context.store.view((tx) => checkPorts(tx, spec, ""));
    const service: ServiceObject = {
      id: newSwarmId(this.#random),
      meta: NEW_META,
      spec,
      specVersion: { index: 0 },
    };
    const job = isJob(service) ? { ...service, jobStatus: this.#execution(0) } : service;
    this.#context.store.view((tx) => checkIngress(tx, service));
    try {
      yield* this.#context.store.update((tx) => tx.create("service", job));
    } catch (error) {
      if (!(error instanceof StoreError) || error.message !== ERR_NAME_CONFLICT) throw error;
      const text = `${ERR_NAME_CONFLICT}: service ${spec.annotations.name} already exists`;
      throw new RpcError("AlreadyExists", text);
    }
    return yield* this.#get(service.id);
  }

  *#update(request: UpdateServiceRequest): Proc<{ service: ServiceObject }> {
    const { serviceId, spec } = request;
    this.#validate(spec);
    const { service } = yield* this.#get(serviceId);
    if (spec.endpoint !== undefined && !deepEqual(spec.endpoint, service.spec.endpoint)) {
      this.#context.store.view((tx) => checkPorts(tx, spec, serviceId));
    }
    yield* this.#context.store.update((tx) => {
      const stored = tx.get("service", serviceId);
      if (stored === undefined) throw notFound(serviceId);
      if ((stored.spec.mode?.kind ?? "replicated") !== (spec.mode?.kind ?? "replicated")) {
        throw new RpcError("Unimplemented", "service mode change is not allowed");
      }
      if (stored.spec.annotations.name !== spec.annotations.name) {
        throw new RpcError("Unimplemented", "renaming services is not supported");
      }
      const updated =
        request.rollback === "previous" ? this.#rolledBack(stored) : withSpec(stored, spec, request.version);
      checkIngress(tx, updated);
      const jobStatus = isJob(stored) ? this.#execution((stored.jobStatus?.iteration.index ?? 0) + 1) : undefined;
      tx.update("service", { ...updated, jobStatus, meta: { ...stored.meta, version: { index: request.version } } });
    });
    return yield* this.#get(serviceId);
  }

  /** A job begins, for the first time or again. */
  #execution(index: number): NonNullable<ServiceObject["jobStatus"]> {
    return { iteration: { index }, lastExecution: this.#context.os.now() };
  }

  /** The spec and the previous one change places, so it can be done again. */
  #rolledBack(service: ServiceObject): ServiceObject {
    if (service.previousSpec === undefined) {
      throw new RpcError("FailedPrecondition", `service ${service.id} does not have a previous spec`);
    }
    const startedAt = this.#context.os.now();
    const message = "manually requested rollback";
    return {
      ...service,
      spec: service.previousSpec,
      specVersion: service.previousSpecVersion,
      previousSpec: service.spec,
      previousSpecVersion: service.specVersion,
      updateStatus: { state: "rollback_started", message, startedAt, completedAt: undefined },
    };
  }

  *#remove(serviceId: string): Proc<Empty> {
    yield* this.#context.store.update((tx) => {
      if (tx.get("service", serviceId) === undefined) throw notFound(serviceId);
      tx.remove("service", serviceId);
    });
    return {};
  }

  *#list(request: ListServicesRequest): Proc<{ services: ServiceObject[] }> {
    const services = this.#context.store
      .view((tx) => tx.all("service"))
      .filter(
        (service) =>
          hasPrefix(service.spec.annotations.name, request.namePrefixes) &&
          hasPrefix(service.id, request.idPrefixes) &&
          labelsMatch(service.spec.annotations.labels, request.labels) &&
          (request.runtimes === undefined || request.runtimes.includes("container")),
      );
    return { services };
  }

  *#statuses(serviceIds: readonly string[]): Proc<{ statuses: ServiceStatus[] }> {
    return { statuses: this.#context.store.view((tx) => serviceIds.map((id) => statusOf(tx, id))) };
  }

  #validate(spec: ServiceSpec): void {
    try {
      validateServiceSpec(spec);
    } catch (error) {
      if (error instanceof ConstraintError) throw new RpcError("Unknown", error.message);
      throw error;
    }
    this.#context.store.view((tx) => checkNetworks(tx, spec));
  }
}

function notFound(serviceId: string): RpcError {
  return new RpcError("NotFound", `service ${serviceId} not found`);
}

/** The spec's version is the object's before the update: comparable with that of tasks, not with the object's own. */
function withSpec(service: ServiceObject, spec: ServiceSpec, version: number): ServiceObject {
  return {
    ...service,
    spec,
    specVersion: { index: version },
    previousSpec: service.spec,
    previousSpecVersion: service.specVersion,
    updateStatus: undefined,
  };
}

function checkNetworks(tx: ReadTx, spec: ServiceSpec): void {
  for (const { target } of spec.task.networks) {
    const network = tx.get("network", target);
    if (network === undefined || !isIngressNetwork(network)) continue;
    const text = `Service cannot be explicitly attached to the ingress network "${network.spec.annotations.name}"`;
    throw new RpcError("InvalidArgument", text);
  }
}

function checkIngress(tx: ReadTx, service: ServiceObject): void {
  if (!needsIngress(service) || tx.all("network").some(isIngressNetwork)) return;
  const text = "service needs ingress network, but no ingress network is present";
  throw new RpcError("FailedPrecondition", text);
}

/** Ports in use by another service: as wished, and as they were given (checkPortConflicts). */
function checkPorts(tx: ReadTx, spec: ServiceSpec, serviceId: string): void {
  const wished = new Map<string, "ingress" | "host">();
  const keyOf = (port: PublishedPort) => `${port.publishedPort}/${port.protocol}`;
  for (const port of spec.endpoint?.ports ?? []) {
    if (port.publishedPort !== 0) wished.set(keyOf(port), port.publishMode);
  }
  if (wished.size === 0) return;
  for (const service of tx.all("service")) {
    if (service.id === serviceId) continue;
    for (const port of [...(service.spec.endpoint?.ports ?? []), ...(service.endpoint?.ports ?? [])]) {
      const wish = port.publishedPort === 0 ? undefined : wished.get(keyOf(port));
      // Several services may have one port in host mode: the scheduler sees to that.
      if (wish === undefined || (port.publishMode === "host" && wish === "host")) continue;
      const how = port.publishMode === "host" ? "a host-published" : "an ingress";
      const owner = `service '${service.spec.annotations.name}' (${service.id})`;
      throw new RpcError(
        "InvalidArgument",
        `port '${port.publishedPort}' is already in use by ${owner} as ${how} port`,
      );
    }
  }
}

/** ListServiceStatuses: a service that is gone has zeros; of a job, the present iteration counts. */
function statusOf(tx: ReadTx, serviceId: string): ServiceStatus {
  const service = tx.get("service", serviceId);
  const mode = service?.spec.mode;
  const iteration = service?.jobStatus?.iteration.index;
  const tasks = tx.by("task", "service", serviceId).filter((task) => task.jobIteration?.index === iteration);
  const count = (wanted: (task: TaskObject) => boolean) => tasks.filter(wanted).length;
  const completedTasks = count((task) => task.status.state === TaskState.COMPLETE);
  let desiredTasks = 0;
  if (mode?.kind === "replicated") desiredTasks = mode.replicas;
  else if (mode?.kind === "global") desiredTasks = count((task) => task.desiredState === TaskState.RUNNING);
  else if (mode?.kind === "global-job") desiredTasks = count((task) => task.status.state < TaskState.COMPLETE);
  else if (mode !== undefined)
    desiredTasks = Math.min(mode.maxConcurrent, Math.max(0, mode.totalCompletions - completedTasks));
  const runningTasks = count((task) => task.status.state === TaskState.RUNNING);
  return { serviceId, runningTasks, desiredTasks, completedTasks };
}
