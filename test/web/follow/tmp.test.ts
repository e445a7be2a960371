import { it } from "vitest";
import { followLab, storyOf } from "../../support/follow.ts";
import { galleryLab } from "../../support/lab.ts";

it("prints", async () => {
  const lab = process.env["LAB"] ?? "standalone";
  const run = await followLab(galleryLab(lab));
  const want = process.env["WANT"] ?? '"to":"ICMP"';
  const j = run.find((hop) => hop.mark !== undefined && JSON.stringify(hop.mark).includes(want));
  console.log(
    run.failures,
    run.log.bytes,
    run.log.size,
    j.summary,
    j.end,
    j.endText,
    "\n" + storyOf(j).join("\n"),
    JSON.stringify(j.links, null, 1),
  );
  const child = j.links.find((l) => l.relation === "caused" || l.relation === "answered by");
  if (child) console.log(storyOf(run.journey(child.journey)).join("\n"), run.journey(child.journey).links);
  await run.session.close();
});
