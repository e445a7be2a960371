/**
 * A plan's traffic by host: which flows start where, what has to be listened to, and the ports. Made once for all hosts of a
 * worker, in one pass over the flows. Ports follow from the plan alone, so that it makes the same packets whatever else runs.
 */
import { UserError } from "../../base/errors.ts";
import type { MeshFlow, MeshPlan, TrafficKind } from "./types.ts";

/** Where receivers listen. */
export const DATAGRAM_PORT = 5001;
export const REQUEST_PORT = 5002;
export const BULK_PORT = 5003;
export const INCAST_PORT = 5004;

/** Source ports: the n-th flow of a container has every `count`-th one from FIRST_SOURCE + n on. */
const FIRST_SOURCE = 10_000;
const LAST_SOURCE = 65_535;

/** What a container receives: bits of PlanIndex.listens. */
export const LISTEN_DATAGRAMS = 1;
export const LISTEN_REQUESTS = 2;
export const LISTEN_BULK = 4;
export const LISTEN_INCAST = 8;

const LISTENS: Record<TrafficKind, number> = {
  cbr: LISTEN_DATAGRAMS,
  poisson: LISTEN_DATAGRAMS,
  rr: LISTEN_REQUESTS,
  bulk: LISTEN_BULK,
  incast: LISTEN_INCAST,
};

/** The kinds by their number in a group. */
const KINDS: readonly TrafficKind[] = ["cbr", "poisson", "rr", "bulk", "incast"];

/** Flows whose delays are counted together. */
export interface FlowGroup {
  readonly kind: TrafficKind;
  readonly viaVip: boolean;
  readonly encrypted: boolean;
}

/** The number of a group, 0 … 31. */
export function groupNumber({ kind, viaVip, encrypted }: FlowGroup): number {
  return KINDS.indexOf(kind) * 4 + (viaVip ? 2 : 0) + (encrypted ? 1 : 0);
}

/** The group of a number; undefined when there is none. */
export function groupOf(number: number): FlowGroup | undefined {
  const kind = KINDS[number >> 2];
  return kind === undefined ? undefined : { kind, viaVip: (number & 2) !== 0, encrypted: (number & 1) !== 0 };
}

/** The flows of a host with the ports that they are sent from. */
export interface PlannedFlow {
  readonly flow: MeshFlow;
  /** Position among the flows of its container, and how many those are. */
  readonly ordinal: number;
  readonly siblings: number;
}

/** Source ports of a flow: it may use all of them in turn; a flow with one socket uses the first one. */
export function sourcePorts({ ordinal, siblings }: PlannedFlow): { first: number; step: number; count: number } {
  const first = FIRST_SOURCE + ordinal;
  return { first, step: siblings, count: Math.floor((LAST_SOURCE - first) / siblings) + 1 };
}

/** A plan's traffic, by host and container. */
export class PlanIndex {
  /** LISTEN_* by container. */
  readonly listens: Uint8Array;
  readonly #plan: MeshPlan;
  readonly #byHost = new Map<number, PlannedFlow[]>();
  readonly #byId = new Map<number, MeshFlow>();
  /** Flows of kind incast by their receiver. */
  readonly #incast = new Map<number, MeshFlow[]>();

  constructor(plan: MeshPlan) {
    this.#plan = plan;
    this.listens = new Uint8Array(plan.containers.count);
    const siblings = countBy(plan.flows);
    const ordinals = new Map<number, number>();
    for (const flow of plan.flows) {
      const ordinal = ordinals.get(flow.from) ?? 0;
      ordinals.set(flow.from, ordinal + 1);
      const host = plan.containers.host[flow.from] as number;
      append(this.#byHost, host, { flow, ordinal, siblings: siblings.get(flow.from) as number });
      if (plan.flows[flow.id] !== flow) this.#byId.set(flow.id, flow);
    }
    this.#markReceivers();
  }

  /** The flow with that id; undefined when there is none. */
  flow(id: number): MeshFlow | undefined {
    const flow = this.#plan.flows[id];
    return flow?.id === id ? flow : this.#byId.get(id);
  }

  /** Flows that a host's containers send, in the plan's order. */
  flowsOf(host: number): readonly PlannedFlow[] {
    return this.#byHost.get(host) ?? [];
  }

  /** Flows of kind incast to a container, in the plan's order. */
  incastTo(container: number): readonly MeshFlow[] {
    return this.#incast.get(container) ?? [];
  }

  /** Where the containers of a host begin and end: they lie side by side. */
  containersOf(host: number): { readonly begin: number; readonly end: number } {
    return { begin: this.#firstFrom(host), end: this.#firstFrom(host + 1) };
  }

  #markReceivers(): void {
    const { listens } = this;
    const marked = new Map<number, number>();
    for (const { kind, to, id } of this.#plan.flows) {
      const bit = LISTENS[kind];
      if ("container" in to) {
        listens[to.container] = (listens[to.container] as number) | bit;
        if (kind === "incast") append(this.#incast, to.container, this.flow(id) as MeshFlow);
        continue;
      }
      if (kind === "bulk" || kind === "incast")
        throw new UserError(`flow ${id}: ${kind} goes to a container, not to a service`);
      const bits = marked.get(to.service) ?? 0;
      if ((bits & bit) !== 0) continue;
      marked.set(to.service, bits | bit);
      for (const container of this.#plan.services[to.service]?.containers ?? [])
        listens[container] = (listens[container] as number) | bit;
    }
  }

  /** The first container of that host or a later one. */
  #firstFrom(host: number): number {
    const hosts = this.#plan.containers.host;
    let low = 0;
    let high = this.#plan.containers.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((hosts[middle] as number) < host) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function append<T>(map: Map<number, T[]>, key: number, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** How many flows each container sends. */
function countBy(flows: readonly MeshFlow[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { id, from } of flows) {
    const count = (counts.get(from) ?? 0) + 1;
    if (count > LAST_SOURCE - FIRST_SOURCE)
      throw new UserError(`flow ${id}: container ${from} has no port left for it`);
    counts.set(from, count);
  }
  return counts;
}

const indexes = new WeakMap<MeshPlan, PlanIndex>();

/** The index of a plan; the same for all hosts that were given the same object. */
export function indexOf(plan: MeshPlan): PlanIndex {
  let index = indexes.get(plan);
  if (index === undefined) {
    index = new PlanIndex(plan);
    indexes.set(plan, index);
  }
  return index;
}
