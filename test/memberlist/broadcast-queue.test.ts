import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Broadcast, BroadcastQueue } from "../../src/memberlist/broadcast-queue.ts";

const of = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const fills = (taken: readonly Broadcast[]) => taken.map(({ message }) => message[0]);

describe("BroadcastQueue", () => {
  it("gives the longest that fits first, among equals the newest, then what was sent least", () => {
    const queue = new BroadcastQueue(() => 9, 4);
    queue.queue({ message: of(10, 1) });
    queue.queue({ message: of(30, 2) });
    queue.queue({ message: of(10, 3) });
    expect(fills(queue.take(2, 100))).toEqual([2, 3, 1]);
    queue.queue({ message: of(5, 4) });
    expect(fills(queue.take(2, 30))).toEqual([4, 3]);
    expect(fills(queue.take(2, 100))).toEqual([2, 1, 4, 3]);
  });

  it("sends each message as often as the limit says and then calls finished", () => {
    for (const [nodes, limit] of [
      [1, 4],
      [9, 4],
      [10, 8],
      [99, 8],
      [100, 12],
    ] as const) {
      const queue = new BroadcastQueue(() => nodes, 4);
      let finished = 0;
      queue.queue({ message: of(3, 1), finished: () => finished++ });
      let sent = 0;
      while (queue.take(2, 100).length > 0) sent++;
      expect([nodes, sent, finished]).toEqual([nodes, limit, 1]);
    }
  });

  it("a message replaces an older one of the same name, which is finished", () => {
    const queue = new BroadcastQueue(() => 9, 4);
    const log: string[] = [];
    queue.queue({ name: "a", message: of(3, 1), finished: () => log.push("old") });
    queue.queue({ name: "b", message: of(3, 2) });
    queue.take(2, 100);
    queue.queue({ name: "a", message: of(3, 3), finished: () => log.push("new") });
    expect(log).toEqual(["old"]);
    expect(queue.length).toBe(2);
    expect(fills(queue.take(2, 100))).toEqual([3, 2]);
  });

  it("drops what was sent most when pruned", () => {
    const queue = new BroadcastQueue(() => 9, 4);
    queue.queue({ message: of(3, 1) });
    queue.take(2, 100);
    queue.queue({ message: of(9, 2) });
    queue.queue({ message: of(3, 3) });
    queue.prune(1);
    expect(fills(queue.take(2, 100))).toEqual([2]);
  });

  it("never exceeds the packet, and sends everything in the end", () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 130, max: 400 }), (list, limit) => {
        const queue = new BroadcastQueue(() => 9, 4);
        const sent = new Map<Uint8Array, number>();
        const messages = list.map((length, i) => of(length, i));
        for (const message of messages) queue.queue({ message });
        for (let round = 0; queue.length > 0 && round < 1000; round++) {
          const taken = queue.take(3, limit);
          expect(taken.reduce((sum, { message }) => sum + message.length + 3, 0)).toBeLessThanOrEqual(limit);
          for (const { message } of taken) sent.set(message, (sent.get(message) ?? 0) + 1);
        }
        expect(messages.map((message) => sent.get(message))).toEqual(messages.map(() => 4));
      }),
    );
  });
});
