/** The event queue and its timers against a sorted model. */
import { beforeEach, describe, expect, it } from "vitest";
import { loadUnits, type Units } from "../support/units.ts";

function generator(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

/** expect() is slow a hundred thousand times. */
function same(got: unknown, want: unknown): void {
  if (got !== want) expect(got).toBe(want);
}

let units: Units;
beforeEach(() => {
  units = loadUnits();
});

describe("event queue", () => {
  it("gives 100,000 operations back in the order of time and tie", () => {
    const { x } = units;
    const random = generator(4711);
    const model = new Map<number, { time: number; tie: number }>();
    const free: number[] = [];
    let now = 0;
    let ties = 0;
    const first = (): number => {
      let best = -1;
      for (const [event, at] of model) {
        const other = model.get(best);
        if (other === undefined || at.time < other.time || (at.time === other.time && at.tie < other.tie)) best = event;
      }
      return best;
    };
    for (let step = 0; step < 100_000; step++) {
      const choice = random(100);
      if (choice < 48 && model.size < 60) {
        const event = free.pop() ?? (x["eventNew"]() as number);
        // Few different times, so that many tie; ties are not in the order of insertion.
        const at = { time: now + random(20), tie: random(4) * 1_000_000 + ties++ };
        x["schedule"](event, BigInt(at.time), BigInt(at.tie));
        model.set(event, at);
      } else if (choice < 60 && model.size > 0) {
        const event = [...model.keys()][random(model.size)] as number;
        x["cancel"](event);
        x["cancel"](event); // twice does no harm
        model.delete(event);
        free.push(event);
      } else if (model.size > 0) {
        const event = first();
        same(Number(x["nextTime"]()), model.get(event)?.time);
        same(x["popEvent"](), event);
        now = model.get(event)?.time ?? -1;
        same(Number(x["timeNow"]()), now);
        model.delete(event);
        free.push(event);
      }
      same(x["pending"](), model.size);
    }
  }, 60_000);

  it("keeps the order over all horizons, from ns to years, with hundreds pending", () => {
    const { x } = units;
    const random = generator(271828);
    const model: { event: number; time: bigint; tie: number }[] = [];
    const place = (time: bigint, tie: number): number => {
      const at = model.findIndex((each) => each.time > time || (each.time === time && each.tie > tie));
      return at < 0 ? model.length : at;
    };
    let now = 0n;
    for (let step = 0; step < 60_000; step++) {
      const want = 20 + (Math.floor(step / 500) % 20) * 40; // few and many by turns
      const choice = random(100);
      if (model.length < want && choice < 60) {
        const time = now + ((BigInt(random(2 ** 32)) << 24n) >> BigInt(random(56)));
        const tie = random(8) * 1_000_000 + step;
        const event = x["eventNew"]() as number;
        x["schedule"](event, time, BigInt(tie));
        model.splice(place(time, tie), 0, { event, time, tie });
      } else if (choice < 75 && model.length > 0) {
        const [gone] = model.splice(random(4) === 0 ? 0 : random(model.length), 1);
        x["cancel"](gone?.event);
      } else {
        same(x["nextTime"](), model[0]?.time ?? 0x7fffffffffffffffn);
        const first = model.shift();
        if (first === undefined) continue;
        same(x["popEvent"](), first.event);
        now = first.time;
      }
      same(x["pending"](), model.length);
      // A look at the next time, and a jump of the clock to just before it, must not disturb anything.
      if (random(20) === 0 && model[0] !== undefined) {
        same(x["nextTime"](), model[0].time);
        if (random(4) === 0) {
          now = model[0].time;
          x["setNow"](now);
        }
      }
    }
  });

  it("holds 200,000 events and returns them sorted", () => {
    const { x } = units;
    const random = generator(99);
    const before = x["pending"]() as number;
    for (let i = 0; i < 200_000; i++) x["schedule"](x["eventNew"](), BigInt(random(1_000_000)), BigInt(i));
    let last = -1n;
    for (let i = 0; i < 200_000; i++) {
      const next = x["nextTime"]() as bigint;
      same(next >= last, true);
      last = next;
      x["popEvent"]();
    }
    expect(x["pending"]()).toBe(before);
  }, 60_000);

  it("orders equal times by kind, then host, then that host's counter", () => {
    const { x } = units;
    const packet = [x["tieNext"](0n), x["tieNext"](0n)] as [bigint, bigint];
    const timer = x["tieNext"](1n) as bigint;
    const lateHost = BigInt(6) << 40n;
    const ties = [timer, packet[1], lateHost, packet[0]];
    const events = new Map(ties.map((tie) => [x["eventNew"]() as number, BigInt.asUintN(64, tie)]));
    for (const [event, tie] of events) x["schedule"](event, 7n, tie);
    const order = ties.map(() => events.get(x["popEvent"]() as number));
    expect(order).toEqual([packet[0], packet[1], lateHost, timer]);
  });

  it("refuses an event in the past", () => {
    const { x } = units;
    x["setNow"](100n);
    expect(() => x["schedule"](x["eventNew"](), 99n, 0n)).toThrow();
  });
});

describe("timers", () => {
  const step = (): number => {
    for (;;) {
      const id = units.x["timerStep"]() as number;
      if (id >= 0) return id;
    }
  };

  it("fire once, at the time they were last moved to", () => {
    const { x } = units;
    const [a, b, c] = [1, 2, 3].map((id) => x["timerMake"](id) as number);
    x["timerSet"](a, 100n);
    x["timerSet"](b, 200n);
    x["timerSet"](c, 300n);
    x["timerSet"](a, 250n); // later: stays in place and is put back
    x["timerSet"](c, 50n); // earlier: moves
    expect(x["pending"]()).toBe(3);
    const fired = [step(), Number(x["timeNow"]()), step(), Number(x["timeNow"]()), step(), Number(x["timeNow"]())];
    expect(fired).toEqual([3, 50, 2, 200, 1, 250]);
    expect([a, b, c].map((timer) => x["timerArmed"](timer))).toEqual([0, 0, 0]);
    expect(x["pending"]()).toBe(0);
  });

  it("do not fire when stopped, also when they were moved before", () => {
    const { x } = units;
    const timer = x["timerMake"](9) as number;
    x["timerSet"](timer, 10n);
    x["timerSet"](timer, 20n);
    x["timerStop"](timer);
    expect(x["pending"]()).toBe(0);
    x["timerSet"](timer, 5n);
    expect(step()).toBe(9);
    expect(Number(x["timeNow"]())).toBe(5);
    x["timerSet"](timer, 1n); // the past means now
    expect(step()).toBe(9);
    expect(Number(x["timeNow"]())).toBe(5);
  });

  it("behave as a sorted list under 30,000 random operations", () => {
    const { x } = units;
    const random = generator(31337);
    const timers = Array.from({ length: 50 }, (_, id) => x["timerMake"](id) as number);
    const model = new Map<number, number>();
    for (let i = 0; i < 30_000; i++) {
      const now = Number(x["timeNow"]());
      const id = random(50);
      const choice = random(10);
      if (choice < 6) {
        const at = now + random(1000);
        x["timerSet"](timers[id], BigInt(at));
        model.set(id, at);
      } else if (choice < 7) {
        x["timerStop"](timers[id]);
        model.delete(id);
      } else if (model.size > 0) {
        const due = Math.min(...model.values());
        const fired = step();
        expect(model.get(fired)).toBe(due);
        expect(Number(x["timeNow"]())).toBe(due);
        model.delete(fired);
      }
    }
  });
});
