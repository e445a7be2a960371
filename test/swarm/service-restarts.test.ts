import { describe, expect, it } from "vitest";
import type { ApiServiceSpec } from "../../src/swarm/api/convert-services.ts";
import type { Lab, Machine } from "./lab.ts";
import { image, merged, network, placed, published, replicas, three } from "./service-lab.ts";

describe("tasks that end", () => {
  it("are replaced after five seconds; the history keeps five a slot", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines) executor.behaviours = { bad: { endsAfter: 1e9, exitCode: 1 } };
    lab.service(manager, image("bad"));
    lab.wait(5);
    const failed = lab.tasks(manager)[0];
    expect(failed?.Status).toMatchObject({ State: "failed", Message: "started", Err: "task: non-zero exit (1)" });
    expect(failed?.Status.ContainerStatus).toMatchObject({ ExitCode: 1 });
    expect(lab.table(manager).length).toBe(2);
    lab.wait(60);
    const states = lab.tasks(manager).map(({ Status }) => Status.State);
    expect(states.length).toBe(5);
    expect(states.slice(0, 4)).toEqual(["failed", "failed", "failed", "failed"]);
  });

  it("after five failures on a node go where others are", () => {
    const { lab, manager } = three();
    const [, worker1] = lab.machines as [Machine, Machine, Machine];
    worker1.executor.behaviours = { bad: { rejects: "No such image: bad" } };
    lab.service(manager, merged(replicas(3), image("bad")));
    lab.wait(40);
    const slot2 = lab.table(manager).filter((row) => row.startsWith("2"));
    expect(slot2.filter((row) => row === '2 worker-1 shutdown rejected "No such image: bad"')).toHaveLength(4);
    expect(slot2.at(-1)).toMatch(/^2 (manager|worker-2) running running$/);
  });

  it("stay dead where the policy says so", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines)
      executor.behaviours = { job: { endsAfter: 1e9 }, bad: { endsAfter: 1e9, exitCode: 3 } };
    const policy = (RestartPolicy: object): ApiServiceSpec => ({ TaskTemplate: { RestartPolicy } });
    lab.service(manager, { Name: "none", ...merged(image("bad"), policy({ Condition: "none" })) });
    lab.service(manager, { Name: "fine", ...merged(image("job"), policy({ Condition: "on-failure" })) });
    lab.service(manager, {
      Name: "twice",
      ...merged(image("bad"), policy({ Condition: "any", Delay: 1e9, MaxAttempts: 2 })),
    });
    lab.wait(60);
    expect(lab.tasks(manager, "none").map(({ Status }) => Status.State)).toEqual(["failed"]);
    expect(lab.tasks(manager, "fine").map(({ Status }) => Status.State)).toEqual(["complete"]);
    expect(lab.tasks(manager, "twice").map(({ Status }) => Status.State)).toEqual(["failed", "failed", "failed"]);
  });
});

describe("the history", () => {
  const limit = (lab: Lab, manager: Machine, taskHistoryRetentionLimit: number) => {
    const cluster = lab.run(manager, manager.node.control.cluster());
    const spec = { ...cluster.spec, orchestration: { taskHistoryRetentionLimit } };
    lab.run(manager, manager.node.control.updateCluster(cluster, cluster.meta.version.index, spec));
  };
  const failing = (limitTo: number, policy: object = {}) => {
    const { lab, manager } = three();
    limit(lab, manager, limitTo);
    for (const { executor } of lab.machines) executor.behaviours = { bad: { endsAfter: 1e8, exitCode: 1 } };
    lab.service(manager, {
      TaskTemplate: { ContainerSpec: { Image: "bad" }, RestartPolicy: { Delay: 1e9, ...policy } },
    });
    lab.wait(30);
    return lab.tasks(manager).length;
  };

  it("is as long as the cluster says; without end for a negative limit", () => {
    expect(failing(2)).toBe(2);
    expect(failing(0)).toBe(1);
    expect(failing(-1)).toBeGreaterThan(15);
  });

  it("is longer where restarts are counted", () => {
    expect(failing(1, { MaxAttempts: 7 })).toBe(8);
  });

  it("of a node that stays down for a day: its tasks are orphaned", () => {
    const { lab, manager } = three();
    lab.service(manager, merged(replicas(2), placed({ Constraints: ["node.role==worker"] })));
    lab.wait(2);
    (lab.machines[2] as Machine).node.kill();
    lab.wait(60);
    const task = () => lab.tasks(manager).find(({ DesiredState }) => DesiredState === "shutdown");
    expect(task()?.Status.State).toBe("running");
    lab.wait(24 * 3600);
    expect(task()?.Status.State).toBe("orphaned");
  });
});

describe("jobs", () => {
  it("run so many at once until as many have ended well as are wanted; an update begins them anew", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines) executor.behaviours = { once: { endsAfter: 2e9 } };
    const Mode = { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 5 } };
    lab.service(manager, { Name: "job", Mode, ...image("once") });
    lab.wait(1);
    const status = () => lab.run(manager, manager.node.control.services.list({}, true))[0]?.ServiceStatus;
    expect(status()).toEqual({ RunningTasks: 2, DesiredTasks: 2, CompletedTasks: 0 });
    lab.wait(9);
    expect(lab.tasks(manager).map(({ Slot = 0, Status }) => `${Slot} ${Status.State}`)).toEqual(
      [0, 1, 2, 3, 4].map((slot) => `${slot} complete`),
    );
    expect(status()).toEqual({ RunningTasks: 0, DesiredTasks: 0, CompletedTasks: 5 });
    lab.update(manager, "job", (spec) => ({ ...spec, TaskTemplate: { ...spec.TaskTemplate, ForceUpdate: 1 } }));
    lab.wait(1);
    expect(lab.inspect(manager, "job").JobStatus?.JobIteration).toEqual({ Index: 1 });
    expect(status()).toEqual({ RunningTasks: 2, DesiredTasks: 2, CompletedTasks: 0 });
  });

  it("replace what failed; a global one has a task on each node", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines) executor.behaviours = { once: { endsAfter: 1e9 } };
    (lab.machines[1] as Machine).executor.behaviours = { once: { endsAfter: 1e9, exitCode: 1 } };
    lab.service(manager, { Name: "job", Mode: { GlobalJob: {} }, ...image("once") });
    lab.wait(7);
    expect(lab.table(manager).sort()).toEqual([
      "0 manager complete complete",
      "0 worker-1 complete running",
      '0 worker-1 shutdown failed "task: non-zero exit (1)"',
      "0 worker-2 complete complete",
    ]);
  });
});

describe("a manager that is started again", () => {
  it("keeps services, addresses and ports, resumes what was going on, and begins its cursors anew", () => {
    const { lab, manager } = three();
    network(lab, manager, "net");
    const dynamicPort = { Protocol: "tcp", TargetPort: 80, PublishMode: "ingress" };
    lab.service(
      manager,
      merged(replicas(3), published(dynamicPort), { TaskTemplate: { Networks: [{ Target: "net" }] } }),
    );
    lab.service(manager, { Name: "each", Mode: { Global: {} } });
    lab.wait(2);
    const before = lab.inspect(manager, "my-nginx");
    const state = manager.node.suspend();
    lab.wait(1);
    if (state === undefined) throw new Error("no state");
    manager.node.resume(state, 1);
    lab.wait(10);
    expect(lab.inspect(manager, "my-nginx").Endpoint).toEqual(before.Endpoint);
    // The manager's own tasks were seen by nobody while it was away; its agent takes them up again.
    expect(lab.table(manager)).toEqual([
      ...["0 manager", "0 worker-1", "0 worker-2", "1 manager", "2 worker-1", "3 worker-2"].map(
        (row) => `${row} running running`,
      ),
    ]);
    lab.service(manager, { Name: "more", ...published({ ...dynamicPort, TargetPort: 81 }) });
    lab.wait(2);
    expect(lab.inspect(manager, "more").Endpoint.Ports?.[0]?.PublishedPort).toBe(30001);
    expect(lab.tasks(manager, "more")[0]?.Status.State).toBe("running");
    // .2–.4 are the nodes', .5 the first service's, .6–.8 its tasks'.
    expect(lab.inspect(manager, "more").Endpoint.VirtualIPs?.[0]?.Addr).toBe("10.0.0.9/24");
  });

  it("starts what was to start later, after what is left of the delay", () => {
    const { lab, manager } = three();
    for (const { executor } of lab.machines) executor.behaviours = { bad: { endsAfter: 1e9, exitCode: 1 } };
    lab.service(
      manager,
      merged(image("bad"), { TaskTemplate: { ...image("bad").TaskTemplate, RestartPolicy: { Delay: 20e9 } } }),
    );
    lab.wait(4);
    const ready = () => lab.tasks(manager).filter(({ DesiredState }) => DesiredState === "ready").length;
    expect(ready()).toBe(1);
    const state = manager.node.suspend();
    lab.wait(10);
    if (state === undefined) throw new Error("no state");
    manager.node.resume(state, 1);
    lab.wait(3);
    expect(ready()).toBe(1);
    lab.wait(5);
    expect(ready()).toBe(0);
  });
});
