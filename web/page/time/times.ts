/** Times and speeds, as they are typed and shown. */
import { formatDuration, HOUR, MINUTE, MS, parseDuration, SEC, type Time, US } from "../../../src/base/time.ts";

/** A virtual time in seconds to the nanosecond, as tcpdump prints it with `-tt --nano`. */
export function clockText(time: Time): string {
  const seconds = Math.floor(time / SEC);
  return `${seconds}.${String(time - seconds * SEC).padStart(9, "0")}`;
}

/**
 * What was typed for a time: `1.5s`, `2h`, seconds as the clock shows them, and with a sign as far from now.
 * @returns undefined when it is none of these, or lies before the start
 */
export function parseTime(text: string, now: Time): Time | undefined {
  const [, sign = "", rest = ""] = /^\s*([+-]?)(.*)$/s.exec(text) ?? [];
  const plain = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*$/.exec(rest);
  const span = plain === null ? parseDuration(rest) : seconds(plain[1] as string);
  if (span === undefined) return undefined;
  const time = sign === "" ? span : sign === "+" ? now + span : now - span;
  return time >= 0 && Number.isSafeInteger(time) ? time : undefined;
}

/** Decimal seconds as ns, to the last digit. */
function seconds(text: string): Time {
  const [whole = "", fraction = ""] = text.split(".");
  return Number(whole) * SEC + Number(fraction.slice(0, 9).padEnd(9, "0"));
}

/** Virtual ns per second that can be chosen: from 1 µs a second to 12 hours a second, and as fast as it can. */
export const SPEEDS: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * US),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * MS),
  ...[1, 2, 5, 10, 30].map((n) => n * SEC),
  ...[1, 2, 5, 10, 30].map((n) => n * MINUTE),
  ...[1, 2, 5, 12].map((n) => n * HOUR),
  Number.POSITIVE_INFINITY,
];

/** A speed that was chosen, in words. */
export function speedText(speed: number): string {
  return speed === Number.POSITIVE_INFINITY ? "as fast as it can" : `${span(speed)}/s`;
}

/** Without the zeros of formatDuration(): 1h0m0s is 1h. */
function span(time: Time): string {
  return formatDuration(time)
    .replace(/(?<=m)0s$/, "")
    .replace(/(?<=h)0m$/, "");
}

/** A speed that was measured: three digits of it. */
export function measuredText(speed: number): string {
  if (speed < 1) return "0/s";
  const digits = 10 ** Math.max(0, Math.floor(Math.log10(speed)) - 2);
  return `${span(Math.round(speed / digits) * digits)}/s`;
}

/** The next speed up or down. */
export function nextSpeed(speed: number, up: boolean): number {
  const next = up ? SPEEDS.find((one) => one > speed) : SPEEDS.findLast((one) => one < speed);
  return next ?? speed;
}
