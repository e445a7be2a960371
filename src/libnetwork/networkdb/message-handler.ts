/** What happens to a received NetworkDB message, and what of it is passed on (moby libnetwork/networkdb delegate.go). */
import { MalformedError } from "../../base/errors.ts";
import type { BroadcastQueue } from "../../memberlist/broadcast-queue.ts";
import {
  type BulkSync,
  compoundRanges,
  decodeBulkSync,
  decodeEnvelope,
  decodePushPullState,
  GOSSIP,
  type HeardEvent,
  readEvent,
  recallEvent,
  type TableEvent,
} from "./messages.ts";
import type { ClusterState } from "./state.ts";

/** Above this many queued events, those that a bulk sync brought are not passed on (maxQueueLenBroadcastOnSync). */
const MAX_QUEUE_ON_SYNC = 500;

/** Queues a table event, own or relayed, for its network; it replaces an older one about the same key. */
export function queueTableEvent(
  state: ClusterState,
  network: string,
  table: string,
  key: string,
  message: Uint8Array,
): void {
  state.attachments.own.get(network)?.queue.queue({ name: `${table}/${key}`, message });
}

/** What a received message changes (networkdb/delegate.go). */
export class MessageHandler {
  /** Malformed messages by reason. */
  readonly drops = new Map<string, number>();
  readonly #state: ClusterState;
  readonly #networkEvents: BroadcastQueue;
  readonly #nodeEvents: BroadcastQueue;
  readonly #bulkSync: (sync: BulkSync) => void;

  /** @param bulkSync called when the entries of a bulk sync have been taken in */
  constructor(
    state: ClusterState,
    networkEvents: BroadcastQueue,
    nodeEvents: BroadcastQueue,
    bulkSync: (sync: BulkSync) => void,
  ) {
    this.#state = state;
    this.#networkEvents = networkEvents;
    this.#nodeEvents = nodeEvents;
    this.#bulkSync = bulkSync;
  }

  /** A user message of memberlist. */
  handle(data: Uint8Array, start = 0, end: number = data.length): void {
    this.#guard(() => this.#handle(data, start, end, false));
  }

  /** The user state of a push/pull. */
  merge(message: Uint8Array): void {
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
    const { type, event, envelope: message } = heard;
    if (type === GOSSIP.tableEvent) this.#handleTableEvent(event, message, bulk);
    else if (type === GOSSIP.nodeEvent) {
      if (this.#state.nodeEvent(event)) this.#nodeEvents.queue({ message });
    } else if (this.#state.networkEvent(event)) {
      this.#networkEvents.queue({ name: `${event.networkId}/${event.nodeName}`, message });
    }
  }

  #handleTableEvent(event: TableEvent, message: Uint8Array, bulk: boolean): void {
    if (event.nodeName === this.#state.self || !this.#state.tableEvent(event, bulk)) return;
    const queued = this.#state.attachments.own.get(event.networkId)?.queue.length ?? 0;
    if (bulk && queued > MAX_QUEUE_ON_SYNC) return;
    queueTableEvent(this.#state, event.networkId, event.tableName, event.key, message);
  }
}
