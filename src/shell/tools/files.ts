/** File tools of busybox's coreutils: ls, rm, mkdir, cp, mv, dd, which, basename … */
import { SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { DEVICES } from "../lib/devices.ts";
import { BLOCK_TIME, flush, type Input, openInput } from "../lib/input.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { absolutePath, baseName, decodeBytes, die, encode, quick, tool, writeLines } from "../lib/program.ts";

const BIN = /^\/(?:usr\/)?s?bin\//;

function exists(context: ProgramContext, path: string): boolean {
  return context.files.read(path) !== undefined || context.files.list(path) !== undefined || DEVICES.has(path);
}

/** Names in a directory, those of /dev with its devices. */
function namesIn(context: ProgramContext, path: string): string[] | undefined {
  const names = context.files.list(path);
  if (path !== "/dev" || names === undefined) return names;
  return [...new Set([...names, ...[...DEVICES.keys()].map(baseName)])].sort();
}

const ls: Program = quick((context) => {
  const options = getopt(context.argv, "la1AdhRtrSi");
  let status = 0;
  const names = options.args.length === 0 ? ["."] : options.args;
  const files: string[] = [];
  const directories: string[] = [];
  for (const name of names) {
    const path = absolutePath(context, name);
    if (!exists(context, path)) {
      context.stderr.write(`ls: ${name}: No such file or directory\n`);
      status = 1;
    } else if (options.has("d") || namesIn(context, path) === undefined) files.push(name);
    else directories.push(name);
  }
  const long = options.has("l");
  const show = (entries: readonly string[], parent: string) => {
    const ordered = options.has("r") ? [...entries].reverse() : entries;
    if (long)
      writeLines(
        context.stdout,
        ordered.map((entry) => longLine(context, absolutePath(context, parent + entry), entry)),
      );
    else if (context.tty && !options.has("1")) writeColumns(context, ordered);
    else writeLines(context.stdout, ordered);
  };
  show(files, "");
  for (const [index, name] of directories.entries()) {
    if (names.length > 1) context.stdout.write(`${index > 0 || files.length > 0 ? "\n" : ""}${name}:\n`);
    const path = absolutePath(context, name);
    const all = (namesIn(context, path) ?? []).filter(
      (entry) => options.has("a") || options.has("A") || !entry.startsWith("."),
    );
    if (long) context.stdout.write(`total ${4 * all.length}\n`);
    show(options.has("a") ? [".", "..", ...all] : all, path === "/" ? "/" : `${path}/`);
  }
  return status;
});

/** On a terminal short listings stand in columns. */
function writeColumns(context: ProgramContext, entries: readonly string[]): void {
  if (entries.length === 0) return;
  const width = Math.max(...entries.map((entry) => entry.length)) + 2;
  const columns = Math.max(1, Math.floor(80 / width));
  const rows = Math.ceil(entries.length / columns);
  for (let row = 0; row < rows; row++) {
    const cells = entries.filter((_, at) => at % rows === row);
    context.stdout.write(
      `${cells
        .map((cell) => cell.padEnd(width))
        .join("")
        .trimEnd()}\n`,
    );
  }
}

function longLine(context: ProgramContext, path: string, name: string): string {
  const device = DEVICES.get(path);
  const date = "Jan  1 00:00";
  if (device !== undefined)
    return `crw-rw-rw-    1 root     root      ${String(device[0]).padStart(3)}, ${String(device[1]).padStart(3)} ${date} ${name}`;
  const text = context.files.read(path);
  if (text === undefined) return `drwxr-xr-x    1 root     root          4096 ${date} ${name}`;
  // A container's programs are links to one (busybox).
  const link =
    BIN.test(path) && text.startsWith("\u007fELF") && context.files.read("/etc/debian_version") === undefined;
  if (link) return `lrwxrwxrwx    1 root     root            12 ${date} ${name} -> /bin/busybox`;
  return `-rw-r--r--    1 root     root     ${String(encode(text).length).padStart(9)} ${date} ${name}`;
}

/** Removes a directory and all that is in it. */
function removeTree(context: ProgramContext, path: string): void {
  for (const entry of context.files.list(path) ?? []) {
    if (!context.files.remove(`${path}/${entry}`)) removeTree(context, `${path}/${entry}`);
  }
  context.files.removeDirectory(path);
}

const rm: Program = quick((context) => {
  const options = getopt(context.argv, "rRfi");
  if (options.args.length === 0 && !options.has("f")) throw new UsageError("missing operand");
  let status = 0;
  for (const name of options.args) {
    const path = absolutePath(context, name);
    const directory = context.files.list(path) !== undefined;
    if (directory && (options.has("r") || options.has("R"))) {
      if (path === "/") die("can't remove '/': Device or resource busy");
      removeTree(context, path);
    } else if (!context.files.remove(path) && (directory || !options.has("f"))) {
      context.stderr.write(
        directory ? `rm: '${name}' is a directory\n` : `rm: can't remove '${name}': No such file or directory\n`,
      );
      status = 1;
    }
  }
  return status;
});

const mkdir: Program = quick((context) => {
  const options = getopt(context.argv, "pm:");
  if (options.args.length === 0) throw new UsageError("missing operand");
  let status = 0;
  for (const name of options.args) {
    const path = absolutePath(context, name);
    if (options.has("p")) {
      const parts = path.split("/").slice(1);
      parts.forEach((_, at) => void context.files.makeDirectory(`/${parts.slice(0, at + 1).join("/")}`));
      if (context.files.list(path) !== undefined) continue;
    } else if (context.files.makeDirectory(path)) continue;
    const why = exists(context, path) ? "File exists" : "No such file or directory";
    context.stderr.write(`mkdir: can't create directory '${name}': ${why}\n`);
    status = 1;
  }
  return status;
});

const rmdir: Program = quick((context) => {
  let status = 0;
  for (const name of getopt(context.argv, "p").args) {
    const path = absolutePath(context, name);
    if (context.files.removeDirectory(path)) continue;
    const entries = context.files.list(path);
    const why =
      entries !== undefined
        ? "Directory not empty"
        : context.files.read(path) === undefined
          ? "No such file or directory"
          : "Not a directory";
    context.stderr.write(`rmdir: '${name}': ${why}\n`);
    status = 1;
  }
  return status;
});

const touch: Program = quick((context) => {
  const options = getopt(context.argv, "cam");
  let status = 0;
  for (const name of options.args) {
    const path = absolutePath(context, name);
    if (exists(context, path) || options.has("c")) continue;
    if (context.files.list(path.slice(0, path.lastIndexOf("/")) || "/") !== undefined) context.files.write(path, "");
    else {
      context.stderr.write(`touch: ${name}: No such file or directory\n`);
      status = 1;
    }
  }
  return status;
});

/** Where `cp` and `mv` put a source: into the target if that is a directory. */
function destination(context: ProgramContext, source: string, target: string): string {
  const path = absolutePath(context, target);
  return context.files.list(path) === undefined
    ? path
    : `${path === "/" ? "" : path}/${baseName(absolutePath(context, source))}`;
}

function copyTree(context: ProgramContext, from: string, to: string): void {
  const text = context.files.read(from);
  if (text !== undefined) {
    context.files.write(to, text);
    return;
  }
  const names = context.files.list(from) ?? [];
  context.files.makeDirectory(to);
  for (const name of names) copyTree(context, `${from}/${name}`, `${to}/${name}`);
}

const transfer = (moves: boolean): Program =>
  quick((context) => {
    const options = getopt(context.argv, moves ? "fin" : "rRafpdLPi");
    const target = options.args.at(-1);
    const sources = options.args.slice(0, -1);
    if (target === undefined || sources.length === 0) throw new UsageError("missing operand");
    const name = context.argv[0];
    const into = context.files.list(absolutePath(context, target)) !== undefined;
    if (sources.length > 1 && !into) die(`target '${target}' is not a directory`);
    let status = 0;
    const complain = (message: string) => {
      context.stderr.write(`${name}: ${message}\n`);
      status = 1;
    };
    for (const source of sources) {
      const from = absolutePath(context, source);
      const to = destination(context, source, target);
      const parent = to.slice(0, to.lastIndexOf("/")) || "/";
      const directory = context.files.list(from) !== undefined;
      if (!directory && context.files.read(from) === undefined)
        complain(
          moves
            ? `can't rename '${source}': No such file or directory`
            : `can't stat '${source}': No such file or directory`,
        );
      else if (directory && !moves && !["r", "R", "a"].some((letter) => options.has(letter)))
        complain(`omitting directory '${source}'`);
      else if (context.files.list(parent) === undefined)
        complain(
          moves
            ? `can't rename '${source}': No such file or directory`
            : `can't create '${target}': No such file or directory`,
        );
      else if (from === to) complain(`'${source}' and '${target}' are the same file`);
      else {
        copyTree(context, from, to);
        if (!moves) continue;
        if (directory) removeTree(context, from);
        else context.files.remove(from);
      }
    }
    return status;
  });

/** `1k`, `4M`, `512`: dd's numbers. */
function sizeOf(text: string): number {
  const match = /^(\d+)(c|w|b|k|K|kB|M|MB|MiB|G|GB)?$/.exec(text);
  if (match === null) die(`invalid number '${text}'`);
  const units: Record<string, number> = {
    c: 1,
    w: 2,
    b: 512,
    k: 1024,
    K: 1024,
    kB: 1000,
    M: 1 << 20,
    MiB: 1 << 20,
    MB: 1e6,
    G: 1 << 30,
    GB: 1e9,
  };
  return Number(match[1]) * (units[match[2] ?? "c"] ?? 1);
}

/** Full blocks of an input. */
class BlockReader {
  readonly #input: Input;
  readonly #size: number;
  #held: Uint8Array = new Uint8Array(0);

  constructor(input: Input, size: number) {
    this.#input = input;
    this.#size = size;
  }

  *next(): Proc<Uint8Array | undefined> {
    while (this.#held.length < this.#size) {
      const text = yield* this.#input.read();
      if (text === undefined) break;
      const more = encode(text);
      const all = new Uint8Array(this.#held.length + more.length);
      all.set(this.#held);
      all.set(more, this.#held.length);
      this.#held = all;
    }
    if (this.#held.length === 0) return undefined;
    const block = this.#held.subarray(0, this.#size);
    this.#held = this.#held.subarray(block.length);
    return block;
  }
}

const dd: Program = tool(function* (context) {
  const operands = new Map(
    context.argv
      .slice(1)
      .map((word): [string, string] => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]),
  );
  const unknown = [...operands.keys()].find(
    (name) =>
      !["if", "of", "bs", "ibs", "obs", "count", "skip", "seek", "conv", "iflag", "oflag", "status"].includes(name),
  );
  if (unknown !== undefined) throw new UsageError(`unknown operand '${unknown}'`);
  const name = operands.get("if") ?? "-";
  const input = openInput(context, name);
  if (input === undefined) die(`can't open '${name}': No such file or directory`);
  const size = sizeOf(operands.get("bs") ?? operands.get("ibs") ?? "512");
  const count = operands.has("count") ? sizeOf(operands.get("count") as string) : Number.POSITIVE_INFINITY;
  const skip = sizeOf(operands.get("skip") ?? "0");
  const target = operands.get("of");
  const path = target === undefined ? undefined : absolutePath(context, target);
  const reader = new BlockReader(input, size);
  const start = context.os.now();
  let [full, partial, bytes] = [0, 0, 0];
  const written: string[] = [];
  for (let i = 0; i < skip; i++) yield* reader.next();
  while (full + partial < count) {
    const block = yield* reader.next();
    if (block === undefined) break;
    if (block.length === size) full++;
    else partial++;
    bytes += block.length;
    if (path === undefined) {
      context.stdout.write(decodeBytes(block));
      yield* flush(context);
    } else if (path !== "/dev/null") written.push(decodeBytes(block));
    const until = start + Math.ceil((bytes / 65536) * BLOCK_TIME);
    while (context.os.now() < until) yield { until };
  }
  if (path !== undefined && path !== "/dev/null") context.files.write(path, written.join(""));
  const seconds = (context.os.now() - start) / SEC;
  context.stderr.write(`${full}+${partial} records in\n${full}+${partial} records out\n`);
  if (operands.get("status") !== "none" && operands.get("status") !== "noxfer")
    context.stderr.write(
      `${bytes} bytes (${human(bytes)}B) copied, ${seconds.toFixed(6)} seconds, ${human(seconds > 0 ? bytes / seconds : 0)}B/s\n`,
    );
  return 0;
});

/** make_human_readable_str of busybox: `2.0K`. */
function human(value: number): string {
  let scaled = value;
  for (const unit of ["", "K", "M", "G"]) {
    if (scaled < 1024 || unit === "G") return unit === "" ? String(Math.floor(scaled)) : `${scaled.toFixed(1)}${unit}`;
    scaled /= 1024;
  }
  return String(value);
}

const which: Program = quick((context) => {
  let status = 0;
  const path = context.env.get("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const name of getopt(context.argv, "a").args) {
    const places = name.includes("/") ? [name] : path.split(":").map((directory) => `${directory}/${name}`);
    const found = places.find((place) => context.files.read(absolutePath(context, place)) !== undefined);
    if (found === undefined) status = 1;
    else context.stdout.write(`${found}\n`);
  }
  return status;
});

/** Tools for files, by name. */
export const FILE_TOOLS: ReadonlyMap<string, Program> = new Map([
  [
    "basename",
    quick((context) => {
      const [name = "", suffix = ""] = context.argv.slice(1);
      const base = baseName(name.replace(/(.)\/+$/, "$1")) || "/";
      context.stdout.write(
        `${suffix !== "" && base !== suffix && base.endsWith(suffix) ? base.slice(0, -suffix.length) : base}\n`,
      );
      return 0;
    }),
  ],
  ["cp", transfer(false)],
  ["dd", dd],
  [
    "dirname",
    quick((context) => {
      const name = (context.argv[1] ?? "").replace(/(.)\/+$/, "$1");
      const at = name.lastIndexOf("/");
      context.stdout.write(`${at < 0 ? "." : name.slice(0, at) || "/"}\n`);
      return 0;
    }),
  ],
  ["ls", ls],
  ["mkdir", mkdir],
  ["mv", transfer(true)],
  ["rm", rm],
  ["rmdir", rmdir],
  ["touch", touch],
  ["which", which],
]);
