/** How a journey is laid out: lanes and columns of the strip, rows of the table. No DOM. */
import type { Branch, Change, Stage } from "../../session/follow/protocol.ts";

/** A row of the strip: a namespace of a host. */
export interface Lane {
  readonly host: string;
  /** "" for what is on no host's namespace: the wire. */
  readonly namespace: string;
}

/** Where a stage is drawn, px from the first one on. */
export interface StripPlace {
  readonly lane: number;
  readonly left: number;
  readonly width: number;
}

/** The strip. */
export interface StripLayout {
  /** Hosts in the order in which the packet came to them, and so their namespaces. */
  readonly lanes: readonly Lane[];
  /** Of each stage, in order. */
  readonly places: readonly StripPlace[];
  readonly width: number;
}

/** Lanes for the stages of a road. */
export function layoutOf(stages: readonly Stage[]): StripLayout {
  const hosts = new Map<string, Set<string>>();
  for (const { host, namespace } of stages) hosts.set(host, (hosts.get(host) ?? new Set()).add(namespace));
  const lanes = [...hosts].flatMap(([host, namespaces]) => [...namespaces].map((namespace) => ({ host, namespace })));
  let left = 0;
  let host: string | undefined;
  const places = stages.map((stage): StripPlace => {
    const lane = lanes.findIndex((one) => one.host === stage.host && one.namespace === stage.namespace);
    // The time on a wire stands between hosts.
    if (host !== undefined && host !== stage.host) left += GAP.wire;
    host = stage.host;
    const width = Math.min(BOX.most, Math.max(BOX.least, BOX.letter * stage.title.length + BOX.margin));
    const place = { lane, left, width };
    left += width + GAP.hop;
    return place;
  });
  return { lanes, places, width: left };
}

/** Widths of boxes by their titles, px. */
const BOX = { least: 58, most: 132, letter: 6.6, margin: 16 };
const GAP = { hop: 12, wire: 44 };

/** A row of the table: a stage, or the head of a branch. */
export interface JourneyRow {
  /** Names it while the journey is shown. */
  readonly id: string;
  /** How many branches it stands in. */
  readonly depth: number;
  readonly stage: Stage | undefined;
  readonly branch: Branch | undefined;
  /** Of a branch: its stages are listed. */
  readonly open: boolean;
  /** Since the stage before on the same road, ns; undefined for the first. */
  readonly since: number | undefined;
}

/** The rows of a road and its open branches. @param open ids of branches whose stages are listed */
export function rowsOf(stages: readonly Stage[], open: ReadonlySet<string>): JourneyRow[] {
  const rows: JourneyRow[] = [];
  const road = (list: readonly Stage[], depth: number, before: number | undefined): void => {
    let last = before;
    for (const stage of list) {
      const id = `stage-${stage.key}`;
      const since = last === undefined ? undefined : stage.time - last;
      rows.push({ id, depth, stage, branch: undefined, open: false, since });
      last = stage.time;
      for (const branch of stage.branches) {
        const head = `branch-${branch.stages[0]?.key ?? 0}`;
        const isOpen = open.has(head);
        rows.push({ id: head, depth: depth + 1, stage: undefined, branch, open: isOpen, since: undefined });
        if (isOpen) road(branch.stages, depth + 1, stage.time);
      }
    }
  };
  road(stages, 0, undefined);
  return rows;
}

/** How many copies went other ways from a stage, in words; "" for none. */
export function copiesText({ branches, moreBranches }: Stage): string {
  const count = branches.length + moreBranches;
  return count === 0 ? "" : `+${count} ${count === 1 ? "copy" : "copies"}`;
}

/** A span of time as people compare it: three digits that count. */
export function spanText(ns: number): string {
  for (const [unit, size] of [
    ["s", 1e9],
    ["ms", 1e6],
    ["µs", 1e3],
  ] as const)
    if (ns >= size) return `${Number((ns / size).toPrecision(4))} ${unit}`;
  return `${ns} ns`;
}

/** A moment of virtual time, s. */
export function momentText(time: number): string {
  return (time / 1e9).toFixed(9);
}

/** A change in words. */
export function changeText({ layer, field, from, to }: Change): string {
  if (field !== undefined) return `${layer} ${field}: ${from ?? ""} → ${to ?? ""}`;
  return to === undefined ? `${layer} header taken off` : `${layer} header put on: ${to}`;
}

/** A change in a few characters. */
export function changeShort({ layer, field, to }: Change): string {
  if (field !== undefined) return `${layer} ${field}`;
  return to === undefined ? `−${layer}` : `+${layer}`;
}
