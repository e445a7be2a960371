/**
 * Who waits for something: mostly one program, which comes and goes with every packet, and for which a set would be much
 * ado. With several they are woken in the order in which they began to wait.
 */

/** Somebody who waits for an S. */
interface Waiting<S> {
  wake(source: S): void;
}

/** Those who wait for one thing. */
export class Waiters<S> {
  /** The one who has waited longest. It is only set while nobody else waits. */
  #first: Waiting<S> | undefined;
  #others: Set<Waiting<S>> | undefined;

  get size(): number {
    return (this.#first === undefined ? 0 : 1) + (this.#others?.size ?? 0);
  }

  add(waiter: Waiting<S>): void {
    if (waiter === this.#first) return;
    if (this.size === 0) this.#first = waiter;
    else {
      this.#others ??= new Set();
      this.#others.add(waiter);
    }
  }

  delete(waiter: Waiting<S>): void {
    if (waiter === this.#first) this.#first = undefined;
    else this.#others?.delete(waiter);
  }

  /** Wakes all of them. */
  wake(source: S): void {
    const first = this.#first;
    // Whoever wakes stops waiting, so the set changes.
    const others = this.#others === undefined || this.#others.size === 0 ? undefined : [...this.#others];
    first?.wake(source);
    if (others !== undefined) for (const waiter of others) waiter.wake(source);
  }
}
