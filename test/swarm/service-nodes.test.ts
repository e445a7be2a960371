import { describe, expect, it } from "vitest";
import type { Machine } from "./lab.ts";
import { merged, placed, replicas, setNode, three } from "./service-lab.ts";

describe("nodes", () => {
  it("that are drained lose their tasks without delay, and get none; active again they get no old ones back", () => {
    const { lab, manager } = three();
    lab.service(manager, replicas(3));
    lab.service(manager, { Name: "each", Mode: { Global: {} } });
    lab.wait(2);
    setNode(lab, manager, "worker-1", { Availability: "drain" });
    lab.wait(3.5);
    const rows = lab.table(manager, "my-nginx").filter((row) => row.startsWith("2"));
    expect(rows[0]).toBe("2 worker-1 shutdown shutdown");
    expect(rows[1]).toMatch(/^2 (manager|worker-2) running running$/);
    expect(lab.table(manager, "each").sort()).toEqual([
      "0 manager running running",
      "0 worker-1 shutdown shutdown",
      "0 worker-2 running running",
    ]);
    setNode(lab, manager, "worker-1", { Availability: "active" });
    lab.wait(3);
    expect(lab.table(manager, "my-nginx")).toHaveLength(4);
    expect(lab.table(manager, "each")).toContain("0 worker-1 running running");
  });

  it("that are paused keep what they have and get nothing", () => {
    const { lab, manager } = three();
    lab.service(manager, replicas(3));
    lab.wait(2);
    setNode(lab, manager, "worker-1", { Availability: "pause" });
    lab.service(manager, { Name: "each", Mode: { Global: {} } });
    lab.update(manager, "my-nginx", (spec) => ({ ...spec, Mode: { Replicated: { Replicas: 6 } } }));
    lab.wait(2);
    expect(lab.table(manager, "my-nginx").filter((row) => row.includes("worker-1"))).toEqual([
      "2 worker-1 running running",
    ]);
    expect(lab.table(manager, "each").sort()).toEqual(["0 manager running running", "0 worker-2 running running"]);
  });

  it("that go down lose their tasks to others, which start five seconds later; back, they stop what they have", () => {
    const { lab, manager } = three();
    lab.service(manager, merged(replicas(3), placed({ Constraints: ["node.role==worker"] })));
    lab.wait(2);
    expect(lab.table(manager)).toEqual([
      "1 worker-1 running running",
      "2 worker-2 running running",
      "3 worker-1 running running",
    ]);
    (lab.machines[2] as Machine).node.kill();
    while (lab.table(manager).length < 4) lab.wait(0.1);
    expect(lab.run(manager, manager.node.control.getNode("worker-2")).Status).toMatchObject({
      State: "down",
      Message: "heartbeat failure",
    });
    lab.wait(1);
    expect(lab.table(manager)).toEqual([
      "1 worker-1 running running",
      "2 - shutdown running",
      "2 worker-1 ready ready",
      "3 worker-1 running running",
    ]);
    lab.wait(5);
    expect(lab.table(manager)[2]).toBe("2 worker-1 running running");
  });

  it("whose labels change keep only what still fits", () => {
    const { lab, manager } = three();
    setNode(lab, manager, "worker-1", { Labels: { zone: "a" } });
    setNode(lab, manager, "worker-2", { Labels: { zone: "a" } });
    lab.service(manager, merged(replicas(2), placed({ Constraints: ["node.labels.zone==a"] })));
    lab.wait(2);
    expect(lab.table(manager)).toEqual(["1 worker-1 running running", "2 worker-2 running running"]);
    setNode(lab, manager, "worker-2", { Labels: { zone: "b" } });
    lab.wait(8);
    const row = '2 worker-2 shutdown rejected "assigned node no longer meets constraints"';
    expect(lab.table(manager)).toEqual(["1 worker-1 running running", row, "2 worker-1 running running"]);
    expect(lab.tasks(manager)[1]?.Status.Message).toBe("task rejected by constraint enforcer");
  });

  it("that are removed leave orphans; their slots are filled elsewhere", () => {
    const { lab, manager } = three();
    lab.service(manager, replicas(3));
    lab.service(manager, { Name: "each", Mode: { Global: {} } });
    lab.wait(2);
    (lab.machines[2] as Machine).node.kill();
    lab.run(manager, manager.node.control.removeNode("worker-2", true));
    lab.wait(8);
    const rows = lab.tasks(manager, "my-nginx").filter(({ Slot }) => Slot === 3);
    expect(rows.map(({ Status }) => [Status.State, Status.Message])).toEqual([
      ["orphaned", "Task belonged to a node that has been deleted"],
      ["running", "started"],
    ]);
    expect(lab.table(manager, "each").sort()).toEqual(["0 manager running running", "0 worker-1 running running"]);
  });
});
