/** The line behind a prompt, against a small terminal. */
import { describe, expect, it } from "vitest";
import { LineEditor } from "../../../web/page/terminals/line-editor.ts";

const ESC = "\u001b";
const TOKEN = new RegExp(`${ESC}\\[(\\d*)([A-Z])|[\\s\\S]`, "g");

/** What a terminal of some columns shows: carriage return, newline, cursor up and right, erase below. */
class Glass {
  readonly rows: string[] = [""];
  row = 0;
  column = 0;
  readonly columns: number;

  constructor(columns: number) {
    this.columns = columns;
  }

  write(text: string): void {
    for (const [token, count, code] of text.matchAll(TOKEN)) {
      const n = Number(count || 1);
      if (code === "A") this.row -= n;
      else if (code === "C") this.column += n;
      else if (code === "J") {
        this.rows.length = this.row + 1;
        this.rows[this.row] = (this.rows[this.row] ?? "").slice(0, this.column);
      } else if (token === "\r") this.column = 0;
      else if (token === "\n") this.#down();
      else this.#put(token);
    }
  }

  #down(): void {
    this.row++;
    this.column = 0;
    if (this.rows.length <= this.row) this.rows.push("");
  }

  #put(character: string): void {
    if (this.column === this.columns) this.#down();
    const line = (this.rows[this.row] as string).padEnd(this.column);
    this.rows[this.row] = line.slice(0, this.column) + character + line.slice(this.column + 1);
    this.column++;
  }
}

function edited(columns = 40): { glass: Glass; editor: LineEditor; said: string[] } {
  const glass = new Glass(columns);
  const said: string[] = [];
  const editor = new LineEditor({
    write: (text) => glass.write(text),
    columns: () => columns,
    line: (text) => said.push(text),
    key: (key) => said.push(`<${key}>`),
  });
  return { glass, editor, said };
}

describe("the line editor", () => {
  it("inserts, deletes, moves and gives the line", () => {
    const { glass, editor, said } = edited();
    editor.prompt("h$ ");
    editor.input("pong\u001b[D\u001b[D\u001b[D\u007f");
    editor.input("P\u001b[3~i");
    expect(glass.rows).toEqual(["h$ Ping"]);
    expect([glass.row, glass.column]).toEqual([0, 5]);
    editor.input("\r");
    expect(said).toEqual(["Ping"]);
    expect(glass.rows).toEqual(["h$ Ping", ""]);
  });

  it("recalls earlier lines, and leaves a line at Ctrl-C", () => {
    const { glass, editor, said } = edited();
    for (const line of ["one", "two"]) {
      editor.prompt("$ ");
      editor.input(`${line}\r`);
    }
    editor.prompt("$ ");
    editor.input("\u001b[A\u001b[A");
    expect(glass.rows.at(-1)).toBe("$ one");
    editor.input("\u001b[B\u001b[B");
    expect(glass.rows.at(-1)).toBe("$ ");
    editor.input("x\u0003");
    expect(glass.rows.at(-2)).toBe("$ x^C");
    editor.prompt("$ ");
    editor.input("\u0004");
    expect(said).toEqual(["one", "two", "<interrupt>", "<eof>"]);
  });

  it("prints what comes above the line, also where that takes several rows", () => {
    const { glass, editor } = edited(10);
    editor.prompt("$ ");
    editor.input("abcdefghijklm");
    expect(glass.rows).toEqual(["$ abcdefgh", "ijklm"]);
    editor.print("late\n");
    expect(glass.rows).toEqual(["late", "$ abcdefgh", "ijklm"]);
    editor.input("\u0001X");
    expect(glass.rows).toEqual(["late", "$ Xabcdefg", "hijklm"]);
    expect([glass.row, glass.column]).toEqual([1, 3]);
    editor.prompt(undefined);
    expect(glass.rows).toEqual(["late", ""]);
  });
});
