import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { FOREVER, US } from "../../src/base/time.ts";
import { partitionHosts } from "../../src/scheduler/placement.ts";
import {
  type LeafSpineConfig,
  lookaheadOf,
  type NicSpec,
  oneWayDelay,
  resolveTopology,
  type Topology,
} from "../../src/scheduler/topology.ts";

const FABRIC: LeafSpineConfig = { spines: 2, bandwidth: 40e9, latency: 5 * US, queue: 1000 };

/** A host a NIC. */
function underLeaves(nics: readonly NicSpec[]) {
  return nics.map((nic, i) => ({ name: `h${i}`, nics: [nic] }));
}

function hosts(latencies: readonly number[], segment = "underlay") {
  return latencies.map((latency, i) => ({ name: `h${i}`, nics: [{ latency, segment }] }));
}

describe("topology", () => {
  it("fills in defaults and draws distinct MACs from the seed and the name alone", () => {
    const two = resolveTopology("1", [{ name: "a" }, { name: "b" }]);
    const one = resolveTopology("1", [{ name: "b" }]);
    const [a, b] = two.hosts.map((host) => host.nics[0]);
    expect(a).toMatchObject({
      device: "eth0",
      segment: "underlay",
      mtu: 1500,
      latency: 50 * US,
      bandwidth: 10e9,
      loss: 0,
    });
    expect(a?.mac).not.toBe(b?.mac);
    expect(Math.floor((a?.mac ?? 0) / 2 ** 24)).toBe(0x525400);
    expect(one.hosts[0]?.nics[0]?.mac).toBe(b?.mac);
    expect(resolveTopology("2", [{ name: "b" }]).hosts[0]?.nics[0]?.mac).not.toBe(b?.mac);
  });

  it("refuses nonsense with the place of it", () => {
    expect(() => resolveTopology("1", [{ name: "a" }, { name: "a" }])).toThrow(UserError);
    expect(() => resolveTopology("1", [{ name: "a", nics: [{ loss: 2 }] }])).toThrow(/host a, eth0: loss/);
    expect(() => resolveTopology("1", [{ name: "a", nics: [{ mac: 5 }, { mac: 5 }] }])).toThrow(/taken/);
  });

  it("takes the larger of two latencies as the delay", () => {
    const topology = resolveTopology("1", [...hosts([50, 200]), { name: "c", nics: [{ segment: "elsewhere" }] }]);
    const [a, b, c] = topology.hosts;
    expect(oneWayDelay(a!, b!, topology)).toBe(200);
    expect(oneWayDelay(a!, c!, topology)).toBe(FOREVER);
  });

  it("adds up the way from leaf to leaf, and takes the larger latency below one leaf", () => {
    const nics = [
      { latency: 50, leaf: 0 },
      { latency: 200, leaf: 0 },
      { latency: 70, leaf: 3 },
    ];
    const topology = resolveTopology("1", underLeaves(nics), { underlay: { ...FABRIC, latency: 5 } });
    const [a, b, c] = topology.hosts;
    expect(oneWayDelay(a!, b!, topology)).toBe(200);
    expect(oneWayDelay(a!, c!, topology)).toBe(130);
    expect(oneWayDelay(c!, b!, topology)).toBe(280);
  });

  it("refuses a fabric that cannot be", () => {
    const make = (fabric: Partial<LeafSpineConfig>, nic: NicSpec = {}): Topology =>
      resolveTopology("1", underLeaves([nic]), { underlay: { ...FABRIC, ...fabric } });
    expect(() => make({ spines: 65 })).toThrow(/segment underlay: spines must be a number from 1 to 64/);
    expect(() => make({ bandwidth: 0 })).toThrow(/bandwidth of its links/);
    expect(() => make({ latency: -1 })).toThrow(/latency of its links/);
    expect(() => make({ queue: 0 })).toThrow(/queue of a link/);
    expect(() => make({}, { leaf: 1.5 })).toThrow(/host h0, eth0: leaf must be a number/);
    expect(() => make({}, { latency: 2e9 })).toThrow(/host h0, eth0: latency below a leaf/);
  });

  it("keeps the hosts of a leaf in one worker", () => {
    const nics = [0, 1, 0, 1, 2, 3].map((leaf) => ({ leaf }));
    const owner = partitionHosts(resolveTopology("1", underLeaves(nics), { underlay: FABRIC }), 4);
    expect(owner[0]).toBe(owner[2]);
    expect(owner[1]).toBe(owner[3]);
    expect(new Set(owner).size).toBe(4);
  });

  it("splits hosts evenly, in order", () => {
    expect(partitionHosts(resolveTopology("1", hosts([9, 9, 9, 9, 9, 9])), 3)).toEqual([0, 0, 1, 1, 2, 2]);
    expect(partitionHosts(resolveTopology("1", hosts([9, 9])), 4)).toEqual([0, 2]);
  });

  it("keeps hosts without delay together", () => {
    const owner = partitionHosts(resolveTopology("1", hosts([0, 9, 0, 9])), 4);
    expect(owner[0]).toBe(owner[2]);
    expect(new Set(owner).size).toBe(3);
  });

  it("finds the lookahead that trying all pairs finds, and it is never 0", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ latency: fc.nat(5), segment: fc.constantFrom("x", "y", "z"), leaf: fc.nat(3) }), {
          minLength: 1,
          maxLength: 9,
        }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(2),
        (nics, workers, latency) => {
          const topology = resolveTopology(
            "1",
            nics.map((nic, i) => ({ name: `h${i}`, nics: [nic] })),
            { z: { ...FABRIC, latency } },
          );
          const owner = partitionHosts(topology, workers);
          let least = FOREVER;
          topology.hosts.forEach((a, i) => {
            topology.hosts.forEach((b, j) => {
              if (owner[i] !== owner[j]) least = Math.min(least, oneWayDelay(a, b, topology));
            });
          });
          expect(lookaheadOf(topology, owner)).toBe(least);
          expect(least).toBeGreaterThan(0);
        },
      ),
    );
  });
});
