/**
 * What the command-line tools share: option parsing as getopt_long(3) does it, ending with a message,
 * paths, and the texts of errors in the two C libraries (musl in containers, glibc on hosts).
 */
import { ERRNO_TEXT, type Errno, KernelError } from "../../base/errors.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";

/** Ends a tool: what it prints on standard error and its exit status. */
export class ToolFailure extends Error {
  override name = "ToolFailure";
  readonly status: number;
  /** @param message printed behind `TOOL: `; with `raw` as it is */
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** Ends the tool with `TOOL: message` on standard error (err(3), busybox bb_error_msg_and_die). */
export function die(message: string, status = 1): never {
  throw new ToolFailure(message, status);
}

/** The name a program was called by, without its folder. */
export function appletName(context: ProgramContext): string {
  const name = context.argv[0] ?? "";
  return name.slice(name.lastIndexOf("/") + 1);
}

/** A program whose ToolFailures are printed. `usage` is added when an option is wrong. */
export function tool(main: Program, usage?: (name: string) => string): Program {
  return function* (context) {
    const name = appletName(context);
    try {
      return yield* main(context);
    } catch (error) {
      if (!(error instanceof ToolFailure)) throw error;
      context.stderr.write(`${name}: ${error.message}\n`);
      if (error instanceof OptionFailure && usage !== undefined) context.stderr.write(usage(name));
      return error.status;
    }
  };
}

/** busybox's usage screen, as the captured version prints it. */
export function busyboxUsage(synopsis: string): (name: string) => string {
  return (name) => `BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n\nUsage: ${name} ${synopsis}\n`;
}

/** A wrong option: the usage follows the message. */
export class OptionFailure extends ToolFailure {}

/** What getopt found. */
export class Options {
  readonly rest: string[] = [];
  readonly #values = new Map<string, string[]>();

  add(key: string, value: string): void {
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** How often an option was given. */
  count(key: string): number {
    return this.#values.get(key)?.length ?? 0;
  }

  /** The last argument of an option. */
  get(key: string): string | undefined {
    return this.#values.get(key)?.at(-1);
  }

  all(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** An option's argument as a whole number; `invalid number` otherwise. */
  number(key: string, fallback: number): number {
    const text = this.get(key);
    if (text === undefined) return fallback;
    return parseNumber(text);
  }
}

/** xatou of busybox. */
export function parseNumber(text: string): number {
  if (!/^\d+$/.test(text)) die(`invalid number '${text}'`);
  return Number(text);
}

/**
 * getopt_long(3): `spec` lists short options, a colon behind those with an argument; `long` maps a long name to the
 * key of its short option, or to a key of its own, with a colon if it takes an argument. Operands may stand between
 * options, unless `spec` begins with `+`.
 */
export function getopt(
  argv: readonly string[],
  spec: string,
  long: Readonly<Record<string, string>> = {},
  status = 1,
): Options {
  const options = new Options();
  const inOrder = spec.startsWith("+");
  for (let i = 1; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === "--") {
      options.rest.push(...argv.slice(i + 1));
      break;
    }
    if (word === "-" || !word.startsWith("-")) {
      if (inOrder) {
        options.rest.push(...argv.slice(i));
        break;
      }
      options.rest.push(word);
    } else if (word.startsWith("--")) i = longOption(options, argv, i, spec, long, status);
    else i = shortOptions(options, argv, i, spec, status);
  }
  return options;
}

function longOption(
  options: Options,
  argv: readonly string[],
  at: number,
  spec: string,
  long: Readonly<Record<string, string>>,
  status: number,
): number {
  const word = (argv[at] as string).slice(2);
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  const target = Object.hasOwn(long, name) ? long[name] : undefined;
  if (target === undefined) throw new OptionFailure(`unrecognized option '--${name}'`, status);
  const key = target.replace(/:$/, "");
  const takes = target.endsWith(":") || (key.length === 1 && spec[spec.indexOf(key) + 1] === ":" && spec.includes(key));
  if (!takes) {
    if (equals >= 0) throw new OptionFailure(`option '--${name}' doesn't allow an argument`, status);
    options.add(key, "");
    return at;
  }
  const value = equals >= 0 ? word.slice(equals + 1) : argv[at + 1];
  if (value === undefined) throw new OptionFailure(`option '--${name}' requires an argument`, status);
  options.add(key, value);
  return equals >= 0 ? at : at + 1;
}

function shortOptions(options: Options, argv: readonly string[], at: number, spec: string, status: number): number {
  const word = argv[at] as string;
  for (let i = 1; i < word.length; i++) {
    const key = word[i] as string;
    const found = key === ":" || key === "+" ? -1 : spec.indexOf(key);
    if (found < 0) throw new OptionFailure(`invalid option -- '${key}'`, status);
    if (spec[found + 1] !== ":") {
      options.add(key, "");
      continue;
    }
    if (i + 1 < word.length) {
      options.add(key, word.slice(i + 1));
      return at;
    }
    const value = argv[at + 1];
    if (value === undefined) throw new OptionFailure(`option requires an argument -- '${key}'`, status);
    options.add(key, value);
    return at + 1;
  }
  return at;
}

/** An absolute path without `.` and `..`. */
export function resolvePath(cwd: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${cwd}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** strerror(3) of glibc where it differs from musl's, whose texts base/errors.ts has. */
const GLIBC_TEXT: Partial<Record<Errno, string>> = {
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  ENETUNREACH: "Network is unreachable",
  EHOSTUNREACH: "No route to host",
  ETIMEDOUT: "Connection timed out",
  ECONNABORTED: "Software caused connection abort",
  EISCONN: "Transport endpoint is already connected",
  ENOTCONN: "Transport endpoint is not connected",
  EINPROGRESS: "Operation now in progress",
  EXFULL: "Exchange full",
};

/** Text of an errno in glibc. */
export function glibcText(code: Errno): string {
  return GLIBC_TEXT[code] ?? ERRNO_TEXT[code];
}

/** Runs something; the errno of the KernelError it throws, or undefined. */
export function errnoOf(action: () => void): Errno | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return undefined;
}
