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

/** Entries by table, network and key. */
export class TableStore {
  /** Network → table → key → entry. */
  readonly #networks = new Map<string, Map<string, Map<string, Entry>>>();
  /** Keys of tables in order, as they were when they were last asked for. */
  readonly #orders = new WeakMap<Map<string, Entry>, string[]>();
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
    return this.#networks.get(networkId)?.get(table)?.get(key);
  }

  put(entry: Entry): void {
    const tables = this.#networks.get(entry.networkId) ?? new Map<string, Map<string, Entry>>();
    const entries = tables.get(entry.table) ?? new Map<string, Entry>();
    this.#networks.set(entry.networkId, tables.set(entry.table, entries));
    const old = entries.get(entry.key);
    if (old !== undefined) this.#tombstones.delete(old);
    entries.set(entry.key, entry);
    if (entry.deleting) this.#tombstones.add(entry);
  }

  remove(entry: Entry): void {
    const tables = this.#networks.get(entry.networkId);
    const entries = tables?.get(entry.table);
    if (tables === undefined || entries?.get(entry.key) !== entry) return;
    this.#forgotten++;
    this.#tombstones.delete(entry);
    entries.delete(entry.key);
    if (entries.size === 0) tables.delete(entry.table);
    if (tables.size === 0) this.#networks.delete(entry.networkId);
  }

  /** Entries of a network, tombstones included, in order of table and key, as the radix tree is walked. */
  ofNetwork(networkId: string): Entry[] {
    const tables = this.#networks.get(networkId) ?? new Map<string, Map<string, Entry>>();
    return inOrder(tables).flatMap(([, entries]) => this.#sorted(entries));
  }

  /** Entries of one table of a network, tombstones included, in order of key. */
  ofTable(table: string, networkId: string): Entry[] {
    const entries = this.#networks.get(networkId)?.get(table);
    return entries === undefined ? [] : this.#sorted(entries);
  }

  /** Entries in order of key: the order of before is kept, and sorted again when there are others. */
  #sorted(entries: Map<string, Entry>): Entry[] {
    let keys = this.#orders.get(entries);
    if (keys === undefined || keys.length !== entries.size || !keys.every((key) => entries.has(key))) {
      keys = [...entries.keys()].sort(compare);
      this.#orders.set(entries, keys);
    }
    return keys.map((key) => entries.get(key) as Entry);
  }

  /** Entries of a node in all networks, in order of table, network and key. */
  ofNode(node: string): Entry[] {
    const found: Entry[] = [];
    for (const tables of this.#networks.values()) {
      for (const entries of tables.values()) {
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

function path(entry: Entry): string {
  return `/${entry.table}/${entry.networkId}/${entry.key}`;
}

function inOrder<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => compare(a, b));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
