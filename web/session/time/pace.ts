/** Lets a worker hear its messages during a long run, and keeps virtual time slow enough to be watched. */

/** A run may keep the event loop for this long, in milliseconds. */
const HOLD_MS = 16;
/** Virtual time per wall time while a typed command runs, as in `swarmwire shell`. */
const WATCHED_SPEED = 10;

/** A turn of the event loop, without the delay that timers have. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** When to give way. */
export class Pace {
  readonly #now: () => number;
  #last = performance.now();
  /** Wall and virtual time at which somebody began to watch. */
  #watched: { readonly wall: number; readonly virtual: number } | undefined;

  /** @param now virtual time, ns */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** From now on virtual time keeps to a speed, or runs freely. */
  watch(watched: boolean): void {
    this.#watched = watched ? { wall: performance.now(), virtual: this.#now() } : undefined;
  }

  /** To be called often. @param before done before it gives way */
  async breathe(before: () => void): Promise<void> {
    const wall = performance.now();
    const watched = this.#watched;
    const ahead =
      watched === undefined ? 0 : (this.#now() - watched.virtual) / 1e6 / WATCHED_SPEED - (wall - watched.wall);
    if (ahead <= 1 && wall - this.#last < HOLD_MS) return;
    before();
    if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
    else await turn();
    this.#last = performance.now();
  }
}
