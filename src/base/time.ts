/**
 * Virtual time: an integer number of nanoseconds since the start of the run, as a JavaScript number.
 * Exact up to 2^53 ns (104 days of virtual time); nothing in swarmwire reads a wall clock.
 */

/** A point in virtual time (ns since the start of the run), or a span of it. */
export type Time = number;

/** Units of time, in ns. */
export const NS = 1;
export const US = 1_000;
export const MS = 1_000_000;
export const SEC = 1_000_000_000;
export const MINUTE = 60 * SEC;
export const HOUR = 3600 * SEC;

/** Later than any event of a run. */
export const FOREVER: Time = Number.MAX_SAFE_INTEGER;

const DURATION_UNITS: Record<string, number> = {
  ns: NS,
  us: US,
  µs: US,
  ms: MS,
  s: SEC,
  m: MINUTE,
  h: HOUR,
  d: 24 * HOUR,
};

/**
 * Parses a duration in Go's notation: `50us`, `1.5s`, `1h30m`, `12h`, `0`.
 * @returns nanoseconds, or undefined when the text is not a duration
 */
export function parseDuration(text: string): Time | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  const part = /(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h|d)/y;
  let total = 0;
  while (part.lastIndex < trimmed.length) {
    const match = part.exec(trimmed);
    if (match === null) return undefined;
    total += Number(match[1]) * (DURATION_UNITS[match[2] as string] as number);
  }
  return trimmed === "" ? undefined : Math.round(total);
}

/** Formats nanoseconds as Go's time.Duration does: `1m30s`, `50µs`, `1.5s`. */
export function formatDuration(ns: Time): string {
  if (ns === 0) return "0s";
  const sign = ns < 0 ? "-" : "";
  const abs = Math.abs(ns);
  if (abs < US) return `${sign}${abs}ns`;
  if (abs < MS) return `${sign}${trimFraction(abs / US)}µs`;
  if (abs < SEC) return `${sign}${trimFraction(abs / MS)}ms`;
  const hours = Math.floor(abs / HOUR);
  const minutes = Math.floor((abs % HOUR) / MINUTE);
  const seconds = `${trimFraction((abs % MINUTE) / SEC)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : sign + seconds;
}

function trimFraction(value: number): string {
  return value.toFixed(9).replace(/\.?0+$/, "");
}

const RATE_UNITS: Record<string, number> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9, tbit: 1e12 };

/**
 * Parses a rate in tc's notation: `10Gbit`, `100mbit`, `1.5Gbit`.
 * @returns bits per second, or undefined when the text is not a rate
 */
export function parseRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?bit)$/i.exec(text.trim());
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (RATE_UNITS[(match[2] as string).toLowerCase()] as number));
}
