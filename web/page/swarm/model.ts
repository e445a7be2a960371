/** The swarm as the page knows it: what the session told, in the form in which it is drawn. */
import type { Time } from "../../../src/base/time.ts";
import type { LinkStats } from "../../../src/kernel/types.ts";
import type { HostScene, SceneContainer } from "../../../src/lab/inspect/scene.ts";
import type { ChangedLink, ChangedWire } from "../../../src/scheduler/wires.ts";
import type {
  FabricRate,
  Flight,
  HostPlace,
  HostUpdate,
  LastDrop,
  SceneTopology,
  SceneUpdate,
  Sighting,
  WireRate,
} from "../../session/scene/protocol.ts";
import { boxKeys, byImportance, type Interior, interiorOf } from "./interior.ts";
import { type HostBox, type Layout, layoutOf } from "./layout.ts";
import { Networks, type ShownNetwork } from "./networks.ts";
import { Slots } from "./slots.ts";

/** A container as a square. */
export interface Square {
  readonly slot: number;
  readonly container: SceneContainer;
  /** The network that it has its colour from. */
  readonly network: ShownNetwork | undefined;
}

/** Drops that were seen at a host. */
export interface SeenDrops {
  /** Of the look that saw them. */
  readonly time: Time;
  /** Since the look before, by reason. */
  readonly drops: Readonly<Record<string, number>>;
}

/** What is known of a host. */
export class HostState {
  readonly index: number;
  readonly place: HostPlace;
  readonly box: HostBox;
  off = false;
  scene: HostScene | undefined;
  wires: readonly WireRate[] = [];
  /** Packets dropped in all. */
  dropped = 0;
  lastDrops: SeenDrops | undefined;
  /** Wires that faults have changed, in the topology's order of wires; undefined: as the lab has it. */
  faults: (ChangedWire | undefined)[] = [];
  /** Counters of its devices by `namespace/ifindex`, where it was looked at closely. */
  counts: ReadonlyMap<string, LinkStats> = new Map();
  readonly #slots = new Slots();
  #interior: Interior | undefined;
  #squares: readonly Square[] | undefined;

  constructor(index: number, place: HostPlace, box: HostBox) {
    this.index = index;
    this.place = place;
    this.box = box;
  }

  /** What it is built of now; undefined: it is switched off. */
  rebuild(scene: HostScene | undefined): void {
    this.scene = scene;
    this.#slots.update(scene === undefined ? [] : boxKeys(scene));
    this.forget();
  }

  /** What is drawn of it is worked out again when it is drawn next. */
  forget(): void {
    this.#interior = undefined;
    this.#squares = undefined;
  }

  /** Its inside. */
  interior(networks: Networks): Interior | undefined {
    const { place, scene } = this;
    if (scene === undefined) return undefined;
    this.#interior ??= interiorOf({ place, scene, networks, slots: this.#slots });
    return this.#interior;
  }

  /** Its containers, where it is too small for more. */
  squares(networks: Networks): readonly Square[] {
    this.#squares ??= (this.scene?.containers ?? []).map((container): Square => {
      const shown = container.attachments.flatMap(({ network }) => networks.byId(network) ?? []);
      return { slot: this.#slots.of(container.id) ?? 0, container, network: byImportance(shown)[0] };
    });
    return this.#squares;
  }

  /** Bits a second in both directions, over all wires. */
  get load(): number {
    let bits = 0;
    for (const { rxBits, txBits } of this.wires) bits += rxBits + txBits;
    return bits;
  }
}

/** The swarm. */
export class SwarmModel {
  readonly topology: SceneTopology;
  readonly layout: Layout;
  readonly hosts: readonly HostState[];
  readonly networks = new Networks();
  now: Time = 0;
  links: readonly FabricRate[] = [];
  linkFaults: readonly ChangedLink[] = [];
  flights: readonly Flight[] = [];
  sightings: readonly Sighting[] = [];
  /** Sightings that are this much older than the last one aren't shown any more, ns. */
  trail: Time = 0;
  /** Where a packet was dropped last, if that is known. */
  lastDrop: LastDrop | undefined;

  constructor(topology: SceneTopology) {
    this.topology = topology;
    this.layout = layoutOf(topology);
    this.hosts = topology.hosts.map((place, i) => new HostState(i, place, this.layout.hosts[i] as HostBox));
  }

  /** Takes what is new. @returns whether something is drawn differently now */
  apply(update: SceneUpdate): boolean {
    const { now, span, hosts, links, faults, counts, flights, sightings, lastDrop } = update;
    if (now < this.now) this.#back();
    const changed = hosts.length > 0 || counts.length > 0 || flights.length > 0 || this.flights.length > 0;
    this.now = now;
    for (const one of hosts) this.#host(one, now);
    if (hosts.some(({ scene, off }) => scene !== undefined || off)) this.#settle();
    if (span > 0) this.links = links;
    for (const { host, counts: all } of counts) {
      const state = this.hosts[host];
      if (state !== undefined)
        state.counts = new Map(all.map(({ namespace, index, stats }) => [`${namespace}/${index}`, stats]));
    }
    this.flights = flights;
    this.sightings = sightings;
    this.lastDrop = lastDrop;
    const broken = this.#faults(faults.wires) || faults.links.length > 0 || this.linkFaults.length > 0;
    this.linkFaults = faults.links;
    return changed || broken || links.length > 0;
  }

  /** Somebody went back in time: what was seen later has not happened yet. */
  #back(): void {
    for (const host of this.hosts) {
      host.lastDrops = undefined;
      host.counts = new Map();
    }
  }

  #host({ host, off, scene, wires, dropped, drops }: HostUpdate, now: Time): void {
    const state = this.hosts[host];
    if (state === undefined) return;
    state.off = off;
    state.wires = wires;
    state.dropped = dropped;
    if (Object.keys(drops).length > 0) state.lastDrops = { time: now, drops };
    if (scene === undefined && !off) return;
    state.rebuild(scene);
    if (off) state.counts = new Map();
    this.networks.update(host, scene);
  }

  /** Networks that come or go change what other hosts' insides look like. */
  #settle(): void {
    const list = (): string =>
      this.networks
        .list()
        .map(({ key, slot }) => `${key} ${slot}`)
        .join();
    const before = list();
    this.networks.settle();
    if (list() !== before) for (const host of this.hosts) host.forget();
  }

  #faults(wires: readonly ChangedWire[]): boolean {
    const byHost = new Map<string, ChangedWire[]>();
    for (const wire of wires) byHost.set(wire.host, [...(byHost.get(wire.host) ?? []), wire]);
    let changed = false;
    for (const host of this.hosts) {
      const own = byHost.get(host.place.name) ?? [];
      if (own.length === 0 && host.faults.length === 0) continue;
      changed = true;
      host.faults =
        own.length === 0 ? [] : host.place.wires.map(({ device }) => own.find((wire) => wire.device === device));
    }
    return changed;
  }
}
