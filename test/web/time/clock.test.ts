/** The clock: speeds without drift, and how often it looks up. */
import { describe, expect, it } from "vitest";
import { FOREVER, HOUR, MS, SEC, US } from "../../../src/base/time.ts";
import { type Grant, WATCH } from "../../../src/scheduler/pace.ts";
import { Clock } from "../../../web/session/time/clock.ts";
import { Metronome, Speedometer } from "../../../web/session/time/speed.ts";

describe("speed", () => {
  it("doesn't drift, from a microsecond a second to hours a second", () => {
    for (const speed of [US, 3 * MS, SEC, 12 * HOUR]) {
      const metronome = new Metronome();
      metronome.start(speed, 1000.25, 7);
      for (const wall of [0, 16.7, 333.3, 1000, 86_400_000]) {
        const due = Math.min(FOREVER, 7 + Math.floor((wall * speed) / 1000));
        expect(Math.abs(metronome.due(1000.25 + wall) - due)).toBeLessThanOrEqual(speed / 1e9 + 1);
        metronome.reached(due, 1000.25 + wall);
      }
      expect(metronome.behind).toBe(false);
    }
  });

  it("catches up with a little, gives up what is more, and says so", () => {
    const metronome = new Metronome();
    metronome.start(SEC, 0, 0);
    metronome.reached(800 * MS, 1000);
    expect([metronome.due(1000), metronome.behind]).toEqual([SEC, false]);
    metronome.reached(800 * MS, 3000);
    expect([metronome.due(3000), metronome.behind]).toEqual([800 * MS + 250 * MS, true]);
    expect(metronome.due(4000)).toBe(2050 * MS);
    metronome.start(Number.POSITIVE_INFINITY, 5000, 0);
    expect([metronome.due(5000), metronome.behind]).toEqual([FOREVER, false]);
  });

  it("nobody waits for what was skipped", () => {
    const metronome = new Metronome();
    metronome.start(SEC, 0, 0);
    metronome.skip(HOUR);
    expect(metronome.due(1000)).toBe(HOUR + SEC);
  });

  it("is measured over the last second", () => {
    const speedometer = new Speedometer();
    expect(speedometer.speed).toBe(0);
    for (let wall = 0; wall <= 5000; wall += 100) speedometer.sample(wall, wall < 3000 ? 0 : (wall - 3000) * MS);
    expect(speedometer.speed).toBe(SEC);
    speedometer.clear();
    expect(speedometer.speed).toBe(0);
  });
});

describe("the clock", () => {
  /** A machine whose parts take all of the wall time that they may, for a microsecond of virtual time each. */
  function machine() {
    const state = { wall: 0, now: 0, reports: 0 };
    const clock = new Clock(() => state.wall);
    clock.owner = { report: () => state.reports++, within: () => FOREVER, wanted: false };
    const part = async (): Promise<Grant | undefined> => {
      const grant = await clock.grant(state.now, FOREVER);
      if (grant === undefined) return undefined;
      expect(grant.until).toBeGreaterThan(state.now);
      state.wall += grant.holdMs ?? 1000;
      state.now = Math.min(grant.until, state.now + US);
      clock.ran({ now: state.now, last: state.now - 1, seen: 0 });
      return grant;
    };
    return { state, clock, part };
  }

  it.each([
    ["as fast as it can", Number.POSITIVE_INFINITY],
    ["at a speed it can't reach", SEC],
  ])("hears of whatever comes within 8 ms of wall time, %s", async (_, speed) => {
    const { state, clock, part } = machine();
    clock.speed = speed;
    state.wall = 1000;
    clock.goal = { kind: "play" };
    /** Wall time at each turn of the event loop: messages of the page come in turns of their own. */
    const turns: number[] = [];
    const look = (): void => {
      turns.push(state.wall);
      if (state.wall > 1200) clock.close();
      else setImmediate(look);
    };
    setImmediate(look);
    // Time that nothing takes passes as well.
    const passing = setInterval(() => {
      state.wall += 1;
    }, 1);
    while ((await part()) !== undefined);
    clearInterval(passing);
    expect(turns.length).toBeGreaterThan(10);
    expect(Math.max(...turns.slice(1).map((wall, i) => wall - (turns[i] as number)))).toBeLessThanOrEqual(8);
  });

  it("goes no further than the speed allows, the goal, and what is to be done within a step", async () => {
    const { state, clock } = machine();
    clock.speed = MS;
    clock.goal = { kind: "play" };
    state.wall = 1;
    await Promise.race([clock.grant(0, FOREVER), new Promise((resolve) => setTimeout(resolve, 5))]);
    state.wall = 101;
    clock.wake();
    await new Promise((resolve) => setTimeout(resolve, 30));
    clock.goal = { kind: "time", time: 5000 };
    expect(await clock.grant(100, FOREVER)).toMatchObject({ until: 5000, watch: 0 });
    clock.owner = { report: () => {}, within: () => 700, wanted: false };
    expect(await clock.grant(100, FOREVER)).toMatchObject({ until: 700 });
    clock.goal = { kind: "watch", watch: WATCH.drop };
    expect(await clock.grant(100, FOREVER)).toMatchObject({ until: 700, watch: WATCH.drop });
    clock.ran({ now: 200, last: 199, seen: WATCH.drop });
    expect(clock.goal).toBeUndefined();
    clock.close();
    expect(await clock.grant(200, FOREVER)).toBeUndefined();
  });
});
