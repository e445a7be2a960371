/**
 * The scheduler (swarmkit manager/scheduler/scheduler.go): collects tasks from events and ticks 50 ms after the
 * last commit, at most 1 s after the first. Here it confirms tasks whose node is preset — attachments, and
 * later tasks of global services; the placing of the others joins the same tick.
 */
import { MS, SEC, type Time } from "../../base/time.ts";
import type { Channel, Proc } from "../../scheduler/process.ts";
import { type NodeObject, type TaskObject, TaskState } from "../api/objects.ts";
import type { StoreEvent, WriteTx } from "../store/memory.ts";
import type { Component, ComponentContext } from "./component.ts";

const DEBOUNCE_GAP = 50 * MS;
const MAX_LATENCY = SEC;

export class Scheduler implements Component {
  readonly name = "scheduler";
  readonly #context: ComponentContext;
  readonly #events: Channel<StoreEvent>;
  /** IDs of tasks whose node is preset and which wait for the tick. */
  readonly #preassigned = new Set<string>();
  #tickAt: Time | undefined;
  #tickLimit: Time = 0;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
  }

  *run(): Proc<void> {
    try {
      for (const task of this.#context.store.view((tx) => tx.all("task"))) this.#collect(task);
      let dirty = this.#preassigned.size > 0;
      if (dirty) this.#commitSeen();
      for (;;) {
        const event = yield* this.#events.pop(this.#tickAt);
        if (event === undefined) {
          this.#tickAt = undefined;
          yield* this.#tick();
        } else if (event.action !== "commit") {
          if (this.#onEvent(event)) dirty = true;
        } else if (dirty) {
          dirty = false;
          this.#commitSeen();
        }
      }
    } finally {
      this.#context.store.unwatch(this.#events);
    }
  }

  /** True when the event calls for a tick. */
  #onEvent(event: Exclude<StoreEvent, { action: "commit" }>): boolean {
    if (event.table === "node") return event.action !== "remove" && this.#preassigned.size > 0;
    if (event.table !== "task") return false;
    if (event.action === "remove") {
      this.#preassigned.delete(event.object.id);
      return false;
    }
    return this.#collect(event.object);
  }

  #collect(task: TaskObject): boolean {
    if (task.status.state !== TaskState.PENDING || task.nodeId === "") return false;
    this.#preassigned.add(task.id);
    return true;
  }

  #commitSeen(): void {
    const now = this.#context.os.now();
    if (this.#tickAt === undefined) this.#tickLimit = now + MAX_LATENCY;
    this.#tickAt = Math.min(now + DEBOUNCE_GAP, this.#tickLimit);
  }

  *#tick(): Proc<void> {
    const writes = [...this.#preassigned].map((id) => (tx: WriteTx) => this.#confirm(tx, id));
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  /** Assigns a task to its preset node if that fits; else it waits for a change of a node, with the reason. */
  #confirm(tx: WriteTx, id: string): void {
    const task = tx.get("task", id);
    if (task === undefined || task.status.state !== TaskState.PENDING) {
      this.#preassigned.delete(id);
      return;
    }
    const timestamp = this.#context.os.now();
    const node = tx.get("node", task.nodeId);
    if (node === undefined || !isReady(node)) {
      const err = "1 node not available for new tasks";
      if (task.status.err !== err) tx.update("task", { ...task, status: { ...task.status, timestamp, err } });
      return;
    }
    this.#preassigned.delete(id);
    const message = "scheduler confirmed task can run on preassigned node";
    tx.update("task", { ...task, status: { ...task.status, timestamp, state: TaskState.ASSIGNED, message, err: "" } });
  }
}

/** The Ready filter: READY and active. */
function isReady(node: NodeObject): boolean {
  return node.status.state === "ready" && node.spec.availability === "active";
}
