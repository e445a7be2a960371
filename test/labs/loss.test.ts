/** TCP over a bad wire: 10 MB between containers of two hosts, of whose frames one in a hundred is lost, arrive whole. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { LabSession, runSteps } from "../../src/lab/run.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { labOf } from "../support/lab.ts";

const BYTES = 10_000_000;

const LAB = `
hosts: { host1: {}, host2: {} }
network: { latency: 1ms, bandwidth: 1Gbit }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable net1
  - host1: docker run -dit --name client --network net1 alpine
  - host2: docker run -dit --name server --network net1 alpine
  - wait: 5s
  - host2: docker exec server sh -c 'mkdir /www; seq 2000000 | head -c ${BYTES} > /www/big'
  - host2: docker exec -d server httpd -f -p 80 -h /www
  - fault: { host: host2, loss: 1% }
  - host1: docker exec client wget -q -O /tmp/big http://server/big
    timeout: 10m
`;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

describe("a lossy link", () => {
  it("10 MB arrive whole", async () => {
    const session = await LabSession.start(labOf(LAB), { module: await loadKernel(), machines: createMachine });
    try {
      const { steps, counters } = await runSteps(session, {});
      expect(steps.flatMap(({ failures }) => failures)).toEqual([]);
      const read = async (host: string, command: string): Promise<string> =>
        (await session.command(host, { command }, session.cluster.now + 60 * SEC, () => {})).stdout;
      const sent = await read("host2", "docker exec server cat /www/big");
      const got = await read("host1", "docker exec client cat /tmp/big");
      expect(sent).toHaveLength(BYTES);
      expect(sha256(got)).toBe(sha256(sent));
      // 7,153 full segments and their acknowledgements: a hundred or so were really lost.
      const lost = Object.entries(counters.drops).filter(([reason]) => /LOSS|LOST/.test(reason));
      expect(lost.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(60);
    } finally {
      await session.close();
    }
  });
});
