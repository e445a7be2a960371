/** Draws packets on their wires. */
import type { Time } from "../../../src/base/time.ts";
import type { Flight } from "../../session/scene/protocol.ts";
import type { SwarmModel } from "./model.ts";
import { packetWords } from "./packet-words.ts";
import { networkColour } from "./palette.ts";
import { FONT_SIZE, type Pen } from "./pen.ts";
import { pointOn } from "./way.ts";

const RADIUS = 5;
/** So many packets have a word beside them; more would hide each other. */
const MOST_WORDS = 16;

/** Packets at one place. */
interface Spot {
  readonly flight: Flight;
  readonly x: number;
  readonly y: number;
  /** All of it has one receiver. */
  readonly single: boolean;
  count: number;
}

/** Draws those that are on a wire at that time. @param still where they move by themselves to nowhere: half-way */
export function drawFlights(pen: Pen, model: SwarmModel, time: Time, still: boolean): number {
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
  for (const spot of spots.values()) drawSpot(pen, model, spot, spots.size <= MOST_WORDS);
  return present.length;
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
  const most = pen.px(600) < 50 ? 0 : 420;
  const many = count === 1 ? "" : `${count} × `;
  const text = pen.fit(`${many}${packetWords(flight, network?.name)}`, most);
  if (text === "") return;
  const width = text.length * pen.character;
  const right = x + RADIUS + 5;
  const left = right + width > camera.width ? x - RADIUS - 5 - width : right;
  pen.caption({ text, colour: palette.text }, left, y + FONT_SIZE / 2 - 1);
}
