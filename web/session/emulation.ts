/** A lab that runs in this worker: its steps held and let go, its terminals typed on, its frames kept. */
import type { Time } from "../../src/base/time.ts";
import type { MachineAnswers, MachineQuery } from "../../src/lab/inspect/protocol.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { faultText } from "../../src/lab/parse-fault.ts";
import type { Fault, LabPlan } from "../../src/lab/plan.ts";
import { type LabObserver, LabSession, runSteps } from "../../src/lab/run.ts";
import { DEFAULT_CAPTURE } from "../../src/lab/trace.ts";
import { Transcript } from "../../src/lab/transcript.ts";
import { loadKernel } from "../kernel.ts";
import { browserPlatform } from "../platform.ts";
import { Outbox } from "./outbox.ts";
import { Recording, type TraceFiles } from "./packets/recording.ts";
import type { OnEvents } from "./protocol.ts";
import { HostShell } from "./terminals/shell.ts";
import { Gate } from "./time/gate.ts";
import { Journal, type JournalAction } from "./time/journal.ts";
import { Pace } from "./time/pace.ts";
import type { Phase } from "./time/protocol.ts";

/** Bytes kept of a frame: all of any frame. */
const FULL_FRAME = 262_144;

/** A host's terminal: the lab's own typing on it, and the user's. */
interface HostTerminal {
  readonly transcript: Transcript;
  readonly shell: HostShell;
}

/** One lab, from its boot to its close. */
export class Emulation {
  readonly plan: LabPlan;
  readonly seed: string;
  readonly recording: Recording;
  readonly journal = new Journal();
  readonly #session: LabSession;
  readonly #gate: Gate;
  readonly #pace: Pace;
  readonly #outbox: Outbox;
  readonly #all: Transcript;
  readonly #terminals = new Map<string, HostTerminal>();
  #phase: Phase = "ready";
  #steps = 0;
  #failures = 0;
  #ended: Promise<void> = Promise.resolve();

  private constructor(plan: LabPlan, seed: string, outbox: Outbox, parts: EmulationParts) {
    this.plan = plan;
    this.seed = seed;
    this.#outbox = outbox;
    this.#session = parts.session;
    this.#gate = parts.gate;
    this.#pace = parts.pace;
    this.recording = parts.recording;
    const to = (host: string | undefined) => ({
      print: (text: string) => outbox.push({ kind: "output", host, text }),
      failed: (text: string) => outbox.push({ kind: "output", host, text: `${text}\n` }),
    });
    this.#all = new Transcript(to(undefined), false);
    for (const { name } of plan.hosts) {
      const prompt = (text: string | undefined): void => outbox.push({ kind: "prompt", host: name, prompt: text });
      const shell = new HostShell(name, parts.session, parts.pace, { print: to(name).print, prompt });
      this.#terminals.set(name, { transcript: new Transcript(to(name), true), shell });
    }
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
        emulation?.setRunning();
      },
    });
    emulation = new Emulation(plan, seed, new Outbox(tell), { session, gate, pace, recording });
    emulation.#ended = emulation.#main();
    return emulation;
  }

  async #main(): Promise<void> {
    try {
      for (const { shell } of this.#terminals.values()) shell.prompt();
      const result = await runSteps(this.#session, {
        observer: this.#observer(),
        before: async (step) => {
          await this.#gate.beforeStep(() => this.report("ready"));
          this.#steps = step + 1;
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

  /** The whole run is shown in one transcript, and each host's part on its terminal. */
  #observer(): LabObserver {
    const all = this.#all;
    /** The terminal of the step that runs. */
    let current: HostTerminal | undefined;
    return {
      stepStarted: (step, host, terminal, command) => {
        current = this.#terminals.get(host);
        this.#outbox.push({ kind: "prompt", host, prompt: undefined });
        for (const transcript of [all, current?.transcript]) transcript?.stepStarted(step, host, terminal, command);
      },
      output: (stream, text) => {
        for (const transcript of [all, current?.transcript]) transcript?.output(stream, text);
      },
      stepEnded: (result) => {
        this.#failures += result.failures.length;
        for (const transcript of [all, current?.transcript]) transcript?.stepEnded(result);
        current?.transcript.newLine();
        current?.shell.prompt();
        current = undefined;
      },
      passed: (step, kind, detail) => all.passed(step, kind, detail),
      lateOutput: (late) => {
        const terminal = this.#terminals.get(late.host);
        all.lateOutput(late);
        if (terminal?.shell.late(late) === true) return;
        terminal?.transcript.lateOutput(late);
      },
      terminalClosed: (closed) => {
        const terminal = this.#terminals.get(closed.host);
        for (const transcript of [all, terminal?.transcript]) transcript?.terminalClosed(closed);
        terminal?.shell.closed(closed.terminal);
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
    const status = { phase, now: this.#session.cluster.now, ...counts, failures: this.#failures };
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

  /** Does something that has an effect, now or as soon as the lab is between two steps. */
  act(action: JournalAction): void {
    if (action.kind === "line") this.type(action.host, action.line);
    else if (action.kind === "key") this.key(action.host, action.key);
    else if (action.kind === "fault") this.#fault(action.fault);
    else if (action.kind === "step") this.step();
  }

  #fault(fault: Fault): void {
    this.journal.add({ time: this.#session.cluster.now, place: "within", action: { kind: "fault", fault } });
    this.#all.passed(this.#steps, "fault", faultText(fault));
    this.#session.fault(fault);
    this.report();
  }

  /** A line typed on a host's terminal. */
  type(host: string, line: string): void {
    const shell = this.#terminals.get(host)?.shell;
    if (shell !== undefined) this.#gate.enqueue(() => shell.line(line));
  }

  /** Ctrl-C or Ctrl-D there. */
  key(host: string, key: "interrupt" | "eof"): void {
    const shell = this.#terminals.get(host)?.shell;
    if (shell === undefined) return;
    if (!shell.busy) this.#gate.enqueue(() => shell.key(key));
    else if (key === "interrupt") shell.interrupt();
  }

  /** Virtual, ns. */
  get now(): Time {
    return this.#session.cluster.now;
  }

  /** Looks at hosts without an effect (LabSession.inspect). */
  inspect<Q extends MachineQuery>(
    hosts: readonly string[],
    query: Q,
  ): Promise<(MachineAnswers[Q["kind"]] | undefined)[]> {
    return this.#session.inspect(hosts, query);
  }

  /** The trace up to now. */
  files(): TraceFiles {
    return this.recording.files(this.plan, this.seed, this.#session.addresses, this.#session.cluster.now);
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#session.stop();
    this.#gate.close();
    await this.#ended;
    await this.#session.close();
  }
}

/** What an emulation is put together from. */
interface EmulationParts {
  readonly session: LabSession;
  readonly gate: Gate;
  readonly pace: Pace;
  readonly recording: Recording;
}
