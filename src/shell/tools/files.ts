/** Tools over files and standard input: cat, ls, head, tail, wc, md5sum's kin, mkdir, rm, cp, touch. */
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { appletName, getopt, parseNumber, resolvePath, tool } from "../lib/tool.ts";
import { immediate } from "./basic.ts";

/** A file's text; undefined when there is none. */
export function readFile(context: ProgramContext, name: string): string | undefined {
  const path = resolvePath(context.cwd, name);
  return path === "/dev/null" ? "" : context.files.read(path);
}

/** Why a file can't be read, as strerror(3) has it. */
export function whyNot(context: ProgramContext, name: string): string {
  return context.files.list(resolvePath(context.cwd, name)) === undefined
    ? "No such file or directory"
    : "Is a directory";
}

/** Text of each operand, `-` being standard input; what is missing is reported as `TOOL: NAME: No such …` and gives false. */
export function* inputs(
  context: ProgramContext,
  names: readonly string[],
  use: (text: string, name: string) => void,
): Proc<boolean> {
  let fine = true;
  for (const name of names.length === 0 ? ["-"] : names) {
    const text = name === "-" ? yield* context.stdin.readAll() : readFile(context, name);
    if (text !== undefined) use(text, name);
    else {
      context.stderr.write(`${appletName(context)}: ${cannotOpen(context, name)}\n`);
      fine = false;
    }
  }
  return fine;
}

function cannotOpen(context: ProgramContext, name: string): string {
  const why = whyNot(context, name);
  return why === "Is a directory" ? "read error: Is a directory" : `can't open '${name}': ${why}`;
}

function* catMain(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "nbveAstu", { number: "n" });
  let line = 0;
  const number = (text: string): string =>
    options.has("n") || options.has("b")
      ? text.replace(/^(.*\n|.+$)/gm, (all) =>
          options.has("b") && all === "\n" ? all : `${String(++line).padStart(6)}\t${all}`,
        )
      : text;
  let status = 0;
  for (const name of options.rest.length === 0 ? ["-"] : options.rest) {
    if (name === "-" || name === "/dev/stdin") {
      // Chunk by chunk, so that what is typed is seen at once.
      for (;;) {
        const chunk = context.stdin.tryRead() ?? (yield* context.stdin.pop());
        if (chunk === undefined) break;
        context.stdout.write(number(chunk));
      }
      continue;
    }
    const text = readFile(context, name);
    if (text !== undefined) context.stdout.write(number(text));
    else {
      context.stderr.write(`${appletName(context)}: ${cannotOpen(context, name)}\n`);
      status = 1;
    }
  }
  return status;
}

export const cat: Program = tool(catMain);

/** ls: names one a line unless the output is a terminal, where they stand in columns. */
export const ls: Program = immediate((context) => {
  const options = getopt(context.argv, "1alAdhRtrSFCn");
  const { files, stdout, stderr } = context;
  let status = 0;
  const operands = options.rest.length === 0 ? ["."] : options.rest;
  for (const name of operands) {
    const path = resolvePath(context.cwd, name);
    const text = path === "/" ? undefined : files.read(path);
    let entries = text !== undefined || options.has("d") ? [name] : files.list(path);
    if (entries === undefined) {
      if (path === "/" || path === context.cwd) entries = [];
      else {
        stderr.write(`ls: ${name}: No such file or directory\n`);
        status = 1;
        continue;
      }
    }
    if (text === undefined && operands.length > 1) stdout.write(`${operands.indexOf(name) > 0 ? "\n" : ""}${name}:\n`);
    const shown = entries.filter(
      (entry) => options.has("a") || options.has("A") || !entry.startsWith(".") || text !== undefined,
    );
    if (options.has("r")) shown.reverse();
    if (options.has("l"))
      for (const entry of shown)
        stdout.write(`${longEntry(context, text !== undefined ? path : `${path}/${entry}`, entry)}\n`);
    else if (shown.length > 0)
      stdout.write(context.tty && !options.has("1") ? columns(shown) : `${shown.join("\n")}\n`);
  }
  return status;
});

function longEntry(context: ProgramContext, path: string, name: string): string {
  const text = context.files.read(resolvePath("/", path));
  const size = text === undefined ? 4096 : new TextEncoder().encode(text).length;
  return `${text === undefined ? "drwxr-xr-x" : "-rw-r--r--"}    1 root     root     ${String(size).padStart(9)} Jan  1 00:00 ${name}`;
}

/** Columns on a terminal of 80, top to bottom. */
function columns(names: readonly string[]): string {
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const across = Math.max(1, Math.floor(80 / width));
  const rows = Math.ceil(names.length / across);
  let out = "";
  for (let row = 0; row < rows; row++) {
    const line: string[] = [];
    for (let i = row; i < names.length; i += rows) line.push((names[i] as string).padEnd(width));
    out += `${line.join("").trimEnd()}\n`;
  }
  return out;
}

function* headMain(context: ProgramContext): Proc<number> {
  const argv = context.argv.map((word) => (/^-\d+$/.test(word) ? `-n${word.slice(1)}` : word));
  const options = getopt(argv, "n:c:q", { lines: "n", bytes: "c" });
  const count = parseNumber(options.get("c") ?? options.get("n") ?? "10");
  const many = options.rest.length > 1;
  let first = true;
  const fine = yield* inputs(context, options.rest, (text, name) => {
    if (many && !options.has("q")) context.stdout.write(`${first ? "" : "\n"}==> ${name} <==\n`);
    first = false;
    context.stdout.write(
      options.has("c")
        ? text.slice(0, count)
        : text
            .split(/(?<=\n)/)
            .slice(0, count)
            .join(""),
    );
  });
  return fine ? 0 : 1;
}

export const head: Program = tool(headMain);

function* tailMain(context: ProgramContext): Proc<number> {
  const argv = context.argv.map((word) => (/^-\d+$/.test(word) ? `-n${word.slice(1)}` : word));
  const options = getopt(argv, "n:c:fFq", { lines: "n", bytes: "c", follow: "f" });
  const asked = options.get("c") ?? options.get("n") ?? "10";
  const fromStart = asked.startsWith("+");
  const count = parseNumber(asked.replace(/^[-+]/, ""));
  const cut = (text: string): string => {
    if (options.has("c")) return fromStart ? text.slice(count - 1) : count === 0 ? "" : text.slice(-count);
    const lines = text.split(/(?<=\n)/);
    return (fromStart ? lines.slice(Math.max(0, count - 1)) : count === 0 ? [] : lines.slice(-count)).join("");
  };
  const fine = yield* inputs(context, options.rest, (text) => context.stdout.write(cut(text)));
  if (!options.has("f") && !options.has("F")) return fine ? 0 : 1;
  const name = options.rest.at(-1);
  if (name === undefined || !fine) return 1;
  let seen = readFile(context, name)?.length ?? 0;
  for (;;) {
    yield { until: context.os.now() + 1e9 };
    const text = readFile(context, name) ?? "";
    if (text.length > seen) context.stdout.write(text.slice(seen));
    seen = text.length;
  }
}

export const tail: Program = tool(tailMain);

function* wcMain(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "lwcm", { lines: "l", words: "w", bytes: "c", chars: "m" });
  const wanted = ["l", "w", "c", "m"].filter((key) => options.has(key));
  const keys = wanted.length === 0 ? ["l", "w", "c"] : wanted;
  const totals = new Map<string, number>();
  const print = (counts: ReadonlyMap<string, number>, name: string): void => {
    const single = keys.length === 1;
    const numbers = keys.map((key) => (single ? String(counts.get(key)) : String(counts.get(key)).padStart(9)));
    context.stdout.write(`${numbers.join(" ")}${name === "-" ? "" : ` ${name}`}\n`);
  };
  const fine = yield* inputs(context, options.rest, (text, name) => {
    const counts = new Map([
      ["l", text.split("\n").length - 1],
      ["w", text.split(/\s+/).filter((word) => word !== "").length],
      ["c", new TextEncoder().encode(text).length],
      ["m", [...text].length],
    ]);
    for (const [key, value] of counts) totals.set(key, (totals.get(key) ?? 0) + value);
    print(counts, name);
  });
  if (options.rest.length > 1) print(totals, "total");
  return fine ? 0 : 1;
}

export const wc: Program = tool(wcMain);

export const rm: Program = immediate((context) => {
  const options = getopt(context.argv, "fri", { force: "f", recursive: "r" });
  let status = 0;
  for (const name of options.rest) {
    const path = resolvePath(context.cwd, name);
    if (context.files.remove(path)) continue;
    const inside = context.files.list(path);
    if (inside !== undefined && options.has("r")) removeTree(context, path);
    else if (inside !== undefined) {
      context.stderr.write(`rm: '${name}' is a directory\n`);
      status = 1;
    } else if (!options.has("f")) {
      context.stderr.write(`rm: can't remove '${name}': No such file or directory\n`);
      status = 1;
    }
  }
  return status;
});

function removeTree(context: ProgramContext, path: string): void {
  for (const name of context.files.list(path) ?? []) {
    const child = `${path === "/" ? "" : path}/${name}`;
    if (!context.files.remove(child)) removeTree(context, child);
  }
}

export const touch: Program = immediate((context) => {
  for (const name of getopt(context.argv, "cam").rest) {
    const path = resolvePath(context.cwd, name);
    if (context.files.read(path) === undefined) context.files.write(path, "");
  }
  return 0;
});
