/**
 * The command language of the emulated shells: POSIX sh as far as people use it at a prompt (POSIX.1-2017
 * Shell Command Language §2): quotes, variables, command substitution, pipes, lists, redirections.
 */
import { UserError } from "../../base/errors.ts";

/** A piece of a word. */
export type WordPart =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | { readonly kind: "variable"; readonly name: string; readonly quoted: boolean }
  | { readonly kind: "command"; readonly list: List; readonly quoted: boolean };

export type Word = readonly WordPart[];

export interface Redirection {
  readonly fd: number;
  readonly op: "<" | ">" | ">>" | ">&";
  readonly target: Word;
}

export interface SimpleCommand {
  readonly assignments: readonly { readonly name: string; readonly value: Word }[];
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
}

export interface Pipeline {
  readonly commands: readonly SimpleCommand[];
  readonly negated: boolean;
}

/** Pipelines joined by `;`, `&&`, `||` or `&`; the operator stands before its pipeline. */
export type List = readonly {
  readonly op: ";" | "&&" | "||";
  readonly pipeline: Pipeline;
  readonly background: boolean;
}[];

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** A whole script, or the inside of `$(…)` when `close` is `)`. */
  list(close: string | undefined): List {
    const out: { op: ";" | "&&" | "||"; pipeline: Pipeline; background: boolean }[] = [];
    let op: ";" | "&&" | "||" = ";";
    for (;;) {
      this.#skipBlank(true);
      if (this.#done(close)) break;
      const pipeline = this.#pipeline(close);
      this.#skipBlank(false);
      let background = false;
      const next = this.#operator(["&&", "||", "&", ";", "\n"]);
      if (next === "&") background = true;
      out.push({ op, pipeline, background });
      op = next === "&&" || next === "||" ? next : ";";
      if (next === undefined) {
        if (!this.#done(close)) throw this.#unexpected();
        break;
      }
      if (op !== ";") {
        this.#skipBlank(true);
        if (this.#done(close)) throw new UserError(`syntax error: unexpected end of file`);
      }
    }
    if (close !== undefined) {
      if (this.#text[this.#at] !== close) throw new UserError(`syntax error: unterminated $(`);
      this.#at++;
    }
    return out;
  }

  #done(close: string | undefined): boolean {
    return this.#at >= this.#text.length || (close !== undefined && this.#text[this.#at] === close);
  }

  #unexpected(): UserError {
    return new UserError(`syntax error: unexpected "${this.#text[this.#at] ?? "end of file"}"`);
  }

  #operator(candidates: readonly string[]): string | undefined {
    const found = candidates.find((candidate) => this.#text.startsWith(candidate, this.#at));
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skipBlank(newlines: boolean): void {
    for (;;) {
      const char = this.#text[this.#at];
      if (char === " " || char === "\t" || (newlines && char === "\n")) this.#at++;
      else if (char === "\\" && this.#text[this.#at + 1] === "\n") this.#at += 2;
      else if (char === "#") while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++;
      else return;
    }
  }

  #pipeline(close: string | undefined): Pipeline {
    let negated = false;
    if (/^!\s/.test(this.#text.slice(this.#at, this.#at + 2))) {
      negated = true;
      this.#at++;
    }
    const commands: SimpleCommand[] = [];
    for (;;) {
      commands.push(this.#simple(close));
      this.#skipBlank(false);
      if (this.#text[this.#at] !== "|" || this.#text[this.#at + 1] === "|") return { commands, negated };
      this.#at++;
      this.#skipBlank(true);
    }
  }

  #simple(close: string | undefined): SimpleCommand {
    const assignments: { name: string; value: Word }[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    for (;;) {
      this.#skipBlank(false);
      if (this.#done(close)) break;
      const redirection = this.#redirection(close);
      if (redirection !== undefined) {
        redirections.push(redirection);
        continue;
      }
      if ("|&;\n<>()".includes(this.#text[this.#at] as string)) break;
      const rest = this.#text.slice(this.#at);
      const name = words.length === 0 ? NAME.exec(rest)?.[0] : undefined;
      if (name !== undefined && rest[name.length] === "=") {
        this.#at += name.length + 1;
        assignments.push({ name, value: this.#word(close, true) });
        continue;
      }
      words.push(this.#word(close, false));
    }
    if (assignments.length + words.length + redirections.length === 0) throw this.#unexpected();
    return { assignments, words, redirections };
  }

  #redirection(close: string | undefined): Redirection | undefined {
    const match = /^(\d?)(>>|>&|>|<)/.exec(this.#text.slice(this.#at, this.#at + 3));
    if (match === null) return undefined;
    const op = match[2] as Redirection["op"];
    this.#at += match[0].length;
    this.#skipBlank(false);
    return { fd: match[1] === "" ? (op === "<" ? 0 : 1) : Number(match[1]), op, target: this.#word(close, false) };
  }

  #word(close: string | undefined, mayBeEmpty: boolean): Word {
    const parts: WordPart[] = [];
    const text = (value: string, quoted: boolean) => {
      const last = parts.at(-1);
      if (last?.kind === "text" && last.quoted === quoted)
        parts[parts.length - 1] = { kind: "text", text: last.text + value, quoted };
      else parts.push({ kind: "text", text: value, quoted });
    };
    const start = this.#at;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || char === close || " \t\n|&;<>()".includes(char)) break;
      if (char === "'") {
        const end = this.#text.indexOf("'", this.#at + 1);
        if (end < 0) throw new UserError("syntax error: unterminated quoted string");
        text(this.#text.slice(this.#at + 1, end), true);
        this.#at = end + 1;
      } else if (char === '"') {
        this.#at++;
        text("", true);
        this.#doubleQuoted(text, parts);
      } else if (char === "\\") {
        const next = this.#text[this.#at + 1];
        this.#at += 2;
        if (next !== undefined && next !== "\n") text(next, true);
      } else if (char === "$" || char === "`") this.#expansion(parts, text, false);
      else {
        text(char, false);
        this.#at++;
      }
    }
    if (this.#at === start && !mayBeEmpty) throw this.#unexpected();
    return parts;
  }

  #doubleQuoted(text: (value: string, quoted: boolean) => void, parts: WordPart[]): void {
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw new UserError("syntax error: unterminated quoted string");
      if (char === '"') {
        this.#at++;
        return;
      }
      if (char === "\\") {
        const next = this.#text[this.#at + 1] ?? "";
        this.#at += 2;
        if ('$`"\\'.includes(next)) text(next, true);
        else if (next !== "\n") text(`\\${next}`, true);
      } else if (char === "$" || char === "`") this.#expansion(parts, text, true);
      else {
        text(char, true);
        this.#at++;
      }
    }
  }

  #expansion(parts: WordPart[], text: (value: string, quoted: boolean) => void, quoted: boolean): void {
    if (this.#text[this.#at] === "`") {
      const end = this.#text.indexOf("`", this.#at + 1);
      if (end < 0) throw new UserError("syntax error: unterminated quoted string");
      parts.push({ kind: "command", list: parse(this.#text.slice(this.#at + 1, end)), quoted });
      this.#at = end + 1;
      return;
    }
    const rest = this.#text.slice(this.#at + 1);
    if (rest.startsWith("(")) {
      this.#at += 2;
      parts.push({ kind: "command", list: this.list(")"), quoted });
      return;
    }
    const braced = /^\{([A-Za-z_][A-Za-z0-9_]*|[?$#0-9])\}/.exec(rest);
    const name = braced?.[1] ?? NAME.exec(rest)?.[0] ?? /^[?$#0-9]/.exec(rest)?.[0];
    if (name === undefined) {
      text("$", quoted);
      this.#at++;
      return;
    }
    parts.push({ kind: "variable", name, quoted });
    this.#at += 1 + (braced?.[0].length ?? name.length);
  }
}

/** Parses a script. @throws UserError `syntax error: …` */
export function parse(text: string): List {
  return new Parser(text).list(undefined);
}
