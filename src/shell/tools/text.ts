/** Text and file tools of busybox's coreutils: cat, head, tail, grep, wc, sort, ls, rm, mkdir … */
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { absolutePath, encode, linesOf, quick, readInput, tool, writeLines } from "../lib/program.ts";

/** Reads each named file, or standard input; missing ones are complained about. */
function* inputs(
  context: ProgramContext,
  names: readonly string[],
  verb = "can't open",
): Proc<{ texts: [string, string][]; failed: boolean }> {
  const texts: [string, string][] = [];
  let failed = false;
  for (const name of names.length === 0 ? ["-"] : names) {
    const text = yield* readInput(context, name);
    if (text !== undefined) texts.push([name, text]);
    else {
      const directory = context.files.list(absolutePath(context, name)) !== undefined;
      const why = directory ? "Is a directory" : "No such file or directory";
      context.stderr.write(`${context.argv[0]}: ${directory ? "read error" : `${verb} '${name}'`}: ${why}\n`);
      failed = true;
    }
  }
  return { texts, failed };
}

const cat: Program = tool(function* (context) {
  const { args } = getopt(context.argv, "un");
  let failed = false;
  for (const name of args.length === 0 ? ["-"] : args) {
    if (name === "-") {
      // Standard input goes through as it comes.
      for (let text = context.stdin.tryRead(); ; text = context.stdin.tryRead()) {
        if (text !== undefined) context.stdout.write(text);
        else if (context.stdin.closed) break;
        else yield { on: [context.stdin] };
      }
      continue;
    }
    const read = yield* inputs(context, [name]);
    for (const [, text] of read.texts) context.stdout.write(text);
    failed ||= read.failed;
  }
  return failed ? 1 : 0;
});

/** `-n 5`, `-5`, `-c 100`. */
function countOf(context: ProgramContext): {
  lines: number;
  bytes: number | undefined;
  fromStart: boolean;
  args: readonly string[];
} {
  const argv = context.argv.map((word) => (/^-\d+$/.test(word) ? `-n${word.slice(1)}` : word));
  const options = getopt(argv, "n:c:qvf");
  const text = options.text("n") ?? "10";
  if (!/^[+-]?\d+$/.test(text)) throw new UsageError(`invalid number '${text}'`);
  return {
    lines: Math.abs(Number(text)),
    bytes: options.number("c"),
    fromStart: text.startsWith("+"),
    args: options.args,
  };
}

const head: Program = tool(function* (context) {
  const { lines, bytes, args } = countOf(context);
  if (args.length === 0) return yield* headOfStdin(context, lines, bytes);
  const { texts, failed } = yield* inputs(context, args);
  for (const [name, text] of texts) {
    if (texts.length > 1) context.stdout.write(`==> ${name} <==\n`);
    if (bytes !== undefined) context.stdout.write(new TextDecoder().decode(encode(text).subarray(0, bytes)));
    else writeLines(context.stdout, linesOf(text).slice(0, lines));
  }
  return failed ? 1 : 0;
});

/** Ends as soon as it has enough, which ends a pipe from `yes`. */
function* headOfStdin(context: ProgramContext, lines: number, bytes: number | undefined): Proc<number> {
  let text = "";
  const enough = () => (bytes === undefined ? text.split("\n").length > lines : encode(text).length >= bytes);
  while (!enough()) {
    const chunk = yield* context.stdin.pop();
    if (chunk === undefined) break;
    text += chunk;
  }
  if (bytes !== undefined) context.stdout.write(new TextDecoder().decode(encode(text).subarray(0, bytes)));
  else writeLines(context.stdout, linesOf(text).slice(0, lines));
  return 0;
}

const tail: Program = tool(function* (context) {
  const { lines, fromStart, args } = countOf(context);
  const { texts, failed } = yield* inputs(context, args);
  for (const [, text] of texts) {
    const all = linesOf(text);
    writeLines(context.stdout, fromStart ? all.slice(lines - 1) : lines === 0 ? [] : all.slice(-lines));
  }
  return failed ? 1 : 0;
});

const grep: Program = tool(function* (context) {
  const options = getopt(context.argv, "ivcnqoEFwxle:hH");
  const args = [...options.args];
  const pattern = options.text("e") ?? args.shift();
  if (pattern === undefined) throw new UsageError("pattern missing");
  let source = options.has("F")
    ? pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    : options.has("E")
      ? pattern
      : basicToExtended(pattern);
  if (options.has("w")) source = `\\b(?:${source})\\b`;
  if (options.has("x")) source = `^(?:${source})$`;
  const matcher = new RegExp(source, options.has("i") ? "gi" : "g");
  const { texts, failed } = yield* inputs(context, args, "");
  let found = 0;
  for (const [name, text] of texts) {
    const prefix = texts.length > 1 && !options.has("h") ? `${name}:` : "";
    let own = 0;
    for (const [at, line] of linesOf(text).entries()) {
      const hits = line.match(matcher);
      if ((hits !== null) === options.has("v")) continue;
      own++;
      if (options.has("q") || options.has("c") || options.has("l")) continue;
      const number = options.has("n") ? `${at + 1}:` : "";
      for (const shown of options.has("o") && hits !== null ? hits : [line])
        context.stdout.write(`${prefix}${number}${shown}\n`);
    }
    if (options.has("c")) context.stdout.write(`${prefix}${own}\n`);
    if (options.has("l") && own > 0) context.stdout.write(`${name}\n`);
    found += own;
  }
  return failed ? 2 : found > 0 ? 0 : 1;
}, 2);

/** Basic regular expressions: `+ ? | ( ) { }` are plain, escaped they are special. */
function basicToExtended(pattern: string): string {
  return pattern.replace(/\\?[+?|(){}]/g, (found) => (found.length === 2 ? (found[1] as string) : `\\${found}`));
}

const wc: Program = tool(function* (context) {
  const options = getopt(context.argv, "lwcm");
  const { texts, failed } = yield* inputs(context, options.args);
  const all = !["l", "w", "c", "m"].some((letter) => options.has(letter));
  const rows = texts.map(([name, text]): [string, number[]] => {
    const counts: number[] = [];
    if (all || options.has("l")) counts.push(text.split("\n").length - 1);
    if (all || options.has("w")) counts.push(text.split(/\s+/).filter((word) => word !== "").length);
    if (all || options.has("c") || options.has("m")) counts.push(encode(text).length);
    return [options.args.length === 0 ? "" : name, counts];
  });
  if (rows.length > 1)
    rows.push([
      "total",
      (rows[0]?.[1] ?? []).map((_, at) => rows.reduce((sum, [, counts]) => sum + (counts[at] as number), 0)),
    ]);
  for (const [name, counts] of rows) {
    const numbers =
      counts.length === 1 ? String(counts[0]) : counts.map((count) => String(count).padStart(9)).join(" ");
    context.stdout.write(`${numbers}${name === "" ? "" : ` ${name}`}\n`);
  }
  return failed ? 1 : 0;
});

const sort: Program = tool(function* (context) {
  const options = getopt(context.argv, "rnuk:t:f");
  const { texts, failed } = yield* inputs(context, options.args);
  const field = Number((options.text("k") ?? "0").split(/[.,n]/)[0]);
  const separator = options.text("t") ?? /\s+/;
  const key = (line: string) => (field > 0 ? (line.split(separator)[field - 1] ?? "") : line);
  const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const numeric = options.has("n") || (options.text("k") ?? "").includes("n");
  const compare = (a: string, b: string) =>
    (numeric ? (Number.parseFloat(key(a)) || 0) - (Number.parseFloat(key(b)) || 0) : byText(key(a), key(b))) ||
    byText(a, b);
  let lines = texts.flatMap(([, text]) => linesOf(text)).sort(compare);
  if (options.has("r")) lines.reverse();
  if (options.has("u")) lines = lines.filter((line, at) => at === 0 || line !== lines[at - 1]);
  writeLines(context.stdout, lines);
  return failed ? 1 : 0;
});

const uniq: Program = tool(function* (context) {
  const options = getopt(context.argv, "cdu");
  const { texts, failed } = yield* inputs(context, options.args.slice(0, 1));
  const groups: [string, number][] = [];
  for (const line of texts.flatMap(([, text]) => linesOf(text))) {
    const last = groups.at(-1);
    if (last?.[0] === line) last[1]++;
    else groups.push([line, 1]);
  }
  const shown = groups.filter(([, count]) => (!options.has("d") || count > 1) && (!options.has("u") || count === 1));
  writeLines(
    context.stdout,
    shown.map(([line, count]) => (options.has("c") ? `${String(count).padStart(7)} ${line}` : line)),
  );
  return failed ? 1 : 0;
});

const cut: Program = tool(function* (context) {
  const options = getopt(context.argv, "d:f:c:s");
  const { texts, failed } = yield* inputs(context, options.args);
  const delimiter = options.text("d") ?? "\t";
  const spec = options.text("f") ?? options.text("c") ?? "1";
  const wanted = (at: number) =>
    spec.split(",").some((part) => {
      const [from = "", to] = part.split("-");
      return to === undefined
        ? at === Number(from)
        : at >= Number(from || 1) && at <= Number(to || Number.MAX_SAFE_INTEGER);
    });
  for (const line of texts.flatMap(([, text]) => linesOf(text))) {
    const parts = options.has("c") ? [...line] : line.split(delimiter);
    const kept = parts.length === 1 && !options.has("c") ? parts : parts.filter((_, at) => wanted(at + 1));
    context.stdout.write(`${kept.join(options.has("c") ? "" : delimiter)}\n`);
  }
  return failed ? 1 : 0;
});

const ls: Program = quick((context) => {
  const options = getopt(context.argv, "la1AdhRtr");
  let status = 0;
  const names = options.args.length === 0 ? ["."] : options.args;
  for (const name of names) {
    const full = absolutePath(context, name);
    const entries = context.files.list(full);
    if (entries === undefined && context.files.read(full) === undefined) {
      context.stderr.write(`ls: ${name}: No such file or directory\n`);
      status = 1;
      continue;
    }
    if (names.length > 1 && entries !== undefined) context.stdout.write(`${name}:\n`);
    const shown = (entries ?? [name]).filter((entry) => options.has("a") || options.has("A") || !entry.startsWith("."));
    const parent = entries === undefined ? "" : full === "/" ? "/" : `${full}/`;
    const line = (entry: string) =>
      options.has("l") ? longLine(context, absolutePath(context, `${parent}${entry}`), entry) : entry;
    if (options.has("l") && entries !== undefined) context.stdout.write("total 0\n");
    // On a terminal short listings stand in one line of columns.
    if (context.tty && !options.has("l") && !options.has("1") && shown.length > 0) {
      const width = Math.max(...shown.map((entry) => entry.length)) + 2;
      const columns = Math.max(1, Math.floor(80 / width));
      const rows = Math.ceil(shown.length / columns);
      for (let row = 0; row < rows; row++) {
        const cells = shown.filter((_, at) => at % rows === row);
        context.stdout.write(
          `${cells
            .map((cell) => cell.padEnd(width))
            .join("")
            .trimEnd()}\n`,
        );
      }
    } else writeLines(context.stdout, shown.map(line));
  }
  return status;
});

function longLine(context: ProgramContext, path: string, name: string): string {
  const text = context.files.read(path);
  const mode =
    text === undefined
      ? "drwxr-xr-x    1 root     root          4096"
      : `-rw-r--r--    1 root     root     ${String(encode(text).length).padStart(9)}`;
  return `${mode} Jan  1 00:00 ${name}`;
}

const rm: Program = quick((context) => {
  const options = getopt(context.argv, "rRf");
  let status = 0;
  for (const name of options.args) {
    const full = absolutePath(context, name);
    const below = context.files.list(full);
    if (below !== undefined && (options.has("r") || options.has("R"))) {
      const remove = (path: string): void => {
        for (const entry of context.files.list(path) ?? []) {
          if (!context.files.remove(`${path}/${entry}`)) remove(`${path}/${entry}`);
        }
      };
      remove(full);
    } else if (!context.files.remove(full) && !options.has("f")) {
      const why = below === undefined ? "No such file or directory" : "is a directory";
      context.stderr.write(below === undefined ? `rm: can't remove '${name}': ${why}\n` : `rm: '${name}' ${why}\n`);
      status = 1;
    }
  }
  return status;
});

const touch: Program = quick((context) => {
  for (const name of getopt(context.argv, "c").args) {
    const full = absolutePath(context, name);
    if (context.files.read(full) === undefined) context.files.write(full, "");
  }
  return 0;
});

const tee: Program = tool(function* (context) {
  const options = getopt(context.argv, "a");
  const text = yield* context.stdin.readAll();
  context.stdout.write(text);
  for (const name of options.args) {
    const full = absolutePath(context, name);
    context.files.write(full, (options.has("a") ? (context.files.read(full) ?? "") : "") + text);
  }
  return 0;
});

export const TEXT_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["cat", cat],
  ["cut", cut],
  ["grep", grep],
  ["head", head],
  ["ls", ls],
  ["rm", rm],
  ["sort", sort],
  ["tail", tail],
  ["tee", tee],
  ["touch", touch],
  ["uniq", uniq],
  ["wc", wc],
]);
