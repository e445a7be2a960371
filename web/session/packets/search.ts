/** The simple filter over the packet list, for where there are no dissectors: words, and values of its columns. */
import { UserError } from "../../../src/base/errors.ts";
import type { PacketRow } from "./protocol.ts";

/** Whether a row is wanted. */
export type RowTest = (row: PacketRow) => boolean;

/** RFC 7348. */
const VXLAN_PORT = "4789";

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** One of two numbers around an arrow; the tunnels' port isn't said. */
function hasPort(summary: string, port: string): boolean {
  if (port === VXLAN_PORT && summary.includes("VXLAN ")) return true;
  return new RegExp(`(?:^|[| ])(?:${port} → \\d+|\\d+ → ${port})(?: |$)`).test(summary);
}

/** By what stands before the `=`. */
const KEYS: Readonly<Record<string, (row: PacketRow, value: string) => boolean>> = {
  host: (row, value) =>
    row.source === value || row.destination === value || row.summary.split(/[ ,|]+/).includes(value),
  src: (row, value) => row.source === value,
  dst: (row, value) => row.destination === value,
  proto: (row, value) => same(row.protocol, value),
  port: (row, value) => hasPort(row.summary, value),
  on: (row, value) => row.point.toLowerCase().includes(value.toLowerCase()),
};

function term(text: string): RowTest {
  if (text.startsWith("!") && text.length > 1) {
    const wanted = term(text.slice(1));
    return (row) => !wanted(row);
  }
  const at = text.indexOf("=");
  if (at > 0) {
    const [key, value] = [text.slice(0, at), text.slice(at + 1)];
    const test = KEYS[key];
    if (test === undefined)
      throw new UserError(`filter: ${key}=: expected one of ${Object.keys(KEYS).join("=, ")}=, or a word`);
    if (value === "") throw new UserError(`filter: ${key}=: expected a value behind it`);
    if (key === "port" && !/^\d{1,5}$/.test(value)) throw new UserError(`filter: port=${value}: expected a number`);
    return (row) => test(row, value);
  }
  const word = text.toLowerCase();
  return ({ source, destination, protocol, summary, point }) =>
    [source, destination, protocol, summary, point].some((column) => column.toLowerCase().includes(word));
}

/**
 * Reads a filter: terms with blanks between them, all of which must hold; `!` before a term: it must not.
 * @throws UserError for a key that there is not
 */
export function parseSearch(text: string): RowTest {
  const tests = text.split(/\s+/).flatMap((word) => (word === "" ? [] : [term(word)]));
  return (row) => tests.every((test) => test(row));
}
