/**
 * A set of numbers handed out next-fit: the search for a free one starts behind the one handed out last and
 * wraps (libnetwork idm and bitseq with `serial`). A number asked for by name doesn't move the cursor; a
 * released one is not handed out again before the search has wrapped.
 */

/** Hands out numbers, going on behind the last one (libnetwork/idm). */
export class NextFit {
  readonly #first: number;
  readonly #last: number;
  readonly #used = new Set<number>();
  #cursor: number;

  /** Numbers first…last, both included. */
  constructor(first: number, last: number) {
    this.#first = first;
    this.#last = last;
    this.#cursor = first;
  }

  /** The next free number, within [from, to] if given; undefined when there is none. */
  next(from = this.#first, to = this.#last): number | undefined {
    const start = this.#cursor >= from && this.#cursor <= to ? this.#cursor : from;
    const found = this.#search(start, to) ?? this.#search(from, start - 1);
    if (found === undefined) return undefined;
    this.#used.add(found);
    this.#cursor = found === this.#last ? this.#first : found + 1;
    return found;
  }

  /** Takes a number; false when it is taken. Numbers outside first…last may be taken too. */
  take(number: number): boolean {
    if (this.#used.has(number)) return false;
    this.#used.add(number);
    return true;
  }

  release(number: number): void {
    this.#used.delete(number);
  }

  isTaken(number: number): boolean {
    return this.#used.has(number);
  }

  #search(from: number, to: number): number | undefined {
    for (let number = from; number <= to; number++) if (!this.#used.has(number)) return number;
    return undefined;
  }
}
