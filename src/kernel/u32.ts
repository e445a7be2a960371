/**
 * xt_u32 expressions (iptables-extensions(8), libxt_u32): compiled to the words that the kernel's matcher
 * walks, and back to the text that iptables-save prints.
 *
 *   program: number of tests, then per test: numbers | values << 16, (op, number) per number, (min, max) per value
 */
import { U32_AND, U32_AT, U32_LEFTSH, U32_RIGHTSH } from "../../assembly/abi.ts";
import { KernelError } from "../base/errors.ts";

const OPERATORS: readonly (readonly [symbol: string, code: number])[] = [
  ["<<", U32_LEFTSH],
  [">>", U32_RIGHTSH],
  ["&", U32_AND],
  ["@", U32_AT],
];

/** XT_U32_MAXSIZE: tests, numbers of a test, values of a test. */
const MAX = 10;

function refuse(text: string): never {
  throw new KernelError("EINVAL", `u32 "${text}"`);
}

function number(text: string, all: string): number {
  const trimmed = text.trim();
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(trimmed)) refuse(all);
  const value = Number(trimmed);
  if (value > 0xffffffff) refuse(all);
  return value;
}

/** The words of one test, `location = values`. */
function compileTest(test: string, all: string): number[] {
  const [location, values, extra] = test.split("=");
  if (location === undefined || values === undefined || extra !== undefined) refuse(all);
  const parts = location.split(/(<<|>>|&|@)/);
  const numbers: number[] = [];
  for (let i = 0; i < parts.length; i += 2) {
    const op = i === 0 ? 0 : (OPERATORS.find(([symbol]) => symbol === parts[i - 1])?.[1] ?? refuse(all));
    numbers.push(op, number(parts[i] ?? "", all));
  }
  const ranges = values.split(",").flatMap((range) => {
    const [min, max, more] = range.split(":");
    if (more !== undefined) refuse(all);
    const low = number(min ?? "", all);
    return [low, max === undefined ? low : number(max, all)];
  });
  if (numbers.length > 2 * MAX || ranges.length > 2 * MAX) refuse(all);
  return [(numbers.length / 2) | ((ranges.length / 2) << 16), ...numbers, ...ranges];
}

/** Compiles an expression. @throws KernelError EINVAL when it is none. */
export function compileU32(text: string): number[] {
  const tests = text.split("&&");
  if (tests.length > MAX) refuse(text);
  return [tests.length, ...tests.flatMap((test) => compileTest(test, text))];
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** The expression of a program, as `iptables-save` writes it (u32_dump in libxt_u32.c). */
export function formatU32(program: readonly number[]): string {
  let at = 0;
  const next = (): number => program[at++] ?? 0;
  const tests: string[] = [];
  for (let left = next(); left > 0; left--) {
    const counts = next();
    let text = "";
    for (let i = 0; i < (counts & 0xffff); i++) {
      const op = next();
      if (i > 0) text += OPERATORS.find(([, code]) => code === op)?.[0] ?? "";
      text += hex(next());
    }
    const ranges: string[] = [];
    for (let i = 0; i < counts >>> 16; i++) {
      const min = next();
      const max = next();
      ranges.push(min === max ? hex(min) : `${hex(min)}:${hex(max)}`);
    }
    tests.push(`${text}=${ranges.join(",")}`);
  }
  return tests.join("&&");
}
