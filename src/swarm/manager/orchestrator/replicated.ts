/** Replicated services: so many slots with one task each (swarmkit manager/orchestrator/replicated). */
import type { Random } from "../../../base/random.ts";
import type { Channel, Proc } from "../../../scheduler/process.ts";
import { type NodeObject, type ServiceObject, type TaskObject, TaskState } from "../../api/objects.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { Component, ComponentContext } from "../component.ts";
import { isReplicated } from "../service-modes.ts";
import { removeTasksOf } from "./remove.ts";
import { type AfterCommit, RestartSupervisor } from "./restart.ts";
import { bySlot, isInvalidNode, newTask, type Slot } from "./task.ts";
import { resumeTasks } from "./task-init.ts";
import { UpdateSupervisor } from "./updater.ts";

/** As many tasks as are asked for (orchestrator/replicated). */
export class ReplicatedOrchestrator implements Component {
  readonly name = "replicated orchestrator";
  readonly #context: ComponentContext;
  readonly #random: Random;
  readonly #events: Channel<StoreEvent>;
  readonly #restarts: RestartSupervisor;
  readonly #updates: UpdateSupervisor;
  /** IDs of services to look at, and of tasks to replace, at the next commit. */
  readonly #services = new Set<string>();
  readonly #tasks = new Set<string>();

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
    this.#random = context.random.fork("replicated");
    const random = context.random.fork("replicated replacements");
    this.#restarts = new RestartSupervisor(context, random);
    this.#updates = new UpdateSupervisor({ context, restarts: this.#restarts, random });
  }

  *run(): Proc<void> {
    try {
      const { services, tasks } = this.#context.store.view((tx) => ({
        services: tx.all("service"),
        tasks: tx.all("task"),
      }));
      yield* resumeTasks(this.#context, this.#restarts, tasks, isReplicated);
      for (const task of tasks) this.#checkTask(task);
      for (const service of services) if (isReplicated(service)) this.#services.add(service.id);
      yield* this.#tick();
      for (;;) {
        const event = yield* this.#events.pop();
        if (event === undefined) continue;
        this.#restarts.observe(event);
        if (event.action === "commit") yield* this.#tick();
        else yield* this.#onEvent(event);
      }
    } finally {
      this.#updates.stop();
      this.#restarts.stop();
      this.#context.store.unwatch(this.#events);
    }
  }

  *#onEvent(event: Exclude<StoreEvent, { action: "commit" }>): Proc<void> {
    if (event.table === "service") yield* this.#onService(event.action, event.object);
    else if (event.table === "node") this.#onNode(event.action, event.object);
    else if (event.table === "task") {
      if (event.action === "remove") this.#onTaskRemoved(event.object);
      else this.#checkTask(event.object);
    }
  }

  *#onService(action: StoreEvent["action"], service: ServiceObject): Proc<void> {
    if (!isReplicated(service)) return;
    if (action !== "remove") {
      this.#services.add(service.id);
      return;
    }
    this.#services.delete(service.id);
    yield* removeTasksOf(this.#context, service);
    this.#restarts.clearHistory(service.id);
    this.#updates.remove(service.id);
  }

  #onNode(action: StoreEvent["action"], node: NodeObject): void {
    if (action !== "remove" && !isInvalidNode(node)) return;
    for (const task of this.#context.store.view((tx) => tx.by("task", "node", node.id))) {
      if (task.desiredState <= TaskState.RUNNING && this.#isOurs(task)) this.#tasks.add(task.id);
    }
  }

  #isOurs(task: TaskObject): boolean {
    return isReplicated(this.#context.store.view((tx) => tx.get("service", task.serviceId)));
  }

  #onTaskRemoved(task: TaskObject): void {
    if (task.desiredState <= TaskState.RUNNING && this.#isOurs(task)) this.#services.add(task.serviceId);
    this.#restarts.cancel(task.id);
  }

  /** A task that is meant to run and doesn't any more, or whose node is lost, is replaced. */
  #checkTask(task: TaskObject): void {
    if (task.desiredState > TaskState.RUNNING || !this.#isOurs(task)) return;
    const node = this.#context.store.view((tx) => tx.get("node", task.nodeId));
    if (task.status.state > TaskState.RUNNING || (task.nodeId !== "" && isInvalidNode(node))) this.#tasks.add(task.id);
  }

  // ------------------------------------------------------------------------------------------- commits

  *#tick(): Proc<void> {
    yield* this.#restartTasks();
    for (const id of [...this.#services]) {
      this.#services.delete(id);
      const service = this.#context.store.view((tx) => tx.get("service", id));
      if (isReplicated(service)) yield* this.#reconcile(service);
    }
  }

  /** In order of slots: swarmkit takes the order of a Go map. */
  *#restartTasks(): Proc<void> {
    if (this.#tasks.size === 0) return;
    const tasks = this.#context.store.view((tx) => [...this.#tasks].map((id) => tx.get("task", id)));
    this.#tasks.clear();
    const afters: AfterCommit[] = [];
    const present = tasks.filter((task) => task !== undefined).sort(bySlot);
    const writes = present.map(({ id }) => (tx: WriteTx) => {
      const task = tx.get("task", id);
      const service = task === undefined ? undefined : tx.get("service", task.serviceId);
      if (task === undefined || task.desiredState > TaskState.RUNNING || !isReplicated(service)) return;
      afters.push(this.#restarts.restart(tx, service, task));
    });
    yield* this.#context.store.batch(writes);
    for (const after of afters) after();
  }

  /** Slots with tasks to keep, and slots with dead ones only; both in order of their numbers. */
  #slotsOf(service: ServiceObject): { live: Map<number, Slot>; dead: Map<number, Slot> } {
    const slots = new Map<number, TaskObject[]>();
    for (const task of this.#context.store.view((tx) => tx.by("task", "service", service.id)).sort(bySlot)) {
      slots.set(task.slot, [...(slots.get(task.slot) ?? []), task]);
    }
    const live = new Map<number, Slot>();
    const dead = new Map<number, Slot>();
    for (const [number, slot] of slots) {
      const updatable = this.#restarts.updatableTasks(slot, service);
      if (updatable.length > 0) live.set(number, updatable);
      else dead.set(number, slot);
    }
    return { live, dead };
  }

  *#reconcile(service: ServiceObject): Proc<void> {
    const { mode } = service.spec;
    const replicas = mode?.kind === "replicated" ? mode.replicas : 1;
    const { live, dead } = this.#slotsOf(service);
    const { name } = service.spec.annotations;
    const slots = [...live.values()];
    if (replicas > slots.length) {
      this.#context.log("debug", `Service ${name} was scaled up from ${slots.length} to ${replicas} instances`);
      this.#updates.update(service, slots);
      yield* this.#addTasks(service, live, dead, replicas - slots.length);
      yield* this.#deleteTasks(dead);
    } else if (replicas < slots.length) {
      this.#context.log("debug", `Service ${name} was scaled down from ${slots.length} to ${replicas} instances`);
      const sorted = byCopiesOnNode(slots);
      this.#updates.update(service, sorted.slice(0, replicas));
      yield* this.#deleteTasks(dead);
      yield* this.#removeSlots(sorted.slice(replicas));
    } else {
      yield* this.#deleteTasks(dead);
      this.#updates.update(service, slots);
    }
  }

  /** New tasks in the lowest free slots; a dead slot that is used again keeps its old tasks as history. */
  *#addTasks(
    service: ServiceObject,
    live: ReadonlyMap<number, Slot>,
    dead: Map<number, Slot>,
    count: number,
  ): Proc<void> {
    const tasks: TaskObject[] = [];
    for (let slot = 1; tasks.length < count; slot++) {
      if (live.has(slot)) continue;
      dead.delete(slot);
      tasks.push(newTask(this.#random, this.#context.os.now(), service, slot));
    }
    yield* this.#context.store.batch(tasks.map((task) => (tx: WriteTx) => tx.create("task", task)));
  }

  *#deleteTasks(slots: ReadonlyMap<number, Slot>): Proc<void> {
    const writes = [...slots.values()].flat().map(({ id }) => (tx: WriteTx) => {
      if (tx.get("task", id) !== undefined) tx.remove("task", id);
    });
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  *#removeSlots(slots: readonly Slot[]): Proc<void> {
    const writes = slots.flat().map(({ id }) => (tx: WriteTx) => {
      const task = tx.get("task", id);
      if (task === undefined || task.desiredState >= TaskState.REMOVE) return;
      tx.update("task", { ...task, desiredState: TaskState.REMOVE });
    });
    yield* this.#context.store.batch(writes);
  }
}

/**
 * The slots to keep first: running ones before others, by number; then by which copy on its node each is, so that the
 * nodes with most copies lose theirs. A stable sort, where Go's is stable up to 12 slots only.
 */
function byCopiesOnNode(slots: readonly Slot[]): Slot[] {
  const runs = (slot: Slot) => slot.some((task) => task.status.state === TaskState.RUNNING);
  const numberOf = (slot: Slot) => slot[0]?.slot ?? 0;
  const sorted = [...slots].sort((a, b) => Number(runs(b)) - Number(runs(a)) || numberOf(a) - numberOf(b));
  const copies = new Map<string, number>();
  const ranked = sorted.map((slot) => {
    const nodeId = slot.length === 1 ? (slot[0]?.nodeId ?? "") : "";
    if (nodeId === "") return { slot, rank: Number.POSITIVE_INFINITY };
    const rank = (copies.get(nodeId) ?? 0) + 1;
    copies.set(nodeId, rank);
    return { slot, rank };
  });
  return ranked.sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank)).map(({ slot }) => slot);
}
