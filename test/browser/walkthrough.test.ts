/** Walk-throughs typed in the page's terminals, key by key: what comes, and the trace, are what `swarmwire shell` makes of the same lines. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { chooseTerminal, describePage, ROOT, saved, terminalText, typeLine } from "../support/page.ts";

/** A host, and the line that is typed on its terminal: `$token` stands for the swarm's. */
type Line = readonly [host: string, line: string];

const JOIN = "docker swarm join --token $token 192.168.77.11:2377";

/** The walk-through for standalone containers of Docker's documentation. */
const STANDALONE: readonly Line[] = [
  ["host1", "docker swarm init"],
  ["host1", "docker swarm join-token -q worker"],
  ["host2", JOIN],
  ["host1", "docker network create --driver=overlay --attachable test-net"],
  ["host1", "docker run -it --name alpine1 --network test-net alpine"],
  ["host2", "docker network ls"],
  ["host2", "docker run -dit --name alpine2 --network test-net alpine"],
  ["host2", "docker network ls"],
  ["host1", "ping -c 2 alpine2"],
  ["host2", "docker run -it --rm --name alpine3 --network test-net alpine"],
  ["host2", "ping -c 2 alpine1"],
  ["host2", "exit"],
  ["host1", "exit"],
  ["host2", "docker container stop alpine2"],
  ["host2", "sleep 5"],
  ["host2", "docker network ls"],
  ["host2", "docker container rm alpine2"],
  ["host1", "docker container rm alpine1"],
  ["host1", "docker network rm test-net"],
];

/** The routing mesh, and dnsrr beside it. */
const MESH: readonly Line[] = [
  ["manager", "docker swarm init"],
  ["manager", "docker swarm join-token -q worker"],
  ["worker-1", JOIN],
  ["worker-2", JOIN],
  ["manager", "docker network create -d overlay my-net"],
  ["manager", "docker service create --name everywhere --mode global --publish 80:80 --network my-net traefik/whoami"],
  ["worker-1", "for i in 1 2 3; do curl -s http://localhost/ | grep Hostname; done | sort -u | wc -l"],
  ["worker-2", "curl -s http://192.168.77.11/ | head -1"],
  [
    "manager",
    "docker service create --name list --endpoint-mode dnsrr --publish 81:80 --network my-net traefik/whoami",
  ],
  ["manager", "docker service create --name list --endpoint-mode dnsrr --replicas 4 --network my-net traefik/whoami"],
  ["manager", "docker service create --name client --constraint node.role==manager --network my-net alpine sleep 1d"],
  ["manager", "docker exec $(docker ps -q --filter name=client) dig +short list | wc -l"],
  ["manager", "docker exec $(docker ps -q --filter name=client) dig +short tasks.everywhere | wc -l"],
  ["manager", "ipvsadm -Ln"],
  ["manager", "docker network rm ingress"],
  ["manager", "n"],
];

/** What `swarmwire shell` prints of these lines on hosts on which nothing was done yet, and its trace. */
function typedInNode(name: string, lines: readonly Line[], token: string) {
  const folder = mkdtempSync(join(tmpdir(), "swarmwire-walk-"));
  try {
    const [lab, trace] = [join(folder, "lab.yaml"), join(folder, "trace.pcapng")];
    const text = readFileSync(join(ROOT, `src/lab/gallery/${name}.yaml`), "utf8");
    writeFileSync(lab, text.slice(0, text.indexOf("\nsteps:")));
    let last = lines[0]?.[0];
    const input = lines.flatMap(([host, line]) => {
      const go = host === last ? [] : [`@${host}`];
      last = host;
      return [...go, line.replace("$token", token)];
    });
    const { stdout } = spawnSync(process.execPath, ["bin/swarmwire.js", "shell", lab, "--pcap", trace], {
      cwd: ROOT,
      encoding: "utf8",
      input: `${input.join("\n")}\n`,
    });
    // Going from host to host is not of the hosts' doing, nor is the prompt that waits for a next line.
    const hosts = [...new Set(lines.map(([host]) => host))].join("|");
    const moves = new RegExp(`^(?:(?:${hosts})\\$ )?@(?:${hosts})\n`, "gm");
    const output = stdout.replace(/(\/ # )@\S+\n/g, "$1\n").replace(moves, "");
    return { output: output.replace(/\n\S+\$ \n$/, "\n"), trace: readFileSync(trace) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Waits until time stands again, later than it was. A second passes behind a command: what is typed within it comes
 * earlier than the command would take it.
 */
async function stands(page: Page, before: string | null): Promise<void> {
  let last = before;
  const look = async (): Promise<boolean> => {
    const phase = await page.locator("#status").getAttribute("data-phase");
    const now = await page.locator("#clock").textContent();
    const stood = phase === "ready" && now !== before && now === last;
    last = now;
    return stood;
  };
  await expect.poll(look, { timeout: 20_000, interval: 300 }).toBe(true);
}

/** Types lines on the terminals, each as soon as there is a prompt for it. @returns the token */
async function typeAll(page: Page, lines: readonly Line[]): Promise<string> {
  let token = "";
  let last: string | undefined;
  for (const [host, line] of lines) {
    if (host !== last) await chooseTerminal(page, host);
    last = host;
    const before = await page.locator("#clock").textContent();
    await typeLine(page, line.replace("$token", token));
    const prompt = /^(\S+\$|\S* ?#|Are you sure .*\[y\/N\])$/;
    await expect
      .poll(async () => (await terminalText(page, host)).split("\n").at(-1), { timeout: 20_000, interval: 20 })
      .toMatch(prompt);
    await stands(page, before);
    const text = (await terminalText(page, host)).replaceAll("\n", "");
    token ||= /SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}(?=host1|manager)/.exec(text)?.[0] ?? "";
  }
  return token;
}

describePage("walk-throughs", ({ openPage }) => {
  it.each<[string, readonly Line[], RegExp]>([
    ["docs/002-standalone", STANDALONE, /2 packets transmitted, 2 packets received[\s\S]*2 packets received/],
    ["docs/004-dnsrr", MESH, /overall progress: 3 out of 3 tasks[\s\S]*verify: Service converged/],
  ])("%s: what is typed gives what it gives in the command, and the same trace", async (name, lines, shown) => {
    const { page, leave } = await openPage(name);
    const token = await typeAll(page, lines);
    expect(token).not.toBe("");
    const trace = await saved(page, "#save-trace");
    const text = (await saved(page, "#save-text")).toString();
    await leave();
    const expected = typedInNode(name, lines, token);
    expect(text.replace(/^\[\S+\] (?=\/ # )/gm, "")).toBe(expected.output);
    expect(text).toMatch(shown);
    expect(trace.equals(expected.trace)).toBe(true);
  });
});
