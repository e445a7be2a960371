import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { type Edge, graphOf, partitionGraph } from "../../src/scheduler/graph-partition.ts";

/** Weight of the edges between parts. */
function cutWeight(edges: readonly Edge[], owner: ArrayLike<number>): number {
  return edges.reduce((sum, [a, b, weight]) => sum + (owner[a] === owner[b] ? 0 : weight), 0);
}

function partWeights(weights: readonly number[], owner: ArrayLike<number>, parts: number): number[] {
  const sums = new Array<number>(parts).fill(0);
  weights.forEach((weight, i) => {
    sums[owner[i] as number] = (sums[owner[i] as number] as number) + weight;
  });
  return sums;
}

function blocksOf(n: number, parts: number): number[] {
  return Array.from({ length: n }, (_, i) => Math.floor((i * parts) / n));
}

/** The least cut into two halves of the same number of nodes, by trying all. */
function leastCut(n: number, edges: readonly Edge[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (let mask = 0; mask < 2 ** n; mask++) {
    const owner = Array.from({ length: n }, (_, i) => (mask >> i) & 1);
    if (owner.reduce((sum, side) => sum + side, 0) !== n / 2) continue;
    least = Math.min(least, cutWeight(edges, owner));
  }
  return least;
}

const smallGraphs = fc.integer({ min: 2, max: 5 }).chain((half) =>
  fc.record({
    n: fc.constant(2 * half),
    edges: fc.array(
      fc.tuple(fc.nat(2 * half - 1), fc.nat(2 * half - 1), fc.integer({ min: 1, max: 9 })).filter(([a, b]) => a !== b),
      { maxLength: 25 },
    ),
  }),
);

/** Groups of hosts that talk among each other, their members spread over the whole lab, and some talk between groups. */
function clustered(hosts: number, groups: number, edges: number, seed: string): Edge[] {
  const random = new Random(seed);
  return Array.from({ length: edges }, (_, i) => {
    const a = random.below(hosts);
    const mate = (a % groups) + groups * random.below(Math.floor(hosts / groups));
    return [a, i % 20 === 0 ? random.below(hosts) : mate, 1 + random.below(5)] as const;
  });
}

describe("partition of a graph", () => {
  it("finds the least cut of small graphs, nearly always, and is never far from it", () => {
    const graphs = fc.sample(smallGraphs, { numRuns: 300, seed: 1 });
    let [optimal, cuts, leasts] = [0, 0, 0];
    for (const { n, edges } of graphs) {
      const owner = partitionGraph(graphOf(new Array<number>(n).fill(1), edges), 2);
      expect(partWeights(new Array<number>(n).fill(1), owner, 2)).toEqual([n / 2, n / 2]);
      const [cut, least] = [cutWeight(edges, owner), leastCut(n, edges)];
      expect(cut).toBeGreaterThanOrEqual(least);
      cuts += cut;
      leasts += least;
      if (cut === least) optimal++;
    }
    expect(optimal).toBeGreaterThanOrEqual(0.97 * graphs.length);
    expect(cuts).toBeLessThanOrEqual(1.01 * leasts);
  });

  it("is never worse than blocks, and not less equal than they are or by 2%", () => {
    const graphs = fc.integer({ min: 1, max: 60 }).chain((n) =>
      fc.record({
        weights: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: n, maxLength: n }),
        edges: fc.array(fc.tuple(fc.nat(n - 1), fc.nat(n - 1), fc.double({ min: 0.1, max: 9, noNaN: true }))),
      }),
    );
    fc.assert(
      fc.property(graphs, ({ weights, edges }) => {
        const owner = partitionGraph(graphOf(weights, edges), 2);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const away = Math.abs((partWeights(weights, owner, 2)[0] as number) - total / 2);
        expect(away).toBeLessThanOrEqual(Math.max(...weights) / 2 + 0.02 * total);
        let placed = 0;
        const blocks = weights.map((weight) => {
          placed += weight;
          return placed - weight / 2 > total / 2 ? 1 : 0;
        });
        expect(cutWeight(edges, owner)).toBeLessThanOrEqual(cutWeight(edges, blocks) + 1e-6);
      }),
      { numRuns: 200 },
    );
  });

  it.each([2, 3, 4, 8])("finds the groups of a lab in which they are mixed, for %i workers", (parts) => {
    const [hosts, groups] = [960, 48];
    const edges = clustered(hosts, groups, 9600, "groups");
    const weights = new Array<number>(hosts).fill(1);
    const owner = partitionGraph(graphOf(weights, edges), parts);
    const sums = partWeights(weights, owner, parts);
    for (const sum of sums) expect(Math.abs(sum - hosts / parts)).toBeLessThanOrEqual((0.06 * hosts) / parts);
    // What is left is the talk between groups, and what the edge of a part cuts of a group.
    const between = edges.filter(([a, b]) => a % groups !== b % groups);
    expect(cutWeight(edges, owner)).toBeLessThan(2 * cutWeight(between, between.length > 0 ? owner : []) + 600);
    expect(cutWeight(edges, owner)).toBeLessThan(0.2 * cutWeight(edges, blocksOf(hosts, parts)));
  });

  it("cuts a grid along a line", () => {
    const side = 40;
    const edges: Edge[] = [];
    for (let i = 0; i < side * side; i++) {
      if (i % side < side - 1) edges.push([i, i + 1, 1]);
      if (i + side < side * side) edges.push([i, i + side, 1]);
    }
    // Numbered so that blocks are no help.
    const shuffled = new Random("grid").shuffle(Array.from({ length: side * side }, (_, i) => i));
    const mixed = edges.map(([a, b, w]): Edge => [shuffled[a] as number, shuffled[b] as number, w]);
    const owner = partitionGraph(graphOf(new Array<number>(side * side).fill(1), mixed), 2);
    expect(cutWeight(mixed, owner)).toBeLessThanOrEqual(1.25 * side);
  });

  it("gives parts that have nobody where there are fewer nodes, and copes with nothing", () => {
    expect([...partitionGraph(graphOf([1], []), 4)]).toHaveLength(1);
    expect([...partitionGraph(graphOf([], []), 2)]).toEqual([]);
    expect([...partitionGraph(graphOf([1, 1, 1], [[0, 2, 1]]), 1)]).toEqual([0, 0, 0]);
  });

  it("takes 10,000 hosts with 100,000 affinities in steps that don't grow with their square", () => {
    const edges = clustered(10_000, 500, 100_000, "large");
    const weights = new Array<number>(10_000).fill(1);
    const owner = partitionGraph(graphOf(weights, edges), 2);
    expect([...partitionGraph(graphOf(weights, edges), 2)]).toEqual([...owner]);
    expect(cutWeight(edges, owner)).toBeLessThan(0.1 * cutWeight(edges, blocksOf(10_000, 2)));
  });
});
