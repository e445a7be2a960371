/** Draws packets on their wires. */
import type { Time } from "../../../src/base/time.ts";
import type { Flight } from "../../session/scene/protocol.ts";
import type { SwarmModel } from "./model.ts";
import { networkColour } from "./palette.ts";
import { FONT_SIZE, type Pen } from "./pen.ts";

const RADIUS = 5;
/** So many packets have a word beside them; more would hide each other. */
const MOST_WORDS = 16;

/** A point of a way, after a part of it. @param points x and y in turns @param part 0…1 */
export function pointOn(points: readonly number[], part: number): readonly [number, number] {
  const lengths: number[] = [];
  let total = 0;
  for (let i = 2; i + 1 < points.length; i += 2) {
    const length = Math.hypot(at(points, i) - at(points, i - 2), at(points, i + 1) - at(points, i - 1));
    lengths.push(length);
    total += length;
  }
  let rest = total * Math.max(0, Math.min(1, part));
  for (const [n, length] of lengths.entries()) {
    const i = 2 * n;
    if (rest > length && n < lengths.length - 1) {
      rest -= length;
      continue;
    }
    const share = length === 0 ? 0 : Math.min(1, rest / length);
    const [x, y] = [at(points, i), at(points, i + 1)];
    return [x + share * (at(points, i + 2) - x), y + share * (at(points, i + 3) - y)];
  }
  return [at(points, 0), at(points, 1)];
}

function at(points: readonly number[], i: number): number {
  return points[i] ?? 0;
}

/** Draws those that are on a wire at that time. @param still where they move by themselves to nowhere: half-way */
export function drawFlights(pen: Pen, model: SwarmModel, time: Time, still: boolean): number {
  pen.origin(0, 0);
  const present = model.flights.filter(({ start, end }) => start <= time && time <= end);
  const words = present.length <= MOST_WORDS;
  for (const flight of present) {
    const part = still ? 0.5 : (time - flight.start) / Math.max(1, flight.end - flight.start);
    for (const to of flight.to) {
      const path = model.layout.path(flight.from, to);
      if (path === undefined) continue;
      const [x, y] = pointOn(path, part);
      drawFlight(pen, model, flight, pen.x(x), pen.y(y), words && flight.to.length === 1);
    }
  }
  return present.length;
}

function drawFlight(pen: Pen, model: SwarmModel, flight: Flight, x: number, y: number, words: boolean): void {
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
  if (!words) return;
  const inner = network === undefined ? "" : `${network.name}: `;
  const most = pen.px(600) < 120 ? 0 : 420;
  const text = pen.fit(`${inner}${flight.protocol} ${flight.summary.split(" | ").at(-1) ?? ""}`, most);
  if (text !== "") pen.caption({ text, colour: palette.text }, x + RADIUS + 5, y + FONT_SIZE / 2 - 1);
}
