/** Brings task states to the manager, one task a call, until each has arrived (swarmkit agent/reporter.go). */
import { type Proc, Signal } from "../../scheduler/process.ts";
import type { TaskStatus } from "../api/objects.ts";
import { RpcError } from "../api/status.ts";

/** Sends one status; throws RpcError. */
export type SendStatus = (taskId: string, status: TaskStatus) => Proc<void>;

/** Reports states of tasks until the manager has them (agent/reporter.go). */
export class StatusReporter {
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #filled = new Signal();

  /** A newer status of a task replaces one that is not sent yet. */
  push(taskId: string, status: TaskStatus): void {
    this.#statuses.delete(taskId);
    this.#statuses.set(taskId, status);
    this.#filled.notify();
  }

  /** Sends for as long as a session lasts; returns the error that ends it. */
  *run(send: SendStatus): Proc<RpcError> {
    for (;;) {
      const first = this.#statuses.entries().next().value;
      if (first === undefined) {
        yield { on: [this.#filled] };
        continue;
      }
      const [taskId, status] = first;
      this.#statuses.delete(taskId);
      let sent = false;
      try {
        yield* send(taskId, status);
        sent = true;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        return error;
      } finally {
        if (!sent && !this.#statuses.has(taskId)) this.#statuses.set(taskId, status);
      }
    }
  }
}
