/**
 * Runs parsed shell scripts: lists, pipes between processes, redirections, compound commands and functions
 * (POSIX.1-2017 Shell Command Language §2.9; messages of busybox's ash).
 */
import { OutOfMemory, UserError } from "../../base/errors.ts";
import { MOST_TEXT, type Pipe, type ProcessEntry, type ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { flush } from "../lib/input.ts";
import { CompoundRunner } from "./compound.ts";
import { Expander } from "./expand.ts";
import { ExitShell, Interrupted, LeaveLoop, ReturnFrom } from "./flow.ts";
import { ENDED_BY, jobLine } from "./jobs.ts";
import { IncompleteError, parse } from "./parse.ts";
import { pipeOf, ShellPipe } from "./pipes.ts";
import { openStreams } from "./redirect.ts";
import { SimpleRunner } from "./simple.ts";
import { type Io, type Job, ShellState } from "./state.ts";
import type { Command, List, Pipeline } from "./syntax.ts";

/** 128 + SIGINT. */
const INTERRUPTED = 130;

/** How a shell is run. */
export interface ShellOptions {
  /** What it begins with; a login shell keeps it from one line to the next. */
  readonly state?: ShellState;
  /** It prompts; Ctrl-C and errors end a line, not the shell. */
  readonly interactive?: boolean;
  /** `$0`, and what its messages begin with. */
  readonly name?: string;
  /** It was forked for one program, which it becomes as by execve(2): signals are that program's. */
  readonly becomes?: boolean;
  /** Number of the script's first line in messages: 1, but 0 for that of `-c`. */
  readonly firstLine?: number;
}

/** One shell. */
export class Shell {
  readonly context: ProgramContext;
  readonly state: ShellState;
  readonly interactive: boolean;
  readonly name: string;
  /** Where commands write that aren't redirected; `exec` changes it. */
  io: Io;
  /** What functions' `local` hides, innermost last. */
  readonly scopes: Map<string, string | undefined>[] = [];
  readonly expander: Expander;
  /** Number of the script's first line in messages. */
  readonly firstLine: number;
  /** Forked for one program, or replaced by one (`exec`): its signals are that program's. */
  becomes: boolean;
  readonly compounds: CompoundRunner;
  readonly #simple: SimpleRunner;
  /** A command stands in a condition, where `set -e` doesn't count. */
  #conditions = 0;
  /** Set by `exit`; the shell ends after the present command. */
  exited = false;

  constructor(context: ProgramContext, options: ShellOptions = {}) {
    this.context = context;
    this.io = context;
    this.state = options.state ?? new ShellState(context.env, context.cwd);
    this.interactive = options.interactive ?? false;
    this.name = options.name ?? "sh";
    this.firstLine = options.firstLine ?? 1;
    this.becomes = options.becomes ?? false;
    this.compounds = new CompoundRunner(this);
    this.#simple = new SimpleRunner(this);
    const shell = this;
    this.expander = new Expander({
      get: (name) => this.parameter(name),
      set: (name, value) => this.assign(name, value),
      get positional() {
        return shell.state.positional;
      },
      get refusesUnset() {
        return shell.state.options.has("u");
      },
      get noPatterns() {
        return shell.state.options.has("f");
      },
      get cwd() {
        return shell.state.cwd;
      },
      list: (path) => context.files.list(path),
      substitute: (list) => this.#simple.substitute(list),
    });
  }

  get variables(): Map<string, string> {
    return this.state.variables;
  }

  /** `$?` */
  get status(): number {
    return this.state.status;
  }

  set status(status: number) {
    this.state.status = status;
  }

  /** Runs a script; a syntax error is printed and gives status 2. */
  *run(script: string): Proc<number> {
    try {
      yield* this.source(script);
    } catch (error) {
      if (error instanceof ExitShell) {
        this.exited = true;
        this.status = error.status;
      } else if (error instanceof Interrupted) {
        this.status = INTERRUPTED;
        this.io.stderr.write("\n");
      } else if (error instanceof ReturnFrom) this.status = error.status;
      else if (error instanceof UserError) {
        this.complain(error.message);
        this.status = 2;
        this.exited = !this.interactive && !(error instanceof IncompleteError);
      } else if (!(error instanceof LeaveLoop)) throw error;
    }
    return this.status;
  }

  /** The same without catching what leaves it. */
  *source(script: string): Proc<void> {
    yield* this.list(parse(script), this.io);
  }

  /** The action of `trap … EXIT`. */
  *finish(): Proc<number> {
    const action = this.state.traps.get("EXIT");
    this.state.traps.delete("EXIT");
    const { status } = this;
    if (action === undefined || action === "") return status;
    this.exited = false;
    yield* this.run(action);
    return this.exited ? this.status : status;
  }

  complain(message: string, io: Io = this.io): void {
    io.stderr.write(`${this.name}: ${message}\n`);
  }

  // ------------------------------------------------------------------------------------------------ parameters

  parameter(name: string): string | undefined {
    const { state } = this;
    switch (name) {
      case "?":
        return String(state.status);
      case "$":
        return String(this.context.pid);
      case "!":
        return state.lastBackground === undefined ? undefined : String(state.lastBackground);
      case "#":
        return String(state.positional.length);
      case "-":
        return `${this.interactive ? "i" : ""}${[...state.options].filter((option) => option.length === 1).join("")}`;
      case "0":
        return this.name;
      case "PPID":
        return "0";
      default:
        return /^\d+$/.test(name) ? state.positional[Number(name) - 1] : state.variables.get(name);
    }
  }

  /** @throws UserError for a read-only variable, OutOfMemory */
  assign(name: string, value: string): void {
    if (this.state.readOnly.has(name)) throw new UserError(`${name}: is read only`);
    if (value.length > MOST_TEXT) throw new OutOfMemory();
    this.state.variables.set(name, value);
  }

  // ------------------------------------------------------------------------------------------------ lists

  *list(list: List, outer: Io): Proc<void> {
    const own = this.io;
    for (let at = 0; at < list.length; ) {
      // `exec` may have turned the shell's own streams.
      const io = outer === own ? this.io : outer;
      let end = at + 1;
      while (list[end] !== undefined && list[end]?.op !== ";") end++;
      const group = list.slice(at, end);
      at = end;
      if (group.at(-1)?.background === true) this.#background(group, io);
      else yield* this.#andOr(group, io);
    }
  }

  *#andOr(group: List, io: Io): Proc<void> {
    for (const [index, { op, pipeline }] of group.entries()) {
      if ((op === "&&" && this.status !== 0) || (op === "||" && this.status === 0)) continue;
      const last = index === group.length - 1;
      const counts = last && !pipeline.negated;
      if (!counts) this.#conditions++;
      try {
        const status = yield* this.#pipeline(pipeline, io);
        this.status = pipeline.negated ? Number(status === 0) : status;
      } finally {
        if (!counts) this.#conditions--;
      }
      yield* this.runTraps();
      // What a command of the shell's own has written: a pipe that is full makes its writer wait.
      yield* flush({ stdout: io.stdout });
      if (counts && this.status !== 0 && this.#conditions === 0 && this.state.options.has("e"))
        throw new ExitShell(this.status);
    }
  }

  /** A list that is a condition: `set -e` looks away. */
  *condition(list: List, io: Io): Proc<void> {
    this.#conditions++;
    try {
      yield* this.list(list, io);
    } finally {
      this.#conditions--;
    }
  }

  #background(group: List, io: Io): void {
    const text = group.map(({ op, text: one }, at) => (at === 0 ? one : `${op} ${one}`)).join(" ");
    const foreground = group.map((item) => ({ ...item, background: false }));
    const own = { ...io, stdin: pipeOf("") };
    const only = group.length === 1 && isProgram(group[0]?.pipeline);
    const process = this.fork(text, own, true, (shell) => shell.list(foreground, shell.io), only);
    const number = Math.max(0, ...this.state.jobs.map((job) => job.number)) + 1;
    this.state.jobs.push({ number, process, text });
    this.state.lastBackground = process.pid;
    this.status = 0;
  }

  /** A subshell as a process of its own. @param body what it does; its status is that of its last command */
  fork(name: string, io: Io, background: boolean, body: (shell: Shell) => Proc<void>, becomes = false): ProcessEntry {
    const state = this.state.copy();
    const own = { ...io, env: state.environment(), cwd: state.cwd };
    const options = { state, name: this.name, firstLine: this.firstLine, becomes };
    const program = function* (context: ProgramContext): Proc<number> {
      const shell = new Shell(context, options);
      yield* shell.#whole(() => body(shell));
      return yield* shell.finish();
    };
    const argv = background ? ["sh", "-c", name] : ["sh"];
    return this.context.start(argv, own, { program, background }) as ProcessEntry;
  }

  /** Runs a subshell's commands; what leaves loops and functions ends it. */
  *#whole(body: () => Proc<void>): Proc<void> {
    try {
      yield* body();
    } catch (error) {
      if (error instanceof ExitShell || error instanceof ReturnFrom) this.status = error.status;
      else if (error instanceof UserError) {
        this.complain(error.message);
        this.status = 2;
      } else if (!(error instanceof LeaveLoop)) throw error;
    }
  }

  /** Waits for a process in the foreground. */
  *await(process: ProcessEntry): Proc<number> {
    const { signals } = this.context;
    const listens = this.interactive || this.state.traps.size > 0;
    while (process.status === undefined) yield { on: listens ? [process.exited, signals] : [process.exited] };
    if (process.status === INTERRUPTED) this.#childInterrupted();
    return process.status;
  }

  /** Waits for the program that this process has become. */
  *become(process: ProcessEntry): Proc<number> {
    const { signals } = this.context;
    while (process.status === undefined) {
      const name = signals.tryPop();
      if (name !== undefined) process.signal(name);
      else yield { on: [process.exited, signals] };
    }
    return process.status;
  }

  /** A child died of Ctrl-C, which was meant for the shell too. */
  #childInterrupted(): void {
    if (this.interactive) throw new Interrupted();
    if (!this.state.traps.has("INT") && this.context.tty) throw new ExitShell(INTERRUPTED);
  }

  /** Signals that came meanwhile: traps run, Ctrl-C ends an interactive line. */
  *runTraps(): Proc<void> {
    if (!this.interactive && this.state.traps.size === 0) return;
    for (let name = this.context.signals.tryPop(); name !== undefined; name = this.context.signals.tryPop()) {
      const action = this.state.traps.get(name.slice(3));
      if (action !== undefined) {
        const { status } = this;
        yield* this.source(action);
        this.status = status;
      } else if (!this.interactive) throw new ExitShell(name === "SIGINT" ? INTERRUPTED : 143);
      else if (name === "SIGINT") throw new Interrupted();
    }
  }

  // ------------------------------------------------------------------------------------------------ pipelines

  *#pipeline(pipeline: Pipeline, io: Io): Proc<number> {
    if (pipeline.commands.length === 1) return yield* this.command(pipeline.commands[0] as Command, io);
    const stages: ProcessEntry[] = [];
    try {
      let stdin: Pipe = io.stdin;
      for (const [index, command] of pipeline.commands.entries()) {
        const last = index === pipeline.commands.length - 1;
        // What the pipeline itself reads from may have other readers.
        const read = index === 0 ? undefined : stdin;
        const pipe = last ? undefined : new ShellPipe();
        const streams = { stdin, stdout: pipe?.input ?? io.stdout, stderr: io.stderr };
        const body = function* (shell: Shell): Proc<void> {
          try {
            shell.status = yield* shell.command(command, shell.io);
          } finally {
            pipe?.close();
            if (read instanceof ShellPipe) read.breakOff();
          }
        };
        const stage = this.fork("", streams, false, body, command.kind === "simple");
        stages.push(stage);
        stdin = pipe ?? stdin;
      }
      let failed = 0;
      for (const stage of stages) failed = (yield* this.await(stage)) || failed;
      return this.state.options.has("pipefail") ? failed : (stages.at(-1)?.status ?? 1);
    } finally {
      for (const stage of stages) stage.signal("SIGKILL");
    }
  }

  *command(command: Command, outer: Io): Proc<number> {
    if (command.kind === "simple") return yield* this.#simple.run(command, outer);
    if (command.kind === "function") {
      this.state.functions.set(command.name, command.body);
      return 0;
    }
    const streams = yield* openStreams(this, this.expander, command.redirections, outer);
    if (streams === undefined) return 1;
    try {
      return yield* this.compounds.run(command, streams.io);
    } finally {
      streams.close();
    }
  }

  get inLoop(): boolean {
    return this.compounds.loops > 0;
  }

  /** Runs a program, or a file that is a script. */
  program(argv: readonly string[], io: Io): Proc<number> {
    return this.#simple.program(argv, io);
  }

  // ------------------------------------------------------------------------------------------------ jobs

  /** Waits for a background job; undefined when Ctrl-C came first. */
  *awaitJob(job: Job): Proc<number | undefined> {
    const { signals } = this.context;
    const listens = this.interactive || this.state.traps.size > 0;
    while (job.process.status === undefined) {
      yield { on: listens ? [job.process.exited, signals] : [job.process.exited] };
      if (listens && signals.length > 0) yield* this.runTraps();
    }
    const ended = ENDED_BY.get(job.process.status);
    if (ended !== undefined) this.io.stderr.write(`${ended}\n`);
    return job.process.status;
  }

  /** What a prompt says of jobs that have ended, which are forgotten then. */
  takeEndedJobs(): string {
    const { jobs } = this.state;
    const ended = jobs.filter((job) => job.process.status !== undefined);
    this.state.jobs = jobs.filter((job) => job.process.status === undefined);
    return ended.map((job) => jobLine(job, job === jobs.at(-1))).join("");
  }
}

/** Whether a pipeline is one simple command, for which a shell forks once and no more. */
function isProgram(pipeline: Pipeline | undefined): boolean {
  return pipeline?.commands.length === 1 && pipeline.commands[0]?.kind === "simple" && !pipeline.negated;
}
