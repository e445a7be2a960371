/** The page under test: one browser and two servers for a file of tests, pages that note every complaint, what they show. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { findDissectors } from "../../src/cli/dissectors.ts";
import { ISOLATION, pageUrl, servePage } from "../../src/cli/page-server.ts";
import { chromiumAvailable, chromiumTitle, launchChromium } from "./chromium.ts";

/** The source tree. */
export const ROOT = resolve(import.meta.dirname, "../..");
const BUILT = join(ROOT, "dist/web");

/** How a page is opened. */
export interface PageOptions {
  /** In the dark colours. */
  readonly dark?: boolean;
  /** Served with the headers that isolate it from other origins; default true. */
  readonly isolation?: boolean;
  /** Served with Wireshark's dissectors beside it, where isolated; default false. */
  readonly dissectors?: boolean;
  /** The window, in pixels; default 1400 × 900. */
  readonly width?: number;
  readonly height?: number;
  /** The user wants nothing to move by itself. */
  readonly reducedMotion?: boolean;
  /** More of the address, behind `?lab=NAME`: `&…`, `#…`. */
  readonly address?: string;
  /** Doesn't wait until the lab can be run. */
  readonly early?: boolean;
}

/** A page, and all that it complained of or asked another origin for: empty where all is well. */
export interface Visit {
  readonly page: Page;
  readonly complaints: readonly string[];
  /** Closes it, and holds it to having had no complaint. */
  leave(): Promise<void>;
}

/** What tests open pages with. */
export interface PageSetup {
  /** Undefined before the first test, and where there is no Chromium. */
  readonly browser: Browser;
  /** The server's address, with isolation or without, with Wireshark's dissectors or without. */
  url(isolation?: boolean, dissectors?: boolean): string;
  /** Opens a lab in a browser context of its own, with an empty cache, and waits until it can be run. */
  openPage(lab: string, options?: PageOptions): Promise<Visit>;
}

/** Tests in a browser, in a group of that title; skipped, saying why, where there is no Chromium. */
export function describePage(title: string, tests: (setup: PageSetup) => void): void {
  describe.runIf(chromiumAvailable)(chromiumTitle(title), () => {
    let browser: Browser | undefined;
    const servers: Server[] = [];
    const setup: PageSetup = {
      get browser() {
        return browser as Browser;
      },
      url: (isolation = true, dissectors = false) => pageUrl(servers[dissectors ? 2 : isolation ? 0 : 1] as Server),
      openPage: (lab, options = {}) => open(setup, lab, options),
    };
    beforeAll(async () => {
      browser = await launchChromium();
      servers.push(await servePage(BUILT, 0), await servePage(BUILT, 0, {}));
      servers.push(await servePage(BUILT, 0, ISOLATION, findDissectors()));
    });
    afterAll(async () => {
      await browser?.close();
      for (const server of servers) server.close();
    });
    tests(setup);
  });
}

async function open(setup: PageSetup, lab: string, options: PageOptions): Promise<Visit> {
  const { dark = false, width = 1400, height = 900, reducedMotion = false } = options;
  const url = setup.url(options.isolation, options.dissectors);
  const wanted: BrowserContextOptions = {
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: reducedMotion ? "reduce" : "no-preference",
  };
  const context = await setup.browser.newContext(wanted);
  const page = await context.newPage();
  const complaints = listen(page, url);
  await page.goto(`${url}?lab=${lab}${options.address ?? ""}`);
  if (options.early !== true) await ready(page);
  return { page, complaints, leave: () => leave(context, complaints) };
}

async function leave(context: BrowserContext, complaints: readonly string[]): Promise<void> {
  await context.close();
  expect(complaints).toEqual([]);
}

/** Errors, warnings, and requests to other origins. */
function listen(page: Page, origin: string): string[] {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !/^(data|blob):/.test(url)) complaints.push(`asked for ${url}`);
  });
  return complaints;
}

/** The emulation has come to this phase: ready, running, paused, done. */
export async function phase(page: Page, ...names: readonly string[]): Promise<void> {
  await page.locator(names.map((name) => `#status[data-phase=${name}]`).join(",")).waitFor();
}

/** The lab's next step can be run. */
export async function ready(page: Page): Promise<void> {
  await phase(page, "ready");
}

/** Runs the lab to its end. */
export async function runAll(page: Page): Promise<void> {
  await page.click("#run");
  await phase(page, "done");
}

/** What a button has the browser download. */
export async function saved(page: Page, button: string): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return readFileSync(await download.path());
}

/** Brings a terminal to the front, ready to be typed on. @param name the tab's: a host, host/container, Transcript */
export async function chooseTerminal(page: Page, name: string): Promise<void> {
  await page.locator("#tabs").getByRole("tab", { name, exact: true }).click();
}

/** What a terminal shows: its rows, without the blanks at their ends. */
export async function terminalText(page: Page, name: string): Promise<string> {
  const rows = page.getByRole("tabpanel", { name, exact: true, includeHidden: true }).locator(".xterm-rows > div");
  const lines = await rows.allTextContents();
  return lines
    .map((line) => line.replaceAll("\u00a0", " ").trimEnd())
    .join("\n")
    .trimEnd();
}

/** Types a line on the terminal in front, key by key. */
export async function typeLine(page: Page, line: string): Promise<void> {
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
}

/** What `swarmwire run` makes of a lab. */
export function runInNode(lab: string): { readonly transcript: string; readonly trace: Buffer; readonly keys: string } {
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
