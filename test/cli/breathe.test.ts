/** Virtual time keeps to a speed while somebody watches, and runs freely while nobody does. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HOUR, SEC } from "../../src/base/time.ts";
import { pacer } from "../../src/cli/breathe.ts";

describe("pacer", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Whether a breath is over after `ms` of wall time. */
  async function overAfter(breath: Promise<void>, ms: number): Promise<boolean> {
    let over = false;
    void breath.then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(ms);
    return over;
  }

  it("holds a command back, ten seconds of virtual time in one", async () => {
    let now = 0;
    const pace = pacer(() => now, 10);
    pace.watch(true);
    now += 10 * SEC;
    const breath = pace.breathe();
    expect(await overAfter(breath, 900)).toBe(false);
    expect(await overAfter(breath, 101)).toBe(true);
  });

  it("lets a wait of hours run", async () => {
    let now = 0;
    const pace = pacer(() => now, 10);
    now += HOUR;
    expect(await overAfter(pace.breathe(), 1)).toBe(true);
    pace.watch(true);
    pace.watch(false);
    now += HOUR;
    expect(await overAfter(pace.breathe(), 1)).toBe(true);
  });

  it("has no limit at speed 0", async () => {
    let now = 0;
    const pace = pacer(() => now, 0);
    pace.watch(true);
    now += HOUR;
    expect(await overAfter(pace.breathe(), 1)).toBe(true);
  });
});
