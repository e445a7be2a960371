/** The line that is typed behind a prompt: what readline does on a real terminal, as far as people use it daily. */
import type { Completion } from "../../../src/shell/completion/complete.ts";
import { characters, placeBehind } from "./cells.ts";
import { EditLine, NOT_BLANK } from "./edit-line.ts";
import { History } from "./history.ts";
import { extended, listing } from "./offers.ts";

const ESC = "\u001b";
/** A cursor or editing key (ECMA-48 CSI, and SS3 as VT100 keypads send it), Alt with a key, a newline, or a character. */
const TOKEN = new RegExp(`${ESC}\\[[0-9;]*[A-Za-z~]|${ESC}O[A-Z]|${ESC}[a-zA-Z.\u007f]|\r\n|[\\s\\S]`, "gu");

/** What a line editor does. */
export interface LineEvents {
  write(text: string): void;
  columns(): number;
  /** @param shown it stands behind a prompt; else nobody has seen it yet */
  line(text: string, shown: boolean): void;
  key(key: "interrupt" | "eof"): void;
  /** What fits behind a text; never rejects. */
  complete(text: string): Promise<Completion>;
}

/** What is looked for in the history, and where it was found. */
interface Search {
  text: string;
  /** Place in the history; its length while nothing was found. */
  at: number;
  /** The line before the search. */
  readonly before: string;
}

/** Edits one line at a time; what comes from elsewhere is printed above it. */
export class LineEditor {
  readonly #events: LineEvents;
  readonly #line = new EditLine();
  readonly #history: History;
  /** Undefined while something runs: nothing is shown of what is typed. */
  #prompt: string | undefined;
  /** The row of the cursor, below the prompt's. */
  #row = 0;
  #search: Search | undefined;
  /** The token before this one. */
  #last = "";
  /** Keys that wait for what Tab offers; undefined while nobody asks. */
  #waiting: string[] | undefined;
  /** Tab was pressed while something ran: it is for the next prompt. */
  #early = false;
  /** How often Alt-. was pressed in a row, and what it has put there. */
  #lastWord = { count: 0, length: 0 };
  readonly #keys: Readonly<Record<string, () => void>>;

  /** @param history what was typed there before */
  constructor(events: LineEvents, history = new History()) {
    this.#events = events;
    this.#history = history;
    this.#keys = this.#bindings();
  }

  /** Nothing is typed: Tab isn't for the line. */
  get empty(): boolean {
    return this.#line.text === "";
  }

  /** Prints above the line. */
  print(text: string): void {
    if (text === "") return;
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
    this.#search = undefined;
    if (prompt === undefined) return;
    this.#row = 0;
    this.#events.write("\r");
    this.#draw();
    if (this.#early) this.#complete();
  }

  /** Takes what a terminal sends: characters, control characters and sequences, or a pasted text. */
  input(data: string): void {
    for (const token of data.match(TOKEN) ?? []) {
      // Ctrl-C is for what runs: nothing that was typed ahead holds it up.
      if (this.#early && token === "\u0003") {
        this.#early = false;
        this.#waiting = undefined;
      }
      if (this.#waiting !== undefined) {
        this.#waiting.push(token);
        continue;
      }
      if (this.#search === undefined || !this.#searching(this.#search, token)) this.#token(token);
      this.#last = token;
    }
  }

  /** The terminal is empty again; what is typed so far and the history stay. */
  reset(): void {
    this.#prompt = undefined;
    this.#row = 0;
  }

  // ------------------------------------------------------------------------------------------ the screen

  #erase(): void {
    this.#events.write(`${this.#row > 0 ? `${ESC}[${this.#row}A` : ""}\r${ESC}[J`);
    this.#row = 0;
  }

  #draw(): void {
    const columns = Math.max(2, this.#events.columns());
    const search = this.#search;
    const prompt = search === undefined ? (this.#prompt ?? "") : `(reverse-i-search)\`${search.text}': `;
    const shown = characters(prompt);
    const { characters: text, cursor } = this.#line;
    const end = placeBehind([...shown, ...text], columns);
    const place = placeBehind([...shown, ...text.slice(0, cursor)], columns);
    this.#events.write(`${ESC}[J${prompt}${text.join("")}`);
    // A full row keeps the cursor in it until more comes.
    if (end.row > 0 && end.column === 0) this.#events.write("\r\n");
    const up = end.row - place.row;
    this.#row = place.row;
    this.#events.write(`${up > 0 ? `${ESC}[${up}A` : ""}\r${place.column > 0 ? `${ESC}[${place.column}C` : ""}`);
  }

  /** Changes the line, and what is seen of it. */
  #change(action: (line: EditLine) => void): void {
    if (this.#prompt !== undefined) this.#erase();
    action(this.#line);
    if (this.#prompt !== undefined) this.#draw();
  }

  /** The line is left as it stands, with a mark at its end, and the cursor goes below it. */
  #leave(mark = ""): string {
    const { text } = this.#line;
    if (this.#prompt !== undefined) this.#change((line) => line.moveTo(Infinity));
    this.#events.write(this.#prompt === undefined ? mark : `${mark}\r\n`);
    this.#prompt = undefined;
    this.#line.set("");
    this.#row = 0;
    return text;
  }

  // ------------------------------------------------------------------------------------------ keys

  #token(token: string): void {
    if (token !== `${ESC}.`) this.#lastWord = { count: 0, length: 0 };
    const action = this.#keys[token];
    if (action !== undefined) action();
    else if (token >= " ") this.#change((line) => line.insert(token));
  }

  #bindings(): Readonly<Record<string, () => void>> {
    const changes: readonly (readonly [keys: readonly string[], (line: EditLine) => void])[] = [
      [["\u007f", "\b"], (line) => line.deleteTo(line.cursor - 1)],
      [[`${ESC}[3~`], (line) => line.deleteTo(line.cursor + 1)],
      [["\u0002", `${ESC}[D`, `${ESC}OD`], (line) => line.moveBy(-1)],
      [["\u0006", `${ESC}[C`, `${ESC}OC`], (line) => line.moveBy(1)],
      [["\u0001", `${ESC}[H`, `${ESC}OH`, `${ESC}[1~`], (line) => line.moveTo(0)],
      [["\u0005", `${ESC}[F`, `${ESC}OF`, `${ESC}[4~`], (line) => line.moveTo(Infinity)],
      [[`${ESC}b`, `${ESC}[1;5D`, `${ESC}[1;3D`], (line) => line.moveTo(line.wordStart())],
      [[`${ESC}f`, `${ESC}[1;5C`, `${ESC}[1;3C`], (line) => line.moveTo(line.wordEnd())],
      [["\u000b"], (line) => line.killTo(Infinity)],
      [["\u0015"], (line) => line.killTo(0)],
      [["\u0017"], (line) => line.killTo(line.wordStart(NOT_BLANK))],
      [[`${ESC}\u007f`], (line) => line.killTo(line.wordStart())],
      [[`${ESC}d`], (line) => line.killTo(line.wordEnd())],
      [["\u0019"], (line) => line.yank()],
      [["\u0014"], (line) => line.transpose()],
    ];
    const all = changes.flatMap(([keys, action]) => keys.map((key) => [key, () => this.#change(action)] as const));
    const recall = (by: number) => () => this.#recall(by);
    const enter = () => this.#enter();
    return {
      ...Object.fromEntries(all),
      "\r": enter,
      "\n": enter,
      "\r\n": enter,
      "\t": () => this.#complete(),
      "\u0003": () => this.#give("interrupt"),
      "\u0004": () => this.#endOfInput(),
      "\u000c": () => this.#clear(),
      "\u0012": () => this.#searchHistory(),
      [`${ESC}.`]: () => this.#insertLastWord(),
      "\u0010": recall(-1),
      [`${ESC}[A`]: recall(-1),
      [`${ESC}OA`]: recall(-1),
      "\u000e": recall(1),
      [`${ESC}[B`]: recall(1),
      [`${ESC}OB`]: recall(1),
    };
  }

  #enter(): void {
    const shown = this.#prompt !== undefined;
    const line = this.#leave();
    this.#history.add(line);
    this.#events.line(line, shown);
  }

  #give(key: "interrupt" | "eof"): void {
    if (key === "interrupt") this.#leave("^C");
    this.#events.key(key);
  }

  #endOfInput(): void {
    if (this.#line.text === "") this.#give("eof");
    else this.#change((line) => line.deleteTo(line.cursor + 1));
  }

  #clear(): void {
    if (this.#prompt === undefined) return;
    this.#events.write(`${ESC}[2J${ESC}[H`);
    this.#draw();
  }

  #recall(by: number): void {
    const text = this.#history.move(by, this.#line.text);
    if (text !== undefined) this.#change((line) => line.set(text));
  }

  /** Alt-.: the last word of the line before; pressed again, of the one before that. */
  #insertLastWord(): void {
    const count = this.#lastWord.count + 1;
    const word = this.#history.lastWord(count);
    if (word === undefined) return;
    this.#change((line) => {
      line.deleteTo(line.cursor - this.#lastWord.length);
      line.insert(word);
    });
    this.#lastWord = { count, length: characters(word).length };
  }

  // ------------------------------------------------------------------------------------------ Ctrl-R

  #searchHistory(): void {
    if (this.#prompt === undefined) return;
    const before = this.#line.text;
    this.#change(() => {
      this.#search = { text: "", at: this.#history.lines.length, before };
    });
  }

  /** @returns whether the key was the search's; every other one ends it first */
  #searching(search: Search, token: string): boolean {
    const find = (text: string, before: number): void => {
      const at = this.#history.find(text, before);
      this.#change((line) => {
        search.text = text;
        if (at < 0) return;
        search.at = at;
        line.set(this.#history.lines[at] ?? "");
      });
    };
    if (token === "\u0012") find(search.text, search.at);
    else if (token === "\u007f" || token === "\b") find(search.text.slice(0, -1), this.#history.lines.length);
    else if (token === "\u0007" || token === "\u0003") {
      this.#endSearch();
      this.#change((line) => line.set(search.before));
    } else if (token >= " " && !token.startsWith(ESC)) find(search.text + token, this.#history.lines.length);
    else {
      this.#history.goTo(search.at);
      this.#endSearch();
      return false;
    }
    return true;
  }

  #endSearch(): void {
    this.#change(() => {
      this.#search = undefined;
    });
  }

  // ------------------------------------------------------------------------------------------ Tab

  /** What is typed before the answer comes waits for it. */
  #complete(): void {
    const again = this.#last === "\t";
    const { before } = this.#line;
    this.#waiting ??= [];
    this.#early = this.#prompt === undefined;
    if (this.#early) return;
    void this.#events.complete(before).then((completion) => {
      this.#offer(completion, again);
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      this.input(waiting.join(""));
    });
  }

  /** @param list all of them, where nothing more can be said */
  #offer(completion: Completion, list: boolean): void {
    const { candidates, word } = completion;
    const more = extended(completion);
    if (more !== "") this.#change((line) => line.insert(more));
    else if (candidates.length > 1 && list && this.#prompt !== undefined)
      this.print(listing(candidates, word, this.#events.columns()));
  }
}
