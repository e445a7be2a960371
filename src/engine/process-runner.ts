/**
 * Runs programs of an image as processes of a container or host: finding them in PATH, signals, exit
 * statuses (what runc and the kernel do for Docker).
 */
import { KernelError } from "../base/errors.ts";
import type { NetNs } from "../kernel/types.ts";
import type { HostOs } from "../scheduler/os.ts";
import { Channel, join, type Proc, type Process, Signal } from "../scheduler/process.ts";
import type { FileSystem, Output, Pipe, Program, ProgramContext } from "./program.ts";

/** Signal numbers (signal(7), x86). */
export const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGSTOP: 19,
  SIGWINCH: 28,
};

/** `TERM`, `SIGTERM`, `15` → `SIGTERM`; undefined when it is no signal. */
export function parseSignal(text: string): string | undefined {
  const name = text.toUpperCase();
  if (/^\d+$/.test(name)) return Object.keys(SIGNALS).find((key) => SIGNALS[key] === Number(name));
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  return full in SIGNALS ? full : undefined;
}

/** What a process shares with the others of its container (or host). */
export interface ProcessRoot {
  readonly os: HostOs;
  readonly ns: NetNs;
  readonly hostname: string;
  readonly files: FileSystem;
  readonly programs: ReadonlyMap<string, Program>;
}

export interface ProcessIo {
  readonly stdin: Pipe;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly tty: boolean;
}

/** The program that argv[0] names: a bare name or a path whose last part is one. */
export function findProgram(root: ProcessRoot, name: string): Program | undefined {
  const base = name.startsWith("/") ? name.slice(name.lastIndexOf("/") + 1) : name;
  return name.includes("/") && !name.startsWith("/") ? undefined : root.programs.get(base);
}

/** A running program with its signals. */
export class RunningProgram {
  readonly argv: readonly string[];
  /** Notified when `status` is set. */
  readonly exited = new Signal();
  readonly #signals = new Channel<string>();
  readonly #isInit: boolean;
  #process: Process<number> | undefined;
  #status: number | undefined;
  #children: RunningProgram[] = [];

  /** @param isInit PID 1 of a container: signals it doesn't handle are ignored, but for SIGKILL (pid_namespaces(7)) */
  constructor(
    root: ProcessRoot,
    program: Program,
    argv: readonly string[],
    env: Map<string, string>,
    cwd: string,
    io: ProcessIo,
    isInit: boolean,
  ) {
    this.argv = argv;
    this.#isInit = isInit;
    const context: ProgramContext = {
      argv,
      env,
      cwd,
      stdin: io.stdin,
      stdout: io.stdout,
      stderr: io.stderr,
      tty: io.tty,
      os: root.os,
      ns: root.ns,
      files: root.files,
      hostname: root.hostname,
      signals: this.#signals,
      programs: [...root.programs.keys()],
      exec: (childArgv, childIo) => this.#exec(root, childArgv, env, cwd, io, childIo ?? {}),
    };
    this.#process = root.os.spawn(argv[0] ?? "", this.#main(program, context));
  }

  /** Exit status; undefined while it runs. 128 + n when a signal ended it. */
  get status(): number | undefined {
    return this.#status;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  *#main(program: Program, context: ProgramContext): Proc<number> {
    let status = 1;
    try {
      status = yield* program(context);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      context.stderr.write(`${context.argv[0]}: ${error.message}\n`);
    } finally {
      this.#finish(status);
    }
    return status;
  }

  *#exec(
    root: ProcessRoot,
    argv: readonly string[],
    env: Map<string, string>,
    cwd: string,
    io: ProcessIo,
    own: { stdin?: Pipe; stdout?: Output; stderr?: Output; env?: Map<string, string>; cwd?: string },
  ): Proc<number> {
    const program = findProgram(root, argv[0] ?? "");
    if (program === undefined) return 127;
    const childIo = {
      stdin: own.stdin ?? io.stdin,
      stdout: own.stdout ?? io.stdout,
      stderr: own.stderr ?? io.stderr,
      tty: io.tty && (own.stdin ?? io.stdin) === io.stdin && (own.stdout ?? io.stdout) === io.stdout,
    };
    const child = new RunningProgram(root, program, argv, own.env ?? env, own.cwd ?? cwd, childIo, false);
    this.#children.push(child);
    try {
      yield* child.wait();
    } finally {
      child.signal("SIGKILL");
      this.#children = this.#children.filter((other) => other !== child);
    }
    return child.status ?? 1;
  }

  #finish(status: number): void {
    if (this.#status !== undefined) return;
    this.#status = status;
    for (const child of [...this.#children]) child.signal("SIGKILL");
    this.exited.notify();
  }

  /** Delivers a signal: to the program's channel if it reads it, else by the default action. */
  signal(name: string): void {
    if (this.#status !== undefined) return;
    const number = SIGNALS[name] ?? 15;
    if (name === "SIGKILL") {
      this.#status = 128 + number;
      for (const child of [...this.#children]) child.signal("SIGKILL");
      this.#process?.kill();
      this.exited.notify();
      return;
    }
    if (this.#signals.awaited) {
      this.#signals.push(name);
      return;
    }
    if (this.#isInit || name === "SIGWINCH") return;
    this.#status = 128 + number;
    for (const child of [...this.#children]) child.signal(name);
    this.#process?.kill();
    this.exited.notify();
  }

  /** Ctrl-C on its terminal: to the foreground process, the innermost child. */
  interrupt(): void {
    const child = this.#children.at(-1);
    if (child !== undefined) child.interrupt();
    else this.signal("SIGINT");
  }

  /** Waits until it has ended. */
  *wait(): Proc<number> {
    while (this.#status === undefined) yield { on: [this.exited] };
    const process = this.#process;
    if (process !== undefined && !process.done) yield* join(process);
    return this.#status;
  }
}
