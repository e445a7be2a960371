/** Tables and charts in a browser: what they show is what the tools on the terminals print, and what was measured. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { TABLES } from "../../src/lab/inspect/tables/list.ts";
import { chooseTerminal, describePage, phase, runAll, saved, terminalText, typeLine } from "../support/page.ts";

const SOON = { timeout: 10_000 };

/** The step of services/drop-7946 before its fault. */
const BEFORE_FAULT = 8;

/** What tables are said to be. */
const COMMANDS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(TABLES).map(([id, { command }]) => [id, command]),
);

/** Rows of the grid: texts of their cells. */
async function gridRows(page: Page): Promise<string[][]> {
  const rows = page.locator(".table-body .table-row");
  return await rows.evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent ?? "")));
}

/** What is said of the table, once it says this. */
async function said(page: Page, pattern: RegExp): Promise<string> {
  const place = page.locator(".tables-said");
  await expect.poll(() => place.textContent(), SOON).toMatch(pattern);
  return (await place.textContent()) ?? "";
}

async function step(page: Page, to: number): Promise<void> {
  await page.click("#step");
  await page.locator("#status[data-phase=ready]", { hasText: `step ${to} of` }).waitFor();
}

describePage("tables and charts", ({ openPage }) => {
  it("FDB, moments, hosts: a host whose gossip is cut off is found in the tables", async () => {
    const { page, leave } = await openPage("services/drop-7946");
    for (let i = 1; i <= BEFORE_FAULT; i++) await step(page, i);
    await page.click("#tab-tables");
    await page.selectOption("#table-id", "fdb");
    const spaces = await page.locator("#table-namespace option").allTextContents();
    const name = spaces.find((one) => one.startsWith("my-net (")) ?? "";
    await page.selectOption("#table-namespace", { label: name });
    await said(page, /rows · bridge -s fdb show in my-net · manager at/);

    // The same as the tool prints, and in its order.
    const file = /\((.*)\)/.exec(name)?.[1] ?? "";
    await chooseTerminal(page, "manager");
    await typeLine(
      page,
      `nsenter --net=/run/docker/netns/${file} bridge fdb show | sed 's/ link-netnsid 0//'; echo end of it`,
    );
    await expect.poll(() => terminalText(page, "manager"), SOON).toMatch(/\nend of it/);
    const printed = (await terminalText(page, "manager")).match(/^[0-9a-f:]{17} dev .*$/gm) ?? [];
    const rows = await gridRows(page);
    const lines = rows.map(([mac, dev, dst, owner, state]) =>
      [mac, "dev", dev, ...(dst === "" ? [] : ["dst", dst]), owner, state].join(" ").trim(),
    );
    expect(lines).toEqual(printed.map((line) => line.trim()));
    expect(lines.filter((line) => / dst 192\.168\.77\.13 self permanent$/.test(line)).length).toBe(2);

    // From a cell to the packets of its address.
    await page.locator(".table-body span", { hasText: "192.168.77.13" }).first().click();
    await page.click("#table-packets");
    expect(await page.locator("#filter").inputValue()).toMatch(/192\.168\.77\.13$/);

    // Before the fault everybody agrees; a minute after it, worker-2 is on its own.
    await page.selectOption("#table-against", "all");
    await said(page, /3 hosts have it · 0 of \d+ rows not the same everywhere/);
    await page.click("#table-keep");
    await said(page, /^Kept: all tables of 3 hosts at/);
    await page.selectOption("#table-against", "");
    await page.click("#step");
    await page.locator("#status", { hasText: `step ${BEFORE_FAULT + 1} of` }).waitFor();
    await phase(page, "ready");
    await step(page, BEFORE_FAULT + 2);
    await page.selectOption("#table-against", { index: 2 });
    await said(page, /− 2 only at .* · \+ 0 only now · ≠ 0 changed/);
    await page.check("#table-differing");
    expect((await gridRows(page)).map(([mark, , , dst]) => [mark, dst])).toEqual([
      ["−", "192.168.77.13"],
      ["−", "192.168.77.13"],
    ]);

    await page.selectOption("#table-id", "peers");
    await page.selectOption("#table-against", "host\nworker-2");
    const counts = await said(page, /peer database.*only on manager .* only on worker-2/);
    expect(counts).toMatch(/− [1-9]\d* only on manager · \+ [1-9]\d* only on worker-2/);
    await page.selectOption("#table-against", "all");
    await said(page, /3 hosts have it · [1-9]\d* of/);
    expect((await gridRows(page)).some((cells) => cells.join(" ").includes("missing on worker-2"))).toBe(true);
    await leave();
  });

  it("the grid goes by keyboard: cells, headings that sort, a filter", async () => {
    const { page, leave } = await openPage("standalone");
    await runAll(page);
    await page.click("#tab-tables");
    await page.selectOption("#table-id", "routes");
    await said(page, /rows · ip route show table all · host1/);
    await page.selectOption("#table-host", "host2");
    await page.click("#table-terminal");
    await page.locator("#tabs [aria-selected=true]", { hasText: "host2" }).waitFor();
    await page.selectOption("#table-host", "host1");
    const grid = page.locator(".table-grid");
    const active = async (): Promise<string> => {
      const id = (await grid.getAttribute("aria-activedescendant")) ?? "";
      return (await page.locator(`#${id}`).textContent()) ?? "";
    };
    await grid.focus();
    await page.keyboard.press("Control+Home");
    expect(await active()).toBe("main");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect(await active()).toBe("destination");
    await page.keyboard.press("Enter");
    expect(await active()).toBe("destination ▴");
    expect(await page.locator('[aria-sort="ascending"]').count()).toBe(1);
    const first = (await gridRows(page)).map((cells) => cells[2]);
    await page.keyboard.press("Enter");
    expect((await gridRows(page)).map((cells) => cells[2])[0]).toBe(first.at(-1));
    await page.fill("#table-filter", "docker0 -broadcast");
    await said(page, /^\d+ of \d+ rows/);
    for (const cells of await gridRows(page)) expect(cells.join(" ")).toMatch(/^(?!.*broadcast).*docker0/);
    await leave();
  });

  it("a moment that is gone back to has the tables that were kept of it, counters and timers too", async () => {
    const { page, leave } = await openPage("standalone");
    const goTo = async (time: string): Promise<void> => {
      await page.fill("#go-to", time);
      await page.keyboard.press("Enter");
      await page.locator("#clock", { hasText: new RegExp(`^${time.replace("s", "")}\\.0+ s`) }).waitFor();
      await phase(page, "paused", "ready", "done");
    };
    await goTo("16s");
    await page.click("#tab-tables");
    await page.click("#table-keep");
    await said(page, /^Kept: all tables of 2 hosts at 16s/);
    await runAll(page);
    await page.selectOption("#table-id", "counters");
    await page.selectOption("#table-against", { index: 2 });
    await page.check("#table-volatile");
    await said(page, /· ≠ [1-9]\d* changed$/);
    await goTo("16s");
    for (const table of ["counters", "conntrack", "sockets", "gossip-entries", "iptables", "members", "links"]) {
      await page.selectOption("#table-id", table);
      await said(page, new RegExp(`^[1-9].* ${COMMANDS[table]} · − 0 only at 16s · \\+ 0 only now · ≠ 0 changed$`));
    }
    await leave();
  });

  it("charts have data, and each the same numbers as a table and as a file", async () => {
    const { page, leave } = await openPage("services/drop-4789");
    await page.click("#tab-charts");
    await runAll(page);
    const chart = page.locator("#chart-throughput");
    await expect.poll(() => chart.locator(".chart-legend").textContent(), SOON).toMatch(/ingress \(VNI 4096\)/);
    await expect.poll(() => page.locator(".chart canvas").count(), SOON).toBe(9);
    await expect
      .poll(() => page.locator("#chart-convergence .chart-legend").textContent(), SOON)
      .toMatch(/members 100 %/);
    // Every chart has drawn something, and has it in its table.
    const ids = await page.locator(".chart").evaluateAll((all) => all.map(({ id }) => id));
    for (const id of ids) {
      const place = page.locator(`#${id}`);
      await place.getByRole("button", { name: /^Table/ }).click();
      const cells = place.locator("tbody td:not(:first-child)");
      expect(await cells.evaluateAll((all) => all.some((cell) => /^[1-9]/.test(cell.textContent ?? ""))), id).toBe(
        true,
      );
    }
    for (const id of ["chart-throughput", "chart-memory"]) expect(await coloursOf(page, id), id).toBeGreaterThan(3);
    // The file has the table's rows; the cursor reads the same values out.
    const file = (await saved(page, "#chart-hosts .chart-head button:nth-of-type(2)")).toString().trim().split("\r\n");
    const rows = page.locator("#chart-hosts tbody tr");
    expect(await rows.count()).toBe(file.length - 1);
    await page.locator("#chart-hosts .chart-place").focus();
    await page.keyboard.press("End");
    const [time = "", ...values] = await rows.last().locator("td").allTextContents();
    const legend = (await page.locator("#chart-hosts .chart-legend").textContent()) ?? "";
    expect(legend).toContain(`${time}`);
    for (const value of values) expect(legend).toContain(value);
    await page.keyboard.press("+");
    expect(await rows.count()).toBeLessThan(file.length - 1);
    await page.keyboard.press("0");
    expect(await rows.count()).toBe(file.length - 1);
    // From the cursor to that time.
    await page.keyboard.press("Home");
    for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowRight");
    const wanted = Number(/Go to ([\d.]+) s/.exec((await page.locator("#charts-go").textContent()) ?? "")?.[1]);
    await page.click("#charts-go");
    const clock = async (): Promise<number> => Number((await page.locator("#clock").textContent())?.split(" ")[0]);
    await expect.poll(async () => Math.abs((await clock()) - wanted), SOON).toBeLessThan(0.1);
    await leave();
  });
});

/** How many different colours a chart shows. */
async function coloursOf(page: Page, chart: string): Promise<number> {
  return await page.evaluate(`(() => {
    const canvas = document.querySelector("#${chart} canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set([...new Uint32Array(data.buffer)].filter((pixel) => pixel >>> 24 === 255));
    return seen.size;
  })()`);
}
