/** A table of a host at one moment: what the tool of the trade would print, as columns and rows. Plain data. */

/** What a column holds: `address` sorts as a number, `time` is a moment of virtual time and `duration` a span, both in ns. */
export type CellKind = "text" | "number" | "address" | "time" | "duration";

/** A column. */
export interface Column {
  readonly name: string;
  readonly kind: CellKind;
  /** Rows are told apart by their key columns. */
  readonly key?: true;
  /** A counter or a timer, which is another one whenever one looks. */
  readonly volatile?: true;
  /** What one host sees differently from another although nothing is wrong: whether a container is its own, say. */
  readonly own?: true;
  /** The host that a row leads to, by its address: that one has no such row itself. A row without one is the host's own. */
  readonly towards?: true;
}

/** A value; "" where there is none. */
export type Cell = string | number;

/** A row, as long as there are columns. */
export type Row = readonly Cell[];

/** A table. */
export interface HostTable {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Why there can't be anything: the daemon is stopped, the node is no manager, there is no such namespace. */
  readonly absent?: string;
  /** The host's own addresses, where a column says which host a row leads to. */
  readonly addresses?: readonly string[];
}

type Flags = Pick<Column, "key" | "volatile" | "own" | "towards">;

/** A column that is part of the key. */
export const KEY: Flags = { key: true };
/** A counter or timer. */
export const VOLATILE: Flags = { volatile: true };
/** A column that hosts see differently. */
export const OWN: Flags = { own: true };

/** A column of text. */
export const text = (name: string, flags: Flags = {}): Column => ({ name, kind: "text", ...flags });
/** A column of numbers. */
export const number = (name: string, flags: Flags = {}): Column => ({ name, kind: "number", ...flags });
/** A column of IPv4 addresses, with a prefix length or a port where the tool prints one. */
export const address = (name: string, flags: Flags = {}): Column => ({ name, kind: "address", ...flags });
/** A column of moments. */
export const time = (name: string, flags: Flags = {}): Column => ({ name, kind: "time", ...flags });
/** A column of spans. */
export const duration = (name: string, flags: Flags = {}): Column => ({ name, kind: "duration", ...flags });

/** `yes` or nothing. */
export const yes = (value: boolean): string => (value ? "yes" : "");
