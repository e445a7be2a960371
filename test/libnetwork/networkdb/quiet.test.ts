/** What a rest is computed to do to NetworkDB is what it does. */
import { describe, expect, it } from "vitest";
import { HOUR, MINUTE, MS, SEC, type Time } from "../../../src/base/time.ts";
import { type GossipRest, replayGossip } from "../../../src/libnetwork/networkdb/quiet.ts";
import type { Upkeep } from "../../../src/scheduler/quiet.ts";
import type { ScheduledHost } from "../../../src/scheduler/runtime.ts";
import { Cluster, type ClusterNode, text } from "./cluster.ts";

function settled(count: number): Cluster {
  const cluster = new Cluster();
  // Not whole seconds apart: exchanges that begin at the same instant are in no defined order.
  cluster.grow(count, {}, 1037 * MS);
  for (let i = 0; i < count; i++) {
    cluster.joinNetwork("net", i);
    if (i % 2 === 0) cluster.joinNetwork("even", i);
    cluster.network.runFor(SEC);
    cluster.db(i).createEntry("t", "net", `host${i + 1}`, text(`of ${i + 1}`));
  }
  cluster.network.runFor(5 * MINUTE);
  return cluster;
}

function upkeepOf(node: ClusterNode): Upkeep | undefined {
  return (node.host.os as unknown as ScheduledHost).upkeep.find(({ kind }) => kind === "gossip");
}

/** Runs on in small steps until every host is at rest; gives their states. */
function rest(cluster: Cluster): { host: number; state: GossipRest }[] {
  const parts = cluster.nodes.map(upkeepOf);
  for (let i = 0; i < 1000; i++) {
    const unrest = parts.map((part) => part?.unrest());
    if (unrest.every((reason) => reason === undefined))
      return parts.map((part, host) => ({ host, state: part?.state() as GossipRest }));
    cluster.network.runFor(37e6);
  }
  throw new Error(`never at rest: ${parts.map((part) => part?.unrest()).join(", ")}`);
}

describe("a rest of NetworkDB", () => {
  it.each([
    [2, HOUR],
    [3, HOUR],
    [8, HOUR / 2],
    [35, 10 * MINUTE], // more than 32 nodes: push/pulls at half the pace
  ])("of %i nodes is computed as it is run", (count: number, span: Time) => {
    const cluster = settled(count);
    const before = rest(cluster);
    const from = cluster.network.now;
    cluster.network.runFor(span);
    const after = rest(cluster);
    const computed = replayGossip(before, from, cluster.network.now);
    expect(computed).toEqual(after.map(({ state }) => state));
    expect(after[0]?.state.member.seqNo).toBeGreaterThan(before[0]?.state.member.seqNo as number);
    expect(after[0]?.state.tableTime).toBeGreaterThan(before[0]?.state.tableTime as number);
  });

  it("is none while an entry spreads, a deleted one is remembered, or a node is missing", () => {
    const cluster = settled(3);
    const [part] = cluster.nodes.map(upkeepOf);
    rest(cluster);
    cluster.db(0).createEntry("t", "net", "new", text("new"));
    expect(part?.unrest()).toBe("entries wait to be gossiped");
    cluster.network.runFor(MINUTE);
    rest(cluster);
    cluster.db(0).deleteEntry("t", "net", "new");
    cluster.network.runFor(MINUTE);
    expect(part?.unrest()).toBe("deleted entries are remembered");
    cluster.network.runFor(31 * MINUTE);
    rest(cluster);
    cluster.nodes[2]?.host.crash();
    cluster.network.runFor(MINUTE);
    expect(part?.unrest()).toBe("a node has failed");
  });
});
