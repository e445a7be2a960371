/** The nodes of the cluster by state (moby libnetwork/networkdb nodemgmt.go). */
import { HOUR, type Time } from "../../base/time.ts";
import type { Member } from "../../memberlist/members.ts";

/** How long a failed or left node is remembered, and how often that is looked at (cluster.go). */
export const NODE_REAP_INTERVAL: Time = 24 * HOUR;
export const NODE_REAP_PERIOD: Time = 2 * HOUR;

/** Which list of nodes one is in. */
export type NodeState = "active" | "left" | "failed";

const STATES = ["active", "left", "failed"] as const;

/** Another node of the cluster. */
export interface GossipNode {
  readonly member: Member;
  /** Lamport time of the latest node event about it. */
  lTime: number;
  reapTime: Time;
}

/** The nodes that are active, have left, have failed (networkdb/nodemgmt.go). */
export class Nodes {
  readonly active = new Map<string, GossipNode>();
  readonly left = new Map<string, GossipNode>();
  readonly failed = new Map<string, GossipNode>();
  readonly #gone: (name: string) => void;
  /** Addresses that some node has or had: at any other one there is nobody to look for. */
  readonly #addresses = new Set<number>();
  #forgotten = 0;

  /** @param gone called when a node leaves or fails: its attachments and entries are to be deleted */
  constructor(gone: (name: string) => void) {
    this.#gone = gone;
  }

  /** How many nodes were forgotten so far. */
  get forgotten(): number {
    return this.#forgotten;
  }

  find(name: string): { node: GossipNode; state: NodeState } | undefined {
    for (const state of STATES) {
      const node = this[state].get(name);
      if (node !== undefined) return { node, state };
    }
    return undefined;
  }

  /** A member has an address: it has just come, or come back. */
  sight(member: Member): void {
    this.#addresses.add(member.addr);
  }

  add(member: Member): void {
    this.sight(member);
    this.active.set(member.name, { member, lTime: 0, reapTime: 0 });
  }

  /** Moves a node to a state; false when it is unknown or there already. */
  change(name: string, state: NodeState): boolean {
    const found = this.find(name);
    if (found === undefined || found.state === state) return false;
    this[found.state].delete(name);
    this[state].set(name, found.node);
    if (state === "active") found.node.reapTime = 0;
    else {
      // A node that goes from failed to left keeps its time.
      if (found.node.reapTime === 0) found.node.reapTime = NODE_REAP_INTERVAL;
      this.#gone(name);
    }
    return true;
  }

  /** A new name at a known address and port is the old node after a restart: the old name has left. */
  purgeReincarnation(member: Member): void {
    if (!this.#addresses.has(member.addr)) return;
    for (const state of ["active", "failed", "left"] as const) {
      for (const [name, { member: other }] of this[state]) {
        if (other.addr !== member.addr || other.port !== member.port || name === member.name) continue;
        this.change(name, "left");
        return;
      }
    }
  }

  /** Forgets nodes that failed or left long ago; to be called every NODE_REAP_PERIOD. */
  reap(): void {
    for (const map of [this.failed, this.left]) {
      for (const [name, node] of map) {
        if (node.reapTime > NODE_REAP_PERIOD) node.reapTime -= NODE_REAP_PERIOD;
        else {
          map.delete(name);
          this.#forgotten++;
        }
      }
    }
  }
}
