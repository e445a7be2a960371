/**
 * Standard streams of a container's process: its log, its terminal, and whoever is attached (moby
 * container/stream, daemon/attach.go, the json-file logger).
 */
import type { Time } from "../base/time.ts";
import { Channel, Signal } from "../scheduler/process.ts";
import type { AttachStream } from "./api.ts";
import { type Output, Pipe } from "./program.ts";

export type StreamName = "stdout" | "stderr";

/** A chunk of output as the log keeps it. */
export interface LogEntry {
  readonly time: Time;
  readonly stream: StreamName;
  readonly text: string;
}

/** Keeps at most this much text of a log; the oldest goes first, as with json-file's max-size. */
const LOG_LIMIT = 4 * 1024 * 1024;

/** The streams of one process. */
export class StandardStreams {
  readonly stdin = new Pipe();
  readonly stdout: Output;
  readonly stderr: Output;
  readonly log: LogEntry[] = [];
  readonly #now: () => Time;
  readonly #listeners = new Set<Channel<{ stream: StreamName; text: string }>>();
  readonly #interrupt: () => void;
  #logged = 0;
  #closed = false;
  /** Notified when the last client detached. */
  readonly detached = new Signal();

  /**
   * @param tty on a terminal standard error is standard output
   * @param interrupt what Ctrl-C does
   */
  constructor(now: () => Time, tty: boolean, interrupt: () => void) {
    this.#now = now;
    this.#interrupt = interrupt;
    this.stdout = { write: (text) => this.#write("stdout", text) };
    this.stderr = { write: (text) => this.#write(tty ? "stdout" : "stderr", text) };
  }

  #write(stream: StreamName, text: string): void {
    if (text === "" || this.#closed) return;
    this.log.push({ time: this.#now(), stream, text });
    this.#logged += text.length;
    while (this.#logged > LOG_LIMIT) this.#logged -= (this.log.shift() as LogEntry).text.length;
    for (const listener of this.#listeners) listener.push({ stream, text });
  }

  /** A client that sees output from now on and may type. */
  attach(): AttachStream {
    const output = this.follow();
    return {
      stdin: this.stdin,
      output,
      interrupt: this.#interrupt,
      detach: () => {
        this.unfollow(output);
        this.detached.notify();
      },
    };
  }

  /** Live output; closed when the process has ended. */
  follow(): Channel<{ readonly stream: StreamName; readonly text: string }> {
    const channel = new Channel<{ stream: StreamName; text: string }>();
    if (this.#closed) channel.close();
    else this.#listeners.add(channel);
    return channel;
  }

  unfollow(channel: Channel<{ readonly stream: StreamName; readonly text: string }>): void {
    this.#listeners.delete(channel);
    channel.close();
  }

  /** The process has ended: no more output. */
  close(): void {
    this.#closed = true;
    this.stdin.close();
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
  }
}
