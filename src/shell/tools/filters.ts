/** Filters of busybox's coreutils that are used now and then: base64, tac, nl, paste, xxd, fold, comm, cmp, tsort's kin. */
import { grown, type Program, type ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { eachInput, eachLine, flush, openInput } from "../lib/input.ts";
import { getopt } from "../lib/options.ts";
import { decodeBytes, die, encode, linesOf, tool, writeLines } from "../lib/program.ts";

/** All of the named inputs, one behind the other. */
function* everything(context: ProgramContext, names: readonly string[]): Proc<{ text: string; failed: boolean }> {
  let text = "";
  const failed = yield* eachInput(context, names, function* (input) {
    for (let part = yield* input.read(); part !== undefined; part = yield* input.read()) text = grown(text, part);
    return undefined;
  });
  return { text, failed };
}

/** All of one input. @throws Failure when it isn't there */
function* whole(context: ProgramContext, name: string): Proc<string> {
  const input = openInput(context, name);
  if (input === undefined) die(`${name}: No such file or directory`);
  let text = "";
  for (let part = yield* input.read(); part !== undefined; part = yield* input.read()) text = grown(text, part);
  return text;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 of bytes (RFC 4648 §4). */
function toBase64(data: Uint8Array): string {
  let out = "";
  for (let at = 0; at < data.length; at += 3) {
    const left = data.length - at;
    const bits = ((data[at] as number) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
    out += ALPHABET[bits >>> 18] as string;
    out += ALPHABET[(bits >>> 12) & 63] as string;
    out += left > 1 ? (ALPHABET[(bits >>> 6) & 63] as string) : "=";
    out += left > 2 ? (ALPHABET[bits & 63] as string) : "=";
  }
  return out;
}

/** The bytes of a base64 text without white space; undefined when it is none. */
function fromBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/=+$/, "");
  const out = new Uint8Array(Math.floor((digits.length * 6) / 8));
  let [bits, held, at] = [0, 0, 0];
  for (const char of digits) {
    const value = ALPHABET.indexOf(char);
    if (value < 0) return undefined;
    bits = ((bits << 6) | value) & 0xfff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out[at++] = (bits >>> held) & 0xff;
  }
  return out;
}

const base64: Program = tool(function* (context) {
  const options = getopt(context.argv, "dw:", { decode: "d", wrap: "w" });
  const text = yield* whole(context, options.args[0] ?? "-");
  if (options.has("d")) {
    const data = fromBase64(text.replace(/\s+/g, ""));
    if (data === undefined) die("truncated input");
    context.stdout.write(decodeBytes(data));
    return 0;
  }
  const width = options.number("w") ?? 76;
  const out = toBase64(encode(text));
  context.stdout.write(width === 0 ? out : out.replace(new RegExp(`.{1,${width}}`, "g"), "$&\n"));
  return 0;
});

const tac: Program = tool(function* (context) {
  const { text, failed } = yield* everything(context, context.argv.slice(1));
  writeLines(context.stdout, linesOf(text).reverse());
  return failed ? 1 : 0;
});

/** `nl`: numbers lines; empty ones only with `-b a`. */
const nl: Program = tool(function* (context) {
  const options = getopt(context.argv, "b:s:w:i:v:n:p");
  const width = options.number("w") ?? 6;
  const separator = options.text("s") ?? "\t";
  const step = options.number("i") ?? 1;
  let number = options.number("v") ?? 1;
  const failed = yield* eachLine(context, options.args, (line) => {
    const counts = options.text("b") === "a" || (options.text("b") !== "n" && line !== "");
    context.stdout.write(
      counts
        ? `${String(number).padStart(width)}${separator}${line}\n`
        : `${" ".repeat(width + separator.length)}${line}\n`,
    );
    if (counts) number += step;
    return undefined;
  });
  return failed ? 1 : 0;
});

const paste: Program = tool(function* (context) {
  const options = getopt(context.argv, "d:s");
  const delimiters = (options.text("d") ?? "\t").replaceAll("\\n", "\n").replaceAll("\\t", "\t");
  const columns: string[][] = [];
  for (const name of options.args.length === 0 ? ["-"] : options.args)
    columns.push(linesOf(yield* whole(context, name)));
  const join = (cells: readonly string[]): string =>
    cells.reduce(
      (row, cell, at) => (at === 0 ? cell : `${row}${delimiters[(at - 1) % delimiters.length] ?? ""}${cell}`),
      "",
    );
  if (options.has("s")) writeLines(context.stdout, columns.map(join));
  else {
    const height = columns.reduce((most, column) => Math.max(most, column.length), 0);
    for (let at = 0; at < height; at++) context.stdout.write(`${join(columns.map((column) => column[at] ?? ""))}\n`);
  }
  return 0;
});

const fold: Program = tool(function* (context) {
  const options = getopt(context.argv, "bsw:");
  const width = options.number("w") ?? 80;
  const failed = yield* eachLine(context, options.args, (line) => {
    let rest = [...line];
    while (rest.length > width) {
      const blank = options.has("s") ? rest.slice(0, width).lastIndexOf(" ") : -1;
      const cut = blank >= 0 ? blank + 1 : width;
      context.stdout.write(`${rest.slice(0, cut).join("")}\n`);
      rest = rest.slice(cut);
    }
    context.stdout.write(`${rest.join("")}\n`);
    return undefined;
  });
  return failed ? 1 : 0;
});

/** `xxd`, also plain (`-p`) and back (`-r -p`). */
const xxd: Program = tool(function* (context) {
  const options = getopt(context.argv, "pral:s:c:");
  const text = yield* whole(context, options.args[0] ?? "-");
  if (options.has("r")) {
    const digits = (options.has("p") ? text : text.replace(/^[0-9a-f]+: | {2}.*$/gm, "")).replace(/\s+/g, "");
    const pairs = digits.match(/[0-9a-fA-F]{2}/g) ?? [];
    context.stdout.write(decodeBytes(Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))));
    return 0;
  }
  const skip = options.number("s") ?? 0;
  const all = encode(text);
  const data = all.subarray(skip, skip + (options.number("l") ?? all.length));
  const size = options.number("c") ?? (options.has("p") ? 30 : 16);
  for (let at = 0; at < data.length; at += size) {
    const row = data.subarray(at, at + size);
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, "0"));
    const groups = hex.map((pair, index) => (index % 2 === 1 ? `${pair} ` : pair)).join("");
    const shown = Array.from(row, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    const width = size * 2 + Math.ceil(size / 2) + 1;
    const place = (at + skip).toString(16).padStart(8, "0");
    context.stdout.write(options.has("p") ? `${hex.join("")}\n` : `${place}: ${groups.padEnd(width)}${shown}\n`);
    yield* flush(context);
  }
  return 0;
});

const comm: Program = tool(function* (context) {
  const options = getopt(context.argv, "123");
  const [first, second] = options.args;
  if (first === undefined || second === undefined) die("");
  const [a, b] = [linesOf(yield* whole(context, first)), linesOf(yield* whole(context, second))];
  const hidden = ["1", "2", "3"].map((letter) => options.has(letter));
  const put = (column: number, line: string): void => {
    if (hidden[column]) return;
    const before = hidden.slice(0, column).filter((one) => !one).length;
    context.stdout.write(`${"\t".repeat(before)}${line}\n`);
  };
  for (let [i, j] = [0, 0]; i < a.length || j < b.length; ) {
    const [x, y] = [a[i], b[j]];
    if (y === undefined || (x !== undefined && x < y)) {
      put(0, x as string);
      i++;
    } else if (x === undefined || y < x) {
      put(1, y);
      j++;
    } else {
      put(2, x);
      i++;
      j++;
    }
  }
  return 0;
});

const cmp: Program = tool(function* (context) {
  const options = getopt(context.argv, "sl");
  const [first, second = "-"] = options.args;
  if (first === undefined) die("");
  const [a, b] = [encode(yield* whole(context, first)), encode(yield* whole(context, second))];
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  if (at === length && a.length === b.length) return 0;
  if (options.has("s")) return 1;
  if (at === length) context.stderr.write(`cmp: EOF on ${a.length < b.length ? first : second}\n`);
  else {
    const line = a.subarray(0, at).filter((byte) => byte === 10).length + 1;
    context.stdout.write(`${first} ${second} differ: char ${at + 1}, line ${line}\n`);
  }
  return 1;
});

/** By name. */
export const FILTER_TOOLS: ReadonlyMap<string, Program> = new Map([
  ["base64", base64],
  ["cmp", cmp],
  ["comm", comm],
  ["fold", fold],
  ["nl", nl],
  ["paste", paste],
  ["tac", tac],
  ["xxd", xxd],
]);
