/** docker_gwbridge made to measure, and what of the networks outlives the daemon. */
import { describe, expect, it } from "vitest";
import { formatCidr } from "../../src/base/addr.ts";
import type { NetNs, TableName } from "../../src/kernel/types.ts";
import { NetworkController } from "../../src/libnetwork/controller.ts";
import { createDefaultNetworks } from "../../src/libnetwork/default-networks.ts";
import type { Network, NetworkSpec } from "../../src/libnetwork/network.ts";
import { saveRule } from "../../src/shell/lib/iptables-text.ts";
import { type FakeNode, FakeSwarm, ingressSpec, ip, testNetSpec } from "../support/fake-swarm.ts";

function rules(ns: NetNs, table: TableName, chain: string): string[] {
  return (
    ns.iptables
      .list(table)
      ?.find((c) => c.name === chain)
      ?.rules.map((rule) => saveRule(chain, rule)) ?? []
  );
}

const MADE_TO_MEASURE: NetworkSpec = {
  name: "docker_gwbridge",
  driver: "bridge",
  ipam: [{ subnet: { ip: ip("10.11.0.0"), prefix: 16 } }],
  options: {
    "com.docker.network.bridge.name": "docker_gwbridge",
    "com.docker.network.bridge.enable_icc": "false",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
  },
};

function addressesOf(node: FakeNode, device: string): string[] {
  return node.kernel.root.addr.list(device).map((a) => formatCidr(a.addr));
}

/** `systemctl restart docker`, or a part of it. */
function restart(swarm: FakeSwarm, node: FakeNode, between: () => void = () => {}): NetworkController {
  const remains = node.controller.shutdown();
  swarm.settle();
  between();
  const controller = new NetworkController({
    os: node.os,
    log: (level, message) => node.log.push({ level, message }),
    networkDb: swarm.cluster.create,
    restore: remains,
  });
  createDefaultNetworks(controller);
  return controller;
}

describe("docker_gwbridge made by hand", () => {
  it("is what the ingress sandbox and containers get, with its subnet and options", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    const own = node.controller.newLocalNetwork({
      ...MADE_TO_MEASURE,
      options: { ...MADE_TO_MEASURE.options, "com.docker.network.bridge.enable_icc": "true" },
    });
    swarm.join(node, "10.0.0.2");
    expect(own.endpoints().map((e) => e.name)).toEqual(["gateway_ingress-sbox"]);
    expect(addressesOf(node, "docker_gwbridge")).toEqual(["10.11.0.1/16"]);
    expect(rules(node.kernel.root, "filter", "FORWARD")).toContain(
      "-A FORWARD -i docker_gwbridge -o docker_gwbridge -j ACCEPT",
    );
    // A published port leads to the address that the sandbox has there.
    const ingress = node.controller.networkByName("ingress") as Network;
    const sandbox = node.controller.newSandbox({ containerId: "t".repeat(64), name: "t" });
    const ingressPorts = [{ name: "", protocol: "udp" as const, targetPort: 53, publishedPort: 5353 }];
    const service = { id: "s", name: "dns", vip: ip("10.0.0.5"), aliases: [], ingressPorts };
    ingress.createEndpoint("t", { service }).join(sandbox);
    sandbox.setKey();
    sandbox.enableService();
    expect(rules(node.kernel.root, "nat", "DOCKER-INGRESS")).toEqual([
      "-A DOCKER-INGRESS -p udp -m udp --dport 5353 -j DNAT --to-destination 10.11.0.2:5353",
      "-A DOCKER-INGRESS -j RETURN",
    ]);
    expect(node.kernel.root.socket.list().filter((s) => s.localPort === 5353)).toMatchObject([{ protocol: "udp" }]);
  });

  it("can be refused only by what is there already", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    swarm.join(node, "10.0.0.2");
    expect(() => node.controller.newLocalNetwork({ ...MADE_TO_MEASURE, name: "other" })).toThrow(
      /^cannot create network [0-9a-f]{64} \(docker_gwbridge\): conflicts with network [0-9a-f]{64} \(docker_gwbridge\): networks have same bridge name$/,
    );
  });
});

describe("the daemon's restart", () => {
  it("makes local networks again with their IDs and subnets, on devices that are there or not; docker0 last", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    const web = node.controller.newLocalNetwork({ name: "web", driver: "bridge" });
    node.controller.newLocalNetwork(MADE_TO_MEASURE);
    const before = node.kernel.root.link.list().map((l) => l.name);
    const controller = restart(swarm, node, () => node.kernel.root.link.del("docker_gwbridge"));
    expect(controller.networks().map((n) => n.name)).toEqual(["web", "docker_gwbridge", "none", "host", "bridge"]);
    expect(controller.networkByName("web")?.id).toBe(web.id);
    expect(node.kernel.root.link.list().map((l) => l.name)).toEqual(before);
    expect(addressesOf(node, "docker_gwbridge")).toEqual(["10.11.0.1/16"]);
    expect(rules(node.kernel.root, "nat", "DOCKER")).toEqual([
      "-A DOCKER -i docker0 -j RETURN",
      "-A DOCKER -i docker_gwbridge -j RETURN",
      `-A DOCKER -i br-${web.id.slice(0, 12)} -j RETURN`,
    ]);
    expect(addressesOf(node, "docker0")).toEqual(["172.17.0.1/16"]);
    expect(rules(node.kernel.root, "nat", "POSTROUTING")[0]).toBe(
      "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    );
    expect(rules(node.kernel.root, "filter", "FORWARD").slice(2, 6)).toEqual([
      "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      "-A FORWARD -o docker0 -j DOCKER",
      "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
      "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
    ]);
    expect(controller.newLocalNetwork({ name: "next", driver: "bridge" }).id).not.toBe(web.id);
  });

  it("closes the daemon's sockets and removes the namespaces it left; rules of published ports go with the next one", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    swarm.join(node, "10.0.0.2");
    const network = swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    const ingress = node.controller.networkByName("ingress") as Network;
    const publish = (controller: NetworkController, net: Network, publishedPort: number): void => {
      const sandbox = controller.newSandbox({ containerId: "t".repeat(64), name: "t" });
      const ingressPorts = [{ name: "", protocol: "tcp" as const, targetPort: 80, publishedPort }];
      const service = { id: `s${publishedPort}`, name: "web", vip: ip("10.0.0.9"), aliases: [], ingressPorts };
      net.createEndpoint("t", { service, ipv4: ip("10.0.0.10") }).join(sandbox);
      sandbox.setKey();
      sandbox.enableService();
    };
    publish(node.controller, ingress, 8080);
    const { root } = node.kernel;
    expect(node.kernel.namespaces().map((ns) => ns.name)).toContain("ingress_sbox");
    for (const sandbox of node.controller.sandboxes()) if (sandbox.kind === "container") sandbox.delete();
    publish(node.controller, ingress, 8081);
    const controller = restart(swarm, node, () => {
      expect(root.socket.list().filter((s) => s.owner === "dockerd")).toEqual([]);
      expect(rules(root, "nat", "DOCKER-INGRESS")[0]).toContain("--dport 8081");
    });
    expect(node.kernel.namespaces().map((ns) => ns.name)).toEqual(["host"]);
    expect(controller.networkByName(network.name)).toBeUndefined();
    // The node comes back into its swarm.
    swarm.run(node, controller.agentStart({ advertiseAddress: ip("192.168.77.11"), remoteAddresses: [] }));
    const again = swarm.run(node, controller.newNetwork(ingressSpec("10.0.0.2")));
    publish(controller, again, 8082);
    expect(rules(root, "nat", "DOCKER-INGRESS").map((l) => /--dport (\d+)|RETURN/.exec(l)?.[0])).toEqual([
      "--dport 8082",
      "RETURN",
    ]);
  });
});

describe("leaving the swarm", () => {
  it("takes services off the host while the ingress sandbox is still there", () => {
    const swarm = new FakeSwarm();
    const nodes = [swarm.addNode(), swarm.addNode()] as const;
    swarm.join(nodes[0], "10.0.0.2");
    swarm.join(nodes[1], "10.0.0.3");
    for (const slot of [1, 2]) {
      const sandbox = nodes[1].controller.newSandbox({ containerId: `${slot}`.repeat(64), name: `t${slot}` });
      const ingressPorts = [{ name: "", protocol: "tcp" as const, targetPort: 80, publishedPort: 8080 }];
      const service = { id: "s", name: "web", vip: ip("10.0.0.9"), aliases: [], ingressPorts };
      const ingress = nodes[1].controller.networkByName("ingress") as Network;
      ingress.createEndpoint(`t${slot}`, { service, ipv4: ip("10.0.0.10") + slot }).join(sandbox);
      sandbox.setKey();
      sandbox.enableService();
    }
    swarm.settle();
    const { root } = nodes[0].kernel;
    expect(rules(root, "nat", "DOCKER-INGRESS")).toHaveLength(2);
    nodes[0].log.length = 0;
    swarm.run(nodes[0], nodes[0].controller.agentStop());
    expect(rules(root, "nat", "DOCKER-INGRESS")).toEqual(["-A DOCKER-INGRESS -j RETURN"]);
    expect(root.socket.list().filter((s) => s.localPort === 8080)).toEqual([]);
    expect(nodes[0].log.filter((l) => l.level === "error")).toEqual([]);
    (nodes[0].controller.networkByName("ingress") as Network).delete({ removeLoadBalancer: true });
    expect(nodes[0].controller.sandboxes()).toEqual([]);
  });
});
