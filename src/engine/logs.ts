/** `GET /containers/{id}/logs` (moby daemon/logs.go, the json-file logger; 20.10). */
import type { Time } from "../base/time.ts";
import { formatRfc3339Fixed } from "../base/wall-clock.ts";
import type { HostRuntime } from "../scheduler/process.ts";
import { Channel, type Proc } from "../scheduler/process.ts";
import type { Container } from "./container.ts";
import type { LogEntry, OutputChunk } from "./stdio.ts";

/** From where on lines are wanted (TaskLogOptions). */
interface LineOptions {
  readonly follow: boolean;
  readonly tail?: number;
  readonly since?: Time;
}

/** Whole lines with the time of their writing. The channel is closed at the end. */
export function followLines(os: HostRuntime, container: Container, options: LineOptions): Channel<LogEntry> {
  const { tail, since = 0 } = options;
  const out = new Channel<LogEntry>();
  const lines = container.log.lines().filter(({ time }) => time >= since);
  for (const line of tail === undefined ? lines : tail === 0 ? [] : lines.slice(-tail)) out.push(line);
  if (options.follow && container.running) os.spawn("task logs", copyLines(os, container, out));
  else out.close();
  return out;
}

function* copyLines(os: HostRuntime, container: Container, out: Channel<LogEntry>): Proc<void> {
  const live = container.streams.follow();
  const begun = new Map<LogEntry["stream"], LogEntry>();
  for (;;) {
    const chunk = yield* live.pop();
    if (chunk === undefined) break;
    for (const part of chunk.text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
      const { time = os.now(), text = "" } = begun.get(chunk.stream) ?? {};
      const line = { time, stream: chunk.stream, text: text + part };
      begun.delete(chunk.stream);
      if (part.endsWith("\n")) out.push(line);
      else begun.set(chunk.stream, line);
    }
  }
  for (const line of begun.values()) out.push(line);
  out.close();
}

/** What of a log is wanted. */
export interface LogOptions {
  readonly follow?: boolean;
  /** Lines from the end; all where not given. */
  readonly tail?: number;
  readonly timestamps?: boolean;
  /** Lines of this time or later. */
  readonly since?: Time;
  /** Lines of this time or earlier; a log that is followed ends then. */
  readonly until?: Time;
}

function chunkOf({ time, stream, text }: LogEntry, timestamps: boolean): OutputChunk {
  return { stream, text: timestamps ? `${formatRfc3339Fixed(time)} ${text}` : text };
}

/** What is logged, then what comes while the container runs, if it is followed. The channel is closed at the end. */
export function readLogs(os: HostRuntime, container: Container, options: LogOptions): Channel<OutputChunk> {
  const { tail, timestamps = false, since = 0, until } = options;
  const out = new Channel<OutputChunk>();
  const lines = container.log.lines().filter(({ time }) => time >= since && (until === undefined || time <= until));
  for (const line of tail === undefined ? lines : tail === 0 ? [] : lines.slice(-tail))
    out.push(chunkOf(line, timestamps));
  if (options.follow !== true || !container.running || (until !== undefined && until <= os.now())) {
    out.close();
    return out;
  }
  os.spawn("docker logs -f", copyLive(os, container, out, timestamps, until));
  return out;
}

/** Until the container's process has ended, or whoever reads `out` has closed it. */
function* copyLive(
  os: HostRuntime,
  container: Container,
  out: Channel<OutputChunk>,
  timestamps: boolean,
  until: Time | undefined,
): Proc<void> {
  const live = container.streams.follow();
  let atLineStart = true;
  for (;;) {
    const chunk = yield* live.pop(until);
    if (chunk === undefined || out.closed) break;
    const { stream, text } = chunk;
    out.push(chunkOf({ time: os.now(), stream, text }, timestamps && atLineStart));
    atLineStart = text.endsWith("\n");
  }
  out.close();
}
