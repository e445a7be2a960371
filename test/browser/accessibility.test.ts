/** The page for everybody: WCAG 2.1 AA as axe-core checks it on each view, the keyboard alone, focus, reduced motion. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { chooseTerminal, describePage, ROOT, runAll, terminalText, typeLine } from "../support/page.ts";

const AXE = readFileSync(join(ROOT, "node_modules/axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"];

/** What axe finds wrong on the page as it is, each in a line. */
async function violations(page: Page): Promise<string[]> {
  const found = (await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(RULES)}, resultTypes: ["violations"] }).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
        id + ": " + target.join(" ") + ": " + failureSummary.replaceAll("\\n", " "))))`,
  )) as string[];
  return found;
}

/** Where the focus is, in a few words, and what can be seen of it. */
interface Focus {
  readonly where: string;
  readonly tag: string;
  /** Width of its outline, px; of a field's that draws no caret of its own, that of what stands around it. */
  readonly outline: number;
}

/** Names an element for messages; the same name for the same element. */
const NAMES = `window.nameOf ??= (() => {
  const names = new Map();
  return (element) => {
    const label = element.getAttribute("aria-label") ?? element.id ?? "";
    const text = label || (element.textContent ?? "").trim().slice(0, 24);
    if (!names.has(element)) names.set(element, names.size + " " + element.tagName.toLowerCase() + " " + text);
    return names.get(element);
  };
})()`;

const FOCUS = `(() => {
  const element = document.activeElement;
  if (element === null || element === document.body) return undefined;
  const width = (one) => {
    const style = getComputedStyle(one);
    return style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
  };
  const around = element.closest(".xterm, .cm-editor");
  return {
    where: window.nameOf(element),
    tag: element.tagName,
    outline: Math.max(width(element), around === null ? 0 : Math.max(width(around), width(around.parentElement))),
  };
})()`;

/** Controls that Tab has to reach: all that is in sight and usable, but those that arrows reach from their group. */
const CONTROLS = `[...document.querySelectorAll(
  "button, input, select, textarea, summary, a[href], [tabindex='0'], [contenteditable=true]",
)].filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.tabIndex >= 0)
  .map((one) => window.nameOf(one))`;

/** Presses Tab until the focus is where it was first, and tells where it went. */
async function tabThrough(page: Page, key: string): Promise<Focus[]> {
  const way: Focus[] = [];
  for (let i = 0; i < 400; i++) {
    await page.keyboard.press(key);
    let focus = (await page.evaluate(FOCUS)) as Focus | undefined;
    // An editor draws its outline a moment later.
    for (let wait = 0; focus?.outline === 0 && wait < 10; wait++) {
      await page.waitForTimeout(20);
      focus = (await page.evaluate(FOCUS)) as Focus;
    }
    if (focus === undefined) continue;
    if (way.some(({ where }) => where === focus.where)) return way;
    way.push(focus);
  }
  throw new Error(`the focus is caught: ${way.slice(-3).map(({ where }) => where)}`);
}

/** The tabs of the stage, by their titles. */
async function stageViews(page: Page): Promise<string[]> {
  return await page.locator("#views [role=tab]").allTextContents();
}

describePage("accessibility", ({ openPage }) => {
  it.each([false, true])("axe finds nothing wrong on any view (dark: %s)", async (dark) => {
    const { page, leave } = await openPage("encrypted", { dark });
    await runAll(page);
    await page.evaluate(AXE);
    const views = await stageViews(page);
    expect(views.length).toBeGreaterThan(1);
    const found = new Set<string>();
    for (const view of views) {
      await page.locator("#views").getByRole("tab", { name: view, exact: true }).click();
      await page.waitForTimeout(200);
      for (const line of await violations(page)) found.add(`${view}: ${line}`);
    }
    await page.getByRole("button", { name: "Open a terminal" }).click();
    await page.getByRole("dialog").waitFor();
    for (const line of await violations(page)) found.add(`dialog: ${line}`);
    expect([...found]).toEqual([]);
    await leave();
  });

  it("Tab reaches every control, forth and back, and shows where it is", async () => {
    const { page, leave } = await openPage("standalone");
    await runAll(page);
    await page.evaluate(NAMES);
    const views = await stageViews(page);
    for (const view of views) {
      await page.locator("#views").getByRole("tab", { name: view, exact: true }).click();
      await page.evaluate("document.activeElement?.blur()");
      const controls = (await page.evaluate(CONTROLS)) as string[];
      const way = await tabThrough(page, "Tab");
      const reached = new Set(way.map(({ where }) => where));
      // What can be pressed for a moment only, while a view fills, isn't meant.
      const still = new Set((await page.evaluate(CONTROLS)) as string[]);
      expect(
        controls.filter((one) => still.has(one) && !reached.has(one)),
        `${view}: not reached`,
      ).toEqual([]);
      expect(
        way.filter(({ outline }) => outline < 1).map(({ where }) => where),
        `${view}: no outline`,
      ).toEqual([]);
      const back = await tabThrough(page, "Shift+Tab");
      expect(back.length).toBeGreaterThan(way.length / 2);
    }
    await leave();
  });

  it("there are ways past the list of labs, and keys to the terminals", async () => {
    const { page, leave } = await openPage("standalone");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("To the terminals");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Transcript");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("t");
    await page.keyboard.type("hostname\n");
    await expect.poll(() => terminalText(page, "host1")).toBe("host1$ hostname\nhost1\nhost1$");
    await leave();
  });

  it("a dialog takes the focus and gives it back", async () => {
    const { page, leave } = await openPage("standalone");
    const opener = page.getByRole("button", { name: "Open a terminal" });
    await opener.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    expect(await page.evaluate("document.activeElement.closest('dialog') !== null")).toBe(true);
    await page.keyboard.press("Escape");
    await expect.poll(() => opener.evaluate((one) => one === one.ownerDocument.activeElement)).toBe(true);
    await leave();
  });

  it("nothing moves by itself where the user wants no motion", async () => {
    const { page, leave } = await openPage("standalone", { reducedMotion: true });
    const moving = `[
      ...document.getAnimations().map(({ effect }) => effect?.target?.className ?? ""),
      ...[...document.querySelectorAll("*")].filter((one) => {
        const { transitionDuration, animationName } = getComputedStyle(one);
        return animationName !== "none" || parseFloat(transitionDuration) > 0;
      }).map((one) => one.tagName + "." + one.className),
    ]`;
    await chooseTerminal(page, "host1");
    await typeLine(page, "docker swarm init");
    expect(await page.evaluate(moving)).toEqual([]);
    await runAll(page);
    expect(await page.evaluate(moving)).toEqual([]);
    expect(await terminalText(page, "host1")).toContain("host1$");
    await leave();
  });

  it("has a language, a title, landmarks, and one heading of the first rank", async () => {
    const { page, leave } = await openPage("standalone");
    expect(await page.evaluate("document.documentElement.lang")).toBe("en");
    expect(await page.title()).toBe("standalone – swarmwire");
    expect(await page.getByRole("banner").count()).toBe(1);
    expect(await page.getByRole("main").count()).toBe(1);
    expect(await page.getByRole("navigation", { name: "Labs" }).count()).toBe(1);
    for (const name of ["Views", "Terminals", "Packets"])
      expect(await page.getByRole("region", { name, exact: true }).count()).toBe(1);
    expect(await page.getByRole("heading", { level: 1 }).count()).toBe(1);
    await leave();
  });
});
