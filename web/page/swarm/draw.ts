/** One picture of the swarm: what is in sight, as closely as its size on the screen allows. */
import type { Time } from "../../../src/base/time.ts";
import type { Sighting } from "../../session/scene/protocol.ts";
import { drawFar } from "./draw-far.ts";
import { drawFlights, type Spot } from "./draw-flights.ts";
import { drawInside } from "./draw-inside.ts";
import { drawUnderlay } from "./draw-underlay.ts";
import { HOST, ROUTER } from "./geometry.ts";
import type { HostState, SwarmModel } from "./model.ts";
import type { Pen } from "./pen.ts";
import { INSIDE_WIDTH, type Selection } from "./selection.ts";

/** What a picture is of, beside the model. */
export interface Picture {
  readonly selection: Selection | undefined;
  /** Place in the packet list of the packet that is selected there. */
  readonly packet: number | undefined;
  /** At which packets are shown. */
  readonly time: Time;
  /** Nothing is to move. */
  readonly still: boolean;
  /** Device pixels a pixel. */
  readonly density: number;
}

/** What was drawn. */
export interface Drawn {
  /** Hosts in sight, and those of them that are large enough to show their inside. */
  readonly hosts: number;
  readonly inside: readonly HostState[];
  readonly packets: readonly Spot[];
}

/** Draws it. */
export function draw(pen: Pen, model: SwarmModel, { selection, packet, time, still, density }: Picture): Drawn {
  pen.begin(density);
  drawUnderlay(pen, model);
  const near = pen.px(HOST.width) >= INSIDE_WIDTH;
  const latest = latestDrops(model);
  const sightings = near ? sightingsByHost(model) : new Map<number, Map<string, Sighting>>();
  const none = new Map<string, Sighting>();
  const inside: HostState[] = [];
  let hosts = 0;
  for (const host of model.hosts) {
    const { x, y } = host.box;
    if (!pen.camera.sees({ x, y: y - ROUTER.height, width: HOST.width, height: HOST.height + ROUTER.height })) continue;
    hosts++;
    const dropped = latest.get(host.index);
    const chosen = selection?.host === host.index ? selection.key : undefined;
    if (near) {
      inside.push(host);
      drawInside(pen, model, host, { chosen, dropped, sightings: sightings.get(host.index) ?? none });
    } else drawFar(pen, model, host, chosen !== undefined, dropped !== undefined);
  }
  return { hosts, inside, packets: drawFlights(pen, model, time, { still, chosen: packet }) };
}

/** Hosts that dropped a packet last, with the device where that is known; "" where it isn't. */
export function latestDrops({ hosts, lastDrop }: SwarmModel): Map<number, string> {
  if (lastDrop !== undefined) return new Map([[lastDrop.host, lastDrop.point]]);
  let latest: Time | undefined;
  for (const { lastDrops } of hosts)
    if (lastDrops !== undefined && (latest === undefined || lastDrops.time > latest)) latest = lastDrops.time;
  if (latest === undefined) return new Map();
  return new Map(hosts.flatMap(({ index, lastDrops }) => (lastDrops?.time === latest ? [[index, ""]] : [])));
}

/** The last packet at each device, of those that were seen lately. */
function sightingsByHost({ sightings, trail }: SwarmModel): Map<number, Map<string, Sighting>> {
  const out = new Map<number, Map<string, Sighting>>();
  const from = (sightings.at(-1)?.time ?? 0) - trail;
  for (const sighting of sightings) {
    if (sighting.time < from) continue;
    const own = out.get(sighting.host) ?? new Map<string, Sighting>();
    out.set(sighting.host, own.set(sighting.point, sighting));
  }
  return out;
}
