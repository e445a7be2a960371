/** What differs between two tables, and on what many hosts agree. */
import type { Cell, Column, HostTable, Row } from "../../../src/lab/inspect/tables/table.ts";

/** Where a row is: in both tables with the same values or with others, only in the left one, only in the right one. */
export type RowMark = "same" | "changed" | "left" | "right";

/** A row of a comparison. */
export interface ComparedRow {
  readonly mark: RowMark;
  readonly left: Row | undefined;
  readonly right: Row | undefined;
  /** Columns whose values differ, by their places. */
  readonly changed: readonly number[];
}

/** Two tables as one. */
export interface Comparison {
  readonly columns: readonly Column[];
  readonly rows: readonly ComparedRow[];
}

/** What counts as a difference besides keys and settled values. */
export interface CompareOptions {
  /** Counters and timers count. */
  readonly volatile: boolean;
  /** What hosts see differently by nature counts: between two moments of one host. */
  readonly own: boolean;
}

/** Between cells that are put together, in a string that no cell has. */
const SEPARATOR = "\u0000";

function places(columns: readonly Column[], fits: (column: Column) => boolean): number[] {
  return columns.flatMap((column, i) => (fits(column) ? [i] : []));
}

function joined(row: Row, at: readonly number[]): string {
  return at.map((i) => row[i]).join(SEPARATOR);
}

/** Rows by their key; one of several with the same key is the first, the second … of them. */
function byKey(rows: readonly Row[], key: readonly number[]): Map<string, Row> {
  const found = new Map<string, Row>();
  const counts = new Map<string, number>();
  for (const row of rows) {
    const name = joined(row, key);
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    found.set(`${name}${SEPARATOR}${count}`, row);
  }
  return found;
}

/** Compares two tables of the same columns (one may be absent: it has none). Rows come in the left one's order, then those of the right one alone. */
export function compareTables(left: HostTable, right: HostTable, options: CompareOptions): Comparison {
  const columns = left.columns.length > 0 ? left.columns : right.columns;
  const key = places(columns, (column) => column.key === true);
  const values = places(columns, (column) => counts(column, options));
  const others = byKey(right.rows, key);
  const rows: ComparedRow[] = [];
  for (const [name, row] of byKey(left.rows, key)) {
    const other = others.get(name);
    others.delete(name);
    const changed = other === undefined ? [] : values.filter((i) => row[i] !== other[i]);
    const mark = other === undefined ? "left" : changed.length > 0 ? "changed" : "same";
    rows.push({ mark, left: row, right: other, changed });
  }
  for (const row of others.values()) rows.push({ mark: "right", left: undefined, right: row, changed: [] });
  return { columns, rows };
}

function counts({ key, volatile, own }: Column, options: CompareOptions): boolean {
  if (key === true) return false;
  if (volatile === true) return options.volatile;
  return own === true ? options.own : true;
}

/** What some hosts have in a row: its values, and who they are. */
export interface Version {
  readonly cells: Row;
  readonly hosts: readonly string[];
}

/** A row of all hosts. */
export interface AgreedRow {
  /** Key and values, those of most hosts; the columns of a HostsTable. */
  readonly cells: Row;
  /** Hosts that have it so, and hosts that should have it. */
  readonly agree: number;
  readonly of: number;
  /** Hosts that should have it and don't. */
  readonly missing: readonly string[];
  /** Other values than most have, and who has them. */
  readonly others: readonly Version[];
}

/** The same table of many hosts, in one row a key. */
export interface HostsTable {
  /** Without counters, and without what hosts see differently by nature. */
  readonly columns: readonly Column[];
  readonly rows: readonly AgreedRow[];
  /** Hosts that have the table. */
  readonly hosts: number;
}

/** A set of hosts, by their order of adding. */
type HostSet = Uint32Array;

interface Seen {
  readonly group: Cell | undefined;
  /** Address of the host that it leads to. */
  readonly towards: Cell | undefined;
  readonly versions: Map<string, { readonly cells: Row; hosts: HostSet; count: number }>;
}

const put = (set: HostSet, i: number): void => {
  set[i >>> 5] = (set[i >>> 5] as number) | (1 << (i & 31));
};
const has = (set: HostSet | undefined, i: number): boolean =>
  set !== undefined && ((set[i >>> 5] as number) & (1 << (i & 31))) !== 0;

/**
 * Takes a table host by host and finds out on what they agree. Of tables with a column `network`, a host should have the
 * rows of the networks of which it has any; of those that say where a row leads to, what leads to other hosts.
 */
export class Agreement {
  readonly #most: number;
  readonly #hosts: string[] = [];
  #columns: readonly Column[] = [];
  #shown: readonly number[] = [];
  #key: readonly number[] = [];
  #group = -1;
  #towards = -1;
  readonly #rows = new Map<string, Seen>();
  /** Hosts that have rows of a group. */
  readonly #groups = new Map<Cell, HostSet>();
  /** Whose an address is. */
  readonly #owners = new Map<Cell, number>();

  /** @param most hosts that may come */
  constructor(most: number) {
    this.#most = most;
  }

  #set(): HostSet {
    return new Uint32Array((this.#most >>> 5) + 1);
  }

  /** Adds a host's table; nothing of one that is absent. */
  add(host: string, table: HostTable): void {
    if (table.absent !== undefined) return;
    if (this.#hosts.length === 0) this.#begin(table.columns);
    const index = this.#hosts.push(host) - 1;
    for (const own of table.addresses ?? []) this.#owners.set(own, index);
    for (const [name, row] of byKey(table.rows, this.#key)) {
      const towards = this.#towards < 0 ? undefined : row[this.#towards];
      if (towards === "") continue;
      const group = this.#group < 0 ? undefined : row[this.#group];
      if (group !== undefined) this.#join(group, index);
      const seen = this.#rows.get(name) ?? { group, towards, versions: new Map() };
      this.#rows.set(name, seen);
      const values = joined(row, this.#shown);
      let version = seen.versions.get(values);
      if (version === undefined) {
        version = { cells: this.#shown.map((i) => row[i] as Cell), hosts: this.#set(), count: 0 };
        seen.versions.set(values, version);
      }
      put(version.hosts, index);
      version.count++;
    }
  }

  #begin(columns: readonly Column[]): void {
    this.#columns = columns;
    this.#key = places(columns, (column) => column.key === true);
    this.#shown = places(columns, (column) => column.volatile !== true && column.own !== true);
    this.#group = columns.findIndex(({ name, key }) => name === "network" && key === true);
    this.#towards = columns.findIndex(({ towards }) => towards === true);
  }

  #join(group: Cell, index: number): void {
    const set = this.#groups.get(group) ?? this.#set();
    this.#groups.set(group, set);
    put(set, index);
  }

  /** Rows on which not all agree come first. */
  result(): HostsTable {
    const rows = [...this.#rows.values()].map((seen) => this.#row(seen));
    rows.sort((a, b) => Number(a.agree === a.of) - Number(b.agree === b.of));
    return { columns: this.#shown.map((i) => this.#columns[i] as Column), rows, hosts: this.#hosts.length };
  }

  /** Hosts that should have a row, by their order. */
  #should({ group, towards }: Seen): number[] {
    const members = group === undefined ? undefined : this.#groups.get(group);
    const target = towards === undefined ? undefined : this.#owners.get(towards);
    return [...this.#hosts.keys()].filter((i) => (group === undefined || has(members, i)) && i !== target);
  }

  #row(seen: Seen): AgreedRow {
    const versions = [...seen.versions.values()];
    const [first, ...others] = versions.sort((a, b) => b.count - a.count);
    const should = this.#should(seen);
    const absent = (i: number): boolean => !versions.some(({ hosts }) => has(hosts, i));
    const missing = should.filter(absent).map((i) => this.#hosts[i] as string);
    return {
      cells: first?.cells ?? [],
      agree: first?.count ?? 0,
      of: should.length,
      missing,
      others: others.map(({ cells, hosts }) => ({ cells, hosts: this.#hosts.filter((_, i) => has(hosts, i)) })),
    };
  }
}
