import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../../src/base/random.ts";
import { HOUR, MINUTE, MS, SEC, type Time } from "../../../../src/base/time.ts";
import { choosePeriod, DEFAULT_HEARTBEAT_PERIOD } from "../../../../src/swarm/manager/dispatcher/period.ts";
import { type HeartbeatRest, replayHeartbeats } from "../../../../src/swarm/manager/dispatcher/quiet.ts";

describe("a heartbeat period", () => {
  it("lies within half a second of the cluster's, whole nanoseconds", () => {
    const random = new Random("node");
    fc.assert(
      fc.property(fc.nat({ max: 100 * HOUR }), fc.integer({ min: 1, max: 60 * SEC }), (now, period) => {
        const chosen = choosePeriod(random, period, now);
        const epsilon = Math.min(500 * MS, period);
        expect(chosen).toBeGreaterThanOrEqual(period - epsilon);
        expect(chosen).toBeLessThan(Math.max(period + epsilon, period - epsilon + 1));
        expect(Number.isInteger(chosen)).toBe(true);
        expect(choosePeriod(new Random("node"), period, now)).toBe(chosen);
      }),
    );
  });

  it("is spread evenly over that second", () => {
    const random = new Random("node");
    const counts = new Array<number>(10).fill(0);
    for (let i = 0, now = 0; i < 20_000; i++) {
      const period = choosePeriod(random, DEFAULT_HEARTBEAT_PERIOD, now);
      counts[Math.floor((period - 4.5 * SEC) / (100 * MS))] =
        (counts[Math.floor((period - 4.5 * SEC) / (100 * MS))] ?? 0) + 1;
      now += period + 1;
    }
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(250);
  });

  it("forgets within minutes what delayed a heartbeat a little", () => {
    for (const node of ["a", "b", "c", "d"]) {
      const random = new Random(node);
      const beats = [0, 1, 100 * 1000, 3 * MS, 90 * MS].map((start) => {
        let now: Time = start;
        while (now < 5 * MINUTE) now += choosePeriod(random, DEFAULT_HEARTBEAT_PERIOD, now);
        return now;
      });
      expect(new Set(beats).size).toBe(1);
    }
  });
});

describe("a rest of heartbeats", () => {
  it("is computed as it is run", () => {
    const [way, back] = [60_000, 75_000];
    const random = new Random("key");
    let agent = { sentAt: 0, due: 0 };
    let node = { heardAt: 0, deadline: 0 };
    const beat = (): void => {
      const heardAt = agent.due + way;
      const period = choosePeriod(random, DEFAULT_HEARTBEAT_PERIOD, heardAt);
      node = { heardAt, deadline: heardAt + 3 * period };
      agent = { sentAt: agent.due, due: agent.due + way + back + period };
    };
    const states = (): HeartbeatRest[] => [
      { role: "agent", sessionId: "s", roundTrip: way + back, ...agent },
      {
        role: "dispatcher",
        period: DEFAULT_HEARTBEAT_PERIOD,
        nodes: [{ sessionId: "s", randomKey: "key", ...node }],
      },
      { role: "agent", sessionId: "of another swarm", roundTrip: 1, sentAt: 1, due: 2 },
    ];
    beat();
    const before = states().map((state, host) => ({ host, state }));
    while (agent.due <= HOUR) beat();
    expect(replayHeartbeats(before, HOUR)).toEqual(states());
  });
});
