/** Virtual time against wall time: how far it may have got, and how fast it does get on. */
import { FOREVER, type Time } from "../../../src/base/time.ts";

/** Virtual time may be behind by so many ms of wall time and still catch up; what is behind more is given up. */
const CATCH_UP_MS = 250;
/** The speed reached is taken over so many ms. */
const MEASURED_MS = 1000;

/**
 * Says how far time may have got. Everything counts from one moment, so that nothing drifts.
 * Speeds are virtual ns per second of wall time; Infinity: as fast as it can. Wall times are ms.
 */
export class Metronome {
  #speed = Number.POSITIVE_INFINITY;
  #wall = 0;
  #virtual: Time = 0;
  #behind = false;

  /** It had to give time up since it was started. */
  get behind(): boolean {
    return this.#behind;
  }

  /** From this moment on at this speed. */
  start(speed: number, wall: number, now: Time): void {
    this.#speed = speed;
    this.#wall = wall;
    this.#virtual = now;
    this.#behind = false;
  }

  /** Everything before the time returned may have happened by now. */
  due(wall: number): Time {
    if (this.#speed === Number.POSITIVE_INFINITY) return FOREVER;
    return Math.min(FOREVER, this.#virtual + Math.floor(((wall - this.#wall) * this.#speed) / 1000));
  }

  /** Quiet time was skipped: nobody has to wait for it. */
  skip(span: Time): void {
    this.#virtual += span;
  }

  /** Time has got to `now` only. */
  reached(now: Time, wall: number): void {
    const lag = ((this.due(wall) - now) * 1000) / this.#speed;
    if (this.#speed === Number.POSITIVE_INFINITY || lag <= CATCH_UP_MS) return;
    this.#behind = true;
    this.#wall += lag - CATCH_UP_MS;
  }
}

/** Measures how fast virtual time gets on, without what was skipped. */
export class Speedometer {
  #samples: { readonly wall: number; readonly lived: Time }[] = [];

  /** Time stands, or goes on after it stood. */
  clear(): void {
    this.#samples = [];
  }

  /** @param lived virtual time that was run, without what was skipped */
  sample(wall: number, lived: Time): void {
    this.#samples.push({ wall, lived });
    while ((this.#samples[1]?.wall ?? wall) <= wall - MEASURED_MS) this.#samples.shift();
  }

  /** Virtual ns per second of wall time over the last second; 0 while nothing is known. */
  get speed(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.wall <= first.wall) return 0;
    return ((last.lived - first.lived) * 1000) / (last.wall - first.wall);
  }
}
