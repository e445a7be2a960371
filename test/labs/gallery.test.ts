/** Every lab of the gallery: all its expectations hold, and Wireshark finds nothing wrong in its trace. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GALLERY, galleryLab, runLab } from "../support/lab.ts";
import { openTrace } from "../support/wireshark.ts";

const LABS = (readdirSync(GALLERY, { recursive: true }) as string[])
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => name.replace(/\.yaml$/, ""))
  .sort();

/** Expert information that Wireshark gives for what is meant to be: lost and repeated segments, refused connections. */
const EXPECTED_EXPERT =
  /^(Connection (establish|finish|reset)|This frame is a \(suspected\)|Previous segment|TCP keep-alive|Duplicate ACK|D-SACK|TCP Zero|TCP window|ACKed segment|A new tcp session|The acknowledgment number|Response not found|No response seen)/i;

describe.each(LABS)("lab %s", (name) => {
  it("does what it says, and Wireshark agrees", async () => {
    const run = await runLab(galleryLab(name), { capture: ["*"] });
    expect(run.failures).toEqual([]);
    const trace = await openTrace(run.trace);
    try {
      expect(trace.frames).toBeGreaterThan(50);
      expect(trace.malformed()).toEqual([]);
      expect(trace.badChecksums()).toEqual([]);
      const unexpected = trace.expertInfo().filter((info) => !EXPECTED_EXPERT.test(info.text));
      expect(unexpected).toEqual([]);
    } finally {
      trace.close();
    }
  });
});
