/**
 * The dispatcher (swarmkit manager/dispatcher/dispatcher.go): nodes register with a session and stay in touch
 * by heartbeats; session messages carry their own node object, the managers and the network keys; assignments
 * carry their tasks; task states come back. One loop watches the store and spreads what concerns a node.
 */
import { formatIpv4 } from "../../../base/addr.ts";
import type { Random } from "../../../base/random.ts";
import { FOREVER, HOUR, MS, SEC, type Time } from "../../../base/time.ts";
import { Channel, type Proc, type Process, Signal } from "../../../scheduler/process.ts";
import type { HostState } from "../../../scheduler/quiet.ts";
import { type ClusterObject, type NodeObject, type TaskObject, TaskState } from "../../api/objects.ts";
import {
  Assignments,
  type AssignmentsMessage,
  Heartbeat,
  Session,
  type SessionMessage,
  type SessionRequest,
  UpdateTaskStatus,
  type UpdateTaskStatusRequest,
  type WeightedPeer,
} from "../../api/rpc.ts";
import { RpcError } from "../../api/status.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { CallContext, Router } from "../../transport/transport.ts";
import type { Component, ComponentContext } from "../component.ts";
import type { Membership } from "../membership.ts";
import { AssignmentSet } from "./assignments.ts";
import { NodeStore, type RegisteredNode } from "./node-store.ts";
import { DEFAULT_HEARTBEAT_PERIOD } from "./period.ts";
import { type DispatcherRest, HEARTBEATS, type HeartbeatRest, replayHeartbeats } from "./quiet.ts";
import { StatusQueue } from "./status-queue.ts";

const ASSIGNMENT_BATCH_TIME = 100 * MS;
const ASSIGNMENT_BATCH_SIZE = 100;
const ASSIGNMENT_MAX_WAIT = 10 * SEC;
/** Tasks of a node that is down for so long are orphaned (dispatcher.DefaultNodeDownPeriod). */
const NODE_DOWN_PERIOD = 24 * HOUR;
const MANAGER_WEIGHT = 10;

type TaskEvent = { readonly action: "put" | "remove"; readonly task: TaskObject };

/** Sessions of nodes (manager/dispatcher). */
export class Dispatcher implements Component {
  readonly name = "dispatcher";
  readonly #context: ComponentContext;
  readonly #membership: Membership;
  readonly #random: Random;
  readonly #events: Channel<StoreEvent>;
  readonly #nodes: NodeStore;
  readonly #queue: StatusQueue;
  /** Open assignment streams: what happens to tasks, by node. */
  readonly #taskEvents = new Map<string, Set<Channel<TaskEvent>>>();
  /** Counts changes of keys, root CA and managers; `changed` tells all sessions. */
  #clusterVersion = 0;
  readonly #clusterChanged = new Signal();
  readonly #deadlinesChanged = new Signal();
  /** When the tasks of a node that is down are orphaned. */
  readonly #downNodes = new Map<string, Time>();
  readonly #children: Process[] = [];

  constructor(context: ComponentContext, membership: Membership, nodeId: string) {
    this.#context = context;
    this.#membership = membership;
    this.#random = context.random.fork("dispatcher");
    this.#events = context.store.watch();
    this.#queue = new StatusQueue(context, nodeId);
    const now = () => context.os.now();
    this.#nodes = new NodeStore(
      this.#random,
      now,
      () => this.#cluster()?.spec.dispatcher.heartbeatPeriod ?? DEFAULT_HEARTBEAT_PERIOD,
    );
  }

  register(router: Router): void {
    router.stream(Session, (request, context, send) => this.#session(request, context, send));
    router.unary(Heartbeat, (request, context) => this.#heartbeat(request.sessionId, context));
    router.unary(UpdateTaskStatus, (request, context) => this.#updateTaskStatus(request, context));
    router.stream(Assignments, (request, context, send) => this.#assignments(request.sessionId, context, send));
  }

  *run(): Proc<void> {
    const endUpkeep = this.#context.os.addUpkeep({
      kind: HEARTBEATS,
      unrest: () => this.#unrest(),
      state: () => this.#rest(),
      replay: (states, _from, to) => replayHeartbeats(states as HostState<HeartbeatRest>[], to),
      resume: (state) => this.#resume(state as DispatcherRest),
    });
    try {
      yield* this.#markNodesUnknown();
      this.#children.push(
        this.#context.os.spawn("dispatcher status queue", this.#queue.run()),
        this.#context.os.spawn("dispatcher heartbeats", this.#watchDeadlines()),
      );
      for (;;) {
        const event = yield* this.#events.pop();
        if (event !== undefined) this.#spread(event);
      }
    } finally {
      endUpkeep();
      for (const child of this.#children) child.kill();
      this.#context.store.unwatch(this.#events);
    }
  }

  // --------------------------------------------------------------------------------------- quiet time

  #unrest(): string | undefined {
    if (this.#queue.size > 0) return "states wait to be stored";
    if (this.#downNodes.size > 0) return "a node is down";
    return this.#nodes.all().some((node) => node.sessionId === "") ? "a node is unknown" : undefined;
  }

  #rest(): DispatcherRest {
    const nodes = this.#nodes.all().map(({ sessionId, deadline, heardAt, random }) => {
      return { sessionId, deadline, heardAt, randomKey: random.key };
    });
    return { role: "dispatcher", period: this.#nodes.period, nodes };
  }

  #resume(rest: DispatcherRest): void {
    for (const node of this.#nodes.all()) {
      const after = rest.nodes.find(({ sessionId }) => sessionId === node.sessionId);
      if (after === undefined) continue;
      node.deadline = after.deadline;
      node.heardAt = after.heardAt;
    }
  }

  #cluster(): ClusterObject | undefined {
    return this.#context.store.view((tx) => tx.all("cluster"))[0];
  }

  #spread(event: StoreEvent): void {
    if (event.table === "cluster") {
      this.#clusterVersion++;
      this.#clusterChanged.notify();
    } else if (event.table === "node") {
      if (event.action === "remove") this.#nodes.delete(event.object.id);
      else this.#nodes.get(event.object.id)?.changed.notify();
    } else if (event.table === "task") {
      const action = event.action === "remove" ? "remove" : "put";
      for (const channel of this.#taskEvents.get(event.object.nodeId) ?? [])
        channel.push({ action, task: event.object });
    }
  }

  // --------------------------------------------------------------------------------------- node states

  *#markNodesUnknown(): Proc<void> {
    const nodes = this.#context.store.view((tx) => tx.all("node"));
    const message = 'Node moved to "unknown" state due to leadership change in cluster';
    const writes: ((tx: WriteTx) => void)[] = [];
    for (const node of nodes) {
      if (node.status.state === "down") {
        this.#downNodes.set(node.id, this.#context.os.now() + NODE_DOWN_PERIOD);
        continue;
      }
      this.#nodes.addUnknown(node.id);
      writes.push((tx) => {
        const stored = tx.get("node", node.id);
        if (stored !== undefined)
          tx.update("node", { ...stored, status: { ...stored.status, state: "unknown", message } });
      });
    }
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  /** Marks nodes down whose heartbeat is overdue, and orphans tasks of those that stay down. */
  *#watchDeadlines(): Proc<void> {
    for (;;) {
      for (const node of this.#nodes.expired()) {
        const unknown = node.sessionId === "";
        this.#nodes.delete(node.nodeId);
        this.#downNodes.set(node.nodeId, this.#context.os.now() + NODE_DOWN_PERIOD);
        const message = unknown ? 'heartbeat failure for node in "unknown" state' : "heartbeat failure";
        this.#queue.pushNode(node.nodeId, { state: "down", message });
      }
      for (const [nodeId, at] of [...this.#downNodes]) {
        if (at > this.#context.os.now()) continue;
        this.#downNodes.delete(nodeId);
        yield* this.#orphanTasks(nodeId);
      }
      const until = Math.min(this.#nodes.nextDeadline(), ...this.#downNodes.values());
      const on = [this.#deadlinesChanged];
      // Heartbeats move the deadlines along; a node that is down keeps its own.
      yield until === FOREVER ? { on } : { on, until, upkeep: this.#downNodes.size === 0 };
    }
  }

  *#orphanTasks(nodeId: string): Proc<void> {
    const tasks = this.#context.store.view((tx) => tx.by("task", "node", nodeId));
    const timestamp = this.#context.os.now();
    const writes = tasks.map(({ id }) => (tx: WriteTx) => {
      const task = tx.get("task", id);
      if (task === undefined || task.status.state < TaskState.ASSIGNED || task.status.state > TaskState.RUNNING) return;
      tx.update("task", { ...task, status: { ...task.status, state: TaskState.ORPHANED, timestamp } });
    });
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  // ------------------------------------------------------------------------------------------ sessions

  *#session(request: SessionRequest, context: CallContext, send: (message: SessionMessage) => void): Proc<void> {
    const nodeId = nodeIdOf(context);
    const registered = yield* this.#openSession(nodeId, request, context);
    const { sessionId } = registered;
    let sent = "";
    for (;;) {
      this.#nodes.withSession(nodeId, sessionId);
      const node = this.#context.store.view((tx) => tx.get("node", nodeId));
      if (node === undefined) throw new RpcError("NotFound", "node not found");
      const key = `${node.meta.version.index}/${this.#clusterVersion}/${this.#membership.version}`;
      if (key !== sent) {
        sent = key;
        send(this.#sessionMessage(sessionId, node));
      }
      yield { on: [registered.changed, this.#clusterChanged, this.#membership.changed] };
    }
  }

  *#openSession(nodeId: string, request: SessionRequest, context: CallContext): Proc<RegisteredNode> {
    if (this.#cluster()?.removedNodes.includes(nodeId) === true) {
      throw new RpcError("PermissionDenied", `Permission denied: node ${nodeId} was removed from swarm`);
    }
    const known = this.#nodes.get(nodeId);
    const resumes = known !== undefined && request.sessionId !== "" && known.sessionId === request.sessionId;
    if (!resumes) this.#nodes.checkRateLimit(nodeId);
    if (this.#context.store.view((tx) => tx.get("node", nodeId)) === undefined) {
      throw new RpcError("NotFound", "node not found");
    }
    const addr = context.peerIp === undefined ? this.#membership.localIp : formatIpv4(context.peerIp);
    this.#queue.pushNode(nodeId, { state: "ready", message: "", addr, description: request.description });
    yield* this.#queue.nextFlush();
    if (resumes) return this.#nodes.withSession(nodeId, request.sessionId);
    this.#downNodes.delete(nodeId);
    const node = this.#nodes.add(nodeId);
    this.#deadlinesChanged.notify();
    return node;
  }

  #sessionMessage(sessionId: string, node: NodeObject): SessionMessage {
    const cluster = this.#cluster();
    return {
      sessionId,
      node,
      managers: this.#managers(),
      networkBootstrapKeys: cluster?.networkBootstrapKeys ?? [],
      rootCa: cluster?.rootCa.caCert ?? "",
    };
  }

  #managers(): WeightedPeer[] {
    return this.#membership.members().map(({ nodeId, addr }) => ({ nodeId, addr, weight: MANAGER_WEIGHT }));
  }

  // biome-ignore lint/correctness/useYield: a handler is a program
  *#heartbeat(sessionId: string, context: CallContext): Proc<{ period: Time }> {
    return { period: this.#nodes.heartbeat(nodeIdOf(context), sessionId) };
  }

  // ------------------------------------------------------------------------------- tasks to and from nodes

  *#updateTaskStatus(request: UpdateTaskStatusRequest, context: CallContext): Proc<Record<string, never>> {
    const nodeId = nodeIdOf(context);
    this.#nodes.withSession(nodeId, request.sessionId);
    const known = request.updates.filter(({ taskId }) => {
      const task = this.#context.store.view((tx) => tx.get("task", taskId));
      if (task !== undefined && task.nodeId !== nodeId) {
        throw new RpcError("PermissionDenied", "cannot update a task not assigned this node");
      }
      return task !== undefined;
    });
    for (const { taskId, status } of known) this.#queue.pushTask(taskId, status);
    return {};
  }

  *#assignments(sessionId: string, context: CallContext, send: (message: AssignmentsMessage) => void): Proc<void> {
    const nodeId = nodeIdOf(context);
    const registered = this.#nodes.withSession(nodeId, sessionId);
    const channel = new Channel<TaskEvent>();
    const channels = this.#taskEvents.get(nodeId) ?? new Set();
    this.#taskEvents.set(nodeId, channels.add(channel));
    try {
      const set = new AssignmentSet();
      for (const task of this.#context.store.view((tx) => tx.by("task", "node", nodeId))) set.addOrUpdate(task);
      send(set.message("complete"));
      for (;;) {
        yield* this.#collectBatch(set, channel, registered);
        this.#nodes.withSession(nodeId, sessionId);
        if (set.changeCount > 0) send(set.message("incremental"));
      }
    } finally {
      channels.delete(channel);
      if (channels.size === 0) this.#taskEvents.delete(nodeId);
    }
  }

  /** Takes events until 100 ms pass without a change, or there are 100; or the node's registration changed. */
  *#collectBatch(set: AssignmentSet, channel: Channel<TaskEvent>, node: RegisteredNode): Proc<void> {
    let until: Time | undefined;
    let limit: Time = FOREVER;
    while (set.changeCount < ASSIGNMENT_BATCH_SIZE) {
      const event = channel.tryPop();
      if (event !== undefined) {
        const changed = event.action === "put" ? set.addOrUpdate(event.task) : set.remove(event.task);
        if (!changed) continue;
        const now = this.#context.os.now();
        if (until === undefined) limit = now + ASSIGNMENT_MAX_WAIT;
        until = Math.min(now + ASSIGNMENT_BATCH_TIME, limit);
        continue;
      }
      const source = yield until === undefined
        ? { on: [channel, node.changed] }
        : { on: [channel, node.changed], until };
      if (source === undefined || (source === node.changed && until === undefined)) return;
    }
  }
}

function nodeIdOf(context: CallContext): string {
  if (context.identity === undefined)
    throw new RpcError("PermissionDenied", "Permission denied: no client certificates in request");
  return context.identity.nodeId;
}
