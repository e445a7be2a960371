import { readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";

const files = (process.env["LAB"] ?? "").split(",").filter((name) => name !== "");
describe.skipIf(files.length === 0).each(files.length === 0 ? [""] : files)("%s", (file) => {
  it("runs", { timeout: 600_000 }, async () => {
    const run = await runLab(labOf(readFileSync(file, "utf8")));
    const short = file.replace(/.*\//, "").replace(/\.yaml$/, "");
    writeFileSync(`/tmp/out-${short}.txt`, `${run.transcript}\n=== FAILURES\n${run.failures.join("\n---\n")}\n`);
    process.stdout.write(`${short}: ${run.failures.length} failures\n${run.failures.slice(0, 3).map((text) => text.slice(0, 600)).join("\n---\n")}\n`);
  });
});
