/**
 * The command language of the emulated shells: POSIX sh as far as people use it at a prompt (POSIX.1-2017
 * Shell Command Language §2): quotes, variables, command substitution, pipes, lists, redirections, for, while,
 * until, if, groups and subshells. No functions, here-documents, case, arithmetic or file name patterns.
 */
import { UserError } from "../../base/errors.ts";

/** A piece of a word. */
export type WordPart =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | {
      readonly kind: "variable";
      readonly name: string;
      readonly quoted: boolean;
      /** `${name:-word}`: what stands for an empty or unset variable. */
      readonly otherwise?: Word;
    }
  | { readonly kind: "command"; readonly list: List; readonly quoted: boolean };

export type Word = readonly WordPart[];

export interface Redirection {
  readonly fd: number;
  readonly op: "<" | ">" | ">>" | ">&";
  readonly target: Word;
}

export interface SimpleCommand {
  readonly kind: "simple";
  readonly assignments: readonly { readonly name: string; readonly value: Word }[];
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
}

/** A compound command with its redirections. */
export type CompoundCommand = { readonly redirections: readonly Redirection[] } & (
  | { readonly kind: "for"; readonly name: string; readonly items: readonly Word[]; readonly body: List }
  | { readonly kind: "loop"; readonly until: boolean; readonly condition: List; readonly body: List }
  | {
      readonly kind: "if";
      readonly branches: readonly { readonly condition: List; readonly body: List }[];
      readonly otherwise: List;
    }
  | { readonly kind: "group"; readonly body: List; readonly subshell: boolean }
);

export type Command = SimpleCommand | CompoundCommand;

export interface Pipeline {
  readonly commands: readonly Command[];
  readonly negated: boolean;
}

/** Pipelines joined by `;`, `&&`, `||` or `&`; the operator stands before its pipeline. */
export type List = readonly {
  readonly op: ";" | "&&" | "||";
  readonly pipeline: Pipeline;
  readonly background: boolean;
}[];

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
/** Words that end a list inside a compound command. */
const CLOSING = ["do", "done", "then", "elif", "else", "fi", "}"];

/** The text ends in the middle of something: an interactive shell asks for more. */
export class IncompleteError extends UserError {
  override name = "IncompleteError";
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * A whole script, or what stands in `$(…)` or a compound command.
   * @param ends words or `)` that end it; they are left standing
   */
  list(ends: readonly string[]): List {
    const out: { op: ";" | "&&" | "||"; pipeline: Pipeline; background: boolean }[] = [];
    let op: ";" | "&&" | "||" = ";";
    for (;;) {
      this.#skipBlank(true);
      if (this.#done(ends)) break;
      const pipeline = this.#pipeline();
      this.#skipBlank(false);
      const next = this.#operator(["&&", "||", "&", ";", "\n"]);
      out.push({ op, pipeline, background: next === "&" });
      op = next === "&&" || next === "||" ? next : ";";
      if (next === undefined) {
        if (!this.#done(ends)) throw this.#unexpected();
        break;
      }
      if (op !== ";") {
        this.#skipBlank(true);
        if (this.#done(ends)) throw this.#unexpected();
      }
    }
    return out;
  }

  /** The list's inside up to a closing word or `)`, which is taken. @returns the list and what closed it */
  #until(...ends: readonly string[]): { list: List; end: string } {
    const list = this.list(ends);
    const end = ends.find((word) => this.#at < this.#text.length && this.#isWord(word));
    if (end === undefined) throw this.#unexpected();
    if (list.length === 0) throw this.#unexpected();
    this.#at += end.length;
    return { list, end };
  }

  /** Whether this reserved word (or `)`) stands here. */
  #isWord(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    const next = this.#text[this.#at + word.length];
    return word === ")" || next === undefined || " \t\n;|&<>()".includes(next);
  }

  #done(ends: readonly string[]): boolean {
    if (this.#at >= this.#text.length) return true;
    if (ends.some((word) => this.#isWord(word))) return true;
    if (CLOSING.some((word) => this.#isWord(word))) throw this.#unexpected();
    return false;
  }

  #unexpected(): UserError {
    if (this.#at >= this.#text.length) return new IncompleteError("syntax error: unexpected end of file");
    const word =
      /^[^\s;|&<>()]+/.exec(this.#text.slice(this.#at))?.[0] ??
      (this.#text[this.#at] === "\n" ? "newline" : this.#text[this.#at]);
    return new UserError(`syntax error: unexpected "${word}"`);
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

  #pipeline(): Pipeline {
    let negated = false;
    if (/^!\s/.test(this.#text.slice(this.#at, this.#at + 2))) {
      negated = true;
      this.#at++;
    }
    const commands: Command[] = [];
    for (;;) {
      this.#skipBlank(false);
      commands.push(this.#compound() ?? this.#simple());
      this.#skipBlank(false);
      if (this.#text[this.#at] !== "|" || this.#text[this.#at + 1] === "|") return { commands, negated };
      this.#at++;
      this.#skipBlank(true);
    }
  }

  /** A compound command; undefined when none begins here. */
  #compound(): CompoundCommand | undefined {
    const word = ["for", "while", "until", "if", "{", "("].find((one) =>
      one === "(" ? this.#text[this.#at] === one : this.#isWord(one),
    );
    if (word === undefined) return undefined;
    this.#at += word.length;
    if (word === "for") return { ...this.#for(), redirections: this.#redirections() };
    if (word === "if") return { ...this.#if(), redirections: this.#redirections() };
    if (word === "{" || word === "(") {
      const { list } = this.#until(word === "{" ? "}" : ")");
      return { kind: "group", body: list, subshell: word === "(", redirections: this.#redirections() };
    }
    const condition = this.#until("do").list;
    const body = this.#until("done").list;
    return { kind: "loop", until: word === "until", condition, body, redirections: this.#redirections() };
  }

  #for(): { kind: "for"; name: string; items: readonly Word[]; body: List } {
    this.#skipBlank(false);
    const name = NAME.exec(this.#text.slice(this.#at))?.[0];
    if (name === undefined) throw this.#unexpected();
    this.#at += name.length;
    this.#skipBlank(true);
    const items: Word[] = [];
    if (this.#isWord("in")) {
      this.#at += 2;
      for (
        this.#skipBlank(false);
        this.#at < this.#text.length && !";\n".includes(this.#text[this.#at] as string);
        this.#skipBlank(false)
      ) {
        items.push(this.#word(false));
      }
    }
    this.#skipBlank(false);
    this.#operator([";"]);
    this.#skipBlank(true);
    if (!this.#isWord("do")) throw this.#unexpected();
    this.#at += 2;
    return { kind: "for", name, items, body: this.#until("done").list };
  }

  #if(): { kind: "if"; branches: { condition: List; body: List }[]; otherwise: List } {
    const branches: { condition: List; body: List }[] = [];
    for (;;) {
      const condition = this.#until("then").list;
      const { list: body, end } = this.#until("elif", "else", "fi");
      branches.push({ condition, body });
      if (end === "fi") return { kind: "if", branches, otherwise: [] };
      if (end === "else") return { kind: "if", branches, otherwise: this.#until("fi").list };
    }
  }

  #redirections(): Redirection[] {
    const out: Redirection[] = [];
    for (;;) {
      this.#skipBlank(false);
      const redirection = this.#redirection();
      if (redirection === undefined) return out;
      out.push(redirection);
    }
  }

  #simple(): SimpleCommand {
    const assignments: { name: string; value: Word }[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    for (;;) {
      this.#skipBlank(false);
      if (this.#at >= this.#text.length) break;
      const redirection = this.#redirection();
      if (redirection !== undefined) {
        redirections.push(redirection);
        continue;
      }
      if ("|&;\n<>()".includes(this.#text[this.#at] as string)) break;
      const rest = this.#text.slice(this.#at);
      const name = words.length === 0 ? NAME.exec(rest)?.[0] : undefined;
      if (name !== undefined && rest[name.length] === "=") {
        this.#at += name.length + 1;
        assignments.push({ name, value: this.#word(true) });
        continue;
      }
      words.push(this.#word(false));
    }
    if (assignments.length + words.length + redirections.length === 0) throw this.#unexpected();
    return { kind: "simple", assignments, words, redirections };
  }

  #redirection(): Redirection | undefined {
    const match = /^(\d?)(>>|>&|>|<)/.exec(this.#text.slice(this.#at, this.#at + 3));
    if (match === null) return undefined;
    const op = match[2] as Redirection["op"];
    this.#at += match[0].length;
    this.#skipBlank(false);
    return { fd: match[1] === "" ? (op === "<" ? 0 : 1) : Number(match[1]), op, target: this.#word(false) };
  }

  #word(mayBeEmpty: boolean): Word {
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
      if (char === undefined || " \t\n|&;<>()".includes(char)) break;
      if (char === "'") {
        const end = this.#text.indexOf("'", this.#at + 1);
        if (end < 0) throw new IncompleteError("syntax error: unterminated quoted string");
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
      if (char === undefined) throw new IncompleteError("syntax error: unterminated quoted string");
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
      if (end < 0) throw new IncompleteError("syntax error: unterminated quoted string");
      parts.push({ kind: "command", list: parse(this.#text.slice(this.#at + 1, end)), quoted });
      this.#at = end + 1;
      return;
    }
    const rest = this.#text.slice(this.#at + 1);
    if (rest.startsWith("(")) {
      this.#at += 2;
      const list = this.list([")"]);
      if (this.#text[this.#at] !== ")") throw new IncompleteError("syntax error: unterminated $(");
      this.#at++;
      parts.push({ kind: "command", list, quoted });
      return;
    }
    const fallback = /^\{([A-Za-z_][A-Za-z0-9_]*):?-([^{}]*)\}/.exec(rest);
    if (fallback !== null) {
      const otherwise = new Parser(`"${(fallback[2] as string).replaceAll('"', "")}"`).#word(true);
      parts.push({ kind: "variable", name: fallback[1] as string, quoted, otherwise });
      this.#at += 1 + fallback[0].length;
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
  return new Parser(text).list([]);
}
