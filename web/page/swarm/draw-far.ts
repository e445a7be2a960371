/** Draws a host that is small on the screen: a box with squares for its containers, coloured by network. */

import { LOAD, type Rect, squarePlace } from "./geometry.ts";
import { HOST_RECT } from "./interior.ts";
import type { HostState, SwarmModel } from "./model.ts";
import { networkColour } from "./palette.ts";
import { FONT_SIZE, type Pen } from "./pen.ts";

/** From this width on a square shows a state and whether its network is encrypted. */
const DETAILED = 5;
const NAME_WIDTH = 70;

/** Draws it. @param chosen it is selected @param dropped it has the latest drops */
export function drawFar(pen: Pen, model: SwarmModel, host: HostState, chosen: boolean, dropped: boolean): void {
  const { palette } = pen;
  pen.origin(host.box.x, host.box.y);
  pen.fill(HOST_RECT, host.off ? palette.back : palette.panel);
  if (!host.off) drawLoad(pen, host);
  for (const { slot, container, network } of host.squares(model.networks)) {
    const place = squarePlace(slot);
    const colour = networkColour(palette, network?.colour);
    const size = pen.px(place.width);
    if (size < 0.4) continue;
    const running = container.state === "running";
    if (running || size < DETAILED) pen.fill(place, running ? colour : palette.line);
    else pen.frame(place, { colour, width: 1 });
    if (network?.encrypted === true && size >= DETAILED) drawKey(pen, place);
  }
  const width = pen.px(HOST_RECT.width);
  if (width >= 14) pen.frame(HOST_RECT, { colour: host.off ? palette.wrong : palette.edge, width: 1 });
  if (chosen) pen.frame({ x: -30, y: -30, width: 1020, height: 660 }, { colour: palette.mark, width: 2 });
  if (host.off) pen.cross(pen.x(HOST_RECT.width / 2), pen.y(HOST_RECT.height / 2), Math.min(10, width / 4));
  if (dropped) drawDrop(pen, HOST_RECT);
  if (width >= NAME_WIDTH) {
    const { name } = host.place;
    pen.text({ text: name, colour: palette.text }, pen.x(0) + 3, pen.y(0) + FONT_SIZE, width - 6);
  }
}

/** How much its wires carry: the strip fills up, a fifth for each factor of ten from 10 kbit/s on. */
function drawLoad(pen: Pen, host: HostState): void {
  const { load } = host;
  if (load < 1) return;
  const part = Math.max(0.06, Math.min(1, (Math.log10(load) - 4) / 5));
  pen.fill({ ...LOAD, width: LOAD.width * part }, pen.palette.mark);
}

/** A hole in the middle: what it says is encrypted. */
function drawKey(pen: Pen, { x, y, width, height }: { x: number; y: number; width: number; height: number }): void {
  pen.fill({ x: x + 0.35 * width, y: y + 0.3 * height, width: 0.3 * width, height: 0.4 * height }, pen.palette.back);
}

/** A red triangle in the upper right corner: the last packet that was dropped anywhere was dropped here. */
export function drawDrop(pen: Pen, { x, y, width, height }: Rect): void {
  const { context, palette } = pen;
  const [right, top] = [pen.x(x + width), pen.y(y)];
  const size = Math.max(4, Math.min(12, pen.px(0.6 * height)));
  context.fillStyle = palette.wrong;
  context.beginPath();
  context.moveTo(right - size, top);
  context.lineTo(right, top);
  context.lineTo(right, top + size);
  context.fill();
}
