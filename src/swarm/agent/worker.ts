/** The tasks of a node: assignments in, task managers out (swarmkit agent/worker.go). */
import { type HostRuntime, join, type Proc, type Process, Signal } from "../../scheduler/process.ts";
import type { TaskObject, TaskStatus } from "../api/objects.ts";
import type { AssignmentsMessage } from "../api/rpc.ts";
import type { Executor } from "../executor.ts";
import type { Log } from "../manager/component.ts";
import { type ReportStatus, TaskManager } from "./task-manager.ts";

/** The tasks of a node (agent/worker.go). */
export class Worker {
  readonly #os: HostRuntime;
  readonly #executor: Executor;
  readonly #report: ReportStatus;
  readonly #log: Log;
  readonly #tasks = new Map<string, TaskManager>();
  /** Notified when a task came, or its status changed. */
  readonly changed = new Signal();

  /** @param tasks what an earlier life of the agent left (worker.go Init): their steps go on where they were */
  constructor(os: HostRuntime, executor: Executor, report: ReportStatus, log: Log, tasks: readonly TaskObject[] = []) {
    this.#os = os;
    this.#executor = executor;
    this.#report = (id, status) => {
      report(id, status);
      this.changed.notify();
    };
    this.#log = log;
    for (const task of tasks) this.#put(task);
  }

  /** A message of the assignments stream; a complete one removes every task that it doesn't name. */
  apply(message: AssignmentsMessage): void {
    const named = new Set(message.changes.filter((change) => change.action === "update").map(({ task }) => task.id));
    if (message.type === "complete") {
      for (const id of [...this.#tasks.keys()]) if (!named.has(id)) this.#remove(id);
    }
    for (const { action, task } of message.changes) {
      if (action === "remove") this.#remove(task.id);
      else this.#put(task);
    }
  }

  /** The status of every task, for the report after a reconnection. */
  statuses(): readonly { readonly taskId: string; readonly status: TaskStatus }[] {
    return [...this.#tasks].map(([taskId, manager]) => ({ taskId, status: manager.status }));
  }

  /** What is on disk of them (worker/tasks.db): each task that is assigned, with the status that it has here. */
  assigned(): readonly TaskObject[] {
    return [...this.#tasks.values()].map(({ task, status }) => ({ ...task, status }));
  }

  /** The tasks of this node. */
  managers(): readonly TaskManager[] {
    return [...this.#tasks.values()];
  }

  /** Removes all tasks, at the same time: the node leaves the swarm. */
  *close(): Proc<void> {
    const removals = [...this.#tasks.keys()].map((id) => this.#remove(id));
    for (const removal of removals) if (removal !== undefined) yield* join(removal);
  }

  /** Ends all task managers at once, without removing anything. */
  kill(): void {
    for (const manager of this.#tasks.values()) manager.kill();
    this.#tasks.clear();
  }

  #put(task: TaskObject): void {
    const manager = this.#tasks.get(task.id);
    if (manager !== undefined) manager.update(task);
    else {
      const controller = this.#executor.controller(task);
      this.#tasks.set(task.id, new TaskManager(this.#os, task, controller, this.#report, this.#log));
    }
  }

  #remove(id: string): Process | undefined {
    const manager = this.#tasks.get(id);
    if (manager === undefined) return undefined;
    this.#tasks.delete(id);
    const worker = this;
    return this.#os.spawn(
      `task ${id} removal`,
      (function* (): Proc<void> {
        worker.#logRemoval(yield* manager.close());
      })(),
    );
  }

  #logRemoval(error: string | undefined): void {
    if (error !== undefined) this.#log("error", `failed to remove task: ${error}`);
  }
}
