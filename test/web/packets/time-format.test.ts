/** The packet list's column of time. */
import { expect, it } from "vitest";
import { formatSeconds, formatTime } from "../../../web/page/packets/time-format.ts";

it("shows nanoseconds in every format", () => {
  const base = { first: 3_122_000_000, previous: 15_892_050_159 };
  const time = 16_000_000_001;
  expect(formatTime(time, "run", base)).toBe("16.000000001");
  expect(formatTime(time, "first", base)).toBe("12.878000001");
  expect(formatTime(time, "previous", base)).toBe("0.107949842");
  expect(formatTime(time, "previous", { ...base, previous: undefined })).toBe("0.000000000");
  expect(formatTime(time, "utc", base)).toBe("2026-01-01 00:00:16.000000001");
  expect(formatTime(86_400 * 1e9 * 31, "utc", base)).toBe("2026-02-01 00:00:00.000000000");
  expect(formatSeconds(-1_500_000_000)).toBe("-1.500000000");
});
