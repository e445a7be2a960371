/** A mesh over both control planes: the swarm makes what was planned, and what it made carries the same placed directly. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMachine } from "../../../src/lab/mesh/machine.ts";
import type { MeshResult } from "../../../src/lab/mesh/result.ts";
import { MeshSession } from "../../../src/lab/mesh/session.ts";
import { loadKernel, nodePlatform } from "../../../src/scheduler/node-adapter.ts";
import { planMesh } from "../../../src/workload/mesh/plan.ts";
import type { MeshOptions, MeshPlan } from "../../../src/workload/mesh/types.ts";
import { kernelBuilt } from "../../support/kernel.ts";
import { meshOptions } from "../../support/mesh.ts";

async function start(plan: MeshPlan, tell?: (what: string, session: () => MeshSession) => void): Promise<MeshSession> {
  let session: MeshSession | undefined;
  const made = await MeshSession.start(plan, {
    module: await loadKernel(),
    machines: createMachine,
    workers: 1,
    platform: nodePlatform(),
    tell: (what) => {
      if (session !== undefined) tell?.(what, () => session as MeshSession);
    },
  });
  session = made;
  return made;
}

async function run(plan: MeshPlan): Promise<{ readonly result: MeshResult; readonly plan: MeshPlan }> {
  const session = await start(plan);
  try {
    await session.run();
    return { result: await session.result(), plan: session.plan };
  } finally {
    await session.close();
  }
}

/** What doesn't depend on the control plane's own frames. */
function dataPath({ drops, classes, schedulers, services, flows, strays, failures }: MeshResult) {
  return { drops, classes, schedulers, services, flows, strays, failures };
}

const SMALL: Partial<MeshOptions> = {
  hosts: 4,
  containers: 16,
  networks: 2,
  span: 3,
  encrypted: 1,
  services: 2,
  schedulers: ["rr", "wlc"],
  flows: 16,
  traffic: ["cbr", "poisson", "rr"],
  vipShare: 0.5,
  rate: 100,
};

describe.skipIf(!kernelBuilt)("a mesh over gossip (needs build/kernel.wasm)", () => {
  let gossip: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    gossip = await run(planMesh(meshOptions({ ...SMALL, control: "gossip" })));
  });

  it("is what was planned: networks, services with their tasks and schedulers, addresses of the swarm's own", () => {
    const planned = planMesh(meshOptions({ ...SMALL, control: "gossip" }));
    const { plan } = gossip;
    expect(plan.networks.map(({ name, encrypted }) => [name, encrypted])).toEqual([
      ["net0", true],
      ["net1", false],
    ]);
    expect(plan.networks.map(({ id }) => id)).not.toEqual(planned.networks.map(({ id }) => id));
    expect(plan.services.map(({ scheduler }) => scheduler)).toEqual(planned.services.map(({ scheduler }) => scheduler));
    expect(plan.services.map(({ containers }) => containers.length)).toEqual(
      planned.services.map(({ containers }) => containers.length),
    );
    expect(new Set(plan.containers.ip).size).toBe(16);
    const hosts = [...plan.containers.host];
    expect(hosts).toEqual([...hosts].sort((a, b) => a - b));
    for (const service of plan.services) {
      const on = plan.networks[service.network]?.hosts ?? [];
      expect(service.orders).toHaveLength(on.length);
      for (const container of service.containers) {
        expect(on).toContain(plan.containers.host[container]);
        expect(plan.containers.network[container]).toBe(service.network);
      }
    }
  });

  it("carries everything that was sent, in the phases start, converge, traffic and drain", () => {
    const { result } = gossip;
    expect(result.phases.map(({ name }) => name)).toEqual(["start", "converge", "traffic", "drain"]);
    expect(result.flows).toHaveLength(16);
    for (const { sent, received, failed } of result.flows) {
      expect(sent).toBeGreaterThan(50);
      expect([received, failed]).toEqual([sent, 0]);
    }
    expect(result.failures).toEqual({});
    expect(result.cut).toBe(false);
  });

  it("gives the same data path placed directly: per flow, delays to the nanosecond, spread, drops", async () => {
    const plan: MeshPlan = { ...gossip.plan, options: { ...gossip.plan.options, control: "converged" } };
    const { result } = await run(plan);
    const [placed, swarm] = [dataPath(result), dataPath(gossip.result)];
    expect(placed.flows).toEqual(swarm.flows);
    expect(placed.services).toEqual(swarm.services);
    expect(placed.schedulers).toEqual(swarm.schedulers);
    expect(placed.drops).toEqual(swarm.drops);
    // The swarm's own frames are on the same wires: a datagram may wait for one.
    const middle = ({ classes }: typeof placed) =>
      classes.map(({ delays, ...rest }) => ({ ...rest, count: delays?.count, min: delays?.min, p50: delays?.p50 }));
    expect(middle(placed)).toEqual(middle(swarm));
    expect(result.phases.map(({ name }) => name)).toEqual(["start", "traffic", "drain"]);
    const [made, madeOver] = [result.packets?.made ?? 0, gossip.result.packets?.made ?? 0];
    expect(madeOver).toBeGreaterThan(made);
    expect(madeOver).toBeLessThan(1.2 * made);
  });
});

describe.skipIf(!kernelBuilt)("a mesh without services", () => {
  it("has containers made by hand on the hosts that were planned", async () => {
    const options = { ...SMALL, services: 0, vipShare: 0, encrypted: 0, traffic: ["cbr"], flows: 8 } as const;
    const planned = planMesh(meshOptions({ ...options, control: "gossip" }));
    const { plan, result } = await run(planned);
    expect(plan.containers.host).toEqual(planned.containers.host);
    expect(plan.containers.network).toEqual(planned.containers.network);
    expect(result.flows.every(({ sent, received }) => sent === 100 && received === 100)).toBe(true);
    expect([result.services, result.schedulers]).toEqual([[], []]);
  });
});

describe.skipIf(!kernelBuilt)("a mesh that is stopped", () => {
  const plan = planMesh(meshOptions({ ...SMALL, duration: 100e9 }));
  let session: MeshSession | undefined;
  afterAll(() => session?.close());

  it("during the traffic has the results so far", async () => {
    session = await start(plan, (what, running) => {
      if (what === "traffic") running().stop();
    });
    await session.run();
    const result = await session.result();
    await session.close();
    expect(result.cut).toBe(true);
    expect(result.phases.map(({ name }) => name)).toEqual(["start", "traffic"]);
    const sent = result.flows.reduce((sum, flow) => sum + flow.sent, 0);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(16 * 100 * 100);
  });

  it("before the traffic has no flows", async () => {
    session = await start(planMesh(meshOptions({ ...SMALL, control: "gossip" })), (what, running) => {
      if (what === "networks are made") running().stop();
    });
    await session.run();
    const result = await session.result();
    expect([result.cut, result.packets, result.flows]).toEqual([true, undefined, []]);
  });
});
