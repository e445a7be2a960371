/** Lab files: finding them, by path or by name in the gallery, and the commands `labs`, `check` and `schema`. */
import { readdirSync, readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { parseLab } from "../lab/parse.ts";
import type { LabPlan } from "../lab/plan.ts";
import { editorSchema } from "../lab/schema.ts";
import type { Settings } from "../lab/settings.ts";
import { type FlagTable, HELP_FLAG, type ParsedArgs, parseArgs, splitOnce } from "./args.ts";

/** The gallery stands in the source tree, beside dist. */
const GALLERIES = ["../lab/gallery/", "../../../src/lab/gallery/"].map((place) => new URL(place, import.meta.url));

function read(path: string | URL): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "EISDIR") throw new UserError(`${path}: a directory, not a lab file`);
    throw new UserError(`${path}: ${message}`);
  }
}

/** Names of the labs that come with swarmwire. */
export function galleryNames(): string[] {
  for (const gallery of GALLERIES) {
    try {
      const names = readdirSync(gallery, { recursive: true }) as string[];
      return names
        .filter((name) => name.endsWith(".yaml"))
        .map((name) => name.replace(/\.yaml$/, ""))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return [];
}

/**
 * A lab's text, and the name that its errors carry. @throws UserError when there is none
 * @returns shipped: it is the one of that name that comes with swarmwire
 */
export function readLab(name: string): { readonly file: string; readonly text: string; readonly shipped: boolean } {
  const text = read(name);
  if (text !== undefined) return { file: name, text, shipped: false };
  for (const gallery of GALLERIES) {
    const found = /^[\w/-]+$/.test(name) ? read(new URL(`${name}.yaml`, gallery)) : undefined;
    if (found !== undefined) return { file: `${name}.yaml`, text: found, shipped: true };
  }
  throw new UserError(`${name}: no such file, and no lab of that name (swarmwire labs has a list)`);
}

/** @throws UserError when there is none, or it is wrong */
export function loadLab(name: string, settings: Settings = {}): LabPlan {
  const { file, text } = readLab(name);
  return parseLab(file, text, settings);
}

/** The flag whose values settingsFlag reads. */
export const SET_FLAG = {
  value: "KEY=VALUE",
  repeat: true,
  help: "a parameter of the lab, or a field like network.loss; may be repeated",
} as const;

/** What `--set` says. @throws UserError */
export function settingsFlag(command: string, args: ParsedArgs): Readonly<Record<string, string>> {
  const settings = new Map<string, string>();
  for (const text of args.all("set")) {
    const [key, value] = splitOnce(text);
    if (value === undefined) throw new UserError(`swarmwire ${command}: --set ${text}: expected KEY=VALUE`);
    if (settings.has(key)) throw new UserError(`swarmwire ${command}: --set ${key} was given twice`);
    settings.set(key, value);
  }
  return Object.fromEntries(settings);
}

const FLAGS: FlagTable = { help: HELP_FLAG };

function wantsHelp(command: string, argv: readonly string[], usage: string, text: string): boolean {
  const args = parseArgs(command, argv, FLAGS);
  if (args.has("help")) process.stdout.write(`Usage: swarmwire ${usage}\n\n${text}\n`);
  const [extra] = args.positional;
  if (extra !== undefined && !usage.includes("LAB")) throw new UserError(`swarmwire ${command}: unexpected ${extra}`);
  return args.has("help");
}

/** `swarmwire labs`. @returns the exit status */
export function labsCommand(argv: readonly string[]): number {
  if (wantsHelp("labs", argv, "labs", "Lists the labs that come with swarmwire: swarmwire run NAME runs one."))
    return 0;
  const names = galleryNames();
  const width = Math.max(0, ...names.map((name) => name.length)) + 3;
  for (const name of names) process.stdout.write(`${name.padEnd(width)}${loadLab(name).description}\n`);
  return 0;
}

/** `swarmwire check LAB...`: says of each what is wrong with it. @returns the exit status */
export function checkCommand(argv: readonly string[]): number {
  const text = "Reads lab files and says what is wrong with them: file, line, column, field and what was expected.";
  if (wantsHelp("check", argv, "check LAB...", text)) return 0;
  const names = parseArgs("check", argv, FLAGS).positional;
  if (names.length === 0) throw new UserError("swarmwire check: which lab?");
  let status = 0;
  for (const name of names) {
    try {
      const { hosts, steps } = loadLab(name);
      process.stdout.write(`${name}: ok, ${hosts.length} hosts, ${steps.length} steps\n`);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      process.stderr.write(`${error.message}\n`);
      status = 2;
    }
  }
  return status;
}

/** `swarmwire schema`. @returns the exit status */
export function schemaCommand(argv: readonly string[]): number {
  if (wantsHelp("schema", argv, "schema", "Prints the JSON Schema of lab files, for editors.")) return 0;
  process.stdout.write(`${JSON.stringify(editorSchema(), null, 2)}\n`);
  return 0;
}
