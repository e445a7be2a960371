/** What a host's receivers and senders came to, as they add it up; a MeshReport in the end. */
import { Histogram } from "../histogram.ts";
import { type FlowGroup, groupNumber, groupOf, type PlanIndex } from "./plan-index.ts";
import type { FlowReport, MeshFlow, MeshPlan, MeshReport, TrafficKind } from "./types.ts";

/** A flow's counts, in the making: see FlowReport. */
export interface FlowCounts {
  sent: number;
  failed: number;
  received: number;
  bytes: number;
  reordered: number;
  duplicates: number;
}

/** Counts, delays and failures of one host. */
export class HostResults {
  readonly #plan: MeshPlan;
  readonly #index: PlanIndex;
  readonly #flows = new Map<number, FlowCounts>();
  readonly #delays = new Map<number, Histogram>();
  /** By service, then container. */
  readonly #backends = new Map<number, Map<number, { count: number; connections: number }>>();
  readonly #failures = new Map<TrafficKind, Map<string, number>>();
  strays = 0;

  constructor(plan: MeshPlan, index: PlanIndex) {
    this.#plan = plan;
    this.#index = index;
  }

  /** Counts of a flow, zero at first. */
  flow(id: number): FlowCounts {
    let counts = this.#flows.get(id);
    if (counts === undefined) {
      counts = { sent: 0, failed: 0, received: 0, bytes: 0, reordered: 0, duplicates: 0 };
      this.#flows.set(id, counts);
    }
    return counts;
  }

  /** Which delays a flow's are counted with. */
  groupOf({ kind, to, from }: MeshFlow): FlowGroup {
    const network = this.#plan.networks[this.#plan.containers.network[from] as number];
    return { kind, viaVip: "service" in to, encrypted: network?.encrypted ?? false };
  }

  /** Delays of a group by its number. */
  delays(number: number): Histogram {
    let delays = this.#delays.get(number);
    if (delays === undefined) {
      delays = new Histogram();
      this.#delays.set(number, delays);
    }
    return delays;
  }

  /** Delays that a flow's are counted with. */
  delaysOf(flow: MeshFlow): Histogram {
    return this.delays(groupNumber(this.groupOf(flow)));
  }

  /**
   * Something of a flow came to a container: where it was sent to a service, that counts for its spread.
   * @param connections as IPVS knows them: datagrams of one pair of ports are one
   */
  backend(id: number, container: number, count: number, connections = count): void {
    const to = this.#index.flow(id)?.to;
    if (to === undefined || !("service" in to)) return;
    let counts = this.#backends.get(to.service);
    if (counts === undefined) {
      counts = new Map();
      this.#backends.set(to.service, counts);
    }
    const earlier = counts.get(container) ?? { count: 0, connections: 0 };
    counts.set(container, { count: earlier.count + count, connections: earlier.connections + connections });
  }

  /** Requests or connections failed. */
  failure(kind: TrafficKind, cause: string, count = 1): void {
    let causes = this.#failures.get(kind);
    if (causes === undefined) {
      causes = new Map();
      this.#failures.set(kind, causes);
    }
    causes.set(cause, (causes.get(cause) ?? 0) + count);
  }

  /** All of it, sorted by number and name. */
  report(): MeshReport {
    const delays = ascending(this.#delays).flatMap(([number, histogram]) => {
      const group = groupOf(number);
      return group === undefined || histogram.count === 0 ? [] : [{ ...group, delays: histogram.toCounts() }];
    });
    const backends = ascending(this.#backends).flatMap(([service, counts]) =>
      ascending(counts).map(([container, came]) => ({ service, container, ...came })),
    );
    const failures = [...this.#failures]
      .flatMap(([kind, causes]) => [...causes].map(([cause, count]) => ({ kind, cause, count })))
      .sort((a, b) => compare(a.kind, b.kind) || compare(a.cause, b.cause));
    return {
      kind: "mesh-report",
      flows: ascending(this.#flows).map(([flow, counts]) => flowReport(flow, counts)),
      delays,
      backends,
      ...(failures.length === 0 ? {} : { failures }),
      ...(this.strays === 0 ? {} : { strays: this.strays }),
    };
  }
}

function flowReport(flow: number, { sent, failed, received, bytes, reordered, duplicates }: FlowCounts): FlowReport {
  return {
    flow,
    sent,
    failed,
    received,
    bytes,
    ...(reordered === 0 ? {} : { reordered }),
    ...(duplicates === 0 ? {} : { duplicates }),
  };
}

function ascending<T>(map: ReadonlyMap<number, T>): [number, T][] {
  return [...map].sort(([a], [b]) => a - b);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
