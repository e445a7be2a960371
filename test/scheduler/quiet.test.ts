import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { FOREVER, HOUR, MINUTE, SEC, type Time } from "../../src/base/time.ts";
import { Channel, type Proc, Signal, TIME_SKIPPED } from "../../src/scheduler/process.ts";
import { mergeUpkeep, QUANTUM, type QuietReport, SETTLE, skipEnd, WARM_UP } from "../../src/scheduler/quiet.ts";
import { HostScheduler, type ScheduledHost } from "../../src/scheduler/runtime.ts";

const REST: QuietReport = { unrest: undefined, until: FOREVER, disturbed: 0, frames: 0, upkeep: {} };

describe("where a skip ends", () => {
  const now = SETTLE;

  it("lies the warm-up and less than a quantum before the limit, whole quanta away", () => {
    for (const extra of [0, 1, QUANTUM - 1]) {
      const limit = now + WARM_UP + 12 * QUANTUM + extra;
      expect(skipEnd([REST, REST], now, limit)).toBe(now + 12 * QUANTUM);
    }
  });

  it("lies before the earliest appointment of any worker", () => {
    const due = now + HOUR;
    const reports = [REST, { ...REST, until: due }, { ...REST, until: due + SEC }];
    expect(skipEnd(reports, now, now + 12 * HOUR)).toBe(now + HOUR - WARM_UP);
  });

  it("is nowhere while something is under way, shortly after a disturbance, or when there is too little time", () => {
    const limit = now + 12 * HOUR;
    expect(skipEnd([REST, { ...REST, unrest: "a frame is on a wire" }], now, limit)).toBeUndefined();
    expect(skipEnd([REST, { ...REST, disturbed: 1 }], now, limit)).toBeUndefined();
    expect(skipEnd([REST], now, now + WARM_UP + QUANTUM - 1)).toBeUndefined();
    expect(skipEnd([REST], now, FOREVER)).toBeUndefined();
  });

  it("gathers the upkeep of all workers by kind and in order of host", () => {
    const a = { ...REST, upkeep: { y: [{ host: 3, state: "d" }], x: [{ host: 2, state: "c" }] } };
    const b = { ...REST, upkeep: { x: [{ host: 0, state: "a" }, { host: 1, state: "b" }] } }; // biome-ignore format: one line
    const merged = mergeUpkeep([a, b]);
    expect(Object.keys(merged)).toEqual(["x", "y"]);
    expect(merged["x"]?.map(({ state }) => state)).toEqual(["a", "b", "c"]);
  });
});

describe("upkeep waits", () => {
  function host(): { scheduler: HostScheduler; host: ScheduledHost } {
    const scheduler = new HostScheduler((_host, _process, error) => {
      throw error;
    });
    return { scheduler, host: scheduler.createHost("h", 0, new Random("h")) };
  }

  function* ticker(at: Time, upkeep: boolean, seen: string[]): Proc {
    const source = yield { until: at, upkeep };
    seen.push(`${source === TIME_SKIPPED ? "skipped" : "due"} ${at / SEC}`);
  }

  it("end with TIME_SKIPPED in the order of their deadlines; appointments stay", () => {
    const { scheduler, host: h } = host();
    const seen: string[] = [];
    h.spawn("late", ticker(20 * SEC, true, seen));
    h.spawn("soon", ticker(10 * SEC, true, seen));
    h.spawn("appointment", ticker(HOUR, false, seen));
    h.spawn(
      "for ever",
      (function* (): Proc {
        yield { on: [new Signal()] };
      })(),
    );
    scheduler.runReady();
    expect(scheduler.nextAppointment()).toBe(HOUR);
    scheduler.skipTo(30 * MINUTE);
    scheduler.runReady();
    expect(seen).toEqual(["skipped 10", "skipped 20"]);
    expect(scheduler.now).toBe(30 * MINUTE);
    scheduler.advance(HOUR);
    scheduler.runReady();
    expect(seen[2]).toBe("due 3600");
  });

  it("are no disturbance when they come due; an appointment is one", () => {
    const { scheduler, host: h } = host();
    const seen: string[] = [];
    h.spawn("upkeep", ticker(10 * SEC, true, seen));
    h.spawn("appointment", ticker(20 * SEC, false, seen));
    scheduler.runReady();
    scheduler.advance(10 * SEC);
    expect(scheduler.disturbed).toBe(0);
    scheduler.advance(20 * SEC);
    expect(scheduler.disturbed).toBe(20 * SEC);
    scheduler.advance(30 * SEC);
    scheduler.disturb();
    expect(scheduler.disturbed).toBe(30 * SEC);
  });

  it("end a channel's pop without an item", () => {
    const { scheduler, host: h } = host();
    const channel = new Channel<string>();
    const popped: (string | undefined)[] = [];
    h.spawn(
      "reader",
      (function* (): Proc {
        popped.push(yield* channel.pop(HOUR, true));
      })(),
    );
    scheduler.runReady();
    scheduler.skipTo(MINUTE);
    scheduler.runReady();
    expect(popped).toEqual([undefined]);
  });
});

describe("a process number", () => {
  it("is given when it is asked for: what nobody numbers leaves no gap", () => {
    const scheduler = new HostScheduler(() => {});
    const h = scheduler.createHost("h", 0, new Random("h"));
    function* nothing(): Proc {}
    const first = h.spawn("a", nothing());
    h.spawn("b", nothing());
    const third = h.spawn("c", nothing());
    expect([first.pid, third.pid, first.pid]).toEqual([1, 2, 1]);
  });
});
