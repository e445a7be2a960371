/** Command-line options of the small tools: getopt(3), with long names where a tool has them. */

/** A command line that can't be read: the message without the program's name. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The options of a command line and what is left of it. */
export interface Options {
  has(name: string): boolean;
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  /** A number; UsageError `invalid number 'x'` when it is none. */
  number(name: string): number | undefined;
  readonly args: readonly string[];
}

/**
 * Reads options wherever they stand.
 * @param letters getopt's notation: `c:qs:` (a colon: takes a value)
 * @param long long names → the letter they stand for, or a name of their own with `:` for a value
 * @param stop the first argument ends the options
 */
export function getopt(
  argv: readonly string[],
  letters: string,
  long: Readonly<Record<string, string>> = {},
  stop = false,
): Options {
  const values = new Map<string, string[]>();
  const args: string[] = [];
  const put = (name: string, value: string) => values.set(name, [...(values.get(name) ?? []), value]);
  const takesValue = (letter: string) => letters[letters.indexOf(letter) + 1] === ":";
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === "--") {
      args.push(...argv.slice(at + 1));
      break;
    }
    if (word.startsWith("--")) {
      const [name = "", inline] = splitOnce(word.slice(2), "=");
      const target = long[name];
      if (target === undefined) throw new UsageError(`unrecognized option: ${name}`);
      const own = target.endsWith(":") ? target.slice(0, -1) : target;
      const needs = target.endsWith(":") || (target.length === 1 && takesValue(target));
      if (!needs) put(own, "");
      else if (inline !== undefined) put(own, inline);
      else if (argv[at + 1] === undefined) throw new UsageError(`option requires an argument: ${name}`);
      else put(own, argv[++at] as string);
      continue;
    }
    if (!word.startsWith("-") || word === "-") {
      args.push(...(stop ? argv.slice(at) : [word]));
      if (stop) break;
      continue;
    }
    for (let rest = word.slice(1); rest !== ""; rest = rest.slice(1)) {
      const letter = rest[0] as string;
      if (letter === ":" || !letters.includes(letter)) throw new UsageError(`invalid option -- '${letter}'`);
      if (!takesValue(letter)) {
        put(letter, "");
        continue;
      }
      const value = rest.length > 1 ? rest.slice(1) : argv[++at];
      if (value === undefined) throw new UsageError(`option requires an argument -- '${letter}'`);
      put(letter, value);
      break;
    }
  }
  return {
    has: (name) => values.has(name),
    text: (name) => values.get(name)?.at(-1),
    list: (name) => values.get(name) ?? [],
    number: (name) => {
      const text = values.get(name)?.at(-1);
      if (text === undefined) return undefined;
      if (!/^\d+(\.\d+)?$/.test(text)) throw new UsageError(`invalid number '${text}'`);
      return Number(text);
    },
    args,
  };
}

/** Splits at the first separator. */
export function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
