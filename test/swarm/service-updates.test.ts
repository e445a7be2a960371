import { describe, expect, it } from "vitest";
import type { Lab, Machine } from "./lab.ts";
import { image, merged, network, PORT, published, replicas, three } from "./service-lab.ts";

describe("an update", () => {
  it("replaces one task after the other, in order, and is complete five seconds after the last", () => {
    const { lab, manager } = three();
    lab.service(manager, replicas(3));
    lab.wait(2);
    lab.update(manager, "my-nginx", (spec) => ({ ...spec, TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 1 } }));
    lab.wait(1);
    expect(lab.inspect(manager, "my-nginx").UpdateStatus).toMatchObject({
      State: "updating",
      Message: "update in progress",
    });
    expect(lab.table(manager)).toEqual([
      "1 manager shutdown running",
      "1 manager ready ready",
      "2 worker-1 running running",
      "3 worker-2 running running",
    ]);
    lab.wait(9);
    expect(lab.table(manager).filter((row) => row.endsWith("running running"))).toHaveLength(3);
    expect(lab.table(manager).filter((row) => row.endsWith("shutdown shutdown"))).toHaveLength(3);
    expect(lab.inspect(manager, "my-nginx").UpdateStatus?.State).toBe("updating");
    lab.wait(5);
    const { UpdateStatus, PreviousSpec } = lab.inspect(manager, "my-nginx");
    expect(UpdateStatus).toMatchObject({ State: "completed", Message: "update completed" });
    expect(UpdateStatus?.CompletedAt).toMatch(/^2026-01-01T00:00:\d\d\.\d+Z$/);
    expect(PreviousSpec?.TaskTemplate?.ForceUpdate).toBe(0);
    const upToDate = lab.tasks(manager, "my-nginx", { "_up-to-date": ["true"] });
    expect(upToDate.map(({ DesiredState }) => DesiredState)).toEqual(["running", "running", "running"]);
  });

  it("start-first: the old task stops when the new one runs; parallelism 0: all at once", () => {
    const { lab, manager } = three();
    const UpdateConfig = { Parallelism: 0, MaxFailureRatio: 0, Order: "start-first" };
    lab.service(manager, { ...replicas(2), UpdateConfig });
    lab.wait(2);
    lab.update(manager, "my-nginx", (spec) => ({ ...spec, TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 1 } }));
    lab.wait(1.5);
    // Both on the node that was the best: it is not worse than the others after the first.
    expect(lab.table(manager)).toEqual([
      "1 manager shutdown running",
      "1 worker-2 running running",
      "2 worker-1 shutdown running",
      "2 worker-2 running running",
    ]);
  });

  it("pauses when a task fails, and goes on with the next spec", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines) executor.behaviours = { bad: { rejects: "No such image: bad" } };
    lab.service(manager, replicas(2));
    lab.wait(2);
    lab.update(manager, "my-nginx", (spec) => merged(spec, image("bad")));
    lab.wait(5);
    const { UpdateStatus } = lab.inspect(manager, "my-nginx");
    expect(UpdateStatus?.State).toBe("paused");
    expect(UpdateStatus?.Message).toMatch(/^update paused due to failure or early termination of task [0-9a-z]{25}$/);
    expect(UpdateStatus?.CompletedAt).toBeUndefined();
    expect(lab.table(manager).at(-1)).toBe("2 worker-1 running running");
    lab.update(manager, "my-nginx", (spec) => merged(spec, image("good")));
    lab.wait(20);
    expect(lab.inspect(manager, "my-nginx").UpdateStatus?.State).toBe("completed");
    expect(lab.table(manager).filter((row) => row.endsWith("running running"))).toHaveLength(2);
  });

  it("rolls back when a task fails within the monitored time", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines) executor.behaviours = { bad: { endsAfter: 2e9, exitCode: 1 } };
    const UpdateConfig = { Parallelism: 1, FailureAction: "rollback", MaxFailureRatio: 0 };
    lab.service(manager, { ...replicas(2), UpdateConfig });
    lab.wait(2);
    lab.update(manager, "my-nginx", (spec) => merged(spec, image("bad")));
    lab.wait(5.5);
    const during = lab.inspect(manager, "my-nginx");
    expect(during.UpdateStatus?.State).toBe("rollback_started");
    expect(during.UpdateStatus?.Message).toMatch(/^update rolled back due to failure or early termination of task /);
    expect(during.PreviousSpec).toBeUndefined();
    expect(during.Spec.TaskTemplate?.ContainerSpec?.Image).toBe("nginx:latest");
    lab.wait(30);
    expect(lab.inspect(manager, "my-nginx").UpdateStatus).toMatchObject({
      State: "rollback_completed",
      Message: "rollback completed",
    });
    expect(lab.table(manager).filter((row) => row.endsWith("running running"))).toHaveLength(2);
  });

  it("is undone by hand, and the undoing too", () => {
    const { lab, manager } = three();
    const id = lab.service(manager, replicas(1));
    lab.wait(2);
    const roll = () => {
      const { services } = manager.node.control;
      const { Version, Spec } = lab.run(manager, services.inspect(id, false));
      return services.update(id, Version.Index, Spec, { rollback: "previous", findLocal: () => undefined });
    };
    expect(lab.fails(manager, roll()).error).toBe(
      `rpc error: code = FailedPrecondition desc = service ${id} does not have a previous spec`,
    );
    lab.update(manager, id, (spec) => merged(spec, image("other")));
    lab.wait(10);
    lab.run(manager, roll());
    const { UpdateStatus, Spec, PreviousSpec } = lab.inspect(manager, id);
    expect(UpdateStatus).toMatchObject({ State: "rollback_started", Message: "manually requested rollback" });
    expect([Spec, PreviousSpec].map((spec) => spec?.TaskTemplate?.ContainerSpec?.Image)).toEqual([
      "nginx:latest",
      "other",
    ]);
    lab.wait(10);
    lab.run(manager, roll());
    expect(lab.inspect(manager, id).Spec.TaskTemplate?.ContainerSpec?.Image).toBe("other");
  });

  it("of networks gives new addresses at once, and keeps the ingress one", () => {
    const { lab, manager } = three();
    const [one, two] = ["one", "two"].map((name) => network(lab, manager, name));
    lab.service(manager, merged(published(PORT), { TaskTemplate: { Networks: [{ Target: "one" }] } }));
    lab.wait(2);
    const vips = () =>
      lab.inspect(manager, "my-nginx").Endpoint.VirtualIPs?.map(({ NetworkID, Addr }) => [NetworkID, Addr]);
    const [ingress] = vips() ?? [];
    expect(vips()?.[1]).toEqual([one, "10.0.1.2/24"]);
    lab.update(manager, "my-nginx", (spec) =>
      merged(spec, { TaskTemplate: { Networks: [{ Target: two as string }] } }),
    );
    lab.wait(0.1);
    expect(vips()).toEqual([ingress, [two, "10.0.2.2/24"]]);
    lab.wait(10);
    expect(
      lab
        .tasks(manager)
        .at(-1)
        ?.NetworksAttachments?.map(({ Addresses }) => Addresses?.[0]),
    ).toEqual(["10.0.0.7/24", "10.0.2.3/24"]);
    // The old network is free again.
    lab.run(manager, manager.node.control.removeNetwork("one"));
    expect(lab.fails(manager, manager.node.control.removeNetwork("two")).error).toContain("is in use by service");
  });
});

describe("rolling updates' pace", () => {
  const started = (lab: Lab) =>
    lab.machines
      .flatMap(({ executor }) => executor.records)
      .filter(({ what }) => what.startsWith("start"))
      .map(({ time }) => time / 1e9)
      .sort((a, b) => a - b)
      .slice(4);
  const force = (lab: Lab, manager: Machine) =>
    lab.update(manager, "my-nginx", (spec) => ({ ...spec, TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 1 } }));

  it("parallelism 2 and a delay of 10 s: two at once, ten seconds after the last ones ran", () => {
    const { lab, manager } = three();
    const UpdateConfig = { Parallelism: 2, Delay: 10e9, MaxFailureRatio: 0 };
    lab.service(manager, { ...replicas(4), UpdateConfig });
    lab.wait(2);
    force(lab, manager);
    lab.wait(30);
    const times = started(lab);
    expect(times).toHaveLength(4);
    expect((times[1] as number) - (times[0] as number)).toBeLessThan(0.5);
    expect((times[2] as number) - (times[1] as number)).toBeGreaterThan(12);
    expect((times[2] as number) - (times[1] as number)).toBeLessThan(13.5);
    // The monitor is a second longer than the delay: eleven seconds after the last delay.
    expect(lab.inspect(manager, "my-nginx").UpdateStatus?.State).toBe("updating");
    lab.wait(11);
    expect(lab.inspect(manager, "my-nginx").UpdateStatus?.State).toBe("completed");
  });

  it("waits sixty seconds at most for an old task to stop", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines) executor.behaviours = { "nginx:latest": { stopTime: 1e12 } };
    lab.service(manager, replicas(4));
    lab.wait(2);
    force(lab, manager);
    lab.wait(59);
    expect(started(lab)).toHaveLength(0);
    lab.wait(3);
    expect(started(lab)).toHaveLength(1);
  });
});
