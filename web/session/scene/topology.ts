/** The lab's hosts and wires as the drawing needs them. */
import { formatCidr } from "../../../src/base/addr.ts";
import { wireDevice } from "../../../src/lab/nat.ts";
import type { HostPlan, LabPlan } from "../../../src/lab/plan.ts";
import type { HostPlace, SceneTopology, WirePlan } from "./protocol.ts";

/** The segment that hosts are on where nothing else is said. */
export const UNDERLAY = "underlay";

function wires(host: HostPlan): WirePlan[] {
  const { address, latency, bandwidth } = host;
  const first = { segment: UNDERLAY, address: formatCidr(address), latency, bandwidth };
  const device = wireDevice(host);
  if (device !== undefined) return [{ point: "nat/eth0", device, ...first }];
  return [
    { point: "host/eth0", device: "eth0", ...first },
    ...host.cards.map((card) => ({
      point: `host/${card.device}`,
      device: card.device,
      segment: card.network,
      address: formatCidr(card.address),
      latency: card.latency,
      bandwidth: card.bandwidth,
    })),
  ];
}

/** What doesn't change while the lab is open. */
export function sceneTopology(plan: LabPlan): SceneTopology {
  const { fabric } = plan;
  return {
    hosts: plan.hosts.map((host): HostPlace => ({ name: host.name, leaf: host.leaf, wires: wires(host) })),
    fabric: fabric === undefined ? undefined : pick(fabric),
  };
}

function pick({ leaves, spines, latency }: NonNullable<LabPlan["fabric"]>): NonNullable<SceneTopology["fabric"]> {
  return { leaves, spines, latency };
}
