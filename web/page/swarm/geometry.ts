/** The inside of a host's box: where rails, containers and cards stand. In units of the drawing, from the box' corner. */
import { levelOf } from "./slots.ts";

/** A rectangle. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Size of a host's box. */
export const HOST = { width: 960, height: 752 } as const;
/** Height of the strip with the host's name. */
export const HEADER = 48;
/** A card at the upper edge, its centre: the first one, and how far the next ones are. */
export const CARD = { first: 530, step: 190, width: 170, height: 48 } as const;
/** A NAT router's box stands on the host's, over its card. */
export const ROUTER = { width: 340, height: 56 } as const;
/** Where the line from the cards to the bridges runs down. */
export const TRUNK = { x: 8, y: 57 } as const;
/** From here to there bridges reach; VXLAN devices stand in front of them. */
export const RAIL = { left: 34, device: 42, bar: 130, right: 832, top: 66 } as const;
/** Sandboxes of load balancers, at the end of their networks. */
export const BALANCER = { x: 840, width: 110 } as const;

const RAIL_COUNT = 6;
const RAIL_PITCH = 44;
const RAIL_SHRINK = 4;
const CONTAINERS = { left: 26, top: 420, columns: 4, pitch: 230, height: 82, gap: 20, lane: 12 } as const;
/** Rows of containers of full size; each row below them has twice as many of half the size. */
const FULL_ROWS = 3;

/** A bridge with its namespace around it. */
export interface RailPlace {
  readonly frame: Rect;
  /** Middle of the bridge's bar, and its thickness. */
  readonly y: number;
  readonly thickness: number;
}

/**
 * The place of a network's bridge.
 * @param part which of its bridges, of how many: a network of several subnets has several
 */
export function railPlace(slot: number, part = 0, parts = 1): RailPlace {
  const { position, scale, start } = levelOf(slot, RAIL_COUNT, RAIL_SHRINK, 1);
  const pitch = RAIL_PITCH * scale;
  const height = pitch / parts;
  const y = RAIL.top + start * RAIL_COUNT * RAIL_PITCH + position * pitch + part * height;
  return {
    frame: { x: RAIL.left, y: y + 0.02 * height, width: RAIL.right - RAIL.left, height: 0.94 * height },
    y: y + 0.82 * height,
    thickness: 0.14 * height,
  };
}

/** The place of a load balancer's sandbox. */
export function balancerPlace(slot: number): Rect {
  const { frame } = railPlace(slot);
  return { x: BALANCER.x, y: frame.y, width: BALANCER.width, height: frame.height };
}

/** A container's row and column, the size of those in the row against full size, and where the row begins. */
function cellOf(slot: number): {
  readonly row: number;
  readonly column: number;
  readonly scale: number;
  readonly top: number;
} {
  const { columns, height, top } = CONTAINERS;
  if (slot < FULL_ROWS * columns) {
    const row = Math.floor(slot / columns);
    return { row, column: slot % columns, scale: 1, top: top + row * height };
  }
  const { row, position, scale, start } = levelOf(slot - FULL_ROWS * columns, 2 * columns, 2, 2);
  return {
    row: FULL_ROWS + row,
    column: position,
    scale: scale / 2,
    top: top + (FULL_ROWS + start / 2) * height,
  };
}

/** The place of a container. */
export function containerPlace(slot: number): Rect {
  const { column, scale, top } = cellOf(slot);
  const { left, pitch, height, gap, lane } = CONTAINERS;
  return {
    x: left + (column * pitch + gap / 2) * scale,
    y: top + lane * scale,
    width: (pitch - gap) * scale,
    height: (height - lane) * scale,
  };
}

/**
 * The way of a wire from a container up to a bridge: from the rows below, through a gap between containers above.
 * @param x where it leaves the container
 * @param slot the container's
 * @param spread 0…1, tells wires apart that go through the same gap
 * @returns x and y in turns, from the container to the bridge
 */
export function wirePath(x: number, slot: number, spread: number, railY: number): number[] {
  const place = containerPlace(slot);
  const { row, scale } = cellOf(slot);
  if (row === 0) return [x, place.y, x, railY];
  const { left, pitch, gap, lane } = CONTAINERS;
  const column = Math.round((place.x - left) / pitch);
  // Wires of two rows go through a gap beside each other.
  const lanes = FULL_ROWS - 1;
  const beside = (((row - 1) % lanes) + spread) / lanes;
  // The narrowest gap on the way is in the row above.
  const above = row <= FULL_ROWS ? 1 : 2 * scale;
  const through = left + column * pitch + (beside - 0.5) * 0.8 * gap * above;
  const turn = place.y - lane * scale * (0.25 + 0.5 * spread);
  return [x, place.y, x, turn, through, turn, through, railY];
}

/** Where the n-th of several things stands on a line. */
export function share(from: number, length: number, n: number, of: number): number {
  return from + (length * (n + 0.5)) / of;
}

/** The strip that says how much a host's wires carry, where it is small. */
export const LOAD: Rect = { x: 0, y: HOST.height - 44, width: HOST.width, height: 44 };
const SQUARES = { left: 40, top: 150, height: (HOST.height - 150 - 60) / 2 } as const;

/**
 * Squares that stand for containers where the host is too small to show more: four in a row, and rows of half the size.
 */
export function squarePlace(slot: number): Rect {
  const { position, scale, start } = levelOf(slot, 12, 2, 2);
  const columns = Math.round(4 / scale);
  const { left, top, height: full } = SQUARES;
  const [width, height] = [(HOST.width - 2 * left) / columns, (full * scale) / 3];
  const row = Math.floor(position / columns);
  return {
    x: left + ((position % columns) + 0.1) * width,
    y: top + start * full + (row + 0.1) * height,
    width: 0.8 * width,
    height: 0.8 * height,
  };
}
