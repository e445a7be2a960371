/** Those who wait are woken in the order in which they began to, as those of a set would be. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Waiters } from "../../src/base/waiters.ts";

describe("waiters", () => {
  it("are those of a set, in its order", () => {
    const step = fc.record({ who: fc.nat(4), what: fc.constantFrom("add", "add", "delete", "wake") });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const waiters = new Waiters<string>();
        const expected = new Set<number>();
        let woken: string[] = [];
        const all = [0, 1, 2, 3, 4].map((i) => ({ wake: (source: string) => woken.push(source + i) }));
        for (const { who, what } of steps) {
          const waiter = all[who];
          if (waiter === undefined) throw new Error("no such waiter");
          if (what === "add") {
            waiters.add(waiter);
            expected.add(who);
          } else if (what === "delete") {
            waiters.delete(waiter);
            expected.delete(who);
          } else {
            woken = [];
            waiters.wake("it ");
            expect(woken).toEqual([...expected].map((i) => `it ${i}`));
          }
          expect(waiters.size).toBe(expected.size);
        }
      }),
    );
  });

  it("may stop waiting when they are woken", () => {
    const waiters = new Waiters<number>();
    const woken: number[] = [];
    const makeWaiter = (i: number) => {
      const waiter = {
        wake: () => {
          woken.push(i);
          waiters.delete(waiter);
        },
      };
      waiters.add(waiter);
    };
    for (let i = 0; i < 3; i++) makeWaiter(i);
    waiters.wake(0);
    waiters.wake(0);
    expect(woken).toEqual([0, 1, 2]);
    expect(waiters.size).toBe(0);
  });
});
