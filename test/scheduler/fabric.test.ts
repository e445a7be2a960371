/** Leaf-spine segments in a cluster: the same for any number of workers, faults of switch links, counters of the links. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseIpv4 } from "../../src/base/addr.ts";
import { MS, SEC, US } from "../../src/base/time.ts";
import type { WasmModule } from "../../src/kernel/wasm.ts";
import type { CapturedFrame, CaptureSink } from "../../src/scheduler/captures.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import type { SimCounters } from "../../src/scheduler/counters.ts";
import { applyLatency, type Fault, resolveFault } from "../../src/scheduler/faults.ts";
import { nodePlatform } from "../../src/scheduler/node-adapter.ts";
import { partitionHosts } from "../../src/scheduler/placement.ts";
import { type LeafSpineConfig, lookaheadOf, resolveTopology, type Topology } from "../../src/scheduler/topology.ts";
import { type BuiltWorker, buildWorker } from "../support/build-worker.ts";
import { kernelBuilt, kernelModule } from "../support/kernel.ts";
import { createMachine, type MeshConfig } from "../support/mesh-machine.ts";

const LEAVES = 4;
const PER_LEAF = 2;

function mesh(seed: string, fabric: Partial<LeafSpineConfig> = {}, knowsAddresses = true): Topology {
  const address = (i: number): string => `10.1.1.${11 + i}`;
  const hosts = Array.from({ length: LEAVES * PER_LEAF }, (_, i) => {
    const peers = Array.from({ length: LEAVES * PER_LEAF }, (_, j) => j).filter((j) => j !== i);
    const machine: MeshConfig = { address: address(i), peers: peers.map(address), messages: 6, throwAt: 0 };
    const nic = {
      // Leaves 0 and 2 have hosts of different latencies.
      latency: (20 + (i % 4 === 0 ? 15 : 0)) * US,
      loss: i === 5 ? 0.02 : 0,
      leaf: Math.floor(i / PER_LEAF),
      ...(knowsAddresses ? { address: parseIpv4(address(i)) as number } : {}),
    };
    return { name: `node-${i}`, nics: [nic], machine };
  });
  const config = { spines: 3, bandwidth: 2e8, latency: 3 * US, queue: 12, ...fabric };
  return resolveTopology(seed, hosts, { underlay: config });
}

const link = (leaf: number, spine: number, change: { up?: boolean; loss?: number; latency?: number }): Fault => ({
  kind: "fabric",
  segment: "underlay",
  leaf,
  spine,
  ...change,
});

describe.skipIf(!kernelBuilt)("leaf-spine segments (needs build/kernel.wasm)", () => {
  let module: WasmModule;
  let built: BuiltWorker;

  beforeAll(async () => {
    module = await kernelModule();
    built = buildWorker("test/support/mesh-machine.ts");
  });
  afterAll(() => built?.remove());

  const FAULTS: [number, Fault][] = [
    [10 * MS, link(0, 1, { up: false })],
    [15 * MS, link(1, 0, { loss: 0.1 })],
    [20 * MS, link(2, 2, { latency: 40 * US })],
    [25 * MS, { kind: "latency", host: "node-3", latency: 4 * US }],
    [30 * MS, link(2, 2, { latency: 1 * US })],
    [35 * MS, { kind: "latency", host: "node-3", latency: 90 * US }],
    [40 * MS, { kind: "partition", groups: [["node-0", "node-5"]] }],
    [50 * MS, { kind: "partition", groups: [] }],
    [55 * MS, link(0, 1, { up: true })],
    [60 * MS, { kind: "crash", host: "node-2" }],
    [70 * MS, { kind: "restart", host: "node-2" }],
  ];

  async function run(topology: Topology, workers: number, faults: readonly [number, Fault][] = FAULTS) {
    const hash = createHash("sha256");
    let frames = 0;
    const sink: CaptureSink = {
      point: (point) => void hash.update(JSON.stringify(point)),
      frame: ({ time, hostIndex, seq, point, direction, length, data }: CapturedFrame) => {
        frames++;
        hash.update(JSON.stringify([time, hostIndex, seq, point, direction, length]));
        hash.update(data);
      },
    };
    const log: string[] = [];
    const cluster = await Cluster.create({
      topology,
      module,
      workers,
      machines: workers === 1 ? createMachine : built.machines,
      platform: nodePlatform(built.entry),
      capture: { patterns: ["*"], snaplen: 65_535, sink },
      onEvent: (event) => log.push(JSON.stringify(event)),
    });
    for (const [time, fault] of faults) cluster.inject(fault, time);
    await cluster.runUntil(2 * SEC);
    const { windows, memory, memoryHeld, ...counters } = await cluster.counters();
    await cluster.stop();
    return { hash: hash.digest("hex"), frames, log, counters, windows };
  }

  it("gives the same trace and counters with 1, 2 and 4 workers, with faults", async () => {
    const one = await run(mesh("1"), 1);
    expect(one.frames).toBeGreaterThan(1000);
    expect(one.counters.drops["WIRE_QUEUE"]).toBeGreaterThan(10);
    expect(one.counters.drops["WIRE_LOSS"]).toBeGreaterThan(0);
    expect(one.counters.drops["WIRE_PARTITION"]).toBeGreaterThan(0);
    expect(one.log.some((line) => line.includes('"echoed"'))).toBe(true);
    balanced(one.counters);
    for (const workers of [2, 4]) {
      const again = await run(mesh("1"), workers);
      expect(again.log).toEqual(one.log);
      expect(again.counters).toEqual(one.counters);
      expect(again.hash).toBe(one.hash);
    }
  });

  it("gives the same where leaves flood what they don't know", async () => {
    const one = await run(mesh("3", {}, false), 1, FAULTS.slice(0, 3));
    balanced(one.counters);
    const four = await run(mesh("3", {}, false), 4, FAULTS.slice(0, 3));
    expect(four.counters).toEqual(one.counters);
    expect(four.hash).toBe(one.hash);
    // Every host asks for seven addresses; the leaves keep that from those who aren't meant.
    const forwarded = await run(mesh("3"), 1, FAULTS.slice(0, 3));
    expect(one.counters.packetsMade - forwarded.counters.packetsMade).toBeGreaterThan(100);
  });

  it("runs without any delay in one worker, and says so for more", async () => {
    const topology = mesh("1", { latency: 0 });
    const hosts = topology.hosts.map((host) => ({ ...host, nics: host.nics.map((nic) => ({ ...nic, latency: 0 })) }));
    const one = await run({ ...topology, hosts }, 1, []);
    expect(one.log.some((line) => line.includes('"echoed"'))).toBe(true);
    balanced(one.counters);
    expect(new Set(partitionHosts({ ...topology, hosts }, 4)).size).toBe(1);
  });

  it("counts what each link carried: what goes up comes down", async () => {
    const { counters } = await run(mesh("2", { bandwidth: 1e10, queue: 1000 }), 1, []);
    expect(counters.links).toHaveLength(LEAVES * 3 * 2);
    expect(counters.links[0]).toMatchObject({ segment: "underlay", from: "leaf1", to: "spine1" });
    expect(counters.links[1]).toMatchObject({ segment: "underlay", from: "spine1", to: "leaf1" });
    for (const spine of ["spine1", "spine2", "spine3"]) {
      const sum = (end: "from" | "to", what: "frames" | "bytes"): number =>
        counters.links.filter((one) => one[end] === spine).reduce((total, one) => total + one[what], 0);
      expect(sum("to", "frames")).toBeGreaterThan(50);
      expect(sum("from", "frames")).toBe(sum("to", "frames"));
      expect(sum("from", "bytes")).toBe(sum("to", "bytes"));
    }
  });

  it("takes other spines while a link is down, and none when all are", async () => {
    const cut = (up: boolean, ...spines: number[]): [number, Fault][] =>
      spines.map((spine) => [0, link(1, spine, { up })]);
    const two = await run(mesh("2"), 1, cut(false, 0));
    const of = (counters: Pick<SimCounters, "links">, name: string, spine: string): number =>
      counters.links
        .filter((one) => [one.from, one.to].includes(name) && [one.from, one.to].includes(spine))
        .reduce((sum, one) => sum + one.frames, 0);
    expect(of(two.counters, "leaf2", "spine1")).toBe(0);
    expect(of(two.counters, "leaf2", "spine2")).toBeGreaterThan(50);
    expect(of(two.counters, "leaf1", "spine1")).toBeGreaterThan(50);
    expect(two.counters.drops["WIRE_DOWN"]).toBeUndefined();
    const none = await run(mesh("2"), 1, cut(false, 0, 1, 2));
    expect(none.counters.drops["WIRE_DOWN"]).toBeGreaterThan(20);
    expect(
      none.counters.links.filter(({ from, to }) => from === "leaf2" || to === "leaf2").every((one) => one.frames === 0),
    ).toBe(true);
  });

  it("has long windows: the whole way between the nearest hosts of two workers", async () => {
    const topology = mesh("1");
    const owner = partitionHosts(topology, 4);
    expect(lookaheadOf(topology, owner)).toBe((20 + 2 * 3 + 20) * US);
    const lower = applyLatency(
      topology,
      resolveFault({ kind: "latency", host: "node-3", latency: 4 * US }, 0, topology),
    );
    expect(lookaheadOf(lower, owner)).toBe((4 + 2 * 3 + 20) * US);
    const higher = applyLatency(lower, resolveFault({ kind: "latency", host: "node-3", latency: SEC }, 0, lower));
    expect(lookaheadOf(higher, owner)).toBe((4 + 2 * 3 + 20) * US);
    const links = applyLatency(lower, resolveFault(link(0, 0, { latency: 1000 }), 0, lower));
    expect(lookaheadOf(links, owner)).toBe((4 + 2 * 1 + 20) * US);
  });

  it("refuses faults of links that aren't there", () => {
    const topology = mesh("1");
    expect(() => resolveFault(link(9, 0, {}), 0, topology)).toThrow(/no leaf 9 with a host/);
    expect(() => resolveFault(link(0, 3, {}), 0, topology)).toThrow(/no spine 3/);
    expect(() => resolveFault(link(0, 0, { loss: 2 }), 0, topology)).toThrow(/between 0 and 1/);
    expect(() => resolveFault({ ...link(0, 0, {}), segment: "x" } as Fault, 0, topology)).toThrow(/not a leaf-spine/);
  });
});

/** Each host's packets ended in one of the known ways, or are still there. */
function balanced(counters: Pick<SimCounters, "hosts">): void {
  for (const { made, arrived, delivered, dropped, sent, live, name } of counters.hosts)
    expect([name, made + arrived]).toEqual([name, delivered + dropped + sent + live]);
}
