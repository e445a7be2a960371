/** Samples become charts: amounts per second of what was seen, gaps where time was skipped. */
import { describe, expect, it } from "vitest";
import type { HostCensus } from "../../../src/lab/inspect/census.ts";
import type { SimCounters } from "../../../src/scheduler/counters.ts";
import { chartsOf } from "../../../web/session/charts/data.ts";
import type { ChartId, Charts } from "../../../web/session/charts/protocol.ts";
import { convergence, Recorder } from "../../../web/session/charts/recorder.ts";

const SEC = 1e9;
const ZERO: SimCounters = {
  ...{
    time: 0,
    windows: 0,
    events: 0,
    packetsMade: 0,
    packetsDelivered: 0,
    packetsDropped: 0,
    framesCarried: 0,
    hops: 0,
  },
  ...{ memory: 4096, memoryHeld: 8192, drops: {}, hosts: [], links: [] },
};

/** An emulation that does what a test says. */
class Scene {
  now = 0;
  wall = 1000;
  counters: SimCounters = ZERO;
  asked = 0;
  readonly recorder = new Recorder(() => this.wall, "nat");

  constructor() {
    const scene = this;
    this.recorder.watch({
      get now() {
        return scene.now;
      },
      counters: async () => {
        scene.asked++;
        return scene.counters;
      },
      hosts: 0,
      census: async () => [],
    });
  }

  /** Virtual time goes on, and wall time with it. */
  async pass(virtual: number, wall: number, counters: Partial<SimCounters>): Promise<void> {
    this.now += virtual;
    this.wall += wall;
    this.counters = { ...this.counters, ...counters };
    this.recorder.tick();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function valuesOf(charts: Charts, id: ChartId, name: string): readonly (number | null)[] {
  const series = charts.charts.find((chart) => chart.id === id)?.series.find((one) => one.name === name);
  expect(series, `${id}: ${name}`).toBeDefined();
  return series?.values ?? [];
}

describe("samples", () => {
  it("are rates of virtual time, and of wall time for the emulator itself", async () => {
    const scene = new Scene();
    await scene.pass(SEC, 30, {});
    await scene.pass(SEC, 100, { packetsMade: 500, events: 2000, drops: { NO_SOCKET: 10, SKB_CONSUMED: 99 } });
    await scene.pass(SEC, 100, { packetsMade: 500, events: 2000 });
    const charts = chartsOf(scene.recorder, scene.now);
    const at = (second: number): number => Math.floor((second * SEC) / charts.width);
    const made = valuesOf(charts, "packets", "made");
    expect(made[at(0.5)]).toBeNull();
    expect(made[at(1.5)]).toBeCloseTo(500);
    expect(made[at(2.5)]).toBeCloseTo(0);
    expect(valuesOf(charts, "drops", "NO_SOCKET")[at(1.5)]).toBeCloseTo(10);
    expect(charts.charts.find(({ id }) => id === "drops")?.series.length).toBe(1);
    expect(valuesOf(charts, "events", "events")[at(1.5)]).toBeCloseTo(20_000);
    expect(valuesOf(charts, "speed", "speed")[at(1.5)]).toBeCloseTo(10);
    expect(valuesOf(charts, "memory", "in use")[at(1.5)]).toBeCloseTo(4096);
  });

  it("skipped time is a gap; what happened lies beside it", async () => {
    const scene = new Scene();
    await scene.pass(SEC, 30, {});
    scene.recorder.tap({ point: () => {}, frame: () => {} }).skipped?.(2 * SEC, 8 * SEC, 100);
    await scene.pass(9 * SEC, 100, { packetsMade: 300 });
    const charts = chartsOf(scene.recorder, scene.now);
    const at = (second: number): number => Math.floor((second * SEC) / charts.width);
    const made = valuesOf(charts, "packets", "made");
    expect(made[at(5)]).toBeNull();
    expect(made[at(1.5)]).toBeCloseTo(100);
    expect(made[at(9)]).toBeCloseTo(100);
    expect(charts.skipped).toEqual([{ from: 2 * SEC, to: 8 * SEC }]);
  });

  it("while the emulation stands, wall time doesn't count", async () => {
    const scene = new Scene();
    await scene.pass(SEC, 30, {});
    await scene.pass(SEC, 100, { events: 100 });
    await scene.pass(0, 60_000, {});
    await scene.pass(SEC, 100, { events: 200 });
    const charts = chartsOf(scene.recorder, scene.now);
    const speeds = valuesOf(charts, "speed", "speed").filter((value) => value !== null);
    expect(Math.min(...speeds)).toBeCloseTo(10);
  });

  it("take a bounded share of the time", async () => {
    const scene = new Scene();
    const costly = scene.recorder;
    costly.watch({
      get now() {
        return scene.now;
      },
      counters: async () => {
        scene.asked++;
        return scene.counters;
      },
      hosts: 0,
      // Each look takes 20 ms.
      census: () => {
        scene.wall += 20;
        return Promise.resolve([]);
      },
    });
    const began = scene.wall;
    for (let i = 0; i < 2000; i++) await scene.pass(SEC / 100, 5, {});
    expect(20 * scene.asked).toBeLessThan(0.05 * (scene.wall - began) + 100);
    expect(scene.asked).toBeGreaterThan(10);
  });

  it("many hosts are asked in turn for what they know", async () => {
    const scene = new Scene();
    const asked: number[][] = [];
    scene.recorder.watch({
      get now() {
        return scene.now;
      },
      counters: async () => ZERO,
      hosts: 250,
      census: async (from, to) => {
        asked.push([from, to]);
        return Array.from({ length: Math.min(250, to) - from }, () => ({ members: 250, nodes: 125, networks: [] }));
      },
    });
    for (let i = 0; i < 6; i++) await scene.pass(SEC, 100, {});
    expect(asked.map(([from]) => from)).toEqual([0, 100, 200, 0, 100, 200]);
    const charts = chartsOf(scene.recorder, scene.now);
    expect(valuesOf(charts, "convergence", "members").at(-1)).toBeCloseTo(100);
    expect(valuesOf(charts, "convergence", "NetworkDB nodes").at(-1)).toBeCloseTo(50);
  });

  it("marks are kept in order, up to a number", () => {
    const { recorder } = new Scene();
    for (let i = 0; i < 2500; i++) recorder.mark(i, i % 2 === 0 ? "step" : "fault", `m${i}`);
    const { marks, marksLost } = chartsOf(recorder, 2500);
    expect([marks.length, marksLost, marks[1]?.kind]).toEqual([2000, 500, "fault"]);
  });
});

describe("convergence", () => {
  const host = (members: number, nodes: number, local: number, remote: number): HostCensus => {
    return { members, nodes, networks: [{ id: "n", name: "n", vni: 1, nodes, local, remote }] };
  };

  it("is the share that each knows of what all are and have", () => {
    expect(convergence([host(2, 2, 1, 2), host(2, 2, 2, 1)])).toEqual({ members: 1, nodes: 1, endpoints: 1 });
    expect(convergence([host(1, 1, 1, 0), host(2, 1, 2, 1)])).toEqual({ members: 0.75, nodes: 0.5, endpoints: 4 / 6 });
    // What it knows too much makes good for nothing that another one lacks.
    expect(convergence([host(9, 2, 1, 8), host(1, 2, 1, 0)])).toEqual({ members: 0.75, nodes: 1, endpoints: 0.75 });
    expect(convergence([host(1, 1, 0, 0)]).endpoints).toBeUndefined();
  });
});
