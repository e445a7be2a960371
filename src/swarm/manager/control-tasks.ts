/** Tasks in the control API (swarmkit manager/controlapi/task.go). */
import type { Proc } from "../../scheduler/process.ts";
import { type TaskObject, taskName } from "../api/objects.ts";
import { GetTask, ListTasks, type ListTasksRequest } from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import type { ReadTx } from "../store/memory.ts";
import type { Router } from "../transport/transport.ts";
import type { ComponentContext } from "./component.ts";
import { hasPrefix, isOneOf, labelsMatch } from "./control-filters.ts";
import { isTaskDirty } from "./orchestrator/task.ts";

/** Tasks of the service Control. */
export class TaskApi {
  readonly #context: ComponentContext;

  constructor(context: ComponentContext) {
    this.#context = context;
  }

  register(router: Router): void {
    router.unary(ListTasks, (request) => this.#list(request));
    router.unary(GetTask, (request) => this.#get(request.taskId));
  }

  *#list(request: ListTasksRequest): Proc<{ tasks: TaskObject[] }> {
    return {
      tasks: this.#context.store.view((tx) => candidates(tx, request).filter((task) => passes(tx, task, request))),
    };
  }

  *#get(taskId: string): Proc<{ task: TaskObject }> {
    const task = this.#context.store.view((tx) => tx.get("task", taskId));
    if (task === undefined) throw new RpcError("NotFound", `task ${taskId} not found`);
    return { task };
  }
}

function candidates(tx: ReadTx, { serviceIds = [] }: ListTasksRequest): TaskObject[] {
  if (serviceIds.length === 0) return tx.all("task");
  return [...new Set(serviceIds)].flatMap((id) => tx.by("task", "service", id));
}

function passes(tx: ReadTx, task: TaskObject, request: ListTasksRequest): boolean {
  return (
    hasPrefix(taskName(task), request.namePrefixes) &&
    hasPrefix(task.id, request.idPrefixes) &&
    labelsMatch(task.serviceAnnotations.labels, request.labels) &&
    isOneOf(task.nodeId, request.nodeIds) &&
    isOneOf(task.desiredState, request.desiredStates) &&
    isOneOf<string>(task.spec.runtime, request.runtimes) &&
    (request.upToDate !== true || isUpToDate(tx, task))
  );
}

function isUpToDate(tx: ReadTx, task: TaskObject): boolean {
  const service = tx.get("service", task.serviceId);
  return service !== undefined && !isTaskDirty(service, task, tx.get("node", task.nodeId));
}
