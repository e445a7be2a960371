/** Small tools that need no network: echo, env, sleep, date, test, seq, id … (busybox). */
import { formatIpv4 } from "../../base/addr.ts";
import { parseDuration, SEC, US } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { evaluateCondition } from "../lib/condition.ts";
import { BLOCK_TIME, flush } from "../lib/input.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { absolutePath, die, Failure, quick, tool, waitReady } from "../lib/program.ts";
import { GAI_TEXT, type Libc, lookup } from "../lib/resolve.ts";
import { echoText, printfText } from "../lib/text-format.ts";
import { ctime } from "./dig.ts";

const echo: Program = quick((context) => {
  context.stdout.write(echoText(context.argv.slice(1)));
  return 0;
});

const printf: Program = quick((context) => {
  const { text, problems } = printfText(context.argv.slice(1));
  context.stdout.write(text);
  for (const problem of problems) context.stderr.write(`printf: ${problem}\n`);
  return problems.length === 0 ? 0 : 1;
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

/** Characters that seq writes at a time, and what that takes. */
const SEQ_BLOCK = 4096;
const SEQ_TIME = 50 * US;

/** `seq [FROM [STEP]] TO`. A pipe that is full makes it wait; a block without end in sight takes time. */
const seq: Program = tool(function* (context) {
  const words = context.argv.slice(1);
  if (words.length === 0 || words.length > 3) throw new UsageError(words.length === 0 ? "missing operand" : "");
  const numbers = words.map(Number);
  const wrong = numbers.findIndex(Number.isNaN);
  if (wrong >= 0) throw new Failure(`invalid number '${words[wrong]}'`);
  const [from, step, to] =
    numbers.length === 1 ? [1, 1, numbers[0]] : numbers.length === 2 ? [numbers[0], 1, numbers[1]] : numbers;
  const [start, by, end] = [from as number, step as number, to as number];
  // Fractions have as many digits as the step or the start (busybox coreutils/seq.c).
  const digits = Math.max(...words.slice(0, -1).map((word) => word.split(".")[1]?.length ?? 0), 0);
  let out = "";
  for (let turn = 0, at = start; by >= 0 ? at <= end : at >= end; at = start + ++turn * by) {
    out += `${at.toFixed(digits)}\n`;
    if (out.length < SEQ_BLOCK) continue;
    context.stdout.write(out);
    out = "";
    yield* flush(context);
    yield* waitReady(context, [], context.os.now() + SEQ_TIME);
  }
  context.stdout.write(out);
  return 0;
});

function evaluate(context: ProgramContext, words: readonly string[]): boolean {
  const { files, programs } = context;
  return evaluateCondition(
    { files, programs, path: (name) => absolutePath(context, name), isTerminal: () => context.tty },
    words,
  );
}

const test: Program = quick((context) => (evaluate(context, context.argv.slice(1)) ? 0 : 1));

const bracket: Program = quick((context) => {
  if (context.argv.at(-1) !== "]") throw new Failure("missing ]", 2);
  return evaluate(context, context.argv.slice(1, -1)) ? 0 : 1;
});

const yes: Program = tool(function* (context) {
  const line = `${context.argv.length > 1 ? context.argv.slice(1).join(" ") : "y"}\n`;
  // A terminal is slower than a pipe.
  const { stdout } = context;
  const lines = stdout.drained === undefined ? 64 : Math.max(1, Math.floor(8192 / line.length));
  for (;;) {
    stdout.write(line.repeat(lines));
    yield* flush(context);
    yield* waitReady(context, [], context.os.now() + BLOCK_TIME);
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

/** Uptime as busybox shows it (procps/uptime.c). */
const uptime: Program = quick((context) => {
  const minutes = Math.floor(context.os.now() / SEC / 60);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  const span =
    hours > 0 ? `${String(hours).padStart(2)}:${String(minutes % 60).padStart(2, "0")}` : `${minutes % 60} min`;
  const up = `${days > 0 ? `${days} day${days === 1 ? "" : "s"}, ` : ""}${span}`;
  context.stdout.write(` ${ctime(context.os.now()).split(" ")[3]} up ${up},  load average: 0.00, 0.00, 0.00\n`);
  return 0;
});

const print = (text: (context: ProgramContext) => string): Program =>
  quick((context) => {
    context.stdout.write(text(context));
    return 0;
  });

/** The addresses of the namespace but the loopback's, in the order of its devices (`hostname -I`). */
function ownAddresses({ ns }: ProgramContext): string[] {
  const loopbacks = ns.link.list().filter((link) => link.kind === "loopback" || !link.up);
  return ns.addr
    .list()
    .filter(({ dev }) => loopbacks.every(({ index }) => index !== dev))
    .map(({ addr }) => formatIpv4(addr.ip));
}

/** HOST_NAME_MAX. */
const MOST_HOSTNAME = 64;

/** `-i` asks what its own name resolves to; `-I`, Debian's alone, needs no names. */
const hostname = (libc: Libc): Program =>
  tool(function* (context) {
    const options = getopt(context.argv, libc === "glibc" ? "sidfIA" : "sidfF:");
    const [name] = options.args;
    if (name !== undefined) {
      if (context.setHostname === undefined)
        die(libc === "glibc" ? "you must be root to change the host name" : "sethostname: Operation not permitted");
      if (name.length > MOST_HOSTNAME) die("name too long");
      if (libc === "glibc" && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name))
        die("the specified hostname is invalid");
      context.setHostname(name);
      return 0;
    }
    if (options.has("I")) context.stdout.write(`${ownAddresses(context).join(" ")} \n`);
    else if (options.has("i")) {
      const found = yield* lookup(context, context.hostname, libc);
      if (!found.ok) die(`${context.hostname}: ${libc === "glibc" ? GAI_TEXT[found.error] : "Unknown host"}`);
      context.stdout.write(`${found.addresses.map(formatIpv4).join(" ")}\n`);
    } else if (options.has("d")) context.stdout.write(`${context.hostname.split(".").slice(1).join(".")}\n`);
    else context.stdout.write(`${options.has("s") ? context.hostname.split(".")[0] : context.hostname}\n`);
    return 0;
  });

/** busybox's hostname(1). */
export const busyboxHostname: Program = hostname("musl");

/** Debian's hostname(1). */
export const debianHostname: Program = hostname("glibc");

/** Small tools by name. */
export const BASIC_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["[", bracket],
  ["date", date],
  ["echo", echo],
  ["env", env],
  ["false", quick(() => 1)],
  ["id", print(() => "uid=0(root) gid=0(root) groups=0(root)\n")],
  ["nproc", print(() => "1\n")],
  ["printenv", printenv],
  ["printf", printf],
  ["pwd", print((context) => `${context.cwd}\n`)],
  ["seq", seq],
  ["sleep", sleep],
  ["test", test],
  ["time", time],
  ["true", quick(() => 0)],
  ["uname", uname],
  ["uptime", uptime],
  ["whoami", print(() => "root\n")],
  ["yes", yes],
]);
