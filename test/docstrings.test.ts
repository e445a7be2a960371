/** Holds the rule that everything exported says what it is: a docstring in front of each export, or of its run of constants. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

/** What is exported where it stands; re-exports are described at home. */
const EXPORT = /^export (?!\*|\{|type \{)/;
/** A constant on one line: one docstring may head a run of them, as of an enum's. */
const CONSTANT = /^export (?:const|let) .*;( *\/\/.*)?$/;
/** What may stand between a docstring and its export. */
const DECORATION = /^(@|\/\/ biome-ignore)/;

/** Number of the line on which the comment that ends on line `end` begins. */
function commentStart(lines: readonly string[], end: number): number {
  let start = end;
  while (start > 0 && !lines[start]?.trimStart().startsWith("/**")) start--;
  return start;
}

/** Exports without a docstring, as `line: text`. The comment at the head of a file speaks of the file. */
export function undocumented(text: string): string[] {
  const lines = text.split("\n");
  const documented = new Set<number>();
  const missing: string[] = [];
  for (const [i, line] of lines.entries()) {
    if (!EXPORT.test(line)) continue;
    let above = i - 1;
    while (DECORATION.test(lines[above] ?? "")) above--;
    const before = lines[above] ?? "";
    const own = before.trimEnd().endsWith("*/") && commentStart(lines, above) > 0;
    const shared = CONSTANT.test(line) && CONSTANT.test(before) && documented.has(above);
    const overload = /^export function (\w+)/.exec(line)?.[1];
    const same = overload !== undefined && before.startsWith(`export function ${overload}(`) && documented.has(above);
    if (own || shared || same) documented.add(i);
    else missing.push(`${i + 1}: ${line}`);
  }
  return missing;
}

function sourceFiles(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(directory, name))
    .sort();
}

describe("docstrings", () => {
  it("finds an export that says nothing", () => {
    expect(undocumented("/** The file. */\nexport const A = 1;")).toEqual(["2: export const A = 1;"]);
    expect(
      undocumented("\n/** Says. */\nexport const A = 1;\nexport const B = 2; // b\n\nexport const C = 3;"),
    ).toEqual(["6: export const C = 3;"]);
    expect(undocumented("x\n/** Says. */\n@inline\nexport function f(): void {}")).toEqual([]);
    expect(undocumented("x\n/** Says. */\nexport const A = 1;\nexport function f(): void {}")).toHaveLength(1);
    expect(undocumented('import "x";\nexport { A } from "./a.ts";\nexport * from "./b.ts";')).toEqual([]);
    expect(undocumented("x\n// Says.\nexport interface I {}")).toHaveLength(1);
  });

  it.each([
    ["assembly", 100],
    ["src", 100],
    ["web", 10],
  ])("stand in front of everything that %s exports", (directory, least) => {
    const files = sourceFiles(directory);
    expect(files.length).toBeGreaterThan(least);
    const missing = files.flatMap((file) =>
      undocumented(readFileSync(join(ROOT, file), "utf8")).map((where) => `${file}:${where}`),
    );
    expect(missing).toEqual([]);
  });
});
