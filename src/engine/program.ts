/**
 * What a process of a host or a container is given: arguments, a terminal or pipes, files, its network
 * namespace. Programs (ping, sh, httpd …) are functions of this context; images say which exist where.
 */
import type { NetNs } from "../kernel/types.ts";
import type { HostOs } from "../scheduler/os.ts";
import { Channel, type Proc, Signal, type Waiter } from "../scheduler/process.ts";

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

  /** The next line without its newline; undefined at end of file. */
  *readLine(): Proc<string | undefined> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const chunk = yield* this.pop();
      if (chunk === undefined || chunk === "") {
        const last = this.#rest;
        this.#rest = "";
        return last === "" ? undefined : last;
      }
      this.#rest += chunk;
    }
  }

  /** Everything up to end of file. */
  *readAll(): Proc<string> {
    let text = this.#rest;
    this.#rest = "";
    for (;;) {
      const chunk = yield* this.pop();
      if (chunk === undefined || chunk === "") return text;
      text += chunk;
    }
  }
}

/** Where output goes. */
export interface Output {
  write(text: string): void;
}

/** Files by absolute path. Generated files (resolv.conf, hosts, hostname) are functions of the present state. */
export interface FileSystem {
  read(path: string): string | undefined;
  write(path: string, text: string): void;
  remove(path: string): boolean;
  list(directory: string): string[] | undefined;
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
  /** Signals sent to the process: SIGINT, SIGTERM … A program that doesn't read them ignores all but SIGKILL if it is PID 1, else dies. */
  readonly signals: Channel<string>;
  /**
   * Runs another program of the same root file system: argv[0] is looked up in PATH. Status 127 if there is none.
   * `ns` is the network namespace that it enters first (setns(2)).
   */
  exec(
    argv: readonly string[],
    io?: { stdin?: Pipe; stdout?: Output; stderr?: Output; env?: Map<string, string>; cwd?: string; ns?: NetNs },
  ): Proc<number>;
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
  readonly sizeBytes: number;
  readonly programs: ReadonlyMap<string, Program>;
  /** Files of its root file system. */
  readonly files: ReadonlyMap<string, string>;
}

/** Images that a host can run; the engine asks by reference (`alpine`, `alpine:latest`). */
export interface ImageStore {
  find(reference: string): Image | undefined;
  list(): readonly Image[];
}
