/** The life of a packet, put together from what was seen of it. */
import type { Time } from "../../../src/base/time.ts";
import type { PacketMark } from "../../../src/kernel/marks.ts";
import { DROP_REASON_TEXTS } from "../../../src/kernel/reason-texts.ts";
import { type Dissection, dissect } from "../packets/dissect.ts";
import { asFrame } from "./flow.ts";
import { type Hop, type HopLog, packetOf } from "./hop-log.ts";
import { answerOf, questionOf } from "./pairs.ts";
import type { DropList, DropRow, Journey, JourneyLink, Stage } from "./protocol.ts";
import { endOf, type StageContext, StageMaker } from "./stages.ts";
import { FOR_OTHERS, roadTree } from "./tree.ts";

/** Packets that were sent because of another, at most, that are listed. */
const MOST_LINKS = 12;

/** The bytes of a hop as a frame; undefined where none were kept. */
export function frameOf({ frame, mark }: Hop): Uint8Array | undefined {
  if (frame !== undefined) return frame.data;
  const packet = mark && packetOf(mark);
  return packet && asFrame(packet.bytes, packet.atIp);
}

/** One line about a packet, from the first bytes that were seen of it. */
function dissectionOf(hops: readonly Hop[]): Dissection | undefined {
  for (const hop of hops) {
    const frame = frameOf(hop);
    if (frame !== undefined) return dissect(frame);
  }
  return undefined;
}

/** One line about a packet. */
export function summaryOf(hops: readonly Hop[]): string {
  const said = dissectionOf(hops);
  if (said === undefined) return "a packet of which nothing was kept";
  const { protocol, source, destination, summary } = said;
  const name = summary.startsWith(protocol) ? "" : `${protocol} `;
  return `${name}${source} → ${destination}  ${summary}`;
}

function outcome(stages: readonly Stage[], everyHop: boolean): Journey["end"] {
  const last = stages.at(-1);
  if (last?.kind === "deliver") return "delivered";
  if (last?.kind === "drop") return "dropped";
  return everyHop ? "under way" : "not recorded";
}

/** The life of a packet; undefined when it is forgotten. @param everyHop whether more than the trace's points was recorded */
export function journeyOf(log: HopLog, id: number, context: StageContext, everyHop: boolean): Journey | undefined {
  const hops = log.hops(id);
  if (hops === undefined) return undefined;
  const stages = new StageMaker(context).road(roadTree(hops));
  return {
    id,
    summary: summaryOf(hops),
    stages,
    end: outcome(stages, everyHop),
    endText: endOf(stages),
    links: linksOf(log, id),
    everyHop,
  };
}

function linksOf(log: HopLog, id: number): JourneyLink[] {
  const links: JourneyLink[] = [];
  const add = (relation: JourneyLink["relation"], journey: number | undefined): void => {
    const hops = journey === undefined ? undefined : log.hops(journey);
    if (journey === undefined || hops === undefined) return;
    links.push({ journey, relation, time: hops[0]?.time ?? 0, text: summaryOf(hops) });
  };
  const parent = log.parent(id);
  const children = log.children(id);
  add("sent because of", parent);
  if (parent === undefined) add("answer to", questionOf(log, id));
  for (const child of children.slice(0, MOST_LINKS)) add("caused", child);
  const answer = answerOf(log, id);
  if (answer !== undefined && !children.includes(answer)) add("answered by", answer);
  return links;
}

/** The drops that were seen, newest last. @param all with copies that were for somebody else */
export function dropsOf(log: HopLog, context: StageContext, all: boolean, most: number): DropList {
  const wanted = all ? log.drops : log.drops.filter(({ mark }) => !FOR_OTHERS.has(mark.reason));
  const rows = wanted.slice(-most).map(({ hop, mark }) => dropRow(hop, mark, context));
  return { rows, total: wanted.length, forgotten: log.dropsForgotten };
}

function dropRow(hop: Hop, mark: PacketMark & { readonly kind: "drop" }, context: StageContext): DropRow {
  const place = [context.hostName(hop.hostIndex), hop.namespace, hop.device].filter((part) => part !== "");
  return {
    journey: mark.journey,
    time: hop.time,
    place: place.join("/"),
    reason: mark.reason,
    text: DROP_REASON_TEXTS[mark.reason] ?? "",
    ...dissect(asFrame(mark.packet.bytes, mark.packet.atIp)),
  };
}

/** Whether an instant's hop comes before another. */
export function compareHops(a: HopOrder, b: HopOrder): number {
  return a.time - b.time || a.hostIndex - b.hostIndex || a.seq - b.seq;
}

/** What hops and captured frames are ordered by. */
export interface HopOrder {
  readonly time: Time;
  readonly hostIndex: number;
  readonly seq: number;
}

/** The place of a hop's frame in a list of captured frames, which is in order. */
export function indexIn(frames: readonly HopOrder[], hop: HopOrder): number | undefined {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareHops(frames[middle] as HopOrder, hop) < 0) low = middle + 1;
    else high = middle;
  }
  const found = frames[low];
  return found !== undefined && compareHops(found, hop) === 0 ? low : undefined;
}
