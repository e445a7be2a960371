/**
 * What a process of a host or a container is given: arguments, a terminal or pipes, files, its network
 * namespace. Programs (ping, sh, httpd …) are functions of this context; images say which exist where.
 */
import { OutOfMemory } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { NetNs } from "../kernel/types.ts";
import type { HostOs } from "../scheduler/os.ts";
import { Channel, type Proc, Signal, type Waitable, type Waiter } from "../scheduler/process.ts";

/** Characters that a program can hold of what it reads. */
export const MOST_TEXT = 128 << 20;

/** A text with more behind it. @throws OutOfMemory */
export function grown(text: string, more: string): string {
  if (text.length + more.length > MOST_TEXT) throw new OutOfMemory();
  return text + more;
}

/**
 * A byte-less text pipe: chunks of text, closed at end of file. Text is enough for every program there is here. An
 * empty chunk is end of file for one read: Ctrl-D on a terminal, after which more may come.
 */
export class Pipe extends Channel<string> {
  #rest = "";
  /** Notified when a reader begins to wait for more: the program at the other end wants input. */
  readonly idled = new Signal();

  override addWaiter(waiter: Waiter): void {
    super.addWaiter(waiter);
    if (this.idle) this.idled.notify();
  }

  /** A reader waits, and there is nothing to read. */
  get idle(): boolean {
    return this.awaited && this.length === 0;
  }

  /** What is there now: at most a chunk, begun lines included; "" for Ctrl-D; undefined when nothing is. */
  tryRead(): string | undefined {
    if (this.#rest === "") return this.tryPop();
    const rest = this.#rest;
    this.#rest = "";
    return rest;
  }

  /**
   * The next line without its newline; undefined at end of file.
   * @param interrupt what ends the wait too, with undefined
   */
  *readLine(interrupt?: Waitable): Proc<string | undefined> {
    // A long line comes in many pieces: each is searched once.
    for (let searched = 0; ; ) {
      const end = this.#rest.indexOf("\n", searched);
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const chunk = this.tryPop();
      if (chunk === "" || (chunk === undefined && this.closed)) {
        const last = this.#rest;
        this.#rest = "";
        return last === "" ? undefined : last;
      }
      if (chunk !== undefined) {
        const from = this.#rest.length;
        this.#rest = grown(this.#rest, chunk);
        searched = chunk.includes("\n") ? from : this.#rest.length;
      } else if ((yield { on: interrupt === undefined ? [this] : [this, interrupt] }) === interrupt && interrupt)
        return undefined;
    }
  }

  /** The next piece, begun lines included; undefined at end of file. */
  *read(): Proc<string | undefined> {
    for (;;) {
      const text = this.tryRead();
      if (text !== undefined) return text === "" ? undefined : text;
      if (this.closed) return undefined;
      yield { on: [this] };
    }
  }

  /** Everything up to end of file. */
  *readAll(): Proc<string> {
    let text = this.#rest;
    this.#rest = "";
    for (;;) {
      const chunk = yield* this.pop();
      if (chunk === undefined || chunk === "") return text;
      text = grown(text, chunk);
    }
  }
}

/** Where output goes. */
export interface Output {
  /** Throws BrokenPipeError when nobody will ever read it. */
  write(text: string): void;
  /** A pipe whose reader is behind: whoever writes without end waits for `drained` first (write(2) blocks). */
  readonly full?: boolean;
  readonly drained?: Waitable;
}

/** A write to a pipe that has lost its readers; a program that doesn't catch it ends as SIGPIPE ends it (pipe(7)). */
export class BrokenPipeError extends Error {
  override name = "BrokenPipeError";
  constructor() {
    super("Broken pipe");
  }
}

/** What a program is started with; what isn't said is its parent's. */
export interface ChildIo {
  readonly stdin?: Pipe;
  readonly stdout?: Output;
  readonly stderr?: Output;
  readonly env?: Map<string, string>;
  readonly cwd?: string;
  /** The network namespace that it enters first (setns(2)). */
  readonly ns?: NetNs;
}

/** A process as another one sees it. */
export interface ProcessEntry {
  /** In the PID namespace of its container, or of the host. */
  readonly pid: number;
  /** 0 for one that came from outside. */
  readonly ppid: number;
  readonly argv: readonly string[];
  /** When it was started. */
  readonly started: Time;
  /** It runs on a terminal. */
  readonly tty: boolean;
  /** Exit status; undefined while it runs. 128 + n when a signal ended it. */
  readonly status: number | undefined;
  /** Notified when `status` is set. */
  readonly exited: Waitable;
  /** Sends a signal, by its full name. */
  signal(name: string): void;
}

/** Files by absolute path. Generated files (resolv.conf, hosts, hostname) are functions of the present state. */
export interface FileSystem {
  read(path: string): string | undefined;
  /** Throws KernelError ENOSPC when the disk is full. */
  write(path: string, text: string): void;
  remove(path: string): boolean;
  /** Names in a directory, sorted; undefined when there is none. */
  list(directory: string): string[] | undefined;
  /** Makes a directory in one that is there; false when that isn't, or the path is taken. */
  makeDirectory(path: string): boolean;
  /** Removes an empty directory; false when it isn't one. */
  removeDirectory(path: string): boolean;
}

/** What a program is run with. */
export interface ProgramContext {
  readonly argv: readonly string[];
  readonly env: Map<string, string>;
  readonly cwd: string;
  readonly stdin: Pipe;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Standard input and output are a terminal. */
  readonly tty: boolean;
  readonly os: HostOs;
  readonly ns: NetNs;
  readonly files: FileSystem;
  /** The UTS name. */
  readonly hostname: string;
  /** sethostname(2); absent where the process may not. */
  readonly setHostname?: ((name: string) => void) | undefined;
  /** Its number, in the PID namespace of its container or of the host. */
  readonly pid: number;
  /** Signals sent to the process: SIGINT, SIGTERM … A program that doesn't read them ignores all but SIGKILL if it is PID 1, else dies. */
  readonly signals: Channel<string>;
  /**
   * Runs another program of the same root file system: argv[0] is looked up in PATH. Status 127 if there is none.
   */
  exec(argv: readonly string[], io?: ChildIo): Proc<number>;
  /**
   * Starts a program without waiting for it; undefined if there is none.
   * @param body what it runs instead of the program that argv[0] names: a fork of the caller, or a background one,
   *   to which Ctrl-C is not sent and which outlives the caller
   */
  start(
    argv: readonly string[],
    io?: ChildIo,
    body?: { readonly program?: Program; readonly background?: boolean },
  ): ProcessEntry | undefined;
  /** The processes of its container or of the host, in order of their start. */
  processes(): readonly ProcessEntry[];
  /** Names of the programs that exec() finds. */
  readonly programs: readonly string[];
}

/** A program: runs to its exit status. */
export type Program = (context: ProgramContext) => Proc<number>;

/** What an image brings. */
export interface Image {
  /** `sha256:` + 64 hex digits. */
  readonly id: string;
  /** e.g. `alpine:latest`. */
  readonly tag: string;
  readonly cmd: readonly string[];
  readonly entrypoint: readonly string[];
  readonly env: readonly string[];
  readonly exposed: readonly string[];
  readonly workingDir: string;
  /** STOPSIGNAL, by its full name; SIGTERM when left out. */
  readonly stopSignal?: string;
  readonly sizeBytes: number;
  readonly programs: ReadonlyMap<string, Program>;
  /** Files of its root file system. */
  readonly files: ReadonlyMap<string, string>;
}

/** Images that a host can run; the engine asks by reference (`alpine`, `alpine:latest`). */
export interface ImageStore {
  find(reference: string): Image | undefined;
  /** An image that exists, but for another operating system. */
  isForeign?(reference: string): boolean;
  list(): readonly Image[];
}
