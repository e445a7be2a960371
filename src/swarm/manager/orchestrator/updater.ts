/**
 * Rolling updates (swarmkit manager/orchestrator/update/updater.go): replaces the tasks of a service that are not as its
 * spec says, so many at a time; watches the new ones, and pauses or rolls back when too many fail. At most one update a
 * service: one with another spec ends it.
 */
import type { Random } from "../../../base/random.ts";
import { SEC, type Time } from "../../../base/time.ts";
import { type Channel, join, type Proc, type Process, Signal } from "../../../scheduler/process.ts";
import { DEFAULT_MONITOR, DEFAULT_UPDATE } from "../../api/defaults.ts";
import { deepEqual } from "../../api/equality.ts";
import { type ServiceObject, type TaskObject, TaskState } from "../../api/objects.ts";
import type { UpdateConfig, UpdateStatus } from "../../api/services.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { ComponentContext } from "../component.ts";
import { isPerNode } from "../service-modes.ts";
import type { RestartSupervisor } from "./restart.ts";
import { isTaskDirty, newTask, type Slot } from "./task.ts";

/** What the updaters of one orchestrator share. */
interface Parts {
  readonly context: ComponentContext;
  readonly restarts: RestartSupervisor;
  readonly random: Random;
}

interface RunningUpdate {
  readonly service: ServiceObject;
  readonly process: Process;
}

/** The updates of one orchestrator's services. */
export class UpdateSupervisor {
  readonly #parts: Parts;
  readonly #updates = new Map<string, RunningUpdate>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Sees to it that the slots become as the service's spec says. */
  update(service: ServiceObject, slots: readonly Slot[]): void {
    const running = this.#updates.get(service.id);
    if (running !== undefined) {
      if (!running.process.done && deepEqual(running.service.spec, service.spec)) return;
      running.process.kill();
    }
    const updater = new Updater(this.#parts, service);
    const name = `update of ${service.spec.annotations.name}`;
    this.#updates.set(service.id, { service, process: this.#parts.context.os.spawn(name, updater.run(slots)) });
  }

  /** The service is gone. */
  remove(serviceId: string): void {
    this.#updates.get(serviceId)?.process.kill();
    this.#updates.delete(serviceId);
  }

  stop(): void {
    for (const { process } of this.#updates.values()) process.kill();
  }
}

class Updater {
  readonly #parts: Parts;
  readonly #service: ServiceObject;
  /** Tasks that this update made, and when each was seen at RUNNING or beyond. */
  readonly #updated = new Map<string, Time | undefined>();
  readonly #failed = new Set<string>();
  readonly #tasksChanged = new Signal();
  readonly #queue: Slot[] = [];
  #dirtySlots = 0;
  #stopped = false;

  constructor(parts: Parts, service: ServiceObject) {
    this.#parts = parts;
    this.#service = service;
  }

  *run(slots: readonly Slot[]): Proc<void> {
    const { context } = this.#parts;
    const status = this.#service.updateStatus;
    if (status?.state === "paused" || status?.state === "rollback_paused") return;
    this.#queue.push(...slots.filter((slot) => slot.length > 1 || slot.some((task) => this.#isDirty(task))));
    this.#dirtySlots = this.#queue.length;
    if (this.#dirtySlots === 0) {
      if (status?.state === "updating" || status?.state === "rollback_started") yield* this.#complete();
      return;
    }
    if (status === undefined) yield* this.#begin();
    const rollback = status?.state === "rollback_started";
    const config = (rollback ? this.#service.spec.rollback : this.#service.spec.update) ?? DEFAULT_UPDATE;
    const events = context.store.watch();
    const workers: Process[] = [];
    try {
      const count = config.parallelism === 0 ? this.#dirtySlots : Math.min(config.parallelism, this.#dirtySlots);
      for (let i = 0; i < count; i++) workers.push(context.os.spawn("update worker", this.#work(config)));
      yield* this.#watch(events, workers, config);
      if (!this.#stopped) yield* this.#complete();
    } finally {
      for (const worker of workers) worker.kill();
      context.store.unwatch(events);
    }
  }

  #isDirty(task: TaskObject): boolean {
    const node = this.#parts.context.store.view((tx) => tx.get("node", task.nodeId));
    return isTaskDirty(this.#service, task, node);
  }

  // ------------------------------------------------------------------------------------------ watching

  /** Until the workers are done and one more period has passed without too many failures. */
  *#watch(events: Channel<StoreEvent>, workers: readonly Process[], config: UpdateConfig): Proc<void> {
    const { os } = this.#parts.context;
    const period = config.monitor ?? DEFAULT_MONITOR;
    // A failure must be seen before the next task is replaced.
    const monitor = config.delay >= period ? config.delay + SEC : period;
    let until: Time | undefined;
    while (until === undefined || os.now() < until) {
      const event = events.tryPop();
      if (event !== undefined) {
        if (event.table === "task" && event.action !== "remove") yield* this.#onTask(event.object, monitor, config);
        continue;
      }
      const busy = workers.filter((worker) => !worker.done).map((worker) => worker.exited);
      if (busy.length === 0 && this.#stopped) return;
      if (busy.length === 0) until ??= os.now() + monitor;
      yield until === undefined ? { on: [events, ...busy] } : { on: [events], until };
    }
  }

  *#onTask(task: TaskObject, monitor: Time, config: UpdateConfig): Proc<void> {
    if (task.serviceId !== this.#service.id || !this.#updated.has(task.id)) return;
    if (task.status.state < TaskState.RUNNING) return;
    const now = this.#parts.context.os.now();
    const startedAt = this.#updated.get(task.id) ?? now;
    this.#updated.set(task.id, startedAt);
    this.#tasksChanged.notify();
    if (task.status.state === TaskState.RUNNING || config.failureAction === "continue" || this.#stopped) return;
    if (this.#failed.has(task.id) || now - startedAt > monitor) return;
    this.#failed.add(task.id);
    if (this.#failed.size / this.#dirtySlots <= config.maxFailureRatio) return;
    this.#stopped = true;
    this.#queue.length = 0;
    yield* this.#giveUp(task.id, config);
  }

  *#giveUp(taskId: string, config: UpdateConfig): Proc<void> {
    const reason = `due to failure or early termination of task ${taskId}`;
    const rollback = this.#service.updateStatus?.state === "rollback_started";
    if (config.failureAction === "pause") yield* this.#pause(`update paused ${reason}`);
    // Never a rollback of a rollback.
    else if (rollback) yield* this.#pause(`rollback paused ${reason}`);
    else yield* this.#rollBack(`update rolled back ${reason}`);
  }

  // ------------------------------------------------------------------------------------------- workers

  *#work(config: UpdateConfig): Proc<void> {
    for (let slot = this.#queue.shift(); slot !== undefined; slot = this.#queue.shift()) {
      const clean = slot.filter((task) => !this.#isDirty(task) && task.desiredState <= TaskState.RUNNING);
      const existing = clean.find((task) => task.desiredState === TaskState.RUNNING) ?? clean.at(-1);
      if (existing !== undefined) yield* this.#useExisting(slot, existing);
      else yield* this.#replace(slot, config.order);
      const until = this.#parts.context.os.now() + config.delay;
      while (this.#parts.context.os.now() < until) yield { until };
    }
  }

  *#replace(slot: Slot, order: UpdateConfig["order"]): Proc<void> {
    const { context, restarts, random } = this.#parts;
    const service = this.#service;
    const [first] = slot;
    const nodeId = isPerNode(service) ? (first?.nodeId ?? "") : "";
    const fresh = newTask(random, context.os.now(), service, first?.slot ?? 0, nodeId);
    const task = { ...fresh, desiredState: TaskState.READY };
    const startFirst = order === "start-first";
    this.#updated.set(task.id, undefined);
    let old: TaskObject | undefined;
    const made = yield* context.store.update((tx) => {
      if (tx.get("service", service.id) === undefined) return false;
      if (!startFirst) {
        const { last, overtaken } = shutDown(tx, slot);
        // It was restarted meanwhile, so somebody else has seen to the slot.
        if (last === undefined && overtaken) return false;
        old = last;
      }
      tx.create("task", task);
      return true;
    });
    if (!made) return;
    yield* join(restarts.delayStart(old, task.id, 0, !startFirst));
    while (this.#updated.get(task.id) === undefined) yield { on: [this.#tasksChanged] };
    const runs = context.store.view((tx) => tx.get("task", task.id)?.status.state) === TaskState.RUNNING;
    if (startFirst && runs) yield* context.store.update((tx) => shutDown(tx, slot));
  }

  *#useExisting(slot: Slot, existing: TaskObject): Proc<void> {
    const { context, restarts } = this.#parts;
    const others = slot.filter((task) => task !== existing);
    let old: TaskObject | undefined;
    if (others.length > 0) old = (yield* context.store.update((tx) => shutDown(tx, others))).last;
    if (existing.desiredState === TaskState.RUNNING) return;
    yield* join(restarts.delayStart(old, existing.id, 0, true));
  }

  // -------------------------------------------------------------------------------------------- status

  /** Changes the service, unless it was changed since the update began. */
  *#write(change: (service: ServiceObject) => ServiceObject | undefined): Proc<void> {
    yield* this.#parts.context.store.update((tx) => {
      const stored = tx.get("service", this.#service.id);
      const changed = stored === undefined ? undefined : change(stored);
      if (changed !== undefined) tx.update("service", changed);
    });
  }

  *#begin(): Proc<void> {
    const startedAt = this.#parts.context.os.now();
    const message = "update in progress";
    const updateStatus: UpdateStatus = { state: "updating", startedAt, completedAt: undefined, message };
    yield* this.#write((service) => (service.updateStatus === undefined ? { ...service, updateStatus } : undefined));
  }

  *#pause(message: string): Proc<void> {
    yield* this.#write((service) => {
      if (service.updateStatus === undefined) return undefined;
      const state = service.updateStatus.state === "rollback_started" ? "rollback_paused" : "paused";
      return { ...service, updateStatus: { ...service.updateStatus, state, message } };
    });
  }

  *#rollBack(message: string): Proc<void> {
    yield* this.#write((service) => {
      const { previousSpec, previousSpecVersion, updateStatus } = service;
      if (updateStatus === undefined) return undefined;
      if (previousSpec === undefined) {
        this.#parts.context.log(
          "error",
          "failed to roll back service: cannot roll back service because no previous spec is available",
        );
        return undefined;
      }
      return {
        ...service,
        spec: previousSpec,
        specVersion: previousSpecVersion,
        previousSpec: undefined,
        previousSpecVersion: undefined,
        updateStatus: { ...updateStatus, state: "rollback_started", message },
      };
    });
  }

  *#complete(): Proc<void> {
    const completedAt = this.#parts.context.os.now();
    yield* this.#write((service) => {
      if (service.updateStatus === undefined) return undefined;
      const rollback = service.updateStatus.state === "rollback_started";
      const state = rollback ? "rollback_completed" : "completed";
      const message = rollback ? "rollback completed" : "update completed";
      return { ...service, updateStatus: { ...service.updateStatus, state, message, completedAt } };
    });
  }
}

/** What shutting down a slot has come to: the last task that was shut down, and whether one had been already. */
interface ShutDown {
  readonly last: TaskObject | undefined;
  readonly overtaken: boolean;
}

/** Shuts the tasks of a slot down that were meant to run when the update began (removeOldTasks). */
function shutDown(tx: WriteTx, slot: Slot): ShutDown {
  let last: TaskObject | undefined;
  let overtaken = false;
  for (const { id, desiredState } of slot) {
    if (desiredState > TaskState.RUNNING) continue;
    const task = tx.get("task", id);
    if (task === undefined || task.desiredState > TaskState.RUNNING) overtaken = true;
    else {
      tx.update("task", { ...task, desiredState: TaskState.SHUTDOWN });
      last = task;
    }
  }
  return { last, overtaken };
}
