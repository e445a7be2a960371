/** Results of a sweep's runs: a file each, by which a finished run is known, and all of them as a table, CSV and JSON. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { formatDuration, MS, SEC } from "../base/time.ts";
import type { FlowResult } from "../lab/workload.ts";
import type { SweepRun } from "./sweep-plan.ts";

/** What a run came to. */
export interface RunFigures {
  /** Every expectation of the lab held. */
  readonly ok: boolean;
  /** Commands and workloads that were run. */
  readonly steps: number;
  readonly failed: readonly {
    /** Position in the lab, from 0. */
    readonly step: number;
    readonly host: string;
    readonly command: string;
    readonly failures: readonly string[];
  }[];
  /** ns */
  readonly virtualTime: number;
  /** ms: the only figure that isn't the same again. */
  readonly wallTime: number;
  /** Frames that went from one host to another. */
  readonly frames: number;
  readonly events: number;
  /** Packets that were lost, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  /** Flows of all workloads, in order of their steps. */
  readonly workloads: readonly (FlowResult & { readonly step: number })[];
}

/** A finished run, as it stands in its file. */
export interface RunResult extends SweepRun, RunFigures {
  readonly lab: string;
  readonly version: string;
}

/** The folder of a sweep's results. */
export class ResultFolder {
  readonly path: string;

  /** @throws UserError when it can't be made */
  constructor(path: string) {
    this.path = path;
    try {
      mkdirSync(path, { recursive: true });
    } catch (error) {
      throw new UserError(`swarmwire sweep: --out ${path}: ${(error as Error).message}`);
    }
  }

  #file(identity: string): string {
    return join(this.path, `${identity}.json`);
  }

  /** What came of a run; undefined when it isn't finished. */
  read({ identity, repeat }: SweepRun): RunResult | undefined {
    try {
      const result = JSON.parse(readFileSync(this.#file(identity), "utf8")) as RunResult;
      return result.identity === identity ? { ...result, repeat } : undefined;
    } catch (error) {
      // Neither a run that isn't there nor a file that isn't whole is a result.
      if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return undefined;
      throw new UserError(`${this.#file(identity)}: ${(error as Error).message}`);
    }
  }

  /** Whole or not at all, whoever else writes there. @throws UserError when it can't be written */
  write(result: RunResult): void {
    const file = this.#file(result.identity);
    const draft = `${file}.${process.pid}`;
    try {
      writeFileSync(draft, `${JSON.stringify(result, null, 2)}\n`);
      renameSync(draft, file);
    } catch (error) {
      throw new UserError(`${file}: ${(error as Error).message}`);
    }
  }
}

type Cell = string | number | boolean;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const FLOW_FIGURES = ["sent", "received", "lost"] as const;

/** The results as rows under a head. @param all with a column for each reason of drops, and for each flow of several */
function rowsOf(results: readonly RunResult[], all: boolean): { head: string[]; rows: Cell[][] } {
  const keys = [...new Set(results.flatMap(({ parameters }) => Object.keys(parameters)))];
  const reasons = [...new Set(results.flatMap(({ drops }) => Object.keys(drops)))].sort();
  const flows = Math.max(0, ...results.map(({ workloads }) => workloads.length));
  const numbers = all && flows > 1 ? Array.from({ length: flows }, (_, i) => i) : [];
  const head = [
    ...keys,
    ...["repeat", "seed", "ok", "failed_steps", all ? "virtual_ns" : "virtual", all ? "wall_ms" : "wall"],
    ...["frames", "events", "drops"],
    ...(all ? reasons.map((reason) => `drops.${reason}`) : []),
    ...(flows > 0 ? FLOW_FIGURES : []),
    ...numbers.flatMap((i) => FLOW_FIGURES.map((figure) => `flow${i + 1}.${figure}`)),
  ];
  const rows = results.map((result): Cell[] => {
    const { workloads, drops, virtualTime, wallTime } = result;
    const wall = wallTime * MS;
    return [
      ...keys.map((key) => result.parameters[key] ?? ""),
      ...[result.repeat, result.seed, result.ok, result.failed.length],
      ...(all ? [virtualTime, wallTime] : [rounded(virtualTime), rounded(wall)]),
      ...[result.frames, result.events, sum(Object.values(drops))],
      ...(all ? reasons.map((reason) => drops[reason] ?? 0) : []),
      ...(flows > 0 ? FLOW_FIGURES.map((figure) => sum(workloads.map((flow) => flow[figure]))) : []),
      ...numbers.flatMap((i) => FLOW_FIGURES.map((figure) => workloads[i]?.[figure] ?? "")),
    ];
  });
  return { head, rows };
}

/** A time of the table: what is longer than a second to a tenth of one. */
function rounded(time: number): string {
  const unit = time < SEC ? MS : SEC / 10;
  return formatDuration(Math.round(time / unit) * unit);
}

/** RFC 4180, but for the ends of lines. */
export function formatCsv(results: readonly RunResult[]): string {
  const { head, rows } = rowsOf(results, true);
  const quoted = (cell: Cell): string =>
    /[",\r\n]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell);
  return [head, ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
}

/** An array, a run a line. */
export function formatJson(results: readonly RunResult[]): string {
  return `[${results.map((result) => `\n${JSON.stringify(result)}`).join(",")}\n]\n`;
}

/** For people: numbers to the right. */
export function formatTable(results: readonly RunResult[]): string {
  const { head, rows } = rowsOf(results, false);
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] as string).length)));
  const left = head.map((_, column) => rows.every((row) => typeof row[column] !== "number"));
  const pad = (cell: string, column: number): string =>
    left[column] ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number);
  return cells.map((row) => `${row.map(pad).join("  ").trimEnd()}\n`).join("");
}
