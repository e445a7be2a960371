/** A line that is edited, with what readline(3) does to it: words, kills and yanks. Nothing of the screen. */
import { characters } from "./cells.ts";

/** A text and the cursor in it. */
export class EditLine {
  #text: string[] = [];
  #cursor = 0;
  /** What was killed last. */
  #killed: string[] = [];

  /** What a user sees as characters. */
  get characters(): readonly string[] {
    return this.#text;
  }

  get text(): string {
    return this.#text.join("");
  }

  /** In characters. */
  get cursor(): number {
    return this.#cursor;
  }

  /** The text up to the cursor. */
  get before(): string {
    return this.#text.slice(0, this.#cursor).join("");
  }

  /** Another text, with the cursor behind it. */
  set(text: string): void {
    this.#text = characters(text);
    this.#cursor = this.#text.length;
  }

  insert(text: string): void {
    const added = characters(text);
    this.#text = [...this.#text.slice(0, this.#cursor), ...added, ...this.#text.slice(this.#cursor)];
    this.#cursor += added.length;
  }

  /** Moves the cursor, no further than the ends. */
  moveTo(cursor: number): void {
    this.#cursor = Math.max(0, Math.min(this.#text.length, cursor));
  }

  moveBy(count: number): void {
    this.moveTo(this.#cursor + count);
  }

  /** Takes away what stands between the cursor and another place. */
  deleteTo(place: number): string {
    const other = Math.max(0, Math.min(this.#text.length, place));
    const [from, to] = [Math.min(other, this.#cursor), Math.max(other, this.#cursor)];
    const gone = this.#text.slice(from, to);
    this.#text = [...this.#text.slice(0, from), ...this.#text.slice(to)];
    this.#cursor = from;
    return gone.join("");
  }

  /** The same, kept for yank(). */
  killTo(place: number): void {
    const gone = this.deleteTo(place);
    if (gone !== "") this.#killed = characters(gone);
  }

  /** Puts back what was killed last. */
  yank(): void {
    this.insert(this.#killed.join(""));
  }

  /** Changes places: the character at the cursor goes before the one before it. */
  transpose(): void {
    const at = Math.min(this.#cursor, this.#text.length - 1);
    if (at < 1) return;
    const [left, right] = [this.#text[at - 1] as string, this.#text[at] as string];
    this.#text.splice(at - 1, 2, right, left);
    this.#cursor = at + 1;
  }

  /** Where the word before the cursor begins. @param isWord letters and digits by default; Ctrl-W takes all but blanks */
  wordStart(isWord = ALPHANUMERIC): number {
    let at = this.#cursor;
    while (at > 0 && !isWord.test(this.#text[at - 1] as string)) at--;
    while (at > 0 && isWord.test(this.#text[at - 1] as string)) at--;
    return at;
  }

  /** Where the word at the cursor, or the next one, ends. */
  wordEnd(): number {
    let at = this.#cursor;
    while (at < this.#text.length && !ALPHANUMERIC.test(this.#text[at] as string)) at++;
    while (at < this.#text.length && ALPHANUMERIC.test(this.#text[at] as string)) at++;
    return at;
  }
}

const ALPHANUMERIC = /^[\p{L}\p{N}]/u;
/** Words as Ctrl-W sees them. */
export const NOT_BLANK = /^\S/;
