/** Service bindings: names, marks and what the load balancer is told, over two nodes. */
import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import { inspectServices } from "../../src/libnetwork/inspect.ts";
import type { Network } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { ServiceBindings } from "../../src/libnetwork/service.ts";
import { type FakeNode, FakeSwarm, ip, testNetSpec } from "../support/fake-swarm.ts";

interface Scene {
  swarm: FakeSwarm;
  nodes: readonly [FakeNode, FakeNode];
  nets: readonly [Network, Network];
}

function build(): Scene {
  const swarm = new FakeSwarm();
  const nodes = [swarm.addNode(), swarm.addNode()] as const;
  swarm.join(nodes[0], "10.0.0.2");
  swarm.join(nodes[1], "10.0.0.3");
  const nets = [
    swarm.newNetwork(nodes[0], testNetSpec("10.0.1.10")),
    swarm.newNetwork(nodes[1], testNetSpec("10.0.1.11")),
  ] as const;
  return { swarm, nodes, nets };
}

function task(node: FakeNode, net: Network, slot: number, address: string, vip: string | undefined): Sandbox {
  const name = `web.${slot}.t${slot}`;
  const sandbox = node.controller.newSandbox({ containerId: name, name });
  const service = {
    id: "svc",
    name: "web",
    aliases: ["www"],
    ingressPorts: [],
    ...(vip === undefined ? {} : { vip: ip(vip) }),
  };
  net.createEndpoint(name, { ipv4: ip(address), service }).join(sandbox);
  sandbox.setKey();
  return sandbox;
}

function resolve(net: Network, name: string): string[] | undefined {
  return net.records.resolveName(name)?.map(formatIpv4);
}

describe("a service with a VIP", () => {
  it("is known on both nodes once a task is enabled, and as long as one is", () => {
    const { swarm, nodes, nets } = build();
    const first = task(nodes[0], nets[0], 1, "10.0.1.3", "10.0.1.2");
    const second = task(nodes[1], nets[1], 2, "10.0.1.4", "10.0.1.2");
    swarm.settle();
    expect(resolve(nets[0], "web")).toBeUndefined();
    first.enableService();
    second.enableService();
    swarm.settle();
    for (const net of nets) {
      expect([resolve(net, "web"), resolve(net, "WWW")]).toEqual([["10.0.1.2"], ["10.0.1.2"]]);
      expect(resolve(net, "tasks.web")?.sort()).toEqual(["10.0.1.3", "10.0.1.4"]);
      expect(net.records.resolveIp(ip("10.0.1.4"))).toBe("web.2.t2");
      expect(net.records.resolveIp(ip("10.0.1.2"))).toBeUndefined();
    }
    expect(inspectServices(nets[1])?.["web"]).toMatchObject({ VIP: "10.0.1.2", LocalLBIndex: 256, Ports: [] });
    second.disableService();
    swarm.settle();
    expect([resolve(nets[0], "tasks.web"), resolve(nets[0], "web")]).toEqual([["10.0.1.3"], ["10.0.1.2"]]);
    expect(
      [...(nodes[0].controller.services.balancers(nets[0].id)[0]?.backends.values() ?? [])].map((b) => b.disabled),
    ).toEqual([false, true]);
    second.delete();
    first.delete();
    swarm.settle();
    for (const node of nodes) expect(node.controller.services.balancers(nets[0].id)).toEqual([]);
    expect([nets[0].records.dump(), nets[1].records.dump()]).toEqual([[], []]);
  });

  it("takes the next mark when it comes again", () => {
    const { swarm, nodes, nets } = build();
    for (const mark of [256, 257]) {
      const sandbox = task(nodes[0], nets[0], 1, "10.0.1.3", "10.0.1.2");
      sandbox.enableService();
      expect(nodes[0].controller.services.lbIndex("svc", nets[0].id, [])).toBe(mark);
      sandbox.delete();
      swarm.settle();
    }
  });
});

describe("a dnsrr service", () => {
  it("resolves to its tasks, and has a mark all the same", () => {
    const { swarm, nodes, nets } = build();
    task(nodes[0], nets[0], 1, "10.0.1.3", undefined).enableService();
    const second = task(nodes[1], nets[1], 2, "10.0.1.4", undefined);
    second.enableService();
    swarm.settle();
    expect(resolve(nets[1], "web")?.sort()).toEqual(["10.0.1.3", "10.0.1.4"]);
    expect(inspectServices(nets[0])?.["web"]).toMatchObject({ VIP: "<nil>", LocalLBIndex: 256 });
    second.disableService();
    swarm.settle();
    expect(resolve(nets[0], "web")).toEqual(["10.0.1.3"]);
  });
});

describe("the load balancer", () => {
  it("is told of the first and the last backend, and of weight 0 before removal", () => {
    const { nets } = build();
    const calls: string[] = [];
    const bindings = new ServiceBindings(() => {}, {
      addBackend: (_n, b, address) => calls.push(`add ${b.fwMark} ${formatIpv4(address)} of ${b.backends.size}`),
      removeBackend: (_n, b, address, last, full) =>
        calls.push(`remove ${b.fwMark} ${formatIpv4(address)} last ${last} full ${full}`),
    });
    const binding = (id: string, address: string) => ({
      serviceName: "web",
      serviceId: "svc",
      endpointId: id,
      containerName: id,
      vip: ip("10.0.1.2"),
      ingressPorts: [],
      serviceAliases: [],
      taskAliases: [],
      ip: ip(address),
    });
    bindings.add(nets[0], binding("a", "10.0.1.3"));
    bindings.add(nets[0], binding("b", "10.0.1.4"));
    bindings.remove(nets[0], binding("a", "10.0.1.3"), false);
    bindings.remove(nets[0], binding("a", "10.0.1.3"), true);
    bindings.remove(nets[0], binding("b", "10.0.1.4"), true);
    expect(calls).toEqual([
      "add 256 10.0.1.3 of 1",
      "add 256 10.0.1.4 of 2",
      "remove 256 10.0.1.3 last false full false",
      "remove 256 10.0.1.3 last false full true",
      "remove 256 10.0.1.4 last true full true",
    ]);
    expect(resolve(nets[0], "web")).toBeUndefined();
    // One address under two endpoints: the backend goes with the second one.
    calls.length = 0;
    bindings.add(nets[0], { ...binding("a", "10.0.1.3"), serviceName: "Web" });
    bindings.add(nets[0], { ...binding("c", "10.0.1.3"), serviceName: "Web" });
    bindings.remove(nets[0], { ...binding("a", "10.0.1.3"), serviceName: "Web" }, true);
    expect(resolve(nets[0], "tasks.web")).toEqual(["10.0.1.3"]);
    bindings.remove(nets[0], { ...binding("c", "10.0.1.3"), serviceName: "Web" }, true);
    expect(calls).toEqual([
      "add 257 10.0.1.3 of 1",
      "add 257 10.0.1.3 of 2",
      "remove 257 10.0.1.3 last true full true",
    ]);
  });
});
