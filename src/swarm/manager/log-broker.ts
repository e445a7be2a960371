/**
 * The log broker (swarmkit manager/logbroker/broker.go, subscription.go): who wants to read what tasks print subscribes;
 * the broker asks the agents of the nodes concerned, they publish, and it hands on what comes, unordered, as it comes.
 */
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { Channel, type Proc } from "../../scheduler/process.ts";
import { type TaskObject, TaskState } from "../api/objects.ts";
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
    const parts = { asked: new Set<string>(), open: new Set<string>(), messages: new Channel<readonly LogMessage[]>() };
    const subscription: Subscription = { id, selector, options, ...parts };
    this.#subscriptions.set(id, subscription);
    try {
      for (const task of this.#context.store.view((tx) => tx.all("task"))) {
        if (selects(selector, task)) this.#ask(subscription, task.nodeId);
      }
      for (;;) {
        const messages = subscription.messages.tryPop();
        if (messages !== undefined) send({ messages });
        else if (subscription.open.size === 0 && !options.follow) return;
        else yield { on: [subscription.messages] };
      }
    } finally {
      this.#subscriptions.delete(id);
      for (const nodeId of subscription.open) this.#listeners.get(nodeId)?.push(messageOf(subscription, true));
    }
  }

  #ask(subscription: Subscription, nodeId: string): void {
    if (nodeId === "" || subscription.asked.has(nodeId)) return;
    const listener = this.#listeners.get(nodeId);
    // A node that is not there says nothing; swarmkit warns of it.
    if (listener === undefined) return;
    subscription.asked.add(nodeId);
    subscription.open.add(nodeId);
    listener.push(messageOf(subscription, false));
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
      for (const subscription of this.#subscriptions.values()) this.#close(subscription, nodeId);
    }
  }

  #close(subscription: Subscription, nodeId: string): void {
    if (subscription.open.delete(nodeId)) subscription.messages.notify();
  }

  *#publish({ subscriptionId, messages, close }: PublishLogsMessage, { identity }: CallContext): Proc<Empty> {
    const subscription = this.#subscriptions.get(subscriptionId);
    if (subscription === undefined) throw new RpcError("NotFound", "log subscription not found");
    const nodeId = identity?.nodeId ?? "";
    if (messages.some(({ context }) => context.nodeId !== nodeId)) {
      throw new RpcError("PermissionDenied", "refusing to publish logs for another node");
    }
    if (messages.length > 0) subscription.messages.push(messages);
    if (close) this.#close(subscription, nodeId);
    return {};
  }
}

function messageOf({ id, selector, options }: Subscription, close: boolean): SubscriptionMessage {
  return { id, selector, options, close };
}

/** Whether a task's output is wanted; one that never began has none. */
function selects({ serviceIds, nodeIds, taskIds }: LogSelector, task: TaskObject): boolean {
  if (task.nodeId === "" || task.status.state < TaskState.ASSIGNED) return false;
  return taskIds.includes(task.id) || serviceIds.includes(task.serviceId) || nodeIds.includes(task.nodeId);
}
