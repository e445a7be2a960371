/**
 * Makes the README's pictures of the page, in web/screenshots: `npm run screenshots`, after a build. Labs, seeds and moments
 * are given, so a picture changes only when the page does.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";
import { findDissectors } from "../../dist/src/cli/dissectors.js";
import { ISOLATION, pageUrl, servePage } from "../../dist/src/cli/page-server.js";
import { indexed } from "./indexed-png.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const PICTURES = join(ROOT, "web/screenshots");
/** Dissectors, and the longest of the labs, on a busy machine. */
const PATIENCE_MS = 180_000;
const VIEWPORT = { width: 1400, height: 900 };

/** Lets the emulation come to rest. */
async function stands(page) {
  const phases = ["ready", "paused", "done"].map((name) => `#standing[aria-busy=false] #status[data-phase=${name}]`);
  await page.locator(phases.join(",")).waitFor();
}

async function press(page, ...keys) {
  for (const key of keys) {
    await page.keyboard.press(key);
    await stands(page);
  }
}

/** Runs so many steps of the lab. */
async function steps(page, count) {
  for (let step = 1; step <= count; step++) {
    await page.click("#step");
    await page.locator("#status[data-phase=ready]", { hasText: new RegExp(`step ${step} of`) }).waitFor();
  }
}

async function runAll(page) {
  await page.click("#run");
  await page.locator("#status[data-phase=done]").waitFor();
}

async function terminal(page, name, ...lines) {
  await page.locator("#tabs").getByRole("tab", { name, exact: true }).click();
  for (const line of lines) {
    await page.keyboard.type(line);
    await page.keyboard.press("Enter");
    await stands(page);
  }
}

async function view(page, name) {
  await page.locator("#views").getByRole("tab", { name, exact: true }).click();
}

/** Nothing has the focus, no button is hovered over. */
async function aside(page) {
  await page.mouse.move(VIEWPORT.width - 1, VIEWPORT.height - 1);
  await page.evaluate("document.activeElement?.blur()");
}

async function dissectors(page) {
  await page.getByRole("button", { name: /Load Wireshark's dissectors/ }).click();
  await page.locator("#dissectors[data-state=ready]").waitFor();
}

/** Each picture: the lab, how the page is opened, and what is done there. */
const PICTURES_OF = {
  swarm: {
    lab: "docs/002-default-overlay",
    async show(page) {
      await steps(page, 13);
      await terminal(page, "manager", "docker service ps my-nginx");
      await aside(page);
      await press(page, ".", ".", ".");
    },
  },
  packets: {
    lab: "encrypted",
    dissectors: true,
    async show(page) {
      await runAll(page);
      await dissectors(page);
      await page.fill("#filter", "icmp.type == 8 && esp");
      await page.press("#filter", "Enter");
      await page.locator("#displayed", { hasText: "24 of" }).waitFor();
      await page.locator(".rows .row", { hasText: "Echo (ping)" }).first().click();
      await page.getByRole("treeitem", { name: /^Internet Control Message Protocol/ }).waitFor();
    },
  },
  packet: {
    lab: "standalone",
    async show(page) {
      await steps(page, 13);
      await page.fill("#filter", "icmp");
      await page.press("#filter", "Enter");
      await page.locator("#displayed", { hasText: "16 of" }).waitFor();
      await page.locator(".rows .row", { hasText: "ICMP" }).first().click();
      await page.locator(".rows .row[aria-selected=true]", { hasText: "ICMP" }).waitFor();
      await page.keyboard.press("f");
      await page.locator(".strip-box", { hasText: "ICMP" }).first().waitFor();
      await page.locator(".strip-field").focus();
      await page.keyboard.press("Home");
    },
  },
  drops: {
    lab: "firewall-4789",
    async show(page) {
      await runAll(page);
      await view(page, "Drops");
    },
  },
  tables: {
    lab: "services/drop-7946",
    async show(page) {
      await steps(page, 10);
      await view(page, "Tables");
      await page.selectOption("#table-id", "fdb");
      const names = await page.locator("#table-namespace option").allTextContents();
      await page.selectOption("#table-namespace", { label: names.find((name) => name.startsWith("my-net (")) ?? "" });
      await page.selectOption("#table-against", { label: "worker-2" });
    },
  },
  charts: {
    lab: "services/drop-7946",
    async show(page) {
      await view(page, "Charts");
      await runAll(page);
    },
  },
  lab: {
    lab: "services/partition",
    async show(page) {
      await view(page, "Lab");
      await steps(page, 6);
    },
  },
  terminals: {
    lab: "standalone",
    dark: true,
    async show(page) {
      await steps(page, 8);
      await terminal(page, "host2");
      await page.keyboard.type("tcpdump -n -i eth0 -c 4 udp port 4789");
      await page.keyboard.press("Enter");
      await terminal(page, "host1/alpine1", "ping -c 2 alpine2");
      await terminal(page, "host2");
      await page.keyboard.type("docker network ins");
      await page.keyboard.press("Tab");
      await page.waitForTimeout(200);
      await page.keyboard.type("t");
      await page.keyboard.press("Tab");
    },
  },
};

async function take(browser, urls, name, { lab, dark = false, dissectors: wanted = false, show }) {
  const colorScheme = dark ? "dark" : "light";
  const context = await browser.newContext({ viewport: VIEWPORT, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(`${wanted ? urls.dissectors : urls.plain}?lab=${lab}`);
  await page.locator("#status[data-phase=ready]").waitFor();
  await show(page);
  // What is drawn follows what happens by a few frames.
  await page.waitForTimeout(1500);
  const picture = indexed(await page.screenshot());
  writeFileSync(join(PICTURES, `${name}.png`), picture);
  process.stdout.write(`${name}.png ${Math.round(picture.length / 1024)} KiB\n`);
  await context.close();
}

const [only] = process.argv.slice(2);
const program = spawnSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).stdout.trim();
if (program === "") throw new Error("there is no chromium program");
mkdirSync(PICTURES, { recursive: true });
const folder = join(ROOT, "dist/web");
const servers = [await servePage(folder, 0), await servePage(folder, 0, ISOLATION, findDissectors())];
const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
try {
  const urls = { plain: pageUrl(servers[0]), dissectors: pageUrl(servers[1]) };
  for (const [name, picture] of Object.entries(PICTURES_OF))
    if (only === undefined || only === name) await take(browser, urls, name, picture);
} finally {
  await browser.close();
  for (const server of servers) server.close();
}
