import { describe, expect, it } from "vitest";
import { FakeSwarm, startContainer, testNetSpec } from "../support/fake-swarm.ts";

const NET = "k6jjce19a4utx9gp5at5qi97l";

function joined(): { swarm: FakeSwarm; node: ReturnType<FakeSwarm["addNode"]> } {
  const swarm = new FakeSwarm();
  const node = swarm.addNode();
  swarm.join(node, "10.0.0.2");
  return { swarm, node };
}

describe("the controller", () => {
  it("makes a network once, however many tasks ask for it at the same time", () => {
    const { swarm, node } = joined();
    const spec = { ...testNetSpec("10.0.1.3"), id: NET };
    const asked = [1, 2, 3].map(() => node.os.spawn("task", node.controller.ensureNetwork(spec)));
    swarm.settle();
    expect(new Set(asked.map((p) => p.result)).size).toBe(1);
    expect(asked[0]?.result).toBe(node.controller.network(NET));
    expect(node.controller.network(NET)?.state).toBe("ready");
    expect(() => swarm.newNetwork(node, spec)).toThrow(`network with id ${NET} already exists`);
  });

  it("leaves a network's gossip that is deleted while it joins, and makes nothing of it", () => {
    const { swarm, node } = joined();
    const namespaces = node.kernel.namespaces().length;
    const failed = node.os.spawn(
      "task",
      (function* () {
        try {
          yield* node.controller.newNetwork(testNetSpec("10.0.1.3"));
          return "made";
        } catch (error) {
          return (error as Error).message;
        }
      })(),
    );
    swarm.settle(() => node.controller.network(NET) !== undefined);
    node.controller.network(NET)?.delete();
    swarm.settle();
    expect(failed.result).toBe("network test-net not found");
    expect([node.kernel.namespaces().length, node.controller.network(NET)]).toEqual([namespaces, undefined]);
  });

  it("gives up overlay networks without a swarm, and forgets everything at a crash", () => {
    const lonely = new FakeSwarm();
    const node = lonely.addNode();
    expect(() => lonely.newNetwork(node, testNetSpec("10.0.1.3"))).toThrow("This node is not part of a swarm");
    expect(node.controller.network(NET)).toBeUndefined();
    const scene = joined();
    const net = scene.swarm.newNetwork(scene.node, testNetSpec("10.0.1.3"));
    startContainer(scene.node, net, "c1", "10.0.1.2");
    const [db] = scene.swarm.cluster.nodes;
    scene.node.controller.agentCrash();
    expect([db?.closed, db?.watching, scene.node.controller.agent]).toEqual([true, 0, undefined]);
  });
});
