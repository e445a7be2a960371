/** Runs parsed shell scripts: expansions, builtins, pipes between processes, redirections to files. */
import { UserError } from "../../base/errors.ts";
import { type FileSystem, type Output, Pipe, type ProgramContext } from "../../engine/program.ts";
import { join, type Proc, type Process } from "../../scheduler/process.ts";
import { type List, type Pipeline, parse, type SimpleCommand, type Word } from "./parse.ts";

interface Io {
  readonly stdin: Pipe;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** State of one shell. */
export class Shell {
  readonly #context: ProgramContext;
  readonly variables: Map<string, string>;
  /** `$?` */
  status = 0;
  /** Set by `exit`; the shell ends after the present command. */
  exited = false;

  constructor(context: ProgramContext) {
    this.#context = context;
    this.variables = new Map(context.env);
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
      if (this.exited) return;
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
    if (pipeline.commands.length === 1) return yield* this.#command(pipeline.commands[0] as SimpleCommand, io, true);
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

  *#stage(command: SimpleCommand, io: Io, pipe: Pipe | undefined): Proc<number> {
    try {
      return yield* this.#command(command, io, false);
    } finally {
      pipe?.close();
    }
  }

  *#command(command: SimpleCommand, outer: Io, own: boolean): Proc<number> {
    const assigned = new Map<string, string>();
    for (const { name, value } of command.assignments)
      assigned.set(name, (yield* this.#expand(value, false)).join(" "));
    const argv: string[] = [];
    for (const word of command.words) argv.push(...(yield* this.#expand(word, true)));
    const redirected = yield* this.#redirect(command, outer);
    if (redirected === undefined) return 1;
    const { io, finish } = redirected;
    try {
      if (argv.length === 0) {
        for (const [name, value] of assigned) this.variables.set(name, value);
        return command.words.length === 0 && assigned.size > 0 ? 0 : this.status;
      }
      const builtin = yield* this.#builtin(argv, io, own);
      if (builtin !== undefined) return builtin;
      const env = new Map([...this.#exported(), ...assigned]);
      const status = yield* this.#context.exec(argv, { ...io, env });
      if (status === 127 && !this.#context.programs.includes(argv[0] as string))
        io.stderr.write(`sh: ${argv[0]}: not found\n`);
      return status;
    } finally {
      finish();
    }
  }

  #exported(): Map<string, string> {
    return this.variables;
  }

  *#redirect(command: SimpleCommand, outer: Io): Proc<{ io: Io; finish: () => void } | undefined> {
    let { stdin, stdout, stderr } = outer;
    const files = new Map<string, string>();
    const fs: FileSystem = this.#context.files;
    for (const { fd, op, target } of command.redirections) {
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
      if (path !== "/dev/null") files.set(path, op === ">>" ? (fs.read(path) ?? "") : "");
      const output: Output = {
        write: (text) => (path === "/dev/null" ? undefined : files.set(path, (files.get(path) ?? "") + text)),
      };
      if (fd === 2) stderr = output;
      else stdout = output;
    }
    return {
      io: { stdin, stdout, stderr },
      finish: () => {
        for (const [path, text] of files) fs.write(path, text);
      },
    };
  }

  #path(name: string): string {
    return name.startsWith("/") ? name : `${this.#context.cwd.replace(/\/$/, "")}/${name}`;
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
      const value = part.kind === "variable" ? this.#variable(part.name) : yield* this.#substitute(part.list);
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

  #variable(name: string): string {
    if (name === "?") return String(this.status);
    if (name === "$") return "1";
    if (name === "#") return "0";
    if (name === "0") return "sh";
    return this.variables.get(name) ?? "";
  }

  *#substitute(list: List): Proc<string> {
    let text = "";
    const inner = new Shell(this.#context);
    for (const [name, value] of this.variables) inner.variables.set(name, value);
    yield* inner.#list(list, {
      stdin: closedPipe(),
      stdout: { write: (chunk) => void (text += chunk) },
      stderr: this.#context.stderr,
    });
    return text.replace(/\n+$/, "");
  }

  /** Builtins that change the shell itself; undefined when argv names none. */
  *#builtin(argv: readonly string[], io: Io, own: boolean): Proc<number | undefined> {
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
        }
        return 0;
      case "unset":
        for (const name of argv.slice(1)) this.variables.delete(name);
        return 0;
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

/** One command: lines that end in a backslash continue on the next. */
function* readCommand(context: ProgramContext): Proc<string | undefined> {
  let text = "";
  for (;;) {
    const line = yield* context.stdin.readLine();
    if (line === undefined) return text === "" ? undefined : text;
    if (!line.endsWith("\\")) return text + line;
    text += `${line}\n`;
    if (context.tty) context.stdout.write("> ");
  }
}
