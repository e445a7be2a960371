/** Kept moments: bounded, of one lab and seed, and honest about what they don't have. */
import { describe, expect, it } from "vitest";
import { type HostTable, KEY, type Row, text } from "../../../src/lab/inspect/tables/table.ts";
import { type KeptTables, Moments, tableKey } from "../../../web/session/tables/moments.ts";

const table = (rows: number): HostTable => ({
  columns: [text("key", KEY)],
  rows: Array.from({ length: rows }, (_, i) => [String(i)]),
});
/** Only their number counts. */
const many = (rows: number): KeptTables =>
  new Map([[tableKey({ host: "h1", table: "fdb" }), { columns: [], rows: new Array<Row>(rows) }]]);
const tables = (rows: number): KeptTables => new Map([[tableKey({ host: "h1", table: "fdb" }), table(rows)]]);

function made(): Moments {
  const moments = new Moments();
  moments.open("lab", "1");
  return moments;
}

describe("moments", () => {
  it("are told in the order of their times, and found by their ids", () => {
    const moments = made();
    const late = moments.keep(20, ["h1"], tables(2));
    const early = moments.keep(10, ["h1"], tables(1));
    expect(moments.all).toEqual([early, late]);
    expect(moments.table(late.id, { host: "h1", table: "fdb", namespace: "host" })).toMatchObject({
      time: 20,
      rows: [["0"], ["1"]],
    });
    moments.forget(late.id);
    expect(moments.all).toEqual([early]);
    expect(() => moments.table(late.id, { host: "h1", table: "fdb" })).toThrow("that moment is not kept any more");
  });

  it("say what they don't have", () => {
    const moments = made();
    const { id } = moments.keep(10, ["h1"], tables(1));
    expect(moments.table(id, { host: "h2", table: "fdb" }).absent).toBe("that moment has no tables of h2");
    expect(moments.table(id, { host: "h1", table: "fdb", namespace: "net" }).absent).toBe(
      "h1 had no network namespace net at that moment",
    );
  });

  it("are few, and the oldest goes first", () => {
    const moments = made();
    const ids = Array.from({ length: 20 }, (_, i) => moments.keep(100 - i, ["h1"], tables(1)).id);
    expect(moments.all.map(({ id }) => id).reverse()).toEqual(ids.slice(4));
  });

  it("have a million rows at most, but for one that is larger", () => {
    const moments = made();
    moments.keep(1, ["h1"], many(600_000));
    moments.keep(2, ["h1"], many(500_000));
    expect(moments.all.map(({ time }) => time)).toEqual([2]);
    moments.keep(3, ["h1"], many(1_200_000));
    expect(moments.all.map(({ time }) => time)).toEqual([3]);
  });

  it("stay while a lab is run again with its seed, and go with another one", () => {
    const moments = made();
    moments.keep(1, ["h1"], tables(1));
    moments.open("lab", "1");
    expect(moments.all.length).toBe(1);
    moments.open("lab", "2");
    expect(moments.all.length).toBe(0);
  });
});
