/**
 * NetworkDB (moby libnetwork/networkdb networkdb.go, cluster.go, broadcast.go, of release 20.10): eventually
 * consistent tables of a network's nodes over memberlist. Network and node events ride on memberlist's packets to
 * the whole cluster; table events are gossiped every 200 ms to three random nodes of their network.
 */
import type { Ipv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { MINUTE, SEC, type Time } from "../../base/time.ts";
import type { Aead } from "../../kernel/types.ts";
import { BroadcastQueue } from "../../memberlist/broadcast-queue.ts";
import { type Delegate, LAN, type LogLevel, type MemberEvents } from "../../memberlist/config.ts";
import { Keyring } from "../../memberlist/keyring.ts";
import { Memberlist } from "../../memberlist/memberlist.ts";
import type { Member } from "../../memberlist/members.ts";
import { pickRandom } from "../../memberlist/scale.ts";
import type { HostOs } from "../../scheduler/os.ts";
import { type Channel, type Proc, Signal } from "../../scheduler/process.ts";
import type { HostState } from "../../scheduler/quiet.ts";
import { TaskGroup } from "../../scheduler/task-group.ts";
import type { GossipCensus, GossipKey, GossipPeer, GossipView, NetworkDb, TableNote } from "../networkdb-types.ts";
import type { OwnAttachment } from "./attachments.ts";
import { Bootstrap, RETRY_INTERVAL } from "./bootstrap.ts";
import { BulkSyncer } from "./bulk-sync.ts";
import { MessageHandler } from "./message-handler.ts";
import {
  type BulkSyncHead,
  encodeNetworkEvent,
  encodeNodeEvent,
  encodePushPullState,
  encodeTableEvent,
  type HeardEvent,
  HeardEvents,
  heardOf,
  MEMBERSHIP,
  type Membership,
  TABLE_CHANGE,
  type TableChange,
  writeCompound,
} from "./messages.ts";
import { NODE_REAP_PERIOD } from "./nodes.ts";
import { type GossipRest, replayGossip } from "./quiet.ts";
import { ClusterState, REAP_ENTRY_INTERVAL, REAP_NETWORK_INTERVAL, REAP_PERIOD } from "./state.ts";
import type { Entry } from "./table-store.ts";
import { gossipView } from "./view.ts";

const REJOIN_INTERVAL = MINUTE;
const BROADCAST_TIMEOUT = 5 * SEC;
const LEAVE_TIMEOUT = SEC;
const COMPOUND_HEADER_OVERHEAD = 5;
const COMPOUND_OVERHEAD = 4;

/** What NetworkDB is made with. */
export interface NetworkDbOptions {
  readonly os: HostOs;
  /** The address that other nodes are told. */
  readonly advertiseAddress: Ipv4;
  /** Local address to listen on; 0 (the default) = any. */
  readonly bindAddress?: Ipv4;
  /** Empty: gossip in clear. */
  readonly keys: readonly GossipKey[];
  /** One of the keys; the first one when left out. */
  readonly primary?: GossipKey | undefined;
  /** Gossip name; by default 12 random hex digits, new at each start. */
  readonly nodeName?: string;
  /** `network-control-plane-mtu` less 100; default 1400 bytes. */
  readonly packetSize?: number;
  /** Told when memberlist sees a node come or go (the node table of libnetwork's agent). */
  readonly onNode?: (change: "join" | "leave", ip: Ipv4) => void;
  readonly log?: (level: LogLevel, text: string) => void;
}

/** An operation that NetworkDB refuses, in its words. */
export class NetworkDbError extends Error {
  override name = "NetworkDbError";
}

/**
 * Starts NetworkDB on a host: binds port 7946 and begins to gossip.
 * @throws KernelError EADDRINUSE when the port is taken
 */
export function createNetworkDb(options: NetworkDbOptions): NetworkDbNode {
  return new NetworkDbNode(options);
}

/** A node of NetworkDB (libnetwork/networkdb). */
export class NetworkDbNode implements NetworkDb {
  readonly nodeName: string;
  readonly #host: HostOs;
  readonly #options: NetworkDbOptions;
  readonly #state: ClusterState;
  readonly #keyring: Keyring;
  readonly #random: Random;
  readonly #tasks: TaskGroup;
  readonly #memberlist: Memberlist;
  readonly #syncer: BulkSyncer;
  readonly #bootstrap: Bootstrap;
  readonly #networkEvents: BroadcastQueue;
  readonly #nodeEvents: BroadcastQueue;
  readonly #handler: MessageHandler;
  readonly #started: Time;
  readonly #endUpkeep: () => void;
  #closed = false;

  constructor(options: NetworkDbOptions) {
    const host = options.os;
    this.#host = host;
    this.#options = options;
    this.nodeName = options.nodeName ?? host.random.fork(`networkdb name ${host.now()}`).hex(12);
    this.#random = host.random.fork(`networkdb/${this.nodeName}`);
    this.#state = new ClusterState(this.nodeName);
    const { kernel } = host;
    const newCipher = kernel.aead === undefined ? [] : [(key: Uint8Array) => kernel.aead?.(key) as Aead];
    this.#keyring = new Keyring(keyOrder(options.keys, options.primary), ...newCipher);
    this.#tasks = new TaskGroup(host);
    const nodeCount = () => this.#state.nodes.active.size;
    this.#networkEvents = new BroadcastQueue(nodeCount, LAN.retransmitMult);
    this.#nodeEvents = new BroadcastQueue(nodeCount, LAN.retransmitMult);
    this.#handler = new MessageHandler(this.#state, this.#networkEvents, this.#nodeEvents, (sync) =>
      this.#bulkSynced(sync),
    );
    this.#memberlist = new Memberlist(host, {
      name: this.nodeName,
      advertise: options.advertiseAddress,
      bind: options.bindAddress ?? 0,
      keyring: this.#keyring,
      delegate: this.#delegate(),
      events: this.#events(),
      ...(options.packetSize === undefined ? {} : { packetSize: options.packetSize }),
      ...(options.log === undefined ? {} : { log: options.log }),
    });
    const warn = (text: string) => options.log?.("warning", text);
    this.#syncer = new BulkSyncer(host, this.#state, this.#memberlist, this.#random.fork("sync"), warn);
    this.#bootstrap = new Bootstrap({
      host,
      tasks: this.#tasks,
      nodes: this.#state.nodes,
      random: this.#random,
      own: options.advertiseAddress,
      merge: (members) => this.#memberlist.join(members),
      announce: () => this.#sendNodeEvent(MEMBERSHIP.join),
      sync: (node) => this.#syncer.withAll([node]),
    });
    this.#started = host.now();
    this.#startTickers();
    this.#endUpkeep = host.addUpkeep({
      kind: "gossip",
      unrest: () => this.#unrest(),
      state: () => this.#rest(),
      replay: (states, from, to) => replayGossip(states as HostState<GossipRest>[], from, to),
      resume: (state) => this.#resume(state as GossipRest),
    });
  }

  #startTickers(): void {
    const tasks = this.#tasks;
    const now = (action: () => void) => () => {
      action();
      return undefined;
    };
    tasks.every(
      "networkdb reap",
      REAP_PERIOD,
      now(() => this.#state.reap()),
    );
    tasks.every(
      "networkdb gossip",
      LAN.gossipInterval,
      now(() => this.#gossip()),
    );
    tasks.every("networkdb bulk sync", LAN.pushPullInterval, () => this.#syncer.periodic());
    tasks.every("networkdb reconnect", RETRY_INTERVAL, () => this.#bootstrap.reconnect());
    tasks.every(
      "networkdb reap nodes",
      NODE_REAP_PERIOD,
      now(() => this.#state.nodes.reap()),
      (ticks) => {
        for (let i = 0; i < ticks; i++) this.#state.nodes.reap();
      },
    );
    tasks.every("networkdb rejoin", REJOIN_INTERVAL, () => this.#bootstrap.rejoin());
  }

  /** Dropped packets, frames and messages by reason: those of memberlist and those of NetworkDB. */
  drops(): ReadonlyMap<string, number> {
    const all = new Map(this.#memberlist.drops());
    for (const [reason, count] of this.#handler.drops) all.set(reason, (all.get(reason) ?? 0) + count);
    return all;
  }

  /** memberlist's health score, 0 (healthy) to 7. */
  get healthScore(): number {
    return this.#memberlist.members.health;
  }

  // ------------------------------------------------------------------------------------------ quiet time

  /** Why it isn't at rest; undefined when it is. */
  #unrest(): string | undefined {
    const lasting = this.#state.unrest();
    if (lasting !== undefined) return lasting;
    if (this.#bootstrap.retrying || this.#bootstrap.lost) return "it looks for the cluster";
    if (this.#syncer.busy) return "entries are being synchronized";
    for (const { queue } of this.#state.attachments.own.values())
      if (queue.length > 0) return "entries wait to be gossiped";
    return this.#memberlist.unrest();
  }

  #rest(): GossipRest {
    const { attachments, networkClock, tableClock, nodes } = this.#state;
    const networks = [...attachments.own.keys()];
    return {
      name: this.nodeName,
      member: this.#memberlist.rest(),
      started: this.#started,
      networks: networks.map((network) => ({ network, nodes: [...attachments.nodesOf(network)] })),
      networkTime: networkClock.time,
      tableTime: tableClock.time,
      nodeTimes: [...nodes.active].map(([name, node]) => ({ name, time: node.lTime })),
      syncKey: this.#syncer.randomKey,
    };
  }

  #resume(rest: GossipRest): void {
    const { networkClock, tableClock, nodes } = this.#state;
    networkClock.time = rest.networkTime;
    tableClock.time = rest.tableTime;
    for (const { name, time } of rest.nodeTimes) {
      const node = nodes.active.get(name);
      if (node !== undefined) node.lTime = time;
    }
    this.#memberlist.resume(rest.member);
  }

  // ------------------------------------------------------------------------------------------ cluster

  *join(members: readonly Ipv4[]): Proc<number> {
    return yield* this.#bootstrap.join(members);
  }

  clusterPeers(): readonly GossipPeer[] {
    return [...this.#state.nodes.active.values()].map(({ member }) => ({ name: member.name, ip: member.addr }));
  }

  census(networkId: string): GossipCensus {
    const { nodes } = this.#state;
    const networkNodes = this.networkSize(networkId);
    return { members: this.#memberlist.members.aliveCount, nodes: nodes.active.size, networkNodes };
  }

  get view(): GossipView {
    return gossipView(this.#state, () => this.#memberlist.members.ring);
  }

  setKey(key: Uint8Array): void {
    this.#options.log?.("debug", `Adding key ${keyText(key)}`);
    this.#keyring.add(key);
  }

  setPrimaryKey(key: Uint8Array): void {
    this.#options.log?.("debug", `Primary Key ${keyText(key)}`);
    this.#keyring.use(key);
  }

  removeKey(key: Uint8Array): void {
    this.#options.log?.("debug", `Remove Key ${keyText(key)}`);
    this.#keyring.remove(key);
  }

  *leave(): Proc<void> {
    if (this.#closed) return;
    yield* this.#sendNodeEvent(MEMBERSHIP.leave);
    yield* this.#memberlist.leave(LEAVE_TIMEOUT);
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endUpkeep();
    this.#memberlist.shutdown();
    this.#keyring.close();
    this.#state.unwatchAll();
    this.#tasks.stop();
  }

  // ----------------------------------------------------------------------------------------- networks

  *joinNetwork(networkId: string): Proc<void> {
    const { attachments, networkClock } = this.#state;
    const lTime = networkClock.increment();
    const queue = new BroadcastQueue(() => attachments.nodesOf(networkId).length, LAN.retransmitMult);
    const own: OwnAttachment = { networkId, lTime, leaving: false, reapTime: 0, sent: undefined, queue, inSync: false };
    attachments.join(own);
    const nodes = [...attachments.nodesOf(networkId)];
    this.#sendNetworkEvent(MEMBERSHIP.join, networkId, lTime);
    yield* this.#syncer.withAll(nodes);
    own.inSync = true;
  }

  leaveNetwork(networkId: string): void {
    const { attachments, networkClock } = this.#state;
    const own = attachments.own.get(networkId);
    if (own === undefined) throw new NetworkDbError(`could not find network ${networkId} while trying to leave`);
    const lTime = networkClock.increment();
    this.#sendNetworkEvent(MEMBERSHIP.leave, networkId, lTime);
    attachments.leave(networkId);
    this.#state.dropNetwork(networkId);
    own.lTime = lTime;
    own.reapTime = REAP_NETWORK_INTERVAL;
    own.leaving = true;
  }

  networkPeers(networkId: string): readonly GossipPeer[] {
    const peers: GossipPeer[] = [];
    for (const name of this.#state.attachments.nodesOf(networkId)) {
      const node = this.#state.nodes.active.get(name);
      if (node !== undefined) peers.push({ name, ip: node.member.addr });
    }
    return peers;
  }

  networkSize(networkId: string): number {
    return this.#state.attachments.nodesOf(networkId).length;
  }

  // ------------------------------------------------------------------------------------------ entries

  createEntry(table: string, networkId: string, key: string, value: Uint8Array): void {
    if (this.#state.store.get(table, networkId, key) !== undefined) {
      const what = `in table ${table} with network id ${networkId} and key ${key}`;
      throw new NetworkDbError(`cannot create entry ${what}, already exists`);
    }
    this.#change(TABLE_CHANGE.create, table, networkId, key, value);
  }

  updateEntry(table: string, networkId: string, key: string, value: Uint8Array): void {
    if (this.#state.store.get(table, networkId, key) === undefined) {
      const what = `in table ${table} with network id ${networkId} and key ${key}`;
      throw new NetworkDbError(`cannot update entry as the entry ${what} does not exist`);
    }
    this.#change(TABLE_CHANGE.update, table, networkId, key, value);
  }

  deleteEntry(table: string, networkId: string, key: string): void {
    const entry = this.#state.store.get(table, networkId, key);
    if (entry === undefined || entry.deleting) {
      const what = `${table} with network id ${networkId} and key ${key}`;
      throw new NetworkDbError(`cannot delete entry ${what} does not exist or is already being deleted`);
    }
    this.#change(TABLE_CHANGE.delete, table, networkId, key, entry.value);
  }

  #change(type: TableChange, table: string, networkId: string, key: string, value: Uint8Array): void {
    const deleting = type === TABLE_CHANGE.delete;
    const lTime = this.#state.tableClock.increment();
    const reapTime = deleting ? REAP_ENTRY_INTERVAL : 0;
    const entry: Entry = {
      networkId,
      table,
      key,
      node: this.nodeName,
      lTime,
      value: value.slice(),
      deleting,
      reapTime,
    };
    this.#state.store.put(entry);
    const residualReapTime = Math.floor(reapTime / SEC);
    const event = { type, lTime, nodeName: this.nodeName, networkId, tableName: table, key, value, residualReapTime };
    this.#state.attachments.own.get(networkId)?.queue.queue(heardOf(encodeTableEvent(event)).broadcast);
  }

  getEntry(table: string, networkId: string, key: string): Uint8Array | undefined {
    const entry = this.#state.store.get(table, networkId, key);
    return entry === undefined || entry.deleting ? undefined : entry.value;
  }

  entries(table: string, networkId: string): readonly { key: string; value: Uint8Array; owner: string }[] {
    const live = this.#state.store.ofTable(table, networkId).filter((entry) => !entry.deleting);
    return live.map(({ key, value, node: owner }) => ({ key, value, owner }));
  }

  watch(table: string, networkId: string): Channel<TableNote> {
    return this.#state.watch(table, networkId);
  }

  unwatch(channel: Channel<TableNote>): void {
    this.#state.unwatch(channel);
  }

  // ------------------------------------------------------------------------------------------- gossip

  #gossip(): void {
    this.#random.seek(this.#host.now());
    for (const { networkId, queue } of this.#state.attachments.own.values()) {
      if (queue.length === 0) continue;
      const budget = (this.#options.packetSize ?? LAN.packetSize) - COMPOUND_HEADER_OVERHEAD;
      const taken = queue.take(COMPOUND_OVERHEAD, budget);
      if (taken.length === 0) continue;
      const heard = new HeardEvents(
        taken.map(({ message, part }) => (part?.meaning as HeardEvent) ?? heardOf(message)),
      );
      const nodes = this.#state.attachments.nodesOf(networkId);
      const targets: Member[] = [];
      for (const name of pickRandom(this.#random, LAN.gossipNodes, nodes, (node) => node !== this.nodeName)) {
        const node = this.#state.nodes.active.get(name);
        if (node === undefined) break;
        targets.push(node.member);
      }
      this.#memberlist.sendBestEffort(targets, writeCompound(taken.map(({ message }) => message)), heard);
    }
  }

  #sendNetworkEvent(type: Membership, networkId: string, lTime: number): void {
    const message = encodeNetworkEvent({ type, lTime, nodeName: this.nodeName, networkId });
    this.#networkEvents.queue(heardOf(message).broadcast);
  }

  /** Queues a node event and waits until it has been gossiped enough; false when that took more than 5 s. */
  *#sendNodeEvent(type: Membership): Proc<boolean> {
    const lTime = this.#state.networkClock.increment();
    const sent = new Signal();
    let done = false;
    const finished = () => {
      done = true;
      sent.notify();
    };
    const { broadcast } = heardOf(encodeNodeEvent({ type, lTime, nodeName: this.nodeName }));
    this.#nodeEvents.queue({ ...broadcast, finished });
    if (this.#state.nodes.active.size <= 1) return true;
    const until = this.#host.now() + BROADCAST_TIMEOUT;
    while (!done) {
      if ((yield { on: [sent], until }) === undefined) return false;
    }
    return true;
  }

  // ----------------------------------------------------------------------------------------- delegate

  #delegate(): Delegate {
    return {
      nodeMeta: () => new Uint8Array(0),
      notifyMessage: (data, start, end, meaning) => this.#handler.handle(data, start, end, meaning),
      takeBroadcasts: (overhead, limit) => [
        ...this.#networkEvents.take(overhead, limit),
        ...this.#nodeEvents.take(overhead, limit),
      ],
      broadcastsWait: () => this.#networkEvents.length > 0 || this.#nodeEvents.length > 0,
      broadcastsFilled: [this.#networkEvents.filled, this.#nodeEvents.filled],
      localState: (join) => encodePushPullState(this.#state.snapshot(join)),
      mergeRemoteState: (state) => this.#handler.merge(state),
    };
  }

  #events(): MemberEvents {
    const { nodes } = this.#state;
    return {
      joined: (member) => {
        this.#options.onNode?.("join", member.addr);
        if (nodes.change(member.name, "active") || nodes.active.has(member.name)) {
          nodes.sight(member);
          return;
        }
        nodes.purgeReincarnation(member);
        nodes.add(member);
      },
      left: (member) => {
        this.#options.onNode?.("leave", member.addr);
        // A node that told of its leaving is in the left list already; one that did not has failed.
        if (nodes.active.has(member.name)) nodes.change(member.name, "failed");
      },
      updated: () => {},
    };
  }

  #bulkSynced(sync: BulkSyncHead): void {
    if (sync.unsolicited) this.#tasks.spawn("networkdb bulk sync answer", this.#answer(sync.networks, sync.nodeName));
    else this.#syncer.acknowledge(sync.nodeName);
  }

  *#answer(networks: readonly string[], node: string): Proc {
    try {
      yield* this.#syncer.withNode(networks, node, false);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#options.log?.("error", `Error in responding to bulk sync from node ${node}: ${error.message}`);
    }
  }
}

/** The first five hexadecimal digits (`%.5s`). */
function keyText(key: Uint8Array): string {
  return Array.from(key.subarray(0, 3), (byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .slice(0, 5);
}

/** The primary first. */
function keyOrder(keys: readonly GossipKey[], primary: GossipKey | undefined): Uint8Array[] {
  if (primary === undefined) return keys.map(({ key }) => key);
  const isPrimary = ({ key }: GossipKey) => key.every((byte, i) => byte === primary.key[i]);
  return [primary.key, ...keys.filter((key) => !isPrimary(key)).map((key) => key.key)];
}
