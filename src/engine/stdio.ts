/**
 * Standard streams of a container's process: its log, its terminal, and whoever is attached (moby
 * container/stream, daemon/attach.go, the json-file logger).
 */
import type { Time } from "../base/time.ts";
import { Channel } from "../scheduler/process.ts";
import type { AttachStream } from "./api.ts";
import { type Output, Pipe } from "./program.ts";

/** Where a chunk was written. */
export type StreamName = "stdout" | "stderr";

/** A piece of output on its way to a client. */
export interface OutputChunk {
  readonly stream: StreamName;
  readonly text: string;
}

/** A chunk of output as the log keeps it. */
export interface LogEntry extends OutputChunk {
  readonly time: Time;
}

/** Keeps at most this much text of a log; the oldest goes first, as with json-file's max-size. */
const LOG_LIMIT = 4 * 1024 * 1024;

/** What a container printed, over all its starts. */
export class OutputLog {
  readonly #entries: LogEntry[] = [];
  #length = 0;

  append(entry: LogEntry): void {
    this.#entries.push(entry);
    this.#length += entry.text.length;
    while (this.#length > LOG_LIMIT) this.#length -= (this.#entries.shift() as LogEntry).text.length;
  }

  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  /** Its lines with their newlines; a line has the time of its first chunk. */
  lines(): LogEntry[] {
    const lines: LogEntry[] = [];
    for (const { time, stream, text } of this.#entries) {
      for (const part of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
        const last = lines.at(-1);
        if (last !== undefined && last.stream === stream && !last.text.endsWith("\n"))
          lines[lines.length - 1] = { ...last, text: last.text + part };
        else lines.push({ time, stream, text: part });
      }
    }
    return lines;
  }
}

/** What a process's streams are made with. */
export interface StreamOptions {
  /** On a terminal standard error is standard output. */
  readonly tty: boolean;
  /** What Ctrl-C on the terminal does. */
  readonly interrupt: () => void;
  readonly now: () => Time;
  /** Where output is kept; an exec's is not. */
  readonly log?: OutputLog;
}

/** The streams of one process, from before it starts until it has ended. */
export class StandardStreams {
  readonly stdin = new Pipe();
  readonly stdout: Output;
  readonly stderr: Output;
  readonly #options: StreamOptions;
  readonly #listeners = new Set<Channel<OutputChunk>>();
  #closed = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.stdout = { write: (text) => this.#write("stdout", text) };
    this.stderr = { write: (text) => this.#write(options.tty ? "stdout" : "stderr", text) };
  }

  #write(stream: StreamName, text: string): void {
    if (text === "" || this.#closed) return;
    const { log, now } = this.#options;
    log?.append({ time: now(), stream, text });
    for (const listener of this.#listeners) listener.push({ stream, text });
  }

  /**
   * A client that sees output from now on and may type.
   * @param ownsStdin without a terminal, standard input ends when this client goes (StdinOnce)
   */
  attach(ownsStdin = false): AttachStream {
    const output = this.follow();
    return {
      stdin: this.stdin,
      output,
      interrupt: this.#options.interrupt,
      detach: () => {
        this.unfollow(output);
        if (ownsStdin && !this.#options.tty) this.stdin.close();
      },
    };
  }

  /** Live output; closed when the process has ended. */
  follow(): Channel<OutputChunk> {
    const channel = new Channel<OutputChunk>();
    if (this.#closed) channel.close();
    else this.#listeners.add(channel);
    return channel;
  }

  /** Ends a client's output; what was delivered can still be read. */
  unfollow(channel: Channel<OutputChunk>): void {
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
