/** Packets as in Wireshark, with its dissectors beside the page and without them. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { describePage, runAll } from "../support/page.ts";

const text = (page: Page, selector: string): Promise<string | null> => page.locator(selector).first().textContent();
/** Dissectors take their time on a busy machine. */
const soon = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 20_000 });
const displayed = (page: Page) => soon(() => text(page, "#displayed"));

async function filter(page: Page, wanted: string): Promise<void> {
  await page.fill("#filter", wanted);
  await page.press("#filter", "Enter");
}

/** Which bytes are marked as the selected field's. */
const chosen = (page: Page): Promise<string[]> => page.locator("#bytes .panel:not([hidden]) .chosen").allTextContents();

describePage("packets as in Wireshark", ({ openPage }) => {
  it("looks into ESP with Wireshark's dissectors, from the keyboard", async () => {
    const { page, leave } = await openPage("encrypted", { dissectors: true });
    await runAll(page);
    await displayed(page).toBe("1,436 packets");
    await page.getByRole("button", { name: "Load Wireshark's dissectors (20 MB)" }).click();
    await page.locator("#dissectors[data-state=ready]").waitFor();
    expect(await text(page, "#dissectors")).toMatch(/^Wireshark \d/);

    // A name completed, a filter that is wrong, one that is right.
    await page.keyboard.press("Escape");
    await page.locator(".rows").focus();
    await page.keyboard.press("/");
    await page.keyboard.type("icmp.typ");
    const offers = page.locator("#filter-offers [role=option]");
    await soon(() => offers.allTextContents()).toEqual(["icmp.typeType", "icmp.type.deprecatedType is deprecated"]);
    expect(await page.locator("#filter").getAttribute("data-check")).toBe("wrong");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await page.inputValue("#filter")).toBe("icmp.type");
    await page.keyboard.type(" == 8 &&");
    await soon(() => text(page, "#filter-problem")).toBe("Unexpected end of filter expression.");
    await page.keyboard.press("Enter");
    await displayed(page).toBe("1,436 packets");
    await page.keyboard.type(" esp");
    await soon(() => page.locator("#filter").getAttribute("data-check")).toBe("ok");
    await page.keyboard.press("Enter");
    await displayed(page).toBe("24 of 1,436 displayed");

    // The first ping: its row, its tree, its bytes in what was decrypted.
    await page.keyboard.press("Escape");
    await page.keyboard.press("Home");
    await soon(() => text(page, '.rows [aria-selected="true"]')).toMatch(/10\.0\.1\.4ICMP174Echo \(ping\) request/);
    const icmp = page.getByRole("treeitem", { name: /^Internet Control Message Protocol/ });
    await icmp.waitFor();
    await page.keyboard.press("Enter");
    for (const key of ["End", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
    expect(await text(page, ".field")).toBe("icmp.type, 1 byte");
    expect(await page.getByRole("tab", { name: "Decrypted Data (116 bytes)" }).getAttribute("aria-selected")).toBe(
      "true",
    );
    expect((await chosen(page))[0]).toBe("08 ");
    await leave();
  });

  it("goes from bytes to fields, from fields to filters, and keeps up with a run", async () => {
    const { page, leave } = await openPage("standalone", { dissectors: true });
    await page.click("#load-dissectors");
    await page.locator("#dissectors[data-state=ready]").waitFor();
    await filter(page, "arp");
    await runAll(page);
    await displayed(page).toBe("4 of 884 displayed");
    await filter(page, "tcp.flags.syn == 1");
    await displayed(page).toBe("56 of 884 displayed");
    await page.locator(".rows").focus();
    await page.keyboard.press("Home");
    await page.getByRole("treeitem", { name: /^Transmission Control/ }).waitFor();
    // The destination port: bytes 36 and 37.
    await soon(async () => {
      // The packet may be read anew between the click and its answer, with what has been captured since.
      await page.locator('#bytes [data-at="37"]').first().click();
      return await page.locator('[role=treeitem][aria-selected="true"]').allTextContents();
    }).toEqual(["Destination Port: 2377"]);
    expect((await chosen(page)).slice(0, 2)).toEqual(["09 ", "49 "]);
    await page.locator("[role=tree]").focus();
    await page.keyboard.press("Shift+F10");
    await page.getByRole("menuitem", { name: "Apply as filter", exact: true }).press("Enter");
    expect(await page.inputValue("#filter")).toBe("tcp.dstport == 2377");
    await displayed(page).toMatch(/^(?!56 )\d+ of 884 displayed$/);
    const ports = await page.locator(".rows .row").allTextContents();
    expect(ports.length).toBeGreaterThan(5);
    expect(ports.filter((row) => !row.includes("→ 2377"))).toEqual([]);
    // Wireshark's choice of filters, colours and names.
    expect(await page.locator(".rows .row").first().getAttribute("style")).toMatch(/--row-back: #[0-9a-f]{6}/);
    await page.getByRole("button", { name: "Names", exact: true }).click();
    await soon(() => text(page, ".rows .row")).toContain("host2host1TCP");
    await leave();
  });

  it("without them: its own list, a filter of words, and nothing on the console", async () => {
    const { page, leave } = await openPage("encrypted");
    await runAll(page);
    expect(await text(page, "#dissectors")).toBe("swarmwire's own summaries");
    expect(await page.locator("#load-dissectors").isVisible()).toBe(false);
    await filter(page, "proto=esp on=host1");
    await displayed(page).toMatch(/^\d\d+ of 1,436 displayed$/);
    await page.locator(".rows").focus();
    await page.keyboard.press("Home");
    await soon(() => text(page, '.rows [aria-selected="true"]')).toMatch(
      /ESP\d+ESP\(spi=0x[0-9a-f]{8},seq=0x1\), length \d+host1\/host\/eth0$/,
    );
    await soon(() => text(page, "pre.fields")).toMatch(/ethertype IPv4 .*proto ESP \(50\)/);
    await soon(() => text(page, "#bytes")).toMatch(/^0000 {2}([0-9a-f]{2} ){8}/);
    await page.locator(".rows").focus();
    await page.keyboard.press("Shift+F10");
    await page.getByRole("menuitem", { name: "Apply as filter: source 192.168.77.11" }).press("Enter");
    expect(await page.inputValue("#filter")).toBe("src=192.168.77.11");
    await displayed(page).toMatch(/^\d\d\d of 1,436 displayed$/);
    await filter(page, "nonsense=1");
    await soon(() => text(page, "#filter-problem")).toMatch(/^filter: nonsense=: expected one of host=/);
    await leave();
  });
});
