/**
 * Refines a cut of a graph in two (Fiduccia and Mattheyses, "A Linear-Time Heuristic for Improving Network Partitions", DAC
 * 1982): nodes change sides one after the other, each once, the one with the largest gain first, even where that is a
 * loss; then everything after the best moment is taken back. Again as long as it helps. Gains are real numbers here, so a
 * heap takes the place of their buckets.
 */

/** A weighted graph: neighbours of node i stand at offsets[i] … offsets[i + 1]. Each edge stands there twice. */
export interface Graph {
  readonly weights: Float64Array;
  readonly offsets: Int32Array;
  readonly targets: Int32Array;
  readonly edgeWeights: Float64Array;
}

/** 0 or 1, for each node. */
export type Sides = Uint8Array;

/** A cut's weight, and what side 0 weighs. */
export interface Cut {
  readonly cut: number;
  readonly weight: number;
}

/** Times that all nodes may move, at most. */
const PASSES = 8;
/** A pass ends after so many moves that led to nothing better. */
const PATIENCE = 100;

/** In a graph of so many nodes all of them may move, not only those at the cut. */
const FEW = 200;

/** What a cut comes to. */
export function cutOf(graph: Graph, sides: Sides): Cut {
  let [cut, weight] = [0, 0];
  for (let i = 0; i < sides.length; i++) {
    if (sides[i] === 0) weight += graph.weights[i] as number;
    for (let e = graph.offsets[i] as number; e < (graph.offsets[i + 1] as number); e++)
      if (sides[graph.targets[e] as number] !== sides[i]) cut += (graph.edgeWeights[e] as number) / 2;
  }
  return { cut, weight };
}

/**
 * Changes `sides` to a better cut.
 * @param target what side 0 should weigh
 * @param tolerance by how much it may weigh more or less; where it is further away, nearness goes first
 */
export function refine(graph: Graph, sides: Sides, target: number, tolerance: number): Cut {
  let now = cutOf(graph, sides);
  for (let pass = 0; pass < PASSES; pass++) {
    const after = new Pass(graph, sides, target, tolerance, now).run();
    if (after === undefined) break;
    now = after;
  }
  return cutOf(graph, sides);
}

/** One pass. */
class Pass {
  readonly #graph: Graph;
  readonly #sides: Sides;
  readonly #target: number;
  readonly #tolerance: number;
  readonly #gains: Float64Array;
  readonly #locked: Uint8Array;
  /** Nodes that may leave side 0 and side 1. */
  readonly #heaps: readonly [GainHeap, GainHeap] = [new GainHeap(), new GainHeap()];
  readonly #heaviest: number;
  #cut: number;
  #weight: number;

  constructor(graph: Graph, sides: Sides, target: number, tolerance: number, from: Cut) {
    this.#graph = graph;
    this.#sides = sides;
    this.#target = target;
    this.#tolerance = tolerance;
    this.#heaviest = graph.weights.reduce((most, weight) => Math.max(most, weight), 0);
    this.#cut = from.cut;
    this.#weight = from.weight;
    this.#gains = new Float64Array(sides.length);
    this.#locked = new Uint8Array(sides.length);
  }

  /** Moves nodes, and takes back what came of nothing. @returns the better cut; undefined when there was none */
  run(): Cut | undefined {
    this.#fill();
    const start = { cut: this.#cut, weight: this.#weight };
    let best = start;
    const moved: number[] = [];
    let kept = 0;
    while (moved.length - kept < PATIENCE) {
      const node = this.#next();
      if (node < 0) break;
      this.#move(node);
      moved.push(node);
      if (!this.#betterThan(best)) continue;
      best = { cut: this.#cut, weight: this.#weight };
      kept = moved.length;
    }
    for (const node of moved.slice(kept)) this.#sides[node] = 1 - (this.#sides[node] as number);
    return best === start ? undefined : best;
  }

  #away(weight: number): number {
    return Math.max(0, Math.abs(weight - this.#target) - this.#tolerance);
  }

  /** Less too unequal, or as equal and less cut; by more than what rounding makes of sums. */
  #betterThan(best: Cut): boolean {
    const [away, bestAway] = [this.#away(this.#weight), this.#away(best.weight)];
    const grain = 1e-9 * (1 + Math.abs(best.cut));
    return away < bestAway - 1e-9 * this.#target || (away <= bestAway && this.#cut < best.cut - grain);
  }

  /** Nodes at the cut may move; all of them in small graphs, and when the sides are too unequal. */
  #fill(): void {
    const { offsets, targets, edgeWeights } = this.#graph;
    const everyone = this.#gains.length <= FEW || this.#away(this.#weight) > 0;
    for (let i = 0; i < this.#gains.length; i++) {
      let [gain, outside] = [0, false];
      for (let e = offsets[i] as number; e < (offsets[i + 1] as number); e++) {
        const across = this.#sides[targets[e] as number] !== this.#sides[i];
        gain += across ? (edgeWeights[e] as number) : -(edgeWeights[e] as number);
        outside ||= across;
      }
      this.#gains[i] = gain;
      if (outside || everyone) this.#heapOf(i).push(i, gain);
    }
  }

  #heapOf(node: number): GainHeap {
    return this.#heaps[this.#sides[node] as 0 | 1];
  }

  /** The node with the largest gain of those that may move; -1: none. */
  #next(): number {
    const tops = this.#heaps.map((heap, side) => this.#top(heap, side));
    const feasible = tops.filter((node) => node >= 0 && this.#mayMove(node));
    feasible.sort((a, b) => (this.#gains[b] as number) - (this.#gains[a] as number) || a - b);
    const node = feasible[0] ?? -1;
    if (node >= 0) return node;
    // A heavy node at the top must not stop lighter ones for good.
    const stuck = tops.find((top) => top >= 0);
    if (stuck === undefined) return -1;
    this.#locked[stuck] = 1;
    return this.#next();
  }

  /** On the way the sides may be too unequal by a node, so that two can change places; the best moment is one at which they aren't. */
  #mayMove(node: number): boolean {
    const weight = this.#graph.weights[node] as number;
    const after = this.#weight + (this.#sides[node] === 0 ? -weight : weight);
    const away = this.#away(after);
    return away <= this.#heaviest || away < this.#away(this.#weight);
  }

  /** The first of a heap that is still what it was when it got there; -1: none. */
  #top(heap: GainHeap, side: number): number {
    for (;;) {
      const node = heap.first();
      if (node < 0) return -1;
      const stale = this.#locked[node] === 1 || this.#sides[node] !== side || this.#gains[node] !== heap.firstGain();
      if (!stale) return node;
      heap.pop();
    }
  }

  #move(node: number): void {
    const { offsets, targets, edgeWeights, weights } = this.#graph;
    const from = this.#sides[node] as number;
    this.#locked[node] = 1;
    this.#sides[node] = 1 - from;
    this.#weight += from === 0 ? -(weights[node] as number) : (weights[node] as number);
    this.#cut -= this.#gains[node] as number;
    for (let e = offsets[node] as number; e < (offsets[node + 1] as number); e++) {
      const to = targets[e] as number;
      const change = 2 * (edgeWeights[e] as number);
      this.#gains[to] = (this.#gains[to] as number) + (this.#sides[to] === from ? change : -change);
      if (this.#locked[to] === 0) this.#heapOf(to).push(to, this.#gains[to] as number);
    }
  }
}

/** Nodes by gain, largest first, then by index. A node may stand in it several times. */
class GainHeap {
  readonly #nodes: number[] = [];
  readonly #gains: number[] = [];

  /** -1 when it is empty. */
  first(): number {
    return this.#nodes[0] ?? -1;
  }

  firstGain(): number {
    return this.#gains[0] as number;
  }

  push(node: number, gain: number): void {
    let at = this.#nodes.length;
    this.#nodes.push(node);
    this.#gains.push(gain);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(node, gain, parent)) break;
      this.#put(at, this.#nodes[parent] as number, this.#gains[parent] as number);
      at = parent;
    }
    this.#put(at, node, gain);
  }

  pop(): void {
    const node = this.#nodes.pop() as number;
    const gain = this.#gains.pop() as number;
    const size = this.#nodes.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && this.#before(this.#nodes[right] as number, this.#gains[right] as number, child))
        child = right;
      if (this.#before(node, gain, child)) break;
      this.#put(at, this.#nodes[child] as number, this.#gains[child] as number);
      at = child;
    }
    this.#put(at, node, gain);
  }

  #put(at: number, node: number, gain: number): void {
    this.#nodes[at] = node;
    this.#gains[at] = gain;
  }

  #before(node: number, gain: number, at: number): boolean {
    const other = this.#gains[at] as number;
    return gain > other || (gain === other && node < (this.#nodes[at] as number));
  }
}
