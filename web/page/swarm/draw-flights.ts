/** Draws packets on their wires. */
import type { Time } from "../../../src/base/time.ts";
import type { Flight } from "../../session/scene/protocol.ts";
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
/** Pixels that words take at most, and those that they should have. */
const MOST_ROOM = 420;
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
  for (const spot of spots.values()) {
    drawSpot(pen, model, spot, spots.size <= MOST_WORDS);
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

function drawSpot(pen: Pen, model: SwarmModel, { flight, x, y, single, count }: Spot, words: boolean): void {
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
  if (!words || !single) return;
  if (pen.px(600) < SMALL) return;
  const many = count === 1 ? "" : `${count} × `;
  const beside = RADIUS + 5;
  const onRight = camera.width - x > LEAST_WORDS || camera.width - x > x;
  const room = Math.min(MOST_ROOM, (onRight ? camera.width - x : x) - beside);
  const text = pen.fit(`${many}${packetWords(flight, network?.name)}`, room);
  if (text === "") return;
  const left = onRight ? x + beside : x - beside - text.length * pen.character;
  pen.caption({ text, colour: palette.text }, left, y + FONT_SIZE / 2 - 1);
}
