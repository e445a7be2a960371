import { describe, expect, it } from "vitest";
import type { ApiServiceSpec } from "../../src/swarm/api/convert-services.ts";
import type { LogMessage } from "../../src/swarm/api/rpc.ts";
import type { Machine } from "./lab.ts";
import { image, merged, network, PORT, published, replicas, three } from "./service-lab.ts";

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
    lab.update(manager, "a", (old) => merged(old, { TaskTemplate: { Networks: [] } }));
    lab.wait(1);
    expect(lab.inspect(manager, "b").Endpoint.VirtualIPs?.map(({ Addr }) => Addr)).toEqual(["10.9.0.2/30"]);
    expect(lab.inspect(manager, "a").Endpoint.VirtualIPs).toBeUndefined();
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
      for (let line = channel.tryPop(); line !== undefined; line = channel.tryPop()) lines.push(line as LogMessage);
      expect(channel.closed).toBe(true);
      return lines;
    };
    const lines = read("service", "my-nginx");
    expect(lines.map(({ data }) => data).sort()).toEqual(["from manager\n", "from worker-1\n", "hello\n", "hello\n"]);
    const [task] = lab.tasks(manager);
    expect(lines[0]?.context).toEqual({ serviceId: id, nodeId: task?.NodeID, taskId: task?.ID });
    // A node that is not there is named at the end.
    const worker1 = lab.machines[1] as Machine;
    const { nodeId } = worker1.node;
    worker1.node.kill();
    lab.wait(20);
    const rest = read("service", "my-nginx", 1);
    expect((rest.at(-1) as unknown as Error).message).toBe(
      `rpc error: code = Unknown desc = warning: incomplete log stream. some logs could not be retrieved for the following reasons: node ${nodeId} is not available`,
    );
    expect(read("task", task?.ID ?? "", 1).map(({ data }) => data)).toEqual(["from manager\n"]);
  });
});
