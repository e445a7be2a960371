/**
 * The task reaper (swarmkit manager/orchestrator/taskreaper): deletes tasks nobody needs any more — with desired
 * state REMOVE once they are not assigned or have ended, and orphaned ones without a service (attachments).
 * It ticks 250 ms after the first event that calls for it, or at 1000 tasks. The history of services' slots is
 * the rest of its duty and belongs here.
 */
import { MS, type Time } from "../../base/time.ts";
import type { Channel, Proc } from "../../scheduler/process.ts";
import { type TaskObject, TaskState } from "../api/objects.ts";
import type { StoreEvent, WriteTx } from "../store/memory.ts";
import type { Component, ComponentContext } from "./component.ts";

const BATCHING_INTERVAL = 250 * MS;
const MAX_DIRTY = 1000;

export class TaskReaper implements Component {
  readonly name = "task reaper";
  readonly #context: ComponentContext;
  readonly #events: Channel<StoreEvent>;
  readonly #cleanup = new Set<string>();
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
        if (event === undefined || this.#cleanup.size > MAX_DIRTY) yield* this.#tick();
        if (event?.table === "task" && event.action === "update") this.#collect(event.object);
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

  *#tick(): Proc<void> {
    this.#tickAt = undefined;
    const writes = [...this.#cleanup].map((id) => (tx: WriteTx) => {
      const task = tx.get("task", id);
      if (task !== undefined && isReapable(task)) tx.remove("task", id);
    });
    this.#cleanup.clear();
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }
}

function isReapable(task: TaskObject): boolean {
  const { state } = task.status;
  if (state >= TaskState.ORPHANED && task.serviceId === "") return true;
  return task.desiredState === TaskState.REMOVE && (state < TaskState.ASSIGNED || state >= TaskState.COMPLETE);
}
