/** The program `sh`: options, scripts, the prompt (busybox shell/ash.c main, cmdloop). */
import { isExhaustion, UserError } from "../../base/errors.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { Shell } from "./interpret.ts";
import { IncompleteError, parse } from "./parse.ts";
import { type ShellOption, ShellState } from "./state.ts";

/**
 * `sh [-eux] [-c SCRIPT [NAME ARG…] | FILE ARG… | -s ARG…]`: on a terminal it prompts and echoes nothing (the terminal
 * does that).
 * @param prompt what it prompts with on a terminal, from its working directory, e.g. `/ # `
 */
export function* sh(context: ProgramContext, prompt: (cwd: string) => string): Proc<number> {
  const state = new ShellState(context.env, context.cwd);
  state.variables.set("PWD", context.cwd);
  let script = false;
  let fromInput = false;
  let at = 1;
  for (; /^[-+]./.test(context.argv[at] ?? ""); at++) {
    const word = context.argv[at] as string;
    if (word === "--") {
      at++;
      break;
    }
    for (const letter of word.startsWith("--") ? "" : word.slice(1)) {
      if (letter === "c") script = true;
      else if (letter === "s") fromInput = true;
      else if ("euxf".includes(letter)) state.options.add(letter as ShellOption);
    }
  }
  const words = context.argv.slice(at);
  if (script) {
    const [text, name, ...args] = words;
    if (text === undefined) {
      context.stderr.write(`${context.argv[0]}: -c requires an argument\n`);
      return 2;
    }
    state.positional = args;
    const shell = new Shell(context, { state, name: name ?? nameOf(context), firstLine: 0 });
    yield* shell.run(text);
    return yield* shell.finish();
  }
  const file = fromInput ? undefined : words[0];
  state.positional = words.slice(fromInput ? 0 : 1);
  if (file !== undefined) {
    const text = context.files.read(state.path(file));
    if (text === undefined) {
      context.stderr.write(`${nameOf(context)}: can't open '${file}': No such file or directory\n`);
      return 2;
    }
    const shell = new Shell(context, { state, name: file });
    yield* shell.run(text);
    return yield* shell.finish();
  }
  return yield* interact(new Shell(context, { state, interactive: context.tty, name: nameOf(context) }), prompt);
}

/** `$0`: what it was called. */
function nameOf(context: ProgramContext): string {
  return context.argv[0] ?? "sh";
}

/** Reads and runs commands from standard input. */
function* interact(shell: Shell, prompt: (cwd: string) => string): Proc<number> {
  const { context } = shell;
  for (;;) {
    if (shell.interactive) context.stdout.write(shell.takeEndedJobs() + prompt(shell.state.cwd));
    const line = yield* readCommand(shell);
    if (line === "interrupted") continue;
    if (line === undefined) return yield* shell.finish();
    if (line.text.trim() !== "") yield* shell.run(line.text);
    if (shell.exited) return yield* shell.finish();
  }
}

/** One command: lines are taken until it is whole (an open quote, a loop without its end, a backslash). */
function* readCommand(shell: Shell): Proc<{ readonly text: string } | "interrupted" | undefined> {
  const { context, interactive } = shell;
  let text = "";
  for (;;) {
    const line = yield* context.stdin.readLine(interactive ? context.signals : undefined);
    if (line === undefined && interactive && context.signals.length > 0) {
      // SIGTERM and its kin don't end a shell that prompts.
      if (!(yield* takeSignals(shell))) continue;
      context.stdout.write("\n");
      shell.status = 130;
      return "interrupted";
    }
    if (line === undefined) return text === "" ? undefined : { text };
    text += line;
    if (!incomplete(text)) return { text };
    text += "\n";
    if (interactive) context.stdout.write("> ");
  }
}

/** Signals that came while it waited at its prompt; true for Ctrl-C. */
function* takeSignals(shell: Shell): Proc<boolean> {
  const { signals } = shell.context;
  let interrupted = false;
  for (let name = signals.tryPop(); name !== undefined; name = signals.tryPop()) {
    const action = shell.state.traps.get(name.slice(3));
    if (action !== undefined) yield* shell.run(action);
    interrupted ||= name === "SIGINT" && action !== "";
  }
  return interrupted;
}

/** Whether a command goes on in the next line: an open quote, a loop without its end, a here-document, a backslash. */
export function incomplete(text: string): boolean {
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) return true;
  try {
    parse(text);
    return false;
  } catch (error) {
    if (error instanceof IncompleteError) return true;
    // Run() reports what is wrong with it.
    if (error instanceof UserError || isExhaustion(error)) return false;
    throw error;
  }
}
