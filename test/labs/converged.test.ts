/**
 * A swarm that has converged over the wire, and the same plan placed directly: namespace by namespace they hold the same.
 */
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HostKernel, NetNs } from "../../src/kernel/types.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { LabSession, runSteps } from "../../src/lab/run.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";
import { placeHost } from "../../src/workload/mesh/place.ts";
import { kernelBuilt } from "../support/kernel.ts";
import { labOf } from "../support/lab.ts";
import { meshOptions } from "../support/mesh.ts";
import { type NamespaceState, stateOf } from "../support/namespace-state.ts";
import { type ReadMesh, readMesh } from "../support/read-mesh.ts";

const HOSTS = 5;
const LAB = `
name: converged
hosts:
  node: { count: ${HOSTS} }
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

interface Scene {
  readonly session: LabSession;
  readonly kernels: readonly HostKernel[];
  readonly mesh: ReadMesh;
  readonly placed: {
    readonly cluster: Cluster;
    readonly kernels: readonly HostKernel[];
    readonly ids: Map<NetNs, string>;
  };
}

async function converge(): Promise<Scene> {
  const path = process.env["KERNEL_WASM"];
  const module = await loadKernel(path === undefined ? undefined : pathToFileURL(path));
  const plan = labOf(LAB);
  const kernels: HostKernel[] = [];
  const session = await LabSession.start(plan, {
    module,
    machines: (os, config, emit, disk) => {
      kernels[os.hostIndex] = os.kernel;
      return createMachine(os, config, emit, disk);
    },
  });
  const result = await runSteps(session, {});
  expect(result.steps.flatMap(({ failures }) => failures)).toEqual([]);
  const ids = new Map(["plain", "secret"].map((name) => [name, session.variables[name] ?? ""]));
  const mesh = readMesh(kernels, ids, meshOptions());
  return { session, kernels, mesh, placed: await place(mesh, module, plan.seed) };
}

async function place(
  mesh: ReadMesh,
  module: Awaited<ReturnType<typeof loadKernel>>,
  seed: string,
): Promise<Scene["placed"]> {
  const kernels: HostKernel[] = [];
  const ids = new Map<NetNs, string>();
  const hosts = Array.from({ length: HOSTS }, (_, i) => ({ name: `node-${i + 1}` }));
  const cluster = await Cluster.create({
    topology: resolveTopology(seed, hosts),
    module,
    machines: (os) => ({
      start() {
        kernels[os.hostIndex] = os.kernel;
        const plan = mesh.plans[os.hostIndex];
        if (plan === undefined) return;
        const at = placeHost(os.kernel, plan, os.hostIndex);
        for (let c = 0; c < plan.containers.count; c++)
          if (plan.containers.host[c] === os.hostIndex) ids.set(at(c), `container ${c}`);
      },
      command() {},
    }),
  });
  await cluster.runUntil(1_000_000);
  return { cluster, kernels, ids };
}

/** Names that say what a namespace is, in either world. */
function namesOf(mesh: ReadMesh, ids: ReadonlyMap<NetNs, string>): (ns: NetNs) => string {
  const real = new Map(mesh.containers.map((ns, c) => [ns, `container ${c}`]));
  return (ns) => real.get(ns) ?? ids.get(ns) ?? ns.name;
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

  /** Namespaces of a host by what they are, without the ingress network's. */
  function statesOf(kernel: HostKernel): Record<string, NamespaceState> {
    const nameOf = namesOf(scene.mesh, scene.placed.ids);
    return Object.fromEntries(
      kernel
        .namespaces()
        .filter((ns) => !ns.name.startsWith("ingress"))
        .map((ns) => [nameOf(ns), stateOf(ns, nameOf)] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }

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
    const real = statesOf(scene.kernels[host] as HostKernel);
    const placed = statesOf(scene.placed.kernels[host] as HostKernel);
    expect(Object.keys(placed)).toEqual(Object.keys(real));
    for (const [name, state] of Object.entries(real))
      for (const [part, value] of Object.entries(state))
        expect({ name, part, value: placed[name]?.[part as keyof NamespaceState] }).toEqual({ name, part, value });
  });
});
