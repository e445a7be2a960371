/** Draws the inside of a host that is large enough on the screen. */
import type { LinkStats } from "../../../src/kernel/types.ts";
import type { Sighting } from "../../session/scene/protocol.ts";
import { withoutDigest } from "./describe.ts";
import { drawDrop } from "./draw-far.ts";
import { CARD, HEADER, RAIL, type Rect, TRUNK } from "./geometry.ts";
import { type Box, type DeviceMark, HOST_RECT, type Interior, type Rail, trunkOf } from "./interior.ts";
import type { HostState, SwarmModel } from "./model.ts";
import type { ShownNetwork } from "./networks.ts";
import { packetWords } from "./packet-words.ts";
import { networkColour } from "./palette.ts";
import { FONT_SIZE, LINE_HEIGHT, type Pen, type Stroke, type TextLine } from "./pen.ts";
import { byteCount } from "./units.ts";

/** What an encrypted network's lines look like. */
export const ENCRYPTED_DASH = [7, 3] as const;
/** From this many pixels on a port has its name beside it. */
const PORT_WITH_NAME = 9;
/** From this many on it has room for it inside. */
const PORT_WITH_ROOM = 76;
/** Thickness of a bridge's bar at most, in pixels. */
const BAR = 12;

/** What is marked in a host. */
export interface Marked {
  /** Key of the selected box, or `namespace/ifindex` of a device; empty: the host itself; undefined: nothing here. */
  readonly chosen: string | undefined;
  /** The last packet that was dropped anywhere was dropped here: at that `namespace/device`; "" where that isn't known. */
  readonly dropped: string | undefined;
  /** The last packet seen at each device, by `namespace/device`. */
  readonly sightings: ReadonlyMap<string, Sighting>;
}

/** Draws it. */
export function drawInside(pen: Pen, model: SwarmModel, host: HostState, marked: Marked): void {
  const { palette } = pen;
  pen.origin(host.box.x, host.box.y);
  pen.fill(HOST_RECT, host.off ? palette.back : palette.panel);
  pen.frame(HOST_RECT, { colour: host.off ? palette.wrong : palette.edge, width: 1 });
  if (marked.chosen === "") frameChosen(pen, HOST_RECT);
  drawTitle(pen, host);
  if (marked.dropped !== undefined) drawDrop(pen, HOST_RECT);
  const interior = host.interior(model.networks);
  if (interior === undefined) {
    if (host.off) pen.cross(pen.x(HOST_RECT.width / 2), pen.y(HOST_RECT.height / 2), 14);
    return;
  }
  pen.line(trunkOf(interior), { colour: palette.edge, width: 1 });
  for (const rail of interior.rails) drawRail(pen, rail);
  for (const { network, points, up } of interior.lines) {
    if (up) pen.line(points, networkStroke(pen, network, 1.5));
    else pen.line(points, { colour: palette.wrong, width: 1, dash: [3, 3] });
  }
  for (const rail of interior.rails) drawRailName(pen, rail);
  for (const box of interior.boxes) drawBox(pen, box, marked.chosen === box.key);
  drawMarks(pen, host, interior, marked);
}

function networkStroke({ palette }: Pen, network: ShownNetwork | undefined, width: number): Stroke {
  const colour = networkColour(palette, network?.colour);
  return network?.encrypted === true ? { colour, width, dash: ENCRYPTED_DASH } : { colour, width };
}

function frameChosen(pen: Pen, rect: Rect): void {
  const out = 3 / pen.camera.scale;
  const { x, y, width, height } = rect;
  const around = { x: x - out, y: y - out, width: width + 2 * out, height: height + 2 * out };
  pen.frame(around, { colour: pen.palette.mark, width: 2 });
}

function drawTitle(pen: Pen, host: HostState): void {
  const { palette } = pen;
  const { place, scene, off } = host;
  const room = { x: 0, y: 0, width: CARD.first - CARD.width / 2, height: HEADER };
  const role = off ? "switched off" : scene?.daemon === false ? "dockerd is stopped" : (scene?.node ?? "");
  const node = role === "none" || role === "" ? "no swarm" : role;
  const address = place.wires.map((wire) => wire.address.split("/")[0]).join(" ");
  const [x, y] = [pen.x(0) + 4, pen.y(0) + Math.max(FONT_SIZE - 1, Math.min(LINE_HEIGHT, pen.px(HEADER) / 2 + 5) - 1)];
  const name = pen.fit(place.name, pen.px(room.width) - 4);
  pen.text({ text: name, colour: palette.text, bold: true }, x, y);
  const rest = { text: `${address} ${node}`, colour: off || scene?.daemon === false ? palette.wrong : palette.dim };
  const used = (name.length + 1) * pen.character;
  if (pen.px(HEADER) >= 2 * LINE_HEIGHT) pen.text(rest, x, y + LINE_HEIGHT, pen.px(room.width) - 8);
  else pen.text(rest, x + used, y, pen.px(room.width) - used - 8);
  if (host.dropped === 0) return;
  const text = `${host.dropped} dropped`;
  const end = pen.x(HOST_RECT.width) - text.length * pen.character - 18;
  if (end > pen.x(CARD.first + CARD.width / 2)) pen.text({ text, colour: palette.dim }, end, y);
}

function drawRail(pen: Pen, rail: Rail): void {
  const { palette } = pen;
  const { frame, y, thickness, from, to, network, bridge } = rail;
  const colour = networkColour(palette, network?.colour);
  if (frame !== undefined && pen.px(frame.height) >= 8) pen.frame(frame, { colour: palette.line, width: 1 });
  const stub = { colour: palette.edge, width: 1 };
  pen.line([TRUNK.x, y, RAIL.device, y], stub);
  const height = Math.min(thickness, BAR / pen.camera.scale);
  const bar = { x: from, y: y - height / 2, width: to - from, height };
  if (bridge.up) pen.fill(bar, colour);
  else pen.frame(bar, { colour, width: 1 });
  if (network?.encrypted === true) {
    const stroke = { colour: palette.back, width: Math.max(1, pen.px(height) * 0.3), dash: [3, 7] };
    pen.line([from, y, to, y], stroke);
  }
}

/** What a bridge is called, over the wires, at the end of the bar where the fewest are. */
function drawRailName(pen: Pen, rail: Rail): void {
  const { y, thickness, to } = rail;
  const bottom = y - thickness / 2;
  if (pen.px(bottom - railTop(rail)) < FONT_SIZE - 3) return;
  const width = pen.px(to - RAIL.bar) - 8;
  const words = railWords(rail);
  while (words.length > 1 && words.join(" · ").length * pen.character > 0.6 * width) words.pop();
  const text = pen.fit(words.join(" · "), width);
  const x = pen.x(to) - 4 - text.length * pen.character;
  pen.context.fillStyle = pen.palette.panel;
  pen.context.fillRect(x - 2, pen.y(bottom) - FONT_SIZE, text.length * pen.character + 4, FONT_SIZE - 1);
  pen.text({ text, colour: pen.palette.text }, x, pen.y(bottom) - 2);
}

function railTop({ frame, y, thickness }: Rail): number {
  return frame === undefined ? y - 5.8 * thickness : frame.y;
}

/** The most important first. */
function railWords({ network, name }: Rail): string[] {
  if (network === undefined) return [name];
  const { vnis, subnets, encrypted, driver } = network;
  return [
    network.name,
    ...(vnis.length === 0 && network.name !== name ? [name] : []),
    ...(encrypted ? ["encrypted"] : []),
    ...(vnis.length > 0 ? [`VNI ${vnis.join(" ")}`] : []),
    subnets.join(" "),
    ...(vnis.length === 0 ? [driver] : [name]),
  ];
}

function drawBox(pen: Pen, { rect, container, name, networks }: Box, chosen: boolean): void {
  const { palette } = pen;
  const running = container === undefined || container.state === "running";
  const colour = networkColour(palette, networks[0]?.colour);
  pen.fill(rect, palette.back);
  const balancer = container === undefined;
  pen.frame(rect, running ? { colour, width: 1 } : { colour: palette.dim, width: 1, dash: [3, 3] });
  if (chosen) frameChosen(pen, rect);
  const below = balancer
    ? { ...rect, height: 0.55 * rect.height }
    : { ...rect, y: rect.y + 0.28 * rect.height, height: 0.7 * rect.height };
  const service = container?.service;
  const texts: TextLine[] = [
    { text: shortName(name, service), colour: palette.text },
    ...(running ? [] : [{ text: container?.state ?? "", colour: palette.wrong }]),
    ...(service === undefined ? [] : [{ text: service, colour: palette.dim }]),
    ...(container === undefined ? [] : [{ text: withoutDigest(container.image), colour: palette.dim }]),
    ...(container === undefined ? [] : [{ text: container.id.slice(0, 12), colour: palette.dim }]),
  ];
  pen.lines(below, texts);
}

/** A task's name without its ID. */
export function shortName(name: string, service: string | undefined): string {
  return service === undefined ? name : name.split(".").slice(0, -1).join(".") || name;
}

function drawMarks(pen: Pen, host: HostState, { marks, router }: Interior, marked: Marked): void {
  const { palette } = pen;
  if (router !== undefined) {
    pen.fill(router, palette.panel);
    pen.frame(router, { colour: palette.edge, width: 1 });
  }
  for (const mark of marks) {
    const key = `${mark.namespace}/${mark.device.index}`;
    const names = host.scene?.namespaces[mark.namespace];
    const seen = marked.sightings.get(`${names?.name ?? ""}/${mark.device.name}`);
    drawMark(pen, mark, host.counts.get(key), seen !== undefined);
    if (marked.chosen === key) frameChosen(pen, mark.rect);
    if (seen !== undefined) drawSighting(pen, mark, seen);
    if (marked.dropped === `${names?.name ?? ""}/${mark.device.name}`) drawDrop(pen, mark.rect);
  }
}

/** @param seen a packet was seen there */
function drawMark(pen: Pen, mark: DeviceMark, counts: LinkStats | undefined, seen: boolean): void {
  const { palette } = pen;
  const { rect, device, network, kind } = mark;
  if (kind === "bridge" && seen) drawLit(pen, rect);
  if (kind === "bridge" || pen.px(rect.width) < 3) return;
  const colour = kind === "card" ? palette.edge : networkColour(palette, network?.colour);
  const down = !device.up || !device.carrier;
  if (kind === "port" && pen.px(rect.width) < PORT_WITH_ROOM) {
    pen.fill(rect, seen ? palette.mark : down ? palette.back : colour);
    pen.frame(rect, { colour: down ? palette.wrong : palette.back, width: 1 });
    if (seen) drawLit(pen, rect);
    drawPortName(pen, mark, counts);
    return;
  }
  const small = pen.px(rect.height) < FONT_SIZE;
  pen.fill(rect, seen ? (small ? palette.mark : palette.chosen) : palette.back);
  pen.frame(rect, { colour: down ? palette.wrong : seen ? palette.mark : colour, width: 1 });
  pen.lines(rect, deviceTexts(pen, mark, counts));
}

/** What is said of a device, the most important first. */
function deviceTexts({ palette }: Pen, { device, kind }: DeviceMark, counts: LinkStats | undefined): TextLine[] {
  const { name, addresses, mac, mtu, up, vni } = device;
  const dim = (text: string): TextLine => ({ text, colour: palette.dim });
  const { portNo } = device;
  return [
    { text: up ? name : `${name} down`, colour: up ? palette.text : palette.wrong },
    ...(kind === "vxlan" ? [dim(`VNI ${vni}`)] : kind === "port" ? [dim(`port ${portNo}`)] : addresses.map(dim)),
    dim(mac),
    ...(counts === undefined
      ? []
      : [
          dim(`RX ${counts.rxPackets} ${byteCount(counts.rxBytes)}`),
          dim(`TX ${counts.txPackets} ${byteCount(counts.txBytes)}`),
          ...(counts.rxDropped + counts.txDropped > 0
            ? [{ text: `${counts.rxDropped + counts.txDropped} dropped`, colour: palette.wrong }]
            : []),
        ]),
    dim(`mtu ${mtu}`),
  ];
}

function drawPortName(pen: Pen, { rect, device, ...rest }: DeviceMark, counts: LinkStats | undefined): void {
  const { palette } = pen;
  const size = pen.px(rect.width);
  if (size < PORT_WITH_NAME) return;
  const [x, y] = [pen.x(rect.x) + size + 4, pen.y(rect.y)];
  if (size < 3 * LINE_HEIGHT) {
    pen.caption({ text: pen.fit(device.name, 80), colour: palette.text }, x, y + size / 2 - 4 + FONT_SIZE);
    return;
  }
  const texts = deviceTexts(pen, { rect, device, ...rest }, counts);
  for (const [i, text] of texts.entries()) pen.caption(text, x, y + FONT_SIZE + i * LINE_HEIGHT);
}

/** An edge around what has seen a packet. */
function drawLit(pen: Pen, { x, y, width, height }: Rect): void {
  const out = 1 / pen.camera.scale;
  const around = { x: x - out, y: y - out, width: width + 2 * out, height: height + 2 * out };
  pen.frame(around, { colour: pen.palette.mark, width: 1 });
}

/** The last packet that a device saw, below it. */
function drawSighting(pen: Pen, { rect }: DeviceMark, sighting: Sighting): void {
  const { palette, context } = pen;
  if (pen.px(rect.height) < 2 * LINE_HEIGHT) return;
  const text = pen.fit(`${sighting.out ? "→" : "←"} ${packetWords(sighting)}`, 420);
  const [x, y] = [pen.x(rect.x), pen.y(rect.y + rect.height) + LINE_HEIGHT];
  context.fillStyle = palette.chosen;
  context.fillRect(x - 2, y - FONT_SIZE, text.length * pen.character + 4, LINE_HEIGHT);
  pen.text({ text, colour: palette.text }, x, y);
}
