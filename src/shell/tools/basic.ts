/** Small tools whose text is the same in busybox and GNU coreutils: true, false, echo, env, sleep, hostname, id … */

import { SEC } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { type Proc, sleep as pause } from "../../scheduler/process.ts";
import { die, getopt, tool } from "../lib/tool.ts";

/** A program that waits for nothing. */
export function immediate(main: (context: ProgramContext) => number): Program {
  // biome-ignore lint/correctness/useYield: it waits for nothing
  return tool(function* (context) {
    return main(context);
  });
}

export const trueProgram: Program = immediate(() => 0);
export const falseProgram: Program = immediate(() => 1);

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "0": "\0",
};

export const echo: Program = immediate(({ argv, stdout }) => {
  const words = argv.slice(1);
  let newline = true;
  let escapes = false;
  while (words[0] !== undefined && /^-[neE]+$/.test(words[0])) {
    const flags = words.shift() as string;
    if (flags.includes("n")) newline = false;
    if (flags.includes("e")) escapes = true;
    if (flags.includes("E")) escapes = false;
  }
  const text = words.join(" ");
  stdout.write(
    (escapes ? text.replace(/\\(.)/g, (all, letter: string) => ESCAPES[letter] ?? all) : text) + (newline ? "\n" : ""),
  );
  return 0;
});

/** env: prints the environment, or runs a command in a changed one. */
function* envMain(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "+iu:0", { "ignore-environment": "i", unset: "u", null: "0" });
  const env = new Map(options.has("i") ? [] : context.env);
  for (const name of options.all("u")) env.delete(name);
  let at = 0;
  for (; at < options.rest.length; at++) {
    const word = options.rest[at] as string;
    const equals = word.indexOf("=");
    if (equals <= 0) break;
    env.set(word.slice(0, equals), word.slice(equals + 1));
  }
  const command = options.rest.slice(at);
  if (command.length === 0) {
    const end = options.has("0") ? "\0" : "\n";
    for (const [name, value] of env) context.stdout.write(`${name}=${value}${end}`);
    return 0;
  }
  const status = yield* context.exec(command, { env });
  if (status === 127 && !context.programs.includes(command[0] as string)) {
    die(`can't execute '${command[0]}': No such file or directory`, 127);
  }
  return status;
}

export const env: Program = tool(envMain);

export const printenv: Program = immediate(({ argv, env: variables, stdout }) => {
  const names = argv.slice(1);
  if (names.length === 0) {
    for (const [name, value] of variables) stdout.write(`${name}=${value}\n`);
    return 0;
  }
  for (const name of names) {
    const value = variables.get(name);
    if (value !== undefined) stdout.write(`${value}\n`);
  }
  return names.every((name) => variables.has(name)) ? 0 : 1;
});

const SLEEP_UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600, d: 86400 };

function* sleepMain(context: ProgramContext): Proc<number> {
  const spans = context.argv.slice(1);
  if (spans.length === 0) die("missing operand");
  let seconds = 0;
  for (const span of spans) {
    if (span === "infinity") for (;;) yield* pause(context.os, 3600 * SEC);
    const match = /^(\d+(?:\.\d*)?|\.\d+)([smhd]?)$/.exec(span);
    if (match === null) die(`invalid number '${span}'`);
    seconds += Number(match[1]) * (SLEEP_UNITS[match[2] ?? ""] as number);
  }
  yield* pause(context.os, Math.round(seconds * SEC));
  return 0;
}

export const sleep: Program = tool(sleepMain);

export const hostname: Program = immediate((context) => {
  const options = getopt(context.argv, "fsiId", { fqdn: "f", short: "s", "ip-address": "i", "all-ip-addresses": "I" });
  if (options.rest.length > 0) die("sethostname: Operation not permitted");
  if (options.has("i") || options.has("I")) {
    const own = context.ns.addr.list().filter((info) => info.scope === "global");
    const addresses = own.map(({ addr: { ip } }) =>
      [ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255].join("."),
    );
    context.stdout.write(`${addresses.join(" ")}${options.has("I") ? " " : ""}\n`);
  } else context.stdout.write(`${options.has("s") ? context.hostname.split(".")[0] : context.hostname}\n`);
  return 0;
});

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** strftime(3) in UTC and the C locale. */
export function formatDate(format: string, seconds: number, nanos = 0): string {
  const date = new Date(seconds * 1000);
  const two = (n: number): string => String(n).padStart(2, "0");
  const fields: Readonly<Record<string, () => string>> = {
    Y: () => String(date.getUTCFullYear()),
    m: () => two(date.getUTCMonth() + 1),
    d: () => two(date.getUTCDate()),
    e: () => String(date.getUTCDate()).padStart(2, " "),
    H: () => two(date.getUTCHours()),
    M: () => two(date.getUTCMinutes()),
    S: () => two(date.getUTCSeconds()),
    N: () => String(nanos).padStart(9, "0"),
    s: () => String(seconds),
    a: () => (DAYS[date.getUTCDay()] as string).slice(0, 3),
    A: () => DAYS[date.getUTCDay()] as string,
    b: () => (MONTHS[date.getUTCMonth()] as string).slice(0, 3),
    B: () => MONTHS[date.getUTCMonth()] as string,
    y: () => two(date.getUTCFullYear() % 100),
    Z: () => "UTC",
    z: () => "+0000",
    F: () => formatDate("%Y-%m-%d", seconds),
    T: () => formatDate("%H:%M:%S", seconds),
    R: () => formatDate("%H:%M", seconds),
    D: () => formatDate("%m/%d/%y", seconds),
    n: () => "\n",
    t: () => "\t",
    "%": () => "%",
  };
  return format.replace(/%([a-zA-Z%])/g, (all, letter: string) => fields[letter]?.() ?? all);
}

/** date(1): the wall clock that virtual time stands for. */
export const date: Program = immediate((context) => {
  const options = getopt(context.argv, "uRI", { utc: "u", "rfc-email": "R" });
  const now = context.os.now();
  const format = options.rest.find((word) => word.startsWith("+"))?.slice(1);
  const standard = options.has("R") ? "%a, %d %b %Y %H:%M:%S %z" : options.has("I") ? "%F" : "%a %b %e %H:%M:%S %Z %Y";
  context.stdout.write(`${formatDate(format ?? standard, unixSeconds(now), now % SEC)}\n`);
  return 0;
});

/** uname(1) of the kernel that the emulation follows. */
export const uname: Program = immediate((context) => {
  const options = getopt(context.argv, "asnrvmpio", {
    all: "a",
    "kernel-name": "s",
    nodename: "n",
    "kernel-release": "r",
    machine: "m",
  });
  const fields: [string, string][] = [
    ["s", "Linux"],
    ["n", context.hostname],
    ["r", "6.1.0-56-amd64"],
    ["v", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2"],
    ["m", "x86_64"],
    ["o", "GNU/Linux"],
  ];
  const wanted = options.has("a") ? fields : fields.filter(([key]) => options.has(key));
  context.stdout.write(`${(wanted.length === 0 ? fields.slice(0, 1) : wanted).map(([, text]) => text).join(" ")}\n`);
  return 0;
});

export const id: Program = immediate((context) => {
  const options = getopt(context.argv, "ungGr", { user: "u", name: "n", group: "g", groups: "G" });
  if (options.has("u") || options.has("g") || options.has("G"))
    context.stdout.write(options.has("n") ? "root\n" : "0\n");
  else context.stdout.write("uid=0(root) gid=0(root) groups=0(root)\n");
  return 0;
});

export const whoami: Program = immediate(({ stdout }) => {
  stdout.write("root\n");
  return 0;
});

/** yes(1): writes until its output is gone; gives others a turn after each block. */
function* yesMain(context: ProgramContext): Proc<number> {
  const text = context.argv.length > 1 ? context.argv.slice(1).join(" ") : "y";
  const block = `${text}\n`.repeat(512);
  for (;;) {
    context.stdout.write(block);
    yield* pause(context.os, 1_000_000);
  }
}

export const yes: Program = tool(yesMain);

export const seq: Program = immediate((context) => {
  const options = getopt(
    context.argv.map((word) => (/^-[\d.]/.test(word) ? ` ${word}` : word)),
    "+ws:",
  );
  const numbers = options.rest.map((word) => {
    const value = Number(word);
    return Number.isNaN(value) ? die(`invalid number '${word.trim()}'`) : value;
  });
  if (numbers.length === 0 || numbers.length > 3) die("usage: seq [-w] [-s SEP] [FIRST [INC]] LAST");
  const last = numbers.at(-1) as number;
  const first = numbers.length > 1 ? (numbers[0] as number) : 1;
  const step = numbers.length > 2 ? (numbers[1] as number) : 1;
  if (step === 0) die("invalid number '0'");
  const digits = Math.max(...options.rest.map((word) => word.trim().split(".")[1]?.length ?? 0));
  const width = options.has("w") ? Math.max(first.toFixed(digits).length, last.toFixed(digits).length) : 0;
  const lines: string[] = [];
  for (let i = 0; step > 0 ? first + i * step <= last : first + i * step >= last; i++) {
    lines.push((first + i * step).toFixed(digits).padStart(width, "0"));
  }
  if (lines.length > 0) context.stdout.write(`${lines.join(options.get("s") ?? "\n")}\n`);
  return 0;
});
