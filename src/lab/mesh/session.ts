/**
 * A mesh that runs: it is planned, brought to where all hosts know of each other (over the wire, or placed directly), its
 * flows are run, and every host is asked what came of them. What it reports doesn't depend on the number of workers.
 */
import { formatIpv4 } from "../../base/addr.ts";
import { assert, UserError } from "../../base/errors.ts";
import { formatDuration, MS, SEC, type Time } from "../../base/time.ts";
import type { WasmModule } from "../../kernel/wasm.ts";
import type { CaptureSink } from "../../scheduler/captures.ts";
import { Cluster } from "../../scheduler/cluster.ts";
import type { HostEvent, MachineFactory } from "../../scheduler/machine.ts";
import type { CaptureConfig, RefusedCommand } from "../../scheduler/partition.ts";
import type { Platform } from "../../scheduler/platform.ts";
import { requireMeshMemory } from "../../workload/mesh/footprint.ts";
import type { MeshPlan, MeshReport } from "../../workload/mesh/types.ts";
import type { MachineEvent } from "../protocol.ts";
import { meshAffinities } from "./affinity.ts";
import { containerName } from "./allocated.ts";
import type { MeshEvent } from "./protocol.ts";
import { type MeshResult, ResultMaker } from "./result.ts";
import { type Answer, type Asked, makeSwarm } from "./swarm.ts";
import { meshHostName, meshTopology } from "./topology.ts";

/** Virtual time from power-on to the first step: a host's boot, as in labs. */
const BOOT: Time = SEC;
/** Time runs in slices of this length before the traffic, between which a stop is noticed. */
const SLICE: Time = 200 * MS;
/** Receivers have been opened, and hosts have greeted each other, so long before the first flow starts. */
const LEAD: Time = 100 * MS;
/** What is on its way when the last flow has ended gets this long. */
export const DRAIN: Time = 2 * SEC;
/** Slices of the traffic. */
const SLICES = 500;
/** Hosts that report at a time: their histograms are in memory together. */
const REPORTS = 256;

/** What a session is made with. */
export interface MeshHow {
  /** The compiled kernel. */
  readonly module: WasmModule;
  /** What runs on hosts: a factory for one worker, or the URL of a module for several. */
  readonly machines: MachineFactory | string;
  readonly workers: number;
  readonly platform: Platform;
  readonly capture?: CaptureConfig & { readonly sink: CaptureSink };
  readonly profile?: boolean;
  /** Called now and then while time passes, so that the caller's own events get their turn. */
  readonly breathe?: () => Promise<void>;
  /** Told what is being done: `placing`, `hosts join the swarm`, `traffic` … */
  readonly tell?: (phase: string) => void;
}

/** A part of a run. */
export interface MeshPhase {
  readonly name: "start" | "converge" | "traffic" | "drain";
  /** Virtual time that it took, ns. */
  readonly virtual: Time;
  /** Wall time, ms. */
  readonly wall: number;
}

/** Somebody stopped the run. */
class Stopped extends Error {
  override name = "Stopped";
}

/** A mesh that runs. Close it. */
export class MeshSession {
  readonly cluster: Cluster;
  readonly #how: MeshHow;
  /** As it was planned; since ready(), as it has come about. */
  #plan: MeshPlan;
  readonly #phases: MeshPhase[];
  /** Answers by the request's id, and output that belongs to them. */
  readonly #answers = new Map<number, Answer>();
  readonly #output = new Map<number, string>();
  readonly #reports: (report: MeshReport) => void;
  #reported = 0;
  readonly #results: ResultMaker;
  #stopped = false;
  #ids: readonly string[] | undefined;
  #trafficEnd: Time = 0;

  private constructor(plan: MeshPlan, how: MeshHow, cluster: Cluster, phases: MeshPhase[]) {
    this.#plan = plan;
    this.#how = how;
    this.cluster = cluster;
    this.#phases = phases;
    this.#results = new ResultMaker(plan);
    this.#reports = (report) => {
      this.#reported++;
      this.#results.add(report);
    };
  }

  /**
   * Makes the hosts and boots them; converged ones are complete then.
   * @param plan of planMesh, or of an earlier mesh
   * @throws UserError for a mesh that the workers' kernels can't hold
   */
  static async start(plan: MeshPlan, how: MeshHow): Promise<MeshSession> {
    const { options } = plan;
    requireMeshMemory(options, how.workers);
    const before = how.platform.clock();
    let session: MeshSession | undefined;
    how.tell?.(options.control === "converged" ? "hosts are placed" : "hosts boot");
    const { weights, affinities } = meshAffinities(plan);
    const cluster = await Cluster.create({
      topology: meshTopology(plan, weights),
      affinities,
      module: how.module,
      machines: how.machines,
      workers: how.workers,
      platform: how.platform,
      // Quiet time is run: what is measured is measured.
      skip: false,
      ...(how.capture === undefined ? {} : { capture: how.capture }),
      ...(how.profile === undefined ? {} : { profile: how.profile }),
      onEvent: (event) => session?.deliver(event),
    });
    try {
      session = new MeshSession(plan, how, cluster, []);
      await session.#run(BOOT);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    session.#phases.push({ name: "start", virtual: cluster.now, wall: how.platform.clock() - before });
    return session;
  }

  /** The plan; since ready(), with the addresses that the swarm has given. */
  get plan(): MeshPlan {
    return this.#plan;
  }

  /** When the traffic ends, once it is known; 0 before. For a progress display. */
  get trafficEnd(): Time {
    return this.#trafficEnd;
  }

  /** Names of containers by their addresses, for a trace. */
  names(): { readonly address: string; readonly names: readonly string[] }[] {
    const { containers, services } = this.#plan;
    const named = services.map(({ vip, name }) => ({ address: formatIpv4(vip), names: [name] }));
    return [...containers.ip].map((ip, c) => ({ address: formatIpv4(ip), names: [containerName(c)] })).concat(named);
  }

  /** Called by the cluster for each event, in total order. */
  deliver({ host, payload }: HostEvent): void {
    const event = payload as MeshEvent | MachineEvent | MeshReport | RefusedCommand;
    if (!("kind" in event)) throw new UserError(`${meshHostName(host)} is switched off`);
    switch (event.kind) {
      case "mesh-report":
        this.#reports(event);
        return;
      case "output":
        this.#output.set(event.id, (this.#output.get(event.id) ?? "") + event.text);
        return;
      case "exit":
        this.#answers.set(event.id, { ...event, text: this.#output.get(event.id) ?? "" });
        this.#output.delete(event.id);
        return;
      case "swarm":
      case "containers":
      case "tables":
      case "edited":
      case "listening":
        this.#answers.set(event.id, event);
        return;
      case "idle":
      case "refused":
        throw new UserError(`${meshHostName(host)}: a command of the mesh waits for input, or was refused`);
    }
  }

  /** Ends the run soon: what has been measured so far is its result. */
  stop(): void {
    this.#stopped = true;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  async close(): Promise<void> {
    await this.cluster.stop();
  }

  /** Runs all of it: convergence, traffic, what is still on its way. Less of it after a stop. */
  async run(): Promise<void> {
    try {
      await this.ready();
      await this.traffic();
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
    }
  }

  /** Waits until every host knows what it must know. */
  async ready(): Promise<void> {
    if (this.#plan.options.control === "converged") return;
    await this.#phase("converge", async () => {
      const session = this;
      const terminals = {
        get now() {
          return session.cluster.now;
        },
        ask: (requests: readonly Asked[], limit: Time) => this.#ask(requests, limit),
        wait: (span: Time) => this.#run(this.cluster.now + span),
      };
      const { plan, ids } = await makeSwarm(this.#plan, terminals, (what) => this.#how.tell?.(what));
      this.#plan = plan;
      this.#ids = ids;
    });
  }

  /** Runs the flows, and what is on its way after them. */
  async traffic(): Promise<void> {
    const { cluster } = this;
    const { options, flows } = this.#plan;
    this.#results.planned(this.#plan);
    this.#how.tell?.("receivers are opened");
    const hosts = Array.from({ length: options.hosts }, (_, host) => host);
    const listen = { kind: "mesh-listen", plan: this.#plan, containers: this.#ids } as const;
    await this.#ask(
      hosts.map((host) => ({ host, request: listen })),
      cluster.now + SEC,
    );
    const at = cluster.now + LEAD;
    this.#results.before(await cluster.counters(), at);
    for (const host of hosts) cluster.post(host, cluster.now, { kind: "mesh-start", at });
    const lastStart = flows.reduce((last, { start }) => Math.max(last, start), 0);
    this.#trafficEnd = at + lastStart + options.duration;
    try {
      this.#how.tell?.("traffic");
      await this.#phase("traffic", () => this.#run(this.#trafficEnd, Math.ceil(options.duration / SLICES)));
      this.#results.ended(await cluster.counters());
      this.#how.tell?.("what is on its way arrives");
      await this.#phase("drain", () => this.#run(cluster.now + DRAIN));
    } finally {
      this.#results.after(await cluster.counters());
    }
  }

  /** What came of it. To be called once, at the end. */
  async result(): Promise<MeshResult> {
    const { cluster } = this;
    const { hosts } = this.#plan.options;
    this.#how.tell?.("hosts report");
    for (let first = 0; this.#results.measured && first < hosts; first += REPORTS) {
      const last = Math.min(first + REPORTS, hosts);
      for (let host = first; host < last; host++) cluster.post(host, cluster.now, { kind: "mesh-report" });
      await cluster.runUntilEvent(() => this.#reported === last, cluster.now + SEC);
      assert(this.#reported === last, "every host reports", this.#reported, last);
    }
    return this.#results.result(this.#phases, this.#stopped, await cluster.counters());
  }

  async #phase(name: MeshPhase["name"], action: () => Promise<void>): Promise<void> {
    const { clock } = this.#how.platform;
    const [virtual, wall] = [this.cluster.now, clock()];
    try {
      await action();
    } finally {
      this.#phases.push({ name, virtual: this.cluster.now - virtual, wall: clock() - wall });
    }
  }

  async #breathe(): Promise<void> {
    await this.#how.breathe?.();
    if (this.#stopped) throw new Stopped();
  }

  async #run(until: Time, slice: Time = SLICE): Promise<void> {
    while (this.cluster.now < until) {
      await this.cluster.runUntil(Math.min(until, this.cluster.now + slice));
      await this.#breathe();
    }
  }

  /** Asks several hosts at once, and runs until all have answered. */
  async #ask(requests: readonly Asked[], limit: Time): Promise<readonly Answer[]> {
    const { cluster } = this;
    const ids = requests.map(({ host, request }) => cluster.post(host, cluster.now, request));
    let answered = 0;
    const wanted = new Set(ids);
    const complete = (): boolean => answered === ids.length;
    const count = (event: HostEvent): boolean => {
      const { id } = event.payload as { readonly id?: number };
      if (id !== undefined && wanted.has(id) && this.#answers.has(id)) {
        wanted.delete(id);
        answered++;
      }
      return complete();
    };
    while (!complete()) {
      if (cluster.now >= limit)
        throw new UserError(
          `${ids.length - answered} of ${ids.length} hosts have not answered by ${formatDuration(cluster.now)} of virtual time`,
        );
      await cluster.runUntilEvent(count, Math.min(limit, cluster.now + SLICE));
      await this.#breathe();
    }
    return ids.map((id) => {
      const answer = this.#answers.get(id) as Answer;
      this.#answers.delete(id);
      return answer;
    });
  }
}
