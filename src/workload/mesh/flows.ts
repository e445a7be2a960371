/** The flows of a plan: who sends what to whom, and from when on. */
import { UserError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { MS, type Time } from "../../base/time.ts";
import type { MeshRows } from "./rows.ts";
import type { MeshFlow, MeshPlan, TrafficKind } from "./types.ts";

/** Generators start spread over this span, so that thousands of them don't fire at one instant. */
const START_SPAN = 100 * MS;
/** Of a short run's time, the part in which they start at most. */
const START_SHARE = 4;
/** Senders of a group of incast flows. */
export const INCAST_SENDERS = 16;
/** Sources that are tried before a flow is given up: a network may have no other container. */
const TRIES = 64;

/** Flows that have to agree: a group's receiver and senders. */
interface IncastGroup {
  readonly to: number;
  readonly start: Time;
  /** Containers that may send, and how many have been taken, from where on. */
  readonly senders: Uint32Array;
  readonly first: number;
  taken: number;
}

/**
 * Plans flows one by one. Kinds come in turn; sources are drawn one from each of equal stretches of the containers; each
 * goes to a container of its network on another host (on its own where the network has no other), or to the VIP of one of
 * the network's services. Incast flows come in groups of {@link INCAST_SENDERS} with one receiver and one start.
 */
export class FlowPlanner {
  readonly #plan: MeshPlan;
  readonly #index: MeshRows;
  readonly #random: Random;
  #group: IncastGroup | undefined;

  constructor(plan: MeshPlan, index: MeshRows, random: Random) {
    this.#plan = plan;
    this.#index = index;
    this.#random = random;
  }

  /** The flow of a number; the numbers are asked for in order. @throws UserError when no network has two containers */
  flow(id: number): MeshFlow {
    const { traffic, vipShare } = this.#plan.options;
    const kind = traffic[id % traffic.length] as TrafficKind;
    if (kind === "incast") return this.#incast(id);
    const start = this.#start();
    const viaVip = kind !== "bulk" && this.#random.float() < vipShare;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const from = this.#source(id, attempt);
      const service = viaVip ? this.#serviceNear(from) : undefined;
      if (service !== undefined) return { id, kind, from, to: { service }, start };
      const container = this.#peerOf(from);
      if (container !== undefined) return { id, kind, from, to: { container }, start };
    }
    throw noPeers();
  }

  #start(): Time {
    const span = Math.min(START_SPAN, Math.ceil(this.#plan.options.duration / START_SHARE));
    return this.#random.below(span);
  }

  /** Stretch `id` of `flows` equal ones of the containers; another try takes any container. */
  #source(id: number, attempt: number): number {
    const { flows } = this.#plan.options;
    const { count } = this.#plan.containers;
    if (attempt > 0) return this.#random.below(count);
    return Math.min(count - 1, Math.floor(((id + this.#random.float()) * count) / flows));
  }

  #networkOf(container: number): number {
    return this.#plan.containers.network[container] as number;
  }

  /** A service of the container's network that has tasks. */
  #serviceNear(container: number): number | undefined {
    const services = this.#index.services.row(this.#networkOf(container));
    if (services.length === 0) return undefined;
    const first = this.#random.below(services.length);
    for (let i = 0; i < services.length; i++) {
      const service = services[(first + i) % services.length] as number;
      if ((this.#plan.services[service]?.containers.length ?? 0) > 0) return service;
    }
    return undefined;
  }

  /** Where a container's neighbours on its own host lie among its network's: from `low` to before `high`. */
  #ownStretch(members: Uint32Array, container: number): { readonly low: number; readonly high: number } {
    const { host } = this.#plan.containers;
    const own = host[container] as number;
    const low = firstAt(members, (c) => (host[c] as number) >= own);
    return { low, high: firstAt(members, (c) => (host[c] as number) > own) };
  }

  #peerOf(container: number): number | undefined {
    const members = this.#index.ofNetwork.row(this.#networkOf(container));
    const { low, high } = this.#ownStretch(members, container);
    const others = members.length - (high - low);
    if (others > 0) {
      const at = this.#random.below(others);
      return members[at < low ? at : at + (high - low)];
    }
    if (members.length < 2) return undefined;
    const at = this.#random.below(members.length - 1);
    const found = members[at] as number;
    return found === container ? members[members.length - 1] : found;
  }

  #incast(id: number): MeshFlow {
    let group = this.#group;
    if (group === undefined || group.taken >= Math.min(INCAST_SENDERS, group.senders.length)) {
      group = this.#newGroup(id);
      this.#group = group;
    }
    const from = group.senders[(group.first + group.taken) % group.senders.length] as number;
    group.taken++;
    return { id, kind: "incast", from, to: { container: group.to }, start: group.start };
  }

  /** A receiver, and its network's containers on other hosts, from a random one on; neighbours in a group take turns by host. */
  #newGroup(id: number): IncastGroup {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const to = this.#source(id, attempt);
      const members = this.#index.ofNetwork.row(this.#networkOf(to));
      const { low, high } = this.#ownStretch(members, to);
      const remote = members.filter((_, at) => at < low || at >= high);
      const senders = spread(remote.length > 0 ? remote : members.filter((c) => c !== to));
      if (senders.length === 0) continue;
      return { to, start: this.#start(), senders, first: this.#random.below(senders.length), taken: 0 };
    }
    throw noPeers();
  }
}

/** The same values so that each stretch of INCAST_SENDERS of them comes from all of the row. */
function spread(values: Uint32Array): Uint32Array {
  const stride = Math.max(1, Math.floor(values.length / INCAST_SENDERS));
  const out = new Uint32Array(values.length);
  let at = 0;
  for (let offset = 0; offset < stride; offset++)
    for (let i = offset; i < values.length; i += stride) out[at++] = values[i] as number;
  return out;
}

/** Lowest position of a sorted array where the condition holds; its length when it never does. */
function firstAt(values: Uint32Array, holds: (value: number) => boolean): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(values[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function noPeers(): UserError {
  return new UserError("mesh, containers: too few given, expected networks with two containers or more for the flows");
}
