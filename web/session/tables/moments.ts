/** Moments whose tables are kept: few, and not too many rows in all. */
import { UserError } from "../../../src/base/errors.ts";
import type { Time } from "../../../src/base/time.ts";
import type { HostTable } from "../../../src/lab/inspect/tables/table.ts";
import type { Moment, TableChoice } from "./protocol.ts";

/** Moments that are kept. */
const MOST_MOMENTS = 16;
/** Hosts of a moment. */
export const MOMENT_HOSTS = 32;
/** Rows of all moments beyond which the oldest goes. */
const MOST_ROWS = 1_000_000;

/** Tables of a moment, by host, table and namespace. */
export type KeptTables = ReadonlyMap<string, HostTable>;

/** What a table is kept under. */
export function tableKey({ host, table, namespace }: Omit<TableChoice, "moment">): string {
  return `${host} ${table} ${namespace ?? "host"}`;
}

interface Kept {
  readonly moment: Moment;
  readonly tables: KeptTables;
  readonly rows: number;
}

/** Kept moments of one lab and seed: another one's mean nothing. */
export class Moments {
  #kept: Kept[] = [];
  #next = 1;
  #of = "";

  /** From now on for this lab and seed. */
  open(lab: string, seed: string): void {
    const of = `${lab}\n${seed}`;
    if (of !== this.#of) this.#kept = [];
    this.#of = of;
  }

  keep(time: Time, hosts: readonly string[], tables: KeptTables): Moment {
    const moment = { id: this.#next++, time, hosts };
    const rows = [...tables.values()].reduce((sum, table) => sum + table.rows.length, 0);
    this.#kept.push({ moment, tables, rows });
    const total = (): number => this.#kept.reduce((sum, kept) => sum + kept.rows, 0);
    while (this.#kept.length > MOST_MOMENTS || (this.#kept.length > 1 && total() > MOST_ROWS)) this.#kept.shift();
    return moment;
  }

  get all(): readonly Moment[] {
    return this.#kept.map(({ moment }) => moment).sort((a, b) => a.time - b.time || a.id - b.id);
  }

  forget(id: number): void {
    this.#kept = this.#kept.filter(({ moment }) => moment.id !== id);
  }

  /** A kept table. @throws UserError when the moment is gone */
  table(id: number, choice: TableChoice): HostTable & { readonly time: Time } {
    const kept = this.#kept.find(({ moment }) => moment.id === id);
    if (kept === undefined) throw new UserError("that moment is not kept any more");
    const { time, hosts } = kept.moment;
    const found = kept.tables.get(tableKey(choice));
    if (found !== undefined) return { ...found, time };
    const absent = hosts.includes(choice.host)
      ? `${choice.host} had no network namespace ${choice.namespace ?? "host"} at that moment`
      : `that moment has no tables of ${choice.host}`;
    return { columns: [], rows: [], absent, time };
  }
}
