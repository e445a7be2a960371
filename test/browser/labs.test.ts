/** Labs on the page: the editor, files, links, faults by hand; and how soon the first one is there. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { CONTENT_POLICY } from "../../src/cli/page-server.ts";
import { describePage, ROOT, ready, runAll, saved } from "../support/page.ts";

/** The trace that the command line makes of a lab. */
function traceOf(lab: string, ...flags: readonly string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "swarmwire-labs-"));
  try {
    const path = join(folder, "trace.pcapng");
    const ran = spawnSync(process.execPath, ["bin/swarmwire.js", "run", lab, "--quiet", "--pcap", path, ...flags], {
      cwd: ROOT,
      encoding: "utf8",
    });
    if (ran.status === 2) throw new Error(ran.stderr);
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same of a lab's text. */
function traceOfText(name: string, text: string, ...flags: readonly string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "swarmwire-lab-"));
  try {
    writeFileSync(join(folder, `${name}.yaml`), text);
    return traceOf(join(folder, `${name}.yaml`), ...flags);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const PING = `description: Two hosts, a ping.
params: { count: 1 }
hosts:
  a: {}
  b: {}
steps:
  - a: ping -c $count 192.168.77.12
    exit: 0
  - a: ping -c 2 -W 1 192.168.77.12
`;

async function editor(page: Page): Promise<void> {
  await page.click("#tab-lab");
  await page.locator(".cm-content").waitFor();
}

/** Drops a file on the page, as a file manager would. */
async function drop(page: Page, name: string, text: string): Promise<void> {
  const transfer = await page.evaluateHandle(
    `(() => {
      const made = new DataTransfer();
      made.items.add(new File([${JSON.stringify(text)}], ${JSON.stringify(name)}));
      return made;
    })()`,
  );
  for (const event of ["dragenter", "dragover", "drop"])
    await page.dispatchEvent("#status", event, { dataTransfer: transfer });
}

describePage("labs on the page", (setup) => {
  it("the editor: an error has its place, the schema completes, the run is marked, edits survive a reload", async () => {
    const { page, leave } = await setup.openPage("standalone");
    await editor(page);
    await page.locator(".cm-content").click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("  - fault: { host: host2, los");
    const offered = page.locator(".cm-tooltip-autocomplete li[aria-selected]");
    await expect.poll(() => offered.textContent()).toMatch(/^loss/);
    await page.keyboard.press("Escape");
    await expect.poll(() => page.locator("#lab-problem").textContent()).toMatch(/^standalone\.yaml:7\d:\d+: /);
    await page.locator(".cm-lintRange-error").waitFor();
    await expect.poll(() => page.locator('[data-own="standalone"]').count()).toBe(1);
    await page.reload();
    await ready(page);
    await page.click('[data-own="standalone"]');
    await expect.poll(() => page.locator("#problem").textContent()).toMatch(/^standalone\.yaml:7\d:\d+: /);
    await page.locator(".cm-lintRange-error").waitFor();
    await page.click('[data-lab="standalone"]');
    await page.locator("#lab-problem").waitFor({ state: "hidden" });
    await page.click("#step");
    await page.locator("#status[data-phase=ready]", { hasText: "step 1" }).waitFor();
    expect(await page.locator('.lab-steps [aria-current="step"]').textContent()).toBe(
      "host1: docker swarm join-token -q worker",
    );
    await page.locator(".lab-steps li button").nth(7).click();
    await expect.poll(() => page.locator(".cm-activeLine").textContent()).toContain("host2: docker run");
    await leave();
  });

  it("a file dropped on the page runs, with its parameters; the trace is the command line's", async () => {
    const { page, leave } = await setup.openPage("standalone");
    await drop(page, "ping.yaml", PING);
    await page.locator("#lab-name", { hasText: "ping.yaml" }).waitFor();
    await ready(page);
    await editor(page);
    await page.fill('[name="param-count"]', "3");
    await page.click("#lab-run");
    await expect.poll(() => page.evaluate("location.hash")).toContain("set=count=3");
    await ready(page);
    await runAll(page);
    const trace = await saved(page, "#save-trace");
    expect(trace.equals(traceOfText("ping", PING, "--set", "count=3"))).toBe(true);
    await drop(page, "broken.yaml", "hosts: {}\nsteps: 1\n");
    await expect.poll(() => page.locator("#lab-problem").textContent()).toMatch(/^broken\.yaml:\d+:\d+: /);
    await drop(page, "trace.pcapng", "x");
    await expect.poll(() => page.locator("#problem").textContent()).toContain("expected a lab file");
    await drop(page, "large.yaml", "#".repeat(2 ** 20 + 1));
    await expect.poll(() => page.locator("#problem").textContent()).toContain("more than the 1 MiB");
    await leave();
  });

  it("a link opens the same lab, text, seed and settings: the same bytes", async () => {
    const first = await setup.openPage("standalone");
    const link = `${setup.url()}#lab=firewall-4789&seed=7&set=network.latency=1ms`;
    await first.page.goto(link);
    await expect.poll(() => first.page.title()).toMatch(/^firewall-4789/);
    await ready(first.page);
    await runAll(first.page);
    const trace = await saved(first.page, "#save-trace");
    expect(trace.equals(traceOf("firewall-4789", "--seed", "7", "--set", "network.latency=1ms"))).toBe(true);
    await drop(first.page, "ping.yaml", PING);
    await first.page.locator("#lab-name", { hasText: "ping.yaml" }).waitFor();
    await expect.poll(() => first.page.evaluate("location.hash")).toMatch(/^#name=ping&text=[\w-]+$/);
    await first.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await first.page.click("#copy-link");
    await first.page.locator("#copy-link", { hasText: "Copied" }).waitFor();
    const own = (await first.page.evaluate("navigator.clipboard.readText()")) as string;
    expect(own).toBe(await first.page.evaluate("location.href"));
    await first.leave();
    const { page, leave } = await setup.openPage("standalone");
    await page.goto(own);
    await expect.poll(() => page.title()).toMatch(/^ping/);
    await ready(page);
    await runAll(page);
    expect((await saved(page, "#save-trace")).equals(traceOfText("ping", PING))).toBe(true);
    await page.goto(`${own.slice(0, -9)}`);
    await expect.poll(() => page.locator("#problem").textContent()).toContain("the link's text is broken");
    await leave();
  });

  it("faults by hand change what happens, and the same again gives the same bytes", async () => {
    const { page, leave } = await setup.openPage("standalone");
    await drop(page, "ping.yaml", PING);
    await page.locator("#lab-name", { hasText: "ping.yaml" }).waitFor();
    const run = async (): Promise<Buffer> => {
      await ready(page);
      await page.click("#step");
      await page.locator("#status[data-phase=ready]", { hasText: "step 1" }).waitFor();
      await page.keyboard.press("x");
      await page.selectOption("#fault-action", "drop");
      await page.fill("#fault-hosts", "nobody");
      await page.locator("#faults p.wrong", { hasText: "no host is called nobody" }).waitFor();
      await page.fill("#fault-hosts", "b");
      await page.fill("#fault-value", "icmp");
      await page.locator("#faults p", { hasText: "b: drop icmp" }).waitFor();
      await page.keyboard.press("Enter");
      await page.locator("#faults li", { hasText: "b: drop icmp" }).waitFor();
      await page.keyboard.press("Escape");
      await runAll(page);
      return await saved(page, "#save-trace");
    };
    const once = await run();
    expect(once.equals(traceOfText("ping", PING))).toBe(false);
    expect((await saved(page, "#save-text")).toString()).toMatch(
      /# fault: b: drop icmp\n[\s\S]*2 packets transmitted, 0 /,
    );
    await page.click("#restart");
    expect((await run()).equals(once)).toBe(true);
    await page.click("#save-run");
    await page.locator("#lab-name", { hasText: "ping-run.yaml" }).waitFor();
    const text = (await saved(page, "#lab-save")).toString();
    expect(text).toContain("host: b\n      drop: icmp\n");
    expect(traceOfText("ping-run", text).equals(once)).toBe(true);
    await leave();
  });

  it("makes no code out of text, whoever serves it", async () => {
    const { page } = await setup.openPage("standalone", { isolation: false });
    const violated = page.evaluate(
      "new Promise((resolve) => document.addEventListener('securitypolicyviolation', (e) => resolve(e.blockedURI)))",
    );
    await page.evaluate("void setTimeout('window.made = true', 0)");
    expect(await violated).toBe("eval");
    expect(await page.evaluate("window.made")).toBeUndefined();
    const meta = page.locator('meta[http-equiv="Content-Security-Policy"]');
    expect(await meta.getAttribute("content")).toBe(CONTENT_POLICY);
    await page.context().close();
  });

  it("from an empty cache the first lab is there within 2 s", async () => {
    const system = await setup.browser.newBrowserCDPSession();
    /** CPU time of all pages so far, in ms. */
    const spent = async (): Promise<number> => {
      const { processInfo } = await system.send("SystemInfo.getProcessInfo");
      return processInfo.reduce((sum, { type, cpuTime }) => sum + (type === "renderer" ? 1000 * cpuTime : 0), 0);
    };
    const open = async (rate: number): Promise<{ readonly wall: number; readonly cpu: number }> => {
      const context = await setup.browser.newContext();
      const page = await context.newPage();
      const asked: string[] = [];
      page.on("request", (request) => asked.push(request.url()));
      const devtools = await context.newCDPSession(page);
      await devtools.send("Emulation.setCPUThrottlingRate", { rate });
      const [before, start] = [await spent(), performance.now()];
      await page.goto(setup.url(), { waitUntil: "commit" });
      await page.locator("#status[data-phase=ready]").waitFor();
      const [wall, cpu] = [performance.now() - start, (await spent()) - before];
      // The editor comes when it is looked at.
      expect(asked.filter((url) => /\/code-[^/]*\.js$/.test(url))).toEqual([]);
      await context.close();
      return { wall, cpu };
    };
    const { wall, cpu } = await open(1);
    const slow = await open(4);
    const text = `${Math.round(wall)} ms, ${Math.round(cpu)} ms of CPU in all its threads`;
    console.log(`first lab: ${text}; with the page's thread slowed 4 times: ${Math.round(slow.wall)} ms`);
    // Where others use the machine too, what it takes is what counts.
    expect(Math.min(wall, cpu)).toBeLessThan(2000);
  });
});
