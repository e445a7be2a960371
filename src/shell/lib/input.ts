/** What tools read: standard input as it comes, files, and the endless devices of /dev. */
import { MS } from "../../base/time.ts";
import { grown, Pipe, type ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { isEndless, openDevice } from "./devices.ts";
import { absolutePath } from "./program.ts";

/** Bytes that a device gives at a time, as the C library reads them; less where they go to a terminal, which is slower. */
const BLOCK = 65536;
const TERMINAL_BLOCK = 256;
/** What reading or making a block without end takes, so that time goes on: 64 MB a second. */
export const BLOCK_TIME = 1 * MS;

/** A thing that is read from the beginning to its end. */
export interface Input {
  /** The next piece; undefined at the end. */
  read(): Proc<string | undefined>;
  /** The next line without its newline; undefined at the end. */
  readLine(): Proc<string | undefined>;
}

class DeviceInput implements Input {
  readonly #context: ProgramContext;
  readonly #device: (size: number) => string;
  #text = "";

  constructor(context: ProgramContext, path: string) {
    this.#context = context;
    this.#device = openDevice(context, path);
  }

  *read(): Proc<string> {
    const until = this.#context.os.now() + BLOCK_TIME;
    while (this.#context.os.now() < until) yield { until };
    return this.#device(this.#context.tty ? TERMINAL_BLOCK : BLOCK);
  }

  *readLine(): Proc<string> {
    for (let searched = 0; ; ) {
      const end = this.#text.indexOf("\n", searched);
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const more = yield* this.read();
      searched = more.includes("\n") ? this.#text.length : this.#text.length + more.length;
      this.#text = grown(this.#text, more);
    }
  }
}

/** Opens a file, a device, or standard input for `-`; undefined when there is none. */
export function openInput(context: ProgramContext, name: string): Input | undefined {
  const path = absolutePath(context, name);
  if (name === "-" || path === "/dev/stdin" || path === "/dev/tty") return context.stdin;
  if (isEndless(path)) return new DeviceInput(context, path);
  const text = path === "/dev/null" ? "" : context.files.read(path);
  if (text === undefined) return undefined;
  const pipe = new Pipe();
  if (text !== "") pipe.push(text);
  pipe.close();
  return pipe;
}

/** What a named input is called in messages, and how missing ones are told. */
export interface InputMessages {
  /** Before the name: `can't open`. Default that. */
  readonly verb?: string;
}

/** Opens each named file in turn, or standard input; missing ones are complained about. @returns whether one was missing */
export function* eachInput(
  context: ProgramContext,
  names: readonly string[],
  body: (input: Input, name: string, index: number) => Proc<boolean | undefined>,
  { verb = "can't open" }: InputMessages = {},
): Proc<boolean> {
  let failed = false;
  for (const [index, name] of (names.length === 0 ? ["-"] : names).entries()) {
    const input = openInput(context, name);
    if (input !== undefined) {
      if ((yield* body(input, name, index)) === false) break;
      continue;
    }
    const directory = context.files.list(absolutePath(context, name)) !== undefined;
    const why = directory ? "Is a directory" : "No such file or directory";
    const head = directory ? "read error" : verb === "" ? name : `${verb} '${name}'`;
    context.stderr.write(`${context.argv[0]}: ${head}: ${why}\n`);
    failed = true;
  }
  return failed;
}

/** Reads the lines of the named files, or of standard input, as they come. `each` says false when it has enough. */
export function eachLine(
  context: ProgramContext,
  names: readonly string[],
  each: (line: string, name: string) => boolean | undefined,
  messages: InputMessages = {},
): Proc<boolean> {
  return eachInput(
    context,
    names,
    function* (input, name) {
      for (;;) {
        const line = yield* input.readLine();
        if (line === undefined) return undefined;
        if (each(line, name) === false) return false;
        yield* flush(context);
      }
    },
    messages,
  );
}

/** Waits while standard output is a full pipe. */
export function* flush(context: Pick<ProgramContext, "stdout">): Proc<void> {
  const { stdout } = context;
  while (stdout.full === true && stdout.drained !== undefined) yield { on: [stdout.drained] };
}
