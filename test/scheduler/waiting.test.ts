/** What waiting for another worker costs: a worker without much to do sleeps. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MS, SEC, US } from "../../src/base/time.ts";
import type { WasmModule } from "../../src/kernel/wasm.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import { nodePlatform } from "../../src/scheduler/node-adapter.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";
import { type BuiltWorker, buildWorker } from "../support/build-worker.ts";
import type { CpuConfig, CpuReport } from "../support/cpu-machine.ts";
import { kernelBuilt, kernelModule } from "../support/kernel.ts";

const measurable = kernelBuilt && existsSync("/proc/thread-self/schedstat");
const address = (i: number): number => 0x0a010100 + i + 1;

describe.skipIf(!measurable)("waiting (needs build/kernel.wasm and Linux)", () => {
  let module: WasmModule;
  let built: BuiltWorker;

  beforeAll(async () => {
    module = await kernelModule();
    built = buildWorker("test/support/cpu-machine.ts");
  });
  afterAll(() => built?.remove());

  /** Host 0 and host 1 in one worker, 2 and 3 in the other; what each thread's CPU did between two times. */
  async function measure(flows: CpuConfig["flows"], until: number) {
    const reports: CpuReport[] = [];
    const hosts = [0, 1, 2, 3].map((i) => {
      const machine: CpuConfig = { address: address(i), flows: i === 0 ? flows : [] };
      return { name: `h${i}`, nics: [{ latency: 50 * US }], machine };
    });
    const run = await Cluster.create({
      topology: resolveTopology("1", hosts),
      module,
      workers: 2,
      machines: built.machines,
      platform: nodePlatform(built.entry),
      skip: false,
      onEvent: ({ payload }) => reports.push(payload as CpuReport),
    });
    const ask = async (): Promise<CpuReport[]> => {
      reports.length = 0;
      for (const i of [0, 1, 2, 3]) run.post(i, run.now, "report");
      await run.runUntil(run.now + MS);
      return [...reports];
    };
    await run.runUntil(10 * MS);
    const before = await ask();
    await run.runUntil(until);
    const after = await ask();
    const { windows } = await run.counters();
    await run.stop();
    const cpuMs = (i: number): number => (after[i] as CpuReport).cpuMs - (before[i] as CpuReport).cpuMs;
    return { busyMs: cpuMs(0), idleMs: cpuMs(2), windows, received: after.map(({ received }) => received) };
  }

  it("costs a worker nothing to speak of when all traffic is in the other one", async () => {
    const { busyMs, idleMs, windows, received } = await measure([{ to: address(1), rate: 200_000 }], 4 * SEC);
    expect(received[1]).toBeGreaterThan(790_000);
    expect(busyMs).toBeGreaterThan(60);
    expect(idleMs).toBeLessThan(0.15 * busyMs + 10);
    // No window was shorter because of a worker in which nothing happens.
    expect(windows).toBeLessThan(450);
  });

  it("costs little when now and then a frame comes over", async () => {
    const flows = [
      { to: address(1), rate: 200_000 },
      { to: address(2), rate: 100 },
    ];
    const { busyMs, idleMs, received } = await measure(flows, 4 * SEC);
    expect(received[2]).toBeGreaterThan(390);
    expect(idleMs).toBeLessThan(0.25 * busyMs + 10);
  });
});
