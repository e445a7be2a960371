/** A worker that dies ends the run with its error, whatever it dies of and whoever waits for it then: nothing hangs. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import type { WasmModule } from "../../src/kernel/wasm.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import { nodePlatform } from "../../src/scheduler/node-adapter.ts";
import type { Platform, WorkerThread } from "../../src/scheduler/platform.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";
import { type BuiltWorker, buildWorker } from "../support/build-worker.ts";
import type { Death, DyingConfig } from "../support/dying-machine.ts";
import { kernelBuilt, kernelModule } from "../support/kernel.ts";

/** What nothing may take, in ms: a second on a free machine. */
const SOON = 10_000;

describe.skipIf(!kernelBuilt)("deaths of workers (needs build/kernel.wasm)", { timeout: 3 * SOON }, () => {
  let module: WasmModule;
  let built: BuiltWorker;
  const threads: WorkerThread[] = [];

  beforeAll(async () => {
    module = await kernelModule();
    built = buildWorker("test/support/dying-machine.ts");
  });
  afterAll(() => built?.remove());

  /** Four hosts in as many workers; the death comes in worker `where`. */
  function cluster(death: Death, where = 2, workers = 4): Promise<Cluster> {
    const hosts = [0, 1, 2, 3].map((i) => {
      const machine: DyingConfig = { death: i === where ? death : "no" };
      return { name: `h${i}`, machine };
    });
    const node = nodePlatform(built.entry, { maxHeapMb: 64 });
    threads.length = 0;
    const platform: Platform = {
      ...node,
      startWorker(index) {
        const thread = node.startWorker(index);
        threads.push(thread);
        return thread;
      },
    };
    return Cluster.create({
      topology: resolveTopology("1", hosts),
      module,
      workers,
      machines: built.machines,
      platform,
    });
  }

  /** The error with which something ends that must not hang. */
  async function endOf(what: Promise<unknown>): Promise<string> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const hang = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve("it hangs"), SOON);
    });
    const ended = what.then(
      () => "no error",
      (error: unknown) => `${(error as Error).message} ${(error as { code?: string }).code ?? ""}`,
    );
    const end = await Promise.race([ended, hang]);
    clearTimeout(timer);
    return end;
  }

  it.each<[Death, RegExp]>([
    ["throw", /reaper on h2 at 20000000 ns: the program threw/],
    ["trap", /reaper on h2 at 20000000 ns: .*(out of bounds|unreachable)/],
    ["exit", /worker 2 ended with code 3/],
    ["memory", /memory limit.*ERR_WORKER_OUT_OF_MEMORY/],
    ["throw in a callback", /nobody caught it/],
  ])("ends the run when a worker dies by: %s", async (death, error) => {
    const run = await cluster(death);
    // The others wait at the barrier for the one that has died, the coordinator for all of them.
    expect(await endOf(run.runUntil(3600 * SEC))).toMatch(error);
    // It stays so, whatever is asked next.
    expect(await endOf(run.runUntil(3601 * SEC))).toMatch(error);
    expect(await endOf(run.counters())).toMatch(error);
    expect(await endOf(run.stop())).toBe("no error");
  });

  it.each<[Death, RegExp]>([
    ["throw at boot", /no bootable device/],
    ["exit at boot", /worker 0 ended with code 4/],
  ])("ends the making of the cluster when a worker dies by: %s", async (death, error) => {
    expect(await endOf(cluster(death, 0))).toMatch(error);
    // Nobody is left behind.
    for (const thread of threads) expect(await endOf(thread.died)).toMatch(/ended with code/);
  });

  it("ends the run when a thread is terminated while the others work, and while nobody does anything", async () => {
    const run = await cluster("no");
    const end = endOf(run.runUntil(1e6 * SEC));
    await threads[1]?.terminate();
    expect(await end).toMatch(/worker 1 ended with code 1/);
    await run.stop();
    const rest = await cluster("no");
    await rest.runUntil(SEC);
    await threads[3]?.terminate();
    expect(await endOf(rest.counters())).toMatch(/worker 3 ended with code 1/);
    expect(await endOf(rest.runUntil(2 * SEC))).toMatch(/worker 3 ended with code 1/);
    await rest.stop();
  });

  it("ends a run that is stopped in the middle", async () => {
    const run = await cluster("no");
    const end = endOf(run.runUntil(1e6 * SEC));
    expect(await endOf(run.stop())).toBe("no error");
    expect(await end).toMatch(/was stopped|ended with code/);
  });
});
