/**
 * The wall clock of the emulation: virtual time 0 is a fixed instant, so that every run prints the same
 * dates. What Docker shows and what traces carry start from it.
 */
import type { Time } from "./time.ts";

/** Virtual time 0 in seconds since 1970: 2026-01-01T00:00:00Z. */
export const EPOCH_SECONDS = 1_767_225_600;

/** Seconds since 1970, whole. */
export function unixSeconds(time: Time): number {
  return EPOCH_SECONDS + Math.floor(time / 1e9);
}

/** RFC 3339 with nanoseconds and without trailing zeros, as Go's time.RFC3339Nano: `2026-01-01T00:00:01.5Z`. */
export function formatRfc3339(time: Time): string {
  return formatRfc3339Fixed(time).replace(/\.?0+Z$/, "Z");
}

/** RFC 3339 with all nine digits of the nanoseconds, as in logs and events (moby pkg/jsonmessage RFC3339NanoFixed). */
export function formatRfc3339Fixed(time: Time): string {
  const base = new Date(unixSeconds(time) * 1000).toISOString().slice(0, 19);
  return `${base}.${String(time % 1e9).padStart(9, "0")}Z`;
}

/** The time of an RFC 3339 text; undefined when it is none. */
export function parseRfc3339(text: string): Time | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z$/.exec(text);
  if (match === null) return undefined;
  const seconds = Date.parse(`${match[1]}Z`) / 1000 - EPOCH_SECONDS;
  return seconds * 1e9 + Number((match[2] ?? "").padEnd(9, "0"));
}
