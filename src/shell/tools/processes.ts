/** Tools for processes: ps, kill, pidof, killall, timeout, watch (busybox procps; procps of Debian 12 on hosts). */
import { parseDuration, SEC } from "../../base/time.ts";
import { parseSignal, SIGNALS } from "../../engine/process-runner.ts";
import type { ProcessEntry, Program, ProgramContext } from "../../engine/program.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { baseName, die, quick, tool, waitReady } from "../lib/program.ts";

function commandOf(process: ProcessEntry): string {
  return process.argv.join(" ");
}

/** busybox: all processes. */
const busyboxPs: Program = quick((context) => {
  context.stdout.write("PID   USER     TIME  COMMAND\n");
  for (const process of context.processes())
    context.stdout.write(`${String(process.pid).padStart(5)} root      0:00 ${commandOf(process)}\n`);
  return 0;
});

/** procps: those of the terminal, or all with `aux` and `-e`. */
const procpsPs: Program = quick((context) => {
  const words = context.argv.slice(1).join("");
  const all = /[aexA]/.test(words);
  const shown = context.processes().filter((process) => all || process.tty || process.pid === context.pid);
  if (words.includes("u")) {
    context.stdout.write("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n");
    for (const process of shown)
      context.stdout.write(
        `root     ${String(process.pid).padStart(7)}  0.0  0.0   2576   932 ${tty(process).padEnd(8)} S    00:00   0:00 ${commandOf(process)}\n`,
      );
  } else if (words.includes("f")) {
    context.stdout.write("UID          PID    PPID  C STIME TTY          TIME CMD\n");
    for (const process of shown)
      context.stdout.write(
        `root     ${String(process.pid).padStart(7)} ${String(process.ppid).padStart(7)}  0 00:00 ${tty(process).padEnd(8)} 00:00:00 ${commandOf(process)}\n`,
      );
  } else {
    context.stdout.write("    PID TTY          TIME CMD\n");
    for (const process of shown)
      context.stdout.write(
        `${String(process.pid).padStart(7)} ${tty(process).padEnd(8)} 00:00:00 ${baseName(process.argv[0] ?? "")}\n`,
      );
  }
  return 0;
});

function tty(process: ProcessEntry): string {
  return process.tty ? "pts/0" : "?";
}

/** `-9`, `-KILL`, `-s KILL` in front of the others. */
function signalArguments(context: ProgramContext): { signal: string; names: readonly string[] } {
  const words = context.argv.slice(1);
  let text = "TERM";
  if (words[0] === "-s") {
    text = words[1] ?? "";
    words.splice(0, 2);
  } else if (/^-./.test(words[0] ?? "") && words[0] !== "--") text = (words.shift() as string).slice(1);
  if (words[0] === "--") words.shift();
  const signal = text === "0" ? "0" : parseSignal(text);
  if (signal === undefined) die(`bad signal name '${text}'`);
  return { signal, names: words };
}

function send(process: ProcessEntry, signal: string): void {
  if (signal !== "0") process.signal(signal);
}

const kill: Program = quick((context) => {
  if (context.argv[1] === "-l") {
    for (const [name, number] of Object.entries(SIGNALS))
      context.stdout.write(`${String(number).padStart(2)}) ${name.slice(3)}\n`);
    return 0;
  }
  const { signal, names } = signalArguments(context);
  if (names.length === 0) die("you need to specify whom to kill");
  let failed = 0;
  for (const name of names) {
    if (!/^-?\d+$/.test(name)) {
      context.stderr.write(`kill: invalid number '${name}'\n`);
      failed++;
      continue;
    }
    const process = context.processes().find((one) => one.pid === Number(name));
    if (process !== undefined) send(process, signal);
    else {
      context.stderr.write(`kill: can't kill pid ${name}: No such process\n`);
      failed++;
    }
  }
  return failed === 0 ? 0 : 1;
});

function processesNamed(context: ProgramContext, name: string): ProcessEntry[] {
  return context
    .processes()
    .filter((process) => baseName(process.argv[0] ?? "") === name && process.pid !== context.pid)
    .reverse();
}

const pidof: Program = quick((context) => {
  const options = getopt(context.argv, "so:");
  const found = options.args.flatMap((name) => processesNamed(context, name));
  if (found.length === 0) return 1;
  context.stdout.write(`${(options.has("s") ? found.slice(0, 1) : found).map(({ pid }) => pid).join(" ")}\n`);
  return 0;
});

const killall: Program = quick((context) => {
  const { signal, names } = signalArguments(context);
  if (names.length === 0) die("you need to specify whom to kill");
  let status = 0;
  for (const name of names) {
    const found = processesNamed(context, name);
    for (const process of found) send(process, signal);
    if (found.length > 0) continue;
    context.stderr.write(`killall: ${name}: no process killed\n`);
    status = 1;
  }
  return status;
});

/** `pgrep` and `pkill`: by a pattern of the name, or of the command line with -f. */
const search = (kills: boolean): Program =>
  quick((context) => {
    const signalled = kills && /^-(?:\d+|[A-Z]{2,})$/.test(context.argv[1] ?? "");
    const argv = signalled ? [context.argv[0] as string, ...context.argv.slice(2)] : context.argv;
    const options = getopt(argv, "flxnov");
    const signal = signalled ? parseSignal((context.argv[1] as string).slice(1)) : "SIGTERM";
    if (options.args.length !== 1 || signal === undefined) throw new UsageError("no pattern");
    const pattern = new RegExp(options.has("x") ? `^(?:${options.args[0]})$` : (options.args[0] as string));
    const found = context.processes().filter((process) => {
      const text = options.has("f") ? commandOf(process) : baseName(process.argv[0] ?? "");
      return process.pid !== context.pid && pattern.test(text) !== options.has("v");
    });
    for (const process of found) {
      if (kills) process.signal(signal);
      else context.stdout.write(`${process.pid}${options.has("l") ? ` ${commandOf(process)}` : ""}\n`);
    }
    return found.length > 0 ? 0 : 1;
  });

const timeout: Program = tool(function* (context) {
  const options = getopt(context.argv, "s:k:", {}, true);
  const [span = "", ...command] = options.args;
  const limit = /^\d+(\.\d+)?$/.test(span) ? Number(span) * SEC : parseDuration(span);
  if (limit === undefined) throw new UsageError(`invalid number '${span}'`);
  if (command.length === 0) throw new UsageError("no program");
  const signal = parseSignal(options.text("s") ?? "TERM");
  if (signal === undefined) die(`bad signal name '${options.text("s")}'`);
  const child = context.start(command);
  if (child === undefined) die(`can't execute '${command[0]}': No such file or directory`, 127);
  try {
    const until = context.os.now() + Math.round(limit);
    let late = false;
    while (child.status === undefined) {
      if ((yield* waitReady(context, [child.exited], late ? undefined : until)) !== "timeout" || late) continue;
      late = true;
      child.signal(signal);
    }
    return late ? 128 + (SIGNALS[signal] as number) : child.status;
  } finally {
    child.signal("SIGKILL");
  }
});

/** ps, kill and their like in busybox. */
export const BUSYBOX_PROCESS_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["kill", kill],
  ["killall", killall],
  ["pgrep", search(false)],
  ["pidof", pidof],
  ["pkill", search(true)],
  ["ps", busyboxPs],
  ["timeout", timeout],
]);

/** The same on a host, whose ps is of procps. */
export const HOST_PROCESS_TOOLS: ReadonlyMap<string, Program> = new Map([...BUSYBOX_PROCESS_TOOLS, ["ps", procpsPs]]);
