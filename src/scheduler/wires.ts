/** What faults have made of the wires: for those who look at a run. The workers' kernels have the settings themselves. */
import type { Time } from "../base/time.ts";
import type { PortChange, ResolvedFault, WireFilter } from "./faults.ts";
import type { Topology } from "./topology.ts";

/** A host's wire that isn't as the topology has it. */
export interface ChangedWire {
  readonly host: string;
  /** Its NIC, as the topology calls it. */
  readonly device: string;
  /** The cable is pulled. */
  readonly down: boolean;
  /** Probability 0…1. */
  readonly loss: number;
  /** One-way delay, ns. */
  readonly latency: Time;
  /** Firewalls on the wire. */
  readonly filters: readonly WireFilter[];
  /** Its side of a partition; 0 where there is none. */
  readonly group: number;
}

/** A link between a leaf and a spine that isn't as the topology has it; numbers from 0. */
export interface ChangedLink {
  readonly segment: string;
  readonly leaf: number;
  readonly spine: number;
  readonly down: boolean;
  readonly loss: number;
  /** One-way delay, ns. */
  readonly latency: Time;
}

/** All of them, in the topology's order; those of links in the order in which they were changed first. */
export interface ChangedWires {
  readonly wires: readonly ChangedWire[];
  readonly links: readonly ChangedLink[];
}

/** Follows the faults of a run. */
export class WireStates {
  readonly #wires: ChangedWire[];
  readonly #normal: readonly ChangedWire[];
  readonly #links = new Map<string, ChangedLink>();
  readonly #fabrics: Topology["fabrics"];

  /** @param topology as the run begins */
  constructor(topology: Topology) {
    this.#fabrics = topology.fabrics;
    this.#normal = topology.hosts.flatMap((host) =>
      host.nics.map(
        ({ device, loss, latency }): ChangedWire => ({
          host: host.name,
          device,
          down: false,
          loss,
          latency,
          filters: [],
          group: 0,
        }),
      ),
    );
    this.#wires = [...this.#normal];
  }

  /** A fault takes effect. */
  apply({ ports, links = [] }: ResolvedFault): void {
    for (const change of ports) {
      const before = this.#wires[change.port];
      if (before !== undefined) this.#wires[change.port] = changedWire(before, change);
    }
    for (const { segment, leaf, spine, ...change } of links) {
      const key = `${segment} ${leaf} ${spine}`;
      const latency = this.#fabrics[segment]?.latency ?? 0;
      const before = this.#links.get(key) ?? { segment, leaf, spine, down: false, loss: 0, latency };
      this.#links.set(key, {
        ...before,
        down: change.down ?? before.down,
        loss: change.loss ?? before.loss,
        latency: change.latency ?? before.latency,
      });
    }
  }

  /** Those that aren't as they were in the beginning. */
  changed(): ChangedWires {
    const wires = this.#wires.filter((wire, port) => {
      const { loss, latency } = this.#normal[port] as ChangedWire;
      const { down, filters, group } = wire;
      return down || filters.length > 0 || group !== 0 || wire.loss !== loss || wire.latency !== latency;
    });
    const links = [...this.#links.values()].filter(({ segment, down, loss, latency }) => {
      return down || loss > 0 || latency !== this.#fabrics[segment]?.latency;
    });
    return { wires, links };
  }
}

function changedWire(before: ChangedWire, change: PortChange): ChangedWire {
  const kept = change.clearFilters === true ? [] : before.filters;
  return {
    ...before,
    down: change.down ?? before.down,
    loss: change.loss ?? before.loss,
    latency: change.latency ?? before.latency,
    group: change.group ?? before.group,
    filters: change.addFilter === undefined ? kept : [...kept, change.addFilter],
  };
}
