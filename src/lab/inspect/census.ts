/** How far gossip has got on a host, in a few numbers: cheap enough to ask a thousand hosts often. */
import type { Inspected } from "./inspect.ts";

/** What a host knows of an overlay network that it takes part in. */
export interface NetworkCensus {
  readonly id: string;
  readonly name: string;
  /** Of its first subnet. */
  readonly vni: number;
  /** Nodes that take part in it, by NetworkDB; this one included. */
  readonly nodes: number;
  /** Its own endpoints that have joined, and others' in the overlay driver's peer database. */
  readonly local: number;
  readonly remote: number;
}

/** What a host knows of its swarm. */
export interface HostCensus {
  /** Members of memberlist that are neither dead nor gone, this one included. */
  readonly members: number;
  /** Active nodes of NetworkDB. */
  readonly nodes: number;
  readonly networks: readonly NetworkCensus[];
}

/** @returns undefined while the host takes part in no gossip */
export function census({ engine }: Inspected): HostCensus | undefined {
  const controller = engine?.controller;
  const db = controller?.agent?.db;
  if (controller === undefined || db === undefined) return undefined;
  const networks = controller.networks().flatMap(({ id, name }): NetworkCensus[] => {
    const overlay = controller.overlay.network(id);
    if (overlay === undefined) return [];
    const nodes = db.networkSize(id);
    const remote = controller.overlay.peers.remoteCount(id);
    return [{ id, name, vni: overlay.subnets[0]?.vni ?? 0, nodes, local: overlay.joinCount, remote }];
  });
  const { members, nodes } = db.census("");
  return { members, nodes, networks };
}
