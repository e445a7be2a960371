/** Tables, between the page and the session's worker. */
import type { Time } from "../../../src/base/time.ts";
import type { TableId } from "../../../src/lab/inspect/tables/list.ts";
import type { NamespaceEntry } from "../../../src/lab/inspect/tables/namespaces.ts";
import type { HostTable } from "../../../src/lab/inspect/tables/table.ts";
import type { CompareOptions, Comparison, HostsTable } from "./compare.ts";

/** A moment whose tables the user keeps. */
export interface Moment {
  readonly id: number;
  /** Virtual. */
  readonly time: Time;
  /** Hosts whose tables it has. */
  readonly hosts: readonly string[];
}

/** Which table of whom, and when. */
export interface TableChoice {
  readonly host: string;
  readonly table: TableId;
  /** Of a table that each namespace has; default the host's own. */
  readonly namespace?: string | undefined;
  /** A kept moment's id; undefined: now. */
  readonly moment?: number | undefined;
}

/** A table, and when it was so. */
export interface TimedTable extends HostTable {
  readonly time: Time;
}

/** What the page asks about tables. */
export interface TablesApi {
  namespaces(host: string): Promise<readonly NamespaceEntry[]>;
  table(choice: TableChoice): Promise<TimedTable>;
  compareTables(left: TableChoice, right: TableChoice, options: CompareOptions): Promise<Comparison>;
  /** A table of all hosts in one. */
  tableOfHosts(table: TableId, namespace: string | undefined): Promise<HostsTable>;
  /**
   * Keeps the tables of this moment: those of a host, and of the lab's first others, 32 in all. The oldest moment goes when
   * there are too many.
   */
  keepMoment(host: string): Promise<Moment>;
  /** Those that are kept, of this lab and seed, in the order of their times. */
  moments(): readonly Moment[];
  forgetMoment(id: number): void;
}
