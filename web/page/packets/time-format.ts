/** The packet list's column of time. */
import { EPOCH_SECONDS } from "../../../src/base/wall-clock.ts";

/** How times are shown, and what the user is told of it. */
export const TIME_FORMATS = {
  run: "Seconds since the run began",
  first: "Seconds since the first packet",
  previous: "Seconds since the previous displayed packet",
  utc: "UTC date and time",
} as const;

/** One of the ways. */
export type TimeFormat = keyof typeof TIME_FORMATS;

/** What a time is shown against. */
export interface TimeBase {
  /** Of the first packet of all, ns. */
  readonly first: number;
  /** Of the packet displayed before; undefined for the first one. */
  readonly previous: number | undefined;
}

/** Nanoseconds as seconds with nine digits. */
export function formatSeconds(ns: number): string {
  const sign = ns < 0 ? "-" : "";
  const all = Math.abs(ns);
  const nanoseconds = String(all % 1e9).padStart(9, "0");
  return `${sign}${Math.floor(all / 1e9)}.${nanoseconds}`;
}

/** @param time virtual, ns */
export function formatTime(time: number, format: TimeFormat, { first, previous }: TimeBase): string {
  switch (format) {
    case "run":
      return formatSeconds(time);
    case "first":
      return formatSeconds(time - first);
    case "previous":
      return formatSeconds(previous === undefined ? 0 : time - previous);
    case "utc": {
      const second = new Date((EPOCH_SECONDS + Math.floor(time / 1e9)) * 1000).toISOString();
      return `${second.slice(0, 10)} ${second.slice(11, 19)}.${String(time % 1e9).padStart(9, "0")}`;
    }
  }
}
