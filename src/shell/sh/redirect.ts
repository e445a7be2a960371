/** Redirections (POSIX.1-2017 Shell Command Language §2.7): files, here-documents, devices. */
import { KernelError } from "../../base/errors.ts";
import type { Output, Pipe } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { isEndless, openDevice } from "../lib/devices.ts";
import { muslError } from "../lib/program.ts";
import type { Expander } from "./expand.ts";
import type { Shell } from "./interpret.ts";
import { pipeOf, ShellPipe } from "./pipes.ts";
import type { Io } from "./state.ts";
import type { Redirection } from "./syntax.ts";

/** The streams of a command, and what closes those that were opened for it. */
export interface Streams {
  readonly io: Io;
  close(): void;
}

const DISCARD: Output = { write: () => {} };

/**
 * Opens what a command's streams are sent to; undefined when one can't be, which was said. Files are there, and cut, at
 * once; what is written is there at once too.
 */
export function* openStreams(
  shell: Shell,
  expander: Expander,
  redirections: readonly Redirection[],
  outer: Io,
): Proc<Streams | undefined> {
  const opening = new Opening(shell, outer);
  for (const redirection of redirections) {
    const target = yield* expander.text(redirection.target);
    const problem = opening.apply(redirection, target);
    if (problem === undefined) continue;
    shell.complain(problem, outer);
    opening.close();
    return undefined;
  }
  return opening;
}

class Opening implements Streams {
  readonly #shell: Shell;
  #stdin: Pipe;
  #stdout: Output;
  #stderr: Output;
  readonly #closers: (() => void)[] = [];

  constructor(shell: Shell, { stdin, stdout, stderr }: Io) {
    this.#shell = shell;
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  get io(): Io {
    return { stdin: this.#stdin, stdout: this.#stdout, stderr: this.#stderr };
  }

  close(): void {
    for (const close of this.#closers) close();
  }

  /** @returns why it can't be done */
  apply({ fd, op }: Redirection, target: string): string | undefined {
    if (op === "<<" || op === "<<<") {
      if (fd === 0) this.#stdin = pipeOf(op === "<<" ? target : `${target}\n`);
      return undefined;
    }
    if (fd > 2) return `${fd}: bad file descriptor`;
    if (op === ">&" || op === "<&") return this.#duplicate(fd, target);
    return op === "<" || op === "<>" ? this.#read(target) : this.#write(fd, op, target);
  }

  #set(fd: number, output: Output): void {
    if (fd === 2) this.#stderr = output;
    else if (fd === 1) this.#stdout = output;
  }

  #duplicate(fd: number, target: string): string | undefined {
    if (target === "-") {
      if (fd === 0) this.#stdin = pipeOf("");
      else this.#set(fd, DISCARD);
      return undefined;
    }
    if (fd === 0 && target === "0") return undefined;
    if (fd === 0 || (target !== "1" && target !== "2")) return `${target}: bad file descriptor`;
    this.#set(fd, target === "1" ? this.#stdout : this.#stderr);
    return undefined;
  }

  #read(name: string): string | undefined {
    const { context, state } = this.#shell;
    const path = state.path(name);
    if (path === "/dev/stdin" || path === "/dev/tty") return undefined;
    if (isEndless(path)) {
      this.#stdin = this.#deviceStream(path);
      return undefined;
    }
    const text = path === "/dev/null" ? "" : context.files.read(path);
    if (text === undefined) {
      if (context.files.list(path) === undefined) return `can't open ${name}: no such file`;
      this.#stdin = pipeOf("");
      return undefined;
    }
    this.#stdin = pipeOf(text);
    return undefined;
  }

  /** /dev/zero and its kin: a process fills a pipe as far as it is read. */
  #deviceStream(path: string): Pipe {
    const { context } = this.#shell;
    const pipe = new ShellPipe();
    const feeder = context.os.spawn(path, feed(openDevice(context, path), pipe));
    this.#closers.push(() => feeder.kill());
    return pipe;
  }

  #write(fd: number, op: Redirection["op"], name: string): string | undefined {
    const { context, state } = this.#shell;
    const { files } = context;
    const path = state.path(name);
    if (path === "/dev/stdout" || path === "/dev/stderr") {
      this.#set(fd, path === "/dev/stdout" ? this.#stdout : this.#stderr);
      return undefined;
    }
    if (path === "/dev/tty") {
      this.#set(fd, context.stdout);
      return undefined;
    }
    if (path === "/dev/null" || path === "/dev/zero") {
      this.#set(fd, DISCARD);
      return undefined;
    }
    if (files.list(path) !== undefined) return `can't create ${name}: Is a directory`;
    const parent = path.slice(0, path.lastIndexOf("/")) || "/";
    if (files.list(parent) === undefined) return `can't create ${name}: nonexistent directory`;
    const append = (text: string) => files.write(path, (files.read(path) ?? "") + text);
    try {
      if (op === ">>") append("");
      else files.write(path, "");
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return `can't create ${name}: ${muslError(error)}`;
    }
    this.#set(fd, { write: append });
    return undefined;
  }
}

function* feed(read: (size: number) => string, pipe: ShellPipe): Proc<void> {
  for (;;) {
    while (pipe.input.full === true) yield { on: [pipe.drained] };
    pipe.input.write(read(FEED));
  }
}

/** Bytes that are put into a pipe at once. */
const FEED = 4096;
