/**
 * What a mesh's plan says of the work of its hosts, and of who talks to whom: by that they are shared out to workers
 * (src/scheduler/placement.ts).
 */
import { SEC } from "../../base/time.ts";
import type { Affinity } from "../../scheduler/placement.ts";
import type { MeshFlow, MeshOptions, MeshPlan } from "../../workload/mesh/types.ts";

/** What a host costs without any flow, in packets. */
const HOST = 100;
/** Packets of a request on a connection of its own: three to open it, four to close it, request, response and their acks. */
const REQUEST = 10;
/** Payload of a segment, bytes, about. */
const SEGMENT = 1400;

/** Packets of a flow, roughly: what matters is their proportion. */
function packetsOf({ kind }: MeshFlow, { rate, size, duration, underlay }: MeshOptions): number {
  const seconds = duration / SEC;
  if (kind === "cbr" || kind === "poisson") return rate * seconds;
  if (kind === "rr") return rate * seconds * (REQUEST + size / SEGMENT);
  // As much as a wire takes, were it the only one.
  const wire = underlay.bandwidth === 0 ? 10e9 : underlay.bandwidth;
  return (wire * seconds) / 8 / SEGMENT;
}

/** Hosts of a flow's receivers: one, or those of a service's tasks. */
function receivers(plan: MeshPlan, { to }: MeshFlow): readonly number[] {
  const { host } = plan.containers;
  if ("container" in to) return [host[to.container] as number];
  const service = plan.services[to.service];
  return [...new Set(Array.from(service?.containers ?? [], (container) => host[container] as number))];
}

/** Each host's work, by index, and what pairs of hosts have to say to each other. */
export function meshAffinities(plan: MeshPlan): {
  readonly weights: Float64Array;
  readonly affinities: readonly Affinity[];
} {
  const { options, containers, flows } = plan;
  const weights = new Float64Array(options.hosts).fill(HOST);
  const affinities: Affinity[] = [];
  for (const flow of flows) {
    const packets = packetsOf(flow, options);
    const from = containers.host[flow.from] as number;
    const to = receivers(plan, flow);
    weights[from] = (weights[from] as number) + packets;
    for (const host of to) {
      weights[host] = (weights[host] as number) + packets / to.length;
      if (host !== from) affinities.push([from, host, packets / to.length]);
    }
  }
  return { weights, affinities };
}
