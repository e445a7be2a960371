/** Lines typed before, as bash keeps them with HISTCONTROL=ignoreboth: no blanks in front, none twice in a row. */

/** Lines that are kept. */
const MOST = 1000;

/** What was typed on a terminal, and where in it the user is. */
export class History {
  readonly #lines: string[] = [];
  /** The length of the lines on the new one. */
  #at = 0;
  /** The new line as it was left. */
  #draft = "";

  /** Oldest first. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  add(line: string): void {
    if (line.trim() !== "" && !line.startsWith(" ") && line !== this.#lines.at(-1)) this.#lines.push(line);
    if (this.#lines.length > MOST) this.#lines.shift();
    this.#at = this.#lines.length;
    this.#draft = "";
  }

  /** Goes to an older line (-1) or a newer one (1). @param now the line as it stands. @returns undefined at an end */
  move(by: number, now: string): string | undefined {
    const to = this.#at + by;
    if (to < 0 || to > this.#lines.length) return undefined;
    if (this.#at === this.#lines.length) this.#draft = now;
    this.#at = to;
    return this.#lines[to] ?? this.#draft;
  }

  /** The newest line before a place that contains a text. @returns its place; -1 when there is none */
  find(text: string, before = this.#lines.length): number {
    for (let at = before - 1; at >= 0; at--) if (this.#lines[at]?.includes(text) === true) return at;
    return -1;
  }

  /** The user is at a line now. */
  goTo(at: number): void {
    this.#at = at;
  }

  /** The last word of the n-th line from the end, counted from 1. */
  lastWord(n: number): string | undefined {
    return this.#lines.at(-n)?.trimEnd().split(/\s+/).at(-1);
  }
}
