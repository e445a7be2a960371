import { MS, SEC, type Time } from "../base/time.ts";
import type { WasmModule } from "../kernel/wasm.ts";
import type { CaptureSink } from "../scheduler/captures.ts";
import { Cluster } from "../scheduler/cluster.ts";
import type { HostEvent, MachineFactory } from "../scheduler/machine.ts";
import type { Pace } from "../scheduler/pace.ts";
import type { CaptureConfig, RefusedCommand } from "../scheduler/partition.ts";
import type { Platform } from "../scheduler/platform.ts";
import { type HostSpec, resolveTopology } from "../scheduler/topology.ts";
import { FABRIC_SEGMENT, injectFault } from "./inject-fault.ts";
import type { MachineAnswers, MachineQuery } from "./inspect/protocol.ts";
import { nicsOf } from "./nat.ts";
import type { Fault, LabPlan } from "./plan.ts";
import { PlannedFaults } from "./planned-faults.ts";
import type { MachineEvent, MachineRequest } from "./protocol.ts";
import { screenText } from "./screen.ts";
import type { HostRequest } from "./workload.ts";

/** Virtual time from power-on to the first step: a host's boot. */
const BOOT = 1 * SEC;
/** Time runs in slices of this length, between which a stop is noticed. */
const SLICE = 200 * MS;

/** What a session is made with. */
export interface LabOptions {
  /** The compiled kernel. */
  readonly module: WasmModule;
  /** What runs on hosts: a factory for one worker, or the URL of a module for several. */
  readonly machines: MachineFactory | string;
  readonly workers?: number;
  readonly platform?: Platform;
  readonly capture?: CaptureConfig & { readonly sink: CaptureSink };
  /** Skips quiet time in waits (src/scheduler/quiet.ts); default true. */
  readonly skip?: boolean;
  /** Takes where the wall time goes (src/scheduler/profile.ts); needs a platform. */
  readonly profile?: boolean;
  /** Overrides the lab's seed. */
  readonly seed?: string;
  /** Decides how fast virtual time goes, from power-on (src/scheduler/pace.ts); needs a platform. */
  readonly pace?: Pace;
  /** Called now and then while time passes, so that the caller's own events get their turn. */
  readonly breathe?: () => Promise<void>;
}

/** What happens on a terminal while nobody types on it. */
export interface TerminalObserver {
  /** It prints: a program in the background, or what somebody else's command did to it. */
  lateOutput?(late: LateOutput): void;
  /** What ran on it has ended. */
  terminalClosed?(closed: ClosedTerminal): void;
}

/** A terminal on which nothing runs any more. */
export interface ClosedTerminal {
  readonly host: string;
  /** The container whose terminal it was; undefined: the host's own. */
  readonly terminal: string | undefined;
  /** The last request that typed there. */
  readonly id: number;
  readonly time: Time;
}

/** Output that belongs to no step. */
export interface LateOutput {
  readonly host: string;
  /** The container whose terminal it is; undefined: the host's own. */
  readonly terminal: string | undefined;
  /** The last request that typed on that terminal. */
  readonly id: number;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  readonly time: Time;
}

/** What to do on a terminal of a host. */
export type TerminalInput =
  /** A command line on a new terminal. */
  | { readonly command: string; readonly stdin?: string | undefined }
  /** A line typed on the open terminal of a container. */
  | { readonly command: string; readonly terminal: string }
  /** A line, or a key, on the terminal of an earlier command. */
  | { readonly command: string; readonly into: number }
  | { readonly key: "eof" | "interrupt"; readonly into: number };

/** How a command went, up to its end or until it waits for input. */
export interface CommandOutcome {
  /** As a screen shows it in the end; the observer heard it as it was printed. */
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined when it waits for input, or was given up. */
  readonly exit: number | undefined;
  /** It waits for input. */
  readonly idle: boolean;
  /** The container whose terminal is open now. */
  readonly terminal: string | undefined;
  /** Why it could not be typed. */
  readonly refused: string | undefined;
  readonly id: number;
  /** Virtual time of its answer; undefined when it was given up. */
  readonly answered: Time | undefined;
}

/** A command that was typed and has not been answered yet. */
interface PendingCommand {
  readonly host: string;
  readonly id: number;
  stdout: string;
  stderr: string;
  answer: MachineEvent | undefined;
  answered: Time | undefined;
  /** Told of the answer as soon as it is there. */
  onAnswer: (() => void) | undefined;
}

/** Output as it comes. */
type OnOutput = (stream: "stdout" | "stderr", text: string) => void;

/** A lab that runs: typed into step by step. Close it. */
export class LabSession {
  readonly plan: LabPlan;
  readonly cluster: Cluster;
  /** What steps kept with `as`. */
  readonly variables: Record<string, string> = {};
  /** Names that containers had, by address. */
  readonly addresses = new Map<string, readonly string[]>();
  /** Who waits for the events of a request. */
  readonly #waiting = new Map<number, (event: MachineEvent, time: Time) => void>();
  /** Open terminals by the last request that typed on them. */
  readonly #terminals = new Map<number, { readonly host: string; readonly terminal: string | undefined }>();
  readonly #breathe: () => Promise<void>;
  /** Undefined where the lab plans none. */
  readonly #planned: PlannedFaults | undefined;
  #observer: TerminalObserver = {};
  #stopped = false;

  private constructor(
    plan: LabPlan,
    cluster: Cluster,
    breathe: () => Promise<void>,
    planned: PlannedFaults | undefined,
  ) {
    this.plan = plan;
    this.cluster = cluster;
    this.#breathe = breathe;
    this.#planned = planned;
    if (planned !== undefined) planned.apply = (fault) => this.#faultNow(fault);
  }

  /** Makes the hosts and boots them. */
  static async start(plan: LabPlan, options: LabOptions): Promise<LabSession> {
    const hosts = plan.hosts.map(
      (host): HostSpec => ({
        name: host.name,
        nics: nicsOf(host),
        machine: host,
      }),
    );
    let session: LabSession | undefined;
    const plans = plan.steps.some((step) => step.kind === "fault" && step.fault.at !== undefined);
    const planned = plans ? new PlannedFaults(options.pace) : undefined;
    const pace = planned ?? options.pace;
    const cluster = await Cluster.create({
      topology: resolveTopology(
        options.seed ?? plan.seed,
        hosts,
        plan.fabric === undefined ? {} : { [FABRIC_SEGMENT]: plan.fabric },
      ),
      module: options.module,
      machines: options.machines,
      ...(options.workers === undefined ? {} : { workers: options.workers }),
      ...(options.platform === undefined ? {} : { platform: options.platform }),
      ...(options.capture === undefined ? {} : { capture: options.capture }),
      ...(options.skip === undefined ? {} : { skip: options.skip }),
      ...(pace === undefined ? {} : { pace }),
      ...(options.profile === undefined ? {} : { profile: options.profile }),
      onEvent: (event) => session?.deliver(event),
    });
    session = new LabSession(plan, cluster, options.breathe ?? (async () => {}), planned);
    try {
      await cluster.runUntil(BOOT);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return session;
  }

  /** Who hears of terminals that nobody types on. */
  observe(observer: TerminalObserver): void {
    this.#observer = observer;
  }

  /** Called by the cluster for each event, in total order. */
  deliver({ host, time, payload }: HostEvent): void {
    const name = this.plan.hosts[host]?.name ?? "";
    const event = machineEvent(name, payload as MachineEvent | RefusedCommand);
    if (event.kind === "name") {
      const names = this.addresses.get(event.address) ?? [];
      if (!names.includes(event.name)) this.addresses.set(event.address, [...names, event.name]);
      return;
    }
    const waiting = this.#waiting.get(event.id);
    if (waiting !== undefined) waiting(event, time);
    else this.#late(name, time, event);
  }

  /** A terminal on which nobody types says something. */
  #late(host: string, time: Time, event: MachineEvent): void {
    const open = this.#terminals.get(event.id);
    const terminal = open?.terminal;
    if (event.kind === "output")
      this.#observer.lateOutput?.({ host, terminal, id: event.id, stream: event.stream, text: event.text, time });
    if (event.kind !== "exit" || open === undefined) return;
    this.#terminals.delete(event.id);
    this.#observer.terminalClosed?.({ host, terminal, id: event.id, time });
  }

  /** Ends the run soon. */
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
   * Types on a terminal of a host, until what runs there ends or waits for input.
   * @param limit virtual time at which it is given up
   * @param onPosted told the request's id before time goes on
   */
  async command(
    host: string,
    input: TerminalInput,
    limit: Time,
    onOutput: OnOutput,
    onPosted: (id: number) => void = () => {},
  ): Promise<CommandOutcome> {
    const pending = this.#post(host, input, onOutput);
    onPosted(pending.id);
    await this.#answers([pending.id], limit);
    return this.#outcome(pending);
  }

  /**
   * Types on a terminal of a host, and returns at once: what comes of it comes when time passes, whoever lets it pass. Not
   * while a slice of time is under way.
   * @param onAnswer told when it has ended, or waits for input
   * @returns the request's id
   */
  begin(host: string, input: TerminalInput, onOutput: OnOutput, onAnswer: (outcome: CommandOutcome) => void): number {
    const pending = this.#post(host, input, onOutput);
    pending.onAnswer = () => {
      this.#waiting.delete(pending.id);
      onAnswer(this.#outcome(pending));
    };
    return pending.id;
  }

  /** Nobody waits for the answer to a request of begin() any more: its terminal is taken away. @param key its first request */
  giveUp(host: string, id: number, key: number): void {
    this.#waiting.delete(id);
    this.hangup(host, key);
  }

  /** Lets a slice of time pass, or less: until the condition holds behind an event, as seen at whole milliseconds. */
  async slice(limit: Time, over: (event: HostEvent) => boolean): Promise<void> {
    const { cluster } = this;
    await cluster.runUntilEvent(over, Math.min(limit, cluster.now + SLICE));
    await this.#breathe();
  }

  /**
   * Types the same on a terminal of each of several hosts at the same time, until what runs there has ended everywhere,
   * or waits for input.
   * @param limit virtual time at which they are given up
   * @param onOutput told with the host's place in the list
   * @param onPosted told the requests' ids, in the order of the hosts, before time goes on
   * @returns in the order of the hosts
   */
  async commands(
    hosts: readonly string[],
    input: TerminalInput,
    limit: Time,
    onOutput: (host: number, stream: "stdout" | "stderr", text: string) => void,
    onPosted: (ids: readonly number[]) => void = () => {},
  ): Promise<CommandOutcome[]> {
    const pending = hosts.map((host, i) => this.#post(host, input, (stream, text) => onOutput(i, stream, text)));
    onPosted(pending.map(({ id }) => id));
    await this.#answers(
      pending.map(({ id }) => id),
      limit,
    );
    return pending.map((one) => this.#outcome(one));
  }

  #post(host: string, input: TerminalInput, onOutput: OnOutput): PendingCommand {
    const id = this.cluster.post(this.cluster.hostIndex(host), this.cluster.now, this.#requestOf(input));
    if ("into" in input) this.#terminals.delete(input.into);
    const pending: PendingCommand = {
      host,
      id,
      stdout: "",
      stderr: "",
      answer: undefined,
      answered: undefined,
      onAnswer: undefined,
    };
    this.#waiting.set(id, (event, time) => {
      if (event.kind === "output") {
        pending[event.stream] += event.text;
        onOutput(event.stream, event.text);
      } else if (pending.answer === undefined) {
        pending.answer = event;
        pending.answered = time;
        pending.onAnswer?.();
      }
    });
    return pending;
  }

  #outcome({ host, id, stdout, stderr, answer, answered }: PendingCommand): CommandOutcome {
    const idle = answer?.kind === "idle";
    const terminal = answer?.kind === "idle" ? answer.terminal : undefined;
    if (idle || answer === undefined) this.#terminals.set(id, { host, terminal });
    return {
      stdout: screenText(stdout),
      stderr: screenText(stderr),
      exit: answer?.kind === "exit" ? answer.status : undefined,
      idle,
      terminal,
      refused: answer?.kind === "refused" ? answer.message : undefined,
      id,
      answered,
    };
  }

  #requestOf(input: TerminalInput): MachineRequest {
    if ("key" in input) return { kind: input.key, session: input.into, answer: true };
    const line = input.command;
    if ("into" in input) return { kind: "input", session: input.into, text: `${line}\n` };
    if ("terminal" in input) return { kind: "type", terminal: input.terminal, line };
    return { kind: "run", line, stdin: input.stdin, variables: { ...this.variables } };
  }

  /** Runs until all requests have been answered, or the limit or a stop comes. */
  async #answers(ids: readonly number[], limit: Time): Promise<void> {
    const { cluster } = this;
    const open = new Set(ids);
    const last = (event: HostEvent): boolean => {
      const { id } = event.payload as MachineEvent | RefusedCommand;
      return open.has(id) && isAnswer(event, id) && open.delete(id) && open.size === 0;
    };
    while (open.size > 0 && cluster.now < limit && !this.#stopped) await this.slice(limit, last);
    for (const id of ids) this.#waiting.delete(id);
  }

  /** Ctrl-C for a command that runs: by the id that `onPosted` told, of the terminal's first request or of the last one. */
  interrupt(host: string, id: number): void {
    const request: MachineRequest = { kind: "interrupt", session: id, answer: false };
    this.cluster.post(this.cluster.hostIndex(host), this.cluster.now, request);
  }

  /** Whether a terminal waits for input. @param id the last request that typed there */
  isOpen(id: number): boolean {
    return this.#terminals.has(id);
  }

  /** Takes the terminal of a command away: what runs on it ends. */
  hangup(host: string, id: number): void {
    this.#terminals.delete(id);
    this.cluster.post(this.cluster.hostIndex(host), this.cluster.now, {
      kind: "hangup",
      session: id,
    } satisfies MachineRequest);
  }

  /** Asks several hosts at once, and runs until all have answered or the span is over. */
  async ask(
    requests: readonly HostRequest[],
    span: Time,
  ): Promise<{ readonly id: number; readonly answer: MachineEvent | undefined }[]> {
    const { cluster } = this;
    const answers = new Map<number, MachineEvent>();
    const ids = requests.map(({ host, request }) => cluster.post(cluster.hostIndex(host), cluster.now, request));
    for (const id of ids) this.#waiting.set(id, (event) => answers.set(id, event));
    const end = cluster.now + span;
    const complete = (): boolean => answers.size === ids.length;
    while (!complete() && cluster.now < end && !this.#stopped) {
      await cluster.runUntilEvent(complete, Math.min(end, cluster.now + SLICE));
      await this.#breathe();
    }
    for (const id of ids) this.#waiting.delete(id);
    return ids.map((id) => ({ id, answer: answers.get(id) }));
  }

  /**
   * Looks at hosts without an effect on what happens.
   * @returns in the order of the hosts; undefined for one that is switched off
   */
  async inspect<Q extends MachineQuery>(
    hosts: readonly string[],
    query: Q,
  ): Promise<(MachineAnswers[Q["kind"]] | undefined)[]> {
    const { cluster } = this;
    const answers = await cluster.inspect(
      hosts.map((host) => cluster.hostIndex(host)),
      query,
    );
    return answers as (MachineAnswers[Q["kind"]] | undefined)[];
  }

  /** Applies a fault: now, or when its time comes. */
  fault(fault: Fault): void {
    const { at = 0 } = fault;
    if (at > this.cluster.now && this.#planned !== undefined) this.#planned.add(at, fault);
    else this.#faultNow(fault);
  }

  #faultNow(fault: Fault): void {
    const cut = injectFault(this.plan, this.cluster, fault);
    for (const [id, open] of this.#terminals) if (cut.includes(open.host)) this.#terminals.delete(id);
  }

  /** Lets virtual time pass; less of it after a stop. */
  async wait(duration: Time): Promise<void> {
    const { cluster } = this;
    const end = cluster.now + duration;
    // Long waits take longer slices: little happens in them.
    const slice = Math.max(SLICE, Math.floor(duration / 1000));
    while (cluster.now < end && !this.#stopped) {
      await cluster.runUntil(Math.min(end, cluster.now + slice), end);
      await this.#breathe();
    }
  }
}

/** A host that is switched off answers like a terminal that isn't there. */
function machineEvent(host: string, payload: MachineEvent | RefusedCommand): MachineEvent {
  if ("kind" in payload) return payload;
  return { kind: "refused", id: payload.id, message: `${host} is switched off` };
}

function isAnswer(event: HostEvent, id: number): boolean {
  const payload = event.payload as MachineEvent | RefusedCommand;
  if (payload.id !== id) return false;
  return !("kind" in payload) || (payload.kind !== "output" && payload.kind !== "name");
}
