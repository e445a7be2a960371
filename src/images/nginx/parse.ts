/** nginx's configuration language: directives and blocks, with the messages of its parser (src/core/ngx_conf_file.c). */
import type { FileSystem } from "../../engine/program.ts";

/** `name args;` or `name args { … }`. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly block: readonly Directive[] | undefined;
  readonly file: string;
  readonly line: number;
}

/** What nginx says at level emerg; it doesn't start with it. */
export class NginxConfigError extends Error {
  override name = "NginxConfigError";
}

interface Token {
  readonly text: string;
  readonly quoted: boolean;
  readonly line: number;
}

/** Reads a file with all that it includes. @throws NginxConfigError */
export function parseNginxConfig(files: FileSystem, path: string, prefix = "/etc/nginx"): Directive[] {
  const text = files.read(path);
  if (text === undefined) throw new NginxConfigError(`open() "${path}" failed (2: No such file or directory)`);
  return new Parser(files, path, text, prefix).parse();
}

class Parser {
  readonly #files: FileSystem;
  readonly #path: string;
  readonly #prefix: string;
  readonly #tokens: Token[];
  readonly #lines: number;
  #at = 0;

  constructor(files: FileSystem, path: string, text: string, prefix: string) {
    this.#files = files;
    this.#path = path;
    this.#prefix = prefix;
    this.#tokens = tokenize(text);
    this.#lines = text.split("\n").length;
  }

  parse(): Directive[] {
    return this.#block(false);
  }

  #fail(message: string, line: number): never {
    throw new NginxConfigError(`${message} in ${this.#path}:${line}`);
  }

  #block(inner: boolean): Directive[] {
    const directives: Directive[] = [];
    for (;;) {
      const words: Token[] = [];
      for (;;) {
        const token = this.#tokens[this.#at];
        if (token === undefined) {
          if (words.length > 0) this.#fail('unexpected end of file, expecting ";" or "}"', this.#lines);
          if (inner) this.#fail('unexpected end of file, expecting "}"', this.#lines);
          return directives;
        }
        this.#at++;
        if (!token.quoted && (token.text === ";" || token.text === "{")) {
          if (words.length === 0) this.#fail(`unexpected "${token.text}"`, token.line);
          this.#directive(words, token.text === "{", directives);
          break;
        }
        if (!token.quoted && token.text === "}") {
          if (words.length > 0) this.#fail('unexpected "}"', token.line);
          if (!inner) this.#fail('unexpected "}"', token.line);
          return directives;
        }
        words.push(token);
      }
    }
  }

  #directive(words: readonly Token[], opens: boolean, into: Directive[]): void {
    const [name, ...args] = words.map(({ text }) => text);
    const { line } = words.at(-1) as Token;
    const block = opens ? this.#block(true) : undefined;
    if (name === "include" && block === undefined) {
      if (args.length !== 1) this.#fail('invalid number of arguments in "include" directive', line);
      for (const path of this.#matching(args[0] as string))
        into.push(...parseNginxConfig(this.#files, path, this.#prefix));
      return;
    }
    into.push({ name: name as string, args, block, file: this.#path, line });
  }

  /** Files that an include names, in order of their names. */
  #matching(pattern: string): string[] {
    const full = pattern.startsWith("/") ? pattern : `${this.#prefix}/${pattern}`;
    if (!/[*?[]/.test(full)) return [full];
    const slash = full.lastIndexOf("/");
    const regex = new RegExp(
      `^${full
        .slice(slash + 1)
        .replace(/[.+^${}()|\\]/g, "\\$&")
        .replaceAll("*", ".*")
        .replaceAll("?", ".")}$`,
    );
    const directory = full.slice(0, slash);
    return (this.#files.list(directory) ?? []).filter((name) => regex.test(name)).map((name) => `${directory}/${name}`);
  }
}

/** Words, quoted words, and the three marks. */
function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < text.length; ) {
    const char = text[at] as string;
    if (char === "\n") line++;
    if (/\s/.test(char)) at++;
    else if (char === "#") while (at < text.length && text[at] !== "\n") at++;
    else if (char === ";" || char === "{" || char === "}") {
      tokens.push({ text: char, quoted: false, line });
      at++;
    } else {
      const word = char === '"' || char === "'" ? quoted(text, at) : bare(text, at);
      tokens.push({ text: word.text, quoted: word.quoted, line });
      line += text.slice(at, word.end).split("\n").length - 1;
      at = word.end;
    }
  }
  return tokens;
}

function quoted(text: string, start: number): { text: string; quoted: boolean; end: number } {
  const quote = text[start];
  let out = "";
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at] as string;
    if (char === quote) return { text: out, quoted: true, end: at + 1 };
    if (char !== "\\") out += char;
    else out += escaped(text[++at] ?? "");
  }
  return { text: out, quoted: true, end: text.length };
}

function bare(text: string, start: number): { text: string; quoted: boolean; end: number } {
  let out = "";
  let at = start;
  for (; at < text.length; at++) {
    const char = text[at] as string;
    // `${` begins a variable, not a block.
    const variable = char === "{" && text[at - 1] === "$";
    if (/\s/.test(char) || char === ";" || (char === "{" && !variable)) break;
    if (char === "\\") {
      // Kept: regular expressions need it. Only a mark or a blank loses it.
      const next = text[at + 1] ?? "";
      out += /[\s;{}]/.test(next) ? next : char + next;
      at++;
    } else out += char;
  }
  return { text: out, quoted: false, end: at };
}

function escaped(char: string): string {
  if (char === "n") return "\n";
  if (char === "r") return "\r";
  if (char === "t") return "\t";
  return char === '"' || char === "'" || char === "\\" ? char : `\\${char}`;
}
