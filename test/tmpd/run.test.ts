import { readFileSync } from "node:fs";
import { it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";
it("run", async () => {
  const run = await runLab(labOf(readFileSync(process.env["LAB"] as string, "utf8")));
  console.log(run.transcript);
  console.log("FAILURES", run.failures);
}, 120000);
