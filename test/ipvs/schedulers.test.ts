/** Schedulers beyond the captured tables: established TCP, worked hashes, changes of weights and servers (kernel.md §1.10). */
import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import type { IpvsScheduler } from "../../src/kernel/ipvs-types.ts";
import { cidr, ip, kernelBuilt, pass } from "../support/kernel.ts";
import { type Farm, farm, serve, server, service, VIP } from "./net.ts";
import { ACK, RST, SYN, sendRaw, tcp } from "./packets.ts";

const CLIENT = ip("10.2.0.1");

/** Opens a connection from a port: SYN, and its ACK for an established one. Returns the server's number, 0 = refused. */
function open({ kernel, client, director }: Farm, port: number, established = true): number {
  const segment = (flags: number): void => {
    sendRaw(client, 6, tcp(CLIENT, port, ip(VIP), 80, flags), ip(VIP));
    pass(kernel, 1e5);
  };
  segment(SYN);
  if (established) segment(ACK);
  const found = director.ipvs.connections().find((one) => one.client.port === port);
  return found === undefined ? 0 : found.destination.ip & 255;
}

async function quiet(scheduler: IpvsScheduler, weights: readonly number[]): Promise<Farm> {
  const net = await farm();
  serve(net.director, service("tcp"), weights, { scheduler });
  net.server.iptables.append("filter", "INPUT", { match: {}, target: { kind: "DROP" } });
  return net;
}

function choices(net: Farm, count: number, first = 40000): string {
  return Array.from({ length: count }, (_, i) => open(net, first + i)).join("");
}

describe.skipIf(!kernelBuilt)("established TCP, servers 1 to 5 of weights 1 to 5, as a real kernel chose", () => {
  it.each<[IpvsScheduler, string]>([
    ["rr", "5432154321"],
    ["lc", "5432154321"],
    ["wrr", "543215545435432".repeat(2)],
    ["wlc", "543215435425345".repeat(2)],
    ["sed", "543542534554321".repeat(2)],
    ["nq", "54321"],
    ["fo", "5555555"],
  ])("%s", async (scheduler, expected) => {
    expect(choices(await quiet(scheduler, [1, 2, 3, 4, 5]), expected.length)).toBe(expected);
  });

  it("ovf: each takes its weight and one, the strongest first; then none", async () => {
    const net = await quiet("ovf", [1, 2, 3, 4, 5]);
    expect(choices(net, 22)).toBe(`555555${"4".repeat(5)}${"3".repeat(4)}${"2".repeat(3)}1100`);
  });

  it.each<[IpvsScheduler, string]>([
    ["wrr", "54321"],
    ["wlc", "54321"],
    ["sed", "54321"],
    ["ovf", "5544332211"],
  ])("equal weights: %s", async (scheduler, expected) => {
    expect(choices(await quiet(scheduler, [1, 1, 1, 1, 1]), expected.length)).toBe(expected);
  });

  it.each<IpvsScheduler>(["lblc", "lblcr"])(
    "%s leaves its server when that is overloaded and another isn't",
    async (scheduler) => {
      const net = await quiet(scheduler, [4, 4]);
      // More active connections than the weight on one, less than half of it on the other.
      expect(choices(net, 5)).toBe("22222");
      expect(choices(net, 1, 41000)).toBe("1");
    },
  );
});

describe.skipIf(!kernelBuilt)("round robin", () => {
  it("a weight of 0 is passed over; the server chosen last may go, and the round goes on behind its predecessor", async () => {
    const net = await quiet("rr", [1, 1, 1]);
    const weigh = (number: number, weight: number): void =>
      net.director.ipvs.updateDestination(service("tcp"), {
        address: server(number),
        port: 80,
        forwarding: "masq",
        weight,
      });
    expect(choices(net, 2)).toBe("32");
    weigh(1, 0);
    expect(choices(net, 3, 41000)).toBe("323");
    weigh(1, 1);
    expect(choices(net, 1, 42000)).toBe("2");
    net.director.ipvs.removeDestination(service("tcp"), server(2), 80);
    expect(choices(net, 3, 43000)).toBe("131");
  });

  it("weighted: all weights 0 is nobody; weights begin anew with each change", async () => {
    const net = await quiet("wrr", [4, 3, 2]);
    // C B A at weight 1, where the first server left it, then 4, 3, 2.
    expect(choices(net, 9)).toBe("321121321");
    const weigh = (number: number, weight: number): void =>
      net.director.ipvs.updateDestination(service("tcp"), {
        address: server(number),
        port: 80,
        forwarding: "masq",
        weight,
      });
    for (const number of [1, 2, 3]) weigh(number, 0);
    expect(open(net, 50000)).toBe(0);
    weigh(2, 7);
    expect(choices(net, 2, 51000)).toBe("22");
  });
});

/** The server for a client's address and port, by the entry that its SYN makes. */
function of(net: Farm, client: string, port = 40000): string {
  const { kernel, director } = net;
  const before = director.ipvs.connections().length;
  const dev = `x${before}`;
  // A client of its own: an address that nobody else has, behind a link of its own.
  const ns = net.host.createNs(dev);
  director.link.add({ kind: "veth", name: dev, peer: { name: "eth0", ns } });
  director.link.set(dev, { up: true });
  ns.link.set("eth0", { up: true });
  ns.addr.add("eth0", cidr(`${client}/32`));
  director.route.add({ dst: cidr(`${client}/32`), dev });
  ns.route.add({ dst: cidr("0.0.0.0/0"), dev: "eth0" });
  sendRaw(ns, 6, tcp(ip(client), port, ip(VIP), 80, SYN), ip(VIP));
  pass(kernel);
  const found = director.ipvs.connections().find((one) => one.client.ip === ip(client));
  sendRaw(ns, 6, tcp(ip(client), port, ip(VIP), 80, RST), ip(VIP));
  ns.destroy();
  return formatIpv4(found?.destination.ip ?? 0);
}

describe.skipIf(!kernelBuilt)("hashing", () => {
  it("sh: C1 B2 A1 fill the slots in turns of their weights", async () => {
    const net = await quiet("sh", [1, 2, 1]);
    expect([of(net, "10.0.0.2"), of(net, "10.0.0.3"), of(net, "192.168.1.1")]).toEqual([
      "10.1.1.2",
      "10.1.1.1",
      "10.1.1.3",
    ]);
  });

  it.each([
    [[], "0.0.0.0"],
    [["fallback"], "10.1.1.1"],
  ] as const)("sh: a server that takes no more, flags %j", async (schedulerFlags, expected) => {
    const net = await farm();
    serve(net.director, service("tcp"), [1, 2, 1], { scheduler: "sh", schedulerFlags });
    // One that hashes to the same server takes its only place: its slots stay as they were.
    const full = { address: server(2), port: 80, forwarding: "masq", weight: 2, upper: 1 } as const;
    net.director.ipvs.updateDestination(service("tcp"), full);
    expect(of(net, "10.2.9.1", 40002)).toBe("10.1.1.2");
    expect(of(net, "10.0.0.2")).toBe(expected);
  });

  it.each([[80, ["10.0.1.5", "10.0.1.6", "10.0.1.7"]]])("mh: the worked table, port %i", async (port, [a, b, c]) => {
    const net = await farm();
    net.director.addr.add("out", cidr("10.0.1.254/24"));
    net.director.ipvs.addService({ id: service("tcp"), scheduler: "mh" });
    for (const [address, weight] of [
      [a, 1],
      [b, 2],
      [c, 1],
    ] as const)
      net.director.ipvs.addDestination(service("tcp"), {
        address: ip(address ?? ""),
        port,
        forwarding: "masq",
        weight,
      });
    expect([of(net, "192.168.1.1"), of(net, "10.0.0.2"), of(net, "172.18.0.2")]).toEqual([a, b, c]);
  });
});
