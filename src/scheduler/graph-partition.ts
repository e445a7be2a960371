/**
 * Cuts a weighted graph into parts of given shares so that little weight lies between them: multilevel recursive
 * bisection as METIS does it (Karypis and Kumar, "A Fast and High Quality Multilevel Scheme for Partitioning Irregular
 * Graphs", SIAM J. Sci. Comput. 20(1), 1998): heavy-edge matching makes the graph small, greedy growing from several
 * nodes cuts the small one, and on the way back each level is refined (Fiduccia and Mattheyses, graph-refine.ts). Deterministic:
 * ties go to the lower index. The result is never worse than blocks in the order of the nodes.
 */
import { assert } from "../base/errors.ts";
import { type Cut, cutOf, type Graph, refine, type Sides } from "./graph-refine.ts";

/** An edge as given: its ends by index, and its weight, more than 0. Several between two nodes count together. */
export type Edge = readonly [a: number, b: number, weight: number];

/** A side may weigh more or less by this share of the smaller one, or by as much as blocks do where that is more. */
const TOLERANCE = 0.02;
/** A graph of so many nodes is cut as it is. */
const SMALL = 100;
/** Greedy growing starts at so many nodes. */
const STARTS = 16;

/** Makes a graph. Edges from a node to itself don't matter. */
export function graphOf(weights: ArrayLike<number>, edges: Iterable<Edge>): Graph {
  const n = weights.length;
  const sums = new Map<number, number>();
  for (const [a, b, weight] of edges) {
    assert(a >= 0 && a < n && b >= 0 && b < n && weight > 0, "an edge of the graph", a, b, weight);
    if (a === b) continue;
    const key = Math.min(a, b) * n + Math.max(a, b);
    sums.set(key, (sums.get(key) ?? 0) + weight);
  }
  const keys = Float64Array.from(sums.keys()).sort();
  const offsets = new Int32Array(n + 1);
  for (const key of keys) {
    for (const end of [Math.floor(key / n), key % n]) offsets[end + 1] = (offsets[end + 1] as number) + 1;
  }
  for (let i = 0; i < n; i++) offsets[i + 1] = (offsets[i + 1] as number) + (offsets[i] as number);
  const next = offsets.slice();
  const targets = new Int32Array(2 * keys.length);
  const edgeWeights = new Float64Array(2 * keys.length);
  for (const key of keys) {
    const [a, b] = [Math.floor(key / n), key % n];
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const at = next[from] as number;
      next[from] = at + 1;
      targets[at] = to;
      edgeWeights[at] = sums.get(key) as number;
    }
  }
  return { weights: Float64Array.from(weights), offsets, targets, edgeWeights };
}

/** Which part each node is in: `parts` of equal share, as nearly as the nodes' weights and TOLERANCE have it. */
export function partitionGraph(graph: Graph, parts: number): Int32Array {
  const owner = new Int32Array(graph.weights.length);
  divide(
    graph,
    owner.map((_, i) => i),
    parts,
    0,
    owner,
  );
  return owner;
}

/** Gives the nodes of a part of the graph to the owners from `first` on. */
function divide(graph: Graph, nodes: Int32Array, parts: number, first: number, owner: Int32Array): void {
  if (parts === 1 || nodes.length === 0) {
    for (const node of nodes) owner[node] = first;
    return;
  }
  const half = parts >> 1;
  const sides = bisect(graph, half / parts);
  for (const [side, count, start] of [
    [0, half, first],
    [1, parts - half, first + half],
  ] as const) {
    const kept = nodes.map((_, i) => i).filter((i) => sides[i] === side);
    divide(
      induced(graph, kept),
      Int32Array.from(kept, (i) => nodes[i] as number),
      count,
      start,
      owner,
    );
  }
}

/** The part of a graph between some of its nodes. */
function induced(graph: Graph, kept: Int32Array): Graph {
  const number = new Int32Array(graph.weights.length).fill(-1);
  kept.forEach((node, i) => {
    number[node] = i;
  });
  const offsets = new Int32Array(kept.length + 1);
  const targets: number[] = [];
  const edgeWeights: number[] = [];
  kept.forEach((node, i) => {
    for (let e = graph.offsets[node] as number; e < (graph.offsets[node + 1] as number); e++) {
      const to = number[graph.targets[e] as number] as number;
      if (to < 0) continue;
      targets.push(to);
      edgeWeights.push(graph.edgeWeights[e] as number);
    }
    offsets[i + 1] = targets.length;
  });
  const weights = Float64Array.from(kept, (node) => graph.weights[node] as number);
  return { weights, offsets, targets: Int32Array.from(targets), edgeWeights: Float64Array.from(edgeWeights) };
}

/** Cuts a graph in two, side 0 with a share of the weight. */
function bisect(graph: Graph, share: number): Sides {
  const total = graph.weights.reduce((sum, weight) => sum + weight, 0);
  const target = total * share;
  const inBlocks = blocks(graph, target);
  const blocksAway = Math.abs(cutOf(graph, inBlocks).weight - target);
  const tolerance = Math.max(TOLERANCE * Math.min(target, total - target), blocksAway);
  const candidates = [inBlocks, multilevel(graph, target, tolerance)];
  return best(graph, target, tolerance, candidates);
}

/** Refines all candidates and takes the one with the least cut of those that are near enough to the target. */
function best(graph: Graph, target: number, tolerance: number, candidates: readonly Sides[]): Sides {
  let found: { readonly sides: Sides; readonly cut: Cut } | undefined;
  for (const sides of candidates) {
    const cut = refine(graph, sides, target, tolerance);
    if (found === undefined || better(cut, found.cut, target, tolerance)) found = { sides, cut };
  }
  return (found as { sides: Sides }).sides;
}

function better(a: Cut, b: Cut, target: number, tolerance: number): boolean {
  const [awayA, awayB] = [Math.abs(a.weight - target), Math.abs(b.weight - target)];
  const [fitsA, fitsB] = [awayA <= tolerance, awayB <= tolerance];
  if (fitsA !== fitsB) return fitsA;
  if (!fitsA) return awayA < awayB;
  return a.cut < b.cut || (a.cut === b.cut && awayA < awayB);
}

/** The first nodes in order on side 0, so many that it is nearest to its share. */
function blocks(graph: Graph, target: number): Sides {
  const sides = new Uint8Array(graph.weights.length).fill(1);
  let weight = 0;
  for (const [i, w] of graph.weights.entries()) {
    if (weight + w / 2 > target) break;
    sides[i] = 0;
    weight += w;
  }
  return sides;
}

function multilevel(graph: Graph, target: number, tolerance: number): Sides {
  const n = graph.weights.length;
  const coarse = n > SMALL ? coarsen(graph, Math.max(tolerance, target / 20)) : undefined;
  if (coarse === undefined) {
    const count = Math.min(STARTS, n);
    const starts = Array.from({ length: count }, (_, i) => Math.floor((i * n) / count));
    const grown = starts.map((start) => grow(graph, start, target));
    return n === 0 ? new Uint8Array(0) : best(graph, target, tolerance, grown);
  }
  const above = multilevel(coarse.graph, target, tolerance);
  const sides = Uint8Array.from(coarse.parent, (parent) => above[parent] as number);
  refine(graph, sides, target, tolerance);
  return sides;
}

/**
 * The graph with pairs of nodes made one, each with the neighbour to which it has the heaviest edge.
 * @param heaviest a node that weighs more is not made
 * @returns undefined when that doesn't make it much smaller
 */
function coarsen(graph: Graph, heaviest: number): { readonly graph: Graph; readonly parent: Int32Array } | undefined {
  const n = graph.weights.length;
  const parent = new Int32Array(n).fill(-1);
  let count = 0;
  for (let i = 0; i < n; i++) {
    if ((parent[i] as number) >= 0) continue;
    let mate = -1;
    let most = 0;
    for (let e = graph.offsets[i] as number; e < (graph.offsets[i + 1] as number); e++) {
      const to = graph.targets[e] as number;
      const weight = graph.edgeWeights[e] as number;
      if ((parent[to] as number) >= 0 || weight <= most) continue;
      if ((graph.weights[i] as number) + (graph.weights[to] as number) > heaviest) continue;
      mate = to;
      most = weight;
    }
    parent[i] = count;
    if (mate >= 0) parent[mate] = count;
    count++;
  }
  if (count > 0.9 * n) return undefined;
  const weights = new Float64Array(count);
  for (let i = 0; i < n; i++)
    weights[parent[i] as number] = (weights[parent[i] as number] as number) + (graph.weights[i] as number);
  return { graph: graphOf(weights, edgesBetween(graph, parent)), parent };
}

function* edgesBetween(graph: Graph, parent: Int32Array): Generator<Edge> {
  for (let i = 0; i < parent.length; i++) {
    for (let e = graph.offsets[i] as number; e < (graph.offsets[i + 1] as number); e++) {
      const to = graph.targets[e] as number;
      if (i < to) yield [parent[i] as number, parent[to] as number, graph.edgeWeights[e] as number];
    }
  }
}

/**
 * Side 0 grown from a node: always the node next to it that adds the least to the cut, until it has its share. Where nothing
 * is next to it, it goes on with the first node that is left.
 */
function grow(graph: Graph, start: number, target: number): Sides {
  const n = graph.weights.length;
  const sides = new Uint8Array(n).fill(1);
  const inside = new Float64Array(n); // weight of a node's edges to side 0
  const total = Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let e = graph.offsets[i] as number; e < (graph.offsets[i + 1] as number); e++)
      sum += graph.edgeWeights[e] as number;
    return sum;
  });
  let weight = 0;
  for (let next = start; next >= 0; ) {
    if (weight + (graph.weights[next] as number) / 2 > target) break;
    sides[next] = 0;
    weight += graph.weights[next] as number;
    for (let e = graph.offsets[next] as number; e < (graph.offsets[next + 1] as number); e++) {
      const to = graph.targets[e] as number;
      inside[to] = (inside[to] as number) + (graph.edgeWeights[e] as number);
    }
    next = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < n; i++) {
      if (sides[i] === 0) continue;
      const near = inside[i] as number;
      const adds = near > 0 ? (total[i] as number) - 2 * near : Number.MAX_VALUE;
      if (adds >= least) continue;
      next = i;
      least = adds;
    }
  }
  return sides;
}
