import { readFileSync } from "node:fs";
import { it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";

it.skipIf(process.env["LAB"] === undefined)("scratch", async () => {
  for (const file of (process.env["LAB"] as string).split(",")) {
    const run = await runLab(labOf(readFileSync(file, "utf8")));
    process.stdout.write(`${run.transcript}\n=== ${file} FAILURES\n${run.failures.join("\n---\n")}\n`);
  }
}, 600_000);
