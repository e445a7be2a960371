import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { applyLatency, parseFilter, resolveFault } from "../../src/scheduler/faults.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";

const none = { protocol: 0, port: 0, ip: 0, ethertype: 0 };

describe("filters", () => {
  it.each([
    ["udp port 4789", { protocol: 17, port: 4789 }],
    ["udp and port 4789", { protocol: 17, port: 4789 }],
    ["tcp port 2377", { protocol: 6, port: 2377 }],
    ["port 7946", { port: 7946 }],
    ["proto 50", { protocol: 50 }],
    ["esp", { protocol: 50 }],
    ["ip proto 50", { protocol: 50, ethertype: 0x0800 }],
    ["icmp", { protocol: 1 }],
    ["arp", { ethertype: 0x0806 }],
    ["host 1.2.3.4", { ip: 0x01020304 }],
    ["tcp and host 10.0.0.1", { protocol: 6, ip: 0x0a000001 }],
    ["UDP host 10.0.0.1 and port 53", { protocol: 17, ip: 0x0a000001, port: 53 }],
  ])("%s", (expression, expected) => {
    expect(parseFilter(expression)).toEqual({ ...none, ...expected });
  });

  it.each([
    ["", /it is empty/],
    ["udp port", /number from 1 to 65535 after "port", found the end/],
    ["udp port 70000", /found "70000"/],
    ["udp tcp", /expected "and", found "tcp"/],
    ["udp and tcp", /"tcp" contradicts/],
    ["udp and", /more after "and"/],
    ["host 1.2.3", /IPv4 address/],
    ["vlan 5", /unexpected "vlan"/],
    ["icmp and port 5", /only TCP and UDP have ports/],
    ["arp and port 5", /ARP/],
  ])("refuses %j", (expression, message) => {
    expect(() => parseFilter(expression)).toThrow(UserError);
    expect(() => parseFilter(expression)).toThrow(message);
  });
});

describe("faults", () => {
  const topology = resolveTopology("1", [
    { name: "a", nics: [{}, { segment: "second" }] },
    { name: "b" },
    { name: "c" },
  ]);

  it("name ports through all hosts, in order", () => {
    expect(resolveFault({ kind: "link", host: "b", up: false }, 5, topology)).toEqual({
      time: 5,
      ports: [{ port: 2, down: true }],
    });
    expect(resolveFault({ kind: "loss", host: "a", loss: 0.5 }, 5, topology).ports.map((p) => p.port)).toEqual([0, 1]);
    expect(resolveFault({ kind: "loss", host: "a", device: "eth1", loss: 0.5 }, 5, topology).ports).toEqual([
      { port: 1, loss: 0.5 },
    ]);
  });

  it("number the groups of a partition; the rest is a group too", () => {
    const { ports } = resolveFault({ kind: "partition", groups: [["a"], ["c"]] }, 0, topology);
    expect(ports.map((p) => p.group)).toEqual([1, 1, 0, 2]);
    expect(resolveFault({ kind: "partition", groups: [] }, 0, topology).ports.map((p) => p.group)).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it("change the latency that the lookahead is computed from", () => {
    const changed = applyLatency(topology, resolveFault({ kind: "latency", host: "b", latency: 7 }, 0, topology));
    expect(changed.hosts.map((host) => host.nics[0]?.latency)).toEqual([50_000, 7, 50_000]);
  });

  it("refuse what does not exist", () => {
    expect(() => resolveFault({ kind: "crash", host: "z" }, 0, topology)).toThrow(/no host z/);
    expect(() => resolveFault({ kind: "link", host: "b", device: "eth7", up: true }, 0, topology)).toThrow(
      /no NIC eth7/,
    );
    expect(() => resolveFault({ kind: "partition", groups: [["a"], ["a"]] }, 0, topology)).toThrow(/two groups/);
    expect(() => resolveFault({ kind: "loss", host: "a", loss: -1 }, 0, topology)).toThrow(UserError);
  });
});
