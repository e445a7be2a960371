/** The way out of a sandbox: docker_gwbridge, default routes, the order of interfaces; user bridges and special networks. */
import { describe, expect, it } from "vitest";
import { formatCidr, formatIpv4 } from "../../src/base/addr.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import type { Network, NetworkSpec } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { dumpHost } from "../support/fake-netns.ts";
import { iptablesSave } from "../support/fake-netns-iptables.ts";
import { type FakeNode, FakeSwarm, ip, startContainer, testNetSpec } from "../support/fake-swarm.ts";

const OPTION = "com.docker.network.bridge.name";

function interfaces(ns: NetNs | undefined): string[] {
  return (ns?.link.list() ?? [])
    .filter((l) => l.name !== "lo")
    .map((l) => `${l.name} ${ns?.addr.list(l.index).map((a) => formatCidr(a.addr))}`)
    .sort();
}

function defaultRoute(sandbox: Sandbox): string | undefined {
  const ns = sandbox.ns;
  const route = ns?.route.list().find((r) => r.dst.prefix === 0);
  return route === undefined ? undefined : `${formatIpv4(route.via ?? 0)} ${ns?.link.get(route.dev).name}`;
}

function swarmNode(more: Partial<NetworkSpec> = {}): { swarm: FakeSwarm; node: FakeNode; net: Network } {
  const swarm = new FakeSwarm();
  const node = swarm.addNode();
  swarm.join(node, "10.0.0.2");
  return { swarm, node, net: swarm.newNetwork(node, testNetSpec("10.0.1.3", more)) };
}

function sandboxOn(node: FakeNode, networks: readonly Network[]): Sandbox {
  const sandbox = node.controller.newSandbox({ containerId: "c".repeat(64), name: "c" });
  for (const network of networks) network.createEndpoint("c").join(sandbox);
  sandbox.setKey();
  return sandbox;
}

describe("the default gateway", () => {
  it("is docker_gwbridge on an overlay network, and the last interface whatever the order of joining", () => {
    const { node, net } = swarmNode();
    const ingress = node.controller.networkByName("ingress") as Network;
    const sandbox = sandboxOn(node, [net, ingress]);
    expect(interfaces(sandbox.ns)).toEqual(["eth0 10.0.0.3/24", "eth1 10.0.1.2/24", "eth2 172.18.0.3/16"]);
    expect(defaultRoute(sandbox)).toBe("172.18.0.1 eth2");
    const gateway = sandbox.endpoints().find((e) => e.onGatewayNetwork);
    expect(gateway?.name).toBe(`gateway_${sandbox.id.slice(0, 12)}`);
    // The veth pair of docker_gwbridge was made right after the first network's, so its index is the middle one.
    expect(sandbox.ns?.link.list().map((l) => l.name)).toEqual(["lo", "eth1", "eth2", "eth0"]);
  });

  it("is a user bridge's where there is one, also when it comes later; docker_gwbridge goes and comes back", () => {
    const { node, net } = swarmNode();
    const bridge = node.controller.newLocalNetwork({ name: "web", driver: "bridge" });
    expect(formatCidr(bridge.subnets[0]?.pool.subnet as never)).toBe("172.19.0.0/16");
    const sandbox = sandboxOn(node, [net]);
    expect(defaultRoute(sandbox)).toBe("172.18.0.1 eth1");
    const endpoint = bridge.createEndpoint("c");
    endpoint.join(sandbox);
    expect(sandbox.endpoints().map((e) => e.network.name)).toEqual(["web", "test-net"]);
    expect(defaultRoute(sandbox)).toBe("172.19.0.1 eth2");
    endpoint.delete(true);
    expect(defaultRoute(sandbox)).toBe("172.18.0.1 eth3");
    expect(sandbox.endpoints().map((e) => e.network.name)).toEqual(["test-net", "docker_gwbridge"]);
  });

  it("is not there for internal networks, whose unknown names are refused", () => {
    const { node, net } = swarmNode({ internal: true });
    const sandbox = sandboxOn(node, [net]);
    expect(interfaces(sandbox.ns)).toEqual(["eth0 10.0.1.2/24"]);
    expect([defaultRoute(sandbox), sandbox.proxyDns]).toEqual([undefined, false]);
  });

  it("of a custom ingress network with a long name carries its namespace's name", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    swarm.run(node, node.controller.agentStart({ advertiseAddress: ip("192.168.77.11"), remoteAddresses: [] }));
    swarm.newNetwork(node, testNetSpec("10.0.1.3", { name: "enc-ingress", ingress: true }));
    const sandbox = node.controller.sandboxOf("enc-ingress-sbox");
    expect(sandbox?.endpoints().map((e) => e.name)).toEqual(["enc-ingress-endpoint", "gateway_ingress_sbox"]);
    expect(sandbox?.ns?.name).toBe("ingress_sbox");
    const second = (): unknown =>
      swarm.newNetwork(node, {
        ...testNetSpec("10.0.1.9"),
        id: "x".repeat(25),
        name: "ingress2",
        ingress: true,
        ipam: [],
      });
    expect(second).toThrow("ingress sandbox already present");
  });
});

describe("local networks", () => {
  it("a container on the default bridge has eth0, the host's name servers and no names", () => {
    const node = new FakeSwarm().addNode({
      resolvConf: "search lan\nnameserver 127.0.0.53\nnameserver 192.168.77.1\n",
    });
    const bridge = node.controller.networkByName("bridge") as Network;
    const sandbox = startContainer(node, bridge, "web", undefined);
    expect(interfaces(sandbox.ns)).toEqual(["eth0 172.17.0.2/16"]);
    expect(defaultRoute(sandbox)).toBe("172.17.0.1 eth0");
    expect(sandbox.resolvConf()).toBe("search lan\nnameserver 192.168.77.1\n");
    expect(sandbox.ns?.socket.list()).toEqual([]);
    expect(bridge.records.dump()).toEqual([]);
    const lonely = new FakeSwarm().addNode();
    const other = startContainer(lonely, lonely.controller.networkByName("bridge") as Network, "c", undefined);
    expect(other.resolvConf()).toBe("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  });

  it("user bridges know names, get the next subnet, and vanish without a trace", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    const before = dumpHost(node.kernel);
    const web = node.controller.newLocalNetwork({ name: "web", driver: "bridge" });
    const internal = node.controller.newLocalNetwork({ name: "inner", driver: "bridge", internal: true });
    const sandbox = startContainer(node, web, "c1", undefined);
    expect(sandbox.resolveName("c1.web", "ipv4")).toEqual({ addresses: [ip("172.18.0.2")], known: true });
    expect(sandbox.resolveName("C1", "ipv6")).toEqual({ addresses: [], known: true });
    expect(sandbox.resolveName("c1.other", "ipv4").known).toBe(false);
    expect(sandbox.resolveIp(ip("172.18.0.2"))).toBe("c1.web");
    const rules = iptablesSave(node.kernel.root, "filter").filter((l) => l.includes(`br-${internal.id.slice(0, 12)}`));
    expect(rules).toEqual([
      `-A FORWARD -i br-${internal.id.slice(0, 12)} -o br-${internal.id.slice(0, 12)} -j ACCEPT`,
      `-A DOCKER-ISOLATION-STAGE-1 ! -d 172.19.0.0/16 -i br-${internal.id.slice(0, 12)} -j DROP`,
      `-A DOCKER-ISOLATION-STAGE-1 ! -s 172.19.0.0/16 -o br-${internal.id.slice(0, 12)} -j DROP`,
    ]);
    expect(() => web.delete()).toThrow(`network web id ${web.id} has active endpoints`);
    sandbox.delete();
    web.delete();
    internal.delete();
    expect(dumpHost(node.kernel)).toEqual(before);
  });

  it("refuse doubles with Docker's words", () => {
    const node = new FakeSwarm().addNode();
    const web = node.controller.newLocalNetwork({ name: "web", driver: "bridge", options: { [OPTION]: "br-web" } });
    web.createEndpoint("c1");
    expect(() => web.createEndpoint("c1")).toThrow("endpoint with name c1 already exists in network web");
    expect(() => web.createEndpoint("c2", { ipv4: ip("10.0.0.1") })).toThrow(
      "Invalid address 10.0.0.1: It does not belong to any of this network's subnets",
    );
    expect(() => web.createEndpoint("c2", { ipv4: ip("172.18.0.2") })).toThrow("Address already in use");
    expect(() =>
      node.controller.newLocalNetwork({ name: "w2", driver: "bridge", options: { [OPTION]: "br-web" } }),
    ).toThrow("networks have same bridge name");
    expect(() => node.controller.newLocalNetwork({ name: "h2", driver: "host" })).toThrow(
      'only one instance of "host" network is allowed',
    );
    expect(node.controller.ipam.pools()).toEqual(["LocalDefault/172.17.0.0/16", "LocalDefault/172.18.0.0/16"]);
    const tiny = node.controller.newLocalNetwork({
      name: "t",
      driver: "bridge",
      ipam: [{ subnet: { ip: ip("10.7.0.0"), prefix: 30 } }],
    });
    tiny.createEndpoint("c1");
    expect(() => tiny.createEndpoint("c2")).toThrow(
      `no available IPv4 addresses on this network's address pools: t (${tiny.id})`,
    );
  });

  it("host and none: the host's namespace, or one with lo only", () => {
    const node = new FakeSwarm().addNode({ resolvConf: "nameserver 127.0.0.53\n" });
    const host = node.controller.newSandbox({ containerId: "h", kind: "host" });
    node.controller.networkByName("host")?.createEndpoint("h").join(host);
    expect([host.ns, host.key, host.resolvConf()]).toEqual([
      node.kernel.root,
      "/var/run/docker/netns/default",
      "nameserver 127.0.0.53\n",
    ]);
    host.delete();
    expect(node.kernel.root.alive).toBe(true);
    const none = sandboxOn(node, [node.controller.networkByName("none") as Network]);
    expect([none.ns?.link.list().map((l) => l.name), none.ns?.socket.list()]).toEqual([["lo"], []]);
  });
});
