/** Flags that name a time: `--since`, `--until` (moby api/types/time/timestamp.go GetTimestamp). */
import { parseDuration, SEC, type Time } from "../../base/time.ts";
import { EPOCH_SECONDS, parseRfc3339 } from "../../base/wall-clock.ts";
import { type Invocation, StatusError } from "./command.ts";

/**
 * A time, seconds since 1970, or a span before now.
 * @returns virtual time; undefined when the flag wasn't given
 * @throws StatusError
 */
export function timeFlag({ flags, context }: Invocation, name: string): Time | undefined {
  const text = flags.text(name);
  if (text === undefined) return undefined;
  const span = parseDuration(text);
  if (span !== undefined) return context.os.now() - span;
  if (/^\d+(\.\d{1,9})?$/.test(text)) return Math.round((Number(text) - EPOCH_SECONDS) * SEC);
  const time = parseRfc3339(text);
  if (time === undefined)
    throw new StatusError(1, `invalid value for "${name}": failed to parse value as time or duration: "${text}"`);
  return time;
}
