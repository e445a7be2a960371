/**
 * Where times stand on the timeline. Between two marks it is linear; how much room there is between them grows with the
 * logarithm of the time, so that a wait of twelve hours leaves room for the steps of a second before it.
 */
import { MS, type Time } from "../../../src/base/time.ts";

/** A piece of the timeline, in 0 … 1. */
interface Piece {
  readonly from: Time;
  readonly to: Time;
  readonly at: number;
  readonly width: number;
}

/** Room for a piece of that length. */
function room(span: Time): number {
  return Math.log10(1 + span / MS);
}

/** From times to places and back. */
export class Scale {
  readonly #pieces: readonly Piece[];
  readonly end: Time;

  /** @param marks in any order; those beyond the end, or twice there, don't count */
  constructor(marks: readonly Time[], end: Time) {
    this.end = end;
    const times = [...new Set([0, ...marks.filter((time) => time > 0 && time < end), end])].sort((a, b) => a - b);
    const spans = times.slice(1).map((to, i) => ({ from: times[i] as Time, to }));
    const whole = spans.reduce((sum, { from, to }) => sum + room(to - from), 0);
    let at = 0;
    this.#pieces = spans.map(({ from, to }) => {
      const piece = { from, to, at, width: room(to - from) / whole };
      at += piece.width;
      return piece;
    });
  }

  /** 0 … 1. */
  place(time: Time): number {
    const piece = this.#pieces.find(({ to }) => time <= to);
    if (piece === undefined) return this.end > 0 ? 1 : 0;
    return piece.at + (piece.width * Math.max(0, time - piece.from)) / (piece.to - piece.from);
  }

  /** The time at a place. */
  time(place: number): Time {
    if (place <= 0) return 0;
    const piece = this.#pieces.find(({ at, width }) => place <= at + width);
    if (piece === undefined) return this.end;
    return Math.round(piece.from + ((place - piece.at) / piece.width) * (piece.to - piece.from));
  }
}
