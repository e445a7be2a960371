/**
 * The restart supervisor (swarmkit manager/orchestrator/restart/restart.go): replaces tasks that ended or lost their
 * node, by the restart policy. The replacement may prepare at once (desired READY) and starts when the delay is over and
 * the old task has stopped.
 */
import type { Random } from "../../../base/random.ts";
import { SEC, type Time } from "../../../base/time.ts";
import { join, type Proc, type Process, Signal, sleep } from "../../../scheduler/process.ts";
import { DEFAULT_RESTART_CONDITION, DEFAULT_RESTART_DELAY } from "../../api/defaults.ts";
import { type ServiceObject, type TaskObject, TaskState } from "../../api/objects.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { ComponentContext } from "../component.ts";
import { isPerNode } from "../service-modes.ts";
import { byTimestamp, newTask, type Slot, statusTime } from "./task.ts";

/** So long a new task waits for the old one to stop (restart.defaultOldTaskTimeout). */
const OLD_TASK_TIMEOUT = 60 * SEC;

/** Restarts of one slot (or node) under one version of the spec. */
interface RestartInfo {
  version: number;
  total: number;
  /** When they were, where the policy has a window. */
  times: Time[];
}

interface DelayedStart {
  readonly process: Process;
  /** Another restart waits for it already. */
  waiter: boolean;
}

/** What a restart leaves to do when its transaction is committed. */
export type AfterCommit = () => void;

/** Slot of a replicated service's task, node of a global one's. */
function tupleOf(task: TaskObject): string {
  return task.slot === 0 ? task.nodeId : String(task.slot);
}

/** Starts tasks again that ended (orchestrator/restart). */
export class RestartSupervisor {
  readonly #context: ComponentContext;
  readonly #random: Random;
  readonly #delays = new Map<string, DelayedStart>();
  readonly #history = new Map<string, Map<string, RestartInfo>>();
  /** What those wait on that wait for the end of a task; by its ID. */
  readonly #stops = new Map<string, Signal>();
  readonly #waiters = new Set<Process>();

  constructor(context: ComponentContext, random: Random) {
    this.#context = context;
    this.#random = random;
  }

  /** Must see every event of the store. */
  observe(event: StoreEvent): void {
    if (event.table === "task") this.#stops.get(event.object.id)?.notify();
    else if (event.table === "node") for (const signal of this.#stops.values()) signal.notify();
  }

  /** Ends all that waits. */
  stop(): void {
    for (const { process } of this.#delays.values()) process.kill();
    for (const process of this.#waiters) process.kill();
  }

  /**
   * Shuts a task down and, if its policy says so, makes its replacement.
   * @returns what must be done once the transaction is committed
   */
  restart(tx: WriteTx, service: ServiceObject, task: TaskObject): AfterCommit {
    const delayed = this.#delays.get(task.id);
    if (delayed !== undefined) return () => this.#restartAfter(delayed, task.id);
    if (task.desiredState > TaskState.COMPLETE) return () => {};
    const old = { ...task, desiredState: TaskState.SHUTDOWN };
    tx.update("task", old);
    if (!this.shouldRestart(task, service)) return () => {};
    const perNode = isPerNode(service);
    const now = this.#context.os.now();
    const fresh = newTask(this.#random, now, service, perNode ? 0 : task.slot, perNode ? task.nodeId : "");
    const replacement = { ...fresh, desiredState: TaskState.READY };
    const node = tx.get("node", task.nodeId);
    const policyDelay = task.spec.restart?.delay ?? DEFAULT_RESTART_DELAY;
    const delay = node?.spec.availability === "drain" ? 0 : policyDelay;
    const waitStop = node?.status.state !== "down" && task.status.state <= TaskState.RUNNING;
    tx.create("task", replacement);
    this.record(replacement);
    return () => {
      this.delayStart(old, replacement.id, delay, waitStop);
    };
  }

  /** A task that ends while its start is still delayed is replaced after that delay: no tight loop. */
  #restartAfter(delayed: DelayedStart, taskId: string): void {
    if (delayed.waiter) return;
    delayed.waiter = true;
    const waiter = this.#context.os.spawn(`restart of ${taskId}`, this.#restartLater(delayed.process, taskId));
    for (const process of this.#waiters) if (process.done) this.#waiters.delete(process);
    this.#waiters.add(waiter);
  }

  *#restartLater(delay: Process, taskId: string): Proc<void> {
    yield* join(delay);
    let after: AfterCommit | undefined;
    yield* this.#context.store.update((tx) => {
      const task = tx.get("task", taskId);
      const service = task === undefined ? undefined : tx.get("service", task.serviceId);
      if (task === undefined || service === undefined || task.desiredState > TaskState.RUNNING) return;
      after = this.restart(tx, service, task);
    });
    after?.();
  }

  /** Whether the policy wants another task in the place of this one. */
  shouldRestart(task: TaskObject, service: ServiceObject): boolean {
    const { restart } = task.spec;
    const condition = restart?.condition ?? DEFAULT_RESTART_CONDITION;
    const failed = task.status.state !== TaskState.COMPLETE;
    if (condition === "none" || (condition === "on-failure" && !failed)) return false;
    const maxAttempts = restart?.maxAttempts ?? 0;
    if (maxAttempts === 0) return true;
    const info = this.#history.get(service.id)?.get(tupleOf(task));
    if (info === undefined || info.version !== (task.specVersion?.index ?? 0)) return true;
    const window = restart?.window ?? 0;
    if (window === 0) return info.total < maxAttempts;
    const end = statusTime(task);
    info.times = info.times.filter((time) => time > end - window);
    return info.times.filter((time) => time < end).length < maxAttempts;
  }

  /** Notes a restart, where the policy counts them (RecordRestartHistory). */
  record(replacement: TaskObject): void {
    const { restart } = replacement.spec;
    if ((restart?.maxAttempts ?? 0) === 0) return;
    const slots = this.#history.get(replacement.serviceId) ?? new Map<string, RestartInfo>();
    this.#history.set(replacement.serviceId, slots);
    const tuple = tupleOf(replacement);
    const version = replacement.specVersion?.index ?? 0;
    const known = slots.get(tuple);
    const info = known?.version === version ? known : { version, total: 0, times: [] };
    slots.set(tuple, info);
    info.total++;
    if ((restart?.window ?? 0) > 0) info.times.push(this.#context.os.now());
  }

  /** The service is gone. */
  clearHistory(serviceId: string): void {
    this.#history.delete(serviceId);
  }

  /** The tasks of a slot that are meant to run; else the newest one if it stays dead by its policy; else none. */
  updatableTasks(slot: Slot, service: ServiceObject): Slot {
    const updatable = slot.filter((task) => task.desiredState <= TaskState.RUNNING);
    if (updatable.length > 0) return updatable;
    if (service.updateStatus?.state === "rollback_started") return [];
    const newest = [...slot].sort(byTimestamp).at(-1);
    return newest === undefined || this.shouldRestart(newest, service) ? [] : [newest];
  }

  /** Lets a task start when the delay is over and the old one has stopped (or its node is lost, or 60 s have passed). */
  delayStart(old: TaskObject | undefined, newTaskId: string, delay: Time, waitStop: boolean): Process {
    this.cancel(newTaskId);
    const waits = waitStop && old !== undefined && old.status.state <= TaskState.RUNNING;
    const program = this.#startLater(waits ? old : undefined, newTaskId, delay);
    const process = this.#context.os.spawn(`delayed start of ${newTaskId}`, program);
    this.#delays.set(newTaskId, { process, waiter: false });
    return process;
  }

  /** The task needs no start any more. */
  cancel(taskId: string): void {
    const delayed = this.#delays.get(taskId);
    this.#delays.delete(taskId);
    delayed?.process.kill();
  }

  *#startLater(old: TaskObject | undefined, newTaskId: string, delay: Time): Proc<void> {
    const { os, store } = this.#context;
    const limit = os.now() + OLD_TASK_TIMEOUT;
    yield* sleep(os, delay);
    if (old !== undefined) yield* this.#waitStopped(old, limit);
    yield* store.update((tx) => {
      const task = tx.get("task", newTaskId);
      if (task === undefined || task.desiredState >= TaskState.RUNNING) return;
      const desiredState = task.jobIteration === undefined ? TaskState.RUNNING : TaskState.COMPLETE;
      tx.update("task", { ...task, desiredState });
    });
    this.#delays.delete(newTaskId);
  }

  *#waitStopped(old: TaskObject, limit: Time): Proc<void> {
    const signal = this.#stops.get(old.id) ?? new Signal();
    this.#stops.set(old.id, signal);
    try {
      while (!this.#hasStopped(old) && this.#context.os.now() < limit) yield { on: [signal], until: limit };
    } finally {
      if (!signal.awaited) this.#stops.delete(old.id);
    }
  }

  #hasStopped({ id, nodeId }: TaskObject): boolean {
    return this.#context.store.view((tx) => {
      const task = tx.get("task", id);
      if (task === undefined || task.status.state > TaskState.RUNNING) return true;
      const node = tx.get("node", nodeId);
      return nodeId !== "" && (node === undefined || node.status.state === "down");
    });
  }
}
