/** What a mesh is said to take of the kernels' memory, and what it takes; that a container costs little, and no more in large. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.ts";
import { SEC } from "../../../src/base/time.ts";
import { meshFootprint, requireMeshMemory } from "../../../src/workload/mesh/footprint.ts";
import type { MeshOptions } from "../../../src/workload/mesh/types.ts";
import { kernelBuilt } from "../../support/kernel.ts";
import { meshOptions, placeMesh } from "../../support/mesh.ts";

async function placed(options: MeshOptions): Promise<number> {
  return (await placeMesh(options)).kernel.counters().memoryInUse;
}

describe.skipIf(!kernelBuilt)("a mesh's memory (needs build/kernel.wasm)", () => {
  it.each<[string, Partial<MeshOptions>]>([
    ["one network", { hosts: 4, span: 4, containers: 400 }],
    ["networks of neighbours, without services", { hosts: 20, networks: 10, span: 4, containers: 1000, services: 0 }],
    ["networks of many hosts with services", { hosts: 16, networks: 2, span: 16, containers: 800, services: 10 }],
    ["encryption", { hosts: 24, networks: 3, span: 8, containers: 240, encrypted: 3 }],
    ["few containers a host", { hosts: 100, networks: 25, span: 4, containers: 200 }],
  ])("is said beforehand within 10 %%: %s", async (_, changes) => {
    const options = meshOptions(changes);
    const { bytes, worker } = meshFootprint(options, 1);
    const real = await placed(options);
    expect(bytes / real).toBeGreaterThan(0.9);
    expect(bytes / real).toBeLessThan(1.1);
    expect(worker).toBeLessThan(bytes);
  });

  it("is linear, and at most 3,200 bytes a container, with a network of two hosts", async () => {
    const sizes = [12, 24, 48].map((hosts) =>
      meshOptions({ hosts, networks: hosts / 2, span: 2, containers: 200 * hosts, services: 0 }),
    );
    const bytes: number[] = [];
    for (const options of sizes) bytes.push(await placed(options));
    const [small, middle, large] = bytes as [number, number, number];
    // 2,400 containers, 4,800 and 9,600. Less than linear: rules that are equal are kept once.
    const [early, late] = [(middle - small) / 2400, (large - middle) / 4800];
    expect(late).toBeLessThan(3200);
    expect(late / early).toBeLessThan(1.02);
    expect(late / early).toBeGreaterThan(0.8);
  }, 60_000);

  it("is refused when no worker can have so much, with what helps", () => {
    const million = meshOptions({ hosts: 10_000, networks: 1000, span: 10, containers: 1_000_000 });
    expect(requireMeshMemory(meshOptions(), 1).bytes).toBeLessThan(2 ** 24);
    // The aim: 10,000 hosts and 1,000,000 containers in 4 GiB.
    const { bytes } = meshFootprint(million, 3);
    expect(bytes).toBeLessThan(2 ** 32);
    expect(() => requireMeshMemory(million, 3)).not.toThrow();
    expect(() => requireMeshMemory(million, 1)).toThrow(UserError);
    expect(() => requireMeshMemory(million, 1)).toThrow(
      /^the mesh needs about 4\.\d GiB in each of 1 worker, which can have 2\.0 GiB: use 3 workers, or fewer containers/,
    );
    const huge = meshOptions({ hosts: 60_000, networks: 100, span: 60_000, containers: 60_000_000 });
    const busy = meshOptions({ hosts: 10, flows: 1000, traffic: ["rr"], rate: 1000, duration: 60 * SEC });
    expect(() => requireMeshMemory(busy, 2)).toThrow(
      /or fewer requests: a shorter duration, a lower rate, fewer flows of rr$/,
    );
    expect(() => requireMeshMemory(huge, 2)).toThrow(/: fewer containers, or networks that span fewer hosts$/);
  });
});
