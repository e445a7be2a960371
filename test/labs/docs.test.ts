/**
 * The labs of the documents: what each section of Docker's overlay pages tells its reader to type, and what Docker
 * prints. Every expectation holds, nothing is left behind in the kernel, and Wireshark finds every frame well formed.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GALLERY, galleryLab, runLab } from "../support/lab.ts";
import { openTrace } from "../support/wireshark.ts";

const LABS = readdirSync(join(GALLERY, "docs"))
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => name.replace(/\.yaml$/, ""))
  .sort();

/** A lab whose thousand containers make a trace that is too large for the dissectors. */
const TOO_LARGE = new Set(["002-connection-limit"]);

describe.each(LABS)("docs/%s", (name) => {
  it("does what the page says", { timeout: 600_000 }, async () => {
    const run = await runLab(galleryLab(`docs/${name}`));
    expect(run.failures).toEqual([]);
    expect(run.result.cut).toBe(false);
    if (TOO_LARGE.has(name)) return;
    const trace = await openTrace(run.trace, { espSa: run.espSa });
    try {
      expect(trace.malformed()).toEqual([]);
      expect(trace.badChecksums()).toEqual([]);
    } finally {
      trace.close();
    }
  });
});
