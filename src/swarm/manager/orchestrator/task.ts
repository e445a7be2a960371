/** Tasks of services: how they are made, and whether one is as its service wants it (swarmkit manager/orchestrator/task.go). */
import { newSwarmId } from "../../../base/ids.ts";
import type { Random } from "../../../base/random.ts";
import type { Time } from "../../../base/time.ts";
import { deepEqual } from "../../api/equality.ts";
import {
  NEW_META,
  type NodeObject,
  type ServiceObject,
  type TaskObject,
  type TaskSpec,
  TaskState,
} from "../../api/objects.ts";
import { meetsConstraints } from "../constraint.ts";

/** What a task is told apart by in its service: its slot, or its node where there is one a node. */
export type SlotKey = string;

/** The tasks of one slot (or node), dead ones included. */
export type Slot = readonly TaskObject[];

/** A fresh task in state NEW. `nodeId` is set for services with one task a node. */
export function newTask(random: Random, now: Time, service: ServiceObject, slot: number, nodeId = ""): TaskObject {
  return {
    id: newSwarmId(random),
    meta: NEW_META,
    annotations: { name: "", labels: {} },
    spec: service.spec.task,
    serviceId: service.id,
    serviceAnnotations: service.spec.annotations,
    slot,
    nodeId,
    status: { timestamp: now, state: TaskState.NEW, message: "created", err: "" },
    desiredState: TaskState.RUNNING,
    networks: [],
    endpoint: { spec: service.spec.endpoint, ports: [], virtualIps: [] },
    specVersion: service.specVersion,
    jobIteration: service.jobStatus?.iteration,
  };
}

function withoutConstraints(spec: TaskSpec): TaskSpec {
  return { ...spec, placement: { ...spec.placement, constraints: [] } };
}

/** Whether a task must be replaced to be as the service's spec says. */
export function isTaskDirty(service: ServiceObject, task: TaskObject, node: NodeObject | undefined): boolean {
  const { specVersion } = service;
  if (specVersion !== undefined && task.specVersion !== undefined && specVersion.index === task.specVersion.index) {
    return false;
  }
  const wanted = service.spec.task;
  const onlyConstraints =
    !deepEqual(wanted.placement?.constraints ?? [], task.spec.placement?.constraints ?? []) &&
    deepEqual(withoutConstraints(wanted), withoutConstraints(task.spec)) &&
    (task.endpoint === undefined || deepEqual(service.spec.endpoint, task.endpoint.spec));
  if (onlyConstraints && meetsConstraints(service, node)) return false;
  if (!deepEqual(wanted, task.spec)) return true;
  return task.endpoint !== undefined && !deepEqual(service.spec.endpoint, task.endpoint.spec);
}

/** Whether tasks can't stay on a node: it is gone, down or drained (orchestrator.InvalidNode). */
export function isInvalidNode(node: NodeObject | undefined): boolean {
  return node === undefined || node.status.state === "down" || node.spec.availability === "drain";
}

/** When a task's status was set: the manager's clock where it is known (orchestrator.TasksByTimestamp). */
export function statusTime(task: TaskObject): Time {
  return task.status.appliedAt ?? task.status.timestamp;
}

/** Oldest first; of the same age, in order of creation and then of ID. */
export function byTimestamp(a: TaskObject, b: TaskObject): number {
  return (
    statusTime(a) - statusTime(b) ||
    a.meta.createdAt - b.meta.createdAt ||
    a.meta.version.index - b.meta.version.index ||
    (a.id < b.id ? -1 : 1)
  );
}

/** In order of slots, then of nodes, then of age and ID: where real swarms take the order of a Go map. */
export function bySlot(a: TaskObject, b: TaskObject): number {
  return a.slot - b.slot || compare(a.nodeId, b.nodeId) || a.meta.createdAt - b.meta.createdAt || compare(a.id, b.id);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
