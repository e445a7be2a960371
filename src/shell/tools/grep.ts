/** grep (busybox findutils/grep.c), and POSIX regular expressions in JavaScript's notation. */
import type { Program, ProgramContext } from "../../engine/program.ts";
import { eachInput, flush } from "../lib/input.ts";
import { getopt, UsageError } from "../lib/options.ts";
import { absolutePath, die, tool } from "../lib/program.ts";
import { bracketClasses } from "../sh/pattern.ts";

/** grep(1). */
export const grep: Program = tool(function* (context) {
  const options = getopt(context.argv, "ivcnqoEFwxlLe:hHrRsm:A:B:C:");
  const args = [...options.args];
  const patterns = options.list("e").length > 0 ? [...options.list("e")] : args.splice(0, 1);
  if (patterns.length === 0) throw new UsageError("pattern missing");
  const extended = options.has("E") || context.argv[0]?.endsWith("egrep") === true;
  const matcher = matcherOf(
    patterns.flatMap((pattern) => pattern.split("\n")),
    options,
    extended,
  );
  const recursive = options.has("r") || options.has("R");
  const names = recursive ? args.flatMap((name) => filesBelow(context, name)) : args;
  const named = (names.length > 1 || recursive || options.has("H")) && !options.has("h");
  const [before, after] = [
    options.number("B") ?? options.number("C") ?? 0,
    options.number("A") ?? options.number("C") ?? 0,
  ];
  const most = options.number("m") ?? Number.POSITIVE_INFINITY;
  let found = 0;
  const messages = { verb: "" };
  const failed = yield* eachInput(
    context,
    names,
    function* (input, name) {
      let own = 0;
      let follows = 0;
      const held: string[] = [];
      const show = (text: string, at: number, separator: string) =>
        context.stdout.write(
          `${named ? `${name}${separator}` : ""}${options.has("n") ? `${at}${separator}` : ""}${text}\n`,
        );
      for (let at = 1; own < most || follows > 0; at++) {
        const line = yield* input.readLine();
        if (line === undefined) break;
        const hits = line.match(matcher);
        if ((hits !== null) === options.has("v") || own >= most) {
          if (follows-- > 0) show(line, at, "-");
          else if (before > 0) held.push(line);
          if (held.length > before) held.shift();
          continue;
        }
        own++;
        if (options.has("q")) {
          found++;
          return false;
        }
        if (options.has("l") || options.has("L")) break;
        if (options.has("c")) continue;
        for (const [index, text] of held.splice(0).entries()) show(text, at - before + index, "-");
        for (const shown of options.has("o") && hits !== null ? hits.filter((hit) => hit !== "") : [line])
          show(shown, at, ":");
        follows = after;
        yield* flush(context);
      }
      if (options.has("c")) context.stdout.write(`${named ? `${name}:` : ""}${own}\n`);
      if ((options.has("l") && own > 0) || (options.has("L") && own === 0))
        context.stdout.write(`${name === "-" ? "(standard input)" : name}\n`);
      found += own;
      return undefined;
    },
    messages,
  );
  return failed ? 2 : found > 0 ? 0 : 1;
}, 2);

/** The files of a directory and those below. */
function filesBelow(context: ProgramContext, name: string): string[] {
  const names = context.files.list(absolutePath(context, name));
  return names === undefined
    ? [name]
    : names.flatMap((entry) => filesBelow(context, `${name.replace(/\/$/, "")}/${entry}`));
}

function matcherOf(patterns: readonly string[], options: { has(name: string): boolean }, extended: boolean): RegExp {
  const sources = patterns.map((pattern) =>
    options.has("F") ? pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : regexSource(pattern, extended),
  );
  let source = sources.map((one) => `(?:${one})`).join("|");
  if (options.has("w")) source = `\\b(?:${source})\\b`;
  if (options.has("x")) source = `^(?:${source})$`;
  return compileRegex(source, options.has("i") ? "gi" : "g");
}

/** @throws a Failure for what is no regular expression */
export function compileRegex(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    die("bad regex: Invalid regular expression", 2);
  }
}

/** Basic regular expressions: `+ ? | ( ) { }` are plain, escaped they are special. */
function basicToExtended(pattern: string): string {
  return pattern
    .replace(/\[\^?\]?(?:\[:[a-z]+:\]|[^\]])*\]|\\?[+?|(){}]/g, (found) =>
      found.startsWith("[") ? found : found.length === 2 ? (found[1] as string) : `\\${found}`,
    )
    .replace(/^(\^?)\*/, "$1\\*");
}

/** A POSIX regular expression in JavaScript's notation. */
export function regexSource(pattern: string, extended: boolean): string {
  return (extended ? pattern : basicToExtended(pattern))
    .replace(
      /\[(\^?\]?)((?:\[:[a-z]+:\]|[^\]])*)\]/g,
      (_, start: string, inside: string) =>
        `[${start.replace("]", "\\]")}${bracketClasses(inside.replaceAll("\\", "\\\\"))}]`,
    )
    .replace(/\\[<>]/g, "\\b");
}
