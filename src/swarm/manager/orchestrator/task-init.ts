/** What a new leader makes of the tasks that it finds (swarmkit manager/orchestrator/taskinit/init.go). */
import type { Proc } from "../../../scheduler/process.ts";
import { DEFAULT_RESTART_DELAY } from "../../api/defaults.ts";
import { type ServiceObject, type TaskObject, TaskState } from "../../api/objects.ts";
import type { WriteTx } from "../../store/memory.ts";
import type { ComponentContext } from "../component.ts";
import type { RestartSupervisor } from "./restart.ts";
import { byTimestamp, statusTime } from "./task.ts";

/** Deletes tasks of services that are gone, resumes delayed starts, and rebuilds the history of restarts. */
export function* resumeTasks(
  context: ComponentContext,
  restarts: RestartSupervisor,
  tasks: readonly TaskObject[],
  isOurs: (service: ServiceObject) => boolean,
): Proc<void> {
  const writes: ((tx: WriteTx) => void)[] = [];
  const ours: TaskObject[] = [];
  for (const task of tasks) {
    if (task.serviceId === "") continue;
    const service = context.store.view((tx) => tx.get("service", task.serviceId));
    if (service === undefined) {
      writes.push((tx) => {
        if (tx.get("task", task.id) !== undefined) tx.remove("task", task.id);
      });
    } else if (isOurs(service)) ours.push(task);
  }
  if (writes.length > 0) yield* context.store.batch(writes);
  const seen = new Set<string>();
  for (const task of [...ours].sort(byTimestamp)) {
    // The first task of a slot is no restart.
    const slot = `${task.serviceId}/${task.slot === 0 ? task.nodeId : task.slot}`;
    if (seen.has(slot)) restarts.record(task);
    seen.add(slot);
    if (task.desiredState !== TaskState.READY || task.status.state > TaskState.COMPLETE) continue;
    const delay = task.spec.restart?.delay ?? DEFAULT_RESTART_DELAY;
    const left = Math.min(delay, statusTime(task) + delay - context.os.now());
    restarts.delayStart(undefined, task.id, Math.max(0, left), true);
  }
}
