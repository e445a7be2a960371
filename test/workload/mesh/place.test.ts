import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../../src/base/addr.ts";
import { assert, UserError } from "../../../src/base/errors.ts";
import { MS } from "../../../src/base/time.ts";
import type { NetNs } from "../../../src/kernel/types.ts";
import { planMesh } from "../../../src/workload/mesh/plan.ts";
import { kernelBuilt } from "../../support/kernel.ts";
import { meshOptions, type PlacedMesh, passTime, placeMesh } from "../../support/mesh.ts";

const PORT = 5000;

/** Sends a datagram from one container to an address, from a port of its own; returns who got it, by container. */
function send(mesh: PlacedMesh, from: number, to: number, sport: number): number[] {
  const count = mesh.plan.containers.count;
  const sinks = Array.from({ length: count }, (_, c) => {
    const socket = mesh.container(c).socket.udp();
    socket.bind(0, PORT);
    return socket;
  });
  const socket = mesh.container(from).socket.udp();
  socket.bind(0, sport);
  socket.sendTo(new Uint8Array(32), to, PORT);
  passTime(mesh.kernel, 5 * MS);
  const got = sinks.flatMap((sink, c) => (sink.tryRecv() === undefined ? [] : [c]));
  for (const one of [...sinks, socket]) one.close();
  return got;
}

/** Drops by reason, without those of ARP frames and of floods that reach whom they don't concern. */
function drops(mesh: PlacedMesh): string[] {
  const usual = ["ARP_CONSUMED", "ARP_PROXY_CONSUMED", "OTHERHOST"];
  return mesh.hosts.flatMap((host) => Object.keys(host.drops())).filter((reason) => !usual.includes(reason));
}

const names = (ns: NetNs): string[] =>
  ns.link
    .list()
    .map((link) => link.name)
    .sort();

describe.skipIf(!kernelBuilt)("a placed host", () => {
  it.each([0, 1])(
    "carries datagrams from each container to each other of its network (%i encrypted)",
    async (encrypted) => {
      const mesh = await placeMesh(meshOptions({ containers: 8, encrypted }));
      for (let from = 0; from < 8; from++) {
        for (let to = 0; to < 8; to++) {
          if (from === to) continue;
          expect(send(mesh, from, mesh.plan.containers.ip[to] as number, 6000 + from), `${from} to ${to}`).toEqual([
            to,
          ]);
        }
      }
      expect(drops(mesh)).toEqual([]);
      const sealed = mesh.hosts.reduce(
        (sum, host) => sum + host.root.xfrm.stateList().reduce((n, state) => n + state.packets, 0),
        0,
      );
      // 56 pairs, of which 8 share a host; each packet is sealed and opened once; nothing is resolved by broadcasts.
      if (encrypted === 1) expect(sealed).toBe(2 * 48);
      else expect(sealed).toBe(0);
    },
  );

  it("spreads a VIP's datagrams over all tasks in turn", async () => {
    const mesh = await placeMesh(meshOptions({ containers: 8, services: 2, schedulers: ["rr", "wrr"] }));
    for (const [s, { vip, containers }] of mesh.plan.services.entries()) {
      const got = Array.from({ length: containers.length }, (_, i) =>
        send(mesh, 1 - s, vip, 7000 + 100 * s + i),
      ).flat();
      expect([...got].sort()).toEqual([...containers]);
    }
    expect(drops(mesh)).toEqual([]);
  });

  it("has the namespaces and devices that Docker makes", async () => {
    const mesh = await placeMesh(meshOptions({ networks: 2, span: 2, containers: 8, encrypted: 1 }));
    const [host] = mesh.hosts;
    const lb = `lb_${mesh.plan.networks[0]?.id}`.slice(0, 12);
    expect(host?.namespaces().map((ns) => ns.name)).toEqual(["host"]);
    const parked = host?.parked() ?? [];
    expect(parked.map(({ name }) => name)).toEqual(["c0", "c1", lb, "net0"]);
    const [container, , balancer, net] = parked.map(({ id }) => host?.unpark(id));
    const root = host?.root;
    assert(root !== undefined && balancer !== undefined && net !== undefined && container !== undefined, "namespaces");
    expect(names(root).filter((name) => !name.startsWith("veth"))).toEqual([
      "docker0",
      "docker_gwbridge",
      "eth0",
      "lo",
    ]);
    expect(names(root).filter((name) => /^veth[0-9a-f]{7}$/.test(name))).toHaveLength(2);
    expect(names(balancer)).toEqual(["eth0", "lo"]);
    expect(names(net)).toEqual(["br0", "lo", "veth0", "veth1", "veth2", "vxlan0"]);
    expect(names(container)).toEqual(["eth0", "eth1", "lo"]);
    expect(container.link.get("eth0").mtu).toBe(1424);
    expect(container.addr.list("eth1").map(({ addr }) => formatIpv4(addr.ip))).toEqual(["172.18.0.3"]);
    // Containers and the load balancer of the one other host that the network spans.
    expect(net.neigh.list().filter(({ state }) => state === "PERMANENT")).toHaveLength(3);
    expect(net.fdb.list("vxlan0").filter(({ owner }) => owner === "self")).toHaveLength(3);
    expect(root.xfrm.stateList()).toHaveLength(4);
  });

  it("reaches the outside by docker_gwbridge, which lets no container through to another", async () => {
    const mesh = await placeMesh(meshOptions({ containers: 8 }));
    const [a, b] = [mesh.container(0), mesh.container(1)];
    const peer = mesh.hosts[1]?.root.socket.udp();
    peer?.bind(0, PORT);
    const socket = a.socket.udp();
    socket.sendTo(new Uint8Array(8), 0xc0a84d0c, PORT);
    passTime(mesh.kernel);
    expect(peer?.tryRecv()?.src).toBe(0xc0a84d0b);
    const neighbour = b.socket.udp();
    neighbour.bind(0, PORT);
    socket.sendTo(new Uint8Array(8), b.addr.list("eth1")[0]?.addr.ip ?? 0, PORT);
    passTime(mesh.kernel);
    expect(neighbour.tryRecv()).toBeUndefined();
  });

  it("is the same each time, and refuses encryption without keys", async () => {
    const options = meshOptions({ encrypted: 1, containers: 8 });
    const [a, b] = [await placeMesh(options), await placeMesh(options)];
    const macs = (mesh: PlacedMesh) => mesh.hosts.flatMap((host) => host.root.link.list().map((l) => [l.name, l.mac]));
    expect(macs(a)).toEqual(macs(b));
    const { keys: _, ...plan } = planMesh(options);
    await expect(placeMesh(options, plan)).rejects.toThrow(UserError);
  });
});
