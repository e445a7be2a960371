/** A lab that runs in this worker: its steps held and let go, its terminals typed on, its frames kept. */
import { UserError } from "../../src/base/errors.ts";
import type { Time } from "../../src/base/time.ts";
import type { WasmModule } from "../../src/kernel/wasm.ts";
import { faultText } from "../../src/lab/fault-text.ts";
import type { HostCensus } from "../../src/lab/inspect/census.ts";
import type { MachineAnswers, MachineQuery } from "../../src/lab/inspect/protocol.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { NAT_NAMESPACE } from "../../src/lab/nat.ts";
import type { Fault, LabPlan } from "../../src/lab/plan.ts";
import { type LabObserver, LabSession, runSteps } from "../../src/lab/run.ts";
import { DEFAULT_CAPTURE } from "../../src/lab/trace.ts";
import { Transcript } from "../../src/lab/transcript.ts";
import type { SimCounters } from "../../src/scheduler/counters.ts";
import type { Platform } from "../../src/scheduler/platform.ts";
import { Recorder } from "./charts/recorder.ts";
import { HopWatch } from "./follow/watch.ts";
import type { TypedRun } from "./labs/run-records.ts";
import { Outbox } from "./outbox.ts";
import { Recording, type TraceFiles } from "./packets/recording.ts";
import type { OnEvents } from "./protocol.ts";
import type { TerminalEntry } from "./terminals/protocol.ts";
import { type TerminalAction, Terminals } from "./terminals/terminals.ts";
import { Clock, type Goal } from "./time/clock.ts";
import { Journal, type JournalAction, type JournalEntry } from "./time/journal.ts";
import type { Phase } from "./time/protocol.ts";
import { type Hands, Script } from "./time/script.ts";

/** Bytes kept of a frame: all of any frame. */
const FULL_FRAME = 262_144;

/** What of an earlier run of the same lab comes again. */
interface Life {
  readonly entries: readonly JournalEntry[];
  /** Up to where. */
  readonly goal: Goal;
  /** Until when it went. */
  readonly known: Time;
  /** Terminals that were shown. */
  readonly terminals: readonly TerminalEntry[];
}

/** What a thread gives to an emulation in it. */
export interface Ground {
  kernel(): Promise<WasmModule>;
  readonly platform: Platform;
  /** What hosts run in workers beside this thread, as their platform names it. */
  readonly machines: string;
}

/** What an emulation is made with beside its lab. */
export interface EmulationOptions {
  readonly ground: Ground;
  /** Virtual ns per second. */
  readonly speed: number;
  /** Threads that the hosts are shared out to; 1: this one alone. */
  readonly workers: number;
  readonly life?: Life;
}

/** One lab, from its boot to its close. */
export class Emulation implements Hands {
  readonly plan: LabPlan;
  readonly seed: string;
  readonly tell: OnEvents;
  readonly workers: number;
  readonly recording: Recording;
  /** What was seen of packets on their way. */
  readonly watch: HopWatch;
  /** What charts are drawn of. */
  readonly recorder: Recorder;
  readonly #session: LabSession;
  readonly #clock: Clock;
  readonly #script: Script;
  readonly #outbox: Outbox;
  readonly #all: Transcript;
  readonly terminals: Terminals;
  /** What it runs again now, up to the goal. */
  #life: Life | undefined;
  /** Until when it went in an earlier life, from which nothing differs yet. */
  #known: Time;
  #steps = 0;
  #failures = 0;
  /** Lines that were typed, in order. */
  readonly typedRuns: TypedRun[] = [];
  /** It has ended by an error. */
  #failed = false;
  #ended: Promise<void> = Promise.resolve();

  private constructor(plan: LabPlan, seed: string, tell: OnEvents, parts: EmulationParts) {
    const outbox = new Outbox(tell);
    this.plan = plan;
    this.seed = seed;
    this.tell = tell;
    this.workers = parts.workers;
    this.#outbox = outbox;
    this.#session = parts.session;
    this.#clock = parts.clock;
    this.#life = parts.life;
    this.#known = parts.life?.known ?? 0;
    this.#script = new Script(parts.clock, new Journal(parts.life?.entries), this);
    this.recording = parts.recording;
    this.watch = parts.watch;
    if (parts.life !== undefined) outbox.hold();
    this.recorder = parts.recorder;
    this.recorder.watch(this);
    const print = (text: string): void => outbox.push({ kind: "output", terminal: undefined, text });
    this.#all = new Transcript({ print, failed: (text) => print(`${text}\n`) }, false);
    this.terminals = new Terminals(
      plan.hosts.map(({ name }) => name),
      {
        session: parts.session,
        tell: (event) => outbox.push(event),
        typed: (command) => this.#all.typed(command),
        began: (run) => this.typedRuns.push(run),
      },
      parts.life?.terminals,
    );
  }

  /** Boots a lab's hosts; then it waits before its first step, or runs again what it is told. */
  static async start(plan: LabPlan, seed: string, tell: OnEvents, options: EmulationOptions): Promise<Emulation> {
    const recording = new Recording();
    const recorder = new Recorder(options.ground.platform.clock, NAT_NAMESPACE);
    const watch = new HopWatch(plan);
    const clock = new Clock();
    const { ground, workers } = options;
    const session = await LabSession.start(plan, {
      module: await ground.kernel(),
      machines: workers === 1 ? createMachine : ground.machines,
      workers,
      platform: ground.platform,
      seed,
      capture: { patterns: DEFAULT_CAPTURE, snaplen: FULL_FRAME, ...watch.capture(recorder.tap(recording)) },
      pace: clock,
    });
    const emulation = new Emulation(plan, seed, tell, {
      session,
      clock,
      recording,
      recorder,
      watch,
      workers,
      life: options.life,
    });
    clock.owner = emulation.#script;
    clock.speed = options.speed;
    clock.goal = options.life?.goal;
    emulation.report();
    emulation.#ended = emulation.#main();
    return emulation;
  }

  async #main(): Promise<void> {
    try {
      const result = await runSteps(this.#session, {
        observer: this.#observer(),
        before: async (step) => {
          if (await this.#script.between(true)) this.#steps = step + 1;
        },
      });
      if (this.#clock.closed) return;
      this.#all.finished(result);
      await this.#script.between(false);
    } catch (error) {
      this.#outbox.push({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
      this.#failed = true;
      this.go(undefined);
    }
  }

  /** The whole run is shown in one transcript, and each terminal's part on it. */
  #observer(): LabObserver {
    const all = this.#all;
    const { terminals } = this;
    return {
      stepStarted: (step, host, terminal, command, time) => {
        this.recorder.mark(time, "step", `${terminal === undefined ? host : `${host}/${terminal}`}: ${command}`);
        all.stepStarted(step, host, terminal, command);
        terminals.stepStarted(host, terminal, command);
      },
      posted: (host, id) => terminals.stepPosted(host, id),
      output: (stream, text) => {
        all.output(stream, text);
        terminals.stepOutput(text);
      },
      stepEnded: (result) => {
        this.#failures += result.failures.length;
        all.stepEnded(result);
        terminals.stepEnded(result);
      },
      passed: (step, kind, detail, time) => {
        if (kind === "fault" || kind === "workload") this.recorder.mark(time, kind === "fault" ? kind : "step", detail);
        all.passed(step, kind, detail);
      },
      lateOutput: (late) => {
        all.lateOutput(late);
        terminals.late(late);
      },
      terminalClosed: (closed) => {
        all.terminalClosed(closed);
        terminals.closed(closed);
      },
    };
  }

  /** The lab's hosts, to be looked at. */
  get lab(): LabSession {
    return this.#session;
  }

  // ------------------------------------------------------------------------------------------------ time

  /** Virtual, ns. */
  get now(): Time {
    return this.#session.cluster.now;
  }

  get journal(): Journal {
    return this.#script.journal;
  }

  /** When something happened last. */
  get last(): Time {
    return this.#clock.last;
  }

  /** When a frame was captured last; undefined before the first one. */
  get lastFrame(): Time | undefined {
    return this.recording.frames.at(-1)?.time;
  }

  /** Counters of all hosts. */
  async counters(): Promise<SimCounters> {
    return await this.#session.cluster.counters();
  }

  get speed(): number {
    return this.#clock.speed;
  }

  set speed(speed: number) {
    this.#clock.speed = speed;
    this.report();
  }

  /** What happened in an earlier life happens again. */
  get replaying(): boolean {
    return this.#life !== undefined;
  }

  get #phase(): Phase {
    const { place, wanted } = this.#script;
    if (this.#failed) return "done";
    if (this.replaying) return "replaying";
    if (this.#clock.goal !== undefined) return "running";
    if (place === "within") return this.#clock.standing ? "paused" : "running";
    return wanted ? "running" : place;
  }

  /** Tells the page how things stand. */
  report(): void {
    const clock = this.#clock;
    if (clock.closed) return;
    const { goal } = clock;
    if (this.#life !== undefined && goal !== this.#life.goal) this.#alive();
    this.recorder.tick();
    const { journal, waiting } = this.#script;
    this.#outbox.push({
      kind: "status",
      status: {
        phase: this.#phase,
        now: this.now,
        skipped: clock.skippedTime,
        step: this.#steps,
        frames: this.recording.frames.length,
        lost: this.recording.lost,
        failures: this.#failures,
        speed: clock.speed,
        reached: clock.reached,
        behind: clock.behind,
        typed: this.terminals.pending,
        waiting,
        done: journal.done.length,
        ahead: journal.ahead.length,
        target: goal?.kind === "time" || goal?.kind === "entries" ? goal.time : undefined,
        known: Math.max(this.#known, this.now),
      },
    });
    this.#outbox.flush();
  }

  /** What had happened before has happened again. */
  #alive(): void {
    this.#life = undefined;
    this.#outbox.release({ kind: "rewound" });
  }

  /** Time goes on until the goal; without one it stands. */
  go(goal: Goal | undefined): void {
    const lab = goal?.kind === "step" || goal?.kind === "play";
    // While something typed runs, the lab goes on beside it; when it is paused, it comes to its end first.
    const beside = lab && this.#clock.goal !== undefined && this.#script.leaveTyped();
    const begun = goal?.kind === "step" && this.#script.place === "within" && !beside;
    this.#clock.goal = begun ? { kind: "step", begun: true } : goal;
    this.report();
  }

  /** What another emulation needs to live this one's life again. @param goal up to where */
  life(goal: Goal): Life {
    return {
      entries: this.#script.entries,
      goal,
      known: Math.max(this.#known, this.now),
      terminals: this.terminals.shown,
    };
  }

  // ------------------------------------------------------------------------------------------------ what is done to it

  /**
   * Does something that has an effect, now or as soon as nothing else runs.
   * @throws UserError while the run is being replayed
   */
  act(action: JournalAction): void {
    if (this.replaying) throw new UserError("the run is being replayed: nothing can be done until it stands");
    this.#known = this.now;
    this.#script.act(action);
    this.report();
  }

  type(action: TerminalAction, again: boolean): boolean {
    return this.terminals.act(action, again);
  }

  async typed(over: () => boolean): Promise<void> {
    this.#clock.typed = true;
    await this.terminals.pass(over);
    this.#clock.typed = false;
  }

  look(): Time {
    this.terminals.look();
    return this.terminals.due;
  }

  fault(fault: Fault): void {
    this.#all.passed(this.#steps, "fault", faultText(fault));
    this.recorder.mark(this.now, "fault", faultText(fault));
    try {
      this.#session.fault(fault);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#outbox.push({ kind: "failed", message: error.message });
    }
  }

  async pass(end: Time, horizon: Time): Promise<void> {
    await this.#session.cluster.runUntil(end, horizon);
  }

  get hosts(): number {
    return this.plan.hosts.length;
  }

  /** What some hosts know by gossip, in a few numbers. */
  async census(from: number, to: number): Promise<readonly (HostCensus | undefined)[]> {
    const names = this.plan.hosts.slice(from, to).map(({ name }) => name);
    return await this.inspect(names, { kind: "census" });
  }

  /** Looks at hosts without an effect (LabSession.inspect); at none any more once it has ended. */
  async inspect<Q extends MachineQuery>(
    hosts: readonly string[],
    query: Q,
  ): Promise<(MachineAnswers[Q["kind"]] | undefined)[]> {
    return this.#clock.closed ? hosts.map(() => undefined) : await this.#session.inspect(hosts, query);
  }

  /** The trace up to now, or a part of it. */
  files(from = 0, to = this.recording.frames.length): TraceFiles {
    const { plan, seed } = this;
    return this.recording.files(plan, seed, this.#session.addresses, this.#session.cluster.now, { from, to });
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#session.stop();
    this.#clock.close();
    await this.#ended;
    await this.#session.close();
  }
}

/** What an emulation is put together from. */
interface EmulationParts {
  readonly workers: number;
  readonly session: LabSession;
  readonly clock: Clock;
  readonly recording: Recording;
  readonly life: Life | undefined;
  readonly watch: HopWatch;
  readonly recorder: Recorder;
}
