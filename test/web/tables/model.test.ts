/** Tables as a grid shows them. */
import { describe, expect, it } from "vitest";
import { address, duration, KEY, number, text, time } from "../../../src/lab/inspect/tables/table.ts";
import {
  arrange,
  comparedGrid,
  copyText,
  filterFor,
  hostsGrid,
  plainGrid,
  widths,
} from "../../../web/page/tables/model.ts";

const COLUMNS = [address("address", KEY), text("dev", KEY), number("count"), duration("age"), time("since")];
const TABLE = {
  columns: COLUMNS,
  rows: [
    ["10.0.0.10", "eth1", 30, 1_500_000_000, 2_000_000_500],
    ["10.0.0.9", "eth0", 4, 61_000_000_000, ""],
    ["10.0.0.9:80", "eth0", "", 0, 1],
  ],
};
const ANY = { filter: "", differing: false, sort: undefined };

describe("cells", () => {
  it("moments are seconds, spans have their unit", () => {
    const { rows, columns } = plainGrid(TABLE);
    expect(rows.map(({ texts }) => texts.slice(2))).toEqual([
      ["30", "1.5s", "2.000001"],
      ["4", "1m1s", ""],
      ["", "0s", "0.000000"],
    ]);
    expect(columns.map(({ right }) => right)).toEqual([false, false, true, true, true]);
  });

  it("rows of the same key have keys of their own", () => {
    const { rows } = plainGrid({ columns: COLUMNS, rows: [TABLE.rows[0] ?? [], TABLE.rows[0] ?? []] });
    expect(new Set(rows.map(({ key }) => key)).size).toBe(2);
  });
});

describe("arrangement", () => {
  const { rows, columns } = plainGrid(TABLE);
  const addresses = (some: readonly { readonly texts: readonly string[] }[]) => some.map(({ texts }) => texts[0]);

  it("addresses and numbers sort by value, both ways", () => {
    const by = (column: number, descending: boolean) =>
      addresses(arrange(rows, { ...ANY, sort: { column, descending } }));
    expect(by(0, false)).toEqual(["10.0.0.9", "10.0.0.9:80", "10.0.0.10"]);
    expect(by(0, true)).toEqual(["10.0.0.10", "10.0.0.9:80", "10.0.0.9"]);
    expect(by(2, false)).toEqual(["10.0.0.9:80", "10.0.0.9", "10.0.0.10"]);
    expect(addresses(arrange(rows, ANY))).toEqual(["10.0.0.10", "10.0.0.9", "10.0.0.9:80"]);
  });

  it("a filter takes rows with all its words, and without those behind a minus", () => {
    const with_ = (filter: string) => addresses(arrange(rows, { ...ANY, filter }));
    expect(with_("ETH0")).toEqual(["10.0.0.9", "10.0.0.9:80"]);
    expect(with_("eth0 -:80 ")).toEqual(["10.0.0.9"]);
    expect(with_("eth0 1.5s")).toEqual([]);
  });

  it("copies what is shown, parted by tabs", () => {
    expect(copyText(columns, arrange(rows, { ...ANY, filter: "eth1" }))).toBe(
      "address\tdev\tcount\tage\tsince\n10.0.0.10\teth1\t30\t1.5s\t2.000001\n",
    );
  });

  it("a column is as wide as its widest text, within bounds", () => {
    expect(widths(plainGrid(TABLE))).toEqual([11, 5, 7, 5, 8]);
    const long = plainGrid({ columns: [text("a", KEY)], rows: [["x".repeat(200)]] });
    expect(widths(long)).toEqual([96]);
  });
});

describe("comparisons", () => {
  it("have a sign, and both values where they differ", () => {
    const row = TABLE.rows[0] ?? [];
    const { rows, columns } = comparedGrid({
      columns: COLUMNS,
      rows: [
        { mark: "same", left: row, right: row, changed: [] },
        { mark: "changed", left: row, right: ["10.0.0.10", "eth1", "", 0, 0], changed: [2] },
        { mark: "left", left: row, right: undefined, changed: [] },
        { mark: "right", left: undefined, right: row, changed: [] },
      ],
    });
    expect(columns.length).toBe(6);
    expect(rows.map(({ texts }) => [texts[0], texts[3]])).toEqual([
      ["", "30"],
      ["≠", "30 → nothing"],
      ["−", "30"],
      ["+", "30"],
    ]);
    expect(arrange(rows, { ...ANY, differing: true }).length).toBe(3);
    expect([...(rows[1]?.differ ?? [])]).toEqual([3]);
  });

  it("over all hosts, who differs is said in words", () => {
    const hosts = Array.from({ length: 8 }, (_, i) => `h${i}`);
    const { rows } = hostsGrid({
      columns: [text("key", KEY), text("value")],
      hosts: 20,
      rows: [
        { cells: ["k", "a"], agree: 9, of: 20, missing: hosts, others: [{ cells: ["k", ""], hosts: ["h9", "h10"] }] },
        { cells: ["l", "a"], agree: 20, of: 20, missing: [], others: [] },
      ],
    });
    expect(rows.map(({ texts }) => texts)).toEqual([
      ["≠", "9 of 20", "missing on h0, h1, h2, h3, h4 and 3 more; value nothing on h9, h10", "k", "a"],
      ["", "20 of 20", "", "l", "a"],
    ]);
  });
});

describe("filters of the packet list", () => {
  it("are for the address in a cell", () => {
    expect(filterFor("10.0.1.3/24")?.wireshark).toMatch(/^ip\.addr == 10\.0\.1\.3 or /);
    expect(filterFor("UDP 10.0.1.3:80")?.plain).toBe("host=10.0.1.3");
    expect(filterFor("02:42:0a:00:01:05")).toEqual({
      address: "02:42:0a:00:01:05",
      wireshark: "eth.addr == 02:42:0a:00:01:05",
      plain: "02:42:0a:00:01:05",
    });
    expect(filterFor("permanent")).toBeUndefined();
  });
});
