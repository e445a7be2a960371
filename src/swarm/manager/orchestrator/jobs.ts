/**
 * Jobs: tasks that are to end (swarmkit manager/orchestrator/jobs). A replicated job runs so many at once until as many
 * as wanted have ended well; a global one runs one on each node. An update begins a new iteration; what is left of
 * earlier ones is removed.
 */
import type { Random } from "../../../base/random.ts";
import type { Channel, Proc } from "../../../scheduler/process.ts";
import { type ServiceObject, type TaskObject, TaskState } from "../../api/objects.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { Component, ComponentContext } from "../component.ts";
import { meetsConstraints } from "../constraint.ts";
import { isGlobalJob, isJob } from "../service-modes.ts";
import { removeTasksOf } from "./remove.ts";
import { type AfterCommit, RestartSupervisor } from "./restart.ts";
import { bySlot, newTask } from "./task.ts";
import { resumeTasks } from "./task-init.ts";

/** What a look at a job's tasks has found. */
interface Findings {
  /** Tasks of this iteration that have ended well, or are still to. */
  readonly complete: TaskObject[];
  readonly running: TaskObject[];
  /** Of these, the ones that failed. */
  readonly failed: TaskObject[];
  /** Tasks of earlier iterations that still run. */
  readonly old: TaskObject[];
}

/** The orchestrator of both kinds of jobs. */
export class JobsOrchestrator implements Component {
  readonly name = "jobs orchestrator";
  readonly #context: ComponentContext;
  readonly #random: Random;
  readonly #events: Channel<StoreEvent>;
  readonly #restarts: RestartSupervisor;
  /** IDs of jobs to look at at the next commit. */
  readonly #services = new Set<string>();

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
    this.#random = context.random.fork("jobs");
    this.#restarts = new RestartSupervisor(context, context.random.fork("job replacements"));
  }

  *run(): Proc<void> {
    try {
      const tasks = this.#context.store.view((tx) => tx.all("task"));
      yield* resumeTasks(this.#context, this.#restarts, tasks, isJob);
      this.#noteJobs(isJob);
      yield* this.#tick();
      for (;;) {
        const event = yield* this.#events.pop();
        if (event === undefined) continue;
        this.#restarts.observe(event);
        if (event.action === "commit") yield* this.#tick();
        else yield* this.#onEvent(event);
      }
    } finally {
      this.#restarts.stop();
      this.#context.store.unwatch(this.#events);
    }
  }

  #noteJobs(wanted: (service: ServiceObject) => boolean): void {
    for (const service of this.#context.store.view((tx) => tx.all("service"))) {
      if (wanted(service)) this.#services.add(service.id);
    }
  }

  *#onEvent(event: Exclude<StoreEvent, { action: "commit" }>): Proc<void> {
    if (event.table === "service" && isJob(event.object)) {
      if (event.action !== "remove") this.#services.add(event.object.id);
      else {
        this.#services.delete(event.object.id);
        yield* removeTasksOf(this.#context, event.object);
        this.#restarts.clearHistory(event.object.id);
      }
    } else if (event.table === "node" && event.action !== "remove") this.#noteJobs(isGlobalJob);
    else if (event.table === "task" && event.object.jobIteration !== undefined) {
      if (event.action === "remove") this.#restarts.cancel(event.object.id);
      if (event.object.status.state > TaskState.RUNNING) this.#services.add(event.object.serviceId);
    }
  }

  *#tick(): Proc<void> {
    for (const id of [...this.#services]) {
      this.#services.delete(id);
      const service = this.#context.store.view((tx) => tx.get("service", id));
      if (service !== undefined && isJob(service)) yield* this.#reconcile(service);
    }
  }

  *#reconcile(service: ServiceObject): Proc<void> {
    const tasks = this.#context.store.view((tx) => tx.by("task", "service", service.id)).sort(bySlot);
    const findings = classify(service, tasks);
    const afters: AfterCommit[] = [];
    const writes = [
      ...this.#newTasks(service, findings).map((task) => (tx: WriteTx) => tx.create("task", task)),
      ...findings.failed.map(({ id }) => (tx: WriteTx) => {
        const task = tx.get("task", id);
        if (task !== undefined && task.desiredState <= TaskState.COMPLETE)
          afters.push(this.#restarts.restart(tx, service, task));
      }),
      ...findings.old.map(({ id }) => (tx: WriteTx) => {
        const task = tx.get("task", id);
        if (task !== undefined && task.desiredState < TaskState.REMOVE)
          tx.update("task", { ...task, desiredState: TaskState.REMOVE });
      }),
    ];
    if (writes.length > 0) yield* this.#context.store.batch(writes);
    for (const after of afters) after();
  }

  #newTasks(service: ServiceObject, findings: Findings): TaskObject[] {
    const make = (slot: number, nodeId = "") => {
      const task = newTask(this.#random, this.#context.os.now(), service, slot, nodeId);
      return { ...task, desiredState: TaskState.COMPLETE };
    };
    const { mode } = service.spec;
    const present = [...findings.complete, ...findings.running];
    if (mode?.kind !== "replicated-job") {
      const nodes = this.#context.store
        .view((tx) => tx.all("node"))
        .filter((node) => node.status.state === "ready" && node.spec.availability === "active")
        .filter((node) => meetsConstraints(service, node) && !present.some((task) => task.nodeId === node.id));
      nodes.sort((a, b) => a.meta.createdAt - b.meta.createdAt || (a.id < b.id ? -1 : 1));
      return nodes.map((node) => make(0, node.id));
    }
    const left = mode.totalCompletions - present.length;
    const count = Math.min(left, mode.maxConcurrent - findings.running.length);
    const slots = new Set(present.map(({ slot }) => slot));
    const made: TaskObject[] = [];
    // Slots of jobs begin at 0.
    for (let slot = 0; made.length < count; slot++) if (!slots.has(slot)) made.push(make(slot));
    return made;
  }
}

function classify(service: ServiceObject, tasks: readonly TaskObject[]): Findings {
  const findings: Findings = { complete: [], running: [], failed: [], old: [] };
  const iteration = service.jobStatus?.iteration.index ?? 0;
  for (const task of tasks) {
    const { state } = task.status;
    if (task.jobIteration?.index !== iteration) {
      if (state <= TaskState.RUNNING) findings.old.push(task);
    } else if (state === TaskState.COMPLETE) findings.complete.push(task);
    else if (task.desiredState <= TaskState.COMPLETE) {
      findings.running.push(task);
      if (state > TaskState.COMPLETE) findings.failed.push(task);
    }
  }
  return findings;
}
