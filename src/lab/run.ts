/**
 * Runs a lab: its steps in order, each begun when the one before it has ended, all in virtual time. What it
 * reports does not depend on the number of workers.
 */
import { assert } from "../base/errors.ts";
import { FOREVER, MS, SEC, type Time } from "../base/time.ts";
import type { WasmModule } from "../kernel/wasm.ts";
import type { CaptureSink } from "../scheduler/captures.ts";
import { Cluster } from "../scheduler/cluster.ts";
import type { SimCounters } from "../scheduler/counters.ts";
import type { HostEvent, MachineFactory } from "../scheduler/machine.ts";
import type { CaptureConfig } from "../scheduler/partition.ts";
import type { Platform } from "../scheduler/platform.ts";
import { type HostSpec, resolveTopology } from "../scheduler/topology.ts";
import type { CommandStep, Fault, LabPlan, Step } from "./plan.ts";
import type { MachineEvent, MachineRequest } from "./protocol.ts";

/** Virtual time from power-on to the first step: a host's boot. */
const BOOT = 1 * SEC;

export interface LabOptions {
  /** The compiled kernel. */
  readonly module: WasmModule;
  /** What runs on hosts: a factory for one worker, or the URL of a module for several. */
  readonly machines: MachineFactory | string;
  readonly workers?: number;
  readonly platform?: Platform;
  readonly capture?: CaptureConfig & { readonly sink: CaptureSink };
  /** Overrides the lab's seed. */
  readonly seed?: string;
  /** Stops before this virtual time. */
  readonly until?: Time;
  /** Sees everything as it happens. */
  readonly observer?: LabObserver;
}

/** What a step came to, on one host. */
export interface StepResult {
  /** Position in the lab, from 0. */
  readonly step: number;
  readonly host: string;
  readonly terminal: string | undefined;
  readonly command: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined when it waits for input or timed out. */
  readonly exit: number | undefined;
  readonly start: Time;
  readonly end: Time;
  /** What was expected and didn't come; empty when all is well. */
  readonly failures: readonly string[];
}

export interface LabObserver {
  stepStarted?(step: number, host: string, terminal: string | undefined, command: string, time: Time): void;
  output?(stream: "stdout" | "stderr", text: string): void;
  stepEnded?(result: StepResult): void;
  /** A wait or a fault. */
  passed?(step: number, kind: "wait" | "fault", detail: string, time: Time): void;
}

export interface LabResult {
  readonly steps: readonly StepResult[];
  readonly counters: SimCounters;
  readonly end: Time;
  /** `until` came, or the run was stopped, before the last step. */
  readonly cut: boolean;
}

/** A lab that runs: typed into step by step. Close it. */
export class LabSession {
  readonly plan: LabPlan;
  readonly cluster: Cluster;
  readonly variables: Record<string, string> = {};
  /** Names that containers had, by address. */
  readonly addresses = new Map<string, readonly string[]>();
  /** Latest events by command id. */
  readonly #waiting = new Map<number, (event: MachineEvent) => void>();
  #stopped = false;

  private constructor(plan: LabPlan, cluster: Cluster) {
    this.plan = plan;
    this.cluster = cluster;
  }

  /** Makes the hosts and boots them. */
  static async start(plan: LabPlan, options: LabOptions): Promise<LabSession> {
    const hosts = plan.hosts.map(
      (host): HostSpec => ({
        name: host.name,
        nics: [{ latency: host.latency, bandwidth: host.bandwidth, loss: host.loss, mtu: host.mtu }],
        machine: host,
      }),
    );
    let session: LabSession | undefined;
    const cluster = await Cluster.create({
      topology: resolveTopology(options.seed ?? plan.seed, hosts),
      module: options.module,
      machines: options.machines,
      ...(options.workers === undefined ? {} : { workers: options.workers }),
      ...(options.platform === undefined ? {} : { platform: options.platform }),
      ...(options.capture === undefined ? {} : { capture: options.capture }),
      onEvent: (event) => session?.deliver(event),
    });
    session = new LabSession(plan, cluster);
    await cluster.runUntil(BOOT);
    return session;
  }

  /** Called by the cluster for each event, in total order. */
  deliver(event: HostEvent): void {
    const payload = event.payload as MachineEvent;
    if (payload.kind === "name") {
      const names = this.addresses.get(payload.address) ?? [];
      if (!names.includes(payload.name)) this.addresses.set(payload.address, [...names, payload.name]);
      return;
    }
    this.#waiting.get(payload.id)?.(payload);
  }

  /** Ends the run after the present batch of windows. */
  stop(): void {
    this.#stopped = true;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  async close(): Promise<void> {
    await this.cluster.stop();
  }

  /**
   * Runs one command on one host until it ends or waits for input.
   * @param limit virtual time at which it is given up
   */
  async command(
    host: string,
    request: {
      readonly command: string;
      readonly terminal?: string | undefined;
      readonly stdin?: string | undefined;
      readonly into?: number;
    },
    limit: Time,
    onOutput: (stream: "stdout" | "stderr", text: string) => void,
    onPosted: (id: number) => void = () => {},
  ): Promise<{
    stdout: string;
    stderr: string;
    exit: number | undefined;
    idle: boolean;
    refused: string | undefined;
    id: number;
  }> {
    const index = this.cluster.hostIndex(host);
    const { terminal } = request;
    const line = request.command;
    const message: MachineRequest =
      request.into !== undefined
        ? { kind: "input", session: request.into, text: `${line}\n` }
        : terminal !== undefined
          ? { kind: "type", terminal, line }
          : { kind: "run", line, stdin: request.stdin, variables: { ...this.variables } };
    const id = this.cluster.post(index, this.cluster.now, message);
    onPosted(id);
    let stdout = "";
    let stderr = "";
    let exit: number | undefined;
    let idle = false;
    let refused: string | undefined;
    let ended = false;
    this.#waiting.set(id, (event) => {
      if (event.kind === "output") {
        if (event.stream === "stdout") stdout += event.text;
        else stderr += event.text;
        onOutput(event.stream, event.text);
        return;
      }
      if (event.kind === "exit") exit = event.status;
      else if (event.kind === "idle") idle = true;
      else if (event.kind === "refused") refused = event.message;
      ended = true;
    });
    while (!ended && this.cluster.now < limit && !this.#stopped) {
      // In slices, so that a stop is noticed.
      await this.cluster.runUntilEvent((event) => isEnd(event, id), Math.min(limit, this.cluster.now + SEC));
    }
    // What a terminal prints later (a container's output, say) belongs to nobody until somebody types into it.
    this.#waiting.delete(id);
    return { stdout, stderr, exit, idle, refused, id };
  }

  /** Applies a fault now. */
  fault(fault: Fault): void {
    const { cluster } = this;
    const hosts =
      fault.hosts.length > 0 || fault.heal === undefined ? fault.hosts : this.plan.hosts.map((host) => host.name);
    if (fault.partition !== undefined) cluster.inject({ kind: "partition", groups: fault.partition }, cluster.now);
    if (fault.heal && fault.hosts.length === 0) cluster.inject({ kind: "partition", groups: [] }, cluster.now);
    for (const host of hosts) {
      if (fault.heal) {
        const plan = this.plan.hosts.find((candidate) => candidate.name === host);
        assert(plan !== undefined, "a host of the plan", host);
        cluster.inject({ kind: "pass", host }, cluster.now);
        cluster.inject({ kind: "link", host, up: true }, cluster.now);
        cluster.inject({ kind: "loss", host, loss: plan.loss }, cluster.now);
        cluster.inject({ kind: "latency", host, latency: plan.latency }, cluster.now);
      }
      if (fault.drop !== undefined) cluster.inject({ kind: "drop", host, filter: fault.drop }, cluster.now);
      if (fault.link !== undefined) cluster.inject({ kind: "link", host, up: fault.link === "up" }, cluster.now);
      if (fault.latency !== undefined) cluster.inject({ kind: "latency", host, latency: fault.latency }, cluster.now);
      if (fault.loss !== undefined) cluster.inject({ kind: "loss", host, loss: fault.loss }, cluster.now);
      if (fault.crash) cluster.inject({ kind: "crash", host }, cluster.now);
      if (fault.restart) cluster.inject({ kind: "restart", host }, cluster.now);
    }
  }

  /** Lets virtual time pass, in slices so that a stop is noticed. */
  async wait(duration: Time): Promise<void> {
    const end = this.cluster.now + duration;
    while (this.cluster.now < end && !this.#stopped)
      await this.cluster.runUntil(Math.min(end, this.cluster.now + 60 * SEC));
  }
}

function isEnd(event: HostEvent, id: number): boolean {
  const payload = event.payload as MachineEvent;
  return payload.id === id && payload.kind !== "output" && payload.kind !== "name";
}

/** Runs all steps of a session's lab. */
export async function runSteps(
  session: LabSession,
  options: Pick<LabOptions, "until" | "observer">,
): Promise<LabResult> {
  const { plan, cluster } = session;
  const until = options.until ?? FOREVER;
  const results: StepResult[] = [];
  let cut = false;
  for (const [index, step] of plan.steps.entries()) {
    if (session.stopped || cluster.now >= until) {
      cut = true;
      break;
    }
    await runStep(session, step, index, Math.min(until, FOREVER), options.observer ?? {}, results);
    if (plan.pause > 0 && step.kind === "command")
      await session.wait(Math.min(plan.pause, Math.max(0, until - cluster.now)));
  }
  return { steps: results, counters: await cluster.counters(), end: cluster.now, cut: cut || session.stopped };
}

async function runStep(
  session: LabSession,
  step: Step,
  index: number,
  until: Time,
  observer: LabObserver,
  results: StepResult[],
): Promise<void> {
  const { cluster } = session;
  if (step.kind === "wait") {
    observer.passed?.(index, "wait", String(step.duration), cluster.now);
    await session.wait(Math.min(step.duration, until - cluster.now));
    return;
  }
  if (step.kind === "fault") {
    observer.passed?.(index, "fault", JSON.stringify(step.fault), cluster.now);
    session.fault(step.fault);
    await session.wait(1 * MS);
    return;
  }
  for (const host of step.hosts) {
    if (session.stopped) return;
    results.push(await runCommand(session, step, index, host, until, observer));
  }
}

async function runCommand(
  session: LabSession,
  step: CommandStep,
  index: number,
  host: string,
  until: Time,
  observer: LabObserver,
): Promise<StepResult> {
  const { cluster } = session;
  const start = cluster.now;
  // Variables of earlier steps are the shell's; on the line that is shown they stand expanded, as the user typed them.
  const command = expand(step.command, session.variables);
  observer.stepStarted?.(index, host, step.terminal, command, start);
  const limit = Math.min(until, start + step.timeout);
  const outcome = await session.command(
    host,
    { command, terminal: step.terminal, stdin: step.stdin },
    limit,
    (stream, text) => observer.output?.(stream, text),
  );
  const { stdout, stderr, exit, idle, refused } = outcome;
  const failures: string[] = [];
  if (refused !== undefined) failures.push(refused);
  else if (exit === undefined && !idle && !session.stopped) {
    failures.push(
      cluster.now >= until
        ? "the run ended before the command"
        : `no end after ${step.timeout / SEC} s of virtual time`,
    );
  }
  if (exit !== undefined && exit !== step.exit && step.terminal === undefined)
    failures.push(`exit status ${exit}, expected ${step.exit}`);
  const output = stdout + stderr;
  for (const pattern of step.expect)
    if (!found(output, pattern, session.variables)) failures.push(`expected ${show(pattern)}`);
  for (const pattern of step.reject)
    if (found(output, pattern, session.variables)) failures.push(`did not expect ${show(pattern)}`);
  if (step.as !== undefined) session.variables[step.as] = stdout.trim();
  const result = {
    step: index,
    host,
    terminal: step.terminal,
    command,
    stdout,
    stderr,
    exit,
    start,
    end: cluster.now,
    failures,
  };
  observer.stepEnded?.(result);
  return result;
}

function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(
    /\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g,
    (whole, braced: string | undefined, plain: string | undefined) => variables[braced ?? plain ?? ""] ?? whole,
  );
}

function found(output: string, pattern: string | RegExp, variables: Readonly<Record<string, string>>): boolean {
  return typeof pattern === "string" ? output.includes(expand(pattern, variables)) : pattern.test(output);
}

function show(pattern: string | RegExp): string {
  return typeof pattern === "string" ? JSON.stringify(pattern) : String(pattern);
}
