/** Small labs for tests of the engine: every expectation in them must hold. */
import { expect } from "vitest";
import { type LabRun, labOf, runLab } from "../support/lab.ts";

/** Joins two hosts to a swarm, with network n1 for both. */
export const SWARM = `
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable n1
    as: netid
`;

/** Runs steps on host1 and host2; fails with what was expected and what came instead. */
export async function runSteps(steps: string, setup = ""): Promise<LabRun> {
  const run = await runLab(labOf(`hosts: { host1: {}, host2: {} }\nsteps:${setup}${steps}`));
  expect(run.failures).toEqual([]);
  expect(run.result.cut).toBe(false);
  for (const { live } of run.result.counters.hosts) expect(live).toBe(0);
  return run;
}
