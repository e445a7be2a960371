/** The set of tasks assigned to one node, and the changes that are not sent yet (swarmkit manager/dispatcher/assignments.go). */

import { type TaskObject, TaskState } from "../../api/objects.ts";
import type { AssignmentChange, AssignmentsMessage } from "../../api/rpc.ts";

/** What an agent acts on: all of a task but its status and meta (swarmkit api/equality TasksEqualStable). */
function stablePart(task: TaskObject): string {
  const { status: _status, meta: _meta, ...rest } = task;
  return JSON.stringify({ ...rest, networks: rest.networks.map((a) => [a.network.id, a.addresses, a.aliases]) });
}

/** What a node was told, and what is new (dispatcher/assignments.go). */
export class AssignmentSet {
  readonly #tasks = new Map<string, string>();
  readonly #changes = new Map<string, AssignmentChange>();
  #sequence = 0;

  get changeCount(): number {
    return this.#changes.size;
  }

  /** True when the agent must hear of it. States up to ASSIGNED are set by managers, so those always count. */
  addOrUpdate(task: TaskObject): boolean {
    if (task.status.state < TaskState.ASSIGNED) return false;
    const stable = stablePart(task);
    const known = this.#tasks.get(task.id);
    this.#tasks.set(task.id, stable);
    if (known === stable && task.status.state > TaskState.ASSIGNED) return false;
    this.#changes.set(task.id, { action: "update", task });
    return true;
  }

  /** True when the agent must hear of it. */
  remove(task: TaskObject): boolean {
    if (!this.#tasks.delete(task.id)) return false;
    this.#changes.set(task.id, { action: "remove", task });
    return true;
  }

  /** The changes since the last message, as the next one. */
  message(type: AssignmentsMessage["type"]): AssignmentsMessage {
    const appliesTo = this.#sequence === 0 ? "" : String(this.#sequence);
    this.#sequence++;
    const changes = [...this.#changes.values()];
    this.#changes.clear();
    return { type, appliesTo, resultsIn: String(this.#sequence), changes };
  }
}
