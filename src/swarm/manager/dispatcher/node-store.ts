/** The dispatcher's registered nodes: sessions, deadlines of heartbeats, registration rate (swarmkit manager/dispatcher/nodes.go). */
import { newSwarmId } from "../../../base/ids.ts";
import type { Random } from "../../../base/random.ts";
import { FOREVER, SEC, type Time } from "../../../base/time.ts";
import { Signal } from "../../../scheduler/process.ts";
import { RpcError } from "../../api/status.ts";
import { choosePeriod, GRACE_MULTIPLIER, UNKNOWN_GRACE_MULTIPLIER } from "./period.ts";

const RATE_LIMIT_PERIOD = 8 * SEC;
const RATE_LIMIT_COUNT = 3;

/** A node with a session. */
export interface RegisteredNode {
  readonly nodeId: string;
  /** Empty while the node is only expected (unknown). */
  sessionId: string;
  /** When the node counts as down. */
  deadline: Time;
  attempts: number;
  registeredAt: Time;
  /** When its last heartbeat came. */
  heardAt: Time;
  /** What its heartbeat periods are drawn from. */
  readonly random: Random;
  /** What its sessions and assignment streams wait on; notified when anything about the node changed. */
  readonly changed: Signal;
}

/** The nodes that have sessions (dispatcher/nodes.go). */
export class NodeStore {
  readonly #nodes = new Map<string, RegisteredNode>();
  readonly #random: Random;
  readonly #now: () => Time;
  readonly #period: () => Time;

  /** @param period the cluster's heartbeat period */
  constructor(random: Random, now: () => Time, period: () => Time) {
    this.#random = random;
    this.#now = now;
    this.#period = period;
  }

  /** Throws Unavailable at the fourth registration, each within 8 s of the one before. */
  checkRateLimit(nodeId: string): void {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) return;
    if (this.#now() - node.registeredAt > RATE_LIMIT_PERIOD) node.attempts = 0;
    node.attempts++;
    if (node.attempts > RATE_LIMIT_COUNT) {
      throw new RpcError("Unavailable", `node ${nodeId} exceeded rate limit count of registrations`);
    }
    node.registeredAt = this.#now();
  }

  /** Registers a node with a new session; sessions of the old one end. */
  add(nodeId: string): RegisteredNode {
    const old = this.#nodes.get(nodeId);
    const random = old?.random ?? this.#random.fork(`heartbeats of ${nodeId}`);
    const node: RegisteredNode = {
      nodeId,
      sessionId: newSwarmId(this.#random),
      deadline: this.#now() + this.#choose(random) * GRACE_MULTIPLIER,
      heardAt: this.#now(),
      random,
      attempts: old?.attempts ?? 0,
      registeredAt: old?.registeredAt ?? this.#now(),
      changed: new Signal(),
    };
    this.#nodes.set(nodeId, node);
    old?.changed.notify();
    return node;
  }

  /** Expects a node to show up: after a change of leaders. */
  addUnknown(nodeId: string): void {
    const node = this.add(nodeId);
    node.sessionId = "";
    node.deadline = this.#now() + this.#choose(node.random) * UNKNOWN_GRACE_MULTIPLIER;
  }

  get(nodeId: string): RegisteredNode | undefined {
    return this.#nodes.get(nodeId);
  }

  /** Throws NotFound for an unknown node, InvalidArgument for another session. */
  withSession(nodeId: string, sessionId: string): RegisteredNode {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) throw new RpcError("NotFound", "node not registered");
    if (node.sessionId !== sessionId || sessionId === "") throw new RpcError("InvalidArgument", "session invalid");
    return node;
  }

  /** A heartbeat: the node counts as down three times the returned period from now. */
  heartbeat(nodeId: string, sessionId: string): Time {
    const node = this.withSession(nodeId, sessionId);
    const period = this.#choose(node.random);
    node.heardAt = this.#now();
    node.deadline = this.#now() + period * GRACE_MULTIPLIER;
    return period;
  }

  delete(nodeId: string): void {
    const node = this.#nodes.get(nodeId);
    this.#nodes.delete(nodeId);
    node?.changed.notify();
  }

  /** Nodes whose deadline has come, in order of registration. */
  expired(): RegisteredNode[] {
    return [...this.#nodes.values()].filter((node) => node.deadline <= this.#now());
  }

  nextDeadline(): Time {
    let next = FOREVER;
    for (const node of this.#nodes.values()) next = Math.min(next, node.deadline);
    return next;
  }

  /** In order of registration. */
  all(): readonly RegisteredNode[] {
    return [...this.#nodes.values()];
  }

  /** The cluster's heartbeat period. */
  get period(): Time {
    return this.#period();
  }

  #choose(random: Random): Time {
    return choosePeriod(random, this.#period(), this.#now());
  }
}
