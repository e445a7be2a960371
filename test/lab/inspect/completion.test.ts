/** What Tab offers on the hosts of a lab that runs, without an effect on what happens there. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../../src/base/time.ts";
import { createMachine } from "../../../src/lab/machine.ts";
import { parseLab } from "../../../src/lab/parse.ts";
import { LabSession } from "../../../src/lab/session.ts";
import { loadKernel } from "../../../src/scheduler/node-adapter.ts";

const LAB = "hosts: { host1: {}, host2: {} }\n";

async function swarm(): Promise<LabSession> {
  const session = await LabSession.start(parseLab("test", LAB), {
    module: await loadKernel(),
    machines: createMachine,
  });
  const type = (command: string) => session.command("host1", { command }, session.cluster.now + 60 * SEC, () => {});
  await type("docker swarm init");
  await type("docker network create -d overlay --attachable net1");
  await type("docker service create --name web --network net1 nginx");
  await type("docker stack ls");
  await type("docker run -dit --name alpine1 --network net1 alpine");
  await type("cd /etc");
  return session;
}

describe("completion on a host", () => {
  it("knows the engine, the swarm, the shell's directory, and containers", async () => {
    const session = await swarm();
    const offers = async (line: string, container?: string, cwd?: string, host = "host1") => {
      const [answer] = await session.inspect([host], { kind: "completion", line, container, cwd });
      return answer?.candidates.map((word) => word.trimEnd());
    };
    try {
      const before = JSON.stringify(await session.cluster.counters());
      expect(await offers("docker network inspect n")).toEqual(["none", "net1"]);
      expect(await offers("docker service rm ")).toEqual(["web"]);
      expect(await offers("docker node ps ")).toEqual(["self", "host1"]);
      expect(await offers("docker stop al")).toEqual(["alpine1"]);
      expect(await offers("docker exec alpine1 tracer")).toEqual(["traceroute"]);
      expect(await offers("cat hostn")).toEqual(["hostname"]);
      expect(await offers("ip link show docker")).toEqual(["docker0", "docker_gwbridge"]);
      expect(await offers("nsenter --net=/run/docker/netns/ing")).toEqual(["/run/docker/netns/ingress_sbox"]);
      expect(await offers("dock", "alpine1")).toEqual([]);
      expect(await offers("cat hostn", "alpine1", "/etc")).toEqual(["hostname"]);
      expect(await offers("ip link show eth", "alpine1")).toEqual(["eth0", "eth1"]);
      expect(await offers("ls", "nosuch")).toEqual([]);
      expect(await offers("docker service rm ", undefined, undefined, "host2")).toEqual([]);
      expect(await session.inspect(["host1", "host2"], { kind: "shell", container: "alpine1" })).toEqual([
        "sh",
        undefined,
      ]);
      expect(JSON.stringify(await session.cluster.counters())).toBe(before);
    } finally {
      await session.close();
    }
  });
});
