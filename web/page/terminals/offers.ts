/** What becomes of Tab's offers: the part that all of them share, or a list in columns, as readline prints it. */
import type { Completion } from "../../../src/shell/completion/complete.ts";

/** Offers that are listed at most. */
const MOST = 200;

/** What can be put behind the word: all of the only offer, else what all offers have in common. */
export function extended({ candidates, word }: Completion): string {
  const [first = "", ...others] = candidates;
  const common = others.reduce((prefix, one) => {
    let length = 0;
    while (length < prefix.length && prefix[length] === one[length]) length++;
    return prefix.slice(0, length);
  }, first);
  return common.slice(word.length);
}

/** The offers in columns, from top to bottom; of paths, their last parts. */
export function listing(candidates: readonly string[], word: string, columns: number): string {
  const directory = word.lastIndexOf("/") + 1;
  const names = candidates.map((one) => one.trimEnd().slice(directory));
  const shown = names.slice(0, MOST);
  const width = Math.max(...shown.map((name) => name.length)) + 2;
  const perRow = Math.max(1, Math.floor(columns / width));
  const rows = Math.ceil(shown.length / perRow);
  const lines = Array.from({ length: rows }, (_, row) =>
    shown
      .filter((_, i) => i % rows === row)
      .map((name) => name.padEnd(width))
      .join("")
      .trimEnd(),
  );
  if (names.length > MOST) lines.push(`… and ${names.length - MOST} more`);
  return `${lines.join("\n")}\n`;
}
