/**
 * What a rest does to NetworkDB and its memberlist on all hosts (src/scheduler/quiet.ts): the probes, push/pulls and bulk
 * syncs that would have been, without packets. All members are alive, all queues empty, so a probe moves the ring
 * on, and an exchange between two nodes only shows each the other's Lamport clock, which then goes on by one.
 */
import { Random } from "../../base/random.ts";
import type { Time } from "../../base/time.ts";
import { LAN } from "../../memberlist/config.ts";
import type { MemberlistRest } from "../../memberlist/memberlist.ts";
import { pickRandom, pushPullScale } from "../../memberlist/scale.ts";
import type { HostState } from "../../scheduler/quiet.ts";

/** What a rest changes of one node, and what it needs to know of it. */
export interface GossipRest {
  /** Gossip name. */
  readonly name: string;
  readonly member: MemberlistRest;
  /** When its tickers began. */
  readonly started: Time;
  /** Its networks in the order in which it joined them, with the names of their nodes in theirs. */
  readonly networks: readonly { readonly network: string; readonly nodes: readonly string[] }[];
  /** The Lamport clocks. */
  readonly networkTime: number;
  readonly tableTime: number;
  /** Lamport times of the latest event about each active node. */
  readonly nodeTimes: readonly { readonly name: string; readonly time: number }[];
  /** What the partners of bulk syncs are drawn from. */
  readonly syncKey: string;
}

/** A node during the replay. */
interface Node {
  readonly rest: GossipRest;
  ring: string[];
  ringIndex: number;
  seqNo: number;
  pushPullDue: Time;
  networkTime: number;
  tableTime: number;
  readonly nodeTimes: Map<string, number>;
}

/** An exchange that one node begins with another. */
interface Exchange {
  readonly time: Time;
  readonly kind: "push/pull" | "sync";
  readonly from: Node;
  readonly to: Node;
}

/** What the nodes become between two times, the second one included. */
export function replayGossip(states: readonly HostState<GossipRest>[], from: Time, to: Time): GossipRest[] {
  const nodes = states.map(({ state }) => nodeOf(state));
  const byName = new Map(nodes.map((node) => [node.rest.name, node]));
  const exchanges = nodes.flatMap((node) => [...runNode(node, byName, from, to), ...syncsOf(node, byName, from, to)]);
  // Stable: exchanges of one time keep the order of hosts.
  for (const exchange of exchanges.sort((a, b) => a.time - b.time)) {
    if (exchange.kind === "sync") sync(exchange.from, exchange.to);
    else pushPull(exchange.from, exchange.to);
  }
  return nodes.map(restOf);
}

function nodeOf(rest: GossipRest): Node {
  const { ringIndex, seqNo, pushPullDue } = rest.member;
  return {
    rest,
    ring: [...rest.member.ring],
    ringIndex,
    seqNo,
    pushPullDue,
    networkTime: rest.networkTime,
    tableTime: rest.tableTime,
    nodeTimes: new Map(rest.nodeTimes.map(({ name, time }) => [name, time])),
  };
}

function restOf(node: Node): GossipRest {
  const { ring, ringIndex, seqNo, pushPullDue, networkTime, tableTime } = node;
  return {
    ...node.rest,
    member: { ...node.rest.member, ring, ringIndex, seqNo, pushPullDue },
    networkTime,
    tableTime,
    nodeTimes: node.rest.nodeTimes.map(({ name }) => ({ name, time: node.nodeTimes.get(name) ?? 0 })),
  };
}

/** The first tick of a ticker after a time. */
function nextTick(started: Time, interval: Time, after: Time): Time {
  return started + (Math.floor((after - started) / interval) + 1) * interval;
}

/** Probes and push/pulls of a node: both depend on the order of its ring. */
function runNode(node: Node, byName: ReadonlyMap<string, Node>, from: Time, to: Time): Exchange[] {
  const exchanges: Exchange[] = [];
  const { started, shuffleKey, pushPullKey } = node.rest.member;
  const [shuffles, partners] = [new Random(shuffleKey), new Random(pushPullKey)];
  const isPeer = (name: string) => name !== node.rest.name;
  let probe = nextTick(started, LAN.probeInterval, from);
  while (Math.min(probe, node.pushPullDue) <= to) {
    if (probe <= node.pushPullDue) {
      probeNext(node, shuffles, probe);
      probe += LAN.probeInterval;
      continue;
    }
    const time = node.pushPullDue;
    const [partner] = pickRandom(partners.seek(time), 1, node.ring, isPeer);
    const peer = partner === undefined ? undefined : byName.get(partner);
    if (peer !== undefined) exchanges.push({ time, kind: "push/pull", from: node, to: peer });
    node.pushPullDue += pushPullScale(LAN.pushPullInterval, node.ring.length);
  }
  return exchanges;
}

/** Prober.probe() and Members.reshuffle() where everybody is alive. */
function probeNext(node: Node, shuffles: Random, time: Time): void {
  for (let checked = 0; checked < node.ring.length; checked++) {
    if (node.ringIndex >= node.ring.length) {
      node.ring = shuffles.seek(time).shuffle(node.ring);
      node.ringIndex = 0;
    } else if (node.ring[node.ringIndex++] !== node.rest.name) {
      node.seqNo++;
      return;
    }
  }
}

/** The periodic bulk syncs of a node (BulkSyncer.periodic). */
function syncsOf(node: Node, byName: ReadonlyMap<string, Node>, from: Time, to: Time): Exchange[] {
  const exchanges: Exchange[] = [];
  const random = new Random(node.rest.syncKey);
  const isPeer = (name: string) => name !== node.rest.name;
  for (let time = nextTick(node.rest.started, LAN.pushPullInterval, from); time <= to; time += LAN.pushPullInterval) {
    let networks = node.rest.networks;
    for (let turn = 0, own = networks[0]; own !== undefined; own = networks[0]) {
      networks = networks.slice(1);
      if (own.nodes.length === 0) continue;
      const [partner] = pickRandom(random.seek(time + turn++), 1, own.nodes, isPeer);
      const peer = partner === undefined ? undefined : byName.get(partner);
      if (peer === undefined) continue;
      exchanges.push({ time, kind: "sync", from: node, to: peer });
      const theirs = new Set(peer.rest.networks.map(({ network }) => network));
      networks = networks.filter(({ network }) => !theirs.has(network));
    }
  }
  return exchanges;
}

/** LamportClock.witness(). */
function witness(own: number, seen: number): number {
  return seen >= own ? seen + 1 : own;
}

/** The asked node answers with its state before it takes in the other's. */
function pushPull(a: Node, b: Node): void {
  const [shownByA, shownByB] = [a.networkTime, b.networkTime];
  hear(b, a.rest.name, shownByA);
  hear(a, b.rest.name, shownByB);
}

/** A node's state says that it was there at a Lamport time. */
function hear(node: Node, of: string, time: number): void {
  node.networkTime = witness(node.networkTime, time);
  const known = node.nodeTimes.get(of);
  if (known !== undefined && known < time) node.nodeTimes.set(of, time);
}

/** The asked node answers with a sync of its own after it has taken in the other's. */
function sync(a: Node, b: Node): void {
  if (a.tableTime > 0) b.tableTime = witness(b.tableTime, a.tableTime);
  if (b.tableTime > 0) a.tableTime = witness(a.tableTime, b.tableTime);
}
