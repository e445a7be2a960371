/**
 * The agent of a node (swarmkit agent/agent.go): keeps a session with some manager, with back-off; gives the
 * executor what session messages bring; runs the assigned tasks.
 */
import type { Random } from "../../base/random.ts";
import { MS, SEC, type Time } from "../../base/time.ts";
import { type HostRuntime, type Proc, type Process, Signal, sleep } from "../../scheduler/process.ts";
import type { EncryptionKey, NodeDescription, NodeObject, TaskObject, TlsInfo } from "../api/objects.ts";
import {
  AttachNetwork,
  type AttachNetworkRequest,
  DetachNetwork,
  type SessionMessage,
  type WeightedPeer,
} from "../api/rpc.ts";
import { errorText, RpcError } from "../api/status.ts";
import type { Executor } from "../executor.ts";
import type { Log } from "../manager/component.ts";
import type { ClientConn } from "../transport/transport.ts";
import { AgentSession } from "./session.ts";
import { StatusReporter } from "./status-reporter.ts";
import { Worker } from "./worker.ts";

const INITIAL_BACKOFF = 100 * MS;
const MAX_BACKOFF = 8 * SEC;

/** A connection to some manager, and what to tell of how it went. */
export interface SelectedManager {
  readonly conn: ClientConn;
  readonly observe: (good: boolean) => void;
}

/** What an agent is made with. */
export interface AgentOptions {
  readonly os: HostRuntime;
  readonly random: Random;
  readonly log: Log;
  readonly executor: Executor;
  readonly tlsInfo: TlsInfo;
  /** Picks a manager and connects; undefined while none is known. */
  readonly connect: () => SelectedManager | undefined;
  readonly onManagers: (peers: readonly WeightedPeer[]) => void;
  /** Tasks that the node has on disk. */
  readonly tasks?: readonly TaskObject[];
}

/** The next ceiling of the back-off: 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 8, 8 … s. */
function nextBackoff(backoff: Time): Time {
  return Math.min(INITIAL_BACKOFF + 2 * backoff, MAX_BACKOFF);
}

/** The worker side of a node (swarmkit agent/agent.go). */
export class Agent {
  readonly #options: AgentOptions;
  readonly #worker: Worker;
  readonly #reporter = new StatusReporter();
  readonly #process: Process;
  #conn: ClientConn | undefined;
  #registered = false;
  #everRegistered = false;
  #backoff: Time = 0;
  #node: NodeObject | undefined;
  #lamportTimes = new Set<number>();
  /** Notified when the node was registered, or lost its session. */
  readonly changed = new Signal();

  constructor(options: AgentOptions) {
    const { os, executor, log, tasks = [] } = options;
    this.#options = options;
    this.#worker = new Worker(os, executor, (id, status) => this.#reporter.push(id, status), log, tasks);
    this.#process = os.spawn("agent", this.#run());
  }

  /** The node's tasks as they are on disk. */
  get tasks(): readonly TaskObject[] {
    return this.#worker.assigned();
  }

  /** True from the first registration on. */
  get ready(): boolean {
    return this.#everRegistered;
  }

  /** Asks the manager for an attachment; gives the task's ID. Throws RpcError. */
  *attachNetwork(request: AttachNetworkRequest, until: Time): Proc<string> {
    return (yield* (yield* this.#sessionConn(until)).call(AttachNetwork, request, until)).attachmentId;
  }

  *detachNetwork(attachmentId: string, until: Time): Proc<void> {
    yield* (yield* this.#sessionConn(until)).call(DetachNetwork, { attachmentId }, until);
  }

  /** Ends the session and removes all tasks. */
  *stop(): Proc<void> {
    this.#process.kill();
    yield* this.#worker.close();
  }

  /** Ends everything at once, as the daemon's end does. */
  kill(): void {
    this.#process.kill();
    this.#worker.kill();
  }

  /** The connection of the session; calls wait for one (agent.go withSession). */
  *#sessionConn(until: Time): Proc<ClientConn> {
    for (;;) {
      if (this.#registered && this.#conn !== undefined) return this.#conn;
      if ((yield { on: [this.changed], until }) === undefined) {
        throw new RpcError("DeadlineExceeded", "context deadline exceeded");
      }
    }
  }

  *#run(): Proc<void> {
    const { os, random, log } = this.#options;
    for (;;) {
      if (this.#backoff > 0) yield* sleep(os, Math.floor(random.float() * this.#backoff));
      this.#backoff = nextBackoff(this.#backoff);
      const error = yield* this.#runSession();
      log("error", `agent: session failed: ${errorText(error)}`);
    }
  }

  *#runSession(): Proc<unknown> {
    const { os } = this.#options;
    const manager = this.#options.connect();
    if (manager === undefined) return new Error("no manager is known");
    const session = new AgentSession({
      os,
      conn: manager.conn,
      worker: this.#worker,
      reporter: this.#reporter,
      describe: () => this.#describe(),
      onMessage: (message) => this.#onMessage(message),
      onRegistered: () => {
        manager.observe(true);
        this.#backoff = 0;
        this.#conn = manager.conn;
        this.#setRegistered(true);
      },
    });
    try {
      const error = yield* session.run();
      manager.observe(false);
      return error;
    } finally {
      this.#conn = undefined;
      this.#setRegistered(false);
    }
  }

  #setRegistered(registered: boolean): void {
    this.#registered = registered;
    if (registered) this.#everRegistered = true;
    this.changed.notify();
  }

  #describe(): NodeDescription {
    return { ...this.#options.executor.describe(), tlsInfo: this.#options.tlsInfo };
  }

  *#onMessage(message: SessionMessage): Proc<void> {
    this.#options.onManagers(message.managers);
    const old = this.#node;
    this.#node = message.node;
    try {
      if (old === undefined || nodeChanged(old, message.node)) yield* this.#options.executor.configure(message.node);
      yield* this.#installKeys(message.networkBootstrapKeys);
    } catch (error) {
      this.#options.log("error", `agent: node configuration failed: ${errorText(error)}`);
    }
  }

  /** Keys are installed when at least one of them is new. */
  *#installKeys(keys: readonly EncryptionKey[]): Proc<void> {
    if (!keys.some((key) => !this.#lamportTimes.has(key.lamportTime))) return;
    this.#lamportTimes = new Set(keys.map((key) => key.lamportTime));
    yield* this.#options.executor.setNetworkBootstrapKeys(keys);
  }
}

/** Anything but status and meta (swarmkit agent.go nodesEqual). */
function nodeChanged(a: NodeObject, b: NodeObject): boolean {
  const stable = ({ status: _status, meta: _meta, ...rest }: NodeObject) => JSON.stringify(rest);
  return stable(a) !== stable(b);
}
