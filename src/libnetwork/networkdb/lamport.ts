/** The logical clock by which NetworkDB orders events (hashicorp/serf lamport.go). */

/** A Lamport clock (hashicorp/serf LamportClock). */
export class LamportClock {
  #time = 0;

  get time(): number {
    return this.#time;
  }

  /** What a rest has made of it. */
  set time(time: number) {
    this.#time = time;
  }

  /** Advances by one. @returns the new time */
  increment(): number {
    return ++this.#time;
  }

  /** Another clock showed `time`: this one shows a later one from now on. */
  witness(time: number): void {
    if (time >= this.#time) this.#time = time + 1;
  }
}
