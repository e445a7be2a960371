import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FOREVER, MS, SEC, US } from "../../src/base/time.ts";
import type { WasmModule } from "../../src/kernel/wasm.ts";
import type { CapturedFrame, CapturePoint, CaptureSink } from "../../src/scheduler/captures.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import type { SimCounters } from "../../src/scheduler/counters.ts";
import type { Fault } from "../../src/scheduler/faults.ts";
import type { HostEvent } from "../../src/scheduler/machine.ts";
import { nodePlatform } from "../../src/scheduler/node-adapter.ts";
import { type Pace, type PartReport, WATCH } from "../../src/scheduler/pace.ts";
import { resolveTopology, type Topology } from "../../src/scheduler/topology.ts";
import { type BuiltWorker, buildWorker } from "../support/build-worker.ts";
import { kernelBuilt, kernelModule } from "../support/kernel.ts";
import { createMachine, type MeshConfig, type MeshEvent } from "../support/mesh-machine.ts";
import { RandomPace } from "../support/random-pace.ts";

const HOSTS = 6;

/** Of each part that ended for what it watched for, the instant. */
function noteStops(stops: number[]): (report: PartReport) => void {
  return ({ now, seen }) => {
    if (seen !== 0) stops.push(now - 1);
  };
}

/** Hashes points and frames in the order in which they come. */
class HashSink implements CaptureSink {
  readonly #hash = createHash("sha256");
  points = 0;
  frames = 0;

  point(point: CapturePoint): void {
    this.points++;
    this.#hash.update(JSON.stringify(point));
  }

  frame(frame: CapturedFrame): void {
    this.frames++;
    const { time, hostIndex, seq, point, direction, length } = frame;
    this.#hash.update(JSON.stringify([time, hostIndex, seq, point, direction, length]));
    this.#hash.update(frame.data);
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

function mesh(seed: string, options: { messages?: number; throwAt?: number; step?: number } = {}): Topology {
  const address = (i: number): string => `10.1.1.${11 + i}`;
  const hosts = Array.from({ length: HOSTS }, (_, i) => {
    const peers = Array.from({ length: HOSTS }, (_, j) => j)
      .filter((j) => j !== i)
      .map(address);
    const throwAt = i === 3 ? (options.throwAt ?? 0) : 0;
    const machine: MeshConfig = { address: address(i), peers, messages: options.messages ?? 8, throwAt };
    const nic = { latency: (50 + (options.step ?? 30) * i) * US, loss: 0.02, bandwidth: i === 2 ? 1e8 : 1e10 };
    return { name: `node-${i}`, nics: [nic], machine };
  });
  return resolveTopology(seed, hosts);
}

describe.skipIf(!kernelBuilt)("cluster (needs build/kernel.wasm)", () => {
  let module: WasmModule;
  let built: BuiltWorker;

  beforeAll(async () => {
    module = await kernelModule();
    built = buildWorker("test/support/mesh-machine.ts");
  });
  afterAll(() => built?.remove());

  function cluster(
    topology: Topology,
    workers: number,
    extra: { sink?: CaptureSink; onEvent?: (event: HostEvent) => void; pace?: Pace | undefined } = {},
  ) {
    return Cluster.create({
      topology,
      module,
      workers,
      machines: workers === 1 ? createMachine : built.machines,
      platform: nodePlatform(built.entry),
      ...(extra.sink === undefined ? {} : { capture: { patterns: ["*"], snaplen: 65_535, sink: extra.sink } }),
      ...(extra.pace === undefined ? {} : { pace: extra.pace }),
      ...(extra.onEvent === undefined ? {} : { onEvent: extra.onEvent }),
    });
  }

  const FAULTS: [number, Fault][] = [
    [20 * MS, { kind: "drop", host: "node-1", filter: "udp port 5000" }],
    [30 * MS, { kind: "latency", host: "node-4", latency: 20 * US }],
    [40 * MS, { kind: "partition", groups: [["node-0", "node-5"]] }],
    [60 * MS, { kind: "partition", groups: [] }],
    [60 * MS, { kind: "pass", host: "node-1" }],
    [70 * MS, { kind: "crash", host: "node-2" }],
    [90 * MS, { kind: "restart", host: "node-2" }],
    [95 * MS, { kind: "link", host: "node-3", up: false }],
    [120 * MS, { kind: "link", host: "node-3", up: true }],
    [120 * MS, { kind: "loss", host: "node-0", loss: 0.2 }],
  ];

  async function trace(seed: string, workers: number, step?: number, pace?: Pace) {
    const sink = new HashSink();
    const log: string[] = [];
    const run = await cluster(mesh(seed, step === undefined ? {} : { step }), workers, {
      sink,
      pace,
      onEvent: (event) => log.push(JSON.stringify(event)),
    });
    for (const [time, fault] of FAULTS) run.inject(fault, time);
    const answered = await run.runUntilEvent(({ payload }) => (payload as MeshEvent).what === "answer", SEC);
    run.post(4, answered.time, "hello");
    run.post(0, answered.time + 700, "later");
    run.post(2, 80 * MS, "to a host that is off");
    // In the middle of everything, with frames on the wires.
    const meanwhile: SimCounters["hosts"][] = [];
    for (let i = 1; i <= 20; i++) {
      await run.runUntil(answered.time + i * 1_234_567);
      meanwhile.push((await run.counters()).hosts);
    }
    await run.runUntil(3 * SEC);
    const counters = await run.counters();
    await run.stop();
    return {
      meanwhile,
      hash: sink.digest(),
      frames: sink.frames,
      points: sink.points,
      log,
      stop: answered.time,
      drops: counters.drops,
      counters,
    };
  }

  it("gives the same trace with 1, 2 and 4 workers, twice, and another one for another seed", async () => {
    const one = await trace("1", 1);
    expect(one.frames).toBeGreaterThan(1000);
    expect(one.points).toBe(2 * HOSTS); // lo and eth0 of each; the host that was restarted has the same ones
    expect(one.log.some((line) => line.includes('"echoed"'))).toBe(true);
    expect(one.log.some((line) => line.includes("powered-off"))).toBe(true);
    expect(one.drops["WIRE_LOSS"]).toBeGreaterThan(0);
    expect(one.drops["WIRE_PARTITION"]).toBeGreaterThan(0);
    expect(one.drops["WIRE_FILTER"]).toBeGreaterThan(0);
    const total = (key: "sent" | "arrived") => one.meanwhile.flat().reduce((sum, host) => sum + host[key], 0);
    expect(total("sent")).toBeGreaterThan(total("arrived"));
    for (const workers of [1, 2, 4]) {
      const again = await trace("1", workers);
      expect(again.log).toEqual(one.log);
      expect(again.hash).toBe(one.hash);
      expect(again.stop).toBe(one.stop);
      expect(again.drops).toEqual(one.drops);
      expect(again.meanwhile).toEqual(one.meanwhile);
      expect(again.counters.hosts).toEqual(one.counters.hosts);
      expect(again.counters.events).toBe(one.counters.events);
    }
    expect((await trace("2", 1)).hash).not.toBe(one.hash);
  });

  it("gives the same trace at any pace, with 1 and 2 workers", async () => {
    const free = await trace("1", 1);
    for (const workers of [1, 1, 2]) {
      const pace = new RandomPace(`pace ${workers}`);
      const paced = await trace("1", workers, undefined, pace);
      expect(paced.log).toEqual(free.log);
      expect(paced.hash).toBe(free.hash);
      expect(paced.stop).toBe(free.stop);
      expect(paced.drops).toEqual(free.drops);
      expect(paced.meanwhile).toEqual(free.meanwhile);
      expect(paced.counters.hosts).toEqual(free.counters.hosts);
      expect(paced.counters.events).toBe(free.counters.events);
      expect(pace.parts).toBeGreaterThan(100);
      for (const count of Object.values(pace.seen)) expect(count).toBeGreaterThan(1);
    }
  });

  it.each([1, 2])(
    "stops at each instant with a frame and at no other, and at each event (%i workers)",
    async (workers) => {
      const times = new Set<number>();
      const stops: number[] = [];
      const sink: CaptureSink = { point: () => {}, frame: ({ time }) => times.add(time) };
      const frames = { grant: () => ({ until: FOREVER, watch: WATCH.frame }), ran: noteStops(stops) };
      const first = await cluster(mesh("1"), workers, { sink, pace: frames });
      await first.runUntil(20 * MS);
      await first.stop();
      expect(stops.length).toBeGreaterThan(100);
      expect(stops).toEqual([...times]);

      const [expected, events] = [[] as number[], [] as number[]];
      let run: Cluster | undefined;
      const pace: Pace = {
        async grant() {
          expected.push((await run?.nextEvent()) ?? -1);
          return { until: FOREVER, watch: WATCH.event };
        },
        ran: noteStops(events),
      };
      run = await cluster(mesh("1"), workers, { pace });
      await run.runUntil(5 * MS);
      await run.stop();
      expect(events.length).toBeGreaterThan(100);
      expect(events).toEqual(expected.slice(0, events.length));
      expect(expected.length - events.length).toBeLessThanOrEqual(1);
    },
  );

  it.each([1, 2])("stops on the grid after an event, whatever part it came in (%i workers)", async (workers) => {
    const answered = async (pace?: Pace): Promise<number[]> => {
      const run = await cluster(mesh("1"), workers, { pace });
      const stops: number[] = [];
      for (let i = 0; i < 5; i++) stops.push((await run.runUntilEvent(() => true, SEC)).time);
      await run.stop();
      return stops;
    };
    const free = await answered();
    expect(new Set(free).size).toBe(5);
    expect(await answered({ grant: (now) => ({ until: now + 37 * US }) })).toEqual(free);
    expect(await answered({ grant: () => ({ until: FOREVER, watch: WATCH.event }) })).toEqual(free);
  });

  it("returns where its pace ends it", async () => {
    let parts = 0;
    const pace: Pace = { grant: (now) => (parts++ === 3 ? undefined : { until: now + MS }) };
    const run = await cluster(mesh("1"), 1, { pace });
    await run.runUntil(SEC);
    expect(run.now).toBe(3 * MS);
    parts = 2;
    expect(await run.runUntilEvent(() => false, SEC)).toEqual({ time: 4 * MS, event: undefined });
    await run.stop();
  });

  it.each(["11", "20"])(
    "gives the same trace where all delays are equal and many frames come at once (seed %s)",
    async (seed) => {
      const one = await trace(seed, 1, 0);
      for (const workers of [3, 6]) {
        const again = await trace(seed, workers, 0);
        expect(again.log).toEqual(one.log);
        expect(again.hash).toBe(one.hash);
        expect(again.drops).toEqual(one.drops);
      }
    },
  );

  it("keeps count of every packet", async () => {
    const run = await cluster(mesh("3"), 1);
    await run.runUntil(5 * SEC);
    const { hosts } = await run.counters();
    for (const host of hosts) {
      expect(host.made + host.arrived).toBe(host.delivered + host.dropped + host.sent + host.live);
      expect(Object.values(host.drops).reduce((sum, count) => sum + count, 0)).toBe(host.dropped);
    }
    await run.stop();
  });

  it("delivers commands at their time and stops on the grid after an event", async () => {
    const events: HostEvent[] = [];
    const run = await cluster(mesh("1", { messages: 0 }), 1, { onEvent: (event) => events.push(event) });
    await run.runUntil(10 * MS);
    const id = run.post(2, 12_345_678, { hello: [1, 2] });
    const stop = await run.runUntilEvent(({ payload }) => (payload as MeshEvent).what === "command", SEC);
    expect(stop.time).toBe(13 * MS);
    expect(stop.event).toMatchObject({
      time: 12_345_678,
      host: 2,
      payload: { detail: { id, request: { hello: [1, 2] }, at: 12_345_678 } },
    });
    expect(run.now).toBe(13 * MS);
    expect(await run.runUntilEvent(() => true, 20 * MS)).toEqual({ time: 20 * MS, event: undefined });
    await run.stop();
  });

  it.each([1, 2])("ends with the error of a program that throws (%i workers)", async (workers) => {
    const run = await cluster(mesh("1", { throwAt: 30 * MS }), workers);
    await expect(run.runUntil(SEC)).rejects.toThrow(/bomb on node-3 at 30000000 ns: the bomb went off/);
    await expect(run.runUntil(2 * SEC)).rejects.toThrow(/bomb/);
    await run.stop();
  });

  it("ends when a worker thread dies, instead of waiting for it", async () => {
    const run = await cluster(mesh("1", { throwAt: -20 * MS }), 2);
    await expect(run.runUntil(SEC)).rejects.toThrow(/worker 1 ended with code 3/);
    await run.stop();
    await expect(run.runUntil(2 * SEC)).rejects.toThrow();
  });
});
