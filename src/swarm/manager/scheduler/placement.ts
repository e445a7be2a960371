/**
 * Where the tasks of one group go (swarmkit manager/scheduler/scheduler.go scheduleNTasksOnSubtree, nodeset.go tree,
 * decision_tree.go): branches by placement preferences, evened out; in a branch the best node until the next one would be
 * better, then one task a node in turn.
 */
import type { Time } from "../../../base/time.ts";
import type { TaskObject } from "../../api/objects.ts";
import { ENGINE_LABEL_PREFIX, NODE_LABEL_PREFIX } from "../constraint.ts";
import type { Pipeline } from "./filters.ts";
import { MAX_FAILURES, type NodeInfo } from "./node-info.ts";

/** A branch: inner ones by a label's value, leaves with nodes. */
interface Branch {
  readonly next: Map<string, Branch>;
  readonly nodes: NodeInfo[];
  /** Tasks of the service that run below it. */
  tasks: number;
}

/** The tasks of one service and version that wait. */
export interface Group {
  /** Those that have no node yet, in the order in which they are served. */
  readonly waiting: TaskObject[];
  /** The task that stands for all of them. */
  readonly task: TaskObject;
  readonly pipeline: Pipeline;
  readonly now: Time;
  /** Puts a task on a node; the node knows of it afterwards. */
  readonly assign: (task: TaskObject, node: NodeInfo) => void;
}

/** Negative when `a` is the better node for the group: failures, copies of the service, tasks in all; 0 = a tie. */
function compareNodes({ task, now }: Group, a: NodeInfo, b: NodeInfo): number {
  const [failedA, failedB] = [a.recentFailures(task, now), b.recentFailures(task, now)];
  if ((failedA >= MAX_FAILURES || failedB >= MAX_FAILURES) && failedA !== failedB) return failedA - failedB;
  return a.activeCount(task.serviceId) - b.activeCount(task.serviceId) || a.activeCount() - b.activeCount();
}

/** Ties are broken by chance in swarmkit (order of a Go map); here nodes come in the order in which they joined. */
function inOrderOfJoining(a: NodeInfo, b: NodeInfo): number {
  return a.node.meta.createdAt - b.node.meta.createdAt || (a.node.id < b.node.id ? -1 : 1);
}

/** The value of a preference's label on a node; undefined for a descriptor that is none. */
function spreadValue(descriptor: string, { node }: NodeInfo): string | undefined {
  const lower = descriptor.toLowerCase();
  if (lower.startsWith(NODE_LABEL_PREFIX) && descriptor.length > NODE_LABEL_PREFIX.length) {
    return node.spec.annotations.labels[descriptor.slice(NODE_LABEL_PREFIX.length)] ?? "";
  }
  if (lower.startsWith(ENGINE_LABEL_PREFIX) && descriptor.length > ENGINE_LABEL_PREFIX.length) {
    return node.description?.engine.labels[descriptor.slice(ENGINE_LABEL_PREFIX.length)] ?? "";
  }
  return undefined;
}

function newBranch(): Branch {
  return { next: new Map(), nodes: [], tasks: 0 };
}

function buildTree(nodes: Iterable<NodeInfo>, group: Group): Branch {
  const root = newBranch();
  for (const node of nodes) {
    const tasks = node.activeCount(group.task.serviceId);
    let branch = root;
    branch.tasks += tasks;
    for (const descriptor of group.task.spec.placement?.preferences ?? []) {
      const value = spreadValue(descriptor, node);
      if (value === undefined) continue;
      const next = branch.next.get(value) ?? newBranch();
      branch.next.set(value, next);
      branch = next;
      branch.tasks += tasks;
    }
    branch.nodes.push(node);
  }
  return root;
}

/** Puts the group's tasks on nodes; those for which there is none stay in `group.waiting`. */
export function placeGroup(nodes: Iterable<NodeInfo>, group: Group): void {
  const ordered = [...nodes].sort(inOrderOfJoining);
  placeOnBranch(buildTree(ordered, group), group.waiting.length, group);
}

function placeOnBranch(branch: Branch, count: number, group: Group): number {
  if (branch.next.size === 0) return placeOnNodes(branch.nodes, count, group);
  // In order of the label's values, where swarmkit takes the order of a Go map.
  const branches = [...branch.next].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, next]) => next);
  const full = new Set<Branch>();
  let placed = 0;
  let usable = branch.tasks;
  while (placed < count && full.size < branches.length) {
    const open = branches.length - full.size;
    const share = Math.floor((usable + count - placed) / open);
    let remainder = (usable + count - placed) % open;
    for (const next of branches) {
      if (full.has(next) || !(next.tasks < share || (next.tasks === share && remainder > 0))) continue;
      const wanted = share - next.tasks + (remainder > 0 ? 1 : 0);
      const got = placeOnBranch(next, wanted, group);
      if (got < wanted) {
        full.add(next);
        usable -= next.tasks;
      } else if (remainder > 0) remainder--;
      placed += got;
    }
  }
  return placed;
}

function placeOnNodes(candidates: readonly NodeInfo[], count: number, group: Group): number {
  const { waiting, pipeline, assign } = group;
  const nodes = candidates.filter((node) => pipeline.process(node));
  // Stable: of equal nodes the one that joined first.
  nodes.sort((a, b) => compareNodes(group, a, b));
  if (nodes.length === 0 || count === 0) return 0;
  const failed = new Set<number>();
  let placed = 0;
  let at = 0;
  while (waiting.length > 0) {
    const node = nodes[at % nodes.length] as NodeInfo;
    assign(waiting.shift() as TaskObject, node);
    placed++;
    if (placed === count) return placed;
    // The first pass evens the nodes out; later ones take them in turn.
    const next = nodes[at + 1];
    if (next === undefined || compareNodes(group, next, node) < 0) at++;
    const start = at;
    while (failed.has(at % nodes.length) || !pipeline.process(nodes[at % nodes.length] as NodeInfo)) {
      failed.add(at % nodes.length);
      at++;
      if (at - start === nodes.length) return placed;
    }
  }
  return placed;
}
