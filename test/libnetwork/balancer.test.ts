/** The load balancer's corners: a VIP that changes its service object, addresses that change hands, a second ingress, Windows. */
import { describe, expect, it } from "vitest";
import { formatCidr, formatIpv4 } from "../../src/base/addr.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { NetworkController } from "../../src/libnetwork/controller.ts";
import { ActiveEndpointsError, type Network } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { createWindowsNetworks, NoEncryption, WINDOWS_NETWORKS } from "../../src/libnetwork/windows.ts";
import { type FakeNode, FakeSwarm, ingressSpec, ip, testNetSpec } from "../support/fake-swarm.ts";

interface TaskOptions {
  readonly address: string;
  readonly vip?: string;
  readonly port?: number;
  readonly service?: string;
}

function task(node: FakeNode, network: Network, name: string, options: TaskOptions): Sandbox {
  const sandbox = node.controller.newSandbox({ containerId: name.padEnd(64, "0"), name });
  const { port, vip, service = "web" } = options;
  const ingressPorts =
    port === undefined ? [] : [{ name: "", protocol: "tcp" as const, targetPort: 80, publishedPort: port }];
  const of = {
    id: `id-${service}`,
    name: service,
    aliases: [],
    ingressPorts,
    ...(vip === undefined ? {} : { vip: ip(vip) }),
  };
  network.createEndpoint(name, { ipv4: ip(options.address), service: of }).join(sandbox);
  sandbox.setKey();
  sandbox.enableService();
  return sandbox;
}

function services(network: Network): string[] {
  const ns = network.lbSandbox?.ns as NetNs;
  return ns.ipvs
    .services()
    .map(
      ({ id, destinations }) =>
        `${"fwmark" in id ? id.fwmark : "?"}: ${destinations.map((d) => `${formatIpv4(d.address)}=${d.weight}`).join(" ")}`,
    );
}

function errors(node: FakeNode): string[] {
  return node.log.filter((l) => l.level === "error").map((l) => l.message.replace(/[0-9a-z]{25}/g, "ID"));
}

function scene(): { swarm: FakeSwarm; node: FakeNode; ingress: Network } {
  const swarm = new FakeSwarm();
  const node = swarm.addNode();
  swarm.join(node, "10.0.0.2");
  return { swarm, node, ingress: node.controller.networkByName("ingress") as Network };
}

describe("a changed port of a running service (20.10)", () => {
  it("is another service with the same VIP: dead while the old one holds the address, alive with the next backend", () => {
    const { node, ingress } = scene();
    const old = task(node, ingress, "web.1.a", { address: "10.0.0.11", vip: "10.0.0.5", port: 8080 });
    task(node, ingress, "web.1.b", { address: "10.0.0.12", vip: "10.0.0.5", port: 8081 });
    // Nothing is programmed for the new port, and adding its backend is refused as well.
    expect(services(ingress)).toEqual(["256: 10.0.0.11=1"]);
    expect(errors(node)).toEqual([
      "Failed add IP alias 10.0.0.5 to network ID LB endpoint interface eth0: file exists",
    ]);
    old.delete();
    expect(services(ingress)).toEqual([]);
    task(node, ingress, "web.2.c", { address: "10.0.0.13", vip: "10.0.0.5", port: 8081 });
    expect(services(ingress)).toEqual(["257: 10.0.0.13=1"]);
    expect(node.kernel.root.socket.list().map((s) => s.localPort)).toContain(8081);
  });
});

describe("backends", () => {
  it("with the address of one that is going are in the table once, and stay with the later one", () => {
    const { swarm, node } = scene();
    const net = swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    const first = task(node, net, "web.1.a", { address: "10.0.1.11", vip: "10.0.1.2" });
    first.disableService();
    expect(services(net)).toEqual(["256: 10.0.1.11=0"]);
    first.delete();
    expect(services(net)).toEqual([]);
    task(node, net, "web.1.b", { address: "10.0.1.11", vip: "10.0.1.2" });
    expect(services(net)).toEqual(["257: 10.0.1.11=1"]);
    expect(errors(node)).toEqual([]);
  });

  it("of a dnsrr service are none: no address, no mark, no NAT", () => {
    const { swarm, node } = scene();
    const net = swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    task(node, net, "web.1.a", { address: "10.0.1.11" });
    expect(services(net)).toEqual([]);
    const ns = net.lbSandbox?.ns as NetNs;
    expect(ns.addr.list().map((a) => formatCidr(a.addr))).toEqual(["127.0.0.1/8", "10.0.1.3/24"]);
    expect(ns.iptables.list("mangle")).toBeUndefined();
    // It takes a number all the same.
    task(node, net, "db.1.a", { address: "10.0.1.12", vip: "10.0.1.5", service: "db" });
    expect(services(net)).toEqual(["257: 10.0.1.12=1"]);
  });

  it("published by two services under one port: rules until the last has let go", () => {
    const { node, ingress } = scene();
    const rules = (): number =>
      node.kernel.root.iptables.list("nat")?.find((c) => c.name === "DOCKER-INGRESS")?.rules.length ?? 0;
    const first = task(node, ingress, "a.1", { address: "10.0.0.11", vip: "10.0.0.5", port: 80, service: "a" });
    const second = task(node, ingress, "b.1", { address: "10.0.0.12", vip: "10.0.0.6", port: 80, service: "b" });
    expect(rules()).toBe(2);
    first.delete();
    expect(rules()).toBe(2);
    second.delete();
    expect(rules()).toBe(1);
  });

  it("whose port a program of the host has get their rules, and a line in the log", () => {
    const { node, ingress } = scene();
    const squatter = node.kernel.root.socket.tcp();
    squatter.bind(0, 8080);
    task(node, ingress, "web.1.a", { address: "10.0.0.11", vip: "10.0.0.5", port: 8080 });
    expect(services(ingress)).toEqual(["256: 10.0.0.11=1"]);
    expect(node.log.map((l) => l.message)).toContain(
      "failed to create proxy for port 8080: listen tcp :8080: bind: address already in use",
    );
  });
});

describe("a re-created ingress network (20.10)", () => {
  it("fails on a node that still has the old one's sandbox", () => {
    const { swarm, node, ingress } = scene();
    task(node, ingress, "web.1.a", { address: "10.0.0.11", vip: "10.0.0.5", port: 8080 });
    expect(() => ingress.delete({ removeLoadBalancer: true })).toThrow(ActiveEndpointsError);
    const next = {
      ...ingressSpec("10.11.0.2"),
      id: "x".repeat(25),
      ipam: [{ subnet: { ip: ip("10.11.0.0"), prefix: 24 }, gateway: ip("10.11.0.1") }],
    };
    let refused: unknown;
    swarm.run(
      node,
      (function* () {
        try {
          yield* node.controller.newNetwork(next);
        } catch (error) {
          refused = error;
        }
      })(),
    );
    expect((refused as Error).message).toBe("ingress sandbox already present");
    expect(node.controller.networks().filter((n) => n.ingress)).toEqual([ingress]);
  });
});

describe("on Windows", () => {
  it("ports are published on IPv4 alone and without proxies", () => {
    const swarm = new FakeSwarm();
    const { os } = swarm.addNode();
    const controller = new NetworkController({
      os,
      log: () => {},
      networkDb: swarm.cluster.create,
      encryption: new NoEncryption(),
      system: WINDOWS_NETWORKS,
    });
    createWindowsNetworks(controller);
    const sandbox = controller.newSandbox({
      containerId: "w".repeat(64),
      name: "w",
      ports: [{ protocol: "tcp", containerPort: 80, hostPort: 8080 }],
    });
    controller.networkByName("nat")?.createEndpoint("w").join(sandbox);
    expect(sandbox.publishedPorts()).toEqual([
      { protocol: "tcp", containerPort: 80, hostIp: "0.0.0.0", hostPort: 8080 },
    ]);
    expect(os.kernel.root.socket.list()).toEqual([]);
  });
});
