/** NetworkDB's tables: entries stand in order of key, whatever came, was replaced or went in between. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, TableStore } from "../../../src/libnetwork/networkdb/table-store.ts";

function entryOf(key: string, lTime: number): Entry {
  const value = new Uint8Array(0);
  return { networkId: "net", table: "t", key, node: "peer", lTime, value, deleting: false, reapTime: 0 };
}

describe("table store", () => {
  it("gives the entries of a table in order of key", () => {
    const step = fc.record({ key: fc.string({ maxLength: 2 }), what: fc.constantFrom("put", "put", "remove", "look") });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const store = new TableStore();
        const expected = new Map<string, Entry>();
        const look = () => {
          const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
          expect(store.ofTable("t", "net")).toEqual(sorted);
          expect(store.ofNetwork("net")).toEqual(sorted);
        };
        for (const [i, { key, what }] of steps.entries()) {
          if (what === "put") {
            const entry = entryOf(key, i);
            store.put(entry);
            expected.set(key, entry);
          } else if (what === "remove") {
            store.remove(store.get("t", "net", key) ?? entryOf(key, -1));
            expected.delete(key);
          } else look();
        }
        look();
      }),
    );
  });
});
