/**
 * The task reaper (swarmkit manager/orchestrator/taskreaper): deletes tasks nobody needs any more — with desired
 * state REMOVE once they are not assigned or have ended, orphaned ones without a service (attachments), and the oldest
 * ended ones of a slot (or node, for global services) beyond the history that the cluster keeps.
 * It ticks 250 ms after the first event that calls for it, or at 1000 tasks.
 */
import { MS, type Time } from "../../base/time.ts";
import type { Channel, Proc } from "../../scheduler/process.ts";
import { type ServiceObject, type TaskObject, TaskState } from "../api/objects.ts";
import type { ReadTx, StoreEvent, WriteTx } from "../store/memory.ts";
import type { Component, ComponentContext } from "./component.ts";
import { byTimestamp } from "./orchestrator/task.ts";
import { isPerNode } from "./service-modes.ts";

const BATCHING_INTERVAL = 250 * MS;
const MAX_DIRTY = 1000;

/** Where tasks follow each other. */
interface SlotTuple {
  readonly serviceId: string;
  readonly slot: number;
  /** Of global services' tasks. */
  readonly nodeId: string;
}

/** Deletes old tasks (orchestrator/taskreaper). */
export class TaskReaper implements Component {
  readonly name = "task reaper";
  readonly #context: ComponentContext;
  readonly #events: Channel<StoreEvent>;
  readonly #cleanup = new Set<string>();
  readonly #dirty = new Map<string, SlotTuple>();
  #tickAt: Time | undefined;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
  }

  *run(): Proc<void> {
    try {
      for (const task of this.#context.store.view((tx) => tx.all("task"))) this.#collect(task);
      for (;;) {
        const event = yield* this.#events.pop(this.#tickAt);
        if (event === undefined || this.#cleanup.size + this.#dirty.size > MAX_DIRTY) yield* this.#tick();
        if (event?.table !== "task" || event.action === "remove") continue;
        if (event.action === "create") this.#noteSlot(event.object);
        this.#collect(event.object);
      }
    } finally {
      this.#context.store.unwatch(this.#events);
    }
  }

  #collect(task: TaskObject): void {
    if (!isReapable(task)) return;
    this.#cleanup.add(task.id);
    this.#tickAt ??= this.#context.os.now() + BATCHING_INTERVAL;
  }

  #noteSlot({ serviceId, slot, nodeId }: TaskObject): void {
    if (serviceId === "") return;
    const tuple = { serviceId, slot, nodeId: slot === 0 ? nodeId : "" };
    this.#dirty.set(`${serviceId}/${slot}/${tuple.nodeId}`, tuple);
    this.#tickAt ??= this.#context.os.now() + BATCHING_INTERVAL;
  }

  *#tick(): Proc<void> {
    this.#tickAt = undefined;
    const deletions = new Set<string>();
    const reapable = [...this.#cleanup];
    this.#cleanup.clear();
    this.#context.store.view((tx) => {
      for (const id of reapable) {
        const task = tx.get("task", id);
        if (task !== undefined && isReapable(task)) deletions.add(id);
      }
      for (const [key, tuple] of [...this.#dirty]) {
        // A slot with several tasks that still run is looked at again at the next tick.
        if (reapHistory(tx, tuple, deletions) <= 1) this.#dirty.delete(key);
      }
    });
    const writes = [...deletions].map((id) => (tx: WriteTx) => {
      if (tx.get("task", id) !== undefined) tx.remove("task", id);
    });
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }
}

/** How many tasks of a slot are kept, the running one included; undefined = all. */
function retention(tx: ReadTx, service: ServiceObject): number | undefined {
  const limit = tx.all("cluster")[0]?.spec.orchestration.taskHistoryRetentionLimit ?? 0;
  const maxAttempts = service.spec.task.restart?.maxAttempts ?? 0;
  const kept = maxAttempts > 0 ? maxAttempts + 1 : limit;
  return kept < 0 ? undefined : kept;
}

/** Adds what a slot has too much to `deletions`; gives the number of its tasks that run, if it got so far. */
function reapHistory(tx: ReadTx, { serviceId, slot, nodeId }: SlotTuple, deletions: Set<string>): number {
  const service = tx.get("service", serviceId);
  const kept = service === undefined ? undefined : retention(tx, service);
  if (service === undefined || kept === undefined) return 0;
  const perNode = isPerNode(service);
  const tasks = tx
    .by("task", "service", serviceId)
    .filter((task) => (perNode ? task.nodeId === nodeId : task.slot === slot))
    .sort(byTimestamp);
  let surplus = tasks.length - kept;
  let running = 0;
  for (const task of tasks) {
    if (surplus <= 0) break;
    if (hasEnded(task)) {
      deletions.add(task.id);
      surplus--;
    } else running++;
  }
  return running;
}

/** It is over, or will never begin. */
function hasEnded({ status, desiredState }: TaskObject): boolean {
  if (status.state > TaskState.RUNNING) return true;
  return status.state < TaskState.ASSIGNED && desiredState > TaskState.RUNNING;
}

function isReapable(task: TaskObject): boolean {
  const { state } = task.status;
  if (state >= TaskState.ORPHANED && task.serviceId === "") return true;
  return task.desiredState === TaskState.REMOVE && (state < TaskState.ASSIGNED || state >= TaskState.COMPLETE);
}
