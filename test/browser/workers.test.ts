/** Several workers in a browser: the same bytes, the same errors. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { chooseTerminal, describePage, runAll, runInNode, saved, terminalText, typeLine } from "../support/page.ts";

/** Begins the lab again with so many workers, once a step has run: so the new run can be told from the old one. */
async function chooseWorkers(page: Page, count: number): Promise<void> {
  const status = page.locator("#status");
  await page.click("#step");
  await status.filter({ hasText: "ready, step 1 of" }).waitFor();
  await page.getByLabel("Workers").selectOption(String(count));
  await status.filter({ hasText: "ready, step 0 of" }).waitFor();
}

describePage("workers", ({ openPage }) => {
  it("two of them give the trace, the keys and the transcript of Node", async () => {
    const { page, leave } = await openPage("encrypted");
    await chooseWorkers(page, 2);
    expect(page.workers().length).toBe(3);
    await runAll(page);
    const expected = runInNode("encrypted");
    expect((await saved(page, "#save-trace")).equals(expected.trace)).toBe(true);
    expect((await saved(page, "#save-keys")).toString()).toBe(expected.keys);
    expect((await saved(page, "#save-text")).toString()).toBe(expected.transcript);
    await chooseTerminal(page, "host2");
    await typeLine(page, "ping -c 1 192.168.77.11");
    await expect.poll(() => terminalText(page, "host2")).toContain("1 received, 0% packet loss");
    await page.getByLabel("Workers").selectOption("1");
    await expect.poll(() => page.workers().length).toBe(1);
    await leave();
  });

  it("one that dies ends the emulation with its error; it can be begun again", async () => {
    const { page, complaints } = await openPage("standalone");
    const status = page.locator("#status");
    await chooseWorkers(page, 2);
    await page.workers()[1]?.evaluate("void setTimeout(() => { throw new Error('a bit flipped'); })");
    await expect.poll(() => page.getByRole("alert").textContent()).toMatch(/emulation ended: .*a bit flipped/);
    await page.click("#run");
    await expect.poll(() => page.getByRole("alert").textContent()).toMatch(/worker \d ended: .*a bit flipped/);
    expect(complaints.join()).toContain("a bit flipped");
    await page.click("#restart");
    await status.filter({ hasText: "ready, step 0 of" }).waitFor();
    await expect.poll(() => page.getByRole("alert").isVisible()).toBe(false);
    await page.context().close();
  });

  it("without isolation there is one, and the page says what it lacks", async () => {
    const { page, leave } = await openPage("standalone", { isolation: false });
    expect(await page.getByLabel("Workers").locator("option").allTextContents()).toEqual(["1"]);
    await page.getByText("One worker only").click();
    await expect.poll(() => page.locator(".lack p").isVisible()).toBe(true);
    expect(await page.locator(".lack p").textContent()).toMatch(
      /Opener-Policy: same-origin.*Embedder-Policy: require-corp/,
    );
    await leave();
  });
});
