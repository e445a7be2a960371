/**
 * The labs of the documents (docs/: what each section of Docker's overlay pages tells its reader to type, and what Docker
 * prints) and of services in trouble (services/). Every expectation holds, and Wireshark finds every frame well formed.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GALLERY, galleryLab, runLab } from "../support/lab.ts";
import { openTrace } from "../support/wireshark.ts";

const LABS = ["docs", "services"].flatMap((folder) =>
  readdirSync(join(GALLERY, folder))
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => `${folder}/${name.replace(/\.yaml$/, "")}`)
    .sort(),
);

/** Labs whose thousand containers or hundred thousand requests make a trace that is too large for the dissectors. */
const TOO_LARGE = new Set(["docs/002-connection-limit", "services/rolling-update"]);

describe.each(LABS)("lab %s", (name) => {
  it("does what it says", { timeout: 600_000 }, async () => {
    const large = TOO_LARGE.has(name);
    const run = await runLab(galleryLab(name), large ? { capture: [] } : {});
    expect(run.failures).toEqual([]);
    expect(run.result.cut).toBe(false);
    if (large) return;
    const trace = await openTrace(run.trace, { espSa: run.espSa });
    try {
      expect(trace.malformed()).toEqual([]);
      expect(trace.badChecksums()).toEqual([]);
    } finally {
      trace.close();
    }
  });
});
