/** A node as the scheduler sees it: its tasks, what is reserved, recent failures (swarmkit manager/scheduler/nodeinfo.go). */
import { MINUTE, type Time } from "../../../base/time.ts";
import { type NodeObject, type TaskObject, TaskState } from "../../api/objects.ts";

/** So far back failures of a service's version count, and so many make a node the last choice. */
const MONITOR_FAILURES: Time = 5 * MINUTE;
/** Failures of a service on a node after which it is avoided. */
export const MAX_FAILURES = 5;

/** A port of a node: protocol and number. */
export function hostPortKeys(task: TaskObject): string[] {
  return (task.endpoint?.ports ?? [])
    .filter((port) => port.publishMode === "host" && port.publishedPort !== 0)
    .map((port) => `${port.publishedPort}/${port.protocol}`);
}

/** A task counts while it is meant to run. */
function isActive(task: TaskObject): boolean {
  return task.desiredState <= TaskState.COMPLETE;
}

function versionKey(task: TaskObject): string {
  return `${task.serviceId}/${task.specVersion?.index ?? -1}`;
}

/** A node as the scheduler counts it (scheduler/nodeinfo.go). */
export class NodeInfo {
  node: NodeObject;
  readonly #tasks = new Map<string, TaskObject>();
  /** Active tasks: in all, and by service. */
  #active = 0;
  readonly #activeOf = new Map<string, number>();
  readonly #failures = new Map<string, Time[]>();

  constructor(node: NodeObject) {
    this.node = node;
  }

  /** Adds a task, or takes it as it is now. */
  put(task: TaskObject): void {
    this.remove(task.id);
    this.#tasks.set(task.id, task);
    this.#count(task, 1);
  }

  /** False when it wasn't there. */
  remove(taskId: string): boolean {
    const task = this.#tasks.get(taskId);
    if (task === undefined) return false;
    this.#tasks.delete(taskId);
    this.#count(task, -1);
    return true;
  }

  #count(task: TaskObject, by: number): void {
    if (!isActive(task)) return;
    this.#active += by;
    this.#activeOf.set(task.serviceId, (this.#activeOf.get(task.serviceId) ?? 0) + by);
  }

  /** Tasks that are meant to run: of a service, or all. */
  activeCount(serviceId?: string): number {
    return serviceId === undefined ? this.#active : (this.#activeOf.get(serviceId) ?? 0);
  }

  usesHostPort(key: string): boolean {
    for (const task of this.#tasks.values()) if (hostPortKeys(task).includes(key)) return true;
    return false;
  }

  /** What its tasks have not reserved. */
  available(): { readonly nanoCpus: number; readonly memoryBytes: number } {
    let { nanoCpus, memoryBytes } = this.node.description?.resources ?? { nanoCpus: 0, memoryBytes: 0 };
    for (const { spec } of this.#tasks.values()) {
      nanoCpus -= spec.resources?.reservations?.nanoCpus ?? 0;
      memoryBytes -= spec.resources?.reservations?.memoryBytes ?? 0;
    }
    return { nanoCpus, memoryBytes };
  }

  taskFailed(task: TaskObject, now: Time): void {
    const key = versionKey(task);
    const recent = (this.#failures.get(key) ?? []).filter((time) => now - time <= MONITOR_FAILURES);
    this.#failures.set(key, [...recent, now]);
  }

  /** Failures of the task's service and version in the last five minutes. */
  recentFailures(task: TaskObject, now: Time): number {
    return (this.#failures.get(versionKey(task)) ?? []).filter((time) => now - time < MONITOR_FAILURES).length;
  }
}
