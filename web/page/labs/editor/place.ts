/**
 * Where in a lab file the cursor stands, found from the lines before it: the file needn't be whole, as it isn't while
 * somebody types. Block and flow collections are followed as far as lab files use them.
 */

/** A place in the file. */
export interface Place {
  /** From the top: keys, and positions in lists. */
  readonly path: readonly (string | number)[];
  /** A key is being typed, or a value; `path` then leads to the map, or to the value. */
  readonly kind: "key" | "value";
  /** What was typed of it so far. */
  readonly typed: string;
  /** Where that begins. */
  readonly from: number;
  /** Keys that the map has already, before the cursor and after it. */
  readonly present: readonly string[];
  /** Between brackets, where a comma ends a value. */
  readonly flow: boolean;
}

/** A collection that is open at some point. */
interface Level {
  /** Column of its keys or dashes; flow collections have none. */
  readonly column: number;
  readonly kind: "map" | "list" | "flow-map" | "flow-list";
  /** The last key, or the position of the last item. */
  at: string | number;
  readonly present: string[];
}

const KEY = /^("(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"'[\]{},&*!|>%@`-][^#{}[\],]*?|-[^\s#{}[\],]+?)\s*:(?=\s|$)/;

/** Follows the lines of a file. */
class Follower {
  readonly levels: Level[] = [];
  /** Lines that are indented deeper than this belong to a text (`|`, `>`). */
  #text: number | undefined;

  /** Takes a line. @returns what stands in it behind its last key or dash, and where that begins */
  line(line: string): { readonly rest: string; readonly column: number } | undefined {
    const indent = /^ */.exec(line)?.[0].length ?? 0;
    if (this.#text !== undefined && (line.trim() === "" || indent > this.#text)) return undefined;
    this.#text = undefined;
    if (this.#inFlow) return this.#flow(line, indent);
    let column = indent;
    let rest = line.slice(column);
    if (rest === "" || rest.startsWith("#")) {
      this.#close(rest === "" ? column : -1);
      return { rest, column };
    }
    this.#close(column);
    while (/^-(\s|$)/.test(rest)) {
      this.#item(column);
      const dash = /^-\s*/.exec(rest)?.[0].length ?? 1;
      column += dash;
      rest = rest.slice(dash);
    }
    return this.#pair(rest, column);
  }

  #pair(rest: string, column: number): { readonly rest: string; readonly column: number } {
    const key = KEY.exec(rest);
    if (key === null) return rest.startsWith("{") || rest.startsWith("[") ? this.#flow(rest, column) : { rest, column };
    this.#key(unquote(key[1] as string), column);
    const after = /^\s*/.exec(rest.slice(key[0].length))?.[0].length ?? 0;
    const value = rest.slice(key[0].length + after);
    const at = column + key[0].length + after;
    if (/^[|>][-+\d]*\s*(#.*)?$/.test(value)) this.#text = column;
    return value.startsWith("{") || value.startsWith("[") ? this.#flow(value, at) : { rest: value, column: at };
  }

  get #inFlow(): boolean {
    return this.levels.at(-1)?.kind.startsWith("flow") ?? false;
  }

  /** Ends the collections that stand deeper than a line's column. A list may stand where its key stands. */
  #close(column: number): void {
    while (column >= 0 && (this.levels.at(-1)?.column ?? -1) > column) this.levels.pop();
  }

  #item(column: number): void {
    const last = this.levels.at(-1);
    if (last?.kind === "list" && last.column === column) last.at = Number(last.at) + 1;
    else this.levels.push({ column, kind: "list", at: 0, present: [] });
  }

  #key(key: string, column: number): void {
    let last = this.levels.at(-1);
    // A list that stands where its key stands ends with the next key.
    while (last !== undefined && (last.column > column || (last.kind === "list" && last.column === column))) {
      this.levels.pop();
      last = this.levels.at(-1);
    }
    if (last?.kind === "map" && last.column === column) last.at = key;
    else this.levels.push({ column, kind: "map", at: key, present: [] });
    this.levels.at(-1)?.present.push(key);
  }

  /** Within brackets. @returns what is open at the end */
  #flow(text: string, start: number): { readonly rest: string; readonly column: number } {
    let from = 0;
    let quote = "";
    const key = (end: number): void => {
      const level = this.levels.at(-1);
      const name = unquote(text.slice(from, end).trim());
      if (level?.kind !== "flow-map" || name === "") return;
      level.at = name;
      level.present.push(name);
    };
    for (let i = 0; i < text.length; i++) {
      const char = text[i] as string;
      const last = this.levels.at(-1);
      if (quote !== "") {
        if (char === quote) quote = "";
      } else if ((char === '"' || char === "'") && text.slice(from, i).trim() === "") quote = char;
      else if (char === "{" || char === "[") {
        this.levels.push({
          column: -1,
          kind: char === "{" ? "flow-map" : "flow-list",
          at: char === "{" ? "" : 0,
          present: [],
        });
        from = i + 1;
      } else if (char === "}" || char === "]") {
        if (!last?.kind.startsWith("flow")) break;
        this.levels.pop();
        from = i + 1;
      } else if (char === "," && last !== undefined) {
        last.at = last.kind === "flow-list" ? Number(last.at) + 1 : "";
        from = i + 1;
      } else if (char === ":" && /^(\s|$)/.test(text.slice(i + 1)) && last?.kind === "flow-map" && last.at === "") {
        key(i);
        from = i + 1;
      }
    }
    while (from < text.length && /\s/.test(text[from] as string)) from++;
    return { rest: text.slice(from), column: start + from };
  }
}

function unquote(text: string): string {
  return /^(["']).*\1$/s.test(text) ? text.slice(1, -1) : text;
}

/** Where the cursor stands; undefined within a comment or a text of several lines. */
export function placeAt(text: string, offset: number): Place | undefined {
  const before = text.slice(0, offset).split("\n");
  const last = before.pop() ?? "";
  const follower = new Follower();
  for (const line of before) follower.line(line);
  if (/(^|\s)#/.test(last) && !/["'][^"']*#[^"']*$/.test(last)) return undefined;
  const found = follower.line(last);
  if (found === undefined) return undefined;
  const { levels } = follower;
  const { rest, column } = found;
  const from = offset - last.length + column;
  const level = levels.at(-1);
  if (level?.kind.startsWith("flow")) {
    const isKey = level.kind === "flow-map" && level.at === "";
    return placed(levels, isKey, rest, from, true, text, offset);
  }
  const isKey = startsEntry(last, column);
  if (isKey) enter(levels, column, last);
  return placed(levels, isKey, rest, from, false, text, offset);
}

/** Nothing but spaces and dashes stands before it. */
function startsEntry(line: string, column: number): boolean {
  return /^[\s-]*$/.test(line.slice(0, column));
}

/** A key that begins at a column is one of the map there, or the first of a new one below the last key. */
function enter(levels: Level[], column: number, line: string): void {
  let last = levels.at(-1);
  while (last !== undefined && last.column > column) {
    levels.pop();
    last = levels.at(-1);
  }
  if (last?.kind === "list" && last.column === column && !/^\s*-/.test(line)) levels.pop();
  last = levels.at(-1);
  if (last?.kind === "map" && last.column === column) return;
  levels.push({ column, kind: "map", at: "", present: [] });
}

function placed(
  levels: readonly Level[],
  isKey: boolean,
  typed: string,
  from: number,
  flow: boolean,
  text: string,
  offset: number,
): Place {
  const level = levels.at(-1);
  const path = (isKey ? levels.slice(0, -1) : levels).map(({ at }) => at);
  const later = isKey && level !== undefined && !flow ? laterKeys(text, offset, level.column) : [];
  return { path, kind: isKey ? "key" : "value", typed, from, present: [...(level?.present ?? []), ...later], flow };
}

/** Keys of a block map that stand below the cursor. */
function laterKeys(text: string, offset: number, column: number): string[] {
  const keys: string[] = [];
  for (const line of text.slice(offset).split("\n").slice(1)) {
    const indent = /^ */.exec(line)?.[0].length ?? 0;
    if (line.trim() === "" || indent > column) continue;
    if (indent < column) break;
    const key = KEY.exec(line.slice(indent));
    if (key === null) break;
    keys.push(unquote(key[1] as string));
  }
  return keys;
}
