/** Runs parsed shell scripts: expansions, builtins, pipes between processes, redirections to files. */
import { UserError } from "../../base/errors.ts";
import { US } from "../../base/time.ts";
import { type FileSystem, type Output, Pipe, type ProgramContext } from "../../engine/program.ts";
import { join, type Proc, type Process, sleep } from "../../scheduler/process.ts";
import {
  type Command,
  type CompoundCommand,
  IncompleteError,
  type List,
  type Pipeline,
  parse,
  type Redirection,
  type SimpleCommand,
  type Word,
} from "./parse.ts";

interface Io {
  readonly stdin: Pipe;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** State of one shell. */
export class Shell {
  readonly #context: ProgramContext;
  readonly variables: Map<string, string>;
  readonly #exportedNames: Set<string>;
  /** Working directory. */
  #cwd: string;
  /** `break` or `continue` is under way. */
  #leaving: "break" | "continue" | undefined;
  /** `$?` */
  status = 0;
  /** Set by `exit`; the shell ends after the present command. */
  exited = false;

  constructor(context: ProgramContext) {
    this.#context = context;
    this.variables = new Map(context.env);
    this.#exportedNames = new Set(context.env.keys());
    this.#cwd = context.cwd;
  }

  /** Runs a script; a syntax error is printed and gives status 2. */
  *run(script: string, io: Io = this.#context): Proc<number> {
    let list: List;
    try {
      list = parse(script);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      io.stderr.write(`sh: ${error.message}\n`);
      this.status = 2;
      return 2;
    }
    yield* this.#list(list, io);
    return this.status;
  }

  *#list(list: List, io: Io): Proc<void> {
    for (const { op, pipeline, background } of list) {
      if (this.exited || this.#leaving !== undefined) return;
      if ((op === "&&" && this.status !== 0) || (op === "||" && this.status === 0)) continue;
      if (background) {
        this.#context.os.spawn("sh &", this.#pipeline(pipeline, { ...io, stdin: closedPipe() }));
        this.status = 0;
        continue;
      }
      const status = yield* this.#pipeline(pipeline, io);
      this.status = pipeline.negated ? Number(status === 0) : status;
    }
  }

  *#pipeline(pipeline: Pipeline, io: Io): Proc<number> {
    if (pipeline.commands.length === 1) return yield* this.#anyCommand(pipeline.commands[0] as Command, io, true);
    const processes: Process<number>[] = [];
    try {
      let stdin = io.stdin;
      for (const [index, command] of pipeline.commands.entries()) {
        const last = index === pipeline.commands.length - 1;
        const pipe = last ? undefined : new Pipe();
        const stdout = pipe === undefined ? io.stdout : { write: (text: string) => pipe.push(text) };
        processes.push(
          this.#context.os.spawn("sh |", this.#stage(command, { stdin, stdout, stderr: io.stderr }, pipe)),
        );
        stdin = pipe ?? stdin;
      }
      for (const process of processes) yield* join(process);
      return processes.at(-1)?.result ?? 1;
    } finally {
      for (const process of processes) process.kill();
    }
  }

  *#stage(command: Command, io: Io, pipe: Pipe | undefined): Proc<number> {
    try {
      // Each stage is a subshell: what it sets and leaves is its own.
      return yield* this.#subshell().#anyCommand(command, io, false);
    } finally {
      pipe?.close();
    }
  }

  #subshell(): Shell {
    const inner = new Shell(this.#context);
    inner.variables.clear();
    for (const [name, value] of this.variables) inner.variables.set(name, value);
    for (const name of this.#exportedNames) inner.#exportedNames.add(name);
    inner.#cwd = this.#cwd;
    inner.status = this.status;
    return inner;
  }

  *#anyCommand(command: Command, io: Io, own: boolean): Proc<number> {
    if (command.kind === "simple") return yield* this.#command(command, io, own);
    const redirected = yield* this.#redirect(command.redirections, io);
    return redirected === undefined ? 1 : yield* this.#compound(command, redirected);
  }

  *#compound(command: CompoundCommand, io: Io): Proc<number> {
    switch (command.kind) {
      case "group": {
        const shell = command.subshell ? this.#subshell() : this;
        yield* shell.#list(command.body, io);
        return shell.status;
      }
      case "if":
        for (const { condition, body } of command.branches) {
          yield* this.#list(condition, io);
          if (this.exited || this.#leaving !== undefined) return this.status;
          if (this.status !== 0) continue;
          this.status = 0;
          yield* this.#list(body, io);
          return this.status;
        }
        this.status = 0;
        yield* this.#list(command.otherwise, io);
        return this.status;
      case "for":
        return yield* this.#for(command, io);
      case "loop":
        return yield* this.#loop(command, io);
    }
  }

  *#for(command: CompoundCommand & { kind: "for" }, io: Io): Proc<number> {
    const items: string[] = [];
    for (const word of command.items) items.push(...(yield* this.#expand(word, true)));
    this.status = 0;
    for (const item of items) {
      this.variables.set(command.name, item);
      yield* this.#list(command.body, io);
      if (this.#left() || this.exited) break;
    }
    return this.status;
  }

  *#loop(command: CompoundCommand & { kind: "loop" }, io: Io): Proc<number> {
    let status = 0;
    for (;;) {
      yield* this.#list(command.condition, io);
      if (this.#left() || this.exited) return this.status;
      if ((this.status === 0) === command.until) return status;
      yield* this.#list(command.body, io);
      status = this.status;
      if (this.#left() || this.exited) return status;
      // Even a loop of builtins takes time; without it virtual time would stand still for ever.
      yield* sleep(this.#context.os, LOOP_COST);
    }
  }

  /** Ends the present turn of a loop; true when the loop itself is over. */
  #left(): boolean {
    const leaving = this.#leaving;
    this.#leaving = undefined;
    return leaving === "break";
  }

  *#command(command: SimpleCommand, outer: Io, own: boolean): Proc<number> {
    const assigned = new Map<string, string>();
    for (const { name, value } of command.assignments)
      assigned.set(name, (yield* this.#expand(value, false)).join(" "));
    const argv: string[] = [];
    for (const word of command.words) argv.push(...(yield* this.#expand(word, true)));
    const io = yield* this.#redirect(command.redirections, outer);
    if (io === undefined) return 1;
    if (argv.length === 0) {
      for (const [name, value] of assigned) this.variables.set(name, value);
      return command.words.length === 0 && assigned.size > 0 ? 0 : this.status;
    }
    const builtin = argv[0] === "read" ? yield* this.#read(argv, io) : this.#builtin(argv, io, own);
    if (builtin !== undefined) return builtin;
    const env = new Map([...this.#exported(), ...assigned]);
    const status = yield* this.#context.exec(argv, { ...io, env, cwd: this.#cwd });
    if (status === 127 && !this.#context.programs.includes(argv[0] as string))
      io.stderr.write(`sh: ${argv[0]}: not found\n`);
    return status;
  }

  #exported(): Map<string, string> {
    return new Map([...this.variables].filter(([name]) => this.#exportedNames.has(name)));
  }

  /** Opens what a command's streams are sent to. Files are there, and cut, at once; what is written is there at once too. */
  *#redirect(redirections: readonly Redirection[], outer: Io): Proc<Io | undefined> {
    let { stdin, stdout, stderr } = outer;
    const fs: FileSystem = this.#context.files;
    for (const { fd, op, target } of redirections) {
      const name = (yield* this.#expand(target, false)).join(" ");
      if (op === ">&") {
        if (fd === 2 && name === "1") stderr = stdout;
        else if (fd === 1 && name === "2") stdout = stderr;
        else {
          outer.stderr.write(`sh: ${name}: bad file descriptor\n`);
          return undefined;
        }
        continue;
      }
      const path = this.#path(name);
      if (op === "<") {
        const text = path === "/dev/null" ? "" : fs.read(path);
        if (text === undefined) {
          outer.stderr.write(`sh: can't open ${name}: no such file\n`);
          return undefined;
        }
        stdin = new Pipe();
        if (text !== "") stdin.push(text);
        stdin.close();
        continue;
      }
      if (path === "/dev/stdout" || path === "/dev/stderr") {
        const output = path === "/dev/stdout" ? stdout : stderr;
        if (fd === 2) stderr = output;
        else stdout = output;
        continue;
      }
      const append = (text: string) => fs.write(path, (fs.read(path) ?? "") + text);
      if (path !== "/dev/null" && op === ">>") append("");
      else if (path !== "/dev/null") fs.write(path, "");
      const output: Output = { write: path === "/dev/null" ? () => {} : append };
      if (fd === 2) stderr = output;
      else stdout = output;
    }
    return { stdin, stdout, stderr };
  }

  #path(name: string): string {
    const parts: string[] = [];
    for (const part of (name.startsWith("/") ? name : `${this.#cwd}/${name}`).split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return `/${parts.join("/")}`;
  }

  /** Words of a word: field splitting applies to unquoted expansions only. */
  *#expand(word: Word, split: boolean): Proc<string[]> {
    const fields: string[] = [];
    let current: string | undefined;
    for (const part of word) {
      if (part.kind === "text") {
        current = (current ?? "") + part.text;
        continue;
      }
      const value = part.kind === "variable" ? yield* this.#value(part) : yield* this.#substitute(part.list);
      if (part.quoted || !split) {
        current = (current ?? "") + value;
        continue;
      }
      const pieces = value.split(/[ \t\n]+/);
      for (const [index, piece] of pieces.entries()) {
        if (index > 0 && current !== undefined) {
          fields.push(current);
          current = undefined;
        }
        if (piece !== "") current = (current ?? "") + piece;
      }
    }
    if (current !== undefined) fields.push(current);
    return fields;
  }

  *#value(part: { readonly name: string; readonly otherwise?: Word }): Proc<string> {
    const value = this.#variable(part.name);
    return value === "" && part.otherwise !== undefined
      ? (yield* this.#expand(part.otherwise, false)).join(" ")
      : value;
  }

  #variable(name: string): string {
    if (name === "?") return String(this.status);
    if (name === "$") return "1";
    if (name === "#") return "0";
    if (name === "0") return "sh";
    return this.variables.get(name) ?? "";
  }

  *#substitute(list: List): Proc<string> {
    let text = "";
    const stdout: Output = {
      write: (chunk) => {
        text += chunk;
      },
    };
    const inner = this.#subshell();
    yield* inner.#list(list, { stdin: closedPipe(), stdout, stderr: this.#context.stderr });
    return text.replace(/\n+$/, "");
  }

  /** `read [-r] [NAME...]`: a line of standard input, its words to the names, what is left to the last. */
  *#read(argv: readonly string[], io: Io): Proc<number> {
    const names = argv.slice(1).filter((word) => !word.startsWith("-"));
    const line = yield* io.stdin.readLine();
    let rest = (line ?? "").trim();
    for (const [index, name] of (names.length === 0 ? ["REPLY"] : names).entries()) {
      const cut = index === names.length - 1 || names.length === 0 ? rest.length : rest.search(/[ \t]|$/);
      this.variables.set(name, rest.slice(0, cut));
      rest = rest.slice(cut).trimStart();
    }
    return line === undefined ? 1 : 0;
  }

  /** Builtins that change the shell itself; undefined when argv names none. */
  #builtin(argv: readonly string[], io: Io, own: boolean): number | undefined {
    switch (argv[0]) {
      case ":":
      case "true":
        return 0;
      case "false":
        return 1;
      case "exit": {
        const status = argv[1] === undefined ? this.status : Number(argv[1]);
        if (Number.isNaN(status)) {
          io.stderr.write(`sh: exit: Illegal number: ${argv[1]}\n`);
          return 2;
        }
        if (own) this.exited = true;
        return status & 255;
      }
      case "export":
        for (const item of argv.slice(1)) {
          const at = item.indexOf("=");
          if (at > 0) this.variables.set(item.slice(0, at), item.slice(at + 1));
          this.#exportedNames.add(at > 0 ? item.slice(0, at) : item);
        }
        return 0;
      case "unset":
        for (const name of argv.slice(1)) this.variables.delete(name);
        return 0;
      case "break":
      case "continue":
        this.#leaving = argv[0];
        return 0;
      case "pwd":
        io.stdout.write(`${this.#cwd}\n`);
        return 0;
      case "cd": {
        const name = argv[1] ?? (this.variables.get("HOME") || "/");
        const path = this.#path(name);
        if (path !== "/" && this.#context.files.list(path) === undefined) {
          io.stderr.write(`sh: cd: can't cd to ${name}: No such file or directory\n`);
          return 2;
        }
        this.#cwd = path;
        return 0;
      }
      case "echo": {
        const newline = argv[1] !== "-n";
        io.stdout.write(argv.slice(newline ? 1 : 2).join(" ") + (newline ? "\n" : ""));
        return 0;
      }
      default:
        return undefined;
    }
  }
}

/** Virtual time that a turn of a loop takes beside its commands. */
const LOOP_COST = 10 * US;

function closedPipe(): Pipe {
  const pipe = new Pipe();
  pipe.close();
  return pipe;
}

/**
 * The program `sh`: `-c SCRIPT`, or interactive/piped standard input. On a terminal it prompts and echoes
 * nothing (the terminal does that).
 * @param prompt what it prompts with on a terminal, e.g. `/ # `
 */
export function* sh(context: ProgramContext, prompt: string): Proc<number> {
  const shell = new Shell(context);
  const script = context.argv.indexOf("-c");
  if (script > 0) return yield* shell.run(context.argv[script + 1] ?? "");
  for (;;) {
    if (context.tty) context.stdout.write(prompt);
    const line = yield* readCommand(context);
    if (line === undefined) return shell.status;
    if (line.trim() !== "") yield* shell.run(line);
    if (shell.exited) return shell.status;
  }
}

/** One command: lines are taken until it is whole (an open quote, a loop without its end, a backslash). */
function* readCommand(context: ProgramContext): Proc<string | undefined> {
  let text = "";
  for (;;) {
    const line = yield* context.stdin.readLine();
    if (line === undefined) return text === "" ? undefined : text;
    text += line;
    if (!incomplete(text)) return text;
    text += "\n";
    if (context.tty) context.stdout.write("> ");
  }
}

function incomplete(text: string): boolean {
  if (text.endsWith("\\")) return true;
  try {
    parse(text);
    return false;
  } catch (error) {
    if (error instanceof IncompleteError) return true;
    // Run() reports what is wrong with it.
    if (error instanceof UserError) return false;
    throw error;
  }
}
