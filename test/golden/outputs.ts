/** What docker printed, in a form that two runs can be compared by. */

/** Random and timely text replaced by words. */
export function settled(text: string): string {
  return text
    .replace(/\r/g, "")
    .replace(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"TIME"')
    .replace(/\b[0-9a-f]{64}\b/g, "ID64")
    .replace(/SWMTKN-1-\w{50}-\w{25}/g, "TOKEN")
    .replace(/\b[0-9a-z]{25}\b/g, "ID25")
    .replace(/^[0-9a-z]{12}(?= {3})/gm, "ID12        ")
    .replace(/("Name": )"[0-9a-f]{12}"/g, '$1"NODE"')
    .replace(/(gateway_|netns\/|")[0-9a-f]{12}"/g, '$1HEX12"')
    .replace(/\+dfsg1/g, "      ");
}

/** A table's cells, without its widths. */
export function cells(text: string): string[][] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd().split(/ {2,}/));
}

/** A parsed JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Every leaf with its path, in the order printed. */
export function leaves(value: Json, path = ""): string[] {
  if (value === null || typeof value !== "object") return [`${path}: ${JSON.stringify(value)}`];
  const entries = Array.isArray(value) ? value.map((item, at) => [at, item] as const) : Object.entries(value);
  if (entries.length === 0) return [`${path}: ${Array.isArray(value) ? "[]" : "{}"}`];
  return entries.flatMap(([key, item]) => leaves(item, `${path}/${key}`));
}
