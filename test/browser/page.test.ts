/** The page in a browser: it does what the command line does, to the byte. */
import { expect, it } from "vitest";
import { chooseTerminal, describePage, runAll, runInNode, saved, terminalText, typeLine } from "../support/page.ts";

describePage("the page", ({ openPage }) => {
  it.each(["standalone", "encrypted"])("%s: the transcript, the trace and its keys are Node's", async (lab) => {
    const { page, leave } = await openPage(lab);
    const expected = runInNode(lab);
    await runAll(page);
    expect((await saved(page, "#save-text")).toString()).toBe(expected.transcript);
    expect((await saved(page, "#save-trace")).equals(expected.trace)).toBe(true);
    if (expected.keys !== "") expect((await saved(page, "#save-keys")).toString()).toBe(expected.keys);
    await leave();
  });

  it("needs no isolation from other origins for one worker", async () => {
    const { page, leave } = await openPage("standalone", { isolation: false });
    expect(await page.evaluate("crossOriginIsolated")).toBe(false);
    await runAll(page);
    expect((await saved(page, "#save-trace")).equals(runInNode("standalone").trace)).toBe(true);
    await leave();
  });

  it("steps, a shell on a host, packets and their bytes, another seed", async () => {
    const { page, leave } = await openPage("standalone");
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    await page.click("#step");
    await page.locator("#status[data-phase=ready]", { hasText: "step 1 of" }).waitFor();
    await chooseTerminal(page, "host1");
    await typeLine(page, "echo from-the-page | tr a-z A-Z");
    await expect.poll(() => terminalText(page, "host1")).toContain("FROM-THE-PAGE");
    await page.locator("#restart").click();
    await page.locator("#status", { hasText: "step 0 of" }).waitFor();
    await runAll(page);
    await page.locator(".rows").focus();
    await page.keyboard.press("Home");
    await expect.poll(() => page.locator("#bytes").textContent()).toMatch(/^0000 {2}([0-9a-f]{2} ){8}/);
    expect(await page.locator('.rows .row[aria-selected="true"]').count()).toBe(1);
    await leave();
  });
});
