/** Expansion of words: parameters, commands, arithmetic, fields, file names (POSIX.1-2017 Shell Command Language §2.6). */
import { UserError } from "../../base/errors.ts";
import type { Proc } from "../../scheduler/process.ts";
import { evaluate } from "./arithmetic.ts";
import { escapePattern, expandPath, isPattern, type ListDirectory, patternSource, trimPattern } from "./pattern.ts";
import type { List, Word, WordPart } from "./syntax.ts";

type VariablePart = WordPart & { readonly kind: "variable" };

/** What expansion asks of its shell. */
export interface ExpansionHost {
  /** A named or special parameter; undefined when it is unset. */
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  readonly positional: readonly string[];
  /** `set -u`: unset parameters are errors. */
  readonly refusesUnset: boolean;
  /** `set -f`: no file name patterns. */
  readonly noPatterns: boolean;
  readonly cwd: string;
  readonly list: ListDirectory;
  /** Standard output of a command, without the newlines at its end. */
  substitute(list: List): Proc<string>;
}

/** A field that grows: its text, and the same as a pattern, in which quoted characters stand behind backslashes. */
interface Field {
  text: string;
  pattern: string;
}

/** Expands the words of one shell. Errors are UserErrors, for which a shell that is not interactive ends. */
export class Expander {
  readonly #host: ExpansionHost;

  constructor(host: ExpansionHost) {
    this.#host = host;
  }

  /** A word of a command: none, one or many fields. */
  *fields(word: Word): Proc<string[]> {
    const { cwd, list, noPatterns } = this.#host;
    const out: string[] = [];
    for (const field of yield* this.#split(word)) {
      const paths = !noPatterns && isPattern(field.pattern) ? expandPath(field.pattern, cwd, list) : [];
      for (const path of paths) out.push(path);
      if (paths.length === 0) out.push(field.text);
    }
    return out;
  }

  /** A word where fields aren't split: an assignment, a redirection, `case`. */
  *text(word: Word): Proc<string> {
    return (yield* this.#joined(word)).text;
  }

  /** The same as a pattern. */
  *pattern(word: Word): Proc<string> {
    return (yield* this.#joined(word)).pattern;
  }

  *#joined(word: Word): Proc<Field> {
    const whole: Field = { text: "", pattern: "" };
    for (const [index, part] of word.entries()) {
      if (part.kind === "text") {
        const tilde = index === 0 && !part.quoted ? this.#tilde(part.text, word.length === 1) : part.text;
        append(whole, tilde, part.quoted);
      } else if (part.kind === "variable" && (part.name === "@" || part.name === "*") && part.operator === undefined)
        append(whole, this.#positional(part.name), part.quoted);
      else append(whole, yield* this.#value(part), part.quoted);
    }
    return whole;
  }

  /** `~` and `~/…` at the beginning of a word. */
  #tilde(text: string, whole: boolean): string {
    if (!(text.startsWith("~/") || (text === "~" && whole))) return text;
    const home = this.#host.get("HOME");
    return home === undefined ? text : home + text.slice(1);
  }

  /** @param splitsText unquoted text is split too, as that of `${x:-a b}` is */
  *#split(word: Word, splitsText = false): Proc<Field[]> {
    const fields: Field[] = [];
    let current: Field | undefined;
    const end = () => {
      if (current !== undefined) fields.push(current);
      current = undefined;
    };
    const add = (text: string, quoted: boolean) => {
      current ??= { text: "", pattern: "" };
      append(current, text, quoted);
    };
    const separators = this.#separators();
    const addSplit = (value: string) => {
      if (separators === undefined) {
        if (value !== "") add(value, false);
        return;
      }
      const pieces = value.split(separators);
      // So is one before the first of them.
      if (pieces.length > 1 && pieces[0] === "" && current === undefined && !/^[ \t\n]/.test(value)) add("", false);
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) end();
        // An empty piece between two separators that aren't blanks is an empty field.
        if (piece !== "" || (index > 0 && index < pieces.length - 1)) add(piece, false);
      }
    };
    // Quotes around nothing but "$@" are no field of their own.
    const vanishes =
      this.#host.positional.length === 0 &&
      word.some((part) => part.kind === "variable" && part.name === "@" && part.quoted && part.operator === undefined);
    for (const [index, part] of word.entries()) {
      if (vanishes && part.kind === "text" && part.text === "") continue;
      if (part.kind === "text" && splitsText && !part.quoted) addSplit(part.text);
      else if (part.kind === "text") {
        add(index === 0 && !part.quoted ? this.#tilde(part.text, word.length === 1) : part.text, part.quoted);
      }
      if (part.kind === "text") continue;
      const all = part.kind === "variable" && (part.name === "@" || part.name === "*") && part.operator === undefined;
      if (all && !(part.quoted && part.name === "*")) {
        for (const [at, value] of this.#host.positional.entries()) {
          if (at > 0) end();
          if (part.quoted) add(value, true);
          else addSplit(value);
        }
        continue;
      }
      if (part.kind === "variable" && !part.quoted && part.word !== undefined && /^:?[-+]$/.test(part.operator ?? "")) {
        const substitute = this.#substitutes(part) ? part.word : undefined;
        if (substitute !== undefined) {
          // The word of ${x:-a b} is split as if it stood there itself.
          const inner = yield* this.#split(substitute, true);
          for (const [at, field] of inner.entries()) {
            if (at > 0) end();
            current = { text: (current?.text ?? "") + field.text, pattern: (current?.pattern ?? "") + field.pattern };
          }
          continue;
        }
      }
      const value = yield* this.#value(part);
      if (part.quoted) add(value, true);
      else addSplit(value);
    }
    end();
    return fields;
  }

  /** IFS as a regular expression; undefined when it is empty, and nothing is split. */
  #separators(): RegExp | undefined {
    const ifs = this.#host.get("IFS") ?? " \t\n";
    if (ifs === "") return undefined;
    const blanks = [...ifs].filter((char) => " \t\n".includes(char)).join("");
    const others = [...ifs].filter((char) => !" \t\n".includes(char)).map((char) => char.replace(/[\\\]^-]/, "\\$&"));
    const blank = blanks === "" ? "" : `[${blanks}]`;
    if (others.length === 0) return new RegExp(`${blank}+`);
    const around = blank === "" ? "" : `${blank}*`;
    return new RegExp(`${around}[${others.join("")}]${around}${blank === "" ? "" : `|${blank}+`}`);
  }

  /** Whether `-`, `:-`, `+` or `:+` puts its word there. */
  #substitutes(part: VariablePart): boolean {
    const value = this.#parameter(part.name);
    const missing = value === undefined || (value === "" && part.operator?.startsWith(":") === true);
    return part.operator?.endsWith("+") === true ? !missing : missing;
  }

  /** All positional parameters as one text: those of `*` with the first character of IFS between them. */
  #positional(name: string): string {
    return this.#host.positional.join(name === "@" ? " " : (this.#host.get("IFS") ?? " ").slice(0, 1));
  }

  #parameter(name: string): string | undefined {
    if (name === "@" || name === "*") return this.#host.positional.length === 0 ? undefined : this.#positional(name);
    return this.#host.get(name);
  }

  *#value(part: WordPart): Proc<string> {
    switch (part.kind) {
      case "text":
        return part.text;
      case "command":
        return yield* this.#host.substitute(part.list);
      case "arithmetic":
        return String(evaluate(yield* this.text(part.expression), this.#host));
      case "variable":
        return yield* this.#variable(part);
    }
  }

  *#variable(part: VariablePart): Proc<string> {
    const { name, operator, word = [], second } = part;
    const value = this.#parameter(name);
    if (operator !== undefined && /^:?[-+]$/.test(operator))
      return this.#substitutes(part) ? yield* this.text(word) : operator.endsWith("+") ? "" : (value ?? "");
    const missing = value === undefined || (value === "" && operator?.startsWith(":") === true && operator !== ":");
    if (operator === "=" || operator === ":=") {
      if (!missing) return value;
      const given = yield* this.text(word);
      this.#host.set(name, given);
      return given;
    }
    if (operator === "?" || operator === ":?") {
      if (!missing) return value;
      throw new UserError(`${name}: ${(yield* this.text(word)) || "parameter not set"}`);
    }
    if (value === undefined && this.#host.refusesUnset) throw new UserError(`${name}: parameter not set`);
    const text = value ?? "";
    switch (operator) {
      case undefined:
        return text;
      case "length":
        return String(name === "@" || name === "*" ? this.#host.positional.length : [...text].length);
      case ":":
        return yield* this.#slice(text, word, second);
      case "/":
      case "//":
        return yield* this.#replace(text, operator, word, second);
      default:
        return trimPattern(text, operator as "#" | "##" | "%" | "%%", yield* this.pattern(word));
    }
  }

  *#slice(text: string, offset: Word, length: Word | undefined): Proc<string> {
    const from = Number(evaluate(yield* this.text(offset), this.#host));
    const start = Math.min(from < 0 ? Math.max(0, text.length + from) : from, text.length);
    if (length === undefined) return text.slice(start);
    const count = Number(evaluate(yield* this.text(length), this.#host));
    return count < 0 ? text.slice(start, count) : text.slice(start, start + count);
  }

  *#replace(text: string, operator: "/" | "//", word: Word, second: Word | undefined): Proc<string> {
    const pattern = yield* this.pattern(word);
    if (pattern === "") return text;
    const by = second === undefined ? "" : yield* this.text(second);
    return text.replace(new RegExp(patternSource(pattern), operator === "//" ? "g" : ""), () => by);
  }
}

function append(field: Field, text: string, quoted: boolean): void {
  field.text += text;
  field.pattern += quoted ? escapePattern(text) : text.replaceAll("\\", "\\\\");
}
