/**
 * What happens next: what the user does, what comes again after going back, the steps of the lab, and after the last one
 * that time passes. Everything goes into the journal.
 */
import { FOREVER, type Time } from "../../../src/base/time.ts";
import type { Fault } from "../../../src/lab/plan.ts";
import type { TerminalAction } from "../terminals/terminals.ts";
import type { Clock, ClockOwner, Goal } from "./clock.ts";
import type { Journal, JournalAction, JournalEntry } from "./journal.ts";

/** Does what the script says. `again`: the user did it in an earlier life of this run, and has yet to see it. */
export interface Hands {
  readonly now: Time;
  /** Types on a terminal. @returns false where that has to wait for the end of what runs there */
  type(action: TerminalAction, again: boolean): boolean;
  /** Lets time pass until all that was typed has ended or waits. @param over ends it before */
  typed(over: () => boolean): Promise<void>;
  /** Takes note of the time. @returns when something typed changes by itself at the latest */
  look(): Time;
  fault(fault: Fault): void;
  /** Lets time pass, quiet time up to the horizon; until the clock ends it, if that is earlier. */
  pass(end: Time, horizon: Time): Promise<void>;
  /** Shows how things stand. */
  report(): void;
}

/** Where the script is: before a step, after the last one, or within something that runs. */
export type Place = "ready" | "done" | "within";

/** Decides. */
export class Script implements ClockOwner {
  readonly journal: Journal;
  readonly #clock: Clock;
  readonly #hands: Hands;
  readonly #inputs: JournalAction[] = [];
  #place: Place = "within";
  /** The goal with which the last thing was done that there was to do: it ends there, unless it is a time. */
  #arrived: Goal | undefined;
  /** Time passes for what was typed between two steps; `left`: the user wants to go on with the lab meanwhile. */
  #typing: { left: boolean } | undefined;
  /** What passes now for the first time. */
  #passing: { readonly from: Time; readonly horizon: Time } | undefined;

  constructor(clock: Clock, journal: Journal, hands: Hands) {
    this.#clock = clock;
    this.journal = journal;
    this.#hands = hands;
  }

  get place(): Place {
    return this.#place;
  }

  /** All of the journal, with what passes now. */
  get entries(): readonly JournalEntry[] {
    const { entries } = this.journal;
    if (this.#passing === undefined || this.journal.ahead.length > 0) return entries;
    const { from, horizon } = this.#passing;
    const end = this.#hands.now;
    return [...entries, { time: from, place: "between", action: { kind: "pass", end, horizon } }];
  }

  get wanted(): boolean {
    return this.#inputs.length > 0;
  }

  /** Lines that were typed and wait until nothing else runs where they were. */
  get waiting(): number {
    return this.#inputs.filter(({ kind }) => kind === "line").length;
  }

  /** The user does something: now, or as soon as it can be done. */
  act(action: JournalAction): void {
    this.#inputs.push(action);
    this.#clock.wake();
  }

  report(): void {
    this.#hands.report();
  }

  within(now: Time): Time {
    const due = this.#hands.look();
    if (this.#place !== "within") return due;
    for (let entry = this.journal.take("within", now); entry !== undefined; entry = this.journal.take("within", now))
      this.#now(entry.action, true);
    this.#take("within", now);
    const next = this.journal.ahead[0];
    const known = next?.place === "within" || (next !== undefined && this.#typing !== undefined);
    return known ? Math.min(due, next.time) : due;
  }

  /** Does what the user wants and can be done. @returns whether anything was typed */
  #take(place: JournalEntry["place"], now: Time): boolean {
    let typed = false;
    for (const action of this.#inputs.splice(0)) {
      if (!this.#now(action, false)) this.#inputs.push(action);
      else {
        this.journal.add({ time: now, place, action });
        typed ||= action.kind !== "fault";
      }
    }
    return typed;
  }

  /** What was typed between two steps runs on beside the lab's next one. @returns false where nothing of it runs */
  leaveTyped(): boolean {
    if (this.#typing === undefined) return false;
    this.#typing.left = true;
    return true;
  }

  /** Time passes for what was typed, also again: then no longer than it did. */
  async #type(): Promise<void> {
    const typing = { left: false };
    this.#typing = typing;
    this.#place = "within";
    await this.#hands.typed(() => {
      const next = this.journal.ahead[0];
      return typing.left || (next?.place === "between" && next.time <= this.#hands.now);
    });
    this.#typing = undefined;
  }

  /** Does something within a step. @returns false where that can't be done now */
  #now(action: JournalAction, again: boolean): boolean {
    if (action.kind === "fault") this.#hands.fault(action.fault);
    else if (action.kind === "step" || action.kind === "pass") return false;
    else return this.#hands.type(action, again);
    return true;
  }

  /**
   * Nothing runs: does what comes until a step of the lab may begin.
   * @param more there is one
   * @returns false when all is over
   */
  async between(more: boolean): Promise<boolean> {
    const [clock, hands, journal] = [this.#clock, this.#hands, this.journal];
    this.#arrived = more ? undefined : clock.goal;
    for (;;) {
      this.#place = more ? "ready" : "done";
      if (clock.closed) return false;
      const { now } = hands;
      clock.between(now, journal.done.length);
      hands.look();
      if (this.#take("between", now) || (this.#inputs.length > 0 && clock.goal === undefined)) await this.#fresh();
      else if (clock.goal === undefined) {
        hands.report();
        await clock.sleep();
      } else if (await this.#next(more, now)) return true;
    }
  }

  /** Time passes for what the user typed. */
  async #fresh(): Promise<void> {
    if (this.#clock.goal === undefined) this.#clock.goal = { kind: "step", begun: true };
    await this.#type();
  }

  /** What comes by itself, while there is a goal. @returns whether that is a step of the lab */
  async #next(more: boolean, now: Time): Promise<boolean> {
    const { journal } = this;
    const clock = this.#clock;
    const entry = journal.take("between", now);
    const step = entry === undefined ? more : entry.action.kind === "step";
    if (entry === undefined && more) journal.add({ time: now, place: "between", action: { kind: "step" } });
    if (entry !== undefined || more) clock.begin();
    if (step) {
      this.#place = "within";
      return true;
    }
    if (entry !== undefined) {
      await this.#perform(entry.action, true);
      this.#arrived = clock.goal;
    } else if (clock.goal?.kind === "step" || (clock.goal?.kind !== "time" && clock.goal === this.#arrived))
      clock.goal = undefined;
    else await this.#pass(now);
    return false;
  }

  async #perform(action: JournalAction, again: boolean): Promise<void> {
    if (action.kind === "pass") await this.#passAgain(action.end, action.horizon);
    else if (this.#now(action, again) && action.kind !== "fault") await this.#type();
  }

  /** Time passes until somebody stops it, or until the time that is wanted. */
  async #pass(from: Time): Promise<void> {
    const goal = this.#clock.goal;
    const horizon = goal?.kind === "time" ? goal.time : FOREVER;
    this.#passing = { from, horizon };
    await this.#let(horizon, horizon);
    this.#passing = undefined;
    const { now } = this.#hands;
    if (now > from) this.journal.add({ time: from, place: "between", action: { kind: "pass", end: now, horizon } });
  }

  /** The same again; it may be stopped on the way. */
  async #passAgain(end: Time, horizon: Time): Promise<void> {
    const goal = this.#clock.goal;
    await this.#let(goal?.kind === "time" ? Math.min(end, goal.time) : end, horizon);
    const { now } = this.#hands;
    if (now < end) this.journal.divide(now, { kind: "pass", end: now, horizon }, { kind: "pass", end, horizon });
  }

  async #let(end: Time, horizon: Time): Promise<void> {
    this.#clock.pass(true);
    try {
      await this.#hands.pass(end, horizon);
    } finally {
      this.#clock.pass(false);
    }
  }
}
