/** The line behind a prompt, against a small terminal. */
import { describe, expect, it } from "vitest";
import type { Completion } from "../../../src/shell/completion/complete.ts";
import { characters, columnsOf } from "../../../web/page/terminals/cells.ts";
import { LineEditor } from "../../../web/page/terminals/line-editor.ts";

const ESC = "\u001b";
const TOKEN = new RegExp(`${ESC}\\[(\\d*)([A-Z])|[\\s\\S]`, "gu");

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

  /** A wide character is followed by a cell with nothing in it. */
  #put(character: string): void {
    const width = columnsOf(character);
    if (this.column + width > this.columns) this.#down();
    const cells = characters(this.rows[this.row] as string).flatMap((one) =>
      columnsOf(one) === 2 ? [one, ""] : [one],
    );
    while (cells.length < this.column) cells.push(" ");
    cells.splice(this.column, width, character, ...(width === 2 ? [""] : []));
    this.rows[this.row] = cells.join("");
    this.column += width;
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const NOTHING: Completion = { candidates: [], word: "" };

function edited(columns = 40, complete: (text: string) => Completion = () => NOTHING) {
  const glass = new Glass(columns);
  const said: string[] = [];
  const editor = new LineEditor({
    write: (text) => glass.write(text),
    columns: () => columns,
    line: (text) => said.push(text),
    key: (key) => said.push(`<${key}>`),
    complete: async (text) => complete(text),
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

  it.each<[string, string, string]>([
    ["Ctrl-A, Ctrl-K, Ctrl-Y", "one two\u0001\u000b\u0019\u0019", "one twoone two"],
    ["Ctrl-B, Ctrl-F, Ctrl-E", "abc\u0002\u0002X\u0006Y\u0005Z", "aXbYcZ"],
    ["Ctrl-U takes what stands before", "one two\u0002\u0002\u0002\u0015", "two"],
    ["Ctrl-W takes up to a blank", "cat /etc/hosts\u0017x", "cat x"],
    ["Alt-Backspace takes a word", "cat /etc/hosts\u001b\u007fx", "cat /etc/x"],
    ["Alt-B and Alt-D", "one two three\u001bb\u001bb\u001bd2", "one 2 three"],
    ["Ctrl-left and Ctrl-right", "one two\u001b[1;5D\u001b[1;5D\u001b[1;5C,", "one, two"],
    ["Alt-F", "one two\u0001\u001bf,", "one, two"],
    ["Ctrl-D deletes", "abc\u0001\u0004", "bc"],
    ["Ctrl-T", "ifocnfig\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u0014", "ifconfig"],
    ["Home and End", "b\u001bOHa\u001b[4~c", "abc"],
    ["Delete at the end, Backspace at the begin", "a\u001b[3~\u0001\u007f", "a"],
  ])("%s", (_name, keys, expected) => {
    const { glass, editor, said } = edited();
    editor.prompt("$ ");
    editor.input(keys);
    expect(glass.rows).toEqual([`$ ${expected}`]);
    editor.input("\r");
    expect(said).toEqual([expected]);
  });

  it("searches the history with Ctrl-R, gives up with Ctrl-G, goes on from a line with an arrow", () => {
    const { glass, editor, said } = edited(60);
    for (const line of ["docker ps", "ip link", "docker network ls", "ls"]) {
      editor.prompt("$ ");
      editor.input(`${line}\r`);
    }
    editor.prompt("$ ");
    editor.input("draft\u0012dock");
    expect(glass.rows.at(-1)).toBe("(reverse-i-search)`dock': docker network ls");
    editor.input("\u0012");
    expect(glass.rows.at(-1)).toBe("(reverse-i-search)`dock': docker ps");
    editor.input("\u0007");
    expect(glass.rows.at(-1)).toBe("$ draft");
    editor.input("\u0012link\u001b[A");
    expect(glass.rows.at(-1)).toBe("$ docker ps");
    editor.input("\u0015\u0012network\r");
    expect(said.at(-1)).toBe("docker network ls");
  });

  it("keeps a line that was begun while others are looked at; keeps no line twice, and none with a blank in front", () => {
    const { glass, editor } = edited();
    for (const line of ["one", "one", " secret", "two words"]) {
      editor.prompt("$ ");
      editor.input(`${line}\r`);
    }
    editor.prompt("$ ");
    editor.input("begun\u0010\u0010\u0010");
    expect(glass.rows.at(-1)).toBe("$ one");
    editor.input("\u000e\u000e");
    expect(glass.rows.at(-1)).toBe("$ begun");
    editor.input("\u0015x \u001b.");
    expect(glass.rows.at(-1)).toBe("$ x words");
    editor.input("\u001b.");
    expect(glass.rows.at(-1)).toBe("$ x one");
  });

  it("counts wide characters as two columns, also where one of them begins a row", () => {
    const { glass, editor, said } = edited(8);
    editor.prompt("$ ");
    editor.input("网络x桥接");
    expect(glass.rows).toEqual(["$ 网络x", "桥接"]);
    expect([glass.row, glass.column]).toEqual([1, 4]);
    editor.input("\u0002\u0002\u0002\u007f");
    expect(glass.rows).toEqual(["$ 网x桥", "接"]);
    expect([glass.row, glass.column]).toEqual([0, 4]);
    editor.input("\r");
    expect(said).toEqual(["网x桥接"]);
  });

  it("completes what is typed ahead as soon as there is a prompt", async () => {
    const { glass, editor, said } = edited(40, () => ({ candidates: ["hostname "], word: "hostn" }));
    expect(editor.empty).toBe(true);
    editor.input("cat hostn");
    expect(editor.empty).toBe(false);
    editor.input("\t\r");
    await settled();
    expect(said).toEqual([]);
    editor.prompt("$ ");
    await settled();
    expect(said).toEqual(["cat hostname "]);
    expect(glass.rows[0]).toMatch(/^\$ cat hostname/);
    // What runs is interrupted at once, whatever waits for its end.
    editor.input("ls\tx\u0003");
    expect(said).toEqual(["cat hostname ", "<interrupt>"]);
  });

  it("completes: the only offer, what all have in common, then a list of them", async () => {
    const offers: Record<string, Completion> = {
      "docker net": { candidates: ["network "], word: "net" },
      "docker s": { candidates: ["start ", "stats ", "stop "], word: "s" },
      "docker st": { candidates: ["start ", "stats ", "stop "], word: "st" },
    };
    const { glass, editor } = edited(40, (text) => offers[text] ?? NOTHING);
    editor.prompt("$ ");
    editor.input("docker net\t");
    await settled();
    expect(glass.rows).toEqual(["$ docker network "]);
    editor.input("\u0015docker s\t");
    await settled();
    expect(glass.rows).toEqual(["$ docker st"]);
    editor.input("\t");
    await settled();
    expect(glass.rows).toEqual(["start  stats  stop", "$ docker st"]);
    editor.input("x\t");
    editor.input("y");
    await settled();
    expect(glass.rows.at(-1)).toBe("$ docker stxy");
  });
});
