/** Runs a lab: its steps in order, each begun when the one before it has ended, and what came of them. */
import { FOREVER, formatDuration, MS, type Time } from "../base/time.ts";
import type { LinkSummary, SimCounters } from "../scheduler/counters.ts";
import type { ThreadProfile } from "../scheduler/profile.ts";
import { formatLinks, linksSince } from "./fabric.ts";
import type { CommandStep, ShowStep, Step, WorkloadStep } from "./plan.ts";
import type { CommandOutcome, LabSession, TerminalInput, TerminalObserver } from "./session.ts";
import { type FlowResult, runWorkload } from "./workload.ts";

export { type ClosedTerminal, type LabOptions, LabSession, type LateOutput } from "./session.ts";

/** Wires and machines take a fault before the next step. */
const FAULT_TIME = 1 * MS;

/** What a step came to, on one host. */
export interface StepResult {
  /** Position in the lab, from 0. */
  readonly step: number;
  readonly host: string;
  /** The container on whose terminal it was typed; undefined: the host's own. */
  readonly terminal: string | undefined;
  /** As it was typed: variables stand expanded. */
  readonly command: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined when it waits for input, timed out, or the run was cut. */
  readonly exit: number | undefined;
  /** The container whose terminal it left open. */
  readonly open: string | undefined;
  /** Virtual times. */
  readonly start: Time;
  readonly end: Time;
  /** What was expected and didn't come; empty when all is well. */
  readonly failures: readonly string[];
  /** Of a workload: what came of its flows. */
  readonly flows?: readonly FlowResult[];
  /** Of a `show: fabric`: what each link has carried since the last one. */
  readonly links?: readonly LinkSummary[];
}

/** Steps that are no commands. */
export type PassedKind = "wait" | "fault" | "workload" | "show";

/** Sees everything as it happens. */
export interface LabObserver extends TerminalObserver {
  stepStarted?(step: number, host: string, terminal: string | undefined, command: string, time: Time): void;
  /** What was typed on a host is under way there, by its request: for LabSession.interrupt(). */
  posted?(host: string, id: number): void;
  /** Output of the step that runs. */
  output?(stream: "stdout" | "stderr", text: string): void;
  stepEnded?(result: StepResult): void;
  /** A wait, a fault, the begin of a workload, or what is shown: its duration in ns, or the other in words. */
  passed?(step: number, kind: PassedKind, detail: string, time: Time): void;
}

/** What a run came to. */
export interface LabResult {
  readonly steps: readonly StepResult[];
  readonly counters: SimCounters;
  /** Virtual time at the end. */
  readonly end: Time;
  /** `until` came, or the run was stopped, before the end of the last step. */
  readonly cut: boolean;
  /** Where each thread's wall time went, when the session was started with a profile. */
  readonly profile?: readonly ThreadProfile[];
}

/** How far to run, and who sees it. */
export interface RunOptions {
  /** Stops at this virtual time. */
  readonly until?: Time;
  readonly observer?: LabObserver;
  /** Awaited before each step: time stands while it lasts. */
  readonly before?: (step: number) => Promise<void>;
}

/** Runs all steps of a session's lab. */
export async function runSteps(session: LabSession, options: RunOptions): Promise<LabResult> {
  return await new StepRunner(session, options).run();
}

class StepRunner {
  readonly #session: LabSession;
  readonly #until: Time;
  readonly #observer: LabObserver;
  readonly #before: (step: number) => Promise<void>;
  readonly #results: StepResult[] = [];
  /** Terminals that steps have left open, by host/container: the steps' own, whoever else types there meanwhile. */
  readonly #open = new Map<string, { readonly key: number; readonly last: number }>();
  /** The links' counters when they were last shown. */
  #shown: readonly LinkSummary[] = [];

  constructor(session: LabSession, options: RunOptions) {
    this.#session = session;
    this.#until = options.until ?? FOREVER;
    this.#observer = options.observer ?? {};
    this.#before = options.before ?? (async () => {});
  }

  /** No more is run: the end of the time came, or somebody stopped the run. */
  get #over(): boolean {
    return this.#session.stopped || this.#session.cluster.now >= this.#until;
  }

  async run(): Promise<LabResult> {
    const { plan, cluster } = this.#session;
    this.#session.observe(this.#observer);
    let cut = false;
    for (const [index, step] of plan.steps.entries()) {
      if (!this.#over) await this.#before(index);
      if (!this.#over) await this.#step(step, index);
      cut = this.#over && (index < plan.steps.length - 1 || this.#results.at(-1)?.exit === undefined);
      if (cut) break;
      if (step.kind === "command" || step.kind === "workload") await this.#wait(plan.pause);
    }
    cut ||= this.#session.stopped;
    const profile = await cluster.profile();
    const result = { steps: this.#results, counters: await cluster.counters(), end: cluster.now, cut };
    return profile === undefined ? result : { ...result, profile };
  }

  async #wait(duration: Time): Promise<void> {
    const left = Math.max(0, this.#until - this.#session.cluster.now);
    await this.#session.wait(Math.min(duration, left));
  }

  async #step(step: Step, index: number): Promise<void> {
    const { cluster } = this.#session;
    switch (step.kind) {
      case "wait":
        this.#observer.passed?.(index, "wait", String(step.duration), cluster.now);
        await this.#wait(step.duration);
        return;
      case "until": {
        const span = Math.max(0, step.time - cluster.now);
        this.#observer.passed?.(index, "wait", String(span), cluster.now);
        await this.#wait(span);
        return;
      }
      case "workload":
        this.#results.push(await this.#workload(step, index));
        return;
      case "show":
        this.#results.push(await this.#show(step, index));
        return;
      case "fault":
        this.#observer.passed?.(index, "fault", step.text, cluster.now);
        this.#session.fault(step.fault);
        if (step.fault.at === undefined) await this.#wait(FAULT_TIME);
        return;
      case "command":
        if (step.parallel) this.#results.push(...(await this.#commands(step, index)));
        else for (const host of step.hosts) if (!this.#over) this.#results.push(await this.#command(step, index, host));
    }
  }

  async #command(step: CommandStep, index: number, host: string): Promise<StepResult> {
    const session = this.#session;
    const start = session.cluster.now;
    const { command } = this.#inputOf(step);
    const own = this.#open.get(`${host}/${step.terminal}`);
    const into = own !== undefined && session.isOpen(own.last) ? own.key : undefined;
    const input = into === undefined ? this.#inputOf(step) : { command, into };
    this.#observer.stepStarted?.(index, host, step.terminal, command, start);
    const limit = Math.min(this.#until, start + step.timeout);
    const outcome = await session.command(
      host,
      input,
      limit,
      (stream, text) => this.#observer.output?.(stream, text),
      (id) => this.#observer.posted?.(host, id),
    );
    if (step.as !== undefined) session.variables[step.as] = outcome.stdout.trim();
    this.#keep(host, outcome, into ?? outcome.id);
    return this.#ended(step, index, host, command, outcome, start, session.cluster.now);
  }

  /** The terminal that is open after a command. @param key its first request */
  #keep(host: string, { idle, terminal, id }: CommandOutcome, key: number): void {
    if (idle && terminal !== undefined) this.#open.set(`${host}/${terminal}`, { key, last: id });
  }

  /** Variables of earlier steps are the shell's; on the line that is shown they stand expanded, as the user typed them. */
  #inputOf({ command: line, terminal, stdin }: CommandStep): TerminalInput & { readonly command: string } {
    const command = expand(line, this.#session.variables);
    return terminal === undefined ? { command, stdin } : { command, terminal };
  }

  /** All hosts at the same time; whoever sees it sees one host after the other. */
  async #commands(step: CommandStep, index: number): Promise<StepResult[]> {
    const session = this.#session;
    const start = session.cluster.now;
    const input = this.#inputOf(step);
    const limit = Math.min(this.#until, start + step.timeout);
    const said: { readonly stream: "stdout" | "stderr"; readonly text: string }[][] = step.hosts.map(() => []);
    const outcomes = await session.commands(
      step.hosts,
      input,
      limit,
      (host, stream, text) => said[host]?.push({ stream, text }),
      (ids) => {
        for (const [i, id] of ids.entries()) this.#observer.posted?.(step.hosts[i] as string, id);
      },
    );
    return outcomes.map((outcome, i) => {
      const host = step.hosts[i] as string;
      this.#observer.stepStarted?.(index, host, step.terminal, input.command, start);
      for (const { stream, text } of said[i] ?? []) this.#observer.output?.(stream, text);
      return this.#ended(step, index, host, input.command, outcome, start, outcome.answered ?? session.cluster.now);
    });
  }

  /** What a command came to. */
  #ended(
    step: CommandStep,
    index: number,
    host: string,
    command: string,
    outcome: CommandOutcome,
    start: Time,
    end: Time,
  ): StepResult {
    const failures = this.#failures(step, outcome);
    const { stdout, stderr, exit, terminal: open } = outcome;
    const { terminal } = step;
    const result = { step: index, host, terminal, command, stdout, stderr, exit, open, start, end, failures };
    // Nobody can answer what has no name, and what has run out of time must not run on behind the next steps.
    const lost = outcome.exit === undefined && outcome.refused === undefined && outcome.terminal === undefined;
    if (lost && terminal === undefined) this.#session.hangup(host, outcome.id);
    this.#observer.stepEnded?.(result);
    return result;
  }

  /** Generated traffic; its report is its output. */
  async #workload(step: WorkloadStep, index: number): Promise<StepResult> {
    const session = this.#session;
    const start = session.cluster.now;
    this.#observer.passed?.(index, "workload", step.text, start);
    const outcome = await runWorkload(
      step,
      (requests, span) => session.ask(requests, Math.min(span, this.#until - session.cluster.now)),
      (span) => this.#wait(span),
    );
    this.#observer.output?.("stdout", outcome.text);
    const whole = { stdout: outcome.text, stderr: "" };
    const result = {
      step: index,
      host: step.flows[0]?.from.host ?? "",
      terminal: undefined,
      command: `workload ${step.text}`,
      ...whole,
      flows: outcome.results,
      exit: this.#over ? undefined : outcome.problems.length === 0 ? 0 : 1,
      open: undefined,
      start,
      end: session.cluster.now,
      failures: this.#over ? [] : [...outcome.problems, ...this.#unmet(step, whole)],
    };
    this.#observer.stepEnded?.(result);
    return result;
  }

  /** The table is its output. */
  async #show(step: ShowStep, index: number): Promise<StepResult> {
    const { cluster, plan } = this.#session;
    this.#observer.passed?.(index, "show", step.what, cluster.now);
    const { links } = await cluster.counters();
    const since = linksSince(links, this.#shown);
    this.#shown = links;
    const text = formatLinks(since);
    this.#observer.output?.("stdout", text);
    const whole = { stdout: text, stderr: "" };
    const result = {
      step: index,
      host: plan.hosts[0]?.name ?? "",
      terminal: undefined,
      command: `show ${step.what}`,
      ...whole,
      links: since,
      exit: 0,
      open: undefined,
      start: cluster.now,
      end: cluster.now,
      failures: this.#unmet(step, whole),
    };
    this.#observer.stepEnded?.(result);
    return result;
  }

  #failures(step: CommandStep, outcome: CommandOutcome): string[] {
    const { exit, idle, refused } = outcome;
    const unfinished = exit === undefined && !idle && refused === undefined;
    // What was cut is neither right nor wrong.
    if (unfinished && this.#over) return [];
    const failures: string[] = [];
    if (refused !== undefined) failures.push(refused);
    else if (unfinished) failures.push(`no end after ${formatDuration(step.timeout)} of virtual time`);
    else if (idle && outcome.terminal === undefined) failures.push("it waits for input: say what with stdin:");
    if (exit !== undefined && step.exit !== undefined && exit !== step.exit)
      failures.push(`exit status ${exit}, expected ${step.exit}`);
    return [...failures, ...this.#unmet(step, outcome)];
  }

  /** What was expected of the output and isn't there, or should not be. */
  #unmet(
    step: Pick<CommandStep, "expect" | "reject">,
    { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
  ): string[] {
    const output = stdout + stderr;
    const failures: string[] = [];
    const { variables } = this.#session;
    for (const pattern of step.expect)
      if (!found(output, pattern, variables)) failures.push(`expected ${show(pattern, variables)}`);
    for (const pattern of step.reject)
      if (found(output, pattern, variables)) failures.push(`did not expect ${show(pattern, variables)}`);
    return failures;
  }
}

/** `$name` and `${name}` of known variables. */
function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(
    /\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g,
    (whole, braced: string | undefined, plain: string | undefined) => variables[braced ?? plain ?? ""] ?? whole,
  );
}

function found(output: string, pattern: string | RegExp, variables: Readonly<Record<string, string>>): boolean {
  if (typeof pattern === "string") return output.includes(expand(pattern, variables));
  pattern.lastIndex = 0; // flags g and y would go on where the last match ended
  return pattern.test(output);
}

function show(pattern: string | RegExp, variables: Readonly<Record<string, string>>): string {
  return typeof pattern === "string" ? JSON.stringify(expand(pattern, variables)) : String(pattern);
}
