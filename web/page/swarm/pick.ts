/** What stands at a place of the drawing, and what comes next to it for somebody who goes through it with the keyboard. */
import { HOST, type Rect, ROUTER, squarePlace } from "./geometry.ts";
import { type DeviceMark, HOST_RECT, type Interior } from "./interior.ts";
import type { HostState, SwarmModel } from "./model.ts";
import { INSIDE_WIDTH, type Selection } from "./selection.ts";

/** So many units around a small thing still are it, for a hand that isn't steady: as many pixels. */
const REACH = 3;

function holds({ x, y, width, height }: Rect, px: number, py: number, reach = 0): boolean {
  return px >= x - reach && px <= x + width + reach && py >= y - reach && py <= y + height + reach;
}

/** What names a device in its host. */
export function markKey({ namespace, device }: DeviceMark): string {
  return `${namespace}/${device.index}`;
}

/** What names a wire of a host. */
export function wireKey(wire: number): string {
  return `wire ${wire}`;
}

/** Small things lie on large ones. */
const ORDER: readonly DeviceMark["kind"][] = ["port", "interface", "vxlan", "card", "bridge"];

/** What stands there. @param x in units of the drawing @param scale pixels a unit */
export function pick(model: SwarmModel, x: number, y: number, scale: number): Selection | undefined {
  for (const host of model.hosts) {
    const [hx, hy] = [x - host.box.x, y - host.box.y];
    if (holds({ x: 0, y: -ROUTER.height, width: HOST.width, height: HOST.height + ROUTER.height }, hx, hy)) {
      const found = pickInside(model, host, hx, hy, scale);
      if (found !== undefined) return { host: host.index, key: found };
    }
    const wire = host.box.wires.findIndex(
      (one) => y >= one.top && y <= one.bottom && Math.abs(x - one.x) * scale <= 2 * REACH,
    );
    if (wire >= 0) return { host: host.index, key: wireKey(wire) };
  }
  return undefined;
}

function pickInside(model: SwarmModel, host: HostState, x: number, y: number, scale: number): string | undefined {
  const near = scale * HOST.width >= INSIDE_WIDTH;
  const interior = near ? host.interior(model.networks) : undefined;
  if (interior !== undefined) {
    const mark = pickMark(interior, x, y, scale);
    if (mark !== undefined) return markKey(mark);
    const box = interior.boxes.find(({ rect }) => holds(rect, x, y));
    if (box !== undefined) return box.key;
  } else {
    const square = host.squares(model.networks).find(({ slot }) => holds(squarePlace(slot), x, y));
    if (square !== undefined && scale * squarePlace(square.slot).width >= REACH) return square.container.id;
  }
  return holds(HOST_RECT, x, y) ? "" : undefined;
}

function pickMark({ marks }: Interior, x: number, y: number, scale: number): DeviceMark | undefined {
  for (const kind of ORDER) {
    const found = marks.find(
      (mark) =>
        mark.kind === kind &&
        mark.rect.width * scale >= REACH &&
        holds(mark.rect, x, y, kind === "card" ? 0 : REACH / scale),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where a selected thing stands, in units of the drawing. */
export function placeOf(model: SwarmModel, { host, key }: Selection): Rect | undefined {
  const state = model.hosts[host];
  if (state === undefined) return undefined;
  const { x, y } = state.box;
  const here = (rect: Rect): Rect => ({ ...rect, x: rect.x + x, y: rect.y + y });
  if (key === "") return here(HOST_RECT);
  if (key.startsWith("wire ")) {
    const wire = state.box.wires[Number(key.slice(5))];
    return wire === undefined ? undefined : { x: wire.x - 4, y: wire.top, width: 8, height: wire.bottom - wire.top };
  }
  const interior = state.interior(model.networks);
  const found =
    interior?.boxes.find((box) => box.key === key)?.rect ?? interior?.marks.find((mark) => markKey(mark) === key)?.rect;
  return found === undefined ? undefined : here(found);
}

/** What can be gone through in a host, in that order: containers, then bridges with their ports, cards, wires. */
export function keysIn(model: SwarmModel, host: HostState): string[] {
  const interior = host.interior(model.networks);
  const wires = host.box.wires.map((_, i) => wireKey(i));
  if (interior === undefined) return wires;
  const boxes = interior.boxes.map(({ key }) => key);
  const marks = [...interior.marks].sort((a, b) => a.namespace - b.namespace || a.device.index - b.device.index);
  return [...boxes, ...marks.map(markKey), ...wires];
}
