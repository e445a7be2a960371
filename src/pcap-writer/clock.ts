/**
 * Virtual time to file time, without BigInt on the packet path. Virtual time is a whole number of
 * nanoseconds below 2^53 (104 days); the epoch says which second of 1970 its zero is.
 */

/** Splits times for one file. `advance` leaves its results in the fields, to allocate nothing. */
export class FileClock {
  /** Whole seconds since 1970 of the last time. */
  seconds = 0;
  /** Nanoseconds in that second. */
  nanos = 0;
  /** High 32 bits of the nanoseconds since 1970. */
  high = 0;
  /** Low 32 bits of the same. */
  low = 0;
  #epochSeconds: number;

  /** @param epochSeconds the second since 1970 at which virtual time is 0 */
  constructor(epochSeconds: number) {
    // 2^64 ns end in the year 2554; 2^33 s is 2242, and leaves room for every virtual time.
    if (!Number.isSafeInteger(epochSeconds) || epochSeconds < 0 || epochSeconds >= 2 ** 33) {
      throw new RangeError(`epochSeconds must be an integer from 0 to 2^33-1, got ${epochSeconds}`);
    }
    this.#epochSeconds = epochSeconds;
  }

  /** Computes all four fields for a virtual time in nanoseconds. */
  advance(timeNs: number): void {
    if (!Number.isSafeInteger(timeNs) || timeNs < 0) {
      throw new RangeError(`timeNs must be an integer from 0 to 2^53-1, got ${timeNs}`);
    }
    const whole = Math.floor(timeNs / 1e9);
    const nanos = timeNs - whole * 1e9;
    const seconds = this.#epochSeconds + whole;
    // seconds * 10^9 + nanos in two halves: with seconds = a * 2^16 + b, both a * 10^9 and
    // b * 10^9 stay below 2^53, so every step is exact.
    const top = Math.floor(seconds / 65536) * 1e9;
    const topHigh = Math.floor(top / 65536);
    const rest = (top - topHigh * 65536) * 65536 + (seconds % 65536) * 1e9 + nanos;
    const carry = Math.floor(rest / 2 ** 32);
    this.seconds = seconds;
    this.nanos = nanos;
    this.high = topHigh + carry;
    this.low = rest - carry * 2 ** 32;
  }
}
