import { describe, expect, it } from "vitest";
import { NEW_META, type NodeObject } from "../../../src/swarm/api/objects.ts";
import { nodeMatches, parseConstraints } from "../../../src/swarm/manager/constraint.ts";

const NODE: NodeObject = {
  id: "node1",
  meta: NEW_META,
  spec: {
    annotations: { name: "", labels: { Zone: "A", "a.b-c": "x y" } },
    desiredRole: "worker",
    membership: "accepted",
    availability: "active",
  },
  description: {
    hostname: "Host1",
    platform: { architecture: "x86_64", os: "linux" },
    resources: { nanoCpus: 1, memoryBytes: 1 },
    engine: { engineVersion: "20.10.24", labels: { storage: "ssd" }, plugins: [] },
  },
  status: { state: "ready", message: "", addr: "192.168.77.12" },
  attachments: [],
  certificate: { role: "worker", csr: "", state: "issued", error: "", certificate: "", cn: "node1" },
  role: "worker",
  vxlanUdpPort: 4789,
};

describe("constraints", () => {
  it.each([
    ["node.id==node1", true],
    ["node.id==node2", false],
    ["node.id != node2", true],
    ["node.hostname==HOST1", true],
    ["NODE.ROLE==worker", true],
    ["node.role!=manager", true],
    ["node.platform.os==linux", true],
    ["node.platform.arch==x86_64", true],
    ["node.platform.arch==amd64", false],
    ["node.labels.Zone==a", true],
    ["node.labels.zone==a", false],
    ["node.labels.zone!=a", true],
    ["node.labels.a.b-c==x y", true],
    ["engine.labels.storage==SSD", true],
    ["engine.labels.none!=x", true],
    ["node.ip==192.168.77.12", true],
    ["node.ip!=192.168.77.12", false],
    ["node.ip==192.168.77.0/24", true],
    ["node.ip!=192.168.78.0/24", true],
    ["node.ip==nowhere", false],
    ["node.ip!=nowhere", false],
    ["node.unknown==x", false],
    ["node.unknown!=x", false],
  ])("%s", (expression, expected) => {
    expect(nodeMatches(parseConstraints([expression]), NODE)).toBe(expected);
  });

  it("must all hold; none is met by any node", () => {
    expect(nodeMatches(parseConstraints(["node.role==worker", "node.id==node2"]), NODE)).toBe(false);
    expect(nodeMatches([], NODE)).toBe(true);
  });
});
