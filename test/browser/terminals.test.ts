/** Terminals in a browser: on hosts and containers, side by side; completion, keys, and the way out of them. */
import { expect, it } from "vitest";
import { chooseTerminal, describePage, runAll, terminalText, typeLine } from "../support/page.ts";

describePage("terminals", ({ openPage }) => {
  it("completes with Tab, lists what fits, and lets Tab go on where nothing is typed or behind Escape", async () => {
    const { page, leave } = await openPage("standalone");
    await chooseTerminal(page, "host1");
    await page.keyboard.type("docker net");
    await page.keyboard.press("Tab");
    await expect.poll(() => terminalText(page, "host1")).toBe("host1$ docker network");
    await page.keyboard.type("c");
    await page.keyboard.press("Tab");
    await expect.poll(() => terminalText(page, "host1")).toBe("host1$ docker network c");
    await page.keyboard.press("Tab");
    await expect.poll(() => terminalText(page, "host1")).toBe("connect  create\nhost1$ docker network c");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement?.closest('.panel') === null")).toBe(true);
    await chooseTerminal(page, "host1");
    await page.keyboard.press("Control+u");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement?.closest('.panel') === null")).toBe(true);
    await leave();
  });

  it("runs commands on two hosts at the same time, and interrupts the one that is asked to end", async () => {
    const { page, leave } = await openPage("standalone");
    await chooseTerminal(page, "host2");
    await typeLine(page, "tcpdump -n -i eth0 icmp");
    await expect.poll(() => terminalText(page, "host2")).toContain("listening on eth0");
    await chooseTerminal(page, "host1");
    await typeLine(page, "ping -c 2 192.168.77.12");
    await expect.poll(() => terminalText(page, "host1")).toContain("2 received, 0% packet loss");
    await chooseTerminal(page, "host2");
    await expect.poll(() => terminalText(page, "host2")).toContain("ICMP echo reply");
    await page.keyboard.press("Control+c");
    await expect.poll(() => terminalText(page, "host2")).toMatch(/4 packets captured[\s\S]*host2\$$/);
    await leave();
  });

  it("a step leaves a container's terminal open: a tab of its own, on which steps and the user type", async () => {
    const { page, leave } = await openPage("standalone");
    for (let step = 1; step <= 6; step++) {
      await page.click("#step");
      await page.locator("#status[data-phase=ready]", { hasText: `step ${step} of` }).waitFor();
    }
    await chooseTerminal(page, "host1");
    expect(await terminalText(page, "host1")).toMatch(/host1\$ docker run -it .* alpine\nhost1\$$/);
    await chooseTerminal(page, "host1/alpine1");
    expect(await terminalText(page, "host1/alpine1")).toBe("/ #");
    await typeLine(page, "cd /etc");
    await expect.poll(() => terminalText(page, "host1/alpine1")).toBe("/ # cd /etc\n/etc #");
    await page.keyboard.type("cat hostn");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await expect.poll(() => terminalText(page, "host1/alpine1")).toMatch(/cat hostname\n[0-9a-f]{12}\n\/etc #$/);
    await runAll(page);
    expect(await page.locator("#status").textContent()).not.toContain("not as expected");
    expect(await terminalText(page, "host1/alpine1")).toMatch(
      /\/etc # ping -c 2 alpine2[\s\S]*\/etc # exit\n\[no shell runs/,
    );
    await leave();
  });

  it("opens a terminal on a container and a second one on a host with the keyboard, and closes them", async () => {
    const { page, leave } = await openPage("standalone");
    await chooseTerminal(page, "host1");
    await typeLine(page, "docker run -d --name web nginx");
    await expect.poll(() => terminalText(page, "host1")).toMatch(/[0-9a-f]{64}\nhost1\$$/);
    const open = async (filter: string, another = false): Promise<void> => {
      await page.getByRole("button", { name: "Open a terminal" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      await page.keyboard.type(filter);
      if (another) await page.getByLabel("Another one").check();
      await page.getByRole("dialog").getByRole("searchbox").focus();
      await page.keyboard.press("Enter");
    };
    await open("web");
    await expect
      .poll(() => terminalText(page, "host1/web"))
      .toMatch(/docker exec -it web bash\nroot@[0-9a-f]{12}:\/#$/);
    await page.keyboard.type("exit\n");
    await expect.poll(() => terminalText(page, "host1/web")).toContain("[no shell runs; Enter starts one]");
    await page.keyboard.press("Enter");
    await expect.poll(() => terminalText(page, "host1/web")).toMatch(/\[no shell[\s\S]*root@[0-9a-f]{12}:\/#$/);
    await open("host1", true);
    await expect.poll(() => terminalText(page, "host1 (2)")).toBe("host1$");
    await typeLine(page, "hostname");
    await expect.poll(() => terminalText(page, "host1 (2)")).toBe("host1$ hostname\nhost1\nhost1$");
    await page.getByRole("tab", { name: "host1 (2)" }).focus();
    await page.keyboard.press("Delete");
    expect(await page.getByRole("tab", { name: "host1 (2)" }).count()).toBe(0);
    await leave();
  });
});
