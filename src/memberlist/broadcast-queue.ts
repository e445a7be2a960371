/**
 * The queue of messages that wait to be gossiped (hashicorp/memberlist queue.go TransmitLimitedQueue): each is
 * sent a limited number of times. Order: fewest transmissions first, then the longest that still fits, then the newest.
 */
import { Signal } from "../scheduler/process.ts";
import type { Part } from "./parts.ts";
import { retransmitLimit } from "./scale.ts";

/** A message to gossip. */
export interface Broadcast {
  readonly message: Uint8Array;
  /** A newer broadcast of the same name replaces this one. Nameless ones replace nothing. */
  readonly name?: string;
  /** Called when the broadcast has been sent often enough or was replaced. */
  readonly finished?: () => void;
  /** The message as a receiver reads it, where that is known. */
  readonly part?: Part;
}

interface Queued {
  readonly broadcast: Broadcast;
  readonly length: number;
  readonly id: number;
  transmits: number;
}

/** Messages that wait to ride on gossip (queue.go TransmitLimitedQueue). */
export class BroadcastQueue {
  readonly #nodeCount: () => number;
  readonly #multiplier: number;
  /** Notified when a message is queued. */
  readonly filled = new Signal();
  /** One list a number of transmissions, each sorted by length, then id, both descending. */
  readonly #tiers: Queued[][] = [];
  readonly #byName = new Map<string, Queued>();
  #nextId = 1;
  #length = 0;

  /**
   * @param nodeCount nodes that the messages are meant for, which sets the limit
   * @param multiplier RetransmitMult
   */
  constructor(nodeCount: () => number, multiplier: number) {
    this.#nodeCount = nodeCount;
    this.#multiplier = multiplier;
  }

  get length(): number {
    return this.#length;
  }

  queue(broadcast: Broadcast): void {
    const { name, message } = broadcast;
    const item: Queued = { broadcast, length: message.length, id: this.#nextId++, transmits: 0 };
    if (name !== undefined) {
      const old = this.#byName.get(name);
      if (old !== undefined) {
        this.#remove(old);
        old.broadcast.finished?.();
      }
      this.#byName.set(name, item);
    }
    const list = this.#tier(0);
    list.splice(placeOf(list, item), 0, item);
    this.#length++;
    this.filled.notify();
  }

  /**
   * Takes messages for one packet.
   * @param overhead bytes that each message costs beside its own
   * @param limit bytes of the packet
   */
  take(overhead: number, limit: number): Broadcast[] {
    if (this.#length === 0) return [];
    const maxTransmits = retransmitLimit(this.#multiplier, this.#nodeCount());
    const out: Broadcast[] = [];
    const again: Queued[] = [];
    let free = limit - overhead;
    for (let tier = 0; tier < this.#tiers.length && free > 0; tier++) {
      const list = this.#tiers[tier] as Queued[];
      // What fits next stands behind what was just taken: the room only shrinks.
      let at = firstBehind(list, free + 1, 0);
      while (at < list.length && free > 0) {
        const from = at;
        for (let item = list[at]; item !== undefined && item.length <= free && free > 0; item = list[++at]) {
          free -= overhead + item.length;
          out.push(item.broadcast);
          if (item.transmits + 1 >= maxTransmits) this.#finish(item);
          else again.push(item);
        }
        if (at > from) list.splice(from, at - from);
        at = free > 0 ? firstBehind(list, free + 1, 0) : list.length;
      }
    }
    this.#length -= out.length;
    this.#putBack(again);
    return out;
  }

  #finish({ broadcast }: Queued): void {
    if (broadcast.name !== undefined) this.#byName.delete(broadcast.name);
    broadcast.finished?.();
  }

  /** Messages that were sent once more go one tier further; they come in the order of the tiers, mostly side by side. */
  #putBack(items: readonly Queued[]): void {
    for (let i = 0; i < items.length; ) {
      const first = items[i] as Queued;
      const list = this.#tier(first.transmits + 1);
      const at = placeOf(list, first);
      const next = list[at];
      let end = i + 1;
      for (let item = items[end]; item !== undefined && item.transmits === first.transmits; item = items[++end]) {
        if (next !== undefined && isBehind(item, next.length, next.id)) break;
      }
      for (let k = i; k < end; k++) (items[k] as Queued).transmits++;
      if (end === i + 1) list.splice(at, 0, first);
      else list.splice(at, 0, ...items.slice(i, end));
      i = end;
    }
    this.#length += items.length;
  }

  /** Drops what was sent most until at most `keep` messages remain. */
  prune(keep: number): void {
    while (this.#length > keep) {
      const item = this.#tiers.findLast((tier) => tier.length > 0)?.at(-1);
      if (item === undefined) return;
      this.#remove(item);
      this.#finish(item);
    }
  }

  #tier(transmits: number): Queued[] {
    while (this.#tiers.length <= transmits) this.#tiers.push([]);
    return this.#tiers[transmits] as Queued[];
  }

  #remove(item: Queued): void {
    const list = this.#tiers[item.transmits] as Queued[];
    list.splice(placeOf(list, item), 1);
    this.#length--;
  }
}

function placeOf(list: readonly Queued[], item: Queued): number {
  return firstBehind(list, item.length, item.id + 1);
}

/** The place of the first that is shorter, or as long and of a lower id; the length of the list when there is none. */
function firstBehind(list: readonly Queued[], length: number, id: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBehind(list[middle] as Queued, length, id)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Whether an item is shorter, or as long and of a lower id. */
function isBehind(item: Queued, length: number, id: number): boolean {
  return item.length !== length ? item.length < length : item.id < id;
}
