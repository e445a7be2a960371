import { readFileSync } from "node:fs";
import { it } from "vitest";
import { labOf, runLab } from "../../support/lab.ts";
it("runs", async () => {
  const r = await runLab(labOf(readFileSync(process.env["LAB"]!, "utf8")));
  process.stdout.write(r.transcript + "\n" + r.failures.join("\n"));
}, 60000);
