/**
 * States of tasks and nodes on their way into the store (swarmkit manager/dispatcher/dispatcher.go
 * processUpdates): collected, and written every 100 ms or at 10 000 items.
 */
import { MS, type Time } from "../../../base/time.ts";
import { type Proc, Signal } from "../../../scheduler/process.ts";
import { deepEqual } from "../../api/equality.ts";
import type { NodeDescription, NodeState, TaskStatus } from "../../api/objects.ts";
import type { WriteTx } from "../../store/memory.ts";
import type { ComponentContext } from "../component.ts";

const FLUSH_INTERVAL = 100 * MS;
const MAX_BATCH = 10_000;

/** A state of a node to be written. */
export interface NodeStatusUpdate {
  readonly state: NodeState;
  readonly message: string;
  /** undefined leaves what is stored. */
  readonly addr?: string | undefined;
  readonly description?: NodeDescription | undefined;
}

/** States that wait to be written in one batch. */
export class StatusQueue {
  readonly #context: ComponentContext;
  /** The leader's node ID, for `appliedBy`. */
  readonly #nodeId: string;
  #tasks = new Map<string, TaskStatus>();
  #nodes = new Map<string, NodeStatusUpdate>();
  readonly #filled = new Signal();
  readonly #flushed = new Signal();
  #flushes = 0;

  constructor(context: ComponentContext, nodeId: string) {
    this.#context = context;
    this.#nodeId = nodeId;
  }

  pushTask(taskId: string, status: TaskStatus): void {
    this.#tasks.set(taskId, status);
    this.#filled.notify();
  }

  pushNode(nodeId: string, update: NodeStatusUpdate): void {
    this.#nodes.set(nodeId, { ...this.#nodes.get(nodeId), ...update });
    this.#filled.notify();
  }

  /** Waits until what is queued now is written. */
  *nextFlush(): Proc<void> {
    const before = this.#flushes;
    while (this.#flushes === before) yield { on: [this.#flushed] };
  }

  *run(): Proc<void> {
    const os = this.#context.os;
    let flushAt: Time = os.now() + FLUSH_INTERVAL;
    for (;;) {
      while (this.size === 0) yield { on: [this.#filled] };
      // The ticker runs on whether there is something to write or not.
      if (flushAt < os.now()) flushAt += Math.ceil((os.now() - flushAt) / FLUSH_INTERVAL) * FLUSH_INTERVAL;
      while (os.now() < flushAt && this.size < MAX_BATCH) yield { on: [this.#filled], until: flushAt };
      yield* this.#flush();
      flushAt += FLUSH_INTERVAL;
    }
  }

  /** How many wait. */
  get size(): number {
    return this.#tasks.size + this.#nodes.size;
  }

  *#flush(): Proc<void> {
    const tasks = this.#tasks;
    const nodes = this.#nodes;
    this.#tasks = new Map();
    this.#nodes = new Map();
    const writes = [
      ...[...tasks].map(
        ([id, status]) =>
          (tx: WriteTx) =>
            this.#writeTask(tx, id, status),
      ),
      ...[...nodes].map(
        ([id, update]) =>
          (tx: WriteTx) =>
            this.#writeNode(tx, id, update),
      ),
    ];
    yield* this.#context.store.batch(writes);
    this.#flushes++;
    this.#flushed.notify();
  }

  /** States only move upward; the same one again is written for its message. */
  #writeTask(tx: WriteTx, id: string, status: TaskStatus): void {
    const task = tx.get("task", id);
    if (task === undefined || task.status.state > status.state) return;
    const old = task.status;
    if (sameStatus(old, status)) return;
    tx.update("task", { ...task, status: { ...status, appliedBy: this.#nodeId, appliedAt: this.#context.os.now() } });
  }

  #writeNode(tx: WriteTx, id: string, update: NodeStatusUpdate): void {
    const node = tx.get("node", id);
    if (node === undefined) return;
    const status = { state: update.state, message: update.message, addr: update.addr ?? node.status.addr };
    tx.update("node", { ...node, status, description: update.description ?? node.description });
  }
}

/** Everything but the time: then there is nothing to write. */
function sameStatus(a: TaskStatus, b: TaskStatus): boolean {
  if (a.state !== b.state || a.message !== b.message || a.err !== b.err) return false;
  return deepEqual(a.container, b.container) && deepEqual(a.ports, b.ports);
}
