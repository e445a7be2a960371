import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import { Lab, type Machine } from "./lab.ts";

const TIMED_OUT =
  "attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded";

function create(lab: Lab, manager: Machine, Name: string, more: object = {}): string {
  const id = lab.run(
    manager,
    manager.node.control.createNetwork({ Name, Driver: "overlay", Attachable: true, ...more }),
  );
  lab.wait(1);
  return id;
}

function attach(lab: Lab, machine: Machine, network: string, container: string, addresses: string[] = []) {
  return lab.run(machine, machine.node.attachNetwork(network, container, addresses)).addresses[0];
}

const lbOf = (machine: Machine, name: string) =>
  machine.executor.node?.attachments.find((a) => a.network.spec.annotations.name === name)?.addresses[0];

describe("standalone containers", () => {
  it("get .2 and .4, their nodes' load balancers .3 and .5; all goes away in order", () => {
    const lab = new Lab();
    const [host1, host2] = lab.swarm(["host1", "host2"]) as [Machine, Machine];
    const id = create(lab, host1, "test-net");
    expect(host2.executor.networks.size).toBe(0);
    const start = lab.network.now;
    const first = lab.run(host1, host1.node.attachNetwork("test-net", "c1"));
    expect(lab.network.now - start).toBeLessThan(SEC);
    expect(first).toMatchObject({ networkId: id, networkName: "test-net", addresses: ["10.0.1.2/24"] });
    expect(first.network.driverState?.options).toEqual({ "com.docker.network.driver.overlay.vxlanid_list": "4097" });
    lab.wait(1);
    expect(attach(lab, host2, id, "c2")).toBe("10.0.1.4/24");
    lab.wait(1);
    expect([lbOf(host1, "test-net"), lbOf(host2, "test-net")]).toEqual(["10.0.1.3/24", "10.0.1.5/24"]);
    expect([...host2.executor.networks.keys()]).toEqual([id]);
    // The same container again: its attachment stands.
    expect(attach(lab, host2, id, "c2")).toBe("10.0.1.4/24");

    const inUse = lab.fails(host1, host1.node.control.removeNetwork("test-net")).error;
    expect(inUse).toMatch(
      new RegExp(`^rpc error: code = FailedPrecondition desc = network ${id} is in use by task [0-9a-z]{25}$`),
    );

    lab.run(host2, host2.node.detachNetwork(id, "c2"));
    lab.wait(1);
    expect(host2.executor.networks.size).toBe(0);
    expect(lbOf(host2, "test-net")).toBeUndefined();
    lab.run(host1, host1.node.detachNetwork("test-net", "c1"));
    lab.wait(1);
    lab.run(host1, host1.node.control.removeNetwork("test-net"));
    expect(lab.run(host1, host1.node.control.listNetworks()).map((n) => n.Name)).toEqual(["ingress"]);
    // Next-fit: neither the subnet nor the VNI is used again.
    create(lab, host1, "next");
    const next = lab.run(host1, host1.node.control.getNetwork("next"));
    expect(next.IPAM.Config).toEqual([{ Subnet: "10.0.2.0/24", Gateway: "10.0.2.1" }]);
    expect(next.Options).toEqual({ "com.docker.network.driver.overlay.vxlanid_list": "4098" });
  });

  it("don't get a released address again, but do get the one they ask for", () => {
    const lab = new Lab();
    const [host1] = lab.swarm(["host1"]) as [Machine];
    create(lab, host1, "test-net");
    expect(attach(lab, host1, "test-net", "a")).toBe("10.0.1.2/24");
    lab.wait(1);
    lab.run(host1, host1.node.detachNetwork("test-net", "a"));
    lab.wait(1);
    expect(attach(lab, host1, "test-net", "a")).toBe("10.0.1.4/24");
    expect(attach(lab, host1, "test-net", "b", ["10.0.1.77"])).toBe("10.0.1.77/24");
    expect(attach(lab, host1, "test-net", "c")).toBe("10.0.1.6/24");
    const taken = lab.fails(host1, host1.node.attachNetwork("test-net", "d", ["10.0.1.77"]));
    expect(taken).toEqual({ error: TIMED_OUT, seconds: 20 });
    expect(host1.log.some((line) => line.includes("Address already in use"))).toBe(true);
    // The attachment was released: nothing of it is left.
    lab.wait(1);
    expect(attach(lab, host1, "test-net", "d")).toBe("10.0.1.7/24");
    for (const container of ["a", "b", "c", "d"]) lab.run(host1, host1.node.detachNetwork("test-net", container));
    lab.wait(1);
    lab.run(host1, host1.node.control.removeNetwork("test-net"));
  });

  it("are refused with the manager's words", () => {
    const lab = new Lab();
    const [host1, host2] = lab.swarm(["host1", "host2"]) as [Machine, Machine];
    create(lab, host1, "closed", { Attachable: false });
    expect(lab.fails(host2, host2.node.attachNetwork("nosuch", "c")).error).toBe(
      "Could not attach to network nosuch: rpc error: code = NotFound desc = network nosuch not found",
    );
    expect(lab.fails(host2, host2.node.attachNetwork("closed", "c")).error).toBe(
      "Could not attach to network closed: rpc error: code = PermissionDenied desc = network closed not manually attachable",
    );
    expect(lab.fails(host2, host2.node.detachNetwork("closed", "c")).error).toBe(
      "could not find network attachment for container c to network closed",
    );
    const lone = lab.machine("lone");
    expect(lab.fails(lone, lone.node.attachNetwork("x", "c")).error).toBe(
      "invalid cluster node while attaching to network",
    );
  });

  it("wait 20 s on a full network, and get an address once one is free", () => {
    const lab = new Lab();
    const [host1] = lab.swarm(["host1"]) as [Machine];
    create(lab, host1, "tiny", { IPAM: { Config: [{ Subnet: "10.99.0.0/29" }] } });
    // .1 gateway, .2 first container, .3 load balancer, .4 .5 .6: full.
    for (const container of ["a", "b", "c", "d"]) {
      attach(lab, host1, "tiny", container);
      lab.wait(1);
    }
    expect(lbOf(host1, "tiny")).toBe("10.99.0.3/29");
    expect(lab.fails(host1, host1.node.attachNetwork("tiny", "e"))).toEqual({ error: TIMED_OUT, seconds: 20 });
    expect(host1.log.at(-1)).toContain("could not find an available IP");
    const waiting = lab.spawn(host1, host1.node.attachNetwork("tiny", "e"));
    lab.wait(3);
    lab.run(host1, host1.node.detachNetwork("tiny", "b"));
    lab.wait(1);
    expect(waiting.result).toMatchObject({ value: { addresses: ["10.99.0.4/29"] } });
  });

  it("don't start on a drained node", () => {
    const lab = new Lab();
    const [host1] = lab.swarm(["host1"]) as [Machine];
    create(lab, host1, "test-net");
    const self = lab.run(host1, host1.node.control.getNode(host1.node.nodeId));
    const drained = { ...self.Spec, Availability: "drain" };
    lab.run(host1, host1.node.control.updateNode(self.ID, self.Version.Index, drained));
    expect(lab.fails(host1, host1.node.attachNetwork("test-net", "c")).error).toBe(TIMED_OUT);
    // The attachment was released, so nothing holds the network.
    lab.run(host1, host1.node.control.removeNetwork("test-net"));
  });

  it("survive a lost connection of their node: the task runs on, and detaching works afterwards", () => {
    const lab = new Lab();
    const [host1, host2] = lab.swarm(["host1", "host2"]) as [Machine, Machine];
    create(lab, host1, "test-net");
    attach(lab, host2, "test-net", "c");
    lab.network.block(host1.host, host2.host);
    lab.wait(60);
    lab.network.unblock();
    let reports = 0;
    lab.network.tap((packet) => {
      if (new TextDecoder().decode(packet.data).includes("Dispatcher/UpdateTaskStatus")) reports++;
    });
    lab.wait(40);
    expect(host2.executor.networks.size).toBe(1);
    // All tasks are reported again in a new session.
    expect(reports).toBe(1);
    lab.run(host2, host2.node.detachNetwork("test-net", "c"));
    lab.wait(1);
    expect(host2.executor.networks.size).toBe(0);
    lab.run(host1, host1.node.control.removeNetwork("test-net"));
  });

  it("lose their networks when their node leaves", () => {
    const lab = new Lab();
    const [host1, host2] = lab.swarm(["host1", "host2"]) as [Machine, Machine];
    create(lab, host1, "test-net");
    attach(lab, host2, "test-net", "c");
    lab.run(host2, host2.node.leave(false));
    expect(host2.executor.networks.size).toBe(0);
  });
});

describe("networks", () => {
  it("are refused with swarmkit's words", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const refusal = (body: object) =>
      lab.fails(manager, manager.node.control.createNetwork({ Name: "n", Driver: "overlay", ...body })).error;
    const invalid = "rpc error: code = InvalidArgument desc =";
    expect(refusal({ Name: "bad name" })).toBe(`${invalid} name must be valid as a DNS name component`);
    expect(refusal({ Name: "" })).toBe(`${invalid} meta: name must be provided`);
    expect(refusal({ Name: "n".repeat(64) })).toBe(`${invalid} name must be 63 characters or fewer`);
    expect(refusal({ Driver: "nodriver" })).toBe(`${invalid} plugin "nodriver" not found`);
    expect(refusal({ Name: "bridge" })).toBe("bridge is a pre-defined network and cannot be created");
    expect(refusal({ Ingress: true, Attachable: true })).toBe(`${invalid} ingress network cannot be attachable`);
    const ingress = lab.run(manager, manager.node.control.getNetwork("ingress")).Id;
    expect(refusal({ Name: "other", Ingress: true })).toBe(
      `rpc error: code = AlreadyExists desc = ingress network (${ingress}) is already present`,
    );
    expect(lab.fails(manager, manager.node.control.removeNetwork("nosuch")).error).toBe("network nosuch not found");
    expect(lab.fails(manager, manager.node.control.removeNetwork("host")).error).toMatch(
      /^rpc error: code = FailedPrecondition desc = network \w{25} \(host\) is a swarm predefined network and cannot be removed$/,
    );
  });

  it("that overlap are created but stay without driver until the conflict is gone", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const config = (Subnet: string) => ({ IPAM: { Config: [{ Subnet }] } });
    create(lab, manager, "one", config("10.50.0.0/24"));
    create(lab, manager, "two", config("10.50.0.0/16"));
    const two = () => lab.run(manager, manager.node.control.getNetwork("two"));
    expect(two()).toMatchObject({ Driver: "", IPAM: { Driver: "", Options: null, Config: null }, Options: null });
    expect(manager.log.at(-1)).toContain("Pool overlaps with other one on this address space");
    expect(lab.fails(manager, manager.node.attachNetwork("two", "c")).error).toBe(TIMED_OUT);
    lab.run(manager, manager.node.control.removeNetwork("one"));
    lab.wait(1);
    expect(two()).toMatchObject({
      Driver: "overlay",
      IPAM: { Driver: "default", Config: [{ Subnet: "10.50.0.0/16", Gateway: "10.50.0.1" }] },
      Options: { "com.docker.network.driver.overlay.vxlanid_list": "4098" },
    });
  });

  it("are found by name, ID and prefix; ambiguous prefixes are refused", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const ids = Array.from({ length: 40 }, (_, i) => create(lab, manager, `net-${i}`));
    const get = (input: string) => lab.run(manager, manager.node.control.getNetwork(input)).Name;
    expect(get("net-3")).toBe("net-3");
    expect(get(ids[7] as string)).toBe("net-7");
    expect(get((ids[7] as string).slice(0, 12))).toBe("net-7");
    const shared = ids.map((id) => id[0] as string).find((c, i, all) => all.indexOf(c) !== i) as string;
    expect(lab.fails(manager, manager.node.control.getNetwork(shared)).error).toMatch(
      new RegExp(`^network ${shared} is ambiguous \\(\\d+ matches found\\)$`),
    );
  });
});
