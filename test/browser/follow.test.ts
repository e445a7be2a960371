/** The life of a packet in the page: the strip of a ping over an overlay, and a drop with the entry behind it. */
import { expect, it } from "vitest";
import { describePage, runAll } from "../support/page.ts";

describePage("following packets", ({ openPage }) => {
  it("a ping over an overlay, with the keyboard", async () => {
    const { page, leave } = await openPage("standalone", { address: "&seed=1" });
    await runAll(page);
    const strip = page.getByRole("listbox", { name: /stages/i });
    const titles = () => strip.locator(".strip-title").allTextContents();
    await page.locator("#packets input").first().fill("echo request");
    await page.keyboard.press("Enter");
    const row = page.locator("#packets .rows .row", { hasText: /echo request/i }).first();
    await row.click();
    await page.keyboard.press("f");
    await expect.poll(titles).toContain("VXLAN encap");
    const shown = await titles();
    expect(shown.slice(0, 4)).toEqual(["output", "waits for ARP", "neighbour", "eth0 out"]);
    expect(shown.at(-1)).toBe("delivered: ICMP");
    const lanes = await strip.locator(".strip-label").allInnerTexts();
    expect(lanes.map((text) => text.replace(/\s+/g, " ").trim())).toEqual([
      "host1 alpine1",
      "host1 test-net",
      "host1 host",
      "host2 host",
      "host2 test-net",
      "host2 alpine2",
    ]);
    // The strip has the focus, the end is chosen; Home goes to the begin, and the detail says what stands behind it.
    expect(await page.evaluate("document.activeElement.getAttribute('role')")).toBe("listbox");
    await page.keyboard.press("Home");
    const detail = page.locator(".stage-detail");
    await expect.poll(() => detail.textContent()).toContain("ip route show match 10.0.1.4");
    // The lab has removed the container.
    expect(await detail.textContent()).toContain("(the namespace is gone)");
    expect(await strip.locator('[aria-selected="true"]').count()).toBe(1);
    // The table says the same, and its copy that was for the load balancer.
    const table = page.getByRole("treegrid");
    expect(await table.locator("tbody tr").count()).toBe(shown.length + 1);
    await table.locator("tr.branch").focus();
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => table.locator("tbody tr.drop").textContent()).toContain("OTHERHOST");
    // Answered by another packet, a click away.
    await page.getByRole("button", { name: /caused: .*echo reply/i }).click();
    await expect.poll(() => page.locator(".follow-summary").first().textContent()).toMatch(/echo reply.*delivered/i);
    await leave();
  });

  it("a drop, from the list of them, with the rule that did it", async () => {
    const { page, leave } = await openPage("esp-blocked");
    await runAll(page);
    await page.getByRole("tab", { name: "Drops" }).click();
    const drops = page.getByRole("grid", { name: /dropped/i });
    const ruled = drops.locator("tbody tr", { hasText: "NETFILTER_DROP" }).first();
    await ruled.click();
    expect(await drops.locator("tbody tr", { hasText: "OTHERHOST" }).count()).toBe(0);
    await page.locator("#drops-all").check();
    await expect.poll(() => drops.locator("tbody tr", { hasText: "OTHERHOST" }).count()).toBeGreaterThan(0);
    await ruled.click();
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator(".strip-box.drop").textContent()).toContain("NETFILTER_DROP");
    const detail = page.locator(".stage-detail");
    await expect.poll(() => detail.textContent()).toContain("DROP, rule 1 of filter INPUT");
    // The lab took the rule away again: as it stands now, the chain has another first rule, or none.
    await expect.poll(() => detail.textContent()).toMatch(/iptables -t filter -S INPUT, as it stands at/);
    await page.locator("#stage-table").click();
    await expect.poll(() => page.getByRole("tab", { name: "Tables" }).getAttribute("aria-selected")).toBe("true");
    await leave();
  });

  it("without every hop there are the points of the trace", async () => {
    const { page, leave } = await openPage("standalone");
    await page.getByRole("tab", { name: "Packet", exact: true }).click();
    expect(await page.locator("#record-hops").isChecked()).toBe(true);
    await page.locator("#record-hops").uncheck();
    await expect.poll(() => page.locator("#record-hops").isChecked()).toBe(false);
    await page.locator("#status", { hasText: "step 0 of" }).waitFor();
    await page.click("#step");
    await page.locator("#status", { hasText: "step 1 of" }).waitFor();
    for (const _ of [2, 3]) await page.click("#step");
    await page.locator("#packets .rows .row").first().click();
    await page.keyboard.press("f");
    const said = page.locator(".follow-summary").first();
    await expect.poll(() => said.textContent()).toContain("Only the points of the trace were recorded.");
    await leave();
  });
});
