/** Draws switches, their links and the hosts' wires: what they carry, and what is broken. */
import { faultWords, percent } from "./fault-words.ts";
import { CARD } from "./geometry.ts";
import type { FabricLine } from "./layout.ts";
import type { HostState, SwarmModel } from "./model.ts";
import { FONT_SIZE, LINE_HEIGHT, type Pen, type Stroke } from "./pen.ts";
import { bitRate, loadWidth } from "./units.ts";

/** Below this many pixels from bar to card a wire is but a line. */
const ROOM_FOR_RATES = 30;
/** Rates beside a wire take about as much. */
const RATES_WIDTH = 110;
const BROKEN_DASH = [5, 4] as const;
const LOSSY_DASH = [2, 3] as const;

/** Draws it. */
export function drawUnderlay(pen: Pen, model: SwarmModel): void {
  pen.origin(0, 0);
  for (const line of model.layout.links) drawLink(pen, model, line);
  const bar = { colour: pen.palette.edge, width: Math.max(1, Math.min(3, pen.px(8))) };
  for (const { points } of model.layout.lines) pen.line(points, bar);
  for (const host of model.hosts) drawWires(pen, host);
  drawSwitches(pen, model);
}

function drawSwitches(pen: Pen, { layout }: SwarmModel): void {
  const { palette } = pen;
  for (const { name, kind, rect } of layout.switches) {
    if (!pen.camera.sees(rect)) continue;
    pen.fill(rect, palette.panel);
    pen.frame(rect, { colour: palette.edge, width: 1 });
    const what = kind === "switch" ? "layer 2" : kind;
    pen.lines(rect, [
      { text: name, colour: palette.text, bold: true },
      { text: what, colour: palette.dim },
    ]);
  }
}

function drawLink(pen: Pen, model: SwarmModel, { leaf, spine, points }: FabricLine): void {
  const { palette } = pen;
  let [bits, drops] = [0, 0];
  for (const link of model.links) {
    if (link.leaf !== leaf || link.spine !== spine) continue;
    bits += link.bits;
    drops += link.drops;
  }
  const fault = model.linkFaults.find((one) => one.leaf === leaf && one.spine === spine);
  pen.line(points, linkStroke(pen, bits, fault));
  const [x, y] = [(pen.x(points[0]) + pen.x(points[2])) / 2, (pen.y(points[1]) + pen.y(points[3])) / 2];
  if (fault?.down === true) pen.cross(x, y, 5);
  if (pen.px(HOST_ROOM) < 100) return;
  const texts = [
    ...(bits >= 1 ? [{ text: bitRate(bits), colour: palette.text }] : []),
    ...(drops > 0 ? [{ text: `${drops} dropped`, colour: palette.wrong }] : []),
    ...(fault !== undefined && fault.loss > 0 ? [{ text: `loss ${percent(fault.loss)}`, colour: palette.wrong }] : []),
  ];
  for (const [i, text] of texts.entries()) pen.caption(text, x + 6, y + i * LINE_HEIGHT);
}

/** Units of a drawing in which texts at links have room. */
const HOST_ROOM = 600;

/** Wires of hosts that are small aren't wider than these. */
const WIDEST = 60;

function linkStroke(
  { palette, camera }: Pen,
  bits: number,
  fault: { readonly down: boolean; readonly loss: number } | undefined,
): Stroke {
  if (fault?.down === true) return { colour: palette.wrong, width: 1, dash: BROKEN_DASH };
  if (fault !== undefined && fault.loss > 0) return { colour: palette.wrong, width: 1.5, dash: LOSSY_DASH };
  if (bits < 1) return { colour: palette.line, width: 1 };
  return { colour: palette.mark, width: Math.max(1, Math.min(loadWidth(bits), WIDEST * camera.scale)) };
}

function drawWires(pen: Pen, host: HostState): void {
  const { palette, camera } = pen;
  for (const [i, { x, top, bottom }] of host.box.wires.entries()) {
    if (!camera.sees({ x: x - 100, y: top, width: 200, height: bottom - top })) continue;
    const rate = host.wires[i];
    const fault = host.faults[i];
    const bits = (rate?.rxBits ?? 0) + (rate?.txBits ?? 0);
    const down = host.off || fault?.down === true || rate?.up === false;
    pen.line([x, top, x, bottom], linkStroke(pen, bits, down ? { down, loss: 0 } : fault));
    const room = pen.px(bottom - top);
    const middle = (pen.y(top) + pen.y(bottom)) / 2;
    if (fault?.down === true && room >= 4) pen.cross(pen.x(x), middle, Math.min(6, room / 3));
    if (room < ROOM_FOR_RATES) continue;
    const [left, line] = [pen.x(x) + 8, middle - LINE_HEIGHT / 2];
    const apart = i === host.box.wires.length - 1 || pen.px(CARD.step) >= RATES_WIDTH;
    const words = fault === undefined ? [] : faultWords(fault, host.place.wires[i]?.latency);
    if (rate !== undefined && bits >= 1 && apart) {
      pen.text({ text: `↑ ${bitRate(rate.txBits)}`, colour: palette.text }, left, line + FONT_SIZE / 2);
      pen.text({ text: `↓ ${bitRate(rate.rxBits)}`, colour: palette.text }, left, line + FONT_SIZE / 2 + LINE_HEIGHT);
    }
    for (const [n, text] of words.entries()) {
      const width = text.length * pen.character;
      pen.text({ text, colour: palette.wrong }, pen.x(x) - 8 - width, line + FONT_SIZE / 2 + n * LINE_HEIGHT);
    }
  }
}
