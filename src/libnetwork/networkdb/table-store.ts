/** NetworkDB's entries by network, table and key, tombstones included (networkdb.go indexes). */
import type { Time } from "../../base/time.ts";

/** An entry of a table, or the trace of a deleted one. */
export interface Entry {
  readonly networkId: string;
  readonly table: string;
  readonly key: string;
  /** Gossip name of the owner. */
  readonly node: string;
  readonly lTime: number;
  readonly value: Uint8Array;
  /** A tombstone: deleted, but remembered so that older news of it is recognized as old. */
  readonly deleting: boolean;
  /** For how long a tombstone is kept. */
  reapTime: Time;
}

/** One table of a network. */
class Table {
  readonly entries = new Map<string, Entry>();
  /** Entries in order of key, but for those that came since somebody asked; undefined when others went. */
  #sorted: readonly Entry[] | undefined = [];
  #added: Entry[] = [];

  /** @returns the one whose place it takes */
  put(entry: Entry): Entry | undefined {
    const old = this.entries.get(entry.key);
    this.entries.set(entry.key, entry);
    if (old !== undefined) this.#sorted = undefined;
    else if (this.#sorted !== undefined) this.#added.push(entry);
    return old;
  }

  delete(key: string): void {
    this.entries.delete(key);
    this.#sorted = undefined;
  }

  /** All entries, in order of key. The array stays as it is whatever happens. */
  inOrder(): readonly Entry[] {
    if (this.#sorted === undefined) this.#sorted = [...this.entries.values()].sort(byKey);
    else if (this.#added.length > 0) this.#sorted = merge(this.#sorted, this.#added.sort(byKey));
    if (this.#added.length > 0) this.#added = [];
    return this.#sorted;
  }
}

/** Two lists in order of key as one. */
function merge(a: readonly Entry[], b: readonly Entry[]): Entry[] {
  const out: Entry[] = [];
  let next = 0;
  for (const entry of a) {
    for (let other = b[next]; other !== undefined && byKey(other, entry) < 0; other = b[++next]) out.push(other);
    out.push(entry);
  }
  for (; next < b.length; next++) out.push(b[next] as Entry);
  return out;
}

/** Entries by table, network and key. */
export class TableStore {
  /** Network → table. */
  readonly #networks = new Map<string, Map<string, Table>>();
  readonly #tombstones = new Set<Entry>();
  #forgotten = 0;

  /** How many entries were forgotten so far. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Networks of which there are entries, in order of ID. */
  networks(): string[] {
    return [...this.#networks.keys()].sort(compare);
  }

  get(table: string, networkId: string, key: string): Entry | undefined {
    return this.#networks.get(networkId)?.get(table)?.entries.get(key);
  }

  put(entry: Entry): void {
    const tables = this.#networks.get(entry.networkId) ?? new Map<string, Table>();
    const table = tables.get(entry.table) ?? new Table();
    this.#networks.set(entry.networkId, tables.set(entry.table, table));
    const old = table.put(entry);
    if (old !== undefined) this.#tombstones.delete(old);
    if (entry.deleting) this.#tombstones.add(entry);
  }

  remove(entry: Entry): void {
    const tables = this.#networks.get(entry.networkId);
    const table = tables?.get(entry.table);
    if (tables === undefined || table?.entries.get(entry.key) !== entry) return;
    this.#forgotten++;
    this.#tombstones.delete(entry);
    table.delete(entry.key);
    if (table.entries.size === 0) tables.delete(entry.table);
    if (tables.size === 0) this.#networks.delete(entry.networkId);
  }

  /** Entries of a network, tombstones included, in order of table and key, as the radix tree is walked. */
  ofNetwork(networkId: string): Entry[] {
    const tables = this.#networks.get(networkId) ?? new Map<string, Table>();
    return inOrder(tables).flatMap(([, table]) => table.inOrder());
  }

  /** Entries of one table of a network, tombstones included, in order of key. */
  ofTable(table: string, networkId: string): readonly Entry[] {
    return this.#networks.get(networkId)?.get(table)?.inOrder() ?? [];
  }

  /** Entries of a node in all networks, in order of table, network and key. */
  ofNode(node: string): Entry[] {
    const found: Entry[] = [];
    for (const tables of this.#networks.values()) {
      for (const { entries } of tables.values()) {
        for (const entry of entries.values()) if (entry.node === node) found.push(entry);
      }
    }
    return found.sort((a, b) => compare(path(a), path(b)));
  }

  get tombstoneCount(): number {
    return this.#tombstones.size;
  }

  /** Tombstones, in the order in which they were set. */
  tombstones(): readonly Entry[] {
    return [...this.#tombstones];
  }
}

function byKey(a: Entry, b: Entry): number {
  return compare(a.key, b.key);
}

function path(entry: Entry): string {
  return `/${entry.table}/${entry.networkId}/${entry.key}`;
}

function inOrder<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => compare(a, b));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
