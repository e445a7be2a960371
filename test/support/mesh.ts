/** Meshes for tests: options with their usual values, and the hosts of a plan in one kernel. */
import { Random } from "../../src/base/random.ts";
import { MS, SEC, US } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { placeHost } from "../../src/workload/mesh/place.ts";
import { planMesh } from "../../src/workload/mesh/plan.ts";
import type { MeshOptions, MeshPlan } from "../../src/workload/mesh/types.ts";
import { kernelModule } from "./kernel.ts";

export function meshOptions(changes: Partial<MeshOptions> = {}): MeshOptions {
  return {
    seed: "1",
    control: "converged",
    hosts: 4,
    containers: 16,
    flows: 0,
    underlay: {
      kind: "flat",
      latency: 50 * US,
      bandwidth: 1e10,
      loss: 0,
      mtu: 1500,
      hostsPerLeaf: 16,
      spines: 2,
      uplinkBandwidth: 4e10,
      uplinkLatency: 5 * US,
    },
    networks: 1,
    span: 4,
    encrypted: 0,
    services: 1,
    schedulers: ["rr"],
    traffic: ["cbr"],
    vipShare: 0,
    rate: 1000,
    size: 100,
    duration: SEC,
    ...changes,
  };
}

export interface PlacedMesh {
  readonly plan: MeshPlan;
  readonly kernel: Kernel;
  readonly hosts: readonly Host[];
  readonly container: (container: number) => NetNs;
}

/** Hosts of a plan on one segment, placed, in one kernel. */
export async function placeMesh(options: MeshOptions, from: MeshPlan = planMesh(options)): Promise<PlacedMesh> {
  const kernel = Kernel.create(await kernelModule());
  const { latency, bandwidth, mtu } = options.underlay;
  const settings = { down: false, latency, bandwidth, loss: 0, queueBytes: 1000 * (mtu + 38), group: 0 };
  const hosts = Array.from({ length: options.hosts }, (_, i) => {
    const port = kernel.underlay.addPort(1, i, 0, 0x525400000000 + i + 1, settings);
    const host = kernel.addHost(`host${i + 1}`, i, new Random(`mesh/host${i + 1}`));
    host.addNic(port, "eth0", mtu);
    return host;
  });
  const placed = hosts.map((host, i) => placeHost(host, from, i));
  const container = (c: number): NetNs => {
    const at = placed[from.containers.host[c] as number];
    if (at === undefined) throw new Error(`no container ${c}`);
    return at(c);
  };
  return { plan: from, kernel, hosts, container };
}

/** Lets virtual time pass. */
export function passTime(kernel: Kernel, span = 10 * MS): void {
  const end = kernel.now + span;
  while (kernel.run(end) !== "done");
}
