/** The page in a browser: it does what the command line does, to the byte. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pageUrl, servePage } from "../../src/cli/page-server.ts";
import { chromiumAvailable, chromiumTitle, launchChromium } from "../support/chromium.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const PAGE = join(ROOT, "dist/web");

/** What the command line makes of a lab. */
function runInNode(lab: string): { readonly transcript: string; readonly trace: Buffer; readonly keys: string } {
  const folder = mkdtempSync(join(tmpdir(), "swarmwire-page-"));
  try {
    const path = join(folder, "trace.pcapng");
    const { stdout } = spawnSync(process.execPath, ["bin/swarmwire.js", "run", lab, "--pcap", path], {
      cwd: ROOT,
      encoding: "utf8",
    });
    const keys = stdout.includes("ESP keys: ") ? readFileSync(`${path}.esp_sa`, "utf8") : "";
    return { transcript: stdout.slice(0, stdout.indexOf("Trace: ")), trace: readFileSync(path), keys };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A page, and what it complained of or asked elsewhere. */
interface Visit {
  readonly page: Page;
  readonly complaints: string[];
}

async function visit(browser: Browser, server: Server, lab: string): Promise<Visit> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(pageUrl(server)) && !/^(data|blob):/.test(url)) complaints.push(`asked for ${url}`);
  });
  await page.goto(`${pageUrl(server)}?lab=${lab}`);
  await page.locator("#status[data-phase=ready]").waitFor();
  return { page, complaints };
}

async function saved(page: Page, button: string): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return readFileSync(await download.path());
}

async function runAll(page: Page): Promise<void> {
  await page.click("#run");
  await page.locator("#status[data-phase=done]").waitFor();
}

/** What a host's terminal shows. */
async function terminal(page: Page, host: string): Promise<string> {
  return (await page.locator(`#tabs-${host} .xterm-rows`).textContent()) ?? "";
}

describe.runIf(chromiumAvailable)(chromiumTitle("the page"), () => {
  let browser: Browser;
  let server: Server;
  beforeAll(async () => {
    browser = await launchChromium();
    server = await servePage(PAGE, 0);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  it.each(["standalone", "encrypted"])("%s: the transcript, the trace and its keys are Node's", async (lab) => {
    const { page, complaints } = await visit(browser, server, lab);
    const expected = runInNode(lab);
    await runAll(page);
    expect((await saved(page, "#save-text")).toString()).toBe(expected.transcript);
    expect((await saved(page, "#save-trace")).equals(expected.trace)).toBe(true);
    if (expected.keys !== "") expect((await saved(page, "#save-keys")).toString()).toBe(expected.keys);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("needs no isolation from other origins for one worker", async () => {
    const plain = await servePage(PAGE, 0, { headers: {} });
    try {
      const { page, complaints } = await visit(browser, plain, "standalone");
      expect(await page.evaluate("crossOriginIsolated")).toBe(false);
      await runAll(page);
      expect((await saved(page, "#save-trace")).equals(runInNode("standalone").trace)).toBe(true);
      expect(complaints).toEqual([]);
      await page.close();
    } finally {
      plain.close();
    }
  });

  it("steps, a shell on a host, packets and their bytes, another seed", async () => {
    const { page, complaints } = await visit(browser, server, "standalone");
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    await page.click("#step");
    await page.locator("#status[data-phase=ready]", { hasText: "step 1 of" }).waitFor();
    const host = (await page.locator("#tabs button").nth(1).textContent()) ?? "";
    await page.click(`#tab-${host}`);
    await page.keyboard.type("echo from-the-page | tr a-z A-Z");
    await page.keyboard.press("Enter");
    await expect.poll(() => terminal(page, host)).toContain("FROM-THE-PAGE");
    await page.locator("#restart").click();
    await page.locator("#status", { hasText: "step 0 of" }).waitFor();
    await runAll(page);
    await page.locator(".rows").focus();
    await page.keyboard.press("Home");
    await expect.poll(() => page.locator("#bytes").textContent()).toMatch(/^0000 {2}([0-9a-f]{2} ){8}/);
    expect(await page.locator('.rows .row[aria-selected="true"]').count()).toBe(1);
    expect(complaints).toEqual([]);
    await page.close();
  });
});
