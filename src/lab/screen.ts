/**
 * What a terminal shows in the end of text that moves its cursor, for wherever there is no terminal: progress displays
 * redraw their lines in place (moby pkg/jsonmessage: cursor up, cursor down, erase line).
 */

const ESC = "\u001b";
/** ECMA-48 control sequences that are obeyed, a carriage return, a newline, or text. */
const TOKEN = new RegExp(`${ESC}\\[(\\d*)([ABK])|\r|\n|[^${ESC}\r\n]+|${ESC}`, "g");
/** What moves the cursor to another line. */
const MOVES = new RegExp(`${ESC}\\[\\d*[AB]`);

/** Takes text as it comes; what can still be redrawn is kept until the end. */
export class Screen {
  /** Lines since the cursor was first moved; undefined while it never was. */
  #lines: string[] | undefined;
  #row = 0;
  #column = 0;

  /** @returns what can be printed now: all of it, until the cursor is moved */
  write(text: string): string {
    if (this.#lines === undefined) {
      if (!MOVES.test(text)) return text;
      this.#lines = [""];
    }
    for (const [token, count, code] of text.matchAll(TOKEN)) this.#apply(token, Number(count || 1), code);
    return "";
  }

  #apply(token: string, count: number, code: string | undefined): void {
    const lines = this.#lines as string[];
    if (token === "\r") this.#column = 0;
    else if (token === "\n") {
      this.#row++;
      this.#column = 0;
    } else if (code === "A") this.#row = Math.max(0, this.#row - count);
    else if (code === "B") this.#row += count;
    else if (code === "K") lines[this.#row] = "";
    else this.#put(token);
    while (lines.length <= this.#row) lines.push("");
  }

  #put(text: string): void {
    const lines = this.#lines as string[];
    const line = (lines[this.#row] as string).padEnd(this.#column);
    lines[this.#row] = line.slice(0, this.#column) + text + line.slice(this.#column + text.length);
    this.#column += text.length;
  }

  /** @returns what was kept; text is printed at once again from now on */
  end(): string {
    const text = this.#lines?.join("\n") ?? "";
    this.#lines = undefined;
    this.#row = 0;
    this.#column = 0;
    return text;
  }
}

/** The same for a text that is whole. */
export function screenText(text: string): string {
  const screen = new Screen();
  return screen.write(text) + screen.end();
}
