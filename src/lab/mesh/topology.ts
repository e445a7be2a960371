/** The machines and wires of a mesh. */
import { networkOf } from "../../base/addr.ts";
import { type HostSpec, type LeafSpineConfig, resolveTopology, type Topology } from "../../scheduler/topology.ts";
import { hostAddress } from "../../workload/mesh/addresses.ts";
import type { MeshOptions, MeshPlan } from "../../workload/mesh/types.ts";
import type { HostPlan, LabPlan } from "../plan.ts";
import type { MeshMachineConfig } from "./protocol.ts";

/** The segment that all hosts are on. */
const UNDERLAY = "underlay";
/** Frames that wait for a port before it drops: a NIC's txqueuelen, a shallow switch's buffer of a port. */
const QUEUE = 1000;

/** Name of a host: `m1`, `m2` … */
export function meshHostName(host: number): string {
  return `m${host + 1}`;
}

/** Number of a host's leaf switch, 0 on a flat segment. */
function leafOf({ underlay, hosts }: MeshOptions, host: number): number {
  if (underlay.kind === "flat") return 0;
  const { hostsPerLeaf, apart = false } = underlay;
  return apart ? host % Math.ceil(hosts / hostsPerLeaf) : Math.floor(host / hostsPerLeaf);
}

/** A host as a lab's machine knows it. */
export function meshHostPlan(options: MeshOptions, host: number): HostPlan {
  const { latency, bandwidth, loss, mtu } = options.underlay;
  return {
    ...{ name: meshHostName(host), address: hostAddress(options, host), nat: undefined, os: "linux" },
    ...{ cards: [], latency, bandwidth, loss, mtu, leaf: leafOf(options, host), dns: [] },
  };
}

function fabricOf({ underlay }: MeshOptions): LeafSpineConfig {
  const { spines, uplinkBandwidth: bandwidth, uplinkLatency: latency } = underlay;
  return { spines, bandwidth, latency, queue: QUEUE };
}

/** @param weights the hosts' work, see affinity.ts; default: the same for all */
export function meshTopology(plan: MeshPlan, weights: ArrayLike<number> = []): Topology {
  const { options } = plan;
  const { underlay, control } = options;
  const spine = underlay.kind === "leaf-spine";
  const hosts = Array.from({ length: options.hosts }, (_, index): HostSpec => {
    const host = meshHostPlan(options, index);
    const nic = {
      segment: UNDERLAY,
      ...{ mtu: underlay.mtu, latency: underlay.latency, bandwidth: underlay.bandwidth, loss: underlay.loss },
      queue: QUEUE,
      ...(spine ? { leaf: host.leaf, address: host.address.ip } : {}),
    };
    const machine: MeshMachineConfig = { control, plan: control === "converged" ? plan : undefined, host };
    return { name: host.name, nics: [nic], machine, weight: weights[index] ?? 1 };
  });
  return resolveTopology(options.seed, hosts, spine ? { [UNDERLAY]: fabricOf(options) } : {});
}

/** The mesh as a trace's file names it: its hosts and their addresses. */
export function meshLab(options: MeshOptions): LabPlan {
  const hosts = Array.from({ length: options.hosts }, (_, host) => meshHostPlan(options, host));
  const subnet = networkOf(hostAddress(options, 0));
  return { name: "mesh", description: "", seed: options.seed, subnet, fabric: undefined, hosts, pause: 0, steps: [] };
}
