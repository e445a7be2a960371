/** A lock between the programs of one host, for requests that must not run into each other (Go's sync.Mutex). */
import { type Proc, Signal } from "../scheduler/process.ts";

/** Held by one program at a time. */
export class Mutex {
  #held = false;
  readonly #freed = new Signal();

  get held(): boolean {
    return this.#held;
  }

  /** Runs a program while holding the lock; those who wait get it in the order in which they came. Not reentrant. */
  *run<T>(program: Proc<T>): Proc<T> {
    yield* this.free();
    this.#held = true;
    try {
      return yield* program;
    } finally {
      this.#held = false;
      this.#freed.notify();
    }
  }

  /** Waits until nobody holds the lock. */
  *free(): Proc<void> {
    while (this.#held) yield { on: [this.#freed] };
  }
}
