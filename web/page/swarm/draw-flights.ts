/** Draws packets on their wires. */
import type { Time } from "../../../src/base/time.ts";
import type { Flight } from "../../session/scene/protocol.ts";
import type { Rect } from "./geometry.ts";
import type { SwarmModel } from "./model.ts";
import { packetWords } from "./packet-words.ts";
import { networkColour } from "./palette.ts";
import { FONT_SIZE, type Pen } from "./pen.ts";
import { pointOn } from "./way.ts";

const RADIUS = 5;
/** So many pixels around a packet still are it. */
const REACH = 3;
/** So many packets have a word beside them; more would hide each other. */
const MOST_WORDS = 16;
/** Pixels that words take: so many units of the drawing, within limits. */
const ROOM = { units: 900, least: 120, most: 420 } as const;
/** Words stand on the right where they have so many pixels there. */
const LEAST_WORDS = 160;
/** Words have no place in a drawing in which 600 units are fewer pixels. */
const SMALL = 50;

/** Packets at one place. */
export interface Spot {
  readonly flight: Flight;
  /** Pixels. */
  readonly x: number;
  readonly y: number;
  /** All of it has one receiver. */
  readonly single: boolean;
  count: number;
}

/**
 * Draws those that are on a wire at that time.
 * @param still nothing is to move: they stand half-way
 * @param chosen place in the packet list of the one that is selected
 */
export function drawFlights(
  pen: Pen,
  model: SwarmModel,
  time: Time,
  { still, chosen }: { readonly still: boolean; readonly chosen: number | undefined },
): Spot[] {
  pen.origin(0, 0);
  const present = model.flights.filter(({ start, end }) => start <= time && time <= end);
  const spots = new Map<string, Spot>();
  for (const flight of present) {
    const part = still ? 0.5 : (time - flight.start) / Math.max(1, flight.end - flight.start);
    for (const to of flight.to) {
      const path = model.layout.path(flight.from, to);
      if (path === undefined) continue;
      const [x, y] = pointOn(path, part).map(Math.round) as [number, number];
      const key = `${Math.round(pen.x(x) / 4)} ${Math.round(pen.y(y) / 4)} ${flight.protocol} ${flight.vni}`;
      const spot = spots.get(key);
      if (spot === undefined)
        spots.set(key, { flight, x: pen.x(x), y: pen.y(y), single: flight.to.length === 1, count: 1 });
      else spot.count++;
    }
  }
  const taken: Rect[] = [];
  if (spots.size <= MOST_WORDS && pen.px(600) >= SMALL)
    for (const spot of spots.values()) drawWords(pen, model, spot, taken);
  for (const spot of spots.values()) {
    drawSpot(pen, model, spot);
    if (spot.flight.packet === chosen) drawRing(pen, spot);
  }
  return [...spots.values()];
}

function drawRing({ context, palette }: Pen, { x, y }: Spot): void {
  context.beginPath();
  context.arc(x, y, RADIUS + 4, 0, 2 * Math.PI);
  context.strokeStyle = palette.mark;
  context.lineWidth = 2;
  context.stroke();
}

/** The packet that is drawn at a pixel. */
export function packetAt(spots: readonly Spot[], x: number, y: number): number | undefined {
  return spots.find((spot) => Math.hypot(spot.x - x, spot.y - y) <= RADIUS + REACH)?.flight.packet;
}

function drawSpot(pen: Pen, model: SwarmModel, { flight, x, y }: Spot): void {
  const { context, palette, camera } = pen;
  if (x < -RADIUS || y < -RADIUS || x > camera.width + RADIUS || y > camera.height + RADIUS) return;
  const network = model.networks.byVni(flight.vni);
  context.beginPath();
  if (flight.protocol === "ESP") context.rect(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS);
  else context.arc(x, y, RADIUS, 0, 2 * Math.PI);
  context.fillStyle = network === undefined ? palette.text : networkColour(palette, network.colour);
  context.fill();
  context.strokeStyle = palette.back;
  context.lineWidth = 1;
  context.stroke();
}

/** What a packet is, beside it, where there is room that no other packet's words have. */
function drawWords(pen: Pen, model: SwarmModel, { flight, x, y, single, count }: Spot, taken: Rect[]): void {
  const { camera } = pen;
  if (!single || x < 0 || y < 0 || x > camera.width || y > camera.height) return;
  const many = count === 1 ? "" : `${count} × `;
  const beside = RADIUS + 5;
  const onRight = camera.width - x > LEAST_WORDS || camera.width - x > x;
  const most = Math.max(ROOM.least, Math.min(ROOM.most, pen.px(ROOM.units)));
  const room = Math.min(most, (onRight ? camera.width - x : x) - beside);
  const text = pen.fit(`${many}${packetWords(flight, model.networks.byVni(flight.vni)?.name)}`, room);
  const width = text.length * pen.character;
  const place = {
    x: onRight ? x + beside : x - beside - width,
    y: y - FONT_SIZE / 2 - 1,
    width,
    height: FONT_SIZE + 3,
  };
  if (text === "" || taken.some((other) => overlap(other, place))) return;
  taken.push(place);
  pen.caption({ text, colour: pen.palette.text }, place.x, y + FONT_SIZE / 2 - 1);
}

function overlap(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
