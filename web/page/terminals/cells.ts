/** How much room characters take on a terminal: columns as xterm.js counts them (its Unicode 6 table), rows as it wraps. */

const segments = new Intl.Segmenter("en", { granularity: "grapheme" });
/** Characters two columns wide (Unicode East Asian Width W and F, as far as the terminal's table goes). */
const WIDE =
  /^[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;

/** What a user sees as characters. */
export function characters(text: string): string[] {
  return Array.from(segments.segment(text), ({ segment }) => segment);
}

/** Columns of a character. */
export function columnsOf(character: string): number {
  return WIDE.test(character) ? 2 : 1;
}

/** A place on the screen, from the first character of a text. */
export interface Place {
  readonly row: number;
  readonly column: number;
}

/** Where the cursor stands behind a text that begins at the left, on a screen of so many columns. */
export function placeBehind(text: readonly string[], columns: number): Place {
  let [row, column] = [0, 0];
  for (const character of text) {
    const width = columnsOf(character);
    if (column + width > columns) {
      row++;
      column = 0;
    }
    column += width;
  }
  return column >= columns ? { row: row + 1, column: 0 } : { row, column };
}
