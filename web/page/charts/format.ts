/** Numbers of charts in words, as tables, and as files. */
import type { Chart, Charts, Unit } from "../../session/charts/protocol.ts";

const SI = ["", "k", "M", "G", "T"] as const;
const BINARY = ["", "Ki", "Mi", "Gi", "Ti"] as const;
const TIMES = ["ns", "µs", "ms", "s"] as const;

/** Three digits, without zeros at the end. */
function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function scaled(value: number, step: number, prefixes: readonly string[]): string {
  let at = 0;
  let rest = value;
  while (Math.abs(rest) >= step * 0.9995 && at < prefixes.length - 1) {
    rest /= step;
    at++;
  }
  return `${digits(rest)} ${prefixes[at]}`;
}

/** A value with its unit; `–` for none. */
export function valueText(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined) return "–";
  switch (unit) {
    case "ns":
      return scaled(value, 1000, TIMES);
    case "bytes":
      return `${scaled(value, 1024, BINARY)}B`;
    case "%":
      return `${digits(value)} %`;
    case "×":
      return `${digits(value)} ×`;
    default:
      return `${scaled(value, 1000, SI)}${unit}`;
  }
}

/** Virtual seconds, as fine as buckets are. @param width of a bucket, ns */
export function timeText(seconds: number, width: number): string {
  const decimals = Math.max(0, Math.min(6, Math.ceil(9 - Math.log10(width))));
  return `${seconds.toFixed(decimals)} s`;
}

/** Values of a row, by line of the chart. */
export interface ValueRow {
  /** Virtual time at which the bucket begins, s. */
  readonly time: number;
  readonly values: readonly (number | null)[];
}

/** The numbers that a chart draws: buckets in a range of time (s), without those in which nothing was seen. */
export function valueRows({ series }: Chart, { width, buckets }: Charts, from: number, to: number): ValueRow[] {
  const rows: ValueRow[] = [];
  for (let i = 0; i < buckets; i++) {
    const time = (i * width) / 1e9;
    if (time < from - width / 1e9 || time > to) continue;
    const values = series.map((one) => one.values[i] ?? null);
    if (values.some((value) => value !== null)) rows.push({ time, values });
  }
  return rows;
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A chart as comma-separated values (RFC 4180): a line a bucket, in seconds and in the chart's unit. */
export function csv(chart: Chart, charts: Charts): string {
  const head = ["time (s)", ...chart.series.map(({ name }) => `${name} (${chart.unit})`)];
  const rows = valueRows(chart, charts, 0, Number.POSITIVE_INFINITY);
  const lines = rows.map(({ time, values }) => [
    String(time),
    ...values.map((value) => (value === null ? "" : String(value))),
  ]);
  return [head, ...lines].map((cells) => `${cells.map(quoted).join(",")}\r\n`).join("");
}
