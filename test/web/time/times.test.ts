/** Times and speeds as they are typed and shown, and where they stand on the timeline. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { HOUR, MS, SEC, US } from "../../../src/base/time.ts";
import { Scale } from "../../../web/page/time/scale.ts";
import { clockText, measuredText, nextSpeed, parseTime, SPEEDS, speedText } from "../../../web/page/time/times.ts";

it("shows seconds and nanoseconds, and takes what it shows", () => {
  expect(clockText(0)).toBe("0.000000000");
  expect(clockText(4 * SEC + 123)).toBe("4.000000123");
  expect(clockText(12 * HOUR + 5)).toBe("43200.000000005");
  fc.assert(fc.property(fc.nat(2 ** 52), (time) => parseTime(clockText(time), 0) === time));
});

it("takes durations, seconds, and both from now on", () => {
  const now = 10 * SEC;
  const cases: readonly [string, number | undefined][] = [
    ["1.5s", 1.5 * SEC],
    [" 2h ", 2 * HOUR],
    ["1h30m", 1.5 * HOUR],
    ["12.25", 12.25 * SEC],
    ["0", 0],
    ["+1s", 11 * SEC],
    ["-10ms", 10 * SEC - 10 * MS],
    ["+0.5", 10.5 * SEC],
    ["-11s", undefined],
    ["", undefined],
    ["soon", undefined],
    ["1e99h", undefined],
    ["99999999999999h", undefined],
  ];
  for (const [text, time] of cases) expect([text, parseTime(text, now)]).toEqual([text, time]);
});

it("has speeds from a microsecond a second to hours a second, and on", () => {
  expect(SPEEDS.map(speedText)).toContain("1µs/s");
  expect(SPEEDS.map(speedText)).toContain("12h/s");
  expect(speedText(nextSpeed(SEC, true))).toBe("2s/s");
  expect(speedText(nextSpeed(SEC, false))).toBe("500ms/s");
  expect(nextSpeed(US, false)).toBe(US);
  expect(nextSpeed(12 * HOUR, true)).toBe(Number.POSITIVE_INFINITY);
  expect(nextSpeed(Number.POSITIVE_INFINITY, true)).toBe(Number.POSITIVE_INFINITY);
  expect(measuredText(1_234_567)).toBe("1.23ms/s");
  expect(measuredText(0)).toBe("0/s");
});

it("finds every time again on the timeline, in order", () => {
  const scale = new Scale([SEC, 3 * SEC, 2 * SEC, 2 * SEC, 13 * HOUR], 12 * HOUR);
  expect([scale.place(0), scale.place(12 * HOUR), scale.place(20 * HOUR)]).toEqual([0, 1, 1]);
  expect(scale.place(3 * SEC)).toBeGreaterThan(0.4);
  fc.assert(
    fc.property(fc.array(fc.nat(2 ** 31)), fc.nat(2 ** 31), fc.nat(2 ** 31), (marks, a, b) => {
      const end = Math.max(1, a, b);
      const some = new Scale(marks, end);
      const [first, second] = [Math.min(a, b), Math.max(a, b)];
      expect(some.place(first)).toBeLessThanOrEqual(some.place(second) + 1e-12);
      expect(Math.abs(some.time(some.place(first)) - first)).toBeLessThanOrEqual(1);
    }),
  );
  expect(new Scale([], 0).place(5)).toBe(0);
});
