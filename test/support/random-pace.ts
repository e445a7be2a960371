/** A pace that cuts a run at random, for tests that nobody can tell. */
import { Random } from "../../src/base/random.ts";
import { FOREVER, type Time } from "../../src/base/time.ts";
import { type Grant, type Pace, type PartReport, WATCH } from "../../src/scheduler/pace.ts";

/** Grants from a nanosecond to for ever, by all that ends a part, at once or later. */
export class RandomPace implements Pace {
  readonly #random: Random;
  parts = 0;
  skips = 0;
  /** Parts that ended because of what was watched for, by WATCH bit. */
  readonly seen = { frame: 0, drop: 0, event: 0 };
  #granted: Grant = { until: 0 };
  #since: Time = 0;

  constructor(seed: string) {
    this.#random = new Random(seed);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)] as T;
  }

  grant(now: Time): Grant | Promise<Grant> {
    const span = 10 ** this.#random.below(12);
    const until = this.#random.below(40) === 0 ? FOREVER : now + 1 + this.#random.below(Math.min(span, 2 ** 31));
    const watch = this.#pick([0, 0, 0, WATCH.frame, WATCH.drop, WATCH.event, WATCH.frame | WATCH.drop]);
    const grant = { until, watch, holdMs: this.#pick([0, 0, 0.02, 1]) };
    this.#granted = grant;
    this.#since = now;
    return this.#random.below(2) === 0 ? grant : Promise.resolve(grant);
  }

  ran({ now, last, seen }: PartReport): void {
    this.parts++;
    for (const name of ["frame", "drop", "event"] as const) if ((seen & WATCH[name]) !== 0) this.seen[name]++;
    const { until, watch = 0 } = this.#granted;
    if (now <= this.#since || now > until)
      throw new Error(`a part went from ${this.#since} to ${now}, not to ${until}`);
    if ((seen & ~watch) !== 0) throw new Error(`${seen} was seen, ${watch} was watched for`);
    if (last >= now) throw new Error(`something happened at ${last}, but only what comes before ${now} has happened`);
    if (seen !== 0 && now !== last + 1) throw new Error(`it stopped at ${now} for ${seen}, and not at ${last + 1}`);
  }

  skipped(from: Time, to: Time): void {
    if (to <= from) throw new Error(`a skip from ${from} to ${to}`);
    this.skips++;
  }
}
