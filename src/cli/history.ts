/** The lines typed in `swarmwire shell`, kept from one day to the next as the XDG base directories say. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Lines that are kept. */
export const HISTORY_SIZE = 1000;

function historyFile(): string {
  const state = process.env["XDG_STATE_HOME"];
  return join(state === undefined || state === "" ? join(homedir(), ".local/state") : state, "swarmwire/history");
}

/** Newest first, as readline wants them; nothing where there is no file yet, or it can't be read. */
export function readHistory(): string[] {
  try {
    const lines = readFileSync(historyFile(), "utf8").split("\n");
    return lines.filter((line) => line !== "").reverse();
  } catch {
    return [];
  }
}

/** @param lines newest first. Where it can't be written, nothing is kept: that is no reason to disturb anybody */
export function writeHistory(lines: readonly string[]): void {
  const file = historyFile();
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${lines.slice(0, HISTORY_SIZE).reverse().join("\n")}\n`, { mode: 0o600 });
  } catch {
    // A home directory that is read-only, or none at all.
  }
}
