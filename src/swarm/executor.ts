/**
 * What the agent needs of the Engine (swarmkit agent/exec/executor.go, controller.go). The Engine implements
 * it; the swarm's code knows nothing of containers.
 */
import type { Proc } from "../scheduler/process.ts";
import type { EncryptionKey, NodeDescription, NodeObject, TaskObject } from "./api/objects.ts";

export interface Executor {
  /** What the node tells the managers of itself; asked again every 20 s. `tlsInfo` is filled in by the agent. */
  describe(): NodeDescription;
  /** The node object changed: load-balancer addresses, role. Called with the first session message too. */
  configure(node: NodeObject): Proc<void>;
  /** New keys of the overlay networks: three per subsystem. */
  setNetworkBootstrapKeys(keys: readonly EncryptionKey[]): Proc<void>;
  /** The controller of a task that is new on this node. */
  controller(task: TaskObject): TaskController;
}

/**
 * Drives one task. Each method is idempotent and may be killed (its process ends) when the task's desired
 * state changes, and called again. An error ends the task: REJECTED before STARTING, else FAILED.
 */
export interface TaskController {
  /** The task changed apart from its status. */
  update(task: TaskObject): Proc<void>;
  prepare(): Proc<void>;
  start(): Proc<void>;
  /** Returns when the task has ended well; throws when it failed. */
  wait(): Proc<void>;
  /** Stops the task gracefully. */
  shutdown(): Proc<void>;
  /** Stops the task by force. */
  terminate(): Proc<void>;
  /** Takes away all that prepare() made: the task is no longer assigned to this node. */
  remove(): Proc<void>;
}

/** A temporary failure of a controller: the step is tried again after a second. */
export class TemporaryError extends Error {
  override name = "TemporaryError";
}
