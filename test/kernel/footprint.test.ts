/** The figures of src/kernel/footprint.ts against what each thing really takes. */
import { describe, expect, it } from "vitest";
import { broadcastOf } from "../../src/base/addr.ts";
import { Random } from "../../src/base/random.ts";
import { FOOTPRINT, type FootprintThing, footprint } from "../../src/kernel/footprint.ts";
import type { Host } from "../../src/kernel/host.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import type { UdpSocket } from "../../src/kernel/socket-types.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { setupNat } from "../../src/libnetwork/resolver.ts";
import { planMesh } from "../../src/workload/mesh/plan.ts";
import type { MeshOptions } from "../../src/workload/mesh/types.ts";
import { cidr, ip, kernelBuilt, kernelModule, lan, pass } from "../support/kernel.ts";
import { meshOptions, placeMesh } from "../support/mesh.ts";
import { policy, sa } from "../xfrm/esp-net.ts";

/** The figure is right within 10 %. */
function expectBytes(thing: FootprintThing, measured: number): void {
  const share = FOOTPRINT[thing] / measured;
  expect(share, `${thing}: ${measured.toFixed(1)} bytes, said ${FOOTPRINT[thing]}`).toBeGreaterThan(0.9);
  expect(share, `${thing}: ${measured.toFixed(1)} bytes, said ${FOOTPRINT[thing]}`).toBeLessThan(1.1);
}

/** Bytes that an action takes, each of so many times. */
function cost(kernel: Kernel, times: number, action: (i: number) => void): number {
  const before = kernel.counters().memoryInUse;
  for (let i = 0; i < times; i++) action(i);
  return (kernel.counters().memoryInUse - before) / times;
}

/** The same without the steps in which tables of the worker grow: the middle one of all. */
function usualCost(kernel: Kernel, times: number, action: (i: number) => void): number {
  const costs = Array.from({ length: times }, (_, i) => cost(kernel, 1, () => action(i)));
  return costs.sort((a, b) => a - b)[times >> 1] as number;
}

/** Bytes in use once the hosts of a mesh are placed. */
async function placed(changes: Partial<MeshOptions>): Promise<number> {
  const options = meshOptions({ hosts: 1, span: 1, containers: 10, services: 0, ...changes });
  const mesh = await placeMesh(options, planMesh(options));
  return mesh.kernel.counters().memoryInUse;
}

/** Bytes that so many more of something add to a mesh, each. */
async function difference(times: number, few: Partial<MeshOptions>, many: Partial<MeshOptions>): Promise<number> {
  return ((await placed(many)) - (await placed(few))) / times;
}

async function oneHost(): Promise<{ kernel: Kernel; host: Host }> {
  const { kernel, hosts } = await lan(1);
  return { kernel, host: hosts[0] as Host };
}

describe.skipIf(!kernelBuilt)("the footprint (needs build/kernel.wasm)", () => {
  it("of a worker, and of hosts", async () => {
    const empty = Kernel.create(await kernelModule()).counters().memoryInUse;
    const one = (await lan(1)).kernel.counters().memoryInUse;
    expectBytes("worker", one - FOOTPRINT.host);
    expect(empty).toBeLessThan(one);
    const few = (await lan(50)).kernel.counters().memoryInUse;
    const many = (await lan(250)).kernel.counters().memoryInUse;
    expectBytes("host", (many - few) / 200);
  });

  it("of what dockerd, networks, containers and services add", async () => {
    const { container, network, host } = FOOTPRINT;
    const more = await difference(800, { containers: 100 }, { containers: 900 });
    expectBytes("container", more);
    const networks = await difference(50, { containers: 300, networks: 10 }, { containers: 300, networks: 60 });
    expectBytes("network", networks);
    const perHost = await difference(
      200,
      { hosts: 100, networks: 100, containers: 100 },
      { hosts: 300, networks: 300, containers: 300 },
    );
    expectBytes("engine", perHost - host - network - container);
    expectBytes("service", await difference(100, { containers: 300, services: 1 }, { containers: 300, services: 101 }));
    const peers = await difference(
      800,
      { hosts: 2, span: 2, containers: 400 },
      { hosts: 2, span: 2, containers: 1200 },
    );
    expectBytes("peer", peers - more);
    const destinations = { hosts: 1, services: 1 };
    const with1 = await difference(800, { ...destinations, containers: 100 }, { ...destinations, containers: 900 });
    expectBytes("destination", with1 - more);
  });

  it("of IPsec, and of rules that differ", async () => {
    const { kernel, host } = await oneHost();
    const rules = (name: string, port: (i: number) => number): number =>
      cost(kernel, 500, (i) => {
        const ns = host.createNs(`${name}${i}`);
        setupNat(ns.iptables, port(i), port(i) + 1);
      });
    rules("first", () => 40_000);
    const same = rules("same", () => 40_000);
    expectBytes("dnsRules", rules("other", (i) => 50_000 + 2 * i) - same);
    const { xfrm } = host.root;
    const states = cost(kernel, 1000, (i) => xfrm.stateAdd(sa("10.1.1.1", `10.2.${i >> 8}.${i & 255}`, 0x1000 + i)));
    expectBytes("association", states);
    const policies = cost(kernel, 1000, (i) =>
      xfrm.policyAdd(policy("out", "10.1.1.1/32", `10.2.${i >> 8}.${i & 255}/32`)),
    );
    expectBytes("policy", policies);
  });

  it("of what traffic adds", async () => {
    const { kernel, host } = await oneHost();
    const { root } = host;
    root.link.add({ kind: "bridge", name: "br0" });
    root.addr.add("br0", cidr("172.20.0.1/16"));
    root.link.set("br0", { up: true });
    const containers = Array.from({ length: 400 }, (_, i) => bridged(host, i));
    for (const ns of containers) {
      ns.iptables.append("filter", "INPUT", {
        match: { ctstate: { value: ["ESTABLISHED"], not: false } },
        target: { kind: "ACCEPT" },
      });
    }
    const sinks: UdpSocket[] = [];
    const first = cost(kernel, containers.length, (i) => {
      const socket = (containers[i] as NetNs).socket.udp();
      socket.bind(0, 5000);
      sinks.push(socket);
    });
    const second = cost(kernel, containers.length, (i) => {
      (containers[i] as NetNs).socket.udp().bind(0, 5001);
    });
    expectBytes("udpSocket", second);
    const listeners = cost(kernel, containers.length, (i) => {
      const socket = (containers[i] as NetNs).socket.tcp();
      socket.bind(0, 80);
      socket.listen(8);
    });
    expectBytes("tcpListener", listeners);
    const sender = root.socket.udp();
    const other = root.socket.udp();
    const send = (from: UdpSocket, i: number): void => {
      from.sendTo(new Uint8Array(1), ip("172.20.0.2") + i, 5000);
      pass(kernel, 100_000);
      expect(sinks[i]?.tryRecv()?.data).toHaveLength(1);
    };
    // The first one is asked for by a broadcast, which goes through every namespace.
    for (const from of [sender, other]) send(from, 0);
    // A neighbour of the host and one of the container, a connection in the container, its routes.
    const heard = usualCost(kernel, containers.length - 1, (i) => send(sender, i + 1));
    expectBytes(
      "connection",
      cost(kernel, containers.length - 1, (i) => send(other, i + 1)),
    );
    expectBytes("active", first - second + heard - 2 * FOOTPRINT.neighbour - FOOTPRINT.connection);
    expectBytes("neighbour", neighbours(kernel, host));
  });

  it("knows the counters of IP identification: a table, and its 64 pages as others are sent to", async () => {
    const kernel = Kernel.create(await kernelModule());
    const { root } = kernel.addHost("one", 0, new Random("one"));
    root.link.set("lo", { up: true });
    const sink = root.socket.udp();
    sink.bind(0, 5000);
    sink.setSink(true);
    const [connected, sender] = [root.socket.udp(), root.socket.udp()];
    const address = (i: number): number => ip("127.0.0.1") + i;
    // Routes and counters of the namespace are there after this; a connected socket has its own identification.
    for (let i = 0; i < 2000; i++) {
      connected.connect(address(i), 5000);
      connected.send(new Uint8Array(1));
      pass(kernel, 1);
    }
    sender.bind(0, 5001);
    const send = (i: number): void => {
      sender.sendTo(new Uint8Array(1), address(i), 5000);
      pass(kernel, 1);
    };
    expect(cost(kernel, 1, send)).toBe(FOOTPRINT.identification + FOOTPRINT.identificationPage);
    expect(cost(kernel, 2000, send) * 2000).toBe(63 * FOOTPRINT.identificationPage);
  });

  it("adds up", () => {
    expect(footprint({})).toBe(0);
    expect(footprint({ container: 3, peer: 2 })).toBe(3 * FOOTPRINT.container + 2 * FOOTPRINT.peer);
  });
});

/** A container on the host's br0. */
function bridged(host: Host, i: number): NetNs {
  const ns = host.createNs(`c${i}`);
  const address = { ip: ip("172.20.0.2") + i, prefix: 16 };
  host.root.link.add({ kind: "veth", name: `v${i}`, peer: { name: "eth0", ns } });
  host.root.link.set(`v${i}`, { master: host.root.link.get("br0").index, up: true });
  ns.addr.add("eth0", address, { broadcast: broadcastOf(address) });
  ns.link.set("eth0", { up: true });
  return ns;
}

function neighbours(kernel: Kernel, host: Host): number {
  return cost(kernel, 150, (i) =>
    host.root.neigh.add("br0", ip("172.20.9.1") + i, 0x020000000000 + i, { state: "STALE" }),
  );
}
