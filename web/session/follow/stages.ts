/** Stages of a packet's life along the roads of its tree. */
import { formatIpv4 } from "../../../src/base/addr.ts";
import type { PacketMark } from "../../../src/kernel/marks.ts";
import type { End } from "../../../src/lab/inspect/entry-ref.ts";
import { changesBetween } from "./changes.ts";
import { type Flow, flowOf } from "./flow.ts";
import { type Hop, packetOf } from "./hop-log.ts";
import { type Layer, layersOf } from "./layers.ts";
import type { Branch, Stage } from "./protocol.ts";
import { markText } from "./stage-texts.ts";
import { FOR_OTHERS, mainChild, type TreeNode } from "./tree.ts";

/** Branches that are listed of one place, and stages of a journey at most. */
const MOST_BRANCHES = 24;
const MOST_STAGES = 4000;

/** What is known beside the hops. */
export interface StageContext {
  hostName(index: number): string;
  /** Its place in the packet list. */
  indexOf(hop: Hop): number | undefined;
}

/** What a road has seen of the packet so far. */
interface Seen {
  readonly layers: readonly Layer[] | undefined;
  readonly flow: Flow | undefined;
  readonly rule: (PacketMark & { readonly kind: "rule" }) | undefined;
}

const NOTHING: Seen = { layers: undefined, flow: undefined, rule: undefined };

/** How far a road's stages go, in words. */
export function endOf(stages: readonly Stage[]): string {
  const last = stages.at(-1);
  if (last === undefined) return "";
  const place = `${last.host}${last.namespace === "" ? "" : `/${last.namespace}`}`;
  if (last.kind === "deliver" || last.kind === "drop") return `${last.title}, ${place}`;
  return `last seen on ${place}${last.device === "" ? "" : `/${last.device}`}`;
}

/** Turns trees into stages. */
export class StageMaker {
  readonly #context: StageContext;
  #made = 0;

  constructor(context: StageContext) {
    this.#context = context;
  }

  /** The main road from a node on, with branches. */
  road(from: TreeNode): Stage[] {
    return this.#road(from, NOTHING);
  }

  #road(from: TreeNode, before: Seen): Stage[] {
    const stages: Stage[] = [];
    let seen = before;
    for (let node: TreeNode | undefined = from; node !== undefined && this.#made < MOST_STAGES; ) {
      const main: TreeNode | undefined = mainChild(node);
      const after = look(node.hop, seen);
      const others = node.children.filter((child) => child !== main);
      const stage = this.#stage(node, seen, after, main, others);
      seen = after;
      if (stage !== undefined) {
        stages.push(stage);
        this.#made++;
      }
      node = main;
    }
    return stages;
  }

  #stage(
    node: TreeNode,
    seen: Seen,
    after: Seen,
    next: TreeNode | undefined,
    others: readonly TreeNode[],
  ): Stage | undefined {
    const { hop, key } = node;
    const { frame, mark } = hop;
    if (mark?.kind === "cause" && others.length === 0) return undefined;
    if (absorbed(hop, next) && others.length === 0) return undefined;
    const branches = others
      .slice(0, MOST_BRANCHES)
      .map((other) => this.#road(other, after))
      .filter((stages) => stages.length > 0)
      .map((stages): Branch => ({ stages, end: endOf(stages) }));
    const text = mark === undefined ? undefined : markText(mark, seen);
    const { namespace } = hop;
    return {
      key,
      time: hop.time,
      host: this.#context.hostName(hop.hostIndex),
      namespace,
      device: hop.device,
      kind: text?.kind ?? "frame",
      title: text?.title ?? `${hop.device} ${frame?.direction === 1 ? "in" : "out"}`,
      detail: text?.detail ?? `${frame?.length ?? 0} bytes`,
      changes: changesBetween(seen.layers, after.layers ?? []),
      index: frame === undefined ? undefined : this.#context.indexOf(hop),
      bytes: frame !== undefined || (mark !== undefined && packetOf(mark) !== undefined),
      entry: text?.ref === undefined ? undefined : { namespace, ref: text.ref },
      reason: mark?.kind === "drop" ? mark.reason : undefined,
      branches,
      moreBranches: Math.max(0, others.length - MOST_BRANCHES),
    };
  }
}

/** A rule whose effect is the next mark is said there. */
function absorbed({ mark }: Hop, next: TreeNode | undefined): boolean {
  if (mark?.kind !== "rule") return false;
  const effect = next?.hop.mark;
  if (effect?.kind === "nat") return effect.namespace === mark.namespace && effect.hostIndex === mark.hostIndex;
  return effect?.kind === "drop" && effect.reason === "NETFILTER_DROP";
}

/** What a mark says was rewritten: fields of the outermost IPv4 header, and of what is in it. */
function rewritten(mark: PacketMark): readonly (readonly [string, string])[] {
  if (mark.kind === "nat") return ends(mark.end, mark.to);
  if (mark.kind !== "ipvs" || mark.method !== "masquerade") return [];
  return mark.reply ? ends("source", mark.service) : ends("destination", mark.destination);
}

function rewrittenEnds(mark: PacketMark): Partial<Pick<Flow, "source" | "destination">> {
  if (mark.kind === "nat") return { [mark.end]: mark.to };
  if (mark.kind !== "ipvs" || mark.method !== "masquerade") return {};
  return mark.reply ? { source: mark.service } : { destination: mark.destination };
}

function ends(end: "source" | "destination", { ip, port }: End): readonly (readonly [string, string])[] {
  return [
    [end, formatIpv4(ip)],
    [`${end} port`, String(port)],
  ];
}

/** The layers with those fields rewritten. */
function rewrite(layers: readonly Layer[], changes: readonly (readonly [string, string])[]): readonly Layer[] {
  const at = layers.findIndex(({ name }) => name === "IPv4");
  const values = new Map(changes);
  return layers.map((layer, i) =>
    at < 0 || i < at || i > at + 1
      ? layer
      : { ...layer, fields: layer.fields.map(([name, value]) => [name, values.get(name) ?? value] as const) },
  );
}

/** What is in a tunnel; undefined where that was encrypted. */
function insideOf(layers: readonly Layer[]): readonly Layer[] | undefined {
  const at = layers.findIndex(({ name }) => name === "VXLAN");
  return at < 0 ? undefined : layers.slice(at + 1);
}

/** What is known behind a hop. */
function look({ frame, mark }: Hop, seen: Seen): Seen {
  const packet = frame !== undefined ? { bytes: frame.data, atIp: false } : mark && packetOf(mark);
  if (packet !== undefined) {
    const layers = layersOf(packet.bytes, packet.atIp);
    // What a drop has of a packet may be a part of it: nothing has changed by that.
    const kept = mark?.kind === "drop" ? seen.layers : layers;
    return { layers: kept, flow: flowOf(packet.bytes, packet.atIp) ?? seen.flow, rule: undefined };
  }
  if (mark?.kind === "rule") return { ...seen, rule: mark };
  if (mark?.kind === "nat" || mark?.kind === "ipvs") {
    const layers = seen.layers && rewrite(seen.layers, rewritten(mark));
    const flow = seen.flow && { ...seen.flow, ...rewrittenEnds(mark) };
    return { layers, flow, rule: undefined };
  }
  if (mark?.kind === "vxlan-in")
    return { layers: seen.layers && insideOf(seen.layers), flow: undefined, rule: undefined };
  return { ...seen, rule: mark?.kind === "route" ? undefined : seen.rule };
}

/** Whether a stage is an end that says nothing but that a copy was for somebody else. */
export function forOthers({ reason }: Stage): boolean {
  return reason !== undefined && FOR_OTHERS.has(reason);
}
