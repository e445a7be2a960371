/** Text tools of busybox's coreutils: cat, head, tail, grep, wc, sort, cut, tr … They take lines as they come. */
import { OutOfMemory } from "../../base/errors.ts";
import { MS } from "../../base/time.ts";
import { grown, MOST_TEXT, type Program, type ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { eachInput, eachLine, flush, type Input, openInput } from "../lib/input.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { absolutePath, decodeBytes, die, encode, linesOf, tool, writeLines } from "../lib/program.ts";
import { bracketClasses } from "../sh/pattern.ts";
import { grep } from "./grep.ts";

/** What a line takes beside its text when it is kept. */
const POINTER = 32;
/** How often `tail -f` looks for more (its default is a second). */
const FOLLOW = 1000 * MS;

function* readAll(input: Input): Proc<string> {
  let all = "";
  for (let text = yield* input.read(); text !== undefined; text = yield* input.read()) all = grown(all, text);
  return all;
}

const cat: Program = tool(function* (context) {
  const options = getopt(context.argv, "unvet");
  let line = 0;
  let fresh = true;
  const failed = yield* eachInput(context, options.args, function* (input) {
    for (let text = yield* input.read(); text !== undefined; text = yield* input.read()) {
      let shown = text;
      if (options.has("n")) {
        shown = "";
        for (const part of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
          shown += `${fresh ? `${String(++line).padStart(6)}\t` : ""}${part}`;
          fresh = part.endsWith("\n");
        }
      }
      context.stdout.write(shown);
      yield* flush(context);
    }
    return undefined;
  });
  return failed ? 1 : 0;
});

/** `-n 5`, `-5`, `-c 100`, `+3`. */
function countOf(context: ProgramContext): {
  lines: number;
  bytes: number | undefined;
  fromStart: boolean;
  quiet: boolean;
  follow: boolean;
  args: readonly string[];
} {
  const argv = context.argv.map((word) => (/^-\d+$/.test(word) ? `-n${word.slice(1)}` : word));
  const options = getopt(argv, "n:c:qvfF");
  const text = options.text("c") ?? options.text("n") ?? "10";
  if (!/^[+-]?\d+[kKm]?$/.test(text)) throw new UsageError(`invalid number '${text}'`);
  const unit = { k: 1024, K: 1024, m: 1 << 20 }[text.at(-1) as "k"] ?? 1;
  const count = Math.abs(Number.parseInt(text, 10)) * unit;
  return {
    lines: count,
    bytes: options.has("c") ? count : undefined,
    fromStart: text.startsWith("+"),
    quiet: options.has("q"),
    follow: options.has("f") || options.has("F"),
    args: options.args,
  };
}

const head: Program = tool(function* (context) {
  const { lines, bytes, args, quiet } = countOf(context);
  const failed = yield* eachInput(context, args, function* (input, name, index) {
    if (args.length > 1 && !quiet) context.stdout.write(`${index > 0 ? "\n" : ""}==> ${name} <==\n`);
    if (bytes === undefined) {
      for (let left = lines; left > 0; left--) {
        const line = yield* input.readLine();
        if (line === undefined) break;
        context.stdout.write(`${line}\n`);
      }
      return undefined;
    }
    for (let left = bytes; left > 0; ) {
      const text = yield* input.read();
      if (text === undefined) break;
      const data = encode(text);
      context.stdout.write(data.length <= left ? text : decodeBytes(data.subarray(0, left)));
      left -= data.length;
      yield* flush(context);
    }
    return undefined;
  });
  return failed ? 1 : 0;
});

const tail: Program = tool(function* (context) {
  const { lines, bytes, fromStart, args, quiet, follow } = countOf(context);
  const failed = yield* eachInput(context, args, function* (input, name, index) {
    if (args.length > 1 && !quiet) context.stdout.write(`${index > 0 ? "\n" : ""}==> ${name} <==\n`);
    const text = yield* readAll(input);
    if (bytes !== undefined) {
      const data = encode(text);
      context.stdout.write(
        decodeBytes(fromStart ? data.subarray(bytes - 1) : data.subarray(Math.max(0, data.length - bytes))),
      );
      return undefined;
    }
    const all = linesOf(text);
    writeLines(context.stdout, fromStart ? all.slice(Math.max(0, lines - 1)) : lines === 0 ? [] : all.slice(-lines));
    return undefined;
  });
  if (follow && args[0] !== undefined) yield* followFile(context, args[0]);
  return failed ? 1 : 0;
});

/** What is added to a file, until somebody ends it. */
function* followFile(context: ProgramContext, name: string): Proc<never> {
  const path = absolutePath(context, name);
  let shown = context.files.read(path)?.length ?? 0;
  for (;;) {
    const until = context.os.now() + FOLLOW;
    while (context.os.now() < until) yield { until };
    const text = context.files.read(path) ?? "";
    if (text.length < shown) {
      context.stderr.write(`tail: ${name} has become smaller\n`);
      shown = 0;
    }
    if (text.length > shown) context.stdout.write(text.slice(shown));
    shown = text.length;
  }
}

const wc: Program = tool(function* (context) {
  const options = getopt(context.argv, "lwcmL");
  const all = !["l", "w", "c", "m"].some((letter) => options.has(letter));
  const rows: [string, number[]][] = [];
  const failed = yield* eachInput(
    context,
    options.args,
    function* (input, name) {
      let [lines, words, bytes] = [0, 0, 0];
      let inWord = false;
      for (let text = yield* input.read(); text !== undefined; text = yield* input.read()) {
        bytes += encode(text).length;
        for (const char of text) {
          if (char === "\n") lines++;
          const blank = char === " " || char === "\n" || char === "\t" || char === "\r";
          if (!blank && !inWord) words++;
          inWord = !blank;
        }
      }
      const counts: number[] = [];
      if (all || options.has("l")) counts.push(lines);
      if (all || options.has("w")) counts.push(words);
      if (all || options.has("c") || options.has("m")) counts.push(bytes);
      rows.push([options.args.length === 0 ? "" : name, counts]);
      return undefined;
    },
    { verb: "" },
  );
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
  const all: string[] = [];
  let held = 0;
  const failed = yield* eachLine(context, options.args, (line) => {
    all.push(line);
    held += line.length + POINTER;
    if (held > MOST_TEXT) throw new OutOfMemory();
    return undefined;
  });
  const field = Number((options.text("k") ?? "0").split(/[.,n]/)[0]);
  const separator = options.text("t") ?? /\s+/;
  const key = (line: string) => (field > 0 ? (line.split(separator)[field - 1] ?? "") : line);
  const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const numeric = options.has("n") || (options.text("k") ?? "").includes("n");
  const compare = (a: string, b: string) =>
    (numeric ? (Number.parseFloat(key(a)) || 0) - (Number.parseFloat(key(b)) || 0) : byText(key(a), key(b))) ||
    byText(a, b);
  let lines = all.sort(compare);
  if (options.has("r")) lines.reverse();
  if (options.has("u")) lines = lines.filter((line, at) => at === 0 || line !== lines[at - 1]);
  writeLines(context.stdout, lines);
  return failed ? 1 : 0;
});

const uniq: Program = tool(function* (context) {
  const options = getopt(context.argv, "cdu");
  let group: { readonly line: string; count: number } | undefined;
  const end = (): void => {
    if (group === undefined) return;
    const { line, count } = group;
    if ((options.has("d") && count === 1) || (options.has("u") && count > 1)) return;
    context.stdout.write(options.has("c") ? `${String(count).padStart(7)} ${line}\n` : `${line}\n`);
  };
  const failed = yield* eachLine(context, options.args.slice(0, 1), (line) => {
    if (group?.line === line) group.count++;
    else {
      end();
      group = { line, count: 1 };
    }
    return undefined;
  });
  end();
  return failed ? 1 : 0;
});

const cut: Program = tool(function* (context) {
  const options = getopt(context.argv, "d:f:c:s");
  const delimiter = options.text("d") ?? "\t";
  const spec = options.text("f") ?? options.text("c") ?? "1";
  const wanted = (at: number) =>
    spec.split(",").some((part) => {
      const [from = "", to] = part.split("-");
      return to === undefined
        ? at === Number(from)
        : at >= Number(from || 1) && at <= Number(to || Number.MAX_SAFE_INTEGER);
    });
  const failed = yield* eachLine(context, options.args, (line) => {
    const parts = options.has("c") ? [...line] : line.split(delimiter);
    if (parts.length === 1 && !options.has("c") && options.has("s")) return undefined;
    const kept = parts.length === 1 && !options.has("c") ? parts : parts.filter((_, at) => wanted(at + 1));
    context.stdout.write(`${kept.join(options.has("c") ? "" : delimiter)}\n`);
    return undefined;
  });
  return failed ? 1 : 0;
});

const tee: Program = tool(function* (context) {
  const options = getopt(context.argv, "ai");
  const paths = options.args.map((name) => absolutePath(context, name));
  for (const path of paths) context.files.write(path, options.has("a") ? (context.files.read(path) ?? "") : "");
  for (let text = yield* context.stdin.read(); text !== undefined; text = yield* context.stdin.read()) {
    for (const path of paths) context.files.write(path, (context.files.read(path) ?? "") + text);
    context.stdout.write(text);
    yield* flush(context);
  }
  return 0;
});

/** The characters of a tr set: ranges, classes, escapes. */
function setOf(text: string): string[] {
  const out: string[] = [];
  const plain = text.replace(/\[:([a-z]+):\]/g, (_, name: string) => {
    const matcher = new RegExp(`[${bracketClasses(`[:${name}:]`)}]`);
    return Array.from({ length: 128 }, (__, code) => String.fromCharCode(code))
      .filter((char) => matcher.test(char))
      .join("")
      .replaceAll("\\", "\\\\")
      .replaceAll("-", "\\-");
  });
  const escapes: Record<string, string> = { n: "\n", t: "\t", r: "\r", "\\": "\\", "0": "\0" };
  const chars: { char: string; plain: boolean }[] = [];
  for (let at = 0; at < plain.length; at++) {
    const escaped = plain[at] === "\\" && at + 1 < plain.length;
    const char = escaped ? (escapes[plain[at + 1] as string] ?? (plain[at + 1] as string)) : (plain[at] as string);
    chars.push({ char, plain: !escaped });
    if (escaped) at++;
  }
  for (let at = 0; at < chars.length; at++) {
    const { char } = chars[at] as { char: string };
    const end = chars[at + 2];
    if (chars[at + 1]?.char === "-" && chars[at + 1]?.plain === true && end !== undefined) {
      for (let code = char.charCodeAt(0); code <= end.char.charCodeAt(0); code++) out.push(String.fromCharCode(code));
      at += 2;
    } else out.push(char);
  }
  return out;
}

const tr: Program = tool(function* (context) {
  const options = getopt(context.argv, "cCds", {}, true);
  const [first, second] = options.args;
  if (first === undefined) throw new UsageError("missing operand");
  const from = setOf(first);
  const to = second === undefined ? [] : setOf(second);
  const complement = options.has("c") || options.has("C");
  const inFirst = (char: string) => from.includes(char) !== complement;
  const squeezed =
    second === undefined || options.has("d")
      ? second === undefined
        ? inFirst
        : (char: string) => to.includes(char)
      : (char: string) => to.includes(char);
  let last = "";
  for (let text = yield* context.stdin.read(); text !== undefined; text = yield* context.stdin.read()) {
    let out = "";
    for (const char of text) {
      let shown = char;
      if (inFirst(char)) {
        if (options.has("d")) continue;
        if (to.length > 0)
          shown = complement ? (to.at(-1) as string) : (to[Math.min(from.indexOf(char), to.length - 1)] as string);
      }
      if (options.has("s") && shown === last && squeezed(shown)) continue;
      last = shown;
      out += shown;
    }
    context.stdout.write(out);
    yield* flush(context);
  }
  return 0;
});

const rev: Program = tool(function* (context) {
  const failed = yield* eachLine(context, context.argv.slice(1), (line) => {
    context.stdout.write(`${[...line].reverse().join("")}\n`);
    return undefined;
  });
  return failed ? 1 : 0;
});

/** `xargs [-n N] [-I TEXT] PROG ARG…` */
const xargs: Program = tool(function* (context) {
  const options = getopt(context.argv, "n:I:tr0p", {}, true);
  const command = options.args.length === 0 ? ["echo"] : options.args;
  const text = yield* context.stdin.readAll();
  const place = options.text("I");
  const words =
    place !== undefined
      ? linesOf(text).filter((line) => line !== "")
      : text.split(options.has("0") ? "\0" : /\s+/).filter((word) => word !== "");
  const size = place !== undefined ? 1 : (options.number("n") ?? Math.max(1, words.length));
  let status = 0;
  if (words.length === 0 && !options.has("r") && place === undefined) status = yield* context.exec(command);
  for (let at = 0; at < words.length; at += size) {
    const part = words.slice(at, at + size);
    const argv =
      place === undefined ? [...command, ...part] : command.map((word) => word.replaceAll(place, part[0] as string));
    if (options.has("t")) context.stderr.write(`${argv.join(" ")}\n`);
    const own = yield* context.exec(argv);
    if (own === 127) {
      context.stderr.write(`xargs: can't execute '${argv[0]}': No such file or directory\n`);
      return 127;
    }
    if (own !== 0) status = 123;
  }
  return status;
});

/** `hexdump -C` and `xxd`. */
const hexdump: Program = tool(function* (context) {
  const options = getopt(context.argv, "Cvn:s:");
  const name = options.args[0] ?? "-";
  const input = openInput(context, name);
  if (input === undefined) die(`${name}: No such file or directory`);
  let data = encode(yield* readAll(input));
  data = data.subarray(options.number("s") ?? 0);
  data = data.subarray(0, options.number("n") ?? data.length);
  for (let at = 0; at < data.length; at += 16) {
    const row = Array.from(data.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, "0"));
    const shown = Array.from(data.subarray(at, at + 16), (byte) =>
      byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".",
    ).join("");
    context.stdout.write(
      `${at.toString(16).padStart(8, "0")}  ${`${row.slice(0, 8).join(" ")}  ${row.slice(8).join(" ")}`.padEnd(49)} |${shown}|\n`,
    );
  }
  if (data.length > 0) context.stdout.write(`${data.length.toString(16).padStart(8, "0")}\n`);
  return 0;
});

/** Tools for text, by name. */
export const TEXT_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["cat", cat],
  ["cut", cut],
  ["egrep", grep],
  ["grep", grep],
  ["head", head],
  ["hexdump", hexdump],
  ["rev", rev],
  ["sort", sort],
  ["tail", tail],
  ["tee", tee],
  ["tr", tr],
  ["uniq", uniq],
  ["wc", wc],
  ["xargs", xargs],
]);
