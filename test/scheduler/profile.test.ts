/** Profiles: the sections add up, nothing that is simulated depends on them, and without one no clock is read. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SEC, US } from "../../src/base/time.ts";
import type { KernelExports, WasmModule } from "../../src/kernel/wasm.ts";
import type { CaptureSink } from "../../src/scheduler/captures.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import { nodePlatform } from "../../src/scheduler/node-adapter.ts";
import { Profile, profiledExports, SECTIONS, sumOfProfiles, type ThreadProfile } from "../../src/scheduler/profile.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";
import { type BuiltWorker, buildWorker } from "../support/build-worker.ts";
import { kernelBuilt, kernelModule } from "../support/kernel.ts";
import { createMachine, type MeshConfig } from "../support/mesh-machine.ts";

const NOTHING = Object.fromEntries(SECTIONS.map((name) => [name, 0]));

describe("a thread's profile", () => {
  it("gives each moment to the section that the thread is in", () => {
    let now = 100;
    const profile = new Profile(() => now);
    now += 5;
    expect(profile.enter("programs")).toBe("other");
    now += 7;
    expect(profile.enter("kernel")).toBe("programs");
    now += 11;
    expect(profile.times()).toEqual({ ...NOTHING, other: 5, programs: 7, kernel: 11 });
    now += 1;
    expect(profile.enter("kernel")).toBe("kernel");
    now += 2;
    profile.enter("programs");
    now += 1;
    expect(profile.times()).toEqual({ ...NOTHING, other: 5, programs: 8, kernel: 14 });
  });

  it("takes the time of what programs call in the kernel, and of nothing else there", () => {
    let now = 0;
    const profile = new Profile(() => now, "programs");
    const seen: number[][] = [];
    const raw = {
      memory: {},
      add: (a: number, b: number) => {
        now += 3;
        seen.push([a, b]);
        return a + b;
      },
    };
    const wrapped = profiledExports(profile, raw as unknown as KernelExports) as unknown as typeof raw;
    expect([wrapped.add(1, 2), wrapped.memory]).toEqual([3, raw.memory]);
    profile.enter("kernel");
    expect(wrapped.add(3, 4)).toBe(7);
    expect(profile.times()).toEqual({ ...NOTHING, calls: 3, kernel: 3 });
    expect(seen).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it("sums of threads", () => {
    const times = (kernel: number) => ({ ...NOTHING, kernel }) as ThreadProfile["times"];
    const threads = [1, 2].map((kernel) => ({ thread: "x", times: times(kernel) }));
    expect(sumOfProfiles(threads)).toEqual({ ...NOTHING, kernel: 3 });
  });
});

const TOPOLOGY = resolveTopology(
  "profile",
  [0, 1, 2, 3].map((i) => {
    const address = (host: number): string => `10.1.1.${11 + host}`;
    const peers = [0, 1, 2, 3].filter((j) => j !== i).map(address);
    const machine: MeshConfig = { address: address(i), peers, messages: 8, throwAt: 0 };
    return { name: `node-${i}`, nics: [{ latency: 50 * US }], machine };
  }),
);

describe.skipIf(!kernelBuilt)("a cluster's profile (needs build/kernel.wasm)", () => {
  let module: WasmModule;
  let built: BuiltWorker;

  beforeAll(async () => {
    module = await kernelModule();
    built = buildWorker("test/support/mesh-machine.ts");
  });
  afterAll(() => built?.remove());

  /** Runs with a clock that goes on by one at each look in this thread. */
  async function run(workers: number, profile: boolean, captured = true) {
    const hash = createHash("sha256");
    const sink: CaptureSink = {
      point: (point) => hash.update(JSON.stringify(point)),
      frame: ({ time, data }) => hash.update(`${time}`).update(data),
    };
    let looks = 0;
    const cluster = await Cluster.create({
      topology: TOPOLOGY,
      module,
      workers,
      machines: workers === 1 ? createMachine : built.machines,
      platform: { ...nodePlatform(built.entry), clock: () => looks++ },
      profile,
      ...(captured ? { capture: { patterns: ["*"], snaplen: 65_535, sink } } : {}),
    });
    try {
      await cluster.runUntil(1 * SEC);
      const threads = await cluster.profile();
      const { events } = await cluster.counters();
      return { threads, looks, events, digest: hash.digest("hex") };
    } finally {
      await cluster.stop();
    }
  }

  it("one worker: the calling thread does all, and every moment is in a section", async () => {
    const plain = await run(1, false);
    expect([plain.threads, plain.looks]).toEqual([undefined, 0]);
    const { threads, looks, digest, events } = await run(1, true);
    expect([digest, events]).toEqual([plain.digest, plain.events]);
    const [{ thread, times }, ...others] = threads as [ThreadProfile];
    expect([thread, others]).toEqual(["main", []]);
    for (const section of ["kernel", "calls", "programs", "capture", "exchange", "other"] as const)
      expect([section, times[section] > 0]).toEqual([section, true]);
    expect([times.wait, times.idle]).toEqual([0, 0]);
    expect(Object.values(times).reduce((sum, time) => sum + time)).toBe(looks - 1);
    expect((await run(1, true, false)).threads?.[0]?.times.capture).toBe(0);
  });

  it("two workers: each has its times, by the clock of its own thread", async () => {
    const plain = await run(1, false);
    const { threads, digest } = await run(2, true);
    expect(digest).toBe(plain.digest);
    expect(threads?.map(({ thread }) => thread)).toEqual(["main", "worker 0", "worker 1"]);
    const [main, ...workers] = threads as ThreadProfile[];
    expect(main?.times).toMatchObject({ kernel: 0, calls: 0, programs: 0, exchange: 0, wait: 0 });
    expect(main?.times.idle).toBeGreaterThan(0);
    expect(main?.times.capture).toBeGreaterThan(0);
    for (const { times } of workers)
      for (const section of SECTIONS) expect([section, times[section] > 0]).toEqual([section, true]);
    expect((await run(2, false)).threads).toBeUndefined();
  });

  it("needs a platform's clock", async () => {
    const options = { topology: TOPOLOGY, module, machines: createMachine, profile: true };
    await expect(Cluster.create(options)).rejects.toThrow("a profile needs a platform");
  });
});
