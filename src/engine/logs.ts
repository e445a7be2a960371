/** `GET /containers/{id}/logs` (moby daemon/logs.go, the json-file logger; 20.10). */
import { formatRfc3339 } from "../base/wall-clock.ts";
import type { HostRuntime } from "../scheduler/process.ts";
import { Channel, type Proc } from "../scheduler/process.ts";
import type { Container } from "./container.ts";
import type { LogEntry, OutputChunk } from "./stdio.ts";

/** What of a log is wanted. */
export interface LogOptions {
  readonly follow?: boolean;
  /** Lines from the end; all where not given. */
  readonly tail?: number;
  readonly timestamps?: boolean;
}

function chunkOf({ time, stream, text }: LogEntry, timestamps: boolean): OutputChunk {
  return { stream, text: timestamps ? `${formatRfc3339(time)} ${text}` : text };
}

/** What is logged, then what comes while the container runs, if it is followed. The channel is closed at the end. */
export function readLogs(os: HostRuntime, container: Container, options: LogOptions): Channel<OutputChunk> {
  const { tail, timestamps = false } = options;
  const out = new Channel<OutputChunk>();
  const lines = container.log.lines();
  for (const line of tail === undefined ? lines : tail === 0 ? [] : lines.slice(-tail))
    out.push(chunkOf(line, timestamps));
  if (options.follow !== true || !container.running) {
    out.close();
    return out;
  }
  os.spawn("docker logs -f", copyLive(os, container, out, timestamps));
  return out;
}

/** Nobody reads `out` any more once its reader is gone; the copy ends with the container's process. */
function* copyLive(os: HostRuntime, container: Container, out: Channel<OutputChunk>, timestamps: boolean): Proc<void> {
  const live = container.streams.follow();
  let atLineStart = true;
  for (;;) {
    const chunk = yield* live.pop();
    if (chunk === undefined) break;
    const { stream, text } = chunk;
    out.push(chunkOf({ time: os.now(), stream, text }, timestamps && atLineStart));
    atLineStart = text.endsWith("\n");
  }
  out.close();
}
