import { describe, expect, it } from "vitest";
import { MS, SEC } from "../../src/base/time.ts";
import { parseJoinToken } from "../../src/swarm/ca/token.ts";
import { Lab, type Machine } from "./lab.ts";

const REMOTE = "192.168.77.11:2377";
const NO_TOKEN = "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster";

function nodesOf(lab: Lab, manager: Machine) {
  return lab.run(manager, manager.node.control.listNodes());
}

describe("swarm init", () => {
  it("makes this node the leader, with ingress 10.0.0.0/24, VNI 4096 and six keys", () => {
    const lab = new Lab();
    const manager = lab.machine("manager");
    const id = lab.run(manager, manager.node.init());
    expect(id).toMatch(/^[0-9a-z]{25}$/);
    lab.wait(1);
    const [node, ...others] = nodesOf(lab, manager);
    expect(others).toEqual([]);
    expect(node?.ID).toBe(id);
    expect(node?.Spec).toEqual({ Labels: {}, Role: "manager", Availability: "active" });
    expect(node?.Status).toEqual({ State: "ready", Addr: "192.168.77.11" });
    expect(node?.ManagerStatus).toEqual({ Leader: true, Reachability: "reachable", Addr: REMOTE });
    expect(node?.Description.Hostname).toBe("manager");
    expect(node?.Description.TLSInfo.CertIssuerSubject).toBe("MBMxETAPBgNVBAMTCHN3YXJtLWNh");
    const networks = lab.run(manager, manager.node.control.listNetworks());
    expect(networks).toHaveLength(1);
    expect(networks[0]).toMatchObject({
      Name: "ingress",
      Scope: "swarm",
      Driver: "overlay",
      IPAM: { Driver: "default", Options: null, Config: [{ Subnet: "10.0.0.0/24", Gateway: "10.0.0.1" }] },
      Ingress: true,
      Options: { "com.docker.network.driver.overlay.vxlanid_list": "4096" },
    });
    expect(manager.executor.node?.attachments.map((a) => a.addresses)).toEqual([["10.0.0.2/24"]]);
    const { keys } = manager.executor;
    expect(keys.map((key) => key.subsystem)).toEqual([
      ...Array(3).fill("networking:gossip"),
      ...Array(3).fill("networking:ipsec"),
    ]);
    const first = keys[0]?.lamportTime ?? 0;
    expect(first).toBeLessThanOrEqual(65_536);
    expect(keys.map((key) => key.lamportTime - first)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(new Set(keys.map((key) => key.key)).size).toBe(6);
  });

  it("is refused twice, and shows the swarm in info", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    expect(lab.fails(manager, manager.node.init()).error).toBe(
      'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
    );
    const info = lab.run(manager, manager.node.info());
    expect(info).toMatchObject({
      NodeID: manager.node.nodeId,
      NodeAddr: "192.168.77.11",
      LocalNodeState: "active",
      ControlAvailable: true,
      RemoteManagers: [{ NodeID: manager.node.nodeId, Addr: REMOTE }],
      Nodes: 1,
      Managers: 1,
    });
    const swarm = lab.run(manager, manager.node.control.inspect());
    expect(Object.keys(swarm)).toEqual([
      ...["ID", "Version", "CreatedAt", "UpdatedAt", "Spec", "TLSInfo", "RootRotationInProgress"],
      ...["DefaultAddrPool", "SubnetSize", "DataPathPort", "JoinTokens"],
    ]);
    expect(swarm.Spec.Dispatcher.HeartbeatPeriod).toBe(5 * SEC);
    expect(swarm.Spec.CAConfig.NodeCertExpiry).toBe(7_776_000 * SEC);
    expect([swarm.DefaultAddrPool, swarm.SubnetSize, swarm.DataPathPort]).toEqual([["10.0.0.0/8"], 24, 4789]);
  });

  it("checks its options with Docker's words", () => {
    const lab = new Lab();
    const manager = lab.machine("manager");
    const error = (options: Parameters<typeof manager.node.init>[0]) =>
      lab.fails(manager, manager.node.init(options)).error;
    expect(error({ dataPathPort: 1000 })).toBe("Datapath port number is not in valid range (1024-49151) : 1000");
    expect(error({ defaultAddrPool: ["10.20.0.0/16"], subnetSize: 15 })).toBe(
      'invalid CIDR: "10.20.0.0/16". Subnet size is too small for pool: 15',
    );
    expect(error({ defaultAddrPool: ["10.20.0.0/16"], subnetSize: 30 })).toBe("subnet size is out of range: 30");
    expect(error({ advertiseAddr: "0.0.0.0" })).toBe(
      "advertise address must be a non-zero IP address or network interface (with optional port number)",
    );
    expect(error({ listenAddr: "nodev:2377" })).toBe(
      "listen address must be an IP address or network interface (with optional port number)",
    );
    expect(manager.node.localNodeState).toBe("inactive");
    expect(lab.run(manager, manager.node.init({ advertiseAddr: "eth0" }))).toBe(manager.node.nodeId);
  });

  it("cuts other default pools", () => {
    const lab = new Lab();
    const manager = lab.machine("manager");
    lab.run(manager, manager.node.init({ defaultAddrPool: ["10.20.0.0/16"], subnetSize: 26 }));
    const subnets = ["a", "b"].map((Name) => {
      const id = lab.run(manager, manager.node.control.createNetwork({ Name, Driver: "overlay" }));
      lab.wait(1);
      return lab.run(manager, manager.node.control.getNetwork(id)).IPAM.Config?.[0]?.Subnet;
    });
    expect(subnets).toEqual(["10.20.0.64/26", "10.20.0.128/26"]);
  });
});

describe("swarm join", () => {
  it("takes three TCP connections, of which one stays, and gives ingress addresses in order of joining", () => {
    const lab = new Lab();
    const machines = lab.swarm(["manager", "worker-1", "worker-2", "worker-3"]);
    lab.wait(1);
    const nodes = nodesOf(lab, machines[0] as Machine);
    expect(nodes.map((node) => [node.Description.Hostname, node.Status.State, node.Status.Addr]).toSorted()).toEqual([
      ["manager", "ready", "192.168.77.11"],
      ["worker-1", "ready", "192.168.77.12"],
      ["worker-2", "ready", "192.168.77.13"],
      ["worker-3", "ready", "192.168.77.14"],
    ]);
    expect(machines.map((m) => m.executor.node?.attachments[0]?.addresses[0])).toEqual(
      [2, 3, 4, 5].map((n) => `10.0.0.${n}/24`),
    );
    const worker = machines[1] as Machine;
    expect(worker.executor.keys).toEqual(machines[0]?.executor.keys);
    const sockets = worker.host.os.kernel.root.socket.list().filter((s) => s.state === "ESTABLISHED");
    expect(sockets.map((s) => s.remotePort)).toEqual([2377]);
    expect(worker.host.os.kernel.root.socket.list().filter((s) => s.state === "LISTEN")).toEqual([]);
    expect(worker.node.networkAgentAddresses()).toEqual({
      bindIp: 0,
      advertiseIp: 0xc0a84d0c,
      localIp: 0xc0a84d0c,
      dataPathIp: 0xc0a84d0c,
      remoteIps: [0xc0a84d0b],
    });
  });

  it("opens exactly three connections to 2377", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const token = lab.run(manager, manager.node.joinToken("worker"));
    const worker = lab.machine("worker-1");
    const ports = new Set<number>();
    lab.network.tap((packet) => {
      if (packet.dstPort === 2377) ports.add(packet.srcPort);
    });
    lab.join(worker, token);
    lab.wait(10);
    expect(ports.size).toBe(3);
  });

  it("refuses bad tokens as golden/I-errors shows, in its time", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const token = lab.run(manager, manager.node.joinToken("worker"));
    const worker = lab.machine("worker-1");
    const join = (joinToken: string, remoteAddr = REMOTE) =>
      lab.fails(worker, worker.node.join({ remoteAddrs: [remoteAddr], joinToken }));
    expect(join("SWMTKN-1-bad-bad")).toEqual({ error: "invalid join token", seconds: 0 });
    expect(join("garbage")).toEqual({ error: "invalid join token", seconds: 0 });
    // Five tries, each followed by two seconds.
    expect(join(`${token.slice(0, -25)}000000000000000000000000a`)).toEqual({ error: NO_TOKEN, seconds: 10 });
    expect(join("")).toEqual({ error: NO_TOKEN, seconds: 10 });
    const foreign = `SWMTKN-1-${"0".repeat(50)}-${token.slice(-25)}`;
    const fingerprint = `remote CA does not match fingerprint. Expected: ${"0".repeat(64)}`;
    expect(join(foreign)).toEqual({ error: fingerprint, seconds: 10 });
    const dial =
      'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp';
    expect(join(token, "192.168.77.12:2377").error).toBe(`${dial} 192.168.77.12:2377: connect: connection refused"`);
    expect(worker.node.localNodeState).toBe("inactive");
    expect(lab.fails(worker, worker.node.join({ remoteAddrs: [], joinToken: token })).error).toBe(
      "at least 1 RemoteAddr is required to join",
    );
    expect(nodesOf(lab, manager)).toHaveLength(1);
    lab.join(worker, token);
  });

  it("says so after 20 s when 2377 is blocked, goes on, and joins when it is open again", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const joinToken = lab.run(manager, manager.node.joinToken("worker"));
    const worker = lab.machine("worker-1");
    lab.network.block(manager.host, worker.host, "tcp", 2377);
    expect(lab.fails(worker, worker.node.join({ remoteAddrs: [REMOTE], joinToken }))).toEqual({
      error:
        'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.',
      seconds: 20,
    });
    expect(lab.run(worker, worker.node.info())).toMatchObject({ LocalNodeState: "pending", ControlAvailable: false });
    lab.network.unblock();
    lab.wait(10);
    expect(worker.node.localNodeState).toBe("active");
    expect(nodesOf(lab, manager)).toHaveLength(2);
  });

  it("ends in state error when the background attempt fails for good, and can leave then", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const joinToken = lab.run(manager, manager.node.joinToken("worker"));
    const worker = lab.machine("worker-1");
    lab.network.block(manager.host, worker.host, "tcp", 2377);
    lab.fails(worker, worker.node.join({ remoteAddrs: [REMOTE], joinToken }));
    lab.wait(60);
    expect(lab.run(worker, worker.node.info())).toMatchObject({
      LocalNodeState: "error",
      Error: "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
    });
    lab.run(worker, worker.node.leave(false));
    expect(worker.node.localNodeState).toBe("inactive");
  });

  it("knows the new token only, once it was rotated; the digest stays", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager"]) as [Machine];
    const before = lab.run(manager, manager.node.joinToken("worker"));
    const managerToken = lab.run(manager, manager.node.joinToken("manager"));
    const after = lab.run(manager, manager.node.rotateJoinToken("worker"));
    expect(after).not.toBe(before);
    expect(parseJoinToken(after)).toEqual(parseJoinToken(before));
    expect(lab.run(manager, manager.node.joinToken("manager"))).toBe(managerToken);
    const worker = lab.machine("worker-1");
    expect(lab.fails(worker, worker.node.join({ remoteAddrs: [REMOTE], joinToken: before })).error).toBe(NO_TOKEN);
    lab.join(worker, after);
  });
});

describe("nodes", () => {
  it("are down three announced periods after the last heartbeat, and ready again when they are back", () => {
    const lab = new Lab();
    const [manager, worker] = lab.swarm(["manager", "worker-1"]) as [Machine, Machine];
    let lastHeartbeat = 0;
    let period = 0;
    lab.network.tap((packet) => {
      const text = new TextDecoder().decode(packet.data);
      if (packet.src === worker.host.ip && text.includes("Dispatcher/Heartbeat")) lastHeartbeat = packet.time;
      const answer = /\{"period":(\d+)\}/.exec(text);
      if (packet.dst === worker.host.ip && answer !== null) period = Number(answer[1]);
    });
    lab.wait(30);
    expect(lab.network.now - lastHeartbeat).toBeLessThan(5.5 * SEC);
    expect(period).toBeGreaterThanOrEqual(4.5 * SEC);
    expect(period).toBeLessThanOrEqual(5.5 * SEC);
    lab.network.block(manager.host, worker.host);
    const stateOf = () => nodesOf(lab, manager).find((n) => n.ID === worker.node.nodeId)?.Status;
    lab.network.run(lastHeartbeat + 3 * period - 10 * MS);
    expect(stateOf()).toEqual({ State: "ready", Addr: "192.168.77.12" });
    lab.network.run(lastHeartbeat + 3 * period + 200 * MS);
    expect(stateOf()).toEqual({ State: "down", Message: "heartbeat failure", Addr: "192.168.77.12" });
    lab.network.unblock();
    lab.wait(30);
    expect(stateOf()?.State).toBe("ready");
  });

  it("leave: a worker goes Down by missed heartbeats, a manager needs force", () => {
    const lab = new Lab();
    const [manager, worker] = lab.swarm(["manager", "worker-1"]) as [Machine, Machine];
    expect(lab.fails(manager, manager.node.leave(false)).error).toBe(
      "You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ",
    );
    const id = worker.node.nodeId;
    lab.run(worker, worker.node.leave(false));
    expect(worker.node.nodeId).toBe("");
    expect(lab.fails(worker, worker.node.leave(false)).error).toBe("This node is not part of a swarm");
    lab.wait(10);
    const stateOf = () => nodesOf(lab, manager).find((node) => node.ID === id)?.Status.State;
    expect(stateOf()).toBe("ready");
    expect(lab.fails(manager, manager.node.control.removeNode(id, false)).error).toBe(
      `rpc error: code = FailedPrecondition desc = node ${id} is not down and can't be removed`,
    );
    lab.wait(8);
    expect(stateOf()).toBe("down");
    lab.run(manager, manager.node.control.removeNode("worker-1", false));
    expect(nodesOf(lab, manager)).toHaveLength(1);
    expect(lab.fails(manager, manager.node.control.removeNode(manager.node.nodeId, true)).error).toBe(
      `rpc error: code = FailedPrecondition desc = node ${manager.node.nodeId} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
    );
    lab.run(manager, manager.node.leave(true));
    expect(manager.node.localNodeState).toBe("inactive");
    expect(manager.host.processes()).toEqual([]);
    expect(manager.host.os.kernel.root.socket.list().filter((s) => s.state === "LISTEN")).toEqual([]);
    lab.run(manager, manager.node.init());
  });

  it("takes back a node with its old certificate never again once it was removed", () => {
    const lab = new Lab();
    const [manager, worker] = lab.swarm(["manager", "worker-1"]) as [Machine, Machine];
    lab.run(manager, manager.node.control.removeNode("worker-1", true));
    lab.wait(60);
    expect(nodesOf(lab, manager)).toHaveLength(1);
    expect(
      worker.log.some((line) => line.includes(`Permission denied: node ${worker.node.nodeId} was removed from swarm`)),
    ).toBe(true);
  });

  it("update: drains a node; refuses to demote the last manager and an old version", () => {
    const lab = new Lab();
    const [manager] = lab.swarm(["manager", "worker-1"]) as [Machine];
    const worker = lab.run(manager, manager.node.control.getNode("worker-1"));
    const version = worker.Version.Index;
    const drained = { ...worker.Spec, Availability: "drain" };
    lab.run(manager, manager.node.control.updateNode("worker-1", version, drained));
    expect(lab.run(manager, manager.node.control.getNode("worker-1")).Spec.Availability).toBe("drain");
    expect(lab.fails(manager, manager.node.control.updateNode("worker-1", version, drained)).error).toBe(
      "rpc error: code = Unknown desc = update out of sequence",
    );
    const self = lab.run(manager, manager.node.control.getNode(manager.node.nodeId));
    const demoted = { ...self.Spec, Role: "worker" };
    expect(lab.fails(manager, manager.node.control.updateNode(self.ID, self.Version.Index, demoted)).error).toBe(
      "rpc error: code = FailedPrecondition desc = attempting to demote the last manager of the swarm",
    );
    const bad = { ...self.Spec, Availability: "x" };
    expect(lab.fails(manager, manager.node.control.updateNode(self.ID, 1, bad)).error).toBe(
      'invalid Availability: "x"',
    );
  });

  it("ask on a worker or outside of a swarm: the 503 texts", () => {
    const lab = new Lab();
    const [, worker] = lab.swarm(["manager", "worker-1"]) as [Machine, Machine];
    const lone = lab.machine("lone");
    expect(lab.fails(lone, lone.node.joinToken("worker")).error).toBe(
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
    expect(lab.fails(worker, worker.node.control.listNodes()).error).toBe(
      "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
    );
  });
});

describe("keys", () => {
  it("rotate every 12 hours: the oldest of each ring goes, on every node", () => {
    const lab = new Lab();
    const [manager, worker] = lab.swarm(["manager", "worker-1"]) as [Machine, Machine];
    const before = manager.executor.keys;
    lab.wait(12 * 3600 + 10);
    const after = manager.executor.keys;
    expect(worker.executor.keys).toEqual(after);
    const rings = (keys: typeof before) =>
      ["networking:gossip", "networking:ipsec"].map((s) => keys.filter((key) => key.subsystem === s));
    for (const [i, ring] of rings(after).entries()) {
      expect(ring).toHaveLength(3);
      expect(ring.slice(0, 2)).toEqual(rings(before)[i]?.slice(1));
    }
    const first = before[0]?.lamportTime ?? 0;
    expect(rings(after).map((ring) => (ring[2]?.lamportTime ?? 0) - first)).toEqual([6, 7]);
  });
});

describe("determinism", () => {
  it("gives the same bytes on the wire twice", () => {
    const trace = () => {
      const lab = new Lab(7);
      const packets: string[] = [];
      lab.network.tap((p) =>
        packets.push(`${p.time} ${p.src}:${p.srcPort} ${p.dst} ${Buffer.from(p.data).toString("hex")}`),
      );
      lab.swarm(["manager", "worker-1", "worker-2"]);
      lab.wait(20);
      return packets;
    };
    const first = trace();
    expect(first.length).toBeGreaterThan(50);
    expect(trace()).toEqual(first);
  });
});
