/** Namespaces that are parked: no object stands for them, everything else goes on. */
import { beforeEach, describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { MS, SEC } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { cidr, ip, kernelBuilt, lan, pass } from "../support/kernel.ts";

/** A container on a bridge of the host's own namespace. */
function container(host: Host, name: string, number: number): NetNs {
  const ns = host.createNs(name);
  host.root.link.add({ kind: "veth", name: `v${number}`, peer: { name: "eth0", ns } });
  host.root.link.set(`v${number}`, { master: host.root.link.get("br0").index });
  host.root.link.set(`v${number}`, { up: true });
  ns.link.set("lo", { up: true });
  ns.addr.add("eth0", cidr(`172.20.0.${number}/24`));
  ns.link.set("eth0", { up: true });
  return ns;
}

describe.skipIf(!kernelBuilt)("parked namespaces (needs build/kernel.wasm)", () => {
  let kernel: Kernel;
  let host: Host;

  beforeEach(async () => {
    const made = await lan(1);
    kernel = made.kernel;
    host = made.hosts[0] as Host;
    host.root.link.add({ kind: "bridge", name: "br0" });
    host.root.addr.add("br0", cidr("172.20.0.1/24"));
    host.root.link.set("br0", { up: true });
  });

  it("answer packets, and are captured where they were when they were parked", () => {
    const ns = container(host, "web", 2);
    kernel.setCapture(ns, ns.link.get("eth0").index, 77, 64);
    const id = host.park(ns);
    expect(host.namespaces().map((one) => one.name)).toEqual(["host"]);
    expect(host.parked()).toEqual([{ id, name: "web" }]);
    const ping = host.root.socket.icmp();
    ping.sendEcho(ip("172.20.0.2"), 1, new Uint8Array(8));
    pass(kernel);
    expect(ping.tryRecv()?.type).toBe(0);
    const points = [...kernel.captured()].map((frame) => frame.point);
    expect(points.length).toBeGreaterThanOrEqual(4);
    expect(new Set(points)).toEqual(new Set([77]));
  });

  it("come back under their names with all that they had; the old object is dead", () => {
    const ns = container(host, "1-wéb", 2);
    ns.iptables.newChain("nat", "DOCKER_OUTPUT");
    const routes = ns.route.list();
    const id = host.park(ns);
    expect(ns.alive).toBe(false);
    expect(() => ns.link.list()).toThrow("No such file or directory");
    expect(() => ns.socket.udp()).toThrow("No such file or directory");
    const again = host.unpark(id);
    expect(again.name).toBe("1-wéb");
    expect(again.route.list()).toEqual(routes);
    expect(again.iptables.list("nat")?.some((chain) => chain.name === "DOCKER_OUTPUT")).toBe(true);
    expect(host.parked()).toEqual([]);
    expect(host.namespaces()).toContain(again);
    // The same object while it isn't parked again.
    expect(host.unpark(id)).toBe(again);
    const socket = again.socket.udp();
    socket.bind(0, 5000);
    expect(() => host.park(again)).toThrow("open sockets");
    socket.close();
    expect(host.park(again)).toBe(id);
  });

  it("are destroyed as others are, and lose links whose other end goes", () => {
    const before = kernel.counters();
    const a = host.park(container(host, "a", 2));
    const b = host.park(container(host, "b", 3));
    const events: string[] = [];
    kernel.onLink((ns, link, kind) => events.push(`${kind} ${ns.name}/${link.name}`));
    host.root.link.del("v2");
    expect(events).toEqual(["del a/eth0", "del host/v2"]);
    expect(
      host
        .unpark(a)
        .link.list()
        .map((link) => link.name),
    ).toEqual(["lo"]);
    host.unpark(a).destroy();
    host.unpark(b).destroy();
    const after = kernel.counters();
    expect(after.blocks - before.blocks).toBe(0);
    expect(after.memoryInUse - before.memoryInUse).toBe(0);
  });

  it("go when the host loses power, and leave nothing", () => {
    // What the first container leaves behind for good (tables of the worker that have grown) is not what is looked for.
    const cycle = (): number => {
      for (let i = 2; i < 50; i++) host.park(container(host, `c${i}`, i));
      host.park(container(host, "mixed", 60));
      container(host, "open", 61);
      pass(kernel, 10 * MS);
      host.powerOff();
      expect(host.parked()).toEqual([]);
      pass(kernel, SEC);
      const { blocks } = kernel.counters();
      host.powerOn();
      host.root.link.add({ kind: "bridge", name: "br0" });
      return blocks;
    };
    const first = cycle();
    expect(cycle()).toBe(first);
    expect(cycle()).toBe(first);
  });

  it("count nothing where nobody looks: a namespace without counters has none", () => {
    const ns = container(host, "quiet", 2);
    const before = kernel.counters().memoryInUse;
    expect(Object.values(ns.snmp()).every((count) => count === 0)).toBe(true);
    expect(kernel.counters().memoryInUse).toBe(before);
    const ping = host.root.socket.icmp();
    ping.sendEcho(ip("172.20.0.2"), 1, new Uint8Array(8));
    pass(kernel);
    expect(ns.snmp()["IcmpInEchos"]).toBe(1);
    expect(kernel.exports.snmpStray()).toBe(0);
  });

  it("refuses the root namespace and another host's", async () => {
    expect(() => host.park(host.root)).toThrow("not its root");
    const other = kernel.addHost("other", 9, new Random("other"));
    const ns = other.createNs("x");
    expect(() => host.park(ns)).toThrow("of this host");
    const id = other.park(ns);
    expect(other.unpark(id).name).toBe("x");
  });
});
