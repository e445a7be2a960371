/** A lab that runs in this worker: its steps held and let go, its terminals typed on, its frames kept. */
import { createMachine } from "../../src/lab/machine.ts";
import type { LabPlan } from "../../src/lab/plan.ts";
import { type LabObserver, LabSession, runSteps } from "../../src/lab/run.ts";
import { DEFAULT_CAPTURE } from "../../src/lab/trace.ts";
import { Transcript } from "../../src/lab/transcript.ts";
import { loadKernel } from "../kernel.ts";
import { browserPlatform } from "../platform.ts";
import { Outbox } from "./outbox.ts";
import { Recording, type TraceFiles } from "./packets/recording.ts";
import type { OnEvents } from "./protocol.ts";
import { Terminals } from "./terminals/terminals.ts";
import { Gate } from "./time/gate.ts";
import { Pace } from "./time/pace.ts";
import type { Phase } from "./time/protocol.ts";

/** Bytes kept of a frame: all of any frame. */
const FULL_FRAME = 262_144;

/** One lab, from its boot to its close. */
export class Emulation {
  readonly plan: LabPlan;
  readonly seed: string;
  readonly recording: Recording;
  readonly session: LabSession;
  readonly terminals: Terminals;
  readonly #gate: Gate;
  readonly #outbox: Outbox;
  readonly #all: Transcript;
  #phase: Phase = "ready";
  #steps = 0;
  #failures = 0;
  #ended: Promise<void> = Promise.resolve();

  private constructor(plan: LabPlan, seed: string, outbox: Outbox, parts: EmulationParts) {
    this.plan = plan;
    this.seed = seed;
    this.#outbox = outbox;
    this.session = parts.session;
    this.#gate = parts.gate;
    this.recording = parts.recording;
    const print = (text: string): void => outbox.push({ kind: "output", terminal: undefined, text });
    this.#all = new Transcript({ print, failed: (text) => print(`${text}\n`) }, false);
    this.terminals = new Terminals(
      plan.hosts.map(({ name }) => name),
      {
        session: parts.session,
        tell: (event) => outbox.push(event),
        typed: (command) => this.#all.typed(command),
        watch: (watched) => parts.pace.watch(watched),
      },
    );
  }

  /** Boots a lab's hosts; then it waits before its first step. */
  static async start(plan: LabPlan, seed: string, tell: OnEvents): Promise<Emulation> {
    const recording = new Recording();
    const gate = new Gate();
    let session: LabSession | undefined;
    let emulation: Emulation | undefined;
    const pace = new Pace(() => session?.cluster.now ?? 0);
    session = await LabSession.start(plan, {
      module: await loadKernel(),
      machines: createMachine,
      workers: 1,
      platform: browserPlatform(),
      seed,
      capture: { patterns: DEFAULT_CAPTURE, snaplen: FULL_FRAME, sink: recording },
      breathe: async () => {
        await pace.breathe(() => emulation?.report());
        await gate.within(() => emulation?.report("paused"));
        emulation?.terminals.flush();
        emulation?.setRunning();
      },
    });
    emulation = new Emulation(plan, seed, new Outbox(tell), { session, gate, pace, recording });
    emulation.#ended = emulation.#main();
    return emulation;
  }

  async #main(): Promise<void> {
    try {
      const result = await runSteps(this.session, {
        observer: this.#observer(),
        before: async (step) => {
          await this.#gate.beforeStep(() => this.report("ready"));
          this.#steps = step + 1;
          if (this.terminals.pending) this.#passForTerminals();
          this.setRunning();
        },
      });
      this.#all.finished(result);
      await this.#gate.afterSteps(() => this.report("done"));
    } catch (error) {
      this.#outbox.push({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
      this.report("done");
    }
  }

  /** The whole run is shown in one transcript, and each terminal's part on it. */
  #observer(): LabObserver {
    const all = this.#all;
    const { terminals } = this;
    return {
      stepStarted: (step, host, terminal, command) => {
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
      passed: (step, kind, detail) => all.passed(step, kind, detail),
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

  /** Time passes. */
  setRunning(): void {
    this.#phase = "running";
  }

  /** Tells the page how things stand. */
  report(phase: Phase = this.#phase): void {
    this.#phase = phase;
    const { recording } = this;
    const counts = { step: this.#steps, frames: recording.frames.length, lost: recording.lost };
    const status = { phase, now: this.session.cluster.now, ...counts, failures: this.#failures };
    this.#outbox.push({ kind: "status", status });
    this.#outbox.flush();
  }

  /** Lets all steps run. */
  run(): void {
    this.#gate.run();
  }

  /** Lets one step run. */
  step(): void {
    this.#gate.step();
  }

  /** Stops time. */
  pause(): void {
    this.#gate.hold();
  }

  /** Something was typed, or a terminal was closed: it has its effect as soon as no slice of time is under way. */
  typed(): void {
    this.#passForTerminals();
    this.#outbox.flush();
  }

  /** Lets time pass between two steps for what was typed; the next step doesn't wait for its end. */
  #passForTerminals(): void {
    this.#gate.enqueue(() => this.terminals.pass(() => this.#gate.wanted));
  }

  /** The trace up to now. */
  files(): TraceFiles {
    return this.recording.files(this.plan, this.seed, this.session.addresses, this.session.cluster.now);
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.session.stop();
    this.#gate.close();
    await this.#ended;
    await this.session.close();
  }
}

/** What an emulation is put together from. */
interface EmulationParts {
  readonly session: LabSession;
  readonly gate: Gate;
  readonly pace: Pace;
  readonly recording: Recording;
}
