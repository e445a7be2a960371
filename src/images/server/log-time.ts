/** Time stamps as servers write them into their logs; the emulated hosts are on UTC. */
import { MS, SEC, type Time, US } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

function parts(time: Time): { date: Date; clock: string; day: string; month: string } {
  const date = new Date(unixSeconds(time) * 1000);
  const clock = date.toISOString().slice(11, 19);
  const day = String(date.getUTCDate()).padStart(2, "0");
  return { date, clock, day, month: MONTHS[date.getUTCMonth()] as string };
}

/** `15/Aug/2023:17:03:04 +0000`, of the common log format. */
export function commonLogTime(time: Time): string {
  const { date, clock, day, month } = parts(time);
  return `${day}/${month}/${date.getUTCFullYear()}:${clock} +0000`;
}

/** `2023/08/15 17:03:04`, of nginx's error log and Go's log package. */
export function slashTime(time: Time): string {
  const { date, clock } = parts(time);
  return `${date.toISOString().slice(0, 10).replaceAll("-", "/")} ${clock}`;
}

/** `15 Aug 2023 17:03:04.123`, of redis. */
export function redisTime(time: Time): string {
  const { date, clock, day, month } = parts(time);
  return `${day} ${month} ${date.getUTCFullYear()} ${clock}.${String(Math.floor((time % SEC) / MS)).padStart(3, "0")}`;
}

/** `Tue Aug 15 17:03:04.123456 2023`, of Apache. */
export function apacheTime(time: Time): string {
  const { date, clock, day, month } = parts(time);
  const micros = String(Math.floor((time % SEC) / US)).padStart(6, "0");
  return `${DAYS[date.getUTCDay()]} ${month} ${day} ${clock}.${micros} ${date.getUTCFullYear()}`;
}

/** `2023-08-15T17:03:04.123456Z`, of MySQL; with a digit less for its entrypoint. */
export function isoTime(time: Time): string {
  const { date, clock } = parts(time);
  return `${date.toISOString().slice(0, 10)}T${clock}.${String(Math.floor((time % SEC) / US)).padStart(6, "0")}Z`;
}
