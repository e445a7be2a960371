/** A swarm with running services at rest: its quiet time is skipped, and what comes after is as if it had been run. */
import { expect, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";

const LAB = `
name: services at rest
seed: 1
hosts: { manager: {}, worker-1: {} }
steps:
  - manager: docker swarm init
  - manager: docker swarm join-token -q worker
    as: token
  - worker-1: docker swarm join --token $token 192.168.77.11:2377
  - wait: 3s
  - manager: docker network create -d overlay net
  - manager: docker service create -d --name web --replicas 3 --network net --publish 8080:80 nginx
  - manager: docker service create -d --name each --mode global alpine sleep 1000000
  - manager: docker service create -d --name once --restart-condition none alpine true
  - wait: 3h
  - manager: docker service ls
  - manager: docker service ps web each once
  - manager: docker service inspect web
  - manager: docker node ls
  - worker-1: docker ps -a
  - manager: docker service scale -d web=1
  - wait: 20s
  - manager: docker service ps web
  - manager: docker network inspect net
`;

it("with services, 3 hours are skipped and nothing shows it", { timeout: 120_000 }, async () => {
  const plan = labOf(LAB);
  const skipped = await runLab(plan, { capture: [] });
  const run = await runLab(plan, { capture: [], skip: false });
  expect(skipped.failures).toEqual([]);
  expect(skipped.transcript).toBe(run.transcript);
  expect(skipped.transcript).toContain("3/3");
  expect(skipped.result.counters.framesCarried * 5).toBeLessThan(run.result.counters.framesCarried);
});
