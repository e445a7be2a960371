/**
 * Command-line flags as the docker command has them: github.com/spf13/pflag's parser, its error texts and its
 * layout of the options in `--help` (pflag flag.go, FlagUsagesWrapped).
 */

/** Columns that docker gives to its help where the terminal's width is unknown (80), less one. */
const HELP_COLUMNS = 79;

/** A refused command line, with pflag's text. */
export class FlagError extends Error {
  override name = "FlagError";
  /** The flag that isn't known, without its dashes. */
  readonly flag: string | undefined;
  constructor(message: string, flag?: string) {
    super(message);
    this.flag = flag;
  }
}

/** One flag. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  /** Word behind the flag in the help (`string`, `list`, `map`, `filter` …); absent for a switch. */
  readonly type?: string;
  readonly usage: string;
  /** As the help shows it, e.g. `"bridge"`, `map[]`; absent where the zero value is not shown. */
  readonly shown?: string;
  /** May be given several times. */
  readonly many?: boolean;
  /** `strings`: values are also split at commas (pflag stringSlice). */
  readonly commas?: boolean;
  readonly hidden?: boolean;
  /** Its values count as those of another flag (an older name). */
  readonly sameAs?: string;
  /** Returns the error text of a bad value, undefined when it is good. */
  readonly check?: (value: string) => string | undefined;
}

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** Values of a parsed command line. */
export class Flags {
  readonly #values = new Map<string, string[]>();

  set(spec: FlagSpec, value: string): void {
    const values = spec.commas === true ? value.split(",") : [value];
    const name = spec.sameAs ?? spec.name;
    const before = spec.many === true ? (this.#values.get(name) ?? []) : [];
    this.#values.set(name, [...before, ...values]);
  }

  /** Given on the command line. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  bool(name: string): boolean {
    return TRUE.has(this.#values.get(name)?.at(-1) ?? "false");
  }

  /** The last value; undefined when it was not given. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }

  /** `k=v` values as an object; `k` alone has the value "". */
  map(name: string): Record<string, string> {
    return Object.fromEntries(this.list(name).map((item) => splitPair(item)));
  }
}

function splitPair(item: string): [string, string] {
  const at = item.indexOf("=");
  return at < 0 ? [item, ""] : [item.slice(0, at), item.slice(at + 1)];
}

/** Checks an unsigned number as Go's strconv.ParseUint does. */
export function checkUint(bits: number): (value: string) => string | undefined {
  return (value) => {
    if (!/^(\d+|0[xX][0-9a-fA-F]+)$/.test(value)) return `strconv.ParseUint: parsing ${quote(value)}: invalid syntax`;
    return Number(value) >= 2 ** bits ? `strconv.ParseUint: parsing ${quote(value)}: value out of range` : undefined;
  };
}

/** Checks a number as Go's strconv.ParseInt does. */
export function checkInt(value: string): string | undefined {
  return /^[+-]?\d+$/.test(value) ? undefined : `strconv.ParseInt: parsing ${quote(value)}: invalid syntax`;
}

/** Go's %q of a plain string. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

/** A command line taken apart. */
export interface ParsedLine {
  readonly flags: Flags;
  readonly args: readonly string[];
  /** `--help` or the deprecated `-h` was given. */
  readonly help: boolean;
  readonly deprecatedHelp: boolean;
}

/**
 * Parses a command line.
 * @param interspersed flags may stand behind arguments; where not, the first argument ends them
 * @throws FlagError
 */
export function parseFlags(specs: readonly FlagSpec[], argv: readonly string[], interspersed: boolean): ParsedLine {
  const flags = new Flags();
  const args: string[] = [];
  let help = false;
  let deprecatedHelp = false;
  for (let at = 0; at < argv.length && !help; at++) {
    const word = argv[at] as string;
    if (word === "--") {
      args.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      if (!interspersed) {
        args.push(...argv.slice(at));
        break;
      }
      args.push(word);
      continue;
    }
    const next = argv[at + 1];
    const result = word.startsWith("--") ? parseLong(specs, flags, word, next) : parseShorts(specs, flags, word, next);
    if (result.help !== undefined) {
      help = true;
      deprecatedHelp = result.help === "short";
    }
    if (result.usedNext) at++;
  }
  return { flags, args, help, deprecatedHelp };
}

interface Step {
  readonly usedNext: boolean;
  readonly help?: "long" | "short";
}

function parseLong(specs: readonly FlagSpec[], flags: Flags, word: string, next: string | undefined): Step {
  const [name, ...rest] = word.slice(2).split("=");
  const value = rest.length > 0 || word.includes("=") ? rest.join("=") : undefined;
  if (name === undefined || name === "" || name.startsWith("-")) throw new FlagError(`bad flag syntax: ${word}`);
  const spec = specs.find((candidate) => candidate.name === name);
  if (spec === undefined) {
    if (name === "help") return { usedNext: false, help: "long" };
    throw new FlagError(`unknown flag: --${name}`, name);
  }
  if (value !== undefined) setFlag(flags, spec, value);
  else if (spec.type === undefined) setFlag(flags, spec, "true");
  else {
    if (next === undefined) throw new FlagError(`flag needs an argument: --${name}`);
    setFlag(flags, spec, next);
    return { usedNext: true };
  }
  return { usedNext: false };
}

function parseShorts(specs: readonly FlagSpec[], flags: Flags, word: string, next: string | undefined): Step {
  let rest = word.slice(1);
  while (rest !== "") {
    const letter = rest[0] as string;
    const spec = specs.find((candidate) => candidate.short === letter);
    if (spec === undefined) {
      if (letter === "h") return { usedNext: false, help: "short" };
      throw new FlagError(`unknown shorthand flag: '${letter}' in -${rest}`, letter);
    }
    if (rest.length > 2 && rest[1] === "=") {
      setFlag(flags, spec, rest.slice(2));
      return { usedNext: false };
    }
    if (spec.type === undefined) {
      setFlag(flags, spec, "true");
      rest = rest.slice(1);
      continue;
    }
    if (rest.length > 1) {
      setFlag(flags, spec, rest.slice(1));
      return { usedNext: false };
    }
    if (next === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${rest}`);
    setFlag(flags, spec, next);
    return { usedNext: true };
  }
  return { usedNext: false };
}

function setFlag(flags: Flags, spec: FlagSpec, value: string): void {
  let problem: string | undefined;
  if (spec.type === undefined && !TRUE.has(value) && !FALSE.has(value)) {
    problem = `strconv.ParseBool: parsing ${quote(value)}: invalid syntax`;
  } else problem = spec.check?.(value);
  if (problem !== undefined) {
    const shown = spec.short === undefined ? `--${spec.name}` : `-${spec.short}, --${spec.name}`;
    throw new FlagError(`invalid argument ${quote(value)} for ${quote(shown)} flag: ${problem}`);
  }
  flags.set(spec, value);
}

// ------------------------------------------------------------------------------------------------ help

/** The options block of `--help`: flags by name, their texts in one column, wrapped. */
export function flagUsages(specs: readonly FlagSpec[]): string {
  const shown = specs.filter((spec) => spec.hidden !== true).sort((a, b) => (a.name < b.name ? -1 : 1));
  const heads = shown.map((spec) => {
    const head = spec.short === undefined ? `      --${spec.name}` : `  -${spec.short}, --${spec.name}`;
    return spec.type === undefined ? head : `${head} ${spec.type}`;
  });
  const column = Math.max(...heads.map((head) => head.length)) + 3;
  return shown
    .map((spec, index) => {
      const head = (heads[index] as string).padEnd(column);
      const usage = spec.shown === undefined ? spec.usage : `${spec.usage} (default ${spec.shown})`;
      return head + wrap(column, HELP_COLUMNS, usage);
    })
    .join("\n");
}

/** Splits off at most `width` characters at a blank; `slop` more may stay when that ends the text (pflag wrapN). */
function wrapLine(width: number, slop: number, text: string): [string, string] {
  if (width + slop > text.length) return [text, ""];
  const head = text.slice(0, width);
  const blank = Math.max(head.lastIndexOf(" "), head.lastIndexOf("\t"), head.lastIndexOf("\n"));
  if (blank <= 0) return [text, ""];
  const newline = head.lastIndexOf("\n");
  const at = newline > 0 && newline < blank ? newline : blank;
  return [text.slice(0, at), text.slice(at + 1)];
}

/** pflag's wrap: lines behind the first begin at `indent`. */
function wrap(indent: number, columns: number, text: string): string {
  let at = indent;
  let width = columns - indent;
  let out = "";
  if (width < 24) {
    at = 16;
    width = columns - at;
    out = `\n${" ".repeat(at)}`;
  }
  const slop = 5;
  const pad = `\n${" ".repeat(at)}`;
  let [line, rest] = wrapLine(width - slop, slop, text);
  out += line.replaceAll("\n", pad);
  while (rest !== "") {
    [line, rest] = wrapLine(width - slop, slop, rest);
    out += pad + line.replaceAll("\n", pad);
  }
  return out;
}
