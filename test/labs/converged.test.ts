/**
 * A swarm that has converged over the wire, and the same plan placed directly: namespace by namespace they hold the same.
 */
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { MS, SEC } from "../../src/base/time.ts";
import type { HostKernel, NetNs } from "../../src/kernel/types.ts";
import type { WasmModule } from "../../src/kernel/wasm.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { LabSession, runSteps } from "../../src/lab/run.ts";
import type { CapturePoint } from "../../src/scheduler/captures.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";
import { FlowPlanner } from "../../src/workload/mesh/flows.ts";
import { TRAFFIC_KINDS } from "../../src/workload/mesh/options.ts";
import { placeHost } from "../../src/workload/mesh/place.ts";
import { rowsOf } from "../../src/workload/mesh/rows.ts";
import type { MeshFlow, MeshPlan, MeshReport } from "../../src/workload/mesh/types.ts";
import { kernelBuilt } from "../support/kernel.ts";
import { labOf } from "../support/lab.ts";
import { meshOptions } from "../support/mesh.ts";
import { FrameLog, ProbedMachine, type ProbeRequest } from "../support/mesh-probe.ts";
import { type NamespaceState, stateOf } from "../support/namespace-state.ts";
import { type ReadMesh, readMesh } from "../support/read-mesh.ts";

const HOSTS = 5;
const LAB = `
name: converged
hosts:
  node: { count: ${HOSTS} }
network: { bandwidth: 100Mbit }
steps:
  - node-1: docker swarm init
  - node-1: docker swarm join-token -q worker
    as: token
  - node-2: docker swarm join --token $token 192.168.77.11:2377
  - node-3: docker swarm join --token $token 192.168.77.11:2377
  - node-4: docker swarm join --token $token 192.168.77.11:2377
  - node-5: docker swarm join --token $token 192.168.77.11:2377
  - node-1: docker network create --driver overlay plain
    as: plain
  - node-1: docker network create --driver overlay --opt encrypted secret
    as: secret
  - node-1: docker service create --name web --network plain --replicas 7 -d alpine sleep 1d
  - wait: 20s
  - node-1: docker service create --name db --network plain --replicas 6 -d alpine sleep 1d
  - wait: 20s
  - node-1: docker service create --name hush --network secret --replicas 8 -d alpine sleep 1d
  - wait: 20s
  - node-1: docker service create --name mute --network secret --replicas 5 -d alpine sleep 1d
  - wait: 60s
`;

/** The traffic: all kinds over links that they fill, requests and datagrams half of them to VIPs. */
const TRAFFIC = meshOptions({
  flows: 80,
  services: 2,
  traffic: TRAFFIC_KINDS,
  vipShare: 0.5,
  rate: 200,
  size: 1000,
  duration: 120 * MS,
});

/** One of the two worlds. */
interface World {
  readonly cluster: Cluster;
  readonly kernels: readonly HostKernel[];
  /** Namespaces of the containers, by their number. */
  readonly containers: NetNs[];
  readonly frames: FrameLog;
  readonly reports: MeshReport[];
  /** Drops of each host up to the traffic. */
  readonly before: Record<string, number>[];
}

interface Scene {
  readonly session: LabSession;
  readonly mesh: ReadMesh;
  readonly real: World;
  readonly placed: World;
}

/** Names of capture points that are the same in both worlds: of the wire, and of devices of containers and networks. */
function pointNames(containers: readonly NetNs[]): (point: CapturePoint) => string | undefined {
  let numbers: Map<string, number> | undefined;
  return ({ host, namespace, device }) => {
    if (namespace.startsWith("ingress") || (namespace === "host" && device !== "eth0")) return undefined;
    numbers ??= new Map(containers.map((ns, c) => [ns.name, c]));
    return `${host} ${numbers.get(namespace) ?? namespace} ${device}`;
  };
}

function emptyWorld(): Omit<World, "cluster" | "kernels"> & { readonly kernels: HostKernel[] } {
  const containers: NetNs[] = [];
  return { containers, kernels: [], frames: new FrameLog(pointNames(containers)), reports: [], before: [] };
}

const CAPTURE = { patterns: ["*/*/*"], snaplen: 160 };

async function converge(): Promise<Scene> {
  const path = process.env["KERNEL_WASM"];
  const module = await loadKernel(path === undefined ? undefined : pathToFileURL(path));
  const plan = labOf(LAB);
  const world = emptyWorld();
  const session = await LabSession.start(plan, {
    module,
    capture: { ...CAPTURE, sink: world.frames },
    machines: (os, config, emit, disk) => {
      world.kernels[os.hostIndex] = os.kernel;
      return new ProbedMachine(os, createMachine(os, config, emit, disk), world.reports);
    },
  });
  const result = await runSteps(session, {});
  expect(result.steps.flatMap(({ failures }) => failures)).toEqual([]);
  const ids = new Map(["plain", "secret"].map((name) => [name, session.variables[name] ?? ""]));
  const mesh = readMesh(world.kernels, ids, TRAFFIC);
  world.containers.push(...mesh.containers);
  const real = { ...world, cluster: session.cluster };
  return { session, mesh, real, placed: await place(mesh, module, plan.seed) };
}

async function place(mesh: ReadMesh, module: WasmModule, seed: string): Promise<World> {
  const world = emptyWorld();
  const hosts = Array.from({ length: HOSTS }, (_, i) => ({ name: `node-${i + 1}`, nics: [{ bandwidth: 1e8 }] }));
  const cluster = await Cluster.create({
    topology: resolveTopology(seed, hosts),
    module,
    capture: { ...CAPTURE, sink: world.frames },
    machines: (os) => {
      const inner = {
        start(): void {
          world.kernels[os.hostIndex] = os.kernel;
          const plan = mesh.plans[os.hostIndex];
          if (plan === undefined) return;
          const at = placeHost(os.kernel, plan, os.hostIndex);
          for (const { id } of os.kernel.parked()) os.kernel.unpark(id);
          for (const [c, host] of plan.containers.host.entries())
            if (host === os.hostIndex) world.containers[c] = at(c);
        },
        command(): void {},
      };
      return new ProbedMachine(os, inner, world.reports);
    },
  });
  await cluster.runUntil(MS);
  return { ...world, cluster };
}

/** Names that say what a namespace is, in either world. */
function namesOf({ containers }: World): (ns: NetNs) => string {
  const names = new Map(containers.map((ns, c) => [ns, `container ${c}`]));
  return (ns) => names.get(ns) ?? ns.name;
}

/** Namespaces of a host by what they are, without the ingress network's. */
function statesOf(world: World, host: number): Record<string, NamespaceState> {
  const nameOf = namesOf(world);
  const all = world.kernels[host]?.namespaces() ?? [];
  return Object.fromEntries(
    all
      .filter((ns) => !ns.name.startsWith("ingress"))
      .map((ns) => [nameOf(ns), stateOf(ns, nameOf)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function flowsOf(plan: MeshPlan): readonly MeshFlow[] {
  const planner = new FlowPlanner(plan, rowsOf(plan), new Random("flows"));
  return Array.from({ length: TRAFFIC.flows }, (_, id) => planner.flow(id));
}

/** The same flows from the same instant on, with nothing else on the wire. */
async function carry({ mesh, real, placed }: Scene): Promise<void> {
  const [base] = mesh.plans;
  if (base === undefined) throw new Error("no host");
  const flows = flowsOf(base);
  const start = (Math.floor(Math.max(real.cluster.now, placed.cluster.now) / SEC) + 1) * SEC;
  for (const { cluster, frames, containers, kernels, before } of [real, placed]) {
    await cluster.runUntil(start);
    before.push(...kernels.map((kernel) => kernel.drops()));
    frames.since = start;
    const nsOf = (c: number): NetNs => containers[c] as NetNs;
    for (const [host, own] of mesh.plans.entries()) {
      const plan = { ...own, flows };
      cluster.post(host, start, { probe: "quiet" });
      cluster.post(host, start, { probe: "traffic", plan, at: start + MS, nsOf } satisfies ProbeRequest);
    }
    await cluster.runUntil(start + TRAFFIC.duration + SEC);
    for (const host of mesh.plans.keys()) cluster.post(host, cluster.now, { probe: "report" });
    await cluster.runUntil(cluster.now + MS);
  }
}

/** What IPVS counted of each service and destination, and its connections, whose buckets hang on a random number. */
function balanced({ kernels }: World): unknown {
  const balancers = kernels.flatMap((kernel) => kernel.namespaces().filter(({ name }) => name.startsWith("lb_")));
  return balancers.map(({ name, ipvs }) => [
    name,
    ipvs.services(),
    ipvs
      .connections()
      .map((one) => JSON.stringify(one))
      .sort(),
  ]);
}

/** Drops of each host, without those of the control plane: in a firewall, on its own networks, of broadcasts. */
function lost({ kernels, before }: World): unknown {
  return kernels.map((kernel, host) => {
    const drops = kernel.drops();
    for (const [reason, count] of Object.entries(before[host] ?? {})) drops[reason] = (drops[reason] ?? 0) - count;
    return Object.entries(drops)
      .filter(([reason, count]) => count > 0 && reason !== "NETFILTER_DROP")
      .sort();
  });
}

describe.skipIf(!kernelBuilt)("a converged swarm and its plan placed", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await converge();
  }, 60_000);
  afterAll(async () => {
    await scene?.session.close();
    await scene?.placed.cluster.stop();
  });

  it("holds a plan with all that the services have", () => {
    const [plan] = scene.mesh.plans;
    expect(plan?.containers.count).toBe(26);
    expect(plan?.networks.map(({ name, encrypted, hosts }) => [name, encrypted, hosts.length])).toEqual([
      ["plain", false, 5],
      ["secret", true, 5],
    ]);
    expect(plan?.services.map(({ containers }) => containers.length)).toEqual([7, 6, 8, 5]);
    expect(plan?.keys).toHaveLength(3);
  });

  it.each(Array.from({ length: HOSTS }, (_, i) => i))("is the same on host %i, namespace by namespace", (host) => {
    const real = statesOf(scene.real, host);
    const placed = statesOf(scene.placed, host);
    expect(Object.keys(placed)).toEqual(Object.keys(real));
    for (const [name, state] of Object.entries(real))
      for (const [part, value] of Object.entries(state))
        expect({ name, part, value: placed[name]?.[part as keyof NamespaceState] }).toEqual({ name, part, value });
  });

  it("carries the same traffic: the same frames at every device, to the nanosecond", async () => {
    await carry(scene);
    const { real, placed } = scene;
    const [reals, placeds] = [real.frames.lines, placed.frames.lines];
    expect(reals.length).toBeGreaterThan(10_000);
    const at = reals.findIndex((line, i) => line !== placeds[i]);
    expect(placeds.slice(at, at + 3)).toEqual(reals.slice(at, at + 3));
    expect(placeds.length).toBe(reals.length);
  });

  it("measures the same: delays, counts, drops, and the spread over the tasks of each service", () => {
    const { real, placed } = scene;
    expect(placed.reports).toEqual(real.reports);
    const { plans } = scene.mesh;
    const flows = flowsOf(plans[0] as MeshPlan);
    const came = new Map<string, number>();
    for (const { flow: id, received } of real.reports.flatMap((report) => report.flows)) {
      const { kind, to, from } = flows[id] as MeshFlow;
      const secret = plans[0]?.networks[plans[0].containers.network[from] as number]?.encrypted;
      const name = `${kind} ${"service" in to ? "to a VIP" : "directly"} ${secret ? "encrypted" : "plain"}`;
      came.set(name, (came.get(name) ?? 0) + received);
    }
    // Bulk and incast go to containers only, and the incast's one group to one network.
    expect([...came].filter(([, received]) => received > 0)).toHaveLength(2 * (2 * 3 + 1) + 1);
    const spread = new Set(real.reports.flatMap(({ backends }) => backends.map(({ container }) => container)));
    expect(spread.size).toBeGreaterThan(10);
    expect(balanced(placed)).toEqual(balanced(real));
    expect(lost(placed)).toEqual(lost(real));
  });
});
