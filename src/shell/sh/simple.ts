/** Simple commands: assignments, functions, builtins and programs (POSIX.1-2017 Shell Command Language §2.9.1). */
import { KernelError, OutOfMemory, UserError } from "../../base/errors.ts";
import { BrokenPipeError, MOST_TEXT } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { UsageError } from "../lib/options.ts";
import { Failure } from "../lib/program.ts";
import { BUILTINS } from "./builtins.ts";
import { ReturnFrom } from "./flow.ts";
import type { Shell } from "./interpret.ts";
import { IncompleteError } from "./parse.ts";
import { pipeOf } from "./pipes.ts";
import { openStreams } from "./redirect.ts";
import type { Io } from "./state.ts";
import type { Command, List, SimpleCommand } from "./syntax.ts";

/** What an argument takes beside its text. */
const POINTER = 32;
/** Characters of arguments and environment that a program can be given (ARG_MAX). */
const MOST_ARGUMENTS = 2 << 20;
/** Functions that may call each other, one in the other. */
const MOST_CALLS = 500;
/** Builtins that busybox has as programs too: their messages don't say more. */
const APPLETS = new Set(["test", "[", "[[", "printf"]);
/** Builtins whose errors are those of the commands that they run. */
const RUNS_SCRIPTS = new Set(["eval", ".", "source", "command", "exec"]);

/** Runs the simple commands of one shell. */
export class SimpleRunner {
  readonly #shell: Shell;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  *run(command: SimpleCommand, outer: Io): Proc<number> {
    const argv = yield* this.#argv(command);
    const assigned = new Map<string, string>();
    let substituted = false;
    for (const { name, value } of command.assignments) {
      substituted ||= value.some((part) => part.kind === "command");
      assigned.set(name, yield* this.#shell.expander.text(value));
      if (argv.length === 0) this.#shell.assign(name, assigned.get(name) as string);
    }
    if (this.#shell.state.options.has("x")) this.#trace(argv, assigned);
    const streams = yield* openStreams(this.#shell, this.#shell.expander, command.redirections, outer);
    if (streams === undefined) return 1;
    try {
      // Only what a command substitution gave is left of a line of assignments.
      if (argv.length === 0) return substituted || command.words.length > 0 ? this.#shell.status : 0;
      return yield* this.#execute(argv, streams.io, assigned, command.line);
    } finally {
      streams.close();
    }
  }

  *#argv({ words }: SimpleCommand): Proc<string[]> {
    const argv: string[] = [];
    let size = 0;
    for (const word of words) {
      for (const field of yield* this.#shell.expander.fields(word)) {
        size += field.length + POINTER;
        if (size > MOST_TEXT) throw new OutOfMemory();
        argv.push(field);
      }
    }
    return argv;
  }

  #trace(argv: readonly string[], assigned: ReadonlyMap<string, string>): void {
    const quoted = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
    const words = [...[...assigned].map(([name, value]) => `${name}=${quoted(value)}`), ...argv.map(quoted)];
    this.#shell.io.stderr.write(`+ ${words.join(" ")}\n`);
  }

  /** Runs a function, a builtin or a program. */
  *#execute(argv: readonly string[], io: Io, assigned: ReadonlyMap<string, string>, line: number): Proc<number> {
    const name = argv[0] as string;
    const body = this.#shell.state.functions.get(name);
    const builtin = BUILTINS.get(name);
    if (body === undefined && builtin === undefined) return yield* this.program(argv, io, assigned);
    const hidden = new Map([...assigned.keys()].map((key) => [key, this.#shell.variables.get(key)]));
    for (const [key, value] of assigned) this.#shell.assign(key, value);
    try {
      if (body !== undefined) return yield* this.#call(body, argv, io);
      return yield* (builtin as NonNullable<typeof builtin>)(this.#shell, argv, io);
    } catch (error) {
      if (body !== undefined || error instanceof IncompleteError) throw error;
      if (error instanceof KernelError) {
        this.#shell.complain(error.message, io);
        return 1;
      }
      // A script's messages say where.
      const where = this.#shell.interactive ? `${name}: ` : `${name}: line ${this.#shell.firstLine + line - 1}: `;
      if (error instanceof UserError && !RUNS_SCRIPTS.has(name)) throw new UserError(where + error.message);
      if (!(error instanceof Failure || error instanceof UsageError)) throw error;
      if (error.message !== "") this.#shell.complain(`${APPLETS.has(name) ? "" : where}${error.message}`, io);
      return error instanceof Failure ? error.status : 2;
    } finally {
      this.#restore(hidden);
    }
  }

  #restore(hidden: ReadonlyMap<string, string | undefined>): void {
    for (const [name, value] of hidden) {
      if (value === undefined) this.#shell.variables.delete(name);
      else this.#shell.variables.set(name, value);
    }
  }

  *#call(body: Command, argv: readonly string[], io: Io): Proc<number> {
    if (this.#shell.scopes.length >= MOST_CALLS) throw new UserError(`${argv[0]}: too many nested function calls`);
    const { positional } = this.#shell.state;
    const loops = this.#shell.compounds.loops;
    const scope = new Map<string, string | undefined>();
    this.#shell.state.positional = argv.slice(1);
    this.#shell.scopes.push(scope);
    this.#shell.compounds.loops = 0;
    try {
      return yield* this.#shell.command(body, io);
    } catch (error) {
      if (!(error instanceof ReturnFrom)) throw error;
      return error.status;
    } finally {
      this.#shell.compounds.loops = loops;
      this.#shell.scopes.pop();
      this.#restore(scope);
      this.#shell.state.positional = positional;
    }
  }

  /** Runs a program, or a file that is a script. */
  *program(argv: readonly string[], io: Io, assigned: ReadonlyMap<string, string> = new Map()): Proc<number> {
    const name = argv[0] as string;
    const env = new Map([...this.#shell.state.environment(), ...assigned]);
    const { stdin, stdout, stderr } = io;
    if (argv.reduce((sum, word) => sum + word.length + 1, 0) > MOST_ARGUMENTS) {
      this.#shell.complain(`${name}: Argument list too long`, io);
      return 126;
    }
    const child = this.#shell.context.start(argv, { stdin, stdout, stderr, env, cwd: this.#shell.state.cwd });
    if (child !== undefined) {
      try {
        return yield* this.#shell.becomes ? this.#shell.become(child) : this.#shell.await(child);
      } finally {
        child.signal("SIGKILL");
      }
    }
    const path = this.#shell.state.path(name);
    if (name.includes("/") && this.#shell.context.files.list(path) !== undefined) {
      this.#shell.complain(`${name}: Permission denied`, io);
      return 126;
    }
    const script = name.includes("/") ? this.#shell.context.files.read(path) : undefined;
    if (script === undefined) {
      this.#shell.complain(`${name}: not found`, io);
      return 127;
    }
    const file = this.#shell.fork(name, io, false, function* (shell) {
      shell.state.positional = argv.slice(1);
      yield* shell.source(script);
    });
    return yield* this.#shell.await(file);
  }

  *substitute(list: List): Proc<string> {
    let text = "";
    const full = (): boolean => text.length > MOST_TEXT;
    const stdout = {
      write: (chunk: string) => {
        if (full()) throw new BrokenPipeError();
        text += chunk;
      },
    };
    const child = this.#shell.fork("", { stdin: pipeOf(""), stdout, stderr: this.#shell.io.stderr }, false, (shell) =>
      shell.list(list, shell.io),
    );
    try {
      this.#shell.status = yield* this.#shell.await(child);
    } finally {
      child.signal("SIGKILL");
    }
    if (full()) throw new OutOfMemory();
    return text.replace(/\n+$/, "");
  }
}
