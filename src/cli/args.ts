/** Arguments of swarmwire's commands: a small parser over a table of flags, with one clear line per mistake. */
import { UserError } from "../base/errors.ts";

/** A flag: `value` names its argument in help; without one it is a switch. */
export interface Flag {
  readonly value?: string;
  /** May be given several times. */
  readonly repeat?: boolean;
  readonly help: string;
}

/** A command's flags by name. */
export type FlagTable = Readonly<Record<string, Flag>>;

/** A command line taken apart. */
export interface ParsedArgs {
  readonly positional: readonly string[];
  /** The last value of a flag; "" of a switch that is on. */
  get(name: string): string | undefined;
  all(name: string): readonly string[];
  has(name: string): boolean;
}

/** Every command has it; `-h` is short for it. */
export const HELP_FLAG: Flag = { help: "this text" };

/**
 * @param command its name, for messages
 * @throws UserError for a flag that the command doesn't have, or that is used wrongly
 */
export function parseArgs(command: string, argv: readonly string[], flags: FlagTable): ParsedArgs {
  const positional: string[] = [];
  const values = new Map<string, string[]>();
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") {
      positional.push(...argv.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      positional.push(arg);
      continue;
    }
    const [name, inline] = arg === "-h" ? ["help", undefined] : splitOnce(arg.replace(/^--?/, ""));
    const flag = flags[name];
    if (flag === undefined)
      throw new UserError(`swarmwire ${command}: unknown flag ${arg}; see swarmwire ${command} --help`);
    let value = inline;
    if (flag.value === undefined) {
      if (inline !== undefined) throw new UserError(`swarmwire ${command}: --${name} takes no value`);
      value = "";
    } else if (value === undefined) {
      value = argv[++i];
      if (value === undefined) throw new UserError(`swarmwire ${command}: --${name} needs ${flag.value}`);
    }
    const list = values.get(name) ?? [];
    if (list.length > 0 && !flag.repeat) throw new UserError(`swarmwire ${command}: --${name} was given twice`);
    list.push(value);
    values.set(name, list);
  }
  return {
    positional,
    get: (name) => values.get(name)?.at(-1),
    all: (name) => values.get(name) ?? [],
    has: (name) => values.has(name),
  };
}

/** The two sides of the first `=`; the right one is undefined without one. */
export function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * The number that a flag gives; undefined when it wasn't given.
 * @throws UserError when it isn't whole or out of bounds
 */
export function wholeNumber(
  command: string,
  args: ParsedArgs,
  name: string,
  least: number,
  most: number,
): number | undefined {
  const text = args.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < least || value > most)
    throw new UserError(`swarmwire ${command}: --${name} ${text}: expected a number from ${least} to ${most}`);
  return value;
}

/** The flags of a command, as help lists them. */
export function formatFlags(flags: FlagTable): string {
  const rows = Object.entries(flags).map(
    ([name, flag]) => [`--${name}${flag.value === undefined ? "" : ` ${flag.value}`}`, flag.help] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}\n`).join("");
}
