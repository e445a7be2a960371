/** Watching every hop changes nothing, and shows the same for any number of workers. */
import { describe, expect, it } from "vitest";
import { followLab } from "../support/follow.ts";
import { galleryLab, runLab } from "../support/lab.ts";

describe("every hop of every packet", () => {
  it.each(["standalone", "encrypted", "docs/000-ingress", "nat", "windows", "leaf-spine", "services/partition"])(
    "%s: the trace and the transcript are those of a run that nobody watches",
    { timeout: 60_000 },
    async (lab) => {
      const plain = await runLab(galleryLab(lab), { capture: ["*/host/eth0", "*/nat/eth0"] });
      const followed = await followLab(galleryLab(lab));
      await followed.session.close();
      expect(followed.failures).toEqual([]);
      expect(followed.transcript).toBe(plain.transcript);
      expect(Buffer.compare(followed.trace, plain.trace)).toBe(0);
      expect(followed.log.size).toBeGreaterThan(100);
    },
  );

  it.each([
    ["standalone", 2],
    ["encrypted", 4],
    ["services/partition", 4],
  ])("%s: the same hops and marks in the same order with %i workers", { timeout: 120_000 }, async (lab, workers) => {
    const first = await followLab(galleryLab(lab));
    const spread = await followLab(galleryLab(lab), workers);
    for (const { session } of [first, spread]) await session.close();
    expect(spread.digest).toBe(first.digest);
  });
});
