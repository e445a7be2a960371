/** Small meshes for tests of generated traffic: hosts of one segment whose root namespaces are the containers. */
import { Random } from "../../src/base/random.ts";
import { MS, type Time } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { HostScheduler } from "../../src/scheduler/runtime.ts";
import { TRAFFIC_KINDS } from "../../src/workload/mesh/options.ts";
import { HostTraffic } from "../../src/workload/mesh/traffic.ts";
import type { MeshFlow, MeshOptions, MeshPlan, MeshReport, MeshService } from "../../src/workload/mesh/types.ts";
import { ip, lan } from "./kernel.ts";
import { meshOptions } from "./mesh.ts";

const OPTIONS: MeshOptions = meshOptions({
  seed: "test",
  hosts: 2,
  containers: 2,
  span: 2,
  services: 0,
  traffic: TRAFFIC_KINDS,
});

/** A flow as tests write it: ids are positions. */
export type FlowSpec = Pick<MeshFlow, "kind" | "from" | "to"> & { readonly start?: Time };

/** A plan of `hosts` containers, number n with the address 10.1.1.(n + 1), one on each host unless `hostOf` says otherwise. */
export function planOf(
  hosts: number,
  flows: readonly FlowSpec[],
  options: Partial<MeshOptions> = {},
  services: readonly MeshService[] = [],
): MeshPlan {
  const numbers = Array.from({ length: hosts }, (_, i) => i);
  const network = {
    id: "n1",
    name: "net",
    subnet: { ip: ip("10.1.1.0"), prefix: 24 },
    gateway: 0,
    vni: 4096,
    encrypted: false,
    hosts: numbers,
    loadBalancers: numbers.map(() => 0),
  };
  return {
    options: { ...OPTIONS, hosts, containers: hosts, flows: flows.length, ...options },
    networks: [network],
    services,
    containers: {
      count: hosts,
      host: Uint32Array.from(numbers),
      network: new Uint32Array(hosts),
      ip: Uint32Array.from(numbers, (i) => ip("10.1.1.1") + i),
    },
    flows: flows.map((flow, id) => ({ start: 0, ...flow, id })),
  };
}

/** Hosts on a segment, with a scheduler for their programs. */
export class Playground {
  readonly kernel: Kernel;
  readonly hosts: readonly Host[];
  readonly oses: readonly HostOs[];
  readonly scheduler: HostScheduler;

  constructor(kernel: Kernel, hosts: readonly Host[]) {
    this.kernel = kernel;
    this.hosts = hosts;
    this.scheduler = new HostScheduler((_host, _process, error) => {
      throw error;
    });
    this.oses = hosts.map((host, i) =>
      Object.assign(this.scheduler.createHost(host.name, i, new Random(`test/${host.name}`)), { kernel: host }),
    );
  }

  static async create(hosts: number): Promise<Playground> {
    const made = await lan(hosts);
    return new Playground(made.kernel, made.hosts);
  }

  /** Runs kernel and programs for a span of virtual time, as a worker does. */
  play(span: Time): void {
    const end = this.kernel.now + span;
    for (;;) {
      this.kernel.deliverWakes();
      this.scheduler.runReady();
      if (this.kernel.deliverWakes() || this.scheduler.hasReady) continue;
      const next = Math.min(this.scheduler.nextTimer(), end);
      const stop = this.kernel.run(next);
      if (stop !== "done") this.scheduler.setClock(this.kernel.now);
      else if (next >= end) {
        this.scheduler.advance(end);
        this.scheduler.runReady();
        return;
      } else this.scheduler.advance(next);
    }
  }

  /** Fills the neighbour tables of all hosts, so that the first packets of a test don't wait for ARP. */
  warm(): void {
    this.hosts.forEach((from, i) => {
      this.hosts.forEach((to, j) => {
        if (i === j) return;
        const { mac } = to.root.link.get("eth0");
        from.root.neigh.add("eth0", ip("10.1.1.1") + j, mac, { state: "PERMANENT" });
      });
    });
  }

  /**
   * Runs a plan's traffic, and `drain` longer; the hosts' reports.
   * @param nsOf where a container is; a host's root namespace unless said otherwise
   */
  run(
    plan: MeshPlan,
    drain: Time = 100 * MS,
    nsOf: (container: number) => NetNs = (container) => this.hosts[container]!.root,
  ): MeshReport[] {
    const traffic = this.oses.map((os, i) => new HostTraffic(os, plan, i, nsOf));
    for (const host of traffic) host.listen();
    const at = this.kernel.now + MS;
    for (const host of traffic) host.start(at);
    const last = Math.max(0, ...plan.flows.map(({ start }) => start));
    this.play(MS + last + plan.options.duration + drain);
    return traffic.map((host) => host.report());
  }
}
