/** Tables as a grid shows them: cells as text, rows marked, filtered and in order. */
import { formatDuration } from "../../../src/base/time.ts";
import type { Cell, Column, HostTable, Row } from "../../../src/lab/inspect/tables/table.ts";
import type { AgreedRow, Comparison, HostsTable, RowMark } from "../../session/tables/compare.ts";

/** A column of the grid. */
export interface GridColumn {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly right: boolean;
}

/** A row of the grid. */
export interface GridRow {
  /** The same from one refresh to the next. */
  readonly key: string;
  readonly texts: readonly string[];
  /** What it is sorted by, column by column. */
  readonly order: readonly Cell[];
  /** `+`, `−`, `≠`, or nothing. */
  readonly mark: string;
  /** Columns that differ. */
  readonly differ: ReadonlySet<number>;
}

/** What a grid shows. */
export interface GridTable {
  readonly columns: readonly GridColumn[];
  readonly rows: readonly GridRow[];
}

/** Signs of a comparison: only right, only left, other values, the same. */
export const MARKS: Readonly<Record<RowMark, string>> = { right: "+", left: "−", changed: "≠", same: "" };
const MARK_ORDER: Readonly<Record<RowMark, number>> = { changed: 0, left: 1, right: 2, same: 3 };
/** Hosts that are named in a cell. */
const NAMED = 5;

/** A cell as the tools print it: moments in seconds as in the packet list, spans with their unit. */
export function cellText(cell: Cell, { kind }: Column): string {
  if (typeof cell === "string") return cell;
  if (kind === "time") return (cell / 1e9).toFixed(6);
  return kind === "duration" ? formatDuration(Math.round(cell / 1e6) * 1e6) : String(cell);
}

/** An address (with a prefix length, a port, or others behind it) as a number; other texts as they are. */
function orderOf(cell: Cell, { kind }: Column): Cell {
  if (typeof cell === "number" || kind !== "address") return cell;
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:[/:](\d+))?/.exec(cell);
  if (match === null) return cell;
  const [a = 0, b = 0, c = 0, d = 0, rest = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return (((a * 256 + b) * 256 + c) * 256 + d) * 65_536 + rest;
}

const isRight = ({ kind }: Column): boolean => kind === "number" || kind === "time" || kind === "duration";
const gridColumn = (column: Column): GridColumn => ({ title: column.name, right: isRight(column) });
const NONE: ReadonlySet<number> = new Set();

/** Makes keys of rows unique, in their order. */
function keys(): (columns: readonly Column[], row: Row) => string {
  const counts = new Map<string, number>();
  return (columns, row) => {
    const name = row.filter((_, i) => columns[i]?.key === true).join("\u0000");
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return `${name}\u0000${count}`;
  };
}

/** A table of one host. */
export function plainGrid({ columns, rows }: HostTable): GridTable {
  const keyOf = keys();
  return {
    columns: columns.map(gridColumn),
    rows: rows.map((row) => ({
      key: keyOf(columns, row),
      texts: row.map((cell, i) => cellText(cell, columns[i] as Column)),
      order: row.map((cell, i) => orderOf(cell, columns[i] as Column)),
      mark: "",
      differ: NONE,
    })),
  };
}

/** Two tables in one: a column of signs, and `this → that` where a value differs. */
export function comparedGrid({ columns, rows }: Comparison): GridTable {
  const keyOf = keys();
  return {
    columns: [{ title: "±", right: false }, ...columns.map(gridColumn)],
    rows: rows.map(({ mark, left, right, changed }) => {
      const row = left ?? right ?? [];
      const texts = row.map((cell, i) => {
        const column = columns[i] as Column;
        const text = cellText(cell, column);
        if (!changed.includes(i)) return text;
        return `${text || "nothing"} → ${cellText(right?.[i] ?? "", column) || "nothing"}`;
      });
      return {
        key: keyOf(columns, row),
        texts: [MARKS[mark], ...texts],
        order: [MARK_ORDER[mark], ...row.map((cell, i) => orderOf(cell, columns[i] as Column))],
        mark: MARKS[mark],
        differ: new Set(changed.map((i) => i + 1)),
      };
    }),
  };
}

function named(hosts: readonly string[]): string {
  const some = hosts.slice(0, NAMED).join(", ");
  return hosts.length <= NAMED ? some : `${some} and ${hosts.length - NAMED} more`;
}

/** Who hasn't the row that most have, in words. */
function whoDiffers({ missing, others }: AgreedRow, columns: readonly Column[], cells: Row): string {
  const parts = missing.length === 0 ? [] : [`missing on ${named(missing)}`];
  for (const { cells: own, hosts } of others) {
    const values = own.flatMap((cell, i) =>
      cell === cells[i] ? [] : [`${columns[i]?.name} ${cellText(cell, columns[i] as Column) || "nothing"}`],
    );
    parts.push(`${values.join(", ")} on ${named(hosts)}`);
  }
  return parts.join("; ");
}

/** A table of all hosts: on how many a row is as shown, and who differs. */
export function hostsGrid({ columns, rows }: HostsTable): GridTable {
  const keyOf = keys();
  const head: GridColumn[] = [
    { title: "±", right: false },
    { title: "hosts", right: true },
    { title: "who differs", right: false },
  ];
  return {
    columns: [...head, ...columns.map(gridColumn)],
    rows: rows.map((row) => {
      const { cells, agree, of } = row;
      const mark = agree === of ? "" : MARKS.changed;
      const differs = whoDiffers(row, columns, cells);
      const texts = cells.map((cell, i) => cellText(cell, columns[i] as Column));
      const order = cells.map((cell, i) => orderOf(cell, columns[i] as Column));
      return {
        key: keyOf(columns, cells),
        texts: [mark, `${agree} of ${of}`, differs, ...texts],
        order: [mark === "" ? 1 : 0, agree / of, differs, ...order],
        mark,
        differ: mark === "" ? NONE : new Set([2]),
      };
    }),
  };
}

/** How rows are chosen and ordered. */
export interface Arrangement {
  /** Words that a row must have, in any cells, in upper or lower case; `-word` must not be there. */
  readonly filter: string;
  /** Only rows with a mark. */
  readonly differing: boolean;
  /** undefined: as they came. */
  readonly sort: { readonly column: number; readonly descending: boolean } | undefined;
}

function compareCells(a: Cell, b: Cell): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  // What isn't a number, "" above all, stands in front.
  if (typeof a === "number") return 1;
  return typeof b === "number" ? -1 : a < b ? -1 : a > b ? 1 : 0;
}

/** The rows to show, in their order. */
export function arrange(rows: readonly GridRow[], { filter, differing, sort }: Arrangement): readonly GridRow[] {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "" && word !== "-");
  const fits = (row: GridRow): boolean => {
    if (differing && row.mark === "") return false;
    if (words.length === 0) return true;
    const all = row.texts.join(" ").toLowerCase();
    return words.every((word) => (word.startsWith("-") ? !all.includes(word.slice(1)) : all.includes(word)));
  };
  const found = words.length === 0 && !differing ? rows : rows.filter(fits);
  if (sort === undefined) return found;
  const sign = sort.descending ? -1 : 1;
  const { column } = sort;
  return [...found].sort((a, b) => sign * compareCells(a.order[column] ?? "", b.order[column] ?? ""));
}

/** Rows as text: titles, then a line each, in columns that tabs part (what spreadsheets and `column -t` take). */
export function copyText(columns: readonly GridColumn[], rows: readonly GridRow[]): string {
  const lines = [columns.map(({ title }) => title), ...rows.map(({ texts }) => texts)];
  return lines.map((cells) => `${cells.map((cell) => cell.replace(/[\t\n]/g, " ")).join("\t")}\n`).join("");
}

/** Widest column, in characters. */
const WIDEST = 96;
/** Rows that are looked at for widths. */
const MEASURED = 300;

/** Widths of columns in characters. */
export function widths({ columns, rows }: GridTable): number[] {
  return columns.map(({ title }, i) => {
    let width = title.length + 2;
    for (const { texts } of rows.slice(0, MEASURED)) width = Math.max(width, texts[i]?.length ?? 0);
    return Math.min(width, WIDEST);
  });
}

/** Filters of the packet list for the first address, IPv4 or MAC, in a text; undefined where there is none. */
export function filterFor(
  text: string,
): { readonly address: string; readonly wireshark: string; readonly plain: string } | undefined {
  const ip = /\b\d{1,3}(?:\.\d{1,3}){3}\b/.exec(text)?.[0];
  if (ip !== undefined)
    return {
      address: ip,
      wireshark: `ip.addr == ${ip} or arp.src.proto_ipv4 == ${ip} or arp.dst.proto_ipv4 == ${ip}`,
      plain: `host=${ip}`,
    };
  const mac = /\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/.exec(text)?.[0];
  return mac === undefined ? undefined : { address: mac, wireshark: `eth.addr == ${mac}`, plain: mac };
}
