/** Small tools that need no network: echo, env, sleep, date, test, seq, id … (busybox). */
import { formatDuration, parseDuration, SEC } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { absolutePath, Failure, quick, tool, waitReady } from "../lib/program.ts";
import { ctime } from "./dig.ts";

const echo: Program = quick((context) => {
  const words = context.argv.slice(1);
  let newline = true;
  let escapes = false;
  while (/^-[neE]+$/.test(words[0] ?? "")) {
    const flag = words.shift() as string;
    if (flag.includes("n")) newline = false;
    if (flag.includes("e")) escapes = true;
  }
  const text = words.join(" ");
  const known: Record<string, string> = { n: "\n", t: "\t", r: "\r", "\\": "\\", "0": "\0", a: "\u0007" };
  context.stdout.write(
    (escapes ? text.replace(/\\([ntr\\0a])/g, (_, letter: string) => known[letter] as string) : text) +
      (newline ? "\n" : ""),
  );
  return 0;
});

const env: Program = tool(function* (context) {
  const { args } = getopt(context.argv, "i", {}, true);
  const own = new Map(context.argv.includes("-i") ? [] : context.env);
  const rest = [...args];
  while (rest[0]?.includes("=") === true) {
    const word = rest.shift() as string;
    own.set(word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1));
  }
  if (rest.length > 0) return yield* context.exec(rest, { env: own });
  for (const [name, value] of own) context.stdout.write(`${name}=${value}\n`);
  return 0;
});

const printenv: Program = quick((context) => {
  const names = context.argv.slice(1);
  if (names.length === 0) for (const [name, value] of context.env) context.stdout.write(`${name}=${value}\n`);
  for (const name of names) if (context.env.has(name)) context.stdout.write(`${context.env.get(name)}\n`);
  return names.every((name) => context.env.has(name)) ? 0 : 1;
});

const sleep: Program = tool(function* (context) {
  const words = context.argv.slice(1);
  if (words.length === 0) throw new UsageError("missing operand");
  let span = 0;
  for (const word of words) {
    const one =
      word === "infinity"
        ? Number.MAX_SAFE_INTEGER / 2
        : /^\d+(\.\d+)?$/.test(word)
          ? Number(word) * SEC
          : parseDuration(word);
    if (one === undefined) throw new Failure(`invalid number '${word}'`);
    span += one;
  }
  const until = context.os.now() + Math.round(span);
  while (context.os.now() < until) yield* waitReady(context, [], until);
  return 0;
});

const date: Program = quick((context) => {
  const format = context.argv.slice(1).find((word) => word.startsWith("+"));
  const now = context.os.now();
  if (format === undefined) {
    context.stdout.write(`${ctime(now)}\n`);
    return 0;
  }
  const iso = new Date(unixSeconds(now) * 1000).toISOString();
  const parts: Record<string, string> = {
    s: String(unixSeconds(now)),
    N: String(now % SEC).padStart(9, "0"),
    Y: iso.slice(0, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    H: iso.slice(11, 13),
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
    F: iso.slice(0, 10),
    T: iso.slice(11, 19),
    "%": "%",
  };
  context.stdout.write(`${format.slice(1).replace(/%([a-zA-Z%])/g, (all, letter: string) => parts[letter] ?? all)}\n`);
  return 0;
});

const uname: Program = quick((context) => {
  const options = getopt(context.argv, "asnrvmo");
  const fields: [string, string][] = [
    ["s", "Linux"],
    ["n", context.hostname],
    ["r", "6.1.0-56-amd64"],
    ["v", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2"],
    ["m", "x86_64"],
    ["o", "Linux"],
  ];
  const shown = fields.filter(([letter]) => options.has("a") || options.has(letter)).map(([, text]) => text);
  context.stdout.write(`${shown.length === 0 ? "Linux" : shown.join(" ")}\n`);
  return 0;
});

const seq: Program = quick((context) => {
  const numbers = context.argv.slice(1).map(Number);
  if (numbers.length === 0 || numbers.some(Number.isNaN)) throw new Failure("invalid number");
  const [from, step, to] =
    numbers.length === 1 ? [1, 1, numbers[0]] : numbers.length === 2 ? [numbers[0], 1, numbers[1]] : numbers;
  const [start, by, end] = [from as number, step as number, to as number];
  if (by === 0) throw new Failure("invalid number '0'");
  let out = "";
  for (let at = start; by > 0 ? at <= end : at >= end; at += by) out += `${at}\n`;
  context.stdout.write(out);
  return 0;
});

/** `test` and `[`: one condition, with `!`, `-a` and `-o`. */
function evaluate(context: ProgramContext, words: readonly string[]): boolean {
  const or = words.indexOf("-o", 1);
  if (or > 0) return evaluate(context, words.slice(0, or)) || evaluate(context, words.slice(or + 1));
  const and = words.indexOf("-a", 1);
  if (and > 0) return evaluate(context, words.slice(0, and)) && evaluate(context, words.slice(and + 1));
  if (words[0] === "!" && words.length > 1) return !evaluate(context, words.slice(1));
  const [a = "", b = "", c = ""] = words;
  if (words.length <= 1) return a !== "";
  if (words.length === 2) {
    if (a === "-z") return b === "";
    if (a === "-n") return b !== "";
    const path = absolutePath(context, b);
    const file = context.files.read(path);
    const directory = context.files.list(path) !== undefined;
    if (a === "-e" || a === "-r" || a === "-w") return file !== undefined || directory;
    if (a === "-f") return file !== undefined;
    if (a === "-s") return file !== undefined && file !== "";
    if (a === "-d") return directory;
    if (a === "-x") return directory || context.programs.includes(b.slice(b.lastIndexOf("/") + 1));
    throw new Failure(`${b}: unknown operand`, 2);
  }
  const numbers: Record<string, (x: number, y: number) => boolean> = {
    "-eq": (x, y) => x === y,
    "-ne": (x, y) => x !== y,
    "-lt": (x, y) => x < y,
    "-le": (x, y) => x <= y,
    "-gt": (x, y) => x > y,
    "-ge": (x, y) => x >= y,
  };
  const compare = numbers[b];
  if (compare !== undefined) {
    const bad = [a, c].find((word) => !/^\s*[+-]?\d+\s*$/.test(word));
    if (bad !== undefined) throw new Failure(`${bad}: bad number`, 2);
    return compare(Number(a), Number(c));
  }
  if (b === "=" || b === "==") return a === c;
  if (b === "!=") return a !== c;
  throw new Failure(`${b}: unknown operand`, 2);
}

const test: Program = quick((context) => (evaluate(context, context.argv.slice(1)) ? 0 : 1));

const bracket: Program = quick((context) => {
  if (context.argv.at(-1) !== "]") throw new Failure("missing ]", 2);
  return evaluate(context, context.argv.slice(1, -1)) ? 0 : 1;
});

const yes: Program = tool(function* (context) {
  const line = `${context.argv.length > 1 ? context.argv.slice(1).join(" ") : "y"}\n`;
  // A pipe here has no end, so output comes by the millisecond.
  for (;;) {
    context.stdout.write(line.repeat(64));
    yield* waitReady(context, [], context.os.now() + SEC / 1000);
  }
});

const time: Program = tool(function* (context) {
  const start = context.os.now();
  const status = yield* context.exec(context.argv.slice(1));
  const span = context.os.now() - start;
  const minutes = Math.floor(span / (60 * SEC));
  context.stderr.write(`real\t${minutes}m ${((span / SEC) % 60).toFixed(2)}s\nuser\t0m 0.00s\nsys\t0m 0.00s\n`);
  return status;
});

const timeout: Program = tool(function* (context) {
  const options = getopt(context.argv, "s:t:k:", {}, true);
  const [span = "", ...command] = options.args;
  const limit = /^\d+(\.\d+)?$/.test(span) ? Number(span) * SEC : parseDuration(span);
  if (limit === undefined || command.length === 0) throw new UsageError(`invalid number '${span}'`);
  const child = context.os.spawn("timeout", context.exec(command));
  const until = context.os.now() + Math.round(limit);
  while (!child.done && context.os.now() < until) yield* waitReady(context, [child.exited], until);
  if (child.done) return child.result ?? 1;
  child.kill();
  return 143;
});

/** Uptime as busybox shows it. */
const uptime: Program = quick((context) => {
  context.stdout.write(
    ` ${ctime(context.os.now()).split(" ")[3]} up ${formatDuration(context.os.now())},  load average: 0.00, 0.00, 0.00\n`,
  );
  return 0;
});

const print = (text: (context: ProgramContext) => string): Program =>
  quick((context) => {
    context.stdout.write(text(context));
    return 0;
  });

const ps: Program = print(
  (context) => `PID   USER     TIME  COMMAND\n    1 root      0:00 ${context.env.get("_") ?? "sh"}\n`,
);

export const BASIC_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["[", bracket],
  ["date", date],
  ["echo", echo],
  ["env", env],
  ["false", quick(() => 1)],
  ["hostname", print((context) => `${context.hostname}\n`)],
  ["id", print(() => "uid=0(root) gid=0(root) groups=0(root)\n")],
  ["nproc", print(() => "1\n")],
  ["printenv", printenv],
  ["ps", ps],
  ["pwd", print((context) => `${context.cwd}\n`)],
  ["seq", seq],
  ["sleep", sleep],
  ["test", test],
  ["time", time],
  ["timeout", timeout],
  ["true", quick(() => 0)],
  ["uname", uname],
  ["uptime", uptime],
  ["whoami", print(() => "root\n")],
  ["yes", yes],
]);
