/**
 * Which worker runs which host. Hosts that must not be apart (no delay between them, or one leaf, whose links the worker
 * of its hosts serves) go together. Each worker is given about the same weight, and where it is known who talks to whom,
 * little of that talk goes from worker to worker.
 */
import { UserError } from "../base/errors.ts";
import { type Edge, graphOf, partitionGraph } from "./graph-partition.ts";
import type { Topology } from "./topology.ts";

/** How much two hosts have to say to each other, by any measure, more than 0: `[host, host, weight]`, by index. */
export type Affinity = readonly [a: number, b: number, weight: number];

/**
 * Which worker owns which host, by host index. Without affinities hosts stay in lab order, in blocks of nearly equal weight.
 * Workers without a host are possible when there are fewer groups than workers.
 */
export function partitionHosts(topology: Topology, workers: number, affinities: readonly Affinity[] = []): number[] {
  const { hosts } = topology;
  const groupOf = groupsOf(topology);
  const groups = groupOf.reduce((most, group) => Math.max(most, group + 1), 0);
  const weights = new Float64Array(groups);
  hosts.forEach(({ weight }, i) => {
    const group = groupOf[i] as number;
    weights[group] = (weights[group] as number) + weight;
  });
  const owner = affinities.length === 0 || workers === 1 ? blocks(weights, workers) : undefined;
  const placed = owner ?? partitionGraph(graphOf(weights, edges(affinities, groupOf)), workers);
  return groupOf.map((group) => placed[group] as number);
}

function* edges(affinities: readonly Affinity[], groupOf: readonly number[]): Generator<Edge> {
  for (const [a, b, weight] of affinities) {
    const [from, to] = [groupOf[a], groupOf[b]];
    if (from === undefined || to === undefined) throw new UserError(`affinity of hosts ${a} and ${b}: no such host`);
    if (!(weight > 0)) throw new UserError(`affinity of hosts ${a} and ${b}: the weight must be more than 0`);
    yield [from, to, weight];
  }
}

/** A group goes where its first part falls when workers share the line of all groups. */
function blocks(weights: Float64Array, workers: number): Int32Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let placed = 0;
  return Int32Array.from(weights, (weight) => {
    const worker = Math.min(workers - 1, Math.floor((placed * workers) / total));
    placed += weight;
    return worker;
  });
}

/** For each host the number of its group; groups in order of their first host. */
function groupsOf({ hosts, fabrics }: Topology): number[] {
  const parent = hosts.map((_, i) => i);
  const root = (host: number): number => {
    let at = host;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at] as number] as number;
      at = parent[at] as number;
    }
    return at;
  };
  const first = new Map<string, number>();
  const join = (key: string, host: number): void => {
    const [a, b] = [root(first.get(key) ?? host), root(host)];
    parent[Math.max(a, b)] = Math.min(a, b);
    if (!first.has(key)) first.set(key, host);
  };
  hosts.forEach((host, i) => {
    for (const { segment, latency, leaf } of host.nics) {
      const fabric = fabrics[segment];
      if (fabric !== undefined) join(`${segment} ${leaf}`, i);
      // Leaves without any delay between them are one leaf here.
      if (latency === 0 && (fabric?.latency ?? 0) === 0) join(segment, i);
    }
  });
  const numbers = new Map<number, number>();
  return hosts.map((_, i) => {
    const at = root(i);
    const number = numbers.get(at) ?? numbers.size;
    numbers.set(at, number);
    return number;
  });
}
