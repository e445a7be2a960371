/**
 * NetworkDB without gossip: the nodes of one cluster share their tables through a FakeCluster, which hands each
 * change to the other nodes of the network at once. The contract is src/libnetwork/networkdb-types.ts.
 */
import { assert } from "../../src/base/errors.ts";
import type { NetworkDbConfig } from "../../src/libnetwork/agent.ts";
import type {
  GossipCensus,
  GossipPeer,
  GossipView,
  NetworkDb,
  TableNote,
} from "../../src/libnetwork/networkdb-types.ts";
import { Channel, type Proc } from "../../src/scheduler/process.ts";

interface Entry {
  readonly table: string;
  readonly networkId: string;
  readonly key: string;
  value: Uint8Array;
  readonly owner: string;
}

/** What the nodes of one cluster know together. */
export class FakeCluster {
  readonly nodes: FakeNetworkDb[] = [];
  readonly entries: Entry[] = [];

  create = (config: NetworkDbConfig): FakeNetworkDb => {
    const node = new FakeNetworkDb(this, config);
    this.nodes.push(node);
    return node;
  };

  find(table: string, networkId: string, key: string): Entry | undefined {
    return this.entries.find((e) => e.table === table && e.networkId === networkId && e.key === key);
  }

  tell(type: TableNote["type"], entry: Entry): void {
    for (const node of this.nodes) if (node.nodeName !== entry.owner) node.notice(type, entry);
  }
}

export class FakeNetworkDb implements NetworkDb {
  readonly nodeName: string;
  readonly config: NetworkDbConfig;
  readonly joined: string[] = [];
  /** The gossip keys, the one that encrypts first. */
  readonly ring: Uint8Array[];
  closed = false;
  readonly #cluster: FakeCluster;
  readonly #watches: { channel: Channel<TableNote>; table: string; networkId: string }[] = [];

  constructor(cluster: FakeCluster, config: NetworkDbConfig) {
    this.#cluster = cluster;
    this.config = config;
    this.ring = config.keys.map(({ key }) => key);
    if (config.primary !== undefined) this.setPrimaryKey(config.primary.key);
    this.nodeName = config.os.random.fork("gossip").hex(12);
  }

  networkSize(networkId: string): number {
    return this.networkPeers(networkId).length;
  }

  get view(): GossipView {
    const entries = this.#cluster.entries.map(({ owner: node, ...entry }) => {
      return { ...entry, node, lTime: 1, deleting: false, reapTime: 0 };
    });
    return { members: () => [], nodes: () => [], attachments: () => [], entries: () => entries };
  }

  *join(): Proc<number> {
    yield { until: this.config.os.now() };
    return 1;
  }

  *joinNetwork(networkId: string): Proc<void> {
    yield { until: this.config.os.now() + 1000 };
    this.joined.push(networkId);
  }

  leaveNetwork(networkId: string): void {
    this.joined.splice(this.joined.indexOf(networkId), 1);
    const own = this.#cluster.entries.filter((e) => e.owner === this.nodeName && e.networkId === networkId);
    for (const entry of own) this.#drop(entry);
  }

  createEntry(table: string, networkId: string, key: string, value: Uint8Array): void {
    assert(this.#cluster.find(table, networkId, key) === undefined, "entry exists", table, key);
    const entry = { table, networkId, key, value, owner: this.nodeName };
    this.#cluster.entries.push(entry);
    this.#cluster.tell("create", entry);
  }

  updateEntry(table: string, networkId: string, key: string, value: Uint8Array): void {
    const entry = this.#own(table, networkId, key);
    entry.value = value;
    this.#cluster.tell("update", entry);
  }

  deleteEntry(table: string, networkId: string, key: string): void {
    this.#drop(this.#own(table, networkId, key));
  }

  #own(table: string, networkId: string, key: string): Entry {
    const entry = this.#cluster.find(table, networkId, key);
    assert(entry !== undefined && entry.owner === this.nodeName, "no own entry", table, key);
    return entry;
  }

  #drop(entry: Entry): void {
    this.#cluster.entries.splice(this.#cluster.entries.indexOf(entry), 1);
    this.#cluster.tell("delete", entry);
  }

  #visible(networkId: string): Entry[] {
    return this.joined.includes(networkId) ? this.#cluster.entries.filter((e) => e.networkId === networkId) : [];
  }

  getEntry(table: string, networkId: string, key: string): Uint8Array | undefined {
    return this.#visible(networkId).find((e) => e.table === table && e.key === key)?.value;
  }

  entries(table: string, networkId: string): readonly { key: string; value: Uint8Array; owner: string }[] {
    return this.#visible(networkId)
      .filter((e) => e.table === table)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Watches open, for tests of leaks. */
  get watching(): number {
    return this.#watches.length;
  }

  notice(type: TableNote["type"], entry: Entry): void {
    const { table, networkId, key, value, owner } = entry;
    for (const watch of this.#watches) {
      if (watch.table === table && watch.networkId === networkId)
        watch.channel.push({ type, table, networkId, key, value, owner });
    }
  }

  watch(table: string, networkId: string): Channel<TableNote> {
    const channel = new Channel<TableNote>();
    this.#watches.push({ channel, table, networkId });
    for (const e of this.#visible(networkId)) {
      if (e.table === table && e.owner !== this.nodeName) channel.push({ type: "create", ...e });
    }
    return channel;
  }

  unwatch(channel: Channel<TableNote>): void {
    this.#watches.splice(
      this.#watches.findIndex((w) => w.channel === channel),
      1,
    );
    channel.close();
  }

  networkPeers(networkId: string): readonly GossipPeer[] {
    return this.#cluster.nodes
      .filter((n) => n.joined.includes(networkId))
      .map((n) => ({ name: n.nodeName, ip: n.config.advertiseAddress }));
  }

  census(networkId: string): GossipCensus {
    const members = this.clusterPeers().length;
    return { members, nodes: members, networkNodes: this.networkPeers(networkId).length };
  }

  clusterPeers(): readonly GossipPeer[] {
    return this.#cluster.nodes.map((n) => ({ name: n.nodeName, ip: n.config.advertiseAddress }));
  }

  #is(key: Uint8Array): (other: Uint8Array) => boolean {
    return (other) => other.every((byte, i) => byte === key[i]);
  }

  setKey(key: Uint8Array): void {
    if (!this.ring.some(this.#is(key))) this.ring.push(key);
  }

  setPrimaryKey(key: Uint8Array): void {
    const at = this.ring.findIndex(this.#is(key));
    if (at > 0) this.ring.unshift(...this.ring.splice(at, 1));
  }

  removeKey(key: Uint8Array): void {
    const at = this.ring.findIndex(this.#is(key));
    if (at > 0) this.ring.splice(at, 1);
  }

  *leave(): Proc<void> {
    for (const id of [...this.joined]) this.leaveNetwork(id);
    this.close();
    yield { until: this.config.os.now() };
  }

  close(): void {
    this.closed = true;
    const at = this.#cluster.nodes.indexOf(this);
    if (at >= 0) this.#cluster.nodes.splice(at, 1);
  }
}
