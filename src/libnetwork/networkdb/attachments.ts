/** Which node takes part in which network (networkdb.go networks, networkNodes). */
import type { Time } from "../../base/time.ts";
import type { BroadcastQueue } from "../../memberlist/broadcast-queue.ts";
import type { NetworkEntry } from "./messages.ts";

/** A node's part in a network. */
export interface Attachment {
  readonly networkId: string;
  lTime: number;
  leaving: boolean;
  reapTime: Time;
  /** As it was last sent in a push/pull. */
  sent: NetworkEntry | undefined;
}

/** Another node's: a link of the chain of its networks, in the order in which it joined them. */
export interface ForeignAttachment extends Attachment {
  next: ForeignAttachment | undefined;
}

/** This node's own. */
export interface OwnAttachment extends Attachment {
  /** Table events to gossip to the network's nodes. */
  readonly queue: BroadcastQueue;
  /** The first bulk sync is over: news are passed on from now. */
  inSync: boolean;
}

/** Which nodes are in which network, and since when. */
export class Attachments {
  readonly own = new Map<string, OwnAttachment>();
  /**
   * Attachments of other nodes by node, the first of each (undefined when it has none left), and by network and node. In a
   * cluster of n nodes there are n² of them: so these are chains, where maps would be the simpler thing.
   */
  readonly #foreign = new Map<string, ForeignAttachment | undefined>();
  readonly #byNetwork = new Map<string, Map<string, ForeignAttachment>>();
  /** Nodes that take part, in the order in which they joined. */
  readonly #nodesOf = new Map<string, string[]>();
  readonly #self: string;
  #forgotten = 0;

  /** @param self this node's gossip name */
  constructor(self: string) {
    this.#self = self;
  }

  /** How many attachments were forgotten so far. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Another node's attachment to a network. */
  foreign(networkId: string, node: string): Attachment | undefined {
    return this.#byNetwork.get(networkId)?.get(node);
  }

  /** Notes that another node has joined a network, of which it had no attachment. */
  addForeign(node: string, networkId: string, lTime: number): void {
    const added = { networkId, lTime, leaving: false, reapTime: 0, sent: undefined, next: undefined };
    let last = this.#foreign.get(node);
    if (last === undefined) this.#foreign.set(node, added);
    else {
      while (last.next !== undefined) last = last.next;
      last.next = added;
    }
    const nodes = this.#byNetwork.get(networkId) ?? new Map<string, ForeignAttachment>();
    this.#byNetwork.set(networkId, nodes.set(node, added));
    this.#addNode(networkId, node);
  }

  /** Another node has left a network that it was in, or joined one that it had left. */
  change(node: string, attachment: Attachment, leaving: boolean): void {
    if (attachment.leaving === leaving) return;
    attachment.leaving = leaving;
    if (leaving) this.#removeNode(attachment.networkId, node);
    else this.#addNode(attachment.networkId, node);
  }

  #removeForeign(node: string, gone: ForeignAttachment): void {
    this.#forgotten++;
    const first = this.#foreign.get(node);
    if (first === gone) this.#foreign.set(node, gone.next);
    for (let at = first; at !== undefined; at = at.next) if (at.next === gone) at.next = gone.next;
    const nodes = this.#byNetwork.get(gone.networkId);
    nodes?.delete(node);
    if (nodes?.size === 0) this.#byNetwork.delete(gone.networkId);
  }

  /** Names of the nodes that take part in a network, in the order in which they joined; it changes as they come and go. */
  nodesOf(networkId: string): readonly string[] {
    return this.#nodesOf.get(networkId) ?? [];
  }

  /** Whether another node takes part in a network: the list says the same, but is long. */
  hasNode(networkId: string, node: string): boolean {
    return this.foreign(networkId, node)?.leaving === false;
  }

  /** This node joins a network. */
  join(own: OwnAttachment): void {
    const { networkId } = own;
    this.own.set(networkId, own);
    if (!this.nodesOf(networkId).includes(this.#self)) this.#addNode(networkId, this.#self);
  }

  /** This node leaves a network; its attachment is remembered for a while. */
  leave(networkId: string): void {
    this.#removeNode(networkId, this.#self);
  }

  #addNode(networkId: string, node: string): void {
    const nodes = this.#nodesOf.get(networkId);
    if (nodes === undefined) this.#nodesOf.set(networkId, [node]);
    else nodes.push(node);
  }

  #removeNode(networkId: string, node: string): void {
    const nodes = this.#nodesOf.get(networkId);
    const at = nodes?.indexOf(node) ?? -1;
    if (at >= 0) nodes?.splice(at, 1);
    if (nodes?.length === 0) this.#nodesOf.delete(networkId);
  }

  /** Forgets a node that failed or left the cluster. */
  forget(node: string): void {
    for (let at = this.#foreign.get(node); at !== undefined; at = at.next) {
      if (!at.leaving) this.#removeNode(at.networkId, node);
      this.#removeForeign(node, at);
    }
    this.#foreign.delete(node);
  }

  /** Networks that this node and another one have both joined. */
  common(node: string): string[] {
    return [...this.own.keys()].filter((networkId) => this.foreign(networkId, node)?.leaving === false);
  }

  /** All attachments with their nodes, this one's first. */
  *all(): Generator<[node: string, attachment: Attachment]> {
    for (const attachment of this.own.values()) yield [this.#self, attachment];
    for (const [node, first] of this.#foreign) for (let at = first; at !== undefined; at = at.next) yield [node, at];
  }

  /** Counts down the attachments that were left, and forgets them in the end. */
  reap(period: Time): void {
    for (const attachment of this.own.values()) {
      if (attachment.leaving && !countedDown(attachment, period)) this.own.delete(attachment.networkId);
    }
    for (const [node, first] of this.#foreign) {
      for (let at = first; at !== undefined; at = at.next) {
        if (at.leaving && !countedDown(at, period)) this.#removeForeign(node, at);
      }
    }
  }
}

/** Counts down; false when the time is over. */
function countedDown(attachment: Attachment, period: Time): boolean {
  if (attachment.reapTime <= 0) return false;
  attachment.reapTime -= period;
  return true;
}
