/** The line that is typed behind a prompt: what readline does on a real terminal, as far as it is needed. */

const ESC = "\u001b";
/** A cursor or editing key (ECMA-48 CSI, and SS3 as VT100 keypads send it), a newline, or a character. */
const TOKEN = new RegExp(`${ESC}\\[[0-9;]*[A-Za-z~]|${ESC}O[A-Z]|\r\n|[\\s\\S]`, "gu");

/** What a line editor does. */
export interface LineEvents {
  write(text: string): void;
  columns(): number;
  line(text: string): void;
  key(key: "interrupt" | "eof"): void;
}

/** Edits one line at a time; what comes from elsewhere is printed above it. */
export class LineEditor {
  readonly #events: LineEvents;
  /** Undefined while something runs: nothing is shown of what is typed. */
  #prompt: string | undefined;
  #text = "";
  #cursor = 0;
  /** The row of the cursor, below the prompt's. */
  #row = 0;
  readonly #history: string[] = [];
  /** Where in the history the user is; its length on the new line. */
  #at = 0;

  constructor(events: LineEvents) {
    this.#events = events;
  }

  /** Prints above the line. */
  print(text: string): void {
    if (this.#prompt === undefined) {
      this.#events.write(text);
      return;
    }
    this.#erase();
    this.#events.write(text.endsWith("\n") ? text : `${text}\n`);
    this.#draw();
  }

  /** Shows a prompt in the last line; undefined takes it away. */
  prompt(prompt: string | undefined): void {
    if (this.#prompt !== undefined) this.#erase();
    this.#prompt = prompt;
    if (prompt === undefined) return;
    this.#row = 0;
    this.#events.write("\r");
    this.#draw();
  }

  /** The terminal is empty again; what is typed so far and the history stay. */
  reset(): void {
    this.#prompt = undefined;
    this.#row = 0;
  }

  #erase(): void {
    this.#events.write(`${this.#row > 0 ? `${ESC}[${this.#row}A` : ""}\r${ESC}[J`);
    this.#row = 0;
  }

  #draw(): void {
    const columns = Math.max(1, this.#events.columns());
    const prompt = this.#prompt ?? "";
    const length = prompt.length + this.#text.length;
    const cursor = prompt.length + this.#cursor;
    this.#events.write(`${ESC}[J${prompt}${this.#text}`);
    // A full row keeps the cursor in it until more comes.
    if (length > 0 && length % columns === 0) this.#events.write("\r\n");
    this.#row = Math.floor(cursor / columns);
    const up = Math.floor(length / columns) - this.#row;
    const right = cursor % columns;
    this.#events.write(`${up > 0 ? `${ESC}[${up}A` : ""}\r${right > 0 ? `${ESC}[${right}C` : ""}`);
  }

  #change(text: string, cursor: number): void {
    if (this.#prompt !== undefined) this.#erase();
    this.#text = text;
    this.#cursor = cursor;
    if (this.#prompt !== undefined) this.#draw();
  }

  /** Takes what a terminal sends: characters, control characters and sequences, or a pasted text. */
  input(data: string): void {
    for (const token of data.match(TOKEN) ?? []) this.#token(token);
  }

  #token(token: string): void {
    const [text, at] = [this.#text, this.#cursor];
    switch (token) {
      case "\r":
      case "\n":
      case "\r\n":
        this.#enter();
        return;
      case "\u0003":
        this.#give("interrupt");
        return;
      case "\u0004":
        if (text === "") this.#give("eof");
        return;
      case "\u007f":
        if (at > 0) this.#change(text.slice(0, at - 1) + text.slice(at), at - 1);
        return;
      case `${ESC}[3~`:
        this.#change(text.slice(0, at) + text.slice(at + 1), at);
        return;
      case "\u0015":
        this.#change(text.slice(at), 0);
        return;
      case `${ESC}[D`:
        this.#change(text, Math.max(0, at - 1));
        return;
      case `${ESC}[C`:
        this.#change(text, Math.min(text.length, at + 1));
        return;
      case "\u0001":
      case `${ESC}[H`:
        this.#change(text, 0);
        return;
      case "\u0005":
      case `${ESC}[F`:
        this.#change(text, text.length);
        return;
      case `${ESC}[A`:
        this.#recall(this.#at - 1);
        return;
      case `${ESC}[B`:
        this.#recall(this.#at + 1);
        return;
      default:
        if (token >= " ") this.#change(text.slice(0, at) + token + text.slice(at), at + token.length);
    }
  }

  #recall(at: number): void {
    if (at < 0 || at > this.#history.length) return;
    this.#at = at;
    const text = this.#history[at] ?? "";
    this.#change(text, text.length);
  }

  /** The line is left as it stands, with a mark at its end, and the cursor goes below it. */
  #leave(mark = ""): string {
    const text = this.#text;
    if (this.#prompt !== undefined) this.#change(text, text.length);
    this.#events.write(this.#prompt === undefined ? mark : `${mark}\r\n`);
    this.#prompt = undefined;
    this.#text = "";
    this.#cursor = 0;
    this.#row = 0;
    return text;
  }

  #enter(): void {
    const line = this.#leave();
    if (line.trim() !== "" && line !== this.#history.at(-1)) this.#history.push(line);
    this.#at = this.#history.length;
    this.#events.line(line);
  }

  #give(key: "interrupt" | "eof"): void {
    if (key === "interrupt") this.#leave("^C");
    this.#events.key(key);
  }
}
