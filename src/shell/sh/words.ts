/** Words of the shell: quotes and expansions (POSIX.1-2017 Shell Command Language §2.2, §2.6). */
import { UserError } from "../../base/errors.ts";
import { ESCAPES } from "../lib/text-format.ts";
import { IncompleteError, type List, PARAMETER, type ParameterOperator, type Word, type WordPart } from "./syntax.ts";

/** Text that is read, and how far. */
export interface Source {
  readonly text: string;
  at: number;
}

/** Parses the list of a command substitution that begins at the source's place, up to the `)` that ends it. */
export type ParseList = (source: Source) => List;

/** Characters that end an unquoted word. */
const BREAKS = " \t\n|&;<>()";

/** Where a word stands, which says what ends it and what a quote means in it. */
interface Context {
  /** Characters that end it. */
  readonly ends: string;
  /** Single and double quotes are plain characters: here-documents, arithmetic. */
  readonly plainQuotes: boolean;
  /** It stands between double quotes: what is read counts as quoted. */
  readonly quoted: boolean;
}

const PLAIN: Context = { ends: BREAKS, plainQuotes: false, quoted: false };

/** Reads words of one source. */
export class WordReader {
  readonly #source: Source;
  readonly #parseList: ParseList;

  constructor(source: Source, parseList: ParseList) {
    this.#source = source;
    this.#parseList = parseList;
  }

  /** The word that begins here; empty when none does. */
  word(): Word {
    return this.#read(PLAIN);
  }

  /** All of the source as if between double quotes whose quotes mean nothing: a here-document's text, arithmetic. */
  plain(): Word {
    return this.#read({ ends: "", plainQuotes: true, quoted: true });
  }

  #read(context: Context): Word {
    const source = this.#source;
    const parts: WordPart[] = [];
    for (;;) {
      const char = source.text[source.at];
      if (char === undefined || context.ends.includes(char)) return parts;
      if (char === "'" && !context.plainQuotes && !context.quoted) this.#singleQuoted(parts);
      else if (char === '"' && !context.plainQuotes) this.#doubleQuoted(parts);
      else if (char === "\\") this.#backslash(parts, context);
      else if (char === "$" || char === "`") this.#expansion(parts, context.quoted);
      else {
        addText(parts, char, context.quoted);
        source.at++;
      }
    }
  }

  #backslash(parts: WordPart[], context: Context): void {
    const source = this.#source;
    const next = source.text[source.at + 1];
    source.at += 2;
    if (next === "\n") return;
    if (next === undefined) addText(parts, "\\", true);
    else if (!context.quoted) addText(parts, next, true);
    else addText(parts, "$`\\}".includes(next) || (next === '"' && !context.plainQuotes) ? next : `\\${next}`, true);
  }

  #singleQuoted(parts: WordPart[]): void {
    const source = this.#source;
    const end = source.text.indexOf("'", source.at + 1);
    if (end < 0) throw new IncompleteError("syntax error: unterminated quoted string");
    addText(parts, source.text.slice(source.at + 1, end), true);
    source.at = end + 1;
  }

  #doubleQuoted(parts: WordPart[]): void {
    const source = this.#source;
    source.at++;
    addText(parts, "", true);
    for (;;) {
      const char = source.text[source.at];
      if (char === undefined) throw new IncompleteError("syntax error: unterminated quoted string");
      if (char === '"') {
        source.at++;
        return;
      }
      if (char === "\\") {
        const next = source.text[source.at + 1] ?? "";
        source.at += 2;
        if (next !== "" && '$`"\\'.includes(next)) addText(parts, next, true);
        else if (next !== "\n") addText(parts, `\\${next}`, true);
      } else if (char === "$" || char === "`") this.#expansion(parts, true);
      else {
        addText(parts, char, true);
        source.at++;
      }
    }
  }

  #expansion(parts: WordPart[], quoted: boolean): void {
    const source = this.#source;
    if (source.text[source.at] === "`") {
      this.#backquotes(parts, quoted);
      return;
    }
    const rest = source.text.slice(source.at + 1, source.at + 3);
    if (rest === "((" && this.#arithmetic(parts, quoted)) return;
    if (rest.startsWith("(")) {
      source.at += 2;
      parts.push({ kind: "command", list: this.#parseList(source), quoted });
      source.at++;
    } else if (rest.startsWith("{")) this.#braced(parts, quoted);
    else if (rest.startsWith("'") && !quoted) {
      source.at++;
      this.#dollarQuoted(parts);
    } else {
      const name = PARAMETER.exec(source.text.slice(source.at + 1))?.[0];
      source.at += 1 + (name?.length ?? 0);
      if (name === undefined) addText(parts, "$", quoted);
      // Without braces only one digit counts.
      else parts.push({ kind: "variable", name, quoted });
    }
  }

  /** `$'…'`: with the escapes of C. */
  #dollarQuoted(parts: WordPart[]): void {
    const source = this.#source;
    const match = /^'((?:[^'\\]|\\[\s\S])*)'/.exec(source.text.slice(source.at));
    if (match === null) throw new IncompleteError("syntax error: unterminated quoted string");
    addText(parts, unescapeC(match[1] as string), true);
    source.at += match[0].length;
  }

  #backquotes(parts: WordPart[], quoted: boolean): void {
    const source = this.#source;
    const match = /^`((?:[^`\\]|\\[\s\S])*)`/.exec(source.text.slice(source.at));
    if (match === null) throw new IncompleteError("syntax error: unterminated quoted string");
    const inner = (match[1] as string).replace(quoted ? /\\([`$\\"])/g : /\\([`$\\])/g, "$1");
    const nested: Source = { text: `${inner})`, at: 0 };
    const list = this.#parseList(nested);
    if (nested.at !== inner.length) throw new UserError('syntax error: unexpected ")"');
    source.at += match[0].length;
    parts.push({ kind: "command", list, quoted });
  }

  /** `$((…))`; false when it is a command substitution that begins with a subshell. */
  #arithmetic(parts: WordPart[], quoted: boolean): boolean {
    const source = this.#source;
    let depth = 0;
    for (let at = source.at + 3; ; at++) {
      const char = source.text[at];
      if (char === undefined) throw new IncompleteError("syntax error: missing '))'");
      if (char === "(") depth++;
      if (char !== ")") continue;
      if (depth-- > 0) continue;
      if (source.text[at + 1] === undefined) throw new IncompleteError("syntax error: missing '))'");
      if (source.text[at + 1] !== ")") return false;
      const inner: Source = { text: source.text.slice(source.at + 3, at).replaceAll('"', ""), at: 0 };
      parts.push({ kind: "arithmetic", expression: new WordReader(inner, this.#parseList).plain(), quoted });
      source.at = at + 2;
      return true;
    }
  }

  /** `${…}`. */
  #braced(parts: WordPart[], quoted: boolean): void {
    const source = this.#source;
    source.at += 2;
    const bad = (): UserError =>
      source.at >= source.text.length
        ? new IncompleteError("syntax error: missing '}'")
        : new UserError("syntax error: bad substitution");
    const rest = () => source.text.slice(source.at);
    if (/^#(?:[A-Za-z_]|[0-9?$!@*-]\})/.test(rest())) {
      source.at++;
      const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?$!@*-])/.exec(rest())?.[0] ?? "";
      source.at += name.length;
      if (source.text[source.at] !== "}") throw bad();
      source.at++;
      parts.push({ kind: "variable", name, quoted, operator: "length" });
      return;
    }
    const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?$#!@*-])/.exec(rest())?.[0];
    if (name === undefined) throw bad();
    source.at += name.length;
    if (source.text[source.at] === "}") {
      source.at++;
      parts.push({ kind: "variable", name, quoted });
      return;
    }
    const operator = /^(?::[-=?+]|[-=?+]|##?|%%?|\/\/?|:)/.exec(rest())?.[0] as ParameterOperator | undefined;
    if (operator === undefined) throw bad();
    source.at += operator.length;
    const pattern = /^[#%/]/.test(operator);
    const two = operator === "/" || operator === "//" ? "/" : operator === ":" ? ":" : "";
    // A pattern between double quotes is a pattern still.
    const inner: Context = { ends: `}${two}`, plainQuotes: false, quoted: quoted && !pattern };
    const word = this.#read(inner);
    let second: Word | undefined;
    if (two !== "" && source.text[source.at] === two) {
      source.at++;
      second = this.#read({ ends: "}", plainQuotes: false, quoted: inner.quoted });
    }
    if (source.text[source.at] !== "}") throw bad();
    source.at++;
    parts.push({ kind: "variable", name, quoted, operator, word, ...(second === undefined ? {} : { second }) });
  }
}

function addText(parts: WordPart[], text: string, quoted: boolean): void {
  const last = parts.at(-1);
  if (last?.kind === "text" && last.quoted === quoted)
    parts[parts.length - 1] = { kind: "text", text: last.text + text, quoted };
  else parts.push({ kind: "text", text, quoted });
}

/** Those of C, and the quotes. */
const C_ESCAPES: Readonly<Record<string, string>> = { ...ESCAPES, "'": "'", '"': '"' };

/** The backslash escapes of C: `\n`, `\t`, `\x41`, `\101` …; others stay as they are. */
function unescapeC(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))/g,
    (all, hex?: string, octal?: string, letter?: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 255);
      return C_ESCAPES[letter as string] ?? all;
    },
  );
}
