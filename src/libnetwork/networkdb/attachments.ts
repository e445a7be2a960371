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
  sent?: NetworkEntry;
}

/** The nodes of a network, in the order in which they joined. */
interface NetworkNodes {
  readonly order: string[];
  readonly names: Set<string>;
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
  /** Attachments of other nodes by node and network, and by network and node. */
  readonly #foreign = new Map<string, Map<string, Attachment>>();
  readonly #byNetwork = new Map<string, Map<string, Attachment>>();
  readonly #nodesOf = new Map<string, NetworkNodes>();
  readonly #self: string;

  /** @param self this node's gossip name */
  constructor(self: string) {
    this.#self = self;
  }

  /** Attachments of a node by network; undefined when nothing was heard of it. */
  of(node: string): ReadonlyMap<string, Attachment> | undefined {
    return node === this.#self ? this.own : this.#foreign.get(node);
  }

  /** Another node's attachment to a network, as of(node)?.get(networkId) has it. */
  foreign(networkId: string, node: string): Attachment | undefined {
    return this.#byNetwork.get(networkId)?.get(node);
  }

  addForeign(node: string, attachment: Attachment): void {
    const { networkId } = attachment;
    const networks = this.#foreign.get(node) ?? new Map<string, Attachment>();
    this.#foreign.set(node, networks.set(networkId, attachment));
    const nodes = this.#byNetwork.get(networkId) ?? new Map<string, Attachment>();
    this.#byNetwork.set(networkId, nodes.set(node, attachment));
  }

  #removeForeign(node: string, networkId: string): void {
    this.#foreign.get(node)?.delete(networkId);
    const nodes = this.#byNetwork.get(networkId);
    nodes?.delete(node);
    if (nodes?.size === 0) this.#byNetwork.delete(networkId);
  }

  /** Names of the nodes that take part in a network, in the order in which they joined; it changes as they come and go. */
  nodesOf(networkId: string): readonly string[] {
    return this.#nodesOf.get(networkId)?.order ?? [];
  }

  /** Whether a node takes part in a network. */
  hasNode(networkId: string, node: string): boolean {
    return this.#nodesOf.get(networkId)?.names.has(node) ?? false;
  }

  addNode(networkId: string, node: string): void {
    const nodes = this.#nodesOf.get(networkId) ?? { order: [], names: new Set<string>() };
    this.#nodesOf.set(networkId, nodes);
    if (nodes.names.has(node)) return;
    nodes.names.add(node);
    nodes.order.push(node);
  }

  removeNode(networkId: string, node: string): void {
    const nodes = this.#nodesOf.get(networkId);
    if (nodes === undefined || !nodes.names.delete(node)) return;
    nodes.order.splice(nodes.order.indexOf(node), 1);
    if (nodes.order.length === 0) this.#nodesOf.delete(networkId);
  }

  /** Forgets a node that failed or left the cluster. */
  forget(node: string): void {
    for (const networkId of [...this.#nodesOf.keys()]) this.removeNode(networkId, node);
    for (const networkId of [...(this.#foreign.get(node)?.keys() ?? [])]) this.#removeForeign(node, networkId);
    this.#foreign.delete(node);
  }

  /** Networks that this node and another one have both joined. */
  common(node: string): string[] {
    const theirs = this.of(node);
    return [...this.own.keys()].filter((networkId) => theirs?.get(networkId)?.leaving === false);
  }

  /** All attachments with their nodes, this one's first. */
  *all(): Generator<[node: string, attachment: Attachment]> {
    for (const attachment of this.own.values()) yield [this.#self, attachment];
    for (const [node, networks] of this.#foreign) for (const attachment of networks.values()) yield [node, attachment];
  }

  /** Counts down the attachments that were left, and forgets them in the end. */
  reap(period: Time): void {
    for (const attachment of this.own.values()) {
      if (attachment.leaving && !countedDown(attachment, period)) this.own.delete(attachment.networkId);
    }
    for (const [node, networks] of this.#foreign) {
      for (const attachment of networks.values()) {
        if (attachment.leaving && !countedDown(attachment, period)) this.#removeForeign(node, attachment.networkId);
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
