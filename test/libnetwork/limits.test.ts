/** Where a node's networks end: ports of a bridge, addresses of a subnet, and what a user is told. */
import { describe, expect, it } from "vitest";
import type { Network } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { dumpHost } from "../support/fake-netns.ts";
import { FakeSwarm, ip, testNetSpec } from "../support/fake-swarm.ts";

/** Ports that a Linux bridge takes. */
const BRIDGE_PORTS = 1023;

function refusal(action: () => void): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message.replace(/veth[0-9a-f]{7}/g, "vethX").replace(/[0-9a-f]{64}/g, "ID");
  }
  return "";
}

describe("a bridge with 1023 ports", () => {
  it("takes no other container, and leaves nothing of the attempt", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    const bridge = node.controller.networkByName("bridge") as Network;
    for (let i = 0; i < BRIDGE_PORTS; i++) bridge.createEndpoint(`c${i}`);
    const before = dumpHost(node.kernel);
    expect(refusal(() => bridge.createEndpoint("more"))).toBe(
      "failed to create endpoint more on network bridge: adding interface vethX to bridge docker0 failed: exchange full",
    );
    expect(dumpHost(node.kernel)).toEqual(before);
    bridge.endpointByName("c0")?.delete();
    bridge.createEndpoint("more");
    expect(bridge.endpoints()).toHaveLength(BRIDGE_PORTS);
  });

  it("of an overlay network counts vxlan0 and the load balancer; docker_gwbridge all overlay containers", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    swarm.join(node, "10.0.0.2");
    const spec = testNetSpec("10.1.0.3", {
      ipam: [{ subnet: { ip: ip("10.1.0.0"), prefix: 16 }, gateway: ip("10.1.0.1") }],
      internal: true,
    });
    const network = swarm.newNetwork(node, spec);
    const start = (name: string): Sandbox => {
      const sandbox = node.controller.newSandbox({ containerId: name.padEnd(64, "0"), name });
      network.createEndpoint(name).join(sandbox);
      return sandbox;
    };
    for (let i = 0; i < BRIDGE_PORTS - 2; i++) start(`c${i}`);
    const before = dumpHost(node.kernel);
    const sandbox = node.controller.newSandbox({ containerId: "m".repeat(64), name: "more" });
    const endpoint = network.createEndpoint("more");
    expect(refusal(() => endpoint.join(sandbox))).toBe(
      'could not add veth pair inside the network sandbox: error setting interface "vethX" master to "br0": exchange full',
    );
    endpoint.delete(true);
    sandbox.delete();
    expect(dumpHost(node.kernel)).toEqual(before);
  });
});

describe("a subnet without addresses", () => {
  it("is said of the network, whoever asks", () => {
    const swarm = new FakeSwarm();
    const node = swarm.addNode();
    const { controller } = node;
    const small = controller.newLocalNetwork({
      name: "small",
      driver: "bridge",
      ipam: [{ subnet: { ip: ip("10.9.0.0"), prefix: 30 } }],
    });
    small.createEndpoint("a");
    expect(refusal(() => small.createEndpoint("b"))).toBe(
      "no available IPv4 addresses on this network's address pools: small (ID)",
    );
    expect(refusal(() => small.createEndpoint("b", { ipv4: ip("10.9.0.2") }))).toBe("Address already in use");
    expect(refusal(() => small.createEndpoint("b", { ipv4: ip("10.8.0.2") }))).toBe(
      "Invalid address 10.8.0.2: It does not belong to any of this network's subnets",
    );
    expect(
      refusal(() =>
        controller.newLocalNetwork({
          name: "b",
          driver: "bridge",
          ipam: [{ subnet: { ip: ip("10.9.0.0"), prefix: 24 } }],
        }),
      ),
    ).toBe("Pool overlaps with other one on this address space");
    expect(refusal(() => small.createEndpoint("a"))).toBe("endpoint with name a already exists in network small");
  });
});
