/**
 * The clock of an emulation: how far time may go now (src/scheduler/pace.ts). It goes on while it has a goal, at the
 * speed that was chosen, and looks up so often that whoever wants to stop it doesn't wait for a frame of the screen.
 */
import { FOREVER, type Time } from "../../../src/base/time.ts";
import type { Grant, Pace, PartReport } from "../../../src/scheduler/pace.ts";
import { Metronome, Speedometer } from "./speed.ts";
import { Sleeper, turn } from "./turn.ts";

/** A part of a run may keep the event loop for so many ms, and so may parts together. */
const HOLD_MS = 6;
/** Somebody who looks on is told of time so often, ms. */
const FRAME_MS = 16;
/** Speed of what is typed, at most: ten seconds a second, as in `swarmwire shell`. */
const TYPED_SPEED = 10e9;

/** Until when time goes on. */
export type Goal =
  /** Until somebody stops it. */
  | { readonly kind: "play" }
  /** Until the present step or typed line is over; `begun`: there is one. */
  | { readonly kind: "step"; readonly begun: boolean }
  /** Until something happens: WATCH bits. As fast as it can. */
  | { readonly kind: "watch"; readonly watch: number }
  /** Until then, as fast as it can. */
  | { readonly kind: "time"; readonly time: Time }
  /** Until so many entries of the journal are done, which is at about that time; as fast as it can. */
  | { readonly kind: "entries"; readonly count: number; readonly time: Time };

/** What the clock needs of the emulation that it is for. */
export interface ClockOwner {
  /** Time stands, or has gone on: to be shown. */
  report(): void;
  /** Does what shall be done within a step at this time, again or anew. @returns when the next such thing comes */
  within(now: Time): Time;
  /** Something waits that can be done only when nothing runs. */
  readonly wanted: boolean;
}

/** Wall time, ms; tests have one of their own. */
const wallTime = (): number => performance.now();

/** The clock. */
export class Clock implements Pace {
  /** Undefined while the hosts boot. */
  owner: ClockOwner | undefined;
  /** Something typed runs. */
  typed = false;
  /** Time passes though nothing runs: that can be left at any time. */
  #passing = false;
  #goal: Goal | undefined;
  #speed = Number.POSITIVE_INFINITY;
  #closed = false;
  #standing = false;
  readonly #sleeper = new Sleeper();
  readonly #metronome = new Metronome();
  readonly #speedometer = new Speedometer();
  readonly #wall: () => number;
  /** Metronome's speed now; undefined when it has to be started again. */
  #beat: number | undefined;
  #turned: number;
  #told = Number.NEGATIVE_INFINITY;
  /** Where what was asked for with the last grant ends at the latest. */
  #limit: Time = 0;
  /** The last grant that the speed gave: until when, and at which wall time. */
  #ticked = { until: -1, wall: 0 };
  #part: PartReport = { now: 0, last: 0, seen: 0 };
  #skipped: Time = 0;

  constructor(wall: () => number = wallTime) {
    this.#wall = wall;
    this.#turned = wall();
  }

  // ------------------------------------------------------------------------------------------------ who looks on

  get goal(): Goal | undefined {
    return this.#goal;
  }

  /** Time goes on until then; undefined: it stands. */
  set goal(goal: Goal | undefined) {
    this.#goal = goal;
    this.#beat = undefined;
    this.#speedometer.clear();
    this.wake();
  }

  /** Chosen: virtual ns per second; Infinity: as fast as it can. */
  get speed(): number {
    return this.#speed;
  }

  set speed(speed: number) {
    this.#speed = speed;
    this.wake();
  }

  /** Virtual ns per second, over the last second. */
  get reached(): number {
    return this.#speedometer.speed;
  }

  /** The speed that was chosen is too much. */
  get behind(): boolean {
    return this.#metronome.behind;
  }

  /** Virtual time that was skipped so far. */
  get skippedTime(): Time {
    return this.#skipped;
  }

  /** When something happened last. */
  get last(): Time {
    return this.#part.last;
  }

  /** Time stands within a step. */
  get standing(): boolean {
    return this.#standing;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whoever sleeps here looks again. */
  wake(): void {
    this.#sleeper.wake();
  }

  /** Sleeps until there is news. */
  async sleep(): Promise<void> {
    await this.#sleeper.sleep();
  }

  /** Nothing waits here any more. */
  close(): void {
    this.#closed = true;
    this.wake();
  }

  /** Something begins that a goal of one step is for. */
  begin(): void {
    if (this.#goal?.kind === "step") this.#goal = { kind: "step", begun: true };
  }

  /** Time passes from now on though nothing runs, or no longer. */
  pass(passing: boolean): void {
    this.#passing = passing;
    this.#limit = 0;
  }

  /** Nothing runs: that ends some goals. @param done entries of the journal */
  between(now: Time, done: number): void {
    const goal = this.#goal;
    if (goal?.kind === "step" && goal.begun) this.goal = undefined;
    else if (goal?.kind === "entries" && done >= goal.count) this.goal = undefined;
    else this.#arrive(now);
  }

  #arrive(now: Time): void {
    if (this.#goal?.kind === "time" && now >= this.#goal.time) this.goal = undefined;
  }

  // ------------------------------------------------------------------------------------------------ pace

  async grant(now: Time, limit: Time): Promise<Grant | undefined> {
    const { owner } = this;
    for (;;) {
      if (this.#closed) return undefined;
      const wall = this.#wall();
      if (owner === undefined) {
        await this.#giveWay(wall);
        return { until: FOREVER, holdMs: HOLD_MS };
      }
      const next = owner.within(now);
      this.#arrive(now);
      const goal = this.#goal;
      if (this.#passing && (goal === undefined || owner.wanted)) return this.#leave(now, limit);
      if (goal === undefined) await this.#stand(owner);
      else if (wall - this.#turned >= HOLD_MS) await this.#giveWay(wall);
      else {
        const until = this.#until(goal, now, wall);
        if (until > now) {
          this.#limit = limit;
          const watch = goal.kind === "watch" ? goal.watch : 0;
          return { until: Math.min(until, next), holdMs: HOLD_MS, watch };
        }
        this.#tell(wall);
        await this.#sleeper.sleep(Math.max(1, FRAME_MS - (wall - this.#ticked.wall)));
        this.#turned = this.#wall();
      }
    }
  }

  /**
   * Ends what passes. Where a part came to its end, quiet time may have been looked for already, and would be once more
   * when this is done again: it is left a nanosecond later.
   */
  #leave(now: Time, limit: Time): Grant | undefined {
    if (this.#part.now === now && now < this.#limit) return undefined;
    this.#limit = limit;
    return { until: now + 1 };
  }

  /** How far the goal and the speed let it go. */
  #until(goal: Goal, now: Time, wall: number): Time {
    if (goal.kind === "time") return goal.time;
    if (goal.kind !== "play" && goal.kind !== "step") return FOREVER;
    const speed = this.typed ? Math.min(this.#speed, TYPED_SPEED) : this.#speed;
    if (speed !== this.#beat) {
      this.#metronome.start(speed, wall, now);
      this.#beat = speed;
    }
    this.#metronome.reached(now, wall);
    const until = this.#metronome.due(wall);
    // What is due was done: once a frame of the screen is enough.
    if (speed < Number.POSITIVE_INFINITY) {
      if (now >= this.#ticked.until && wall - this.#ticked.wall < FRAME_MS) return now;
      this.#ticked = { until, wall };
    }
    return until;
  }

  async #stand(owner: ClockOwner): Promise<void> {
    this.#standing = true;
    owner.report();
    await this.#sleeper.sleep();
    this.#standing = false;
    this.#turned = this.#wall();
  }

  async #giveWay(wall: number): Promise<void> {
    this.#tell(wall);
    await turn();
    this.#turned = this.#wall();
  }

  #tell(wall: number): void {
    if (wall - this.#told < FRAME_MS) return;
    this.#told = wall;
    this.#speedometer.sample(wall, this.#part.now - this.#skipped);
    this.owner?.report();
  }

  ran(report: PartReport): void {
    this.#part = report;
    if (this.#goal?.kind === "watch" && (report.seen & this.#goal.watch) !== 0) this.goal = undefined;
  }

  skipped(from: Time, to: Time): void {
    this.#skipped += to - from;
    this.#metronome.skip(to - from);
  }
}
