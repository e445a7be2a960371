import { describe, expect, it } from "vitest";
import { HOST, type Rect } from "../../../web/page/swarm/geometry.ts";
import { layoutOf } from "../../../web/page/swarm/layout.ts";
import { pointOn } from "../../../web/page/swarm/way.ts";
import type { HostPlace, SceneTopology, WirePlan } from "../../../web/session/scene/protocol.ts";

function wire(segment = "underlay", point = "host/eth0"): WirePlan {
  return { point, device: "eth0", segment, address: "192.168.77.11/24", latency: 50_000, bandwidth: 1e10 };
}

function flat(count: number, wires: readonly WirePlan[] = [wire()]): SceneTopology {
  const hosts = Array.from({ length: count }, (_, i): HostPlace => ({ name: `h${i}`, leaf: 0, wires }));
  return { hosts, fabric: undefined };
}

function leafSpine(leaves: number, perLeaf: number, spines: number): SceneTopology {
  const hosts = Array.from(
    { length: leaves * perLeaf },
    (_, i): HostPlace => ({ name: `h${i}`, leaf: Math.floor(i / perLeaf), wires: [wire()] }),
  );
  return { hosts, fabric: { leaves, spines, latency: 5000 } };
}

function overlap(a: Rect, b: Rect): boolean {
  return a.x + a.width > b.x && b.x + b.width > a.x && a.y + a.height > b.y && b.y + b.height > a.y;
}

function boxes(topology: SceneTopology): Rect[] {
  return layoutOf(topology).hosts.map(({ x, y }) => ({ x, y, ...HOST }));
}

describe("the layout", () => {
  it.each([
    ["one host", flat(1)],
    ["seven hosts", flat(7)],
    ["a thousand hosts", flat(1000)],
    ["two cards a host", flat(9, [wire(), wire("backup", "host/eth1")])],
    ["NAT", flat(5, [wire("underlay", "nat/eth0")])],
    ["leaves and spines", leafSpine(4, 6, 3)],
    ["a leaf without hosts", { ...leafSpine(2, 3, 2), fabric: { leaves: 3, spines: 2, latency: 5000 } }],
  ])("of %s: nothing lies on anything, all is within its bounds", (_, topology) => {
    const { switches, bounds } = layoutOf(topology);
    const all = [...boxes(topology), ...switches.map(({ rect }) => rect)];
    for (const [i, a] of all.entries()) {
      expect(a.x >= bounds.x && a.y >= bounds.y).toBe(true);
      expect(a.x + a.width <= bounds.x + bounds.width && a.y + a.height <= bounds.y + bounds.height).toBe(true);
      for (const b of all.slice(i + 1, i + 60)) expect(overlap(a, b)).toBe(false);
    }
  });

  it("is the same each time, and fills a screen", () => {
    for (const topology of [flat(4), flat(1000), leafSpine(10, 20, 4)]) {
      const [a, b] = [layoutOf(topology), layoutOf(topology)];
      expect(b.hosts).toEqual(a.hosts);
      expect(b.lines).toEqual(a.lines);
      const { width, height } = a.bounds;
      expect(width / height).toBeGreaterThan(0.6);
      expect(width / height).toBeLessThan(4);
    }
  });

  it("has hosts below their leaf, in order", () => {
    const { hosts, switches } = layoutOf(leafSpine(3, 4, 2));
    const leaves = switches.filter(({ kind }) => kind === "leaf");
    expect(switches.filter(({ kind }) => kind === "spine")).toHaveLength(2);
    for (const [leaf, { rect }] of leaves.entries()) {
      const own = hosts.filter((host) => host.leaf === leaf);
      const [left, right] = [Math.min(...own.map(({ x }) => x)), Math.max(...own.map(({ x }) => x)) + HOST.width];
      expect(rect.x + rect.width / 2).toBeGreaterThan(left);
      expect(rect.x + rect.width / 2).toBeLessThan(right);
      expect(rect.y + rect.height).toBeLessThan(Math.min(...own.map(({ y }) => y)));
    }
  });

  it.each([
    ["a flat network", flat(30)],
    ["leaves and spines", leafSpine(3, 9, 2)],
  ])("leads packets in %s from card to card on its lines", (_, topology) => {
    const { hosts, path } = layoutOf(topology);
    for (const [from, to] of [
      [0, 1],
      [0, hosts.length - 1],
      [hosts.length - 1, 4],
    ] as const) {
      const way = path({ host: from, wire: 0 }, { host: to, wire: 0 }) ?? [];
      const [a, b] = [hosts[from]?.wires[0], hosts[to]?.wires[0]];
      expect(way.slice(0, 2)).toEqual([a?.x, a?.bottom]);
      expect(way.slice(-2)).toEqual([b?.x, b?.bottom]);
      // Across and down only, but for the way over the spines.
      for (let i = 2; i + 1 < way.length; i += 2)
        if (way[i] !== way[i - 2] && way[i + 1] !== way[i - 1]) throw new Error(`a slant at ${i}: ${way}`);
    }
  });

  it("leads nowhere between networks that have nothing to do with each other", () => {
    const hosts: HostPlace[] = [
      { name: "a", leaf: 0, wires: [wire()] },
      { name: "b", leaf: 0, wires: [wire(), wire("backup", "host/eth1")] },
    ];
    const { path } = layoutOf({ hosts, fabric: undefined });
    expect(path({ host: 0, wire: 0 }, { host: 1, wire: 1 })).toBeUndefined();
    expect(path({ host: 0, wire: 0 }, { host: 1, wire: 0 })).toBeDefined();
  });
});

describe("a way", () => {
  it("has a point for each part of it", () => {
    const way = [0, 0, 10, 0, 10, 30];
    expect(pointOn(way, 0)).toEqual([0, 0]);
    expect(pointOn(way, 0.125)).toEqual([5, 0]);
    expect(pointOn(way, 0.5)).toEqual([10, 10]);
    expect(pointOn(way, 1)).toEqual([10, 30]);
    expect(pointOn(way, 7)).toEqual([10, 30]);
    expect(pointOn([3, 4], 0.5)).toEqual([3, 4]);
  });
});
