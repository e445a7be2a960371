import { describe, expect, it } from "vitest";
import { formatCidr, formatIpv4, macFromIp, parseCidr } from "../../../src/base/addr.ts";
import { KernelError } from "../../../src/base/errors.ts";
import type { NetNs } from "../../../src/kernel/types.ts";
import { NetworkController } from "../../../src/libnetwork/controller.ts";
import type { OverlayEncryption } from "../../../src/libnetwork/drivers/overlay-encryption.ts";
import { overlayMtu } from "../../../src/libnetwork/drivers/overlay-network.ts";
import { SUBSYS_GOSSIP, SUBSYS_IPSEC } from "../../../src/libnetwork/keys.ts";
import { OPTION_ENCRYPTED, OPTION_MTU, OPTION_VXLAN_IDS, PEER_TABLE } from "../../../src/libnetwork/labels.ts";
import { encodePeerRecord } from "../../../src/libnetwork/records.ts";
import { type FakeNode, FakeSwarm, ip, startContainer, testNetSpec } from "../../support/fake-swarm.ts";

const NET = "k6jjce19a4utx9gp5at5qi97l";
const cidr = (text: string) => parseCidr(text) as NonNullable<ReturnType<typeof parseCidr>>;

function nsOf(node: FakeNode, name: string): NetNs {
  return node.kernel.namespaces().find((n) => n.name === name) as NetNs;
}

function peer(node: FakeNode, type: "create" | "update" | "delete", key: string, address: string, vtep: string): void {
  const endpointIp = cidr(address);
  const value = encodePeerRecord({ endpointIp, endpointMac: macFromIp(endpointIp.ip), tunnelEndpointIp: ip(vtep) });
  node.controller.overlay.eventNotify({ type, table: PEER_TABLE, networkId: NET, key, value, owner: "x" });
}

function entries(node: FakeNode): string[] {
  const ns = nsOf(node, "test-net");
  const fdb = ns.fdb.list().flatMap((f) => (f.dst === undefined ? [] : [formatIpv4(f.dst)]));
  return [...ns.neigh.list().map((n) => formatIpv4(n.ip)), ...fdb];
}

function oneNode(more: Parameters<typeof testNetSpec>[1] = {}): { swarm: FakeSwarm; node: FakeNode } {
  const swarm = new FakeSwarm();
  const node = swarm.addNode();
  swarm.join(node, "10.0.0.2");
  swarm.newNetwork(node, testNetSpec("10.0.1.3", more));
  return { swarm, node };
}

describe("overlay MTU", () => {
  it.each([
    [0, 1450, 1424],
    [1200, 1150, 1124],
    [1450, 1400, 1372],
    [1460, 1410, 1384],
    [9000, 8950, 8924],
    [8951, 8901, 8872],
  ])("option %i gives %i, encrypted %i", (option, plain, encrypted) => {
    expect([overlayMtu(option, false), overlayMtu(option, true)]).toEqual([plain, encrypted]);
  });

  it("is set on every device of the network", () => {
    const { node } = oneNode({ options: { [OPTION_VXLAN_IDS]: "4097", [OPTION_MTU]: "1200" } });
    startContainer(node, node.controller.network(NET) as never, "c1", "10.0.1.2");
    expect(
      nsOf(node, "test-net")
        .link.list()
        .slice(1)
        .map((l) => l.mtu),
    ).toEqual([1150, 1150, 1150, 1150]);
    expect(nsOf(node, "c1").link.get("eth0").mtu).toBe(1150);
    expect(nsOf(node, "lb_k6jjce19a").link.get("eth0").mtu).toBe(1150);
    expect(nsOf(node, "c1").link.get("eth1").mtu).toBe(1500);
  });
});

describe("peers", () => {
  it("own records are ignored, foreign ones programmed and taken away", () => {
    const { node } = oneNode();
    peer(node, "create", "own", "10.0.1.9/24", "192.168.77.11");
    expect(entries(node)).toEqual([]);
    peer(node, "create", "a", "10.0.1.9/24", "192.168.77.12");
    peer(node, "update", "a", "10.0.1.9/24", "192.168.77.12");
    expect(entries(node)).toEqual(["10.0.1.9", "192.168.77.12"]);
    peer(node, "delete", "a", "10.0.1.9/24", "192.168.77.12");
    expect(entries(node)).toEqual([]);
  });

  it("while two nodes claim an address the first stays, and gives way to the second when it is deleted", () => {
    const { node } = oneNode();
    peer(node, "create", "a", "10.0.1.9/24", "192.168.77.12");
    peer(node, "create", "b", "10.0.1.9/24", "192.168.77.13");
    expect(entries(node)).toEqual(["10.0.1.9", "192.168.77.12"]);
    peer(node, "delete", "a", "10.0.1.9/24", "192.168.77.12");
    expect(entries(node)).toEqual(["10.0.1.9", "192.168.77.13"]);
    peer(node, "create", "c", "10.0.1.9/24", "192.168.77.14");
    peer(node, "delete", "c", "10.0.1.9/24", "192.168.77.14");
    expect(entries(node)).toEqual(["10.0.1.9", "192.168.77.13"]);
    peer(node, "delete", "b", "10.0.1.9/24", "192.168.77.13");
    expect(entries(node)).toEqual([]);
  });

  it("learnt before the first join are programmed with it; bad records are dropped with a line in the log", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    swarm.join(node, "10.0.0.2");
    peer(node, "create", "a", "10.0.1.9/24", "192.168.77.12");
    swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    expect(entries(node)).toEqual(["10.0.1.9", "192.168.77.12"]);
    node.controller.overlay.eventNotify({
      type: "create",
      table: PEER_TABLE,
      networkId: NET,
      key: "bad",
      value: Uint8Array.of(1, 2),
      owner: "x",
    });
    expect(node.log.at(-1)).toEqual({ level: "error", message: "Failed to unmarshal peer record: bad" });
  });

  it("raises the neighbour table's limits once", () => {
    const { node } = oneNode();
    const limits = [1, 2, 3].map((i) => node.kernel.root.sysctlGet(`net.ipv4.neigh.default.gc_thresh${i}`));
    expect(limits).toEqual([8192, 49152, 65536]);
  });
});

describe("namespaces and devices", () => {
  it("numbers of ports only grow, and a new epoch names a namespace made anew", () => {
    const { swarm, node } = oneNode();
    const network = node.controller.network(NET) as never;
    for (const name of ["c1", "c2"]) startContainer(node, network, name, undefined).delete();
    startContainer(node, network, "c3", undefined);
    expect(
      nsOf(node, "test-net")
        .link.list()
        .map((l) => l.name),
    ).toEqual(["lo", "br0", "vxlan0", "veth0", "veth3"]);
    expect(node.controller.overlay.network(NET)?.dockerNetnsName).toBe("1-k6jjce19a4");
    node.controller.sandboxOf(node.controller.sandboxes().at(-1)?.containerId ?? "")?.delete();
    (node.controller.network(NET) as NonNullable<ReturnType<NetworkController["network"]>>).delete();
    swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    expect(node.controller.overlay.network(NET)?.dockerNetnsName).toBe("1-k6jjce19a4");
    const made = node.controller.overlay.network(NET);
    made?.destroySandbox();
    made?.ensureSandbox();
    expect(made?.dockerNetnsName).toBe("2-k6jjce19a4");
  });

  it("has a bridge and a VXLAN device per subnet, and routes between subnets in the containers", () => {
    const ipam = ["10.0.1.0/24", "10.0.9.0/24"].map((s) => ({ subnet: cidr(s), gateway: cidr(s).ip + 1 }));
    const { node } = oneNode({ ipam, options: { [OPTION_VXLAN_IDS]: "4097,4099" } });
    const network = node.controller.network(NET) as never;
    startContainer(node, network, "c1", "10.0.1.2");
    startContainer(node, network, "c2", "10.0.9.2");
    const links = nsOf(node, "test-net").link.list();
    expect(links.map((l) => [l.name, l.vxlan?.vni]).filter(([n]) => /br|vx/.test(String(n)))).toEqual([
      ["br0", undefined],
      ["br1", undefined],
      ["vxlan0", 4097],
      ["vxlan1", 4099],
    ]);
    const via = (name: string): string[] =>
      nsOf(node, name)
        .route.list()
        .filter((r) => r.via !== undefined && r.dst.prefix > 0)
        .map((r) => `${formatCidr(r.dst)} ${formatIpv4(r.via ?? 0)}`);
    expect([via("c1"), via("c2")]).toEqual([["10.0.9.0/24 10.0.1.1"], ["10.0.1.0/24 10.0.9.1"]]);
    peer(node, "create", "a", "10.0.9.9/24", "192.168.77.12");
    expect(
      nsOf(node, "test-net")
        .neigh.list("vxlan1")
        .map((n) => formatIpv4(n.ip)),
    ).toEqual(["10.0.9.9"]);
  });

  it("leaves nothing behind when the VNI is taken", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    swarm.join(node, "10.0.0.2");
    node.kernel.root.link.add({ kind: "vxlan", name: "other", vni: 4097, port: 4789 });
    const namespaces = node.kernel.namespaces().length;
    const links = node.kernel.root.link.list().length;
    const attempt = (): unknown => swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    expect(attempt).toThrow(
      'subnet sandbox join failed for "10.0.1.0/24": error creating vxlan interface: file exists',
    );
    expect([node.kernel.namespaces().length, node.kernel.root.link.list().length]).toEqual([namespaces, links]);
    expect(node.controller.network(NET)).toBeUndefined();
    node.kernel.root.link.del("other");
    swarm.newNetwork(node, testNetSpec("10.0.1.3"));
  });

  it("refuses networks without, or with too few, VNIs", () => {
    const attempt = (options: Record<string, string>) => () => oneNode({ options });
    expect(attempt({})).toThrow("no VNI provided");
    expect(attempt({ [OPTION_VXLAN_IDS]: "x" })).toThrow('invalid vxlan id value "x" passed');
    expect(attempt({ [OPTION_VXLAN_IDS]: "4097", [OPTION_MTU]: "-1" })).toThrow("invalid MTU value: -1");
  });

  it("passes errors of the kernel through that it doesn't expect", () => {
    const { node } = oneNode();
    expect(() => node.kernel.root.link.get("nothing")).toThrow(KernelError);
  });
});

describe("encryption's hooks", () => {
  function encrypted(hasKeys: boolean): { calls: string[]; start: () => void } {
    const calls: string[] = [];
    const hooks: OverlayEncryption = {
      hasKeys,
      attach: (context) => calls.push(`attach ${formatIpv4(context.advertiseAddress)} ${context.dataPathPort}`),
      setKeys: (keys) => calls.push(`keys ${keys.map((k) => k.lamportTime)}`),
      updateKeys: ({ key, primary, prune }) =>
        calls.push(`update ${key?.lamportTime} ${primary?.lamportTime} ${prune?.lamportTime}`),
      checkEncryption: (_id, vtep, local, add) =>
        calls.push(`check ${vtep === undefined ? "all" : formatIpv4(vtep)} ${local} ${add}`),
      programVni: (vni, add) => calls.push(`vni ${vni} ${add}`),
    };
    const swarm = new FakeSwarm();
    const base = swarm.addNode();
    const controller = new NetworkController({
      os: base.os,
      log: () => {},
      networkDb: swarm.cluster.create,
      encryption: hooks,
    });
    const node = { ...base, controller };
    const key = (subsystem: string, tag: number) => ({
      subsystem,
      key: new Uint8Array(16).fill(tag),
      lamportTime: tag,
    });
    const ring = (base: number) => [
      ...[3, 1, 2].map((t) => key(SUBSYS_GOSSIP, base + t)),
      ...[6, 4, 5].map((t) => key(SUBSYS_IPSEC, base + t)),
    ];
    const start = (): void => {
      controller.setKeys(ring(0));
      swarm.join(node, "10.0.0.2");
      swarm.newNetwork(
        node,
        testNetSpec("10.0.1.3", { options: { [OPTION_VXLAN_IDS]: "4098", [OPTION_ENCRYPTED]: "" } }),
      );
      peer(node, "create", "a", "10.0.1.9/24", "192.168.77.12");
      controller.setKeys([...ring(0).filter((k) => k.lamportTime !== 4), key(SUBSYS_IPSEC, 7)]);
      expect(swarm.cluster.nodes[0]?.ring.map((bytes) => bytes[0])).toEqual([2, 1, 3]);
      expect(() => controller.setKeys(ring(0).slice(1))).toThrow(
        "incorrect number of keys for subsystem networking:gossip",
      );
    };
    return { calls, start };
  }

  it("are called where moby calls them", () => {
    const { calls, start } = encrypted(true);
    start();
    expect(calls).toEqual([
      "keys 5,4,6",
      "attach 192.168.77.11 4789",
      "keys 5,4,6",
      "vni 4096 false",
      "vni 4098 true",
      "check all true true",
      "check 192.168.77.12 false true",
      "update 7 6 4",
    ]);
  });

  it("refuse a join without keys, and an encrypted network without an implementation", () => {
    expect(encrypted(false).start).toThrow("cannot join secure network: encryption keys not present");
    expect(() => oneNode({ options: { [OPTION_VXLAN_IDS]: "4098", [OPTION_ENCRYPTED]: "" } })).toThrow(
      "encryption of overlay networks is not available",
    );
  });
});
