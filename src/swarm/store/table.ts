/** One table of the store: objects by ID, kept in order of ID (as memdb's radix tree gives them), with indices. */

/** What the table needs of any object. */
export interface Identified {
  readonly id: string;
}

type Keys<T> = (object: T) => readonly string[];

/** Objects by id, in order, with indices. */
export class Table<T extends Identified> {
  readonly #objects = new Map<string, T>();
  /** All IDs in byte order. */
  readonly #order: string[] = [];
  readonly #indices = new Map<string, { readonly keys: Keys<T>; readonly ids: Map<string, Set<string>> }>();

  constructor(indices: Readonly<Record<string, Keys<T>>>) {
    for (const [name, keys] of Object.entries(indices)) this.#indices.set(name, { keys, ids: new Map() });
  }

  get(id: string): T | undefined {
    return this.#objects.get(id);
  }

  *all(): Iterable<T> {
    for (const id of this.#order) yield this.#objects.get(id) as T;
  }

  /** IDs under a key of an index, unordered. */
  idsBy(index: string, key: string): ReadonlySet<string> {
    return this.#indices.get(index)?.ids.get(key) ?? new Set();
  }

  put(object: T): void {
    const old = this.#objects.get(object.id);
    if (old === undefined) this.#order.splice(this.#position(object.id), 0, object.id);
    else this.#unindex(old);
    this.#objects.set(object.id, object);
    for (const { keys, ids } of this.#indices.values()) {
      for (const key of keys(object)) {
        const set = ids.get(key);
        if (set === undefined) ids.set(key, new Set([object.id]));
        else set.add(object.id);
      }
    }
  }

  delete(id: string): void {
    const old = this.#objects.get(id);
    if (old === undefined) return;
    this.#unindex(old);
    this.#objects.delete(id);
    this.#order.splice(this.#position(id), 1);
  }

  #unindex(object: T): void {
    for (const { keys, ids } of this.#indices.values()) {
      for (const key of keys(object)) {
        const set = ids.get(key);
        set?.delete(object.id);
        if (set?.size === 0) ids.delete(key);
      }
    }
  }

  /** Where an ID stands, or would stand, in the order. */
  #position(id: string): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle] as string) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
