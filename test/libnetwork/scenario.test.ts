/** A stand-alone container on each of two nodes of a swarm, against golden A and B. */
import { beforeAll, describe, expect, it } from "vitest";
import { formatCidr, formatIpv4, formatMac } from "../../src/base/addr.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import {
  inspectContainers,
  inspectNetwork,
  inspectPeers,
  inspectServices,
  type ServiceView,
} from "../../src/libnetwork/inspect.ts";
import type { Network } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { dumpHost } from "../support/fake-netns.ts";
import { iptablesSave } from "../support/fake-netns-iptables.ts";
import { type FakeNode, FakeSwarm, startContainer, testNetSpec } from "../support/fake-swarm.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";

/** One section of a golden state file. */
function section(path: string, title: string): string[] {
  const lines = goldenText(path).split("\n");
  const start = lines.findIndex((l) => l.startsWith(`### ${title}`));
  const end = lines.findIndex((l, i) => i > start && l.startsWith("### "));
  return lines.slice(start + 1, end < 0 ? undefined : end).filter((l) => l !== "");
}

/** Golden's iptables-save without counters and comments. */
function goldenIptables(path: string): string[] {
  return section(path, "iptables-save -c")
    .filter((l) => !l.startsWith("#"))
    .map((l) => l.replace(/^\[\d+:\d+\] /, "").replace(/ \[\d+:\d+\]$/, ""));
}

/** `-m tcp` and `-m udp` stand before --dport in golden, as here; random ports are masked. */
function maskPorts(lines: readonly string[]): string[] {
  return lines.map((l) => l.replace(/(127\.0\.0\.11:|--sport )\d+/, "$1PORT"));
}

interface GoldenLink {
  index: number;
  name: string;
  mtu: number;
  master: string | undefined;
  mac: string;
  addresses: string[];
}

function goldenLinks(path: string): GoldenLink[] {
  const links: GoldenLink[] = [];
  for (const line of section(path, "ip -d -s addr show")) {
    const head = /^(\d+): ([^:@]+)(?:@\S+)?: .*? mtu (\d+)(?:.*? master (\S+))?/.exec(line);
    if (head !== null) {
      links.push({
        index: Number(head[1]),
        name: head[2] as string,
        mtu: Number(head[3]),
        master: head[4],
        mac: "",
        addresses: [],
      });
    }
    const mac = /link\/\S+ ([0-9a-f:]{17})/.exec(line);
    if (mac !== null) (links.at(-1) as GoldenLink).mac = mac[1] as string;
    const address = /^\s+inet (\S+)/.exec(line);
    if (address !== null) (links.at(-1) as GoldenLink).addresses.push(address[1] as string);
  }
  return links;
}

/** The namespace's links in golden's form; MACs that the kernel makes up are taken from golden. */
function ownLinks(ns: NetNs, golden: readonly GoldenLink[]): GoldenLink[] {
  return ns.link.list().map((l, i) => {
    const master = l.master === 0 ? undefined : ns.link.get(l.master).name;
    const random =
      l.name === "eth0" ? false : !formatMac(l.mac).startsWith("02:42:0a") && !formatMac(l.mac).startsWith("02:42:ac");
    const mac = random && l.kind !== "loopback" ? (golden[i]?.mac ?? "") : formatMac(l.mac);
    return {
      index: l.index,
      name: l.name,
      mtu: l.mtu,
      master,
      mac,
      addresses: ns.addr.list(l.index).map((a) => formatCidr(a.addr)),
    };
  });
}

function goldenRoutes(path: string): string[] {
  return section(path, "ip route show table all")
    .filter((l) => !/table local|fe80|ff00|^local|^broadcast|^multicast/.test(l))
    .map((l) => l.replace(/ linkdown/, "").trim())
    .sort();
}

function ownRoutes(ns: NetNs): string[] {
  return ns.route
    .list("main")
    .map((r) => {
      const dev = ns.link.get(r.dev).name;
      if (r.via !== undefined)
        return `${r.dst.prefix === 0 ? "default" : formatCidr(r.dst)} via ${formatIpv4(r.via)} dev ${dev}`;
      return `${formatCidr(r.dst)} dev ${dev} proto kernel scope link src ${formatIpv4(r.src ?? 0)}`;
    })
    .sort();
}

/** Permanent neighbours and FDB entries of vxlan0. */
function permanents(ns: NetNs): string[] {
  const vxlan = ns.link.get("vxlan0").index;
  const neigh = ns.neigh
    .list(vxlan)
    .map((n) => `${formatIpv4(n.ip)} dev vxlan0 lladdr ${formatMac(n.mac ?? 0)} ${n.state}`);
  const fdb = ns.fdb
    .list(vxlan)
    .flatMap((f) =>
      f.dst === undefined ? [] : [`${formatMac(f.mac)} dev vxlan0 dst ${formatIpv4(f.dst)} self permanent`],
    );
  return [...neigh, ...fdb].sort();
}

function goldenPermanents(path: string): string[] {
  const neigh = section(path, "ip -s neigh show")
    .filter((l) => l.includes("PERMANENT"))
    .map((l) => l.replace(/ {2}used.*probes \d+/, ""));
  const fdb = section(path, "bridge -d fdb show")
    .filter((l) => l.includes(" dst "))
    .map((l) => l.replace(" link-netnsid 0", ""));
  return [...neigh, ...fdb].map((l) => l.trim()).sort();
}

function nsOf(node: FakeNode, name: string): NetNs {
  const ns = node.kernel.namespaces().find((n) => n.name === name);
  if (ns === undefined) throw new Error(`no namespace ${name}`);
  return ns;
}

interface Scene {
  swarm: FakeSwarm;
  host1: FakeNode;
  host2: FakeNode;
  net1: Network;
  net2: Network;
  alpine1: Sandbox;
  alpine2: Sandbox;
}

function build(): Scene {
  const swarm = new FakeSwarm();
  const host1 = swarm.addNode();
  const host2 = swarm.addNode();
  swarm.join(host1, "10.0.0.2");
  swarm.join(host2, "10.0.0.3");
  const net1 = swarm.newNetwork(host1, testNetSpec("10.0.1.3"));
  const alpine1 = startContainer(host1, net1, "alpine1", "10.0.1.2");
  const net2 = swarm.newNetwork(host2, testNetSpec("10.0.1.5"));
  const alpine2 = startContainer(host2, net2, "alpine2", "10.0.1.4");
  swarm.settle();
  return { swarm, host1, host2, net1, net2, alpine1, alpine2 };
}

const STATE = "B-standalone-attachable/manager/state-2-after-traffic";
const WORKER = "B-standalone-attachable/worker-1/state-2-after-traffic";

describe.skipIf(!goldenAvailable)(goldenTitle("a container on each of two nodes"), () => {
  let scene: Scene;
  beforeAll(() => {
    scene = build();
  });

  it("starts with docker0 and its rules, as before the swarm", () => {
    const node = new FakeSwarm().addNode();
    const golden = goldenIptables("A-swarm-init/manager/state-0-before-swarm/host.txt");
    expect([...iptablesSave(node.kernel.root, "filter"), ...iptablesSave(node.kernel.root, "nat")]).toEqual(golden);
    expect(ownRoutes(node.kernel.root)).toEqual(goldenRoutes("A-swarm-init/manager/state-0-before-swarm/host.txt"));
    const docker0 = node.kernel.root.link.get("docker0");
    expect(docker0.index).toBe(3);
    expect(formatMac(docker0.mac)).toMatch(/^02:42:/);
  });

  it("has golden's rules in the host's namespace, docker_gwbridge before docker0", () => {
    const { root } = scene.host1.kernel;
    expect([...iptablesSave(root, "filter"), ...iptablesSave(root, "nat")]).toEqual(
      goldenIptables(`${STATE}/host.txt`),
    );
  });

  it("has golden's links in the host's namespace", () => {
    const golden = goldenLinks(`${STATE}/host.txt`);
    const own = ownLinks(scene.host1.kernel.root, golden).map((l, i) => {
      const other = golden[i] as GoldenLink;
      return {
        ...l,
        mac: other.mac,
        name: l.name.startsWith("veth") && other.name.startsWith("veth") ? other.name : l.name,
      };
    });
    expect(own).toEqual(golden);
    expect(ownRoutes(scene.host1.kernel.root)).toEqual(goldenRoutes(`${STATE}/host.txt`));
  });

  it.each([
    ["test-net", "ns-1-k6jjce19a4.txt"],
    ["ingress", "ns-1-p0sq8n7pv1.txt"],
    ["ingress_sbox", "ns-ingress_sbox.txt"],
    ["lb_k6jjce19a", "ns-lb_k6jjce19a.txt"],
    ["alpine1", "ns-ctr-alpine1.txt"],
  ])("namespace %s has golden's links, addresses and routes", (name, file) => {
    const golden = goldenLinks(`${STATE}/${file}`);
    expect(ownLinks(nsOf(scene.host1, name), golden)).toEqual(golden);
    expect(ownRoutes(nsOf(scene.host1, name))).toEqual(goldenRoutes(`${STATE}/${file}`));
  });

  it.each(["alpine1:ns-ctr-alpine1.txt", "lb_k6jjce19a:ns-lb_k6jjce19a.txt", "ingress_sbox:ns-ingress_sbox.txt"])(
    "nat rules of %s",
    (pair) => {
      const [name, file] = pair.split(":") as [string, string];
      expect(maskPorts(iptablesSave(nsOf(scene.host1, name), "nat"))).toEqual(
        maskPorts(goldenIptables(`${STATE}/${file}`)),
      );
    },
  );

  it("programs golden's permanent neighbours and FDB entries on both nodes", () => {
    expect(permanents(nsOf(scene.host1, "test-net"))).toEqual(goldenPermanents(`${STATE}/ns-1-k6jjce19a4.txt`));
    expect(permanents(nsOf(scene.host2, "test-net"))).toEqual(goldenPermanents(`${WORKER}/ns-1-k6jjce19a4.txt`));
  });

  it("gives vxlan0 golden's parameters", () => {
    const { vxlan, peerNs } = nsOf(scene.host1, "test-net").link.get("vxlan0");
    expect(vxlan).toEqual({
      vni: 4097,
      port: 4789,
      learning: true,
      proxy: true,
      l2miss: true,
      l3miss: true,
      udpCsum: true,
      ttl: 0,
      tos: 0,
      ageing: 300e9,
    });
    expect(peerNs).toBe(scene.host1.kernel.root);
  });

  it("writes golden's resolv.conf and hosts", () => {
    const lines = goldenText(`${STATE}/etc-alpine1.txt`);
    const own = scene.alpine1.containerId.slice(0, 12);
    const block = (name: string): string => (lines.split(`### cat ${name}\n`)[1] as string).split("\n\n")[0] as string;
    expect(scene.alpine1.resolvConf()).toBe(`${block("/etc/resolv.conf")}\n`);
    expect(scene.alpine1.hostsFile()).toBe(`${block("/etc/hosts").replace("a2bb9fe5470b", own)}\n`);
  });

  it("shows golden's inspect, fields in order", () => {
    const text = goldenText(`${STATE}/docker-network-inspect.txt`);
    const golden = JSON.parse(
      (text.split("### docker network inspect -v test-net\n")[1] as string).split("\n### ")[0] as string,
    )[0];
    const own = inspectNetwork(scene.net1, golden.Created as string, true);
    // Tasks come by endpoint ID, which is random.
    (own.Services as Record<string, ServiceView>)[""]?.Tasks.sort((a, b) => (a.Name < b.Name ? -1 : 1));
    const ids = (value: unknown): string =>
      JSON.stringify(value)
        .replace(/"[0-9a-f]{64}"/g, '"ID"')
        .replace(/"[0-9a-f]{12}"/g, '"NODE"');
    expect(ids(own)).toBe(ids(golden));
    expect(Object.keys(inspectContainers(scene.net1))[0]).toBe(scene.alpine1.containerId);
    const gateway = scene.host1.controller.networkByName("docker_gwbridge") as Network;
    expect(Object.values(inspectContainers(gateway)).map((c) => [c.Name, c.IPv4Address])).toEqual([
      [`gateway_${scene.alpine1.id.slice(0, 12)}`, "172.18.0.3/16"],
      ["gateway_ingress-sbox", "172.18.0.2/16"],
    ]);
    const goldenGateway = JSON.parse(
      (text.split("### docker network inspect -v docker_gwbridge\n")[1] as string).split("\n### ")[0] as string,
    )[0];
    const ownGateway = inspectNetwork(gateway, goldenGateway.Created as string, true);
    expect({ ...ownGateway, Id: "", Containers: {} }).toEqual({ ...goldenGateway, Id: "", Containers: {} });
    expect(inspectPeers(gateway)).toBeUndefined();
    const ingress = scene.host1.controller.networkByName("ingress") as Network;
    expect(inspectServices(ingress)?.[""]?.Tasks.map((t) => t.Name)).toEqual(["ingress-endpoint", "ingress-endpoint"]);
  });
});

describe("leaving", () => {
  it("forgets remote endpoints when they go, keeps the rest, and takes the network away with the last container", () => {
    const { swarm, host1, host2, net2, alpine2 } = build();
    alpine2.delete();
    swarm.settle();
    expect(permanents(nsOf(host1, "test-net"))).toEqual([
      "02:42:0a:00:01:05 dev vxlan0 dst 192.168.77.12 self permanent",
      "10.0.1.5 dev vxlan0 lladdr 02:42:0a:00:01:05 PERMANENT",
    ]);
    net2.delete();
    swarm.settle();
    expect(permanents(nsOf(host1, "test-net"))).toEqual([]);
    expect(host2.kernel.namespaces().map((n) => n.name)).toEqual(["host", "ingress_sbox", "ingress"]);
    expect(swarm.cluster.entries.filter((e) => e.networkId === net2.id).length).toBe(3);
  });

  it("refuses while a container is attached", () => {
    const { net1, host1 } = build();
    expect(() => net1.delete()).toThrow("network test-net id k6jjce19a4utx9gp5at5qi97l has active endpoints");
    expect(() => host1.controller.networkByName("ingress")?.delete()).toThrow("has active endpoints");
  });

  it("leaves nothing behind after 1,000 rounds", () => {
    const swarm = new FakeSwarm();
    const [host1, host2] = [swarm.addNode(), swarm.addNode()];
    const before = [dumpHost(host1.kernel), dumpHost(host2.kernel)];
    swarm.join(host1, "10.0.0.2");
    swarm.join(host2, "10.0.0.3");
    const joined = [dumpHost(host1.kernel), dumpHost(host2.kernel)];
    const mask = (lines: readonly string[]): string[] => lines.map((l) => l.replace(/veth[0-9a-f]{7}/, "vethX"));
    for (let round = 0; round < 1000; round++) {
      const net1 = swarm.newNetwork(host1, testNetSpec("10.0.1.3"));
      const net2 = swarm.newNetwork(host2, testNetSpec("10.0.1.5"));
      const alpine1 = startContainer(host1, net1, "alpine1", "10.0.1.2");
      const alpine2 = startContainer(host2, net2, "alpine2", "10.0.1.4");
      swarm.settle();
      alpine1.delete();
      alpine2.delete();
      net1.delete();
      net2.delete();
      swarm.settle();
    }
    expect(mask(dumpHost(host1.kernel))).toEqual(mask(joined[0] as string[]));
    expect(mask(dumpHost(host2.kernel))).toEqual(mask(joined[1] as string[]));
    expect(host1.controller.sandboxes().length).toBe(1);
    expect(swarm.cluster.nodes.map((n) => [n.joined.length, n.watching])).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(host1.controller.overlay.peers.networks()).toEqual(["p0sq8n7pv1aow8vl2e6ubsikd"]);
    for (const node of [host1, host2]) {
      expect(
        node.log.filter((l) => l.level === "error" || (l.level === "warning" && !l.message.includes("bridge FDB"))),
      ).toEqual([]);
      node.controller.networkByName("ingress")?.delete({ removeLoadBalancer: true });
      node.controller.networkByName("docker_gwbridge")?.delete();
      swarm.run(node, node.controller.agentStop());
    }
    // The user chain, its jump and the drops stay as they were before the swarm.
    expect([dumpHost(host1.kernel), dumpHost(host2.kernel)]).toEqual(before);
    expect(swarm.cluster.entries).toEqual([]);
    expect(host1.controller.ipam.pools()).toEqual(["LocalDefault/172.17.0.0/16"]);
  });
});
