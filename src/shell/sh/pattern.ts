/** Patterns of the shell: `case`, `${x#…}` and file names (POSIX.1-2017 Shell Command Language §2.13, fnmatch(3)). */

/** Unquoted characters that make a word a pattern. */
const SPECIAL = /[*?[]/;

/** Whether a pattern, in which quoted characters stand behind a backslash, can match anything but itself. */
export function isPattern(pattern: string): boolean {
  return SPECIAL.test(pattern.replace(/\\[\s\S]/g, ""));
}

/** Takes the meaning of a pattern's characters away. */
export function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]!^-]/g, "\\$&");
}

const CLASSES: Readonly<Record<string, string>> = {
  alpha: "A-Za-z",
  digit: "0-9",
  alnum: "A-Za-z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: "\\s",
  blank: " \\t",
  punct: "!-\\/:-@\\[-`{-~",
  xdigit: "0-9A-Fa-f",
  print: " -~",
  graph: "!-~",
  cntrl: "\\x00-\\x1f\\x7f",
};

/** The inside of a bracket expression as a regular expression's. */
export function bracketClasses(inside: string): string {
  return inside.replace(/\[:([a-z]+):\]/g, (all, name: string) => CLASSES[name] ?? all);
}

/** The source of a regular expression that matches what the pattern matches. @param greedy `*` takes as much as it can */
export function patternSource(pattern: string, greedy = true): string {
  let out = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === "\\" && at + 1 < pattern.length) out += quote(pattern[++at] as string);
    else if (char === "*") out += greedy ? "[\\s\\S]*" : "[\\s\\S]*?";
    else if (char === "?") out += "[\\s\\S]";
    else if (char === "[") {
      const match = /^\[([!^]?)(\]?(?:\[:[a-z]+:\]|\\[\s\S]|[^\]\\])*)\]/.exec(pattern.slice(at));
      if (match === null || match[2] === "") out += "\\[";
      else {
        const inside = (match[2] as string)
          .replace(/^\]/, "\\]")
          .replace(/(\[:[a-z]+:\])|\[/g, (_, cls?: string) => cls ?? "\\[");
        out += `[${match[1] === "" ? "" : "^"}${bracketClasses(inside)}]`;
        at += match[0].length - 1;
      }
    } else out += quote(char);
  }
  return out;
}

function quote(char: string): string {
  return char.replace(/[.*+?^${}()|[\]\\/-]/, "\\$&");
}

/** The whole text matches a shell pattern. */
export function matchesPattern(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${patternSource(pattern)})$`).test(text);
}

/** What `list` gives for a directory: its names. */
export type ListDirectory = (path: string) => readonly string[] | undefined;

/** Paths that a pattern matches, sorted; none when nothing does. A name that begins with a dot wants one in the pattern. */
export function expandPath(pattern: string, cwd: string, list: ListDirectory): string[] {
  const absolute = pattern.startsWith("/");
  let found: { readonly shown: string; readonly path: string }[] = [
    { shown: absolute ? "/" : "", path: absolute ? "/" : cwd },
  ];
  const steps = pattern.split("/").filter((step, at) => step !== "" || at > 0);
  for (const [index, step] of steps.entries()) {
    const last = index === steps.length - 1;
    const next: { shown: string; path: string }[] = [];
    for (const { shown, path } of found) {
      const names = isPattern(step) ? (list(path) ?? []) : [step.replace(/\\([\s\S])/g, "$1")];
      for (const name of names) {
        if (isPattern(step) && (!matchesPattern(step, name) || (name.startsWith(".") && !step.startsWith("."))))
          continue;
        const full = `${path === "/" ? "" : path}/${name}`;
        if (!last && list(full) === undefined && name !== "." && name !== "..") continue;
        if (last && !isPattern(step) && name !== "" && !(list(path) ?? []).includes(name)) continue;
        next.push({ shown: `${shown}${name}${last ? "" : "/"}`, path: full });
      }
    }
    found = next;
  }
  return found.map(({ shown }) => shown).sort();
}

/** `${x#pattern}` and its kin: the value without what the pattern matches at its beginning or end. */
export function trimPattern(value: string, operator: "#" | "##" | "%" | "%%", pattern: string): string {
  const lengths = Array.from({ length: value.length + 1 }, (_, length) => length);
  if (operator.length === 2) lengths.reverse();
  const front = operator.startsWith("#");
  for (const length of lengths) {
    const piece = front ? value.slice(0, length) : value.slice(value.length - length);
    if (matchesPattern(pattern, piece)) return front ? value.slice(length) : value.slice(0, value.length - length);
  }
  return value;
}
