/**
 * The command language of the emulated shells: POSIX sh (POSIX.1-2017 Shell Command Language §2.9, §2.10), with
 * what busybox's ash and bash add that people type: `function f {`, `$'…'`, `${x/a/b}`, `<<<`, `|&`, `&>`.
 */
import { UserError } from "../../base/errors.ts";
import {
  type CaseBranch,
  type Command,
  type CompoundCommand,
  IncompleteError,
  type List,
  NAME,
  type Pipeline,
  type Redirection,
  type SimpleCommand,
  type Word,
} from "./syntax.ts";
import { type Source, WordReader } from "./words.ts";

export { IncompleteError } from "./syntax.ts";

/** Words that end a list inside a compound command. */
const CLOSING = ["do", "done", "then", "elif", "else", "fi", "}", "esac", ";;"];

const STDOUT: Word = [{ kind: "text", text: "1", quoted: false }];

/** A here-document whose text begins on the next line. */
interface HereDocument {
  readonly end: string;
  readonly stripTabs: boolean;
  readonly quoted: boolean;
  readonly redirections: Redirection[];
  readonly at: number;
}

/** What stands at the source's place, from a list downwards. */
class Parser {
  readonly #source: Source;
  readonly #words: WordReader;
  #documents: HereDocument[] = [];

  constructor(source: Source) {
    this.#source = source;
    this.#words = new WordReader(source, (nested) => {
      const list = (nested === source ? this : new Parser(nested)).list([")"]);
      if (nested.text[nested.at] !== ")") throw new IncompleteError("syntax error: unterminated $(");
      return list;
    });
  }

  get #text(): string {
    return this.#source.text;
  }

  get #at(): number {
    return this.#source.at;
  }

  set #at(at: number) {
    this.#source.at = at;
  }

  /**
   * A whole script, or what stands in `$(…)` or a compound command.
   * @param ends words or `)` that end it; they are left standing
   */
  list(ends: readonly string[]): List {
    const out: { op: ";" | "&&" | "||"; pipeline: Pipeline; background: boolean; text: string }[] = [];
    let op: ";" | "&&" | "||" = ";";
    for (;;) {
      this.#skipBlank(true);
      if (this.#done(ends)) break;
      const from = this.#at;
      const pipeline = this.#pipeline();
      const text = this.#text.slice(from, this.#at).trim();
      this.#skipBlank(false);
      const next = this.#text.startsWith(";;", this.#at) ? undefined : this.#operator(["&&", "||", "&", ";", "\n"]);
      out.push({ op, pipeline, background: next === "&", text });
      op = next === "&&" || next === "||" ? next : ";";
      if (next === undefined) {
        if (!this.#done(ends)) throw this.#unexpected();
        break;
      }
      if (next === "\n") this.#readDocuments();
      if (op !== ";") {
        this.#skipBlank(true);
        if (this.#done(ends)) throw this.#unexpected();
      }
    }
    return out;
  }

  /** The end of a script: here-documents must have come. */
  finish(): void {
    const missing = this.#documents[0];
    if (missing !== undefined) throw new IncompleteError("syntax error: unexpected end of file");
  }

  /** The list's inside up to a closing word or `)`, which is taken. @returns the list and what closed it */
  #until(...ends: readonly string[]): { list: List; end: string } {
    const list = this.list(ends);
    const end = ends.find((word) => this.#at < this.#text.length && this.#isWord(word));
    if (end === undefined && this.#at >= this.#text.length)
      throw new IncompleteError(`syntax error: unexpected end of file (expecting "${ends.at(-1)}")`);
    if (end === undefined) throw this.#unexpected();
    if (list.length === 0) throw this.#unexpected();
    this.#at += end.length;
    return { list, end };
  }

  /** Whether this reserved word (or `)`) stands here. */
  #isWord(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    const next = this.#text[this.#at + word.length];
    return word === ")" || word === ";;" || next === undefined || " \t\n;|&<>()".includes(next);
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
      /^(?:;;|[^\s;|&<>()]+)/.exec(this.#text.slice(this.#at))?.[0] ??
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
      if (char === " " || char === "\t") this.#at++;
      else if (newlines && char === "\n") {
        this.#at++;
        this.#readDocuments();
      } else if (char === "\\" && this.#text[this.#at + 1] === "\n") this.#at += 2;
      else if (char === "#") while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++;
      else return;
    }
  }

  /** The texts of the here-documents that were announced on the line before. */
  #readDocuments(): void {
    const documents = this.#documents;
    this.#documents = [];
    for (const document of documents) {
      let text = "";
      for (;;) {
        if (this.#at >= this.#text.length) throw new IncompleteError("syntax error: unexpected end of file");
        const end = this.#text.indexOf("\n", this.#at);
        const line = this.#text.slice(this.#at, end < 0 ? undefined : end);
        this.#at = end < 0 ? this.#text.length : end + 1;
        const own = document.stripTabs ? line.replace(/^\t+/, "") : line;
        if (own === document.end) break;
        text += `${own}\n`;
        if (end < 0) throw new IncompleteError("syntax error: unexpected end of file");
      }
      const target: Word = document.quoted
        ? [{ kind: "text", text, quoted: true }]
        : new WordReader({ text, at: 0 }, (nested) => new Parser(nested).list([")"])).plain();
      document.redirections[document.at] = { ...(document.redirections[document.at] as Redirection), target };
    }
  }

  #pipeline(): Pipeline {
    let negated = false;
    while (/^!\s/.test(this.#text.slice(this.#at, this.#at + 2))) {
      negated = !negated;
      this.#at++;
      this.#skipBlank(false);
    }
    const commands: Command[] = [];
    for (;;) {
      this.#skipBlank(false);
      const command = this.#command();
      this.#skipBlank(false);
      const more = this.#text[this.#at] === "|" && this.#text[this.#at + 1] !== "|";
      if (more && this.#text[this.#at + 1] === "&") {
        (command.redirections as Redirection[]).push({ fd: 2, op: ">&", target: STDOUT });
        this.#at++;
      }
      commands.push(command);
      if (!more) return { commands, negated };
      this.#at++;
      this.#skipBlank(true);
    }
  }

  #command(): Command {
    return this.#function() ?? this.#compound() ?? this.#simple();
  }

  /** `name() command`, `function name command`; undefined when none begins here. */
  #function(): CompoundCommand | undefined {
    const match = /^(?:function[ \t]+([\w.-]+)[ \t]*(?:\([ \t]*\))?|([\w.-]+)[ \t]*\([ \t]*\))/.exec(
      this.#text.slice(this.#at),
    );
    if (match === null) return undefined;
    this.#at += match[0].length;
    this.#skipBlank(true);
    return { kind: "function", name: match[1] ?? (match[2] as string), body: this.#command(), redirections: [] };
  }

  /** A compound command; undefined when none begins here. */
  #compound(): CompoundCommand | undefined {
    const word = ["for", "while", "until", "if", "case", "{", "("].find((one) =>
      one === "(" ? this.#text[this.#at] === one : this.#isWord(one),
    );
    if (word === undefined) return undefined;
    this.#at += word.length;
    if (word === "for") return { ...this.#for(), redirections: this.#redirections() };
    if (word === "if") return { ...this.#if(), redirections: this.#redirections() };
    if (word === "case") return { ...this.#case(), redirections: this.#redirections() };
    if (word === "{" || word === "(") {
      const { list } = this.#until(word === "{" ? "}" : ")");
      return { kind: "group", body: list, subshell: word === "(", redirections: this.#redirections() };
    }
    const condition = this.#until("do").list;
    const body = this.#until("done").list;
    return { kind: "loop", until: word === "until", condition, body, redirections: this.#redirections() };
  }

  #for(): { kind: "for"; name: string; items: readonly Word[] | undefined; body: List } {
    this.#skipBlank(false);
    const name = NAME.exec(this.#text.slice(this.#at))?.[0];
    if (name === undefined) throw this.#unexpected();
    this.#at += name.length;
    this.#skipBlank(true);
    let items: Word[] | undefined;
    if (this.#isWord("in")) {
      this.#at += 2;
      items = this.#wordsUntil(";\n");
    }
    this.#skipBlank(false);
    this.#operator([";"]);
    this.#skipBlank(true);
    if (!this.#isWord("do")) throw this.#unexpected();
    this.#at += 2;
    return { kind: "for", name, items, body: this.#until("done").list };
  }

  #wordsUntil(ends: string): Word[] {
    const words: Word[] = [];
    for (;;) {
      this.#skipBlank(false);
      const char = this.#text[this.#at];
      if (char === undefined || ends.includes(char)) return words;
      words.push(this.#word(false));
    }
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

  #case(): { kind: "case"; subject: Word; branches: CaseBranch[] } {
    this.#skipBlank(false);
    const subject = this.#word(false);
    this.#skipBlank(true);
    if (!this.#isWord("in")) throw this.#unexpected();
    this.#at += 2;
    const branches: CaseBranch[] = [];
    for (;;) {
      this.#skipBlank(true);
      if (this.#isWord("esac")) break;
      this.#operator(["("]);
      const patterns: Word[] = [];
      do {
        this.#skipBlank(false);
        patterns.push(this.#word(false));
        this.#skipBlank(false);
      } while (this.#operator(["|"]) !== undefined);
      if (this.#operator([")"]) === undefined) throw this.#unexpected();
      branches.push({ patterns, body: this.list([";;", "esac"]) });
      this.#operator([";;"]);
    }
    this.#at += 4;
    return { kind: "case", subject, branches };
  }

  #redirections(): Redirection[] {
    const out: Redirection[] = [];
    for (;;) {
      this.#skipBlank(false);
      if (!this.#redirection(out)) return out;
    }
  }

  #simple(): SimpleCommand {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    const assignments: { name: string; value: Word }[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    for (;;) {
      this.#skipBlank(false);
      if (this.#at >= this.#text.length) break;
      if (this.#redirection(redirections)) continue;
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
    return { kind: "simple", line, assignments, words, redirections };
  }

  /** Reads a redirection into the list; false when none begins here. */
  #redirection(into: Redirection[]): boolean {
    const match = /^(?:&(>>?)|(\d?)(<<<|<<-|<<|<>|<&|<|>>|>&|>\||>))/.exec(this.#text.slice(this.#at, this.#at + 4));
    if (match === null) return false;
    this.#at += match[0].length;
    this.#skipBlank(false);
    if (match[1] !== undefined) {
      into.push({ fd: 1, op: match[1] as ">" | ">>", target: this.#word(false) }, { fd: 2, op: ">&", target: STDOUT });
      return true;
    }
    const op = match[3] as Redirection["op"] | "<<-";
    const fd = match[2] !== "" ? Number(match[2]) : op.startsWith("<") ? 0 : 1;
    const target = this.#word(false);
    if (op !== "<<" && op !== "<<-") {
      into.push({ fd, op, target });
      return true;
    }
    const end = target.map((part) => (part.kind === "text" ? part.text : "")).join("");
    const quoted = target.some((part) => part.kind === "text" && part.quoted);
    this.#documents.push({ end, stripTabs: op === "<<-", quoted, redirections: into, at: into.length });
    into.push({ fd, op: "<<", target: [] });
    return true;
  }

  #word(mayBeEmpty: boolean): Word {
    const from = this.#at;
    const word = this.#words.word();
    if (this.#at === from && !mayBeEmpty) throw this.#unexpected();
    return word;
  }
}

/** Parses a script. @throws UserError `syntax error: …` */
export function parse(text: string): List {
  const parser = new Parser({ text, at: 0 });
  const list = parser.list([]);
  parser.finish();
  return list;
}
