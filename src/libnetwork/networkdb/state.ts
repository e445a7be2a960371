/**
 * What a node knows of the cluster, and the rules by which events change it (moby libnetwork/networkdb
 * delegate.go, of release 20.10). Events return whether they are news that is to be passed on.
 */
import { SEC, type Time } from "../../base/time.ts";
import { Channel } from "../../scheduler/process.ts";
import type { TableNote } from "../networkdb-types.ts";
import { type Attachment, Attachments } from "./attachments.ts";
import { LamportClock } from "./lamport.ts";
import {
  commonEntry,
  GOSSIP,
  MEMBERSHIP,
  type NetworkEntry,
  type NetworkEvent,
  type NetworkPushPull,
  type NodeEvent,
  TABLE_CHANGE,
  type TableEvent,
  type Told,
} from "./messages.ts";
import { Nodes } from "./nodes.ts";
import { type Entry, TableStore } from "./table-store.ts";

/** How long tombstones are kept, and how often that is looked at. */
export const REAP_ENTRY_INTERVAL: Time = 1800 * SEC;
export const REAP_PERIOD: Time = 5 * SEC;
/** Left networks are kept five periods longer than their entries. */
export const REAP_NETWORK_INTERVAL: Time = REAP_ENTRY_INTERVAL + 5 * REAP_PERIOD;

interface Watcher {
  readonly table: string;
  readonly networkId: string;
  readonly channel: Channel<TableNote>;
}

const NOTE_TYPE = { 1: "create", 2: "update", 3: "delete" } as const;

/** What all parts of a node share: clocks, nodes, networks, tables. */
export class ClusterState {
  readonly self: string;
  /** Orders node and network events. */
  readonly networkClock = new LamportClock();
  /** Orders table events. */
  readonly tableClock = new LamportClock();
  readonly nodes: Nodes;
  readonly attachments: Attachments;
  readonly store = new TableStore();
  #watchers: Watcher[] = [];

  /** @param self this node's gossip name */
  constructor(self: string) {
    this.self = self;
    this.attachments = new Attachments(self);
    this.nodes = new Nodes((name) => this.#nodeGone(name));
  }

  /** Everything that a node which failed or left owned is deleted at once, without tombstones. */
  #nodeGone(name: string): void {
    this.attachments.forget(name);
    for (const entry of this.store.ofNode(name)) {
      this.store.remove(entry);
      if (!entry.deleting) this.#note("delete", entry);
    }
  }

  // ------------------------------------------------------------------------------------------ events

  nodeEvent(event: NodeEvent): boolean {
    this.networkClock.witness(event.lTime);
    const found = this.nodes.find(event.nodeName);
    if (found === undefined || found.node.lTime >= event.lTime) return false;
    found.node.lTime = event.lTime;
    return this.nodes.change(event.nodeName, event.type === MEMBERSHIP.join ? "active" : "left");
  }

  networkEvent(event: NetworkEvent): boolean {
    this.networkClock.witness(event.lTime);
    const { nodeName, networkId, lTime } = event;
    if (nodeName === this.self) return false;
    const leaving = event.type === MEMBERSHIP.leave;
    const known = this.attachments.foreign(networkId, nodeName);
    if (known !== undefined && known.lTime >= lTime) return false;
    if (known === undefined) {
      // A node unknown to memberlist would never be reported as failed, and stay for ever.
      if (leaving || !this.nodes.active.has(nodeName)) return false;
      this.attachments.addForeign(nodeName, networkId, lTime);
      return true;
    }
    known.lTime = lTime;
    if (leaving) {
      known.reapTime = REAP_NETWORK_INTERVAL;
      this.#buryEntries(networkId, nodeName);
    }
    this.attachments.change(nodeName, known, leaving);
    return true;
  }

  /** The entries of a node that left a network become tombstones, of unchanged Lamport time. */
  #buryEntries(networkId: string, node: string): void {
    for (const entry of this.store.ofNetwork(networkId)) {
      if (entry.node !== node || entry.deleting) continue;
      this.store.put({ ...entry, deleting: true, reapTime: REAP_ENTRY_INTERVAL });
      this.#note("delete", entry);
    }
  }

  /** @param bulk whether it came in a bulk sync */
  tableEvent(event: TableEvent, bulk: boolean): boolean {
    this.tableClock.witness(event.lTime);
    const { networkId, tableName: table, key, lTime, nodeName: node, value } = event;
    // Most are no news.
    const known = this.store.get(table, networkId, key);
    if (known !== undefined && known.lTime >= lTime) return false;
    const own = this.attachments.own.get(networkId);
    if (own === undefined || own.leaving || !this.attachments.hasNode(networkId, node)) return false;
    const deleting = event.type === TABLE_CHANGE.delete;
    // A delete of something unknown may have travelled longer than tombstones live; only a bulk sync tells how long
    // it still has.
    if (known === undefined && deleting && !bulk) return false;
    const residual = event.residualReapTime * SEC;
    const reapTime = deleting && residual === 0 ? REAP_ENTRY_INTERVAL : residual;
    const entry: Entry =
      deleting || reapTime > 0 ? { networkId, table, key, node, lTime, value, deleting, reapTime } : entryOf(event);
    this.store.put(entry);
    if (known === undefined && deleting) return own.inSync && reapTime > REAP_ENTRY_INTERVAL / 6;
    this.#note(NOTE_TYPE[event.type], entry);
    return own.inSync;
  }

  /**
   * Whether an event is no news: it is older than what is known, or as old, or this node's own. The Lamport clock has
   * witnessed it. It stays so until something is forgotten.
   */
  knows({ type, event }: Told): boolean {
    if (type === GOSSIP.nodeEvent) return (this.nodes.find(event.nodeName)?.node.lTime ?? -1) >= event.lTime;
    if (event.nodeName === this.self) return true;
    if (type === GOSSIP.networkEvent)
      return (this.attachments.foreign(event.networkId, event.nodeName)?.lTime ?? -1) >= event.lTime;
    return (this.store.get(event.tableName, event.networkId, event.key)?.lTime ?? -1) >= event.lTime;
  }

  /** How often a node, an attachment or an entry was forgotten. */
  get forgotten(): number {
    return this.nodes.forgotten + this.attachments.forgotten + this.store.forgotten;
  }

  /** The state that came with a push/pull. */
  merge(state: NetworkPushPull): void {
    this.nodeEvent({ type: MEMBERSHIP.join, lTime: state.lTime, nodeName: state.nodeName });
    for (const { leaving, lTime, nodeName, networkId } of state.networks) {
      const type = leaving ? MEMBERSHIP.leave : MEMBERSHIP.join;
      this.networkEvent({ type, lTime, nodeName, networkId });
    }
  }

  /** The state that goes with a push/pull; when joining, this node's attachments are renewed first. */
  snapshot(join: boolean): NetworkPushPull {
    if (join) {
      const lTime = this.networkClock.increment();
      for (const attachment of this.attachments.own.values()) attachment.lTime = lTime;
    }
    const networks = [...this.attachments.all()].map(([nodeName, attachment]) => this.#entryOf(nodeName, attachment));
    return { lTime: this.networkClock.time, networks, nodeName: this.self };
  }

  /** An attachment as it is sent: the same object as before while nothing changes, so that its encoding can be kept. */
  #entryOf(nodeName: string, attachment: Attachment): NetworkEntry {
    const { networkId, lTime, leaving } = attachment;
    const known = attachment.sent;
    if (known !== undefined && known.lTime === lTime && known.leaving === leaving) return known;
    attachment.sent = commonEntry({ networkId, lTime, nodeName, leaving });
    return attachment.sent;
  }

  /** This node left a network: its entries become tombstones of a newer time, foreign ones are dropped. */
  dropNetwork(networkId: string): void {
    for (const entry of this.store.ofNetwork(networkId)) {
      if (entry.node !== this.self) {
        this.store.remove(entry);
        if (!entry.deleting) this.#note("delete", entry);
      } else if (!entry.deleting) {
        this.store.put({ ...entry, lTime: entry.lTime + 1, deleting: true, reapTime: REAP_ENTRY_INTERVAL });
      }
    }
  }

  /** Why it isn't at rest; undefined when nothing is remembered for a while only. */
  unrest(): string | undefined {
    if (this.nodes.failed.size > 0) return "a node has failed";
    if (this.store.tombstoneCount > 0) return "deleted entries are remembered";
    for (const [, { leaving }] of this.attachments.all()) if (leaving) return "networks that were left are remembered";
    return [...this.attachments.own.values()].some(({ inSync }) => !inSync) ? "a network is being joined" : undefined;
  }

  /** Counts tombstones and left attachments down; to be called every REAP_PERIOD. */
  reap(): void {
    this.attachments.reap(REAP_PERIOD);
    for (const entry of this.store.tombstones()) {
      if (entry.reapTime > REAP_PERIOD) entry.reapTime -= REAP_PERIOD;
      else this.store.remove(entry);
    }
  }

  // ---------------------------------------------------------------------------------------- watchers

  watch(table: string, networkId: string): Channel<TableNote> {
    const watcher: Watcher = { table, networkId, channel: new Channel<TableNote>() };
    this.#watchers.push(watcher);
    for (const entry of this.store.ofTable(table, networkId)) {
      if (entry.node !== this.self && !entry.deleting) watcher.channel.push(noteOf("create", entry));
    }
    return watcher.channel;
  }

  unwatch(channel: Channel<TableNote>): void {
    this.#watchers = this.#watchers.filter((watcher) => watcher.channel !== channel);
    channel.close();
  }

  unwatchAll(): void {
    for (const { channel } of this.#watchers) channel.close();
    this.#watchers = [];
  }

  #note(type: TableNote["type"], entry: Entry): void {
    for (const { table, networkId, channel } of this.#watchers) {
      if (table === entry.table && networkId === entry.networkId) channel.push(noteOf(type, entry));
    }
  }
}

/** Live entries don't change: all nodes that heard the same event hold the same one. */
const entries = new WeakMap<TableEvent, Entry>();

function entryOf(event: TableEvent): Entry {
  let entry = entries.get(event);
  if (entry === undefined) {
    const { networkId, tableName: table, key, lTime, nodeName: node, value } = event;
    entry = { networkId, table, key, node, lTime, value, deleting: false, reapTime: 0 };
    entries.set(event, entry);
  }
  return entry;
}

function noteOf(type: TableNote["type"], entry: Entry): TableNote {
  const { table, networkId, key, value, node: owner } = entry;
  return { type, table, networkId, key, value, owner };
}
