/**
 * The queue of messages that wait to be gossiped (hashicorp/memberlist queue.go TransmitLimitedQueue): each is
 * sent a limited number of times. Order: fewest transmissions first, then the longest that still fits, then the newest.
 */
import { Signal } from "../scheduler/process.ts";
import { retransmitLimit } from "./scale.ts";

/** A message to gossip. */
export interface Broadcast {
  readonly message: Uint8Array;
  /** A newer broadcast of the same name replaces this one. Nameless ones replace nothing. */
  readonly name?: string;
  /** Called when the broadcast has been sent often enough or was replaced. */
  readonly finished?: () => void;
}

interface Queued {
  readonly broadcast: Broadcast;
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
    if (broadcast.name !== undefined) {
      const old = this.#byName.get(broadcast.name);
      if (old !== undefined) {
        this.#remove(old);
        old.broadcast.finished?.();
      }
    }
    this.#insert({ broadcast, id: this.#nextId++, transmits: 0 });
    this.filled.notify();
  }

  /**
   * Takes messages for one packet.
   * @param overhead bytes that each message costs beside its own
   * @param limit bytes of the packet
   */
  take(overhead: number, limit: number): Uint8Array[] {
    if (this.#length === 0) return [];
    const maxTransmits = retransmitLimit(this.#multiplier, this.#nodeCount());
    const out: Uint8Array[] = [];
    const again: Queued[] = [];
    let used = 0;
    for (let tier = 0; tier < this.#tiers.length; ) {
      const free = limit - used - overhead;
      if (free <= 0) break;
      const item = this.#longestThatFits(tier, free);
      if (item === undefined) {
        tier++;
        continue;
      }
      used += overhead + item.broadcast.message.length;
      out.push(item.broadcast.message);
      this.#remove(item);
      if (item.transmits + 1 >= maxTransmits) item.broadcast.finished?.();
      else again.push(item);
    }
    for (const item of again) {
      item.transmits++;
      this.#insert(item);
    }
    return out;
  }

  /** Drops what was sent most until at most `keep` messages remain. */
  prune(keep: number): void {
    while (this.#length > keep) {
      const item = this.#tiers.findLast((tier) => tier.length > 0)?.at(-1);
      if (item === undefined) return;
      this.#remove(item);
      item.broadcast.finished?.();
    }
  }

  #longestThatFits(tier: number, free: number): Queued | undefined {
    const list = this.#tiers[tier] as Queued[];
    return list[firstBehind(list, free + 1, 0)];
  }

  #insert(item: Queued): void {
    while (this.#tiers.length <= item.transmits) this.#tiers.push([]);
    const list = this.#tiers[item.transmits] as Queued[];
    list.splice(this.#place(list, item), 0, item);
    this.#length++;
    if (item.broadcast.name !== undefined) this.#byName.set(item.broadcast.name, item);
  }

  #remove(item: Queued): void {
    const list = this.#tiers[item.transmits] as Queued[];
    list.splice(this.#place(list, item), 1);
    this.#length--;
    const { name } = item.broadcast;
    if (name !== undefined && this.#byName.get(name) === item) this.#byName.delete(name);
  }

  #place(list: readonly Queued[], item: Queued): number {
    return firstBehind(list, item.broadcast.message.length, item.id + 1);
  }
}

/** The place of the first that is shorter, or as long and of a lower id; the length of the list when there is none. */
function firstBehind(list: readonly Queued[], length: number, id: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = list[middle] as Queued;
    const otherLength = other.broadcast.message.length;
    if (otherLength !== length ? otherLength < length : other.id < id) high = middle;
    else low = middle + 1;
  }
  return low;
}
