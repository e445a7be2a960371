/**
 * The control of a worker: a few calls through comlink. Packets never go this way. The same code serves a
 * worker thread of Node, a web worker, and (called directly) the coordinator's own thread.
 */
import { type Endpoint, expose, transfer } from "comlink";
import type { Time } from "../base/time.ts";
import type { WasmMemory, WasmModule } from "../kernel/wasm.ts";
import { type BatchOrder, type BatchResult, runBatch } from "./batch.ts";
import { type Exchange, SharedExchange, SoloExchange } from "./exchange.ts";
import type { MachineFactory, MachineModule } from "./machine.ts";
import { Partition, type PartitionConfig, type PartitionCounters } from "./partition.ts";
import { type Clock, Profile, type Section, type SectionTimes } from "./profile.ts";
import type { QuietReport, SkipOrder } from "./quiet.ts";

/** What a worker is created with. Survives structured cloning. */
export interface WorkerStart {
  readonly module: WasmModule;
  readonly config: PartitionConfig;
  /** URL of a module that exports `createMachine` (MachineModule); undefined when the worker's entry brings its own. */
  readonly machines: string | undefined;
  /** Takes the times of the worker's thread. */
  readonly profile: boolean;
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
  /** The earliest thing that this worker has to do. Called between batches. */
  nextEvent(): Time;
  /** Asks the machines of hosts of this worker, without an effect. @returns by host, in order */
  inspect(hosts: readonly number[], query: unknown): readonly unknown[];
  /** Whether the worker's hosts are at rest. */
  quiet(): QuietReport;
  /** Skips quiet time. */
  skip(order: SkipOrder): void;
  /** Where the time went; undefined when it was created without a profile. */
  times(): SectionTimes | undefined;
  /** Bytes of the thread's JavaScript heap in use; 0 where nobody knows. */
  heap(): number;
}

/** A worker: one partition and its exchange with the others. */
export class PartitionWorker implements WorkerApi {
  readonly #factory: MachineFactory | undefined;
  #partition: Partition | undefined;
  #exchange: Exchange = new SoloExchange();
  #worker = 0;
  readonly #makeProfile: (() => Profile) | undefined;
  #profile: Profile | undefined;
  readonly #clock: Clock | undefined;

  /**
   * @param factory what runs on hosts; undefined to import the module that create() names
   * @param makeProfile makes the profile of this thread, or returns the one that it has
   * @param clock wall time in this thread, for parts of a run that end by it
   */
  constructor(factory?: MachineFactory, makeProfile?: () => Profile, clock?: Clock) {
    this.#clock = clock;
    this.#factory = factory;
    this.#makeProfile = makeProfile;
  }

  /** Takes the time of what is done, and goes back to the section of before. */
  #timed<T>(section: Section, action: () => T): T {
    const before = this.#profile?.enter(section);
    const result = action();
    if (before !== undefined) this.#profile?.enter(before);
    return result;
  }

  async create(start: WorkerStart): Promise<WasmMemory> {
    const factory = this.#factory ?? (await importMachines(start.machines));
    this.#worker = start.config.worker;
    if (start.profile) this.#profile = this.#makeProfile?.();
    const partition = new Partition(start.module, start.config, factory, this.#profile, this.#clock);
    this.#partition = partition;
    this.#timed("programs", () => partition.start());
    return partition.kernel.mem.memory;
  }

  connect(memories: readonly WasmMemory[], block: SharedArrayBuffer): void {
    this.#exchange = new SharedExchange(this.#own.kernel, this.#worker, memories, block, this.#profile);
  }

  run(order: BatchOrder): BatchResult {
    try {
      return this.#timed("other", () => runBatch(this.#own, this.#exchange, order));
    } catch (error) {
      this.#exchange.abort();
      throw error;
    }
  }

  counters(): PartitionCounters {
    return this.#own.counters();
  }

  nextEvent(): Time {
    return this.#own.nextEvent();
  }

  inspect(hosts: readonly number[], query: unknown): readonly unknown[] {
    return hosts.map((host) => this.#own.inspect(host, query));
  }

  quiet(): QuietReport {
    return this.#timed("programs", () => this.#own.quiet());
  }

  skip(order: SkipOrder): void {
    this.#timed("programs", () => this.#own.skip(order));
  }

  times(): SectionTimes | undefined {
    return this.#profile?.times();
  }

  /** In the coordinator's thread, whose heap its caller knows. */
  heap(): number {
    return 0;
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

/** What a place to run knows of a thread that the scheduler doesn't. */
export interface ThreadGauges {
  /** For profiles, and for parts of a run that end by wall time. */
  readonly clock?: Clock;
  /** Bytes of the thread's JavaScript heap in use. */
  readonly heap?: () => number;
}

/**
 * Serves the coordinator's calls on a worker thread's endpoint. Captured frames are handed over, not copied.
 */
export function serveWorker(endpoint: Endpoint, factory?: MachineFactory, { clock, heap }: ThreadGauges = {}): void {
  const worker = new PartitionWorker(
    factory,
    clock === undefined ? undefined : () => new Profile(clock, "idle"),
    clock,
  );
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
    nextEvent: () => worker.nextEvent(),
    inspect: (hosts, query) => worker.inspect(hosts, query),
    quiet: () => worker.quiet(),
    skip: (order) => worker.skip(order),
    times: () => worker.times(),
    heap: () => heap?.() ?? 0,
  };
  expose(api, endpoint);
}
