/** Builtins of the shell: those that change it, and those that every shell has to spare a process (busybox shell/ash.c). */
import { UserError } from "../../base/errors.ts";
import { parseSignal, SIGNALS } from "../../engine/process-runner.ts";
import type { Proc } from "../../scheduler/process.ts";
import { evaluateCondition } from "../lib/condition.ts";
import { die } from "../lib/program.ts";
import { echoText, printfText } from "../lib/text-format.ts";
import { evaluate } from "./arithmetic.ts";
import { ExitShell, Interrupted, LeaveLoop, ReturnFrom } from "./flow.ts";
import type { Shell } from "./interpret.ts";
import { jobLine } from "./jobs.ts";
import type { Io, Job, ShellOption } from "./state.ts";
import { NAME } from "./syntax.ts";

/** A builtin: gives its status. Failures are told under its name. */
export type Builtin = (shell: Shell, argv: readonly string[], io: Io) => Proc<number>;

type Quick = (shell: Shell, argv: readonly string[], io: Io) => number;

/** A builtin that never waits. */
function quick(body: Quick): Builtin {
  // biome-ignore lint/correctness/useYield: it never waits
  return function* (shell, argv, io) {
    return body(shell, argv, io);
  };
}

function numberArgument(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d+$/.test(text)) throw new UserError(`Illegal number: ${text}`);
  return Number(text);
}

/** Names and values: `export A=1 B`, `readonly`, `local`. */
function declare(argv: readonly string[], each: (name: string, value: string | undefined) => void): number {
  for (const item of argv.slice(1)) {
    if (item.startsWith("-")) continue;
    const at = item.indexOf("=");
    const name = at < 0 ? item : item.slice(0, at);
    if (NAME.exec(name)?.[0] !== name) throw new UserError(`${name}: bad variable name`);
    each(name, at < 0 ? undefined : item.slice(at + 1));
  }
  return 0;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}

const exit = quick((shell, argv) => {
  const text = argv[1];
  if (text !== undefined && !/^\d+$/.test(text)) throw new UserError(`Illegal number: ${text}`);
  throw new ExitShell((text === undefined ? shell.status : Number(text)) & 255);
});

const leave = (again: boolean): Builtin =>
  quick((shell, argv) => {
    const depth = numberArgument(argv[1], 1);
    if (!shell.inLoop) return 0;
    throw new LeaveLoop(again, Math.max(1, depth));
  });

const exportNames = quick((shell, argv, io) => {
  const { state } = shell;
  if (argv.length === 1 || argv[1] === "-p") {
    for (const name of [...state.exported].sort()) {
      const value = state.variables.get(name);
      io.stdout.write(`export ${name}${value === undefined ? "" : `=${quoted(value)}`}\n`);
    }
    return 0;
  }
  return declare(argv, (name, value) => {
    if (value !== undefined) shell.assign(name, value);
    if (argv.includes("-n")) state.exported.delete(name);
    else state.exported.add(name);
  });
});

const unset = quick((shell, argv) => {
  for (const name of argv.slice(1)) {
    if (name === "-v" || name === "-f") continue;
    if (shell.state.readOnly.has(name)) throw new UserError(`${name}: is read only`);
    if (argv[1] === "-f" || !shell.variables.has(name)) shell.state.functions.delete(name);
    if (argv[1] !== "-f") shell.variables.delete(name);
  }
  return 0;
});

const local = quick((shell, argv) => {
  const scope = shell.scopes.at(-1);
  if (scope === undefined) throw new UserError("not in a function");
  return declare(argv, (name, value) => {
    if (!scope.has(name)) scope.set(name, shell.variables.get(name));
    if (value !== undefined) shell.assign(name, value);
  });
});

const cd = quick((shell, argv, io) => {
  const { state, context } = shell;
  const words = argv.slice(1).filter((word) => word !== "-P" && word !== "-L");
  const back = words[0] === "-";
  const name = back ? (state.variables.get("OLDPWD") ?? "") : (words[0] ?? state.variables.get("HOME") ?? "");
  const path = state.path(name === "" ? "." : name);
  if (context.files.list(path) === undefined) {
    const why = context.files.read(path) === undefined ? "No such file or directory" : "Not a directory";
    die(`can't cd to ${name}: ${why}`, 2);
  }
  state.variables.set("OLDPWD", state.cwd);
  state.cwd = path;
  state.variables.set("PWD", path);
  if (back) io.stdout.write(`${path}\n`);
  return 0;
});

const SET_NAMES: Readonly<Record<string, ShellOption>> = {
  errexit: "e",
  nounset: "u",
  xtrace: "x",
  noglob: "f",
  pipefail: "pipefail",
};

const set = quick((shell, argv, io) => {
  const { state } = shell;
  if (argv.length === 1) {
    for (const name of [...state.variables.keys()].sort())
      io.stdout.write(`${name}=${quoted(state.variables.get(name) ?? "")}\n`);
    return 0;
  }
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === "--" || !/^[-+]./.test(word)) {
      state.positional = argv.slice(word === "--" ? at + 1 : at);
      return 0;
    }
    for (const letter of word.slice(1)) {
      const option = letter === "o" ? SET_NAMES[argv[++at] ?? ""] : "eux f".includes(letter) ? letter : undefined;
      if (letter === "o" && option === undefined) die(`illegal option ${word[0]}o ${argv[at] ?? ""}`, 2);
      if (option === undefined) {
        // What concerns input and jobs has no effect here.
        if (!"abmnvChI".includes(letter)) die(`illegal option ${word[0]}${letter}`, 2);
      } else if (word.startsWith("-")) state.options.add(option as ShellOption);
      else state.options.delete(option as ShellOption);
    }
  }
  return 0;
});

const shift = quick((shell, argv) => {
  const count = numberArgument(argv[1], 1);
  if (count > shell.state.positional.length) return 1;
  shell.state.positional = shell.state.positional.slice(count);
  return 0;
});

/** `read [-r] [-p PROMPT] [NAME…]`: a line's words to the names, what is left to the last. */
const read: Builtin = function* (shell, argv, io) {
  let raw = false;
  let at = 1;
  for (; argv[at]?.startsWith("-") === true; at++) {
    const option = argv[at] as string;
    if (option === "-r") raw = true;
    else if (option === "-p" || option === "-rp") {
      raw ||= option === "-rp";
      io.stderr.write(argv[++at] ?? "");
    } else die(`illegal option ${option}`, 2);
  }
  let text = "";
  let ended = false;
  for (;;) {
    const line = yield* io.stdin.readLine(shell.context.signals);
    if (line === undefined && shell.context.signals.length > 0) {
      if (shell.context.signals.tryPop() === "SIGINT" && shell.interactive) throw new Interrupted();
      continue;
    }
    ended = line === undefined;
    text += line ?? "";
    if (raw || ended || !/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) break;
    text = text.slice(0, -1);
  }
  assignWords(shell, argv.slice(at), raw ? text : text.replace(/\\(.)/g, "$1"));
  return ended ? 1 : 0;
};

function assignWords(shell: Shell, names: readonly string[], line: string): void {
  const ifs = shell.variables.get("IFS") ?? " \t\n";
  const isBlank = (char: string | undefined) => char !== undefined && ifs.includes(char) && " \t\n".includes(char);
  const trim = (text: string) => {
    let [from, to] = [0, text.length];
    while (from < to && isBlank(text[from])) from++;
    while (to > from && isBlank(text[to - 1])) to--;
    return text.slice(from, to);
  };
  if (names.length === 0) {
    shell.assign("REPLY", line);
    return;
  }
  let rest = trim(line);
  for (const [index, name] of names.entries()) {
    let end = 0;
    while (end < rest.length && !ifs.includes(rest[end] as string)) end++;
    if (index === names.length - 1) end = rest.length;
    shell.assign(name, rest.slice(0, end));
    rest = rest.slice(end);
    const next = trim(rest);
    rest =
      rest !== "" && next[0] !== undefined && ifs.includes(next[0]) && !isBlank(next[0]) ? trim(next.slice(1)) : next;
  }
}

function condition(shell: Shell, words: readonly string[], io: Io): number {
  const { context, state } = shell;
  const streams = [context.stdin, context.stdout, context.stderr];
  const own = [io.stdin, io.stdout, io.stderr];
  const holds = evaluateCondition(
    {
      files: context.files,
      path: (name) => state.path(name),
      isTerminal: (fd) => context.tty && own[fd] !== undefined && own[fd] === streams[fd],
      programs: context.programs,
    },
    words,
  );
  return holds ? 0 : 1;
}

const evalWords: Builtin = function* (shell, argv, io) {
  const outer = shell.io;
  shell.io = io;
  try {
    yield* shell.source(argv.slice(1).join(" "));
  } finally {
    shell.io = outer;
  }
  return shell.status;
};

const source: Builtin = function* (shell, argv) {
  const name = argv[1];
  if (name === undefined) die("filename argument required", 2);
  const text = shell.context.files.read(shell.state.path(name));
  if (text === undefined) die(`can't open '${name}': No such file or directory`, 2);
  try {
    yield* shell.source(text);
  } catch (error) {
    if (!(error instanceof ReturnFrom)) throw error;
    return error.status;
  }
  return shell.status;
};

const exec: Builtin = function* (shell, argv, io) {
  if (argv.length > 1) {
    shell.becomes = true;
    throw new ExitShell(yield* shell.program(argv.slice(1), io));
  }
  shell.io = io;
  return 0;
};

const command: Builtin = function* (shell, argv, io) {
  if (argv[1] === "-v" || argv[1] === "-V") return describe(shell, argv.slice(2), io, argv[1] === "-V");
  const words = argv.slice(argv[1] === "-p" ? 2 : 1);
  const builtin = BUILTINS.get(words[0] ?? "");
  if (words.length === 0) return 0;
  return builtin === undefined ? yield* shell.program(words, io) : yield* builtin(shell, words, io);
};

/** The path of a program, as `which` says it. */
function programPath(shell: Pick<Shell, "context">, name: string): string | undefined {
  const { files, programs, env } = shell.context;
  const path = env.get("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const found = path.split(":").find((directory) => files.read(`${directory}/${name}`) !== undefined);
  if (found !== undefined) return `${found}/${name}`;
  return programs.includes(name) ? `/usr/bin/${name}` : undefined;
}

/** `type` and `command -v`. */
function describe(shell: Shell, names: readonly string[], io: Io, long: boolean): number {
  let status = 0;
  for (const name of names) {
    const path = programPath(shell, name);
    const kind = shell.state.functions.has(name) ? "a function" : BUILTINS.has(name) ? "a shell builtin" : path;
    if (kind === undefined) {
      status = 127;
      if (long) io.stdout.write(`${name}: not found\n`);
    } else if (long) io.stdout.write(`${name} is ${kind}\n`);
    else io.stdout.write(`${kind === path ? path : name}\n`);
  }
  return status;
}

/** `%1`, `%+`, a PID. */
function findJob(shell: Shell, text: string): Job | undefined {
  const { jobs } = shell.state;
  if (text === "%" || text === "%%" || text === "%+") return jobs.at(-1);
  if (text === "%-") return jobs.at(-2) ?? jobs.at(-1);
  if (text.startsWith("%")) return jobs.find((job) => job.number === Number(text.slice(1)));
  return jobs.find((job) => job.process.pid === Number(text));
}

const wait: Builtin = function* (shell, argv) {
  let status = 0;
  const named = argv.slice(1).map((text) => {
    const job = findJob(shell, text);
    if (job === undefined && text.startsWith("%")) die(`${text}: no such job`, 2);
    return job;
  });
  for (const job of named.length === 0 ? [...shell.state.jobs] : named) {
    status = job === undefined ? 127 : ((yield* shell.awaitJob(job)) ?? 130);
    shell.state.jobs = shell.state.jobs.filter((other) => other !== job);
  }
  return named.length === 0 ? 0 : status;
};

const jobs = quick((shell, argv, io) => {
  const { state } = shell;
  for (const job of state.jobs)
    io.stdout.write(argv.includes("-p") ? `${job.process.pid}\n` : jobLine(job, job === state.jobs.at(-1)));
  state.jobs = state.jobs.filter((job) => job.process.status === undefined);
  return 0;
});

const fg: Builtin = function* (shell, argv, io) {
  const job = findJob(shell, argv[1] ?? "%%");
  if (job === undefined) die(argv[1] === undefined ? "No current job" : `${argv[1]}: no such job`, 2);
  io.stdout.write(`${job.text}\n`);
  shell.state.jobs = shell.state.jobs.filter((other) => other !== job);
  return (yield* shell.awaitJob(job)) ?? 130;
};

const kill: Builtin = function* (shell, argv, io) {
  const words = argv.map((word) => {
    if (!word.startsWith("%")) return word;
    const job = findJob(shell, word);
    if (job === undefined) die(`${word}: no such job`, 2);
    return String(job.process.pid);
  });
  return yield* shell.program(words, io);
};

const trap = quick((shell, argv, io) => {
  const { traps } = shell.state;
  const [action, ...conditions] = argv.slice(1).filter((word, at) => at > 0 || word !== "--");
  if (action === undefined) {
    for (const [name, text] of traps) io.stdout.write(`trap -- ${quoted(text)} ${name}\n`);
    return 0;
  }
  const resets = conditions.length === 0 || action === "-";
  for (const text of conditions.length === 0 ? [action] : conditions) {
    const name = text === "0" || text.toUpperCase() === "EXIT" ? "EXIT" : parseSignal(text)?.slice(3);
    if (name === undefined) die(`${text}: invalid signal specification`);
    if (resets) traps.delete(name);
    else traps.set(name, action);
  }
  return 0;
});

/** bash's and ash's `let`. */
const letWords = quick((shell, argv) => {
  let value = 0n;
  const variables = {
    get: (name: string) => shell.parameter(name),
    set: (name: string, to: string) => shell.assign(name, to),
  };
  for (const word of argv.slice(1)) value = evaluate(word, variables);
  return value === 0n ? 1 : 0;
});

const umask = quick((_shell, argv, io) => {
  if (argv.length === 1) io.stdout.write("0022\n");
  return 0;
});

/** Commands that the shell runs itself. */
export const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  [":", quick(() => 0)],
  ["true", quick(() => 0)],
  ["false", quick(() => 1)],
  ["exit", exit],
  ["break", leave(false)],
  ["continue", leave(true)],
  [
    "return",
    quick((shell, argv) => {
      throw new ReturnFrom(numberArgument(argv[1], shell.status) & 255);
    }),
  ],
  ["export", exportNames],
  [
    "readonly",
    quick((shell, argv) =>
      declare(argv, (name, value) => {
        if (value !== undefined) shell.assign(name, value);
        shell.state.readOnly.add(name);
      }),
    ),
  ],
  ["unset", unset],
  ["local", local],
  ["cd", cd],
  [
    "pwd",
    quick((shell, _argv, io) => {
      io.stdout.write(`${shell.state.cwd}\n`);
      return 0;
    }),
  ],
  [
    "echo",
    quick((_shell, argv, io) => {
      io.stdout.write(echoText(argv.slice(1)));
      return 0;
    }),
  ],
  [
    "printf",
    quick((shell, argv, io) => {
      const { text, problems } = printfText(argv.slice(1));
      io.stdout.write(text);
      for (const problem of problems) shell.complain(problem, io);
      return problems.length === 0 ? 0 : 1;
    }),
  ],
  ["test", quick((shell, argv, io) => condition(shell, argv.slice(1), io))],
  [
    "[",
    quick((shell, argv, io) => {
      if (argv.at(-1) !== "]") die("missing ]", 2);
      return condition(shell, argv.slice(1, -1), io);
    }),
  ],
  [
    "[[",
    quick((shell, argv, io) => {
      if (argv.at(-1) !== "]]") die("missing ]]", 2);
      return condition(shell, argv.slice(1, -1), io);
    }),
  ],
  ["set", set],
  ["shift", shift],
  ["read", read],
  ["eval", evalWords],
  [".", source],
  ["source", source],
  ["exec", exec],
  ["command", command],
  ["type", quick((shell, argv, io) => describe(shell, argv.slice(1), io, true))],
  ["wait", wait],
  ["jobs", jobs],
  ["fg", fg],
  ["kill", kill],
  ["trap", trap],
  ["let", letWords],
  ["umask", umask],
]);

/** Names of signals without SIG, in the order of their numbers: `kill -l`. */
export function signalNames(): readonly string[] {
  return Object.keys(SIGNALS).map((name) => name.slice(3));
}
