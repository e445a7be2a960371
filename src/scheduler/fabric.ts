/** The leaf-spine segments of a partition: their switches in its kernel, faults of their links, and what these carried. */
import { assert } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import type { FabricLinkCounters, FabricLinkSettings, Underlay } from "../kernel/underlay.ts";
import type { LinkChange } from "./faults.ts";
import { type LeafSpineConfig, type NicConfig, type Topology, wireBytes } from "./topology.ts";

/** One direction of a link between a leaf and a spine. */
export interface LinkCounters extends FabricLinkCounters {
  /** Name of the leaf-spine segment. */
  readonly segment: string;
  /** Number of the leaf, from 0. */
  readonly leaf: number;
  /** Number of the spine, from 0. */
  readonly spine: number;
  /** `up` from the leaf to the spine, `down` from the spine to the leaf. */
  readonly direction: "up" | "down";
}

interface Fabric {
  readonly name: string;
  /** Its number in the kernel. */
  readonly segment: number;
  readonly config: LeafSpineConfig;
  /** Worker of each leaf that has a host. */
  readonly leaves: Map<number, number>;
  /** Links that a fault has changed, by leaf and spine. */
  readonly changed: Map<string, FabricLinkSettings>;
}

/** The fabrics of one partition. Every partition has all of them; each counts on the links of its own leaves. */
export class Fabrics {
  readonly #underlay: Underlay;
  readonly #worker: number;
  readonly #topology: Topology;
  readonly #fabrics = new Map<string, Fabric>();

  /** @param worker whose partition it is */
  constructor(underlay: Underlay, topology: Topology, worker: number) {
    this.#underlay = underlay;
    this.#topology = topology;
    this.#worker = worker;
  }

  /** A segment has got its number, and no port yet. */
  addSegment(name: string, segment: number): void {
    const config = this.#topology.fabrics[name];
    if (config === undefined) return;
    const { spines, latency, bandwidth, queue } = config;
    // Switches of one fabric hash alike, those of another one differently.
    const seed = new Random(`${this.#topology.seed}/${name}`).u32();
    const mtu = this.#topology.hosts
      .flatMap(({ nics }) => nics)
      .reduce((most, nic) => (nic.segment === name ? Math.max(most, nic.mtu) : most), 0);
    this.#underlay.addFabric(segment, { seed, spines, latency, bandwidth, queueBytes: wireBytes(queue, mtu) });
    this.#fabrics.set(name, { name, segment, config, leaves: new Map(), changed: new Map() });
  }

  /** A NIC of a host of `worker` has got its port. */
  plug(nic: NicConfig, port: number, worker: number): void {
    const fabric = this.#fabrics.get(nic.segment);
    if (fabric === undefined) return;
    const other = fabric.leaves.get(nic.leaf);
    assert(other === undefined || other === worker, "all hosts of a leaf are in one worker", nic.segment, nic.leaf);
    fabric.leaves.set(nic.leaf, worker);
    this.#underlay.plugPort(port, nic.leaf, nic.address);
  }

  /** Applies a fault of a link. */
  change({ segment, leaf, spine, ...change }: LinkChange): void {
    const fabric = this.#fabrics.get(segment);
    assert(fabric !== undefined, "segment of a fault", segment);
    const key = `${leaf}/${spine}`;
    const before = fabric.changed.get(key) ?? { down: false, latency: fabric.config.latency, loss: 0 };
    const after = {
      down: change.down ?? before.down,
      latency: change.latency ?? before.latency,
      loss: change.loss ?? before.loss,
    };
    fabric.changed.set(key, after);
    this.#underlay.setFabricLink(fabric.segment, leaf, spine, after);
  }

  /** Whether a link loses frames by chance. */
  get lossy(): boolean {
    return [...this.#fabrics.values()].some(({ changed }) => [...changed.values()].some(({ loss }) => loss > 0));
  }

  /** Links of the leaves whose hosts are in this worker. */
  counters(): LinkCounters[] {
    const all: LinkCounters[] = [];
    for (const { name, segment, config, leaves } of this.#fabrics.values()) {
      for (const [leaf, worker] of leaves) {
        if (worker !== this.#worker) continue;
        for (let spine = 0; spine < config.spines; spine++)
          for (const direction of ["up", "down"] as const)
            all.push({
              segment: name,
              leaf,
              spine,
              direction,
              ...this.#underlay.fabricLink(segment, leaf, spine, direction),
            });
      }
    }
    return all;
  }
}
