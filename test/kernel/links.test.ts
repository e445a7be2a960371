import { beforeEach, describe, expect, it } from "vitest";
import { KernelError } from "../../src/base/errors.ts";
import { SEC } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cidr, ip, kernelBuilt, lan } from "../support/kernel.ts";

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return "done";
}

describe.skipIf(!kernelBuilt)("links (needs build/kernel.wasm)", () => {
  let kernel: Kernel;
  let host: Host;

  beforeEach(async () => {
    const made = await lan(1);
    kernel = made.kernel;
    host = made.hosts[0] as Host;
  });

  it("start with lo and the NIC", () => {
    const [lo, eth0] = host.root.link.list();
    expect(lo).toMatchObject({ index: 1, name: "lo", kind: "loopback", mtu: 65536, up: true });
    expect(eth0).toMatchObject({
      index: 2,
      name: "eth0",
      kind: "nic",
      mac: 0x525400000001,
      mtu: 1500,
      up: true,
      carrier: true,
    });
  });

  it("makes veth pairs across namespaces, with random MACs of its own", () => {
    const ns = host.createNs("c1");
    const index = host.root.link.add({
      kind: "veth",
      name: "veth0",
      peer: { name: "eth0", ns, mac: 0x02420a000102 },
      mtu: 1450,
    });
    const end = host.root.link.get(index);
    const peer = ns.link.get("eth0");
    expect(end).toMatchObject({
      name: "veth0",
      kind: "veth",
      peerIndex: peer.index,
      up: false,
      carrier: false,
      mtu: 1450,
    });
    expect(end.peerNs).toBe(ns);
    expect(peer).toMatchObject({ mac: 0x02420a000102, peerIndex: index, mtu: 1450 });
    expect(peer.peerNs).toBe(host.root);
    // Locally administered, unicast.
    expect(Math.floor(end.mac / 2 ** 40) & 3).toBe(2);
    host.root.link.set(index, { up: true });
    expect(host.root.link.get(index).carrier).toBe(false);
    ns.link.set("eth0", { up: true });
    expect(host.root.link.get(index).carrier).toBe(true);
  });

  it("draws MACs from the host's stream: the same for the same seed and name, others for another", async () => {
    const mac = (from: Host): number =>
      from.root.link.get(from.root.link.add({ kind: "veth", name: "a", peer: { name: "b" } })).mac;
    const again = (await lan(1)).hosts[0] as Host;
    const other = (await lan(1, "other")).hosts[0] as Host;
    const first = mac(host);
    expect(mac(again)).toBe(first);
    expect(mac(other)).not.toBe(first);
  });

  it("refuses what Linux refuses", () => {
    host.root.link.add({ kind: "bridge", name: "br0" });
    expect(code(() => host.root.link.add({ kind: "bridge", name: "br0" }))).toBe("EEXIST");
    expect(code(() => host.root.link.add({ kind: "bridge", name: "a-name-of-16-chr" }))).toBe("EINVAL");
    expect(code(() => host.root.link.add({ kind: "bridge", name: "a/b" }))).toBe("EINVAL");
    expect(code(() => host.root.link.add({ kind: "veth", name: "x", peer: { name: "br0" } }))).toBe("EEXIST");
    expect(host.root.link.list().map((link) => link.name)).toEqual(["lo", "eth0", "br0"]);
    expect(code(() => host.root.link.get("nope"))).toBe("ENODEV");
    expect(code(() => host.root.link.get(99))).toBe("ENODEV");
    expect(code(() => host.root.link.del("eth0"))).toBe("EOPNOTSUPP");
    expect(code(() => host.root.link.set("br0", { ns: host.createNs("x") }))).toBe("EINVAL");
    expect(code(() => host.root.link.set("br0", { mtu: 67 }))).toBe("EINVAL");
    host.root.link.set("br0", { up: true });
    expect(code(() => host.root.link.set("br0", { name: "br1" }))).toBe("EBUSY");
    host.root.link.set("br0", { up: false });
    expect(code(() => host.root.link.set("br0", { master: 2 }))).toBe("EOPNOTSUPP");
  });

  it("enslaves ports, numbers them, and lists the bridge's FDB", () => {
    const { link, fdb } = host.root;
    const br = link.add({ kind: "bridge", name: "br0" });
    link.add({ kind: "veth", name: "v1", mac: 0x020000000005, peer: { name: "p1" } });
    link.add({ kind: "veth", name: "v2", mac: 0x020000000003, peer: { name: "p2" } });
    link.set("v1", { master: br });
    link.set("v2", { master: br });
    expect([link.get("v1").portNo, link.get("v2").portNo]).toEqual([1, 2]);
    expect(link.get("br0").bridge?.portCount).toBe(2);
    expect(link.get("br0").mac).toBe(0x020000000003); // the lowest of its ports
    fdb.add("v1", 0x0242c0a80005, { owner: "master" });
    const entries = fdb.list("v1");
    expect(entries).toContainEqual(
      expect.objectContaining({ mac: 0x0242c0a80005, owner: "master", permanent: true, dev: link.get("v1").index }),
    );
    expect(code(() => fdb.add("v1", 0x0242c0a80005, { owner: "master" }))).toBe("EEXIST");
    fdb.del("v1", 0x0242c0a80005, { owner: "master" });
    expect(code(() => fdb.del("v1", 0x0242c0a80005, { owner: "master" }))).toBe("ENOENT");
    link.set("v1", { master: 0 });
    expect(link.get("v1")).toMatchObject({ master: 0, portNo: 0 });
  });

  it("makes vxlan devices with Docker's settings and moves them, keeping their socket's namespace", () => {
    const ns = host.createNs("1-abc");
    const spec = { vni: 4097, port: 4789, learning: true, proxy: true, l2miss: true, l3miss: true } as const;
    host.root.link.add({ kind: "vxlan", name: "vx0", ...spec });
    host.root.link.set("vx0", { ns, name: "vxlan0" });
    const info = ns.link.get("vxlan0");
    expect(info.vxlan).toEqual({ ...spec, udpCsum: true, ttl: 0, tos: 0, ageing: 300 * SEC });
    expect(info.peerNs).toBe(host.root);
    ns.fdb.add("vxlan0", 0x02420a000103, { dst: ip("10.1.1.2") });
    expect(ns.fdb.list("vxlan0")).toContainEqual(
      expect.objectContaining({ mac: 0x02420a000103, owner: "self", dst: ip("10.1.1.2"), permanent: true }),
    );
    expect(code(() => ns.fdb.add("vxlan0", 0x02420a000103, { dst: ip("10.1.1.2") }))).toBe("EEXIST");
    expect(code(() => host.root.link.add({ kind: "vxlan", name: "vx1", ...spec }))).toBe("EEXIST");
  });

  it("tells listeners of links that come, change and go, peers included", () => {
    const log: string[] = [];
    kernel.onLink((ns, link, kind) => log.push(`${kind} ${ns.name}/${link.name}`));
    const ns = host.createNs("c1");
    host.root.link.add({ kind: "veth", name: "v", peer: { name: "p" } });
    host.root.link.set("p", { ns });
    ns.link.set("p", { name: "eth0" });
    ns.rename("alpine1");
    ns.destroy();
    expect(log).toEqual([
      "add c1/lo",
      "add host/v",
      "add host/p",
      "change c1/p",
      "change c1/eth0",
      "change alpine1/lo",
      "change alpine1/eth0",
      "del host/v",
      "del alpine1/eth0",
      "del alpine1/lo",
    ]);
    expect(host.root.link.list().map((link) => link.name)).toEqual(["lo", "eth0"]);
  });

  it("gives a NIC back to the root when its namespace goes, and refuses a dead namespace", () => {
    const ns = host.createNs("x");
    host.root.link.set("eth0", { ns });
    expect(ns.link.get("eth0")).toMatchObject({ up: false, index: 2 });
    ns.destroy();
    expect(host.root.link.get("eth0").kind).toBe("nic");
    expect(ns.alive).toBe(false);
    expect(code(() => ns.link.list())).toBe("ENOENT");
    expect(host.namespaces()).toEqual([host.root]);
  });

  it("leaves no memory behind", () => {
    const round = (): void => {
      const ns = host.createNs("c");
      const br = ns.link.add({ kind: "bridge", name: "br0" });
      ns.link.add({ kind: "vxlan", name: "vx", vni: 7 });
      ns.link.set("vx", { master: br });
      host.root.link.add({ kind: "veth", name: "v", peer: { name: "p", ns } });
      ns.link.set("p", { master: br, up: true });
      host.root.link.set("v", { up: true });
      host.root.addr.add("v", cidr("172.18.0.1/16"));
      ns.neigh.add("br0", ip("10.0.0.9"), 0x02420a000009);
      ns.fdb.add("vx", 0x02420a000009, { dst: ip("10.1.1.2") });
      ns.destroy();
    };
    round();
    const before = kernel.counters();
    for (let i = 0; i < 5; i++) round();
    expect(kernel.counters().blocks).toBe(before.blocks);
    expect(kernel.counters().memoryInUse).toBe(before.memoryInUse);
  });

  it("loses everything at a power loss but the machine itself", () => {
    host.createNs("c");
    host.powerOff();
    expect(host.poweredOn).toBe(false);
    expect(() => host.root).toThrow(/switched on/);
    host.powerOn();
    expect(host.root.link.list().map((link) => link.name)).toEqual(["lo"]);
    host.addNic(0, "eth0", 1500);
    expect(host.root.link.get("eth0")).toMatchObject({ mac: 0x525400000001, up: false });
    host.root.sysctlSet("net.netfilter.nf_conntrack_max", 1000);
    expect(host.createNs("d").sysctlGet("net.netfilter.nf_conntrack_max")).toBe(1000);
  });
});
