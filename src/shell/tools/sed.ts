/** sed (POSIX.1-2017; busybox editors/sed.c): s, y, d, p, q, a, i, c, n, N, D, P, h, H, g, G, x, =, b, t, labels and groups. */
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { flush, openInput } from "../lib/input.ts";
import { getopt } from "../lib/options.ts";
import { absolutePath, die, linesOf, tool } from "../lib/program.ts";
import { compileRegex, regexSource } from "./grep.ts";

type Address = { readonly line: number } | { readonly last: true } | { readonly regex: RegExp };

interface SedCommand {
  readonly from: Address | undefined;
  readonly to: Address | undefined;
  readonly not: boolean;
  readonly name: string;
  /** Of a, i, c, b, t, a label. */
  readonly text: string;
  readonly substitute?: {
    readonly regex: RegExp;
    readonly by: string;
    readonly every: boolean;
    readonly number: number;
    readonly prints: boolean;
  };
  /** Of y. */
  readonly characters?: ReadonlyMap<string, string>;
  /** Of `{`: where the group ends. */
  end: number;
  /** The range of two addresses has begun. */
  active: boolean;
  /** Line at which the range ends. */
  until: number;
}

/** Reads a script. */
class SedParser {
  readonly #text: string;
  readonly #extended: boolean;
  #at = 0;

  constructor(text: string, extended: boolean) {
    this.#text = text;
    this.#extended = extended;
  }

  commands(): SedCommand[] {
    const out: SedCommand[] = [];
    const open: number[] = [];
    for (;;) {
      while (/[\s;]/.test(this.#text[this.#at] ?? "")) this.#at++;
      if (this.#at >= this.#text.length) break;
      if (this.#text[this.#at] === "#") {
        this.#at = this.#lineEnd();
        continue;
      }
      const from = this.#address();
      let to: Address | undefined;
      this.#blanks();
      if (from !== undefined && this.#text[this.#at] === ",") {
        this.#at++;
        this.#blanks();
        to = this.#address();
        if (to === undefined) die("unexpected ','");
      }
      this.#blanks();
      const not = this.#text[this.#at] === "!";
      if (not) this.#at++;
      this.#blanks();
      const name = this.#text[this.#at++];
      if (name === undefined) die("missing command");
      if (name === "}") {
        const start = open.pop();
        if (start === undefined) die("unexpected '}'");
        (out[start] as SedCommand).end = out.length;
        continue;
      }
      if (name === "{") open.push(out.length);
      out.push({ from, to, not, name, ...this.#arguments(name), end: 0, active: false, until: 0 });
    }
    if (open.length > 0) die("unmatched '{'");
    return out;
  }

  #blanks(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at++;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf("\n", this.#at);
    return end < 0 ? this.#text.length : end;
  }

  #address(): Address | undefined {
    const rest = this.#text.slice(this.#at);
    const number = /^\d+/.exec(rest)?.[0];
    if (number !== undefined) {
      this.#at += number.length;
      return { line: Number(number) };
    }
    if (rest.startsWith("$")) {
      this.#at++;
      return { last: true };
    }
    if (!rest.startsWith("/") && !rest.startsWith("\\")) return undefined;
    if (rest.startsWith("\\")) this.#at++;
    const pattern = this.#delimited();
    const insensitive = this.#text[this.#at] === "I";
    if (insensitive) this.#at++;
    return { regex: compileRegex(regexSource(pattern, this.#extended), insensitive ? "i" : "") };
  }

  /** What stands between the delimiter here and the next; the place is behind that. */
  #delimited(): string {
    const delimiter = this.#text[this.#at++] as string;
    const out = this.#upTo(delimiter);
    this.#at++;
    return out;
  }

  #upTo(delimiter: string): string {
    let out = "";
    let bracket = false;
    for (; ; this.#at++) {
      const char = this.#text[this.#at];
      if (char === undefined) die(`unmatched '${delimiter}'`);
      if (char === "\\" && !bracket) {
        const next = this.#text[++this.#at];
        if (next === undefined) die(`unmatched '${delimiter}'`);
        out += next === delimiter ? next : next === "n" ? "\\n" : `\\${next}`;
        continue;
      }
      if (char === "[" && !bracket) bracket = true;
      else if (char === "]" && bracket && !/\[\^?$/.test(out)) bracket = false;
      if (char === delimiter && !bracket) return out;
      out += char;
    }
  }

  #arguments(name: string): Pick<SedCommand, "text" | "substitute" | "characters"> {
    if (name === "s") return { text: "", substitute: this.#substitution() };
    if (name === "y") return { text: "", characters: this.#translation() };
    if ("aic".includes(name)) {
      const end = this.#lineEnd();
      let text = this.#text.slice(this.#at, end).replace(/^\s*\\?\n?/, "");
      this.#at = end;
      // `a\` with its text on the next line.
      if (text === "" && this.#text[this.#at] === "\n") {
        this.#at++;
        text = this.#text.slice(this.#at, this.#lineEnd());
        this.#at = this.#lineEnd();
      }
      return { text: text.replace(/\\(.)/g, "$1") };
    }
    if (":btT".includes(name)) {
      const text = /^[^;\n}]*/.exec(this.#text.slice(this.#at))?.[0] ?? "";
      this.#at += text.length;
      return { text: text.trim() };
    }
    if (name === "q" || name === "Q") {
      const text = /^\s*\d*/.exec(this.#text.slice(this.#at))?.[0] ?? "";
      this.#at += text.length;
      return { text: text.trim() };
    }
    if (!"{dDpPnNhHgGx=".includes(name)) die(`unsupported command ${name}`);
    return { text: "" };
  }

  #substitution(): NonNullable<SedCommand["substitute"]> {
    const delimiter = this.#text[this.#at] ?? "/";
    const pattern = this.#delimited();
    let by = "";
    for (; this.#text[this.#at] !== delimiter; this.#at++) {
      const char = this.#text[this.#at];
      if (char === undefined) die(`unmatched '${delimiter}'`);
      by += char;
      if (char === "\\") by += this.#text[++this.#at] ?? "";
    }
    this.#at++;
    const flags = /^[gpIi0-9]*/.exec(this.#text.slice(this.#at))?.[0] ?? "";
    this.#at += flags.length;
    const regex = compileRegex(regexSource(pattern, this.#extended), /i/i.test(flags) ? "gi" : "g");
    return {
      regex,
      by,
      every: flags.includes("g"),
      number: Number(/\d+/.exec(flags)?.[0] ?? 1),
      prints: flags.includes("p"),
    };
  }

  #translation(): Map<string, string> {
    const [from, to] = [this.#delimited(), ""];
    this.#at--;
    const into = this.#delimited();
    if ([...from].length !== [...into].length) die("y command strings have different lengths");
    return new Map([...from].map((char, at) => [char, [...into][at] ?? to]));
  }
}

/** One run over lines. */
class Sed {
  readonly #commands: readonly SedCommand[];
  readonly #quiet: boolean;
  #hold = "";
  #pattern = "";
  #line = 0;
  #next: string | undefined;
  #append: string[] = [];
  out = "";
  status: number | undefined;

  constructor(commands: readonly SedCommand[], quiet: boolean) {
    this.#commands = commands;
    this.#quiet = quiet;
  }

  /** Reads all lines; `write` gets what is to be printed as it comes. */
  *run(read: () => Proc<string | undefined>, write: () => Proc<void>): Proc<void> {
    this.#next = yield* read();
    let restart = false;
    while (this.#next !== undefined || restart) {
      if (!restart) {
        this.#pattern = this.#next as string;
        this.#line++;
        this.#next = yield* read();
      }
      restart = (yield* this.#cycle(read)) === "restart";
      yield* write();
      if (this.status !== undefined) return;
    }
  }

  #endCycle(): void {
    if (!this.#quiet) this.out += `${this.#pattern}\n`;
    this.#flushAppended();
  }

  #flushAppended(): void {
    for (const text of this.#append) this.out += `${text}\n`;
    this.#append = [];
  }

  *#cycle(read: () => Proc<string | undefined>): Proc<"restart" | undefined> {
    let replaced = false;
    for (let at = 0; at < this.#commands.length; at++) {
      const command = this.#commands[at] as SedCommand;
      if (this.#selects(command) === command.not) {
        if (command.name === "{") at = command.end - 1;
        continue;
      }
      switch (command.name) {
        case "s":
          if (this.#substitute(command)) replaced = true;
          break;
        case "y":
          this.#pattern = [...this.#pattern].map((char) => command.characters?.get(char) ?? char).join("");
          break;
        case "p":
          this.out += `${this.#pattern}\n`;
          break;
        case "P":
          this.out += `${this.#pattern.split("\n")[0]}\n`;
          break;
        case "=":
          this.out += `${this.#line}\n`;
          break;
        case "d":
          this.#flushAppended();
          return undefined;
        case "D":
          if (!this.#pattern.includes("\n")) return undefined;
          this.#pattern = this.#pattern.slice(this.#pattern.indexOf("\n") + 1);
          return "restart";
        case "a":
          this.#append.push(command.text);
          break;
        case "i":
          this.out += `${command.text}\n`;
          break;
        case "c":
          if (command.to === undefined || !command.active) this.out += `${command.text}\n`;
          return undefined;
        case "n":
        case "N": {
          if (this.#next === undefined) {
            this.#endCycle();
            this.status = 0;
            return undefined;
          }
          if (command.name === "n") this.#endCycle();
          this.#pattern = command.name === "n" ? this.#next : `${this.#pattern}\n${this.#next}`;
          this.#line++;
          this.#next = yield* read();
          break;
        }
        case "h":
          this.#hold = this.#pattern;
          break;
        case "H":
          this.#hold += `\n${this.#pattern}`;
          break;
        case "g":
          this.#pattern = this.#hold;
          break;
        case "G":
          this.#pattern += `\n${this.#hold}`;
          break;
        case "x":
          [this.#pattern, this.#hold] = [this.#hold, this.#pattern];
          break;
        case "b":
        case "t":
        case "T":
          if (command.name === "b" || replaced === (command.name === "t")) at = this.#label(command.text);
          if (command.name === "t") replaced = false;
          break;
        case "q":
        case "Q":
          if (command.name === "q") this.#endCycle();
          this.status = Number(command.text || 0);
          return undefined;
        default:
      }
    }
    this.#endCycle();
    return undefined;
  }

  #label(name: string): number {
    if (name === "") return this.#commands.length;
    const at = this.#commands.findIndex((command) => command.name === ":" && command.text === name);
    return at < 0 ? die(`can't find label for jump to '${name}'`) : at;
  }

  #selects(command: SedCommand): boolean {
    const { from, to } = command;
    if (from === undefined) return true;
    if (to === undefined) return this.#matches(from);
    if (!command.active) {
      if (!this.#matches(from)) return false;
      command.active = !("line" in to) || to.line > this.#line;
      return true;
    }
    if ("line" in to ? this.#line >= to.line : this.#matches(to)) command.active = false;
    return !("line" in to) || this.#line <= to.line;
  }

  #matches(address: Address): boolean {
    if ("line" in address) return this.#line === address.line;
    return "last" in address ? this.#next === undefined : address.regex.test(this.#pattern);
  }

  #substitute({ substitute }: SedCommand): boolean {
    if (substitute === undefined) return false;
    let seen = 0;
    let done = false;
    this.#pattern = this.#pattern.replace(substitute.regex, (...found: unknown[]) => {
      const whole = found[0] as string;
      seen++;
      if (seen < substitute.number || (seen > substitute.number && !substitute.every)) return whole;
      done = true;
      return replacement(substitute.by, found as string[]);
    });
    if (done && substitute.prints) this.out += `${this.#pattern}\n`;
    return done;
  }
}

/** `&`, `\1`, `\n`. */
function replacement(by: string, found: readonly string[]): string {
  return by.replace(/\\([\s\S])|&/g, (all, escaped?: string) => {
    if (all === "&") return found[0] ?? "";
    if (/\d/.test(escaped as string)) return found[Number(escaped)] ?? "";
    return escaped === "n" ? "\n" : escaped === "t" ? "\t" : (escaped as string);
  });
}

function* edit(
  context: ProgramContext,
  commands: () => SedCommand[],
  quiet: boolean,
  names: readonly string[],
): Proc<number> {
  const sed = new Sed(commands(), quiet);
  let failed = false;
  const queue = [...names];
  let input = queue.length === 0 ? openInput(context, "-") : undefined;
  const read = function* (): Proc<string | undefined> {
    for (;;) {
      const line = input === undefined ? undefined : yield* input.readLine();
      if (line !== undefined) return line;
      const name = queue.shift();
      if (name === undefined) return undefined;
      input = openInput(context, name);
      if (input !== undefined) continue;
      context.stderr.write(`sed: ${name}: No such file or directory\n`);
      failed = true;
    }
  };
  yield* sed.run(read, function* () {
    context.stdout.write(sed.out);
    sed.out = "";
    yield* flush(context);
  });
  return sed.status ?? (failed ? 1 : 0);
}

/** `-i`: each file by itself, and back into it. */
function* editInPlace(
  context: ProgramContext,
  commands: () => SedCommand[],
  quiet: boolean,
  names: readonly string[],
): Proc<number> {
  let status = 0;
  for (const name of names) {
    const path = absolutePath(context, name);
    const text = context.files.read(path);
    if (text === undefined) {
      context.stderr.write(`sed: ${name}: No such file or directory\n`);
      status = 1;
      continue;
    }
    const sed = new Sed(commands(), quiet);
    const lines = linesOf(text);
    // biome-ignore lint/correctness/useYield: all lines are there
    const read = function* (): Proc<string | undefined> {
      return lines.shift();
    };
    yield* sed.run(read, function* () {});
    context.files.write(path, sed.out);
  }
  return status;
}

/** sed(1). */
export const sed: Program = tool(function* (context) {
  const options = getopt(context.argv, "nrEie:f:", { quiet: "n", "regexp-extended": "E" });
  const args = [...options.args];
  const scripts = [...options.list("e")];
  for (const name of options.list("f")) {
    const text = context.files.read(absolutePath(context, name));
    if (text === undefined) die(`${name}: No such file or directory`);
    scripts.push(text);
  }
  if (scripts.length === 0) {
    const script = args.shift();
    if (script === undefined) die("no script");
    scripts.push(script);
  }
  const parse = () => new SedParser(scripts.join("\n"), options.has("r") || options.has("E")).commands();
  const quiet = options.has("n");
  if (options.has("i")) return yield* editInPlace(context, parse, quiet, args);
  return yield* edit(context, parse, quiet, args);
});
