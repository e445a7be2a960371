/**
 * Runs programs of an image as processes of a container or host: finding them in PATH, signals, exit
 * statuses (what runc and the kernel do for Docker).
 */
import { assert, isExhaustion, KernelError } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { NetNs } from "../kernel/types.ts";
import type { HostOs } from "../scheduler/os.ts";
import { Channel, join, type Proc, type Process, Signal } from "../scheduler/process.ts";
import { ProcFiles } from "./proc-files.ts";
import {
  BrokenPipeError,
  type ChildIo,
  type FileSystem,
  type Output,
  type Pipe,
  type ProcessEntry,
  type Program,
  type ProgramContext,
} from "./program.ts";

/** Signal numbers (signal(7), x86). */
export const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

/** Other names (signal(7)). */
const SIGNAL_ALIASES: Readonly<Record<string, string>> = {
  SIGCLD: "SIGCHLD",
  SIGIOT: "SIGABRT",
  SIGPOLL: "SIGIO",
  SIGUNUSED: "SIGSYS",
};

/** Signals whose default action is not to end the process. Those that stop a process do nothing here. */
const HARMLESS = new Set(["SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH"]);

/** How often, at one instant, a program that doesn't wait for signals is looked at before the default action comes. */
const DELIVERY_ROUNDS = 3;

/** `TERM`, `SIGTERM`, `15` → `SIGTERM`; undefined when it is no signal. */
export function parseSignal(text: string): string | undefined {
  const name = text.toUpperCase();
  if (/^\d+$/.test(name)) return Object.keys(SIGNALS).find((key) => SIGNALS[key] === Number(name));
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  return full in SIGNALS ? full : SIGNAL_ALIASES[full];
}

/** What a process shares with the others of its container (or host). */
export interface ProcessRoot {
  readonly os: HostOs;
  readonly ns: NetNs;
  readonly hostname: string;
  /** Changes it; absent where that is not allowed, as in a container without CAP_SYS_ADMIN. */
  readonly setHostname?: (name: string) => void;
  readonly files: FileSystem;
  readonly programs: ReadonlyMap<string, Program>;
  /** The processes that run: a container's end ends them all. */
  readonly processes: Set<RunningProgram>;
}

/** Standard streams of a process. */
export interface ProcessIo {
  readonly stdin: Pipe;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly tty: boolean;
}

/** Directories whose programs are found by absolute path. */
const PROGRAM_PATH = /^\/(?:usr\/)?(?:local\/)?s?bin\/([^/]+)$/;

/**
 * The program that argv[0] names: a bare name that PATH finds, a path in one of its directories, or another path that
 * the image has as the name of a program (`/docker-entrypoint.sh`).
 */
export function findProgram(root: ProcessRoot, name: string): Program | undefined {
  if (name.startsWith("/") && root.programs.has(name)) return root.programs.get(name);
  return root.programs.get(name.includes("/") ? (PROGRAM_PATH.exec(name)?.[1] ?? "") : name);
}

/** Why a name is no program, as runc says it (Go's os/exec LookPath, libcontainer/standard_init_linux.go). */
export function notFoundReason(root: ProcessRoot, name: string): string {
  const reason = !name.includes("/")
    ? "executable file not found in $PATH"
    : root.files.read(name) === undefined
      ? `stat ${name}: no such file or directory`
      : "permission denied";
  return `exec: ${JSON.stringify(name)}: ${reason}: unknown`;
}

/** Which root file systems have a /proc. */
const HAS_PROC = new WeakMap<FileSystem, boolean>();

/** The last PID of each container, by its processes. */
const LAST_PIDS = new WeakMap<ReadonlySet<RunningProgram>, number>();

/** How a program comes to run. */
interface Origin {
  /** PID 1 of a container: signals it doesn't handle are ignored, but for SIGKILL (pid_namespaces(7)). */
  readonly isInit: boolean;
  readonly parent?: RunningProgram;
  readonly background?: boolean;
}

/** A running program with its signals and the programs it runs. */
export class RunningProgram {
  readonly argv: readonly string[];
  readonly root: ProcessRoot;
  readonly started: Time;
  readonly tty: boolean;
  readonly #parent: RunningProgram | undefined;
  readonly #numberInside: number | undefined;
  /** Notified when `status` is set. */
  readonly exited = new Signal();
  readonly #signals = new Channel<string>();
  /** Signals that `#deliver` is about to deliver. */
  readonly #delivering = new Set<string>();
  readonly #isInit: boolean;
  /** Started with nothing to read, as `command &` is: Ctrl-C is not for it. */
  readonly #background: boolean;
  readonly #process: Process<number>;
  #status: number | undefined;
  #children: RunningProgram[] = [];

  /** @param origin where it comes from; `true` for PID 1 of a container */
  constructor(
    root: ProcessRoot,
    program: Program,
    argv: readonly string[],
    env: Map<string, string>,
    cwd: string,
    io: ProcessIo,
    origin: boolean | Origin,
  ) {
    const { isInit, parent, background } = typeof origin === "boolean" ? { isInit: origin } : origin;
    this.argv = argv;
    this.root = root;
    this.started = root.os.now();
    this.tty = io.tty;
    this.#isInit = isInit;
    this.#parent = parent;
    this.#background = background ?? (io.stdin.closed && io.stdin.length === 0);
    const last = isInit ? 0 : LAST_PIDS.get(root.processes);
    this.#numberInside = last === undefined ? undefined : last + 1;
    if (this.#numberInside !== undefined) LAST_PIDS.set(root.processes, this.#numberInside);
    const self = this;
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
      files: this.#files(),
      get hostname() {
        return root.hostname;
      },
      setHostname: root.setHostname,
      signals: this.#signals,
      programs: [...root.programs.keys()],
      get pid() {
        return self.pidInside;
      },
      exec: (childArgv, childIo) => this.#exec(childArgv, env, cwd, io, childIo ?? {}),
      start: (childArgv, childIo, body) => this.#start(childArgv, env, cwd, io, childIo ?? {}, body ?? {}),
      processes: () => [...root.processes].map((process) => process.#entry()),
    };
    this.#process = root.os.spawn(argv[0] ?? "", this.#main(program, context));
    root.processes.add(this);
  }

  /** The files of its root, and /proc as it sees it; Windows has none. */
  #files(): FileSystem {
    const { root } = this;
    const hasProc = HAS_PROC.get(root.files) ?? root.files.list("/proc") !== undefined;
    HAS_PROC.set(root.files, hasProc);
    if (!hasProc) return root.files;
    return new ProcFiles(root.files, {
      ns: root.ns,
      get hostname() {
        return root.hostname;
      },
      now: () => root.os.now(),
      writable: root.setHostname !== undefined,
      pid: () => this.pidInside,
      processes: () => [...root.processes].map((process) => process.#entry()),
    });
  }

  /** Exit status; undefined while it runs. 128 + n when a signal ended it. */
  get status(): number | undefined {
    return this.#status;
  }

  get pid(): number {
    return this.#process.pid;
  }

  *#main(program: Program, context: ProgramContext): Proc<number> {
    let status = 1;
    try {
      status = yield* program(context);
    } catch (error) {
      if (error instanceof BrokenPipeError) status = 128 + (SIGNALS["SIGPIPE"] as number);
      else if (error instanceof KernelError) context.stderr.write(`${context.argv[0]}: ${error.message}\n`);
      // The kernel's last means against a process that takes more memory than there is (mm/oom_kill.c).
      else if (isExhaustion(error)) status = 128 + (SIGNALS["SIGKILL"] as number);
      else throw error;
    } finally {
      this.#finish(status);
    }
    return status;
  }

  /** Its number as processes of its container see it; on a host, the host's. */
  get pidInside(): number {
    return this.#numberInside ?? this.pid;
  }

  #entry(): ProcessEntry {
    const program = this;
    return {
      pid: this.pidInside,
      ppid: this.#parent?.status === undefined ? (this.#parent?.pidInside ?? 0) : 1,
      argv: this.argv,
      started: this.started,
      tty: this.tty,
      get status() {
        return program.status;
      },
      exited: this.exited,
      signal: (name) => this.signal(name),
    };
  }

  get ppid(): number {
    return this.#parent?.pidInside ?? 0;
  }

  #start(
    argv: readonly string[],
    env: Map<string, string>,
    cwd: string,
    io: ProcessIo,
    own: ChildIo,
    body: { readonly program?: Program; readonly background?: boolean },
  ): ProcessEntry | undefined {
    const child = this.#spawn(argv, env, cwd, io, own, body);
    return child === undefined ? undefined : child.#entry();
  }

  /** A child; one in the foreground belongs to it, and gets its signals. */
  #spawn(
    argv: readonly string[],
    env: Map<string, string>,
    cwd: string,
    io: ProcessIo,
    own: ChildIo,
    { program: body, background = false }: { readonly program?: Program; readonly background?: boolean },
  ): RunningProgram | undefined {
    const { root } = this;
    const program = body ?? findProgram(root, argv[0] ?? "");
    if (program === undefined) return undefined;
    const childIo = {
      stdin: own.stdin ?? io.stdin,
      stdout: own.stdout ?? io.stdout,
      stderr: own.stderr ?? io.stderr,
      tty: io.tty && (own.stdin ?? io.stdin) === io.stdin && (own.stdout ?? io.stdout) === io.stdout,
    };
    const childRoot = own.ns === undefined ? root : { ...root, ns: own.ns };
    const child = new RunningProgram(childRoot, program, argv, own.env ?? env, own.cwd ?? cwd, childIo, {
      isInit: false,
      parent: this,
      ...(background ? { background } : {}),
    });
    if (!background) {
      // Those that have ended are of no use any more.
      this.#children = this.#children.filter((other) => other.status === undefined);
      this.#children.push(child);
    }
    return child;
  }

  *#exec(argv: readonly string[], env: Map<string, string>, cwd: string, io: ProcessIo, own: ChildIo): Proc<number> {
    const child = this.#spawn(argv, env, cwd, io, own, {});
    if (child === undefined) return 127;
    try {
      yield* child.wait();
    } finally {
      child.signal("SIGKILL");
      this.#children = this.#children.filter((other) => other !== child);
    }
    return child.status ?? 1;
  }

  /** The program returned. What it left in the background runs on, as orphans do. */
  #finish(status: number): void {
    if (this.#status !== undefined) return;
    this.#status = status;
    this.root.processes.delete(this);
    this.exited.notify();
  }

  /**
   * Delivers a signal (a full name of SIGNALS): to the program's channel if it reads it, else by the default action.
   */
  signal(name: string): void {
    if (this.#status !== undefined) return;
    const number = SIGNALS[name];
    assert(number !== undefined, "a known signal", name);
    if (name === "SIGKILL") {
      this.#end(128 + number, name);
      return;
    }
    // One that is pending is not queued twice (signal(7)).
    if (this.#signals.includes(name) || this.#delivering.has(name)) return;
    // A program that was woken at this instant reads its signals again once it has run.
    if (this.#signals.awaited) this.#signals.push(name);
    else {
      this.#delivering.add(name);
      this.root.os.spawn(`${name} to ${this.argv[0]}`, this.#deliver(name, 128 + number));
    }
  }

  /** A program that is about to run may be about to wait for signals again: it is given that chance. */
  *#deliver(name: string, status: number): Proc<void> {
    const { os } = this.root;
    for (let round = 0; round < DELIVERY_ROUNDS && !this.#signals.awaited && this.#status === undefined; round++)
      yield { until: os.now() };
    this.#delivering.delete(name);
    if (this.#status === undefined && this.#signals.awaited) this.#signals.push(name);
    else if (this.#status === undefined && !this.#isInit && !HARMLESS.has(name)) this.#end(status, name);
  }

  /** Ends it by a signal, and its children with it. */
  #end(status: number, name: string): void {
    this.#status = status;
    this.root.processes.delete(this);
    for (const child of [...this.#children]) child.signal(name);
    this.#process.kill();
    this.exited.notify();
  }

  /** Ctrl-C on its terminal: to the processes in the foreground, the innermost children. */
  interrupt(): void {
    const children = this.#children.filter((child) => child.status === undefined);
    if (children.length === 0) {
      this.signal("SIGINT");
      return;
    }
    const foreground = children.filter((child) => !child.#background);
    for (const child of foreground.length > 0 ? foreground : children) child.interrupt();
  }

  /** Waits until it has ended. */
  *wait(): Proc<number> {
    while (this.#status === undefined) yield { on: [this.exited] };
    yield* join(this.#process);
    return this.#status;
  }
}
