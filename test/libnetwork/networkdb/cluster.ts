/** Clusters of NetworkDB nodes on the in-memory network. */

import { SEC } from "../../../src/base/time.ts";
import {
  createNetworkDb,
  type NetworkDbNode,
  type NetworkDbOptions,
} from "../../../src/libnetwork/networkdb/networkdb.ts";
import type { GossipKey } from "../../../src/libnetwork/networkdb-types.ts";
import { type FakeHost, FakeNetwork, type FakeNetworkOptions, fakeIp } from "../../support/fake-host.ts";

export const KEYS: GossipKey[] = [1, 2, 3].map((tag) => ({ key: new Uint8Array(16).fill(tag), tag }));

export interface ClusterNode {
  readonly host: FakeHost;
  db: NetworkDbNode;
}

export class Cluster {
  readonly network: FakeNetwork;
  readonly nodes: ClusterNode[] = [];
  readonly log: string[] = [];

  constructor(options: FakeNetworkOptions = {}) {
    this.network = new FakeNetwork(options);
  }

  /** Adds hosts that join through the first one, `gap` apart. */
  grow(count: number, options: Partial<NetworkDbOptions> = {}, gap = SEC): void {
    for (let i = 0; i < count; i++) {
      const index = this.nodes.length;
      const host = this.network.addHost(`host${index + 1}`, fakeIp(index));
      this.nodes.push({ host, db: this.start(host, options) });
      if (index > 0) this.join(index);
      this.network.runFor(gap);
    }
  }

  start(host: FakeHost, options: Partial<NetworkDbOptions> = {}): NetworkDbNode {
    return createNetworkDb({
      os: host.os,
      advertiseAddress: host.ip,
      keys: KEYS,
      primary: KEYS[0] as GossipKey,
      log: (level, text) => this.log.push(`${this.network.now / SEC} ${host.name} ${level} ${text}`),
      ...options,
    });
  }

  join(index: number): void {
    const { host, db } = this.node(index);
    const manager = this.node(0).host.ip;
    host.os.spawn(
      "join",
      (function* () {
        yield* db.join([manager]);
      })(),
    );
  }

  joinNetwork(networkId: string, ...indices: number[]): void {
    for (const index of indices) {
      const { host, db } = this.node(index);
      host.os.spawn("join network", db.joinNetwork(networkId));
    }
  }

  node(index: number): ClusterNode {
    return this.nodes[index] as ClusterNode;
  }

  db(index: number): NetworkDbNode {
    return this.node(index).db;
  }

  /** Names of hosts that a node sees in the cluster. */
  sees(index: number): string[] {
    return this.hostNames(
      this.db(index)
        .clusterPeers()
        .map((peer) => peer.ip),
    );
  }

  peers(index: number, networkId: string): string[] {
    return this.hostNames(
      this.db(index)
        .networkPeers(networkId)
        .map((peer) => peer.ip),
    );
  }

  keys(index: number, networkId: string): string[] {
    return this.db(index)
      .entries("t", networkId)
      .map((entry) => entry.key);
  }

  /** Whether all nodes see each other. */
  complete(): boolean {
    return this.nodes.every(({ db }) => db.clusterPeers().length === this.nodes.length);
  }

  hostNames(ips: readonly number[]): string[] {
    return ips.map((ip) => this.network.hostAt(ip)?.name ?? "?").sort();
  }
}

export const text = (value: string) => new TextEncoder().encode(value);
