/**
 * What the agent needs of the Engine (swarmkit agent/exec/executor.go, controller.go). The Engine implements
 * it; the swarm's code knows nothing of containers.
 */
import type { Time } from "../base/time.ts";
import type { Channel, Proc } from "../scheduler/process.ts";
import type { EncryptionKey, NodeDescription, NodeObject, TaskObject } from "./api/objects.ts";
import type { ContainerStatus, PublishedPort } from "./api/services.ts";

/** What runs tasks: the engine (swarmkit agent/exec). */
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
  /** Its container, for the task's status from STARTING on; undefined while there is none (ContainerStatuser). */
  containerStatus?(): ContainerStatus | undefined;
  /** Ports that it publishes in host mode, as the node gave them (PortStatuser). */
  portStatus?(): readonly PublishedPort[] | undefined;
  /** What it printed, and prints (ControllerLogs). The channel is closed at the end of it. */
  logs?(options: TaskLogOptions): Channel<TaskLogLine>;
}

/** From where on a task's output is wanted (swarmkit api.LogSubscriptionOptions). */
export interface TaskLogOptions {
  readonly follow: boolean;
  /** Lines from the end; undefined: all. */
  readonly tail?: number;
  /** Lines from this time on. */
  readonly since?: Time;
}

/** A line that a task printed, with its newline (swarmkit api.LogMessage). */
export interface TaskLogLine {
  readonly stream: "stdout" | "stderr";
  readonly time: Time;
  readonly text: string;
}

/** A temporary failure of a controller: the step is tried again after a second. */
export class TemporaryError extends Error {
  override name = "TemporaryError";
}
