/**
 * The constraint enforcer (swarmkit manager/orchestrator/constraintenforcer): when a node changes, tasks that it may not
 * have any more are rejected. Their orchestrator sees to the rest.
 */
import type { Channel, Proc } from "../../scheduler/process.ts";
import { type NodeObject, type TaskObject, TaskState } from "../api/objects.ts";
import type { StoreEvent, WriteTx } from "../store/memory.ts";
import type { Component, ComponentContext } from "./component.ts";
import { nodeMatches, parseConstraints } from "./constraint.ts";
import { bySlot } from "./orchestrator/task.ts";

/** Ends tasks on nodes that no longer fit (orchestrator/constraintenforcer). */
export class ConstraintEnforcer implements Component {
  readonly name = "constraint enforcer";
  readonly #context: ComponentContext;
  readonly #events: Channel<StoreEvent>;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
  }

  *run(): Proc<void> {
    try {
      for (const node of this.#context.store.view((tx) => tx.all("node"))) yield* this.#enforce(node);
      for (;;) {
        const event = yield* this.#events.pop();
        if (event?.table === "node" && event.action === "update") yield* this.#enforce(event.object);
      }
    } finally {
      this.#context.store.unwatch(this.#events);
    }
  }

  *#enforce(node: NodeObject): Proc<void> {
    // On a drained node the orchestrators shut down all; on a paused one tasks stay.
    if (node.spec.availability !== "active") return;
    const writes = this.#misplaced(node).map(({ id }) => (tx: WriteTx) => {
      const task = tx.get("task", id);
      if (task === undefined || task.desiredState > TaskState.COMPLETE) return;
      const status = {
        ...task.status,
        state: TaskState.REJECTED,
        message: "task rejected by constraint enforcer",
        err: "assigned node no longer meets constraints",
        timestamp: this.#context.os.now(),
      };
      tx.update("task", { ...task, status });
    });
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  /** Constraints count as the service has them now; reservations fill the node in order of slots. */
  #misplaced(node: NodeObject): TaskObject[] {
    let { nanoCpus, memoryBytes } = node.description?.resources ?? { nanoCpus: 0, memoryBytes: 0 };
    const { tasks, placements } = this.#context.store.view((tx) => {
      const found = tx.by("task", "node", node.id).sort(bySlot);
      return {
        tasks: found,
        placements: found.map((task) => (tx.get("service", task.serviceId)?.spec.task ?? task.spec).placement),
      };
    });
    return tasks.filter((task, i) => {
      if (task.desiredState < TaskState.ASSIGNED || task.desiredState > TaskState.COMPLETE) return false;
      // What has ended reserves nothing, and can't be rejected.
      if (task.status.state > TaskState.RUNNING) return false;
      if (!nodeMatches(parseConstraints(placements[i]?.constraints ?? []), node)) return true;
      const { nanoCpus: cpus = 0, memoryBytes: memory = 0 } = task.spec.resources?.reservations ?? {};
      if (cpus > nanoCpus || memory > memoryBytes) return true;
      nanoCpus -= cpus;
      memoryBytes -= memory;
      return false;
    });
  }
}
