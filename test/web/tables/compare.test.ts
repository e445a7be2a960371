/** Comparisons of tables: checked against what was done to a table to make the other one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  address,
  type Column,
  type HostTable,
  KEY,
  number,
  OWN,
  type Row,
  text,
  VOLATILE,
} from "../../../src/lab/inspect/tables/table.ts";
import { Agreement, compareTables } from "../../../web/session/tables/compare.ts";

const COLUMNS: readonly Column[] = [
  text("network", KEY),
  text("key", KEY),
  text("value"),
  text("own", OWN),
  number("count", VOLATILE),
];
const table = (rows: readonly Row[]): HostTable => ({ columns: COLUMNS, rows });
const SETTLED = { volatile: false, own: false };

const cells = fc.tuple(
  fc.constantFrom("n1", "n2"),
  fc.string({ maxLength: 3 }),
  fc.constantFrom("a", "b", "c"),
  fc.constantFrom("yes", ""),
  fc.nat(3),
);
const rowsOf = fc.uniqueArray(cells, { selector: ([network, key]) => `${network}\n${key}`, maxLength: 30 });

describe("two tables", () => {
  it("each row of either is in the comparison once, under its mark", () => {
    fc.assert(
      fc.property(rowsOf, rowsOf, fc.boolean(), fc.boolean(), (left, right, volatile, own) => {
        const { rows, columns } = compareTables(table(left), table(right), { volatile, own });
        expect(columns).toEqual(COLUMNS);
        expect(rows.flatMap((row) => (row.left === undefined ? [] : [row.left]))).toEqual(left);
        const keyOf = (row: Row | undefined) => JSON.stringify(row?.slice(0, 2));
        const byKey = (some: readonly (Row | undefined)[]) => some.map((row) => JSON.stringify(row)).sort();
        expect(byKey(rows.map((row) => row.right).filter((row) => row !== undefined))).toEqual(byKey(right));
        for (const row of rows) {
          if (row.left !== undefined && row.right !== undefined) expect(keyOf(row.left)).toBe(keyOf(row.right));
          const places = [2, ...(own ? [3] : []), ...(volatile ? [4] : [])];
          const differ =
            row.left === undefined || row.right === undefined
              ? []
              : places.filter((i) => row.left?.[i] !== row.right?.[i]);
          expect(row.changed).toEqual(differ);
          const mark =
            row.left === undefined
              ? "right"
              : row.right === undefined
                ? "left"
                : differ.length > 0
                  ? "changed"
                  : "same";
          expect(row.mark).toBe(mark);
        }
      }),
    );
  });

  it("a table is the same as itself, in whatever order", () => {
    fc.assert(
      fc.property(rowsOf, fc.nat(), (rows, turn) => {
        const at = rows.length === 0 ? 0 : turn % rows.length;
        const other = [...rows.slice(at), ...rows.slice(0, at)];
        const marks = compareTables(table(rows), table(other), { volatile: true, own: true }).rows;
        expect(marks.every(({ mark }) => mark === "same")).toBe(true);
      }),
    );
  });

  it("rows of the same key are told apart by their order", () => {
    const twice: Row[] = [
      ["n1", "k", "a", "", 1],
      ["n1", "k", "b", "", 1],
    ];
    const once: Row[] = [["n1", "k", "a", "", 1]];
    const { rows } = compareTables(table(twice), table(once), SETTLED);
    expect(rows.map(({ mark }) => mark)).toEqual(["same", "left"]);
  });

  it("an absent table has no rows", () => {
    const { rows, columns } = compareTables(
      { columns: [], rows: [], absent: "off" },
      table([["n1", "k", "a", "", 1]]),
      SETTLED,
    );
    expect(columns).toBe(COLUMNS);
    expect(rows.map(({ mark }) => mark)).toEqual(["right"]);
  });
});

describe("all hosts", () => {
  it("who differs is who was made to differ", () => {
    const change = fc.record({ host: fc.nat(39), row: fc.nat(29), how: fc.constantFrom("value", "gone") });
    fc.assert(
      fc.property(rowsOf, fc.array(change, { maxLength: 8 }), (rows, changes) => {
        const hosts = 40;
        const agreement = new Agreement(hosts);
        const made = Array.from({ length: hosts }, () => rows.map((row): Row | undefined => row));
        for (const { host, row, how } of changes) {
          const old = made[host]?.[row];
          if (old !== undefined && made[host] !== undefined)
            made[host][row] = how === "gone" ? undefined : [old[0] ?? "", old[1] ?? "", "other", "yes", 9];
        }
        for (const [host, own] of made.entries())
          agreement.add(`h${host}`, table(own.filter((row) => row !== undefined)));
        const { rows: found, hosts: count, columns } = agreement.result();
        expect(count).toBe(hosts);
        expect(columns.map(({ name }) => name)).toEqual(["network", "key", "value"]);
        expect(found.length).toBe(rows.length);
        for (const [i, row] of rows.entries()) {
          const got = found.find(({ cells: [network, key] }) => network === row[0] && key === row[1]);
          const at = (host: number) => made[host]?.[i];
          const inNetwork = (host: number) => made[host]?.some((one) => one?.[0] === row[0]) === true;
          const all = Array.from({ length: hosts }, (_, host) => host);
          expect(got?.missing).toEqual(
            all.filter((host) => inNetwork(host) && at(host) === undefined).map((host) => `h${host}`),
          );
          const other = all.filter((host) => at(host)?.[2] === "other").map((host) => `h${host}`);
          expect(got?.others.flatMap(({ hosts: some }) => some)).toEqual(other);
          expect(got?.of).toBe(all.filter(inNetwork).length);
          expect(got?.agree).toBe((got?.of ?? 0) - (got?.missing.length ?? 0) - other.length);
        }
        const disagree = found.findLastIndex(({ agree, of }) => agree !== of);
        expect(found.slice(0, disagree + 1).every(({ agree, of }) => agree !== of)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("hosts that have no such table don't count", () => {
    const agreement = new Agreement(3);
    agreement.add("h0", { columns: [], rows: [], absent: "no namespace" });
    agreement.add("h1", table([["n1", "k", "a", "", 1]]));
    agreement.add("h2", table([["n1", "k", "a", "yes", 2]]));
    const { rows, hosts } = agreement.result();
    expect(hosts).toBe(2);
    expect(rows.map(({ agree, of }) => [agree, of])).toEqual([[2, 2]]);
  });

  it("a row that leads to a host isn't missed there, and what leads nowhere is a host's own", () => {
    const columns = [text("mac", KEY), address("dst", { ...KEY, towards: true })];
    const fdb = (own: string, rows: readonly Row[]): HostTable => ({ columns, rows, addresses: [own] });
    const agreement = new Agreement(3);
    agreement.add(
      "h0",
      fdb("10.0.0.1", [
        ["b", "10.0.0.2"],
        ["veth", ""],
      ]),
    );
    agreement.add("h1", fdb("10.0.0.2", [["a", "10.0.0.1"]]));
    agreement.add("h2", fdb("10.0.0.3", [["b", "10.0.0.2"]]));
    const { rows } = agreement.result();
    expect(rows.map(({ cells: [mac], agree, of, missing }) => [mac, agree, of, missing])).toEqual([
      ["a", 1, 2, ["h2"]],
      ["b", 2, 2, []],
    ]);
  });
});
