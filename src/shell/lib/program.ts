/** Helpers of programs: usage errors, waiting for sockets and Ctrl-C together, text and bytes, file paths. */
import type { KernelError } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import type { Output, Program, ProgramContext } from "../../engine/program.ts";
import type { Wakeable } from "../../kernel/socket-types.ts";
import type { Proc, Wait, Waitable } from "../../scheduler/process.ts";
import { UsageError } from "./options.ts";

/** Ends a program with a message `NAME: message` and a status. */
export class Failure extends Error {
  override name = "Failure";
  readonly status: number;
  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Ends a program with `NAME: message` on standard error (busybox's bb_error_msg_and_die). */
export function die(message: string, status = 1): never {
  throw new Failure(message, status);
}

/** busybox's usage screen, as the captured version prints it. */
export function busyboxUsage(name: string, synopsis: string): string {
  return `BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n\nUsage: ${name} ${synopsis}\n`;
}

/**
 * Wraps a program: Failure and UsageError become its message on standard error and its status.
 * @param usage printed behind a UsageError, and alone for a Failure without message
 */
export function tool(body: Program, usageStatus = 1, usage = ""): Program {
  return function* (context) {
    try {
      return yield* body(context);
    } catch (error) {
      if (!(error instanceof Failure || error instanceof UsageError)) throw error;
      if (error.message !== "") context.stderr.write(`${baseName(context.argv[0] ?? "")}: ${error.message}\n`);
      if (usage !== "" && (error instanceof UsageError || error.message === "")) context.stderr.write(usage);
      return error instanceof Failure ? error.status : usageStatus;
    }
  };
}

/** A program that never waits. */
export function quick(body: (context: ProgramContext) => number): Program {
  // biome-ignore lint/correctness/useYield: it never waits
  return tool(function* (context) {
    return body(context);
  });
}

/**
 * Waits for any of the sources or the deadline. Signals are left to their default action: they end the program, or
 * are ignored where it is PID 1 of a container (see ProgramContext.signals), as with tools that install no handler.
 */
export function* waitReady(
  context: ProgramContext,
  sources: readonly (Wakeable | Waitable)[],
  until?: Time,
): Proc<"ready" | "timeout"> {
  const on = sources as readonly Waitable[];
  const wait: Wait = until === undefined ? { on } : { on, until };
  if (until !== undefined && context.os.now() >= until) return "timeout";
  return (yield wait) === undefined ? "timeout" : "ready";
}

/** strerror(3) of glibc where it differs from musl's texts of base/errors.ts. */
export function glibcError(error: KernelError): string {
  const texts: Partial<Record<typeof error.code, string>> = {
    ENETUNREACH: "Network is unreachable",
    EHOSTUNREACH: "No route to host",
    EADDRINUSE: "Address already in use",
    EADDRNOTAVAIL: "Cannot assign requested address",
    ETIMEDOUT: "Connection timed out",
    ENOTCONN: "Transport endpoint is not connected",
  };
  return texts[error.code] ?? muslError(error);
}

/** strerror(3) of musl, and what busybox prints. */
export function muslError(error: KernelError): string {
  return error.message.slice(error.message.lastIndexOf(": ") + 2);
}

/** strerror(3) of one of the C libraries. */
export function errorText(error: KernelError, libc: "musl" | "glibc"): string {
  return libc === "glibc" ? glibcError(error) : muslError(error);
}

/** Text of a stream of bytes that arrives in pieces: a character split between two of them stays whole. */
export class TextStream {
  readonly #decoder = new TextDecoder("utf-8");

  push(data: Uint8Array): string {
    return this.#decoder.decode(data, { stream: true });
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: false });
/** Where bytes that are no text stand in a string: 0x80 as U+DC80 (Python's surrogateescape, PEP 383). */
const LONE = 0xdc00;

/** The bytes of a text; those that `decodeBytes` found to be no text are themselves again. */
export function encode(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text)) return encoder.encode(text);
  const parts = text.split(/((?<![\ud800-\udbff])[\udc80-\udcff]+)/);
  return concat(
    parts.map((part, at) =>
      at % 2 === 0 ? encoder.encode(part) : Uint8Array.from(part, (char) => char.charCodeAt(0) - LONE),
    ),
  );
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Text of bytes; what is no UTF-8 becomes U+FFFD. */
export function decode(data: Uint8Array): string {
  return decoder.decode(data);
}

/** A string from which `encode` makes the same bytes again, whatever they are. */
export function decodeBytes(data: Uint8Array): string {
  let out = "";
  for (let at = 0; at < data.length; ) {
    const length = sequenceLength(data, at);
    if (length === 0) out += String.fromCharCode(LONE + (data[at++] as number));
    else {
      out += decoder.decode(data.subarray(at, at + length));
      at += length;
    }
  }
  return out;
}

/** Length of the well-formed UTF-8 that begins there: all ASCII, or one character; 0 when there is none (RFC 3629 §4). */
function sequenceLength(data: Uint8Array, at: number): number {
  const first = data[at] as number;
  if (first < 0x80) {
    let end = at;
    while (end < data.length && (data[end] as number) < 0x80) end++;
    return end - at;
  }
  const length =
    first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > data.length) return 0;
  for (let i = 1; i < length; i++) if (((data[at + i] as number) & 0xc0) !== 0x80) return 0;
  const second = data[at + 1] as number;
  const overlong = (first === 0xe0 && second < 0xa0) || (first === 0xf0 && second < 0x90);
  const outside = (first === 0xed && second >= 0xa0) || (first === 0xf4 && second >= 0x90);
  // A byte order mark would be swallowed by the decoder.
  const mark = first === 0xef && second === 0xbb && data[at + 2] === 0xbf;
  return overlong || outside || mark ? 0 : length;
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** An absolute path, with `.` and `..` resolved. */
export function absolutePath(context: ProgramContext, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${context.cwd}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Text of a file, or of standard input for `-`. Undefined when there is none. */
export function* readInput(context: ProgramContext, path: string): Proc<string | undefined> {
  if (path === "-") return yield* context.stdin.readAll();
  const full = absolutePath(context, path);
  return full === "/dev/null" ? "" : context.files.read(full);
}

/** Lines of a text, without an empty one behind the last newline. */
export function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Writes lines, each with its end. */
export function writeLines(output: Output, lines: readonly string[]): void {
  if (lines.length > 0) output.write(`${lines.join("\n")}\n`);
}

/** Go and C programs pad with blanks; a text longer than the width stays whole. */
export function padded(cells: readonly (readonly [text: string, width: number])[]): string {
  return cells.map(([text, width]) => (width < 0 ? text.padEnd(-width) : text.padStart(width))).join("");
}
