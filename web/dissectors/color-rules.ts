/** Wireshark's file `colorfilters`. */
import type { ColorRule } from "./protocol.ts";

/** `@name@filter@[background][foreground]`, each colour as three numbers of 16 bits; `!` before it: off. */
const RULE = /^@(.*?)@(.*)@\[(\d+),(\d+),(\d+)\]\[(\d+),(\d+),(\d+)\]$/;

function color(parts: readonly (string | undefined)[]): number {
  return parts.reduce((sum, part) => sum * 256 + (Number(part) >>> 8), 0);
}

/** The rules that are on, in their order. */
export function parseColorRules(text: string): ColorRule[] {
  return text.split("\n").flatMap((line) => {
    const found = RULE.exec(line.trim());
    if (found === null) return [];
    const [, name = "", filter = "", ...parts] = found;
    return [{ name, filter, background: color(parts.slice(0, 3)), foreground: color(parts.slice(3)) }];
  });
}
