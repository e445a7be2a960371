/** Same lab, same seed: the same bytes, for 1, 2 and 4 workers and over two runs; another seed: another trace. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { galleryLab, runLab } from "../support/lab.ts";

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("determinism", () => {
  it("the walk-through has the same trace and transcript for any number of workers", async () => {
    const plan = galleryLab("standalone");
    const first = await runLab(plan);
    const again = await runLab(plan);
    expect(digest(again.trace)).toBe(digest(first.trace));
    for (const workers of [2, 4]) {
      const spread = await runLab(plan, { workers });
      expect(spread.transcript).toBe(first.transcript);
      expect(digest(spread.trace)).toBe(digest(first.trace));
      expect(spread.result.counters.drops).toEqual(first.result.counters.drops);
      expect(spread.result.counters.framesCarried).toBe(first.result.counters.framesCarried);
    }
  });

  it("another seed gives another trace", async () => {
    const plan = galleryLab("standalone");
    const first = await runLab(plan);
    const other = await runLab(plan, { seed: "another" });
    expect(other.failures).toEqual([]);
    expect(digest(other.trace)).not.toBe(digest(first.trace));
  });
});
