/** Chromium, in which the page is tested. */
import { spawnSync } from "node:child_process";
import { type Browser, chromium } from "playwright-core";

const PROGRAM = "chromium";
const found = spawnSync("sh", ["-c", `command -v ${PROGRAM}`], { encoding: "utf8" });

/** Whether the program is installed. */
export const chromiumAvailable = found.status === 0;

if (process.env["SWARMWIRE_NO_SKIP"] !== undefined && !chromiumAvailable)
  throw new Error(`SWARMWIRE_NO_SKIP is set, and tests would be skipped: there is no ${PROGRAM} program`);

/** A title for a group of tests that says why it is skipped, if it is. */
export function chromiumTitle(title: string): string {
  return chromiumAvailable ? title : `${title} [skipped: no ${PROGRAM} program]`;
}

/** Starts it. Without its sandbox, which root can't have. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: found.stdout.trim(), args: ["--no-sandbox"] });
}
