/**
 * Where everything stands, worked out from the lab's topology alone: hosts in blocks below their leaf switch, or all in
 * one block below the switch that a flat network is; each row of a block has a bar for each network that its hosts are
 * plugged into.
 */
import type { HostPlace, SceneTopology } from "../../session/scene/protocol.ts";
import { CARD, HOST, type Rect, ROUTER } from "./geometry.ts";

/** The network that all hosts are on. */
export const UNDERLAY = "underlay";

/** Space between two hosts, and between two rows, without bars. */
const GAP = { x: 110, y: 190, blocks: 260 } as const;
/** Each bar above a row takes this. */
const BAR = 34;
const SWITCH = { width: 460, height: 110, above: 110 } as const;
/** From leaves to spines: at least, and as a part of the width, so that links of many leaves don't lie flat. */
const SPINES = { least: 520, part: 0.05 } as const;
/** Width by height that the drawing should have. */
const ASPECT = 1.7;
/** What switches take above all rows, about. */
const ABOVE = 400;
/** Rows should be full: so much of a difference in shape is taken for it. */
const EMPTY_COST = 0.8;

/** A switch. */
export interface SwitchPlace {
  readonly name: string;
  readonly kind: "switch" | "leaf" | "spine";
  readonly segment: string;
  /** Of leaves and spines, from 0. */
  readonly number: number;
  readonly rect: Rect;
}

/** A line that belongs to a network of the underlay. */
export interface SegmentLine {
  readonly segment: string;
  /** Of which leaf; 0 without a fabric. */
  readonly leaf: number;
  readonly points: readonly number[];
}

/** A link between a leaf and a spine, numbers from 0. */
export interface FabricLine {
  readonly leaf: number;
  readonly spine: number;
  readonly points: readonly [number, number, number, number];
}

/** A host's wire: straight down from its bar. */
export interface WirePlace {
  readonly segment: string;
  readonly x: number;
  /** At the bar, and at the card. */
  readonly top: number;
  readonly bottom: number;
}

/** A host. */
export interface HostBox {
  readonly x: number;
  readonly y: number;
  readonly leaf: number;
  readonly row: number;
  readonly wires: readonly WirePlace[];
}

/** The whole. */
export interface Layout {
  readonly hosts: readonly HostBox[];
  readonly switches: readonly SwitchPlace[];
  readonly lines: readonly SegmentLine[];
  readonly links: readonly FabricLine[];
  readonly bounds: Rect;
  /** The way of a packet from wire to wire, as x and y in turns; undefined where none leads. */
  path(from: WireEnd, to: WireEnd): readonly number[] | undefined;
}

/** A host's wire by its place, and the spine over which a packet gets there. */
export interface WireEnd {
  readonly host: number;
  readonly wire: number;
  readonly spine?: number;
}

/** Columns of each block that make the whole as wide as it should be. */
function columnsFor(blocks: number, hosts: number, rowPitch: number): number {
  let best = 1;
  let least = Number.POSITIVE_INFINITY;
  for (let columns = 1; columns <= hosts; columns++) {
    const width = blocks * (columns * (HOST.width + GAP.x) + (blocks > 1 ? GAP.blocks : 0));
    const rows = Math.ceil(hosts / columns);
    const empty = (rows * columns - hosts) / hosts;
    const off = Math.abs(Math.log(width / (rows * rowPitch + ABOVE) / ASPECT)) + EMPTY_COST * empty;
    if (off >= least) continue;
    least = off;
    best = columns;
  }
  return best;
}

/** Names of the networks that hosts are plugged into, the common one first. */
function segmentsOf(hosts: readonly HostPlace[]): string[] {
  return [...new Set([UNDERLAY, ...hosts.flatMap(({ wires }) => wires.map(({ segment }) => segment))])];
}

/** Works it out. */
export function layoutOf(topology: SceneTopology): Layout {
  return new Layouter(topology).layout();
}

class Layouter {
  readonly #topology: SceneTopology;
  readonly #segments: readonly string[];
  readonly #blocks: readonly (readonly number[])[];
  readonly #columns: number;
  readonly #rowPitch: number;
  readonly #blockPitch: number;
  readonly #boxes: HostBox[] = [];
  readonly #switches: SwitchPlace[] = [];
  readonly #lines: SegmentLine[] = [];

  constructor(topology: SceneTopology) {
    this.#topology = topology;
    const { hosts, fabric } = topology;
    this.#segments = segmentsOf(hosts);
    const blocks: number[][] = Array.from({ length: fabric?.leaves ?? 1 }, () => []);
    for (const [i, { leaf }] of hosts.entries()) blocks[fabric === undefined ? 0 : leaf]?.push(i);
    this.#blocks = blocks;
    const most = Math.max(1, ...blocks.map((block) => block.length));
    const router = hosts.some((host) => isRouted(host)) ? ROUTER.height : 0;
    this.#rowPitch = HOST.height + GAP.y + router + BAR * this.#segments.length;
    this.#columns = columnsFor(blocks.length, most, this.#rowPitch);
    this.#blockPitch = this.#columns * (HOST.width + GAP.x) + GAP.blocks;
  }

  layout(): Layout {
    for (const [leaf, block] of this.#blocks.entries()) this.#block(leaf, block);
    this.#furtherSwitches();
    const links = this.#fabric();
    const all: Rect[] = [
      ...this.#boxes.map(({ x, y }) => ({ x, y, ...HOST })),
      ...this.#switches.map(({ rect }) => rect),
      ...this.#lines.map(({ points: [x1 = 0, y1 = 0, x2 = 0, y2 = 0] }) => ({
        x: Math.min(x1, x2),
        y: Math.min(y1, y2),
        width: Math.abs(x2 - x1),
        height: Math.abs(y2 - y1),
      })),
    ];
    const [hosts, switches, lines] = [this.#boxes, this.#switches, this.#lines];
    return { hosts, switches, lines, links, bounds: boundsOf(all), path: (from, to) => this.#path(from, to) };
  }

  /** The bar of a network above a row. */
  #barY(row: number, segment: number): number {
    return (
      row * this.#rowPitch - BAR * (segment + 1) - (this.#rowPitch - HOST.height - BAR * this.#segments.length) / 2
    );
  }

  #block(leaf: number, block: readonly number[]): void {
    const left = leaf * this.#blockPitch;
    for (const [n, host] of block.entries()) {
      const row = Math.floor(n / this.#columns);
      const x = left + (n % this.#columns) * (HOST.width + GAP.x);
      const place = this.#topology.hosts[host] as HostPlace;
      const wires = place.wires.map(({ segment }, wire): WirePlace => {
        const y = row * this.#rowPitch - (isRouted(place) ? ROUTER.height : 0);
        const top = this.#barY(row, this.#segments.indexOf(segment));
        return { segment, x: x + CARD.first + wire * CARD.step, top, bottom: y };
      });
      this.#boxes[host] = { x, y: row * this.#rowPitch, leaf, row, wires };
    }
    for (const [s, segment] of this.#segments.entries()) this.#bars(leaf, block, s, segment);
    this.#blockSwitch(leaf, block.length);
  }

  #rows(block: readonly number[], segment: string): Map<number, number[]> {
    const rows = new Map<number, number[]>();
    for (const host of block) {
      const { row, wires } = this.#boxes[host] as HostBox;
      const wire = wires.find((one) => one.segment === segment);
      if (wire !== undefined) rows.set(row, [...(rows.get(row) ?? []), wire.x]);
    }
    return rows;
  }

  #bars(leaf: number, block: readonly number[], s: number, segment: string): void {
    const rows = this.#rows(block, segment);
    const trunk = this.#trunkX(leaf, s);
    const several = rows.size > 1 || this.#columns > 1;
    for (const [row, xs] of rows) {
      const y = this.#barY(row, s);
      const from = several && rows.size > 1 ? trunk : Math.min(...xs, this.#middle(leaf));
      this.#lines.push({ segment, leaf, points: [from, y, Math.max(...xs, row === 0 ? this.#middle(leaf) : from), y] });
    }
    const [first, last] = [Math.min(...rows.keys()), Math.max(...rows.keys())];
    if (rows.size > 1)
      this.#lines.push({ segment, leaf, points: [trunk, this.#barY(first, s), trunk, this.#barY(last, s)] });
  }

  #trunkX(leaf: number, segment: number): number {
    return leaf * this.#blockPitch - 40 - 20 * segment;
  }

  #middle(leaf: number): number {
    const width = Math.min(this.#columns, Math.max(1, this.#blocks[leaf]?.length ?? 1)) * (HOST.width + GAP.x) - GAP.x;
    return leaf * this.#blockPitch + width / 2;
  }

  #switchY(): number {
    return this.#barY(0, this.#segments.length - 1) - SWITCH.above - SWITCH.height;
  }

  #blockSwitch(leaf: number, hosts: number): void {
    const flat = this.#topology.fabric === undefined;
    const [x, y] = [this.#middle(leaf), this.#switchY()];
    this.#switches.push({
      name: flat ? "switch" : `leaf${leaf + 1}`,
      kind: flat ? "switch" : "leaf",
      segment: UNDERLAY,
      number: leaf,
      rect: { x: x - SWITCH.width / 2, y, width: SWITCH.width, height: SWITCH.height },
    });
    if (hosts > 0) this.#lines.push({ segment: UNDERLAY, leaf, points: [x, y + SWITCH.height, x, this.#barY(0, 0)] });
  }

  /** Each further network is one switch, at the left of all blocks; its bars above the first row are one. */
  #furtherSwitches(): void {
    for (const [s, segment] of this.#segments.entries()) {
      const bars = this.#lines.filter((line) => line.segment === segment);
      if (s === 0 || bars.length === 0) continue;
      const left = Math.min(...bars.map(({ points }) => Math.min(points[0] ?? 0, points[2] ?? 0)));
      const right = Math.max(...bars.map(({ points }) => Math.max(points[0] ?? 0, points[2] ?? 0)));
      const x = Math.min(left, -80) - 120 - SWITCH.width;
      const y = this.#barY(0, s);
      const rect = { x, y: y - (s - 1) * 140 - SWITCH.height / 2, width: SWITCH.width, height: SWITCH.height };
      this.#switches.push({ name: segment, kind: "switch", segment, number: s, rect });
      this.#lines.push({ segment, leaf: 0, points: [x + SWITCH.width, y, right, y] });
    }
  }

  #spineHeight(): number {
    return Math.max(SPINES.least, SPINES.part * this.#blocks.length * this.#blockPitch);
  }

  #fabric(): FabricLine[] {
    const { fabric } = this.#topology;
    if (fabric === undefined) return [];
    const leaves = this.#switches.filter(({ kind }) => kind === "leaf");
    const width = this.#blocks.length * this.#blockPitch - GAP.blocks;
    const y = this.#switchY() - this.#spineHeight();
    const links: FabricLine[] = [];
    for (let spine = 0; spine < fabric.spines; spine++) {
      const pitch = Math.max(width, fabric.spines * (SWITCH.width + 100)) / fabric.spines;
      const x = width / 2 + (spine - (fabric.spines - 1) / 2) * pitch;
      const rect = { x: x - SWITCH.width / 2, y, width: SWITCH.width, height: SWITCH.height };
      this.#switches.push({ name: `spine${spine + 1}`, kind: "spine", segment: UNDERLAY, number: spine, rect });
      for (const { number: leaf, rect: below } of leaves)
        links.push({ leaf, spine, points: [below.x + below.width / 2, below.y, x, y + SWITCH.height] });
    }
    return links;
  }

  /** From a wire up to the block's row bar, and to the point where all rows of the block meet. */
  #path(from: WireEnd, to: WireEnd): number[] | undefined {
    const [a, b] = [this.#boxes[from.host], this.#boxes[to.host]];
    const [up, down] = [a?.wires[from.wire], b?.wires[to.wire]];
    if (a === undefined || b === undefined || up === undefined || down?.segment !== up.segment) return undefined;
    const s = this.#segments.indexOf(up.segment);
    const start = [up.x, up.bottom, up.x, up.top];
    const end = [down.x, down.top, down.x, down.bottom];
    if (a.leaf === b.leaf && a.row === b.row) return [...start, ...end];
    if (a.leaf === b.leaf) {
      const trunk = this.#trunkX(a.leaf, s);
      return [...start, trunk, up.top, trunk, down.top, ...end];
    }
    if (s > 0) return [...start, ...this.#toTop(a, s), ...pairsReversed(this.#toTop(b, s)), ...end];
    const middle = ({ leaf }: HostBox): number[] => [this.#middle(leaf), this.#switchY() + SWITCH.height / 2];
    const climb = (box: HostBox): number[] => {
      const way = box.row === 0 ? [] : [this.#trunkX(box.leaf, s), this.#barY(box.row, s), this.#trunkX(box.leaf, s)];
      return box.row === 0
        ? [this.#middle(box.leaf), this.#barY(0, s)]
        : [...way, this.#barY(0, s), this.#middle(box.leaf), this.#barY(0, s)];
    };
    const [there, back] = [climb(a), pairsReversed(climb(b))];
    return [...start, ...there, ...middle(a), ...this.#over(a, b, to.spine), ...middle(b), ...back, ...end];
  }

  #toTop({ leaf, row }: HostBox, s: number): number[] {
    const trunk = this.#trunkX(leaf, s);
    return row === 0 ? [] : [trunk, this.#barY(row, s), trunk, this.#barY(0, s)];
  }

  /** Between two leaves: over a spine, or through the middle where it isn't known which one. */
  #over(a: HostBox, b: HostBox, spine: number | undefined): number[] {
    const rect = this.#switches.find(({ kind, number }) => kind === "spine" && number === spine)?.rect;
    if (rect !== undefined) return [rect.x + rect.width / 2, rect.y + rect.height / 2];
    const y = this.#switchY() - this.#spineHeight() / 2;
    return [this.#middle(a.leaf), y, this.#middle(b.leaf), y];
  }
}

function pairsReversed(points: readonly number[]): number[] {
  const out: number[] = [];
  for (let i = points.length - 2; i >= 0; i -= 2) out.push(points[i] as number, points[i + 1] as number);
  return out;
}

/** Behind NAT the wire ends at the router on top of the host. */
export function isRouted(host: HostPlace): boolean {
  return host.wires.some(({ point }) => point.startsWith("nat/"));
}

function boundsOf(rects: readonly Rect[]): Rect {
  if (rects.length === 0) return { x: 0, y: 0, width: 1, height: 1 };
  const x = Math.min(...rects.map((rect) => rect.x));
  const y = Math.min(...rects.map((rect) => rect.y));
  const right = Math.max(...rects.map((rect) => rect.x + rect.width));
  const bottom = Math.max(...rects.map((rect) => rect.y + rect.height));
  return { x, y, width: right - x, height: bottom - y };
}
