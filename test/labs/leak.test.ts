/** Networks and containers made and removed 1,000 times leave the kernels as they were. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { LabSession } from "../../src/lab/run.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { labOf } from "../support/lab.ts";

const ROUNDS = 1000;
/** Rounds before counting: the port table, peer records and counters of IP identification fill up as they are used, and stay. */
const WARM = 700;
/** TIME_WAIT sockets last a minute, conntrack entries two; after this all is quiet. */
const SETTLE = 400 * SEC;

const HOSTS = "hosts: { host1: {}, host2: {} }\n";

async function type(session: LabSession, host: string, command: string): Promise<string> {
  const outcome = await session.command(host, { command }, session.cluster.now + 120 * SEC, () => {});
  if (outcome.exit !== 0) throw new Error(`${host}$ ${command}: ${outcome.stdout}${outcome.stderr}`);
  return outcome.stdout.trim();
}

/** A swarm of both hosts, some rounds in it, and its end: after that nothing is on the wire any more. */
async function swarm(session: LabSession, rounds: number): Promise<void> {
  await type(session, "host1", "docker swarm init");
  const token = await type(session, "host1", "docker swarm join-token -q worker");
  await type(session, "host2", `docker swarm join --token ${token} 192.168.77.11:2377`);
  await session.wait(2 * SEC);
  for (let i = 0; i < rounds; i++) await round(session);
  await type(session, "host2", "docker swarm leave");
  await type(session, "host1", "docker swarm leave --force");
  await session.wait(SETTLE);
}

async function round(session: LabSession): Promise<void> {
  await type(session, "host1", "docker network create -d overlay --attachable n1 && docker network create local1");
  await type(
    session,
    "host1",
    "docker run -dit --name c1 --network n1 alpine && docker run -dit --name l1 --network local1 alpine",
  );
  await type(session, "host2", "docker run -dit --name c2 --network n1 alpine");
  await type(session, "host1", "docker exec c1 ping -c 1 c2");
  await type(session, "host1", "docker rm -f c1 l1 && docker network rm local1");
  await type(session, "host2", "docker rm -f c2");
  // The manager takes an attachment's end in its own time, as a person who types the next line does.
  await session.wait(SEC);
  await type(session, "host1", "docker network rm n1");
}

describe("no leak", () => {
  it(`${ROUNDS} rounds`, { timeout: 300_000 }, async () => {
    const session = await LabSession.start(labOf(HOSTS), { module: await loadKernel(), machines: createMachine });
    try {
      await swarm(session, WARM);
      const before = await session.cluster.counters();
      await swarm(session, ROUNDS);
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
