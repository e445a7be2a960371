/**
 * Every command of I-errors typed in a lab of the same three hosts, in the capture's order: before the swarm, on a worker, at and after
 * leaving it, and joins that fail. Output and status are compared.
 *
 * What can't be equal, and stands as a word: ids, tokens, times. Further:
 * - `docker swarm leave` on worker-1 took longer than its 15 s on the captured, emulated machine ("context deadline exceeded") and is
 *   checked for what it is on a fast one; `network ls` after it likewise;
 * - the network of the capture's nginx-net-2 was the fourth one, and its ingress was made by hand and named my-ingress;
 * - `network inspect` lists tasks and peers under random ids: test/golden/docker.test.ts compares what is in it.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenAvailable, goldenTitle } from "../support/golden.ts";
import { settled } from "./outputs.ts";
import { type GoldenCommand, goldenCommands, type Ran, Scenario } from "./scenario.ts";

const HOSTS = ["manager", "worker-1", "worker-2"] as const;
const GOLDEN_TOKEN = /SWMTKN-1-4c6wlz8jvw7i26cqhz297yk5duxlcb6e0rgor0sj5lqt9nmr0r-3bfpxmzche5kjly9fe4bgcfr4/;
const [GOLDEN_DIGEST, GOLDEN_SECRET] = [
  "4c6wlz8jvw7i26cqhz297yk5duxlcb6e0rgor0sj5lqt9nmr0r",
  "3bfpxmzche5kjly9fe4bgcfr",
] as const;

interface Pair {
  readonly golden: GoldenCommand;
  readonly ours: Ran;
}

function text(output: string): string {
  return (
    settled(output)
      .replace(/time="[^"]+"/, 'time="TIME"')
      .replace(/my-ingress {3}/, "ingress      ")
      // A race of the docker command with itself: worker-1's didn't print it.
      .replace(/^time="TIME" level=error msg="error waiting for container: context canceled"\n/m, "")
      .trimEnd()
  );
}

describe.skipIf(!goldenAvailable)(goldenTitle("refusals, typed in a lab"), () => {
  let lab: Scenario;
  const pairs = new Map<string, Pair[]>();
  let token = "";
  let left: Ran;

  /** The captured command with this swarm's tokens in place of the capture's. */
  function translated(command: string): string {
    const [, , digest = "", secret = ""] = token.split("-");
    // The capture's wrong secret differs in its last digit.
    const wrong = secret.slice(0, -1) + (secret.endsWith("0") ? "1" : "0");
    return command
      .replace(GOLDEN_TOKEN, token)
      .replace(GOLDEN_DIGEST, digest)
      .replace(`${GOLDEN_SECRET}4`, secret)
      .replace(`${GOLDEN_SECRET}0`, wrong);
  }

  /** @param from commands before this one are left out */
  async function transcript(path: string, before?: (command: string) => Promise<void>, from = 0): Promise<void> {
    const ran: Pair[] = [];
    for (const golden of goldenCommands(`I-errors/${path}`).slice(from)) {
      await before?.(golden.command);
      // The captured commands had no terminal: a question reads the end of file.
      const ours = await lab.run(golden.host, translated(golden.command), golden.exit, "");
      ran.push({ golden, ours });
    }
    pairs.set(path, ran);
  }

  beforeAll(async () => {
    lab = await Scenario.start("hosts: { manager: {}, worker-1: {}, worker-2: {} }");
    for (const host of HOSTS) {
      await transcript(`${host}/pre-swarm.txt`);
      await transcript(`${host}/help.txt`);
    }
    await lab.run("manager", "docker swarm init");
    token = (await lab.run("manager", "docker swarm join-token -q worker")).stdout.trim();
    for (const host of ["worker-1", "worker-2"])
      await lab.run(host, `docker swarm join --token ${token} 192.168.77.11:2377`);
    await lab.wait(5);
    await lab.run("manager", "docker network create -d overlay nginx-net-2");
    await lab.run(
      "manager",
      "docker service create -d --name my-nginx --replicas 5 --network nginx-net-2 alpine sleep 1d",
    );
    await lab.wait(20);
    await transcript("worker-1/in-swarm.txt", async (command) => {
      // The manager had removed both by then (so "not found" below), while the tasks took their time to stop.
      if (command !== "docker network rm nginx-net-2") return;
      await lab.run("manager", "docker service rm my-nginx; docker network rm nginx-net-2");
    });
    await lab.wait(20);
    await transcript("worker-2/leave-join.txt");
    left = await lab.run("worker-1", "docker swarm leave");
    await transcript("worker-1/leave-join.txt", undefined, 1);
  }, 120_000);
  afterAll(async () => await lab?.close());

  it.each(HOSTS)("%s: before the swarm", (host) => {
    const ran = pairs.get(`${host}/pre-swarm.txt`) ?? [];
    expect(ran.length).toBeGreaterThanOrEqual(10);
    for (const { golden, ours } of ran)
      expect(text(ours.stdout + ours.stderr), golden.command).toBe(text(golden.output));
  });

  it.each(HOSTS)("%s: help, to the letter", (host) => {
    const ran = pairs.get(`${host}/help.txt`) ?? [];
    expect(ran.length).toBe(13);
    for (const { golden, ours } of ran) expect(ours.stdout + ours.stderr, golden.command).toBe(golden.output);
  });

  it("worker-1: in the swarm", () => {
    const ran = pairs.get("worker-1/in-swarm.txt") ?? [];
    expect(ran.length).toBe(12);
    for (const { golden, ours } of ran)
      if (!golden.command.includes("network inspect"))
        expect(text(ours.stdout + ours.stderr), golden.command).toBe(text(golden.output));
  });

  it("worker-2: leaves, and joins that fail", () => {
    const ran = pairs.get("worker-2/leave-join.txt") ?? [];
    expect(ran.length).toBe(13);
    for (const { golden, ours } of ran)
      expect(text(ours.stdout + ours.stderr), golden.command).toBe(text(golden.output));
  });

  it("worker-1: leaves", () => {
    expect(left.stdout + left.stderr).toBe("Node left the swarm.\n");
    const [list, nodes] = pairs.get("worker-1/leave-join.txt") ?? [];
    expect(list?.ours.stdout).not.toMatch(/ingress|overlay/);
    expect(list?.ours.stdout).toContain("docker_gwbridge");
    expect(nodes?.ours.stderr).toBe(nodes?.golden.output);
  });
});
