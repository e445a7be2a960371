/** Looks at a lab's hosts again and again: what has changed since the look before. */
import type { Time } from "../../../src/base/time.ts";
import type { HostPulse, HostScene, WireCount } from "../../../src/lab/inspect/scene.ts";
import type { LabSession } from "../../../src/lab/session.ts";
import type { LinkSummary } from "../../../src/scheduler/counters.ts";
import { FOR_OTHERS } from "../follow/tree.ts";
import { Flights, type FrameSource } from "./flights.ts";
import type { FabricRate, HostUpdate, SceneLook, SceneTopology, SceneUpdate, WireRate } from "./protocol.ts";
import { type HopSource, lastDrop, sightings } from "./sightings.ts";
import { sceneTopology } from "./topology.ts";

/** Hosts told of in full in one look at most: what a look takes stays short. */
const MOST_SCENES = 64;

/** What the page knows of a host. */
interface Known {
  revision: string | undefined;
  off: boolean;
  wires: readonly WireCount[];
  drops: Readonly<Record<string, number>>;
  /** Its wires stood still at the last look, and the page knows. */
  idle: boolean;
}

const NOTHING: Known = { revision: undefined, off: false, wires: [], drops: {}, idle: false };

/** What a look is at. */
export interface Watched {
  readonly lab: Pick<LabSession, "plan" | "inspect" | "cluster">;
  readonly frames: FrameSource;
  readonly hops: HopSource;
  /** The run's. */
  readonly seed: string;
}

/** The page's eye on one lab. */
export class SceneWatch {
  readonly topology: SceneTopology;
  readonly #watched: Watched;
  readonly #names: readonly string[];
  readonly #flights: Flights;
  #known: Known[];
  #links: readonly LinkSummary[] = [];
  #last: Time | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.topology = sceneTopology(watched.lab.plan);
    this.#names = this.topology.hosts.map(({ name }) => name);
    this.#flights = new Flights(this.topology, watched.seed);
    this.#known = this.#names.map(() => ({ ...NOTHING }));
  }

  /** What has changed since the look before. */
  async look({ fresh, near, packets }: SceneLook): Promise<SceneUpdate> {
    if (fresh) {
      this.#known = this.#names.map(() => ({ ...NOTHING }));
      this.#last = undefined;
    }
    const { lab, frames, hops } = this.#watched;
    const pulses = await lab.inspect(this.#names, { kind: "pulse" });
    const { now } = lab.cluster;
    const span = this.#last === undefined ? 0 : now - this.#last;
    this.#last = now;
    const { scenes, more } = await this.#scenes(pulses, near);
    const hosts = pulses.flatMap((pulse, host) => this.#host(host, pulse, scenes.get(host), span));
    const nearby = this.#names.flatMap((name, host) => (near.includes(name) ? [host] : []));
    const counts = await lab.inspect(
      nearby.map((host) => this.#names[host] as string),
      { kind: "counts" },
    );
    const links = this.topology.fabric === undefined ? [] : await this.#fabric(span);
    const faults = lab.cluster.wires();
    return {
      now,
      span,
      hosts,
      more,
      links,
      faults,
      counts: nearby.flatMap((host, i) => (counts[i] === undefined ? [] : [{ host, counts: counts[i] }])),
      flights: packets > 0 ? this.#flights.at(frames, now - packets, now, faults.links) : [],
      sightings: packets > 0 ? sightings(hops, now - packets) : [],
      lastDrop: lastDrop(hops),
    };
  }

  /** Scenes of hosts that have changed, those first that are looked at closely. */
  async #scenes(
    pulses: readonly (HostPulse | undefined)[],
    near: readonly string[],
  ): Promise<{ scenes: Map<number, HostScene>; more: boolean }> {
    const stale = pulses.flatMap((pulse, host) =>
      pulse !== undefined && pulse.revision !== this.#known[host]?.revision ? [host] : [],
    );
    const close = new Set(near);
    const isNear = (host: number): number => (close.has(this.#names[host] ?? "") ? 0 : 1);
    const wanted = stale.sort((a, b) => isNear(a) - isNear(b) || a - b).slice(0, MOST_SCENES);
    const answers = await this.#watched.lab.inspect(
      wanted.map((host) => this.#names[host] as string),
      { kind: "scene" },
    );
    const scenes = new Map<number, HostScene>();
    for (const [i, host] of wanted.entries()) {
      const answer = answers[i];
      if (answer !== undefined) scenes.set(host, answer);
    }
    return { scenes, more: stale.length > wanted.length };
  }

  /** Nothing, where nothing is new. */
  #host(host: number, pulse: HostPulse | undefined, scene: HostScene | undefined, span: Time): HostUpdate[] {
    const known = this.#known[host] as Known;
    if (pulse === undefined) {
      if (known.off) return [];
      this.#known[host] = { ...NOTHING, off: true };
      return [{ host, off: true, wires: [], dropped: total(known.drops), drops: {} }];
    }
    const wires = pulse.wires.map((wire, i) => rate(wire, known.wires[i], span));
    const dropped = meant(pulse.drops);
    const drops = since(dropped, known.drops);
    const idle = wires.every(({ rxPackets, txPackets }) => rxPackets === 0 && txPackets === 0);
    const sameWires = pulse.wires.every(({ up }, i) => known.wires[i]?.up === up);
    const quiet = known.idle && idle && sameWires && Object.keys(drops).length === 0;
    const first = known.revision === undefined && scene === undefined;
    this.#known[host] = {
      revision: scene?.revision ?? known.revision,
      off: false,
      wires: pulse.wires,
      drops: dropped,
      idle,
    };
    if (scene === undefined && !first && !known.off && (quiet || span === 0)) return [];
    const update = { host, off: false, wires, dropped: total(dropped), drops };
    return [scene === undefined ? update : { ...update, scene }];
  }

  async #fabric(span: Time): Promise<FabricRate[]> {
    const { links } = await this.#watched.lab.cluster.counters();
    const before = this.#links;
    this.#links = links;
    const number = (name: string): number => Number(name.replace(/\D+/, "")) - 1;
    return links.map(({ from, to, bytes, drops }, i) => {
      const up = from.startsWith("leaf");
      const bits = span === 0 ? 0 : (Math.max(0, bytes - (before[i]?.bytes ?? 0)) * 8e9) / span;
      const ends = { leaf: number(up ? from : to), spine: number(up ? to : from) };
      return { ...ends, up, bits, drops: Math.max(0, drops - (before[i]?.drops ?? 0)) };
    });
  }
}

/** Without packets that were for others: every host of a segment drops those. */
function meant(drops: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(drops).filter(([reason]) => !FOR_OTHERS.has(reason)));
}

function total(drops: Readonly<Record<string, number>>): number {
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}

function since(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  const out: Record<string, number> = {};
  for (const [reason, count] of Object.entries(now))
    if (count > (before[reason] ?? 0)) out[reason] = count - (before[reason] ?? 0);
  return out;
}

/** A card that was unplugged and plugged in again counts from 0. */
function rate(now: WireCount, before: WireCount | undefined, span: Time): WireRate {
  const per = (count: number, earlier: number | undefined): number =>
    span === 0 || earlier === undefined ? 0 : (Math.max(0, count - earlier) * 1e9) / span;
  return {
    up: now.up,
    rxBits: 8 * per(now.rxBytes, before?.rxBytes),
    txBits: 8 * per(now.txBytes, before?.txBytes),
    rxPackets: per(now.rxPackets, before?.rxPackets),
    txPackets: per(now.txPackets, before?.txPackets),
  };
}
