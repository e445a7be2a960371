/** What becomes of a removed service's tasks (swarmkit manager/orchestrator/service.go SetServiceTasksRemove). */
import type { Proc } from "../../../scheduler/process.ts";
import { type ServiceObject, TaskState } from "../../api/objects.ts";
import type { WriteTx } from "../../store/memory.ts";
import type { ComponentContext } from "../component.ts";
import { bySlot } from "./task.ts";

/** Marks all tasks of a service for removal: agents stop them, the task reaper deletes them. */
export function* removeTasksOf(context: ComponentContext, service: ServiceObject): Proc<void> {
  const tasks = context.store.view((tx) => tx.by("task", "service", service.id)).sort(bySlot);
  const writes = tasks.map(({ id }) => (tx: WriteTx) => {
    const task = tx.get("task", id);
    if (task === undefined || task.desiredState >= TaskState.REMOVE) return;
    tx.update("task", { ...task, desiredState: TaskState.REMOVE });
  });
  if (writes.length > 0) yield* context.store.batch(writes);
}
