/**
 * The log broker (swarmkit manager/logbroker/broker.go, subscription.go): who wants to read what tasks print subscribes;
 * the broker asks the agents of the nodes concerned, they publish, and it hands on what comes, unordered, as it comes.
 */
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { Channel, type Proc } from "../../scheduler/process.ts";
import { type NodeObject, type TaskObject, TaskState } from "../api/objects.ts";
import {
  type Empty,
  ListenSubscriptions,
  type LogMessage,
  type LogOptions,
  type LogSelector,
  PublishLogs,
  type PublishLogsMessage,
  SubscribeLogs,
  type SubscriptionMessage,
} from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import type { StoreEvent } from "../store/memory.ts";
import type { CallContext, Router } from "../transport/transport.ts";
import type { Component, ComponentContext } from "./component.ts";

interface Subscription {
  readonly id: string;
  readonly selector: LogSelector;
  readonly options: LogOptions;
  /** Nodes that were asked, and those of them that have more to say. */
  readonly asked: Set<string>;
  readonly open: Set<string>;
  /** Why something is missing. */
  readonly errors: string[];
  readonly messages: Channel<readonly LogMessage[]>;
}

/** Brings logs from nodes to who asked (manager/logbroker). */
export class LogBroker implements Component {
  readonly name = "log broker";
  readonly #context: ComponentContext;
  readonly #random: Random;
  readonly #events: Channel<StoreEvent>;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Agents that listen, by node. */
  readonly #listeners = new Map<string, Channel<SubscriptionMessage>>();

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#random = context.random.fork("log-broker");
    this.#events = context.store.watch();
  }

  register(router: Router): void {
    router.stream(SubscribeLogs, ({ selector, options }, _context, send) => this.#subscribe(selector, options, send));
    router.stream(ListenSubscriptions, (_request, context, send) => this.#listen(context, send));
    router.unary(PublishLogs, (request, context) => this.#publish(request, context));
  }

  /** Tasks that come later are read, too, where the reader follows. */
  *run(): Proc<void> {
    try {
      for (;;) {
        const event = yield* this.#events.pop();
        if (event?.table === "node" && !isThere(event.action === "remove" ? undefined : event.object)) {
          for (const subscription of this.#subscriptions.values()) this.#lose(subscription, event.object.id);
        }
        if (event?.table !== "task" || event.action === "remove") continue;
        for (const subscription of this.#subscriptions.values()) {
          if (subscription.options.follow && selects(subscription.selector, event.object)) {
            this.#ask(subscription, event.object.nodeId);
          }
        }
      }
    } finally {
      this.#context.store.unwatch(this.#events);
    }
  }

  *#subscribe(
    selector: LogSelector,
    options: LogOptions,
    send: (message: { messages: readonly LogMessage[] }) => void,
  ): Proc<void> {
    const id = newSwarmId(this.#random);
    const sets = { asked: new Set<string>(), open: new Set<string>(), errors: [] };
    const subscription: Subscription = { id, selector, options, ...sets, messages: new Channel() };
    this.#subscriptions.set(id, subscription);
    try {
      for (const task of this.#context.store.view((tx) => tx.all("task"))) {
        if (selects(selector, task)) this.#ask(subscription, task.nodeId);
      }
      for (;;) {
        const messages = subscription.messages.tryPop();
        if (messages !== undefined) send({ messages });
        else if (subscription.open.size === 0 && !options.follow) return this.#end(subscription);
        else yield { on: [subscription.messages] };
      }
    } finally {
      this.#subscriptions.delete(id);
      for (const nodeId of subscription.open) this.#listeners.get(nodeId)?.push(messageOf(subscription, true));
    }
  }

  /** The end of a stream that is not followed: an error where something is missing (subscription.go Err). */
  #end({ selector, errors }: Subscription): void {
    const tasks = this.#context.store.view((tx) => tx.all("task"));
    const pending = tasks
      .filter((task) => task.nodeId === "" && isNamed(selector, task))
      .map(({ id }) => `task ${id} has not been scheduled`);
    const reasons = [...errors, ...pending];
    if (reasons.length === 0) return;
    const text = "warning: incomplete log stream. some logs could not be retrieved for the following reasons";
    throw new RpcError("Unknown", `${text}: ${reasons.join(", ")}`);
  }

  #ask(subscription: Subscription, nodeId: string): void {
    if (nodeId === "" || subscription.asked.has(nodeId)) return;
    subscription.asked.add(nodeId);
    subscription.open.add(nodeId);
    const listener = this.#listeners.get(nodeId);
    const node = this.#context.store.view((tx) => tx.get("node", nodeId));
    if (listener === undefined || !isThere(node)) this.#lose(subscription, nodeId);
    else listener.push(messageOf(subscription, false));
  }

  /** A node will say nothing more. It may come back, and is asked again then. */
  #lose(subscription: Subscription, nodeId: string): void {
    if (!subscription.open.delete(nodeId)) return;
    if (subscription.options.follow) subscription.asked.delete(nodeId);
    else subscription.errors.push(`node ${nodeId} is not available`);
    subscription.messages.notify();
  }

  *#listen({ identity }: CallContext, send: (message: SubscriptionMessage) => void): Proc<void> {
    const nodeId = identity?.nodeId ?? "";
    const channel = new Channel<SubscriptionMessage>();
    this.#listeners.set(nodeId, channel);
    try {
      for (const subscription of this.#subscriptions.values()) {
        const tasks = this.#context.store.view((tx) => tx.by("task", "node", nodeId));
        if (tasks.some((task) => selects(subscription.selector, task))) this.#ask(subscription, nodeId);
      }
      for (;;) {
        const message = yield* channel.pop();
        if (message !== undefined) send(message);
      }
    } finally {
      if (this.#listeners.get(nodeId) === channel) this.#listeners.delete(nodeId);
      for (const subscription of this.#subscriptions.values()) this.#lose(subscription, nodeId);
    }
  }

  *#publish({ subscriptionId, messages, close }: PublishLogsMessage, { identity }: CallContext): Proc<Empty> {
    const subscription = this.#subscriptions.get(subscriptionId);
    if (subscription === undefined) throw new RpcError("NotFound", "log subscription not found");
    const nodeId = identity?.nodeId ?? "";
    if (messages.some(({ context }) => context.nodeId !== nodeId)) {
      throw new RpcError("PermissionDenied", "refusing to publish logs for another node");
    }
    if (messages.length > 0) subscription.messages.push(messages);
    if (close && subscription.open.delete(nodeId)) subscription.messages.notify();
    return {};
  }
}

function messageOf({ id, selector, options }: Subscription, close: boolean): SubscriptionMessage {
  return { id, selector, options, close };
}

/** A node that is down or gone answers nothing, even if its connection is not known to be dead yet. */
function isThere(node: NodeObject | undefined): boolean {
  return node !== undefined && node.status.state !== "down";
}

function isNamed({ serviceIds, nodeIds, taskIds }: LogSelector, task: TaskObject): boolean {
  return taskIds.includes(task.id) || serviceIds.includes(task.serviceId) || nodeIds.includes(task.nodeId);
}

/** Whether a task's output is wanted; one that never began has none. */
function selects(selector: LogSelector, task: TaskObject): boolean {
  return task.nodeId !== "" && task.status.state >= TaskState.ASSIGNED && isNamed(selector, task);
}
