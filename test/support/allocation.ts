/**
 * What a running partition allocates: two hosts, a container on each, datagrams through their overlay (VXLAN, netfilter
 * and connection tracking in containers and hosts). A program of its own, run by test/bench/allocation.test.ts, since
 * garbage collections can be counted only where nothing else runs:
 *
 *   node [V8's flags] allocation.js <kernel | windows> <packets> <bytes to waste in each window> <URL of the kernel>
 *
 * "kernel" lets the kernel run through all packets in one call of its loop, "windows" goes through the windows of a
 * partition, 50 µs each. Prints what it saw as JSON (Allocation).
 */
import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { getHeapStatistics } from "node:v8";
import { RUN_DONE } from "../../assembly/abi.ts";
import { assert } from "../../src/base/errors.ts";
import { MS, SEC, type Time, US } from "../../src/base/time.ts";
import type { WasmModule } from "../../src/kernel/wasm.ts";
import { meshTopology } from "../../src/lab/mesh/topology.ts";
import type { MachineFactory } from "../../src/scheduler/machine.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { Partition } from "../../src/scheduler/partition.ts";
import { placeHost } from "../../src/workload/mesh/place.ts";
import { planMesh } from "../../src/workload/mesh/plan.ts";
import { HostTraffic } from "../../src/workload/mesh/traffic.ts";
import type { MeshOptions, MeshPlan } from "../../src/workload/mesh/types.ts";

/** Length of a window: the lookahead of hosts whose links take 50 µs. */
const WINDOW: Time = 50 * US;
/** Datagrams a second of each of the two flows. */
const RATE = 500_000;
/** Virtual time in which V8 gets the code optimised, connections become streams, and buffers reach their size. */
const WARM: Time = 400 * MS;

/** What was seen while the packets were sent. */
export interface Allocation {
  /** Datagrams that arrived at the other host. */
  readonly packets: number;
  readonly windows: number;
  /** Garbage collections. */
  readonly minor: number;
  readonly major: number;
  /** JavaScript's heap and the buffers outside it: how much more is used than before. Exact where nothing was collected. */
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** The kernel's blocks, and its memory in bytes: how much more than before. */
  readonly blocks: number;
  readonly memoryBytes: number;
}

function planOf(duration: Time): MeshPlan {
  const options: MeshOptions = {
    seed: "allocation",
    control: "converged",
    ...{ hosts: 2, containers: 2, flows: 2, networks: 1, span: 2, encrypted: 0, services: 0, vipShare: 0 },
    underlay: {
      ...{ kind: "flat", latency: WINDOW, bandwidth: 1e11, loss: 0, mtu: 1500 },
      ...{ hostsPerLeaf: 0, spines: 0, uplinkBandwidth: 0, uplinkLatency: 0 },
    },
    ...{ schedulers: ["rr"], traffic: ["cbr"], rate: RATE, size: 64, duration },
  };
  return planMesh(options);
}

/** The two hosts in one partition, their traffic about to start. */
class Pair {
  readonly partition: Partition;
  readonly #traffic: HostTraffic[] = [];
  end: Time = 0;
  windows = 0;

  constructor(module: WasmModule, plan: MeshPlan) {
    const machine: MachineFactory = (os) => ({
      start: () => {
        const placed = placeHost(os.kernel, plan, os.hostIndex);
        this.#traffic.push(new HostTraffic(os, plan, os.hostIndex, placed));
      },
      command: () => {},
    });
    const topology = meshTopology(plan);
    this.partition = new Partition(module, { worker: 0, owner: [0, 0], topology, capture: undefined }, machine);
    this.partition.start();
    for (const host of this.#traffic) host.listen();
    for (const host of this.#traffic) host.start(MS);
  }

  /** Goes through windows for a span of time. */
  run(span: Time, waste: number): void {
    for (const until = this.end + span; this.end < until; this.windows++) {
      if (waste > 0) wasted.push(new Array(waste / 8).fill(0.5));
      if (wasted.length > 16) wasted.length = 0;
      this.end += WINDOW;
      this.partition.runWindow(this.end);
    }
  }

  /** The kernel's loop alone, in one call. */
  runKernel(span: Time): void {
    this.end += span;
    const stop = this.partition.kernel.exports.run(this.end - 1, 0xffffffff);
    assert(stop === RUN_DONE, "no program is woken", stop);
  }

  /** Frames that came from the other host, so far. */
  arrived(): number {
    return this.partition.counters().hosts.reduce((sum, { packets }) => sum + packets.arrived, 0);
  }
}

/** Keeps what is wasted on purpose from being optimised away. */
const wasted: number[][] = [];

async function main(): Promise<void> {
  const [mode, packets, waste] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
  const span = (packets / (2 * RATE)) * SEC;
  const pair = new Pair(await loadKernel(new URL(process.argv[5] as string)), planOf(WARM + span + SEC));
  pair.run(WARM, waste);
  pair.runKernel(10 * MS);
  const collections = { minor: 0, major: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as unknown as { detail: { kind: number } }).detail;
      if (kind === 1) collections.minor++;
      else collections.major++;
    }
  });
  const before = pair.arrived();
  const { exports, mem } = pair.partition.kernel;
  globalThis.gc?.();
  await setImmediate();
  observer.observe({ entryTypes: ["gc"] });
  pair.windows = 0;
  const [blocks, memory, heap] = [exports.blocksHeld(), mem.memory.buffer.byteLength, getHeapStatistics()];
  if (mode === "kernel") pair.runKernel(span);
  else pair.run(span, waste);
  const after = getHeapStatistics();
  const [blocksAfter, memoryAfter] = [exports.blocksHeld(), mem.memory.buffer.byteLength];
  for (let i = 0; i < 3; i++) await setImmediate();
  observer.disconnect();
  const seen: Allocation = {
    packets: pair.arrived() - before,
    windows: pair.windows,
    ...collections,
    heapBytes: after.used_heap_size - heap.used_heap_size,
    externalBytes: after.external_memory - heap.external_memory,
    blocks: blocksAfter - blocks,
    memoryBytes: memoryAfter - memory,
  };
  console.log(JSON.stringify(seen));
}

await main();
