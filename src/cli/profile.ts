/** How `swarmwire run --profile` shows where the wall time went. */
import { SECTIONS, type Section, type SectionTimes, sumOfProfiles, type ThreadProfile } from "../scheduler/profile.ts";
import { formatColumns } from "./columns.ts";

const TITLES: Readonly<Record<Section, string>> = {
  kernel: "kernel (Wasm): packets, timers",
  calls: "kernel (Wasm): system calls",
  programs: "programs",
  capture: "capture, trace",
  exchange: "windows, exchange",
  wait: "waiting at barriers",
  idle: "waiting for orders, results",
  other: "other",
};

const totalOf = (times: SectionTimes): number => SECTIONS.reduce((sum, section) => sum + times[section], 0);

/** A row a section and a column a thread, in ms, and the sum with its shares. */
export function formatProfile(threads: readonly ThreadProfile[]): string {
  const sum = sumOfProfiles(threads);
  const total = totalOf(sum);
  const ms = (time: number): string => time.toFixed(1);
  const share = (time: number): string => `${total === 0 ? "0.0" : ((100 * time) / total).toFixed(1)} %`;
  const columns = threads.length > 1 ? threads : [];
  const rows = [
    ["wall time, ms", ...columns.map(({ thread }) => thread), "sum", ""],
    ...SECTIONS.map((name) => [
      TITLES[name],
      ...columns.map(({ times }) => ms(times[name])),
      ms(sum[name]),
      share(sum[name]),
    ]),
    ["total", ...columns.map(({ times }) => ms(totalOf(times))), ms(total), ""],
  ];
  return formatColumns(rows);
}

/** The same as plain data, in ms to the microsecond. */
export function profileJson(threads: readonly ThreadProfile[]): {
  readonly threads: readonly ThreadProfile[];
  readonly sum: SectionTimes;
} {
  const rounded = (times: SectionTimes): SectionTimes =>
    Object.fromEntries(SECTIONS.map((name) => [name, Number(times[name].toFixed(3))])) as SectionTimes;
  return {
    threads: threads.map(({ thread, times }) => ({ thread, times: rounded(times) })),
    sum: rounded(sumOfProfiles(threads)),
  };
}
