/**
 * The control of a worker: a few calls through comlink. Packets never go this way. The same code serves a
 * worker thread of Node, a web worker, and (called directly) the coordinator's own thread.
 */
import { type Endpoint, expose, transfer } from "comlink";
import type { WasmMemory, WasmModule } from "../kernel/wasm.ts";
import { type BatchOrder, type BatchResult, runBatch } from "./batch.ts";
import { type Exchange, SharedExchange, SoloExchange } from "./exchange.ts";
import type { MachineFactory, MachineModule } from "./machine.ts";
import { Partition, type PartitionConfig, type PartitionCounters } from "./partition.ts";
import type { QuietReport, SkipOrder } from "./quiet.ts";

/** What a worker is created with. Survives structured cloning. */
export interface WorkerStart {
  readonly module: WasmModule;
  readonly config: PartitionConfig;
  /** URL of a module that exports `createMachine` (MachineModule); undefined when the worker's entry brings its own. */
  readonly machines: string | undefined;
}

/** What the coordinator asks of a worker, in this order: create, connect (when there are several), run …, stop. */
export interface WorkerApi {
  /** Makes the kernel and the hosts, without running anything. Returns the kernel's memory, for the other workers. */
  create(start: WorkerStart): Promise<WasmMemory>;
  /** Introduces the workers to each other: their kernels' memories in order, and the block in which they meet. */
  connect(memories: readonly WasmMemory[], block: SharedArrayBuffer): void;
  /** Runs a batch of windows. */
  run(order: BatchOrder): BatchResult;
  counters(): PartitionCounters;
  /** Whether the worker's hosts are at rest. */
  quiet(): QuietReport;
  /** Skips quiet time. */
  skip(order: SkipOrder): void;
}

/** A worker: one partition and its exchange with the others. */
export class PartitionWorker implements WorkerApi {
  readonly #factory: MachineFactory | undefined;
  #partition: Partition | undefined;
  #exchange: Exchange = new SoloExchange();
  #worker = 0;

  /** @param factory what runs on hosts; undefined to import the module that create() names */
  constructor(factory?: MachineFactory) {
    this.#factory = factory;
  }

  async create(start: WorkerStart): Promise<WasmMemory> {
    const factory = this.#factory ?? (await importMachines(start.machines));
    this.#worker = start.config.worker;
    this.#partition = new Partition(start.module, start.config, factory);
    this.#partition.start();
    return this.#partition.kernel.mem.memory;
  }

  connect(memories: readonly WasmMemory[], block: SharedArrayBuffer): void {
    this.#exchange = new SharedExchange(this.#own.kernel, this.#worker, memories, block);
  }

  run(order: BatchOrder): BatchResult {
    try {
      return runBatch(this.#own, this.#exchange, order);
    } catch (error) {
      this.#exchange.abort();
      throw error;
    }
  }

  counters(): PartitionCounters {
    return this.#own.counters();
  }

  quiet(): QuietReport {
    return this.#own.quiet();
  }

  skip(order: SkipOrder): void {
    this.#own.skip(order);
  }

  get #own(): Partition {
    if (this.#partition === undefined) throw new Error("the worker has not been created");
    return this.#partition;
  }
}

async function importMachines(url: string | undefined): Promise<MachineFactory> {
  if (url === undefined) throw new Error("neither a machine factory nor a module that exports one");
  const module = (await import(/* @vite-ignore */ url)) as Partial<MachineModule>;
  if (module.createMachine === undefined) throw new Error(`${url} does not export createMachine`);
  return module.createMachine;
}

/** Serves the coordinator's calls on a worker thread's endpoint. Captured frames are handed over, not copied. */
export function serveWorker(endpoint: Endpoint, factory?: MachineFactory): void {
  const worker = new PartitionWorker(factory);
  const api: WorkerApi = {
    create: (start) => worker.create(start),
    connect: (memories, block) => worker.connect(memories, block),
    run: (order) => {
      const result = worker.run(order);
      return transfer(
        result,
        result.capture.chunks.map((chunk) => chunk.buffer as ArrayBuffer),
      );
    },
    counters: () => worker.counters(),
    quiet: () => worker.quiet(),
    skip: (order) => worker.skip(order),
  };
  expose(api, endpoint);
}
