/**
 * What whoever lets a user type on hosts keeps of a host's terminal between two lines: the prompt of `swarmwire shell` and
 * the page's shells alike.
 */
import { SEC, type Time } from "../base/time.ts";
import type { CommandOutcome, TerminalInput } from "./session.ts";

/** A typed command may run this long: an hour of virtual time. */
export const TYPED_LIMIT: Time = 3600 * SEC;

/** Characters that are kept of one command's output: as many as anybody scrolls back. */
const KEPT_OUTPUT = 1 << 20;

/** A terminal that a command has left open. */
export interface OpenTerminal {
  /** The request that opened it. */
  readonly key: number;
  /** Whose it is; undefined: the host's. */
  readonly container: string | undefined;
  /** What stands in its last line: the prompt of the program that waits. */
  tail: string;
}

/** The last line of a text, which isn't ended. */
export function lastLine(text: string): string {
  return text.slice(text.lastIndexOf("\n") + 1);
}

/** The directory that a shell's prompt names, `/etc # ` or `root@web:/etc# `; undefined where it names none. */
export function promptDirectory(prompt: string | undefined): string | undefined {
  return /(?:^|:)(\/[^\s#]*) ?# $/.exec(prompt ?? "")?.[1];
}

/** What is printed after something was typed: the newline with which a shell answers Ctrl-C stands there already. */
export class TypedOutput {
  #skipsNewline: boolean;
  #text = "";

  constructor(input: TerminalInput) {
    this.#skipsNewline = "key" in input && input.key === "interrupt";
  }

  /** What is to be shown of a piece of output. */
  take(output: string): string {
    const text = this.#skipsNewline ? output.replace(/^\n/, "") : output;
    this.#skipsNewline = false;
    this.#text += text;
    if (this.#text.length > 2 * KEPT_OUTPUT) this.#text = this.#text.slice(-KEPT_OUTPUT);
    return text;
  }

  /** What was taken so far; the end of it where that is very long. */
  get text(): string {
    return this.#text;
  }

  /** The last line so far. */
  get tail(): string {
    return lastLine(this.#text);
  }
}

/**
 * The terminal that is open after a command.
 * @param before the one that was typed into
 * @param tail the last line of what was printed
 * @returns undefined when nothing waits there
 */
export function openAfter(
  outcome: CommandOutcome,
  before: OpenTerminal | undefined,
  tail: string,
): OpenTerminal | undefined {
  if (!outcome.idle || outcome.refused !== undefined) return undefined;
  // A program that said nothing, to Ctrl-C for instance, still stands at its prompt.
  const said = outcome.stdout !== "" || outcome.stderr !== "";
  return { key: before?.key ?? outcome.id, container: outcome.terminal, tail: said ? tail : (before?.tail ?? "") };
}
