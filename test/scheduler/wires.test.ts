import { describe, expect, it } from "vitest";
import { type Fault, resolveFault } from "../../src/scheduler/faults.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";
import { WireStates } from "../../src/scheduler/wires.ts";

const topology = resolveTopology("1", [{ name: "a" }, { name: "b" }, { name: "c", nics: [{}, { segment: "more" }] }], {
  underlay: { spines: 2, bandwidth: 1e9, latency: 5000, queue: 10 },
});

function after(...faults: readonly Fault[]): WireStates {
  const states = new WireStates(topology);
  for (const fault of faults) states.apply(resolveFault(fault, 0, topology));
  return states;
}

describe("wires that faults have changed", () => {
  it("are none in the beginning, and those that a fault names", () => {
    expect(after().changed()).toEqual({ wires: [], links: [] });
    const { wires } = after(
      { kind: "link", host: "a", up: false },
      { kind: "loss", host: "c", device: "eth1", loss: 0.25 },
      { kind: "drop", host: "b", filter: "udp port 4789" },
      { kind: "drop", host: "b", filter: "arp" },
    ).changed();
    expect(wires.map(({ host, device, down, loss }) => [host, device, down, loss])).toEqual([
      ["a", "eth0", true, 0],
      ["b", "eth0", false, 0],
      ["c", "eth1", false, 0.25],
    ]);
    expect(wires[1]?.filters.map(({ protocol, port }) => [protocol, port])).toEqual([
      [17, 4789],
      [0, 0],
    ]);
  });

  it("are as before once they are healed", () => {
    const states = after(
      { kind: "link", host: "a", up: false },
      { kind: "latency", host: "a", latency: 1e6 },
      { kind: "partition", groups: [["a"], ["b", "c"]] },
      { kind: "drop", host: "a", filter: "tcp" },
    );
    expect(states.changed().wires.map(({ host, group }) => [host, group])).toEqual([
      ["a", 1],
      ["b", 2],
      ["c", 2],
      ["c", 2],
    ]);
    const heal: readonly Fault[] = [
      { kind: "partition", groups: [] },
      { kind: "link", host: "a", up: true },
      { kind: "latency", host: "a", latency: 50_000 },
      { kind: "pass", host: "a" },
    ];
    for (const fault of heal) states.apply(resolveFault(fault, 1, topology));
    expect(states.changed().wires).toEqual([]);
  });

  it("may be links between switches", () => {
    const fault: Fault = { kind: "fabric", segment: "underlay", leaf: 0, spine: 1, up: false };
    const states = after(fault, { ...fault, loss: 0.5 });
    expect(states.changed().links).toEqual([
      { segment: "underlay", leaf: 0, spine: 1, down: true, loss: 0.5, latency: 5000 },
    ]);
    states.apply(resolveFault({ ...fault, up: true, loss: 0 }, 2, topology));
    expect(states.changed().links).toEqual([]);
  });
});
