/**
 * The terminal of an attached container or exec (docker/cli cli/command/container/hijack.go): output to the
 * screen; what is typed to the process; Ctrl-C; the detach keys.
 */
import type { AttachStream } from "../../engine/api.ts";
import type { ProgramContext } from "../../engine/program.ts";
import type { Proc, Waitable } from "../../scheduler/process.ts";
import { dieOf } from "./common.ts";

/** ctrl-p ctrl-q, docker's default detach sequence. */
const DETACH_KEYS = "\u0010\u0011";

/** What is copied, and how long. */
export interface PumpOptions {
  /** Forward standard input. */
  readonly stdin: boolean;
  /** The process has a terminal: input goes in as the process asks for it, its end does not close the process's. */
  readonly tty: boolean;
  /** What a signal to the client does; by default Ctrl-C goes through the stream's terminal, and others end the client. */
  readonly onSignal?: (name: string) => Proc<void>;
}

/**
 * Copies until the process has ended or the user detached. Typed text goes on only while the process waits for
 * input, so that whoever drives this terminal sees its standard input idle exactly when the innermost program's is.
 * @returns true when the detach keys were typed
 */
export function* pump(context: ProgramContext, stream: AttachStream, options: PumpOptions): Proc<boolean> {
  let typing = options.stdin;
  for (;;) {
    const chunk = stream.output.tryPop();
    if (chunk !== undefined) {
      (chunk.stream === "stderr" ? context.stderr : context.stdout).write(chunk.text);
      continue;
    }
    if (stream.output.closed) return false;
    const signal = context.signals.tryPop();
    if (signal !== undefined) {
      if (options.onSignal !== undefined) yield* options.onSignal(signal);
      else if (signal === "SIGINT") stream.interrupt();
      else dieOf(signal);
      continue;
    }
    const ready = typing && (!options.tty || stream.stdin.idle);
    if (ready) {
      const text = context.stdin.tryRead();
      if (text !== undefined) {
        const keys = options.tty ? text.indexOf(DETACH_KEYS) : -1;
        if (keys >= 0) {
          if (keys > 0) stream.stdin.push(text.slice(0, keys));
          stream.detach();
          return true;
        }
        stream.stdin.push(text);
        continue;
      }
      if (context.stdin.closed) {
        typing = false;
        if (!options.tty) stream.stdin.close();
        continue;
      }
    }
    const on: Waitable[] = [stream.output, context.signals];
    if (typing) on.push(ready ? context.stdin : stream.stdin.idled);
    yield { on };
  }
}
