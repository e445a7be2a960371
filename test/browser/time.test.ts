/** Time in the page: it stops at once, goes by single steps, back and on again; all of it by the keyboard. */
import { availableParallelism, loadavg } from "node:os";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { chooseTerminal, describePage, phase, runAll, saved, terminalText } from "../support/page.ts";

/** How long something may take to be seen. */
const SOON = { timeout: 10_000 };

/** How many processes share a CPU: of one that is shared everybody has a part only, and a frame takes that much longer. */
const share = (): number => Math.max(1, (loadavg()[0] as number) / availableParallelism());

/** The virtual time that is shown, ns. */
async function now(page: Page): Promise<number> {
  return Math.round(Number((await page.locator("#clock").textContent())?.split(" ")[0]) * 1e9);
}

/** What was asked for has been taken in, and is over. */
async function stands(page: Page): Promise<void> {
  const phases = ["ready", "paused", "done"].map((name) => `#standing[aria-busy=false] #status[data-phase=${name}]`);
  await page.locator(phases.join(",")).waitFor();
}

/** Presses a key, and waits until time stands again. */
async function press(page: Page, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    await page.keyboard.press(key);
    await stands(page);
  }
}

/** From pressing the space bar to what the page shows of it, ms of the page's own clock. */
const MEASURE_PAUSE = `new Promise((resolve) => {
  const place = document.getElementById("status");
  const begin = performance.now();
  new MutationObserver((_, observer) => {
    if (place.dataset.phase === "running") return;
    observer.disconnect();
    resolve(performance.now() - begin);
  }).observe(place, { attributes: true });
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
})`;

describePage("time", ({ openPage }) => {
  it("stops within a frame, wherever it is in a run", async () => {
    const { page, leave } = await openPage("services/rolling-update");
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      await page.keyboard.press(" ");
      await phase(page, "running");
      await page.waitForTimeout(60);
      delays.push((await page.evaluate(MEASURE_PAUSE)) as number);
    }
    delays.sort((a, b) => a - b);
    // Another file's tests run beside this one, which the load average learns late: half of the time is theirs.
    expect(delays[delays.length >> 1]).toBeLessThan(16.7 * Math.max(2, share()));
    await leave();
  });

  it("goes forward and back by the keyboard, to the same bytes", async () => {
    const { page, leave } = await openPage("standalone");
    await press(page, "n", "n", "n");
    expect(await page.locator("#status").textContent()).toContain("step 3 of 22");
    await press(page, ".", ".", ",", ",");
    const at = await now(page);
    const trace = await saved(page, "#save-trace");
    const transcript = await terminalText(page, "Transcript");
    await press(page, ".", ".", "n", "n");
    expect(await now(page)).toBeGreaterThan(at);
    await page.keyboard.press("g");
    await page.keyboard.type(`${at / 1e9}`);
    await press(page, "Enter");
    expect(await now(page)).toBe(at);
    expect((await saved(page, "#save-trace")).equals(trace)).toBe(true);
    expect(await terminalText(page, "Transcript")).toBe(transcript);
    await page.locator("#status").click();
    await press(page, ";");
    expect(await now(page)).toBeLessThan(at);
    await press(page, ",");
    expect(await now(page)).toBe(at);
    await press(page, "b", "b");
    expect(await page.locator("#status").textContent()).toContain("step 2 of 22");
    await leave();
  });

  it("keeps what was typed, says what waits, and shows it again", async () => {
    const { page, leave } = await openPage("standalone");
    await press(page, "n");
    await chooseTerminal(page, "host1");
    await page.keyboard.type("ping -c 2 192.168.77.12\n");
    await expect.poll(() => terminalText(page, "host1"), SOON).toContain("2 packets transmitted");
    await phase(page, "ready");
    const shown = await terminalText(page, "host1");
    await page.locator("#status").click();
    await press(page, "n", ".");
    await chooseTerminal(page, "host1");
    await page.keyboard.type("echo later\n");
    await expect
      .poll(() => page.locator("#status").textContent(), SOON)
      .toContain("what was typed runs when time goes on");
    await page.locator("#status").click();
    await press(page, "n");
    await expect.poll(() => terminalText(page, "host1"), SOON).toContain("later");
    await press(page, "b", "b", "b");
    expect(await page.locator("#status").textContent()).toMatch(/step 1 of 22.*4 to come again/);
    await press(page, "n");
    expect(await terminalText(page, "host1")).toBe(shown);
    await leave();
  });

  it("has a speed that holds, a journal to go back by, and a list of the keys", async () => {
    const { page, leave } = await openPage("standalone");
    await page.selectOption("#speed", { label: "100ms/s" });
    await page.locator("#status").click();
    const begin = await now(page);
    await page.keyboard.press(" ");
    const wall = (await page.evaluate("performance.now()")) as number;
    await page.waitForTimeout(1500);
    const ended = await now(page);
    const span = ((await page.evaluate("performance.now()")) as number) - wall;
    await press(page, " ");
    // Never more; less where this machine has other things to do.
    expect((ended - begin) / 1e6 / span).toBeLessThan(0.105);
    expect((ended - begin) / 1e6 / span).toBeGreaterThan(0.08 / share());
    await page.selectOption("#speed", { label: "as fast as it can" });
    await page.locator("#status").click();
    await runAll(page);
    await page.keyboard.press("?");
    expect(await page.locator("#help").textContent()).toContain("run to just after the next captured packet");
    await page.keyboard.press("n");
    await page.keyboard.press("Escape");
    expect(await page.locator("#help").isVisible()).toBe(false);
    const end = await now(page);
    await page.locator("#timeline").focus();
    for (const key of ["ArrowLeft", "ArrowLeft", "Escape", "PageDown", "ArrowLeft"]) await page.keyboard.press(key);
    expect(await now(page)).toBe(end);
    const chosen = await page.locator("#timeline").getAttribute("aria-valuenow");
    await press(page, "Enter");
    expect((await now(page)) / 1e9).toBeCloseTo(Number(chosen), 6);
    expect(await now(page)).toBeLessThan(end);
    await page.locator("#status").click();
    await press(page, " ");
    expect(await now(page)).toBe(end);
    await page.keyboard.press("j");
    await page.locator("#journal tbody tr").nth(2).locator("button").click();
    await stands(page);
    expect(await page.locator("#status").textContent()).toMatch(/step 2 of 22.*20 to come again/);
    await leave();
  });
});
