/** Generated traffic in labs: all of it arrives on a good wire, none through a firewall, and the report says so. */
import { describe, expect, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";

const SWARM = `
hosts: { host1: {}, host2: {} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --driver=overlay --attachable test-net
  - host1: docker run -dit --name c1 --network test-net alpine
  - host2: docker run -dit --name c2 --network test-net alpine
`;

describe("workload", () => {
  it("counts what is sent and what arrives, for several flows at the same time", async () => {
    const { failures, transcript, result } = await runLab(
      labOf(`${SWARM}
  - workload:
      - { from: host1/c1, to: host2/c2, rate: 1000, size: 64, for: 2s }
      - { from: host2/c2, to: host1/c1, rate: 100, size: 1400, for: 3s }
      - { from: host1, to: host2, rate: 10 }
    expect: ["host1/c1 to host2/c2 (10.0.1.4), 1000/s of 64 bytes for 2s: 2000 sent, 2000 received, 0 lost (0%)"]
`),
    );
    expect(failures).toEqual([]);
    expect(transcript).toContain(
      "host2/c2 to host1/c1 (10.0.1.2), 100/s of 1400 bytes for 3s: 300 sent, 300 received, 0 lost (0%)",
    );
    expect(transcript).toContain(
      "host1 to host2 (192.168.77.12), 10/s of 64 bytes for 1s: 10 sent, 10 received, 0 lost (0%)",
    );
    const last = result.steps.at(-1);
    expect((last?.end ?? 0) - (last?.start ?? 0)).toBeGreaterThan(3e9);
    expect((last?.end ?? 0) - (last?.start ?? 0)).toBeLessThan(5.1e9);
  });

  it("tells losses, containers that are not there, names that nobody knows and what can't be sent", async () => {
    const { failures, transcript } = await runLab(
      labOf(`${SWARM}
  - fault: { host: host2, drop: "udp port 4789" }
  - workload: { from: host1/c1, to: host2/c2, rate: 100, for: 500ms }
    expect: ["50 sent, 0 received, 50 lost (100%)"]
  - workload: { from: host1, to: host2, address: 203.0.113.9, rate: 10 }
    expect: ["0 sent, 0 received, 0 lost (0%), 10 could not be sent"]
  - workload: { from: host1/nobody, to: host2/c2 }
  - workload: { from: host1/c1, to: host2/c3 }
  - workload: { from: host1, to: host2/c2 }
`),
    );
    expect(transcript).toContain("50 lost (100%)");
    expect(failures.map((text) => text.replace(/; instead: .*/s, ""))).toEqual([
      expect.stringContaining("host1/nobody: no container nobody runs there"),
      expect.stringContaining("host2/c3: no container c3 runs there"),
      expect.stringContaining("host1: c2: no address"),
    ]);
  });

  it("until: is a point of the run, whatever came before", async () => {
    const { result } = await runLab(
      labOf("hosts: { host1: {} }\nsteps:\n  - host1: hostname\n  - until: 90s\n  - host1: hostname\n"),
    );
    expect(result.steps[1]?.start).toBe(90e9);
  });
});
