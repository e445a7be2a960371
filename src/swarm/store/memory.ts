/**
 * The swarm's object store (swarmkit manager/state/store/memory.go): typed tables, read in views, written in
 * transactions that go through a Proposer, watched through channels of events. Events of one transaction
 * come in the order of its changes, followed by one `commit`.
 *
 * Objects are frozen when they are committed; nobody but the store holds the tables.
 */
import { assert } from "../../base/errors.ts";
import type { Time } from "../../base/time.ts";
import { Channel, type Proc, Signal } from "../../scheduler/process.ts";
import type { Meta, Version } from "../api/objects.ts";
import type { Proposer } from "./proposer.ts";
import { type IndexName, SCHEMA, TABLE_NAMES, type TableName, type Tables } from "./schema.ts";
import { Table } from "./table.ts";

/** One change of a transaction; also what travels in the replicated log. */
export type StoreAction = {
  readonly [K in TableName]: {
    readonly action: "create" | "update" | "remove";
    readonly table: K;
    readonly object: Tables[K];
    /** The object before an update. Not replicated. */
    readonly old?: Tables[K] | undefined;
  };
}[TableName];

/** What a write changed, or that it is done. */
export type StoreEvent = StoreAction | { readonly action: "commit"; readonly table: "none"; readonly version: Version };

/** What goes wrong in a transaction; the texts are swarmkit's (store/errors in memory.go). */
export class StoreError extends Error {
  override name = "StoreError";
}

/** Errors of the store (manager/state/store). */
export const ERR_EXIST = "object already exists";
export const ERR_NOT_EXIST = "object does not exist";
export const ERR_NAME_CONFLICT = "name conflicts with an existing object";
export const ERR_SEQUENCE_CONFLICT = "update out of sequence";

/** swarmkit's MaxChangesPerTransaction; batches are split at three quarters of it. */
const MAX_CHANGES = 200;
const BATCH_CHANGES = (MAX_CHANGES * 3) / 4;

/** Reads of one moment. */
export interface ReadTx {
  get<K extends TableName>(table: K, id: string): Tables[K] | undefined;
  /** All objects of a table in order of ID. */
  all<K extends TableName>(table: K): Tables[K][];
  /** The objects under a key of an index, in order of ID. */
  by<K extends TableName>(table: K, index: IndexName<K>, key: string): Tables[K][];
}

/** Reads and writes that come about together or not at all. */
export interface WriteTx extends ReadTx {
  create<K extends TableName>(table: K, object: Tables[K]): void;
  /** Refuses an object whose version is not the stored one's: `update out of sequence`. */
  update<K extends TableName>(table: K, object: Tables[K]): void;
  remove(table: TableName, id: string): void;
}

type AnyObject = Tables[TableName] & { readonly meta: Meta };
type AnyTable = Table<AnyObject>;

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}

/** A transaction: its changes lie over the committed tables until it is committed. */
class Transaction implements WriteTx {
  readonly changes: StoreAction[] = [];
  readonly #base: ReadonlyMap<TableName, AnyTable>;
  readonly #overlay = new Map<TableName, Map<string, AnyObject | undefined>>();
  readonly #version: Version | undefined;
  readonly #now: Time;

  /** @param version undefined makes it read-only */
  constructor(base: ReadonlyMap<TableName, AnyTable>, version: Version | undefined, now: Time) {
    this.#base = base;
    this.#version = version;
    this.#now = now;
  }

  get<K extends TableName>(table: K, id: string): Tables[K] | undefined {
    const overlay = this.#overlay.get(table);
    if (overlay?.has(id) === true) return overlay.get(id) as Tables[K] | undefined;
    return this.#table(table).get(id) as Tables[K] | undefined;
  }

  all<K extends TableName>(table: K): Tables[K][] {
    const overlay = this.#overlay.get(table);
    if (overlay === undefined) return [...this.#table(table).all()] as Tables[K][];
    const objects = new Map([...this.#table(table).all()].map((object) => [object.id, object]));
    return sorted(merge(objects, overlay, () => true)) as Tables[K][];
  }

  by<K extends TableName>(table: K, index: IndexName<K>, key: string): Tables[K][] {
    const base = this.#table(table);
    const found = new Map([...base.idsBy(index, key)].map((id) => [id, base.get(id) as AnyObject]));
    const keysOf = (SCHEMA[table].indices as Record<string, unknown>)[index] as (
      object: AnyObject,
    ) => readonly string[];
    const overlay = this.#overlay.get(table) ?? new Map<string, AnyObject | undefined>();
    return sorted(merge(found, overlay, (object) => keysOf(object).includes(key))) as Tables[K][];
  }

  create<K extends TableName>(table: K, object: Tables[K]): void {
    if (this.get(table, object.id) !== undefined) throw new StoreError(ERR_EXIST);
    this.#checkName(table, object as AnyObject);
    this.#write("create", table, object as AnyObject, undefined);
  }

  update<K extends TableName>(table: K, object: Tables[K]): void {
    const old = this.get(table, object.id) as AnyObject | undefined;
    if (old === undefined) throw new StoreError(ERR_NOT_EXIST);
    if (old.meta.version.index !== (object as AnyObject).meta.version.index) {
      throw new StoreError(ERR_SEQUENCE_CONFLICT);
    }
    this.#checkName(table, object as AnyObject);
    this.#write("update", table, object as AnyObject, old);
  }

  remove(table: TableName, id: string): void {
    const old = this.get(table, id) as AnyObject | undefined;
    if (old === undefined) throw new StoreError(ERR_NOT_EXIST);
    this.#layer(table).set(id, undefined);
    this.changes.push({ action: "remove", table, object: old } as StoreAction);
  }

  #table(table: TableName): AnyTable {
    return this.#base.get(table) as AnyTable;
  }

  #layer(table: TableName): Map<string, AnyObject | undefined> {
    const layer = this.#overlay.get(table) ?? new Map<string, AnyObject | undefined>();
    this.#overlay.set(table, layer);
    return layer;
  }

  #checkName(table: TableName, object: AnyObject): void {
    const nameOf = SCHEMA[table].uniqueName as ((object: AnyObject) => string) | undefined;
    if (nameOf === undefined) return;
    const index = "name" as IndexName<typeof table>;
    for (const other of this.by(table, index, nameOf(object).toLowerCase())) {
      if (other.id !== object.id) throw new StoreError(ERR_NAME_CONFLICT);
    }
  }

  #write(action: "create" | "update", table: TableName, object: AnyObject, old: AnyObject | undefined): void {
    assert(this.#version !== undefined, "write in a view", table, object.id);
    const createdAt = action === "create" || old === undefined ? this.#now : old.meta.createdAt;
    const stored = { ...object, meta: { version: this.#version, createdAt, updatedAt: this.#now } } as AnyObject;
    freeze(stored);
    this.#layer(table).set(object.id, stored);
    this.changes.push({ action, table, object: stored, old } as StoreAction);
  }
}

function merge(
  base: Map<string, AnyObject>,
  overlay: ReadonlyMap<string, AnyObject | undefined>,
  matches: (object: AnyObject) => boolean,
): AnyObject[] {
  for (const [id, object] of overlay) {
    if (object !== undefined && matches(object)) base.set(id, object);
    else base.delete(id);
  }
  return [...base.values()];
}

function sorted(objects: AnyObject[]): AnyObject[] {
  return objects.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

/** The objects of the cluster with their indices and watchers (state/store/memory.go). */
export class MemoryStore {
  readonly #tables = new Map<TableName, AnyTable>();
  readonly #watchers = new Set<Channel<StoreEvent>>();
  readonly #proposer: Proposer;
  readonly #now: () => Time;
  #writing = false;
  readonly #unlocked = new Signal();

  constructor(proposer: Proposer, now: () => Time) {
    this.#proposer = proposer;
    this.#now = now;
    for (const name of TABLE_NAMES) {
      this.#tables.set(
        name,
        new Table(SCHEMA[name].indices as Record<string, (object: AnyObject) => readonly string[]>),
      );
    }
  }

  /** The store of a manager that starts again, read from the same log: the same objects, and nobody watches them. */
  reopen(now: () => Time): MemoryStore {
    const store = new MemoryStore(this.#proposer, now);
    for (const [name, table] of this.#tables)
      for (const object of table.all()) (store.#tables.get(name) as AnyTable).put(object);
    return store;
  }

  /** Reads a consistent state. */
  view<T>(read: (tx: ReadTx) => T): T {
    return read(new Transaction(this.#tables, undefined, this.#now()));
  }

  /**
   * Runs one transaction. An error thrown by `write` leaves the store as it was and comes out here; so does
   * a proposal that fails. Transactions run one after the other.
   */
  *update<T>(write: (tx: WriteTx) => T): Proc<T> {
    while (this.#writing) yield { on: [this.#unlocked] };
    this.#writing = true;
    try {
      const tx = new Transaction(this.#tables, this.#proposer.getVersion(), this.#now());
      const result = write(tx);
      if (tx.changes.length > MAX_CHANGES) {
        throw new StoreError("raft: raft message is too large and can't be sent");
      }
      if (tx.changes.length > 0) yield* this.#proposer.proposeValue(tx.changes, () => this.#apply(tx.changes));
      return result;
    } finally {
      this.#writing = false;
      this.#unlocked.notify();
    }
  }

  /** Many small writes in as few transactions as fit; each write must be valid by itself. */
  *batch(writes: readonly ((tx: WriteTx) => void)[]): Proc<void> {
    let next = 0;
    while (next < writes.length) {
      yield* this.update((tx) => {
        for (let n = 0; n < BATCH_CHANGES && next < writes.length; n++) (writes[next++] as (tx: WriteTx) => void)(tx);
      });
    }
  }

  /** Applies changes that the replicated log brought, without proposing them. */
  applyStoreActions(changes: readonly StoreAction[]): void {
    this.#apply(changes);
  }

  /** All events from now on. Watch before the first view, or changes between the two are lost. */
  watch(): Channel<StoreEvent> {
    const channel = new Channel<StoreEvent>();
    this.#watchers.add(channel);
    return channel;
  }

  unwatch(channel: Channel<StoreEvent>): void {
    this.#watchers.delete(channel);
    channel.close();
  }

  #apply(changes: readonly StoreAction[]): void {
    for (const change of changes) {
      const table = this.#tables.get(change.table) as AnyTable;
      if (change.action === "remove") table.delete(change.object.id);
      else table.put(change.object as AnyObject);
    }
    const commit: StoreEvent = { action: "commit", table: "none", version: this.#proposer.getVersion() };
    for (const watcher of [...this.#watchers]) {
      for (const change of changes) watcher.push(change);
      watcher.push(commit);
    }
  }
}
