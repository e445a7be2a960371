/**
 * The controller of a service's task: one container from its networks to its removal (moby
 * daemon/cluster/executor/container/controller.go, adapter.go, errors.go; 20.10).
 */
import { SEC } from "../base/time.ts";
import type { HostOs } from "../scheduler/os.ts";
import { Channel, type Proc, sleep } from "../scheduler/process.ts";
import { type NodeDescription, type TaskObject, taskName } from "../swarm/api/objects.ts";
import type { ContainerStatus, PublishedPort } from "../swarm/api/services.ts";
import type { TaskController, TaskLogLine, TaskLogOptions } from "../swarm/executor.ts";
import { ApiError, type ContainerCreateRequest } from "./api.ts";
import type { Container } from "./container.ts";
import type { Containers } from "./containers.ts";
import { inDaemon } from "./daemon-request.ts";
import { isUnhealthy } from "./health.ts";
import { followLines } from "./logs.ts";
import { containerService, isPredefined, stopGrace, taskContainerRequest } from "./task-container.ts";

/** Between taking a task out of its service and stopping it: gossip tells the other nodes (defaultGossipConvergeDelay). */
const GOSSIP_CONVERGE_DELAY = 2 * SEC;

/** A task's container ended with a status other than 0. */
export class TaskExitError extends Error {
  override name = "TaskExitError";
  readonly exitCode: number;
  constructor(exitCode: number, cause?: string) {
    super(`task: non-zero exit (${exitCode})${cause === undefined ? "" : `: ${cause}`}`);
    this.exitCode = exitCode;
  }
}

const UNHEALTHY = "dockerexec: unhealthy container";

/** What a task's controller needs of the engine. */
export interface TaskBackend {
  readonly os: HostOs;
  readonly containers: Containers;
  describe(): NodeDescription;
  /** Waits until this node has an address on each of the task's networks. @throws UserError after 30 s */
  waitAttachments(task: TaskObject): Proc<void>;
  /** Makes the local copy of a swarm network, if there is none. */
  createNetwork(attachment: TaskObject["networks"][number]): Proc<void>;
  /** Removes the local copy, unless something still uses it. */
  removeNetwork(networkId: string): Proc<void>;
  /** A request with the defaults of this host's operating system. */
  readonly containerRequest: (request: ContainerCreateRequest) => ContainerCreateRequest;
  /** Ports of a container on the host. */
  publishedPorts(container: Container): readonly PublishedPort[];
  log(level: "warning" | "error", text: string): void;
}

/** One task. */
export class ContainerController implements TaskController {
  readonly #task: TaskObject;
  readonly #backend: TaskBackend;
  /** Kept beyond the container's removal, for the last status. */
  #container: Container | undefined;

  constructor(task: TaskObject, backend: TaskBackend) {
    this.#task = task;
    this.#backend = backend;
  }

  /** The container; undefined before prepare() and once it is removed. */
  get #found(): Container | undefined {
    const { containers } = this.#backend;
    this.#container ??= containers.list().find(({ name, managed }) => managed && name === taskName(this.#task));
    return this.#container?.removed === true ? undefined : this.#container;
  }

  *#inDaemon<T>(what: string, request: Proc<T>): Proc<T> {
    return yield* inDaemon(this.#backend.os, `${what} ${taskName(this.#task)}`, request);
  }

  *update(_task: TaskObject): Proc<void> {}

  *prepare(): Proc<void> {
    const task = this.#task;
    yield* this.#backend.waitAttachments(task);
    yield* this.#createNetworks();
    if (this.#found !== undefined) return;
    const request = taskContainerRequest(task, this.#backend.describe());
    const service = containerService(task);
    const options = { managed: true, ...(service === undefined ? {} : { service }) };
    const { containers, containerRequest } = this.#backend;
    const { container } = containers.create(taskName(task), containerRequest(request), options);
    for (const attachment of task.networks) {
      const own = container.networks.get(attachment.network.spec.annotations.name);
      if (own !== undefined && !isPredefined(attachment)) own.networkId = attachment.network.id;
    }
    this.#container = container;
  }

  *#createNetworks(): Proc<void> {
    for (const attachment of this.#task.networks)
      if (!isPredefined(attachment)) yield* this.#backend.createNetwork(attachment);
  }

  *start(): Proc<void> {
    const container = this.#require();
    if (container.startedAt === undefined) yield* this.#startContainer(container);
    if (container.health !== undefined) yield* this.#waitHealthy(container);
    container.sandbox?.enableService();
  }

  *#startContainer(container: Container): Proc<void> {
    const { lifecycle } = this.#backend.containers;
    for (;;) {
      try {
        yield* this.#inDaemon("start", lifecycle.start(container));
        return;
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        // The network went with another task's end: it is made again.
        const lost = error instanceof ApiError && error.status === 404 && /^network .* not found$/.test(error.message);
        if (!lost) throw new ApiError(500, `starting container failed: ${error.message}`);
        yield* this.#createNetworks();
      }
    }
  }

  *#waitHealthy(container: Container): Proc<void> {
    let unhealthy = false;
    for (;;) {
      if (!container.running) throw exitError(container, unhealthy);
      if (container.health === undefined || container.health.status === "healthy") return;
      if (isUnhealthy(container) && !unhealthy) {
        unhealthy = true;
        yield* this.shutdown();
      } else yield { on: [container.changed] };
    }
  }

  *wait(): Proc<void> {
    const container = this.#require();
    let unhealthy = false;
    while (container.running) {
      if (isUnhealthy(container) && !unhealthy) {
        unhealthy = true;
        yield* this.shutdown();
      } else yield { on: [container.changed] };
    }
    yield* container.lock.free();
    if (container.exitCode !== 0) throw exitError(container, unhealthy);
  }

  *shutdown(): Proc<void> {
    const { os, containers } = this.#backend;
    this.#found?.sandbox?.disableService();
    yield* sleep(os, GOSSIP_CONVERGE_DELAY);
    const container = this.#found;
    if (container !== undefined)
      yield* this.#inDaemon("stop", containers.lifecycle.stop(container, stopGrace(this.#task)));
    yield* this.#removeNetworks();
  }

  *#removeNetworks(): Proc<void> {
    for (const attachment of this.#task.networks)
      if (!isPredefined(attachment)) yield* this.#backend.removeNetwork(attachment.network.id);
  }

  *terminate(): Proc<void> {
    const container = this.#found;
    if (container !== undefined)
      yield* this.#inDaemon("kill", this.#backend.containers.lifecycle.killAndWait(container));
  }

  *remove(): Proc<void> {
    const { containers } = this.#backend;
    try {
      if (this.#found?.running === true) yield* this.shutdown();
      else yield* this.#removeNetworks();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#backend.log("warning", `shutdown failed on removal: ${error.message}`);
    }
    const container = this.#found;
    if (container !== undefined) yield* this.#inDaemon("rm", containers.remove(container, container.id, true));
  }

  #require(): Container {
    const container = this.#found;
    if (container === undefined) throw new ApiError(404, `No such container: ${taskName(this.#task)}`);
    return container;
  }

  containerStatus(): ContainerStatus | undefined {
    const container = this.#found;
    if (container === undefined) return undefined;
    return { containerId: container.id, pid: container.pid, exitCode: container.exitCode };
  }

  portStatus(): readonly PublishedPort[] | undefined {
    const container = this.#found;
    return container === undefined ? undefined : this.#backend.publishedPorts(container);
  }

  logs(options: TaskLogOptions): Channel<TaskLogLine> {
    const container = this.#found;
    if (container !== undefined) return followLines(this.#backend.os, container, options);
    const none = new Channel<TaskLogLine>();
    none.close();
    return none;
  }
}

function exitError(container: Container, unhealthy: boolean): Error {
  return new TaskExitError(container.exitCode, unhealthy ? UNHEALTHY : undefined);
}
