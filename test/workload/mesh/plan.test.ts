import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatCidr, formatIpv4 } from "../../../src/base/addr.ts";
import { UserError } from "../../../src/base/errors.ts";
import { MS } from "../../../src/base/time.ts";
import { hostAddress } from "../../../src/workload/mesh/addresses.ts";
import { INCAST_SENDERS } from "../../../src/workload/mesh/flows.ts";
import { TRAFFIC_KINDS } from "../../../src/workload/mesh/options.ts";
import { planMesh } from "../../../src/workload/mesh/plan.ts";
import { rowsOf } from "../../../src/workload/mesh/rows.ts";
import type { MeshFlow, MeshOptions, MeshPlan } from "../../../src/workload/mesh/types.ts";
import { meshOptions } from "../../support/mesh.ts";

const text = (ips: Iterable<number>): string[] => [...ips].map(formatIpv4);

describe("addresses of a plan", () => {
  it("are those that a swarm gave out for two services of six tasks on four nodes", () => {
    // Network plain of the lab in test/labs/converged.test.ts: web first, then db.
    const plan = planMesh(meshOptions({ containers: 12, services: 2 }));
    const [network] = plan.networks;
    const [web, db] = plan.services;
    expect(formatCidr(network?.subnet ?? { ip: 0, prefix: 0 })).toBe("10.0.1.0/24");
    expect(formatIpv4(network?.gateway ?? 0)).toBe("10.0.1.1");
    expect(network?.vni).toBe(4097);
    expect(text([web?.vip ?? 0, db?.vip ?? 0])).toEqual(["10.0.1.2", "10.0.1.13"]);
    const ips = (containers: Uint32Array | undefined) =>
      text([...(containers ?? [])].map((c) => plan.containers.ip[c] as number));
    expect(ips(web?.containers)).toEqual([3, 4, 5, 6, 7, 8].map((n) => `10.0.1.${n}`));
    expect(ips(db?.containers)).toEqual([14, 15, 16, 17, 18, 19].map((n) => `10.0.1.${n}`));
    expect(text(network?.loadBalancers ?? [])).toEqual([9, 10, 11, 12].map((n) => `10.0.1.${n}`));
    expect([web?.fwmark, db?.fwmark]).toEqual([256, 257]);
  });

  it("come one by one where there are no services, a load balancer's after a host's first", () => {
    const plan = planMesh(meshOptions({ containers: 4, hosts: 2, span: 2, services: 0 }));
    expect(text(plan.containers.ip)).toEqual(["10.0.1.2", "10.0.1.4", "10.0.1.5", "10.0.1.7"]);
    expect(text(plan.networks[0]?.loadBalancers ?? [])).toEqual(["10.0.1.3", "10.0.1.6"]);
  });

  it("lie in larger subnets where a /24 doesn't hold a network", () => {
    const plan = planMesh(meshOptions({ containers: 600, networks: 2 }));
    expect(plan.networks.map(({ subnet }) => formatCidr(subnet))).toEqual(["10.0.2.0/23", "10.0.4.0/23"]);
  });

  it("of hosts are a lab's, or those of a /16", () => {
    expect(formatCidr(hostAddress({ hosts: 244 }, 243))).toBe("192.168.77.254/24");
    expect(formatCidr(hostAddress({ hosts: 245 }, 0))).toBe("192.168.0.11/16");
  });
});

const sizes = fc
  .record({
    hosts: fc.integer({ min: 1, max: 40 }),
    perHost: fc.integer({ min: 1, max: 12 }),
    span: fc.integer({ min: 1, max: 6 }),
    more: fc.integer({ min: 0, max: 8 }),
    services: fc.integer({ min: 0, max: 3 }),
    encrypted: fc.integer({ min: 0, max: 3 }),
    seed: fc.string(),
  })
  .map(({ hosts, perHost, span, more, services, encrypted, seed }) => {
    const reach = Math.min(span, hosts);
    const containers = hosts * perHost;
    const networks = Math.min(containers, Math.ceil(hosts / reach) + more);
    return meshOptions({
      seed, hosts, containers, networks, span: reach, services: Math.min(services, containers),
      encrypted: Math.min(encrypted, networks),
    }); // biome-ignore format: one list
  });

describe("a plan", () => {
  it("has each container on a host of its network, with an address of its own", () => {
    fc.assert(
      fc.property(sizes, (options) => {
        const plan = planMesh(options);
        const { count, host, network, ip } = plan.containers;
        const held = new Set<number>();
        for (const { gateway, loadBalancers } of plan.networks)
          for (const a of [gateway, ...loadBalancers]) held.add(a);
        for (const { vip } of plan.services) held.add(vip);
        const fixed = plan.networks.reduce((sum, n) => sum + 1 + n.loadBalancers.length, plan.services.length);
        expect(held.size).toBe(fixed);
        for (let c = 0; c < count; c++) {
          const on = plan.networks[network[c] as number];
          expect(on?.hosts).toContain(host[c]);
          expect(held.has(ip[c] as number)).toBe(false);
          held.add(ip[c] as number);
        }
        for (const [n, { hosts, subnet, encrypted }] of plan.networks.entries()) {
          expect(hosts.length).toBeLessThanOrEqual(options.span);
          expect([...hosts]).toEqual([...hosts].sort((a, b) => a - b));
          expect(encrypted).toBe(n < options.encrypted);
          const members = rowsOf(plan).ofNetwork.row(n);
          for (const c of members) expect((ip[c] as number) - subnet.ip).toBeLessThan(2 ** (32 - subnet.prefix) - 1);
        }
        const perHost = Array.from({ length: options.hosts }, (_, h) => rowsOf(plan).ofHost.row(h).length);
        expect(Math.max(...perHost) - Math.min(...perHost)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 60 },
    );
  });

  it("shares each network's containers out to its services", () => {
    const plan = planMesh(meshOptions({ containers: 40, networks: 2, services: 3 }));
    for (let n = 0; n < 2; n++) {
      const services = plan.services.filter(({ network }) => network === n);
      const all = services.flatMap(({ containers }) => [...containers]).sort((a, b) => a - b);
      expect(all).toEqual([...rowsOf(plan).ofNetwork.row(n)]);
      expect(services.map(({ containers }) => containers.length)).toEqual([7, 7, 6]);
    }
  });

  it("gives services their schedulers in turn", () => {
    const plan = planMesh(meshOptions({ services: 3, schedulers: ["rr", "lc"] }));
    expect(plan.services.map(({ scheduler }) => scheduler)).toEqual(["rr", "lc", "rr"]);
  });

  it("is the same for the same options, another for another seed, and survives cloning", () => {
    const options = meshOptions({ flows: 50, vipShare: 0.5, containers: 64, traffic: TRAFFIC_KINDS });
    const plan = planMesh(options);
    expect(planMesh(options)).toEqual(plan);
    expect(structuredClone(plan)).toEqual(plan);
    expect(planMesh({ ...options, seed: "2" }).flows).not.toEqual(plan.flows);
    expect(planMesh({ ...options, seed: "2" }).keys).not.toEqual(plan.keys);
  });

  it("spans neighbours around the end of the row", () => {
    const plan = planMesh(meshOptions({ hosts: 6, span: 4, networks: 3, containers: 60 }));
    expect(plan.networks.map(({ hosts }) => hosts)).toEqual([
      [0, 1, 2, 3],
      [2, 3, 4, 5],
      [0, 1, 4, 5],
    ]);
  });
});

const hostOf = (plan: MeshPlan, container: number): number => plan.containers.host[container] as number;
const networkOf = (plan: MeshPlan, container: number): number => plan.containers.network[container] as number;

function receiver(flow: MeshFlow): number {
  return "container" in flow.to ? flow.to.container : -1;
}

describe("flows of a plan", () => {
  const mixed = planMesh(
    meshOptions({
      hosts: 10,
      containers: 200,
      networks: 5,
      span: 5,
      flows: 400,
      traffic: TRAFFIC_KINDS,
      vipShare: 0.4,
    }),
  );

  it("take the kinds in turn, sources from all over, and go to other hosts of the network", () => {
    expect(mixed.flows.slice(0, 6).map(({ kind }) => kind)).toEqual([...TRAFFIC_KINDS, "cbr"]);
    expect(mixed.flows.map(({ id }) => id)).toEqual(mixed.flows.map((_, i) => i));
    for (const flow of mixed.flows) {
      if ("service" in flow.to) {
        expect(mixed.services[flow.to.service]?.network).toBe(networkOf(mixed, flow.from));
        continue;
      }
      expect(networkOf(mixed, receiver(flow))).toBe(networkOf(mixed, flow.from));
      expect(hostOf(mixed, receiver(flow))).not.toBe(hostOf(mixed, flow.from));
    }
    const sources = new Set(mixed.flows.filter(({ kind }) => kind !== "incast").map(({ from }) => hostOf(mixed, from)));
    expect(sources.size).toBe(10);
  });

  it("go to services in the share asked for, but bulk and incast", () => {
    const eligible = mixed.flows.filter(({ kind }) => kind !== "bulk" && kind !== "incast");
    const share = eligible.filter(({ to }) => "service" in to).length / eligible.length;
    expect(share).toBeGreaterThan(0.3);
    expect(share).toBeLessThan(0.5);
    const others = mixed.flows.filter(({ kind }) => kind === "bulk" || kind === "incast");
    expect(others.every(({ to }) => "container" in to)).toBe(true);
  });

  it("of an incast come in groups: one receiver, one start, senders on several hosts", () => {
    const plan = planMesh(meshOptions({ hosts: 8, span: 8, containers: 80, flows: 48, traffic: ["incast"] }));
    for (let at = 0; at < 48; at += INCAST_SENDERS) {
      const group = plan.flows.slice(at, at + INCAST_SENDERS);
      expect(new Set(group.map(receiver)).size).toBe(1);
      expect(new Set(group.map(({ start }) => start)).size).toBe(1);
      expect(new Set(group.map(({ from }) => from)).size).toBe(INCAST_SENDERS);
      expect(new Set(group.map(({ from }) => hostOf(plan, from))).size).toBeGreaterThan(4);
    }
    expect(new Set(plan.flows.map(({ start }) => start)).size).toBe(3);
  });

  it("start within 100 ms, or a quarter of a short run", () => {
    const starts = mixed.flows.map(({ start }) => start);
    expect(Math.max(...starts)).toBeLessThan(100 * MS);
    expect(Math.max(...starts) - Math.min(...starts)).toBeGreaterThan(90 * MS);
    const short = planMesh(meshOptions({ flows: 50, duration: 4 * MS }));
    expect(Math.max(...short.flows.map(({ start }) => start))).toBeLessThan(MS);
  });

  it("stay on the host where a network has no other", () => {
    const plan = planMesh(meshOptions({ hosts: 2, span: 1, networks: 2, containers: 6, flows: 12 }));
    for (const flow of plan.flows) {
      expect(receiver(flow)).not.toBe(flow.from);
      expect(networkOf(plan, receiver(flow))).toBe(networkOf(plan, flow.from));
    }
  });
});

describe("options of a mesh", () => {
  it.each<[Partial<MeshOptions>, string]>([
    [{ hosts: 0 }, "mesh, hosts: 0 given, expected a whole number from 1 to 65000"],
    [{ hosts: 65_001, span: 1 }, "mesh, hosts: 65001"],
    [{ containers: 4089 }, "mesh, containers: 4089 given, expected a whole number from 1 to 4088"],
    [{ containers: 1.5 }, "mesh, containers: 1.5"],
    [{ span: 5 }, "mesh, span: 5 given, expected a whole number from 1 to 4"],
    [{ span: 1 }, "mesh, networks: 1 given, expected 4 at least, for 4 hosts and a span of 1"],
    [{ networks: 17 }, "mesh, containers: 16 given, expected 17 at least"],
    [{ encrypted: 2 }, "mesh, encrypted: 2"],
    [{ schedulers: [] }, "mesh, schedulers: nothing given"],
    [{ schedulers: ["round" as never] }, "mesh, schedulers: round given, expected one of rr, wrr"],
    [{ flows: -1 }, "mesh, flows: -1"],
    [{ flows: 1, traffic: [] }, "mesh, traffic: nothing given"],
    [{ flows: 1, traffic: ["udp" as never] }, "mesh, traffic: udp given, expected one of cbr"],
    [{ vipShare: 1.1 }, "mesh, vipShare: 1.1"],
    [{ vipShare: 0.1, services: 0 }, "mesh, vipShare: 0.1 given, expected 0, as there are no services"],
    [{ rate: 0 }, "mesh, rate: 0"],
    [{ size: 65_508 }, "mesh, size: 65508"],
    [{ duration: 0 }, "mesh, duration: 0"],
    [{ control: "none" as never }, "mesh, control: none given, expected gossip or converged"],
    [{ hosts: 1, span: 1, networks: 16, containers: 16, flows: 1 }, "mesh, containers: too few given"],
  ])("%j", (changes, message) => {
    const make = (): MeshPlan => planMesh(meshOptions(changes));
    expect(make).toThrow(UserError);
    expect(make).toThrow(message);
  });

  it.each([
    [{ loss: 2 }, "mesh, underlay loss: 2"],
    [{ latency: -1 }, "mesh, underlay latency: -1"],
    [{ mtu: 100 }, "mesh, underlay mtu: 100"],
    [{ kind: "leaf-spine", spines: 0 } as const, "mesh, underlay spines: 0"],
    [{ kind: "leaf-spine", hostsPerLeaf: 0 } as const, "mesh, underlay hostsPerLeaf: 0"],
    [{ kind: "ring" as never }, "mesh, underlay: ring"],
  ])("underlay %j", (changes, message) => {
    const { underlay } = meshOptions();
    expect(() => planMesh(meshOptions({ underlay: { ...underlay, ...changes } }))).toThrow(message);
  });

  it("says when the swarm's pool has no room", () => {
    const options = meshOptions({ hosts: 1, span: 1, networks: 1, containers: 1000, services: 1 });
    expect(planMesh(options).networks[0]?.subnet.prefix).toBe(22);
    const many = meshOptions({ hosts: 65_000, span: 1, networks: 65_600, containers: 65_600, services: 0 });
    expect(() => planMesh(many)).toThrow("mesh, networks: 65600 subnets of /24 given, expected at most 65535");
  });
});
