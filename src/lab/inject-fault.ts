/** What a fault of a lab comes to, in faults of wires and machines. */
import { assert } from "../base/errors.ts";
import type { Cluster } from "../scheduler/cluster.ts";
import { wireDevice } from "./nat.ts";
import type { Fault, HostPlan, LabPlan } from "./plan.ts";

/** Name of the segment that the lab's network is, which hosts are on by default. */
export const FABRIC_SEGMENT = "underlay";

/**
 * Lets a fault of a lab happen now.
 * @returns the hosts that lost their power: nothing is open there any more
 */
export function injectFault(plan: LabPlan, cluster: Cluster, fault: Fault): readonly string[] {
  if (fault.switches !== undefined || (fault.heal && fault.hosts.length === 0)) injectSwitchFault(plan, cluster, fault);
  if (fault.switches !== undefined) return [];
  const all = plan.hosts.map((host) => host.name);
  const hosts = fault.hosts.length > 0 || fault.heal === undefined ? fault.hosts : all;
  if (fault.partition !== undefined) cluster.inject({ kind: "partition", groups: fault.partition }, cluster.now);
  if (fault.heal && fault.hosts.length === 0) cluster.inject({ kind: "partition", groups: [] }, cluster.now);
  for (const host of hosts) {
    const wire = wireOf(planOf(plan, host), fault.network);
    if (wire === undefined) continue;
    if (fault.heal) heal(cluster, planOf(plan, host), fault.network);
    if (fault.drop !== undefined) cluster.inject({ kind: "drop", ...wire, filter: fault.drop }, cluster.now);
    if (fault.link !== undefined) cluster.inject({ kind: "link", ...wire, up: fault.link === "up" }, cluster.now);
    if (fault.latency !== undefined) cluster.inject({ kind: "latency", ...wire, latency: fault.latency }, cluster.now);
    if (fault.loss !== undefined) cluster.inject({ kind: "loss", ...wire, loss: fault.loss }, cluster.now);
    if (fault.crash) cluster.inject({ kind: "crash", host }, cluster.now);
    if (fault.restart) cluster.inject({ kind: "restart", host }, cluster.now);
  }
  return fault.crash || fault.restart ? hosts : [];
}

/** A fault of the links between leaves and spines that it names; without a name, of all. */
function injectSwitchFault(plan: LabPlan, cluster: Cluster, fault: Fault): void {
  const { switches = {}, heal, link, latency, loss } = fault;
  const { fabric, hosts } = plan;
  if (fabric === undefined) return;
  const leaves = [...new Set(hosts.map((host) => host.leaf))].sort((a, b) => a - b);
  for (const leaf of leaves) {
    if (switches.leaf !== undefined && leaf !== switches.leaf - 1) continue;
    for (let spine = 0; spine < fabric.spines; spine++) {
      if (switches.spine !== undefined && spine !== switches.spine - 1) continue;
      const change = {
        ...(heal ? { up: true, latency: fabric.latency, loss: 0 } : {}),
        ...(link === undefined ? {} : { up: link === "up" }),
        ...(latency === undefined ? {} : { latency }),
        ...(loss === undefined ? {} : { loss }),
      };
      cluster.inject({ kind: "fabric", segment: FABRIC_SEGMENT, leaf, spine, ...change }, cluster.now);
    }
  }
}

function planOf({ hosts }: LabPlan, host: string): HostPlan {
  const plan = hosts.find((candidate) => candidate.name === host);
  assert(plan !== undefined, "a host of the plan", host);
  return plan;
}

/**
 * The card that faults of the host's wire are about, or all of them; the cable behind a NAT is none of them.
 * Undefined where it has no card on that network.
 */
function wireOf(plan: HostPlan, network?: string): { readonly host: string; readonly device?: string } | undefined {
  const host = plan.name;
  const card = plan.cards.find((one) => one.network === network);
  if (network !== undefined) return card === undefined ? undefined : { host, device: card.device };
  const device = wireDevice(plan);
  return device === undefined ? { host } : { host, device };
}

/** The wires as the lab has them. */
function heal(cluster: Cluster, plan: HostPlan, network?: string): void {
  const host = plan.name;
  const first = { ...plan, network: undefined, device: wireDevice(plan) ?? "eth0" };
  for (const card of [first, ...plan.cards]) {
    if (network !== undefined && card.network !== network) continue;
    const wire = { host, device: card.device };
    cluster.inject({ kind: "pass", ...wire }, cluster.now);
    cluster.inject({ kind: "link", ...wire, up: true }, cluster.now);
    cluster.inject({ kind: "loss", ...wire, loss: card.loss }, cluster.now);
    cluster.inject({ kind: "latency", ...wire, latency: card.latency }, cluster.now);
  }
}
