/**
 * Standalone containers on swarm networks, on their node (moby daemon/cluster/networks.go AttachNetwork,
 * UpdateAttachment, WaitForDetachment, DetachNetwork; executor/container/attachment.go): the daemon asks the
 * manager for an attachment task and waits until the agent, running that task, brings the addresses.
 */
import { SEC, type Time } from "../base/time.ts";
import { type HostRuntime, type Proc, Signal } from "../scheduler/process.ts";
import type { Agent } from "./agent/agent.ts";
import type { NetworkAttachment, NetworkObject, TaskObject } from "./api/objects.ts";
import { errorText, RpcError } from "./api/status.ts";
import type { TaskController } from "./executor.ts";
import type { Log } from "./manager/component.ts";

/** moby's swarmRequestTimeout. */
export const REQUEST_TIMEOUT = 20 * SEC;

/** What a container gets on a swarm network. */
export interface NetworkAttachmentResult {
  readonly taskId: string;
  readonly networkId: string;
  readonly networkName: string;
  /** In CIDR notation, e.g. `10.0.1.2/24`. */
  readonly addresses: readonly string[];
  readonly network: NetworkObject;
}

interface Attacher {
  /** Set when the manager has made the task. */
  taskId: string | undefined;
  result: NetworkAttachmentResult | undefined;
  detached: boolean;
  readonly changed: Signal;
}

function keyOf(target: string, containerId: string): string {
  return `${containerId}:${target}`;
}

/** Attachment tasks of containers outside of services (moby daemon/cluster/networks.go). */
export class Attachments {
  readonly #os: HostRuntime;
  readonly #log: Log;
  readonly #agent: () => Agent | undefined;
  readonly #attachers = new Map<string, Attacher>();

  /** @param agent the node's agent; undefined while it has none */
  constructor(os: HostRuntime, log: Log, agent: () => Agent | undefined) {
    this.#os = os;
    this.#log = log;
    this.#agent = agent;
  }

  /** See SwarmNode.attachNetwork. */
  *attach(target: string, containerId: string, addresses: readonly string[]): Proc<NetworkAttachmentResult> {
    const agent = this.#agent();
    if (agent === undefined) throw new Error("invalid cluster node while attaching to network");
    const key = keyOf(target, containerId);
    const known = this.#attachers.get(key);
    if (known?.result !== undefined) return known.result;
    const attacher: Attacher = { taskId: undefined, result: undefined, detached: false, changed: new Signal() };
    this.#attachers.set(key, attacher);
    const until = this.#os.now() + REQUEST_TIMEOUT;
    let done = false;
    try {
      attacher.taskId = yield* this.#request(agent, target, containerId, addresses, until);
      attacher.changed.notify();
      const result = yield* this.#awaitResult(attacher, until);
      if (result === undefined) {
        yield* this.#release(agent, attacher.taskId, target);
        const text = "attaching to network failed, make sure your network options are correct and check manager logs";
        throw new Error(`${text}: context deadline exceeded`);
      }
      done = true;
      return result;
    } finally {
      // A failed wait must not answer for the next one.
      if (!done && this.#attachers.get(key) === attacher) this.#attachers.delete(key);
    }
  }

  /** Lets the attachment's task end; the manager takes its address back. */
  detach(target: string, containerId: string): void {
    const key = keyOf(target, containerId);
    const attacher = this.#attachers.get(key);
    this.#attachers.delete(key);
    if (attacher === undefined) {
      throw new Error(`could not find network attachment for container ${containerId} to network ${target}`);
    }
    attacher.detached = true;
    attacher.changed.notify();
  }

  /** The agent has the addresses: hands them to the daemon that waits. `target` was a name or an ID. */
  update(result: NetworkAttachmentResult, containerId: string): void {
    const { networkName, networkId } = result;
    const attacher = this.#find(networkName, networkId, containerId);
    if (attacher === undefined) {
      throw new Error(`could not find attacher for container ${containerId} to network ${networkId}`);
    }
    attacher.result ??= result;
    attacher.changed.notify();
  }

  /** Returns when the container was detached, having told the manager. */
  *waitForDetachment(networkName: string, networkId: string, taskId: string, containerId: string): Proc<void> {
    const attacher = this.#find(networkName, networkId, containerId);
    if (attacher !== undefined) {
      while (attacher.taskId === undefined) yield { on: [attacher.changed] };
      while (attacher.taskId === taskId && !attacher.detached) yield { on: [attacher.changed] };
    }
    const agent = this.#agent();
    if (agent === undefined) throw new Error("invalid cluster node while waiting for detachment");
    yield* agent.detachNetwork(taskId, this.#os.now() + REQUEST_TIMEOUT);
  }

  /** The node left the swarm. */
  clear(): void {
    this.#attachers.clear();
  }

  #find(networkName: string, networkId: string, containerId: string): Attacher | undefined {
    return this.#attachers.get(keyOf(networkName, containerId)) ?? this.#attachers.get(keyOf(networkId, containerId));
  }

  *#request(
    agent: Agent,
    target: string,
    containerId: string,
    addresses: readonly string[],
    until: Time,
  ): Proc<string> {
    try {
      return yield* agent.attachNetwork({ target, containerId, addresses }, until);
    } catch (error) {
      throw new Error(`Could not attach to network ${target}: ${errorText(error)}`, { cause: error });
    }
  }

  *#awaitResult(attacher: Attacher, until: Time): Proc<NetworkAttachmentResult | undefined> {
    while (attacher.result === undefined) {
      const source = yield { on: [attacher.changed], until };
      if (source === undefined) return attacher.result;
    }
    return attacher.result;
  }

  *#release(agent: Agent, taskId: string, target: string): Proc<void> {
    try {
      yield* agent.detachNetwork(taskId, this.#os.now() + REQUEST_TIMEOUT);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      const text = `Failed remove network attachment ${taskId} to network ${target} on allocation failure: ${error.message}`;
      this.#log("error", text);
    }
  }
}

/** What an attachment's controller needs of the Engine. */
export interface AttachmentBackend {
  /** Makes the local copy of a swarm network, if there is none. Doesn't wait for the load balancer's address. */
  createNetwork(attachment: NetworkAttachment): Proc<void>;
  /** Removes the local copy, unless something still uses it. */
  removeNetwork(networkId: string): Proc<void>;
}

/**
 * The controller of an attachment task (moby executor/container/attachment.go networkAttacherController): what
 * the Engine's executor gives for tasks with runtime `attachment`.
 */
export class AttachmentController implements TaskController {
  #task: TaskObject;
  readonly #attachments: Attachments;
  readonly #backend: AttachmentBackend;

  constructor(task: TaskObject, attachments: Attachments, backend: AttachmentBackend) {
    this.#task = task;
    this.#attachments = attachments;
    this.#backend = backend;
  }

  // biome-ignore lint/correctness/useYield: nothing to wait for
  *update(task: TaskObject): Proc<void> {
    this.#task = task;
  }

  *prepare(): Proc<void> {
    for (const attachment of this.#task.networks) yield* this.#backend.createNetwork(attachment);
  }

  // biome-ignore lint/correctness/useYield: nothing to wait for
  *start(): Proc<void> {
    const { network, addresses } = this.#attachment();
    const networkName = network.spec.annotations.name;
    const result = { taskId: this.#task.id, networkId: network.id, networkName, addresses, network };
    this.#attachments.update(result, this.#task.spec.containerId ?? "");
  }

  *wait(): Proc<void> {
    const { network } = this.#attachment();
    const name = network.spec.annotations.name;
    yield* this.#attachments.waitForDetachment(name, network.id, this.#task.id, this.#task.spec.containerId ?? "");
  }

  *shutdown(): Proc<void> {}

  *terminate(): Proc<void> {}

  *remove(): Proc<void> {
    for (const { network } of this.#task.networks) yield* this.#backend.removeNetwork(network.id);
  }

  #attachment(): NetworkAttachment {
    const attachment = this.#task.networks[0];
    if (attachment === undefined) throw new Error("attachment task without a network");
    return attachment;
  }
}
