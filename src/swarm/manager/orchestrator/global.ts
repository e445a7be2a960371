/**
 * Global services: one task on each node that can have one (swarmkit manager/orchestrator/global/global.go). Tasks have
 * their node from the start; the scheduler only confirms it.
 */
import type { Random } from "../../../base/random.ts";
import type { Channel, Proc } from "../../../scheduler/process.ts";
import { type NodeObject, type ServiceObject, type TaskObject, TaskState } from "../../api/objects.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { Component, ComponentContext } from "../component.ts";
import { meetsConstraints } from "../constraint.ts";
import { isGlobal } from "../service-modes.ts";
import { removeTasksOf } from "./remove.ts";
import { type AfterCommit, RestartSupervisor } from "./restart.ts";
import { bySlot, isInvalidNode, isTaskDirty, newTask, type Slot } from "./task.ts";
import { resumeTasks } from "./task-init.ts";
import { UpdateSupervisor } from "./updater.ts";

type Write = (tx: WriteTx) => void;

/** One task per node (orchestrator/global). */
export class GlobalOrchestrator implements Component {
  readonly name = "global orchestrator";
  readonly #context: ComponentContext;
  readonly #random: Random;
  readonly #events: Channel<StoreEvent>;
  readonly #restarts: RestartSupervisor;
  readonly #updates: UpdateSupervisor;
  /** IDs of tasks to replace at the next commit. */
  readonly #tasks = new Set<string>();

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
    this.#random = context.random.fork("global");
    const random = context.random.fork("global replacements");
    this.#restarts = new RestartSupervisor(context, random);
    this.#updates = new UpdateSupervisor({ context, restarts: this.#restarts, random });
  }

  *run(): Proc<void> {
    try {
      const tasks = this.#context.store.view((tx) => tx.all("task"));
      yield* resumeTasks(this.#context, this.#restarts, tasks, isGlobal);
      for (const task of tasks) this.#checkTask(task);
      for (const service of this.#services()) yield* this.#reconcileService(service);
      yield* this.#restartTasks();
      for (;;) {
        const event = yield* this.#events.pop();
        if (event === undefined) continue;
        this.#restarts.observe(event);
        if (event.action === "commit") yield* this.#restartTasks();
        else if (event.table === "service") yield* this.#onService(event.action, event.object);
        else if (event.table === "node") yield* this.#onNode(event.action, event.object);
        else if (event.table === "task") this.#onTask(event.action, event.object);
      }
    } finally {
      this.#updates.stop();
      this.#restarts.stop();
      this.#context.store.unwatch(this.#events);
    }
  }

  #services(): ServiceObject[] {
    return this.#context.store.view((tx) => tx.all("service")).filter(isGlobal);
  }

  /** Nodes that may have tasks, in order of joining: swarmkit takes the order of a Go map. */
  #nodes(): NodeObject[] {
    return this.#context.store
      .view((tx) => tx.all("node"))
      .filter((node) => !isInvalidNode(node))
      .sort((a, b) => a.meta.createdAt - b.meta.createdAt || (a.id < b.id ? -1 : 1));
  }

  *#batch(writes: readonly Write[]): Proc<void> {
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  // ------------------------------------------------------------------------------------------- events

  *#onService(action: StoreEvent["action"], service: ServiceObject): Proc<void> {
    if (!isGlobal(service)) return;
    if (action === "remove") {
      yield* removeTasksOf(this.#context, service);
      this.#restarts.clearHistory(service.id);
      this.#updates.remove(service.id);
      return;
    }
    const stored = this.#context.store.view((tx) => tx.get("service", service.id));
    if (stored !== undefined) yield* this.#reconcileService(stored);
  }

  *#onNode(action: StoreEvent["action"], node: NodeObject): Proc<void> {
    if (action === "remove") {
      yield* this.#batch(
        this.#tasksOn(node.id).map(({ id }) => (tx: WriteTx) => {
          if (tx.get("task", id) !== undefined) tx.remove("task", id);
        }),
      );
      return;
    }
    const stored = this.#context.store.view((tx) => tx.get("node", node.id));
    if (stored === undefined) return;
    if (isInvalidNode(stored)) yield* this.#batch(shutDown(this.#tasksOn(node.id)));
    else if (stored.spec.availability !== "pause") yield* this.#reconcileNode(stored);
  }

  #tasksOn(nodeId: string): TaskObject[] {
    return this.#context.store.view((tx) =>
      tx.by("task", "node", nodeId).filter((task) => isGlobal(tx.get("service", task.serviceId))),
    );
  }

  #onTask(action: StoreEvent["action"], task: TaskObject): void {
    if (action === "remove") this.#restarts.cancel(task.id);
    else this.#checkTask(task);
  }

  #checkTask(task: TaskObject): void {
    if (task.desiredState > TaskState.RUNNING || task.status.state <= TaskState.RUNNING) return;
    if (isGlobal(this.#context.store.view((tx) => tx.get("service", task.serviceId)))) this.#tasks.add(task.id);
  }

  // ------------------------------------------------------------------------------------------- restarts

  *#restartTasks(): Proc<void> {
    if (this.#tasks.size === 0) return;
    const tasks = this.#context.store.view((tx) => [...this.#tasks].map((id) => tx.get("task", id)));
    this.#tasks.clear();
    const afters: AfterCommit[] = [];
    const present = tasks.filter((task) => task !== undefined).sort(bySlot);
    yield* this.#batch(
      present.map(
        ({ id }) =>
          (tx) =>
            this.#restartTask(tx, id, afters),
      ),
    );
    for (const after of afters) after();
  }

  #restartTask(tx: WriteTx, id: string, afters: AfterCommit[]): void {
    const task = tx.get("task", id);
    const service = task === undefined ? undefined : tx.get("service", task.serviceId);
    if (task === undefined || task.desiredState > TaskState.RUNNING || !isGlobal(service)) return;
    const node = tx.get("node", task.nodeId);
    if (node === undefined || isInvalidNode(node)) return;
    if (node.spec.availability === "pause" || !meetsConstraints(service, node)) {
      tx.update("task", { ...task, desiredState: TaskState.SHUTDOWN });
    } else afters.push(this.#restarts.restart(tx, service, task));
  }

  // ------------------------------------------------------------------------------------------- reconciling

  #newTask(service: ServiceObject, nodeId: string): Write {
    const task = newTask(this.#random, this.#context.os.now(), service, 0, nodeId);
    return (tx) => tx.create("task", task);
  }

  *#reconcileService(service: ServiceObject): Proc<void> {
    const byNode = new Map<string, TaskObject[]>();
    for (const task of this.#context.store.view((tx) => tx.by("task", "service", service.id)).sort(bySlot)) {
      byNode.set(task.nodeId, [...(byNode.get(task.nodeId) ?? []), task]);
    }
    const writes: Write[] = [];
    const updates: Slot[] = [];
    for (const node of this.#nodes()) {
      const tasks = this.#restarts.updatableTasks(byNode.get(node.id) ?? [], service);
      byNode.delete(node.id);
      if (!meetsConstraints(service, node)) writes.push(...shutDown(tasks));
      // Nothing is added to or changed on a paused node.
      else if (node.spec.availability === "pause") continue;
      else if (tasks.length === 0) writes.push(this.#newTask(service, node.id));
      else updates.push(tasks);
    }
    // What is left is on nodes that are drained, down or gone.
    for (const tasks of byNode.values()) writes.push(...shutDown(tasks));
    yield* this.#batch(writes);
    if (updates.length > 0) this.#updates.update(service, updates);
  }

  /** A node that came back, or changed: not a rolling update, so neither its pace nor its status apply. */
  *#reconcileNode(node: NodeObject): Proc<void> {
    const writes: Write[] = [];
    const onNode = this.#tasksOn(node.id);
    for (const service of this.#services()) {
      const own = onNode.filter((task) => task.serviceId === service.id);
      const tasks = this.#restarts.updatableTasks(own, service);
      if (!meetsConstraints(service, node)) writes.push(...shutDown(tasks));
      else if (tasks.length === 0) writes.push(this.#newTask(service, node.id));
      else {
        const dirty = tasks.filter((task) => isTaskDirty(service, task, node));
        const clean = tasks.filter((task) => !dirty.includes(task));
        if (clean.length === 0) writes.push(this.#newTask(service, node.id));
        writes.push(...shutDown([...dirty, ...clean.slice(1)]));
      }
    }
    yield* this.#batch(writes);
  }
}

function shutDown(tasks: readonly TaskObject[]): Write[] {
  return tasks.map(({ id }) => (tx) => {
    const task = tx.get("task", id);
    if (task === undefined || task.desiredState >= TaskState.SHUTDOWN) return;
    tx.update("task", { ...task, desiredState: TaskState.SHUTDOWN });
  });
}
