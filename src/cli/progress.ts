/** One line of progress on standard error, when that is a terminal and nothing else was printed for a while. */
import { formatDuration, SEC } from "../base/time.ts";

const INTERVAL_MS = 200;
/** Nothing is shown of what takes less. */
const DELAY_MS = 700;

/** The line; nothing at all where standard error is no terminal. */
export class Progress {
  readonly #off: boolean;
  #timer: NodeJS.Timeout | undefined;
  #shown = false;
  #step = 0;
  #lastOutput = 0;

  constructor(off: boolean) {
    this.#off = off || !process.stderr.isTTY;
  }

  /** Begins to show a run. @param now virtual time */
  follow(now: () => number, steps: number): void {
    this.show(() => {
      const time = formatDuration(Math.floor(now() / SEC) * SEC);
      return `${time} of virtual time, step ${this.#step + 1} of ${steps}`;
    });
  }

  /** Begins to show a text, which is asked for again and again. */
  show(text: () => string): void {
    if (this.#off) return;
    this.#lastOutput = Date.now();
    this.#timer = setInterval(() => {
      if (Date.now() - this.#lastOutput < DELAY_MS) return;
      process.stderr.write(`\r\x1b[K${text()}`);
      this.#shown = true;
    }, INTERVAL_MS);
  }

  /** Which step runs, from 0. */
  step(index: number): void {
    this.#step = index;
  }

  /** Takes the line away before something else is printed. */
  clear(): void {
    this.#lastOutput = Date.now();
    if (this.#shown) process.stderr.write("\r\x1b[K");
    this.#shown = false;
  }

  end(): void {
    this.clear();
    clearInterval(this.#timer);
  }
}
