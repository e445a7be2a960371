/**
 * The scheduler (swarmkit manager/scheduler/scheduler.go): collects tasks from events and ticks 50 ms after the last
 * commit, at most 1 s after the first. First it confirms tasks whose node is preset (attachments, tasks of global
 * services), then it places the others, in groups of one service and version.
 */
import { MS, SEC, type Time } from "../../../base/time.ts";
import type { Channel, Proc } from "../../../scheduler/process.ts";
import { type NodeObject, type TaskObject, TaskState, type TaskStatus } from "../../api/objects.ts";
import type { StoreEvent, WriteTx } from "../../store/memory.ts";
import type { Component, ComponentContext } from "../component.ts";
import { bySlot } from "../orchestrator/task.ts";
import { Pipeline } from "./filters.ts";
import { NodeInfo } from "./node-info.ts";
import { placeGroup } from "./placement.ts";

const DEBOUNCE_GAP = 50 * MS;
const MAX_LATENCY = SEC;

/** What a tick wants to make of a task. */
interface Decision {
  readonly old: TaskObject;
  readonly nodeId: string;
  readonly status: TaskStatus;
}

/** Gives tasks their nodes (manager/scheduler). */
export class Scheduler implements Component {
  readonly name = "scheduler";
  readonly #context: ComponentContext;
  readonly #events: Channel<StoreEvent>;
  readonly #nodes = new Map<string, NodeInfo>();
  /** Tasks from PENDING to RUNNING, as they were seen last. */
  readonly #tasks = new Map<string, TaskObject>();
  /** IDs of tasks that wait for a node, and of those whose node is preset and wait for its confirmation. */
  readonly #unassigned = new Set<string>();
  readonly #preassigned = new Set<string>();
  #tickAt: Time | undefined;
  #tickLimit: Time = 0;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#events = context.store.watch();
  }

  *run(): Proc<void> {
    try {
      const { nodes, tasks } = this.#context.store.view((tx) => ({ nodes: tx.all("node"), tasks: tx.all("task") }));
      for (const node of nodes) this.#putNode(node);
      for (const task of tasks) this.#putTask(task);
      let dirty = this.#waits();
      if (dirty) this.#commitSeen();
      for (;;) {
        const event = yield* this.#events.pop(this.#tickAt);
        if (event === undefined) {
          this.#tickAt = undefined;
          yield* this.#tick();
        } else if (event.action !== "commit") {
          if (this.#onEvent(event)) dirty = true;
        } else if (dirty || this.#tickAt !== undefined) {
          if (this.#waits()) this.#commitSeen();
          dirty = false;
        }
      }
    } finally {
      this.#context.store.unwatch(this.#events);
    }
  }

  #waits(): boolean {
    return this.#unassigned.size + this.#preassigned.size > 0;
  }

  /** True when the event calls for a tick. */
  #onEvent(event: Exclude<StoreEvent, { action: "commit" }>): boolean {
    if (event.table === "node") {
      if (event.action === "remove") this.#nodes.delete(event.object.id);
      else this.#putNode(event.object);
      return event.action !== "remove";
    }
    if (event.table !== "task") return false;
    if (event.action === "remove") return this.#removeTask(event.object.id);
    return this.#putTask(event.object);
  }

  #putNode(node: NodeObject): void {
    const info = this.#nodes.get(node.id);
    if (info === undefined) this.#nodes.set(node.id, new NodeInfo(node));
    else info.node = node;
  }

  /** True when a tick must look at it, or at what it left. */
  #putTask(task: TaskObject): boolean {
    const { state } = task.status;
    if (state < TaskState.PENDING) return false;
    const old = this.#tasks.get(task.id);
    if (state > TaskState.RUNNING) {
      if (old === undefined) return false;
      const failed = state === TaskState.FAILED || state === TaskState.REJECTED;
      if (failed && !this.#preassigned.has(task.id)) {
        this.#nodes.get(task.nodeId)?.taskFailed(task, this.#context.os.now());
      }
      this.#removeTask(task.id);
      return true;
    }
    this.#tasks.set(task.id, task);
    if (task.nodeId === "") {
      this.#unassigned.add(task.id);
      return true;
    }
    if (state === TaskState.PENDING) {
      // It doesn't count on its node before the node is confirmed.
      this.#preassigned.add(task.id);
      return true;
    }
    this.#nodes.get(task.nodeId)?.put(task);
    return false;
  }

  /** True when that freed something of a node. */
  #removeTask(id: string): boolean {
    const task = this.#tasks.get(id);
    this.#tasks.delete(id);
    this.#unassigned.delete(id);
    this.#preassigned.delete(id);
    return task !== undefined && this.#nodes.get(task.nodeId)?.remove(id) === true;
  }

  #commitSeen(): void {
    const now = this.#context.os.now();
    if (this.#tickAt === undefined) this.#tickLimit = now + MAX_LATENCY;
    this.#tickAt = Math.min(now + DEBOUNCE_GAP, this.#tickLimit);
  }

  // ---------------------------------------------------------------------------------------------- ticks

  *#tick(): Proc<void> {
    const decisions = [...this.#confirmPreassigned(), ...this.#placeUnassigned()];
    const changed = decisions.filter(({ old, status, nodeId }) => !sameDecision(old, nodeId, status));
    const writes = changed.map((decision) => (tx: WriteTx) => this.#write(tx, decision));
    if (writes.length > 0) yield* this.#context.store.batch(writes);
  }

  /** A task that its node can't take stays, with the reason; it is looked at again at each tick. */
  #confirmPreassigned(): Decision[] {
    const decisions: Decision[] = [];
    for (const id of [...this.#preassigned]) {
      const task = this.#tasks.get(id);
      const node = task === undefined ? undefined : this.#nodes.get(task.nodeId);
      if (task === undefined || node === undefined) continue;
      const pipeline = new Pipeline(task);
      if (!pipeline.process(node)) {
        const status = { ...task.status, timestamp: this.#context.os.now(), err: pipeline.explain() };
        decisions.push({ old: task, nodeId: task.nodeId, status });
        continue;
      }
      const message = "scheduler confirmed task can run on preassigned node";
      decisions.push(this.#assigned(task, node, message));
      this.#preassigned.delete(id);
    }
    return decisions;
  }

  #assigned(task: TaskObject, node: NodeInfo, message: string): Decision {
    const timestamp = this.#context.os.now();
    const status: TaskStatus = { timestamp, state: TaskState.ASSIGNED, message, err: "" };
    const assigned = { ...task, nodeId: node.node.id, status };
    this.#tasks.set(task.id, assigned);
    node.put(assigned);
    return { old: task, nodeId: node.node.id, status };
  }

  /** Groups in the order in which their first task came; tasks in order of their slots. */
  #placeUnassigned(): Decision[] {
    const groups = new Map<string, TaskObject[]>();
    for (const id of this.#unassigned) {
      const task = this.#tasks.get(id);
      if (task === undefined || task.nodeId !== "") continue;
      const version = task.specVersion?.index;
      const key = version === undefined ? id : `${task.serviceId}/${version}`;
      groups.set(key, [...(groups.get(key) ?? []), task]);
    }
    return [...groups.values()].flatMap((tasks) => this.#placeTasks(tasks.sort(bySlot)));
  }

  #placeTasks(waiting: TaskObject[]): Decision[] {
    const task = waiting[0] as TaskObject;
    const decisions: Decision[] = [];
    const pipeline = new Pipeline(task);
    const now = this.#context.os.now();
    placeGroup(this.#nodes.values(), {
      waiting,
      task,
      pipeline,
      now,
      assign: (one, node) => {
        this.#unassigned.delete(one.id);
        decisions.push(this.#assigned(one, node, "scheduler assigned task to node"));
      },
    });
    const explanation = pipeline.explain();
    const err = explanation === "" ? "no suitable node" : `no suitable node (${explanation})`;
    for (const one of waiting) {
      const outdated = this.#isOutdated(one);
      if (outdated === undefined) continue;
      const status = outdated
        ? { ...one.status, timestamp: now, state: TaskState.SHUTDOWN, err: "" }
        : { ...one.status, timestamp: now, err };
      decisions.push({ old: one, nodeId: "", status });
    }
    return decisions;
  }

  /** True for a task of an earlier version of its service, which nobody needs to run any more; undefined without service. */
  #isOutdated({ serviceId, specVersion }: TaskObject): boolean | undefined {
    const service = this.#context.store.view((tx) => tx.get("service", serviceId));
    if (service === undefined) return undefined;
    return (service.specVersion?.index ?? 0) > (specVersion?.index ?? Number.POSITIVE_INFINITY);
  }

  /** What has changed in the store meanwhile stands: the task comes again with its event. */
  #write(tx: WriteTx, { old, nodeId, status }: Decision): void {
    const task = tx.get("task", old.id);
    if (task === undefined || task.status.state !== TaskState.PENDING || task.nodeId !== old.nodeId) return;
    tx.update("task", { ...task, nodeId, status });
  }
}

/** Nothing but the time would change. */
function sameDecision({ nodeId, status: old }: TaskObject, newNode: string, status: TaskStatus): boolean {
  return nodeId === newNode && old.state === status.state && old.message === status.message && old.err === status.err;
}
