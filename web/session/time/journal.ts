/**
 * Everything from outside that has an effect on what happens, in order, each with its virtual time: with the lab and the
 * seed it is all that a run depends on, so a run can be had again up to any moment of it. Plain data.
 */
import type { Time } from "../../../src/base/time.ts";
import type { Fault } from "../../../src/lab/plan.ts";
import type { TerminalAction } from "../terminals/terminals.ts";

/** Something that the user does, or lets happen. */
export type JournalAction =
  /** The lab's next step begins. */
  | { readonly kind: "step" }
  /** Something typed on a terminal, or its end. */
  | TerminalAction
  /** Something breaks, or is mended. */
  | { readonly kind: "fault"; readonly fault: Fault }
  /** Time passes, though no step lets it: until then. Quiet time may be skipped up to `horizon`. */
  | { readonly kind: "pass"; readonly end: Time; readonly horizon: Time };

/** An action, and where it came. */
export interface JournalEntry {
  /** Everything before this virtual time had happened. */
  readonly time: Time;
  /** `between` two steps or typed lines, or `within` one. */
  readonly place: "between" | "within";
  readonly action: JournalAction;
}

/** Time that passes on after it was stopped is one entry. */
function append(list: JournalEntry[], entry: JournalEntry): void {
  const last = list.at(-1);
  const [before, action] = [last?.action, entry.action];
  const goesOn = before?.kind === "pass" && action.kind === "pass" && before.horizon === action.horizon;
  if (last !== undefined && goesOn && before.end === entry.time) list[list.length - 1] = { ...last, action };
  else list.push(entry);
}

/**
 * The entries that were done, and after going back those that come again, unless the user does something else: then
 * they are dropped, since what they would find is no longer what they were meant for.
 */
export class Journal {
  readonly #done: JournalEntry[] = [];
  #ahead: JournalEntry[];

  /** @param ahead what comes again */
  constructor(ahead: readonly JournalEntry[] = []) {
    this.#ahead = [];
    for (const entry of ahead) append(this.#ahead, entry);
  }

  /** Done so far, in order. */
  get done(): readonly JournalEntry[] {
    return this.#done;
  }

  /** What comes again, in order. */
  get ahead(): readonly JournalEntry[] {
    return this.#ahead;
  }

  /** All of it. */
  get entries(): readonly JournalEntry[] {
    return [...this.#done, ...this.#ahead];
  }

  /** The user does something new. */
  add(entry: JournalEntry): void {
    this.#ahead = [];
    append(this.#done, entry);
  }

  /** The entry that was taken last has been done in part only: the rest of it comes next. */
  divide(time: Time, done: JournalAction, rest: JournalAction): void {
    const last = this.#done.pop();
    if (last === undefined) return;
    this.#done.push({ ...last, action: done });
    this.#ahead = [{ ...last, time, action: rest }, ...this.#ahead];
  }

  /** The entry that comes next, if it comes at this place and its time has come; it counts as done. */
  take(place: JournalEntry["place"], now: Time): JournalEntry | undefined {
    const next = this.#ahead[0];
    if (next === undefined || next.place !== place || next.time > now) return undefined;
    this.#ahead = this.#ahead.slice(1);
    append(this.#done, next);
    return next;
  }
}
