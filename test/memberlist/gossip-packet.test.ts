import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Broadcast, BroadcastQueue } from "../../src/memberlist/broadcast-queue.ts";
import { encodeGossip, encodeGossips } from "../../src/memberlist/gossip-packet.ts";
import { decodeCompound, encodeCompound, encodeUser, MESSAGE } from "../../src/memberlist/messages.ts";
import { retransmitLimit } from "../../src/memberlist/scale.ts";

const message = fc.uint8Array({ minLength: 1, maxLength: 60 });
const broadcasts = (messages: readonly Uint8Array[]): Broadcast[] => messages.map((bytes) => ({ message: bytes }));

describe("a packet of gossip", () => {
  it("is the one message, or the compound one of them all, and what is known of it is what its bytes say", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), fc.array(message, { maxLength: 20 }), (own, foreign) => {
        fc.pre(own.length + foreign.length > 0);
        const whole = [...own, ...foreign.map(encodeUser)];
        const { message: packet, parts = [] } = encodeGossip(broadcasts(own), broadcasts(foreign));
        expect(packet).toEqual(whole.length === 1 ? whole[0] : encodeCompound(whole));
        const read = whole.length === 1 ? [packet] : decodeCompound(packet.subarray(1)).parts;
        expect(parts.map(({ type, data, start, end }) => [type, ...data.subarray(start, end)])).toEqual(
          read.map((bytes) => [...bytes]),
        );
        expect(parts.slice(own.length).every(({ type }) => type === MESSAGE.user)).toBe(true);
      }),
    );
  });

  it("holds 255 messages at most", () => {
    const many = (count: number, fill: number) => broadcasts(Array.from({ length: count }, () => Uint8Array.of(fill)));
    const gossips = encodeGossips(many(300, MESSAGE.suspect), many(300, 9));
    const packets = gossips.map(({ message: bytes }) => bytes);
    expect(packets.map((packet) => packet[1])).toEqual([255, 255, 90]);
    const read = packets.flatMap((packet) => decodeCompound(packet.subarray(1)).parts.map((part) => part.length));
    expect(read).toEqual([...new Array(300).fill(1), ...new Array(300).fill(2)]);
  });
});

interface Item {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly id: number;
  sent: number;
}

/** The order of queue.go by the letter: at each step the whole queue is looked through for the next one. */
class Naive {
  #items: Item[] = [];
  #nextId = 1;

  queue(name: string, bytes: Uint8Array): void {
    this.#items = this.#items.filter((item) => item.name !== name);
    this.#items.push({ bytes, name, id: this.#nextId++, sent: 0 });
  }

  take(overhead: number, limit: number, most: number): Uint8Array[] {
    const out: Item[] = [];
    let free = limit - overhead;
    for (;;) {
      const left = this.#items.filter((item) => !out.includes(item) && item.bytes.length <= free);
      left.sort((a, b) => a.sent - b.sent || b.bytes.length - a.bytes.length || b.id - a.id);
      const [next] = left;
      if (next === undefined || free <= 0) break;
      out.push(next);
      free -= overhead + next.bytes.length;
    }
    for (const item of out) item.sent++;
    this.#items = this.#items.filter((item) => item.sent < most);
    return out.map(({ bytes }) => bytes);
  }
}

describe("the queue of broadcasts", () => {
  it("gives the same messages in the same order as one that is looked through", () => {
    const step = fc.oneof(
      fc.record({ name: fc.integer({ min: 0, max: 12 }), length: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ limit: fc.integer({ min: 0, max: 40 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = new BroadcastQueue(() => 9, 3);
        const naive = new Naive();
        const most = retransmitLimit(3, 9);
        for (const [i, one] of steps.entries()) {
          if ("limit" in one) {
            const taken = queue.take(2, one.limit).map(({ message: bytes }) => bytes);
            expect(taken).toEqual(naive.take(2, one.limit, most));
          } else {
            const bytes = new Uint8Array(one.length).fill(i);
            queue.queue({ name: String(one.name), message: bytes });
            naive.queue(String(one.name), bytes);
          }
        }
      }),
    );
  });
});
