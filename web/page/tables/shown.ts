/** What is shown for a choice: the grid's rows, and in words what they are of. */
import type { Remote } from "comlink";
import { formatDuration } from "../../../src/base/time.ts";
import { TABLES } from "../../../src/lab/inspect/tables/list.ts";
import type { SessionApi } from "../../session/protocol.ts";
import type { TableChoice } from "../../session/tables/protocol.ts";
import { comparedGrid, type GridTable, hostsGrid, plainGrid } from "./model.ts";
import type { Against } from "./pickers.ts";

/** A table, and what it is of. */
export interface Shown {
  readonly table: GridTable;
  readonly what: string;
}

/** What else is asked for. */
export interface Asked {
  /** Counters and timers count as differences. */
  readonly volatile: boolean;
  /** How a kept moment is called. */
  momentText(id: number): string;
}

/** Two tables that are compared: of two moments, the earlier one is the left. */
function sides(choice: TableChoice, against: Against, asked: Asked) {
  const at = (moment: number | undefined): string => (moment === undefined ? "now" : `at ${asked.momentText(moment)}`);
  if (against.kind === "host") {
    const words = [`on ${choice.host}`, `on ${against.host}`] as const;
    return { left: choice, right: { ...choice, host: against.host }, words };
  }
  const other = { ...choice, moment: against.kind === "moment" ? against.moment : undefined };
  const first = choice.moment === undefined || (other.moment !== undefined && other.moment < choice.moment);
  const [left, right] = first ? [other, choice] : [choice, other];
  return { left, right, words: [at(left.moment), at(right.moment)] as const };
}

/** Asks for what is to be shown. */
export async function readShown(
  session: Remote<SessionApi>,
  choice: TableChoice,
  against: Against,
  asked: Asked,
): Promise<Shown> {
  const place = choice.namespace === undefined || choice.namespace === "host" ? "" : ` in ${choice.namespace}`;
  const what = `${TABLES[choice.table].command}${place}`;
  if (against.kind === "nothing") {
    const { absent, time, ...table } = await session.table(choice);
    return { table: plainGrid(table), what: absent ?? `${what} · ${choice.host} at ${formatDuration(time)}` };
  }
  if (against.kind === "all") {
    const table = await session.tableOfHosts(choice.table, choice.namespace);
    const differ = table.rows.filter(({ agree, of }) => agree !== of).length;
    const words = `${table.hosts} hosts have it · ${differ} of ${table.rows.length} rows not the same everywhere`;
    return { table: hostsGrid(table), what: `${what} · ${words}` };
  }
  const { left, right, words } = sides(choice, against, asked);
  const options = { volatile: asked.volatile, own: left.host === right.host };
  const comparison = await session.compareTables(left, right, options);
  const count = (mark: string): number => comparison.rows.filter((row) => row.mark === mark).length;
  const counts = `− ${count("left")} only ${words[0]} · + ${count("right")} only ${words[1]} · ≠ ${count("changed")} changed`;
  return { table: comparedGrid(comparison), what: `${what} · ${counts}` };
}
