/**
 * Listings of the docker command (docker/cli cli/command/formatter): a table through Go's text/tabwriter, or each
 * row through a template.
 */
import { StatusError } from "../command.ts";
import { type Json, type JsonObject, text } from "./json.ts";
import { type Methods, Template, TemplateError } from "./template.ts";

/** Smallest width of a column and blanks behind it (formatter.go: tabwriter.NewWriter(out, 10, 1, 3, ' ', 0)). */
const MIN_WIDTH = 10;
const PADDING = 3;

/** Lines of cells as text/tabwriter aligns them: the last cell of a line is not padded. */
export function tabulate(lines: readonly (readonly string[])[], minWidth = MIN_WIDTH, padding = PADDING): string {
  const widths: number[] = [];
  for (const cells of lines) {
    for (const [index, cell] of cells.slice(0, -1).entries()) {
      widths[index] = Math.max(widths[index] ?? minWidth, [...cell].length + padding);
    }
  }
  const pad = (cell: string, width: number) => cell + " ".repeat(Math.max(0, width - [...cell].length));
  return lines
    .map(
      (cells) =>
        `${cells.map((cell, index) => (index === cells.length - 1 ? cell : pad(cell, widths[index] as number))).join("")}\n`,
    )
    .join("");
}

/** A listing: its columns with their headings, in the order of the default table. */
export interface Listing {
  /** Field name in templates → heading. */
  readonly headers: Readonly<Record<string, string>>;
  /** Fields of the default table. */
  readonly columns: readonly string[];
  /** Field printed by `-q`. */
  readonly quiet: string;
}

/** What a table has over a column of one label: the last part of its name (formatter/custom.go SubHeaderContext). */
function labelHeader(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1).replace(/[-_]/g, " ");
}

/**
 * Prints rows as a table, with `--format`, or only their IDs.
 * @param labels of each row, for formats that ask for one of them by name: `{{.Label "com.example"}}`
 * @throws StatusError for a bad template
 */
export function formatRows(
  listing: Listing,
  rows: readonly JsonObject[],
  format: string | undefined,
  quiet: boolean,
  labels?: readonly JsonObject[],
): string {
  if (quiet && (format === undefined || format === "table" || format === "")) {
    return rows.map((row) => `${String(row[listing.quiet])}\n`).join("");
  }
  const isTable = format === undefined || format === "" || /^table\b/.test(format);
  const custom = isTable ? (format ?? "").slice(5).trim() : (format as string);
  const source = custom === "" ? listing.columns.map((name) => `{{.${name}}}`).join("\t") : unescapeFormat(custom);
  try {
    const template = new Template(source);
    const methods = (label: (name: string) => string): Methods => (labels === undefined ? {} : { Label: label });
    const lines = rows.map((row, index) =>
      template.execute(
        row,
        methods((name) => text(labels?.[index] ?? {}, name)),
      ),
    );
    if (!isTable) return lines.map((line) => `${line}\n`).join("");
    const head = template.execute(listing.headers as JsonObject, methods(labelHeader));
    return tabulate([head, ...lines].map((line) => line.split("\t")));
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new StatusError(1, `Template parsing error: ${error.message}`);
  }
}

/** `\t` and `\n` written out in a format (formatter.go preProcess). */
function unescapeFormat(format: string): string {
  return format.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}

/** Sorts names as sortorder.NaturalLess does: runs of digits by value. */
export function naturalCompare(a: string, b: string): number {
  const parts = (name: string) => name.match(/\d+|\D+/g) ?? [];
  const [left, right] = [parts(a), parts(b)];
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const [x, y] = [left[index] as string, right[index] as string];
    const numeric = /^\d/.test(x) && /^\d/.test(y) ? Number(x) - Number(y) : 0;
    if (numeric !== 0) return numeric;
    if (x !== y) return x < y ? -1 : 1;
  }
  return left.length - right.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** The first 12 characters of an ID (stringid.TruncateID). */
export function truncateId(id: string): string {
  const bare = id.includes(":") ? id.slice(id.indexOf(":") + 1) : id;
  return bare.slice(0, 12);
}

/** At most `width` characters, the last one an ellipsis when something was cut (formatter.Ellipsis). */
export function ellipsis(value: string, width: number): string {
  const chars = [...value];
  return chars.length <= width ? value : `${chars.slice(0, width - 1).join("")}…`;
}

/** `k=v` pairs of labels, as listings show them. */
export function joinLabels(labels: Json | undefined): string {
  if (labels === null || labels === undefined || typeof labels !== "object") return "";
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .sort()
    .join(",");
}
