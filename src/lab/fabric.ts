/**
 * The leaf-spine network of a lab: read from the file, its hosts put on leaves, and the table of what its links have
 * carried. Leaves and spines are counted from 1 in a lab and in what is shown, from 0 in the topology.
 */
import { parseDuration, parseRate, SEC, type Time, US } from "../base/time.ts";
import type { LinkSummary } from "../scheduler/counters.ts";
import type { LeafSpineConfig } from "../scheduler/topology.ts";
import type { HostPlan } from "./plan.ts";
import type { Source } from "./source.ts";

/** The network's switches as a lab has them. */
export interface RawFabric {
  leaves?: number;
  hostsPerLeaf?: number;
  spines: number;
  bandwidth?: string;
  latency?: string | number;
  queue?: number;
}

/** The switches of a lab's network. */
export interface FabricPlan extends LeafSpineConfig {
  /** Leaf switches; hosts may leave some of them empty. */
  readonly leaves: number;
}

/** Values of a fabric that says nothing else. */
const DEFAULTS = { bandwidth: "40Gbit", latency: 5 * US, queue: 1000 } as const;
/** Where a lab describes it. */
const PATH = ["network", "fabric"];

/** What a fabric's links are like. @throws UserError */
export function resolveFabric(source: Source, raw: RawFabric | undefined, hosts: number): FabricPlan | undefined {
  if (raw === undefined) return undefined;
  const { leaves, hostsPerLeaf, spines } = raw;
  if (leaves === undefined && hostsPerLeaf === undefined)
    throw source.error(PATH, "expected leaves or hostsPerLeaf: how many switches, or how many hosts below each");
  if (leaves !== undefined && hostsPerLeaf !== undefined)
    throw source.error([...PATH, "hostsPerLeaf"], "can't stand beside leaves", true);
  const latency: Time =
    raw.latency === undefined ? DEFAULTS.latency : (parseDuration(String(raw.latency)) ?? DEFAULTS.latency);
  if (latency > SEC) throw source.error([...PATH, "latency"], "expected 1s at most");
  const bandwidth = parseRate(raw.bandwidth ?? DEFAULTS.bandwidth) as number;
  if (bandwidth === 0) throw source.error([...PATH, "bandwidth"], "expected more than 0");
  return {
    leaves: leaves ?? Math.ceil(hosts / (hostsPerLeaf as number)),
    spines,
    bandwidth,
    latency,
    queue: raw.queue ?? DEFAULTS.queue,
  };
}

/** What a host says about its leaf, and where that stands in the file. */
export interface LeafWish {
  /** From 1; undefined: the next one in order. */
  readonly leaf: number | undefined;
  readonly path: readonly (string | number)[];
}

/**
 * Leaf of each host, from 0: those that say nothing are shared out in order, in blocks of nearly equal size, or of
 * `hostsPerLeaf`. @throws UserError
 */
export function assignLeaves(
  source: Source,
  fabric: FabricPlan | undefined,
  perLeaf: number | undefined,
  wishes: readonly LeafWish[],
): number[] {
  const free = wishes.filter(({ leaf }) => leaf === undefined).length;
  let next = 0;
  return wishes.map(({ leaf, path }) => {
    if (leaf === undefined) {
      const index = next++;
      if (fabric === undefined) return 0;
      return perLeaf === undefined ? Math.floor((index * fabric.leaves) / free) : Math.floor(index / perLeaf);
    }
    if (fabric === undefined) throw source.error(path, "means nothing without network.fabric", true);
    if (leaf > fabric.leaves) throw source.error(path, `there are ${fabric.leaves} leaves`);
    return leaf - 1;
  });
}

/** Latencies below leaves have a limit. @throws UserError */
export function checkLatencies(source: Source, fabric: FabricPlan | undefined, hosts: readonly HostPlan[]): void {
  const far = fabric === undefined ? undefined : hosts.find(({ latency }) => latency > SEC);
  if (far !== undefined) throw source.error(["network"], `latency of ${far.name}: expected 1s at most below a leaf`);
}

/** What links have carried since an earlier count of the same links; what has waited at most is that of the whole run. */
export function linksSince(links: readonly LinkSummary[], before: readonly LinkSummary[]): LinkSummary[] {
  return links.map((link, i) => {
    const { frames = 0, bytes = 0, drops = 0 } = before[i] ?? {};
    return { ...link, frames: link.frames - frames, bytes: link.bytes - bytes, drops: link.drops - drops };
  });
}

const HEADINGS = ["frames", "bytes", "dropped", "most waiting"] as const;

/**
 * A table with a line a link; beyond `most` lines only the links that have carried the most bytes.
 *
 *   link                  frames          bytes    dropped  most waiting
 *   leaf1 > spine1          1234        1234567          0         12345
 */
export function formatLinks(links: readonly LinkSummary[], most: number = Number.POSITIVE_INFINITY): string {
  const busiest = [...links.entries()].sort(([i, a], [j, b]) => b.bytes - a.bytes || i - j).slice(0, most);
  const shown = busiest.sort(([i], [j]) => i - j).map(([, link]) => link);
  const rows = shown.map(({ from, to, frames, bytes, drops, peakBytes }) => [
    `${from} > ${to}`,
    ...[frames, bytes, drops, peakBytes].map(String),
  ]);
  const table = [["link", ...HEADINGS], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = table.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
  const rest = links.length - shown.length;
  if (rest > 0) lines.push(`and ${rest} ${rest === 1 ? "link" : "links"} with less`);
  return `${lines.join("\n")}\n`;
}
