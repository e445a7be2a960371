/**
 * Rotations of the keys under traffic, by the kernel's own account of each change: what the associations are before, during and after it,
 * and that no packet is lost while one node has changed and the other has not.
 */
import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import { HOUR, MS, SEC, type Time } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { XfrmEvent, XfrmStateInfo } from "../../src/kernel/xfrm-types.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { LabSession, runSteps } from "../../src/lab/run.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { galleryLab, labOf, runLab } from "../support/lab.ts";

const SWARM = `
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --opt encrypted --driver overlay --attachable enc-net
  - host1: docker run -dit --name c1 --network enc-net alpine
  - host2: docker run -dit --name c2 --network enc-net alpine
`;

interface Change {
  readonly host: string;
  readonly time: Time;
  readonly event: XfrmEvent;
  /** Inbound and outbound associations after it, as hexadecimal keys without salt. */
  readonly inbound: readonly string[];
  readonly outbound: readonly string[];
  /** The key of the association that the policy names, while it is there. */
  readonly policy: string | undefined;
}

const keyOf = (state: Pick<XfrmStateInfo, "aead">): string =>
  Buffer.from(state.aead.key.subarray(0, 16)).toString("hex");

/** Runs a lab and records each change of each host's IPsec tables. */
async function recorded(text: string) {
  const changes: Change[] = [];
  const hosts = new Map<string, HostOs>();
  const session = await LabSession.start(labOf(text), {
    module: await loadKernel(),
    machines: (...parts) => {
      const [os] = parts;
      if (hosts.size === 0)
        (os.kernel as Host).kernel.onXfrm((ns, event) => {
          const states = ns.xfrm.stateList();
          const own = ns.addr.list("eth0")[0]?.addr.ip;
          const spi = ns.xfrm.policyList()[0]?.templates[0]?.spi;
          const named = states.find((state) => state.src === own && state.spi === spi);
          changes.push({
            host: ns.host.name,
            time: os.now(),
            event,
            inbound: states.filter(({ dst }) => dst === own).map(keyOf),
            outbound: states.filter(({ src }) => src === own).map(keyOf),
            policy: named && keyOf(named),
          });
        });
      hosts.set(os.hostName, os);
      return createMachine(...parts);
    },
  });
  try {
    const result = await runSteps(session, {});
    return { changes, result, failures: result.steps.flatMap(({ failures }) => failures) };
  } finally {
    await session.close();
  }
}

describe("rotation", () => {
  it("loses nothing although nodes change 100 ms after each other, and goes step by step", {
    timeout: 300_000,
  }, async () => {
    const { changes, result, failures } = await recorded(`
hosts: { host1: {}, host2: { latency: 100ms } }
steps:${SWARM}
  - until: 11h59m57s
  - workload:
      - { from: host1/c1, to: host2/c2, rate: 1000, for: 10s }
      - { from: host2/c2, to: host1/c1, rate: 1000, for: 10s }
  - host2: cat /proc/net/xfrm_stat
  - host1: cat /proc/net/xfrm_stat
`);
    expect(failures).toEqual([]);
    const [workload, ...stats] = result.steps.slice(-3);
    expect(workload?.stdout.match(/10000 sent, 10000 received, 0 lost/g)).toHaveLength(2);
    for (const { stdout } of stats) expect(stdout).not.toMatch(/\t[1-9]/);
    const rotation = changes.filter(({ time }) => time > HOUR);
    const [one, two] = ["host1", "host2"].map((name) => rotation.filter(({ host }) => host === name));
    for (const [before, steps] of [
      [changes.filter(({ host, time }) => host === "host1" && time < HOUR).at(-1), one],
      [changes.filter(({ host, time }) => host === "host2" && time < HOUR).at(-1), two],
    ] as const) {
      expect(steps?.map(({ event }) => event.kind)).toEqual(["delsa", "newsa", "newsa", "updpolicy", "delsa"]);
      const after = steps?.at(-1);
      // Before: three in, one out; after: the oldest is gone, a new one is there, and the newest of before encrypts.
      expect([before?.inbound.length, before?.outbound.length, after?.inbound.length, after?.outbound.length]).toEqual([
        3, 1, 3, 1,
      ]);
      const kept = before?.inbound.filter((key) => after?.inbound.includes(key)) ?? [];
      expect(kept).toHaveLength(2);
      expect(kept).toContain(before?.policy);
      expect(kept).toContain(after?.policy);
      expect(after?.policy).not.toBe(before?.policy);
      expect(after?.outbound).toEqual([after?.policy]);
      // During it: two keys in for a moment, two out, and always one that the policy names.
      expect(steps?.map(({ inbound, outbound }) => [inbound.length, outbound.length])).toEqual([
        [2, 1],
        [3, 1],
        [3, 2],
        [3, 2],
        [3, 1],
      ]);
      expect(steps?.every(({ policy }) => policy !== undefined)).toBe(true);
    }
    // Both hold the same keys in the end, and use the same one.
    expect([...(one?.at(-1)?.inbound ?? [])].sort()).toEqual([...(two?.at(-1)?.inbound ?? [])].sort());
    expect(one?.at(-1)?.policy).toBe(two?.at(-1)?.policy);
    // The manager's message takes the wire's time: for 100 ms the nodes encrypt with different keys.
    const lag = (two?.[0]?.time ?? 0) - (one?.[0]?.time ?? 0);
    expect(lag).toBeGreaterThanOrEqual(100 * MS);
    expect(lag).toBeLessThan(SEC);
    expect(formatIpv4(one?.[0] && "state" in one[0].event ? one[0].event.state.src : 0)).toBe("192.168.77.12");
  });

  it("the gallery's lab: two rotations in 26 hours, and a host that misses one, and two", {
    timeout: 600_000,
  }, async () => {
    const run = await runLab(galleryLab("rotation"), { capture: ["*/host/none"] });
    expect(run.failures).toEqual([]);
    // Keys of both rotations are in the table: 3 + 2 of them, inbound on three hosts from two others.
    const rows = run.espSa.trimEnd().split("\n");
    expect(new Set(rows.map((row) => row.split(",")[5]?.slice(3, 35))).size).toBe(5);
  });
});
