/** Same lab, same seed: the same bytes, for 1, 2 and 4 workers and over two runs; another seed: another trace. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { galleryLab, labOf, runLab } from "../support/lab.ts";

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A published service under load from outside, updated, scaled and rolled back meanwhile; names and the virtual IP from within. */
const SERVICE = `
name: service
seed: 1
hosts: { manager: {}, worker-1: {}, worker-2: { latency: 300us }, client: {} }
steps:
  - manager: docker swarm init
  - manager: docker swarm join-token -q worker
    as: token
  - worker-?: docker swarm join --token $token 192.168.77.11:2377
  - manager: docker network create -d overlay --attachable net
  - manager: docker service create --name web --replicas 4 --network net --publish 80:80 --update-delay 1s traefik/whoami
  - manager: docker run -d --name inside --network net alpine sleep 1d
  - client: hey -z 20s -q 5 -c 10 -disable-keepalive http://192.168.77.12/ > load.txt &
  - manager: docker service update --force web
    timeout: 10m
  - manager: docker service scale web=6
  - manager: docker exec inside sh -c 'for i in 1 2 3 4 5 6 7; do wget -q -T 2 -O - http://web/ | grep Hostname; done; dig tasks.web'
  - manager: docker service rollback -d web
  - wait: 30s
  - client: cat load.txt
  - manager: docker service ps web
  - "*": curl -s -m 2 http://192.168.77.13/
`;

describe("determinism", () => {
  it.each([
    ["a service under load, updated and scaled", () => labOf(SERVICE)],
    ["a worker's crash and return", () => galleryLab("services/crash")],
    ["a manager's crash and return", () => galleryLab("services/manager-crash")],
  ])("%s: the same for any number of workers", { timeout: 120_000 }, async (_title, plan) => {
    const first = await runLab(plan());
    expect(first.failures).toEqual([]);
    for (const workers of [2, 4]) {
      const spread = await runLab(plan(), { workers });
      expect(spread.transcript).toBe(first.transcript);
      expect(digest(spread.trace)).toBe(digest(first.trace));
      expect(spread.result.counters.drops).toEqual(first.result.counters.drops);
      expect(spread.result.counters.framesCarried).toBe(first.result.counters.framesCarried);
    }
  });

  it("the walk-through has the same trace and transcript for any number of workers", async () => {
    const plan = galleryLab("standalone");
    const first = await runLab(plan);
    const again = await runLab(plan);
    expect(digest(again.trace)).toBe(digest(first.trace));
    for (const workers of [2, 4]) {
      const spread = await runLab(plan, { workers });
      expect(spread.transcript).toBe(first.transcript);
      expect(digest(spread.trace)).toBe(digest(first.trace));
      expect(spread.result.counters.drops).toEqual(first.result.counters.drops);
      expect(spread.result.counters.framesCarried).toBe(first.result.counters.framesCarried);
    }
  });

  it("another seed gives another trace", async () => {
    const plan = galleryLab("standalone");
    const first = await runLab(plan);
    const other = await runLab(plan, { seed: "another" });
    expect(other.failures).toEqual([]);
    expect(digest(other.trace)).not.toBe(digest(first.trace));
  });
});
