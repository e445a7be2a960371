/** A lab at any pace: the same output, and the same trace to the byte. */
import { expect, it } from "vitest";
import { galleryLab, labOf, runLab } from "../support/lab.ts";
import { RandomPace } from "../support/random-pace.ts";

/** Waits long enough for quiet time to be skipped, twice; something breaks and is mended in between. */
const WAITS = labOf(`
name: waits
hosts: { m1: {}, m2: {} }
steps:
  - m1: docker swarm init
  - m1: docker swarm join-token -q worker
    as: token
  - m2: docker swarm join --token $token 192.168.77.11:2377
  - m1: docker network create --driver=overlay --attachable net
  - m1: docker run -dit --name a1 --network net alpine
  - m2: docker run -dit --name a2 --network net alpine
  - m1: docker exec a1 ping -c 2 a2
    expect: ["2 packets received"]
  - wait: 2h
  - fault: { host: m2, drop: "udp port 4789" }
  - m1: docker exec a1 ping -c 2 -W 1 a2
    exit: 1
  - fault: { host: m2, heal: true }
  - m1: docker exec a1 ping -c 2 a2
    expect: ["2 packets received"]
  - wait: 1h
`);

it.each([
  ["waits, skips and faults", WAITS],
  ["encryption", galleryLab("encrypted")],
])("%s: output and trace are those of a free run", async (_, plan) => {
  const free = await runLab(plan);
  expect(free.failures).toEqual([]);
  const pace = new RandomPace(plan.name);
  const paced = await runLab(plan, { pace });
  expect(paced.transcript).toBe(free.transcript);
  expect(paced.espSa).toBe(free.espSa);
  expect(Buffer.from(paced.trace).equals(free.trace)).toBe(true);
  expect(paced.result.end).toBe(free.result.end);
  expect(pace.parts).toBeGreaterThan(1000);
  expect(pace.skips).toBe(plan === WAITS ? 2 : 0);
});
