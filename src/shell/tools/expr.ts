/** expr (POSIX.1-2017; busybox coreutils/expr.c). */
import type { Program } from "../../engine/program.ts";
import { die, quick } from "../lib/program.ts";
import { compileRegex, regexSource } from "./grep.ts";

/** Operators by precedence, the weakest first. */
const LEVELS = [["|"], ["&"], ["=", "==", "!=", "<", "<=", ">", ">="], ["+", "-"], ["*", "/", "%"], [":"]];

class Expression {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  whole(): string {
    const value = this.#level(0);
    if (this.#at < this.#words.length) die("syntax error", 2);
    return value;
  }

  #level(level: number): string {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#operand();
    let left = this.#level(level + 1);
    for (;;) {
      const operator = this.#words[this.#at];
      if (operator === undefined || !operators.includes(operator)) return left;
      this.#at++;
      left = apply(operator, left, this.#level(level + 1));
    }
  }

  #next(): string {
    return this.#words[this.#at++] ?? die("syntax error", 2);
  }

  #operand(): string {
    const word = this.#next();
    if (word === "(") {
      const value = this.#level(0);
      if (this.#next() !== ")") die("syntax error", 2);
      return value;
    }
    if (word === "length") return String([...this.#operand()].length);
    if (word === "quote") return this.#next();
    if (word === "match") return apply(":", this.#operand(), this.#operand());
    if (word === "index") {
      const text = this.#operand();
      const wanted = this.#operand();
      return String([...text].findIndex((char) => wanted.includes(char)) + 1);
    }
    if (word === "substr") {
      const [text, from, length] = [this.#operand(), Number(this.#operand()), Number(this.#operand())];
      return from > 0 && length > 0 ? text.slice(from - 1, from - 1 + length) : "";
    }
    return word;
  }
}

function isEmpty(value: string): boolean {
  return value === "" || /^-?0+$/.test(value);
}

function number(text: string): bigint {
  return /^-?\d+$/.test(text) ? BigInt(text) : die("non-numeric argument", 2);
}

function apply(operator: string, left: string, right: string): string {
  if (operator === "|") return isEmpty(left) ? right : left;
  if (operator === "&") return isEmpty(left) || isEmpty(right) ? "0" : left;
  if (operator === ":") return match(left, right);
  if (LEVELS[2]?.includes(operator)) {
    const numeric = /^-?\d+$/.test(left) && /^-?\d+$/.test(right);
    const [a, b] = numeric ? [BigInt(left), BigInt(right)] : [left, right];
    const order = a < b ? -1 : a > b ? 1 : 0;
    const holds = {
      "=": order === 0,
      "==": order === 0,
      "!=": order !== 0,
      "<": order < 0,
      "<=": order <= 0,
      ">": order > 0,
      ">=": order >= 0,
    };
    return holds[operator as "="] ? "1" : "0";
  }
  const [a, b] = [number(left), number(right)];
  if ((operator === "/" || operator === "%") && b === 0n) die("division by zero", 2);
  const value =
    operator === "+" ? a + b : operator === "-" ? a - b : operator === "*" ? a * b : operator === "/" ? a / b : a % b;
  return String(BigInt.asIntN(64, value));
}

/** The text of the first group, or the number of characters that match at the beginning. */
function match(text: string, pattern: string): string {
  const found = compileRegex(`^(?:${regexSource(pattern, false)})`, "").exec(text);
  const grouped = /\\\(/.test(pattern);
  return grouped ? (found?.[1] ?? "") : String(found?.[0].length ?? 0);
}

/** expr(1). */
export const expr: Program = quick((context) => {
  const words = context.argv.slice(1);
  if (words.length === 0) die("too few arguments", 2);
  const value = new Expression(words).whole();
  context.stdout.write(`${value}\n`);
  return isEmpty(value) ? 1 : 0;
});
