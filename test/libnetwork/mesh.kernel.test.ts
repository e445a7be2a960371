/**
 * Traffic of services on the real kernel with real gossip: the routing mesh from outside and from everywhere on a host, VIPs,
 * round robin, draining, UDP, direct server return.
 */
import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import type { NetNs, PacketTap } from "../../src/kernel/types.ts";
import type { PortConfig } from "../../src/libnetwork/records.ts";
import { connectTcp, recvTcp, sendTcp } from "../../src/scheduler/io.ts";
import { type Proc, sleep } from "../../src/scheduler/process.ts";
import { ip } from "../support/fake-swarm.ts";
import { kernelBuilt } from "../support/kernel.ts";
import { runServices, type ServiceNode } from "../support/service-cluster.ts";

const PORTS: readonly PortConfig[] = [
  { name: "", protocol: "tcp", targetPort: 80, publishedPort: 8080 },
  { name: "", protocol: "udp", targetPort: 53, publishedPort: 5353 },
];
const WEB = { name: "web", vip: 2, ports: PORTS, aliases: ["www"] };

/** Task `web.<slot>` at 10.0.x.(slot + 10), serving and announced. */
function start(node: ServiceNode, slot: number, service = WEB): ReturnType<ServiceNode["task"]> {
  const name = `web.${slot}`;
  const sandbox = node.task(name, slot + 10, service);
  node.serveTcp(sandbox.ns as NetNs, 80, name);
  node.serveUdp(sandbox.ns as NetNs, 53, name);
  sandbox.enableService();
  return sandbox;
}

/** Asks so often; `answer (how often)`, sorted. */
function* asked(times: number, ask: () => Proc<string>): Proc<string[]> {
  const out: string[] = [];
  for (let i = 0; i < times; i++) out.push(yield* ask());
  return out.sort();
}

/** TTL and MSS of the SYN and the SYN-ACK among the frames that a socket took. */
function synAndAnswer(tap: PacketTap): string[] {
  const found = new Map<number, string>();
  for (let frame = tap.tryRecv(); frame !== undefined; frame = tap.tryRecv()) {
    const ip = frame.data.subarray(14);
    if (frame.data[12] !== 8 || ip[9] !== 6) continue;
    const tcp = ip.subarray(((ip[0] as number) & 15) * 4);
    const flags = (tcp[13] as number) & 0x12;
    // MSS is the first option.
    if ((flags & 2) !== 0) found.set(flags, `${ip[8]}/${(tcp[22] as number) * 256 + (tcp[23] as number)}`);
  }
  return [found.get(2) ?? "-", found.get(0x12) ?? "-"];
}

describe.skipIf(!kernelBuilt)("the routing mesh (needs build/kernel.wasm)", () => {
  it("serves on every node, whether it has a task or not; tasks see the entry node's address and the client's port", async () => {
    const heard: Record<string, unknown> = {};
    await runServices([
      function* (node) {
        start(node, 1);
        yield* sleep(node.os, 3 * SEC);
        heard["own address"] = yield* asked(2, () => node.ask(node.host, "192.168.77.11", 8080));
        heard["loopback"] = yield* asked(2, () => node.ask(node.host, "127.0.0.1", 8080));
        // A container on docker0.
        const plain = node.controller.newSandbox({ containerId: "p".repeat(64), name: "plain" });
        node.controller.networkByName("bridge")?.createEndpoint("plain").join(plain);
        plain.setKey();
        heard["docker0"] = yield* asked(2, () => node.ask(plain.ns as NetNs, "192.168.77.11", 8080));
        // A task, over docker_gwbridge and back over the same bridge.
        const other = node.task("other", 9, { name: "other" });
        heard["docker_gwbridge"] = yield* asked(2, () => node.ask(other.ns as NetNs, "192.168.77.11", 8080));
        heard["port of another protocol"] = yield* node.ask(node.host, "192.168.77.11", 5353);
      },
      function* (node) {
        yield* sleep(node.os, SEC);
        start(node, 2);
        // In turn, after the first host, whose connections are others of the same balancer.
        yield* sleep(node.os, 10 * SEC);
        heard["from outside"] = yield* asked(4, () => node.ask(node.host, "192.168.77.11", 8080));
        // That node's balancer is new: the task it heard of last is the first one.
        const order: string[] = [];
        for (let i = 0; i < 4; i++) order.push(yield* node.ask(node.host, "192.168.77.13", 8080));
        heard["a node without a task"] = order;
        heard["udp"] = yield* asked(2, () => node.askUdp(node.host, "192.168.77.13", 5353));
      },
      function* () {},
    ]);
    expect(heard).toEqual({
      "own address": ["web.1 10.0.0.2", "web.2 10.0.0.2"],
      loopback: ["web.1 10.0.0.2", "web.2 10.0.0.2"],
      docker0: ["web.1 10.0.0.2", "web.2 10.0.0.2"],
      docker_gwbridge: ["web.1 10.0.0.2", "web.2 10.0.0.2"],
      "port of another protocol": "ECONNREFUSED",
      "from outside": ["web.1 10.0.0.2", "web.1 10.0.0.2", "web.2 10.0.0.2", "web.2 10.0.0.2"],
      "a node without a task": ["web.2 10.0.0.4", "web.1 10.0.0.4", "web.2 10.0.0.4", "web.1 10.0.0.4"],
      // External client, start 64: 63 on docker_gwbridge, 62 behind IPVS.
      udp: ["web.1 10.0.0.4 ttl 62", "web.2 10.0.0.4 ttl 62"],
    });
  });

  it("lets nothing else of the ingress network into a task", async () => {
    const heard: string[] = [];
    await runServices([
      function* (node) {
        const task = start(node, 1);
        node.serveTcp(task.ns as NetNs, 81, "hidden");
        const other = start(node, 2);
        yield* sleep(node.os, SEC);
        heard.push(yield* node.ask(other.ns as NetNs, "10.0.0.11", 81));
        heard.push(yield* node.ask(other.ns as NetNs, "10.0.1.11", 81));
        heard.push(String(yield* node.ping(other.ns as NetNs, "10.0.0.11")));
      },
    ]);
    expect(heard).toEqual(["ETIMEDOUT", "hidden 10.0.1.12", "64"]);
  });

  it("counts hops as Linux does, and leaves the client's MSS as it is", async () => {
    const heard: Record<string, unknown> = {};
    await runServices([
      function* (node) {
        const task = start(node, 1);
        const places = {
          gwbridge: [node.host, "docker_gwbridge"],
          mesh: [node.ingress.lbSandbox?.ns, "eth0"],
          task: [task.ns, "eth1"],
        } as const;
        const taps = Object.entries(places).map(([name, [ns, device]]) => ({
          name,
          tap: (ns as NetNs).link.tap(device, 200),
        }));
        yield* sleep(node.os, 5 * SEC);
        heard["outside"] = taps.map(({ name, tap }) => [name, ...synAndAnswer(tap)]);
        yield* node.ask(node.host, "192.168.77.11", 8080);
        yield* sleep(node.os, SEC);
        heard["own process"] = taps.map(({ name, tap }) => [name, ...synAndAnswer(tap)]);
      },
      function* (node) {
        yield* sleep(node.os, 2 * SEC);
        yield* node.ask(node.host, "192.168.77.11", 8080);
      },
    ]);
    // golden/D: TTL and MSS of the SYN and of its answer. The way to an own address is lo, with its MTU.
    expect(heard).toEqual({
      outside: [
        ["gwbridge", "63/1460", "63/1410"],
        ["mesh", "62/1460", "64/1410"],
        ["task", "62/1460", "64/1410"],
      ],
      "own process": [
        ["gwbridge", "64/65495", "63/1410"],
        ["mesh", "63/65495", "64/1410"],
        ["task", "63/65495", "64/1410"],
      ],
    });
  });

  it("drains a task: no new connections, the open one goes on; and none after the last task", async () => {
    const heard: Record<string, unknown> = {};
    await runServices([
      function* (node, nodes) {
        start(node, 1);
        yield* sleep(node.os, 3 * SEC);
        const second = (nodes[1] as ServiceNode).controller.sandboxes().find((s) => s.containerId.startsWith("web.2"));
        // The connection that stays: to whichever task is next, so two are opened.
        const open = [];
        for (let i = 0; i < 2; i++) {
          const socket = yield* connectTcp(node.host, ip("192.168.77.11"), 8080);
          yield* sendTcp(socket, Uint8Array.of(1));
          open.push({ socket, name: new TextDecoder().decode(yield* recvTcp(socket, 100)).slice(0, 5) });
        }
        second?.disableService();
        yield* sleep(node.os, 2 * SEC);
        heard["new"] = yield* asked(3, () => node.ask(node.host, "192.168.77.11", 8080));
        const ofSecond = open.find((o) => o.name === "web.2")?.socket;
        if (ofSecond !== undefined) {
          yield* sendTcp(ofSecond, Uint8Array.of(1));
          heard["open"] = new TextDecoder().decode(yield* recvTcp(ofSecond, 100)).slice(0, 5);
        }
        for (const { socket } of open) socket.close();
        for (const n of nodes)
          for (const s of [...n.controller.sandboxes()]) if (s.containerId.startsWith("web")) s.delete();
        yield* sleep(node.os, 2 * SEC);
        heard["after"] = yield* node.ask(node.host, "192.168.77.11", 8080);
        heard["after, elsewhere"] = yield* node.ask(node.host, "192.168.77.12", 8080);
      },
      function* (node) {
        start(node, 2);
        yield* sleep(node.os, 0);
      },
    ]);
    expect(heard).toEqual({
      new: ["web.1 10.0.0.2", "web.1 10.0.0.2", "web.1 10.0.0.2"],
      open: "web.2",
      after: "ECONNREFUSED",
      "after, elsewhere": "ECONNREFUSED",
    });
  });
});

describe.skipIf(!kernelBuilt)("a VIP (needs build/kernel.wasm)", () => {
  it("is balanced on the client's node, any port of it, also to the client itself; it answers ping", async () => {
    const heard: Record<string, unknown> = {};
    await runServices([
      function* (node) {
        const own = start(node, 1);
        yield* sleep(node.os, 3 * SEC);
        const ns = own.ns as NetNs;
        heard["vip"] = yield* asked(4, () => node.ask(ns, "10.0.1.2", 80));
        heard["udp"] = yield* asked(2, () => node.askUdp(ns, "10.0.1.2", 53));
        heard["closed port"] = yield* node.ask(ns, "10.0.1.2", 81);
        heard["ping"] = yield* node.ping(ns, "10.0.1.2");
        heard["task"] = yield* node.ask(ns, "10.0.1.12", 80);
        heard["names"] = ["web", "WWW", "tasks.web", "web.app"].map(
          (name) => own.resolveName(name, "ipv4").addresses.length,
        );
      },
      function* (node) {
        start(node, 2);
        yield* sleep(node.os, 0);
      },
    ]);
    expect(heard).toEqual({
      vip: ["web.1 10.0.1.20", "web.1 10.0.1.20", "web.2 10.0.1.20", "web.2 10.0.1.20"],
      udp: ["web.1 10.0.1.20 ttl 63", "web.2 10.0.1.20 ttl 63"],
      "closed port": "ECONNREFUSED",
      ping: 64,
      task: "web.2 10.0.1.11",
      names: [1, 1, 2, 1],
    });
  });

  it("keeps the client's address with direct server return", async () => {
    const heard: Record<string, unknown> = {};
    const service = { name: "web", vip: 2, ports: [], aliases: [] };
    const nodes = await runServices(
      [
        function* (node) {
          const client = node.task("client", 9, { name: "client" });
          yield* sleep(node.os, 3 * SEC);
          heard["vip"] = yield* asked(4, () => node.ask(client.ns as NetNs, "10.0.1.2", 80));
          heard["udp"] = yield* asked(2, () => node.askUdp(client.ns as NetNs, "10.0.1.2", 53));
        },
        function* (node) {
          start(node, 1, service);
          start(node, 2, service);
          yield* sleep(node.os, 0);
        },
      ],
      { options: { dsr: "" } },
    );
    expect(heard).toEqual({
      vip: ["web.1 10.0.1.9", "web.1 10.0.1.9", "web.2 10.0.1.9", "web.2 10.0.1.9"],
      udp: ["web.1 10.0.1.9 ttl 63", "web.2 10.0.1.9 ttl 63"],
    });
    const ns = nodes[0]?.app.lbSandbox?.ns as NetNs;
    expect(ns.ipvs.services().flatMap((s) => s.destinations.map((d) => d.forwarding))).toEqual(["direct", "direct"]);
    expect(
      ns.iptables
        .list("nat")
        ?.flatMap((c) => c.rules)
        .filter((r) => r.match.ipvs === true),
    ).toEqual([]);
  });
});
