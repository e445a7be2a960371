import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Allocation } from "../support/allocation.ts";
import { type BuiltWorker, buildWorker } from "../support/build-worker.ts";
import { kernelBuilt } from "../support/kernel.ts";

const PACKETS = 1_000_000;

describe.skipIf(!kernelBuilt)("what a million packets allocate (needs build/kernel.wasm)", () => {
  let built: BuiltWorker;

  beforeAll(() => {
    built = buildWorker("test/support/allocation.ts");
  });
  afterAll(() => built.remove());

  /** @param waste bytes that each window allocates on purpose */
  function measure(mode: "kernel" | "windows", waste = 0): Allocation {
    // A young generation so large that nothing is collected unless far too much is allocated: so the heap's growth is
    // exactly what was allocated.
    const flags = ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"];
    const kernel = new URL("../../build/kernel.wasm", import.meta.url).href;
    const words = [new URL(built.machines).pathname, mode, String(PACKETS), String(waste), kernel];
    return JSON.parse(execFileSync(process.execPath, [...flags, ...words]).toString()) as Allocation;
  }

  /** What never happens, however packets are run. */
  const NOTHING = { minor: 0, major: 0, externalBytes: 0, blocks: 0, memoryBytes: 0 };

  it("the kernel's loop: no collection, no block, nothing of JavaScript's heap", () => {
    const seen = measure("kernel");
    expect(seen).toMatchObject({ packets: PACKETS, windows: 0, ...NOTHING });
    // What asking for the statistics itself takes.
    expect(seen.heapBytes).toBeLessThan(50_000);
  });

  it("windows of 50 µs: no collection, no block, less than three numbers of the heap in each", () => {
    const seen = measure("windows");
    expect(seen).toMatchObject({ packets: PACKETS, windows: 20_000, ...NOTHING });
    expect(seen.heapBytes / seen.windows).toBeLessThan(36);
    expect(seen.heapBytes / PACKETS).toBeLessThan(1);
  });

  it("sees what windows allocate", () => {
    const seen = measure("windows", 40);
    expect(seen.heapBytes / seen.windows).toBeGreaterThan(40);
  });
});
