/**
 * Places that stay: whoever comes gets the lowest free one and keeps it until it goes, so that nothing moves when
 * something comes or goes beside it. And rows of places that never run out: each row has places of a fraction of the size
 * of those in the row before, so all of them have room in an area of fixed size.
 */

/** Slot numbers by key. */
export class Slots {
  readonly #taken = new Map<string, number>();
  readonly #first: number;

  /** @param first the lowest number that is given out */
  constructor(first = 0) {
    this.#first = first;
  }

  /** Gives places to those that are there now, in their order; those that went away lose theirs before. */
  update(keys: Iterable<string>): void {
    const present = new Set(keys);
    for (const key of [...this.#taken.keys()]) if (!present.has(key)) this.#taken.delete(key);
    const used = new Set(this.#taken.values());
    let next = this.#first;
    for (const key of present) {
      if (this.#taken.has(key)) continue;
      while (used.has(next)) next++;
      this.#taken.set(key, next);
      used.add(next);
    }
  }

  /** The place of one that is there. */
  of(key: string): number | undefined {
    return this.#taken.get(key);
  }
}

/** One place: its row, its position within that, and how large it is against one of the first row. */
export interface Level {
  readonly row: number;
  readonly position: number;
  readonly scale: number;
  /** Where its row begins, in heights of the first row. */
  readonly start: number;
}

/**
 * The place of a slot.
 * @param count places in the first row
 * @param shrink by how much each row's places are smaller than those before
 * @param growth how many times as many places each row has
 */
export function levelOf(slot: number, count: number, shrink: number, growth: number): Level {
  let [row, first, inRow, scale, start] = [0, 0, count, 1, 0];
  while (slot >= first + inRow) {
    first += inRow;
    inRow *= growth;
    start += scale;
    scale /= shrink;
    row++;
  }
  return { row, position: slot - first, scale, start };
}
