/** Arithmetic of the shell: `$((…))` (POSIX.1-2017 Shell Command Language §2.6.4; busybox shell/math.c). 64-bit integers. */
import { UserError } from "../../base/errors.ts";

/** Variables that an expression reads and sets. */
export interface Variables {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

/** How deep a variable's value may be an expression again (MAX_RECURSION of math.c is by address; this is plenty). */
const DEEPEST = 100;

const SYNTAX = "arithmetic syntax error";

/** Operators of two sides by precedence, the weakest first; all associate to the left. */
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<=", ">=", "<", ">"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];

const TOKEN =
  /\s*(?:(0[xX][0-9a-fA-F]+|\d+#[0-9a-zA-Z]+|\d+)|([A-Za-z_]\w*)|(<<=|>>=|\*\*|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&^|]=|[-+*/%&|^~!<>=?:(),])|(\S))/y;

interface Token {
  readonly kind: "number" | "name" | "operator" | "end";
  readonly text: string;
}

/** Evaluates an expression. @throws UserError with the message of busybox's ash */
export function evaluate(expression: string, variables: Variables): bigint {
  return new Evaluator(expression, variables, 0).whole();
}

class Evaluator {
  readonly #tokens: Token[] = [];
  readonly #variables: Variables;
  readonly #depth: number;
  #at = 0;
  /** What is read now counts for nothing: the side of `&&`, `||` or `?:` that isn't taken. */
  #skipping = 0;

  constructor(expression: string, variables: Variables, depth: number) {
    this.#variables = variables;
    this.#depth = depth;
    if (depth > DEEPEST) throw new UserError("expression recursion loop detected");
    TOKEN.lastIndex = 0;
    const text = expression.trimEnd();
    while (TOKEN.lastIndex < text.length) {
      const match = TOKEN.exec(text);
      if (match === null || match[4] !== undefined) throw new UserError(SYNTAX);
      const [, number, name, operator] = match;
      if (number !== undefined) this.#tokens.push({ kind: "number", text: number });
      else if (name !== undefined) this.#tokens.push({ kind: "name", text: name });
      else this.#tokens.push({ kind: "operator", text: operator as string });
    }
  }

  whole(): bigint {
    // Nothing at all is 0.
    if (this.#tokens.length === 0) return 0n;
    const value = this.#comma();
    if (this.#peek().kind !== "end") throw new UserError(SYNTAX);
    return value;
  }

  #peek(ahead = 0): Token {
    return this.#tokens[this.#at + ahead] ?? { kind: "end", text: "" };
  }

  #takes(...operators: readonly string[]): string | undefined {
    const token = this.#peek();
    if (token.kind !== "operator" || !operators.includes(token.text)) return undefined;
    this.#at++;
    return token.text;
  }

  #comma(): bigint {
    let value = this.#assignment();
    while (this.#takes(",") !== undefined) value = this.#assignment();
    return value;
  }

  #assignment(): bigint {
    const name = this.#peek();
    const operator = this.#peek(1);
    if (name.kind === "name" && operator.kind === "operator" && /^(?:=|[-+*/%&^|]=|<<=|>>=)$/.test(operator.text)) {
      this.#at += 2;
      const right = this.#assignment();
      const value =
        operator.text === "=" ? right : this.#apply(operator.text.slice(0, -1), this.#value(name.text), right);
      return this.#store(name.text, value);
    }
    return this.#conditional();
  }

  #conditional(): bigint {
    const condition = this.#binary(0);
    if (this.#takes("?") === undefined) return condition;
    const yes = this.#unless(condition === 0n, () => this.#assignment());
    if (this.#takes(":") === undefined) throw new UserError(SYNTAX);
    const no = this.#unless(condition !== 0n, () => this.#assignment());
    return condition !== 0n ? yes : no;
  }

  #unless(skip: boolean, read: () => bigint): bigint {
    if (skip) this.#skipping++;
    try {
      return read();
    } finally {
      if (skip) this.#skipping--;
    }
  }

  #binary(level: number): bigint {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#power();
    let left = this.#binary(level + 1);
    for (;;) {
      const operator = this.#takes(...operators);
      if (operator === undefined) return left;
      if (operator === "&&" || operator === "||") {
        const decided = (left !== 0n) === (operator === "||");
        const right = this.#unless(decided, () => this.#binary(level + 1));
        left = BigInt(decided ? operator === "||" : right !== 0n);
      } else left = this.#apply(operator, left, this.#binary(level + 1));
    }
  }

  #power(): bigint {
    const base = this.#unary();
    return this.#takes("**") === undefined ? base : this.#apply("**", base, this.#power());
  }

  #unary(): bigint {
    const operator = this.#takes("+", "-", "!", "~", "++", "--");
    if (operator === undefined) return this.#postfix();
    if ((operator === "++" || operator === "--") && this.#peek().kind === "name") {
      const { text } = this.#peek();
      this.#at++;
      return this.#store(text, this.#value(text) + (operator === "++" ? 1n : -1n));
    }
    const value = this.#unary();
    if (operator === "-") return wrap(-value);
    if (operator === "!") return BigInt(value === 0n);
    if (operator === "~") return wrap(~value);
    return value;
  }

  #postfix(): bigint {
    const token = this.#peek();
    this.#at++;
    if (token.kind === "number") return numberOf(token.text);
    if (token.kind === "name") {
      const value = this.#value(token.text);
      const operator = this.#takes("++", "--");
      if (operator !== undefined) this.#store(token.text, value + (operator === "++" ? 1n : -1n));
      return value;
    }
    if (token.text !== "(" || token.kind !== "operator") throw new UserError(SYNTAX);
    const value = this.#comma();
    if (this.#takes(")") === undefined) throw new UserError(SYNTAX);
    return value;
  }

  /** A variable's value is an expression of its own; unset ones are 0. */
  #value(name: string): bigint {
    if (this.#skipping > 0) return 0n;
    const text = this.#variables.get(name) ?? "";
    return /^-?\d{1,15}$/.test(text) && !/^-?0\d/.test(text)
      ? BigInt(text)
      : new Evaluator(text, this.#variables, this.#depth + 1).whole();
  }

  #store(name: string, value: bigint): bigint {
    const wrapped = wrap(value);
    if (this.#skipping === 0) this.#variables.set(name, String(wrapped));
    return wrapped;
  }

  #apply(operator: string, left: bigint, right: bigint): bigint {
    if (this.#skipping > 0) return 0n;
    switch (operator) {
      case "+":
        return wrap(left + right);
      case "-":
        return wrap(left - right);
      case "*":
        return wrap(left * right);
      case "/":
      case "%":
        if (right === 0n) throw new UserError("divide by zero");
        return wrap(operator === "/" ? left / right : left % right);
      case "**":
        if (right < 0n) throw new UserError("exponent less than 0");
        return power(left, right);
      case "<<":
        return wrap(left << (right & 63n));
      case ">>":
        return left >> (right & 63n);
      case "&":
        return left & right;
      case "|":
        return left | right;
      case "^":
        return left ^ right;
      case "==":
        return BigInt(left === right);
      case "!=":
        return BigInt(left !== right);
      case "<":
        return BigInt(left < right);
      case ">":
        return BigInt(left > right);
      case "<=":
        return BigInt(left <= right);
      default:
        return BigInt(left >= right);
    }
  }
}

/** Two's complement of 64 bits. */
function wrap(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; left >>= 1n, square = wrap(square * square))
    if ((left & 1n) === 1n) result = wrap(result * square);
  return result;
}

/** `10`, `0x1f`, `017`, `2#101`. */
function numberOf(text: string): bigint {
  const [base, digits] = text.split("#");
  if (digits === undefined) {
    if (/^0\d/.test(text) && /[89]/.test(text)) throw new UserError(SYNTAX);
    return wrap(BigInt(/^0\d/.test(text) ? `0o${text.slice(1)}` : text));
  }
  const radix = Number(base);
  if (!(radix >= 2 && radix <= 36)) throw new UserError(SYNTAX);
  let value = 0n;
  for (const digit of digits.toLowerCase()) {
    const number = Number.parseInt(digit, 36);
    if (number >= radix) throw new UserError(SYNTAX);
    value = wrap(value * BigInt(radix) + BigInt(number));
  }
  return value;
}
