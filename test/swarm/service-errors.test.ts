/** What is refused of services, with the words of the real thing. */
import { describe, expect, it } from "vitest";
import type { ApiServiceSpec } from "../../src/swarm/api/convert-services.ts";
import { Lab, type Machine, serviceSpec } from "./lab.ts";

const PORT = { Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" };
const HOST_PORT = { ...PORT, PublishMode: "host" };
const ports = (...Ports: readonly object[]): ApiServiceSpec => ({ EndpointSpec: { Mode: "vip", Ports } });
const container = (spec: object): ApiServiceSpec => ({ TaskTemplate: { ContainerSpec: { Image: "nginx", ...spec } } });
const invalid = (text: string) => `rpc error: code = InvalidArgument desc = ${text}`;

function single(): { lab: Lab; manager: Machine } {
  const lab = new Lab();
  const [manager] = lab.swarm(["manager"]) as [Machine];
  lab.wait(1);
  return { lab, manager };
}

function refusal(lab: Lab, manager: Machine, spec: ApiServiceSpec): string {
  return lab.fails(
    manager,
    manager.node.control.services.create(serviceSpec(spec), () => undefined),
  ).error;
}

describe("a new service", () => {
  const cases: readonly [string, ApiServiceSpec, string][] = [
    ["no name", { Name: "" }, "meta: name must be provided"],
    ["a name that is no name", { Name: "a.b" }, "name must be valid as a DNS name component"],
    ["a long name", { Name: "a".repeat(64) }, "name must be 63 characters or fewer"],
    ["no image", container({ Image: "" }), "ContainerSpec: image reference must be provided"],
    ["a bad image", container({ Image: "A b" }), 'ContainerSpec: "A b" is not a valid repository/tag'],
    [
      "two mounts in one place",
      container({ Mounts: [1, 2].map((i) => ({ Type: "volume", Source: `v${i}`, Target: "/d" })) }),
      "ContainerSpec: duplicate mount point: /d",
    ],
    [
      "little CPU",
      { TaskTemplate: { Resources: { Limits: { NanoCPUs: 1000 } } } },
      "invalid cpu value 0.000001: Must be at least 0.001",
    ],
    [
      "little memory",
      { TaskTemplate: { Resources: { Reservations: { MemoryBytes: 1024 } } } },
      "invalid memory value 1024: Must be at least 4MiB",
    ],
    [
      "a negative delay",
      { TaskTemplate: { RestartPolicy: { Delay: -1 } } },
      "TaskSpec: restart-delay cannot be negative",
    ],
    [
      "a negative window",
      { TaskTemplate: { RestartPolicy: { Window: -1 } } },
      "TaskSpec: restart-window cannot be negative",
    ],
    ["negative replicas", { Mode: { Replicated: { Replicas: -1 } } }, "Number of replicas must be non-negative"],
    [
      "a bad ratio",
      { UpdateConfig: { Parallelism: 1, MaxFailureRatio: 2 } },
      "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1",
    ],
    [
      "a negative update delay",
      { UpdateConfig: { Parallelism: 1, MaxFailureRatio: 0, Delay: -1 } },
      "TaskSpec: update-delay cannot be negative",
    ],
    [
      "a negative monitor",
      { UpdateConfig: { Parallelism: 1, MaxFailureRatio: 0, Monitor: -1 } },
      "TaskSpec: update-monitor cannot be negative",
    ],
    [
      "dnsrr on the mesh",
      { EndpointSpec: { Mode: "dnsrr", Ports: [PORT] } },
      "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    ],
    ["a port twice", ports(PORT, { ...PORT, TargetPort: 81 }), "EndpointSpec: duplicate published ports provided"],
    [
      "an update of a job",
      { Mode: { GlobalJob: {} }, UpdateConfig: { Parallelism: 1, MaxFailureRatio: 0 } },
      "Jobs may not have an update config",
    ],
  ];
  it.each(cases)("with %s", (_what, spec, text) => {
    const { lab, manager } = single();
    expect(refusal(lab, manager, spec)).toBe(invalid(text));
    expect(lab.run(manager, manager.node.control.services.list({}, false))).toEqual([]);
  });

  it.each([
    ["node.role=worker", "constraint expected one operator from ==, !="],
    ["node role==worker", "key 'node role' is invalid"],
    ["node.role==a;b", "value 'a;b' is invalid"],
  ])("with the constraint %s", (constraint, text) => {
    const { lab, manager } = single();
    const spec = { TaskTemplate: { Placement: { Constraints: [constraint] } } };
    expect(refusal(lab, manager, spec)).toBe(`rpc error: code = Unknown desc = ${text}`);
  });

  it.each([
    [{ EndpointSpec: { Mode: "x" } }, 'invalid EndpointSpec.Mode: "x"'],
    [{ Mode: { Replicated: {}, Global: {} } }, "must specify only one service mode"],
    [{ TaskTemplate: { RestartPolicy: { Condition: "x" } } }, 'invalid RestartCondition: "x"'],
    [
      { UpdateConfig: { Parallelism: 1, MaxFailureRatio: 0, FailureAction: "x" } },
      "unrecognized update failure action x",
    ],
    [{ UpdateConfig: { Parallelism: 1, MaxFailureRatio: 0, Order: "x" } }, "unrecognized update order x"],
  ])("that cannot be read: %o", (spec, text) => {
    const { lab, manager } = single();
    expect(refusal(lab, manager, spec as ApiServiceSpec)).toBe(text);
  });

  it("with another's name or ports", () => {
    const { lab, manager } = single();
    const id = lab.service(manager, { Name: "web", ...ports(PORT) });
    lab.service(manager, { Name: "hosty", ...ports({ ...HOST_PORT, PublishedPort: 9090 }) });
    lab.wait(1);
    const conflict =
      "rpc error: code = AlreadyExists desc = name conflicts with an existing object: service WEB already exists";
    expect(refusal(lab, manager, { Name: "WEB" })).toBe(conflict);
    const taken = invalid(`port '8080' is already in use by service 'web' (${id}) as an ingress port`);
    expect(refusal(lab, manager, { Name: "b", ...ports(PORT) })).toBe(taken);
    expect(refusal(lab, manager, { Name: "b", ...ports(HOST_PORT) })).toBe(taken);
    expect(refusal(lab, manager, { Name: "b", ...ports({ ...PORT, PublishedPort: 9090 }) })).toMatch(
      /port '9090' is already in use by service 'hosty' \([0-9a-z]{25}\) as a host-published port$/,
    );
    // Another protocol, and host beside host, are fine.
    lab.service(manager, { Name: "udp", ...ports({ ...PORT, Protocol: "udp" }) });
    lab.service(manager, { Name: "hosty2", ...ports({ ...HOST_PORT, PublishedPort: 9090 }) });
  });

  it("on networks that it can't have", () => {
    const { lab, manager } = single();
    const on = (Target: string): ApiServiceSpec => ({ TaskTemplate: { Networks: [{ Target }] } });
    expect(refusal(lab, manager, on("ingress"))).toBe(
      invalid('Service cannot be explicitly attached to the ingress network "ingress"'),
    );
    expect(refusal(lab, manager, on("nothing"))).toBe("network nothing not found");
    const local = { name: "br", predefined: false, dynamic: false };
    const create = manager.node.control.services.create(serviceSpec(on("br")), () => local);
    expect(lab.fails(manager, create).error).toBe(
      "The network br cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.",
    );
    // The swarm has objects of its own for these; nodes must know the driver.
    lab.service(manager, { Name: "hosted", ...on("host") });
    lab.wait(1);
    expect(lab.table(manager)).toEqual(['1 - running pending "no suitable node (missing plugin on 1 node)"']);
    const description = { ...manager.executor.description.engine, plugins: [{ type: "Network", name: "host" }] };
    manager.executor.description = { ...manager.executor.description, engine: description };
    lab.wait(25);
    expect(lab.table(manager)).toEqual(["1 manager running running"]);
    expect(lab.inspect(manager, "hosted").Endpoint.VirtualIPs).toEqual([{ NetworkID: expect.any(String) }]);
  });

  it("needs an ingress network for its ports; the network can't go while it does", () => {
    const { lab, manager } = single();
    const id = lab.service(manager, { Name: "web", ...ports(PORT) });
    lab.wait(2);
    const refused = `rpc error: code = FailedPrecondition desc = ingress network cannot be removed because service ${id} depends on it`;
    expect(lab.fails(manager, manager.node.control.removeNetwork("ingress")).error).toBe(refused);
    lab.run(manager, manager.node.control.services.remove("web"));
    lab.wait(4);
    lab.run(manager, manager.node.control.removeNetwork("ingress"));
    expect(refusal(lab, manager, ports(PORT))).toBe(
      "rpc error: code = FailedPrecondition desc = service needs ingress network, but no ingress network is present",
    );
    lab.run(
      manager,
      manager.node.control.createNetwork({
        Name: "my-ingress",
        Driver: "overlay",
        Ingress: true,
        IPAM: { Config: [{ Subnet: "10.11.0.0/16", Gateway: "10.11.0.2" }] },
      }),
    );
    lab.wait(1);
    lab.service(manager, { Name: "web", ...ports(PORT) });
    lab.wait(2);
    expect(lab.inspect(manager, "web").Endpoint.VirtualIPs?.[0]?.Addr).toBe("10.11.0.3/16");
    expect(lab.table(manager)).toEqual(["1 manager running running"]);
  });
});

describe("an update", () => {
  it("is refused with an old version, another name or another mode", () => {
    const { lab, manager } = single();
    lab.service(manager, {});
    lab.wait(1);
    const { services } = manager.node.control;
    const { Version, Spec } = lab.inspect(manager, "my-nginx");
    const update = (version: number, spec: ApiServiceSpec) =>
      lab.fails(manager, services.update("my-nginx", version, spec, { findLocal: () => undefined })).error;
    expect(update(1, Spec)).toBe("rpc error: code = Unknown desc = update out of sequence");
    expect(update(Version.Index, { ...Spec, Name: "other" })).toBe(
      "rpc error: code = Unimplemented desc = renaming services is not supported",
    );
    expect(update(Version.Index, { ...Spec, Mode: { Global: {} } })).toBe(
      "rpc error: code = Unimplemented desc = service mode change is not allowed",
    );
    const rollback = services.update("my-nginx", Version.Index, Spec, { rollback: "x", findLocal: () => undefined });
    expect(lab.fails(manager, rollback).error).toBe("unrecognized rollback option x");
  });
});

describe("lookups and lists", () => {
  it("find services and tasks by ID, name and prefix, and filter", () => {
    const { lab, manager } = single();
    const { services } = manager.node.control;
    const web = lab.service(manager, { Name: "web", Labels: { tier: "front" } });
    lab.service(manager, { Name: "each", Mode: { Global: {} } });
    lab.wait(1);
    expect(lab.inspect(manager, web.slice(0, 8)).ID).toBe(web);
    expect(lab.fails(manager, services.inspect("", false)).error).toBe("service  is ambiguous (2 matches found)");
    expect(lab.fails(manager, services.task("x!")).error).toBe("task x! not found");
    const names = (filters: Record<string, string[]>) =>
      lab.run(manager, services.list(filters, false)).map(({ Spec }) => Spec.Name);
    expect(names({ name: ["we"] })).toEqual(["web"]);
    expect(names({ label: ["tier"] })).toEqual(["web"]);
    expect(names({ label: ["tier=back"] })).toEqual([]);
    expect(names({ mode: ["global"] })).toEqual(["each"]);
    expect(lab.fails(manager, services.list({ x: ["y"] }, false)).error).toBe("Invalid filter 'x'");
    expect(lab.fails(manager, services.tasks({ "desired-state": ["y"] })).error).toBe(
      "Invalid filter 'desired-state=y'",
    );
    expect(lab.fails(manager, services.tasks({ node: ["y"] })).error).toBe("node y not found");
    expect(lab.tasks(manager, undefined, { label: ["tier=front"] }).map(({ ServiceID }) => ServiceID)).toEqual([web]);
    expect(lab.tasks(manager, undefined, { "desired-state": ["running"], node: ["manager"] })).toHaveLength(2);
    expect(lab.tasks(manager, undefined, { name: ["web.1"] })).toHaveLength(1);
  });
});

describe("tasks that have no node", () => {
  const pending = (lab: Lab, manager: Machine) =>
    lab.tasks(manager).find(({ Status }) => Status.State === "pending")?.Status.Err;
  it.each([
    [{ Constraints: ["node.hostname==nobody"] }, "scheduling constraints not satisfied on 1 node"],
    [{ Platforms: [{ Architecture: "arm64", OS: "linux" }] }, "unsupported platform on 1 node"],
  ])("say why: %o", (Placement, text) => {
    const { lab, manager } = single();
    lab.service(manager, { TaskTemplate: { Placement } });
    lab.wait(2);
    expect(pending(lab, manager)).toBe(`no suitable node (${text})`);
  });

  it("for want of resources, ports, replicas a node", () => {
    const { lab, manager } = single();
    lab.service(manager, { Name: "big", TaskTemplate: { Resources: { Reservations: { NanoCPUs: 9e9 } } } });
    lab.wait(1);
    expect(pending(lab, manager)).toBe("no suitable node (insufficient resources on 1 node)");
    lab.run(manager, manager.node.control.services.remove("big"));
    lab.service(manager, { Name: "host", Mode: { Replicated: { Replicas: 2 } }, ...ports(HOST_PORT) });
    lab.wait(1);
    expect(pending(lab, manager)).toBe("no suitable node (host-mode port already in use on 1 node)");
    lab.run(manager, manager.node.control.services.remove("host"));
    lab.service(manager, {
      Name: "max",
      Mode: { Replicated: { Replicas: 2 } },
      TaskTemplate: { Placement: { MaxReplicas: 1 } },
    });
    lab.wait(3);
    expect(pending(lab, manager)).toBe("no suitable node (max replicas per node limit exceed)");
  });

  it("get one when a node changes; the reasons come most frequent first", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager", "worker-1", "worker-2"]) as [Machine];
    const set = (name: string, change: object) => {
      const node = lab.run(manager, manager.node.control.getNode(name));
      lab.run(manager, manager.node.control.updateNode(node.ID, node.Version.Index, { ...node.Spec, ...change }));
    };
    set("manager", { Availability: "pause" });
    lab.service(manager, { TaskTemplate: { Placement: { Constraints: ["node.labels.disk == ssd"] } } });
    lab.wait(1);
    expect(pending(lab, manager)).toBe(
      "no suitable node (scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks)",
    );
    set("worker-2", { Labels: { disk: "SSD" } });
    lab.wait(1);
    expect(lab.table(manager)).toEqual(["1 worker-2 running running"]);
    expect(lab.tasks(manager)[0]?.Status.Err).toBeUndefined();
  });

  it("are spread over a label's values first", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager", "worker-1", "worker-2"]) as [Machine];
    for (const [name, zone] of [
      ["manager", "a"],
      ["worker-1", "a"],
      ["worker-2", "b"],
    ] as const) {
      const node = lab.run(manager, manager.node.control.getNode(name));
      lab.run(
        manager,
        manager.node.control.updateNode(node.ID, node.Version.Index, { ...node.Spec, Labels: { zone } }),
      );
    }
    const Preferences = [{ Spread: { SpreadDescriptor: "node.labels.zone" } }];
    lab.service(manager, { Mode: { Replicated: { Replicas: 6 } }, TaskTemplate: { Placement: { Preferences } } });
    lab.wait(1);
    const count = (name: string) => lab.table(manager).filter((row) => row.includes(` ${name} `)).length;
    expect([count("manager"), count("worker-1"), count("worker-2")]).toEqual([2, 1, 3]);
    expect(lab.inspect(manager, "my-nginx").Spec.TaskTemplate?.Placement).toEqual({ Preferences });
  });
});
