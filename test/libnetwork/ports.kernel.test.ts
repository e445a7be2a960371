/** Published ports of containers on the real kernel: DNAT for those from outside, docker-proxy for the host's own loopback. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { acceptTcp, connectTcp, recvTcp, sendTcp } from "../../src/scheduler/io.ts";
import { sleep } from "../../src/scheduler/process.ts";
import { ip } from "../support/fake-swarm.ts";
import { kernelBuilt } from "../support/kernel.ts";
import { runServices, type ServiceNode } from "../support/service-cluster.ts";

const PORTS = [
  { protocol: "tcp", containerPort: 80, hostPort: 8080 },
  { protocol: "tcp", containerPort: 81, hostPort: 8081 },
  { protocol: "udp", containerPort: 53, hostPort: 5353 },
] as const;

/** A container on `bridge` (172.17.0.2) with servers on 80 and 53. */
function container(node: ServiceNode): NetNs {
  const sandbox = node.controller.newSandbox({ containerId: "w".repeat(64), name: "web", ports: PORTS });
  node.controller.networkByName("bridge")?.createEndpoint("web").join(sandbox);
  const ns = sandbox.setKey();
  node.serveTcp(ns, 80, "web");
  node.serveUdp(ns, 53, "web");
  return ns;
}

describe.skipIf(!kernelBuilt)("docker run -p (needs build/kernel.wasm)", () => {
  it("is reached from outside with the client's address, from the host's loopback through the proxy", async () => {
    const heard: Record<string, unknown> = {};
    await runServices([
      function* (node) {
        const ns = container(node);
        heard["loopback"] = yield* node.ask(node.host, "127.0.0.1", 8080);
        heard["own address"] = yield* node.ask(node.host, "192.168.77.11", 8080);
        heard["loopback udp"] = yield* node.askUdp(node.host, "127.0.0.1", 5353);
        heard["itself"] = yield* node.ask(ns, "192.168.77.11", 8080);
        heard["nobody listens"] = yield* node.ask(node.host, "127.0.0.1", 8081);
        yield* sleep(node.os, 5 * SEC);
      },
      function* (node) {
        yield* sleep(node.os, SEC);
        heard["outside"] = yield* node.ask(node.host, "192.168.77.11", 8080);
        heard["outside udp"] = yield* node.askUdp(node.host, "192.168.77.11", 5353);
        heard["outside, nobody listens"] = yield* node.ask(node.host, "192.168.77.11", 8081);
      },
    ]);
    expect(heard).toEqual({
      outside: "web 192.168.77.12",
      "outside udp": "web 192.168.77.12 ttl 63",
      "outside, nobody listens": "ECONNREFUSED",
      "own address": "web 192.168.77.11",
      // docker-proxy connects from the bridge's address; it takes every connection, and drops those it can't pass on.
      loopback: "web 172.17.0.1 from another port",
      "loopback udp": "web 172.17.0.1 ttl 64",
      "nobody listens": "ECONNRESET",
      itself: "web 172.17.0.1 from another port",
    });
  });

  it("carries large answers and the end of each direction, and forgets UDP clients after 90 s", async () => {
    const size = 300_000;
    const heard: Record<string, unknown> = {};
    await runServices(
      [
        function* (node) {
          const ns = container(node);
          const listener = ns.socket.tcp();
          listener.bind(0, 81);
          listener.listen(1);
          // Answers when the client has ended its side.
          node.os.spawn(
            "server",
            (function* () {
              const socket = yield* acceptTcp(listener);
              if (socket === undefined) return;
              let got = 0;
              for (let data = yield* recvTcp(socket, 9999); data?.length; data = yield* recvTcp(socket, 9999))
                got += data.length;
              yield* sendTcp(socket, new Uint8Array(size).fill(got & 255));
              socket.close();
            })(),
          );
          const socket = yield* connectTcp(node.host, ip("127.0.0.1"), 8081);
          yield* sendTcp(socket, new Uint8Array(70_001));
          socket.shutdown();
          let length = 0;
          let last = 0;
          for (let data = yield* recvTcp(socket, 65536); data?.length; data = yield* recvTcp(socket, 65536)) {
            length += data.length;
            last = data[0] as number;
          }
          heard["answer"] = [length, last];
          socket.close();
          const proxies = (): number =>
            node.host.socket.list().filter((s) => s.owner === "docker-proxy" && s.protocol === "udp").length;
          const idle = proxies();
          yield* node.askUdp(node.host, "127.0.0.1", 5353);
          yield* node.askUdp(node.host, "127.0.0.1", 5353);
          heard["UDP clients"] = proxies() - idle;
          yield* sleep(node.os, 91 * SEC);
          heard["UDP clients later"] = proxies() - idle;
        },
      ],
      {},
      200 * SEC,
    );
    expect(heard).toEqual({ answer: [size, 70_001 & 255], "UDP clients": 2, "UDP clients later": 0 });
  });
});
