import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { type Affinity, partitionHosts } from "../../src/scheduler/placement.ts";
import { type HostSpec, resolveTopology } from "../../src/scheduler/topology.ts";

function hosts(weights: readonly number[], more: (i: number) => Partial<HostSpec> = () => ({})): HostSpec[] {
  return weights.map((weight, i) => ({ name: `h${i}`, weight, ...more(i) }));
}

describe("placement of hosts", () => {
  it("gives workers blocks of equal weight where nothing is known", () => {
    expect(partitionHosts(resolveTopology("1", hosts([1, 1, 1, 1])), 2)).toEqual([0, 0, 1, 1]);
    expect(partitionHosts(resolveTopology("1", hosts([3, 1, 1, 1])), 2)).toEqual([0, 1, 1, 1]);
    expect(partitionHosts(resolveTopology("1", hosts([1, 1, 1, 9])), 2)).toEqual([0, 0, 0, 0].map(() => 0));
  });

  it("puts together who talks to whom", () => {
    const pairs: Affinity[] = [
      [0, 5, 1],
      [1, 4, 1],
      [2, 3, 1],
      [0, 4, 1],
      [1, 5, 2],
    ];
    const owner = partitionHosts(resolveTopology("1", hosts([1, 1, 1, 1, 1, 1])), 2, pairs);
    expect(owner[2]).toBe(owner[3]);
    expect(owner.filter((worker) => worker === 0)).toHaveLength(3);
    const cut = pairs.reduce((sum, [a, b, weight]) => sum + (owner[a] === owner[b] ? 0 : weight), 0);
    expect(cut).toBe(2);
  });

  it("leaves a leaf whole, whoever its hosts talk to", () => {
    const fabric = { spines: 2, bandwidth: 1e10, latency: 5000, queue: 100 };
    const specs = hosts([1, 1, 1, 1, 1, 1, 1, 1], (i) => ({ nics: [{ leaf: i >> 1 }] }));
    const topology = resolveTopology("1", specs, { underlay: fabric });
    const pairs: Affinity[] = [0, 1, 2, 3].map((i) => [i, 4 + i, 10]);
    const owner = partitionHosts(topology, 2, pairs);
    for (const leaf of [0, 2, 4, 6]) expect(owner[leaf]).toBe(owner[leaf + 1]);
    expect(owner[0]).toBe(owner[4]);
    expect(owner[2]).toBe(owner[6]);
    expect(owner[0]).not.toBe(owner[2]);
  });

  it("goes by the weights", () => {
    const pairs: Affinity[] = [
      [0, 1, 1],
      [1, 2, 1],
      [2, 3, 1],
    ];
    const owner = partitionHosts(resolveTopology("1", hosts([6, 2, 2, 2])), 2, pairs);
    expect(owner[1]).toBe(owner[2]);
    expect(owner[2]).toBe(owner[3]);
    expect(owner[0]).not.toBe(owner[1]);
  });

  it("refuses affinities and weights that make no sense", () => {
    const topology = resolveTopology("1", hosts([1, 1]));
    expect(() => partitionHosts(topology, 2, [[0, 2, 1]])).toThrow(UserError);
    expect(() => partitionHosts(topology, 2, [[0, 1, 0]])).toThrow(/hosts 0 and 1: the weight/);
    expect(() => resolveTopology("1", hosts([0]))).toThrow(/host h0: weight must be more than 0/);
    expect(() => resolveTopology("1", hosts([Number.NaN]))).toThrow(/weight/);
  });
});
