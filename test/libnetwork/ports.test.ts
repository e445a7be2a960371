/** Published ports of containers: rules as 20.10 makes them, allocation, proxies, refusals, and which endpoint has them. */
import { describe, expect, it } from "vitest";
import type { NetNs, TableName } from "../../src/kernel/types.ts";
import { PortAllocator } from "../../src/libnetwork/drivers/port-allocator.ts";
import type { PortBinding } from "../../src/libnetwork/endpoint.ts";
import type { Network } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { saveRule } from "../../src/shell/lib/iptables-text.ts";
import { dumpHost } from "../support/fake-netns.ts";
import { type FakeNode, FakeSwarm, ip, testNetSpec } from "../support/fake-swarm.ts";

function rules(ns: NetNs, table: TableName, chain: string): string[] {
  return (
    ns.iptables
      .list(table)
      ?.find((c) => c.name === chain)
      ?.rules.map((rule) => saveRule(chain, rule)) ?? []
  );
}

function tcp(containerPort: number, hostPort: number, more: Partial<PortBinding> = {}): PortBinding {
  return { protocol: "tcp", containerPort, hostPort, ...more };
}

/** A container on `bridge`, or on another network. */
function run(node: FakeNode, name: string, ports: readonly PortBinding[], networks: readonly Network[] = []): Sandbox {
  const sandbox = node.controller.newSandbox({ containerId: `${name}${"0".repeat(64 - name.length)}`, name, ports });
  const on = networks.length > 0 ? networks : [node.controller.networkByName("bridge") as Network];
  for (const network of on) network.createEndpoint(name).join(sandbox);
  sandbox.setKey();
  return sandbox;
}

function published(sandbox: Sandbox): string[] {
  return sandbox.publishedPorts().map((p) => `${p.hostIp}:${p.hostPort}->${p.containerPort}/${p.protocol}`);
}

function scene(): { swarm: FakeSwarm; node: FakeNode; host: NetNs } {
  const swarm = new FakeSwarm();
  const node = swarm.addNode();
  return { swarm, node, host: node.kernel.root };
}

describe("published ports on docker0", () => {
  it("have DNAT, ACCEPT and MASQUERADE rules, oldest first, and a docker-proxy", () => {
    const { node, host } = scene();
    const before = dumpHost(node.kernel);
    const web = run(node, "web", [tcp(80, 8080), tcp(443, 8443)]);
    const dns = run(node, "dns", [{ protocol: "udp", containerPort: 53, hostPort: 5353, hostIp: ip("192.168.77.11") }]);
    expect(published(web)).toEqual([
      "0.0.0.0:8080->80/tcp",
      ":::8080->80/tcp",
      "0.0.0.0:8443->443/tcp",
      ":::8443->443/tcp",
    ]);
    expect(published(dns)).toEqual(["192.168.77.11:5353->53/udp"]);
    expect(rules(host, "nat", "DOCKER")).toEqual([
      "-A DOCKER -i docker0 -j RETURN",
      "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
      "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8443 -j DNAT --to-destination 172.17.0.2:443",
      "-A DOCKER -d 192.168.77.11/32 ! -i docker0 -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17.0.3:53",
    ]);
    expect(rules(host, "filter", "DOCKER")).toEqual([
      "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
      "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 443 -j ACCEPT",
      "-A DOCKER -d 172.17.0.3/32 ! -i docker0 -o docker0 -p udp -m udp --dport 53 -j ACCEPT",
    ]);
    expect(rules(host, "nat", "POSTROUTING")).toEqual([
      "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
      "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
      "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 443 -j MASQUERADE",
      "-A POSTROUTING -s 172.17.0.3/32 -d 172.17.0.3/32 -p udp -m udp --dport 53 -j MASQUERADE",
    ]);
    expect(host.socket.list().map((s) => `${s.protocol} ${s.localIp}:${s.localPort} ${s.owner}`)).toEqual([
      "tcp 0:8080 docker-proxy",
      "tcp 0:8443 docker-proxy",
      `udp ${ip("192.168.77.11")}:5353 docker-proxy`,
    ]);
    web.delete();
    dns.delete();
    expect(dumpHost(node.kernel)).toEqual(before);
  });

  it("are free ones from 49153 where none is asked for, next after the last, each address family by itself", () => {
    const { node } = scene();
    const first = run(node, "a", [tcp(80, 0)]);
    expect(published(first)).toEqual(["0.0.0.0:49153->80/tcp", ":::49153->80/tcp"]);
    expect(published(run(node, "b", [tcp(80, 0, { hostIp: 0 })]))).toEqual(["0.0.0.0:49154->80/tcp"]);
    first.delete();
    expect(published(run(node, "c", [tcp(80, 0)]))).toEqual(["0.0.0.0:49155->80/tcp", ":::49154->80/tcp"]);
  });

  it("refuse what another container has, and what a program of the host has; nothing is left of the attempt", () => {
    const { node, host } = scene();
    run(node, "a", [tcp(80, 8080)]);
    const before = dumpHost(node.kernel);
    const attempt = (ports: readonly PortBinding[]): string => {
      const sandbox = node.controller.newSandbox({ containerId: "b".repeat(64), name: "b", ports });
      const endpoint = (node.controller.networkByName("bridge") as Network).createEndpoint("b");
      let text = "";
      try {
        endpoint.join(sandbox);
      } catch (error) {
        text = (error as Error).message.replace(endpoint.id, "ID");
      }
      expect(endpoint.sandbox).toBeUndefined();
      endpoint.delete(true);
      sandbox.delete();
      return text;
    };
    expect(attempt([tcp(81, 8081), tcp(80, 8080)])).toBe(
      "driver failed programming external connectivity on endpoint b (ID): Bind for 0.0.0.0:8080 failed: port is already allocated",
    );
    expect(dumpHost(node.kernel)).toEqual(before);
    const squatter = host.socket.tcp();
    squatter.bind(0, 9000);
    squatter.listen(1);
    expect(attempt([tcp(80, 9000)])).toBe(
      "driver failed programming external connectivity on endpoint b (ID): Error starting userland proxy: listen tcp4 0.0.0.0:9000: bind: address already in use",
    );
    squatter.close();
    expect(dumpHost(node.kernel)).toEqual(before);
    // One of a range goes on with the next.
    host.socket.tcp().bind(0, 9001);
    expect(published(run(node, "c", [tcp(80, 9001, { hostPortEnd: 9003, hostIp: 0 })]))).toEqual([
      "0.0.0.0:9002->80/tcp",
    ]);
  });
});

describe("published ports of a container with several networks", () => {
  it("are on docker_gwbridge where there are only overlays, and move with the default route", () => {
    const { swarm, node, host } = scene();
    swarm.join(node, "10.0.0.2");
    const overlay = swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    const sandbox = run(node, "web", [tcp(80, 8080)], [overlay]);
    const dnat = (): string[] => rules(host, "nat", "DOCKER").filter((l) => l.includes("DNAT"));
    expect(dnat()).toEqual([
      "-A DOCKER ! -i docker_gwbridge -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.3:80",
    ]);
    expect(published(sandbox)).toEqual(["0.0.0.0:8080->80/tcp", ":::8080->80/tcp"]);
    const bridge = node.controller.newLocalNetwork({
      name: "web-net",
      driver: "bridge",
      options: { "com.docker.network.bridge.name": "web0" },
    });
    const endpoint = bridge.createEndpoint("web");
    endpoint.join(sandbox);
    expect(dnat()).toEqual(["-A DOCKER ! -i web0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.19.0.2:80"]);
    expect(published(sandbox)).toHaveLength(2);
    endpoint.delete(true);
    expect(dnat()).toEqual([
      "-A DOCKER ! -i docker_gwbridge -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.3:80",
    ]);
    sandbox.delete();
    expect(dnat()).toEqual([]);
    expect(published(sandbox)).toEqual([]);
  });

  it("say where the refusal came from", () => {
    const { swarm, node } = scene();
    swarm.join(node, "10.0.0.2");
    const overlay = swarm.newNetwork(node, testNetSpec("10.0.1.3"));
    run(node, "a", [tcp(80, 8080)]);
    const before = dumpHost(node.kernel);
    const sandbox = node.controller.newSandbox({ containerId: "b".repeat(64), name: "b", ports: [tcp(80, 8080)] });
    const endpoint = overlay.createEndpoint("b");
    expect(() => endpoint.join(sandbox)).toThrow(
      new RegExp(
        `^container b{64}: endpoint join on GW Network failed: driver failed programming external connectivity on endpoint gateway_${sandbox.id.slice(0, 12)} \\([0-9a-f]{64}\\): Bind for 0.0.0.0:8080 failed: port is already allocated$`,
      ),
    );
    endpoint.delete(true);
    sandbox.delete();
    expect(dumpHost(node.kernel)).toEqual(before);
  });

  it("have no proxies and no IPv6 where the default binding is an address", () => {
    const { node } = scene();
    const bound = node.controller.newLocalNetwork({
      name: "bound",
      driver: "bridge",
      options: { "com.docker.network.bridge.host_binding_ipv4": "192.168.77.11" },
    });
    expect(published(run(node, "web", [tcp(80, 80)], [bound]))).toEqual(["192.168.77.11:80->80/tcp"]);
    const { controller } = node;
    expect(() =>
      controller.newLocalNetwork({
        name: "bad",
        driver: "bridge",
        options: { "com.docker.network.bridge.host_binding_ipv4": "nonsense" },
      }),
    ).toThrow("host_binding_ipv4");
  });
});

describe("the port allocator", () => {
  it("runs out, and begins again where a port was given back", () => {
    const allocator = new PortAllocator();
    for (let port = 49153; port <= 65535; port++) expect(allocator.request("0.0.0.0", "tcp", 0, 0)).toBe(port);
    expect(() => allocator.request("0.0.0.0", "tcp", 0, 0)).toThrow("all ports are allocated");
    allocator.release("0.0.0.0", "tcp", 50000);
    expect(allocator.request("0.0.0.0", "tcp", 0, 0)).toBe(50000);
    expect(() => allocator.request("::", "udp", 53, 53) && allocator.request("::", "udp", 53, 53)).toThrow(
      "Bind for [::]:53 failed: port is already allocated",
    );
  });
});
