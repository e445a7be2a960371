/** Tables for terminals: cells of equal width, two spaces between columns. */

/** Lines of a table; the first `left` columns stand to the left, numbers behind them to the right. */
export function formatColumns(rows: readonly (readonly string[])[], left = 1): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const pad = (cell: string, i: number): string =>
    i < left ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number);
  return rows.map((row) => `${row.map(pad).join("  ").trimEnd()}\n`).join("");
}
