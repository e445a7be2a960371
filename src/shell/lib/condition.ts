/** The conditions of `test` and `[` (POSIX.1-2017 test; busybox coreutils/test.c). */
import type { FileSystem } from "../../engine/program.ts";
import { Failure } from "./program.ts";

/** What a condition looks at. */
export interface ConditionContext {
  readonly files: FileSystem;
  /** The absolute path of a name. */
  readonly path: (name: string) => string;
  /** Whether standard stream 0, 1 or 2 is a terminal. */
  readonly isTerminal: (fd: number) => boolean;
  readonly programs: readonly string[];
}

const NUMBERS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  "-eq": (a, b) => a === b,
  "-ne": (a, b) => a !== b,
  "-lt": (a, b) => a < b,
  "-le": (a, b) => a <= b,
  "-gt": (a, b) => a > b,
  "-ge": (a, b) => a >= b,
};

const TEXTS: Readonly<Record<string, (a: string, b: string) => boolean>> = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
};

const UNARY = /^-[bcdefghkLnprsStuwxz]$/;

/** Evaluates the words of a condition. @throws Failure with status 2 */
export function evaluateCondition(context: ConditionContext, words: readonly string[]): boolean {
  if (words.length <= 3) return new Condition(context, words).few();
  return new Condition(context, words).whole();
}

class Condition {
  readonly #context: ConditionContext;
  readonly #words: readonly string[];
  #at = 0;

  constructor(context: ConditionContext, words: readonly string[]) {
    this.#context = context;
    this.#words = words;
  }

  /** Up to three words mean what their number says (POSIX). */
  few(): boolean {
    const [a = "", b = "", c = ""] = this.#words;
    if (this.#words.length === 0) return false;
    if (this.#words.length === 1) return a !== "";
    if (this.#words.length === 2) {
      if (a === "!") return b === "";
      if (!UNARY.test(a)) throw new Failure(`${b}: unknown operand`, 2);
      return this.#unary(a, b);
    }
    if (b in NUMBERS || b in TEXTS) return this.#binary(a, b, c);
    if (a === "!") return !evaluateCondition(this.#context, [b, c]);
    if (a === "(" && c === ")") return b !== "";
    return this.whole();
  }

  whole(): boolean {
    const value = this.#or();
    const extra = this.#words[this.#at];
    if (extra !== undefined) throw new Failure(`${extra}: unknown operand`, 2);
    return value;
  }

  #or(): boolean {
    let value = this.#and();
    while (this.#words[this.#at] === "-o") {
      this.#at++;
      value = this.#and() || value;
    }
    return value;
  }

  #and(): boolean {
    let value = this.#not();
    while (this.#words[this.#at] === "-a") {
      this.#at++;
      value = this.#not() && value;
    }
    return value;
  }

  #not(): boolean {
    const [word, operator] = this.#words.slice(this.#at);
    if (word === "!" && operator !== undefined) {
      this.#at++;
      return !this.#not();
    }
    return this.#primary();
  }

  #primary(): boolean {
    const [a, b, c] = this.#words.slice(this.#at, this.#at + 3);
    if (a === undefined) throw new Failure("argument expected", 2);
    if (a === "(") {
      this.#at++;
      const value = this.#or();
      if (this.#words[this.#at++] !== ")") throw new Failure("closing paren expected", 2);
      return value;
    }
    if (b !== undefined && c !== undefined && (b in NUMBERS || b in TEXTS)) {
      this.#at += 3;
      return this.#binary(a, b, c);
    }
    if (UNARY.test(a) && b !== undefined) {
      this.#at += 2;
      return this.#unary(a, b);
    }
    this.#at++;
    return a !== "";
  }

  #unary(operator: string, word: string): boolean {
    if (operator === "-z") return word === "";
    if (operator === "-n") return word !== "";
    if (operator === "-t") return this.#context.isTerminal(Number(word));
    const path = this.#context.path(word);
    const text = this.#context.files.read(path);
    const directory = this.#context.files.list(path) !== undefined;
    switch (operator) {
      case "-f":
        return text !== undefined;
      case "-s":
        return directory || (text !== undefined && text !== "");
      case "-d":
        return directory;
      case "-x":
        return (
          directory || (text !== undefined && this.#context.programs.includes(path.slice(path.lastIndexOf("/") + 1)))
        );
      case "-e":
      case "-r":
      case "-w":
        return (
          text !== undefined || directory || /^\/dev\/(?:null|zero|u?random|full|tty|std(?:in|out|err))$/.test(path)
        );
      case "-c":
        return /^\/dev\/(?:null|zero|u?random|full|tty)$/.test(path);
      default:
        // There are no links, pipes, sockets or special files besides.
        return false;
    }
  }

  #binary(a: string, operator: string, b: string): boolean {
    const compare = NUMBERS[operator];
    if (compare === undefined) return TEXTS[operator]?.(a, b) === true;
    const bad = [a, b].find((word) => !/^\s*[+-]?\d+\s*$/.test(word));
    if (bad !== undefined) throw new Failure(`${bad}: bad number`, 2);
    return compare(Number(a), Number(b));
  }
}
