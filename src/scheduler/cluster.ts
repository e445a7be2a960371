/**
 * The coordinator: makes the workers, has them run batches of windows, and puts what they report into one
 * order. With one worker everything runs in the calling thread. Nothing that it reports depends on the number
 * of workers.
 */
import { type Remote, wrap } from "comlink";
import { assert, UserError } from "../base/errors.ts";
import { FOREVER, MS, type Time } from "../base/time.ts";
import type { WasmModule } from "../kernel/wasm.ts";
import { AbortedRun, Meeting, meetingSize } from "./barrier.ts";
import type { BatchOrder, BatchResult } from "./batch.ts";
import { type CaptureSink, mergeCaptures } from "./captures.ts";
import { mergeCounters, type SimCounters } from "./counters.ts";
import { applyLatency, type Fault, type ResolvedFault, resolveFault } from "./faults.ts";
import type { HostEvent, MachineFactory, PostedCommand } from "./machine.ts";
import { type Grant, type Pace, WATCH } from "./pace.ts";
import type { CaptureConfig, PartitionCounters } from "./partition.ts";
import { type Affinity, partitionHosts } from "./placement.ts";
import type { Platform, WorkerThread } from "./platform.ts";
import { Profile, type SectionTimes, type ThreadProfile } from "./profile.ts";
import { type QuietReport, RestLooks, type SkipOrder } from "./quiet.ts";
import { lookaheads, type Topology } from "./topology.ts";
import { closeDelays } from "./window.ts";
import { type ChangedWires, WireStates } from "./wires.ts";
import { PartitionWorker, type WorkerApi } from "./worker-api.ts";

/** How a simulation runs: workers, seed, captures. */
export interface ClusterOptions {
  readonly topology: Topology;
  /** The compiled kernel. */
  readonly module: WasmModule;
  /** What runs on hosts: a factory (one worker only), or the URL of a module that exports `createMachine`. */
  readonly machines: MachineFactory | string;
  /** Who talks to whom, as far as that is known: hosts that do share a worker if they can. Default: nothing is known. */
  readonly affinities?: readonly Affinity[];
  /** Default 1: everything in the calling thread. More need a platform. */
  readonly workers?: number;
  readonly platform?: Platform;
  /** Quiet time is skipped while runUntil() runs (quiet.ts); false = every frame is sent. Default true. */
  readonly skip?: boolean;
  /** Takes where the wall time goes, by the platform's clock. Default false. */
  readonly profile?: boolean;
  /** Decides how fast time goes. Default: as fast as it can. Parts that end by wall time need a platform. */
  readonly pace?: Pace;
  /** Captured frames go to the sink. */
  readonly capture?: CaptureConfig & { readonly sink: CaptureSink };
  /** Called with every event of a host, in total order. */
  readonly onEvent?: (event: HostEvent) => void;
}

/** Where runUntilEvent stopped. */
export interface EventStop {
  /** A multiple of the grid after the event, or the limit, or where the pace ended it. */
  readonly time: Time;
  /** The event that was waited for; undefined when the limit came first. */
  readonly event: HostEvent | undefined;
}

/** Grid of runUntilEvent: steps of a lab begin at whole milliseconds. */
const DEFAULT_GRID: Time = MS;

/** A run without a pace. */
const FREE: Grant = { until: FOREVER };

type Called<T> = T | Promise<T>;

/** A worker as the coordinator calls it, in this thread or another. */
interface WorkerHandle {
  run(order: BatchOrder): Called<BatchResult>;
  counters(): Called<PartitionCounters>;
  nextEvent(): Called<Time>;
  inspect(hosts: readonly number[], query: unknown): Called<readonly unknown[]>;
  quiet(): Called<QuietReport>;
  skip(order: SkipOrder): Called<void>;
  times(): Called<SectionTimes | undefined>;
  heap(): Called<number>;
}

/** All hosts of a simulation, over its workers. */
export class Cluster {
  readonly #options: ClusterOptions;
  readonly #owner: readonly number[];
  #workers: WorkerHandle[] = [];
  #threads: WorkerThread[] = [];
  #meeting: Meeting | undefined;
  /** Rejects when a thread dies. */
  #died: Promise<never> = new Promise(() => {});
  #topology: Topology;
  readonly #wires: WireStates;
  #now: Time = 0;
  #windows = 0;
  #nextCommand = 1;
  #commands: PostedCommand[] = [];
  #faults: ResolvedFault[] = [];
  #failure: unknown;
  readonly #looks = new RestLooks();
  #skippedTime: Time = 0;
  /** The delays between workers, and the topology that they were computed from. */
  #crossing: { readonly topology: Topology; readonly delays: Float64Array } | undefined;
  /** The calling thread's. */
  readonly #profile: Profile | undefined;

  private constructor(options: ClusterOptions) {
    const { profile = false, platform } = options;
    if (profile && platform === undefined) throw new UserError("a profile needs a platform, which has the clock");
    if (profile && platform !== undefined) this.#profile = new Profile(platform.clock);
    this.#options = options;
    this.#topology = options.topology;
    this.#wires = new WireStates(options.topology);
    this.#owner = partitionHosts(options.topology, options.workers ?? 1, options.affinities);
  }

  /** Makes the workers and switches the hosts on. @throws UserError for options that contradict each other */
  static async create(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    const workers = options.workers ?? 1;
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= 64))
      throw new UserError("workers: expected a number from 1 to 64");
    if (workers === 1) await cluster.#createHere();
    else await cluster.#createThreads(workers);
    return cluster;
  }

  async #createHere(): Promise<void> {
    const { machines } = this.#options;
    const profile = this.#profile;
    const worker = new PartitionWorker(
      typeof machines === "string" ? undefined : machines,
      profile === undefined ? undefined : () => profile,
      this.#options.platform?.clock,
    );
    await worker.create({ ...this.#start(0), machines: typeof machines === "string" ? machines : undefined });
    this.#workers = [worker];
  }

  async #createThreads(count: number): Promise<void> {
    const { machines, platform } = this.#options;
    if (platform === undefined || typeof machines !== "string") {
      throw new UserError("more than one worker needs a platform, and machines as a module that workers can import");
    }
    const remotes: Remote<WorkerApi>[] = [];
    for (let i = 0; i < count; i++) {
      const thread = platform.startWorker(i);
      this.#threads.push(thread);
      remotes.push(wrap<WorkerApi>(thread.endpoint));
    }
    this.#died = Promise.race(this.#threads.map((thread) => thread.died));
    this.#died.catch(() => {}); // reported by whoever waits for a worker
    const block = new SharedArrayBuffer(meetingSize(count));
    this.#meeting = new Meeting(block, count);
    try {
      const starts = remotes.map((remote, i) => remote.create({ ...this.#start(i), machines }));
      const memories = await Promise.race([Promise.all(starts), this.#died]);
      await Promise.race([Promise.all(remotes.map((remote) => remote.connect(memories, block))), this.#died]);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#workers = remotes;
  }

  #start(worker: number) {
    const { capture, module, topology } = this.#options;
    const config =
      capture === undefined
        ? undefined
        : { patterns: capture.patterns, snaplen: capture.snaplen, hops: capture.hops === true };
    const profile = this.#profile !== undefined;
    return { module, config: { worker, owner: this.#owner, topology, capture: config }, profile };
  }

  /** Everything before this virtual time has happened. */
  get now(): Time {
    return this.#now;
  }

  /** Index of a host. @throws UserError when there is none of that name */
  hostIndex(name: string): number {
    const index = this.#topology.hosts.findIndex((host) => host.name === name);
    if (index < 0) throw new UserError(`there is no host ${name}`);
    return index;
  }

  /**
   * Delivers a request to a host's machine at a virtual time, as an event of that host.
   * @param time not before now
   * @returns the command's id, which the machine is told too
   */
  post(host: number, time: Time, request: unknown): number {
    assert(time >= this.#now, "a command is posted for the future", time, this.#now);
    assert(host >= 0 && host < this.#owner.length, "host index", host);
    const id = this.#nextCommand++;
    this.#commands.push({ time, host, id, request });
    return id;
  }

  /** Lets a fault happen at a virtual time, not before now; before the packets of that time. @throws UserError */
  inject(fault: Fault, time: Time): void {
    assert(time >= this.#now, "a fault lies in the future", time, this.#now);
    this.#faults.push(resolveFault(fault, time, this.#topology));
    this.#faults.sort((a, b) => a.time - b.time); // stable: faults of one time keep their order
  }

  /**
   * Runs everything before `time`; less where the pace ends it.
   * @param horizon nothing comes from outside before it: quiet time may be skipped, and `now` be later than `time` then
   */
  async runUntil(time: Time, horizon: Time = time): Promise<void> {
    while (this.#now < time) {
      const looks = this.#options.skip !== false;
      if (looks && this.#now >= this.#looks.next) await this.#look(Math.max(time, horizon));
      const next = looks ? this.#looks.next : FOREVER;
      if (this.#now < time && !(await this.#batch(Math.min(time, next), 0, () => {}))) return;
    }
  }

  /** Virtual time that was skipped so far. */
  get skippedTime(): Time {
    return this.#skippedTime;
  }

  /** Skips quiet time if all hosts are at rest. */
  async #look(limit: Time): Promise<void> {
    const ahead = this.#faults[0]?.time ?? FOREVER;
    const end = this.#commands.length > 0 ? this.#now : Math.min(limit, ahead);
    const planned = this.#options.pace?.ahead?.() ?? FOREVER;
    const rest = await this.#looks.look(this.#now, end, planned, () => this.#all((worker) => worker.quiet()));
    if (rest === undefined) return;
    const { from, to } = rest.order;
    await this.#all((worker) => worker.skip(rest.order));
    this.#now = to;
    this.#skippedTime += to - from;
    this.#options.capture?.sink.skipped?.(from, to, rest.frames);
    this.#options.pace?.skipped?.(from, to);
  }

  /** Asks every worker. */
  async #all<T>(ask: (worker: WorkerHandle) => Called<T>): Promise<T[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const answers = Promise.all(this.#workers.map(async (worker) => ask(worker)));
    return await this.#waitFor(Promise.race([answers, this.#died]));
  }

  /** Waits for other threads. */
  async #waitFor<T>(answer: Promise<T>): Promise<T> {
    if (this.#profile === undefined || this.#threads.length === 0) return await answer;
    const before = this.#profile.enter("idle");
    try {
      return await answer;
    } finally {
      this.#profile.enter(before);
    }
  }

  /**
   * Runs until an event is seen that the predicate accepts. Events are looked at on a grid, so that what happens
   * next begins at a time that does not depend on how windows lie.
   * @param limit virtual time at which it gives up; the pace may end it earlier
   */
  async runUntilEvent(
    predicate: (event: HostEvent) => boolean,
    limit: Time,
    grid: Time = DEFAULT_GRID,
  ): Promise<EventStop> {
    let found: HostEvent | undefined;
    const look = (event: HostEvent): void => {
      if (found === undefined && predicate(event)) found = event;
    };
    let goesOn = true;
    while (goesOn && found === undefined && this.#now < limit) goesOn = await this.#batch(limit, grid, look);
    return { time: this.#now, event: found };
  }

  /**
   * Runs batches until a fault is due, the end, or the grid time after an event. While the pace takes its time, commands
   * and faults may come.
   * @returns false when the pace has ended it
   */
  async #batch(limit: Time, grid: Time, onEvent: (event: HostEvent) => void): Promise<boolean> {
    /** The limit, or the grid time after an event. */
    let stop = limit;
    for (;;) {
      const asked = this.#options.pace?.grant(this.#now, stop) ?? (this.#options.pace === undefined ? FREE : undefined);
      const grant = asked instanceof Promise ? await this.#waitFor(asked) : asked;
      if (grant === undefined) return false;
      assert(grant.until > this.#now, "a pace grants some time", grant.until, this.#now);
      const results = await this.#runAll(this.#order(stop, grid, grant));
      const first = results[0] as BatchResult;
      for (const { time, stop: other } of results)
        assert(time === first.time && other === first.stop, "workers agree", time, first.time);
      const since = this.#now;
      this.#now = first.time;
      this.#windows += first.windows;
      this.#tellPace(results, grant, since);
      this.#deliver(results, onEvent);
      if (first.time === first.stop) return true;
      stop = Math.min(stop, first.stop);
    }
  }

  #order(stop: Time, grid: Time, { until, watch = 0, holdMs = 0 }: Grant): BatchOrder {
    const faults = this.#takeFaults();
    const commands = this.#commands;
    this.#commands = [];
    const end = Math.min(stop, this.#faults[0]?.time ?? FOREVER);
    return { time: this.#now, end, pause: until, watch, holdMs, grid, delays: this.#delays(), faults, commands };
  }

  #tellPace(results: readonly BatchResult[], { watch = 0 }: Grant, since: Time): void {
    const { pace } = this.#options;
    if (pace?.ran === undefined) return;
    const last = results.reduce((time, result) => Math.max(time, result.last), 0);
    const happened = last >= since ? watch & WATCH.event : 0;
    pace.ran({ now: this.#now, last, seen: results.reduce((seen, result) => seen | result.seen, happened) });
  }

  #takeFaults(): ResolvedFault[] {
    const due = this.#faults.filter((fault) => fault.time <= this.#now);
    this.#faults = this.#faults.filter((fault) => fault.time > this.#now);
    for (const fault of due) {
      this.#topology = applyLatency(this.#topology, fault);
      this.#wires.apply(fault);
    }
    return due;
  }

  /** Of the wires that cross workers; computed again when a fault has changed the topology. */
  #delays(): Float64Array {
    if (this.#crossing?.topology === this.#topology) return this.#crossing.delays;
    const workers = this.#options.workers ?? 1;
    const direct = lookaheads(this.#topology, this.#owner, workers);
    if (direct.some((delay) => delay < 1))
      throw new UserError("hosts without delay between them cannot be in different workers: run with one worker");
    this.#crossing = { topology: this.#topology, delays: closeDelays(direct, workers) };
    return this.#crossing.delays;
  }

  async #runAll(order: BatchOrder): Promise<BatchResult[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const calls = this.#workers.map(async (worker) => worker.run(order));
    try {
      return await this.#waitFor(Promise.race([Promise.all(calls), this.#died]));
    } catch (error) {
      this.#failure = await this.#rootCause(error, calls);
      throw this.#failure;
    }
  }

  /** The error of the worker that failed, not the one of those that stopped because of it. */
  async #rootCause(error: unknown, calls: readonly Promise<BatchResult>[]): Promise<unknown> {
    this.#meeting?.abort();
    if (!isAborted(error)) return error;
    try {
      const settled = await Promise.race([Promise.allSettled(calls), this.#died]);
      const cause = settled.find((result) => result.status === "rejected" && !isAborted(result.reason));
      return cause?.status === "rejected" ? cause.reason : error;
    } catch (death) {
      return death;
    }
  }

  #deliver(results: readonly BatchResult[], onEvent: (event: HostEvent) => void): void {
    if (this.#options.capture !== undefined) {
      const before = this.#profile?.enter("capture");
      mergeCaptures(
        results.map((result) => result.capture),
        this.#options.capture.sink,
      );
      if (before !== undefined) this.#profile?.enter(before);
    }
    const events = results.flatMap((result) => result.events);
    events.sort((a, b) => a.time - b.time || a.host - b.host || a.seq - b.seq);
    for (const event of events) {
      this.#options.onEvent?.(event);
      onEvent(event);
    }
  }

  /** Wires and switch links that faults have changed, as they are now. */
  wires(): ChangedWires {
    return this.#wires.changed();
  }

  /** When something happens next on any host; FOREVER when nothing is due. Not before now. */
  async nextEvent(): Promise<Time> {
    const own = await this.#all((worker) => worker.nextEvent());
    return Math.max(this.#now, Math.min(...own, this.#commands[0]?.time ?? FOREVER, this.#faults[0]?.time ?? FOREVER));
  }

  async counters(): Promise<SimCounters> {
    const parts = await this.#all((worker) => worker.counters());
    return mergeCounters(this.#now, this.#windows, parts, this.#topology);
  }

  /**
   * Asks the machines of several hosts something, without an effect on what happens (HostMachine.inspect).
   * @param hosts indices
   * @returns their answers, in the same order; undefined for a host that is switched off
   */
  async inspect(hosts: readonly number[], query: unknown): Promise<unknown[]> {
    const answers: unknown[] = hosts.map(() => undefined);
    /** Places in `hosts`, by worker. */
    const places: number[][] = this.#workers.map(() => []);
    for (const [place, host] of hosts.entries()) places[this.#owner[host] ?? 0]?.push(place);
    const order = places.values();
    const replies = await this.#all((worker) => {
      const own = order.next().value ?? [];
      return worker.inspect(
        own.map((place) => hosts[place] as number),
        query,
      );
    });
    for (const [worker, reply] of replies.entries())
      for (const [i, place] of (places[worker] ?? []).entries()) answers[place] = reply[i];
    return answers;
  }

  /** Bytes of JavaScript heap in use in each worker thread; empty with one worker, which runs in the calling thread. */
  async heaps(): Promise<readonly number[]> {
    return this.#threads.length === 0 ? [] : await this.#all((worker) => worker.heap());
  }

  /** Where each thread's wall time went so far; undefined without a profile. */
  async profile(): Promise<readonly ThreadProfile[] | undefined> {
    if (this.#profile === undefined) return undefined;
    const workers = this.#threads.length === 0 ? [] : await this.#all((worker) => worker.times());
    const times = [this.#profile.times(), ...workers];
    return times.flatMap((own, i) =>
      own === undefined ? [] : [{ thread: i === 0 ? "main" : `worker ${i - 1}`, times: own }],
    );
  }

  /** Ends the workers. The cluster cannot be used any more. */
  async stop(): Promise<void> {
    this.#failure ??= new Error("the cluster was stopped");
    this.#meeting?.abort();
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
    this.#threads = [];
    this.#workers = [];
  }
}

/** comlink carries an error's name, not its class. */
function isAborted(error: unknown): boolean {
  return error instanceof Error && error.name === new AbortedRun("").name;
}
