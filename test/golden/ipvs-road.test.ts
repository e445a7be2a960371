/**
 * A request through the routing mesh, hop by hop, against D-service-vip: TTLs, MSS, addresses at each device of the node that the
 * client asked (libnetwork.md §3.4), and the order in which tasks are chosen.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenAvailable, goldenTitle, xzAvailable } from "../support/golden.ts";
import { kernelBuilt } from "../support/kernel.ts";
import { type Frame, tcpOptions } from "./frames.ts";
import { goldenFrames, type Ran, Scenario } from "./scenario.ts";

const GOLDEN = "D-service-vip/manager/pcap";
const FLAGS = "FSRPAUEC";

/** TCP segments as direction, TTL, flags and options, each kind once; `names` gives addresses their roles. */
function segments(frames: readonly Frame[], names: (address: string) => string): string[] {
  const seen = frames.flatMap(({ ip }) => {
    if (ip === undefined || ip.protocol !== 6) return [];
    const bits = ip.payload[13] ?? 0;
    const flags = [...FLAGS].filter((_, i) => bits & (1 << i) && i !== 3).join("");
    const options = tcpOptions(ip.payload.subarray(20, ((ip.payload[12] ?? 0) >> 4) * 4)).join(",");
    return [`${names(ip.src)} > ${names(ip.dst)} ttl ${ip.ttl} ${flags} ${options}`];
  });
  return [...new Set(seen)].sort();
}

/** Of the ingress network: the node's own address, and those of tasks. */
const ingress = (own: string) => (address: string) =>
  address === own ? "sandbox" : address.startsWith("10.0.0.") ? "task" : address;

describe.skipIf(!kernelBuilt || !goldenAvailable || !xzAvailable)(
  goldenTitle("a request through the routing mesh", true),
  () => {
    let lab: Scenario;
    let local: Ran;
    let remote: Ran;

    beforeAll(async () => {
      lab = await Scenario.start();
      await lab.swarm();
      await lab.run("manager", "docker network create --driver=overlay --attachable nginx-net");
      await lab.run(
        "manager",
        "docker service create --name my-nginx --replicas 2 --constraint node.role==worker --network nginx-net -p 8080:80 nginx",
      );
      await lab.wait(10);
      local = await lab.run("manager", "curl -s http://192.168.77.11:8080/");
      remote = await lab.run("worker-1", "curl -s http://192.168.77.11:8080/");
    }, 60_000);

    afterAll(() => lab.close());

    it("a process of the node itself: the same segments on the ingress network as were captured", () => {
      // The sandbox's address was 10.0.0.2 there as it is here.
      const ours = segments(lab.frames("manager/ingress_sbox/eth0", local), ingress("10.0.0.2"));
      const golden = segments(goldenFrames(`${GOLDEN}/ingress_sbox__eth0.pcap`), ingress("10.0.0.2"));
      expect(golden.length).toBeGreaterThan(4);
      // nginx there was busybox's httpd, which pushes its last bytes with FIN; ours may close in a segment of its own.
      expect(ours.filter((line) => !golden.includes(line))).toEqual([]);
      expect(ours.some((line) => line.startsWith("sandbox > task ttl 63 S mss 65495,"))).toBe(true);
      expect(ours.some((line) => line.startsWith("task > sandbox ttl 64 SA mss 1410,"))).toBe(true);
    });

    it("… and between the host and the sandbox", () => {
      const names = (address: string): string => (address.startsWith("172.18.0.") ? address : "other");
      const ours = segments(lab.frames("manager/ingress_sbox/eth1", local), names);
      const golden = segments(goldenFrames(`${GOLDEN}/ingress_sbox__eth1.pcap`), names);
      expect(golden.length).toBeGreaterThan(4);
      expect(ours.filter((line) => !golden.includes(line))).toEqual([]);
    });

    it("a client outside: 64 on the wire, 63 on docker_gwbridge, 62 at the task; the answer 64, 63, 62", () => {
      const ttls = (point: string, from: string, to: string): number[] => {
        const found = lab
          .frames(point, remote)
          .filter(({ ip }) => ip?.protocol === 6 && ip.src.startsWith(from) && ip.dst.startsWith(to))
          .map(({ ip }) => ip?.ttl ?? 0);
        return [...new Set(found)];
      };
      const client = "192.168.77.12";
      expect(ttls("manager/host/eth0", client, "192.168.77.11")).toContain(64);
      expect(ttls("manager/ingress_sbox/eth1", client, "172.18.0.2")).toEqual([63]);
      expect(ttls("manager/ingress_sbox/eth0", "10.0.0.2", "10.0.0.")).toEqual([62]);
      expect(ttls("manager/ingress_sbox/eth1", "172.18.0.2", client)).toEqual([63]);
      const answers = lab
        .frames("manager/host/eth0", remote)
        .filter(({ ip, ports }) => ip?.src === "192.168.77.11" && ports?.[0] === 8080);
      expect([...new Set(answers.map(({ ip }) => ip?.ttl))]).toEqual([62]);
    });

    it("the application sees the sandbox of the node that was asked, with the client's port", () => {
      const outside = lab
        .frames("manager/host/eth0", remote)
        .find(({ ip, ports }) => ip?.src === "192.168.77.12" && ports?.[1] === 8080);
      const inside = lab.frames("manager/ingress_sbox/eth0", remote).find(({ ip }) => ip?.src === "10.0.0.2");
      expect(inside?.ports).toEqual([outside?.ports?.[0], 8080]);
    });

    it("tasks in the order of the kernel's list, from the one added last", async () => {
      const sandbox = lab.namespace("manager", "ingress_sbox");
      const [service] = sandbox.ipvs.services();
      const list = service?.destinations.map(({ address }) => address) ?? [];
      expect(list).toHaveLength(2);
      const before = sandbox.ipvs.connections().length;
      const chosen: number[] = [];
      for (let i = 0; i < 4; i++) {
        const known = new Set(sandbox.ipvs.connections().map(({ client }) => client.port));
        await lab.run("manager", "curl -s http://192.168.77.11:8080/");
        const fresh = sandbox.ipvs.connections().find(({ client }) => !known.has(client.port));
        chosen.push(list.indexOf(fresh?.destination.ip ?? 0));
      }
      // Two requests before this: the round begins anew.
      expect(before).toBe(2);
      expect(chosen).toEqual([0, 1, 0, 1]);
    });
  },
);
