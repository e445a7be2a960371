/** The machines and wires of a mesh. */
import { networkOf } from "../../base/addr.ts";
import { UserError } from "../../base/errors.ts";
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
function leafOf({ underlay }: MeshOptions, host: number): number {
  return underlay.kind === "leaf-spine" ? Math.floor(host / underlay.hostsPerLeaf) : 0;
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

/** @param plan what machines of a converged mesh place; undefined: Docker runs on them */
export function meshTopology(options: MeshOptions, plan: MeshPlan | undefined): Topology {
  const { underlay, control } = options;
  const spine = underlay.kind === "leaf-spine";
  if (control === "converged" && plan === undefined) throw new UserError("a converged mesh needs its plan");
  const hosts = Array.from({ length: options.hosts }, (_, index): HostSpec => {
    const host = meshHostPlan(options, index);
    const nic = {
      segment: UNDERLAY,
      ...{ mtu: underlay.mtu, latency: underlay.latency, bandwidth: underlay.bandwidth, loss: underlay.loss },
      queue: QUEUE,
      ...(spine ? { leaf: host.leaf, address: host.address.ip } : {}),
    };
    return { name: host.name, nics: [nic], machine: { control, plan, host } satisfies MeshMachineConfig };
  });
  return resolveTopology(options.seed, hosts, spine ? { [UNDERLAY]: fabricOf(options) } : {});
}

/** The mesh as a trace's file names it: its hosts and their addresses. */
export function meshLab(options: MeshOptions): LabPlan {
  const hosts = Array.from({ length: options.hosts }, (_, host) => meshHostPlan(options, host));
  const subnet = networkOf(hostAddress(options, 0));
  return { name: "mesh", description: "", seed: options.seed, subnet, fabric: undefined, hosts, pause: 0, steps: [] };
}
