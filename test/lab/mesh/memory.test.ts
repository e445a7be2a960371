import { describe, expect, it } from "vitest";
import { SEC } from "../../../src/base/time.ts";
import { createMachine } from "../../../src/lab/mesh/machine.ts";
import { meshMemory, requireMemory } from "../../../src/lab/mesh/memory.ts";
import { MeshSession } from "../../../src/lab/mesh/session.ts";
import { loadKernel, nodePlatform } from "../../../src/scheduler/node-adapter.ts";
import { planMesh } from "../../../src/workload/mesh/plan.ts";
import type { MeshOptions } from "../../../src/workload/mesh/types.ts";
import { kernelBuilt } from "../../support/kernel.ts";
import { meshOptions } from "../../support/mesh.ts";

async function kernelsOf(options: MeshOptions): Promise<number> {
  const how = { module: await loadKernel(), machines: createMachine, workers: 1, platform: nodePlatform() };
  const session = await MeshSession.start(planMesh(options), how);
  try {
    await session.run();
    return (await session.result()).memory.used;
  } finally {
    await session.close();
  }
}

describe.skipIf(!kernelBuilt)("the estimate of the kernels' memory (needs build/kernel.wasm)", () => {
  const big = { hosts: 40, containers: 1200, networks: 10, span: 4, rate: 50 } as const;
  it.each<[string, Partial<MeshOptions>]>([
    ["containers", { ...big, flows: 20 }],
    ["encryption", { ...big, encrypted: 10, flows: 20 }],
    ["services", { ...big, services: 6, flows: 20 }],
    ["all tasks of called services", { ...big, services: 2, flows: 400, vipShare: 1 }],
    ["requests to VIPs", { ...big, services: 2, flows: 400, vipShare: 1, traffic: ["rr"], rate: 1 }],
    ["requests", { hosts: 4, flows: 16, traffic: ["rr"], rate: 2000, vipShare: 0.5 }],
  ])("is right within a quarter: %s", async (_what, changes) => {
    const options = meshOptions(changes);
    const share = (await kernelsOf(options)) / meshMemory(options, 1).kernels;
    expect(share).toBeGreaterThan(0.8);
    expect(share).toBeLessThan(1.25);
  });
});

describe("what a run takes", () => {
  const large = meshOptions({ hosts: 1000, containers: 100_000, networks: 500, span: 4, flows: 1000 });

  it("grows with hosts, containers, workers, encryption, requests and daemons", () => {
    const total = (changes: Partial<MeshOptions>, workers = 2): number =>
      meshMemory({ ...large, ...changes }, workers).total;
    const base = total({});
    expect(total({ containers: 200_000 })).toBeGreaterThan(1.5 * base - 200 * 2 ** 20);
    expect(total({}, 4)).toBeGreaterThan(base + 100 * 2 ** 20);
    expect(total({ encrypted: 500 })).toBeGreaterThan(base);
    expect(total({ traffic: ["rr"], duration: 10 * SEC })).toBeGreaterThan(base + 10 * 2 ** 30);
    expect(total({ control: "gossip" })).toBeGreaterThan(base + 2 * 2 ** 30);
  });

  it("is compared with what there is, and what would fit does", () => {
    expect(requireMemory(large, 2, 4 * 2 ** 30, "are free").total).toBeLessThan(2 ** 30);
    const refusal = () => requireMemory(large, 2, 500 * 2 ** 20, "are free");
    expect(refusal).toThrow(
      /^the mesh takes about 0\.\d+ GiB \(.*\), and 0\.49 GiB are free: about \d+ hosts with \d+ con/,
    );
    const [, hosts = "", containers = ""] = /about (\d+) hosts with (\d+) containers/.exec(messageOf(refusal)) ?? [];
    const smaller = {
      hosts: Number(hosts),
      containers: Number(containers),
      networks: Number(hosts) / 2,
      flows: Number(hosts),
    };
    expect(Number(hosts)).toBeGreaterThan(100);
    expect(meshMemory({ ...large, ...smaller }, 2).total).toBeLessThan(500 * 2 ** 20 * 1.05);
  });

  it("is too much for a kernel that holds 2 GiB, however much there is", () => {
    const huge = { ...large, hosts: 10_000, containers: 1_000_000, networks: 5000 };
    expect(() => requireMemory(huge, 1, 1e12, "are free")).toThrow(
      /in each of 1 worker, which can have 2\.0 GiB: use \d/,
    );
    expect(requireMemory(huge, 2, 1e12, "are free").total).toBeLessThan(4.2 * 2 ** 30);
  });
});

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}
