/** What the shell's builtins and the programs of the same name share: echo, printf. */
import { UsageError } from "./options.ts";

/** What stands for a control character behind a backslash, in C and in the tools that follow it. */
export const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\u0007",
  b: "\b",
  e: "\u001b",
  f: "\f",
  v: "\v",
  "\\": "\\",
};

/** Replaces backslash escapes; `\c` ends the text. @param zeroOctal octal digits stand behind a 0, as in `echo -e` and `%b` */
function unescapeText(text: string, zeroOctal: boolean): { text: string; stop: boolean } {
  const end = /(?:^|[^\\])(?:\\\\)*\\c/.exec(text);
  const kept = end === null ? text : text.slice(0, end.index + end[0].length - 2);
  const octal = zeroOctal ? "0([0-7]{0,3})" : "([0-7]{1,3})";
  const pattern = new RegExp(`\\\\(?:x([0-9a-fA-F]{1,2})|${octal}|([\\s\\S]))`, "g");
  const replaced = kept.replace(pattern, (all: string, hex?: string, digits?: string, letter?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (digits !== undefined) return String.fromCharCode(Number.parseInt(digits === "" ? "0" : digits, 8) & 255);
    return ESCAPES[letter as string] ?? all;
  });
  return { text: replaced, stop: end !== null };
}

/** What `echo` prints. @param words its arguments */
export function echoText(words: readonly string[]): string {
  let at = 0;
  let newline = true;
  let escapes = false;
  for (; /^-[neE]+$/.test(words[at] ?? ""); at++) {
    const flag = words[at] as string;
    if (flag.includes("n")) newline = false;
    for (const letter of flag) if (letter === "e" || letter === "E") escapes = letter === "e";
  }
  const text = words.slice(at).join(" ");
  if (!escapes) return text + (newline ? "\n" : "");
  const replaced = unescapeText(text, true);
  return replaced.text + (newline && !replaced.stop ? "\n" : "");
}

const DIRECTIVE = /%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/y;

/** One run of printf's format over its arguments. */
class Formatter {
  readonly #arguments: readonly string[];
  #at = 0;
  /** A `%b` said `\c`. */
  stopped = false;
  readonly problems: string[] = [];

  constructor(args: readonly string[]) {
    this.#arguments = args;
  }

  get taken(): number {
    return this.#at;
  }

  #next(): string | undefined {
    return this.#arguments[this.#at++];
  }

  once(format: string): string {
    let out = "";
    for (let at = 0; at < format.length && !this.stopped; ) {
      DIRECTIVE.lastIndex = at;
      const match = format[at] === "%" ? DIRECTIVE.exec(format) : null;
      if (match !== null) {
        out += this.#directive(match);
        at += match[0].length;
      } else if (format[at] === "%") throw new UsageError(`%: invalid directive`);
      else {
        const end = format.indexOf("%", at);
        out += format.slice(at, end < 0 ? undefined : end);
        at = end < 0 ? format.length : end;
      }
    }
    return out;
  }

  #directive(match: RegExpExecArray): string {
    const [all, flags = "", widthText, precisionText, letter = ""] = match;
    if (letter === "%") return "%";
    const width = widthText === "*" ? this.#number(this.#next()) : Number(widthText ?? 0);
    const hasPrecision = all.includes(".");
    const precision = precisionText === "*" ? this.#number(this.#next()) : Number(precisionText ?? 0);
    const left = flags.includes("-") || width < 0;
    const pad = (text: string, zero: boolean): string => {
      const wide = Math.abs(width);
      if (left) return text.padEnd(wide);
      if (!zero || !flags.includes("0")) return text.padStart(wide);
      const sign = /^[-+ ]?(?:0x)?/.exec(text)?.[0] ?? "";
      return sign + text.slice(sign.length).padStart(wide - sign.length, "0");
    };
    const argument = this.#next();
    switch (letter) {
      case "s":
        return pad(hasPrecision ? (argument ?? "").slice(0, precision) : (argument ?? ""), false);
      case "b": {
        const { text, stop } = unescapeText(argument ?? "", true);
        this.stopped = stop;
        return pad(text, false);
      }
      case "c":
        return pad((argument ?? "").slice(0, 1), false);
      case "d":
      case "i":
      case "u":
      case "x":
      case "X":
      case "o":
        return pad(this.#integer(argument, letter, flags, hasPrecision ? precision : undefined), !hasPrecision);
      case "e":
      case "f":
      case "g":
        return pad(floatText(this.#number(argument), letter, hasPrecision ? precision : 6, flags), true);
      default:
        throw new UsageError(`${all}: invalid format`);
    }
  }

  #integer(argument: string | undefined, letter: string, flags: string, precision: number | undefined): string {
    const value = Math.trunc(this.#number(argument));
    const radix = letter === "x" || letter === "X" ? 16 : letter === "o" ? 8 : 10;
    let digits = (radix !== 10 && value < 0 ? BigInt.asUintN(64, BigInt(value)) : Math.abs(value)).toString(radix);
    if (letter === "X") digits = digits.toUpperCase();
    if (precision !== undefined) digits = digits.padStart(precision, "0");
    if (flags.includes("#") && radix !== 10 && value !== 0) digits = `${radix === 16 ? `0${letter}` : "0"}${digits}`;
    if (radix !== 10 || letter === "u") return digits;
    return (value < 0 ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "") + digits;
  }

  /** A number: decimal, hexadecimal, octal, or `'c` for a character's code. */
  #number(text: string | undefined): number {
    if (text === undefined || text === "") return 0;
    if (/^['"]./.test(text)) return text.codePointAt(1) as number;
    const sign = text.startsWith("-") ? -1 : 1;
    const digits = text.replace(/^[-+]/, "");
    const value = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
    if (digits !== "" && !Number.isNaN(value)) return sign * value;
    this.problems.push(`invalid number '${text}'`);
    return Number.parseFloat(text) || 0;
  }
}

function floatText(value: number, letter: "e" | "f" | "g", precision: number, flags: string): string {
  const scientific = (digits: number) => value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
  const sign = value < 0 ? "" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  if (letter === "f") return sign + value.toFixed(precision);
  if (letter === "e") return sign + scientific(precision);
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const digits = Math.max(1, precision);
  const text = exponent < -4 || exponent >= digits ? scientific(digits - 1) : value.toFixed(digits - 1 - exponent);
  return sign + text.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "");
}

/** What `printf FORMAT ARG…` prints: the format as often as its arguments need it. Problems are messages without `printf: `. */
export function printfText(words: readonly string[]): { text: string; problems: readonly string[] } {
  const [format, ...args] = words[0] === "--" ? words.slice(1) : words;
  if (format === undefined) throw new UsageError("usage: printf FORMAT [ARGUMENT...]");
  const { text: plain, stop } = unescapeText(format, false);
  const formatter = new Formatter(args);
  let text = formatter.once(plain);
  while (!stop && !formatter.stopped && formatter.taken > 0 && formatter.taken < args.length) {
    const before = formatter.taken;
    text += formatter.once(plain);
    if (formatter.taken === before) break;
  }
  return { text, problems: formatter.problems };
}
