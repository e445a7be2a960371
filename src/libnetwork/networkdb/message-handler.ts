/** What happens to a received NetworkDB message, and what of it is passed on (moby libnetwork/networkdb delegate.go). */
import { MalformedError } from "../../base/errors.ts";
import { RecentNumbers } from "../../base/recent-numbers.ts";
import type { Broadcast, BroadcastQueue } from "../../memberlist/broadcast-queue.ts";
import {
  type BulkSyncHead,
  compoundRanges,
  decodeBulkSync,
  decodeEnvelope,
  decodePushPullState,
  GOSSIP,
  HeardEvent,
  HeardEvents,
  HeardSync,
  readEvent,
  recallEvent,
  recallPushPullState,
  type TableEvent,
  type Told,
} from "./messages.ts";
import type { ClusterState } from "./state.ts";

/** Above this many queued events, those that a bulk sync brought are not passed on (maxQueueLenBroadcastOnSync). */
const MAX_QUEUE_ON_SYNC = 500;

/** What a received message changes (networkdb/delegate.go). */
export class MessageHandler {
  /** Malformed messages by reason. */
  readonly drops = new Map<string, number>();
  readonly #state: ClusterState;
  readonly #networkEvents: BroadcastQueue;
  readonly #nodeEvents: BroadcastQueue;
  readonly #bulkSync: (sync: BulkSyncHead) => void;
  /** Events that are no news, and won't be any until something is forgotten. */
  readonly #old = new RecentNumbers();
  #forgotten = 0;

  /** @param bulkSync called when the entries of a bulk sync have been taken in */
  constructor(
    state: ClusterState,
    networkEvents: BroadcastQueue,
    nodeEvents: BroadcastQueue,
    bulkSync: (sync: BulkSyncHead) => void,
  ) {
    this.#state = state;
    this.#networkEvents = networkEvents;
    this.#nodeEvents = nodeEvents;
    this.#bulkSync = bulkSync;
  }

  /**
   * A user message of memberlist.
   * @param meaning a HeardEvent, HeardEvents or HeardSync: what it says, if that is known
   */
  handle(data: Uint8Array, start = 0, end: number = data.length, meaning?: unknown): void {
    if (meaning instanceof HeardEvent) this.#handleEvent(meaning, false);
    else if (meaning instanceof HeardEvents) for (const heard of meaning.events) this.#handleEvent(heard, false);
    else if (meaning instanceof HeardSync) this.#handleSync(meaning);
    else this.#guard(() => this.#handle(data, start, end, false));
  }

  #handleSync({ sync, events }: HeardSync): void {
    if (sync.lTime > 0) this.#state.tableClock.witness(sync.lTime);
    for (const heard of events) this.#handleEvent(heard, true);
    this.#bulkSync(sync);
  }

  /** The user state of a push/pull. */
  merge(message: Uint8Array): void {
    const known = recallPushPullState(message);
    if (known !== undefined) {
      this.#state.merge(known);
      return;
    }
    this.#guard(() => {
      const { type, data } = decodeEnvelope(message);
      if (type !== GOSSIP.pushPull) throw new MalformedError("message type");
      this.#state.merge(decodePushPullState(data));
    });
  }

  #guard(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      const reason = `networkdb: ${error.reason}`;
      this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
    }
  }

  #handle(bytes: Uint8Array, start: number, end: number, bulk: boolean): void {
    const heard = recallEvent(bytes, start, end);
    if (heard !== undefined) {
      this.#handleEvent(heard, bulk);
      return;
    }
    const message = bytes.subarray(start, end);
    const { type, data } = decodeEnvelope(message);
    switch (type) {
      case GOSSIP.bulkSync: {
        const sync = decodeBulkSync(data);
        if (sync.lTime > 0) this.#state.tableClock.witness(sync.lTime);
        this.#guard(() => this.#handle(sync.payload, 0, sync.payload.length, true));
        this.#bulkSync(sync);
        return;
      }
      case GOSSIP.compound:
        this.#handleParts(data, bulk);
        return;
      default: {
        const event = readEvent(message);
        if (event === undefined) throw new MalformedError("message type");
        this.#handleEvent(event, bulk);
      }
    }
  }

  #handleParts(data: Uint8Array, bulk: boolean): void {
    const parts = compoundRanges(data);
    for (let i = 0; i < parts.length; i += 2) {
      const [from, to] = [parts[i] as number, parts[i + 1] as number];
      this.#guard(() => this.#handle(data, from, to, bulk));
    }
  }

  #handleEvent(heard: HeardEvent, bulk: boolean): void {
    const { told, broadcast, serial } = heard;
    if (this.#state.forgotten !== this.#forgotten) {
      this.#forgotten = this.#state.forgotten;
      this.#old.clear();
    }
    if (this.#old.has(serial)) return;
    this.#handleNew(told, broadcast, bulk);
    if (this.#state.knows(told)) this.#old.add(serial);
  }

  #handleNew(told: Told, broadcast: Broadcast, bulk: boolean): void {
    if (told.type === GOSSIP.tableEvent) this.#handleTableEvent(told.event, broadcast, bulk);
    else if (told.type === GOSSIP.nodeEvent) {
      if (this.#state.nodeEvent(told.event)) this.#nodeEvents.queue(broadcast);
    } else if (this.#state.networkEvent(told.event)) this.#networkEvents.queue(broadcast);
  }

  #handleTableEvent(event: TableEvent, broadcast: Broadcast, bulk: boolean): void {
    if (event.nodeName === this.#state.self || !this.#state.tableEvent(event, bulk)) return;
    const queue = this.#state.attachments.own.get(event.networkId)?.queue;
    if (queue !== undefined && !(bulk && queue.length > MAX_QUEUE_ON_SYNC)) queue.queue(broadcast);
  }
}
