/**
 * A swarm of 200 hosts on a leaf-spine network, which all join at the same time: a plain and an encrypted overlay with
 * traffic, a link that loses frames, a host that loses power. However many workers share the hosts, the trace and the
 * counters are the same to the byte.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";

const LAB = `
hosts: { m: {}, w: { count: 199 } }
network:
  subnet: 172.16.0.0/16
  fabric: { hostsPerLeaf: 20, spines: 4, latency: 20us }
pause: 200ms
steps:
  - m: docker swarm init --default-addr-pool 10.0.0.0/8 --default-addr-pool-mask-length 16
  - m: docker swarm join-token -q worker
    as: token
  - w-*: docker swarm join --token $token 172.16.0.11:2377
    parallel: true
    expect: ["This node joined a swarm as a worker."]
  - wait: 9s
  - m: docker network create -d overlay --attachable plain
  - m: docker network create -d overlay --attachable --opt encrypted secret
  - w-1?5: docker run -dit --name p-$(hostname) --network plain alpine
  - w-?5: docker run -dit --name s-$(hostname) --network secret alpine
  - fault: { host: [w-125, w-45], loss: 1% }
  - fault: { host: w-150, crash: true }
  - wait: 2s
  - workload:
      - { from: w-115/p-w-115, to: w-195/p-w-195, rate: 1000, size: 400, for: 500ms }
      - { from: w-125/p-w-125, to: w-185/p-w-185, rate: 1000, size: 400, for: 500ms }
      - { from: w-35/s-w-35, to: w-75/s-w-75, rate: 1000, size: 400, for: 500ms }
      - { from: w-45/s-w-45, to: w-65/s-w-65, rate: 1000, size: 400, for: 500ms }
  - m: docker node ls -q | wc -l
    expect: ["200"]
`;

/** Enough of a frame for the headers of what is in VXLAN, and for the sequence number of an ESP packet. */
const SNAPLEN = 128;

describe("a swarm of 200 hosts", () => {
  it("has the same trace and counters for 1, 2 and 4 workers", { timeout: 600_000 }, async () => {
    const runs = [];
    for (const workers of [1, 2, 4]) {
      const { result, trace, espSa, transcript, failures } = await runLab(labOf(LAB), { workers, snaplen: SNAPLEN });
      // How long windows are, and how much memory kernels hold, is each worker's own.
      const { windows: _, memory: __, memoryHeld: ___, ...counters } = result.counters;
      const hash = createHash("sha256").update(trace).digest("hex");
      runs.push({ hash, length: trace.length, espSa, transcript, failures, counters, steps: result.steps });
    }
    const [first, ...others] = runs;
    expect(first?.failures).toEqual([]);
    expect(first?.counters.drops["WIRE_LOSS"]).toBeGreaterThan(0);
    expect(first?.counters.drops["DEV_DOWN"]).toBeGreaterThan(0);
    for (const flow of first?.steps.flatMap(({ flows = [] }) => flows) ?? [])
      expect(flow.received).toBeGreaterThan(400);
    for (const run of others) expect(run).toEqual(first);
  });
});
