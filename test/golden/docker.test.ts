/**
 * What docker printed in A-swarm-init and B-standalone-attachable, and what it prints here after the same steps: order of fields, values,
 * layout.
 *
 * What can't be equal, and stands as a word in what is compared: ids, tokens, times and what is told of them ("6 minutes ago"), the
 * gossip's node names, random MACs. What is another: worker-2 isn't here; Debian's version string has "+dfsg1"; paths and settings of
 * storage drivers and of the Linux distribution (listed where they are left out).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";
import { cells, type Json, leaves, settled } from "./outputs.ts";
import { goldenCommands, type Ran, Scenario } from "./scenario.ts";

const A = "A-swarm-init/manager/commands.txt";
const B = "B-standalone-attachable";

/** Rows of another machine of the capture, and trailing blanks of columns that they made wider. */
function withoutThird(text: string): string {
  return text
    .split("\n")
    .filter((line) => !line.includes("worker-2"))
    .map((line) => line.trimEnd())
    .join("\n");
}

const THIRD_PEER = { Name: "NODE", IP: "192.168.77.13" };

/** A list without the capture's third machine. Tasks come in the random order of a Go map: here in order of address. */
function comparable(key: string, item: Json): Json {
  if (!Array.isArray(item)) return item;
  const text = (one: Json): string => JSON.stringify(one);
  if (key === "Peers") return item.filter((peer) => text(peer) !== text(THIRD_PEER));
  const ip = (task: Json): string => /"EndpointIP":"([^"]*)"/.exec(text(task))?.[1] ?? "";
  if (key !== "Tasks") return item;
  return item.filter((task) => !text(task).includes("192.168.77.13")).sort((x, y) => (ip(x) < ip(y) ? -1 : 1));
}

function parse(text: string): Json {
  return JSON.parse(settled(text), comparable) as Json;
}

describe.skipIf(!goldenAvailable)(goldenTitle("docker's output"), () => {
  let lab: Scenario;
  const ran = new Map<string, Ran[]>();

  async function type(host: string, command: string): Promise<Ran> {
    const result = await lab.run(host, command);
    ran.set(`${host} ${command}`, [...(ran.get(`${host} ${command}`) ?? []), result]);
    return result;
  }

  /** The nth printing of a command in a golden transcript and here. */
  function both(path: string, host: string, command: string, at = 0): [golden: string, ours: string] {
    const golden = goldenCommands(path).filter((one) => one.command === command)[at];
    const ours = ran.get(`${host} ${command}`)?.[at];
    if (golden === undefined || ours === undefined) throw new Error(`${command} was not run ${at + 1} times`);
    return [golden.output, ours.stdout + ours.stderr];
  }

  beforeAll(async () => {
    lab = await Scenario.start();
    await type("manager", "docker swarm init --advertise-addr 192.168.77.11");
    const token = await type("manager", "docker swarm join-token worker");
    await type("manager", "docker swarm join-token manager");
    const join = /docker swarm join .*/.exec(token.stdout)?.[0] ?? "";
    await lab.run("worker-1", join);
    await lab.wait(5);
    await type("manager", "docker node ls");
    await type("manager", "docker network inspect ingress");
    await type("manager", "docker network inspect docker_gwbridge");
    for (const host of ["manager", "worker-1"]) await type(host, "docker network ls");
    // B
    await type("manager", "docker network create --driver=overlay --attachable test-net");
    for (const host of ["manager", "worker-1"]) await type(host, "docker network ls");
    await type("manager", "docker run -dit --name alpine1 --network test-net alpine");
    await type("manager", "docker network ls");
    await type("manager", "docker network inspect test-net");
    await type("worker-1", "docker run -dit --name alpine2 --network test-net alpine");
    await type("worker-1", "docker network ls");
    await type("worker-1", "docker network inspect test-net");
    for (const host of ["manager", "worker-1"]) {
      for (const name of NETWORKS) await type(host, `docker network inspect -v ${name}`);
      await type(host, `docker inspect ${host === "manager" ? "alpine1" : "alpine2"}`);
    }
    await type("manager", "docker stop -t 1 alpine1");
    await type("worker-1", "docker stop -t 1 alpine2");
    await lab.wait(5);
    for (const [host, container] of [
      ["manager", "alpine1"],
      ["worker-1", "alpine2"],
    ] as const) {
      await type(host, "docker network ls");
      await type(host, "docker ps -a");
      await type(host, `docker rm ${container}`);
      await type(host, "docker network ls");
    }
    await type("manager", "docker network rm test-net");
    await type("manager", "docker network ls");
  });
  afterAll(async () => await lab?.close());

  it.each([
    "docker swarm init --advertise-addr 192.168.77.11",
    "docker swarm join-token worker",
    "docker swarm join-token manager",
  ])("%s", (command) => {
    const [golden, ours] = both(A, "manager", command);
    expect(settled(ours)).toBe(settled(golden));
  });

  it("node ls", () => {
    const [golden, ours] = both(A, "manager", "docker node ls");
    expect(withoutThird(settled(ours))).toBe(withoutThird(settled(golden)));
  });

  it.each(["ingress", "docker_gwbridge"])("network inspect %s, in the swarm", (name) => {
    const [golden, ours] = both(A, "manager", `docker network inspect ${name}`);
    expect(leaves(parse(ours))).toEqual(leaves(parse(golden)));
  });

  it.each(["manager", "worker-1"])("%s: network ls at each step, run, stop, rm", (host) => {
    const path = `${B}/${host}/commands.txt`;
    const steps = goldenCommands(path).filter(({ command }) => !/ps -a|inspect/.test(command));
    expect(steps.length).toBeGreaterThan(6);
    // The first listing here was in A.
    const seen = new Map<string, number>([["docker network ls", 1]]);
    for (const { command, output } of steps) {
      const at = seen.get(command) ?? 0;
      seen.set(command, at + 1);
      const ours = ran.get(`${host} ${command}`)?.[at];
      expect(settled((ours?.stdout ?? "") + (ours?.stderr ?? "")), `${command}, ${at}`).toBe(settled(output));
    }
  });

  it.each(["manager", "worker-1"])("%s: ps -a after the stop", (host) => {
    const [golden, ours] = both(`${B}/${host}/commands.txt`, host, "docker ps -a").map((text) =>
      cells(settled(text)).map((row) => row.map((cell) => cell.replace(/(About a|\d+) (second|minute)s? ago/g, "AGO"))),
    );
    expect(ours).toEqual(golden);
  });

  it.each(["manager", "worker-1"])("%s: network inspect test-net, to the letter", (host) => {
    const [golden, ours] = both(`${B}/${host}/commands.txt`, host, "docker network inspect test-net");
    expect(settled(ours)).toBe(settled(golden));
  });

  it.each(["manager", "worker-1"])("%s: network inspect -v of all networks", (host) => {
    const blocks = goldenText(`${B}/${host}/state-1-before-traffic/docker-network-inspect.txt`)
      .split(/^### /m)
      .slice(1);
    expect(blocks.map((block) => block.slice(0, block.indexOf("\n")))).toEqual(
      NETWORKS.map((name) => `docker network inspect -v ${name}`),
    );
    for (const block of blocks) {
      const [command = "", ...body] = block.split("\n");
      const ours = ran.get(`${host} ${command}`)?.[0]?.stdout ?? "";
      expect(leaves(parse(ours)), command).toEqual(leaves(parse(body.join("\n"))));
    }
  });

  it.each([
    ["manager", "alpine1"],
    ["worker-1", "alpine2"],
  ])("%s: inspect of %s, what is there in the same order with the same values", (host, container) => {
    const golden = leaves(parse(goldenText(`${B}/${host}/state-1-before-traffic/docker-inspect-containers.txt`)));
    const ours = leaves(parse(ran.get(`${host} docker inspect ${container}`)?.[0]?.stdout ?? ""));
    const compared = (list: readonly string[]) => list.filter((leaf) => !MACHINE.test(leaf));
    const shared = compared(golden).filter((leaf) => ours.includes(leaf));
    expect(compared(ours)).toEqual(shared);
    expect(shared.length).toBeGreaterThan(60);
  });
});

const NETWORKS = ["bridge", "docker_gwbridge", "host", "ingress", "none", "test-net"];

/** Process ids; the capture's machines ran without AppArmor; its image has another history and its files lie elsewhere. */
const MACHINE = /^\/0\/(State\/Pid|AppArmorProfile|GraphDriver|Image|Config\/(Image|Env|WorkingDir)|LogPath)/;
