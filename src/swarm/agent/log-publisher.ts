/**
 * What a node's tasks print, for those who read it at a manager (swarmkit agent/session.go logSubscriptions,
 * agent/worker.go Subscribe): listens for subscriptions, and publishes the output of the tasks that each one names.
 */
import { Channel, type HostRuntime, type Proc, type Process } from "../../scheduler/process.ts";
import {
  ListenSubscriptions,
  type LogMessage,
  type LogSelector,
  PublishLogs,
  type SubscriptionMessage,
} from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import type { TaskLogLine } from "../executor.ts";
import type { ClientConn } from "../transport/transport.ts";
import type { TaskManager } from "./task-manager.ts";
import type { Worker } from "./worker.ts";

/** Lines that go in one call. */
const BATCH = 100;

/** Sends logs of tasks to the manager that asked (agent/worker.go Subscribe). */
export class LogPublisher {
  readonly #os: HostRuntime;
  readonly #conn: ClientConn;
  readonly #worker: Worker;
  readonly #nodeId: string;

  constructor(os: HostRuntime, conn: ClientConn, worker: Worker, nodeId: string) {
    this.#os = os;
    this.#conn = conn;
    this.#worker = worker;
    this.#nodeId = nodeId;
  }

  /** Lasts as long as the session; returns the error that ends it. */
  *run(): Proc<RpcError> {
    const running = new Map<string, Process>();
    const stream = this.#conn.open(ListenSubscriptions, {});
    try {
      for (;;) {
        const message = yield* stream.recv();
        if (message === undefined) continue;
        running.get(message.id)?.kill();
        running.delete(message.id);
        if (!message.close) running.set(message.id, this.#os.spawn("log subscription", this.#publish(message)));
      }
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return error;
    } finally {
      for (const process of running.values()) process.kill();
    }
  }

  *#publish(subscription: SubscriptionMessage): Proc<void> {
    const { id, options } = subscription;
    const lines = new Channel<LogMessage>();
    const readers = new Map<string, Process>();
    try {
      for (;;) {
        for (const manager of this.#worker.managers()) this.#read(manager, subscription, readers, lines);
        const messages: LogMessage[] = [];
        while (lines.length > 0 && messages.length < BATCH) messages.push(lines.tryPop() as LogMessage);
        const busy = [...readers.values()].filter((reader) => !reader.done);
        const close = !options.follow && busy.length === 0 && lines.length === 0;
        if (messages.length > 0 || close) {
          yield* this.#conn.call(PublishLogs, { subscriptionId: id, messages, close });
          if (close) return;
        } else yield { on: [lines, this.#worker.changed, ...busy.map((reader) => reader.exited)] };
      }
    } catch (error) {
      // The reader has gone, or the session: the next one asks again.
      if (!(error instanceof RpcError)) throw error;
    } finally {
      for (const reader of readers.values()) reader.kill();
    }
  }

  /** Begins to read a task that is wanted, once it has output. */
  #read(
    manager: TaskManager,
    { selector, options }: SubscriptionMessage,
    readers: Map<string, Process>,
    lines: Channel<LogMessage>,
  ): void {
    const { id, serviceId } = manager.task;
    if (readers.has(id) || !isWanted(manager, selector, this.#nodeId)) return;
    if (manager.status.container === undefined) return;
    const output = manager.logs(options);
    if (output === undefined) return;
    const context = { serviceId, nodeId: this.#nodeId, taskId: id };
    readers.set(id, this.#os.spawn("task log reader", copy(output, context, lines)));
  }
}

function* copy(output: Channel<TaskLogLine>, context: LogMessage["context"], lines: Channel<LogMessage>): Proc<void> {
  for (;;) {
    const line = yield* output.pop();
    if (line === undefined) return;
    lines.push({ context, timestamp: line.time, stream: line.stream, data: line.text });
  }
}

function isWanted({ task }: TaskManager, { serviceIds, taskIds, nodeIds }: LogSelector, nodeId: string): boolean {
  return taskIds.includes(task.id) || serviceIds.includes(task.serviceId) || nodeIds.includes(nodeId);
}
