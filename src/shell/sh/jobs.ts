/** How shells speak of background jobs (busybox shell/ash.c showjob). */
import type { Job } from "./state.ts";

/** How a shell calls the end by a signal (strsignal(3)), by the status. */
export const ENDED_BY: ReadonlyMap<number, string> = new Map([
  [134, "Aborted"],
  [137, "Killed"],
  [143, "Terminated"],
]);
/** Where the commands of `jobs` stand. */
const JOB_COLUMN = 33;

/** A line of `jobs`. */
export function jobLine({ number, process, text }: Job, current: boolean): string {
  const { status } = process;
  const ended = status === 0 ? "Done" : (ENDED_BY.get(status ?? 0) ?? `Done(${status})`);
  const words = status === undefined ? "Running" : ended;
  return `${`[${number}]${current ? "+" : "-"}  ${words}`.padEnd(JOB_COLUMN)}${text}\n`;
}
