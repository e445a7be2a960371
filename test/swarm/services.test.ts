import { describe, expect, it } from "vitest";
import type { ApiServiceSpec } from "../../src/swarm/api/convert-services.ts";
import type { LogMessage } from "../../src/swarm/api/rpc.ts";
import { Lab, type Machine } from "./lab.ts";

const PORT = { Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" };

function three(): { lab: Lab; manager: Machine; machines: Machine[] } {
  const lab = new Lab();
  const machines = lab.swarm(["manager", "worker-1", "worker-2"]);
  lab.wait(1);
  return { lab, manager: machines[0] as Machine, machines };
}

function network(lab: Lab, manager: Machine, Name: string): string {
  return lab.run(manager, manager.node.control.createNetwork({ Name, Driver: "overlay" }));
}

/** Specs as the tests have them. */
const replicas = (count: number): ApiServiceSpec => ({ Mode: { Replicated: { Replicas: count } } });
const image = (Image: string): ApiServiceSpec => ({ TaskTemplate: { ContainerSpec: { Image } } });
const merged = (...specs: readonly ApiServiceSpec[]): ApiServiceSpec => ({
  ...Object.assign({}, ...specs),
  TaskTemplate: Object.assign({}, ...specs.map((spec) => spec.TaskTemplate)),
});
const placed = (Placement: object): ApiServiceSpec => ({ TaskTemplate: { Placement } });
const published = (...Ports: readonly object[]): ApiServiceSpec => ({ EndpointSpec: { Mode: "vip", Ports } });

function setNode(lab: Lab, manager: Machine, name: string, change: object): void {
  const node = lab.run(manager, manager.node.control.getNode(name));
  lab.run(manager, manager.node.control.updateNode(node.ID, node.Version.Index, { ...node.Spec, ...change }));
}

describe("a replicated service", () => {
  it("5 replicas on 3 nodes: addresses, nodes and states as captured", () => {
    const { lab, manager, machines } = three();
    const id = network(lab, manager, "nginx-net");
    lab.service(manager, {
      Mode: { Replicated: { Replicas: 5 } },
      TaskTemplate: { Networks: [{ Target: "nginx-net" }] },
      EndpointSpec: { Mode: "vip", Ports: [PORT] },
    });
    lab.wait(2);
    expect(lab.table(manager)).toEqual([
      "1 manager running running",
      "2 worker-1 running running",
      "3 worker-2 running running",
      "4 manager running running",
      "5 worker-1 running running",
    ]);
    const tasks = lab.tasks(manager, "my-nginx");
    const addresses = (task: (typeof tasks)[number]) => task.NetworksAttachments?.flatMap((one) => one.Addresses ?? []);
    expect(tasks.map(addresses)).toEqual([3, 4, 5, 6, 7].map((n) => [`10.0.0.${n + 3}/24`, `10.0.1.${n}/24`]));
    const service = lab.inspect(manager, "my-nginx");
    expect(service.Endpoint.VirtualIPs?.map(({ Addr }) => Addr)).toEqual(["10.0.0.5/24", "10.0.1.2/24"]);
    expect(service.Endpoint.VirtualIPs?.[1]?.NetworkID).toBe(id);
    const lb = machines.map(({ executor }) => executor.node?.attachments.at(-1)?.addresses[0]);
    expect(lb).toEqual(["10.0.1.8/24", "10.0.1.9/24", "10.0.1.10/24"]);
    expect(tasks[0]?.Status).toMatchObject({ Message: "started", ContainerStatus: { PID: 100, ExitCode: 0 } });
  });

  it("scales down where the copies are, and forgets the tasks; scaling up takes the lowest free slots and new addresses", () => {
    const { lab, manager } = three();
    network(lab, manager, "net");
    lab.service(manager, merged(replicas(5), { TaskTemplate: { Networks: [{ Target: "net" }] } }));
    lab.wait(2);
    lab.update(manager, "my-nginx", (spec) => ({ ...spec, Mode: { Replicated: { Replicas: 2 } } }));
    lab.wait(1);
    expect(lab.table(manager)).toEqual([
      "1 manager running running",
      "2 worker-1 running running",
      "3 worker-2 remove running",
      "4 manager remove running",
      "5 worker-1 remove running",
    ]);
    lab.wait(3);
    expect(lab.table(manager)).toEqual(["1 manager running running", "2 worker-1 running running"]);
    lab.update(manager, "my-nginx", (spec) => ({ ...spec, Mode: { Replicated: { Replicas: 3 } } }));
    lab.wait(2);
    expect(lab.table(manager)[2]).toBe("3 worker-2 running running");
    // .3–.7 were tasks, .8–.10 load balancers, of which .10 was given back.
    expect(lab.tasks(manager)[2]?.NetworksAttachments?.[0]?.Addresses).toEqual(["10.0.1.11/24"]);
  });

  it("is removed at once; its tasks stop and go", () => {
    const { lab, manager } = three();
    lab.service(manager, replicas(3));
    lab.wait(2);
    lab.run(manager, manager.node.control.services.remove("my-nginx"));
    expect(lab.fails(manager, manager.node.control.services.inspect("my-nginx", false)).error).toBe(
      "service my-nginx not found",
    );
    expect(lab.table(manager)).toHaveLength(3);
    lab.wait(4);
    expect(lab.table(manager)).toEqual([]);
    expect(lab.machines[1]?.executor.records.map(({ what }) => what).slice(-3)).toEqual([
      "start 2",
      "stop 2",
      "remove 2",
    ]);
  });

  it("without networks and ports needs nothing of the allocator; with ports alone it is on the ingress network", () => {
    const { lab, manager } = three();
    lab.service(manager, { Name: "plain" });
    lab.service(manager, { Name: "web", ...published({ Protocol: "tcp", TargetPort: 80, PublishMode: "ingress" }) });
    lab.wait(2);
    expect(lab.inspect(manager, "plain").Endpoint).toEqual({ Spec: {} });
    const { Endpoint } = lab.inspect(manager, "web");
    expect(Endpoint.Ports).toEqual([{ Protocol: "tcp", TargetPort: 80, PublishedPort: 30000, PublishMode: "ingress" }]);
    expect(Endpoint.Spec.Ports?.[0]).toEqual({ Protocol: "tcp", TargetPort: 80, PublishMode: "ingress" });
    expect(lab.tasks(manager, "web")[0]?.NetworksAttachments?.map(({ Network }) => Network.Spec)).toMatchObject([
      { Name: "ingress", Ingress: true, DriverConfiguration: {}, IPAMOptions: { Driver: {} }, Scope: "swarm" },
    ]);
    const list = lab.run(manager, manager.node.control.services.list({}, true));
    expect(list.map(({ ServiceStatus }) => ServiceStatus)).toEqual(
      [1, 1].map(() => ({ RunningTasks: 1, DesiredTasks: 1, CompletedTasks: 0 })),
    );
  });
});

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

describe("a global service", () => {
  it("has a task on every node, on new ones too, and is updated one by one", () => {
    const { lab, manager } = three();
    lab.service(manager, { Mode: { Global: {} } });
    lab.wait(2);
    expect(lab.table(manager)).toEqual([
      "0 manager running running",
      "0 worker-1 running running",
      "0 worker-2 running running",
    ]);
    const worker3 = lab.machine("worker-3");
    lab.join(worker3, lab.run(manager, manager.node.joinToken("worker")));
    lab.wait(2);
    expect(lab.table(manager)).toContain("0 worker-3 running running");
    lab.update(manager, "my-nginx", (spec) => merged(spec, image("other")));
    lab.wait(20);
    expect(lab.table(manager).filter((row) => row.endsWith("running running"))).toHaveLength(4);
    expect(lab.inspect(manager, "my-nginx").UpdateStatus?.State).toBe("completed");
    const [status] = lab.run(manager, manager.node.control.services.list({}, true));
    expect(status?.ServiceStatus).toEqual({ RunningTasks: 4, DesiredTasks: 4, CompletedTasks: 0 });
    expect(status?.Spec.Mode).toEqual({ Global: {} });
  });
});

describe("addresses that run out", () => {
  it("leave tasks in New until some are free again", () => {
    const { lab, manager } = three();
    lab.run(
      manager,
      manager.node.control.createNetwork({
        Name: "small",
        Driver: "overlay",
        IPAM: { Config: [{ Subnet: "10.9.0.0/29" }] },
      }),
    );
    lab.service(manager, merged(replicas(6), { TaskTemplate: { Networks: [{ Target: "small" }] } }));
    lab.wait(2);
    // .1 is the gateway, .2 the virtual address: four tasks, and no load balancer.
    const states = lab.tasks(manager).map(({ Status }) => Status.State);
    expect(states).toEqual(
      ["preparing", "preparing", "preparing", "preparing", "new", "new"].map((state, i) => (i < 4 ? "running" : state)),
    );
    expect(lab.tasks(manager)[4]?.Status.Err).toBeUndefined();
    expect(
      manager.log.some((line) =>
        /failed to allocate network IP for task \S+ network \S+: could not find an available IP$/.test(line),
      ),
    ).toBe(true);
    lab.update(manager, "my-nginx", (spec) => ({ ...spec, Mode: { Replicated: { Replicas: 2 } } }));
    lab.wait(5);
    expect(lab.table(manager)).toHaveLength(2);
  });

  it("leave a service without a virtual address, and its tasks new", () => {
    const { lab, manager } = three();
    lab.run(
      manager,
      manager.node.control.createNetwork({
        Name: "tiny",
        Driver: "overlay",
        IPAM: { Config: [{ Subnet: "10.9.0.0/30" }] },
      }),
    );
    const spec: ApiServiceSpec = { TaskTemplate: { Networks: [{ Target: "tiny" }] } };
    lab.service(manager, { Name: "a", ...spec });
    lab.service(manager, { Name: "b", ...spec });
    lab.wait(2);
    expect(lab.tasks(manager, "b").map(({ Status }) => Status.State)).toEqual(["new"]);
    expect(
      manager.log.filter((line) => line.includes("could not find an available IP while allocating VIP")),
    ).toHaveLength(1);
    lab.run(manager, manager.node.control.services.remove("a"));
    lab.wait(1);
    expect(lab.inspect(manager, "b").Endpoint.VirtualIPs?.map(({ Addr }) => Addr)).toEqual(["10.9.0.2/30"]);
  });
});

describe("output", () => {
  it("comes from all nodes of a service", () => {
    const { lab, manager } = three();
    for (const { executor, host } of lab.machines)
      executor.behaviours = { talker: { prints: ["hello", `from ${host.name}`] } };
    const id = lab.service(manager, merged(replicas(2), image("talker")));
    lab.wait(2);
    const read = (kind: "service" | "task", input: string, tail?: number) => {
      const lines: LogMessage[] = [];
      const channel = manager.node.control.services.logs(kind, input, {
        follow: false,
        ...(tail === undefined ? {} : { tail }),
      });
      lab.wait(1);
      for (let line = channel.tryPop(); line !== undefined; line = channel.tryPop()) lines.push(line);
      expect(channel.closed).toBe(true);
      return lines;
    };
    const lines = read("service", "my-nginx");
    expect(lines.map(({ data }) => data).sort()).toEqual(["from manager\n", "from worker-1\n", "hello\n", "hello\n"]);
    const [task] = lab.tasks(manager);
    expect(lines[0]?.context).toEqual({ serviceId: id, nodeId: task?.NodeID, taskId: task?.ID });
    expect(read("task", task?.ID ?? "", 1).map(({ data }) => data)).toEqual(["from manager\n"]);
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
