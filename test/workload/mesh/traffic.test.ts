/** All kinds of traffic over overlays that were placed: plain and encrypted, to containers and to VIPs. */
import { describe, expect, it } from "vitest";
import { MS, SEC } from "../../../src/base/time.ts";
import type { IpvsScheduler } from "../../../src/kernel/ipvs-types.ts";
import { HostTraffic } from "../../../src/workload/mesh/traffic.ts";
import type { MeshOptions, MeshReport, TrafficKind } from "../../../src/workload/mesh/types.ts";
import { kernelBuilt } from "../../support/kernel.ts";
import { meshOptions, type PlacedMesh, placeMesh } from "../../support/mesh.ts";
import { Playground } from "../../support/playground.ts";

const KINDS: readonly TrafficKind[] = ["cbr", "poisson", "rr", "bulk", "incast"];

async function runMesh(changes: Partial<MeshOptions>): Promise<{ mesh: PlacedMesh; reports: MeshReport[] }> {
  const { underlay } = meshOptions();
  // Slow wires, so that bulk transfers are few packets.
  const mesh = await placeMesh(
    meshOptions({ duration: 200 * MS, underlay: { ...underlay, bandwidth: 1e8 }, ...changes }),
  );
  const ground = new Playground(mesh.kernel, mesh.hosts);
  return { mesh, reports: ground.run(mesh.plan, SEC, mesh.container) };
}

/** Both ends' reports of each flow, added up. */
function totals(reports: readonly MeshReport[]): Map<number, { sent: number; failed: number; received: number }> {
  const out = new Map<number, { sent: number; failed: number; received: number }>();
  for (const { flow, sent, failed, received } of reports.flatMap(({ flows }) => flows)) {
    const sum = out.get(flow) ?? { sent: 0, failed: 0, received: 0 };
    out.set(flow, { sent: sum.sent + sent, failed: sum.failed + failed, received: sum.received + received });
  }
  return out;
}

describe.skipIf(!kernelBuilt)("traffic over placed overlays (needs build/kernel.wasm)", () => {
  it.each([0, 1])("arrives whole, whatever its kind (%i encrypted)", async (encrypted) => {
    const options = { flows: 20, traffic: KINDS, encrypted, vipShare: 0.5, services: 2, size: 1000, rate: 500 };
    const { mesh, reports } = await runMesh(options);
    const sums = totals(reports);
    expect(sums.size).toBe(20);
    for (const { id, kind } of mesh.plan.flows) {
      const { sent, failed, received } = sums.get(id) as { sent: number; failed: number; received: number };
      expect(failed, `flow ${id}`).toBe(0);
      expect(received, `flow ${id}`).toBeGreaterThan(0);
      if (kind === "bulk") expect(received).toBeLessThanOrEqual(sent);
      else expect(received, `flow ${id}, ${kind}`).toBe(sent);
    }
    const groups = reports.flatMap(({ delays }) => delays);
    expect(new Set(groups.map((group) => group.kind))).toEqual(new Set(["cbr", "poisson", "rr", "incast"]));
    expect(groups.every((group) => group.encrypted === (encrypted === 1))).toBe(true);
    expect(new Set(groups.filter(({ viaVip }) => viaVip).map(({ kind }) => kind))).toEqual(
      new Set(["cbr", "poisson", "rr"]),
    );
    expect(reports.flatMap(({ failures }) => failures ?? [])).toEqual([]);
  });

  it.each<IpvsScheduler>(["rr", "lc", "sh"])("is spread by %s as its scheduler does", async (scheduler) => {
    const { mesh, reports } = await runMesh({
      flows: 3,
      traffic: ["rr"],
      vipShare: 1,
      schedulers: [scheduler],
      duration: SEC,
      rate: 200,
    });
    const requests = new Map<number, number>();
    for (const { id, to } of mesh.plan.flows) {
      if (!("service" in to)) throw new Error("all go to VIPs");
      const { sent } = totals(reports).get(id) as { sent: number };
      requests.set(to.service, (requests.get(to.service) ?? 0) + sent);
    }
    const counts = new Map<number, number[]>();
    for (const { service, count } of reports.flatMap(({ backends }) => backends))
      counts.set(service, [...(counts.get(service) ?? []), count]);
    for (const [service, sent] of requests) {
      const tasks = counts.get(service) ?? [];
      expect(tasks.reduce((a, b) => a + b, 0)).toBe(sent);
      // A source hash leads each client to one task; each client's host has a balancer of its own, which goes round.
      if (scheduler === "sh") expect(tasks.length).toBeLessThanOrEqual(3);
      else expect(tasks).toHaveLength(mesh.plan.services[service]?.containers.length ?? 0);
      if (scheduler === "rr") expect(Math.max(...tasks) - Math.min(...tasks)).toBeLessThanOrEqual(3);
    }
  });

  it("gives the same report again, to the byte; another seed gives another", async () => {
    const options = { flows: 20, traffic: KINDS, encrypted: 1, vipShare: 0.3, size: 2000, rate: 300 };
    const first = (await runMesh(options)).reports;
    expect((await runMesh(options)).reports).toEqual(first);
    expect((await runMesh({ ...options, seed: "2" })).reports).not.toEqual(first);
  });

  it("carries datagrams longer than the MTU, as fragments, and counts one connection for each flow to a VIP", async () => {
    const options = { flows: 4, traffic: ["cbr" as const], vipShare: 1, size: 5000, rate: 50 };
    const { mesh, reports } = await runMesh(options);
    for (const { id } of mesh.plan.flows) {
      const { sent, received } = totals(reports).get(id) as { sent: number; received: number };
      expect([sent, received]).toEqual([10, 10]);
    }
    const flows = reports.flatMap((report) => report.flows).filter(({ received }) => received > 0);
    expect(flows.map(({ bytes }) => bytes)).toEqual(flows.map(({ received }) => 5000 * received));
    const backends = reports.flatMap((report) => report.backends);
    expect(backends.reduce((sum, { connections }) => sum + connections, 0)).toBe(4);
    expect(backends.reduce((sum, { count }) => sum + count, 0)).toBe(40);
  });

  it("takes no program's time for datagrams and requests", async () => {
    const mesh = await placeMesh(meshOptions({ flows: 16, traffic: ["cbr", "poisson", "rr"], vipShare: 0.5 }));
    const ground = new Playground(mesh.kernel, mesh.hosts);
    const traffic = ground.oses.map((os, i) => new HostTraffic(os, mesh.plan, i, mesh.container));
    for (const host of traffic) host.listen();
    for (const host of traffic) host.start(ground.kernel.now);
    expect(ground.scheduler.hasReady).toBe(false);
    // One call of the kernel runs it all.
    expect(mesh.kernel.run(ground.kernel.now + 900 * MS)).toBe("done");
    expect(mesh.hosts.flatMap((host) => host.namespaces().flatMap((ns) => [...ns.sockets]))).toEqual([]);
  });
});
