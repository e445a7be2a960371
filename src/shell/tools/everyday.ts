/** What busybox users take for granted beside the text tools: clear, watch, nohup, mktemp, realpath, chmod, find … */
import { MS, SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { sleep } from "../../scheduler/process.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { absolutePath, baseName, die, quick, tool } from "../lib/program.ts";
import { matchesPattern } from "../sh/pattern.ts";
import { ctime } from "./dig.ts";
import { grep } from "./grep.ts";

/** Cursor home, and everything below it erased. */
const CLEAR = "\u001b[H\u001b[J";

function isThere(context: ProgramContext, path: string): boolean {
  return context.files.read(path) !== undefined || context.files.list(path) !== undefined;
}

/** Runs the command behind its own options: there is one CPU, one user and one session. */
function wrapper(letters: string): Program {
  return tool(function* (context) {
    const { args } = getopt(context.argv, letters, {}, true);
    const [name] = args;
    if (name === undefined) die("");
    const status = yield* context.exec(args);
    if (status === 127 && !context.programs.includes(baseName(name)))
      die(`can't execute '${name}': No such file or directory`, 127);
    return status;
  });
}

/** chmod, chown, chgrp: everything belongs to root, who may do anything; only the files have to be there. */
const change: Program = quick((context) => {
  const words = context.argv.slice(1).filter((word) => !/^-[A-Za-z]+$/.test(word));
  if (words.length < 2) throw new UsageError("missing operand");
  const missing = words.slice(1).filter((name) => !isThere(context, absolutePath(context, name)));
  for (const name of missing) context.stderr.write(`${context.argv[0]}: ${name}: No such file or directory\n`);
  return missing.length > 0 ? 1 : 0;
});

const mktemp: Program = quick((context) => {
  const options = getopt(context.argv, "dqutp:");
  const folder = options.text("p") ?? context.env.get("TMPDIR") ?? "/tmp";
  const [given] = options.args;
  const template = given ?? `${folder}/tmp.XXXXXX`;
  if (!template.endsWith("XXXXXX")) die(`${template}: Invalid argument`);
  const random = context.os.random.fork(`mktemp ${context.pid} ${context.os.now()}`);
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const name = template.replace(/X+$/, (all) => [...all].map(() => letters[random.below(letters.length)]).join(""));
  const path = absolutePath(context, name);
  if (options.has("d")) {
    if (!context.files.makeDirectory(path)) die(`${name}: No such file or directory`);
  } else context.files.write(path, "");
  context.stdout.write(`${name}\n`);
  return 0;
});

const realpath: Program = quick((context) => {
  let status = 0;
  for (const name of context.argv.slice(1)) {
    const path = absolutePath(context, name);
    if (isThere(context, path)) context.stdout.write(`${path}\n`);
    else {
      context.stderr.write(`realpath: ${name}: No such file or directory\n`);
      status = 1;
    }
  }
  return status;
});

/** There are no symbolic links: only `-f` finds something. */
const readlink: Program = quick((context) => {
  const options = getopt(context.argv, "fnvsqe");
  const [name] = options.args;
  if (name === undefined) die("");
  if (!options.has("f") && !options.has("e")) return 1;
  context.stdout.write(`${absolutePath(context, name)}${options.has("n") ? "" : "\n"}`);
  return 0;
});

const truncate: Program = quick((context) => {
  const options = getopt(context.argv, "cs:");
  const match = /^(\d+)([kKmM]?)$/.exec(options.text("s") ?? "");
  if (match === null) throw new UsageError(`invalid number '${options.text("s") ?? ""}'`);
  const size = Number(match[1]) * (match[2] === "" ? 1 : match[2]?.toLowerCase() === "k" ? 1024 : 1 << 20);
  for (const name of options.args) {
    const path = absolutePath(context, name);
    const text = context.files.read(path);
    if (text === undefined && options.has("c")) continue;
    context.files.write(path, (text ?? "").slice(0, size).padEnd(size, "\0"));
  }
  return 0;
});

const usleep: Program = tool(function* (context) {
  const span = Number(context.argv[1] ?? "");
  if (!(span >= 0)) throw new UsageError(`invalid number '${context.argv[1] ?? ""}'`);
  yield* sleep(context.os, Math.round(span * 1000));
  return 0;
});

/** `watch [-n SEC] [-t] PROG ARGS`: as often as that, until somebody ends it. */
const watch: Program = tool(function* (context) {
  const options = getopt(context.argv, "n:tde", {}, true);
  const command = options.args.join(" ");
  if (command === "") die("");
  const period = Math.max(100 * MS, (options.number("n") ?? 2) * SEC);
  for (;;) {
    context.stdout.write(CLEAR);
    const head = `Every ${(period / SEC).toFixed(1)}s: ${command}`;
    if (!options.has("t")) context.stdout.write(`${head.padEnd(54)} ${ctime(context.os.now())}\n\n`);
    yield* context.exec(["sh", "-c", command]);
    yield* sleep(context.os, period);
  }
});

/** `find [PATH]… [-name PATTERN] [-type f|d] [-maxdepth N] [-print]`. */
const find: Program = quick((context) => {
  const words = context.argv.slice(1);
  const paths: string[] = [];
  while (words[0] !== undefined && !/^[-!(]/.test(words[0])) paths.push(words.shift() as string);
  let [pattern, type, depth] = ["*", "", Number.POSITIVE_INFINITY];
  while (words.length > 0) {
    const [word, value] = [words.shift() as string, words[0]];
    if (word === "-print") continue;
    if (!["-name", "-type", "-maxdepth"].includes(word)) die(`unrecognized: ${word}`);
    if (value === undefined) die(`option requires an argument: ${word}`);
    words.shift();
    if (word === "-name") pattern = value;
    else if (word === "-type") type = value;
    else depth = Number(value);
  }
  let status = 0;
  const walk = (shown: string, level: number): void => {
    const names = context.files.list(absolutePath(context, shown));
    const fits = type === "" || (type === "d") === (names !== undefined);
    if (fits && matchesPattern(pattern, baseName(shown) || shown)) context.stdout.write(`${shown}\n`);
    if (level < depth) for (const name of names ?? []) walk(`${shown === "/" ? "" : shown}/${name}`, level + 1);
  };
  for (const path of paths.length === 0 ? ["."] : paths) {
    if (isThere(context, absolutePath(context, path))) walk(path, 0);
    else {
      context.stderr.write(`find: ${path}: No such file or directory\n`);
      status = 1;
    }
  }
  return status;
});

/** By name. */
export const EVERYDAY_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["chgrp", change],
  ["chmod", change],
  ["chown", change],
  [
    "clear",
    quick((context) => {
      context.stdout.write(CLEAR);
      return 0;
    }),
  ],
  ["fgrep", (context: ProgramContext) => grep({ ...context, argv: ["fgrep", "-F", ...context.argv.slice(1)] })],
  ["find", find],
  ["mktemp", mktemp],
  ["nice", wrapper("n:")],
  ["nohup", wrapper("")],
  ["readlink", readlink],
  ["realpath", realpath],
  ["setsid", wrapper("c")],
  ["sync", quick(() => 0)],
  ["truncate", truncate],
  [
    "tty",
    quick((context) => {
      context.stdout.write(context.tty ? "/dev/pts/0\n" : "not a tty\n");
      return context.tty ? 0 : 1;
    }),
  ],
  ["usleep", usleep],
  ["watch", watch],
]);
