/** Networks and containers made and removed 1,000 times leave the kernels as they were. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { LabSession, runSteps } from "../../src/lab/run.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { labOf } from "../support/lab.ts";

const ROUNDS = 1000;
/** TIME_WAIT sockets last a minute, conntrack entries two; after this all is quiet. */
const SETTLE = 400 * SEC;

const SETUP = `
hosts: { host1: {}, host2: {} }
pause: 0
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - wait: 5s
`;

async function round(session: LabSession): Promise<void> {
  const lines: readonly (readonly [string, string])[] = [
    ["host1", "docker network create -d overlay --attachable n1 && docker network create local1"],
    ["host1", "docker run -dit --name c1 --network n1 alpine && docker run -dit --name l1 --network local1 alpine"],
    ["host2", "docker run -dit --name c2 --network n1 alpine"],
    ["host1", "docker rm -f c1 l1 && docker network rm local1"],
    ["host2", "docker rm -f c2"],
  ];
  for (const [host, command] of lines) {
    const outcome = await session.command(host, { command }, session.cluster.now + 120 * SEC, () => {});
    if (outcome.exit !== 0) throw new Error(`${host}$ ${command}: ${outcome.stdout}${outcome.stderr}`);
  }
  // The manager takes an attachment's end in its own time, as a person who types the next line does.
  await session.wait(SEC);
  const removed = await session.command("host1", { command: "docker network rm n1" }, session.cluster.now + 60 * SEC, () => {});
  expect(removed.stderr).toBe("");
}

describe("no leak", () => {
  it(`${ROUNDS} rounds`, { timeout: 300_000 }, async () => {
    const session = await LabSession.start(labOf(SETUP), { module: await loadKernel(), machines: createMachine });
    try {
      await runSteps(session, {});
      await round(session);
      await session.wait(SETTLE);
      const before = await session.cluster.counters();
      for (let i = 1; i < ROUNDS; i++) await round(session);
      await session.wait(SETTLE);
      const after = await session.cluster.counters();
      expect(after.memory).toBe(before.memory);
      for (const host of after.hosts) {
        const { made, arrived, delivered, dropped, sent, live } = host;
        expect(made + arrived).toBe(delivered + dropped + sent + live);
      }
    } finally {
      await session.close();
    }
  });
});
