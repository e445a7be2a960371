/** Completing field names in a display filter, and what was typed before. */

/** What a name of a field or protocol is made of. */
const NAME = /[A-Za-z0-9_.-]/;
/** A display filter's words that stand for operators. */
const OPERATORS = new Set("and or not xor eq ne gt lt ge le contains matches in all any bitand bitwise_and".split(" "));
/** Behind these stands a value. */
const COMPARED = /(?:[=<>~]|!=|[{,]|\b(?:eq|ne|gt|lt|ge|le|contains|matches))$/i;
const MOST_REMEMBERED = 20;

/** The name that is being typed. */
export interface NameBegun {
  readonly text: string;
  /** Where it begins and ends in the filter. */
  readonly start: number;
  readonly end: number;
}

/** The name before the cursor; undefined in a string, behind a comparison, and where there is none. */
export function nameBefore(filter: string, cursor: number): NameBegun | undefined {
  const before = filter.slice(0, cursor);
  if (((before.match(/(?<!\\)"/g) ?? []).length & 1) === 1) return undefined;
  let start = cursor;
  while (start > 0 && NAME.test(filter[start - 1] as string)) start--;
  let end = cursor;
  while (end < filter.length && NAME.test(filter[end] as string)) end++;
  const text = filter.slice(start, cursor);
  if (!/^[A-Za-z_]/.test(text) || OPERATORS.has(text)) return undefined;
  if (COMPARED.test(filter.slice(0, start).trimEnd())) return undefined;
  return { text, start, end };
}

/** A filter with a name put in place of what was typed of it, and where the cursor stands then. */
export function complete(filter: string, { start, end }: NameBegun, name: string): { text: string; cursor: number } {
  return { text: filter.slice(0, start) + name + filter.slice(end), cursor: start + name.length };
}

/** What was applied before, the last one first. */
export function remember(history: readonly string[], filter: string): string[] {
  return [filter, ...history.filter((one) => one !== filter)].slice(0, MOST_REMEMBERED);
}

/** How a filter is joined to another one. */
export type Join = "replace" | "not" | "and" | "or" | "and not" | "or not";

/** As Wireshark joins them, with brackets where they are needed. */
export function join(current: string, join: Join, added: string): string {
  const before = current.trim();
  const [operator, negation] = join.split(" ");
  const negated = join === "not" || negation === "not";
  const both = before !== "" && (operator === "and" || operator === "or");
  if (!both) return negated ? `!(${added})` : added;
  return `(${before}) ${operator === "and" ? "&&" : "||"} ${negated ? "!" : ""}(${added})`;
}
